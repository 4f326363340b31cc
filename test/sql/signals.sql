-- Signals: waiting for them, sending them, and expense_approval.
SET search_path = expense_flow, public;
SET client_min_messages = warning;

SELECT create_workflow('signal_three', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "signal:one", "ResultPath": "$.a", "Next": "B"},
	"B": {"Type": "Task", "Resource": "signal:two", "ResultPath": "$.b", "ResultSelector": {"got.$": "$.x"}, "Next": "C"},
	"C": {"Type": "Task", "Resource": "signal:one,three", "ResultPath": "$.c", "TimeoutSeconds": 60, "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}], "End": true},
	"Late": {"Type": "Pass", "End": true}}}');

-- Out of order, before anything waits; kept in the order of a name.
SELECT count(start_workflow('signal_three', workflow_id => 'signal_early'));
BEGIN;
SELECT signal_workflow('signal_early', 'two', '{"x": 2}');
SELECT signal_workflow('signal_early', 'one', '"first"');
SELECT signal_workflow('signal_early', 'one', '"second"');
SELECT signal_workflow('signal_early', 'three');
COMMIT;
CALL run_pending();
SELECT status, output FROM find_runs('signal_early');
SELECT count(*) FROM message m JOIN find_runs('signal_early') USING (run_id);

-- Three signals out of order, thirty seconds between: what came is kept, the timeout is the state's.
SELECT count(start_workflow('signal_three', workflow_id => 'signal_late'));
CALL run_pending('30 s');
SELECT signal_workflow('signal_late', 'three', '3');
CALL run_pending('30 s');
SELECT b.state, b.status, b.awaits, b.due_at IS NULL AS for_ever FROM branches b JOIN find_runs('signal_late') USING (run_id);
SELECT signal_workflow('signal_late', 'two', '{"x": 2}');
SELECT signal_workflow('signal_late', 'one', '1');
CALL run_pending();
SELECT status, output FROM find_runs('signal_late');

-- Too late: States.Timeout, which Catch takes; the signal's name is told.
SELECT count(start_workflow('signal_three', workflow_id => 'signal_timeout'));
SELECT signal_workflow('signal_timeout', 'one', '1'), signal_workflow('signal_timeout', 'two', '{"x": 2}');
CALL run_pending('59 s');
SELECT state, status FROM find_runs('signal_timeout');
CALL run_pending('61 s');
SELECT status, output FROM find_runs('signal_timeout');
SELECT type, details - 'input' AS details FROM history JOIN find_runs('signal_timeout') USING (run_id) WHERE type LIKE 'Task%' AND history.state = 'C' ORDER BY event_id;

-- A Retry of a timeout waits for the whole time again.
SELECT create_workflow('signal_retry', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "TimeoutSeconds": 10,
	"Retry": [{"ErrorEquals": ["States.Timeout"], "IntervalSeconds": 1, "MaxAttempts": 1}], "End": true}}}');
SELECT count(start_workflow('signal_retry', workflow_id => w)) FROM unnest(ARRAY['signal_retry_1', 'signal_retry_2']) w;
CALL run_pending('15 s');
SELECT workflow_id, status, state, retry_count FROM runs WHERE workflow_id LIKE 'signal_retry%' ORDER BY 1;
SELECT signal_workflow('signal_retry_1', 'go', '"at last"');
CALL run_pending('30 s');
SELECT workflow_id, status, output, error, cause FROM runs WHERE workflow_id LIKE 'signal_retry%' ORDER BY 1;

-- Sent inside a transaction, a signal is there at its commit.
SELECT count(start_workflow('signal_retry', workflow_id => 'signal_tx'));
CALL run_pending();
BEGIN;
SELECT signal_workflow('signal_tx', 'go', '"rolled back"');
SAVEPOINT a;
SELECT signal_workflow('signal_tx', 'go', '"rolled back to the savepoint"');
ROLLBACK TO a;
ROLLBACK;
CALL run_pending();
SELECT status FROM find_runs('signal_tx');
BEGIN;
SELECT signal_workflow('signal_tx', 'go', '"committed"');
COMMIT;
CALL run_pending();
SELECT status, output FROM find_runs('signal_tx');

-- In branches: each signal goes to one of those that wait for it.
SELECT create_workflow('signal_map', '{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "signal:item", "End": true}}}}}}');
SELECT count(start_workflow('signal_map', '[1, 2, 3]', 'signal_map'));
CALL run_pending();
SELECT signal_workflow('signal_map', 'item', to_jsonb(i)) FROM generate_series(1, 3) i;
CALL run_pending();
SELECT status, (SELECT jsonb_agg(v ORDER BY v) FROM jsonb_array_elements(output) v) AS outputs FROM find_runs('signal_map');

-- A run inside a query waits for what cannot come, or until its timeout.
SELECT create_workflow('signal_for_ever', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "End": true}}}');
SELECT run_workflow('signal_for_ever');

-- signal_with_start.
SELECT count(DISTINCT signal_with_start('signal_three', 'signal_start', 'one', to_jsonb(i), '{"i": 1}')) FROM generate_series(1, 2) i;
SELECT count(*) FROM find_runs('signal_start');
SELECT signal_workflow('signal_start', 'two', '{"x": 0}');
CALL run_pending();
SELECT status, output FROM find_runs('signal_start');
\set VERBOSITY terse
SELECT signal_with_start('signal_three', 'signal_start', 'one', on_reuse => 'reject');
\set VERBOSITY default

-- Requests that are made twice.
SELECT start_workflow('signal_three', '{"n": 1}', 'signal_twice', start_delay => '1 hour', request_id => 'r1') = start_workflow('signal_three', '{"n": 1.0}', 'signal_twice', request_id => 'r1') AS same;
SELECT start_workflow('signal_three', '{"n": 2}', 'signal_twice', request_id => 'r1');
SELECT start_workflow('signal_three', '{"n": 1}', 'signal_twice_2', request_id => 'r1');
SELECT signal_workflow('signal_twice', 'one', '1', 'r1'), signal_workflow('signal_twice', 'one', '1', 'r1');
SELECT count(*) FROM message m JOIN find_runs('signal_twice') USING (run_id);
SELECT signal_workflow('signal_twice', 'one', '2', 'r1');
SELECT signal_workflow('signal_twice', 'two', '1', 'r1');
SELECT cancel_workflow('signal_twice', 'no', 'r1');
SELECT signal_with_start('signal_three', 'signal_twice', 'one', '1', request_id => 'r1') = run_id AS same FROM find_runs('signal_twice');
SELECT cancel_workflow('signal_twice', 'no', 'r2'), cancel_workflow('signal_twice', 'no', 'r2');
CALL run_pending();
SELECT status FROM find_runs('signal_twice');
SELECT signal_workflow('signal_twice', 'one', '1', 'r1'), cancel_workflow('signal_twice', 'no', 'r2');
SELECT signal_with_start('signal_three', 'signal_twice', 'one', '1', request_id => 'r1') = run_id AS same FROM find_runs('signal_twice');
SELECT signal_workflow('signal_twice', 'one', '1', 'r3');

-- Misuse.
SELECT signal_workflow(NULL, 'a');
SELECT signal_workflow('signal_map', NULL);
SELECT signal_workflow('signal_map', '');
SELECT signal_workflow('signal_map', 'a,b');
SELECT signal_workflow('signal_unknown', 'a');
SELECT signal_workflow('signal_map', 'a');
SELECT signal_with_start('signal_unknown', 'w', 'a');
SELECT signal_with_start('signal_three', NULL, 'a');
SELECT signal_with_start('signal_three', 'w', NULL);
SELECT signal_with_start('signal_three', 'w', 'a', input => NULL);
CREATE ROLE signal_test_other;
SELECT count(start_workflow('signal_three', workflow_id => 'signal_mine'));
SELECT signal_workflow('signal_mine', 'one', to_jsonb(repeat('x', 10000000)));
SET ROLE signal_test_other;
SELECT signal_workflow('signal_mine', 'one');
SELECT signal_with_start('signal_three', 'signal_mine', 'one');
RESET ROLE;
SELECT terminate_workflow('signal_mine');
DROP ROLE signal_test_other;

-- expense_approval.
BEGIN;
INSERT INTO account (account_id, balance) VALUES (77077, 100);
COMMIT;
SELECT count(start_workflow('expense_approval', jsonb_build_object('account_id', 77077, 'expense_id', w, 'amount', 30, 'description', 'Hotel'), w)) FROM unnest(ARRAY['expense 1', 'expense 2', 'expense 3', 'expense 4']) w;
SELECT count(start_workflow('expense_approval', '{"account_id": 77077, "expense_id": "expense 5", "amount": 1000, "timeout_seconds": 10000}', 'expense 5'));
CALL run_pending();
SELECT signal_workflow('expense 1', 'approve'), signal_workflow('expense 2', 'reject'), cancel_workflow('expense 4', 'not needed');
CALL run_pending('599 s');
SELECT workflow_id, status, state FROM runs WHERE workflow_id LIKE 'expense _' ORDER BY 1;
CALL run_pending('601 s');
SELECT signal_workflow('expense 5', 'approve');
CALL run_pending();
SELECT workflow_id, status, output, error, cause FROM runs WHERE workflow_id LIKE 'expense _' ORDER BY 1;
SELECT expense_id, status FROM expense WHERE account_id = 77077 ORDER BY 1;
SELECT balance FROM account WHERE account_id = 77077;
SELECT transaction_id, description, amount FROM transaction WHERE account_id = 77077;
SELECT run_workflow('expense_approval', '{"account_id": 77077}');
SELECT run_workflow('expense_approval', '{"account_id": 77077, "amount": 0}');
SELECT run_workflow('expense_approval', '{"account_id": 77078, "amount": 1}');
SELECT run_workflow('expense_approval', '{"account_id": 77077, "amount": 1, "expense_id": "expense 1"}');
SELECT run_workflow('expense_approval', '{"account_id": 77077, "amount": 1, "timeout_seconds": 0.5}');
DELETE FROM transaction WHERE account_id = 77077;
DELETE FROM expense WHERE account_id = 77077;
DELETE FROM account WHERE account_id = 77077;
