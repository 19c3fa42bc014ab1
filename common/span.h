/*
 * A view of bytes that somebody else owns: pointer and length, no
 * terminator, valid as long as its owner says.
 */
#ifndef COMMON_SPAN_H
#define COMMON_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

struct span {
	const char *p;
	size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})

static inline struct span
span_of(const char *p, size_t n)
{
	return ((struct span){p, n});
}

static inline struct span
span_str(const char *s)
{
	return ((struct span){s, strlen(s)});
}

static inline bool
span_eq(struct span a, struct span b)
{
	return (a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0));
}

/* ASCII case is ignored, as for header names (RFC 9110 5.1). */
static inline bool
span_ieq(struct span a, struct span b)
{
	return (a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0));
}

/* Copies a text into an array of cap bytes, cut if it must be, and ends it. */
static inline void
str_copy(char *to, size_t cap, const char *from)
{
	size_t n = strlen(from);

	if (n >= cap)
		n = cap - 1;
	memcpy(to, from, n);
	to[n] = '\0';
}

/* Are two texts the same? One that is NULL is the same as NULL alone. */
static inline bool
str_same(const char *a, const char *b)
{
	return (a == b || (a != NULL && b != NULL && strcmp(a, b) == 0));
}

static inline bool
span_starts(struct span s, struct span prefix)
{
	return (s.n >= prefix.n && memcmp(s.p, prefix.p, prefix.n) == 0);
}

#endif
