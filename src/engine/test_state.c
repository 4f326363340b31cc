/*-------------------------------------------------------------------------
 *
 * test_state.c
 *	  test_state(): what one state makes of an input, without a run.
 *
 * The counterpart of the service's TestState.  The state is that of a whole
 * definition, or a definition by itself: then it is put into a machine whose
 * other states are just the targets that it names.  The work of a Task, Parallel
 * or Map is given as a mock; an SQL activity without one is called, with the
 * rights of the caller and with its effects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "asl/asl.h"
#include "engine/activity.h"
#include "engine/alias.h"
#include "engine/engine.h"
#include "engine/lambda.h"
#include "engine/settings.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_test_state);

#define LONE_STATE "State"		/* name of a state that is a definition by itself, if no target has it */

typedef enum TestStatus
{
	TEST_SUCCEEDED,
	TEST_FAILED,
	TEST_RETRIABLE,
	TEST_CAUGHT_ERROR
} TestStatus;

static const char *const status_names[] = {"SUCCEEDED", "FAILED", "RETRIABLE", "CAUGHT_ERROR"};

typedef struct StateTest
{
	const AslState *state;
	Jsonb	   *input;
	AslEnv		env;
	Jsonb	   *context;		/* `$$` */
	Jsonb	   *mock_result;	/* NULL: none */
	bool		mock_fails;		/* with "failure" */
	int			retry_count;
	EfLambdaRequest request;	/* of lambda:invoke */

	/* what came out */
	TestStatus	status;
	AslTrace	trace;
	Jsonb	   *output;
	Jsonb	   *variables;
	AslError	failure;
	int			next;			/* index of the next state, or ASL_END */
	double		retry_delay;	/* seconds, of TEST_RETRIABLE */
} StateTest;

/* ---- the definition ---- */

static JsonbValue *
field_of(JsonbContainer *object, const char *key)
{
	return JsonContainerIsObject(object) ? getKeyJsonValueFromContainer(object, key, strlen(key), NULL) : NULL;
}

static bool
is_target(List *targets, const char *name)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

static List *
add_target(List *targets, JsonbValue *value)
{
	char	   *name;

	if (value == NULL || value->type != jbvString)
		return targets;
	name = pnstrdup(value->val.string.val, value->val.string.len);
	return is_target(targets, name) ? targets : lappend(targets, name);
}

/* The Next of each element of an array (Choices, Catch). */
static List *
add_targets_of(List *targets, JsonbValue *array)
{
	uint32		i;

	if (array == NULL || array->type != jbvBinary || !JsonContainerIsArray(array->val.binary.data))
		return targets;
	for (i = 0; i < JsonContainerSize(array->val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array->val.binary.data, i);

		if (element->type == jbvBinary)
			targets = add_target(targets, field_of(element->val.binary.data, "Next"));
	}
	return targets;
}

/* Put a state that is a definition by itself into a machine, with every target that it names. */
static char *
machine_around(const char *definition, JsonbContainer *state, char **name)
{
	List	   *targets = NIL;
	StringInfoData machine;
	ListCell   *lc;

	targets = add_target(targets, field_of(state, "Next"));
	targets = add_target(targets, field_of(state, "Default"));
	targets = add_targets_of(targets, field_of(state, "Choices"));
	targets = add_targets_of(targets, field_of(state, "Catch"));

	for (*name = LONE_STATE; is_target(targets, *name);)
		*name = psprintf("%s_", *name);

	initStringInfo(&machine);
	appendStringInfo(&machine, "{\"StartAt\":\"%s\",\"States\":{\"%s\":%s", *name, *name, definition);
	foreach(lc, targets)
	{
		appendStringInfoChar(&machine, ',');
		escape_json(&machine, lfirst(lc));
		appendStringInfoString(&machine, ":{\"Type\":\"Succeed\"}");
	}
	appendStringInfoString(&machine, "}}");
	return machine.data;
}

/* Raise the problems; those of a lone state (its name, else NULL) with the paths that they have in it. */
static void
refuse_invalid(List *problems, const char *lone_state)
{
	char	   *prefix = lone_state != NULL ? psprintf("/States/%s", lone_state) : "";
	StringInfoData detail;
	ListCell   *lc;

	initStringInfo(&detail);
	foreach(lc, problems)
	{
		AslProblem *problem = lfirst(lc);
		const char *path = problem->path;

		if (strncmp(path, prefix, strlen(prefix)) == 0)
			path += strlen(prefix);
		appendStringInfo(&detail, "%s%s: %s", detail.len > 0 ? "\n" : "", *path != '\0' ? path : "/", problem->problem);
	}
	ereport(ERROR,
			(errcode(EF_ERRCODE_INVALID_DEFINITION),
			 errmsg("the definition is not valid"),
			 errdetail_internal("%s", detail.data)));
}

static const AslState *
state_to_test(text *definition_text, const char *name)
{
	char	   *definition = text_to_cstring(definition_text);
	Jsonb	   *document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(definition)));
	char	   *lone_state = NULL;
	AslMachine *machine;
	const AslState *state;
	List	   *problems = NIL;

	if (JB_ROOT_IS_OBJECT(document) && field_of(&document->root, "States") == NULL)
		definition = machine_around(definition, &document->root, &lone_state);
	machine = asl_compile(definition, strlen(definition), CurrentMemoryContext, &problems);
	if (machine == NULL)
		refuse_invalid(problems, lone_state);
	if (lone_state != NULL || name == NULL)
		return &machine->root.states[machine->root.start_at];
	state = asl_find_state(machine, name);
	if (state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the definition has no state \"%s\"", name)));
	return state;
}

/* ---- the mock ---- */

static char *
mock_text(JsonbContainer *object, const char *key)
{
	JsonbValue *value = field_of(object, key);

	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" of the mock's errorOutput must be a string", key)));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* As the service does, take a result that is given as a string for the JSON text in it. */
static Jsonb *
mock_result(JsonbValue *value)
{
	if (value->type == jbvString)
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												  CStringGetDatum(pnstrdup(value->val.string.val, value->val.string.len))));
	return JsonbValueToJsonb(value);
}

static void
read_mock(StateTest *test, Jsonb *mock)
{
	JsonbValue *result = field_of(&mock->root, "result");
	JsonbValue *failure = field_of(&mock->root, "errorOutput");

	if ((result == NULL) == (failure == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the mock must be an object with either \"result\" or \"errorOutput\"")));
	if (result != NULL)
	{
		test->mock_result = mock_result(result);
		return;
	}
	if (failure->type != jbvBinary || !JsonContainerIsObject(failure->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"errorOutput\" of the mock must be an object with \"error\" and \"cause\"")));
	test->mock_fails = true;
	test->failure.name = mock_text(failure->val.binary.data, "error");
	test->failure.cause = mock_text(failure->val.binary.data, "cause");
}

/* ---- running it ---- */

static Jsonb *
test_context(void *arg, const char *part, const char *member)
{
	return ((StateTest *) arg)->context;
}

/* The state's output from its work's result, inside the activity's subtransaction too. */
static bool
finish(Jsonb *result, void *arg, AslError *error)
{
	StateTest  *test = arg;

	return asl_output(test->state, test->input, result, &test->env,
					  &test->output, &test->variables, &test->trace, error);
}

static void
needs_mock(const StateTest *test)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("state \"%s\" cannot be tested without a mock", test->state->name),
			 errdetail("Only the work of SQL activities can be done without a run."),
			 errhint("Give its result: mock => '{\"result\": …}', or a failure: mock => '{\"errorOutput\": {\"error\": …, \"cause\": …}}'.")));
}

/* The same of a function that lambda:invoke has called. */
static bool
finish_invocation(Jsonb *payload, void *arg, AslError *error)
{
	StateTest  *test = arg;

	return finish(ef_lambda_response(&test->request, payload), test, error);
}

/* What to call, with what; false: the Task fails. */
static bool
prepare_call(StateTest *test, Jsonb *effective, EfActivityCall *call)
{
	const char *resource = ef_resolve_resource(test->state->resource);
	const char *action = asl_service_action(test->state->resource);

	call->finish_arg = test;
	if (resource == NULL && action != NULL && strcmp(action, EF_LAMBDA_INVOKE) == 0)
	{
		if (!ef_lambda_request(effective, &test->request, &test->failure))
			return false;
		call->function = test->request.function;
		call->input = test->request.payload;
		call->finish = finish_invocation;
		return true;
	}
	if (resource == NULL || strncmp(resource, "sql:", 4) != 0)
		needs_mock(test);
	call->function = resource + 4;
	call->input = effective;
	call->finish = finish;
	return true;
}

/* Do the work of a Task. */
static bool
call_activity(StateTest *test, Jsonb *effective)
{
	EfActivityCall call = {.role = GetUserId(), .remaining = PG_INT64_MAX};
	double		heartbeat_seconds;

	if (!prepare_call(test, effective, &call) ||
		!asl_task_timeout(test->state, test->input, &test->env, &call.timeout_seconds, &heartbeat_seconds, &test->failure))
		return false;
	if (ef_call_activity(&call) == EF_ACTIVITY_SUCCEEDED)
		return true;
	test->failure = call.failure;
	return false;
}

/* Task, Parallel and Map: what goes into the work, the work or its mock, what comes out. */
static bool
do_work(StateTest *test)
{
	const AslState *state = test->state;
	Jsonb	   *effective;
	AslMapPlan	plan;

	if (!asl_effective_input(state, test->input, &test->env, &effective, &test->trace, &test->failure))
		return false;
	if (state->type == ASL_MAP && state->item_reader == NULL &&
		!asl_map_plan(state, test->input, NULL, &test->env, &plan, &test->failure))
		return false;
	if (test->mock_fails)
		return false;
	if (test->mock_result != NULL)
		return finish(test->mock_result, test, &test->failure);
	if (state->type != ASL_TASK)
		needs_mock(test);
	return call_activity(test, effective);
}

/* Retry, Catch, or the end. */
static void
handle_failure(StateTest *test)
{
	const AslState *state = test->state;
	int16	   *counts = palloc(sizeof(int16) * Max(state->nretriers, 1));
	bool		caught;
	AslError	error;
	int			i;

	for (i = 0; i < state->nretriers; i++)
		counts[i] = test->retry_count;
	if (asl_retry(state, &test->failure, counts, &test->retry_delay))
		test->status = TEST_RETRIABLE;
	else if (!asl_catch(state, test->input, &test->failure, &test->env, &caught, &test->next,
						&test->output, &test->variables, &error))
	{
		test->status = TEST_FAILED;
		test->failure = error;
	}
	else
		test->status = caught ? TEST_CAUGHT_ERROR : TEST_FAILED;
}

/* The states that neither retry nor catch. */
static bool
run_simple_state(StateTest *test)
{
	const AslState *state = test->state;
	Jsonb	   *effective;
	AslTrace	trace = {0};
	TimestampTz until;

	if (state->type == ASL_FAIL)
	{
		AslError	error;

		if (!asl_fail(state, test->input, &test->env, &test->failure, &error))
			test->failure = error;
		return false;
	}
	if (state->type == ASL_PASS)
		return asl_effective_input(state, test->input, &test->env, &effective, &test->trace, &test->failure) &&
			finish(asl_pass_result(state, effective), test, &test->failure);

	/* The others have no parameters and no result, so there is less to trace. */
	if (!asl_effective_input(state, test->input, &test->env, &effective, &trace, &test->failure))
		return false;
	test->trace.after_input_path = trace.after_input_path;
	switch (state->type)
	{
		case ASL_CHOICE:
			return asl_choose(state, test->input, &test->env, &test->next, &test->output, &test->variables, &test->failure);
		case ASL_WAIT:
			if (!asl_wait_until(state, test->input, ef_now(), &test->env, &until, &test->failure))
				return false;
			/* FALLTHROUGH */
		case ASL_SUCCEED:
			return asl_output(state, test->input, effective, &test->env, &test->output, &test->variables, NULL, &test->failure);
		default:
			elog(ERROR, "unrecognized type of state: %d", (int) state->type);
	}
}

static void
run_test(StateTest *test)
{
	AslStateType type = test->state->type;
	bool		works = type == ASL_TASK || type == ASL_PARALLEL || type == ASL_MAP;

	if (!works && (test->mock_result != NULL || test->mock_fails))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("state \"%s\" does no work that a mock could stand for", test->state->name)));
	test->next = test->state->next;
	test->variables = test->env.variables;
	if (works ? do_work(test) : run_simple_state(test))
		test->status = TEST_SUCCEEDED;
	else
	{
		test->output = NULL;
		test->status = TEST_FAILED;
		if (works)
			handle_failure(test);
	}
}

/* ---- the answer ---- */

static void
add_text(JsonbParseState **parse, const char *key, const char *value)
{
	JsonbValue	v;

	if (value == NULL)
		return;
	v.type = jbvString;
	v.val.string.val = unconstify(char *, key);
	v.val.string.len = strlen(key);
	pushJsonbValue(parse, WJB_KEY, &v);
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = strlen(value);
	pushJsonbValue(parse, WJB_VALUE, &v);
}

static void
add_document(JsonbParseState **parse, const char *key, Jsonb *document)
{
	JsonbValue	v;

	if (document == NULL)
		return;
	v.type = jbvString;
	v.val.string.val = unconstify(char *, key);
	v.val.string.len = strlen(key);
	pushJsonbValue(parse, WJB_KEY, &v);
	if (JB_ROOT_IS_SCALAR(document))
	{
		JsonbValue *scalar = getIthJsonbValueFromContainer(&document->root, 0);

		pushJsonbValue(parse, WJB_VALUE, scalar);
	}
	else
	{
		v.type = jbvBinary;
		v.val.binary.data = &document->root;
		v.val.binary.len = VARSIZE_ANY_EXHDR(document);
		pushJsonbValue(parse, WJB_VALUE, &v);
	}
}

static void
add_number(JsonbParseState **parse, const char *key, double number)
{
	JsonbValue	v;

	v.type = jbvNumeric;
	v.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(number)));
	add_document(parse, key, JsonbValueToJsonb(&v));
}

/* How far the data came, stage by stage. */
static void
add_inspection(JsonbParseState **parse, const StateTest *test)
{
	const AslTrace *trace = &test->trace;
	JsonbValue	key;

	key.type = jbvString;
	key.val.string.val = "inspectionData";
	key.val.string.len = strlen(key.val.string.val);
	pushJsonbValue(parse, WJB_KEY, &key);
	pushJsonbValue(parse, WJB_BEGIN_OBJECT, NULL);
	add_document(parse, "input", test->input);
	add_document(parse, "afterInputPath", trace->after_input_path);
	add_document(parse, "afterParameters", trace->after_parameters);
	add_document(parse, "result", trace->result);
	add_document(parse, "afterResultSelector", trace->after_result_selector);
	add_document(parse, "afterResultPath", trace->after_result_path);
	add_document(parse, "variables", test->status == TEST_FAILED || test->status == TEST_RETRIABLE ? NULL : test->variables);
	if (test->status == TEST_RETRIABLE)
		add_number(parse, "retryBackoffIntervalSeconds", test->retry_delay);
	pushJsonbValue(parse, WJB_END_OBJECT, NULL);
}

static Jsonb *
answer(const StateTest *test)
{
	JsonbParseState *parse = NULL;

	pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
	add_text(&parse, "status", status_names[test->status]);
	if (test->status == TEST_SUCCEEDED || test->status == TEST_CAUGHT_ERROR)
	{
		add_document(&parse, "output", test->output);
		if (test->next != ASL_END)
			add_text(&parse, "nextState", test->state->scope->states[test->next].name);
	}
	if (test->status != TEST_SUCCEEDED)
	{
		add_text(&parse, "error", test->failure.name);
		add_text(&parse, "cause", test->failure.cause);
	}
	add_inspection(&parse, test);
	return ef_end_object(&parse);
}

/* ---- the function ---- */

static Jsonb *
object_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	Jsonb	   *object;

	if (PG_ARGISNULL(arg))
		return NULL;
	object = PG_GETARG_JSONB_P(arg);
	if (!JB_ROOT_IS_OBJECT(object))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a JSON object", name)));
	return object;
}

static Jsonb *
empty_object(void)
{
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}

/*
 * test_state(definition json, input jsonb, state text, mock jsonb, variables jsonb, context jsonb,
 *			  retry_count integer) → jsonb
 */
Datum
ef_test_state(PG_FUNCTION_ARGS)
{
	StateTest	test = {0};
	Jsonb	   *mock;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("definition must not be null")));
	test.input = PG_ARGISNULL(1) ? empty_object() : PG_GETARG_JSONB_P(1);
	test.state = state_to_test(PG_GETARG_TEXT_PP(0), PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2)));
	mock = object_argument(fcinfo, 3, "mock");
	if (mock != NULL)
		read_mock(&test, mock);
	test.env.variables = object_argument(fcinfo, 4, "variables");
	test.context = object_argument(fcinfo, 5, "context");
	if (test.context == NULL)
		test.context = empty_object();
	test.env.context = test_context;
	test.env.context_arg = &test;
	test.env.data_limit = ef_data_limit;
	test.retry_count = PG_ARGISNULL(6) ? 0 : PG_GETARG_INT32(6);
	if (test.retry_count < 0 || test.retry_count > PG_INT16_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retry_count must be between 0 and %d", PG_INT16_MAX)));
	run_test(&test);
	PG_RETURN_JSONB_P(answer(&test));
}
