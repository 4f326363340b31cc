-- External activities: polling, finishing, failing, heartbeats, timeouts, and every misuse.

SET client_min_messages = warning;
CREATE ROLE regress_ext_owner;
CREATE ROLE regress_ext_other;
GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO regress_ext_owner;
SET ROLE regress_ext_owner;
SELECT expense_flow.create_workflow('ext', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:ext/do", "TimeoutSeconds": 100,
	"HeartbeatSeconds": 40, "ResultPath": "$.r", "Retry": [{"ErrorEquals": ["Again", "States.Timeout"], "MaxAttempts": 2}],
	"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}], "End": true}, "Caught": {"Type": "Pass", "End": true}}}');

-- nothing there
SELECT count(*) FROM expense_flow.poll_activity('ext');

-- taken, kept alive, failed, retried with the details of the heartbeat, completed once
SELECT expense_flow.start_workflow('ext', '{"x": 1}', 'ext1') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT branch_id, queue, activity, status, attempt, input FROM expense_flow.activity_tasks;
SELECT status, awaits FROM expense_flow.branches;
SELECT token, workflow_id, activity, input, attempt, heartbeat_details, heartbeat_timeout, workflow FROM expense_flow.poll_activity('ext', 'me', wait => '20 s') \gset
\echo :workflow_id :activity :input :attempt :heartbeat_timeout :workflow
SELECT count(*) FROM expense_flow.poll_activity('ext');
SELECT cancel_requested, timeout_at IS NOT NULL AS times_out FROM expense_flow.heartbeat_activity(:'token', '{"n": 6}');
SELECT cancel_requested FROM expense_flow.heartbeat_activity(:'token');
SELECT expense_flow.fail_activity(:'token', 'Again', 'once more', '{"at": 7}', retry_delay => '0');
SELECT expense_flow.heartbeat_activity(:'token');
SELECT expense_flow.complete_activity(:'token');
CALL expense_flow.run_pending();
SELECT token, attempt, heartbeat_details FROM expense_flow.poll_activity('ext', 'me', wait => '20 s') \gset
\echo :attempt :heartbeat_details
-- a role that has the token, and nothing else
RESET ROLE; SET ROLE regress_ext_other;
SELECT expense_flow.complete_activity(:'token', '"done"');
RESET ROLE; SET ROLE regress_ext_owner;
SELECT expense_flow.complete_activity(:'token', '"again"');
CALL expense_flow.run_pending();
SELECT status, output FROM expense_flow.find_runs('ext1');
SELECT type, details - 'retry_at' AS details FROM expense_flow.history WHERE run_id = (SELECT run_id FROM expense_flow.find_runs('ext1')) ORDER BY event_id;
SELECT count(*) FROM expense_flow.activity_tasks;

-- a poll that rolls back gives its task back, and its token is worth nothing
SELECT expense_flow.start_workflow('ext', '{"x": 2}', 'ext2') IS NOT NULL AS started;
CALL expense_flow.run_pending();
BEGIN;
SELECT token FROM expense_flow.poll_activity('ext', wait => '20 s') \gset
ROLLBACK;
SELECT expense_flow.complete_activity(:'token');
-- no retry where the failure says so
SELECT token FROM expense_flow.poll_activity('ext', wait => '20 s') \gset
SELECT expense_flow.fail_activity(:'token', 'Again', 'for good', non_retryable => true);
CALL expense_flow.run_pending();
SELECT status, output FROM expense_flow.find_runs('ext2');

-- timeouts: no heartbeat (retried as States.Timeout), then nobody takes it in time
SELECT expense_flow.start_workflow('ext', '{}', 'ext3') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT token FROM expense_flow.poll_activity('ext', wait => '20 s') \gset
CALL expense_flow.run_pending('45 s');
SELECT expense_flow.complete_activity(:'token');
CALL expense_flow.run_pending('500 s');
SELECT status, output FROM expense_flow.find_runs('ext3');
SELECT type, details - 'retry_at' AS details FROM expense_flow.history WHERE run_id = (SELECT run_id FROM expense_flow.find_runs('ext3')) AND type LIKE 'Activity%' ORDER BY event_id;
SELECT count(*) FROM expense_flow.activity_tasks;

-- schedule-to-start is never retried; schedule-to-close ends retries; start-to-close counts from the start
SELECT expense_flow.create_workflow('ext_limits', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:ext_limits/do", "ScheduleToStartSeconds": 10,
	"Retry": [{"ErrorEquals": ["States.ALL"]}], "Catch": [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.a", "Next": "B"}], "End": true},
	"B": {"Type": "Task", "Resource": "activity:ext_limits/do", "StartToCloseSeconds": 30, "ScheduleToCloseSeconds": 50,
	"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100}], "Catch": [{"ErrorEquals": ["States.Timeout"], "ResultPath": "$.b", "Next": "C"}], "End": true},
	"C": {"Type": "Succeed"}}}');
SELECT expense_flow.start_workflow('ext_limits', '{}', 'limits') IS NOT NULL AS started;
CALL expense_flow.run_pending('15 s');
SELECT token FROM expense_flow.poll_activity('ext_limits', wait => '20 s') \gset
CALL expense_flow.run_pending('100 s');
SELECT status, output FROM expense_flow.find_runs('limits');

-- priority, then age
SELECT expense_flow.create_workflow('ext_low', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:ext_order/low", "End": true}}}');
SELECT expense_flow.create_workflow('ext_high', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:ext_order/high", "Priority": 5, "End": true}}}');
SELECT count(expense_flow.start_workflow(w, to_jsonb(n))) FROM (VALUES ('ext_low', 1), ('ext_high', 2)) v (w, n);
CALL expense_flow.run_pending();
SELECT count(expense_flow.start_workflow(w, to_jsonb(n))) FROM (VALUES ('ext_low', 3), ('ext_high', 4)) v (w, n);
CALL expense_flow.run_pending();
BEGIN;
SELECT activity, input FROM expense_flow.poll_activity('ext_order', max_tasks => 3);
ROLLBACK;
SELECT count(expense_flow.terminate_workflow(workflow_id)::text) FROM expense_flow.runs WHERE status = 'RUNNING' AND workflow LIKE 'ext_%';
SELECT count(*) FROM expense_flow.activity_tasks;

-- terminated: the token is stale
SELECT expense_flow.start_workflow('ext', '{}', 'ext4') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT token FROM expense_flow.poll_activity('ext', wait => '20 s') \gset
SELECT expense_flow.terminate_workflow('ext4');
SELECT expense_flow.heartbeat_activity(:'token');
SELECT expense_flow.complete_activity(:'token');
SELECT expense_flow.complete_activity_by_name('ext4', 'do');

-- by name; other roles' runs
SELECT expense_flow.start_workflow('ext', '{}', 'ext5') IS NOT NULL AS started;
CALL expense_flow.run_pending();
RESET ROLE; SET ROLE regress_ext_other;
SELECT count(*) FROM expense_flow.poll_activity('ext');
SELECT expense_flow.complete_activity_by_name('ext5', 'do');
SELECT expense_flow.grant_queue('ext', 'regress_ext_other');
SELECT count(*) FROM expense_flow.activity_tasks;
RESET ROLE;
SELECT expense_flow.grant_queue('ext', 'regress_ext_other');
SET ROLE regress_ext_other;
BEGIN;
SELECT workflow_id, activity FROM expense_flow.poll_activity('ext');
ROLLBACK;
RESET ROLE;
SELECT expense_flow.revoke_queue('ext', 'regress_ext_other');
SET ROLE regress_ext_other;
SELECT count(*) FROM expense_flow.poll_activity('ext');
RESET ROLE; SET ROLE regress_ext_owner;
SELECT expense_flow.complete_activity_by_name('ext5', 'other');
SELECT expense_flow.complete_activity_by_name('unknown', 'do');
SELECT expense_flow.complete_activity_by_name('ext5', 'do', '5');
CALL expense_flow.run_pending();
SELECT status, output FROM expense_flow.find_runs('ext5');

-- misuse
SELECT expense_flow.complete_activity(NULL);
SELECT expense_flow.complete_activity('token');
SELECT expense_flow.complete_activity(repeat('0', 80));
SELECT expense_flow.heartbeat_activity('token');
SELECT expense_flow.complete_activity(repeat('0', 80), to_jsonb(repeat('x', 10000000)));
SELECT expense_flow.fail_activity(repeat('0', 80), NULL);
SELECT expense_flow.fail_activity(repeat('0', 80), 'e', non_retryable => NULL);
SELECT expense_flow.fail_activity(repeat('0', 80), 'e', retry_delay => '-1 s');
SELECT expense_flow.heartbeat_activity(repeat('0', 80), to_jsonb(repeat('x', 10000000)));
SELECT expense_flow.poll_activity(NULL);
SELECT expense_flow.poll_activity('ext', max_tasks => 0);
SELECT expense_flow.poll_activity('ext', max_tasks => NULL);
SELECT expense_flow.poll_activity('ext', wait => '-1 s');
SELECT expense_flow.run_workflow('ext');
SELECT expense_flow.create_workflow('ext_parallel', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
	{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:ext/do", "TimeoutSeconds": 100, "End": true}}}]}}}');
SELECT expense_flow.run_workflow('ext_parallel');
RESET ROLE;
SELECT expense_flow.grant_queue('ext', 'regress_ext_nobody');

-- a function that gets a token: completed by name, and at once by the function itself
CREATE TABLE ext_token (token text);
GRANT ALL ON ext_token TO regress_ext_owner;
CREATE FUNCTION ext_ask(token text, at_once boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.ext_token VALUES (token);
	IF at_once THEN
		PERFORM expense_flow.complete_activity(token, '"at once"');
	END IF;
END $$;
SELECT expense_flow.create_resource_alias('arn:aws:states:::ext:ask', 'sql:public.ext_ask');
SET ROLE regress_ext_owner;
SELECT expense_flow.create_workflow('ext_ask', '{"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": "arn:aws:states:::ext:ask.waitForTaskToken",
	"Parameters": {"token.$": "$$.Task.Token", "at_once.$": "$"}, "TimeoutSeconds": 100, "End": true}}}');
SELECT expense_flow.start_workflow('ext_ask', 'true', 'ask1') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('ext_ask', 'false', 'ask2') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('ext_ask', 'false', 'ask3') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT expense_flow.complete_activity_by_name('ask2', 'Ask', '"by name"');
CALL expense_flow.run_pending();
CALL expense_flow.run_pending('200 s');
SELECT workflow_id, status, output, error FROM expense_flow.runs WHERE workflow_id LIKE 'ask_' ORDER BY 1;
SELECT type FROM expense_flow.history WHERE run_id = (SELECT run_id FROM expense_flow.find_runs('ask3')) ORDER BY event_id;
RESET ROLE;
SELECT expense_flow.drop_resource_alias('arn:aws:states:::ext:ask');
SELECT count(*) FROM ext_token;
DROP TABLE ext_token;
DROP FUNCTION ext_ask;
REVOKE EXECUTE ON FUNCTION expense_flow.create_workflow FROM regress_ext_owner;
DROP ROLE regress_ext_owner, regress_ext_other;
