/*-------------------------------------------------------------------------
 *
 * events.h
 *	  Change events: what src/runtime and the module start may use of
 *	  src/events.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_EVENTS_H
#define EF_EVENTS_H

/*
 * Advisory lock classes (locktag_field4) of the feed.  Users' advisory locks have 1 and 2 there, so none of
 * these can collide with them.
 */
#define EF_LOCK_CLASS_FEED_WRITER	0xEF02	/* a transaction that captures; see "The feed of change events" */
#define EF_LOCK_CLASS_ANNOUNCER		0xEF03	/* the one transaction that announces */
#define EF_LOCK_CLASS_PURGE			0xEF04	/* the one transaction that purges */

/*
 * Installed by the runtime.  changes_committed is called after a transaction with captured events has become
 * visible to others (its locks are still held) and must not raise an error.  announcer_runs is asked for every
 * captured event, so it must be cheap: will a background process of this database call ef_events_announce()?
 * Where it says no, or nobody installed a receiver, the writer's own transaction sends the NOTIFY.
 */
typedef struct EfChangesReceiver
{
	void		(*changes_committed) (void);
	bool		(*announcer_runs) (void);
} EfChangesReceiver;

extern PGDLLIMPORT const EfChangesReceiver *ef_changes_receiver;

typedef enum EfAnnounceResult
{
	EF_ANNOUNCE_DONE,			/* nothing is left until the next changes_committed() */
	EF_ANNOUNCE_MORE,			/* max_events were announced: commit, and call again */
	EF_ANNOUNCE_HELD_BACK		/* committed events wait behind a writer that is still open, or whose commit has
								 * not released its locks yet: call again in some milliseconds, then less and
								 * less often */
} EfAnnounceResult;

/*
 * Send NOTIFY for events that were not announced yet, at most max_events of them, and remember how far.  To be
 * called in a transaction of its own (READ COMMITTED, as a role that owns the extension or a superuser), which
 * is made to commit synchronously.  A process that starts to announce calls it once without being woken: there
 * may be events from before a restart.  Does nothing where the extension is not installed.
 */
extern EfAnnounceResult ef_events_announce(int max_events);

extern void ef_events_init(void);	/* from _PG_init: settings and callbacks of the feed */

#endif							/* EF_EVENTS_H */
