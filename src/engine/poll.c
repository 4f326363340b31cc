/*-------------------------------------------------------------------------
 *
 * poll.c
 *	  poll_activity(): take tasks from a queue, or wait for one; and who may.
 *
 * Tasks are taken with their rows locked and marked as started, each with a
 * token of its own, in the caller's transaction: should that roll back, they are
 * as they were, and whoever waits for them is waked.  Two who poll never take the
 * same task and never wait for each other.
 *
 * A role takes the tasks of runs that it may steer, and all tasks of a queue
 * that it was granted.
 *
 * Where background workers run, a caller who waits is waked by the commit that
 * schedules a task; without them it looks again after pauses that grow.
 * In a copy of another database, tasks of the runs that came with it are held back
 * (hold.c).
 *
 * Everything here takes the newest snapshot, whatever the isolation level.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "engine/arguments.h"
#include "engine/engine.h"
#include "engine/hold.h"
#include "engine/rights.h"
#include "engine/statement.h"
#include "engine/task.h"

PG_FUNCTION_INFO_V1(ef_poll_activity);
PG_FUNCTION_INFO_V1(ef_grant_queue);
PG_FUNCTION_INFO_V1(ef_revoke_queue);

#define EQ " OPERATOR(pg_catalog.=) "
#define GT " OPERATOR(pg_catalog.>) "

#define MAX_TASKS			10000	/* of one call */
#define LONGEST_SLEEP_MS	60000	/* between looks, where commits wake us */
#define FIRST_PAUSE_MS		5		/* between looks, where nobody does */
#define LONGEST_PAUSE_MS	500

typedef struct Poll
{
	char	   *queue;
	char	   *worker;			/* NULL: not given */
	int			max_tasks;
	TimestampTz give_up;		/* by the real clock */
	bool		granted;		/* the caller may take all tasks of the queue */
	bool		in_copy;		/* of another database, whose runs rest */
	ReturnSetInfo *result;
	int			taken;
} Poll;

/* ---- taking ---- */

/* The columns of the result; what take() reads is in the same order. */
enum
{
	COL_TOKEN,
	COL_WORKFLOW_ID,
	COL_RUN_ID,
	COL_ACTIVITY,
	COL_INPUT,
	COL_ATTEMPT,
	COL_HEARTBEAT_DETAILS,
	COL_SCHEDULED_AT,
	COL_TIMEOUT_AT,
	COL_HEARTBEAT_TIMEOUT,
	COL_WORKFLOW,
	COLUMNS
};

static EfStatement take_statement = {
	"SELECT t.branch_id, t.step, coalesce(r.workflow_id, r.run_id::pg_catalog.text), t.run_id, t.name, t.input,"
	" t.attempt, t.details, t.scheduled_at,"
	" LEAST(t.close_by,"
	"  $2 OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => t.start_to_close),"
	"  $2 OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => t.heartbeat)),"
	" pg_catalog.make_interval(secs => t.heartbeat), v.workflow"
	" FROM expense_flow.activity_task t"
	" JOIN expense_flow.run r ON r.run_id" EQ "t.run_id"
	" JOIN expense_flow.workflow_version v ON v.version_id" EQ "r.version_id"
	" WHERE t.queue" EQ "$1 AND t.status" EQ "'S'"
	" AND (t.start_by IS NULL OR t.start_by" GT "$2) AND (t.close_by IS NULL OR t.close_by" GT "$2)"
	" AND t.run_id" GT EF_HELD_THROUGH
	" AND " EF_TASK_HAS_BRANCH
	" AND ($3 OR pg_catalog.pg_has_role($4, r.owner, 'USAGE') OR pg_catalog.pg_has_role($4, r.starter, 'USAGE'))"
	" ORDER BY t.priority DESC, t.scheduled_at LIMIT $5"
	" FOR UPDATE OF t SKIP LOCKED",
	5, {TEXTOID, TIMESTAMPTZOID, BOOLOID, OIDOID, INT8OID}
};

/* The row is locked, and becomes that of the token. */
static void
mark_started(const EfToken *token, TimestampTz now, const char *worker)
{
	static EfStatement statement = {
		"UPDATE expense_flow.activity_task SET status = 'R', started_at = $4, heartbeat_at = NULL, worker = $5,"
		" secret_hash = pg_catalog.sha256($6)"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3",
		6, {UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, TEXTOID, BYTEAOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, &token->key.run_id);
	ef_add_int(&args, token->key.branch_id);
	ef_add_int(&args, token->step);
	ef_add_time(&args, now);
	ef_add_text(&args, worker);
	ef_add_bytes(&args, token->secret, EF_TOKEN_SECRET_LENGTH);
	if (ef_execute_latest(&statement, &args) != 1)
		elog(ERROR, "a task that was locked is gone");
}

/* One row of the result. */
static void
take(Poll *poll, HeapTuple tuple, TupleDesc desc, TimestampTz now)
{
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS];
	EfBranchKey key;
	EfToken		token;
	int			i;

	nulls[COL_TOKEN] = false;
	for (i = COL_WORKFLOW_ID; i < COLUMNS; i++)
		values[i] = SPI_getbinval(tuple, desc, i + 2, &nulls[i]);
	key.run_id = *DatumGetUUIDP(values[COL_RUN_ID]);
	key.branch_id = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &nulls[COL_TOKEN]));
	ef_token_init(&token, &key, DatumGetInt32(SPI_getbinval(tuple, desc, 2, &nulls[COL_TOKEN])));
	values[COL_TOKEN] = CStringGetTextDatum(ef_token_text(&token));
	mark_started(&token, now, poll->worker);
	tuplestore_putvalues(poll->result->setResult, poll->result->setDesc, values, nulls);
	poll->taken++;
}

static bool
take_tasks(Poll *poll)
{
	TimestampTz now = ef_now();
	EfArguments args = {0};
	SPITupleTable *table;
	uint64		count;
	uint64		i;

	ef_add_text(&args, poll->queue);
	ef_add_time(&args, now);
	ef_add_arg(&args, BoolGetDatum(poll->granted), false);
	ef_add_arg(&args, ObjectIdGetDatum(GetUserId()), false);
	ef_add_arg(&args, Int64GetDatum(poll->max_tasks), false);
	SPI_connect();
	count = ef_execute_latest(&take_statement, &args);
	table = SPI_tuptable;
	for (i = 0; i < count; i++)
		take(poll, table->vals[i], table->tupdesc, now);
	SPI_finish();
	if (count > 0)
		ef_announce_task_if_aborted(ef_queue_key(poll->queue));
	return count > 0;
}

/* ---- waiting ---- */

static bool
commits_wake(void)
{
	return ef_announcement_receiver != NULL && ef_announcement_receiver->workers_run();
}

/* A task is not to be given to a client that has gone. */
static void
check_client(void)
{
	if (MyProcPort != NULL && !pq_check_connection())
	{
		ClientConnectionLost = true;
		InterruptPending = true;
	}
	CHECK_FOR_INTERRUPTS();
}

static void
sleep_until_next_look(Poll *poll, bool waked, long pause_ms)
{
	long		left_ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), poll->give_up);
	long		timeout_ms = Max(Min(waked ? LONGEST_SLEEP_MS : pause_ms, left_ms), 1);

	if (waked)
		ef_announcement_receiver->wait_for_task(ef_queue_key(poll->queue), timeout_ms);
	else
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout_ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
	check_client();
}

static void
look_until_taken(Poll *poll, bool waked)
{
	long		pause_ms = FIRST_PAUSE_MS;

	for (;;)
	{
		if (waked)
			ef_announcement_receiver->prepare_to_wait_for_task(ef_queue_key(poll->queue));
		if (take_tasks(poll) || GetCurrentTimestamp() >= poll->give_up)
			return;
		sleep_until_next_look(poll, waked, pause_ms);
		pause_ms = Min(pause_ms * 2, LONGEST_PAUSE_MS);
	}
}

static void
wait_for_tasks(Poll *poll)
{
	bool		waked = commits_wake();

	PG_TRY();
	{
		look_until_taken(poll, waked);
	}
	PG_FINALLY();
	{
		if (waked)
			ef_announcement_receiver->end_wait_for_task(ef_queue_key(poll->queue), poll->taken == 0);
	}
	PG_END_TRY();
}

/* ---- queues and roles ---- */

/* What the tables say about the caller and his queue, before he looks for tasks. */
static void
read_queue(Poll *poll)
{
	static EfStatement statement = {
		"SELECT EXISTS (SELECT FROM expense_flow.queue_grant g WHERE g.queue" EQ "$1 AND (g.grantee" EQ "0"
		" OR pg_catalog.pg_has_role($2, g.grantee, 'USAGE'))),"
		" EXISTS (SELECT FROM expense_flow.installation i WHERE i.held_through IS NOT NULL)",
		2, {TEXTOID, OIDOID}
	};
	EfArguments args = {0};
	EfRow		row;

	ef_add_text(&args, poll->queue);
	ef_add_arg(&args, ObjectIdGetDatum(GetUserId()), false);
	SPI_connect();
	(void) ef_execute_latest(&statement, &args);
	row = ef_row(0, CurrentMemoryContext);
	poll->granted = ef_next_bool(&row);
	poll->in_copy = ef_next_bool(&row);
	SPI_finish();
}

/* In a copy of another database: why is there nothing to do?  Once a session, since some poll all the time. */
static void
tell_of_held_tasks(const Poll *poll)
{
	static bool told = false;
	static EfStatement statement = {
		"SELECT i.hold_reason FROM expense_flow.installation i WHERE i.held_through IS NOT NULL"
		" AND EXISTS (SELECT FROM expense_flow.activity_task t WHERE t.queue" EQ "$1 AND t.status" EQ "'S'"
		" AND t.run_id OPERATOR(pg_catalog.<=) i.held_through)",
		1, {TEXTOID}
	};
	EfArguments args = {0};

	if (told || !poll->in_copy)
		return;
	ef_add_text(&args, poll->queue);
	SPI_connect();
	if (ef_execute_latest(&statement, &args) > 0)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		told = true;
		ereport(WARNING,
				(errmsg("tasks of queue \"%s\" are held back: this database %s", poll->queue, ef_next_text(&row)),
				 errdetail("The original may be working on the open runs that came with the copy."),
				 errhint("If it is not, let them go on with expense_flow.resume_after_restore().")));
	}
	SPI_finish();
}

/* Arguments queue, grantee of a statement that changes the grants. */
static void
change_grant(FunctionCallInfo fcinfo, EfStatement *statement)
{
	char	   *queue = ef_name_arg(fcinfo, 0, "queue");
	char	   *grantee = ef_name_arg(fcinfo, 1, "grantee");
	EfArguments args = {0};

	ef_add_text(&args, queue);
	ef_add_arg(&args, ObjectIdGetDatum(get_role_oid_or_public(grantee)), false);
	ef_execute_alone(statement, &args);
}

/* grant_queue(queue text, grantee text) returns void */
Datum
ef_grant_queue(PG_FUNCTION_ARGS)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.queue_grant (queue, grantee) VALUES ($1, $2) ON CONFLICT DO NOTHING",
		2, {TEXTOID, REGROLEOID}
	};

	change_grant(fcinfo, &statement);
	PG_RETURN_VOID();
}

/* revoke_queue(queue text, grantee text) returns void */
Datum
ef_revoke_queue(PG_FUNCTION_ARGS)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.queue_grant WHERE queue" EQ "$1 AND grantee" EQ "$2",
		2, {TEXTOID, REGROLEOID}
	};

	change_grant(fcinfo, &statement);
	PG_RETURN_VOID();
}

/* poll_activity(queue text, worker text, max_tasks integer, wait interval) returns setof record */
Datum
ef_poll_activity(PG_FUNCTION_ARGS)
{
	Poll		poll = {.taken = 0};

	poll.queue = ef_name_arg(fcinfo, 0, "queue");
	poll.worker = ef_optional_text_arg(fcinfo, 1);
	ef_refuse_null(fcinfo, 2, "max_tasks");
	poll.max_tasks = PG_GETARG_INT32(2);
	if (poll.max_tasks < 1 || poll.max_tasks > MAX_TASKS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_tasks must be between 1 and %d", MAX_TASKS)));
	poll.give_up = GetCurrentTimestamp() + ef_interval_arg(fcinfo, 3, "wait", true);
	PreventCommandIfReadOnly("poll_activity()");
	PreventCommandDuringRecovery("poll_activity()");
	ef_check_installation();
	InitMaterializedSRF(fcinfo, 0);
	poll.result = (ReturnSetInfo *) fcinfo->resultinfo;
	read_queue(&poll);
	wait_for_tasks(&poll);
	if (poll.taken == 0)
		tell_of_held_tasks(&poll);
	return (Datum) 0;
}
