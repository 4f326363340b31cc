/*-------------------------------------------------------------------------
 *
 * mailbox.c
 *	  Messages to runs: sending them, and waiting for them.
 *
 * A message is a row; a branch consumes it by deleting it in the transaction in
 * which it goes on.  A branch that finds no message rests.  What must not happen
 * is that it rests just when a message is being sent, neither seeing the other.
 * Both therefore use the run's mailbox lock:
 *
 *	 sender		takes it in share mode until its transaction ends, inserts the
 *				message, looks for branches that await it, announces them
 *	 branch		finds no message; takes the lock in exclusive mode, looks again,
 *				rests
 *
 * If the branch is first, the sender waits for that short transaction's end and
 * sees that it rests.  If the sender is first, the branch does not wait for it,
 * since that could take long.  It rests "unsettled": its row says that it is due,
 * so that it is looked at again and again, by a worker after growing delays and
 * by run_pending() each time, until the lock can be had and it either finds the
 * message or settles down.  A branch also remains unsettled while another branch
 * is consuming the only message: should that transaction abort, the message is
 * there again.
 *
 * Whether there is a message is looked up in a snapshot taken after the lock,
 * whatever the isolation level.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/memutils.h"

#include "engine/engine.h"
#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/statement.h"

#define EQ " OPERATOR(pg_catalog.=) "

#define LOCK_CLASS_MAILBOX 0xEF05

/* ---- the lock ---- */

static LockAcquireResult
lock_mailbox(const pg_uuid_t *run_id, LOCKMODE mode, bool wait)
{
	uint64		hash = hash_bytes_extended((const unsigned char *) run_id, UUID_LEN, 0);
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, LOCK_CLASS_MAILBOX);
	tag.locktag_lockmethodid = DEFAULT_LOCKMETHOD;
	return LockAcquire(&tag, mode, false, !wait);
}

void
ef_lock_mailbox(const pg_uuid_t *run_id)
{
	(void) lock_mailbox(run_id, ShareLock, true);
}

/* ---- the table ---- */

static void
insert_message(const pg_uuid_t *run_id, const char *address, Jsonb *payload, TimestampTz sent_at)
{
	static EfStatement statement = {
		"INSERT INTO expense_flow.message (run_id, address, payload, sent_at) VALUES ($1, $2, $3, $4)",
		4, {UUIDOID, TEXTOID, JSONBOID, TIMESTAMPTZOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	ef_add_jsonb(&args, payload);
	ef_add_time(&args, sent_at);
	ef_execute_alone(&statement, &args);
}

/* The branches that await it, in the newest snapshot. */
static int
find_awaiting(const pg_uuid_t *run_id, const char *address, EfBranchKey **keys)
{
	static EfStatement statement = {
		"SELECT branch_id FROM expense_flow.branch WHERE run_id" EQ "$1 AND status" EQ "'M' AND $2" EQ "ANY (awaits)",
		2, {UUIDOID, TEXTOID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	int			count;
	int			i;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	SPI_connect();
	count = (int) ef_execute_latest(&statement, &args);
	*keys = MemoryContextAllocZero(context, Max(count, 1) * sizeof(EfBranchKey));
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);

		(*keys)[i].run_id = *run_id;
		(*keys)[i].branch_id = DatumGetInt32(ef_next_value(&row));
	}
	SPI_finish();
	return count;
}

/* The number of the oldest message. */
static bool
find_first(const pg_uuid_t *run_id, const char *address, int64 *message_id)
{
	static EfStatement statement = {
		"SELECT message_id FROM expense_flow.message WHERE run_id" EQ "$1 AND address" EQ "$2"
		" ORDER BY message_id LIMIT 1",
		2, {UUIDOID, TEXTOID}
	};
	EfArguments args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	SPI_connect();
	found = ef_execute(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		*message_id = DatumGetInt64(ef_next_value(&row));
	}
	SPI_finish();
	return found;
}

/* Delete the oldest message that nobody else is deleting, into the current memory context. */
static bool
receive_first(const pg_uuid_t *run_id, const char *address, EfMessage *message)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.message WHERE run_id" EQ "$1 AND address" EQ "$2 AND message_id" EQ
		"(SELECT m.message_id FROM expense_flow.message m WHERE m.run_id" EQ "$1 AND m.address" EQ "$2"
		" ORDER BY m.message_id LIMIT 1 FOR UPDATE SKIP LOCKED)"
		" RETURNING message_id, payload, sent_at",
		2, {UUIDOID, TEXTOID}
	};
	EfArguments args = {0};
	MemoryContext context = CurrentMemoryContext;
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_text(&args, address);
	message->address = pstrdup(address);
	SPI_connect();
	found = ef_execute(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		message->message_id = DatumGetInt64(ef_next_value(&row));
		message->payload = ef_next_jsonb(&row);
		message->sent_at = DatumGetTimestampTz(ef_next_value(&row));
	}
	SPI_finish();
	return found;
}

/* Is there a message of these addresses, in the newest snapshot? */
static bool
has_message(const pg_uuid_t *run_id, char *const *addresses, int naddresses)
{
	static EfStatement statement = {
		"SELECT FROM expense_flow.message WHERE run_id" EQ "$1 AND address" EQ "ANY ($2) LIMIT 1",
		2, {UUIDOID, TEXTARRAYOID}
	};
	EfArguments args = {0};
	bool		found;

	ef_add_uuid(&args, run_id);
	ef_add_texts(&args, addresses, naddresses);
	SPI_connect();
	found = ef_execute_latest(&statement, &args) > 0;
	SPI_finish();
	return found;
}

void
ef_delete_messages(const pg_uuid_t *run_id)
{
	static EfStatement statement = {
		"DELETE FROM expense_flow.message m WHERE m.run_id" EQ "$1 AND m.message_id" EQ "ANY (ARRAY("
		"SELECT f.message_id FROM expense_flow.message f WHERE f.run_id" EQ "$1 FOR UPDATE SKIP LOCKED))",
		1, {UUIDOID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_execute_alone(&statement, &args);
}

/* ---- sending ---- */

void
ef_send_message(const pg_uuid_t *run_id, const char *address, Jsonb *payload)
{
	EfBranchKey *keys;
	int			count;
	int			i;

	ef_lock_mailbox(run_id);
	insert_message(run_id, address, payload, ef_now());
	count = find_awaiting(run_id, address, &keys);
	for (i = 0; i < count; i++)
		ef_announce_due(&keys[i], ef_now());
}

/* ---- receiving ---- */

bool
ef_receive_message(const EfBranch *branch, char *const *addresses, int naddresses, EfMessage *message)
{
	int64		first = 0;
	int			from = -1;
	int			i;

	if (!branch->has_row)
		return false;			/* nobody can have sent it anything */
	if (naddresses == 1)
		return receive_first(&branch->run.run_id, addresses[0], message);
	for (i = 0; i < naddresses; i++)
	{
		int64		message_id;

		if (find_first(&branch->run.run_id, addresses[i], &message_id) &&
			(from < 0 || message_id < first))
		{
			first = message_id;
			from = i;
		}
	}
	return from >= 0 && receive_first(&branch->run.run_id, addresses[from], message);
}

bool
ef_has_message(const EfBranch *branch)
{
	return branch->status == EF_BRANCH_AWAITING &&
		has_message(&branch->run.run_id, branch->awaits, branch->nawaits);
}

/* ---- waiting ---- */

static void
set_awaits(EfBranch *branch, char *const *addresses, int naddresses)
{
	MemoryContext old;
	int			i;

	if (addresses == branch->awaits)
		return;
	old = MemoryContextSwitchTo(branch->fixed);
	branch->awaits = palloc(naddresses * sizeof(char *));
	for (i = 0; i < naddresses; i++)
		branch->awaits[i] = pstrdup(addresses[i]);
	branch->nawaits = naddresses;
	MemoryContextSwitchTo(old);
}

void
ef_rest_awaiting(EfVisit *visit, char *const *addresses, int naddresses, TimestampTz timeout_at)
{
	set_awaits(visit->branch, addresses, naddresses);
	visit->branch->timeout_at = timeout_at;
	visit->status = EF_BRANCH_AWAITING;
	visit->due_at = timeout_at;
}

/* Nobody is sending to the run, and until this transaction ends nobody will. */
static bool
can_settle(const EfBranch *branch)
{
	return lock_mailbox(&branch->run.run_id, ExclusiveLock, false) != LOCKACQUIRE_NOT_AVAIL;
}

/* The branch rests, and its row says that it is due. */
static EfAwaitResult
rest_unsettled(EfVisit *visit)
{
	const EfBranch *branch = visit->branch;

	if (branch->status == EF_BRANCH_AWAITING && branch->due_at <= visit->began_at)
		return EF_AWAIT_LATER;
	visit->due_at = visit->began_at;
	return EF_AWAIT_RESTS;
}

EfAwaitResult
ef_await_message(EfVisit *visit, char *const *addresses, int naddresses, TimestampTz timeout_at, EfMessage *message)
{
	EfBranch   *branch = visit->branch;
	bool		settled = true;

	if (ef_receive_message(branch, addresses, naddresses, message))
		return EF_AWAIT_RECEIVED;
	if (timeout_at <= visit->began_at)
		return EF_AWAIT_TIMED_OUT;
	if (branch->has_row)
	{
		settled = can_settle(branch);
		if (settled && has_message(&branch->run.run_id, addresses, naddresses))
		{
			if (ef_receive_message(branch, addresses, naddresses, message))
				return EF_AWAIT_RECEIVED;
			settled = false;	/* another branch is consuming it */
		}
	}
	ef_rest_awaiting(visit, addresses, naddresses, timeout_at);
	return settled ? EF_AWAIT_RESTS : rest_unsettled(visit);
}
