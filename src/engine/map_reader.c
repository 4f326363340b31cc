/*-------------------------------------------------------------------------
 *
 * map_reader.c
 *	  ItemReader: the items of a Map are what a function returns.
 *
 * The rows of a set-returning function are read through a cursor, in one
 * snapshot, and each becomes a branch at once, so that they are never all in
 * memory.  All of that is one subtransaction: when the function or an item
 * fails, no branch is there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/value.h"
#include "engine/activity.h"
#include "engine/alias.h"
#include "engine/fork.h"
#include "engine/map_reader.h"

typedef struct Reader
{
	EfVisit    *visit;
	EfSpawn    *spawn;
	Jsonb	   *whole;			/* what the function returned, if that is not a set */
	bool		began;			/* the first item has come */
	bool		item_failed;	/* the failure is no fault of the function's */
} Reader;

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

static bool
take_item(Jsonb *row, void *arg, AslError *error)
{
	Reader	   *reader = arg;

	if (!reader->began)
		ef_add_fork_started(reader->visit);
	reader->began = true;
	reader->item_failed = !ef_spawn_item(reader->spawn, row);
	return !reader->item_failed;
}

static bool
finish(Jsonb *result, void *arg, AslError *error)
{
	Reader	   *reader = arg;

	reader->whole = result;
	if (result)
		return true;
	if (!reader->began)
		ef_add_fork_started(reader->visit);
	reader->item_failed = !ef_spawn_end(reader->spawn);
	return !reader->item_failed;
}

static EfVisitResult
fail(Reader *reader, EfActivityResult result, const AslError *failure, int nevents)
{
	EfVisit    *visit = reader->visit;

	if (reader->item_failed)
		return EF_VISIT_FAILED;
	visit->nevents = nevents;
	visit->events[nevents] = '\0';
	return ef_fail_call(visit, result, failure, "States.ItemReaderFailed");
}

/* The function in the ItemReader's Resource, and its arguments. */
static bool
prepare_call(EfVisit *visit, EfActivityCall *call)
{
	const char *resource = ef_resolve_resource(visit->state->item_reader);

	if (resource == NULL || strncmp(resource, "sql:", strlen("sql:")) != 0)
	{
		visit->failure.name = "States.Runtime";
		visit->failure.cause = psprintf("resources like \"%s\" are not supported in an ItemReader",
										visit->state->item_reader);
		return false;
	}
	if (!asl_reader_arguments(visit->state, visit->branch->data, &visit->env, &call->input, &call->max_rows,
							  &visit->failure))
		return false;
	if (call->input == NULL)
		call->input = asl_jsonb_empty_object();
	call->function = resource + strlen("sql:");
	ef_prepare_call(visit, call);
	return true;
}

EfVisitResult
ef_read_items(EfVisit *visit, EfSpawn *spawn, Jsonb **items)
{
	Reader		reader = {.visit = visit, .spawn = spawn};
	EfActivityCall call = {.finish = finish, .finish_arg = &reader, .take_row = spawn ? take_item : NULL};
	EfBranch	before = *visit->branch;
	int			nevents = visit->nevents;
	EfActivityResult result;

	if (!prepare_call(visit, &call))
		return EF_VISIT_FAILED;
	result = ef_call_activity(&call);
	visit->item = NULL;
	if (result != EF_ACTIVITY_SUCCEEDED)
	{
		*visit->branch = before;
		return fail(&reader, result, &call.failure, nevents);
	}
	*items = reader.whole ? first_items(reader.whole, call.max_rows) : NULL;
	return EF_VISIT_LEFT;
}
