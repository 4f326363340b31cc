/*-------------------------------------------------------------------------
 *
 * stuck.c
 *	  Branches that fail at each attempt.
 *
 * An activity's error is the workflow's to deal with.  Any other error, of the
 * engine's own statements, of the server's limits, of a stored definition that
 * this library cannot compile, is repeated, for many such errors go by: conflicts,
 * a disk that is full, a shutdown.  Those that do not would be repeated for ever,
 * each time with a line in the log.  So the queue's entry of a branch counts the
 * failures in a row that do not mend with time (ef_mends_with_time), and when there
 * are too many the branch is parked (engine/park.c) with the error as the reason.
 *
 * The count is in memory only: when the entry is lost, or the server starts
 * anew, it begins again.  That the branch is parked is a transaction of its own,
 * which changes one row and loads nothing; if it fails as well, the branch is
 * repeated as before, and counted from the start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "engine/engine.h"
#include "runtime/process.h"
#include "runtime/stuck.h"

/* How much of an error's message is kept, in bytes. */
#define MAX_MESSAGE 1000

/* Of the last failure that was one too many. */
static EfFailedBranch failed_branch;
static int	last_code;
static char last_message[MAX_MESSAGE + 1];

static void
keep_error(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
	ErrorData  *edata = CopyErrorData();
	const char *message = edata->message ? edata->message : "missing error text";
	int			length = strlen(message);

	last_code = edata->sqlerrcode;
	length = pg_mbcliplen(message, length, Min(length, MAX_MESSAGE));
	memcpy(last_message, message, length);
	last_message[length] = '\0';
	FreeErrorData(edata);
	MemoryContextSwitchTo(old);
}

bool
ef_stuck_count(EfEntry *entry)
{
	if (ef_mends_with_time(geterrcode()))
	{
		entry->failures = 0;
		return false;
	}
	entry->failures++;
	if (entry->failures < EF_FAILURES_TO_PARK)
		return false;
	keep_error();
	ef_get_failed_branch(&entry->key, &failed_branch);
	return true;
}

static void
describe_parking(void *arg)
{
	EfEntry    *entry = (EfEntry *) arg;
	char	   *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&entry->key.run_id)));

	errcontext("parking of run %s, branch %d", run_id, entry->key.branch_id);
}

static bool
park(const EfEntry *entry)
{
	bool		parked;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	parked = ef_park_failed_branch(&entry->key, &failed_branch,
								   psprintf("%d attempts in a row failed, the last one with %s: %s",
											entry->failures, unpack_sql_state(last_code), last_message));
	PopActiveSnapshot();
	CommitTransactionCommand();
	return parked;
}

bool
ef_stuck_park(EfEntry *entry)
{
	volatile bool parked = false;

	PG_TRY();
	{
		ErrorContextCallback context;

		context.callback = describe_parking;
		context.arg = entry;
		context.previous = error_context_stack;
		error_context_stack = &context;
		parked = park(entry);
		error_context_stack = context.previous;
	}
	PG_CATCH();
	{
		ef_process_recover(false);
	}
	PG_END_TRY();
	entry->failures = 0;
	return parked;
}
