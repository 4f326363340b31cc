/*-------------------------------------------------------------------------
 *
 * spawn.c
 *	  Starting the branches of a Parallel or Map, some at a time.
 *
 * Branches are written in groups, with two statements for each group, and only
 * one group is in memory: the items of a Map may come from a function that
 * returns a million rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "engine/advance.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/join.h"
#include "engine/spawn.h"

bool
ef_spawn_init(EfSpawn *spawn, EfVisit *visit, int max_concurrency, bool batch)
{
	memset(spawn, 0, offsetof(EfSpawn, waiting));
	spawn->visit = visit;
	spawn->window = max_concurrency > 0 ? max_concurrency : PG_INT32_MAX;
	spawn->now = ef_now();
	spawn->scratch = AllocSetContextCreate(CurrentMemoryContext, "branch to be started", ALLOCSET_DEFAULT_SIZES);
	spawn->context = AllocSetContextCreate(CurrentMemoryContext, "branches to be started", ALLOCSET_DEFAULT_SIZES);
	return !batch || !asl_map_is_batched(visit->state) ||
		asl_batcher_create(visit->state, visit->branch->data, &visit->env, &spawn->batcher, &visit->failure);
}

/* ---- writing ---- */

static void
write_waiting(EfSpawn *spawn)
{
	EfBranch   *parent = spawn->visit->branch;
	EfBranchKey key;
	int			i;

	if (spawn->nwaiting == 0)
		return;
	ef_store_insert_children(parent, spawn->waiting, spawn->nwaiting, spawn->window, spawn->now);
	ef_branch_key(parent, &key);
	for (i = 0; i < spawn->nwaiting && !parent->in_query; i++)
	{
		key.branch_id = spawn->waiting[i].branch_id;
		if (spawn->waiting[i].item < spawn->window)
			ef_announce_due(&key, spawn->now);
	}
	MemoryContextReset(spawn->context);
	spawn->nwaiting = 0;
	spawn->size = 0;
}

static Jsonb *
keep(EfSpawn *spawn, Jsonb *value)
{
	Jsonb	   *copy;

	if (value == NULL)
		return NULL;
	copy = MemoryContextAlloc(spawn->context, VARSIZE(value));
	spawn->size += VARSIZE(value);
	return memcpy(copy, value, VARSIZE(value));
}

static void
add(EfSpawn *spawn, Jsonb *input, Jsonb *details)
{
	EfVisit    *visit = spawn->visit;
	const AslScope *scope = visit->state->scopes[visit->state->type == ASL_MAP ? 0 : spawn->count];
	EfNewBranch *branch;

	if (!spawn->began)
	{
		spawn->began = true;
		ef_write_step(visit, NULL);
	}
	if (spawn->count == PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many items for a Map")));
	branch = &spawn->waiting[spawn->nwaiting++];
	branch->branch_id = ef_store_next_branch_id();
	branch->item = spawn->count++;
	branch->state = scope->states[scope->start_at].name;
	branch->input = keep(spawn, input);
	branch->details = keep(spawn, details);
	if (spawn->nwaiting == EF_SPAWN_COUNT || spawn->size >= EF_SPAWN_BYTES)
		write_waiting(spawn);
}

/* ---- branches and items ---- */

void
ef_spawn_branch(EfSpawn *spawn, Jsonb *input)
{
	add(spawn, input, NULL);
}

/* The item as it was before ItemSelector, where that made something else of it. */
static Jsonb *
item_details(Jsonb *item, Jsonb *input)
{
	JsonbParseState *state = NULL;

	if (item == input)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_jsonb(&state, "value", item);
	return ef_end_object(&state);
}

/* An item, or batch of items, for an iteration of its own. */
static bool
add_iteration(EfSpawn *spawn, Jsonb *item)
{
	EfVisit    *visit = spawn->visit;
	Jsonb	   *input;

	visit->item = item;
	visit->item_index = spawn->count;
	if (!asl_map_item_input(visit->state, visit->branch->data, item, &visit->env, &input, &visit->failure))
		return false;
	visit->item = NULL;
	add(spawn, input, item_details(item, input));
	return true;
}

/* What the failure says is in the memory of one item. */
static void
keep_failure(AslError *failure)
{
	failure->name = failure->name ? pstrdup(failure->name) : NULL;
	failure->cause = failure->cause ? pstrdup(failure->cause) : NULL;
}

/* The next item, or (NULL) the end. */
static bool
add_item(EfSpawn *spawn, Jsonb *item)
{
	EfVisit    *visit = spawn->visit;
	MemoryContext old = MemoryContextSwitchTo(spawn->scratch);
	bool		good = true;

	CHECK_FOR_INTERRUPTS();
	if (spawn->batcher)
	{
		Jsonb	   *batch;

		good = item ? asl_batcher_add(spawn->batcher, item, &batch, &visit->failure) :
			asl_batcher_end(spawn->batcher, &batch, &visit->failure);
		item = good ? batch : NULL;
	}
	if (item)
		good = add_iteration(spawn, item);
	MemoryContextSwitchTo(old);
	if (!good)
		keep_failure(&visit->failure);
	visit->item = NULL;
	MemoryContextReset(spawn->scratch);
	return good;
}

bool
ef_spawn_item(EfSpawn *spawn, Jsonb *item)
{
	return add_item(spawn, item);
}

bool
ef_spawn_end(EfSpawn *spawn)
{
	if (!add_item(spawn, NULL))
		return false;
	write_waiting(spawn);
	return true;
}

/* ---- waiting ---- */

void
ef_spawn_wait(EfSpawn *spawn, int64 tolerated)
{
	EfBranch   *branch = spawn->visit->branch;
	EfJoin		join = {.window = spawn->window < spawn->count ? spawn->window : 0, .count = spawn->count,
	.tolerated = tolerated};

	branch->status = EF_BRANCH_JOINING;
	branch->due_at = DT_NOEND;
	branch->pending = spawn->count;
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
