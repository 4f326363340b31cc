/*-------------------------------------------------------------------------
 *
 * fork.c
 *	  Parallel and Map: starting branches, and joining what they return.
 *
 * A fork writes a row of "branch" for each branch (spawn.c), and its first transition,
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
#include "engine/fork.h"
#include "engine/history.h"
#include "engine/join.h"
#include "engine/map_reader.h"
#include "engine/map_writer.h"
#include "engine/spawn.h"
#include "engine/store.h"

/* Outputs of branches that are read at a time. */
#define OUTPUTS_AT_ONCE 100

bool
ef_is_iteration(const EfBranch *branch)
{
	const AslState *owner = branch->state->scope->owner;

	return owner != NULL && owner->type == ASL_MAP;
}

/* ---- leaving ---- */

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

/* The outputs become rows of a table. */
static EfVisitResult
leave_with_summary(EfVisit *visit)
{
	Jsonb	   *summary;
	EfVisitResult result = ef_write_results(visit, &summary);

	return result == EF_VISIT_LEFT ? leave(visit, summary) : result;
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
	if (visit->state->result_writer)
		return leave_with_summary(visit);
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

void
ef_add_fork_started(EfVisit *visit)
{
	ef_add_event(visit, visit->state->type == ASL_MAP ? EF_EVENT_MAP_STARTED : EF_EVENT_PARALLEL_STARTED);
	if (visit->state->distributed)
		ef_add_event(visit, EF_EVENT_MAP_RUN_STARTED);
}

/* ---- starting branches ---- */

/* How many failures are tolerated, of so many items: what both limits allow, where they are given. */
static int64
tolerated_failures(const AslMapPlan *plan, int nitems)
{
	double		by_count = plan->tolerated_count > 0 ? plan->tolerated_count : nitems;
	double		by_percentage = plan->tolerated_percentage > 0 ?
	floor(plan->tolerated_percentage * nitems / 100.0) : nitems;

	if (plan->tolerated_count <= 0 && plan->tolerated_percentage <= 0)
		return 0;
	return (int64) Min(Min(by_count, by_percentage), nitems);
}

static bool
start_branches(EfSpawn *spawn)
{
	EfVisit    *visit = spawn->visit;
	Jsonb	   *input;
	int			i;

	if (!asl_effective_input(visit->state, visit->branch->data, &visit->env, &input, NULL, &visit->failure))
		return false;
	ef_add_fork_started(visit);
	for (i = 0; i < visit->state->nscopes; i++)
		ef_spawn_branch(spawn, input);
	return ef_spawn_end(spawn);
}

static bool
start_iterations(EfSpawn *spawn, Jsonb *items)
{
	JsonbIterator *iterator = JsonbIteratorInit(&items->root);
	JsonbValue	value;
	bool		good = true;

	if (JsonbIteratorNext(&iterator, &value, true) != WJB_BEGIN_ARRAY)
		elog(ERROR, "the items of a Map are no array");
	ef_add_fork_started(spawn->visit);
	while (good && JsonbIteratorNext(&iterator, &value, true) == WJB_ELEM)
	{
		Jsonb	   *item = JsonbValueToJsonb(&value);

		good = ef_spawn_item(spawn, item);
		pfree(item);
	}
	return good && ef_spawn_end(spawn);
}

/*
 * Start all branches, or none: an input that cannot be made is a failure of the state, which may be caught, so
 * what was written by then has to go.
 */
static bool
start_all(EfSpawn *spawn, Jsonb *items)
{
	EfBranch	before = *spawn->visit->branch;
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool good = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		good = items ? start_iterations(spawn, items) : start_branches(spawn);
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
	if (!good)
	{
		RollbackAndReleaseCurrentSubTransaction();
		*spawn->visit->branch = before;
	}
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return good;
}

/* Wait for what has been started; there may be nothing. */
static EfVisitResult
wait_for_branches(EfSpawn *spawn, int64 tolerated)
{
	if (spawn->count == 0 && spawn->visit->state->result_writer)
		return leave_with_summary(spawn->visit);
	if (spawn->count == 0)
		return leave(spawn->visit, empty_array());
	ef_spawn_wait(spawn, tolerated);
	return EF_VISIT_FORKED;
}

static EfVisitResult
visit_parallel(EfVisit *visit)
{
	EfSpawn		spawn;

	if (!ef_spawn_init(&spawn, visit, 0, false) || !start_all(&spawn, NULL))
		return EF_VISIT_FAILED;
	return wait_for_branches(&spawn, 0);
}

/* Plan a Map; read: what its ItemReader has read, or NULL. */
static bool
plan_map(EfVisit *visit, Jsonb *read, AslMapPlan *plan)
{
	if (asl_map_plan(visit->state, visit->branch->data, read, &visit->env, plan, &visit->failure))
		return true;
	if (plan->nitems >= 0)
		ef_add_event(visit, EF_EVENT_MAP_STARTED);
	return false;
}

static EfVisitResult
visit_map(EfVisit *visit)
{
	Jsonb	   *read = visit->state->item_reader ? empty_array() : NULL;
	AslMapPlan	plan;
	EfSpawn		spawn;
	EfVisitResult result = EF_VISIT_LEFT;

	if (!ef_check_writer(visit))
		return EF_VISIT_FAILED;
	if (!asl_map_selects_items(visit->state) && read)
	{
		if (!plan_map(visit, read, &plan) || !ef_spawn_init(&spawn, visit, plan.max_concurrency, true))
			return EF_VISIT_FAILED;
		result = ef_read_items(visit, &spawn, &read);
		if (result == EF_VISIT_LEFT && read == NULL)
			return wait_for_branches(&spawn, tolerated_failures(&plan, spawn.count));
	}
	else if (read)
		result = ef_read_items(visit, NULL, &read);
	if (result != EF_VISIT_LEFT)
		return result;
	if (!plan_map(visit, read, &plan) || !ef_spawn_init(&spawn, visit, plan.max_concurrency, false) ||
		!start_all(&spawn, plan.items))
		return EF_VISIT_FAILED;
	return wait_for_branches(&spawn, tolerated_failures(&plan, spawn.count));
}

EfVisitResult
ef_visit_fork(EfVisit *visit)
{
	if (visit->branch->status == EF_BRANCH_JOINING)
		return join(visit);
	return visit->state->type == ASL_MAP ? visit_map(visit) : visit_parallel(visit);
}
