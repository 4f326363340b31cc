/*-------------------------------------------------------------------------
 *
 * crash.c
 *	  Branches that crash the process that advances them.
 *
 * When a process crashes, the postmaster ends all others and makes shared memory
 * anew.  A step that crashes its process every time would so keep the whole
 * server from working, for ever.  It is found out like this:
 *
 * The postmaster, while it loads the library, maps a little memory of its own
 * that all its children share.  It is not part of what is made anew.  Each
 * worker has a place there for a note of the branch that it is advancing, which
 * costs two stores in memory for each branch taken.  The note goes when the
 * worker is done, ends in good order, or is told to quit because another process
 * has crashed.  So when the postmaster makes shared memory anew, the notes that
 * are left name the branches whose process died without being told to: by a
 * segmentation fault, an assertion, a PANIC, or kill -9 (the kernel's, when
 * memory is short, too).
 *
 * Those become suspects.  A suspect is repeated after a delay that grows, so that
 * the others get on meanwhile; its steps are flushed, so that what lies before the
 * step at fault is not lost with the next crash; and when it has crashed a process
 * three times in a row without getting beyond the step where it did so first, it
 * is parked (engine/park.c).  It is a suspect no longer when it gets beyond that
 * step, or comes to rest.
 *
 * A PANIC because the disk is full, or fails, is no fault of the step: when there
 * is no room for WAL, that is how any process ends which happens to write it.  It
 * makes the branch a suspect, so that a step that fills the disk itself leaves
 * some time to the others, but is not counted.
 *
 * What an operator does puts nobody under suspicion for long: a kill -9 of the
 * postmaster takes this memory with it, an immediate shutdown excuses everybody,
 * and a kill -9 of workers would have to meet the same step three times in a row.
 *
 * Where the postmaster does not restart the server itself (restart_after_crash = off),
 * it ends after a crash, and whoever supervises it starts it again.  So it leaves the
 * suspects in a small file when it ends by itself, for the next one to read.
 *
 * The notes are written by their worker and read by the postmaster when no child
 * is left.  The suspects are guarded by EfShared.lock, not by a lock in here that
 * a process might take with it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/mman.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "runtime/crash.h"
#include "runtime/shared.h"

/* The least suspected makes room; a crash names one, seldom a few. */
#define MAX_SUSPECTS 64

/* From one crash to the next the delay grows by this factor. */
#define DELAY_GROWTH 4

/* Of a branch none of whose steps this process has committed. */
#define NO_STEP (-1)

typedef struct Note
{
	sig_atomic_t valid;			/* set last, cleared first */
	sig_atomic_t blameless;		/* it dies because of the disk */
	int32		step;			/* the last one that this process has committed */
	Oid			database;
	EfBranchKey key;
} Note;

typedef struct Suspect
{
	Oid			database;		/* InvalidOid: not in use */
	EfBranchKey key;
	int			crashes;		/* without those that are not its fault */
	int32		step;			/* it got as far as this before the first of them */
	TimestampTz not_before;		/* 0: no process has seen it since the last one */
} Suspect;

typedef struct Memory
{
	volatile int nsuspects;
	Suspect		suspects[MAX_SUSPECTS];
	int			nnotes;
	Note		notes[FLEXIBLE_ARRAY_MEMBER];
} Memory;

/* What the postmaster leaves to the next one. */
#define SUSPECTS_FILE PGSTAT_STAT_PERMANENT_DIRECTORY "/expense_flow.suspects"

typedef struct SuspectsFile
{
	uint32		format;
	pg_crc32c	crc;			/* of what follows */
	Suspect		suspects[MAX_SUSPECTS];
} SuspectsFile;

/* Other with every layout. */
#define SUSPECTS_FILE_FORMAT ((uint32) (0xEF150000 + sizeof(SuspectsFile)))

/* setting */
int			ef_crash_retry_delay = 5000;

static Memory *memory = NULL;	/* NULL: nothing is counted */
static volatile Note *own_note = NULL;

static emit_log_hook_type prev_emit_log_hook = NULL;

static void note_panic(ErrorData *edata);
static void leave_suspects(int code, Datum arg);

/*
 * Not shared memory of the server's, which would be released with the rest.
 */
void
ef_crash_init(int ndatabases)
{
	int			nnotes = ndatabases * (EF_MAX_WORKERS + 1);
	void	   *address;

	address = mmap(NULL, offsetof(Memory, notes) + nnotes * sizeof(Note), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (address == MAP_FAILED)
	{
		ereport(WARNING,
				(errmsg("could not map memory for the crashes of expense_flow's workers: %m"),
				 errdetail("A step that crashes its process every time will not be parked.")));
		return;
	}
	/* new pages are zero */
	memory = (Memory *) address;
	memory->nnotes = nnotes;

	prev_emit_log_hook = emit_log_hook;
	emit_log_hook = note_panic;

	/* Its children forget this when they are forked. */
	if (IsPostmasterEnvironment)
		on_proc_exit(leave_suspects, (Datum) 0);
}

/* ---- notes ---- */

void
ef_crash_begin(int slot, int place, Oid database, const EfBranchKey *key)
{
	volatile Note *note;

	if (memory == NULL)
		return;
	note = &memory->notes[slot * (EF_MAX_WORKERS + 1) + place];
	note->database = database;
	note->key = *key;
	note->step = NO_STEP;
	note->blameless = false;
	pg_compiler_barrier();
	note->valid = true;
	own_note = note;
}

void
ef_crash_progress(int32 step)
{
	if (own_note != NULL)
		own_note->step = step;
}

void
ef_crash_end(void)
{
	if (own_note != NULL)
		own_note->valid = false;
	own_note = NULL;
}

void
ef_crash_excuse(void)
{
	if (own_note != NULL)
		own_note->valid = false;
}

/*
 * A PANIC is always written to the server's log, and so comes by here.  There is no SQLSTATE for an exceeded quota.
 */
static void
note_panic(ErrorData *edata)
{
	if (own_note != NULL && edata->elevel >= PANIC &&
		(edata->sqlerrcode == ERRCODE_DISK_FULL || edata->sqlerrcode == ERRCODE_IO_ERROR ||
		 edata->saved_errno == EDQUOT))
		own_note->blameless = true;
	if (prev_emit_log_hook)
		prev_emit_log_hook(edata);
}

/* ---- suspects ---- */

static Suspect *
find_suspect(Oid database, const EfBranchKey *key)
{
	int			i;

	for (i = 0; i < MAX_SUSPECTS; i++)
	{
		Suspect    *suspect = &memory->suspects[i];

		if (suspect->database == database && suspect->key.branch_id == key->branch_id &&
			memcmp(&suspect->key.run_id, &key->run_id, UUID_LEN) == 0)
			return suspect;
	}
	return NULL;
}

static Suspect *
new_suspect(Oid database, const EfBranchKey *key)
{
	Suspect    *suspect = &memory->suspects[0];
	int			i;

	for (i = 0; i < MAX_SUSPECTS && OidIsValid(suspect->database); i++)
	{
		if (!OidIsValid(memory->suspects[i].database) || memory->suspects[i].crashes < suspect->crashes)
			suspect = &memory->suspects[i];
	}
	if (!OidIsValid(suspect->database))
		memory->nsuspects++;
	memset(suspect, 0, sizeof(*suspect));
	suspect->database = database;
	suspect->key = *key;
	return suspect;
}

static void
suspect_branch(Oid database, const EfBranchKey *key, int32 step, bool blameless)
{
	Suspect    *suspect = find_suspect(database, key);

	if (suspect == NULL)
		suspect = new_suspect(database, key);
	if (suspect->crashes == 0 || step > suspect->step)
	{
		suspect->crashes = 0;
		suspect->step = step;
	}
	if (!blameless)
		suspect->crashes++;
	suspect->not_before = 0;
}

static void
read_notes(void)
{
	int			i;

	for (i = 0; i < memory->nnotes; i++)
	{
		Note	   *note = &memory->notes[i];

		if (note->valid)
			suspect_branch(note->database, &note->key, note->step, note->blameless);
		note->valid = false;
	}
}

/* ---- the end of the postmaster, and the next one ---- */

static pg_crc32c
suspects_crc(const SuspectsFile *file)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, file->suspects, sizeof(file->suspects));
	FIN_CRC32C(crc);
	return crc;
}

/*
 * In the postmaster, whose last action this is: so nothing here may raise an error.  It ends with code 0 when it was
 * told to, which excuses everybody.
 */
static void
leave_suspects(int code, Datum arg)
{
	static SuspectsFile file;
	FILE	   *stream;
	bool		written;

	if (code == 0)
		return;
	read_notes();
	if (memory->nsuspects == 0)
		return;
	file.format = SUSPECTS_FILE_FORMAT;
	memcpy(file.suspects, memory->suspects, sizeof(file.suspects));
	file.crc = suspects_crc(&file);

	stream = AllocateFile(SUSPECTS_FILE, PG_BINARY_W);
	written = stream != NULL && fwrite(&file, sizeof(file), 1, stream) == 1;
	if (stream != NULL && FreeFile(stream) != 0)
		written = false;
	if (!written)
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not write file \"%s\": %m", SUSPECTS_FILE)));
}

/* What the last postmaster has left is good for this one only, whether it can be read or not. */
static void
find_suspects_left(void)
{
	static SuspectsFile file;
	FILE	   *stream = AllocateFile(SUSPECTS_FILE, PG_BINARY_R);
	bool		good;
	int			i;

	if (stream == NULL)
		return;
	good = fread(&file, sizeof(file), 1, stream) == 1 && file.format == SUSPECTS_FILE_FORMAT &&
		EQ_CRC32C(file.crc, suspects_crc(&file));
	FreeFile(stream);
	(void) unlink(SUSPECTS_FILE);
	if (!good)
	{
		ereport(LOG,
				(errmsg("ignoring file \"%s\", which is damaged or of another version", SUSPECTS_FILE)));
		return;
	}
	memcpy(memory->suspects, file.suspects, sizeof(file.suspects));
	for (i = 0; i < MAX_SUSPECTS; i++)
	{
		if (OidIsValid(memory->suspects[i].database))
			memory->nsuspects++;
	}
}

void
ef_crash_collect(void)
{
	static bool begun = false;

	if (memory == NULL)
		return;
	if (!begun && IsPostmasterEnvironment)
		find_suspects_left();
	begun = true;
	read_notes();
}

void
ef_crash_blame(Oid database, const EfBranchKey *key)
{
	if (memory == NULL)
		return;
	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	suspect_branch(database, key, own_note != NULL ? own_note->step : NO_STEP, false);
	LWLockRelease(ef_shared->lock);
}

/* How long to wait after so many crashes. */
static long
retry_delay_ms(int crashes)
{
	long		delay = ef_crash_retry_delay;

	for (; crashes > 1; crashes--)
		delay *= DELAY_GROWTH;
	return delay;
}

static void
report_suspect(const EfBranchKey *key, int crashes)
{
	char	   *run_id = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&key->run_id)));

	ereport(LOG,
			(errmsg("the process that advanced run %s, branch %d, has crashed", run_id, key->branch_id),
			 errdetail("It was crash %d of %d in a row; the step is repeated in %ld ms.",
					   crashes, EF_CRASHES_TO_PARK, retry_delay_ms(crashes))));
	pfree(run_id);
}

/*
 * Without a lock as long as there is no suspect at all: there will be one only after a restart, or when a process
 * has ended because of this very branch, before somebody else could take it.
 */
EfSuspicion
ef_crash_suspicion(Oid database, const EfBranchKey *key, long *delay_ms)
{
	EfSuspicion result = EF_SUSPICION_NONE;
	TimestampTz now;
	Suspect    *suspect;
	int			crashes = 0;

	if (memory == NULL || memory->nsuspects == 0)
		return EF_SUSPICION_NONE;

	now = GetCurrentTimestamp();
	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	suspect = find_suspect(database, key);
	if (suspect != NULL && suspect->crashes >= EF_CRASHES_TO_PARK)
		result = EF_SUSPICION_PARK;
	else if (suspect != NULL)
	{
		if (suspect->not_before == 0)
		{
			crashes = suspect->crashes;
			suspect->not_before = TimestampTzPlusMilliseconds(now, retry_delay_ms(crashes));
		}
		result = now < suspect->not_before ? EF_SUSPICION_LATER : EF_SUSPICION_CAREFUL;
		*delay_ms = TimestampDifferenceMilliseconds(now, suspect->not_before);
	}
	LWLockRelease(ef_shared->lock);

	if (crashes > 0)
		report_suspect(key, crashes);
	return result;
}

bool
ef_crash_has_suspects(void)
{
	return memory != NULL && memory->nsuspects > 0;
}

void
ef_crash_forget(Oid database, const EfBranchKey *key)
{
	Suspect    *suspect;

	if (memory == NULL || memory->nsuspects == 0)
		return;
	LWLockAcquire(ef_shared->lock, LW_EXCLUSIVE);
	suspect = find_suspect(database, key);
	if (suspect != NULL)
	{
		memset(suspect, 0, sizeof(*suspect));
		memory->nsuspects--;
	}
	LWLockRelease(ef_shared->lock);
}
