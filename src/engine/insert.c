/*-------------------------------------------------------------------------
 *
 * insert.c
 *	  Rows of the engine's tables, inserted without a statement.
 *
 * Each step of a run inserts a row, and nothing about that depends on a plan: so
 * it is done as logical replication applies an insert, by the function that the
 * executor has for it.  Constraints are checked and indexes maintained as by a
 * statement, at half the cost; most of a statement's is to set up and tear down
 * its nodes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "engine/insert.h"
#include "engine/rights.h"
#include "fault.h"

static Relation
open_table(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("expense_flow", false));

	if (!OidIsValid(relid))
		elog(ERROR, "the extension has no table \"%s\"", name);
	return table_open(relid, RowExclusiveLock);
}

/* Are the arguments what the first columns hold?  They are, unless library and tables are of different versions. */
static void
check_columns(Relation table, const EfStatement *statement, const EfArguments *args)
{
	TupleDesc	desc = RelationGetDescr(table);
	bool		fit = args->count <= desc->natts;
	int			i;

	for (i = 0; fit && i < args->count; i++)
		fit = TupleDescAttr(desc, i)->atttypid == statement->argtypes[i];
	if (!fit)
		elog(ERROR, "table \"%s\" has other columns than this version of the library knows",
			 RelationGetRelationName(table));
}

static TupleTableSlot *
make_slot(Relation table, const EfArguments *args, EState *estate)
{
	TupleTableSlot *slot = table_slot_create(table, &estate->es_tupleTable);
	int			natts = RelationGetNumberOfAttributes(table);
	int			i;

	ExecClearTuple(slot);
	for (i = 0; i < natts; i++)
	{
		bool		is_null = i >= args->count || args->nulls[i] == 'n';

		slot->tts_values[i] = is_null ? (Datum) 0 : args->values[i];
		slot->tts_isnull[i] = is_null;
	}
	return ExecStoreVirtualTuple(slot);
}

static void
insert(Relation table, const EfArguments *args)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
	ResultRelInfo *target = makeNode(ResultRelInfo);

	InitResultRelInfo(target, table, 0, NULL, 0);
	ExecOpenIndices(target, false);
	ExecSimpleRelationInsert(target, estate, make_slot(table, args, estate));
	ExecCloseIndices(target);
	ExecResetTupleTable(estate->es_tupleTable, false);
	MemoryContextSwitchTo(old);
	FreeExecutorState(estate);
	CommandCounterIncrement();
}

void
ef_insert_row(const char *name, EfStatement *statement, EfArguments *args)
{
	Relation	table = open_table(name);
	EfCaller	caller;

	PreventCommandIfReadOnly("INSERT");
	PreventCommandIfParallelMode("INSERT");
	if (table->trigdesc != NULL || table->rd_rel->relrowsecurity)
		ef_execute_alone(statement, args);
	else
	{
		check_columns(table, statement, args);
		EF_FAULT_BEFORE_INSERT(statement->text);
		ef_become_owner(&caller);
		insert(table, args);
		ef_become_caller(&caller);
		EF_FAULT_AFTER_INSERT(statement->text);
	}
	table_close(table, NoLock);
}
