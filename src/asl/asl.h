/*-------------------------------------------------------------------------
 *
 * asl.h
 *	  The language: what the rest of the extension may use of src/asl.
 *
 * Pure: definition text in, compiled machine out; jsonb in, jsonb out.  Knows
 * nothing of tables, runs or processes.  Nothing here raises an ERROR for what
 * a definition or its data can cause: problems of a definition come back as a
 * list, failures at run time as an AslError.  (Out of memory, a too deep stack
 * and a query cancel are raised as everywhere in the server.)
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_H
#define ASL_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* ---- definitions ---- */

/* A problem of a definition: where (a JSON path, "/States/A/Retry[0]/ErrorEquals"; "/" is all of it) and what. */
typedef struct AslProblem
{
	char	   *path;
	char	   *problem;
} AslProblem;

/* As many are reported; should there be more, the last one says so. */
#define ASL_MAX_PROBLEMS 1000

typedef enum AslStateType
{
	ASL_PASS, ASL_TASK, ASL_CHOICE, ASL_WAIT, ASL_SUCCEED, ASL_FAIL, ASL_PARALLEL, ASL_MAP
} AslStateType;

/* What becomes of a child run when its parent closes. */
typedef enum AslClosePolicy
{
	ASL_CLOSE_DEFAULT,			/* not given */
	ASL_CLOSE_TERMINATE, ASL_CLOSE_CANCEL, ASL_CLOSE_ABANDON
} AslClosePolicy;

#define ASL_END (-1)			/* AslState.next of a state with End, and of Succeed and Fail */

typedef struct AslMachine AslMachine;
typedef struct AslScope AslScope;
typedef struct AslState AslState;

/* One "States" object: of the machine, of a Parallel's branch, of a Map's processor. */
struct AslScope
{
	AslMachine *machine;
	AslState   *owner;			/* the Parallel or Map state, NULL for the machine's own */
	int			branch_no;		/* which of a Parallel's branches */
	int			start_at;
	int			nstates;
	AslState   *states;
};

/* What engine and tests may see of a state; the rest is private (machine.h). */
struct AslState
{
	AslScope   *scope;
	char	   *name;
	AslStateType type;
	int			next;			/* index in scope->states, or ASL_END */
	char	   *resource;		/* Task */
	bool		has_timeout;	/* Task: TimeoutSeconds or its path is given */
	bool		has_heartbeat;
	AslState   *compensation;	/* Task: what undoes it, a Task in a scope of its own; NULL: nothing */
	bool		compensate_before;	/* it is registered before the work, not after it */
	AslClosePolicy close_policy;	/* Task that starts a child run */
	bool		detached;		/* it does not wait for the child run's result */
	int			workflow_version;	/* of the child run; 0: the current one */
	char	   *validator;		/* Task that waits for an update: the function that may refuse it, or NULL */
	int			respond;		/* the state of its scope whose output is the answer; ASL_END: the update itself is */
	int			nscopes;		/* Parallel: branches; Map: 1 */
	AslScope  **scopes;
	int			nretriers;
	bool		distributed;	/* Map: its ProcessorConfig says DISTRIBUTED */
	char	   *item_reader;	/* Map: the resource of its ItemReader, or NULL */
	char	   *result_writer;	/* Map: the resource of its ResultWriter, or NULL */
	struct AslStateBody *body;	/* private to src/asl */
};

/* A query that the workflow has besides those that every run has. */
typedef struct AslQuery
{
	char	   *name;
	char	   *function;		/* schema.function */
} AslQuery;

struct AslMachine
{
	MemoryContext cxt;
	AslScope	root;
	double		timeout_seconds;	/* 0: none */
	bool		compensates;	/* some Task has a compensation */
	bool		compensates_at_once;	/* CompensationOrder: all at the same time, not one after the other */
	char	   *comment;
	char	   *version;
	int			nqueries;
	AslQuery   *queries;		/* in the order of the text */
	int			nstates;		/* of the whole machine */
	AslState  **states;			/* by name */
};

/*
 * Parse, validate and compile a definition (text of type json, so it is known to be well-formed; duplicate
 * keys are still visible).  All of the machine is allocated in a context below cxt (machine->cxt, to be deleted
 * when the machine is not needed any more).  On problems returns NULL and sets *problems to a list of
 * AslProblem in the order of the text.
 */
extern AslMachine *asl_compile(const char *definition, int length, MemoryContext cxt, List **problems);

/* A state by its name, anywhere in the machine (names are unique in a whole machine); NULL if there is none. */
extern AslState *asl_find_state(const AslMachine *machine, const char *name);

/* Is this a query that every run has, so that no workflow can have one of this name? */
extern bool asl_is_built_in_query(const char *name);

/* ---- run time ---- */

/* A failure of a run's state: an Error Name (NULL: of a Fail state without Error) and a human-readable cause. */
typedef struct AslError
{
	char	   *name;
	char	   *cause;			/* may be NULL */
} AslError;

/* What a state is evaluated in. */
typedef struct AslEnv
{

	/*
	 * Makes `$$`, when a path asks for it.  The path sees only this part of it, and only this member of that (both
	 * may be NULL: all): the rest may be left out.
	 */
	Jsonb	   *(*context) (void *arg, const char *part, const char *member);
	void	   *context_arg;
	Jsonb	   *variables;		/* an object, or NULL: none */
	int64		data_limit;		/* bytes of a payload as compact text above which States.DataLimitExceeded; 0: none */
} AslEnv;

/* Where a state's data stood after each stage, for test_state(); a NULL trace costs nothing. */
typedef struct AslTrace
{
	Jsonb	   *after_input_path;
	Jsonb	   *after_parameters;
	Jsonb	   *result;
	Jsonb	   *after_result_selector;
	Jsonb	   *after_result_path;
} AslTrace;

/*
 * All of these return true, or false with *error filled.  Results are in the current memory context.
 */

/* InputPath, then Parameters (Arguments): what a Pass, Task or Parallel works on.  Of others: InputPath. */
extern bool asl_effective_input(const AslState *state, Jsonb *input, const AslEnv *env,
								Jsonb **effective, AslTrace *trace, AslError *error);

/*
 * ResultSelector, Assign, ResultPath, OutputPath: a state's output from its raw input and its work's result.
 * For Pass the result is its Result field or the effective input (asl_pass_result), for Wait and Succeed the
 * effective input.
 * *variables: the new variables, or env->variables itself where nothing was assigned.
 */
extern bool asl_output(const AslState *state, Jsonb *input, Jsonb *result, const AslEnv *env,
					   Jsonb **output, Jsonb **variables, AslTrace *trace, AslError *error);

extern Jsonb *asl_pass_result(const AslState *state, Jsonb *effective);

/*
 * Choice: the index of the next state (InputPath, rules in order, Default), and the output and Assign of the rule
 * that matched.
 */
extern bool asl_choose(const AslState *state, Jsonb *input, const AslEnv *env,
					   int *next, Jsonb **output, Jsonb **variables, AslError *error);

/* The action of an AWS service that a Task's resource names: what follows `arn:PARTITION:states:::`; NULL: none. */
extern const char *asl_service_action(const char *resource);

/* Wait: the time until which to wait, given the time at which the state was entered. */
extern bool asl_wait_until(const AslState *state, Jsonb *input, TimestampTz entered, const AslEnv *env,
						   TimestampTz *until, AslError *error);

/* Fail: its Error and Cause (fields or paths or intrinsic functions), NULL where not given. */
extern bool asl_fail(const AslState *state, Jsonb *input, const AslEnv *env, AslError *failure, AslError *error);

/* Task: TimeoutSeconds and HeartbeatSeconds, fixed or by path; 0 where not given. */
extern bool asl_task_timeout(const AslState *state, Jsonb *input, const AslEnv *env,
							 double *timeout_seconds, double *heartbeat_seconds, AslError *error);

/* The size of data as the limit counts it: bytes of its JSON text without blanks. */
extern int64 asl_compact_size(Jsonb *document);

/* Task that starts a child run: WorkflowId, fixed or by path; NULL where not given. */
extern bool asl_task_workflow_id(const AslState *state, Jsonb *input, const AslEnv *env,
								 char **workflow_id, AslError *error);

/*
 * What the compensation of a Task is to get: its Parameters evaluated on the Task's output (or its input, where it is
 * registered before); env has the variables as they are then.
 */
extern bool asl_compensation_input(const AslState *state, Jsonb *data, const AslEnv *env,
								   Jsonb **input, AslError *error);

/* Task: what an external activity may have besides, in seconds; 0 where not given. */
typedef struct AslTaskLimits
{
	double		schedule_to_start;	/* until somebody takes an attempt */
	double		start_to_close; /* from then on */
	double		schedule_to_close;	/* of all attempts together */
	int			priority;		/* up to ASL_MAX_PRIORITY; the greater is taken first */
} AslTaskLimits;

#define ASL_MAX_PRIORITY 1000

extern void asl_task_limits(const AslState *state, AslTaskLimits *limits);

/* ---- Retry and Catch ---- */

/*
 * An extension: the error of a state whose run was asked to cancel.  No retrier takes it, and only a catcher that
 * names it.
 */
#define ASL_ERROR_CANCELED "Canceled"

/*
 * Does a retrier take this error?  counts[state->nretriers] are the retries so far of each, and is updated (a
 * count stops at 32,767; a larger MaxAttempts means no limit).  Returns true with the delay before the next
 * attempt, in seconds (jitter applied).
 */
extern bool asl_retry(const AslState *state, const AslError *error, int16 *counts, double *delay_seconds);

/*
 * Does a catcher take this error?  If so, *next is the state to go to and *output its input: error_output
 * ({"Error":…,"Cause":…}) put into the raw input by the catcher's ResultPath (default: replaces it).
 * *caught says whether one matched; false is returned only when evaluating the matched catcher itself failed.
 */
extern bool asl_catch(const AslState *state, Jsonb *input, const AslError *failure, const AslEnv *env,
					  bool *caught, int *next, Jsonb **output, Jsonb **variables, AslError *error);

/* ---- Map (and its kin) ---- */

typedef struct AslMapPlan
{
	Jsonb	   *items;			/* an array: ItemsPath applied, batched where ItemBatcher says so */
	int			nitems;			/* -1 if the plan failed before they were known */
	int			max_concurrency;	/* 0: no limit */
	double		tolerated_count;	/* failures up to which the Map goes on; 0: none */
	double		tolerated_percentage;
} AslMapPlan;

/*
 * What a Map runs over, from its raw input.  With an ItemReader, read is what it has read (an array), else NULL.
 */
extern bool asl_map_plan(const AslState *state, Jsonb *input, Jsonb *read, const AslEnv *env,
						 AslMapPlan *plan, AslError *error);

/*
 * The input of one iteration (ItemSelector or Parameters applied, unless that was done when batches were made);
 * env's context holds Map.Item.Index and .Value.
 */
extern bool asl_map_item_input(const AslState *state, Jsonb *input, Jsonb *item, const AslEnv *env,
							   Jsonb **item_input, AslError *error);

/* Do iterations get batches of items?  Is ItemsPath applied to all that the ItemReader reads? */
extern bool asl_map_is_batched(const AslState *state);
extern bool asl_map_selects_items(const AslState *state);

/*
 * The batches of a Map with an ItemBatcher, when the items come one by one.  Both functions return the batch that is
 * complete now, in *batch, or NULL; asl_batcher_end() after the last item.
 */
typedef struct AslBatcher AslBatcher;

extern bool asl_batcher_create(const AslState *state, Jsonb *input, const AslEnv *env, AslBatcher **batcher,
							   AslError *error);
extern bool asl_batcher_add(AslBatcher *batcher, Jsonb *item, Jsonb **batch, AslError *error);
extern bool asl_batcher_end(AslBatcher *batcher, Jsonb **batch, AslError *error);

/* ItemReader and ResultWriter: their arguments (NULL: none), and the greatest number of items to read (0: all). */
extern bool asl_reader_arguments(const AslState *state, Jsonb *input, const AslEnv *env,
								 Jsonb **arguments, double *max_items, AslError *error);
extern bool asl_writer_arguments(const AslState *state, Jsonb *input, const AslEnv *env,
								 Jsonb **arguments, AslError *error);

#endif							/* ASL_H */
