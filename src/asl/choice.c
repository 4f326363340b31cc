/*-------------------------------------------------------------------------
 *
 * choice.c
 *	  Choice states: compiling their rules, and choosing.
 *
 * A rule is either a combination of rules (And, Or, Not) or a test of what its
 * Variable selects.  Values of another type than the test is for make it false,
 * never an error; a Variable that selects nothing is an error, except for
 * IsPresent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/compile.h"
#include "asl/value.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

/* ---- compiling ---- */

typedef struct Operator
{
	const char *name;
	AslRuleKind kind;
	AslOperand	operand;
	AslComparison comparison;
	bool		by_path;
} Operator;

#define COMPARE(type, operand, suffix, comparison) \
	{type suffix, ASL_RULE_COMPARE, operand, comparison, false}, \
	{type suffix "Path", ASL_RULE_COMPARE, operand, comparison, true}
#define COMPARE_ORDERED(type, operand) \
	COMPARE(type, operand, "Equals", ASL_EQUAL), \
	COMPARE(type, operand, "LessThan", ASL_LESS), \
	COMPARE(type, operand, "GreaterThan", ASL_GREATER), \
	COMPARE(type, operand, "LessThanEquals", ASL_LESS_EQUAL), \
	COMPARE(type, operand, "GreaterThanEquals", ASL_GREATER_EQUAL)

static const Operator operators[] = {
	COMPARE_ORDERED("String", ASL_OPERAND_STRING),
	COMPARE_ORDERED("Numeric", ASL_OPERAND_NUMERIC),
	COMPARE_ORDERED("Timestamp", ASL_OPERAND_TIMESTAMP),
	COMPARE("Boolean", ASL_OPERAND_BOOLEAN, "Equals", ASL_EQUAL),
	{"StringMatches", ASL_RULE_MATCHES},
	{"IsPresent", ASL_RULE_IS_PRESENT},
	{"IsNull", ASL_RULE_IS_NULL},
	{"IsNumeric", ASL_RULE_IS_NUMERIC},
	{"IsString", ASL_RULE_IS_STRING},
	{"IsBoolean", ASL_RULE_IS_BOOLEAN},
	{"IsTimestamp", ASL_RULE_IS_TIMESTAMP},
	{"And", ASL_RULE_AND},
	{"Or", ASL_RULE_OR},
	{"Not", ASL_RULE_NOT},
};

static const Operator *
find_operator(const char *name)
{
	for (int i = 0; i < lengthof(operators); i++)
	{
		if (strcmp(operators[i].name, name) == 0)
			return &operators[i];
	}
	return NULL;
}

static AslRule *compile_rule(AslCompiler *compiler, const AslTree *tree, AslChoice *choice);

/* And, Or: an array of rules; Not: a rule. */
static void
compile_operands(AslCompiler *compiler, const AslTree *value, AslRule *rule)
{
	if (rule->kind == ASL_RULE_NOT)
	{
		rule->nrules = 1;
		rule->rules = palloc(sizeof(AslRule *));
		rule->rules[0] = compile_rule(compiler, value, NULL);
		return;
	}
	if (!asl_expect(compiler, value, ASL_TREE_ARRAY))
		return;
	if (value->nchildren == 0)
		asl_problem(compiler, value, "must not be empty");
	rule->nrules = value->nchildren;
	rule->rules = palloc(Max(1, rule->nrules) * sizeof(AslRule *));
	for (int i = 0; i < rule->nrules; i++)
		rule->rules[i] = compile_rule(compiler, value->children[i], NULL);
}

/* The constant to compare with. */
static void
compile_constant(AslCompiler *compiler, const AslTree *value, AslRule *rule)
{
	Jsonb	   *jsonb;

	switch (rule->operand)
	{
		case ASL_OPERAND_STRING:
			if (!asl_expect(compiler, value, ASL_TREE_STRING))
				return;
			break;
		case ASL_OPERAND_NUMERIC:
			if (!asl_expect(compiler, value, ASL_TREE_NUMBER))
				return;
			break;
		case ASL_OPERAND_BOOLEAN:
			if (!asl_expect(compiler, value, ASL_TREE_BOOLEAN))
				return;
			break;
		case ASL_OPERAND_TIMESTAMP:
			{
				AslInstantField field = {0};

				asl_read_instant(compiler, value, &field);
				rule->instant = field.value;
				return;
			}
	}
	asl_read_constant(compiler, value, &jsonb);
	rule->constant = asl_value_of(jsonb);
}

static void
compile_operator(AslCompiler *compiler, const AslTree *value, const Operator *operator, AslRule *rule)
{
	rule->kind = operator->kind;
	rule->operand = operator->operand;
	rule->comparison = operator->comparison;
	rule->field = operator->name;
	switch (operator->kind)
	{
		case ASL_RULE_AND:
		case ASL_RULE_OR:
		case ASL_RULE_NOT:
			compile_operands(compiler, value, rule);
			break;
		case ASL_RULE_COMPARE:
			if (operator->by_path)
				asl_read_path(compiler, value, &rule->path);
			else
				compile_constant(compiler, value, rule);
			break;
		case ASL_RULE_MATCHES:
			if (asl_expect(compiler, value, ASL_TREE_STRING))
				rule->pattern = asl_pattern_compile(value->text, value->length);
			break;
		default:
			asl_read_boolean(compiler, value, &rule->expected);
			break;
	}
}

/* A rule of the array Choices (choice says where its Next and Assign go), or one inside of another (choice NULL). */
static AslRule *
compile_rule(AslCompiler *compiler, const AslTree *tree, AslChoice *choice)
{
	AslRule    *rule = palloc0(sizeof(AslRule));
	int			noperators = 0;

	check_stack_depth();
	if (!asl_expect(compiler, tree, ASL_TREE_OBJECT))
		return rule;
	for (int i = 0; i < tree->nchildren; i++)
	{
		const AslTree *value = tree->children[i];
		const Operator *operator = find_operator(value->key);

		if (operator != NULL)
		{
			if (++noperators > 1)
				asl_problem(compiler, value, "a rule can have only one operator, and this one has \"%s\" already",
							rule->field);
			else
				compile_operator(compiler, value, operator, rule);
		}
		else if (strcmp(value->key, "Variable") == 0)
			asl_read_path(compiler, value, &rule->variable);
		else if (strcmp(value->key, "Comment") == 0)
			asl_read_ignored_text(compiler, value, NULL);
		else if (strcmp(value->key, "Next") == 0 && choice != NULL)
			asl_read_next(compiler, value, &choice->next);
		else if (strcmp(value->key, "Assign") == 0 && choice != NULL)
			asl_read_assign(compiler, value, &choice->assign);
		else if (strcmp(value->key, "Next") == 0 || strcmp(value->key, "Assign") == 0)
			asl_problem(compiler, value, "not allowed in a rule inside of a rule");
		else if (strcmp(value->key, "Condition") == 0)
		{
			asl_problem(compiler, value, "only allowed with the query language JSONata");
			rule->field = value->key;
			noperators++;
		}
		else
			asl_problem(compiler, value, "unknown field of a choice rule");
	}
	if (noperators == 0)
		asl_problem(compiler, tree, "a choice rule needs an operator");
	else if (rule->kind <= ASL_RULE_NOT && asl_tree_field(tree, "Variable") != NULL)
		asl_problem(compiler, asl_tree_field(tree, "Variable"), "not allowed together with \"%s\"", rule->field);
	else if (rule->kind > ASL_RULE_NOT && asl_tree_field(tree, "Variable") == NULL)
		asl_problem(compiler, tree, "field \"Variable\" is missing");
	if (choice != NULL && asl_tree_field(tree, "Next") == NULL)
		asl_problem(compiler, tree, "field \"Next\" is missing");
	return rule;
}

void
asl_read_choices(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslStateBody *body = target;

	if (!asl_expect(compiler, value, ASL_TREE_ARRAY))
		return;
	if (value->nchildren == 0)
		asl_problem(compiler, value, "must not be empty");
	body->nchoices = value->nchildren;
	body->choices = palloc0(Max(1, value->nchildren) * sizeof(AslChoice));
	for (int i = 0; i < value->nchildren; i++)
	{
		body->choices[i].next = ASL_END;
		body->choices[i].rule = compile_rule(compiler, value->children[i], &body->choices[i]);
	}
}

/* ---- choosing ---- */

static bool
value_is_instant(const JsonbValue *value, AslInstant *instant)
{
	return value->type == jbvString &&
		asl_instant_parse(value->val.string.val, value->val.string.len, instant);
}

static int
compare_strings(const JsonbValue *a, const JsonbValue *b)
{
	int			shorter = Min(a->val.string.len, b->val.string.len);
	int			result = memcmp(a->val.string.val, b->val.string.val, shorter);

	return result != 0 ? result : a->val.string.len - b->val.string.len;
}

/* Compare a with b, or with instant where timestamps are compared; false if one has another type. */
static bool
compare_values(const AslRule *rule, const JsonbValue *a, const JsonbValue *b, int *result)
{
	switch (rule->operand)
	{
		case ASL_OPERAND_STRING:
			if (a->type != jbvString || b->type != jbvString)
				return false;
			*result = compare_strings(a, b);
			return true;
		case ASL_OPERAND_NUMERIC:
			if (a->type != jbvNumeric || b->type != jbvNumeric)
				return false;
			*result = DatumGetInt32(DirectFunctionCall2(numeric_cmp, NumericGetDatum(a->val.numeric),
														 NumericGetDatum(b->val.numeric)));
			return true;
		case ASL_OPERAND_BOOLEAN:
			if (a->type != jbvBool || b->type != jbvBool)
				return false;
			*result = (int) a->val.boolean - (int) b->val.boolean;
			return true;
		case ASL_OPERAND_TIMESTAMP:
			{
				AslInstant	left;
				AslInstant	right = rule->instant;

				if (!value_is_instant(a, &left) || (rule->path != NULL && !value_is_instant(b, &right)))
					return false;
				*result = asl_instant_compare(&left, &right);
				return true;
			}
	}
	elog(ERROR, "unrecognized operand of a choice rule: %d", (int) rule->operand);
}

static bool
comparison_holds(AslComparison comparison, int result)
{
	switch (comparison)
	{
		case ASL_EQUAL:
			return result == 0;
		case ASL_LESS:
			return result < 0;
		case ASL_GREATER:
			return result > 0;
		case ASL_LESS_EQUAL:
			return result <= 0;
		case ASL_GREATER_EQUAL:
			return result >= 0;
	}
	elog(ERROR, "unrecognized comparison of a choice rule: %d", (int) comparison);
}

/* An indefinite path always yields an array; it has found something if that is not empty. */
static bool
is_present(const AslRule *rule, bool found, const JsonbValue *value)
{
	return found && (asl_path_is_definite(rule->variable) || asl_value_count(value) > 0);
}

static bool
test_value(const AslRule *rule, const JsonbValue *value, Jsonb *input, const AslEnv *env,
		   bool *holds, AslError *error)
{
	AslInstant	instant;
	JsonbValue	other = rule->constant;
	int			result;

	switch (rule->kind)
	{
		case ASL_RULE_COMPARE:
			if (rule->path != NULL && !asl_path_require_value(rule->path, rule->field, input, env, &other, error))
				return false;
			*holds = compare_values(rule, value, &other, &result) && comparison_holds(rule->comparison, result);
			return true;
		case ASL_RULE_MATCHES:
			if (rule->pattern == NULL)
				return asl_error(error, ASL_ERROR_RUNTIME, "the pattern of StringMatches has an open escape");
			*holds = value->type == jbvString &&
				asl_pattern_matches(rule->pattern, value->val.string.val, value->val.string.len);
			return true;
		case ASL_RULE_IS_NULL:
			*holds = (value->type == jbvNull) == rule->expected;
			return true;
		case ASL_RULE_IS_NUMERIC:
			*holds = (value->type == jbvNumeric) == rule->expected;
			return true;
		case ASL_RULE_IS_STRING:
			*holds = (value->type == jbvString) == rule->expected;
			return true;
		case ASL_RULE_IS_BOOLEAN:
			*holds = (value->type == jbvBool) == rule->expected;
			return true;
		case ASL_RULE_IS_TIMESTAMP:
			*holds = value_is_instant(value, &instant) == rule->expected;
			return true;
		default:
			elog(ERROR, "unrecognized choice rule: %d", (int) rule->kind);
	}
}

static bool
rule_holds(const AslRule *rule, Jsonb *input, const AslEnv *env, bool *holds, AslError *error)
{
	JsonbValue	value;
	bool		found;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	switch (rule->kind)
	{
		case ASL_RULE_AND:
		case ASL_RULE_OR:
			*holds = (rule->kind == ASL_RULE_AND);
			for (int i = 0; i < rule->nrules && *holds == (rule->kind == ASL_RULE_AND); i++)
			{
				if (!rule_holds(rule->rules[i], input, env, holds, error))
					return false;
			}
			return true;
		case ASL_RULE_NOT:
			if (!rule_holds(rule->rules[0], input, env, holds, error))
				return false;
			*holds = !*holds;
			return true;
		default:
			if (!asl_path_find(rule->variable, input, env, &value, &found, error))
				return false;
			if (rule->kind == ASL_RULE_IS_PRESENT)
			{
				*holds = is_present(rule, found, &value) == rule->expected;
				return true;
			}
			if (!found)
				return asl_error(error, ASL_ERROR_RUNTIME,
								 "Invalid path '%s': The choice state's condition path references an invalid value.",
								 asl_path_text(rule->variable));
			return test_value(rule, &value, input, env, holds, error);
	}
}

bool
asl_choose(const AslState *state, Jsonb *input, const AslEnv *env,
		   int *next, Jsonb **output, Jsonb **variables, AslError *error)
{
	const AslStateBody *body = state->body;
	const AslTemplate *assign = body->assign;
	Jsonb	   *effective;

	if (!asl_filter_input(state, input, env, &effective, error))
		return false;
	*next = body->default_next;
	for (int i = 0; i < body->nchoices; i++)
	{
		bool		holds;

		if (!rule_holds(body->choices[i].rule, effective, env, &holds, error))
			return false;
		if (holds)
		{
			*next = body->choices[i].next;
			assign = body->choices[i].assign;
			break;
		}
	}
	if (*next == ASL_END)
		return asl_error(error, ASL_ERROR_NO_CHOICE,
						 "no choice rule of the state '%s' matched, and it has no Default", state->name);
	return asl_assign(assign, effective, env, variables, error) &&
		asl_filter_output(state, effective, env, output, error);
}
