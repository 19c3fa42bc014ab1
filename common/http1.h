/*
 * HTTP/1.1 (RFC 9112) as pure codecs: no socket, no loop. Strict: what is
 * ambiguous is refused and never repaired, so that no proxy in front can
 * see other requests than we do.
 */
#ifndef COMMON_HTTP1_H
#define COMMON_HTTP1_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/span.h"

#define HTTP1_MAX_HEAD	    32768 /* bytes, start line to empty line */
#define HTTP1_MAX_FIELDS    64
#define HTTP1_MAX_CHUNK_EXT 256

enum http1_error {
	HTTP1_OK = 0,
	HTTP1_MORE,	 /* not all there yet */
	HTTP1_BAD,	 /* 400 */
	HTTP1_TOO_LARGE, /* 431: head over HTTP1_MAX_HEAD or too many fields */
	HTTP1_VERSION,	 /* 505: not HTTP/1.1 (1.0 is refused too) */
	HTTP1_UNSUPPORTED, /* 501: a transfer-coding other than chunked */
	HTTP1_EXPECT,	   /* 417: an expectation other than 100-continue */
};

struct http1_field {
	struct span name;  /* as sent; compare with span_ieq() */
	struct span value; /* without surrounding blanks */
};

/*
 * A request head. Spans point into the bytes given to http1_parse_head()
 * and live as long as those.
 */
struct http1_head {
	struct span method;
	struct span target; /* as sent */
	struct span path;   /* origin-form path; of an absolute-form target
			       the part behind the authority, "/" if empty */
	struct span query;  /* without '?'; n = 0 if none */
	struct span host;
	struct http1_field fields[HTTP1_MAX_FIELDS];
	size_t nfields;
	bool chunked;
	bool has_length;
	uint64_t length;      /* valid if has_length */
	bool close;	      /* "Connection: close" */
	bool upgrade;	      /* "Connection: upgrade" with an Upgrade field */
	bool expect_continue; /* "Expect: 100-continue" */
	size_t size;	      /* bytes the head takes, empty line included */
	const char *why;      /* of an error: for the log */
};

/*
 * Parses a request head at the front of bytes. HTTP1_OK fills head;
 * HTTP1_MORE asks to call again with more bytes (cost stays linear: *scanned
 * is where the search for the end goes on; start it at 0 for each head).
 * Up to two empty lines before the request line are skipped (RFC 9112 2.2)
 * and counted in head->size. Anything else is an error to answer, then close.
 */
enum http1_error http1_parse_head(
    struct span bytes, size_t *scanned, struct http1_head *head);

/* The first field of that name, or NULL. */
const struct http1_field *http1_find(
    const struct http1_head *, const char *name);
/* How many fields have that name. */
size_t http1_count(const struct http1_head *, const char *name);
/* Does the comma-separated list field contain token (case ignored)? */
bool http1_list_has(struct span value, const char *token);

/* The status that answers a head refused with that error; 400 for BAD. */
int http1_error_status(enum http1_error);
/* The number for the status line and its reason phrase, never NULL. */
const char *http1_reason(int status);

/* The framing of a message body while it is read. */
struct http1_body {
	enum http1_body_mode {
		HTTP1_BODY_NONE,
		HTTP1_BODY_LENGTH,
		HTTP1_BODY_CHUNKED,
		HTTP1_BODY_EOF, /* responses only */
	} mode;
	uint64_t left;	/* of the body or of the chunk */
	unsigned state; /* private to the decoder */
	unsigned extra; /* private: bytes of extension or trailer seen */
	bool done;
};

void http1_body_init(
    struct http1_body *, enum http1_body_mode, uint64_t length);
/*
 * Takes bytes of the body from in. Returns how many bytes of in were used;
 * *data is the run of payload found (a view into in, n = 0 if none). Call
 * again while bytes are left and !done. Trailers are read and dropped.
 * Returns -1 if the framing is broken.
 */
ssize_t http1_body_take(struct http1_body *, struct span in, struct span *data);

/* Writers. They check nothing: names and values are ours. */
void http1_put_status(struct buf *, int status);
void http1_put_field(struct buf *, const char *name, struct span value);
/* content-length. */
void http1_put_length(struct buf *, uint64_t n);
void http1_put_end(struct buf *);
/* One chunk: size line, data, CRLF. n = 0 writes the last chunk. */
void http1_put_chunk(struct buf *, const void *, size_t n);

/* Percent-decoding of a path or query value into out. -1: bad or NUL. */
int http1_unescape(struct span in, bool plus_is_space, struct buf *out);

/* A response head, for tests and the relay tool; strict the same way. */
struct http1_response {
	int status;
	struct http1_field fields[HTTP1_MAX_FIELDS];
	size_t nfields;
	bool chunked, has_length, close;
	uint64_t length;
	size_t size;
};
enum http1_error http1_parse_response(
    struct span bytes, size_t *scanned, struct http1_response *);

#endif
