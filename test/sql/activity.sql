-- SQL activities: which function is called, with what, and what comes back.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

-- Run one Task as a run of its own, and show how it ended.
CREATE FUNCTION activity_start(resource text, input jsonb DEFAULT '{}', more text DEFAULT '')
	RETURNS void LANGUAGE sql AS $$
	SELECT expense_flow.create_workflow('activity', format(
		'{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": %s, %s "End": true}}}', to_json(resource), more)::json);
	SELECT expense_flow.start_workflow('activity', input, 'activity');
$$;
CREATE VIEW activity_result AS
	SELECT status, output, error, cause FROM expense_flow.runs WHERE workflow_id = 'activity' ORDER BY started_at DESC LIMIT 1;
-- The same at once, in this transaction.
CREATE FUNCTION activity_call(resource text, input jsonb DEFAULT '{}')
	RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	error text;
	detail text;
BEGIN
	PERFORM expense_flow.create_workflow('activity', format(
		'{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": %s, "End": true}}}', to_json(resource))::json);
	RETURN expense_flow.run_workflow('activity', input);
EXCEPTION WHEN SQLSTATE 'EF005' THEN
	GET STACKED DIAGNOSTICS error = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
	RETURN concat_ws(' | ', error, detail);
END $$;

-- Arguments by name, of all kinds of types.
CREATE TYPE activity_mood AS ENUM ('happy', 'sad');
CREATE TYPE activity_point AS (x int, y numeric);
CREATE DOMAIN activity_positive AS int CHECK (VALUE > 0);
CREATE DOMAIN activity_required AS int NOT NULL;
CREATE FUNCTION types(i int, n numeric, t text, b bool, d date, ts timestamptz, m activity_mood, p activity_point,
		ps activity_point[], a text[], dom activity_positive, j jsonb, js json, u uuid, r int4range)
	RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('; ', i, n, t, b, d, ts AT TIME ZONE 'UTC', m, p, ps, a, dom, j, js, u, r)
$$;
SELECT activity_call('sql:public.types', '{"i": 1, "n": 12345678901234567890.5, "t": "it''s", "b": true, "d": "2026-01-31", "ts": "2026-01-31T12:00:00Z",
	"m": "sad", "p": {"x": 1, "y": 2.50}, "ps": [{"x": 1}, {"y": 3}], "a": ["x", null, "z\""], "dom": 5, "j": {"k": [1, 2]}, "js": {"k": "v"},
	"u": "12345678-1234-1234-1234-123456789abc", "r": "[1,5)"}');
-- Text takes any JSON; numbers can be strings; null is NULL, but for jsonb.
CREATE FUNCTION texts(a text, b text, c text, d text) RETURNS text[] LANGUAGE sql AS 'SELECT ARRAY[a, b, c, d]';
SELECT activity_call('sql:public.texts', '{"a": 1.50, "b": {"x": [1]}, "c": true, "d": null}');
CREATE FUNCTION nulls(a int, b jsonb, c text[]) RETURNS text LANGUAGE sql AS $$SELECT concat_ws(',', a IS NULL, b IS NULL, b, c IS NULL)$$;
SELECT activity_call('sql:public.nulls', '{"a": null, "b": null, "c": null}');
CREATE FUNCTION number(n numeric) RETURNS numeric LANGUAGE sql AS 'SELECT n';
SELECT activity_call('sql:public.number', '{"n": "12.50"}');

-- Values that do not fit name the argument.
SELECT activity_call('sql:public.number', '{"n": "twelve"}');
SELECT activity_call('sql:public.number', '{"n": [1]}');
CREATE FUNCTION domains(p activity_positive) RETURNS int LANGUAGE sql AS 'SELECT p';
SELECT activity_call('sql:public.domains', '{"p": 0}');
CREATE FUNCTION required(p activity_required) RETURNS int LANGUAGE sql AS 'SELECT p';
SELECT activity_call('sql:public.required', '{"p": null}');
CREATE FUNCTION points(p activity_point) RETURNS activity_point LANGUAGE sql AS 'SELECT p';
SELECT activity_call('sql:public.points', '{"p": {"x": "a"}}');
SELECT activity_call('sql:public.points', '{"p": {"x": 99999999999}}');

-- A domain over JSON gets the value as it is, which its text need not be.
CREATE DOMAIN activity_json AS jsonb CHECK (jsonb_typeof(VALUE) <> 'boolean');
CREATE FUNCTION json_domains(p activity_json) RETURNS text LANGUAGE sql AS $$SELECT jsonb_typeof(p) || ' ' || p$$;
SELECT p, activity_call('sql:public.json_domains', jsonb_build_object('p', p))
	FROM unnest('{"\"x\"", "\"1\"", 1, null, "{\"a\": []}", true}'::jsonb[]) WITH ORDINALITY u (p, n) ORDER BY n;

-- What comes back: scalars, nothing, rows, sets.
SELECT activity_call('sql:public.points', '{"p": {"x": 1, "y": 2}}');
CREATE FUNCTION nothing() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
SELECT activity_call('sql:public.nothing');
CREATE FUNCTION null_result() RETURNS int LANGUAGE sql AS 'SELECT NULL::int';
SELECT activity_call('sql:public.null_result');
CREATE FUNCTION json_result() RETURNS json LANGUAGE sql AS $$SELECT '{"b": 1, "a": [true]}'::json$$;
SELECT activity_call('sql:public.json_result');
CREATE FUNCTION outs(a int, OUT twice int, OUT text text) LANGUAGE sql AS $$SELECT a * 2, 'x' || a$$;
SELECT activity_call('sql:public.outs', '{"a": 4}');
CREATE FUNCTION in_and_out(INOUT a int) LANGUAGE sql AS 'SELECT a + 1';
SELECT activity_call('sql:public.in_and_out', '{"a": 4}');
CREATE FUNCTION table_result(n int) RETURNS TABLE (id int, name text) LANGUAGE sql AS $$SELECT i, 'n' || i FROM generate_series(n, 1, -1) i$$;
SELECT activity_call('sql:public.table_result', '{"n": 3}');
SELECT activity_call('sql:public.table_result', '{"n": 0}');
CREATE FUNCTION set_result(n int) RETURNS SETOF int LANGUAGE sql AS 'SELECT generate_series(n, 1, -1)';
SELECT activity_call('sql:public.set_result', '{"n": 3}');
CREATE FUNCTION set_of_points() RETURNS SETOF activity_point LANGUAGE sql AS 'VALUES (1, 2.5), (NULL, 3)';
SELECT activity_call('sql:public.set_of_points');
CREATE FUNCTION array_result() RETURNS int[] LANGUAGE sql AS 'SELECT ARRAY[3, NULL, 1]';
SELECT activity_call('sql:public.array_result');
CREATE FUNCTION shadow(r int) RETURNS TABLE (r2 int, x int) LANGUAGE sql AS 'SELECT r, 1';
SELECT activity_call('sql:public.shadow', '{"r": 7}');

-- Defaults, VARIADIC, polymorphic arguments, one jsonb for the whole input, no arguments.
CREATE FUNCTION defaults(a int, b int DEFAULT 10, c int DEFAULT 100) RETURNS int LANGUAGE sql AS 'SELECT a + b + c';
SELECT activity_call('sql:public.defaults', '{"a": 1}'), activity_call('sql:public.defaults', '{"a": 1, "c": 2}');
CREATE FUNCTION variadic_sum(VARIADIC numbers int[]) RETURNS bigint LANGUAGE sql AS 'SELECT sum(n) FROM unnest(numbers) n';
SELECT activity_call('sql:public.variadic_sum', '{"numbers": [1, 2, 3]}');
CREATE FUNCTION polymorphic(a anyelement) RETURNS text LANGUAGE sql AS 'SELECT pg_typeof(a)::text || a::text';
SELECT activity_call('sql:public.polymorphic', '{"a": {"b": 1}}');
CREATE FUNCTION whole(input jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT jsonb_build_object('got', input)$$;
SELECT activity_call('sql:public.whole', '{"a": 1}'), activity_call('sql:public.whole', '[1, 2]'), activity_call('sql:public.whole', '{}');
SELECT activity_call('sql:public.whole', '{"input": 5}'), activity_call('sql:public.whole', '{"input": 5, "more": 6}');
CREATE FUNCTION unnamed(json) RETURNS text LANGUAGE sql AS 'SELECT $1::text';
SELECT activity_call('sql:public.unnamed', '{"a": 1}');
CREATE FUNCTION whole_with_default(input jsonb, n int DEFAULT 3) RETURNS jsonb LANGUAGE sql AS 'SELECT jsonb_build_array(input, n)';
SELECT activity_call('sql:public.whole_with_default', '{"a": 1}'), activity_call('sql:public.whole_with_default', '{"input": 2, "n": 1}');
CREATE FUNCTION no_arguments() RETURNS int LANGUAGE sql AS 'SELECT 42';
SELECT activity_call('sql:public.no_arguments', '{"a": 1}'), activity_call('sql:public.no_arguments', '7');

-- Overloads are told apart by the names of their arguments.
CREATE FUNCTION overload(a int) RETURNS text LANGUAGE sql AS $$SELECT 'a'$$;
CREATE FUNCTION overload(a int, b int) RETURNS text LANGUAGE sql AS $$SELECT 'a, b'$$;
CREATE FUNCTION overload(c int, a int DEFAULT 0, b int DEFAULT 0) RETURNS text LANGUAGE sql AS $$SELECT 'c, a, b'$$;
CREATE FUNCTION overload(whole jsonb) RETURNS text LANGUAGE sql AS $$SELECT 'whole'$$;
SELECT activity_call('sql:public.overload', '{"a": 1}'), activity_call('sql:public.overload', '{"b": 1, "a": 2}'),
	activity_call('sql:public.overload', '{"c": 1}'), activity_call('sql:public.overload', '{"d": 1}');
CREATE FUNCTION overload(a text) RETURNS text LANGUAGE sql AS $$SELECT 'text'$$;
SELECT activity_call('sql:public.overload', '{"a": 1}');
-- A change is noticed.
DROP FUNCTION overload(int);
SELECT activity_call('sql:public.overload', '{"a": 1}');
CREATE OR REPLACE FUNCTION overload(a text) RETURNS text LANGUAGE sql AS $$SELECT 'new text'$$;
SELECT activity_call('sql:public.overload', '{"a": 1}');

-- No such function, or none that can be called.
SELECT activity_call('sql:public.is_not_there', '{"a": 1}');
SELECT activity_call('sql:no_such_schema.f', '{"a": 1}');
SELECT expense_flow.create_resource_alias('test:activity:*', 'sql:*');
SELECT activity_call('test:activity:number', '{"n": 1}');
SELECT activity_call('sql:public.defaults', '{"b": 1}');
SELECT activity_call('sql:public.defaults', '{"a": 1, "z": 1}');
SELECT activity_call('sql:public.defaults', '[1]');
SELECT activity_call('sql:public.defaults', input) FROM unnest('{"null",1,true,"\"a\"","{}"}'::jsonb[]) AS input;
SELECT activity_call('test:activity:"unterminated', '{}');
SELECT expense_flow.drop_resource_alias('test:activity:*');
CREATE PROCEDURE a_procedure() LANGUAGE plpgsql AS 'BEGIN END';
SELECT activity_call('sql:public.a_procedure');
SELECT activity_call('sql:pg_catalog.sum', '{}');
SELECT activity_call('sql:pg_catalog.row_number', '{}');
SELECT activity_call('activity:queue/name');

-- Names that need quotes.
CREATE SCHEMA "Activity ""schema""";
CREATE FUNCTION "Activity ""schema"""."The.Function"("An Argument" int, "$x" int) RETURNS int LANGUAGE sql AS 'SELECT "An Argument" + "$x"';
SELECT activity_call('sql:"Activity ""schema""". "The.Function"', '{"An Argument": 1, "$x": 2}');
DROP SCHEMA "Activity ""schema""" CASCADE;

-- Errors: the condition's name, the SQLSTATE where it has none, or what fail() says.
CREATE TABLE activity_row (id int PRIMARY KEY, parent int REFERENCES activity_row DEFERRABLE INITIALLY DEFERRED);
CREATE FUNCTION raise_error(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CASE what
		WHEN 'zero' THEN PERFORM 1 / 0;
		WHEN 'unique' THEN INSERT INTO activity_row VALUES (1), (1);
		WHEN 'own' THEN RAISE SQLSTATE 'ZZ123' USING MESSAGE = 'my own', DETAIL = 'with detail';
		WHEN 'plain' THEN RAISE 'it is so: %', what;
		WHEN 'fail' THEN PERFORM expense_flow.fail('OrderRejected', 'too % late');
		WHEN 'no cause' THEN PERFORM expense_flow.fail('OrderRejected');
		WHEN 'no error' THEN PERFORM expense_flow.fail(NULL, 'x');
	END CASE;
END $$;
SELECT what, activity_call('sql:public.raise_error', jsonb_build_object('what', what))
	FROM unnest(ARRAY['zero', 'unique', 'own', 'plain', 'fail', 'no cause', 'no error', 'other']) WITH ORDINALITY w (what, n) ORDER BY n;
SELECT expense_flow.fail('Outside', 'of an activity');

-- From here on as runs of their own.  An attempt that fails leaves no effects.
CREATE FUNCTION insert_and_fail() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO activity_row VALUES (100);
	PERFORM expense_flow.fail('After', 'the insert');
END $$;
SELECT activity_start('sql:public.insert_and_fail');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT count(*) FROM activity_row;
-- Nor does one whose result cannot be used.
CREATE FUNCTION insert_and_return() RETURNS int LANGUAGE sql AS 'INSERT INTO activity_row VALUES (101) RETURNING id';
SELECT activity_start('sql:public.insert_and_return', '{"a": 1}', '"ResultPath": "$.a.b.c",');
CALL expense_flow.run_pending();
SELECT status, error FROM activity_result;
SELECT count(*) FROM activity_row;
SELECT activity_start('sql:public.insert_and_return', '{"a": 1}', '"ResultPath": "$.b",');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT count(*) FROM activity_row;

-- A constraint that is checked at the end of the transaction fails its activity, not somebody else's.
CREATE FUNCTION orphan() RETURNS void LANGUAGE sql AS 'INSERT INTO activity_row VALUES (102, 999)';
SELECT activity_start('sql:public.orphan');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
CREATE FUNCTION family() RETURNS void LANGUAGE sql AS 'INSERT INTO activity_row VALUES (103, 104); INSERT INTO activity_row VALUES (104, NULL)';
SELECT activity_start('sql:public.family');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT id FROM activity_row ORDER BY 1;

-- A timeout stops the statement, even if the function will not hear of it.
CREATE FUNCTION sleep(seconds float8) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(seconds); RETURN ''slept''; END';
CREATE FUNCTION stubborn_sleep(seconds float8) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		PERFORM pg_sleep(seconds);
	EXCEPTION WHEN query_canceled THEN
		NULL;
	END;
	RETURN 'went on';
END $$;
SELECT activity_start('sql:public.sleep', '{"seconds": 100}', '"TimeoutSeconds": 1,');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT activity_start('sql:public.stubborn_sleep', '{"seconds": 100}', '"TimeoutSeconds": 1,');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT activity_start('sql:public.sleep', '{"seconds": 0.01}', '"TimeoutSeconds": 60,');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
-- So does the run's own timeout, if that comes first.
SELECT expense_flow.start_workflow('activity', '{"seconds": 100}', 'activity', run_timeout => '1 second') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
-- A timer is gone with its activity.
SELECT pg_sleep(0.1);

-- Settings, and the search_path, neither leak in nor out.
CREATE FUNCTION change_settings() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	SET work_mem = '7MB';
	PERFORM set_config('search_path', 'pg_catalog', false);
	PERFORM set_config('my.setting', 'leaked', false);
	RETURN current_setting('work_mem');
END $$;
CREATE FUNCTION read_settings() RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws('; ', current_setting('work_mem') = '7MB', current_setting('search_path'), nullif(current_setting('my.setting', true), ''), current_user = session_user)
$$;
SET search_path = pg_catalog, public;
SELECT activity_start('sql:public.change_settings');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT activity_start('sql:public.read_settings');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT public.activity_call('sql:public.change_settings'), public.activity_call('sql:public.read_settings');
SHOW search_path;
SELECT current_setting('work_mem') = '7MB' AS leaked;
RESET search_path;

-- The role: that of the run's owner, and no other can be had.
CREATE ROLE regress_activity;
CREATE FUNCTION who() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
CREATE FUNCTION escape_role(how text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE how; END';
CREATE FUNCTION forbidden() RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION forbidden() FROM PUBLIC;
SELECT expense_flow.create_workflow('activity_who', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.who", "End": true}}}');
SELECT expense_flow.create_workflow('activity_escape', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.escape_role", "End": true}}}');
SELECT expense_flow.create_workflow('activity_forbidden', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.forbidden", "End": true}}}');
SET ROLE regress_activity;
SELECT expense_flow.start_workflow('activity_who', '{}', 'who') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('activity_escape', '{"how": "RESET ROLE"}', 'escape 1') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('activity_escape', '{"how": "SET ROLE NONE"}', 'escape 2') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('activity_escape', '{"how": "RESET SESSION AUTHORIZATION"}', 'escape 3') IS NOT NULL AS started;
SELECT expense_flow.start_workflow('activity_forbidden', '{}', 'forbidden') IS NOT NULL AS started;
RESET ROLE;
CALL expense_flow.run_pending();
SELECT workflow_id, status, output, error, cause FROM expense_flow.runs WHERE owner = 'regress_activity'::regrole ORDER BY 1;
SELECT current_user = session_user AS unchanged;
-- A role that is gone.
SET ROLE regress_activity;
SELECT expense_flow.start_workflow('activity_who', '{}', 'orphaned run', start_delay => '1 hour') AS run_id \gset
RESET ROLE;
DROP ROLE regress_activity;
CALL expense_flow.run_pending('2 hours');
SELECT status, error, cause FROM expense_flow.runs WHERE run_id = :'run_id';

-- An activity cannot end its own run from outside, nor that of its parent, whose end would be its own; the failure is its own.
CREATE FUNCTION end_run(workflow_id text, again boolean DEFAULT false) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF again THEN
		PERFORM expense_flow.start_workflow('activity_who', '{}', workflow_id, on_conflict => 'terminate_existing');
	ELSE
		PERFORM expense_flow.terminate_workflow(workflow_id);
	END IF;
END
$$;
SELECT expense_flow.create_workflow('activity_end', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.end_run", "End": true}}}');
SELECT expense_flow.create_workflow('activity_end_branch', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches":
	[{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.end_run", "End": true}}}]}}}');
SELECT expense_flow.create_workflow('activity_end_parent', '{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "workflow:activity_end", "End": true}}}');
SELECT expense_flow.start_workflow('activity_who', '{}', 'to be ended', start_delay => '1 day') IS NOT NULL AS started;
SELECT count(expense_flow.start_workflow(workflow, jsonb_build_object('workflow_id', id) || more, id))
	FROM (VALUES ('activity_end', 'ends itself', '{}'::jsonb), ('activity_end', 'starts itself again', '{"again": true}'),
		('activity_end_branch', 'branch ends all', '{}'), ('activity_end_parent', 'child ends parent', '{}'),
		('activity_end', 'ends another', '{"workflow_id": "to be ended"}')) s (workflow, id, more);
CALL expense_flow.run_pending();
SELECT workflow_id, status, error, regexp_replace(cause, '[0-9a-f]{8}-[-0-9a-f]+', 'RUN_ID', 'g') AS cause
	FROM expense_flow.runs WHERE workflow ^@ 'activity_end' AND parent_run_id IS NULL OR workflow_id = 'to be ended' ORDER BY 1;

-- $$ in Parameters, and letters of the history.
SELECT activity_start('sql:public.whole', '{"x": 1}', '"Parameters": {"name.$": "$$.Execution.Name", "input.$": "$$.Execution.Input", "state.$": "$$.State.Name",
	"retries.$": "$$.State.RetryCount", "machine.$": "$$.StateMachine.Name"},');
CALL expense_flow.run_pending();
SELECT * FROM activity_result;
SELECT event_id, type, state FROM expense_flow.history
	WHERE run_id = (SELECT run_id FROM expense_flow.runs WHERE workflow_id = 'activity' ORDER BY started_at DESC LIMIT 1) ORDER BY event_id;
