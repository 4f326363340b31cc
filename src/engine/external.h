/*-------------------------------------------------------------------------
 *
 * external.h
 *	  Tasks whose work is done outside: external activities, and SQL functions
 *	  with .waitForTaskToken.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_EXTERNAL_H
#define EF_EXTERNAL_H

#include "engine/state.h"

#define EF_ACTIVITY_PREFIX	"activity:"
#define EF_TOKEN_SUFFIX		".waitForTaskToken"

/* Visit a Task whose resource is activity:queue/name; where is what follows "activity:". */
extern EfVisitResult ef_visit_activity(EfVisit *visit, const char *where);

/*
 * Visit a Task that calls a function and then waits for its token.  NULL: the parameters say what it calls (see
 * lambda.h), or it starts a run (visit->execution).
 */
extern EfVisitResult ef_visit_callback(EfVisit *visit, const char *function);

/* A branch that waits for such work was asked to cancel. */
extern bool ef_awaits_task(const EfBranch *branch);
extern EfVisitResult ef_cancel_task(EfVisit *visit);

/*
 * A Task that waits for something else may be ended by whoever has its token, too, if its data has that
 * (visit->token_asked): the attempt begins; somebody may just be ending it, so the branch is to look again later; a
 * message has come that may be what ends it, or may not (false); it is over.
 */
struct EfToken;
extern char *ef_task_address(int32 branch_id);
extern void ef_open_token(EfVisit *visit, const struct EfToken *token, TimestampTz timeout_at);
extern bool ef_token_is_busy(const EfVisit *visit);
extern bool ef_take_token_outcome(EfVisit *visit, Jsonb *payload, EfVisitResult *result);
extern void ef_close_token(EfVisit *visit);

/* How an attempt has ended, as the message to its branch tells. */
typedef struct EfOutcome
{
	int32		step;			/* of the attempt */
	TimestampTz started_at;		/* DT_NOEND: not known */
	char	   *worker;			/* NULL: not known */
	Jsonb	   *result;			/* NULL: it failed */
	char	   *error;
	char	   *cause;			/* NULL: none */
	Jsonb	   *details;		/* of the failure; NULL: none */
	bool		non_retryable;
	double		retry_delay;	/* seconds; negative: as the retrier says */
} EfOutcome;

extern void ef_send_outcome(const EfBranchKey *key, const EfOutcome *outcome);

#endif							/* EF_EXTERNAL_H */
