/*-------------------------------------------------------------------------
 *
 * advance.c
 *	  Advancing a branch: state after state, until it must wait or a commit is
 *	  due.
 *
 * Each visit to a state writes one row of history; the branch's own row is
 * written once, at the end.  A commit is due after an SQL activity, unless the
 * transaction is younger than expense_flow.transaction_budget.  States that do
 * no work do not need one, but nor may they run in one transaction for ever: a
 * loop of them gets a commit now and then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "engine/advance.h"
#include "engine/child.h"
#include "engine/flush.h"
#include "engine/fork.h"
#include "engine/history.h"
#include "engine/join.h"
#include "engine/mailbox.h"
#include "engine/saga.h"
#include "engine/settings.h"
#include "engine/state.h"
#include "engine/store.h"
#include "engine/task.h"
#include "engine/update.h"

/* How long states that do no work may share a transaction. */
#define LONGEST_WITHOUT_WORK (200 * INT64CONST(1000))

typedef struct Advance
{
	EfBranch   *branch;
	bool		did_work;		/* an SQL activity has run */
	int			visits;			/* so far */
	TimestampTz began_at;		/* by the real clock */
} Advance;

/* ---- storing ---- */

static bool
is_same_data(const Jsonb *a, const Jsonb *b)
{
	return a == b || (VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0);
}

void
ef_write_step(const EfVisit *visit, Jsonb *output)
{
	EfBranch   *branch = visit->branch;
	EfTransition transition;

	if (branch->step == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a run cannot have more than %d steps one after the other", PG_INT32_MAX)));
	branch->step++;
	if (output)
		branch->data_step = branch->step;
	transition.began_at = visit->began_at;
	transition.at = ef_now();
	transition.events = visit->events;
	transition.state = visit->state->name;
	transition.output = output;
	transition.details = visit->details;
	ef_store_insert_transition(branch, &transition);
}

static void
forget_state(EfBranch *branch)
{
	branch->status = EF_BRANCH_READY;
	branch->retry_count = 0;
	branch->retrier_counts = NULL;
	branch->context = NULL;
	branch->pending = 0;
}

/* The state was left: go on to the next one.  False if there is none. */
static bool
go_on(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	bool		changed = !is_same_data(visit->output, branch->data);

	if (visit->next == ASL_END && ef_is_iteration(branch))
		ef_add_event(visit, EF_EVENT_ITERATION_SUCCEEDED);
	ef_write_step(visit, changed ? visit->output : NULL);
	ef_branch_set_data(branch, changed ? visit->output : branch->data, visit->variables);
	forget_state(branch);
	if (visit->next == ASL_END)
		return false;
	branch->state = &branch->state->scope->states[visit->next];
	return true;
}

/* The state is at rest until a time, and the run's deadline at the latest.  It may be so as before: then that is no step. */
static EfAdvanceResult
come_to_rest(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	EfBranchKey key;

	if (visit->nevents > 0)
		ef_write_step(visit, NULL);
	branch->status = visit->status;
	branch->context = NULL;
	branch->pending = 0;
	branch->due_at = Min(visit->due_at, branch->run.deadline);
	if (!branch->has_row)
		return EF_ADVANCE_WAITING;
	ef_store_ended_before(branch);
	ef_store_update_branch(branch);
	if (branch->due_at != DT_NOEND && !branch->in_query)
	{
		ef_branch_key(branch, &key);
		ef_announce_due(&key, branch->due_at);
	}
	return EF_ADVANCE_WAITING;
}

/* ---- the ends of a branch, or of its run ---- */

void
ef_finish_closing(const EfRun *run, const EfClosing *closing, Jsonb *output)
{
	ef_store_insert_closed_run(&run->run_id, closing);
	ef_announce_closed(&run->run_id);
	ef_tell_parent(run, closing->status, output, closing->error, closing->cause);
	if (run->workflow->receives)
		ef_parent_has_closed(&run->run_id);
}

static EfAdvanceResult
close_run(EfBranch *branch, EfEnd *end)
{
	EfClosing	closing;

	if (ef_begin_compensating(branch, end))
	{
		end->status = 0;
		return EF_ADVANCE_WAITING;
	}
	if (end->status == EF_RUN_SUCCEEDED)
		ef_forget_compensations(&branch->run);
	closing.status = end->status;
	closing.step = end->status == EF_RUN_SUCCEEDED ? branch->data_step : branch->step;
	closing.error = end->error;
	closing.cause = end->cause;
	closing.variables = branch->variables;
	if (branch->has_row)
	{
		ef_store_delete_branch(branch);
		if (branch->status == EF_BRANCH_JOINING)
			ef_store_delete_children(&branch->run.run_id, branch->branch_id);
		if (branch->run.workflow->receives)
		{
			ef_task_remove_of_run(&branch->run.run_id);
			ef_delete_messages(&branch->run.run_id);
		}
	}
	ef_finish_closing(&branch->run, &closing, end->status == EF_RUN_SUCCEEDED ? branch->data : NULL);
	return EF_ADVANCE_CLOSED;
}

static void
set_end(EfEnd *end, char status, char *error, char *cause)
{
	end->status = status;
	end->error = error;
	end->cause = cause;
}

/* A run that was told to cancel and cleaned up is canceled. */
static EfAdvanceResult
succeed(EfBranch *branch, EfEnd *end)
{
	if (ef_is_compensation(branch))
		return ef_end_compensation(branch, NULL, end);
	if (branch->parent_id != EF_NO_PARENT)
	{
		set_end(end, 0, NULL, NULL);
		ef_end_child(branch, NULL);
		return EF_ADVANCE_CLOSED;
	}
	if (branch->canceled == EF_CANCEL_DELIVERED)
		set_end(end, EF_RUN_CANCELED, ASL_ERROR_CANCELED, branch->cancel_reason);
	else
		set_end(end, EF_RUN_SUCCEEDED, NULL, NULL);
	return close_run(branch, end);
}

static EfAdvanceResult
fail(EfVisit *visit, EfEnd *end)
{
	EfBranch   *branch = visit->branch;
	bool		canceled;

	ef_give_up_update(branch, &visit->failure);
	if (ef_is_compensation(branch))
	{
		ef_add_event(visit, EF_EVENT_COMPENSATION_FAILED);
		ef_write_step(visit, NULL);
		return ef_end_compensation(branch, &visit->failure, end);
	}
	if (ef_is_iteration(branch))
		ef_add_event(visit, EF_EVENT_ITERATION_FAILED);
	ef_write_step(visit, NULL);
	if (branch->parent_id != EF_NO_PARENT)
	{
		set_end(end, 0, NULL, NULL);
		ef_end_child(branch, &visit->failure);
		return EF_ADVANCE_CLOSED;
	}
	canceled = branch->canceled == EF_CANCEL_DELIVERED && ef_is_canceled(&visit->failure);
	set_end(end, canceled ? EF_RUN_CANCELED : EF_RUN_FAILED, visit->failure.name, visit->failure.cause);
	return close_run(branch, end);
}

/* The run's deadline has passed, and any of its branches may be the first to notice. */
static EfAdvanceResult
time_out(EfBranch *branch, EfEnd *end)
{
	set_end(end, EF_RUN_TIMED_OUT, "States.Timeout", "the run took longer than its timeout");
	ef_give_up_update(branch, &(AslError) {end->error, end->cause});
	if (branch->parent_id == EF_NO_PARENT)
		return close_run(branch, end);
	if (!ef_is_nested(branch))
		ef_forget_ended();
	if (ef_begin_compensating(branch, end))
	{
		end->status = 0;
		return EF_ADVANCE_CLOSED;
	}
	if (!ef_end_run(&branch->run.run_id, end->status, end->error, end->cause))
		ef_branch_is_gone();
	return EF_ADVANCE_CLOSED;
}

/* ---- advancing ---- */

static bool
is_commit_due(const Advance *context)
{
	TimestampTz age;

	if (context->branch->update)
		return ef_is_update_answered(context->branch->update);
	if (context->branch->in_query)
		return false;
	age = GetCurrentTimestamp() - (ef_shared_since() ? ef_shared_since() : context->began_at);
	return age >= (context->did_work ? (TimestampTz) (ef_transaction_budget * 1000) : LONGEST_WITHOUT_WORK);
}

/* A Task that has been left has registered its compensation, or does it now; false: it fails. */
static bool
register_at_last(EfVisit *visit)
{
	const AslState *state = visit->state;

	if (state->compensation == NULL || state->compensate_before || visit->registered)
		return true;
	return ef_register_compensation(visit, visit->output, visit->variables, &visit->failure);
}

/* Visit the branch's state.  False: go on with the next one. */
static bool
visit_and_store(Advance *context, EfAdvanceResult *result, EfEnd *end)
{
	EfBranch   *branch = context->branch;
	EfVisit		visit;
	EfVisitResult outcome;

	ef_begin_visit(&visit, branch, context->visits++);
	outcome = ef_visit_state(&visit);
	if (outcome == EF_VISIT_LEFT && !register_at_last(&visit))
		outcome = EF_VISIT_FAILED;
	if (outcome == EF_VISIT_FAILED)
		outcome = ef_handle_failure(&visit);
	context->did_work |= visit.did_work;
	switch (outcome)
	{
		case EF_VISIT_LEFT:
			ef_answer_update(&visit);
			if (go_on(&visit))
				return false;
			*result = succeed(branch, end);
			break;
		case EF_VISIT_RESTS:
			ef_note_retry(&visit);
			*result = come_to_rest(&visit);
			break;
		case EF_VISIT_FORKED:
			*result = EF_ADVANCE_WAITING;
			break;
		case EF_VISIT_LATER:
			*result = EF_ADVANCE_LATER;
			break;
		case EF_VISIT_FAILED:
			*result = fail(&visit, end);
			break;
		case EF_VISIT_RUN_TIMED_OUT:
			ef_write_step(&visit, NULL);
			*result = time_out(branch, end);
			break;
	}
	return true;
}

static EfAdvanceResult
advance(Advance *context, EfEnd *end)
{
	EfBranch   *branch = context->branch;
	EfAdvanceResult result = EF_ADVANCE_MORE;

	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(branch->scratch);
		if (branch->status == EF_BRANCH_COMPENSATING)
		{
			/* Waked by mistake. */
			branch->due_at = DT_NOEND;
			ef_store_update_branch(branch);
			return EF_ADVANCE_WAITING;
		}
		if (ef_now() >= branch->run.deadline)
			return time_out(branch, end);
		if (visit_and_store(context, &result, end))
			return result;
		if (is_commit_due(context))
		{
			ef_store_ended_before(branch);
			ef_store_update_branch(branch);
			return EF_ADVANCE_MORE;
		}
	}
}

static void
error_context(void *arg)
{
	const EfBranch *branch = arg;

	errcontext("state \"%s\" of workflow \"%s\"", branch->state->name, branch->run.workflow->name);
}

EfAdvanceResult
ef_advance_loaded(EfBranch *branch, EfEnd *end)
{
	Advance		context = {.branch = branch, .began_at = GetCurrentTimestamp()};
	MemoryContext old = MemoryContextSwitchTo(branch->scratch);
	ErrorContextCallback callback;
	EfAdvanceResult result;

	callback.callback = error_context;
	callback.arg = branch;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	result = advance(&context, end);
	error_context_stack = callback.previous;
	MemoryContextSwitchTo(old);
	return result;
}

static EfAdvanceResult
advance_claimed(EfBranch *branch)
{
	EfEnd		end;
	EfAdvanceResult result = ef_advance_loaded(branch, &end);

	if (result == EF_ADVANCE_CLOSED && end.status != 0)
		ef_commit_end_of_run();
	if (result != EF_ADVANCE_MORE)
		ef_release_branch_at_commit();
	return result;
}

EfAdvanceResult
ef_advance_branch(const EfBranchKey *key)
{
	bool		busy;
	EfBranch   *branch = ef_claim_branch(key, false, &busy);

	if (branch == NULL)
		return busy ? EF_ADVANCE_BUSY : EF_ADVANCE_NOT_DUE;
	return advance_claimed(branch);
}

EfAdvanceResult
ef_advance_sibling(const EfBranchKey *key)
{
	bool		busy;
	EfBranch   *branch;

	ef_keep_branch_until_commit();
	branch = ef_claim_branch(key, false, &busy);
	if (branch == NULL)
		return busy ? EF_ADVANCE_BUSY : EF_ADVANCE_NOT_DUE;
	if (!ef_is_sibling_of_ended(branch) || ef_is_compensation(branch))
	{
		ef_release_branch();
		return EF_ADVANCE_APART;
	}
	ef_limit_sharing();
	return advance_claimed(branch);
}
