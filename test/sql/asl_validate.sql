--
-- Definitions: what is accepted, and every problem of what is not, in the order of the text
--
CREATE SCHEMA asl_validate;
SET search_path = asl_validate, pg_catalog;
\pset format unaligned
\pset tuples_only
CREATE FUNCTION problems(definition json) RETURNS TABLE (path text, problem text)
	AS '$libdir/expense_flow', 'asl_test_validate' LANGUAGE C STRICT;

-- The problems of a machine of one state, given by its fields.
CREATE FUNCTION state_problems(fields text) RETURNS TABLE (path text, problem text)
	LANGUAGE sql AS $$
	SELECT * FROM asl_validate.problems(
		('{"StartAt": "A", "States": {"A": {' || fields || '}}}')::json);
$$;

-- The problems of a state "A" that goes on to "B", which ends.
CREATE FUNCTION moving_problems(fields text) RETURNS TABLE (path text, problem text)
	LANGUAGE sql AS $$
	SELECT * FROM asl_validate.problems(
		('{"StartAt": "A", "States": {"A": {' || fields || '}, "B": {"Type": "Succeed"}}}')::json);
$$;

-- ---- whole machines ----
SELECT count(*) AS problems FROM problems('{
	"Comment": "all top-level fields", "Version": "1.0", "QueryLanguage": "JSONPath", "TimeoutSeconds": 60,
	"Queries": {}, "CompensationOrder": "Parallel",
	"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
SELECT * FROM problems('{"Queries": {"a": "sql:s.a", "b c": "sql:s.b", "": "sql:s.c", "state": "sql:s.d", "e": "sql:e", "f": "sql:.f", "g": "s.g", "h": 1, "a": "sql:s.h"},
	"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
SELECT * FROM problems('{"Queries": [], "StartAt": "A", "States": {"A": {"Type": "Parallel", "End": true, "Branches": [
	{"Queries": {}, "StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "update:u", "Respond": "A", "End": true}}}]}}}');
SELECT * FROM problems('3');
SELECT * FROM problems('null');
SELECT * FROM problems('[]');
SELECT * FROM problems('{}');
SELECT * FROM problems('{"StartAt": 1, "States": []}');
SELECT * FROM problems('{"StartAt": "A", "States": {}}');
SELECT * FROM problems('{
	"Comment": true, "Version": "2.0", "TimeoutSeconds": 0, "Other": 1, "ProcessorConfig": {},
	"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}');
-- all problems at once, in the order of the text, whatever found them
SELECT * FROM problems('{
	"States": {
		"A": {"Type": "Pass", "Foo": 1, "Next": "Nowhere"},
		"B": {"Type": "Task", "Next": "A", "InputPath": "x"},
		"C": {"Type": "Pass", "Parameters": {"z": {"a.$": "bad"}, "a.$": "worse"}, "ResultPath": "$.a[*]", "End": "yes"}},
	"Extra": {},
	"StartAt": "Missing"}');

-- ---- names, targets, reachability ----
SELECT * FROM state_problems('"Type": "Pass", "Next": "B"');
SELECT * FROM problems('{"StartAt": "A", "States": {
	"A": {"Type": "Pass", "End": true}, "B": {"Type": "Pass", "Next": "C"}, "C": {"Type": "Pass", "Next": "B"}}}');
SELECT * FROM problems('{"StartAt": "A", "States": {
	"A": {"Type": "Choice", "Choices": [{"Variable": "$.a", "IsNull": true, "Next": "B"}], "Default": "C"},
	"B": {"Type": "Task", "Resource": "sql:s.f", "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "D"}], "End": true},
	"C": {"Type": "Fail"}, "D": {"Type": "Succeed"}}}');
-- the length of a name is counted in characters
SELECT left(path, 12), problem FROM problems(
	('{"StartAt": "' || repeat('é', 80) || '", "States": {"' || repeat('é', 80) || '": {"Type": "Succeed"}}}')::json);
SELECT left(path, 12), problem FROM problems(
	('{"StartAt": "' || repeat('x', 81) || '", "States": {"' || repeat('x', 81) || '": {"Type": "Succeed"}}}')::json);
-- names are unique in the whole machine, and no transition leaves its scope
SELECT * FROM problems('{"StartAt": "P", "States": {
	"P": {"Type": "Parallel", "Next": "A", "Branches": [
		{"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "Z"}}},
		{"StartAt": "B", "States": {"B": {"Type": "Pass", "End": true}}}]},
	"A": {"Type": "Pass", "Next": "Z"},
	"Z": {"Type": "Succeed"}}}');
-- something has to end it
SELECT * FROM problems('{"StartAt": "A", "States": {
	"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Wait", "Seconds": 1, "Next": "A"}}}');
-- Next and End
SELECT * FROM moving_problems('"Type": "Pass", "Next": "B", "End": true');
SELECT * FROM moving_problems('"Type": "Pass", "Next": "B", "End": false');
SELECT * FROM state_problems('"Type": "Pass"');
SELECT * FROM state_problems('"Type": "Pass", "End": false');
SELECT * FROM state_problems('"Type": "Pass", "End": 1');
SELECT * FROM state_problems('"Type": "Pass", "Next": null');

-- ---- types of states, and which field belongs where ----
SELECT * FROM state_problems('"Comment": "no type"');
SELECT * FROM state_problems('"Type": "Pas", "Foo": 1');
SELECT * FROM state_problems('"Type": 7');
SELECT * FROM problems('{"StartAt": "A", "States": {"A": null}}');
SELECT t.type, p.path, p.problem
	FROM unnest('{Pass,Task,Choice,Wait,Succeed,Fail,Parallel,Map}'::text[]) WITH ORDINALITY t (type, n),
		 LATERAL state_problems(format('"Type": "%s", "Comment": "c", "InputPath": "$.a", "OutputPath": null,
			"ResultPath": "$.r", "Parameters": {}, "ResultSelector": {}, "Assign": {}, "End": true,
			"Retry": [], "Catch": [], "Result": 1, "Resource": "sql:s.f", "TimeoutSeconds": 2, "Credentials": {},
			"Choices": [{"Variable": "$.a", "IsNull": true, "Next": "A"}], "Default": "A", "Seconds": 1,
			"Error": "e", "CausePath": "$.c", "Branches": [], "MaxConcurrency": 1, "Compensate": {},
			"Iterator": {"StartAt": "I", "States": {"I": {"Type": "Succeed"}}}', t.type)) WITH ORDINALITY p (path, problem, n)
	ORDER BY t.n, p.n;

-- ---- values of fields ----
SELECT * FROM state_problems('"Type": "Pass", "End": true, "InputPath": 1, "OutputPath": "$[", "ResultPath": "$$.x", "Parameters": "$.a", "Comment": 1');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "InputPath": null, "OutputPath": "$..a", "ResultPath": null, "Parameters": [{"a.$": "$$"}], "Result": null');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "ResultPath": "$var.x"');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "ResultPath": "$.a[?(@.b)]"');
SELECT * FROM state_problems('"Type": "Task", "End": true');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "", "ResultSelector": [], "Credentials": null');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "TimeoutSeconds": 1.5, "HeartbeatSeconds": "9"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "TimeoutSeconds": 10, "TimeoutSecondsPath": "$.t", "HeartbeatSecondsPath": "$.*"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "TimeoutSeconds": 10, "HeartbeatSeconds": 10');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "TimeoutSeconds": 1e1, "HeartbeatSeconds": 9');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "workflow:f", "Compensate": {"Resource": "sql:s.g"}, "ParentClosePolicy": "ABANDON",
	"ScheduleToStartSeconds": 1, "StartToCloseSeconds": 2, "ScheduleToCloseSeconds": 3');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "Compensate": "sql:g", "ParentClosePolicy": "NEVER",
	"ScheduleToStartSeconds": 0, "Validator": {}, "Respond": 1');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "update:f", "Validator": "sql:v", "Respond": "C"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "update:f", "Validator": "sql:s.v", "Respond": "A"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "arn:f", "Validator": "sql:s.v", "Respond": "A"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "signal:f", "Validator": "sql:s.v", "Respond": "A"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "arn:f", "WorkflowId": "w", "WorkflowVersion": 2, "WaitForResult": false');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "workflow:", "WorkflowId": "", "WorkflowIdPath": "$.*", "WorkflowVersion": 3000000000, "WaitForResult": "no"');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "signal:f", "WorkflowId": "w", "WaitForResult": true');

-- What begins with one of our own kinds must be a name of that kind; anything else is an alias's.
SELECT r AS resource, problem
FROM unnest(ARRAY['sql:', 'sql:f', 'sql:a.', 'sql:.f', 'sql:a.b.c', 'sql:s.f()', 'sql:"S".f(1)', 'sql:s."f', 'sql:"".f', 'sql:s.waitForTaskToken', 'sql:.waitForTaskToken',
	'activity:', 'activity:x', 'activity:q/', 'activity:/x', 'activity:q/x.waitForTaskToken', 'signal:', 'signal:a,', 'signal:,a', 'signal:a,,b', 'signal:x.waitForTaskToken',
	'update:', 'update:a,', 'update:x.waitForTaskToken', 'workflow:', 'workflow:x.waitForTaskToken']) WITH ORDINALITY AS u (r, n),
	 state_problems('"Type": "Task", "End": true, "Resource": ' || to_json(r)) AS p
ORDER BY n;
SELECT r AS accepted
FROM unnest(ARRAY['sql:s.f', 'sql:S.F', 'sql:"S"."f()"', 'sql:"a.b".c', 'sql:s.f.waitForTaskToken', 'activity:q/a', 'activity:q/a/b', 'signal:a', 'signal:a,b c', 'update:a,b', 'workflow:w',
	'sq:', 'sql', 'arn:aws:lambda:us-east-1:123456789012:function:f', 'arn:aws:states:::sqs:sendMessage.waitForTaskToken', 'arn:signal:']) WITH ORDINALITY AS u (r, n)
WHERE NOT EXISTS (SELECT FROM state_problems('"Type": "Task", "End": true, "Resource": ' || to_json(r)))
ORDER BY n;
SELECT r AS resource, p.*
FROM unnest(ARRAY['sql:f', 'sql:s.f.waitForTaskToken', 'signal:s', 'sql:s.f', 'arn:f']) WITH ORDINALITY AS u (r, n),
	 state_problems(format('"Type": "Map", "End": true, "ItemReader": {"Resource": %1$s}, "ResultWriter": {"Resource": %1$s}, "ItemProcessor": {
		"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": %1$s, "End": true, "Compensate": {"Resource": %1$s}}}}', to_json(r))) AS p
ORDER BY n, path;
SELECT expense_flow.create_workflow('asl_validate', '{"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": "sql:f", "End": true}}}');

SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "Compensate": {"Resource": "sql:s.g", "Comment": "undo", "Register": "Before",
	"Parameters": {"a.$": "$.a"}, "TimeoutSeconds": 5, "Retry": [{"ErrorEquals": ["States.ALL"]}]}');
SELECT * FROM state_problems('"Type": "Task", "End": true, "Resource": "sql:s.f", "Compensate": {"Register": "Never", "Parameters": {"a.$": 1}, "Catch": [],
	"Retry": [{}], "Next": "A", "Compensate": {}}');
SELECT * FROM expense_flow.validate_workflow('{"StartAt": "A", "CompensationOrder": "Random", "States": {
	"A": {"Type": "Task", "Resource": "sql:s.f", "Compensate": {"Resource": "sql:s.g"}, "Next": "A/Compensate"},
	"A/Compensate": {"Type": "Pass", "End": true}}}');
SELECT * FROM state_problems('"Type": "Wait", "End": true');
SELECT * FROM state_problems('"Type": "Wait", "End": true, "Seconds": -1');
SELECT * FROM state_problems('"Type": "Wait", "End": true, "Seconds": 0');
SELECT * FROM state_problems('"Type": "Wait", "End": true, "TimestampPath": "$.t", "Timestamp": "2016-03-14 01:59:00Z", "SecondsPath": "$.s"');
SELECT t, p.problem FROM unnest('{2016-03-14T01:59:00Z, 2016-03-14T01:59:00.123456789012+05:30, 2016-02-29T23:59:60-00:00,
		2015-02-29T00:00:00Z, 2016-03-14t01:59:00Z, 2016-03-14T01:59:00z, 2016-03-14T01:59:00, 2016-03-14T24:00:00Z,
		2016-03-14T01:59:00.Z, 2016-13-01T00:00:00Z, 2016-03-14T01:59:00+24:00, 16-03-14T01:59:00Z, infinity}'::text[]) t
	LEFT JOIN LATERAL state_problems(format('"Type": "Wait", "End": true, "Timestamp": "%s"', t)) p ON true;
SELECT * FROM state_problems('"Type": "Fail", "Error": 1, "Cause": "c", "CausePath": "$.c"');
SELECT * FROM state_problems('"Type": "Fail", "ErrorPath": "States.Format(''{}'', $.e)", "CausePath": "$.c[*]"');
SELECT * FROM state_problems('"Type": "Fail", "ErrorPath": "States.NoSuch()", "CausePath": "$$.Execution.Id"');

-- ---- Choice ----
SELECT * FROM state_problems('"Type": "Choice"');
SELECT * FROM state_problems('"Type": "Choice", "Choices": {}');
SELECT * FROM moving_problems('"Type": "Choice", "Choices": [], "Default": "B"');
SELECT * FROM moving_problems('"Type": "Choice", "Default": "B", "Choices": [
	{"Variable": "$.a", "NumericEquals": 1},
	{"NumericEquals": 1, "Next": "B"},
	{"Variable": "$.a", "Next": "B"},
	{"Variable": "$.a", "NumericEquals": 1, "NumericLessThan": 2, "Next": "B"},
	{"Variable": "$.a", "NumericEquals": "1", "Next": "B"},
	{"Variable": "a", "StringEqualsPath": "b", "Next": "B"},
	{"Variable": "$.a", "BooleanEquals": "true", "Next": "B"},
	{"Variable": "$.a", "TimestampEquals": "yesterday", "Next": "B"},
	{"Variable": "$.a", "IsNull": 1, "Next": "B"},
	{"Variable": "$.a", "StringMatchesPath": "$.b", "Next": "B"},
	{"Variable": "$.a", "stringEquals": "b", "Next": "C"},
	{"And": [], "Next": "B"},
	{"Or": {"Variable": "$.a", "IsNull": true}, "Next": "B"},
	{"Variable": "$.a", "Not": {"Variable": "$.a", "IsNull": true}, "Next": "B"},
	{"Not": {"Variable": "$.a", "IsNull": true, "Next": "B"}, "Next": "B"},
	{"And": [{"Or": [{"Variable": "$.a", "IsNull": true, "Assign": {"x": 1}}]}], "Next": "B"},
	"always"]');
SELECT count(*) AS problems FROM moving_problems('"Type": "Choice", "Choices": [
	{"Comment": "c", "Not": {"And": [{"Or": [{"Comment": "d", "Variable": "$$.x[*]", "IsPresent": false}]}]},
	 "Assign": {"x.$": "$"}, "Next": "B"},
	{"Variable": "$v", "TimestampLessThanEqualsPath": "$.b..c", "Next": "B"},
	{"Variable": "$.a", "StringMatches": "a\\", "Next": "B"}]');

-- ---- Retry and Catch ----
SELECT * FROM moving_problems('"Type": "Task", "Resource": "sql:s.f", "Next": "B", "Retry": {}, "Catch": "all"');
SELECT * FROM moving_problems('"Type": "Task", "Resource": "sql:s.f", "Next": "B",
	"Retry": [
		{}, 1, {"ErrorEquals": []}, {"ErrorEquals": "States.ALL"}, {"ErrorEquals": [1, null]},
		{"ErrorEquals": ["States.ALL"]}, {"ErrorEquals": ["a", "States.ALL"]},
		{"ErrorEquals": ["a"], "IntervalSeconds": 0, "MaxAttempts": -1, "BackoffRate": 0.5, "MaxDelaySeconds": 1.5, "JitterStrategy": "HALF", "Next": "B"}],
	"Catch": [
		{"ErrorEquals": ["States.ALL"], "Next": "B"},
		{"ErrorEquals": ["a"]}, {"ErrorEquals": ["a"], "Next": "C", "ResultPath": "$$.a", "Assign": []},
		{"Error Equals": ["a"], "Next": "B", "MaxAttempts": 1}]');
SELECT count(*) AS problems FROM moving_problems('"Type": "Task", "Resource": "sql:s.f", "Next": "B",
	"Retry": [
		{"ErrorEquals": ["a", "States.Timeout", "States.Unheard.Of"], "IntervalSeconds": 3, "MaxAttempts": 0, "BackoffRate": 1,
		 "MaxDelaySeconds": 1, "JitterStrategy": "FULL", "Comment": "c"},
		{"ErrorEquals": ["States.ALL"], "JitterStrategy": "NONE"}],
	"Catch": [
		{"ErrorEquals": ["a"], "Next": "B", "ResultPath": "$.error", "Assign": {"e.$": "$.Cause"}, "Comment": "c"},
		{"ErrorEquals": ["States.ALL"], "Next": "B", "ResultPath": null}]');

-- ---- Parallel and Map ----
SELECT * FROM state_problems('"Type": "Parallel", "End": true');
SELECT * FROM state_problems('"Type": "Parallel", "End": true, "Branches": [1, {}, {"StartAt": "X", "States": {"Y": {"Type": "Succeed"}}, "Version": "1.0", "ProcessorConfig": {}}]');
SELECT * FROM state_problems('"Type": "Map", "End": true');
SELECT * FROM state_problems('"Type": "Map", "End": true,
	"ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Succeed"}}, "ProcessorConfig": {"Mode": "inline", "ExecutionType": 1}},
	"Iterator": {"StartAt": "Y", "States": {"Y": {"Type": "Succeed"}}},
	"Parameters": {}, "ItemSelector": {"a.$": "oops"}, "ItemsPath": "$.a[*]",
	"MaxConcurrency": -1, "MaxConcurrencyPath": "$.m", "ToleratedFailurePercentage": 100.5, "ToleratedFailureCount": 1.5,
	"Label": "a label that is far longer than the forty characters it may have"');
SELECT * FROM state_problems('"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Succeed"}}},
	"ItemReader": {"ReaderConfig": {"MaxItems": 0, "MaxItemsPath": "$.m", "InputType": "CSV"}, "Arguments": {}},
	"ItemBatcher": {"BatchInput": 1}, "ResultWriter": {"Parameters": {"x.$": "?"}}');
SELECT * FROM state_problems('"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Succeed"}}},
	"ItemBatcher": {"MaxItemsPerBatch": 0, "MaxInputBytesPerBatch": 1, "MaxInputBytesPerBatchPath": "$.b"}');
SELECT count(*) AS problems FROM state_problems('"Type": "Map", "End": true, "ItemsPath": "$$.Execution.Input.items",
	"ItemProcessor": {"Comment": "c", "StartAt": "X", "States": {"X": {"Type": "Succeed"}}, "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}},
	"ItemSelector": {"v.$": "$$.Map.Item.Value"}, "MaxConcurrency": 0, "ToleratedFailurePercentage": 12.5, "ToleratedFailureCountPath": "$n",
	"ItemReader": {"Resource": "sql:s.f", "Parameters": {"a.$": "$.a"}, "ReaderConfig": {"MaxItems": 10, "InputType": "JSON"}},
	"ItemBatcher": {"MaxItemsPerBatchPath": "$.n", "MaxInputBytesPerBatch": 100, "BatchInput": {"a": 1}},
	"ResultWriter": {"Resource": "sql:s.t", "Parameters": {}, "WriterConfig": {}}, "Label": "items"');

-- ---- Assign ----
SELECT * FROM state_problems('"Type": "Pass", "End": true, "Assign": {"ok": 1, "größe.$": "$", "1st": 1, "a-b": 2, "": 3, "states": 4, "x": {"not a name": 1}, "x.$": "$.y"}');
SELECT left(path, 30) AS path, problem FROM state_problems(format('"Type": "Pass", "End": true, "Assign": {"%s": 1}', repeat('v', 81)));
SELECT * FROM problems('{"StartAt": "P", "States": {
	"P": {"Type": "Parallel", "Next": "Z", "Branches": [
		{"StartAt": "A", "States": {"A": {"Type": "Pass", "Assign": {"mine": 1, "outer": 2}, "End": true}}},
		{"StartAt": "B", "States": {"B": {"Type": "Pass", "Assign": {"mine": 1}, "End": true}}}]},
	"Z": {"Type": "Pass", "Assign": {"outer.$": "$"}, "End": true}}}');

-- ---- query languages ----
SELECT * FROM problems('{"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Pass", "Output": 1}, "B": {}}}');
SELECT * FROM problems('{"QueryLanguage": "XPath", "StartAt": "A", "States": {}}');
SELECT * FROM problems('{"StartAt": "A", "States": {
	"A": {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% 1 %}", "Next": "B"},
	"B": {"Type": "Choice", "QueryLanguage": "JSONata", "Choices": []},
	"C": {"Type": "Pass", "QueryLanguage": "JSONPath", "End": 0}}}');

-- fields of the other language
SELECT * FROM state_problems('"Type": "Task", "Resource": "sql:s.f", "End": true, "Arguments": {}, "Output": 1, "Items": []');
SELECT * FROM moving_problems('"Type": "Choice", "Choices": [{"Condition": true, "Next": "B"}]');

-- ---- the text itself ----
SELECT * FROM problems('{"StartAt": "A", "StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, "Result": {"x": [{"k": 1, "k": 1, "k": 2}]}, "End": true}, "A": {"Type": "Succeed"}}}');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "Parameters": {"a": 1, "a.$": "$"}');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "Result": "a\u0000b"');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "Result": "\ud800"');
SELECT * FROM state_problems('"Type": "Pass", "End": true, "Result": [1e131072, 1e-16384, 1e131071, 1e-16383, -0.1e99999999999999999999, "\ud83d\ude00"]');
SELECT length(path), problem FROM state_problems('"Type": "Pass", "End": true, "Result": ' || repeat('[', 998) || repeat(']', 998));
SELECT length(path), problem FROM state_problems('"Type": "Pass", "End": true, "Result": ' || repeat('[', 997) || repeat(']', 997));
SELECT * FROM state_problems('"Type": "Pass", "End": true, "Result": "' || repeat('x', 8 * 1024 * 1024) || '"');
-- not more than a thousand problems, each with a path of bearable length
SELECT count(*), max(problem) FILTER (WHERE path = '/') FROM state_problems('"Type": "Pass", "End": true' ||
	(SELECT string_agg(format(', "f%s": 1', i), '') FROM generate_series(1, 5000) i));
SELECT count(*), max(length(path)) FROM problems((SELECT '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, "Parameters": {"' ||
	repeat('x', 1000000) || '": {' || string_agg(format('"f%s.$": "bad"', i), ', ') || '}}}}}' FROM generate_series(1, 2000) i)::json);
-- 20,000 states, each reached only through the one before
SELECT count(*) AS problems FROM problems((SELECT '{"StartAt": "S1", "States": {' ||
	string_agg(format('"S%s": {"Type": "Pass", "Next": "S%s"}', i, i + 1), ',') || ', "S20001": {"Type": "Succeed"}}}'
	FROM generate_series(1, 20000) i)::json);

\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA asl_validate CASCADE;
