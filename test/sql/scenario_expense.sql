-- Known scenarios of expenses that somebody has to decide about.
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;
INSERT INTO account (account_id, owner, balance) VALUES (88003, 'Ada', 100);

-- E1: an expense is created, and a token goes to whoever decides. Approved: it is paid, COMPLETED. Rejected: the result is empty. No decision in time: the run fails.
CREATE TABLE to_decide (expense_id text PRIMARY KEY, token text);
CREATE FUNCTION ask_for_decision(expense_id text, token text) RETURNS void LANGUAGE sql AS $$ INSERT INTO public.to_decide VALUES (expense_id, token) $$;
SELECT create_workflow('scenario expense', '{"StartAt": "Create", "States": {
	"Create": {"Type": "Task", "Resource": "sql:expense_flow.create_expense", "Parameters": {"input.$": "$", "run_id.$": "$$.Execution.Id"}, "Next": "Wait for decision"},
	"Wait for decision": {"Type": "Task", "Resource": "sql:public.ask_for_decision.waitForTaskToken", "TimeoutSeconds": 600,
		"Parameters": {"expense_id.$": "$.expense_id", "token.$": "$$.Task.Token"}, "ResultPath": "$.decision", "Next": "Decide"},
	"Decide": {"Type": "Choice", "Choices": [{"Variable": "$.decision", "StringEquals": "APPROVED", "Next": "Pay"}], "Default": "Rejected"},
	"Pay": {"Type": "Task", "Resource": "sql:expense_flow.pay_expense", "Parameters": {"expense_id.$": "$.expense_id"}, "Next": "Paid"},
	"Paid": {"Type": "Pass", "Result": "COMPLETED", "End": true},
	"Rejected": {"Type": "Pass", "Result": "", "End": true}}}');
SELECT start_workflow('scenario expense', jsonb_build_object('account_id', 88003, 'expense_id', w, 'amount', 30), w) IS NOT NULL
	FROM unnest(ARRAY['scenario e1 approved', 'scenario e1 rejected', 'scenario e1 nobody']) w;
CALL run_pending();
SELECT expense_id FROM to_decide ORDER BY 1;
SELECT complete_activity(token, '"APPROVED"') FROM to_decide WHERE expense_id = 'scenario e1 approved';
SELECT complete_activity(token, '"REJECTED"') FROM to_decide WHERE expense_id = 'scenario e1 rejected';
CALL run_pending('599 s');
SELECT workflow_id, status FROM runs WHERE workflow_id LIKE 'scenario e1%' ORDER BY 1;
CALL run_pending('601 s');
SELECT workflow_id, status, output, error FROM runs WHERE workflow_id LIKE 'scenario e1%' ORDER BY 1;
-- A decision that was made, or comes too late, is not taken again.
SELECT complete_activity(token, '"APPROVED"') FROM to_decide WHERE expense_id = 'scenario e1 rejected';
SELECT complete_activity(token, '"APPROVED"') FROM to_decide WHERE expense_id = 'scenario e1 nobody';
SELECT expense_id, status FROM expense WHERE account_id = 88003 ORDER BY 1;
SELECT balance FROM account WHERE account_id = 88003;
DROP TABLE to_decide;
DROP FUNCTION ask_for_decision;

-- E3: the same by signals, with the built-in workflow and a timeout of a second. Approved after 50 milliseconds: COMPLETED; no signal: TIMED_OUT.
-- (The delayed starts let the second pass in skipped time only.)
SELECT start_workflow('expense_approval', jsonb_build_object('account_id', 88003, 'expense_id', w, 'amount', 30, 'timeout_seconds', 1), w, start_delay => '1 hour') IS NOT NULL
	FROM unnest(ARRAY['scenario e3 approved', 'scenario e3 rejected', 'scenario e3 nobody']) w;
CALL run_pending('1 hour 50 milliseconds');
SELECT workflow_id, state FROM runs WHERE workflow_id LIKE 'scenario e3%' ORDER BY 1;
SELECT signal_workflow('scenario e3 approved', 'approve');
SELECT signal_workflow('scenario e3 rejected', 'reject');
CALL run_pending();
CALL run_pending('1 hour 2 s');
SELECT workflow_id, status, output ->> 'status' FROM runs WHERE workflow_id LIKE 'scenario e3%' ORDER BY 1;
SELECT signal_workflow('scenario e3 nobody', 'approve');
SELECT balance FROM account WHERE account_id = 88003;
DELETE FROM transaction WHERE account_id = 88003;
DELETE FROM expense WHERE account_id = 88003;
DELETE FROM account WHERE account_id = 88003;
