/*
 * The registry of workflows.
 */

CREATE FUNCTION validate_workflow(definition json)
	RETURNS TABLE (path text, problem text)
	LANGUAGE c STABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'ef_validate_workflow';
COMMENT ON FUNCTION validate_workflow(json) IS 'All problems of a definition in Amazon States Language, each with the JSON path of the place; no rows if it is valid.';

CREATE FUNCTION create_workflow(name text, definition json, run_as text DEFAULT 'starter', retention interval DEFAULT NULL)
	RETURNS integer
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_create_workflow';
REVOKE EXECUTE ON FUNCTION create_workflow(text, json, text, interval) FROM PUBLIC;
COMMENT ON FUNCTION create_workflow(text, json, text, interval) IS 'Register a definition under a name, as its current version, and return the version''s number. The very text of an earlier version is that version again. The first to register a name owns it; only the owner may add versions. run_as says whose rights activities have: those of the role that starts a run (''starter'') or the owner''s (''owner''; see grant_start). retention is how long closed runs are kept, NULL: as long as the setting expense_flow.retention says. Both hold for the name from now on. Errors: EF007 with all problems when the definition is not valid; 22008 when the retention goes back beyond the first timestamp; 42501 when the name is another role''s; 42939 when it is built in. Not executable by PUBLIC: GRANT EXECUTE on it to the roles that may register workflows.';

CREATE FUNCTION drop_workflow(name text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_drop_workflow';
COMMENT ON FUNCTION drop_workflow(text) IS 'Drop a workflow: nothing can start it any more. Its versions are kept, so runs that have ended stay readable, and registering the name again goes on counting. Only for its owner. Errors: EF001 unknown; 55006 it has open runs; 42501 not the owner.';

CREATE FUNCTION grant_start(workflow text, grantee text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_grant_start';
COMMENT ON FUNCTION grant_start(text, text) IS 'Let a role (or ''public'') start a workflow whose runs have its owner''s rights; those that run as the starter need no grant. Only for the workflow''s owner. Errors: EF001 unknown workflow; 42704 unknown role; 42501 not the owner.';

CREATE FUNCTION revoke_start(workflow text, grantee text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_revoke_start';
COMMENT ON FUNCTION revoke_start(text, text) IS 'Take back what grant_start() gave. Only for the workflow''s owner.';

CREATE FUNCTION register_built_in_workflow(name text, version_id integer, definition json)
	RETURNS integer
	LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_register_built_in_workflow';
REVOKE EXECUTE ON FUNCTION register_built_in_workflow(text, integer, json) FROM PUBLIC;
COMMENT ON FUNCTION register_built_in_workflow(text, integer, json) IS 'Internal, for the extension''s own scripts: register a version of a workflow that belongs to the extension. version_id is negative and given once and for all: another definition needs another one, so that dumped runs find theirs again.';

CREATE VIEW workflows WITH (security_barrier) AS
	SELECT w.name, v.version, w.owner, CASE WHEN w.run_as_owner THEN 'owner' ELSE 'starter' END AS run_as,
		w.retention, w.built_in, w.created_at, v.created_at AS version_created_at, v.definition
	FROM expense_flow.workflow w
		JOIN expense_flow.workflow_version v ON v.version_id OPERATOR(pg_catalog.=) w.current_version_id;
GRANT SELECT ON workflows TO PUBLIC;
COMMENT ON VIEW workflows IS 'The registered workflows with their current versions. As the source of functions, definitions are no secret.';
