-- Which tables can be captured, and what their changes become.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA capture_test;
SET search_path = capture_test, public;

CREATE FUNCTION changes(source text) RETURNS TABLE (type text, key jsonb, old jsonb, new jsonb)
	LANGUAGE sql AS 'SELECT type, key, old, new FROM expense_flow.read_changes(source)';

-- add, update, remove
CREATE TABLE item (item_id integer PRIMARY KEY, name text, price numeric(10, 2), tags text[]);
SELECT expense_flow.capture_changes('item');
INSERT INTO item VALUES (1, 'pen', 1.50, '{a,b}'), (2, 'ink', NULL, NULL);
UPDATE item SET price = 2 WHERE item_id = 1;
UPDATE item SET item_id = 3 WHERE item_id = 2;
UPDATE item SET name = name;
DELETE FROM item WHERE item_id = 1;
SELECT * FROM changes('item');

-- a change and its reversal are two events, a rolled back one is none
BEGIN;
UPDATE item SET name = 'red ink';
SAVEPOINT s;
UPDATE item SET name = 'blue ink';
ROLLBACK TO s;
UPDATE item SET name = 'ink';
COMMIT;
BEGIN;
DELETE FROM item;
ROLLBACK;
SELECT type, old ->> 'name' AS old, new ->> 'name' AS new FROM changes('item') OFFSET 5;

-- INSERT ... ON CONFLICT, MERGE, COPY, TRUNCATE
INSERT INTO item VALUES (3, 'new', 1, NULL) ON CONFLICT (item_id) DO UPDATE SET name = EXCLUDED.name;
INSERT INTO item VALUES (3, 'newer', 1, NULL) ON CONFLICT (item_id) DO NOTHING;
MERGE INTO item USING (VALUES (3), (4)) AS v(id) ON item_id = v.id
	WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, 'merged');
COPY item FROM STDIN;
5	copied	7	{}
\.
TRUNCATE item;
SELECT * FROM changes('item') OFFSET 7;

-- what the table is read with does not matter, what it is written with neither
SELECT count(*) AS events, count(DISTINCT cursor) AS cursors, bool_and(cursor > prev) AS ascending
FROM (SELECT cursor, lag(cursor) OVER () AS prev FROM expense_flow.read_changes('item')) AS c;
SELECT expense_flow.stop_capturing('item');
INSERT INTO item VALUES (6);
SELECT * FROM changes('item');
SELECT expense_flow.stop_capturing('item');
SELECT tgname FROM pg_trigger WHERE tgrelid = 'item'::regclass;

-- a new source does not know what happened while there was none
SELECT expense_flow.capture_changes('item', source => 'things', notify => 'key');
SELECT expense_flow.capture_changes('item');
INSERT INTO item VALUES (7);
SELECT * FROM changes('things');
SELECT * FROM expense_flow.event_sources WHERE source = 'things';

-- keys: none, several columns, replica identity, added later
CREATE TABLE keyless (a integer, b text);
CREATE TABLE composite_key (b text, a integer, c integer, PRIMARY KEY (a, b));
CREATE TABLE identity (a integer NOT NULL, b integer);
CREATE UNIQUE INDEX identity_a ON identity (a);
ALTER TABLE identity REPLICA IDENTITY USING INDEX identity_a;
SELECT expense_flow.capture_changes(t) FROM unnest('{keyless,composite_key,identity}'::regclass[]) AS t;
INSERT INTO keyless VALUES (1, 'x');
INSERT INTO composite_key VALUES ('x', 1, 2);
INSERT INTO identity VALUES (1, 2);
ALTER TABLE keyless ADD PRIMARY KEY (a);
INSERT INTO keyless VALUES (2, 'y');
ALTER TABLE keyless RENAME COLUMN a TO id;
ALTER TABLE keyless ADD COLUMN later integer DEFAULT 5;
UPDATE keyless SET b = 'z' WHERE id = 1;
SELECT type, key, new FROM changes('keyless');
SELECT type, key, new FROM changes('composite_key');
SELECT type, key, new FROM changes('identity');

-- columns left out, and changes of nothing else
CREATE TABLE person (person_id bigint PRIMARY KEY, name text, photo bytea, seen timestamptz);
SELECT expense_flow.capture_changes('person', exclude_columns => '{photo,seen}');
INSERT INTO person VALUES (1, 'Ann', '\x00', now());
UPDATE person SET photo = '\x01', seen = now();
UPDATE person SET name = 'Anna';
SELECT * FROM changes('person');

-- values: composite, domain, array, special numbers, Unicode, large
CREATE TYPE pair AS (x integer, y text);
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TABLE kinds (id integer PRIMARY KEY, p pair, d positive, a pair[], f float8, n numeric, j json, big text, "Grün" text);
SELECT expense_flow.capture_changes('kinds');
INSERT INTO kinds VALUES (1, (1, 'a'), 2, ARRAY[(2, 'b')::pair], 'NaN', 'Infinity', '{"k": [1, 2]}', NULL, 'ß');
INSERT INTO kinds (id, big) SELECT 2, string_agg(md5(i::text), '') FROM generate_series(1, 5000) AS i;
UPDATE kinds SET d = 1 WHERE id = 2;
SELECT new FROM changes('kinds') LIMIT 1;
SELECT type, md5(new ->> 'big') = md5(big) AS same, old ->> 'd' AS old, new ->> 'd' AS new FROM changes('kinds'), kinds WHERE id = 2 OFFSET 1;

-- a cast to json of a user's type is used, and may itself write to the table
CREATE TYPE color AS ENUM ('red', 'green');
CREATE FUNCTION color_to_json(color) RETURNS json LANGUAGE plpgsql AS $$ BEGIN
	IF $1 = 'red' THEN INSERT INTO capture_test.shade VALUES (99, 'green') ON CONFLICT DO NOTHING; ALTER TABLE capture_test.ink ADD COLUMN x integer; END IF;
	RETURN json_build_object('color', $1::text); END $$;
CREATE CAST (color AS json) WITH FUNCTION color_to_json(color);
CREATE TABLE ink (i integer PRIMARY KEY);
CREATE TABLE shade (i integer PRIMARY KEY, c color);
SELECT expense_flow.capture_changes('shade');
INSERT INTO shade VALUES (1, 'red');
SELECT type, new FROM changes('shade');

-- partitions: the table's events, also of a partition that came later and has its columns in another order
CREATE TABLE part (id integer, region text, v integer, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
SELECT expense_flow.capture_changes('part');
CREATE TABLE part_us (v integer, dropped text, region text NOT NULL, id integer NOT NULL);
ALTER TABLE part_us DROP COLUMN dropped;
ALTER TABLE part ATTACH PARTITION part_us FOR VALUES IN ('us');
INSERT INTO part VALUES (1, 'eu', 10), (2, 'us', 20);
INSERT INTO part_us VALUES (30, 'us', 3);
UPDATE part SET region = 'us' WHERE id = 1;
DELETE FROM part_us WHERE id = 2;
TRUNCATE part;
SELECT * FROM changes('part');
SELECT expense_flow.stop_capturing('part');
SELECT count(*) FROM pg_trigger WHERE tgrelid IN ('part'::regclass, 'part_us'::regclass, 'part_eu'::regclass);

-- names: quotes, backslashes, Unicode, a taken one, the longest
CREATE TABLE "O'Brien \""" ("a b" integer PRIMARY KEY);
SELECT expense_flow.capture_changes('"O''Brien \"""');
INSERT INTO "O'Brien \"""  VALUES (1);
ALTER TABLE "O'Brien \""" RENAME TO "O''Brien";
INSERT INTO "O''Brien" VALUES (2);
SELECT key FROM changes('O''Brien \"');
SELECT expense_flow.stop_capturing('O''Brien \"');
CREATE SCHEMA capture_other;
CREATE TABLE capture_other.keyless (a integer);
SELECT expense_flow.capture_changes('capture_other.keyless');
CREATE TABLE short (a integer);
SELECT expense_flow.capture_changes('short', repeat('x', 51));
SELECT expense_flow.capture_changes('short', repeat('ü', 26));
SELECT expense_flow.capture_changes('short', '');
SELECT expense_flow.capture_changes('short', 'keyless');
SELECT length(expense_flow.capture_changes('short', repeat('x', 50)));
INSERT INTO short VALUES (1);

-- what cannot be captured
CREATE VIEW a_view AS SELECT 1;
CREATE TEMPORARY TABLE temporary_table (a integer);
CREATE UNLOGGED TABLE unlogged_table (a integer);
SELECT expense_flow.capture_changes('a_view');
SELECT expense_flow.capture_changes('temporary_table');
SELECT expense_flow.capture_changes('unlogged_table');
SELECT expense_flow.capture_changes('pg_class');
SELECT expense_flow.capture_changes('expense_flow.change_event');
SELECT expense_flow.capture_changes('identity_a');
SELECT expense_flow.capture_changes(NULL);
SELECT expense_flow.capture_changes(1::oid);
CREATE TABLE other (id integer PRIMARY KEY, a text);
SELECT expense_flow.capture_changes('other', exclude_columns => '{id}');
SELECT expense_flow.capture_changes('other', exclude_columns => '{b}');
SELECT expense_flow.capture_changes('other', exclude_columns => '{a,NULL}');
SELECT expense_flow.capture_changes('other', exclude_columns => '{{a}}');
SELECT expense_flow.capture_changes('other', notify => 'all');
SELECT expense_flow.stop_capturing(NULL);

-- the trigger function in wrong hands
SELECT expense_flow.capture_change();
CREATE TRIGGER wrong BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION expense_flow.capture_change('item');
INSERT INTO other VALUES (1);
DROP TRIGGER wrong ON other;
CREATE TRIGGER wrong AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION expense_flow.capture_change('item');
INSERT INTO other VALUES (1);
DROP TRIGGER wrong ON other;
CREATE TRIGGER wrong AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION expense_flow.capture_change();
INSERT INTO other VALUES (1);
DROP TRIGGER wrong ON other;
CREATE TRIGGER wrong AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION expense_flow.capture_change('no such source');
INSERT INTO other VALUES (1);
DROP TRIGGER wrong ON other;
CREATE TRIGGER wrong AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION expense_flow.capture_change('things');
INSERT INTO other VALUES (1);
DROP TRIGGER wrong ON other;

-- rights: only the owner may capture and stop; writers need no right on the extension's tables
CREATE ROLE capture_owner;
CREATE ROLE capture_writer;
GRANT USAGE ON SCHEMA capture_test TO capture_owner, capture_writer;
CREATE TABLE owned (id integer PRIMARY KEY, v integer);
ALTER TABLE owned OWNER TO capture_owner;
GRANT CREATE ON SCHEMA capture_test TO capture_owner;
GRANT INSERT ON owned TO capture_writer;
SET ROLE capture_writer;
SELECT expense_flow.capture_changes('owned');
SET ROLE capture_owner;
SELECT expense_flow.capture_changes('owned');
SET ROLE capture_writer;
INSERT INTO owned VALUES (1, 1);
SELECT expense_flow.stop_capturing('owned');
SELECT * FROM expense_flow.change_event;
RESET ROLE;
SELECT type, key FROM changes('owned');

-- a dropped table's events stay readable for the extension's owner until they are purged
DROP TABLE owned;
SELECT type, key FROM changes('owned');
SET ROLE capture_owner;
SELECT type, key FROM changes('owned');
SELECT expense_flow.stop_capturing('owned');
RESET ROLE;
SELECT expense_flow.stop_capturing('owned');

-- the expense application's tables
SELECT expense_flow.latest_cursor('account') AS account, expense_flow.latest_cursor('transaction') AS transaction \gset
INSERT INTO expense_flow.account (account_id, owner) VALUES (-1, 'capture');
INSERT INTO expense_flow.transaction (account_id, transaction_id, amount, occurred_at) VALUES (-1, '1', 2.5, '2020-01-01 UTC');
DELETE FROM expense_flow.transaction WHERE account_id = -1;
DELETE FROM expense_flow.account WHERE account_id = -1;
SELECT type, key, COALESCE(new, old) -> 'owner' AS owner FROM expense_flow.read_changes('account', :'account')
WHERE key ->> 'account_id' = '-1';
SELECT type, key, COALESCE(new, old) ->> 'amount' AS amount FROM expense_flow.read_changes('transaction', :'transaction')
WHERE key ->> 'account_id' = '-1';
SELECT expense_flow.stop_capturing('account');

-- clean up
DROP OWNED BY capture_writer, capture_owner;
DROP ROLE capture_writer, capture_owner;
SELECT expense_flow.stop_capturing(source) FROM expense_flow.event_sources
WHERE NOT built_in AND captured_table IN (SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'capture_%') ORDER BY source;
DROP SCHEMA capture_test, capture_other CASCADE;
