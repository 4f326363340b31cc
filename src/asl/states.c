/*-------------------------------------------------------------------------
 *
 * states.c
 *	  Running states: what goes in, what comes out, and what each type of state
 *	  needs besides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "asl/machine.h"
#include "asl/value.h"
#include "mb/pg_wchar.h"

/* ---- input and output ---- */

static bool
apply_filter(const AslFilter *filter, Jsonb *data, const AslEnv *env, Jsonb **result, AslError *error)
{
	if (filter->discard)
		*result = asl_jsonb_empty_object();
	else if (filter->path == NULL)
		*result = data;
	else
		return asl_path_require(filter->path, NULL, data, env, result, error);
	return true;
}

bool
asl_filter_input(const AslState *state, Jsonb *input, const AslEnv *env, Jsonb **effective, AslError *error)
{
	return apply_filter(&state->body->input_path, input, env, effective, error);
}

bool
asl_filter_output(const AslState *state, Jsonb *data, const AslEnv *env, Jsonb **output, AslError *error)
{
	return apply_filter(&state->body->output_path, data, env, output, error) &&
		asl_within_limit(*output, env, state->name, error);
}

bool
asl_place_result(const AslFilter *result_path, Jsonb *input, Jsonb *result, Jsonb **placed, AslError *error)
{
	if (result_path->discard)
		*placed = input;
	else if (result_path->path == NULL)
		*placed = result;
	else
		return asl_path_set(result_path->path, input, result, placed, error);
	return true;
}

static void
add_fields(JsonbValue *object, Jsonb *document)
{
	JsonbValue	fields = asl_value_of(document);
	AslEach		each;
	JsonbValue	key;
	JsonbValue	value;

	for (asl_each_init(&each, &fields); asl_each_next(&each, &key, &value);)
		asl_object_add(object, key.val.string.val, key.val.string.len, &value);
}

/* An object with the fields of both; of equal ones, the second's. */
static bool
merge(Jsonb *first, Jsonb *second, Jsonb **merged, AslError *error)
{
	JsonbValue	object = asl_value_empty_object();

	if (first != NULL)
		add_fields(&object, first);
	add_fields(&object, second);
	return asl_value_build(&object, merged, error);
}

bool
asl_assign(const AslTemplate *assign, Jsonb *input, const AslEnv *env, Jsonb **variables, AslError *error)
{
	Jsonb	   *assigned;

	*variables = env->variables;
	if (assign == NULL)
		return true;
	if (!asl_template_eval(assign, input, env, &assigned, error))
		return false;
	if (JB_ROOT_COUNT(assigned) == 0)
		return true;
	return merge(env->variables, assigned, variables, error);
}

bool
asl_effective_input(const AslState *state, Jsonb *input, const AslEnv *env,
					Jsonb **effective, AslTrace *trace, AslError *error)
{
	const AslStateBody *body = state->body;
	Jsonb	   *late;

	if (!asl_filter_input(state, input, env, effective, error))
		return false;
	if (trace)
		trace->after_input_path = *effective;
	if (body->parameters &&
		(!asl_template_eval(body->parameters, *effective, env, effective, error) ||
		 !asl_within_limit(*effective, env, state->name, error)))
		return false;
	if (body->late_parameters &&
		(!asl_template_eval(body->late_parameters, *effective, env, &late, error) ||
		 !merge(*effective, late, effective, error)))
		return false;
	if (trace)
		trace->after_parameters = *effective;
	return true;
}

const char *
asl_service_action(const char *resource)
{
	static const char prefix[] = "arn:";
	static const char service[] = ":states:::";
	const char *partition_end;

	if (strncmp(resource, prefix, strlen(prefix)) != 0)
		return NULL;
	partition_end = strchr(resource + strlen(prefix), ':');
	if (partition_end == NULL || strncmp(partition_end, service, strlen(service)) != 0)
		return NULL;
	return partition_end + strlen(service);
}

/* What the service calls a state's work where its result is too large: an AWS service's action by the service alone. */
static const char *
name_of_work(const AslState *state)
{
	const char *action;

	if (state->resource == NULL)
		return state->name;
	action = asl_service_action(state->resource);
	return action ? pnstrdup(action, strcspn(action, ":")) : state->resource;
}

bool
asl_output(const AslState *state, Jsonb *input, Jsonb *result, const AslEnv *env,
		   Jsonb **output, Jsonb **variables, AslTrace *trace, AslError *error)
{
	const AslStateBody *body = state->body;
	Jsonb	   *selected = result;
	Jsonb	   *placed;

	if (trace)
		trace->result = result;
	if (!asl_within_limit(result, env, name_of_work(state), error))
		return false;
	if (body->result_selector &&
		!asl_template_eval(body->result_selector, result, env, &selected, error))
		return false;
	if (trace)
		trace->after_result_selector = selected;
	if (!asl_assign(body->assign, result, env, variables, error) ||
		!asl_place_result(&body->result_path, input, selected, &placed, error))
		return false;
	if (trace)
		trace->after_result_path = placed;
	return asl_filter_output(state, placed, env, output, error);
}

Jsonb *
asl_pass_result(const AslState *state, Jsonb *effective)
{
	return state->body->result ? state->body->result : effective;
}

/* ---- numbers that may be given by a path ---- */

static bool
not_a_number(const AslAmount *amount, const AslRange *range, Jsonb *value, AslError *error)
{
	JsonbValue	scalar = asl_value_of(value);
	char	   *text = asl_compact_excerpt(value, 200);

	if (scalar.type == jbvString)
		text = pnstrdup(scalar.val.string.val, pg_mbcliplen(scalar.val.string.val, scalar.val.string.len, 200));
	return asl_error(error, ASL_ERROR_RUNTIME, "The %sPath field refers to value \"%s\" which is not a valid %s: %s",
					 range->name, text, range->whole ? "integer" : "float", asl_path_text(amount->path));
}

bool
asl_eval_amount(const AslAmount *amount, const AslRange *range, Jsonb *input, const AslEnv *env,
				double *number, AslError *error)
{
	char		field[64];
	Jsonb	   *value;
	JsonbValue	scalar;

	if (amount->path == NULL)
	{
		*number = amount->given ? amount->value : 0;
		return true;
	}
	snprintf(field, sizeof(field), "%sPath", range->name);
	if (!asl_path_require(amount->path, field, input, env, &value, error))
		return false;
	scalar = asl_value_of(value);
	if (scalar.type != jbvNumeric || !asl_value_to_double(&scalar, number) ||
		(range->whole && *number != floor(*number)))
		return not_a_number(amount, range, value, error);
	if (*number < range->min || *number > range->max)
		return asl_error(error, ASL_ERROR_RUNTIME, "%s must be between %.0f and %.0f.",
						 range->name, range->min, range->max);
	return true;
}

/* Most states look for it in what InputPath leaves of the input. */
static bool
eval_input_amount(const AslState *state, const AslAmount *amount, const AslRange *range,
				  Jsonb *input, const AslEnv *env, double *number, AslError *error)
{
	if (amount->path != NULL && !asl_filter_input(state, input, env, &input, error))
		return false;
	return asl_eval_amount(amount, range, input, env, number, error);
}

bool
asl_task_timeout(const AslState *state, Jsonb *input, const AslEnv *env,
				 double *timeout_seconds, double *heartbeat_seconds, AslError *error)
{
	static const AslRange timeout = {"TimeoutSeconds", 1, ASL_MAX_WHOLE_NUMBER, true};
	static const AslRange heartbeat = {"HeartbeatSeconds", 1, ASL_MAX_WHOLE_NUMBER, true};

	return eval_input_amount(state, &state->body->timeout, &timeout, input, env, timeout_seconds, error) &&
		eval_input_amount(state, &state->body->heartbeat, &heartbeat, input, env, heartbeat_seconds, error);
}

static bool
eval_text(const AslExpr *expr, const char *field, Jsonb *input, const AslEnv *env, char **text, AslError *error)
{
	JsonbValue	value;

	if (!asl_expr_eval_value(expr, field, input, env, &value, error))
		return false;
	if (value.type != jbvString)
		return asl_error(error, ASL_ERROR_RUNTIME, "The value of the field '%s' must be a string, not %s.",
						 field, asl_value_kind(&value));
	*text = pnstrdup(value.val.string.val, value.val.string.len);
	return true;
}

bool
asl_task_workflow_id(const AslState *state, Jsonb *input, const AslEnv *env, char **workflow_id, AslError *error)
{
	Jsonb	   *effective;

	*workflow_id = state->body->workflow_id;
	return state->body->workflow_id_path == NULL ||
		(asl_filter_input(state, input, env, &effective, error) &&
		 eval_text(state->body->workflow_id_path, "WorkflowIdPath", effective, env, workflow_id, error));
}

bool
asl_compensation_input(const AslState *state, Jsonb *data, const AslEnv *env, Jsonb **input, AslError *error)
{
	*input = data;
	return state->body->compensation_input == NULL ||
		asl_template_eval(state->body->compensation_input, data, env, input, error);
}

void
asl_task_limits(const AslState *state, AslTaskLimits *limits)
{
	const AslStateBody *body = state->body;

	limits->schedule_to_start = body->schedule_to_start.value;
	limits->start_to_close = body->start_to_close.value;
	limits->schedule_to_close = body->schedule_to_close.value;
	limits->priority = (int) body->priority.value;
}

/* ---- Wait ---- */

static bool
eval_instant(const AslInstantField *field, Jsonb *input, const AslEnv *env, AslInstant *instant, AslError *error)
{
	JsonbValue	value;

	*instant = field->value;
	if (field->path == NULL)
		return true;
	if (!asl_path_require_value(field->path, "TimestampPath", input, env, &value, error))
		return false;
	if (value.type != jbvString || !asl_instant_parse(value.val.string.val, value.val.string.len, instant))
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: %s",
						 asl_path_text(field->path));
	return true;
}

bool
asl_wait_until(const AslState *state, Jsonb *input, TimestampTz entered, const AslEnv *env,
			   TimestampTz *until, AslError *error)
{
	static const AslRange seconds_range = {"Seconds", 0, ASL_MAX_WHOLE_NUMBER, true};
	const AslStateBody *body = state->body;
	Jsonb	   *effective;
	AslInstant	instant;
	double		seconds;

	if (!asl_filter_input(state, input, env, &effective, error))
		return false;
	if (body->timestamp.given || body->timestamp.path)
	{
		if (!eval_instant(&body->timestamp, effective, env, &instant, error))
			return false;
		*until = asl_instant_to_timestamptz(&instant);
		return true;
	}
	if (!asl_eval_amount(&body->seconds, &seconds_range, effective, env, &seconds, error))
		return false;
	if (seconds >= (double) (END_TIMESTAMP - entered) / USECS_PER_SEC)
		return asl_error(error, ASL_ERROR_RUNTIME, "Seconds of %.0f is too far in the future.", seconds);
	*until = entered + (int64) seconds * USECS_PER_SEC;
	return true;
}

/* ---- Fail ---- */

bool
asl_fail(const AslState *state, Jsonb *input, const AslEnv *env, AslError *failure, AslError *error)
{
	const AslStateBody *body = state->body;

	failure->name = body->error;
	failure->cause = body->cause;
	return (body->error_path == NULL ||
			eval_text(body->error_path, "ErrorPath", input, env, &failure->name, error)) &&
		(body->cause_path == NULL ||
		 eval_text(body->cause_path, "CausePath", input, env, &failure->cause, error));
}
