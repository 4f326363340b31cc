/*-------------------------------------------------------------------------
 *
 * test_machine.c
 *	  The language as SQL functions, for tests.
 *
 * The install script does not declare them; a test that wants one does, with
 * CREATE FUNCTION ... AS '$libdir/expense_flow'.  What happened comes back as
 * jsonb: {"Error": ..., "Cause": ...} where it failed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/machine.h"
#include "asl/value.h"
#include "errcodes.h"
#include "fmgr.h"
#include "funcapi.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(asl_test_validate);
PG_FUNCTION_INFO_V1(asl_test_state);
PG_FUNCTION_INFO_V1(asl_test_retry);

/* asl_test_validate(definition json) returns table (path text, problem text) */
Datum
asl_test_validate(PG_FUNCTION_ARGS)
{
	text	   *definition = PG_GETARG_TEXT_PP(0);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *problems;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	(void) asl_compile(VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition), CurrentMemoryContext, &problems);
	foreach(cell, problems)
	{
		const AslProblem *problem = lfirst(cell);
		Datum		values[2] = {CStringGetTextDatum(problem->path), CStringGetTextDatum(problem->problem)};
		bool		nulls[2] = {false, false};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* A state of a definition without problems. */
static AslState *
compile_state(text *definition, text *name)
{
	List	   *problems;
	AslMachine *machine = asl_compile(VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition),
									  CurrentMemoryContext, &problems);
	AslState   *state;

	if (machine == NULL)
	{
		const AslProblem *problem = linitial(problems);

		ereport(ERROR,
				(errcode(EF_ERRCODE_INVALID_DEFINITION),
				 errmsg("invalid definition: %s: %s", problem->path, problem->problem)));
	}
	state = asl_find_state(machine, text_to_cstring(name));
	if (state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no state \"%s\"", text_to_cstring(name))));
	return state;
}

static Jsonb *
test_context(void *arg, const char *part, const char *member)
{
	return arg;
}

/* ---- building the answer ---- */

static void
add_jsonb(JsonbValue *object, const char *key, Jsonb *document)
{
	JsonbValue	value;

	if (document == NULL)
		return;
	value = asl_value_of(document);
	asl_object_add(object, key, strlen(key), &value);
}

static void
add_text(JsonbValue *object, const char *key, const char *text)
{
	JsonbValue	value = text ? asl_value_text(text, strlen(text)) : asl_value_null();

	asl_object_add(object, key, strlen(key), &value);
}

static void
add_number(JsonbValue *object, const char *key, double number)
{
	JsonbValue	value;

	value.type = jbvNumeric;
	value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(number)));
	asl_object_add(object, key, strlen(key), &value);
}

static void
add_next(JsonbValue *object, const AslState *state, int next)
{
	if (next != ASL_END)
		add_text(object, "next", state->scope->states[next].name);
}

static void
add_failure(JsonbValue *object, const AslError *error)
{
	add_text(object, "Error", error->name);
	add_text(object, "Cause", error->cause);
}

static Datum
answer(const JsonbValue *object)
{
	AslError	error;
	Jsonb	   *result;

	if (!asl_value_build(object, &result, &error))
		elog(ERROR, "%s: %s", error.name, error.cause);
	return JsonbPGetDatum(result);
}

/* ---- one state ---- */

typedef struct StateTest
{
	AslState   *state;
	Jsonb	   *input;
	Jsonb	   *result;			/* of the state's work, or NULL */
	AslEnv		env;
	AslTrace	trace;
	JsonbValue	object;			/* the answer */
	AslError	error;
} StateTest;

/* The work of a state with a result: what went in, and what comes out. */
static bool
test_work(StateTest *test)
{
	Jsonb	   *effective;
	Jsonb	   *output;
	Jsonb	   *variables;

	if (!asl_effective_input(test->state, test->input, &test->env, &effective, &test->trace, &test->error))
		return false;
	if (test->state->type == ASL_PASS)
		test->result = asl_pass_result(test->state, effective);
	else if (test->result == NULL)
		test->result = effective;
	if (!asl_output(test->state, test->input, test->result, &test->env, &output, &variables,
					&test->trace, &test->error))
		return false;
	add_jsonb(&test->object, "output", output);
	add_jsonb(&test->object, "variables", variables);
	add_jsonb(&test->object, "afterInputPath", test->trace.after_input_path);
	add_jsonb(&test->object, "afterParameters", test->trace.after_parameters);
	add_jsonb(&test->object, "afterResultSelector", test->trace.after_result_selector);
	add_jsonb(&test->object, "afterResultPath", test->trace.after_result_path);
	add_next(&test->object, test->state, test->state->next);
	return true;
}

static bool
test_task(StateTest *test)
{
	double		timeout;
	double		heartbeat;

	if (!asl_task_timeout(test->state, test->input, &test->env, &timeout, &heartbeat, &test->error))
		return false;
	if (test->state->has_timeout)
		add_number(&test->object, "timeout", timeout);
	if (test->state->has_heartbeat)
		add_number(&test->object, "heartbeat", heartbeat);
	return test_work(test);
}

static bool
test_choice(StateTest *test)
{
	Jsonb	   *output;
	Jsonb	   *variables;
	int			next;

	if (!asl_choose(test->state, test->input, &test->env, &next, &output, &variables, &test->error))
		return false;
	add_next(&test->object, test->state, next);
	add_jsonb(&test->object, "output", output);
	add_jsonb(&test->object, "variables", variables);
	return true;
}

/* Entered at 2020-01-01 00:00:00 UTC. */
static bool
test_wait(StateTest *test)
{
	AslInstant	entered = {INT64CONST(1577836800), 0};
	TimestampTz until;
	JsonbValue	value;

	if (!asl_wait_until(test->state, test->input, asl_instant_to_timestamptz(&entered), &test->env,
						&until, &test->error))
		return false;
	value = asl_value_int(until - asl_instant_to_timestamptz(&entered));
	asl_object_add(&test->object, "microseconds", strlen("microseconds"), &value);
	return test_work(test);
}

static bool
test_fail(StateTest *test)
{
	AslError	failure;

	if (!asl_fail(test->state, test->input, &test->env, &failure, &test->error))
		return false;
	add_text(&test->object, "failsWith", failure.name);
	add_text(&test->object, "because", failure.cause);
	return true;
}

/* The plan, and the input of the first iteration where the context has a Map.Item. */
static bool
test_map(StateTest *test)
{
	AslMapPlan	plan;
	JsonbValue	items;
	JsonbValue	first;
	Jsonb	   *item;

	if (!asl_map_plan(test->state, test->input, test->state->item_reader ? test->result : NULL,
					  &test->env, &plan, &test->error))
		return false;
	add_jsonb(&test->object, "items", plan.items);
	add_number(&test->object, "maxConcurrency", plan.max_concurrency);
	add_number(&test->object, "toleratedCount", plan.tolerated_count);
	add_number(&test->object, "toleratedPercentage", plan.tolerated_percentage);
	items = asl_value_of(plan.items);
	if (plan.nitems == 0)
		return true;
	if (!asl_value_element(&items, 0, &first) || !asl_value_build(&first, &item, &test->error) ||
		!asl_map_item_input(test->state, test->input, item, &test->env, &item, &test->error))
		return false;
	add_jsonb(&test->object, "firstInput", item);
	return true;
}

/*
 * asl_test_state(definition json, state text, input jsonb, result jsonb, variables jsonb, context jsonb,
 *				  data_limit bigint) returns jsonb
 */
Datum
asl_test_state(PG_FUNCTION_ARGS)
{
	StateTest	test = {0};
	bool		ok;

	test.state = compile_state(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1));
	test.input = PG_GETARG_JSONB_P(2);
	test.result = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	test.env.variables = PG_ARGISNULL(4) ? NULL : PG_GETARG_JSONB_P(4);
	test.env.context = test_context;
	test.env.context_arg = PG_ARGISNULL(5) ? asl_jsonb_empty_object() : PG_GETARG_JSONB_P(5);
	test.env.data_limit = PG_ARGISNULL(6) ? 0 : PG_GETARG_INT64(6);
	test.object = asl_value_empty_object();
	switch (test.state->type)
	{
		case ASL_CHOICE:
			ok = test_choice(&test);
			break;
		case ASL_WAIT:
			ok = test_wait(&test);
			break;
		case ASL_FAIL:
			ok = test_fail(&test);
			break;
		case ASL_MAP:
			ok = test_map(&test);
			break;
		case ASL_TASK:
			ok = test_task(&test);
			break;
		default:
			ok = test_work(&test);
			break;
	}
	if (!ok)
	{
		test.object = asl_value_empty_object();
		add_failure(&test.object, &test.error);
	}
	return answer(&test.object);
}

/* ---- Retry and Catch ---- */

/* Where the machine goes with an error that no retrier takes. */
static void
test_catch(AslState *state, Jsonb *input, const AslError *failure, const AslEnv *env, JsonbValue *object)
{
	AslError	error;
	Jsonb	   *output;
	Jsonb	   *variables;
	bool		caught;
	int			next;

	if (!asl_catch(state, input, failure, env, &caught, &next, &output, &variables, &error))
		add_failure(object, &error);
	else if (caught)
	{
		add_next(object, state, next);
		add_jsonb(object, "output", output);
		add_jsonb(object, "variables", variables);
	}
}

/*
 * asl_test_retry(definition json, state text, input jsonb, errors text[]) returns jsonb
 *
 * The state fails with these errors, one after the other, until none of its retriers takes it any more.
 */
Datum
asl_test_retry(PG_FUNCTION_ARGS)
{
	AslState   *state = compile_state(PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1));
	Jsonb	   *input = PG_GETARG_JSONB_P(2);
	int16	   *counts = palloc0(Max(1, state->nretriers) * sizeof(int16));
	AslEnv		env = {.context = test_context, .context_arg = asl_jsonb_empty_object()};
	JsonbValue	object = asl_value_empty_object();
	JsonbValue	delays = asl_value_empty_array();
	Datum	   *errors;
	bool	   *nulls;
	int			nerrors;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), TEXTOID, -1, false, TYPALIGN_INT, &errors, &nulls, &nerrors);
	for (int i = 0; i < nerrors; i++)
	{
		AslError	failure = {nulls[i] ? NULL : TextDatumGetCString(errors[i]), "because"};
		JsonbValue	value;
		double		delay;

		if (!asl_retry(state, &failure, counts, &delay))
		{
			test_catch(state, input, &failure, &env, &object);
			break;
		}
		value.type = jbvNumeric;
		value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(delay)));
		asl_array_append(&delays, &value);
	}
	asl_object_add(&object, "delays", strlen("delays"), &delays);
	PG_RETURN_DATUM(answer(&object));
}
