-- What purge() removes, and what it keeps.
\set VERBOSITY terse
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA purge_test;
SET search_path = purge_test, public;

-- run_ids of runs started this long ago (version 7)
CREATE FUNCTION run_id(p_number integer, p_age interval) RETURNS uuid LANGUAGE sql
RETURN overlay(overlay(expense_flow.first_run_id(clock_timestamp() - p_age)::text placing '7' from 15) placing lpad(p_number::text, 12, '0') from 25)::uuid;
CREATE FUNCTION number(p_run_id uuid) RETURNS integer LANGUAGE sql RETURN right(p_run_id::text, 12)::integer;
SELECT expense_flow.first_run_id('2024-01-01 00:00:00.001 UTC'), expense_flow.first_run_id('-infinity'::timestamptz) IS NULL AS broken;
SELECT expense_flow.first_run_id('1969-01-01');

-- closed and open runs: started, closed this long ago
INSERT INTO expense_flow.workflow (name, owner, current_version_id, retention)
VALUES ('purge_default', current_user::regrole, -901, NULL), ('purge_short', current_user::regrole, -902, '1 day'), ('purge_long', current_user::regrole, -903, '1 year');
INSERT INTO expense_flow.workflow_version (version_id, workflow, version, definition) OVERRIDING SYSTEM VALUE
VALUES (-901, 'purge_default', 1, '{}'), (-902, 'purge_short', 1, '{}'), (-903, 'purge_long', 1, '{}');
CREATE TABLE a_run (number integer, version_id integer, started interval, closed interval);
INSERT INTO a_run VALUES
	(1, -901, '31 days', '31 days'), (2, -901, '31 days', '29 days'), (3, -901, '29 days', '29 days'), (4, -901, '90 days', NULL),
	(5, -902, '31 days', '31 days'), (6, -902, '2 days', '2 days'), (7, -902, '2 days', '1 hour'), (8, -902, '2 days', NULL),
	(9, -903, '90 days', '90 days'), (10, -903, '400 days', '400 days'),
	(11, -999, '31 days', '31 days'), (12, -999, '1 day', '1 day');
CREATE TABLE started AS SELECT number, run_id(number, started) AS run_id FROM a_run;
INSERT INTO expense_flow.run (run_id, version_id, owner, started_at, input)
SELECT run_id, version_id, current_user::regrole, clock_timestamp() - started, '{}' FROM a_run JOIN started USING (number);
INSERT INTO expense_flow.transition (run_id, step, branch_id, began_at, at, events)
SELECT run_id, step, 0, clock_timestamp(), clock_timestamp(), 'P' FROM started, generate_series(1, 3) AS step;
INSERT INTO expense_flow.closed_run (run_id, status, closed_at, step)
SELECT run_id, 'S', clock_timestamp() - closed, 3 FROM a_run JOIN started USING (number) WHERE closed IS NOT NULL;
CREATE VIEW what_is_left AS
SELECT (SELECT array_agg(number ORDER BY number) FROM started JOIN expense_flow.run USING (run_id)) AS runs,
	(SELECT array_agg(number ORDER BY number) FROM started JOIN expense_flow.closed_run USING (run_id)) AS closed,
	(SELECT array_agg(DISTINCT number ORDER BY number) FROM started JOIN expense_flow.transition USING (run_id)) AS transitions;
SELECT * FROM what_is_left;

SET expense_flow.retention = -1;
CALL expense_flow.purge(batch_size => 2);
SELECT * FROM what_is_left;
RESET expense_flow.retention;
SHOW expense_flow.retention;
SHOW expense_flow.event_retention;
CALL expense_flow.purge(max_duration => '-1 second');
CALL expense_flow.purge(batch_size => 1);
SELECT * FROM what_is_left;
CALL expense_flow.purge();
UPDATE expense_flow.workflow SET retention = '0' WHERE name LIKE 'purge\_%';
CALL expense_flow.purge();
SELECT * FROM what_is_left;

-- misuse
CALL expense_flow.purge(batch_size => 0);
CALL expense_flow.purge(work_share => 0);
CALL expense_flow.purge(work_share => 1.01);
BEGIN;
CALL expense_flow.purge();
ROLLBACK;
CREATE ROLE purge_nobody;
SET ROLE purge_nobody;
CALL expense_flow.purge();
SET expense_flow.retention = 0;
RESET ROLE;
DROP ROLE purge_nobody;

-- events: kept until every consumer has passed them
CREATE TABLE item (id integer PRIMARY KEY);
SELECT expense_flow.capture_changes('item', 'purge_test', notify => 'none');
SELECT source_id FROM expense_flow.event_source WHERE source = 'purge_test' \gset
INSERT INTO item SELECT generate_series(1, 10);
SELECT array_agg(cursor) AS cursors FROM expense_flow.read_changes('purge_test') \gset
CREATE VIEW events AS SELECT array_agg(key -> 'id' ORDER BY event_id) AS events FROM expense_flow.change_event WHERE source_id = :source_id;
CREATE FUNCTION purge_all() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	r record;
	v_removed bigint := 0;
BEGIN
	LOOP
		SELECT * INTO r FROM expense_flow.purge_events((SELECT source_id FROM expense_flow.event_source WHERE source = 'purge_test'), 2);
		v_removed := v_removed + r.removed;
		IF NOT r.more THEN RETURN v_removed; END IF;
	END LOOP;
END $$;
SELECT purge_all();
SELECT expense_flow.acknowledge_changes('purge_test', 'a');
SELECT purge_all();
SELECT expense_flow.acknowledge_changes('purge_test', 'a', (:'cursors'::text[])[5]);
SELECT purge_all(), purge_all();
SELECT * FROM events;
SELECT expense_flow.acknowledge_changes('purge_test', 'b', (:'cursors'::text[])[7]);
SELECT expense_flow.acknowledge_changes('purge_test', 'a', (:'cursors'::text[])[9]);
SELECT purge_all();
SELECT * FROM events;

-- a reader who comes too late is told so; the last purged cursor is good
\set VERBOSITY sqlstate
SELECT key FROM expense_flow.read_changes('purge_test', (:'cursors'::text[])[6]);
SELECT expense_flow.acknowledge_changes('purge_test', 'c', (:'cursors'::text[])[6]);
\set VERBOSITY terse
SELECT key FROM expense_flow.read_changes('purge_test', (:'cursors'::text[])[7]);
SELECT key FROM expense_flow.read_changes('purge_test');

-- an event that waits to be announced is kept, and so is what follows it
UPDATE expense_flow.change_event SET announced = false WHERE source_id = :source_id AND key = '{"id": 9}';
SELECT expense_flow.acknowledge_changes('purge_test', c, (:'cursors'::text[])[10]) FROM unnest('{a,b}'::text[]) AS c;
SELECT purge_all();
SELECT * FROM events;
INSERT INTO expense_flow.event_announced SELECT source_id, event_id FROM expense_flow.change_event WHERE source_id = :source_id AND key = '{"id": 9}';
SELECT purge_all();
SELECT * FROM events;

-- too old: whoever has not read it
INSERT INTO item SELECT generate_series(11, 15);
SELECT purge_all();
SET expense_flow.event_retention = 0;
SELECT purge_all();
SET expense_flow.event_retention = -1;
INSERT INTO item VALUES (16);
SELECT purge_all();
SELECT expense_flow.drop_consumer('purge_test', c) FROM unnest('{a,b}'::text[]) AS c;
SELECT purge_all();
SELECT * FROM events;
RESET expense_flow.event_retention;

-- the source of a dropped table goes with its last event
DROP TABLE item;
CALL expense_flow.purge(batch_size => 7, purged_events => NULL);
SELECT count(*) FROM expense_flow.event_source WHERE source_id = :source_id;
UPDATE expense_flow.change_event SET at = at - interval '8 days' WHERE source_id = :source_id;
CALL expense_flow.purge();
SELECT (SELECT count(*) FROM expense_flow.event_source WHERE source_id = :source_id)
	+ (SELECT count(*) FROM expense_flow.event_purged WHERE source_id = :source_id)
	+ (SELECT count(*) FROM expense_flow.event_announced WHERE source_id = :source_id) AS left;

-- clean up
DELETE FROM expense_flow.run WHERE run_id IN (SELECT run_id FROM started);
DELETE FROM expense_flow.closed_run WHERE run_id IN (SELECT run_id FROM started);
DELETE FROM expense_flow.transition WHERE run_id IN (SELECT run_id FROM started);
DELETE FROM expense_flow.workflow WHERE name LIKE 'purge\_%';
DELETE FROM expense_flow.workflow_version WHERE workflow LIKE 'purge\_%';
DROP SCHEMA purge_test CASCADE;
