/*
 * A growable run of contiguous bytes with a front that can be consumed.
 * It has no cap of its own: whoever feeds it from outside checks
 * buf_len() against a limit first.
 */
#ifndef COMMON_BUF_H
#define COMMON_BUF_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

struct buf {
	char *mem;
	size_t off; /* start of the unread bytes */
	size_t end; /* one past the last */
	size_t cap;
};

/* All zeroes is a valid empty buffer; so is this. */
void buf_init(struct buf *);
/* Frees the memory; the buffer is empty and usable again. */
void buf_fini(struct buf *);
/* Forgets the bytes; keeps up to keep bytes of memory for reuse. */
void buf_reset(struct buf *, size_t keep);

/* buf_reserve() of what has no room yet. */
char *buf_make_room(struct buf *, size_t n);

/* In decimal. */
void buf_adduint(struct buf *, uint64_t);
void buf_addf(struct buf *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Drops n bytes from the front; n is at most buf_len(). */
void buf_consume(struct buf *, size_t n);
/* Replaces len bytes at offset at (from the front) by n bytes of p. */
void buf_splice(struct buf *, size_t at, size_t len, const void *p, size_t n);
/* A terminated copy-free view: adds a NUL behind the end, uncounted. */
char *buf_cstr(struct buf *);

/* Inline, for most pieces are small, of a known size, and have room. */

/* Room for at least n more bytes; write there, then buf_commit(). */
static inline char *
buf_reserve(struct buf *b, size_t n)
{
	if (b->cap - b->end >= n && b->mem != NULL)
		return (b->mem + b->end);
	return (buf_make_room(b, n));
}

static inline void
buf_commit(struct buf *b, size_t n)
{
	assert(n <= b->cap - b->end);
	b->end += n;
}

static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return;
	memcpy(buf_reserve(b, n), p, n);
	b->end += n;
}

static inline void
buf_addspan(struct buf *b, struct span s)
{
	buf_add(b, s.p, s.n);
}

static inline void
buf_addstr(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline size_t
buf_len(const struct buf *b)
{
	return (b->end - b->off);
}

static inline char *
buf_ptr(const struct buf *b)
{
	return (b->mem != NULL ? b->mem + b->off : NULL);
}

static inline struct span
buf_span(const struct buf *b)
{
	return (span_of(buf_ptr(b), b->end - b->off));
}

#endif
