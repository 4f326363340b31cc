/*-------------------------------------------------------------------------
 *
 * read.c
 *	  Reading feeds of change events, and consumers that remember how far.
 *
 * read_changes() reads what is committed now, in every isolation level: with an
 * older snapshot it would not see some events below its bound, and its caller's
 * cursor would pass them.  Before events are shown, all WAL up to the snapshot
 * is flushed: a cursor must not be ahead of what a crash leaves.  (Where nobody
 * commits asynchronously it is on disk already and this costs nothing.)
 *
 * The caller is checked against the captured table, as if he had read it.  Row
 * security cannot be applied to old row images, so where it applies to the
 * caller he is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "engine/arguments.h"
#include "engine/flush.h"
#include "engine/rights.h"
#include "errcodes.h"
#include "events/feed.h"

/* One call of read_changes(). */
typedef struct FeedReader
{
	EfSource	source;
	Snapshot	snapshot;
	uint32		epoch;
	int64		after;
	int64		bound;
	int			max_events;
	Datum		type_words[3];
	ReturnSetInfo *result;
} FeedReader;

enum
{
	READ_CURSOR,
	READ_TYPE,
	READ_KEY,
	READ_OLD,
	READ_NEW,
	READ_AT,
	READ_COLUMNS
};

PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_read_changes);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_latest_cursor);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_acknowledge_changes);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_drop_consumer);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_feed_bound);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_event_cursor);

/* ---- what a caller may do ---- */

void
ef_require_source(const char *name, Snapshot snapshot, EfSource *source)
{
	if (!ef_find_source(name, snapshot, source))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event source \"%s\" does not exist", name)));
}

static void
check_may_read(const EfSource *source)
{
	char	   *table = get_rel_name(source->table);

	if (table == NULL)
	{
		/* The table is gone and its rights with it. */
		if (!has_privs_of_role(GetUserId(), ef_extension_owner()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied for event source \"%s\", whose table was dropped", source->name)));
		return;
	}
	if (pg_class_aclcheck(source->table, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, table);
	if (check_enable_rls(source->table, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("event source \"%s\" cannot be read under row security", source->name),
				 errdetail("The policies of table \"%s\" apply to role \"%s\", and cannot be applied to its changes.",
						   table, GetUserNameFromId(GetUserId(), false))));
}

static void
check_not_in_recovery(void)
{
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("changes cannot be read on a standby"),
				 errdetail("A standby does not know which transactions of the primary are still open.")));
}

static char *
required_text(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * The position that a cursor stands for; one of before the oldest event kept, or of the future, is refused.
 * The snapshot is the one that events are read with, so that purge() cannot come in between.
 */
static int64
checked_position(const char *cursor, const EfSource *source, uint32 epoch, int64 last, Snapshot snapshot)
{
	int64		position = ef_parse_cursor(cursor, epoch);

	if (position < ef_position_of_source("event_purged", source->source_id, snapshot))
		ereport(ERROR,
				(errcode(EF_ERRCODE_CURSOR_TOO_OLD),
				 errmsg("cursor \"%s\" is too old", cursor),
				 errdetail("Later events of source \"%s\" were purged, or not captured.", source->name),
				 errhint("Read the table anew, and its changes from latest_cursor() on.")));
	if (position > last)
		ereport(ERROR,
				(errcode(EF_ERRCODE_CURSOR_TOO_OLD),
				 errmsg("cursor \"%s\" is ahead of the feed", cursor),
				 errdetail("The database has lost events that were read, as when an old backup was restored."),
				 errhint("Read the table anew, and its changes from latest_cursor() on.")));
	return position;
}

/* ---- read_changes ---- */

static Datum
type_word(const FeedReader *reader, char type)
{
	switch (type)
	{
		case EF_EVENT_ADD:
			return reader->type_words[0];
		case EF_EVENT_UPDATE:
			return reader->type_words[1];
		case EF_EVENT_REMOVE:
			return reader->type_words[2];
		default:
			elog(ERROR, "unrecognized type of change event: %d", (int) type);
	}
	return (Datum) 0;			/* keep compiler quiet */
}

static void
put_event(const FeedReader *reader, HeapTuple tuple, TupleDesc tupdesc)
{
	Datum		event[EF_EVENT_COLUMNS];
	bool		event_nulls[EF_EVENT_COLUMNS];
	Datum		values[READ_COLUMNS];
	bool		nulls[READ_COLUMNS] = {false};
	char		cursor[VARHDRSZ + EF_CURSOR_LENGTH + 1] pg_attribute_aligned(4);

	heap_deform_tuple(tuple, tupdesc, event, event_nulls);
	ef_format_cursor(reader->epoch, DatumGetInt64(event[EF_EVENT_ID - 1]), cursor + VARHDRSZ);
	SET_VARSIZE(cursor, VARHDRSZ + EF_CURSOR_LENGTH);

	values[READ_CURSOR] = PointerGetDatum(cursor);
	values[READ_TYPE] = type_word(reader, DatumGetChar(event[EF_EVENT_TYPE - 1]));
	values[READ_KEY] = event[EF_EVENT_KEY - 1];
	nulls[READ_KEY] = event_nulls[EF_EVENT_KEY - 1];
	values[READ_OLD] = event[EF_EVENT_OLD - 1];
	nulls[READ_OLD] = event_nulls[EF_EVENT_OLD - 1];
	values[READ_NEW] = event[EF_EVENT_NEW - 1];
	nulls[READ_NEW] = event_nulls[EF_EVENT_NEW - 1];
	values[READ_AT] = event[EF_EVENT_AT - 1];
	tuplestore_putvalues(reader->result->setResult, reader->result->setDesc, values, nulls);
}

/* Events after reader->after up to the bound go into the result; returns how many. */
static int
read_events(const FeedReader *reader)
{
	Relation	events = table_open(ef_feed_relation("change_event"), AccessShareLock);
	Relation	index = index_open(ef_feed_relation("change_event_pkey"), AccessShareLock);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	int			n = 0;

	ScanKeyInit(&keys[0], EF_EVENT_SOURCE_ID, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(reader->source.source_id));
	ScanKeyInit(&keys[1], EF_EVENT_ID, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(reader->after));
	ScanKeyInit(&keys[2], EF_EVENT_ID, BTLessEqualStrategyNumber, F_INT8LE, Int64GetDatum(reader->bound));
	scan = systable_beginscan_ordered(events, index, reader->snapshot, 3, keys);
	while (n < reader->max_events &&
		   HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		CHECK_FOR_INTERRUPTS();
		put_event(reader, tuple, RelationGetDescr(events));
		n++;
	}
	systable_endscan_ordered(scan);
	index_close(index, AccessShareLock);
	table_close(events, AccessShareLock);
	return n;
}

Datum
ef_read_changes(PG_FUNCTION_ARGS)
{
	FeedReader	reader = {0};
	char	   *name = required_text(fcinfo, 0, "source");
	int64		last;

	if (PG_ARGISNULL(2) || PG_GETARG_INT32(2) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_events must be greater than zero")));
	reader.max_events = PG_GETARG_INT32(2);
	check_not_in_recovery();
	InitMaterializedSRF(fcinfo, 0);
	reader.result = (ReturnSetInfo *) fcinfo->resultinfo;
	reader.type_words[0] = CStringGetTextDatum("add");
	reader.type_words[1] = CStringGetTextDatum("update");
	reader.type_words[2] = CStringGetTextDatum("remove");

	/* The order of the next three is what the cursor's promise rests on. */
	last = ef_last_event_id();
	reader.bound = ef_safe_bound(last);
	PushActiveSnapshot(GetLatestSnapshot());

	reader.snapshot = GetActiveSnapshot();
	ef_require_source(name, reader.snapshot, &reader.source);
	check_may_read(&reader.source);
	reader.epoch = ef_feed_epoch(reader.snapshot);
	if (PG_ARGISNULL(1))
		reader.after = ef_position_of_source("event_purged", reader.source.source_id, reader.snapshot);
	else
		reader.after = checked_position(text_to_cstring(PG_GETARG_TEXT_PP(1)), &reader.source, reader.epoch, last,
										reader.snapshot);
	if (read_events(&reader) > 0)
		ef_flush_what_is_seen();
	PopActiveSnapshot();
	return (Datum) 0;
}

/* ---- cursors ---- */

Datum
ef_latest_cursor(PG_FUNCTION_ARGS)
{
	char	   *name = required_text(fcinfo, 0, "source");
	char		cursor[EF_CURSOR_LENGTH + 1];
	EfSource	source;
	int64		bound;

	check_not_in_recovery();
	bound = ef_safe_bound(ef_last_event_id());
	PushActiveSnapshot(GetLatestSnapshot());
	ef_require_source(name, GetActiveSnapshot(), &source);
	check_may_read(&source);

	/* Another table's writer may be older than the source. */
	bound = Max(bound, ef_position_of_source("event_purged", source.source_id, GetActiveSnapshot()));
	ef_format_cursor(ef_feed_epoch(GetActiveSnapshot()), bound, cursor);
	PopActiveSnapshot();

	/* The numbers up to there must not be given out again after a crash. */
	ef_flush_what_is_seen();
	PG_RETURN_TEXT_P(cstring_to_text(cursor));
}

Datum
ef_feed_bound(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(ef_safe_bound(ef_last_event_id()));
}

Datum
ef_event_cursor(PG_FUNCTION_ARGS)
{
	char		cursor[EF_CURSOR_LENGTH + 1];

	ef_format_cursor(ef_feed_epoch(NULL), PG_GETARG_INT64(0), cursor);
	PG_RETURN_TEXT_P(cstring_to_text(cursor));
}

/* ---- consumers ---- */

/* Runs a statement on the extension's tables, as their owner; returns how many rows it changed. */
static uint64
run_as_owner(const char *statement, int nargs, Oid *types, Datum *values)
{
	EfCaller	caller;
	int			result;
	uint64		changed;

	ef_become_owner(&caller);
	SPI_connect();
	result = SPI_execute_with_args(statement, nargs, types, values, NULL, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute a statement: %s", SPI_result_code_string(result));
	changed = SPI_processed;
	SPI_finish();
	ef_become_caller(&caller);
	return changed;
}

/* The source, where the caller may read it; checks the consumer's name too. */
static void
require_consumable(FunctionCallInfo fcinfo, EfSource *source)
{
	char	   *name = required_text(fcinfo, 0, "source");

	(void) ef_name_arg(fcinfo, 1, "consumer");
	check_not_in_recovery();
	ef_require_source(name, NULL, source);
}

/* A consumer is its owner's: the same rule as for owners of objects. */
static void
check_owns_consumer(const EfSource *source, Datum consumer)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2];
	EfCaller	caller;
	bool		isnull;
	Oid			owner = InvalidOid;

	values[0] = Int32GetDatum(source->source_id);
	values[1] = consumer;
	ef_become_owner(&caller);
	SPI_connect();
	if (SPI_execute_with_args("SELECT owner FROM expense_flow.change_consumer "
							  "WHERE source_id OPERATOR(pg_catalog.=) $1 AND consumer OPERATOR(pg_catalog.=) $2",
							  2, types, values, NULL, false, 1) == SPI_OK_SELECT && SPI_processed == 1)
		owner = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
	ef_become_caller(&caller);

	if (OidIsValid(owner) && !has_privs_of_role(GetUserId(), owner) &&
		!has_privs_of_role(GetUserId(), ef_extension_owner()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for consumer \"%s\" of event source \"%s\"",
						TextDatumGetCString(consumer), source->name)));
}

Datum
ef_acknowledge_changes(PG_FUNCTION_ARGS)
{
	Oid			types[4] = {INT4OID, TEXTOID, OIDOID, INT8OID};
	Datum		values[4];
	EfSource	source;
	int64		position;

	require_consumable(fcinfo, &source);
	check_may_read(&source);
	PushActiveSnapshot(GetLatestSnapshot());
	if (PG_ARGISNULL(2))
		position = ef_position_of_source("event_purged", source.source_id, GetActiveSnapshot());
	else
		position = checked_position(text_to_cstring(PG_GETARG_TEXT_PP(2)), &source,
									ef_feed_epoch(GetActiveSnapshot()), ef_last_event_id(), GetActiveSnapshot());
	PopActiveSnapshot();

	values[0] = Int32GetDatum(source.source_id);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = ObjectIdGetDatum(GetUserId());
	values[3] = Int64GetDatum(position);
	check_owns_consumer(&source, values[1]);

	/* Whoever registers the same name at the same moment does not move it either. */
	run_as_owner("INSERT INTO expense_flow.change_consumer AS c (source_id, consumer, owner, position, updated_at) "
				 "VALUES ($1, $2, $3, $4, pg_catalog.clock_timestamp()) "
				 "ON CONFLICT (source_id, consumer) DO UPDATE "
				 "SET position = EXCLUDED.position, updated_at = EXCLUDED.updated_at "
				 "WHERE c.position OPERATOR(pg_catalog.<) EXCLUDED.position "
				 "AND pg_catalog.pg_has_role($3, c.owner, 'USAGE')",
				 4, types, values);
	PG_RETURN_VOID();
}

Datum
ef_drop_consumer(PG_FUNCTION_ARGS)
{
	Oid			types[2] = {INT4OID, TEXTOID};
	Datum		values[2];
	EfSource	source;

	require_consumable(fcinfo, &source);
	values[0] = Int32GetDatum(source.source_id);
	values[1] = PG_GETARG_DATUM(1);
	check_owns_consumer(&source, values[1]);
	if (run_as_owner("DELETE FROM expense_flow.change_consumer "
					 "WHERE source_id OPERATOR(pg_catalog.=) $1 AND consumer OPERATOR(pg_catalog.=) $2",
					 2, types, values) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("consumer \"%s\" of event source \"%s\" does not exist",
						TextDatumGetCString(values[1]), source.name)));
	PG_RETURN_VOID();
}
