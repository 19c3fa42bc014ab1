/* Base64, a few characters at a time. */
#include "common/base64.h"

#include <string.h>

void
base64_init(struct base64 *b)
{
	memset(b, 0, sizeof(*b));
}

/* The value of a character; 64: padding, -1: none. */
static int
value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return (c - 'A');
	if (c >= 'a' && c <= 'z')
		return (c - 'a' + 26);
	if (c >= '0' && c <= '9')
		return (c - '0' + 52);
	return (c == '+' ? 62 : c == '/' ? 63 : c == '=' ? 64 : -1);
}

/* The bytes of four characters of which pad are padding. */
static size_t
put_group(struct base64 *b, char *out, unsigned pad)
{
	out[0] = (char)(b->bits >> 16);
	out[1] = (char)(b->bits >> 8);
	out[2] = (char)b->bits;
	b->bits = 0;
	b->n = 0;
	return (3 - pad);
}

/* Padding completes a group of two or three. */
static size_t
take_padding(struct base64 *b, char *out)
{
	size_t n = 0;

	if (b->padded && b->n == 3) {
		b->bits <<= 6;
		n = put_group(b, out, 2);
	} else if (!b->padded && b->n == 3) {
		b->bits <<= 6;
		n = put_group(b, out, 1);
	} else if (!b->padded && b->n == 2) {
		b->bits <<= 6;
		b->n = 3;
	} else {
		b->bad = true;
	}
	b->padded = true;
	return (n);
}

size_t
base64_feed(struct base64 *b, struct span in, char *out)
{
	size_t i, n = 0;
	int v;

	for (i = 0; i < in.n && !b->bad; i++) {
		v = value_of(in.p[i]);
		if (v == 64) {
			n += take_padding(b, out + n);
			continue;
		}
		b->bad = v == -1 || b->padded;
		b->bits = b->bits << 6 | ((unsigned)v & 63);
		if (!b->bad && ++b->n == 4)
			n += put_group(b, out + n, 0);
	}
	return (n);
}

bool
base64_end(const struct base64 *b)
{
	return (!b->bad && b->n == 0);
}
