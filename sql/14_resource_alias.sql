/*
 * What foreign resources of Task states stand for.
 */

GRANT SELECT ON resource_alias TO PUBLIC;

CREATE FUNCTION create_resource_alias(pattern text, resource text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_create_resource_alias';
REVOKE EXECUTE ON FUNCTION create_resource_alias(text, text) FROM PUBLIC;
COMMENT ON FUNCTION create_resource_alias(text, text) IS 'Let resources of Task states that match a pattern stand for a resource of our own kinds (sql:, activity:, signal:, workflow:, update:); a pattern that is there already gets the new resource. `*` in the pattern matches any text; one `*` in the resource is the text that the pattern''s last `*` matched. Of the patterns that match, the one with most literal characters wins. It holds for all runs, also open ones, from its commit on. Not executable by PUBLIC.';

CREATE FUNCTION drop_resource_alias(pattern text)
	RETURNS void
	LANGUAGE c VOLATILE PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_drop_resource_alias';
REVOKE EXECUTE ON FUNCTION drop_resource_alias(text) FROM PUBLIC;
COMMENT ON FUNCTION drop_resource_alias(text) IS 'Drop what create_resource_alias() made. Error 42704: there is no such pattern. Not executable by PUBLIC.';

CREATE FUNCTION resolve_resource(resource text)
	RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL UNSAFE
	AS 'MODULE_PATHNAME', 'ef_resolve_resource_sql';
COMMENT ON FUNCTION resolve_resource(text) IS 'What a Task''s Resource means now: itself if it is of a kind of our own, else what its most specific alias says, NULL if none matches.';
