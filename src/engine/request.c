/*-------------------------------------------------------------------------
 *
 * request.c
 *	  Requests that may be made twice and have one effect.
 *
 * A caller that does not know whether a request of his was committed makes it
 * again, with the same request_id.  A row of "request" is written in the
 * transaction of the request, so it is there exactly if the effect is; the unique
 * index makes others wait who make the same request meanwhile.  Requests to a run
 * are known by run and request_id, those to start one by role and request_id.
 * Rows stay as long as the run does.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "engine/request.h"
#include "engine/store.h"
#include "errcodes.h"

int64
ef_digest_text(int64 digest, const char *text)
{
	if (text == NULL)
		return (int64) hash_bytes_extended((const unsigned char *) "", 0, (uint64) digest + 1);
	return (int64) hash_bytes_extended((const unsigned char *) text, (int) strlen(text) + 1, (uint64) digest);
}

int64
ef_digest_jsonb(int64 digest, Jsonb *document)
{
	if (document == NULL)
		return ef_digest_text(digest, NULL);
	return DatumGetInt64(DirectFunctionCall2(jsonb_hash_extended, JsonbPGetDatum(document), Int64GetDatum(digest)));
}

static void
check_digest(const EfRequest *request, int64 digest)
{
	if (digest != request->digest)
		ereport(ERROR,
				(errcode(EF_ERRCODE_REQUEST_DIFFERS),
				 errmsg("request \"%s\" was made before and asked for something else", request->request_id)));
}

bool
ef_was_requested(const pg_uuid_t *run_id, const EfRequest *request, Jsonb **answer)
{
	int64		digest;

	*answer = NULL;
	if (request->request_id == NULL ||
		!ef_store_find_request(run_id, request->request_id, &digest, answer))
		return false;
	check_digest(request, digest);
	return true;
}

bool
ef_begin_request(const pg_uuid_t *run_id, const EfRequest *request, Jsonb **answer)
{
	*answer = NULL;
	if (request->request_id == NULL ||
		ef_store_insert_request(run_id, InvalidOid, request->request_id, request->digest))
		return false;
	if (!ef_was_requested(run_id, request, answer))
		elog(ERROR, "request \"%s\" has vanished", request->request_id);
	return true;
}

void
ef_answer_request(const pg_uuid_t *run_id, const EfRequest *request, Jsonb *answer)
{
	if (request->request_id != NULL)
		ef_store_answer_request(run_id, request->request_id, answer);
}

bool
ef_begin_start_request(Oid starter, const EfRequest *request, pg_uuid_t *run_id)
{
	static const pg_uuid_t none = {0};
	int64		digest;

	if (request->request_id == NULL ||
		ef_store_insert_request(&none, starter, request->request_id, request->digest))
		return false;
	if (!ef_store_find_start_request(starter, request->request_id, &digest, run_id))
		elog(ERROR, "request \"%s\" has vanished", request->request_id);
	check_digest(request, digest);
	return true;
}

void
ef_answer_start_request(Oid starter, const EfRequest *request, const pg_uuid_t *run_id)
{
	if (request->request_id != NULL)
		ef_store_answer_start_request(starter, request->request_id, run_id);
}
