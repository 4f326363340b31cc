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

PG_FUNCTION_INFO_V1(ef_signal_workflow);

static char *
signal_arg(FunctionCallInfo fcinfo, int arg)
{
	char	   *name = ef_name_arg(fcinfo, arg, "signal");

	if (strchr(name, ',') != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("name of a signal must not contain a comma: \"%s\"", name)));
	return name;
}

/* signal_workflow(workflow_id text, signal text, payload jsonb) returns void */
Datum
ef_signal_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_text_arg(fcinfo, 0, "workflow_id");
	char	   *signal = signal_arg(fcinfo, 1);
	Jsonb	   *payload = ef_payload_arg(fcinfo, 2, "payload");
	pg_uuid_t	run_id;

	ef_find_open_run(workflow_id, &run_id);
	ef_send_message(&run_id, psprintf(EF_ADDRESS_SIGNAL "%s", signal), payload);
	PG_RETURN_VOID();
}
