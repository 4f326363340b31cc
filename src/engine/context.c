/*-------------------------------------------------------------------------
 *
 * context.c
 *	  The context object of a state, `$$`.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "datatype/timestamp.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "asl/value.h"
#include "engine/state.h"
#include "engine/store.h"

/* ---- building objects ---- */

static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue	value;

	value.type = jbvString;
	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	pushJsonbValue(state, WJB_KEY, &value);
}

void
ef_push_text(JsonbParseState **state, const char *key, const char *text)
{
	JsonbValue	value;

	if (text == NULL)
		return;
	push_key(state, key);
	value.type = jbvString;
	value.val.string.val = unconstify(char *, text);
	value.val.string.len = strlen(text);
	pushJsonbValue(state, WJB_VALUE, &value);
}

/*
 * A document stays as it is: pushJsonbValue() would take it apart, whatever its size and depth.  So only ef_end_object()
 * can make a document of the object.
 */
static void
push_value(JsonbParseState **state, const JsonbValue *value)
{
	JsonbValue	none = {.type = jbvNull};
	JsonbValue *object;

	if (value->type != jbvBinary)
	{
		pushJsonbValue(state, WJB_VALUE, unconstify(JsonbValue *, value));
		return;
	}
	pushJsonbValue(state, WJB_VALUE, &none);
	object = &(*state)->contVal;
	object->val.object.pairs[object->val.object.nPairs - 1].value = *value;
}

Jsonb *
ef_end_object(JsonbParseState **state)
{
	AslError	error;
	Jsonb	   *object;

	if (!asl_value_build(pushJsonbValue(state, WJB_END_OBJECT, NULL), &object, &error))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg_internal("%s", error.cause)));
	return object;
}

void
ef_push_jsonb(JsonbParseState **state, const char *key, Jsonb *jsonb)
{
	JsonbValue	value;

	if (jsonb == NULL)
		return;
	push_key(state, key);
	if (!JsonbExtractScalar(&jsonb->root, &value))
	{
		value.type = jbvBinary;
		value.val.binary.data = &jsonb->root;
		value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	}
	push_value(state, &value);
}

void
ef_push_int(JsonbParseState **state, const char *key, int64 number)
{
	JsonbValue	value;

	push_key(state, key);
	value.type = jbvNumeric;
	value.val.numeric = int64_to_numeric(number);
	pushJsonbValue(state, WJB_VALUE, &value);
}

void
ef_push_fields(JsonbParseState **state, Jsonb *object)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (object == NULL || JB_ROOT_COUNT(object) == 0)
		return;
	iterator = JsonbIteratorInit(&object->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			pushJsonbValue(state, token, &value);
		else if (token == WJB_VALUE)
			push_value(state, &value);
	}
}

char *
ef_format_time(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;

	/* A timestamptz is UTC inside; without a time zone to convert to, that is what comes out. */
	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0)
		return "";
	return psprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
					tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int) (fsec / 1000));
}

/* ---- the parts of the context object ---- */

static bool
is_wanted(const char *name, const char *wanted)
{
	return wanted == NULL || strcmp(name, wanted) == 0;
}

static void
push_execution(JsonbParseState **state, EfBranch *branch, const char *member)
{
	EfRun	   *run = &branch->run;
	char	   *id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&run->run_id)));

	push_key(state, "Execution");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(state, "Id", id);
	if (is_wanted("Input", member))
		ef_push_jsonb(state, "Input", run->input ? run->input : ef_store_run_input(&run->run_id));
	ef_push_text(state, "Name", run->workflow_id ? run->workflow_id : id);
	ef_push_text(state, "RoleArn", GetUserNameFromId(run->owner, true));
	ef_push_text(state, "StartTime", ef_format_time(run->started_at));
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_state(JsonbParseState **state, const EfVisit *visit)
{
	const EfBranch *branch = visit->branch;

	push_key(state, "State");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(state, "EnteredTime", ef_format_time(branch->entered_at));
	ef_push_text(state, "Name", visit->state->name);
	ef_push_int(state, "RetryCount", branch->retry_count);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_machine(JsonbParseState **state, const EfWorkflow *workflow)
{
	push_key(state, "StateMachine");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(state, "Id", psprintf("%s:%d", workflow->name, workflow->version));
	ef_push_text(state, "Name", workflow->name);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_task(JsonbParseState **state, const char *token)
{
	push_key(state, "Task");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(state, "Token", token);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_map(JsonbParseState **state, int index, Jsonb *value)
{
	push_key(state, "Map");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	push_key(state, "Item");
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	ef_push_int(state, "Index", index);
	ef_push_jsonb(state, "Value", value);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* The value of an item: kept apart where the input of its iteration is another one. */
static Jsonb *
item_value(const EfItem *item)
{
	JsonbValue *value;

	if (item->details == NULL)
		return item->input;
	value = getKeyJsonValueFromContainer(&item->details->root, "value", strlen("value"), NULL);
	return value ? JsonbValueToJsonb(value) : item->input;
}

/* The item of the Map that is being started, or of the innermost one whose iteration this is a part of. */
static void
push_item(JsonbParseState **state, const EfVisit *visit)
{
	const EfBranch *branch = visit->branch;
	const AslScope *scope = visit->state->scope;
	int32		branch_id = branch->branch_id;
	EfItem		item;

	if (visit->item)
	{
		push_map(state, visit->item_index, visit->item);
		return;
	}
	for (; scope->owner; scope = scope->owner->scope)
	{
		if (!ef_store_load_item(&branch->run.run_id, branch_id, &item))
			return;
		if (scope->owner->type == ASL_MAP)
		{
			push_map(state, item.index, item_value(&item));
			return;
		}
		branch_id = item.parent_id;
	}
}

Jsonb *
ef_context_object(void *arg, const char *part, const char *member)
{
	EfVisit    *visit = arg;
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (is_wanted("Execution", part))
		push_execution(&state, visit->branch, member);
	if (is_wanted("State", part))
		push_state(&state, visit);
	if (is_wanted("StateMachine", part))
		push_machine(&state, visit->branch->run.workflow);
	if (visit->task_token && is_wanted("Task", part))
	{
		push_task(&state, visit->task_token);
		visit->token_asked = true;
	}
	if (is_wanted("Map", part))
		push_item(&state, visit);
	return ef_end_object(&state);
}
