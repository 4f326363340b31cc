-- Doing what is due from a session.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE pending_effect (n int, at timestamptz DEFAULT clock_timestamp(), xid xid8 DEFAULT pg_current_xact_id());
CREATE FUNCTION pending_insert(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO public.pending_effect VALUES (n) RETURNING n + 1';
SELECT expense_flow.create_workflow('pending_steps', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "sql:public.pending_insert", "Parameters": {"n.$": "$.n"}, "ResultPath": "$.n", "Next": "B"},
	"B": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericLessThan": 10, "Next": "A"}], "Default": "C"},
	"C": {"Type": "Succeed"}}}');

-- Nothing due.
CALL expense_flow.run_pending();

-- Not inside a transaction or a function.
BEGIN;
CALL expense_flow.run_pending();
ROLLBACK;
CREATE FUNCTION pending_in_function() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL expense_flow.run_pending(); END';
SELECT pending_in_function();
-- But in a DO block and a procedure, which may commit.
SELECT expense_flow.start_workflow('pending_steps', '{"n": 8}', 'in a block') IS NOT NULL AS started;
DO $$
BEGIN
	CALL expense_flow.run_pending();
	COMMIT;
	CALL expense_flow.run_pending();
END $$;
SELECT status, output FROM expense_flow.runs WHERE workflow_id = 'in a block';
-- Even while a cursor is open.
DO $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT n FROM generate_series(1, 3) n LOOP
		PERFORM expense_flow.start_workflow('pending_steps', '{"n": 9}', 'in a loop ' || r.n);
		CALL expense_flow.run_pending();
	END LOOP;
END $$;
SELECT count(*) FROM expense_flow.runs WHERE workflow_id LIKE 'in a loop %' AND status = 'SUCCEEDED';

-- Wrong arguments.
CALL expense_flow.run_pending('-1 s');
CALL expense_flow.run_pending(wait_for_others => NULL);
CALL expense_flow.run_pending(max_steps => -1);

-- Skipped time: a chain of timers fires in order, each at its time.
SELECT expense_flow.create_workflow('pending_chain', '{"StartAt": "W1", "States": {
	"W1": {"Type": "Wait", "Seconds": 100, "Next": "A"},
	"A": {"Type": "Task", "Resource": "sql:public.pending_insert", "ResultPath": null, "Next": "W2"},
	"W2": {"Type": "Wait", "Seconds": 100, "Next": "B"},
	"B": {"Type": "Task", "Resource": "sql:public.pending_insert", "ResultPath": null, "Next": "W3"},
	"W3": {"Type": "Wait", "SecondsPath": "$.n", "End": true}}}');
TRUNCATE pending_effect;
SELECT expense_flow.start_workflow('pending_chain', jsonb_build_object('n', n), 'chain ' || n, start_delay => make_interval(secs => n)) IS NOT NULL AS started
	FROM unnest(ARRAY[30, 10, 25]) n;
CALL expense_flow.run_pending('115 s');
SELECT n FROM pending_effect ORDER BY xid;
CALL expense_flow.run_pending('10 minutes');
SELECT n, count(*) FROM pending_effect GROUP BY n ORDER BY n;
SELECT workflow_id, status, round(extract(epoch FROM closed_at - started_at)) AS took FROM expense_flow.runs WHERE workflow = 'pending_chain' ORDER BY 1;
-- The order in which they fired.
SELECT string_agg(r.input ->> 'n', ' ' ORDER BY t.at) FROM expense_flow.transition t JOIN expense_flow.runs r USING (run_id)
	WHERE r.workflow = 'pending_chain' AND t.events = 'w';

-- The same for a whole session.
SELECT expense_flow.start_workflow('pending_chain', '{"n": 1}', 'with a setting') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT state FROM expense_flow.runs WHERE workflow_id = 'with a setting';
SET expense_flow.skipped_time = '101 s';
CALL expense_flow.run_pending();
SELECT state FROM expense_flow.runs WHERE workflow_id = 'with a setting';
SET expense_flow.skipped_time = '202 s';
CALL expense_flow.run_pending();
SELECT state FROM expense_flow.runs WHERE workflow_id = 'with a setting';
SET expense_flow.skipped_time = '204 s';
CALL expense_flow.run_pending();
SELECT status FROM expense_flow.runs WHERE workflow_id = 'with a setting';
RESET expense_flow.skipped_time;

-- An endless loop of states without work is committed now and then, and can be ended.
SELECT expense_flow.create_workflow('pending_endless', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Choice", "Choices": [{"Variable": "$.never", "IsPresent": true, "Next": "C"}], "Default": "A"},
	"C": {"Type": "Succeed"}}}');
SELECT expense_flow.start_workflow('pending_endless', '{}', 'endless', start_delay => '1 hour') IS NOT NULL AS started;
CALL expense_flow.run_pending('2 hours', max_steps => 2);
SELECT expense_flow.terminate_workflow('endless');
SELECT count(*) > 4 AS stepped FROM expense_flow.transition WHERE run_id = (SELECT run_id FROM expense_flow.runs WHERE workflow_id = 'endless');

-- Each caller drives what is his.
CREATE ROLE regress_pending;
SELECT expense_flow.start_workflow('pending_chain', '{"n": 1}', 'not his', start_delay => '1 hour') IS NOT NULL AS started;
SET ROLE regress_pending;
CALL expense_flow.run_pending('1 day');
RESET ROLE;
SELECT status FROM expense_flow.runs WHERE workflow_id = 'not his';
SELECT expense_flow.terminate_workflow('not his');
-- What a run of another role may not leave in this session.
CREATE FUNCTION pending_temp() RETURNS void LANGUAGE sql AS 'CREATE TEMP TABLE pending_trap (n int)';
SELECT expense_flow.create_workflow('pending_temp', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.pending_temp", "End": true}}}');
SET ROLE regress_pending;
SELECT expense_flow.start_workflow('pending_temp', '{}', 'trap', start_delay => '1 hour') IS NOT NULL AS started;
RESET ROLE;
CALL expense_flow.run_pending('2 hours');
SELECT status, error, cause FROM expense_flow.runs WHERE workflow_id = 'trap';
DROP ROLE regress_pending;

-- A cancel ends the call, not the run; what was claimed is free again.
CREATE FUNCTION pending_sleep() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(100)';
SELECT expense_flow.create_workflow('pending_sleep', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.pending_sleep", "End": true}}}');
SELECT expense_flow.start_workflow('pending_sleep', '{}', 'sleep', start_delay => '1 hour') IS NOT NULL AS started;
SET statement_timeout = '200ms';
CALL expense_flow.run_pending('2 hours');
RESET statement_timeout;
SELECT status FROM expense_flow.runs WHERE workflow_id = 'sleep';
SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory';
CREATE OR REPLACE FUNCTION pending_sleep() RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(0)';
CALL expense_flow.run_pending('2 hours');
SELECT status FROM expense_flow.runs WHERE workflow_id = 'sleep';

-- Steps are read committed, whatever the session's transactions are otherwise.
CREATE FUNCTION pending_isolation() RETURNS text LANGUAGE sql AS $$SELECT current_setting('transaction_isolation')$$;
SELECT expense_flow.create_workflow('pending_isolation', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:public.pending_isolation", "Next": "B"},
	"B": {"Type": "Task", "Resource": "sql:public.pending_isolation", "ResultPath": null, "End": true}}}');
SELECT expense_flow.start_workflow('pending_isolation', '{}', 'isolation', start_delay => '1 hour') IS NOT NULL AS started;
SET default_transaction_isolation = 'serializable';
CALL expense_flow.run_pending('2 hours');
SHOW transaction_isolation;
RESET default_transaction_isolation;
SELECT status, output FROM expense_flow.runs WHERE workflow_id = 'isolation';

-- The number of steps is limited; it does not begin anew.
SELECT expense_flow.start_workflow('pending_steps', '{"n": 1}', 'last step', start_delay => '1 hour') IS NOT NULL AS started;
UPDATE expense_flow.branch SET step = 2147483647 WHERE workflow_id = 'last step';
SET client_min_messages = error;
CALL expense_flow.run_pending('2 hours');
SET client_min_messages = warning;
SELECT status, (SELECT count(*) FROM expense_flow.transition t WHERE t.run_id = r.run_id) AS steps FROM expense_flow.runs r WHERE workflow_id = 'last step';
SELECT expense_flow.terminate_workflow('last step');

-- A branch that the engine cannot advance does not keep others back.
SELECT expense_flow.start_workflow('pending_steps', jsonb_build_object('n', n), 'beside a broken one ' || n, start_delay => make_interval(hours => n)) IS NOT NULL AS started
	FROM generate_series(1, 3) n;
UPDATE expense_flow.branch SET data_step = 77 WHERE workflow_id = 'beside a broken one 2';
SET client_min_messages = error;
CALL expense_flow.run_pending('4 hours');
SET client_min_messages = warning;
SELECT workflow_id, status FROM expense_flow.runs WHERE workflow_id LIKE 'beside%' ORDER BY 1;
UPDATE expense_flow.branch SET data_step = 0 WHERE workflow_id = 'beside a broken one 2';
CALL expense_flow.run_pending('4 hours');
SELECT workflow_id, status FROM expense_flow.runs WHERE workflow_id LIKE 'beside%' ORDER BY 1;
