/*-------------------------------------------------------------------------
 *
 * in_query.c
 *	  Advancing a run inside the caller's query, from its start to its end.
 *
 * Nobody else sees such a run, so the process that starts it does all of it: its
 * main line, and the branches that this starts, one after the other by due time,
 * sleeping where none is due yet.
 *
 * Which branches are due is read for many at a time.  A branch that becomes due
 * meanwhile does so later than those, and one that was read may have gone, with
 * all others of its Parallel or Map.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/timestamp.h"

#include "engine/advance.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/store.h"
#include "errcodes.h"

#define BATCH_SIZE 1000

typedef struct DueBranches
{
	EfDueBranch *branches;		/* NULL: none was read yet */
	int			count;
	int			next;
	TimestampTz read_at;
} DueBranches;

/* Nobody could send anything to a run that nobody sees. */
pg_noreturn static void
waits_for_ever(const EfBranch *branch)
{
	StringInfoData addresses;
	int			i;

	initStringInfo(&addresses);
	for (i = 0; branch->status == EF_BRANCH_AWAITING && i < branch->nawaits; i++)
		appendStringInfo(&addresses, "%s\"%s\"", i > 0 ? " or " : "", branch->awaits[i]);
	ereport(ERROR,
			(errcode(EF_ERRCODE_RUN_FAILED),
			 errmsg("workflow \"%s\" waits for ever in state \"%s\"", branch->run.workflow->name, branch->state->name),
			 addresses.len > 0 ?
			 errdetail("It waits for %s, and nobody can reach a run that run_workflow() keeps to its transaction.",
					   addresses.data) : 0,
			 errhint("Start it with start_workflow(), or give the state a TimeoutSeconds.")));
}

/* None of the run's branches ever becomes due: tell of the first of those that wait. */
pg_noreturn static void
all_wait_for_ever(const EfRun *run)
{
	EfBranchKey key;
	EfBranch	branch = {0};

	ef_branch_create_contexts(&branch, CurrentMemoryContext);
	if (!ef_store_awaiting_branch_of_run(&run->run_id, &key) || !ef_store_load_branch(&key, &branch))
		elog(ERROR, "workflow \"%s\" has no branch that could go on", run->workflow->name);
	waits_for_ever(&branch);
}

/* The next one.  Of those that are not due yet only the first is of use: others may become due before the second. */
static EfDueBranch *
next_due(DueBranches *due, const EfRun *run)
{
	if (due->next < due->count && due->branches[due->next].due_at <= due->read_at)
		return &due->branches[due->next++];
	if (due->branches == NULL)
		due->branches = palloc(sizeof(EfDueBranch) * BATCH_SIZE);
	due->read_at = ef_now();
	due->count = ef_store_due_branches_of_run(&run->run_id, due->branches, BATCH_SIZE);
	due->next = 1;
	if (due->count == 0)
		all_wait_for_ever(run);
	return &due->branches[0];
}

static void
load_next(DueBranches *due, EfBranch *branch)
{
	const EfRun run = branch->run;
	EfDueBranch *next;

	do
	{
		next = next_due(due, &run);
		ef_sleep_until(next->due_at);
		ef_branch_delete_contexts(branch);
		ef_branch_create_contexts(branch, CurrentMemoryContext);
	} while (!ef_store_load_branch(&next->key, branch));
	branch->in_query = true;
}

void
ef_advance_to_end(EfBranch *branch, EfEnd *end)
{
	DueBranches due = {0};

	for (;;)
	{
		(void) ef_advance_loaded(branch, end);
		if (end->status != 0)
			break;
		if (branch->has_row)
			load_next(&due, branch);
		else if (branch->due_at == DT_NOEND)
			waits_for_ever(branch);
		else
			ef_sleep_until(branch->due_at);
	}
	if (due.branches)
		pfree(due.branches);
}
