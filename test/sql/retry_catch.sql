-- Retry and Catch, driven with skipped time.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- An activity that fails a number of times with some errors in turn, and then works.  A sequence keeps count: it is not rolled back.
CREATE SEQUENCE retry_attempt;
CREATE TABLE retry_effect (attempt bigint);
CREATE FUNCTION flaky(errors text[]) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	attempt bigint := nextval('public.retry_attempt');
BEGIN
	INSERT INTO public.retry_effect VALUES (attempt);
	IF attempt <= cardinality(errors) THEN
		PERFORM expense_flow.fail(errors[attempt], 'attempt ' || attempt);
	END IF;
	RETURN attempt;
END $$;
CREATE FUNCTION retry_define(task text, rest text DEFAULT '') RETURNS void LANGUAGE sql AS $$
	SELECT expense_flow.create_workflow('retry', format(
		'{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.flaky", %s "End": true} %s}}', task, rest)::json);
$$;
CREATE FUNCTION retry_start(errors text) RETURNS void LANGUAGE sql AS $$
	TRUNCATE retry_effect;
	SELECT setval('retry_attempt', 1, false);
	SELECT expense_flow.start_workflow('retry', jsonb_build_object('errors', to_jsonb(errors::text[])), 'retry');
$$;
CREATE VIEW retry_last AS
	SELECT * FROM expense_flow.runs WHERE workflow_id = 'retry' ORDER BY started_at DESC LIMIT 1;
-- The attempts, and how long each waited for the one before it (in whole seconds; the clock was moved).
CREATE VIEW retry_history AS
	SELECT t.step, t.events, t.state, t.output, t.details - 'retry_at' AS details,
		extract(epoch FROM date_trunc('second', (t.details ->> 'retry_at')::timestamptz - t.at + '0.1 s')) AS delay
	FROM expense_flow.transition t JOIN retry_last r USING (run_id) ORDER BY t.step;

-- Fails twice and then works: intervals grow by the backoff rate.
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 5, "BackoffRate": 3, "MaxAttempts": 3}],');
SELECT retry_start('{A,A}');
CALL expense_flow.run_pending();
SELECT status, retry_count, state FROM retry_last;
CALL expense_flow.run_pending('4 s');
SELECT status, retry_count FROM retry_last;
CALL expense_flow.run_pending('1 hour');
SELECT status, output, error FROM retry_last;
SELECT * FROM retry_history;
-- The attempts that failed left no effects.
SELECT * FROM retry_effect;
SELECT event_id, type, state FROM expense_flow.history WHERE run_id = (SELECT run_id FROM retry_last) ORDER BY event_id;

-- Attempts used up.
SELECT retry_start('{A,A,A,A,A}');
CALL expense_flow.run_pending('1 hour');
SELECT status, error, cause FROM retry_last;
SELECT step, events, details, delay FROM retry_history;

-- Each retrier has its own count.
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 1, "MaxAttempts": 2}, {"ErrorEquals": ["B", "C"], "IntervalSeconds": 10, "MaxAttempts": 2},
	{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 100, "MaxAttempts": 1}],');
SELECT retry_start('{A,B,A,C,D}');
CALL expense_flow.run_pending('1 hour');
SELECT status, output FROM retry_last;
SELECT step, details ->> 'error' AS error, details ->> 'attempt' AS attempt, delay FROM retry_history;
SELECT retry_start('{A,B,C,B}');
CALL expense_flow.run_pending('1 hour');
SELECT status, error, cause FROM retry_last;

-- The longest delay, and none at all.
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 10, "BackoffRate": 10, "MaxDelaySeconds": 60, "MaxAttempts": 4}],');
SELECT retry_start('{A,A,A}');
CALL expense_flow.run_pending('1 hour');
SELECT delay FROM retry_history WHERE delay IS NOT NULL;
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "MaxAttempts": 0}],');
SELECT retry_start('{A}');
CALL expense_flow.run_pending('1 hour');
SELECT status, error FROM retry_last;

-- Catch: the first that matches; its input is the error, put where ResultPath says.
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 1, "MaxAttempts": 1}],
		"Catch": [{"ErrorEquals": ["A"], "Next": "Handle"}, {"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.problem", "Next": "Handle"}],',
	', "Handle": {"Type": "Pass", "End": true}');
SELECT retry_start('{A,A,A}');
CALL expense_flow.run_pending('1 hour');
SELECT status, output, error FROM retry_last;
SELECT step, events, state, details FROM retry_history;
SELECT retry_start('{B}');
CALL expense_flow.run_pending();
SELECT status, output FROM retry_last;

-- A state that is entered again begins to count again.
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 1, "MaxAttempts": 1}],
		"Catch": [{"ErrorEquals": ["A"], "ResultPath": null, "Next": "T2"}],',
	', "T2": {"Type": "Pass", "Next": "T3"}, "T3": {"Type": "Task", "Resource": "sql:public.flaky",
		"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 1, "MaxAttempts": 1}], "End": true}');
SELECT retry_start('{A,A,A}');
CALL expense_flow.run_pending('1 hour');
SELECT status, output FROM retry_last;
SELECT step, events, state, details FROM retry_history;

-- SQL errors by condition name; a timeout is no TaskFailed; States.Runtime cannot be caught.
CREATE FUNCTION retry_break(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN IF n = 0 THEN PERFORM pg_sleep(100); END IF; RETURN 1 / (n - 1); END';
SELECT expense_flow.create_workflow('retry_sql', '{"StartAt": "T", "States": {
	"T": {"Type": "Task", "Resource": "sql:public.retry_break", "TimeoutSeconds": 1, "Parameters": {"n.$": "$.n"},
		"Catch": [{"ErrorEquals": ["division_by_zero"], "Next": "Zero"}, {"ErrorEquals": ["States.TaskFailed"], "Next": "Failed"}, {"ErrorEquals": ["States.Timeout"], "Next": "Timeout"},
			{"ErrorEquals": ["States.ALL"], "Next": "All"}], "End": true},
	"Zero": {"Type": "Pass", "Result": "zero", "End": true}, "Failed": {"Type": "Pass", "Result": "failed", "End": true},
	"Timeout": {"Type": "Pass", "Result": "timeout", "End": true}, "All": {"Type": "Pass", "Result": "all", "End": true}}}');
SELECT expense_flow.start_workflow('retry_sql', input, 'retry_sql ' || input::text)
	IS NOT NULL AS started FROM unnest(ARRAY['{"n": 0}', '{"n": 1}', '{"n": "x"}', '{"n": 3}', '{"m": 3}']::jsonb[]) input;
CALL expense_flow.run_pending();
SELECT input, status, output, error FROM expense_flow.runs WHERE workflow = 'retry_sql' ORDER BY input::text COLLATE "C";

-- The run's deadline passes while it waits for a retry.
SELECT retry_define('"Retry": [{"ErrorEquals": ["A"], "IntervalSeconds": 60, "MaxAttempts": 3}],');
TRUNCATE retry_effect;
SELECT setval('retry_attempt', 1, false);
SELECT expense_flow.start_workflow('retry', '{"errors": ["A", "A"]}', 'retry', run_timeout => '90 s') IS NOT NULL AS started;
CALL expense_flow.run_pending('1 hour');
SELECT status, error, cause FROM retry_last;
SELECT count(*) FROM retry_history;

-- Serialization failures are the engine's to repeat, without a trace in the history; but not for ever.
CREATE FUNCTION serialize(failures int) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	attempt bigint := nextval('public.retry_attempt');
BEGIN
	IF attempt <= failures THEN
		RAISE serialization_failure USING MESSAGE = 'could not be serialized';
	END IF;
	RETURN attempt;
END $$;
SELECT setval('retry_attempt', 1, false);
SELECT expense_flow.create_workflow('retry_serialize', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.serialize", "End": true}}}');
SELECT expense_flow.start_workflow('retry_serialize', '{"failures": 3}', 'serialize 3') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT status, output FROM expense_flow.runs WHERE workflow_id = 'serialize 3';
SELECT events FROM expense_flow.transition WHERE run_id = (SELECT run_id FROM expense_flow.runs WHERE workflow_id = 'serialize 3');
SELECT expense_flow.start_workflow('retry_serialize', '{"failures": 1000000000}', 'serialize always') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT status, error, cause FROM expense_flow.runs WHERE workflow_id = 'serialize always';
