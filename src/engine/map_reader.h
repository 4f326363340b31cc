/*-------------------------------------------------------------------------
 *
 * map_reader.h
 *	  ItemReader: the items of a Map are what a function returns.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_MAP_READER_H
#define EF_MAP_READER_H

#include "engine/spawn.h"

/*
 * Call the function of the visit's Map.  If it returns a set, each row becomes a branch (spawn), and *items is NULL;
 * else, or without a spawn, *items is all that it returns.  The result is EF_VISIT_LEFT if that went well.
 */
extern EfVisitResult ef_read_items(EfVisit *visit, EfSpawn *spawn, Jsonb **items);

#endif							/* EF_MAP_READER_H */
