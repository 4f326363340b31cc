/*
 * Signals.
 */

CREATE FUNCTION signal_workflow(workflow_id text, signal text, payload jsonb DEFAULT NULL, request_id text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_signal_workflow';
COMMENT ON FUNCTION signal_workflow(text, text, jsonb, text) IS 'Send a signal to the open run of a workflow_id (or of a run_id''s text): when the transaction commits, it is there for a Task whose Resource is signal:NAME, whether one waits already or comes to it later; signals of one name are kept in order. Never waits for what the run is doing. request_id: a request with the same one is the same request, and has no further effect. Errors: EF002 no such run; EF006 it is closed; EF010 the request_id was used for another request; 54000 the payload is larger than expense_flow.data_limit.';

CREATE FUNCTION signal_with_start(workflow text, workflow_id text, signal text, payload jsonb DEFAULT NULL, input jsonb DEFAULT '{}',
	on_reuse text DEFAULT 'allow', start_delay interval DEFAULT NULL, run_timeout interval DEFAULT NULL, version integer DEFAULT NULL,
	request_id text DEFAULT NULL)
	RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_signal_with_start';
COMMENT ON FUNCTION signal_with_start(text, text, text, jsonb, jsonb, text, interval, interval, integer, text) IS 'Send a signal to the open run of a workflow_id, as signal_workflow does; if there is none, start one first, as start_workflow does. Both happen together, when the transaction commits, and of sessions that call it at once one starts the run. Returns the run_id. Errors: those of both, except that an open run is no conflict unless it is another role''s (EF003).';
