/*-------------------------------------------------------------------------
 *
 * compile.c
 *	  From the text of a definition to a machine, or to a list of problems.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "asl/compile.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define MAX_STATE_NAME 80		/* characters, says the specification */
#define MAX_LABEL 40			/* characters, says the service */
#define TOKEN_PATH "$$.Task.Token"

/* A state and where it is defined. */
typedef struct NamedState
{
	AslState   *state;
	const AslTree *where;
} NamedState;

static void compile_scope(AslCompiler *compiler, const AslTree *tree, uint32 kind, AslScope *scope);

/* ---- states by name ---- */

static int
compare_states(const void *a, const void *b)
{
	return strcmp((*(AslState *const *) a)->name, (*(AslState *const *) b)->name);
}

static AslState *
search_state(AslState *const *states, int nstates, const char *name)
{
	int			low = 0;
	int			high = nstates;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = strcmp(name, states[middle]->name);

		if (order == 0)
			return states[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

AslState *
asl_find_state(const AslMachine *machine, const char *name)
{
	return search_state(machine->states, machine->nstates, name);
}

bool
asl_is_built_in_query(const char *name)
{
	return strcmp(name, "state") == 0 || strcmp(name, "variables") == 0 || strcmp(name, "activities") == 0;
}

/* The name of a state in the scope that is being compiled. */
void
asl_read_next(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslScopeBuild *build = compiler->scope;
	const AslState *state;

	state = asl_expect(compiler, value, ASL_TREE_STRING) ?
		search_state(build->by_name, build->scope->nstates, value->text) : NULL;
	if (state != NULL)
	{
		*(int *) target = state - build->scope->states;
		return;
	}
	build->dangling = true;
	if (value->type == ASL_TREE_STRING)
		asl_problem(compiler, value, "there is no state \"%s\" in the same \"States\"", value->text);
}

/* ---- fields of states ---- */

static void
read_next(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_next(compiler, value, &((AslStateBody *) target)->state->next);
}

static void
read_resource(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_uri(compiler, value, &((AslStateBody *) target)->state->resource);
}

static void
read_label(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_STRING) && pg_mbstrlen(value->text) > MAX_LABEL)
		asl_problem(compiler, value, "longer than %d characters", MAX_LABEL);
}

/* ---- fields of Tasks that start child runs ---- */

static void
read_close_policy(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslState   *state = ((AslStateBody *) target)->state;

	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return;
	if (asl_tree_is_string(value, "TERMINATE"))
		state->close_policy = ASL_CLOSE_TERMINATE;
	else if (asl_tree_is_string(value, "CANCEL"))
		state->close_policy = ASL_CLOSE_CANCEL;
	else if (asl_tree_is_string(value, "ABANDON"))
		state->close_policy = ASL_CLOSE_ABANDON;
	else
		asl_problem(compiler, value, "must be \"TERMINATE\", \"CANCEL\" or \"ABANDON\"");
}

static void
read_workflow_version(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslAmount	amount = {0};

	asl_read_positive(compiler, value, &amount);
	if (amount.value > PG_INT32_MAX)
		asl_problem(compiler, value, "must not be greater than %d", PG_INT32_MAX);
	else
		((AslStateBody *) target)->state->workflow_version = (int) amount.value;
}

static void
read_wait_for_result(AslCompiler *compiler, const AslTree *value, void *target)
{
	bool		wait = true;

	asl_read_boolean(compiler, value, &wait);
	((AslStateBody *) target)->state->detached = !wait;
}

/* ---- fields of Tasks that wait for updates ---- */

static void
read_validator(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_sql_function(compiler, value, &((AslStateBody *) target)->state->validator);
}

static void
read_respond(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_next(compiler, value, &((AslStateBody *) target)->state->respond);
}

/* ---- compensations ---- */

static void read_compensation(AslCompiler *compiler, const AslTree *value, void *target);

static void
read_registration(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_STRING) && !asl_tree_is_string(value, "Before") &&
		!asl_tree_is_string(value, "After"))
		asl_problem(compiler, value, "must be \"Before\" or \"After\"");
}

/* Which of the tasks of a queue are taken first: those of higher priority. */
static void
read_priority(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslAmount  *amount = target;

	asl_read_non_negative(compiler, value, amount);
	if (amount->given && amount->value > ASL_MAX_PRIORITY)
		asl_problem(compiler, value, "must not be greater than %d", ASL_MAX_PRIORITY);
}

/* A field of the other query language. */
static void
read_jsonata_field(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_problem(compiler, value, "only allowed with the query language JSONata");
}

/* ---- Parallel and Map ---- */

#define SCOPE_MACHINE	1
#define SCOPE_BRANCH	2
#define SCOPE_PROCESSOR	4

static void
add_inner_scope(AslCompiler *compiler, const AslTree *tree, uint32 kind, AslState *state, int branch_no)
{
	AslScope   *scope = palloc0(sizeof(AslScope));

	scope->owner = state;
	scope->branch_no = branch_no;
	state->scopes[branch_no] = scope;
	compile_scope(compiler, tree, kind, scope);
}

static void
read_branches(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslState   *state = ((AslStateBody *) target)->state;

	if (!asl_expect(compiler, value, ASL_TREE_ARRAY))
		return;
	state->nscopes = value->nchildren;
	state->scopes = palloc0(Max(1, value->nchildren) * sizeof(AslScope *));
	for (int i = 0; i < value->nchildren; i++)
		add_inner_scope(compiler, value->children[i], SCOPE_BRANCH, state, i);
}

static void
read_processor(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslState   *state = ((AslStateBody *) target)->state;

	state->nscopes = 1;
	state->scopes = palloc0(sizeof(AslScope *));
	add_inner_scope(compiler, value, SCOPE_PROCESSOR, state, 0);
}

static void
read_processor_mode(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_STRING) && !asl_tree_is_string(value, "INLINE") &&
		!asl_tree_is_string(value, "DISTRIBUTED"))
		asl_problem(compiler, value, "must be \"INLINE\" or \"DISTRIBUTED\"");
	*(bool *) target = asl_tree_is_string(value, "DISTRIBUTED");
}

static void
read_execution_type(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (asl_expect(compiler, value, ASL_TREE_STRING) && !asl_tree_is_string(value, "STANDARD") &&
		!asl_tree_is_string(value, "EXPRESS"))
		asl_problem(compiler, value, "must be \"STANDARD\" or \"EXPRESS\"");
}

/* All iterations are run alike; the history of a distributed Map is another one. */
static const AslField processor_config_fields[] = {
	{"Mode", 1, 0, read_processor_mode, 0},
	{"ExecutionType", 1, 0, read_execution_type, 0},
};

static void
read_processor_config(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_object(compiler, value, "a ProcessorConfig",
					processor_config_fields, lengthof(processor_config_fields), ASL_ANY_VARIANT, target);
}

/* The interpreter may define more fields than these; those of the service only matter to it. */
static void
read_reader_config(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslAmount  *max_items = &((AslStateBody *) target)->reader_max_items;
	const AslExclusion exclusion = {"MaxItems", "MaxItemsPath", 0};

	if (!asl_expect(compiler, value, ASL_TREE_OBJECT))
		return;
	for (int i = 0; i < value->nchildren; i++)
	{
		if (strcmp(value->children[i]->key, "MaxItems") == 0)
			asl_read_positive(compiler, value->children[i], max_items);
		else if (strcmp(value->children[i]->key, "MaxItemsPath") == 0)
			asl_read_amount_path(compiler, value->children[i], max_items);
	}
	asl_check_exclusions(compiler, value, &exclusion, 1, 0);
}

static void
read_reader_resource(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_reader_resource(compiler, value, &((AslStateBody *) target)->state->item_reader);
}

static void
read_writer_resource(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_writer_resource(compiler, value, &((AslStateBody *) target)->state->result_writer);
}

static const AslField reader_fields[] = {
	{"Resource", 1, 1, read_reader_resource, 0},
	{"ReaderConfig", 1, 0, read_reader_config, 0},
	{"Parameters", 1, 0, asl_read_template, offsetof(AslStateBody, reader_parameters)},
};

static const AslField batcher_fields[] = {
	{"MaxItemsPerBatch", 1, 0, asl_read_positive, offsetof(AslStateBody, batch_items)},
	{"MaxItemsPerBatchPath", 1, 0, asl_read_amount_path, offsetof(AslStateBody, batch_items)},
	{"MaxInputBytesPerBatch", 1, 0, asl_read_positive, offsetof(AslStateBody, batch_bytes)},
	{"MaxInputBytesPerBatchPath", 1, 0, asl_read_amount_path, offsetof(AslStateBody, batch_bytes)},
	{"BatchInput", 1, 0, asl_read_template, offsetof(AslStateBody, batch_input)},
};

static const AslExclusion batcher_exclusions[] = {
	{"MaxItemsPerBatch", "MaxItemsPerBatchPath", 0},
	{"MaxInputBytesPerBatch", "MaxInputBytesPerBatchPath", 0},
};

/* The service also takes a WriterConfig alone, which says how the result is formatted. */
static const AslField writer_fields[] = {
	{"Resource", 1, 0, read_writer_resource, 0},
	{"WriterConfig", 1, 0, asl_read_ignored_object, 0},
	{"Parameters", 1, 0, asl_read_template, offsetof(AslStateBody, writer_parameters)},
};

static void
read_item_reader(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_object(compiler, value, "an ItemReader", reader_fields, lengthof(reader_fields), ASL_ANY_VARIANT, target);
}

static void
read_item_batcher(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslStateBody *body = target;

	body->batched = true;
	if (!asl_read_object(compiler, value, "an ItemBatcher", batcher_fields, lengthof(batcher_fields),
						 ASL_ANY_VARIANT, body))
		return;
	asl_check_exclusions(compiler, value, batcher_exclusions, lengthof(batcher_exclusions), 0);
	if (!asl_tree_field(value, "MaxItemsPerBatch") && !asl_tree_field(value, "MaxItemsPerBatchPath") &&
		!asl_tree_field(value, "MaxInputBytesPerBatch") && !asl_tree_field(value, "MaxInputBytesPerBatchPath"))
		asl_problem(compiler, value, "field \"MaxItemsPerBatch\" or \"MaxInputBytesPerBatch\" is missing");
}

static void
read_result_writer(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (!asl_read_object(compiler, value, "a ResultWriter", writer_fields, lengthof(writer_fields),
						 ASL_ANY_VARIANT, target))
		return;
	if (!asl_tree_field(value, "Resource") && !asl_tree_field(value, "WriterConfig"))
		asl_problem(compiler, value, "field \"Resource\" is missing");
}

/* ---- states ---- */

#define IN_PASS		(1 << ASL_PASS)
#define IN_TASK		(1 << ASL_TASK)
#define IN_CHOICE	(1 << ASL_CHOICE)
#define IN_WAIT		(1 << ASL_WAIT)
#define IN_SUCCEED	(1 << ASL_SUCCEED)
#define IN_FAIL		(1 << ASL_FAIL)
#define IN_PARALLEL	(1 << ASL_PARALLEL)
#define IN_MAP		(1 << ASL_MAP)
#define IN_COMPENSATION (1 << (ASL_MAP + 1))
#define IN_ALL		(IN_PASS | IN_TASK | IN_CHOICE | IN_WAIT | IN_SUCCEED | IN_FAIL | IN_PARALLEL | IN_MAP)
#define IN_WORKING	(IN_TASK | IN_PARALLEL | IN_MAP)
#define IN_MOVING	(IN_WORKING | IN_PASS | IN_WAIT)

#define BODY(member) offsetof(AslStateBody, member)

static const struct
{
	const char *name;
	const char *what;
}			state_types[] =
{
	[ASL_PASS] = {"Pass", "a Pass state"},
	[ASL_TASK] = {"Task", "a Task state"},
	[ASL_CHOICE] = {"Choice", "a Choice state"},
	[ASL_WAIT] = {"Wait", "a Wait state"},
	[ASL_SUCCEED] = {"Succeed", "a Succeed state"},
	[ASL_FAIL] = {"Fail", "a Fail state"},
	[ASL_PARALLEL] = {"Parallel", "a Parallel state"},
	[ASL_MAP] = {"Map", "a Map state"},
};

static const AslField state_fields[] = {
	{"Type", IN_ALL, IN_ALL, asl_read_ignored, 0},
	{"QueryLanguage", IN_ALL, 0, asl_read_ignored, 0},
	{"Comment", IN_ALL | IN_COMPENSATION, 0, asl_read_ignored_text, 0},
	{"InputPath", IN_ALL & ~IN_FAIL, 0, asl_read_filter, BODY(input_path)},
	{"OutputPath", IN_ALL & ~IN_FAIL, 0, asl_read_filter, BODY(output_path)},
	{"ResultPath", IN_WORKING | IN_PASS, 0, asl_read_result_path, BODY(result_path)},
	{"Parameters", IN_TASK | IN_PARALLEL | IN_PASS | IN_COMPENSATION, 0, asl_read_parameters, BODY(parameters)},
	{"Parameters", IN_MAP, 0, asl_read_parameters, BODY(item_selector)},
	{"ResultSelector", IN_WORKING, 0, asl_read_template, BODY(result_selector)},
	{"Assign", IN_MOVING | IN_CHOICE, 0, asl_read_assign, BODY(assign)},
	{"Next", IN_MOVING, 0, read_next, 0},
	{"End", IN_MOVING, 0, asl_read_boolean, BODY(end)},
	{"Retry", IN_WORKING | IN_COMPENSATION, 0, asl_read_retry, 0},
	{"Catch", IN_WORKING, 0, asl_read_catch, 0},

	{"Result", IN_PASS, 0, asl_read_constant, BODY(result)},

	{"Resource", IN_TASK | IN_COMPENSATION, IN_TASK | IN_COMPENSATION, read_resource, 0},
	{"TimeoutSeconds", IN_TASK | IN_COMPENSATION, 0, asl_read_positive, BODY(timeout)},
	{"TimeoutSecondsPath", IN_TASK | IN_COMPENSATION, 0, asl_read_amount_path, BODY(timeout)},
	{"HeartbeatSeconds", IN_TASK | IN_COMPENSATION, 0, asl_read_positive, BODY(heartbeat)},
	{"HeartbeatSecondsPath", IN_TASK | IN_COMPENSATION, 0, asl_read_amount_path, BODY(heartbeat)},
	{"Credentials", IN_TASK, 0, asl_read_template, BODY(credentials)},

	{"Choices", IN_CHOICE, IN_CHOICE, asl_read_choices, 0},
	{"Default", IN_CHOICE, 0, asl_read_next, BODY(default_next)},

	{"Seconds", IN_WAIT, 0, asl_read_non_negative, BODY(seconds)},
	{"SecondsPath", IN_WAIT, 0, asl_read_amount_path, BODY(seconds)},
	{"Timestamp", IN_WAIT, 0, asl_read_instant, BODY(timestamp)},
	{"TimestampPath", IN_WAIT, 0, asl_read_instant_path, BODY(timestamp)},

	{"Error", IN_FAIL, 0, asl_read_text, BODY(error)},
	{"Cause", IN_FAIL, 0, asl_read_text, BODY(cause)},
	{"ErrorPath", IN_FAIL, 0, asl_read_string_expression, BODY(error_path)},
	{"CausePath", IN_FAIL, 0, asl_read_string_expression, BODY(cause_path)},

	{"Branches", IN_PARALLEL, IN_PARALLEL, read_branches, 0},

	{"ItemProcessor", IN_MAP, 0, read_processor, 0},
	{"Iterator", IN_MAP, 0, read_processor, 0},
	{"ItemsPath", IN_MAP, 0, asl_read_reference_path, BODY(items_path)},
	{"ItemSelector", IN_MAP, 0, asl_read_template, BODY(item_selector)},
	{"ItemReader", IN_MAP, 0, read_item_reader, 0},
	{"ItemBatcher", IN_MAP, 0, read_item_batcher, 0},
	{"ResultWriter", IN_MAP, 0, read_result_writer, 0},
	{"Label", IN_MAP, 0, read_label, 0},
	{"MaxConcurrency", IN_MAP, 0, asl_read_non_negative, BODY(max_concurrency)},
	{"MaxConcurrencyPath", IN_MAP, 0, asl_read_amount_path, BODY(max_concurrency)},
	{"ToleratedFailureCount", IN_MAP, 0, asl_read_non_negative, BODY(tolerated_count)},
	{"ToleratedFailureCountPath", IN_MAP, 0, asl_read_amount_path, BODY(tolerated_count)},
	{"ToleratedFailurePercentage", IN_MAP, 0, asl_read_percentage, BODY(tolerated_percentage)},
	{"ToleratedFailurePercentagePath", IN_MAP, 0, asl_read_amount_path, BODY(tolerated_percentage)},

	{"Arguments", IN_TASK | IN_PARALLEL, 0, read_jsonata_field, 0},
	{"Output", IN_ALL & ~IN_FAIL, 0, read_jsonata_field, 0},
	{"Items", IN_MAP, 0, read_jsonata_field, 0},

	/* Extensions. */
	{"Compensate", IN_TASK, 0, read_compensation, 0},
	{"Register", IN_COMPENSATION, 0, read_registration, 0},
	{"ParentClosePolicy", IN_TASK | IN_COMPENSATION, 0, read_close_policy, 0},
	{"WorkflowId", IN_TASK | IN_COMPENSATION, 0, asl_read_uri, BODY(workflow_id)},
	{"WorkflowIdPath", IN_TASK | IN_COMPENSATION, 0, asl_read_string_expression, BODY(workflow_id_path)},
	{"WorkflowVersion", IN_TASK | IN_COMPENSATION, 0, read_workflow_version, 0},
	{"WaitForResult", IN_TASK | IN_COMPENSATION, 0, read_wait_for_result, 0},
	{"ScheduleToStartSeconds", IN_TASK | IN_COMPENSATION, 0, asl_read_positive, BODY(schedule_to_start)},
	{"StartToCloseSeconds", IN_TASK | IN_COMPENSATION, 0, asl_read_positive, BODY(start_to_close)},
	{"ScheduleToCloseSeconds", IN_TASK | IN_COMPENSATION, 0, asl_read_positive, BODY(schedule_to_close)},
	{"Priority", IN_TASK | IN_COMPENSATION, 0, read_priority, BODY(priority)},
	{"Validator", IN_TASK, 0, read_validator, 0},
	{"Respond", IN_TASK, 0, read_respond, 0},
};

static const AslExclusion state_exclusions[] = {
	{"TimeoutSeconds", "TimeoutSecondsPath", 0},
	{"HeartbeatSeconds", "HeartbeatSecondsPath", 0},
	{"WorkflowId", "WorkflowIdPath", 0},
	{"Error", "ErrorPath", 0},
	{"Cause", "CausePath", 0},
	{"ItemProcessor", "Iterator", IN_MAP},
	{"MaxConcurrency", "MaxConcurrencyPath", 0},
	{"ToleratedFailureCount", "ToleratedFailureCountPath", 0},
	{"ToleratedFailurePercentage", "ToleratedFailurePercentagePath", 0},
};

static void
check_transition(AslCompiler *compiler, const AslTree *tree, const AslStateBody *body)
{
	const AslTree *next = asl_tree_field(tree, "Next");
	const AslTree *end = asl_tree_field(tree, "End");

	if (next != NULL && body->end)
		asl_problem(compiler, next->position > end->position ? next : end, "not allowed together with \"%s\"",
					next->position > end->position ? "End" : "Next");
	else if (next == NULL && !body->end && (end == NULL || end->type == ASL_TREE_BOOLEAN))
		asl_problem(compiler, tree, "field \"Next\" or \"End\" is missing");
	if (next == NULL && !body->end)
		compiler->scope->incomplete = true;
}

/* A Wait state says exactly once how long. */
static void
check_wait(AslCompiler *compiler, const AslTree *tree)
{
	static const char *const names[] = {"Seconds", "SecondsPath", "Timestamp", "TimestampPath"};
	const AslTree *first = NULL;

	for (int i = 0; i < tree->nchildren; i++)
	{
		for (int j = 0; j < lengthof(names); j++)
		{
			if (strcmp(tree->children[i]->key, names[j]) != 0)
				continue;
			if (first == NULL)
				first = tree->children[i];
			else
				asl_problem(compiler, tree->children[i], "not allowed together with \"%s\"", first->key);
		}
	}
	if (first == NULL)
		asl_problem(compiler, tree, "one of \"Seconds\", \"SecondsPath\", \"Timestamp\" and \"TimestampPath\" is missing");
}

/* What all states have in common with compensations. */
static void
check_work(AslCompiler *compiler, const AslTree *tree, const AslStateBody *body)
{
	AslState   *state = body->state;

	asl_check_exclusions(compiler, tree, state_exclusions, lengthof(state_exclusions), 1 << state->type);
	if (state->type == ASL_TASK)
		asl_check_resource(compiler, tree, state->resource);
	if (body->timeout.given && body->heartbeat.given && body->heartbeat.value >= body->timeout.value)
		asl_problem(compiler, asl_tree_field(tree, "HeartbeatSeconds"), "must be smaller than \"TimeoutSeconds\"");
	state->has_timeout = body->timeout.given || body->timeout.path;
	state->has_heartbeat = body->heartbeat.given || body->heartbeat.path;
}

static void
check_state(AslCompiler *compiler, const AslTree *tree, const AslStateBody *body)
{
	const AslState *state = body->state;

	check_work(compiler, tree, body);
	if (((1 << state->type) & IN_MOVING) != 0)
		check_transition(compiler, tree, body);
	if (state->type == ASL_WAIT)
		check_wait(compiler, tree);
	if (state->type == ASL_MAP && asl_tree_field(tree, "Parameters") && asl_tree_field(tree, "ItemSelector"))
		asl_problem(compiler, asl_tree_field(tree, "Parameters"), "not allowed together with \"ItemSelector\"");
}

/* The type of a state; false (with a problem noted) if there is none. */
static bool
read_type(AslCompiler *compiler, const AslTree *tree, AslStateType *type)
{
	const AslTree *value = asl_tree_field(tree, "Type");

	if (value == NULL)
	{
		asl_problem(compiler, tree, "field \"Type\" is missing");
		return false;
	}
	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return false;
	for (int i = 0; i < lengthof(state_types); i++)
	{
		if (strcmp(value->text, state_types[i].name) == 0)
		{
			*type = i;
			return true;
		}
	}
	asl_problem(compiler, value, "there is no type of state \"%s\"", value->text);
	return false;
}

/*
 * The query language of a state or of the machine.  False: none that can be compiled, and the problem was noted;
 * what such an object contains is not looked at.
 */
static bool
read_language(AslCompiler *compiler, const AslTree *tree, AslLanguage *language)
{
	const AslTree *value = asl_tree_field(tree, "QueryLanguage");

	*language = ASL_JSONPATH;
	if (value == NULL || asl_tree_is_string(value, "JSONPath"))
		return true;
	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return false;
	if (strcmp(value->text, "JSONata") == 0)
	{
		*language = ASL_JSONATA;
		asl_problem(compiler, value, "the query language JSONata is not supported yet");
	}
	else
		asl_problem(compiler, value, "must be \"JSONPath\" or \"JSONata\"");
	return false;
}

static void
compile_state(AslCompiler *compiler, const AslTree *tree, AslState *state)
{
	AslStateBody *body = state->body;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	if (!asl_expect(compiler, tree, ASL_TREE_OBJECT) ||
		!read_type(compiler, tree, &state->type) ||
		!read_language(compiler, tree, &body->language))
	{
		compiler->scope->incomplete = true;
		return;
	}
	asl_read_object(compiler, tree, state_types[state->type].what,
					state_fields, lengthof(state_fields), 1 << state->type, body);
	check_state(compiler, tree, body);
}

static void
note_state(AslCompiler *compiler, AslState *state, const AslTree *where)
{
	NamedState *named = palloc(sizeof(NamedState));

	named->state = state;
	named->where = where;
	compiler->states = lappend(compiler->states, named);
}

/*
 * Compensate: a Task of its own, with a name that only it can have, in a scope that it has to itself.  Its input is
 * what its Parameters make when it is registered, so they are kept apart from what it does with its input.  Only its
 * task token is not known by then: fields that are to hold it are added to the input later.
 */
static void
read_compensation(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslState   *owner = ((AslStateBody *) target)->state;
	const AslTree *registration = value->type == ASL_TREE_OBJECT ? asl_tree_field(value, "Register") : NULL;
	AslScope   *scope = palloc0(sizeof(AslScope));
	AslState   *state = palloc0(sizeof(AslState));
	AslStateBody *body = palloc0(sizeof(AslStateBody));

	scope->machine = compiler->machine;
	scope->owner = owner;
	scope->nstates = 1;
	scope->states = state;
	state->scope = scope;
	state->name = psprintf("%s/Compensate", owner->name);
	state->type = ASL_TASK;
	state->next = ASL_END;
	state->respond = ASL_END;
	state->body = body;
	body->state = state;
	body->end = true;
	body->default_next = ASL_END;
	body->result_path.discard = true;
	if (asl_read_object(compiler, value, "a Compensate", state_fields, lengthof(state_fields), IN_COMPENSATION, body))
		check_work(compiler, value, body);
	owner->compensation = state;
	owner->compensate_before = registration != NULL && asl_tree_is_string(registration, "Before");
	compiler->machine->compensates = true;
	note_state(compiler, state, value);
	((AslStateBody *) target)->compensation_input = body->parameters;
	if (body->parameters != NULL)
		body->late_parameters = asl_template_take(body->parameters, TOKEN_PATH);
	body->parameters = NULL;
}

/* ---- scopes ---- */

typedef struct ScopeFields
{
	const AslTree *start_at;
	const AslTree *states;
	AslAmount	timeout;
	char	   *comment;
	char	   *version;
	bool		compensates_at_once;
	bool		distributed;
} ScopeFields;

static void
read_version(AslCompiler *compiler, const AslTree *value, void *target)
{
	asl_read_text(compiler, value, target);
	if (value->type == ASL_TREE_STRING && strcmp(value->text, "1.0") != 0)
		asl_problem(compiler, value, "must be \"1.0\"");
}

static void
read_compensation_order(AslCompiler *compiler, const AslTree *value, void *target)
{
	if (!asl_expect(compiler, value, ASL_TREE_STRING))
		return;
	*(bool *) target = asl_tree_is_string(value, "Parallel");
	if (!*(bool *) target && !asl_tree_is_string(value, "LastInFirstOut"))
		asl_problem(compiler, value, "must be \"LastInFirstOut\" or \"Parallel\"");
}

/* Names of functions, by the names of the queries. */
static void
read_queries(AslCompiler *compiler, const AslTree *value, void *target)
{
	AslMachine *machine = compiler->machine;

	if (!asl_expect(compiler, value, ASL_TREE_OBJECT))
		return;
	machine->queries = palloc0(Max(1, value->nchildren) * sizeof(AslQuery));
	machine->nqueries = value->nchildren;
	for (int i = 0; i < value->nchildren; i++)
	{
		const AslTree *function = value->children[i];

		if (function->key[0] == '\0')
			asl_problem(compiler, function, "the name of a query must not be empty");
		if (asl_is_built_in_query(function->key))
			asl_problem(compiler, function, "every run has a query \"%s\" already", function->key);
		machine->queries[i].name = pstrdup(function->key);
		asl_read_sql_function(compiler, function, &machine->queries[i].function);
	}
}

static const AslField scope_fields[] = {
	{"StartAt", SCOPE_MACHINE | SCOPE_BRANCH | SCOPE_PROCESSOR, SCOPE_MACHINE | SCOPE_BRANCH | SCOPE_PROCESSOR,
	asl_read_value, offsetof(ScopeFields, start_at)},
	{"States", SCOPE_MACHINE | SCOPE_BRANCH | SCOPE_PROCESSOR, SCOPE_MACHINE | SCOPE_BRANCH | SCOPE_PROCESSOR,
	asl_read_value, offsetof(ScopeFields, states)},
	{"Comment", SCOPE_MACHINE | SCOPE_BRANCH | SCOPE_PROCESSOR, 0, asl_read_text, offsetof(ScopeFields, comment)},
	{"QueryLanguage", SCOPE_MACHINE, 0, asl_read_ignored, 0},
	{"Version", SCOPE_MACHINE, 0, read_version, offsetof(ScopeFields, version)},
	{"TimeoutSeconds", SCOPE_MACHINE, 0, asl_read_positive, offsetof(ScopeFields, timeout)},
	{"ProcessorConfig", SCOPE_PROCESSOR, 0, read_processor_config, offsetof(ScopeFields, distributed)},

	/* Extensions. */
	{"Queries", SCOPE_MACHINE, 0, read_queries, 0},
	{"CompensationOrder", SCOPE_MACHINE, 0, read_compensation_order, offsetof(ScopeFields, compensates_at_once)},
};

/* Make the states, still empty, so that they can refer to each other. */
static void
make_states(AslCompiler *compiler, const AslTree *tree, AslScopeBuild *build)
{
	AslScope   *scope = build->scope;

	scope->nstates = tree->nchildren;
	scope->states = palloc0(Max(1, scope->nstates) * sizeof(AslState));
	build->by_name = palloc(Max(1, scope->nstates) * sizeof(AslState *));
	for (int i = 0; i < scope->nstates; i++)
	{
		AslState   *state = &scope->states[i];

		state->scope = scope;
		state->name = pstrdup(tree->children[i]->key);
		state->next = ASL_END;
		state->respond = ASL_END;
		state->body = palloc0(sizeof(AslStateBody));
		state->body->state = state;
		state->body->default_next = ASL_END;
		build->by_name[i] = state;
		note_state(compiler, state, tree->children[i]);
		if (pg_mbstrlen(state->name) > MAX_STATE_NAME)
			asl_problem(compiler, tree->children[i], "name of a state is longer than %d characters", MAX_STATE_NAME);
	}
	qsort(build->by_name, scope->nstates, sizeof(AslState *), compare_states);
	/* Of two states with one name, transitions can only lead to one. */
	for (int i = 1; i < scope->nstates; i++)
		build->incomplete |= compare_states(&build->by_name[i - 1], &build->by_name[i]) == 0;
}

static void
push_reached(int target, bool *reached, int *stack, int *depth)
{
	if (target == ASL_END || reached[target])
		return;
	reached[target] = true;
	stack[(*depth)++] = target;
}

/* Every state must be reachable from the first one. */
static void
check_reachable(AslCompiler *compiler, const AslTree *tree, const AslScope *scope)
{
	bool	   *reached = palloc0(Max(1, scope->nstates) * sizeof(bool));
	int		   *stack = palloc(Max(1, scope->nstates) * sizeof(int));
	int			depth = 0;

	push_reached(scope->start_at, reached, stack, &depth);
	while (depth > 0)
	{
		const AslState *state = &scope->states[stack[--depth]];
		const AslStateBody *body = state->body;

		CHECK_FOR_INTERRUPTS();
		push_reached(state->next, reached, stack, &depth);
		push_reached(body->default_next, reached, stack, &depth);
		for (int i = 0; i < body->nchoices; i++)
			push_reached(body->choices[i].next, reached, stack, &depth);
		for (int i = 0; i < body->ncatchers; i++)
			push_reached(body->catchers[i].next, reached, stack, &depth);
	}
	for (int i = 0; i < scope->nstates; i++)
	{
		if (!reached[i])
			asl_problem(compiler, tree->children[i], "no other state leads here, nor does \"StartAt\"");
	}
	pfree(reached);
	pfree(stack);
}

/* Some state must end it all. */
static void
check_terminal(AslCompiler *compiler, const AslTree *tree, const AslScope *scope)
{
	for (int i = 0; i < scope->nstates; i++)
	{
		const AslState *state = &scope->states[i];

		if (state->body->end || state->type == ASL_SUCCEED || state->type == ASL_FAIL)
			return;
	}
	asl_problem(compiler, tree, "there is no terminal state (one with \"End\", or of type Succeed or Fail)");
}

static void
compile_states(AslCompiler *compiler, const AslTree *start_at, const AslTree *states, AslScope *scope)
{
	AslScopeBuild build = {.scope = scope};
	AslScopeBuild *outer = compiler->scope;

	make_states(compiler, states, &build);
	compiler->scope = &build;
	scope->start_at = ASL_END;
	if (start_at != NULL)
		asl_read_next(compiler, start_at, &scope->start_at);
	for (int i = 0; i < scope->nstates; i++)
		compile_state(compiler, states->children[i], &scope->states[i]);
	if (!build.incomplete)
	{
		if (scope->start_at != ASL_END)
			check_reachable(compiler, states, scope);
		if (scope->nstates > 0 && !build.dangling)
			check_terminal(compiler, states, scope);
	}
	compiler->scope = outer;
}

static void
compile_scope(AslCompiler *compiler, const AslTree *tree, uint32 kind, AslScope *scope)
{
	ScopeFields fields = {0};
	const char *what = kind == SCOPE_MACHINE ? "a state machine" :
		kind == SCOPE_BRANCH ? "a branch" : "an ItemProcessor";

	check_stack_depth();
	scope->machine = compiler->machine;
	if (!asl_read_object(compiler, tree, what, scope_fields, lengthof(scope_fields), kind, &fields))
		return;
	if (kind == SCOPE_MACHINE)
	{
		compiler->machine->timeout_seconds = fields.timeout.given ? fields.timeout.value : 0;
		compiler->machine->comment = fields.comment;
		compiler->machine->version = fields.version;
		compiler->machine->compensates_at_once = fields.compensates_at_once;
	}
	if (kind == SCOPE_PROCESSOR)
		scope->owner->distributed = fields.distributed;
	if (fields.states != NULL && asl_expect(compiler, fields.states, ASL_TREE_OBJECT))
		compile_states(compiler, fields.start_at, fields.states, scope);
	else if (fields.start_at != NULL)
		(void) asl_expect(compiler, fields.start_at, ASL_TREE_STRING);
}

/* ---- checks of the whole machine ---- */

static int
compare_named_states(const ListCell *a, const ListCell *b)
{
	const NamedState *x = lfirst(a);
	const NamedState *y = lfirst(b);
	int			result = strcmp(x->state->name, y->state->name);

	return result != 0 ? result : x->where->position - y->where->position;
}

/* Gather all states by name.  (Within one scope, equal names are duplicate keys, and were found already.) */
static void
index_states(AslCompiler *compiler)
{
	AslMachine *machine = compiler->machine;
	const NamedState *previous = NULL;
	ListCell   *cell;

	list_sort(compiler->states, compare_named_states);
	machine->states = palloc(Max(1, list_length(compiler->states)) * sizeof(AslState *));
	foreach(cell, compiler->states)
	{
		const NamedState *named = lfirst(cell);

		if (previous != NULL && strcmp(previous->state->name, named->state->name) == 0 &&
			previous->where->parent != named->where->parent)
			asl_problem(compiler, named->where, "the machine has another state of this name at %s",
						asl_tree_path(previous->where));
		machine->states[machine->nstates++] = named->state;
		previous = named;
	}
}

static int
order_assignments(const AslAssignment *a, const AslAssignment *b)
{
	int			result = strcmp(a->name, b->name);

	if (result != 0)
		return result;
	return a->scope == b->scope ? 0 : (uintptr_t) a->scope < (uintptr_t) b->scope ? -1 : 1;
}

static int
compare_assignments(const ListCell *a, const ListCell *b)
{
	return order_assignments(lfirst(a), lfirst(b));
}

static bool
is_assigned(const List *sorted, const char *name, const AslScope *scope)
{
	AslAssignment key = {.name = name, .scope = scope};
	int			low = 0;
	int			high = list_length(sorted);

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		int			order = order_assignments(&key, list_nth(sorted, middle));

		if (order == 0)
			return true;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

/* An inner scope sees the variables of the outer ones, and must not assign to them. */
static void
check_assignments(AslCompiler *compiler)
{
	ListCell   *cell;

	list_sort(compiler->assignments, compare_assignments);
	foreach(cell, compiler->assignments)
	{
		const AslAssignment *assignment = lfirst(cell);
		const AslState *owner = assignment->scope->owner;

		CHECK_FOR_INTERRUPTS();
		for (; owner != NULL; owner = owner->scope->owner)
		{
			if (is_assigned(compiler->assignments, assignment->name, owner->scope))
			{
				asl_problem(compiler, assignment->where, "an outer scope has a variable \"%s\" already", assignment->name);
				break;
			}
		}
	}
}

/* ---- all together ---- */

static int
compare_findings(const ListCell *a, const ListCell *b)
{
	const AslFinding *x = lfirst(a);
	const AslFinding *y = lfirst(b);

	return x->position != y->position ? x->position - y->position : x->number - y->number;
}

/* What was found, in the order of the text, as a list of AslProblem in the current context. */
static List *
make_problems(List *findings)
{
	List	   *problems = NIL;
	ListCell   *cell;

	list_sort(findings, compare_findings);
	foreach(cell, findings)
	{
		const AslFinding *finding = lfirst(cell);
		AslProblem *problem = palloc(sizeof(AslProblem));

		problem->path = pstrdup(finding->problem.path);
		problem->problem = pstrdup(finding->problem.problem);
		problems = lappend(problems, problem);
	}
	return problems;
}

static void
compile_machine(AslCompiler *compiler, const AslTree *tree)
{
	AslLanguage language;

	if (!read_language(compiler, tree, &language))
		return;
	compile_scope(compiler, tree, SCOPE_MACHINE, &compiler->machine->root);
	index_states(compiler);
	check_assignments(compiler);
}

AslMachine *
asl_compile(const char *definition, int length, MemoryContext cxt, List **problems)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext machine_cxt = AllocSetContextCreate(caller, "workflow", ALLOCSET_SMALL_SIZES);
	AslCompiler compiler = {0};
	AslMachine *machine;

	compiler.temporary = AllocSetContextCreate(caller, "workflow definition", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(compiler.temporary);
	compiler.root = asl_tree_parse(definition, length, &compiler.findings);

	MemoryContextSwitchTo(machine_cxt);
	compiler.machine = machine = palloc0(sizeof(AslMachine));
	machine->cxt = machine_cxt;
	if (compiler.root != NULL)
		compile_machine(&compiler, compiler.root);

	MemoryContextSwitchTo(caller);
	*problems = make_problems(compiler.findings);
	MemoryContextDelete(compiler.temporary);
	if (*problems != NIL)
	{
		MemoryContextDelete(machine_cxt);
		return NULL;
	}
	MemoryContextSetParent(machine_cxt, cxt);
	return machine;
}
