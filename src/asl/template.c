/*-------------------------------------------------------------------------
 *
 * template.c
 *	  Payload templates: JSON in which the fields named "....$" hold expressions.
 *
 * Compiled, a template is a tree in which every part without expressions is one
 * constant; a template without any is copied as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "asl/json_tree.h"
#include "asl/template.h"
#include "asl/value.h"

typedef enum TemplateKind
{
	TEMPLATE_CONSTANT, TEMPLATE_OBJECT, TEMPLATE_ARRAY, TEMPLATE_EXPR
} TemplateKind;

struct AslTemplate
{
	TemplateKind kind;
	JsonbValue	constant;
	AslExpr    *expr;
	char	   *field;			/* TEMPLATE_EXPR: its name with ".$", for causes */
	int			count;			/* TEMPLATE_OBJECT, TEMPLATE_ARRAY */
	JsonbValue *keys;			/* without ".$" */
	AslTemplate **members;
};

/* Where the compiler is; made text only for a problem. */
typedef struct Place
{
	const struct Place *parent;
	const char *name;			/* of a field, or of the outermost place: its path; NULL: an element */
	int			index;
} Place;

static AslTemplate *compile(const JsonbValue *source, const Place *place, List **problems);


static char *
place_text(const Place *place)
{
	List	   *places = NIL;
	ListCell   *cell;
	StringInfoData text;

	for (; place; place = place->parent)
		places = lcons(unconstify(Place *, place), places);
	initStringInfo(&text);
	foreach(cell, places)
	{
		if (text.len > ASL_MAX_PATH)
			break;
		place = lfirst(cell);
		if (place->name == NULL)
			appendStringInfo(&text, "[%d]", place->index);
		else if (place->parent)
			asl_append_path_key(&text, place->name);
		else
			appendStringInfoString(&text, place->name);
	}
	return asl_shorten_path(text.data);
}

static void
add_problem(List **problems, const Place *place, char *text)
{
	AslProblem *problem;

	if (list_length(*problems) >= ASL_MAX_PROBLEMS)
		return;
	problem = palloc(sizeof(AslProblem));
	problem->path = place_text(place);
	problem->problem = text;
	*problems = lappend(*problems, problem);
}

static AslTemplate *
make_template(TemplateKind kind, int count)
{
	AslTemplate *template = palloc0(sizeof(AslTemplate));

	template->kind = kind;
	template->count = count;
	if (count > 0)
	{
		template->keys = palloc0(count * sizeof(JsonbValue));
		template->members = palloc0(count * sizeof(AslTemplate *));
	}
	return template;
}

static bool
is_expression_key(const JsonbValue *key)
{
	int			length = key->val.string.len;

	return length >= 2 && memcmp(key->val.string.val + length - 2, ".$", 2) == 0;
}

static AslTemplate *
compile_expression(const JsonbValue *value, const char *field, const Place *place, List **problems)
{
	AslTemplate *template = make_template(TEMPLATE_EXPR, 0);
	char	   *problem = NULL;

	template->field = pstrdup(field);
	if (value->type == jbvString)
		template->expr = asl_expr_parse(pnstrdup(value->val.string.val, value->val.string.len), &problem);
	if (template->expr == NULL)
		add_problem(problems, place,
					psprintf("The value for the field '%s' must be a valid JSONPath or intrinsic function call%s%s",
							 field, problem ? ": " : "", problem ? problem : ""));
	return template;
}

static bool
all_constant(const AslTemplate *template)
{
	for (int i = 0; i < template->count; i++)
	{
		if (template->members[i]->kind != TEMPLATE_CONSTANT)
			return false;
	}
	return true;
}

static AslTemplate *
compile_object(const JsonbValue *source, const Place *place, List **problems)
{
	AslTemplate *template = make_template(TEMPLATE_OBJECT, asl_value_count(source));
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	JsonbValue	other;

	for (asl_each_init(&each, source); asl_each_next(&each, &key, &member);)
	{
		int			i = each.index - 1;
		char	   *field = pnstrdup(key.val.string.val, key.val.string.len);
		Place		inside = {place, field, 0};

		CHECK_FOR_INTERRUPTS();
		template->keys[i] = asl_value_text(field, key.val.string.len);
		if (!is_expression_key(&key))
		{
			template->members[i] = compile(&member, &inside, problems);
			continue;
		}
		template->keys[i].val.string.len -= 2;
		template->members[i] = compile_expression(&member, field, &inside, problems);
		if (asl_value_field(source, key.val.string.val, key.val.string.len - 2, &other))
			add_problem(problems, &inside, psprintf("The field '%s' would appear twice once '.$' is stripped from '%s'",
												 pnstrdup(field, key.val.string.len - 2), field));
	}
	return template;
}

static AslTemplate *
compile_array(const JsonbValue *source, const Place *place, List **problems)
{
	AslTemplate *template = make_template(TEMPLATE_ARRAY, asl_value_count(source));
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	for (asl_each_init(&each, source); asl_each_next(&each, &key, &member);)
	{
		Place		inside = {place, NULL, each.index - 1};

		CHECK_FOR_INTERRUPTS();
		template->members[inside.index] = compile(&member, &inside, problems);
	}
	return template;
}

/* The source's constants are still parts of the source. */
static AslTemplate *
compile(const JsonbValue *source, const Place *place, List **problems)
{
	AslTemplate *template = make_template(TEMPLATE_CONSTANT, 0);

	if (stack_is_too_deep())
		add_problem(problems, place, pstrdup("The template is nested too deeply"));
	else if (asl_value_is_object(source))
		template = compile_object(source, place, problems);
	else if (asl_value_is_array(source))
		template = compile_array(source, place, problems);

	if (all_constant(template) && template->kind != TEMPLATE_EXPR)
	{
		template->kind = TEMPLATE_CONSTANT;
		template->count = 0;
		template->constant = *source;
	}
	return template;
}

AslTemplate *
asl_template_compile(Jsonb *source, const char *json_path, List **problems)
{
	int			known = list_length(*problems);
	Jsonb	   *copy = palloc(VARSIZE(source));
	Place		outermost = {NULL, json_path, 0};
	AslTemplate *template;
	JsonbValue	value;

	memcpy(copy, source, VARSIZE(source));
	value = asl_value_of(copy);
	template = compile(&value, &outermost, problems);
	return list_length(*problems) == known ? template : NULL;
}

static bool
is_path(const AslTemplate *template, const char *text)
{
	const AslPath *path = template->kind == TEMPLATE_EXPR ? asl_expr_path(template->expr) : NULL;

	return path != NULL && strcmp(asl_path_text(path), text) == 0;
}

AslTemplate *
asl_template_take(AslTemplate *template, const char *path)
{
	AslTemplate *taken;
	int			left = 0;

	if (template->kind != TEMPLATE_OBJECT)
		return NULL;
	taken = make_template(TEMPLATE_OBJECT, template->count);
	taken->count = 0;
	for (int i = 0; i < template->count; i++)
	{
		AslTemplate *to = is_path(template->members[i], path) ? taken : template;
		int			place = to == taken ? taken->count++ : left++;

		to->keys[place] = template->keys[i];
		to->members[place] = template->members[i];
	}
	template->count = left;
	return taken->count > 0 ? taken : NULL;
}


/* ---- evaluation ---- */

static bool
eval(const AslTemplate *template, Jsonb *input, const AslEnv *env, JsonbValue *result, AslError *error)
{
	JsonbValue	member;

	CHECK_FOR_INTERRUPTS();
	if (stack_is_too_deep())
		return asl_error(error, ASL_ERROR_RUNTIME, "The template is nested too deeply");
	switch (template->kind)
	{
		case TEMPLATE_CONSTANT:
			*result = template->constant;
			return true;
		case TEMPLATE_EXPR:
			return asl_expr_eval_value(template->expr, template->field, input, env, result, error);
		case TEMPLATE_OBJECT:
			*result = asl_value_empty_object();
			break;
		case TEMPLATE_ARRAY:
			*result = asl_value_empty_array();
			break;
	}
	for (int i = 0; i < template->count; i++)
	{
		if (!eval(template->members[i], input, env, &member, error))
			return false;
		if (template->kind == TEMPLATE_ARRAY)
			asl_array_append(result, &member);
		else
			asl_object_add(result, template->keys[i].val.string.val, template->keys[i].val.string.len, &member);
	}
	return true;
}

bool
asl_template_eval(const AslTemplate *template, Jsonb *input, const AslEnv *env,
				  Jsonb **result, AslError *error)
{
	JsonbValue	value;

	return eval(template, input, env, &value, error) && asl_value_build(&value, result, error);
}
