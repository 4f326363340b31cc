/*-------------------------------------------------------------------------
 *
 * shared.h
 *	  Shared memory of the runtime (private to src/runtime).
 *
 * One slot for each database that has the extension, kept while its dispatcher
 * and workers live:
 *
 *	  ready		ring of branches that are due, first in, first out
 *	  timers	binary heap of branches that are due later
 *	  horizon	branches due from this time on may be in the table only: the
 *				queue was full, the timer too far away, or nobody has read the
 *				table yet.  What is announced at or past the horizon is not
 *				even queued; the dispatcher reads it, oldest first, when the
 *				horizon is due and the queue runs low.
 *	  lost		the same for branches due before the horizon: some that were
 *				put back, to go on or be repeated later, found no place.  They are read once
 *				everything else is done, and not too often.
 *	  idle		stack of workers that sleep; the last one that fell asleep, with
 *				the warmest caches, is woken first
 *
 * Locks: EfShared.lock guards the list of databases, the probes and requests;
 * EfDatabaseSlot.lock guards the slot.  The first is taken before the second.
 * A slot's "database" changes under both.  Latches are set after the locks were
 * released.  A slot carries a generation, as does each worker's place in it, so
 * that a late process cannot be taken for its successor.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_SHARED_H
#define EF_SHARED_H

#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/timestamp.h"

#include "engine/engine.h"

#define EF_MAX_WORKERS		64	/* per database */
#define EF_MAX_PROBES		2	/* databases that are looked at, at the same time */
#define EF_MAX_REQUESTS		64
#define EF_CLOSE_BUCKETS	128
#define EF_QUEUE_BUCKETS	128

/* The place of the dispatcher among the workers, for when it has to do their work. */
#define EF_DISPATCHER_PLACE EF_MAX_WORKERS

/* A branch to look at. */
typedef struct EfEntry
{
	EfBranchKey key;
	int16		tries;			/* how often in a row it failed, or somebody else had it */
	bool		put_back;		/* due_at is ours; in the table it is earlier */
	uint8		failures;		/* how often in a row it failed with an error that does not mend with time */
	TimestampTz due_at;
} EfEntry;

typedef enum EfWorkerState
{
	EF_WORKER_NONE,
	EF_WORKER_STARTING,			/* registered with the postmaster */
	EF_WORKER_IDLE,				/* on the idle stack */
	EF_WORKER_AWAKE,			/* between two branches */
	EF_WORKER_BUSY				/* advancing entry */
} EfWorkerState;

typedef struct EfWorkerSlot
{
	EfWorkerState state;
	uint32		generation;
	pid_t		pid;			/* 0 unless the process is attached */
	Latch	   *latch;
	bool		leave;			/* asked to leave: the pool shrinks */
	bool		expects_work;	/* waked ahead of a commit; guarded by nothing, as it is a hint */
	EfEntry		entry;			/* what it advances, while BUSY */
	EfEntry		ended[EF_MAX_SHARED];	/* branches that have ended in the same, open transaction */
	int			nended;
	TimestampTz since;			/* of the state */
} EfWorkerSlot;

typedef struct EfDatabaseSlot
{
	LWLock	   *lock;
	Oid			database;		/* InvalidOid: the slot is free */
	uint32		generation;
	bool		leaving;		/* the processes end and are not replaced */
	bool		recheck;		/* the extension may have been dropped */
	bool		changes_pending;	/* change events wait for NOTIFY */

	pid_t		dispatcher_pid; /* 0 while it has none */
	Latch	   *dispatcher_latch;
	EfWorkerSlot workers[EF_MAX_WORKERS + 1];
	int			nworkers;		/* attached, without the dispatcher's place */
	int			idle[EF_MAX_WORKERS];
	int			nidle;

	EfEntry    *ready;
	int			ready_head;
	int			nready;
	EfEntry    *timers;
	int			ntimers;
	TimestampTz horizon;
	bool		lost;
	bool		holds;			/* a copy of a database: runs up to held_through rest */
	pg_uuid_t	held_through;

	/* since the slot was made */
	int64		advances;		/* transactions that advanced a branch */
	int64		failures;		/* transactions that failed and will be repeated */
	int64		rereads;		/* reads of the table */
} EfDatabaseSlot;

typedef enum EfProbeResult
{
	EF_PROBE_UNKNOWN,			/* not known yet, or the process failed */
	EF_PROBE_ABSENT,			/* the extension is not there */
	EF_PROBE_SERVING,			/* it is, and the process has become the dispatcher */
	EF_PROBE_NO_ROOM			/* it is, but all slots are taken */
} EfProbeResult;

/* A process that was started to look whether a database has the extension. */
typedef struct EfProbe
{
	Oid			database;		/* InvalidOid: not in use */
	uint32		generation;
	pid_t		pid;
	EfProbeResult result;
} EfProbe;

/* Sessions that wait for a task in a queue. */
typedef struct EfQueueBucket
{
	slock_t		mutex;
	int			nwaiting;
	uint64		queue;			/* of those who wait */
	bool		mixed;			/* they wait for different ones */
	ConditionVariable cv;
} EfQueueBucket;

typedef struct EfShared
{
	LWLock	   *lock;
	pid_t		launcher_pid;
	Latch	   *launcher_latch;
	bool		start_fails;	/* the launcher cannot get a dispatcher started */

	/* databases that the launcher is asked to look at */
	bool		request_all;
	int			nrequests;
	Oid			requests[EF_MAX_REQUESTS];
	EfProbe		probes[EF_MAX_PROBES];

	ConditionVariable gone;		/* a dispatcher or worker has left */
	ConditionVariableMinimallyPadded closed[EF_CLOSE_BUCKETS];	/* some run has closed */
	EfQueueBucket queues[EF_QUEUE_BUCKETS];

	int			queue_size;
	int			ndatabases;
	EfDatabaseSlot databases[FLEXIBLE_ARRAY_MEMBER];
} EfShared;

/* Latches to set once the locks are released. */
typedef struct EfWakeList
{
	Latch	   *dispatcher;
	int			nworkers;
	Latch	   *workers[EF_MAX_WORKERS];
} EfWakeList;

/* settings */
extern int	ef_workers;
extern int	ef_notify_interval;

/* shared.c */
extern EfShared *ef_shared;		/* NULL unless the library was preloaded */

extern void ef_shared_init(void);
extern EfDatabaseSlot *ef_database_find(Oid database);
extern EfDatabaseSlot *ef_database_lock(Oid database);
extern EfDatabaseSlot *ef_database_attach(Oid database, bool *has_room);
extern bool ef_database_try_free(EfDatabaseSlot *db);
extern void ef_database_send_away(EfDatabaseSlot *db);
extern void ef_request_probe(Oid database);
extern void ef_wake_launcher(void);
extern void ef_wake_all(const EfWakeList *wake);
extern void ef_wake_dispatcher(EfDatabaseSlot *db, EfWakeList *wake);

/* queue.c; the caller holds the slot's lock */
extern void ef_queue_reset(EfDatabaseSlot *db);
extern void ef_queue_announce(EfDatabaseSlot *db, const EfEntry *entry, TimestampTz now, EfWakeList *wake);
extern void ef_queue_put_back(EfDatabaseSlot *db, EfEntry *entry, TimestampTz now, EfWakeList *wake);
extern bool ef_queue_refill(EfDatabaseSlot *db, const EfEntry *entry, TimestampTz now, EfWakeList *wake);
extern bool ef_queue_take(EfDatabaseSlot *db, EfEntry *entry, EfWakeList *wake);
extern const EfEntry *ef_queue_first(const EfDatabaseSlot *db);
extern void ef_queue_fire_timers(EfDatabaseSlot *db, TimestampTz now, EfWakeList *wake);
extern bool ef_queue_runs_low(const EfDatabaseSlot *db);
extern void ef_queue_lower_horizon(EfDatabaseSlot *db, TimestampTz horizon, EfWakeList *wake);

#endif							/* EF_SHARED_H */
