-- Cancelling runs.
SET search_path = expense_flow, public;
SET client_min_messages = warning;

CREATE SCHEMA cancel_test;
CREATE TABLE cancel_test.log (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION cancel_test.note(what text) RETURNS text LANGUAGE sql AS $$ INSERT INTO cancel_test.log (what) VALUES ($1) RETURNING what $$;
CREATE FUNCTION cancel_test.break() RETURNS void LANGUAGE sql AS $$ SELECT expense_flow.fail('Broken', 'for good') $$;

CREATE FUNCTION cancel_test.settle(p_workflow_id text) RETURNS TABLE (status text, error text, cause text) LANGUAGE sql AS $$
	SELECT r.status, r.error, r.cause FROM expense_flow.find_runs(p_workflow_id) r
$$;

-- A run that waits, in each way that it can: for a time, for a retry, for a signal, for its start.
SELECT create_workflow('cancel_wait', '{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1000, "Next": "N"},
	"N": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "not reached"}, "End": true}}}');
SELECT create_workflow('cancel_retry', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:cancel_test.break",
	"Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1000}],
	"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "N"}], "End": true},
	"N": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "States.ALL took Canceled"}, "End": true}}}');
SELECT create_workflow('cancel_signal', '{"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "signal:go",
	"Retry": [{"ErrorEquals": ["Canceled"]}, {"ErrorEquals": ["States.TaskFailed"]}],
	"Catch": [{"ErrorEquals": ["States.TaskFailed"], "Next": "N"}], "End": true},
	"N": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "States.TaskFailed took Canceled"}, "End": true}}}');
SELECT count(start_workflow(w, workflow_id => w)) FROM unnest(ARRAY['cancel_wait', 'cancel_retry', 'cancel_signal']) w;
SELECT count(start_workflow('cancel_wait', workflow_id => 'cancel_delayed', start_delay => '1 day'));
CALL run_pending();
SELECT r.workflow_id, b.state, b.status, b.cancel_requested FROM branches b JOIN runs r USING (run_id) WHERE r.workflow_id LIKE 'cancel%' ORDER BY 1;
SELECT cancel_workflow(w, 'reason of ' || w) FROM unnest(ARRAY['cancel_wait', 'cancel_retry', 'cancel_signal', 'cancel_delayed']) w;
CALL run_pending();
SELECT w, (cancel_test.settle(w)).* FROM unnest(ARRAY['cancel_wait', 'cancel_retry', 'cancel_signal', 'cancel_delayed']) w;
SELECT h.type, h.state, h.details - 'input' AS details FROM find_runs('cancel_signal') r JOIN history h USING (run_id) ORDER BY h.event_id;
SELECT get_result(run_id) FROM find_runs('cancel_wait');
SELECT * FROM cancel_test.log;

-- A Catch that names it: the run cleans up, is not asked again, and is canceled in the end.
SELECT create_workflow('cancel_clean', '{"StartAt": "P", "States": {
	"P": {"Type": "Pass", "Next": "S"},
	"S": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "ResultPath": "$.failure", "Next": "Clean"}], "End": true},
	"Clean": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what.$": "States.Format(''clean up after {}: {}'', $.failure.Error, $.failure.Cause)"}, "Next": "Wait"},
	"Wait": {"Type": "Task", "Resource": "signal:cleaned", "Next": "More"},
	"More": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "cleaned"}, "End": true}}}');
SELECT count(start_workflow('cancel_clean', workflow_id => 'cancel_clean'));
CALL run_pending();
SELECT cancel_workflow('cancel_clean', 'changed my mind');
CALL run_pending();
SELECT b.state, b.status, b.cancel_requested FROM branches b JOIN find_runs('cancel_clean') r USING (run_id);
SELECT cancel_workflow('cancel_clean', 'once more');
CALL run_pending();
SELECT b.state, b.status FROM branches b JOIN find_runs('cancel_clean') r USING (run_id);
SELECT signal_workflow('cancel_clean', 'cleaned');
CALL run_pending();
SELECT * FROM cancel_test.settle('cancel_clean');
SELECT what FROM cancel_test.log ORDER BY n;

-- What fails while cleaning up is the run's failure; a Fail state may say Canceled itself.
TRUNCATE cancel_test.log;
SELECT create_workflow('cancel_fail', '{"StartAt": "S", "States": {
	"S": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "C"}], "End": true},
	"C": {"Type": "Choice", "Choices": [{"Variable": "$.Cause", "StringEquals": "break", "Next": "B"}], "Default": "F"},
	"B": {"Type": "Task", "Resource": "sql:cancel_test.break", "Parameters": {}, "End": true},
	"F": {"Type": "Fail", "Error": "Canceled", "Cause": "cleaned up"}}}');
SELECT count(start_workflow('cancel_fail', workflow_id => w)) FROM unnest(ARRAY['cancel_fail_1', 'cancel_fail_2']) w;
CALL run_pending();
SELECT cancel_workflow('cancel_fail_1', 'break'), cancel_workflow('cancel_fail_2');
CALL run_pending();
SELECT w, (cancel_test.settle(w)).* FROM unnest(ARRAY['cancel_fail_1', 'cancel_fail_2']) w;

-- A loop of states that take no time.
SELECT create_workflow('cancel_loop', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": true, "Next": "C"}], "Default": "A"}, "C": {"Type": "Succeed"}}}');
SELECT count(start_workflow('cancel_loop', workflow_id => 'cancel_loop', start_delay => '1 hour'));
SELECT cancel_workflow('cancel_loop', 'round and round');
CALL run_pending();
SELECT * FROM cancel_test.settle('cancel_loop');

-- A tree: each branch is asked, and may clean up; then the Parallel fails, and its Catch may name the error.
SELECT create_workflow('cancel_tree', '{"StartAt": "P", "States": {
	"P": {"Type": "Parallel", "Branches": [
		{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "End": true}}},
		{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "B2"}], "End": true},
			"B2": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "branch B cleans up"}, "Next": "B3"},
			"B3": {"Type": "Wait", "Seconds": 5, "Next": "B4"},
			"B4": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "branch B has cleaned up"}, "End": true}}},
		{"StartAt": "C", "States": {"C": {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "End": true, "ItemProcessor": {"StartAt": "D", "States": {
			"D": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "E"}], "End": true},
			"E": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what": "an item cleans up"}, "End": true}}}}}}],
		"Catch": [{"ErrorEquals": ["Canceled"], "ResultPath": "$.failure", "Next": "N"}], "End": true},
	"N": {"Type": "Task", "Resource": "sql:cancel_test.note", "Parameters": {"what.$": "States.Format(''the run cleans up: {}'', $.failure.Cause)"}, "End": true}}}');
SELECT count(start_workflow('cancel_tree', '{"items": [1, 2, 3, 4]}', 'cancel_tree'));
CALL run_pending();
SELECT b.state, b.status, count(*) FROM branches b JOIN find_runs('cancel_tree') r USING (run_id) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT cancel_workflow('cancel_tree', 'all of it');
CALL run_pending();
SELECT b.state, b.status, b.cancel_requested, count(*) FROM branches b JOIN find_runs('cancel_tree') r USING (run_id) GROUP BY 1, 2, 3 ORDER BY 1, 2;
CALL run_pending('10 s');
SELECT DISTINCT what FROM cancel_test.log ORDER BY what;
SELECT * FROM cancel_test.settle('cancel_tree');
SELECT count(*) FROM branch b JOIN run r USING (run_id) WHERE r.workflow_id = 'cancel_tree';

-- Without a Catch; and where all branches have handled it, the Parallel fails all the same.
SELECT create_workflow('cancel_bare', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "N"}],
	"Branches": [{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1000, "End": true}}}, {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}]},
	"N": {"Type": "Pass", "End": true}}}');
SELECT create_workflow('cancel_handled', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true,
	"Branches": [{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "Catch": [{"ErrorEquals": ["Canceled"], "Next": "B"}], "End": true}, "B": {"Type": "Pass", "End": true}}}]}}}');
SELECT count(start_workflow(w, workflow_id => w)) FROM unnest(ARRAY['cancel_bare', 'cancel_handled']) w;
CALL run_pending();
SELECT cancel_workflow('cancel_bare', 'one'), cancel_workflow('cancel_handled', 'two');
CALL run_pending();
SELECT w, (cancel_test.settle(w)).* FROM unnest(ARRAY['cancel_bare', 'cancel_handled']) w;
SELECT count(*) FROM branch b JOIN run r USING (run_id) WHERE r.workflow_id LIKE 'cancel%';

-- In a transaction that rolls back it was not asked.
SELECT count(start_workflow('cancel_wait', workflow_id => 'cancel_rolled_back'));
CALL run_pending();
BEGIN;
SELECT cancel_workflow('cancel_rolled_back');
ROLLBACK;
CALL run_pending();
SELECT b.state, b.status, b.cancel_requested FROM branches b JOIN find_runs('cancel_rolled_back') r USING (run_id);

-- Ending it takes the messages with it.
SELECT signal_workflow('cancel_rolled_back', 'never awaited', '1');
SELECT count(*) FROM message m JOIN find_runs('cancel_rolled_back') r USING (run_id);
SELECT terminate_workflow('cancel_rolled_back', 'enough');
SELECT * FROM cancel_test.settle('cancel_rolled_back');
SELECT count(*) FROM message m JOIN find_runs('cancel_rolled_back') r USING (run_id);

-- Misuse.
SELECT cancel_workflow(NULL);
SELECT cancel_workflow('cancel_unknown');
SELECT cancel_workflow('cancel_wait');
SELECT terminate_workflow('cancel_wait');
CREATE ROLE cancel_test_other;
SELECT count(start_workflow('cancel_wait', workflow_id => 'cancel_mine'));
SET ROLE cancel_test_other;
SELECT cancel_workflow('cancel_mine');
RESET ROLE;
SELECT cancel_workflow('cancel_mine');
CALL run_pending();

DROP SCHEMA cancel_test CASCADE;
DROP ROLE cancel_test_other;
