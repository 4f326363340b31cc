/*-------------------------------------------------------------------------
 *
 * map.c
 *	  Map states: which items, how many at a time, and the input of each.
 *
 * With an ItemBatcher the items of the plan are batches.  A batch is made of
 * selected items, so ItemSelector is applied then, when the plan is made;
 * without it, ItemSelector is applied to each item as its iteration starts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/machine.h"
#include "asl/value.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* A batch: {"BatchInput": ..., "Items": [...]}, and the bytes of its text so far. */
typedef struct Batch
{
	JsonbValue	items;
	int			nitems;
	int64		size;
} Batch;

typedef struct Batcher
{
	const AslStateBody *body;
	double		max_items;		/* 0: no limit */
	double		max_bytes;
	Jsonb	   *batch_input;	/* or NULL */
	int64		empty_size;		/* bytes of a batch without items */
	JsonbValue	batches;
	Batch		batch;			/* the one being filled */
} Batcher;

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

/* The batch that has been filled, as a value. */
static JsonbValue
batch_value(const Batcher *batcher)
{
	JsonbValue	batch = asl_value_empty_object();
	JsonbValue	batch_input;

	if (batcher->batch_input)
	{
		batch_input = asl_value_of(batcher->batch_input);
		asl_object_add(&batch, "BatchInput", strlen("BatchInput"), &batch_input);
	}
	asl_object_add(&batch, "Items", strlen("Items"), &batcher->batch.items);
	return batch;
}

static void
begin_batch(Batcher *batcher)
{
	batcher->batch.items = asl_value_empty_array();
	batcher->batch.nitems = 0;
	batcher->batch.size = batcher->empty_size;
}

static void
end_batch(Batcher *batcher)
{
	JsonbValue	batch = batch_value(batcher);

	asl_array_append(&batcher->batches, &batch);
	begin_batch(batcher);
}

static bool
add_to_batch(Batcher *batcher, Jsonb *item, AslError *error)
{
	Batch	   *batch = &batcher->batch;
	JsonbValue	value = asl_value_of(item);
	int64		size = batcher->max_bytes > 0 ? asl_compact_size(item) : 0;

	if (batch->nitems > 0 &&
		((batcher->max_items > 0 && batch->nitems >= batcher->max_items) ||
		 (batcher->max_bytes > 0 && batch->size + 1 + size > batcher->max_bytes)))
		end_batch(batcher);
	if (batcher->max_bytes > 0 && batch->size + size > batcher->max_bytes)
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "an item of " INT64_FORMAT " bytes does not fit into a batch of at most %.0f bytes",
						 size, batcher->max_bytes);
	asl_array_append(&batch->items, &value);
	batch->size += size + (batch->nitems > 0);
	batch->nitems++;
	return true;
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

static bool
make_batcher(Batcher *batcher, const AslStateBody *body, Jsonb *effective, const AslEnv *env, AslError *error)
{
	static const AslRange items = {"MaxItemsPerBatch", 1, ASL_MAX_WHOLE_NUMBER, true};
	static const AslRange bytes = {"MaxInputBytesPerBatch", 1, ASL_MAX_WHOLE_NUMBER, true};
	JsonbValue	batch;
	Jsonb	   *empty;

	memset(batcher, 0, sizeof(Batcher));
	batcher->body = body;
	batcher->batches = asl_value_empty_array();
	if (!asl_eval_amount(&body->batch_items, &items, effective, env, &batcher->max_items, error) ||
		!asl_eval_amount(&body->batch_bytes, &bytes, effective, env, &batcher->max_bytes, error))
		return false;
	if (body->batch_input &&
		!asl_template_eval(body->batch_input, effective, env, &batcher->batch_input, error))
		return false;
	begin_batch(batcher);
	batch = batch_value(batcher);
	if (!asl_value_build(&batch, &empty, error))
		return false;
	batcher->empty_size = asl_compact_size(empty);
	begin_batch(batcher);
	return true;
}

static bool
make_batches(const AslStateBody *body, Jsonb *effective, Jsonb *items, const AslEnv *env,
			 Jsonb **batches, AslError *error)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "map item", ALLOCSET_DEFAULT_SIZES);
	JsonbValue	array = asl_value_of(items);
	JsonbValue	key;
	JsonbValue	item;
	AslEach		each;
	Batcher		batcher;
	int			index = 0;
	bool		ok = make_batcher(&batcher, body, effective, env, error);

	for (asl_each_init(&each, &array); ok && asl_each_next(&each, &key, &item); index++)
	{
		Jsonb	   *selected;

		CHECK_FOR_INTERRUPTS();
		ok = select_item(body, effective, &item, index, env, scratch, &selected, error) &&
			add_to_batch(&batcher, selected, error);
		MemoryContextReset(scratch);
	}
	MemoryContextDelete(scratch);
	if (!ok)
		return false;
	if (batcher.batch.nitems > 0)
		end_batch(&batcher);
	return asl_value_build(&batcher.batches, batches, error);
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
	if (body->batched && !make_batches(body, effective, plan->items, env, &plan->items, error))
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
