/*
 * A clock that the test moves: every monotonic clock of this process is
 * clock_ahead_ms ahead, libevent's too. A test that moves it far
 * sets it back before it ends, for Check measures by it. Included by one file
 * of a test.
 */
#ifndef TESTS_UNIT_CLOCK_FAKE_H
#define TESTS_UNIT_CLOCK_FAKE_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ahead_ms;

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int rv = (int)syscall(SYS_clock_gettime, id, ts);
	int64_t ns;

	if (rv == -1 || id == CLOCK_REALTIME)
		return (rv);
	ns = ts->tv_nsec + clock_ahead_ms % 1000 * 1000000;
	ts->tv_sec += clock_ahead_ms / 1000 + ns / 1000000000;
	ts->tv_nsec = ns % 1000000000;
	return (rv);
}

#endif
