/*-------------------------------------------------------------------------
 *
 * rights.c
 *	  Who is calling, whose tables these are, and who may see a run.
 *
 * The tables belong to the role that installed the extension and nobody else
 * needs a right on them.  Functions that anybody may call check the caller
 * themselves and become that role only around their own statements.
 *
 * The rule for runs is the server's own rule for owners of objects: having the
 * privileges of the owning role (has_privs_of_role), which superusers always
 * have.  The views say the same in SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "engine/rights.h"
#include "errcodes.h"

Oid
ef_extension_owner(void)
{
	Oid			namespace = get_namespace_oid("expense_flow", true);
	Oid			relid = OidIsValid(namespace) ? get_relname_relid("run", namespace) : InvalidOid;
	HeapTuple	tuple;
	Oid			owner;

	tuple = OidIsValid(relid) ? SearchSysCache1(RELOID, ObjectIdGetDatum(relid)) : NULL;
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"expense_flow\" is not installed in this database")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
ef_become_owner(EfCaller *caller)
{
	Oid			owner = ef_extension_owner();

	GetUserIdAndSecContext(&caller->userid, &caller->sec_context);
	SetUserIdAndSecContext(owner, caller->sec_context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

void
ef_become_caller(const EfCaller *caller)
{
	SetUserIdAndSecContext(caller->userid, caller->sec_context);
}

bool
ef_may_access_run(Oid role, Oid owner, Oid starter)
{
	return has_privs_of_role(role, owner) ||
		(OidIsValid(starter) && has_privs_of_role(role, starter));
}

void
ef_no_such_run(const pg_uuid_t *run_id)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_RUN_NOT_FOUND),
			 errmsg("run \"%s\" does not exist",
					DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id))))));
}
