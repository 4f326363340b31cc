/*-------------------------------------------------------------------------
 *
 * update_target.h
 *	  Where an update goes to: the run, and those of its branches that may take
 *	  it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_UPDATE_TARGET_H
#define EF_UPDATE_TARGET_H

#include "engine/update.h"

typedef struct EfUpdateTarget
{
	pg_uuid_t	run_id;
	const char *workflow_id;
	const EfWorkflow *workflow;
	bool		started_here;	/* in this transaction */
	char	   *state;			/* of the main line, at the last look; NULL: not known */
} EfUpdateTarget;

typedef enum EfUpdateCandidateKind
{
	EF_CANDIDATE_AWAITS,		/* is at the Task */
	EF_CANDIDATE_OWN,			/* is due, and nobody else sees that */
	EF_CANDIDATE_AT_WORK		/* perhaps somebody advances it */
} EfUpdateCandidateKind;

/* A branch that takes the update, or may come to a Task that does. */
typedef struct EfUpdateCandidate
{
	EfBranchKey key;
	EfUpdateCandidateKind kind;
} EfUpdateCandidate;

/* Raises an error if the run's workflow has no such update, or the run is held back. */
extern void ef_find_update_target(const pg_uuid_t *run_id, const char *workflow_id, const char *name,
								  EfUpdateTarget *target);

/*
 * The branches that may take it, in the newest snapshot: those that await it, those that are due and that nobody else
 * can advance, and the main line in any case.  Raises EF006 if the run is closed.
 */
extern int	ef_find_candidates(EfUpdateTarget *target, const EfUpdate *update, EfUpdateCandidate **candidates);

/* Is all of the run at rest for longer than the sender waits, and nobody else sees it? */
extern bool ef_rests_unseen(const EfUpdateTarget *target, const EfUpdate *update);

#endif							/* EF_UPDATE_TARGET_H */
