/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The engine's tables: every statement on them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_STORE_H
#define EF_STORE_H

#include "utils/snapshot.h"

#include "engine/branch.h"
#include "engine/engine.h"
#include "engine/mailbox.h"
#include "engine/run.h"

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

/* A branch of a Parallel or Map, from outside. */
typedef struct EfItem
{
	int32		parent_id;
	int32		index;
	Jsonb	   *input;
	Jsonb	   *details;		/* of the transition that its parent wrote for it; NULL: none */
} EfItem;

/* A branch of a Parallel or Map that is to be started. */
typedef struct EfNewBranch
{
	int32		branch_id;
	int32		item;			/* they are written in this order, without gaps */
	const char *state;
	Jsonb	   *input;
	Jsonb	   *details;		/* of its first transition; NULL: none */
} EfNewBranch;

/* A branch that has succeeded, when its row does not say so yet. */
typedef struct EfEndedBranch
{
	int32		branch_id;
	int32		row_step;		/* as in EfBranch */
	int32		step;
	int32		data_step;
	bool		joined;
} EfEndedBranch;

/* Load a branch and its run; false if there is no such branch.  Everything is allocated in branch->fixed. */
extern bool ef_store_load_branch(const EfBranchKey *key, EfBranch *branch);

/* The input of a run, in the current memory context. */
extern Jsonb *ef_store_run_input(const pg_uuid_t *run_id);

/* Raises EF000. */
extern void ef_branch_is_gone(void) pg_attribute_noreturn();

extern void ef_store_insert_run(const EfRun *run);

/* False: an open run has this workflow_id (waits for others who are starting or closing one). */
extern bool ef_store_insert_branch(const EfBranch *branch);

/* Bring the row up to date; raises EF000 when it is gone or another process advanced the branch. */
extern void ef_store_update_branch(EfBranch *branch);
extern void ef_store_delete_branch(EfBranch *branch);

/* Delete the main line's row whatever its step is; false if there is none.  Sets its last step, and its variables. */
extern bool ef_store_delete_main_branch(const pg_uuid_t *run_id, EfClosing *closing);

extern int32 ef_store_next_branch_id(void);

/* Rows and first transitions of branches whose parent has taken its step; those up to window are due now. */
extern void ef_store_insert_children(const EfBranch *parent, const EfNewBranch *children, int count, int32 window,
									 TimestampTz now);

/* A branch as an item of its parent, which is waiting for it; false if it has none.  In the current memory context. */
extern bool ef_store_load_item(const pg_uuid_t *run_id, int32 branch_id, EfItem *item);

/*
 * Delete the branches that a branch waits for, and all that those wait for.  This transaction has deleted or
 * locked the branch's own row.
 */
extern void ef_store_delete_children(const pg_uuid_t *run_id, int32 parent_id);

/* What one of them returned. */
typedef struct EfOutput
{
	int32		item;
	int32		step;			/* its last */
	Jsonb	   *output;			/* NULL: would have been too much */
} EfOutput;

/*
 * What they returned, in their order: at most max of them, from the one after a certain item, and *bytes of output, from
 * which those that are read are subtracted.  Returns how many.  Their rows go when the parent's is written.
 */
extern int	ef_store_join_children(EfBranch *parent, int32 after, int64 *bytes, EfOutput *outputs, int max);

/*
 * So many branches have ended: their parent waits for as many less, and is due when it waits for none.  Returns how
 * many are left, and how the parent joins them.  Locks the parent's row; raises EF000 when the parent waits no more.
 */
extern int32 ef_store_end_children(const EfBranch *child, int count, TimestampTz now, Jsonb **join);
extern void ef_store_change_join(const EfBranch *child, Jsonb *join, int32 pending, TimestampTz due_at);

/* These siblings of a branch, or it itself, have succeeded. */
extern void ef_store_mark_done(const EfBranch *child, const EfEndedBranch *ended, int count);

/* Let the parent's branches of these numbers (up to end, without it) begin, later than step; announces them. */
extern void ef_store_release_children(const EfBranch *ended, int32 first, int32 end, int32 step);

/* Read again whether the branch was asked to cancel, in the newest snapshot; false if it is gone. */
extern bool ef_store_load_cancel(EfBranch *branch);

/* Ask the main line to cancel, for a reason (NULL: none); false if it is gone or was asked before. */
extern bool ef_store_cancel_main_branch(const pg_uuid_t *run_id, const char *reason);

/* Ask the branches that a branch waits for, and all that those wait for. */
extern void ef_store_cancel_children(const pg_uuid_t *run_id, int32 parent_id, const char *reason);

extern void ef_store_insert_transition(const EfBranch *branch, const EfTransition *transition);
extern void ef_store_insert_closed_run(const pg_uuid_t *run_id, const EfClosing *closing);

/* The open run of a workflow_id, and its owner and starter. */
extern bool ef_store_find_open_run(const char *workflow_id, pg_uuid_t *run_id, Oid *owner, Oid *starter);

/* The same of a run_id: is it open? */
extern bool ef_store_run_is_open(const pg_uuid_t *run_id, Oid *owner, Oid *starter, bool *open);

/* The last closed run of a workflow_id. */
extern bool ef_store_find_closed_run(const char *workflow_id, pg_uuid_t *run_id, Oid *owner, Oid *starter,
									 char *status);

/* The branches of a run that are due some time, by due time; returns how many there are. */
extern int	ef_store_due_branches_of_run(const pg_uuid_t *run_id, EfDueBranch *branches, int max);

/*
 * Branches due at or before a time of runs that a role may drive, by due time, after a certain one (NULL: from
 * the start).
 */
extern int	ef_store_due_branches_of_role(Oid role, TimestampTz until, const EfDueBranch *after,
										  Snapshot snapshot, EfDueBranch *branches, int max);

/* Branches that a message has come for, of runs that a role may drive (InvalidOid: all). */
extern int	ef_store_messaged_branches_of_role(Oid role, Snapshot snapshot, EfDueBranch *branches, int max);

/* ---- messages: mailbox.c says when to call these ---- */

extern void ef_store_insert_message(const pg_uuid_t *run_id, const char *address, Jsonb *payload, TimestampTz sent_at);

/* The branches that await it, in the newest snapshot. */
extern int	ef_store_awaiting_branches(const pg_uuid_t *run_id, const char *address, EfBranchKey **keys);

/* The number of the oldest message. */
extern bool ef_store_first_message(const pg_uuid_t *run_id, const char *address, int64 *message_id);

/* Delete the oldest message that nobody else is deleting, into the current memory context. */
extern bool ef_store_receive_message(const pg_uuid_t *run_id, const char *address, EfMessage *message);

/* Is there a message of these addresses, in the newest snapshot? */
extern bool ef_store_has_message(const pg_uuid_t *run_id, char *const *addresses, int naddresses);

/*
 * Delete what a run that has closed did not consume; not what one of its branches is just receiving, whose
 * transaction will find its row gone: that stays until purge() removes the run.
 */
extern void ef_store_delete_messages(const pg_uuid_t *run_id);

/* ---- requests: request.c says when to call these ---- */

/* False if it is there already; waits for others who are inserting it. */
extern bool ef_store_insert_request(const pg_uuid_t *run_id, Oid starter, const char *request_id, int64 digest);

/* In the newest snapshot. */
extern bool ef_store_find_request(const pg_uuid_t *run_id, const char *request_id, int64 *digest, Jsonb **answer);
extern bool ef_store_find_start_request(Oid starter, const char *request_id, int64 *digest, pg_uuid_t *run_id);

extern void ef_store_answer_request(const pg_uuid_t *run_id, const char *request_id, Jsonb *answer);
extern void ef_store_answer_start_request(Oid starter, const char *request_id, const pg_uuid_t *run_id);

#endif							/* EF_STORE_H */
