-- The views runs, branches and history, and describe_run().
SET search_path = expense_flow;
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE FUNCTION public.view_twice(x integer) RETURNS integer LANGUAGE sql AS 'SELECT x * 2';
CREATE FUNCTION public.view_broken() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.fail('Broken', 'it does not work');
	RETURN 0;
END $$;

SELECT create_workflow('view_ok', $${"StartAt":"Double","States":{
	"Double":{"Type":"Task","Resource":"sql:public.view_twice","Parameters":{"x.$":"$.n"},"ResultPath":"$.twice","Next":"Which"},
	"Which":{"Type":"Choice","Choices":[{"Variable":"$.twice","NumericGreaterThan":10,"Next":"Big"}],"Default":"Small"},
	"Big":{"Type":"Pass","Result":"big","ResultPath":"$.size","Next":"Done"},
	"Small":{"Type":"Pass","Result":"small","ResultPath":"$.size","Next":"Done"},
	"Done":{"Type":"Succeed","OutputPath":"$.size"}}}$$);
SELECT create_workflow('view_caught', $${"StartAt":"Try","States":{
	"Try":{"Type":"Task","Resource":"sql:public.view_broken","Catch":[{"ErrorEquals":["Broken"],"Next":"Give up"}],"End":true},
	"Give up":{"Type":"Fail","Error":"GivenUp","Cause":"after one attempt"}}}$$);
SELECT create_workflow('view_retry', $${"StartAt":"Try","States":{
	"Try":{"Type":"Task","Resource":"sql:public.view_broken","Retry":[{"ErrorEquals":["States.ALL"],"IntervalSeconds":86400}],"End":true}}}$$);
SELECT create_workflow('view_timer', $${"StartAt":"Sleep","TimeoutSeconds":200000,"States":{
	"Sleep":{"Type":"Wait","Seconds":100000,"End":true}}}$$);

SELECT start_workflow('view_ok', '{"n":7}', 'view-1') AS ok \gset
SELECT start_workflow('view_caught', '{"why":"test"}', 'view-2') AS caught \gset
SELECT start_workflow('view_retry', '{}', 'view-3') AS retrying \gset
SELECT start_workflow('view_timer') AS timer \gset
CALL run_pending();
-- Where workers run, they may still be at it: the ends can be waited for.
SELECT get_result(:'ok');
SELECT get_result(:'caught');
DO $$
BEGIN
	WHILE EXISTS (SELECT FROM expense_flow.runs WHERE workflow IN ('view_retry', 'view_timer') AND status = 'RUNNING'
			AND retry_count = 0 AND state <> 'Sleep')
		OR EXISTS (SELECT FROM expense_flow.branches b JOIN expense_flow.runs r USING (run_id) WHERE r.workflow = 'view_timer' AND b.status = 'READY')
	LOOP
		COMMIT;
	END LOOP;
END $$;

SELECT workflow_id, workflow, version, status, input, output, error, cause, state, retry_count
FROM runs WHERE workflow LIKE 'view\_%' AND workflow_id LIKE 'view-%' ORDER BY run_id;
SELECT workflow_id = run_id::text AS run_id_is_workflow_id, status, state, output,
	closed_at IS NULL AS open, deadline - started_at AS deadline, due_at - started_at >= '100000 s' AS due, owner = starter AS started_by_owner
FROM runs WHERE run_id = :'timer';
SELECT status, count(*) FROM runs WHERE workflow LIKE 'view\_%' GROUP BY status ORDER BY status;
SELECT r.workflow, b.branch_id, b.parent_id, b.state, b.status, b.retry_count,
	b.last_failure - 'retry_at' AS last_failure, b.due_at > now() AS due_later
FROM branches b JOIN runs r USING (run_id) WHERE r.workflow LIKE 'view\_%' ORDER BY r.run_id;

SELECT event_id, type, state, details FROM history WHERE run_id = :'ok' ORDER BY event_id;
SELECT event_id, type, state, details FROM history WHERE run_id = :'caught' ORDER BY event_id;
SELECT event_id, type, state, details - 'retry_at' AS details, (details->>'retry_at')::timestamptz > at AS retry_later
FROM history WHERE run_id = :'retrying' ORDER BY event_id;
SELECT event_id, type, state, details FROM history WHERE run_id = :'timer' ORDER BY event_id;
-- Times never go back within a branch.
SELECT count(*) AS backwards FROM (SELECT at < lag(at) OVER (PARTITION BY run_id ORDER BY event_id) AS back
	FROM history WHERE run_id IN (:'ok', :'caught', :'retrying', :'timer')) h WHERE back;

-- Described as a whole.
SELECT describe_run(:'ok') - '{run_id,started_at,closed_at,owner,starter}'::text[];
SELECT describe_run(:'caught') - '{run_id,started_at,closed_at,owner,starter}'::text[];
SELECT key FROM jsonb_each(describe_run(:'timer')) ORDER BY key;
SELECT d->>'run_id' = :'retrying' AS run_id, d->'status' AS status, d->'state' AS state, d->'retry_count' AS retry_count,
	jsonb_array_length(d->'branches') AS branches, d #> '{branches,0,last_failure,error}' AS last_error
FROM describe_run(:'retrying') d;
SELECT describe_run('00000000-0000-0000-0000-000000000000');
\echo :LAST_ERROR_SQLSTATE
SELECT describe_run(NULL);

-- Asked for one run or for a workflow_id, they read tables by index only.
SET enable_seqscan = off;
CREATE FUNCTION pg_temp.unindexed(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN QUERY
		WITH RECURSIVE node(n) AS (
			SELECT (plan->0->'Plan')::jsonb
			UNION ALL
			SELECT p FROM node, jsonb_array_elements(n->'Plans') p)
		SELECT n->>'Node Type' || ' on ' || (n->>'Relation Name')
		FROM node WHERE n->>'Relation Name' IN ('run', 'branch', 'transition', 'closed_run') AND NOT n ?| '{Index Cond,Recheck Cond}';
END $$;
SELECT pg_temp.unindexed($$SELECT * FROM expense_flow.runs WHERE run_id = '00000000-0000-0000-0000-000000000000'$$);
SELECT pg_temp.unindexed($$SELECT * FROM expense_flow.runs WHERE run_id = ANY ('{00000000-0000-0000-0000-000000000000}')$$);
SELECT pg_temp.unindexed($$SELECT * FROM expense_flow.branches WHERE run_id = '00000000-0000-0000-0000-000000000000'$$);
SELECT pg_temp.unindexed($$SELECT * FROM expense_flow.history WHERE run_id = '00000000-0000-0000-0000-000000000000'$$);
SELECT pg_temp.unindexed($$SELECT * FROM expense_flow.run_workflow_ids WHERE workflow_id = 'x'$$);
-- (The same way of asking does find out.)
SELECT count(*) > 0 AS found_out FROM pg_temp.unindexed($$SELECT * FROM expense_flow.runs WHERE cause = ''$$);
RESET enable_seqscan;
SELECT workflow_id, status FROM find_runs('view-1');
SELECT run_id = :'timer' AS found_by_run_id FROM find_runs(:'timer');
SELECT count(*) FROM find_runs(:'ok');
SELECT count(*) FROM find_runs('view-0');

-- Open runs keep their workflow.
SELECT drop_workflow('view_timer');
\echo :LAST_ERROR_SQLSTATE
SELECT drop_workflow('view_ok');
SELECT workflow, version, status, output FROM runs WHERE run_id = :'ok';
SELECT count(*) FROM history WHERE run_id = :'ok';
SELECT terminate_workflow('view-3');
SELECT terminate_workflow(:'timer', 'enough');
SELECT status, state, output, error, cause FROM runs WHERE run_id = :'timer';
SELECT event_id, type, details FROM history WHERE run_id = :'timer' ORDER BY event_id DESC LIMIT 1;
SELECT drop_workflow(w) FROM unnest(ARRAY['view_timer', 'view_retry', 'view_caught']) w;
DROP FUNCTION public.view_twice, public.view_broken;
