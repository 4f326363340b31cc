/*-------------------------------------------------------------------------
 *
 * template.h
 *	  Expressions (a path or a call of an intrinsic function) and payload
 *	  templates (JSON in which the fields named "….$" hold expressions).
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_TEMPLATE_H
#define ASL_TEMPLATE_H

#include "asl/asl.h"
#include "asl/path.h"

typedef struct AslExpr AslExpr;
typedef struct AslTemplate AslTemplate;

/* NULL and *problem if text is neither a path nor a well-formed call of a known function. */
extern AslExpr *asl_expr_parse(const char *text, char **problem);

/* The path that an expression is, or NULL: a function call. */
extern const AslPath *asl_expr_path(const AslExpr *expr);

/* field names the expression in causes ("x.$", "CausePath"). */
extern bool asl_expr_eval(const AslExpr *expr, const char *field, Jsonb *input, const AslEnv *env,
						  Jsonb **value, AslError *error);
extern bool asl_expr_eval_value(const AslExpr *expr, const char *field, Jsonb *input, const AslEnv *env,
								JsonbValue *value, AslError *error);

/*
 * Compile a template (any JSON value).  Problems are appended to *problems as AslProblem, their paths beginning
 * with json_path ("/States/A/Parameters"); the result is then NULL.  The template does not refer to source.
 */
extern AslTemplate *asl_template_compile(Jsonb *source, const char *json_path, List **problems);

/*
 * Take the fields that hold just this path out of a template that is an object, and make them one of their own; NULL:
 * there are none.
 */
extern AslTemplate *asl_template_take(AslTemplate *template, const char *path);

extern bool asl_template_eval(const AslTemplate *template, Jsonb *input, const AslEnv *env,
							  Jsonb **result, AslError *error);

#endif							/* ASL_TEMPLATE_H */
