/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  Reading the fields of a definition's objects, and what is wrong with them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "asl/compile.h"
#include "mb/pg_wchar.h"

#define MAX_VARIABLE_NAME 80	/* characters, says the specification */

void
asl_problem(AslCompiler *compiler, const AslTree *where, const char *format,...)
{
	StringInfoData problem;

	if (asl_findings_full(compiler->findings))
		return;
	initStringInfo(&problem);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&problem, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&problem, needed);
	}
	asl_add_finding(&compiler->findings, where->position, asl_tree_path(where), problem.data);
}

bool
asl_expect(AslCompiler *compiler, const AslTree *value, AslTreeType type)
{
	static const char *const names[] = {
		[ASL_TREE_NULL] = "null",
		[ASL_TREE_BOOLEAN] = "true or false",
		[ASL_TREE_NUMBER] = "a number",
		[ASL_TREE_STRING] = "a string",
		[ASL_TREE_ARRAY] = "an array",
		[ASL_TREE_OBJECT] = "an object",
	};

	if (value->type == type)
		return true;
	asl_problem(compiler, value, "must be %s, not %s", names[type],
				value->type == ASL_TREE_BOOLEAN ? (value->boolean ? "true" : "false") : names[value->type]);
	return false;
}

/* ---- objects ---- */

/* The field for this variant; if it is not allowed there, some entry of that name; or NULL. */
static const AslField *
find_field(const AslField *fields, int nfields, const char *name, uint32 variant)
{
	const AslField *found = NULL;

	for (int i = 0; i < nfields; i++)
	{
		if (strcmp(fields[i].name, name) != 0)
			continue;
		found = &fields[i];
		if ((found->allowed & variant) != 0)
			break;
	}
	return found;
}

bool
asl_read_object(AslCompiler *compiler, const AslTree *object, const char *what,
				const AslField *fields, int nfields, uint32 variant, void *target)
{
	if (!asl_expect(compiler, object, ASL_TREE_OBJECT))
		return false;
	for (int i = 0; i < nfields; i++)
	{
		if ((fields[i].required & variant) != 0 && asl_tree_field(object, fields[i].name) == NULL)
			asl_problem(compiler, object, "field \"%s\" is missing", fields[i].name);
	}
	for (int i = 0; i < object->nchildren; i++)
	{
		const AslTree *value = object->children[i];
		const AslField *field = find_field(fields, nfields, value->key, variant);

		if (field == NULL)
			asl_problem(compiler, value, "unknown field of %s", what);
		else if ((field->allowed & variant) == 0)
			asl_problem(compiler, value, "not allowed in %s", what);
		else
			field->read(compiler, value, (char *) target + field->offset);
	}
	return true;
}

void
asl_check_exclusions(AslCompiler *compiler, const AslTree *object,
					 const AslExclusion *exclusions, int n, uint32 variant)
{
	for (int i = 0; i < n; i++)
	{
		const AslTree *one = asl_tree_field(object, exclusions[i].one);
		const AslTree *other = asl_tree_field(object, exclusions[i].other);

		if (one != NULL && other != NULL)
		{
			bool		one_is_first = one->position < other->position;

			asl_problem(compiler, one_is_first ? other : one, "not allowed together with \"%s\"",
						one_is_first ? one->key : other->key);
		}
		else if (one == NULL && other == NULL && (exclusions[i].required & variant) != 0)
			asl_problem(compiler, object, "field \"%s\" or \"%s\" is missing", exclusions[i].one, exclusions[i].other);
	}
}

/* ---- simple values ---- */

void
asl_read_ignored(AslCompiler *compiler, const AslTree *value, void *target)
{
}

void
asl_read_ignored_text(AslCompiler *compiler, const AslTree *value, void *target)
{
	(void) asl_expect(compiler, value, ASL_TREE_STRING);
}

void
asl_read_ignored_object(AslCompiler *compiler, const AslTree *value, void *target)
{
	(void) asl_expect(compiler, value, ASL_TREE_OBJECT);
}

void
asl_read_value(AslCompiler *compiler, const AslTree *value, void *target)
{
	*(const AslTree **) target = value;
}

void
asl_read_text(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_STRING))
		*(char **) target = pstrdup(value->text);
}

void
asl_read_uri(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_text(compiler, value, target);
	if (value->type == ASL_TREE_STRING && value->length == 0)
		asl_problem(compiler, value, "must not be empty");
}

void
asl_read_boolean(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_BOOLEAN))
		*(bool *) target = value->boolean;
}

void
asl_read_constant(AslCompiler *compiler, const AslTree *value, void *target)
{
	MemoryContext old = MemoryContextSwitchTo(compiler->temporary);
	Jsonb	   *jsonb = asl_tree_to_jsonb(value);

	MemoryContextSwitchTo(old);
	*(Jsonb **) target = memcpy(palloc(VARSIZE(jsonb)), jsonb, VARSIZE(jsonb));
}

/* ---- numbers ---- */

static void
read_whole_number(AslCompiler *compiler, const AslTree *value, double min, const char *expected, AslAmount *amount)
{
	double		number;

	if (!asl_expect(compiler, value, ASL_TREE_NUMBER))
		return;
	number = strtod(value->text, NULL);
	if (number < min || number > ASL_MAX_WHOLE_NUMBER || number != floor(number))
		asl_problem(compiler, value, "must be %s", expected);
	amount->given = true;
	amount->value = number;
}

void
asl_read_positive(AslCompiler *compiler, const AslTree *value, void *target)
{
	read_whole_number(compiler, value, 1, "a positive integer", target);
}

void
asl_read_non_negative(AslCompiler *compiler, const AslTree *value, void *target)
{
	read_whole_number(compiler, value, 0, "a non-negative integer", target);
}

void
asl_read_percentage(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslAmount  *amount = target;

	if (!asl_expect(compiler, value, ASL_TREE_NUMBER))
		return;
	amount->given = true;
	amount->value = strtod(value->text, NULL);
	if (!(amount->value >= 0 && amount->value <= 100))
		asl_problem(compiler, value, "must be between 0 and 100");
}

/* ---- paths and expressions ---- */

/* NULL: it is none, and the problem was noted. */
static AslPath *
read_path(AslCompiler *compiler, const AslTree *value, bool reference)
{
	AslPath    *path;
	char	   *problem;

	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return NULL;
	path = asl_path_parse(value->text, &problem);
	if (path == NULL)
		asl_problem(compiler, value, "invalid path \"%s\": %s", value->text, problem);
	else if (reference && !asl_path_is_reference(path))
	{
		asl_problem(compiler, value, "\"%s\" is not a reference path, which can have only names and indexes", value->text);
		return NULL;
	}
	return path;
}

void
asl_read_path(AslCompiler *compiler, const AslTree *value, void *target)
{
	*(AslPath **) target = read_path(compiler, value, false);
}

void
asl_read_reference_path(AslCompiler *compiler, const AslTree *value, void *target)
{
	*(AslPath **) target = read_path(compiler, value, true);
}

void
asl_read_amount_path(AslCompiler *compiler, const AslTree *value, void *target)
{
	((AslAmount *) target)->path = read_path(compiler, value, true);
}

void
asl_read_filter(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslFilter  *filter = target;

	if (value->type == ASL_TREE_NULL)
		filter->discard = true;
	else
		filter->path = read_path(compiler, value, false);
	/* "$" is the default: leave nothing to evaluate. */
	if (filter->path && asl_path_root(filter->path) == ASL_ROOT_INPUT && asl_path_is_whole(filter->path))
		filter->path = NULL;
}

void
asl_read_result_path(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslFilter  *filter = target;

	if (value->type == ASL_TREE_NULL)
	{
		filter->discard = true;
		return;
	}
	filter->path = read_path(compiler, value, true);
	if (filter->path == NULL)
		return;
	if (asl_path_root(filter->path) != ASL_ROOT_INPUT)
		asl_problem(compiler, value, "must begin with \"$\" followed by nothing, \".\" or \"[\"");
	else if (asl_path_is_whole(filter->path))
		filter->path = NULL;
}

/* A reference path or a call of an intrinsic function. */
void
asl_read_string_expression(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslExpr    *expr;
	char	   *problem;

	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return;
	expr = asl_expr_parse(value->text, &problem);
	if (expr == NULL)
		asl_problem(compiler, value, "invalid expression \"%s\": %s", value->text, problem);
	else if (asl_expr_path(expr) != NULL && !asl_path_is_reference(asl_expr_path(expr)))
		asl_problem(compiler, value, "\"%s\" is neither a reference path nor an intrinsic function", value->text);
	*(AslExpr **) target = expr;
}

/* ---- templates ---- */

static AslTemplate *
compile_template(AslCompiler *compiler, const AslTree *value)
{
	MemoryContext old = MemoryContextSwitchTo(compiler->temporary);
	Jsonb	   *source = asl_tree_to_jsonb(value);
	List	   *problems = NIL;
	AslTemplate *template;
	ListCell   *cell;

	MemoryContextSwitchTo(old);
	if (asl_findings_full(compiler->findings))
		return NULL;
	template = asl_template_compile(source, asl_tree_path(value), &problems);
	foreach(cell, problems)
	{
		AslProblem *problem = lfirst(cell);

		asl_add_finding(&compiler->findings, asl_tree_resolve(compiler->root, problem->path)->position,
						problem->path, problem->problem);
	}
	return template;
}

void
asl_read_template(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_OBJECT))
		*(AslTemplate **) target = compile_template(compiler, value);
}

/* The specification wants an object; the service takes an array as well. */
void
asl_read_parameters(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (value->type == ASL_TREE_ARRAY || asl_expect(compiler, value, ASL_TREE_OBJECT))
		*(AslTemplate **) target = compile_template(compiler, value);
}

/* The variable that a field of Assign sets: its name, less ".$". */
static char *
assigned_name(AslCompiler *compiler, const AslTree *field)
{
	int			length = strlen(field->key);
	char	   *name;

	if (length > 2 && strcmp(field->key + length - 2, ".$") == 0)
		length -= 2;
	name = pnstrdup(field->key, length);
	if (pg_mbstrlen(name) > MAX_VARIABLE_NAME)
		asl_problem(compiler, field, "name of a variable is longer than %d characters", MAX_VARIABLE_NAME);
	else if (!asl_is_variable_name(name, length))
		asl_problem(compiler, field, "\"%s\" is not a name for a variable", name);
	else if (strcmp(name, "states") == 0)
		asl_problem(compiler, field, "the variable \"states\" is reserved");
	return name;
}

void
asl_read_assign(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_template(compiler, value, target);
	if (value->type != ASL_TREE_OBJECT)
		return;
	for (int i = 0; i < value->nchildren; i++)
	{
		AslAssignment *assignment = palloc(sizeof(AslAssignment));

		assignment->name = assigned_name(compiler, value->children[i]);
		assignment->scope = compiler->scope->scope;
		assignment->where = value->children[i];
		compiler->assignments = lappend(compiler->assignments, assignment);
	}
}

/* ---- timestamps ---- */

void
asl_read_instant(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslInstantField *field = target;

	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return;
	field->given = true;
	if (!asl_instant_parse(value->text, value->length, &field->value))
		asl_problem(compiler, value, "must be a timestamp such as \"2016-03-14T01:59:00Z\"");
}

void
asl_read_instant_path(AslCompiler *compiler, const AslTree *value, void *target)
{
	((AslInstantField *) target)->path = read_path(compiler, value, true);
}
