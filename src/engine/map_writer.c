/*-------------------------------------------------------------------------
 *
 * map_writer.c
 *	  ResultWriter: what the iterations of a Map return becomes rows of a table.
 *
 * The rows are written when the Map joins its iterations, in the transaction in
 * which it is left.  So the table never holds results of a Map that is still at
 * work, has failed or is tried again, and each result is there exactly once.
 * (Were each iteration to write its own, those of a Map that fails in the end
 * would stay, and a Retry would write them again.)
 *
 * It is done as the run's owner, as an activity is, in a subtransaction; some
 * rows at a time, so that memory does not grow with the Map.
 *
 * The table needs a column "output" of type jsonb.  Where it has a column
 * "run_id" (uuid) or "item_index" (integer or bigint), that is filled as well;
 * all others get their defaults.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/uuid.h"
#include "utils/varlena.h"

#include "engine/activity.h"
#include "engine/alias.h"
#include "engine/map_writer.h"
#include "engine/store.h"
#include "fault.h"

/* Results that are written at a time. */
#define RESULTS_AT_ONCE 100

typedef struct Writer
{
	EfVisit    *visit;
	const char *table;			/* as the resource names it */
	bool		has_run_id;
	bool		has_item_index;
	int64		nrows;
	int32		last_step;		/* of any iteration */
} Writer;

static const char *
table_of(const EfVisit *visit)
{
	const char *resource = ef_resolve_resource(visit->state->result_writer);

	if (resource == NULL || strncmp(resource, "sql:", strlen("sql:")) != 0)
		return NULL;
	return resource + strlen("sql:");
}

/* ---- the table ---- */

/* Does the table have the column?  Then its type must be one of these two. */
static bool
has_column(Relation table, const char *name, Oid type, Oid other_type)
{
	TupleDesc	desc = RelationGetDescr(table);
	int			i;

	for (i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (attribute->attisdropped || strcmp(NameStr(attribute->attname), name) != 0)
			continue;
		if (attribute->atttypid != type && attribute->atttypid != other_type)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of table %s has the wrong type", name, RelationGetRelationName(table)),
					 errdetail("A ResultWriter writes run_id uuid, item_index integer or bigint, and output jsonb.")));
		return true;
	}
	return false;
}

/* Nobody may lock what he may not write to. */
static void
check_may_insert(const RangeVar *table, Oid relid, Oid old_relid, void *arg)
{
	if (OidIsValid(relid) && pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_INSERT, ACLMASK_ANY) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relid)), table->relname);
}

static void
look_at_table(Writer *writer, char **schema, char **name)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(writer->table));
	Relation	table;

	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the resource \"sql:%s\" does not name a schema and a table", writer->table)));
	*schema = strVal(linitial(names));
	*name = strVal(lsecond(names));
	table = table_open(RangeVarGetRelidExtended(makeRangeVar(*schema, *name, -1), RowExclusiveLock, 0,
												check_may_insert, NULL), NoLock);
	if (!has_column(table, "output", JSONBOID, JSONBOID))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table %s has no column \"output\"", writer->table)));
	writer->has_run_id = has_column(table, "run_id", UUIDOID, UUIDOID);
	writer->has_item_index = has_column(table, "item_index", INT4OID, INT8OID);
	table_close(table, NoLock);
}

/* INSERT a page of results; the parameters are always the same. */
static SPIPlanPtr
prepare_insert(Writer *writer)
{
	Oid			types[] = {UUIDOID, INT4ARRAYOID, JSONBARRAYOID};
	StringInfoData sql;
	char	   *schema;
	char	   *name;
	SPIPlanPtr	plan;

	look_at_table(writer, &schema, &name);
	initStringInfo(&sql);
	appendStringInfo(&sql, "INSERT INTO %s (%s%soutput) SELECT %s%sr.output"
					 " FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS r(item_index, output)",
					 quote_qualified_identifier(schema, name),
					 writer->has_run_id ? "run_id, " : "", writer->has_item_index ? "item_index, " : "",
					 writer->has_run_id ? "$1, " : "", writer->has_item_index ? "r.item_index, " : "");
	plan = SPI_prepare(sql.data, lengthof(types), types);
	if (plan == NULL)
		elog(ERROR, "could not prepare the statement of a ResultWriter: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* ---- writing ---- */

static void
write_page(Writer *writer, SPIPlanPtr plan, const EfOutput *page, int count)
{
	Datum		items[RESULTS_AT_ONCE];
	Datum		outputs[RESULTS_AT_ONCE];
	Datum		values[3];
	int			i;

	for (i = 0; i < count; i++)
	{
		items[i] = Int32GetDatum(page[i].item);
		outputs[i] = PointerGetDatum(page[i].output);
		writer->last_step = Max(writer->last_step, page[i].step);
	}
	values[0] = UUIDPGetDatum(&writer->visit->branch->run.run_id);
	values[1] = PointerGetDatum(construct_array(items, count, INT4OID, 4, true, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(outputs, count, JSONBOID, -1, false, TYPALIGN_INT));
	EF_FAULT("before results of a Map are written");
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the results of a Map");
	EF_FAULT("results of a Map are written");
	writer->nrows += count;
}

/* As the run's owner, connected to SPI. */
static Jsonb *
write_all(void *arg)
{
	Writer	   *writer = arg;
	SPIPlanPtr	plan = prepare_insert(writer);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "results of a Map", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EfOutput	page[RESULTS_AT_ONCE];
	int32		last = -1;
	int			count;

	do
	{
		int64		bytes = PG_INT64_MAX;

		CHECK_FOR_INTERRUPTS();
		count = ef_store_join_children(writer->visit->branch, last, &bytes, page, RESULTS_AT_ONCE);
		if (count > 0)
		{
			last = page[count - 1].item;
			write_page(writer, plan, page, count);
		}
		MemoryContextReset(context);
	} while (count == RESULTS_AT_ONCE);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return NULL;
}

static bool
finish(Jsonb *result, void *arg, AslError *error)
{
	return true;
}

/* {"MapRunArn": "RUN_ID/STATE", "ResultWriterDetails": {"Table": ..., "Rows": ...}} */
static Jsonb *
make_summary(const Writer *writer)
{
	const EfVisit *visit = writer->visit;
	const pg_uuid_t *run_id = &visit->branch->run.run_id;
	JsonbParseState *state = NULL;
	JsonbParseState *details = NULL;

	pushJsonbValue(&details, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&details, "Table", writer->table);
	ef_push_int(&details, "Rows", writer->nrows);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "MapRunArn",
				 psprintf("%s/%s", DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id))),
						  visit->state->name));
	ef_push_jsonb(&state, "ResultWriterDetails", ef_end_object(&details));
	return ef_end_object(&state);
}

bool
ef_check_writer(EfVisit *visit)
{
	Jsonb	   *arguments;

	if (visit->state->result_writer == NULL)
		return true;
	if (table_of(visit) == NULL)
	{
		visit->failure.name = "States.Runtime";
		visit->failure.cause = psprintf("resources like \"%s\" are not supported in a ResultWriter",
										visit->state->result_writer);
		return false;
	}
	return asl_writer_arguments(visit->state, visit->branch->data, &visit->env, &arguments, &visit->failure);
}

EfVisitResult
ef_write_results(EfVisit *visit, Jsonb **summary)
{
	Writer		writer = {.visit = visit, .table = table_of(visit)};
	EfActivityCall call = {.body = write_all, .finish = finish, .finish_arg = &writer};
	EfActivityResult result;

	if (writer.table == NULL)
	{
		/* It was an alias when the Map began. */
		(void) ef_check_writer(visit);
		return EF_VISIT_FAILED;
	}
	ef_prepare_call(visit, &call);
	visit->did_work = true;
	result = ef_call_activity(&call);
	if (result != EF_ACTIVITY_SUCCEEDED)
	{
		visit->branch_failed = true;
		return ef_fail_call(visit, result, &call.failure, "States.ResultWriterFailed");
	}
	visit->branch->step = Max(visit->branch->step, writer.last_step);
	*summary = make_summary(&writer);
	return EF_VISIT_LEFT;
}
