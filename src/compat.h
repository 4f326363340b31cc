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

#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "common/jsonapi.h"
#include "executor/executor.h"
#include "mb/pg_wchar.h"
#include "utils/acl.h"
#include "utils/wait_event.h"

/* ---- c.h ---- */

/* 18: a specifier, which stands first, instead of pg_attribute_noreturn() at the end. */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

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

/* ---- the runtime ---- */

/* 16: one object_ownercheck() instead of a function for each catalog. */
static inline bool
ef_database_ownercheck(Oid database, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, role);
#else
	return pg_database_ownercheck(database, role);
#endif
}

static inline bool
ef_extension_ownercheck(Oid extension, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(ExtensionRelationId, extension, role);
#else
	return pg_extension_ownercheck(extension, role);
#endif
}

/* What pg_upgrade moves tables between. */
#define EF_SERVER_VERSION (PG_VERSION_NUM / 10000)

/* 17: extensions name what they wait for.  *cache is the caller's, 0 at first. */
static inline uint32
ef_wait_event(uint32 *cache, const char *name)
{
	if (*cache == 0)
	{
#if PG_VERSION_NUM >= 170000
		*cache = WaitEventExtensionNew(name);
#else
		(void) name;
		*cache = PG_WAIT_EXTENSION;
#endif
	}
	return *cache;
}

/* 17: a limit on the length of transactions, which is not for background processes. */
#if PG_VERSION_NUM >= 170000
#define EF_HAVE_TRANSACTION_TIMEOUT 1
#endif

/* 15.4: a DROP DATABASE that was interrupted leaves the database with this connection limit. */
#ifdef DATCONNLIMIT_INVALID_DB
#define EF_DATABASE_IS_INVALID(datconnlimit) ((datconnlimit) == DATCONNLIMIT_INVALID_DB)
#else
#define EF_DATABASE_IS_INVALID(datconnlimit) ((datconnlimit) == -2)
#endif

/* ---- executor/executor.h ---- */

/* Index entries for a new row. */
static inline void
ef_insert_index_tuples(ResultRelInfo *result_rel, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(result_rel, slot, estate, false, false, NULL, NIL, false);
#else
	(void) ExecInsertIndexTuples(result_rel, slot, estate, false, false, NULL, NIL);
#endif
}

/* ---- libpq/libpq.h ---- */

/* Declared there since 14; that header needs those of GSSAPI, which may not be installed. */
extern bool pq_check_connection(void);

/* ---- utils/errcodes.h ---- */

/* Until 16.  Nothing raises these any more, but a function of a user's may. */
#ifndef ERRCODE_DATUM_VERSION_MISMATCH
#define ERRCODE_DATUM_VERSION_MISMATCH MAKE_SQLSTATE('2', '2', 'P', '0', '7')
#endif
#ifndef ERRCODE_SNAPSHOT_TOO_OLD
#define ERRCODE_SNAPSHOT_TOO_OLD MAKE_SQLSTATE('7', '2', '0', '0', '0')
#endif

/* ---- utils/acl.h ---- */

static inline bool
ef_owns_table(Oid relid, Oid role)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, role);
#else
	return pg_class_ownercheck(relid, role);
#endif
}

#endif							/* EF_COMPAT_H */
