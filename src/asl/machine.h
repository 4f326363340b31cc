/*-------------------------------------------------------------------------
 *
 * machine.h
 *	  The compiled machine, as src/asl alone knows it.
 *
 * A machine is a tree of scopes ("States" objects) and states, and each state's
 * body holds its fields ready to run: paths, templates and choice rules parsed,
 * constants as jsonb.
 *
 *		AslMachine
 *		  root: AslScope
 *			states[]: AslState ---- body: AslStateBody
 *			  scopes[]: AslScope       choices[]: AslChoice -> AslRule tree
 *				...                    retriers[], catchers[]
 *
 * Built once by compile.c in one memory context, immutable afterwards.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_MACHINE_H
#define ASL_MACHINE_H

#include "asl/asl.h"
#include "asl/path.h"
#include "asl/template.h"
#include "asl/timestamp.h"

/* Error names that only this part of the language knows (see also value.h). */
#define ASL_ERROR_ALL "States.ALL"
#define ASL_ERROR_TASK_FAILED "States.TaskFailed"
#define ASL_ERROR_TIMEOUT "States.Timeout"
#define ASL_ERROR_HEARTBEAT_TIMEOUT "States.HeartbeatTimeout"
#define ASL_ERROR_NO_CHOICE "States.NoChoiceMatched"

/* The language of a state's expressions.  Only JSONPath can be compiled so far. */
typedef enum AslLanguage
{
	ASL_JSONPATH,
	ASL_JSONATA
} AslLanguage;

/* A path that selects the input or output; the field may be null, which discards it. */
typedef struct AslFilter
{
	bool		discard;
	AslPath    *path;			/* NULL: all of it */
} AslFilter;

/* A number that is given by a field or by the path in its sister field; neither: not given. */
typedef struct AslAmount
{
	bool		given;
	double		value;
	AslPath    *path;
} AslAmount;

/* What such a number must be, and the name of the field. */
typedef struct AslRange
{
	const char *name;
	double		min;
	double		max;
	bool		whole;
} AslRange;

/* Up to here a double holds every whole number. */
#define ASL_MAX_WHOLE_NUMBER 9007199254740991.0

typedef struct AslInstantField
{
	bool		given;
	AslInstant	value;
	AslPath    *path;
} AslInstantField;

/* ErrorEquals */
typedef struct AslErrorSet
{
	int			nnames;
	char	  **names;
} AslErrorSet;

typedef struct AslRetrier
{
	AslErrorSet errors;
	AslAmount	interval;
	AslAmount	max_attempts;
	AslAmount	max_delay;
	double		backoff_rate;
	bool		full_jitter;
} AslRetrier;

typedef struct AslCatcher
{
	AslErrorSet errors;
	int			next;
	AslFilter	result_path;
	AslTemplate *assign;
} AslCatcher;

/* ---- Choice ---- */

typedef enum AslRuleKind
{
	ASL_RULE_AND,
	ASL_RULE_OR,
	ASL_RULE_NOT,
	ASL_RULE_COMPARE,
	ASL_RULE_MATCHES,
	ASL_RULE_IS_PRESENT,
	ASL_RULE_IS_NULL,
	ASL_RULE_IS_NUMERIC,
	ASL_RULE_IS_STRING,
	ASL_RULE_IS_BOOLEAN,
	ASL_RULE_IS_TIMESTAMP
} AslRuleKind;

typedef enum AslOperand
{
	ASL_OPERAND_STRING,
	ASL_OPERAND_NUMERIC,
	ASL_OPERAND_BOOLEAN,
	ASL_OPERAND_TIMESTAMP
} AslOperand;

typedef enum AslComparison
{
	ASL_EQUAL,
	ASL_LESS,
	ASL_GREATER,
	ASL_LESS_EQUAL,
	ASL_GREATER_EQUAL
} AslComparison;

typedef struct AslPattern AslPattern;
typedef struct AslRule AslRule;

struct AslRule
{
	AslRuleKind kind;
	int			nrules;			/* And, Or, Not */
	AslRule   **rules;
	AslPath    *variable;		/* all others */
	bool		expected;		/* Is... */
	AslPattern *pattern;		/* StringMatches */
	AslOperand	operand;		/* comparisons */
	AslComparison comparison;
	const char *field;			/* name of the operator */
	AslPath    *path;			/* the other side is what this selects, or else: */
	JsonbValue	constant;
	AslInstant	instant;
};

typedef struct AslChoice
{
	AslRule    *rule;
	int			next;
	AslTemplate *assign;
} AslChoice;

/* ---- states ---- */

typedef struct AslStateBody AslStateBody;

struct AslStateBody
{
	AslState   *state;
	AslLanguage language;
	bool		end;

	AslFilter	input_path;
	AslFilter	result_path;
	AslFilter	output_path;
	AslTemplate *parameters;
	AslTemplate *result_selector;
	AslTemplate *assign;
	Jsonb	   *result;			/* Pass */

	AslAmount	timeout;		/* Task */
	AslAmount	heartbeat;
	AslAmount	schedule_to_start;	/* of external activities */
	AslAmount	start_to_close;
	AslAmount	schedule_to_close;
	AslAmount	priority;
	AslTemplate *credentials;
	AslTemplate *compensation_input;	/* NULL: the output, or the input where it is registered before */
	AslTemplate *late_parameters;	/* of a compensation: what is added to its input when it begins; NULL: nothing */
	char	   *workflow_id;	/* of a child run */
	AslExpr    *workflow_id_path;
	AslRetrier *retriers;		/* as many as state->nretriers */
	int			ncatchers;
	AslCatcher *catchers;

	int			nchoices;		/* Choice */
	AslChoice  *choices;
	int			default_next;	/* ASL_END: none */

	AslAmount	seconds;		/* Wait */
	AslInstantField timestamp;

	char	   *error;			/* Fail */
	char	   *cause;
	AslExpr    *error_path;
	AslExpr    *cause_path;

	AslPath    *items_path;		/* Map */
	AslTemplate *item_selector;
	AslAmount	max_concurrency;
	AslAmount	tolerated_count;
	AslAmount	tolerated_percentage;
	bool		batched;
	AslAmount	batch_items;
	AslAmount	batch_bytes;
	AslTemplate *batch_input;
	AslTemplate *reader_parameters;
	AslAmount	reader_max_items;
	AslTemplate *writer_parameters;
};

/* states.c: InputPath of a raw input */
extern bool asl_filter_input(const AslState *state, Jsonb *input, const AslEnv *env,
							 Jsonb **effective, AslError *error);

/* states.c: OutputPath, and the size limit of what goes on to the next state */
extern bool asl_filter_output(const AslState *state, Jsonb *data, const AslEnv *env,
							  Jsonb **output, AslError *error);

/* states.c: Assign; *variables is env->variables itself if there is none */
extern bool asl_assign(const AslTemplate *assign, Jsonb *input, const AslEnv *env,
					   Jsonb **variables, AslError *error);

/* states.c: ResultPath */
extern bool asl_place_result(const AslFilter *result_path, Jsonb *input, Jsonb *result,
							 Jsonb **placed, AslError *error);

/* states.c: a number, 0 if it is not given */
extern bool asl_eval_amount(const AslAmount *amount, const AslRange *range, Jsonb *input, const AslEnv *env,
							double *number, AslError *error);

/* pattern.c: StringMatches; NULL: the pattern ends within an escape */
extern AslPattern *asl_pattern_compile(const char *text, int length);
extern bool asl_pattern_matches(const AslPattern *pattern, const char *text, int length);

#endif							/* ASL_MACHINE_H */
