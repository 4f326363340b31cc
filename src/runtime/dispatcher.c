/*-------------------------------------------------------------------------
 *
 * dispatcher.c
 *	  The dispatcher of a database.
 *
 * Keeps the pool of workers at its size, moves timers that are due into the
 * ready queue, reads the table where shared memory does not know enough, and
 * sends the notifications of change events.  Where no worker can be had it
 * advances branches itself.  When the extension is not there (any more) it
 * leaves, and its workers with it.
 *
 * It works through everything that is due and then sleeps until the next thing
 * will be; whoever makes something due earlier sets its latch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "engine/engine.h"
#include "events/events.h"
#include "fault.h"
#include "runtime/process.h"

#define WORKER_RESTART_MS	1000	/* for a worker that died young */
#define READ_RETRY_MS		1000	/* after reading the table, or notifying, failed */
#define READ_LOST_MS		1000	/* between two searches for lost branches */
#define MAX_HELD_BACK_MS	1000
#define EVENTS_PER_NOTIFY	1000

/* What the dispatcher knows of a worker that it has started. */
typedef struct WorkerHandle
{
	BackgroundWorkerHandle *handle; /* NULL: none, or a former dispatcher's */
	TimestampTz started_at;
	TimestampTz not_before;		/* it died young: do not start it again earlier */
} WorkerHandle;

typedef struct Dispatcher
{
	Oid			database;
	EfProbe    *probe;
	uint32		probe_generation;
	EfDatabaseSlot *db;			/* NULL until it serves the database */
	bool		holds;			/* it is a copy: runs up to held_through rest */
	pg_uuid_t	held_through;
	MemoryContext context;		/* reset each time round */
	WorkerHandle workers[EF_MAX_WORKERS];
	TimestampTz wake_at;		/* the next thing that will be due */
	TimestampTz last_clock;
	TimestampTz start_not_before;	/* the postmaster had no place for a worker */
	TimestampTz read_not_before;
	TimestampTz search_not_before;	/* for lost branches */
	int			read_max;		/* how many to read at once */
	TimestampTz notify_not_before;
	long		held_back_ms;
	int			start_failures; /* vain attempts, since all workers were there */
} Dispatcher;

static bool attach_probe(Dispatcher *self, const EfProcessStart *start);
static void report_probe(Dispatcher *self, EfProbeResult result);
static void detach(int code, Datum arg);
static bool look_at_database(Dispatcher *self);
static void apply_hold(Dispatcher *self);
static void serve(Dispatcher *self);
static void leave_if_dropped(Dispatcher *self);
static int	keep_workers(Dispatcher *self, TimestampTz now);
static void start_worker(Dispatcher *self, int place, TimestampTz now);
static void check_clock(Dispatcher *self, TimestampTz now);
static void fire_timers(Dispatcher *self, TimestampTz now);
static void read_table(Dispatcher *self, TimestampTz now);
static int	read_branches(Dispatcher *self, TimestampTz from, EfDueBranch *branches, int *nmessaged);
static void refill_queue(Dispatcher *self, const EfDueBranch *branches, int n, int nmessaged);
static void send_notifications(Dispatcher *self, TimestampTz now);
static void wake_at(Dispatcher *self, TimestampTz when);

void
ef_dispatcher_main(Datum main_arg)
{
	static Dispatcher self;		/* outlives this function: detach uses it */
	const EfProcessStart *start = ef_process_begin();
	bool		has_room;

	EF_FAULT("dispatcher: started, not attached");
	if (!attach_probe(&self, start))
		proc_exit(0);
	/* Registered before the connection is made, so it runs after the last transaction was aborted. */
	before_shmem_exit(detach, PointerGetDatum(&self));

	ef_process_connect(start->database);

	if (!look_at_database(&self))
	{
		report_probe(&self, EF_PROBE_ABSENT);
		proc_exit(0);
	}
	EF_FAULT("dispatcher: has found the extension");
	self.db = ef_database_attach(start->database, &has_room);
	if (self.db == NULL)
	{
		if (!has_room)
			report_probe(&self, EF_PROBE_NO_ROOM);
		proc_exit(0);
	}
	EF_FAULT("dispatcher: serves, launcher not told");
	report_probe(&self, EF_PROBE_SERVING);

	LWLockAcquire(self.db->lock, LW_EXCLUSIVE);
	apply_hold(&self);
	LWLockRelease(self.db->lock);
	self.context = AllocSetContextCreate(TopMemoryContext, "expense_flow dispatcher",
										 ALLOCSET_DEFAULT_SIZES);
	self.read_max = ef_shared->queue_size;
	serve(&self);
	proc_exit(0);
}

static bool
attach_probe(Dispatcher *self, const EfProcessStart *start)
{
	bool		attached;

	self->database = start->database;
	self->probe = &ef_shared->probes[start->place];
	self->probe_generation = start->generation;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	attached = self->probe->generation == start->generation;
	if (attached)
		self->probe->pid = MyProcPid;
	LWLockRelease(ef_shared->lock);
	return attached;
}

/*
 * Tell the launcher, which may then use the probe's place for another.
 */
static void
report_probe(Dispatcher *self, EfProbeResult result)
{
	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	if (self->probe->generation == self->probe_generation)
		self->probe->result = result;
	LWLockRelease(ef_shared->lock);
	ef_wake_launcher();
}

static void
detach(int code, Datum arg)
{
	Dispatcher *self = (Dispatcher *) DatumGetPointer(arg);
	EfDatabaseSlot *db = self->db;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	if (self->probe->generation == self->probe_generation)
		self->probe->pid = 0;
	LWLockRelease(ef_shared->lock);

	if (db != NULL)
	{
		EfWorkerSlot *own_place = &db->workers[EF_DISPATCHER_PLACE];
		EfWakeList	wake = {0};

		ef_worker_gone(db, own_place);
		LWLockAcquire(db->lock, LW_EXCLUSIVE);
		if (own_place->state == EF_WORKER_BUSY)
			ef_worker_give_back(db, own_place, &wake);
		own_place->state = EF_WORKER_NONE;
		own_place->pid = 0;
		db->dispatcher_pid = 0;
		LWLockRelease(db->lock);
		wake.dispatcher = NULL;	/* that is this process */
		ef_wake_all(&wake);
		(void) ef_database_try_free(db);
	}
	ConditionVariableBroadcast(&ef_shared->gone);
	ef_wake_launcher();
}

/*
 * Does the database have the extension?  If so, is it a copy of another?
 */
static bool
look_at_database(Dispatcher *self)
{
	bool		exists;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	exists = ef_extension_exists();
	if (exists)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		self->holds = ef_look_for_copy(&self->held_through);
		PopActiveSnapshot();
	}
	CommitTransactionCommand();
	ef_process_look_again();
	return exists;
}

/* The slot's lock is held. */
static void
apply_hold(Dispatcher *self)
{
	self->db->holds = self->holds;
	self->db->held_through = self->held_through;
}

static void
serve(Dispatcher *self)
{
	EfDatabaseSlot *db = self->db;
	EfWorkerSlot *own_place = &db->workers[EF_DISPATCHER_PLACE];
	uint32		wait_event = 0;

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	own_place->state = EF_WORKER_AWAKE;
	own_place->pid = MyProcPid;
	LWLockRelease(db->lock);

	for (;;)
	{
		TimestampTz now;
		bool		worked = false;
		long		timeout;

		ef_process_interrupts();
		MemoryContextReset(self->context);
		MemoryContextSwitchTo(self->context);

		self->wake_at = DT_NOEND;
		leave_if_dropped(self);
		now = ef_now();
		check_clock(self, now);
		fire_timers(self, now);
		read_table(self, now);
		if (keep_workers(self, now) == 0 && ef_workers > 0)
			worked = ef_worker_step(db, own_place);
		send_notifications(self, now);
		if (worked)
			continue;

		timeout = pgstat_report_stat(false);
		if (timeout > 0)
			wake_at(self, TimestampTzPlusMilliseconds(now, timeout));
		timeout = -1;
		if (self->wake_at != DT_NOEND)
			timeout = TimestampDifferenceMilliseconds(ef_now(), self->wake_at);
		ef_process_sleep(timeout, ef_wait_event(&wait_event, "ExpenseFlowDispatcher"));
	}
}

/*
 * Somebody dropped an extension.  If it was ours: end the workers, then go.
 */
static void
leave_if_dropped(Dispatcher *self)
{
	EfDatabaseSlot *db = self->db;
	bool		leave = false;

	while (db->recheck)
	{
		bool		exists;

		LWLockAcquire(db->lock, LW_EXCLUSIVE);
		db->recheck = false;
		LWLockRelease(db->lock);

		exists = look_at_database(self);

		LWLockAcquire(db->lock, LW_EXCLUSIVE);
		apply_hold(self);
		/* created again, perhaps, since the look */
		leave = !exists && !db->recheck;
		if (leave)
			ef_database_send_away(db);
		else
			db->horizon = DT_NOBEGIN;
		LWLockRelease(db->lock);
	}

	/* The last one to detach frees the slot. */
	if (leave)
		proc_exit(0);
}

/*
 * Start workers that are missing and let go those that are too many.  Returns
 * how many there are, those included that are being started.
 */
static int
keep_workers(Dispatcher *self, TimestampTz now)
{
	EfDatabaseSlot *db = self->db;
	EfWakeList	wake = {0};
	int			nworkers = 0;
	int			place;

	for (place = 0; place < EF_MAX_WORKERS; place++)
	{
		EfWorkerSlot *worker = &db->workers[place];
		WorkerHandle *handle = &self->workers[place];
		bool		wanted = place < ef_workers;
		pid_t		pid;

		/* Nothing to do for a place that is empty and should be. */
		if (!wanted && worker->state == EF_WORKER_NONE && handle->handle == NULL)
			continue;

		LWLockAcquire(db->lock, LW_EXCLUSIVE);
		if (handle->handle != NULL &&
			GetBackgroundWorkerPid(handle->handle, &pid) == BGWH_STOPPED)
		{
			/* Do not start one again and again that cannot live. */
			if (!TimestampDifferenceExceeds(handle->started_at, now, WORKER_RESTART_MS))
				handle->not_before = TimestampTzPlusMilliseconds(now, WORKER_RESTART_MS);
			pfree(handle->handle);
			handle->handle = NULL;
		}
		/* Registered, and gone (or never seen by this dispatcher) without having attached. */
		if (worker->state == EF_WORKER_STARTING && handle->handle == NULL)
		{
			worker->state = EF_WORKER_NONE;
			worker->generation++;
		}
		if (worker->pid != 0 && worker->leave == wanted)
		{
			worker->leave = !wanted;
			if (!wanted)
				wake.workers[wake.nworkers++] = worker->latch;
		}
		LWLockRelease(db->lock);

		if (wanted && worker->state == EF_WORKER_NONE && handle->handle == NULL)
			start_worker(self, place, now);
		if (worker->state != EF_WORKER_NONE)
			nworkers++;
	}
	ef_wake_all(&wake);

	if (nworkers >= ef_workers)
		self->start_failures = 0;
	return nworkers;
}

static void
start_worker(Dispatcher *self, int place, TimestampTz now)
{
	EfDatabaseSlot *db = self->db;
	EfWorkerSlot *worker = &db->workers[place];
	WorkerHandle *handle = &self->workers[place];
	EfProcessStart start;
	MemoryContext old_context;
	bool		started;

	if (now < handle->not_before || now < self->start_not_before)
	{
		wake_at(self, Max(handle->not_before, self->start_not_before));
		return;
	}

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	worker->state = EF_WORKER_STARTING;
	worker->since = GetCurrentTimestamp();
	start.database = self->database;
	start.slot = db - ef_shared->databases;
	start.place = place;
	start.generation = worker->generation;
	LWLockRelease(db->lock);

	EF_FAULT("dispatcher: before a worker is started");
	old_context = MemoryContextSwitchTo(TopMemoryContext);
	started = ef_process_register("worker", "ef_worker_main", &start, &handle->handle);
	MemoryContextSwitchTo(old_context);
	handle->started_at = now;
	EF_FAULT("dispatcher: worker registered");
	if (started)
		return;

	handle->handle = NULL;
	self->start_failures++;
	self->start_not_before = TimestampTzPlusMilliseconds(now, EF_START_RETRY_MS(self->start_failures));
	wake_at(self, self->start_not_before);
	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	worker->state = EF_WORKER_NONE;
	LWLockRelease(db->lock);

	if (self->start_failures == EF_START_ATTEMPTS_TO_TELL)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a worker of expense_flow for database %u: out of background worker slots",
						self->database),
				 errdetail("Runs go on with the workers that there are, or in the dispatcher."),
				 errhint("Raise max_worker_processes, or lower expense_flow.workers.")));
}

/*
 * When the clock was set back, workers may have been sent to branches that
 * turned out not to be due yet, and have forgotten them: read them again.
 */
static void
check_clock(Dispatcher *self, TimestampTz now)
{
	if (now < self->last_clock)
	{
		LWLockAcquire(self->db->lock, LW_EXCLUSIVE);
		self->db->horizon = DT_NOBEGIN;
		LWLockRelease(self->db->lock);
	}
	self->last_clock = now;
}

static void
fire_timers(Dispatcher *self, TimestampTz now)
{
	EfDatabaseSlot *db = self->db;
	EfWakeList	wake = {0};

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	ef_queue_fire_timers(db, now, &wake);
	/* Where the queue is full, taking from it will wake us. */
	if (db->ntimers > 0 && db->timers[0].due_at > now)
		wake_at(self, db->timers[0].due_at);
	if (db->horizon > now)
		wake_at(self, db->horizon);
	LWLockRelease(db->lock);

	wake.dispatcher = NULL;
	ef_wake_all(&wake);
}

/*
 * When the queue runs low, and the horizon is due or branches were lost: read
 * the next ones, oldest first.
 */
static void
read_table(Dispatcher *self, TimestampTz now)
{
	EfDatabaseSlot *db = self->db;
	EfDueBranch *branches;
	TimestampTz from = db->horizon;
	int			n;
	int			nmessaged;

	if (!ef_queue_runs_low(db) || (from > now && !db->lost))
		return;
	/* Lost branches can wait: those that fail again and again must not keep us busy. */
	if (from > now && now < self->search_not_before)
	{
		wake_at(self, self->search_not_before);
		return;
	}
	if (now < self->read_not_before)
	{
		wake_at(self, self->read_not_before);
		return;
	}

	/* What is announced from now on may be missing in the snapshot. */
	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	from = db->horizon;
	if (from > now)
	{
		from = DT_NOBEGIN;
		db->lost = false;
		self->search_not_before = TimestampTzPlusMilliseconds(now, READ_LOST_MS);
	}
	db->horizon = DT_NOEND;
	db->rereads++;
	LWLockRelease(db->lock);

	branches = MemoryContextAllocHuge(self->context, (Size) self->read_max * 2 * sizeof(EfDueBranch));
	n = read_branches(self, from, branches, &nmessaged);
	EF_FAULT("dispatcher: has read the table");
	if (n >= 0)
		refill_queue(self, branches, n, nmessaged);
	else
	{
		LWLockAcquire(db->lock, LW_EXCLUSIVE);
		db->horizon = DT_NOBEGIN;
		LWLockRelease(db->lock);
		self->read_not_before = TimestampTzPlusMilliseconds(now, READ_RETRY_MS);
		wake_at(self, self->read_not_before);
	}
}

/*
 * The branches that are due, and after them those that a message has come for:
 * they were announced, too, and may have found no place.  Returns how many are
 * due, or -1 when that failed.
 */
static int
read_branches(Dispatcher *self, TimestampTz from, EfDueBranch *branches, int *nmessaged)
{
	volatile int n = -1;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "reading branches that are due");
		n = ef_read_due_branches(from, branches, self->read_max);
		*nmessaged = ef_read_messaged_branches(branches + n, self->read_max);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ef_process_recover(self->db->recheck || self->db->leaving);
		n = -1;
	}
	PG_END_TRY();
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(self->context);
	ef_process_look_again();
	return n;
}

/* One that was read, and that the queue may not know. */
typedef struct UnknownBranch
{
	EfBranchKey key;
	bool		messaged;
} UnknownBranch;

/*
 * Whatever needs memory is done here, before the slot is locked: an error must not meet the lock held, which detach()
 * takes.
 */
static HTAB *
collect_read(Dispatcher *self, const EfDueBranch *branches, int n, int nmessaged)
{
	HASHCTL		ctl = {0};
	HTAB	   *unknown;
	int			i;

	ctl.keysize = sizeof(EfBranchKey);
	ctl.entrysize = sizeof(UnknownBranch);
	ctl.hcxt = self->context;
	unknown = hash_create("expense_flow branches read", Max(n + nmessaged, 16), &ctl,
						  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	for (i = 0; i < n + nmessaged; i++)
	{
		UnknownBranch *branch = hash_search(unknown, &branches[i].key, HASH_ENTER, NULL);

		/* those with a message come last */
		branch->messaged = i >= n;
	}
	return unknown;
}

static void
forget_known(HTAB *unknown, const EfEntry *entry)
{
	(void) hash_search(unknown, &entry->key, HASH_REMOVE, NULL);
}

/*
 * The same for a timer, which does not stand for the message that has come before it.
 */
static void
forget_timed(HTAB *unknown, const EfEntry *timer)
{
	UnknownBranch *branch = hash_search(unknown, &timer->key, HASH_FIND, NULL);

	if (branch != NULL && !branch->messaged)
		forget_known(unknown, timer);
}

/*
 * Returns how many found a place, or needed none.  From the first on that did
 * not, the horizon tells.
 */
static int
queue_unknown(EfDatabaseSlot *db, HTAB *unknown, const EfDueBranch *branches, int n,
			  TimestampTz now, EfWakeList *wake, bool *found)
{
	int			i;

	for (i = 0; i < n; i++)
	{
		EfEntry		entry;

		if (hash_search(unknown, &branches[i].key, HASH_FIND, NULL) == NULL)
			continue;
		entry.key = branches[i].key;
		entry.tries = 0;
		entry.failures = 0;
		entry.put_back = false;
		entry.due_at = branches[i].due_at;
		if (!ef_queue_refill(db, &entry, now, wake))
			break;
		*found = true;
	}
	return i;
}

/*
 * Queue those of the branches that are not in the queue, the heap or some
 * worker's hands.  The first n come oldest first, others after them.
 */
static void
refill_queue(Dispatcher *self, const EfDueBranch *branches, int n, int nmessaged)
{
	EfDatabaseSlot *db = self->db;
	EfWakeList	wake = {0};
	HTAB	   *unknown = collect_read(self, branches, n, nmessaged);
	TimestampTz now;
	bool		more = n == self->read_max || nmessaged == self->read_max;
	bool		found = false;
	int			nqueued;
	int			nmessages_queued;
	int			i;

	now = ef_now();
	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	for (i = 0; i < db->ntimers; i++)
		forget_timed(unknown, &db->timers[i]);
	for (i = 0; i < db->nready; i++)
		forget_known(unknown, &db->ready[(db->ready_head + i) % ef_shared->queue_size]);
	for (i = 0; i <= EF_MAX_WORKERS; i++)
	{
		const EfWorkerSlot *worker = &db->workers[i];
		int			j;

		if (worker->state != EF_WORKER_BUSY)
			continue;
		forget_known(unknown, &worker->entry);
		for (j = 0; j < worker->nended; j++)
			forget_known(unknown, &worker->ended[j]);
	}

	nqueued = queue_unknown(db, unknown, branches, n, now, &wake, &found);
	nmessages_queued = queue_unknown(db, unknown, branches + n, nmessaged, now, &wake, &found);
	/* The table has more. */
	if (nqueued == n && n == self->read_max)
		ef_queue_lower_horizon(db, branches[n - 1].due_at, NULL);
	if (nmessages_queued == nmessaged && nmessaged == self->read_max)
		ef_queue_lower_horizon(db, now, NULL);
	LWLockRelease(db->lock);

	ef_wake_all(&wake);

	/* Should we know all of them already, look further next time. */
	if (!found && more)
		self->read_max *= 2;
	else
		self->read_max = ef_shared->queue_size;
}

/*
 * Change events were committed: let listeners know, not more often than once
 * per expense_flow.notify_interval.
 */
static void
send_notifications(Dispatcher *self, TimestampTz now)
{
	EfDatabaseSlot *db = self->db;
	volatile EfAnnounceResult result = EF_ANNOUNCE_DONE;
	volatile bool failed = false;
	long		delay_ms;

	if (!db->changes_pending)
		return;
	if (now < self->notify_not_before)
	{
		wake_at(self, self->notify_not_before);
		return;
	}

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	db->changes_pending = false;
	LWLockRelease(db->lock);

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		PushActiveSnapshot(GetTransactionSnapshot());
		pgstat_report_activity(STATE_RUNNING, "announcing change events");
		result = ef_events_announce(EVENTS_PER_NOTIFY);
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		ef_process_recover(db->recheck || db->leaving);
		failed = true;
	}
	PG_END_TRY();
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(self->context);
	ef_process_look_again();

	if (result != EF_ANNOUNCE_HELD_BACK)
		self->held_back_ms = 0;
	delay_ms = ef_notify_interval;
	if (failed)
		delay_ms = READ_RETRY_MS;
	else if (result == EF_ANNOUNCE_MORE)
		delay_ms = 0;
	else if (result == EF_ANNOUNCE_HELD_BACK)
	{
		self->held_back_ms = Min(MAX_HELD_BACK_MS, Max(1, 2 * self->held_back_ms));
		delay_ms = Max(delay_ms, self->held_back_ms);
	}
	self->notify_not_before = TimestampTzPlusMilliseconds(now, delay_ms);

	if (failed || result != EF_ANNOUNCE_DONE)
	{
		LWLockAcquire(db->lock, LW_EXCLUSIVE);
		db->changes_pending = true;
		LWLockRelease(db->lock);
		wake_at(self, self->notify_not_before);
	}
}

static void
wake_at(Dispatcher *self, TimestampTz when)
{
	if (when < self->wake_at)
		self->wake_at = when;
}
