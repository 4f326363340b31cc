/*-------------------------------------------------------------------------
 *
 * activity.h
 *	  SQL activities: calling a function for a Task.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ACTIVITY_H
#define EF_ACTIVITY_H

#include "asl/asl.h"

typedef enum EfActivityResult
{
	EF_ACTIVITY_SUCCEEDED,
	EF_ACTIVITY_FAILED,			/* see call->failure */
	EF_ACTIVITY_INTERRUPTED,	/* the same, because this background process was told to cancel its statement */
	EF_ACTIVITY_TIMED_OUT,		/* the Task's timeout passed: call->failure is States.Timeout */
	EF_ACTIVITY_RUN_TIMED_OUT	/* the run's deadline passed */
} EfActivityResult;

typedef struct EfActivityCall
{
	const char *function;		/* what follows "sql:" in the resource */
	Oid			role;			/* whose rights it has */
	uint64		subject;		/* stands for the branch: repetitions are counted for it */
	Jsonb	   *input;
	double		timeout_seconds;	/* 0: none */
	int64		remaining;		/* microseconds of the run; PG_INT64_MAX: no deadline */
	bool		whole_input;	/* the input is the function's one argument, whatever keys it has */
	bool		restricted;		/* leave nothing behind in this session */
	bool		nested;			/* inside a statement of somebody else's, who is to hear of a request to cancel it */
	bool		fire_triggers;	/* fire deferred triggers before leaving the role; not inside a query */

	/* What to do instead of calling a function, as the role and connected to SPI; NULL: call it. */
	Jsonb	   *(*body) (void *finish_arg);

	/*
	 * What to do with the result, still inside the subtransaction: where this returns false (*error filled),
	 * the attempt has failed and its effects are undone.
	 */
	bool		(*finish) (Jsonb *result, void *arg, AslError *error);
	void	   *finish_arg;

	/*
	 * What to do with each row of a set-returning function, so that they are never all in memory (NULL: they are the
	 * result, an array); false: as above.  The result that finish() gets is NULL then.
	 */
	bool		(*take_row) (Jsonb *row, void *arg, AslError *error);
	double		max_rows;		/* 0: all */

	AslError	failure;
} EfActivityCall;

/*
 * Call the function in a subtransaction.  Everything is allocated in the current memory context.  Raised as
 * errors are only: cancel requests to a client's session, and what the engine is to repeat (serialization
 * failures, deadlocks).
 */
extern EfActivityResult ef_call_activity(EfActivityCall *call);

/*
 * Call a function that must not change anything, with one jsonb argument, as a role; its errors are raised.  Whatever
 * it did to the session's settings and the like is undone.
 */
extern Jsonb *ef_call_read_only(const char *function, Oid role, Jsonb *argument);

extern void ef_activity_init(void); /* from ef_engine_init(): callbacks */

#endif							/* EF_ACTIVITY_H */
