/*
 * Starting and ending runs.
 */

CREATE FUNCTION start_workflow(workflow text, input jsonb DEFAULT '{}', workflow_id text DEFAULT NULL, on_conflict text DEFAULT 'fail',
	on_reuse text DEFAULT 'allow', start_delay interval DEFAULT NULL, run_timeout interval DEFAULT NULL, version integer DEFAULT NULL,
	request_id text DEFAULT NULL)
	RETURNS uuid
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_start_workflow';
COMMENT ON FUNCTION start_workflow(text, jsonb, text, text, text, interval, interval, integer, text) IS 'Start a run of a workflow when the transaction commits, and return its run_id. workflow_id is a key of the caller''s: at most one open run has it. on_conflict, when an open run has it: fail (EF003), use_existing (return its run_id and start nothing) or terminate_existing. on_reuse, when only closed runs had it: allow, allow_if_failed (the last one did not succeed) or reject; else EF004. start_delay is how long to wait before the first state; run_timeout how long the run may take from then on (default: the definition''s TimeoutSeconds); version a version other than the current one. request_id: a request of the same role with the same one is the same request; it returns the same run_id and starts nothing. Errors: EF001 no such workflow or version; EF003; EF004; EF010 the request_id was used for another workflow, workflow_id or input; 42501 when the runs have their owner''s rights and the caller was not granted them.';

CREATE FUNCTION start_workflows(workflow text, inputs jsonb[], workflow_ids text[] DEFAULT NULL, on_conflict text DEFAULT 'fail',
	on_reuse text DEFAULT 'allow', start_delay interval DEFAULT NULL, run_timeout interval DEFAULT NULL, version integer DEFAULT NULL,
	OUT run_id uuid, OUT workflow_id text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_start_workflows';
COMMENT ON FUNCTION start_workflows(text, jsonb[], text[], text, text, interval, interval, integer) IS 'Start a run of a workflow for each of the inputs, much faster than one by one: all of them when the transaction commits, or none. Returns the run_id and workflow_id of each, in the order of the inputs. workflow_ids: as many as there are inputs, each different; a null is none (NULL: none has one). The other arguments, and errors, are those of start_workflow(); the context of an error says which run it is about. Errors: 22004 an input is null; 22023 the numbers of inputs and workflow_ids differ, or two of them are the same.';

CREATE FUNCTION run_workflow(workflow text, input jsonb DEFAULT '{}')
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_run_workflow';
COMMENT ON FUNCTION run_workflow(text, jsonb) IS 'Run a workflow from start to end in the caller''s transaction, and return its output. Waits and retry delays are waited for. Errors: EF001 no such workflow; EF005 the run failed (detail: the cause), and none of its effects are left; 42501 as for start_workflow.';

CREATE FUNCTION terminate_workflow(workflow_id text, reason text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_terminate_workflow';
COMMENT ON FUNCTION terminate_workflow(text, text) IS 'End the open run of a workflow_id (or of a run_id''s text) at once, with status TERMINATED and the reason as its cause; a step that is at work is rolled back. Errors: 55006 it is an activity of that very run that asks; EF002 no such run; EF006 it is closed.';

CREATE FUNCTION cancel_workflow(workflow_id text, reason text DEFAULT NULL, request_id text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_cancel_workflow';
COMMENT ON FUNCTION cancel_workflow(text, text, text) IS 'Ask the open run of a workflow_id (or of a run_id''s text) to cancel, when the transaction commits: the statement that a background worker runs for it is interrupted, waits end, and each of its branches gets the error Canceled with the reason as its cause, which no Retry takes and only a Catch that names it. The run can clean up then; it ends with status CANCELED. Does nothing if the run was asked before. Errors: EF002 no such run; EF006 it is closed; EF010 the request_id was used for another request.';
