/*-------------------------------------------------------------------------
 *
 * fuzz.h
 *	  Fuzzing of the language: what its parts share.
 *
 *	  driver.c	  the loop: choose a case, change it, run it, keep what is new
 *	  mutate.c	  changing a case
 *	  json.c	  a case as a tree
 *	  targets.c	  what is done with a case, and what must hold then
 *	  chunks.c	  memory in which every overrun is seen
 *
 * The module is src/asl and these files in one library; it needs nothing else of
 * the extension, and is never installed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "lib/stringinfo.h"
#include "utils/palloc.h"

#include "compat.h"

/* ---- random numbers that a seed repeats ---- */

typedef struct FuzzRandom
{
	uint64		state;
} FuzzRandom;

static inline uint64
fuzz_random(FuzzRandom *random)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return random->state * UINT64CONST(2685821657736338717);
}

/* 0 to n - 1 */
static inline int
fuzz_below(FuzzRandom *random, int n)
{
	return (int) ((fuzz_random(random) >> 33) % (uint64) n);
}

static inline bool
fuzz_one_in(FuzzRandom *random, int n)
{
	return fuzz_below(random, n) == 0;
}

/* ---- json.c ---- */

/* A value as it was written: strings keep their escapes (and have no quotes here), numbers their digits. */
typedef struct FuzzJson FuzzJson;

struct FuzzJson
{
	char		kind;			/* { [ " 0 t f n */
	char	   *key;			/* in an object */
	char	   *text;			/* of a string or number */
	int			count;
	int			room;
	FuzzJson  **members;
};

/* NULL: no JSON, or too deep for the functions here. */
extern FuzzJson *fuzz_json_parse(const char *text, int length);
extern void fuzz_json_print(StringInfo buffer, const FuzzJson *value);
extern FuzzJson *fuzz_json_copy(const FuzzJson *value);
extern FuzzJson *fuzz_json_make(char kind, const char *text);
extern void fuzz_json_insert(FuzzJson *container, int position, FuzzJson *member);
extern FuzzJson *fuzz_json_field(const FuzzJson *object, const char *key);	/* or NULL */

/* ---- mutate.c ---- */

/*
 * A changed copy of a case; other is one to take parts from.  framed: the case is an object whose fields stay,
 * and stay strings where they are strings.
 */
extern FuzzJson *fuzz_mutate(FuzzRandom *random, const FuzzJson *value, const FuzzJson *other, bool framed);

/* ---- targets.c ---- */

typedef struct FuzzTarget
{
	const char *name;
	bool		framed;

	/*
	 * Do it all.  What came out is appended to outcome: the same case must give the same again.  False: the case
	 * is none for this target.
	 */
	bool		(*run) (const FuzzJson *value, bool again, StringInfo outcome);
} FuzzTarget;

extern const FuzzTarget *fuzz_find_target(const char *name);

/* Something that must hold does not. */
#define FUZZ_BREACH MAKE_SQLSTATE('F', 'Z', '0', '0', '1')

pg_noreturn extern void fuzz_breach(const char *format,...) pg_attribute_printf(1, 2);

#define fuzz_check(condition) \
	((condition) ? (void) 0 : fuzz_breach("%s does not hold (%s:%d)", #condition, __FILE__, __LINE__))

/* ---- chunks.c ---- */

extern MemoryContext fuzz_chunks_create(MemoryContext parent, const char *name);

/* What new memory is filled with, and how many bytes all such contexts may have together. */
extern void fuzz_chunks_configure(unsigned char fill, Size limit);

#endif							/* FUZZ_H */
