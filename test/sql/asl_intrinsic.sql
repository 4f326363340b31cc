-- Intrinsic functions.
CREATE SCHEMA asl_intrinsic_test;
SET search_path = asl_intrinsic_test, pg_catalog;
CREATE FUNCTION asl_test_expr(expr text, input jsonb, context jsonb, variables jsonb) RETURNS text
	LANGUAGE c AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_parse(document text) RETURNS text LANGUAGE c STRICT AS '$libdir/expense_flow';
CREATE FUNCTION ev(expr text, input jsonb = '{}') RETURNS text LANGUAGE sql
	AS $$ SELECT asl_intrinsic_test.asl_test_expr(expr, input, '{"Day": "TUESDAY"}', '{"v": 7, "t": "{} and {}"}') $$;

-- The specification's own examples.
SELECT e AS expr, ev(e, '{"name": "Foo", "someString": "{\"number\": 20}", "someJson": {"name": "Foo", "year": 2020},
	"a": [1,2,3,4,5,6,7,8,9], "five": 5, "dup": [1,2,3,3,3,3,3,3,4], "input": "Data to encode", "base64": "RGF0YSB0byBlbmNvZGU=",
	"Data": "input data", "Algorithm": "SHA-1", "json1": {"a": {"a1": 1, "a2": 2}, "b": 2}, "json2": {"a": {"a3": 1, "a4": 2}, "c": 3},
	"value1": 111, "step": -1, "inputString": "1,2,3,4,5", "splitter": ","}')
FROM unnest(ARRAY[
	$$States.Format('Your name is {}, we are in the year {}', $.name, 2020)$$,
	$$States.Format('Today is {}', $$||'$$.Day)',
	$$States.StringToJson($.someString)$$, $$States.JsonToString($.someJson)$$,
	$$States.Array('Foo', 2020, $.someJson, null)$$, $$States.ArrayPartition($.a,4)$$, $$States.ArrayContains($.a, $.five)$$,
	$$States.ArrayRange(1, 9, 2)$$, $$States.ArrayGetItem($.a, $.five)$$, $$States.ArrayLength($.a)$$, $$States.ArrayUnique($.dup)$$,
	$$States.Base64Encode($.input)$$, $$States.Base64Decode($.base64)$$, $$States.Hash($.Data, $.Algorithm)$$,
	$$States.JsonMerge($.json1, $.json2, false)$$, $$States.JsonMerge($.json1, $.json2, true)$$,
	$$States.MathAdd($.value1, $.step)$$, $$States.StringSplit($.inputString, $.splitter)$$]) AS e;

-- Format: what arguments look like, escapes, counting.
SELECT e AS expr, ev(e, '{"s": "text", "n": 1.10, "big": 1e20, "b": true, "z": null, "l": [1, "a", null, [true]], "o": {"Arg1": 1, "Arg2": [], "x": {"y": "z"}},
	"t": "{} or \\{}", "bs": "C:\\dir {}"}')
FROM unnest(ARRAY[
	$$States.Format('{} {} {} {} {}', $.s, $.n, $.big, $.b, $.z)$$, $$States.Format('{} {}', $.l, $.o)$$, $$States.Format('{}', States.Array())$$,
	$$States.Format('{}{}', 'a\'b', '\{\}')$$, $$States.Format('it\'s \{{}\} \\ {}', 1, 2)$$, $$States.Format('')$$, $$States.Format('{')$$,
	$$States.Format('{x} }{')$$, $$States.Format($.t, 1)$$, $$States.Format($.bs, 2)$$, $$States.Format($t, 1, $v)$$, $$States.Format($.s)$$,
	$$States.Format('{}')$$, $$States.Format('{}', 1, 2)$$, $$States.Format('{} {}', 1)$$, $$States.Format(1)$$, $$States.Format($.l, 1)$$, $$States.Format('a\nb')$$,
	$$States.Format('{}', 'a\nb')$$, $$States.Format('größe {}', 'ü')$$]) AS e;

-- Strings and JSON.
SELECT s, ev($$States.StringToJson($.s)$$, jsonb_build_object('s', s))
FROM unnest(ARRAY['', ' ', E'\n\t', 'null', '-0', '1', '1.10', '1e3', 'true', '"x"', '[1, 2, "HelloWorld"]', '{"Arg1": 1, "Arg2": []}', '{"a":1,"a":2}',
	' [ ] ', '[[[]],{"a":{"b":[{}]}}]', '"\ud83d\ude00\u00e9\n\/"', '"\"\\\b\f\r\t"', '1.00e-3', '12345678901234567890123456789',
	-- not JSON, or nothing that a document can hold
	'{', '[1', '[1,]', '{"a"}', '{"a":}', '{"a":1,}', '{a:1}', 'tru', 'nullx', '01', '1.', '.5', '+1', '-', '1e', 'NaN', '''x''', '"x', '"\x"', '"\u12"', '1 2', '[1] x',
	'"\u0000"', '"\ud83d"', '"\ude00"', '"\ud83dx"', E'"\t"', '1e200000', '1e-20000', '1e99999999999999999999', '[}', ']', ',']) AS s;
SELECT e AS expr, ev(e, '{"o": {"b": [1, 2.50, {"c": null}], "a": "x\ty\"\\é\u0001😀"}, "s": "x", "n": 0.10, "e": {}, "big": 1e400}')
FROM unnest(ARRAY[$$States.JsonToString($.o)$$, $$States.JsonToString($.s)$$, $$States.JsonToString($.n)$$, $$States.JsonToString($.e)$$, $$States.JsonToString(null)$$,
	$$States.JsonToString(States.Array(1, 'a', $.e))$$, $$States.StringToJson(States.JsonToString($.o))$$, $$States.StringToJson($.n)$$,
	$$States.StringToJson('{"NewField": "MyValue" }')$$]) AS e;
SELECT length(ev($$States.JsonToString($.big)$$, '{"big": 1e400}')) AS digits;
SELECT e AS expr, ev(e, '{"a": ",a,,b;c,", "u": "aüböc"}')
FROM unnest(ARRAY[$$States.StringSplit($.a, ',')$$, $$States.StringSplit($.a, ',;')$$, $$States.StringSplit(',,,,', ',')$$, $$States.StringSplit('', ',')$$,
	$$States.StringSplit('abc', '')$$, $$States.StringSplit('abc', 'x')$$, $$States.StringSplit($.u, 'öü')$$, $$States.StringSplit('a::b:c', '::')$$,
	$$States.StringSplit('a.b*c+d', '.+')$$, $$States.StringSplit(1, ',')$$, $$States.StringSplit('a', null)$$]) AS e;

-- Arrays.
SELECT e AS expr, ev(e, '{"a": [1, "1", null, [1], {"k": [1, 2]}, 1.0, true], "o": {"k": [1, 2.0]}, "e": [], "d": [1, 1.0, "1", {"a": 1, "b": 2}, {"b": 2, "a": 1.00}, [1], [1], null, null, true, []]}')
FROM unnest(ARRAY[
	$$States.Array()$$, $$States.Array( 1 ,'a',-1.50,true,false,null,1e2)$$, $$States.Array(States.Array(States.Array()))$$, $$States.Array($.e, $v)$$,
	$$States.ArrayPartition($.a, 3)$$, $$States.ArrayPartition($.e, 1)$$, $$States.ArrayPartition($.a, 99)$$, $$States.ArrayPartition($.a, 2.5)$$,
	$$States.ArrayPartition($.a, 0)$$, $$States.ArrayPartition($.a, -1)$$, $$States.ArrayPartition($.o, 1)$$, $$States.ArrayPartition($.a, '1')$$, $$States.ArrayPartition($.a, 1e30)$$,
	$$States.ArrayContains($.a, 1)$$, $$States.ArrayContains($.a, 1.00)$$, $$States.ArrayContains($.a, '1')$$, $$States.ArrayContains($.a, 2)$$, $$States.ArrayContains($.a, null)$$,
	$$States.ArrayContains($.a, $.o)$$, $$States.ArrayContains($.a, States.Array(1))$$, $$States.ArrayContains($.a, $.e)$$, $$States.ArrayContains($.o, 1)$$,
	$$States.ArrayRange(1, 5, 1)$$, $$States.ArrayRange(5, 1, -2)$$, $$States.ArrayRange(1, 1, 5)$$, $$States.ArrayRange(5, 1, 1)$$, $$States.ArrayRange(1, 5, 0)$$,
	$$States.ArrayRange(0, 1000, 1)$$, $$States.ArrayRange(1.4, 2.5, 0.6)$$, $$States.ArrayRange(9223372036854775806, 9223372036854775807, 5)$$, $$States.ArrayRange('1', 2, 1)$$,
	$$States.ArrayGetItem($.a, 0)$$, $$States.ArrayGetItem($.a, 6)$$, $$States.ArrayGetItem($.a, 7)$$, $$States.ArrayGetItem($.a, -1)$$, $$States.ArrayGetItem($.e, 0)$$, $$States.ArrayGetItem($.o, 0)$$,
	$$States.ArrayGetItem(States.StringSplit('a:b:c', ':'), 1)$$,
	$$States.ArrayLength($.a)$$, $$States.ArrayLength($.e)$$, $$States.ArrayLength($.o)$$, $$States.ArrayLength($.a[?(@ == 1)])$$,
	$$States.ArrayUnique($.d)$$, $$States.ArrayUnique($.e)$$, $$States.ArrayUnique(States.Array(States.Array(1), $.d[5], $.d[0]))$$, $$States.ArrayUnique('x')$$]) AS e;
SELECT ev($$States.ArrayLength(States.ArrayRange(1, 1000, 1))$$) AS thousand,
	ev($$States.ArrayLength(States.ArrayUnique($.a))$$, jsonb_build_object('a', (SELECT jsonb_agg(i % 5000) FROM generate_series(1, 50000) i))) AS of_many;

-- Objects and numbers.
SELECT e AS expr, ev(e, '{"a": {"x": {"p": 1, "q": {"r": 1}}, "y": 1}, "b": {"x": {"q": {"s": 2}}, "y": {"z": 1}}, "l": []}')
FROM unnest(ARRAY[
	$$States.JsonMerge($.a, $.b, false)$$, $$States.JsonMerge($.a, $.b, true)$$, $$States.JsonMerge($.b, $.a, true)$$, $$States.JsonMerge($.a, $.l, false)$$,
	$$States.JsonMerge($.l, $.a, false)$$, $$States.JsonMerge($.a, $.b, null)$$, $$States.JsonMerge($.a, $.b)$$,
	$$States.MathAdd(1.49, 1.5)$$, $$States.MathAdd(-1.5, -1.51)$$, $$States.MathAdd(-0.5, 0.5)$$, $$States.MathAdd(2147483647, 1)$$,
	$$States.MathAdd(99999999999999999999999, 1)$$, $$States.MathAdd(1e131071, -1e131071)$$, $$States.MathAdd('1', 1)$$, $$States.MathAdd(1, $.l)$$, $$States.MathAdd(null, 1)$$]) AS e;
SELECT ev($$States.MathRandom(1, 999, 42)$$) = ev($$States.MathRandom(1, 999, 42)$$) AS same_seed, ev($$States.MathRandom(3, 4)$$) AS only_one,
	ev($$States.MathRandom(4, 4)$$) AS none, ev($$States.MathRandom('a', 4)$$) AS no_number,
	(SELECT bool_and(ev($$States.MathRandom(-2, 3)$$)::int BETWEEN -2 AND 2) FROM generate_series(1, 100)) AS within,
	ev($$States.MathRandom(-9223372036854775808, 9223372036854775807)$$) ~ '^-?\d+$' AS widest;

-- Codes.
SELECT e AS expr, ev(e, '{"long": "0123456789012345678901234567890123456789012345678901234567890123456789", "o": {"a": [1, 2]}}')
FROM unnest(ARRAY[
	$$States.Base64Encode('')$$, $$States.Base64Encode('a')$$, $$States.Base64Encode('ab')$$, $$States.Base64Encode('größe')$$, $$States.Base64Encode($.long)$$, $$States.Base64Encode(1)$$,
	$$States.Base64Decode('')$$, $$States.Base64Decode('YQ==')$$, $$States.Base64Decode('YQ')$$, $$States.Base64Decode('Z3LDtsOfZQ==')$$, $$States.Base64Decode('Y Q==')$$,
	$$States.Base64Decode('Y')$$, $$States.Base64Decode('YQ=')$$, $$States.Base64Decode('YQ==YQ==')$$, $$States.Base64Decode('Y-==')$$, $$States.Base64Decode('/w==')$$, $$States.Base64Decode('AA==')$$,
	$$States.Hash('input data', 'MD5')$$, $$States.Hash('input data', 'SHA-1')$$, $$States.Hash('input data', 'SHA-256')$$, $$States.Hash('input data', 'SHA-384')$$,
	$$States.Hash('input data', 'SHA-512')$$, $$States.Hash($.o, 'MD5')$$, $$States.Hash(1, 'MD5')$$, $$States.Hash('x', 'sha-1')$$, $$States.Hash('x', null)$$]) AS e;
SELECT md5('{"a":[1,2]}') AS of_object, md5('1') AS of_number, length(ev($$States.Base64Encode($.s)$$, jsonb_build_object('s', repeat('ü', 10000)))) AS longest,
	right(ev($$States.Base64Encode($.s)$$, jsonb_build_object('s', repeat('ü', 10001))), 50) AS too_long;
SELECT ev('States.UUID()') ~ '^"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"$' AS uuid, ev('States.UUID()') <> ev('States.UUID()') AS another;

-- Paths as arguments; what they do not find.
SELECT e AS expr, ev(e, '{"a": [{"b": "x, (y)"}, {"b": "z"}], "c d": 1}')
FROM unnest(ARRAY[$$States.Array($.a[*].b)$$, $$States.Array($.a[?(@.b == 'x, (y)')].b, $['c d'])$$, $$States.Array($.a[0,1].b,$.a[0].b)$$, $$States.Array($.a[9:].b)$$, $$States.Array($$||'$$.Day, $$)',
	$$States.Array($.none)$$, $$States.Format('{}', States.Array($.a[2]))$$, $$States.Array($none)$$, $$States.Array($.a.length())$$]) AS e;

-- What is no call.
SELECT e AS expr, ev(e)
FROM unnest(ARRAY['', 'States', 'States.Format', 'States.Format(', 'States.Format()', 'States.UUID(1)', 'States.MathAdd(1)', 'States.MathAdd(1, 2, 3)', 'States.Nothing()', 'Other.Array()', 'states.array()',
	'States.Array(1,)', 'States.Array(,1)', 'States.Array(1 2)', 'States.Array(1', 'States.Array(''a', 'States.Array(''a\', 'States.Array("a")', 'States.Array(a)', 'States.Array(1))', 'States.Array(1) x',
	'States.Array($.)', 'States.Array($.a[)', 'States.Array(1e999999)', 'States.Array(-)', 'States.Array ()', ' States.Array()', 'States.Array(nullx)', '1', '''x''']) AS e;
SELECT ev(repeat('States.Array(', 10) || repeat(')', 10)) AS ten, ev(repeat('States.Array(', 11) || repeat(')', 11)) AS eleven, left(ev(repeat('States.Array(', 100000)), 60) AS many,
	length(ev('States.Array(' || repeat('1,', 100000) || '1)')) AS wide;

-- Hostile data.
SELECT left(asl_test_parse(repeat('[', 1000000)), 60) AS unclosed, left(asl_test_parse(repeat('[', 1000000) || repeat(']', 1000000)), 60) AS too_deep,
	length(asl_test_parse(repeat('[', 2000) || repeat(']', 2000))) AS deep, length(asl_test_parse('[' || repeat('{"a":[1,2]},', 100000) || '0]')) AS wide;
SELECT left(ev($$States.Format('{}', $)$$, (repeat('[', 2000) || repeat(']', 2000))::jsonb), 20) AS format_deep,
	left(ev($$States.JsonMerge($.a, $.b, true)$$, jsonb_build_object('a', d, 'b', d)), 20) AS merge_deep,
	ev($$States.ArrayContains($.l, $.a)$$, jsonb_build_object('a', d, 'l', jsonb_build_array(1, d))) AS compare_deep
FROM (SELECT (repeat('{"a":', 2000) || '1' || repeat('}', 2000))::jsonb) AS v (d);

SET client_min_messages = warning;
DROP SCHEMA asl_intrinsic_test CASCADE;
