/*-------------------------------------------------------------------------
 *
 * json_tree.c
 *	  The text of a definition as a tree.
 *
 * The server's own JSON parser does the parsing; its semantic actions build the
 * tree.  The text is of type json, so it is well-formed, but that type checks
 * neither what strings hold (\u0000, halves of surrogate pairs) nor the size of
 * numbers, both of which jsonb refuses with an ERROR: they are findings here, so
 * that everything that is compiled later can be turned into jsonb.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "asl/json_tree.h"
#include "compat.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

typedef struct TreeParser
{
	JsonLexContext *lexer;
	AslTree    *root;
	AslTree    *open;			/* the array or object being filled */
	char	   *key;			/* of the value that comes next */
	int			position;		/* of the value that comes next */
	int			depth;
	int			skipped;		/* levels inside of a value that is nested too deep */
	List	  **findings;
} TreeParser;

bool
asl_findings_full(const List *findings)
{
	return list_length(findings) >= ASL_MAX_PROBLEMS;
}

void
asl_add_finding(List **findings, int position, char *path, char *problem)
{
	AslFinding *finding;

	if (asl_findings_full(*findings))
		return;
	finding = palloc(sizeof(AslFinding));
	if (list_length(*findings) == ASL_MAX_PROBLEMS - 1)
	{
		position = INT_MAX;
		path = pstrdup("/");
		problem = pstrdup("there are more problems");
	}
	finding->position = position;
	finding->number = list_length(*findings);
	finding->problem.path = path;
	finding->problem.problem = problem;
	*findings = lappend(*findings, finding);
}

static void
tree_finding(TreeParser *parser, const AslTree *tree, char *problem)
{
	if (!asl_findings_full(*parser->findings))
		asl_add_finding(parser->findings, tree->position, asl_tree_path(tree), problem);
}

static AslTree *
add_value(TreeParser *parser, AslTreeType type)
{
	AslTree    *tree = palloc0(sizeof(AslTree));
	AslTree    *parent = parser->open;

	CHECK_FOR_INTERRUPTS();
	tree->type = type;
	tree->position = parser->position;
	tree->parent = parent;
	if (parent == NULL)
	{
		parser->root = tree;
		return tree;
	}
	tree->key = parent->type == ASL_TREE_OBJECT ? parser->key : NULL;
	tree->index = parent->nchildren;
	if (parent->nchildren == parent->max_children)
	{
		parent->max_children = Max(4, parent->max_children * 2);
		if (parent->children == NULL)
			parent->children = palloc(parent->max_children * sizeof(AslTree *));
		else
			parent->children = repalloc(parent->children, parent->max_children * sizeof(AslTree *));
	}
	parent->children[parent->nchildren++] = tree;
	return tree;
}

static void
open_container(TreeParser *parser, AslTreeType type)
{
	AslTree    *tree;

	if (parser->skipped > 0)
	{
		parser->skipped++;
		return;
	}
	tree = add_value(parser, type);
	if (parser->depth == ASL_MAX_NESTING)
	{
		tree_finding(parser, tree, psprintf("nested more than %d levels deep", ASL_MAX_NESTING));
		parser->skipped = 1;
		return;
	}
	parser->open = tree;
	parser->depth++;
}

static int
compare_keys(const void *a, const void *b)
{
	const AslTree *x = *(AslTree *const *) a;
	const AslTree *y = *(AslTree *const *) b;
	int			result = strcmp(x->key, y->key);

	return result != 0 ? result : x->index - y->index;
}

static void
find_duplicate_keys(TreeParser *parser, const AslTree *object)
{
	AslTree   **sorted;

	if (object->nchildren < 2)
		return;
	sorted = palloc(object->nchildren * sizeof(AslTree *));
	memcpy(sorted, object->children, object->nchildren * sizeof(AslTree *));
	qsort(sorted, object->nchildren, sizeof(AslTree *), compare_keys);
	for (int i = 1; i < object->nchildren && !asl_findings_full(*parser->findings); i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
			tree_finding(parser, sorted[i], pstrdup("duplicate key"));
	}
	pfree(sorted);
}

static void
close_container(TreeParser *parser)
{
	if (parser->skipped > 0)
	{
		parser->skipped--;
		return;
	}
	if (parser->open->type == ASL_TREE_OBJECT)
		find_duplicate_keys(parser, parser->open);
	parser->open = parser->open->parent;
	parser->depth--;
}

/*
 * Can a numeric hold this number, known to be well-formed?  numeric_in() raises an ERROR for one with too many
 * digits before or after the decimal point.
 */
static bool
number_is_storable(const char *text)
{
	const char *digits = text + (*text == '-');
	int			before = strspn(digits, "0123456789");
	int			after = 0;
	long		exponent = 0;
	const char *rest = digits + before;

	if (*rest == '.')
	{
		after = strspn(rest + 1, "0123456789");
		rest += 1 + after;
	}
	if (*rest == 'e' || *rest == 'E')
	{
		errno = 0;
		exponent = strtol(rest + 1, NULL, 10);
		if (errno != 0 || exponent > INT_MAX / 4 || exponent < -INT_MAX / 4)
			return false;
	}
	/* The limits of the type: 131,072 digits before the point, 16,383 after it. */
	return before + exponent <= 131072 && after - exponent <= 16383;
}

/* ---- semantic actions ---- */

static EfJsonActionResult
object_start(void *state)
{
	TreeParser *parser = state;

	open_container(parser, ASL_TREE_OBJECT);
	EF_JSON_ACTION_DONE;
}

static EfJsonActionResult
array_start(void *state)
{
	TreeParser *parser = state;

	open_container(parser, ASL_TREE_ARRAY);
	EF_JSON_ACTION_DONE;
}

static EfJsonActionResult
container_end(void *state)
{
	close_container(state);
	EF_JSON_ACTION_DONE;
}

static EfJsonActionResult
field_start(void *state, char *name, bool isnull)
{
	TreeParser *parser = state;

	parser->key = name;
	parser->position = parser->lexer->token_start - parser->lexer->input;
	EF_JSON_ACTION_DONE;
}

static EfJsonActionResult
element_start(void *state, bool isnull)
{
	TreeParser *parser = state;

	parser->position = parser->lexer->token_start - parser->lexer->input;
	EF_JSON_ACTION_DONE;
}

static EfJsonActionResult
scalar(void *state, char *token, JsonTokenType type)
{
	TreeParser *parser = state;
	AslTree    *tree;

	if (parser->skipped > 0)
		EF_JSON_ACTION_DONE;
	switch (type)
	{
		case JSON_TOKEN_STRING:
			tree = add_value(parser, ASL_TREE_STRING);
			break;
		case JSON_TOKEN_NUMBER:
			tree = add_value(parser, ASL_TREE_NUMBER);
			if (!number_is_storable(token))
			{
				tree_finding(parser, tree, pstrdup("number with too many digits"));
				token = pstrdup("1");	/* so that what follows need not care */
			}
			break;
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
			tree = add_value(parser, ASL_TREE_BOOLEAN);
			tree->boolean = (type == JSON_TOKEN_TRUE);
			break;
		default:
			tree = add_value(parser, ASL_TREE_NULL);
			break;
	}
	tree->text = token;
	tree->length = strlen(token);
	EF_JSON_ACTION_DONE;
}

/* What the server's parser refuses, although the text is of type json. */
static void
add_parser_finding(TreeParser *parser, JsonParseErrorType result)
{
	const JsonLexContext *lexer = parser->lexer;
	char	   *problem = pstrdup(json_errdetail(result, parser->lexer));
	int			length = strlen(problem);

	if (length > 0 && problem[length - 1] == '.')
		problem[length - 1] = '\0';
	asl_add_finding(parser->findings, lexer->token_start ? lexer->token_start - lexer->input : 0,
					parser->open ? asl_tree_path(parser->open) : pstrdup("/"), problem);
}

AslTree *
asl_tree_parse(const char *text, int length, List **findings)
{
	TreeParser	parser = {0};
	JsonSemAction actions = {0};
	JsonParseErrorType result;

	if (length > ASL_MAX_DEFINITION)
	{
		asl_add_finding(findings, 0, pstrdup("/"), psprintf("larger than %d bytes", ASL_MAX_DEFINITION));
		return NULL;
	}
	parser.lexer = ef_json_lexer(text, length);
	parser.findings = findings;
	actions.semstate = &parser;
	actions.object_start = object_start;
	actions.object_end = container_end;
	actions.array_start = array_start;
	actions.array_end = container_end;
	actions.object_field_start = field_start;
	actions.array_element_start = element_start;
	actions.scalar = scalar;

	result = pg_parse_json(parser.lexer, &actions);
	if (result != JSON_SUCCESS)
	{
		add_parser_finding(&parser, result);
		return NULL;
	}
	return parser.root;
}

/* ---- looking at trees ---- */

AslTree *
asl_tree_field(const AslTree *object, const char *key)
{
	if (object->type != ASL_TREE_OBJECT)
		return NULL;
	for (int i = object->nchildren - 1; i >= 0; i--)
	{
		if (strcmp(object->children[i]->key, key) == 0)
			return object->children[i];
	}
	return NULL;
}

/* Of a long key, only as much as shows that the path is too long. */
void
asl_append_path_key(StringInfo path, const char *key)
{
	appendStringInfoChar(path, '/');
	appendBinaryStringInfo(path, key, strnlen(key, ASL_MAX_PATH + 1));
}

char *
asl_tree_path(const AslTree *tree)
{
	StringInfoData path;
	const AslTree *chain[ASL_MAX_NESTING + 2];
	int			n = 0;

	for (; tree->parent != NULL; tree = tree->parent)
		chain[n++] = tree;
	initStringInfo(&path);
	if (n == 0 || chain[n - 1]->key == NULL)
		appendStringInfoChar(&path, '/');
	while (n-- > 0 && path.len <= ASL_MAX_PATH)
	{
		if (chain[n]->key)
			asl_append_path_key(&path, chain[n]->key);
		else
			appendStringInfo(&path, "[%d]", chain[n]->index);
	}
	return asl_shorten_path(path.data);
}

char *
asl_shorten_path(char *path)
{
	int			length = strlen(path);
	char	   *shortened;

	if (length <= ASL_MAX_PATH)
		return path;
	length = pg_mbcliplen(path, length, ASL_MAX_PATH - 3);
	shortened = psprintf("%.*s...", length, path);
	pfree(path);
	return shortened;
}

/*
 * Keys may contain what separates them in a path, so more than one child can fit; the longest key that fits is
 * right but for names that are made to confuse, and then only the order of two problems is at stake.
 */
const AslTree *
asl_tree_resolve(const AslTree *root, const char *path)
{
	const AslTree *tree = root;

	for (;;)
	{
		const AslTree *next = NULL;
		size_t		taken = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < tree->nchildren; i++)
		{
			const AslTree *child = tree->children[i];
			char		index[16];
			const char *step = child->key;
			size_t		length;

			if (step == NULL)
			{
				snprintf(index, sizeof(index), "[%d]", child->index);
				step = index;
			}
			else if (*path != '/')
				continue;
			length = strlen(step);
			if (strncmp(path + (child->key != NULL), step, length) != 0)
				continue;
			length += (child->key != NULL);
			if (length > taken && (path[length] == '\0' || path[length] == '/' || path[length] == '['))
			{
				next = child;
				taken = length;
			}
		}
		if (next == NULL)
			return tree;
		tree = next;
		path += taken;
	}
}

bool
asl_tree_is_string(const AslTree *tree, const char *text)
{
	return tree->type == ASL_TREE_STRING && strcmp(tree->text, text) == 0;
}

static JsonbValue *
push_tree(JsonbParseState **state, const AslTree *tree)
{
	JsonbValue *result = NULL;
	JsonbValue	value;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (tree->type == ASL_TREE_ARRAY)
	{
		pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
		for (int i = 0; i < tree->nchildren; i++)
			push_tree(state, tree->children[i]);
		return pushJsonbValue(state, WJB_END_ARRAY, NULL);
	}
	if (tree->type == ASL_TREE_OBJECT)
	{
		pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
		for (int i = 0; i < tree->nchildren; i++)
		{
			value.type = jbvString;
			value.val.string.val = tree->children[i]->key;
			value.val.string.len = strlen(tree->children[i]->key);
			pushJsonbValue(state, WJB_KEY, &value);
			push_tree(state, tree->children[i]);
		}
		return pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	switch (tree->type)
	{
		case ASL_TREE_STRING:
			value.type = jbvString;
			value.val.string.val = tree->text;
			value.val.string.len = tree->length;
			break;
		case ASL_TREE_NUMBER:
			value.type = jbvNumeric;
			value.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(tree->text),
																	 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
			break;
		case ASL_TREE_BOOLEAN:
			value.type = jbvBool;
			value.val.boolean = tree->boolean;
			break;
		default:
			value.type = jbvNull;
			break;
	}
	if (*state == NULL)
	{
		result = palloc(sizeof(JsonbValue));
		*result = value;
	}
	else
		pushJsonbValue(state, tree->parent->type == ASL_TREE_ARRAY ? WJB_ELEM : WJB_VALUE, &value);
	return result;
}

Jsonb *
asl_tree_to_jsonb(const AslTree *tree)
{
	JsonbParseState *state = NULL;

	return JsonbValueToJsonb(push_tree(&state, tree));
}
