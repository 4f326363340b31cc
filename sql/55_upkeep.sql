/*
 * Upkeep by pg_cron, where that extension is present: purge(), and on a server
 * that does not preload the library the driving of pending work.
 */

CREATE FUNCTION is_preloaded() RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	RETURN EXISTS (SELECT FROM pg_catalog.regexp_split_to_table(pg_catalog.current_setting('shared_preload_libraries'), '\s*,\s*') AS l(library)
				   WHERE l.library OPERATOR(pg_catalog.~) '(^|/)"?expense_flow(\.so)?"?$');
REVOKE EXECUTE ON FUNCTION is_preloaded() FROM PUBLIC;
COMMENT ON FUNCTION is_preloaded() IS 'Internal: is the library in shared_preload_libraries, so that background workers do the work?';

CREATE FUNCTION upkeep_jobs(p_schedule text, p_pending_schedule text) RETURNS TABLE (job text, schedule text, command text)
	LANGUAGE sql STABLE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
	SELECT format('expense_flow purge (%s)', current_database()), p_schedule, 'CALL expense_flow.purge()'
	UNION ALL
	SELECT format('expense_flow run_pending (%s)', current_database()), p_pending_schedule, 'CALL expense_flow.run_pending(wait_for_others => false)'
	WHERE NOT expense_flow.is_preloaded()
$$;
REVOKE EXECUTE ON FUNCTION upkeep_jobs(text, text) FROM PUBLIC;
COMMENT ON FUNCTION upkeep_jobs(text, text) IS 'Internal: the jobs that this database needs.';

CREATE FUNCTION install_upkeep(schedule text DEFAULT '* * * * *', pending_schedule text DEFAULT '* * * * *') RETURNS TABLE (job text, job_schedule text, command text)
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_cron_database text := current_setting('cron.database_name', true);
	v_job record;
BEGIN
	IF install_upkeep.schedule IS NULL OR install_upkeep.pending_schedule IS NULL THEN
		RAISE EXCEPTION 'schedules must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF v_cron_database IS NULL THEN
		RAISE EXCEPTION 'pg_cron is not available'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				DETAIL = 'The library pg_cron is not loaded by this server.',
				HINT = format('Add pg_cron to shared_preload_libraries, set cron.database_name to ''%s'', restart the server, run CREATE EXTENSION pg_cron, and call install_upkeep() again. Without pg_cron, let any other scheduler run CALL expense_flow.purge() and, where this library is not preloaded, CALL expense_flow.run_pending().', current_database());
	END IF;
	IF v_cron_database <> current_database() THEN
		RAISE EXCEPTION 'pg_cron keeps its jobs in database "%"', v_cron_database
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run there: '
					|| (SELECT string_agg(format('SELECT cron.schedule_in_database(%L, %L, %L, %L);', j.job, j.schedule, j.command, current_database()), ' ')
						FROM expense_flow.upkeep_jobs(install_upkeep.schedule, install_upkeep.pending_schedule) AS j);
	END IF;
	IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
		RAISE EXCEPTION 'extension "pg_cron" is not installed in this database'
			USING ERRCODE = 'object_not_in_prerequisite_state',
				HINT = 'Run CREATE EXTENSION pg_cron, and call install_upkeep() again.';
	END IF;

	PERFORM expense_flow.remove_upkeep();
	FOR v_job IN SELECT j.job, j.schedule, j.command FROM expense_flow.upkeep_jobs(install_upkeep.schedule, install_upkeep.pending_schedule) AS j LOOP
		PERFORM cron.schedule(v_job.job, v_job.schedule, v_job.command);
		RETURN QUERY SELECT v_job.job, v_job.schedule, v_job.command;
	END LOOP;
END
$$;
REVOKE EXECUTE ON FUNCTION install_upkeep(text, text) FROM PUBLIC;
COMMENT ON FUNCTION install_upkeep(text, text) IS 'Register the upkeep of this database with pg_cron, and return the jobs: purge() by the first schedule (cron syntax; by default each minute) and, where the library is not preloaded, run_pending() by the second. Again: the jobs are registered anew. Where pg_cron or its tables are not at hand, the error''s hint says what to do. For the extension''s owner, who needs the right to use pg_cron.';

CREATE FUNCTION remove_upkeep() RETURNS integer
	LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
	SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	v_job bigint;
	v_removed integer := 0;
BEGIN
	IF to_regclass('cron.job') IS NULL THEN
		RETURN 0;
	END IF;
	FOR v_job IN
		SELECT j.jobid
		FROM cron.job AS j
		WHERE j.database = current_database()
			AND j.jobname IN (format('expense_flow purge (%s)', current_database()), format('expense_flow run_pending (%s)', current_database()))
	LOOP
		PERFORM cron.unschedule(v_job);
		v_removed := v_removed + 1;
	END LOOP;
	RETURN v_removed;
END
$$;
REVOKE EXECUTE ON FUNCTION remove_upkeep() FROM PUBLIC;
COMMENT ON FUNCTION remove_upkeep() IS 'Take the jobs of install_upkeep() out of pg_cron; returns how many there were. For the extension''s owner.';
