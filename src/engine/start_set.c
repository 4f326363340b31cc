/*-------------------------------------------------------------------------
 *
 * start_set.c
 *	  Starting many runs of a workflow together.
 *
 * What one run after the other needs again and again happens once: looking the
 * workflow up, and a statement for all main lines and one for all runs.  A run whose
 * workflow_id has an open run already gets no row by those; it is started by
 * itself then (ef_start_run), which does what the options say in this case.
 *
 * The main lines are inserted in the order of their workflow_ids, whatever that of
 * the set is: two sets that have some in common wait for each other, and not both.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "engine/announce.h"
#include "engine/branch.h"
#include "engine/engine.h"
#include "engine/run.h"
#include "engine/statement.h"

static EfStatement branches_statement = {
	"INSERT INTO expense_flow.branch (run_id, branch_id, step, data_step, status, due_at, state, workflow_id)"
	" SELECT s.run_id, 0, $1, $2, $3, $4, $5, s.workflow_id"
	" FROM ROWS FROM (pg_catalog.unnest($6), pg_catalog.unnest($7)) AS s (run_id, workflow_id)"
	" ORDER BY s.workflow_id COLLATE pg_catalog.\"C\", s.run_id"
	" ON CONFLICT (workflow_id) WHERE workflow_id IS NOT NULL DO NOTHING RETURNING run_id",
	7, {INT4OID, INT4OID, CHAROID, TIMESTAMPTZOID, TEXTOID, UUIDARRAYOID, TEXTARRAYOID}
};

/* Those without a run_id have no main line. */
static EfStatement runs_statement = {
	"INSERT INTO expense_flow.run (run_id, version_id, owner, started_at, deadline, starter, workflow_id, input)"
	" SELECT s.run_id, $1, $2, $3, $4, $5, s.workflow_id, s.input"
	" FROM ROWS FROM (pg_catalog.unnest($6), pg_catalog.unnest($7), pg_catalog.unnest($8)) AS s (run_id, workflow_id, input)"
	" WHERE s.run_id IS NOT NULL",
	8, {INT4OID, REGROLEOID, TIMESTAMPTZOID, TIMESTAMPTZOID, REGROLEOID, UUIDARRAYOID, TEXTARRAYOID, JSONBARRAYOID}
};

/* Those that are missing are null. */
static void
add_run_ids(EfArguments *args, const EfRunSet *set, bool *missing)
{
	Datum	   *values = palloc(sizeof(Datum) * set->count);
	int			i;

	for (i = 0; i < set->count; i++)
		values[i] = UUIDPGetDatum(&set->run_ids[i]);
	ef_add_array(args, UUIDOID, values, missing, set->count);
}

static void
add_workflow_ids(EfArguments *args, const EfRunSet *set)
{
	Datum	   *values = palloc(sizeof(Datum) * set->count);
	bool	   *nulls = palloc(set->count);
	int			i;

	for (i = 0; i < set->count; i++)
	{
		nulls[i] = set->workflow_ids == NULL || set->workflow_ids[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(set->workflow_ids[i]);
	}
	ef_add_array(args, TEXTOID, values, nulls, set->count);
}

static int
compare_run_ids(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(pg_uuid_t));
}

/* Insert the main lines; missing[i]: that one was not, since its workflow_id has an open run. */
static void
insert_branches(const EfBranch *branch, const EfRunSet *set, bool *missing)
{
	EfArguments args = {0};
	uint64		inserted;
	uint64		i;

	ef_add_int(&args, branch->step);
	ef_add_int(&args, branch->data_step);
	ef_add_arg(&args, CharGetDatum(branch->status), false);
	ef_add_time(&args, branch->due_at);
	ef_add_text(&args, branch->state->name);
	add_run_ids(&args, set, NULL);
	add_workflow_ids(&args, set);
	SPI_connect();
	inserted = ef_execute(&branches_statement, &args);
	memset(missing, inserted < set->count, set->count);
	for (i = 0; i < inserted && inserted < set->count; i++)
	{
		EfRow		row = ef_row(i, CurrentMemoryContext);
		pg_uuid_t	run_id = {0};
		pg_uuid_t  *found;

		/* Later run_ids are greater. */
		ef_next_uuid(&row, &run_id);
		found = bsearch(&run_id, set->run_ids, set->count, sizeof(pg_uuid_t), compare_run_ids);
		missing[found - set->run_ids] = false;
	}
	SPI_finish();
}

static void
insert_runs(const EfRun *run, const EfRunSet *set, bool *missing)
{
	EfArguments args = {0};

	ef_add_int(&args, run->workflow->version_id);
	ef_add_arg(&args, ObjectIdGetDatum(run->owner), false);
	ef_add_time(&args, run->started_at);
	ef_add_time(&args, run->deadline);
	ef_add_arg(&args, ObjectIdGetDatum(run->starter), !OidIsValid(run->starter));
	add_run_ids(&args, set, missing);
	add_workflow_ids(&args, set);
	ef_add_arg(&args, PointerGetDatum(set->input_array), false);
	ef_execute_alone(&runs_statement, &args);
}

/* ---- what is done for each run ---- */

typedef struct Position
{
	int			number;			/* of the run in the set, from 1 */
	int			count;
} Position;

static void
tell_position(void *arg)
{
	Position   *position = arg;

	errcontext("starting run %d of %d", position->number, position->count);
}

/* Start the runs that have no main line yet, and see to the past of those that have one. */
static void
finish(const EfStartOptions *options, EfRunSet *set, const bool *missing, TimestampTz due_at)
{
	Position	position = {.count = set->count};
	ErrorContextCallback callback;
	EfBranchKey key = {0};
	int			i;

	callback.callback = tell_position;
	callback.arg = &position;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	for (i = 0; i < set->count; i++)
	{
		char	   *workflow_id = set->workflow_ids ? set->workflow_ids[i] : NULL;

		position.number = i + 1;
		if (missing[i])
			ef_start_run(options, DatumGetJsonbP(set->inputs[i]), workflow_id, &set->run_ids[i]);
		else
		{
			if (workflow_id)
				ef_check_past(options, workflow_id);
			key.run_id = set->run_ids[i];
			ef_announce_due(&key, due_at);
		}
		CHECK_FOR_INTERRUPTS();
	}
	error_context_stack = callback.previous;
}

void
ef_start_runs(const EfStartOptions *options, EfRunSet *set)
{
	bool	   *missing = palloc0(Max(set->count, 1));
	EfBranch	branch;
	int			i;

	if (set->count == 0)
		return;
	ef_prepare_run(options, NULL, NULL, &branch);
	for (i = 0; i < set->count; i++)
		ef_new_run_id(&set->run_ids[i]);
	insert_branches(&branch, set, missing);
	insert_runs(&branch.run, set, missing);
	finish(options, set, missing, branch.due_at);
}
