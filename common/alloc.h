/*
 * Allocation that succeeds or ends the process with a message. Every size
 * that comes from outside is capped before it gets here, so running out
 * means that the machine is out of memory; what the process had promised is
 * in shared memory and in the store, and its successor goes on from there.
 */
#ifndef COMMON_ALLOC_H
#define COMMON_ALLOC_H

#include <stddef.h>

/* Zeroed memory. The caller frees it with free(3). */
void *xcalloc(size_t n, size_t size) __attribute__((malloc));
void *xmalloc(size_t size) __attribute__((malloc));
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s) __attribute__((malloc));
/* A copy of n bytes with a terminator added. */
char *xmemdup0(const char *p, size_t n) __attribute__((malloc));
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Pieces of one size that come and go with every request. What is given back
 * is kept for the next, the last one first, while the caches still have it.
 * A pool is static, belongs to one thread, and is never emptied.
 */
struct pool {
	size_t size;   /* of a piece, at least a pointer's */
	unsigned most; /* pieces that are kept */
	unsigned nkept;
	void *kept; /* the first; each begins with a pointer to the next */
};

#define POOL(piece, pieces)                       \
	{                                         \
		.size = (piece), .most = (pieces) \
	}

/* Not zeroed. */
void *pool_get(struct pool *);
/* NULL is legal. */
void pool_put(struct pool *, void *piece);

#endif
