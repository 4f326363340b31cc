/*
 * purge: closed runs past their retention, change events that nobody needs.
 *
 * Small transactions, each of which removes one batch found by primary key, so
 * that no index is kept for it and nobody waits for it.  The identifiers of
 * runs are ordered by the time of their start: what was closed before a time
 * was started before it.
 */

CREATE FUNCTION run_retention() RETURNS interval
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'ef_run_retention';
REVOKE EXECUTE ON FUNCTION run_retention() FROM PUBLIC;
COMMENT ON FUNCTION run_retention() IS 'Internal: the setting expense_flow.retention, NULL for -1.';

CREATE FUNCTION event_retention() RETURNS interval
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'ef_event_retention';
REVOKE EXECUTE ON FUNCTION event_retention() FROM PUBLIC;
COMMENT ON FUNCTION event_retention() IS 'Internal: the setting expense_flow.event_retention, NULL for -1.';

CREATE FUNCTION lock_purge() RETURNS boolean
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_lock_purge';
REVOKE EXECUTE ON FUNCTION lock_purge() FROM PUBLIC;
COMMENT ON FUNCTION lock_purge() IS 'Internal: take the lock of purge() until the end of the transaction; false if another session has it.';

CREATE FUNCTION first_run_id(p_started_at timestamptz) RETURNS uuid
	LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN pg_catalog.rpad(pg_catalog.lpad(pg_catalog.to_hex(GREATEST(pg_catalog.floor(EXTRACT(EPOCH FROM p_started_at) OPERATOR(pg_catalog.*) 1000), 0)::bigint), 12, '0'), 32, '0')::uuid;
REVOKE EXECUTE ON FUNCTION first_run_id(timestamptz) FROM PUBLIC;
COMMENT ON FUNCTION first_run_id(timestamptz) IS 'Internal: no run that was started at this time or later has a smaller run_id.';

CREATE FUNCTION purge_runs(p_after uuid, p_batch integer, OUT removed bigint, OUT last_run_id uuid)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_default interval := expense_flow.run_retention();
	v_shortest interval;
	v_now timestamptz := clock_timestamp();
	v_examined uuid[];
	v_doomed uuid[];
BEGIN
	removed := 0;
	SELECT least(v_default, min(w.retention)) INTO v_shortest FROM expense_flow.workflow AS w;

	SELECT array_agg(c.run_id ORDER BY c.run_id) INTO v_examined
	FROM (SELECT c.run_id
		  FROM expense_flow.closed_run AS c
		  WHERE c.run_id > p_after AND c.run_id < expense_flow.first_run_id(v_now - v_shortest)
		  ORDER BY c.run_id
		  LIMIT p_batch) AS c;

	SELECT array_agg(c.run_id) INTO v_doomed
	FROM (SELECT c.run_id
		  FROM expense_flow.closed_run AS c
		  JOIN expense_flow.run AS r ON r.run_id = c.run_id
		  LEFT JOIN expense_flow.workflow_version AS v ON v.version_id = r.version_id
		  LEFT JOIN expense_flow.workflow AS w ON w.name = v.workflow
		  WHERE c.run_id = ANY (v_examined) AND c.closed_at < v_now - coalesce(w.retention, v_default)
		  FOR UPDATE OF c SKIP LOCKED) AS c;

	IF v_doomed IS NOT NULL THEN
		DELETE FROM expense_flow.transition WHERE run_id = ANY (v_doomed);
		-- of runs that never wait for one
		DELETE FROM expense_flow.message WHERE run_id = ANY (v_doomed);
		DELETE FROM expense_flow.request WHERE run_id = ANY (v_doomed) AND starter IS NULL;
		DELETE FROM expense_flow.request WHERE run_id = ANY (v_doomed) AND starter IS NOT NULL;
		DELETE FROM expense_flow.compensation WHERE run_id = ANY (v_doomed);
		DELETE FROM expense_flow.activity_task WHERE run_id = ANY (v_doomed);
		DELETE FROM expense_flow.run WHERE run_id = ANY (v_doomed);
		DELETE FROM expense_flow.closed_run WHERE run_id = ANY (v_doomed);
		removed := cardinality(v_doomed);
	END IF;
	IF cardinality(v_examined) = p_batch THEN
		last_run_id := v_examined[p_batch];
	END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION purge_runs(uuid, integer) FROM PUBLIC;
COMMENT ON FUNCTION purge_runs(uuid, integer) IS 'Internal: look at the next closed runs after a run_id, at most a batch, and remove those past their retention. last_run_id is where to go on, NULL when there is no more.';

CREATE FUNCTION purge_events(p_source_id integer, p_batch integer, OUT removed bigint, OUT more boolean)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	-- before any snapshot: what a transaction that is still open has written or will write lies above
	v_bound bigint := expense_flow.feed_bound();
	v_purged bigint;
	v_announced bigint;
	v_passed bigint;
	v_too_old timestamptz := clock_timestamp() - expense_flow.event_retention();
	v_through bigint;
BEGIN
	SELECT coalesce((SELECT p.purged_through FROM expense_flow.event_purged AS p WHERE p.source_id = s.source_id), 0),
		coalesce((SELECT a.announced_through FROM expense_flow.event_announced AS a WHERE a.source_id = s.source_id), 0),
		(SELECT min(c.position) FROM expense_flow.change_consumer AS c WHERE c.source_id = s.source_id)
	INTO v_purged, v_announced, v_passed
	FROM expense_flow.event_source AS s
	WHERE s.source_id = p_source_id;

	-- always a prefix of what is left: readers are told how far it reaches
	SELECT coalesce(min(e.event_id) FILTER (WHERE NOT e.removable) - 1, max(e.event_id)),
		count(*) = p_batch AND bool_and(e.removable)
	INTO v_through, more
	FROM (SELECT e.event_id,
			  coalesce(e.at < v_too_old, false)
			  OR (coalesce(e.event_id <= v_passed, false) AND (e.announced OR e.event_id <= v_announced)) AS removable
		  FROM expense_flow.change_event AS e
		  WHERE e.source_id = p_source_id AND e.event_id > v_purged AND e.event_id <= v_bound
		  ORDER BY e.event_id
		  LIMIT p_batch) AS e;

	DELETE FROM expense_flow.change_event AS e
	WHERE e.source_id = p_source_id AND e.event_id > v_purged AND e.event_id <= v_through;
	GET DIAGNOSTICS removed = ROW_COUNT;

	IF removed > 0 THEN
		INSERT INTO expense_flow.event_purged AS p (source_id, purged_through)
		VALUES (p_source_id, v_through)
		ON CONFLICT (source_id) DO UPDATE SET purged_through = greatest(p.purged_through, EXCLUDED.purged_through);
	END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION purge_events(integer, integer) FROM PUBLIC;
COMMENT ON FUNCTION purge_events(integer, integer) IS 'Internal: remove the oldest events of a source, at most a batch, as far as they are announced and passed by every consumer, or too old. more: there may be others.';

CREATE FUNCTION purge_sources() RETURNS void
	LANGUAGE sql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	WITH gone AS (
		DELETE FROM expense_flow.event_source AS s
		WHERE NOT s.built_in
			AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid = s.captured_table)
			AND NOT EXISTS (SELECT FROM expense_flow.change_event AS e WHERE e.source_id = s.source_id)
		RETURNING s.source_id
	), consumers AS (
		DELETE FROM expense_flow.change_consumer AS c USING gone WHERE c.source_id = gone.source_id
	), announced AS (
		DELETE FROM expense_flow.event_announced AS a USING gone WHERE a.source_id = gone.source_id
	)
	DELETE FROM expense_flow.event_purged AS p USING gone WHERE p.source_id = gone.source_id
$$;
REVOKE EXECUTE ON FUNCTION purge_sources() FROM PUBLIC;
COMMENT ON FUNCTION purge_sources() IS 'Internal: forget the sources of dropped tables once their events are gone.';

/* It commits, so it cannot have a SET clause. */
CREATE PROCEDURE purge(batch_size integer DEFAULT 1000, max_duration interval DEFAULT NULL,
					   INOUT purged_runs bigint DEFAULT 0, INOUT purged_events bigint DEFAULT 0, work_share double precision DEFAULT 0.1)
	LANGUAGE plpgsql
AS $$
DECLARE
	v_until timestamptz := pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) max_duration;
	v_removed bigint;
	v_run uuid := '00000000-0000-0000-0000-000000000000';
	v_source integer;
	v_more boolean;
	v_began timestamptz;
	v_rest double precision;	-- for each second of work
BEGIN
	IF work_share IS NULL OR work_share OPERATOR(pg_catalog.<=) 0 OR work_share OPERATOR(pg_catalog.>) 1 THEN
		RAISE EXCEPTION 'work_share must be greater than 0, and at most 1' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	v_rest := 1.0::double precision OPERATOR(pg_catalog./) work_share OPERATOR(pg_catalog.-) 1.0::double precision;
	IF batch_size IS NULL OR batch_size OPERATOR(pg_catalog.<=) 0 THEN
		RAISE EXCEPTION 'batch_size must be greater than zero' USING ERRCODE = 'invalid_parameter_value';
	END IF;
	purged_runs := 0;
	purged_events := 0;

	WHILE v_run IS NOT NULL LOOP
		EXIT WHEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) v_until;
		IF NOT expense_flow.lock_purge() THEN
			RAISE NOTICE 'another session is purging';
			RETURN;
		END IF;
		v_began := pg_catalog.clock_timestamp();
		SELECT p.removed, p.last_run_id INTO v_removed, v_run FROM expense_flow.purge_runs(v_run, batch_size) AS p;
		purged_runs := purged_runs OPERATOR(pg_catalog.+) v_removed;
		COMMIT;
		IF v_run IS NOT NULL THEN
			PERFORM pg_catalog.pg_sleep(v_rest OPERATOR(pg_catalog.*) EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) v_began)::double precision);
		END IF;
	END LOOP;

	FOR v_source IN SELECT s.source_id FROM expense_flow.event_source AS s ORDER BY s.source_id LOOP
		v_more := true;
		WHILE v_more LOOP
			EXIT WHEN pg_catalog.clock_timestamp() OPERATOR(pg_catalog.>) v_until;
			IF NOT expense_flow.lock_purge() THEN
				RAISE NOTICE 'another session is purging';
				RETURN;
			END IF;
			v_began := pg_catalog.clock_timestamp();
			SELECT p.removed, p.more INTO v_removed, v_more FROM expense_flow.purge_events(v_source, batch_size) AS p;
			purged_events := purged_events OPERATOR(pg_catalog.+) v_removed;
			COMMIT;
			IF v_more THEN
				PERFORM pg_catalog.pg_sleep(v_rest OPERATOR(pg_catalog.*) EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) v_began)::double precision);
			END IF;
		END LOOP;
	END LOOP;

	PERFORM expense_flow.purge_sources();
	COMMIT;
END
$$;
REVOKE EXECUTE ON PROCEDURE purge(integer, interval, bigint, bigint, double precision) FROM PUBLIC;
COMMENT ON PROCEDURE purge(integer, interval, bigint, bigint, double precision) IS 'Remove what is no longer kept: closed runs with their history past their retention (workflow.retention, else the setting expense_flow.retention), and change events that are announced and passed by every registered consumer, or older than expense_flow.event_retention. Commits after each batch; stops after max_duration; works for work_share of the time and rests after each batch for the other, so that it takes little from others (1: no rest). Answers how many runs and events went. For the extension''s owner.';
