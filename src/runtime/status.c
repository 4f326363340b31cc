/*-------------------------------------------------------------------------
 *
 * status.c
 *	  runtime_status(): the processes of the runtime, for operators.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "runtime/process.h"

#define STATUS_COLUMNS 14

PG_FUNCTION_INFO_V1(ef_runtime_processes);

static void add_launcher(ReturnSetInfo *result);
static void add_database(ReturnSetInfo *result, EfDatabaseSlot *slot);
static void add_dispatcher(ReturnSetInfo *result, const EfDatabaseSlot *db, TimestampTz next_timer);
static void add_worker(ReturnSetInfo *result, const EfDatabaseSlot *db, const EfWorkerSlot *worker);

/*
 * One row for each process; none where the library was not preloaded.
 */
Datum
ef_runtime_processes(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	if (ef_shared == NULL)
		return (Datum) 0;

	add_launcher(result);
	for (i = 0; i < ef_shared->ndatabases; i++)
		add_database(result, &ef_shared->databases[i]);
	return (Datum) 0;
}

static void
put_row(ReturnSetInfo *result, Oid database, const char *kind, pid_t pid, const char *state,
		Datum *values, bool *nulls)
{
	values[0] = ObjectIdGetDatum(database);
	nulls[0] = !OidIsValid(database);
	values[1] = CStringGetTextDatum(kind);
	nulls[1] = false;
	values[2] = Int32GetDatum(pid);
	nulls[2] = pid == 0;
	values[3] = CStringGetTextDatum(state);
	nulls[3] = false;
	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_time(Datum *values, bool *nulls, int column, TimestampTz value)
{
	values[column] = TimestampTzGetDatum(value);
	nulls[column] = false;
}

static void
put_count(Datum *values, bool *nulls, int column, int64 value)
{
	values[column] = Int64GetDatum(value);
	nulls[column] = false;
}

static void
add_launcher(ReturnSetInfo *result)
{
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS];
	pid_t		pid;
	bool		fails;

	LWLockAcquire(ef_shared->lock, LW_SHARED);
	pid = ef_shared->launcher_pid;
	fails = ef_shared->start_fails;
	LWLockRelease(ef_shared->lock);

	memset(nulls, true, sizeof(nulls));
	put_row(result, InvalidOid, "launcher", pid,
			pid == 0 ? "missing" : fails ? "out of processes" : "running", values, nulls);
}

static void
add_database(ReturnSetInfo *result, EfDatabaseSlot *slot)
{
	EfDatabaseSlot *db = palloc(sizeof(EfDatabaseSlot));
	TimestampTz next_timer = DT_NOEND;
	int			i;

	/* Copy first: a row cannot be made while the lock is held. */
	LWLockAcquire(slot->lock, LW_SHARED);
	*db = *slot;
	if (slot->ntimers > 0)
		next_timer = slot->timers[0].due_at;
	LWLockRelease(slot->lock);

	if (OidIsValid(db->database))
	{
		add_dispatcher(result, db, next_timer);
		for (i = 0; i < EF_MAX_WORKERS; i++)
		{
			if (db->workers[i].state != EF_WORKER_NONE)
				add_worker(result, db, &db->workers[i]);
		}
	}
	pfree(db);
}

static const char *
worker_state(const EfWorkerSlot *worker)
{
	switch (worker->state)
	{
		case EF_WORKER_NONE:
			return "missing";
		case EF_WORKER_STARTING:
			return "starting";
		case EF_WORKER_IDLE:
			return "idle";
		case EF_WORKER_AWAKE:
			return "awake";
		case EF_WORKER_BUSY:
			return "busy";
	}
	return "unknown";
}

static void
put_entry(const EfWorkerSlot *worker, Datum *values, bool *nulls)
{
	pg_uuid_t  *run_id;

	if (worker->state != EF_WORKER_BUSY)
		return;
	run_id = palloc(sizeof(pg_uuid_t));
	*run_id = worker->entry.key.run_id;
	values[5] = UUIDPGetDatum(run_id);
	nulls[5] = false;
	values[6] = Int32GetDatum(worker->entry.key.branch_id);
	nulls[6] = false;
}

static void
add_dispatcher(ReturnSetInfo *result, const EfDatabaseSlot *db, TimestampTz next_timer)
{
	const EfWorkerSlot *own_place = &db->workers[EF_DISPATCHER_PLACE];
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS];
	const char *state = "running";

	memset(nulls, true, sizeof(nulls));
	put_entry(own_place, values, nulls);
	put_count(values, nulls, 7, db->nready);
	put_count(values, nulls, 8, db->ntimers);
	if (next_timer != DT_NOEND)
		put_time(values, nulls, 9, next_timer);
	put_time(values, nulls, 10, db->horizon);
	put_count(values, nulls, 11, db->advances);
	put_count(values, nulls, 12, db->failures);
	put_count(values, nulls, 13, db->rereads);

	if (db->leaving)
		state = "leaving";
	else if (db->dispatcher_pid == 0)
		state = "missing";
	else if (own_place->state == EF_WORKER_BUSY)
		state = "busy";
	put_row(result, db->database, "dispatcher", db->dispatcher_pid, state, values, nulls);
}

static void
add_worker(ReturnSetInfo *result, const EfDatabaseSlot *db, const EfWorkerSlot *worker)
{
	Datum		values[STATUS_COLUMNS];
	bool		nulls[STATUS_COLUMNS];

	memset(nulls, true, sizeof(nulls));
	put_time(values, nulls, 4, worker->since);
	put_entry(worker, values, nulls);
	put_row(result, db->database, "worker", worker->pid, worker_state(worker), values, nulls);
}
