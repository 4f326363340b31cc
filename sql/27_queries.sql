/*
 * Queries: reading runs by what their definitions call things.
 *
 * All that one call reads it reads in the snapshot of the statement that calls
 * it; therefore these functions are STABLE.
 */

CREATE VIEW branch_data WITH (security_barrier) AS
	SELECT b.run_id,
		b.branch_id,
		coalesce(b.entered_at,
			(SELECT t.at FROM expense_flow.transition t
				WHERE t.run_id OPERATOR(pg_catalog.=) b.run_id
					AND t.step OPERATOR(pg_catalog.=) b.step
					AND t.branch_id OPERATOR(pg_catalog.=) b.branch_id),
			r.started_at) AS since,
		coalesce((SELECT t.output FROM expense_flow.transition t
				WHERE t.run_id OPERATOR(pg_catalog.=) b.run_id
					AND t.step OPERATOR(pg_catalog.=) b.data_step
					AND t.branch_id OPERATOR(pg_catalog.=) b.branch_id),
			r.input) AS input,
		b.variables
	FROM expense_flow.branch b
		JOIN expense_flow.run r ON r.run_id OPERATOR(pg_catalog.=) b.run_id
	WHERE pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE')
	UNION ALL
	SELECT c.run_id, 0, NULL, NULL, c.variables
	FROM expense_flow.closed_run c
		JOIN expense_flow.run r ON r.run_id OPERATOR(pg_catalog.=) c.run_id
	WHERE (pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE'))
		AND (SELECT expense_flow.flush_wal());
GRANT SELECT ON branch_data TO PUBLIC;
COMMENT ON VIEW branch_data IS 'Internal, for query_workflow(): what the branches of open runs, and the main lines of closed ones, carry.';

CREATE FUNCTION run_state(run_id uuid)
	RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object(
			'run_id', r.run_id,
			'workflow_id', r.workflow_id,
			'workflow', r.workflow,
			'version', r.version,
			'status', r.status,
			'started_at', r.started_at,
			'closed_at', r.closed_at,
			'output', r.output,
			'error', r.error,
			'cause', r.cause,
			'compensating', r.compensating,
			'branches', (SELECT coalesce(jsonb_agg(jsonb_build_object(
						'branch_id', b.branch_id,
						'parent_id', b.parent_id,
						'state', b.state,
						'status', b.status,
						'since', d.since,
						'due_at', b.due_at,
						'attempt', b.retry_count + 1,
						'last_failure', b.last_failure,
						'awaits', coalesce(b.awaits, '{}'),
						'cancel_requested', b.cancel_requested,
						'input', d.input,
						'variables', coalesce(d.variables, '{}')) ORDER BY b.branch_id), '[]')
				FROM expense_flow.branches b
					JOIN expense_flow.branch_data d ON d.run_id = b.run_id AND d.branch_id = b.branch_id
				WHERE b.run_id = run_state.run_id))
	FROM expense_flow.runs r
	WHERE r.run_id = run_state.run_id
$$;
COMMENT ON FUNCTION run_state(uuid) IS 'Internal: the query state of query_workflow(). NULL if the current role sees no such run.';

CREATE FUNCTION run_variables(run_id uuid)
	RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT coalesce(d.variables, '{}')
	FROM expense_flow.branch_data d
	WHERE d.run_id = run_variables.run_id AND d.branch_id = 0
$$;
COMMENT ON FUNCTION run_variables(uuid) IS 'Internal: the query variables of query_workflow(). NULL if the current role sees no such run.';

CREATE FUNCTION run_activities(run_id uuid)
	RETURNS jsonb
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT jsonb_build_object(
			'activities', (SELECT coalesce(jsonb_agg(to_jsonb(t) - '{run_id,workflow_id}'::text[] || jsonb_build_object('state', b.state)
						ORDER BY t.branch_id, t.scheduled_at, t.attempt), '[]')
				FROM expense_flow.activity_tasks t
					LEFT JOIN expense_flow.branches b ON b.run_id = t.run_id AND b.branch_id = t.branch_id
				WHERE t.run_id = run_activities.run_id),
			'awaits', (SELECT coalesce(jsonb_agg(jsonb_build_object(
						'branch_id', b.branch_id,
						'state', b.state,
						'address', a.address,
						'since', b.entered_at,
						'due_at', b.due_at) ORDER BY b.branch_id, a.position), '[]')
				FROM expense_flow.branches b
					CROSS JOIN LATERAL unnest(b.awaits) WITH ORDINALITY a (address, position)
				WHERE b.run_id = run_activities.run_id AND a.address NOT LIKE 'task:%'))
$$;
COMMENT ON FUNCTION run_activities(uuid) IS 'Internal: the query activities of query_workflow(); nothing of a run that the current role does not see.';

CREATE FUNCTION query_workflow(workflow_id text, query text DEFAULT 'state', args jsonb DEFAULT NULL)
	RETURNS jsonb
	LANGUAGE c STABLE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_query_workflow';
COMMENT ON FUNCTION query_workflow(text, text, jsonb) IS 'Ask the open run of a workflow_id (or the last one that was closed; or that of a run_id''s text) something, and change nothing. Every run knows ''state'' (its status, and of each branch: state, status, since when, attempt, what it awaits, input, variables), ''variables'' (those of the main line; of a closed run, the last) and ''activities'' (external activities that are not over, and the messages awaited). Others are functions that the definition names in Queries: such a function gets one jsonb argument {"args", "run" (as describe_run), "state", "variables"}, has the rights of the run''s owner, and cannot write. All that is told is of one snapshot, that of the calling statement. Errors: EF002 no such run (or it is another role''s); 42704 no such query; 25006 the function wanted to write; those that the function raises.';
