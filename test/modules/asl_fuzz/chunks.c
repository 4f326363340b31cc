/*-------------------------------------------------------------------------
 *
 * chunks.c
 *	  A memory context in which every chunk is a malloc() of its own.
 *
 * The server's contexts hand out parts of large blocks, so that a write behind a
 * chunk's end hits another chunk and nobody sees it.  Here AddressSanitizer sees
 * it, as it sees what is used after pfree() or a reset.  New memory is filled
 * with a byte that changes from run to run, so that reading what was never
 * written changes the outcome.  A limit on the sum tells of memory out of all
 * proportion.
 *
 * From version 16 on, a chunk's header says how it is freed and extensions
 * cannot add ways of their own; there the smallest blocks must do, in which at
 * least the larger chunks are alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/ilist.h"
#include "utils/memutils.h"

#include "fuzz.h"

static unsigned char fill_byte = 0x7f;
static Size total_limit = 0;
static Size total = 0;

void
fuzz_chunks_configure(unsigned char fill, Size limit)
{
	fill_byte = fill;
	total_limit = limit;
}

#if PG_VERSION_NUM >= 160000

MemoryContext
fuzz_chunks_create(MemoryContext parent, const char *name)
{
	return AllocSetContextCreateInternal(parent, name, 0, 1024, 1024);
}

#else

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>

/* All of a header but what GetMemoryChunkContext() reads. */
#define HIDE(chunk) ASAN_POISON_MEMORY_REGION(chunk, offsetof(Chunk, context))
#define SHOW(chunk) ASAN_UNPOISON_MEMORY_REGION(chunk, offsetof(Chunk, context))
#else
#define HIDE(chunk) ((void) 0)
#define SHOW(chunk) ((void) 0)
#endif

/* In front of each chunk; the server looks for the context right in front of it. */
typedef struct Chunk
{
	dlist_node	node;
	Size		size;
	MemoryContext context;
} Chunk;

typedef struct ChunkContext
{
	MemoryContextData header;
	dlist_head	chunks;
} ChunkContext;

StaticAssertDecl(sizeof(Chunk) == MAXALIGN(sizeof(Chunk)), "a chunk must be aligned");

static Chunk *
chunk_of(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	SHOW(chunk);
	return chunk;
}

/* The list's links are in the headers in front of the neighbours, so these are shown, too. */
static void
show_neighbours(Chunk *chunk, ChunkContext *context, bool show)
{
	dlist_node *neighbours[2] = {chunk->node.prev, chunk->node.next};

	for (int i = 0; i < 2; i++)
	{
		if (neighbours[i] == &context->chunks.head)
			continue;
		if (show)
			SHOW(dlist_container(Chunk, node, neighbours[i]));
		else
			HIDE(dlist_container(Chunk, node, neighbours[i]));
	}
}

static void *
chunks_alloc(MemoryContext header, Size size)
{
	ChunkContext *context = (ChunkContext *) header;
	Chunk	   *chunk;

	if (total_limit > 0 && size > total_limit - Min(total, total_limit))
		fuzz_breach("more than %zu bytes of memory", total_limit);
	chunk = malloc(sizeof(Chunk) + size);
	if (chunk == NULL)
		return NULL;
	memset(chunk + 1, fill_byte, size);
	chunk->size = size;
	chunk->context = header;
	if (!dlist_is_empty(&context->chunks))
		SHOW(dlist_head_element(Chunk, node, &context->chunks));
	dlist_push_head(&context->chunks, &chunk->node);
	show_neighbours(chunk, context, false);
	header->mem_allocated += size;
	total += size;
	HIDE(chunk);
	return chunk + 1;
}

static void
chunks_free(MemoryContext header, void *pointer)
{
	Chunk	   *chunk = chunk_of(pointer);
	ChunkContext *context = (ChunkContext *) header;
	Chunk		copy = *chunk;

	show_neighbours(&copy, context, true);
	dlist_delete(&chunk->node);
	show_neighbours(&copy, context, false);
	header->mem_allocated -= chunk->size;
	total -= chunk->size;
	free(chunk);
}

/* Always to another place: whoever keeps a pointer to the old one is found out. */
static void *
chunks_realloc(MemoryContext header, void *pointer, Size size)
{
	Chunk	   *chunk = chunk_of(pointer);
	Size		old_size = chunk->size;
	void	   *result;

	HIDE(chunk);
	result = chunks_alloc(header, size);
	if (result == NULL)
		return NULL;
	memcpy(result, pointer, Min(size, old_size));
	chunks_free(header, pointer);
	return result;
}

static void
chunks_reset(MemoryContext header)
{
	ChunkContext *context = (ChunkContext *) header;

	while (!dlist_is_empty(&context->chunks))
		chunks_free(header, dlist_container(Chunk, node, context->chunks.head.next) + 1);
}

static void
chunks_delete(MemoryContext header)
{
	chunks_reset(header);
	free(header);
}

static Size
chunks_space(MemoryContext header, void *pointer)
{
	Chunk	   *chunk = chunk_of(pointer);
	Size		size = chunk->size;

	HIDE(chunk);
	return sizeof(Chunk) + size;
}

static bool
chunks_is_empty(MemoryContext header)
{
	return dlist_is_empty(&((ChunkContext *) header)->chunks);
}

static void
chunks_stats(MemoryContext header, MemoryStatsPrintFunc print, void *passthru,
			 MemoryContextCounters *totals, bool print_to_stderr)
{
	if (totals)
		totals->totalspace += header->mem_allocated;
}

static pg_attribute_unused() void
chunks_verify(MemoryContext header)
{
}

static const MemoryContextMethods chunk_methods = {
	.alloc = chunks_alloc,
	.free_p = chunks_free,
	.realloc = chunks_realloc,
	.reset = chunks_reset,
	.delete_context = chunks_delete,
	.get_chunk_space = chunks_space,
	.is_empty = chunks_is_empty,
	.stats = chunks_stats,
#ifdef MEMORY_CONTEXT_CHECKING
	.check = chunks_verify,
#endif
};

MemoryContext
fuzz_chunks_create(MemoryContext parent, const char *name)
{
	ChunkContext *context = malloc(sizeof(ChunkContext));

	if (context == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	dlist_init(&context->chunks);
	/* The tag is only asked whether it is that of a context. */
	MemoryContextCreate((MemoryContext) context, T_AllocSetContext, &chunk_methods, parent, name);
	return (MemoryContext) context;
}

#endif							/* PG_VERSION_NUM < 160000 */
