/*-------------------------------------------------------------------------
 *
 * resource.c
 *	  The Resource of a Task, and of what else has one.
 *
 * A resource that begins with one of our own kinds says by itself what is meant,
 * so how it is written can be checked; whether what it names exists is known only
 * when it is used.  Any other one is somebody else's name for something, and
 * stands for whatever an alias says at that time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/varlena.h"

#include "asl/compile.h"

#define SQL_KIND "sql:"
#define TOKEN_SUFFIX ".waitForTaskToken"

/* ---- how names are written ---- */

/* Two identifiers, as the engine splits them; what looks like a call is not a name. */
static bool
is_qualified_name(const char *text)
{
	const char *last_quote = strrchr(text, '"');
	List	   *names;

	if (strpbrk(last_quote ? last_quote : text, "()") != NULL)
		return false;
	return SplitIdentifierString(pstrdup(text), '.', &names) && list_length(names) == 2 &&
		*(char *) linitial(names) != '\0' && *(char *) lsecond(names) != '\0';
}

static bool
is_activity_name(const char *text)
{
	const char *slash = strchr(text, '/');

	return slash != NULL && slash > text && slash[1] != '\0';
}

/* One or more names with commas between them. */
static bool
is_list_of_names(const char *text)
{
	size_t		length = strlen(text);

	return length > 0 && text[0] != ',' && text[length - 1] != ',' && strstr(text, ",,") == NULL;
}

static bool
is_not_empty(const char *text)
{
	return *text != '\0';
}

typedef struct Kind
{
	const char *prefix;
	bool		(*is_well_formed) (const char *text);	/* what follows the prefix */
	const char *expected;
} Kind;

static const Kind kinds[] = {
	{SQL_KIND, is_qualified_name, "must name a function as \"sql:schema.function\""},
	{"activity:", is_activity_name, "must name a queue and an activity as \"activity:queue/name\""},
	{"signal:", is_list_of_names, "must name a signal, or several with commas between them"},
	{"update:", is_list_of_names, "must name an update, or several with commas between them"},
	{"workflow:", is_not_empty, "must name a workflow"},
};

/* NULL: an alias's. */
static const Kind *
kind_of(const char *resource)
{
	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (strncmp(resource, kinds[i].prefix, strlen(kinds[i].prefix)) == 0)
			return &kinds[i];
	}
	return NULL;
}

/* ---- Tasks ---- */

static void
check_name(AslCompiler *compiler, const AslTree *value, const Kind *kind)
{
	char	   *name = pstrdup(value->text + strlen(kind->prefix));
	size_t		length = strlen(name);
	size_t		suffix = strlen(TOKEN_SUFFIX);

	if (length >= suffix && strcmp(name + length - suffix, TOKEN_SUFFIX) == 0)
	{
		if (strcmp(kind->prefix, SQL_KIND) != 0)
		{
			asl_problem(compiler, value, "only a function can have " TOKEN_SUFFIX);
			return;
		}
		name[length - suffix] = '\0';
	}
	if (!kind->is_well_formed(name))
		asl_problem(compiler, value, "%s", kind->expected);
}

/* What only one kind of resource has is a mistake where the resource is known to be of another one. */
void
asl_check_resource(AslCompiler *compiler, const AslTree *tree, const char *resource)
{
	static const struct
	{
		const char *name;
		const char *kind;
		const char *what;
	}			fields[] =
	{
		{"ParentClosePolicy", "workflow:", "starts a workflow"},
		{"WorkflowId", "workflow:", "starts a workflow"},
		{"WorkflowIdPath", "workflow:", "starts a workflow"},
		{"WorkflowVersion", "workflow:", "starts a workflow"},
		{"WaitForResult", "workflow:", "starts a workflow"},
		{"Validator", "update:", "waits for an update"},
		{"Respond", "update:", "waits for an update"},
	};
	const Kind *kind = resource ? kind_of(resource) : NULL;

	if (kind == NULL)
		return;
	check_name(compiler, asl_tree_field(tree, "Resource"), kind);
	for (int i = 0; i < lengthof(fields); i++)
	{
		const AslTree *field = asl_tree_field(tree, fields[i].name);

		if (field != NULL && strcmp(kind->prefix, fields[i].kind) != 0)
			asl_problem(compiler, field, "only allowed with a resource that %s", fields[i].what);
	}
}

/* ---- what else has one ---- */

static void
read_sql_resource(AslCompiler *compiler, const AslTree *value, const char *what, char **target)
{
	const Kind *kind;

	asl_read_uri(compiler, value, target);
	if (value->type != ASL_TREE_STRING || (kind = kind_of(value->text)) == NULL)
		return;
	if (strcmp(kind->prefix, SQL_KIND) != 0 || !is_qualified_name(value->text + strlen(SQL_KIND)))
		asl_problem(compiler, value, "must name a %s as \"" SQL_KIND "schema.%s\"", what, what);
}

void
asl_read_reader_resource(AslCompiler *compiler, const AslTree *value, void *target)
{
	read_sql_resource(compiler, value, "function", target);
}

void
asl_read_writer_resource(AslCompiler *compiler, const AslTree *value, void *target)
{
	read_sql_resource(compiler, value, "table", target);
}

/* sql:schema.function, of which what follows the colon is kept. */
void
asl_read_sql_function(AslCompiler *compiler, const AslTree *value, void *target)
{
	const char *function;

	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return;
	function = value->text + strlen(SQL_KIND);
	if (strncmp(value->text, SQL_KIND, strlen(SQL_KIND)) != 0 || !is_qualified_name(function))
		asl_problem(compiler, value, "%s", kinds[0].expected);
	else
		*(char **) target = pstrdup(function);
}
