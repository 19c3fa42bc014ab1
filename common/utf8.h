/* Well-formed UTF-8 (RFC 3629), a character at a time. */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the well-formed character of two or more bytes at p, of which n
 * are there (at least 1); 0: there is none. */
static inline size_t
utf8_char(const unsigned char *p, size_t n)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t len, i;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4;
	else
		return (0);
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (n < len || p[1] < low || p[1] > high)
		return (0);
	for (i = 2; i < len; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf)
			return (0);
	}
	return (len);
}

/*
 * Is that character of len bytes one that moves what stands around it: C1
 * controls, line and paragraph separators, and marks of direction? A
 * terminal or viewer that obeys it would show another line than there is.
 */
static inline bool
utf8_is_control(const unsigned char *p, size_t len)
{
	if (len == 2)
		return ((p[0] == 0xc2 && p[1] < 0xa0) ||
			(p[0] == 0xd8 && p[1] == 0x9c));
	if (len != 3 || p[0] != 0xe2)
		return (false);
	return ((p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f ||
				     (p[2] >= 0xa8 && p[2] <= 0xae))) ||
		(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

/* Bytes of the character at p, of left, that may stand in a line as it is; 0:
 * it is no text, or would do more than be seen. */
static inline size_t
utf8_shown(const unsigned char *p, size_t left)
{
	size_t n;

	if (*p < 0x80)
		return (*p >= 0x20 && *p != 0x7f);
	n = utf8_char(p, left);
	return (n > 0 && !utf8_is_control(p, n) ? n : 0);
}

#endif
