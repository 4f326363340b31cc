/*-------------------------------------------------------------------------
 *
 * history.c
 *	  The letters of history events that depend on a state's type.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "engine/history.h"

typedef struct StateEvents
{
	char		entered;
	char		exited;
} StateEvents;

static const StateEvents state_events[] = {
	[ASL_PASS] = {'P', 'p'},
	[ASL_TASK] = {'T', 't'},
	[ASL_CHOICE] = {'C', 'c'},
	[ASL_WAIT] = {'W', 'w'},
	[ASL_SUCCEED] = {'S', 's'},
	[ASL_FAIL] = {'F', '\0'},
	[ASL_PARALLEL] = {'L', 'l'},
	[ASL_MAP] = {'M', 'm'},
};

char
ef_entered_event(AslStateType type)
{
	return state_events[type].entered;
}

char
ef_exited_event(AslStateType type)
{
	return state_events[type].exited;
}
