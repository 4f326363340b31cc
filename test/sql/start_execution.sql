-- arn:aws:states:::states:startExecution: child runs as the service starts and describes them.
\set VERBOSITY terse
\set ECHO queries
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;

CREATE FUNCTION app_fail(input jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb(fail('Exploded', 'as it was told to')::text)$$;
SELECT create_workflow('se_pass', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
SELECT create_workflow('se_fail', '{"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "SomeFailure", "Cause": "It fails."}}}');
SELECT create_workflow('se_nameless', '{"StartAt": "A", "States": {"A": {"Type": "Fail"}}}');
SELECT create_workflow('se_slow', '{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 36000, "End": true}}}');
SELECT create_resource_alias('arn:aws:states:*:*:stateMachine:*', 'workflow:*');
SELECT create_resource_alias('arn:aws:states:*:*:stateMachine:se_pass-*', 'workflow:se_pass');
SELECT create_resource_alias('arn:aws:states:*:*:stateMachine:outside', 'sql:public.app_fail');

-- The parent takes its pattern's name, and what the Task gets.
CREATE FUNCTION parent(pattern text, more text DEFAULT '') RETURNS integer LANGUAGE sql AS $$
	SELECT expense_flow.create_workflow('se_parent' || $1, format('{"StartAt": "Start", "States": {"Start": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution%s",
		"Parameters": {"StateMachineArn.$": "$.arn", "Input.$": "$.input", "Name.$": "$.name"}, %s "End": true}}}', $1, $2)::json) $$;
SELECT parent(''), parent('.sync'), parent('.sync:2');

-- Dates as what they are, not when.
CREATE FUNCTION undated(description jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT $1 - ARRAY['StartDate', 'StopDate'] ||
		jsonb_strip_nulls(jsonb_build_object('StartDate', now() - to_timestamp(($1 ->> 'StartDate')::numeric / 1000) < '1 hour',
			'StopDate', jsonb_typeof($1 -> 'StopDate'))) $$;
CREATE FUNCTION arguments(machine text, name text, input jsonb DEFAULT '{"a": 1}') RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('arn', 'arn:aws:states:us-east-1:123456789012:stateMachine:' || $1, 'name', $2, 'input', $3) $$;

-- Each pattern, with a child that succeeds.
SELECT start_workflow('se_parent', arguments('se_pass', 'c1'), 'se p1', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync', arguments('se_pass', 'c2'), 'se p2', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync:2', arguments('se_pass', 'c3'), 'se p3', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync', arguments('se_pass-a:3', NULL, '"text"'), 'se p4', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT workflow_id, status, jsonb_pretty(undated(output)) FROM runs WHERE workflow_id IN ('se p1', 'se p2', 'se p3') ORDER BY 1;
SELECT p.output ->> 'Name' = c.run_id::text, c.input, p.output ->> 'ExecutionArn' = 'arn:aws:states:us-east-1:123456789012:execution:se_pass-a:' || c.run_id, p.output ->> 'StateMachineArn'
	FROM runs p JOIN runs c ON c.parent_run_id = p.run_id WHERE p.workflow_id = 'se p4';
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p1')) ORDER BY event_id;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p3')) ORDER BY event_id;

-- Names differ within a workflow only: a child may have its parent's, and that of another workflow's run.
SELECT workflow_id FROM runs WHERE workflow_id ~ ':c[123]$' ORDER BY 1;
SELECT run_workflow('se_parent.sync:2', arguments('se_pass', 'se p9')) ->> 'Name', run_workflow('se_parent.sync:2', arguments('se_pass-a', 'c9')) ->> 'ExecutionArn';

-- Input: a text that is JSON is that JSON, none is an empty object.
SELECT run_workflow('se_parent.sync:2', arguments('se_pass', NULL, i)) -> 'Output' FROM unnest(ARRAY['"[1, 2]"', '"\"x\""', '"{x"', '7', 'null']::jsonb[]) i;

-- A child that fails, one that fails without a name, one that is terminated, one that is canceled: the description is the cause.
SELECT start_workflow('se_parent.sync', arguments('se_fail', 'c5'), 'se p5', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync:2', arguments('se_nameless', 'c6'), 'se p6', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync', arguments('se_slow', 'c7'), 'se p7', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync', arguments('se_slow', 'c8'), 'se p8', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT terminate_workflow('se_slow:c7', 'enough'), cancel_workflow('se_slow:c8', 'sorry');
CALL run_pending();
SELECT get_result(run_id, '1 minute') FROM find_runs('se p7');
SELECT get_result(run_id, '1 minute') FROM find_runs('se p8');
SELECT workflow_id, status, error, undated(cause::jsonb) FROM runs WHERE workflow_id IN ('se p5', 'se p6', 'se p7', 'se p8') ORDER BY 1;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p5')) ORDER BY event_id;

-- What is started without waiting outlives its parent; what is waited for does not.
SELECT start_workflow('se_parent', arguments('se_slow', 'c9'), 'se p9', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_parent.sync', arguments('se_slow', 'c10'), 'se p10', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT terminate_workflow('se p10');
SELECT workflow_id, status FROM runs WHERE workflow_id IN ('se p9', 'se p10', 'se_slow:c9', 'se_slow:c10') ORDER BY 1;

-- What cannot be started.
CREATE FUNCTION outcome(pattern text, parameters jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_cause text;
BEGIN
	RETURN expense_flow.run_workflow('se_parent' || pattern, parameters)::text;
EXCEPTION WHEN SQLSTATE 'EF005' THEN
	GET STACKED DIAGNOSTICS v_cause = PG_EXCEPTION_DETAIL;
	RETURN SQLERRM || ': ' || v_cause;
END $$;
SELECT n, outcome('.sync', arguments(n, NULL)) FROM unnest(ARRAY['missing', 'outside']) n;
SELECT outcome('', arguments('se_pass', NULL) || '{"arn": "arn:aws:states:us-east-1:123456789012:machine:pass"}');
SELECT outcome('.sync', arguments('se_pass', 'c9') - 'arn' || '{"arn": null}');
SELECT outcome('.sync', arguments('se_pass', 'c9') || '{"arn": 1}');
SELECT outcome('.sync', arguments('se_pass', '', 'null'));
SELECT regexp_replace(outcome('.sync', arguments('se_slow', 'c9')), '[-0-9a-f]{36}', 'RUN');
SELECT terminate_workflow('se_slow:c9');
-- Each has its attempt in the history; Retry and Catch see the service's names.
SELECT create_workflow('se_catcher', '{"StartAt": "Start", "States": {"Start": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync",
	"Parameters": {"StateMachineArn": "unknown"}, "Retry": [{"ErrorEquals": ["StepFunctions.StateMachineDoesNotExistException"], "MaxAttempts": 1}],
	"Catch": [{"ErrorEquals": ["StepFunctions.StateMachineDoesNotExistException"], "ResultPath": "$.failure", "Next": "End"}], "End": true},
	"End": {"Type": "Succeed"}}}');
SELECT start_workflow('se_catcher', '{}', 'se p11', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT output FROM find_runs('se p11');
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p11')) ORDER BY event_id;

-- The child needs the parent's role to be allowed to start it.

CREATE ROLE regress_execution_user;
SELECT create_workflow('se_guarded', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}', run_as => 'owner');
SET ROLE regress_execution_user;
SELECT start_workflow('se_parent.sync', arguments('se_guarded', NULL), 'se p12', start_delay => '1 hour') IS NOT NULL;
RESET ROLE;
CALL run_pending(skip => '2 hours');
SELECT status, error, cause FROM find_runs('se p12');

-- With a task token, whoever has it ends the Task; the run that got it need not end.
SELECT create_workflow('se_token', '{"StartAt": "Start", "States": {"Start": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.waitForTaskToken",
	"Parameters": {"StateMachineArn.$": "$.arn", "Name": "token", "Input": {"token.$": "$$.Task.Token"}}, "End": true}}}');
SELECT start_workflow('se_token', '{"arn": "se_slow"}', 'se p14', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_token', '{"arn": "unknown"}', 'se p15', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_token', '{"arn": ["se_slow"]}', 'se p16', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT complete_activity(input ->> 'token', '{"said": "yes"}') FROM find_runs('se_slow:token');
SELECT get_result(run_id, '1 minute') FROM find_runs('se p14');
SELECT workflow_id, status, error, cause FROM runs WHERE workflow_id IN ('se_slow:token', 'se p15', 'se p16') ORDER BY 1;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p14')) ORDER BY event_id;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p15')) ORDER BY event_id;
SELECT terminate_workflow('se_slow:token');

-- A Task that waits for its run can be ended by its token, too, if it has given that away; once.
SELECT create_workflow('se_both', '{"StartAt": "Start", "States": {"Start": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
	"Parameters": {"StateMachineArn.$": "$.arn", "Name.$": "$.name", "Input": {"token.$": "$$.Task.Token"}}, "ResultPath": "$.result", "Next": "Rest"},
	"Rest": {"Type": "Wait", "Seconds": 36000, "End": true}}}');
SELECT start_workflow('se_both', '{"arn": "se_slow", "name": "b1"}', 'se p21', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_both', '{"arn": "se_slow", "name": "b2"}', 'se p22', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_both', '{"arn": "se_slow", "name": "b3"}', 'se p23', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_both', '{"arn": "se_pass", "name": "b4"}', 'se p24', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('se_both', '{"arn": "se_slow", "name": "b5"}', 'se p25', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT complete_activity(input ->> 'token', '{"said": "yes"}') FROM find_runs('se_slow:b1');
SELECT complete_activity(input ->> 'token', '{"said": "more"}') FROM find_runs('se_slow:b1');
SELECT fail_activity(input ->> 'token', 'Refused', 'It said no.') FROM find_runs('se_slow:b2');
SELECT terminate_workflow('se_slow:b3', 'enough');
SELECT complete_activity(input ->> 'token', '{"said": "late"}') FROM find_runs('se_pass:b4');
SELECT cancel_workflow('se p25', 'never mind');
CALL run_pending();
SELECT workflow_id, status, error, cause LIKE '%enough%ABORTED%' FROM runs WHERE workflow_id ~ '^se p2[1-5]' ORDER BY 1;
SELECT complete_activity(input ->> 'token') FROM find_runs('se_slow:b3');
SELECT complete_activity(input ->> 'token') FROM find_runs('se_slow:b5');
SELECT workflow_id, status FROM runs WHERE workflow_id ~ '^se_.*:b[1-5]' ORDER BY 1;
SELECT t.output -> 'result' FROM transition t JOIN find_runs('se p21') USING (run_id) WHERE t.state = 'Start' AND t.output IS NOT NULL;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('se p21')) ORDER BY event_id;
SELECT terminate_workflow(workflow_id) FROM unnest(ARRAY['se p21', 'se p24']) workflow_id;
SELECT count(*) FROM activity_task WHERE run_id IN (SELECT run_id FROM runs WHERE workflow_id ~ '^se_');
SELECT workflow_id, status FROM runs WHERE workflow_id ~ '^se_.*:b[1-5]' ORDER BY 1;

-- Timeouts end the child; test_state() needs a mock; another action needs an alias.
SELECT create_workflow('se_timeout', '{"StartAt": "Start", "States": {"Start": {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
	"Parameters": {"StateMachineArn": "se_slow", "Name": "c13"}, "TimeoutSeconds": 60, "End": true}}}');
SELECT start_workflow('se_timeout', '{}', 'se p13', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT workflow_id, status, error FROM runs WHERE workflow_id IN ('se p13', 'se_slow:c13') ORDER BY 1;
SELECT test_state('{"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync", "End": true}');
SELECT test_state('{"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "OutputPath": "$.Output", "End": true}', mock => '{"result": {"Output": 1}}') -> 'output';
SELECT parent('.sync:3');
SELECT outcome('.sync:3', arguments('se_pass', NULL));

SELECT drop_resource_alias(pattern) FROM resource_alias;
DROP FUNCTION app_fail, parent, undated, arguments, outcome;
DROP ROLE regress_execution_user;
