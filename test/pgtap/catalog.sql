-- What every object of the extension must keep to, read from the catalogs.
BEGIN;
SELECT plan(12);

CREATE TEMP VIEW member AS
SELECT d.classid, d.objid
FROM pg_catalog.pg_depend d
JOIN pg_catalog.pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'expense_flow' AND d.deptype = 'e';

CREATE TEMP VIEW routine AS
SELECT p.*, p.oid::regprocedure AS signature, l.lanname
FROM pg_catalog.pg_proc p
JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
JOIN pg_catalog.pg_language l ON l.oid = p.prolang;

-- A procedure that commits cannot carry SET; a body of the SQL standard's form is bound when it is created.
SELECT is_empty(
	$$SELECT signature FROM routine
	  WHERE lanname NOT IN ('c', 'internal') AND prokind <> 'p' AND prosqlbody IS NULL
	    AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c LIKE 'search_path=%')$$,
	'functions that are not in C fix their search_path');

SELECT is_empty(
	$$SELECT signature FROM routine
	  WHERE prosecdef
	    AND NOT EXISTS (SELECT FROM unnest(proconfig) c WHERE c ~ '^search_path=.*pg_temp"?$')$$,
	'SECURITY DEFINER functions fix a search_path that ends with pg_temp');

SELECT is_empty(
	$$SELECT signature FROM routine WHERE obj_description(oid, 'pg_proc') IS NULL$$,
	'every function has a comment');

SELECT is_empty(
	$$SELECT c.oid::regclass, c.relkind FROM pg_catalog.pg_class c
	  JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
	  WHERE c.relkind IN ('r', 'v', 'm', 'p') AND obj_description(c.oid, 'pg_class') IS NULL$$,
	'every table and view has a comment');

SELECT is_empty(
	$$SELECT n.nspname, o.identity FROM member m
	  CROSS JOIN LATERAL pg_catalog.pg_identify_object(m.classid, m.objid, 0) o
	  LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = o.schema
	  WHERE o.schema IS NOT NULL AND o.schema <> 'expense_flow'$$,
	'every object is in the schema expense_flow');

SELECT is_empty(
	$$SELECT c.oid::regclass, a.privilege_type FROM pg_catalog.pg_class c
	  JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
	  CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
	  WHERE a.grantee = 0 AND a.privilege_type NOT IN ('SELECT', 'USAGE')$$,
	'PUBLIC may write to no table');

SELECT is_empty(
	$$SELECT signature FROM routine WHERE prosecdef AND signature <> 'expense_flow.restore_status()'::regprocedure$$,
	'no other function is SECURITY DEFINER: those in C check the caller, and become the owner only for their own statements');

SELECT is_empty(
	$$SELECT signature, lanname FROM routine WHERE lanname NOT IN ('c', 'sql', 'plpgsql')$$,
	'functions are in trusted languages, or in C');

SELECT is_empty(
	'SELECT signature FROM routine WHERE proleakproof',
	'no function claims to be leakproof');

SELECT is_empty(
	$$SELECT signature FROM routine WHERE prosqlbody IS NULL AND lanname <> 'c' AND prokind <> 'p'
	  AND NOT proconfig @> '{"search_path=pg_catalog, pg_temp"}'$$,
	'bodies that are bound at each call look only at pg_catalog, and at temporary objects last');

SELECT is_empty(
	$$SELECT o.identity FROM member m CROSS JOIN LATERAL pg_catalog.pg_identify_object(m.classid, m.objid, 0) o
	  WHERE coalesce((SELECT relowner FROM pg_catalog.pg_class WHERE oid = m.objid AND m.classid = 'pg_class'::regclass),
			(SELECT proowner FROM pg_catalog.pg_proc WHERE oid = m.objid AND m.classid = 'pg_proc'::regclass),
			(SELECT typowner FROM pg_catalog.pg_type WHERE oid = m.objid AND m.classid = 'pg_type'::regclass),
			(SELECT nspowner FROM pg_catalog.pg_namespace WHERE oid = m.objid AND m.classid = 'pg_namespace'::regclass))
		<> (SELECT extowner FROM pg_catalog.pg_extension WHERE extname = 'expense_flow')$$,
	'everything is owned by the owner of the extension');

-- With a view's condition on who is asking, no function of the query may see a row before.
SELECT is_empty(
	$$SELECT c.oid::regclass FROM pg_catalog.pg_class c
	  JOIN member m ON m.classid = 'pg_class'::regclass AND m.objid = c.oid
	  WHERE c.relkind = 'v' AND NOT coalesce(c.reloptions @> '{security_barrier=true}', false)$$,
	'views are security barriers');

SELECT * FROM finish();
ROLLBACK;
