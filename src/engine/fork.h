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

/* The events of a Parallel or Map that starts its branches. */
extern void ef_add_fork_started(EfVisit *visit);

/* The events of a Parallel or Map that has failed for good, through one of its branches. */
extern void ef_fail_fork(EfVisit *visit);

/* Is this a branch of a Map, an iteration? */
extern bool ef_is_iteration(const EfBranch *branch);

#endif							/* EF_FORK_H */
