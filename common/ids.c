/* Request ids, and the randomness of a process behind them. */
#include "common/ids.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/alloc.h"
#include "common/hex.h"
#include "common/log.h"
#include "common/monotime.h"

#define COUNTER_BITS  26
#define COUNTER_LIMIT (UINT32_C(1) << COUNTER_BITS)
#define COUNTER_START (UINT32_C(1) << 20) /* counters start below */

struct id_source {
	uint16_t row;
	int64_t ms; /* of the last id; never goes back */
	uint32_t counter;
};

static struct {
	uint8_t bytes[4096];
	size_t left;
	bool fork_safe;
} pool;

struct id_source *
id_source_new(uint16_t process_row)
{
	struct id_source *s = xcalloc(1, sizeof(*s));

	s->row = process_row;
	return (s);
}

void
id_source_free(struct id_source *s)
{
	free(s);
}

/*
 * Each new millisecond starts its counter at a random place, so that a clock
 * that was set back across a restart repeats nothing either.
 */
static void
id_advance(struct id_source *s)
{
	int64_t now = walltime_ms();

	if (now > s->ms)
		s->ms = now;
	else if (++s->counter < COUNTER_LIMIT)
		return;
	else
		s->ms++;
	s->counter = random_below(COUNTER_START);
}

req_id_t
id_next(struct id_source *s)
{
	req_id_t id;
	int i;

	id_advance(s);
	for (i = 0; i < 6; i++)
		id.b[i] = (uint8_t)(s->ms >> (40 - 8 * i));
	id.b[6] = (uint8_t)(0x70 | s->row >> 12);
	id.b[7] = (uint8_t)(s->row >> 4);
	id.b[8] = (uint8_t)(0x80 | (s->row & 0xf) << 2 | s->counter >> 24);
	id.b[9] = (uint8_t)(s->counter >> 16);
	id.b[10] = (uint8_t)(s->counter >> 8);
	id.b[11] = (uint8_t)s->counter;
	random_bytes(id.b + 12, 4);
	return (id);
}

int64_t
req_id_ms(req_id_t id)
{
	int64_t ms = 0;
	int i;

	for (i = 0; i < 6; i++)
		ms = ms << 8 | id.b[i];
	return (ms);
}

void
req_id_format(req_id_t id, char out[REQ_ID_TEXT])
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < sizeof(id.b); i++) {
		*out++ = hex[id.b[i] >> 4];
		*out++ = hex[id.b[i] & 0xf];
		if (i == 3 || i == 5 || i == 7 || i == 9)
			*out++ = '-';
	}
	*out = '\0';
}

bool
req_id_parse(const char *s, req_id_t *out)
{
	int high, low;
	size_t i;

	for (i = 0; i < sizeof(out->b); i++) {
		if ((high = hex_digit(s[0])) == -1 ||
		    (low = hex_digit(s[1])) == -1)
			return (false);
		out->b[i] = (uint8_t)(high << 4 | low);
		s += 2;
		if ((i == 3 || i == 5 || i == 7 || i == 9) && *s++ != '-')
			return (false);
	}
	return (*s == '\0');
}

/* ---- randomness ---- */

/* A child must not repeat what its parent will hand out. */
static void
pool_forget(void)
{
	explicit_bzero(pool.bytes, sizeof(pool.bytes));
	pool.left = 0;
}

static void
pool_refill(void)
{
	size_t got = 0;
	ssize_t n;

	if (!pool.fork_safe) {
		if (pthread_atfork(NULL, NULL, pool_forget) != 0)
			fatalx("pthread_atfork failed");
		pool.fork_safe = true;
	}
	while (got < sizeof(pool.bytes)) {
		n = getrandom(pool.bytes + got, sizeof(pool.bytes) - got, 0);
		if (n == -1 && errno != EINTR)
			fatal("getrandom");
		if (n > 0)
			got += (size_t)n;
	}
	pool.left = sizeof(pool.bytes);
}

void
random_bytes(void *out, size_t n)
{
	uint8_t *to = out, *from;
	size_t part;

	while (n > 0) {
		if (pool.left == 0)
			pool_refill();
		part = n < pool.left ? n : pool.left;
		from = pool.bytes + sizeof(pool.bytes) - pool.left;
		memcpy(to, from, part);
		explicit_bzero(from, part);
		pool.left -= part;
		to += part;
		n -= part;
	}
}

uint32_t
random_u32(void)
{
	uint32_t r;

	random_bytes(&r, sizeof(r));
	return (r);
}

uint32_t
random_below(uint32_t bound)
{
	uint64_t m;
	uint32_t reject;

	assert(bound > 0);
	/* Lemire's multiplication: the rejected values would be too many. */
	reject = -bound % bound;
	do
		m = (uint64_t)random_u32() * bound;
	while ((uint32_t)m < reject);
	return ((uint32_t)(m >> 32));
}

req_id_t
uuid_random(void)
{
	req_id_t id;

	random_bytes(id.b, sizeof(id.b));
	id.b[6] = (uint8_t)(0x40 | (id.b[6] & 0x0f));
	id.b[8] = (uint8_t)(0x80 | (id.b[8] & 0x3f));
	return (id);
}
