/*-------------------------------------------------------------------------
 *
 * announce.h
 *	  What a transaction tells the rest of the world once it has committed.
 *
 * The engine only says that a branch is due at some time, that a run has closed,
 * or that what is being done for a run is to stop; it does not know who listens.  The runtime installs a receiver; in a
 * server that does not preload the library there is none, and announcements go
 * nowhere (run_pending() reads the tables).
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_ANNOUNCE_H
#define EF_ANNOUNCE_H

#include "utils/timestamp.h"
#include "utils/uuid.h"

typedef struct EfBranchKey
{
	pg_uuid_t	run_id;
	int32		branch_id;
} EfBranchKey;

typedef struct EfDueBranch
{
	EfBranchKey key;
	TimestampTz due_at;
} EfDueBranch;

/* Called after commit became visible to others; must not raise an error. */
typedef struct EfAnnouncementReceiver
{
	void		(*branches_due) (const EfDueBranch *branches, int nbranches);

	/* Before that: the transaction is about to be flushed, and then to say so.  Here errors may be raised. */
	void		(*branches_soon_due) (void);
	void		(*runs_closed) (const pg_uuid_t *run_ids, int nruns);
	void		(*interrupt_runs) (const pg_uuid_t *run_ids, int nruns);	/* cancel what workers do for them */
	bool		(*workers_run) (void);	/* do background workers serve this database? */

	void		(*read_tables_anew) (void); /* once this transaction, which is still open, has committed */

	/*
	 * Sleep until some run of this database may have closed, or timeout_ms passed.  prepare is called
	 * before the caller's check of the tables, wait after it, so that no close between is missed.
	 */
	void		(*prepare_to_wait_for_close) (const pg_uuid_t *run_id);
	void		(*wait_for_close) (const pg_uuid_t *run_id, long timeout_ms);
	void		(*end_wait_for_close) (void);

	/* A task was scheduled in each of these queues (ef_queue_key()), or given back to it. */
	void		(*tasks_scheduled) (const uint64 *queues, int nqueues);

	/* The same for a task in a queue; unserved: the caller goes without having taken any. */
	void		(*prepare_to_wait_for_task) (uint64 queue);
	void		(*wait_for_task) (uint64 queue, long timeout_ms);
	void		(*end_wait_for_task) (uint64 queue, bool unserved);
} EfAnnouncementReceiver;

extern PGDLLIMPORT const EfAnnouncementReceiver *ef_announcement_receiver;

extern void ef_announce_init(void); /* from _PG_init: registers the transaction callbacks */
extern void ef_announce_due(const EfBranchKey *key, TimestampTz due_at);
extern void ef_announce_closed(const pg_uuid_t *run_id);

/* The run was asked to cancel, or was ended: the statements that background processes run for it are to stop. */
extern void ef_announce_interrupt(const pg_uuid_t *run_id);

/* A task was scheduled; one was taken, and is there again should the (sub)transaction abort. */
extern void ef_announce_task(uint64 queue);
extern void ef_announce_task_if_aborted(uint64 queue);

#endif							/* EF_ANNOUNCE_H */
