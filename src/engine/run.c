/*-------------------------------------------------------------------------
 *
 * run.c
 *	  How a run starts, and how it is ended from outside.
 *
 * At most one open run has a workflow_id: the unique index on the main line's
 * row says so.  Whoever starts one waits there for others that are starting or
 * closing a run of the same workflow_id, and then does what the options say.
 * The past of a workflow_id is looked at after the row is there: from then on
 * no other run can be open, so all of the past is closed and visible.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "engine/branch.h"
#include "engine/child.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/rights.h"
#include "engine/run.h"
#include "engine/saga.h"
#include "engine/store.h"
#include "engine/task.h"
#include "errcodes.h"

/* ---- identifiers ---- */

/* The time as 48 bits of milliseconds and 12 bits of their fraction; always later than the one before. */
static uint64
next_time(void)
{
	static uint64 last = 0;
	const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	int64		microseconds = GetCurrentTimestamp() + epoch;
	uint64		time = ((uint64) (microseconds / 1000) << 12) | (uint64) (microseconds % 1000 * 4096 / 1000);

	last = Max(time, last + 1);
	return last;
}

void
ef_new_run_id(pg_uuid_t *run_id)
{
	uint64		time = next_time();
	uint64		high = pg_hton64((time >> 12 << 16) | 0x7000 | (time & 0xFFF));

	if (!pg_strong_random(run_id->data + 8, 8))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	memcpy(run_id->data, &high, 8);
	run_id->data[8] = (run_id->data[8] & 0x3F) | 0x80;
}

/* ---- the past and the present of a workflow_id ---- */

static char *
text_of(const pg_uuid_t *run_id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id)));
}

/*
 * An open run has the workflow_id.  Returns true with that run if it is to be used; false if the start is to be
 * tried again, because it is gone by now.
 */
static bool
meet_open_run(const EfStartOptions *options, const char *workflow_id, pg_uuid_t *run_id)
{
	EfFoundRun	run;
	bool		accessible;

	if (!ef_store_find_open_run(workflow_id, &run))
		return false;
	*run_id = run.run_id;
	accessible = ef_may_access_run(GetUserId(), run.owner, run.starter);
	if (options->on_conflict == EF_CONFLICT_FAIL || !accessible)
		ereport(ERROR,
				(errcode(EF_ERRCODE_WORKFLOW_ID_IS_RUNNING),
				 errmsg("a run with workflow_id \"%s\" is open", workflow_id),
				 accessible ? errdetail("Its run_id is %s.", text_of(run_id)) :
				 errdetail("It is another role's."),
				 accessible ? errhint("on_conflict => 'use_existing' or 'terminate_existing' says what to do in this case.") : 0));
	if (options->on_conflict == EF_CONFLICT_USE_EXISTING)
		return true;
	(void) ef_end_run(run_id, EF_RUN_TERMINATED, NULL, "another run with the same workflow_id was started");
	return false;
}

void
ef_check_past(const EfStartOptions *options, const char *workflow_id)
{
	EfFoundRun	run;

	if (options->on_reuse == EF_REUSE_ALLOW ||
		!ef_store_find_closed_run(workflow_id, &run) ||
		(options->on_reuse == EF_REUSE_ALLOW_IF_FAILED && run.status != EF_RUN_SUCCEEDED))
		return;
	ereport(ERROR,
			(errcode(EF_ERRCODE_WORKFLOW_ID_WAS_USED),
			 errmsg("workflow_id \"%s\" was used before", workflow_id),
			 ef_may_access_run(GetUserId(), run.owner, run.starter) ?
			 errdetail("The last run with it is %s.", text_of(&run.run_id)) : 0));
}

bool
ef_read_run_id(const char *text, pg_uuid_t *run_id)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
	int			i;

	for (i = 0; form[i] != '\0'; i++)
	{
		if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char) text[i]))
			return false;
	}
	if (text[i] != '\0')
		return false;
	*run_id = *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(text)));
	return true;
}

bool
ef_find_run(const char *workflow_id, pg_uuid_t *run_id)
{
	EfFoundRun	run;

	if (!(ef_store_find_open_run(workflow_id, &run) || ef_store_find_closed_run(workflow_id, &run) ||
		  (ef_read_run_id(workflow_id, run_id) && ef_store_find_run(run_id, &run))) ||
		!ef_may_access_run(GetUserId(), run.owner, run.starter))
		ereport(ERROR,
				(errcode(EF_ERRCODE_RUN_NOT_FOUND),
				 errmsg("no run has workflow_id \"%s\"", workflow_id)));
	*run_id = run.run_id;
	return run.open;
}

void
ef_run_is_closed(const char *workflow_id)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_RUN_IS_CLOSED),
			 errmsg("the run with workflow_id \"%s\" is closed", workflow_id)));
}

bool
ef_begin_request_to(const char *workflow_id, const EfRequest *request, pg_uuid_t *run_id, Jsonb **answer)
{
	if (!ef_find_run(workflow_id, run_id))
	{
		if (!ef_was_requested(run_id, request, answer))
			ef_run_is_closed(workflow_id);
		return true;
	}
	return ef_begin_request(run_id, request, answer);
}

/* ---- start and end ---- */

static TimestampTz
deadline_from(const EfStartOptions *options, TimestampTz due_at)
{
	double		seconds = options->workflow->machine->timeout_seconds;

	if (options->timeout > 0)
		return ef_time_after(due_at, options->timeout);
	if (seconds > 0 && seconds < 1e11)
		return ef_time_after(due_at, (int64) (seconds * USECS_PER_SEC));
	return DT_NOEND;
}

void
ef_prepare_run(const EfStartOptions *options, Jsonb *input, const char *workflow_id, EfBranch *branch)
{
	EfRun	   *run = &branch->run;
	const AslScope *scope = &options->workflow->machine->root;

	memset(branch, 0, sizeof(*branch));
	ef_new_run_id(&run->run_id);
	run->workflow = options->workflow;
	run->owner = options->owner;
	run->starter = options->starter;
	run->started_at = ef_now();
	run->workflow_id = unconstify(char *, workflow_id);
	run->input = input;
	if (options->parent)
	{
		run->has_parent = true;
		run->parent_run_id = options->parent->run_id;
		run->parent_branch_id = options->parent_branch_id;
		run->close_policy = options->close_policy;
	}
	branch->parent_id = EF_NO_PARENT;
	branch->status = EF_BRANCH_READY;
	branch->due_at = ef_time_after(run->started_at, options->delay);
	run->deadline = deadline_from(options, branch->due_at);
	branch->state = &scope->states[scope->start_at];
	branch->data = input;
}

void
ef_start_run(const EfStartOptions *options, Jsonb *input, const char *workflow_id, pg_uuid_t *run_id)
{
	EfBranch	branch;
	EfBranchKey key;

	ef_prepare_run(options, input, workflow_id, &branch);
	while (!ef_store_insert_branch(&branch))
	{
		CHECK_FOR_INTERRUPTS();
		if (meet_open_run(options, workflow_id, run_id))
			return;
	}
	if (workflow_id)
		ef_check_past(options, workflow_id);
	ef_store_insert_run(&branch.run);
	key.run_id = branch.run.run_id;
	key.branch_id = branch.branch_id;
	ef_announce_due(&key, branch.due_at);
	*run_id = branch.run.run_id;
}

bool
ef_cancel_run(const pg_uuid_t *run_id, const char *reason)
{
	/* First, as in signalling: who does both shall not wait for a branch that waits for him. */
	ef_lock_mailbox(run_id);
	if (!ef_store_cancel_main_branch(run_id, reason))
		return false;
	ef_store_cancel_children(run_id, 0, reason);
	ef_announce_interrupt(run_id);
	return true;
}

/*
 * An activity cannot end the run whose step it is: that would roll back the step, the end of the run with it, and the
 * step would be repeated for ever.
 */
static void
refuse_own_end(const pg_uuid_t *run_id)
{
	if (ef_is_run_claimed(run_id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("run %s cannot be terminated by an activity of its own", text_of(run_id)),
				 errhint("The run ends when the activity raises an error that no Catch takes (expense_flow.fail), or with cancel_workflow() when the activity is done.")));
}

bool
ef_end_run(const pg_uuid_t *run_id, char status, const char *error, const char *cause)
{
	EfClosing	closing = {.status = status, .error = error, .cause = cause};

	if (status == EF_RUN_TERMINATED)
		refuse_own_end(run_id);
	if (!ef_store_delete_main_branch(run_id, &closing))
		return false;
	ef_store_delete_children(run_id, 0);
	ef_task_remove_of_run(run_id);
	ef_delete_messages(run_id);
	ef_store_insert_closed_run(run_id, &closing);
	ef_announce_closed(run_id);
	ef_announce_interrupt(run_id);
	ef_stop_compensating(run_id);
	ef_tell_parent_of(run_id, status, error, cause);
	ef_parent_has_closed(run_id);
	return true;
}
