/*-------------------------------------------------------------------------
 *
 * fork.h
 *	  Parallel and Map: starting branches, and joining what they return.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FORK_H
#define EF_FORK_H

#include "engine/state.h"

/* Start the branches of a Parallel or Map, or join them when they have ended. */
extern EfVisitResult ef_visit_fork(EfVisit *visit);

/*
 * A branch that has a parent has ended, its last step is written: failure is why, NULL if it succeeded.  Wakes the
 * parent when it waits for no more branches, or when the failure ends them all.
 */
extern void ef_end_child(EfBranch *child, const AslError *failure);

/* The events of a Parallel or Map that has failed for good, through one of its branches. */
extern void ef_fail_fork(EfVisit *visit);

/* Is this a branch of a Map, an iteration? */
extern bool ef_is_iteration(const EfBranch *branch);

#endif							/* EF_FORK_H */
