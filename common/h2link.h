/*
 * One HTTP/2 session (RFC 9113, nghttp2) over any byte stream: the link
 * between hub and agent (inside WebSocket messages) and the relay between
 * two workers (straight on a Unix socket). The dialled side's roles are
 * turned: the hub's worker is the HTTP/2 client, the agent the server.
 *
 * Flow: connection credit is returned at once, stream credit as the reader
 * says (h2stream_consumed), so that a stopped reader stalls its own stream
 * and nothing else (d17). Stream windows start at `window` and double up to
 * `window_max` when they run empty while the reader has nothing queued.
 *
 * The session never writes by itself: h2link_pull() hands out bytes while
 * the transport has room, control frames (PING, RST_STREAM, SETTINGS) ahead
 * of DATA.
 */
#ifndef COMMON_H2LINK_H
#define COMMON_H2LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

struct h2link;
struct h2stream;

enum h2link_role { H2LINK_CLIENT, H2LINK_SERVER };

/* Reset codes that both sides use (RFC 9113 7). */
enum h2_code {
	H2_NO_ERROR = 0,
	H2_PROTOCOL_ERROR = 1,
	H2_INTERNAL_ERROR = 2,
	H2_REFUSED_STREAM = 7, /* nothing was done: try elsewhere */
	H2_CANCEL = 8,
};

struct h2_field {
	struct span name; /* lower case; ":status", ":path" and the like too */
	struct span value;
};

struct h2link_handler {
	/* The session has bytes to send: arrange for h2link_pull(). */
	void (*on_want_send)(void *arg);
	/* Server: a new stream whose head is whole. Set its arg with
	 * h2stream_set_arg(). Client: never. */
	void (*on_request)(
	    void *arg, struct h2stream *, const struct h2_field *, size_t n);
	/* Client: the answer's head. */
	void (*on_response)(
	    void *arg, struct h2stream *, const struct h2_field *, size_t n);
	/* A piece of the body from the peer. The reader must, now or later,
	 * return the credit with h2stream_consumed(). */
	void (*on_data)(void *arg, struct h2stream *, struct span);
	/* The peer has sent all of it (END_STREAM). */
	void (*on_end)(void *arg, struct h2stream *);
	/* The stream is over: H2_NO_ERROR when both sides have ended, else
	 * the code. Called once, last; the stream is freed afterwards. */
	void (*on_close)(void *arg, struct h2stream *, uint32_t code);
	/* A stream's send queue fell below its low mark: more may be given
	 * to h2stream_write(). */
	void (*on_writable)(void *arg, struct h2stream *);
	/* Peer's GOAWAY: no new streams; those above last_id were refused
	 * and told by on_close(H2_REFUSED_STREAM). */
	void (*on_goaway)(void *arg);
	/* Answer to h2link_ping(). */
	void (*on_pong)(void *arg);
};

struct h2link_options {
	uint32_t window;      /* of a stream at first, 65536 */
	uint32_t window_max;  /* 1 MiB */
	uint32_t max_streams; /* what we let the peer open */
	uint32_t send_low;    /* on_writable below this many bytes, 65536 */
};

/* NULL fields of options take the values above. */
struct h2link *h2link_new(enum h2link_role, const struct h2link_handler *,
    void *arg, const struct h2link_options *);
/* Calls on_close(H2_INTERNAL_ERROR...) for no stream: the owner tears its
 * streams down first. Not from inside a callback of this session. */
void h2link_free(struct h2link *);

/* Bytes from the peer. -1: the session is broken (reason is logged by the
 * caller through h2link_error()); end the transport. */
int h2link_feed(struct h2link *, struct span);
/* Appends up to about max bytes to out; 0: nothing to send now; -1: broken.
 * At most max + one frame (16 KiB + 9). */
int h2link_pull(struct h2link *, struct buf *out, size_t max);
const char *h2link_error(const struct h2link *);

/* Streams that the peer still lets us open beyond those open now. */
uint32_t h2link_room(const struct h2link *);
/* Streams open now. */
uint32_t h2link_streams(const struct h2link *);
/* Has this side used so many stream ids that the link must be replaced? */
bool h2link_worn(const struct h2link *);
/* The peer has sent GOAWAY. */
bool h2link_going(const struct h2link *);

void h2link_ping(struct h2link *);
/* No new streams from the peer; those open go on. */
void h2link_goaway(struct h2link *);

/*
 * Client: opens a stream. body_follows: END_STREAM is not set, the body goes
 * by h2stream_write(). NULL if there is no room: never queued.
 */
struct h2stream *h2link_request(struct h2link *, const struct h2_field *,
    size_t n, bool body_follows, void *arg);
/* Server: the head of the answer. */
void h2stream_respond(
    struct h2stream *, const struct h2_field *, size_t n, bool body_follows);
/* Copies the bytes into the stream's send queue; end: nothing follows.
 * Returns the bytes queued now: above send_low the caller should wait for
 * on_writable. */
size_t h2stream_write(struct h2stream *, struct span, bool end);
/* Returns credit for bytes that on_data gave. reader_empty: the reader's
 * own queue is empty, so the window may grow. */
void h2stream_consumed(struct h2stream *, size_t n, bool reader_empty);
/* The stream's window is held at this size from now on (budget is short). */
void h2stream_limit_window(struct h2stream *, uint32_t bytes);
/* RST_STREAM. on_close is called with that code, in this call. */
void h2stream_reset(struct h2stream *, uint32_t code);

void h2stream_set_arg(struct h2stream *, void *arg);
void *h2stream_arg(const struct h2stream *);
int32_t h2stream_id(const struct h2stream *);
/* A client's: has the request left this side, so that the peer may know it? */
bool h2stream_is_sent(const struct h2stream *);
/* Received and not yet consumed. */
size_t h2stream_unconsumed(const struct h2stream *);

#endif
