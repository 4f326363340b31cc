/*-------------------------------------------------------------------------
 *
 * stuck.h
 *	  Branches that fail at each attempt (private to src/runtime).
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_STUCK_H
#define EF_STUCK_H

#include "runtime/shared.h"

/* After so many failures in a row, with errors that do not mend with time, a branch is parked. */
#define EF_FAILURES_TO_PARK 20

/* While the error of an attempt is handled: count it.  True: it was one too many. */
extern bool ef_stuck_count(EfEntry *entry);

/* Then, when its transaction was aborted and nothing is claimed: park the branch.  False: it could not be. */
extern bool ef_stuck_park(EfEntry *entry);

#endif							/* EF_STUCK_H */
