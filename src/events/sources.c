/*-------------------------------------------------------------------------
 *
 * sources.c
 *	  Event sources: beginning and ending the capture of a table's changes.
 *
 * A source is a row of event_source and two triggers of the table, whose
 * argument is the source's name.  The row is written as the extension's owner;
 * the triggers are created and dropped as the caller, with the server's own
 * commands.  The trigger looks the source up by its name and checks that the
 * row and the table belong together, so a restored dump works once both are
 * there, in whatever order they came.
 *
 * Tables whose changes would go past the triggers are refused: views and foreign
 * tables, system catalogs, temporary tables (nobody else sees their rows) and
 * unlogged ones (a crash empties them without an event).  Of a partitioned
 * table, changes of its partitions are captured as the table's; attaching and
 * detaching a partition, and truncating one by its own name, move rows without
 * an event.  So do changes that logical replication applies, as for all triggers
 * that are not enabled ALWAYS.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/reltrigger.h"

#include "compat.h"
#include "engine/rights.h"
#include "events/feed.h"

#define ROW_TRIGGER			"expense_flow_capture"
#define TRUNCATE_TRIGGER	"expense_flow_capture_truncate"

PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_capture_changes);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_stop_capturing);

/* ---- which tables ---- */

static void
check_owns_table(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!ef_owns_table(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relid)), name);
}

static void
check_capturable(Relation rel)
{
	const char *name = RelationGetRelationName(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot capture changes of \"%s\"", name),
				 errdetail("It is not a table.")));
	if (IsSystemRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot capture changes of \"%s\"", name),
				 errdetail("It is a system catalog.")));
	if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot capture changes of \"%s\"", name),
				 rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED ?
				 errdetail("It is unlogged: a crash of the server would empty it without an event.") :
				 errdetail("It is a temporary table.")));
	if (getExtensionOfObject(RelationRelationId, RelationGetRelid(rel)) == get_extension_oid("expense_flow", false))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot capture changes of \"%s\"", name),
				 errdetail("It belongs to the extension \"expense_flow\".")));
}

static bool
is_key_column(Relation rel, AttrNumber attno)
{
	Bitmapset  *key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);

	if (bms_is_empty(key))
		key = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	return bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, key);
}

/* Columns to leave out must be there, and must not be needed to tell rows apart. */
static void
check_excluded_columns(Relation rel, ArrayType *columns)
{
	Datum	   *names;
	bool	   *nulls;
	int			n;
	int			i;

	if (ARR_NDIM(columns) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("exclude_columns must be a one-dimensional array")));
	deconstruct_array(columns, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	for (i = 0; i < n; i++)
	{
		char	   *name = nulls[i] ? NULL : TextDatumGetCString(names[i]);
		AttrNumber	attno = name == NULL ? InvalidAttrNumber : get_attnum(RelationGetRelid(rel), name);

		if (name == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("exclude_columns must not contain nulls")));
		if (attno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist", name, RelationGetRelationName(rel))));
		if (is_key_column(rel, attno))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column \"%s\" of table \"%s\" cannot be excluded", name, RelationGetRelationName(rel)),
					 errdetail("It is part of the key.")));
	}
}

/* ---- names ---- */

static void
check_source_name(const char *name)
{
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of an event source must not be empty")));
	if (strlen(name) > EF_MAX_SOURCE_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("the name of event source \"%s\" is too long", name),
				 errdetail("Its channel \"%s%s\" must not exceed %d bytes.", EF_CHANNEL_PREFIX, name, NAMEDATALEN - 1),
				 errhint("Give a source name of at most %d bytes.", EF_MAX_SOURCE_NAME)));
}

/* The table's name, with its schema where the plain name is taken. */
static char *
default_source_name(Relation rel)
{
	char	   *name = RelationGetRelationName(rel);
	EfSource	other;

	if (!ef_find_source(name, NULL, &other))
		return pstrdup(name);
	return psprintf("%s.%s", get_namespace_name(RelationGetNamespace(rel)), name);
}

/* A trigger of the table that captures its changes for this source (for any source: NULL), not looking at clones. */
static Trigger *
capture_trigger(Relation rel, const char *source)
{
	Oid			function = LookupFuncName(list_make2(makeString("expense_flow"), makeString("capture_change")),
										  0, NULL, false);
	int			i;

	for (i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (trigger->tgfoid == function && !trigger->tgisclone && trigger->tgnargs == 1 &&
			(source == NULL || strcmp(trigger->tgargs[0], source) == 0))
			return trigger;
	}
	return NULL;
}

/* ---- statements ---- */

static void
execute(const char *statement)
{
	int			result = SPI_execute(statement, false, 0);

	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statement, SPI_result_code_string(result));
}

static char *
qualified_name(Relation rel)
{
	return quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel));
}

/* As the extension's owner. */
static void
insert_source(const char *name, Oid relid, Datum exclude_columns, Datum notify)
{
	Oid			types[5] = {TEXTOID, REGCLASSOID, TEXTARRAYOID, TEXTOID, INT8OID};
	Datum		values[5];
	EfCaller	caller;

	values[0] = CStringGetTextDatum(name);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = exclude_columns;
	values[3] = notify;
	values[4] = Int64GetDatum(ef_last_event_id());
	ef_become_owner(&caller);

	/* Cursors of an earlier source of this name do not know what happened in between. */
	if (SPI_execute_with_args("WITH s AS (INSERT INTO expense_flow.event_source (source, captured_table, exclude_columns, notify) "
							  "VALUES ($1, $2, $3, $4) ON CONFLICT (source) DO NOTHING RETURNING source_id) "
							  "INSERT INTO expense_flow.event_purged (source_id, purged_through) "
							  "SELECT s.source_id, $5 FROM s",
							  5, types, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not store event source \"%s\"", name);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("event source \"%s\" already exists", name)));
	ef_become_caller(&caller);
}

static void
create_triggers(Relation rel, const char *source)
{
	char	   *table = qualified_name(rel);
	char	   *argument = quote_literal_cstr(source);

	execute(psprintf("CREATE TRIGGER " ROW_TRIGGER " AFTER INSERT OR UPDATE OR DELETE ON %s "
					 "FOR EACH ROW EXECUTE FUNCTION expense_flow.capture_change(%s)", table, argument));
	execute(psprintf("CREATE TRIGGER " TRUNCATE_TRIGGER " AFTER TRUNCATE ON %s "
					 "FOR EACH STATEMENT EXECUTE FUNCTION expense_flow.capture_change(%s)", table, argument));
}

Datum
ef_capture_changes(PG_FUNCTION_ARGS)
{
	Oid			relid;
	Relation	rel;
	char	   *name;
	Datum		exclude_columns;
	char	   *notify;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("table must not be null")));
	relid = PG_GETARG_OID(0);
	notify = PG_ARGISNULL(3) ? pstrdup("data") : text_to_cstring(PG_GETARG_TEXT_PP(3));
	if (strcmp(notify, "data") != 0 && strcmp(notify, "key") != 0 && strcmp(notify, "none") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for notify: \"%s\"", notify),
				 errhint("Use \"data\", \"key\" or \"none\".")));

	/* The right first, then the lock. */
	check_owns_table(relid);
	rel = relation_open(relid, ShareRowExclusiveLock);
	check_owns_table(relid);
	check_capturable(rel);
	if (capture_trigger(rel, NULL) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("changes of table \"%s\" are captured already, as event source \"%s\"",
						RelationGetRelationName(rel), capture_trigger(rel, NULL)->tgargs[0])));
	exclude_columns = PG_ARGISNULL(2) ? PointerGetDatum(construct_empty_array(TEXTOID)) : PG_GETARG_DATUM(2);
	check_excluded_columns(rel, DatumGetArrayTypeP(exclude_columns));
	name = PG_ARGISNULL(1) ? default_source_name(rel) : text_to_cstring(PG_GETARG_TEXT_PP(1));
	check_source_name(name);

	SPI_connect();
	insert_source(name, relid, exclude_columns, CStringGetTextDatum(notify));
	create_triggers(rel, name);
	SPI_finish();
	relation_close(rel, NoLock);
	PG_RETURN_TEXT_P(cstring_to_text(name));
}

/*
 * The triggers of a table whose argument is this source, whatever they are called by now.  The server drops a
 * trigger only when nobody has the table open, so it is opened anew to look for each.
 */
static void
drop_triggers(Oid relid, const char *source)
{
	Relation	rel;

	while ((rel = try_relation_open(relid, AccessExclusiveLock)) != NULL)
	{
		Trigger    *trigger = capture_trigger(rel, source);
		char	   *statement = NULL;

		if (trigger != NULL)
			statement = psprintf("DROP TRIGGER %s ON %s", quote_identifier(trigger->tgname), qualified_name(rel));
		relation_close(rel, NoLock);
		if (statement == NULL)
			break;
		execute(statement);
	}
}

static void
delete_source(int32 source_id)
{
	static const char *const statements[] = {
		"DELETE FROM expense_flow.change_consumer WHERE source_id OPERATOR(pg_catalog.=) $1",
		"DELETE FROM expense_flow.change_event WHERE source_id OPERATOR(pg_catalog.=) $1",
		"DELETE FROM expense_flow.event_announced WHERE source_id OPERATOR(pg_catalog.=) $1",
		"DELETE FROM expense_flow.event_purged WHERE source_id OPERATOR(pg_catalog.=) $1",
		"DELETE FROM expense_flow.event_source WHERE source_id OPERATOR(pg_catalog.=) $1"
	};
	Oid			types[1] = {INT4OID};
	Datum		values[1];
	EfCaller	caller;
	int			i;

	values[0] = Int32GetDatum(source_id);
	ef_become_owner(&caller);
	for (i = 0; i < lengthof(statements); i++)
	{
		if (SPI_execute_with_args(statements[i], 1, types, values, NULL, false, 0) != SPI_OK_DELETE)
			elog(ERROR, "could not execute \"%s\"", statements[i]);
	}
	ef_become_caller(&caller);
}

Datum
ef_stop_capturing(PG_FUNCTION_ARGS)
{
	EfSource	source;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("source must not be null")));
	ef_require_source(text_to_cstring(PG_GETARG_TEXT_PP(0)), NULL, &source);
	if (source.built_in)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("event source \"%s\" belongs to the extension \"expense_flow\"", source.name)));

	if (get_rel_name(source.table) != NULL)
		check_owns_table(source.table);
	else if (!has_privs_of_role(GetUserId(), ef_extension_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for event source \"%s\", whose table was dropped", source.name)));

	SPI_connect();
	drop_triggers(source.table, source.name);
	delete_source(source.source_id);
	SPI_finish();
	PG_RETURN_VOID();
}
