/*-------------------------------------------------------------------------
 *
 * value_text.c
 *	  JSON text out of documents, and values out of JSON text.
 *
 * The server's JSON parser raises errors (for a NUL escape, a number out of
 * range, a too deep nesting), and what it parses at run time is data.  The one
 * here keeps its own stack and reports a problem instead.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "asl/text.h"
#include "asl/value.h"

/* ---- out ---- */

/* Where text goes; without a buffer its bytes are only counted. */
typedef struct Sink
{
	StringInfo	text;
	int64		size;
	int64		limit;			/* stop soon after so many bytes */
} Sink;

static void
put(Sink *sink, const char *bytes, int length)
{
	if (sink->text)
		appendBinaryStringInfo(sink->text, bytes, length);
	sink->size += length;
}

/* What stands for a character inside a JSON string, or NULL: itself. */
static const char *
escape_of(unsigned char c, char *buffer)
{
	switch (c)
	{
		case '"':
			return "\\\"";
		case '\\':
			return "\\\\";
		case '\b':
			return "\\b";
		case '\f':
			return "\\f";
		case '\n':
			return "\\n";
		case '\r':
			return "\\r";
		case '\t':
			return "\\t";
		default:
			if (c >= ' ')
				return NULL;
			snprintf(buffer, 8, "\\u%04x", c);
			return buffer;
	}
}

static void
put_string(Sink *sink, const char *bytes, int length)
{
	int			plain = 0;		/* beginning of what was not put yet */

	put(sink, "\"", 1);
	for (int i = 0; i < length && sink->size + (i - plain) < sink->limit; i++)
	{
		char		buffer[8];
		const char *escape = escape_of((unsigned char) bytes[i], buffer);

		if (escape)
		{
			put(sink, bytes + plain, i - plain);
			put(sink, escape, strlen(escape));
			plain = i + 1;
		}
	}
	put(sink, bytes + plain, Min((int64) length - plain, Max(sink->limit - sink->size, 0)));
	put(sink, "\"", 1);
}

static void
put_scalar(Sink *sink, const JsonbValue *value)
{
	char	   *text;

	switch (value->type)
	{
		case jbvNull:
			put(sink, "null", 4);
			break;
		case jbvBool:
			put(sink, value->val.boolean ? "true" : "false", value->val.boolean ? 4 : 5);
			break;
		case jbvString:
			put_string(sink, value->val.string.val, value->val.string.len);
			break;
		case jbvNumeric:
			text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
			put(sink, text, strlen(text));
			pfree(text);
			break;
		default:
			elog(ERROR, "unrecognized type of a JSON scalar: %d", (int) value->type);
	}
}

static void
put_document(Sink *sink, Jsonb *document)
{
	JsonbIterator *iterator = JsonbIteratorInit(&document->root);
	JsonbIteratorToken token;
	JsonbValue	value;
	bool		first = true;
	bool		is_scalar = JB_ROOT_IS_SCALAR(document);

	while ((token = JsonbIteratorNext(&iterator, &value, false)) != WJB_DONE && sink->size < sink->limit)
	{
		CHECK_FOR_INTERRUPTS();
		if (!first && token != WJB_VALUE && token != WJB_END_ARRAY && token != WJB_END_OBJECT)
			put(sink, ",", 1);
		first = false;
		switch (token)
		{
			case WJB_BEGIN_ARRAY:
			case WJB_BEGIN_OBJECT:
				if (!is_scalar)
					put(sink, token == WJB_BEGIN_ARRAY ? "[" : "{", 1);
				first = true;
				break;
			case WJB_END_ARRAY:
			case WJB_END_OBJECT:
				if (!is_scalar)
					put(sink, token == WJB_END_ARRAY ? "]" : "}", 1);
				break;
			case WJB_KEY:
				put_string(sink, value.val.string.val, value.val.string.len);
				put(sink, ":", 1);
				first = true;	/* no comma before a value that is a container */
				break;
			default:
				put_scalar(sink, &value);
		}
	}
}

char *
asl_compact_text(Jsonb *document, int *length)
{
	StringInfoData text;
	Sink		sink = {&text, 0, PG_INT64_MAX};

	initStringInfo(&text);
	put_document(&sink, document);
	if (length)
		*length = text.len;
	return text.data;
}

int64
asl_compact_size(Jsonb *document)
{
	Sink		sink = {NULL, 0, PG_INT64_MAX};

	put_document(&sink, document);
	return sink.size;
}

char *
asl_compact_excerpt(Jsonb *document, int limit)
{
	StringInfoData text;
	Sink		sink = {&text, 0, limit + 1};

	initStringInfo(&text);
	put_document(&sink, document);
	if (text.len > limit)
	{
		text.len = pg_mbcliplen(text.data, text.len, limit);
		text.data[text.len] = '\0';
		appendStringInfoString(&text, "...");
	}
	return text.data;
}

bool
asl_too_large(const char *what, AslError *error)
{
	return asl_error(error, ASL_ERROR_DATA_LIMIT,
					 "The state/task '%s' returned a result with a size exceeding the maximum number of bytes service limit.", what);
}

bool
asl_within_limit(Jsonb *document, const AslEnv *env, const char *what, AslError *error)
{
	Sink		sink = {NULL, 0, env->data_limit + 1};

	if (env->data_limit <= 0)
		return true;
	put_document(&sink, document);
	return sink.size <= env->data_limit || asl_too_large(what, error);
}


/* ---- in ---- */

/* Bytes of one encoding as bytes of another; NULL if something has no counterpart there. */
char *
asl_convert(const char *bytes, int length, int from, int to, int *result_length)
{
	char	   *result;
	Oid			procedure;
	int64		room = (int64) length * MAX_CONVERSION_GROWTH + 1;

	if (from == to || from == PG_SQL_ASCII || to == PG_SQL_ASCII || length == 0)
	{
		*result_length = length;
		return pnstrdup(bytes, length);
	}
	procedure = FindDefaultConversionProc(from, to);
	if (!OidIsValid(procedure) || room > PG_INT32_MAX)
		return NULL;
	result = palloc_extended(room, MCXT_ALLOC_HUGE);
	if (pg_do_encoding_conversion_buf(procedure, from, to, (unsigned char *) unconstify(char *, bytes), length,
									  (unsigned char *) result, room, true) != length)
	{
		pfree(result);
		return NULL;
	}
	*result_length = strlen(result);
	return result;
}

/* Append a character in the database's encoding; false if that has none for it. */
static bool
append_code_point(StringInfo text, pg_wchar code)
{
	unsigned char utf8[MAX_MULTIBYTE_CHAR_LEN + 1] = {0};
	char	   *converted;
	int			length;

	if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
		return false;
	unicode_to_utf8(code, utf8);
	length = pg_utf_mblen(utf8);
	if (code >= 0x80 && GetDatabaseEncoding() == PG_SQL_ASCII)
		return false;
	converted = asl_convert((char *) utf8, length, PG_UTF8, GetDatabaseEncoding(), &length);
	if (converted == NULL)
		return false;
	appendBinaryStringInfo(text, converted, length);
	pfree(converted);
	return true;
}

JsonbValue
asl_take_text(StringInfo text)
{
	JsonbValue	result = asl_value_text(pnstrdup(text->data, text->len), text->len);

	pfree(text->data);
	return result;
}

/* Four hexadecimal digits at *p, which moves behind them. */
static bool
read_hex4(const char **p, const char *end, pg_wchar *code)
{
	*code = 0;
	if (end - *p < 4)
		return false;
	for (int i = 0; i < 4; i++, (*p)++)
	{
		char		c = **p;

		if (c >= '0' && c <= '9')
			*code = *code * 16 + (c - '0');
		else if (pg_tolower(c) >= 'a' && pg_tolower(c) <= 'f')
			*code = *code * 16 + (pg_tolower(c) - 'a' + 10);
		else
			return false;
	}
	return true;
}

bool
asl_read_unicode_escape(const char **p, const char *end, StringInfo text)
{
	const char *q = *p;
	pg_wchar	code;
	pg_wchar	low;

	if (!read_hex4(&q, end, &code))
		return false;
	if (is_utf16_surrogate_first(code))
	{
		if (end - q < 6 || q[0] != '\\' || q[1] != 'u')
			return false;
		q += 2;
		if (!read_hex4(&q, end, &low) || !is_utf16_surrogate_second(low))
			return false;
		code = surrogate_pair_to_codepoint(code, low);
	}
	*p = q;
	return append_code_point(text, code);
}

static inline int
count_digits(const char *p, const char *limit)
{
	const char *start = p;

	while (p < limit && isdigit((unsigned char) *p))
		p++;
	return p - start;
}

/* "e+10" at *p, which moves behind it; 0 if there is none. */
static int64
read_exponent(const char **p, const char *limit)
{
	const char *q = *p;
	bool		negative = false;
	int64		exponent = 0;

	if (q >= limit || (*q != 'e' && *q != 'E'))
		return 0;
	q++;
	if (q < limit && (*q == '+' || *q == '-'))
		negative = *q++ == '-';
	if (count_digits(q, limit) == 0)
		return 0;
	for (; q < limit && isdigit((unsigned char) *q); q++)
		exponent = Min(exponent * 10 + (*q - '0'), 1000000);
	*p = q;
	return negative ? -exponent : exponent;
}

/*
 * The number at p: *end moves behind it.  A numeric has at most 131072 digits before and 16383 digits after the
 * decimal point; what needs more is refused here, before numeric_in would raise an error.
 */
bool
asl_read_number(const char *p, const char *limit, const char **end, JsonbValue *value)
{
	const char *start = p;
	int64		before;			/* digits before the point */
	int64		after = 0;
	int64		exponent;
	char	   *text;

	if (p < limit && *p == '-')
		p++;
	before = p < limit && *p == '0' ? 1 : count_digits(p, limit);
	if (before == 0)
		return false;
	p += before;
	if (p < limit && *p == '.')
	{
		after = count_digits(p + 1, limit);
		if (after > 0)
			p += 1 + after;
	}
	exponent = read_exponent(&p, limit);
	*end = p;
	if (before + exponent > 131072 || after - exponent > 16383 || after > 16383)
		return false;

	text = pnstrdup(start, p - start);
	value->type = jbvNumeric;
	value->val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in, CStringGetDatum(text),
															 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	pfree(text);
	return true;
}

/* An array or object that is being read, and the key of the value awaited. */
typedef struct Level
{
	struct Level *parent;
	JsonbValue	container;
	JsonbValue	key;
} Level;

typedef struct Reader
{
	const char *p;
	const char *end;
	Level	   *level;			/* the innermost open one */
	char	  **problem;
} Reader;

static bool
problem_at(Reader *reader, const char *problem)
{
	if (reader->p >= reader->end)
		*reader->problem = pstrdup("unexpected end of the JSON text");
	else
		*reader->problem = psprintf("%s at \"%s\"", problem,
									pnstrdup(reader->p, pg_mbcliplen(reader->p, reader->end - reader->p, 20)));
	return false;
}

static void
skip_blanks(Reader *reader)
{
	while (reader->p < reader->end && strchr(" \t\r\n", *reader->p) && *reader->p != '\0')
		reader->p++;
}

static bool
accept(Reader *reader, char c)
{
	skip_blanks(reader);
	if (reader->p >= reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

static bool
read_string(Reader *reader, JsonbValue *value)
{
	StringInfoData text;

	if (!accept(reader, '"'))
		return problem_at(reader, "expected a string");
	initStringInfo(&text);
	while (reader->p < reader->end && *reader->p != '"')
	{
		static const char escapes[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
		const char *escape = NULL;
		char		c = *reader->p++;

		if ((unsigned char) c < ' ')
			return problem_at(reader, "a control character in a string must be escaped");
		if (c != '\\')
		{
			appendStringInfoChar(&text, c);
			continue;
		}
		c = reader->p < reader->end ? *reader->p : '\0';
		for (const char *e = escapes; *e && !escape; e += 2)
			escape = *e == c ? e + 1 : NULL;
		if (!escape && c != 'u')
			return problem_at(reader, "invalid escape in a string");
		reader->p++;
		if (escape)
			appendStringInfoChar(&text, *escape);
		else if (!asl_read_unicode_escape(&reader->p, reader->end, &text))
			return problem_at(reader, "invalid escape in a string");
	}
	if (!accept(reader, '"'))
		return problem_at(reader, "unclosed string");
	*value = asl_take_text(&text);
	return true;
}

static bool
read_word(Reader *reader, const char *word, JsonbValue result, JsonbValue *value)
{
	size_t		length = strlen(word);

	if ((size_t) (reader->end - reader->p) < length || memcmp(reader->p, word, length) != 0)
		return problem_at(reader, "expected a JSON value");
	reader->p += length;
	*value = result;
	return true;
}

static bool
read_scalar(Reader *reader, JsonbValue *value)
{
	const char *end = reader->p;

	switch (reader->p < reader->end ? *reader->p : '\0')
	{
		case '"':
			return read_string(reader, value);
		case 't':
			return read_word(reader, "true", asl_value_bool(true), value);
		case 'f':
			return read_word(reader, "false", asl_value_bool(false), value);
		case 'n':
			return read_word(reader, "null", asl_value_null(), value);
		default:
			if (!asl_read_number(reader->p, reader->end, &end, value))
				return problem_at(reader, end > reader->p ? "a number out of range" : "expected a JSON value");
			reader->p = end;
			return true;
	}
}

static void
open_level(Reader *reader, JsonbValue container)
{
	Level	   *level = palloc(sizeof(Level));

	level->parent = reader->level;
	level->container = container;
	reader->level = level;
}

static bool
read_key(Reader *reader)
{
	if (!read_string(reader, &reader->level->key))
		return false;
	return accept(reader, ':') || problem_at(reader, "expected a colon");
}

/* Put a complete value into the innermost open container, which may complete that one, and so on. */
static bool
close_levels(Reader *reader, JsonbValue *value, bool *complete)
{
	while (reader->level)
	{
		Level	   *level = reader->level;
		bool		is_array = level->container.type == jbvArray;

		if (is_array)
			asl_array_append(&level->container, value);
		else
			asl_object_add(&level->container, level->key.val.string.val, level->key.val.string.len, value);
		if (accept(reader, ','))
		{
			*complete = false;
			return is_array || read_key(reader);
		}
		if (!accept(reader, is_array ? ']' : '}'))
			return problem_at(reader, is_array ? "expected a comma or a closing bracket" : "expected a comma or a closing brace");
		*value = level->container;
		reader->level = level->parent;
	}
	*complete = true;
	return true;
}

bool
asl_value_parse(const char *text, int length, JsonbValue *value, char **problem)
{
	Reader		reader = {text, text + length, NULL, problem};
	bool		complete = false;

	while (!complete)
	{
		CHECK_FOR_INTERRUPTS();
		if (accept(&reader, '['))
		{
			if (!accept(&reader, ']'))
			{
				open_level(&reader, asl_value_empty_array());
				continue;
			}
			*value = asl_value_empty_array();
		}
		else if (accept(&reader, '{'))
		{
			if (!accept(&reader, '}'))
			{
				open_level(&reader, asl_value_empty_object());
				if (!read_key(&reader))
					return false;
				continue;
			}
			*value = asl_value_empty_object();
		}
		else if (!read_scalar(&reader, value))
			return false;

		if (!close_levels(&reader, value, &complete))
			return false;
	}
	skip_blanks(&reader);
	return reader.p == reader.end || problem_at(&reader, "unexpected text behind the JSON value");
}
