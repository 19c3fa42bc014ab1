/* The simulator's clock: this machine's, and so many seconds more. */
#include <time.h>

#include "tests/sim/sim.h"

static int64_t skew;

void
sim_set_skew(int64_t seconds)
{
	skew = seconds;
}

int64_t
sim_now(void)
{
	return ((int64_t)time(NULL) + skew);
}

struct span
sim_http_date(void)
{
	static char text[64];
	static int64_t at;
	int64_t now = sim_now();

	if (now != at || text[0] == '\0') {
		sim_format_time(now, "%a, %d %b %Y %T GMT", text, sizeof(text));
		at = now;
	}
	return (span_str(text));
}

void
sim_format_time(int64_t when, const char *format, char *out, size_t cap)
{
	time_t t = (time_t)when;
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(out, cap, format, &tm);
}
