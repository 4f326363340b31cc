/*-------------------------------------------------------------------------
 *
 * store_due.c
 *	  Branches that are due, or that a message has come for, from the tables.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "engine/hold.h"
#include "engine/statement.h"
#include "engine/store.h"

#define EQ " OPERATOR(pg_catalog.=) "
#define LE " OPERATOR(pg_catalog.<=) "
#define GT " OPERATOR(pg_catalog.>) "

static int
read_due_branches(EfStatement *statement, EfArguments *args, Snapshot snapshot, EfDueBranch *branches)
{
	int			count;
	int			i;

	SPI_connect();
	count = (int) ef_execute_in(statement, args, snapshot);
	for (i = 0; i < count; i++)
	{
		EfRow		row = ef_row(i, CurrentMemoryContext);

		ef_next_uuid(&row, &branches[i].key.run_id);
		branches[i].key.branch_id = DatumGetInt32(ef_next_value(&row));
		branches[i].due_at = DatumGetTimestampTz(ef_next_value(&row));
	}
	SPI_finish();
	return count;
}

int
ef_read_due_branches(TimestampTz from, EfDueBranch *branches, int max)
{
	static EfStatement statement = {
		"SELECT run_id, branch_id, due_at FROM expense_flow.branch WHERE due_at OPERATOR(pg_catalog.>=) $1"
		" AND run_id" GT EF_HELD_THROUGH
		" ORDER BY due_at LIMIT $2",
		2, {TIMESTAMPTZOID, INT8OID}
	};
	EfArguments args = {0};

	ef_add_arg(&args, TimestampTzGetDatum(from), false);
	ef_add_arg(&args, Int64GetDatum(max), false);
	return read_due_branches(&statement, &args, InvalidSnapshot, branches);
}

int
ef_store_due_branches_of_run(const pg_uuid_t *run_id, EfDueBranch *branches, int max)
{
	static EfStatement statement = {
		"SELECT run_id, branch_id, due_at FROM expense_flow.branch WHERE run_id" EQ "$1 AND due_at IS NOT NULL"
		" ORDER BY due_at, branch_id LIMIT $2",
		2, {UUIDOID, INT4OID}
	};
	EfArguments args = {0};

	ef_add_uuid(&args, run_id);
	ef_add_int(&args, max);
	return read_due_branches(&statement, &args, InvalidSnapshot, branches);
}

bool
ef_store_awaiting_branch_of_run(const pg_uuid_t *run_id, EfBranchKey *key)
{
	static EfStatement statement = {
		"SELECT run_id, branch_id, due_at FROM expense_flow.branch WHERE run_id" EQ "$1 AND status" EQ "'M'"
		" ORDER BY branch_id LIMIT 1",
		1, {UUIDOID}
	};
	EfArguments args = {0};
	EfDueBranch branch;

	ef_add_uuid(&args, run_id);
	if (read_due_branches(&statement, &args, InvalidSnapshot, &branch) == 0)
		return false;
	*key = branch.key;
	return true;
}

int
ef_store_due_branches_of_role(Oid role, TimestampTz until, const EfDueBranch *after,
							  Snapshot snapshot, EfDueBranch *branches, int max)
{
	static EfStatement statement = {
		"SELECT b.run_id, b.branch_id, b.due_at"
		" FROM expense_flow.branch b JOIN expense_flow.run r ON r.run_id" EQ "b.run_id"
		" WHERE b.due_at IS NOT NULL AND b.due_at" LE "$2 AND"
		" (pg_catalog.pg_has_role($1, r.owner, 'USAGE') OR pg_catalog.pg_has_role($1, r.starter, 'USAGE'))"
		" AND b.due_at OPERATOR(pg_catalog.>=) $3 AND b.run_id" GT EF_HELD_THROUGH
		" AND (b.due_at, b.run_id, b.branch_id)" GT "($3, $4, $5)"
		" ORDER BY b.due_at, b.run_id, b.branch_id LIMIT $6",
		6, {OIDOID, TIMESTAMPTZOID, TIMESTAMPTZOID, UUIDOID, INT4OID, INT8OID}
	};
	static const EfDueBranch first = {.key.branch_id = -1, .due_at = DT_NOBEGIN};
	EfArguments args = {0};

	if (after == NULL)
		after = &first;
	ef_add_arg(&args, ObjectIdGetDatum(role), false);
	ef_add_arg(&args, TimestampTzGetDatum(until), false);
	ef_add_arg(&args, TimestampTzGetDatum(after->due_at), false);
	ef_add_uuid(&args, &after->key.run_id);
	ef_add_int(&args, after->key.branch_id);
	ef_add_arg(&args, Int64GetDatum(max), false);
	return read_due_branches(&statement, &args, snapshot, branches);
}

int
ef_store_messaged_branches_of_role(Oid role, Snapshot snapshot, EfDueBranch *branches, int max)
{
	static EfStatement statement = {
		"SELECT DISTINCT b.run_id, b.branch_id, $2"
		" FROM expense_flow.message m JOIN expense_flow.branch b ON b.run_id" EQ "m.run_id"
		" JOIN expense_flow.run r ON r.run_id" EQ "b.run_id"
		" WHERE b.status" EQ "'M' AND m.address" EQ "ANY (b.awaits) AND (b.due_at IS NULL OR b.due_at" GT "$2)"
		" AND m.run_id" GT EF_HELD_THROUGH
		" AND ($1 IS NULL OR pg_catalog.pg_has_role($1, r.owner, 'USAGE')"
		" OR pg_catalog.pg_has_role($1, r.starter, 'USAGE'))"
		" LIMIT $3",
		3, {OIDOID, TIMESTAMPTZOID, INT8OID}
	};
	EfArguments args = {0};

	ef_add_arg(&args, ObjectIdGetDatum(role), !OidIsValid(role));
	ef_add_time(&args, ef_now());
	ef_add_arg(&args, Int64GetDatum(max), false);
	return read_due_branches(&statement, &args, snapshot, branches);
}

int
ef_read_messaged_branches(EfDueBranch *branches, int max)
{
	return ef_store_messaged_branches_of_role(InvalidOid, InvalidSnapshot, branches, max);
}
