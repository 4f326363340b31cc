/*-------------------------------------------------------------------------
 *
 * flush.c
 *	  What leaves the database is on disk first.
 *
 * Workers commit asynchronously, also the step that ends a run.  A crash takes
 * back what was not flushed, effects and state together, and the steps run again;
 * so nobody may have been told before that the run had ended.  It is the one who
 * tells who waits: get_result(), and by flush_wal() the views that show the ends
 * of runs.  He seldom has to, for any commit of another session has flushed what
 * came before it, and else the WAL writer does; while a worker that waited for
 * each end would do nothing else.
 *
 * A snapshot that sees a commit was taken after its record had been inserted, so
 * it is enough to flush up to the end of the WAL at a later time.
 *
 * Where standbys are synchronous, a run's end waits for them as every commit does:
 * a reader cannot.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "fmgr.h"
#include "replication/syncrep.h"

#include "engine/flush.h"

PG_FUNCTION_INFO_V1(ef_flush_wal);

/*
 * The end of the WAL written so far, fit for XLogFlush(): GetXLogInsertRecPtr() says where the next record will
 * begin, which at the start of a page is past its header, where no WAL is yet.
 */
static XLogRecPtr
wal_end(void)
{
	XLogRecPtr	next = GetXLogInsertRecPtr();
	uint64		in_page = next % XLOG_BLCKSZ;
	uint64		header = XLogSegmentOffset(next, wal_segment_size) < XLOG_BLCKSZ ? SizeOfXLogLongPHD : SizeOfXLogShortPHD;

	return in_page == header ? next - in_page : next;
}

void
ef_flush_what_is_seen(void)
{
	/* A standby shows what was flushed by its primary. */
	if (!RecoveryInProgress())
		XLogFlush(wal_end());
}

void
ef_commit_end_of_run(void)
{
	if (SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0')
		ForceSyncCommit();
}

/* flush_wal() returns boolean: true */
Datum
ef_flush_wal(PG_FUNCTION_ARGS)
{
	ef_flush_what_is_seen();
	PG_RETURN_BOOL(true);
}
