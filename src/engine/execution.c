/*-------------------------------------------------------------------------
 *
 * execution.c
 *	  arn:aws:states:::states:startExecution: child runs as the service starts
 *	  and describes them.
 *
 * The run is a child run like that of a Task with the resource workflow:NAME, and
 * child.c does all the work.  What differs is here: the workflow, its input and
 * its workflow_id come from parameters, where StateMachineArn is looked up among
 * the resource aliases; and the result, or the failure's cause, is a description
 * of the run, made when it is needed from what is stored of the run.
 *
 * Names of executions differ within a state machine, a workflow_id within the
 * database, and many definitions give a child their own name: so the workflow_id
 * is "WORKFLOW:NAME".  There are no ARNs of runs.  Where the service shows one it is
 * made of the state machine's, as the Task's parameters have it, and the name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "engine/alias.h"
#include "engine/child.h"
#include "engine/execution.h"
#include "engine/external.h"
#include "engine/service.h"
#include "engine/statement.h"

#define ACTION "states:startExecution"

#define ERROR_NO_MACHINE "StepFunctions.StateMachineDoesNotExistException"
#define ERROR_EXISTS "StepFunctions.ExecutionAlreadyExistsException"

#define EQ " OPERATOR(pg_catalog.=) "

static EfStatement run_statement = {
	"SELECT v.workflow, r.workflow_id, r.input, r.started_at, c.closed_at"
	" FROM expense_flow.run r JOIN expense_flow.workflow_version v ON v.version_id" EQ "r.version_id"
	" LEFT JOIN expense_flow.closed_run c ON c.run_id" EQ "r.run_id"
	" WHERE r.run_id" EQ "$1",
	1, {UUIDOID}
};

bool
ef_execution_pattern(const char *action, EfExecutionPattern *pattern)
{
	if (strcmp(action, ACTION) == 0 || strcmp(action, ACTION EF_TOKEN_SUFFIX) == 0)
		*pattern = EF_EXECUTION_START;
	else if (strcmp(action, ACTION ".sync") == 0)
		*pattern = EF_EXECUTION_SYNC;
	else if (strcmp(action, ACTION ".sync:2") == 0)
		*pattern = EF_EXECUTION_SYNC2;
	else
		return false;
	return true;
}

/* ---- starting it ---- */

static bool
find_workflow(const char *machine, EfExecutionRequest *request, AslError *error)
{
	const char *resource = ef_resolve_named(EF_MACHINE_PART, machine);

	if (resource == NULL)
		return asl_error(error, ERROR_NO_MACHINE, "State Machine Does Not Exist: '%s' (no resource alias matches it)", machine);
	if (strncmp(resource, EF_WORKFLOW_PREFIX, strlen(EF_WORKFLOW_PREFIX)) != 0)
		return asl_error(error, ASL_ERROR_RUNTIME,
						 "%s stands for \"%s\", and " ACTION " can only start workflows (" EF_WORKFLOW_PREFIX "…)", machine, resource);
	request->workflow = resource + strlen(EF_WORKFLOW_PREFIX);
	return true;
}

bool
ef_execution_request(Jsonb *effective, EfExecutionRequest *request, AslError *error)
{
	JsonbValue	parameters;
	char	   *machine;
	char	   *name;

	if (!ef_action_parameters(effective, ACTION, &parameters, error) ||
		!ef_name_parameter(&parameters, "StateMachineArn", &machine, error) ||
		!ef_text_parameter(&parameters, "Name", &name, error))
		return false;
	if (name && *name == '\0')
		return asl_error(error, ASL_ERROR_RUNTIME, "The field 'Name' must not be empty");
	if (!find_workflow(machine, request, error) ||
		!ef_data_parameter(&parameters, "Input", &request->input, error))
		return false;
	request->workflow_id = name ? psprintf("%s:%s", request->workflow, name) : NULL;
	return true;
}

bool
ef_execution_is_missing(const AslError *error)
{
	return error->name != NULL && strcmp(error->name, ERROR_NO_MACHINE) == 0;
}

void
ef_execution_name_failure(AslError *failure)
{
	if (strcmp(failure->name, "EF001") == 0)
		failure->name = ERROR_NO_MACHINE;
	else if (strcmp(failure->name, "EF003") == 0)
		failure->name = ERROR_EXISTS;
}

/* ---- describing it ---- */

/* What is stored of a run. */
typedef struct StoredRun
{
	char	   *name;
	Jsonb	   *input;
	TimestampTz started_at;
	TimestampTz closed_at;		/* DT_NOEND: it is open */
} StoredRun;

/*
 * The name that the Task gave the run, or else that of every run without a workflow_id.  (One that has another
 * workflow_id was started when an alias said what the Task's resource means.)
 */
static char *
name_of(const pg_uuid_t *run_id, const char *workflow, char *workflow_id)
{
	size_t		length = strlen(workflow);

	if (workflow_id == NULL)
		return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id)));
	if (strncmp(workflow_id, workflow, length) == 0 && workflow_id[length] == ':')
		return workflow_id + length + 1;
	return workflow_id;
}

/* False: it has been purged. */
static bool
load(const pg_uuid_t *run_id, StoredRun *run)
{
	MemoryContext context = CurrentMemoryContext;
	EfArguments args = {0};
	char	   *workflow = NULL;
	char	   *workflow_id = NULL;
	bool		found;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	found = ef_execute_latest(&run_statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, context);

		workflow = ef_next_text(&row);
		workflow_id = ef_next_text(&row);
		run->input = ef_next_jsonb(&row);
		run->started_at = ef_next_time(&row);
		run->closed_at = ef_next_time(&row);
	}
	SPI_finish();
	if (found)
		run->name = name_of(run_id, workflow, workflow_id);
	return found;
}

/* The StateMachineArn that the Task has given; NULL if it is gone, which only a path to random data can bring about. */
static char *
machine_of(EfVisit *visit)
{
	AslError	error;
	JsonbValue	parameters;
	Jsonb	   *effective;
	char	   *machine;

	if (!asl_effective_input(visit->state, visit->branch->data, &visit->env, &effective, NULL, &error) ||
		!ef_action_parameters(effective, ACTION, &parameters, &error) ||
		!ef_name_parameter(&parameters, "StateMachineArn", &machine, &error))
		return NULL;
	return machine;
}

static char *
execution_arn(const char *machine, const char *name)
{
	const char *part = machine ? strstr(machine, EF_MACHINE_PART) : NULL;
	const char *last;

	if (part == NULL)
		return pstrdup(name);
	last = part + strlen(EF_MACHINE_PART);
	return psprintf("%.*s:execution:%.*s:%s", (int) (part - machine), machine, (int) strcspn(last, ":"), last, name);
}

/* Dates are milliseconds since 1970, as in the service's results. */
static void
push_date(JsonbParseState **state, const char *key, TimestampTz time)
{
	const int64 epoch = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;

	if (time != DT_NOEND)
		ef_push_int(state, key, (time + epoch) / 1000);
}

/* Data, or the text of it, with what the service tells about it. */
static void
push_data(JsonbParseState **state, EfExecutionPattern pattern, const char *key, Jsonb *data)
{
	JsonbParseState *details = NULL;

	if (data == NULL)
		return;
	if (pattern == EF_EXECUTION_SYNC2)
		ef_push_jsonb(state, key, data);
	else
		ef_push_text(state, key, asl_compact_text(data, NULL));
	pushJsonbValue(&details, WJB_BEGIN_OBJECT, NULL);
	ef_push_jsonb(&details, "Included", asl_jsonb_bool(true));
	ef_push_jsonb(state, psprintf("%sDetails", key), ef_end_object(&details));
}

Jsonb *
ef_execution_started(EfVisit *visit, const pg_uuid_t *run_id)
{
	JsonbParseState *state = NULL;
	StoredRun	run;

	if (!load(run_id, &run))
		elog(ERROR, "the run that was started is missing");
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "ExecutionArn", execution_arn(machine_of(visit), run.name));
	push_date(&state, "StartDate", run.started_at);
	return ef_end_object(&state);
}

/* The service knows no difference between runs that were canceled and those that were terminated. */
static const char *
service_status(const char *status)
{
	return strcmp(status, "CANCELED") == 0 || strcmp(status, "TERMINATED") == 0 ? "ABORTED" : status;
}

EfVisitResult
ef_execution_ended(EfVisit *visit, const pg_uuid_t *run_id, const char *status, Jsonb *output,
				   const char *error, const char *cause)
{
	JsonbParseState *state = NULL;
	char	   *machine = machine_of(visit);
	StoredRun	run;
	Jsonb	   *description;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	if (load(run_id, &run))
	{
		ef_push_text(&state, "ExecutionArn", execution_arn(machine, run.name));
		ef_push_text(&state, "Name", run.name);
		push_data(&state, visit->execution, "Input", run.input);
		push_date(&state, "StartDate", run.started_at);
		push_date(&state, "StopDate", run.closed_at);
	}
	ef_push_text(&state, "StateMachineArn", machine);
	ef_push_text(&state, "Status", service_status(status));
	push_data(&state, visit->execution, "Output", output);
	ef_push_text(&state, "Error", error);
	ef_push_text(&state, "Cause", cause);
	description = ef_end_object(&state);
	if (strcmp(status, "SUCCEEDED") == 0)
		return ef_finish_task(visit, description);
	asl_error(&visit->failure, "States.TaskFailed", "%s", asl_compact_text(description, NULL));
	return EF_VISIT_FAILED;
}
