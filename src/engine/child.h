/*-------------------------------------------------------------------------
 *
 * child.h
 *	  Child runs: Tasks whose work is another run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_CHILD_H
#define EF_CHILD_H

#include "engine/state.h"

#define EF_WORKFLOW_PREFIX "workflow:"

/* Visit a Task whose resource is workflow:NAME, or one with visit->execution: then workflow is NULL. */
extern EfVisitResult ef_visit_child_run(EfVisit *visit, const char *workflow);

/* Start the run that the service's action asks for, and wait for nothing; false: visit->failure says why not. */
extern bool ef_start_execution(EfVisit *visit, Jsonb *effective);

/* Does the branch wait for a child run? */
extern bool ef_awaits_child_run(const EfBranch *branch);

/*
 * The branch, which waits for a child run, was asked to cancel.  So is the child, and the branch goes on to wait: what
 * the child does to clean up comes first.  Then the state fails.
 */
extern EfVisitResult ef_cancel_child_run(EfVisit *visit);

/* A run has closed: tell the branch that waits for it, if there is one.  output is there when it succeeded. */
extern void ef_tell_parent(const EfRun *run, char status, Jsonb *output, const char *error, const char *cause);

/* The same of a run of which only its identifier is known; it did not succeed. */
extern void ef_tell_parent_of(const pg_uuid_t *run_id, char status, const char *error, const char *cause);

/* A run has closed: what its ParentClosePolicy says happens to each of its open children. */
extern void ef_parent_has_closed(const pg_uuid_t *run_id);

/*
 * Branches of the run were ended before their time: the same for children that only they waited for.  Tasks of outside
 * programs that they waited for are withdrawn.
 */
extern void ef_end_orphans(const EfRun *run);

#endif							/* EF_CHILD_H */
