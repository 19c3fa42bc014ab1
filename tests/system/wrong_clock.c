/*
 * Preloaded into a program under test: its wall clock is CLOCK_OFFSET_S
 * seconds ahead. Its monotonic clock is left alone.
 */
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static time_t
offset(void)
{
	const char *s = getenv("CLOCK_OFFSET_S");

	return (s != NULL ? (time_t)strtol(s, NULL, 10) : 0);
}

int
clock_gettime(clockid_t which, struct timespec *ts)
{
	long rv = syscall(SYS_clock_gettime, which, ts);

	if (rv == 0 && which == CLOCK_REALTIME)
		ts->tv_sec += offset();
	return ((int)rv);
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return (ts.tv_sec);
}
