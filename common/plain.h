/*
 * Text that stands for itself inside of quotes, in JSON as in lines of logs:
 * printable ASCII but the quote and the backslash. Most of what is read and
 * written is, so it is looked at eight bytes at a time.
 */
#ifndef COMMON_PLAIN_H
#define COMMON_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PLAIN_ONES  UINT64_C(0x0101010101010101)
#define PLAIN_HIGHS UINT64_C(0x8080808080808080)

static inline bool
plain_char(unsigned char c)
{
	return (c >= 0x20 && c < 0x7f && c != '"' && c != '\\');
}

/* Bytes of w that are not plain get their high bit; bytes above the first
 * such one may get it wrongly. */
static inline uint64_t
plain_not(uint64_t w)
{
	uint64_t quote = w ^ (PLAIN_ONES * '"');
	uint64_t slash = w ^ (PLAIN_ONES * '\\');

	return (((quote - PLAIN_ONES) | (slash - PLAIN_ONES) |
		    (w - PLAIN_ONES * 0x20) | (w + PLAIN_ONES) | w) &
		PLAIN_HIGHS);
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

/* How many of the eight bytes at p are plain before one that is not. */
static inline unsigned
plain_eight(const char *p)
{
	uint64_t w, m;

	memcpy(&w, p, 8);
	m = plain_not(w);
	return (m != 0 ? (unsigned)__builtin_ctzll(m) >> 3 : 8);
}

/* The first byte that is not plain, or end. */
static inline const char *
plain_run(const char *p, const char *end)
{
	bool eight = end - p >= 8;
	unsigned n;

	while (end - p >= 8) {
		if ((n = plain_eight(p)) < 8)
			return (p + n);
		p += 8;
	}
	/* Some of these are looked at twice, which costs less than one each. */
	if (eight)
		return (end - 8 + plain_eight(end - 8));
	while (p < end && plain_char((unsigned char)*p))
		p++;
	return (p);
}

#else

static inline const char *
plain_run(const char *p, const char *end)
{
	while (p < end && plain_char((unsigned char)*p))
		p++;
	return (p);
}

#endif

#endif
