/*-------------------------------------------------------------------------
 *
 * service.c
 *	  Tasks whose resource is an action of an AWS service, arn:aws:states:::….
 *
 * Two services have actions that mean something inside a database, and these work
 * without an alias of their own: calling a function (lambda.c) and starting another
 * run (execution.c).  What they call is named by parameters.  That is data, and who
 * writes the data must not choose from all there is: the name is looked up among the
 * resource aliases and nowhere else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "engine/child.h"
#include "engine/execution.h"
#include "engine/external.h"
#include "engine/history.h"
#include "engine/lambda.h"
#include "engine/service.h"

/* Longer than any ARN, and no trouble to compare with all aliases or to put into a message. */
#define LONGEST_NAME 2000

static bool
has_token(const char *action)
{
	size_t		length = strlen(action);
	size_t		suffix = strlen(EF_TOKEN_SUFFIX);

	return length > suffix && strcmp(action + length - suffix, EF_TOKEN_SUFFIX) == 0;
}

EfVisitResult
ef_visit_service(EfVisit *visit)
{
	const char *action = asl_service_action(visit->state->resource);

	if (action != NULL)
	{
		if (strcmp(action, EF_LAMBDA_INVOKE) == 0)
			return ef_visit_lambda(visit);
		if (strcmp(action, EF_LAMBDA_INVOKE EF_TOKEN_SUFFIX) == 0)
			return ef_visit_callback(visit, NULL);
		if (ef_execution_pattern(action, &visit->execution))
			return has_token(action) ? ef_visit_callback(visit, NULL) : ef_visit_child_run(visit, NULL);
	}
	asl_error(&visit->failure, ASL_ERROR_RUNTIME, "no resource alias matches \"%s\"", visit->state->resource);
	return EF_VISIT_FAILED;
}

EfVisitResult
ef_fail_request(EfVisit *visit, bool begun)
{
	if (begun)
	{
		ef_add_event(visit, EF_EVENT_SCHEDULED);
		ef_add_event(visit, EF_EVENT_STARTED);
		ef_add_event(visit, EF_EVENT_FAILED);
	}
	return EF_VISIT_FAILED;
}

/* ---- parameters ---- */

bool
ef_action_parameters(Jsonb *effective, const char *action, JsonbValue *parameters, AslError *error)
{
	*parameters = asl_value_of(effective);
	return asl_value_is_object(parameters) ||
		asl_error(error, ASL_ERROR_RUNTIME, "The parameters of %s must be an object", action);
}

bool
ef_text_parameter(const JsonbValue *parameters, const char *name, char **text, AslError *error)
{
	JsonbValue	value;

	*text = NULL;
	if (!asl_value_field(parameters, name, strlen(name), &value) || value.type == jbvNull)
		return true;
	if (value.type != jbvString)
		return asl_error(error, ASL_ERROR_RUNTIME, "The field '%s' must be a string", name);
	*text = pnstrdup(value.val.string.val, value.val.string.len);
	return true;
}

bool
ef_name_parameter(const JsonbValue *parameters, const char *name, char **text, AslError *error)
{
	if (!ef_text_parameter(parameters, name, text, error))
		return false;
	if (*text == NULL || **text == '\0')
		return asl_error(error, ASL_ERROR_RUNTIME, "The field '%s' is required but was missing", name);
	if (strlen(*text) > LONGEST_NAME)
		return asl_error(error, ASL_ERROR_RUNTIME, "The field '%s' is longer than %d bytes", name, LONGEST_NAME);
	return true;
}

bool
ef_data_parameter(const JsonbValue *parameters, const char *name, Jsonb **data, AslError *error)
{
	JsonbValue	value;
	JsonbValue	parsed;
	char	   *problem;

	if (!asl_value_field(parameters, name, strlen(name), &value) || value.type == jbvNull)
		value = asl_value_empty_object();
	else if (value.type == jbvString &&
			 asl_value_parse(value.val.string.val, value.val.string.len, &parsed, &problem))
		value = parsed;
	return asl_value_build(&value, data, error);
}
