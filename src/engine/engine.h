/*-------------------------------------------------------------------------
 *
 * engine.h
 *	  Runs and their transactions: what src/runtime and the module start may
 *	  use of src/engine.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ENGINE_H
#define EF_ENGINE_H

#include "engine/announce.h"

typedef enum EfAdvanceResult
{
	EF_ADVANCE_MORE,			/* a commit is due; then call again, the branch goes on */
	EF_ADVANCE_WAITING,			/* stored; announced at commit when it has a due time */
	EF_ADVANCE_CLOSED,			/* the branch has ended */
	EF_ADVANCE_NOT_DUE,			/* no such branch any more, or not due yet */
	EF_ADVANCE_APART,			/* the branch is not to be advanced in this transaction: commit, and call again */
	EF_ADVANCE_BUSY,			/* another process is advancing it */
	EF_ADVANCE_LATER			/* somebody is sending it a message: look again soon; nothing was changed */
} EfAdvanceResult;

/*
 * Advance a branch inside the current transaction (an active snapshot is set).  Between EF_ADVANCE_MORE and
 * the next call the branch stays claimed by this process (a session-level advisory lock) and loaded.  On
 * ERROR the caller aborts the transaction and calls ef_release_branch().
 */
extern EfAdvanceResult ef_advance_branch(const EfBranchKey *key);
extern void ef_release_branch(void);

/* The last step of the branch that this process keeps claimed. */
extern int32 ef_claimed_step(void);

/*
 * Instead of advancing a branch, because so many processes in a row crashed while they did so: let it rest until
 * somebody resumes it (resume_workflow), asks it to cancel, or its run's deadline comes.
 */
extern EfAdvanceResult ef_park_branch(const EfBranchKey *key, int crashes);

/* What the row of a branch said when the transaction that has failed loaded it. */
typedef struct EfFailedBranch
{
	bool		loaded;			/* else it could not even be, and the rest is unknown */
	int32		step;
	TimestampTz deadline;
	bool		canceled;
} EfFailedBranch;

/* While the error is handled: the branch whose advance has failed. */
extern void ef_get_failed_branch(const EfBranchKey *key, EfFailedBranch *failed);

/*
 * The same as ef_park_branch(), for a branch that always fails, in a transaction that does nothing else.  The branch is
 * not loaded, for that may be what fails.  False: others have gone on with it.
 */
extern bool ef_park_failed_branch(const EfBranchKey *key, const EfFailedBranch *failed, const char *reason);

/* May a transaction that failed with this error succeed when it is repeated later, though nobody mends anything? */
extern bool ef_mends_with_time(int sqlerrcode);

/*
 * Branches of a Parallel or Map may share a transaction.  After ef_begin_to_share() those that succeed are only noted;
 * while ef_may_share() the caller may go on with another branch of the run (EF_ADVANCE_APART: not with this one),
 * and calls ef_store_ended() before the commit.  If the transaction fails (it does when it lasts too long), all of them
 * are to be advanced again, each in a transaction of its own: one of them may be why it failed.
 */
#define EF_MAX_SHARED 32		/* branches of a transaction */

extern void ef_begin_to_share(void);
extern bool ef_may_share(void);
extern EfAdvanceResult ef_advance_sibling(const EfBranchKey *key);
extern void ef_store_ended(void);

/* While the error is handled: was it that the transaction lasted too long? */
extern bool ef_shared_too_long(void);

/* The engine's clock: clock_timestamp() plus the time skipped by a test. */
extern TimestampTz ef_now(void);

/* So many microseconds after a time.  DT_NOEND if no timestamp is as late: nobody will see that day. */
extern TimestampTz ef_time_after(TimestampTz time, int64 microseconds);

/* Sleep until that clock shows this time; can be interrupted. */
extern void ef_sleep_until(TimestampTz until);

/* How long to wait before repeating a transaction that failed for the n-th time (1, 2, …) in a row through
 * no fault of the workflow (serialization failure, deadlock, internal error), in milliseconds. */
extern long ef_repeat_delay_ms(int failures);

/*
 * Branches by due time, oldest first, beginning with those due at from, at most max of them, from the table by
 * its index (a query; needs a transaction).  Returns how many.
 */
extern int	ef_read_due_branches(TimestampTz from, EfDueBranch *branches, int max);

/*
 * Branches that a message has come for, which the due times do not tell: at most max of them.  Returns how many.
 */
extern int	ef_read_messaged_branches(EfDueBranch *branches, int max);

/*
 * Has this database become a copy of another since it was looked at?  (Queries; needs a transaction.)  Runs that
 * came with a copy are not among the branches that the functions above read, and are not to be advanced.
 * Returns whether there are such runs: those up to *held_through.
 */
extern bool ef_look_for_copy(pg_uuid_t *held_through);

/* Is the extension installed in this database?  (A catalog look-up; needs a transaction.) */
extern bool ef_extension_exists(void);

/* This process is one of the runtime's: nobody's session, in which activities of many roles run one after the other. */
extern bool ef_in_worker;

/* Forget what a role's activity left in the session of a worker (temporary tables, prepared statements, …). */
extern void ef_reset_session(void);

extern void ef_engine_init(void);	/* from _PG_init: settings and callbacks of the engine */

#endif							/* EF_ENGINE_H */
