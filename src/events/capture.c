/*-------------------------------------------------------------------------
 *
 * capture.c
 *	  The trigger that stores changes as change events.
 *
 * It runs on the commit path of other people's transactions, so it does little:
 * row images as jsonb, made by the server's own to_jsonb(); the key picked out
 * of the image; a number from the feed's sequence; one heap insert.  The insert
 * goes to the table directly (executor functions, not SPI): no user is switched,
 * no privilege of the writer on the extension's tables is needed, and it costs
 * half as much.
 *
 * What is known about a trigger (its source, the key's columns) is cached per
 * backend and forgotten with the relation cache entry of its table.  The user's
 * code that may run here is the conversion of row images (casts to json); it
 * runs before the cache entry is looked up, so it cannot pull it away.
 *
 * The NOTIFY is left to a background process where one runs, since a NOTIFY in
 * the writer's transaction makes all committers of the cluster queue up.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "events/events.h"
#include "events/feed.h"
#include "fault.h"

/* What is known about one trigger. */
typedef struct CapturedTable
{
	Oid			trigger;		/* hash key */
	Oid			relid;			/* the table, or a partition of it, that has the trigger */
	bool		valid;
	bool		stale;			/* its table changed while it was learnt */
	MemoryContext context;		/* of what follows */
	EfSource	source;
	int			nkeys;			/* 0: the whole row is the key */
	char	  **keys;			/* names of the key's columns */
} CapturedTable;

/* The current transaction. */
typedef struct CapturingTransaction
{
	bool		joined;			/* holds the lock of feed writers */
	bool		committed_news; /* at commit, tell the receiver */
} CapturingTransaction;

PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_capture_change);

const EfChangesReceiver *ef_changes_receiver = NULL;

static HTAB *captured_tables = NULL;
static CapturingTransaction transaction;
static FmgrInfo to_jsonb_of_record;
static ProcessUtility_hook_type next_process_utility = NULL;

/* ---- what is known about a trigger ---- */

static void
forget_table(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	CapturedTable *captured;

	hash_seq_init(&scan, captured_tables);
	while ((captured = hash_seq_search(&scan)) != NULL)
	{
		if (relid == InvalidOid || captured->relid == relid)
		{
			captured->valid = false;
			captured->stale = true;
		}
	}
}

static void
make_cache(void)
{
	HASHCTL		control;

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CapturedTable);
	captured_tables = hash_create("expense_flow captured tables", 32, &control, HASH_ELEM | HASH_BLOBS);
	CacheRegisterRelcacheCallback(forget_table, (Datum) 0);
}

/* The columns that identify a row: primary key, else replica identity, else none. */
static void
find_key(CapturedTable *captured, Relation rel)
{
	Bitmapset  *columns = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	int			column = -1;

	if (bms_is_empty(columns))
		columns = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);

	captured->nkeys = 0;
	captured->keys = palloc0(sizeof(char *) * Max(bms_num_members(columns), 1));
	while ((column = bms_next_member(columns, column)) >= 0)
	{
		AttrNumber	attno = column + FirstLowInvalidHeapAttributeNumber;

		captured->keys[captured->nkeys++] = pstrdup(NameStr(TupleDescAttr(RelationGetDescr(rel), attno - 1)->attname));
	}
}

static void
learn_table(CapturedTable *captured, Trigger *trigger, Relation rel)
{
	MemoryContext caller = CurrentMemoryContext;

	captured->relid = RelationGetRelid(rel);
	if (captured->context != NULL)
		MemoryContextReset(captured->context);
	else
		captured->context = AllocSetContextCreate(CacheMemoryContext, "expense_flow captured table",
												  ALLOCSET_SMALL_SIZES);

	captured->stale = false;
	MemoryContextSwitchTo(captured->context);
	if (!ef_find_source(trigger->tgargs[0], NULL, &captured->source))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("event source \"%s\" of trigger \"%s\" on table \"%s\" does not exist",
						trigger->tgargs[0], trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Drop the trigger, and call capture_changes() to capture the table's changes.")));

	/* Anybody may create triggers on his own tables, but not write to the feeds of others. */
	if (captured->source.table != captured->relid &&
		!(rel->rd_rel->relispartition &&
		  list_member_oid(get_partition_ancestors(captured->relid), captured->source.table)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("event source \"%s\" of trigger \"%s\" is not of table \"%s\"",
						trigger->tgargs[0], trigger->tgname, RelationGetRelationName(rel)),
				 errhint("Call capture_changes() to capture the table's changes.")));
	find_key(captured, rel);
	MemoryContextSwitchTo(caller);

	/* An invalidation that arrived meanwhile is for the next time. */
	captured->valid = !captured->stale;
}

static const CapturedTable *
captured_table(Trigger *trigger, Relation rel)
{
	CapturedTable *captured;
	bool		found;

	if (captured_tables == NULL)
		make_cache();
	captured = hash_search(captured_tables, &trigger->tgoid, HASH_ENTER, &found);
	if (!found)
	{
		captured->relid = InvalidOid;
		captured->valid = false;
		captured->context = NULL;
	}
	if (!captured->valid)
		learn_table(captured, trigger, rel);
	return captured;
}

/* ---- row images ---- */

static Jsonb *
row_image(HeapTuple tuple, TupleDesc tupdesc)
{
	if (to_jsonb_of_record.fn_oid != F_TO_JSONB)
	{
		MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
		Const	   *argument = makeNullConst(RECORDOID, -1, InvalidOid);
		FuncExpr   *call = makeFuncExpr(F_TO_JSONB, JSONBOID, list_make1(argument),
										InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);

		/* to_jsonb() asks the call expression for its argument's type */
		fmgr_info_cxt(F_TO_JSONB, &to_jsonb_of_record, TopMemoryContext);
		fmgr_info_set_expr((Node *) call, &to_jsonb_of_record);
		MemoryContextSwitchTo(caller);
	}
	return DatumGetJsonbP(FunctionCall1(&to_jsonb_of_record, heap_copy_tuple_as_datum(tuple, tupdesc)));
}

static Jsonb *
without_excluded(Jsonb *image, const EfSource *source)
{
	if (ArrayGetNItems(ARR_NDIM(source->exclude_columns), ARR_DIMS(source->exclude_columns)) == 0)
		return image;
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete_array, JsonbPGetDatum(image),
											  PointerGetDatum(source->exclude_columns)));
}

/* The part of a row image that identifies the row. */
static Jsonb *
key_of_image(Jsonb *image, const CapturedTable *captured)
{
	JsonbParseState *state = NULL;
	int			i;

	if (captured->nkeys == 0)
		return image;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 0; i < captured->nkeys; i++)
	{
		JsonbValue	name;
		JsonbValue	value;

		name.type = jbvString;
		name.val.string.val = captured->keys[i];
		name.val.string.len = strlen(captured->keys[i]);
		if (getKeyJsonValueFromContainer(&image->root, name.val.string.val, name.val.string.len, &value) == NULL)
			continue;
		pushJsonbValue(&state, WJB_KEY, &name);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}

static bool
same_image(const Jsonb *a, const Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(VARDATA(a), VARDATA(b), VARSIZE(a) - VARHDRSZ) == 0;
}

/* ---- storing an event ---- */

static void
insert_event(const Datum *values, const bool *nulls)
{
	EState	   *estate = CreateExecutorState();
	Relation	rel = table_open(ef_feed_relation("change_event"), RowExclusiveLock);
	ResultRelInfo *result_rel = makeNode(ResultRelInfo);
	TupleTableSlot *slot;

	InitResultRelInfo(result_rel, rel, 1, NULL, 0);
	ExecOpenIndices(result_rel, false);
	slot = table_slot_create(rel, &estate->es_tupleTable);
	memcpy(slot->tts_values, values, sizeof(Datum) * EF_EVENT_COLUMNS);
	memcpy(slot->tts_isnull, nulls, sizeof(bool) * EF_EVENT_COLUMNS);
	ExecStoreVirtualTuple(slot);

	simple_table_tuple_insert(rel, slot);
	if (result_rel->ri_NumIndices > 0)
		ef_insert_index_tuples(result_rel, slot, estate);

	ExecCloseIndices(result_rel);
	ExecResetTupleTable(estate->es_tupleTable, true);
	table_close(rel, NoLock);
	FreeExecutorState(estate);
}

static void
store_event(const CapturedTable *captured, char type, Jsonb *old, Jsonb *new)
{
	const EfSource *source = &captured->source;
	Jsonb	   *image = new != NULL ? new : old;
	Jsonb	   *key = image != NULL ? key_of_image(image, captured) : NULL;
	bool		leave_to_announcer;
	int64		event_id;
	Datum		values[EF_EVENT_COLUMNS];
	bool		nulls[EF_EVENT_COLUMNS] = {false};

	leave_to_announcer = source->notify != EF_NOTIFY_NONE &&
		ef_changes_receiver != NULL && ef_changes_receiver->announcer_runs();

	EF_FAULT("capture: before the event");
	if (!transaction.joined)
	{
		ef_join_feed_writers();
		transaction.joined = true;
	}
	EF_FAULT("capture: writer of the feed");
	event_id = nextval_internal(ef_feed_relation("change_event_id"), false);

	values[EF_EVENT_ID - 1] = Int64GetDatum(event_id);
	values[EF_EVENT_AT - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	values[EF_EVENT_SOURCE_ID - 1] = Int32GetDatum(source->source_id);
	values[EF_EVENT_TYPE - 1] = CharGetDatum(type);
	values[EF_EVENT_ANNOUNCED - 1] = BoolGetDatum(!leave_to_announcer);
	values[EF_EVENT_KEY - 1] = PointerGetDatum(key);
	nulls[EF_EVENT_KEY - 1] = key == NULL;
	values[EF_EVENT_OLD - 1] = PointerGetDatum(old);
	nulls[EF_EVENT_OLD - 1] = old == NULL;
	values[EF_EVENT_NEW - 1] = PointerGetDatum(new);
	nulls[EF_EVENT_NEW - 1] = new == NULL;
	EF_FAULT("capture: numbered, not stored");
	insert_event(values, nulls);
	EF_FAULT("capture: stored");

	if (leave_to_announcer)
		transaction.committed_news = true;
	else if (source->notify != EF_NOTIFY_NONE)
		ef_notify_change(source, ef_feed_epoch(NULL), event_id, type,
						 PointerGetDatum(key), key == NULL, PointerGetDatum(image), image == NULL);
}

/* ---- the trigger ---- */

static void
check_trigger_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigger_data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be called as a trigger", "capture_change")));
	if (!TRIGGER_FIRED_AFTER(trigger_data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired AFTER", "capture_change")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigger_data->tg_event) ? !TRIGGER_FIRED_FOR_STATEMENT(trigger_data->tg_event)
		: !TRIGGER_FIRED_FOR_ROW(trigger_data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired FOR EACH ROW, or by TRUNCATE", "capture_change")));
	if (trigger_data->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" needs one argument, the name of the event source", "capture_change")));
}

Datum
ef_capture_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger_data = (TriggerData *) fcinfo->context;
	const CapturedTable *captured;
	Relation	rel;
	Jsonb	   *old = NULL;
	Jsonb	   *new = NULL;

	check_trigger_call(fcinfo);
	rel = trigger_data->tg_relation;

	if (TRIGGER_FIRED_BY_INSERT(trigger_data->tg_event))
		new = row_image(trigger_data->tg_trigtuple, RelationGetDescr(rel));
	else if (TRIGGER_FIRED_BY_UPDATE(trigger_data->tg_event))
	{
		old = row_image(trigger_data->tg_trigtuple, RelationGetDescr(rel));
		new = row_image(trigger_data->tg_newtuple, RelationGetDescr(rel));
	}
	else if (TRIGGER_FIRED_BY_DELETE(trigger_data->tg_event))
		old = row_image(trigger_data->tg_trigtuple, RelationGetDescr(rel));

	/* From here on no code of users runs. */
	captured = captured_table(trigger_data->tg_trigger, rel);
	if (old != NULL)
		old = without_excluded(old, &captured->source);
	if (new != NULL)
		new = without_excluded(new, &captured->source);

	if (old != NULL && new != NULL)
	{
		if (!same_image(old, new))
			store_event(captured, EF_EVENT_UPDATE, old, new);
	}
	else
		store_event(captured, new != NULL ? EF_EVENT_ADD : EF_EVENT_REMOVE, old, new);

	return PointerGetDatum(NULL);
}

/* ---- transactions ---- */

static void
transaction_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (transaction.committed_news)
				EF_FAULT_DEATH("capture: committed, announcer not woken");
			if (transaction.committed_news && ef_changes_receiver != NULL)
				ef_changes_receiver->changes_committed();
			/* fall through */
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			transaction.joined = false;
			transaction.committed_news = false;
			break;
		default:
			break;
	}
}

/*
 * A prepared transaction is committed by some other session, which tells the receiver at the end of its own.
 * Whether the prepared one captured anything is not known: at worst the announcer looks once in vain.
 */
static void
process_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *environment, DestReceiver *dest, QueryCompletion *completion)
{
	if (IsA(pstmt->utilityStmt, TransactionStmt) &&
		((TransactionStmt *) pstmt->utilityStmt)->kind == TRANS_STMT_COMMIT_PREPARED)
		transaction.committed_news = true;

	if (next_process_utility != NULL)
		next_process_utility(pstmt, query, read_only_tree, context, params, environment, dest, completion);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, environment, dest, completion);
}

void
ef_events_init(void)
{
	RegisterXactCallback(transaction_callback, NULL);
	next_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	ef_upkeep_init();
}
