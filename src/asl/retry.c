/*-------------------------------------------------------------------------
 *
 * retry.c
 *	  Retry and Catch: which errors they take, and what follows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "asl/compile.h"
#include "asl/value.h"
#include "common/pg_prng.h"

#define DEFAULT_INTERVAL 1.0
#define DEFAULT_MAX_ATTEMPTS 3
#define DEFAULT_BACKOFF_RATE 2.0

/* The service's greatest number of seconds, where nothing else bounds a delay that grows. */
#define MAX_DELAY 99999999.0

/* ---- compiling ---- */

static void
read_error_names(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslErrorSet *errors = target;

	if (!asl_expect(compiler, value, ASL_TREE_ARRAY))
		return;
	if (value->nchildren == 0)
		asl_problem(compiler, value, "must not be empty");
	errors->nnames = value->nchildren;
	errors->names = palloc0(Max(1, value->nchildren) * sizeof(char *));
	for (int i = 0; i < value->nchildren; i++)
	{
		asl_read_text(compiler, value->children[i], &errors->names[i]);
		if (asl_tree_is_string(value->children[i], ASL_ERROR_ALL) && value->nchildren > 1)
			asl_problem(compiler, value->children[i], "\"%s\" must stand alone", ASL_ERROR_ALL);
	}
}

static void
read_backoff_rate(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (!asl_expect(compiler, value, ASL_TREE_NUMBER))
		return;
	*(double *) target = strtod(value->text, NULL);
	if (!(*(double *) target >= 1.0 && *(double *) target <= MAX_DELAY))
		asl_problem(compiler, value, "must be a number from 1.0 to %.0f", MAX_DELAY);
}

static void
read_jitter(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return;
	*(bool *) target = strcmp(value->text, "FULL") == 0;
	if (!*(bool *) target && strcmp(value->text, "NONE") != 0)
		asl_problem(compiler, value, "must be \"FULL\" or \"NONE\"");
}

static const AslField retrier_fields[] = {
	{"Comment", 1, 0, asl_read_ignored_text, 0},
	{"ErrorEquals", 1, 1, read_error_names, offsetof(AslRetrier, errors)},
	{"IntervalSeconds", 1, 0, asl_read_positive, offsetof(AslRetrier, interval)},
	{"MaxAttempts", 1, 0, asl_read_non_negative, offsetof(AslRetrier, max_attempts)},
	{"MaxDelaySeconds", 1, 0, asl_read_positive, offsetof(AslRetrier, max_delay)},
	{"BackoffRate", 1, 0, read_backoff_rate, offsetof(AslRetrier, backoff_rate)},
	{"JitterStrategy", 1, 0, read_jitter, offsetof(AslRetrier, full_jitter)},
};

static const AslField catcher_fields[] = {
	{"Comment", 1, 0, asl_read_ignored_text, 0},
	{"ErrorEquals", 1, 1, read_error_names, offsetof(AslCatcher, errors)},
	{"Next", 1, 1, asl_read_next, offsetof(AslCatcher, next)},
	{"ResultPath", 1, 0, asl_read_result_path, offsetof(AslCatcher, result_path)},
	{"Assign", 1, 0, asl_read_assign, offsetof(AslCatcher, assign)},
};

/* States.ALL must be the last element's. */
static void
check_all_is_last(AslCompiler *compiler, const AslTree *array, const char *what)
{
	for (int i = 0; i < array->nchildren - 1; i++)
	{
		const AslTree *errors = asl_tree_field(array->children[i], "ErrorEquals");

		if (errors == NULL)
			continue;
		for (int j = 0; j < errors->nchildren; j++)
		{
			if (asl_tree_is_string(errors->children[j], ASL_ERROR_ALL))
				asl_problem(compiler, errors->children[j], "\"%s\" is allowed only in the last %s",
							ASL_ERROR_ALL, what);
		}
	}
}

void
asl_read_retry(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslStateBody *body = target;

	if (!asl_expect(compiler, value, ASL_TREE_ARRAY))
		return;
	body->state->nretriers = value->nchildren;
	body->retriers = palloc0(Max(1, value->nchildren) * sizeof(AslRetrier));
	for (int i = 0; i < value->nchildren; i++)
	{
		AslRetrier *retrier = &body->retriers[i];

		retrier->interval.value = DEFAULT_INTERVAL;
		retrier->max_attempts.value = DEFAULT_MAX_ATTEMPTS;
		retrier->backoff_rate = DEFAULT_BACKOFF_RATE;
		asl_read_object(compiler, value->children[i], "a retrier",
						retrier_fields, lengthof(retrier_fields), ASL_ANY_VARIANT, retrier);
	}
	check_all_is_last(compiler, value, "retrier");
}

void
asl_read_catch(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslStateBody *body = target;

	if (!asl_expect(compiler, value, ASL_TREE_ARRAY))
		return;
	body->ncatchers = value->nchildren;
	body->catchers = palloc0(Max(1, value->nchildren) * sizeof(AslCatcher));
	for (int i = 0; i < value->nchildren; i++)
	{
		body->catchers[i].next = ASL_END;
		asl_read_object(compiler, value->children[i], "a catcher",
						catcher_fields, lengthof(catcher_fields), ASL_ANY_VARIANT, &body->catchers[i]);
	}
	check_all_is_last(compiler, value, "catcher");
}

/* ---- matching ---- */

static bool
is_timeout(const char *error)
{
	return strcmp(error, ASL_ERROR_TIMEOUT) == 0 || strcmp(error, ASL_ERROR_HEARTBEAT_TIMEOUT) == 0;
}

/*
 * States.Runtime cannot be handled at all.  A heartbeat that did not come is a timeout, so that name matches it
 * as well, and States.TaskFailed, which leaves out timeouts, does not.  A Fail state without Error has no name:
 * only wildcards match it.  Canceled is matched by its name only.
 */
static bool
name_matches(const char *name, const char *error)
{
	if (error != NULL && strcmp(error, ASL_ERROR_CANCELED) == 0)
		return strcmp(name, error) == 0;
	if (strcmp(name, ASL_ERROR_ALL) == 0)
		return true;
	if (strcmp(name, ASL_ERROR_TASK_FAILED) == 0)
		return error == NULL || !is_timeout(error);
	if (error == NULL)
		return false;
	if (strcmp(name, ASL_ERROR_TIMEOUT) == 0)
		return is_timeout(error);
	return strcmp(name, error) == 0;
}

static bool
set_matches(const AslErrorSet *errors, const char *error)
{
	if (error != NULL && strcmp(error, ASL_ERROR_RUNTIME) == 0)
		return false;
	for (int i = 0; i < errors->nnames; i++)
	{
		if (name_matches(errors->names[i], error))
			return true;
	}
	return false;
}

bool
asl_retry(const AslState *state, const AslError *error, int16 *counts, double *delay_seconds)
{
	const AslStateBody *body = state->body;

	if (error->name != NULL && strcmp(error->name, ASL_ERROR_CANCELED) == 0)
		return false;
	for (int i = 0; i < state->nretriers; i++)
	{
		const AslRetrier *retrier = &body->retriers[i];
		double		delay;

		if (!set_matches(&retrier->errors, error->name))
			continue;
		/* The first retrier that matches decides. */
		if (counts[i] >= retrier->max_attempts.value)
			return false;
		delay = Min(retrier->interval.value * pow(retrier->backoff_rate, counts[i]), MAX_DELAY);
		if (retrier->max_delay.given)
			delay = Min(delay, retrier->max_delay.value);
		if (retrier->full_jitter)
			delay *= pg_prng_double(&pg_global_prng_state);
		if (counts[i] < PG_INT16_MAX)
			counts[i]++;
		*delay_seconds = delay;
		return true;
	}
	return false;
}

/* {"Error": ..., "Cause": ...} */
static bool
make_error_output(const AslError *failure, Jsonb **output, AslError *error)
{
	JsonbValue	object = asl_value_empty_object();
	const char *name = failure->name ? failure->name : "";
	const char *cause = failure->cause ? failure->cause : "";
	JsonbValue	text;

	text = asl_value_text(name, strlen(name));
	asl_object_add(&object, "Error", strlen("Error"), &text);
	text = asl_value_text(cause, strlen(cause));
	asl_object_add(&object, "Cause", strlen("Cause"), &text);
	return asl_value_build(&object, output, error);
}

bool
asl_catch(const AslState *state, Jsonb *input, const AslError *failure, const AslEnv *env,
		  bool *caught, int *next, Jsonb **output, Jsonb **variables, AslError *error)
{
	const AslStateBody *body = state->body;

	*caught = false;
	for (int i = 0; i < body->ncatchers; i++)
	{
		const AslCatcher *catcher = &body->catchers[i];
		Jsonb	   *error_output;

		if (!set_matches(&catcher->errors, failure->name))
			continue;
		*caught = true;
		*next = catcher->next;
		return make_error_output(failure, &error_output, error) &&
			asl_assign(catcher->assign, error_output, env, variables, error) &&
			asl_place_result(&catcher->result_path, input, error_output, output, error) &&
			asl_within_limit(*output, env, state->name, error);
	}
	return true;
}
