/*-------------------------------------------------------------------------
 *
 * crash.h
 *	  Which branches were being advanced when their process crashed (private
 *	  to src/runtime).
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_CRASH_H
#define EF_CRASH_H

#include "engine/announce.h"

/* After so many crashes in a row a branch is parked. */
#define EF_CRASHES_TO_PARK 3

typedef enum EfSuspicion
{
	EF_SUSPICION_NONE,
	EF_SUSPICION_LATER,			/* it is to be tried again, but not yet */
	EF_SUSPICION_CAREFUL,		/* now; its progress must be flushed */
	EF_SUSPICION_PARK			/* not any more */
} EfSuspicion;

/* setting */
extern int	ef_crash_retry_delay;

/* While the library is preloaded: get memory that outlives a restart after a crash. */
extern void ef_crash_init(int ndatabases);

/* Shared memory is being made: read what those who crashed have left.  No other process is there. */
extern void ef_crash_collect(void);

/* This process begins to advance a branch; it has committed a step of it; it is done. */
extern void ef_crash_begin(int slot, int place, Oid database, const EfBranchKey *key);
extern void ef_crash_progress(int32 step);
extern void ef_crash_end(void);

/* In a signal handler: this process ends through no fault of the branch. */
extern void ef_crash_excuse(void);

/* This process ends in good order, but the branch made it do so.  The caller holds no lock. */
extern void ef_crash_blame(Oid database, const EfBranchKey *key);

/* Is any branch suspected? */
extern bool ef_crash_has_suspects(void);

/* What to do with a branch that is due; *delay_ms is set with EF_SUSPICION_LATER. */
extern EfSuspicion ef_crash_suspicion(Oid database, const EfBranchKey *key, long *delay_ms);
extern void ef_crash_forget(Oid database, const EfBranchKey *key);

#endif							/* EF_CRASH_H */
