/*-------------------------------------------------------------------------
 *
 * expense_flow.c
 *	  Module start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"

#include "engine/engine.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	ef_engine_init();
}
