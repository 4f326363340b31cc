-- Queries: what every run tells, and functions that a workflow has for it.
SET client_min_messages = warning;
CREATE ROLE regress_query_owner;
CREATE ROLE regress_query_other;
CREATE SCHEMA query_test AUTHORIZATION regress_query_owner;
GRANT USAGE ON SCHEMA query_test TO regress_query_other;
GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO regress_query_owner;
SET ROLE regress_query_owner;
SET search_path = expense_flow, public;

CREATE TABLE query_test.note (note text);
CREATE SEQUENCE query_test.seq;
CREATE FUNCTION query_test.keys(jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_agg(k ORDER BY k) FROM jsonb_object_keys($1) k $$;
CREATE FUNCTION query_test.args(document jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT document -> 'args' $$;
CREATE FUNCTION query_test.sum(document jsonb) RETURNS int LANGUAGE sql AS $$
	SELECT ((document #>> '{run,input,a}')::int + (document #>> '{variables,b}')::int + (document #>> '{state,branches,0,input,c}')::int) $$;
CREATE FUNCTION query_test.who(document jsonb) RETURNS text LANGUAGE sql AS $$ SELECT concat_ws(' ', current_user, current_setting('search_path'), current_setting('transaction_read_only')) $$;
CREATE FUNCTION query_test.nothing(jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION query_test.rows(jsonb) RETURNS SETOF int LANGUAGE sql AS $$ SELECT generate_series(1, 3) $$;
CREATE FUNCTION query_test.complain(jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'XX999', DETAIL = 'Tomorrow.'; END $$;
CREATE FUNCTION query_test.write(document jsonb) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	CASE document ->> 'args'
		WHEN 'insert' THEN INSERT INTO query_test.note VALUES ('written');
		WHEN 'caught' THEN
			BEGIN
				INSERT INTO query_test.note VALUES ('written');
			EXCEPTION WHEN read_only_sql_transaction THEN
				RETURN 'caught';
			END;
		WHEN 'read write' THEN SET TRANSACTION READ WRITE;
		WHEN 'sequence' THEN PERFORM nextval('query_test.seq');
		WHEN 'temporary' THEN CREATE TEMPORARY TABLE t (i int);
		WHEN 'role' THEN SET ROLE NONE;
		WHEN 'signal' THEN PERFORM expense_flow.signal_workflow('query_1', 'go');
		WHEN 'start' THEN PERFORM expense_flow.start_workflow('query');
		WHEN 'setting' THEN PERFORM set_config('query_test.setting', 'changed', false);
		WHEN 'prepare' THEN EXECUTE 'PREPARE query_test_prepared AS SELECT 1';
		WHEN 'ask' THEN RETURN expense_flow.query_workflow('query_1', 'args', '"asked"');
		WHEN 'ask for ever' THEN RETURN expense_flow.query_workflow('query_1', 'write', '"ask for ever"');
	END CASE;
	RETURN 'done';
END $$;

SELECT create_workflow('query', '{
	"Queries": {"keys": "sql:query_test.keys", "args": "sql:query_test.args", "sum": "sql:query_test.sum", "who": "sql:query_test.who",
		"nothing": "sql:query_test.nothing", "rows": "sql:query_test.rows", "complain": "sql:query_test.complain", "write": "sql:query_test.write",
		"missing": "sql:query_test.missing", "with \"quotes\"": "sql:query_test.\"no such\""},
	"StartAt": "A", "States": {
	"A": {"Type": "Pass", "Assign": {"b": 20}, "Parameters": {"c": 300}, "Next": "P"},
	"P": {"Type": "Parallel", "Next": "S", "ResultPath": null, "Branches": [
		{"StartAt": "X", "States": {"X": {"Type": "Task", "Resource": "activity:query_test/do", "TimeoutSeconds": 600, "HeartbeatSeconds": 60, "Retry": [{"ErrorEquals": ["Again"], "IntervalSeconds": 300}], "End": true}}},
		{"StartAt": "Y", "States": {"Y": {"Type": "Task", "Resource": "signal:stop,go", "TimeoutSeconds": 3600, "Assign": {"y.$": "$.signal"}, "End": true}}}]},
	"S": {"Type": "Task", "Resource": "signal:last", "Assign": {"b": 21}, "End": true}}}');
SELECT count(start_workflow('query', '{"a": 1}', 'query_1'));
CALL run_pending();

-- What every run tells.
SELECT q - '{run_id,started_at,branches}'::text[] AS state, q ->> 'run_id' = (SELECT run_id::text FROM find_runs('query_1')) AS run_id FROM query_workflow('query_1') q;
SELECT b - '{branch_id,since,due_at}'::text[] || CASE WHEN b -> 'awaits' @> '"signal:go"' THEN '{}' ELSE '{"awaits": []}' END::jsonb AS branch, (b ->> 'since')::timestamptz <= clock_timestamp() AS since, (b ->> 'due_at')::timestamptz > now() AS due_at
	FROM jsonb_array_elements(query_workflow('query_1', 'state') -> 'branches') b ORDER BY b ->> 'state';
SELECT query_workflow('query_1', 'variables');
SELECT a - '{branch_id,scheduled_at,close_by}'::text[] AS activity, (a ->> 'close_by')::timestamptz - (a ->> 'scheduled_at')::timestamptz AS limit
	FROM jsonb_array_elements(query_workflow('query_1', 'activities') -> 'activities') a;
SELECT a ->> 'state' AS state, a ->> 'address' AS address FROM jsonb_array_elements(query_workflow('query_1', 'activities') -> 'awaits') WITH ORDINALITY e (a) ORDER BY ordinality;
SELECT token FROM poll_activity('query_test', 'me', wait => '20 s') \gset
SELECT FROM heartbeat_activity(:'token', '{"done": 6}');
SELECT a ->> 'worker' AS worker, a ->> 'status' AS status, a -> 'heartbeat_details' AS details, a ? 'token' AS token FROM jsonb_array_elements(query_workflow('query_1', 'activities') -> 'activities') a;
SELECT fail_activity(:'token', 'Again');
CALL run_pending();
SELECT b ->> 'attempt' AS attempt, b ->> 'status' AS status, b #>> '{last_failure,error}' AS error FROM jsonb_array_elements(query_workflow('query_1') -> 'branches') b WHERE b ->> 'state' = 'X';

-- The run_id's text will do.
SELECT query_workflow(run_id::text, 'variables') FROM find_runs('query_1');

-- The workflow's own.
SELECT query_workflow('query_1', 'keys');
SELECT query_workflow('query_1', 'args') AS none, query_workflow('query_1', 'args', '{"args": [1, 2]}') AS some;
SELECT query_workflow('query_1', 'sum');
SELECT query_workflow('query_1', 'who');
SHOW transaction_read_only;
SELECT query_workflow('query_1', 'nothing') AS json_null, query_workflow('query_1', 'nothing') IS NULL AS sql_null;
SELECT query_workflow('query_1', 'rows');
SELECT query_workflow('query_1', 'complain');
\echo :SQLSTATE

-- They write nothing.
SELECT query_workflow('query_1', 'write', '"insert"');
SELECT query_workflow('query_1', 'write', '"caught"');
SELECT query_workflow('query_1', 'write', '"read write"');
SELECT query_workflow('query_1', 'write', '"sequence"');
SELECT query_workflow('query_1', 'write', '"temporary"');
SELECT query_workflow('query_1', 'write', '"role"');
SELECT query_workflow('query_1', 'write', '"prepare"');
SELECT query_workflow('query_1', 'write', '"setting"'), current_setting('query_test.setting', true) AS setting;
SELECT query_workflow('query_1', 'write', '"ask"');
\set VERBOSITY terse
SELECT query_workflow('query_1', 'write', '"signal"');
SELECT query_workflow('query_1', 'write', '"start"');
SELECT query_workflow('query_1', 'write', '"ask for ever"');
\set VERBOSITY default
SELECT count(*) FROM query_test.note;

-- In a transaction: it goes on, can write, and its own deferred triggers are left alone.
CREATE FUNCTION query_test.deferred() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'deferred trigger'; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT ON query_test.note DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION query_test.deferred();
BEGIN;
INSERT INTO query_test.note VALUES ('mine');
SELECT query_workflow('query_1', 'args', '1');
SAVEPOINT a;
SELECT query_workflow('query_1', 'write', '"insert"');
ROLLBACK TO a;
INSERT INTO query_test.note VALUES ('mine too');
\echo before the commit
COMMIT;
SELECT count(*) FROM query_test.note;
DO $$
BEGIN
	PERFORM expense_flow.query_workflow('query_1', 'complain');
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '% in %', SQLERRM, current_user;
	INSERT INTO query_test.note VALUES ('after an error');
END $$;

-- What a transaction sees is what it is told: nothing of what was committed since its snapshot.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT query_workflow('query_1', 'variables'), query_workflow('query_1', 'args', '"read only"');
COMMIT;

-- Other roles'.
RESET ROLE;
SET ROLE regress_query_other;
SELECT query_workflow('query_1');
SELECT query_workflow('query_1', 'args');
SELECT run_state(r.run_id), run_variables(r.run_id), run_activities(r.run_id) FROM (SELECT '00000000-0000-7000-8000-000000000000'::uuid AS run_id) r;
SELECT count(*) FROM branch_data;
RESET ROLE;
GRANT regress_query_owner TO regress_query_other;
SET ROLE regress_query_other;
SELECT query_workflow('query_1', 'who');
RESET ROLE;
REVOKE regress_query_owner FROM regress_query_other;
SELECT query_workflow('query_1', 'who');
SET ROLE regress_query_owner;

-- The starter of a run that has its owner's rights may ask, and gets an answer with those; args is all that is his.
SELECT create_workflow('query_owned', '{"Queries": {"who": "sql:query_test.who", "keys": "sql:query_test.keys"}, "StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "End": true}}}', run_as => 'owner');
SELECT grant_start('query_owned', 'regress_query_other');
SET ROLE regress_query_other;
SELECT count(start_workflow('query_owned', workflow_id => 'query_2'));
SELECT query_workflow('query_2', 'who'), query_workflow('query_2', 'keys', '{"run": 1}');
SET ROLE regress_query_owner;

-- Closed runs.
SELECT signal_workflow('query_1', 'go');
SELECT signal_workflow('query_1', 'last', '"last"');
CALL run_pending('301 s');
SELECT complete_activity_by_name('query_1', 'do', '"done"');
CALL run_pending();
SELECT query_workflow('query_1') - '{run_id,started_at,closed_at}'::text[] AS state;
SELECT query_workflow('query_1', 'variables'), query_workflow('query_1', 'activities');
SELECT query_workflow('query_1', 'args', '"closed"');
-- of several with one workflow_id: the open one, or the last
SELECT count(start_workflow('query', '{"a": 2}', 'query_1', start_delay => '1 hour'));
SELECT query_workflow('query_1') ->> 'status' AS status, query_workflow('query_1', 'variables') AS variables, query_workflow('query_1') #> '{branches,0,input}' AS input;
SELECT terminate_workflow('query_1', 'enough');
SELECT q ->> 'status' AS status, q ->> 'cause' AS cause FROM query_workflow('query_1') q;
-- a run that was ended from outside keeps its variables
SELECT count(start_workflow('query', '{"a": 3}', 'query_3'));
CALL run_pending();
SELECT terminate_workflow('query_3');
SELECT query_workflow('query_3', 'variables');

-- Misuse.
SELECT query_workflow(NULL);
SELECT query_workflow('query_1', NULL);
SELECT query_workflow('query_unknown');
SELECT query_workflow('01a00000-0000-7000-8000-000000000000');
SELECT query_workflow('query_1', 'unknown');
SELECT query_workflow('query_1', '');
SELECT query_workflow('query_2', 'unknown');
SELECT query_workflow('query_1', 'missing');
CREATE FUNCTION query_test.missing(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT a + b';
SELECT query_workflow('query_1', 'missing');
SELECT query_workflow('query_1', 'with "quotes"');
SELECT query_workflow('query_1', 'args', to_jsonb(repeat('x', 10000000)));
SELECT create_workflow('query_bad', '{"Queries": {"state": "sql:a.b", "a": "SELECT 1"}, "StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');

RESET ROLE;
SELECT cancel_workflow('query_2');
CALL run_pending();
SELECT count(drop_workflow(w)) FROM unnest(ARRAY['query', 'query_owned']) w;
DROP SCHEMA query_test CASCADE;
REVOKE ALL ON FUNCTION expense_flow.create_workflow FROM regress_query_owner;
DROP ROLE regress_query_owner, regress_query_other;
