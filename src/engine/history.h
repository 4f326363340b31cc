/*-------------------------------------------------------------------------
 *
 * history.h
 *	  The letters that the tables of runs are written in.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_HISTORY_H
#define EF_HISTORY_H

#include "asl/asl.h"

/* branch.status */
#define EF_BRANCH_READY			'R' /* steps on, or was just made ready */
#define EF_BRANCH_WAITING		'W' /* in a Wait state, until due_at */
#define EF_BRANCH_RETRYING		'B' /* backing off: the next attempt comes at due_at */
#define EF_BRANCH_JOINING		'J' /* until the branches that it started have ended */
#define EF_BRANCH_AWAITING		'M' /* a message, until due_at */
#define EF_BRANCH_COMPENSATING	'K' /* the main line, until all compensations are done */
#define EF_BRANCH_REGISTERED	'G' /* its compensation is registered; the work of the Task comes next */
#define EF_BRANCH_PARKED		'P' /* it crashed its processes, or always failed; the status that it had is in branch.parked */
#define EF_BRANCH_QUEUED		'Q' /* of a Map with MaxConcurrency: has not begun */
#define EF_BRANCH_DONE			'D' /* ended; its parent reads its output when all have */

/* branch.canceled */
#define EF_CANCEL_REQUESTED		'R' /* the branch has not met the request yet */
#define EF_CANCEL_DELIVERED		'D' /* it was told, by the error Canceled */

/* closed_run.status */
#define EF_RUN_SUCCEEDED		'S'
#define EF_RUN_FAILED			'F'
#define EF_RUN_TIMED_OUT		'T'
#define EF_RUN_CANCELED			'C'
#define EF_RUN_TERMINATED		'X'

/* run.close_policy */
#define EF_CLOSE_TERMINATE		'T'
#define EF_CLOSE_CANCEL			'C'
#define EF_CLOSE_ABANDON		'A'

/*
 * transition.events: one letter for each history event; table history_event_type has their names.
 */
#define EF_EVENT_FAIL_ENTERED	'F'
#define EF_EVENT_SCHEDULED		'a'
#define EF_EVENT_STARTED		'b'
#define EF_EVENT_SUCCEEDED		'd'
#define EF_EVENT_FAILED			'e'
#define EF_EVENT_TIMED_OUT		'g'
#define EF_EVENT_SUBMITTED		'o' /* and now waits for its token */
#define EF_EVENT_ACTIVITY_SCHEDULED	'h'
#define EF_EVENT_ACTIVITY_STARTED	'i'
#define EF_EVENT_ACTIVITY_SUCCEEDED	'j'
#define EF_EVENT_ACTIVITY_FAILED	'k'
#define EF_EVENT_ACTIVITY_TIMED_OUT	'n'
#define EF_EVENT_LAMBDA_SCHEDULED	'A'
#define EF_EVENT_LAMBDA_STARTED		'B'
#define EF_EVENT_LAMBDA_SUCCEEDED	'D'
#define EF_EVENT_LAMBDA_FAILED		'E'
#define EF_EVENT_LAMBDA_TIMED_OUT	'G'
#define EF_EVENT_PARALLEL_STARTED	'H'
#define EF_EVENT_PARALLEL_SUCCEEDED 'I'
#define EF_EVENT_PARALLEL_FAILED	'J'
#define EF_EVENT_MAP_STARTED		'K'
#define EF_EVENT_MAP_SUCCEEDED		'N'
#define EF_EVENT_MAP_FAILED			'O'
#define EF_EVENT_MAP_RUN_STARTED	'X'
#define EF_EVENT_MAP_RUN_SUCCEEDED	'Y'
#define EF_EVENT_MAP_RUN_FAILED		'Z'
#define EF_EVENT_OF_MAP_RUN			'-' /* no event: the others are not the run's own, but those of its Map run */
#define EF_EVENT_ITERATION_STARTED		'Q'
#define EF_EVENT_ITERATION_SUCCEEDED	'R'
#define EF_EVENT_ITERATION_FAILED		'U'
#define EF_EVENT_ITERATION_ABORTED		'V'

#define EF_EVENT_COMPENSATION_STARTED	'x'
#define EF_EVENT_COMPENSATION_SUCCEEDED 'y'
#define EF_EVENT_COMPENSATION_FAILED	'z'

/* The letters for entering and leaving a state of a type; leaving Fail is no event. */
extern char ef_entered_event(AslStateType type);
extern char ef_exited_event(AslStateType type);

#endif							/* EF_HISTORY_H */
