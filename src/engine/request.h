/*-------------------------------------------------------------------------
 *
 * request.h
 *	  Requests that may be made twice and have one effect.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_REQUEST_H
#define EF_REQUEST_H

#include "utils/jsonb.h"
#include "utils/uuid.h"

typedef struct EfRequest
{
	const char *request_id;		/* the caller's; NULL: none, so nothing is looked up or remembered */
	int64		digest;			/* of what is asked for */
} EfRequest;

/* A digest of what is asked for; texts and documents may be NULL.  Begin with 0. */
extern int64 ef_digest_text(int64 digest, const char *text);
extern int64 ef_digest_jsonb(int64 digest, Jsonb *document);

/*
 * Was the request made to this run before?  Then *answer is what was answered (NULL: nothing).  Raises EF010 if it
 * asked for something else.
 */
extern bool ef_was_requested(const pg_uuid_t *run_id, const EfRequest *request, Jsonb **answer);

/* The same, and if it was not, it is now.  Waits for others who are making the same request. */
extern bool ef_begin_request(const pg_uuid_t *run_id, const EfRequest *request, Jsonb **answer);
extern void ef_answer_request(const pg_uuid_t *run_id, const EfRequest *request, Jsonb *answer);

/* A request to start a run, of a role; the run is the answer. */
extern bool ef_begin_start_request(Oid starter, const EfRequest *request, pg_uuid_t *run_id);
extern void ef_answer_start_request(Oid starter, const EfRequest *request, const pg_uuid_t *run_id);

#endif							/* EF_REQUEST_H */
