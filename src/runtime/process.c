/*-------------------------------------------------------------------------
 *
 * process.c
 *	  What launcher, dispatchers and workers have in common.
 *
 * All of them sleep on their latch without a snapshot, a transaction or a
 * timeout that has no reason, end quietly at SIGTERM while idle, and are
 * interrupted at the next CHECK_FOR_INTERRUPTS() while they run a statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "compat.h"
#include "engine/engine.h"
#include "expense_flow.h"
#include "runtime/crash.h"
#include "runtime/process.h"

/*
 * Start a dispatcher or worker.  Its end, or the failure to start it, sets this
 * process's latch.  Returns false when max_worker_processes are in use.
 */
bool
ef_process_register(const char *kind, const char *function, const EfProcessStart *start,
					BackgroundWorkerHandle **handle)
{
	BackgroundWorker process;

	memset(&process, 0, sizeof(process));
	process.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	process.bgw_start_time = BgWorkerStart_RecoveryFinished;
	process.bgw_restart_time = BGW_NEVER_RESTART;
	process.bgw_notify_pid = MyProcPid;
	strlcpy(process.bgw_library_name, EF_EXTENSION_NAME, BGW_MAXLEN);
	strlcpy(process.bgw_function_name, function, BGW_MAXLEN);
	snprintf(process.bgw_type, BGW_MAXLEN, "%s %s", EF_EXTENSION_NAME, kind);
	snprintf(process.bgw_name, BGW_MAXLEN, "%s %s for database %u",
			 EF_EXTENSION_NAME, kind, start->database);
	StaticAssertStmt(sizeof(EfProcessStart) <= BGW_EXTRALEN, "EfProcessStart does not fit");
	memcpy(process.bgw_extra, start, sizeof(EfProcessStart));

	return RegisterDynamicBackgroundWorker(&process, handle);
}

static volatile sig_atomic_t told_to_end = false;

static void
note_end(SIGNAL_ARGS)
{
	told_to_end = true;
	die(postgres_signal_arg);
}

/* Another process has crashed, or this is an immediate shutdown. */
static void
quit(SIGNAL_ARGS)
{
	ef_crash_excuse();
	SignalHandlerForCrashExit(postgres_signal_arg);
}

/*
 * First thing in a process: signal handlers (signals are still blocked).
 */
const EfProcessStart *
ef_process_begin(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, note_end);
	pqsignal(SIGQUIT, quit);
	return (const EfProcessStart *) MyBgworkerEntry->bgw_extra;
}

/*
 * Did somebody tell this process to end (shutdown, pg_terminate_backend)?
 */
bool
ef_process_told_to_end(void)
{
	return told_to_end;
}

/*
 * Connect to a database (InvalidOid: to the shared catalogs only).
 *
 * Settings made for the database or by the administrator must not change what a
 * transaction of ours means: a branch is read with a snapshot that is newer than
 * the lock on it, a step need not be flushed, and how long it may take is for the
 * workflow to say.
 */
void
ef_process_connect(Oid database)
{
	static const char *const settings[][2] = {
		{"synchronous_commit", "off"},
		{"default_transaction_isolation", "read committed"},
		{"default_transaction_read_only", "off"},
		{"default_transaction_deferrable", "off"},
#ifdef EF_HAVE_TRANSACTION_TIMEOUT
		{"transaction_timeout", "0"},
#endif
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"}
	};
	int			i;

	BackgroundWorkerUnblockSignals();

	if (!OidIsValid(database))
	{
		BackgroundWorkerInitializeConnection(NULL, NULL, 0);
		return;
	}

	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	ef_in_worker = true;
	for (i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("application_name", MyBgworkerEntry->bgw_type, PGC_USERSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/*
 * Between transactions: end if asked to, reload settings.
 */
void
ef_process_interrupts(void)
{
	/* Only a process that the postmaster starts again needs to seem to have failed. */
	if (ProcDiePending)
		proc_exit(MyBgworkerEntry->bgw_restart_time == BGW_NEVER_RESTART ? 0 : 1);

	/* No statement is running that a cancel request could mean. */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();

	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/*
 * Sleep until the latch is set, or for timeout_ms unless that is negative.
 */
void
ef_process_sleep(long timeout_ms, uint32 wait_event)
{
	int			events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;

	if (timeout_ms >= 0)
		events |= WL_TIMEOUT;
	(void) WaitLatch(MyLatch, events, timeout_ms, wait_event);
	ResetLatch(MyLatch);
	ef_process_interrupts();
}

/*
 * After a transaction: do not sleep before everything was looked at once more.
 *
 * A statement may have waited: for a lock, for a page that another process reads, for asynchronous I/O.  The server
 * waits on the same latch and resets it, and with it what others meant to tell us meanwhile.
 */
void
ef_process_look_again(void)
{
	SetLatch(MyLatch);
}

/*
 * In PG_CATCH at the top of a process: report the error and abort the
 * transaction.  Conflicts between transactions are repeated without ado.
 */
void
ef_process_recover(bool quiet)
{
	int			code = geterrcode();

	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	QueryCancelPending = false;

	if (!quiet && code != ERRCODE_T_R_SERIALIZATION_FAILURE && code != ERRCODE_T_R_DEADLOCK_DETECTED)
		EmitErrorReport();

	AbortCurrentTransaction();
	MemoryContextSwitchTo(TopMemoryContext);
	FlushErrorState();
	RESUME_INTERRUPTS();
}
