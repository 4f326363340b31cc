/*-------------------------------------------------------------------------
 *
 * receive.c
 *	  Tasks that wait for signals and updates.
 *
 * A signal is a message, which is kept until some Task takes it.  An update is
 * none: it is there only while its sender advances the branch (see update.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "engine/history.h"
#include "engine/mailbox.h"
#include "engine/receive.h"
#include "engine/update.h"

int
ef_addresses(const char *kind, const char *names, char ***addresses)
{
	int			count = 0;
	const char *end;

	*addresses = palloc((strlen(names) + 1) * sizeof(char *));
	for (;; names = end + 1)
	{
		end = strchr(names, ',');
		(*addresses)[count++] = psprintf("%s%.*s", kind, end ? (int) (end - names) : (int) strlen(names), names);
		if (end == NULL)
			return count;
	}
}

/* What came: the payload, or where several were awaited, also which one. */
static Jsonb *
result_of(const char *kind, const char *name, Jsonb *payload, int nawaited)
{
	JsonbParseState *state = NULL;

	if (nawaited == 1)
		return payload;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	ef_push_text(&state, kind, name);
	ef_push_jsonb(&state, "payload", payload);
	return ef_end_object(&state);
}

/* When the wait, which may have begun with this visit, ends; false: the visit has failed. */
static bool
begin(EfVisit *visit, TimestampTz *timeout_at)
{
	*timeout_at = visit->branch->timeout_at;
	if (visit->branch->status == EF_BRANCH_AWAITING)
		return true;
	if (!ef_task_timeout_at(visit, timeout_at))
		return false;
	ef_add_event(visit, EF_EVENT_SCHEDULED);
	ef_add_event(visit, EF_EVENT_STARTED);
	return true;
}

static EfVisitResult
time_out(EfVisit *visit, const char *kind, const char *names)
{
	ef_add_event(visit, EF_EVENT_TIMED_OUT);
	visit->failure.name = "States.Timeout";
	visit->failure.cause = psprintf("no %s \"%s\" came within the timeout", kind, names);
	return EF_VISIT_FAILED;
}

EfVisitResult
ef_visit_signal(EfVisit *visit, const char *names)
{
	TimestampTz timeout_at;
	EfMessage	message;
	char	  **addresses;
	int			count = ef_addresses(EF_ADDRESS_SIGNAL, names, &addresses);

	if (!begin(visit, &timeout_at))
		return EF_VISIT_FAILED;
	switch (ef_await_message(visit, addresses, count, timeout_at, &message))
	{
		case EF_AWAIT_RESTS:
			return EF_VISIT_RESTS;
		case EF_AWAIT_LATER:
			return EF_VISIT_LATER;
		case EF_AWAIT_TIMED_OUT:
			return time_out(visit, "signal", names);
		case EF_AWAIT_RECEIVED:
			break;
	}
	return ef_finish_task(visit, result_of("signal", message.address + strlen(EF_ADDRESS_SIGNAL), message.payload,
										   count));
}

static bool
is_awaited(const char *address, char *const *addresses, int count)
{
	int			i;

	for (i = 0; i < count; i++)
	{
		if (strcmp(addresses[i], address) == 0)
			return true;
	}
	return false;
}

EfVisitResult
ef_visit_update(EfVisit *visit, const char *names)
{
	EfUpdate   *update = visit->branch->update;
	TimestampTz timeout_at;
	char	  **addresses;
	int			count = ef_addresses(EF_ADDRESS_UPDATE, names, &addresses);

	if (!begin(visit, &timeout_at))
		return EF_VISIT_FAILED;
	if (update && update->taken_by == NULL && is_awaited(update->address, addresses, count))
	{
		Jsonb	   *result = result_of("update", update->name, update->payload, count);

		ef_take_update(visit, result);
		return ef_finish_task(visit, result);
	}
	if (timeout_at <= visit->began_at)
		return time_out(visit, "update", names);
	ef_rest_awaiting(visit, addresses, count, timeout_at);
	return EF_VISIT_RESTS;
}
