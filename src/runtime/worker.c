/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  A worker: takes branches from its database's ready queue and advances them.
 *
 * It goes on with a branch, transaction after transaction, until the branch
 * waits or ends.  When many branches of a run are ready, several that end one
 * after the other share a transaction.  A transaction that fails is repeated
 * later, after a delay that grows with the failures in a row; what shared it
 * is repeated one by one, and transactions are not shared for a while.  If the
 * process dies the branch goes back into the queue; if it cannot even do that
 * (kill -9), the server restarts and the tables tell.  A branch that crashes its
 * process again and again is parked: see crash.c.  So is one that fails again
 * and again with an error that no time mends: see stuck.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sched.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "compat.h"
#include "engine/engine.h"
#include "errcodes.h"
#include "fault.h"
#include "runtime/crash.h"
#include "runtime/process.h"
#include "runtime/stuck.h"

/* How long a worker stays awake that expects work: about what it takes to flush a commit. */
#define LONGEST_EXPECTATION_US 1000

/* Where flushes take longer, most of that time is not spent. */
#define EXPECTATIONS_IGNORED 8

/* A branch that never waits lets others go first after this long, if others are ready. */
#define TIME_SLICE_MS 200

/*
 * A branch that somebody else advances, or is sending a message to, is looked at again after 1, 2, 4, ... up to
 * this many ms.
 */
#define MAX_BUSY_DELAY_MS 5000

/*
 * After a shared transaction has failed, by a deadlock perhaps or because one of its activities took long, so many
 * are not shared: four times as many with each that fails, half as many with each that succeeds.
 */
#define MIN_UNSHARED 64
#define MAX_UNSHARED 65536

/* Counting further would not change any delay. */
#define MAX_TRIES 1000

typedef struct Attachment
{
	EfDatabaseSlot *db;
	EfWorkerSlot *worker;
	uint32		generation;
} Attachment;

static bool attach(const EfProcessStart *start, Attachment *attachment);
static void detach(int code, Datum arg);
static void leave_idle_stack(EfDatabaseSlot *db, EfWorkerSlot *worker);
static bool is_worth_staying_awake(EfDatabaseSlot *db, EfWorkerSlot *worker);
static bool take_entry(EfDatabaseSlot *db, EfWorkerSlot *worker);
static void finish_entry(EfDatabaseSlot *db, EfWorkerSlot *worker, int advances, bool failed, long delay_ms);
static void advance_entry(EfDatabaseSlot *db, EfWorkerSlot *worker);
static EfAdvanceResult advance_once(EfDatabaseSlot *db, EfWorkerSlot *worker, bool reset_session,
									EfSuspicion suspicion);

void
ef_worker_main(Datum main_arg)
{
	static Attachment attachment;	/* outlives this function: detach uses it */
	const EfProcessStart *start = ef_process_begin();
	uint32		wait_event = 0;

	EF_FAULT("worker: started, not attached");
	if (!attach(start, &attachment))
		proc_exit(0);
	/* Registered before the connection is made, so it runs after the last transaction was aborted. */
	before_shmem_exit(detach, PointerGetDatum(&attachment));

	ef_process_connect(start->database);
	EF_FAULT("worker: connected");

	for (;;)
	{
		ef_process_interrupts();
		if (attachment.worker->leave)
			proc_exit(0);

		if (!ef_worker_step(attachment.db, attachment.worker) &&
			!is_worth_staying_awake(attachment.db, attachment.worker))
		{
			/* Statistics are sent at most once a second; what is left is sent when that has passed. */
			long		timeout = pgstat_report_stat(false);

			ef_process_sleep(timeout > 0 ? timeout : -1,
							 ef_wait_event(&wait_event, "ExpenseFlowWorkerIdle"));
		}
	}
}

/*
 * Advance the next ready branch as far as it goes; false if there is none.
 * (The dispatcher does so too when it has no workers.)
 */
bool
ef_worker_step(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	if (!take_entry(db, worker))
		return false;
	advance_entry(db, worker);
	return true;
}

/*
 * If somebody is about to commit work for us, wait for it without falling asleep,
 * but not for long, and letting any other process go first.  True: look again.
 */
static bool
is_worth_staying_awake(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	static int	ignored = 0;	/* since one was in vain, how many more are to be */
	TimestampTz began;

	if (!worker->expects_work)
		return false;
	worker->expects_work = false;
	if (ignored > 0)
	{
		ignored--;
		return false;
	}
	began = GetCurrentTimestamp();
	while (((volatile EfDatabaseSlot *) db)->nready == 0 && !MyLatch->is_set)
	{
		if (GetCurrentTimestamp() - began >= LONGEST_EXPECTATION_US)
		{
			ignored = EXPECTATIONS_IGNORED;
			return false;
		}
		sched_yield();
	}
	return true;
}

static bool
attach(const EfProcessStart *start, Attachment *attachment)
{
	EfDatabaseSlot *db = &ef_shared->databases[start->slot];
	EfWorkerSlot *worker = &db->workers[start->place];
	EfWakeList	wake = {0};
	bool		attached = false;

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	if (db->database == start->database && !db->leaving &&
		worker->generation == start->generation && worker->state == EF_WORKER_STARTING)
	{
		worker->state = EF_WORKER_AWAKE;
		worker->pid = MyProcPid;
		worker->latch = MyLatch;
		worker->leave = false;
		worker->expects_work = false;
		worker->since = GetCurrentTimestamp();
		db->nworkers++;
		attached = true;
		/* it may have come to know meanwhile that this worker is one too many */
		ef_wake_dispatcher(db, &wake);
	}
	LWLockRelease(db->lock);
	ef_wake_all(&wake);

	attachment->db = db;
	attachment->worker = worker;
	attachment->generation = start->generation;
	return attached;
}

static void
detach(int code, Datum arg)
{
	Attachment *attachment = (Attachment *) DatumGetPointer(arg);
	EfDatabaseSlot *db = attachment->db;
	EfWorkerSlot *worker = attachment->worker;
	EfWakeList	wake = {0};
	bool		last = false;

	ef_worker_gone(db, worker);
	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	if (worker->generation == attachment->generation && worker->pid == MyProcPid)
	{
		db->nworkers--;
		if (worker->state == EF_WORKER_IDLE)
			leave_idle_stack(db, worker);
		if (worker->state == EF_WORKER_BUSY)
			ef_worker_give_back(db, worker, &wake);
		else if (worker->state == EF_WORKER_AWAKE && db->nready > 0 && db->nidle > 0)
		{
			/* it may have been woken for a branch that it did not come to take */
			EfWorkerSlot *other = &db->workers[db->idle[--db->nidle]];

			other->state = EF_WORKER_AWAKE;
			wake.workers[wake.nworkers++] = other->latch;
		}
		worker->state = EF_WORKER_NONE;
		worker->generation++;
		worker->pid = 0;
		ef_wake_dispatcher(db, &wake);
		last = db->leaving && db->nworkers == 0 && db->dispatcher_pid == 0;
	}
	LWLockRelease(db->lock);

	ef_wake_all(&wake);
	if (last)
		(void) ef_database_try_free(db);
}

/*
 * The process ends in good order.  If it does so in the middle of a branch, and was not told to, the branch has
 * made it (by a FATAL error, for instance).  Only this process changes the place's state then.
 */
void
ef_worker_gone(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	if (worker->state == EF_WORKER_BUSY && worker->pid == MyProcPid && !ef_process_told_to_end())
		ef_crash_blame(db->database, &worker->entry.key);
	ef_crash_end();
}

/*
 * The transaction in which they ended has failed: they are to be repeated at once, each by itself.
 */
static void
give_back_ended(EfDatabaseSlot *db, EfWorkerSlot *worker, TimestampTz now, EfWakeList *wake)
{
	int			i;

	for (i = 0; i < worker->nended; i++)
	{
		EfEntry    *entry = &worker->ended[i];

		entry->tries = 1;
		entry->due_at = now;
		ef_queue_put_back(db, entry, now, wake);
	}
	worker->nended = 0;
}

/*
 * The process dies in the middle of a branch: somebody else is to go on with it.
 * As it may be the branch that killed the process, that counts as a failure.
 * The caller holds the slot's lock.
 */
void
ef_worker_give_back(EfDatabaseSlot *db, EfWorkerSlot *worker, EfWakeList *wake)
{
	TimestampTz now = ef_now();
	EfEntry    *entry = &worker->entry;

	entry->tries = Min(entry->tries + 1, MAX_TRIES);
	entry->due_at = TimestampTzPlusMilliseconds(now, ef_repeat_delay_ms(entry->tries));
	ef_queue_put_back(db, entry, now, wake);
	give_back_ended(db, worker, now, wake);
}

static void
leave_idle_stack(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	int			i;

	for (i = 0; i < db->nidle; i++)
	{
		if (&db->workers[db->idle[i]] == worker)
		{
			memmove(&db->idle[i], &db->idle[i + 1], (db->nidle - i - 1) * sizeof(int));
			db->nidle--;
			break;
		}
	}
	worker->state = EF_WORKER_AWAKE;
}

static bool
take_entry(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	int			place = worker - db->workers;
	EfWakeList	wake = {0};
	bool		taken;

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	taken = ef_queue_take(db, &worker->entry, &wake);
	if (taken)
	{
		/* its latch may have been set for another reason */
		if (worker->state == EF_WORKER_IDLE)
			leave_idle_stack(db, worker);
		worker->state = EF_WORKER_BUSY;
	}
	else if (worker->state == EF_WORKER_AWAKE && place != EF_DISPATCHER_PLACE)
	{
		worker->state = EF_WORKER_IDLE;
		db->idle[db->nidle++] = place;
	}
	worker->since = GetCurrentTimestamp();
	LWLockRelease(db->lock);

	ef_wake_all(&wake);
	return taken;
}

/*
 * Done with a branch: forget it, or (delay_ms >= 0) put it back for later.
 */
static void
finish_entry(EfDatabaseSlot *db, EfWorkerSlot *worker, int advances, bool failed, long delay_ms)
{
	EfWakeList	wake = {0};

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	worker->state = EF_WORKER_AWAKE;
	db->advances += advances;
	if (failed)
	{
		db->failures++;
		give_back_ended(db, worker, ef_now(), &wake);
	}
	if (delay_ms >= 0)
	{
		TimestampTz now = ef_now();

		worker->entry.due_at = TimestampTzPlusMilliseconds(now, delay_ms);
		ef_queue_put_back(db, &worker->entry, now, &wake);
	}
	LWLockRelease(db->lock);

	ef_wake_all(&wake);
}

static void
describe_entry(void *arg)
{
	EfEntry    *entry = (EfEntry *) arg;
	char	   *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&entry->key.run_id)));

	errcontext("run %s, branch %d", run_id, entry->key.branch_id);
}

static void
report_entry(const EfEntry *entry)
{
	char		activity[100];
	char	   *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&entry->key.run_id)));

	snprintf(activity, sizeof(activity), "run %s, branch %d", run_id, entry->key.branch_id);
	pfree(run_id);
	pgstat_report_activity(STATE_RUNNING, activity);
}

static void
begin_entry(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	ef_crash_begin(db - ef_shared->databases, worker - db->workers, db->database, &worker->entry.key);
	report_entry(&worker->entry);
}

/*
 * When is the branch to be looked at again?  In so many milliseconds, or never (-1).
 */
static long
delay_of_return(EfEntry *entry, EfAdvanceResult result, bool failed)
{
	long		delay_ms;

	if (failed)
	{
		entry->tries = Min(entry->tries + 1, MAX_TRIES);
		return ef_repeat_delay_ms(entry->tries);
	}
	if (result == EF_ADVANCE_MORE)
		return 0;

	/* Not due: the clock, or the setting that moves ours, has changed since the timer went off. */
	if (result == EF_ADVANCE_BUSY || result == EF_ADVANCE_LATER ||
		(result == EF_ADVANCE_NOT_DUE && entry->due_at > ef_now()))
	{
		delay_ms = Min(MAX_BUSY_DELAY_MS, 1L << Min(entry->tries, 16));
		entry->tries = Min(entry->tries + 1, MAX_TRIES);
		return delay_ms;
	}
	return -1;
}

/* ---- sharing a transaction ---- */

static int	unshared;			/* how many transactions were not to be shared after the last failure */
static int	unshared_left;

/* May the transaction that begins with this branch be shared?  Not while some branch is suspected of crashes. */
static bool
may_share(const EfEntry *entry)
{
	if (unshared_left > 0)
	{
		unshared_left--;
		return false;
	}
	return entry->tries == 0 && !ef_crash_has_suspects();
}

/* Returns how many branches have ended in the transaction besides the last one.  If it failed, they are kept. */
static int
end_sharing(EfWorkerSlot *worker, bool failed)
{
	int			count = worker->nended;

	if (count == 0)
		return 0;
	if (failed)
		unshared_left = unshared = Min(Max(4 * unshared, MIN_UNSHARED), MAX_UNSHARED);
	else
	{
		unshared /= 2;
		worker->nended = 0;
	}
	return count;
}

/*
 * Take another branch of the same run, to go on with it in the open transaction.  Only if there are more of them
 * than workers, or it would keep one of these from it.
 */
static bool
take_sibling(EfDatabaseSlot *db, EfWorkerSlot *worker, EfAdvanceResult result)
{
	EfEntry    *entry = &worker->entry;
	EfWakeList	wake = {0};
	const EfEntry *first;
	long		delay_ms;
	bool		taken = false;

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	first = db->nready > db->nworkers ? ef_queue_first(db) : NULL;
	if (first && first->tries == 0 && memcmp(&first->key.run_id, &entry->key.run_id, sizeof(pg_uuid_t)) == 0)
	{
		if (result == EF_ADVANCE_CLOSED)
			worker->ended[worker->nended++] = *entry;
		else if ((delay_ms = delay_of_return(entry, result, false)) >= 0)
		{
			TimestampTz now = ef_now();

			entry->due_at = TimestampTzPlusMilliseconds(now, delay_ms);
			ef_queue_put_back(db, entry, now, &wake);
		}
		taken = ef_queue_take(db, entry, &wake);
	}
	LWLockRelease(db->lock);

	ef_wake_all(&wake);
	if (taken)
		begin_entry(db, worker);
	return taken;
}

/*
 * An attempt has failed.  That steps fail because their run was ended, or the extension is being dropped, is no news.
 * True: the branch is to be parked.
 */
static bool
recover(EfDatabaseSlot *db, EfEntry *entry)
{
	bool		dropped = db->recheck || db->leaving;
	bool		stuck = !dropped && ef_stuck_count(entry);

	ef_process_recover(dropped || geterrcode() == EF_ERRCODE_BRANCH_GONE || ef_shared_too_long());
	return stuck;
}

/*
 * Go on with the branch, one transaction after the other, until it waits or ends, or it is others' turn.
 */
static EfAdvanceResult
advance_in_turn(EfDatabaseSlot *db, EfWorkerSlot *worker, EfSuspicion suspicion, volatile int *advances)
{
	EfEntry    *entry = &worker->entry;
	TimestampTz began = GetCurrentTimestamp();
	EfAdvanceResult result = EF_ADVANCE_MORE;
	ErrorContextCallback context;
	bool		begun = false;

	context.callback = describe_entry;
	context.arg = entry;
	context.previous = error_context_stack;
	error_context_stack = &context;

	while (result == EF_ADVANCE_MORE)
	{
		result = advance_once(db, worker, !begun, suspicion);
		begun = true;
		*advances += end_sharing(worker, false);
		/* Not of the parent whose branches have ended: it comes next. */
		if (result == EF_ADVANCE_APART)
		{
			result = EF_ADVANCE_MORE;
			continue;
		}
		if (result == EF_ADVANCE_MORE)
			ef_crash_progress(ef_claimed_step());
		if (result != EF_ADVANCE_BUSY && result != EF_ADVANCE_LATER && result != EF_ADVANCE_NOT_DUE)
		{
			entry->tries = 0;
			entry->failures = 0;
			(*advances)++;
		}
		ef_process_interrupts();
		if (result == EF_ADVANCE_MORE && db->nready > 0 &&
			TimestampDifferenceExceeds(began, GetCurrentTimestamp(), TIME_SLICE_MS))
			break;
	}
	error_context_stack = context.previous;
	return result;
}

/*
 * Advance the branch in worker->entry, or let it come back later.
 */
static void
advance_entry(EfDatabaseSlot *db, EfWorkerSlot *worker)
{
	EfEntry    *entry = &worker->entry;
	EfSuspicion suspicion;
	long		delay_ms = -1;
	volatile EfAdvanceResult result = EF_ADVANCE_MORE;
	volatile int advances = 0;
	volatile bool failed = false;
	volatile bool stuck = false;
	bool		parked;

	suspicion = ef_crash_suspicion(db->database, &entry->key, &delay_ms);
	if (suspicion == EF_SUSPICION_LATER)
	{
		finish_entry(db, worker, 0, false, delay_ms);
		return;
	}
	EF_FAULT("worker: has taken a branch");
	begin_entry(db, worker);
	PG_TRY();
	{
		result = advance_in_turn(db, worker, suspicion, &advances);
	}
	PG_CATCH();
	{
		stuck = recover(db, entry);
		failed = true;
	}
	PG_END_TRY();

	if (failed)
		(void) end_sharing(worker, true);
	/* nothing is held any more unless the branch goes on, or the transaction failed */
	if (failed || result == EF_ADVANCE_MORE)
		ef_release_branch();
	parked = stuck && ef_stuck_park(entry);
	ef_crash_end();
	if (parked || (!failed && result != EF_ADVANCE_BUSY && result != EF_ADVANCE_LATER))
		ef_crash_forget(db->database, &entry->key);
	finish_entry(db, worker, advances, failed, parked ? -1 : delay_of_return(entry, result, failed));
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * One transaction.  Before a branch's first, drop what the activities of another
 * run, of another role perhaps, may have left in the session.
 */
static EfAdvanceResult
advance_once(EfDatabaseSlot *db, EfWorkerSlot *worker, bool reset_session, EfSuspicion suspicion)
{
	EfAdvanceResult result;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (reset_session)
		ef_reset_session();
	if (may_share(&worker->entry))
		ef_begin_to_share();
	if (suspicion == EF_SUSPICION_PARK)
		result = ef_park_branch(&worker->entry.key, EF_CRASHES_TO_PARK);
	else
		result = ef_advance_branch(&worker->entry.key);
	while (result != EF_ADVANCE_APART && ef_may_share() && take_sibling(db, worker, result))
		result = ef_advance_sibling(&worker->entry.key);
	ef_store_ended();
	if (suspicion != EF_SUSPICION_NONE)
		ForceSyncCommit();
	PopActiveSnapshot();
	EF_FAULT("worker: before its commit");
	CommitTransactionCommand();
	EF_FAULT("worker: after its commit");
	(void) pgstat_report_stat(false);
	return result;
}
