/*-------------------------------------------------------------------------
 *
 * queue.c
 *	  A database's ready queue and timers.
 *
 * Bounded, and allowed to forget: whatever finds no place lowers the horizon,
 * from which on the dispatcher reads the table (see shared.h).  All functions
 * expect the slot's lock to be held and collect the latches to be set.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "runtime/shared.h"

#define READY_AT(db, i) \
	(&(db)->ready[((db)->ready_head + (i)) % ef_shared->queue_size])

/* When this few are left, it is time to read on. */
#define LOW_MARK (ef_shared->queue_size / 4)

static void add_ready(EfDatabaseSlot *db, const EfEntry *entry, EfWakeList *wake);
static void add_timer(EfDatabaseSlot *db, const EfEntry *entry, EfWakeList *wake);
static void drop_first_timer(EfDatabaseSlot *db);
static void shed_timers(EfDatabaseSlot *db, EfWakeList *wake);
static void sift_up(EfEntry *timers, int i);
static void sift_down(EfEntry *timers, int n, int i);

/*
 * Empty, and knowing nothing of the table.
 */
void
ef_queue_reset(EfDatabaseSlot *db)
{
	db->ready_head = 0;
	db->nready = 0;
	db->ntimers = 0;
	db->horizon = DT_NOBEGIN;
	db->lost = false;
}

/*
 * A committed transaction says that a branch is due.
 */
void
ef_queue_announce(EfDatabaseSlot *db, const EfEntry *entry, TimestampTz now, EfWakeList *wake)
{
	/* The table will be read for this time anyway, and in order. */
	if (entry->due_at >= db->horizon)
		return;

	if (entry->due_at <= now)
		add_ready(db, entry, wake);
	else
		add_timer(db, entry, wake);
}

/*
 * A branch could not be advanced.  It comes back wherever the horizon lies: the
 * table would make it due at once, and only the entry knows how often it was
 * tried.
 */
void
ef_queue_put_back(EfDatabaseSlot *db, EfEntry *entry, TimestampTz now, EfWakeList *wake)
{
	entry->put_back = true;
	if (entry->due_at <= now)
		add_ready(db, entry, wake);
	else
		add_timer(db, entry, wake);
}

/*
 * A branch was read from the table.  Returns false when there is no place for
 * it; the horizon then lies at its due time and reading on is useless.
 */
bool
ef_queue_refill(EfDatabaseSlot *db, const EfEntry *entry, TimestampTz now, EfWakeList *wake)
{
	bool		is_due = entry->due_at <= now;

	if ((is_due ? db->nready : db->ntimers) >= ef_shared->queue_size)
	{
		ef_queue_lower_horizon(db, entry->due_at, NULL);
		return false;
	}
	if (is_due)
		add_ready(db, entry, wake);
	else
		add_timer(db, entry, wake);
	return true;
}

/*
 * Does the branch rest, having come with a copy of another database?  It is
 * announced nevertheless, by messages for example.
 */
static bool
is_held(const EfDatabaseSlot *db, const EfEntry *entry)
{
	return db->holds && memcmp(entry->key.run_id.data, db->held_through.data, UUID_LEN) <= 0;
}

/*
 * The next branch to advance, or false.
 */
bool
ef_queue_take(EfDatabaseSlot *db, EfEntry *entry, EfWakeList *wake)
{
	bool		taken = false;

	while (!taken && db->nready > 0)
	{
		*entry = *READY_AT(db, 0);
		taken = !is_held(db, entry);
		db->ready_head = (db->ready_head + 1) % ef_shared->queue_size;
		db->nready--;

		/* Crossing the mark is the dispatcher's sign to fill up, if there is anything to fill up from. */
		if (db->nready == LOW_MARK && (db->horizon != DT_NOEND || db->lost || db->ntimers > 0))
			ef_wake_dispatcher(db, wake);
	}
	return taken;
}

/*
 * The branch that would be taken next, or NULL.
 */
const EfEntry *
ef_queue_first(const EfDatabaseSlot *db)
{
	return db->nready > 0 && !is_held(db, READY_AT(db, 0)) ? READY_AT(db, 0) : NULL;
}

/*
 * Move timers that are due into the ready queue.  Those that find it full stay.
 */
void
ef_queue_fire_timers(EfDatabaseSlot *db, TimestampTz now, EfWakeList *wake)
{
	while (db->ntimers > 0 && db->timers[0].due_at <= now &&
		   db->nready < ef_shared->queue_size)
	{
		add_ready(db, &db->timers[0], wake);
		drop_first_timer(db);
	}
}

bool
ef_queue_runs_low(const EfDatabaseSlot *db)
{
	return db->nready <= LOW_MARK;
}

/*
 * From this time on the table knows more.
 */
void
ef_queue_lower_horizon(EfDatabaseSlot *db, TimestampTz horizon, EfWakeList *wake)
{
	if (horizon >= db->horizon)
		return;
	db->horizon = horizon;
	if (wake != NULL)
		ef_wake_dispatcher(db, wake);
}

static void
add_ready(EfDatabaseSlot *db, const EfEntry *entry, EfWakeList *wake)
{
	EfWorkerSlot *worker;

	if (db->nready >= ef_shared->queue_size)
	{
		/* taking from the queue will wake the dispatcher in time */
		if (entry->put_back)
			db->lost = true;
		else
			ef_queue_lower_horizon(db, entry->due_at, NULL);
		return;
	}
	*READY_AT(db, db->nready) = *entry;
	db->nready++;

	if (db->nidle > 0)
	{
		worker = &db->workers[db->idle[--db->nidle]];
		worker->state = EF_WORKER_AWAKE;
		wake->workers[wake->nworkers++] = worker->latch;
	}
	else if (db->nworkers == 0 && db->nready == 1)
		ef_wake_dispatcher(db, wake);
}

static void
add_timer(EfDatabaseSlot *db, const EfEntry *entry, EfWakeList *wake)
{
	if (db->ntimers >= ef_shared->queue_size)
		shed_timers(db, wake);

	db->timers[db->ntimers] = *entry;
	sift_up(db->timers, db->ntimers);
	db->ntimers++;

	/* The dispatcher sleeps until the first of them. */
	if (db->timers[0].due_at == entry->due_at)
		ef_wake_dispatcher(db, wake);
}

static void
drop_first_timer(EfDatabaseSlot *db)
{
	db->ntimers--;
	db->timers[0] = db->timers[db->ntimers];
	sift_down(db->timers, db->ntimers, 0);
}

static int
compare_due(const void *a, const void *b)
{
	TimestampTz x = ((const EfEntry *) a)->due_at;
	TimestampTz y = ((const EfEntry *) b)->due_at;

	return (x > y) - (x < y);
}

/*
 * The heap is full: forget the later half, which the table will give back.
 * Sorting costs little for each of the many timers that then find a place, and
 * a sorted array is a heap.
 */
static void
shed_timers(EfDatabaseSlot *db, EfWakeList *wake)
{
	int			keep = db->ntimers / 2;
	int			i;

	qsort(db->timers, db->ntimers, sizeof(EfEntry), compare_due);
	for (i = keep; i < db->ntimers; i++)
	{
		if (db->timers[i].put_back)
			db->lost = true;
		else
			ef_queue_lower_horizon(db, db->timers[i].due_at, wake);
	}
	db->ntimers = keep;
	if (db->lost)
		ef_wake_dispatcher(db, wake);
}

static void
sift_up(EfEntry *timers, int i)
{
	EfEntry		entry = timers[i];

	while (i > 0)
	{
		int			parent = (i - 1) / 2;

		if (timers[parent].due_at <= entry.due_at)
			break;
		timers[i] = timers[parent];
		i = parent;
	}
	timers[i] = entry;
}

static void
sift_down(EfEntry *timers, int n, int i)
{
	EfEntry		entry = timers[i];

	for (;;)
	{
		int			child = 2 * i + 1;

		if (child >= n)
			break;
		if (child + 1 < n && timers[child + 1].due_at < timers[child].due_at)
			child++;
		if (entry.due_at <= timers[child].due_at)
			break;
		timers[i] = timers[child];
		i = child;
	}
	if (n > 0)
		timers[i] = entry;
}
