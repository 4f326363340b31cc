-- arn:aws:states:::lambda:invoke: the function and its input are parameters; aliases say which functions there are.
\set VERBOSITY terse
\set ECHO queries
\pset format unaligned
\pset tuples_only
SET client_min_messages = warning;
SET search_path = public, expense_flow;

CREATE FUNCTION same(payload jsonb) RETURNS jsonb LANGUAGE sql AS 'SELECT payload';
CREATE FUNCTION total(a integer, b integer) RETURNS integer LANGUAGE sql AS 'SELECT a + b';
CREATE FUNCTION which() RETURNS text LANGUAGE sql AS $$SELECT 'version 7'$$;
CREATE TABLE tried (n serial, token text);
CREATE FUNCTION explode(payload jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.tried DEFAULT VALUES;
	PERFORM expense_flow.fail('Exploded', 'as it was told to');
END $$;
CREATE FUNCTION hand_out(payload jsonb) RETURNS void LANGUAGE sql AS $$INSERT INTO public.tried (token) VALUES (payload ->> 'token')$$;

SELECT create_resource_alias('arn:aws:lambda:*:*:function:same', 'sql:public.same');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:total', 'sql:public.total');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:same:7', 'sql:public.which');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:explode', 'sql:public.explode');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:hand_out', 'sql:public.hand_out');
SELECT create_resource_alias('arn:aws:lambda:eu-*:*:function:app-*', 'sql:public.*');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:outside', 'activity:q/outside');

SELECT create_workflow('invoke', '{"StartAt": "Invoke", "States": {"Invoke": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": true}}}');
CREATE FUNCTION invoke(parameters jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_cause text;
BEGIN
	RETURN expense_flow.run_workflow('invoke', parameters)::text;
EXCEPTION WHEN SQLSTATE 'EF005' THEN
	GET STACKED DIAGNOSTICS v_cause = PG_EXCEPTION_DETAIL;
	RETURN SQLERRM || ': ' || v_cause;
END $$;

-- The payload is the function's whole input; the result comes in the service's envelope.
SELECT invoke('{"FunctionName": "same", "Payload": {"a": [1, 2.50, null]}}');
SELECT invoke('{"FunctionName": "total", "Payload": {"a": 40, "b": 2}}');
SELECT invoke('{"FunctionName": "same", "Payload": [1]}');
SELECT invoke('{"FunctionName": "same", "Payload": 0}');
-- None is an empty object.
SELECT invoke('{"FunctionName": "same"}');
SELECT invoke('{"FunctionName": "same", "Payload": null}');
-- A text that is JSON is sent as it is.
SELECT invoke('{"FunctionName": "same", "Payload": "{\"a\": 1}"}');
SELECT invoke('{"FunctionName": "same", "Payload": "0.0"}');
SELECT invoke('{"FunctionName": "same", "Payload": "\"text\""}');
SELECT invoke('{"FunctionName": "same", "Payload": "{not JSON"}');
SELECT invoke('{"FunctionName": "same", "Payload": "\"\\ud800\""}');

-- Each way to name a function.
SELECT n, invoke(jsonb_build_object('FunctionName', n)) FROM unnest(ARRAY[
	'same:$LATEST', 'same:PROD', 'same:3', 'same:7', '123456789012:function:same', '123456789012:function:same:7',
	'arn:aws:lambda:us-east-1:123456789012:function:same', 'arn:aws:lambda:us-east-1:123456789012:function:same:PROD',
	'arn:aws:lambda:us-east-1:123456789012:function:same:7', 'app-same', 'app-same:1',
	'arn:aws:lambda:eu-west-1:123456789012:function:app-same']) n;
SELECT invoke('{"FunctionName": "same", "Qualifier": "7"}');
SELECT invoke('{"FunctionName": "same:PROD", "Qualifier": "7", "InvocationType": "RequestResponse", "LogType": "Tail"}');

-- No such function: only what an alias names can be called, whatever the name.
SELECT n, invoke(jsonb_build_object('FunctionName', n)) FROM unnest(ARRAY[
	'other', 'sam', 'public.same', 'sql:public.same', 'pg_sleep', ':', '*', 'app-',
	'arn:aws:lambda:us-east-1:123456789012:function:app-same', 'arn:aws:lambda:us-east-1', 'arn:', 'outside']) n;

-- Mistakes.
SELECT p, invoke(p::jsonb) FROM unnest(ARRAY['{}', '[]', '"same"', '{"FunctionName": null}', '{"FunctionName": ""}', '{"FunctionName": 1}',
	'{"FunctionName": "same", "Qualifier": 7}', '{"FunctionName": "same", "InvocationType": "Event"}']) p;

SET expense_flow.input_limit = 0;
SELECT left(invoke(jsonb_build_object('FunctionName', repeat('same', n))), 90) FROM unnest(ARRAY[500, 501, 10000000]) n;
RESET expense_flow.input_limit;
-- Its own events, as of any service's Task; ResultSelector sees the envelope.
SELECT create_workflow('steps', '{"StartAt": "Invoke", "States": {
	"Invoke": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "total", "Payload": {"a.$": "$.a", "b": 1}},
		"ResultSelector": {"sum.$": "$.Payload"}, "ResultPath": "$.result", "Next": "Missing"},
	"Missing": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "missing"},
		"Retry": [{"ErrorEquals": ["Lambda.ResourceNotFoundException"], "MaxAttempts": 1}],
		"Catch": [{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.missing", "Next": "Explode"}], "Next": "Explode"},
	"Explode": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "explode"},
		"Catch": [{"ErrorEquals": ["Exploded"], "ResultPath": "$.exploded", "Next": "Done"}], "Next": "Done"},
	"Done": {"Type": "Succeed"}}}');
SELECT start_workflow('steps', '{"a": 2}', 'steps', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT jsonb_pretty(output) FROM find_runs('steps');
SELECT type, state FROM history WHERE run_id = (SELECT run_id FROM find_runs('steps')) ORDER BY event_id;
-- An attempt that failed leaves nothing.
SELECT count(*) FROM tried;

-- The data limit counts the envelope, and names the work as the service does.
SET expense_flow.data_limit = '1kB';
SELECT invoke(jsonb_build_object('FunctionName', 'same', 'Payload', repeat('a', 980)));
RESET expense_flow.data_limit;

-- With a task token: the function gets it where the payload says so, and the token's result is that of the Task, without envelope.
SELECT create_workflow('token', '{"StartAt": "Ask", "States": {"Ask": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
	"Parameters": {"FunctionName.$": "$.name", "Payload": {"token.$": "$$.Task.Token"}}, "End": true}}}');
SELECT start_workflow('token', '{"name": "hand_out"}', 'token', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT status FROM find_runs('token');
SELECT complete_activity(token, '{"said": "yes"}') FROM tried WHERE token IS NOT NULL;
SELECT get_result(run_id, '1 minute') FROM find_runs('token');
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('token')) ORDER BY event_id;
SELECT start_workflow('token', '{"name": "missing"}', 'token 2', start_delay => '1 hour') IS NOT NULL;
SELECT start_workflow('token', '{"name": 1}', 'token 3', start_delay => '1 hour') IS NOT NULL;
CALL run_pending(skip => '2 hours');
SELECT workflow_id, status, error, cause FROM runs WHERE workflow_id IN ('token 2', 'token 3') ORDER BY 1;
SELECT type FROM history WHERE run_id = (SELECT run_id FROM find_runs('token 2')) ORDER BY event_id;
SELECT count(*) FROM activity_task WHERE status <> 'C';

-- test_state() calls the function too, and a mock is the whole response.
SELECT jsonb_pretty(test_state('{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "total", "Payload.$": "$"},
	"ResultSelector": {"sum.$": "$.Payload"}, "End": true}', '{"a": 1, "b": 2}'));
SELECT test_state('{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "total"}, "OutputPath": "$.Payload", "End": true}',
	mock => '{"result": {"Payload": 5, "StatusCode": 200}}') -> 'output';
SELECT test_state('{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": {"FunctionName": "missing"},
	"Catch": [{"ErrorEquals": ["Lambda.ResourceNotFoundException"], "Next": "A"}], "Next": "B"}') - 'inspectionData';
SELECT test_state('{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken", "Parameters": {"FunctionName": "total"}, "End": true}');

-- An alias for the action itself wins; other actions have no meaning of their own.
SELECT create_resource_alias('arn:aws:states:::lambda:*', 'sql:public.same');
SELECT invoke('{"FunctionName": "total", "Payload": {"a": 1}}');
SELECT drop_resource_alias('arn:aws:states:::lambda:*');
SELECT create_workflow('partitions', '{"StartAt": "A", "States": {
	"A": {"Type": "Task", "Resource": "arn:aws-cn:states:::lambda:invoke", "Parameters": {"FunctionName": "same"}, "ResultPath": "$.a", "Next": "B"},
	"B": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage", "End": true}}}');
SELECT run_workflow('partitions');

SELECT drop_resource_alias(pattern) FROM resource_alias;
DROP FUNCTION same, total, which, explode, hand_out, invoke;
DROP TABLE tried;
