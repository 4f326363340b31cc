/*-------------------------------------------------------------------------
 *
 * store_run.c
 *	  Runs in the tables: rows of theirs that stay, finding them, and what ends all
 *	  of their branches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"

#include "engine/insert.h"
#include "engine/statement.h"
#include "engine/store.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "

/* ---- runs and their history ---- */

Jsonb *
ef_store_run_input(const pg_uuid_t *run_id)
{
	static EfStatement statement = {
		"SELECT input FROM expense_flow.run WHERE run_id" EQ "$1",
		1, {UUIDOID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	EfRow		row;
	Jsonb	   *input;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	if (ef_execute(&statement, &args) != 1)
		ef_branch_is_gone();
	row = ef_row(0, context);
	input = ef_next_jsonb(&row);
	SPI_finish();
	return input;
}

void
ef_store_insert_run(const EfRun *run)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.run (run_id, version_id, owner, started_at, deadline, starter, workflow_id, input,"
		" parent_run_id, parent_branch_id, close_policy)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
		11, {UUIDOID, INT4OID, REGROLEOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, TEXTOID, JSONBOID, UUIDOID,
		INT4OID, CHAROID}
	};
	EfArguments args = {0};

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
	ef_insert_row("run", &statement, &args);
}

void
ef_store_insert_transition(const EfBranch *branch, const EfTransition *transition)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.transition"
		" (run_id, step, branch_id, began_at, at, events, state, output, details)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
		9, {UUIDOID, INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTOID, JSONBOID, JSONBOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->step);
	ef_add_int(&args, branch->branch_id);
	ef_add_time(&args, transition->began_at);
	ef_add_time(&args, transition->at);
	ef_add_text(&args, transition->events);
	ef_add_text(&args, transition->state);
	ef_add_jsonb(&args, transition->output);
	ef_add_jsonb(&args, transition->details);
	ef_insert_row("transition", &statement, &args);
}

void
ef_store_insert_closed_run(const pg_uuid_t *run_id, const EfClosing *closing)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.closed_run (run_id, status, closed_at, step, error, cause, variables)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		7, {UUIDOID, CHAROID, TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, JSONBOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, CharGetDatum(closing->status), false);
	ef_add_time(&args, ef_now());
	ef_add_int(&args, closing->step);
	ef_add_text(&args, closing->error);
	ef_add_text(&args, closing->cause);
	ef_add_jsonb(&args, closing->variables);
	ef_insert_row("closed_run", &statement, &args);
}

/* ---- finding ---- */

static bool
find_run(EfStatement *statement, EfArguments *args, EfFoundRun *run)
{
	bool		found;

	SPI_connect();
	found = ef_execute(statement, args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		ef_next_uuid(&row, &run->run_id);
		run->owner = ef_next_oid(&row);
		run->starter = ef_next_oid(&row);
		run->open = ef_next_bool(&row);
		run->status = ef_next_char(&row);
	}
	SPI_finish();
	return found;
}

bool
ef_store_find_open_run(const char *workflow_id, EfFoundRun *run)
{
	static EfStatement statement = {
		"SELECT r.run_id, r.owner::pg_catalog.oid, r.starter::pg_catalog.oid, true, NULL"
		" FROM expense_flow.branch b JOIN expense_flow.run r ON r.run_id" EQ "b.run_id"
		" WHERE b.workflow_id" EQ "$1",
		1, {TEXTOID}
	};
	EfArguments args = {0};

	ef_add_text(&args, workflow_id);
	return find_run(&statement, &args, run);
}

bool
ef_store_find_closed_run(const char *workflow_id, EfFoundRun *run)
{
	static EfStatement statement = {
		"SELECT r.run_id, r.owner::pg_catalog.oid, r.starter::pg_catalog.oid, false, c.status"
		" FROM expense_flow.run r JOIN expense_flow.closed_run c ON c.run_id" EQ "r.run_id"
		" WHERE r.workflow_id" EQ "$1 ORDER BY r.started_at DESC LIMIT 1",
		1, {TEXTOID}
	};
	EfArguments args = {0};

	ef_add_text(&args, workflow_id);
	return find_run(&statement, &args, run);
}

bool
ef_store_find_run(const pg_uuid_t *run_id, EfFoundRun *run)
{
	static EfStatement statement = {
		"SELECT r.run_id, r.owner::pg_catalog.oid, r.starter::pg_catalog.oid, EXISTS (SELECT FROM expense_flow.branch b"
		" WHERE b.run_id" EQ "r.run_id AND b.branch_id" EQ "0), NULL"
		" FROM expense_flow.run r WHERE r.run_id" EQ "$1",
		1, {UUIDOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	return find_run(&statement, &args, run);
}

/* ---- their branches: ending them, and asking them to cancel ---- */

bool
ef_store_delete_main_branch(const pg_uuid_t *run_id, EfClosing *closing)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "0 RETURNING step, variables",
		1, {UUIDOID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	found = ef_execute(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		closing->step = ef_next_int(&row);
		closing->variables = ef_next_jsonb(&row);
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
	static EfStatement statement = {
		"DELETE FROM expense_flow.branch WHERE run_id" EQ "$1 AND parent_id" EQ "ANY ($2) RETURNING branch_id",
		2, {UUIDOID, INT4ARRAYOID}
	};
	Datum	   *parents = palloc(sizeof(Datum));
	uint64		count = 1;

	parents[0] = Int32GetDatum(parent_id);
	while (count > 0)
	{
		EfArguments args = {0};
		MemoryContext context = CurrentMemoryContext;
		uint64		i;

		CHECK_FOR_INTERRUPTS();
		ef_add_uuid(&args, run_id);
		ef_add_array(&args, INT4OID, parents, NULL, count);
		SPI_connect();
		count = ef_execute(&statement, &args);
		parents = MemoryContextAlloc(context, (count + 1) * sizeof(Datum));
		for (i = 0; i < count; i++)
		{
			EfRow		row = ef_row(i, context);

			parents[i] = ef_next_value(&row);
		}
		SPI_finish();
	}
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
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET canceled = 'R', cancel_reason = $2,"
		" due_at = CASE WHEN status" EQ "'J' THEN due_at ELSE least(due_at, $3) END"
		" WHERE run_id" EQ "$1 AND branch_id" EQ "0 AND canceled IS NULL AND status" NE "'K' RETURNING branch_id, due_at",
		3, {UUIDOID, TEXTOID, TIMESTAMPTZOID}
	};
	EfArguments args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, reason);
	ef_add_time(&args, ef_now());
	SPI_connect();
	found = ef_execute(&statement, &args) == 1;
	(void) announce_canceled(run_id, found ? 1 : 0, CurrentMemoryContext);
	SPI_finish();
	return found;
}

/* As for deleting them: level by level, so that locks are taken from the parent to its branches. */
void
ef_store_cancel_children(const pg_uuid_t *run_id, int32 parent_id, const char *reason)
{
	static EfStatement statement = {
		"UPDATE expense_flow.branch SET canceled = 'R', cancel_reason = $2,"
		" due_at = CASE WHEN status" EQ "ANY ('{J,Q,D}') THEN due_at ELSE least(due_at, $3) END"
		" WHERE run_id" EQ "$1 AND parent_id" EQ "ANY ($4) AND canceled IS NULL RETURNING branch_id, due_at",
		4, {UUIDOID, TEXTOID, TIMESTAMPTZOID, INT4ARRAYOID}
	};
	MemoryContext context = CurrentMemoryContext;
	Datum	   *parents = palloc(sizeof(Datum));
	uint64		count = 1;

	parents[0] = Int32GetDatum(parent_id);
	while (count > 0)
	{
		EfArguments args = {0};

		CHECK_FOR_INTERRUPTS();
		ef_add_uuid(&args, run_id);
		ef_add_text(&args, reason);
		ef_add_time(&args, ef_now());
		ef_add_array(&args, INT4OID, parents, NULL, count);
		SPI_connect();
		count = ef_execute(&statement, &args);
		parents = announce_canceled(run_id, count, context);
		SPI_finish();
	}
}
