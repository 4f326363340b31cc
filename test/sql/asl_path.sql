-- Paths: the service's dialect of JSONPath.  The functions are the library's own, for tests only.
CREATE SCHEMA asl_path_test;
SET search_path = asl_path_test, pg_catalog;
CREATE FUNCTION asl_test_path(path text, input jsonb, context jsonb, variables jsonb) RETURNS text
	LANGUAGE c AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_path_kind(path text) RETURNS text LANGUAGE c STRICT AS '$libdir/expense_flow';
CREATE FUNCTION asl_test_set(path text, document jsonb, value jsonb) RETURNS text
	LANGUAGE c STRICT AS '$libdir/expense_flow';

CREATE FUNCTION at(path text, input jsonb) RETURNS text LANGUAGE sql
	AS $$ SELECT asl_path_test.asl_test_path(path, input, NULL, NULL) $$;

-- The specification's own examples: reference paths, and what they return.
SELECT path, asl_test_path_kind(path), at(path, '{"foo": 123, "bar": ["a", "b", "c"], "car": {"cdr": true}}')
FROM (VALUES ('$.foo'), ('$.bar'), ('$.car.cdr'), ('$'), ('$.none'), ('$.car.none.cdr')) AS v (path);

SELECT path, asl_test_path_kind(path), at(path,
	'{"store": {"book": {"title": 1}}, "store.book": 2, "foo": {".bar": 3}, "foo@bar": {"baz[[": {"?pretty": 4}},
	  "&Ж中": {"\ud800\udf46": 5}, "ledgers": {"branch": [{"pending": {"count": 6}}]}}')
FROM (VALUES
	('$.store.book'), ('$.store\.book'), ('$.\stor\e.boo\k'), ('$.store.book.title'), ('$.foo.\.bar'),
	('$.foo\@bar.baz\[\[.\?pretty'), (E'$.&Ж中.\U00010346'), ('$.&Ж中.\uD800\uDF46'),
	('$.ledgers.branch[0].pending.count'), ('$.ledgers.branch[0]'), ('$[''store''][''book'']'),
	('$["store"]["book"]'), ('$[''store.book'']'), ('$.[''store''].book'), ('$.ledgers.branch.[0].pending')) AS v (path);

-- Names that need brackets or escapes.
SELECT path, at(path, '{"a b": 1, "it''s": 2, "q\"q": 3, "b\\s": 4, "": 5, "$x": 6, "${y}": 7, "a-b": 8, "*": 9, "ü": 10, "\n": 11}')
FROM (VALUES ('$[''a b'']'), ('$[ "a b" ]'), ('$[''it\''s'']'), ('$["q\"q"]'), ('$["b\\s"]'), ('$['''']'),
	('$.$x'), ('$.${y}'), ('$.a-b'), ('$.\*'), ('$[''\u00fc'']'), ('$.ü'), ('$[''\n'']'), ('$.\n')) AS v (path);

-- Indexes, slices, unions, wildcards.
SELECT path, asl_test_path_kind(path), at(path, '{"a": [0, 10, 20, 30, 40, 50], "o": {"x": 1, "y": {"x": 2}}}')
FROM (VALUES
	('$.a[0]'), ('$.a[5]'), ('$.a[6]'), ('$.a[-1]'), ('$.a[-6]'), ('$.a[-7]'), ('$.o[0]'),
	('$.a[1:3]'), ('$.a[:2]'), ('$.a[4:]'), ('$.a[-3:]'), ('$.a[:-4]'), ('$.a[-4:-2]'), ('$.a[0:6:2]'), ('$.a[::3]'),
	('$.a[1::2]'), ('$.a[3:1]'), ('$.a[9:]'), ('$.a[:]'), ('$.a[0,1]'), ('$.a[ 5 , 0 , 9 ]'), ('$.a[-1,0]'),
	('$.a[*]'), ('$.a.*'), ('$.o.*'), ('$.o[*].x'), ('$.none[*]'), ('$.none[1:]'), ('$.none[:1].x'), ('$.o.x[*]'),
	('$.o[''x'',''y'']'), ('$.o[''x'',''z'']'), ('$.*[''x'',''y'']'), ('$[''o'',''a''][0]'), ('$[''o'',''p''].x')) AS v (path);

-- An indefinite path yields an array, of one, too; a definite one the value.
SELECT path, at(path, '{"items": [{"n": 1}], "none": []}')
FROM (VALUES ('$.items[0].n'), ('$.items[*].n'), ('$.items[?(@.n == 1)]'), ('$.items[?(@.n == 2)]'), ('$.none[*].n'),
	('$.items[0:1].m'), ('$.items[0].m')) AS v (path);

-- All the way down.
SELECT path, asl_test_path_kind(path),
	at(path, '{"a": {"x": 1, "b": [{"x": 2}, {"x": {"x": 3}}, [4, 5]]}, "x": 6}')
FROM (VALUES ('$..x'), ('$.a..x'), ('$..b[0]'), ('$..[0]'), ('$..b[*].x'), ('$..*'), ('$..[?(@.x == 2)]'), ('$..nothing'),
	('$..b.length()')) AS v (path);

-- Filters.
CREATE TABLE store AS SELECT '{
	"limit": 10, "wanted": ["fiction", "history"],
	"book": [
		{"id": 1, "category": "reference", "author": "Nigel Rees", "price": 8.95},
		{"id": 2, "category": "fiction", "author": "Evelyn Waugh", "price": 12.99, "tags": ["war", "love"]},
		{"id": 3, "category": "fiction", "author": "Herman Melville", "isbn": "0-553-21311-3", "price": 8.99, "tags": []},
		{"id": 4, "category": "fiction", "author": "J. R. R. Tolkien", "isbn": null, "price": 22.99, "more": {"pages": 1178}}]
}'::jsonb AS document;

SELECT filter, at('$.book[?(' || filter || ')].id', document)
FROM store, (VALUES
	('@.price < 10'), ('@.price <= 8.95'), ('@.price > 12.99'), ('@.price >= 12.99'), ('@.id == 2'), ('@.id != 2'),
	('@.id == 2.0'), ('@.id == ''2'''), ('2 == @.id'), ('@.author == "Nigel Rees"'), ('@.category == fiction'),
	('@.isbn'), ('!@.isbn'), ('!(@.isbn)'), ('@.isbn == null'), ('@.isbn != null'), ('@.none == null'), ('@.none != 1'),
	('@.category < ''g'''), ('@.author > @.category'), ('@.price < ''x'''),
	('@.price < 10 && @.category == ''fiction'''), ('@.price < 9 || @.price > 20'), ('@.id == 1 || @.id == 2 && @.price > 100'),
	('(@.id == 1 || @.id == 2) && @.price > 10'), ('!(@.id == 1) && !!@.isbn'),
	('@.price < $.limit'), ('@.category in $.wanted'), ('@.id in [1, 4]'), ('@.category in [''reference'', "x"]'),
	('@.category nin [''fiction'']'), ('@.isbn in [null]'), ('@.none in [null]'), ('@.more.pages == 1178'), ('@[''more''][''pages''] > 1'),
	('@.author =~ /.*Tolkien/'), ('@.author =~ /tolkien/i'), ('@.author =~ /.*TOLKIEN$/i'), ('@.author =~ /(?i).*rees/'),
	('@.isbn =~ /\d-\d{3}-.*/'), ('@.tags =~ /w.r/'), ('@.price =~ /8\.9[59]/'), ('@.author =~ /a|.*s/'),
	('@.tags contains ''war'''), ('@.author contains ''Mel'''), ('@.tags size 2'), ('@.tags empty true'), ('@.tags empty false'),
	('@.tags anyof [''war'', ''peace'']'), ('@.tags noneof [''war'']'), ('@.tags subsetof [''war'', ''love'', ''x'']'),
	('@.tags.length() == 2'), ('@.author.length() > 14'), ('@.tags[?(@ == ''love'')]'), ('@.tags[0] == ''war'''),
	('@..pages'), ('1 == 1'), ('@.id == $.book[0].id'), ('@.id == $.book.length()')) AS v (filter);

-- On values that are no objects; on an object, which passes as a whole or not.
SELECT path, at(path, '{"n": [1, 5, "5", null, true, [5], {"n": 5}], "o": {"k": 5}}')
FROM (VALUES ('$.n[?(@ > 1)]'), ('$.n[?(@ == 5)]'), ('$.n[?(@ == null)]'), ('$.n[?(@ == true)]'), ('$.n[?(@ == [5])]'),
	('$.n[?(@[0])]'), ('$.n[?(@.n)]'), ('$.o[?(@.k == 5)]'), ('$.o[?(@.k == 5)].k'), ('$.o[?(@.k == 6)]'), ('$.o.k[?(@ == 5)]'))
	AS v (path);

-- Functions at a path's end.
SELECT path, asl_test_path_kind(path),
	at(path, '{"n": [3, 1.5, "x", 2], "s": "größe", "o": {"a": 1, "b": {"c": 2}}, "e": [], "t": true}')
FROM (VALUES ('$.n.length()'), ('$.s.length()'), ('$.o.length()'), ('$.t.length()'), ('$.e.length()'), ('$.none.length()'),
	('$.n[*].length()'), ('$..length()'), ('$.n.min()'), ('$.n.max()'), ('$.n.sum()'), ('$.n.avg()'), ('$.e.sum()'), ('$.o.keys()'),
	('$.n.keys()'), ('$.n.first()'), ('$.n.last()'), ('$.e.first()'), ('$.n.length().x'), ('$.n.median()'), ('$.n.length(1)')) AS v (path);

-- The context object and variables.  Inside a path's filter "$" is what the path itself is applied to.
SELECT path, asl_test_path_kind(path), asl_test_path(path, '{"in": 1}', '{"Execution": {"Id": "e1", "Input": {"in": 2}}}',
	'{"x": 3, "list": [1, 2, 3], "obj": {"min": 2, "list": [1, 2, 3]}, "groß_1": 4}')
FROM (VALUES ('$$'), ('$$.Execution.Id'), ('$$[''Execution''].Input.in'), ('$$.None'), ('$x'), ('$list[1:]'), ('$list[?(@ >= $x)]'),
	('$obj.list[?(@ >= $.min)]'), ('$obj[''min'']'), ('$groß_1'), ('$nothing'), ('$nothing[*]'), ('$list[?(@ == $nothing)]'),
	('$.in[?(@)]'), ('$list[?(@ == $$.Execution.Input.in)]'), ('$$x'), ('$1'), ('$x-y')) AS v (path);

-- What is no path.
SELECT path, asl_test_path_kind(path)
FROM (VALUES (''), ('a'), ('.a'), ('@.a'), ('$.'), ('$..'), ('$...a'), ('$.a.'), ('$a b'), ('$.a b'), ('$.a[b]'), ('$.a[''b'), ('$.a[''b'']c'),
	('$.a['), ('$.a[]'), ('$.a[1'), ('$.a[1,]'), ('$.a[1.5]'), ('$.a[99999999999]'), ('$.a[::0]'), ('$.a[::-1]'), ('$.a[?]'), ('$.a[?()]'),
	('$.a[?(@.b ==)]'), ('$.a[?(@.b = 1)]'), ('$.a[?(@.b == 1]'), ('$.a[?(@.b && )]'), ('$.a[?(1)]'), ('$.a[?(@.b =~ /(/)]'), ('$.a[?(@.b =~ /x/q)]'),
	('$.a[?(@.b =~ /x)]'), ('$.a[?(@.b in [1)]'), ('$.a[?(@.b == 1e999999)]'), ('$.a\'), ('$[''\ud800'']'), ('$.a(')) AS v (path);

-- ResultPath.
SELECT path, document, asl_test_set(path, document, '6')
FROM (VALUES
	('$', '{"a": 1}'::jsonb), ('$.a', '{"a": 1, "b": 2}'), ('$.c', '{"a": 1, "b": 2}'),
	('$.master.detail', '{"master": {"detail": [1, 2, 3]}}'), ('$.master.result.sum', '{"master": {"detail": [1, 2, 3]}}'),
	('$.b.greeting', '{"a": 1}'), ('$[''x y''].z', '{}'), ('$.a[1]', '{"a": [1, 2, 3]}'), ('$.a[-1]', '{"a": [1, 2, 3]}'),
	('$.a[3]', '{"a": [1, 2, 3]}'), ('$.a[0].b.c', '{"a": [{"b": {}}, 1]}'), ('$[0]', '[1]'), ('$[1].x', '[1]'),
	-- what cannot be done
	('$.x', '"foo"'), ('$.a.b', '{"a": 1}'), ('$.a.b', '{"a": null}'), ('$.a[4]', '{"a": [1, 2, 3]}'), ('$.a[-4]', '{"a": [1, 2, 3]}'),
	('$.a[0]', '{}'), ('$.a[0]', '{"a": {}}'), ('$.a.b', '{"a": []}'), ('$.a[*]', '{}'), ('$..a', '{}')) AS v (path, document);

-- All the members of wide containers keep their places: more than the 32 entries between two offsets.
SELECT bool_and(at(format('$.a[%s]', i), document) = i::text AND at(format('$.o.k%s', i), document) = format('"v%s"', i)) AS found,
	bool_and(asl_test_set(format('$.o.k%s.x', i), document #- ARRAY['o', 'k' || i], '0')::jsonb
		= jsonb_set(document, ARRAY['o', 'k' || i], '{"x": 0}')) AS set_field,
	bool_and(asl_test_set(format('$.a[%s]', i), document, '{"x": [1.50]}')::jsonb
		= jsonb_set(document, ARRAY['a', i::text], '{"x": [1.50]}')) AS set_element,
	bool_and(at(format('$.a[%s:]', i), document)::jsonb = (SELECT coalesce(jsonb_agg(n), '[]') FROM generate_series(i, 199) n)) AS slices
FROM (SELECT jsonb_build_object('a', jsonb_agg(n ORDER BY n), 'o', jsonb_object_agg('k' || n, 'v' || n)) AS document
	FROM generate_series(0, 199) AS n) AS wide, generate_series(0, 199, 7) AS i;

-- What is built is as valid as what the server builds itself.
SELECT asl_test_set('$.r', document, document)::jsonb = jsonb_set(document, '{r}', document) AS same,
	asl_test_path('$..*', document, NULL, NULL)::jsonb @> '[{"deep": [1, "x", null, true, {"n": 1e20}]}, 1.10]' AS contains
FROM (VALUES ('{"a": {"deep": [1, "x", null, true, {"n": 1e20}]}, "long": 1.10, "s": "text", "e": {}, "f": []}'::jsonb)) AS v (document);

-- Hostile input.  A deep document, deep paths, paths of 100,000 filters, nested filters, patterns that make other engines backtrack.
CREATE TABLE deep AS SELECT (repeat('[', 2000) || repeat(']', 2000))::jsonb AS document;
SELECT length(at('$..*', document)) > 2000 * 1999 AS all_levels, at('$' || repeat('[0]', 1999), document) AS innermost,
	at('$' || repeat('[*]', 2000), document) AS below, length(asl_test_set('$' || repeat('[0]', 1999), document, '[[1]]')) AS set_below FROM deep;
SELECT left(asl_test_set('$' || repeat('.a', 1000000), '{}', '1'), 60) AS too_deep;
SELECT at('$' || repeat('[?(@.a)]', 100000), '{"a": 1}') AS filters, at('$.a' || repeat('[?(@ == 1)]', 100000), '{"a": [1]}') AS of_elements,
	length(asl_test_path_kind('$[?(' || repeat('@.a == 1 && ', 100000) || '@.a)]')) AS conjunction;
SELECT left(asl_test_path_kind('$' || repeat('[?(@', 100000)), 60) AS nested, left(asl_test_path_kind('$[?(' || repeat('(', 100000)), 60) AS parentheses,
	left(asl_test_path_kind('$[?(@ in ' || repeat('[', 100000)), 60) AS lists, asl_test_path_kind('$[?(' || repeat('!', 100000) || '@.a)]') AS negations;
SELECT left(asl_test_path_kind('$' || repeat('[?(@ =~ /x/)]', 100000)), 60) AS patterns;
SELECT at('$[?(@ =~ /(a+)+b/)]', jsonb_build_array(repeat('a', 5000))) AS backtracking;
SELECT left(at('$..*' || repeat('..*', 20), document), 90) AS explosion FROM (SELECT (repeat('[', 100) || repeat(']', 100))::jsonb) AS d (document);

SET client_min_messages = warning;
DROP SCHEMA asl_path_test CASCADE;
