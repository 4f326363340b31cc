/*-------------------------------------------------------------------------
 *
 * arguments.c
 *	  Reading the arguments of SQL functions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "asl/asl.h"
#include "asl/value.h"
#include "engine/arguments.h"
#include "engine/settings.h"

/* Names are keys of indexes, where they have to fit together with others. */
#define MAX_NAME_BYTES 1000

void
ef_refuse_null(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

char *
ef_text_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	ef_refuse_null(fcinfo, arg, name);
	return text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

void
ef_check_name(const char *value, const char *name)
{
	size_t		length = strlen(value);

	if (length == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be empty", name)));
	if (length > MAX_NAME_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s is too long", name),
				 errdetail("It has %zu bytes; at most %d are allowed.", length, MAX_NAME_BYTES)));
}

char *
ef_name_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	char	   *value = ef_text_arg(fcinfo, arg, name);

	ef_check_name(value, name);
	return value;
}

char *
ef_optional_name_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	return PG_ARGISNULL(arg) ? NULL : ef_name_arg(fcinfo, arg, name);
}

char *
ef_optional_text_arg(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

static void
check_size(int64 size, int limit, const char *name, const char *setting)
{
	if (limit > 0 && size > limit)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s of " INT64_FORMAT " bytes is too large", name, size),
				 errdetail("The setting expense_flow.%s allows %d bytes.", setting, limit)));
}

/* An input may well be larger than what states pass on, so its size is taken as it is rather than measured as text. */
void
ef_check_input(Jsonb *input, const char *name)
{
	check_size(VARSIZE(input), ef_input_limit, name, "input_limit");
}

Jsonb *
ef_payload_arg(FunctionCallInfo fcinfo, int arg, const char *name)
{
	Jsonb	   *payload;

	if (PG_ARGISNULL(arg))
		return asl_jsonb_null();
	payload = PG_GETARG_JSONB_P(arg);
	if (ef_data_limit > 0)
		check_size(asl_compact_size(payload), ef_data_limit, name, "data_limit");
	return payload;
}

Jsonb *
ef_input_arg(FunctionCallInfo fcinfo, int arg)
{
	Jsonb	   *input;

	ef_refuse_null(fcinfo, arg, "input");
	input = PG_GETARG_JSONB_P(arg);
	ef_check_input(input, "input");
	return input;
}

int
ef_word_arg(FunctionCallInfo fcinfo, int arg, const char *name, const char *const *words, int nwords)
{
	char	   *value = ef_text_arg(fcinfo, arg, name);
	StringInfoData list;
	int			i;

	for (i = 0; i < nwords; i++)
	{
		if (strcmp(value, words[i]) == 0)
			return i;
	}
	initStringInfo(&list);
	for (i = 0; i < nwords; i++)
		appendStringInfo(&list, "%s'%s'", i == 0 ? "" : i == nwords - 1 ? " or " : ", ", words[i]);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s: \"%s\"", name, value),
			 errdetail("It must be %s.", list.data)));
	return 0;					/* keep compiler quiet */
}

int64
ef_interval_arg(FunctionCallInfo fcinfo, int arg, const char *name, bool zero_allowed)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz then;

	if (PG_ARGISNULL(arg))
		return 0;
	then = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, TimestampTzGetDatum(now),
												   PG_GETARG_DATUM(arg)));
	if (TIMESTAMP_NOT_FINITE(then) || then < now || (then == now && !zero_allowed))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be %s", name, zero_allowed ? "zero or positive" : "positive")));
	return then - now;
}
