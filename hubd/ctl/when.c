/* Times and lengths of time: RFC 3339, dates, and "15m". */
#include "hubd/ctl/when.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND	INT64_C(1000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define LONGEST (36525 * DAY)

static int64_t
unit_ms(char c)
{
	switch (c) {
	case 's':
		return (SECOND);
	case 'm':
		return (MINUTE);
	case 'h':
		return (HOUR);
	case 'd':
		return (DAY);
	case 'w':
		return (7 * DAY);
	default:
		return (0);
	}
}

bool
when_parse_length(const char *s, int64_t *ms)
{
	int64_t n = 0, unit;
	size_t i;

	for (i = 0; isdigit((unsigned char)s[i]); i++) {
		if (i == 12)
			return (false);
		n = n * 10 + (s[i] - '0');
	}
	if (i == 0 || (unit = unit_ms(s[i])) == 0 || s[i + 1] != '\0')
		return (false);
	if (n > LONGEST / unit)
		return (false);
	*ms = n * unit;
	return (true);
}

/* Exactly width digits at *s, which moves behind them; -1 if not. */
static int
digits(const char **s, int width)
{
	int n = 0;

	while (width-- > 0) {
		if (!isdigit((unsigned char)**s))
			return (-1);
		n = n * 10 + (*(*s)++ - '0');
	}
	return (n);
}

static bool
skip(const char **s, char c)
{
	if (**s != c)
		return (false);
	(*s)++;
	return (true);
}

static bool
parse_date(const char **s, struct tm *tm)
{
	struct tm check;
	time_t t;

	if ((tm->tm_year = digits(s, 4)) < 1970 || !skip(s, '-') ||
	    (tm->tm_mon = digits(s, 2)) < 1 || !skip(s, '-') ||
	    (tm->tm_mday = digits(s, 2)) < 1)
		return (false);
	tm->tm_year -= 1900;
	tm->tm_mon--;
	/* timegm() repairs a 30th of February; that is how it shows. */
	check = *tm;
	t = timegm(&check);
	return (t >= 0 && check.tm_mday == tm->tm_mday &&
		check.tm_mon == tm->tm_mon);
}

static bool
parse_clock(const char **s, struct tm *tm, int64_t *ms)
{
	int64_t scale = 100;

	if ((tm->tm_hour = digits(s, 2)) < 0 || tm->tm_hour > 23 ||
	    !skip(s, ':') || (tm->tm_min = digits(s, 2)) < 0 ||
	    tm->tm_min > 59 || !skip(s, ':') ||
	    (tm->tm_sec = digits(s, 2)) < 0 || tm->tm_sec > 60)
		return (false);
	if (!skip(s, '.'))
		return (true);
	if (!isdigit((unsigned char)**s))
		return (false);
	for (; isdigit((unsigned char)**s); (*s)++, scale /= 10)
		*ms += (**s - '0') * scale;
	return (true);
}

/* "Z" or "+02:00": what has to be taken off. */
static bool
parse_offset(const char **s, int64_t *ms)
{
	int sign, h, m;

	if (skip(s, 'Z') || skip(s, 'z'))
		return (true);
	sign = **s == '+' ? 1 : -1;
	if (!skip(s, '+') && !skip(s, '-'))
		return (false);
	if ((h = digits(s, 2)) < 0 || h > 23 || !skip(s, ':') ||
	    (m = digits(s, 2)) < 0 || m > 59)
		return (false);
	*ms = sign * (h * HOUR + m * MINUTE);
	return (true);
}

bool
when_parse(const char *s, int64_t now_ms, bool ahead, int64_t *ms)
{
	struct tm tm = {0};
	int64_t length, fraction = 0, offset = 0;

	if (when_parse_length(s, &length)) {
		*ms = ahead ? now_ms + length : now_ms - length;
		return (*ms >= 0);
	}
	if (!parse_date(&s, &tm))
		return (false);
	if (*s != '\0') {
		if (!skip(&s, 'T') && !skip(&s, 't') && !skip(&s, ' '))
			return (false);
		if (!parse_clock(&s, &tm, &fraction) ||
		    !parse_offset(&s, &offset) || *s != '\0')
			return (false);
	}
	*ms = (int64_t)timegm(&tm) * SECOND + fraction - offset;
	return (*ms >= 0);
}

void
when_format(int64_t ms, char out[WHEN_TEXT])
{
	time_t t = ms / SECOND;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(out, WHEN_TEXT, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, WHEN_TEXT, "-");
}

void
when_format_length(int64_t ms, char out[WHEN_TEXT])
{
	if (ms < SECOND)
		snprintf(out, WHEN_TEXT, "%" PRId64 " ms", ms);
	else if (ms < MINUTE)
		snprintf(out, WHEN_TEXT, "%" PRId64 ".%" PRId64 " s",
		    ms / SECOND, ms % SECOND / 100);
	else if (ms < HOUR)
		snprintf(out, WHEN_TEXT, "%" PRId64 "m%02" PRId64 "s",
		    ms / MINUTE, ms % MINUTE / SECOND);
	else if (ms < DAY)
		snprintf(out, WHEN_TEXT, "%" PRId64 "h%02" PRId64 "m",
		    ms / HOUR, ms % HOUR / MINUTE);
	else
		snprintf(out, WHEN_TEXT, "%" PRId64 "d%02" PRId64 "h", ms / DAY,
		    ms % DAY / HOUR);
}
