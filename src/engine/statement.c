/*-------------------------------------------------------------------------
 *
 * statement.c
 *	  Statements of the engine on its own tables.
 *
 * All statements find their rows through an index, and must: the tables are
 * often nearly empty when a plan is made and large a minute later, and a plan
 * is kept until somebody analyzes the table.  So plans are generic, and made
 * with sequential scans off.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

#include "engine/rights.h"
#include "engine/statement.h"

/* ---- arguments ---- */

void
ef_add_arg(EfArguments *args, Datum value, bool is_null)
{
	Assert(args->count < EF_MAX_ARGS);
	args->values[args->count] = value;
	args->nulls[args->count] = is_null ? 'n' : ' ';
	args->count++;
}

void
ef_add_uuid(EfArguments *args, const pg_uuid_t *value)
{
	ef_add_arg(args, UUIDPGetDatum(value), false);
}

void
ef_add_int(EfArguments *args, int32 value)
{
	ef_add_arg(args, Int32GetDatum(value), false);
}

void
ef_add_seconds(EfArguments *args, double value)
{
	ef_add_arg(args, Float8GetDatum(value), value == 0);
}

void
ef_add_time(EfArguments *args, TimestampTz value)
{
	ef_add_arg(args, TimestampTzGetDatum(value), value == DT_NOEND);
}

void
ef_add_text(EfArguments *args, const char *value)
{
	ef_add_arg(args, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

void
ef_add_jsonb(EfArguments *args, const Jsonb *value)
{
	ef_add_arg(args, PointerGetDatum(value), value == NULL);
}

void
ef_add_bytes(EfArguments *args, const void *bytes, int length)
{
	bytea	   *value = palloc(VARHDRSZ + length);

	SET_VARSIZE(value, VARHDRSZ + length);
	memcpy(VARDATA(value), bytes, length);
	ef_add_arg(args, PointerGetDatum(value), false);
}

void
ef_add_array(EfArguments *args, Oid type, Datum *values, bool *nulls, int count)
{
	int			lower_bound = 1;
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	ef_add_arg(args, PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower_bound, type, length, by_value,
														align)), false);
}

void
ef_add_texts(EfArguments *args, char *const *texts, int count)
{
	Datum	   *values = palloc(count * sizeof(Datum));
	int			i;

	for (i = 0; i < count; i++)
		values[i] = CStringGetTextDatum(texts[i]);
	ef_add_array(args, TEXTOID, values, NULL, count);
}

/* ---- executing ---- */

static SPIPlanPtr
plan_of(EfStatement *statement)
{
	SPIPlanPtr	plan;

	if (statement->plan != NULL)
		return statement->plan;
	plan = SPI_prepare_cursor(statement->text, statement->nargs, statement->argtypes, CURSOR_OPT_GENERIC_PLAN);
	if (plan == NULL)
		elog(ERROR, "could not prepare a statement of the engine: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	statement->plan = plan;
	return plan;
}

/* Will the next execution make a plan? */
static bool
is_to_be_planned(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	return !source->is_valid || source->gplan == NULL || !source->gplan->is_valid;
}

static int
begin_planning(void)
{
	static const char *const off[] = {"enable_seqscan", "enable_bitmapscan", "enable_sort", "jit"};
	int			nest_level = NewGUCNestLevel();
	int			i;

	for (i = 0; i < lengthof(off); i++)
		(void) set_config_option(off[i], "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return nest_level;
}

uint64
ef_execute_in(EfStatement *statement, EfArguments *args, Snapshot snapshot)
{
	EfCaller	caller;
	SPIPlanPtr	plan;
	int			nest_level = 0;
	int			result;

	Assert(args->count == statement->nargs);
	ef_become_owner(&caller);
	plan = plan_of(statement);
	if (is_to_be_planned(plan))
		nest_level = begin_planning();
	result = SPI_execute_snapshot(plan, args->values, args->nulls, snapshot, InvalidSnapshot, false, true, 0);
	if (nest_level > 0)
		AtEOXact_GUC(false, nest_level);
	ef_become_caller(&caller);
	if (result < 0)
		elog(ERROR, "could not execute a statement of the engine: %s", SPI_result_code_string(result));
	return SPI_processed;
}

uint64
ef_execute(EfStatement *statement, EfArguments *args)
{
	return ef_execute_in(statement, args, InvalidSnapshot);
}

uint64
ef_execute_latest(EfStatement *statement, EfArguments *args)
{
	return ef_execute_in(statement, args, GetLatestSnapshot());
}

uint64
ef_execute_alone(EfStatement *statement, EfArguments *args)
{
	uint64		rows;

	SPI_connect();
	rows = ef_execute(statement, args);
	SPI_finish();
	return rows;
}

/* ---- reading rows ---- */

EfRow
ef_row(uint64 number, MemoryContext context)
{
	EfRow		row = {SPI_tuptable->vals[number], SPI_tuptable->tupdesc, context, 0, false};

	return row;
}

Datum
ef_next_value(EfRow *row)
{
	return SPI_getbinval(row->tuple, row->desc, ++row->column, &row->is_null);
}

Oid
ef_next_oid(EfRow *row)
{
	Datum		value = ef_next_value(row);

	return row->is_null ? InvalidOid : DatumGetObjectId(value);
}

int32
ef_next_int(EfRow *row)
{
	return DatumGetInt32(ef_next_value(row));
}

char
ef_next_char(EfRow *row)
{
	return DatumGetChar(ef_next_value(row));
}

bool
ef_next_bool(EfRow *row)
{
	return DatumGetBool(ef_next_value(row));
}

double
ef_next_seconds(EfRow *row)
{
	Datum		value = ef_next_value(row);

	return row->is_null ? 0 : DatumGetFloat8(value);
}

TimestampTz
ef_next_time(EfRow *row)
{
	Datum		value = ef_next_value(row);

	return row->is_null ? DT_NOEND : DatumGetTimestampTz(value);
}

void
ef_next_uuid(EfRow *row, pg_uuid_t *uuid)
{
	*uuid = *DatumGetUUIDP(ef_next_value(row));
}

char *
ef_next_text(EfRow *row)
{
	Datum		value = ef_next_value(row);
	char	   *result = NULL;

	if (!row->is_null)
	{
		MemoryContext old = MemoryContextSwitchTo(row->context);

		result = TextDatumGetCString(value);
		MemoryContextSwitchTo(old);
	}
	return result;
}

Jsonb *
ef_next_jsonb(EfRow *row)
{
	Datum		value = ef_next_value(row);
	Jsonb	   *result = NULL;

	if (!row->is_null)
	{
		MemoryContext old = MemoryContextSwitchTo(row->context);

		result = DatumGetJsonbPCopy(value);
		MemoryContextSwitchTo(old);
	}
	return result;
}

char **
ef_next_texts(EfRow *row, int *count)
{
	Datum		value = ef_next_value(row);
	MemoryContext old;
	Datum	   *elements;
	char	  **result;
	int			i;

	*count = 0;
	if (row->is_null)
		return NULL;
	old = MemoryContextSwitchTo(row->context);
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, count);
	result = palloc(Max(*count, 1) * sizeof(char *));
	for (i = 0; i < *count; i++)
		result[i] = TextDatumGetCString(elements[i]);
	MemoryContextSwitchTo(old);
	return result;
}
