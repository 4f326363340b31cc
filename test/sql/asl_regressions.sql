-- What fuzzing and reading have found, once: each of these was wrong.
CREATE SCHEMA asl_regressions;
SET search_path = asl_regressions, pg_catalog;
\pset format unaligned
\pset tuples_only
CREATE FUNCTION asl_test_validate(definition json) RETURNS TABLE (path text, problem text)
	LANGUAGE c STRICT AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_parse(source text) RETURNS text LANGUAGE c STRICT AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_expr(expression text, input jsonb, context jsonb, variables jsonb) RETURNS text
	LANGUAGE c AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_path(path text, input jsonb, context jsonb, variables jsonb) RETURNS text
	LANGUAGE c AS '$libdir/expense_flow';

-- The quotation in a problem began in the middle of a character.
SELECT asl_test_parse(E'"\\\u00e9"');
SELECT asl_test_parse(E'["a\\\u20ac\u20ac"]');

-- A problem's path did not begin with a slash.
SELECT * FROM asl_test_validate('[1e-16384, {"a": [1e131072]}]');

-- A problem below a very long key: the whole key was copied for each, without a chance to cancel.
SELECT left(path, 5), length(path), problem, count(*)
FROM asl_test_validate(('{"' || repeat('x', 1000000) || '": {' || rtrim(repeat('"a": 1,', 2000), ',') || '}}')::json)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT length(path), count(*)
FROM asl_test_validate(('{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true, "Parameters": {"' || repeat('x', 1000000) ||
	'": {"a.$": 1, "b.$": 2}}}}}')::json)
GROUP BY 1 ORDER BY 1;

-- An object that a path has put together was not found equal to the same object of the input.
SELECT asl_test_expr('States.ArrayUnique(States.Array($[''a'',''b''], $[''b'',''a''], $.ab, $.ba))',
	'{"a": 1, "b": [2], "ab": {"a": 1, "b": [2]}, "ba": {"b": [2], "a": 1.0}}', NULL, NULL);

-- What a filter takes for one item is forgotten before the next: not what is needed later.
SELECT asl_test_path('$.items[?(@.a[?(@ =~ /1.*/ && @ != $.no && @ != $$.no)] contains 1 || @.b == $$.b || @.b in $v.list)].n',
	'{"no": 12, "items": [{"n": 1, "a": [1, 12]}, {"n": 2, "a": [12]}, {"n": 3, "b": "x"}, {"n": 4, "b": "y"}, {"n": 5, "a": [3]}]}',
	'{"b": "x", "no": 13}', '{"v": {"list": ["z", "y"]}}');

SET client_min_messages = warning;
DROP SCHEMA asl_regressions CASCADE;
