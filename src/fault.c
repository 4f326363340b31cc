/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Fault points (fault.h), in a build with -DEF_FAULT_POINTS only.
 *
 * What is armed, and how often each point was met, is in memory that the
 * postmaster maps when it loads the library: it outlives the restart after the
 * crash that a point causes.  A test creates functions for
 *	  ef_fault_arm(name text, action text, nth int): the nth process that comes to
 *		the point (to any, with name NULL) from now on dies (action "kill"), ends
 *		("exit") or raises a serialization failure ("error"); once, or with
 *		"exits" and "errors" at one time in n, by chance
 *	  ef_fault_fired(): did it?
 *	  ef_fault_points(): the points that were met, with their number
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fault.h"

#ifdef EF_FAULT_POINTS

#include <signal.h>
#include <sys/mman.h>

#include "common/pg_prng.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_arm);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_fired);
PGDLLEXPORT PG_FUNCTION_INFO_V1(ef_fault_points);

#define MAX_POINTS 512
#define NAME_LENGTH 160

typedef struct Point
{
	pg_atomic_uint32 state;		/* 0 free, 1 being named, 2 named */
	pg_atomic_uint32 hits;
	char		name[NAME_LENGTH];
} Point;

typedef struct Faults
{
	pg_atomic_uint32 countdown; /* 0: nothing is armed */
	uint32		one_in;			/* of those that are repeated; else 0 */
	char		action;			/* first letter */
	char		name[NAME_LENGTH];	/* empty: any */
	Point		points[MAX_POINTS];
} Faults;

static Faults *faults = NULL;

void
ef_fault_init(void)
{
	void	   *address = mmap(NULL, sizeof(Faults), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (address == MAP_FAILED)
		ereport(ERROR, (errmsg("could not map memory for fault points: %m")));
	faults = address;
}

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
count_down(const char *name)
{
	uint32		left = pg_atomic_read_u32(&faults->countdown);

	if (left == 0 || (faults->name[0] != '\0' && strcmp(faults->name, name) != 0))
		return false;
	if (faults->one_in > 0)
		return pg_prng_uint32(&pg_global_prng_state) % faults->one_in == 0;
	while (!pg_atomic_compare_exchange_u32(&faults->countdown, &left, left - 1))
	{
		if (left == 0)
			return false;
	}
	return left == 1;
}

void
ef_fault(const char *name, bool may_raise)
{
	char		cut[NAME_LENGTH];
	char		action = faults->action;

	strlcpy(cut, name, NAME_LENGTH);
	pg_atomic_fetch_add_u32(&find_point(cut)->hits, 1);
	if (action == 'e' && !may_raise)
		return;
	if (!count_down(cut))
		return;
	switch (action)
	{
		case 'k':
			(void) kill(MyProcPid, SIGKILL);
			pg_usleep(60 * USECS_PER_SEC);
			break;
		case 'x':
			if (may_raise)
				ereport(FATAL, (errmsg("fault point \"%s\"", cut)));
			break;
		default:
			ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE), errmsg("fault point \"%s\"", cut)));
	}
}

void
ef_fault_at_statement(const char *text)
{
	if (strncmp(text, "INSERT", 6) == 0 || strncmp(text, "UPDATE", 6) == 0 || strncmp(text, "DELETE", 6) == 0)
		ef_fault(text, true);
}

Datum
ef_fault_arm(PG_FUNCTION_ARGS)
{
	char	   *action = text_to_cstring(PG_GETARG_TEXT_PP(1));
	uint32		nth = PG_GETARG_INT32(2);

	pg_atomic_write_u32(&faults->countdown, 0);
	strlcpy(faults->name, PG_ARGISNULL(0) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(0)), NAME_LENGTH);
	faults->action = strncmp(action, "exit", 4) == 0 ? 'x' : action[0];
	faults->one_in = action[strlen(action) - 1] == 's' ? nth : 0;
	pg_write_barrier();
	pg_atomic_write_u32(&faults->countdown, nth);
	PG_RETURN_VOID();
}

Datum
ef_fault_fired(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(pg_atomic_read_u32(&faults->countdown) == 0);
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
