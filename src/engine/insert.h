/*-------------------------------------------------------------------------
 *
 * insert.h
 *	  Rows of the engine's tables, inserted without a statement.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_INSERT_H
#define EF_INSERT_H

#include "engine/statement.h"

/*
 * Insert a row into a table of the engine, as the role that owns it.  The arguments are the values of its first
 * columns, with just their types; the other columns are null.  The statement does the same, and is used where the
 * table has triggers or row security.
 */
extern void ef_insert_row(const char *table, EfStatement *statement, EfArguments *args);

#endif							/* EF_INSERT_H */
