/*-------------------------------------------------------------------------
 *
 * function.c
 *	  The function that an SQL activity means, and the statement that calls it.
 *
 * Of all functions with that name in that schema, it is the one
 *	 1. whose arguments have the names of all keys of the input (at least one),
 *		the others having defaults; the one with the fewest arguments, if several;
 *	 2. else the one with a single argument without default, of type jsonb or
 *		json (or just one such argument), which gets the whole input;
 *	 3. else the one that needs no argument; the input is ignored.
 * More than one of the best rank is ambiguous, as in SQL.
 *
 * What was found is kept by role, name and keys, with its saved plan, and found
 * anew after anything in pg_proc, schemas or role memberships has changed.  The
 * right to execute is checked by the executor on each call.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "engine/function.h"

#define MAX_CACHED 1000

/* How well a function fits; larger is better. */
typedef enum Fit
{
	FIT_NOT,
	FIT_WITHOUT_INPUT,
	FIT_WHOLE_INPUT,
	FIT_KEYS
} Fit;

/* A cached function; the public part comes first. */
typedef struct CachedFunction
{
	EfFunction	function;
	char	   *key;
	uint64		generation;
	int			uses;
	bool		forgotten;		/* no longer in the cache: free it when nobody uses it */
} CachedFunction;

typedef struct CacheEntry
{
	uint64		hash;			/* hash key */
	CachedFunction *cached;
} CacheEntry;

static HTAB *cache;
static uint64 generation = 1;	/* of the catalogs, as far as we know */

/* ---- matching ---- */

/* The keys of the input, and the input arguments of a function that is considered. */
typedef struct Keys
{
	int			count;
	char	  **names;
	const char *type;			/* of an input that has none, because it is no object; NULL: it is one */
} Keys;

typedef struct Candidate
{
	Oid			oid;
	Fit			fit;
	int			nargs;			/* input arguments */
	Oid		   *types;
	char	  **names;			/* NULL or "" where an argument has none */
	char	   *modes;
	int			ndefaults;
	int			whole;			/* the argument that gets the whole input, or -1 */
	bool		returns_set;
	Oid			result_type;
	char		kind;
} Candidate;

static const char *
type_name(Jsonb *input)
{
	JsonbValue	scalar;

	if (input == NULL)
		return "jsonb";
	return JsonbExtractScalar(&input->root, &scalar) ? JsonbTypeName(&scalar) : "array";
}

static void
read_keys(Jsonb *input, Keys *keys)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;

	keys->count = 0;
	keys->names = NULL;
	keys->type = NULL;
	if (input == NULL || !JB_ROOT_IS_OBJECT(input))
	{
		keys->type = type_name(input);
		return;
	}
	keys->names = palloc(Max(JB_ROOT_COUNT(input), 1) * sizeof(char *));
	iterator = JsonbIteratorInit(&input->root);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			keys->names[keys->count++] = pnstrdup(value.val.string.val, value.val.string.len);
	}
}

static bool
has_key(const Keys *keys, const char *name)
{
	int			i;

	for (i = 0; name != NULL && i < keys->count; i++)
	{
		if (strcmp(keys->names[i], name) == 0)
			return true;
	}
	return false;
}

static bool
has_default(const Candidate *c, int arg)
{
	return arg >= c->nargs - c->ndefaults;
}

static void
read_candidate(HeapTuple tuple, Candidate *c)
{
	Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			total = get_func_arg_info(tuple, &types, &names, &modes);
	int			i;

	memset(c, 0, sizeof(*c));
	c->oid = proc->oid;
	c->kind = proc->prokind;
	c->returns_set = proc->proretset;
	c->result_type = proc->prorettype;
	c->ndefaults = proc->pronargdefaults;
	c->whole = -1;
	c->types = palloc((total + 1) * sizeof(Oid));
	c->names = palloc((total + 1) * sizeof(char *));
	c->modes = palloc(total + 1);
	for (i = 0; i < total; i++)
	{
		char		mode = modes ? modes[i] : PROARGMODE_IN;

		if (mode == PROARGMODE_OUT || mode == PROARGMODE_TABLE)
			continue;
		c->types[c->nargs] = types[i];
		c->names[c->nargs] = names && names[i] && names[i][0] ? names[i] : NULL;
		c->modes[c->nargs] = mode;
		c->nargs++;
	}
}

/* Do the arguments' names cover all keys, and the keys all arguments without a default? */
static bool
fits_keys(const Candidate *c, const Keys *keys)
{
	int			covered = 0;
	int			i;

	for (i = 0; i < c->nargs; i++)
	{
		if (has_key(keys, c->names[i]))
			covered++;
		else if (!has_default(c, i))
			return false;
	}
	return covered == keys->count;
}

/* The argument that would get the whole input, or -1. */
static int
whole_input_argument(const Candidate *c)
{
	int			required = c->nargs - c->ndefaults;
	int			only = required == 1 || c->nargs == 1 ? 0 : -1;

	if (only < 0 || c->nargs == 0)
		return -1;
	return c->types[0] == JSONBOID || c->types[0] == JSONOID ? 0 : -1;
}

static void
judge(Candidate *c, const Keys *keys)
{
	if (keys->count > 0 && fits_keys(c, keys))
		c->fit = FIT_KEYS;
	else if ((c->whole = whole_input_argument(c)) >= 0)
		c->fit = FIT_WHOLE_INPUT;
	else if (c->nargs == c->ndefaults)
		c->fit = FIT_WITHOUT_INPUT;
	else
		c->fit = FIT_NOT;
}

/* ---- looking up ---- */

static void
split_name(const char *name, char **schema, char **function)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(name));

	if (list_length(names) != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the resource \"sql:%s\" does not name a schema and a function", name),
				 errhint("Write it as sql:schema.function.")));
	*schema = strVal(linitial(names));
	*function = strVal(lsecond(names));
}

static void
no_function(const char *name, const Keys *keys, bool exists)
{
	StringInfoData list;
	int			i;

	if (!exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist", name)));
	if (keys->type)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("no function %s takes an input of type %s", name, keys->type),
				 errhint("It would get all of it as one argument of type jsonb.")));
	initStringInfo(&list);
	for (i = 0; i < keys->count; i++)
		appendStringInfo(&list, "%s\"%s\"", i > 0 ? ", " : "", keys->names[i]);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_FUNCTION),
			 errmsg("no function %s takes the arguments {%s}", name, list.data),
			 errhint("The keys of the input name the function's arguments; a function with one jsonb argument takes the whole input.")));
}

static void
refuse_kind(const char *name, char kind)
{
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 kind == PROKIND_PROCEDURE ?
			 errmsg("%s is a procedure; only functions can be activities", name) :
			 errmsg("%s is an aggregate or window function; only plain functions can be activities", name)));
}

/* The best of the functions with that name. */
static void
find_function(const char *name, const char *schema, const char *function, const Keys *keys, Candidate *best)
{
	Oid			namespace = LookupExplicitNamespace(schema, false);
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(function));
	bool		exists = false;
	bool		ambiguous = false;
	int			i;

	memset(best, 0, sizeof(*best));
	for (i = 0; i < list->n_members; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;
		Candidate	c;

		if (((Form_pg_proc) GETSTRUCT(tuple))->pronamespace != namespace)
			continue;
		exists = true;
		read_candidate(tuple, &c);
		judge(&c, keys);
		if (c.fit == FIT_NOT || c.fit < best->fit)
			continue;
		if (c.fit > best->fit || c.nargs < best->nargs)
		{
			*best = c;
			ambiguous = false;
		}
		else if (c.nargs == best->nargs)
			ambiguous = true;
	}
	ReleaseSysCacheList(list);
	if (best->fit == FIT_NOT)
		no_function(name, keys, exists);
	if (ambiguous)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_FUNCTION),
				 errmsg("function %s is not unique for these arguments", name)));
	if (best->kind != PROKIND_FUNCTION)
		refuse_kind(name, best->kind);
}

/* ---- the statement ---- */

static void
set_argument(EfArgument *arg, const char *name, Oid type)
{
	Oid			input_function;
	Oid			base;

	arg->name = name ? pstrdup(name) : NULL;
	if (type == ANYELEMENTOID || type == ANYNONARRAYOID || type == ANYCOMPATIBLEOID || type == ANYCOMPATIBLENONARRAYOID)
		type = JSONBOID;
	arg->type = type;
	if (type == JSONBOID)
		arg->kind = EF_ARGUMENT_JSONB;
	else if (type == JSONOID)
		arg->kind = EF_ARGUMENT_JSON;
	else
	{
		base = getBaseType(type);
		arg->kind = base == JSONBOID || base == JSONOID ? EF_ARGUMENT_JSON_DOMAIN : EF_ARGUMENT_OTHER;
		getTypeInputInfo(type, &input_function, &arg->ioparam);
		fmgr_info(input_function, &arg->input);
	}
}

/* Append the call, and fill the function's arguments, in the order of the parameters. */
static void
append_call(StringInfo sql, const char *schema, const char *name, const Candidate *c, const Keys *keys,
			EfFunction *function)
{
	int			i;

	function->args = palloc0((c->nargs + 1) * sizeof(EfArgument));
	appendStringInfo(sql, "%s(", quote_qualified_identifier(schema, name));
	for (i = 0; i < c->nargs; i++)
	{
		bool		whole = i == c->whole;

		if (!whole && (c->fit != FIT_KEYS || !has_key(keys, c->names[i])))
			continue;
		set_argument(&function->args[function->nargs], whole ? NULL : c->names[i], c->types[i]);
		function->nargs++;
		if (function->nargs > 1)
			appendStringInfoString(sql, ", ");
		if (c->modes[i] == PROARGMODE_VARIADIC)
			appendStringInfoString(sql, "VARIADIC ");
		if (!whole)
			appendStringInfo(sql, "%s => ", quote_identifier(c->names[i]));
		appendStringInfo(sql, "$%d", function->nargs);
	}
	appendStringInfoChar(sql, ')');
}

static SPIPlanPtr
prepare(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);

	if (plan == NULL)
		elog(ERROR, "could not prepare the call of an activity: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

static SPIPlanPtr
prepare_call(const EfFunction *function, const char *sql)
{
	Oid		   *types = palloc((function->nargs + 1) * sizeof(Oid));
	int			i;

	for (i = 0; i < function->nargs; i++)
		types[i] = function->args[i].type;
	return prepare(sql, function->nargs, types);
}

static void
build_statement(const char *schema, const char *name, const Candidate *c, const Keys *keys, EfFunction *function)
{
	StringInfoData call;
	StringInfoData sql;

	initStringInfo(&call);
	append_call(&call, schema, name, c, keys, function);
	initStringInfo(&sql);
	function->returns_void = c->result_type == VOIDOID && !c->returns_set;
	if (c->returns_set)
		function->rows_text = psprintf("SELECT pg_catalog.to_jsonb(r.*) FROM %s AS r", call.data);
	if (c->returns_set)
		appendStringInfo(&sql,
						 "SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r.*)), '[]'::pg_catalog.jsonb) FROM %s AS r",
						 call.data);
	else if (function->returns_void || c->result_type == JSONBOID)
		appendStringInfo(&sql, "SELECT %s", call.data);
	else
		appendStringInfo(&sql, "SELECT pg_catalog.to_jsonb(%s)", call.data);
	function->plan = prepare_call(function, sql.data);
}

SPIPlanPtr
ef_rows_plan(EfFunction *function)
{
	if (function->rows_plan == NULL)
		function->rows_plan = prepare_call(function, function->rows_text);
	return function->rows_plan;
}

SPIPlanPtr
ef_populate_plan(EfFunction *function, EfArgument *arg)
{
	if (arg->populate == NULL)
	{
		Oid			type = JSONBOID;

		arg->populate = prepare(psprintf("SELECT r.v FROM pg_catalog.jsonb_to_record($1) AS r(v %s)",
										 format_type_extended(arg->type, -1, FORMAT_TYPE_FORCE_QUALIFY)),
								1, &type);
	}
	return arg->populate;
}

/* ---- the cache ---- */

static char *
make_key(const char *name, const Keys *keys)
{
	StringInfoData key;
	int			i;

	initStringInfo(&key);
	appendStringInfo(&key, "%u %s", GetUserId(), name);
	for (i = 0; i < keys->count; i++)
		appendStringInfo(&key, "%c%zu:%s", '\n', strlen(keys->names[i]), keys->names[i]);
	return key.data;
}

static void
free_function(CachedFunction *cached)
{
	int			i;

	if (cached->uses > 0)
	{
		cached->forgotten = true;
		return;
	}
	if (cached->function.plan)
		SPI_freeplan(cached->function.plan);
	if (cached->function.rows_plan)
		SPI_freeplan(cached->function.rows_plan);
	for (i = 0; i < cached->function.nargs; i++)
	{
		if (cached->function.args[i].populate)
			SPI_freeplan(cached->function.args[i].populate);
	}
	MemoryContextDelete(cached->function.context);
}

static void
empty_cache(void)
{
	HASH_SEQ_STATUS seq;
	CacheEntry *entry;

	hash_seq_init(&seq, cache);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		CachedFunction *cached = entry->cached;

		hash_search(cache, &entry->hash, HASH_REMOVE, NULL);
		free_function(cached);
	}
}

static CachedFunction *
make_function(const char *name, const char *key, const Keys *keys)
{
	uint64		found_in = generation;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "activity", ALLOCSET_SMALL_SIZES);
	MemoryContext old;
	CachedFunction *cached;
	Candidate	best;
	char	   *schema;
	char	   *function;

	split_name(name, &schema, &function);
	find_function(name, schema, function, keys, &best);
	old = MemoryContextSwitchTo(context);
	cached = palloc0(sizeof(CachedFunction));
	cached->function.context = context;
	cached->key = pstrdup(key);
	cached->generation = found_in;
	build_statement(schema, function, &best, keys, &cached->function);
	MemoryContextSwitchTo(old);
	MemoryContextSetParent(context, TopMemoryContext);
	return cached;
}

EfFunction *
ef_get_function(const char *name, Jsonb *input)
{
	Keys		keys;
	char	   *key;
	uint64		hash;
	CacheEntry *entry;
	CachedFunction *cached;
	bool		found;

	read_keys(input, &keys);
	key = make_key(name, &keys);
	hash = hash_bytes_extended((const unsigned char *) key, strlen(key), 0);
	entry = hash_search(cache, &hash, HASH_FIND, NULL);
	if (entry != NULL)
	{
		cached = entry->cached;
		if (cached->generation == generation && strcmp(cached->key, key) == 0)
		{
			cached->uses++;
			return &cached->function;
		}
		hash_search(cache, &hash, HASH_REMOVE, NULL);
		free_function(cached);
	}
	if (hash_get_num_entries(cache) >= MAX_CACHED)
		empty_cache();
	cached = make_function(name, key, &keys);
	entry = hash_search(cache, &hash, HASH_ENTER, &found);
	if (found)
		free_function(entry->cached);
	entry->cached = cached;
	cached->uses++;
	return &cached->function;
}

void
ef_release_function(EfFunction *function)
{
	CachedFunction *cached = (CachedFunction *) function;

	if (--cached->uses == 0 && cached->forgotten)
		free_function(cached);
}

static void
catalog_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	generation++;
}

void
ef_function_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(uint64), .entrysize = sizeof(CacheEntry)};

	cache = hash_create("activities", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	CacheRegisterSyscacheCallback(PROCOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, catalog_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, catalog_changed, (Datum) 0);
}
