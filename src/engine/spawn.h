/*-------------------------------------------------------------------------
 *
 * spawn.h
 *	  Starting the branches of a Parallel or Map, some at a time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_SPAWN_H
#define EF_SPAWN_H

#include "engine/state.h"
#include "engine/store.h"

/* As many branches are written together, or fewer where their inputs are large. */
#define EF_SPAWN_COUNT 250
#define EF_SPAWN_BYTES (1024 * 1024)

/* Branches in the making. */
typedef struct EfSpawn
{
	EfVisit    *visit;
	int			window;			/* how many may be at work at a time */
	int			count;			/* so far */
	bool		began;			/* the state's step is written */
	AslBatcher *batcher;		/* puts items into batches; NULL: they are iterations' inputs as they are */
	TimestampTz now;
	MemoryContext scratch;		/* of one of them */
	MemoryContext context;		/* of those that wait to be written */
	int			nwaiting;
	Size		size;
	EfNewBranch waiting[EF_SPAWN_COUNT];
} EfSpawn;

/*
 * max_concurrency: 0: no limit; batch: the items are to be put into batches, if the Map has an ItemBatcher.
 * False: the visit has failed.
 */
extern bool ef_spawn_init(EfSpawn *spawn, EfVisit *visit, int max_concurrency, bool batch);

/* A branch of a Parallel. */
extern void ef_spawn_branch(EfSpawn *spawn, Jsonb *input);

/* The next item of a Map.  False: the visit has failed. */
extern bool ef_spawn_item(EfSpawn *spawn, Jsonb *item);

/* There are no more.  False: the visit has failed. */
extern bool ef_spawn_end(EfSpawn *spawn);

/* The visit's branch comes to wait for them, of which so many may fail. */
extern void ef_spawn_wait(EfSpawn *spawn, int64 tolerated);

#endif							/* EF_SPAWN_H */
