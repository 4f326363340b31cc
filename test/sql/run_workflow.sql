-- A run from start to end in the caller's transaction.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE run_effect (n int);
CREATE FUNCTION run_insert(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.run_effect VALUES (n);
	IF n < 0 THEN
		PERFORM expense_flow.fail('Negative', n || ' is negative');
	END IF;
	RETURN n + 1;
END $$;
SELECT expense_flow.create_workflow('run_three', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "sql:public.run_insert", "Parameters": {"n.$": "$.n"}, "ResultPath": "$.n", "Next": "B"},
	"B": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 3, "Next": "A"}], "Default": "C"},
	"C": {"Type": "Pass", "Parameters": {"done.$": "$.n"}, "End": true}}}');

SELECT expense_flow.run_workflow('run_three', '{"n": 0}');
SELECT n FROM run_effect ORDER BY n;
-- It has a history like any other.
SELECT status, input, output FROM expense_flow.runs WHERE workflow = 'run_three';
SELECT type, state FROM expense_flow.history
	WHERE run_id = (SELECT run_id FROM expense_flow.runs WHERE workflow = 'run_three') ORDER BY event_id;
SELECT count(*) FROM expense_flow.branch b JOIN expense_flow.runs r USING (run_id) WHERE r.workflow = 'run_three';

-- Inside a larger transaction.
TRUNCATE run_effect;
BEGIN;
SELECT expense_flow.run_workflow('run_three', '{"n": 2}');
SELECT n FROM run_effect ORDER BY n;
ROLLBACK;
SELECT count(*) FROM run_effect;
SELECT count(*) FROM expense_flow.runs WHERE workflow = 'run_three';

-- A failure is an error, and nothing is left.
DO $$
BEGIN
	PERFORM expense_flow.run_workflow('run_three', '{"n": -1}');
EXCEPTION WHEN SQLSTATE 'EF005' THEN
	RAISE WARNING 'failed: % %', SQLSTATE, SQLERRM;
END $$;
SELECT expense_flow.run_workflow('run_three', '{"n": -1}');
SELECT count(*) FROM run_effect;
SELECT count(*) FROM expense_flow.runs WHERE workflow = 'run_three';
SELECT expense_flow.create_workflow('run_fail', '{"StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Broken"}}}');
SELECT expense_flow.run_workflow('run_fail');
SELECT expense_flow.run_workflow('run_nothing');
SELECT expense_flow.run_workflow(NULL);
SELECT expense_flow.run_workflow('run_three', NULL);

-- Waits are waited for, retries too; the timeout counts.
SELECT expense_flow.create_workflow('run_wait', '{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 1, "End": true}}}');
SELECT clock_timestamp() AS before \gset
SELECT expense_flow.run_workflow('run_wait', '"waited"');
SELECT clock_timestamp() - :'before' >= '1 second' AS waited;
CREATE SEQUENCE run_attempt;
CREATE FUNCTION run_flaky() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	attempt bigint := nextval('public.run_attempt');
BEGIN
	IF attempt < 2 THEN
		PERFORM expense_flow.fail('Flaky');
	END IF;
	RETURN attempt;
END $$;
SELECT expense_flow.create_workflow('run_retry', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.run_flaky",
	"Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "BackoffRate": 1}], "End": true}}}');
SELECT expense_flow.run_workflow('run_retry');
SELECT expense_flow.create_workflow('run_timeout', '{"StartAt": "A", "TimeoutSeconds": 1, "States": {"A": {"Type": "Wait", "Seconds": 100, "End": true}}}');
SELECT expense_flow.run_workflow('run_timeout');
-- Nobody could send it a signal or an update: which state would wait, and for what.
SELECT expense_flow.create_workflow('run_ask', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go,stop", "End": true}}}');
SELECT expense_flow.run_workflow('run_ask');
SELECT expense_flow.create_workflow('run_ask', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "update:set", "End": true}}}');
SELECT expense_flow.run_workflow('run_ask');
SELECT expense_flow.create_workflow('run_ask_twice', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
	{"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}},
	{"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "signal:go", "End": true}}},
	{"StartAt": "D", "States": {"D": {"Type": "Task", "Resource": "signal:stop", "End": true}}}]}}}');
SELECT expense_flow.run_workflow('run_ask_twice');
SELECT expense_flow.create_workflow('run_parent', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "workflow:run_ask_twice", "End": true}}}');
SELECT expense_flow.run_workflow('run_parent');
SELECT expense_flow.create_workflow('run_ask', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "TimeoutSeconds": 1, "End": true}}}');
SELECT expense_flow.run_workflow('run_ask');

-- The caller's own timeout cancels it, as any statement.
SET statement_timeout = '200ms';
SELECT expense_flow.run_workflow('run_wait', '"waited"');
RESET statement_timeout;

-- A workflow inside an activity of another: each timeout stops its own.
CREATE FUNCTION run_inner(workflow text, input jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT expense_flow.run_workflow(workflow, input)';
SELECT expense_flow.create_workflow('run_outer', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.run_inner", "TimeoutSeconds": 2,
	"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}], "End": true}, "Caught": {"Type": "Pass", "End": true}}}');
SELECT expense_flow.run_workflow('run_outer', '{"workflow": "run_three", "input": {"n": 5}}');
SELECT expense_flow.run_workflow('run_outer', '{"workflow": "run_timeout", "input": {}}');
CREATE FUNCTION run_sleep(seconds float8) RETURNS float8 LANGUAGE sql AS 'SELECT pg_sleep(seconds); SELECT seconds';
SELECT expense_flow.create_workflow('run_sleep', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.run_sleep", "TimeoutSeconds": 1,
	"Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}], "End": true}, "Caught": {"Type": "Pass", "Result": "inner timeout", "End": true}}}');
SELECT expense_flow.run_workflow('run_outer', '{"workflow": "run_sleep", "input": {"seconds": 100}}');
SELECT expense_flow.create_workflow('run_sleep', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.run_sleep", "TimeoutSeconds": 50,
	"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}], "End": true}, "Caught": {"Type": "Pass", "Result": "inner timeout", "End": true}}}');
SELECT expense_flow.run_workflow('run_outer', '{"workflow": "run_sleep", "input": {"seconds": 100}}');

-- Too deep.
SELECT expense_flow.create_workflow('run_deep', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.run_inner",
	"Parameters": {"workflow": "run_deep", "input": {}}, "End": true}}}');
DO $$
BEGIN
	PERFORM expense_flow.run_workflow('run_deep');
EXCEPTION WHEN SQLSTATE 'EF005' THEN
	RAISE WARNING 'it ended';
END $$;
