/*-------------------------------------------------------------------------
 *
 * mailbox.h
 *	  Messages to runs: sending them, and waiting for them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_MAILBOX_H
#define EF_MAILBOX_H

#include "engine/state.h"

/* The first words of addresses. */
#define EF_ADDRESS_SIGNAL	"signal:"	/* and the signal's name */
#define EF_ADDRESS_UPDATE	"update:"	/* and the update's name: no message comes, see update.c */
#define EF_ADDRESS_TASK		"task:" /* and the branch's number: the outcome of its Task */

typedef struct EfMessage
{
	int64		message_id;
	char	   *address;
	Jsonb	   *payload;
	TimestampTz sent_at;
} EfMessage;

typedef enum EfAwaitResult
{
	EF_AWAIT_RECEIVED,			/* the message was consumed: it is gone when the transaction commits */
	EF_AWAIT_TIMED_OUT,
	EF_AWAIT_RESTS,				/* let the visit end with EF_VISIT_RESTS */
	EF_AWAIT_LATER				/* let the visit end with EF_VISIT_LATER */
} EfAwaitResult;

/*
 * Send a message to an open run; branches that await the address hear of it at commit.  Nothing here waits for an
 * activity of the run.  The caller has checked rights and that the run is open.
 */
extern void ef_send_message(const pg_uuid_t *run_id, const char *address, Jsonb *payload);

/* The oldest message of these addresses, consumed; false if there is none.  In the current memory context. */
extern bool ef_receive_message(const EfBranch *branch, char *const *addresses, int naddresses, EfMessage *message);

/*
 * The same for a state that waits for it, until timeout_at (DT_NOEND: for ever; a branch that has been waiting:
 * branch->timeout_at, unless that is to change).  Without a message the visit is made to rest.
 */
extern EfAwaitResult ef_await_message(EfVisit *visit, char *const *addresses, int naddresses,
									  TimestampTz timeout_at, EfMessage *message);

/* Let the visit rest until something comes for these addresses, as far as the branch itself is concerned. */
extern void ef_rest_awaiting(EfVisit *visit, char *const *addresses, int naddresses, TimestampTz timeout_at);

/* Does the branch await a message that has come? */
extern bool ef_has_message(const EfBranch *branch);

/* Take the run's mailbox lock, in share mode, until the end of the transaction, as one who sends does. */
extern void ef_lock_mailbox(const pg_uuid_t *run_id);

/*
 * Delete what a run that has closed did not consume; not what one of its branches is just receiving, whose
 * transaction will find its row gone: that stays until purge() removes the run.
 */
extern void ef_delete_messages(const pg_uuid_t *run_id);

#endif							/* EF_MAILBOX_H */
