/*-------------------------------------------------------------------------
 *
 * lambda.c
 *	  arn:aws:states:::lambda:invoke: Tasks whose parameters name the function.
 *
 * With the ARN of a Lambda function as its Resource, a Task is an SQL activity
 * as soon as a resource alias says so.  The service's other way to call one is an
 * action of its own, whose parameters have the function's name and its input:
 *
 *		"Parameters": {"FunctionName": "charge", "Payload": {"amount.$": "$.total"}}
 *
 * The name is looked up among the aliases and nowhere else (ef_resolve_function):
 * it is data, and who writes the data must not choose from all functions.  The
 * result is wrapped in an envelope, as the service does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/value.h"
#include "engine/alias.h"
#include "engine/external.h"
#include "engine/history.h"
#include "engine/lambda.h"

#define SQL_PREFIX "sql:"
#define ERROR_NOT_FOUND "Lambda.ResourceNotFoundException"
#define LATEST "$LATEST"

/* ---- the parameters ---- */

/* A text among the parameters; false: it is something else.  *text is NULL if it is not there. */
static bool
text_parameter(const JsonbValue *parameters, const char *name, char **text, AslError *error)
{
	JsonbValue	value;

	*text = NULL;
	if (!asl_value_field(parameters, name, strlen(name), &value) || value.type == jbvNull)
		return true;
	if (value.type != jbvString)
		return asl_error(error, ASL_ERROR_RUNTIME, "The field '%s' of " EF_LAMBDA_INVOKE " must be a string", name);
	*text = pnstrdup(value.val.string.val, value.val.string.len);
	return true;
}

/* A text that is JSON is sent as it is, and is the JSON to who receives it. */
static bool
payload_parameter(const JsonbValue *parameters, Jsonb **payload, AslError *error)
{
	JsonbValue	value;
	JsonbValue	parsed;
	char	   *problem;

	if (!asl_value_field(parameters, "Payload", strlen("Payload"), &value) || value.type == jbvNull)
		value = asl_value_empty_object();
	else if (value.type == jbvString &&
			 asl_value_parse(value.val.string.val, value.val.string.len, &parsed, &problem))
		value = parsed;
	return asl_value_build(&value, payload, error);
}

/* The qualifier of a function's name, if it has one. */
static const char *
qualifier_of(const char *name)
{
	const char *function = strstr(name, ":function:");
	const char *colon;

	if (function == NULL && strncmp(name, "arn:", strlen("arn:")) == 0)
		return NULL;
	colon = strchr(function ? function + strlen(":function:") : name, ':');
	return colon ? colon + 1 : NULL;
}

/* A version is a number; any other qualifier is an alias of one, which only Lambda knows. */
static const char *
version_of(const char *qualifier)
{
	return qualifier != NULL && *qualifier != '\0' && strspn(qualifier, "0123456789") == strlen(qualifier) ? qualifier : LATEST;
}

static bool
find_function(const char *name, EfLambdaRequest *request, AslError *error)
{
	const char *resource = ef_resolve_function(name);

	if (resource == NULL)
		return asl_error(error, ERROR_NOT_FOUND, "Function not found: %s (no resource alias matches it)", name);
	if (strncmp(resource, SQL_PREFIX, strlen(SQL_PREFIX)) != 0)
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "%s stands for \"%s\", and " EF_LAMBDA_INVOKE " can only call functions (" SQL_PREFIX "…)", name, resource);
	request->function = resource + strlen(SQL_PREFIX);
	return true;
}

bool
ef_lambda_request(Jsonb *parameters, EfLambdaRequest *request, AslError *error)
{
	JsonbValue	object = asl_value_of(parameters);
	char	   *name;
	char	   *qualifier;
	char	   *invocation;

	if (!asl_value_is_object(&object))
		return asl_error(error, ASL_ERROR_RUNTIME, "The parameters of " EF_LAMBDA_INVOKE " must be an object");
	if (!text_parameter(&object, "FunctionName", &name, error) ||
		!text_parameter(&object, "Qualifier", &qualifier, error) ||
		!text_parameter(&object, "InvocationType", &invocation, error))
		return false;
	if (name == NULL || *name == '\0')
		return asl_error(error, ASL_ERROR_RUNTIME, "The field 'FunctionName' is required but was missing");
	if (invocation != NULL && strcmp(invocation, "RequestResponse") != 0)
		return asl_error(error, ASL_ERROR_RUNTIME, "InvocationType '%s' is not supported, only RequestResponse", invocation);
	if (qualifier != NULL && qualifier_of(name) == NULL)
		name = psprintf("%s:%s", name, qualifier);
	request->version = version_of(qualifier_of(name));
	return find_function(name, request, error) && payload_parameter(&object, &request->payload, error);
}

bool
ef_lambda_is_missing(const AslError *error)
{
	return error->name != NULL && strcmp(error->name, ERROR_NOT_FOUND) == 0;
}

Jsonb *
ef_lambda_response(const EfLambdaRequest *request, Jsonb *payload)
{
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "ExecutedVersion", request->version);
	ef_push_jsonb(&state, "Payload", payload);
	ef_push_int(&state, "StatusCode", 200);
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

/* ---- the visit ---- */

typedef struct Invocation
{
	EfVisit    *visit;
	EfLambdaRequest request;
} Invocation;

/* Still inside the activity's subtransaction. */
static bool
use_response(Jsonb *payload, void *arg, AslError *error)
{
	Invocation *invocation = arg;

	return ef_use_result(ef_lambda_response(&invocation->request, payload), invocation->visit, error);
}

EfVisitResult
ef_visit_lambda(EfVisit *visit)
{
	Invocation	invocation = {.visit = visit};
	EfActivityCall call = {.finish = use_response, .finish_arg = &invocation};
	Jsonb	   *parameters;

	if (!asl_effective_input(visit->state, visit->branch->data, &visit->env, &parameters, NULL, &visit->failure))
		return EF_VISIT_FAILED;
	if (!ef_lambda_request(parameters, &invocation.request, &visit->failure))
		return ef_fail_request(visit, ef_lambda_is_missing(&visit->failure));
	call.function = invocation.request.function;
	call.input = invocation.request.payload;
	return ef_call_function(visit, &call);
}
