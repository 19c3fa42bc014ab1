/* Allocation that succeeds or ends the process. */
#include "common/alloc.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

void *
xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (p == NULL)
		fatalx("out of memory: %zu x %zu bytes", n, size);
	return (p);
}

void *
xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (p == NULL)
		fatalx("out of memory: %zu bytes", size);
	return (p);
}

void *
xrealloc(void *old, size_t size)
{
	void *p = realloc(old, size ? size : 1);

	if (p == NULL)
		fatalx("out of memory: %zu bytes", size);
	return (p);
}

char *
xstrdup(const char *s)
{
	return (xmemdup0(s, strlen(s)));
}

char *
xmemdup0(const char *p, size_t n)
{
	char *s = xmalloc(n + 1);

	if (n > 0)
		memcpy(s, p, n);
	s[n] = '\0';
	return (s);
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n == -1)
		fatalx("out of memory: formatting a string");
	return (s);
}

/* ---- pools ---------------------------------------------------------------
 */

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif

/* The sanitizer is to see each piece's end. */
#ifdef __SANITIZE_ADDRESS__
#define KEEPS false
#else
#define KEEPS true
#endif

void *
pool_get(struct pool *pool)
{
	void *piece = pool->kept;

	if (piece == NULL)
		return (xmalloc(pool->size));
	memcpy(&pool->kept, piece, sizeof(pool->kept));
	pool->nkept--;
	return (piece);
}

void
pool_put(struct pool *pool, void *piece)
{
	if (piece == NULL)
		return;
	if (!KEEPS || pool->nkept == pool->most) {
		free(piece);
		return;
	}
	memcpy(piece, &pool->kept, sizeof(pool->kept));
	pool->kept = piece;
	pool->nkept++;
}
