-- External activities that are not wanted any more: their run was canceled, or their branch was ended by another one.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;
CREATE TEMP VIEW tasks AS SELECT workflow_id, activity, status FROM activity_tasks WHERE workflow_id LIKE 'unwanted%' ORDER BY 1, 2;
CREATE TABLE unwanted_token (token text);
CREATE FUNCTION unwanted_ask(token text) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.unwanted_token VALUES (token) $$;
SELECT create_workflow('unwanted', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "activity:unwanted/a", "Retry": [{"ErrorEquals": ["Again"], "IntervalSeconds": 3600}], "Catch": [{"ErrorEquals": ["Canceled"], "Next": "B"}], "End": true},
	"B": {"Type": "Task", "Resource": "activity:unwanted/b", "End": true}}}');

-- Canceled before anybody has taken it, while somebody has it, and between two attempts. Each run then goes on to clean up, by another activity.
SELECT start_workflow('unwanted', '{}', w) IS NOT NULL FROM unnest(ARRAY['unwanted 1 started', 'unwanted 2 retrying']) w;
CALL run_pending();
CREATE TEMP TABLE taken AS SELECT * FROM poll_activity('unwanted', 'w', max_tasks => 10);
SELECT start_workflow('unwanted', '{}', 'unwanted 3 scheduled') IS NOT NULL;
SELECT fail_activity(token, 'Again') FROM taken WHERE workflow_id = 'unwanted 2 retrying';
CALL run_pending();
SELECT * FROM tasks;
SELECT cancel_workflow(workflow_id, 'enough') FROM runs WHERE workflow_id LIKE 'unwanted %' AND status = 'RUNNING';
CALL run_pending();
SELECT * FROM tasks;
SELECT h.workflow_id, string_agg(h.type, ' ' ORDER BY h.event_id) FROM (SELECT r.workflow_id, h.type, h.event_id FROM history h JOIN runs r USING (run_id)
	WHERE r.workflow_id LIKE 'unwanted %' AND h.state = 'A') h GROUP BY 1 ORDER BY 1;
-- The old token is worth nothing, though its branch is there; the worker is told.
SELECT cancel_requested FROM taken, heartbeat_activity(token) WHERE workflow_id = 'unwanted 1 started';
SELECT complete_activity(token) FROM taken WHERE workflow_id = 'unwanted 1 started';
SELECT fail_activity(token, 'Failed') FROM taken WHERE workflow_id = 'unwanted 1 started';
SELECT heartbeat_activity(token) FROM taken WHERE workflow_id = 'unwanted 2 retrying';
SELECT complete_activity_by_name('unwanted 1 started', 'a');
SELECT workflow_id, activity, attempt, complete_activity(token, '"cleaned up"') FROM poll_activity('unwanted', max_tasks => 10, wait => '20 s') ORDER BY 1;
CALL run_pending();
SELECT workflow_id, status, error, cause FROM runs WHERE workflow_id LIKE 'unwanted %' ORDER BY 1;

-- A function that has given its token away: the attempt ends as a Task's.
SELECT create_workflow('unwanted token', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.unwanted_ask.waitForTaskToken", "Parameters": {"token.$": "$$.Task.Token"}, "End": true}}}');
SELECT start_workflow('unwanted token', '{}', 'unwanted token') IS NOT NULL;
CALL run_pending();
SELECT cancel_workflow('unwanted token', 'enough');
CALL run_pending();
SELECT type, details FROM history h JOIN find_runs('unwanted token') USING (run_id) WHERE type LIKE 'Task%' AND h.state = 'A' ORDER BY event_id DESC LIMIT 1;
SELECT status, error, cause FROM find_runs('unwanted token');
SELECT complete_activity(token) FROM unwanted_token;
SELECT cancel_requested FROM unwanted_token, heartbeat_activity(token);

-- Asked to cancel together with the outcome: a result counts, a failure is not retried, and the next state gets the request.
SELECT create_workflow('unwanted result', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "activity:unwanted/a", "Retry": [{"ErrorEquals": ["Again"]}], "ResultPath": "$.a", "Next": "B"},
	"B": {"Type": "Task", "Resource": "activity:unwanted/b", "Catch": [{"ErrorEquals": ["Canceled"], "ResultPath": "$.b", "Next": "C"}], "End": true},
	"C": {"Type": "Task", "Resource": "sql:public.unwanted_ask", "Parameters": {"token.$": "$.a"}, "End": true}}}');
TRUNCATE unwanted_token;
SELECT start_workflow('unwanted result', '{}', w) IS NOT NULL FROM unnest(ARRAY['unwanted r1', 'unwanted r2']) w;
CALL run_pending();
BEGIN;
SELECT cancel_workflow('unwanted r1', 'enough'), cancel_workflow('unwanted r2', 'enough');
SELECT workflow_id, CASE workflow_id WHEN 'unwanted r1' THEN complete_activity(token, '"the result"') ELSE fail_activity(token, 'Again') END
	FROM poll_activity('unwanted', max_tasks => 2) ORDER BY 1;
COMMIT;
CALL run_pending('10 s');
SELECT workflow_id, status, error FROM runs WHERE workflow_id LIKE 'unwanted r_' ORDER BY 1;
SELECT * FROM unwanted_token;
SELECT type, h.state FROM history h JOIN find_runs('unwanted r2') USING (run_id) WHERE type ~ '^Activity' ORDER BY event_id;

-- A Parallel and a Map that fail: what their other branches wait for is withdrawn, taken or not, also several levels below; tasks of others stay.
SELECT create_workflow('unwanted parallel', '{"StartAt": "P", "States": {
	"P": {"Type": "Parallel", "Catch": [{"ErrorEquals": ["Failed"], "Next": "After"}], "End": true, "Branches": [
		{"StartAt": "Fails", "States": {"Fails": {"Type": "Task", "Resource": "activity:unwanted/fails", "End": true}}},
		{"StartAt": "Map", "States": {"Map": {"Type": "Map", "ItemsPath": "$", "End": true,
			"ItemProcessor": {"StartAt": "Item", "States": {"Item": {"Type": "Task", "Resource": "activity:unwanted/item", "End": true}}}}}}]},
	"After": {"Type": "Task", "Resource": "activity:unwanted/after", "End": true}}}');
SELECT start_workflow('unwanted parallel', '[1, 2, 3]', w) IS NOT NULL FROM unnest(ARRAY['unwanted p1', 'unwanted p2']) w;
CALL run_pending();
TRUNCATE taken;
SELECT count(*) FROM tasks WHERE status = 'SCHEDULED';
-- All are taken, and one of them fails.
INSERT INTO taken SELECT * FROM poll_activity('unwanted', max_tasks => 10);
SELECT fail_activity(token, 'Failed') FROM taken WHERE workflow_id = 'unwanted p1' AND activity = 'fails';
CALL run_pending();
SELECT * FROM tasks WHERE workflow_id = 'unwanted p1';
SELECT status, count(*) FROM tasks WHERE workflow_id = 'unwanted p2' GROUP BY 1;
SELECT workflow_id, cancel_requested FROM taken, heartbeat_activity(token) WHERE input = '1' ORDER BY 1;
SELECT complete_activity(token) FROM taken WHERE workflow_id = 'unwanted p1' AND input = '1';
SELECT activity, complete_activity(token, '"after all"') FROM poll_activity('unwanted', max_tasks => 10, wait => '20 s');
CALL run_pending();
SELECT workflow_id, status, output FROM runs WHERE workflow_id LIKE 'unwanted p_' ORDER BY 1;
-- Nobody has taken them yet: they just go.
SELECT start_workflow('unwanted parallel', '[1, 2, 3]', 'unwanted p3') IS NOT NULL;
CALL run_pending();
SELECT fail_activity_by_name('unwanted p3', 'fails', 'Failed');
CALL run_pending();
SELECT * FROM tasks WHERE workflow_id = 'unwanted p3';
SELECT terminate_workflow(w) FROM unnest(ARRAY['unwanted p2', 'unwanted p3']) w;
SELECT status, count(*) FROM tasks GROUP BY 1 ORDER BY 1;

-- What is kept to tell a worker goes with its run.
SET expense_flow.retention = '0s';
\set ECHO none
CALL purge() \g /dev/null
\set ECHO all
RESET expense_flow.retention;
SELECT count(*) FROM tasks;
SELECT count(*) FROM activity_task t WHERE NOT EXISTS (SELECT FROM run r WHERE r.run_id = t.run_id);
DROP TABLE unwanted_token;
DROP FUNCTION unwanted_ask;
