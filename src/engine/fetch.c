/*-------------------------------------------------------------------------
 *
 * fetch.c
 *	  Rows of the engine's tables, read by primary key without a statement.
 *
 * Whoever turns to a branch reads two or three rows by their keys.  As a
 * statement that is a join of as many index scans, and to set up and tear down
 * the plan's nodes costs several times what the scans do; so they are read as
 * the server reads its catalogs.  So is the workflow that is to be started.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "engine/fetch.h"

#define MAX_KEYS 3

static Oid
find_relation(const char *name)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("expense_flow", false));

	if (!OidIsValid(relid))
		elog(ERROR, "the extension has no relation \"%s\"", name);
	return relid;
}

static HeapTuple
find_row(Relation relation, Oid index, ScanKey keys, int nkeys)
{
	SysScanDesc scan = systable_beginscan(relation, index, true, GetActiveSnapshot(), nkeys, keys);
	HeapTuple	tuple = systable_getnext(scan);

	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	return tuple;
}

/* The keys are those of the table's first columns. */
static bool
fetch(const EfFetchTable *table, ScanKey keys, int nkeys, MemoryContext context, EfRow *row)
{
	Relation	relation = table_open(find_relation(table->name), AccessShareLock);

	if (RelationGetNumberOfAttributes(relation) < table->ncolumns)
		elog(ERROR, "table \"%s\" has fewer columns than this version of the library knows", table->name);
	row->tuple = find_row(relation, find_relation(table->primary_key), keys, nkeys);
	row->desc = CreateTupleDescCopy(RelationGetDescr(relation));
	row->context = context;
	row->column = nkeys;
	row->is_null = false;
	table_close(relation, NoLock);
	return HeapTupleIsValid(row->tuple);
}

bool
ef_fetch_row(const EfFetchTable *table, const pg_uuid_t *run_id, const int32 *more_keys, int nmore_keys,
			 MemoryContext context, EfRow *row)
{
	ScanKeyData keys[MAX_KEYS];
	int			i;

	Assert(nmore_keys < MAX_KEYS);
	ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(run_id));
	for (i = 0; i < nmore_keys; i++)
		ScanKeyInit(&keys[i + 1], i + 2, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(more_keys[i]));
	return fetch(table, keys, nmore_keys + 1, context, row);
}

bool
ef_fetch_named(const EfFetchTable *table, const char *name, MemoryContext context, EfRow *row)
{
	ScanKeyData key;

	/* ScanKeyInit compares with collation "C", which is the column's. */
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_TEXTEQ, CStringGetTextDatum(name));
	return fetch(table, &key, 1, context, row);
}
