/*
 * Amazon's binary event stream (application/vnd.amazon.eventstream) as an
 * incremental reader: total length, length of headers, CRC of these eight
 * bytes, headers, payload, CRC of all before it. The payload is handed on in
 * pieces as it passes; only the headers of one message are held.
 */
#ifndef COMMON_EVENTSTREAM_H
#define COMMON_EVENTSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

/* What AWS's own readers take. */
#define EVENTSTREAM_MESSAGE_MAX (24u * 1024 * 1024) /* bytes of all of it */
#define EVENTSTREAM_HEADERS_MAX (128u * 1024)	    /* bytes */
#define EVENTSTREAM_NHEADERS	1024
#define EVENTSTREAM_VALUE_MAX	32767 /* of a string or bytes */

/* As on the wire. */
enum eventstream_type {
	EVENTSTREAM_TRUE,
	EVENTSTREAM_FALSE,
	EVENTSTREAM_INT8,
	EVENTSTREAM_INT16,
	EVENTSTREAM_INT32,
	EVENTSTREAM_INT64,
	EVENTSTREAM_BYTES,
	EVENTSTREAM_STRING,
	EVENTSTREAM_TIMESTAMP, /* ms of the epoch, 8 bytes */
	EVENTSTREAM_UUID,
};

struct eventstream_header {
	struct span name;
	enum eventstream_type type;
	struct span value; /* its bytes as sent, numbers big-endian */
};

enum eventstream_error {
	EVENTSTREAM_OK,
	EVENTSTREAM_BAD_PRELUDE, /* its CRC */
	EVENTSTREAM_BAD_LENGTH,	 /* one that cannot be, or beyond a limit */
	EVENTSTREAM_BAD_HEADERS, /* unknown type, cut short, too many */
	EVENTSTREAM_DUPLICATE,	 /* a name twice in one message */
	EVENTSTREAM_BAD_MESSAGE, /* its CRC */
};

struct eventstream_handler {
	/*
	 * A message has begun: its n headers in the order of their names, no
	 * name twice. They live during the call. Its last CRC is still to
	 * come: before on_end() nothing of a message is sure.
	 */
	void (*on_head)(void *arg, const struct eventstream_header *, size_t n);
	/* Bytes of the payload, at least one. */
	void (*on_payload)(void *arg, struct span piece);
	/*
	 * The message is whole and its CRC right. end is the offset behind
	 * it in the bytes given to this eventstream_feed() call.
	 */
	void (*on_end)(void *arg, size_t end);
};

struct eventstream {
	const struct eventstream_handler *handler;
	void *arg;
	unsigned state;
	enum eventstream_error error;
	uint8_t fixed[12];	   /* prelude, or the last CRC */
	size_t got;		   /* of fixed */
	uint32_t headers, payload; /* bytes still to come */
	uint32_t crc;		   /* of the message so far */
	struct buf head;
};

/* The handler may not feed or end the reader that calls it. */
void eventstream_init(
    struct eventstream *, const struct eventstream_handler *, void *arg);
void eventstream_fini(struct eventstream *);

/*
 * Reads on, wherever the bytes are cut. false: the stream is broken, error
 * says how, and stays so: nothing behind can be told apart any more.
 */
bool eventstream_feed(struct eventstream *, struct span bytes);

/* Would the end of the stream cut no message here? */
bool eventstream_at_boundary(const struct eventstream *);

/* The string of that name; empty if there is none. */
struct span eventstream_text(
    const struct eventstream_header *, size_t n, struct span name);

#endif
