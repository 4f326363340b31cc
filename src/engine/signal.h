/*-------------------------------------------------------------------------
 *
 * signal.h
 *	  Sending signals: what SQL functions that do so have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_SIGNAL_H
#define EF_SIGNAL_H

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* The name of a signal or update; kind is the argument's name. */
extern char *ef_message_name_arg(FunctionCallInfo fcinfo, int arg, const char *kind);

extern int64 ef_signal_digest(const char *signal, Jsonb *payload);
extern void ef_send_signal(const pg_uuid_t *run_id, const char *signal, Jsonb *payload);

#endif							/* EF_SIGNAL_H */
