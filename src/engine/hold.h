/*-------------------------------------------------------------------------
 *
 * hold.h
 *	  Runs that came with a copy of a database, and rest.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_HOLD_H
#define EF_HOLD_H

/* In statements: no run up to this one is to be gone on with.  One row is read, once for each execution. */
#define EF_HELD_THROUGH \
	"coalesce((SELECT i.held_through FROM expense_flow.installation i)," \
	" '00000000-0000-0000-0000-000000000000'::pg_catalog.uuid)"

extern void ef_hold_init(void);

/* Before a session works on runs of this database: is it a copy?  Looks once a session. */
extern void ef_check_installation(void);

#endif							/* EF_HOLD_H */
