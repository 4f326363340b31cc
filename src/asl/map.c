/*-------------------------------------------------------------------------
 *
 * map.c
 *	  Map states: which items, how many at a time, and the input of each.
 *
 * With an ItemBatcher, batches are what iterations get.  A batch is made of
 * selected items, so ItemSelector is applied then; without it, ItemSelector is
 * applied to each item as its iteration starts.  Batches are made one after the
 * other, of items that need not all be in memory.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/machine.h"
#include "asl/value.h"
#include "miscadmin.h"
#include "utils/memutils.h"

struct AslBatcher
{
	const AslStateBody *body;
	const AslEnv *env;
	Jsonb	   *effective;
	MemoryContext scratch;		/* of one item */
	MemoryContext context;		/* of the batch being filled */
	int			index;			/* of the next item */
	double		max_items;		/* 0: no limit */
	double		max_bytes;
	Jsonb	   *batch_input;	/* or NULL */
	int64		empty_size;		/* bytes of a batch without items */

	/* The batch: {"BatchInput": ..., "Items": [...]}, and the bytes of its text so far. */
	JsonbValue	items;
	int			nitems;
	int64		size;
};

/* An item as ItemSelector sees it. */
typedef struct ItemContext
{
	const AslEnv *env;
	int			index;
	JsonbValue	value;
} ItemContext;

/* {"Item": {"Index": ..., "Value": ...}} */
static JsonbValue
item_value(const ItemContext *context)
{
	JsonbValue	item = asl_value_empty_object();
	JsonbValue	map = asl_value_empty_object();
	JsonbValue	index = asl_value_int(context->index);

	asl_object_add(&item, "Index", strlen("Index"), &index);
	asl_object_add(&item, "Value", strlen("Value"), &context->value);
	asl_object_add(&map, "Item", strlen("Item"), &item);
	return map;
}

/* The context object with Map.Item added. */
static Jsonb *
make_item_context(void *arg, const char *part, const char *member)
{
	ItemContext *context = arg;
	bool		only_map = part && strcmp(part, "Map") == 0;
	const AslEnv *env = context->env;
	Jsonb	   *outer = only_map || !env->context ? NULL : env->context(env->context_arg, part, member);
	JsonbValue	map = item_value(context);
	JsonbValue	object = asl_value_empty_object();
	JsonbValue	fields;
	JsonbValue	key;
	JsonbValue	value;
	AslEach		each;
	AslError	error;
	Jsonb	   *result;

	if (part && !only_map)
		return outer;
	if (outer)
	{
		fields = asl_value_of(outer);
		for (asl_each_init(&each, &fields); asl_each_next(&each, &key, &value);)
			asl_object_add(&object, key.val.string.val, key.val.string.len, &value);
	}
	asl_object_add(&object, "Map", strlen("Map"), &map);
	return asl_value_build(&object, &result, &error) ? result : outer;
}

/* ItemSelector applied to an item; the result is in the current context, what it took is left in scratch. */
static bool
select_item(const AslStateBody *body, Jsonb *effective, const JsonbValue *item, int index, const AslEnv *env,
			MemoryContext scratch, Jsonb **selected, AslError *error)
{
	MemoryContext old;
	ItemContext context = {env, index, *item};
	AslEnv		item_env = *env;
	Jsonb	   *result;
	bool		ok;

	if (body->item_selector == NULL)
		return asl_value_build(item, selected, error);
	item_env.context = make_item_context;
	item_env.context_arg = &context;
	old = MemoryContextSwitchTo(scratch);
	ok = asl_template_eval(body->item_selector, effective, &item_env, &result, error);
	MemoryContextSwitchTo(old);
	if (ok)
		*selected = memcpy(palloc(VARSIZE(result)), result, VARSIZE(result));
	else
	{
		error->name = pstrdup(error->name);
		error->cause = error->cause ? pstrdup(error->cause) : NULL;
	}
	return ok;
}

/* ---- ItemBatcher ---- */

static void
begin_batch(AslBatcher *batcher)
{
	MemoryContextReset(batcher->context);
	batcher->items = asl_value_empty_array();
	batcher->nitems = 0;
	batcher->size = batcher->empty_size;
}

/* Make what has been filled a batch, in the current context. */
static bool
make_batch(const AslBatcher *batcher, Jsonb **result, AslError *error)
{
	JsonbValue	batch = asl_value_empty_object();
	JsonbValue	batch_input;

	if (batcher->batch_input)
	{
		batch_input = asl_value_of(batcher->batch_input);
		asl_object_add(&batch, "BatchInput", strlen("BatchInput"), &batch_input);
	}
	asl_object_add(&batch, "Items", strlen("Items"), &batcher->items);
	return asl_value_build(&batch, result, error);
}

bool
asl_batcher_create(const AslState *state, Jsonb *input, const AslEnv *env, AslBatcher **result, AslError *error)
{
	static const AslRange items = {"MaxItemsPerBatch", 1, ASL_MAX_WHOLE_NUMBER, true};
	static const AslRange bytes = {"MaxInputBytesPerBatch", 1, ASL_MAX_WHOLE_NUMBER, true};
	const AslStateBody *body = state->body;
	AslBatcher *batcher = palloc0(sizeof(AslBatcher));
	Jsonb	   *effective;
	Jsonb	   *empty;

	*result = batcher;
	batcher->body = body;
	batcher->env = env;
	if (!asl_filter_input(state, input, env, &effective, error) ||
		!asl_eval_amount(&body->batch_items, &items, effective, env, &batcher->max_items, error) ||
		!asl_eval_amount(&body->batch_bytes, &bytes, effective, env, &batcher->max_bytes, error))
		return false;
	if (body->batch_input &&
		!asl_template_eval(body->batch_input, effective, env, &batcher->batch_input, error))
		return false;
	batcher->effective = effective;
	batcher->scratch = AllocSetContextCreate(CurrentMemoryContext, "map item", ALLOCSET_DEFAULT_SIZES);
	batcher->context = AllocSetContextCreate(CurrentMemoryContext, "map batch", ALLOCSET_DEFAULT_SIZES);
	begin_batch(batcher);
	if (!make_batch(batcher, &empty, error))
		return false;
	batcher->empty_size = batcher->size = asl_compact_size(empty);
	return true;
}

static void
append_item(AslBatcher *batcher, const Jsonb *item, int64 size)
{
	MemoryContext old = MemoryContextSwitchTo(batcher->context);
	JsonbValue	value = asl_value_of(memcpy(palloc(VARSIZE(item)), item, VARSIZE(item)));

	asl_array_append(&batcher->items, &value);
	MemoryContextSwitchTo(old);
	batcher->size += size + (batcher->nitems > 0);
	batcher->nitems++;
}

bool
asl_batcher_add(AslBatcher *batcher, Jsonb *item, Jsonb **batch, AslError *error)
{
	JsonbValue	value = asl_value_of(item);
	Jsonb	   *selected;
	int64		size;

	*batch = NULL;
	if (!select_item(batcher->body, batcher->effective, &value, batcher->index++, batcher->env, batcher->scratch,
					 &selected, error))
		return false;
	size = batcher->max_bytes > 0 ? asl_compact_size(selected) : 0;
	if (batcher->nitems > 0 &&
		((batcher->max_items > 0 && batcher->nitems >= batcher->max_items) ||
		 (batcher->max_bytes > 0 && batcher->size + 1 + size > batcher->max_bytes)))
	{
		if (!asl_batcher_end(batcher, batch, error))
			return false;
	}
	if (batcher->max_bytes > 0 && batcher->size + size > batcher->max_bytes)
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "an item of " INT64_FORMAT " bytes does not fit into a batch of at most %.0f bytes",
						 size, batcher->max_bytes);
	append_item(batcher, selected, size);
	MemoryContextReset(batcher->scratch);
	return true;
}

bool
asl_batcher_end(AslBatcher *batcher, Jsonb **batch, AslError *error)
{
	*batch = NULL;
	if (batcher->nitems == 0)
		return true;
	if (!make_batch(batcher, batch, error))
		return false;
	begin_batch(batcher);
	return true;
}

static bool
make_batches(const AslState *state, Jsonb *input, Jsonb *items, const AslEnv *env, Jsonb **batches, AslError *error)
{
	JsonbValue	array = asl_value_of(items);
	JsonbValue	result = asl_value_empty_array();
	JsonbValue	key;
	JsonbValue	item;
	AslBatcher *batcher;
	Jsonb	   *batch = NULL;
	AslEach		each;
	bool		ok = asl_batcher_create(state, input, env, &batcher, error);
	bool		more = true;

	for (asl_each_init(&each, &array); ok && more;)
	{
		CHECK_FOR_INTERRUPTS();
		more = asl_each_next(&each, &key, &item);
		if (more)
			ok = asl_value_build(&item, &items, error) && asl_batcher_add(batcher, items, &batch, error);
		else
			ok = asl_batcher_end(batcher, &batch, error);
		if (ok && batch)
		{
			item = asl_value_of(batch);
			asl_array_append(&result, &item);
		}
	}
	return ok && asl_value_build(&result, batches, error);
}

/* ---- the plan ---- */

bool
asl_map_is_batched(const AslState *state)
{
	return state->body->batched;
}

bool
asl_map_selects_items(const AslState *state)
{
	return state->body->items_path != NULL;
}

bool
asl_map_plan(const AslState *state, Jsonb *input, Jsonb *read, const AslEnv *env,
			 AslMapPlan *plan, AslError *error)
{
	static const AslRange concurrency = {"MaxConcurrency", 0, PG_INT32_MAX, true};
	static const AslRange count = {"ToleratedFailureCount", 0, ASL_MAX_WHOLE_NUMBER, true};
	static const AslRange percentage = {"ToleratedFailurePercentage", 0, 100, false};
	const AslStateBody *body = state->body;
	Jsonb	   *effective;
	JsonbValue	items;
	double		max_concurrency;

	plan->nitems = -1;
	if (!asl_filter_input(state, input, env, &effective, error) ||
		!asl_eval_amount(&body->max_concurrency, &concurrency, effective, env, &max_concurrency, error))
		return false;
	plan->max_concurrency = (int) Min(max_concurrency, PG_INT32_MAX);
	plan->items = read ? read : effective;
	if (body->items_path && !asl_path_require(body->items_path, "ItemsPath", plan->items, env, &plan->items, error))
		return false;
	items = asl_value_of(plan->items);
	if (!asl_value_is_array(&items))
		return asl_error(error, ASL_ERROR_RUNTIME, "Reference path \"%s\" must point to array.",
						 body->items_path ? asl_path_text(body->items_path) : "$");
	if (body->batched && !make_batches(state, input, plan->items, env, &plan->items, error))
		return false;
	plan->nitems = JB_ROOT_COUNT(plan->items);
	return asl_eval_amount(&body->tolerated_count, &count, effective, env, &plan->tolerated_count, error) &&
		asl_eval_amount(&body->tolerated_percentage, &percentage, effective, env, &plan->tolerated_percentage, error);
}

bool
asl_map_item_input(const AslState *state, Jsonb *input, Jsonb *item, const AslEnv *env,
				   Jsonb **item_input, AslError *error)
{
	const AslStateBody *body = state->body;
	Jsonb	   *effective;

	*item_input = item;
	if (body->item_selector && !body->batched &&
		(!asl_filter_input(state, input, env, &effective, error) ||
		 !asl_template_eval(body->item_selector, effective, env, item_input, error)))
		return false;
	return asl_within_limit(*item_input, env, state->name, error);
}

/* ---- ItemReader and ResultWriter ---- */

static bool
eval_arguments(const AslState *state, const AslTemplate *template, Jsonb *input, const AslEnv *env,
			   Jsonb **arguments, AslError *error)
{
	Jsonb	   *effective;

	*arguments = NULL;
	return template == NULL ||
		(asl_filter_input(state, input, env, &effective, error) &&
		 asl_template_eval(template, effective, env, arguments, error));
}

bool
asl_reader_arguments(const AslState *state, Jsonb *input, const AslEnv *env,
					 Jsonb **arguments, double *max_items, AslError *error)
{
	static const AslRange range = {"MaxItems", 1, ASL_MAX_WHOLE_NUMBER, true};
	Jsonb	   *effective;

	return eval_arguments(state, state->body->reader_parameters, input, env, arguments, error) &&
		asl_filter_input(state, input, env, &effective, error) &&
		asl_eval_amount(&state->body->reader_max_items, &range, effective, env, max_items, error);
}

bool
asl_writer_arguments(const AslState *state, Jsonb *input, const AslEnv *env, Jsonb **arguments, AslError *error)
{
	return eval_arguments(state, state->body->writer_parameters, input, env, arguments, error);
}
