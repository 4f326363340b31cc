/*-------------------------------------------------------------------------
 *
 * prelude.h
 *	  Read by the compiler before each file of src/asl: its memory contexts
 *	  become those of chunks.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

extern MemoryContext fuzz_chunks_create(MemoryContext parent, const char *name);

#undef AllocSetContextCreate
#define AllocSetContextCreate(parent, name, ...) fuzz_chunks_create(parent, name)
