/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  Registering, dropping and granting workflows, as SQL functions.
 *
 * All writers of a workflow hold the lock of its row in "workflow".  A name that
 * is registered for the first time is inserted first, so that of two sessions
 * that register the same name at once, the second waits for the first and then
 * adds a version, or learns that the name is another's.
 *
 * A start does not lock that row: it would make every start of a popular
 * workflow write to the same tuple.  So drop_workflow() can miss a run that is
 * being started at that moment.  That is harmless, because versions are kept: the
 * run goes on to its end as if it had been started and dropped in that order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "engine/arguments.h"
#include "engine/rights.h"
#include "engine/workflow.h"
#include "errcodes.h"

#define MAX_NAME_LENGTH 255		/* characters of a workflow's name */

PG_FUNCTION_INFO_V1(ef_create_workflow);
PG_FUNCTION_INFO_V1(ef_register_built_in_workflow);
PG_FUNCTION_INFO_V1(ef_validate_workflow);
PG_FUNCTION_INFO_V1(ef_drop_workflow);
PG_FUNCTION_INFO_V1(ef_grant_start);
PG_FUNCTION_INFO_V1(ef_revoke_start);

/* A definition on its way into the registry. */
typedef struct Registration
{
	char	   *name;
	text	   *definition;
	Oid			owner;			/* of a new workflow */
	bool		run_as_owner;
	Interval   *retention;		/* NULL: the setting's */
	int32		built_in_id;	/* version_id of a built-in workflow's version; 0 for a user's workflow */
} Registration;

/* ---- arguments ---- */

static char *
name_argument(FunctionCallInfo fcinfo, int arg)
{
	char	   *name = ef_text_arg(fcinfo, arg, "workflow name");
	const char *c;

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("workflow name must not be empty")));
	if (pg_mbstrlen(name) > MAX_NAME_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("workflow name is too long"),
				 errdetail("It has %d characters; at most %d are allowed.", pg_mbstrlen(name), MAX_NAME_LENGTH)));
	for (c = name; *c != '\0'; c++)
	{
		if ((unsigned char) *c < ' ' || *c == 0x7f)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_NAME),
					 errmsg("workflow name must not contain control characters")));
	}
	return name;
}

static bool
run_as_argument(FunctionCallInfo fcinfo, int arg)
{
	static const char *const words[] = {"starter", "owner"};

	return ef_word_arg(fcinfo, arg, "run_as", words, lengthof(words)) == 1;
}

static Interval *
retention_argument(FunctionCallInfo fcinfo, int arg)
{
	Interval   *retention;
	Interval	none = {0};

	if (PG_ARGISNULL(arg))
		return NULL;
	retention = PG_GETARG_INTERVAL_P(arg);
	if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(retention), IntervalPGetDatum(&none))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("retention must not be negative")));
	/* What purge() could not take off the current time would keep it from purging anything: "timestamp out of range". */
	(void) DirectFunctionCall2(timestamptz_mi_interval, TimestampTzGetDatum(GetCurrentTimestamp()),
							   IntervalPGetDatum(retention));
	return retention;
}

/* ---- validation ---- */

static List *
problems_of(text *definition)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "workflow validation", ALLOCSET_DEFAULT_SIZES);
	List	   *problems = NIL;

	(void) asl_compile(VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition), scratch, &problems);
	MemoryContextDelete(scratch);
	return problems;
}

static void
refuse_invalid(const char *name, text *definition)
{
	List	   *problems = problems_of(definition);
	StringInfoData detail;
	ListCell   *lc;

	if (problems == NIL)
		return;
	initStringInfo(&detail);
	foreach(lc, problems)
	{
		AslProblem *problem = lfirst(lc);

		appendStringInfo(&detail, "%s%s: %s", detail.len > 0 ? "\n" : "", problem->path, problem->problem);
	}
	ereport(ERROR,
			(errcode(EF_ERRCODE_INVALID_DEFINITION),
			 errmsg("definition of workflow \"%s\" is not valid", name),
			 errdetail_internal("%s", detail.data),
			 errhint("expense_flow.validate_workflow() returns the problems as a table.")));
}

/*
 * validate_workflow(definition json) → table(path text, problem text)
 */
Datum
ef_validate_workflow(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	ef_refuse_null(fcinfo, 0, "definition");
	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, problems_of(PG_GETARG_TEXT_PP(0)))
	{
		AslProblem *problem = lfirst(lc);
		Datum		values[2] = {CStringGetTextDatum(problem->path), CStringGetTextDatum(problem->problem)};
		bool		nulls[2] = {false, false};

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---- the registry's rows ---- */

static uint64
execute(const char *query, int nargs, Oid *types, Datum *values, const char *nulls, int expected)
{
	int			result = SPI_execute_with_args(query, nargs, types, values, nulls, false, 0);

	if (result != expected)
		elog(ERROR, "unexpected result of \"%s\": %s", query, SPI_result_code_string(result));
	return SPI_processed;
}

static Datum
first_row(int column)
{
	bool		isnull;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull);
}

/* Lock a workflow's row until the end of the transaction; false if there is none. */
static bool
lock_workflow(const char *name, Oid *owner, bool *built_in)
{
	Datum		arg = CStringGetTextDatum(name);

	if (execute("SELECT owner, built_in FROM expense_flow.workflow"
				" WHERE name OPERATOR(pg_catalog.=) $1 FOR UPDATE",
				1, (Oid[]) {TEXTOID}, &arg, NULL, SPI_OK_SELECT) == 0)
		return false;
	*owner = DatumGetObjectId(first_row(1));
	*built_in = DatumGetBool(first_row(2));
	return true;
}

/* Lock the row of a workflow that the caller may change, or raise an error. */
static void
lock_own_workflow(const char *name, Oid caller)
{
	Oid			owner;
	bool		built_in;

	if (!lock_workflow(name, &owner, &built_in))
		ereport(ERROR,
				(errcode(EF_ERRCODE_WORKFLOW_NOT_FOUND),
				 errmsg("workflow \"%s\" does not exist", name)));
	if (built_in)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("workflow \"%s\" is built in", name),
				 errdetail("It belongs to the extension and cannot be changed, granted or dropped.")));
	if (!has_privs_of_role(caller, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of workflow \"%s\"", name)));
}

/* Make the row of a new workflow, or lock the one there is, and check that it may get another version. */
static void
claim_name(const Registration *r)
{
	Oid			owner;
	bool		built_in;

	do
	{
		Datum		args[3] = {CStringGetTextDatum(r->name), ObjectIdGetDatum(r->owner), BoolGetDatum(r->built_in_id != 0)};

		CHECK_FOR_INTERRUPTS();
		execute("INSERT INTO expense_flow.workflow (name, owner, built_in, current_version_id)"
				" VALUES ($1, $2, $3, 0) ON CONFLICT (name) DO NOTHING",
				3, (Oid[]) {TEXTOID, OIDOID, BOOLOID}, args, NULL, SPI_OK_INSERT);
	} while (!lock_workflow(r->name, &owner, &built_in));	/* dropped meanwhile: once more */

	if (built_in && r->built_in_id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("workflow \"%s\" is built in", r->name),
				 errhint("Register the definition under another name.")));
	if (!built_in && r->built_in_id != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("workflow \"%s\" is not built in", r->name),
				 errhint("Register it under another name and drop this one, then create or update the extension.")));
	if (!built_in && !has_privs_of_role(r->owner, owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of workflow \"%s\"", r->name)));
}

/* The version of this workflow that has this very text, made if there is none yet. */
static int32
store_version(const Registration *r, int32 *version_id)
{
	Datum		args[3] = {CStringGetTextDatum(r->name), PointerGetDatum(r->definition), Int32GetDatum(r->built_in_id)};

	if (execute("SELECT version_id, version FROM expense_flow.workflow_version"
				" WHERE workflow OPERATOR(pg_catalog.=) $1"
				" AND definition::pg_catalog.text OPERATOR(pg_catalog.=) $2::pg_catalog.text"
				" AND ($3 OPERATOR(pg_catalog.=) 0 OR version_id OPERATOR(pg_catalog.=) $3)",
				3, (Oid[]) {TEXTOID, JSONOID, INT4OID}, args, NULL, SPI_OK_SELECT) == 0)
	{
		if (r->built_in_id == 0)
			execute("INSERT INTO expense_flow.workflow_version (workflow, version, definition)"
					" SELECT $1, coalesce(pg_catalog.max(version), 0) OPERATOR(pg_catalog.+) 1, $2"
					" FROM expense_flow.workflow_version WHERE workflow OPERATOR(pg_catalog.=) $1"
					" RETURNING version_id, version",
					2, (Oid[]) {TEXTOID, JSONOID}, args, NULL, SPI_OK_INSERT_RETURNING);
		else
			execute("INSERT INTO expense_flow.workflow_version (workflow, version, definition, version_id)"
					" OVERRIDING SYSTEM VALUE"
					" SELECT $1, coalesce(pg_catalog.max(version), 0) OPERATOR(pg_catalog.+) 1, $2, $3"
					" FROM expense_flow.workflow_version WHERE workflow OPERATOR(pg_catalog.=) $1"
					" RETURNING version_id, version",
					3, (Oid[]) {TEXTOID, JSONOID, INT4OID}, args, NULL, SPI_OK_INSERT_RETURNING);
	}
	*version_id = DatumGetInt32(first_row(1));
	return DatumGetInt32(first_row(2));
}

/* Register a valid definition; returns the version's number. */
static int32
register_definition(const Registration *r)
{
	EfCaller	caller;
	int32		version_id;
	int32		version;
	Datum		args[4];

	ef_become_owner(&caller);
	SPI_connect();
	claim_name(r);
	version = store_version(r, &version_id);
	args[0] = CStringGetTextDatum(r->name);
	args[1] = Int32GetDatum(version_id);
	args[2] = BoolGetDatum(r->run_as_owner);
	args[3] = IntervalPGetDatum(r->retention);
	execute("UPDATE expense_flow.workflow SET current_version_id = $2, run_as_owner = $3, retention = $4"
			" WHERE name OPERATOR(pg_catalog.=) $1",
			4, (Oid[]) {TEXTOID, INT4OID, BOOLOID, INTERVALOID}, args,
			r->retention == NULL ? "   n" : NULL, SPI_OK_UPDATE);
	SPI_finish();
	ef_become_caller(&caller);
	return version;
}

/*
 * create_workflow(name text, definition json, run_as text, retention interval) → integer version
 */
Datum
ef_create_workflow(PG_FUNCTION_ARGS)
{
	Registration r = {0};

	r.name = name_argument(fcinfo, 0);
	ef_refuse_null(fcinfo, 1, "definition");
	r.definition = PG_GETARG_TEXT_PP(1);
	r.run_as_owner = run_as_argument(fcinfo, 2);
	r.retention = retention_argument(fcinfo, 3);
	r.owner = GetUserId();
	refuse_invalid(r.name, r.definition);
	PG_RETURN_INT32(register_definition(&r));
}

/*
 * register_built_in_workflow(name text, version_id integer, definition json) → integer version
 */
Datum
ef_register_built_in_workflow(PG_FUNCTION_ARGS)
{
	Registration r = {0};

	r.name = name_argument(fcinfo, 0);
	r.built_in_id = PG_GETARG_INT32(1);
	r.definition = PG_GETARG_TEXT_PP(2);
	r.owner = ef_extension_owner();
	if (r.built_in_id >= 0)
		elog(ERROR, "version_id of a built-in workflow must be negative");
	refuse_invalid(r.name, r.definition);
	PG_RETURN_INT32(register_definition(&r));
}

/*
 * drop_workflow(name text)
 */
Datum
ef_drop_workflow(PG_FUNCTION_ARGS)
{
	char	   *name = name_argument(fcinfo, 0);
	Datum		arg = CStringGetTextDatum(name);
	EfCaller	caller;

	ef_become_owner(&caller);
	SPI_connect();
	lock_own_workflow(name, caller.userid);
	if (execute("SELECT FROM expense_flow.workflow_version v"
				" JOIN expense_flow.run r ON r.version_id OPERATOR(pg_catalog.=) v.version_id"
				" JOIN expense_flow.branch b ON b.run_id OPERATOR(pg_catalog.=) r.run_id"
				" WHERE v.workflow OPERATOR(pg_catalog.=) $1 LIMIT 1",
				1, (Oid[]) {TEXTOID}, &arg, NULL, SPI_OK_SELECT) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("cannot drop workflow \"%s\" because it has open runs", name),
				 errhint("Wait for their end, or terminate them.")));
	execute("DELETE FROM expense_flow.workflow_grant WHERE workflow OPERATOR(pg_catalog.=) $1",
			1, (Oid[]) {TEXTOID}, &arg, NULL, SPI_OK_DELETE);
	execute("DELETE FROM expense_flow.workflow WHERE name OPERATOR(pg_catalog.=) $1",
			1, (Oid[]) {TEXTOID}, &arg, NULL, SPI_OK_DELETE);
	SPI_finish();
	ef_become_caller(&caller);
	PG_RETURN_VOID();
}

/* ---- the right to start ---- */

static void
change_grant(FunctionCallInfo fcinfo, const char *query, int expected)
{
	char	   *name = name_argument(fcinfo, 0);
	char	   *grantee = ef_text_arg(fcinfo, 1, "grantee");
	EfCaller	caller;
	Datum		args[2];

	args[0] = CStringGetTextDatum(name);
	args[1] = ObjectIdGetDatum(get_role_oid_or_public(grantee));
	ef_become_owner(&caller);
	SPI_connect();
	lock_own_workflow(name, caller.userid);
	execute(query, 2, (Oid[]) {TEXTOID, OIDOID}, args, NULL, expected);
	SPI_finish();
	ef_become_caller(&caller);
}

/*
 * grant_start(workflow text, grantee text)
 */
Datum
ef_grant_start(PG_FUNCTION_ARGS)
{
	change_grant(fcinfo,
				 "INSERT INTO expense_flow.workflow_grant (workflow, grantee) VALUES ($1, $2) ON CONFLICT DO NOTHING",
				 SPI_OK_INSERT);
	PG_RETURN_VOID();
}

/*
 * revoke_start(workflow text, grantee text)
 */
Datum
ef_revoke_start(PG_FUNCTION_ARGS)
{
	change_grant(fcinfo,
				 "DELETE FROM expense_flow.workflow_grant"
				 " WHERE workflow OPERATOR(pg_catalog.=) $1 AND grantee OPERATOR(pg_catalog.=) $2",
				 SPI_OK_DELETE);
	PG_RETURN_VOID();
}
