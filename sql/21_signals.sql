/*
 * Signals and updates.
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

CREATE FUNCTION update_workflow(workflow_id text, update text, payload jsonb DEFAULT NULL, update_id text DEFAULT NULL, timeout interval DEFAULT '10 s')
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_update_workflow';
COMMENT ON FUNCTION update_workflow(text, text, jsonb, text, interval) IS 'Send an update to the open run of a workflow_id (or of a run_id''s text), and return the run''s answer. A Task whose Resource is update:NAME takes it, unless the Task''s Validator refuses it; the answer is the output of the state that the Task names in Respond, or without one the payload. All that the run does up to the answer is done in the calling transaction, with the rights of the run''s owner, and rolls back with it; then the run goes on. timeout: how long to wait until the run takes the update, and until waits and retry delays before the answer are over. After any error the run is as before. update_id: an update with the same one is the same update; it has no further effect, and the same answer. Errors: EF002 no such run (or it is another role''s); EF006 it is closed; 42704 the workflow has no such update; what the validator raises; EF012 not taken within the timeout; EF013 it cannot be answered here, because a state before the answer waits for others, or for too long; EF005 such a state failed; EF010 the update_id was used for another request; 54000 the payload is larger than expense_flow.data_limit.';

CREATE FUNCTION update_with_start(workflow text, workflow_id text, update text, payload jsonb DEFAULT NULL, input jsonb DEFAULT '{}',
	update_id text DEFAULT NULL, timeout interval DEFAULT '10 s', on_reuse text DEFAULT 'allow', run_timeout interval DEFAULT NULL,
	version integer DEFAULT NULL)
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_update_with_start';
COMMENT ON FUNCTION update_with_start(text, text, text, jsonb, jsonb, text, interval, text, interval, integer) IS 'Send an update to the open run of a workflow_id, as update_workflow does; if there is none, start one first, as start_workflow does, and let it do in the calling transaction what comes before the update. Returns the run''s answer. Both happen together or not at all. Errors: those of both, except that an open run is no conflict unless it is another role''s (EF003).';
