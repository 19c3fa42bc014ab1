/*
 * Monotonic time as a type of its own, so that it cannot be mixed up with
 * wall-clock time, durations or plain integers.
 */
#ifndef COMMON_MONOTIME_H
#define COMMON_MONOTIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

typedef struct {
	int64_t ns; /* CLOCK_MONOTONIC */
} monotime_t;

static inline monotime_t
monotime_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((monotime_t){(int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec});
}

static inline monotime_t
monotime_add_ms(monotime_t t, int64_t ms)
{
	return ((monotime_t){t.ns + ms * 1000000});
}

static inline int64_t
monotime_diff_ms(monotime_t later, monotime_t earlier)
{
	return ((later.ns - earlier.ns) / 1000000);
}

static inline bool
monotime_reached(monotime_t deadline, monotime_t now)
{
	return (now.ns >= deadline.ns);
}

/* Wall-clock milliseconds since 1970, for ids and rows only. */
static inline int64_t
walltime_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* The same in microseconds. */
static inline int64_t
walltime_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
}

#endif
