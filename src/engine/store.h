/*-------------------------------------------------------------------------
 *
 * store.h
 *	  The engine's tables: every statement on them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_STORE_H
#define EF_STORE_H

#include "engine/branch.h"
#include "engine/engine.h"
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
} EfClosing;

/* Load a branch and its run; false if there is no such branch.  Everything is allocated in branch->fixed. */
extern bool ef_store_load_branch(const EfBranchKey *key, EfBranch *branch);

/* The input of a run, in the current memory context. */
extern Jsonb *ef_store_run_input(const pg_uuid_t *run_id);

extern void ef_store_insert_run(const EfRun *run);

/* False: an open run has this workflow_id (waits for others who are starting or closing one). */
extern bool ef_store_insert_branch(const EfBranch *branch);

/* Bring the row up to date; raises EF000 when it is gone or another process advanced the branch. */
extern void ef_store_update_branch(EfBranch *branch);
extern void ef_store_delete_branch(const EfBranch *branch);

/* Delete the main line's row whatever its step is; false if there is none.  *step: its last step. */
extern bool ef_store_delete_main_branch(const pg_uuid_t *run_id, int32 *step);

/* Delete all the other branches of a run whose main line this transaction deleted or has locked. */
extern void ef_store_delete_branches(const pg_uuid_t *run_id);

extern void ef_store_insert_transition(const EfBranch *branch, const EfTransition *transition);
extern void ef_store_insert_closed_run(const pg_uuid_t *run_id, const EfClosing *closing);

/* The open run of a workflow_id, and its owner and starter. */
extern bool ef_store_find_open_run(const char *workflow_id, pg_uuid_t *run_id, Oid *owner, Oid *starter);

/* The same of a run_id: is it open? */
extern bool ef_store_run_is_open(const pg_uuid_t *run_id, Oid *owner, Oid *starter, bool *open);

/* The last closed run of a workflow_id. */
extern bool ef_store_find_closed_run(const char *workflow_id, pg_uuid_t *run_id, Oid *owner, Oid *starter,
									 char *status);

/*
 * Branches due at or before a time of runs that a role may drive, by due time, after a certain one (NULL: from
 * the start).
 */
extern int	ef_store_due_branches_of_role(Oid role, TimestampTz until, const EfDueBranch *after,
										  EfDueBranch *branches, int max);

#endif							/* EF_STORE_H */
