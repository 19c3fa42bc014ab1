/* Characters of JSON strings: UTF-8, escapes, surrogate pairs, cut anywhere. */
#include "common/hex.h"
#include "common/jscan_private.h"

/* ---- UTF-8 --------------------------------------------------------------- */

/*
 * What may follow a leading byte: how many bytes, and the range of the
 * first of them (Unicode table 3-7), packed as count, low, high. 0: it is
 * no leading byte.
 */
static uint32_t
utf8_lead(unsigned char c)
{
	if (c >= 0xc2 && c <= 0xdf)
		return (1 | 0x80 << 8 | 0xbf << 16);
	if (c == 0xe0)
		return (2 | 0xa0 << 8 | 0xbf << 16);
	if (c == 0xed)
		return (2 | 0x80 << 8 | 0x9f << 16);
	if (c >= 0xe1 && c <= 0xef)
		return (2 | 0x80 << 8 | 0xbf << 16);
	if (c == 0xf0)
		return (3 | 0x90 << 8 | 0xbf << 16);
	if (c == 0xf4)
		return (3 | 0x80 << 8 | 0x8f << 16);
	if (c >= 0xf1 && c <= 0xf3)
		return (3 | 0x80 << 8 | 0xbf << 16);
	return (0);
}

/* Reads on in a multi-byte character; false if it is not UTF-8. */
static inline bool
utf8_take(uint32_t *utf8, unsigned char c)
{
	uint32_t left = *utf8 & 0xff;

	if (c < (*utf8 >> 8 & 0xff) || c > (*utf8 >> 16))
		return (false);
	*utf8 = --left == 0 ? 0 : (left | 0x80 << 8 | 0xbf << 16);
	return (true);
}

/* Takes bytes beyond ASCII whatever they are. */
static const char *
odd_run(struct jscan *s, const char *p, const char *end)
{
	const char *from = p;

	while (p < end && (unsigned char)*p >= 0x80)
		p++;
	jscan_add(s, from, (size_t)(p - from));
	return (p);
}

const char *
jscan_utf8_run(struct jscan *s, const char *p, const char *end)
{
	const char *from = p;
	uint32_t utf8 = s->utf8;
	bool good = true;

	if (s->lenient)
		return (odd_run(s, p, end));
	while (p < end && good) {
		if (utf8 != 0)
			good = utf8_take(&utf8, (unsigned char)*p);
		else if ((unsigned char)*p < 0x80)
			break;
		else
			good = (utf8 = utf8_lead((unsigned char)*p)) != 0;
		p += good;
	}
	jscan_add(s, from, (size_t)(p - from));
	s->utf8 = utf8;
	s->state = utf8 != 0 ? ST_UTF8 : ST_STRING;
	return (good ? p : jscan_bad(s, p));
}

/* ---- escapes ------------------------------------------------------------- */

static const char *
letter_step(struct jscan *s, const char *p)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (*p == 'u') {
		s->nhex = 0;
		s->code = 0;
		s->state = ST_HEX;
		return (p + 1);
	}
	at = *p == '\0' ? NULL : strchr(from, *p);
	if (at == NULL)
		return (jscan_bad(s, p));
	jscan_add(s, to + (at - from), 1);
	s->state = ST_STRING;
	return (p + 1);
}

static void
text_add_code(struct jscan *s, uint32_t c)
{
	char b[4];
	size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t i;

	for (i = n; i-- > 1; c >>= 6)
		b[i] = (char)(0x80 | (c & 0x3f));
	b[0] = (char)(lead[n] | c);
	jscan_add(s, b, n);
}

static void
lone_surrogate(struct jscan *s)
{
	s->high = 0;
	text_add_code(s, 0xfffd);
}

/* Four hex digits are read; both halves of a surrogate pair must come. */
static bool
code_done(struct jscan *s)
{
	bool is_high = s->code >= 0xd800 && s->code <= 0xdbff;
	bool is_low = s->code >= 0xdc00 && s->code <= 0xdfff;

	if (s->high != 0 && !is_low && s->lenient)
		lone_surrogate(s);
	if (is_low != (s->high != 0)) {
		if (!s->lenient)
			return (false);
		lone_surrogate(s);
		s->state = ST_STRING;
		return (true);
	}
	if (is_high) {
		s->high = s->code;
		s->state = ST_LOW_BACKSLASH;
		return (true);
	}
	if (is_low)
		s->code =
		    0x10000 + ((s->high - 0xd800) << 10) + (s->code - 0xdc00);
	s->high = 0;
	text_add_code(s, s->code);
	s->state = ST_STRING;
	return (true);
}

static const char *
hex_step(struct jscan *s, const char *p)
{
	int digit = hex_digit(*p);

	if (digit < 0)
		return (jscan_bad(s, p));
	s->code = s->code << 4 | (uint32_t)digit;
	if (++s->nhex == 4 && !code_done(s))
		return (jscan_bad(s, p));
	return (p + 1);
}

/* "\u" between the halves of a surrogate pair. */
static const char *
low_step(struct jscan *s, const char *p)
{
	if (*p != (s->state == ST_LOW_BACKSLASH ? '\\' : 'u')) {
		if (!s->lenient)
			return (jscan_bad(s, p));
		lone_surrogate(s);
		s->state = s->state == ST_LOW_BACKSLASH ? ST_STRING : ST_ESCAPE;
		return (p);
	}
	s->nhex = 0;
	s->code = 0;
	s->state = s->state == ST_LOW_BACKSLASH ? ST_LOW_U : ST_HEX;
	return (p + 1);
}

const char *
jscan_escape_step(struct jscan *s, const char *p)
{
	if (s->state == ST_ESCAPE)
		return (letter_step(s, p));
	return (s->state == ST_HEX ? hex_step(s, p) : low_step(s, p));
}
