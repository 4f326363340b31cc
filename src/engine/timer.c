/*-------------------------------------------------------------------------
 *
 * timer.c
 *	  Stopping the statement that is running when a time has passed.
 *
 * A timer asks this process to cancel its statement, as pg_cancel_backend()
 * does, and remembers that it did, so that whoever catches the error can tell
 * one cancel from the other.
 *
 * There is one timeout of the server's for all, set for the innermost timer.
 * An inner timer that would fire after its outer one fires with it; the outer
 * one asks again when the inner one is gone, so that its statement stops too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"

#include "engine/timer.h"

static TimeoutId timeout_id = MAX_TIMEOUTS;
static EfTimer *volatile innermost;

static void
cancel_statement(void)
{
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

/* In a signal handler. */
static void
timeout_handler(void)
{
	TimestampTz now = GetCurrentTimestamp();
	EfTimer    *timer;
	bool		any = false;

	for (timer = innermost; timer != NULL; timer = timer->outer)
	{
		if (timer->set && timer->at <= now)
		{
			timer->fired = true;
			any = true;
		}
	}
	if (any)
		cancel_statement();
}

/* Set the server's timeout for the first of the timers. */
static void
arm(void)
{
	TimestampTz first = DT_NOEND;
	EfTimer    *timer;

	for (timer = innermost; timer != NULL; timer = timer->outer)
	{
		if (timer->set && !timer->fired && timer->at < first)
			first = timer->at;
	}
	if (first != DT_NOEND)
		enable_timeout_at(timeout_id, first);
}

void
ef_timer_start(EfTimer *timer, int64 microseconds)
{
	/* What is years away needs no timer, and must not overflow. */
	const int64 longest = INT64CONST(1000) * USECS_PER_DAY;

	if (timeout_id == MAX_TIMEOUTS)
		timeout_id = RegisterTimeout(USER_TIMEOUT, timeout_handler);
	timer->set = microseconds < longest;
	timer->at = timer->set ? GetCurrentTimestamp() + microseconds : DT_NOEND;
	timer->fired = false;
	timer->outer = innermost;
	innermost = timer;
	if (timer->set)
		arm();
}

void
ef_timer_stop(EfTimer *timer)
{
	if (timer->set && get_timeout_active(timeout_id))
		disable_timeout(timeout_id, false);
	innermost = timer->outer;
	if (timer->fired)
		QueryCancelPending = false;
	if (ef_timer_outer_fired(timer))
		cancel_statement();
	if (timer->set)
		arm();
}

bool
ef_timer_outer_fired(const EfTimer *timer)
{
	const EfTimer *outer;

	for (outer = timer->outer; outer != NULL; outer = outer->outer)
	{
		if (outer->fired)
			return true;
	}
	return false;
}
