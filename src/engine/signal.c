/*-------------------------------------------------------------------------
 *
 * signal.c
 *	  SQL functions that send signals to runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "engine/arguments.h"
#include "engine/mailbox.h"
#include "engine/run.h"
#include "engine/signal.h"

PG_FUNCTION_INFO_V1(ef_signal_workflow);

char *
ef_message_name_arg(FunctionCallInfo fcinfo, int arg, const char *kind)
{
	char	   *name = ef_name_arg(fcinfo, arg, kind);

	if (strchr(name, ',') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the name of a signal or update must not contain a comma: \"%s\"", name)));
	return name;
}

int64
ef_signal_digest(const char *signal, Jsonb *payload)
{
	return ef_digest_jsonb(ef_digest_text(ef_digest_text(0, "signal"), signal), payload);
}

void
ef_send_signal(const pg_uuid_t *run_id, const char *signal, Jsonb *payload)
{
	ef_send_message(run_id, psprintf(EF_ADDRESS_SIGNAL "%s", signal), payload);
}

/* signal_workflow(workflow_id text, signal text, payload jsonb, request_id text) returns void */
Datum
ef_signal_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	char	   *signal = ef_message_name_arg(fcinfo, 1, "signal");
	Jsonb	   *payload = ef_payload_arg(fcinfo, 2, "payload");
	EfRequest	request = {ef_optional_name_arg(fcinfo, 3, "request_id"), 0};
	pg_uuid_t	run_id;
	Jsonb	   *answer;

	if (request.request_id)
		request.digest = ef_signal_digest(signal, payload);
	if (!ef_begin_request_to(workflow_id, &request, &run_id, &answer))
		ef_send_signal(&run_id, signal, payload);
	PG_RETURN_VOID();
}
