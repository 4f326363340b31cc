/*-------------------------------------------------------------------------
 *
 * store_children.c
 *	  The branches of a Parallel or Map in the tables, as their parent sees them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "engine/history.h"
#include "engine/statement.h"
#include "engine/store.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define GT " OPERATOR(pg_catalog.>) "

/* ---- they begin ---- */

int32
ef_store_next_branch_id(void)
{
	Oid			namespace = get_namespace_oid("expense_flow", false);

	return (int32) nextval_internal(get_relname_relid("branch_id", namespace), false);
}

static void
insert_first_transitions(const EfBranch *parent, const EfNewBranch *children, int count, Datum *branch_ids,
						 TimestampTz now)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.transition (run_id, step, branch_id, began_at, at, events, output, details)"
		" SELECT $1, $2, c.branch_id, $3, $3, '', c.output, c.details"
		" FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))"
		" AS c(branch_id, output, details)",
		6, {UUIDOID, INT4OID, TIMESTAMPTZOID, INT4ARRAYOID, JSONBARRAYOID, JSONBARRAYOID}
	};
	EfArguments args = {0};
	Datum	   *values = palloc(count * sizeof(Datum));
	bool	   *nulls = palloc(count * sizeof(bool));
	int			i;

	ef_add_uuid(&args, &parent->run.run_id);
	ef_add_int(&args, parent->step + 1);
	ef_add_time(&args, now);
	ef_add_array(&args, INT4OID, branch_ids, NULL, count);
	for (i = 0; i < count; i++)
	{
		values[i] = PointerGetDatum(children[i].input);
		nulls[i] = false;
	}
	ef_add_array(&args, JSONBOID, values, nulls, count);
	for (i = 0; i < count; i++)
	{
		values[i] = PointerGetDatum(children[i].details);
		nulls[i] = children[i].details == NULL;
	}
	ef_add_array(&args, JSONBOID, values, nulls, count);
	ef_execute_alone(&statement, &args);
}

void
ef_store_insert_children(const EfBranch *parent, const EfNewBranch *children, int count, int32 window,
						 TimestampTz now)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.branch"
		" (run_id, branch_id, parent_id, item, step, data_step, status, due_at, state, variables)"
		" SELECT $1, c.branch_id, $2, c.item, $3, $3, $4, CASE WHEN c.item OPERATOR(pg_catalog.<) $5 THEN $6 END,"
		" c.state, $7 FROM ROWS FROM (pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10))"
		" AS c(branch_id, item, state)",
		10, {UUIDOID, INT4OID, INT4OID, CHAROID, INT4OID, TIMESTAMPTZOID, JSONBOID, INT4ARRAYOID, INT4ARRAYOID,
		TEXTARRAYOID}
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "new branches", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EfArguments args = {0};
	Datum	   *branch_ids = palloc(count * sizeof(Datum));
	Datum	   *items = palloc(count * sizeof(Datum));
	char	  **states = palloc(count * sizeof(char *));
	int			i;

	for (i = 0; i < count; i++)
	{
		branch_ids[i] = Int32GetDatum(children[i].branch_id);
		items[i] = Int32GetDatum(children[i].item);
		states[i] = unconstify(char *, children[i].state);
	}
	insert_first_transitions(parent, children, count, branch_ids, now);
	ef_add_uuid(&args, &parent->run.run_id);
	ef_add_int(&args, parent->branch_id);
	ef_add_int(&args, parent->step + 1);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_QUEUED), false);
	ef_add_int(&args, window);
	ef_add_time(&args, now);
	ef_add_jsonb(&args, parent->variables);
	ef_add_array(&args, INT4OID, branch_ids, NULL, count);
	ef_add_array(&args, INT4OID, items, NULL, count);
	ef_add_texts(&args, states, count);
	ef_execute_alone(&statement, &args);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * A row is to be found by three columns, the third of which comes from another row: the subquery keeps the planner
 * from taking only the first two, the constants, for the index and filtering the rest.
 */
bool
ef_store_load_item(const pg_uuid_t *run_id, int32 branch_id, EfItem *item)
{
	static EfStatement statement = {
		"SELECT i.parent_id, i.item, t.output, t.details"
		" FROM (SELECT b.run_id, b.branch_id, b.parent_id, b.item, (SELECT p.step FROM expense_flow.branch p"
		" WHERE p.run_id" EQ "b.run_id AND p.branch_id" EQ "b.parent_id) AS step"
		" FROM expense_flow.branch b WHERE b.run_id" EQ "$1 AND b.branch_id" EQ "$2 OFFSET 0) i"
		" JOIN expense_flow.transition t ON t.run_id" EQ "i.run_id"
		" AND t.step" EQ "(i.step OPERATOR(pg_catalog.+) 1) AND t.branch_id" EQ "i.branch_id",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, branch_id);
	SPI_connect();
	found = ef_execute(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		item->parent_id = DatumGetInt32(ef_next_value(&row));
		item->index = DatumGetInt32(ef_next_value(&row));
		item->input = ef_next_jsonb(&row);
		item->details = ef_next_jsonb(&row);
	}
	SPI_finish();
	return found;
}

static void
release_child(const EfBranch *ended, int32 item, int32 step, TimestampTz now)
{
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET due_at = $4, step = $5"
		" WHERE run_id" EQ "$1 AND parent_id" EQ "$2 AND item" EQ "$3 RETURNING branch_id",
		5, {UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, INT4OID}
	};
	EfArguments args = {0};
	EfBranchKey key = {.run_id = ended->run.run_id};
	EfRow		row;

	ef_add_uuid(&args, &ended->run.run_id);
	ef_add_int(&args, ended->parent_id);
	ef_add_int(&args, item);
	ef_add_time(&args, now);
	ef_add_int(&args, step);
	SPI_connect();
	if (ef_execute(&statement, &args) != 1)
		elog(ERROR, "branch %d of a Map is missing", item);
	row = ef_row(0, CurrentMemoryContext);
	key.branch_id = ef_next_int(&row);
	SPI_finish();
	if (!ended->in_query)
		ef_announce_due(&key, now);
}

void
ef_store_release_children(const EfBranch *ended, int32 first, int32 end, int32 step)
{
	TimestampTz now = ef_now();

	for (; first < end; first++)
		release_child(ended, first, step, now);
}

/* ---- they end ---- */

int32
ef_store_end_children(const EfBranch *child, int count, TimestampTz now, Jsonb **join)
{
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET pending = pending OPERATOR(pg_catalog.-) $4,"
		" due_at = CASE WHEN pending" EQ "$4 THEN $3 END"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND pending OPERATOR(pg_catalog.>=) $4 RETURNING pending, context",
		4, {UUIDOID, INT4OID, TIMESTAMPTZOID, INT4OID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	int32		pending;
	EfRow		row;

	ef_add_uuid(&args, &child->run.run_id);
	ef_add_int(&args, child->parent_id);
	ef_add_time(&args, now);
	ef_add_int(&args, count);
	SPI_connect();
	if (ef_execute(&statement, &args) != 1)
		ef_branch_is_gone();
	row = ef_row(0, context);
	pending = DatumGetInt32(ef_next_value(&row));
	*join = ef_next_jsonb(&row);
	SPI_finish();
	return pending;
}

void
ef_store_change_join(const EfBranch *child, Jsonb *join, int32 pending, TimestampTz due_at)
{
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET context = $3, pending = $4, due_at = $5"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		5, {UUIDOID, INT4OID, JSONBOID, INT4OID, TIMESTAMPTZOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, &child->run.run_id);
	ef_add_int(&args, child->parent_id);
	ef_add_jsonb(&args, join);
	ef_add_int(&args, pending);
	ef_add_time(&args, due_at);
	if (ef_execute_alone(&statement, &args) != 1)
		ef_branch_is_gone();
}

/* One by one: whatever the planner makes of a whole set of them, it is not always the primary key. */
void
ef_store_mark_done(const EfBranch *child, const EfEndedBranch *ended, int count)
{
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET step = $4, data_step = $5, status = $6, due_at = NULL"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3",
		6, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, CHAROID}
	};
	int			i;

	for (i = 0; i < count; i++)
	{
		EfArguments args = {0};

		ef_add_uuid(&args, &child->run.run_id);
		ef_add_int(&args, ended[i].branch_id);
		ef_add_int(&args, ended[i].row_step);
		ef_add_int(&args, ended[i].step);
		ef_add_int(&args, ended[i].data_step);
		ef_add_arg(&args, CharGetDatum(EF_BRANCH_DONE), false);
		if (ef_execute_alone(&statement, &args) != 1)
			ef_branch_is_gone();
		if (ended[i].joined)
			ef_store_delete_done(&child->run.run_id, ended[i].branch_id);
	}
}

int
ef_store_join_children(EfBranch *parent, int32 after, int64 *bytes, EfOutput *outputs, int max)
{
	static EfStatement statement = {
		"SELECT b.item, b.step, t.output"
		" FROM expense_flow.branch b JOIN expense_flow.transition t ON t.run_id" EQ "b.run_id"
		" AND t.step" EQ "b.data_step AND t.branch_id" EQ "b.branch_id"
		" WHERE b.run_id" EQ "$1 AND b.parent_id" EQ "$2 AND b.status" EQ "$3 AND b.item" GT "$4"
		" ORDER BY b.item LIMIT $5",
		5, {UUIDOID, INT4OID, CHAROID, INT4OID, INT4OID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	int			count;
	int			i;

	ef_add_uuid(&args, &parent->run.run_id);
	ef_add_int(&args, parent->branch_id);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_DONE), false);
	ef_add_int(&args, after);
	ef_add_int(&args, max);
	SPI_connect();
	count = (int) ef_execute(&statement, &args);
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);

		outputs[i].item = ef_next_int(&row);
		outputs[i].step = ef_next_int(&row);
		outputs[i].output = *bytes > 0 ? ef_next_jsonb(&row) : NULL;
		if (outputs[i].output)
			*bytes -= VARSIZE(outputs[i].output);
	}
	SPI_finish();
	parent->joined = true;
	return count;
}

void
ef_store_delete_done(const pg_uuid_t *run_id, int32 parent_id)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND parent_id" EQ "$2 AND status" EQ "$3",
		3, {UUIDOID, INT4OID, CHAROID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, parent_id);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_DONE), false);
	ef_execute_alone(&statement, &args);
}
