/*-------------------------------------------------------------------------
 *
 * start.c
 *	  SQL functions that start and end runs: start_workflow(), start_workflows(),
 *	  run_workflow(), terminate_workflow(), cancel_workflow(); and fail(), for
 *	  activities.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "engine/advance.h"
#include "engine/arguments.h"
#include "engine/flush.h"
#include "engine/history.h"
#include "engine/rights.h"
#include "engine/signal.h"
#include "engine/store.h"
#include "engine/update.h"
#include "errcodes.h"

PG_FUNCTION_INFO_V1(ef_start_workflow);
PG_FUNCTION_INFO_V1(ef_start_workflows);
PG_FUNCTION_INFO_V1(ef_signal_with_start);
PG_FUNCTION_INFO_V1(ef_update_with_start);
PG_FUNCTION_INFO_V1(ef_run_workflow);
PG_FUNCTION_INFO_V1(ef_terminate_workflow);
PG_FUNCTION_INFO_V1(ef_cancel_workflow);
PG_FUNCTION_INFO_V1(ef_fail);

/* ---- arguments ---- */

static int32
version_arg(FunctionCallInfo fcinfo, int arg)
{
	int32		version;

	if (PG_ARGISNULL(arg))
		return 0;
	version = PG_GETARG_INT32(arg);
	if (version <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("version must be positive")));
	return version;
}

static void
set_workflow(EfStartOptions *options, const char *name, int32 version)
{
	options->workflow = ef_workflow_to_start(name, version, GetUserId(), &options->owner);
	options->starter = options->owner == GetUserId() ? InvalidOid : GetUserId();
}

/* ---- start_workflow ---- */

/* Work started in a server without workers waits for run_pending(): say so, once. */
static void
notice_missing_workers(void)
{
	static bool said = false;

	if (said || (ef_announcement_receiver && ef_announcement_receiver->workers_run()))
		return;
	said = true;
	ereport(NOTICE,
			(errmsg("no background workers advance the workflows of this database"),
			 errhint("CALL expense_flow.run_pending() does what is due. For background workers, add expense_flow to shared_preload_libraries and restart the server.")));
}

static int
reuse_arg(FunctionCallInfo fcinfo, int arg)
{
	static const char *const on_reuse[] = {
		[EF_REUSE_ALLOW] = "allow",
		[EF_REUSE_ALLOW_IF_FAILED] = "allow_if_failed",
		[EF_REUSE_REJECT] = "reject",
	};

	return ef_word_arg(fcinfo, arg, "on_reuse", on_reuse, lengthof(on_reuse));
}

static void
read_options(FunctionCallInfo fcinfo, EfStartOptions *options)
{
	static const char *const on_conflict[] = {
		[EF_CONFLICT_FAIL] = "fail",
		[EF_CONFLICT_USE_EXISTING] = "use_existing",
		[EF_CONFLICT_TERMINATE_EXISTING] = "terminate_existing",
	};

	memset(options, 0, sizeof(*options));
	options->on_conflict = ef_word_arg(fcinfo, 3, "on_conflict", on_conflict, lengthof(on_conflict));
	options->on_reuse = reuse_arg(fcinfo, 4);
	options->delay = ef_interval_arg(fcinfo, 5, "start_delay", true);
	options->timeout = ef_interval_arg(fcinfo, 6, "run_timeout", false);
	set_workflow(options, ef_text_arg(fcinfo, 0, "workflow"), version_arg(fcinfo, 7));
}

/*
 * start_workflow(workflow text, input jsonb, workflow_id text, on_conflict text, on_reuse text,
 *				  start_delay interval, run_timeout interval, version integer, request_id text) returns uuid
 */
Datum
ef_start_workflow(PG_FUNCTION_ARGS)
{
	EfStartOptions options;
	EfRequest	request = {ef_optional_name_arg(fcinfo, 8, "request_id"), 0};
	Jsonb	   *input;
	char	   *workflow_id;
	pg_uuid_t  *run_id = palloc(sizeof(pg_uuid_t));

	read_options(fcinfo, &options);
	input = ef_input_arg(fcinfo, 1);
	workflow_id = ef_optional_name_arg(fcinfo, 2, "workflow_id");
	if (request.request_id)
		request.digest = ef_digest_jsonb(ef_digest_text(ef_digest_text(0, options.workflow->name), workflow_id), input);
	if (!ef_begin_start_request(GetUserId(), &request, run_id))
	{
		ef_start_run(&options, input, workflow_id, run_id);
		ef_answer_start_request(GetUserId(), &request, run_id);
		notice_missing_workers();
	}
	PG_RETURN_UUID_P(run_id);
}

/* ---- start_workflows ---- */

/* The elements of an array of one dimension, or an empty one; returns how many. */
static int
take_apart(ArrayType *array, const char *name, Oid type, Datum **values, bool **nulls)
{
	int			count;

	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("%s must be an array of one dimension", name)));
	deconstruct_array(array, type, -1, false, TYPALIGN_INT, values, nulls, &count);
	return count;
}

static void
inputs_arg(FunctionCallInfo fcinfo, int arg, EfRunSet *set)
{
	bool	   *nulls;
	int			i;

	ef_refuse_null(fcinfo, arg, "inputs");
	set->input_array = PG_GETARG_ARRAYTYPE_P(arg);
	set->count = take_apart(set->input_array, "inputs", JSONBOID, &set->inputs, &nulls);
	for (i = 0; i < set->count; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("input %d of %d is null", i + 1, set->count)));
		ef_check_input(DatumGetJsonbP(set->inputs[i]), "an input");
	}
}

static int
compare_workflow_ids(const void *a, const void *b)
{
	const char *const *left = *(const char *const *const *) a;
	const char *const *right = *(const char *const *const *) b;
	int			difference = strcmp(*left, *right);

	return difference != 0 ? difference : (left > right) - (left < right);
}

/* Two runs of the set cannot be open with one workflow_id. */
static void
refuse_duplicates(const EfRunSet *set)
{
	char	 ***sorted = palloc(sizeof(char **) * Max(set->count, 1));
	int			given = 0;
	int			i;

	for (i = 0; i < set->count; i++)
	{
		if (set->workflow_ids[i])
			sorted[given++] = &set->workflow_ids[i];
	}
	qsort(sorted, given, sizeof(char **), compare_workflow_ids);
	for (i = 1; i < given; i++)
	{
		if (strcmp(*sorted[i - 1], *sorted[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("workflow_ids %d and %d are both \"%s\"", (int) (sorted[i - 1] - set->workflow_ids) + 1,
							(int) (sorted[i] - set->workflow_ids) + 1, *sorted[i])));
	}
}

static void
workflow_ids_arg(FunctionCallInfo fcinfo, int arg, EfRunSet *set)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
	int			i;

	if (PG_ARGISNULL(arg))
		return;
	count = take_apart(PG_GETARG_ARRAYTYPE_P(arg), "workflow_ids", TEXTOID, &values, &nulls);
	if (count != set->count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are %d inputs and %d workflow_ids", set->count, count)));
	set->workflow_ids = palloc0(sizeof(char *) * Max(count, 1));
	for (i = 0; i < count; i++)
	{
		if (nulls[i])
			continue;
		set->workflow_ids[i] = TextDatumGetCString(values[i]);
		ef_check_name(set->workflow_ids[i], psprintf("workflow_id %d of %d", i + 1, count));
	}
	refuse_duplicates(set);
}

static void
return_runs(FunctionCallInfo fcinfo, const EfRunSet *set)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; i < set->count; i++)
	{
		Datum		values[2] = {UUIDPGetDatum(&set->run_ids[i])};
		bool		nulls[2] = {false};
		char	   *workflow_id = set->workflow_ids ? set->workflow_ids[i] : NULL;

		if (workflow_id == NULL)
			workflow_id = DatumGetCString(DirectFunctionCall1(uuid_out, values[0]));
		values[1] = CStringGetTextDatum(workflow_id);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
}

/*
 * start_workflows(workflow text, inputs jsonb[], workflow_ids text[], on_conflict text, on_reuse text,
 *				   start_delay interval, run_timeout interval, version integer) returns setof record
 */
Datum
ef_start_workflows(PG_FUNCTION_ARGS)
{
	EfStartOptions options;
	EfRunSet	set = {0};

	read_options(fcinfo, &options);
	inputs_arg(fcinfo, 1, &set);
	workflow_ids_arg(fcinfo, 2, &set);
	set.run_ids = palloc(sizeof(pg_uuid_t) * Max(set.count, 1));
	ef_start_runs(&options, &set);
	notice_missing_workers();
	return_runs(fcinfo, &set);
	return (Datum) 0;
}

/* ---- signal_with_start, update_with_start ---- */

/* Was the request made to the workflow_id's run, the open one or the last that was closed? */
static bool
was_sent(const char *workflow_id, const EfRequest *request, pg_uuid_t *run_id, Jsonb **answer)
{
	EfFoundRun	run;

	if (request->request_id == NULL ||
		(!ef_store_find_open_run(workflow_id, &run) && !ef_store_find_closed_run(workflow_id, &run)) ||
		!ef_may_access_run(GetUserId(), run.owner, run.starter))
		return false;
	*run_id = run.run_id;
	return ef_was_requested(run_id, request, answer);
}

/*
 * signal_with_start(workflow text, workflow_id text, signal text, payload jsonb, input jsonb, on_reuse text,
 *					 start_delay interval, run_timeout interval, version integer, request_id text) returns uuid
 */
Datum
ef_signal_with_start(PG_FUNCTION_ARGS)
{
	EfStartOptions options = {.on_conflict = EF_CONFLICT_USE_EXISTING};
	char	   *workflow_id = ef_name_arg(fcinfo, 1, "workflow_id");
	char	   *signal = ef_message_name_arg(fcinfo, 2, "signal");
	Jsonb	   *payload = ef_payload_arg(fcinfo, 3, "payload");
	EfRequest	request = {ef_optional_name_arg(fcinfo, 9, "request_id"), ef_signal_digest(signal, payload)};
	pg_uuid_t  *run_id = palloc(sizeof(pg_uuid_t));
	Jsonb	   *input;
	Jsonb	   *answer;

	input = ef_input_arg(fcinfo, 4);
	options.on_reuse = reuse_arg(fcinfo, 5);
	options.delay = ef_interval_arg(fcinfo, 6, "start_delay", true);
	options.timeout = ef_interval_arg(fcinfo, 7, "run_timeout", false);
	set_workflow(&options, ef_text_arg(fcinfo, 0, "workflow"), version_arg(fcinfo, 8));
	if (!was_sent(workflow_id, &request, run_id, &answer))
	{
		ef_start_run(&options, input, workflow_id, run_id);
		if (!ef_begin_request(run_id, &request, &answer))
			ef_send_signal(run_id, signal, payload);
		notice_missing_workers();
	}
	PG_RETURN_UUID_P(run_id);
}

/*
 * update_with_start(workflow text, workflow_id text, update text, payload jsonb, input jsonb, update_id text,
 *					 timeout interval, on_reuse text, run_timeout interval, version integer) returns jsonb
 */
Datum
ef_update_with_start(PG_FUNCTION_ARGS)
{
	EfStartOptions options = {.on_conflict = EF_CONFLICT_USE_EXISTING};
	char	   *workflow_id = ef_name_arg(fcinfo, 1, "workflow_id");
	char	   *update = ef_message_name_arg(fcinfo, 2, "update");
	Jsonb	   *payload = ef_payload_arg(fcinfo, 3, "payload");
	EfRequest	request = {ef_optional_name_arg(fcinfo, 5, "update_id"), ef_update_digest(update, payload)};
	Jsonb	   *input = ef_input_arg(fcinfo, 4);
	int64		timeout = ef_update_timeout_arg(fcinfo, 6);
	pg_uuid_t	run_id;
	Jsonb	   *answer;

	PreventCommandIfReadOnly("update_with_start()");
	options.on_reuse = reuse_arg(fcinfo, 7);
	options.timeout = ef_interval_arg(fcinfo, 8, "run_timeout", false);
	set_workflow(&options, ef_text_arg(fcinfo, 0, "workflow"), version_arg(fcinfo, 9));
	if (!was_sent(workflow_id, &request, &run_id, &answer))
	{
		ef_start_run(&options, input, workflow_id, &run_id);
		if (!ef_begin_request(&run_id, &request, &answer))
			answer = ef_send_update(&run_id, workflow_id, update, payload, &request, timeout);
		notice_missing_workers();
	}
	else
		ef_flush_what_is_seen();	/* another session's answer, perhaps */
	PG_RETURN_JSONB_P(answer);
}

/* ---- run_workflow ---- */

static void
raise_failure(const EfBranch *branch, const EfEnd *end)
{
	ereport(ERROR,
			(errcode(EF_ERRCODE_RUN_FAILED),
			 errmsg("workflow \"%s\" failed: %s", branch->run.workflow->name,
					end->error ? end->error : "without an error name"),
			 end->cause ? errdetail_internal("%s", end->cause) : 0));
}

/*
 * run_workflow(workflow text, input jsonb) returns jsonb
 *
 * The run is in the caller's transaction from its start to its end, so its main line needs a row only when it
 * starts other branches.
 */
Datum
ef_run_workflow(PG_FUNCTION_ARGS)
{
	EfStartOptions options = {0};
	EfBranch	branch;
	EfEnd		end = {0};
	Jsonb	   *output;

	check_stack_depth();
	set_workflow(&options, ef_text_arg(fcinfo, 0, "workflow"), 0);
	ef_prepare_run(&options, ef_input_arg(fcinfo, 1), NULL, &branch);
	branch.in_query = true;
	ef_branch_create_contexts(&branch, CurrentMemoryContext);
	ef_store_insert_run(&branch.run);
	ef_advance_to_end(&branch, &end);
	if (end.status != EF_RUN_SUCCEEDED)
		raise_failure(&branch, &end);
	output = palloc(VARSIZE(branch.data));
	memcpy(output, branch.data, VARSIZE(branch.data));
	ef_branch_delete_contexts(&branch);
	PG_RETURN_JSONB_P(output);
}

/* ---- terminate_workflow ---- */

/* terminate_workflow(workflow_id text, reason text) returns void */
Datum
ef_terminate_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	pg_uuid_t	run_id;

	if (!ef_find_run(workflow_id, &run_id) ||
		!ef_end_run(&run_id, EF_RUN_TERMINATED, NULL, ef_optional_text_arg(fcinfo, 1)))
		ef_run_is_closed(workflow_id);
	PG_RETURN_VOID();
}

/* ---- cancel_workflow ---- */

/* cancel_workflow(workflow_id text, reason text, request_id text) returns void */
Datum
ef_cancel_workflow(PG_FUNCTION_ARGS)
{
	char	   *workflow_id = ef_name_arg(fcinfo, 0, "workflow_id");
	char	   *reason = ef_optional_text_arg(fcinfo, 1);
	EfRequest	request = {ef_optional_name_arg(fcinfo, 2, "request_id"), ef_digest_text(ef_digest_text(0, "cancel"), reason)};
	pg_uuid_t	run_id;
	Jsonb	   *answer;

	if (!ef_begin_request_to(workflow_id, &request, &run_id, &answer))
		(void) ef_cancel_run(&run_id, reason);
	PG_RETURN_VOID();
}

/* ---- fail ---- */

/* fail(error text, cause text) returns void, which it never does */
Datum
ef_fail(PG_FUNCTION_ARGS)
{
	char	   *error = ef_name_arg(fcinfo, 0, "error");
	char	   *cause = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1));

	ereport(ERROR,
			(errcode(EF_ERRCODE_RAISED_BY_FAIL),
			 errmsg_internal("%s", error),
			 cause ? errdetail_internal("%s", cause) : 0));
	PG_RETURN_VOID();			/* keep compiler quiet */
}
