/*-------------------------------------------------------------------------
 *
 * value.h
 *	  JSON values as the language sees them.
 *
 * A value under work is a JsonbValue: a scalar, a jbvBinary that points into
 * some Jsonb, or an array or object built of such values (keys in any order,
 * the last of equal keys counts).  asl_value_build() makes a Jsonb of it by
 * copying the parts that are Jsonb already, so inserting one field into a large
 * document costs one memcpy, and a limit is found before memory is asked for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ASL_VALUE_H
#define ASL_VALUE_H

#include "asl/asl.h"
#include "utils/numeric.h"

/* Error names of the language. */
#define ASL_ERROR_RUNTIME "States.Runtime"
#define ASL_ERROR_INTRINSIC "States.IntrinsicFailure"
#define ASL_ERROR_RESULT_PATH "States.ResultPathMatchFailure"
#define ASL_ERROR_PARAMETER_PATH "States.ParameterPathFailure"
#define ASL_ERROR_DATA_LIMIT "States.DataLimitExceeded"

/* Fill *error; returns false, so that a function can "return asl_error(...)". */
extern bool asl_error(AslError *error, const char *name, const char *cause_format,...) pg_attribute_printf(3, 4);

/* ---- between Jsonb and JsonbValue ---- */

/* A view of the whole document; points into it.  A scalar document becomes the scalar. */
extern JsonbValue asl_value_of(Jsonb *document);

/* A document of a value; false if it would be larger or deeper than a jsonb can be. */
extern bool asl_value_build(const JsonbValue *value, Jsonb **document, AslError *error);

/* Documents that cannot fail to be built. */
extern Jsonb *asl_jsonb_null(void);
extern Jsonb *asl_jsonb_bool(bool value);
extern Jsonb *asl_jsonb_empty_object(void);

/* Values in memory, as arguments of asl_value_build(). */
extern JsonbValue asl_value_null(void);
extern JsonbValue asl_value_bool(bool value);
extern JsonbValue asl_value_int(int64 value);
extern JsonbValue asl_value_text(const char *text, int length);
extern JsonbValue asl_value_empty_array(void);
extern JsonbValue asl_value_empty_object(void);
extern void asl_array_append(JsonbValue *array, const JsonbValue *element);
extern void asl_object_add(JsonbValue *object, const char *key, int key_length, const JsonbValue *value);

/* ---- looking at values (of either kind: built, or pointing into a Jsonb) ---- */

extern bool asl_value_is_object(const JsonbValue *value);
extern bool asl_value_is_array(const JsonbValue *value);
extern int	asl_value_count(const JsonbValue *value);	/* elements or pairs; 0 of a scalar */
extern bool asl_value_field(const JsonbValue *object, const char *key, int key_length, JsonbValue *value);
extern bool asl_value_element(const JsonbValue *array, int index, JsonbValue *value);	/* 0 is the first */
extern bool asl_value_string_is(const JsonbValue *value, const char *text);

/*
 * Visit the members of an array or object, in order.
 *	for (asl_each_init(&each, &value); asl_each_next(&each, &key, &member);)
 * key is not set for arrays.
 */
typedef struct AslEach
{
	const JsonbValue *value;
	JsonbContainer *container;
	uint32		index;
	uint32		count;
	uint32		offset;			/* of the next member's data */
	uint32		key_offset;
	char	   *base;
} AslEach;

extern void asl_each_init(AslEach *each, const JsonbValue *value);
extern bool asl_each_next(AslEach *each, JsonbValue *key, JsonbValue *member);

/* Deep equality: numbers by value, objects whatever the order of their keys. */
extern bool asl_value_equal(const JsonbValue *a, const JsonbValue *b);

/* An integer that fits; false for other numbers and other kinds of values. */
extern bool asl_value_to_int64(const JsonbValue *value, int64 *result);

/* NaN and infinities, which JSON has no text for, never appear in values. */
extern bool asl_value_to_double(const JsonbValue *value, double *result);

/* "null", "boolean", "number", "string", "array", "object" */
extern const char *asl_value_kind(const JsonbValue *value);

/* ---- text ---- */

/* JSON text without blanks, as the service counts and prints it. */
extern char *asl_compact_text(Jsonb *document, int *length);	/* length may be NULL */

/* The same, cut after at most limit bytes (at a character's end, with "..."): for causes. */
extern char *asl_compact_excerpt(Jsonb *document, int limit);

/* The error for data beyond AslEnv.data_limit; what is the name of the state or task whose data this is. */
extern bool asl_too_large(const char *what, AslError *error);

/* Checks AslEnv.data_limit; what is the name of the state or task whose data this is. */
extern bool asl_within_limit(Jsonb *document, const AslEnv *env, const char *what, AslError *error);

/* Parse JSON text; false (with *problem) where it is not JSON, or not one that a jsonb can hold. */
extern bool asl_value_parse(const char *text, int length, JsonbValue *value, char **problem);

#endif							/* ASL_VALUE_H */
