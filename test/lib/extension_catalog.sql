-- All that the extension consists of, a line each, independent of OIDs and of the order in which it was made: what a
-- fresh install and an updated one must have in common.
WITH member AS (
	SELECT d.classid, d.objid, pg_identify_object(d.classid, d.objid, 0) AS o
	FROM pg_depend d
	JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
	WHERE e.extname = 'expense_flow' AND d.deptype = 'e'
), object AS (
	SELECT classid, objid, (o).type || ' ' || (o).identity AS name FROM member
), relation AS (
	SELECT o.name, c.*, c.reltype AS row_type FROM object o JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
), line AS (
	SELECT name, 'member' AS what, NULL AS value FROM object
	UNION ALL
	SELECT name, 'comment', obj_description(objid, classid::regclass::name) FROM object
	UNION ALL
	SELECT name, 'definition', pg_get_functiondef(p.oid)
	FROM object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid WHERE p.prokind IN ('f', 'p')
	UNION ALL
	SELECT name, 'rights', (SELECT string_agg(a::text, ' ' ORDER BY a::text) FROM unnest(coalesce(p.proacl, acldefault('f', p.proowner))) a)
	FROM object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
	UNION ALL
	SELECT name, 'rights', (SELECT string_agg(a::text, ' ' ORDER BY a::text)
		FROM unnest(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))) a)
	FROM relation
	UNION ALL
	SELECT name, 'options', concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, reloptions)
	FROM relation
	UNION ALL
	SELECT name, 'view', pg_get_viewdef(oid) FROM relation WHERE relkind IN ('v', 'm')
	UNION ALL
	SELECT name, 'dumped', coalesce(nullif(condition, ''), 'all')
	FROM relation, pg_extension e, unnest(e.extconfig, e.extcondition) AS c (config, condition)
	WHERE e.extname = 'expense_flow' AND config = relation.oid
	UNION ALL
	SELECT r.name, 'column ' || row_number() OVER (PARTITION BY r.oid ORDER BY attnum) || ' ' || attname,
		concat_ws(' ', format_type(atttypid, atttypmod), nullif(attcollation, 0)::regcollation, attnotnull, attidentity, attgenerated, attstorage,
			attacl, attstattarget, pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, attnum))
	FROM relation r
	JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
	LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
	UNION ALL
	SELECT r.name, 'constraint ' || conname, concat_ws(' ', pg_get_constraintdef(c.oid), convalidated, obj_description(c.oid, 'pg_constraint'))
	FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
	UNION ALL
	SELECT r.name, 'index ' || indexrelid::regclass, concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid, obj_description(indexrelid, 'pg_class'))
	FROM relation r JOIN pg_index i ON i.indrelid = r.oid
	UNION ALL
	SELECT r.name, 'trigger ' || tgname, concat_ws(' ', pg_get_triggerdef(t.oid), tgenabled)
	FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT tgisinternal
	UNION ALL
	SELECT r.name, 'rule ' || rulename, pg_get_ruledef(u.oid) FROM relation r JOIN pg_rewrite u ON u.ev_class = r.oid AND rulename <> '_RETURN'
	UNION ALL
	SELECT r.name, 'policy ' || polname, concat_ws(' ', polcmd, polpermissive, polroles::regrole[], pg_get_expr(polqual, r.oid), pg_get_expr(polwithcheck, r.oid))
	FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
	UNION ALL
	SELECT r.name, 'sequence', concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement, seqmin, seqmax, seqcache, seqcycle)
	FROM relation r JOIN pg_sequence s ON s.seqrelid = r.oid
	UNION ALL
	-- What comes with the extension: letters of the history, built-in workflows, event sources.
	SELECT 'rows', 'event type', t::text FROM expense_flow.history_event_type t
	UNION ALL
	SELECT 'rows', 'workflow ' || w.name, concat_ws(' ', w.run_as_owner, w.retention, v.version_id, v.version, v.definition)
	FROM expense_flow.workflow w JOIN expense_flow.workflow_version v ON v.version_id = w.current_version_id WHERE w.built_in
	UNION ALL
	SELECT 'rows', 'event source', s::text FROM (SELECT source_id, source, captured_table, exclude_columns, notify FROM expense_flow.event_source WHERE built_in) s
)
SELECT name, what, value FROM line ORDER BY name COLLATE "C", what COLLATE "C", value COLLATE "C";
