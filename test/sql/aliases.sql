-- Resource aliases: patterns, what they stand for, which one wins, who may change them.
SET search_path = expense_flow;

-- Resources of our own kinds need no alias.
SELECT r, resolve_resource(r) AS resolved
FROM unnest(ARRAY['sql:app.f', 'activity:q/a', 'signal:go', 'workflow:child', 'update:set', 'sql:app.f.waitForTaskToken',
	'arn:aws:lambda:eu-west-1:123456789012:function:Charge', 'sqlx:app.f', '', 'SQL:app.f']) r;

SELECT create_resource_alias('arn:aws:lambda:*:*:function:*', 'sql:app.*');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:Charge', 'sql:billing.charge');
SELECT create_resource_alias('arn:aws:lambda:*:*:function:Charge:7', 'sql:billing.charge_7');
SELECT create_resource_alias('arn:aws:states:*:*:activity:*', 'activity:aws/*');
SELECT create_resource_alias('*:exact', 'signal:*');
SELECT create_resource_alias('no-wildcard', 'sql:app.plain');

SELECT r, resolve_resource(r) AS resolved
FROM unnest(ARRAY[
	'arn:aws:lambda:eu-west-1:123456789012:function:Charge',
	'arn:aws:lambda:eu-west-1:123456789012:function:Refund',
	'arn:aws:lambda:::function:Refund',
	'arn:aws:lambda:eu-west-1:123456789012:function:',
	'arn:aws:lambda:eu-west-1:123456789012:function',
	'arn:aws:lambda:eu-west-1:123456789012:function:function:x',
	'arn:aws:lambda:eu-west-1:123456789012:function:Charge:$LATEST',
	'arn:aws:lambda:eu-west-1:123456789012:function:Charge:7',
	'arn:aws:lambda:eu-west-1:123456789012:function:Refund:PROD.waitForTaskToken',
	'arn:aws:states:eu-west-1:123456789012:activity:review:7',
	'arn:aws:states:eu-west-1:123456789012:activity:review',
	'arn:aws:states:eu-west-1:123456789012:activity:review.waitForTaskToken',
	'arn:aws:lambda:eu-west-1:123456789012:function:Charge.waitForTaskToken',
	'go:exact', ':exact', 'go:exactly', 'no-wildcard', 'no-wildcards', 'a no-wildcard',
	'arn:größe:exact']) r;

-- The most specific pattern wins, in whatever order they were made: most literal characters, then fewest wildcards.
SELECT create_resource_alias('x:*', 'sql:one.*');
SELECT create_resource_alias('x:*:b*', 'sql:two.*');
SELECT create_resource_alias('x:a:*', 'sql:three.*');
SELECT create_resource_alias('x:a:b', 'sql:four.f');
SELECT r, resolve_resource(r) AS resolved FROM unnest(ARRAY['x:q', 'x:q:bc', 'x:a:bc', 'x:a:b', 'x:a:', 'x:']) r;
SELECT create_resource_alias('*y', 'sql:five.*');
SELECT create_resource_alias('y*', 'sql:six.*');
SELECT resolve_resource('yy') AS first_in_order_of_bytes;
-- A star that must try again, many times.
SELECT create_resource_alias('z*a*a*a*a*b', 'sql:seven.*');
SELECT resolve_resource('z' || repeat('a', 2000)) AS none, length(resolve_resource('z' || repeat('a', 2000) || 'b')) AS captured;

-- A pattern that is there gets the new resource; changes hold within the transaction, and go with it.
SELECT create_resource_alias('x:a:b', 'sql:eight.f');
SELECT resolve_resource('x:a:b');
BEGIN;
SELECT drop_resource_alias('x:a:b');
SELECT resolve_resource('x:a:b');
SAVEPOINT s;
SELECT create_resource_alias('x:a:b', 'sql:nine.f');
SELECT resolve_resource('x:a:b');
ROLLBACK TO s;
SELECT resolve_resource('x:a:b');
ROLLBACK;
SELECT resolve_resource('x:a:b');

-- In a transaction whose snapshot is older, too.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 AS snapshot_taken FROM resource_alias;
SELECT create_resource_alias('late', 'sql:late.f');
SELECT resolve_resource('late');
COMMIT;

-- Mistakes.
SELECT create_resource_alias(NULL, 'sql:app.f');
SELECT create_resource_alias('a', NULL);
SELECT create_resource_alias('', 'sql:app.f');
SELECT create_resource_alias('sql:app.*', 'sql:app.f');
SELECT create_resource_alias('a', 'lambda:f');
SELECT create_resource_alias('a*', 'arn:b');
SELECT create_resource_alias('a', 'sql:app.*');
SELECT create_resource_alias('a*', 'sql:*.*');
SELECT create_resource_alias('a*.waitForTaskToken', 'sql:app.f');
SELECT create_resource_alias('a*', 'sql:app.f.waitForTaskToken');
SELECT drop_resource_alias('unknown');
SELECT drop_resource_alias(NULL);

-- Everybody may read them and resolve; only those who were granted it may change them.
CREATE ROLE regress_alias_user;
SET ROLE regress_alias_user;
SELECT resolve_resource('no-wildcard');
SELECT create_resource_alias('a', 'sql:app.f');
SELECT drop_resource_alias('no-wildcard');
DELETE FROM resource_alias;
RESET ROLE;
GRANT EXECUTE ON FUNCTION create_resource_alias, drop_resource_alias TO regress_alias_user;
SET ROLE regress_alias_user;
SELECT create_resource_alias('mine', 'sql:app.f');
SELECT drop_resource_alias('mine');
SELECT current_user;
RESET ROLE;
REVOKE EXECUTE ON FUNCTION create_resource_alias, drop_resource_alias FROM regress_alias_user;
DROP ROLE regress_alias_user;

SELECT drop_resource_alias(pattern) FROM resource_alias;

-- What a statement that fails has read of its own changes is forgotten.
SELECT create_resource_alias('undone', 'sql:app.f'), 1 / (length(resolve_resource('undone')) - length('sql:app.f'));
SELECT resolve_resource('undone');

-- Where the server is told to execute in parallel whatever it may.
SELECT count(set_config(name, 'on', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT resolve_resource('unknown');
SELECT count(set_config(name, 'off', false)) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

SELECT count(*) FROM resource_alias;
SELECT resolve_resource('no-wildcard');
