/*-------------------------------------------------------------------------
 *
 * targets.c
 *	  What is done with a case, and what must hold then.
 *
 *	  definition	a definition is compiled
 *	  state			the states of a definition are run over data
 *	  path, expression, template
 *					compiled, and evaluated over data
 *	  text			what reads strings of the data: JSON text, timestamps, patterns
 *
 * No ERROR may come out (the driver sees to that).  Whatever jsonb comes out must
 * be, byte for byte, what the server makes of its text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "datatype/timestamp.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "asl/asl.h"
#include "asl/machine.h"
#include "asl/path.h"
#include "asl/template.h"
#include "asl/value.h"

#include "fuzz.h"

/* A problem's path may be as long as that of a place (json_tree.h). */
#define MAX_PATH_LENGTH 4096

/* Of the states, items and attempts of one case, so many are looked at. */
#define MAX_LOOKED_AT 24

/* Documents larger than this are not compared with what the server builds, which takes much memory. */
#define MAX_COMPARED 500000

/* The data of a case. */
typedef struct Data
{
	Jsonb	   *input;
	Jsonb	   *context;
	Jsonb	   *other;			/* a result, a value to be put somewhere */
	bool		again;			/* it is run a second time */
	AslEnv		env;
} Data;

void
fuzz_breach(const char *format,...)
{
	char		message[500];
	va_list		args;

	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	ereport(ERROR, (errcode(FUZZ_BREACH), errmsg_internal("%s", message)));
}

/* ---- data ---- */

/* NULL: the server refuses the text. */
static Jsonb *
server_jsonb(char *text, bool *too_deep)
{
	MemoryContext cxt = CurrentMemoryContext;
	Jsonb	   *volatile result = NULL;

	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	}
	PG_CATCH();
	{
		int			code = geterrcode();

		if (code == ERRCODE_QUERY_CANCELED || code == FUZZ_BREACH)
			PG_RE_THROW();
		if (too_deep)
			*too_deep = code == ERRCODE_STATEMENT_TOO_COMPLEX;
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	return result;
}

static char *
printed(const FuzzJson *value)
{
	StringInfoData text;

	initStringInfo(&text);
	fuzz_json_print(&text, value);
	return text.data;
}

/* A field of the case as a document; without it, the default.  NULL: it is no jsonb. */
static Jsonb *
document_field(const FuzzJson *value, const char *key, char *without)
{
	const FuzzJson *field = fuzz_json_field(value, key);

	return server_jsonb(field ? printed(field) : without, NULL);
}

/* A field of the case that is a string, without its escapes; NULL: it is none. */
static char *
string_field(const FuzzJson *value, const char *key)
{
	Jsonb	   *document = document_field(value, key, "null");
	JsonbValue	string;

	if (document == NULL)
		return NULL;
	string = asl_value_of(document);
	return string.type == jbvString ? pnstrdup(string.val.string.val, string.val.string.len) : NULL;
}

/* An object that has no other field than one, or all of the document. */
static Jsonb *
only_field(Jsonb *document, const char *key)
{
	JsonbValue	value = asl_value_of(document);
	JsonbValue	object = asl_value_empty_object();
	JsonbValue	field;
	AslError	error;

	if (!asl_value_is_object(&value))
		return document;
	if (asl_value_field(&value, key, strlen(key), &field))
		asl_object_add(&object, key, strlen(key), &field);
	return asl_value_build(&object, &document, &error) ? document : NULL;
}

/* The second time there is only what was asked for, which must make no difference. */
static Jsonb *
given_context(void *arg, const char *part, const char *member)
{
	const Data *data = arg;
	JsonbValue	context = asl_value_of(data->context);
	JsonbValue	object = asl_value_empty_object();
	JsonbValue	field;
	AslError	error;
	Jsonb	   *inner;

	if (!data->again || part == NULL)
		return data->context;
	if (member == NULL || !asl_value_field(&context, part, strlen(part), &field))
		return only_field(data->context, part);
	if (!asl_value_build(&field, &inner, &error))
		return data->context;
	field = asl_value_of(only_field(inner, member));
	asl_object_add(&object, part, strlen(part), &field);
	return asl_value_build(&object, &inner, &error) ? inner : data->context;
}

static bool
read_data(const FuzzJson *value, bool again, Data *data)
{
	Jsonb	   *limit = document_field(value, "limit", "0");
	JsonbValue	number;

	memset(data, 0, sizeof(*data));
	data->again = again;
	data->input = document_field(value, "input", "{}");
	data->context = document_field(value, "context", "{}");
	data->other = document_field(value, "other", "1");
	data->env.variables = document_field(value, "variables", "{}");
	if (!data->input || !data->context || !data->other || !data->env.variables || !limit ||
		!JB_ROOT_IS_OBJECT(data->env.variables) || !JB_ROOT_IS_OBJECT(data->context))
		return false;
	if (JB_ROOT_COUNT(data->env.variables) == 0)
		data->env.variables = NULL;
	data->env.context = given_context;
	data->env.context_arg = data;
	number = asl_value_of(limit);
	if (!asl_value_to_int64(&number, &data->env.data_limit))
		data->env.data_limit = 0;
	return true;
}

/* ---- what came out ---- */

static bool
same_document(const Jsonb *a, const Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

static void
note_document(StringInfo outcome, const char *what, Jsonb *document)
{
	char	   *text;
	char	   *compact;
	int			length;
	Jsonb	   *again;
	bool		too_deep = false;
	JsonbValue	value;
	AslError	error;
	char	   *problem;

	if (VARSIZE(document) < VARHDRSZ + sizeof(uint32))
		fuzz_breach("%s is no document", what);
	if (VARSIZE(document) > MAX_COMPARED)
	{
		appendStringInfo(outcome, "%s: " INT64_FORMAT " bytes\n", what, asl_compact_size(document));
		return;
	}
	text = JsonbToCString(NULL, &document->root, VARSIZE(document));
	again = server_jsonb(text, &too_deep);
	if (again == NULL ? !too_deep : !same_document(document, again))
		fuzz_breach("%s is not as the server would build it", what);

	compact = asl_compact_text(document, &length);
	fuzz_check(length == (int) strlen(compact));
	fuzz_check(asl_compact_size(document) == length);
	if (asl_value_parse(compact, length, &value, &problem) && asl_value_build(&value, &again, &error))
	{
		if (!same_document(document, again))
			fuzz_breach("%s is not what its compact text says", what);
	}
	else if (strlen(asl_compact_excerpt(document, 50)) > 53)
		fuzz_breach("an excerpt of %s is too long", what);
	appendStringInfo(outcome, "%s: %s\n", what, compact);
}

static void
check_text(const char *what, const char *text)
{
	if (!pg_verifymbstr(text, strlen(text), true))
		fuzz_breach("%s is not valid text", what);
}

static void
note_error(StringInfo outcome, const char *what, const AslError *error)
{
	fuzz_check(error->name != NULL && error->cause != NULL);
	check_text("an error's name", error->name);
	check_text("an error's cause", error->cause);
	appendStringInfo(outcome, "%s: %s: %s\n", what, error->name, error->cause);
}

static void
note(StringInfo outcome, const char *what, bool done, Jsonb *document, const AslError *error)
{
	if (done)
		note_document(outcome, what, document);
	else
		note_error(outcome, what, error);
}

static void
check_problem(const char *problem)
{
	fuzz_check(problem != NULL && *problem != '\0');
	check_text("a problem", problem);
}

static void
note_problems(StringInfo outcome, const List *problems)
{
	ListCell   *cell;

	fuzz_check(list_length(problems) <= ASL_MAX_PROBLEMS);
	foreach(cell, problems)
	{
		const AslProblem *problem = lfirst(cell);

		fuzz_check(problem->path != NULL && problem->path[0] == '/' && strlen(problem->path) <= MAX_PATH_LENGTH);
		check_text("a problem's path", problem->path);
		check_problem(problem->problem);
		appendStringInfo(outcome, "problem: %s: %s\n", problem->path, problem->problem);
	}
}

/* ---- definition ---- */

static AslMachine *
compile(const FuzzJson *definition, StringInfo outcome)
{
	char	   *text = printed(definition);
	int			length = strlen(text);
	char	   *exact = memcpy(palloc(Max(length, 1)), text, length);	/* nothing behind its end */
	List	   *problems = NIL;
	AslMachine *machine = asl_compile(exact, length, CurrentMemoryContext, &problems);

	fuzz_check((machine == NULL) == (problems != NIL));
	note_problems(outcome, problems);
	memset(exact, 'x', length);	/* nor does the machine refer to it */
	return machine;
}

static int
check_scope(const AslScope *scope, const AslState *owner)
{
	int			count = scope->nstates;

	fuzz_check(scope->owner == owner);
	fuzz_check(scope->start_at >= 0 && scope->start_at < scope->nstates);
	for (int i = 0; i < scope->nstates; i++)
	{
		const AslState *state = &scope->states[i];

		fuzz_check(state->scope == scope);
		fuzz_check(asl_find_state(scope->machine, state->name) == state);
		fuzz_check(state->next >= ASL_END && state->next < scope->nstates);
		fuzz_check((state->type == ASL_TASK) == (state->resource != NULL));
		fuzz_check(state->nscopes == 0 || state->type == ASL_PARALLEL || state->type == ASL_MAP);
		if (state->compensation)
		{
			fuzz_check(state->type == ASL_TASK && state->compensation->type == ASL_TASK);
			fuzz_check(asl_find_state(scope->machine, state->compensation->name) == state->compensation);
			count++;
		}
		for (int j = 0; j < state->nscopes; j++)
			count += check_scope(state->scopes[j], state);
	}
	return count;
}

static bool
run_definition(const FuzzJson *value, bool again, StringInfo outcome)
{
	AslMachine *machine = compile(value, outcome);

	if (machine)
	{
		fuzz_check(check_scope(&machine->root, NULL) == machine->nstates);
		MemoryContextDelete(machine->cxt);
	}
	return true;
}

/* ---- state ---- */

static void
note_next(StringInfo outcome, const AslState *state, int next)
{
	fuzz_check(next >= ASL_END && next < state->scope->nstates);
	appendStringInfo(outcome, "next: %d\n", next);
}

static void
run_input_output(const AslState *state, const Data *data, StringInfo outcome)
{
	AslTrace	trace = {0};
	AslError	error;
	Jsonb	   *effective;
	Jsonb	   *output;
	Jsonb	   *variables;
	Jsonb	   *result = data->other;
	bool		done = asl_effective_input(state, data->input, &data->env, &effective, &trace, &error);

	note(outcome, "effective input", done, effective, &error);
	if (!done)
		return;
	note_document(outcome, "after InputPath", trace.after_input_path);
	if (state->type == ASL_PASS)
		result = asl_pass_result(state, effective);
	done = asl_output(state, data->input, result, &data->env, &output, &variables, &trace, &error);
	note(outcome, "output", done, output, &error);
	if (done && variables)
		note_document(outcome, "variables", variables);
	if (done)
		note_document(outcome, "after ResultPath", trace.after_result_path);
}

static void
run_retry_catch(const AslState *state, const Data *data, AslError failure, StringInfo outcome)
{
	int16	   *counts = palloc0(Max(state->nretriers, 1) * sizeof(int16));
	AslError	error;
	double		delay;
	bool		caught;
	bool		done;
	int			next;
	Jsonb	   *output;
	Jsonb	   *variables;

	for (int i = 0; i < MAX_LOOKED_AT && asl_retry(state, &failure, counts, &delay); i++)
	{
		fuzz_check(delay >= 0 && delay <= 99999999);
		appendStringInfo(outcome, "delay: %g\n", delay);
		if (i == MAX_LOOKED_AT / 2)
			memset(counts, 0x7f, state->nretriers * sizeof(int16));
	}
	done = asl_catch(state, data->input, &failure, &data->env, &caught, &next, &output, &variables, &error);
	if (!caught)
	{
		fuzz_check(done);
		return;
	}
	note(outcome, "caught", done, output, &error);
	note_next(outcome, state, next);
	if (done && variables)
		note_document(outcome, "variables", variables);
}

static void
run_map(const AslState *state, const Data *data, StringInfo outcome)
{
	AslMapPlan	plan;
	AslError	error;
	Jsonb	   *arguments;
	Jsonb	   *read = JB_ROOT_IS_ARRAY(data->other) && !JB_ROOT_IS_SCALAR(data->other) ? data->other : NULL;
	double		max_items;
	bool		done = asl_map_plan(state, data->input, state->item_reader ? read : NULL, &data->env, &plan, &error);
	JsonbValue	items;

	note(outcome, "items", done, plan.items, &error);
	if (done)
	{
		items = asl_value_of(plan.items);
		fuzz_check(asl_value_is_array(&items) && asl_value_count(&items) == plan.nitems);
		fuzz_check(plan.max_concurrency >= 0 && plan.tolerated_count >= 0);
		fuzz_check(plan.tolerated_percentage >= 0 && plan.tolerated_percentage <= 100);
		for (int i = 0; i < Min(plan.nitems, MAX_LOOKED_AT); i++)
		{
			JsonbValue	value;
			Jsonb	   *item;
			Jsonb	   *item_input;

			fuzz_check(asl_value_element(&items, i, &value));
			if (!asl_value_build(&value, &item, &error))
				break;
			done = asl_map_item_input(state, data->input, item, &data->env, &item_input, &error);
			note(outcome, "item's input", done, item_input, &error);
		}
	}
	done = asl_reader_arguments(state, data->input, &data->env, &arguments, &max_items, &error);
	if (!done || arguments)
		note(outcome, "reader's arguments", done, arguments, &error);
	fuzz_check(!done || max_items >= 0);
	done = asl_writer_arguments(state, data->input, &data->env, &arguments, &error);
	if (!done || arguments)
		note(outcome, "writer's arguments", done, arguments, &error);
}

static void
run_choice(const AslState *state, const Data *data, StringInfo outcome)
{
	AslError	error;
	Jsonb	   *output;
	Jsonb	   *variables;
	int			next;
	bool		done = asl_choose(state, data->input, &data->env, &next, &output, &variables, &error);

	note(outcome, "chosen", done, output, &error);
	if (!done)
		return;
	note_next(outcome, state, next);
	if (variables)
		note_document(outcome, "variables", variables);
}

static void
run_task_extensions(const AslState *state, const Data *data, StringInfo outcome)
{
	AslError	error;
	AslTaskLimits limits;
	char	   *workflow_id;
	Jsonb	   *input;
	bool		done = asl_task_workflow_id(state, data->input, &data->env, &workflow_id, &error);

	if (!done)
		note_error(outcome, "workflow_id", &error);
	else if (workflow_id)
		check_text("a workflow_id", workflow_id);
	done = asl_compensation_input(state, data->other, &data->env, &input, &error);
	note(outcome, "compensation", done, input, &error);
	asl_task_limits(state, &limits);
	fuzz_check(limits.schedule_to_start >= 0 && limits.start_to_close >= 0 && limits.schedule_to_close >= 0);
	fuzz_check(limits.priority >= 0 && limits.priority <= ASL_MAX_PRIORITY);
}

static void
run_wait_fail_task(const AslState *state, const Data *data, StringInfo outcome)
{
	AslError	error = {0};
	AslError	failure = {0};
	TimestampTz until;
	double		timeout;
	double		heartbeat;
	bool		done;

	if (state->type == ASL_WAIT)
	{
		done = asl_wait_until(state, data->input, 0, &data->env, &until, &error);
		fuzz_check(!done || IS_VALID_TIMESTAMP(until));
		if (done)
			appendStringInfo(outcome, "until: " INT64_FORMAT "\n", until);
	}
	else if (state->type == ASL_FAIL)
	{
		done = asl_fail(state, data->input, &data->env, &failure, &error);
		if (done)
		{
			check_text("an error", failure.name ? failure.name : "");
			check_text("a cause", failure.cause ? failure.cause : "");
		}
	}
	else
	{
		run_task_extensions(state, data, outcome);
		done = asl_task_timeout(state, data->input, &data->env, &timeout, &heartbeat, &error);
		fuzz_check(!done || (timeout >= 0 && heartbeat >= 0 && !isinf(timeout) && !isinf(heartbeat)));
	}
	if (!done)
		note_error(outcome, "failed", &error);
}

static bool
run_state(const FuzzJson *value, bool again, StringInfo outcome)
{
	const FuzzJson *definition = fuzz_json_field(value, "definition");
	AslError	failure;
	AslMachine *machine;
	Data		data;

	if (definition == NULL || !read_data(value, again, &data))
		return false;
	failure.name = string_field(value, "error");
	failure.cause = string_field(value, "cause");
	machine = compile(definition, outcome);
	if (machine == NULL)
		return true;
	for (int i = 0; i < Min(machine->nstates, MAX_LOOKED_AT); i++)
	{
		const AslState *state = machine->states[i];

		appendStringInfo(outcome, "state: %s\n", state->name);
		run_input_output(state, &data, outcome);
		run_retry_catch(state, &data, failure, outcome);
		if (state->type == ASL_MAP)
			run_map(state, &data, outcome);
		else if (state->type == ASL_CHOICE)
			run_choice(state, &data, outcome);
		else if (state->type == ASL_WAIT || state->type == ASL_FAIL || state->type == ASL_TASK)
			run_wait_fail_task(state, &data, outcome);
	}
	MemoryContextDelete(machine->cxt);
	return true;
}

/* ---- path ---- */

/* What was put at a reference path is found there. */
static void
run_set(const AslPath *path, const Data *data, StringInfo outcome)
{
	AslError	error;
	Jsonb	   *result;
	Jsonb	   *there;
	bool		found;
	bool		done = asl_path_set(path, data->input, data->other, &result, &error);

	note(outcome, "set", done, result, &error);
	if (!done)
		return;
	fuzz_check(asl_path_eval(path, result, &data->env, &there, &found, &error));
	fuzz_check(found && same_document(there, data->other));
}

static bool
run_path(const FuzzJson *value, bool again, StringInfo outcome)
{
	char	   *text = string_field(value, "path");
	char	   *problem;
	AslPath    *path;
	AslError	error;
	Data		data;
	Jsonb	   *result;
	bool		found;
	bool		done;

	if (text == NULL || !read_data(value, again, &data))
		return false;
	path = asl_path_parse(text, &problem);
	if (path == NULL)
	{
		check_problem(problem);
		appendStringInfo(outcome, "problem: %s\n", problem);
		return true;
	}
	fuzz_check(strcmp(asl_path_text(path), text) == 0);
	fuzz_check(!asl_path_is_whole(path) || asl_path_is_reference(path));
	fuzz_check(!asl_path_is_reference(path) || asl_path_is_definite(path));
	done = asl_path_eval(path, data.input, &data.env, &result, &found, &error);
	if (done && !found)
		fuzz_check(asl_path_is_definite(path) || asl_path_root(path) != ASL_ROOT_INPUT);
	else
		note(outcome, "found", done, result, &error);
	if (done && found && !asl_path_is_definite(path))
		fuzz_check(JB_ROOT_IS_ARRAY(result) && !JB_ROOT_IS_SCALAR(result));
	if (done && !found)
	{
		fuzz_check(!asl_path_require(path, "a.$", data.input, &data.env, &result, &error));
		note_error(outcome, "required", &error);
		fuzz_check(!asl_path_require(path, NULL, data.input, &data.env, &result, &error));
		note_error(outcome, "required", &error);
	}
	if (asl_path_is_reference(path) && asl_path_root(path) == ASL_ROOT_INPUT)
		run_set(path, &data, outcome);
	return true;
}

/* ---- expression, template ---- */

static bool
run_expression(const FuzzJson *value, bool again, StringInfo outcome)
{
	char	   *text = string_field(value, "expression");
	char	   *problem;
	AslExpr    *expr;
	AslError	error;
	Data		data;
	Jsonb	   *result;
	bool		done;

	if (text == NULL || !read_data(value, again, &data))
		return false;
	expr = asl_expr_parse(text, &problem);
	if (expr == NULL)
	{
		check_problem(problem);
		appendStringInfo(outcome, "problem: %s\n", problem);
		return true;
	}
	done = asl_expr_eval(expr, "x.$", data.input, &data.env, &result, &error);
	note(outcome, "value", done, result, &error);
	return true;
}

static bool
run_template(const FuzzJson *value, bool again, StringInfo outcome)
{
	Jsonb	   *source = document_field(value, "template", "{}");
	List	   *problems = NIL;
	AslTemplate *template;
	AslError	error;
	Data		data;
	Jsonb	   *result;
	bool		done;

	if (source == NULL || !read_data(value, again, &data))
		return false;
	template = asl_template_compile(source, "/Parameters", &problems);
	fuzz_check((template == NULL) == (problems != NIL));
	note_problems(outcome, problems);
	memset(source, 'x', VARSIZE(source));	/* the template does not refer to it */
	if (template == NULL)
		return true;
	done = asl_template_eval(template, data.input, &data.env, &result, &error);
	note(outcome, "value", done, result, &error);
	return true;
}

/* ---- text ---- */

/* The server and States.StringToJson take the same texts, but for numbers at the edge of what can be stored. */
static void
run_json(char *text, StringInfo outcome)
{
	int			length = strlen(text);
	char	   *exact = memcpy(palloc(Max(length, 1)), text, length);
	bool		too_deep = false;
	Jsonb	   *server = server_jsonb(text, &too_deep);
	Jsonb	   *document = NULL;
	JsonbValue	value;
	AslError	error;
	char	   *problem;

	if (!asl_value_parse(exact, length, &value, &problem))
	{
		check_problem(problem);
		if (server && !strstr(problem, "out of range"))
			fuzz_breach("JSON that the server takes is refused: %s", problem);
		return;
	}
	if (!asl_value_build(&value, &document, &error))
		note_error(outcome, "JSON", &error);
	else
	{
		note_document(outcome, "JSON", document);
		if (server ? !same_document(server, document) : !too_deep)
			fuzz_breach("JSON is not read as the server does");
	}
}

/* A pattern as the specification describes it, tried out place by place. */
static bool
matches(const char *pattern, const char *text)
{
	int			length = strlen(text);
	bool	   *here = palloc0((length + 1) * sizeof(bool));	/* the pattern so far can match so many bytes */

	here[0] = true;
	for (; *pattern; pattern++)
	{
		bool		star = *pattern == '*';

		if (*pattern == '\\')
			pattern++;
		if (star)
		{
			for (int i = 1; i <= length; i++)
				here[i] |= here[i - 1];
			continue;
		}
		for (int i = length; i > 0; i--)
			here[i] = here[i - 1] && text[i - 1] == *pattern;
		here[0] = false;
	}
	return here[length];
}

static void
run_pattern(const char *text, const char *pattern, StringInfo outcome)
{
	int			length = strlen(text);
	char	   *exact = memcpy(palloc(Max(length, 1)), text, length);
	AslPattern *compiled = asl_pattern_compile(pattern, strlen(pattern));
	bool		matched;

	if (compiled == NULL)
		return;
	matched = asl_pattern_matches(compiled, exact, length);
	if ((double) length * strlen(pattern) < 1e7)
		fuzz_check(matched == matches(pattern, text));
	appendStringInfo(outcome, "matched: %d\n", matched);
}

static void
run_instant(const char *text, StringInfo outcome)
{
	int			length = strlen(text);
	char	   *exact = memcpy(palloc(Max(length, 1)), text, length);
	AslInstant	instant;
	TimestampTz timestamp;

	if (!asl_instant_parse(exact, length, &instant))
		return;
	fuzz_check(instant.nanoseconds >= 0 && instant.nanoseconds < 1000000000);
	timestamp = asl_instant_to_timestamptz(&instant);
	fuzz_check(IS_VALID_TIMESTAMP(timestamp));
	fuzz_check(asl_instant_compare(&instant, &instant) == 0);
	appendStringInfo(outcome, "instant: " INT64_FORMAT "\n", timestamp);
}

static bool
run_text(const FuzzJson *value, bool again, StringInfo outcome)
{
	char	   *text = string_field(value, "text");
	char	   *pattern = string_field(value, "pattern");

	if (text == NULL || pattern == NULL)
		return false;
	run_json(text, outcome);
	run_json(pattern, outcome);
	run_pattern(text, pattern, outcome);
	run_instant(text, outcome);
	return true;
}

static const FuzzTarget targets[] =
{
	{"definition", false, run_definition},
	{"state", true, run_state},
	{"path", true, run_path},
	{"expression", true, run_expression},
	{"template", true, run_template},
	{"text", true, run_text},
};

const FuzzTarget *
fuzz_find_target(const char *name)
{
	for (int i = 0; i < lengthof(targets); i++)
	{
		if (strcmp(targets[i].name, name) == 0)
			return &targets[i];
	}
	return NULL;
}
