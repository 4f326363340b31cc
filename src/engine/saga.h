/*-------------------------------------------------------------------------
 *
 * saga.h
 *	  Compensations: undoing the steps of a run that does not succeed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_SAGA_H
#define EF_SAGA_H

#include "engine/advance.h"
#include "engine/state.h"

/* Is this the branch of a compensation? */
extern bool ef_is_compensation(const EfBranch *branch);

/*
 * Register the compensation of the visit's Task, for the step that the visit is; data and variables are what its
 * Parameters are evaluated on.  False: visit->failure says why not.
 */
extern bool ef_register_compensation(EfVisit *visit, Jsonb *data, Jsonb *variables, AslError *error);

/*
 * A run is about to close like this: if it has compensations, and did not succeed, let it do them first, and return
 * true.  branch is the one that ends the run.
 */
extern bool ef_begin_compensating(EfBranch *branch, const EfEnd *end);

/* A compensation has ended, its last step is written: failure is why, NULL if it succeeded. */
extern EfAdvanceResult ef_end_compensation(EfBranch *branch, const AslError *failure, EfEnd *end);

/* Forget the compensations of a run that has succeeded. */
extern void ef_forget_compensations(const EfRun *run);

/* A run was terminated: it compensates no more. */
extern void ef_stop_compensating(const pg_uuid_t *run_id);

#endif							/* EF_SAGA_H */
