/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Building Jsonb from values, and looking into values.
 *
 * The server's own way to make a Jsonb (pushJsonbValue) takes every part of a
 * document to pieces and raises an ERROR where it grows too large.  Here parts
 * that are Jsonb already are copied whole: a container's bytes mean the same at
 * any int-aligned place, since its offsets count from its own start.  The layout
 * written is the one that jsonb.h describes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"

#include "asl/value.h"

/* More than any offset inside a Jsonb can say. */
#define MAX_DOCUMENT_BYTES JENTRY_OFFLENMASK

typedef struct Builder
{
	char	   *data;
	uint32		length;
	uint32		capacity;
	AslError   *error;
} Builder;

static bool build_value(Builder *builder, JEntry *entry, const JsonbValue *value);


bool
asl_error(AslError *error, const char *name, const char *cause_format,...)
{
	StringInfoData cause;
	int			save_errno = errno;

	initStringInfo(&cause);
	for (;;)
	{
		va_list		args;
		int			needed;

		errno = save_errno;
		va_start(args, cause_format);
		needed = appendStringInfoVA(&cause, cause_format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&cause, needed);
	}
	error->name = pstrdup(name);
	error->cause = cause.data;
	return false;
}


/* ---- building ---- */

static bool
reserve(Builder *builder, uint32 bytes)
{
	uint32		needed;

	if (bytes > MAX_DOCUMENT_BYTES - builder->length)
		return asl_error(builder->error, ASL_ERROR_DATA_LIMIT,
						 "The result is larger than the %u bytes that a document can have", MAX_DOCUMENT_BYTES);
	needed = builder->length + bytes;
	if (needed > builder->capacity)
	{
		builder->capacity = Min(Max(needed, builder->capacity * 2), MAX_DOCUMENT_BYTES);
		builder->data = repalloc(builder->data, builder->capacity + VARHDRSZ);
	}
	return true;
}

/* All writes go behind the place of the varlena header. */
static inline char *
at(Builder *builder, uint32 offset)
{
	return builder->data + VARHDRSZ + offset;
}

static bool
append_bytes(Builder *builder, const void *bytes, uint32 length)
{
	if (!reserve(builder, length))
		return false;
	if (length > 0)
		memcpy(at(builder, builder->length), bytes, length);
	builder->length += length;
	return true;
}

/* The varlena header has 4 bytes, so what is aligned behind it is aligned in memory. */
static bool
append_padding(Builder *builder)
{
	static const char zeros[ALIGNOF_INT];

	return append_bytes(builder, zeros, INTALIGN(builder->length) - builder->length);
}

static bool
build_scalar(Builder *builder, JEntry *entry, const JsonbValue *value)
{
	uint32		start = builder->length;

	switch (value->type)
	{
		case jbvNull:
			*entry = JENTRY_ISNULL;
			return true;
		case jbvBool:
			*entry = value->val.boolean ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE;
			return true;
		case jbvString:
			*entry = JENTRY_ISSTRING | value->val.string.len;
			return append_bytes(builder, value->val.string.val, value->val.string.len);
		case jbvNumeric:
			if (!append_padding(builder) ||
				!append_bytes(builder, value->val.numeric, VARSIZE_ANY(value->val.numeric)))
				return false;
			*entry = JENTRY_ISNUMERIC | (builder->length - start);
			return true;
		default:
			elog(ERROR, "unrecognized type of a JSON value: %d", (int) value->type);
			return false;		/* keep the compiler quiet */
	}
}

/*
 * Write the entries' places, then the members one behind the other.  member(i) of an object is its i-th key
 * for i < npairs, else the value of pair i - npairs.
 */
static bool
build_members(Builder *builder, uint32 header, const JsonbValue *elements, const JsonbPair *pairs, uint32 count)
{
	uint32		nentries = pairs ? count * 2 : count;
	uint32		entries;
	uint32		start;
	uint32		previous = 0;

	if (count > JB_CMASK / 2 || !append_bytes(builder, &header, sizeof(header)))
		return asl_error(builder->error, ASL_ERROR_DATA_LIMIT, "The result has too many members");
	entries = builder->length;
	if (!reserve(builder, nentries * sizeof(JEntry)))
		return false;
	builder->length += nentries * sizeof(JEntry);
	start = builder->length;

	for (uint32 i = 0; i < nentries; i++)
	{
		JEntry		entry;
		uint32		total;

		CHECK_FOR_INTERRUPTS();
		if (!build_value(builder, &entry,
						 !pairs ? &elements[i] : i < count ? &pairs[i].key : &pairs[i - count].value))
			return false;

		/* Every 32nd entry has its end, counted from the first member, instead of its length. */
		total = builder->length - start;
		if (i % JB_OFFSET_STRIDE == 0)
			entry = (entry & JENTRY_TYPEMASK) | JENTRY_HAS_OFF | total;
		else
			entry = (entry & JENTRY_TYPEMASK) | (total - previous);
		previous = total;
		memcpy(at(builder, entries + i * sizeof(JEntry)), &entry, sizeof(JEntry));
	}
	return true;
}

/* The order of keys in a Jsonb: by length, then by bytes.  Of equal keys the last comes first here. */
static int
compare_pairs(const void *a, const void *b)
{
	const JsonbPair *pa = (const JsonbPair *) a;
	const JsonbPair *pb = (const JsonbPair *) b;
	int			diff;

	if (pa->key.val.string.len != pb->key.val.string.len)
		return pa->key.val.string.len > pb->key.val.string.len ? 1 : -1;
	diff = memcmp(pa->key.val.string.val, pb->key.val.string.val, pa->key.val.string.len);
	if (diff != 0)
		return diff;
	return pa->order > pb->order ? -1 : 1;
}

static bool
same_key(const JsonbPair *a, const JsonbPair *b)
{
	return a->key.val.string.len == b->key.val.string.len &&
		memcmp(a->key.val.string.val, b->key.val.string.val, a->key.val.string.len) == 0;
}

static bool
build_object(Builder *builder, const JsonbValue *value)
{
	int			count = value->val.object.nPairs;
	int			kept = 0;
	JsonbPair  *pairs = palloc_extended((Size) Max(count, 1) * sizeof(JsonbPair), MCXT_ALLOC_HUGE);
	bool		done;

	for (int i = 0; i < count; i++)
	{
		pairs[i] = value->val.object.pairs[i];
		pairs[i].order = i;
	}
	qsort(pairs, count, sizeof(JsonbPair), compare_pairs);
	for (int i = 0; i < count; i++)
	{
		if (kept == 0 || !same_key(&pairs[kept - 1], &pairs[i]))
			pairs[kept++] = pairs[i];
	}
	done = build_members(builder, JB_FOBJECT | kept, NULL, pairs, kept);
	pfree(pairs);
	return done;
}

static bool
build_value(Builder *builder, JEntry *entry, const JsonbValue *value)
{
	uint32		start = builder->length;

	if (IsAJsonbScalar(value))
		return build_scalar(builder, entry, value);
	if (stack_is_too_deep())
		return asl_error(builder->error, ASL_ERROR_RUNTIME, "The result is nested too deeply");
	if (!append_padding(builder))
		return false;

	if (value->type == jbvBinary)
	{
		if (!append_bytes(builder, value->val.binary.data, value->val.binary.len))
			return false;
	}
	else if (value->type == jbvArray)
	{
		if (!build_members(builder, JB_FARRAY | value->val.array.nElems, value->val.array.elems, NULL,
						   value->val.array.nElems))
			return false;
	}
	else if (!build_object(builder, value))
		return false;

	*entry = JENTRY_ISCONTAINER | (builder->length - start);
	return true;
}

bool
asl_value_build(const JsonbValue *value, Jsonb **document, AslError *error)
{
	Builder		builder;
	JEntry		entry;

	if (value->type == jbvBinary)
	{
		/* Whatever was a document can be one again, however large. */
		*document = palloc(VARHDRSZ + value->val.binary.len);
		SET_VARSIZE(*document, VARHDRSZ + value->val.binary.len);
		memcpy(VARDATA(*document), value->val.binary.data, value->val.binary.len);
		return true;
	}

	builder.capacity = 256;
	builder.length = 0;
	builder.data = palloc(builder.capacity + VARHDRSZ);
	builder.error = error;

	/* A scalar document is an array of one with a mark. */
	if (IsAJsonbScalar(value)
		? !build_members(&builder, JB_FARRAY | JB_FSCALAR | 1, value, NULL, 1)
		: !build_value(&builder, &entry, value))
	{
		pfree(builder.data);
		return false;
	}
	SET_VARSIZE(builder.data, VARHDRSZ + builder.length);
	*document = (Jsonb *) builder.data;
	return true;
}

static Jsonb *
build_small(JsonbValue value)
{
	return JsonbValueToJsonb(&value);
}

Jsonb *
asl_jsonb_null(void)
{
	return build_small(asl_value_null());
}

Jsonb *
asl_jsonb_bool(bool value)
{
	return build_small(asl_value_bool(value));
}

Jsonb *
asl_jsonb_empty_object(void)
{
	return build_small(asl_value_empty_object());
}

JsonbValue
asl_value_null(void)
{
	JsonbValue	result = {.type = jbvNull};

	return result;
}

JsonbValue
asl_value_bool(bool value)
{
	JsonbValue	result = {.type = jbvBool};

	result.val.boolean = value;
	return result;
}

JsonbValue
asl_value_int(int64 value)
{
	JsonbValue	result = {.type = jbvNumeric};

	result.val.numeric = int64_to_numeric(value);
	return result;
}

JsonbValue
asl_value_text(const char *text, int length)
{
	JsonbValue	result = {.type = jbvString};

	result.val.string.val = unconstify(char *, text);
	result.val.string.len = length;
	return result;
}

JsonbValue
asl_value_empty_array(void)
{
	JsonbValue	result = {.type = jbvArray};

	return result;
}

JsonbValue
asl_value_empty_object(void)
{
	JsonbValue	result = {.type = jbvObject};

	return result;
}

/* Make room for one more of count members: the room is always a power of two. */
static void *
grow(void *members, int count, Size size)
{
	if (members == NULL)
		return palloc(4 * size);
	if (count >= 4 && (count & (count - 1)) == 0)
		return repalloc_huge(members, 2 * (Size) count * size);
	return members;
}

void
asl_array_append(JsonbValue *array, const JsonbValue *element)
{
	int			count = array->val.array.nElems;

	Assert(array->type == jbvArray);
	array->val.array.elems = grow(array->val.array.elems, count, sizeof(JsonbValue));
	array->val.array.elems[count] = *element;
	array->val.array.nElems++;
}

void
asl_object_add(JsonbValue *object, const char *key, int key_length, const JsonbValue *value)
{
	int			count = object->val.object.nPairs;
	JsonbPair  *pair;

	Assert(object->type == jbvObject);
	object->val.object.pairs = grow(object->val.object.pairs, count, sizeof(JsonbPair));
	pair = &object->val.object.pairs[count];
	pair->key = asl_value_text(key, key_length);
	pair->value = *value;
	pair->order = count;
	object->val.object.nPairs++;
}


/* ---- looking ---- */

/* The entry's value; offset is where its data begins, counted from base. */
static JsonbValue
entry_value(JEntry entry, char *base, uint32 offset, uint32 length)
{
	JsonbValue	result;

	if (JBE_ISNULL(entry))
		return asl_value_null();
	if (JBE_ISBOOL(entry))
		return asl_value_bool(JBE_ISBOOL_TRUE(entry));
	if (JBE_ISSTRING(entry))
		return asl_value_text(base + offset, length);
	if (JBE_ISNUMERIC(entry))
	{
		result.type = jbvNumeric;
		result.val.numeric = (Numeric) (base + INTALIGN(offset));
	}
	else
	{
		result.type = jbvBinary;
		result.val.binary.data = (JsonbContainer *) (base + INTALIGN(offset));
		result.val.binary.len = length - (INTALIGN(offset) - offset);
	}
	return result;
}

JsonbValue
asl_value_of(Jsonb *document)
{
	JsonbValue	result;

	if (JB_ROOT_IS_SCALAR(document))
		return entry_value(document->root.children[0], (char *) &document->root.children[1], 0,
						   getJsonbLength(&document->root, 0));
	result.type = jbvBinary;
	result.val.binary.data = &document->root;
	result.val.binary.len = VARSIZE(document) - VARHDRSZ;
	return result;
}

bool
asl_value_is_object(const JsonbValue *value)
{
	return value->type == jbvObject ||
		(value->type == jbvBinary && JsonContainerIsObject(value->val.binary.data));
}

bool
asl_value_is_array(const JsonbValue *value)
{
	return value->type == jbvArray ||
		(value->type == jbvBinary && JsonContainerIsArray(value->val.binary.data));
}

int
asl_value_count(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvArray:
			return value->val.array.nElems;
		case jbvObject:
			return value->val.object.nPairs;
		case jbvBinary:
			return JsonContainerSize(value->val.binary.data);
		default:
			return 0;
	}
}

bool
asl_value_field(const JsonbValue *object, const char *key, int key_length, JsonbValue *value)
{
	if (object->type == jbvBinary && JsonContainerIsObject(object->val.binary.data))
		return getKeyJsonValueFromContainer(object->val.binary.data, key, key_length, value) != NULL;
	if (object->type != jbvObject)
		return false;
	for (int i = object->val.object.nPairs - 1; i >= 0; i--)
	{
		JsonbPair  *pair = &object->val.object.pairs[i];

		if (pair->key.val.string.len == key_length &&
			memcmp(pair->key.val.string.val, key, key_length) == 0)
		{
			*value = pair->value;
			return true;
		}
	}
	return false;
}

bool
asl_value_element(const JsonbValue *array, int index, JsonbValue *value)
{
	if (!asl_value_is_array(array) || index < 0 || index >= asl_value_count(array))
		return false;
	if (array->type == jbvArray)
		*value = array->val.array.elems[index];
	else
	{
		JsonbContainer *container = array->val.binary.data;

		*value = entry_value(container->children[index],
							 (char *) &container->children[JsonContainerSize(container)],
							 getJsonbOffset(container, index), getJsonbLength(container, index));
	}
	return true;
}

bool
asl_value_string_is(const JsonbValue *value, const char *text)
{
	return value->type == jbvString && value->val.string.len == (int) strlen(text) &&
		memcmp(value->val.string.val, text, value->val.string.len) == 0;
}

void
asl_each_init(AslEach *each, const JsonbValue *value)
{
	memset(each, 0, sizeof(*each));
	each->count = asl_value_count(value);
	each->value = value;
	if (value->type == jbvBinary)
	{
		JsonbContainer *container = value->val.binary.data;
		bool		is_object = JsonContainerIsObject(container);

		each->container = container;
		each->base = (char *) &container->children[is_object ? each->count * 2 : each->count];
		if (is_object && each->count > 0)
			each->offset = getJsonbOffset(container, each->count);
	}
}

/* The value of entry i, whose data begins at *offset; moves *offset to the next. */
static JsonbValue
next_entry(AslEach *each, uint32 i, uint32 *offset)
{
	JEntry		entry = each->container->children[i];
	uint32		start = *offset;

	if (JBE_HAS_OFF(entry))
		*offset = JBE_OFFLENFLD(entry);
	else
		*offset += JBE_OFFLENFLD(entry);
	return entry_value(entry, each->base, start, *offset - start);
}

bool
asl_each_next(AslEach *each, JsonbValue *key, JsonbValue *member)
{
	uint32		i = each->index;

	if (i >= each->count)
		return false;
	each->index++;
	if (each->value->type == jbvArray)
		*member = each->value->val.array.elems[i];
	else if (each->value->type == jbvObject)
	{
		*key = each->value->val.object.pairs[i].key;
		*member = each->value->val.object.pairs[i].value;
	}
	else if (JsonContainerIsObject(each->container))
	{
		*key = next_entry(each, i, &each->key_offset);
		*member = next_entry(each, i + each->count, &each->offset);
	}
	else
		*member = next_entry(each, i, &each->offset);
	return true;
}

static bool
scalars_equal(const JsonbValue *a, const JsonbValue *b)
{
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvString:
			return a->val.string.len == b->val.string.len &&
				memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0;
		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(a->val.numeric),
													NumericGetDatum(b->val.numeric)));
		default:
			return false;
	}
}

/* Only values built in memory recurse, and these are shallow; documents are compared in a loop. */
bool
asl_value_equal(const JsonbValue *a, const JsonbValue *b)
{
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;

	if (IsAJsonbScalar(a) || IsAJsonbScalar(b))
		return a->type == b->type && scalars_equal(a, b);
	if (asl_value_is_object(a) != asl_value_is_object(b) || asl_value_count(a) != asl_value_count(b))
		return false;
	if (a->type == jbvBinary && b->type == jbvBinary)
		return (a->val.binary.len == b->val.binary.len &&
				memcmp(a->val.binary.data, b->val.binary.data, a->val.binary.len) == 0) ||
			compareJsonbContainers(a->val.binary.data, b->val.binary.data) == 0;

	check_stack_depth();
	for (asl_each_init(&each, a); asl_each_next(&each, &key, &member);)
	{
		JsonbValue	other;

		CHECK_FOR_INTERRUPTS();
		if (!(asl_value_is_object(a)
			  ? asl_value_field(b, key.val.string.val, key.val.string.len, &other)
			  : asl_value_element(b, each.index - 1, &other)))
			return false;
		if (!asl_value_equal(&member, &other))
			return false;
	}
	return true;
}

bool
asl_value_to_int64(const JsonbValue *value, int64 *result)
{
	char	   *text;
	char	   *end;
	bool		fits;

	if (value->type != jbvNumeric)
		return false;

	/* numeric_out never fails; the casts to integers raise errors.  "1.00" is an integer, too. */
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	errno = 0;
	*result = strtoi64(text, &end, 10);
	fits = errno == 0 && end != text;
	if (fits && *end == '.')
		end += 1 + strspn(end + 1, "0");
	fits = fits && *end == '\0';
	pfree(text);
	return fits;
}

bool
asl_value_to_double(const JsonbValue *value, double *result)
{
	char	   *text;

	if (value->type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
	*result = strtod(text, NULL);
	pfree(text);
	return !isinf(*result);
}

const char *
asl_value_kind(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return "boolean";
		case jbvNumeric:
			return "number";
		case jbvString:
			return "string";
		default:
			return asl_value_is_object(value) ? "object" : "array";
	}
}
