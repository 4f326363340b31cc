-- What the conformance runner needs in its database: the functions that stand for the recorded cases' Lambda
-- functions, and functions that keep what became of each case.
CREATE SCHEMA conformance;

CREATE FUNCTION conformance.identity(payload jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT payload';
CREATE FUNCTION conformance.echo(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT '{"Return": "HelloWorld"}'::jsonb$$;
CREATE FUNCTION conformance.return_bytes_str(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT '"HelloWorld!"'::jsonb$$;
CREATE FUNCTION conformance.large_output(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb(repeat('a', 257 * 1024))$$;
CREATE FUNCTION conformance.decorated(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb('input-event-' || (payload #>> '{}'))$$;
CREATE FUNCTION conformance.sleep60(payload jsonb) RETURNS jsonb LANGUAGE sql AS $$SELECT to_jsonb(payload) FROM pg_sleep(60)$$;
CREATE FUNCTION conformance.raise_exception(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.fail('Exception', 'Some exception was raised.');
	RETURN NULL;
END $$;
CREATE FUNCTION conformance.raise_custom_exception(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.fail('CustomException', 'CustomException message');
	RETURN NULL;
END $$;

-- The state machines that recorded cases start are not recorded; what became of their executions is.  So each is a
-- workflow that comes to just that.
CREATE FUNCTION conformance.declare_machine(arn text, status text, result jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.create_workflow(arn, CASE status
		WHEN 'SUCCEEDED' THEN json_build_object('StartAt', 'End', 'States', json_build_object('End',
			json_build_object('Type', 'Pass', 'Result', result, 'End', true)))
		ELSE json_build_object('StartAt', 'End', 'States', json_build_object('End',
			json_build_object('Type', 'Fail', 'Error', result ->> 'Error', 'Cause', result ->> 'Cause'))) END);
	PERFORM expense_flow.create_resource_alias(arn, 'workflow:' || arn);
END $$;

-- One that ends the Task which waits for it by the Task's token, as a program outside did in the recording.
CREATE FUNCTION conformance.answer(token text, output jsonb) RETURNS void LANGUAGE sql AS 'SELECT expense_flow.complete_activity(token, output)';
CREATE FUNCTION conformance.declare_answering_machine(arn text, output jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.create_workflow(arn, json_build_object('StartAt', 'Answer', 'States', json_build_object('Answer',
		json_build_object('Type', 'Task', 'Resource', 'sql:conformance.answer', 'End', true,
			'Parameters', json_build_object('token.$', '$.TaskToken', 'output', output)))));
	PERFORM expense_flow.create_resource_alias(arn, 'workflow:' || arn);
END $$;

CREATE TABLE conformance.started (id text PRIMARY KEY, run_id uuid, error text, cause text);

CREATE FUNCTION conformance.declare_function(name text, behaviour text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM expense_flow.create_resource_alias(
		'arn:aws:lambda:us-east-1:111111111111:function:' || name, 'sql:conformance.' || behaviour);
EXCEPTION WHEN OTHERS THEN
	NULL;						-- the same name in another case
END $$;

CREATE FUNCTION conformance.start(id text, definition text, input text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	v_detail text;
BEGIN
	PERFORM expense_flow.create_workflow(id, definition::json);
	INSERT INTO conformance.started VALUES (id, expense_flow.start_workflow(id, input::jsonb));
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
	INSERT INTO conformance.started VALUES (id, NULL, SQLERRM, v_detail);
END $$;

CREATE FUNCTION conformance.report() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT json_build_object(
		'id', s.id,
		'status', coalesce(d.run ->> 'status', 'not started'),
		'output', d.run -> 'output',
		'error', coalesce(d.run ->> 'error', s.error),
		'cause', coalesce(d.run ->> 'cause', s.cause),
		'events', (SELECT json_agg(h.type ORDER BY h.event_id) FROM expense_flow.history h WHERE h.run_id = s.run_id))::text
	FROM conformance.started s
		CROSS JOIN LATERAL (SELECT CASE WHEN s.run_id IS NOT NULL THEN expense_flow.describe_run(s.run_id) END AS run) d
$$;

CREATE FUNCTION conformance.problems(definition text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN coalesce((SELECT json_agg(v.path || ': ' || v.problem) FROM expense_flow.validate_workflow(definition::json) v), '[]')::text;
EXCEPTION WHEN OTHERS THEN
	RETURN json_build_array(SQLERRM)::text;
END $$;

CREATE FUNCTION conformance.attempt(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_result text;
BEGIN
	EXECUTE query INTO v_result;
	RETURN coalesce(v_result, 'null');
EXCEPTION WHEN OTHERS THEN
	RETURN json_build_object('status', 'raised', 'error', SQLERRM)::text;
END $$;

