/*-------------------------------------------------------------------------
 *
 * announce.c
 *	  What a transaction tells the rest of the world once it has committed.
 *
 * Announcements are collected in arrays of the top transaction's memory, each
 * with the nesting level of the subtransaction that made it: when that aborts
 * they are dropped, when it commits they become its parent's.  Those of one
 * subtransaction are always at the end of the array, since an outer level
 * cannot add anything while an inner one is open.
 *
 * They are delivered at XACT_EVENT_COMMIT: what the transaction did is visible
 * to others, its locks are still held.  Nothing is allocated there.
 *
 * A transaction that announces something cannot be prepared: it would be
 * committed by another process, perhaps after a restart, and nobody would
 * hear of the work.
 *
 * The other way round, a task that was taken from a queue is there again when
 * the (sub)transaction that took it aborts, and that is announced then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/memutils.h"

#include "engine/engine.h"
#include "fault.h"

#define INITIAL_CAPACITY 16

/* Items of a fixed size, and the nesting level of each. */
typedef struct Announcements
{
	char	   *items;
	int		   *levels;
	int			count;
	int			capacity;
} Announcements;

const EfAnnouncementReceiver *ef_announcement_receiver = NULL;

static Announcements due_branches;
static Announcements closed_runs;
static Announcements interrupted_runs;
static Announcements scheduled_tasks;	/* queues */
static Announcements *const all_lists[] = {&due_branches, &closed_runs, &interrupted_runs, &scheduled_tasks};

/* Queues that get a task back when the (sub)transaction aborts. */
static Announcements taken_tasks;

static void
add(Announcements *list, const void *item, Size size)
{
	if (list->items == NULL)
	{
		list->items = MemoryContextAlloc(TopTransactionContext, INITIAL_CAPACITY * size);
		list->levels = MemoryContextAlloc(TopTransactionContext, INITIAL_CAPACITY * sizeof(int));
		list->capacity = INITIAL_CAPACITY;
	}
	else if (list->count == list->capacity)
	{
		list->items = repalloc_huge(list->items, (Size) list->capacity * 2 * size);
		list->levels = repalloc_huge(list->levels, (Size) list->capacity * 2 * sizeof(int));
		list->capacity *= 2;
	}
	memcpy(list->items + (Size) list->count * size, item, size);
	list->levels[list->count] = GetCurrentTransactionNestLevel();
	list->count++;
}

void
ef_announce_due(const EfBranchKey *key, TimestampTz due_at)
{
	EfDueBranch due;

	if (ef_announcement_receiver == NULL)
		return;
	memset(&due, 0, sizeof(due));
	due.key = *key;
	due.due_at = due_at;
	add(&due_branches, &due, sizeof(due));
}

void
ef_announce_closed(const pg_uuid_t *run_id)
{
	if (ef_announcement_receiver != NULL)
		add(&closed_runs, run_id, sizeof(*run_id));
}

void
ef_announce_interrupt(const pg_uuid_t *run_id)
{
	if (ef_announcement_receiver != NULL)
		add(&interrupted_runs, run_id, sizeof(*run_id));
}

void
ef_announce_task(uint64 queue)
{
	if (ef_announcement_receiver != NULL)
		add(&scheduled_tasks, &queue, sizeof(queue));
}

void
ef_announce_task_if_aborted(uint64 queue)
{
	if (ef_announcement_receiver != NULL)
		add(&taken_tasks, &queue, sizeof(queue));
}

/* ---- the ends of transactions ---- */

/* Is there work for somebody at once?  Not asked of every branch of a large set. */
static bool
is_first_branch_due(void)
{
	return due_branches.count > 0 && ((const EfDueBranch *) due_branches.items)->due_at <= ef_now();
}

static bool
is_anything_announced(void)
{
	int			i;

	for (i = 0; i < lengthof(all_lists); i++)
	{
		if (all_lists[i]->count > 0)
			return true;
	}
	return false;
}

/* The memory goes with the transaction; there may be arrays that an aborted subtransaction has emptied. */
static void
forget_all(void)
{
	int			i;

	for (i = 0; i < lengthof(all_lists); i++)
		memset(all_lists[i], 0, sizeof(Announcements));
	memset(&taken_tasks, 0, sizeof(taken_tasks));
}

/* What was taken by this level and inner ones is there again: its locks and marks are gone. */
static void
give_back_tasks(int level)
{
	Announcements *list = &taken_tasks;
	int			first = list->count;

	while (first > 0 && list->levels[first - 1] >= level)
		first--;
	if (first < list->count)
		ef_announcement_receiver->tasks_scheduled((const uint64 *) list->items + first, list->count - first);
	list->count = first;
}

static void
deliver(void)
{
	const EfAnnouncementReceiver *receiver = ef_announcement_receiver;

	if (receiver == NULL)
		return;
	/* First, so that it hits whoever was at work before, and hardly ever those whom the others wake. */
	if (interrupted_runs.count > 0)
		receiver->interrupt_runs((const pg_uuid_t *) interrupted_runs.items, interrupted_runs.count);
	if (due_branches.count > 0)
		receiver->branches_due((const EfDueBranch *) due_branches.items, due_branches.count);
	if (closed_runs.count > 0)
		receiver->runs_closed((const pg_uuid_t *) closed_runs.items, closed_runs.count);
	if (scheduled_tasks.count > 0)
		receiver->tasks_scheduled((const uint64 *) scheduled_tasks.items, scheduled_tasks.count);
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			if (is_anything_announced())
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has started or advanced a workflow")));
			break;
		case XACT_EVENT_PRE_COMMIT:
			if (is_anything_announced())
				EF_FAULT("before a commit that is announced");
			if (synchronous_commit > SYNCHRONOUS_COMMIT_OFF && is_first_branch_due())
				ef_announcement_receiver->branches_soon_due();
			break;
		case XACT_EVENT_COMMIT:
			if (is_anything_announced())
				EF_FAULT_DEATH("committed, not announced");
			deliver();
			forget_all();
			break;
		case XACT_EVENT_ABORT:
			give_back_tasks(0);
			forget_all();
			break;
		case XACT_EVENT_PREPARE:
			forget_all();
			break;
		default:
			break;
	}
}

static void
drop_level(Announcements *list, int level)
{
	while (list->count > 0 && list->levels[list->count - 1] >= level)
		list->count--;
}

static void
give_to_parent(Announcements *list, int level)
{
	int			i;

	for (i = list->count - 1; i >= 0 && list->levels[i] >= level; i--)
		list->levels[i] = level - 1;
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	int			i;

	for (i = 0; i < lengthof(all_lists); i++)
	{
		if (event == SUBXACT_EVENT_ABORT_SUB)
			drop_level(all_lists[i], level);
		else if (event == SUBXACT_EVENT_COMMIT_SUB)
			give_to_parent(all_lists[i], level);
	}
	if (event == SUBXACT_EVENT_ABORT_SUB)
		give_back_tasks(level);
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		give_to_parent(&taken_tasks, level);
}

void
ef_announce_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
	RegisterSubXactCallback(at_subtransaction_end, NULL);
}
