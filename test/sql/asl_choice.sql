--
-- Choice states
--
CREATE SCHEMA asl_choice;
SET search_path = asl_choice, pg_catalog;
CREATE FUNCTION test_state(definition json, state text, input jsonb, result jsonb = NULL, variables jsonb = NULL,
						   context jsonb = NULL, data_limit bigint = NULL) RETURNS jsonb
	AS '$libdir/expense_flow', 'asl_test_state' LANGUAGE C;

-- What a rule (its fields without Next) makes of an input: true, false, or an error.
CREATE FUNCTION holds(rule text, input jsonb, variables jsonb = NULL, context jsonb = NULL) RETURNS text
	LANGUAGE sql AS $$
	SELECT coalesce(r ->> 'Error', (r ->> 'next' = 'Yes')::text)
		FROM asl_choice.test_state(('{"StartAt": "C", "States": {
			"C": {"Type": "Choice", "Choices": [{' || rule || ', "Next": "Yes"}], "Default": "No"},
			"Yes": {"Type": "Succeed"}, "No": {"Type": "Succeed"}}}')::json, 'C', input, NULL, variables, context) r;
$$;
-- The same for "Variable": "$.a" of {"a": value}.
CREATE FUNCTION a_holds(operator text, value jsonb) RETURNS text
	LANGUAGE sql AS $$ SELECT asl_choice.holds('"Variable": "$.a", ' || operator, jsonb_build_object('a', value)) $$;

-- ---- every operator against values of every type: another type is false, and only its Is... tells it so ----
SELECT o AS operator,
	   a_holds(o, '"b"') AS "b", a_holds(o, '"a"') AS "a", a_holds(o, '"2020-01-01T00:00:00Z"') AS "2020", a_holds(o, '1') AS "1",
	   a_holds(o, '1.0') AS "1.0", a_holds(o, '2') AS "2", a_holds(o, 'true') AS "true", a_holds(o, 'false') AS "false",
	   a_holds(o, 'null') AS "null", a_holds(o, '[]') AS "[]", a_holds(o, '{}') AS "{}"
	FROM unnest(ARRAY[
		'"StringEquals": "b"', '"StringLessThan": "b"', '"StringGreaterThan": "a"', '"StringLessThanEquals": "a"', '"StringGreaterThanEquals": "b"',
		'"StringMatches": "*"',
		'"NumericEquals": 1', '"NumericLessThan": 2', '"NumericGreaterThan": 1', '"NumericLessThanEquals": 1.0', '"NumericGreaterThanEquals": 2e0',
		'"BooleanEquals": true', '"BooleanEquals": false',
		'"TimestampEquals": "2020-01-01T00:00:00Z"', '"TimestampLessThan": "2020-01-01T00:00:01Z"', '"TimestampGreaterThan": "2019-12-31T23:59:59Z"',
		'"TimestampLessThanEquals": "2020-01-01T01:00:00+01:00"', '"TimestampGreaterThanEquals": "2020-01-01T00:00:00.000000001Z"',
		'"IsNull": true', '"IsNull": false', '"IsPresent": true', '"IsPresent": false', '"IsNumeric": true', '"IsNumeric": false',
		'"IsString": true', '"IsString": false', '"IsBoolean": true', '"IsBoolean": false', '"IsTimestamp": true', '"IsTimestamp": false'])
		WITH ORDINALITY u (o, n) ORDER BY n;

-- ---- a variable that is not there ----
SELECT o AS operator, holds('"Variable": "$.b", ' || o, '{"a": 1}')
	FROM unnest(ARRAY['"IsPresent": true', '"IsPresent": false', '"IsNull": true', '"IsString": false', '"NumericEquals": 1']) WITH ORDINALITY u (o, n) ORDER BY n;
-- paths that may select several values: present if they select any; the value is an array
SELECT p, holds(format('"Variable": "%s", "IsPresent": true', p), '{"a": [1, 2], "e": []}') AS present,
	   holds(format('"Variable": "%s", "IsNumeric": true', p), '{"a": [1, 2], "e": []}') AS "numeric"
	FROM unnest('{$.a[*],$.e[*],$.a[0],$..x,$.a[?(@ > 1)]}'::text[]) WITH ORDINALITY u (p, n) ORDER BY n;

-- ---- ...Path operators ----
SELECT p AS rule, holds(p, '{"one": 1, "two": 2, "a": "a", "t": true, "f": false, "new": "2020-01-01T00:00:00Z", "same": "2019-12-31T19:00:00-05:00", "none": null}')
	FROM unnest(ARRAY[
		'"Variable": "$.one", "NumericEqualsPath": "$.one"', '"Variable": "$.one", "NumericLessThanPath": "$.two"',
		'"Variable": "$.one", "NumericGreaterThanPath": "$.two"', '"Variable": "$.one", "NumericEqualsPath": "$.a"',
		'"Variable": "$.a", "StringEqualsPath": "$.a"', '"Variable": "$.a", "StringLessThanEqualsPath": "$.new"',
		'"Variable": "$.t", "BooleanEqualsPath": "$.f"', '"Variable": "$.t", "BooleanEqualsPath": "$.t"',
		'"Variable": "$.new", "TimestampEqualsPath": "$.same"', '"Variable": "$.new", "TimestampGreaterThanPath": "$.a"',
		'"Variable": "$.none", "StringEqualsPath": "$.none"', '"Variable": "$.one", "NumericEqualsPath": "$.missing"'])
		WITH ORDINALITY u (p, n) ORDER BY n;
-- of the context object and of variables
SELECT holds('"Variable": "$$.Execution.Input.v", "NumericEqualsPath": "$want.v"', '{}', '{"want": {"v": 7}}', '{"Execution": {"Input": {"v": 7}}}');
SELECT holds('"Variable": "$nothing", "IsPresent": false', '{}', '{"want": 1}');

-- ---- numbers and timestamps are compared by what they mean ----
SELECT a_holds('"NumericEquals": 0.1', '0.10'), a_holds('"NumericLessThan": 12345678901234567890124', '12345678901234567890123'),
	   a_holds('"NumericEquals": -0', '0.0'), a_holds('"NumericGreaterThan": 1e300', '1e301');
SELECT a_holds('"TimestampEquals": "2016-02-29T23:59:60Z"', '"2016-03-01T00:00:00.000+00:00"'),
	   a_holds('"TimestampLessThan": "2016-03-14T01:59:00.2Z"', '"2016-03-14T01:59:00.10Z"'),
	   a_holds('"TimestampLessThan": "2016-03-14T01:59:00Z"', '"2016-03-14"'),
	   a_holds('"TimestampGreaterThan": "0000-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"');
-- strings character by character
SELECT a_holds('"StringLessThan": "b"', '"B"'), a_holds('"StringLessThan": "é"', '"z"'), a_holds('"StringLessThan": "ab"', '"a"'), a_holds('"StringEquals": ""', '""');

-- ---- StringMatches ----
SELECT p AS pattern, t AS text, a_holds('"StringMatches": ' || to_json(p)::text, to_jsonb(t)) AS matches
	FROM (VALUES (1, 'foo*.log', 'foo23.log'), (2, 'foo*.log', 'foo.log'), (3, 'foo*.log', 'foo.logs'), (4, '*.log', 'zebra.log'),
		(5, 'foo*.*', 'foobar.zebra'), (6, '', ''), (7, '', 'a'), (8, '*', ''), (9, '**', 'abc'), (10, 'a*a', 'a'), (11, 'a*a', 'aa'),
		(12, 'a\*b', 'a*b'), (13, 'a\*b', 'axb'), (14, 'a\\b', 'a\b'), (15, 'a\\*', 'a\anything'), (16, 'a?c', 'abc'), (17, 'a.c', 'abc'),
		(18, '*ab*ab', 'abab'), (19, '*ab*ab', 'ab'), (20, '*aab*', 'aaab'), (21, 'ü*ö', 'über Tölö'), (22, 'a\b', 'ab'), (23, 'a\', 'a\'))
		v (n, p, t) ORDER BY n;
-- in time that does not explode
SELECT a_holds('"StringMatches": "' || repeat('*a', 2000) || 'b"', to_jsonb(repeat('a', 100000))),
	   a_holds('"StringMatches": "*' || repeat('a', 20000) || 'b*"', to_jsonb(repeat('a', 200000)));

-- ---- And, Or, Not ----
SELECT p AS rule, holds(p, '{"a": 1}')
	FROM unnest(ARRAY[
		'"And": [{"Variable": "$.a", "NumericEquals": 1}, {"Variable": "$.a", "IsNumeric": true}]',
		'"And": [{"Variable": "$.a", "NumericEquals": 2}, {"Variable": "$.missing", "IsNumeric": true}]',
		'"And": [{"Variable": "$.a", "NumericEquals": 1}, {"Variable": "$.missing", "IsNumeric": true}]',
		'"Or": [{"Variable": "$.a", "NumericEquals": 1}, {"Variable": "$.missing", "IsNumeric": true}]',
		'"Or": [{"Variable": "$.a", "NumericEquals": 2}, {"Variable": "$.a", "NumericEquals": 3}]',
		'"Not": {"Variable": "$.a", "NumericEquals": 2}',
		'"Not": {"Not": {"And": [{"Or": [{"Variable": "$.a", "NumericEquals": 1}]}]}}'])
		WITH ORDINALITY u (p, n) ORDER BY n;
SELECT holds('"Not": ' || repeat('{"Not": ', 900) || '{"Variable": "$.a", "IsNull": true}' || repeat('}', 900), '{"a": null}');

-- ---- which rule, what comes out, what is assigned ----
CREATE TABLE definition AS SELECT '{"StartAt": "C", "States": {
	"C": {"Type": "Choice", "InputPath": "$.in", "OutputPath": "$.out",
		"Choices": [
			{"Variable": "$.n", "NumericLessThan": 10, "Next": "Small", "Assign": {"size": "small", "n.$": "$.n"}},
			{"Variable": "$.n", "NumericLessThan": 100, "Next": "Medium"},
			{"Variable": "$.n", "NumericLessThan": 20, "Next": "Never"}],
		"Default": "Large", "Assign": {"size": "large"}},
	"Small": {"Type": "Succeed"}, "Medium": {"Type": "Succeed"}, "Large": {"Type": "Succeed"}, "Never": {"Type": "Succeed"}}}'::text AS text;
SELECT n, test_state(text::json, 'C', jsonb_build_object('in', jsonb_build_object('n', n, 'out', 'o')), NULL, '{"size": "unknown", "kept": 1}')
	FROM definition, unnest('{5,50,500}'::int[]) n ORDER BY n;
SELECT test_state(text::json, 'C', '{"in": {"n": 5}}') FROM definition;
SELECT test_state(text::json, 'C', '{}') FROM definition;
SELECT test_state(text::json, 'C', '{"in": {"n": "five", "out": [1]}}') FROM definition;
SELECT test_state('{"StartAt": "C", "States": {"C": {"Type": "Choice", "Choices": [{"Variable": "$", "IsNull": true, "Next": "S"}]}, "S": {"Type": "Succeed"}}}', 'C', '1');

\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA asl_choice CASCADE;
