/*-------------------------------------------------------------------------
 *
 * service.h
 *	  Tasks whose resource is an action of an AWS service, arn:aws:states:::….
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_SERVICE_H
#define EF_SERVICE_H

#include "asl/value.h"
#include "engine/state.h"

/* Visit a Task whose resource no alias matches. */
extern EfVisitResult ef_visit_service(EfVisit *visit);

/* ---- for the actions ---- */

/* What the Task asks for cannot be had, as visit->failure says; begun: as the service sees it, an attempt has begun. */
extern EfVisitResult ef_fail_request(EfVisit *visit, bool begun);

/* The parameters of an action, which must be an object. */
extern bool ef_action_parameters(Jsonb *effective, const char *action, JsonbValue *parameters, AslError *error);

/* A text among them; NULL if it is not there or null. */
extern bool ef_text_parameter(const JsonbValue *parameters, const char *name, char **text, AslError *error);

/* The name of what is called, which must be there. */
extern bool ef_name_parameter(const JsonbValue *parameters, const char *name, char **text, AslError *error);

/* Data among them, {} by default.  A text that is JSON is sent as it is, and is the JSON to who receives it. */
extern bool ef_data_parameter(const JsonbValue *parameters, const char *name, Jsonb **data, AslError *error);

#endif							/* EF_SERVICE_H */
