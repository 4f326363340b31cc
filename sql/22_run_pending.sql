/*
 * Doing what is due from any session.
 */

CREATE PROCEDURE run_pending(skip interval DEFAULT NULL, wait_for_others boolean DEFAULT true, max_steps bigint DEFAULT NULL)
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'ef_run_pending';
COMMENT ON PROCEDURE run_pending(interval, boolean, bigint) IS 'Advance the runs that the caller owns or started until nothing of them is due; each step is committed by itself, so not inside a transaction block. skip acts as if so much time had passed (timers within it fire, in their order). wait_for_others also waits for steps that background workers have at work, so that nothing due is undone afterwards. max_steps ends the call after so many transactions. A branch that the engine itself cannot advance is passed over, with a warning, and the others go on. A run of another role is advanced as a security-restricted operation: it can use neither temporary objects nor deferred constraints. Errors: 2D000 inside a transaction block or function.';
