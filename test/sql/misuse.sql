/*
 * Every function, misused: each argument NULL, empty, or too large, what is unknown, what is over, and what is
 * another role's.  The answers are the errors that users see; what misuse there is that depends on more than the
 * arguments is in the tests of each subject.
 *
 * A new function has to be given a row of "good", with arguments that it takes.
 */
\set ECHO errors
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
CREATE ROLE regress_mu_owner;
CREATE ROLE regress_mu_other;
GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO regress_mu_owner;
CREATE SCHEMA mu AUTHORIZATION regress_mu_owner;

SET ROLE regress_mu_owner;
SET search_path = expense_flow, mu;
CREATE FUNCTION mu.undo() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS
	$$BEGIN PERFORM expense_flow.fail('Broken', 'cannot be undone'); END$$;
CREATE FUNCTION mu.step(n integer) RETURNS integer LANGUAGE sql SET search_path = pg_catalog RETURN n + 1;
CREATE TABLE mu.thing (id integer PRIMARY KEY, secret text);
CREATE TABLE mu.other (id integer PRIMARY KEY);
SELECT create_workflow('mu', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "End": true}}}') \g /dev/null
SELECT create_workflow('mu_pass', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}') \g /dev/null
SELECT create_workflow('mu_update', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "update:n", "End": true}}}') \g /dev/null
SELECT create_workflow('mu_owner', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}', 'owner') \g /dev/null
SELECT create_workflow('mu_task', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:mu/do", "HeartbeatSeconds": 10000, "End": true}}}') \g /dev/null
SELECT create_workflow('mu_saga', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "sql:mu.step", "Parameters": {"n": 1}, "Compensate": {"Resource": "sql:mu.undo"}, "Next": "F"},
	"F": {"Type": "Fail", "Error": "Wrong"}}}') \g /dev/null
SELECT start_workflow('mu', '{}', 'mu open') AS open_run \gset
SELECT start_workflow('mu_pass', '{}', 'mu closed') AS closed_run \gset
SELECT start_workflow('mu_saga', '{}', 'mu saga') AS saga_run \gset
SELECT start_workflow('mu_update', '{}', 'mu update') AS update_run \gset
SELECT start_workflow('mu_task', '{}', 'mu task') AS task_run \gset
CALL run_pending();
SELECT token FROM poll_activity('mu', wait => '60 s') \gset
SELECT start_workflow('mu_task', '{}', 'mu over') AS over_run \gset
CALL run_pending();
SELECT token AS over_token FROM poll_activity('mu', wait => '60 s') \gset
SELECT complete_activity(:'over_token') \g /dev/null
CALL run_pending();
SELECT start_workflow('mu_task', '{}', 'mu queued') AS queued_run \gset
CALL run_pending();
SELECT capture_changes('mu.thing', 'mu') \g /dev/null
INSERT INTO mu.thing VALUES (1, 'seen by nobody');
SELECT acknowledge_changes('mu', 'mine') \g /dev/null
SELECT latest_cursor('mu') AS cursor \gset
RESET ROLE;
GRANT ALL ON expense_flow.account, expense_flow.transaction, expense_flow.transfer, expense_flow.expense TO regress_mu_owner;
INSERT INTO account (account_id, balance) VALUES (980001, 50), (980002, 0);
INSERT INTO transfer (transfer_id, from_account, amount) VALUES ('mu', 980001, 5);
SELECT create_expense('{"account_id": 980001, "amount": 5, "description": "Mu"}', 'mu') \g /dev/null

/* ---- what is right ---- */

CREATE TABLE mu.good
(
	routine		regprocedure PRIMARY KEY,
	arguments	text[],	-- NULL: not for users
	role		name NOT NULL DEFAULT 'regress_mu_owner'
);
INSERT INTO mu.good (routine, arguments)
SELECT v.routine::regprocedure, v.arguments FROM (VALUES
	('create_workflow(text,json,text,interval)', ARRAY['''mu''', '''{"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}''', '''owner''', '''1 day''']),
	('validate_workflow(json)', ARRAY['''{}''']),
	('drop_workflow(text)', ARRAY['''mu_owner''']),
	('grant_start(text,text)', ARRAY['''mu_owner''', '''regress_mu_other''']),
	('revoke_start(text,text)', ARRAY['''mu_owner''', '''regress_mu_other''']),
	('resolve_resource(text)', ARRAY['''sql:a.b''']),
	('describe_run(uuid)', ARRAY[quote_literal(:'open_run')]),
	('find_runs(text)', ARRAY['''mu open''']),
	('query_workflow(text,text,jsonb)', ARRAY['''mu open''', '''state''', '''1''']),
	('update_workflow(text,text,jsonb,text,interval)', ARRAY['''mu update''', '''n''', '''1''', '''r''', '''1 minute''']),
	('update_with_start(text,text,text,jsonb,jsonb,text,interval,text,interval,integer)',
		ARRAY['''mu_update''', '''mu update''', '''n''', '''1''', '''{}''', '''r''', '''1 minute''', '''allow''', '''1 hour''', '1']),
	('run_state(uuid)', NULL), ('run_variables(uuid)', NULL), ('run_activities(uuid)', NULL),
	('get_result(uuid,interval)', ARRAY[quote_literal(:'closed_run'), '''0''']),
	('start_workflow(text,jsonb,text,text,text,interval,interval,integer,text)',
		ARRAY['''mu_pass''', '''{}''', '''mu new''', '''fail''', '''allow''', '''1 day''', '''1 day''', '1', '''r''']),
	('start_workflows(text,jsonb[],text[],text,text,interval,interval,integer)',
		ARRAY['''mu_pass''', '''{"{}"}''', '''{mu new}''', '''fail''', '''allow''', '''1 day''', '''1 day''', '1']),
	('resume_workflow(text)', ARRAY['''mu open''']),
	('run_workflow(text,jsonb)', ARRAY['''mu_pass''', '''{}''']),
	('terminate_workflow(text,text)', ARRAY['''mu open''', '''why''']),
	('cancel_workflow(text,text,text)', ARRAY['''mu open''', '''why''', '''r''']),
	('signal_workflow(text,text,jsonb,text)', ARRAY['''mu open''', '''go''', '''1''', '''r''']),
	('signal_with_start(text,text,text,jsonb,jsonb,text,interval,interval,integer,text)',
		ARRAY['''mu''', '''mu new''', '''go''', '''1''', '''{}''', '''allow''', '''1 day''', '''1 day''', '1', '''r''']),
	('retry_compensation(text)', ARRAY['''mu saga''']),
	('skip_compensation(text)', ARRAY['''mu saga''']),
	('fail(text,text)', ARRAY['''Name''', '''cause''']),
	('test_state(json,jsonb,text,jsonb,jsonb,jsonb,integer)',
		ARRAY['''{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:mu.step", "End": true}}}''', '''{}''', '''A''', '''{"result": 1}''', '''{}''', '''{}''', '0']),
	('poll_activity(text,text,integer,interval)', ARRAY['''mu''', '''me''', '1', '''0''']),
	('complete_activity(text,jsonb)', ARRAY[quote_literal(:'token'), '''1''']),
	('fail_activity(text,text,text,jsonb,boolean,interval)', ARRAY[quote_literal(:'token'), '''E''', '''why''', '''1''', 'false', '''1 s''']),
	('heartbeat_activity(text,jsonb)', ARRAY[quote_literal(:'token'), '''1''']),
	('complete_activity_by_name(text,text,jsonb)', ARRAY['''mu task''', '''do''', '''1''']),
	('fail_activity_by_name(text,text,text,text,jsonb,boolean,interval)', ARRAY['''mu task''', '''do''', '''E''', '''why''', '''1''', 'false', '''1 s''']),
	('capture_change()', NULL), ('flush_wal()', NULL),
	('capture_changes(regclass,text,text[],text)', ARRAY['''mu.other''', '''mu other''', '''{}''', '''key''']),
	('stop_capturing(text)', ARRAY['''mu''']),
	('read_changes(text,text,integer)', ARRAY['''mu''', quote_literal(:'cursor'), '1']),
	('latest_cursor(text)', ARRAY['''mu''']),
	('acknowledge_changes(text,text,text)', ARRAY['''mu''', '''mine''', quote_literal(:'cursor')]),
	('drop_consumer(text,text)', ARRAY['''mu''', '''mine''']),
	('event_cursor(bigint)', NULL),
	('account_id_from_json(jsonb)', NULL), ('amount_problem(jsonb,boolean)', NULL), ('fail_without_account(text,jsonb,text)', NULL), ('transactions_from_json(jsonb)', NULL), ('fail_on_bad_date(jsonb)', NULL),
	('check_spending(jsonb)', ARRAY['''{"account_id": 980001, "transactions": []}''']),
	('save_spending(jsonb)', ARRAY['''{"account_id": 980001, "transactions": []}''']),
	('spending_by_category(jsonb)', ARRAY['''{"account_id": 980001, "days": 7}''']),
	('withdraw(jsonb)', ARRAY['''{"transfer_id": "mu too", "from_account": 980001, "to_account": 980002, "amount": 1}''']),
	('deposit(text,jsonb)', ARRAY['''mu''', '''980002''']),
	('refund(text,jsonb)', ARRAY['''mu''', '''{}''']),
	('create_expense(jsonb,text)', ARRAY['''{"account_id": 980001, "amount": 5}''', '''mu too''']),
	('pay_expense(text)', ARRAY['''mu''']),
	('settle_expense(text,text)', ARRAY['''mu''', '''REJECTED'''])) v (routine, arguments);
INSERT INTO mu.good (routine, arguments, role)
SELECT v.routine::regprocedure, v.arguments, current_user FROM (VALUES
	('create_resource_alias(text,text)', ARRAY['''arn:mu:*''', '''sql:mu.*''']),
	('drop_resource_alias(text)', ARRAY['''arn:mu:a''']),
	('grant_queue(text,text)', ARRAY['''mu''', '''regress_mu_other''']),
	('revoke_queue(text,text)', ARRAY['''mu''', '''regress_mu_other''']),
	('current_origin()', NULL), ('origin_loaded()', NULL), ('restore_status()', ARRAY[]::text[]),
	('install_upkeep(text,text)', NULL), ('remove_upkeep()', NULL), ('resume_after_restore()', ARRAY[]::text[]),
	('runtime_processes()', NULL), ('runtime_status()', NULL),
	('register_built_in_workflow(text,integer,json)', NULL),
	('feed_bound()', NULL), ('run_retention()', NULL), ('event_retention()', NULL), ('lock_purge()', NULL),
	('first_run_id(timestamp with time zone)', NULL), ('purge_runs(uuid,integer)', NULL), ('purge_events(integer,integer)', NULL), ('purge_sources()', NULL),
	('is_preloaded()', NULL), ('upkeep_jobs(text,text)', NULL)) v (routine, arguments);
SELECT create_resource_alias('arn:mu:a', 'sql:mu.step') \g /dev/null

SELECT p.oid::regprocedure AS not_in_good FROM pg_proc p
WHERE p.pronamespace = 'expense_flow'::regnamespace AND p.prokind = 'f' AND NOT EXISTS (SELECT FROM mu.good g WHERE g.routine = p.oid) ORDER BY p.oid::regprocedure::text COLLATE "C";

CREATE FUNCTION mu.attempt(role name, call text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	v_rows bigint;
	v_message text;
	v_detail text;
	v_hint text;
	v_state text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE 'SELECT FROM expense_flow.' || call;
	GET DIAGNOSTICS v_rows = ROW_COUNT;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = v_rows || ' rows';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_state = RETURNED_SQLSTATE, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	RETURN CASE WHEN v_state = 'ZZ000' THEN v_message
		ELSE regexp_replace(left(concat_ws(' / ', v_state || ' ' || v_message, nullif(v_detail, ''), nullif(v_hint, '')), 400),
			'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'RUN', 'g') END;
END $$;

-- The call of a function with one of its arguments replaced, and what that is called.
CREATE FUNCTION mu.variants(OUT routine text, OUT role name, OUT argument text, OUT type regtype, OUT arguments text[], OUT n bigint) RETURNS SETOF record
LANGUAGE sql SET search_path = pg_catalog AS $$
	SELECT p.proname, g.role, p.proargnames[a.n], p.proargtypes[a.n - 1], g.arguments, a.n
	FROM mu.good g JOIN pg_proc p ON p.oid = g.routine CROSS JOIN LATERAL unnest(g.arguments) WITH ORDINALITY a (value, n)
$$;
CREATE FUNCTION mu.call(routine text, arguments text[], n bigint, value text) RETURNS text LANGUAGE sql SET search_path = pg_catalog AS $$
	SELECT format('%s(%s)', routine, string_agg(CASE WHEN a.n = call.n THEN call.value ELSE a.value END, ', ' ORDER BY a.n))
	FROM unnest(arguments) WITH ORDINALITY a (value, n)
$$;

\echo ---- so it works
SELECT p.proname, mu.attempt(g.role, format('%s(%s)', p.proname, array_to_string(g.arguments, ', ')))
FROM mu.good g JOIN pg_proc p ON p.oid = g.routine WHERE g.arguments IS NOT NULL ORDER BY g.routine::text COLLATE "C";
\echo ---- NULL
SELECT routine, argument, mu.attempt(role, mu.call(routine, arguments, n, 'NULL')) FROM mu.variants() ORDER BY routine COLLATE "C", n;
\echo ---- empty
SELECT routine, argument, mu.attempt(role, mu.call(routine, arguments, n, '''''')) FROM mu.variants() WHERE type = 'text'::regtype ORDER BY routine COLLATE "C", n;
\echo ---- text of 100 kB, JSON of 10 MB
CREATE TABLE mu.large (t text, j jsonb);
ALTER TABLE mu.large ALTER t SET STORAGE EXTERNAL, ALTER j SET STORAGE EXTERNAL;
INSERT INTO mu.large SELECT left(t, 100000), to_jsonb(t) FROM (SELECT repeat(string_agg(md5(i::text), ''), 1000) FROM generate_series(1, 313) i) v (t);
GRANT SELECT ON mu.large TO PUBLIC;
SELECT octet_length(t), octet_length(j::text) FROM mu.large;
SELECT routine, argument, regexp_replace(mu.attempt(role, mu.call(routine, arguments, n, CASE type::text WHEN 'text' THEN '(SELECT t FROM mu.large)' WHEN 'json' THEN '(SELECT j::json FROM mu.large)' ELSE '(SELECT j FROM mu.large)' END)), '[0-9a-f]{20,}.*', '…')
FROM mu.variants() WHERE type IN ('text'::regtype, 'json'::regtype, 'jsonb'::regtype) ORDER BY routine COLLATE "C", n;

/* ---- what is unknown, over, or makes no sense ---- */

CREATE TABLE mu.misuse (n serial, call text);
-- tokens: of nothing, used, and not one
INSERT INTO mu.misuse (call)
SELECT format(c, t) FROM (VALUES ('complete_activity(%L)'), ('fail_activity(%L, ''E'')'), ('heartbeat_activity(%L)')) c (c),
	(VALUES (1, repeat('0', 80)), (2, :'over_token'), (3, overlay(:'token' PLACING '0000000000' FROM length(:'token') - 9)), (4, repeat('x', 80)), (5, 'token')) t (n, t)
ORDER BY c COLLATE "C", n;
-- runs: closed and unknown ones
INSERT INTO mu.misuse (call)
SELECT format(c, w) FROM (VALUES ('signal_workflow(%L, ''go'')'), ('cancel_workflow(%L)'), ('terminate_workflow(%L)'), ('retry_compensation(%L)'), ('skip_compensation(%L)'),
	('resume_workflow(%L)'), ('complete_activity_by_name(%L, ''do'')'), ('fail_activity_by_name(%L, ''do'', ''E'')'), ('query_workflow(%L)'), ('query_workflow(%L, ''unknown'')'), ('update_workflow(%L, ''n'')')) c (c),
	(VALUES ('mu closed'), ('mu unknown'), ('00000000-0000-0000-0000-000000000000')) w (w)
ORDER BY c COLLATE "C", w COLLATE "C";
INSERT INTO mu.misuse (call) VALUES
	('describe_run(''00000000-0000-0000-0000-000000000000'')'),
	('get_result(''00000000-0000-0000-0000-000000000000'')'),
	(format('get_result(%L, ''0'')', :'open_run')),
	(format('get_result(%L, ''-1 s'')', :'open_run')),
	('signal_workflow(''mu open'', ''a,b'')'),
	('retry_compensation(''mu open'')'),
	('skip_compensation(''mu open'')'),
	('complete_activity_by_name(''mu task'', ''unknown'')'),
	('query_workflow(''mu open'', ''unknown'')'),
	('update_workflow(''mu open'', ''n'')'),
	('update_workflow(''mu update'', ''unknown'')'),
	('update_workflow(''mu update'', ''n,m'')'),
	('update_workflow(''mu update'', ''n'', timeout => ''-1 s'')'),
	('update_with_start(''unknown'', ''mu new'', ''n'')'),
	('update_with_start(''mu'', ''mu new'', ''n'')'),
	('update_with_start(''mu_update'', ''mu new'', ''n'', version => 99)'),
	('update_with_start(''mu_update'', ''mu closed'', ''n'', on_reuse => ''reject'')'),
-- starting
	('start_workflow(''unknown'')'),
	('start_workflow(''mu'', version => 99)'),
	('start_workflow(''mu'', version => 0)'),
	('start_workflow(''mu'', workflow_id => ''mu open'')'),
	('start_workflow(''mu'', workflow_id => ''mu closed'', on_reuse => ''reject'')'),
	('start_workflow(''mu'', workflow_id => ''mu closed'', on_reuse => ''allow_if_failed'')'),
	('start_workflow(''mu'', on_conflict => ''what'')'),
	('start_workflow(''mu'', on_reuse => ''what'')'),
	('start_workflow(''mu'', start_delay => ''-1 s'')'),
	('start_workflow(''mu'', run_timeout => ''0'')'),
	('start_workflow(''mu'', run_timeout => ''-1 s'')'),
	('start_workflows(''unknown'', ''{}'')'),
	('start_workflows(''mu'', ''{NULL}'')'),
	('start_workflows(''mu'', ''{{1},{2}}'')'),
	('start_workflows(''mu'', ''{1,2}'', ''{a}'')'),
	('start_workflows(''mu'', ''{1,2}'', ''{a,a}'')'),
	('start_workflows(''mu'', ''{1}'', ''{""}'')'),
	('start_workflows(''mu'', ''{1}'', ''{mu open}'')'),
	('start_workflows(''mu'', ARRAY(SELECT j FROM mu.large))'),
	('start_workflows(''mu'', ''{1}'', ARRAY(SELECT t FROM mu.large))'),
	('run_workflow(''unknown'')'),
	('run_workflow(''mu'')'),
	('run_workflow(''mu_task'')'),
	('signal_with_start(''unknown'', ''mu new'', ''go'')'),
	('signal_with_start(''mu'', ''mu closed'', ''go'', on_reuse => ''reject'')'),
-- workflows
	('create_workflow(''mu'', ''[]'')'),
	('create_workflow(''mu'', ''{"StartAt": "A", "States": {}}'')'),
	('create_workflow(''spending'', ''{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'')'),
	('create_workflow(''mu'', ''{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'', retention => ''-1 day'')'),
	('drop_workflow(''unknown'')'),
	('drop_workflow(''mu'')'),
	('drop_workflow(''spending'')'),
	('grant_start(''unknown'', ''public'')'),
	('grant_start(''mu_owner'', ''regress_mu_nobody'')'),
	('revoke_start(''unknown'', ''public'')'),
	('revoke_start(''mu_owner'', ''regress_mu_nobody'')'),
	('test_state(''{"StartAt": "A", "States": {}}'')'),
	('test_state(''{"Type": "Pass", "End": true}'', state => ''B'')'),
	('test_state(''{"Type": "Pass", "End": true}'', retry_count => -1)'),
	('fail('''')'),
-- queues
	('poll_activity(''mu'', max_tasks => 0)'),
	('poll_activity(''mu'', max_tasks => 1000000000)'),
	('poll_activity(''mu'', wait => ''-1 s'')'),
	(format('fail_activity(%L, ''E'', retry_delay => ''-1 s'')', :'token')),
-- change events
	('capture_changes(''mu.thing'')'),
	('capture_changes(''mu.other'', ''mu'')'),
	('capture_changes(''mu.other'', exclude_columns => ''{unknown}'')'),
	('capture_changes(''mu.other'', exclude_columns => ''{id}'')'),
	('capture_changes(''mu.other'', exclude_columns => ''{NULL}'')'),
	('capture_changes(''mu.other'', notify => ''what'')'),
	('capture_changes(''mu.unknown'')'),
	('capture_changes(0::oid)'),
	('capture_changes(''expense_flow.runs'')'),
	('capture_changes(''pg_catalog.pg_class'')'),
	('stop_capturing(''unknown'')'),
	('stop_capturing(''account'')'),
	('read_changes(''unknown'')'),
	('read_changes(''mu'', ''cursor'')'),
	('read_changes(''mu'', ''00000000-0000000000000000'')'),
	('read_changes(''mu'', max_events => 0)'),
	('latest_cursor(''unknown'')'),
	('acknowledge_changes(''unknown'', ''mine'')'),
	('acknowledge_changes(''mu'', ''mine'', ''cursor'')'),
	('drop_consumer(''mu'', ''unknown'')');
\echo ---- unknown, over, senseless
SELECT regexp_replace(call, '[0-9a-f]{8,}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{70,}', 'ID'),
	regexp_replace(mu.attempt('regress_mu_owner', call), '[0-9a-f]{8}-[0-9a-f]{16}', 'CURSOR', 'g') FROM mu.misuse ORDER BY n;

\echo ---- of administrators
SELECT c, mu.attempt(current_user, c) FROM (VALUES
	('create_resource_alias(''a*'', ''what:is this'')'),
	('create_resource_alias(''a'', ''sql:*'')'),
	('create_resource_alias(''sql:a'', ''sql:b'')'),
	('drop_resource_alias(''unknown'')'),
	('grant_queue(''mu'', ''regress_mu_nobody'')'),
	('revoke_queue(''mu'', ''regress_mu_nobody'')'),
	('register_built_in_workflow(''mu'', 1, ''{}'')')) v (c);

\echo ---- procedures
CALL run_pending('-1 s');
CALL run_pending(wait_for_others => NULL);
CALL run_pending(max_steps => -1);
BEGIN;
CALL run_pending();
ROLLBACK;
CALL purge(NULL);
CALL purge(0);

\echo ---- nothing has happened
SELECT workflow_id, status, state FROM runs WHERE workflow_id LIKE 'mu %' ORDER BY workflow_id COLLATE "C";

SELECT stop_capturing('mu') \g /dev/null
SELECT skip_compensation('mu saga') \g /dev/null
SELECT terminate_workflow(w) FROM unnest(ARRAY['mu open', 'mu task', 'mu queued', 'mu update']) w \g /dev/null
CALL run_pending();
SELECT drop_workflow(w) FROM unnest(ARRAY['mu', 'mu_update', 'mu_pass', 'mu_owner', 'mu_task', 'mu_saga']) w \g /dev/null
SELECT drop_resource_alias('arn:mu:a') \g /dev/null
DELETE FROM transfer WHERE from_account = 980001;
DELETE FROM expense WHERE account_id = 980001;
DELETE FROM account WHERE account_id IN (980001, 980002);
REVOKE ALL ON account, transaction, transfer, expense FROM regress_mu_owner;
DROP SCHEMA mu CASCADE;
REVOKE EXECUTE ON FUNCTION create_workflow FROM regress_mu_owner;
DROP ROLE regress_mu_owner, regress_mu_other;
