/*-------------------------------------------------------------------------
 *
 * fault.h
 *	  Points at which a test can make a process die, or fail.
 *
 * They stand at the boundaries between which a crash would matter, and are
 * nothing unless the library is built with -DEF_FAULT_POINTS.  A new point needs
 * no registration: test/t/071_fault_points.pl finds the names in the source, and
 * fails if its workload does not come to one of them.
 *
 * Statements that write to tables of the extension, from wherever, need no points
 * of their own: the build with fault points has a hook in the executor, by which each
 * is two points, named by its text, before and after it (and what its triggers do).
 * What is written without a statement needs them: EF_FAULT_BEFORE_INSERT and
 * EF_FAULT_AFTER_INSERT, with the text of a statement that would do the same.
 *
 * EF_FAULT may raise an error; EF_FAULT_DEATH, for where nothing can be raised
 * (at XACT_EVENT_COMMIT, say), only dies.  Each is one point in our own processes
 * and another one in sessions, such as those that start runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_FAULT_H
#define EF_FAULT_H

#ifdef EF_FAULT_POINTS

extern void ef_fault_init(void);	/* from _PG_init, first */
extern void ef_fault(const char *name, bool may_raise);
extern void ef_fault_at_insert(bool before, const char *text);

#define EF_FAULT(name) ef_fault(name, true)
#define EF_FAULT_DEATH(name) ef_fault(name, false)
#define EF_FAULT_BEFORE_INSERT(text) ef_fault_at_insert(true, text)
#define EF_FAULT_AFTER_INSERT(text) ef_fault_at_insert(false, text)

#else

#define EF_FAULT(name) ((void) 0)
#define EF_FAULT_DEATH(name) ((void) 0)
#define EF_FAULT_BEFORE_INSERT(text) ((void) 0)
#define EF_FAULT_AFTER_INSERT(text) ((void) 0)

#endif							/* EF_FAULT_POINTS */

#endif							/* EF_FAULT_H */
