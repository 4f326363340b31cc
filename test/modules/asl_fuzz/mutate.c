/*-------------------------------------------------------------------------
 *
 * mutate.c
 *	  Changing a case.
 *
 * Most changes keep to the structure: subtrees are removed, doubled, swapped,
 * moved, taken from another case; keys, strings and numbers are replaced by ones
 * that mean something to the language, and strings are cut up and put together
 * again from its fragments.  Whatever comes out is a text of type json.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"

/* Strings and keys of the language, fragments of them, and what is hard on readers of text; as inside JSON quotes. */
static const char *const paths[] = {
	"$", "$$", "@", "$.", "..", ".", "*", "[*]", "[0]", "[-1]", "[1:3]", "[::2]", "[-2:]", "[:-1]", "[0,1]", "['a','b']",
	"['a']", ".a", ".b", ".items", ".length()", ".min()", ".max()", ".sum()", ".avg()", ".keys()", ".first()", ".last()",
	"[?(@.a == 1)]", "[?(@.a)]", "[?(!@.a)]", "[?(@ > 1)]", "[?(@.a =~ /x.*/i)]", "[?(@.b in ['x', 1, null])]",
	"[?(@.a == 'x' && @.b != 2 || !(@.c))]", "[?(@..a)]", "[?(@.a == $.b)]", "[?(@.a == $$.b)]", "[?(@.a == $v.b)]",
	" nin ", " anyof ", " noneof ", " subsetof ", " contains ", " size ", " empty ", " in ", "=~", "==", "!=", "<=", ">=",
	"&&", "||", "!", "(", ")", "[", "]", "[?(", ")]", "'", "\\\"", "\\\\", "\\\\u0041", "\\\\ud83d\\\\ude00", "\\\\ud83d", "\\\\'",
	"$v", "$$.Map.Item.Value", "$$.Map.Item.Index", "$.a", "$.items[*]", "$.items[0].a", "/", "/i", "(?i)", "(x+x+)+y", "[^a]*",
	"{1,99}", ",", ":", "-", "2147483647", "-2147483648", "99999999999999999999", "1e5", "true", "null",
};
static const char *const calls[] = {
	"States.Format('{} {}', $.a, $.b)", "States.Format('{}', $)", "States.StringToJson($.text)", "States.JsonToString($)",
	"States.Array($.a, 1, 'x')", "States.ArrayPartition($.items, 2)", "States.ArrayContains($.items, $.a)",
	"States.ArrayRange(1, 9, 2)", "States.ArrayGetItem($.items, 0)", "States.ArrayLength($.items)",
	"States.ArrayUnique($.items)", "States.Base64Encode($.text)", "States.Base64Decode('eHk=')", "States.Hash($.text, 'SHA-256')",
	"States.Hash($, 'MD5')", "States.JsonMerge($.a, $.b, true)", "States.JsonMerge($, $, false)", "States.MathRandom(1, 9, 7)",
	"States.MathAdd($.n, -1)", "States.StringSplit($.text, ', ')", "States.UUID()", "States.Array()", "States.", "(", ")", ", ",
	"'", "\\\\'", "\\\\{", "\\\\}", "\\\\\\\\", "{}", "{", "}", "null", "true", "false", "0", "-1", "1.5", "-9223372036854775808",
	"9223372036854775807", "9223372036854775808", "1e131071", "-0", "0.5", "1e-16383", "$.a", "$", "$$", "$v", "$.items[*]",
	"States.Format('\\\\{}{}', ", "'{\\\"a\\\":[1,{}]}'", "'[[[[1]]]]'", "States.ArrayRange(-9223372036854775808, 9223372036854775807, ",
	"States.MathAdd(9223372036854775807, 1)", "States.StringToJson('\\\"\\\\\\\\ud83d\\\\\\\\ude00\\\"')",
};
static const char *const words[] = {
	"", "a", "b", "c", "x", "items", "n", "text", "v", "2016-03-14T01:59:00Z", "2016-03-14T01:59:60.123456789+23:59", "9999-12-31T23:59:59-23:59",
	"0000-01-01T00:00:00Z", "2016-02-30T00:00:00Z", "*", "a*b", "**", "*a*", "\\\\*", "a\\\\", "1.0", "JSONPath", "JSONata", "Pass", "Task", "Choice",
	"Wait", "Succeed", "Fail", "Parallel", "Map", "States.ALL", "States.Timeout", "States.TaskFailed", "States.HeartbeatTimeout",
	"States.Runtime", "FULL", "NONE", "INLINE", "DISTRIBUTED", "EXPRESS", "STANDARD", "TERMINATE", "Before", "Parallel", "sql:public.f", "activity:q/a", "signal:s",
	"workflow:w", "arn:aws:states:::lambda:invoke", "sql:public.f.waitForTaskToken", "A", "B", "1", "-1.5e3", "true", "null", "[1,2]", "{\\\"a\\\":1}",
	"eyJhIjoxfQ==", "=", "\\u0000", "\\ud800", "\\udc00", "\\ud83d\\ude00", "\\u0001", "\\u007f", "\\u00e9", "\\uffff", "\xc3\xa9", "\xe2\x82\xac",
	"\xf0\x9f\x98\x80", "\\n", "\\t", "\\\"", "\\\\", "\\/", "{}", " ", "%s%n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};
static const char *const keys[] = {
	"a", "b", "c", "n", "items", "text", "a.$", "b.$", "v.$", ".$", "$", "", "a.b", "a/b", "a[0]", "StartAt", "States", "Comment", "Version",
	"TimeoutSeconds", "TimeoutSecondsPath", "QueryLanguage", "Type", "Next", "End", "InputPath", "OutputPath", "ResultPath", "Parameters",
	"ResultSelector", "Assign", "Retry", "Catch", "Result", "Resource", "HeartbeatSeconds", "HeartbeatSecondsPath", "Credentials", "Choices",
	"Default", "Seconds", "SecondsPath", "Timestamp", "TimestampPath", "Error", "Cause", "ErrorPath", "CausePath", "Branches",
	"ItemProcessor", "Iterator", "ProcessorConfig", "Mode", "ExecutionType", "ItemsPath", "ItemSelector", "ItemReader", "ReaderConfig",
	"MaxItems", "MaxItemsPath", "ItemBatcher", "MaxItemsPerBatch", "MaxItemsPerBatchPath", "MaxInputBytesPerBatch",
	"MaxInputBytesPerBatchPath", "BatchInput", "ResultWriter", "WriterConfig", "Label", "MaxConcurrency", "MaxConcurrencyPath",
	"ToleratedFailureCount", "ToleratedFailureCountPath", "ToleratedFailurePercentage", "ToleratedFailurePercentagePath", "Arguments",
	"Output", "Items", "Condition", "ErrorEquals", "IntervalSeconds", "MaxAttempts", "MaxDelaySeconds", "BackoffRate", "JitterStrategy", "And", "Or",
	"Not", "Variable", "StringEquals", "StringEqualsPath", "StringLessThan", "StringMatches", "NumericEquals", "NumericLessThanPath",
	"NumericGreaterThanEquals", "BooleanEquals", "BooleanEqualsPath", "TimestampEquals", "TimestampLessThanEqualsPath", "TimestampGreaterThan",
	"IsPresent", "IsNull", "IsNumeric", "IsString", "IsBoolean", "IsTimestamp", "Compensate", "Register", "ParentClosePolicy", "WorkflowId",
	"WorkflowIdPath", "WorkflowVersion", "WaitForResult", "ScheduleToStartSeconds", "StartToCloseSeconds", "ScheduleToCloseSeconds",
	"Priority", "Validator", "Respond", "Queries", "CompensationOrder", "A", "B", "C",
};
static const char *const numbers[] = {
	"0", "-0", "1", "-1", "2", "3", "0.5", "1.5", "1.0", "1.00", "-0.0", "100", "101", "10.000", "255", "256", "32767", "32768", "65536", "99999999",
	"2147483647", "-2147483648", "2147483648", "4294967296", "9007199254740991", "9007199254740993", "9223372036854775807",
	"-9223372036854775808", "9223372036854775808", "123456789012345678901234567890", "0.1", "1e2", "1E+2", "1e-2", "1e308", "1e309", "-1e309",
	"1e-400", "1e131071", "1e131072", "0e131073", "1e-16383", "1e-16384", "1e999999999", "1e-999999999", "1e99999999999999999999",
};

#define PICK(random, list) ((list)[fuzz_below(random, lengthof(list))])

/* A place in the tree. */
typedef struct Place
{
	FuzzJson   *value;
	FuzzJson   *parent;			/* NULL: the whole case */
	int			index;
	bool		fixed;			/* a field of the frame */
} Place;

typedef struct Places
{
	Place	   *places;
	int			count;
	int			room;
} Places;

static void
gather(Places *places, FuzzJson *value, FuzzJson *parent, int index, bool fixed, bool frame)
{
	Place		place = {value, parent, index, fixed};

	if (!frame)
	{
		if (places->count == places->room)
		{
			places->room *= 2;
			places->places = repalloc(places->places, places->room * sizeof(Place));
		}
		places->places[places->count++] = place;
	}
	for (int i = 0; i < value->count; i++)
		gather(places, value->members[i], value, i, frame, false);
}

static const FuzzJson *
any_part(FuzzRandom *random, const FuzzJson *value)
{
	while (value->count > 0 && !fuzz_one_in(random, 3))
		value = value->members[fuzz_below(random, value->count)];
	return value;
}

/* ---- strings ---- */

static const char *
fragment(FuzzRandom *random, const char *text)
{
	int			kind = fuzz_below(random, 8);

	if (*text == '$' && kind < 5)
		kind = 0;
	else if (strncmp(text, "States.", 7) == 0 && kind < 6)
		kind = 3;
	if (kind < 3)
		return PICK(random, paths);
	if (kind < 5)
		return PICK(random, calls);
	return kind < 7 ? PICK(random, words) : PICK(random, keys);
}

/* Bytes of the character (or the escape) at text. */
static int
token_length(const char *text)
{
	int			length = 1;

	if (*text == '\0')
		return 0;
	if (*text == '\\')
		return strnlen(text, text[1] == 'u' ? 6 : 2);
	while ((text[length] & 0xc0) == 0x80)
		length++;
	return length;
}

/* A random place between two characters. */
static int
cut(FuzzRandom *random, const char *text, int from)
{
	int			wanted = fuzz_below(random, strlen(text) - from + 1) + from;
	int			at = from;

	while (at < wanted && text[at])
		at += token_length(text + at);
	return at;
}

static char *
mutate_string(FuzzRandom *random, const char *text)
{
	int			from = cut(random, text, 0);
	int			to = cut(random, text, from);

	switch (fuzz_below(random, 7))
	{
		case 0:					/* remove */
			return psprintf("%.*s%s", from, text, text + to);
		case 1:					/* double */
			return psprintf("%.*s%s", to, text, text + from);
		case 2:					/* one character less */
			return psprintf("%.*s%s", from, text, text + from + token_length(text + from));
		case 3:
			return pstrdup(fragment(random, text));
		case 4:					/* replace */
			return psprintf("%.*s%s%s", from, text, fragment(random, text), text + to);
		default:				/* insert */
			return psprintf("%.*s%s%s", from, text, fragment(random, text), text + from);
	}
}

static char *
mutate_number(FuzzRandom *random, const char *text)
{
	char	   *changed = pstrdup(text);
	int			at = fuzz_below(random, strlen(text));

	if (fuzz_one_in(random, 2) || changed[at] < '1' || changed[at] > '9')
		return pstrdup(PICK(random, numbers));
	changed[at] = '1' + fuzz_below(random, 9);
	return changed;
}

static void
mutate_scalar(FuzzRandom *random, Place *place)
{
	static const char kinds[] = "\"\"000tfn{[";
	FuzzJson   *value = place->value;
	bool		keep_string = place->fixed && value->kind == '"';

	if (value->count > 0 && fuzz_one_in(random, 2))
		return;
	if (keep_string || (value->kind == '"' && !fuzz_one_in(random, 5)))
		value->text = mutate_string(random, value->text);
	else if (value->kind == '0' && !fuzz_one_in(random, 5))
		value->text = mutate_number(random, value->text);
	else
	{
		value->kind = kinds[fuzz_below(random, strlen(kinds))];
		value->count = 0;
		value->text = pstrdup(value->kind == '"' ? fragment(random, "") :
							  value->kind == '0' ? PICK(random, numbers) : "");
	}
}

/* ---- trees ---- */

static char *
any_key(FuzzRandom *random, const FuzzJson *value, const FuzzJson *other)
{
	const FuzzJson *part = any_part(random, fuzz_one_in(random, 2) ? value : other);

	if (part->key && fuzz_one_in(random, 2))
		return pstrdup(part->key);
	if (part->key && fuzz_one_in(random, 2))
		return mutate_string(random, part->key);
	return pstrdup(PICK(random, keys));
}

/* A part becomes the only member of a new container, again and again. */
static void
wrap(FuzzRandom *random, FuzzJson *value, int levels)
{
	while (levels-- > 0)
	{
		FuzzJson   *inner = palloc(sizeof(FuzzJson));

		*inner = *value;
		inner->key = pstrdup("a");
		value->kind = fuzz_one_in(random, 2) ? '{' : '[';
		value->count = value->room = 0;
		value->members = NULL;
		fuzz_json_insert(value, 0, inner);
	}
}

static void
replace(Place *place, const FuzzJson *by)
{
	char	   *key = place->value->key;

	*place->value = *fuzz_json_copy(by);
	place->value->key = key;
}

static void
remove_member(Place *place)
{
	FuzzJson   *parent = place->parent;

	if (parent == NULL || place->fixed || place->index >= parent->count)
		return;
	parent->count--;
	memmove(parent->members + place->index, parent->members + place->index + 1,
			(parent->count - place->index) * sizeof(FuzzJson *));
}

static void
insert_copies(FuzzRandom *random, FuzzJson *container, const FuzzJson *part, char *key)
{
	int			copies = fuzz_one_in(random, 20) ? fuzz_below(random, 64) : 1;

	while (copies-- > 0)
	{
		FuzzJson   *member = fuzz_json_copy(part);

		member->key = key;
		fuzz_json_insert(container, fuzz_below(random, container->count + 1), member);
	}
}

static void
change(FuzzRandom *random, FuzzJson *value, const FuzzJson *other, bool framed)
{
	Places		places = {palloc(64 * sizeof(Place)), 0, 64};
	Place	   *place;
	FuzzJson   *parent;
	bool		movable;

	gather(&places, value, NULL, 0, false, framed);
	if (places.count == 0)
		return;
	place = &places.places[fuzz_below(random, places.count)];
	parent = place->parent;
	movable = parent != NULL && !place->fixed;
	switch (fuzz_below(random, 14))
	{
		case 0:
			remove_member(place);
			break;
		case 1:
			if (movable)
				insert_copies(random, parent, place->value, any_key(random, value, other));
			break;
		case 2:
			if (!place->fixed || place->value->kind != '"')
				replace(place, any_part(random, value));
			break;
		case 3:
			if (!place->fixed || place->value->kind != '"')
				replace(place, any_part(random, other));
			break;
		case 4:
			if (place->value->kind == '{' || place->value->kind == '[')
				insert_copies(random, place->value, any_part(random, other), any_key(random, value, other));
			break;
		case 5:
			if (!place->fixed || place->value->kind != '"')
				wrap(random, place->value, fuzz_one_in(random, 100) ? fuzz_below(random, 1500) : 1);
			break;
		case 6:
			if (place->value->count > 0)
				replace(place, place->value->members[fuzz_below(random, place->value->count)]);
			break;
		case 7:
			if (movable && parent->kind == '{')
				place->value->key = any_key(random, value, other);
			break;
		case 8:
			if (movable && parent->count > 1)
			{
				int			with = fuzz_below(random, parent->count);

				parent->members[place->index] = parent->members[with];
				parent->members[with] = place->value;
			}
			break;
		default:
			mutate_scalar(random, place);
	}
}

FuzzJson *
fuzz_mutate(FuzzRandom *random, const FuzzJson *value, const FuzzJson *other, bool framed)
{
	FuzzJson   *changed = fuzz_json_copy(value);
	int			changes = 1;

	while (changes < 12 && !fuzz_one_in(random, 2))
		changes++;
	while (changes-- > 0)
		change(random, changed, other, framed);
	return changed;
}
