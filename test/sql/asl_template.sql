-- Payload templates.
CREATE SCHEMA asl_template_test;
SET search_path = asl_template_test, pg_catalog;
CREATE FUNCTION asl_test_template(template jsonb, input jsonb, context jsonb, variables jsonb) RETURNS text
	LANGUAGE c AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_expr(expr text, input jsonb, context jsonb, variables jsonb) RETURNS text
	LANGUAGE c AS '$libdir/expense_flow';
CREATE FUNCTION fill(template jsonb, input jsonb = '{}') RETURNS text LANGUAGE sql
	AS $$ SELECT asl_template_test.asl_test_template(template, input, '{"DayOfWeek": "TUESDAY"}', '{"v": {"w": 7}}') $$;

-- The specification's example.
SELECT jsonb_pretty(fill('{
	"flagged": true,
	"parts": {"first.$": "$.vals[0]", "last3.$": "$.vals[-3:]"},
	"weekday.$": "$$.DayOfWeek",
	"formattedOutput.$": "States.Format(''Today is {}'', $$.DayOfWeek)"}',
	'{"flagged": 7, "vals": [0, 10, 20, 30, 40, 50]}')::jsonb) AS payload;

-- Fields at any depth, in arrays, too; what is no field ending in ".$" is copied.
SELECT template, fill(template, '{"a": {"b": [1, 2, {"c": null}]}, "n": 5}')
FROM (VALUES ('{}'::jsonb), ('{"x": 1}'), ('{"x.$": "$"}'), ('{"x.$": "$.a.b[2].c"}'), ('{"x": "$.a", "y": "States.UUID()"}'),
	('{"x": [{"y.$": "$.n"}, "z", [{"w": {"v.$": "$.a.b"}}]]}'), ('[{"x.$": "$.n"}, {"y": 2}]'), ('"$.a"'), ('5'), ('null'), ('[]'),
	('{"x.$": "$v.w", "y.$": "$v"}'), ('{"x.y.$": "$.n", "$": 1, ".$": "$.n"}'), ('{"z.$": "$.n", "b": 1, "aa.$": "$.n", "a": {"d": 1}}'),
	('{"s": [1, {"t": 2}], "u": {"v": {}}, "x.$": "$.n"}'), ('{"x.$": "States.Array($.n, $v.w, States.MathAdd($.n, 1))"}')) AS v (template);

-- What cannot be found.
SELECT template, fill(template, '{"a": 1}')
FROM (VALUES ('{"x.$": "$.b"}'::jsonb), ('{"p": {"q.$": "$.a.b"}}'), ('{"x.$": "$$.None"}'), ('{"x.$": "$none"}'), ('{"x.$": "$.b[*]"}'), ('{"x.$": "States.Array($.b)"}'),
	('{"x.$": "States.MathAdd($.a, ''1'')"}')) AS v (template);
SELECT length(fill('{"x.$": "$.b"}', jsonb_build_object('a', repeat('ü', 100000)))) < 2200 AS long_inputs_are_cut;

-- What is no template: all the problems, with their places.
SELECT fill('{"a.$": 1, "b": {"c.$": "x", "d.$": "$.e["}, "f": [0, {"g.$": "States.Nothing()"}, {"h": [[{"i.$": null}]]}], "j": 1, "j.$": "$.k", "l.$": ""}') AS problems;

-- An expression is a path, the context's or a variable's, too, or a call.
SELECT e AS expr, asl_test_expr(e, '{"a": "x"}', '{"c": 1}', '{"v": 2}')
FROM unnest(ARRAY['$.a', '$', '$$.c', '$v', 'States.Format(''<{}>'', $.a)', '$.b', '$.a ', 'a']) AS e;

-- A wide template keeps every field in its place; a deep one works or is refused.
SELECT fill(t)::jsonb = (SELECT jsonb_object_agg('k' || i, CASE WHEN i % 2 = 0 THEN '"TUESDAY"'::jsonb ELSE to_jsonb(i) END) FROM generate_series(1, 1000) i) AS wide
FROM (SELECT jsonb_object_agg(CASE WHEN i % 2 = 0 THEN 'k' || i || '.$' ELSE 'k' || i END, CASE WHEN i % 2 = 0 THEN '"$$.DayOfWeek"'::jsonb ELSE to_jsonb(i) END)
	FROM generate_series(1, 1000) i) AS v (t);
SELECT fill((repeat('{"a":', 2000) || '{"x.$": "$"}' || repeat('}', 2000))::jsonb, '[1]')
	= repeat('{"a":', 2000) || '{"x":[1]}' || repeat('}', 2000) AS deep;

SET client_min_messages = warning;
DROP SCHEMA asl_template_test CASCADE;
