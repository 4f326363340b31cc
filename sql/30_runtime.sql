/*
 * The background processes.
 */

CREATE FUNCTION runtime_processes()
	RETURNS TABLE (database_id oid, process text, pid integer, state text, since timestamptz, run_id uuid, branch_id integer,
		ready bigint, timers bigint, next_timer timestamptz, table_from timestamptz, advances bigint, failures bigint, table_reads bigint)
	LANGUAGE c VOLATILE PARALLEL RESTRICTED
	AS 'MODULE_PATHNAME', 'ef_runtime_processes';
REVOKE EXECUTE ON FUNCTION runtime_processes() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION runtime_processes() TO pg_monitor;
COMMENT ON FUNCTION runtime_processes() IS 'Internal: the rows of runtime_status(), with databases by OID.';

CREATE FUNCTION runtime_status()
	RETURNS TABLE (database name, process text, pid integer, state text, since timestamptz, run_id uuid, branch_id integer,
		ready bigint, timers bigint, next_timer timestamptz, table_from timestamptz, advances bigint, failures bigint, table_reads bigint)
	LANGUAGE sql VOLATILE PARALLEL RESTRICTED SECURITY INVOKER
	SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT d.datname, p.process, p.pid, p.state, p.since, p.run_id, p.branch_id,
			p.ready, p.timers, p.next_timer, p.table_from, p.advances, p.failures, p.table_reads
		FROM expense_flow.runtime_processes() p
			LEFT JOIN pg_database d ON d.oid = p.database_id
		ORDER BY d.datname NULLS FIRST, p.process, p.pid
	$$;
REVOKE EXECUTE ON FUNCTION runtime_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION runtime_status() TO pg_monitor;
COMMENT ON FUNCTION runtime_status() IS 'The background processes of the whole server, for superusers and members of pg_monitor; no rows where the library is not preloaded. process: launcher (one a server), dispatcher (one for each database that has the extension), worker. state: running, missing (about to be started), leaving, out of processes (max_worker_processes are in use), and of workers: starting, idle, awake (between two branches), busy (with run_id and branch_id). Of a dispatcher, in its database: ready and timers (branches in shared memory that are due, and due later), next_timer, table_from (branches due from then on are read from the table in their turn; infinity: all are in shared memory), and since the dispatcher came: advances and failures (transactions that advanced a branch, and that failed and are repeated), table_reads.';
