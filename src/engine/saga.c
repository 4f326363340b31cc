/*-------------------------------------------------------------------------
 *
 * saga.c
 *	  Compensations: undoing the steps of a run that does not succeed.
 *
 * A Task with Compensate registers a row of "compensation" in the transaction of
 * its step (or of the step before it, with "Register": "Before").  When the run
 * would close without success and has such rows, it does not close yet: its main
 * line comes to status K and waits, how the run is to close is noted in
 * "compensating_run", and each compensation is done by a branch of its own, a
 * child of the main line whose only state is the Compensate.  It is a Task like
 * any other: its attempts, retries, timeouts and its external work need nothing
 * new, its effects and its end commit together, and any worker advances it.  The
 * run's deadline and requests to cancel do not concern it.
 *
 * The one that ends starts the next one, unless all were started at once, and
 * the last one closes the run.  One that has failed for good stays in the table
 * as such; the run then waits for retry_compensation() or skip_compensation().
 *
 * The order is that of the logical clock, backwards.  Locks: the row of the main
 * line first, then the others, as everywhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "engine/arguments.h"
#include "engine/child.h"
#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/saga.h"
#include "engine/statement.h"
#include "engine/store.h"
#include "engine/task.h"

PG_FUNCTION_INFO_V1(ef_retry_compensation);
PG_FUNCTION_INFO_V1(ef_skip_compensation);

/* compensation.status */
#define REGISTERED	'P'
#define RUNNING		'R'
#define DONE		'D'
#define FAILED		'F'
#define SKIPPED		'S'

#define EQ " OPERATOR(pg_catalog.=) "

static EfStatement insert_statement = {
	"INSERT INTO expense_flow.compensation (run_id, step, branch_id, status, registered_at, state, input)"
	" VALUES ($1, $2, $3, $4, $5, $6, $7)",
	7, {UUIDOID, INT4OID, INT4OID, CHAROID, TIMESTAMPTZOID, TEXTOID, JSONBOID}
};

static EfStatement select_statement = {
	"SELECT step, branch_id, state, input FROM expense_flow.compensation"
	" WHERE run_id" EQ "$1 AND status" EQ "$2 ORDER BY run_id DESC, step DESC, branch_id DESC LIMIT $3",
	3, {UUIDOID, CHAROID, INT8OID}
};

static EfStatement start_statement = {
	"UPDATE expense_flow.compensation SET status = $4, compensated_by = $5, error = NULL, cause = NULL"
	" WHERE run_id" EQ "$1 AND step" EQ "$2 AND branch_id" EQ "$3",
	5, {UUIDOID, INT4OID, INT4OID, CHAROID, INT4OID}
};

static EfStatement end_statement = {
	"UPDATE expense_flow.compensation SET status = $3, compensated_by = NULL, error = $4, cause = $5"
	" WHERE run_id" EQ "$1 AND compensated_by" EQ "$2",
	5, {UUIDOID, INT4OID, CHAROID, TEXTOID, TEXTOID}
};

static EfStatement skip_statement = {
	"UPDATE expense_flow.compensation SET status = $3 WHERE run_id" EQ "$1 AND status" EQ "$2",
	3, {UUIDOID, CHAROID, CHAROID}
};

static EfStatement delete_statement = {
	"DELETE FROM expense_flow.compensation WHERE run_id" EQ "$1",
	1, {UUIDOID}
};

static EfStatement note_statement = {
	"INSERT INTO expense_flow.compensating_run (run_id, status, began_at, error, cause) VALUES ($1, $2, $3, $4, $5)",
	5, {UUIDOID, CHAROID, TIMESTAMPTZOID, TEXTOID, TEXTOID}
};

static EfStatement take_note_statement = {
	"DELETE FROM expense_flow.compensating_run WHERE run_id" EQ "$1 RETURNING status, error, cause",
	1, {UUIDOID}
};

/* The main line waits for so many more, or less, and its clock is at least at a step. */
static EfStatement change_pending_statement = {
	"UPDATE expense_flow.branch SET pending = coalesce(pending, 0) OPERATOR(pg_catalog.+) $2, step = greatest(step, $3)"
	" WHERE run_id" EQ "$1 AND branch_id" EQ "0 AND status" EQ "$4 RETURNING pending, step",
	4, {UUIDOID, INT4OID, INT4OID, CHAROID}
};

/* A compensation that is to be started. */
typedef struct Compensation
{
	int32		step;
	int32		branch_id;
	char	   *state;
	Jsonb	   *input;
} Compensation;

bool
ef_is_compensation(const EfBranch *branch)
{
	const AslState *owner = branch->state->scope->owner;

	return owner != NULL && owner->type == ASL_TASK;
}

/* ---- registering ---- */

bool
ef_register_compensation(EfVisit *visit, Jsonb *data, Jsonb *variables, AslError *error)
{
	EfArguments args = {0};
	AslEnv		env = visit->env;
	Jsonb	   *input;

	env.variables = variables;
	if (!asl_compensation_input(visit->state, data, &env, &input, error))
		return false;
	ef_add_uuid(&args, &visit->branch->run.run_id);
	ef_add_int(&args, visit->branch->step + 1);
	ef_add_int(&args, visit->branch->branch_id);
	ef_add_arg(&args, CharGetDatum(REGISTERED), false);
	ef_add_time(&args, ef_now());
	ef_add_text(&args, visit->state->name);
	ef_add_jsonb(&args, input);
	(void) ef_execute_alone(&insert_statement, &args);
	visit->registered = true;
	return true;
}

void
ef_forget_compensations(const EfRun *run)
{
	EfArguments args = {0};

	if (!run->workflow->machine->compensates)
		return;
	ef_add_uuid(&args, &run->run_id);
	(void) ef_execute_alone(&delete_statement, &args);
}

/* ---- starting them ---- */

/* Those of a status, the last registered first, at most max. */
static int
read_compensations(const pg_uuid_t *run_id, char status, int64 max, Compensation **compensations)
{
	MemoryContext context = CurrentMemoryContext;
	EfArguments args = {0};
	int			count;
	int			i;

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, CharGetDatum(status), false);
	ef_add_arg(&args, Int64GetDatum(max), false);
	SPI_connect();
	count = (int) ef_execute(&select_statement, &args);
	*compensations = MemoryContextAllocHuge(context, (count + 1) * sizeof(Compensation));
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);
		Compensation *compensation = &(*compensations)[i];

		compensation->step = ef_next_int(&row);
		compensation->branch_id = ef_next_int(&row);
		compensation->state = ef_next_text(&row);
		compensation->input = ef_next_jsonb(&row);
	}
	SPI_finish();
	return count;
}

static void
start_one(const EfBranch *any, const Compensation *compensation, int32 after_step, TimestampTz now)
{
	const AslState *owner = asl_find_state(any->run.workflow->machine, compensation->state);
	EfTransition transition = {.began_at = now, .at = now, .events = "", .output = compensation->input};
	EfBranch	branch = {.run = any->run, .parent_id = 0};
	EfArguments args = {0};
	EfBranchKey key;

	if (owner == NULL || owner->compensation == NULL)
		elog(ERROR, "state \"%s\" has no compensation", compensation->state);
	branch.branch_id = ef_store_next_branch_id();
	branch.step = branch.data_step = after_step + 1;
	branch.status = EF_BRANCH_READY;
	branch.due_at = now;
	branch.state = owner->compensation;
	ef_store_insert_transition(&branch, &transition);
	if (!ef_store_insert_branch(&branch))
		elog(ERROR, "could not start a compensation");
	ef_add_uuid(&args, &any->run.run_id);
	ef_add_int(&args, compensation->step);
	ef_add_int(&args, compensation->branch_id);
	ef_add_arg(&args, CharGetDatum(RUNNING), false);
	ef_add_int(&args, branch.branch_id);
	(void) ef_execute_alone(&start_statement, &args);
	if (!any->in_query)
	{
		ef_branch_key(&branch, &key);
		ef_announce_due(&key, now);
	}
}

static void
start_all(const EfBranch *any, const Compensation *compensations, int count, int32 after_step)
{
	TimestampTz now = ef_now();
	int			i;

	for (i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		start_one(any, &compensations[i], after_step, now);
	}
}

static int64
most_at_once(const EfBranch *branch)
{
	return branch->run.workflow->machine->compensates_at_once ? PG_INT32_MAX : 1;
}

/* ---- the main line ---- */

static void
note_end(const pg_uuid_t *run_id, const EfEnd *end)
{
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, CharGetDatum(end->status), false);
	ef_add_time(&args, ef_now());
	ef_add_text(&args, end->error);
	ef_add_text(&args, end->cause);
	(void) ef_execute_alone(&note_statement, &args);
}

static bool
take_note(const pg_uuid_t *run_id, EfEnd *end)
{
	MemoryContext context = CurrentMemoryContext;
	EfArguments args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	found = ef_execute(&take_note_statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		end->status = ef_next_char(&row);
		end->error = ef_next_text(&row);
		end->cause = ef_next_text(&row);
	}
	SPI_finish();
	return found;
}

void
ef_stop_compensating(const pg_uuid_t *run_id)
{
	EfEnd		end;

	(void) take_note(run_id, &end);
}

/* Locks the main line's row; false if the run does not compensate (any more). */
static bool
change_pending(const pg_uuid_t *run_id, int32 change, int32 *step, int32 *pending)
{
	EfArguments args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, change);
	ef_add_int(&args, *step);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_COMPENSATING), false);
	SPI_connect();
	found = ef_execute(&change_pending_statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		*pending = ef_next_int(&row);
		*step = ef_next_int(&row);
	}
	SPI_finish();
	return found;
}

/* The main line of a run that one of its other branches ends. */
static void
load_main_line(const EfBranch *branch, EfBranch *main)
{
	EfBranchKey key;

	memset(main, 0, sizeof(*main));
	ef_branch_key(branch, &key);
	key.branch_id = 0;
	ef_branch_create_contexts(main, CurrentMemoryContext);
	if (!ef_store_load_branch(&key, main))
		ef_branch_is_gone();
	main->in_query = branch->in_query;
	main->step = Max(main->step, branch->step);
}

/* Is its failure an error, which undoes everything: of run_workflow()?  A child's failure may be caught. */
static bool
is_undone(const EfBranch *branch)
{
	return branch->in_query && !branch->run.has_parent;
}

bool
ef_begin_compensating(EfBranch *branch, const EfEnd *end)
{
	Compensation *compensations;
	EfBranch	other;
	EfBranch   *main = branch;
	int			count;

	if (!branch->run.workflow->machine->compensates || end->status == EF_RUN_SUCCEEDED ||
		end->status == EF_RUN_TERMINATED || is_undone(branch))
		return false;
	count = read_compensations(&branch->run.run_id, REGISTERED, most_at_once(branch), &compensations);
	if (count == 0)
		return false;
	if (branch->parent_id != EF_NO_PARENT)
	{
		load_main_line(branch, &other);
		main = &other;
	}
	main->status = EF_BRANCH_COMPENSATING;
	main->due_at = DT_NOEND;
	main->pending = count;
	main->context = NULL;
	if (main->has_row)
	{
		ef_store_update_branch(main);
		ef_store_delete_children(&main->run.run_id, 0);
		ef_end_orphans(&main->run);
	}
	else if (!ef_store_insert_branch(main))
		elog(ERROR, "could not write the branch of a run");
	main->has_row = true;
	main->row_step = main->step;
	note_end(&main->run.run_id, end);
	start_all(main, compensations, count, main->step);
	return true;
}

/* ---- and back ---- */

/* All is done: close the run as it was to close. */
static void
close_run(const EfBranch *any, EfEnd *end)
{
	EfClosing	closing = {0};
	const EfRun *run = &any->run;

	if (!take_note(&run->run_id, end))
		elog(ERROR, "how the run is to close is not known");
	closing.status = end->status;
	closing.error = end->error;
	closing.cause = end->cause;
	if (!ef_store_delete_main_branch(&run->run_id, &closing))
		ef_branch_is_gone();
	if (run->workflow->receives)
	{
		ef_task_remove_of_run(&run->run_id);
		ef_delete_messages(&run->run_id);
	}
	ef_finish_closing(run, &closing, NULL);
}

/* Start what comes next; if there is nothing left, close the run and return true. */
static bool
go_on(const EfBranch *any, int32 step, int32 pending, EfEnd *end)
{
	const pg_uuid_t *run_id = &any->run.run_id;
	Compensation *compensations;

	if (pending > 0 || read_compensations(run_id, FAILED, 1, &compensations) > 0)
		return false;
	if (read_compensations(run_id, REGISTERED, 1, &compensations) > 0)
	{
		if (!change_pending(run_id, 1, &step, &pending))
			ef_branch_is_gone();
		start_all(any, compensations, 1, step);
		return false;
	}
	close_run(any, end);
	return true;
}

EfAdvanceResult
ef_end_compensation(EfBranch *branch, const AslError *failure, EfEnd *end)
{
	EfArguments args = {0};
	int32		step = branch->step;
	int32		pending;

	end->status = 0;
	if (!change_pending(&branch->run.run_id, -1, &step, &pending))
		ef_branch_is_gone();
	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	ef_add_arg(&args, CharGetDatum(failure ? FAILED : DONE), false);
	ef_add_text(&args, failure ? failure->name : NULL);
	ef_add_text(&args, failure ? failure->cause : NULL);
	if (ef_execute_alone(&end_statement, &args) != 1)
		elog(ERROR, "the compensation that has ended is missing");
	ef_store_delete_branch(branch);
	(void) go_on(branch, step, pending, end);
	return EF_ADVANCE_CLOSED;
}

/* ---- for operators ---- */

/* The main line of the compensating run of a workflow_id, locked, and its compensations that failed. */
static int
find_failed(FunctionCallInfo fcinfo, EfBranch *main, int32 *pending, Compensation **compensations)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	EfBranchKey key = {0};
	int			count = 0;

	if (!ef_find_run(workflow_id, &key.run_id))
		ef_run_is_closed(workflow_id);
	memset(main, 0, sizeof(*main));
	if (change_pending(&key.run_id, 0, &main->step, pending))
		count = read_compensations(&key.run_id, FAILED, PG_INT32_MAX, compensations);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no compensation of the run with workflow_id \"%s\" has failed", workflow_id)));
	ef_branch_create_contexts(main, CurrentMemoryContext);
	if (!ef_store_load_branch(&key, main))
		ef_branch_is_gone();
	return count;
}

/* retry_compensation(workflow_id text) returns integer */
Datum
ef_retry_compensation(PG_FUNCTION_ARGS)
{
	EfBranch	main;
	Compensation *compensations;
	int32		pending;
	int			count = find_failed(fcinfo, &main, &pending, &compensations);

	if (!change_pending(&main.run.run_id, count, &main.step, &pending))
		ef_branch_is_gone();
	start_all(&main, compensations, count, main.step);
	PG_RETURN_INT32(count);
}

/* skip_compensation(workflow_id text) returns integer */
Datum
ef_skip_compensation(PG_FUNCTION_ARGS)
{
	EfBranch	main;
	EfEnd		end;
	Compensation *compensations;
	EfArguments args = {0};
	int32		pending;
	int			count = find_failed(fcinfo, &main, &pending, &compensations);

	ef_add_uuid(&args, &main.run.run_id);
	ef_add_arg(&args, CharGetDatum(FAILED), false);
	ef_add_arg(&args, CharGetDatum(SKIPPED), false);
	(void) ef_execute_alone(&skip_statement, &args);
	(void) go_on(&main, main.step, pending, &end);
	PG_RETURN_INT32(count);
}
