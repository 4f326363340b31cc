/*-------------------------------------------------------------------------
 *
 * park.c
 *	  Branches that are parked: nobody advances them until somebody says so.
 *
 * A branch is parked when it crashes the process that advances it again and
 * again (src/runtime/crash.c), or fails again and again with an error that is
 * the engine's, not an activity's (src/runtime/stuck.c).  It keeps its row:
 * status P, and in "parked" the status that it comes back to.  It is due at the
 * run's deadline only, so the run still times out (unless the branch cannot even
 * be loaded); a request to cancel makes it due as any other branch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "engine/arguments.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/request.h"
#include "engine/statement.h"
#include "engine/store.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_resume_workflow);

#define EQ " OPERATOR(pg_catalog.=) "

/*
 * Nobody has gone on with it since step $3 (null: whatever its step is), and if it was asked to cancel since it was
 * loaded, it stays due.  It may be parked already, and due all the same.
 */
static EfStatement park_statement = {
	"UPDATE expense_flow.branch SET status = $4, parked = CASE WHEN status" EQ "$4 THEN parked ELSE status END,"
	" parked_at = $5, parked_reason = $6,"
	" due_at = CASE WHEN canceled IS NOT NULL AND $7 THEN due_at ELSE $8 END"
	" WHERE run_id" EQ "$1 AND branch_id" EQ "$2 AND coalesce($3, step)" EQ "step",
	8, {UUIDOID, INT4OID, INT4OID, CHAROID, TIMESTAMPTZOID, TEXTOID, BOOLOID, TIMESTAMPTZOID}
};

/* Rows of branches are locked parents first, and those have smaller numbers. */
static EfStatement resume_statement = {
	"UPDATE expense_flow.branch b SET status = b.parked, due_at = $3"
	" FROM (SELECT branch_id FROM expense_flow.branch WHERE run_id" EQ "$1 AND status" EQ "$2"
	" ORDER BY branch_id FOR UPDATE) p"
	" WHERE b.run_id" EQ "$1 AND b.branch_id" EQ "p.branch_id RETURNING b.branch_id",
	3, {UUIDOID, CHAROID, TIMESTAMPTZOID}
};

/* False if the branch is gone, or others have gone on with it. */
static bool
store_parked(const EfBranchKey *key, const EfFailedBranch *branch, const char *reason, const char *hint)
{
	EfArguments args = {0};
	TimestampTz now = ef_now();
	TimestampTz due_at = branch->loaded && branch->deadline > now ? branch->deadline : DT_NOEND;

	ef_add_uuid(&args, &key->run_id);
	ef_add_int(&args, key->branch_id);
	ef_add_arg(&args, Int32GetDatum(branch->step), !branch->loaded);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_PARKED), false);
	ef_add_time(&args, now);
	ef_add_text(&args, reason);
	ef_add_arg(&args, BoolGetDatum(branch->loaded && !branch->canceled), false);
	ef_add_time(&args, due_at);
	if (ef_execute_alone(&park_statement, &args) != 1)
		return false;
	if (due_at != DT_NOEND)
		ef_announce_due(key, due_at);
	ereport(LOG,
			(errmsg("run %s, branch %d, is parked",
					DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&key->run_id))), key->branch_id),
			 errdetail_internal("%s", reason),
			 errhint("%s", hint)));
	return true;
}

EfAdvanceResult
ef_park_branch(const EfBranchKey *key, int crashes)
{
	EfBranch   *branch;
	EfFailedBranch failed;
	bool		busy;

	branch = ef_claim_branch(key, false, &busy);
	if (branch == NULL)
		return busy ? EF_ADVANCE_BUSY : EF_ADVANCE_NOT_DUE;
	ef_get_failed_branch(key, &failed);
	if (!store_parked(key, &failed,
					  psprintf("%d processes in a row crashed while they executed state \"%s\"", crashes, branch->state->name),
					  "See the server's log for the crashes. When their cause is gone, call resume_workflow()."))
		ef_branch_is_gone();
	ef_release_branch_at_commit();
	return EF_ADVANCE_WAITING;
}

bool
ef_park_failed_branch(const EfBranchKey *key, const EfFailedBranch *failed, const char *reason)
{
	return ef_lock_branch(key) &&
		store_parked(key, failed, reason, "When the cause of the error is gone, call resume_workflow().");
}

/* Returns how many branches of the run were parked. */
static int
resume_run(const pg_uuid_t *run_id)
{
	EfArguments args = {0};
	TimestampTz now = ef_now();
	EfBranchKey key = {0};
	int			count;
	int			i;

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, CharGetDatum(EF_BRANCH_PARKED), false);
	ef_add_time(&args, now);
	key.run_id = *run_id;
	SPI_connect();
	count = (int) ef_execute(&resume_statement, &args);
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, CurrentMemoryContext);

		key.branch_id = ef_next_int(&row);
		ef_announce_due(&key, now);
	}
	SPI_finish();
	return count;
}

/* resume_workflow(workflow_id text) returns integer */
Datum
ef_resume_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	pg_uuid_t	run_id;
	int			count;

	if (!ef_find_run(workflow_id, &run_id))
		ef_run_is_closed(workflow_id);
	count = resume_run(&run_id);
	if (count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the run with workflow_id \"%s\" is not paused", workflow_id)));
	PG_RETURN_INT32(count);
}
