-- start_workflows(): many runs of a workflow at once.
\set ECHO queries
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;
\set SHOW_CONTEXT always

SELECT create_workflow('many', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": "version 1", "End": true}}}');
SELECT create_workflow('many', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
SELECT create_workflow('many wait', '{"StartAt": "A", "TimeoutSeconds": 7200, "States": {"A": {"Type": "Wait", "Seconds": 36000, "End": true}}}');
SELECT create_workflow('many fail', '{"StartAt": "A", "States": {"A": {"Type": "Fail"}}}');

-- A run for each input, in their order; without a workflow_id it is the run_id's text.
SELECT count(*), count(DISTINCT run_id), bool_and(workflow_id = run_id::text), bool_and(run_id > before)
	FROM (SELECT *, lag(run_id, 1, '00000000-0000-0000-0000-000000000000') OVER () AS before
		FROM start_workflows('many', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 1000) i), start_delay => '1 hour')) s;
SELECT n, workflow_id FROM start_workflows('many', ARRAY['{"a": 1}', 'null', '[]']::jsonb[], ARRAY['m1', 'm2', 'm3'], start_delay => '1 hour')
	WITH ORDINALITY s (run_id, workflow_id, n);
SELECT workflow_id = run_id::text, workflow_id = 'm4' FROM start_workflows('many', ARRAY['4', '5']::jsonb[], ARRAY['m4', NULL], start_delay => '1 hour', version => 1);
CALL run_pending(skip => '2 hours');
SELECT count(*), sum(output::integer) FROM runs WHERE workflow = 'many' AND jsonb_typeof(output) = 'number' AND status = 'SUCCEEDED';
SELECT workflow_id, version, status, input, output FROM runs WHERE workflow_id IN ('m1', 'm2', 'm3', 'm4') ORDER BY 1;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('m1')) ORDER BY event_id;

-- Workers take them up, too.
CREATE TABLE started AS SELECT * FROM start_workflows('many', ARRAY(SELECT to_jsonb(i) FROM generate_series(1, 100) i));
SELECT sum(get_result(run_id, '1 minute')::integer) FROM started;
DROP TABLE started;

-- None.
SELECT count(*) FROM start_workflows('many', '{}');
SELECT count(*) FROM start_workflows('many', '{}', '{}');

-- All or nothing.
\set VERBOSITY terse
SELECT count(*) FROM start_workflows('many wait', ARRAY['1', '2']::jsonb[], ARRAY['open 1', 'open 2'], start_delay => '1 hour');
SELECT count(*) FROM start_workflows('many', ARRAY['1', '2', '3']::jsonb[], ARRAY['new 1', 'open 2', 'new 2']);
\echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM runs WHERE workflow_id ~ '^new [0-9]';
BEGIN;
SELECT count(*) FROM start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY['new 1', 'new 2']);
ROLLBACK;
SELECT count(*) FROM runs WHERE workflow_id ~ '^new [0-9]';
-- Deadlines and delays are those of each.
SELECT count(*) FROM find_runs('open 1') r JOIN run USING (run_id) WHERE run.deadline - run.started_at = '3 hours' AND r.status = 'RUNNING';
SELECT count(*) FROM start_workflows('many wait', ARRAY['1']::jsonb[], ARRAY['timeout'], start_delay => '1 hour', run_timeout => '1 second');
CALL run_pending(skip => '90 minutes');
SELECT workflow_id, status FROM runs WHERE workflow_id IN ('timeout', 'open 1', 'open 2') ORDER BY 1;

-- Open runs of some of the workflow_ids.
SELECT s.workflow_id, r.workflow, r.input FROM start_workflows('many', ARRAY['10', '20', '30', '40']::jsonb[], ARRAY['open 2', 'new 1', NULL, 'open 1'],
	on_conflict => 'use_existing', start_delay => '1 hour') WITH ORDINALITY s (run_id, workflow_id, n) LEFT JOIN runs r USING (run_id) WHERE s.workflow_id <> s.run_id::text ORDER BY n;
SELECT s.workflow_id FROM start_workflows('many', ARRAY['10', '20']::jsonb[], ARRAY['open 1', 'new 3'], on_conflict => 'terminate_existing', start_delay => '1 hour') s;
SELECT workflow_id, workflow, status, input FROM runs WHERE workflow_id ~ '^(open|new) [0-9]' ORDER BY 1, 3;

-- Closed runs of some of them.
SELECT count(*) FROM start_workflows('many fail', ARRAY['1']::jsonb[], ARRAY['failed'], start_delay => '1 hour');
CALL run_pending(skip => '2 hours');
SELECT count(*) FROM start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY['failed', 'm1'], on_reuse => 'allow_if_failed');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT count(*) FROM start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY['new', 'failed'], on_reuse => 'allow_if_failed', start_delay => '1 hour');

-- Mistakes.
SELECT start_workflows('many', NULL);
SELECT start_workflows('many', ARRAY['1', NULL, '3']::jsonb[]);
SELECT start_workflows('many', ARRAY[['1', '2'], ['3', '4']]::jsonb[]);
SELECT start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY['a']);
SELECT start_workflows('many', ARRAY['1']::jsonb[], '{}');
SELECT start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY[['a', 'b']]);
SELECT start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY['a', '']);
SELECT start_workflows('many', ARRAY['1', '2', '3', '4', '5']::jsonb[], ARRAY['a', NULL, 'b', NULL, 'a'], on_conflict => 'use_existing');
SELECT start_workflows('unknown', ARRAY['1']::jsonb[]);
SELECT start_workflows(NULL, ARRAY['1']::jsonb[]);
SELECT start_workflows('many', ARRAY['1']::jsonb[], version => 3);
SELECT start_workflows('many', ARRAY['1']::jsonb[], on_conflict => 'ignore');
SELECT start_workflows('many', ARRAY['1']::jsonb[], start_delay => '-1 second');

-- Whose runs they are, and who may.
CREATE ROLE regress_many_user;
SELECT create_workflow('many guarded', '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}', run_as => 'owner');
SET ROLE regress_many_user;
SELECT start_workflows('many guarded', ARRAY['1']::jsonb[]);
SELECT count(*) FROM start_workflows('many', ARRAY['1', '2']::jsonb[], start_delay => '1 hour');
SELECT start_workflows('many', ARRAY['1', '2']::jsonb[], ARRAY['new 9', 'open 2'], on_conflict => 'terminate_existing');
SELECT count(*), count(DISTINCT owner) FROM runs;
RESET ROLE;
SELECT count(*) FROM runs WHERE owner = 'regress_many_user'::regrole;
SELECT count(terminate_workflow(workflow_id)) FROM runs WHERE workflow LIKE 'many%' AND status = 'RUNNING';
DROP ROLE regress_many_user;
