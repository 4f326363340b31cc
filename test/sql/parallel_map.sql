-- Parallel and Map: branches of their own, joined in order.
SET client_min_messages = warning;
\set SHOW_CONTEXT never

CREATE TABLE map_effect (n int);
CREATE FUNCTION map_step(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.map_effect VALUES (n);
	IF n < 0 THEN
		PERFORM expense_flow.fail('Negative', 'it is ' || n);
	END IF;
	RETURN n * 10;
END $$;
CREATE FUNCTION map_start(definition text, input jsonb DEFAULT '{}') RETURNS void LANGUAGE sql AS $$
	TRUNCATE map_effect;
	SELECT expense_flow.create_workflow('map', definition::json);
	SELECT expense_flow.start_workflow('map', input, 'map');
$$;
CREATE VIEW map_last AS SELECT * FROM expense_flow.runs WHERE workflow_id = 'map' ORDER BY started_at DESC LIMIT 1;
CREATE VIEW map_result AS SELECT status, output, error, cause FROM map_last;
CREATE VIEW map_events AS SELECT h.event_id, h.type, h.state FROM expense_flow.history h JOIN map_last USING (run_id) ORDER BY event_id;
-- Rows that should be gone when the run is closed.
CREATE VIEW map_left AS SELECT count(*) FROM expense_flow.branch JOIN map_last USING (run_id);

-- Parallel: each branch gets the input, the outputs come in the order of the branches.
SELECT map_start('{"StartAt": "P", "States": {"P": {"Type": "Parallel", "ResultPath": "$.all", "End": true, "Branches": [
	{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 10, "Next": "A"}, "A": {"Type": "Task", "Resource": "sql:public.map_step", "End": true}}},
	{"StartAt": "B", "States": {"B": {"Type": "Pass", "Result": "b", "Next": "B2"}, "B2": {"Type": "Succeed"}}},
	{"StartAt": "C", "States": {"C": {"Type": "Task", "Resource": "sql:public.map_step", "Parameters": {"n": 3}, "End": true}}}]}}}', '{"n": 1}');
CALL expense_flow.run_pending();
SELECT status, state FROM map_last;
SELECT b.state, b.status FROM expense_flow.branches b JOIN map_last l USING (run_id) ORDER BY b.state;
CALL expense_flow.run_pending('1 minute');
SELECT * FROM map_result;
SELECT * FROM map_events;
SELECT n FROM map_effect ORDER BY n;
SELECT * FROM map_left;

-- Map: in order, with $$.Map.Item, and an empty one.
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemsPath": "$.items", "ItemSelector": {"n.$": "$$.Map.Item.Value", "i.$": "$$.Map.Item.Index", "f.$": "$.factor"}, "End": true,
	"ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_step", "Parameters": {"n.$": "$.n"}, "ResultPath": "$.r", "Next": "U"},
		"U": {"Type": "Pass", "Parameters": {"r.$": "$.r", "i.$": "$.i", "again.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value", "f.$": "$.f"}, "End": true}}}}}}', '{"items": [5, 3, 4], "factor": 2}');
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT n FROM map_effect ORDER BY n;
SELECT count(*), count(DISTINCT type) FROM map_events;
SELECT * FROM map_left;
SELECT expense_flow.start_workflow('map', '{"items": [], "factor": 2}', 'map') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT * FROM map_events;
-- Not an array: fails, and nothing is left of it.
SELECT expense_flow.start_workflow('map', '{"items": 5, "factor": 2}', 'map') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT status, error FROM map_result;
-- An input that cannot be made: none of the branches is started.
SELECT expense_flow.start_workflow('map', '{"items": [1, 2]}', 'map') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT status, error FROM map_result;
SELECT * FROM map_left;

-- One at a time: in the order of the items, and the history says so.
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "MaxConcurrency": 1, "ItemsPath": "$.items", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "End": true,
	"ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_step", "End": true}}}}}}', '{"items": [3, 1, 2]}');
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT * FROM map_events;
SELECT expense_flow.create_workflow('map', replace(definition::text, '"MaxConcurrency": 1', '"MaxConcurrency": 3')::json)
	FROM expense_flow.workflow_version WHERE workflow = 'map' ORDER BY version DESC LIMIT 1;
TRUNCATE map_effect;
SELECT expense_flow.start_workflow('map', jsonb_build_object('items', jsonb_agg(n)), 'map') IS NOT NULL AS started FROM generate_series(1, 50) n;
CALL expense_flow.run_pending();
SELECT status, output = (SELECT jsonb_agg(n * 10) FROM generate_series(1, 50) n) AS right_output FROM map_result;
SELECT count(*), count(DISTINCT n) FROM map_effect;
SELECT * FROM map_left;

-- A failure ends the others; its own name comes out, and can be caught.
SELECT map_start('{"StartAt": "P", "States": {"P": {"Type": "Parallel", "Catch": [{"ErrorEquals": ["Negative"], "ResultPath": "$.problem", "Next": "Caught"}], "End": true, "Branches": [
	{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 10, "Next": "A2"}, "A2": {"Type": "Task", "Resource": "sql:public.map_step", "Parameters": {"n": 1}, "End": true}}},
	{"StartAt": "B", "States": {"B": {"Type": "Task", "Resource": "sql:public.map_step", "Parameters": {"n": -1}, "End": true}}}]},
	"Caught": {"Type": "Pass", "End": true}}}', '{"x": 1}');
CALL expense_flow.run_pending();
SELECT * FROM map_result;
-- (How far the other branch came is a matter of chance.)
SELECT type, state FROM map_events WHERE state IS DISTINCT FROM 'A';
CALL expense_flow.run_pending('1 minute');
SELECT count(*) FROM map_effect;
SELECT * FROM map_left;
-- Not caught: the run has failed.
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "End": true,
	"ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_step", "End": true}}}}}}', '[1, -2, 3]');
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT type FROM map_events WHERE type LIKE '%Failed';
SELECT * FROM map_left;

-- Retry of the whole.
CREATE SEQUENCE map_attempt;
CREATE FUNCTION map_flaky(n int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF n = 2 AND nextval('public.map_attempt') < 3 THEN
		PERFORM expense_flow.fail('Flaky');
	END IF;
	INSERT INTO public.map_effect VALUES (n);
	RETURN n;
END $$;
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "MaxConcurrency": 1, "End": true,
	"Retry": [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 5}],
	"ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_flaky", "End": true}}}}}}', '[1, 2, 3]');
CALL expense_flow.run_pending('1 minute');
SELECT * FROM map_result;
SELECT n FROM map_effect ORDER BY 1;
SELECT type, count(*) FROM map_events WHERE type LIKE 'Map%' GROUP BY type ORDER BY type COLLATE "C";

-- Tolerated failures are left out.
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "ToleratedFailureCount": 2, "End": true,
	"ItemProcessor": {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
		"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_step", "End": true}}}}}}', '[1, -2, 3, -4, 5]');
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT expense_flow.start_workflow('map', '[1, -2, -3, -4, 5]', 'map') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT status, error FROM map_result;
SELECT * FROM map_left;

-- Nested in each other.
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemProcessor": {"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
	{"StartAt": "I", "States": {"I": {"Type": "Map", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "End": true, "ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_step", "End": true}}}}}},
	{"StartAt": "X", "States": {"X": {"Type": "Pass", "Parameters": {"outer.$": "$$.Map.Item.Index", "value.$": "$$.Map.Item.Value"}, "End": true}}}]}}}}}}', '[[1, 2], [], [3]]');
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT * FROM map_left;
-- A failure deep inside.
SELECT expense_flow.start_workflow('map', '[[1, 2], [4, -5], [3]]', 'map') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT * FROM map_result;
SELECT * FROM map_left;

-- Variables: branches see those of their surroundings, and keep their own to themselves.
SELECT map_start('{"StartAt": "V", "States": {"V": {"Type": "Pass", "Assign": {"x": 1}, "Next": "P"},
	"P": {"Type": "Parallel", "Next": "E", "Branches": [
		{"StartAt": "A", "States": {"A": {"Type": "Pass", "Assign": {"y": 2}, "Next": "A2"}, "A2": {"Type": "Pass", "Parameters": {"x.$": "$x", "y.$": "$y"}, "End": true}}},
		{"StartAt": "B", "States": {"B": {"Type": "Pass", "Parameters": {"x.$": "$x"}, "End": true}}}]},
	"E": {"Type": "Pass", "Parameters": {"all.$": "$", "x.$": "$x"}, "End": true}}}');
CALL expense_flow.run_pending();
SELECT * FROM map_result;

-- ItemReader: the rows of a function are the items.
CREATE FUNCTION map_reader(upto int) RETURNS TABLE (n int, name text) LANGUAGE sql AS $$SELECT n, 'item ' || n FROM generate_series(1, upto) n$$;
SELECT map_start('{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "ItemReader": {"Resource": "sql:public.map_reader", "Parameters": {"upto.$": "$.upto"}, "ReaderConfig": {"MaxItems": 3}},
	"ItemProcessor": {"StartAt": "X", "States": {"X": {"Type": "Pass", "Parameters": {"got.$": "$.name"}, "End": true}}}}}}', '{"upto": 5}');
CALL expense_flow.run_pending();
SELECT * FROM map_result;

-- The run's deadline, while branches wait; terminating it.
SELECT map_start('{"StartAt": "P", "TimeoutSeconds": 60, "States": {"P": {"Type": "Parallel", "End": true, "Branches": [
	{"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 100, "End": true}}}, {"StartAt": "B", "States": {"B": {"Type": "Wait", "Seconds": 50, "End": true}}}]}}}');
CALL expense_flow.run_pending('2 minutes');
SELECT * FROM map_result;
SELECT * FROM map_left;
SELECT expense_flow.start_workflow('map', '{}', 'map') IS NOT NULL AS started;
CALL expense_flow.run_pending();
SELECT * FROM map_left;
SELECT expense_flow.terminate_workflow('map', 'enough');
SELECT * FROM map_result;
SELECT * FROM map_left;

-- The same in the caller's transaction.
SELECT expense_flow.create_workflow('map_sync', '{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemSelector": {"n.$": "$$.Map.Item.Value"}, "MaxConcurrency": 2, "Next": "N",
	"ItemProcessor": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_step", "End": true}}}}, "N": {"Type": "Pass", "End": true}}}');
SELECT expense_flow.run_workflow('map_sync', '[1, 2, 3, 4]');
SELECT expense_flow.run_workflow('map_sync', '[1, -2, 3, 4]');
SELECT status, output FROM expense_flow.runs WHERE workflow = 'map_sync';
SELECT count(*) FROM expense_flow.branch JOIN expense_flow.runs USING (run_id) WHERE workflow = 'map_sync';
-- Many branches; some of them wait, and the rest go when one fails that comes after.
SELECT expense_flow.create_workflow('map_many', '{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "Catch": [{"ErrorEquals": ["Last"], "Next": "N"}],
	"Iterator": {"StartAt": "C", "States": {
		"C": {"Type": "Choice", "Choices": [{"Variable": "$", "NumericEquals": 0, "Next": "F"}, {"Variable": "$", "NumericEquals": 7, "Next": "W"}], "Default": "P"},
		"F": {"Type": "Fail", "Error": "Last"}, "W": {"Type": "Wait", "Seconds": 1, "End": true}, "P": {"Type": "Pass", "End": true}}}},
	"N": {"Type": "Pass", "Result": "caught", "End": true}}}');
SELECT output = input FROM (SELECT jsonb_agg(i) AS input FROM generate_series(1, 2200) i) x, expense_flow.run_workflow('map_many', input) output;
SELECT expense_flow.run_workflow('map_many', (SELECT jsonb_agg(i % 1500) FROM generate_series(1, 2200) i));

-- A failure without an error name stays without one.
SELECT expense_flow.create_workflow('map_nameless', '{"StartAt": "P", "States": {"P": {"Type": "Parallel", "End": true, "Branches": [{"StartAt": "M", "States": {"M": {"Type": "Map", "ItemsPath": "$", "End": true,
	"Iterator": {"StartAt": "F", "States": {"F": {"Type": "Fail"}}}}}}]}}}');
SELECT expense_flow.run_workflow('map_nameless', '[1, 2]');
SELECT expense_flow.start_workflow('map_nameless', '[1, 2]', 'map_nameless', start_delay => '1 hour') IS NOT NULL AS started;
CALL expense_flow.run_pending('2 hours');
SELECT status, error IS NULL AS nameless, error, cause FROM expense_flow.find_runs('map_nameless');
SELECT type, details FROM expense_flow.history WHERE run_id = (SELECT run_id FROM expense_flow.find_runs('map_nameless')) AND details ->> 'input' IS NULL ORDER BY event_id;

-- Results that are small, and together larger than data may be: what they are is not even read.
CREATE FUNCTION map_kilobytes(input jsonb) RETURNS text LANGUAGE sql AS $$SELECT repeat('x', 1000 * $1::integer)$$;
SELECT expense_flow.create_workflow('map_large', '{"StartAt": "M", "States": {"M": {"Type": "Map", "End": true, "Catch": [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "N"}],
	"Iterator": {"StartAt": "T", "States": {"T": {"Type": "Task", "Resource": "sql:public.map_kilobytes", "End": true}}}}, "N": {"Type": "Pass", "End": true}}}');
SET expense_flow.data_limit = '16kB';
SELECT jsonb_array_length(expense_flow.run_workflow('map_large', (SELECT jsonb_agg(1) FROM generate_series(1, 16))));
SELECT expense_flow.run_workflow('map_large', (SELECT jsonb_agg(1) FROM generate_series(1, 17)));
SELECT expense_flow.start_workflow('map_large', (SELECT jsonb_agg(2) FROM generate_series(1, 250)), 'map_large', start_delay => '1 hour') IS NOT NULL AS started;
CALL expense_flow.run_pending('2 hours');
SELECT output ->> 'Error' AS error FROM expense_flow.find_runs('map_large');
SELECT type FROM expense_flow.history WHERE run_id = (SELECT run_id FROM expense_flow.find_runs('map_large')) AND type ~ '^Map' GROUP BY type ORDER BY min(event_id);
SELECT count(*) FROM expense_flow.branch JOIN expense_flow.runs USING (run_id) WHERE workflow = 'map_large';
RESET expense_flow.data_limit;
