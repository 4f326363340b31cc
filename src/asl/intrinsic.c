/*-------------------------------------------------------------------------
 *
 * intrinsic.c
 *	  The intrinsic functions on arrays, objects and numbers, and the table of all.
 *
 * Arguments that must be integers are rounded half up first, as the service
 * does: 1.5 -> 2, -1.5 -> -1.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "common/int.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "asl/intrinsic.h"

/* What the specification allows States.ArrayRange to make. */
#define MAX_RANGE 1000

bool
asl_call_failed(AslCall *call, const char *reason,...)
{
	StringInfoData text;
	va_list		args;
	int			needed;

	initStringInfo(&text);
	for (;;)
	{
		va_start(args, reason);
		needed = appendStringInfoVA(&text, reason, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}
	return asl_error(call->error, ASL_ERROR_INTRINSIC, "The function '%s' had the following error: %s",
					 call->text, text.data);
}

bool
asl_string_argument(AslCall *call, int n, JsonbValue *value)
{
	if (call->args[n].type != jbvString)
		return asl_call_failed(call, "Argument %d must be a string but is of type %s",
							   n + 1, asl_value_kind(&call->args[n]));
	*value = call->args[n];
	return true;
}

bool
asl_array_argument(AslCall *call, int n, JsonbValue **elements, int *count)
{
	const JsonbValue *value = &call->args[n];
	AslEach		each;
	JsonbValue	key;

	if (!asl_value_is_array(value))
		return asl_call_failed(call, "Argument %d must be an array but is of type %s", n + 1, asl_value_kind(value));
	*count = 0;
	*elements = palloc_extended((Size) Max(asl_value_count(value), 1) * sizeof(JsonbValue), MCXT_ALLOC_HUGE);
	for (asl_each_init(&each, value); asl_each_next(&each, &key, &(*elements)[*count]); (*count)++)
		CHECK_FOR_INTERRUPTS();
	return true;
}

/* floor(n + 0.5) */
static bool
rounded_argument(AslCall *call, int n, JsonbValue *value)
{
	bool		failed = false;
	Numeric		half;

	if (call->args[n].type != jbvNumeric)
		return asl_call_failed(call, "Argument %d must be a number but is of type %s",
							   n + 1, asl_value_kind(&call->args[n]));
	half = numeric_div_opt_error(int64_to_numeric(1), int64_to_numeric(2), &failed);
	half = numeric_add_opt_error(call->args[n].val.numeric, half, &failed);
	if (failed)
		return asl_call_failed(call, "Argument %d is out of range", n + 1);
	value->type = jbvNumeric;
	value->val.numeric = DatumGetNumeric(DirectFunctionCall1(numeric_floor, NumericGetDatum(half)));
	return true;
}

bool
asl_int_argument(AslCall *call, int n, int64 *value)
{
	JsonbValue	rounded;

	if (!rounded_argument(call, n, &rounded))
		return false;
	return asl_value_to_int64(&rounded, value) || asl_call_failed(call, "Argument %d is out of range", n + 1);
}


/* ---- arrays ---- */

/* An array of values that lie one behind the other; nothing may be appended to it. */
static JsonbValue
array_of(JsonbValue *elements, int count)
{
	JsonbValue	array = asl_value_empty_array();

	array.val.array.elems = elements;
	array.val.array.nElems = count;
	return array;
}

static bool
intrinsic_array(AslCall *call, JsonbValue *result)
{
	*result = array_of(call->args, call->nargs);
	return true;
}

static bool
intrinsic_array_partition(AslCall *call, JsonbValue *result)
{
	JsonbValue *elements;
	int			count;
	int64		size;

	if (!asl_array_argument(call, 0, &elements, &count) || !asl_int_argument(call, 1, &size))
		return false;
	if (size <= 0)
		return asl_call_failed(call, "The chunk size must be a positive integer");
	*result = asl_value_empty_array();
	for (int64 i = 0; i < count; i += Min(size, count))
	{
		JsonbValue	chunk = array_of(elements + i, (int) Min(size, count - i));

		CHECK_FOR_INTERRUPTS();
		asl_array_append(result, &chunk);
	}
	return true;
}

static bool
intrinsic_array_contains(AslCall *call, JsonbValue *result)
{
	JsonbValue *elements;
	int			count;
	bool		found = false;

	if (!asl_array_argument(call, 0, &elements, &count))
		return false;
	for (int i = 0; i < count && !found; i++)
	{
		CHECK_FOR_INTERRUPTS();
		found = asl_value_equal(&elements[i], &call->args[1]);
	}
	*result = asl_value_bool(found);
	return true;
}

static bool
intrinsic_array_range(AslCall *call, JsonbValue *result)
{
	int64		first;
	int64		last;
	int64		step;
	int			count = 0;

	if (!asl_int_argument(call, 0, &first) || !asl_int_argument(call, 1, &last) || !asl_int_argument(call, 2, &step))
		return false;
	if (step == 0)
		return asl_call_failed(call, "The increment must not be zero");
	*result = asl_value_empty_array();
	for (int64 i = first; step > 0 ? i <= last : i >= last;)
	{
		JsonbValue	element = asl_value_int(i);

		if (++count > MAX_RANGE)
			return asl_call_failed(call, "The array would have more than %d elements", MAX_RANGE);
		asl_array_append(result, &element);
		if (pg_add_s64_overflow(i, step, &i))
			break;
	}
	return true;
}

static bool
intrinsic_array_get_item(AslCall *call, JsonbValue *result)
{
	int64		index;

	if (!asl_value_is_array(&call->args[0]))
		return asl_call_failed(call, "Argument 1 must be an array but is of type %s", asl_value_kind(&call->args[0]));
	if (!asl_int_argument(call, 1, &index))
		return false;
	if (index < 0 || index >= asl_value_count(&call->args[0]))
		return asl_call_failed(call, "The index " INT64_FORMAT " is out of bounds for an array of %d elements",
							   index, asl_value_count(&call->args[0]));
	return asl_value_element(&call->args[0], (int) index, result);
}

static bool
intrinsic_array_length(AslCall *call, JsonbValue *result)
{
	if (!asl_value_is_array(&call->args[0]))
		return asl_call_failed(call, "Argument 1 must be an array but is of type %s", asl_value_kind(&call->args[0]));
	*result = asl_value_int(asl_value_count(&call->args[0]));
	return true;
}

/* An element of an array whose equals are sought. */
typedef struct Hashed
{
	uint32		hash;
	int			index;
} Hashed;

static int
compare_hashed(const void *a, const void *b)
{
	const Hashed *ha = (const Hashed *) a;
	const Hashed *hb = (const Hashed *) b;

	if (ha->hash != hb->hash)
		return ha->hash > hb->hash ? 1 : -1;
	return ha->index > hb->index ? 1 : -1;
}

/* Equal scalars and documents have equal hashes; a number's ignores trailing zeros. */
static void
hash_value(const JsonbValue *value, uint32 *hash)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	part;

	if (IsAJsonbScalar(value))
		JsonbHashScalarValue(value, hash);
	else
	{
		iterator = JsonbIteratorInit(value->val.binary.data);
		while ((token = JsonbIteratorNext(&iterator, &part, false)) != WJB_DONE)
		{
			CHECK_FOR_INTERRUPTS();
			if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
				JsonbHashScalarValue(&part, hash);
		}
	}
}

/* What a path or another call has put together becomes a document of its own, in which keys have their order. */
static bool
settle_value(AslCall *call, JsonbValue *value)
{
	Jsonb	   *document;

	if (IsAJsonbScalar(value) || value->type == jbvBinary)
		return true;
	if (!asl_value_build(value, &document, call->error))
		return false;
	*value = asl_value_of(document);
	return true;
}

static bool
intrinsic_array_unique(AslCall *call, JsonbValue *result)
{
	JsonbValue *elements;
	int			count;
	Hashed	   *hashed;
	bool	   *duplicate;

	if (!asl_array_argument(call, 0, &elements, &count))
		return false;
	hashed = palloc_extended((Size) Max(count, 1) * sizeof(Hashed), MCXT_ALLOC_HUGE);
	duplicate = palloc0((Size) Max(count, 1));
	for (int i = 0; i < count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!settle_value(call, &elements[i]))
			return false;
		hashed[i].hash = 0;
		hash_value(&elements[i], &hashed[i].hash);
		hashed[i].index = i;
	}
	qsort(hashed, count, sizeof(Hashed), compare_hashed);

	/* Of equal ones only the first stays; those that follow it here have the same hash. */
	for (int i = 0; i < count; i++)
	{
		for (int j = i + 1; !duplicate[hashed[i].index] && j < count && hashed[j].hash == hashed[i].hash; j++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!duplicate[hashed[j].index] &&
				asl_value_equal(&elements[hashed[i].index], &elements[hashed[j].index]))
				duplicate[hashed[j].index] = true;
		}
	}
	*result = asl_value_empty_array();
	for (int i = 0; i < count; i++)
	{
		if (!duplicate[i])
			asl_array_append(result, &elements[i]);
	}
	return true;
}


/* ---- objects and numbers ---- */

/* b's fields over a's; deep: where both are objects, field by field. */
static bool
merge(AslCall *call, const JsonbValue *a, const JsonbValue *b, bool deep, JsonbValue *result)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	JsonbValue	other;

	if (stack_is_too_deep())
		return asl_call_failed(call, "The objects are nested too deeply");
	*result = asl_value_empty_object();
	for (asl_each_init(&each, a); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		asl_object_add(result, key.val.string.val, key.val.string.len, &member);
	}
	for (asl_each_init(&each, b); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		if (deep && asl_value_is_object(&member) &&
			asl_value_field(a, key.val.string.val, key.val.string.len, &other) && asl_value_is_object(&other))
		{
			JsonbValue	merged;

			if (!merge(call, &other, &member, true, &merged))
				return false;
			member = merged;
		}
		asl_object_add(result, key.val.string.val, key.val.string.len, &member);
	}
	return true;
}

static bool
intrinsic_json_merge(AslCall *call, JsonbValue *result)
{
	JsonbValue	merged;
	Jsonb	   *document;

	for (int i = 0; i < 2; i++)
	{
		if (!asl_value_is_object(&call->args[i]))
			return asl_call_failed(call, "Argument %d must be an object but is of type %s",
								   i + 1, asl_value_kind(&call->args[i]));
	}
	if (call->args[2].type != jbvBool)
		return asl_call_failed(call, "Argument 3 must be a boolean but is of type %s", asl_value_kind(&call->args[2]));
	if (!merge(call, &call->args[0], &call->args[1], call->args[2].val.boolean, &merged) ||
		!asl_value_build(&merged, &document, call->error))
		return false;
	*result = asl_value_of(document);
	return true;
}

static bool
intrinsic_math_add(AslCall *call, JsonbValue *result)
{
	JsonbValue	a;
	JsonbValue	b;
	bool		failed = false;

	if (!rounded_argument(call, 0, &a) || !rounded_argument(call, 1, &b))
		return false;
	result->type = jbvNumeric;
	result->val.numeric = numeric_add_opt_error(a.val.numeric, b.val.numeric, &failed);
	return !failed || asl_call_failed(call, "The sum is out of range");
}

/* From the first number, included, to the second, excluded. */
static bool
intrinsic_math_random(AslCall *call, JsonbValue *result)
{
	pg_prng_state seeded;
	pg_prng_state *state = &pg_global_prng_state;
	int64		first;
	int64		end;
	int64		seed;

	if (!asl_int_argument(call, 0, &first) || !asl_int_argument(call, 1, &end))
		return false;
	if (first >= end)
		return asl_call_failed(call, "The start number must be less than the end number");
	if (call->nargs == 3)
	{
		if (!asl_int_argument(call, 2, &seed))
			return false;
		state = &seeded;
		pg_prng_seed(state, (uint64) seed);
	}
	*result = asl_value_int((int64) ((uint64) first + pg_prng_uint64_range(state, 0, (uint64) end - (uint64) first - 1)));
	return true;
}


/* ---- the table ---- */

static const AslIntrinsic intrinsics[] =
{
	{"States.Format", 1, INT_MAX, asl_intrinsic_format, true},
	{"States.StringToJson", 1, 1, asl_intrinsic_string_to_json, false},
	{"States.JsonToString", 1, 1, asl_intrinsic_json_to_string, false},
	{"States.Array", 0, INT_MAX, intrinsic_array, false},
	{"States.ArrayPartition", 2, 2, intrinsic_array_partition, false},
	{"States.ArrayContains", 2, 2, intrinsic_array_contains, false},
	{"States.ArrayRange", 3, 3, intrinsic_array_range, false},
	{"States.ArrayGetItem", 2, 2, intrinsic_array_get_item, false},
	{"States.ArrayLength", 1, 1, intrinsic_array_length, false},
	{"States.ArrayUnique", 1, 1, intrinsic_array_unique, false},
	{"States.Base64Encode", 1, 1, asl_intrinsic_base64_encode, false},
	{"States.Base64Decode", 1, 1, asl_intrinsic_base64_decode, false},
	{"States.Hash", 2, 2, asl_intrinsic_hash, false},
	{"States.JsonMerge", 3, 3, intrinsic_json_merge, false},
	{"States.MathRandom", 2, 3, intrinsic_math_random, false},
	{"States.MathAdd", 2, 2, intrinsic_math_add, false},
	{"States.StringSplit", 2, 2, asl_intrinsic_string_split, false},
	{"States.UUID", 0, 0, asl_intrinsic_uuid, false},
};

const AslIntrinsic *
asl_intrinsic_find(const char *name, int length)
{
	for (size_t i = 0; i < lengthof(intrinsics); i++)
	{
		if ((int) strlen(intrinsics[i].name) == length && memcmp(intrinsics[i].name, name, length) == 0)
			return &intrinsics[i];
	}
	return NULL;
}
