/*-------------------------------------------------------------------------
 *
 * query.c
 *	  query_workflow(): asking a run something.
 *
 * What there is to know about a run is read through the views, as the caller,
 * so they decide what he may see; and in the snapshot of the statement that
 * calls us, so all of it is of the same moment.
 *
 * A query of the workflow's own is a function with the rights of the run's owner.
 * It is given what the caller may see, never anything that the caller made up
 * except args.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "engine/activity.h"
#include "engine/arguments.h"
#include "engine/run.h"
#include "engine/state.h"
#include "engine/statement.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_query_workflow);

#define EQ " OPERATOR(pg_catalog.=) "

/* ---- reading as the caller ---- */

/* The first column of the one row of a statement with one argument; false if there is no row or it is null. */
static bool
read_one(EfStatement *statement, Datum arg, Datum *value)
{
	bool		is_null;

	if (statement->plan == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(statement->text, statement->nargs, statement->argtypes);

		if (plan == NULL)
			elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		statement->plan = plan;
	}
	if (SPI_execute_plan(statement->plan, &arg, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a run");
	if (SPI_processed == 0)
		return false;
	*value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	return !is_null;
}

/* The run of a workflow_id that is open, or was closed last; or that with this run_id. */
static void
find_run(char *workflow_id, pg_uuid_t *run_id)
{
	static EfStatement by_workflow_id = {
		"SELECT run_id FROM expense_flow.run_workflow_ids WHERE workflow_id" EQ "$1"
		" ORDER BY open DESC, started_at DESC LIMIT 1",
		1, {TEXTOID}
	};
	static EfStatement by_run_id = {
		"SELECT run_id FROM expense_flow.runs WHERE run_id" EQ "$1",
		1, {UUIDOID}
	};
	Datum		value;
	bool		found;

	SPI_connect();
	found = read_one(&by_workflow_id, CStringGetTextDatum(workflow_id), &value) ||
		(ef_read_run_id(workflow_id, run_id) && read_one(&by_run_id, UUIDPGetDatum(run_id), &value));
	if (found)
		*run_id = *DatumGetUUIDP(value);
	SPI_finish();
	if (!found)
		ereport(ERROR,
				(errcode(EF_ERRCODE_RUN_NOT_FOUND),
				 errmsg("no run has workflow_id \"%s\"", workflow_id)));
}

/* ---- what every run knows ---- */

static EfStatement description = {"SELECT expense_flow.describe_run($1)", 1, {UUIDOID}};

static struct
{
	const char *name;
	EfStatement statement;
}			built_in[] =
{
	{"state", {"SELECT expense_flow.run_state($1)", 1, {UUIDOID}}},
	{"variables", {"SELECT expense_flow.run_variables($1)", 1, {UUIDOID}}},
	{"activities", {"SELECT expense_flow.run_activities($1)", 1, {UUIDOID}}},
};

static Jsonb *
read_document(EfStatement *statement, const pg_uuid_t *run_id)
{
	MemoryContext context = CurrentMemoryContext;
	Jsonb	   *document;
	Datum		value;

	SPI_connect();
	if (!read_one(statement, UUIDPGetDatum(run_id), &value))
		elog(ERROR, "the run has vanished");
	MemoryContextSwitchTo(context);
	document = DatumGetJsonbPCopy(value);
	SPI_finish();
	return document;
}

/* NULL: it is none of these. */
static Jsonb *
answer_built_in(const pg_uuid_t *run_id, const char *query)
{
	int			i;

	for (i = 0; i < lengthof(built_in); i++)
	{
		Assert(asl_is_built_in_query(built_in[i].name));
		if (strcmp(query, built_in[i].name) == 0)
			return read_document(&built_in[i].statement, run_id);
	}
	return NULL;
}

/* ---- the workflow's own ---- */

static const EfWorkflow *
workflow_of(const pg_uuid_t *run_id, Oid *owner)
{
	static EfStatement statement = {
		"SELECT version_id, owner::pg_catalog.oid FROM expense_flow.run WHERE run_id" EQ "$1",
		1, {UUIDOID}
	};
	EfArguments args = {0};
	const EfWorkflow *workflow;
	EfRow		row;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	if (ef_execute(&statement, &args) != 1)
		elog(ERROR, "the run has vanished");
	row = ef_row(0, CurrentMemoryContext);
	workflow = ef_workflow_by_version(ef_next_int(&row));
	*owner = ef_next_oid(&row);
	SPI_finish();
	if (workflow == NULL)
		elog(ERROR, "the workflow's version does not exist");
	return workflow;
}

static const AslQuery *
find_query(const EfWorkflow *workflow, const char *name)
{
	const AslMachine *machine = workflow->machine;
	StringInfoData list;
	int			i;

	initStringInfo(&list);
	for (i = 0; i < lengthof(built_in); i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", built_in[i].name);
	for (i = 0; i < machine->nqueries; i++)
	{
		if (strcmp(machine->queries[i].name, name) == 0)
			return &machine->queries[i];
		appendStringInfo(&list, ", \"%s\"", machine->queries[i].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("workflow \"%s\" has no query \"%s\"", workflow->name, name),
			 errhint("Its queries are: %s.", list.data)));
	return NULL;				/* keep compiler quiet */
}

static Jsonb *
answer_own(const pg_uuid_t *run_id, const char *name, Jsonb *args)
{
	Oid			owner;
	const AslQuery *query = find_query(workflow_of(run_id, &owner), name);
	JsonbParseState *state = NULL;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_jsonb(&state, "args", args);
	ef_push_jsonb(&state, "run", read_document(&description, run_id));
	ef_push_jsonb(&state, "state", answer_built_in(run_id, "state"));
	ef_push_jsonb(&state, "variables", answer_built_in(run_id, "variables"));
	return ef_call_read_only(query->function, owner, ef_end_object(&state));
}

/* query_workflow(workflow_id text, query text, args jsonb) returns jsonb */
Datum
ef_query_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	char	   *query = ef_name_arg(fcinfo, 1, "query");
	Jsonb	   *args = ef_payload_arg(fcinfo, 2, "args");
	pg_uuid_t	run_id;
	Jsonb	   *answer;

	check_stack_depth();		/* its function may ask again */
	find_run(workflow_id, &run_id);
	answer = answer_built_in(&run_id, query);
	if (answer == NULL)
		answer = answer_own(&run_id, query, args);
	PG_RETURN_JSONB_P(answer);
}
