/* Dates of HTTP, read by hand: strptime() takes much that is none. */
#include "common/httpdate.h"

#include <stdbool.h>
#include <time.h>

#define LENGTH 29

/* Two digits, -1 if they are not. */
static int
two_digits(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return (-1);
	return ((p[0] - '0') * 10 + (p[1] - '0'));
}

static int
month_of(const char *p)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int i;

	for (i = 0; i < 12; i++)
		if (memcmp(names + 3 * (size_t)i, p, 3) == 0)
			return (i);
	return (-1);
}

/* Are blanks, colons and the zone where they belong? */
static bool
has_shape(const char *p)
{
	return (memcmp(p + 3, ", ", 2) == 0 && p[7] == ' ' && p[11] == ' ' &&
		p[16] == ' ' && p[19] == ':' && p[22] == ':' &&
		memcmp(p + 25, " GMT", 4) == 0);
}

int64_t
httpdate_parse(struct span s)
{
	struct tm tm = {0};
	int century, year;

	if (s.n != LENGTH || !has_shape(s.p))
		return (-1);
	tm.tm_mday = two_digits(s.p + 5);
	tm.tm_mon = month_of(s.p + 8);
	century = two_digits(s.p + 12);
	year = two_digits(s.p + 14);
	tm.tm_hour = two_digits(s.p + 17);
	tm.tm_min = two_digits(s.p + 20);
	tm.tm_sec = two_digits(s.p + 23);
	if (tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_mon < 0 || century < 0 ||
	    year < 0 || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
	    tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return (-1);
	tm.tm_year = century * 100 + year - 1900;
	return (tm.tm_year < 70 ? -1 : (int64_t)timegm(&tm) * 1000);
}
