/*-------------------------------------------------------------------------
 *
 * timestamp.h
 *	  Timestamps of the language: RFC 3339 with an uppercase "T" and "Z".
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_TIMESTAMP_H
#define ASL_TIMESTAMP_H

#include "utils/timestamp.h"

/* A moment, finer than a TimestampTz. */
typedef struct AslInstant
{
	int64		seconds;		/* since 1970-01-01 00:00:00 UTC */
	int32		nanoseconds;
} AslInstant;

extern bool asl_instant_parse(const char *text, int length, AslInstant *instant);
extern int	asl_instant_compare(const AslInstant *a, const AslInstant *b);

/* The first TimestampTz that is not before the moment. */
extern TimestampTz asl_instant_to_timestamptz(const AslInstant *instant);

#endif							/* ASL_TIMESTAMP_H */
