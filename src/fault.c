/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Fault points (fault.h), in a build with -DEF_FAULT_POINTS only.
 *
 * What is armed, and how often each point was met, is in memory that the
 * postmaster maps when it loads the library: it outlives the restart after the
 * crash that a point causes.  A test creates functions for
 *	  ef_fault_arm(name text, other text, action text, nth int): the nth process that
 *		comes to the point (to any, with name NULL) from now on dies (action "kill"),
 *		ends ("exit") or raises a serialization failure ("error"); once, or with
 *		"exits" and "errors" at one time in n, by chance.  With another point,
 *		also the nth that comes to that one.
 *	  ef_fault_fired(): did it, at each?
 *	  ef_fault_points(): the points that were met, with their number
 *	  ef_fault_end(): the process ends
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fault.h"

#ifdef EF_FAULT_POINTS

#include <signal.h>
#include <sys/mman.h>

#include "commands/extension.h"
#include "common/pg_prng.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_arm);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_fired);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_points);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_end);

#define MAX_POINTS 512
#define NAME_LENGTH 1024
#define MAX_ARMED 2

#define BEFORE "before: "
#define AFTER "after: "

typedef struct Point
{
	pg_atomic_uint32 state;		/* 0 free, 1 being named, 2 named */
	pg_atomic_uint32 hits;
	char		name[NAME_LENGTH];
} Point;

typedef struct Armed
{
	pg_atomic_uint32 countdown; /* 0: not armed, or fired */
	char		name[NAME_LENGTH];	/* empty: any */
} Armed;

typedef struct Faults
{
	uint32		one_in;			/* of those that are repeated; else 0 */
	char		action;			/* first letter */
	Armed		armed[MAX_ARMED];
	Point		points[MAX_POINTS];
} Faults;

static Faults *faults = NULL;
static ExecutorStart_hook_type previous_start = NULL;
static ExecutorFinish_hook_type previous_finish = NULL;

static Point *
find_point(const char *name)
{
	int			i;

	for (i = 0; i < MAX_POINTS; i++)
	{
		Point	   *point = &faults->points[i];
		uint32		unused = 0;

		if (pg_atomic_compare_exchange_u32(&point->state, &unused, 1))
		{
			strlcpy(point->name, name, NAME_LENGTH);
			pg_atomic_write_u32(&point->state, 2);
			return point;
		}
		while (pg_atomic_read_u32(&point->state) != 2)
			pg_spin_delay();
		if (strcmp(point->name, name) == 0)
			return point;
	}
	elog(PANIC, "more than %d fault points", MAX_POINTS);
}

/* Is it this process's turn? */
static bool
count_down(Armed *armed, const char *name)
{
	uint32		left = pg_atomic_read_u32(&armed->countdown);

	if (left == 0 || (armed->name[0] != '\0' && strcmp(armed->name, name) != 0))
		return false;
	if (faults->one_in > 0)
		return pg_prng_uint32(&pg_global_prng_state) % faults->one_in == 0;
	while (!pg_atomic_compare_exchange_u32(&armed->countdown, &left, left - 1))
	{
		if (left == 0)
			return false;
	}
	return left == 1;
}

static void
come_to(const char *name, bool may_raise)
{
	char		action = faults->action;
	bool		fires = false;
	int			i;

	pg_atomic_fetch_add_u32(&find_point(name)->hits, 1);
	if (action == 'e' && !may_raise)
		return;
	for (i = 0; i < MAX_ARMED && !fires; i++)
		fires = count_down(&faults->armed[i], name);
	if (!fires)
		return;
	switch (action)
	{
		case 'k':
			(void) kill(MyProcPid, SIGKILL);
			pg_usleep(60 * USECS_PER_SEC);
			break;
		case 'x':
			if (may_raise)
				ereport(FATAL, (errmsg("fault point \"%s\"", name)));
			break;
		default:
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("fault point \"%s\"", name)));
	}
}

void
ef_fault(const char *name, bool may_raise)
{
	char		full[NAME_LENGTH];

	snprintf(full, NAME_LENGTH, "%s%s", name, MyBackendType == B_BACKEND ? " (in a session)" : "");
	come_to(full, may_raise);
}

/* ---- statements ---- */

/* The text may be indented, and be the first part of a longer one. */
static void
come_to_statement(const char *when, const char *text, int length)
{
	char		name[NAME_LENGTH];
	int			n = strlcpy(name, when, NAME_LENGTH);
	int			i;

	for (i = 0; i < length && text[i] != '\0' && n < NAME_LENGTH - 1; i++)
	{
		char		c = strchr("\t\n ", text[i]) ? ' ' : text[i];

		if (c != ' ' || name[n - 1] != ' ')
			name[n++] = c;
	}
	while (name[n - 1] == ' ')
		n--;
	/* a name that was cut is that of no other character */
	n = pg_mbcliplen(name, n, n);
	name[n] = '\0';
	come_to(name, true);
}

void
ef_fault_at_insert(bool before, const char *text)
{
	come_to_statement(before ? BEFORE : AFTER, text, NAME_LENGTH);
}

/* Does the statement write to a table of the extension? */
static bool
is_write(const PlannedStmt *statement)
{
	ListCell   *cell;

	if (creating_extension)
		return false;
	foreach(cell, statement->resultRelations)
	{
		Oid			namespace = get_rel_namespace(rt_fetch(lfirst_int(cell), statement->rtable)->relid);
		char	   *name = get_namespace_name(namespace);

		if (name != NULL && strcmp(name, "expense_flow") == 0)
			return true;
	}
	return false;
}

static void
come_to_query(const char *when, QueryDesc *query)
{
	const PlannedStmt *statement = query->plannedstmt;

	if (is_write(statement))
		come_to_statement(when, query->sourceText + Max(statement->stmt_location, 0),
						  statement->stmt_len > 0 ? statement->stmt_len : NAME_LENGTH);
}

static void
executor_start(QueryDesc *query, int eflags)
{
	come_to_query(BEFORE, query);
	if (previous_start)
		previous_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
}

static void
executor_finish(QueryDesc *query)
{
	if (previous_finish)
		previous_finish(query);
	else
		standard_ExecutorFinish(query);
	come_to_query(AFTER, query);
}

void
ef_fault_init(void)
{
	void	   *address = mmap(NULL, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address == MAP_FAILED)
		ereport(ERROR, (errmsg("could not map memory for fault points: %m")));
	faults = address;
	previous_start = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
	previous_finish = ExecutorFinish_hook;
	ExecutorFinish_hook = executor_finish;
}

/* ---- functions ---- */

Datum
ef_fault_arm(PG_FUNCTION_ARGS)
{
	char	   *action = text_to_cstring(PG_GETARG_TEXT_PP(2));
	int			i;

	for (i = 0; i < MAX_ARMED; i++)
		pg_atomic_write_u32(&faults->armed[i].countdown, 0);
	faults->action = strncmp(action, "exit", 4) == 0 ? 'x' : action[0];
	faults->one_in = action[strlen(action) - 1] == 's' ? PG_GETARG_INT32(3) : 0;
	for (i = 0; i < MAX_ARMED; i++)
		strlcpy(faults->armed[i].name, PG_ARGISNULL(i) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(i)), NAME_LENGTH);
	pg_write_barrier();
	for (i = 0; i < MAX_ARMED; i++)
	{
		if (i == 0 || !PG_ARGISNULL(i))
			pg_atomic_write_u32(&faults->armed[i].countdown, PG_GETARG_INT32(3));
	}
	PG_RETURN_VOID();
}

Datum
ef_fault_fired(PG_FUNCTION_ARGS)
{
	bool		fired = true;
	int			i;

	for (i = 0; i < MAX_ARMED; i++)
		fired = fired && pg_atomic_read_u32(&faults->armed[i].countdown) == 0;
	PG_RETURN_BOOL(fired);
}

Datum
ef_fault_end(PG_FUNCTION_ARGS)
{
	ereport(FATAL, (errmsg("a step ends its process")));
	PG_RETURN_VOID();
}

Datum
ef_fault_points(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	int			i;

	InitMaterializedSRF(fcinfo, 0);
	for (i = 0; i < MAX_POINTS; i++)
	{
		Point	   *point = &faults->points[i];
		Datum		values[2];
		bool		nulls[2] = {false};

		if (pg_atomic_read_u32(&point->state) != 2)
			break;
		values[0] = CStringGetTextDatum(point->name);
		values[1] = Int64GetDatum(pg_atomic_read_u32(&point->hits));
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

#endif							/* EF_FAULT_POINTS */
