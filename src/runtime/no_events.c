/*
 * Lets the library load until src/events has landed, whose symbols replace these.
 */
#include "postgres.h"

#include "events/events.h"

__attribute__((weak)) const EfChangesReceiver *ef_changes_receiver = NULL;

__attribute__((weak)) EfAnnounceResult
ef_events_announce(int max_events)
{
	return EF_ANNOUNCE_DONE;
}
