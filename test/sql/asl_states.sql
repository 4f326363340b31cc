--
-- States: input and output, waiting, failing, timeouts, Retry and Catch, plans of Maps
--
CREATE SCHEMA asl_states;
SET search_path = asl_states, pg_catalog;
\pset format unaligned
\pset tuples_only
CREATE FUNCTION test_state(definition json, state text, input jsonb, result jsonb = NULL, variables jsonb = NULL,
						   context jsonb = NULL, data_limit bigint = NULL) RETURNS jsonb
	AS '$libdir/expense_flow', 'asl_test_state' LANGUAGE C;
CREATE FUNCTION test_retry(definition json, state text, input jsonb, errors text[]) RETURNS jsonb
	AS '$libdir/expense_flow', 'asl_test_retry' LANGUAGE C STRICT;

-- A machine of one state, given by its fields.
CREATE FUNCTION machine(fields text) RETURNS json
	LANGUAGE sql AS $$ SELECT ('{"StartAt": "A", "States": {"A": {' || fields || '}}}')::json $$;
-- What comes out of such a state, or its error.
CREATE FUNCTION run(fields text, input jsonb, result jsonb = NULL, variables jsonb = NULL, context jsonb = NULL) RETURNS jsonb
	LANGUAGE sql AS $$
	SELECT CASE WHEN r ? 'Error' THEN r ELSE r -> 'output' END
		FROM asl_states.test_state(asl_states.machine(fields), 'A', input, result, variables, context) r;
$$;
-- One field of the answer, or the error.
CREATE FUNCTION show(what text, fields text, input jsonb, result jsonb = NULL, variables jsonb = NULL, context jsonb = NULL) RETURNS text
	LANGUAGE sql AS $$
	SELECT coalesce(r ->> what, r ->> 'Error')
		FROM asl_states.test_state(asl_states.machine(fields), 'A', input, result, variables, context) r;
$$;

-- ---- Pass ----
SELECT run('"Type": "Pass", "End": true', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true', 'null');
SELECT run('"Type": "Pass", "End": true, "Result": null', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "Result": {"b": [1, 2.50]}, "ResultPath": "$.x.y"', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "InputPath": "$.a", "ResultPath": "$.b"', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "InputPath": null', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "OutputPath": null', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "ResultPath": null, "Result": 7', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "InputPath": "$.b"', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "InputPath": "$.b[*]"', '{"a": 1}');
SELECT run('"Type": "Pass", "End": true, "OutputPath": "$.a[0,2]"', '{"a": [1, 2, 3]}');
SELECT run('"Type": "Pass", "End": true, "InputPath": "$$.Execution.Input", "OutputPath": "$v"', '{}', NULL, '{"v": "w"}', '{"Execution": {"Input": 1}}');
SELECT run('"Type": "Pass", "End": true, "Result": 1, "ResultPath": "$.a"', '"foo"');
SELECT run('"Type": "Pass", "End": true, "Parameters": {"c": 1, "d.$": "$.a", "e": {"f.$": "$$.v", "g.$": "States.MathAdd($.a, $n)"}, "h": "$.a"}',
	'{"a": 1}', NULL, '{"n": 41}', '{"v": 2}');
SELECT run('"Type": "Pass", "End": true, "Parameters": {"d.$": "$.b"}', '{"a": 1}');
-- Parameters are evaluated, though the result is another
SELECT run('"Type": "Pass", "End": true, "Parameters": {"d.$": "$.b"}, "Result": 1', '{"a": 1}') ->> 'Error';

-- ---- every stage of a Task ----
SELECT jsonb_pretty(test_state(machine('"Type": "Task", "Resource": "sql:s.f", "End": true,
	"InputPath": "$.in", "Parameters": {"p.$": "$.x"}, "ResultSelector": {"s.$": "$.r", "from.$": "$$.Execution.Id"},
	"ResultPath": "$.out", "OutputPath": "$.out", "Assign": {"seen.$": "$.r", "before.$": "$old"}'),
	'A', '{"in": {"x": 1}}', '{"r": 2}', '{"old": 3}', '{"Execution": {"Id": "e"}}'));
SELECT run('"Type": "Task", "Resource": "sql:s.f", "End": true', '{"in": 1}', '{"r": 2}');
SELECT run('"Type": "Task", "Resource": "sql:s.f", "End": true, "ResultSelector": {"s.$": "$.nothing"}', '{"in": 1}', '{"r": 2}') ->> 'Error';
SELECT run('"Type": "Task", "Resource": "sql:s.f", "End": true, "ResultPath": "$.a[0]"', '{"a": [1, 2]}', '{"r": 2}');
SELECT test_state('{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:s.f", "Next": "B"}, "B": {"Type": "Succeed"}}}', 'A', '1') ->> 'next';

-- ---- Assign ----
SELECT show('variables', '"Type": "Pass", "End": true, "Assign": {"a": 1, "b.$": "$.x", "swap.$": "$kept", "kept": [true]}', '{"x": "y"}', NULL, '{"kept": 0, "other": null}');
SELECT show('variables', '"Type": "Pass", "End": true, "Assign": {}', '{"x": "y"}', NULL, '{"kept": 0}');
SELECT show('variables', '"Type": "Pass", "End": true, "Result": {"x": "result"}, "Assign": {"a.$": "$.x"}', '{"x": "input"}');
SELECT show('variables', '"Type": "Wait", "Seconds": 0, "InputPath": "$.in", "End": true, "Assign": {"a.$": "$.x"}', '{"in": {"x": "effective input"}}');
SELECT show('variables', '"Type": "Pass", "End": true, "Assign": {"a.$": "$unset"}', '{}');

-- ---- Succeed ----
SELECT run('"Type": "Succeed", "InputPath": "$.a", "OutputPath": "$.b"', '{"a": {"b": "c"}}');

-- ---- Wait: how long, counted from when the state was entered, 2020-01-01 00:00:00 UTC ----
SELECT w AS wait, show('microseconds', '"Type": "Wait", "End": true, ' || w, '{"n": 3, "zero": 0, "neg": -1, "frac": 1.5, "text": "3", "big": 1e18,
		"in": {"n": 4}, "t": "2020-01-01T00:00:01.5Z", "nano": "2020-01-01T00:00:00.000000001Z", "past": "2019-12-31T23:59:59+00:00", "bad": "2020-01-01"}')
	FROM unnest(ARRAY['"Seconds": 2', '"Seconds": 0', '"Seconds": 99999999', '"Seconds": 9007199254740991', '"SecondsPath": "$.n"', '"SecondsPath": "$.zero"', '"SecondsPath": "$.neg"',
		'"SecondsPath": "$.frac"', '"SecondsPath": "$.text"', '"SecondsPath": "$.big"', '"SecondsPath": "$.missing"', '"InputPath": "$.in", "SecondsPath": "$.n"',
		'"Timestamp": "2020-01-01T01:00:00+01:00"', '"Timestamp": "9999-12-31T23:59:59Z"', '"TimestampPath": "$.t"', '"TimestampPath": "$.nano"',
		'"TimestampPath": "$.past"', '"TimestampPath": "$.bad"', '"TimestampPath": "$.n"', '"TimestampPath": "$.missing"']) WITH ORDINALITY u (w, n) ORDER BY n;

-- ---- Fail ----
SELECT f AS fail, show('failsWith', '"Type": "Fail"' || f, '{"e": "E", "n": 1}') AS error, show('because', '"Type": "Fail"' || f, '{"e": "E", "n": 1}') AS cause
	FROM unnest(ARRAY['', ', "Error": "E", "Cause": "C"', ', "Error": "E", "CausePath": "$.e"', ', "ErrorPath": "States.Format(''{}-{}'', $.e, $.n)", "CausePath": "$$"',
		', "ErrorPath": "$.n"', ', "ErrorPath": "$.missing"', ', "CausePath": "States.ArrayLength($.e)"']) WITH ORDINALITY u (f, n) ORDER BY n;

-- ---- timeouts of a Task ----
SELECT t AS task, show('timeout', '"Type": "Task", "Resource": "sql:s.f", "End": true' || t, '{"t": 7, "h": 2, "zero": 0, "text": "7"}') AS timeout,
	   show('heartbeat', '"Type": "Task", "Resource": "sql:s.f", "End": true' || t, '{"t": 7, "h": 2, "zero": 0, "text": "7"}') AS heartbeat
	FROM unnest(ARRAY['', ', "TimeoutSeconds": 60, "HeartbeatSeconds": 10', ', "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.h"',
		', "Parameters": {}, "TimeoutSecondsPath": "$.t"', ', "InputPath": "$.t", "TimeoutSecondsPath": "$"',
		', "TimeoutSecondsPath": "$.zero"', ', "TimeoutSecondsPath": "$.text"', ', "HeartbeatSecondsPath": "$.missing"']) WITH ORDINALITY u (t, n) ORDER BY n;

-- ---- the size of payloads, as compact text ----
SELECT l AS limit, test_state(machine('"Type": "Pass", "End": true'), 'A', '{"a": "xyz"}', NULL, NULL, NULL, l) ->> 'Error' FROM unnest('{0,11,10}'::int[]) l;
SELECT test_state(machine('"Type": "Task", "Resource": "sql:s.f", "End": true, "ResultPath": null'), 'A', '{}', to_jsonb(repeat('x', 100)), NULL, NULL, 100) ->> 'Error';
SELECT test_state(machine('"Type": "Pass", "End": true, "Parameters": {"a.$": "$", "b.$": "$"}, "OutputPath": null'), 'A', to_jsonb(repeat('x', 60)), NULL, NULL, NULL, 100) ->> 'Error';

-- ---- Retry: the seconds before each attempt, and where it goes in the end ----
CREATE FUNCTION retry(retriers text, VARIADIC errors text[]) RETURNS jsonb
	LANGUAGE sql AS $$
	SELECT asl_states.test_retry(('{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "sql:s.f", "Next": "Done", "Retry": [' || retriers || '],
			  "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "ResultPath": null}]},
		"Done": {"Type": "Succeed"}, "Caught": {"Type": "Succeed"}}}')::json, 'A', '{}', errors) - 'output';
$$;
SELECT retry('', 'E');
SELECT retry('{"ErrorEquals": ["E"]}', 'E', 'E', 'E', 'E', 'E');
SELECT retry('{"ErrorEquals": ["E"], "MaxAttempts": 0}', 'E', 'E');
SELECT retry('{"ErrorEquals": ["E"], "IntervalSeconds": 3, "MaxAttempts": 2, "BackoffRate": 2.0}', 'E', 'E', 'E');
SELECT retry('{"ErrorEquals": ["E"], "IntervalSeconds": 3, "MaxAttempts": 3, "MaxDelaySeconds": 4}', 'E', 'E', 'E', 'E');
SELECT retry('{"ErrorEquals": ["E"], "IntervalSeconds": 10, "MaxAttempts": 4, "BackoffRate": 1.5, "JitterStrategy": "NONE"}', 'E', 'E', 'E', 'E', 'E');
SELECT retry('{"ErrorEquals": ["E"], "IntervalSeconds": 50000000, "BackoffRate": 10}', 'E', 'E');
SELECT retry('{"ErrorEquals": ["E"], "BackoffRate": 99999999, "MaxAttempts": 60}', VARIADIC array_fill('E'::text, '{60}')) -> 'delays' -> 59;
-- the example of the specification: each retrier counts for itself
SELECT retry('{"ErrorEquals": ["ErrorA", "ErrorB"], "IntervalSeconds": 1, "BackoffRate": 2, "MaxAttempts": 2}, {"ErrorEquals": ["ErrorC"], "IntervalSeconds": 5}',
	'ErrorA', 'ErrorB', 'ErrorC', 'ErrorB');
-- the first retrier that matches decides, even if it has no attempts left
SELECT retry('{"ErrorEquals": ["E"], "MaxAttempts": 1}, {"ErrorEquals": ["States.ALL"], "IntervalSeconds": 7}', 'F', 'E', 'F', 'E', 'F');
-- jitter: never longer than the delay
SELECT bool_and(d::float8 BETWEEN 0 AND 100), count(DISTINCT d) > 1
	FROM jsonb_array_elements(retry('{"ErrorEquals": ["E"], "IntervalSeconds": 100, "BackoffRate": 1, "MaxAttempts": 50, "JitterStrategy": "FULL"}',
		VARIADIC array_fill('E'::text, '{50}')) -> 'delays') d;

-- ---- which names match which errors ----
SELECT e AS error, string_agg(n || '=' || (jsonb_array_length(retry(format('{"ErrorEquals": ["%s"]}', n), VARIADIC ARRAY[e]) -> 'delays') = 1), ' ' ORDER BY i)
	FROM unnest('{E,States.Timeout,States.HeartbeatTimeout,States.TaskFailed,States.DataLimitExceeded,States.Permissions,States.Runtime,NULL}'::text[]) WITH ORDINALITY errors (e, j),
		 unnest('{E,e,States.ALL,States.TaskFailed,States.Timeout,States.HeartbeatTimeout,States.DataLimitExceeded,States.Runtime}'::text[]) WITH ORDINALITY names (n, i)
	GROUP BY e, j ORDER BY j;

-- ---- Catch ----
CREATE FUNCTION catch(catchers text, input jsonb, error text) RETURNS jsonb
	LANGUAGE sql AS $$
	SELECT asl_states.test_retry(('{"StartAt": "A", "States": {
		"A": {"Type": "Task", "Resource": "sql:s.f", "Next": "One", "OutputPath": "$.never", "Catch": [' || catchers || ']},
		"One": {"Type": "Pass", "Next": "Two"}, "Two": {"Type": "Succeed"}}}')::json, 'A', input, ARRAY[error]) - 'delays';
$$;
SELECT catch('', '{}', 'E');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One"}', '{"a": 1}', 'E');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One"}, {"ErrorEquals": ["States.ALL"], "Next": "Two"}', '{"a": 1}', 'F');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One"}', '{"a": 1}', 'F');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One", "ResultPath": "$.error-info"}', '{"a": 1}', 'E');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One", "ResultPath": null}', '{"a": 1}', 'E');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One", "ResultPath": "$.x"}', '"no object"', 'E');
SELECT catch('{"ErrorEquals": ["E"], "Next": "One", "ResultPath": null, "Assign": {"failed": true, "why.$": "$.Cause"}}', '{"a": 1}', 'E');
SELECT catch('{"ErrorEquals": ["States.ALL"], "Next": "One"}', '{"a": 1}', NULL);
SELECT catch('{"ErrorEquals": ["States.ALL"], "Next": "One"}', '{"a": 1}', 'States.Runtime');

-- ---- Map ----
CREATE FUNCTION plan(fields text, input jsonb, read jsonb = NULL, variables jsonb = NULL, context jsonb = NULL) RETURNS jsonb
	LANGUAGE sql AS $$
	SELECT asl_states.test_state(asl_states.machine('"Type": "Map", "End": true,
		"ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}' || fields), 'A', input, read, variables, context)
$$;
SELECT plan('', '[1, {"a": 2}]');
SELECT plan('', '[]');
SELECT plan('', '{"a": [1]}') ->> 'Cause';
SELECT plan(', "InputPath": "$.in", "ItemsPath": "$.a"', '{"in": {"a": [3, 4]}}') -> 'items';
SELECT plan(', "ItemsPath": "$v.list"', '{}', NULL, '{"v": {"list": ["x"]}}') -> 'items';
SELECT plan(', "ItemsPath": "$$.Execution.Input"', '{}', NULL, NULL, '{"Execution": {"Input": [1]}}') -> 'items';
SELECT plan(', "ItemsPath": "$.a"', '{}') ->> 'Error';
SELECT plan(', "ItemsPath": "$.a"', '{"a": "text"}') ->> 'Cause';
SELECT plan(', "MaxConcurrency": 4, "ToleratedFailureCount": 2, "ToleratedFailurePercentage": 12.5', '[]') - 'items';
SELECT coalesce(p ->> 'Cause', (p - 'items')::text)
	FROM unnest(ARRAY['3', '0', '-1', '1.5', '"NoNumber"', '{}', 'null', '1e20']) WITH ORDINALITY u (m, n),
		 LATERAL plan(', "ItemsPath": "$.i", "MaxConcurrencyPath": "$.m"', format('{"i": [], "m": %s}', m)::jsonb) p ORDER BY n;
SELECT coalesce(p ->> 'Cause', (p - 'items')::text)
	FROM unnest(ARRAY['1', '1.1', '100', '100.1', '-1.1', '"NoNumber"', '{}']) WITH ORDINALITY u (m, n),
		 LATERAL plan(', "ItemsPath": "$.i", "ToleratedFailurePercentagePath": "$.m"', format('{"i": [], "m": %s}', m)::jsonb) p ORDER BY n;
SELECT plan(', "ItemsPath": "$.i", "ToleratedFailureCountPath": "$.m"', '{"i": [], "m": 1.5}') ->> 'Cause';
-- the input of an iteration
SELECT plan(format(', "InputPath": "$.in", "ItemsPath": "$.i", "%s": {"item.$": "$$.Map.Item.Value", "n.$": "$$.Map.Item.Index", "of.$": "$.i", "c": 1}', f),
	'{"in": {"i": ["a", "b"]}}', NULL, NULL, '{"Map": {"Item": {"Index": 0, "Value": "a"}}}') -> 'firstInput'
	FROM unnest('{ItemSelector,Parameters}'::text[]) f;
SELECT plan(', "ItemSelector": {"x.$": "$.missing"}', '[1]') ->> 'Error';
-- batches
SELECT plan(', "ItemBatcher": {"MaxItemsPerBatch": 2}', '[1, 2, 3, 4, 5]') -> 'items';
SELECT plan(', "ItemBatcher": {"MaxItemsPerBatch": 2}', '[]') -> 'items';
SELECT plan(', "ItemsPath": "$.i", "ItemBatcher": {"MaxItemsPerBatchPath": "$.n", "BatchInput": {"all.$": "$.n"}}', '{"i": [1, 2, 3], "n": 2}');
SELECT plan(', "ItemsPath": "$.i", "ItemBatcher": {"MaxItemsPerBatchPath": "$.n"}', '{"i": [1, 2, 3], "n": 0}') ->> 'Cause';
-- ItemSelector comes before the batches are made
SELECT plan(', "ItemsPath": "$.i", "ItemSelector": {"v.$": "$$.Map.Item.Value", "n.$": "$$.Map.Item.Index", "c.$": "$.c", "e.$": "$$.Execution.Id"}, "ItemBatcher": {"MaxItemsPerBatch": 2}',
	'{"i": ["a", "b", "c"], "c": 0}', NULL, NULL, '{"Execution": {"Id": "e"}}');
SELECT plan(', "ItemSelector": {"v.$": "$.missing"}, "ItemBatcher": {"MaxItemsPerBatch": 2}', '[1]') ->> 'Error';
-- bytes of a batch: {"Items":["aaaa","bbbb"]} has 25
SELECT b, plan(format(', "ItemBatcher": {"MaxInputBytesPerBatch": %s}', b), '["aaaa", "bbbb", "cccc", "d"]') #> '{items}' FROM unnest('{25,24,36,35}'::int[]) WITH ORDINALITY u (b, n) ORDER BY n;
SELECT plan(', "ItemBatcher": {"MaxInputBytesPerBatch": 17}', '["d", "aaaa"]') ->> 'Cause';
-- what an ItemReader read
SELECT plan(', "ItemReader": {"Resource": "sql:s.f"}', '{}', '[7, 8]') -> 'items';

\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA asl_states CASCADE;
