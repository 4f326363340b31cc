/*-------------------------------------------------------------------------
 *
 * pending.c
 *	  run_pending(): any session does what is due.
 *
 * The procedure reads due branches by index, oldest first, and advances each
 * until it waits or has ended, with the same function and the same claims as
 * background workers do, so both can work side by side.
 *
 * Each step is a transaction.  Inside it there is a subtransaction: an error
 * that is to be repeated leaves the SPI connection of the procedure in good
 * order, and only then is the transaction rolled back.
 *
 * Time can be skipped: the engine's clock is then moved forward from one due
 * time to the next, as if one had waited, up to the end of the skipped time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "engine/advance.h"
#include "engine/failure.h"
#include "engine/hold.h"
#include "engine/settings.h"
#include "engine/store.h"
#include "errcodes.h"

#define BATCH_SIZE 64

/* Passes in a row in which others did what this session had found to be due, until it leaves them alone. */
#define MOST_OVERTAKEN 10

/* Looks at a branch that somebody is sending a message to, who may take his time; about a second in all. */
#define MOST_LOOKS 10

PG_FUNCTION_INFO_V1(ef_run_pending);

typedef struct Pending
{
	Oid			role;			/* who may drive */
	int64		skip;			/* microseconds to be skipped */
	bool		wait_for_others;
	int64		steps_left;
	MemoryContext context;
	bool		progress;		/* of this pass */
	bool		overtaken;		/* in this pass: something that was due had been done by others */
	List	   *passed_over;	/* keys of branches that this call leaves alone, because of an error */
} Pending;

/* What there is to do, in one snapshot. */
typedef struct Work
{
	EfDueBranch messaged[BATCH_SIZE];	/* a message has come for them */
	int			nmessaged;
	EfDueBranch due[BATCH_SIZE];
	int			ndue;
} Work;

typedef enum StepResult
{
	STEP_MORE,
	STEP_DONE,					/* waits, has ended, is not due or others have it */
	STEP_LATER,					/* somebody is sending it a message */
	STEP_REPEAT					/* failed through no fault of the workflow */
} StepResult;

/* ---- one step ---- */

static EfAdvanceResult
advance(Pending *pending, const EfBranchKey *key)
{
	EfAdvanceResult result = ef_advance_branch(key);
	bool		busy;

	if (result == EF_ADVANCE_BUSY && pending->wait_for_others)
	{
		pending->progress = true;	/* whatever it does may have made other branches due */
		if (ef_claim_branch(key, true, &busy) == NULL)
			return EF_ADVANCE_NOT_DUE;
		result = ef_advance_branch(key);
	}
	return result;
}

static bool
is_passed_over(const Pending *pending, const EfBranchKey *key)
{
	ListCell   *cell;

	foreach(cell, pending->passed_over)
	{
		EfBranchKey *other = lfirst(cell);

		if (other->branch_id == key->branch_id && memcmp(&other->run_id, &key->run_id, sizeof(pg_uuid_t)) == 0)
			return true;
	}
	return false;
}

/*
 * An error has been caught, and what it left was cleaned up.  Some are no reason not to repeat the step at once.  Where
 * somebody wants us to stop, we do.  Any other is the branch's alone: others go on, and this one with the next call.
 */
static void
deal_with_error(Pending *pending, const EfBranchKey *key, ErrorData *edata)
{
	EfBranchKey *copy;

	if (edata->sqlerrcode == EF_ERRCODE_BRANCH_GONE || ef_is_repeatable(edata->sqlerrcode))
	{
		FreeErrorData(edata);
		return;
	}
	if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION)
		ReThrowError(edata);
	MemoryContextSwitchTo(pending->context);
	copy = palloc(sizeof(EfBranchKey));
	*copy = *key;
	pending->passed_over = lappend(pending->passed_over, copy);
	ereport(WARNING,
			(errcode(edata->sqlerrcode),
			 errmsg("could not advance run %s, branch %d: %s",
					DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&key->run_id))), key->branch_id,
					edata->message),
			 edata->detail ? errdetail_internal("%s", edata->detail) : 0));
	FreeErrorData(edata);
}

/*
 * Advance the branch in a subtransaction.  False if it is to be repeated in a new transaction.
 *
 * The session's default isolation level does not matter, as in workers: what the former holder of the branch's lock
 * has done must be seen, and a snapshot of the whole transaction's would be older than the lock.
 */
static bool
try_to_advance(Pending *pending, const EfBranchKey *key, EfAdvanceResult *result)
{
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool success = true;

	Assert(!FirstSnapshotSet);
	XactIsoLevel = XACT_READ_COMMITTED;
	BeginInternalSubTransaction(NULL);
	PG_TRY();
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		*result = advance(pending, key);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(pending->context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
		ef_release_branch();
		deal_with_error(pending, key, edata);
		success = false;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(pending->context);
	CurrentResourceOwner = owner;
	return success;
}

/* Commit; false if that failed (a new transaction has begun in any case). */
static bool
try_to_commit(Pending *pending, const EfBranchKey *key)
{
	volatile bool success = true;

	PG_TRY();
	{
		SPI_commit();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(pending->context);
		edata = CopyErrorData();
		FlushErrorState();
		ef_release_branch();
		deal_with_error(pending, key, edata);
		success = false;
	}
	PG_END_TRY();
	return success;
}

static StepResult
step(Pending *pending, const EfBranchKey *key)
{
	EfAdvanceResult result = EF_ADVANCE_NOT_DUE;

	if (!try_to_advance(pending, key, &result))
	{
		SPI_rollback();
		return STEP_REPEAT;
	}
	if (!try_to_commit(pending, key))
		return STEP_REPEAT;
	if (result == EF_ADVANCE_LATER)
		return STEP_LATER;
	if (result == EF_ADVANCE_NOT_DUE)
		pending->overtaken = true;
	if (result == EF_ADVANCE_BUSY || result == EF_ADVANCE_NOT_DUE)
		return STEP_DONE;
	pending->progress = true;
	pending->steps_left--;
	return result == EF_ADVANCE_MORE ? STEP_MORE : STEP_DONE;
}

/* ---- one branch after the other ---- */

static void
back_off(long milliseconds)
{
	if (milliseconds <= 0)
		return;
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

static void
drive(Pending *pending, const EfBranchKey *key)
{
	int			failures = 0;
	int			looks = 0;

	while (pending->steps_left > 0 && !is_passed_over(pending, key))
	{
		StepResult	result;

		CHECK_FOR_INTERRUPTS();
		result = step(pending, key);
		if (result == STEP_DONE)
			break;
		if (result == STEP_LATER && (!pending->wait_for_others || ++looks == MOST_LOOKS))
			break;
		failures = result == STEP_REPEAT ? failures + 1 : 0;
		back_off(ef_repeat_delay_ms(result == STEP_LATER ? looks : failures));
	}
	ef_release_branch();
}

/* The engine's clock shows this time at least. */
static void
move_clock_to(TimestampTz time)
{
	TimestampTz now = ef_now();

	if (now < time)
		ef_move_clock(ef_move_clock(0) + (time - now));
}

/* The time up to which work is due. */
static TimestampTz
horizon(const Pending *pending)
{
	int64		moved = ef_move_clock(0);
	TimestampTz unmoved = ef_now();

	ef_move_clock(moved);
	return Max(unmoved + pending->skip, unmoved + moved);
}

/*
 * One snapshot for both: with two of them, others could let a branch go from one kind to the other in between, so that
 * neither showed it.
 */
static void
read_work(Pending *pending, const EfDueBranch *after, Work *work)
{
	Snapshot	snapshot;

	PushActiveSnapshot(GetTransactionSnapshot());
	snapshot = GetActiveSnapshot();
	work->nmessaged = ef_store_messaged_branches_of_role(pending->role, snapshot, work->messaged, BATCH_SIZE);
	work->ndue = ef_store_due_branches_of_role(pending->role, horizon(pending), after, snapshot, work->due, BATCH_SIZE);
	PopActiveSnapshot();
	SPI_commit();
}

/*
 * Go once through all that is due, in the order of the due times.  What becomes due meanwhile comes later in that
 * order, so it is met too; whatever ties in the order could be missed, for which there is another pass.
 */
static void
make_pass(Pending *pending)
{
	Work		work;
	EfDueBranch last;
	const EfDueBranch *after = NULL;
	int64		steps_left;
	int			i;

	do
	{
		read_work(pending, after, &work);
		steps_left = pending->steps_left;
		for (i = 0; i < work.nmessaged && pending->steps_left > 0; i++)
			drive(pending, &work.messaged[i].key);
		for (i = 0; i < work.ndue && pending->steps_left > 0; i++)
		{
			/* The clock moves only when there is nothing left that is due before; so read again. */
			if ((i > 0 || pending->steps_left < steps_left) && work.due[i].due_at > ef_now())
				break;
			move_clock_to(work.due[i].due_at);
			drive(pending, &work.due[i].key);
			last = work.due[i];
			after = &last;
		}
	} while (work.ndue > 0 && pending->steps_left > 0);
}

/* Until a pass finds nothing to do, or nothing that can be done. */
static void
drive_all(Pending *pending)
{
	int			overtaken = 0;

	do
	{
		pending->progress = false;
		pending->overtaken = false;
		make_pass(pending);
		overtaken = pending->overtaken && !pending->progress ? overtaken + 1 : 0;
	} while (pending->steps_left > 0 && (pending->progress || (overtaken > 0 && overtaken < MOST_OVERTAKEN)));
}

static void
check_context(FunctionCallInfo fcinfo)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("run_pending() cannot be called inside a transaction block or function"),
				 errdetail("Each step of a run is committed by itself.")));
}

static void
read_arguments(FunctionCallInfo fcinfo, Pending *pending)
{
	TimestampTz now = GetCurrentTimestamp();

	pending->role = GetUserId();
	pending->skip = 0;
	if (!PG_ARGISNULL(0))
		pending->skip = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now),
																PG_GETARG_DATUM(0))) - now;
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("wait_for_others must not be null")));
	pending->wait_for_others = PG_GETARG_BOOL(1);
	pending->steps_left = PG_ARGISNULL(2) ? PG_INT64_MAX : PG_GETARG_INT64(2);
	if (TIMESTAMP_NOT_FINITE(pending->skip + now))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("skip must be finite")));
	if (pending->skip < 0 || pending->steps_left < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", pending->skip < 0 ? "skip" : "max_steps")));
}

/* run_pending(skip interval, wait_for_others boolean, max_steps bigint) */
Datum
ef_run_pending(PG_FUNCTION_ARGS)
{
	Pending		pending = {0};

	check_context(fcinfo);
	read_arguments(fcinfo, &pending);
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	pending.context = CurrentMemoryContext;
	ef_check_installation();
	SPI_commit();
	PG_TRY();
	{
		drive_all(&pending);
	}
	PG_FINALLY();
	{
		ef_move_clock(0);
		ef_release_branch();
	}
	PG_END_TRY();
	SPI_finish();
	PG_RETURN_VOID();
}
