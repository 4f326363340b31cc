/*-------------------------------------------------------------------------
 *
 * branch.c
 *	  Branches in memory, and the claim on the one that this process advances.
 *
 * The claim is a lock of the server's lock manager, in a class of our own among
 * the advisory locks, keyed by a hash of run and branch.  (Two branches with
 * the same hash merely cannot be advanced at the same moment.)  It is taken for
 * the session and with the lock method of the server's own locks, not that of
 * users' advisory locks.  So it spans transactions, an activity that calls
 * pg_advisory_unlock_all() cannot give it away, and the abort of a transaction
 * releases it together with what was done under it.  The server does not
 * expect such a lock to be held between transactions when a process exits,
 * so a callback releases it then.
 *
 * Memory of a loaded branch:
 *	 fixed		the run, and what came with the row; as long as it is loaded
 *	 current	the data and variables; the two below change roles each time
 *	 spare		  that they are replaced
 *	 scratch	everything else; emptied for each visit to a state
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "engine/branch.h"
#include "engine/engine.h"
#include "engine/mailbox.h"
#include "engine/store.h"
#include "fault.h"

#define LOCK_CLASS_BRANCH 0xEF01

typedef struct Claim
{
	bool		held;
	bool		ends_at_commit;
	bool		loaded;			/* branch is valid and its workflow pinned */
	EfBranchKey key;
	LOCKTAG		tag;
	EfBranch	branch;
	EfFailedBranch as_loaded;	/* for when it fails */
} Claim;

static Claim claim;
static MemoryContext branch_context;	/* parent of the claimed branch's contexts */

/* ---- branches in memory ---- */

void
ef_branch_key(const EfBranch *branch, EfBranchKey *key)
{
	memset(key, 0, sizeof(*key));
	key->run_id = branch->run.run_id;
	key->branch_id = branch->branch_id;
}

void
ef_branch_create_contexts(EfBranch *branch, MemoryContext parent)
{
	branch->fixed = AllocSetContextCreate(parent, "branch", ALLOCSET_SMALL_SIZES);
	branch->current = AllocSetContextCreate(branch->fixed, "branch data", ALLOCSET_SMALL_SIZES);
	branch->spare = AllocSetContextCreate(branch->fixed, "branch data, next", ALLOCSET_SMALL_SIZES);
	branch->scratch = AllocSetContextCreate(branch->fixed, "visit to a state", ALLOCSET_DEFAULT_SIZES);
}

void
ef_branch_delete_contexts(EfBranch *branch)
{
	if (branch->fixed)
		MemoryContextDelete(branch->fixed);
	memset(branch, 0, sizeof(*branch));
}

static Jsonb *
copy_jsonb(Jsonb *jsonb)
{
	Jsonb	   *copy;

	if (jsonb == NULL)
		return NULL;
	copy = palloc(VARSIZE(jsonb));
	memcpy(copy, jsonb, VARSIZE(jsonb));
	return copy;
}

void
ef_branch_set_data(EfBranch *branch, Jsonb *data, Jsonb *variables)
{
	MemoryContext old;
	MemoryContext next = branch->spare;

	if (data == branch->data && variables == branch->variables)
		return;
	if (variables != branch->variables)
		branch->variables_changed = true;
	old = MemoryContextSwitchTo(next);
	branch->data = copy_jsonb(data);
	branch->variables = copy_jsonb(variables);
	MemoryContextSwitchTo(old);
	branch->spare = branch->current;
	branch->current = next;
	MemoryContextReset(branch->spare);
}

/* ---- the lock ---- */

uint64
ef_branch_hash(const pg_uuid_t *run_id, int32 branch_id)
{
	return hash_bytes_extended((const unsigned char *) run_id, UUID_LEN, (uint64) branch_id);
}

static void
set_lock_tag(const EfBranchKey *key, LOCKTAG *tag)
{
	uint64		hash = ef_branch_hash(&key->run_id, key->branch_id);

	SET_LOCKTAG_ADVISORY(*tag, MyDatabaseId, (uint32) (hash >> 32), (uint32) hash, LOCK_CLASS_BRANCH);
	tag->locktag_lockmethodid = DEFAULT_LOCKMETHOD;
}

static void
release_lock(void)
{
	if (claim.held)
	{
		claim.held = false;
		LockRelease(&claim.tag, ExclusiveLock, true);
	}
}

static void
release_at_exit(int code, Datum arg)
{
	AbortOutOfAnyTransaction();
	release_lock();
}

static bool
take_lock(const EfBranchKey *key, bool wait)
{
	static bool registered = false;

	if (!registered)
	{
		before_shmem_exit(release_at_exit, (Datum) 0);
		registered = true;
	}
	EF_FAULT("before claiming");
	set_lock_tag(key, &claim.tag);
	claim.key = *key;
	claim.held = LockAcquire(&claim.tag, ExclusiveLock, true, !wait) != LOCKACQUIRE_NOT_AVAIL;
	claim.ends_at_commit = false;
	return claim.held;
}

/* ---- claiming ---- */

static void
unload(void)
{
	if (claim.loaded)
	{
		claim.loaded = false;
		ef_workflow_unpin(claim.branch.run.workflow);
	}
	if (claim.branch.fixed)
		ef_branch_delete_contexts(&claim.branch);
}

/* Is it due by its time, or because of a message?  Then it has been since now, and stays due until it rests again. */
static bool
is_due(EfBranch *branch)
{
	TimestampTz now = ef_now();

	if (branch->due_at != DT_NOEND && branch->due_at <= now)
		return true;
	if (branch->parked || !ef_has_message(branch))
		return false;
	branch->due_at = now;
	return true;
}

static bool
load(void)
{
	if (branch_context == NULL)
		branch_context = AllocSetContextCreate(TopMemoryContext, "claimed branch", ALLOCSET_SMALL_SIZES);
	ef_branch_create_contexts(&claim.branch, branch_context);
	if (!ef_store_load_branch(&claim.key, &claim.branch))
		return false;
	if (!is_due(&claim.branch))
		return false;
	ef_workflow_pin(claim.branch.run.workflow);
	claim.loaded = true;
	claim.as_loaded.loaded = true;
	claim.as_loaded.step = claim.branch.row_step;
	claim.as_loaded.deadline = claim.branch.run.deadline;
	claim.as_loaded.canceled = claim.branch.canceled != '\0';
	return true;
}

static bool
is_same_branch(const EfBranchKey *a, const EfBranchKey *b)
{
	return a->branch_id == b->branch_id && memcmp(&a->run_id, &b->run_id, UUID_LEN) == 0;
}

EfBranch *
ef_claim_branch(const EfBranchKey *key, bool wait, bool *busy)
{
	*busy = false;
	if (claim.held && claim.loaded && !claim.ends_at_commit && is_same_branch(key, &claim.key))
		return &claim.branch;
	ef_release_branch();
	if (!take_lock(key, wait))
	{
		*busy = true;
		return NULL;
	}
	EF_FAULT("claimed, not loaded");
	if (!load())
	{
		ef_release_branch();
		return NULL;
	}
	EF_FAULT("loaded");
	return &claim.branch;
}

bool
ef_is_claimed(const EfBranchKey *key)
{
	return claim.held && is_same_branch(key, &claim.key);
}

bool
ef_is_run_claimed(const pg_uuid_t *run_id)
{
	return claim.held && memcmp(run_id, &claim.key.run_id, UUID_LEN) == 0;
}

/* By the transaction, so that it may lock several, and an error releases them as it undoes what was done under them. */
bool
ef_lock_branch(const EfBranchKey *key)
{
	LOCKTAG		tag;

	if (ef_is_claimed(key))
		return false;
	set_lock_tag(key, &tag);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

void
ef_unlock_branch(const EfBranchKey *key)
{
	LOCKTAG		tag;

	set_lock_tag(key, &tag);
	LockRelease(&tag, ExclusiveLock, false);
}

void
ef_wait_for_branch(const EfBranchKey *key, int timeout_ms)
{
	LOCKTAG		tag;
	int			nest_level = NewGUCNestLevel();

	/* If the session's own limit is shorter, that one counts. */
	if (LockTimeout == 0 || LockTimeout > timeout_ms)
		(void) set_config_option("lock_timeout", psprintf("%d", timeout_ms), PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	set_lock_tag(key, &tag);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
	AtEOXact_GUC(false, nest_level);
	ef_unlock_branch(key);
}

void
ef_release_branch(void)
{
	unload();
	release_lock();
}

int32
ef_claimed_step(void)
{
	Assert(claim.held && claim.loaded);
	return claim.branch.step;
}

void
ef_get_failed_branch(const EfBranchKey *key, EfFailedBranch *failed)
{
	if (claim.loaded && is_same_branch(key, &claim.key))
		*failed = claim.as_loaded;
	else
		memset(failed, 0, sizeof(*failed));
}

void
ef_release_branch_at_commit(void)
{
	claim.ends_at_commit = true;
}

/* The lock becomes one of the transaction. */
void
ef_keep_branch_until_commit(void)
{
	if (claim.held)
		(void) LockAcquire(&claim.tag, ExclusiveLock, false, true);
	ef_release_branch();
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (!claim.held)
		return;
	if (event == XACT_EVENT_COMMIT && claim.ends_at_commit)
	{
		EF_FAULT_DEATH("committed, claim not released");
		ef_release_branch();
	}
	else if (event == XACT_EVENT_ABORT)
		claim.held = false;		/* the server releases it with all other locks */
}

void
ef_branch_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}
