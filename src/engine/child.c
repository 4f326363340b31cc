/*-------------------------------------------------------------------------
 *
 * child.c
 *	  Child runs: Tasks whose work is another run.
 *
 * The child is started in the transaction in which its parent's branch comes to
 * rest, so either both happen or neither.  It is a run like any other, advanced
 * by any worker.  Its row says which branch of which run waits for it.  When it
 * closes, the same transaction sends its outcome to the parent, as a message to
 * the address child:RUN_ID.  The branch awaits that very address, so that what a
 * child tells which the branch has given up (a timeout, a retry) reaches nobody.
 *
 * Locks are taken from parent to child: who ends a parent goes on to end its
 * children.  A child that closes takes no lock of its parent's rows, only the
 * parent's mailbox, as every sender does.
 *
 * In run_workflow() nobody else could advance the child, so it is advanced where
 * it is started.
 *
 * visit->execution tells Tasks that start their child by the service's own action;
 * execution.c knows what they ask for and what they get.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "catalog/pg_authid.h"

#include "engine/advance.h"
#include "engine/child.h"
#include "engine/flush.h"
#include "engine/execution.h"
#include "engine/external.h"
#include "engine/failure.h"
#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/service.h"
#include "engine/statement.h"
#include "engine/store.h"
#include "engine/task.h"
#include "engine/task.h"

#define ADDRESS_CHILD "child:"

#define EQ " OPERATOR(pg_catalog.=) "

/* Open children of a run: there is a main line. */
#define OPEN_CHILDREN \
	"SELECT c.run_id, c.close_policy FROM expense_flow.run c" \
	" JOIN expense_flow.branch m ON m.run_id" EQ "c.run_id AND m.branch_id" EQ "0" \
	" WHERE c.parent_run_id" EQ "$1"

static EfStatement children_statement = {OPEN_CHILDREN, 1, {UUIDOID}};

static EfStatement orphans_statement = {
	OPEN_CHILDREN " AND c.parent_branch_id IS NOT NULL AND NOT EXISTS (SELECT FROM expense_flow.branch b"
	" WHERE b.run_id" EQ "c.parent_run_id AND b.branch_id" EQ "c.parent_branch_id"
	" AND b.status OPERATOR(pg_catalog.<>) 'K')",	/* a main line that compensates waits for it no more */
	1, {UUIDOID}
};

static EfStatement parent_statement = {
	"SELECT parent_run_id, parent_branch_id FROM expense_flow.run WHERE run_id" EQ "$1 AND parent_run_id IS NOT NULL",
	1, {UUIDOID}
};

static char *
text_of(const pg_uuid_t *run_id)
{
	return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(run_id)));
}

static const char *
status_name(char status)
{
	switch (status)
	{
		case EF_RUN_SUCCEEDED:
			return "SUCCEEDED";
		case EF_RUN_TIMED_OUT:
			return "TIMED_OUT";
		case EF_RUN_CANCELED:
			return "CANCELED";
		case EF_RUN_TERMINATED:
			return "TERMINATED";
		default:
			return "FAILED";
	}
}

/* ---- ending children ---- */

static void
end_child(const pg_uuid_t *run_id, char policy)
{
	switch (policy)
	{
		case EF_CLOSE_TERMINATE:
			if (ef_end_run(run_id, EF_RUN_TERMINATED, NULL, "its parent run has closed"))
				ef_commit_end_of_run();
			break;
		case EF_CLOSE_CANCEL:
			(void) ef_cancel_run(run_id, "its parent run has closed");
			break;
		default:
			break;
	}
}

static void
end_children(EfStatement *statement, const pg_uuid_t *run_id)
{
	EfArguments args = {0};
	pg_uuid_t  *children;
	char	   *policies;
	uint64		count;
	uint64		i;
	MemoryContext context = CurrentMemoryContext;

	check_stack_depth();
	ef_add_uuid(&args, run_id);
	SPI_connect();
	count = ef_execute_latest(statement, &args);
	children = MemoryContextAlloc(context, (count + 1) * sizeof(pg_uuid_t));
	policies = MemoryContextAlloc(context, count + 1);
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);

		ef_next_uuid(&row, &children[i]);
		policies[i] = ef_next_char(&row);
	}
	SPI_finish();
	for (i = 0; i < count; i++)
		end_child(&children[i], policies[i]);
}

void
ef_parent_has_closed(const pg_uuid_t *run_id)
{
	end_children(&children_statement, run_id);
}

void
ef_end_orphans(const EfRun *run)
{
	if (!run->workflow->receives)
		return;
	end_children(&orphans_statement, &run->run_id);
	ef_task_cancel_orphans(&run->run_id);
}

/* ---- the outcome ---- */

static void
tell(const pg_uuid_t *parent, const pg_uuid_t *child, char status, Jsonb *output, const char *error, const char *cause)
{
	JsonbParseState *state = NULL;
	EfFoundRun	run;

	if (!ef_store_find_run(parent, &run) || !run.open)
		return;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "status", status_name(status));
	ef_push_jsonb(&state, "output", output);
	ef_push_text(&state, "error", error);
	ef_push_text(&state, "cause", cause);
	ef_send_message(parent, psprintf("%s%s", ADDRESS_CHILD, text_of(child)),
					ef_end_object(&state));
}

void
ef_tell_parent(const EfRun *run, char status, Jsonb *output, const char *error, const char *cause)
{
	if (run->has_parent && run->parent_branch_id >= 0)
		tell(&run->parent_run_id, &run->run_id, status, output, error, cause);
}

void
ef_tell_parent_of(const pg_uuid_t *run_id, char status, const char *error, const char *cause)
{
	EfArguments args = {0};
	pg_uuid_t	parent;
	bool		waits = false;

	ef_add_uuid(&args, run_id);
	SPI_connect();
	if (ef_execute(&parent_statement, &args) == 1)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		ef_next_uuid(&row, &parent);
		(void) ef_next_value(&row);
		waits = !row.is_null;
	}
	SPI_finish();
	if (waits)
		tell(&parent, run_id, status, NULL, error, cause);
}

static char *
get_text(Jsonb *object, const char *key)
{
	JsonbValue *value = getKeyJsonValueFromContainer(&object->root, key, strlen(key), NULL);

	return value && value->type == jbvString ? pnstrdup(value->val.string.val, value->val.string.len) : NULL;
}

/*
 * The child's failure is the Task's.  One that was canceled or terminated by somebody has names of its own: the error
 * Canceled is for a run that was asked to cancel itself.
 */
static EfVisitResult
fail(EfVisit *visit, const char *run_id, const char *status, const char *error, const char *cause)
{
	JsonbParseState *state = NULL;
	Jsonb	   *whole;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "run_id", run_id);
	ef_push_text(&state, "status", status);
	ef_push_text(&state, "error", error);
	ef_push_text(&state, "cause", cause);
	whole = ef_end_object(&state);
	if (strcmp(status, "CANCELED") == 0)
		error = "ChildCanceled";
	else if (strcmp(status, "TERMINATED") == 0)
		error = "ChildTerminated";
	visit->failure.name = unconstify(char *, error);
	visit->failure.cause = JsonbToCString(NULL, &whole->root, VARSIZE(whole));
	return EF_VISIT_FAILED;
}

/* The child has ended; output is there if it succeeded. */
static EfVisitResult
end(EfVisit *visit, const pg_uuid_t *run_id, const char *status, Jsonb *output, const char *error, const char *cause)
{
	if (output == NULL)
		ef_add_event(visit, EF_EVENT_FAILED);
	if (visit->execution != EF_EXECUTION_NONE)
		return ef_execution_ended(visit, run_id, status, output, error, cause);
	if (output)
		return ef_finish_task(visit, output);
	return fail(visit, text_of(run_id), status, error, cause);
}

static EfVisitResult
take_outcome(EfVisit *visit, const pg_uuid_t *run_id, Jsonb *outcome)
{
	char	   *status = get_text(outcome, "status");
	JsonbValue *output = getKeyJsonValueFromContainer(&outcome->root, "output", strlen("output"), NULL);

	if (status == NULL)
		elog(ERROR, "a child run's message has no status");
	return end(visit, run_id, status, output ? JsonbValueToJsonb(output) : NULL,
			   get_text(outcome, "error"), get_text(outcome, "cause"));
}

/* What the service's action starts without waiting is left alone. */
static char
close_policy(const EfVisit *visit)
{
	if (visit->execution == EF_EXECUTION_START && visit->state->close_policy == ASL_CLOSE_DEFAULT)
		return EF_CLOSE_ABANDON;
	switch (visit->state->close_policy)
	{
		case ASL_CLOSE_CANCEL:
			return EF_CLOSE_CANCEL;
		case ASL_CLOSE_ABANDON:
			return EF_CLOSE_ABANDON;
		default:
			return EF_CLOSE_TERMINATE;
	}
}

static bool
is_of_token(const EfMessage *message)
{
	return strncmp(message->address, EF_ADDRESS_TASK, strlen(EF_ADDRESS_TASK)) == 0;
}

/* The child's address comes first; a second one is that of the Task's token. */
static EfVisitResult
await_outcome(EfVisit *visit, char *const *addresses, int naddresses, TimestampTz timeout_at)
{
	char	   *child = pstrdup(addresses[0] + strlen(ADDRESS_CHILD));
	pg_uuid_t  *run_id = DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(child)));
	EfAwaitResult awaited;
	EfMessage	message;
	EfVisitResult result;

	if (naddresses > 1 && visit->branch->status == EF_BRANCH_AWAITING && ef_token_is_busy(visit))
		return EF_VISIT_LATER;
	do
	{
		awaited = ef_await_message(visit, addresses, naddresses, timeout_at, &message);
		if (awaited == EF_AWAIT_RESTS)
			return EF_VISIT_RESTS;
		if (awaited == EF_AWAIT_LATER)
			return EF_VISIT_LATER;
		if (awaited == EF_AWAIT_RECEIVED && is_of_token(&message) &&
			ef_take_token_outcome(visit, message.payload, &result))
			return result;
	} while (awaited == EF_AWAIT_RECEIVED && is_of_token(&message));
	if (naddresses > 1)
		ef_close_token(visit);
	if (awaited == EF_AWAIT_RECEIVED)
		return take_outcome(visit, run_id, message.payload);
	ef_add_event(visit, EF_EVENT_TIMED_OUT);
	end_child(run_id, close_policy(visit));
	visit->failure.name = "States.Timeout";
	visit->failure.cause = psprintf("the child run %s took longer than the Task's timeout", child);
	return EF_VISIT_FAILED;
}

/* ---- cancelling ---- */

bool
ef_awaits_child_run(const EfBranch *branch)
{
	return branch->status == EF_BRANCH_AWAITING && branch->nawaits >= 1 &&
		strncmp(branch->awaits[0], ADDRESS_CHILD, strlen(ADDRESS_CHILD)) == 0;
}

EfVisitResult
ef_cancel_child_run(EfVisit *visit)
{
	EfBranch   *branch = visit->branch;
	Datum		child = DirectFunctionCall1(uuid_in, CStringGetDatum(branch->awaits[0] + strlen(ADDRESS_CHILD)));
	EfVisitResult result;

	if (visit->state->close_policy != ASL_CLOSE_ABANDON)
	{
		/* It was asked before, or is closed, when this is not the first visit since the request. */
		(void) ef_cancel_run(DatumGetUUIDP(child), branch->cancel_reason);
		result = await_outcome(visit, branch->awaits, branch->nawaits, branch->timeout_at);
		if (result == EF_VISIT_RESTS || result == EF_VISIT_LATER)
			return result;
	}
	else if (branch->nawaits > 1)
	{
		if (ef_token_is_busy(visit))
			return EF_VISIT_LATER;
		ef_close_token(visit);
	}
	visit->nevents = 0;
	ef_add_event(visit, EF_EVENT_FAILED);
	return ef_deliver_cancel(visit);
}

/* ---- starting ---- */

typedef struct ChildStart
{
	EfVisit    *visit;
	const char *workflow;
	Jsonb	   *input;
	char	   *workflow_id;	/* NULL: none */
	bool		detached;		/* the Task does not wait */
	pg_uuid_t	run_id;
} ChildStart;

/* As the parent's role, which must be allowed to start the workflow. */
static void
start_as_owner(ChildStart *start)
{
	EfBranch   *branch = start->visit->branch;
	const AslState *state = start->visit->state;
	EfRun	   *parent = &branch->run;
	EfStartOptions options = {.parent = parent, .close_policy = close_policy(start->visit)};
	bool		waits = !start->detached && !branch->in_query;
	int			sec_context;
	Oid			userid;

	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(parent->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that owns the run does not exist any more")));
	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(parent->owner, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	options.parent_branch_id = waits ? branch->branch_id : -1;
	options.workflow = ef_workflow_to_start(start->workflow, state->workflow_version, parent->owner, &options.owner);
	options.starter = options.owner == parent->owner ? parent->starter : parent->owner;
	ef_start_run(&options, start->input, start->workflow_id, &start->run_id);
	SetUserIdAndSecContext(userid, sec_context);
}

/* Is this error the engine's to repeat, or somebody's wish? */
static bool
is_to_be_raised(int sqlerrcode)
{
	return ef_is_repeatable(sqlerrcode) || sqlerrcode == ERRCODE_QUERY_CANCELED || ProcDiePending;
}

/* False: it cannot be started, and visit->failure says why. */
static bool
start_child(ChildStart *start)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool started = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		start_as_owner(start);
		ReleaseCurrentSubTransaction();
		started = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (is_to_be_raised(edata->sqlerrcode))
			ReThrowError(edata);
		ef_failure_from_error(edata, &start->visit->failure);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return started;
}

/* Advance the child to its end here and now. */
static EfVisitResult
run_in_place(EfVisit *visit, const pg_uuid_t *run_id)
{
	EfBranch	child = {0};
	EfBranchKey key = {.run_id = *run_id};
	EfEnd		how = {0};

	check_stack_depth();
	ef_branch_create_contexts(&child, CurrentMemoryContext);
	if (!ef_store_load_branch(&key, &child))
		elog(ERROR, "the child run is missing");
	child.in_query = true;
	ef_advance_to_end(&child, &how);
	return end(visit, run_id, status_name(how.status), how.status == EF_RUN_SUCCEEDED ? child.data : NULL, how.error, how.cause);
}

static Jsonb *
started_result(const ChildStart *start)
{
	JsonbParseState *state = NULL;
	char	   *run_id = text_of(&start->run_id);

	if (start->visit->execution != EF_EXECUTION_NONE)
		return ef_execution_started(start->visit, &start->run_id);
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, "run_id", run_id);
	ef_push_text(&state, "workflow_id", start->workflow_id ? start->workflow_id : run_id);
	return ef_end_object(&state);
}

/* As the service's action asks for it, in the Task's effective input. */
static bool
read_execution(ChildStart *start, Jsonb *effective)
{
	EfExecutionRequest request;

	if (!ef_execution_request(effective, &request, &start->visit->failure))
		return false;
	start->workflow = request.workflow;
	start->input = request.input;
	start->workflow_id = request.workflow_id;
	start->detached = start->visit->execution == EF_EXECUTION_START;
	return true;
}

/* What to start; false: the visit has failed. */
static bool
read_start(ChildStart *start)
{
	EfVisit    *visit = start->visit;
	Jsonb	   *input = visit->branch->data;

	if (!asl_effective_input(visit->state, input, &visit->env, &start->input, NULL, &visit->failure))
		return false;
	if (visit->execution == EF_EXECUTION_NONE)
	{
		start->detached = visit->state->detached;
		return asl_task_workflow_id(visit->state, input, &visit->env, &start->workflow_id, &visit->failure);
	}
	if (read_execution(start, start->input))
		return true;
	(void) ef_fail_request(visit, ef_execution_is_missing(&visit->failure));
	return false;
}

bool
ef_start_execution(EfVisit *visit, Jsonb *effective)
{
	ChildStart	start = {.visit = visit};

	if (!read_execution(&start, effective))
		return false;
	if (start_child(&start))
		return true;
	ef_execution_name_failure(&visit->failure);
	return false;
}

/* Rest until the child has ended, or the Task by its token. */
static EfVisitResult
await_child(EfVisit *visit, const ChildStart *start, const EfToken *token, TimestampTz timeout_at)
{
	char	   *addresses[2] = {psprintf("%s%s", ADDRESS_CHILD, text_of(&start->run_id))};
	int			naddresses = 1;

	if (visit->token_asked)
	{
		addresses[naddresses++] = ef_task_address(visit->branch->branch_id);
		ef_open_token(visit, token, timeout_at);
	}
	return await_outcome(visit, addresses, naddresses, timeout_at);
}

/* Only the service's actions that wait have one, and nobody outside could use that of a run inside a query. */
static void
offer_token(EfVisit *visit, EfToken *token)
{
	EfBranchKey key;

	if ((visit->execution != EF_EXECUTION_SYNC && visit->execution != EF_EXECUTION_SYNC2) || visit->branch->in_query)
		return;
	ef_branch_key(visit->branch, &key);
	ef_token_init(token, &key, visit->branch->step + 1);
	visit->task_token = ef_token_text(token);
}

static EfVisitResult
begin(EfVisit *visit, const char *workflow)
{
	ChildStart	start = {.visit = visit, .workflow = workflow};
	EfToken		token;
	TimestampTz timeout_at;

	offer_token(visit, &token);
	if (!read_start(&start) || !ef_task_timeout_at(visit, &timeout_at))
		return EF_VISIT_FAILED;
	ef_add_event(visit, EF_EVENT_SCHEDULED);
	ef_add_event(visit, EF_EVENT_STARTED);
	if (!start_child(&start))
	{
		ef_add_event(visit, EF_EVENT_FAILED);
		if (visit->execution != EF_EXECUTION_NONE)
			ef_execution_name_failure(&visit->failure);
		return EF_VISIT_FAILED;
	}
	if (start.detached)
		return ef_finish_task(visit, started_result(&start));
	if (visit->execution != EF_EXECUTION_NONE)
		ef_add_event(visit, EF_EVENT_SUBMITTED);
	if (visit->branch->in_query)
		return run_in_place(visit, &start.run_id);
	return await_child(visit, &start, &token, timeout_at);
}

EfVisitResult
ef_visit_child_run(EfVisit *visit, const char *workflow)
{
	EfBranch   *branch = visit->branch;

	if (ef_awaits_child_run(branch))
		return await_outcome(visit, branch->awaits, branch->nawaits, branch->timeout_at);
	return begin(visit, workflow);
}
