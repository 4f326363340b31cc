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

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "engine/request.h"
#include "engine/statement.h"
#include "errcodes.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* ---- digests ---- */

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

/* ---- the table ---- */

/* False if it is there already; waits for others who are inserting it. */
static bool
insert_request(const pg_uuid_t *run_id, Oid starter, const char *request_id, int64 digest)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.request (run_id, starter, request_id, digest) VALUES ($1, $2, $3, $4)"
		" ON CONFLICT DO NOTHING",
		4, {UUIDOID, REGROLEOID, TEXTOID, INT8OID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_arg(&args, ObjectIdGetDatum(starter), !OidIsValid(starter));
	ef_add_text(&args, request_id);
	ef_add_arg(&args, Int64GetDatum(digest), false);
	return ef_execute_alone(&statement, &args) == 1;
}

/* In the newest snapshot. */
static bool
find_request(const pg_uuid_t *run_id, const char *request_id, int64 *digest, Jsonb **answer)
{
	static EfStatement statement = {
		"SELECT digest, answer FROM expense_flow.request WHERE run_id" EQ "$1 AND request_id" EQ "$2"
		" AND starter IS NULL",
		2, {UUIDOID, TEXTOID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, request_id);
	SPI_connect();
	found = ef_execute_latest(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		*digest = DatumGetInt64(ef_next_value(&row));
		*answer = ef_next_jsonb(&row);
	}
	SPI_finish();
	return found;
}

/* The same. */
static bool
find_start_request(Oid starter, const char *request_id, int64 *digest, pg_uuid_t *run_id)
{
	static EfStatement statement = {
		"SELECT digest, run_id FROM expense_flow.request WHERE starter" EQ "$1 AND request_id" EQ "$2"
		" AND starter IS NOT NULL",
		2, {OIDOID, TEXTOID}
	};
	EfArguments args = {0};
	bool		found;

	ef_add_arg(&args, ObjectIdGetDatum(starter), false);
	ef_add_text(&args, request_id);
	SPI_connect();
	found = ef_execute_latest(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		*digest = DatumGetInt64(ef_next_value(&row));
		ef_next_uuid(&row, run_id);
	}
	SPI_finish();
	return found;
}

/* ---- requests ---- */

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
		!find_request(run_id, request->request_id, &digest, answer))
		return false;
	check_digest(request, digest);
	return true;
}

bool
ef_begin_request(const pg_uuid_t *run_id, const EfRequest *request, Jsonb **answer)
{
	*answer = NULL;
	if (request->request_id == NULL ||
		insert_request(run_id, InvalidOid, request->request_id, request->digest))
		return false;
	if (!ef_was_requested(run_id, request, answer))
		elog(ERROR, "request \"%s\" has vanished", request->request_id);
	return true;
}

void
ef_answer_request(const pg_uuid_t *run_id, const EfRequest *request, Jsonb *answer)
{
	static EfStatement statement = {
		"UPDATE expense_flow.request SET answer = $3 WHERE run_id" EQ "$1 AND request_id" EQ "$2 AND starter IS NULL",
		3, {UUIDOID, TEXTOID, JSONBOID}
	};
	EfArguments args = {0};

	if (request->request_id == NULL)
		return;
	ef_add_uuid(&args, run_id);
	ef_add_text(&args, request->request_id);
	ef_add_jsonb(&args, answer);
	ef_execute_alone(&statement, &args);
}

bool
ef_begin_start_request(Oid starter, const EfRequest *request, pg_uuid_t *run_id)
{
	static const pg_uuid_t none = {0};
	int64		digest;

	if (request->request_id == NULL ||
		insert_request(&none, starter, request->request_id, request->digest))
		return false;
	if (!find_start_request(starter, request->request_id, &digest, run_id))
		elog(ERROR, "request \"%s\" has vanished", request->request_id);
	check_digest(request, digest);
	return true;
}

void
ef_answer_start_request(Oid starter, const EfRequest *request, const pg_uuid_t *run_id)
{
	static EfStatement statement = {
		"UPDATE expense_flow.request SET run_id = $3 WHERE starter" EQ "$1 AND request_id" EQ "$2"
		" AND starter IS NOT NULL",
		3, {OIDOID, TEXTOID, UUIDOID}
	};
	EfArguments args = {0};

	if (request->request_id == NULL)
		return;
	ef_add_arg(&args, ObjectIdGetDatum(starter), false);
	ef_add_text(&args, request->request_id);
	ef_add_uuid(&args, run_id);
	ef_execute_alone(&statement, &args);
}
