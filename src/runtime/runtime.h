/*-------------------------------------------------------------------------
 *
 * runtime.h
 *	  What the start of the module may use of src/runtime.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_RUNTIME_H
#define EF_RUNTIME_H

/* From _PG_init: settings and, while libraries are preloaded, shared memory, hooks and the launcher. */
extern void ef_runtime_init(void);

/*
 * A transaction of this session that stored change events has committed: let the dispatcher send NOTIFY.
 * Called at XACT_EVENT_COMMIT; raises no error.
 */
extern void ef_runtime_changes_committed(void);

/* Do background processes serve the current database? */
extern bool ef_runtime_serves_database(void);

#endif							/* EF_RUNTIME_H */
