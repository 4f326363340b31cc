/*-------------------------------------------------------------------------
 *
 * update.c
 *	  Updates: messages to a run that it answers.
 *
 * The answer is to be had from one call, so inside the sender's transaction, and
 * what the run did for it is to commit or roll back with that.  So the sender
 * itself advances the branch whose Task waits for the update, from there until
 * the state that has the answer is left: with the locks and the row updates of
 * any process that advances a branch.  Then the branch is stored as one that is
 * ready, and goes on when the transaction has committed.
 *
 * Nothing is stored for an update that is on its way: it is either taken and
 * answered, or nothing of it is left.  Whatever keeps it from being answered is
 * an error, which undoes it all.
 *
 *	 not taken		no Task awaits it: the sender waits for whoever advances the branch,
 *					or looks again, with growing pauses
 *	 taken			waits and retry delays are waited for; what others would have to
 *					end (a message, work outside, branches) cannot be, since nobody
 *					sees what this transaction has done
 *	 answered		the state named by Respond was left, or the Task itself was
 *
 * What the sender's own transaction has done to a branch, or that it has started
 * the run, is seen by nobody else.  Such a branch is advanced here until it takes
 * the update.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "engine/activity.h"
#include "engine/advance.h"
#include "engine/arguments.h"
#include "engine/flush.h"
#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/signal.h"
#include "engine/statement.h"
#include "engine/store.h"
#include "engine/update.h"
#include "engine/update_target.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_update_workflow);

#define LONGEST_PAUSE_MS	100		/* between looks for a Task that takes the update */

#define EQ " OPERATOR(pg_catalog.=) "

/* What became of a candidate. */
typedef enum Trial
{
	ADVANCED,
	BUSY,						/* another process has it */
	USELESS
} Trial;

/* The branches that this process is advancing for updates, the innermost first. */
typedef struct Handling
{
	EfBranchKey key;
	struct Handling *outer;
} Handling;

static Handling *handling = NULL;

/* ---- for those who advance the branch ---- */

void
ef_take_update(EfVisit *visit, Jsonb *result)
{
	EfUpdate   *update = visit->branch->update;
	const AslState *state = visit->state;
	JsonbParseState *object = NULL;
	JsonbValue	key = {.type = jbvString,.val.string = {.len = strlen("update"),.val = "update"}};

	if (state->validator)
		(void) ef_call_read_only(state->validator, visit->branch->run.owner, result);
	update->taken_by = state;
	update->answering = state->respond == ASL_END ? state : &state->scope->states[state->respond];
	pushJsonbValue(&object, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&object, WJB_KEY, &key);
	pushJsonbValue(&object, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&object, "update", update->name);
	ef_push_text(&object, "update_id", update->update_id);
	pushJsonbValue(&object, WJB_END_OBJECT, NULL);
	visit->details = ef_end_object(&object);
}

void
ef_answer_update(const EfVisit *visit)
{
	EfUpdate   *update = visit->branch->update;
	Jsonb	   *answer;

	if (update == NULL || update->taken_by == NULL || update->answer || visit->state != update->answering)
		return;
	answer = update->taken_by->respond == ASL_END ? update->payload : visit->output;
	update->answer = memcpy(MemoryContextAlloc(update->context, VARSIZE(answer)), answer, VARSIZE(answer));
}

void
ef_note_retry(const EfVisit *visit)
{
	EfUpdate   *update = visit->branch->update;

	if (update == NULL || visit->status != EF_BRANCH_RETRYING)
		return;
	update->failure.name = visit->failure.name ? MemoryContextStrdup(update->context, visit->failure.name) : NULL;
	update->failure.cause = visit->failure.cause ? MemoryContextStrdup(update->context, visit->failure.cause) : NULL;
}

bool
ef_is_update_answered(const EfUpdate *update)
{
	if (update->answer)
		return true;
	if (ef_now() > update->give_up)
		ereport(ERROR,
				(errcode(update->taken_by ? EF_ERRCODE_UPDATE_NOT_ANSWERED : EF_ERRCODE_UPDATE_NOT_TAKEN),
				 update->taken_by ? errmsg("update \"%s\" was not answered within the timeout", update->name) :
				 errmsg("update \"%s\" was not taken within the timeout", update->name)));
	return false;
}

void
ef_give_up_update(const EfBranch *branch, const AslError *failure)
{
	const EfUpdate *update = branch->update;

	if (update == NULL || update->taken_by == NULL || update->answer)
		return;
	ereport(ERROR,
			(errcode(EF_ERRCODE_RUN_FAILED),
			 errmsg("update \"%s\" failed: %s", update->name, failure->name ? failure->name : "without an error name"),
			 failure->cause ? errdetail_internal("%s", failure->cause) : 0,
			 errhint("The run is as it was before the update.")));
}

/* ---- errors ---- */

/* What the branch waits for, that nobody can give it. */
static char *
why_it_waits(const EfBranch *branch, const EfUpdate *update)
{
	const char *state = branch->state->name;
	StringInfoData list;
	int			i;

	switch (branch->status)
	{
		case EF_BRANCH_WAITING:
			return psprintf(_("State \"%s\" waits until %s, which is after the timeout."), state,
							ef_format_time(branch->due_at));
		case EF_BRANCH_RETRYING:
			return psprintf(_("State \"%s\" has failed (%s%s%s) and is to be retried after the timeout."), state,
							update->failure.name ? update->failure.name : "",
							update->failure.cause ? ": " : "",
							update->failure.cause ? update->failure.cause : "");
		case EF_BRANCH_AWAITING:
			initStringInfo(&list);
			for (i = 0; i < branch->nawaits; i++)
				appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", branch->awaits[i]);
			return psprintf(_("State \"%s\" awaits %s."), state, list.data);
		case EF_BRANCH_JOINING:
			return psprintf(_("State \"%s\" waits for the branches that it has started."), state);
		default:
			return psprintf(_("State \"%s\" was the last one."), state);
	}
}

static void
not_answered(const EfBranch *branch, const EfUpdate *update)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_UPDATE_NOT_ANSWERED),
			 errmsg("update \"%s\" cannot be answered in this transaction", update->name),
			 errdetail_internal("%s", why_it_waits(branch, update)),
			 errhint("From state \"%s\", which takes the update, the run must come to the end of state \"%s\" without waiting for others. It is as it was before the update.",
					 update->taken_by->name, update->answering->name)));
}

static void
not_taken(const EfUpdateTarget *target, const EfUpdate *update)
{
	bool		workers_run = ef_announcement_receiver && ef_announcement_receiver->workers_run();

	ereport(ERROR,
			(errcode(EF_ERRCODE_UPDATE_NOT_TAKEN),
			 errmsg("update \"%s\" was not taken by the run with workflow_id \"%s\" within the timeout", update->name,
					target->workflow_id),
			 target->state ? errdetail("The run is in state \"%s\".", target->state) : 0,
			 workers_run || target->started_here ? 0 :
			 errhint("No background workers serve this database: CALL expense_flow.run_pending() drives the work.")));
}

/* ---- advancing ---- */

static bool
is_handled_here(const EfBranchKey *key)
{
	const Handling *h;

	for (h = handling; h; h = h->outer)
	{
		if (h->key.branch_id == key->branch_id && memcmp(&h->key.run_id, &key->run_id, UUID_LEN) == 0)
			return true;
	}
	return false;
}

/* Does the branch await the update now that it is locked? */
static bool
awaits_update(const EfBranch *branch, const EfUpdate *update)
{
	TimestampTz now = ef_now();
	int			i;

	if (branch->status != EF_BRANCH_AWAITING || branch->canceled == EF_CANCEL_REQUESTED ||
		branch->timeout_at <= now || branch->run.deadline <= now)
		return false;
	for (i = 0; i < branch->nawaits; i++)
	{
		if (strcmp(branch->awaits[i], update->address) == 0)
			return true;
	}
	return false;
}

/* It has come to rest, but only for a time that the sender waits. */
static bool
goes_on_in_time(const EfBranch *branch, const EfUpdate *update)
{
	return (branch->status == EF_BRANCH_WAITING || branch->status == EF_BRANCH_RETRYING ||
			branch->status == EF_BRANCH_REGISTERED) && branch->due_at <= update->give_up;
}

/* Advance a branch that takes, or may take, the update until it has answered, or rests without having taken it. */
static void
advance(EfBranch *branch, EfUpdate *update)
{
	EfAdvanceResult result;
	EfEnd		end = {0};
	EfBranchKey key;

	ef_branch_key(branch, &key);
	branch->update = update;
	for (;;)
	{
		result = ef_advance_loaded(branch, &end);
		if (update->answer || update->taken_by == NULL)
			break;
		if (result != EF_ADVANCE_WAITING || !goes_on_in_time(branch, update))
			not_answered(branch, update);
		ef_sleep_until(branch->due_at);
	}
	if (result == EF_ADVANCE_MORE)
		ef_announce_due(&key, branch->due_at);
	if (result != EF_ADVANCE_CLOSED || end.status == 0)
		return;
	ef_commit_end_of_run();
	if (update->answer == NULL)
		ereport(ERROR,
				(errcode(end.error ? EF_ERRCODE_RUN_FAILED : EF_ERRCODE_UPDATE_NOT_TAKEN),
				 errmsg("the run has ended without taking the update \"%s\"", update->name),
				 end.error ? errdetail_internal("%s%s%s", end.error, end.cause ? ": " : "", end.cause ? end.cause : "") : 0));
}

/*
 * This transaction's snapshot is older than the last change of the branch, and may not be used for another one.  (The
 * branch is locked, so nobody is changing it now.)
 */
static bool
is_outdated(const EfBranch *branch)
{
	static EfStatement statement = {
		"SELECT step FROM expense_flow.branch WHERE run_id" EQ "$1 AND branch_id" EQ "$2",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};
	bool		outdated = true;

	ef_add_uuid(&args, &branch->run.run_id);
	ef_add_int(&args, branch->branch_id);
	SPI_connect();
	if (ef_execute_latest(&statement, &args) == 1)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		outdated = ef_next_int(&row) != branch->step;
	}
	SPI_finish();
	return outdated;
}

/* Load a branch that is locked.  False if it does not await the update after all. */
static bool
load(const EfUpdateCandidate *candidate, const EfUpdate *update, EfBranch *branch)
{
	bool		found = ef_store_load_branch(&candidate->key, branch);

	if (IsolationUsesXactSnapshot() && (!found || is_outdated(branch)))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	return found && (candidate->kind != EF_CANDIDATE_AWAITS || awaits_update(branch, update));
}

static void
handle(EfBranch *branch, EfUpdate *update)
{
	Handling	this = {.outer = handling};

	ef_branch_key(branch, &this.key);
	branch->due_at = ef_now();
	handling = &this;
	PG_TRY();
	{
		advance(branch, update);
	}
	PG_FINALLY();
	{
		handling = this.outer;
	}
	PG_END_TRY();
}

/* Lock and load a branch, and advance it. */
static Trial
try_branch(const EfUpdateCandidate *candidate, EfUpdate *update)
{
	const EfBranchKey *key = &candidate->key;
	EfBranch	branch = {0};
	bool		useful;

	if (is_handled_here(key))
		return USELESS;
	if (!ef_lock_branch(key))
		return ef_is_claimed(key) ? USELESS : BUSY;
	ef_branch_create_contexts(&branch, CurrentMemoryContext);
	useful = candidate->kind != EF_CANDIDATE_AT_WORK && load(candidate, update, &branch);
	if (useful)
		handle(&branch, update);
	else
		ef_unlock_branch(key);
	ef_branch_delete_contexts(&branch);
	return useful ? ADVANCED : USELESS;
}

/* Wait until the branch is not busy any more, as long as the sender waits. */
static void
wait_for_branch(const EfUpdateTarget *target, const EfUpdate *update, const EfBranchKey *key)
{
	MemoryContext context = CurrentMemoryContext;
	int64		left_ms = (update->give_up - ef_now()) / 1000;

	PG_TRY();
	{
		ef_wait_for_branch(key, (int) Min(Max(left_ms, 1), PG_INT32_MAX));
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE || update->give_up - ef_now() > 1000)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		FlushErrorState();
		not_taken(target, update);
	}
	PG_END_TRY();
}

/* Look once, and try what there is; *busy is a branch that is to be waited for. */
static Trial
look(EfUpdateTarget *target, EfUpdate *update, EfBranchKey *busy)
{
	EfUpdateCandidate *candidates;
	int			count = ef_find_candidates(target, update, &candidates);
	Trial		result = USELESS;
	int			i;

	for (i = 0; i < count && update->answer == NULL; i++)
	{
		Trial		trial = try_branch(&candidates[i], update);

		if (trial == BUSY && result == USELESS)
			*busy = candidates[i].key;
		result = Min(result, trial);
	}
	return result;
}

static void
look_until_answered(EfUpdateTarget *target, EfUpdate *update)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "look for a branch", ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	long		pause_ms = 1;

	for (;;)
	{
		EfBranchKey busy;
		Trial		trial;

		CHECK_FOR_INTERRUPTS();
		trial = look(target, update, &busy);
		if (update->answer)
			break;
		if (ef_now() >= update->give_up || ef_rests_unseen(target, update))
			not_taken(target, update);
		if (trial == ADVANCED)
			pause_ms = 1;
		if (trial == BUSY)
			wait_for_branch(target, update, &busy);
		else
			ef_sleep_until(Min(ef_now() + pause_ms * 1000, update->give_up));
		pause_ms = Min(pause_ms * 2, LONGEST_PAUSE_MS);
		target->state = NULL;
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

Jsonb *
ef_send_update(const pg_uuid_t *run_id, const char *workflow_id, const char *name, Jsonb *payload,
			   const EfRequest *request, int64 timeout)
{
	EfUpdate	update = {.name = name, .payload = payload, .update_id = request->request_id,
	.give_up = ef_now() + timeout, .context = CurrentMemoryContext};
	EfUpdateTarget target;

	check_stack_depth();
	update.address = psprintf(EF_ADDRESS_UPDATE "%s", name);
	ef_find_update_target(run_id, workflow_id, name, &target);
	PG_TRY();
	{
		look_until_answered(&target, &update);
	}
	PG_CATCH();
	{
		/* Somebody ended the run, and was first. */
		if (geterrcode() == EF_ERRCODE_BRANCH_GONE)
		{
			FlushErrorState();
			ef_run_is_closed(workflow_id);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	ef_answer_request(run_id, request, update.answer);
	return update.answer;
}

/* ---- SQL functions ---- */

int64
ef_update_digest(const char *name, Jsonb *payload)
{
	return ef_digest_jsonb(ef_digest_text(ef_digest_text(0, "update"), name), payload);
}

int64
ef_update_timeout_arg(FunctionCallInfo fcinfo, int arg)
{
	ef_refuse_null(fcinfo, arg, "timeout");
	return ef_interval_arg(fcinfo, arg, "timeout", true);
}

/* update_workflow(workflow_id text, update text, payload jsonb, update_id text, timeout interval) returns jsonb */
Datum
ef_update_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	char	   *name = ef_message_name_arg(fcinfo, 1, "update");
	Jsonb	   *payload = ef_payload_arg(fcinfo, 2, "payload");
	EfRequest	request = {ef_optional_name_arg(fcinfo, 3, "update_id"), ef_update_digest(name, payload)};
	int64		timeout = ef_update_timeout_arg(fcinfo, 4);
	pg_uuid_t	run_id;
	Jsonb	   *answer;

	PreventCommandIfReadOnly("update_workflow()");
	if (ef_begin_request_to(workflow_id, &request, &run_id, &answer))
		ef_flush_what_is_seen();	/* another session's answer, perhaps */
	else
		answer = ef_send_update(&run_id, workflow_id, name, payload, &request, timeout);
	PG_RETURN_JSONB_P(answer);
}
