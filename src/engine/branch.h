/*-------------------------------------------------------------------------
 *
 * branch.h
 *	  A branch of a run as it is being advanced, and the claim on it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_BRANCH_H
#define EF_BRANCH_H

#include "engine/announce.h"
#include "engine/run.h"

#define EF_NO_PARENT (-1)

typedef struct EfBranch
{
	EfRun		run;
	int32		branch_id;
	int32		parent_id;		/* EF_NO_PARENT for the main line */
	int32		item;			/* which of its parent's branches, from 0 */
	int32		step;			/* the last transition written */
	int32		data_step;		/* the one whose output is the data; 0: the branch's input */
	char		status;
	int16		retry_count;
	int16	   *retrier_counts; /* of state's retriers; NULL: all zero */
	TimestampTz due_at;
	TimestampTz entered_at;		/* when it entered the state; meaningful unless status is ready */
	const AslState *state;
	Jsonb	   *data;
	Jsonb	   *variables;		/* NULL: none */
	Jsonb	   *context;		/* how it joins the branches that it waits for; see fork.c */
	int32		pending;		/* how many it waits for */
	char		canceled;		/* '\0': it was not asked to cancel */
	char	   *cancel_reason;	/* NULL: none was given */
	bool		in_query;		/* advanced inside a query (run_workflow): no commit, nothing to announce */
	struct EfUpdate *update;	/* advanced for an update, in its sender's transaction: no commit; NULL: it is not */
	char	  **awaits;			/* addresses of the messages that it waits for; meaningful while AWAITING */
	int			nawaits;
	TimestampTz timeout_at;		/* when it stops waiting for them; DT_NOEND: never */

	/* How the row differs from this. */
	bool		parked;			/* its status there is "parked" */
	bool		has_row;		/* false while run_workflow() keeps it to itself */
	int32		row_step;		/* step in the row: nobody else may have changed it */
	bool		rests;			/* more than step, data_step and state changed, or is to be changed back */
	bool		variables_changed;
	bool		cancel_delivered;	/* since the row was written */
	bool		joined;			/* there are rows of branches that have been joined */

	MemoryContext fixed;		/* holds the run and what is loaded with it */
	MemoryContext current;		/* holds data and variables */
	MemoryContext spare;		/* the next ones, while they are made */
	MemoryContext scratch;		/* of one visit to a state */
} EfBranch;

/* Is it advanced inside a statement of somebody else's? */
static inline bool
ef_is_nested(const EfBranch *branch)
{
	return branch->in_query || branch->update != NULL;
}

extern void ef_branch_key(const EfBranch *branch, EfBranchKey *key);

extern void ef_branch_create_contexts(EfBranch *branch, MemoryContext parent);
extern void ef_branch_delete_contexts(EfBranch *branch);

/* Make these the branch's data and variables; they may be parts of the present ones. */
extern void ef_branch_set_data(EfBranch *branch, Jsonb *data, Jsonb *variables);

/* A number that stands for a branch; two of them have the same one hardly ever. */
extern uint64 ef_branch_hash(const pg_uuid_t *run_id, int32 branch_id);

/* ---- the claim: at most one branch is claimed by a process ---- */

/*
 * Claim a branch and load it.  NULL when that cannot be: *busy tells whether because another process has it
 * (never when wait is true), else it is gone or not due.
 */
extern EfBranch *ef_claim_branch(const EfBranchKey *key, bool wait, bool *busy);

/*
 * Take the lock that a claim takes, until the end of the (sub)transaction and without waiting.  False if another
 * process has it, or this one has claimed the branch.
 */
extern bool ef_lock_branch(const EfBranchKey *key);
extern void ef_unlock_branch(const EfBranchKey *key);

/* Does this process advance the branch, by a claim? */
extern bool ef_is_claimed(const EfBranchKey *key);

/* Does it so advance any branch of the run? */
extern bool ef_is_run_claimed(const pg_uuid_t *run_id);

/* Wait until no other process has it (deadlocks are found); raises lock_not_available when the time is over. */
extern void ef_wait_for_branch(const EfBranchKey *key, int timeout_ms);

/* The claim ends with this transaction: nobody may have the branch before its new state is visible. */
extern void ef_release_branch_at_commit(void);

/* The same, while the next branch is claimed in this transaction. */
extern void ef_keep_branch_until_commit(void);

extern void ef_branch_init(void);	/* from ef_engine_init() */

#endif							/* EF_BRANCH_H */
