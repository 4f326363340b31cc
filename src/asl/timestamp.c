/*-------------------------------------------------------------------------
 *
 * timestamp.c
 *	  Timestamps of the language: RFC 3339 with an uppercase "T" and "Z".
 *
 * The server's own input functions accept far more than RFC 3339 does, and
 * round to microseconds, so they cannot tell what is a timestamp here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "asl/timestamp.h"
#include "datatype/timestamp.h"
#include "utils/datetime.h"

/* Exactly n digits; moves *text past them. */
static bool
read_digits(const char **text, const char *end, int n, int *value)
{
	*value = 0;
	if (end - *text < n)
		return false;
	for (; n > 0; n--, (*text)++)
	{
		if (!isdigit((unsigned char) **text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool
read_char(const char **text, const char *end, char c)
{
	if (*text == end || **text != c)
		return false;
	(*text)++;
	return true;
}

/* ".123456789"; digits beyond nanoseconds are dropped. */
static bool
read_fraction(const char **text, const char *end, int32 *nanoseconds)
{
	int			scale = 100000000;
	const char *start;

	*nanoseconds = 0;
	if (!read_char(text, end, '.'))
		return true;
	for (start = *text; *text < end && isdigit((unsigned char) **text); (*text)++)
	{
		*nanoseconds += (**text - '0') * scale;
		scale /= 10;
	}
	return *text > start;
}

/* "Z", or an offset such as "+05:30", in seconds east of UTC. */
static bool
read_zone(const char **text, const char *end, int *offset)
{
	int			hours;
	int			minutes;
	bool		east;

	*offset = 0;
	if (read_char(text, end, 'Z'))
		return true;
	east = read_char(text, end, '+');
	if (!east && !read_char(text, end, '-'))
		return false;
	if (!read_digits(text, end, 2, &hours) || !read_char(text, end, ':') ||
		!read_digits(text, end, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset = (hours * 60 + minutes) * SECS_PER_MINUTE * (east ? 1 : -1);
	return true;
}

bool
asl_instant_parse(const char *text, int length, AslInstant *instant)
{
	const char *end = text + length;
	int			year,
				month,
				day,
				hour,
				minute,
				second,
				offset;

	if (!read_digits(&text, end, 4, &year) || !read_char(&text, end, '-') ||
		!read_digits(&text, end, 2, &month) || !read_char(&text, end, '-') ||
		!read_digits(&text, end, 2, &day) || !read_char(&text, end, 'T') ||
		!read_digits(&text, end, 2, &hour) || !read_char(&text, end, ':') ||
		!read_digits(&text, end, 2, &minute) || !read_char(&text, end, ':') ||
		!read_digits(&text, end, 2, &second) ||
		!read_fraction(&text, end, &instant->nanoseconds) ||
		!read_zone(&text, end, &offset) || text != end)
		return false;
	/* 60 is a leap second: the same as the next minute's second 0 here. */
	if (month < 1 || month > MONTHS_PER_YEAR || day < 1 || day > day_tab[isleap(year)][month - 1] ||
		hour > 23 || minute > 59 || second > 60)
		return false;
	instant->seconds = ((int64) date2j(year, month, day) - UNIX_EPOCH_JDATE) * SECS_PER_DAY +
		hour * SECS_PER_HOUR + minute * SECS_PER_MINUTE + second - offset;
	return true;
}

int
asl_instant_compare(const AslInstant *a, const AslInstant *b)
{
	if (a->seconds != b->seconds)
		return a->seconds < b->seconds ? -1 : 1;
	return a->nanoseconds - b->nanoseconds;
}

/* Years have four digits, so the result is always in range. */
TimestampTz
asl_instant_to_timestamptz(const AslInstant *instant)
{
	int64		since_2000 = instant->seconds -
	(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;

	return since_2000 * USECS_PER_SEC + (instant->nanoseconds + 999) / 1000;
}
