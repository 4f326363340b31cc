/*-------------------------------------------------------------------------
 *
 * intrinsic.h
 *	  The intrinsic functions: what expr.c needs to know of them, and what they
 *	  need from each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_INTRINSIC_H
#define ASL_INTRINSIC_H

#include "asl/value.h"

/* One call that is being evaluated. */
typedef struct AslCall
{
	const char *text;			/* the call as it was written */
	int			nargs;
	JsonbValue *args;
	bool		literal_template;	/* the first argument is a literal, with its escapes still in it */
	AslError   *error;
} AslCall;

typedef struct AslIntrinsic
{
	const char *name;
	int			min_args;
	int			max_args;
	bool		(*call) (AslCall *call, JsonbValue *result);
	bool		is_format;		/* braces of a literal first argument mean something */
} AslIntrinsic;

/* NULL if there is no such function. */
extern const AslIntrinsic *asl_intrinsic_find(const char *name, int length);

/* Fills the call's error with States.IntrinsicFailure; returns false. */
extern bool asl_call_failed(AslCall *call, const char *reason,...) pg_attribute_printf(2, 3);

/* Arguments of a required kind; false with the error filled. */
extern bool asl_string_argument(AslCall *call, int n, JsonbValue *value);
extern bool asl_array_argument(AslCall *call, int n, JsonbValue **elements, int *count);
extern bool asl_int_argument(AslCall *call, int n, int64 *value);

/* intrinsic_text.c */
extern bool asl_intrinsic_format(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_string_split(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_string_to_json(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_json_to_string(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_base64_encode(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_base64_decode(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_hash(AslCall *call, JsonbValue *result);
extern bool asl_intrinsic_uuid(AslCall *call, JsonbValue *result);

#endif							/* ASL_INTRINSIC_H */
