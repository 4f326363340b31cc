/*-------------------------------------------------------------------------
 *
 * expr.c
 *	  Expressions: a path, or a call of an intrinsic function whose arguments are
 *	  literals, paths and further calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "asl/intrinsic.h"
#include "asl/path_tree.h"
#include "asl/template.h"
#include "asl/text.h"
#include "asl/value.h"

/* How deep the service lets calls be nested. */
#define MAX_NESTING 10

typedef enum ExprKind
{
	EXPR_PATH, EXPR_LITERAL, EXPR_CALL
} ExprKind;

struct AslExpr
{
	ExprKind	kind;
	char	   *text;
	AslPath    *path;
	JsonbValue	literal;
	bool		open_escape;	/* a string with a backslash before a character that needs none */
	const AslIntrinsic *function;
	int			nargs;
	AslExpr   **args;
};

typedef struct Parser
{
	const char *p;
	const char *end;
	int			depth;
	char	  **problem;
} Parser;

static AslExpr *read_call(Parser *parser);


/* Keeps the first problem; returns NULL. */
static AslExpr *
problem(Parser *parser, const char *text)
{
	if (*parser->problem != NULL)
		return NULL;
	if (parser->p < parser->end)
		*parser->problem = psprintf("%s at \"%s\"", text,
									pnstrdup(parser->p, pg_mbcliplen(parser->p, parser->end - parser->p, 20)));
	else
		*parser->problem = psprintf("%s at the end", text);
	return NULL;
}

static void
skip_blanks(Parser *parser)
{
	while (parser->p < parser->end && isspace((unsigned char) *parser->p))
		parser->p++;
}

static bool
accept(Parser *parser, char c)
{
	skip_blanks(parser);
	if (parser->p >= parser->end || *parser->p != c)
		return false;
	parser->p++;
	return true;
}

static AslExpr *
make_expr(ExprKind kind)
{
	AslExpr    *expr = palloc0(sizeof(AslExpr));

	expr->kind = kind;
	return expr;
}

/*
 * 'text': a backslash takes one of ' { } \ as it is.  A template of States.Format keeps its escapes, since
 * there an escaped brace is not the same as a bare one.  Any other backslash is an error, but a run-time one.
 */
static AslExpr *
read_string(Parser *parser, bool keep_escapes)
{
	AslExpr    *expr = make_expr(EXPR_LITERAL);
	StringInfoData text;

	initStringInfo(&text);
	parser->p++;
	while (parser->p < parser->end && *parser->p != '\'')
	{
		char		c = *parser->p++;

		if (c == '\\')
		{
			if (parser->p >= parser->end)
				return problem(parser, "nothing follows the backslash");
			if (keep_escapes)
				appendStringInfoChar(&text, c);
			c = *parser->p++;
			if (strchr("'{}\\", c) == NULL)
				expr->open_escape = true;
		}
		appendStringInfoChar(&text, c);
	}
	if (parser->p >= parser->end)
		return problem(parser, "a quote is not closed");
	parser->p++;
	expr->literal = asl_take_text(&text);
	return expr;
}

static inline bool
is_name_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '.';
}

static bool
read_word(Parser *parser, const char *word)
{
	int			length = strlen(word);

	if (parser->end - parser->p < length || memcmp(parser->p, word, length) != 0 ||
		(parser->p + length < parser->end && is_name_char(parser->p[length])))
		return false;
	parser->p += length;
	return true;
}

static AslExpr *
read_argument(Parser *parser, bool is_template)
{
	AslExpr    *expr = make_expr(EXPR_LITERAL);
	const char *start = parser->p;
	const char *end;

	if (*start == '\'')
		return read_string(parser, is_template);
	if (*start == '$')
	{
		expr->kind = EXPR_PATH;
		expr->path = asl_path_read(&parser->p, parser->end, parser->problem);
		return expr->path ? expr : NULL;
	}
	if (*start == '-' || isdigit((unsigned char) *start))
	{
		end = start;
		if (!asl_read_number(start, parser->end, &end, &expr->literal))
			return problem(parser, end > start ? "number out of range" : "invalid number");
		parser->p = end;
		return expr;
	}
	if (read_word(parser, "null"))
		expr->literal = asl_value_null();
	else if (read_word(parser, "true"))
		expr->literal = asl_value_bool(true);
	else if (read_word(parser, "false"))
		expr->literal = asl_value_bool(false);
	else
		return read_call(parser);
	return expr;
}

static bool
read_arguments(Parser *parser, AslExpr *call)
{
	int			room = 4;

	call->args = palloc(room * sizeof(AslExpr *));
	if (accept(parser, ')'))
		return true;
	do
	{
		AslExpr    *argument;

		CHECK_FOR_INTERRUPTS();
		skip_blanks(parser);
		if (parser->p >= parser->end)
		{
			problem(parser, "expected an argument");
			return false;
		}
		argument = read_argument(parser, call->function->is_format && call->nargs == 0);
		if (argument == NULL)
			return false;
		if (call->nargs == room)
		{
			room *= 2;
			call->args = repalloc(call->args, room * sizeof(AslExpr *));
		}
		call->args[call->nargs++] = argument;
	} while (accept(parser, ','));
	if (!accept(parser, ')'))
	{
		problem(parser, "expected a comma or a closing parenthesis");
		return false;
	}
	return true;
}

static AslExpr *
read_call(Parser *parser)
{
	AslExpr    *call = make_expr(EXPR_CALL);
	const char *start = parser->p;
	const AslIntrinsic *function;

	while (parser->p < parser->end && is_name_char(*parser->p))
		parser->p++;
	if (parser->p == start || parser->p >= parser->end || *parser->p != '(')
	{
		parser->p = start;
		return problem(parser, "expected a path, a value or a function call");
	}
	function = asl_intrinsic_find(start, parser->p - start);
	if (function == NULL)
	{
		parser->p = start;
		return problem(parser, "unknown intrinsic function");
	}
	if (++parser->depth > MAX_NESTING)
		return problem(parser, "intrinsic functions are nested too deeply");
	parser->p++;
	call->function = function;
	if (!read_arguments(parser, call))
		return NULL;
	if (call->nargs < function->min_args || call->nargs > function->max_args)
	{
		if (*parser->problem == NULL)
			*parser->problem = psprintf("wrong number of arguments of %s: %d", function->name, call->nargs);
		return NULL;
	}
	parser->depth--;
	call->text = pnstrdup(start, parser->p - start);
	return call;
}

AslExpr *
asl_expr_parse(const char *text, char **problem_found)
{
	Parser		parser = {text, text + strlen(text), 0, problem_found};
	AslExpr    *expr;

	*problem_found = NULL;
	if (*text == '$')
	{
		expr = make_expr(EXPR_PATH);
		expr->path = asl_path_parse(text, problem_found);
		return expr->path ? expr : NULL;
	}
	expr = read_call(&parser);
	skip_blanks(&parser);
	if (expr && parser.p < parser.end)
		return problem(&parser, "unexpected text behind the function call");
	return expr;
}

const AslPath *
asl_expr_path(const AslExpr *expr)
{
	return expr->path;
}


/* ---- evaluation ---- */

static bool eval_call(const AslExpr *expr, Jsonb *input, const AslEnv *env, JsonbValue *value, AslError *error);

static bool
eval_argument(const AslExpr *call, const AslExpr *argument, Jsonb *input, const AslEnv *env,
			  JsonbValue *value, AslError *error)
{
	bool		found;

	if (argument->kind == EXPR_CALL)
		return eval_call(argument, input, env, value, error);
	if (argument->kind == EXPR_LITERAL)
	{
		*value = argument->literal;
		if (!argument->open_escape)
			return true;
		return asl_error(error, ASL_ERROR_INTRINSIC,
						 "The function '%s' had the following error: "
						 "A backslash precedes a character that needs no escape", call->text);
	}
	if (!asl_path_find(argument->path, input, env, value, &found, error))
		return false;
	if (found)
		return true;
	return asl_error(error, ASL_ERROR_RUNTIME,
					 "The function '%s' had the following error: "
					 "The JsonPath argument for the field '%s' could not be found in the input '%s'",
					 call->text, asl_path_text(argument->path), asl_compact_excerpt(input, 2000));
}

static bool
eval_call(const AslExpr *expr, Jsonb *input, const AslEnv *env, JsonbValue *value, AslError *error)
{
	AslCall		call;

	call.text = expr->text;
	call.nargs = expr->nargs;
	call.args = palloc(Max(expr->nargs, 1) * sizeof(JsonbValue));
	call.literal_template = expr->nargs > 0 && expr->args[0]->kind == EXPR_LITERAL;
	call.error = error;
	for (int i = 0; i < expr->nargs; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!eval_argument(expr, expr->args[i], input, env, &call.args[i], error))
			return false;
	}
	return expr->function->call(&call, value);
}

bool
asl_expr_eval_value(const AslExpr *expr, const char *field, Jsonb *input, const AslEnv *env,
					JsonbValue *value, AslError *error)
{
	if (expr->kind == EXPR_PATH)
		return asl_path_require_value(expr->path, field, input, env, value, error);
	return eval_call(expr, input, env, value, error);
}

bool
asl_expr_eval(const AslExpr *expr, const char *field, Jsonb *input, const AslEnv *env,
			  Jsonb **value, AslError *error)
{
	JsonbValue	result;

	return asl_expr_eval_value(expr, field, input, env, &result, error) &&
		asl_value_build(&result, value, error);
}
