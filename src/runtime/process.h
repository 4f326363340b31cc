/*-------------------------------------------------------------------------
 *
 * process.h
 *	  The processes of the runtime (private to src/runtime).
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_PROCESS_H
#define EF_PROCESS_H

#include "postmaster/bgworker.h"

#include "runtime/shared.h"

/* What a dispatcher or worker gets to know from who starts it (bgw_extra). */
typedef struct EfProcessStart
{
	Oid			database;
	int			place;			/* of the probe, or of the worker in its slot */
	uint32		generation;		/* of that place */
	int			slot;			/* worker: index of the database's slot */
} EfProcessStart;

/*
 * How long to wait for a background worker slot, after so many vain attempts.  The first are soon repeated, since
 * other databases are only being looked at; the log is told about the third.
 */
#define EF_START_RETRY_MS(attempts)	Min(5000, 100L << Min(attempts, 10))
#define EF_START_ATTEMPTS_TO_TELL	3

/* process.c */
extern bool ef_process_register(const char *kind, const char *function, const EfProcessStart *start,
								BackgroundWorkerHandle **handle);
extern const EfProcessStart *ef_process_begin(void);
extern bool ef_process_told_to_end(void);
extern void ef_process_connect(Oid database);
extern void ef_process_interrupts(void);
extern void ef_process_sleep(long timeout_ms, uint32 wait_event);
extern void ef_process_look_again(void);
extern void ef_process_recover(bool quiet);

/* launcher.c */
extern void ef_launcher_register(void);
extern PGDLLEXPORT void ef_launcher_main(Datum main_arg);

/* dispatcher.c */
extern PGDLLEXPORT void ef_dispatcher_main(Datum main_arg);

/* worker.c */
extern PGDLLEXPORT void ef_worker_main(Datum main_arg);
extern bool ef_worker_step(EfDatabaseSlot *db, EfWorkerSlot *worker);
extern void ef_worker_gone(EfDatabaseSlot *db, EfWorkerSlot *worker);
extern void ef_worker_give_back(EfDatabaseSlot *db, EfWorkerSlot *worker, EfWakeList *wake);

/* wakeup.c */
extern void ef_wakeup_init(void);

/* lifecycle.c */
extern void ef_lifecycle_init(void);
extern void ef_lifecycle_read_tables_anew(void);

#endif							/* EF_PROCESS_H */
