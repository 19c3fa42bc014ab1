/* The streams of a session: their birth, their end, and their use. */
#include <assert.h>
#include <string.h>

#include "common/alloc.h"
#include "common/h2link_private.h"
#include "common/linkproto.h"

static struct pool streams = POOL(sizeof(struct h2stream), 1024);

struct h2stream *
h2_stream_new(struct h2link *l, int32_t id, void *arg)
{
	struct h2stream *s = pool_get(&streams);

	memset(s, 0, sizeof(*s));
	s->link = l;
	s->id = id;
	s->arg = arg;
	s->window = l->options.window;
	LIST_INSERT_HEAD(&l->live, s, entry);
	l->streams++;
	return (s);
}

void
h2_stream_free(struct h2stream *s)
{
	LIST_REMOVE(s, entry);
	buf_fini(&s->out);
	pool_put(&streams, s);
}

void
h2_stream_unlist(struct h2stream *s)
{
	if (!s->is_writable)
		return;
	TAILQ_REMOVE(&s->link->writable, s, writable_entry);
	s->is_writable = false;
}

/* The one end of a stream, whoever brings it about. */
void
h2_stream_close(struct h2stream *s, uint32_t code)
{
	struct h2link *l = s->link;

	if (s->closed)
		return;
	s->closed = true;
	h2_stream_unlist(s);
	nghttp2_session_set_stream_user_data(l->ng, s->id, NULL);
	LIST_REMOVE(s, entry);
	LIST_INSERT_HEAD(&l->dead, s, entry);
	assert(l->streams > 0);
	l->streams--;
	if (s->told)
		l->handler->on_close(l->arg, s, code);
}

void
h2_reap(struct h2link *l)
{
	struct h2stream *s;

	while ((s = LIST_FIRST(&l->dead)) != NULL)
		h2_stream_free(s);
}

/* ---- using them ------------------------------------------------------------
 */

static const nghttp2_data_provider provider = {.read_callback = h2_read};

static uint8_t *
unconst(const char *p)
{
	/* The library's type lacks the const; it copies and never writes. */
	return ((uint8_t *)(uintptr_t)p);
}

/*
 * Values that never come again: in the compression's table (RFC 7541 2.3.2)
 * they would only push out those that do.
 */
static bool
is_unique(struct span name)
{
	return (span_eq(name, SPAN(LINK_F_REQUEST_ID)) ||
		span_eq(name, SPAN(LINK_F_UPSTREAM_US)));
}

static nghttp2_nv
make_nv(struct span name, struct span value)
{
	return ((nghttp2_nv){unconst(name.p), unconst(value.p), name.n, value.n,
	    is_unique(name) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE});
}

static size_t
fill_nv(nghttp2_nv *nv, const struct h2_field *f, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		nv[i] = make_nv(f[i].name, f[i].value);
	return (n);
}

/* Every request must have these (RFC 9113 8.3.1), each once. */
static size_t
fill_required(nghttp2_nv *nv, const struct h2_field *f, size_t n)
{
	const struct h2_field required[] = {
	    {SPAN(":scheme"), SPAN("http")},
	    {SPAN(":authority"), SPAN("link")},
	};
	size_t i, k, used = 0;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < n; i++)
			if (span_eq(f[i].name, required[k].name))
				break;
		if (i == n)
			nv[used++] =
			    make_nv(required[k].name, required[k].value);
	}
	return (used);
}

struct h2stream *
h2link_request(struct h2link *l, const struct h2_field *f, size_t n,
    bool body_follows, void *arg)
{
	nghttp2_nv nv[MAX_FIELDS];
	struct h2stream *s;
	size_t used;
	int32_t id;

	assert(n <= MAX_FIELDS - 2);
	if (h2link_room(l) == 0)
		return (NULL);
	used = fill_required(nv, f, n);
	n = used + fill_nv(nv + used, f, n);
	s = h2_stream_new(l, 0, arg);
	id = nghttp2_submit_request(
	    l->ng, NULL, nv, n, body_follows ? &provider : NULL, s);
	if (id < 0) {
		h2_check(l, id);
		l->streams--;
		h2_stream_free(s);
		return (NULL);
	}
	s->id = id;
	s->told = true;
	s->out_end = !body_follows;
	l->held++;
	h2_wake(l);
	return (s);
}

void
h2stream_respond(
    struct h2stream *s, const struct h2_field *f, size_t n, bool body_follows)
{
	struct h2link *l = s->link;
	nghttp2_nv nv[MAX_FIELDS];

	assert(n <= MAX_FIELDS && l->role == H2LINK_SERVER);
	if (s->closed)
		return;
	n = fill_nv(nv, f, n);
	s->out_end = !body_follows;
	h2_check(l, nghttp2_submit_response(
			l->ng, s->id, nv, n, body_follows ? &provider : NULL));
	h2_wake(l);
}

size_t
h2stream_write(struct h2stream *s, struct span bytes, bool end)
{
	struct h2link *l = s->link;

	if (s->closed || s->out_end)
		return (0);
	buf_addspan(&s->out, bytes);
	s->out_end = end;
	if (s->deferred && (bytes.n > 0 || end)) {
		s->deferred = false;
		h2_check(l, nghttp2_session_resume_data(l->ng, s->id));
	}
	s->wants_more = buf_len(&s->out) > l->options.send_low && !end;
	h2_wake(l);
	return (buf_len(&s->out));
}

/*
 * Doubles the window of a stream whose sender fills it within a second while
 * the reader keeps up: there the window, and not the reader, is the limit.
 */
static void
maybe_grow(struct h2link *l, struct h2stream *s)
{
	monotime_t now;

	if (s->limited || s->window >= l->options.window_max ||
	    s->bulk < s->window)
		return;
	now = monotime_now();
	s->bulk = 0;
	if (monotime_diff_ms(now, s->bulk_since) >= GROW_MS)
		return;
	s->window = s->window <= l->options.window_max / 2
			? s->window * 2
			: l->options.window_max;
	h2_check(l, nghttp2_session_set_local_window_size(
			l->ng, 0, s->id, (int32_t)s->window));
}

void
h2stream_consumed(struct h2stream *s, size_t n, bool reader_empty)
{
	struct h2link *l = s->link;

	if (s->closed)
		return;
	assert(n <= s->unconsumed);
	s->unconsumed -= n;
	h2_check(l, nghttp2_session_consume_stream(l->ng, s->id, n));
	if (reader_empty)
		maybe_grow(l, s);
	h2_wake(l);
}

void
h2stream_limit_window(struct h2stream *s, uint32_t bytes)
{
	struct h2link *l = s->link;

	assert(bytes > 0 && bytes <= INT32_MAX);
	if (s->closed)
		return;
	s->limited = true;
	s->window = bytes;
	/* A request still queued has no window: see cb_frame_send(). */
	if (l->role == H2LINK_CLIENT && !s->head_sent)
		return;
	h2_check(l, nghttp2_session_set_local_window_size(
			l->ng, 0, s->id, (int32_t)bytes));
	h2_wake(l);
}

void
h2stream_reset(struct h2stream *s, uint32_t code)
{
	struct h2link *l = s->link;

	if (s->closed)
		return;
	h2_check(l, nghttp2_submit_rst_stream(l->ng, 0, s->id, code));
	h2_stream_close(s, code);
	h2_wake(l);
}

void
h2stream_set_arg(struct h2stream *s, void *arg)
{
	s->arg = arg;
}

bool
h2stream_is_sent(const struct h2stream *s)
{
	return (s->head_sent);
}

void *
h2stream_arg(const struct h2stream *s)
{
	return (s->arg);
}

int32_t
h2stream_id(const struct h2stream *s)
{
	return (s->id);
}

size_t
h2stream_unconsumed(const struct h2stream *s)
{
	return (s->unconsumed);
}
