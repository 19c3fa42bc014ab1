/*
 * Base64: however it is cut the bytes are the same, and what is taken as
 * good is, written again, what was read.
 */
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/buf.h"
#include "tests/fuzz/fuzz.h"

static bool
decode(struct span in, size_t step, struct buf *out)
{
	struct base64 b;
	size_t at, n;
	char *p;

	base64_init(&b);
	for (at = 0; at < in.n; at += n) {
		n = in.n - at < step ? in.n - at : step;
		MUST((p = malloc(n)) != NULL);
		memcpy(p, in.p + at, n);
		buf_commit(out, base64_feed(&b, span_of(p, n),
				    buf_reserve(out, BASE64_ROOM(n))));
		free(p);
	}
	return (base64_end(&b));
}

static void
encode(struct span in, struct buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno"
				     "pqrstuvwxyz0123456789+/";
	const unsigned char *p = (const unsigned char *)in.p;
	uint32_t b;
	size_t i;

	for (i = 0; i < in.n; i += 3) {
		b = (uint32_t)p[i] << 16;
		b |= i + 1 < in.n ? (uint32_t)p[i + 1] << 8 : 0;
		b |= i + 2 < in.n ? p[i + 2] : 0;
		buf_addf(out, "%c%c%c%c", digits[b >> 18], digits[b >> 12 & 63],
		    i + 1 < in.n ? digits[b >> 6 & 63] : '=',
		    i + 2 < in.n ? digits[b & 63] : '=');
	}
}

/* Bits that a last group leaves over may be any: they are not compared. */
static bool
same_text(struct span a, struct span b)
{
	size_t i, n = 0;

	if (a.n != b.n)
		return (false);
	for (i = 0; i < a.n; i++)
		n += a.p[i] != b.p[i];
	return (n == 0 || (n == 1 && a.p[a.n - 1] == '='));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = {0}, cut = {0}, again = {0};
	struct span in;
	bool good;

	if (size < 1)
		return (0);
	in = span_of((const char *)data + 1, size - 1);
	good = decode(in, SIZE_MAX, &whole);
	MUST(decode(in, (size_t)data[0] + 1, &cut) == good);
	MUST(span_eq(buf_span(&whole), buf_span(&cut)));
	if (good) {
		encode(buf_span(&whole), &again);
		MUST(same_text(buf_span(&again), in));
	}
	buf_fini(&whole);
	buf_fini(&cut);
	buf_fini(&again);
	return (0);
}
