/*-------------------------------------------------------------------------
 *
 * state.c
 *	  One visit of a branch to a state: evaluating it, without storing anything.
 *
 * One function for each type of state.  A visit ends with the state left, at
 * rest (a wait, a retry) or failed; a later visit goes on where one came to
 * rest, which the branch's status tells.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/jsonb.h"

#include "engine/activity.h"
#include "engine/alias.h"
#include "engine/child.h"
#include "engine/engine.h"
#include "engine/external.h"
#include "engine/fork.h"
#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/receive.h"
#include "engine/saga.h"
#include "engine/service.h"
#include "engine/settings.h"
#include "engine/state.h"
#include "engine/store.h"
#include "engine/task.h"

#define LAMBDA_PREFIX "arn:aws:lambda:"
#define SQL_PREFIX "sql:"

/* A branch that visits so many states in a transaction, none of which takes time, is in a loop. */
#define MOST_STATES_BEFORE_CANCEL 100

void
ef_add_event(EfVisit *visit, char event)
{
	if (ef_is_compensation(visit->branch))
	{
		if (event == ef_entered_event(ASL_TASK))
			event = EF_EVENT_COMPENSATION_STARTED;
		else if (event == ef_exited_event(ASL_TASK))
			event = EF_EVENT_COMPENSATION_SUCCEEDED;
	}
	Assert(visit->nevents < EF_MAX_EVENTS);
	visit->events[visit->nevents++] = event;
	visit->events[visit->nevents] = '\0';
}

/* Is this the first visit since the branch came to its state? */
static bool
is_entering(const EfBranch *branch)
{
	return branch->status == EF_BRANCH_READY || branch->status == EF_BRANCH_QUEUED;
}

/* Is the scope inside an iteration of a distributed Map? */
static bool
is_in_map_run(const AslScope *scope)
{
	for (; scope->owner; scope = scope->owner->scope)
	{
		if (scope->owner->distributed)
			return true;
	}
	return false;
}

void
ef_begin_visit(EfVisit *visit, EfBranch *branch, int number)
{
	memset(visit, 0, sizeof(*visit));
	visit->branch = branch;
	visit->number = number;
	visit->state = branch->state;
	visit->began_at = ef_now();
	visit->next = branch->state->next;
	visit->variables = branch->variables;
	visit->env.context = ef_context_object;
	visit->env.context_arg = visit;
	visit->env.variables = branch->variables;
	visit->env.data_limit = ef_data_limit;
	if (is_in_map_run(branch->state->scope))
		ef_add_event(visit, EF_EVENT_OF_MAP_RUN);
	if (branch->status == EF_BRANCH_QUEUED && ef_is_iteration(branch))
		ef_add_event(visit, EF_EVENT_ITERATION_STARTED);
	if (is_entering(branch))
	{
		branch->entered_at = visit->began_at;
		ef_add_event(visit, ef_entered_event(visit->state->type));
	}
}

static void
set_failure(EfVisit *visit, const char *name, char *cause)
{
	visit->failure.name = unconstify(char *, name);
	visit->failure.cause = cause;
}

/* ---- cancelling ---- */

bool
ef_is_canceled(const AslError *failure)
{
	return failure->name != NULL && strcmp(failure->name, ASL_ERROR_CANCELED) == 0;
}

EfVisitResult
ef_deliver_cancel(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;

	branch->canceled = EF_CANCEL_DELIVERED;
	branch->cancel_delivered = true;
	set_failure(visit, ASL_ERROR_CANCELED, branch->cancel_reason);
	return EF_VISIT_FAILED;
}

/*
 * Is the branch to be told now?  States that take time are where that happens: others have no Catch, and are over
 * in no time, unless they go round in a loop.
 */
static bool
is_cancel_due(const EfVisit *visit)
{
	const EfBranch *branch = visit->branch;

	if (branch->canceled != EF_CANCEL_REQUESTED || ef_is_compensation(branch))
		return false;
	switch (visit->state->type)
	{
		case ASL_TASK:
		case ASL_WAIT:
			return true;
		case ASL_PARALLEL:
		case ASL_MAP:
			return branch->status != EF_BRANCH_JOINING;
		case ASL_PASS:
		case ASL_CHOICE:
			return visit->number >= MOST_STATES_BEFORE_CANCEL;
		case ASL_SUCCEED:
		case ASL_FAIL:
			return false;
	}
	return false;
}

static EfVisitResult
cancel(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	EfBranchKey key;

	if (ef_awaits_child_run(branch))
		return ef_cancel_child_run(visit);
	if (ef_awaits_task(branch))
		return ef_cancel_task(visit);
	/* Only a Task that has begun and not ended yet has an attempt that fails. */
	if (branch->status == EF_BRANCH_AWAITING)
		ef_add_event(visit, EF_EVENT_FAILED);
	else if (branch->status == EF_BRANCH_RETRYING && branch->run.workflow->receives)
	{
		ef_branch_key(branch, &key);
		ef_task_remove(&key);
	}
	return ef_deliver_cancel(visit);
}

/*
 * A Parallel or Map that was asked to cancel has waited for its branches, which were asked as well.  It fails then,
 * unless one of them failed for another reason.
 */
static EfVisitResult
visit_fork(EfVisit *visit)
{
	bool		asked = visit->branch->status == EF_BRANCH_JOINING && visit->branch->canceled == EF_CANCEL_REQUESTED;
	EfVisitResult result = ef_visit_fork(visit);

	if (asked && (result == EF_VISIT_LEFT || (result == EF_VISIT_FAILED && ef_is_canceled(&visit->failure))))
		return ef_deliver_cancel(visit);
	return result;
}

/*
 * The interrupt that comes with a request may come late: when the branch was told already and cleans up, or when the
 * run compensates.  That is no reason to fail, so the transaction is repeated.
 */
static void
repeat_if_interrupted_late(const EfBranch *branch)
{
	EfBranch	main = {.run = branch->run, .fixed = branch->fixed};

	if (!ef_store_load_cancel(&main))
		ef_branch_is_gone();
	if (main.canceled != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("interrupted by a request to cancel that was met before")));
}

bool
ef_was_interrupted_to_cancel(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;

	/* Told in this very transaction, the row does not say so yet. */
	if (branch->cancel_delivered)
		repeat_if_interrupted_late(branch);
	if (!ef_store_load_cancel(branch))
		ef_branch_is_gone();
	if (branch->canceled != EF_CANCEL_REQUESTED)
	{
		repeat_if_interrupted_late(branch);
		return false;
	}
	(void) ef_deliver_cancel(visit);
	return true;
}

/* ---- the types of states ---- */

static EfVisitResult
leave(EfVisit *visit)
{
	ef_add_event(visit, ef_exited_event(visit->state->type));
	return EF_VISIT_LEFT;
}

/* The output of a state whose work's result is its effective input (or what result makes of it). */
static EfVisitResult
pass_through(EfVisit *visit, Jsonb *(*result) (const AslState *state, Jsonb *effective))
{
	Jsonb	   *input = visit->branch->data;
	Jsonb	   *effective;

	if (!asl_effective_input(visit->state, input, &visit->env, &effective, NULL, &visit->failure))
		return EF_VISIT_FAILED;
	if (result)
		effective = result(visit->state, effective);
	if (!asl_output(visit->state, input, effective, &visit->env, &visit->output, &visit->variables, NULL,
					&visit->failure))
		return EF_VISIT_FAILED;
	return leave(visit);
}

static EfVisitResult
visit_choice(EfVisit *visit)
{
	if (!asl_choose(visit->state, visit->branch->data, &visit->env, &visit->next, &visit->output,
					&visit->variables, &visit->failure))
		return EF_VISIT_FAILED;
	return leave(visit);
}

static EfVisitResult
visit_wait(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;

	if (is_entering(branch))
	{
		TimestampTz until;

		if (!asl_wait_until(visit->state, branch->data, branch->entered_at, &visit->env, &until, &visit->failure))
			return EF_VISIT_FAILED;
		if (until > visit->began_at)
		{
			visit->status = EF_BRANCH_WAITING;
			visit->due_at = until;
			return EF_VISIT_RESTS;
		}
	}
	return pass_through(visit, NULL);
}

static EfVisitResult
visit_fail(EfVisit *visit)
{
	AslError	failure;

	if (asl_fail(visit->state, visit->branch->data, &visit->env, &failure, &visit->failure))
		visit->failure = failure;
	return EF_VISIT_FAILED;
}

/* ---- Task ---- */

/* The events of a Task's attempt, which AWS calls otherwise when the resource is a Lambda function. */
static char
task_event(const EfVisit *visit, char event, char lambda_event)
{
	bool		lambda = strncmp(visit->state->resource, LAMBDA_PREFIX, strlen(LAMBDA_PREFIX)) == 0;

	return lambda ? lambda_event : event;
}

/* What to do with an activity's result, while its effects can still be undone. */
bool
ef_use_result(Jsonb *result, void *arg, AslError *error)
{
	EfVisit    *visit = arg;

	if (!asl_output(visit->state, visit->branch->data, result, &visit->env, &visit->output, &visit->variables,
					NULL, error))
		return false;
	return visit->state->compensation == NULL || visit->state->compensate_before ||
		ef_register_compensation(visit, visit->output, visit->variables, error);
}

EfVisitResult
ef_finish_task(EfVisit *visit, Jsonb *result)
{
	if (!ef_use_result(result, visit, &visit->failure))
	{
		ef_add_event(visit, EF_EVENT_FAILED);
		return EF_VISIT_FAILED;
	}
	ef_add_event(visit, EF_EVENT_SUCCEEDED);
	return leave(visit);
}

static int64
remaining_time(const EfRun *run)
{
	return run->deadline == DT_NOEND ? PG_INT64_MAX : Max(run->deadline - ef_now(), 0);
}

static EfVisitResult
call_function(EfVisit *visit, EfActivityCall *call)
{
	EfActivityResult result = ef_call_activity(call);

	visit->failure = call->failure;
	switch (result)
	{
		case EF_ACTIVITY_SUCCEEDED:
			ef_add_event(visit, task_event(visit, EF_EVENT_SUCCEEDED, EF_EVENT_LAMBDA_SUCCEEDED));
			return leave(visit);
		case EF_ACTIVITY_FAILED:
			ef_add_event(visit, task_event(visit, EF_EVENT_FAILED, EF_EVENT_LAMBDA_FAILED));
			return EF_VISIT_FAILED;
		case EF_ACTIVITY_INTERRUPTED:
			(void) ef_was_interrupted_to_cancel(visit);
			ef_add_event(visit, task_event(visit, EF_EVENT_FAILED, EF_EVENT_LAMBDA_FAILED));
			return EF_VISIT_FAILED;
		case EF_ACTIVITY_TIMED_OUT:
			ef_add_event(visit, task_event(visit, EF_EVENT_TIMED_OUT, EF_EVENT_LAMBDA_TIMED_OUT));
			return EF_VISIT_FAILED;
		case EF_ACTIVITY_RUN_TIMED_OUT:
			return EF_VISIT_RUN_TIMED_OUT;
	}
	elog(ERROR, "unrecognized result of an activity: %d", (int) result);
	return EF_VISIT_FAILED;		/* keep compiler quiet */
}

void
ef_prepare_call(const EfVisit *visit, EfActivityCall *call)
{
	const EfBranch *branch = visit->branch;

	call->role = branch->run.owner;
	call->subject = ef_branch_hash(&branch->run.run_id, branch->branch_id);
	call->remaining = remaining_time(&branch->run);
	call->nested = ef_is_nested(branch);
	call->fire_triggers = !call->nested;
	call->restricted = branch->run.owner != GetUserId() && (call->nested || !ef_in_worker);
}

EfVisitResult
ef_fail_call(EfVisit *visit, EfActivityResult result, const AslError *failure, char *error)
{
	if (result == EF_ACTIVITY_RUN_TIMED_OUT)
		return EF_VISIT_RUN_TIMED_OUT;
	visit->failure.name = error;
	visit->failure.cause = failure->cause ? psprintf("%s: %s", failure->name, failure->cause) : failure->name;
	if (result == EF_ACTIVITY_INTERRUPTED)
		(void) ef_was_interrupted_to_cancel(visit);
	return EF_VISIT_FAILED;
}

EfVisitResult
ef_call_function(EfVisit *visit, EfActivityCall *call)
{
	double		heartbeat;

	if (!asl_task_timeout(visit->state, visit->branch->data, &visit->env, &call->timeout_seconds, &heartbeat,
						  &visit->failure))
		return EF_VISIT_FAILED;
	ef_prepare_call(visit, call);
	visit->did_work = true;
	ef_add_event(visit, task_event(visit, EF_EVENT_SCHEDULED, EF_EVENT_LAMBDA_SCHEDULED));
	ef_add_event(visit, task_event(visit, EF_EVENT_STARTED, EF_EVENT_LAMBDA_STARTED));
	return call_function(visit, call);
}

static EfVisitResult
visit_sql_task(EfVisit *visit, const char *function)
{
	EfActivityCall call = {.function = function, .finish = ef_use_result, .finish_arg = visit};

	if (!asl_effective_input(visit->state, visit->branch->data, &visit->env, &call.input, NULL, &visit->failure))
		return EF_VISIT_FAILED;
	return ef_call_function(visit, &call);
}

bool
ef_task_timeout_at(EfVisit *visit, TimestampTz *timeout_at)
{
	double		timeout;
	double		heartbeat;

	if (!asl_task_timeout(visit->state, visit->branch->data, &visit->env, &timeout, &heartbeat, &visit->failure))
		return false;
	*timeout_at = timeout > 0 && timeout < 1e11 ? ef_time_after(visit->began_at, (int64) (timeout * USECS_PER_SEC)) : DT_NOEND;
	return true;
}

/* Register the Task's compensation, commit that, and only then do the work. */
static EfVisitResult
register_before(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;

	if (!ef_register_compensation(visit, branch->data, branch->variables, &visit->failure))
		return EF_VISIT_FAILED;
	visit->status = EF_BRANCH_REGISTERED;
	visit->due_at = visit->began_at;
	return EF_VISIT_RESTS;
}

/* What follows "sql:": the function, and perhaps .waitForTaskToken. */
static EfVisitResult
visit_function(EfVisit *visit, const char *function)
{
	size_t		length = strlen(function);
	size_t		suffix = strlen(EF_TOKEN_SUFFIX);

	if (length > suffix && strcmp(function + length - suffix, EF_TOKEN_SUFFIX) == 0)
		return ef_visit_callback(visit, pnstrdup(function, length - suffix));
	return visit_sql_task(visit, function);
}

static EfVisitResult
visit_task(EfVisit *visit)
{
	const char *resource;

	if (visit->state->compensate_before && is_entering(visit->branch))
		return register_before(visit);
	resource = ef_resolve_resource(visit->state->resource);
	if (resource == NULL)
		return ef_visit_service(visit);
	if (strncmp(resource, SQL_PREFIX, strlen(SQL_PREFIX)) == 0)
		return visit_function(visit, resource + strlen(SQL_PREFIX));
	if (strncmp(resource, EF_ACTIVITY_PREFIX, strlen(EF_ACTIVITY_PREFIX)) == 0)
		return ef_visit_activity(visit, resource + strlen(EF_ACTIVITY_PREFIX));
	if (strncmp(resource, EF_ADDRESS_SIGNAL, strlen(EF_ADDRESS_SIGNAL)) == 0)
		return ef_visit_signal(visit, resource + strlen(EF_ADDRESS_SIGNAL));
	if (strncmp(resource, EF_ADDRESS_UPDATE, strlen(EF_ADDRESS_UPDATE)) == 0)
		return ef_visit_update(visit, resource + strlen(EF_ADDRESS_UPDATE));
	if (strncmp(resource, EF_WORKFLOW_PREFIX, strlen(EF_WORKFLOW_PREFIX)) == 0)
		return ef_visit_child_run(visit, resource + strlen(EF_WORKFLOW_PREFIX));
	set_failure(visit, "States.Runtime", psprintf("resources like \"%s\" are not supported", resource));
	return EF_VISIT_FAILED;
}

EfVisitResult
ef_visit_state(EfVisit *visit)
{
	if (is_cancel_due(visit))
		return cancel(visit);
	switch (visit->state->type)
	{
		case ASL_PASS:
			return pass_through(visit, asl_pass_result);
		case ASL_SUCCEED:
			return pass_through(visit, NULL);
		case ASL_CHOICE:
			return visit_choice(visit);
		case ASL_WAIT:
			return visit_wait(visit);
		case ASL_FAIL:
			return visit_fail(visit);
		case ASL_TASK:
			return visit_task(visit);
		case ASL_PARALLEL:
		case ASL_MAP:
			return visit_fork(visit);
	}
	elog(ERROR, "unrecognized type of state: %d", (int) visit->state->type);
	return EF_VISIT_FAILED;		/* keep compiler quiet */
}

/* ---- failures ---- */

static Jsonb *
failure_details(const EfVisit *visit, TimestampTz retry_at, int attempt)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "error", visit->failure.name);
	ef_push_text(&state, "cause", visit->failure.cause);
	ef_push_fields(&state, visit->attempt);
	if (attempt > 0)
	{
		ef_push_int(&state, "attempt", attempt);
		ef_push_text(&state, "retry_at", ef_format_time(retry_at));
	}
	return ef_end_object(&state);
}

/* The counts of retries of the branch's state, to be changed. */
static int16 *
retrier_counts(EfBranch *branch)
{
	if (branch->retrier_counts == NULL)
		branch->retrier_counts = MemoryContextAllocZero(branch->fixed, branch->state->nretriers * sizeof(int16));
	return branch->retrier_counts;
}

/* Would an attempt after that many seconds pass the time that all attempts have together? */
static bool
passes_limit(const EfVisit *visit, double delay)
{
	AslTaskLimits limits;

	if (visit->state->type != ASL_TASK)
		return false;
	asl_task_limits(visit->state, &limits);
	return limits.schedule_to_close > 0 &&
		(double) (ef_now() - visit->branch->entered_at) / USECS_PER_SEC + delay >= limits.schedule_to_close;
}

static bool
retry(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	double		delay;

	if (visit->state->nretriers == 0 || visit->no_retry ||
		!asl_retry(visit->state, &visit->failure, retrier_counts(branch), &delay))
		return false;
	if (visit->has_retry_delay)
		delay = visit->retry_delay;
	if (passes_limit(visit, delay))
		return false;
	if (branch->retry_count < PG_INT16_MAX)
		branch->retry_count++;
	visit->status = EF_BRANCH_RETRYING;
	visit->due_at = ef_time_after(ef_now(), (int64) (Min(delay, 1e10) * USECS_PER_SEC));
	visit->details = failure_details(visit, visit->due_at, branch->retry_count);
	return true;
}

EfVisitResult
ef_handle_failure(EfVisit *visit)
{
	AslError	error;
	bool		caught;

	if (retry(visit))
		return EF_VISIT_RESTS;
	ef_fail_fork(visit);
	if (visit->has_task)
	{
		EfBranchKey key;

		ef_branch_key(visit->branch, &key);
		ef_task_remove(&key);
	}
	if (!asl_catch(visit->state, visit->branch->data, &visit->failure, &visit->env, &caught, &visit->next,
				   &visit->output, &visit->variables, &error))
	{
		visit->failure = error;
		caught = false;
	}
	visit->details = failure_details(visit, 0, 0);
	return caught ? leave(visit) : EF_VISIT_FAILED;
}
