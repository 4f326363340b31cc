/*-------------------------------------------------------------------------
 *
 * store.h
 *	  Runs and their branches in the tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_STORE_H
#define EF_STORE_H

#include "utils/snapshot.h"

#include "compat.h"
#include "engine/branch.h"
#include "engine/engine.h"
#include "engine/run.h"

/* ---- a branch (store_branch.c) ---- */

/* Load a branch and its run; false if there is no such branch.  Everything is allocated in branch->fixed. */
extern bool ef_store_load_branch(const EfBranchKey *key, EfBranch *branch);

/* Read again whether the branch was asked to cancel, in the newest snapshot; false if it is gone. */
extern bool ef_store_load_cancel(EfBranch *branch);

/* Raises EF000. */
pg_noreturn extern void ef_branch_is_gone(void);

/* False: an open run has this workflow_id (waits for others who are starting or closing one). */
extern bool ef_store_insert_branch(const EfBranch *branch);

/* Bring the row up to date; raises EF000 when it is gone or another process advanced the branch. */
extern void ef_store_update_branch(EfBranch *branch);
extern void ef_store_delete_branch(EfBranch *branch);

/* ---- the branches of a Parallel or Map, from outside (store_children.c) ---- */

/* One that has begun. */
typedef struct EfItem
{
	int32		parent_id;
	int32		index;
	Jsonb	   *input;
	Jsonb	   *details;		/* of the transition that its parent wrote for it; NULL: none */
} EfItem;

/* One that is to be started. */
typedef struct EfNewBranch
{
	int32		branch_id;
	int32		item;			/* they are written in this order, without gaps */
	const char *state;
	Jsonb	   *input;
	Jsonb	   *details;		/* of its first transition; NULL: none */
} EfNewBranch;

/* One that has succeeded, when its row does not say so yet. */
typedef struct EfEndedBranch
{
	int32		branch_id;
	int32		row_step;		/* as in EfBranch */
	int32		step;
	int32		data_step;
	bool		joined;
} EfEndedBranch;

/* What one of them returned. */
typedef struct EfOutput
{
	int32		item;
	int32		step;			/* its last */
	Jsonb	   *output;			/* NULL: would have been too much */
} EfOutput;

extern int32 ef_store_next_branch_id(void);

/* Rows and first transitions of branches whose parent has taken its step; those up to window are due now. */
extern void ef_store_insert_children(const EfBranch *parent, const EfNewBranch *children, int count, int32 window,
									 TimestampTz now);

/* A branch as an item of its parent, which is waiting for it; false if it has none.  In the current memory context. */
extern bool ef_store_load_item(const pg_uuid_t *run_id, int32 branch_id, EfItem *item);

/* Let the parent's branches of these numbers (up to end, without it) begin, later than step; announces them. */
extern void ef_store_release_children(const EfBranch *ended, int32 first, int32 end, int32 step);

/*
 * So many branches have ended: their parent waits for as many less, and is due when it waits for none.  Returns how
 * many are left, and how the parent joins them.  Locks the parent's row; raises EF000 when the parent waits no more.
 */
extern int32 ef_store_end_children(const EfBranch *child, int count, TimestampTz now, Jsonb **join);
extern void ef_store_change_join(const EfBranch *child, Jsonb *join, int32 pending, TimestampTz due_at);

/* These siblings of a branch, or it itself, have succeeded. */
extern void ef_store_mark_done(const EfBranch *child, const EfEndedBranch *ended, int count);

/*
 * What they returned, in their order: at most max of them, from the one after a certain item, and *bytes of output, from
 * which those that are read are subtracted.  Returns how many.  Their rows go when the parent's is written.
 */
extern int	ef_store_join_children(EfBranch *parent, int32 after, int64 *bytes, EfOutput *outputs, int max);

/* Delete the rows of those that it has joined. */
extern void ef_store_delete_done(const pg_uuid_t *run_id, int32 parent_id);

/* ---- runs (store_run.c) ---- */

/* A row of "transition". */
typedef struct EfTransition
{
	TimestampTz began_at;
	TimestampTz at;
	const char *events;
	const char *state;			/* NULL: none */
	Jsonb	   *output;			/* NULL: the data did not change */
	Jsonb	   *details;		/* NULL: none */
} EfTransition;

/* Why a run closed, and where its output is. */
typedef struct EfClosing
{
	char		status;
	int32		step;
	const char *error;
	const char *cause;
	Jsonb	   *variables;		/* of the main line; NULL: none */
} EfClosing;

/* The input of a run, in the current memory context. */
extern Jsonb *ef_store_run_input(const pg_uuid_t *run_id);

extern void ef_store_insert_run(const EfRun *run);
extern void ef_store_insert_transition(const EfBranch *branch, const EfTransition *transition);
extern void ef_store_insert_closed_run(const pg_uuid_t *run_id, const EfClosing *closing);

/* Whose run it is, and whether it is open. */
typedef struct EfFoundRun
{
	pg_uuid_t	run_id;
	Oid			owner;
	Oid			starter;		/* InvalidOid: the owner */
	bool		open;
	char		status;			/* of the last closed run of a workflow_id */
} EfFoundRun;

/* The open run of a workflow_id, its last closed run, or the run of a run_id; false if there is none. */
extern bool ef_store_find_open_run(const char *workflow_id, EfFoundRun *run);
extern bool ef_store_find_closed_run(const char *workflow_id, EfFoundRun *run);
extern bool ef_store_find_run(const pg_uuid_t *run_id, EfFoundRun *run);

/* Delete the main line's row whatever its step is; false if there is none.  Sets its last step, and its variables. */
extern bool ef_store_delete_main_branch(const pg_uuid_t *run_id, EfClosing *closing);

/*
 * Delete the branches that a branch waits for, and all that those wait for.  This transaction has deleted or
 * locked the branch's own row.
 */
extern void ef_store_delete_children(const pg_uuid_t *run_id, int32 parent_id);

/* Ask the main line to cancel, for a reason (NULL: none); false if it is gone or was asked before. */
extern bool ef_store_cancel_main_branch(const pg_uuid_t *run_id, const char *reason);

/* Ask the branches that a branch waits for, and all that those wait for. */
extern void ef_store_cancel_children(const pg_uuid_t *run_id, int32 parent_id, const char *reason);

/* ---- what is due (store_due.c) ---- */

/* The branches of a run that are due some time, by due time; returns how many there are. */
extern int	ef_store_due_branches_of_run(const pg_uuid_t *run_id, EfDueBranch *branches, int max);

/* The first branch of a run that waits for a message; false if none does. */
extern bool ef_store_awaiting_branch_of_run(const pg_uuid_t *run_id, EfBranchKey *key);

/*
 * Branches due at or before a time of runs that a role may drive, by due time, after a certain one (NULL: from
 * the start).
 */
extern int	ef_store_due_branches_of_role(Oid role, TimestampTz until, const EfDueBranch *after,
										  Snapshot snapshot, EfDueBranch *branches, int max);

/* Branches that a message has come for, of runs that a role may drive (InvalidOid: all). */
extern int	ef_store_messaged_branches_of_role(Oid role, Snapshot snapshot, EfDueBranch *branches, int max);

#endif							/* EF_STORE_H */
