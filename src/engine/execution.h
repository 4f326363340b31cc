/*-------------------------------------------------------------------------
 *
 * execution.h
 *	  arn:aws:states:::states:startExecution: child runs as the service starts
 *	  and describes them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_EXECUTION_H
#define EF_EXECUTION_H

#include "engine/state.h"

/* Is this action one of those, and which?  One with a task token does not wait for the run. */
extern bool ef_execution_pattern(const char *action, EfExecutionPattern *pattern);

/* What a Task's parameters ask for. */
typedef struct EfExecutionRequest
{
	const char *workflow;
	Jsonb	   *input;
	char	   *workflow_id;	/* NULL: none */
} EfExecutionRequest;

/* Read them from the Task's effective input; false: *error says what is wrong with them. */
extern bool ef_execution_request(Jsonb *effective, EfExecutionRequest *request, AslError *error);

/* Is that because there is no such state machine?  Then the attempt has begun, as the service sees it. */
extern bool ef_execution_is_missing(const AslError *error);

/* A run could not be started: call what is wrong as the service does. */
extern void ef_execution_name_failure(AslError *failure);

/* The run was started, and the Task does not wait for it: its result. */
extern Jsonb *ef_execution_started(EfVisit *visit, const pg_uuid_t *run_id);

/* The run that the Task waited for has ended. */
extern EfVisitResult ef_execution_ended(EfVisit *visit, const pg_uuid_t *run_id, const char *status, Jsonb *output,
										const char *error, const char *cause);

#endif							/* EF_EXECUTION_H */
