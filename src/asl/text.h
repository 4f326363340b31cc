/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Small readers of text, shared by the parsers inside src/asl.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_TEXT_H
#define ASL_TEXT_H

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/jsonb.h"

/* Bytes of one encoding as bytes of another; NULL if something has no counterpart there. */
extern char *asl_convert(const char *bytes, int length, int from, int to, int *result_length);

/* What follows "\u": four digits, or a surrogate pair's second half, too. */
extern bool asl_read_unicode_escape(const char **p, const char *end, StringInfo text);

/* Its text as a string, in no more memory than that needs; the buffer is freed. */
extern JsonbValue asl_take_text(StringInfo text);

/* A number in JSON's form.  False: there is none, or (*end moved) it is out of range. */
extern bool asl_read_number(const char *p, const char *limit, const char **end, JsonbValue *value);

#endif							/* ASL_TEXT_H */
