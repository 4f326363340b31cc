/*-------------------------------------------------------------------------
 *
 * path.h
 *	  Paths: JSONPath in the dialect of the service.
 *
 * A path begins with "$" (the input), "$$" (the context object) or "$name" (a
 * variable).  Whether it is definite, that is, selects at most one value
 * by its very form, is known when it is parsed, and decides what comes of a path
 * that selects nothing: a definite path is not found (an error in most fields), an
 * indefinite one yields [].
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_PATH_H
#define ASL_PATH_H

#include "asl/asl.h"

typedef struct AslPath AslPath;

typedef enum AslPathRoot
{
	ASL_ROOT_INPUT,				/* $ */
	ASL_ROOT_CONTEXT,			/* $$ */
	ASL_ROOT_VARIABLE			/* $name */
} AslPathRoot;

/* NULL and *problem (a sentence without the path itself) if text is no path. */
extern AslPath *asl_path_parse(const char *text, char **problem);

extern const char *asl_path_text(const AslPath *path);
extern AslPathRoot asl_path_root(const AslPath *path);
extern bool asl_path_is_definite(const AslPath *path);
extern bool asl_path_is_reference(const AslPath *path); /* names and indexes only */
extern bool asl_path_is_whole(const AslPath *path); /* just "$", "$$" or "$name" */

/*
 * What the path selects (nothing, if it begins with a variable without a value); false only on an error, such
 * as a result beyond all limits.
 * A value found may point into input, the context object or the variables.
 */
extern bool asl_path_find(const AslPath *path, Jsonb *input, const AslEnv *env,
						  JsonbValue *value, bool *found, AslError *error);

/* The same as a document of its own. */
extern bool asl_path_eval(const AslPath *path, Jsonb *input, const AslEnv *env,
						  Jsonb **value, bool *found, AslError *error);

/*
 * The same for a field that needs a value: not found is States.Runtime with the service's message,
 * "The JSONPath '...' specified for the field '...' could not be found in the input '...'".
 * With field NULL (InputPath, OutputPath): "Invalid path '...' : No results for path: ...".
 */
extern bool asl_path_require(const AslPath *path, const char *field, Jsonb *input, const AslEnv *env,
							 Jsonb **value, AslError *error);
extern bool asl_path_require_value(const AslPath *path, const char *field, Jsonb *input, const AslEnv *env,
								   JsonbValue *value, AslError *error);

/*
 * ResultPath: document with value put where refpath says.  Missing objects are made; an array's element can be
 * replaced, or appended when the index is the array's length.  Anything else is States.ResultPathMatchFailure.
 */
extern bool asl_path_set(const AslPath *refpath, Jsonb *document, Jsonb *value, Jsonb **result, AslError *error);

/* Does a name follow the rules for variables (without the "$")? */
extern bool asl_is_variable_name(const char *name, int length);

#endif							/* ASL_PATH_H */
