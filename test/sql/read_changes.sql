-- Feeds: cursors, paging, consumers, who may read.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA read_test;
SET search_path = read_test, public;
CREATE TABLE item (item_id integer PRIMARY KEY, v integer);
SELECT expense_flow.capture_changes('item', 'read_test');

-- nothing yet
SELECT * FROM expense_flow.read_changes('read_test');
SELECT expense_flow.latest_cursor('read_test') AS start \gset
SELECT * FROM expense_flow.read_changes('read_test', :'start');

-- pages, each after the last cursor of the one before
INSERT INTO item SELECT i, i FROM generate_series(1, 10) AS i;
WITH RECURSIVE page AS (
	SELECT 1 AS page, array_agg(cursor ORDER BY cursor) AS cursors, array_agg(key -> 'item_id' ORDER BY cursor) AS keys
	FROM expense_flow.read_changes('read_test', :'start', 4)
	UNION ALL
	SELECT p.page + 1, n.cursors, n.keys
	FROM page AS p
	CROSS JOIN LATERAL (SELECT array_agg(r.cursor ORDER BY r.cursor) AS cursors, array_agg(r.key -> 'item_id' ORDER BY r.cursor) AS keys
						FROM expense_flow.read_changes('read_test', p.cursors[cardinality(p.cursors)], 4) AS r) AS n
	WHERE p.cursors IS NOT NULL)
SELECT page, keys FROM page ORDER BY page;
SELECT count(*), bool_and(at BETWEEN now() - interval '1 minute' AND clock_timestamp()) AS recent FROM expense_flow.read_changes('read_test');
SELECT max(cursor) AS ten FROM expense_flow.read_changes('read_test') \gset
SELECT count(*) FROM expense_flow.read_changes('read_test', :'ten');
SELECT count(*) FROM expense_flow.read_changes(source => 'read_test', after => :'start', max_events => 1000000);

-- only what is committed, of one's own transaction too
BEGIN;
UPDATE item SET v = 0 WHERE item_id = 1;
SELECT count(*) FROM expense_flow.read_changes('read_test', :'ten');
SELECT expense_flow.latest_cursor('read_test') = :'ten' AS at_the_end;
COMMIT;
SELECT type, key FROM expense_flow.read_changes('read_test', :'ten');

-- in a transaction that cannot write
BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY;
SELECT count(*) FROM expense_flow.read_changes('read_test');
COMMIT;

-- another source's cursor is a position of the same feed
CREATE TABLE other (id integer PRIMARY KEY);
SELECT expense_flow.capture_changes('other', 'read_test_other');
INSERT INTO other VALUES (1);
SELECT max(cursor) AS other_end FROM expense_flow.read_changes('read_test_other') \gset
SELECT count(*) FROM expense_flow.read_changes('read_test', :'other_end');
-- but what the source did not capture, it does not pretend to know
\set VERBOSITY sqlstate
SELECT count(*) FROM expense_flow.read_changes('read_test_other', :'ten');

-- cursors that are none, of another feed, ahead
SELECT * FROM expense_flow.read_changes('read_test', '');
SELECT * FROM expense_flow.read_changes('read_test', 'x' || substr(:'ten', 2));
SELECT * FROM expense_flow.read_changes('read_test', :'ten' || '0');
SELECT * FROM expense_flow.read_changes('read_test', overlay(:'ten' placing 'f' from 10));
SELECT * FROM expense_flow.read_changes('read_test', overlay(:'ten' placing '7' from 10));
SELECT * FROM expense_flow.read_changes('read_test', overlay(:'ten' placing CASE substr(:'ten', 1, 1) WHEN '0' THEN '1' ELSE '0' END from 1));
\set VERBOSITY terse
SELECT * FROM expense_flow.read_changes('read_test', 'tomorrow');
SELECT * FROM expense_flow.read_changes('no such source');
SELECT * FROM expense_flow.read_changes(NULL);
SELECT * FROM expense_flow.read_changes('read_test', max_events => 0);
SELECT * FROM expense_flow.read_changes('read_test', max_events => NULL);
SELECT expense_flow.latest_cursor('no such source');
SELECT expense_flow.latest_cursor(NULL);

-- consumers: registered by the first acknowledgement, never moved back
SELECT expense_flow.acknowledge_changes('read_test', 'loader');
SELECT source, consumer, cursor < :'ten' AS before_ten, lag > '0' AS behind FROM expense_flow.change_consumers WHERE source = 'read_test';
SELECT expense_flow.acknowledge_changes('read_test', 'loader', :'ten');
SELECT expense_flow.acknowledge_changes('read_test', 'loader', :'start');
SELECT cursor = :'ten' AS at_ten, lag > '0' AS behind FROM expense_flow.change_consumers WHERE source = 'read_test';
SELECT expense_flow.acknowledge_changes('read_test', 'loader', expense_flow.latest_cursor('read_test'));
SELECT cursor > :'ten' AS after_ten, lag FROM expense_flow.change_consumers WHERE source = 'read_test';
SELECT type, key FROM expense_flow.read_changes('read_test', (SELECT cursor FROM expense_flow.change_consumers WHERE source = 'read_test'));
SELECT expense_flow.acknowledge_changes('read_test', 'loader', 'tomorrow');
SELECT expense_flow.acknowledge_changes('read_test', '');
SELECT expense_flow.acknowledge_changes('read_test', NULL);
SELECT expense_flow.acknowledge_changes('no such source', 'loader');
SELECT expense_flow.drop_consumer('read_test', 'nobody');

-- rights: those of the table
CREATE ROLE read_one;
CREATE ROLE read_two;
GRANT USAGE ON SCHEMA read_test TO read_one, read_two;
SET ROLE read_one;
SELECT * FROM expense_flow.read_changes('read_test');
SELECT expense_flow.latest_cursor('read_test');
SELECT expense_flow.acknowledge_changes('read_test', 'one');
SELECT expense_flow.drop_consumer('read_test', 'loader');
SELECT * FROM expense_flow.event_sources WHERE source LIKE 'read_test%';
SELECT * FROM expense_flow.change_consumers WHERE source LIKE 'read_test%';
SELECT * FROM expense_flow.change_consumer;
SELECT expense_flow.feed_bound();
RESET ROLE;
GRANT SELECT (item_id) ON item TO read_one;
SET ROLE read_one;
SELECT * FROM expense_flow.read_changes('read_test');
RESET ROLE;
GRANT SELECT ON item TO read_one, read_two;
SET ROLE read_one;
SELECT count(*) FROM expense_flow.read_changes('read_test');
SELECT expense_flow.acknowledge_changes('read_test', 'one');
SELECT source FROM expense_flow.event_sources WHERE source LIKE 'read_test%';
SELECT consumer, owner FROM expense_flow.change_consumers WHERE source = 'read_test' AND consumer = 'one';
SET ROLE read_two;
SELECT expense_flow.acknowledge_changes('read_test', 'one', :'ten');
SELECT expense_flow.drop_consumer('read_test', 'one');
RESET ROLE;

-- row security: refused to whom it applies to
ALTER TABLE item ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON item USING (item_id % 2 = 1);
SELECT count(*) FROM expense_flow.read_changes('read_test');
SET ROLE read_one;
SELECT * FROM expense_flow.read_changes('read_test');
SELECT expense_flow.latest_cursor('read_test');
SELECT expense_flow.acknowledge_changes('read_test', 'one', :'ten');
SELECT expense_flow.drop_consumer('read_test', 'one');
RESET ROLE;
ALTER ROLE read_one BYPASSRLS;
SET ROLE read_one;
SELECT count(*) FROM expense_flow.read_changes('read_test');
RESET ROLE;
ALTER ROLE read_one NOBYPASSRLS;
ALTER TABLE item OWNER TO read_one;
SET ROLE read_one;
SELECT count(*) FROM expense_flow.read_changes('read_test');
RESET ROLE;
ALTER TABLE item FORCE ROW LEVEL SECURITY;
SET ROLE read_one;
SELECT * FROM expense_flow.read_changes('read_test');
RESET ROLE;

-- clean up
SELECT expense_flow.drop_consumer('read_test', 'loader');
SELECT expense_flow.stop_capturing(s) FROM unnest('{read_test,read_test_other}'::text[]) AS s;
DROP SCHEMA read_test CASCADE;
DROP OWNED BY read_one, read_two;
DROP ROLE read_one, read_two;
