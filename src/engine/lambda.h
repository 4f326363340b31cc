/*-------------------------------------------------------------------------
 *
 * lambda.h
 *	  arn:aws:states:::lambda:invoke: Tasks whose parameters name the function.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_LAMBDA_H
#define EF_LAMBDA_H

#include "asl/asl.h"
#include "engine/state.h"

#define EF_LAMBDA_INVOKE "lambda:invoke"	/* as asl_service_action() gives it */

/* What a Task's parameters ask for. */
typedef struct EfLambdaRequest
{
	const char *function;		/* of the database: what follows "sql:" */
	const char *version;		/* that is said to be executed */
	Jsonb	   *payload;		/* the function's whole input */
} EfLambdaRequest;

/* Read the parameters; false: *error says what is wrong with them. */
extern bool ef_lambda_request(Jsonb *effective, EfLambdaRequest *request, AslError *error);

/* Is that because there is no such function?  Then the attempt has begun, as the service sees it. */
extern bool ef_lambda_is_missing(const AslError *error);

/* The Task's result, from what the function returned. */
extern Jsonb *ef_lambda_response(const EfLambdaRequest *request, Jsonb *payload);

/* Visit a Task with this action. */
extern EfVisitResult ef_visit_lambda(EfVisit *visit);

#endif							/* EF_LAMBDA_H */
