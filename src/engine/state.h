/*-------------------------------------------------------------------------
 *
 * state.h
 *	  One visit of a branch to a state: evaluating it, without storing anything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_STATE_H
#define EF_STATE_H

#include "asl/asl.h"
#include "engine/activity.h"
#include "engine/branch.h"

#define EF_MAX_EVENTS 15

typedef enum EfVisitResult
{
	EF_VISIT_LEFT,				/* output, variables and next are set */
	EF_VISIT_RESTS,				/* until due_at, with this status */
	EF_VISIT_FORKED,			/* waits for branches; everything is stored */
	EF_VISIT_LATER,				/* as before: still at rest, and to be looked at soon */
	EF_VISIT_FAILED,			/* see failure */
	EF_VISIT_RUN_TIMED_OUT
} EfVisitResult;

/* How a Task starts another run by the service's own action, states:startExecution. */
typedef enum EfExecutionPattern
{
	EF_EXECUTION_NONE,			/* it does not */
	EF_EXECUTION_START,			/* and goes on */
	EF_EXECUTION_SYNC,			/* and waits for it */
	EF_EXECUTION_SYNC2			/* the same; the result has data instead of its text */
} EfExecutionPattern;

typedef struct EfVisit
{
	EfBranch   *branch;
	int			number;			/* of this visit, in this transaction, from 0 */
	const AslState *state;
	AslEnv		env;
	TimestampTz began_at;
	Jsonb	   *item;			/* of a Map, while the input of one of its branches is made */
	int			item_index;

	char		events[EF_MAX_EVENTS + 1];
	int			nevents;
	Jsonb	   *details;		/* for the history; NULL: none */
	bool		registered;		/* the Task's compensation is registered by this visit */
	bool		did_work;		/* an SQL activity has run */
	bool		branch_failed;	/* one of the branches of a Parallel or Map is what failed */

	int			next;			/* as AslState.next */
	Jsonb	   *output;
	Jsonb	   *variables;

	char		status;
	TimestampTz due_at;

	AslError	failure;

	EfExecutionPattern execution;	/* of a Task */

	/* Of a Task whose work is done outside. */
	bool		callback;		/* a function was called, and its token is waited for */
	char	   *task_token;		/* NULL: none */
	bool		token_asked;	/* the Task's data has it */
	Jsonb	   *attempt;		/* what the history tells of the attempt; NULL: nothing */
	bool		has_task;		/* the attempt that failed has a row that the next one needs */
	bool		no_retry;
	bool		has_retry_delay;
	double		retry_delay;	/* seconds */
} EfVisit;

/* Everything is allocated in the current memory context. */
extern void ef_begin_visit(EfVisit *visit, EfBranch *branch, int number);
extern EfVisitResult ef_visit_state(EfVisit *visit);

/* Retry or Catch, or nothing of both: then the result is EF_VISIT_FAILED again. */
extern EfVisitResult ef_handle_failure(EfVisit *visit);

/* The branch is told that it was asked to cancel: its state fails. */
extern EfVisitResult ef_deliver_cancel(EfVisit *visit);

/* Is this the failure of a state whose run was asked to cancel? */
extern bool ef_is_canceled(const AslError *failure);

/*
 * An activity was interrupted: was that because the run was asked to cancel?  Then visit->failure says so now.
 * Raises EF000 if the run was ended, and a serialization failure if the branch has met the request before.
 */
extern bool ef_was_interrupted_to_cancel(EfVisit *visit);

/* Fill a call with what all activities of a run have in common. */
extern void ef_prepare_call(const EfVisit *visit, EfActivityCall *call);

/* Such a call, for something that is not the work of a Task, did not succeed: the state fails, with this error. */
extern EfVisitResult ef_fail_call(EfVisit *visit, EfActivityResult result, const AslError *failure, char *error);

/* Call a function for the Task: function, input and what to do with the result are set. */
extern EfVisitResult ef_call_function(EfVisit *visit, EfActivityCall *call);

/* The result of a Task that is no function's: the state is left, or fails. */
extern EfVisitResult ef_finish_task(EfVisit *visit, Jsonb *result);

/* When a Task that begins now times out, by its TimeoutSeconds; false: the visit has failed. */
extern bool ef_task_timeout_at(EfVisit *visit, TimestampTz *timeout_at);

extern void ef_add_event(EfVisit *visit, char event);

/* What to do with a Task's result; arg is an EfVisit. */
extern bool ef_use_result(Jsonb *result, void *arg, AslError *error);

/* The context object, `$$`, or the part of it that is wanted (see AslEnv); arg is an EfVisit. */
extern Jsonb *ef_context_object(void *arg, const char *part, const char *member);

/*
 * Helpers to build an object; a NULL value is left out.  ef_push_fields() takes all fields of an object.  A document is
 * not copied before ef_end_object(), which ends what began with WJB_BEGIN_OBJECT, and no other function can.
 */
extern void ef_push_text(JsonbParseState **state, const char *key, const char *value);
extern void ef_push_jsonb(JsonbParseState **state, const char *key, Jsonb *value);
extern void ef_push_fields(JsonbParseState **state, Jsonb *object);
extern void ef_push_int(JsonbParseState **state, const char *key, int64 value);
extern Jsonb *ef_end_object(JsonbParseState **state);

/* A time as the language writes it: 2026-01-31T12:00:00.123Z. */
extern char *ef_format_time(TimestampTz time);

#endif							/* EF_STATE_H */
