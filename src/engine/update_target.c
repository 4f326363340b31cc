/*-------------------------------------------------------------------------
 *
 * update_target.c
 *	  Where an update goes to: the run, and those of its branches that may take
 *	  it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"

#include "engine/alias.h"
#include "engine/hold.h"
#include "engine/mailbox.h"
#include "engine/receive.h"
#include "engine/statement.h"
#include "engine/store.h"
#include "engine/update_target.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* ---- which updates there are ---- */

/* Append the names in a Task's resource to a list; is name one of them? */
static bool
add_names(StringInfo list, const char *names, const char *name)
{
	bool		found = false;
	char	  **each;
	int			count = ef_addresses("", names, &each);
	int			i;

	for (i = 0; i < count; i++)
	{
		appendStringInfo(list, "%s\"%s\"", list->len > 0 ? ", " : "", each[i]);
		found |= strcmp(each[i], name) == 0;
	}
	return found;
}

/* Sooner or later some Task could take it. */
static void
check_name(const EfWorkflow *workflow, const char *name)
{
	const AslMachine *machine = workflow->machine;
	StringInfoData list;
	bool		found = false;
	int			i;

	initStringInfo(&list);
	for (i = 0; i < machine->nstates && !found; i++)
	{
		const char *resource = machine->states[i]->resource;

		if (resource)
			resource = ef_resolve_resource(resource);
		if (resource && strncmp(resource, EF_ADDRESS_UPDATE, strlen(EF_ADDRESS_UPDATE)) == 0)
			found = add_names(&list, resource + strlen(EF_ADDRESS_UPDATE), name);
	}
	if (!found)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("workflow \"%s\" has no update \"%s\"", workflow->name, name),
				 list.len > 0 ? errhint("Its updates are: %s.", list.data) :
				 errhint("A Task whose Resource is \"update:%s\" would take it.", name)));
}

/* ---- the run ---- */

void
ef_find_update_target(const pg_uuid_t *run_id, const char *workflow_id, const char *name, EfUpdateTarget *target)
{
	static EfStatement statement = {
		"SELECT version_id, xmin, run_id OPERATOR(pg_catalog.<=) " EF_HELD_THROUGH
		" FROM expense_flow.run WHERE run_id" EQ "$1",
		1, {UUIDOID}
	};
	EfArguments args = {0};
	EfRow		row;
	bool		held;

	ef_check_installation();
	memset(target, 0, sizeof(*target));
	target->run_id = *run_id;
	target->workflow_id = workflow_id;
	ef_add_uuid(&args, run_id);
	SPI_connect();
	if (ef_execute(&statement, &args) != 1)
		elog(ERROR, "the run has vanished");
	row = ef_row(0, CurrentMemoryContext);
	target->workflow = ef_workflow_by_version(ef_next_int(&row));
	target->started_here = TransactionIdIsCurrentTransactionId(DatumGetTransactionId(ef_next_value(&row)));
	held = ef_next_bool(&row);
	SPI_finish();
	if (target->workflow == NULL)
		elog(ERROR, "the workflow's version does not exist");
	if (held)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the run with workflow_id \"%s\" is held back: this database is a copy", workflow_id),
				 errdetail("The original may be working on the open runs that came with the copy."),
				 errhint("If it is not, let them go on with expense_flow.resume_after_restore().")));
	check_name(target->workflow, name);
}

/* ---- its branches ---- */

/* Is it a candidate, and what kind of? */
static bool
read_candidate(EfRow *row, EfUpdateTarget *target, EfUpdateCandidate *candidate)
{
	char	   *state;
	bool		awaits;
	bool		due;
	bool		own;

	candidate->key.run_id = target->run_id;
	candidate->key.branch_id = ef_next_int(row);
	state = ef_next_text(row);
	awaits = ef_next_bool(row);
	due = ef_next_bool(row);
	own = TransactionIdIsCurrentTransactionId(DatumGetTransactionId(ef_next_value(row)));
	candidate->kind = awaits ? EF_CANDIDATE_AWAITS : due && own ? EF_CANDIDATE_OWN : EF_CANDIDATE_AT_WORK;
	if (candidate->key.branch_id == 0)
		target->state = state;
	return candidate->kind != EF_CANDIDATE_AT_WORK || candidate->key.branch_id == 0;
}

/* One that was asked to cancel does not go on, it fails. */
int
ef_find_candidates(EfUpdateTarget *target, const EfUpdate *update, EfUpdateCandidate **candidates)
{
	static EfStatement statement = {
		"SELECT branch_id, state, coalesce(status" EQ "'M' AND $2" EQ "ANY (awaits) AND (canceled IS NULL OR canceled" EQ "'D'), false),"
		" coalesce(due_at OPERATOR(pg_catalog.<=) $3, false), xmin"
		" FROM expense_flow.branch WHERE run_id" EQ "$1"
		" AND (branch_id" EQ "0 OR due_at OPERATOR(pg_catalog.<=) $3 OR (status" EQ "'M' AND $2" EQ "ANY (awaits)))"
		" ORDER BY run_id, branch_id",
		3, {UUIDOID, TEXTOID, TIMESTAMPTZOID}
	};
	MemoryContext context = CurrentMemoryContext;
	EfArguments args = {0};
	uint64		count;
	uint64		i;
	int			found = 0;

	ef_add_uuid(&args, &target->run_id);
	ef_add_text(&args, update->address);
	ef_add_time(&args, ef_now());
	SPI_connect();
	count = ef_execute_latest(&statement, &args);
	*candidates = MemoryContextAllocZero(context, (count + 1) * sizeof(EfUpdateCandidate));
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, context);

		if (read_candidate(&row, target, &(*candidates)[found]))
			found++;
	}
	SPI_finish();
	if (count == 0)
		ef_run_is_closed(target->workflow_id);
	return found;
}

bool
ef_rests_unseen(const EfUpdateTarget *target, const EfUpdate *update)
{
	EfDueBranch due;

	return target->started_here &&
		(ef_store_due_branches_of_run(&target->run_id, &due, 1) == 0 || due.due_at > update->give_up);
}

