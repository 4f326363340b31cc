/*-------------------------------------------------------------------------
 *
 * result.c
 *	  get_result(): wait for the end of a run.
 *
 * Each look at the tables takes the newest snapshot, whatever the isolation
 * level, and keeps it no longer than the look.  Between looks the process sleeps
 * on its latch: where background workers run, it is waked when a run closes and
 * looks again only rarely besides (a wake-up that were missed would delay the
 * answer, never lose it); where none run, and on a standby, it looks again after
 * pauses that grow to a tenth of a second.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "engine/announce.h"
#include "engine/flush.h"
#include "engine/rights.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_get_result);

#define LONGEST_SLEEP_MS	10000	/* between looks, where workers wake us */
#define LONGEST_PAUSE_MS	100		/* between looks, where nobody does */
#define NOTICE_AFTER_MS		1000	/* without workers: say so when nothing has happened for so long */

/* What the tables say about a run. */
typedef struct RunEnd
{
	char		status;			/* closed_run.status, or 0: open */
	bool		started_here;	/* the run's row is of our own, open transaction */
	char	   *workflow;
	char	   *error;
	char	   *cause;
	Jsonb	   *output;			/* when it succeeded */
} RunEnd;

/* ---- looking ---- */

static SPIPlanPtr
end_plan(void)
{
	static SPIPlanPtr plan = NULL;

	if (plan == NULL)
	{
		SPIPlanPtr	new_plan = SPI_prepare(
			"SELECT r.owner, r.starter, r.xmin, v.workflow, c.status, c.error, c.cause,"
			" CASE WHEN c.status OPERATOR(pg_catalog.=) 'S' THEN coalesce("
			"  (SELECT t.output FROM expense_flow.transition t"
			"   WHERE t.run_id OPERATOR(pg_catalog.=) c.run_id AND t.step OPERATOR(pg_catalog.<=) c.step"
			"   AND t.branch_id OPERATOR(pg_catalog.=) 0 AND t.output IS NOT NULL"
			"   ORDER BY t.step DESC LIMIT 1), r.input) END"
			" FROM expense_flow.run r"
			" LEFT JOIN expense_flow.workflow_version v ON v.version_id OPERATOR(pg_catalog.=) r.version_id"
			" LEFT JOIN expense_flow.closed_run c ON c.run_id OPERATOR(pg_catalog.=) r.run_id"
			" WHERE r.run_id OPERATOR(pg_catalog.=) $1",
			1, (Oid[]) {UUIDOID});

		if (new_plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(new_plan);
		plan = new_plan;
	}
	return plan;
}

static char *
text_column(int column, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);

	return value != NULL ? MemoryContextStrdup(context, value) : NULL;
}

/* Read a run that the role may see; false if there is none. */
static bool
read_end(const pg_uuid_t *run_id, Oid role, RunEnd *end, MemoryContext context)
{
	Datum		arg = UUIDPGetDatum(run_id);
	HeapTuple	row;
	TupleDesc	desc;
	Datum		owner,
				starter,
				value;
	bool		isnull;

	if (SPI_execute_plan(end_plan(), &arg, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a run");
	if (SPI_processed == 0)
		return false;
	row = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	owner = SPI_getbinval(row, desc, 1, &isnull);
	starter = SPI_getbinval(row, desc, 2, &isnull);
	if (!ef_may_access_run(role, DatumGetObjectId(owner), isnull ? InvalidOid : DatumGetObjectId(starter)))
		return false;
	value = SPI_getbinval(row, desc, 3, &isnull);
	end->started_here = TransactionIdIsCurrentTransactionId(DatumGetTransactionId(value));
	value = SPI_getbinval(row, desc, 5, &isnull);
	end->status = isnull ? 0 : DatumGetChar(value);
	if (end->status == 0)
		return true;
	end->workflow = text_column(4, context);
	end->error = text_column(6, context);
	end->cause = text_column(7, context);
	value = SPI_getbinval(row, desc, 8, &isnull);
	if (!isnull)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		end->output = DatumGetJsonbPCopy(value);
		MemoryContextSwitchTo(old);
	}
	return true;
}

/* One look, with a snapshot of its own. */
static void
look(const pg_uuid_t *run_id, RunEnd *end)
{
	MemoryContext context = CurrentMemoryContext;
	EfCaller	caller;
	bool		found;

	memset(end, 0, sizeof(*end));
	ef_become_owner(&caller);
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	found = read_end(run_id, caller.userid, end, context);
	SPI_finish();
	PopActiveSnapshot();
	ef_become_caller(&caller);
	if (!found)
		ef_no_such_run(run_id);
	if (end->status == 0 && end->started_here)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the run was started in this transaction, so it cannot end before the transaction does"),
				 errhint("Commit first, or use expense_flow.run_workflow() to run a workflow within the transaction.")));
}

/* ---- waiting ---- */

static bool
workers_run(void)
{
	return ef_announcement_receiver != NULL && !RecoveryInProgress() && ef_announcement_receiver->workers_run();
}

/* When to give up: NULL never, an interval that is not negative from now on. */
static TimestampTz
give_up_time(FunctionCallInfo fcinfo, int arg)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz end;

	if (PG_ARGISNULL(arg))
		return DT_NOEND;
	end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now), PG_GETARG_DATUM(arg)));
	if (end < now)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("timeout must not be negative")));
	return end;
}

static void
not_ready(void)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_RESULT_NOT_READY),
			 errmsg("the run has not ended within the timeout"),
			 workers_run() ? 0 :
			 errhint("No background workers serve this database: CALL expense_flow.run_pending() drives the work.")));
}

/* Sleep until it is worth looking again, or there is something to interrupt us. */
static void
sleep_until_next_look(const pg_uuid_t *run_id, TimestampTz give_up, bool waked, long pause_ms)
{
	long		timeout_ms = waked ? LONGEST_SLEEP_MS : pause_ms;

	if (!TIMESTAMP_IS_NOEND(give_up))
	{
		long		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), give_up);

		timeout_ms = Max(Min(timeout_ms, left_ms), 1);
	}
	if (waked)
		ef_announcement_receiver->wait_for_close(run_id, timeout_ms);
	else
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
}

static void
look_until_ended(const pg_uuid_t *run_id, TimestampTz give_up, bool waked, RunEnd *end)
{
	TimestampTz began = GetCurrentTimestamp();
	long		pause_ms = 1;
	bool		noticed = false;

	for (;;)
	{
		TimestampTz now;

		if (waked)
			ef_announcement_receiver->prepare_to_wait_for_close(run_id);
		look(run_id, end);
		if (end->status != 0)
			return;
		now = GetCurrentTimestamp();
		if (now >= give_up)
			not_ready();
		if (!noticed && !RecoveryInProgress() && !workers_run() &&
			TimestampDifferenceExceeds(began, now, NOTICE_AFTER_MS))
		{
			ereport(NOTICE,
					(errmsg("no background workers serve this database"),
					 errhint("The run ends only if another session drives it with CALL expense_flow.run_pending().")));
			noticed = true;
		}
		sleep_until_next_look(run_id, give_up, waked, pause_ms);
		pause_ms = Min(pause_ms * 2, LONGEST_PAUSE_MS);
	}
}

static void
wait_for_end(const pg_uuid_t *run_id, TimestampTz give_up, RunEnd *end)
{
	bool		waked = workers_run();

	PG_TRY();
	{
		look_until_ended(run_id, give_up, waked, end);
	}
	PG_FINALLY();
	{
		if (waked)
			ef_announcement_receiver->end_wait_for_close();
	}
	PG_END_TRY();
}

/* ---- the result ---- */

static void
raise_failure(const RunEnd *end)
{
	const char *workflow = end->workflow != NULL ? end->workflow : "unknown";
	char	   *message;

	switch (end->status)
	{
		case 'F':
			message = end->error != NULL ?
				psprintf(_("workflow \"%s\" failed: %s"), workflow, end->error) :
				psprintf(_("workflow \"%s\" failed"), workflow);
			break;
		case 'T':
			message = psprintf(_("workflow \"%s\" timed out"), workflow);
			break;
		case 'C':
			message = psprintf(_("workflow \"%s\" was canceled"), workflow);
			break;
		case 'X':
			message = psprintf(_("workflow \"%s\" was terminated"), workflow);
			break;
		default:
			elog(ERROR, "unrecognized status of a closed run: %d", end->status);
	}
	ereport(ERROR,
			(errcode(EF_ERRCODE_RUN_FAILED),
			 errmsg_internal("%s", message),
			 end->cause != NULL ? errdetail_internal("%s", end->cause) : 0));
}

/*
 * get_result(run_id uuid, timeout interval = NULL) → jsonb
 */
Datum
ef_get_result(PG_FUNCTION_ARGS)
{
	RunEnd		end;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("run_id must not be null")));
	wait_for_end(PG_GETARG_UUID_P(0), give_up_time(fcinfo, 1), &end);
	ef_flush_what_is_seen();
	if (end.status != 'S')
		raise_failure(&end);
	PG_RETURN_JSONB_P(end.output);
}
