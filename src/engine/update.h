/*-------------------------------------------------------------------------
 *
 * update.h
 *	  Updates: messages to a run that it answers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_UPDATE_H
#define EF_UPDATE_H

#include "engine/request.h"
#include "engine/state.h"

/* An update, from when its sender begins to look for a Task that takes it until it is answered. */
typedef struct EfUpdate
{
	const char *name;
	const char *address;		/* what such a Task awaits */
	const char *update_id;		/* NULL: none */
	Jsonb	   *payload;
	TimestampTz give_up;		/* when the sender does not wait any longer */
	MemoryContext context;		/* for the answer and the like */

	const AslState *taken_by;	/* the Task; NULL: none yet */
	const AslState *answering;	/* the state that has the answer when it is left */
	Jsonb	   *answer;			/* NULL: none yet */
	AslError	failure;		/* why the state that the branch is in is to be retried */
} EfUpdate;

/* What is asked for, for its request. */
extern int64 ef_update_digest(const char *name, Jsonb *payload);

/*
 * Send an update to an open run and return the answer.  Its request, if there is one, has begun; workflow_id is for
 * errors.
 */
extern Jsonb *ef_send_update(const pg_uuid_t *run_id, const char *workflow_id, const char *name, Jsonb *payload,
							 const EfRequest *request, int64 timeout);

/* How long a sender waits, in microseconds. */
extern int64 ef_update_timeout_arg(FunctionCallInfo fcinfo, int arg);

/* ---- for those who advance the branch that it was sent to ---- */

/* Its Task takes the update, unless the validator refuses it, which is an error. */
extern void ef_take_update(EfVisit *visit, Jsonb *result);

/* A state was left: that may be the answer. */
extern void ef_answer_update(const EfVisit *visit);

/* The state's attempt failed and another one comes, if that is what the visit was about. */
extern void ef_note_retry(const EfVisit *visit);

/* Was it answered?  Raises an error if the sender does not wait any longer. */
extern bool ef_is_update_answered(const EfUpdate *update);

/* The branch fails: where it has taken an update that was not answered, that is an error of the sender's. */
extern void ef_give_up_update(const EfBranch *branch, const AslError *failure);

#endif							/* EF_UPDATE_H */
