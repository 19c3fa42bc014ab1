/* A growable run of contiguous bytes with a front that can be consumed. */
#include "common/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digits.h"

#define BUF_MIN 256

/* Sizes are BUF_MIN doubled and doubled again; the smaller ones are kept. */
#define POOLED	   7
#define POOLED_MAX (BUF_MIN << (POOLED - 1))
#define KEEP	   262144 /* bytes of each of them at most */

#define SIZE(k) POOL(BUF_MIN << (k), KEEP / (BUF_MIN << (k)))

static struct pool pools[POOLED] = {
    SIZE(0), SIZE(1), SIZE(2), SIZE(3), SIZE(4), SIZE(5), SIZE(6)};

static struct pool *
pool_of(size_t size)
{
	return (&pools[__builtin_ctzl(size / BUF_MIN)]);
}

static void
mem_free(char *mem, size_t size)
{
	if (size > POOLED_MAX)
		free(mem);
	else if (mem != NULL)
		pool_put(pool_of(size), mem);
}

/* Moves the first used bytes of mem to twice the memory or more. */
static char *
mem_grow(char *mem, size_t had, size_t size, size_t used)
{
	char *grown;

	if (had > POOLED_MAX)
		return (xrealloc(mem, size));
	grown = size > POOLED_MAX ? xmalloc(size) : pool_get(pool_of(size));
	if (used > 0)
		memcpy(grown, mem, used);
	mem_free(mem, had);
	return (grown);
}

void
buf_init(struct buf *b)
{
	memset(b, 0, sizeof(*b));
}

void
buf_fini(struct buf *b)
{
	mem_free(b->mem, b->cap);
	memset(b, 0, sizeof(*b));
}

void
buf_reset(struct buf *b, size_t keep)
{
	if (b->cap > keep)
		buf_fini(b);
	b->off = b->end = 0;
}

char *
buf_make_room(struct buf *b, size_t n)
{
	size_t len = buf_len(b), cap;

	/* Move down only if that frees half, or moving would be quadratic. */
	if (b->off >= b->cap / 2 && b->cap - len >= n && b->mem != NULL) {
		memmove(b->mem, b->mem + b->off, len);
		b->off = 0;
		b->end = len;
		return (b->mem + b->end);
	}
	assert(n < SIZE_MAX / 4 && b->end < SIZE_MAX / 4);
	cap = b->cap ? b->cap : BUF_MIN;
	while (cap - b->end < n)
		cap *= 2;
	b->mem = mem_grow(b->mem, b->cap, cap, b->end);
	b->cap = cap;
	return (b->mem + b->end);
}

void
buf_adduint(struct buf *b, uint64_t n)
{
	b->end += digits_put(buf_reserve(b, DIGITS_MAX), n);
}

/* Most texts fit into what is there, or into this much. */
#define TRY_SIZE 64

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	char *to = buf_reserve(b, TRY_SIZE);
	size_t room = b->cap - b->end;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(to, room, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	if ((size_t)n >= room) {
		va_start(ap, fmt);
		to = buf_reserve(b, (size_t)n + 1);
		vsnprintf(to, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	b->end += (size_t)n;
}

void
buf_consume(struct buf *b, size_t n)
{
	assert(n <= buf_len(b));
	b->off += n;
	if (b->off == b->end)
		b->off = b->end = 0;
}

void
buf_splice(struct buf *b, size_t at, size_t len, const void *p, size_t n)
{
	size_t total = buf_len(b);
	char *front;

	assert(at <= total && len <= total - at);
	if (n > len)
		buf_reserve(b, n - len);
	front = buf_ptr(b) + at;
	memmove(front + n, front + len, total - at - len);
	if (n > 0)
		memcpy(front, p, n);
	b->end = b->end - len + n;
}

char *
buf_cstr(struct buf *b)
{
	*buf_reserve(b, 1) = '\0';
	return (buf_ptr(b));
}
