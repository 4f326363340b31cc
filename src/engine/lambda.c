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
 * The result is wrapped in an envelope, as the service does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "engine/alias.h"
#include "engine/lambda.h"
#include "engine/service.h"

#define SQL_PREFIX "sql:"
#define ERROR_NOT_FOUND "Lambda.ResourceNotFoundException"
#define LATEST "$LATEST"

/* ---- the parameters ---- */

/* A version is a number; any other qualifier is an alias of one, which only Lambda knows. */
static const char *
version_of(const char *qualifier)
{
	return qualifier != NULL && *qualifier != '\0' && strspn(qualifier, "0123456789") == strlen(qualifier) ? qualifier : LATEST;
}

static bool
find_function(const char *name, EfLambdaRequest *request, AslError *error)
{
	const char *resource = ef_resolve_named(EF_FUNCTION_PART, name);

	if (resource == NULL)
		return asl_error(error, ERROR_NOT_FOUND, "Function not found: %s (no resource alias matches it)", name);
	if (strncmp(resource, SQL_PREFIX, strlen(SQL_PREFIX)) != 0)
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "%s stands for \"%s\", and " EF_LAMBDA_INVOKE " can only call functions (" SQL_PREFIX "…)", name, resource);
	request->function = resource + strlen(SQL_PREFIX);
	return true;
}

bool
ef_lambda_request(Jsonb *effective, EfLambdaRequest *request, AslError *error)
{
	JsonbValue	parameters;
	char	   *name;
	char	   *qualifier;
	char	   *invocation;

	if (!ef_action_parameters(effective, EF_LAMBDA_INVOKE, &parameters, error) ||
		!ef_name_parameter(&parameters, "FunctionName", &name, error) ||
		!ef_text_parameter(&parameters, "Qualifier", &qualifier, error) ||
		!ef_text_parameter(&parameters, "InvocationType", &invocation, error))
		return false;
	if (invocation != NULL && strcmp(invocation, "RequestResponse") != 0)
		return asl_error(error, ASL_ERROR_RUNTIME, "InvocationType '%s' is not supported, only RequestResponse", invocation);
	if (qualifier != NULL && ef_qualifier_of(EF_FUNCTION_PART, name) == NULL)
		name = psprintf("%s:%s", name, qualifier);
	request->version = version_of(ef_qualifier_of(EF_FUNCTION_PART, name));
	return find_function(name, request, error) &&
		ef_data_parameter(&parameters, "Payload", &request->payload, error);
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
	return ef_end_object(&state);
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
	Jsonb	   *effective;

	if (!asl_effective_input(visit->state, visit->branch->data, &visit->env, &effective, NULL, &visit->failure))
		return EF_VISIT_FAILED;
	if (!ef_lambda_request(effective, &invocation.request, &visit->failure))
		return ef_fail_request(visit, ef_lambda_is_missing(&visit->failure));
	call.function = invocation.request.function;
	call.input = invocation.request.payload;
	return ef_call_function(visit, &call);
}
