/*-------------------------------------------------------------------------
 *
 * upkeep.c
 *	  What purge() needs of C: its settings and its lock.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "events/events.h"
#include "events/feed.h"
#include "fault.h"

#define SECONDS_OF_A_DAY	(24 * 60 * 60)

static int	run_retention = 30 * SECONDS_OF_A_DAY;
static int	event_retention = 7 * SECONDS_OF_A_DAY;

PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_run_retention);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_event_retention);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_lock_purge);

static Datum
interval_of_setting(int seconds)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = (TimeOffset) seconds * USECS_PER_SEC;
	return IntervalPGetDatum(interval);
}

/* NULL: for ever. */
Datum
ef_run_retention(PG_FUNCTION_ARGS)
{
	if (run_retention < 0)
		PG_RETURN_NULL();
	return interval_of_setting(run_retention);
}

Datum
ef_event_retention(PG_FUNCTION_ARGS)
{
	if (event_retention < 0)
		PG_RETURN_NULL();
	return interval_of_setting(event_retention);
}

/* Until the end of the transaction; false if another purge has it. */
Datum
ef_lock_purge(PG_FUNCTION_ARGS)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, EF_LOCK_CLASS_PURGE);
	EF_FAULT("purge: before the next batch");
	PG_RETURN_BOOL(LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL);
}

void
ef_upkeep_init(void)
{
	DefineCustomIntVariable("expense_flow.retention",
							"How long closed runs are kept.",
							"purge() removes them and their history afterwards, unless their workflow says otherwise; -1 keeps them.",
							&run_retention, 30 * SECONDS_OF_A_DAY, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("expense_flow.event_retention",
							"How long change events are kept at most.",
							"purge() removes them afterwards, also where a consumer has not read them; -1 keeps them until every consumer has.",
							&event_retention, 7 * SECONDS_OF_A_DAY, -1, INT_MAX,
							PGC_SUSET, GUC_UNIT_S, NULL, NULL, NULL);
}
