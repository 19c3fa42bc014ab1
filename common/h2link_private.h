/*
 * What the parts of a session share: h2link.c, the session, h2link_send.c,
 * what it sends, and h2stream.c, its streams. Nobody else knows nghttp2.
 */
#ifndef COMMON_H2LINK_PRIVATE_H
#define COMMON_H2LINK_PRIVATE_H

#include <sys/queue.h>

#include <nghttp2/nghttp2.h>

#include "common/h2link.h"
#include "common/monotime.h"

#define MAX_FIELDS  64
#define MAX_HEAD    32768
#define FRAME_HEAD  9
#define CONN_WINDOW (16 * 1024 * 1024)
#define KEEP_QUEUE  16384     /* memory that an empty send queue may keep */
#define WORN_ID	    (1 << 30) /* ids are odd: 2^29 streams */
#define GROW_MS	    1000      /* a window filled faster than this may grow */
/*
 * Users who cancel are resets to the agent; the library's default limit
 * (1000 and 33 a second) would end the link under them.
 */
#define RESET_BURST 1000000
#define RESET_RATE  100000

struct h2stream {
	struct h2link *link;
	LIST_ENTRY(h2stream) entry; /* of live, then of dead */
	TAILQ_ENTRY(h2stream) writable_entry;
	void *arg;
	int32_t id;
	struct buf out;
	bool out_end;	  /* nothing follows what is in out */
	bool deferred;	  /* the library waits for more of out */
	bool wants_more;  /* tell on_writable when out is low */
	bool is_writable; /* on the list of those to be told */
	bool told;	  /* the handler knows the stream */
	bool head_sent;	  /* client: the request left the queue */
	bool head_got;	  /* client: the answer's head was told */
	bool closed;	  /* on_close was called */
	bool limited;	  /* h2stream_limit_window() */
	uint32_t window;  /* what the peer may have unacknowledged */
	size_t unconsumed;
	uint64_t bulk; /* bytes since bulk_since */
	monotime_t bulk_since;
};

LIST_HEAD(stream_list, h2stream);

struct h2link {
	nghttp2_session *ng;
	enum h2link_role role;
	const struct h2link_handler *handler;
	void *arg;
	struct h2link_options options;
	struct stream_list live, dead;
	TAILQ_HEAD(, h2stream) writable;
	uint32_t streams; /* on live */
	uint32_t held;	  /* as the library counts: until RST has gone */
	unsigned depth;	  /* of feed and pull */
	bool going, tell_going, broken;
	bool refusing;	 /* GOAWAY is queued */
	int32_t last_id; /* the last that our GOAWAY lets live */
	struct buf *out; /* of the pull under way */
	size_t out_stop; /* length of out at which to stop */
	bool paused;
	struct buf head; /* the head being received, all fields */
	struct {
		size_t name, name_len, value_len;
	} at[MAX_FIELDS];
	size_t nfields;
	char error[128];
};

static inline struct h2stream *
stream_by_id(struct h2link *l, int32_t id)
{
	return (nghttp2_session_get_stream_user_data(l->ng, id));
}

/* ---- h2link.c ------------------------------------------------------------ */

/* There may be something to send, unless a call of ours is under way. */
void h2_wake(struct h2link *);
/* The first reason counts; the session is broken from now on. */
void h2_set_error(struct h2link *, const char *what, const char *detail);
/* Submitting fails only for want of memory or after the session's end. */
void h2_check(struct h2link *, int rv);

/* ---- h2link_send.c ------------------------------------------------------- */

/* The library's callbacks for the next of a stream's bytes: how many there
 * are, and their frame. */
ssize_t h2_read(nghttp2_session *, int32_t id, uint8_t *out, size_t max,
    uint32_t *flags, nghttp2_data_source *, void *arg);
int h2_send_data(nghttp2_session *, nghttp2_frame *, const uint8_t *frame_head,
    size_t n, nghttp2_data_source *, void *arg);

/* ---- h2stream.c ---------------------------------------------------------- */

struct h2stream *h2_stream_new(struct h2link *, int32_t id, void *arg);
/* The one end of a stream, whoever brings it about; safe to call twice. It
 * is freed by h2_reap(). */
void h2_stream_close(struct h2stream *, uint32_t code);
/* Whatever state it is in; nothing is told. */
void h2_stream_free(struct h2stream *);
/* Off the list of those to be told that they are writable. */
void h2_stream_unlist(struct h2stream *);
/* Frees the closed ones; not from inside a callback of the session. */
void h2_reap(struct h2link *);

#endif
