/*
 * Trying out a state without a run.
 */

CREATE FUNCTION test_state(definition json, input jsonb DEFAULT '{}', state text DEFAULT NULL, mock jsonb DEFAULT NULL,
		variables jsonb DEFAULT NULL, context jsonb DEFAULT NULL, retry_count integer DEFAULT 0)
	RETURNS jsonb
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_test_state';
COMMENT ON FUNCTION test_state(json, jsonb, text, jsonb, jsonb, jsonb, integer) IS 'What one state makes of an input, without a run, as the service''s TestState. definition: of a whole workflow (state: which of its states, by default the first) or of just the state. mock: what its work yields, {"result": …} or {"errorOutput": {"error": …, "cause": …}}; without it an SQL activity is really called, as the caller. variables, context: what `$name` and `$$` are. retry_count: how often the state was retried before. The answer has status (SUCCEEDED, FAILED, RETRIABLE, CAUGHT_ERROR), output and nextState, or error and cause, and in inspectionData how the data came through each stage. Error EF007: the definition is not valid.';
