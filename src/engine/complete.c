/*-------------------------------------------------------------------------
 *
 * complete.c
 *	  What outside programs tell about tasks: complete_activity(),
 *	  fail_activity(), heartbeat_activity(), and the first two by name.
 *
 * A token is enough: whoever was given one may finish that attempt, and nobody
 * else can, since it holds a secret.  By name, it takes the right to steer the
 * run.
 *
 * The run's mailbox is locked before the task's row, as the message to the
 * branch will need it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "engine/arguments.h"
#include "engine/engine.h"
#include "engine/external.h"
#include "engine/mailbox.h"
#include "engine/run.h"
#include "engine/statement.h"
#include "engine/task.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_complete_activity);
PG_FUNCTION_INFO_V1(ef_fail_activity);
PG_FUNCTION_INFO_V1(ef_heartbeat_activity);
PG_FUNCTION_INFO_V1(ef_complete_activity_by_name);
PG_FUNCTION_INFO_V1(ef_fail_activity_by_name);

#define EQ " OPERATOR(pg_catalog.=) "

/* An attempt by its branch, its step, and the secret unless that is null; its branch must be there. */
#define OF_ATTEMPT " WHERE t.run_id" EQ "$1 AND t.branch_id" EQ "$2 AND t.step" EQ "$3" \
	" AND (t.secret_hash" EQ "pg_catalog.sha256($4) OR $4 IS NULL)"
#define IS_OPEN " AND t.status" EQ "ANY (ARRAY['S', 'R']::pg_catalog.\"char\"[]) AND " EF_TASK_HAS_BRANCH

/* The attempt that a caller means. */
typedef struct Attempt
{
	EfBranchKey key;
	int32		step;
	const uint8 *secret;		/* NULL: found by name */
} Attempt;

/* ---- which attempt ---- */

static void
raise_stale(void)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_TASK_NOT_OPEN),
			 errmsg("the task of this token is not open"),
			 errdetail("It was completed or failed before, it has timed out, or the run has gone on without it.")));
}

static void
token_arg(FunctionCallInfo fcinfo, EfToken *token, Attempt *attempt)
{
	if (!ef_token_parse(ef_text_arg(fcinfo, 0, "token"), token))
		ereport(ERROR,
				(errcode(EF_ERRCODE_TASK_NOT_OPEN),
				 errmsg("invalid task token"),
				 errdetail("A task token has %d hexadecimal digits.", 80)));
	attempt->key = token->key;
	attempt->step = token->step;
	attempt->secret = token->secret;
}

/* The open task of that name of a workflow_id's open run. */
static void
name_args(FunctionCallInfo fcinfo, Attempt *attempt)
{
	static EfStatement statement = {
		"SELECT t.branch_id, t.step FROM expense_flow.activity_task t WHERE t.run_id" EQ "$1 AND t.name" EQ "$2" IS_OPEN
		" FOR UPDATE",
		2, {UUIDOID, TEXTOID}
	};
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	char	   *activity = ef_name_arg(fcinfo, 1, "activity");
	EfArguments args = {0};
	uint64		count;

	if (!ef_find_run(workflow_id, &attempt->key.run_id))
		ef_run_is_closed(workflow_id);
	ef_lock_mailbox(&attempt->key.run_id);
	attempt->secret = NULL;
	ef_add_uuid(&args, &attempt->key.run_id);
	ef_add_text(&args, activity);
	SPI_connect();
	count = ef_execute_latest(&statement, &args);
	if (count == 1)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		attempt->key.branch_id = ef_next_int(&row);
		attempt->step = ef_next_int(&row);
	}
	SPI_finish();
	if (count == 0)
		ereport(ERROR,
				(errcode(EF_ERRCODE_TASK_NOT_OPEN),
				 errmsg("the run with workflow_id \"%s\" has no open activity \"%s\"", workflow_id, activity)));
	if (count > 1)
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("the run with workflow_id \"%s\" has " UINT64_FORMAT " open activities \"%s\"",
						workflow_id, count, activity),
				 errhint("Use the token of the one that is meant.")));
}

static void
add_attempt(EfArguments *args, const Attempt *attempt)
{
	ef_add_uuid(args, &attempt->key.run_id);
	ef_add_int(args, attempt->key.branch_id);
	ef_add_int(args, attempt->step);
	if (attempt->secret)
		ef_add_bytes(args, attempt->secret, EF_TOKEN_SECRET_LENGTH);
	else
		ef_add_arg(args, (Datum) 0, true);
}

/* ---- ending it ---- */

/* Execute the statement that ends an attempt, and send the outcome. */
static void
end_attempt(const Attempt *attempt, EfStatement *statement, EfOutcome *outcome)
{
	MemoryContext context = CurrentMemoryContext;
	EfArguments args = {0};

	add_attempt(&args, attempt);
	SPI_connect();
	if (ef_execute_latest(statement, &args) != 1)
		raise_stale();
	else
	{
		EfRow		row = ef_row(0, context);

		outcome->step = attempt->step;
		outcome->started_at = ef_next_time(&row);
		outcome->worker = ef_next_text(&row);
	}
	SPI_finish();
	ef_send_outcome(&attempt->key, outcome);
}

static void
succeed(const Attempt *attempt, Jsonb *result)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.activity_task t" OF_ATTEMPT IS_OPEN " RETURNING t.started_at, t.worker",
		4, {UUIDOID, INT4OID, INT4OID, BYTEAOID}
	};
	EfOutcome	outcome = {.result = result, .retry_delay = -1};

	end_attempt(attempt, &statement, &outcome);
}

/* The row stays for the next attempt, if there is one. */
static void
fail(const Attempt *attempt, EfOutcome *outcome)
{
	static EfStatement statement = {
		"UPDATE expense_flow.activity_task t SET status = 'F', secret_hash = NULL" OF_ATTEMPT IS_OPEN
		" RETURNING t.started_at, t.worker",
		4, {UUIDOID, INT4OID, INT4OID, BYTEAOID}
	};

	end_attempt(attempt, &statement, outcome);
}

/* Arguments from the n-th on: error, cause, details, non_retryable, retry_delay. */
static void
failure_args(FunctionCallInfo fcinfo, int n, EfOutcome *outcome)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->error = ef_name_arg(fcinfo, n, "error");
	outcome->cause = ef_optional_text_arg(fcinfo, n + 1);
	if (!PG_ARGISNULL(n + 2))
		outcome->details = ef_payload_arg(fcinfo, n + 2, "details");
	ef_refuse_null(fcinfo, n + 3, "non_retryable");
	outcome->non_retryable = PG_GETARG_BOOL(n + 3);
	outcome->retry_delay = -1;
	if (!PG_ARGISNULL(n + 4))
		outcome->retry_delay = (double) ef_interval_arg(fcinfo, n + 4, "retry_delay", true) / USECS_PER_SEC;
}

/* ---- SQL functions ---- */

/* complete_activity(token text, result jsonb) returns void */
Datum
ef_complete_activity(PG_FUNCTION_ARGS)
{
	EfToken		token;
	Attempt		attempt;
	Jsonb	   *result = ef_payload_arg(fcinfo, 1, "result");

	token_arg(fcinfo, &token, &attempt);
	ef_lock_mailbox(&token.key.run_id);
	succeed(&attempt, result);
	PG_RETURN_VOID();
}

/* fail_activity(token text, error text, cause text, details jsonb, non_retryable boolean, retry_delay interval) */
Datum
ef_fail_activity(PG_FUNCTION_ARGS)
{
	EfToken		token;
	Attempt		attempt;
	EfOutcome	outcome;

	failure_args(fcinfo, 1, &outcome);
	token_arg(fcinfo, &token, &attempt);
	ef_lock_mailbox(&token.key.run_id);
	fail(&attempt, &outcome);
	PG_RETURN_VOID();
}

/* complete_activity_by_name(workflow_id text, activity text, result jsonb) returns void */
Datum
ef_complete_activity_by_name(PG_FUNCTION_ARGS)
{
	Attempt		attempt;
	Jsonb	   *result = ef_payload_arg(fcinfo, 2, "result");

	name_args(fcinfo, &attempt);
	succeed(&attempt, result);
	PG_RETURN_VOID();
}

/* fail_activity_by_name(workflow_id text, activity text, error text, …as fail_activity) returns void */
Datum
ef_fail_activity_by_name(PG_FUNCTION_ARGS)
{
	Attempt		attempt;
	EfOutcome	outcome;

	failure_args(fcinfo, 2, &outcome);
	name_args(fcinfo, &attempt);
	fail(&attempt, &outcome);
	PG_RETURN_VOID();
}

/*
 * Note the heartbeat.  *cancel_requested: the work is not wanted any more; *timeout_at: when the attempt times
 * out if no other heartbeat comes.
 */
static void
beat(const Attempt *attempt, Jsonb *details, bool *cancel_requested, TimestampTz *timeout_at)
{
	static EfStatement statement = {
		"UPDATE expense_flow.activity_task t SET heartbeat_at = $5, details = coalesce($6, t.details)" OF_ATTEMPT
		" AND t.status" EQ "ANY (ARRAY['R', 'C']::pg_catalog.\"char\"[])"
		" AND (t.status" EQ "'C' OR EXISTS (SELECT FROM expense_flow.branch b WHERE b.run_id" EQ "t.run_id"
		" AND b.branch_id" EQ "0))"
		" RETURNING t.status" EQ "'C' OR NOT " EF_TASK_HAS_BRANCH ","
		" LEAST(t.close_by, t.started_at OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => t.start_to_close),"
		"  $5 OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => t.heartbeat))",
		6, {UUIDOID, INT4OID, INT4OID, BYTEAOID, TIMESTAMPTZOID, JSONBOID}
	};
	EfArguments args = {0};
	EfRow		row;

	add_attempt(&args, attempt);
	ef_add_time(&args, ef_now());
	ef_add_jsonb(&args, details);
	SPI_connect();
	if (ef_execute_latest(&statement, &args) != 1)
		raise_stale();
	row = ef_row(0, CurrentMemoryContext);
	*cancel_requested = ef_next_bool(&row);
	*timeout_at = ef_next_time(&row);
	SPI_finish();
}

/* heartbeat_activity(token text, details jsonb, OUT cancel_requested boolean, OUT timeout_at timestamptz) */
Datum
ef_heartbeat_activity(PG_FUNCTION_ARGS)
{
	EfToken		token;
	Attempt		attempt;
	Jsonb	   *details = PG_ARGISNULL(1) ? NULL : ef_payload_arg(fcinfo, 1, "details");

	bool		cancel_requested;
	TimestampTz timeout_at;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	token_arg(fcinfo, &token, &attempt);
	beat(&attempt, details, &cancel_requested, &timeout_at);
	values[0] = BoolGetDatum(cancel_requested);
	values[1] = TimestampTzGetDatum(timeout_at);
	nulls[1] = timeout_at == DT_NOEND;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
