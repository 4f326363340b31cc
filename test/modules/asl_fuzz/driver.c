/*-------------------------------------------------------------------------
 *
 * driver.c
 *	  The loop: choose a case, change it, run it, keep it if it went where none
 *	  went before.
 *
 * src/asl is compiled with -fsanitize-coverage=trace-pc, so that the compiler
 * calls __sanitizer_cov_trace_pc() at every branch.  Pairs of places that follow
 * each other are counted; a case with a new pair, or one counted in a new order of
 * magnitude, joins the corpus.
 *
 * The case at work is in a file that is mapped into memory, where it is still
 * found when the process is gone.  Each case runs twice, in memory filled with
 * another byte, and must give the same twice.
 *
 *	  asl_fuzz(target text, corpus text, current text, seed bigint,
 *			   seconds float8, max_cases bigint) returns text
 *
 * corpus is a file with one case a line, current the file of the case at work.
 * With max_cases = 0 the cases of the corpus are run as they are, and no others.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/jsonapi.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

#include "fuzz.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(asl_fuzz);

#define MAX_CASE 8192			/* bytes; a seed may have more */
#define MAX_SEED 262144
#define MAX_CORPUS 30000
#define MAX_MEMORY ((Size) 256 * 1024 * 1024)
#define MAX_MILLISECONDS 4000	/* then the case is canceled, and has failed */
#define GRACE_MILLISECONDS 8000 /* then it cannot be canceled: the process ends */

#ifdef FUZZ_SLOW
#define EXTRA_TIME 5			/* under a sanitizer */
#else
#define EXTRA_TIME 1
#endif

/* ---- where the code went ---- */

#define MAP_SIZE 65536

static uint8 counts[MAP_SIZE];
static uint8 seen[MAP_SIZE];	/* a bit for each order of magnitude */
static uint16 touched[MAP_SIZE];
static int	ntouched = 0;
static uintptr_t last_place = 0;
static int	nplaces = 0;

extern PGDLLEXPORT void __sanitizer_cov_trace_pc(void);

void
__sanitizer_cov_trace_pc(void)
{
	uintptr_t	place = (uintptr_t) __builtin_return_address(0) - (uintptr_t) asl_fuzz;
	uint16		pair;

	place = (place * 0x9E3779B1u) >> 8;
	pair = (uint16) (place ^ (last_place >> 1));
	last_place = place;
	if (counts[pair] == 0)
		touched[ntouched++] = pair;
	if (counts[pair] < 255)
		counts[pair]++;
}

static void
forget_places(void)
{
	while (ntouched > 0)
		counts[touched[--ntouched]] = 0;
	last_place = 0;
}

/* Was anything new?  Remembers it. */
static bool
learn_places(void)
{
	bool		new = false;

	for (int i = 0; i < ntouched; i++)
	{
		uint8		count = counts[touched[i]];
		uint8		bit = count < 4 ? 1 << (count - 1) : count < 8 ? 8 : count < 16 ? 16 : count < 32 ? 32 : count < 128 ? 64 : 128;

		if (seen[touched[i]] == 0)
			nplaces++;
		if ((seen[touched[i]] & bit) == 0)
			new = true;
		seen[touched[i]] |= bit;
	}
	return new;
}

/* ---- the fuzzer ---- */

typedef struct Fuzzer
{
	const FuzzTarget *target;
	FuzzRandom	random;
	MemoryContext corpus_cxt;
	MemoryContext case_cxt;		/* what the case under test allocates */
	MemoryContext work_cxt;		/* what making the case takes */
	char	  **corpus;
	int			ncorpus;
	char	   *current;		/* the mapped file */
	int64		ncases;
	int64		nrejected;
	double		slowest;		/* ms */
} Fuzzer;

static TimeoutId soft_timeout = MAX_TIMEOUTS;
static TimeoutId hard_timeout = MAX_TIMEOUTS;

static void
cancel_case(void)
{
	InterruptPending = true;
	QueryCancelPending = true;
}

static void
end_process(void)
{
	static const char message[] = "the case cannot be interrupted\n";

	if (write(STDERR_FILENO, message, sizeof(message) - 1) < 0)
		_exit(3);
	abort();
}

static double
milliseconds(void)
{
	instr_time	time;

	INSTR_TIME_SET_CURRENT(time);
	return INSTR_TIME_GET_MILLISEC(time);
}

/* A case for the last time, so that it is not lost. */
static void
show_case(Fuzzer *fuzzer, const char *text)
{
	strlcpy(fuzzer->current, text, MAX_SEED);
}

/* Whatever is random by design must be so in the same way. */
static bool
is_repeatable(const char *text)
{
	return strstr(text, "UUID") == NULL;
}

/* Once; false: the text is no case.  *failure is set where something is wrong. */
static bool
run_once(Fuzzer *fuzzer, const char *text, bool again, char **outcome, char **failure)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool is_case = false;
	FuzzJson   *value = fuzz_json_parse(text, strlen(text));
	StringInfoData collected;

	*outcome = NULL;
	if (value == NULL)
		return false;
	initStringInfo(&collected);
	pg_prng_seed(&pg_global_prng_state, 1);
	fuzz_chunks_configure(again ? 0xcc : 0x7f, MAX_MEMORY);
	MemoryContextSwitchTo(fuzzer->case_cxt);
	enable_timeout_after(soft_timeout, MAX_MILLISECONDS * EXTRA_TIME);
	enable_timeout_after(hard_timeout, GRACE_MILLISECONDS * EXTRA_TIME);
	PG_TRY();
	{
		is_case = fuzzer->target->run(value, again, &collected);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		disable_timeout(soft_timeout, false);
		disable_timeout(hard_timeout, false);
		MemoryContextSwitchTo(caller);
		fuzz_chunks_configure(0, 0);
		error = CopyErrorData();
		FlushErrorState();
		is_case = true;
		if (error->sqlerrcode != ERRCODE_STATEMENT_TOO_COMPLEX)
			*failure = psprintf("%s (SQLSTATE %s, %s:%d)", error->message, unpack_sql_state(error->sqlerrcode),
								error->filename ? error->filename : "", error->lineno);
	}
	PG_END_TRY();
	disable_timeout(soft_timeout, false);
	disable_timeout(hard_timeout, false);
	QueryCancelPending = false;
	MemoryContextSwitchTo(caller);
	MemoryContextReset(fuzzer->case_cxt);
	*outcome = collected.data;
	return is_case;
}

/* False: the text is no case. */
static bool
run_case(Fuzzer *fuzzer, const char *text, bool *new, char **failure)
{
	double		start = milliseconds();
	char	   *outcome;
	char	   *again;

	*failure = NULL;
	show_case(fuzzer, text);
	forget_places();
	if (!run_once(fuzzer, text, false, &outcome, failure))
		return false;
	*new = learn_places();
	fuzzer->slowest = Max(fuzzer->slowest, milliseconds() - start);
	if (*failure == NULL && is_repeatable(text))
	{
		run_once(fuzzer, text, true, &again, failure);
		if (*failure == NULL && strcmp(outcome, again) != 0)
			*failure = psprintf("another outcome the second time:\n%s\n%s", outcome, again);
	}
	fuzzer->ncases++;
	return true;
}

static void
add_to_corpus(Fuzzer *fuzzer, const char *text)
{
	int			at = fuzzer->ncorpus;

	if (at == MAX_CORPUS)
		at = fuzz_below(&fuzzer->random, MAX_CORPUS);
	else
		fuzzer->ncorpus++;
	fuzzer->corpus[at] = MemoryContextStrdup(fuzzer->corpus_cxt, text);
}

/* ---- making cases ---- */

static const char *
choose(Fuzzer *fuzzer)
{
	int			n = fuzzer->ncorpus;

	/* What came last leads on more often. */
	if (n > 16 && fuzz_one_in(&fuzzer->random, 2))
		return fuzzer->corpus[n - 1 - fuzz_below(&fuzzer->random, n / 8)];
	return fuzzer->corpus[fuzz_below(&fuzzer->random, n)];
}

static bool
is_json(char *text, int length)
{
	JsonSemAction nothing = {0};
	JsonLexContext *lexer;
	JsonParseErrorType result = JSON_INVALID_TOKEN;
	MemoryContext caller = CurrentMemoryContext;

	if (!pg_verifymbstr(text, length, true))
		return false;
#if PG_VERSION_NUM >= 170000
	lexer = makeJsonLexContextCstringLen(NULL, text, length, GetDatabaseEncoding(), false);
#else
	lexer = makeJsonLexContextCstringLen(text, length, GetDatabaseEncoding(), false);
#endif
	PG_TRY();
	{
		result = pg_parse_json(lexer, &nothing);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();		/* nested too deeply */
	}
	PG_END_TRY();
	return result == JSON_SUCCESS;
}

static void
mutate_bytes(FuzzRandom *random, StringInfo text)
{
	static const char bytes[] = "{}[]\",:\\/0123456789.-+eEtfnu $@*?()'=<>!&|\x01\x7f\xc3\xa9\xf0";

	for (int i = fuzz_below(random, 4); i >= 0; i--)
	{
		int			at = fuzz_below(random, text->len);

		if (fuzz_one_in(random, 3))
		{
			memmove(text->data + at, text->data + at + 1, text->len - at);
			text->len--;
		}
		else
			text->data[at] = bytes[fuzz_below(random, sizeof(bytes) - 1)];
		if (text->len == 0)
			return;
	}
}

/* NULL: nothing that is worth running. */
static char *
make_case(Fuzzer *fuzzer)
{
	const char *base = choose(fuzzer);
	const char *other = choose(fuzzer);
	FuzzJson   *value = fuzz_json_parse(base, strlen(base));
	FuzzJson   *donor = fuzz_json_parse(other, strlen(other));
	StringInfoData text;
	char	   *structured;

	if (value == NULL || donor == NULL)
		return NULL;
	initStringInfo(&text);
	fuzz_json_print(&text, fuzz_mutate(&fuzzer->random, value, donor, fuzzer->target->framed));
	if (text.len > Max(MAX_CASE, (int) strlen(base)))
		return NULL;
	structured = pstrdup(text.data);
	if (!is_json(structured, text.len))
		return NULL;
	if (fuzz_one_in(&fuzzer->random, 8))
	{
		mutate_bytes(&fuzzer->random, &text);
		if (text.len > 0 && is_json(text.data, text.len))
			return text.data;
	}
	return structured;
}

/* A part of the case at a time is left out, as long as the failure stays. */
static char *
shrink(Fuzzer *fuzzer, char *text, const char *failure)
{
	int			key = Min(strcspn(failure, "(:"), 60);
	double		end = milliseconds() + 20000;
	FuzzRandom	random = {88172645463325252};

	for (int tries = 0; tries < 3000 && milliseconds() < end; tries++)
	{
		FuzzJson   *value = fuzz_json_parse(text, strlen(text));
		StringInfoData smaller;
		char	   *new_failure;
		bool		new;

		if (value == NULL)
			break;
		initStringInfo(&smaller);
		fuzz_json_print(&smaller, fuzz_mutate(&random, value, value, fuzzer->target->framed));
		if (smaller.len >= (int) strlen(text) || !is_json(smaller.data, smaller.len))
			continue;
		if (run_case(fuzzer, smaller.data, &new, &new_failure) &&
			new_failure && strncmp(new_failure, failure, key) == 0)
			text = smaller.data;
	}
	show_case(fuzzer, text);
	return text;
}

/* ---- files ---- */

static void
read_corpus(Fuzzer *fuzzer, const char *path)
{
	FILE	   *file = AllocateFile(path, "r");
	char	   *line = palloc(MAX_SEED);

	if (file == NULL)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", path)));
	while (fgets(line, MAX_SEED, file))
	{
		int			length = strcspn(line, "\n");

		if (line[length] != '\n')
			continue;			/* too long, or its end */
		line[length] = '\0';
		if (length > 0)
			add_to_corpus(fuzzer, line);
	}
	FreeFile(file);
	pfree(line);
}

static char *
map_file(const char *path)
{
	int			fd = OpenTransientFile(path, O_RDWR | O_CREAT | O_TRUNC);
	char	   *map;

	if (fd < 0 || ftruncate(fd, MAX_SEED) != 0)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", path)));
	map = mmap(NULL, MAX_SEED, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		ereport(ERROR, (errcode_for_file_access(), errmsg("could not map file \"%s\": %m", path)));
	CloseTransientFile(fd);
	return map;
}

/* ---- all together ---- */

/* What is wrong with the case, or NULL. */
static char *
try_case(Fuzzer *fuzzer, const char *text, bool keep)
{
	char	   *failure;
	bool		new = false;

	if (!run_case(fuzzer, text, &new, &failure))
		fuzzer->nrejected++;
	else if (failure)
		return psprintf("%s\ncase: %s", failure, keep ? shrink(fuzzer, pstrdup(text), failure) : text);
	else if (new && keep)
		add_to_corpus(fuzzer, text);
	return NULL;
}

static char *
fuzz(Fuzzer *fuzzer, double seconds, int64 max_cases)
{
	double		end = milliseconds() + seconds * 1000;
	int			nseeds = fuzzer->ncorpus;
	char	   *failure = NULL;

	for (int64 i = 0; failure == NULL && (i < nseeds || i < max_cases) && (i < nseeds || milliseconds() < end); i++)
	{
		const char *text;

		MemoryContextReset(fuzzer->work_cxt);
		MemoryContextSwitchTo(fuzzer->work_cxt);
		CHECK_FOR_INTERRUPTS();
		text = i < nseeds ? fuzzer->corpus[i] : make_case(fuzzer);
		if (text)
			failure = try_case(fuzzer, text, i >= nseeds);
	}
	return failure;
}

Datum
asl_fuzz(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	Fuzzer		fuzzer = {0};
	char	   *failure;
	double		start = milliseconds();

	fuzzer.target = fuzz_find_target(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (fuzzer.target == NULL)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no such target")));
	fuzzer.random.state = (uint64) PG_GETARG_INT64(3) * UINT64CONST(0x9E3779B97F4A7C15) | 1;
	fuzzer.corpus_cxt = AllocSetContextCreate(caller, "fuzz corpus", ALLOCSET_DEFAULT_SIZES);
	fuzzer.work_cxt = AllocSetContextCreate(caller, "fuzz work", ALLOCSET_DEFAULT_SIZES);
	fuzzer.case_cxt = fuzz_chunks_create(caller, "fuzz case");
	fuzzer.corpus = palloc(MAX_CORPUS * sizeof(char *));
	read_corpus(&fuzzer, text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (fuzzer.ncorpus == 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there are no seeds")));
	fuzzer.current = map_file(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	if (soft_timeout == MAX_TIMEOUTS)
	{
		soft_timeout = RegisterTimeout(USER_TIMEOUT, cancel_case);
		hard_timeout = RegisterTimeout(USER_TIMEOUT, end_process);
	}
	memset(seen, 0, sizeof(seen));
	nplaces = 0;

	failure = fuzz(&fuzzer, PG_GETARG_FLOAT8(4), PG_GETARG_INT64(5));
	if (failure)
		failure = MemoryContextStrdup(caller, failure);
	MemoryContextSwitchTo(caller);
	munmap(fuzzer.current, MAX_SEED);
	if (failure)
		PG_RETURN_TEXT_P(cstring_to_text(psprintf("FAILED: %s", failure)));
	PG_RETURN_TEXT_P(cstring_to_text(psprintf(
		"passed: " INT64_FORMAT " cases in %.0f s, %d places, %d kept, slowest %.0f ms, " INT64_FORMAT " rejected",
		fuzzer.ncases, (milliseconds() - start) / 1000, nplaces, fuzzer.ncorpus, fuzzer.slowest, fuzzer.nrejected)));
}
