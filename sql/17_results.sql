/*
 * One run.
 */

CREATE FUNCTION describe_run(run_id uuid)
	RETURNS jsonb
	LANGUAGE plpgsql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_run jsonb;
BEGIN
	SELECT jsonb_build_object(
			'run_id', r.run_id,
			'workflow_id', r.workflow_id,
			'workflow', r.workflow,
			'version', r.version,
			'status', r.status,
			'input', r.input,
			'output', r.output,
			'error', r.error,
			'cause', r.cause,
			'started_at', r.started_at,
			'closed_at', r.closed_at,
			'deadline', r.deadline,
			'parent_run_id', r.parent_run_id,
			'children', (SELECT coalesce(jsonb_agg(jsonb_build_object('run_id', c.run_id, 'workflow_id', c.workflow_id,
						'workflow', c.workflow, 'status', c.status) ORDER BY c.run_id), '[]')
				FROM expense_flow.runs c
				WHERE c.parent_run_id = describe_run.run_id),
			'paused_reason', r.paused_reason,
			'compensating', r.compensating,
			'compensations', (SELECT coalesce(jsonb_agg(to_jsonb(c) - 'run_id' ORDER BY c.step, c.branch_id), '[]')
				FROM expense_flow.compensations c
				WHERE c.run_id = describe_run.run_id),
			'owner', r.owner,
			'starter', r.starter,
			'state', r.state,
			'due_at', r.due_at,
			'retry_count', r.retry_count,
			'branches', (SELECT coalesce(jsonb_agg(to_jsonb(b) - 'run_id' ORDER BY b.branch_id), '[]')
				FROM expense_flow.branches b
				WHERE b.run_id = describe_run.run_id))
		INTO v_run
		FROM expense_flow.runs r
		WHERE r.run_id = describe_run.run_id;
	IF NOT FOUND THEN
		IF run_id IS NULL THEN
			RAISE EXCEPTION 'run_id must not be null' USING ERRCODE = 'null_value_not_allowed';
		END IF;
		RAISE EXCEPTION 'run "%" does not exist', run_id USING ERRCODE = 'EF002';
	END IF;
	RETURN v_run;
END
$$;
COMMENT ON FUNCTION describe_run(uuid) IS 'All about a run that the current role may see, as the columns of the view runs, its child runs, its compensations, and while it is open, its branches. Error EF002: there is no such run (or it is another role''s).';

CREATE FUNCTION find_runs(workflow_id text)
	RETURNS SETOF expense_flow.runs
	LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE ROWS 1
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_run_ids uuid[] := ARRAY(SELECT i.run_id FROM expense_flow.run_workflow_ids i WHERE i.workflow_id = find_runs.workflow_id);
BEGIN
	-- A run that was given none has the text of its run_id.
	IF workflow_id ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN
		v_run_ids := v_run_ids || workflow_id::uuid;
	END IF;
	RETURN QUERY
		SELECT * FROM expense_flow.runs r
		WHERE r.run_id = ANY (v_run_ids) AND r.workflow_id = find_runs.workflow_id
		ORDER BY r.run_id DESC;
END
$$;
COMMENT ON FUNCTION find_runs(text) IS 'The runs with this workflow_id that the current role may see, the latest first, by index: much faster than the same condition on the view runs, when there are many.';

CREATE FUNCTION get_result(run_id uuid, timeout interval DEFAULT NULL)
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_get_result';
COMMENT ON FUNCTION get_result(uuid, interval) IS 'Wait until a run has ended and return its output. timeout: how long to wait at most (0: look only; NULL: for ever). Errors: EF002 there is no such run (or it is another role''s); EF005 it failed, timed out, was canceled or terminated (the message tells which, and the error''s name; the detail is the cause); EF009 it has not ended within the timeout.';
