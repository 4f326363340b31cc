/*-------------------------------------------------------------------------
 *
 * feed.c
 *	  The feed of change events: sources, numbers, cursors.
 *
 * Numbers come from one sequence.  What makes a reader's cursor safe is kept
 * here in one place; see "The feed of change events" in src/README:
 *
 *	writer:	L := the sequence's last value
 *			share-lock (writers, L) until the end of the transaction
 *			draw numbers, all greater than L; insert events
 *
 *	reader:	S := the sequence's last value				ef_last_event_id
 *			B := the least of S and all L locked		ef_safe_bound
 *			take a snapshot, read events up to B
 *
 * A writer whose lock the reader sees has only numbers above B.  A writer that
 * has not locked yet will draw numbers above S.  A writer that has released its
 * lock is visible to the snapshot, or was rolled back.
 *
 * The lock belongs to the whole transaction even when a subtransaction took it,
 * as that of a sequence does, so a rollback to a savepoint does not release it
 * while other events of the transaction still need it.
 *
 * Everything here reads the extension's tables directly, without asking for the
 * caller's rights: that is for the callers in this directory to do.
 *
 * A cursor is the feed's epoch (hashed with the database's identity, which tells
 * a copy made with CREATE DATABASE from its template) and the number of the last
 * event read, both in hexadecimal of fixed width, so that cursors of one feed
 * sort as text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/uuid.h"

#include "errcodes.h"
#include "events/events.h"
#include "events/feed.h"

/* Columns of event_source, in order. */
enum
{
	SOURCE_ID = 1,
	SOURCE_NAME,
	SOURCE_TABLE,
	SOURCE_EXCLUDE_COLUMNS,
	SOURCE_NOTIFY,
	SOURCE_BUILT_IN
};

#define SOURCE_COLUMNS	6

/* ---- tables ---- */

/* A table, index or sequence of the extension. */
Oid
ef_feed_relation(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("expense_flow", false));

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"expense_flow.%s\" does not exist", name)));
	return relid;
}

/* The first row that an index scan with one key finds; it stays readable until close_row. */
typedef struct RowScan
{
	Relation	table;
	Relation	index;
	SysScanDesc scan;
	HeapTuple	tuple;
} RowScan;

static bool
open_row(RowScan *row, const char *table, const char *index, Snapshot snapshot, ScanKey key)
{
	row->table = table_open(ef_feed_relation(table), AccessShareLock);
	row->index = index_open(ef_feed_relation(index), AccessShareLock);
	row->scan = systable_beginscan_ordered(row->table, row->index, snapshot, 1, key);
	row->tuple = systable_getnext_ordered(row->scan, ForwardScanDirection);
	return HeapTupleIsValid(row->tuple);
}

static void
close_row(RowScan *row)
{
	systable_endscan_ordered(row->scan);
	index_close(row->index, AccessShareLock);
	table_close(row->table, AccessShareLock);
}

static EfNotifyMode
notify_mode(const char *word)
{
	if (strcmp(word, "data") == 0)
		return EF_NOTIFY_DATA;
	return strcmp(word, "key") == 0 ? EF_NOTIFY_KEY : EF_NOTIFY_NONE;
}

static void
fill_source(EfSource *source, HeapTuple tuple, TupleDesc tupdesc)
{
	Datum		values[SOURCE_COLUMNS];
	bool		nulls[SOURCE_COLUMNS];

	heap_deform_tuple(tuple, tupdesc, values, nulls);
	source->source_id = DatumGetInt32(values[SOURCE_ID - 1]);
	source->name = TextDatumGetCString(values[SOURCE_NAME - 1]);
	source->table = DatumGetObjectId(values[SOURCE_TABLE - 1]);
	source->exclude_columns = DatumGetArrayTypePCopy(values[SOURCE_EXCLUDE_COLUMNS - 1]);
	source->notify = notify_mode(TextDatumGetCString(values[SOURCE_NOTIFY - 1]));
	source->built_in = DatumGetBool(values[SOURCE_BUILT_IN - 1]);
}

static bool
read_source(const char *index, Snapshot snapshot, ScanKey key, EfSource *source)
{
	RowScan		row;
	bool		found = open_row(&row, "event_source", index, snapshot, key);

	if (found)
		fill_source(source, row.tuple, RelationGetDescr(row.table));
	close_row(&row);
	return found;
}

/* The source of this name; false if there is none.  snapshot may be NULL: the newest. */
bool
ef_find_source(const char *name, Snapshot snapshot, EfSource *source)
{
	ScanKeyData key;

	/* ScanKeyInit compares with collation "C", which is the column's. */
	ScanKeyInit(&key, SOURCE_NAME, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(name));
	return read_source("event_source_source_key", snapshot, &key, source);
}

/* The source with the least identifier greater than after. */
bool
ef_next_source(int32 after, Snapshot snapshot, EfSource *source)
{
	ScanKeyData key;

	ScanKeyInit(&key, SOURCE_ID, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(after));
	return read_source("event_source_pkey", snapshot, &key, source);
}

/* A source's position in event_announced or event_purged; 0 where there is no row. */
int64
ef_position_of_source(const char *table, int32 source_id, Snapshot snapshot)
{
	RowScan		row;
	ScanKeyData key;
	char		index[NAMEDATALEN];
	int64		position = 0;

	snprintf(index, sizeof(index), "%s_pkey", table);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source_id));
	if (open_row(&row, table, index, snapshot, &key))
	{
		bool		isnull;

		position = DatumGetInt64(heap_getattr(row.tuple, 2, RelationGetDescr(row.table), &isnull));
	}
	close_row(&row);
	return position;
}

/* ---- numbers ---- */

/* The last number that the sequence gave out, to whomever. */
int64
ef_last_event_id(void)
{
	Relation	sequence = relation_open(ef_feed_relation("change_event_id"), AccessShareLock);
	Buffer		buffer = ReadBuffer(sequence, 0);
	HeapTupleData tuple;
	Form_pg_sequence_data data;
	int64		last;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	tuple.t_data = (HeapTupleHeader) PageGetItem(BufferGetPage(buffer),
												 PageGetItemId(BufferGetPage(buffer), FirstOffsetNumber));
	data = (Form_pg_sequence_data) GETSTRUCT(&tuple);
	last = data->is_called ? data->last_value : data->last_value - 1;
	UnlockReleaseBuffer(buffer);
	relation_close(sequence, AccessShareLock);
	return last;
}

/* What a transaction does once, before it draws its first number. */
void
ef_join_feed_writers(void)
{
	int64		last = ef_last_event_id();
	ResourceOwner owner = CurrentResourceOwner;
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (last >> 32), (uint32) last, EF_LOCK_CLASS_FEED_WRITER);

	/* On error, abort puts the resource owner right. */
	CurrentResourceOwner = TopTransactionResourceOwner;
	(void) LockAcquire(&tag, ShareLock, false, false);
	CurrentResourceOwner = owner;
}

/*
 * Up to which number a snapshot that is taken after this call shows everything that will ever be there.
 * last_event_id is from a call of ef_last_event_id() before.
 */
int64
ef_safe_bound(int64 last_event_id)
{
	LockData   *locks = GetLockStatusData();
	int64		bound = last_event_id;
	int			i;

	for (i = 0; i < locks->nelements; i++)
	{
		const LOCKTAG *tag = &locks->locks[i].locktag;

		if (tag->locktag_type == LOCKTAG_ADVISORY &&
			tag->locktag_field1 == MyDatabaseId &&
			tag->locktag_field4 == EF_LOCK_CLASS_FEED_WRITER &&
			locks->locks[i].holdMask != 0)
			bound = Min(bound, (int64) (((uint64) tag->locktag_field2 << 32) | tag->locktag_field3));
	}
	return bound;
}

/* ---- cursors ---- */

uint32
ef_feed_epoch(Snapshot snapshot)
{
	Relation	table = table_open(ef_feed_relation("event_feed"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(table, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	tuple = systable_getnext(scan);
	bool		isnull;
	pg_uuid_t  *epoch;
	uint32		hash;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "table expense_flow.event_feed has no row");
	epoch = DatumGetUUIDP(heap_getattr(tuple, 1, RelationGetDescr(table), &isnull));
	hash = (uint32) hash_bytes_extended(epoch->data, UUID_LEN, MyDatabaseId);
	systable_endscan(scan);
	table_close(table, AccessShareLock);
	return hash;
}

/* cursor has room for EF_CURSOR_LENGTH characters and a terminator. */
void
ef_format_cursor(uint32 epoch, int64 event_id, char *cursor)
{
	static const char digits[] = "0123456789abcdef";
	uint64		id = (uint64) event_id;
	int			i;

	/* By hand: this is done for each event read. */
	for (i = 7; i >= 0; i--, epoch >>= 4)
		cursor[i] = digits[epoch & 0xF];
	cursor[8] = '-';
	for (i = EF_CURSOR_LENGTH - 1; i > 8; i--, id >>= 4)
		cursor[i] = digits[id & 0xF];
	cursor[EF_CURSOR_LENGTH] = '\0';
}

/* The event number of a cursor that somebody handed in. */
int64
ef_parse_cursor(const char *cursor, uint32 epoch)
{
	uint64		id;

	if (strlen(cursor) != EF_CURSOR_LENGTH || cursor[8] != '-' ||
		strspn(cursor, "0123456789abcdef") != 8 ||
		strspn(cursor + 9, "0123456789abcdef") != EF_CURSOR_LENGTH - 9 ||
		(id = strtoull(cursor + 9, NULL, 16)) > (uint64) PG_INT64_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid cursor \"%s\"", cursor),
				 errhint("Use a cursor that read_changes() returned.")));

	if (strtoul(cursor, NULL, 16) != epoch)
		ereport(ERROR,
				(errcode(EF_ERRCODE_CURSOR_TOO_OLD),
				 errmsg("cursor \"%s\" is not of this feed", cursor),
				 errdetail("The feed of this database was begun anew, as after a restore, or is a copy of the cursor's."),
				 errhint("Read the table anew, and its changes from latest_cursor() on.")));
	return (int64) id;
}
