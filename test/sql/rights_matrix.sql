/*
 * Each function of the extension, called by the role whose runs, tables and consumers it is about, by another role
 * without any grant, and by a superuser: once as anybody would, and once with a search_path that begins with a
 * schema full of traps.  Those are functions, operators and types named as those of pg_catalog; each raises an
 * error, so nothing of the extension may ever come upon one.
 *
 * A new function has to be given a row of "matrix", and one that PUBLIC may execute has to say so there.
 */
\set ECHO errors
\set VERBOSITY terse
\pset format unaligned
SET client_min_messages = warning;
CREATE ROLE regress_mx_owner;
CREATE ROLE regress_mx_other;
GRANT EXECUTE ON FUNCTION expense_flow.create_workflow TO regress_mx_owner;
CREATE SCHEMA mx AUTHORIZATION regress_mx_owner;

/* ---- what the calls are about ---- */

SET ROLE regress_mx_owner;
SET search_path = expense_flow, mx;
CREATE FUNCTION mx.undo() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS
	$$BEGIN PERFORM expense_flow.fail('Broken', 'cannot be undone'); END$$;
CREATE FUNCTION mx.step(n integer) RETURNS integer LANGUAGE sql SET search_path = pg_catalog RETURN n + 1;
CREATE TABLE mx.thing (id integer PRIMARY KEY, secret text);
CREATE FUNCTION mx.named(about jsonb) RETURNS jsonb LANGUAGE sql SET search_path = pg_catalog RETURN about -> 'run' -> 'input';
SELECT create_workflow('mx', '{"Queries": {"named": "sql:mx.named"}, "StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "signal:go", "End": true}}}') \g /dev/null
CREATE FUNCTION mx.check_n(n jsonb) RETURNS void LANGUAGE sql SET search_path = pg_catalog RETURN NULL;
SELECT create_workflow('mx_update', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "update:n", "Validator": "sql:mx.check_n", "Respond": "B", "Next": "B"},
	"B": {"Type": "Task", "Resource": "sql:mx.step", "Parameters": {"n.$": "$"}, "End": true}}}') \g /dev/null
SELECT create_workflow('mx_owner', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}', 'owner') \g /dev/null
SELECT create_workflow('mx_task', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "activity:mx/do", "HeartbeatSeconds": 10000, "End": true}}}') \g /dev/null
SELECT create_workflow('mx_saga', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "sql:mx.step", "Parameters": {"n": 1}, "Compensate": {"Resource": "sql:mx.undo"}, "Next": "F"},
	"F": {"Type": "Fail", "Error": "Wrong"}}}') \g /dev/null
SELECT create_workflow('mx_all', '{"StartAt": "M", "States": {
	"M": {"Type": "Map", "ItemsPath": "$.items", "ResultPath": "$.items", "Next": "P", "MaxConcurrency": 2,
		"Iterator": {"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "sql:mx.step", "Parameters": {"n.$": "$"}, "End": true}}}},
	"P": {"Type": "Parallel", "ResultPath": "$.p", "Next": "C", "Branches": [
		{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 0, "End": true}}},
		{"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:mx.undo", "Parameters": {}, "End": true,
			"Retry": [{"ErrorEquals": ["Broken"], "IntervalSeconds": 1, "MaxAttempts": 1, "MaxDelaySeconds": 1}],
			"Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught"}]}, "Caught": {"Type": "Pass", "End": true}}}]},
	"C": {"Type": "Choice", "Default": "E", "Choices": [{"Variable": "$.items[0]", "NumericEquals": 2, "Next": "D"}]},
	"D": {"Type": "Pass", "OutputPath": "$.items", "End": true},
	"E": {"Type": "Fail"}}}') \g /dev/null
SELECT start_workflow('mx', '{"secret": 1}', 'mx open') AS open_run \gset
SELECT start_workflow('mx', '{"secret": 2}', 'mx closed') AS closed_run \gset
SELECT signal_workflow('mx closed', 'go') \g /dev/null
SELECT start_workflow('mx_task', '{"secret": 3}', 'mx task') AS task_run \gset
SELECT start_workflow('mx_saga', '{"secret": 5}', 'mx saga') AS saga_run \gset
SELECT start_workflow('mx_update', '{"secret": 6}', 'mx update') AS update_run \gset
CALL run_pending();
SELECT token FROM poll_activity('mx', wait => '60 s') \gset
SELECT start_workflow('mx_task', '{"secret": 4}', 'mx queued') AS queued_run \gset
CALL run_pending();
SELECT mx.undo(); -- so that errors are seen to be shown
SELECT capture_changes('mx.thing', 'mx') \g /dev/null
INSERT INTO mx.thing VALUES (1, 'seen by nobody');
SELECT acknowledge_changes('mx', 'mine') \g /dev/null
SELECT latest_cursor('mx') AS cursor \gset
RESET ROLE;
SELECT create_resource_alias('arn:mx:*', 'sql:mx.*') \g /dev/null
GRANT ALL ON expense_flow.account, expense_flow.transaction, expense_flow.transfer, expense_flow.expense TO regress_mx_owner;
INSERT INTO account (account_id, balance) VALUES (990001, 50), (990002, 0);
INSERT INTO transfer (transfer_id, from_account, amount) VALUES ('mx', 990001, 5);
SELECT create_expense('{"account_id": 990001, "amount": 5, "description": "Mx"}', 'mx') \g /dev/null

/* ---- the traps ---- */

CREATE SCHEMA mx_traps;
GRANT USAGE ON SCHEMA mx_traps TO PUBLIC;
CREATE FUNCTION mx_traps.spring(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
	RAISE EXCEPTION 'hijacked: % as %', what, current_user USING ERRCODE = 'XX999';
END $$;

CREATE FUNCTION mx.name_of(type oid) RETURNS text LANGUAGE sql SET search_path = pg_catalog
	RETURN (SELECT format('pg_catalog.%I', t.typname) FROM pg_type t WHERE t.oid = type);

-- What can be written in SQL: nothing with pseudo-types.
CREATE FUNCTION mx.set_traps() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $do$
DECLARE
	v record;
BEGIN
	FOR v IN
		SELECT p.oid, p.proname, p.proretset,
			(SELECT coalesce(string_agg(mx.name_of(a.t), ', ' ORDER BY a.n), '') FROM unnest(p.proargtypes) WITH ORDINALITY a (t, n)) AS arguments,
			mx.name_of(p.prorettype) AS result
		FROM pg_proc p
		WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f' AND p.proargmodes IS NULL
			AND NOT EXISTS (SELECT FROM unnest(p.proargtypes || p.prorettype) a JOIN pg_type t ON t.oid = a WHERE t.typtype = 'p')
	LOOP
		EXECUTE format('CREATE FUNCTION mx_traps.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', v.proname, v.arguments,
			CASE WHEN v.proretset THEN 'SETOF' END, v.result, format('BEGIN PERFORM mx_traps.spring(%L); END', 'function ' || v.oid::regprocedure));
	END LOOP;
	FOR v IN
		SELECT o.oid, o.oprname, mx.name_of(o.oprleft) AS l, mx.name_of(o.oprright) AS r, mx.name_of(o.oprresult) AS result
		FROM pg_operator o
		WHERE o.oprnamespace = 'pg_catalog'::regnamespace
			AND NOT EXISTS (SELECT FROM pg_type t WHERE t.oid IN (o.oprleft, o.oprright, o.oprresult) AND t.typtype = 'p')
	LOOP
		EXECUTE format('CREATE FUNCTION mx_traps.operator_%s(%s) RETURNS %s LANGUAGE plpgsql AS %L', v.oid, concat_ws(', ', v.l, v.r), v.result,
			format('BEGIN PERFORM mx_traps.spring(%L); END', 'operator ' || v.oid::regoperator));
		EXECUTE format('CREATE OPERATOR mx_traps.%s (FUNCTION = mx_traps.operator_%s %s, RIGHTARG = %s)', v.oprname, v.oid, ', LEFTARG = ' || v.l, v.r);
	END LOOP;
	FOR v IN
		SELECT t.typname FROM pg_type t
		WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r') AND t.typelem = 0 AND t.typrelid = 0
	LOOP
		EXECUTE format('CREATE DOMAIN mx_traps.%I AS pg_catalog.%1$I CHECK (mx_traps.spring(%L))', v.typname, 'type ' || v.typname);
	END LOOP;
END $do$;
SELECT mx.set_traps() \g /dev/null
SELECT count(*) > 1500 AS functions FROM pg_proc WHERE pronamespace = 'mx_traps'::regnamespace;
SELECT count(*) > 500 AS operators FROM pg_operator WHERE oprnamespace = 'mx_traps'::regnamespace;
SELECT count(*) > 50 AS types FROM pg_type WHERE typnamespace = 'mx_traps'::regnamespace AND typtype = 'd';

/* ---- the matrix ---- */

CREATE TABLE mx.matrix
(
	routine		regprocedure NOT NULL,
	public		boolean NOT NULL,
	call		text	-- NULL: called elsewhere
);
INSERT INTO mx.matrix
SELECT v.routine::regprocedure, v.public, 'SELECT * FROM ' || v.call
FROM (VALUES
	('create_workflow(text,json,text,interval)', false, format('expense_flow.create_workflow(%L, %L)', 'mx', '{"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}')),
	('register_built_in_workflow(text,integer,json)', false, format('expense_flow.register_built_in_workflow(%L, -1000000, %L)', 'mx_built_in', '{"StartAt": "B", "States": {"B": {"Type": "Succeed"}}}')),
	('validate_workflow(json)', true, 'expense_flow.validate_workflow(''{}'')'),
	('drop_workflow(text)', true, 'expense_flow.drop_workflow(''mx_owner'')'),
	('grant_start(text,text)', true, 'expense_flow.grant_start(''mx_owner'', ''regress_mx_other'')'),
	('revoke_start(text,text)', true, 'expense_flow.revoke_start(''mx_owner'', ''regress_mx_other'')'),
	('create_resource_alias(text,text)', false, 'expense_flow.create_resource_alias(''arn:mx:*'', ''sql:mx_traps.*'')'),
	('drop_resource_alias(text)', false, 'expense_flow.drop_resource_alias(''arn:mx:*'')'),
	('resolve_resource(text)', true, 'expense_flow.resolve_resource(''arn:mx:f'')'),
	('describe_run(uuid)', true, format('expense_flow.describe_run(%L)', :'open_run')),
	('find_runs(text)', true, 'expense_flow.find_runs(''mx open'')'),
	('get_result(uuid,interval)', true, format('expense_flow.get_result(%L, ''0'')', :'closed_run')),
	('start_workflow(text,jsonb,text,text,text,interval,interval,integer,text)', true,
		'expense_flow.start_workflow(''mx_owner'', ''{}'', ''mx open'', on_conflict => ''terminate_existing'', request_id => ''r'')'),
	('start_workflows(text,jsonb[],text[],text,text,interval,interval,integer)', true,
		'expense_flow.start_workflows(''mx_owner'', ''{"{}"}'', ''{mx open}'', on_conflict => ''terminate_existing'')'),
	('run_workflow(text,jsonb)', true, 'expense_flow.run_workflow(''mx_all'', ''{"items": [1, 2, 3]}'')'),
	('terminate_workflow(text,text)', true, 'expense_flow.terminate_workflow(''mx open'', ''why'')'),
	('cancel_workflow(text,text,text)', true, 'expense_flow.cancel_workflow(''mx open'', ''why'', ''r'')'),
	('signal_workflow(text,text,jsonb,text)', true, 'expense_flow.signal_workflow(''mx open'', ''go'', ''1'', ''r'')'),
	('signal_with_start(text,text,text,jsonb,jsonb,text,interval,interval,integer,text)', true,
		'expense_flow.signal_with_start(''mx'', ''mx open'', ''go'', request_id => ''r'')'),
	('run_pending(interval,boolean,bigint)', true, NULL),
	('update_workflow(text,text,jsonb,text,interval)', true, 'expense_flow.update_workflow(''mx update'', ''n'', ''1'', ''r'', ''1 minute'')'),
	('update_with_start(text,text,text,jsonb,jsonb,text,interval,text,interval,integer)', true,
		'expense_flow.update_with_start(''mx_update'', ''mx update too'', ''n'', ''1'', ''{}'', ''r'', ''1 minute'', run_timeout => ''1 hour'')'),
	('query_workflow(text,text,jsonb)', true, 'expense_flow.query_workflow(''mx open'', ''named'', ''1'')'),
	('query_workflow(text,text,jsonb)', true, 'expense_flow.query_workflow(''mx task'', ''activities'')'),
	('run_state(uuid)', true, format('expense_flow.run_state(%L) s WHERE s IS NOT NULL', :'open_run')),
	('run_variables(uuid)', true, format('expense_flow.run_variables(%L) v WHERE v IS NOT NULL', :'open_run')),
	('run_activities(uuid)', true, format('expense_flow.run_activities(%L) a WHERE a OPERATOR(pg_catalog.->>) ''activities'' OPERATOR(pg_catalog.<>) ''[]''', :'task_run')),
	('retry_compensation(text)', true, 'expense_flow.retry_compensation(''mx saga'')'),
	('skip_compensation(text)', true, 'expense_flow.skip_compensation(''mx saga'')'),
	('fail(text,text)', true, 'expense_flow.fail(''Name'', ''cause'')'),
	('test_state(json,jsonb,text,jsonb,jsonb,jsonb,integer)', true,
		'expense_flow.test_state(''{"Type": "Task", "Resource": "sql:mx.step", "End": true, "Parameters": {"n": 1}}'', mock => ''{"result": 1}'')'),
	('poll_activity(text,text,integer,interval)', true, 'expense_flow.poll_activity(''mx'', ''w'', 10)'),
	-- a token is as good as a password, and nothing else will do
	('complete_activity(text,jsonb)', true, format('expense_flow.complete_activity(%L, ''1'')', :'token')),
	('fail_activity(text,text,text,jsonb,boolean,interval)', true, format('expense_flow.fail_activity(%L, ''E'', ''why'', ''1'', true, ''1'')', :'token')),
	('heartbeat_activity(text,jsonb)', true, format('expense_flow.heartbeat_activity(%L, ''1'')', :'token')),
	('complete_activity(text,jsonb)', true, format('expense_flow.complete_activity(%L)', overlay(:'token' PLACING '0000000000' FROM length(:'token') - 9))),
	('fail_activity(text,text,text,jsonb,boolean,interval)', true, format('expense_flow.fail_activity(%L, ''E'')', overlay(:'token' PLACING '0000000000' FROM length(:'token') - 9))),
	('heartbeat_activity(text,jsonb)', true, format('expense_flow.heartbeat_activity(%L)', overlay(:'token' PLACING '0000000000' FROM length(:'token') - 9))),
	('complete_activity_by_name(text,text,jsonb)', true, 'expense_flow.complete_activity_by_name(''mx task'', ''do'', ''1'')'),
	('fail_activity_by_name(text,text,text,text,jsonb,boolean,interval)', true, 'expense_flow.fail_activity_by_name(''mx queued'', ''do'', ''E'', ''why'', ''1'')'),
	('grant_queue(text,text)', false, 'expense_flow.grant_queue(''mx'', ''regress_mx_other'')'),
	('revoke_queue(text,text)', false, 'expense_flow.revoke_queue(''mx'', ''regress_mx_other'')'),
	('runtime_processes()', false, '(SELECT pg_catalog.count(p.*) FROM expense_flow.runtime_processes() p) c'),
	('runtime_status()', false, '(SELECT pg_catalog.count(p.*) FROM expense_flow.runtime_status() p) c'),
	('resume_after_restore()', false, 'expense_flow.resume_after_restore()'),
	('restore_status()', false, 'expense_flow.restore_status()'),
	('current_origin()', false, 'expense_flow.current_origin()'),
	('origin_loaded()', false, 'expense_flow.origin_loaded()'),
	('resume_workflow(text)', true, 'expense_flow.resume_workflow(''mx open'')'),
	('capture_change()', true, 'expense_flow.capture_change()'),
	('capture_changes(regclass,text,text[],text)', true, format('expense_flow.capture_changes(%s, ''mx too'')', 'mx.matrix'::regclass::oid)),
	('stop_capturing(text)', true, 'expense_flow.stop_capturing(''mx'')'),
	('read_changes(text,text,integer)', true, 'expense_flow.read_changes(''mx'')'),
	('latest_cursor(text)', true, 'expense_flow.latest_cursor(''mx'')'),
	('acknowledge_changes(text,text,text)', true, format('expense_flow.acknowledge_changes(''mx'', ''mine'', %L)', :'cursor')),
	('drop_consumer(text,text)', true, 'expense_flow.drop_consumer(''mx'', ''mine'')'),
	('feed_bound()', false, 'expense_flow.feed_bound()'),
	('event_cursor(bigint)', true, 'expense_flow.event_cursor(1)'),
	('flush_wal()', true, 'expense_flow.flush_wal()'),
	('run_retention()', false, 'expense_flow.run_retention()'),
	('event_retention()', false, 'expense_flow.event_retention()'),
	('lock_purge()', false, 'expense_flow.lock_purge()'),
	('first_run_id(timestamp with time zone)', false, 'expense_flow.first_run_id(''2000-01-01'')'),
	('purge_runs(uuid,integer)', false, 'expense_flow.purge_runs(''00000000-0000-0000-0000-000000000000'', 1)'),
	('purge_events(integer,integer)', false, 'expense_flow.purge_events(1, 1)'),
	('purge_sources()', false, 'expense_flow.purge_sources()'),
	('purge(integer,interval,bigint,bigint,double precision)', false, NULL),
	('is_preloaded()', false, 'expense_flow.is_preloaded()'),
	('upkeep_jobs(text,text)', false, 'expense_flow.upkeep_jobs(''* * * * *'', ''* * * * *'')'),
	('install_upkeep(text,text)', false, 'expense_flow.install_upkeep(NULL)'),
	('remove_upkeep()', false, 'expense_flow.remove_upkeep()'),
	('account_id_from_json(jsonb)', true, 'expense_flow.account_id_from_json(''990001'')'),
	('amount_problem(jsonb,boolean)', true, 'expense_flow.amount_problem(''"1"'', false)'),
	('fail_without_account(text,jsonb,text)', true, 'expense_flow.fail_without_account(''Missing'', ''{}'', ''account_id'')'),
	('transactions_from_json(jsonb)', true, 'expense_flow.transactions_from_json(''[{"id": 1, "amount": 5}]'')'),
	('fail_on_bad_date(jsonb)', true, 'expense_flow.fail_on_bad_date(''[{"id": 1, "occurred_at": "yesterday?"}]'')'),
	('check_spending(jsonb)', true, 'expense_flow.check_spending(''{"account_id": 990001, "transactions": [{"id": "mx", "amount": 5}]}'')'),
	('save_spending(jsonb)', true, 'expense_flow.save_spending(''{"account_id": 990001, "transactions": [{"id": "mx", "amount": 5}]}'')'),
	('spending_by_category(jsonb)', true, 'expense_flow.spending_by_category(''{"account_id": 990001, "days": 7}'')'),
	('withdraw(jsonb)', true, 'expense_flow.withdraw(''{"transfer_id": "mx too", "from_account": 990001, "to_account": 990002, "amount": 1}'')'),
	('deposit(text,jsonb)', true, 'expense_flow.deposit(''mx'', ''990002'')'),
	('refund(text,jsonb)', true, 'expense_flow.refund(''mx'', ''{}'')'),
	('create_expense(jsonb,text)', true, 'expense_flow.create_expense(''{"account_id": 990001, "amount": 5}'', ''mx too'')'),
	('pay_expense(text)', true, 'expense_flow.pay_expense(''mx'')'),
	('settle_expense(text,text)', true, 'expense_flow.settle_expense(''mx'', ''REJECTED'')')
) v (routine, public, call);

SELECT p.oid::regprocedure AS not_in_matrix FROM pg_proc p
WHERE p.pronamespace = 'expense_flow'::regnamespace AND NOT EXISTS (SELECT FROM mx.matrix m WHERE m.routine = p.oid) ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT p.oid::regprocedure AS rights_of_public_differ FROM pg_proc p JOIN (SELECT DISTINCT routine, public FROM mx.matrix) m ON m.routine = p.oid
WHERE m.public <> has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text COLLATE "C";

/* ---- the calls ---- */

-- What a role gets from a call that is undone afterwards: how many rows, or an error.
CREATE FUNCTION mx.attempt(role name, path text, call text) RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE
	v_rows bigint;
	v_message text;
	v_state text;
BEGIN
	EXECUTE format('SET LOCAL ROLE %I', role);
	EXECUTE format('SET LOCAL search_path = %s', path);
	EXECUTE call;
	GET DIAGNOSTICS v_rows = ROW_COUNT;
	SET LOCAL search_path = pg_catalog;
	RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = format('%s rows', v_rows);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_state = RETURNED_SQLSTATE;
	RETURN CASE WHEN v_state = 'ZZ000' THEN v_message
		ELSE v_state || ' ' || regexp_replace(v_message, '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}', 'RUN', 'g') END;
END $$;

SELECT mx.attempt('regress_mx_other', 'mx_traps, pg_catalog', 'SELECT pg_catalog.count(*) FROM pg_catalog.pg_class WHERE relname = ''x''') AS so_traps_are_sprung;
SELECT m.routine, r.role, mx.attempt(r.role, 'mx_traps, pg_catalog', m.call) AS sprung
FROM mx.matrix m CROSS JOIN (VALUES ('regress_mx_owner'), ('regress_mx_other'), (current_user)) r (role)
WHERE mx.attempt(r.role, 'mx_traps, pg_catalog', m.call) <> mx.attempt(r.role, 'pg_catalog', m.call)
ORDER BY m.routine::text COLLATE "C", r.role;

SELECT m.routine, mx.attempt('regress_mx_other', 'pg_catalog', m.call) AS other_role,
	mx.attempt('regress_mx_owner', 'pg_catalog', m.call) AS its_owner,
	mx.attempt(current_user, 'pg_catalog', m.call) AS superuser
FROM mx.matrix m WHERE m.call IS NOT NULL ORDER BY m.routine::text COLLATE "C", m.call COLLATE "C";

-- Procedures commit, so they are called here.
SELECT start_workflow('mx_all', '{"items": [1, 2, 3]}', 'mx traps', start_delay => '1 hour') AS trapped_run \gset
SET ROLE regress_mx_other;
SET search_path = mx_traps, pg_catalog;
CALL expense_flow.run_pending('2 hours');
CALL expense_flow.purge();
RESET search_path;
SELECT status FROM expense_flow.runs WHERE workflow_id = 'mx traps';
RESET ROLE;
SELECT status FROM expense_flow.runs WHERE workflow_id = 'mx traps';
SET search_path = mx_traps, pg_catalog;
CALL expense_flow.run_pending('2 hours');
RESET search_path;
SELECT status, output FROM expense_flow.runs WHERE workflow_id = 'mx traps';

-- Nothing has happened to what the calls were about.
SELECT workflow_id, status, state FROM expense_flow.runs WHERE workflow_id LIKE 'mx %' ORDER BY 1;

/* ---- tables and views ---- */

-- What there is, is refused to a role without a grant, or empty; to the owner of runs it shows in views.
CREATE VIEW mx.seen AS
	SELECT c.relname, c.relkind, r.role, mx.attempt(r.role, 'pg_catalog', format('SELECT FROM %s', c.oid::regclass)) AS read,
		mx.attempt(r.role, 'pg_catalog', format(CASE c.relkind WHEN 'S' THEN 'SELECT nextval(%2$L)' ELSE 'DELETE FROM %s' END, c.oid::regclass, c.oid::regclass)) AS changed
	FROM pg_class c CROSS JOIN (VALUES ('regress_mx_owner'), ('regress_mx_other')) r (role)
	WHERE c.relnamespace = 'expense_flow'::regnamespace AND c.relkind NOT IN ('i', 'I', 'c')
		AND NOT (r.role = 'regress_mx_owner' AND c.relname IN ('account', 'transaction', 'transfer', 'expense'));
SELECT count(*) > 60 AS tables_views_and_sequences FROM mx.seen;
-- workflows and resource_alias are public
SELECT relname, relkind, read ~ 'rows' AS read, changed FROM mx.seen
WHERE role = 'regress_mx_other' AND NOT (read = '0 rows' AND relkind = 'v' OR read LIKE '42501 %') OR changed NOT SIMILAR TO '(42501|55000) %' ORDER BY 1;
SELECT relname, relkind, read <> '0 rows' AS seen FROM mx.seen WHERE role = 'regress_mx_owner' AND read NOT LIKE '42501 %' ORDER BY 1;

RESET ROLE;
SET search_path = expense_flow;
SELECT stop_capturing('mx') \g /dev/null
SELECT skip_compensation('mx saga') \g /dev/null
SELECT terminate_workflow(w) FROM unnest(ARRAY['mx open', 'mx task', 'mx queued', 'mx update']) w \g /dev/null
CALL run_pending();
SELECT drop_workflow(w) FROM unnest(ARRAY['mx', 'mx_update', 'mx_owner', 'mx_task', 'mx_saga', 'mx_all']) w \g /dev/null
SELECT drop_resource_alias('arn:mx:*') \g /dev/null
DELETE FROM transaction WHERE account_id = 990001;
DELETE FROM transfer WHERE from_account = 990001;
DELETE FROM expense WHERE account_id = 990001;
DELETE FROM account WHERE account_id IN (990001, 990002);
REVOKE ALL ON account, transaction, transfer, expense FROM regress_mx_owner;
DROP SCHEMA mx_traps, mx CASCADE;
REVOKE EXECUTE ON FUNCTION create_workflow FROM regress_mx_owner;
DROP ROLE regress_mx_owner, regress_mx_other;
