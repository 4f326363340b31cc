/*-------------------------------------------------------------------------
 *
 * task.h
 *	  The table activity_task: work that is waiting for, or in the hands of,
 *	  outside programs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_TASK_H
#define EF_TASK_H

#include "engine/announce.h"
#include "utils/jsonb.h"

/* activity_task.status */
#define EF_TASK_SCHEDULED	'S'
#define EF_TASK_STARTED		'R'
#define EF_TASK_FAILED		'F' /* the attempt is over; kept for the next one */
#define EF_TASK_CANCELED	'C' /* its branch has gone on; kept to tell who works on it */

#define EF_TOKEN_SECRET_LENGTH 16

/*
 * The branch of a task, t, is there, and may be waiting for it.  A main line whose run compensates (K) waits for its
 * compensations alone.
 */
#define EF_TASK_HAS_BRANCH \
	"EXISTS (SELECT FROM expense_flow.branch b WHERE b.run_id OPERATOR(pg_catalog.=) t.run_id" \
	" AND b.branch_id OPERATOR(pg_catalog.=) t.branch_id AND b.status OPERATOR(pg_catalog.<>) 'K')"

typedef struct EfTask
{
	EfBranchKey key;
	int32		step;			/* of the transition that scheduled it; with the branch: what it is known by */
	int32		attempt;
	char		status;
	int			priority;
	TimestampTz scheduled_at;
	TimestampTz start_by;		/* DT_NOEND: none, as for the times that follow */
	TimestampTz close_by;
	TimestampTz started_at;
	TimestampTz heartbeat_at;
	double		start_to_close; /* seconds; 0: none */
	double		heartbeat;
	char	   *queue;			/* NULL: it cannot be polled; the one who has its token finishes it */
	char	   *name;
	char	   *worker;
	Jsonb	   *input;
	Jsonb	   *details;		/* of the last heartbeat; NULL: none */
} EfTask;

/* What names one attempt, and proves that one was given it. */
typedef struct EfToken
{
	EfBranchKey key;
	int32		step;
	uint8		secret[EF_TOKEN_SECRET_LENGTH];
} EfToken;

extern void ef_token_init(EfToken *token, const EfBranchKey *key, int32 step);
extern char *ef_token_text(const EfToken *token);
extern bool ef_token_parse(const char *text, EfToken *token);

/* ---- for the branch ---- */

/* A new attempt; the secret is that of the token that was handed out already, or NULL. */
extern void ef_task_insert(const EfTask *task, const uint8 *secret);

/* Remove the task of an attempt that failed; *details are of its last heartbeat. */
extern void ef_task_remove_failed(const EfBranchKey *key, Jsonb **details);

/*
 * The branch's open task, locked; false if there is none (any more), or another transaction has it locked: it is
 * just being taken, kept alive or finished.
 */
extern bool ef_task_lock(const EfBranchKey *key, EfTask *task);

/* Is the task open, locked or not? */
extern bool ef_task_exists(const EfBranchKey *key);

/* The attempt is over: its token is worth nothing any more. */
extern void ef_task_fail(const EfTask *task);

/* The branch leaves the state. */
extern void ef_task_remove(const EfBranchKey *key);

/* ---- for runs and branches that end before their time ---- */

/* Remove all tasks of a run that has ended. */
extern void ef_task_remove_of_run(const pg_uuid_t *run_id);

/* The work on a branch's task is not wanted any more: who is doing it is told by his next heartbeat. */
extern void ef_task_cancel(const EfBranchKey *key);

/* The same for tasks whose branches are gone. */
extern void ef_task_cancel_orphans(const pg_uuid_t *run_id);

/* ---- what a queue is called in shared memory ---- */

extern uint64 ef_queue_key(const char *queue);

#endif							/* EF_TASK_H */
