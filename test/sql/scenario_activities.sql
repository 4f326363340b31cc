-- Known scenarios of external activities and timers.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;

-- M11, API_DOWNTIME: attempts 1 to 4 take longer than start-to-close, the fifth one succeeds. (Each attempt is scheduled in the time that was skipped for the ones before it.)
SELECT create_workflow('scenario downtime', '{"StartAt": "Call", "States": {"Call": {"Type": "Task", "Resource": "activity:scenario/call", "StartToCloseSeconds": 10,
	"Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 10}], "End": true}}}');
SELECT start_workflow('scenario downtime', '"order 12345"', 'scenario m11') IS NOT NULL;
CALL run_pending();
SELECT token, attempt FROM poll_activity('scenario', wait => '20 s') \gset
CALL run_pending('12 s');
SELECT complete_activity(:'token', '"too late"');
SELECT token, attempt FROM poll_activity('scenario', wait => '20 s') \gset
CALL run_pending('24 s');
SELECT token, attempt FROM poll_activity('scenario', wait => '20 s') \gset
CALL run_pending('36 s');
SELECT token, attempt FROM poll_activity('scenario', wait => '20 s') \gset
CALL run_pending('48 s');
SELECT complete_activity(:'token', '"too late"');
SELECT attempt, complete_activity(token, '"processed"') FROM poll_activity('scenario', wait => '20 s');
CALL run_pending();
SELECT status, output FROM find_runs('scenario m11');
SELECT type, count(*), min(details ->> 'error') FROM history JOIN find_runs('scenario m11') USING (run_id) WHERE type LIKE 'Activity%' GROUP BY 1 ORDER BY 1;

-- Heartbeat: an activity over 20 items whose worker dies after every 6. Each attempt goes on behind the item of the last heartbeat, so the fourth one finishes.
CREATE TABLE processed (item int, attempt int);
CREATE FUNCTION process_items() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	task record;
	first int;
BEGIN
	SELECT * INTO STRICT task FROM expense_flow.poll_activity('scenario', 'batch', wait => '20 s');
	first := coalesce(task.heartbeat_details::int, 0) + 1;
	FOR item IN first..task.input::int LOOP
		INSERT INTO public.processed VALUES (item, task.attempt);
		PERFORM expense_flow.heartbeat_activity(task.token, to_jsonb(item));
		IF item = first + 5 THEN
			RETURN format('attempt %s began with item %s and died after item %s', task.attempt, first, item);
		END IF;
	END LOOP;
	PERFORM expense_flow.complete_activity(task.token, '"all"');
	RETURN format('attempt %s began with item %s and finished', task.attempt, first);
END $$;
SELECT create_workflow('scenario batch', '{"StartAt": "Batch", "States": {"Batch": {"Type": "Task", "Resource": "activity:scenario/batch", "HeartbeatSeconds": 5,
	"Retry": [{"ErrorEquals": ["States.HeartbeatTimeout"], "IntervalSeconds": 1, "BackoffRate": 1.0, "MaxAttempts": 10}], "End": true}}}');
SELECT start_workflow('scenario batch', '20', 'scenario heartbeat') IS NOT NULL;
CALL run_pending();
SELECT process_items();
CALL run_pending('7 s');
SELECT process_items();
CALL run_pending('14 s');
SELECT process_items();
CALL run_pending('21 s');
SELECT process_items();
CALL run_pending();
SELECT status, output FROM find_runs('scenario heartbeat');
SELECT attempt, count(*), min(item), max(item) FROM processed GROUP BY 1 ORDER BY 1;
SELECT count(DISTINCT item) = count(*) AS each_once FROM processed;
DROP TABLE processed;
DROP FUNCTION process_items;

-- Pick-first: two activities at once. The first one that is done ends the Parallel, by an error that its Catch takes; the other one is canceled.
SELECT create_workflow('scenario pick first', '{"StartAt": "Race", "States": {
	"Race": {"Type": "Parallel", "Branches": [
			{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:scenario/a", "Next": "A is first"},
				"A is first": {"Type": "Fail", "Error": "Picked", "CausePath": "States.JsonToString($)"}}},
			{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "activity:scenario/b", "Next": "B is first"},
				"B is first": {"Type": "Fail", "Error": "Picked", "CausePath": "States.JsonToString($)"}}}],
		"Catch": [{"ErrorEquals": ["Picked"], "Next": "Picked"}], "End": true},
	"Picked": {"Type": "Pass", "Parameters": {"first.$": "States.StringToJson($.Cause)"}, "End": true}}}');
SELECT start_workflow('scenario pick first', '{}', 'scenario pick') IS NOT NULL;
CALL run_pending();
CREATE TEMP TABLE taken AS SELECT * FROM poll_activity('scenario', max_tasks => 2);
SELECT max(token) FILTER (WHERE activity = 'a') AS loser, max(token) FILTER (WHERE activity = 'b') AS winner FROM taken \gset
SELECT cancel_requested FROM heartbeat_activity(:'loser');
SELECT complete_activity(:'winner', '{"by": "b"}');
CALL run_pending();
SELECT status, output FROM find_runs('scenario pick');
SELECT cancel_requested FROM heartbeat_activity(:'loser');
SELECT complete_activity(:'loser', '{"by": "a"}');
SELECT fail_activity(:'loser', 'Failed');
SELECT output FROM find_runs('scenario pick');

-- Timer: an order that takes longer than its threshold sends one e-mail, and still completes; one that is quicker sends none.
CREATE TABLE mail (about text);
CREATE FUNCTION send_mail(about text) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.mail VALUES (about) $$;
SELECT create_workflow('scenario order', '{"StartAt": "Both", "States": {
	"Both": {"Type": "Parallel", "Branches": [
			{"StartAt": "Process", "States": {"Process": {"Type": "Task", "Resource": "activity:scenario/process", "Next": "Processed"},
				"Processed": {"Type": "Fail", "Error": "Processed", "CausePath": "States.JsonToString($)"}}},
			{"StartAt": "Threshold", "States": {"Threshold": {"Type": "Wait", "Seconds": 30, "Next": "Send mail"},
				"Send mail": {"Type": "Task", "Resource": "sql:public.send_mail", "Parameters": {"about.$": "$.order"}, "End": true}}}],
		"Catch": [{"ErrorEquals": ["Processed"], "ResultPath": "$.done", "Next": "Done"}], "End": true},
	"Done": {"Type": "Pass", "Parameters": {"order.$": "$.order", "result.$": "States.StringToJson($.done.Cause)"}, "End": true}}}');
SELECT start_workflow('scenario order', '{"order": "slow"}', 'scenario slow') IS NOT NULL;
CALL run_pending();
SELECT token FROM poll_activity('scenario', wait => '20 s') \gset
CALL run_pending('29 s');
SELECT about FROM mail;
CALL run_pending('31 s');
CALL run_pending('1 hour');
SELECT about FROM mail;
SELECT status FROM find_runs('scenario slow');
SELECT complete_activity(:'token', '"shipped"');
CALL run_pending();
SELECT status, output FROM find_runs('scenario slow');
SELECT start_workflow('scenario order', '{"order": "quick"}', 'scenario quick') IS NOT NULL;
CALL run_pending();
SELECT complete_activity(token, '"shipped"') FROM poll_activity('scenario', wait => '20 s');
CALL run_pending();
CALL run_pending('1 hour');
SELECT status, output FROM find_runs('scenario quick');
SELECT about FROM mail;
DROP TABLE mail;
DROP FUNCTION send_mail;
SELECT count(*) FROM branch JOIN run USING (run_id) WHERE run.workflow_id LIKE 'scenario%';
