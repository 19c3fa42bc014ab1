/*
 * Frames of application/vnd.amazon.eventstream: total length, length of the
 * headers, CRC of these, headers, payload, CRC of all before it.
 */
#include <string.h>

#include "common/crc32.h"
#include "tests/sim/frame.h"

#define PRELUDE 8
#define STRING	7 /* type of a header's value */

static void
put_u32(char *at, uint32_t v)
{
	unsigned char bytes[4] = {(unsigned char)(v >> 24),
	    (unsigned char)(v >> 16), (unsigned char)(v >> 8),
	    (unsigned char)v};

	memcpy(at, bytes, 4);
}

static void
put_header(struct buf *b, const char *name, const char *value)
{
	size_t n = strlen(name), m = strlen(value);
	unsigned char before = (unsigned char)n;
	unsigned char between[3] = {
	    STRING, (unsigned char)(m >> 8), (unsigned char)m};

	buf_add(b, &before, 1);
	buf_add(b, name, n);
	buf_add(b, between, 3);
	buf_add(b, value, m);
}

void
frame_seal(char *frame, size_t n)
{
	put_u32(frame + PRELUDE, crc32_add(0, frame, PRELUDE));
	put_u32(frame + n - 4, crc32_add(0, frame, n - 4));
}

void
frame_put(struct buf *b, const char *event_type, struct span payload)
{
	size_t start = buf_len(b), headers, total;
	static const char empty[PRELUDE + 4];

	buf_add(b, empty, sizeof(empty));
	put_header(b, ":event-type", event_type);
	put_header(b, ":content-type", "application/json");
	put_header(b, ":message-type", "event");
	headers = buf_len(b) - start - sizeof(empty);
	buf_addspan(b, payload);
	buf_add(b, empty, 4);
	total = buf_len(b) - start;
	put_u32(buf_ptr(b) + start, (uint32_t)total);
	put_u32(buf_ptr(b) + start + 4, (uint32_t)headers);
	frame_seal(buf_ptr(b) + start, total);
}
