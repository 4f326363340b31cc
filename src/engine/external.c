/*-------------------------------------------------------------------------
 *
 * external.c
 *	  Tasks whose work is done outside: external activities, and SQL functions
 *	  with .waitForTaskToken.
 *
 * An attempt is a row of activity_task.  The branch schedules it and rests;
 * how it ended comes as a message to the branch.  The branch is due at the
 * earliest time at which the attempt may have timed out, and then looks at the
 * row: that it was started, or a heartbeat came, changes the row and not the
 * branch, so the branch may find that it has to rest longer.
 *
 * Who ends an attempt locks its row.  A branch whose time is over never waits
 * for that lock: somebody who has it may be about to send the outcome, and it
 * looks again soon.
 *
 * The step that schedules an attempt is flushed when it commits, because a
 * token leaves the database.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/numeric.h"

#include "engine/activity.h"
#include "engine/alias.h"
#include "engine/child.h"
#include "engine/engine.h"
#include "engine/external.h"
#include "engine/history.h"
#include "engine/lambda.h"
#include "engine/mailbox.h"
#include "engine/service.h"
#include "engine/task.h"

/* An attempt that nobody has taken yet is looked at after this part of its age, or its shortest timeout. */
#define PART_OF_AGE 8

/* A longer limit, in seconds, is none. */
#define LONGEST_LIMIT 1e10

static EfVisitResult
fail(EfVisit *visit, const char *error, char *cause)
{
	visit->failure.name = unconstify(char *, error);
	visit->failure.cause = cause;
	return EF_VISIT_FAILED;
}

/* ---- outcomes ---- */

char *
ef_task_address(int32 branch_id)
{
	return psprintf("%s%d", EF_ADDRESS_TASK, branch_id);
}

void
ef_send_outcome(const EfBranchKey *key, const EfOutcome *outcome)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_int(&state, "step", outcome->step);
	if (outcome->started_at != DT_NOEND)
		ef_push_int(&state, "started_at", outcome->started_at);
	ef_push_text(&state, "worker", outcome->worker);
	ef_push_jsonb(&state, "result", outcome->result);
	ef_push_text(&state, "error", outcome->error);
	ef_push_text(&state, "cause", outcome->cause);
	ef_push_jsonb(&state, "details", outcome->details);
	if (outcome->non_retryable)
		ef_push_int(&state, "non_retryable", 1);
	if (outcome->retry_delay >= 0)
		ef_push_int(&state, "retry_delay", (int64) (outcome->retry_delay * USECS_PER_SEC));
	ef_send_message(&key->run_id, ef_task_address(key->branch_id),
					ef_end_object(&state));
}

static JsonbValue *
find_field(Jsonb *object, const char *name)
{
	return getKeyJsonValueFromContainer(&object->root, name, strlen(name), NULL);
}

static int64
int_field(Jsonb *object, const char *name, int64 missing)
{
	JsonbValue *value = find_field(object, name);

	if (value == NULL || value->type != jbvNumeric)
		return missing;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static char *
text_field(Jsonb *object, const char *name)
{
	JsonbValue *value = find_field(object, name);

	if (value == NULL || value->type != jbvString)
		return NULL;
	return pnstrdup(value->val.string.val, value->val.string.len);
}

static Jsonb *
jsonb_field(Jsonb *object, const char *name)
{
	JsonbValue *value = find_field(object, name);

	return value ? JsonbValueToJsonb(value) : NULL;
}

static void
read_outcome(Jsonb *payload, EfOutcome *outcome)
{
	int64		delay = int_field(payload, "retry_delay", -1);

	outcome->step = (int32) int_field(payload, "step", 0);
	outcome->started_at = int_field(payload, "started_at", DT_NOEND);
	outcome->worker = text_field(payload, "worker");
	outcome->result = jsonb_field(payload, "result");
	outcome->error = text_field(payload, "error");
	outcome->cause = text_field(payload, "cause");
	outcome->details = jsonb_field(payload, "details");
	outcome->non_retryable = int_field(payload, "non_retryable", 0) != 0;
	outcome->retry_delay = delay < 0 ? -1 : (double) delay / USECS_PER_SEC;
}

/* What the history tells of an attempt besides its events. */
static Jsonb *
attempt_details(TimestampTz started_at, const char *worker, Jsonb *details)
{
	JsonbParseState *state = NULL;
	char		buffer[MAXDATELEN + 1];
	Datum		time = TimestampTzGetDatum(started_at);

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (started_at != DT_NOEND)
		ef_push_text(&state, "started_at", JsonEncodeDateTime(buffer, time, TIMESTAMPTZOID, NULL));
	ef_push_text(&state, "worker", worker);
	ef_push_jsonb(&state, "details", details);
	return ef_end_object(&state);
}

/* ---- the end of an attempt ---- */

/* The attempt was started, which nobody has told the history yet. */
static void
add_start(EfVisit *visit, TimestampTz started_at, const char *worker, Jsonb *details)
{
	if (visit->callback)
		started_at = DT_NOEND;
	else if (started_at != DT_NOEND)
		ef_add_event(visit, EF_EVENT_ACTIVITY_STARTED);
	visit->attempt = attempt_details(started_at, worker, details);
}

static EfVisitResult
take_outcome(EfVisit *visit, const EfOutcome *outcome)
{
	add_start(visit, outcome->started_at, outcome->worker, outcome->details);
	if (outcome->result)
	{
		ef_add_event(visit, visit->callback ? EF_EVENT_SUCCEEDED : EF_EVENT_ACTIVITY_SUCCEEDED);
		visit->details = visit->attempt;
		if (!ef_use_result(outcome->result, visit, &visit->failure))
			return EF_VISIT_FAILED;
		ef_add_event(visit, ef_exited_event(visit->state->type));
		return EF_VISIT_LEFT;
	}
	ef_add_event(visit, visit->callback ? EF_EVENT_FAILED : EF_EVENT_ACTIVITY_FAILED);
	visit->has_task = true;
	visit->no_retry = outcome->non_retryable;
	visit->has_retry_delay = outcome->retry_delay >= 0;
	visit->retry_delay = outcome->retry_delay;
	return fail(visit, outcome->error, outcome->cause);
}

static EfVisitResult
end_in_timeout(EfVisit *visit, const EfTask *task, const char *error, const char *cause, bool no_retry)
{
	add_start(visit, task->status == EF_TASK_STARTED ? task->started_at : DT_NOEND, task->worker, NULL);
	ef_add_event(visit, visit->callback ? EF_EVENT_TIMED_OUT : EF_EVENT_ACTIVITY_TIMED_OUT);
	ef_task_fail(task);
	visit->has_task = true;
	visit->no_retry = no_retry;
	return fail(visit, error, pstrdup(cause));
}

/* The outcome of this attempt, if it has come; one of an attempt that is long over is thrown away. */
static bool
receive_outcome(EfVisit *visit, EfOutcome *outcome)
{
	char	   *address = ef_task_address(visit->branch->branch_id);
	EfMessage	message;

	while (ef_receive_message(visit->branch, &address, 1, &message))
	{
		read_outcome(message.payload, outcome);
		if (outcome->step == visit->branch->step)
			return true;
	}
	return false;
}

/* How an attempt is doing whose branch was waked. */
typedef enum Found
{
	FOUND_OUTCOME,
	FOUND_OPEN,					/* its row is locked now */
	FOUND_BUSY,					/* somebody else has the row locked */
	FOUND_NOTHING
} Found;

static Found
find_attempt(EfVisit *visit, EfTask *task, EfOutcome *outcome)
{
	EfBranchKey key;
	bool		exists;

	ef_branch_key(visit->branch, &key);
	if (receive_outcome(visit, outcome))
		return FOUND_OUTCOME;
	if (ef_task_lock(&key, task))
		return FOUND_OPEN;
	exists = ef_task_exists(&key);
	/* It may have come just now. */
	if (receive_outcome(visit, outcome))
		return FOUND_OUTCOME;
	return exists ? FOUND_BUSY : FOUND_NOTHING;
}

/* Rest until the outcome comes, or at most until a time; step is that of the attempt. */
static EfVisitResult
await_outcome(EfVisit *visit, int32 step, TimestampTz until)
{
	char	   *address = ef_task_address(visit->branch->branch_id);
	EfMessage	message;
	EfOutcome	outcome;

	until = Max(until, visit->began_at + 1000);
	for (;;)
	{
		switch (ef_await_message(visit, &address, 1, until, &message))
		{
			case EF_AWAIT_RECEIVED:
				read_outcome(message.payload, &outcome);
				if (outcome.step == step)
					return take_outcome(visit, &outcome);
				break;
			case EF_AWAIT_RESTS:
				return EF_VISIT_RESTS;
			case EF_AWAIT_LATER:
			case EF_AWAIT_TIMED_OUT:
				return EF_VISIT_LATER;
		}
	}
}

/* ---- timeouts ---- */

static TimestampTz
after(TimestampTz time, double seconds)
{
	if (seconds <= 0 || seconds > LONGEST_LIMIT)
		return DT_NOEND;
	return ef_time_after(time, (int64) (seconds * USECS_PER_SEC));
}

/* The first time at which an attempt may have timed out, and how. */
typedef struct Timeout
{
	TimestampTz at;
	const char *error;
	const char *cause;
	bool		no_retry;
} Timeout;

static void
consider(Timeout *first, TimestampTz at, const char *error, const char *cause, bool no_retry)
{
	if (at < first->at)
	{
		first->at = at;
		first->error = error;
		first->cause = cause;
		first->no_retry = no_retry;
	}
}

static Timeout
first_timeout(const EfTask *task)
{
	Timeout		first = {.at = DT_NOEND};

	consider(&first, task->close_by, "States.Timeout", "the activity was not completed in time", false);
	if (task->status == EF_TASK_SCHEDULED)
		consider(&first, task->start_by, "States.Timeout", "nobody took the activity in time", true);
	else
	{
		TimestampTz alive = task->heartbeat_at == DT_NOEND ? task->started_at : task->heartbeat_at;

		consider(&first, after(task->started_at, task->start_to_close), "States.Timeout",
				 "the activity took too long", false);
		consider(&first, after(alive, task->heartbeat), "States.HeartbeatTimeout",
				 "no heartbeat of the activity came in time", false);
	}
	return first;
}

/*
 * When to look at the attempt again.  One that is not started has timeouts that begin when it is, which the
 * branch is not told: so it looks before one of them can be over.  That would be often where a short timeout
 * meets a long queue, so old ones are looked at less often, and time out an eighth of their age late at worst.
 */
static TimestampTz
next_look(const EfTask *task, const Timeout *first, TimestampTz now)
{
	TimestampTz shortest;

	if (task->status != EF_TASK_SCHEDULED)
		return first->at;
	shortest = Min(after(now, task->start_to_close), after(now, task->heartbeat));
	if (shortest != DT_NOEND)
		shortest = Max(shortest, now + (now - task->scheduled_at) / PART_OF_AGE);
	return Min(first->at, shortest);
}

/* The branch was waked while an attempt is open. */
static EfVisitResult
look(EfVisit *visit)
{
	EfTask		task;
	EfOutcome	outcome;
	Timeout		first;

	switch (find_attempt(visit, &task, &outcome))
	{
		case FOUND_OUTCOME:
			return take_outcome(visit, &outcome);
		case FOUND_BUSY:
			return EF_VISIT_LATER;
		case FOUND_NOTHING:
			return fail(visit, "States.TaskFailed", pstrdup("the activity's task is gone"));
		case FOUND_OPEN:
			break;
	}
	first = first_timeout(&task);
	if (first.at <= ef_now())
		return end_in_timeout(visit, &task, first.error, first.cause, first.no_retry);
	return await_outcome(visit, task.step, next_look(&task, &first, ef_now()));
}

/* ---- cancelling ---- */

bool
ef_awaits_task(const EfBranch *branch)
{
	return branch->status == EF_BRANCH_AWAITING && branch->nawaits == 1 &&
		strncmp(branch->awaits[0], EF_ADDRESS_TASK, strlen(EF_ADDRESS_TASK)) == 0;
}

static bool
is_activity(const AslState *state)
{
	const char *resource = ef_resolve_resource(state->resource);

	return resource != NULL && strncmp(resource, EF_ACTIVITY_PREFIX, strlen(EF_ACTIVITY_PREFIX)) == 0;
}

/*
 * An outcome that has come, or may be just coming, counts: the work is done, and what undoes it is to be registered.
 * The request then waits for the next state.
 */
EfVisitResult
ef_cancel_task(EfVisit *visit)
{
	EfBranchKey key;
	EfTask		task;
	EfOutcome	outcome;

	visit->callback = !is_activity(visit->state);
	switch (find_attempt(visit, &task, &outcome))
	{
		case FOUND_OUTCOME:
			return take_outcome(visit, &outcome);
		case FOUND_BUSY:
			return EF_VISIT_LATER;
		case FOUND_NOTHING:
			break;
		case FOUND_OPEN:
			add_start(visit, task.status == EF_TASK_STARTED ? task.started_at : DT_NOEND, task.worker, NULL);
			break;
	}
	ef_add_event(visit, visit->callback ? EF_EVENT_FAILED : EF_EVENT_ACTIVITY_FAILED);
	ef_branch_key(visit->branch, &key);
	ef_task_cancel(&key);
	return ef_deliver_cancel(visit);
}

/* ---- scheduling an attempt ---- */

/* False: the visit has failed. */
static bool
prepare(EfVisit *visit, EfTask *task, double *timeout)
{
	EfBranch   *branch = visit->branch;
	AslTaskLimits limits;

	memset(task, 0, sizeof(*task));
	if (branch->in_query)
	{
		fail(visit, "States.Runtime", pstrdup("work outside cannot be waited for within the caller's transaction"));
		return false;
	}
	if (!asl_effective_input(visit->state, branch->data, &visit->env, &task->input, NULL, &visit->failure) ||
		!asl_task_timeout(visit->state, branch->data, &visit->env, timeout, &task->heartbeat, &visit->failure))
		return false;
	asl_task_limits(visit->state, &limits);
	ef_branch_key(branch, &task->key);
	task->step = branch->step + 1;
	task->attempt = branch->retry_count + 1;
	task->priority = limits.priority;
	task->scheduled_at = visit->began_at;
	task->start_by = after(task->scheduled_at, limits.schedule_to_start);
	task->close_by = Min(after(task->scheduled_at, *timeout), after(branch->entered_at, limits.schedule_to_close));
	task->started_at = DT_NOEND;
	task->heartbeat_at = DT_NOEND;
	task->start_to_close = limits.start_to_close > LONGEST_LIMIT ? 0 : limits.start_to_close;
	if (task->heartbeat > LONGEST_LIMIT)
		task->heartbeat = 0;
	if (branch->retry_count > 0)
		ef_task_remove_failed(&task->key, &task->details);
	return true;
}

static EfVisitResult
rest(EfVisit *visit, const EfTask *task)
{
	Timeout		first = first_timeout(task);

	ForceSyncCommit();
	return await_outcome(visit, task->step, next_look(task, &first, task->scheduled_at));
}

static EfVisitResult
schedule_activity(EfVisit *visit, const char *where)
{
	const char *slash = strchr(where, '/');
	EfTask		task;
	double		timeout;

	if (slash == NULL || slash == where || slash[1] == '\0')
		return fail(visit, "States.Runtime", psprintf("\"%s%s\" does not name a queue and an activity",
													  EF_ACTIVITY_PREFIX, where));
	if (!prepare(visit, &task, &timeout))
		return EF_VISIT_FAILED;
	task.status = EF_TASK_SCHEDULED;
	task.queue = pnstrdup(where, slash - where);
	task.name = pstrdup(slash + 1);
	ef_task_insert(&task, NULL);
	ef_announce_task(ef_queue_key(task.queue));
	ef_add_event(visit, EF_EVENT_ACTIVITY_SCHEDULED);
	return rest(visit, &task);
}

/* The function's result does not matter. */
static bool
ignore_result(Jsonb *result, void *arg, AslError *error)
{
	return true;
}

static EfVisitResult
call_function(EfVisit *visit, EfActivityCall *call, EfTask *task)
{
	EfActivityResult result;

	ef_prepare_call(visit, call);
	visit->did_work = true;
	result = ef_call_activity(call);
	visit->failure = call->failure;
	switch (result)
	{
		case EF_ACTIVITY_SUCCEEDED:
			ef_add_event(visit, EF_EVENT_SUBMITTED);
			return rest(visit, task);
		case EF_ACTIVITY_INTERRUPTED:
			(void) ef_was_interrupted_to_cancel(visit);
			ef_add_event(visit, EF_EVENT_FAILED);
			break;
		case EF_ACTIVITY_FAILED:
			ef_add_event(visit, EF_EVENT_FAILED);
			break;
		case EF_ACTIVITY_TIMED_OUT:
			ef_add_event(visit, EF_EVENT_TIMED_OUT);
			break;
		case EF_ACTIVITY_RUN_TIMED_OUT:
			return EF_VISIT_RUN_TIMED_OUT;
	}
	visit->has_task = true;
	ef_task_fail(task);
	return EF_VISIT_FAILED;
}

/* Start a run, which knows the token as far as its input tells. */
static EfVisitResult
start_run(EfVisit *visit, EfTask *task, Jsonb *effective)
{
	if (ef_start_execution(visit, effective))
	{
		ef_add_event(visit, EF_EVENT_SUBMITTED);
		return rest(visit, task);
	}
	ef_add_event(visit, EF_EVENT_FAILED);
	visit->has_task = true;
	ef_task_fail(task);
	return EF_VISIT_FAILED;
}

/* What the parameters of a service's action ask for; false: the visit has failed. */
static bool
read_action(EfVisit *visit, EfActivityCall *call)
{
	EfLambdaRequest request;
	Jsonb	   *effective = call->input;

	if (visit->execution != EF_EXECUTION_NONE)
		return true;
	if (!ef_lambda_request(effective, &request, &visit->failure))
	{
		(void) ef_fail_request(visit, ef_lambda_is_missing(&visit->failure));
		return false;
	}
	call->function = request.function;
	call->input = request.payload;
	return true;
}

static EfVisitResult
schedule_callback(EfVisit *visit, const char *function)
{
	EfActivityCall call = {.function = function, .finish = ignore_result};
	EfBranchKey key;
	EfToken		token;
	EfTask		task;

	ef_branch_key(visit->branch, &key);
	ef_token_init(&token, &key, visit->branch->step + 1);
	visit->task_token = ef_token_text(&token);
	if (!prepare(visit, &task, &call.timeout_seconds))
		return EF_VISIT_FAILED;
	call.input = task.input;
	if (function == NULL && !read_action(visit, &call))
		return EF_VISIT_FAILED;
	task.input = NULL;
	task.status = EF_TASK_STARTED;
	task.started_at = task.scheduled_at;
	task.name = visit->state->name;
	ef_task_insert(&task, token.secret);
	ef_add_event(visit, EF_EVENT_SCHEDULED);
	ef_add_event(visit, EF_EVENT_STARTED);
	if (visit->execution != EF_EXECUTION_NONE)
		return start_run(visit, &task, call.input);
	return call_function(visit, &call, &task);
}

EfVisitResult
ef_visit_activity(EfVisit *visit, const char *where)
{
	return visit->branch->status == EF_BRANCH_AWAITING ? look(visit) : schedule_activity(visit, where);
}

EfVisitResult
ef_visit_callback(EfVisit *visit, const char *function)
{
	visit->callback = true;
	return visit->branch->status == EF_BRANCH_AWAITING ? look(visit) : schedule_callback(visit, function);
}

/* ---- a token for a Task that waits for something else ---- */

void
ef_open_token(EfVisit *visit, const EfToken *token, TimestampTz timeout_at)
{
	EfTask		task = {.step = token->step, .attempt = visit->branch->retry_count + 1, .status = EF_TASK_STARTED,
	.scheduled_at = visit->began_at, .started_at = visit->began_at, .start_by = DT_NOEND, .heartbeat_at = DT_NOEND,
	.close_by = timeout_at, .name = visit->state->name};

	ef_branch_key(visit->branch, &task.key);
	ef_task_insert(&task, token->secret);
	ForceSyncCommit();
}

bool
ef_token_is_busy(const EfVisit *visit)
{
	EfBranchKey key;
	EfTask		task;

	ef_branch_key(visit->branch, &key);
	return !ef_task_lock(&key, &task) && ef_task_exists(&key);
}

bool
ef_take_token_outcome(EfVisit *visit, Jsonb *payload, EfVisitResult *result)
{
	EfOutcome	outcome;

	read_outcome(payload, &outcome);
	if (outcome.step != visit->branch->step)
		return false;
	visit->callback = true;
	*result = take_outcome(visit, &outcome);
	visit->has_task = false;
	ef_close_token(visit);
	return true;
}

void
ef_close_token(EfVisit *visit)
{
	EfBranchKey key;

	ef_branch_key(visit->branch, &key);
	ef_task_remove(&key);
}
