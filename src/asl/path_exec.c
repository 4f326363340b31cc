/*-------------------------------------------------------------------------
 *
 * path_exec.c
 *	  Walking a path (path_tree.h) through a document.
 *
 * Step after step is applied to the list of values that the step before has
 * selected, so nothing recurses over the length of a path or the depth of a
 * document; only filters inside filters recurse, and their nesting is limited.
 * The list is a jbvArray, which is also the result of an indefinite path.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "asl/path_tree.h"
#include "asl/value.h"

/* 128 MB of values; whoever needs more of them takes the array as a whole. */
#define MAX_SELECTED (1 << 22)

/* Bytes of the input that a cause quotes. */
#define EXCERPT 2000

typedef struct Walk
{
	JsonbValue	document;		/* what "$" means inside filters */
	const AslEnv *env;
	MemoryContext cxt;			/* where what must last as long as the walk is made */
	Jsonb	   *context;		/* the context object, once it was asked for */
	AslError   *error;
} Walk;

/* The values of a filter's paths that do not depend on the item, kept while one step is applied. */
typedef struct Slot
{
	bool		known;
	bool		found;
	JsonbValue	value;
} Slot;

static bool walk_path(Walk *walk, const AslPath *path, const JsonbValue *item, JsonbValue *value, bool *found);
static bool filter_accepts(Walk *walk, const FilterNode *node, Slot *slots, const JsonbValue *item, bool *accepts);


static bool
select_value(Walk *walk, JsonbValue *selected, const JsonbValue *value)
{
	if (selected->val.array.nElems >= MAX_SELECTED)
		return asl_error(walk->error, ASL_ERROR_DATA_LIMIT, "A path selects more than %d values", MAX_SELECTED);
	asl_array_append(selected, value);
	return true;
}

static bool
find_element(const JsonbValue *array, int64 index, JsonbValue *value)
{
	if (index < 0)
		index += asl_value_count(array);
	return index >= 0 && index < asl_value_count(array) && asl_value_element(array, (int) index, value);
}

/* ['a', 'b'] at a path's end: one object of those fields that are there. */
static JsonbValue
pick_names(const PathStep *step, const JsonbValue *object)
{
	JsonbValue	picked = asl_value_empty_object();

	for (int i = 0; i < step->count; i++)
	{
		JsonbValue	member;

		if (asl_value_field(object, step->names[i].text, step->names[i].length, &member))
			asl_object_add(&picked, step->names[i].text, step->names[i].length, &member);
	}
	return picked;
}


/* ---- filters ---- */

static bool
operand_value(Walk *walk, const Operand *operand, Slot *slots, const JsonbValue *item,
			  JsonbValue *value, bool *found)
{
	Slot	   *slot;
	MemoryContext old;
	bool		done;

	*found = true;
	if (operand->path == NULL)
	{
		*value = operand->literal;
		return true;
	}
	if (operand->slot < 0)
		return walk_path(walk, operand->path, item, value, found);

	slot = &slots[operand->slot];
	if (!slot->known)
	{
		old = MemoryContextSwitchTo(GetMemoryChunkContext(slots));
		done = walk_path(walk, operand->path, item, &slot->value, &slot->found);
		MemoryContextSwitchTo(old);
		if (!done)
			return false;
		slot->known = true;
	}
	*value = slot->value;
	*found = slot->found;
	return true;
}

static char *
number_text(const JsonbValue *number)
{
	return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number->val.numeric)));
}

/* As the service's library: a string equals the number that it spells. */
static bool
loosely_equal(const JsonbValue *a, const JsonbValue *b)
{
	if (a->type == jbvNumeric && b->type == jbvString)
		return asl_value_string_is(b, number_text(a));
	if (a->type == jbvString && b->type == jbvNumeric)
		return asl_value_string_is(a, number_text(b));
	return asl_value_equal(a, b);
}

/* False where the two have no order: of different types, or neither numbers nor strings. */
static bool
compare(const JsonbValue *a, const JsonbValue *b, int *order)
{
	if (a->type != b->type)
		return false;
	if (a->type == jbvNumeric)
		*order = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a->val.numeric),
												   NumericGetDatum(b->val.numeric)));
	else if (a->type == jbvString)
	{
		*order = memcmp(a->val.string.val, b->val.string.val, Min(a->val.string.len, b->val.string.len));
		if (*order == 0)
			*order = a->val.string.len - b->val.string.len;
	}
	else
		return false;
	return true;
}

static bool
array_has(const JsonbValue *array, const JsonbValue *value)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	if (!asl_value_is_array(array))
		return false;
	for (asl_each_init(&each, array); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		if (loosely_equal(&member, value))
			return true;
	}
	return false;
}

/* How many of a's elements b has; -1 if one of them is no array. */
static int
count_common(const JsonbValue *a, const JsonbValue *b)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	int			common = 0;

	if (!asl_value_is_array(a) || !asl_value_is_array(b))
		return -1;
	for (asl_each_init(&each, a); asl_each_next(&each, &key, &member);)
		common += array_has(b, &member);
	return common;
}

static bool
string_contains(const JsonbValue *text, const JsonbValue *part)
{
	int			length = part->val.string.len;

	for (int i = 0; i + length <= text->val.string.len; i += pg_mblen(text->val.string.val + i))
	{
		CHECK_FOR_INTERRUPTS();
		if (memcmp(text->val.string.val + i, part->val.string.val, length) == 0)
			return true;
		if (i == text->val.string.len)
			break;
	}
	return false;
}

/* -1 of what has no size. */
static int
size_of(const JsonbValue *value)
{
	if (value->type == jbvString)
		return pg_mbstrlen_with_len(value->val.string.val, value->val.string.len);
	return IsAJsonbScalar(value) ? -1 : asl_value_count(value);
}

static bool
matches_regex(Walk *walk, const FilterNode *node, const JsonbValue *value, bool *matches)
{
	pg_wchar   *wide;
	char	   *text;
	int			length;
	int			code;

	*matches = false;
	if (value->type == jbvString)
	{
		text = value->val.string.val;
		length = value->val.string.len;
	}
	else if (value->type == jbvNumeric)
	{
		text = number_text(value);
		length = strlen(text);
	}
	else
		return true;
	wide = palloc_extended(((Size) length + 1) * sizeof(pg_wchar), MCXT_ALLOC_HUGE);
	code = pg_regexec(node->regex, wide, pg_mb2wchar_with_len(text, wide, length), 0, NULL, 0, NULL, 0);
	pfree(wide);
	CHECK_FOR_INTERRUPTS();
	if (code != REG_OKAY && code != REG_NOMATCH)
	{
		char		message[100];

		pg_regerror(code, node->regex, message, sizeof(message));
		return asl_error(walk->error, ASL_ERROR_RUNTIME, "A regular expression failed: %s", message);
	}
	*matches = code == REG_OKAY;
	return true;
}

/* Of an array, one element that matches is enough. */
static bool
matches_any(Walk *walk, const FilterNode *node, const JsonbValue *value, bool *matches)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	if (!asl_value_is_array(value))
		return matches_regex(walk, node, value, matches);
	*matches = false;
	for (asl_each_init(&each, value); !*matches && asl_each_next(&each, &key, &member);)
	{
		if (!matches_regex(walk, node, &member, matches))
			return false;
	}
	return true;
}

static bool
comparison_holds(FilterOperator operator, const JsonbValue *left, const JsonbValue *right)
{
	int			order;
	int64		number;

	switch (operator)
	{
		case OP_EQUAL:
			return loosely_equal(left, right);
		case OP_NOT_EQUAL:
			return !loosely_equal(left, right);
		case OP_LESS:
			return compare(left, right, &order) && order < 0;
		case OP_LESS_EQUAL:
			return compare(left, right, &order) && order <= 0;
		case OP_GREATER:
			return compare(left, right, &order) && order > 0;
		case OP_GREATER_EQUAL:
			return compare(left, right, &order) && order >= 0;
		case OP_IN:
			return array_has(right, left);
		case OP_NOT_IN:
			return !array_has(right, left);
		case OP_ANY_OF:
			return count_common(left, right) > 0;
		case OP_NONE_OF:
			return count_common(left, right) == 0;
		case OP_SUBSET_OF:
			return asl_value_is_array(left) && count_common(left, right) == asl_value_count(left);
		case OP_CONTAINS:
			return left->type == jbvString && right->type == jbvString
				? string_contains(left, right) : array_has(left, right);
		case OP_SIZE:
			return asl_value_to_int64(right, &number) && number >= 0 && size_of(left) == number;
		case OP_EMPTY:
			return right->type == jbvBool && size_of(left) >= 0 && (size_of(left) == 0) == right->val.boolean;
		case OP_MATCHES:
			break;
	}
	elog(ERROR, "unrecognized operator of a filter: %d", (int) operator);
	return false;				/* keep the compiler quiet */
}

/* A path that selects nothing equals nothing, and is in no list. */
static bool
compare_operands(Walk *walk, const FilterNode *node, Slot *slots, const JsonbValue *item, bool *holds)
{
	JsonbValue	left;
	JsonbValue	right;
	bool		found_left;
	bool		found_right = true;

	if (!operand_value(walk, &node->left, slots, item, &left, &found_left))
		return false;
	if (node->operator == OP_MATCHES)
	{
		*holds = false;
		return !found_left || matches_any(walk, node, &left, holds);
	}
	if (!operand_value(walk, &node->right, slots, item, &right, &found_right))
		return false;
	*holds = found_left && found_right
		? comparison_holds(node->operator, &left, &right)
		: node->operator == OP_NOT_EQUAL || node->operator == OP_NOT_IN;
	return true;
}

static bool
path_exists(Walk *walk, const FilterNode *node, Slot *slots, const JsonbValue *item, bool *exists)
{
	JsonbValue	value;

	if (!operand_value(walk, &node->left, slots, item, &value, exists))
		return false;
	if (*exists && !asl_path_is_definite(node->left.path))
		*exists = asl_value_count(&value) > 0;
	return true;
}

static bool
filter_accepts(Walk *walk, const FilterNode *node, Slot *slots, const JsonbValue *item, bool *accepts)
{
	ListCell   *cell;

	switch (node->kind)
	{
		case FILTER_OR:
		case FILTER_AND:
			foreach(cell, node->arguments)
			{
				if (!filter_accepts(walk, lfirst(cell), slots, item, accepts))
					return false;
				if (*accepts == (node->kind == FILTER_OR))
					break;
			}
			return true;
		case FILTER_NOT:
			if (!filter_accepts(walk, linitial(node->arguments), slots, item, accepts))
				return false;
			*accepts = !*accepts;
			return true;
		case FILTER_EXISTS:
			return path_exists(walk, node, slots, item, accepts);
		case FILTER_COMPARE:
			return compare_operands(walk, node, slots, item, accepts);
	}
	elog(ERROR, "unrecognized kind of filter: %d", (int) node->kind);
	return false;				/* keep the compiler quiet */
}

/*
 * Try one item.  What that takes is left in scratch and soon forgotten, lest it add up over many items; but not
 * an error.
 */
static bool
try_item(Walk *walk, const Filter *filter, Slot *slots, MemoryContext scratch, const JsonbValue *item, bool *accepts)
{
	MemoryContext old = MemoryContextSwitchTo(scratch);
	bool		done = filter_accepts(walk, filter->root, slots, item, accepts);

	MemoryContextSwitchTo(old);
	if (done)
		MemoryContextReset(scratch);
	return done;
}

/* A filter picks from an array's elements; an object passes or does not as a whole. */
static bool
apply_filter(Walk *walk, const Filter *filter, Slot *slots, MemoryContext scratch,
			 const JsonbValue *value, JsonbValue *selected)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	bool		accepts = false;

	if (asl_value_is_object(value))
	{
		if (!try_item(walk, filter, slots, scratch, value, &accepts))
			return false;
		return !accepts || select_value(walk, selected, value);
	}
	for (asl_each_init(&each, value); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		if (!try_item(walk, filter, slots, scratch, &member, &accepts))
			return false;
		if (accepts && !select_value(walk, selected, &member))
			return false;
	}
	return true;
}


/* ---- steps ---- */

static bool
apply_slice(Walk *walk, const PathStep *step, const JsonbValue *array, JsonbValue *selected)
{
	int64		count = asl_value_count(array);
	int64		from = step->has_from ? step->from : 0;
	int64		to = step->has_to ? step->to : count;
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	if (!asl_value_is_array(array))
		return true;
	if (from < 0)
		from = Max(from + count, 0);
	if (to < 0)
		to += count;
	for (asl_each_init(&each, array); each.index < to && asl_each_next(&each, &key, &member);)
	{
		int64		index = (int64) each.index - 1;

		CHECK_FOR_INTERRUPTS();
		if (index >= from && (index - from) % step->step == 0 && !select_value(walk, selected, &member))
			return false;
	}
	return true;
}

static bool
apply_wildcard(Walk *walk, const JsonbValue *value, JsonbValue *selected)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	for (asl_each_init(&each, value); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		if (!select_value(walk, selected, &member))
			return false;
	}
	return true;
}

/* A container whose members are being visited. */
typedef struct Visit
{
	struct Visit *parent;
	JsonbValue	container;
	AslEach		each;
} Visit;

static Visit *
begin_visit(const JsonbValue *container, Visit *parent)
{
	Visit	   *visit = palloc(sizeof(Visit));

	visit->parent = parent;
	visit->container = *container;
	asl_each_init(&visit->each, &visit->container);
	return visit;
}

/* All arrays and objects inside a value and itself, each before those inside it. */
static bool
apply_descend(Walk *walk, const JsonbValue *value, JsonbValue *selected)
{
	Visit	   *visit;
	JsonbValue	key;
	JsonbValue	member;

	if (IsAJsonbScalar(value))
		return true;
	if (!select_value(walk, selected, value))
		return false;
	visit = begin_visit(value, NULL);
	while (visit)
	{
		CHECK_FOR_INTERRUPTS();
		if (!asl_each_next(&visit->each, &key, &member))
		{
			Visit	   *done = visit;

			visit = visit->parent;
			pfree(done);
		}
		else if (!IsAJsonbScalar(&member))
		{
			if (!select_value(walk, selected, &member))
				return false;
			visit = begin_visit(&member, visit);
		}
	}
	return true;
}

/* What one step selects of one value is appended to *selected. */
static bool
apply_step(Walk *walk, const PathStep *step, bool last, Slot *slots, MemoryContext scratch,
		   const JsonbValue *value, JsonbValue *selected)
{
	JsonbValue	member;

	switch (step->kind)
	{
		case STEP_NAMES:
			if (last && asl_value_is_object(value))
			{
				member = pick_names(step, value);
				return select_value(walk, selected, &member);
			}
			/* FALLTHROUGH */
		case STEP_NAME:
			for (int i = 0; i < step->count; i++)
			{
				if (asl_value_field(value, step->names[i].text, step->names[i].length, &member) &&
					!select_value(walk, selected, &member))
					return false;
			}
			return true;
		case STEP_INDEX:
		case STEP_INDEXES:
			for (int i = 0; i < step->count; i++)
			{
				if (find_element(value, step->indexes[i], &member) && !select_value(walk, selected, &member))
					return false;
			}
			return true;
		case STEP_SLICE:
			return apply_slice(walk, step, value, selected);
		case STEP_WILDCARD:
			return apply_wildcard(walk, value, selected);
		case STEP_DESCEND:
			return apply_descend(walk, value, selected);
		case STEP_FILTER:
			return apply_filter(walk, step->filter, slots, scratch, value, selected);
	}
	elog(ERROR, "unrecognized kind of step: %d", (int) step->kind);
	return false;				/* keep the compiler quiet */
}

/* All steps of a path that may select many values; *value becomes the array of them. */
static bool
walk_many(Walk *walk, const AslPath *path, JsonbValue *value)
{
	JsonbValue	current = asl_value_empty_array();

	asl_array_append(&current, value);
	for (int i = 0; i < path->nsteps; i++)
	{
		const PathStep *step = &path->steps[i];
		JsonbValue	selected = asl_value_empty_array();
		Slot	   *slots = NULL;
		MemoryContext scratch = NULL;

		if (step->kind == STEP_FILTER)
		{
			slots = palloc0(Max(step->filter->nslots, 1) * sizeof(Slot));
			scratch = AllocSetContextCreate(CurrentMemoryContext, "path filter", ALLOCSET_SMALL_SIZES);
		}
		for (int j = 0; j < current.val.array.nElems; j++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!apply_step(walk, step, i == path->nsteps - 1, slots, scratch,
							&current.val.array.elems[j], &selected))
				return false;
		}
		if (scratch)
			MemoryContextDelete(scratch);
		if (current.val.array.elems)
			pfree(current.val.array.elems);
		current = selected;
	}
	*value = current;
	return true;
}

/* The same for a path that selects at most one value. */
static bool
walk_one(const AslPath *path, JsonbValue *value)
{
	for (int i = 0; i < path->nsteps; i++)
	{
		const PathStep *step = &path->steps[i];
		JsonbValue	member;

		if (step->kind == STEP_NAME)
		{
			if (!asl_value_field(value, step->names[0].text, step->names[0].length, &member))
				return false;
		}
		else if (step->kind == STEP_INDEX)
		{
			if (!find_element(value, step->indexes[0], &member))
				return false;
		}
		else
		{
			if (!asl_value_is_object(value))
				return false;
			member = pick_names(step, value);
		}
		*value = member;
	}
	return true;
}


/* ---- functions ---- */

static bool
aggregate(Walk *walk, PathFunction function, const JsonbValue *array, JsonbValue *result)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	int			count = 0;
	bool		failed = false;
	Numeric		total = NULL;

	for (asl_each_init(&each, array); asl_each_next(&each, &key, &member) && !failed;)
	{
		int			order;

		CHECK_FOR_INTERRUPTS();
		if (member.type != jbvNumeric)
			continue;
		if (count++ == 0)
			*result = member;
		else if (function == PATH_MIN || function == PATH_MAX)
		{
			compare(&member, result, &order);
			if (function == PATH_MIN ? order < 0 : order > 0)
				*result = member;
		}
		else
		{
			total = numeric_add_opt_error(result->val.numeric, member.val.numeric, &failed);
			result->val.numeric = total;
		}
	}
	if (count == 0)
		return asl_error(walk->error, ASL_ERROR_RUNTIME,
						 "Aggregation function attempted to calculate value using empty array");
	if (function == PATH_AVG && !failed)
		result->val.numeric = numeric_div_opt_error(result->val.numeric, int64_to_numeric(count), &failed);
	return !failed || asl_error(walk->error, ASL_ERROR_RUNTIME, "The result of a path's function is out of range");
}

static JsonbValue
keys_of(const JsonbValue *object)
{
	JsonbValue	keys = asl_value_empty_array();
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	for (asl_each_init(&each, object); asl_each_next(&each, &key, &member);)
		asl_array_append(&keys, &key);
	return keys;
}

static bool
apply_function(Walk *walk, PathFunction function, JsonbValue *value, bool *found)
{
	JsonbValue	result = asl_value_null();

	switch (function)
	{
		case PATH_NO_FUNCTION:
			return true;
		case PATH_LENGTH:
			if (size_of(value) >= 0)
				result = asl_value_int(size_of(value));
			break;
		case PATH_KEYS:
			if (asl_value_is_object(value))
				result = keys_of(value);
			break;
		case PATH_FIRST:
		case PATH_LAST:
			*found = find_element(value, function == PATH_FIRST ? 0 : -1, &result);
			break;
		case PATH_MIN:
		case PATH_MAX:
		case PATH_SUM:
		case PATH_AVG:
			if (!aggregate(walk, function, value, &result))
				return false;
	}
	*value = result;
	return true;
}


/* ---- whole paths ---- */

/* The name that a step of a path selects, or NULL. */
static const char *
step_name(const AslPath *path, int step)
{
	return step < path->nsteps && path->steps[step].kind == STEP_NAME ? path->steps[step].names[0].text : NULL;
}

static bool
has_filter(const AslPath *path)
{
	for (int i = 0; i < path->nsteps; i++)
	{
		if (path->steps[i].kind == STEP_FILTER)
			return true;
	}
	return false;
}

/* The context object, or as much of it as the path sees, for it holds the whole input of a run. */
static bool
context_value(Walk *walk, const AslPath *path, JsonbValue *value)
{
	const AslEnv *env = walk->env;
	bool		all = has_filter(path) || step_name(path, 0) == NULL;
	Jsonb	   *context = walk->context;
	MemoryContext old = MemoryContextSwitchTo(walk->cxt);

	if (context == NULL && env->context)
		context = all ? env->context(env->context_arg, NULL, NULL) :
			env->context(env->context_arg, step_name(path, 0), step_name(path, 1));
	MemoryContextSwitchTo(old);
	if (all)
		walk->context = context;
	if (context)
		*value = asl_value_of(context);
	return context != NULL;
}

/* Where a path begins; found is false for a variable that has no value. */
static bool
root_value(Walk *walk, const AslPath *path, const JsonbValue *item, JsonbValue *value)
{
	JsonbValue	variables;

	switch ((int) path->root)
	{
		case ASL_ROOT_INPUT:
			*value = walk->document;
			return true;
		case ROOT_ITEM:
			*value = *item;
			return true;
		case ASL_ROOT_CONTEXT:
			return context_value(walk, path, value);
		case ASL_ROOT_VARIABLE:
			if (walk->env->variables == NULL)
				return false;
			variables = asl_value_of(walk->env->variables);
			return asl_value_field(&variables, path->variable, strlen(path->variable), value);
	}
	elog(ERROR, "unrecognized root of a path: %d", (int) path->root);
	return false;				/* keep the compiler quiet */
}

static bool
walk_path(Walk *walk, const AslPath *path, const JsonbValue *item, JsonbValue *value, bool *found)
{
	*found = root_value(walk, path, item, value);
	if (!*found)
		return true;
	if (path->single)
		*found = walk_one(path, value);
	else if (!walk_many(walk, path, value))
		return false;
	return !*found || apply_function(walk, path->function, value, found);
}

bool
asl_path_find(const AslPath *path, Jsonb *input, const AslEnv *env,
			  JsonbValue *value, bool *found, AslError *error)
{
	Walk		walk = {asl_value_of(input), env, CurrentMemoryContext, NULL, error};

	/* Inside its filters, "$" means the document that the path itself is applied to. */
	if (path->root != ASL_ROOT_INPUT)
	{
		*found = root_value(&walk, path, NULL, &walk.document);
		if (!*found)
			return true;
	}
	return walk_path(&walk, path, NULL, value, found);
}

bool
asl_path_eval(const AslPath *path, Jsonb *input, const AslEnv *env,
			  Jsonb **value, bool *found, AslError *error)
{
	JsonbValue	selected;

	return asl_path_find(path, input, env, &selected, found, error) &&
		(!*found || asl_value_build(&selected, value, error));
}

/* $['a'][0]['b'], the way in which the service's library prints a path. */
static char *
canonical_text(const AslPath *path)
{
	StringInfoData text;

	if (!path->single)
		return path->text;
	initStringInfo(&text);
	appendStringInfoChar(&text, '$');
	for (int i = 0; i < path->nsteps; i++)
	{
		const PathStep *step = &path->steps[i];

		appendStringInfoChar(&text, '[');
		for (int j = 0; j < step->count; j++)
		{
			if (j > 0)
				appendStringInfoChar(&text, ',');
			if (step->names)
				appendStringInfo(&text, "'%s'", step->names[j].text);
			else
				appendStringInfo(&text, INT64_FORMAT, step->indexes[j]);
		}
		appendStringInfoChar(&text, ']');
	}
	return text.data;
}

bool
asl_path_require_value(const AslPath *path, const char *field, Jsonb *input, const AslEnv *env,
					   JsonbValue *value, AslError *error)
{
	bool		found;

	if (!asl_path_find(path, input, env, value, &found, error))
		return false;
	if (found)
		return true;
	if (field == NULL)
		return asl_error(error, ASL_ERROR_RUNTIME, "Invalid path '%s' : No results for path: %s",
						 path->text, canonical_text(path));
	if (path->root == ASL_ROOT_INPUT)
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "The JSONPath '%s' specified for the field '%s' could not be found in the input '%s'",
						 path->text, field, asl_compact_excerpt(input, EXCERPT));
	return asl_error(error, ASL_ERROR_RUNTIME,
					 "The JSONPath '%s' specified for the field '%s' could not be found in the %s",
					 path->text, field, path->root == ASL_ROOT_CONTEXT ? "context object" : "variables");
}

bool
asl_path_require(const AslPath *path, const char *field, Jsonb *input, const AslEnv *env,
				 Jsonb **value, AslError *error)
{
	JsonbValue	selected;

	return asl_path_require_value(path, field, input, env, &selected, error) &&
		asl_value_build(&selected, value, error);
}


/* ---- ResultPath ---- */

/* The container with one member replaced (or added). */
static JsonbValue
replace_member(const JsonbValue *container, const PathStep *step, int64 index, const JsonbValue *value)
{
	JsonbValue	result = step->kind == STEP_NAME ? asl_value_empty_object() : asl_value_empty_array();
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	bool		replaced = false;

	for (asl_each_init(&each, container); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		if (step->kind == STEP_NAME)
			asl_object_add(&result, key.val.string.val, key.val.string.len, &member);
		else
		{
			replaced = replaced || each.index - 1 == index;
			asl_array_append(&result, each.index - 1 == index ? value : &member);
		}
	}
	if (step->kind == STEP_NAME)
		asl_object_add(&result, step->names[0].text, step->names[0].length, value);
	else if (!replaced)
		asl_array_append(&result, value);
	return result;
}

/*
 * The value below a container that a step leads to; an empty object where there is none yet.  False if the
 * step does not fit the container.  *index becomes the place in an array.
 */
static bool
descend(const JsonbValue *container, const PathStep *step, int64 *index, JsonbValue *member)
{
	if (step->kind == STEP_NAME)
	{
		if (!asl_value_is_object(container))
			return false;
		if (!asl_value_field(container, step->names[0].text, step->names[0].length, member))
			*member = asl_value_empty_object();
		return true;
	}
	if (!asl_value_is_array(container))
		return false;
	*index = step->indexes[0];
	if (*index == asl_value_count(container))
	{
		*member = asl_value_empty_object();
		return true;
	}
	if (*index < 0)
		*index += asl_value_count(container);
	return find_element(container, *index, member) && *index >= 0;
}

bool
asl_path_set(const AslPath *refpath, Jsonb *document, Jsonb *value, Jsonb **result, AslError *error)
{
	int			nsteps = refpath->nsteps;
	JsonbValue *containers = palloc((Size) (nsteps + 1) * sizeof(JsonbValue));
	int64	   *indexes = palloc0((Size) (nsteps + 1) * sizeof(int64));
	JsonbValue	changed = asl_value_of(value);

	Assert(asl_path_is_reference(refpath));
	containers[0] = asl_value_of(document);
	for (int i = 0; i < nsteps; i++)
	{
		if (!descend(&containers[i], &refpath->steps[i], &indexes[i], &containers[i + 1]))
			return asl_error(error, ASL_ERROR_RESULT_PATH, "Unable to apply ReferencePath %s to input %s",
							 refpath->text, asl_compact_excerpt(document, EXCERPT));
	}
	for (int i = nsteps - 1; i >= 0; i--)
		changed = replace_member(&containers[i], &refpath->steps[i], indexes[i], &changed);
	return asl_value_build(&changed, result, error);
}
