/*-------------------------------------------------------------------------
 *
 * rights.h
 *	  Who is calling, whose tables these are, and who may see a run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_RIGHTS_H
#define EF_RIGHTS_H

#include "utils/uuid.h"

#include "compat.h"

/* The role that owns the extension's tables; an error if the extension is not installed in this database. */
extern Oid	ef_extension_owner(void);

/*
 * Work on the extension's tables as their owner, then be the caller again, as foreign key triggers do.
 * Abort of the (sub)transaction restores the caller too, so no PG_TRY is needed.
 */
typedef struct EfCaller
{
	Oid			userid;
	int			sec_context;
} EfCaller;

extern void ef_become_owner(EfCaller *caller);
extern void ef_become_caller(const EfCaller *caller);

/*
 * May this role see and steer a run?  If it has the privileges of the run's owner, or of the role that started
 * it (starter: InvalidOid when that is the owner).
 */
extern bool ef_may_access_run(Oid role, Oid owner, Oid starter);

/* Raises EF002: the same words for a run that does not exist and for one that is none of the caller's business. */
pg_noreturn extern void ef_no_such_run(const pg_uuid_t *run_id);

#endif							/* EF_RIGHTS_H */
