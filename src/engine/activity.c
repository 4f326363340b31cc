/*-------------------------------------------------------------------------
 *
 * activity.c
 *	  SQL activities: calling a function for a Task.
 *
 * The call runs in a subtransaction, so that an attempt that fails leaves no
 * effects, as the role whose rights the run has.  SECURITY_LOCAL_USERID_CHANGE
 * keeps the function from setting the role itself.  Settings that it changes
 * are undone afterwards.
 *
 * Queries and the validators of updates are called in much the same way, but
 * read-only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "asl/value.h"
#include "engine/activity.h"
#include "engine/engine.h"
#include "engine/failure.h"
#include "engine/function.h"
#include "engine/settings.h"
#include "engine/timer.h"
#include "fault.h"

/*
 * An activity that fails to be serialized, or deadlocks, this many times in a row is at fault itself; so is one
 * that finds the disk full for about ten minutes.  Counted in each process, for the branches that it repeated last;
 * where two of them share a place, one is counted anew.
 */
#define MAX_REPETITIONS 20
#define MAX_REPETITIONS_DISK_FULL 600
#define REPETITION_SLOTS 256

/* Rows of a set-returning function are read so many at a time. */
#define ROWS_AT_A_TIME 100

typedef struct Repetition
{
	uint64		subject;
	int			count;
} Repetition;

static Repetition repetitions[REPETITION_SLOTS];

/* A call in progress. */
typedef struct Execution
{
	EfActivityCall *call;
	MemoryContext context;		/* for what outlives the subtransaction */
	ResourceOwner owner;
	EfFunction *function;
	const char *converting;		/* the argument whose value is being converted */
	bool		finding;		/* the function is being looked for */
	Oid			userid;			/* who we are when we are not the run's role */
	int			sec_context;
	int			nest_level;		/* of settings, while we are */
	double		nrows;			/* rows that were taken */
	bool		refused;		/* one was not */
	EfTimer		timer;
	bool		run_ends_first; /* the timer stands for the run's deadline, not the Task's timeout */
} Execution;

/* ---- arguments ---- */

static char *
scalar_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		default:
			return NULL;		/* null */
	}
}

/* An array or object: through the server's own conversion of records. */
static Datum
populate(EfFunction *function, EfArgument *arg, Jsonb *value, bool *is_null)
{
	SPIPlanPtr	plan = ef_populate_plan(function, arg);
	JsonbParseState *state = NULL;
	JsonbValue	key;
	JsonbValue	item;
	Datum		record;

	key.type = jbvString;
	key.val.string.val = "v";
	key.val.string.len = 1;
	item.type = jbvBinary;
	item.val.binary.data = &value->root;
	item.val.binary.len = VARSIZE(value) - VARHDRSZ;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(&state, WJB_KEY, &key);
	pushJsonbValue(&state, WJB_VALUE, &item);
	record = JsonbPGetDatum(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
	if (SPI_execute_plan(plan, &record, NULL, true, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not convert an argument of an activity");
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, is_null);
}

static Datum
convert(EfFunction *function, EfArgument *arg, Jsonb *value, bool *is_null)
{
	JsonbValue	scalar;
	char	   *text;

	*is_null = false;
	if (arg->kind == EF_ARGUMENT_JSONB)
		return JsonbPGetDatum(value);
	if (arg->kind == EF_ARGUMENT_JSON)
		return CStringGetTextDatum(JsonbToCString(NULL, &value->root, VARSIZE(value)));
	if (arg->kind == EF_ARGUMENT_JSON_DOMAIN)
		return InputFunctionCall(&arg->input, JsonbToCString(NULL, &value->root, VARSIZE(value)), arg->ioparam, -1);
	if (!JsonbExtractScalar(&value->root, &scalar))
		return populate(function, arg, value, is_null);
	text = scalar_text(&scalar);
	*is_null = text == NULL;
	return InputFunctionCall(&arg->input, text, arg->ioparam, -1);
}

/* JSON null for any argument that is not JSON itself is SQL's NULL. */
static Jsonb *
argument_value(const EfArgument *arg, Jsonb *input)
{
	JsonbValue *value;

	if (arg->name == NULL)
		return input;
	value = getKeyJsonValueFromContainer(&input->root, arg->name, strlen(arg->name), NULL);
	if (value == NULL)
		elog(ERROR, "the input has lost its key \"%s\"", arg->name);
	return JsonbValueToJsonb(value);
}

/* ---- the call ---- */

static void
convert_arguments(Execution *exec, Datum *values, char *nulls)
{
	EfFunction *function = exec->function;
	bool		is_null;
	int			i;

	for (i = 0; i < function->nargs; i++)
	{
		EfArgument *arg = &function->args[i];

		exec->converting = arg->name;
		values[i] = convert(function, arg, argument_value(arg, exec->call->input), &is_null);
		nulls[i] = is_null ? 'n' : ' ';
	}
	exec->converting = NULL;
}

/* Execute the call; the result is in exec->context. */
static Jsonb *
call_function(Execution *exec)
{
	EfFunction *function = exec->function;
	Datum	   *values = palloc((function->nargs + 1) * sizeof(Datum));
	char	   *nulls = palloc(function->nargs + 1);
	MemoryContext old;
	Jsonb	   *result;
	Datum		value;
	bool		is_null;

	convert_arguments(exec, values, nulls);
	if (SPI_execute_plan(function->plan, values, nulls, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "an activity's call returned no row");
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
	old = MemoryContextSwitchTo(exec->context);
	result = is_null || function->returns_void ? asl_jsonb_null() : DatumGetJsonbPCopy(value);
	MemoryContextSwitchTo(old);
	return result;
}

static void
enter_role(const EfActivityCall *call)
{
	int			sec_context;
	Oid			userid;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(call->role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that owns the run does not exist any more")));
	GetUserIdAndSecContext(&userid, &sec_context);
	sec_context |= SECURITY_LOCAL_USERID_CHANGE;
	if (call->restricted)
		sec_context |= SECURITY_RESTRICTED_OPERATION;
	SetUserIdAndSecContext(call->role, sec_context);
}

static void
set_search_path(void)
{
	if (strcmp(namespace_search_path, ef_activity_search_path) != 0)
		(void) set_config_option("search_path", ef_activity_search_path, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * What the function has put off until the end of the transaction must not be done by then, when the role is no longer
 * the run's.  In a worker that is also what cursors WITH HOLD have still to read: nobody could fetch from them, so
 * they are closed.
 */
static void
do_what_commit_would(void)
{
	if (ef_in_worker)
		PortalHashTableDeleteAll();
	AfterTriggerFireDeferred();
	if (ef_in_worker)
		PortalHashTableDeleteAll();
}

static void
enter(Execution *exec)
{
	GetUserIdAndSecContext(&exec->userid, &exec->sec_context);
	enter_role(exec->call);
	exec->nest_level = NewGUCNestLevel();
	set_search_path();
}

static void
leave(Execution *exec)
{
	AtEOXact_GUC(false, exec->nest_level);
	SetUserIdAndSecContext(exec->userid, exec->sec_context);
}

/* Hand over the rows that have been fetched; not as the run's role.  False: no more of them. */
static bool
take_rows(Execution *exec)
{
	EfActivityCall *call = exec->call;
	SPITupleTable *rows = SPI_tuptable;
	uint64		count = SPI_processed;
	uint64		i;
	bool		good = count > 0;

	leave(exec);
	for (i = 0; good && i < count; i++)
	{
		bool		is_null;
		Datum		value = SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &is_null);
		MemoryContext old = MemoryContextSwitchTo(rows->tuptabcxt);
		Jsonb	   *row = is_null ? asl_jsonb_null() : DatumGetJsonbP(value);

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(exec->context);
		exec->refused = !call->take_row(row, call->finish_arg, &call->failure);
		good = !exec->refused && !(call->max_rows > 0 && ++exec->nrows >= call->max_rows);
		MemoryContextSwitchTo(old);
	}
	SPI_freetuptable(rows);
	enter(exec);
	return good;
}

/* Read the rows of a set-returning function, some at a time, in one snapshot. */
static void
read_rows(Execution *exec)
{
	EfFunction *function = exec->function;
	Datum	   *values = palloc((function->nargs + 1) * sizeof(Datum));
	char	   *nulls = palloc(function->nargs + 1);
	Portal		portal;

	convert_arguments(exec, values, nulls);
	portal = SPI_cursor_open(NULL, ef_rows_plan(function), values, nulls, false);
	do
	{
		CHECK_FOR_INTERRUPTS();
		SPI_cursor_fetch(portal, true, ROWS_AT_A_TIME);
	} while (take_rows(exec));
	SPI_cursor_close(portal);
}

/* Do what the call is for. */
static Jsonb *
do_work(Execution *exec)
{
	EfActivityCall *call = exec->call;
	Jsonb	   *result = NULL;

	if (call->body)
		return call->body(call->finish_arg);
	exec->finding = true;
	exec->function = ef_get_function(call->function, call->whole_input ? NULL : call->input);
	exec->finding = false;
	if (call->take_row && exec->function->rows_text)
		read_rows(exec);
	else
		result = call_function(exec);
	ef_release_function(exec->function);
	exec->function = NULL;
	return result;
}

/* All that happens as the run's role, inside the subtransaction. */
static Jsonb *
execute_as_role(Execution *exec)
{
	EfActivityCall *call = exec->call;
	Jsonb	   *result;

	enter(exec);
	SPI_connect();
	result = do_work(exec);
	SPI_finish();
	if (call->fire_triggers)
		do_what_commit_would();
	leave(exec);
	return result;
}

/* ---- timeouts ---- */

static void
start_timer(Execution *exec)
{
	const EfActivityCall *call = exec->call;
	int64		limit = PG_INT64_MAX;

	if (call->timeout_seconds > 0 && call->timeout_seconds < 1e9)
		limit = (int64) (call->timeout_seconds * USECS_PER_SEC);
	exec->run_ends_first = call->remaining < limit;
	ef_timer_start(&exec->timer, Min(limit, call->remaining));
}

static EfActivityResult
timed_out(Execution *exec)
{
	EfActivityCall *call = exec->call;

	if (exec->run_ends_first)
		return EF_ACTIVITY_RUN_TIMED_OUT;
	call->failure.name = "States.Timeout";
	call->failure.cause = psprintf("the activity took longer than its timeout (%g s)", call->timeout_seconds);
	return EF_ACTIVITY_TIMED_OUT;
}

/* ---- failures ---- */

/* Count another repetition for this branch. */
static int
count_repetition(uint64 subject)
{
	Repetition *repetition = &repetitions[subject % REPETITION_SLOTS];

	if (repetition->subject != subject)
	{
		repetition->subject = subject;
		repetition->count = 0;
	}
	return ++repetition->count;
}

static void
forget_repetitions(uint64 subject)
{
	Repetition *repetition = &repetitions[subject % REPETITION_SLOTS];

	if (repetition->subject == subject)
		repetition->count = 0;
}

static void
end_subtransaction(Execution *exec, bool commit)
{
	if (commit)
		ReleaseCurrentSubTransaction();
	else
		RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(exec->context);
	CurrentResourceOwner = exec->owner;
}

/* The function has returned: use its result, and decide whether the attempt stands. */
static EfActivityResult
conclude(Execution *exec, Jsonb *result)
{
	EfActivityCall *call = exec->call;
	bool		good;

	MemoryContextSwitchTo(exec->context);
	forget_repetitions(call->subject);
	ef_timer_stop(&exec->timer);
	if (exec->timer.fired)		/* and the function went on in spite of it */
	{
		end_subtransaction(exec, false);
		return timed_out(exec);
	}
	good = !exec->refused && call->finish(result, call->finish_arg, &call->failure);
	end_subtransaction(exec, good);
	return good ? EF_ACTIVITY_SUCCEEDED : EF_ACTIVITY_FAILED;
}

/* Is this error not the activity's, but somebody's wish, or the engine's to repeat? */
static bool
is_to_be_raised(const Execution *exec, const ErrorData *edata)
{
	if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return exec->call->nested || !ef_in_worker || ef_timer_outer_fired(&exec->timer);
	if (ProcDiePending)
		return true;
	if (edata->sqlerrcode == ERRCODE_DISK_FULL)
		return count_repetition(exec->call->subject) <= MAX_REPETITIONS_DISK_FULL;
	return ef_is_repeatable(edata->sqlerrcode) && count_repetition(exec->call->subject) <= MAX_REPETITIONS;
}

/* What the cause says besides the message: where the error is not the function's own, also how to avoid it. */
static void
describe(const Execution *exec, const ErrorData *edata)
{
	AslError   *failure = &exec->call->failure;

	ef_failure_from_error(edata, failure);
	if (exec->converting)
		failure->cause = psprintf("argument \"%s\": %s", exec->converting, failure->cause);
	if (exec->finding && edata->hint)
		failure->cause = psprintf("%s: %s", failure->cause, edata->hint);
}

/* The current error has been caught. */
static EfActivityResult
fail(Execution *exec)
{
	EfActivityCall *call = exec->call;
	ErrorData  *edata;
	bool		canceled;

	/* First of all: the timer is on the stack, and what follows may fail for want of memory. */
	ef_timer_stop(&exec->timer);
	MemoryContextSwitchTo(exec->context);
	edata = CopyErrorData();
	FlushErrorState();
	canceled = edata->sqlerrcode == ERRCODE_QUERY_CANCELED;
	if (exec->function)
		ef_release_function(exec->function);
	end_subtransaction(exec, false);
	if (canceled && exec->timer.fired)
		return timed_out(exec);
	if (is_to_be_raised(exec, edata))
		ReThrowError(edata);
	forget_repetitions(call->subject);
	describe(exec, edata);
	FreeErrorData(edata);
	return canceled ? EF_ACTIVITY_INTERRUPTED : EF_ACTIVITY_FAILED;
}

EfActivityResult
ef_call_activity(EfActivityCall *call)
{
	volatile EfActivityResult status = EF_ACTIVITY_FAILED;
	Execution	exec = {.call = call, .context = CurrentMemoryContext, .owner = CurrentResourceOwner};

	EF_FAULT("before an activity");
	BeginInternalSubTransaction(NULL);
	start_timer(&exec);
	PG_TRY();
	{
		status = conclude(&exec, execute_as_role(&exec));
	}
	PG_CATCH();
	{
		status = fail(&exec);
	}
	PG_END_TRY();
	EF_FAULT("after an activity");
	return status;
}

/*
 * The subtransaction is read-only, which nothing inside can change, and is rolled back in any case.
 */
Jsonb *
ef_call_read_only(const char *function, Oid role, Jsonb *argument)
{
	EfActivityCall call = {.function = function, .role = role, .input = argument, .whole_input = true,
	.restricted = true};
	Execution	exec = {.call = &call, .context = CurrentMemoryContext, .owner = CurrentResourceOwner};
	Jsonb	   *volatile result = NULL;

	BeginInternalSubTransaction(NULL);
	XactReadOnly = true;
	PG_TRY();
	{
		result = execute_as_role(&exec);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(exec.context);
		edata = CopyErrorData();
		FlushErrorState();
		if (exec.function)
			ef_release_function(exec.function);
		end_subtransaction(&exec, false);
		ReThrowError(edata);
	}
	PG_END_TRY();
	end_subtransaction(&exec, false);
	return result;
}

void
ef_activity_init(void)
{
	ef_function_init();
}
