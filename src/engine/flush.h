/*-------------------------------------------------------------------------
 *
 * flush.h
 *	  What leaves the database is on disk first.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FLUSH_H
#define EF_FLUSH_H

/* Wait until all that this process may have seen committed is on disk. */
extern void ef_flush_what_is_seen(void);

/* This transaction ends a run: let its commit wait where nobody else could wait for it. */
extern void ef_commit_end_of_run(void);

#endif							/* EF_FLUSH_H */
