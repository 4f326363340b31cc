/*-------------------------------------------------------------------------
 *
 * statement.h
 *	  Statements of the engine on its own tables: saved plans, executed as the
 *	  role that owns the tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_STATEMENT_H
#define EF_STATEMENT_H

#include "executor/spi.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#define EF_MAX_ARGS 20

/* Names and operators in the text are qualified, so that no search_path matters. */
typedef struct EfStatement
{
	const char *text;
	int			nargs;
	Oid			argtypes[EF_MAX_ARGS];
	SPIPlanPtr	plan;			/* NULL until it is used first */
} EfStatement;

/* The values of a statement in the making; "EfArguments args = {0}" begins it. */
typedef struct EfArguments
{
	int			count;
	Datum		values[EF_MAX_ARGS];
	char		nulls[EF_MAX_ARGS];
} EfArguments;

extern void ef_add_arg(EfArguments *args, Datum value, bool is_null);
extern void ef_add_uuid(EfArguments *args, const pg_uuid_t *value);
extern void ef_add_int(EfArguments *args, int32 value);
extern void ef_add_seconds(EfArguments *args, double value);	/* 0: null */
extern void ef_add_time(EfArguments *args, TimestampTz value);	/* DT_NOEND: null */
extern void ef_add_text(EfArguments *args, const char *value);
extern void ef_add_jsonb(EfArguments *args, const Jsonb *value);
extern void ef_add_bytes(EfArguments *args, const void *bytes, int length);
extern void ef_add_array(EfArguments *args, Oid type, Datum *values, bool *nulls, int count);	/* nulls NULL: none is */
extern void ef_add_texts(EfArguments *args, char *const *texts, int count);

/*
 * Execute a statement.  The caller is connected to SPI, and reads SPI_tuptable; returns the number of rows.
 * The second one does not need the caller to be connected, and is for statements that return nothing.
 */
extern uint64 ef_execute(EfStatement *statement, EfArguments *args);
extern uint64 ef_execute_alone(EfStatement *statement, EfArguments *args);

/* The same in a snapshot (InvalidSnapshot: one that it takes itself). */
extern uint64 ef_execute_in(EfStatement *statement, EfArguments *args, Snapshot snapshot);

/* The same, seeing what was committed until now whatever the isolation level is. */
extern uint64 ef_execute_latest(EfStatement *statement, EfArguments *args);

/* A row of the result; values are read one after the other, into a memory context of the caller's. */
typedef struct EfRow
{
	HeapTuple	tuple;
	TupleDesc	desc;
	MemoryContext context;
	int			column;			/* the last one read */
	bool		is_null;
} EfRow;

extern EfRow ef_row(uint64 number, MemoryContext context);
extern Datum ef_next_value(EfRow *row);
extern Oid	ef_next_oid(EfRow *row);
extern int32 ef_next_int(EfRow *row);
extern char ef_next_char(EfRow *row);
extern bool ef_next_bool(EfRow *row);
extern double ef_next_seconds(EfRow *row);	/* null: 0 */
extern TimestampTz ef_next_time(EfRow *row);	/* null: DT_NOEND */
extern void ef_next_uuid(EfRow *row, pg_uuid_t *uuid);
extern char *ef_next_text(EfRow *row);
extern char **ef_next_texts(EfRow *row, int *count);	/* null: NULL */
extern Jsonb *ef_next_jsonb(EfRow *row);

#endif							/* EF_STATEMENT_H */
