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

/* No more.  If it fired, its request to cancel is taken back, in case it was not met yet. */
extern void ef_timer_stop(EfTimer *timer);

/* Has a timer around this one fired, so that a cancel is meant for what that one times? */
extern bool ef_timer_outer_fired(const EfTimer *timer);

#endif							/* EF_TIMER_H */
