/*
 * Branches that crash their process, or fail at each attempt through no fault of the workflow, are parked.
 */

CREATE FUNCTION resume_workflow(workflow_id text)
	RETURNS integer
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_resume_workflow';
COMMENT ON FUNCTION resume_workflow(text) IS 'Go on with the open run of workflow_id (or the text of a run_id), which is PAUSED: repeat the steps that crashed their process three times in a row, or that the engine failed 20 times in a row to do. Returns how many branches were resumed. For roles that may steer the run. Errors: EF002 no such run (or it is another role''s); EF006 it is closed; 55000 it is not paused.';
