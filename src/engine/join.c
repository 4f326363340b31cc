/*-------------------------------------------------------------------------
 *
 * join.c
 *	  How a Parallel or Map joins its branches, and how these end.
 *
 * A branch that ends takes one from its parent's pending, as the last thing in
 * its transaction: the parent's row is locked only for the moment of a commit,
 * and whoever finds the last one gone makes the parent due.  Its own row stays
 * until the join, as done, for that is where the join finds its output.
 *
 * Of a Map with MaxConcurrency all branches are there from the start, but only
 * so many are due; each that ends lets the next one begin.
 *
 * A failure that is not tolerated deletes the other branches and wakes the
 * parent.  Processes at work on those find their rows gone and roll back.
 *
 * Several branches may end in one transaction, each with its effects.  Then
 * those that succeed are noted, and stored together at the end: the parent's
 * row first, as always, and all of them after the activities of the last one.
 * Nobody has to wait long for what such a transaction holds: while it is young
 * another branch may join in, and soon after that a timer cancels it.
 *
 * Locks are taken from the parent to its branches, never upwards.
 *
 * branch.context of the parent, while it is joining:
 *	 {"window": n}			MaxConcurrency, where there is one
 *	 {"count": n}			the number of branches, with a window
 *	 {"tolerated": n}		failures up to which a Map goes on, where there are any
 *	 {"failed": n}			failures so far, of those
 *	 {"error": …, "cause": …, "step": n}	the failure that ended them all (no error: without a name), and its step; or
 *							Canceled, while others have not ended yet
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "engine/child.h"
#include "engine/history.h"
#include "engine/join.h"
#include "engine/settings.h"
#include "engine/store.h"
#include "engine/timer.h"

/* The branches that have ended in this transaction and are to be stored. */
typedef struct Shared
{
	TimestampTz since;			/* 0: the transaction is not shared */
	bool		timed;			/* the timer runs */
	EfTimer		timer;
	EfBranch	last;			/* pointers in it may be stale */
	int			count;
	EfEndedBranch ended[EF_MAX_SHARED];
} Shared;

static Shared shared;

/* A transaction that is shared may last so many times as long as others may join in. */
#define LONGEST_SHARED 10

/* ---- branch.context ---- */

static int64
get_number(Jsonb *join, const char *key)
{
	JsonbValue *value;

	if (join == NULL)
		return 0;
	value = getKeyJsonValueFromContainer(&join->root, key, strlen(key), NULL);
	if (value == NULL || value->type != jbvNumeric)
		return 0;
	return DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static char *
get_text(Jsonb *join, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&join->root, key, strlen(key), NULL);

	return value && value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

void
ef_read_join(Jsonb *how, EfJoin *join)
{
	memset(join, 0, sizeof(*join));
	if (how == NULL)
		return;
	join->window = get_number(how, "window");
	join->count = get_number(how, "count");
	join->tolerated = get_number(how, "tolerated");
	join->failed = get_number(how, "failed");
	join->failure.name = get_text(how, "error");
	join->failure.cause = get_text(how, "cause");
	join->step = (int32) get_number(how, "step");
}

Jsonb *
ef_make_join(const EfJoin *join)
{
	JsonbParseState *state = NULL;

	if (join->window == 0 && join->tolerated == 0 && join->step == 0)
		return NULL;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (join->window > 0)
	{
		ef_push_int(&state, "window", join->window);
		ef_push_int(&state, "count", join->count);
	}
	if (join->tolerated > 0)
	{
		ef_push_int(&state, "tolerated", join->tolerated);
		ef_push_int(&state, "failed", join->failed);
	}
	if (join->step > 0)
	{
		ef_push_text(&state, "error", join->failure.name);
		ef_push_text(&state, "cause", join->failure.cause);
		ef_push_int(&state, "step", join->step);
	}
	return ef_end_object(&state);
}

/* ---- ending a branch ---- */

static void
announce_parent(const EfBranch *child, TimestampTz now)
{
	EfBranchKey key;

	if (child->in_query)
		return;
	ef_branch_key(child, &key);
	key.branch_id = child->parent_id;
	ef_announce_due(&key, now);
}

/* So many have ended: let as many of a Map with MaxConcurrency begin. */
static void
release_next(const EfBranch *child, const EfJoin *join, int32 pending, int count, int32 last_step)
{
	int64		next = join->window + (join->count - pending) - count;
	int64		end = Min(next + count, join->count);

	if (join->window > 0 && next < end)
		ef_store_release_children(child, (int32) next, (int32) end, last_step);
}

static void
change_join(const EfBranch *child, const EfJoin *join, int32 pending, TimestampTz now)
{
	ef_store_change_join(child, ef_make_join(join), pending, pending == 0 ? now : DT_NOEND);
}

/*
 * Do the other branches go on in spite of this failure?  A Map may tolerate some.  And where the run was asked to
 * cancel, all of its branches were, and each may clean up.
 */
static bool
tolerate(const EfBranch *child, EfJoin *join, const AslError *failure, int32 pending, TimestampTz now)
{
	if (child->canceled == EF_CANCEL_DELIVERED && ef_is_canceled(failure))
	{
		join->failure = *failure;
		join->step = Max(join->step, child->step);
	}
	else if (++join->failed > join->tolerated)
		return false;
	change_join(child, join, pending, now);
	return true;
}

/* The failure ends all of the parent's branches. */
static void
fail_parent(const EfBranch *child, EfJoin *join, const AslError *failure, TimestampTz now)
{
	static const AslError exceeded = {"States.ExceedToleratedFailureThreshold",
	"the number of failed iterations is greater than what is tolerated"};

	join->failure = join->tolerated > 0 ? exceeded : *failure;
	join->step = child->step;
	change_join(child, join, 0, now);
	ef_store_delete_children(&child->run.run_id, child->parent_id);
	ef_end_orphans(&child->run);
	announce_parent(child, now);
}

/*
 * These branches of one parent have succeeded, or (failure) this one has failed after them.
 */
static void
end_children(EfBranch *child, const AslError *failure, const EfEndedBranch *succeeded, int count)
{
	TimestampTz now = ef_now();
	int			ended = failure ? count + 1 : count;
	int32		last_step = child->step;
	EfJoin		join;
	Jsonb	   *how;
	int32		pending = ef_store_end_children(child, ended, now, &how);
	int			i;

	ef_read_join(how, &join);
	if (failure && !tolerate(child, &join, failure, pending, now))
	{
		fail_parent(child, &join, failure, now);
		return;
	}
	ef_store_mark_done(child, succeeded, count);
	if (failure)
		ef_store_delete_branch(child);
	for (i = 0; i < count; i++)
		last_step = Max(last_step, succeeded[i].step);
	release_next(child, &join, pending, ended, last_step);
	if (pending == 0)
		announce_parent(child, now);
}

/* ---- branches that end in one transaction ---- */

static EfEndedBranch
ended_branch(const EfBranch *child)
{
	EfEndedBranch ended = {.branch_id = child->branch_id, .row_step = child->row_step, .step = child->step,
	.data_step = child->data_step, .joined = child->joined};

	return ended;
}

void
ef_forget_ended(void)
{
	shared.count = 0;
}

void
ef_store_ended(void)
{
	if (shared.count == 0)
		return;
	end_children(&shared.last, NULL, shared.ended, shared.count);
	shared.count = 0;
}

void
ef_store_ended_before(const EfBranch *branch)
{
	if (!ef_is_nested(branch))
		ef_store_ended();
}

void
ef_end_child(EfBranch *child, const AslError *failure)
{
	EfEndedBranch ended = ended_branch(child);

	/* What an activity does by run_workflow() or an update is none of ours. */
	if (shared.since == 0 || ef_is_nested(child))
		end_children(child, failure, &ended, failure ? 0 : 1);
	else if (failure)
	{
		end_children(child, failure, shared.ended, shared.count);
		shared.count = 0;
	}
	else
	{
		Assert(shared.count < EF_MAX_SHARED);
		shared.ended[shared.count++] = ended;
		shared.last = *child;
	}
}

void
ef_begin_to_share(void)
{
	shared.since = GetCurrentTimestamp();
}

TimestampTz
ef_shared_since(void)
{
	return shared.since;
}

bool
ef_may_share(void)
{
	return shared.count > 0 && shared.count < EF_MAX_SHARED &&
		GetCurrentTimestamp() - shared.since < (TimestampTz) (ef_iteration_budget * 1000);
}

void
ef_limit_sharing(void)
{
	if (shared.timed)
		return;
	shared.timed = true;
	ef_timer_start(&shared.timer, (int64) (ef_iteration_budget * 1000 * LONGEST_SHARED));
}

bool
ef_shared_too_long(void)
{
	return shared.timed && shared.timer.fired;
}

static void
stop_timer(void)
{
	if (shared.timed)
		ef_timer_stop(&shared.timer);
	shared.timed = false;
}

bool
ef_is_sibling_of_ended(const EfBranch *branch)
{
	return branch->parent_id == shared.last.parent_id && branch->parent_id != EF_NO_PARENT &&
		memcmp(&branch->run.run_id, &shared.last.run.run_id, UUID_LEN) == 0;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_COMMIT)
	{
		Assert(shared.count == 0);
		stop_timer();
	}
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
	{
		stop_timer();
		shared.since = 0;
		ef_forget_ended();
	}
}

void
ef_join_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}
