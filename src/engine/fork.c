/*-------------------------------------------------------------------------
 *
 * fork.c
 *	  Parallel and Map: starting branches, and joining what they return.
 *
 * A fork writes a row of "branch" for each branch, and its first transition,
 * which holds the input; then its own branch waits, in status joining, with the
 * number of those that have not ended in "pending".  It does all this in one
 * transaction, so nobody sees a part of it.
 *
 * How branches end, and what is kept about that in branch.context, is in join.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/resowner.h"

#include "asl/value.h"
#include "engine/activity.h"
#include "engine/advance.h"
#include "engine/alias.h"
#include "engine/fork.h"
#include "engine/history.h"
#include "engine/join.h"
#include "engine/store.h"

/* Outputs of branches that are read at a time. */
#define OUTPUTS_AT_ONCE 100

/* What a state starts. */
typedef struct Fork
{
	EfVisit    *visit;
	int			count;
	int			window;			/* how many may be at work at a time */
	int64		tolerated;		/* failures */
	Jsonb	   *input;			/* of each branch of a Parallel */
	AslMapPlan	plan;			/* of a Map */
	JsonbIterator *items;		/* of a Map, at the next one */
} Fork;

bool
ef_is_iteration(const EfBranch *branch)
{
	const AslState *owner = branch->state->scope->owner;

	return owner != NULL && owner->type == ASL_MAP;
}

/* ---- starting branches ---- */

/* The item as it was before ItemSelector, where that made something else of it. */
static Jsonb *
item_details(Jsonb *item, Jsonb *input)
{
	JsonbParseState *state = NULL;

	if (item == input)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_jsonb(&state, "value", item);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* The input of the next branch; *details for its first transition. */
static bool
next_input(Fork *fork, int index, Jsonb **input, Jsonb **details)
{
	EfVisit    *visit = fork->visit;
	JsonbValue	value;
	Jsonb	   *item;

	*input = fork->input;
	*details = NULL;
	if (visit->state->type == ASL_PARALLEL)
		return true;
	if (JsonbIteratorNext(&fork->items, &value, true) != WJB_ELEM)
		elog(ERROR, "a Map has fewer items than it should");
	item = JsonbValueToJsonb(&value);
	visit->item = item;
	visit->item_index = index;
	if (!asl_map_item_input(visit->state, visit->branch->data, item, &visit->env, input, &visit->failure))
		return false;
	visit->item = NULL;
	*details = item_details(item, *input);
	return true;
}

static void
insert_child(Fork *fork, int index, Jsonb *input, Jsonb *details, TimestampTz now)
{
	EfBranch   *parent = fork->visit->branch;
	const AslScope *scope = parent->state->scopes[parent->state->type == ASL_MAP ? 0 : index];
	EfBranch	child = {.run = parent->run, .parent_id = parent->branch_id, .item = index};
	EfTransition transition = {.began_at = now, .at = now, .events = "", .output = input, .details = details};
	EfBranchKey key;

	child.branch_id = ef_store_next_branch_id();
	child.step = parent->step + 1;
	child.data_step = child.step;
	child.status = EF_BRANCH_QUEUED;
	child.due_at = index < fork->window ? now : DT_NOEND;
	child.state = &scope->states[scope->start_at];
	child.variables = parent->variables;
	ef_store_insert_transition(&child, &transition);
	if (!ef_store_insert_branch(&child))
		elog(ERROR, "could not start a branch");
	if (index < fork->window && !parent->in_query)
	{
		ef_branch_key(&child, &key);
		ef_announce_due(&key, now);
	}
}

static bool
insert_children(Fork *fork)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "branch to be started", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	AslError   *failure = &fork->visit->failure;
	TimestampTz now = ef_now();
	bool		good = true;
	int			i;

	for (i = 0; good && i < fork->count; i++)
	{
		Jsonb	   *input;
		Jsonb	   *details;

		CHECK_FOR_INTERRUPTS();
		good = next_input(fork, i, &input, &details);
		if (good)
		{
			insert_child(fork, i, input, details, now);
			MemoryContextReset(scratch);
		}
	}
	MemoryContextSwitchTo(old);
	if (!good)
	{
		failure->name = pstrdup(failure->name);
		failure->cause = failure->cause ? pstrdup(failure->cause) : NULL;
	}
	MemoryContextDelete(scratch);
	return good;
}

/* The branch comes to wait for those that it starts. */
static void
begin_to_wait(Fork *fork)
{
	EfBranch   *branch = fork->visit->branch;
	EfJoin		join = {.window = fork->window < fork->count ? fork->window : 0, .count = fork->count,
	.tolerated = fork->tolerated};

	branch->status = EF_BRANCH_JOINING;
	branch->due_at = DT_NOEND;
	branch->pending = fork->count;
	branch->context = ef_make_join(&join);
	ef_store_ended_before(branch);
	if (branch->has_row)
		ef_store_update_branch(branch);
	else if (!ef_store_insert_branch(branch))
		elog(ERROR, "could not write the branch of a run");
	branch->has_row = true;
	branch->row_step = branch->step;
	/* Asked to cancel a moment ago, by somebody who did not see the branches. */
	if (branch->canceled == EF_CANCEL_REQUESTED)
		ef_store_cancel_children(&branch->run.run_id, branch->branch_id, branch->cancel_reason);
}

static bool
start_all(Fork *fork)
{
	if (fork->visit->state->type == ASL_MAP)
	{
		JsonbValue	value;

		fork->items = JsonbIteratorInit(&fork->plan.items->root);
		if (JsonbIteratorNext(&fork->items, &value, true) != WJB_BEGIN_ARRAY)
			elog(ERROR, "the items of a Map are no array");
	}
	ef_write_step(fork->visit, NULL);
	if (!insert_children(fork))
		return false;
	begin_to_wait(fork);
	return true;
}

/*
 * Start all branches, or none: an input that cannot be made is a failure of the state, which may be caught, so
 * what was written by then has to go.
 */
static EfVisitResult
start(Fork *fork)
{
	EfBranch	before = *fork->visit->branch;
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool good = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		good = start_all(fork);
		if (good)
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		CurrentResourceOwner = owner;
		ReThrowError(edata);
	}
	PG_END_TRY();
	fork->visit->item = NULL;
	if (!good)
	{
		RollbackAndReleaseCurrentSubTransaction();
		*fork->visit->branch = before;
	}
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return good ? EF_VISIT_FORKED : EF_VISIT_FAILED;
}

/* ---- Parallel and Map ---- */

static bool
keep_read_items(Jsonb *result, void *arg, AslError *error)
{
	*(Jsonb **) arg = result;
	return true;
}

/* The first so many elements of an array. */
static Jsonb *
first_items(Jsonb *array, double max_items)
{
	JsonbParseState *state = NULL;
	JsonbIterator *iterator = JsonbIteratorInit(&array->root);
	JsonbValue	value;
	double		count = 0;

	if (max_items <= 0 || !JB_ROOT_IS_ARRAY(array) || JB_ROOT_COUNT(array) <= max_items)
		return array;
	(void) JsonbIteratorNext(&iterator, &value, true);
	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	while (JsonbIteratorNext(&iterator, &value, true) == WJB_ELEM && count++ < max_items)
		pushJsonbValue(&state, WJB_ELEM, &value);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/* ItemReader: the rows of a set-returning function. */
static EfVisitResult
read_items(EfVisit *visit, Jsonb **items)
{
	const char *resource = ef_resolve_resource(visit->state->item_reader);
	EfActivityCall call = {.finish = keep_read_items, .finish_arg = items};
	double		max_items;
	EfActivityResult result;

	if (resource == NULL || strncmp(resource, "sql:", strlen("sql:")) != 0)
	{
		visit->failure.name = "States.Runtime";
		visit->failure.cause = psprintf("resources like \"%s\" are not supported in an ItemReader",
										visit->state->item_reader);
		return EF_VISIT_FAILED;
	}
	if (!asl_reader_arguments(visit->state, visit->branch->data, &visit->env, &call.input, &max_items,
							  &visit->failure))
		return EF_VISIT_FAILED;
	if (call.input == NULL)
		call.input = ef_empty_object();
	call.function = resource + strlen("sql:");
	ef_prepare_call(visit, &call);
	result = ef_call_activity(&call);
	if (result == EF_ACTIVITY_RUN_TIMED_OUT)
		return EF_VISIT_RUN_TIMED_OUT;
	if (result != EF_ACTIVITY_SUCCEEDED)
	{
		visit->failure = call.failure;
		if (result == EF_ACTIVITY_INTERRUPTED)
			(void) ef_was_interrupted_to_cancel(visit);
		return EF_VISIT_FAILED;
	}
	*items = first_items(*items, max_items);
	return EF_VISIT_LEFT;
}

/* How many failures are tolerated: what both limits allow, where they are given. */
static int64
tolerated_failures(const AslMapPlan *plan)
{
	double		by_count = plan->tolerated_count > 0 ? plan->tolerated_count : plan->nitems;
	double		by_percentage = plan->tolerated_percentage > 0 ?
	floor(plan->tolerated_percentage * plan->nitems / 100.0) : plan->nitems;

	if (plan->tolerated_count <= 0 && plan->tolerated_percentage <= 0)
		return 0;
	return (int64) Min(Min(by_count, by_percentage), plan->nitems);
}

/* What is to be started; EF_VISIT_LEFT if that is known. */
static EfVisitResult
plan_fork(Fork *fork)
{
	EfVisit    *visit = fork->visit;
	Jsonb	   *input = visit->branch->data;
	Jsonb	   *read = NULL;

	if (visit->state->type == ASL_PARALLEL)
	{
		fork->count = fork->window = visit->state->nscopes;
		return asl_effective_input(visit->state, input, &visit->env, &fork->input, NULL, &visit->failure) ?
			EF_VISIT_LEFT : EF_VISIT_FAILED;
	}
	if (visit->state->item_reader)
	{
		EfVisitResult result = read_items(visit, &read);

		if (result != EF_VISIT_LEFT)
			return result;
	}
	if (!asl_map_plan(visit->state, input, read, &visit->env, &fork->plan, &visit->failure))
	{
		if (fork->plan.nitems >= 0)
			ef_add_event(visit, EF_EVENT_MAP_STARTED);
		return EF_VISIT_FAILED;
	}
	fork->count = fork->plan.nitems;
	fork->window = fork->plan.max_concurrency > 0 ? Min(fork->plan.max_concurrency, fork->count) : fork->count;
	fork->tolerated = tolerated_failures(&fork->plan);
	return EF_VISIT_LEFT;
}

static EfVisitResult
leave(EfVisit *visit, Jsonb *outputs)
{
	bool		map = visit->state->type == ASL_MAP;

	if (visit->state->distributed)
		ef_add_event(visit, EF_EVENT_MAP_RUN_SUCCEEDED);
	ef_add_event(visit, map ? EF_EVENT_MAP_SUCCEEDED : EF_EVENT_PARALLEL_SUCCEEDED);
	if (!asl_output(visit->state, visit->branch->data, outputs, &visit->env, &visit->output, &visit->variables,
					NULL, &visit->failure))
		return EF_VISIT_FAILED;
	ef_add_event(visit, ef_exited_event(visit->state->type));
	return EF_VISIT_LEFT;
}

static Jsonb *
empty_array(void)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_ARRAY, NULL));
}

/*
 * What the branches returned, as an array.  Each of them has passed the limit of data; here is the first place where
 * all are together, so of what is too large the rest is not even read.
 */
static bool
read_outputs(EfVisit *visit, Jsonb **result)
{
	EfBranch   *branch = visit->branch;
	JsonbValue	array = asl_value_empty_array();
	EfOutput	page[OUTPUTS_AT_ONCE];
	int64		bytes = JENTRY_OFFLENMASK;	/* that an array can have, at most */
	int64		size = 0;
	int64		limit = visit->env.data_limit;
	int32		last = -1;
	int			count;
	int			i;

	do
	{
		count = ef_store_join_children(branch, last, &bytes, page, OUTPUTS_AT_ONCE);
		for (i = 0; i < count; i++)
		{
			last = page[i].item;
			branch->step = Max(branch->step, page[i].step);
			if (bytes > 0)
			{
				JsonbValue	output = asl_value_of(page[i].output);

				asl_array_append(&array, &output);
				size += limit > 0 ? asl_compact_size(page[i].output) : 0;
			}
		}
		if (size > limit)
			bytes = 0;
	} while (count == OUTPUTS_AT_ONCE);
	if (bytes <= 0)
		return asl_too_large(visit->state->name, &visit->failure);
	return asl_value_build(&array, result, &visit->failure);
}

/* All branches have ended, one way or the other. */
static EfVisitResult
join(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	Jsonb	   *outputs;
	EfJoin		how;

	ef_read_join(branch->context, &how);
	branch->context = NULL;
	if (how.step > 0)
	{
		visit->failure = how.failure;
		visit->branch_failed = true;
		branch->step = Max(branch->step, how.step);
		branch->joined = true;	/* where some had succeeded before a request to cancel */
		return EF_VISIT_FAILED;
	}
	if (!read_outputs(visit, &outputs))
	{
		visit->branch_failed = true;
		return EF_VISIT_FAILED;
	}
	return leave(visit, outputs);
}

void
ef_fail_fork(EfVisit *visit)
{
	if (!visit->branch_failed)
		return;
	if (visit->state->distributed)
		ef_add_event(visit, EF_EVENT_MAP_RUN_FAILED);
	ef_add_event(visit, visit->state->type == ASL_MAP ? EF_EVENT_MAP_FAILED : EF_EVENT_PARALLEL_FAILED);
}

static void
add_start_events(EfVisit *visit)
{
	ef_add_event(visit, visit->state->type == ASL_MAP ? EF_EVENT_MAP_STARTED : EF_EVENT_PARALLEL_STARTED);
	if (visit->state->distributed)
		ef_add_event(visit, EF_EVENT_MAP_RUN_STARTED);
}

EfVisitResult
ef_visit_fork(EfVisit *visit)
{
	Fork		fork = {.visit = visit};
	EfVisitResult result;

	if (visit->branch->status == EF_BRANCH_JOINING)
		return join(visit);
	result = plan_fork(&fork);
	if (result != EF_VISIT_LEFT)
		return result;
	add_start_events(visit);
	return fork.count > 0 ? start(&fork) : leave(visit, empty_array());
}
