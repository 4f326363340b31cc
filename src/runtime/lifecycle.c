/*-------------------------------------------------------------------------
 *
 * lifecycle.c
 *	  The runtime's share in the life of databases and of the extension.
 *
 * Hooks notice statements that matter to the processes:
 *
 *	  CREATE and DROP EXTENSION, CREATE and ALTER DATABASE: at commit, the
 *	  launcher or the dispatcher is asked to look.
 *
 *	  DROP DATABASE, CREATE DATABASE ... TEMPLATE, ALTER DATABASE ... RENAME or
 *	  SET TABLESPACE need a database without other sessions: ours are sent away
 *	  before, and the launcher is asked to look again afterwards.  Meanwhile the
 *	  lock on the database, which the statement would take anyway, keeps new
 *	  processes of ours out.
 *
 *	  DROP and ALTER EXTENSION need all of our tables, one after the other; where
 *	  workers were at work there would be deadlocks.  So they are sent away, too,
 *	  and come back, if they still have a reason to, when the transaction ends.
 *
 *	  COMMIT PREPARED: the same for what the prepared transaction has done, which
 *	  this process cannot know.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/syscache.h"

#include "compat.h"
#include "engine/engine.h"
#include "expense_flow.h"
#include "runtime/process.h"
#include "runtime/runtime.h"

/* How long processes may take to leave; then the statement goes on, and fails if they are still there. */
#define LEAVE_TIMEOUT_MS	10000

static object_access_hook_type prev_object_access_hook = NULL;
static ProcessUtility_hook_type prev_process_utility_hook = NULL;

/* What the current transaction has to tell: */
static bool extension_changed = false;	/* at commit: look at this database */
static bool hold_changed = false;	/* at commit: read the tables of this database */
static Oid	touched_database = InvalidOid;	/* at any end: look at that database */
static bool touched_others = false; /* and at all others */

static void note_object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg);
static void touch_database(Oid database);
static void watch_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
						  ProcessUtilityContext context, ParamListInfo params,
						  QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc);
static void at_transaction_end(XactEvent event, void *arg);
static bool changes_extension(Node *statement);
static void vacate_for(Node *statement);
static Oid	database_to_vacate(Node *statement, LOCKMODE *lockmode);
static Oid	template_to_vacate(CreatedbStmt *statement);
static bool may_copy_database(Oid database);
static void vacate_database(Oid database);
static bool send_processes_away(Oid database);
static void look_at_current_database(void);
static void look_after_commit_prepared(void);

void
ef_lifecycle_init(void)
{
	prev_object_access_hook = object_access_hook;
	object_access_hook = note_object_access;
	prev_process_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = watch_utility;
	RegisterXactCallback(at_transaction_end, NULL);
}

/*
 * Which extension it is cannot be seen here, and need not be: looking once too
 * often costs little.
 */
static void
note_object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access_hook)
		prev_object_access_hook(access, classId, objectId, subId, arg);

	if (classId == ExtensionRelationId && (access == OAT_POST_CREATE || access == OAT_DROP))
		extension_changed = true;
	else if (classId == DatabaseRelationId && (access == OAT_POST_CREATE || access == OAT_POST_ALTER))
		touch_database(objectId);
}

static void
touch_database(Oid database)
{
	if (OidIsValid(touched_database) && touched_database != database)
		touched_others = true;
	touched_database = database;
}

static void
watch_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			  ProcessUtilityContext context, ParamListInfo params,
			  QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	Node	   *statement = pstmt->utilityStmt;
	bool		commits_prepared;

	/* The statement may be freed by the time it is done. */
	commits_prepared = IsA(statement, TransactionStmt) &&
		((TransactionStmt *) statement)->kind == TRANS_STMT_COMMIT_PREPARED;

	if (context == PROCESS_UTILITY_TOPLEVEL)
		vacate_for(statement);

	if (prev_process_utility_hook)
		prev_process_utility_hook(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);

	if (commits_prepared)
		look_after_commit_prepared();
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	bool		commit = event == XACT_EVENT_COMMIT;

	if (!commit && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;

	if (commit && (extension_changed || hold_changed))
		look_at_current_database();
	if (OidIsValid(touched_database))
		ef_request_probe(touched_others ? InvalidOid : touched_database);

	extension_changed = false;
	hold_changed = false;
	touched_database = InvalidOid;
	touched_others = false;
}

/*
 * Does the statement need a database without sessions?  Then get ours out of it.
 */
static void
vacate_for(Node *statement)
{
	LOCKMODE	lockmode;
	Oid			database;

	if (changes_extension(statement))
	{
		vacate_database(MyDatabaseId);
		return;
	}
	database = database_to_vacate(statement, &lockmode);
	if (OidIsValid(database) && database != MyDatabaseId)
	{
		LockSharedObject(DatabaseRelationId, database, 0, lockmode);
		vacate_database(database);
	}
}

/*
 * Does the statement drop or alter our extension, and may the user do so?
 */
static bool
changes_extension(Node *statement)
{
	bool		found = false;
	Oid			extension;
	ListCell   *cell;

	if (IsA(statement, AlterExtensionStmt))
		found = strcmp(((AlterExtensionStmt *) statement)->extname, EF_EXTENSION_NAME) == 0;
	else if (IsA(statement, DropStmt) && ((DropStmt *) statement)->removeType == OBJECT_EXTENSION)
	{
		foreach(cell, ((DropStmt *) statement)->objects)
			found |= strcmp(strVal(lfirst(cell)), EF_EXTENSION_NAME) == 0;
	}
	if (!found || RecoveryInProgress())
		return false;

	extension = get_extension_oid(EF_EXTENSION_NAME, true);
	return OidIsValid(extension) && ef_extension_ownercheck(extension, GetUserId());
}

/*
 * The database, InvalidOid if there is none or if the statement will fail for
 * want of a right.
 */
static Oid
database_to_vacate(Node *statement, LOCKMODE *lockmode)
{
	const char *name = NULL;
	Oid			database;
	ListCell   *cell;

	*lockmode = AccessExclusiveLock;
	switch (nodeTag(statement))
	{
		case T_CreatedbStmt:
			*lockmode = ShareLock;
			return template_to_vacate((CreatedbStmt *) statement);
		case T_DropdbStmt:
			name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) statement)->subname;
			break;
		case T_AlterDatabaseStmt:
			foreach(cell, ((AlterDatabaseStmt *) statement)->options)
			{
				if (strcmp(lfirst_node(DefElem, cell)->defname, "tablespace") == 0)
					name = ((AlterDatabaseStmt *) statement)->dbname;
			}
			break;
		default:
			break;
	}
	if (name == NULL || RecoveryInProgress())
		return InvalidOid;

	database = get_database_oid(name, true);
	if (OidIsValid(database) && ef_database_ownercheck(database, GetUserId()))
		return database;
	return InvalidOid;
}

static Oid
template_to_vacate(CreatedbStmt *statement)
{
	const char *name = "template1";
	Oid			database;
	ListCell   *cell;

	foreach(cell, statement->options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			name = defGetString(option);
	}
	if (RecoveryInProgress())
		return InvalidOid;

	database = get_database_oid(name, true);
	return OidIsValid(database) && may_copy_database(database) ? database : InvalidOid;
}

static bool
may_copy_database(Oid database)
{
	HeapTuple	tuple;
	bool		may_create = false;
	bool		is_template = false;

	if (superuser())
		return true;

	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		may_create = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (HeapTupleIsValid(tuple))
	{
		is_template = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return may_create && (is_template || ef_database_ownercheck(database, GetUserId()));
}

/*
 * Send our processes away from a database and wait until they have gone.
 */
static void
vacate_database(Oid database)
{
	static uint32 wait_event = 0;
	TimestampTz began = GetCurrentTimestamp();

	touch_database(database);
	while (send_processes_away(database))
	{
		if (TimestampDifferenceExceeds(began, GetCurrentTimestamp(), LEAVE_TIMEOUT_MS))
			break;
		(void) ConditionVariableTimedSleep(&ef_shared->gone, 100,
										   ef_wait_event(&wait_event, "ExpenseFlowVacate"));
	}
	ConditionVariableCancelSleep();
}

/*
 * Returns false when there is none any more.
 */
static bool
send_processes_away(Oid database)
{
	EfDatabaseSlot *db;
	bool		found = false;
	int			i;

	LWLockAcquire(ef_shared->lock, LW_SHARED);
	for (i = 0; i < EF_MAX_PROBES; i++)
	{
		EfProbe    *probe = &ef_shared->probes[i];

		/* One that has not yet begun will wait for the lock on the database. */
		if (probe->database == database && probe->pid != 0)
		{
			kill(probe->pid, SIGTERM);
			found = true;
		}
	}
	LWLockRelease(ef_shared->lock);

	db = ef_database_lock(database);
	if (db == NULL)
		return found;
	ef_database_send_away(db);
	LWLockRelease(db->lock);

	/* The last to leave does this, but the processes may all have died already. */
	return !ef_database_try_free(db) || found;
}

/*
 * Extensions have changed, or the tables have in a way that nobody announced:
 * let the dispatcher look, or the launcher if there is no dispatcher.  Called at
 * commit: raises no error.
 */
static void
look_at_current_database(void)
{
	EfDatabaseSlot *db = ef_database_lock(MyDatabaseId);
	EfWakeList	wake = {0};
	bool		served;

	served = db != NULL && !db->leaving;
	if (db != NULL)
	{
		db->recheck = true;
		ef_wake_dispatcher(db, &wake);
		LWLockRelease(db->lock);
	}
	ef_wake_all(&wake);

	if (!served)
		ef_request_probe(MyDatabaseId);
}

/*
 * A transaction that was prepared by some other process, perhaps before a
 * restart, may have created or dropped the extension, and captured changes.
 * (One that has made a branch due cannot be prepared.)
 */
static void
look_after_commit_prepared(void)
{
	EfDatabaseSlot *db = ef_database_lock(MyDatabaseId);
	bool		served = db != NULL;

	if (served)
		LWLockRelease(db->lock);

	if (ef_extension_exists() != served)
		look_at_current_database();
	else if (served)
		ef_runtime_changes_committed();
}

/*
 * Runs that rested in a copy of a database are to go on, or others to rest from
 * now on: at commit, let the dispatcher look.
 */
void
ef_lifecycle_read_tables_anew(void)
{
	hold_changed = true;
}
