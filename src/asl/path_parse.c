/*-------------------------------------------------------------------------
 *
 * path_parse.c
 *	  Text -> path (path_tree.h): a recursive-descent parser.
 *
 * The dialect is the one of the service's library.  Where it goes beyond the
 * specification's examples: a dot may precede a bracket ($.['a']), a backslash in
 * a name takes the next character as it is (\uXXXX the character of that code),
 * several names at a path's end select one object of these fields, and a word without
 * quotes in a filter is a string.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_collation.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "asl/path_tree.h"
#include "asl/text.h"
#include "asl/value.h"

/* Filters in filters, and parentheses in them. */
#define MAX_NESTING 64

/* A compiled regular expression takes some 10 kB. */
#define MAX_REGEXES 256

/* Where a name behind a dot ends, beside dots, brackets, parentheses and blanks. */
#define ENDS_IN_ARGUMENT ","
#define ENDS_IN_FILTER ",]=!<>~&|"

typedef struct Parser
{
	const char *p;
	const char *end;
	const char *name_ends;		/* NULL: the path is the whole text */
	int			depth;
	int			nslots;			/* of the filter being read */
	int			nregexes;
	char	  **problem;
} Parser;

static AslPath *read_path(Parser *parser);
static FilterNode *read_or(Parser *parser);


static bool
problem(Parser *parser, const char *format,...) pg_attribute_printf(2, 3);

/* Keeps the first problem; returns false. */
static bool
problem(Parser *parser, const char *format,...)
{
	StringInfoData text;

	if (*parser->problem == NULL)
	{
		va_list		args;
		int			needed;

		initStringInfo(&text);
		for (;;)
		{
			va_start(args, format);
			needed = appendStringInfoVA(&text, format, args);
			va_end(args);
			if (needed == 0)
				break;
			enlargeStringInfo(&text, needed);
		}
		if (parser->p < parser->end)
			appendStringInfo(&text, " at \"%s\"",
							 pnstrdup(parser->p, pg_mbcliplen(parser->p, parser->end - parser->p, 20)));
		*parser->problem = text.data;
	}
	return false;
}

static inline char
peek(Parser *parser)
{
	return parser->p < parser->end ? *parser->p : '\0';
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void
skip_blanks(Parser *parser)
{
	while (parser->p < parser->end && is_blank(*parser->p))
		parser->p++;
}

/* Take the given characters, after blanks. */
static bool
accept(Parser *parser, const char *token)
{
	int			length = strlen(token);

	skip_blanks(parser);
	if (parser->end - parser->p < length || memcmp(parser->p, token, length) != 0)
		return false;
	parser->p += length;
	return true;
}

static inline bool
is_word_start(char c)
{
	return isalpha((unsigned char) c) || c == '_' || IS_HIGHBIT_SET(c);
}

static inline bool
is_word_char(char c)
{
	return is_word_start(c) || isdigit((unsigned char) c);
}

bool
asl_is_variable_name(const char *name, int length)
{
	if (length == 0 || !is_word_start(name[0]) || name[0] == '_' || pg_mbstrlen_with_len(name, length) > 80)
		return false;
	for (int i = 1; i < length; i++)
	{
		if (!is_word_char(name[i]))
			return false;
	}
	return true;
}

/* Behind a backslash: what follows stands for itself, but in quotes control characters have their usual letters. */
static bool
read_escape(Parser *parser, bool quoted, StringInfo text)
{
	static const char letters[] = "b\bf\fn\nr\rt\t";
	char		c;

	if (parser->p >= parser->end)
		return problem(parser, "nothing follows the backslash");
	c = *parser->p++;
	if (c == 'u' && parser->end - parser->p >= 4 && isxdigit((unsigned char) parser->p[0]) &&
		isxdigit((unsigned char) parser->p[1]) && isxdigit((unsigned char) parser->p[2]) &&
		isxdigit((unsigned char) parser->p[3]))
	{
		return asl_read_unicode_escape(&parser->p, parser->end, text) ||
			problem(parser, "invalid Unicode escape");
	}
	for (const char *letter = letters; quoted && *letter; letter += 2)
	{
		if (*letter == c)
		{
			c = letter[1];
			break;
		}
	}
	appendStringInfoChar(text, c);
	return true;
}

static PathName
take_name(StringInfo text)
{
	JsonbValue	value = asl_take_text(text);
	PathName	name = {value.val.string.val, value.val.string.len};

	return name;
}

static bool
read_quoted(Parser *parser, PathName *name)
{
	StringInfoData text;
	char		quote = *parser->p++;

	initStringInfo(&text);
	while (parser->p < parser->end && *parser->p != quote)
	{
		char		c = *parser->p++;

		if (c != '\\')
			appendStringInfoChar(&text, c);
		else if (!read_escape(parser, true, &text))
			return false;
	}
	if (parser->p >= parser->end)
		return problem(parser, "a quote is not closed");
	parser->p++;
	*name = take_name(&text);
	return true;
}

static bool
read_int(Parser *parser, int64 *value)
{
	char	   *end;

	skip_blanks(parser);
	if (!isdigit((unsigned char) peek(parser)) &&
		!(peek(parser) == '-' && parser->p + 1 < parser->end && isdigit((unsigned char) parser->p[1])))
		return problem(parser, "expected a whole number");
	errno = 0;
	*value = strtoi64(parser->p, &end, 10);
	if (errno != 0 || *value > PG_INT32_MAX || *value < PG_INT32_MIN)
		return problem(parser, "index out of range");
	parser->p = end;
	return true;
}


/* ---- steps ---- */

typedef struct StepList
{
	PathStep   *steps;
	int			count;
	int			room;
} StepList;

static PathStep *
add_step(StepList *list, StepKind kind)
{
	PathStep   *step;

	if (list->count == list->room)
	{
		list->room = Max(4, list->room * 2);
		list->steps = list->steps
			? repalloc(list->steps, list->room * sizeof(PathStep))
			: palloc(list->room * sizeof(PathStep));
	}
	step = &list->steps[list->count++];
	memset(step, 0, sizeof(*step));
	step->kind = kind;
	return step;
}

static void
add_name_step(StepList *list, PathName name)
{
	PathStep   *step = add_step(list, STEP_NAME);

	step->count = 1;
	step->names = palloc(sizeof(PathName));
	step->names[0] = name;
}

static const struct
{
	const char *name;
	PathFunction function;
}			path_functions[] =
{
	{"length", PATH_LENGTH},
	{"size", PATH_LENGTH},
	{"min", PATH_MIN},
	{"max", PATH_MAX},
	{"sum", PATH_SUM},
	{"avg", PATH_AVG},
	{"keys", PATH_KEYS},
	{"first", PATH_FIRST},
	{"last", PATH_LAST},
};

static bool
read_function(Parser *parser, const char *name, PathFunction *function)
{
	for (size_t i = 0; i < lengthof(path_functions); i++)
	{
		if (strcmp(path_functions[i].name, name) == 0)
			*function = path_functions[i].function;
	}
	if (*function == PATH_NO_FUNCTION)
		return problem(parser, "unknown function \"%s\" in a path", name);
	if (!accept(parser, "(") || !accept(parser, ")"))
		return problem(parser, "the function \"%s\" of a path takes no arguments", name);
	return true;
}

/* Behind a dot (or two): a name, a wildcard, a function at the path's end. */
static bool
read_dotted(Parser *parser, StepList *list, PathFunction *function)
{
	StringInfoData text;
	const char *start = parser->p;

	initStringInfo(&text);
	while (parser->p < parser->end)
	{
		char		c = *parser->p;

		if (c == '.' || c == '[' || c == '(' || c == ')' || is_blank(c) ||
			(parser->name_ends && strchr(parser->name_ends, c)))
			break;
		parser->p++;
		if (c != '\\')
			appendStringInfoChar(&text, c);
		else if (!read_escape(parser, false, &text))
			return false;
	}
	if (parser->p == start)
		return problem(parser, "expected a name behind the dot");
	if (peek(parser) == '(')
		return read_function(parser, text.data, function);
	if (parser->p == start + 1 && *start == '*')
	{
		pfree(text.data);
		add_step(list, STEP_WILDCARD);
		return true;
	}
	add_name_step(list, take_name(&text));
	return true;
}

static bool
read_bracket_names(Parser *parser, StepList *list)
{
	List	   *names = NIL;
	ListCell   *cell;
	PathStep   *step;

	do
	{
		PathName   *name = palloc(sizeof(PathName));

		skip_blanks(parser);
		if (peek(parser) != '\'' && peek(parser) != '"')
			return problem(parser, "expected a name in quotes");
		if (!read_quoted(parser, name))
			return false;
		names = lappend(names, name);
	} while (accept(parser, ","));

	step = add_step(list, list_length(names) == 1 ? STEP_NAME : STEP_NAMES);
	step->names = palloc(list_length(names) * sizeof(PathName));
	foreach(cell, names)
		step->names[step->count++] = *(PathName *) lfirst(cell);
	return true;
}

/* [from:to:step], each of which may be left out; from was read already if has_from. */
static bool
read_slice(Parser *parser, StepList *list, bool has_from, int64 from)
{
	PathStep   *step = add_step(list, STEP_SLICE);

	step->has_from = has_from;
	step->from = from;
	step->step = 1;
	skip_blanks(parser);
	if (peek(parser) != ':' && peek(parser) != ']')
	{
		step->has_to = true;
		if (!read_int(parser, &step->to))
			return false;
	}
	if (accept(parser, ":"))
	{
		skip_blanks(parser);
		if (peek(parser) != ']' && !read_int(parser, &step->step))
			return false;
		if (step->step <= 0)
			return problem(parser, "the step of a slice must be positive");
	}
	return true;
}

static bool
read_bracket_indexes(Parser *parser, StepList *list)
{
	int64		first = 0;
	int			room = 4;
	PathStep   *step;

	if (accept(parser, ":"))
		return read_slice(parser, list, false, 0);
	if (!read_int(parser, &first))
		return false;
	if (accept(parser, ":"))
		return read_slice(parser, list, true, first);

	step = add_step(list, STEP_INDEX);
	step->indexes = palloc(room * sizeof(int64));
	step->indexes[step->count++] = first;
	while (accept(parser, ","))
	{
		if (step->count == room)
		{
			room *= 2;
			step->indexes = repalloc(step->indexes, room * sizeof(int64));
		}
		if (!read_int(parser, &step->indexes[step->count++]))
			return false;
	}
	if (step->count > 1)
		step->kind = STEP_INDEXES;
	return true;
}

static bool
read_filter_step(Parser *parser, StepList *list)
{
	Filter	   *filter = palloc0(sizeof(Filter));
	int			outer_nslots = parser->nslots;
	const char *outer_ends = parser->name_ends;

	if (++parser->depth > MAX_NESTING)
		return problem(parser, "filters are nested too deeply");
	parser->nslots = 0;
	parser->name_ends = ENDS_IN_FILTER;
	filter->root = read_or(parser);
	filter->nslots = parser->nslots;
	parser->nslots = outer_nslots;
	parser->name_ends = outer_ends;
	parser->depth--;
	if (filter->root == NULL)
		return false;
	add_step(list, STEP_FILTER)->filter = filter;
	return true;
}

/* Behind an opening bracket. */
static bool
read_bracket(Parser *parser, StepList *list)
{
	bool		done;

	skip_blanks(parser);
	if (accept(parser, "*"))
		done = add_step(list, STEP_WILDCARD) != NULL;
	else if (accept(parser, "?"))
		done = read_filter_step(parser, list);
	else if (peek(parser) == '\'' || peek(parser) == '"')
		done = read_bracket_names(parser, list);
	else
		done = read_bracket_indexes(parser, list);
	if (!done)
		return false;
	return accept(parser, "]") || problem(parser, "expected a closing bracket");
}

static bool
read_steps(Parser *parser, AslPath *path)
{
	StepList	list = {0};

	while (path->function == PATH_NO_FUNCTION)
	{
		char		c = peek(parser);

		CHECK_FOR_INTERRUPTS();
		if (c == '[')
		{
			parser->p++;
			if (!read_bracket(parser, &list))
				return false;
			continue;
		}
		if (c != '.')
			break;
		parser->p++;
		if (peek(parser) == '.')
		{
			parser->p++;
			add_step(&list, STEP_DESCEND);
		}
		if (peek(parser) != '[' && !read_dotted(parser, &list, &path->function))
			return false;
	}
	path->steps = list.steps;
	path->nsteps = list.count;
	path->single = true;
	for (int i = 0; i < list.count && path->single; i++)
	{
		StepKind	kind = list.steps[i].kind;

		path->single = kind == STEP_NAME || kind == STEP_INDEX || (kind == STEP_NAMES && i == list.count - 1);
	}
	return true;
}

/* "@", "$", "$$" or "$name" */
static bool
read_root(Parser *parser, AslPath *path)
{
	const char *start = parser->p;

	if (peek(parser) == '@' && parser->depth > 0)
	{
		parser->p++;
		path->root = ROOT_ITEM;
		return true;
	}
	if (peek(parser) != '$')
		return problem(parser, "a path must begin with \"$\"");
	parser->p++;
	if (peek(parser) == '$')
	{
		parser->p++;
		path->root = ASL_ROOT_CONTEXT;
	}
	else if (is_word_start(peek(parser)))
	{
		start = parser->p;
		while (is_word_char(peek(parser)))
			parser->p++;
		path->root = ASL_ROOT_VARIABLE;
		path->variable = pnstrdup(start, parser->p - start);
	}
	return true;
}

static AslPath *
read_path(Parser *parser)
{
	AslPath    *path = palloc0(sizeof(AslPath));
	const char *start = parser->p;

	if (!read_root(parser, path) || !read_steps(parser, path))
		return NULL;
	path->text = pnstrdup(start, parser->p - start);
	return path;
}


/* ---- filters ---- */

static bool read_literal_list(Parser *parser, JsonbValue *value);


static bool
read_literal(Parser *parser, JsonbValue *value)
{
	const char *start = parser->p;
	const char *end = start;
	PathName	name;

	switch (peek(parser))
	{
		case '\'':
		case '"':
			if (!read_quoted(parser, &name))
				return false;
			*value = asl_value_text(name.text, name.length);
			return true;
		case '[':
			return read_literal_list(parser, value);
		default:
			break;
	}
	if (is_word_start(peek(parser)))
	{
		while (is_word_char(peek(parser)) || peek(parser) == '-')
			parser->p++;
		*value = asl_value_text(start, parser->p - start);
		if (asl_value_string_is(value, "true") || asl_value_string_is(value, "false"))
			*value = asl_value_bool(*start == 't');
		else if (asl_value_string_is(value, "null"))
			*value = asl_value_null();
		else
			value->val.string.val = pnstrdup(start, parser->p - start);
		return true;
	}
	if (!asl_read_number(start, parser->end, &end, value))
		return problem(parser, end > start ? "number out of range" : "expected a path or a value");
	parser->p = end;
	return true;
}

static bool
read_literal_list(Parser *parser, JsonbValue *value)
{
	if (++parser->depth > MAX_NESTING)
		return problem(parser, "lists are nested too deeply");
	*value = asl_value_empty_array();
	parser->p++;
	if (!accept(parser, "]"))
	{
		do
		{
			JsonbValue	element;

			skip_blanks(parser);
			if (!read_literal(parser, &element))
				return false;
			asl_array_append(value, &element);
		} while (accept(parser, ","));
		if (!accept(parser, "]"))
			return problem(parser, "expected a closing bracket");
	}
	parser->depth--;
	return true;
}

static bool
read_operand(Parser *parser, Operand *operand)
{
	operand->path = NULL;
	operand->slot = -1;
	skip_blanks(parser);
	if (peek(parser) != '@' && peek(parser) != '$')
		return read_literal(parser, &operand->literal);
	operand->path = read_path(parser);
	if (operand->path && operand->path->root != ROOT_ITEM)
		operand->slot = parser->nslots++;
	return operand->path != NULL;
}

/* Longer signs before their beginnings. */
static const struct
{
	const char *sign;
	FilterOperator operator;
}			filter_operators[] =
{
	{"==", OP_EQUAL},
	{"!=", OP_NOT_EQUAL},
	{"<=", OP_LESS_EQUAL},
	{">=", OP_GREATER_EQUAL},
	{"<", OP_LESS},
	{">", OP_GREATER},
	{"=~", OP_MATCHES},
	{"in", OP_IN},
	{"nin", OP_NOT_IN},
	{"anyof", OP_ANY_OF},
	{"noneof", OP_NONE_OF},
	{"subsetof", OP_SUBSET_OF},
	{"contains", OP_CONTAINS},
	{"size", OP_SIZE},
	{"empty", OP_EMPTY},
};

static bool
read_operator(Parser *parser, FilterOperator *operator)
{
	const char *start = parser->p;

	for (size_t i = 0; i < lengthof(filter_operators); i++)
	{
		const char *sign = filter_operators[i].sign;

		if (!accept(parser, sign) || (is_word_start(*sign) && is_word_char(peek(parser))))
		{
			parser->p = start;
			continue;
		}
		*operator = filter_operators[i].operator;
		return true;
	}
	return false;
}

static void
free_regex(void *regex)
{
	pg_regfree((regex_t *) regex);
}

/*
 * A pattern must match the whole text.  Options at its beginning, "(?i)", must stay there.  A regex is not in
 * palloc'd memory in all versions, so it is freed when the path's memory is.
 */
static bool
compile_regex(Parser *parser, const char *pattern, int length, int flags, regex_t **result)
{
	StringInfoData anchored;
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	regex_t    *regex = palloc0(sizeof(regex_t));
	pg_wchar   *wide;
	int			options = 0;
	int			code;

	if (length > 2 && pattern[0] == '(' && pattern[1] == '?' && isalpha((unsigned char) pattern[2]))
	{
		while (options < length && pattern[options] != ')')
			options++;
		options = Min(options + 1, length);
	}
	initStringInfo(&anchored);
	appendBinaryStringInfo(&anchored, pattern, options);
	appendStringInfoString(&anchored, "^(?:");
	appendBinaryStringInfo(&anchored, pattern + options, length - options);
	appendStringInfoString(&anchored, ")$");

	wide = palloc((anchored.len + 1) * sizeof(pg_wchar));
	code = pg_regcomp(regex, wide, pg_mb2wchar_with_len(anchored.data, wide, anchored.len),
					  flags, DEFAULT_COLLATION_OID);
	pfree(wide);
	if (code != REG_OKAY)
	{
		char		message[100];

		CHECK_FOR_INTERRUPTS();	/* REG_CANCEL */
		pg_regerror(code, regex, message, sizeof(message));
		return problem(parser, "invalid regular expression: %s", message);
	}
	callback->func = free_regex;
	callback->arg = regex;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	*result = regex;
	return true;
}

/* /pattern/flags, or a string. */
static bool
read_regex(Parser *parser, regex_t **regex)
{
	StringInfoData pattern;
	int			flags = REG_ADVANCED | REG_NLSTOP;

	if (++parser->nregexes > MAX_REGEXES)
		return problem(parser, "more than %d regular expressions", MAX_REGEXES);
	skip_blanks(parser);
	initStringInfo(&pattern);
	if (peek(parser) == '\'' || peek(parser) == '"')
	{
		PathName	name;

		return read_quoted(parser, &name) && compile_regex(parser, name.text, name.length, flags, regex);
	}
	if (!accept(parser, "/"))
		return problem(parser, "expected a regular expression between slashes");
	while (parser->p < parser->end && *parser->p != '/')
	{
		if (*parser->p == '\\' && parser->p + 1 < parser->end)
		{
			if (parser->p[1] != '/')
				appendStringInfoChar(&pattern, *parser->p);
			parser->p++;
		}
		appendStringInfoChar(&pattern, *parser->p++);
	}
	if (!accept(parser, "/"))
		return problem(parser, "a regular expression is not closed");
	for (; isalpha((unsigned char) peek(parser)); parser->p++)
	{
		if (*parser->p == 'i')
			flags |= REG_ICASE;
		else if (*parser->p == 's')
			flags &= ~REG_NLSTOP;
		else if (*parser->p == 'm')
			flags |= REG_NLANCH;
		else if (*parser->p == 'x')
			flags |= REG_EXPANDED;
		else if (*parser->p != 'u')
			return problem(parser, "unknown flag of a regular expression");
	}
	return compile_regex(parser, pattern.data, pattern.len, flags, regex);
}

static FilterNode *
make_filter(FilterKind kind, List *arguments)
{
	FilterNode *node = palloc0(sizeof(FilterNode));

	node->kind = kind;
	node->arguments = arguments;
	return node;
}

static FilterNode *
read_comparison(Parser *parser)
{
	FilterNode *node = make_filter(FILTER_COMPARE, NIL);

	if (!read_operand(parser, &node->left))
		return NULL;
	if (!read_operator(parser, &node->operator))
	{
		if (node->left.path == NULL)
		{
			problem(parser, "expected a comparison");
			return NULL;
		}
		node->kind = FILTER_EXISTS;
		return node;
	}
	if (node->operator == OP_MATCHES
		? !read_regex(parser, &node->regex)
		: !read_operand(parser, &node->right))
		return NULL;
	return node;
}

/* A comparison, or an expression in parentheses; either may be negated. */
static FilterNode *
read_term(Parser *parser)
{
	FilterNode *node;
	bool		negate = false;

	while (accept(parser, "!"))
		negate = !negate;
	if (accept(parser, "("))
	{
		if (++parser->depth > MAX_NESTING)
		{
			problem(parser, "parentheses are nested too deeply");
			return NULL;
		}
		node = read_or(parser);
		parser->depth--;
		if (node && !accept(parser, ")"))
		{
			problem(parser, "expected a closing parenthesis");
			return NULL;
		}
	}
	else
		node = read_comparison(parser);
	if (node && negate)
		node = make_filter(FILTER_NOT, list_make1(node));
	return node;
}

static FilterNode *
read_and(Parser *parser)
{
	List	   *terms = NIL;

	do
	{
		FilterNode *term = read_term(parser);

		CHECK_FOR_INTERRUPTS();
		if (term == NULL)
			return NULL;
		terms = lappend(terms, term);
	} while (accept(parser, "&&"));
	return list_length(terms) == 1 ? linitial(terms) : make_filter(FILTER_AND, terms);
}

static FilterNode *
read_or(Parser *parser)
{
	List	   *terms = NIL;

	do
	{
		FilterNode *term = read_and(parser);

		if (term == NULL)
			return NULL;
		terms = lappend(terms, term);
	} while (accept(parser, "||"));
	return list_length(terms) == 1 ? linitial(terms) : make_filter(FILTER_OR, terms);
}


/* ---- what others call ---- */

AslPath *
asl_path_parse(const char *text, char **problem_found)
{
	Parser		parser = {text, text + strlen(text), NULL, 0, 0, 0, problem_found};
	AslPath    *path;

	*problem_found = NULL;
	path = read_path(&parser);
	if (path && parser.p < parser.end)
	{
		problem(&parser, "unexpected character");
		return NULL;
	}
	return path;
}

AslPath *
asl_path_read(const char **p, const char *end, char **problem_found)
{
	Parser		parser = {*p, end, ENDS_IN_ARGUMENT, 0, 0, 0, problem_found};
	AslPath    *path = read_path(&parser);

	*p = parser.p;
	return path;
}

const char *
asl_path_text(const AslPath *path)
{
	return path->text;
}

AslPathRoot
asl_path_root(const AslPath *path)
{
	return path->root;
}

bool
asl_path_is_definite(const AslPath *path)
{
	return path->single || path->function != PATH_NO_FUNCTION;
}

bool
asl_path_is_reference(const AslPath *path)
{
	for (int i = 0; i < path->nsteps; i++)
	{
		if (path->steps[i].kind != STEP_NAME && path->steps[i].kind != STEP_INDEX)
			return false;
	}
	return path->function == PATH_NO_FUNCTION;
}

bool
asl_path_is_whole(const AslPath *path)
{
	return path->nsteps == 0 && path->function == PATH_NO_FUNCTION;
}
