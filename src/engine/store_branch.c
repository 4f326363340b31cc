/*-------------------------------------------------------------------------
 *
 * store_branch.c
 *	  A branch in the tables: loading it, and bringing its row up to date.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "engine/fetch.h"
#include "engine/history.h"
#include "engine/insert.h"
#include "engine/saga.h"
#include "engine/statement.h"
#include "engine/store.h"
#include "errcodes.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "

/* ---- loading ---- */

static int16 *
next_counts(EfRow *row, int expected)
{
	Datum		value = ef_next_value(row);
	ArrayType  *array;
	int16	   *result;
	int			count;

	if (row->is_null)
		return NULL;
	array = DatumGetArrayTypeP(value);
	if (ARR_NDIM(array) != 1 || ARR_HASNULL(array) || ARR_ELEMTYPE(array) != INT2OID)
		elog(ERROR, "invalid counts of retries");
	count = ARR_DIMS(array)[0];
	result = MemoryContextAllocZero(row->context, Max(count, expected) * sizeof(int16));
	memcpy(result, ARR_DATA_PTR(array), count * sizeof(int16));
	return result;
}

static const AslState *
find_state(const EfBranch *branch, const char *name)
{
	const AslState *state = asl_find_state(branch->run.workflow->machine, name);

	if (state == NULL)
		elog(ERROR, "version %d of workflow \"%s\" has no state \"%s\"",
			 branch->run.workflow->version, branch->run.workflow->name, name);
	return state;
}

static void
read_cancel(EfRow *row, EfBranch *branch)
{
	Datum		value = ef_next_value(row);

	branch->canceled = row->is_null ? '\0' : DatumGetChar(value);
	branch->cancel_reason = ef_next_text(row);
}

/* Does a branch begin with the input of its run?  Then it is kept; else it is read when somebody asks for it. */
static bool
begins_with_input(EfRow branch_row, int32 branch_id)
{
	branch_row.column = 5;		/* what comes next is data_step */
	return branch_id == 0 && ef_next_int(&branch_row) == 0;
}

/* Fill a branch's run from its row. */
static void
read_run(EfRow *row, EfRun *run, bool with_input)
{
	Datum		value;

	run->workflow = ef_workflow_by_version(ef_next_int(row));
	if (run->workflow == NULL)
		elog(ERROR, "the workflow's version does not exist");
	run->owner = ef_next_oid(row);
	run->started_at = ef_next_time(row);
	run->deadline = ef_next_time(row);
	run->starter = ef_next_oid(row);
	run->workflow_id = ef_next_text(row);
	if (with_input)
		run->input = ef_next_jsonb(row);
	else
		row->column++;
	value = ef_next_value(row);
	run->has_parent = !row->is_null;
	if (run->has_parent)
		run->parent_run_id = *DatumGetUUIDP(value);
	value = ef_next_value(row);
	run->parent_branch_id = row->is_null ? -1 : DatumGetInt32(value);
}

/* Fill a branch from its row; its run is there. */
static void
read_branch(EfRow *row, EfBranch *branch)
{
	Datum		value;
	char		parked;
	int			counts_column;

	value = ef_next_value(row);
	branch->parent_id = row->is_null ? EF_NO_PARENT : DatumGetInt32(value);
	value = ef_next_value(row);
	branch->item = row->is_null ? 0 : DatumGetInt32(value);
	branch->step = branch->row_step = ef_next_int(row);
	branch->data_step = ef_next_int(row);
	branch->status = ef_next_char(row);
	branch->retry_count = DatumGetInt16(ef_next_value(row));
	counts_column = row->column++;	/* needs the state */
	branch->due_at = ef_next_time(row);
	value = ef_next_value(row);
	branch->entered_at = row->is_null ? 0 : DatumGetTimestampTz(value);
	branch->state = find_state(branch, ef_next_text(row));
	row->column++;				/* the workflow_id, which is the run's */
	branch->context = ef_next_jsonb(row);
	branch->variables = ef_next_jsonb(row);
	value = ef_next_value(row);
	branch->pending = row->is_null ? 0 : DatumGetInt32(value);
	branch->awaits = ef_next_texts(row, &branch->nawaits);
	branch->timeout_at = ef_next_time(row);
	read_cancel(row, branch);

	/* A parked branch that is due all the same goes on as if it had not been. */
	parked = ef_next_char(row);
	branch->parked = branch->status == EF_BRANCH_PARKED;
	if (branch->parked)
		branch->status = parked;

	if (branch->status == EF_BRANCH_COMPENSATING || ef_is_compensation(branch))
		branch->run.deadline = DT_NOEND;
	row->column = counts_column;
	branch->retrier_counts = next_counts(row, branch->state->nretriers);
}

/* What the branch carries: the output of its step data_step, or the run's input. */
static void
load_data(EfBranch *branch)
{
	static const EfFetchTable transition = {"transition", "transition_pkey", 9};
	int32		more_keys[] = {branch->data_step, branch->branch_id};
	EfRow		row;

	branch->data = branch->run.input;
	if (branch->data_step > 0)
	{
		branch->data = NULL;
		if (ef_fetch_row(&transition, &branch->run.run_id, more_keys, lengthof(more_keys), branch->fixed, &row))
		{
			row.column = 7;		/* what comes next is the output */
			branch->data = ef_next_jsonb(&row);
		}
	}
	if (branch->data == NULL)
		elog(ERROR, "the data of step %d is missing", branch->data_step);
}

/*
 * A new snapshot, as a statement would take: it sees what was committed before the claim was had.  Values are read
 * in the order of the tables' columns.
 */
bool
ef_store_load_branch(const EfBranchKey *key, EfBranch *branch)
{
	static const EfFetchTable run_table = {"run", "run_pkey", 11};
	static const EfFetchTable branch_table = {"branch", "branch_pkey", 21};
	MemoryContext old = MemoryContextSwitchTo(branch->scratch);
	EfRow		run_row;
	EfRow		branch_row;
	bool		found;

	PushActiveSnapshot(GetTransactionSnapshot());
	found = ef_fetch_row(&branch_table, &key->run_id, &key->branch_id, 1, branch->fixed, &branch_row) &&
		ef_fetch_row(&run_table, &key->run_id, NULL, 0, branch->fixed, &run_row);
	if (found)
	{
		branch->run.run_id = key->run_id;
		branch->branch_id = key->branch_id;
		branch->has_row = true;
		read_run(&run_row, &branch->run, begins_with_input(branch_row, key->branch_id));
		read_branch(&branch_row, branch);
		load_data(branch);
		branch->rests = branch->parked || branch->status != EF_BRANCH_READY;
		branch->variables_changed = false;
		branch->joined = false;
	}
	PopActiveSnapshot();
	MemoryContextSwitchTo(old);
	return found;
}

bool
ef_store_load_cancel(EfBranch *branch)
{
	static EfStatement statement = {
		"SELECT canceled, cancel_reason FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};
	bool		found;

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	SPI_connect();
	found = ef_execute_latest(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, branch->fixed);

		read_cancel(&row, branch);
	}
	SPI_finish();
	return found;
}

/* ---- storing ---- */

void
ef_branch_is_gone(void)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_BRANCH_GONE),
			 errmsg("the run was ended while this process was advancing it")));
}

bool
ef_store_insert_branch(const EfBranch *branch)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.branch"
		" (run_id, branch_id, parent_id, item, step, data_step, status, retry_count, retrier_counts, due_at, entered_at,"
		" state, workflow_id, context, variables, pending)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
		" ON CONFLICT (workflow_id) WHERE workflow_id IS NOT NULL DO NOTHING",
		16, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, CHAROID, INT2OID, INT2ARRAYOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, INT4OID}
	};
	const char *workflow_id = branch->branch_id == 0 ? branch->run.workflow_id : NULL;
	EfArguments args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_arg(&args, Int32GetDatum(branch->parent_id), branch->parent_id == EF_NO_PARENT);
	ef_add_arg(&args, Int32GetDatum(branch->item), branch->parent_id == EF_NO_PARENT);
	ef_add_int(&args, branch->step);
	ef_add_int(&args, branch->data_step);
	ef_add_arg(&args, CharGetDatum(branch->status), false);
	ef_add_arg(&args, Int16GetDatum(0), false);
	ef_add_arg(&args, (Datum) 0, true);
	ef_add_time(&args, branch->due_at);
	ef_add_arg(&args, TimestampTzGetDatum(branch->entered_at), branch->entered_at == 0);
	ef_add_text(&args, branch->state->name);
	ef_add_text(&args, workflow_id);
	ef_add_jsonb(&args, branch->context);
	ef_add_jsonb(&args, branch->variables);
	ef_add_arg(&args, Int32GetDatum(branch->pending), branch->pending == 0);
	if (workflow_id != NULL)
		return ef_execute_alone(&statement, &args) == 1;
	/* nothing to be in conflict with */
	ef_insert_row("branch", &statement, &args);
	return true;
}

/* Only now that its own row is locked: locks are taken from the parent to its branches. */
static void
delete_joined(EfBranch *branch)
{
	if (branch->joined)
		ef_store_delete_done(&branch->run.run_id, branch->branch_id);
	branch->joined = false;
}

static void
update_canceled(EfBranch *branch)
{
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET canceled = $3 WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		3, {UUIDOID, INT4OID, CHAROID}
	};
	EfArguments args = {0};

	branch->cancel_delivered = false;
	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_arg(&args, CharGetDatum(branch->canceled), false);
	ef_execute_alone(&statement, &args);
}

/*
 * A request to cancel may have come since the branch was loaded: whoever updates its row hears of it, and a branch
 * that comes to rest stays due, unless it waits for other branches (J) or compensations (K).
 */
#define RETURNING_CANCEL " RETURNING canceled, cancel_reason, due_at"
#define DUE_AT "CASE WHEN canceled" EQ "'R' AND $7" NE "'J' AND $7" NE "'K' THEN least($10, due_at) ELSE $10 END"

static EfStatement update_step = {
	"UPDATE expense_flow.branch SET step = $4, data_step = $5, state = $6"
	" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3" RETURNING_CANCEL,
	6, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID}
};

/* Of a branch that rests, or rested. */
static EfStatement update_all = {
	"UPDATE expense_flow.branch SET step = $4, data_step = $5, state = $6, status = $7, retry_count = $8,"
	" retrier_counts = $9, due_at = " DUE_AT ", entered_at = $11, pending = $12, context = $13, awaits = $14,"
	" timeout_at = $15"
	" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3" RETURNING_CANCEL,
	15, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, CHAROID, INT2OID, INT2ARRAYOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, INT4OID, JSONBOID, TEXTARRAYOID, TIMESTAMPTZOID}
};

/* And its variables have changed. */
static EfStatement update_variables = {
	"UPDATE expense_flow.branch SET step = $4, data_step = $5, state = $6, status = $7, retry_count = $8,"
	" retrier_counts = $9, due_at = " DUE_AT ", entered_at = $11, pending = $12, context = $13, awaits = $14,"
	" timeout_at = $15, variables = $16"
	" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3" RETURNING_CANCEL,
	16, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, CHAROID, INT2OID, INT2ARRAYOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, INT4OID, JSONBOID, TEXTARRAYOID, TIMESTAMPTZOID, JSONBOID}
};

/* NULL: none. */
static void
add_counts(EfArguments *args, const EfBranch *branch)
{
	Datum	   *counts;
	int			i;

	if (branch->retrier_counts == NULL)
	{
		ef_add_arg(args, (Datum) 0, true);
		return;
	}
	counts = palloc(branch->state->nretriers * sizeof(Datum));
	for (i = 0; i < branch->state->nretriers; i++)
		counts[i] = Int16GetDatum(branch->retrier_counts[i]);
	ef_add_array(args, INT2OID, counts, NULL, branch->state->nretriers);
}

/* The branch's row has been updated: was it asked to cancel meanwhile? */
static void
notice_cancel(EfBranch *branch)
{
	EfRow		row = ef_row(0, branch->fixed);
	Datum		value;

	read_cancel(&row, branch);
	value = ef_next_value(&row);
	branch->due_at = row.is_null ? DT_NOEND : DatumGetTimestampTz(value);
}

void
ef_store_update_branch(EfBranch *branch)
{
	bool		rests = branch->status != EF_BRANCH_READY;
	bool		awaits = branch->status == EF_BRANCH_AWAITING;
	EfStatement *statement = &update_step;
	EfArguments args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_int(&args, branch->row_step);
	ef_add_int(&args, branch->step);
	ef_add_int(&args, branch->data_step);
	ef_add_text(&args, branch->state->name);
	if (rests || branch->rests || branch->variables_changed)
	{
		statement = &update_all;
		ef_add_arg(&args, CharGetDatum(branch->status), false);
		ef_add_arg(&args, Int16GetDatum(branch->retry_count), false);
		add_counts(&args, branch);
		ef_add_time(&args, branch->due_at);
		ef_add_arg(&args, TimestampTzGetDatum(branch->entered_at), !rests);
		ef_add_arg(&args, Int32GetDatum(branch->pending), branch->pending == 0);
		ef_add_jsonb(&args, branch->context);
		if (awaits)
			ef_add_texts(&args, branch->awaits, branch->nawaits);
		else
			ef_add_arg(&args, (Datum) 0, true);
		ef_add_time(&args, awaits ? branch->timeout_at : DT_NOEND);
		if (branch->variables_changed)
		{
			statement = &update_variables;
			ef_add_jsonb(&args, branch->variables);
		}
	}
	/* First, for the row's request to cancel would keep the branch due. */
	if (branch->cancel_delivered)
		update_canceled(branch);
	SPI_connect();
	if (ef_execute(statement, &args) != 1)
		ef_branch_is_gone();
	notice_cancel(branch);
	SPI_finish();
	branch->row_step = branch->step;
	branch->rests = rests;
	branch->variables_changed = false;
	delete_joined(branch);
}

void
ef_store_delete_branch(EfBranch *branch)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3",
		3, {UUIDOID, INT4OID, INT4OID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_int(&args, branch->row_step);
	if (ef_execute_alone(&statement, &args) != 1)
		ef_branch_is_gone();
	delete_joined(branch);
}
