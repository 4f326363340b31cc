/*
 * Which database is this, and is it a copy of another?
 *
 * installation_origin says where the tables were when they were last looked at.
 * Where that is not here, they are a copy: open runs that came with it rest until
 * somebody says that the original does not work on them.  src/engine/hold.c.
 */

CREATE TABLE installation
(
	installation_id		uuid NOT NULL,
	checked_for			timestamptz,
	held_through		uuid,
	held_since			timestamptz,
	hold_reason			text,
	CHECK ((held_through IS NULL) OPERATOR(pg_catalog.=) (hold_reason IS NULL))
);
COMMENT ON TABLE installation IS 'One row, made at CREATE EXTENSION and not dumped. checked_for: the start of the server (pg_postmaster_start_time) for which it was settled whether a restored backup was started. held_through: this and earlier run_ids are those of runs that came with a copy and rest (NULL: none do); hold_reason: how it is known that this is a copy.';

CREATE TABLE installation_origin
(
	installation_id		uuid NOT NULL,
	system_identifier	bigint NOT NULL,
	database_id			oid NOT NULL,
	timeline			integer NOT NULL,
	server_version		integer NOT NULL
);
COMMENT ON TABLE installation_origin IS 'Where the tables were when they were last looked at: cluster, database, timeline, and major version of the server. It is dumped, so that the copy of another installation is known as such.';

CREATE FUNCTION current_origin(OUT system_identifier bigint, OUT database_id oid, OUT timeline integer, OUT server_version integer)
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_current_origin';
REVOKE EXECUTE ON FUNCTION current_origin() FROM PUBLIC;
COMMENT ON FUNCTION current_origin() IS 'Internal: the columns of installation_origin, for where we are now.';

CREATE FUNCTION origin_loaded() RETURNS trigger
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_origin_loaded';
REVOKE EXECUTE ON FUNCTION origin_loaded() FROM PUBLIC;
COMMENT ON FUNCTION origin_loaded() IS 'Internal: trigger that notices that the tables of another installation are being loaded.';

INSERT INTO installation (installation_id, checked_for)
	VALUES (pg_catalog.gen_random_uuid(), pg_catalog.pg_postmaster_start_time());
INSERT INTO installation_origin (installation_id, system_identifier, database_id, timeline, server_version)
	SELECT i.installation_id, o.system_identifier, o.database_id, o.timeline, o.server_version
	FROM installation AS i, current_origin() AS o;

CREATE TRIGGER origin_loaded AFTER INSERT ON installation_origin
	FOR EACH STATEMENT EXECUTE FUNCTION origin_loaded();
ALTER TABLE installation_origin ENABLE ALWAYS TRIGGER origin_loaded;

SELECT pg_catalog.pg_extension_config_dump('installation_origin', '');

CREATE FUNCTION restore_status(OUT held boolean, OUT reason text, OUT since timestamptz, OUT held_runs bigint)
	LANGUAGE sql STABLE PARALLEL SAFE SECURITY DEFINER
	SET search_path = pg_catalog, pg_temp
	AS $$
		SELECT i.held_through IS NOT NULL, i.hold_reason, i.held_since,
			(SELECT count(*) FROM expense_flow.branch b WHERE b.branch_id = 0 AND b.run_id <= i.held_through)
		FROM expense_flow.installation i
	$$;
REVOKE EXECUTE ON FUNCTION restore_status() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION restore_status() TO pg_monitor;
COMMENT ON FUNCTION restore_status() IS 'Do open runs rest because this database is a copy of another (held), how is that known (reason), since when, and how many are they? resume_after_restore() lets them go on.';

CREATE FUNCTION resume_after_restore()
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_resume_after_restore';
REVOKE EXECUTE ON FUNCTION resume_after_restore() FROM PUBLIC;
COMMENT ON FUNCTION resume_after_restore() IS 'Let open runs go on that came with a copy of another database: one that pg_restore has loaded, a copy made by CREATE DATABASE or with the server''s files, a backup that was started. Until this commits they rest, and their external activities are not handed out: the original may be working on them, and tables that they need may not have been loaded yet. See restore_status(). For the extension''s owner.';
