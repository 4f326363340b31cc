/*-------------------------------------------------------------------------
 *
 * path_tree.h
 *	  What path_parse.c makes of a path and path_exec.c walks along.
 *
 *	  $.orders[?(@.total > 100 && @.state in ['open', 'late'])].items[0:5]
 *
 *	  path: root $
 *		step NAME orders
 *		step FILTER
 *			AND
 *				COMPARE  path @.total   >   literal 100
 *				COMPARE  path @.state   in  literal ["open", "late"]
 *		step NAME items
 *		step SLICE 0:5:1
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_PATH_TREE_H
#define ASL_PATH_TREE_H

#include "asl/path.h"
#include "regex/regex.h"

/* A root that only the paths inside filters have. */
#define ROOT_ITEM ((AslPathRoot) (ASL_ROOT_VARIABLE + 1))	/* @ */

typedef enum StepKind
{
	STEP_NAME,					/* .a  ['a'] */
	STEP_INDEX,					/* [0]  [-1] */
	STEP_NAMES,					/* ['a', 'b'] */
	STEP_INDEXES,				/* [0, 2] */
	STEP_SLICE,					/* [1:5:2] */
	STEP_WILDCARD,				/* .*  [*] */
	STEP_DESCEND,				/* ..  all arrays and objects inside, from the outermost */
	STEP_FILTER					/* [?(...)] */
} StepKind;

typedef struct PathName
{
	char	   *text;
	int			length;
} PathName;

typedef struct Filter Filter;

typedef struct PathStep
{
	StepKind	kind;
	int			count;			/* of names or indexes */
	PathName   *names;
	int64	   *indexes;
	bool		has_from;
	bool		has_to;
	int64		from;
	int64		to;
	int64		step;
	Filter	   *filter;
} PathStep;

/* A function at a path's end. */
typedef enum PathFunction
{
	PATH_NO_FUNCTION,
	PATH_LENGTH,
	PATH_MIN,
	PATH_MAX,
	PATH_SUM,
	PATH_AVG,
	PATH_KEYS,
	PATH_FIRST,
	PATH_LAST
} PathFunction;

struct AslPath
{
	char	   *text;
	AslPathRoot root;
	char	   *variable;		/* ASL_ROOT_VARIABLE: its name */
	int			nsteps;
	PathStep   *steps;
	PathFunction function;
	bool		single;			/* the steps select at most one value */
};

typedef enum FilterOperator
{
	OP_EQUAL, OP_NOT_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL, OP_MATCHES,
	OP_IN, OP_NOT_IN, OP_ANY_OF, OP_NONE_OF, OP_SUBSET_OF, OP_CONTAINS, OP_SIZE, OP_EMPTY
} FilterOperator;

typedef struct Operand
{
	AslPath    *path;			/* NULL: a literal */
	JsonbValue	literal;
	int			slot;			/* of a path that does not depend on the item: where its value is kept; else -1 */
} Operand;

typedef enum FilterKind
{
	FILTER_OR, FILTER_AND, FILTER_NOT, FILTER_EXISTS, FILTER_COMPARE
} FilterKind;

typedef struct FilterNode
{
	FilterKind	kind;
	List	   *arguments;		/* OR, AND, NOT: FilterNode */
	FilterOperator operator;
	Operand		left;			/* EXISTS has only this one */
	Operand		right;
	regex_t    *regex;			/* OP_MATCHES */
} FilterNode;

struct Filter
{
	FilterNode *root;
	int			nslots;
};

/*
 * Read a path that is a part of a longer text, an argument of an intrinsic function: *p moves behind it.
 * NULL and *problem if there is none.
 */
extern AslPath *asl_path_read(const char **p, const char *end, char **problem);

#endif							/* ASL_PATH_TREE_H */
