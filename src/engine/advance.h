/*-------------------------------------------------------------------------
 *
 * advance.h
 *	  Advancing a branch that is loaded.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ADVANCE_H
#define EF_ADVANCE_H

#include "engine/branch.h"
#include "engine/engine.h"

/* How a branch, or its run, has ended. */
typedef struct EfEnd
{
	char		status;			/* as closed_run.status */
	char	   *error;			/* NULL: none */
	char	   *cause;
} EfEnd;

/*
 * Visit states until a commit is due, the branch must wait, or it has ended; store what came out.  A branch
 * inside a query (of run_workflow) never needs a commit.  *end is set when the result is EF_ADVANCE_CLOSED.
 */
extern EfAdvanceResult ef_advance_loaded(EfBranch *branch, bool in_query, EfEnd *end);

#endif							/* EF_ADVANCE_H */
