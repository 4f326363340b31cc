/*-------------------------------------------------------------------------
 *
 * engine.c
 *	  Settings and small services of the engine: its clock, its backoff, the
 *	  clean-up of a session between the runs of different roles.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/async.h"
#include "commands/extension.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "common/int.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/portal.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"

#include "engine/activity.h"
#include "engine/branch.h"
#include "engine/engine.h"
#include "engine/hold.h"
#include "engine/join.h"
#include "engine/settings.h"
#include "engine/workflow.h"

double		ef_transaction_budget = 0.0;
double		ef_iteration_budget = 5.0;
char	   *ef_activity_search_path;
int			ef_input_limit = 8 * 1024 * 1024;
int			ef_data_limit = 256 * 1024;
bool		ef_in_worker = false;

static double skipped_time = 0.0;
static int64 moved_clock = 0;

/* ---- the clock ---- */

TimestampTz
ef_now(void)
{
	return GetCurrentTimestamp() + (TimestampTz) (skipped_time * USECS_PER_SEC) + moved_clock;
}

int64
ef_move_clock(int64 microseconds)
{
	int64		before = moved_clock;

	moved_clock = microseconds;
	return before;
}

TimestampTz
ef_time_after(TimestampTz time, int64 microseconds)
{
	TimestampTz after;

	if (time == DT_NOEND || pg_add_s64_overflow(time, microseconds, &after) || !IS_VALID_TIMESTAMP(after))
		return DT_NOEND;
	return after;
}

void
ef_sleep_until(TimestampTz until)
{
	TimestampTz now;

	while ((now = ef_now()) < until)
	{
		long		milliseconds = (long) Min((until - now + 999) / 1000, 3600 * 1000);

		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/*
 * The first repetition comes at once, since most conflicts are gone by then; later ones wait twice as long
 * each time, up to a second, with jitter so that those who collided do not collide again.
 */
long
ef_repeat_delay_ms(int failures)
{
	double		longest;

	if (failures <= 1)
		return 0;
	longest = failures >= 11 ? 1000.0 : (double) (1 << (failures - 1));
	return (long) (longest * (0.5 + 0.5 * pg_prng_double(&pg_global_prng_state)));
}

/* ---- the session ---- */

bool
ef_extension_exists(void)
{
	return OidIsValid(get_extension_oid("expense_flow", true));
}

/*
 * What DISCARD ALL does, except for settings and plans: settings do not outlive an activity, and plans are
 * kept by role.
 */
void
ef_reset_session(void)
{
	PortalHashTableDeleteAll();
	DropAllPreparedStatements();
	Async_UnlistenAll();
	LockReleaseAll(USER_LOCKMETHOD, true);
	ResetSequenceCaches();
	ResetTempTableNamespace();
}

/* ---- settings ---- */

static bool
check_activity_search_path(char **newval, void **extra, GucSource source)
{
	char	   *raw = pstrdup(*newval);
	List	   *names;
	bool		valid = SplitIdentifierString(raw, ',', &names);

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	pfree(raw);
	list_free(names);
	return valid;
}

static void
define_settings(void)
{
	DefineCustomRealVariable("expense_flow.transaction_budget",
							 "Steps of a run share a transaction while it is younger than this.",
							 "Zero commits after each SQL activity.",
							 &ef_transaction_budget, 0.0, 0.0, 60000.0,
							 PGC_USERSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomRealVariable("expense_flow.iteration_budget",
							 "Branches of a Parallel or Map that end one after the other share a transaction while it is younger than this.",
							 "One that takes ten times as long is rolled back, and its branches have transactions of their own. Zero: they always have.",
							 &ef_iteration_budget, 5.0, 0.0, 1000.0,
							 PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable("expense_flow.activity_search_path",
							   "The search_path in which SQL activities run.",
							   NULL,
							   &ef_activity_search_path, "\"$user\", public",
							   PGC_SUSET, GUC_LIST_INPUT, check_activity_search_path, NULL, NULL);
	DefineCustomIntVariable("expense_flow.input_limit",
							"The size of an input above which a run is not started.",
							"Measured as jsonb. Zero: no limit.",
							&ef_input_limit, 8 * 1024 * 1024, 0, MaxAllocSize,
							PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomIntVariable("expense_flow.data_limit",
							"The size of a payload above which a state fails with States.DataLimitExceeded.",
							"Measured as compact JSON text. Zero: no limit.",
							&ef_data_limit, 256 * 1024, 0, MaxAllocSize,
							PGC_SUSET, GUC_UNIT_BYTE, NULL, NULL, NULL);
	DefineCustomRealVariable("expense_flow.skipped_time",
							 "How far the engine's clock of this session is ahead of the time of day, for tests.",
							 NULL,
							 &skipped_time, 0.0, 0.0, 1e9,
							 PGC_SUSET, GUC_UNIT_S | GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
}

void
ef_engine_init(void)
{
	define_settings();
	ef_announce_init();
	ef_workflow_init();
	ef_branch_init();
	ef_activity_init();
	ef_hold_init();
	ef_join_init();
}
