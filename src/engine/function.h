/*-------------------------------------------------------------------------
 *
 * function.h
 *	  The function that an SQL activity means, and the statement that calls it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FUNCTION_H
#define EF_FUNCTION_H

#include "executor/spi.h"
#include "fmgr.h"
#include "utils/jsonb.h"

/* How an argument gets its value from JSON. */
typedef enum EfArgumentKind
{
	EF_ARGUMENT_JSONB,			/* as it is */
	EF_ARGUMENT_JSON,
	EF_ARGUMENT_JSON_DOMAIN,	/* over either: as text, to its input function */
	EF_ARGUMENT_OTHER			/* as jsonb_populate_record does */
} EfArgumentKind;

typedef struct EfArgument
{
	const char *name;			/* the key of the input; NULL: the whole input */
	Oid			type;
	EfArgumentKind kind;
	FmgrInfo	input;			/* of the last two: the type's input function */
	Oid			ioparam;
	SPIPlanPtr	populate;		/* converts an array or object; NULL until one comes */
} EfArgument;

/* A function as it is called by a role with certain keys. */
typedef struct EfFunction
{
	MemoryContext context;		/* holds all of this */
	int			nargs;
	EfArgument *args;
	bool		returns_void;
	SPIPlanPtr	plan;			/* SELECT … with the arguments as parameters; one row, one column */
	char	   *rows_text;		/* the same with a row for each one of the set; NULL: it returns none */
	SPIPlanPtr	rows_plan;		/* NULL until it is asked for */
} EfFunction;

/*
 * Find the function for the current user, and keep it for the next call; raises errors as the server does.
 * input NULL: one that gets any input as a whole.
 * It stays as it is until ef_release_function(), which must follow (after an error too).
 */
extern EfFunction *ef_get_function(const char *name, Jsonb *input);
extern void ef_release_function(EfFunction *function);

/* The statement that converts an array or object for this argument: $1 is {"v": value}. */
extern SPIPlanPtr ef_populate_plan(EfFunction *function, EfArgument *arg);

/* The statement that returns the set. */
extern SPIPlanPtr ef_rows_plan(EfFunction *function);

extern void ef_function_init(void);

#endif							/* EF_FUNCTION_H */
