/*-------------------------------------------------------------------------
 *
 * receive.h
 *	  Tasks that wait for signals and updates.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_RECEIVE_H
#define EF_RECEIVE_H

#include "engine/state.h"

/* names is what follows "signal:" or "update:" in the resource: one, or several with commas between them. */
extern EfVisitResult ef_visit_signal(EfVisit *visit, const char *names);
extern EfVisitResult ef_visit_update(EfVisit *visit, const char *names);

#endif							/* EF_RECEIVE_H */
