/*-------------------------------------------------------------------------
 *
 * value_test.c
 *	  SQL-callable functions that show paths, expressions and templates at work.
 *
 * For the regression tests, which declare them themselves; the extension does not.
 * Each returns text: a value as compact JSON, or what was wrong with the text
 * ("problem: ...") or with its evaluation ("States.Runtime: ...").
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "asl/path.h"
#include "asl/template.h"
#include "asl/value.h"

PG_FUNCTION_INFO_V1(asl_test_path);
PG_FUNCTION_INFO_V1(asl_test_path_kind);
PG_FUNCTION_INFO_V1(asl_test_set);
PG_FUNCTION_INFO_V1(asl_test_expr);
PG_FUNCTION_INFO_V1(asl_test_template);
PG_FUNCTION_INFO_V1(asl_test_parse);

static Jsonb *
given_context(void *arg, const char *part, const char *member)
{
	return (Jsonb *) arg;
}

/* Arguments first and first + 1: the context object and the variables. */
static AslEnv
given_env(FunctionCallInfo fcinfo, int first)
{
	AslEnv		env = {0};

	if (!PG_ARGISNULL(first))
	{
		env.context = given_context;
		env.context_arg = PG_GETARG_JSONB_P(first);
	}
	if (!PG_ARGISNULL(first + 1))
		env.variables = PG_GETARG_JSONB_P(first + 1);
	return env;
}

static Datum
shown(const char *format, const char *a, const char *b)
{
	return CStringGetTextDatum(psprintf(format, a, b));
}

/* A value must be, byte for byte, the document that the server makes of its text. */
static Datum
outcome(bool done, Jsonb *value, const AslError *error)
{
	char	   *text;
	Jsonb	   *expected;

	if (!done)
		return shown("%s: %s", error->name, error->cause);
	text = asl_compact_text(value, NULL);
	expected = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (asl_compact_size(value) != (int64) strlen(text) || VARSIZE(value) != VARSIZE(expected) ||
		memcmp(value, expected, VARSIZE(expected)) != 0)
		return shown("%s%s", "not as the server would build it: ", text);
	return CStringGetTextDatum(text);
}

/* (path text, input jsonb, context jsonb, variables jsonb) */
Datum
asl_test_path(PG_FUNCTION_ARGS)
{
	AslEnv		env = given_env(fcinfo, 2);
	char	   *problem;
	AslPath    *path = asl_path_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &problem);
	AslError	error;
	Jsonb	   *value = NULL;
	bool		found;

	if (path == NULL)
		PG_RETURN_DATUM(shown("problem: %s%s", problem, ""));
	if (asl_path_eval(path, PG_GETARG_JSONB_P(1), &env, &value, &found, &error) && !found)
		PG_RETURN_DATUM(shown("%s%s", "not found", ""));
	PG_RETURN_DATUM(outcome(value != NULL, value, &error));
}

/* (path text) */
Datum
asl_test_path_kind(PG_FUNCTION_ARGS)
{
	static const char *const roots[] = {"input", "context", "variable"};
	char	   *problem;
	AslPath    *path = asl_path_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &problem);

	if (path == NULL)
		PG_RETURN_DATUM(shown("problem: %s%s", problem, ""));
	PG_RETURN_DATUM(shown("%s, %s", roots[asl_path_root(path)],
						  asl_path_is_whole(path) ? "whole" :
						  asl_path_is_reference(path) ? "reference" :
						  asl_path_is_definite(path) ? "definite" : "indefinite"));
}

/* (path text, document jsonb, value jsonb) */
Datum
asl_test_set(PG_FUNCTION_ARGS)
{
	char	   *problem;
	AslPath    *path = asl_path_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &problem);
	AslError	error;
	Jsonb	   *result = NULL;
	bool		done;

	if (path == NULL)
		PG_RETURN_DATUM(shown("problem: %s%s", problem, ""));
	if (!asl_path_is_reference(path))
		PG_RETURN_DATUM(shown("%s%s", "problem: not a reference path", ""));
	done = asl_path_set(path, PG_GETARG_JSONB_P(1), PG_GETARG_JSONB_P(2), &result, &error);
	PG_RETURN_DATUM(outcome(done, result, &error));
}

/* (expression text, input jsonb, context jsonb, variables jsonb) */
Datum
asl_test_expr(PG_FUNCTION_ARGS)
{
	AslEnv		env = given_env(fcinfo, 2);
	char	   *problem;
	AslExpr    *expr = asl_expr_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &problem);
	AslError	error;
	Jsonb	   *value = NULL;
	bool		done;

	if (expr == NULL)
		PG_RETURN_DATUM(shown("problem: %s%s", problem, ""));
	done = asl_expr_eval(expr, "x.$", PG_GETARG_JSONB_P(1), &env, &value, &error);
	PG_RETURN_DATUM(outcome(done, value, &error));
}

/* (template jsonb, input jsonb, context jsonb, variables jsonb) */
Datum
asl_test_template(PG_FUNCTION_ARGS)
{
	AslEnv		env = given_env(fcinfo, 2);
	List	   *problems = NIL;
	AslTemplate *template = asl_template_compile(PG_GETARG_JSONB_P(0), "/Parameters", &problems);
	AslError	error;
	Jsonb	   *value = NULL;
	bool		done;
	StringInfoData text;
	ListCell   *cell;

	if (template == NULL)
	{
		initStringInfo(&text);
		foreach(cell, problems)
		{
			AslProblem *problem = lfirst(cell);

			appendStringInfo(&text, "%sproblem at %s: %s", text.len > 0 ? "\n" : "", problem->path, problem->problem);
		}
		PG_RETURN_TEXT_P(cstring_to_text_with_len(text.data, text.len));
	}
	done = asl_template_eval(template, PG_GETARG_JSONB_P(1), &env, &value, &error);
	PG_RETURN_DATUM(outcome(done, value, &error));
}

/* (json text): what States.StringToJson reads */
Datum
asl_test_parse(PG_FUNCTION_ARGS)
{
	text	   *source = PG_GETARG_TEXT_PP(0);
	JsonbValue	value;
	char	   *problem;
	AslError	error;
	Jsonb	   *document = NULL;
	bool		done;

	if (!asl_value_parse(VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source), &value, &problem))
		PG_RETURN_DATUM(shown("problem: %s%s", problem, ""));
	done = asl_value_build(&value, &document, &error);
	PG_RETURN_DATUM(outcome(done, document, &error));
}
