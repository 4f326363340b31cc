/*-------------------------------------------------------------------------
 *
 * expense_flow.c
 *	  Module start.
 *
 * With the library in shared_preload_libraries everything is there: shared
 * memory, processes, wake-up at commit.  Loaded later, by the first call of a
 * function, the SQL functions work and sessions drive the runs themselves
 * (run_pending()).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "engine/engine.h"
#include "events/events.h"
#include "fault.h"
#include "runtime/runtime.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
#ifdef EF_FAULT_POINTS
	ef_fault_init();
#endif
	ef_engine_init();
	ef_events_init();
	ef_runtime_init();

	MarkGUCPrefixReserved("expense_flow");
}
