/*-------------------------------------------------------------------------
 *
 * task.c
 *	  Tasks of outside programs: the branch's side of the table activity_task,
 *	  and tokens.
 *
 * A row is made when an attempt is scheduled and goes when it succeeds.  When
 * it fails it is kept until the next attempt, which gets the details of the last
 * heartbeat, or until the branch leaves the state.  Whoever wants to end an
 * attempt, the program or a timeout, has to lock the row in a state that is
 * still open; so each attempt ends once.
 *
 * A token is the name of the attempt and a secret, as 80 hexadecimal digits.
 * The table has only a hash of the secret: who can read the table, or a dump of
 * it, cannot finish other people's tasks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"

#include "engine/statement.h"
#include "engine/task.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define NE " OPERATOR(pg_catalog.<>) "
#define IS_OPEN " AND status" EQ "ANY (ARRAY['S', 'R']::pg_catalog.\"char\"[])"
#define OF_BRANCH " WHERE run_id" EQ "$1 AND branch_id" EQ "$2"

/* ---- tokens ---- */

#define TOKEN_BYTES (UUID_LEN + 4 + 4 + EF_TOKEN_SECRET_LENGTH)

void
ef_token_init(EfToken *token, const EfBranchKey *key, int32 step)
{
	token->key = *key;
	token->step = step;
	if (!pg_strong_random(token->secret, EF_TOKEN_SECRET_LENGTH))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random token")));
}

char *
ef_token_text(const EfToken *token)
{
	char		bytes[TOKEN_BYTES];
	uint32		branch_id = pg_hton32((uint32) token->key.branch_id);
	uint32		step = pg_hton32((uint32) token->step);
	char	   *text = palloc(2 * TOKEN_BYTES + 1);

	memcpy(bytes, &token->key.run_id, UUID_LEN);
	memcpy(bytes + UUID_LEN, &branch_id, 4);
	memcpy(bytes + UUID_LEN + 4, &step, 4);
	memcpy(bytes + UUID_LEN + 8, token->secret, EF_TOKEN_SECRET_LENGTH);
	text[hex_encode(bytes, TOKEN_BYTES, text)] = '\0';
	return text;
}

bool
ef_token_parse(const char *text, EfToken *token)
{
	char		bytes[TOKEN_BYTES];
	uint32		branch_id;
	uint32		step;

	if (strlen(text) != 2 * TOKEN_BYTES || strspn(text, "0123456789abcdef") != 2 * TOKEN_BYTES)
		return false;
	hex_decode(text, 2 * TOKEN_BYTES, bytes);
	memcpy(&token->key.run_id, bytes, UUID_LEN);
	memcpy(&branch_id, bytes + UUID_LEN, 4);
	memcpy(&step, bytes + UUID_LEN + 4, 4);
	memcpy(token->secret, bytes + UUID_LEN + 8, EF_TOKEN_SECRET_LENGTH);
	token->key.branch_id = (int32) pg_ntoh32(branch_id);
	token->step = (int32) pg_ntoh32(step);
	return true;
}

uint64
ef_queue_key(const char *queue)
{
	return hash_bytes_extended((const unsigned char *) queue, strlen(queue), 0);
}

/* ---- attempts ---- */

void
ef_task_insert(const EfTask *task, const uint8 *secret)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.activity_task (run_id, branch_id, step, attempt, status, priority, scheduled_at,"
		" start_by, close_by, started_at, start_to_close, heartbeat, queue, name, input, details, secret_hash)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, pg_catalog.sha256($17))",
		17, {UUIDOID, INT4OID, INT4OID, INT4OID, CHAROID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, FLOAT8OID, FLOAT8OID, TEXTOID, TEXTOID, JSONBOID, JSONBOID, BYTEAOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, &task->key.run_id);
	ef_add_int(&args, task->key.branch_id);
	ef_add_int(&args, task->step);
	ef_add_int(&args, task->attempt);
	ef_add_arg(&args, CharGetDatum(task->status), false);
	ef_add_int(&args, task->priority);
	ef_add_time(&args, task->scheduled_at);
	ef_add_time(&args, task->start_by);
	ef_add_time(&args, task->close_by);
	ef_add_time(&args, task->started_at);
	ef_add_seconds(&args, task->start_to_close);
	ef_add_seconds(&args, task->heartbeat);
	ef_add_text(&args, task->queue);
	ef_add_text(&args, task->name);
	ef_add_jsonb(&args, task->input);
	ef_add_jsonb(&args, task->details);
	if (secret)
		ef_add_bytes(&args, secret, EF_TOKEN_SECRET_LENGTH);
	else
		ef_add_arg(&args, (Datum) 0, true);
	ef_execute_alone(&statement, &args);
}

static void
add_branch(EfArguments *args, const EfBranchKey *key)
{
	ef_add_uuid(args, &key->run_id);
	ef_add_int(args, key->branch_id);
}

void
ef_task_remove_failed(const EfBranchKey *key, Jsonb **details)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.activity_task" OF_BRANCH " AND status" EQ "'F' RETURNING details",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;

	*details = NULL;
	add_branch(&args, key);
	SPI_connect();
	if (ef_execute(&statement, &args) > 0)
	{
		EfRow		row = ef_row(0, context);

		*details = ef_next_jsonb(&row);
	}
	SPI_finish();
}

bool
ef_task_lock(const EfBranchKey *key, EfTask *task)
{
	static EfStatement statement = {
		"SELECT step, attempt, status, scheduled_at, start_by, close_by, started_at, heartbeat_at, start_to_close,"
		" heartbeat, queue, worker FROM expense_flow.activity_task" OF_BRANCH IS_OPEN
		" FOR UPDATE SKIP LOCKED",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	add_branch(&args, key);
	SPI_connect();
	found = ef_execute_latest(&statement, &args) > 0;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		memset(task, 0, sizeof(*task));
		task->key = *key;
		task->step = ef_next_int(&row);
		task->attempt = ef_next_int(&row);
		task->status = ef_next_char(&row);
		task->scheduled_at = ef_next_time(&row);
		task->start_by = ef_next_time(&row);
		task->close_by = ef_next_time(&row);
		task->started_at = ef_next_time(&row);
		task->heartbeat_at = ef_next_time(&row);
		task->start_to_close = ef_next_seconds(&row);
		task->heartbeat = ef_next_seconds(&row);
		task->queue = ef_next_text(&row);
		task->worker = ef_next_text(&row);
	}
	SPI_finish();
	return found;
}

bool
ef_task_exists(const EfBranchKey *key)
{
	static EfStatement statement = {
		"SELECT FROM expense_flow.activity_task" OF_BRANCH IS_OPEN,
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};
	bool		exists;

	add_branch(&args, key);
	SPI_connect();
	exists = ef_execute_latest(&statement, &args) > 0;
	SPI_finish();
	return exists;
}

void
ef_task_fail(const EfTask *task)
{
	static EfStatement statement = {
		"UPDATE expense_flow.activity_task SET status = 'F', secret_hash = NULL" OF_BRANCH " AND step" EQ "$3",
		3, {UUIDOID, INT4OID, INT4OID}
	};
	EfArguments args = {0};

	add_branch(&args, &task->key);
	ef_add_int(&args, task->step);
	ef_execute_alone(&statement, &args);
}

void
ef_task_remove(const EfBranchKey *key)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.activity_task" OF_BRANCH " AND status" NE "'C'",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};

	add_branch(&args, key);
	ef_execute_alone(&statement, &args);
}

/*
 * ---- the end before its time ----
 *
 * Rows that another transaction has locked are left alone, so nobody waits: who takes a task or finishes it
 * finds that its branch is gone.  What is left goes with the run.
 */

#define UNLOCKED(condition) " WHERE (run_id, branch_id, step)" EQ "ANY (SELECT t.run_id, t.branch_id, t.step" \
	" FROM expense_flow.activity_task t WHERE t.run_id" EQ "$1 AND " condition " FOR UPDATE SKIP LOCKED)"
#define IS_ORPHAN "NOT " EF_TASK_HAS_BRANCH

void
ef_task_remove_of_run(const pg_uuid_t *run_id)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.activity_task" UNLOCKED("t.status" NE "'C'"),
		1, {UUIDOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_execute_alone(&statement, &args);
}

void
ef_task_cancel_orphans(const pg_uuid_t *run_id)
{
	static EfStatement cancel = {
		"UPDATE expense_flow.activity_task SET status = 'C'" UNLOCKED("t.status" EQ "'R' AND " IS_ORPHAN),
		1, {UUIDOID}
	};
	static EfStatement remove = {
		"DELETE FROM expense_flow.activity_task" UNLOCKED("t.status" NE "'C' AND " IS_ORPHAN),
		1, {UUIDOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_execute_alone(&cancel, &args);
	ef_execute_alone(&remove, &args);
}

void
ef_task_cancel(const EfBranchKey *key)
{
	static EfStatement statement = {
		"UPDATE expense_flow.activity_task SET status = 'C'" UNLOCKED("t.branch_id" EQ "$2 AND t.status" EQ "'R'"),
		2, {UUIDOID, INT4OID}
	};
	static EfStatement remove = {
		"DELETE FROM expense_flow.activity_task" UNLOCKED("t.branch_id" EQ "$2 AND t.status" NE "'C'"),
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};

	add_branch(&args, key);
	ef_execute_alone(&statement, &args);
	ef_execute_alone(&remove, &args);
}
