/*-------------------------------------------------------------------------
 *
 * store.c
 *	  The engine's tables: every statement on them.
 *
 * Where a row is to be found by three columns, the third of which comes from
 * another row, a subquery keeps the planner from taking only the first two, the
 * constants, for the index and filtering the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/sequence.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "engine/fetch.h"
#include "engine/history.h"
#include "engine/insert.h"
#include "engine/rights.h"
#include "engine/saga.h"
#include "engine/statement.h"
#include "engine/hold.h"
#include "engine/store.h"
#include "errcodes.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "
#define LE " OPERATOR(pg_catalog.<=) "
#define GT " OPERATOR(pg_catalog.>) "

/*
 * A request to cancel may have come since the branch was loaded: whoever updates its row hears of it, and a branch
 * that comes to rest stays due, unless it waits for other branches (J) or compensations (K).
 */
#define RETURNING_CANCEL " RETURNING canceled, cancel_reason, due_at"
#define DUE_AT "CASE WHEN canceled" EQ "'R' AND $7" NE "'J' AND $7" NE "'K' THEN least($10, due_at) ELSE $10 END"

typedef enum StatementId
{
	RUN_INPUT,
	INSERT_RUN,
	INSERT_BRANCH,
	UPDATE_BRANCH_STEP,
	UPDATE_BRANCH,
	UPDATE_BRANCH_VARIABLES,
	DELETE_BRANCH,
	DELETE_MAIN_BRANCH,
	INSERT_CHILDREN,
	INSERT_FIRST_TRANSITIONS,
	LOAD_ITEM,
	JOIN_CHILDREN,
	DELETE_CHILDREN,
	DELETE_DONE_CHILDREN,
	END_CHILDREN,
	CHANGE_JOIN,
	MARK_DONE,
	RELEASE_CHILD,
	INSERT_TRANSITION,
	INSERT_CLOSED_RUN,
	FIND_OPEN_RUN,
	FIND_RUN,
	FIND_CLOSED_RUN,
	DUE_BRANCHES,
	DUE_BRANCHES_OF_ROLE,
	DUE_BRANCHES_OF_RUN,
	MESSAGED_BRANCHES,
	UPDATE_BRANCH_CANCELED,
	LOAD_CANCEL,
	CANCEL_MAIN_BRANCH,
	CANCEL_CHILDREN,
	INSERT_MESSAGE,
	AWAITING_BRANCHES,
	FIRST_MESSAGE,
	RECEIVE_MESSAGE,
	HAS_MESSAGE,
	DELETE_MESSAGES,
	INSERT_REQUEST,
	FIND_REQUEST,
	FIND_START_REQUEST,
	ANSWER_REQUEST,
	ANSWER_START_REQUEST,
	STATEMENT_COUNT
} StatementId;

static EfStatement statements[STATEMENT_COUNT] = {
	[RUN_INPUT] = {
		"SELECT input FROM expense_flow.run WHERE run_id" EQ "$1",
		1, {UUIDOID}
	},
	[INSERT_RUN] = {
		"INSERT INTO expense_flow.run (run_id, version_id, owner, started_at, deadline, starter, workflow_id, input,"
		" parent_run_id, parent_branch_id, close_policy)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		11, {UUIDOID, INT4OID, REGROLEOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, TEXTOID, JSONBOID, UUIDOID,
		INT4OID, CHAROID}
	},
	[INSERT_BRANCH] = {
		"INSERT INTO expense_flow.branch"
		" (run_id, branch_id, parent_id, item, step, data_step, status, retry_count, retrier_counts, due_at, entered_at,"
		" state, workflow_id, context, variables, pending)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"
		" ON CONFLICT (workflow_id) WHERE workflow_id IS NOT NULL DO NOTHING",
		16, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, INT4OID, CHAROID, INT2OID, INT2ARRAYOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, INT4OID}
	},
	[UPDATE_BRANCH_STEP] = {
		"UPDATE expense_flow.branch SET step = $4, data_step = $5, state = $6"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3" RETURNING_CANCEL,
		6, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID}
	},
	[UPDATE_BRANCH] = {
		"UPDATE expense_flow.branch SET step = $4, data_step = $5, state = $6, status = $7, retry_count = $8,"
		" retrier_counts = $9, due_at = " DUE_AT ", entered_at = $11, pending = $12, context = $13, awaits = $14,"
		" timeout_at = $15"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3" RETURNING_CANCEL,
		15, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, CHAROID, INT2OID, INT2ARRAYOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, INT4OID, JSONBOID, TEXTARRAYOID, TIMESTAMPTZOID}
	},
	[UPDATE_BRANCH_VARIABLES] = {
		"UPDATE expense_flow.branch SET step = $4, data_step = $5, state = $6, status = $7, retry_count = $8,"
		" retrier_counts = $9, due_at = " DUE_AT ", entered_at = $11, pending = $12, context = $13, awaits = $14,"
		" timeout_at = $15, variables = $16"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3" RETURNING_CANCEL,
		16, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, TEXTOID, CHAROID, INT2OID, INT2ARRAYOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, INT4OID, JSONBOID, TEXTARRAYOID, TIMESTAMPTZOID, JSONBOID}
	},
	[DELETE_BRANCH] = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3",
		3, {UUIDOID, INT4OID, INT4OID}
	},
	[DELETE_MAIN_BRANCH] = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "0 RETURNING step, variables",
		1, {UUIDOID}
	},
	[INSERT_CHILDREN] = {
		"INSERT INTO expense_flow.branch"
		" (run_id, branch_id, parent_id, item, step, data_step, status, due_at, state, variables)"
		" SELECT $1, c.branch_id, $2, c.item, $3, $3, $4, CASE WHEN c.item OPERATOR(pg_catalog.<) $5 THEN $6 END,"
		" c.state, $7 FROM ROWS FROM (pg_catalog.unnest($8), pg_catalog.unnest($9), pg_catalog.unnest($10))"
		" AS c(branch_id, item, state)",
		10, {UUIDOID, INT4OID, INT4OID, CHAROID, INT4OID, TIMESTAMPTZOID, JSONBOID, INT4ARRAYOID, INT4ARRAYOID,
		TEXTARRAYOID}
	},
	[INSERT_FIRST_TRANSITIONS] = {
		"INSERT INTO expense_flow.transition (run_id, step, branch_id, began_at, at, events, output, details)"
		" SELECT $1, $2, c.branch_id, $3, $3, '', c.output, c.details"
		" FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6))"
		" AS c(branch_id, output, details)",
		6, {UUIDOID, INT4OID, TIMESTAMPTZOID, INT4ARRAYOID, JSONBARRAYOID, JSONBARRAYOID}
	},
	[LOAD_ITEM] = {
		"SELECT i.parent_id, i.item, t.output, t.details"
		" FROM (SELECT b.run_id, b.branch_id, b.parent_id, b.item, (SELECT p.step FROM expense_flow.branch p"
		" WHERE p.run_id" EQ "b.run_id AND p.branch_id" EQ "b.parent_id) AS step"
		" FROM expense_flow.branch b WHERE b.run_id" EQ "$1 AND b.branch_id" EQ "$2 OFFSET 0) i"
		" JOIN expense_flow.transition t ON t.run_id" EQ "i.run_id"
		" AND t.step" EQ "(i.step OPERATOR(pg_catalog.+) 1) AND t.branch_id" EQ "i.branch_id",
		2, {UUIDOID, INT4OID}
	},
	[JOIN_CHILDREN] = {
		"SELECT b.item, b.step, t.output"
		" FROM expense_flow.branch b JOIN expense_flow.transition t ON t.run_id" EQ "b.run_id"
		" AND t.step" EQ "b.data_step AND t.branch_id" EQ "b.branch_id"
		" WHERE b.run_id" EQ "$1 AND b.parent_id" EQ "$2 AND b.status" EQ "$3 AND b.item" GT "$4"
		" ORDER BY b.item LIMIT $5",
		5, {UUIDOID, INT4OID, CHAROID, INT4OID, INT4OID}
	},
	[DELETE_CHILDREN] = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND parent_id" EQ "ANY ($2) RETURNING branch_id",
		2, {UUIDOID, INT4ARRAYOID}
	},
	[DELETE_DONE_CHILDREN] = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND parent_id" EQ "$2 AND status" EQ "$3",
		3, {UUIDOID, INT4OID, CHAROID}
	},
	[END_CHILDREN] = {
		"UPDATE expense_flow.branch SET pending = pending OPERATOR(pg_catalog.-) $4,"
		" due_at = CASE WHEN pending" EQ "$4 THEN $3 END"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND pending OPERATOR(pg_catalog.>=) $4 RETURNING pending, context",
		4, {UUIDOID, INT4OID, TIMESTAMPTZOID, INT4OID}
	},
	[CHANGE_JOIN] = {
		"UPDATE expense_flow.branch SET context = $3, pending = $4, due_at = $5"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		5, {UUIDOID, INT4OID, JSONBOID, INT4OID, TIMESTAMPTZOID}
	},
	[MARK_DONE] = {
		"UPDATE expense_flow.branch SET step = $4, data_step = $5, status = $6, due_at = NULL"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND step" EQ "$3",
		6, {UUIDOID, INT4OID, INT4OID, INT4OID, INT4OID, CHAROID}
	},
	[RELEASE_CHILD] = {
		"UPDATE expense_flow.branch SET due_at = $4, step = $5"
		" WHERE run_id" EQ "$1 AND parent_id" EQ "$2 AND item" EQ "$3 RETURNING branch_id",
		5, {UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, INT4OID}
	},
	[INSERT_TRANSITION] = {
		"INSERT INTO expense_flow.transition"
		" (run_id, step, branch_id, began_at, at, events, state, output, details)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		9, {UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID}
	},
	[INSERT_CLOSED_RUN] = {
		"INSERT INTO expense_flow.closed_run (run_id, status, closed_at, step, error, cause, variables)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		7, {UUIDOID, CHAROID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, JSONBOID}
	},
	[FIND_OPEN_RUN] = {
		"SELECT r.run_id, r.owner::pg_catalog.oid, r.starter::pg_catalog.oid"
		" FROM expense_flow.branch b JOIN expense_flow.run r ON r.run_id" EQ "b.run_id"
		" WHERE b.workflow_id" EQ "$1",
		1, {TEXTOID}
	},
	[FIND_RUN] = {
		"SELECT r.owner::pg_catalog.oid, r.starter::pg_catalog.oid, EXISTS (SELECT FROM expense_flow.branch b"
		" WHERE b.run_id" EQ "r.run_id AND b.branch_id" EQ "0)"
		" FROM expense_flow.run r WHERE r.run_id" EQ "$1",
		1, {UUIDOID}
	},
	[FIND_CLOSED_RUN] = {
		"SELECT r.run_id, r.owner::pg_catalog.oid, r.starter::pg_catalog.oid, c.status"
		" FROM expense_flow.run r JOIN expense_flow.closed_run c ON c.run_id" EQ "r.run_id"
		" WHERE r.workflow_id" EQ "$1 ORDER BY r.started_at DESC LIMIT 1",
		1, {TEXTOID}
	},
	[DUE_BRANCHES] = {
		"SELECT run_id, branch_id, due_at FROM expense_flow.branch WHERE due_at OPERATOR(pg_catalog.>=) $1"
		" AND run_id" GT EF_HELD_THROUGH
		" ORDER BY due_at LIMIT $2",
		2, {TIMESTAMPTZOID, INT8OID}
	},
	[DUE_BRANCHES_OF_ROLE] = {
		"SELECT b.run_id, b.branch_id, b.due_at"
		" FROM expense_flow.branch b JOIN expense_flow.run r ON r.run_id" EQ "b.run_id"
		" WHERE b.due_at IS NOT NULL AND b.due_at" LE "$2 AND"
		" (pg_catalog.pg_has_role($1, r.owner, 'USAGE') OR pg_catalog.pg_has_role($1, r.starter, 'USAGE'))"
		" AND b.due_at OPERATOR(pg_catalog.>=) $3 AND b.run_id" GT EF_HELD_THROUGH
		" AND (b.due_at, b.run_id, b.branch_id)" GT "($3, $4, $5)"
		" ORDER BY b.due_at, b.run_id, b.branch_id LIMIT $6",
		6, {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, INT4OID, INT8OID}
	},
	[DUE_BRANCHES_OF_RUN] = {
		"SELECT run_id, branch_id, due_at FROM expense_flow.branch WHERE run_id" EQ "$1 AND due_at IS NOT NULL"
		" ORDER BY due_at, branch_id LIMIT $2",
		2, {UUIDOID, INT4OID}
	},
	[MESSAGED_BRANCHES] = {
		"SELECT DISTINCT b.run_id, b.branch_id, $2"
		" FROM expense_flow.message m JOIN expense_flow.branch b ON b.run_id" EQ "m.run_id"
		" JOIN expense_flow.run r ON r.run_id" EQ "b.run_id"
		" WHERE b.status" EQ "'M' AND m.address" EQ "ANY (b.awaits) AND (b.due_at IS NULL OR b.due_at" GT "$2)"
		" AND m.run_id" GT EF_HELD_THROUGH
		" AND ($1 IS NULL OR pg_catalog.pg_has_role($1, r.owner, 'USAGE')"
		" OR pg_catalog.pg_has_role($1, r.starter, 'USAGE'))"
		" LIMIT $3",
		3, {OIDOID, TIMESTAMPTZOID, INT8OID}
	},
	[UPDATE_BRANCH_CANCELED] = {
		"UPDATE expense_flow.branch SET canceled = $3 WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		3, {UUIDOID, INT4OID, CHAROID}
	},
	[LOAD_CANCEL] = {
		"SELECT canceled, cancel_reason FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		2, {UUIDOID, INT4OID}
	},
	[CANCEL_MAIN_BRANCH] = {
		"UPDATE expense_flow.branch SET canceled = 'R', cancel_reason = $2,"
		" due_at = CASE WHEN status" EQ "'J' THEN due_at ELSE least(due_at, $3) END"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "0 AND canceled IS NULL AND status" NE "'K' RETURNING branch_id, due_at",
		3, {UUIDOID, TEXTOID, TIMESTAMPTZOID}
	},
	[CANCEL_CHILDREN] = {
		"UPDATE expense_flow.branch SET canceled = 'R', cancel_reason = $2,"
		" due_at = CASE WHEN status" EQ "ANY ('{J,Q,D}') THEN due_at ELSE least(due_at, $3) END"
		" WHERE run_id" EQ "$1 AND parent_id" EQ "ANY ($4) AND canceled IS NULL RETURNING branch_id, due_at",
		4, {UUIDOID, TEXTOID, TIMESTAMPTZOID, INT4ARRAYOID}
	},
	[INSERT_MESSAGE] = {
		"INSERT INTO expense_flow.message (run_id, address, payload, sent_at) VALUES ($1, $2, $3, $4)",
		4, {UUIDOID, TEXTOID, JSONBOID, TIMESTAMPTZOID}
	},
	[AWAITING_BRANCHES] = {
		"SELECT branch_id FROM expense_flow.branch WHERE run_id" EQ "$1 AND status" EQ "'M' AND $2" EQ "ANY (awaits)",
		2, {UUIDOID, TEXTOID}
	},
	[FIRST_MESSAGE] = {
		"SELECT message_id FROM expense_flow.message WHERE run_id" EQ "$1 AND address" EQ "$2"
		" ORDER BY message_id LIMIT 1",
		2, {UUIDOID, TEXTOID}
	},
	[RECEIVE_MESSAGE] = {
		"DELETE FROM expense_flow.message WHERE run_id" EQ "$1 AND address" EQ "$2 AND message_id" EQ
		"(SELECT m.message_id FROM expense_flow.message m WHERE m.run_id" EQ "$1 AND m.address" EQ "$2"
		" ORDER BY m.message_id LIMIT 1 FOR UPDATE SKIP LOCKED)"
		" RETURNING message_id, payload, sent_at",
		2, {UUIDOID, TEXTOID}
	},
	[HAS_MESSAGE] = {
		"SELECT FROM expense_flow.message WHERE run_id" EQ "$1 AND address" EQ "ANY ($2) LIMIT 1",
		2, {UUIDOID, TEXTARRAYOID}
	},
	[INSERT_REQUEST] = {
		"INSERT INTO expense_flow.request (run_id, starter, request_id, digest) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		4, {UUIDOID, REGROLEOID, TEXTOID, INT8OID}
	},
	[FIND_REQUEST] = {
		"SELECT digest, answer FROM expense_flow.request WHERE run_id" EQ "$1 AND request_id" EQ "$2"
		" AND starter IS NULL",
		2, {UUIDOID, TEXTOID}
	},
	[FIND_START_REQUEST] = {
		"SELECT digest, run_id FROM expense_flow.request WHERE starter" EQ "$1 AND request_id" EQ "$2"
		" AND starter IS NOT NULL",
		2, {OIDOID, TEXTOID}
	},
	[ANSWER_REQUEST] = {
		"UPDATE expense_flow.request SET answer = $3 WHERE run_id" EQ "$1 AND request_id" EQ "$2 AND starter IS NULL",
		3, {UUIDOID, TEXTOID, JSONBOID}
	},
	[ANSWER_START_REQUEST] = {
		"UPDATE expense_flow.request SET run_id = $3 WHERE starter" EQ "$1 AND request_id" EQ "$2"
		" AND starter IS NOT NULL",
		3, {OIDOID, TEXTOID, UUIDOID}
	},
	[DELETE_MESSAGES] = {
		"DELETE FROM expense_flow.message m WHERE m.run_id" EQ "$1 AND m.message_id" EQ "ANY (ARRAY("
		"SELECT f.message_id FROM expense_flow.message f WHERE f.run_id" EQ "$1 FOR UPDATE SKIP LOCKED))",
		1, {UUIDOID}
	},
};


/* ---- branches ---- */

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

static Datum
counts_datum(const EfBranch *branch)
{
	Datum	   *elements;
	int			i;

	if (branch->retrier_counts == NULL)
		return (Datum) 0;
	elements = palloc(branch->state->nretriers * sizeof(Datum));
	for (i = 0; i < branch->state->nretriers; i++)
		elements[i] = Int16GetDatum(branch->retrier_counts[i]);
	return PointerGetDatum(construct_array(elements, branch->state->nretriers, INT2OID, 2, true, TYPALIGN_SHORT));
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

static Datum
texts_datum(char *const *texts, int count)
{
	Datum	   *elements = palloc(Max(count, 1) * sizeof(Datum));
	int			i;

	for (i = 0; i < count; i++)
		elements[i] = CStringGetTextDatum(texts[i]);
	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

static char **
next_texts(EfRow *row, int *count)
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
	branch->awaits = next_texts(row, &branch->nawaits);
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
ef_store_insert_branch(const EfBranch *branch)
{
	const char *workflow_id = branch->branch_id == 0 ? branch->run.workflow_id : NULL;
	EfArguments	args = {0};

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
		return ef_execute_alone(&statements[INSERT_BRANCH], &args) == 1;
	/* nothing to be in conflict with */
	ef_insert_row("branch", &statements[INSERT_BRANCH], &args);
	return true;
}

void
ef_branch_is_gone(void)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_BRANCH_GONE),
			 errmsg("the run was ended while this process was advancing it")));
}

/*
 * Delete the rows of branches that this one has joined.  Only now that its own row is locked: locks are taken from
 * the parent to its branches.
 */
static void
delete_done(const pg_uuid_t *run_id, int32 parent_id)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, parent_id);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_DONE), false);
	ef_execute_alone(&statements[DELETE_DONE_CHILDREN], &args);
}

static void
delete_joined(EfBranch *branch)
{
	if (branch->joined)
		delete_done(&branch->run.run_id, branch->branch_id);
	branch->joined = false;
}

static void
update_canceled(EfBranch *branch)
{
	EfArguments	args = {0};

	branch->cancel_delivered = false;
	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_arg(&args, CharGetDatum(branch->canceled), false);
	ef_execute_alone(&statements[UPDATE_BRANCH_CANCELED], &args);
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
	StatementId statement = UPDATE_BRANCH_STEP;
	EfArguments	args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_int(&args, branch->row_step);
	ef_add_int(&args, branch->step);
	ef_add_int(&args, branch->data_step);
	ef_add_text(&args, branch->state->name);
	if (rests || branch->rests || branch->variables_changed)
	{
		statement = UPDATE_BRANCH;
		ef_add_arg(&args, CharGetDatum(branch->status), false);
		ef_add_arg(&args, Int16GetDatum(branch->retry_count), false);
		ef_add_arg(&args, counts_datum(branch), branch->retrier_counts == NULL);
		ef_add_time(&args, branch->due_at);
		ef_add_arg(&args, TimestampTzGetDatum(branch->entered_at), !rests);
		ef_add_arg(&args, Int32GetDatum(branch->pending), branch->pending == 0);
		ef_add_jsonb(&args, branch->context);
		ef_add_arg(&args, awaits ? texts_datum(branch->awaits, branch->nawaits) : (Datum) 0, !awaits);
		ef_add_time(&args, awaits ? branch->timeout_at : DT_NOEND);
		if (branch->variables_changed)
		{
			statement = UPDATE_BRANCH_VARIABLES;
			ef_add_jsonb(&args, branch->variables);
		}
	}
	/* First, for the row's request to cancel would keep the branch due. */
	if (branch->cancel_delivered)
		update_canceled(branch);
	SPI_connect();
	if (ef_execute(&statements[statement], &args) != 1)
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
	EfArguments	args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_int(&args, branch->row_step);
	if (ef_execute_alone(&statements[DELETE_BRANCH], &args) != 1)
		ef_branch_is_gone();
	delete_joined(branch);
}

bool
ef_store_delete_main_branch(const pg_uuid_t *run_id, EfClosing *closing)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	found = ef_execute(&statements[DELETE_MAIN_BRANCH], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		closing->step = ef_next_int(&row);
		closing->variables = ef_next_jsonb(&row);
	}
	SPI_finish();
	return found;
}

/* ---- branches of a Parallel or Map ---- */

int32
ef_store_next_branch_id(void)
{
	Oid			namespace = get_namespace_oid("expense_flow", false);

	return (int32) nextval_internal(get_relname_relid("branch_id", namespace), false);
}

static Datum
ints_datum(const Datum *ints, int count)
{
	return PointerGetDatum(construct_array(unconstify(Datum *, ints), count, INT4OID, 4, true, TYPALIGN_INT));
}

static Datum
jsonbs_datum(Datum *values, bool *nulls, int count)
{
	int			lower_bound = 1;

	return PointerGetDatum(construct_md_array(values, nulls, 1, &count, &lower_bound, JSONBOID, -1, false,
											  TYPALIGN_INT));
}

static void
insert_first_transitions(const EfBranch *parent, const EfNewBranch *children, int count, Datum branch_ids,
						 TimestampTz now)
{
	EfArguments	args = {0};
	Datum	   *values = palloc(count * sizeof(Datum));
	bool	   *nulls = palloc(count * sizeof(bool));
	int			i;

	ef_add_uuid(&args, &parent->run.run_id);
	ef_add_int(&args, parent->step + 1);
	ef_add_time(&args, now);
	ef_add_arg(&args, branch_ids, false);
	for (i = 0; i < count; i++)
	{
		values[i] = PointerGetDatum(children[i].input);
		nulls[i] = false;
	}
	ef_add_arg(&args, jsonbs_datum(values, nulls, count), false);
	for (i = 0; i < count; i++)
	{
		values[i] = PointerGetDatum(children[i].details);
		nulls[i] = children[i].details == NULL;
	}
	ef_add_arg(&args, jsonbs_datum(values, nulls, count), false);
	ef_execute_alone(&statements[INSERT_FIRST_TRANSITIONS], &args);
}

void
ef_store_insert_children(const EfBranch *parent, const EfNewBranch *children, int count, int32 window,
						 TimestampTz now)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "new branches", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	EfArguments	args = {0};
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
	insert_first_transitions(parent, children, count, ints_datum(branch_ids, count), now);
	ef_add_uuid(&args, &parent->run.run_id);
	ef_add_int(&args, parent->branch_id);
	ef_add_int(&args, parent->step + 1);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_QUEUED), false);
	ef_add_int(&args, window);
	ef_add_time(&args, now);
	ef_add_jsonb(&args, parent->variables);
	ef_add_arg(&args, ints_datum(branch_ids, count), false);
	ef_add_arg(&args, ints_datum(items, count), false);
	ef_add_arg(&args, texts_datum(states, count), false);
	ef_execute_alone(&statements[INSERT_CHILDREN], &args);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

bool
ef_store_load_item(const pg_uuid_t *run_id, int32 branch_id, EfItem *item)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, branch_id);
	SPI_connect();
	found = ef_execute(&statements[LOAD_ITEM], &args) == 1;
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

/*
 * Level by level, since locks are taken from the parent to its branches.  A branch that is just starting others
 * keeps its own row locked until they are visible: the statement waits for it, and the next one sees them.
 */
void
ef_store_delete_children(const pg_uuid_t *run_id, int32 parent_id)
{
	Datum	   *parents = palloc(sizeof(Datum));
	uint64		count = 1;

	parents[0] = Int32GetDatum(parent_id);
	while (count > 0)
	{
		EfArguments	args = {0};
		MemoryContext context = CurrentMemoryContext;
		uint64		i;

		CHECK_FOR_INTERRUPTS();
		ef_add_uuid(&args, run_id);
		ef_add_arg(&args, PointerGetDatum(construct_array(parents, count, INT4OID, 4, true, TYPALIGN_INT)), false);
		SPI_connect();
		count = ef_execute(&statements[DELETE_CHILDREN], &args);
		parents = MemoryContextAlloc(context, (count + 1) * sizeof(Datum));
		for (i = 0; i < count; i++)
		{
			EfRow		row = ef_row(i, context);

			parents[i] = ef_next_value(&row);
		}
		SPI_finish();
	}
}

int
ef_store_join_children(EfBranch *parent, int32 after, int64 *bytes, EfOutput *outputs, int max)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	int			count;
	int			i;

	ef_add_uuid(&args, &parent->run.run_id);
	ef_add_int(&args, parent->branch_id);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_DONE), false);
	ef_add_int(&args, after);
	ef_add_int(&args, max);
	SPI_connect();
	count = (int) ef_execute(&statements[JOIN_CHILDREN], &args);
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

int32
ef_store_end_children(const EfBranch *child, int count, TimestampTz now, Jsonb **join)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	int32		pending;
	EfRow		row;

	ef_add_uuid(&args, &child->run.run_id);
	ef_add_int(&args, child->parent_id);
	ef_add_time(&args, now);
	ef_add_int(&args, count);
	SPI_connect();
	if (ef_execute(&statements[END_CHILDREN], &args) != 1)
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
	EfArguments	args = {0};

	ef_add_uuid(&args, &child->run.run_id);
	ef_add_int(&args, child->parent_id);
	ef_add_jsonb(&args, join);
	ef_add_int(&args, pending);
	ef_add_time(&args, due_at);
	if (ef_execute_alone(&statements[CHANGE_JOIN], &args) != 1)
		ef_branch_is_gone();
}

/* One by one: whatever the planner makes of a whole set of them, it is not always the primary key. */
void
ef_store_mark_done(const EfBranch *child, const EfEndedBranch *ended, int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		EfArguments	args = {0};

		ef_add_uuid(&args, &child->run.run_id);
		ef_add_int(&args, ended[i].branch_id);
		ef_add_int(&args, ended[i].row_step);
		ef_add_int(&args, ended[i].step);
		ef_add_int(&args, ended[i].data_step);
		ef_add_arg(&args, CharGetDatum(EF_BRANCH_DONE), false);
		if (ef_execute_alone(&statements[MARK_DONE], &args) != 1)
			ef_branch_is_gone();
		if (ended[i].joined)
			delete_done(&child->run.run_id, ended[i].branch_id);
	}
}

static void
release_child(const EfBranch *ended, int32 item, int32 step, TimestampTz now)
{
	EfArguments	args = {0};
	EfBranchKey key = {.run_id = ended->run.run_id};
	EfRow		row;

	ef_add_uuid(&args, &ended->run.run_id);
	ef_add_int(&args, ended->parent_id);
	ef_add_int(&args, item);
	ef_add_time(&args, now);
	ef_add_int(&args, step);
	SPI_connect();
	if (ef_execute(&statements[RELEASE_CHILD], &args) != 1)
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

/* ---- requests to cancel ---- */

bool
ef_store_load_cancel(EfBranch *branch)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	SPI_connect();
	found = ef_execute_latest(&statements[LOAD_CANCEL], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, branch->fixed);

		read_cancel(&row, branch);
	}
	SPI_finish();
	return found;
}

/* Announce the branches that a statement returned and that are due now; returns the numbers of all of them. */
static Datum *
announce_canceled(const pg_uuid_t *run_id, uint64 count, MemoryContext context)
{
	Datum	   *branch_ids = MemoryContextAlloc(context, (count + 1) * sizeof(Datum));
	EfBranchKey key = {.run_id = *run_id};
	uint64		i;

	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);
		Datum		due_at;

		branch_ids[i] = ef_next_value(&row);
		due_at = ef_next_value(&row);
		key.branch_id = DatumGetInt32(branch_ids[i]);
		if (!row.is_null)
			ef_announce_due(&key, DatumGetTimestampTz(due_at));
	}
	return branch_ids;
}

bool
ef_store_cancel_main_branch(const pg_uuid_t *run_id, const char *reason)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, reason);
	ef_add_time(&args, ef_now());
	SPI_connect();
	found = ef_execute(&statements[CANCEL_MAIN_BRANCH], &args) == 1;
	(void) announce_canceled(run_id, found ? 1 : 0, CurrentMemoryContext);
	SPI_finish();
	return found;
}

/* As for deleting them: level by level, so that locks are taken from the parent to its branches. */
void
ef_store_cancel_children(const pg_uuid_t *run_id, int32 parent_id, const char *reason)
{
	MemoryContext context = CurrentMemoryContext;
	Datum	   *parents = palloc(sizeof(Datum));
	uint64		count = 1;

	parents[0] = Int32GetDatum(parent_id);
	while (count > 0)
	{
		EfArguments	args = {0};

		CHECK_FOR_INTERRUPTS();
		ef_add_uuid(&args, run_id);
		ef_add_text(&args, reason);
		ef_add_time(&args, ef_now());
		ef_add_arg(&args, PointerGetDatum(construct_array(parents, count, INT4OID, 4, true, TYPALIGN_INT)), false);
		SPI_connect();
		count = ef_execute(&statements[CANCEL_CHILDREN], &args);
		parents = announce_canceled(run_id, count, context);
		SPI_finish();
	}
}

/* ---- runs and their history ---- */

Jsonb *
ef_store_run_input(const pg_uuid_t *run_id)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	EfRow		row;
	Jsonb	   *input;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	if (ef_execute(&statements[RUN_INPUT], &args) != 1)
		ef_branch_is_gone();
	row = ef_row(0, context);
	input = ef_next_jsonb(&row);
	SPI_finish();
	return input;
}

void
ef_store_insert_run(const EfRun *run)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, &run->run_id);
	ef_add_int(&args, run->workflow->version_id);
	ef_add_arg(&args, ObjectIdGetDatum(run->owner), false);
	ef_add_time(&args, run->started_at);
	ef_add_time(&args, run->deadline);
	ef_add_arg(&args, ObjectIdGetDatum(run->starter), !OidIsValid(run->starter));
	ef_add_text(&args, run->workflow_id);
	ef_add_jsonb(&args, run->input);
	ef_add_arg(&args, UUIDPGetDatum(&run->parent_run_id), !run->has_parent);
	ef_add_arg(&args, Int32GetDatum(run->parent_branch_id), !run->has_parent || run->parent_branch_id < 0);
	ef_add_arg(&args, CharGetDatum(run->close_policy), !run->has_parent);
	ef_insert_row("run", &statements[INSERT_RUN], &args);
}

void
ef_store_insert_transition(const EfBranch *branch, const EfTransition *transition)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->step);
	ef_add_int(&args, branch->branch_id);
	ef_add_time(&args, transition->began_at);
	ef_add_time(&args, transition->at);
	ef_add_text(&args, transition->events);
	ef_add_text(&args, transition->state);
	ef_add_jsonb(&args, transition->output);
	ef_add_jsonb(&args, transition->details);
	ef_insert_row("transition", &statements[INSERT_TRANSITION], &args);
}

void
ef_store_insert_closed_run(const pg_uuid_t *run_id, const EfClosing *closing)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, CharGetDatum(closing->status), false);
	ef_add_time(&args, ef_now());
	ef_add_int(&args, closing->step);
	ef_add_text(&args, closing->error);
	ef_add_text(&args, closing->cause);
	ef_add_jsonb(&args, closing->variables);
	ef_insert_row("closed_run", &statements[INSERT_CLOSED_RUN], &args);
}

/* ---- messages ---- */

void
ef_store_insert_message(const pg_uuid_t *run_id, const char *address, Jsonb *payload, TimestampTz sent_at)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	ef_add_jsonb(&args, payload);
	ef_add_time(&args, sent_at);
	ef_execute_alone(&statements[INSERT_MESSAGE], &args);
}

int
ef_store_awaiting_branches(const pg_uuid_t *run_id, const char *address, EfBranchKey **keys)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	int			count;
	int			i;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	SPI_connect();
	count = (int) ef_execute_latest(&statements[AWAITING_BRANCHES], &args);
	*keys = MemoryContextAllocZero(context, Max(count, 1) * sizeof(EfBranchKey));
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);

		(*keys)[i].run_id = *run_id;
		(*keys)[i].branch_id = DatumGetInt32(ef_next_value(&row));
	}
	SPI_finish();
	return count;
}

bool
ef_store_first_message(const pg_uuid_t *run_id, const char *address, int64 *message_id)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	SPI_connect();
	found = ef_execute(&statements[FIRST_MESSAGE], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		*message_id = DatumGetInt64(ef_next_value(&row));
	}
	SPI_finish();
	return found;
}

bool
ef_store_receive_message(const pg_uuid_t *run_id, const char *address, EfMessage *message)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	message->address = pstrdup(address);
	SPI_connect();
	found = ef_execute(&statements[RECEIVE_MESSAGE], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		message->message_id = DatumGetInt64(ef_next_value(&row));
		message->payload = ef_next_jsonb(&row);
		message->sent_at = DatumGetTimestampTz(ef_next_value(&row));
	}
	SPI_finish();
	return found;
}

bool
ef_store_has_message(const pg_uuid_t *run_id, char *const *addresses, int naddresses)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, texts_datum(addresses, naddresses), false);
	SPI_connect();
	found = ef_execute_latest(&statements[HAS_MESSAGE], &args) > 0;
	SPI_finish();
	return found;
}

void
ef_store_delete_messages(const pg_uuid_t *run_id)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_execute_alone(&statements[DELETE_MESSAGES], &args);
}

/* ---- requests ---- */

bool
ef_store_insert_request(const pg_uuid_t *run_id, Oid starter, const char *request_id, int64 digest)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, ObjectIdGetDatum(starter), !OidIsValid(starter));
	ef_add_text(&args, request_id);
	ef_add_arg(&args, Int64GetDatum(digest), false);
	return ef_execute_alone(&statements[INSERT_REQUEST], &args) == 1;
}

bool
ef_store_find_request(const pg_uuid_t *run_id, const char *request_id, int64 *digest, Jsonb **answer)
{
	EfArguments	args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, request_id);
	SPI_connect();
	found = ef_execute_latest(&statements[FIND_REQUEST], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		*digest = DatumGetInt64(ef_next_value(&row));
		*answer = ef_next_jsonb(&row);
	}
	SPI_finish();
	return found;
}

bool
ef_store_find_start_request(Oid starter, const char *request_id, int64 *digest, pg_uuid_t *run_id)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_arg(&args, ObjectIdGetDatum(starter), false);
	ef_add_text(&args, request_id);
	SPI_connect();
	found = ef_execute_latest(&statements[FIND_START_REQUEST], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		*digest = DatumGetInt64(ef_next_value(&row));
		ef_next_uuid(&row, run_id);
	}
	SPI_finish();
	return found;
}

void
ef_store_answer_request(const pg_uuid_t *run_id, const char *request_id, Jsonb *answer)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, request_id);
	ef_add_jsonb(&args, answer);
	ef_execute_alone(&statements[ANSWER_REQUEST], &args);
}

void
ef_store_answer_start_request(Oid starter, const char *request_id, const pg_uuid_t *run_id)
{
	EfArguments	args = {0};

	ef_add_arg(&args, ObjectIdGetDatum(starter), false);
	ef_add_text(&args, request_id);
	ef_add_uuid(&args, run_id);
	ef_execute_alone(&statements[ANSWER_START_REQUEST], &args);
}

/* ---- finding ---- */

bool
ef_store_find_open_run(const char *workflow_id, pg_uuid_t *run_id, Oid *owner, Oid *starter)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_text(&args, workflow_id);
	SPI_connect();
	found = ef_execute(&statements[FIND_OPEN_RUN], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		ef_next_uuid(&row, run_id);
		*owner = ef_next_oid(&row);
		*starter = ef_next_oid(&row);
	}
	SPI_finish();
	return found;
}

bool
ef_store_run_is_open(const pg_uuid_t *run_id, Oid *owner, Oid *starter, bool *open)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	found = ef_execute(&statements[FIND_RUN], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		*owner = ef_next_oid(&row);
		*starter = ef_next_oid(&row);
		*open = DatumGetBool(ef_next_value(&row));
	}
	SPI_finish();
	return found;
}

bool
ef_store_find_closed_run(const char *workflow_id, pg_uuid_t *run_id, Oid *owner, Oid *starter, char *status)
{
	EfArguments	args = {0};
	bool		found;

	ef_add_text(&args, workflow_id);
	SPI_connect();
	found = ef_execute(&statements[FIND_CLOSED_RUN], &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		ef_next_uuid(&row, run_id);
		*owner = ef_next_oid(&row);
		*starter = ef_next_oid(&row);
		*status = DatumGetChar(ef_next_value(&row));
	}
	SPI_finish();
	return found;
}

static int
read_due_branches(StatementId id, EfArguments *args, Snapshot snapshot, EfDueBranch *branches)
{
	int			count;
	int			i;

	SPI_connect();
	count = (int) ef_execute_in(&statements[id], args, snapshot);
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, CurrentMemoryContext);

		ef_next_uuid(&row, &branches[i].key.run_id);
		branches[i].key.branch_id = DatumGetInt32(ef_next_value(&row));
		branches[i].due_at = DatumGetTimestampTz(ef_next_value(&row));
	}
	SPI_finish();
	return count;
}

int
ef_read_due_branches(TimestampTz from, EfDueBranch *branches, int max)
{
	EfArguments	args = {0};

	ef_add_arg(&args, TimestampTzGetDatum(from), false);
	ef_add_arg(&args, Int64GetDatum(max), false);
	return read_due_branches(DUE_BRANCHES, &args, InvalidSnapshot, branches);
}

int
ef_store_due_branches_of_run(const pg_uuid_t *run_id, EfDueBranch *branches, int max)
{
	EfArguments	args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, max);
	return read_due_branches(DUE_BRANCHES_OF_RUN, &args, InvalidSnapshot, branches);
}

int
ef_store_due_branches_of_role(Oid role, TimestampTz until, const EfDueBranch *after,
							  Snapshot snapshot, EfDueBranch *branches, int max)
{
	static const EfDueBranch first = {.key.branch_id = -1, .due_at = DT_NOBEGIN};
	EfArguments	args = {0};

	if (after == NULL)
		after = &first;
	ef_add_arg(&args, ObjectIdGetDatum(role), false);
	ef_add_arg(&args, TimestampTzGetDatum(until), false);
	ef_add_arg(&args, TimestampTzGetDatum(after->due_at), false);
	ef_add_uuid(&args, &after->key.run_id);
	ef_add_int(&args, after->key.branch_id);
	ef_add_arg(&args, Int64GetDatum(max), false);
	return read_due_branches(DUE_BRANCHES_OF_ROLE, &args, snapshot, branches);
}

int
ef_store_messaged_branches_of_role(Oid role, Snapshot snapshot, EfDueBranch *branches, int max)
{
	EfArguments	args = {0};

	ef_add_arg(&args, ObjectIdGetDatum(role), !OidIsValid(role));
	ef_add_time(&args, ef_now());
	ef_add_arg(&args, Int64GetDatum(max), false);
	return read_due_branches(MESSAGED_BRANCHES, &args, snapshot, branches);
}

int
ef_read_messaged_branches(EfDueBranch *branches, int max)
{
	return ef_store_messaged_branches_of_role(InvalidOid, InvalidSnapshot, branches, max);
}
