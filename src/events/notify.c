/*-------------------------------------------------------------------------
 *
 * notify.c
 *	  NOTIFY for change events.
 *
 * The message on channel expense_flow_SOURCE is a JSON object with the event's
 * cursor, type, key and data (the row as it is now, or as it was before it was
 * removed).  What would pass the server's limit is left out and flagged: first
 * the data, then the key too.  A listener reads the rest with read_changes().
 * Anybody may listen, so where row security says that the rows of the table are
 * not for everybody both are always left out.
 *
 * Who announces: a background process, if one runs.  It reads events in order,
 * up to the bound below which nothing can appear any more, and stores how far it
 * got in the transaction that sends the messages, so each event is announced
 * once whatever crashes: messages leave only when that transaction is on disk,
 * and with it every transaction whose events it read.
 *
 * Event rows that the writer's transaction announced itself are flagged, and
 * passed over here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "engine/rights.h"
#include "events/events.h"
#include "events/feed.h"
#include "fault.h"

/* Bytes of a payload with its terminator: NOTIFY_PAYLOAD_MAX_LENGTH, which the server keeps to itself. */
#define PAYLOAD_LIMIT	(BLCKSZ - NAMEDATALEN - 128)

/* A jsonb of this many bytes is longer than any payload as text too: an element of it takes at most eight times
 * the place of its text. */
#define HOPELESS_SIZE	(8 * PAYLOAD_LIMIT)

/* One announcing transaction. */
typedef struct Announcement
{
	Relation	events;
	Relation	index;
	Snapshot	snapshot;
	uint32		epoch;
	int64		bound;			/* events up to here may be announced */
	int			left;			/* how many more */
	bool		held_back;		/* there are committed ones beyond */
} Announcement;

static const char *
type_word(char type)
{
	switch (type)
	{
		case EF_EVENT_ADD:
			return "add";
		case EF_EVENT_UPDATE:
			return "update";
		case EF_EVENT_REMOVE:
			return "remove";
		default:
			elog(ERROR, "unrecognized type of change event: %d", (int) type);
	}
	return NULL;				/* keep compiler quiet */
}

/* Add a member with a jsonb value; false, and payload unchanged, if the payload would be too long then. */
static bool
append_member(StringInfo payload, const char *name, Datum value, int reserve)
{
	int			length = payload->len;
	Jsonb	   *jsonb;

	/* Ask for the size before fetching the value from TOAST. */
	if (toast_raw_datum_size(value) > HOPELESS_SIZE)
		return false;
	jsonb = DatumGetJsonbP(value);
	appendStringInfo(payload, ",\"%s\":", name);
	(void) JsonbToCString(payload, &jsonb->root, VARSIZE(jsonb));
	if (payload->len + reserve < PAYLOAD_LIMIT)
		return true;
	payload->len = length;
	payload->data[length] = '\0';
	return false;
}

/* May only some see the rows of the table?  Of one that is gone nobody knows any more. */
static bool
has_row_security(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result = true;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;
		ReleaseSysCache(tuple);
	}
	return result;
}

void
ef_notify_change(const EfSource *source, uint32 epoch, int64 event_id, char type,
				 Datum key, bool key_isnull, Datum data, bool data_isnull)
{
	static const char key_omitted[] = ",\"key_omitted\":true";
	static const char data_omitted[] = ",\"data_omitted\":true";
	StringInfoData payload;
	char		cursor[EF_CURSOR_LENGTH + 1];
	char		channel[NAMEDATALEN];
	bool		secret = has_row_security(source->table);

	ef_format_cursor(epoch, event_id, cursor);
	initStringInfo(&payload);
	appendStringInfo(&payload, "{\"cursor\":\"%s\",\"type\":\"%s\"", cursor, type_word(type));

	if (key_isnull)
		appendStringInfoString(&payload, ",\"key\":null");
	else if (secret || !append_member(&payload, "key", key, sizeof(data_omitted)))
		appendStringInfoString(&payload, key_omitted);

	if (data_isnull)
		appendStringInfoString(&payload, ",\"data\":null");
	else if (secret || source->notify != EF_NOTIFY_DATA || !append_member(&payload, "data", data, 1))
		appendStringInfoString(&payload, data_omitted);
	appendStringInfoChar(&payload, '}');

	snprintf(channel, sizeof(channel), EF_CHANNEL_PREFIX "%s", source->name);
	Async_Notify(channel, payload.data);
	pfree(payload.data);
}

/* ---- the announcer ---- */

static void
announce_event(Announcement *announcement, const EfSource *source, HeapTuple tuple)
{
	Datum		values[EF_EVENT_COLUMNS];
	bool		nulls[EF_EVENT_COLUMNS];
	int			data;

	heap_deform_tuple(tuple, RelationGetDescr(announcement->events), values, nulls);
	if (DatumGetBool(values[EF_EVENT_ANNOUNCED - 1]))
		return;
	data = nulls[EF_EVENT_NEW - 1] ? EF_EVENT_OLD - 1 : EF_EVENT_NEW - 1;
	ef_notify_change(source, announcement->epoch, DatumGetInt64(values[EF_EVENT_ID - 1]),
					 DatumGetChar(values[EF_EVENT_TYPE - 1]),
					 values[EF_EVENT_KEY - 1], nulls[EF_EVENT_KEY - 1], values[data], nulls[data]);
	announcement->left--;
}

/* Announce the events of a source after a position; returns the new position. */
static int64
announce_source(Announcement *announcement, const EfSource *source, int64 position)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "expense_flow announcement",
												  ALLOCSET_DEFAULT_SIZES);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], EF_EVENT_SOURCE_ID, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(source->source_id));
	ScanKeyInit(&keys[1], EF_EVENT_ID, BTGreaterStrategyNumber, F_INT8GT, Int64GetDatum(position));
	scan = systable_beginscan_ordered(announcement->events, announcement->index, announcement->snapshot, 2, keys);

	while (announcement->left > 0 &&
		   HeapTupleIsValid(tuple = systable_getnext_ordered(scan, ForwardScanDirection)))
	{
		bool		isnull;
		int64		event_id = DatumGetInt64(heap_getattr(tuple, EF_EVENT_ID, RelationGetDescr(announcement->events),
														  &isnull));
		MemoryContext caller;

		CHECK_FOR_INTERRUPTS();
		if (event_id > announcement->bound)
		{
			announcement->held_back = true;
			break;
		}
		caller = MemoryContextSwitchTo(scratch);
		announce_event(announcement, source, tuple);
		MemoryContextSwitchTo(caller);
		MemoryContextReset(scratch);
		position = event_id;
	}
	systable_endscan_ordered(scan);
	MemoryContextDelete(scratch);
	return position;
}

static void
store_position(int32 source_id, int64 position)
{
	static SPIPlanPtr plan = NULL;
	Datum		values[2];

	if (plan == NULL)
	{
		Oid			types[2] = {INT4OID, INT8OID};

		plan = SPI_prepare("INSERT INTO expense_flow.event_announced AS a (source_id, announced_through) VALUES ($1, $2) "
						   "ON CONFLICT (source_id) DO UPDATE SET announced_through = EXCLUDED.announced_through",
						   2, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare a statement: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
	}
	values[0] = Int32GetDatum(source_id);
	values[1] = Int64GetDatum(position);
	if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not store how far a source is announced");
}

static void
announce_sources(Announcement *announcement)
{
	EfSource	source;
	int32		after = PG_INT32_MIN;

	while (announcement->left > 0 && ef_next_source(after, announcement->snapshot, &source))
	{
		after = source.source_id;
		if (source.notify != EF_NOTIFY_NONE)
		{
			int64		position = ef_position_of_source("event_announced", source.source_id, announcement->snapshot);
			int64		reached = announce_source(announcement, &source, position);

			if (reached != position)
				store_position(source.source_id, reached);
		}
	}
}

/* One announcer at a time, also when a new one starts while the last one ends. */
static bool
lock_announcer(void)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, 0, EF_LOCK_CLASS_ANNOUNCER);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

EfAnnounceResult
ef_events_announce(int max_events)
{
	Announcement announcement = {0};
	EfCaller	caller;
	int64		last;

	Oid			namespace = get_namespace_oid("expense_flow", true);

	if (!OidIsValid(namespace) || !OidIsValid(get_relname_relid("event_announced", namespace)))
		return EF_ANNOUNCE_DONE;
	if (!lock_announcer())
		return EF_ANNOUNCE_HELD_BACK;

	ef_become_owner(&caller);
	SPI_connect();
	last = ef_last_event_id();
	announcement.bound = ef_safe_bound(last);
	PushActiveSnapshot(GetLatestSnapshot());
	announcement.snapshot = GetActiveSnapshot();
	announcement.epoch = ef_feed_epoch(announcement.snapshot);
	announcement.left = max_events;
	announcement.events = table_open(ef_feed_relation("change_event"), AccessShareLock);
	announcement.index = index_open(ef_feed_relation("change_event_pkey"), AccessShareLock);

	EF_FAULT("announcer: before its events");
	announce_sources(&announcement);
	EF_FAULT("announcer: told, not committed");

	index_close(announcement.index, AccessShareLock);
	table_close(announcement.events, AccessShareLock);
	PopActiveSnapshot();
	SPI_finish();
	ef_become_caller(&caller);

	/* What was read may come from transactions that committed asynchronously. */
	if (announcement.left < max_events)
		ForceSyncCommit();
	if (announcement.left == 0)
		return EF_ANNOUNCE_MORE;
	return announcement.held_back ? EF_ANNOUNCE_HELD_BACK : EF_ANNOUNCE_DONE;
}
