/*-------------------------------------------------------------------------
 *
 * wakeup.c
 *	  What a committed transaction does for others: the receiver of the
 *	  engine's and the feed's announcements.
 *
 * Runs at XACT_EVENT_COMMIT, where an error would be a PANIC.  So nothing here
 * allocates, reads catalogs or can fail; what finds no place is forgotten, and
 * read from the table later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"

#include "compat.h"
#include "engine/engine.h"
#include "events/events.h"
#include "fault.h"
#include "runtime/process.h"
#include "runtime/runtime.h"

static void branches_due(const EfDueBranch *branches, int nbranches);
static void branches_soon_due(void);
static void runs_closed(const pg_uuid_t *run_ids, int nruns);
static void interrupt_runs(const pg_uuid_t *run_ids, int nruns);
static void prepare_to_wait_for_close(const pg_uuid_t *run_id);
static void wait_for_close(const pg_uuid_t *run_id, long timeout_ms);
static void end_wait_for_close(void);
static void tasks_scheduled(const uint64 *queues, int nqueues);
static void prepare_to_wait_for_task(uint64 queue);
static void wait_for_task(uint64 queue, long timeout_ms);
static void end_wait_for_task(uint64 queue, bool unserved);

static const EfAnnouncementReceiver announcement_receiver = {
	.branches_due = branches_due,
	.branches_soon_due = branches_soon_due,
	.runs_closed = runs_closed,
	.interrupt_runs = interrupt_runs,
	.read_tables_anew = ef_lifecycle_read_tables_anew,
	.workers_run = ef_runtime_serves_database,
	.prepare_to_wait_for_close = prepare_to_wait_for_close,
	.wait_for_close = wait_for_close,
	.end_wait_for_close = end_wait_for_close,
	.tasks_scheduled = tasks_scheduled,
	.prepare_to_wait_for_task = prepare_to_wait_for_task,
	.wait_for_task = wait_for_task,
	.end_wait_for_task = end_wait_for_task
};

static const EfChangesReceiver changes_receiver = {
	.changes_committed = ef_runtime_changes_committed,
	.announcer_runs = ef_runtime_serves_database
};

void
ef_wakeup_init(void)
{
	ef_announcement_receiver = &announcement_receiver;
	ef_changes_receiver = &changes_receiver;
}

static void
branches_due(const EfDueBranch *branches, int nbranches)
{
	EfDatabaseSlot *db = ef_database_lock(MyDatabaseId);
	EfWakeList	wake = {0};
	TimestampTz now;
	int			i;

	/* Nobody serves the database yet: who comes will read the table. */
	if (db == NULL)
		return;

	now = ef_now();
	for (i = 0; i < nbranches; i++)
	{
		EfEntry		entry;

		entry.key = branches[i].key;
		entry.tries = 0;
		entry.failures = 0;
		entry.put_back = false;
		entry.due_at = branches[i].due_at;
		ef_queue_announce(db, &entry, now, &wake);
	}
	EF_FAULT_DEATH("wake-up: holding the queue's lock");
	LWLockRelease(db->lock);

	EF_FAULT_DEATH("wake-up: queued, nobody woken");
	ef_wake_all(&wake);
}

/*
 * Where all workers sleep, waking one takes about as long as the flush of the
 * commit that precedes: the two may as well happen at the same time.  The worker
 * then looks for work for a moment (worker.c).  It is not taken off the idle
 * stack: this is a hint, which may be in vain, and the commit itself wakes it
 * as ever.  Where some worker is at work there is no such hurry, and a worker
 * that is awake in vain would cost others their time.
 */
static void
branches_soon_due(void)
{
	EfDatabaseSlot *db = ef_database_find(MyDatabaseId);
	Latch	   *latch = NULL;

	if (db == NULL || db->nidle == 0 || db->nidle < db->nworkers)
		return;

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	if (db->database == MyDatabaseId && db->nidle > 0 && db->nidle == db->nworkers && db->nready == 0)
	{
		EfWorkerSlot *worker = &db->workers[db->idle[db->nidle - 1]];

		worker->expects_work = true;
		latch = worker->latch;
	}
	LWLockRelease(db->lock);
	if (latch != NULL)
		SetLatch(latch);
}

/*
 * Cancel the statements that processes of this database are running for a run.
 *
 * As with pg_cancel_backend(), the signal may come when its receiver is about to
 * be done.  It cannot hit another run: who turns to another one needs the lock
 * first, and forgets requests to cancel then.  If the statement is not an
 * activity's but the engine's own, the transaction fails and is repeated.
 */
static void
interrupt_runs(const pg_uuid_t *run_ids, int nruns)
{
	EfDatabaseSlot *db = ef_database_lock(MyDatabaseId);
	int			i;
	int			place;

	if (db == NULL)
		return;

	for (place = 0; place <= EF_MAX_WORKERS; place++)
	{
		const EfWorkerSlot *worker = &db->workers[place];

		if (worker->state != EF_WORKER_BUSY || worker->pid == 0 || worker->pid == MyProcPid)
			continue;
		for (i = 0; i < nruns; i++)
		{
			if (memcmp(&worker->entry.key.run_id, &run_ids[i], sizeof(pg_uuid_t)) == 0)
			{
				(void) kill(worker->pid, SIGINT);
				break;
			}
		}
	}
	LWLockRelease(db->lock);
}

void
ef_runtime_changes_committed(void)
{
	EfDatabaseSlot *db = ef_database_lock(MyDatabaseId);
	EfWakeList	wake = {0};

	if (db == NULL)
		return;
	if (!db->changes_pending)
	{
		db->changes_pending = true;
		ef_wake_dispatcher(db, &wake);
	}
	LWLockRelease(db->lock);

	ef_wake_all(&wake);
}

/*
 * Asked often, so without locks; a stale answer does no harm.  Where the
 * dispatcher is only about to start (the extension was created a moment ago),
 * it will find in the tables whatever is announced meanwhile.
 */
bool
ef_runtime_serves_database(void)
{
	const EfDatabaseSlot *db;

	if (ef_shared == NULL)
		return false;
	db = ef_database_find(MyDatabaseId);
	if (db != NULL)
		return db->dispatcher_pid != 0 || !ef_shared->start_fails;
	return ef_shared->launcher_pid != 0 && !ef_shared->start_fails;
}

/*
 * Sleep after a look at the tables.  That may have waited for a lock, on the same
 * latch, and so have consumed what would wake us (ef_process_look_again): the
 * condition variable itself still knows.
 */
static void
sleep_after_look(ConditionVariable *cv, long timeout_ms, uint32 wait_event)
{
	SetLatch(MyLatch);
	(void) ConditionVariableTimedSleep(cv, timeout_ms, wait_event);
}

/*
 * Sessions that wait for runs share a small number of condition variables.
 */
static ConditionVariable *
close_bucket(const pg_uuid_t *run_id)
{
	uint32		hash = hash_bytes((const unsigned char *) run_id, sizeof(pg_uuid_t));

	return &ef_shared->closed[hash % EF_CLOSE_BUCKETS].cv;
}

static void
runs_closed(const pg_uuid_t *run_ids, int nruns)
{
	int			i;

	for (i = 0; i < nruns; i++)
		ConditionVariableBroadcast(close_bucket(&run_ids[i]));
}

static void
prepare_to_wait_for_close(const pg_uuid_t *run_id)
{
	ConditionVariablePrepareToSleep(close_bucket(run_id));
}

static void
wait_for_close(const pg_uuid_t *run_id, long timeout_ms)
{
	static uint32 wait_event = 0;

	sleep_after_look(close_bucket(run_id), timeout_ms, ef_wait_event(&wait_event, "ExpenseFlowRunClose"));
}

static void
end_wait_for_close(void)
{
	ConditionVariableCancelSleep();
}

/*
 * Those who wait for tasks share a number of condition variables as well.  As
 * long as all at one of them wait for the same queue, each task wakes one of
 * them; else it wakes all.  Whoever was waked and leaves without a task wakes
 * another one, for whom it may be.
 */
static uint64
queue_of_database(uint64 queue)
{
	return hash_combine64(queue, MyDatabaseId);
}

static EfQueueBucket *
queue_bucket(uint64 queue)
{
	return &ef_shared->queues[queue_of_database(queue) % EF_QUEUE_BUCKETS];
}

static void
task_scheduled(uint64 queue)
{
	EfQueueBucket *bucket = queue_bucket(queue);
	bool		awaited;
	bool		mixed;

	SpinLockAcquire(&bucket->mutex);
	mixed = bucket->mixed;
	awaited = bucket->nwaiting > 0 && (mixed || bucket->queue == queue_of_database(queue));
	SpinLockRelease(&bucket->mutex);
	if (mixed)
		ConditionVariableBroadcast(&bucket->cv);
	else if (awaited)
		ConditionVariableSignal(&bucket->cv);
}

static void
tasks_scheduled(const uint64 *queues, int nqueues)
{
	int			i;

	for (i = 0; i < nqueues; i++)
		task_scheduled(queues[i]);
}

static bool waits_for_task = false;
static uint64 awaited_queue;

static void
end_wait_at_exit(int code, Datum arg)
{
	if (waits_for_task)
		end_wait_for_task(awaited_queue, true);
}

/* Called before each look, so perhaps while this session is counted already. */
static void
prepare_to_wait_for_task(uint64 queue)
{
	static bool registered = false;
	EfQueueBucket *bucket = queue_bucket(queue);

	if (!registered)
	{
		before_shmem_exit(end_wait_at_exit, (Datum) 0);
		registered = true;
	}
	if (!waits_for_task)
	{
		waits_for_task = true;
		awaited_queue = queue;
		SpinLockAcquire(&bucket->mutex);
		if (bucket->nwaiting++ == 0)
		{
			bucket->queue = queue_of_database(queue);
			bucket->mixed = false;
		}
		else if (bucket->queue != queue_of_database(queue))
			bucket->mixed = true;
		SpinLockRelease(&bucket->mutex);
	}
	ConditionVariablePrepareToSleep(&bucket->cv);
}

static void
wait_for_task(uint64 queue, long timeout_ms)
{
	static uint32 wait_event = 0;

	sleep_after_look(&queue_bucket(queue)->cv, timeout_ms, ef_wait_event(&wait_event, "ExpenseFlowTask"));
}

static void
end_wait_for_task(uint64 queue, bool unserved)
{
	EfQueueBucket *bucket = queue_bucket(queue);

	ConditionVariableCancelSleep();
	if (waits_for_task)
	{
		waits_for_task = false;
		SpinLockAcquire(&bucket->mutex);
		bucket->nwaiting--;
		SpinLockRelease(&bucket->mutex);
	}
	if (unserved)
		task_scheduled(queue);
}
