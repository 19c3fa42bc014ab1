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

void
buf_init(struct buf *b)
{
	memset(b, 0, sizeof(*b));
}

void
buf_fini(struct buf *b)
{
	free(b->mem);
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
buf_reserve(struct buf *b, size_t n)
{
	size_t len = buf_len(b), cap;

	if (b->cap - b->end >= n && b->mem != NULL)
		return (b->mem + b->end);
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
	b->mem = xrealloc(b->mem, cap);
	b->cap = cap;
	return (b->mem + b->end);
}

void
buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->end);
	b->end += n;
}

void
buf_adduint(struct buf *b, uint64_t n)
{
	b->end += digits_put(buf_reserve(b, DIGITS_MAX), n);
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	va_start(ap, fmt);
	vsnprintf(buf_reserve(b, (size_t)n + 1), (size_t)n + 1, fmt, ap);
	va_end(ap);
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
