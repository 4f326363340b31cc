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

/* What they await: such names, each after the first word of addresses; returns how many there are. */
extern int	ef_addresses(const char *kind, const char *names, char ***addresses);

#endif							/* EF_RECEIVE_H */
