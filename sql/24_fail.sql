/*
 * For activities.
 */

CREATE FUNCTION fail(error text, cause text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'ef_fail';
COMMENT ON FUNCTION fail(text, text) IS 'Inside an SQL activity: fail with this error name, which Retry and Catch of the Task can match, and this cause. Raises SQLSTATE EF100 (message: the error name; detail: the cause).';
