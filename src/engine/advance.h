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
#include "engine/state.h"

/* How a run has ended. */
typedef struct EfEnd
{
	char		status;			/* as closed_run.status; 0: only a branch of it has ended */
	char	   *error;			/* NULL: none */
	char	   *cause;
} EfEnd;

/*
 * Visit states until a commit is due, the branch must wait, or it has ended; store what came out.  A branch
 * inside a query (of run_workflow) never needs a commit.  *end is set when the result is EF_ADVANCE_CLOSED.
 */
extern EfAdvanceResult ef_advance_loaded(EfBranch *branch, EfEnd *end);

/* Advance a run inside a query to its end: every branch of it in turn; branch is the last one then.  See in_query.c. */
extern void ef_advance_to_end(EfBranch *branch, EfEnd *end);

/* A run's branches are gone: write how it has closed, and tell whom it concerns. */
struct EfClosing;
extern void ef_finish_closing(const EfRun *run, const struct EfClosing *closing, Jsonb *output);

/* Take the branch's next step: a row of history, with the output if there is a new one. */
extern void ef_write_step(const EfVisit *visit, Jsonb *output);

#endif							/* EF_ADVANCE_H */
