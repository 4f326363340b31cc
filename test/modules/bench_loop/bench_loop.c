/*-------------------------------------------------------------------------
 *
 * bench_loop.c
 *	  The least that an executor of durable steps has to do, as a baseline.
 *
 * bench_loop() starts a background worker, waits until it has ended, and
 * returns the seconds of processor time that its steps took.  A step is a
 * transaction: a subtransaction that calls a function through a saved plan, the
 * update of one row by its primary key, and the insert of one row.  Each "run" of
 * some steps begins with the insert of a row; its last transaction is flushed, the
 * others commit asynchronously.  There is no queue, no claim, no interpreter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "postmaster/bgworker.h"
#include "storage/dsm.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_loop);
extern PGDLLEXPORT void bench_loop_main(Datum main_arg);

#define MAX_STATEMENT 400

typedef enum StatementId
{
	BEGIN_RUN,
	CALL_FUNCTION,
	CHANGE_ROW,
	WRITE_LOG,
	STATEMENT_COUNT
} StatementId;

typedef struct Order
{
	Oid			database;
	Oid			role;
	int			steps;
	int			steps_of_run;
	char		statements[STATEMENT_COUNT][MAX_STATEMENT];
	bool		done;
	double		seconds;
} Order;

static SPIPlanPtr plans[STATEMENT_COUNT];

/* ---- the worker ---- */

static void
prepare_all(const Order *order)
{
	Oid			types[] = {INT4OID, INT4OID, JSONBOID};
	int			nargs[] = {[BEGIN_RUN] = 1, [CALL_FUNCTION] = 0, [CHANGE_ROW] = 2, [WRITE_LOG] = 3};
	int			i;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	for (i = 0; i < STATEMENT_COUNT; i++)
	{
		plans[i] = SPI_prepare_cursor(order->statements[i], nargs[i], types, CURSOR_OPT_GENERIC_PLAN);
		if (plans[i] == NULL)
			elog(ERROR, "could not prepare: %s", order->statements[i]);
		SPI_keepplan(plans[i]);
	}
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static void
execute(StatementId id, Datum *values)
{
	if (SPI_execute_plan(plans[id], values, NULL, false, 0) < 0)
		elog(ERROR, "could not execute a statement");
}

/* Call the function in a subtransaction; the result is in the memory of the transaction. */
static Jsonb *
call(void)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext inner;
	Jsonb	   *result;
	bool		is_null;

	BeginInternalSubTransaction(NULL);
	SPI_connect();
	execute(CALL_FUNCTION, NULL);
	inner = MemoryContextSwitchTo(context);
	result = DatumGetJsonbPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null));
	MemoryContextSwitchTo(inner);
	SPI_finish();
	ReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return result;
}

static void
step(int run, int number, bool last)
{
	Datum		values[3];

	CHECK_FOR_INTERRUPTS();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	values[0] = Int32GetDatum(run);
	values[1] = Int32GetDatum(number);
	values[2] = JsonbPGetDatum(call());
	SPI_connect();
	if (number == 1)
		execute(BEGIN_RUN, values);
	execute(CHANGE_ROW, values);
	execute(WRITE_LOG, values);
	SPI_finish();
	if (last)
		ForceSyncCommit();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static double
processor_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void
bench_loop_main(Datum main_arg)
{
	dsm_segment *segment;
	Order	   *order;
	double		began;
	int			i;

	BackgroundWorkerUnblockSignals();
	CurrentResourceOwner = ResourceOwnerCreate(NULL, "bench_loop");
	segment = dsm_attach(DatumGetUInt32(main_arg));
	if (segment == NULL)
		elog(ERROR, "the order is gone");
	dsm_pin_mapping(segment);
	order = dsm_segment_address(segment);
	BackgroundWorkerInitializeConnectionByOid(order->database, order->role, 0);
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION);	/* the tables may be empty when it is planned */
	SetConfigOption("enable_bitmapscan", "off", PGC_USERSET, PGC_S_SESSION);
	prepare_all(order);
	for (i = 0; i < 200; i++)	/* plans and caches are made */
		step(-1 - i / order->steps_of_run, i % order->steps_of_run + 1, false);
	began = processor_seconds();
	for (i = 0; i < order->steps; i++)
	{
		int			number = i % order->steps_of_run + 1;

		step(i / order->steps_of_run, number, number == order->steps_of_run);
	}
	order->seconds = processor_seconds() - began;
	order->done = true;
}

/* ---- who starts it ---- */

static void
run_worker(uint32 handle_of_order)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_name = "bench_loop",
		.bgw_type = "bench_loop",
		.bgw_library_name = "bench_loop",
		.bgw_function_name = "bench_loop_main"
	};
	BackgroundWorkerHandle *handle;

	worker.bgw_main_arg = UInt32GetDatum(handle_of_order);
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
		elog(ERROR, "no background worker is to be had");
	if (WaitForBackgroundWorkerShutdown(handle) != BGWH_STOPPED)
		elog(ERROR, "the server is going down");
}

/* bench_loop(steps int, steps_of_run int, prepare text, call text, change text, log text) returns float8 */
Datum
bench_loop(PG_FUNCTION_ARGS)
{
	dsm_segment *segment = dsm_create(sizeof(Order), 0);
	Order	   *order = dsm_segment_address(segment);
	double		seconds;
	int			i;

	memset(order, 0, sizeof(*order));
	order->database = MyDatabaseId;
	order->role = GetUserId();
	order->steps = PG_GETARG_INT32(0);
	order->steps_of_run = PG_GETARG_INT32(1);
	for (i = 0; i < STATEMENT_COUNT; i++)
	{
		char	   *statement = text_to_cstring(PG_GETARG_TEXT_PP(2 + i));

		if (strlcpy(order->statements[i], statement, MAX_STATEMENT) >= MAX_STATEMENT)
			elog(ERROR, "the statement is too long");
	}
	run_worker(dsm_segment_handle(segment));
	if (!order->done)
		elog(ERROR, "the loop has failed: see the server's log");
	seconds = order->seconds;
	dsm_detach(segment);
	PG_RETURN_FLOAT8(seconds);
}
