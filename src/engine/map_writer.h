/*-------------------------------------------------------------------------
 *
 * map_writer.h
 *	  ResultWriter: what the iterations of a Map return becomes rows of a table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_MAP_WRITER_H
#define EF_MAP_WRITER_H

#include "engine/state.h"

/* Can the results of the visit's Map be written at all?  Asked before it begins; false: the visit has failed. */
extern bool ef_check_writer(EfVisit *visit);

/* All iterations have ended: write what they returned.  *summary is the Map's result if that went well (EF_VISIT_LEFT). */
extern EfVisitResult ef_write_results(EfVisit *visit, Jsonb **summary);

#endif							/* EF_MAP_WRITER_H */
