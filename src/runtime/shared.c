/*-------------------------------------------------------------------------
 *
 * shared.c
 *	  Settings and shared memory of the runtime.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/guc.h"

#include "expense_flow.h"
#include "runtime/crash.h"
#include "runtime/process.h"
#include "runtime/runtime.h"
#include "runtime/shared.h"

/* settings */
int			ef_workers = 4;
int			ef_notify_interval = 10;
static int	queue_size = 8192;
static int	max_databases = 16;

EfShared   *ef_shared = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void define_settings(void);
static void request_shared_memory(void);
static void startup_shared_memory(void);

void
ef_runtime_init(void)
{
	define_settings();

	/* A session cannot add shared memory or processes to a running server. */
	if (!process_shared_preload_libraries_in_progress)
		return;

	/* pg_upgrade moves the tables; nothing may run in them meanwhile. */
	if (IsBinaryUpgrade)
		return;

	ef_shared_init();
	ef_crash_init(max_databases);
	ef_wakeup_init();
	ef_lifecycle_init();
	ef_launcher_register();
}

static void
define_settings(void)
{
	GucContext	sizing_context = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP;

	DefineCustomIntVariable("expense_flow.workers",
							"Background workers that advance runs, in each database that has the extension.",
							"With 0 no run is advanced in the background; sessions still can (run_pending).",
							&ef_workers, 4, 0, EF_MAX_WORKERS,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("expense_flow.notify_interval",
							"Shortest time between two notifications of change events.",
							"Events that are committed meanwhile are announced together.",
							&ef_notify_interval, 10, 0, 60 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	DefineCustomIntVariable("expense_flow.crash_retry_delay",
							"How long a step rests that has crashed the process that executed it.",
							"Four times as long after the second crash in a row; after the third its branch is parked (resume_workflow).",
							&ef_crash_retry_delay, 5000, 0, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);

	/* These size shared memory.  Where there is none of ours, they only need to be known. */
	DefineCustomIntVariable("expense_flow.queue_size",
							"Branches that the ready queue, and the timers, of a database hold in shared memory.",
							"What finds no place is read from the table in its turn. An entry takes 64 bytes.",
							&queue_size, 8192, 16, 1024 * 1024,
							sizing_context, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("expense_flow.max_databases",
							"Databases in which background workers can run.",
							NULL,
							&max_databases, 16, 1, 1024,
							sizing_context, 0, NULL, NULL, NULL);
}

void
ef_shared_init(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared_memory;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_shared_memory;
}

static Size
shared_header_size(void)
{
	return MAXALIGN(add_size(offsetof(EfShared, databases),
							 mul_size(max_databases, sizeof(EfDatabaseSlot))));
}

static Size
shared_size(void)
{
	return add_size(shared_header_size(),
					mul_size(mul_size(max_databases, 2),
							 mul_size(queue_size, sizeof(EfEntry))));
}

static void
request_shared_memory(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche(EF_EXTENSION_NAME, max_databases + 1);
}

static void
startup_shared_memory(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ef_shared = ShmemInitStruct(EF_EXTENSION_NAME, shared_size(), &found);
	if (!found)
	{
		LWLockPadded *locks = GetNamedLWLockTranche(EF_EXTENSION_NAME);
		EfEntry    *entries = (EfEntry *) ((char *) ef_shared + shared_header_size());
		int			i;

		MemSet(ef_shared, 0, shared_header_size());
		ef_shared->lock = &locks[0].lock;
		ef_shared->request_all = true;
		ConditionVariableInit(&ef_shared->gone);
		for (i = 0; i < EF_CLOSE_BUCKETS; i++)
			ConditionVariableInit(&ef_shared->closed[i].cv);
		for (i = 0; i < EF_QUEUE_BUCKETS; i++)
		{
			SpinLockInit(&ef_shared->queues[i].mutex);
			ConditionVariableInit(&ef_shared->queues[i].cv);
		}
		ef_shared->queue_size = queue_size;
		ef_shared->ndatabases = max_databases;
		for (i = 0; i < max_databases; i++)
		{
			EfDatabaseSlot *db = &ef_shared->databases[i];

			db->lock = &locks[i + 1].lock;
			db->ready = entries + (Size) 2 * i * queue_size;
			db->timers = db->ready + queue_size;
		}
		ef_crash_collect();
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * The slot of a database, which may become another's meanwhile; NULL if nobody
 * serves it.
 */
EfDatabaseSlot *
ef_database_find(Oid database)
{
	static int	last = 0;
	int			i;

	if (ef_shared == NULL)
		return NULL;

	for (i = 0; i < ef_shared->ndatabases; i++)
	{
		int			n = (last + i) % ef_shared->ndatabases;

		if (*(volatile Oid *) &ef_shared->databases[n].database == database)
		{
			last = n;
			return &ef_shared->databases[n];
		}
	}
	return NULL;
}

/*
 * The same, locked.
 *
 * Looking without a lock first is safe: whoever makes a slot does so before
 * reading the table, and whoever looks here has made its changes visible
 * before.  A slot that is not seen yet will be filled from what is visible.
 */
EfDatabaseSlot *
ef_database_lock(Oid database)
{
	EfDatabaseSlot *db = ef_database_find(database);

	if (db == NULL)
		return NULL;
	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	if (db->database == database)
		return db;
	LWLockRelease(db->lock);
	return NULL;
}

/*
 * Become the dispatcher of a database, in a new slot or in that which a
 * dispatcher that died has left behind.  Returns NULL if there is no slot, or
 * if the database has a dispatcher, or is just being left: *has_room tells.
 */
EfDatabaseSlot *
ef_database_attach(Oid database, bool *has_room)
{
	EfDatabaseSlot *db = NULL;
	bool		taken;
	int			i;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < ef_shared->ndatabases; i++)
	{
		EfDatabaseSlot *slot = &ef_shared->databases[i];

		if (slot->database == database)
		{
			db = slot;
			break;
		}
		if (db == NULL && slot->database == InvalidOid)
			db = slot;
	}
	*has_room = db != NULL;
	if (db == NULL)
	{
		LWLockRelease(ef_shared->lock);
		return NULL;
	}

	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	taken = db->leaving || db->dispatcher_pid != 0;
	if (!taken)
	{
		if (db->database == InvalidOid)
			ef_queue_reset(db);
		db->database = database;
		db->dispatcher_pid = MyProcPid;
		db->dispatcher_latch = MyLatch;
		db->recheck = false;
		db->changes_pending = true;
		/* whatever happened while nobody looked is in the table */
		db->horizon = DT_NOBEGIN;
	}
	LWLockRelease(db->lock);
	LWLockRelease(ef_shared->lock);
	return taken ? NULL : db;
}

/*
 * Free the slot once the last process has left.  Called without locks.
 */
bool
ef_database_try_free(EfDatabaseSlot *db)
{
	bool		freed = false;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	LWLockAcquire(db->lock, LW_EXCLUSIVE);
	if (db->leaving && db->dispatcher_pid == 0 && db->nworkers == 0)
	{
		int			i;

		db->database = InvalidOid;
		db->generation++;
		db->leaving = false;
		db->recheck = false;
		db->changes_pending = false;
		db->nidle = 0;
		db->advances = db->failures = db->rereads = 0;
		/* processes that were registered and not yet started will find another generation */
		for (i = 0; i <= EF_MAX_WORKERS; i++)
		{
			db->workers[i].state = EF_WORKER_NONE;
			db->workers[i].generation++;
		}
		freed = true;
	}
	LWLockRelease(db->lock);
	LWLockRelease(ef_shared->lock);

	ConditionVariableBroadcast(&ef_shared->gone);
	ef_wake_launcher();
	return freed;
}

/*
 * Tell all processes of a database to end and not to come back; statements that
 * they run are interrupted.  The caller holds the slot's lock.
 */
void
ef_database_send_away(EfDatabaseSlot *db)
{
	int			i;

	db->leaving = true;
	if (db->dispatcher_pid != 0 && db->dispatcher_pid != MyProcPid)
		kill(db->dispatcher_pid, SIGTERM);
	for (i = 0; i < EF_MAX_WORKERS; i++)
	{
		if (db->workers[i].pid != 0)
			kill(db->workers[i].pid, SIGTERM);
	}
}

/*
 * Ask the launcher to look whether a database has the extension (InvalidOid:
 * all databases).
 */
void
ef_request_probe(Oid database)
{
	int			i;

	if (ef_shared == NULL)
		return;

	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	for (i = 0; i < ef_shared->nrequests; i++)
	{
		if (ef_shared->requests[i] == database)
			break;
	}
	if (!OidIsValid(database) || i >= EF_MAX_REQUESTS)
		ef_shared->request_all = true;
	else if (i == ef_shared->nrequests)
		ef_shared->requests[ef_shared->nrequests++] = database;
	LWLockRelease(ef_shared->lock);

	ef_wake_launcher();
}

void
ef_wake_launcher(void)
{
	Latch	   *latch;

	LWLockAcquire(ef_shared->lock, LW_SHARED);
	latch = ef_shared->launcher_pid != 0 ? ef_shared->launcher_latch : NULL;
	LWLockRelease(ef_shared->lock);
	if (latch != NULL)
		SetLatch(latch);
}

/*
 * Note that the dispatcher is to be woken; the caller holds the slot's lock.
 */
void
ef_wake_dispatcher(EfDatabaseSlot *db, EfWakeList *wake)
{
	if (db->dispatcher_pid != 0)
		wake->dispatcher = db->dispatcher_latch;
}

/*
 * Wake them, after the locks were released.  Latches are those of processes'
 * places in shared memory: should the process have gone meanwhile, another one
 * may wake once for nothing.
 */
void
ef_wake_all(const EfWakeList *wake)
{
	int			i;

	for (i = 0; i < wake->nworkers; i++)
		SetLatch(wake->workers[i]);
	if (wake->dispatcher != NULL)
		SetLatch(wake->dispatcher);
}
