/*-------------------------------------------------------------------------
 *
 * intrinsic_text.c
 *	  The intrinsic functions that read or make text.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/cryptohash.h"
#include "common/md5.h"
#include "common/sha1.h"
#include "common/sha2.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "asl/intrinsic.h"
#include "asl/text.h"

/* What a string in a document can have. */
#define MAX_TEXT_BYTES JENTRY_OFFLENMASK

/* What the specification allows Base64Encode, Base64Decode and Hash to work on. */
#define MAX_CODED_CHARACTERS 10000

static bool
append(AslCall *call, StringInfo text, const char *bytes, int length)
{
	if (length > (int) MAX_TEXT_BYTES - text->len)
		return asl_call_failed(call, "The result is too long");
	appendBinaryStringInfo(text, bytes, length);
	return true;
}

/* ---- States.Format ---- */

/* As the service prints: strings bare, objects {a=1, b=[2, 3]}. */
static bool
append_value(AslCall *call, StringInfo text, const JsonbValue *value)
{
	bool		is_object = asl_value_is_object(value);
	const char *separator = "";
	AslEach		each;
	JsonbValue	key;
	JsonbValue	member;
	char	   *number;

	switch (value->type)
	{
		case jbvNull:
			return append(call, text, "null", 4);
		case jbvBool:
			return value->val.boolean ? append(call, text, "true", 4) : append(call, text, "false", 5);
		case jbvString:
			return append(call, text, value->val.string.val, value->val.string.len);
		case jbvNumeric:
			number = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			return append(call, text, number, strlen(number));
		default:
			break;
	}
	if (stack_is_too_deep())
		return asl_call_failed(call, "An argument is nested too deeply");
	if (!append(call, text, is_object ? "{" : "[", 1))
		return false;
	for (asl_each_init(&each, value); asl_each_next(&each, &key, &member);)
	{
		CHECK_FOR_INTERRUPTS();
		if (!append(call, text, separator, strlen(separator)))
			return false;
		separator = ", ";
		if (is_object &&
			(!append(call, text, key.val.string.val, key.val.string.len) || !append(call, text, "=", 1)))
			return false;
		if (!append_value(call, text, &member))
			return false;
	}
	return append(call, text, is_object ? "}" : "]", 1);
}

/*
 * "{}" takes the next argument; a backslash takes a brace, in a literal also a quote or a backslash, as it is.
 */
bool
asl_intrinsic_format(AslCall *call, JsonbValue *result)
{
	const char *escapable = call->literal_template ? "{}'\\" : "{}";
	StringInfoData text;
	JsonbValue	template;
	const char *p;
	const char *end;
	int			used = 1;

	if (!asl_string_argument(call, 0, &template))
		return false;
	initStringInfo(&text);
	end = template.val.string.val + template.val.string.len;
	for (p = template.val.string.val; p < end; p++)
	{
		CHECK_FOR_INTERRUPTS();
		if (*p == '\\' && p + 1 < end && strchr(escapable, p[1]))
			p++;
		else if (*p == '{' && p + 1 < end && p[1] == '}')
		{
			if (used < call->nargs && !append_value(call, &text, &call->args[used]))
				return false;
			used++;
			p++;
			continue;
		}
		if (!append(call, &text, p, 1))
			return false;
	}
	if (used != call->nargs)
		return asl_call_failed(call, "The template has %d occurrences of {} but there are %d arguments to fill them",
							   used - 1, call->nargs - 1);
	*result = asl_value_text(text.data, text.len);
	return true;
}


/* ---- strings and JSON ---- */

static bool
is_one_of(const char *character, int length, const JsonbValue *set)
{
	const char *p = set->val.string.val;
	const char *end = p + set->val.string.len;

	for (; p < end; p += pg_mblen(p))
	{
		if (pg_mblen(p) == length && memcmp(p, character, length) == 0)
			return true;
	}
	return false;
}

/* Any of the second argument's characters separates; empty fields are dropped. */
bool
asl_intrinsic_string_split(AslCall *call, JsonbValue *result)
{
	JsonbValue	text;
	JsonbValue	separators;
	const char *field;
	const char *end;

	if (!asl_string_argument(call, 0, &text) || !asl_string_argument(call, 1, &separators))
		return false;
	*result = asl_value_empty_array();
	field = text.val.string.val;
	end = field + text.val.string.len;
	for (const char *p = field;;)
	{
		int			length = p < end ? pg_mblen(p) : 0;

		CHECK_FOR_INTERRUPTS();
		if (p >= end || is_one_of(p, length, &separators))
		{
			JsonbValue	element = asl_value_text(field, p - field);

			if (p > field)
				asl_array_append(result, &element);
			field = p + length;
		}
		if (p >= end)
			return true;
		p += length;
	}
}

/* A blank string is null. */
bool
asl_intrinsic_string_to_json(AslCall *call, JsonbValue *result)
{
	JsonbValue	text;
	JsonbValue	parsed;
	Jsonb	   *document;
	char	   *problem;
	int			blank = 0;

	if (!asl_string_argument(call, 0, &text))
		return false;
	while (blank < text.val.string.len && strchr(" \t\r\n", text.val.string.val[blank]))
		blank++;
	if (blank == text.val.string.len)
	{
		*result = asl_value_null();
		return true;
	}
	if (!asl_value_parse(text.val.string.val, text.val.string.len, &parsed, &problem))
		return asl_call_failed(call, "The string is not JSON: %s", problem);
	if (!asl_value_build(&parsed, &document, call->error))
		return false;
	*result = asl_value_of(document);
	return true;
}

bool
asl_intrinsic_json_to_string(AslCall *call, JsonbValue *result)
{
	Jsonb	   *document;
	char	   *text;
	int			length;

	if (!asl_value_build(&call->args[0], &document, call->error))
		return false;
	if (asl_compact_size(document) > MAX_TEXT_BYTES)
		return asl_call_failed(call, "The result is too long");
	text = asl_compact_text(document, &length);
	*result = asl_value_text(text, length);
	return true;
}


/* ---- codes ---- */

/* The argument's text in UTF-8: what it is encoded or hashed as, whatever the database's encoding. */
static bool
utf8_argument(AslCall *call, const JsonbValue *text, char **bytes, int *length)
{
	if (pg_mbstrlen_with_len(text->val.string.val, text->val.string.len) > MAX_CODED_CHARACTERS)
		return asl_call_failed(call, "The data is longer than %d characters", MAX_CODED_CHARACTERS);
	*bytes = asl_convert(text->val.string.val, text->val.string.len, GetDatabaseEncoding(), PG_UTF8, length);
	return *bytes || asl_call_failed(call, "The data cannot be represented in UTF-8");
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool
asl_intrinsic_base64_encode(AslCall *call, JsonbValue *result)
{
	JsonbValue	text;
	char	   *bytes;
	int			length;
	StringInfoData code;

	if (!asl_string_argument(call, 0, &text) || !utf8_argument(call, &text, &bytes, &length))
		return false;
	initStringInfo(&code);
	for (int i = 0; i < length; i += 3)
	{
		uint32		bits = (uint32) (unsigned char) bytes[i] << 16;

		if (i + 1 < length)
			bits |= (uint32) (unsigned char) bytes[i + 1] << 8;
		if (i + 2 < length)
			bits |= (unsigned char) bytes[i + 2];
		appendStringInfoChar(&code, base64_digits[bits >> 18]);
		appendStringInfoChar(&code, base64_digits[(bits >> 12) & 63]);
		appendStringInfoChar(&code, i + 1 < length ? base64_digits[(bits >> 6) & 63] : '=');
		appendStringInfoChar(&code, i + 2 < length ? base64_digits[bits & 63] : '=');
	}
	*result = asl_value_text(code.data, code.len);
	return true;
}

/* Line breaks and blanks are skipped; padding may be missing, but nothing may follow it. */
static bool
decode_base64(const JsonbValue *code, StringInfo bytes)
{
	uint32		bits = 0;
	int			digits = 0;
	int			padding = 0;

	for (int i = 0; i < code->val.string.len; i++)
	{
		char		c = code->val.string.val[i];
		const char *digit = strchr(base64_digits, c);

		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		if (c == '=')
		{
			padding++;
			continue;
		}
		if (c == '\0' || digit == NULL || padding > 0)
			return false;
		bits = (bits << 6) | (uint32) (digit - base64_digits);
		digits++;
		if (digits % 4 != 1)
			appendStringInfoChar(bytes, (char) (bits >> (digits % 4 == 2 ? 4 : digits % 4 == 3 ? 2 : 0)));
	}
	return digits % 4 != 1 && (padding == 0 || (digits + padding) % 4 == 0) && padding < 3;
}

bool
asl_intrinsic_base64_decode(AslCall *call, JsonbValue *result)
{
	JsonbValue	code;
	StringInfoData bytes;
	char	   *text;
	int			length;

	if (!asl_string_argument(call, 0, &code))
		return false;
	if (code.val.string.len > MAX_CODED_CHARACTERS)
		return asl_call_failed(call, "The data is longer than %d characters", MAX_CODED_CHARACTERS);
	initStringInfo(&bytes);
	if (!decode_base64(&code, &bytes))
		return asl_call_failed(call, "The data is not Base64");
	if (memchr(bytes.data, '\0', bytes.len) || !pg_verify_mbstr(PG_UTF8, bytes.data, bytes.len, true))
		return asl_call_failed(call, "The decoded data is not text in UTF-8");
	text = asl_convert(bytes.data, bytes.len, PG_UTF8, GetDatabaseEncoding(), &length);
	if (text == NULL)
		return asl_call_failed(call, "The decoded text cannot be represented in the database's encoding");
	*result = asl_value_text(text, length);
	return true;
}

static const struct
{
	const char *name;
	pg_cryptohash_type type;
	int			length;
}			hash_algorithms[] =
{
	{"MD5", PG_MD5, MD5_DIGEST_LENGTH},
	{"SHA-1", PG_SHA1, SHA1_DIGEST_LENGTH},
	{"SHA-256", PG_SHA256, PG_SHA256_DIGEST_LENGTH},
	{"SHA-384", PG_SHA384, PG_SHA384_DIGEST_LENGTH},
	{"SHA-512", PG_SHA512, PG_SHA512_DIGEST_LENGTH},
};

static bool
hash_bytes_with(pg_cryptohash_type type, const char *bytes, int length, uint8 *digest, int digest_length)
{
	pg_cryptohash_ctx *context = pg_cryptohash_create(type);
	bool		done;

	if (context == NULL)
		return false;
	done = pg_cryptohash_init(context) >= 0 &&
		pg_cryptohash_update(context, (const uint8 *) bytes, length) >= 0 &&
		pg_cryptohash_final(context, digest, digest_length) >= 0;
	pg_cryptohash_free(context);
	return done;
}

bool
asl_intrinsic_hash(AslCall *call, JsonbValue *result)
{
	JsonbValue	data = call->args[0];
	JsonbValue	algorithm;
	uint8		digest[PG_SHA512_DIGEST_LENGTH];
	char	   *bytes;
	char	   *hex;
	int			length;

	if (!asl_string_argument(call, 1, &algorithm))
		return false;
	if (data.type != jbvString && !asl_intrinsic_json_to_string(call, &data))
		return false;
	if (!utf8_argument(call, &data, &bytes, &length))
		return false;
	for (size_t i = 0; i < lengthof(hash_algorithms); i++)
	{
		if (!asl_value_string_is(&algorithm, hash_algorithms[i].name))
			continue;
		if (!hash_bytes_with(hash_algorithms[i].type, bytes, length, digest, hash_algorithms[i].length))
			return asl_call_failed(call, "The algorithm is not available");
		hex = palloc(hash_algorithms[i].length * 2 + 1);
		hex_encode((char *) digest, hash_algorithms[i].length, hex);
		*result = asl_value_text(hex, hash_algorithms[i].length * 2);
		return true;
	}
	return asl_call_failed(call, "The algorithm must be one of MD5, SHA-1, SHA-256, SHA-384, SHA-512");
}

/* Version 4: random but for the version and the variant. */
bool
asl_intrinsic_uuid(AslCall *call, JsonbValue *result)
{
	static const char pattern[] = "xxxxxxxx-xxxx-4xxx-vxxx-xxxxxxxxxxxx";
	uint8		random[16];
	char	   *text = pstrdup(pattern);
	int			nibble = 0;

	if (!pg_strong_random(random, sizeof(random)))
		return asl_call_failed(call, "No random numbers are available");
	for (char *p = text; *p; p++)
	{
		int			value = (random[(nibble / 2) % 16] >> (nibble % 2 * 4)) & 15;

		if (*p == 'x')
			*p = "0123456789abcdef"[value];
		else if (*p == 'v')
			*p = "89ab"[value & 3];
		if (*p != '-')
			nibble++;
	}
	*result = asl_value_text(text, strlen(text));
	return true;
}
