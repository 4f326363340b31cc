-- Roles see and steer only what is theirs.
SET search_path = expense_flow;
SET client_min_messages = warning;
CREATE ROLE regress_alice;
CREATE ROLE regress_bob;
CREATE ROLE regress_auditor;
GRANT regress_alice, regress_bob TO regress_auditor;
GRANT EXECUTE ON FUNCTION create_workflow TO regress_alice;

CREATE FUNCTION public.rights_who() RETURNS jsonb LANGUAGE sql AS
	$$SELECT jsonb_build_object('current_user', current_user, 'session_user_is_tester', session_user <> current_user)$$;

SET ROLE regress_alice;
SELECT create_workflow('rights_as_starter', '{"StartAt":"A","States":{"A":{"Type":"Task","Resource":"sql:public.rights_who","End":true}}}');
SELECT create_workflow('rights_as_owner', '{"StartAt":"B","States":{"B":{"Type":"Task","Resource":"sql:public.rights_who","End":true}}}', 'owner');
SELECT start_workflow('rights_as_starter', '{"secret":"of alice"}') AS alice_run \gset
SET ROLE regress_bob;
SELECT start_workflow('rights_as_starter', '{"secret":"of bob"}') AS bob_run \gset
-- Runs that have the owner's rights need a grant.
SELECT start_workflow('rights_as_owner');
\echo :LAST_ERROR_SQLSTATE
SET ROLE regress_alice;
SELECT grant_start('rights_as_owner', 'regress_bob');
SET ROLE regress_bob;
SELECT start_workflow('rights_as_owner', '{"secret":"of both"}') AS shared_run \gset
RESET ROLE;
CALL run_pending();

SET ROLE regress_alice;
SELECT get_result(:'alice_run');
SELECT get_result(:'shared_run');
SET ROLE regress_bob;
SELECT get_result(:'bob_run');
-- He started it, so he may see it, though it has alice's rights.
SELECT get_result(:'shared_run');
SELECT owner, starter, input FROM runs WHERE run_id = :'shared_run';

-- Nothing of another's run, not even that it exists.
\set SHOW_CONTEXT never
\set VERBOSITY sqlstate
SELECT get_result(:'alice_run');
SELECT get_result(:'alice_run', '0');
SELECT describe_run(:'alice_run');
\set VERBOSITY default
SELECT count(*) FROM find_runs(:'alice_run');
SELECT count(*) FROM runs WHERE run_id = :'alice_run';
SELECT count(*) FROM history WHERE run_id = :'alice_run';
SELECT owner, input FROM runs WHERE workflow LIKE 'rights\_%' ORDER BY run_id;
SELECT count(DISTINCT run_id) FROM history;
SELECT describe_run(:'bob_run')->'status';
-- No condition sees a row before the check does.
CREATE TABLE pg_temp.peeped (what jsonb);
CREATE FUNCTION pg_temp.peep(x jsonb) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
	INSERT INTO peeped VALUES (x);
	RETURN true;
END $$;
SELECT count(*) FROM runs WHERE pg_temp.peep(input) AND started_at < 'infinity';
SELECT what FROM peeped ORDER BY what;
DROP FUNCTION pg_temp.peep(jsonb);
DROP TABLE peeped;
-- The tables themselves are nobody's business.
SELECT count(*) FROM run;
SELECT count(*) FROM transition;
SELECT count(*) FROM closed_run;
SELECT count(*) FROM branch;
SELECT count(*) FROM workflow_version;
INSERT INTO workflow_grant VALUES ('rights_as_owner', 'regress_bob');

SET ROLE regress_alice;
SELECT owner, input FROM runs WHERE workflow LIKE 'rights\_%' ORDER BY run_id;
SELECT revoke_start('rights_as_owner', 'regress_bob');
SET ROLE regress_bob;
SELECT start_workflow('rights_as_owner');
-- Whoever has the privileges of both sees the runs of both.
SET ROLE regress_auditor;
SELECT owner, starter, input FROM runs WHERE workflow LIKE 'rights\_%' ORDER BY run_id;
RESET ROLE;

-- No function is open to everybody by oversight.
SELECT p.oid::regprocedure AS executable_by_public
FROM pg_proc p
WHERE p.pronamespace = 'expense_flow'::regnamespace
	AND p.proname IN ('create_workflow', 'register_built_in_workflow', 'create_resource_alias', 'drop_resource_alias',
		'validate_workflow', 'drop_workflow', 'grant_start', 'revoke_start', 'describe_run', 'get_result', 'resolve_resource', 'test_state')
	AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY 1;

-- The runs of a role that is gone stay readable to those who see everything.
SELECT drop_workflow('rights_as_owner'), drop_workflow('rights_as_starter');
REVOKE EXECUTE ON FUNCTION create_workflow FROM regress_alice;
DROP ROLE regress_bob, regress_alice, regress_auditor;
SELECT count(*) FROM runs WHERE run_id IN (:'alice_run', :'bob_run', :'shared_run');
CREATE ROLE regress_carol;
SET ROLE regress_carol;
SELECT count(*) FROM runs WHERE run_id IN (:'alice_run', :'bob_run', :'shared_run');
RESET ROLE;
DROP ROLE regress_carol;
DROP FUNCTION public.rights_who();
