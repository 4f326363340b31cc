/*-------------------------------------------------------------------------
 *
 * timer.h
 *	  Stopping the statement that is running when a time has passed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_TIMER_H
#define EF_TIMER_H

#include "utils/timestamp.h"

typedef struct EfTimer
{
	struct EfTimer *outer;
	TimestampTz at;
	volatile bool fired;
	bool		set;
} EfTimer;

/* Cancel what this process is doing after that many microseconds; PG_INT64_MAX: never.  Timers nest. */
extern void ef_timer_start(EfTimer *timer, int64 microseconds);

/*
 * No more.  cancel_was_raised: has a query_canceled error been caught?  If the timer fired and it was not, its
 * request is still pending or was swallowed, and is taken back.
 */
extern void ef_timer_stop(EfTimer *timer, bool cancel_was_raised);

#endif							/* EF_TIMER_H */
