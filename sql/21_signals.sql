/*
 * Signals.
 */

CREATE FUNCTION signal_workflow(workflow_id text, signal text, payload jsonb DEFAULT NULL, request_id text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_signal_workflow';
COMMENT ON FUNCTION signal_workflow(text, text, jsonb, text) IS 'Send a signal to the open run of a workflow_id (or of a run_id''s text): when the transaction commits, it is there for a Task whose Resource is signal:NAME, whether one waits already or comes to it later; signals of one name are kept in order. Never waits for what the run is doing. request_id: a request with the same one is the same request, and has no further effect. Errors: EF002 no such run; EF006 it is closed; EF010 the request_id was used for another request; 54000 the payload is larger than expense_flow.data_limit.';
