-- Compensations that are done outside, and what becomes of the open tasks of a run that compensates.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;
CREATE TEMP VIEW tasks AS SELECT * FROM activity_tasks WHERE workflow_id ~ '^saga';

-- What a Compensate may have, and what is wrong in it.
SELECT * FROM validate_workflow('{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:saga/do", "End": true, "Compensate": {
	"Resource": "activity:saga/undo", "Comment": "all there is", "Parameters": {"a.$": "$.a"}, "Register": "Before", "Priority": 7, "TimeoutSecondsPath": "$.t",
	"HeartbeatSeconds": 5, "ScheduleToStartSeconds": 10, "StartToCloseSeconds": 20, "ScheduleToCloseSeconds": 30, "Retry": [{"ErrorEquals": ["States.ALL"]}]}}}}');
SELECT * FROM validate_workflow('{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:saga/do", "End": true, "Compensate": {
	"Resource": "workflow:undo", "WorkflowIdPath": "$.id", "WorkflowVersion": 1, "ParentClosePolicy": "ABANDON", "WaitForResult": false}}}}');
SELECT * FROM validate_workflow('{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:saga/do", "End": true, "Compensate": {
	"Resource": "activity:saga/undo", "Priority": -1, "TimeoutSeconds": 5, "HeartbeatSeconds": 5, "ScheduleToStartSeconds": 0, "WorkflowId": "w", "InputPath": "$", "ResultPath": "$.r"}}}}');
SELECT * FROM validate_workflow('{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:saga/do", "End": true, "Compensate": {
	"Resource": "workflow:", "TimeoutSeconds": 5, "TimeoutSecondsPath": "$.t"}}}}');

-- Two steps outside, undone outside: an attempt that fails is followed by another, which gets the details of the last heartbeat.
SELECT create_workflow('saga ext', '{"StartAt": "One", "States": {
	"One": {"Type": "Task", "Resource": "activity:saga/do", "ResultPath": "$.one", "Next": "Two",
		"Compensate": {"Resource": "activity:saga/undo one", "Parameters": {"id.$": "$.one"}, "ScheduleToStartSeconds": 60}},
	"Two": {"Type": "Task", "Resource": "activity:saga/do", "ResultPath": "$.two", "Next": "Three",
		"Compensate": {"Resource": "activity:saga/undo two", "Parameters": {"id.$": "$.two"}, "HeartbeatSeconds": 30,
			"Retry": [{"ErrorEquals": ["Busy", "States.HeartbeatTimeout"], "MaxAttempts": 2}]}},
	"Three": {"Type": "Task", "Resource": "activity:saga/do", "End": true}}}');
SELECT start_workflow('saga ext', '{}', 'saga x1') IS NOT NULL;
CALL run_pending();
SELECT activity, complete_activity(token, '11') FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
SELECT activity, complete_activity(token, '22') FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
SELECT activity, fail_activity(token, 'NoSeat', 'full') FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
SELECT status, compensating, error FROM find_runs('saga x1');
SELECT c.state, c.status, c.input FROM compensations c JOIN find_runs('saga x1') USING (run_id) ORDER BY step;
SELECT activity, status, attempt, input FROM tasks;
SELECT token FROM poll_activity('saga', 'w', wait => '20 s') \gset
SELECT cancel_requested FROM heartbeat_activity(:'token', '"half"');
SELECT fail_activity(:'token', 'Busy', retry_delay => '0');
CALL run_pending();
SELECT token, activity, attempt, heartbeat_details FROM poll_activity('saga', 'w', wait => '20 s') \gset
\echo :activity :attempt :heartbeat_details
-- The worker dies.
CALL run_pending('35 s');
SELECT complete_activity(:'token');
SELECT activity, attempt, heartbeat_details, complete_activity(token) FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
-- Nobody takes the other one in time: that is for good.
CALL run_pending('61 s');
SELECT c.state, c.status, c.error, c.cause FROM compensations c JOIN find_runs('saga x1') USING (run_id) ORDER BY step;
SELECT count(*) FROM tasks;
SELECT retry_compensation('saga x1');
CALL run_pending();
SELECT activity, attempt, input, complete_activity(token) FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
SELECT status, error, cause, compensating FROM find_runs('saga x1');
SELECT type, h.state, details FROM history h JOIN find_runs('saga x1') USING (run_id) WHERE h.state = 'One/Compensate' ORDER BY event_id;
SELECT count(*) FROM tasks;

-- One that waits for a token: its function gets it when it is called, besides what was stored.
CREATE TABLE asked (token text, id int);
CREATE FUNCTION ask(token text, id int) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.asked VALUES (token, id) $$;
SELECT create_workflow('saga token', '{"StartAt": "One", "States": {
	"One": {"Type": "Task", "Resource": "activity:saga/do", "Next": "Two",
		"Compensate": {"Resource": "sql:public.ask.waitForTaskToken", "Parameters": {"token.$": "$$.Task.Token", "id.$": "$.id"}, "TimeoutSeconds": 600}},
	"Two": {"Type": "Fail", "Error": "Two"}}}');
SELECT start_workflow('saga token', '{}', 'saga k1') IS NOT NULL;
CALL run_pending();
SELECT complete_activity(token, '{"id": 5}') FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
SELECT c.state, c.status, c.input FROM compensations c JOIN find_runs('saga k1') USING (run_id);
SELECT id, complete_activity(token) FROM asked;
SELECT complete_activity(token) FROM asked;
CALL run_pending();
SELECT status, error, compensating FROM find_runs('saga k1');
DROP TABLE asked;
DROP FUNCTION ask;

-- The run times out while a task is in somebody's hands and a child run is at work: neither is wanted any more when compensating begins.
SELECT create_workflow('saga child', '{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 9000, "End": true}}}');
SELECT create_workflow('saga late', '{"StartAt": "One", "TimeoutSeconds": 100, "States": {
	"One": {"Type": "Task", "Resource": "activity:saga/do", "Next": "Which", "ResultPath": null,
		"Compensate": {"Resource": "activity:saga undo/undo one", "Parameters": {}}},
	"Which": {"Type": "Choice", "Choices": [{"Variable": "$", "StringEquals": "child", "Next": "Child"}, {"Variable": "$", "StringEquals": "parallel", "Next": "Both"}], "Default": "Two"},
	"Two": {"Type": "Task", "Resource": "activity:saga/two", "Next": "End", "Compensate": {"Resource": "activity:saga undo/undo two"}},
	"Child": {"Type": "Task", "Resource": "workflow:saga child", "WorkflowId": "saga child of l2", "Next": "End"},
	"Both": {"Type": "Parallel", "Next": "End", "Branches": [
		{"StartAt": "P1", "States": {"P1": {"Type": "Task", "Resource": "activity:saga/p1", "End": true}}},
		{"StartAt": "P2", "States": {"P2": {"Type": "Task", "Resource": "activity:saga/p2", "End": true}}}]},
	"End": {"Type": "Wait", "Seconds": 1, "End": true}}}');
SELECT count(start_workflow('saga late', to_jsonb(i), w)) FROM (VALUES ('saga l1', 'task'), ('saga l2', 'child'), ('saga l3', 'parallel')) v (w, i);
CALL run_pending();
SELECT count(complete_activity(token)::text) FROM poll_activity('saga', max_tasks => 3, wait => '20 s');
CALL run_pending();
SELECT activity FROM tasks ORDER BY 1;
SELECT token AS two FROM poll_activity('saga', max_tasks => 3) WHERE activity = 'two' \gset
SELECT activity, status FROM tasks ORDER BY 1;
CALL run_pending('101 s');
SELECT workflow_id, status, compensating FROM runs WHERE workflow_id ~ '^saga (l|child of l)' ORDER BY 1;
SELECT activity, status FROM tasks WHERE queue = 'saga' ORDER BY 1;
SELECT cancel_requested FROM heartbeat_activity(:'two');
SELECT complete_activity(:'two');
SELECT complete_activity_by_name('saga l1', 'two');
SELECT count(*) FROM poll_activity('saga');
SELECT workflow_id, activity, complete_activity(token) FROM poll_activity('saga undo', max_tasks => 10) ORDER BY 1;
CALL run_pending();
SELECT workflow_id, status, error, compensating FROM runs WHERE workflow_id ~ '^saga l' ORDER BY 1;
SELECT count(*) FROM tasks WHERE status <> 'CANCELED';

-- Terminated while it compensates: nobody gets the compensation any more.
SELECT start_workflow('saga late', '"task"', 'saga l4') IS NOT NULL;
CALL run_pending();
SELECT complete_activity(token) FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
CALL run_pending('101 s');
SELECT activity, status FROM tasks WHERE workflow_id = 'saga l4';
SELECT terminate_workflow('saga l4');
SELECT status FROM find_runs('saga l4');
SELECT count(*) FROM poll_activity('saga undo');
SELECT count(*) FROM tasks WHERE status <> 'CANCELED';

-- Canceled: the task that is in somebody's hands is withdrawn, the one that is done is undone, and so is one whose result has come only just now.
SELECT start_workflow('saga late', '"task"', w) IS NOT NULL FROM unnest(ARRAY['saga c1', 'saga c2']) w;
CALL run_pending();
SELECT count(complete_activity(token)::text) FROM poll_activity('saga', max_tasks => 2, wait => '20 s');
CALL run_pending();
SELECT max(token) FILTER (WHERE workflow_id = 'saga c1') AS c1, max(token) FILTER (WHERE workflow_id = 'saga c2') AS c2 FROM poll_activity('saga', 'w', max_tasks => 2, wait => '20 s') \gset
SELECT cancel_workflow('saga c1', 'no more');
BEGIN;
SELECT complete_activity(:'c2', '"done"');
SELECT cancel_workflow('saga c2', 'no more');
COMMIT;
CALL run_pending();
SELECT complete_activity(:'c1');
SELECT cancel_requested FROM heartbeat_activity(:'c1');
SELECT type, details - 'started_at' FROM history h JOIN find_runs('saga c1') USING (run_id) WHERE h.state = 'Two' ORDER BY event_id;
SELECT c.state, c.status FROM compensations c JOIN find_runs('saga c1') USING (run_id) ORDER BY step;
SELECT c.state, c.status FROM compensations c JOIN find_runs('saga c2') USING (run_id) ORDER BY step;
-- Neither asking once more nor the deadline concerns the compensations.
SELECT cancel_workflow('saga c1', 'no more');
CALL run_pending('200 s');
SELECT workflow_id, activity, complete_activity(token) FROM poll_activity('saga undo', max_tasks => 10) ORDER BY 1, 2;
CALL run_pending();
SELECT workflow_id, activity, complete_activity(token) FROM poll_activity('saga undo', max_tasks => 10) ORDER BY 1, 2;
CALL run_pending();
SELECT workflow_id, status, error, cause FROM runs WHERE workflow_id ~ '^saga c[12]' ORDER BY 1;

-- A failure and a request to cancel that come together: the failure is first, and the request comes too late for a run that compensates.
SELECT start_workflow('saga late', '"task"', 'saga c3') IS NOT NULL;
CALL run_pending();
SELECT complete_activity(token) FROM poll_activity('saga', wait => '20 s');
CALL run_pending();
BEGIN;
SELECT fail_activity(token, 'Failed', 'for good') FROM poll_activity('saga', wait => '20 s');
SELECT cancel_workflow('saga c3', 'no more');
COMMIT;
CALL run_pending();
SELECT b.branch_id = 0 AS main, b.status, b.due_at IS NULL AS rests FROM branch b JOIN find_runs('saga c3') USING (run_id) ORDER BY b.branch_id = 0 DESC;
SELECT activity, complete_activity(token) FROM poll_activity('saga undo', wait => '20 s');
CALL run_pending();
SELECT status, error, cause FROM find_runs('saga c3');

-- All at once, outside: one that has failed for good and was skipped does not close the run while somebody still has another one.
SELECT create_workflow('saga at once', '{"StartAt": "Both", "CompensationOrder": "Parallel", "States": {
	"Both": {"Type": "Parallel", "Next": "Fail", "Branches": [
		{"StartAt": "One", "States": {"One": {"Type": "Pass", "Next": "Do one"}, "Do one": {"Type": "Task", "Resource": "activity:saga/do", "End": true,
			"Compensate": {"Resource": "activity:saga undo/undo one", "Parameters": {}}}}},
		{"StartAt": "Do two", "States": {"Do two": {"Type": "Task", "Resource": "activity:saga/do", "End": true,
			"Compensate": {"Resource": "activity:saga undo/undo two", "Parameters": {}}}}}]},
	"Fail": {"Type": "Fail", "Error": "Failed"}}}');
SELECT start_workflow('saga at once', '{}', 'saga o1') IS NOT NULL;
CALL run_pending();
SELECT count(complete_activity(token)::text) FROM poll_activity('saga', max_tasks => 2);
CALL run_pending();
CREATE TEMP TABLE taken AS SELECT * FROM poll_activity('saga undo', max_tasks => 2);
SELECT fail_activity(token, 'Lost') FROM taken WHERE activity = 'undo one';
CALL run_pending();
SELECT compensating FROM find_runs('saga o1');
SELECT skip_compensation('saga o1');
CALL run_pending();
SELECT status, compensating FROM find_runs('saga o1');
SELECT c.state, c.status FROM compensations c JOIN find_runs('saga o1') USING (run_id) ORDER BY 1;
SELECT complete_activity(token) FROM taken WHERE activity = 'undo two';
CALL run_pending();
SELECT status, error, compensating FROM find_runs('saga o1');
SELECT count(*) FROM tasks WHERE workflow_id = 'saga o1';

SELECT count(*) FROM branch JOIN run USING (run_id) WHERE run.workflow_id ~ '^saga';
SELECT count(*) FROM compensating_run;
SELECT count(*) FROM message JOIN run USING (run_id) WHERE run.workflow_id ~ '^saga';
