/*-------------------------------------------------------------------------
 *
 * fault.h
 *	  Points at which a test can make a process die, or fail.
 *
 * They stand at the boundaries between which a crash would matter, and are
 * nothing unless the library is built with -DEF_FAULT_POINTS.  A new point needs
 * no registration: test/t/071_fault_points.pl finds the names in the source, and
 * fails if its workload does not come to one of them.  The engine's statements
 * (engine/statement.c) need no points of their own: each one that writes is a
 * point by its text.
 *
 * EF_FAULT may raise an error; EF_FAULT_DEATH, for where nothing can be raised
 * (at XACT_EVENT_COMMIT, say), only dies.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FAULT_H
#define EF_FAULT_H

#ifdef EF_FAULT_POINTS

extern void ef_fault_init(void);	/* from _PG_init, first */
extern void ef_fault(const char *name, bool may_raise);
extern void ef_fault_at_statement(const char *text);

#define EF_FAULT(name) ef_fault(name, true)
#define EF_FAULT_DEATH(name) ef_fault(name, false)
#define EF_FAULT_AT_STATEMENT(text) ef_fault_at_statement(text)

#else

#define EF_FAULT(name) ((void) 0)
#define EF_FAULT_DEATH(name) ((void) 0)
#define EF_FAULT_AT_STATEMENT(text) ((void) 0)

#endif							/* EF_FAULT_POINTS */

#endif							/* EF_FAULT_H */
