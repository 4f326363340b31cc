/*-------------------------------------------------------------------------
 *
 * alias.c
 *	  Resource aliases: what a foreign URI in a Task's Resource stands for.
 *
 * A pattern is text in which `*` matches any text, also none.  In the resource
 * that it stands for, one `*` is the text that the pattern's last `*` matched:
 *
 *		arn:aws:lambda:*:*:function:*	->	sql:public.*
 *
 * All stars but the last match as little as they can.  Of several patterns that
 * match, the one with most literal characters wins, then the one with fewer
 * stars, then the first in the order of bytes.  The suffix .waitForTaskToken of
 * a Task's Resource is not matched against; it is carried over to the result.
 * Nor is the version or alias behind the ARN of a Lambda function, unless the
 * pattern has one.
 *
 * Each process keeps all aliases, most specific first.  Whoever changes them
 * invalidates the relation cache entry of the table, as for a change of the
 * table itself: transactional, and every process hears of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "engine/alias.h"
#include "engine/arguments.h"
#include "engine/rights.h"

PG_FUNCTION_INFO_V1(ef_create_resource_alias);
PG_FUNCTION_INFO_V1(ef_drop_resource_alias);
PG_FUNCTION_INFO_V1(ef_resolve_resource_sql);

#define TOKEN_SUFFIX ".waitForTaskToken"

typedef struct ResourceAlias
{
	char	   *pattern;
	char	   *resource;
} ResourceAlias;

typedef struct AliasCache
{
	MemoryContext context;		/* NULL: never loaded */
	ResourceAlias	   *aliases;		/* most specific first */
	int			count;
	Oid			relid;
	bool		valid;
} AliasCache;

static AliasCache cache;

/* ---- patterns ---- */

static bool
is_own_scheme(const char *resource)
{
	static const char *const schemes[] = {"sql:", "activity:", "signal:", "workflow:", "update:"};
	int			i;

	for (i = 0; i < lengthof(schemes); i++)
	{
		if (strncmp(resource, schemes[i], strlen(schemes[i])) == 0)
			return true;
	}
	return false;
}

static bool
has_token_suffix(const char *resource)
{
	size_t		length = strlen(resource);

	return length >= strlen(TOKEN_SUFFIX) &&
		strcmp(resource + length - strlen(TOKEN_SUFFIX), TOKEN_SUFFIX) == 0;
}

static int
count_stars(const char *pattern)
{
	int			stars = 0;

	for (; *pattern != '\0'; pattern++)
		stars += (*pattern == '*');
	return stars;
}

/*
 * Does the pattern match all of the text?  *captured is what its last star stood for.
 *
 * When the characters after a star do not fit, only the last star needs to take one more: whatever an
 * earlier star could give up, the last one can take.
 */
static bool
matches(const char *pattern, const char *text, const char **captured, size_t *captured_length)
{
	const char *after_star = NULL;	/* the pattern past its last star so far */
	const char *begin = text;	/* where that star's text begins */
	const char *retry = text;	/* and where it ends, as tried now */

	while (*text != '\0')
	{
		if (*pattern == '*')
		{
			after_star = ++pattern;
			begin = retry = text;
		}
		else if (*pattern == *text)
		{
			pattern++;
			text++;
		}
		else if (after_star != NULL)
		{
			pattern = after_star;
			text = ++retry;
		}
		else
			return false;
	}
	for (; *pattern == '*'; begin = text)
		after_star = ++pattern;
	if (*pattern != '\0')
		return false;
	*captured = begin;
	*captured_length = after_star != NULL ? (text - strlen(after_star)) - begin : 0;
	return true;
}

/* The resource of an alias, its star replaced by what the pattern's captured. */
static char *
substitute(const char *resource, const char *captured, size_t captured_length, const char *suffix)
{
	const char *star = strchr(resource, '*');
	StringInfoData result;

	initStringInfo(&result);
	if (star == NULL)
		appendStringInfoString(&result, resource);
	else
	{
		appendBinaryStringInfo(&result, resource, star - resource);
		appendBinaryStringInfo(&result, captured, captured_length);
		appendStringInfoString(&result, star + 1);
	}
	appendStringInfoString(&result, suffix);
	return result.data;
}

/* ---- the cache ---- */

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cache.relid)
		cache.valid = false;
}

static int
more_specific(const void *a, const void *b)
{
	const ResourceAlias *left = a;
	const ResourceAlias *right = b;
	int			left_stars = count_stars(left->pattern);
	int			right_stars = count_stars(right->pattern);
	int			left_literals = (int) strlen(left->pattern) - left_stars;
	int			right_literals = (int) strlen(right->pattern) - right_stars;

	if (left_literals != right_literals)
		return left_literals > right_literals ? -1 : 1;
	if (left_stars != right_stars)
		return left_stars < right_stars ? -1 : 1;
	return strcmp(left->pattern, right->pattern);
}

static void
read_aliases(void)
{
	uint64		i;

	/* The newest snapshot, also in REPEATABLE READ: what is read here outlives the transaction. */
	PushActiveSnapshot(GetLatestSnapshot());
	SPI_connect();
	if (SPI_execute("SELECT pattern, resource FROM expense_flow.resource_alias", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read resource aliases");
	cache.aliases = MemoryContextAlloc(cache.context, sizeof(ResourceAlias) * (SPI_processed + 1));
	for (i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;

		cache.aliases[i].pattern = MemoryContextStrdup(cache.context, SPI_getvalue(row, desc, 1));
		cache.aliases[i].resource = MemoryContextStrdup(cache.context, SPI_getvalue(row, desc, 2));
	}
	cache.count = (int) SPI_processed;
	SPI_finish();
	PopActiveSnapshot();
	qsort(cache.aliases, cache.count, sizeof(ResourceAlias), more_specific);
}

static Oid
alias_relid(void)
{
	return get_relname_relid("resource_alias", get_namespace_oid("expense_flow", false));
}

static void
load_aliases(void)
{
	EfCaller	caller;

	if (cache.context == NULL)
	{
		cache.context = AllocSetContextCreate(CacheMemoryContext, "resource aliases", ALLOCSET_SMALL_SIZES);
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	}
	cache.count = 0;
	MemoryContextReset(cache.context);
	cache.relid = alias_relid();

	/* Valid from here on: a change that comes while we read makes it invalid again. */
	cache.valid = true;
	PG_TRY();
	{
		ef_become_owner(&caller);
		read_aliases();
		ef_become_caller(&caller);
	}
	PG_CATCH();
	{
		cache.count = 0;
		cache.valid = false;
		PG_RE_THROW();
	}
	PG_END_TRY();
}

static bool
is_arn(const char *name)
{
	return strncmp(name, "arn:", strlen("arn:")) == 0;
}

const char *
ef_qualifier_of(const char *part, const char *name)
{
	const char *found = strstr(name, part);
	const char *colon;

	if (found == NULL && is_arn(name))
		return NULL;
	colon = strchr(found ? found + strlen(part) : name, ':');
	return colon ? colon + 1 : NULL;
}

/*
 * The first alias that matches a name.  If not all of the name is known, it begins with part, and so does what it is
 * compared with.
 */
static const char *
look_up(const char *part, const char *name, bool whole, const char *suffix)
{
	const char *qualifier = !whole || is_arn(name) ? ef_qualifier_of(part, name) : NULL;
	char	   *plain = pstrdup(name);
	int			i;

	if (qualifier)
		plain[strlen(plain) - strlen(qualifier) - 1] = '\0';
	if (!cache.valid)
		load_aliases();
	for (i = 0; i < cache.count; i++)
	{
		const ResourceAlias *alias = &cache.aliases[i];
		const char *from = strstr(alias->pattern, part);
		const char *text = from && ef_qualifier_of(part, from) ? name : plain;
		const char *captured;
		size_t		length;

		if ((whole || from) && matches(whole ? alias->pattern : from, text, &captured, &length))
			return substitute(alias->resource, captured, length, suffix);
	}
	return NULL;
}

const char *
ef_resolve_resource(const char *resource)
{
	const char *uri = resource;
	const char *suffix = "";

	if (is_own_scheme(resource))
		return resource;
	if (has_token_suffix(resource))
	{
		uri = pnstrdup(resource, strlen(resource) - strlen(TOKEN_SUFFIX));
		suffix = TOKEN_SUFFIX;
	}
	/* Of what has an ARN, only functions are called by it. */
	return look_up(EF_FUNCTION_PART, uri, true, suffix);
}

const char *
ef_resolve_named(const char *part, const char *name)
{
	const char *found = strstr(name, part);

	if (is_arn(name))
		return look_up(part, name, true, "");
	return look_up(part, psprintf("%s%s", part, found ? found + strlen(part) : name), false, "");
}

/*
 * resolve_resource(resource text) → text
 */
Datum
ef_resolve_resource_sql(PG_FUNCTION_ARGS)
{
	const char *resolved = ef_resolve_resource(text_to_cstring(PG_GETARG_TEXT_PP(0)));

	if (resolved == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(resolved));
}

/* ---- changing them ---- */

static void
check_alias(const char *pattern, const char *resource)
{
	ef_check_name(pattern, "pattern");
	ef_check_name(resource, "resource");
	if (is_own_scheme(pattern))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("pattern \"%s\" would never be looked up", pattern),
				 errdetail("Resources that begin with sql:, activity:, signal:, workflow: or update: need no alias.")));
	if (has_token_suffix(pattern) || has_token_suffix(resource))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a resource alias must not end in %s", TOKEN_SUFFIX),
				 errdetail("That suffix of a Task's Resource is carried over by itself.")));
	if (!is_own_scheme(resource))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("resource \"%s\" is of no known kind", resource),
				 errhint("It must begin with sql:, activity:, signal:, workflow: or update:.")));
	if (count_stars(resource) > 1 || (count_stars(resource) == 1 && count_stars(pattern) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("resource \"%s\" has a wildcard that stands for nothing", resource),
				 errdetail("One \"*\" in the resource stands for what the last \"*\" of the pattern matched.")));
}

/* Change the table as its owner, and tell every process at commit; returns the number of rows changed. */
static uint64
change_aliases(const char *query, int nargs, Datum *args)
{
	EfCaller	caller;
	uint64		changed;

	ef_become_owner(&caller);
	SPI_connect();
	if (SPI_execute_with_args(query, nargs, (Oid[]) {TEXTOID, TEXTOID}, args, NULL, false, 0) < 0)
		elog(ERROR, "could not change resource aliases");
	changed = SPI_processed;
	CacheInvalidateRelcacheByRelid(alias_relid());
	/* At once here, too: what this statement may read from now on is forgotten if it fails. */
	CommandCounterIncrement();
	SPI_finish();
	ef_become_caller(&caller);
	return changed;
}

/*
 * create_resource_alias(pattern text, resource text)
 */
Datum
ef_create_resource_alias(PG_FUNCTION_ARGS)
{
	Datum		args[2] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("pattern and resource must not be null")));
	check_alias(text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)));
	change_aliases("INSERT INTO expense_flow.resource_alias (pattern, resource) VALUES ($1, $2)"
				   " ON CONFLICT (pattern) DO UPDATE SET resource = excluded.resource",
				   2, args);
	PG_RETURN_VOID();
}

/*
 * drop_resource_alias(pattern text)
 */
Datum
ef_drop_resource_alias(PG_FUNCTION_ARGS)
{
	Datum		arg = PG_GETARG_DATUM(0);

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("pattern must not be null")));
	if (change_aliases("DELETE FROM expense_flow.resource_alias WHERE pattern OPERATOR(pg_catalog.=) $1", 1, &arg) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("resource alias \"%s\" does not exist", text_to_cstring(PG_GETARG_TEXT_PP(0)))));
	PG_RETURN_VOID();
}
