/*-------------------------------------------------------------------------
 *
 * run.h
 *	  A run: what is fixed when it starts, and how it starts and closes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_RUN_H
#define EF_RUN_H

#include "utils/jsonb.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

#include "compat.h"
#include "engine/request.h"
#include "engine/workflow.h"

typedef struct EfRun
{
	pg_uuid_t	run_id;
	const EfWorkflow *workflow;
	Oid			owner;			/* whose rights its activities have */
	Oid			starter;		/* who started it; InvalidOid: the owner */
	TimestampTz started_at;
	TimestampTz deadline;		/* DT_NOEND: none */
	char	   *workflow_id;	/* NULL: none was given */
	Jsonb	   *input;			/* NULL: not loaded */
	bool		has_parent;		/* it is a child run */
	pg_uuid_t	parent_run_id;
	int32		parent_branch_id;	/* the branch that waits for it; -1: none does */
	char		close_policy;	/* what becomes of it when the parent closes; see history.h */
} EfRun;

/* What to do when an open run has the workflow_id already. */
typedef enum EfConflictPolicy
{
	EF_CONFLICT_FAIL,
	EF_CONFLICT_USE_EXISTING,
	EF_CONFLICT_TERMINATE_EXISTING
} EfConflictPolicy;

/* What to do when only closed runs had the workflow_id. */
typedef enum EfReusePolicy
{
	EF_REUSE_ALLOW,
	EF_REUSE_ALLOW_IF_FAILED,
	EF_REUSE_REJECT
} EfReusePolicy;

/* What one call of start_workflow() asks for, apart from input and workflow_id, which differ from run to run. */
typedef struct EfStartOptions
{
	const EfWorkflow *workflow;
	Oid			owner;
	Oid			starter;		/* InvalidOid: the owner */
	EfConflictPolicy on_conflict;
	EfReusePolicy on_reuse;
	int64		delay;			/* microseconds */
	int64		timeout;		/* microseconds from when it is due; 0: the machine's own, if it has one */
	const EfRun *parent;		/* NULL: it is no child run */
	int32		parent_branch_id;
	char		close_policy;
} EfStartOptions;

/* A new, time-ordered identifier (UUID version 7); later ones of a process are greater. */
extern void ef_new_run_id(pg_uuid_t *run_id);

/*
 * A run and its main line as they are before the first state, in memory only; the rest of the branch (contexts)
 * is empty.
 */
struct EfBranch;
extern void ef_prepare_run(const EfStartOptions *options, Jsonb *input, const char *workflow_id,
						   struct EfBranch *branch);

/* Start a run, or find the open one where the options say so: *run_id tells which. */
extern void ef_start_run(const EfStartOptions *options, Jsonb *input, const char *workflow_id, pg_uuid_t *run_id);

/* Is this text a run_id as the server writes it? */
extern bool ef_read_run_id(const char *text, pg_uuid_t *run_id);

/* Raise EF004 where the options say so; the run's own main line is there. */
extern void ef_check_past(const EfStartOptions *options, const char *workflow_id);

/* Many runs of a workflow, which are started together (start_set.c). */
typedef struct EfRunSet
{
	int			count;
	struct ArrayType *input_array;
	Datum	   *inputs;			/* its elements */
	char	  **workflow_ids;	/* NULL: none has one; an element may be NULL, too */
	pg_uuid_t  *run_ids;		/* to be filled */
} EfRunSet;

extern void ef_start_runs(const EfStartOptions *options, EfRunSet *set);

/*
 * The run of a workflow_id (or the text of a run_id) that the caller may steer: the open one, else (false) the last
 * that was closed.  Raises EF002 if there is none.
 */
extern bool ef_find_run(const char *workflow_id, pg_uuid_t *run_id);
pg_noreturn extern void ef_run_is_closed(const char *workflow_id);	/* raises EF006 */

/*
 * Find the run, and see whether the request was made to it before (see ef_begin_request).  Raises EF002, and EF006
 * if the run is closed and the request is a new one.
 */
extern bool ef_begin_request_to(const char *workflow_id, const EfRequest *request, pg_uuid_t *run_id, Jsonb **answer);

/*
 * Ask an open run to cancel: all its branches are told, and statements that workers run for it are interrupted.
 * False if it is not open (any more), or was asked before.
 */
extern bool ef_cancel_run(const pg_uuid_t *run_id, const char *reason);

/*
 * End an open run from outside, whatever its branches are doing: they find their rows gone and roll back.
 * False if it is not open (any more).
 */
extern bool ef_end_run(const pg_uuid_t *run_id, char status, const char *error, const char *cause);

#endif							/* EF_RUN_H */
