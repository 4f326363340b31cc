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
#include "engine/history.h"
#include "engine/settings.h"
#include "engine/state.h"
#include "engine/store.h"

/* How long states that do no work may share a transaction. */
#define LONGEST_WITHOUT_WORK (200 * INT64CONST(1000))

typedef struct Advance
{
	EfBranch   *branch;
	bool		in_query;
	bool		did_work;		/* an SQL activity has run */
	TimestampTz began_at;		/* by the real clock */
} Advance;

/* ---- storing ---- */

static bool
is_same_data(const Jsonb *a, const Jsonb *b)
{
	return a == b || (VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0);
}

/* Take the branch's next step: a row of history, with the output if there is a new one. */
static void
write_step(const EfVisit *visit, Jsonb *output)
{
	EfBranch   *branch = visit->branch;
	EfTransition transition;

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
}

/* The state was left: go on to the next one.  False if there is none. */
static bool
go_on(const EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	bool		changed = !is_same_data(visit->output, branch->data);

	write_step(visit, changed ? visit->output : NULL);
	ef_branch_set_data(branch, changed ? visit->output : branch->data, visit->variables);
	forget_state(branch);
	if (visit->next == ASL_END)
		return false;
	branch->state = &branch->state->scope->states[visit->next];
	return true;
}

/* The state is at rest until a time, and the run's deadline at the latest. */
static EfAdvanceResult
come_to_rest(const EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	EfBranchKey key;

	write_step(visit, NULL);
	branch->status = visit->status;
	branch->due_at = Min(visit->due_at, branch->run.deadline);
	if (!branch->has_row)
		return EF_ADVANCE_WAITING;
	ef_store_update_branch(branch);
	if (branch->due_at != DT_NOEND)
	{
		key.run_id = branch->run.run_id;
		key.branch_id = branch->branch_id;
		ef_announce_due(&key, branch->due_at);
	}
	return EF_ADVANCE_WAITING;
}

static EfAdvanceResult
close_run(const EfBranch *branch, const EfEnd *end)
{
	EfClosing	closing;

	closing.status = end->status;
	closing.step = end->status == EF_RUN_SUCCEEDED ? branch->data_step : branch->step;
	closing.error = end->error;
	closing.cause = end->cause;
	if (branch->has_row)
	{
		ef_store_delete_branch(branch);
		ForceSyncCommit();
	}
	ef_store_insert_closed_run(&branch->run.run_id, &closing);
	ef_announce_closed(&branch->run.run_id);
	return EF_ADVANCE_CLOSED;
}

/* ---- the ends of a run ---- */

static EfAdvanceResult
succeed(const EfBranch *branch, EfEnd *end)
{
	end->status = EF_RUN_SUCCEEDED;
	end->error = NULL;
	end->cause = NULL;
	return close_run(branch, end);
}

static EfAdvanceResult
fail(const EfVisit *visit, EfEnd *end)
{
	write_step(visit, NULL);
	end->status = EF_RUN_FAILED;
	end->error = visit->failure.name;
	end->cause = visit->failure.cause;
	return close_run(visit->branch, end);
}

static EfAdvanceResult
time_out(const EfBranch *branch, EfEnd *end)
{
	end->status = EF_RUN_TIMED_OUT;
	end->error = "States.Timeout";
	end->cause = "the run took longer than its timeout";
	return close_run(branch, end);
}

/* ---- advancing ---- */

static bool
is_commit_due(const Advance *context)
{
	TimestampTz age;

	if (context->in_query)
		return false;
	age = GetCurrentTimestamp() - context->began_at;
	return age >= (context->did_work ? (TimestampTz) (ef_transaction_budget * 1000) : LONGEST_WITHOUT_WORK);
}

/* Visit the branch's state.  False: go on with the next one. */
static bool
visit_and_store(Advance *context, EfAdvanceResult *result, EfEnd *end)
{
	EfBranch   *branch = context->branch;
	EfVisit		visit;
	EfVisitResult outcome;

	ef_begin_visit(&visit, branch, context->in_query);
	outcome = ef_visit_state(&visit);
	if (outcome == EF_VISIT_FAILED)
		outcome = ef_handle_failure(&visit);
	context->did_work |= visit.did_work;
	switch (outcome)
	{
		case EF_VISIT_LEFT:
			if (go_on(&visit))
				return false;
			*result = succeed(branch, end);
			break;
		case EF_VISIT_RESTS:
			*result = come_to_rest(&visit);
			break;
		case EF_VISIT_FAILED:
			*result = fail(&visit, end);
			break;
		case EF_VISIT_RUN_TIMED_OUT:
			write_step(&visit, NULL);
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
		if (ef_now() >= branch->run.deadline)
			return time_out(branch, end);
		if (visit_and_store(context, &result, end))
			return result;
		if (is_commit_due(context))
		{
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
ef_advance_loaded(EfBranch *branch, bool in_query, EfEnd *end)
{
	Advance		context = {.branch = branch, .in_query = in_query, .began_at = GetCurrentTimestamp()};
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

EfAdvanceResult
ef_advance_branch(const EfBranchKey *key)
{
	EfBranch   *branch;
	EfAdvanceResult result;
	EfEnd		end;
	bool		busy;

	branch = ef_claim_branch(key, false, &busy);
	if (branch == NULL)
		return busy ? EF_ADVANCE_BUSY : EF_ADVANCE_NOT_DUE;
	result = ef_advance_loaded(branch, false, &end);
	if (result != EF_ADVANCE_MORE)
		ef_release_branch_at_commit();
	return result;
}
