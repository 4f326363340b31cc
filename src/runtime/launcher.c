/*-------------------------------------------------------------------------
 *
 * launcher.c
 *	  The launcher: finds the databases that have the extension.
 *
 * Only a process that is connected to a database can tell whether it has the
 * extension.  So the launcher starts a dispatcher in a database that it knows
 * nothing of ("a probe"), few at a time; a dispatcher that does not find the
 * extension ends at once.  It looks at every database when it starts, and later
 * at those that it is asked to look at: see lifecycle.c.  It starts a new
 * dispatcher where one has died.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "engine/engine.h"
#include "expense_flow.h"
#include "fault.h"
#include "runtime/process.h"

#define RETRY_MS		5000	/* after a probe failed */
#define NO_ROOM_MS		60000	/* until a database that found no slot is tried again */
#define RESTART_MS		1000	/* for a dispatcher that died young */

/* A database to look at. */
typedef struct Candidate
{
	Oid			database;
	bool		wanted;
	TimestampTz not_before;
	TimestampTz started_at;
} Candidate;

typedef struct Launcher
{
	MemoryContext context;		/* of the candidates */
	MemoryContext scratch;		/* reset each time round */
	List	   *candidates;
	BackgroundWorkerHandle *probes[EF_MAX_PROBES];
	TimestampTz start_not_before;
	TimestampTz wake_at;
	int			start_failures; /* vain attempts in a row */
	bool		told_no_slot;	/* the log knows */
} Launcher;

static void attach(void);
static void detach(int code, Datum arg);
static void take_requests(Launcher *self, TimestampTz now);
static void take_orphans(Launcher *self, TimestampTz now);
static void collect_probes(Launcher *self, TimestampTz now);
static void start_probes(Launcher *self, TimestampTz now);
static int	free_probe(const Launcher *self);
static bool start_probe(Launcher *self, Candidate *candidate, TimestampTz now);
static void give_up_database(Oid database);
static bool has_dispatcher(Oid database, bool *leaving);
static bool is_probed(Oid database);
static Candidate *find_candidate(Launcher *self, Oid database);
static void want(Launcher *self, Oid database, TimestampTz not_before);
static List *connectable_databases(void);

/*
 * Let the postmaster start it, not before recovery has ended: nothing runs on a
 * standby until it is promoted.
 */
void
ef_launcher_register(void)
{
	BackgroundWorker process;

	memset(&process, 0, sizeof(process));
	process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	process.bgw_start_time = BgWorkerStart_RecoveryFinished;
	process.bgw_restart_time = 1;
	strlcpy(process.bgw_library_name, EF_EXTENSION_NAME, BGW_MAXLEN);
	strlcpy(process.bgw_function_name, "ef_launcher_main", BGW_MAXLEN);
	strlcpy(process.bgw_name, EF_EXTENSION_NAME " launcher", BGW_MAXLEN);
	strlcpy(process.bgw_type, EF_EXTENSION_NAME " launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&process);
}

void
ef_launcher_main(Datum main_arg)
{
	Launcher	self = {0};
	uint32		wait_event = 0;

	(void) ef_process_begin();
	attach();
	before_shmem_exit(detach, (Datum) 0);
	ef_process_connect(InvalidOid);

	self.context = AllocSetContextCreate(TopMemoryContext, "expense_flow launcher",
										 ALLOCSET_DEFAULT_SIZES);
	self.scratch = AllocSetContextCreate(self.context, "expense_flow launcher scratch",
										 ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		long		timeout = -1;

		ef_process_interrupts();
		MemoryContextReset(self.scratch);
		MemoryContextSwitchTo(self.scratch);

		self.wake_at = DT_NOEND;
		collect_probes(&self, now);
		take_requests(&self, now);
		take_orphans(&self, now);
		start_probes(&self, now);

		if (self.wake_at != DT_NOEND)
			timeout = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), self.wake_at);
		ef_process_sleep(timeout, ef_wait_event(&wait_event, "ExpenseFlowLauncher"));
	}
}

/*
 * Probes of a former launcher that have not begun will find another generation
 * and end; the others go on by themselves.
 */
static void
attach(void)
{
	int			i;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	ef_shared->launcher_pid = MyProcPid;
	ef_shared->launcher_latch = MyLatch;
	ef_shared->start_fails = false;
	ef_shared->request_all = true;
	for (i = 0; i < EF_MAX_PROBES; i++)
	{
		ef_shared->probes[i].database = InvalidOid;
		ef_shared->probes[i].generation++;
	}
	LWLockRelease(ef_shared->lock);
}

static void
detach(int code, Datum arg)
{
	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	if (ef_shared->launcher_pid == MyProcPid)
		ef_shared->launcher_pid = 0;
	LWLockRelease(ef_shared->lock);
}

/*
 * What were we asked to look at?
 */
static void
take_requests(Launcher *self, TimestampTz now)
{
	Oid			requests[EF_MAX_REQUESTS];
	int			nrequests;
	bool		all;
	ListCell   *cell;
	int			i;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	all = ef_shared->request_all;
	nrequests = ef_shared->nrequests;
	memcpy(requests, ef_shared->requests, nrequests * sizeof(Oid));
	ef_shared->request_all = false;
	ef_shared->nrequests = 0;
	LWLockRelease(ef_shared->lock);

	for (i = 0; i < nrequests; i++)
		want(self, requests[i], now);
	if (all)
	{
		foreach(cell, connectable_databases())
			want(self, lfirst_oid(cell), now);
	}
}

/*
 * Databases whose dispatcher has died need another one.
 */
static void
take_orphans(Launcher *self, TimestampTz now)
{
	Oid		   *orphans = palloc(ef_shared->ndatabases * sizeof(Oid));
	int			norphans = 0;
	int			i;

	LWLockAcquire(ef_shared->lock, LW_SHARED);
	for (i = 0; i < ef_shared->ndatabases; i++)
	{
		EfDatabaseSlot *db = &ef_shared->databases[i];

		LWLockAcquire(db->lock, LW_SHARED);
		if (OidIsValid(db->database) && db->dispatcher_pid == 0 && !db->leaving)
			orphans[norphans++] = db->database;
		LWLockRelease(db->lock);
	}
	LWLockRelease(ef_shared->lock);

	for (i = 0; i < norphans; i++)
	{
		Candidate  *candidate = find_candidate(self, orphans[i]);
		TimestampTz not_before = now;

		if (is_probed(orphans[i]) || (candidate != NULL && candidate->wanted))
			continue;
		if (candidate != NULL &&
			!TimestampDifferenceExceeds(candidate->started_at, now, RESTART_MS))
			not_before = TimestampTzPlusMilliseconds(now, RESTART_MS);
		want(self, orphans[i], not_before);
	}
}

/*
 * What have probes found?
 */
static void
collect_probes(Launcher *self, TimestampTz now)
{
	int			i;

	for (i = 0; i < EF_MAX_PROBES; i++)
	{
		EfProbe    *probe = &ef_shared->probes[i];
		EfProbeResult result;
		Oid			database;
		pid_t		pid;
		bool		stopped;

		if (self->probes[i] == NULL)
			continue;

		/* in this order: what it reported, it reported before it ended */
		stopped = GetBackgroundWorkerPid(self->probes[i], &pid) == BGWH_STOPPED;
		LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
		result = probe->result;
		database = probe->database;
		if (stopped || result != EF_PROBE_UNKNOWN)
		{
			probe->database = InvalidOid;
			probe->pid = 0;
			probe->generation++;
		}
		LWLockRelease(ef_shared->lock);
		if (!stopped && result == EF_PROBE_UNKNOWN)
			continue;

		pfree(self->probes[i]);
		self->probes[i] = NULL;

		if (result == EF_PROBE_UNKNOWN)
			want(self, database, TimestampTzPlusMilliseconds(now, RETRY_MS));
		else if (result == EF_PROBE_NO_ROOM)
		{
			if (!self->told_no_slot)
				ereport(LOG,
						(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
						 errmsg("expense_flow runs no workers in database %u: out of database slots", database),
						 errhint("Raise expense_flow.max_databases.")));
			self->told_no_slot = true;
			want(self, database, TimestampTzPlusMilliseconds(now, NO_ROOM_MS));
		}
	}
}

static void
start_probes(Launcher *self, TimestampTz now)
{
	List	   *databases = NIL;
	ListCell   *cell;

	foreach(cell, self->candidates)
	{
		Candidate  *candidate = (Candidate *) lfirst(cell);
		TimestampTz not_before = Max(candidate->not_before, self->start_not_before);
		bool		leaving;

		if (!candidate->wanted || is_probed(candidate->database))
			continue;
		if (has_dispatcher(candidate->database, &leaving))
		{
			/* when the last process has left the database, it wakes us */
			candidate->wanted = leaving;
			continue;
		}
		if (now < not_before)
		{
			self->wake_at = Min(self->wake_at, not_before);
			continue;
		}

		if (free_probe(self) < 0)
			break;
		if (databases == NIL)
			databases = connectable_databases();
		if (!list_member_oid(databases, candidate->database))
		{
			candidate->wanted = false;
			give_up_database(candidate->database);
		}
		else if (!start_probe(self, candidate, now))
			break;
	}
}

/*
 * A place for a probe, or -1: the end of one will wake us.
 */
static int
free_probe(const Launcher *self)
{
	int			i;

	for (i = 0; i < EF_MAX_PROBES; i++)
	{
		if (self->probes[i] == NULL)
			return i;
	}
	return -1;
}

/*
 * Returns false when no more can be started now.
 */
static bool
start_probe(Launcher *self, Candidate *candidate, TimestampTz now)
{
	EfProcessStart start = {0};
	MemoryContext old_context;
	bool		started;
	int			i = free_probe(self);

	if (i < 0)
		return false;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	ef_shared->probes[i].database = candidate->database;
	ef_shared->probes[i].result = EF_PROBE_UNKNOWN;
	ef_shared->probes[i].pid = 0;
	start.database = candidate->database;
	start.place = i;
	start.generation = ++ef_shared->probes[i].generation;
	LWLockRelease(ef_shared->lock);

	EF_FAULT("launcher: before a dispatcher is started");
	old_context = MemoryContextSwitchTo(self->context);
	started = ef_process_register("dispatcher", "ef_dispatcher_main", &start, &self->probes[i]);
	MemoryContextSwitchTo(old_context);
	EF_FAULT("launcher: dispatcher registered");
	if (started)
	{
		candidate->wanted = false;
		candidate->started_at = now;
		self->start_failures = 0;
		ef_shared->start_fails = false;
		return true;
	}

	self->start_failures++;
	self->probes[i] = NULL;
	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	ef_shared->probes[i].database = InvalidOid;
	ef_shared->start_fails = self->start_failures >= EF_START_ATTEMPTS_TO_TELL;
	LWLockRelease(ef_shared->lock);
	self->start_not_before = TimestampTzPlusMilliseconds(now, EF_START_RETRY_MS(self->start_failures));
	self->wake_at = Min(self->wake_at, self->start_not_before);
	if (self->start_failures == EF_START_ATTEMPTS_TO_TELL)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start a dispatcher of expense_flow for database %u: out of background worker slots",
						candidate->database),
				 errdetail("It will be tried again and again; until then sessions can do the work (run_pending)."),
				 errhint("Raise max_worker_processes.")));
	return false;
}

/*
 * The database is gone, or may not be connected to: free the slot that a
 * dispatcher, terminated for that, has left.
 */
static void
give_up_database(Oid database)
{
	EfDatabaseSlot *db = ef_database_lock(database);

	if (db == NULL)
		return;
	ef_database_send_away(db);
	LWLockRelease(db->lock);
	(void) ef_database_try_free(db);
}

static bool
has_dispatcher(Oid database, bool *leaving)
{
	EfDatabaseSlot *db = ef_database_lock(database);
	bool		result;

	*leaving = false;
	if (db == NULL)
		return false;
	*leaving = db->leaving;
	result = db->leaving || db->dispatcher_pid != 0;
	LWLockRelease(db->lock);
	return result;
}

static bool
is_probed(Oid database)
{
	int			i;

	/* only this process changes it */
	for (i = 0; i < EF_MAX_PROBES; i++)
	{
		if (ef_shared->probes[i].database == database)
			return true;
	}
	return false;
}

static Candidate *
find_candidate(Launcher *self, Oid database)
{
	ListCell   *cell;

	foreach(cell, self->candidates)
	{
		Candidate  *candidate = (Candidate *) lfirst(cell);

		if (candidate->database == database)
			return candidate;
	}
	return NULL;
}

static void
want(Launcher *self, Oid database, TimestampTz not_before)
{
	Candidate  *candidate = find_candidate(self, database);

	if (candidate == NULL)
	{
		MemoryContext old_context = MemoryContextSwitchTo(self->context);

		candidate = palloc0(sizeof(Candidate));
		candidate->database = database;
		self->candidates = lappend(self->candidates, candidate);
		MemoryContextSwitchTo(old_context);
	}
	candidate->wanted = true;
	candidate->not_before = not_before;
}

/*
 * Databases that a process can connect to, in the current memory context.
 */
static List *
connectable_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	List	   *databases = NIL;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	(void) GetTransactionSnapshot();

	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn && !EF_DATABASE_IS_INVALID(form->datconnlimit))
		{
			MemoryContext old_context = MemoryContextSwitchTo(context);

			databases = lappend_oid(databases, form->oid);
			MemoryContextSwitchTo(old_context);
		}
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);

	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	ef_process_look_again();
	return databases;
}
