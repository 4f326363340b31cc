/*-------------------------------------------------------------------------
 *
 * compat.h
 *	  Differences between the server versions that the extension is built for
 *	  (PostgreSQL 15 to 18).  No other file looks at PG_VERSION_NUM.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EF_COMPAT_H
#define EF_COMPAT_H

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"

/* ---- common/jsonapi.h ---- */

/* What the semantic actions of the JSON parser return. */
#if PG_VERSION_NUM >= 160000
typedef JsonParseErrorType EfJsonActionResult;
#define EF_JSON_ACTION_DONE return JSON_SUCCESS
#else
typedef void EfJsonActionResult;
#define EF_JSON_ACTION_DONE return
#endif

/* A lexer of text in the database's encoding that resolves the escapes of strings. */
static inline JsonLexContext *
ef_json_lexer(const char *text, int length)
{
#if PG_VERSION_NUM >= 170000
	return makeJsonLexContextCstringLen(NULL, text, length, GetDatabaseEncoding(), true);
#else
	return makeJsonLexContextCstringLen(unconstify(char *, text), length, GetDatabaseEncoding(), true);
#endif
}

#endif							/* EF_COMPAT_H */
