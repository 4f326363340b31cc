-- Child runs: Tasks whose work is another run.
\set VERBOSITY terse
\set ECHO queries
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;

CREATE TABLE seen (n serial, what text);
CREATE FUNCTION note(what text) RETURNS text LANGUAGE sql AS 'INSERT INTO public.seen (what) VALUES ($1) RETURNING $1';
CREATE FUNCTION explode(input jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.fail('Exploded', 'as it was told to');
END $$;

SELECT create_workflow('child', '{"StartAt": "Note", "States": {"Note": {"Type": "Task", "Resource": "sql:public.note", "Parameters": {"what.$": "$.what"}, "End": true}}}');
SELECT create_workflow('child', '{"StartAt": "Note", "States": {"Note": {"Type": "Pass", "Result": "version 2", "End": true}}}');
SELECT create_workflow('bad child', '{"StartAt": "Bad", "States": {"Bad": {"Type": "Task", "Resource": "sql:public.explode", "End": true}}}');
SELECT create_workflow('slow child', '{"StartAt": "Slow", "States": {"Slow": {"Type": "Wait", "Seconds": 3600, "End": true}}}');

-- The status, output and error of a run, and of its children.
CREATE FUNCTION outcome(id text) RETURNS TABLE (status text, output jsonb, error text, children jsonb) LANGUAGE sql AS $$
	SELECT r.status, r.output, r.error,
		(SELECT jsonb_agg(jsonb_build_array(c->'workflow', c->'status') ORDER BY c->>'run_id')
			FROM jsonb_array_elements(expense_flow.describe_run(r.run_id)->'children') c)
	FROM expense_flow.find_runs(id) r LIMIT 1 $$;

-- The result is the child's output; version and workflow_id can be given.
SELECT create_workflow('parent', '{"StartAt": "Child", "States": {
	"Child": {"Type": "Task", "Resource": "workflow:child", "WorkflowVersion": 1, "WorkflowIdPath": "$.id",
		"Parameters": {"what.$": "States.Format(''child of {}'', $$.Execution.Name)"}, "ResultPath": "$.result", "Next": "Current"},
	"Current": {"Type": "Task", "Resource": "workflow:child", "ResultPath": "$.current", "End": true}}}');
SELECT start_workflow('parent', '{"id": "c1"}', 'p1') IS NOT NULL;
CALL run_pending();
SELECT * FROM outcome('p1');
SELECT what FROM seen;
SELECT p.run_id = c.parent_run_id FROM find_runs('p1') p, find_runs('c1') c;
SELECT type, state FROM history WHERE run_id = (SELECT run_id FROM find_runs('p1')) ORDER BY event_id;

-- The child and its parent's step are one transaction.
BEGIN;
SELECT start_workflow('parent', '{"id": "c2"}', 'p2') IS NOT NULL;
ROLLBACK;
CALL run_pending();
SELECT count(*) FROM runs WHERE workflow_id IN ('p2', 'c2');

-- What makes starting fail is the Task's failure: no such workflow, its workflow_id is running.
SELECT create_workflow('no child', '{"StartAt": "Child", "States": {"Child": {"Type": "Task", "Resource": "workflow:unheard of", "End": true}}}');
SELECT start_workflow('no child', '{}', 'n1') IS NOT NULL;
SELECT start_workflow('slow child', '{}', 'taken') IS NOT NULL;
SELECT create_workflow('taken', '{"StartAt": "Child", "States": {"Child": {"Type": "Task", "Resource": "workflow:child", "WorkflowId": "taken", "End": true}}}');
SELECT start_workflow('taken', '{}', 't1') IS NOT NULL;
CALL run_pending();
SELECT * FROM outcome('n1');
SELECT * FROM outcome('t1');
SELECT terminate_workflow('taken');

-- A failure: the child's error is the Task's; the cause tells which run. Retry starts another child.
SELECT create_workflow('unlucky', '{"StartAt": "Child", "States": {
	"Child": {"Type": "Task", "Resource": "workflow:bad child", "Retry": [{"ErrorEquals": ["Exploded"], "MaxAttempts": 2}],
		"Catch": [{"ErrorEquals": ["Exploded"], "Next": "Caught"}], "End": true},
	"Caught": {"Type": "Pass", "Parameters": {"error.$": "$.Error", "cause.$": "States.StringToJson($.Cause)"}, "End": true}}}');
SELECT start_workflow('unlucky', '{}', 'u1') IS NOT NULL;
CALL run_pending(skip => '1 minute');
SELECT status, output->>'error', output->'cause'->>'status', output->'cause'->>'cause', children FROM outcome('u1');
SELECT (SELECT output->'cause'->>'run_id' FROM find_runs('u1')) = (SELECT max(run_id::text) FROM runs WHERE workflow = 'bad child');

-- A child that somebody terminates.
SELECT create_workflow('waits', '{"StartAt": "Child", "States": {"Child": {"Type": "Task", "Resource": "workflow:slow child", "WorkflowId": "slow", "End": true}}}');
SELECT start_workflow('waits', '{}', 'w1') IS NOT NULL;
CALL run_pending();
SELECT status, state, awaits[1] ~ '^child:' FROM branches WHERE run_id = (SELECT run_id FROM find_runs('w1'));
SELECT terminate_workflow('slow', 'enough');
CALL run_pending();
SELECT status, error, cause::jsonb - 'run_id' FROM find_runs('w1');

-- TimeoutSeconds ends the child.
SELECT create_workflow('hurried', '{"StartAt": "Child", "States": {"Child": {"Type": "Task", "Resource": "workflow:slow child", "TimeoutSeconds": 10, "End": true}}}');
SELECT start_workflow('hurried', '{}', 'h1') IS NOT NULL;
CALL run_pending();
CALL run_pending(skip => '1 minute');
SELECT * FROM outcome('h1');

-- What becomes of children when the parent closes, also of those of children.
SELECT create_workflow('starts', '{"StartAt": "Default", "States": {
	"Default": {"Type": "Task", "Resource": "workflow:waits", "WaitForResult": false, "ResultPath": "$.started", "Next": "Abandoned"},
	"Abandoned": {"Type": "Task", "Resource": "workflow:slow child", "WorkflowId": "abandoned", "WaitForResult": false, "ParentClosePolicy": "ABANDON",
		"ResultPath": "$.abandoned", "Next": "Signal"},
	"Signal": {"Type": "Task", "Resource": "signal:end", "ResultPath": null, "End": true}}}');
SELECT start_workflow('starts', '{}', 's1') IS NOT NULL;
CALL run_pending();
SELECT * FROM outcome('s1');
SELECT status FROM find_runs('slow') LIMIT 1;
SELECT signal_workflow('s1', 'end');
CALL run_pending();
SELECT status, output->'abandoned'->>'workflow_id', children FROM outcome('s1');
SELECT status, cause FROM find_runs('slow') LIMIT 1;
SELECT status FROM find_runs('abandoned');
SELECT terminate_workflow('abandoned');

SELECT start_workflow('waits', '{}', 'w2') IS NOT NULL;
CALL run_pending();
SELECT terminate_workflow('w2');
SELECT * FROM outcome('w2');
SELECT count(*) FROM message WHERE address ~ '^child:';

-- Cancelling asks the children to cancel too, and waits until they have cleaned up. ParentClosePolicy CANCEL asks them later.
SELECT create_workflow('tidy child', '{"StartAt": "Slow", "States": {
	"Slow": {"Type": "Task", "Resource": "signal:never", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "Clean up"}], "End": true},
	"Clean up": {"Type": "Task", "Resource": "sql:public.note", "Parameters": {"what": "cleaned up"}, "End": true}}}');
SELECT create_workflow('cancels', '{"StartAt": "Late", "States": {
	"Late": {"Type": "Task", "Resource": "workflow:tidy child", "WaitForResult": false, "ParentClosePolicy": "CANCEL", "ResultPath": null, "Next": "Child"},
	"Child": {"Type": "Task", "Resource": "workflow:tidy child", "End": true}}}');
DELETE FROM seen;
SELECT start_workflow('cancels', '{}', 'x1') IS NOT NULL;
CALL run_pending();
SELECT cancel_workflow('x1', 'no more');
CALL run_pending();
SELECT what FROM seen;
SELECT status, error, cause FROM find_runs('x1');
SELECT * FROM outcome('x1');

-- A branch of a Parallel that is ended takes its child with it, and the run goes on.
SELECT create_workflow('branches', '{"StartAt": "Both", "States": {
	"Both": {"Type": "Parallel", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Wait"}], "End": true, "Branches": [
		{"StartAt": "Slow", "States": {"Slow": {"Type": "Task", "Resource": "workflow:slow child", "End": true}}},
		{"StartAt": "Bad", "States": {"Bad": {"Type": "Task", "Resource": "signal:bad", "TimeoutSeconds": 5, "End": true}}}]},
	"Wait": {"Type": "Wait", "Seconds": 7200, "End": true}}}');
SELECT start_workflow('branches', '{}', 'b1') IS NOT NULL;
CALL run_pending();
CALL run_pending(skip => '10 seconds');
SELECT * FROM outcome('b1');
SELECT terminate_workflow('b1');

-- In run_workflow() children run in the same transaction.
BEGIN;
SELECT run_workflow('parent', '{"id": "in place"}') - 'result';
SELECT status, parent_run_id IS NOT NULL FROM find_runs('in place');
ROLLBACK;
SELECT run_workflow('unlucky')->>'error';
SELECT count(*) FROM branch JOIN run USING (run_id) WHERE parent_run_id IS NOT NULL;

DROP FUNCTION outcome(text);
DROP TABLE seen CASCADE;
DROP FUNCTION note(text), explode(jsonb);
