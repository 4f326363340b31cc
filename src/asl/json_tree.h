/*-------------------------------------------------------------------------
 *
 * json_tree.h
 *	  The text of a definition as a tree that keeps what jsonb forgets: the
 *	  order of keys, duplicate keys, and where each value stands in the text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_JSON_TREE_H
#define ASL_JSON_TREE_H

#include "asl/asl.h"
#include "lib/stringinfo.h"

/* Arrays and objects inside each other, and bytes of a definition, beyond which it is refused. */
#define ASL_MAX_NESTING 1000
#define ASL_MAX_DEFINITION (8 * 1024 * 1024)

typedef enum AslTreeType
{
	ASL_TREE_NULL,
	ASL_TREE_BOOLEAN,
	ASL_TREE_NUMBER,
	ASL_TREE_STRING,
	ASL_TREE_ARRAY,
	ASL_TREE_OBJECT
} AslTreeType;

typedef struct AslTree AslTree;

struct AslTree
{
	AslTreeType type;
	int			position;		/* of the value, in bytes from the start of the text */
	AslTree    *parent;
	char	   *key;			/* its name in the parent, if that is an object */
	int			index;			/* which of the parent's children it is */
	bool		boolean;
	char	   *text;			/* a string without escapes, or a number as it was written */
	int			length;
	int			nchildren;
	int			max_children;
	AslTree   **children;
};

/* A problem that was found, and where in the text, so that all can be reported in the order of the text. */
typedef struct AslFinding
{
	int			position;
	int			number;			/* orders those that concern the same place */
	AslProblem	problem;
} AslFinding;

/*
 * Parse text.  What can be said about its values without knowing what they are for is appended to *findings:
 * duplicate keys, what jsonb cannot hold, too deep nesting.  Returns NULL if there is no tree at all.
 */
extern AslTree *asl_tree_parse(const char *text, int length, List **findings);

/* The value of a key (the last one, should there be several), or NULL. */
extern AslTree *asl_tree_field(const AslTree *object, const char *key);

/*
 * The path of a value ("/States/A/Retry[0]"), and the value that a path leads to, or as far as it leads.  Paths are
 * not longer than ASL_MAX_PATH bytes, lest a hostile definition make a thousand of them of some megabytes each.
 */
#define ASL_MAX_PATH 4096
extern char *asl_tree_path(const AslTree *tree);
extern char *asl_shorten_path(char *path);
extern void asl_append_path_key(StringInfo path, const char *key);
extern const AslTree *asl_tree_resolve(const AslTree *root, const char *path);

extern bool asl_tree_is_string(const AslTree *tree, const char *text);

/* The value as jsonb.  Cannot fail: the parser has replaced what jsonb cannot hold. */
extern Jsonb *asl_tree_to_jsonb(const AslTree *tree);

/* Beyond ASL_MAX_PROBLEMS, nothing is added. */
extern bool asl_findings_full(const List *findings);
extern void asl_add_finding(List **findings, int position, char *path, char *problem);

#endif							/* ASL_JSON_TREE_H */
