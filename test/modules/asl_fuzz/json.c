/*-------------------------------------------------------------------------
 *
 * json.c
 *	  A case as a tree: parse, print, change.
 *
 * A reader of its own, since those of the server and of src/asl forget how
 * things were written, and are under test.  It takes any text of type json.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"

#define MAX_DEPTH 4000

typedef struct Reader
{
	const char *p;
	const char *end;
	int			depth;
} Reader;

static FuzzJson *read_value(Reader *reader);


FuzzJson *
fuzz_json_make(char kind, const char *text)
{
	FuzzJson   *value = palloc0(sizeof(FuzzJson));

	value->kind = kind;
	value->text = pstrdup(text);
	return value;
}

void
fuzz_json_insert(FuzzJson *container, int position, FuzzJson *member)
{
	if (container->count == container->room)
	{
		container->room = Max(4, container->room * 2);
		container->members = container->members
			? repalloc(container->members, container->room * sizeof(FuzzJson *))
			: palloc(container->room * sizeof(FuzzJson *));
	}
	memmove(container->members + position + 1, container->members + position,
			(container->count - position) * sizeof(FuzzJson *));
	container->members[position] = member;
	container->count++;
}

FuzzJson *
fuzz_json_field(const FuzzJson *object, const char *key)
{
	for (int i = 0; object->kind == '{' && i < object->count; i++)
	{
		if (strcmp(object->members[i]->key, key) == 0)
			return object->members[i];
	}
	return NULL;
}

FuzzJson *
fuzz_json_copy(const FuzzJson *value)
{
	FuzzJson   *copy = palloc(sizeof(FuzzJson));

	*copy = *value;
	copy->count = copy->room = 0;
	copy->members = NULL;
	for (int i = 0; i < value->count; i++)
		fuzz_json_insert(copy, i, fuzz_json_copy(value->members[i]));
	return copy;
}

static bool
accept(Reader *reader, char c)
{
	while (reader->p < reader->end && strchr(" \t\r\n", *reader->p) && *reader->p)
		reader->p++;
	if (reader->p >= reader->end || *reader->p != c)
		return false;
	reader->p++;
	return true;
}

/* Behind the opening quote. */
static char *
read_string(Reader *reader)
{
	const char *start = reader->p;

	while (reader->p < reader->end && *reader->p != '"')
		reader->p += (*reader->p == '\\' && reader->p + 1 < reader->end) ? 2 : 1;
	if (reader->p >= reader->end)
		return NULL;
	return pnstrdup(start, reader->p++ - start);
}

static FuzzJson *
read_container(Reader *reader, char open, char close)
{
	FuzzJson   *container = fuzz_json_make(open, "");

	if (++reader->depth > MAX_DEPTH)
		return NULL;
	while (!accept(reader, close))
	{
		FuzzJson   *member;
		char	   *key = NULL;

		if (container->count > 0 && !accept(reader, ','))
			return NULL;
		if (open == '{' && (!accept(reader, '"') || !(key = read_string(reader)) || !accept(reader, ':')))
			return NULL;
		member = read_value(reader);
		if (member == NULL)
			return NULL;
		member->key = key;
		fuzz_json_insert(container, container->count, member);
	}
	reader->depth--;
	return container;
}

static FuzzJson *
read_value(Reader *reader)
{
	static const char *const words[] = {"true", "false", "null"};
	FuzzJson   *value;
	const char *start;

	if (accept(reader, '{'))
		return read_container(reader, '{', '}');
	if (accept(reader, '['))
		return read_container(reader, '[', ']');
	if (accept(reader, '"'))
	{
		value = fuzz_json_make('"', "");
		value->text = read_string(reader);
		return value->text ? value : NULL;
	}
	for (int i = 0; i < lengthof(words); i++)
	{
		int			length = strlen(words[i]);

		if (reader->end - reader->p >= length && memcmp(reader->p, words[i], length) == 0)
		{
			reader->p += length;
			return fuzz_json_make(words[i][0], "");
		}
	}
	start = reader->p;
	while (reader->p < reader->end && *reader->p && strchr("+-.0123456789eE", *reader->p))
		reader->p++;
	if (reader->p == start)
		return NULL;
	value = fuzz_json_make('0', "");
	value->text = pnstrdup(start, reader->p - start);
	return value;
}

FuzzJson *
fuzz_json_parse(const char *text, int length)
{
	Reader		reader = {text, text + length, 0};
	FuzzJson   *value = read_value(&reader);

	(void) accept(&reader, '\0');	/* skip blanks */
	return reader.p == reader.end ? value : NULL;
}

void
fuzz_json_print(StringInfo buffer, const FuzzJson *value)
{
	switch (value->kind)
	{
		case '{':
		case '[':
			appendStringInfoChar(buffer, value->kind);
			for (int i = 0; i < value->count; i++)
			{
				if (i > 0)
					appendStringInfoChar(buffer, ',');
				if (value->kind == '{')
					appendStringInfo(buffer, "\"%s\":", value->members[i]->key);
				fuzz_json_print(buffer, value->members[i]);
			}
			appendStringInfoChar(buffer, value->kind == '{' ? '}' : ']');
			break;
		case '"':
			appendStringInfo(buffer, "\"%s\"", value->text);
			break;
		case '0':
			appendStringInfoString(buffer, value->text);
			break;
		case 't':
			appendStringInfoString(buffer, "true");
			break;
		case 'f':
			appendStringInfoString(buffer, "false");
			break;
		default:
			appendStringInfoString(buffer, "null");
	}
}
