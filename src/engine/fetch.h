/*-------------------------------------------------------------------------
 *
 * fetch.h
 *	  Rows of the engine's tables, read by primary key without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FETCH_H
#define EF_FETCH_H

#include "engine/statement.h"

/* A table and what finds its rows: a primary key of its first columns. */
typedef struct EfFetchTable
{
	const char *name;
	const char *primary_key;
	int			ncolumns;		/* at least so many are there */
} EfFetchTable;

/*
 * The row with that key, as the active snapshot sees it; false if there is none.  Its values come in the order of
 * the table's columns, beginning with the one after the key, into the given memory context.  The key is run_id and
 * integers.
 */
extern bool ef_fetch_row(const EfFetchTable *table, const pg_uuid_t *run_id, const int32 *more_keys, int nmore_keys,
						 MemoryContext context, EfRow *row);

/* The same where the key is one column of type text COLLATE "C". */
extern bool ef_fetch_named(const EfFetchTable *table, const char *name, MemoryContext context, EfRow *row);

#endif							/* EF_FETCH_H */
