/*-------------------------------------------------------------------------
 *
 * workflow.c
 *	  Compiled workflows, cached in each process, and which one a start means.
 *
 * A version of a workflow never changes, so its compiled machine never becomes
 * wrong and the cache needs no invalidation, with one exception: when the
 * extension is dropped and created again, the same numbers mean other versions.
 * The table is then another one, and the relation cache tells so.
 *
 * What may change (the current version, the owner, whose rights runs have, who
 * may start it) is not cached; a start reads it by primary key.
 *
 * Lifetime.  Each compiled workflow lives in a memory context of its own.  It is
 * freed only to make room for another one, when the cache is larger than
 * expense_flow.workflow_cache_size; then the one unused for longest goes first.
 * One that was handed out in the current top-level transaction, or is pinned,
 * stays.  A workflow that became stale leaves the hash table at once, so that
 * nobody finds it again, and its memory follows by the same rule.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/ilist.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "engine/fetch.h"
#include "engine/statement.h"
#include "engine/workflow.h"
#include "errcodes.h"

#define EQ " OPERATOR(pg_catalog.=) "

/* A workflow in the cache, in its own memory context. */
typedef struct CachedWorkflow
{
	EfWorkflow	workflow;		/* what callers see; must be first */
	MemoryContext context;
	Size		size;			/* memory of the context */
	int			pins;
	uint64		used_in;		/* the transaction in which it was last handed out */
	dlist_node	node;			/* in WorkflowCache.by_use */
} CachedWorkflow;

/* An entry of the hash table; only the workflow itself has a fixed place. */
typedef struct WorkflowEntry
{
	int32		version_id;		/* hash key */
	CachedWorkflow *cached;
} WorkflowEntry;

typedef struct WorkflowCache
{
	MemoryContext context;		/* parent of all contexts of workflows */
	HTAB	   *by_version;
	dlist_head	by_use;			/* head: used last; includes stale ones */
	Size		size;
	uint64		transaction;	/* counts this process's top-level transactions */
	Oid			relid;			/* workflow_version, as of the first load */
	bool		stale;			/* it may be another table now */
} WorkflowCache;

static WorkflowCache cache;
static int	workflow_cache_size = 16 * 1024;	/* kilobytes */

/* ---- room ---- */

static void
free_workflow(CachedWorkflow *cached)
{
	dlist_delete(&cached->node);
	cache.size -= cached->size;
	MemoryContextDelete(cached->context);
}

/* Free what nobody needs, oldest first, until the cache has its size again. */
static void
make_room(void)
{
	dlist_node *node;
	dlist_node *prev;

	if (dlist_is_empty(&cache.by_use))
		return;
	for (node = dlist_tail_node(&cache.by_use);; node = prev)
	{
		CachedWorkflow *cached = dlist_container(CachedWorkflow, node, node);
		bool		first = !dlist_has_prev(&cache.by_use, node);
		WorkflowEntry *entry;

		if (cache.size <= (Size) workflow_cache_size * 1024)
			break;
		prev = first ? NULL : dlist_prev_node(&cache.by_use, node);
		if (cached->pins == 0 && cached->used_in != cache.transaction)
		{
			entry = hash_search(cache.by_version, &cached->workflow.version_id, HASH_FIND, NULL);
			if (entry != NULL && entry->cached == cached)
				hash_search(cache.by_version, &cached->workflow.version_id, HASH_REMOVE, NULL);
			free_workflow(cached);
		}
		if (first)
			break;
	}
}

/* The versions may be those of another installation now: find none of them again. */
static void
forget_all(void)
{
	HASH_SEQ_STATUS seq;
	WorkflowEntry *entry;

	hash_seq_init(&seq, cache.by_version);
	while ((entry = hash_seq_search(&seq)) != NULL)
		hash_search(cache.by_version, &entry->version_id, HASH_REMOVE, NULL);
	cache.relid = InvalidOid;
	cache.stale = false;
}

/* ---- loading ---- */

/* Compile a definition of the registry; it was valid when it was registered. */
static AslMachine *
compile(const char *name, int32 version, text *definition, MemoryContext context)
{
	List	   *problems = NIL;
	AslMachine *machine = asl_compile(VARDATA_ANY(definition), VARSIZE_ANY_EXHDR(definition), context, &problems);

	if (machine == NULL)
	{
		AslProblem *first = problems != NIL ? linitial(problems) : NULL;

		ereport(ERROR,
				(errcode(EF_ERRCODE_INVALID_DEFINITION),
				 errmsg("definition of workflow \"%s\", version %d, is not valid", name, version),
				 first != NULL ? errdetail("%s: %s", first->path, first->problem) : 0));
	}
	return machine;
}

/* May it have a Task that is done when a message comes?  What an alias stands for is not known here. */
static bool
receives_messages(const AslMachine *machine)
{
	const char *suffix = ".waitForTaskToken";
	int			i;

	for (i = 0; i < machine->nstates; i++)
	{
		const char *resource = machine->states[i]->resource;
		size_t		length;

		if (resource == NULL)
			continue;
		length = strlen(resource);
		if (strncmp(resource, "sql:", 4) != 0 ||
			(length > strlen(suffix) && strcmp(resource + length - strlen(suffix), suffix) == 0))
			return true;
	}
	return false;
}

/* Read and compile a version; its context is a child of the current one until it joins the cache. */
static CachedWorkflow *
read_workflow(int32 version_id)
{
	static EfStatement statement = {
		"SELECT workflow, version, definition FROM expense_flow.workflow_version WHERE version_id" EQ "$1",
		1, {INT4OID}
	};
	EfArguments args = {0};
	MemoryContext outer = CurrentMemoryContext;
	CachedWorkflow *cached = NULL;

	ef_add_int(&args, version_id);
	SPI_connect();
	if (ef_execute(&statement, &args) == 1)
	{
		MemoryContext context = AllocSetContextCreate(outer, "compiled workflow", ALLOCSET_SMALL_SIZES);
		EfRow		row = ef_row(0, context);
		EfWorkflow *workflow;

		cached = MemoryContextAllocZero(context, sizeof(CachedWorkflow));
		cached->context = context;
		workflow = &cached->workflow;
		workflow->version_id = version_id;
		workflow->name = ef_next_text(&row);
		workflow->version = ef_next_int(&row);
		workflow->machine = compile(workflow->name, workflow->version, DatumGetTextPP(ef_next_value(&row)), context);
		workflow->receives = receives_messages(workflow->machine);
	}
	SPI_finish();
	return cached;
}

static CachedWorkflow *
load_workflow(int32 version_id)
{
	CachedWorkflow *cached;
	WorkflowEntry *entry;
	bool		found;

	if (!OidIsValid(cache.relid))
		cache.relid = get_relname_relid("workflow_version", get_namespace_oid("expense_flow", false));
	cached = read_workflow(version_id);
	if (cached == NULL)
		return NULL;

	make_room();
	entry = hash_search(cache.by_version, &version_id, HASH_ENTER, &found);
	Assert(!found);
	entry->cached = cached;
	MemoryContextSetParent(cached->context, cache.context);
	MemoryContextSetIdentifier(cached->context, cached->workflow.name);
	cached->size = MemoryContextMemAllocated(cached->context, true);
	cache.size += cached->size;
	dlist_push_head(&cache.by_use, &cached->node);
	return cached;
}

const EfWorkflow *
ef_workflow_by_version(int32 version_id)
{
	WorkflowEntry *entry;
	CachedWorkflow *cached;

	if (cache.stale)
		forget_all();
	entry = hash_search(cache.by_version, &version_id, HASH_FIND, NULL);
	if (entry != NULL)
	{
		cached = entry->cached;
		dlist_move_head(&cache.by_use, &cached->node);
	}
	else
	{
		cached = load_workflow(version_id);
		if (cached == NULL)
			return NULL;
	}
	cached->used_in = cache.transaction;
	return &cached->workflow;
}

void
ef_workflow_pin(const EfWorkflow *workflow)
{
	((CachedWorkflow *) workflow)->pins++;
}

void
ef_workflow_unpin(const EfWorkflow *workflow)
{
	Assert(((const CachedWorkflow *) workflow)->pins > 0);
	((CachedWorkflow *) workflow)->pins--;
}

/* ---- what a start means ---- */

/* What the registry says now about a workflow that is to be started. */
typedef struct Registered
{
	int32		version_id;
	Oid			owner;
	bool		run_as_owner;
} Registered;

/* In a new snapshot, as a statement would take. */
static bool
read_current(const char *name, Registered *registered)
{
	static const EfFetchTable table = {"workflow", "workflow_pkey", 4};
	EfRow		row;
	bool		found;

	PushActiveSnapshot(GetTransactionSnapshot());
	found = ef_fetch_named(&table, name, CurrentMemoryContext, &row);
	PopActiveSnapshot();
	if (found)
	{
		registered->owner = ef_next_oid(&row);
		registered->version_id = ef_next_int(&row);
		registered->run_as_owner = ef_next_bool(&row);
	}
	return found;
}

static bool
read_version(const char *name, int32 version, Registered *registered)
{
	static EfStatement statement = {
		"SELECT w.owner, v.version_id, w.run_as_owner"
		" FROM expense_flow.workflow w JOIN expense_flow.workflow_version v ON v.workflow" EQ "w.name"
		" WHERE w.name" EQ "$1 AND v.version" EQ "$2",
		2, {TEXTOID, INT4OID}
	};
	EfArguments args = {0};
	bool		found;

	ef_add_text(&args, name);
	ef_add_int(&args, version);
	SPI_connect();
	found = ef_execute(&statement, &args) == 1;
	if (found)
	{
		EfRow		row = ef_row(0, CurrentMemoryContext);

		registered->owner = ef_next_oid(&row);
		registered->version_id = ef_next_int(&row);
		registered->run_as_owner = ef_next_bool(&row);
	}
	SPI_finish();
	return found;
}

/* Was the right to start this workflow granted to the role, to one whose privileges it has, or to PUBLIC? */
static bool
start_is_granted(const char *name, Oid starter)
{
	static EfStatement statement = {
		"SELECT grantee FROM expense_flow.workflow_grant WHERE workflow" EQ "$1",
		1, {TEXTOID}
	};
	EfArguments args = {0};
	bool		granted = false;
	uint64		count;
	uint64		i;

	ef_add_text(&args, name);
	SPI_connect();
	count = ef_execute(&statement, &args);
	for (i = 0; i < count && !granted; i++)
	{
		EfRow		row = ef_row(i, CurrentMemoryContext);
		Oid			grantee = ef_next_oid(&row);

		granted = grantee == ACL_ID_PUBLIC || has_privs_of_role(starter, grantee);
	}
	SPI_finish();
	return granted;
}

static void
no_such_workflow(const char *name, int32 version)
{
	Registered	other;

	if (version != 0 && read_current(name, &other))
		ereport(ERROR,
				(errcode(EF_ERRCODE_WORKFLOW_NOT_FOUND),
				 errmsg("workflow \"%s\" has no version %d", name, version)));
	ereport(ERROR,
			(errcode(EF_ERRCODE_WORKFLOW_NOT_FOUND),
			 errmsg("workflow \"%s\" does not exist", name)));
}

const EfWorkflow *
ef_workflow_to_start(const char *name, int32 version, Oid starter, Oid *run_owner)
{
	Registered	registered;

	if (!(version == 0 ? read_current(name, &registered) : read_version(name, version, &registered)))
		no_such_workflow(name, version);
	if (registered.run_as_owner && !has_privs_of_role(starter, registered.owner) && !start_is_granted(name, starter))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to start workflow \"%s\"", name),
				 errdetail("Its runs have the rights of its owner."),
				 errhint("The owner can allow it with expense_flow.grant_start().")));
	*run_owner = registered.run_as_owner ? registered.owner : starter;
	return ef_workflow_by_version(registered.version_id);
}

/* ---- module start ---- */

static void
relation_changed(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cache.relid)
		cache.stale = true;
}

static void
transaction_ends(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_PARALLEL_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PARALLEL_ABORT:
		case XACT_EVENT_PREPARE:
			cache.transaction++;
			break;
		default:
			break;
	}
}

void
ef_workflow_init(void)
{
	HASHCTL		ctl = {.keysize = sizeof(int32), .entrysize = sizeof(WorkflowEntry)};

	DefineCustomIntVariable("expense_flow.workflow_cache_size",
							"Memory that each process may use for compiled workflows.",
							"Those in use stay even if they are larger.",
							&workflow_cache_size, 16 * 1024, 0, MAX_KILOBYTES, PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);

	cache.context = AllocSetContextCreate(TopMemoryContext, "workflow cache", ALLOCSET_SMALL_SIZES);
	ctl.hcxt = cache.context;
	cache.by_version = hash_create("workflow versions", 32, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	dlist_init(&cache.by_use);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	RegisterXactCallback(transaction_ends, NULL);
}
