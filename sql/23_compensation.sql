/*
 * Compensations that failed for good wait for somebody to decide.
 */

CREATE FUNCTION retry_compensation(workflow_id text)
	RETURNS integer
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_retry_compensation';
COMMENT ON FUNCTION retry_compensation(text) IS 'Run the compensations of an open run that failed for good once more, with all their attempts; returns how many. workflow_id may also be the text of a run_id. Errors: EF002 no such run; EF006 it is closed; 55000 none of its compensations has failed.';

CREATE FUNCTION skip_compensation(workflow_id text)
	RETURNS integer
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_skip_compensation';
COMMENT ON FUNCTION skip_compensation(text) IS 'Leave out the compensations of an open run that failed for good, because somebody has seen to them, and go on with the next ones; returns how many. workflow_id may also be the text of a run_id. Errors: EF002 no such run; EF006 it is closed; 55000 none of its compensations has failed.';

CREATE VIEW compensations WITH (security_barrier) AS
	SELECT c.run_id,
		c.state,
		CASE c.status
			WHEN 'P' THEN 'REGISTERED'
			WHEN 'R' THEN 'RUNNING'
			WHEN 'D' THEN 'DONE'
			WHEN 'F' THEN 'FAILED'
			WHEN 'S' THEN 'SKIPPED'
		END AS status,
		c.input,
		c.error,
		c.cause,
		c.registered_at,
		c.step,
		c.branch_id
	FROM expense_flow.compensation c
		JOIN expense_flow.run r ON r.run_id OPERATOR(pg_catalog.=) c.run_id
	WHERE pg_catalog.pg_has_role(r.owner, 'USAGE') OR pg_catalog.pg_has_role(r.starter, 'USAGE');
GRANT SELECT ON compensations TO PUBLIC;
COMMENT ON VIEW compensations IS 'The compensations of runs that the current role may see: of which state, and status REGISTERED, RUNNING, DONE, FAILED (for good: with error and cause, it waits for retry_compensation() or skip_compensation()) or SKIPPED. (step, branch_id) orders them as they were registered.';
