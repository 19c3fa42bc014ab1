/*
 * One HTTP/2 session over any byte stream.
 *
 * Nothing of the handler runs while a stream could be freed under it: a
 * closed stream goes to a list and is freed after the outermost call of
 * h2link_feed() or h2link_pull().
 */
#include "common/h2link_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/linkproto.h"

void
h2_wake(struct h2link *l)
{
	if (l->depth == 0 && nghttp2_session_want_write(l->ng))
		l->handler->on_want_send(l->arg);
}

void
h2_set_error(struct h2link *l, const char *what, const char *detail)
{
	if (l->error[0] == '\0')
		snprintf(l->error, sizeof(l->error), "%s: %s", what, detail);
	l->broken = true;
}

void
h2_check(struct h2link *l, int rv)
{
	if (rv != 0 && nghttp2_is_fatal(rv))
		h2_set_error(l, "session", nghttp2_strerror(rv));
}

/* ---- heads -------------------------------------------------------------- */

static int
cb_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2link *l = arg;
	int32_t id = frame->hd.stream_id;
	struct h2stream *s;

	(void)ng;
	buf_reset(&l->head, MAX_HEAD);
	l->nfields = 0;
	if (l->role == H2LINK_CLIENT ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return (0);
	l->held++;
	/* It crossed our GOAWAY, which tells the peer to try elsewhere. */
	if (l->refusing && id > l->last_id) {
		h2_check(l, nghttp2_submit_rst_stream(
				l->ng, 0, id, NGHTTP2_REFUSED_STREAM));
		return (0);
	}
	s = h2_stream_new(l, id, NULL);
	h2_check(l, nghttp2_session_set_stream_user_data(l->ng, id, s));
	return (0);
}

static int
cb_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
    size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
    void *arg)
{
	struct h2link *l = arg;

	(void)ng;
	(void)frame;
	(void)flags;
	if (l->nfields == MAX_FIELDS || name_len > MAX_HEAD ||
	    value_len > MAX_HEAD - name_len ||
	    buf_len(&l->head) > MAX_HEAD - name_len - value_len)
		return (NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE);
	l->at[l->nfields].name = buf_len(&l->head);
	l->at[l->nfields].name_len = name_len;
	l->at[l->nfields].value_len = value_len;
	l->nfields++;
	buf_add(&l->head, name, name_len);
	buf_add(&l->head, value, value_len);
	return (0);
}

static size_t
head_fields(struct h2link *l, struct h2_field *f)
{
	const char *p = buf_ptr(&l->head);
	size_t i;

	for (i = 0; i < l->nfields; i++) {
		f[i].name = span_of(p + l->at[i].name, l->at[i].name_len);
		f[i].value =
		    span_of(f[i].name.p + f[i].name.n, l->at[i].value_len);
	}
	return (l->nfields);
}

/* Interim answers (1xx) and trailers are not carried on. */
static bool
is_final_head(const struct h2_field *f, size_t n)
{
	return (n > 0 && span_eq(f[0].name, SPAN(":status")) &&
		f[0].value.n == 3 && f[0].value.p[0] != '1');
}

static void
on_head(struct h2link *l, struct h2stream *s)
{
	struct h2_field f[MAX_FIELDS];
	size_t n = head_fields(l, f);

	if (l->role == H2LINK_SERVER) {
		if (s->told)
			return;
		s->told = true;
		l->handler->on_request(l->arg, s, f, n);
	} else if (!s->head_got && is_final_head(f, n)) {
		s->head_got = true;
		l->handler->on_response(l->arg, s, f, n);
	}
}

/* ---- what the library tells us ------------------------------------------ */

static void
on_goaway_recv(struct h2link *l, const nghttp2_goaway *frame)
{
	if (!l->going)
		l->tell_going = true;
	l->going = true;
	if (frame->error_code != NGHTTP2_NO_ERROR)
		h2_set_error(
		    l, "peer", nghttp2_http2_strerror(frame->error_code));
}

static int
cb_frame_recv(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2link *l = arg;
	struct h2stream *s;

	(void)ng;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		on_goaway_recv(l, &frame->goaway);
	else if (frame->hd.type == NGHTTP2_PING &&
		 (frame->hd.flags & NGHTTP2_FLAG_ACK))
		l->handler->on_pong(l->arg);
	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return (0);
	s = stream_by_id(l, frame->hd.stream_id);
	if (s != NULL && frame->hd.type == NGHTTP2_HEADERS)
		on_head(l, s);
	if (s != NULL && !s->closed && s->told &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		l->handler->on_end(l->arg, s);
	return (0);
}

static int
cb_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data,
    size_t n, void *arg)
{
	struct h2link *l = arg;
	struct h2stream *s = stream_by_id(l, id);

	(void)flags;
	h2_check(l, nghttp2_session_consume_connection(ng, n));
	if (s == NULL || !s->told)
		return (0);
	if (s->bulk == 0)
		s->bulk_since = monotime_now();
	s->bulk += n;
	s->unconsumed += n;
	l->handler->on_data(l->arg, s, span_of((const char *)data, n));
	return (0);
}

static int
cb_stream_close(nghttp2_session *ng, int32_t id, uint32_t error_code, void *arg)
{
	struct h2link *l = arg;
	struct h2stream *s = stream_by_id(l, id);

	(void)ng;
	if (l->held > 0)
		l->held--;
	if (s == NULL)
		return (0);
	/* What never left this side was not seen by the peer. */
	if (l->role == H2LINK_CLIENT && !s->head_sent)
		error_code = NGHTTP2_REFUSED_STREAM;
	h2_stream_close(s, error_code);
	return (0);
}

static int
cb_frame_send(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
	struct h2link *l = arg;
	struct h2stream *s;

	if (frame->hd.type == NGHTTP2_GOAWAY &&
	    frame->goaway.error_code != NGHTTP2_NO_ERROR)
		h2_set_error(l, "protocol",
		    nghttp2_http2_strerror(frame->goaway.error_code));
	if (frame->hd.type != NGHTTP2_HEADERS || l->role != H2LINK_CLIENT)
		return (0);
	if ((s = stream_by_id(l, frame->hd.stream_id)) == NULL)
		return (0);
	s->head_sent = true;
	if (s->limited)
		h2_check(l, nghttp2_session_set_local_window_size(
				ng, 0, s->id, (int32_t)s->window));
	return (0);
}

static int
cb_invalid_frame(
    nghttp2_session *ng, const nghttp2_frame *frame, int lib_error, void *arg)
{
	struct h2link *l = arg;

	(void)ng;
	(void)frame;
	if (l->error[0] == '\0')
		snprintf(l->error, sizeof(l->error), "peer's frame: %s",
		    nghttp2_strerror(lib_error));
	return (0);
}

/* ---- receiving ---------------------------------------------------------- */

int
h2link_feed(struct h2link *l, struct span bytes)
{
	ssize_t n;

	assert(l->depth == 0);
	if (l->broken)
		return (-1);
	l->depth++;
	n = nghttp2_session_mem_recv(l->ng, (const uint8_t *)bytes.p, bytes.n);
	if (n < 0)
		h2_set_error(l, "receive", nghttp2_strerror((int)n));
	else if (l->tell_going)
		l->handler->on_goaway(l->arg);
	l->tell_going = false;
	l->depth--;
	h2_reap(l);
	if (l->broken)
		return (-1);
	h2_wake(l);
	return (0);
}

/* ---- the session -------------------------------------------------------- */

static void
set_callbacks(nghttp2_session_callbacks *cb)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(
	    cb, cb_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(cb, cb_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, cb_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, cb_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(
	    cb, cb_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(cb, cb_frame_send);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
	    cb, cb_invalid_frame);
	nghttp2_session_callbacks_set_send_data_callback(cb, h2_send_data);
}

static void
open_session(struct h2link *l)
{
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;
	int rv;

	if (nghttp2_session_callbacks_new(&cb) != 0 ||
	    nghttp2_option_new(&opt) != 0)
		abort();
	set_callbacks(cb);
	nghttp2_option_set_no_auto_window_update(opt, 1);
	nghttp2_option_set_no_closed_streams(opt, 1);
	nghttp2_option_set_max_reserved_remote_streams(opt, 0);
	/* Until the peer's SETTINGS are here there is no limit (RFC 9113,
	 * 6.5.2): those beyond it are refused, and nothing is done for them.
	 * The library's own guess of 100 would turn a burst away. */
	nghttp2_option_set_peer_max_concurrent_streams(opt, LINK_MAX_STREAMS);
	nghttp2_option_set_stream_reset_rate_limit(
	    opt, RESET_BURST, RESET_RATE);
	if (l->role == H2LINK_CLIENT)
		rv = nghttp2_session_client_new2(&l->ng, cb, l, opt);
	else
		rv = nghttp2_session_server_new2(&l->ng, cb, l, opt);
	if (rv != 0)
		abort();
	nghttp2_option_del(opt);
	nghttp2_session_callbacks_del(cb);
}

static void
send_settings(struct h2link *l)
{
	nghttp2_settings_entry set[] = {
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, l->options.window},
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, l->options.max_streams},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MAX_HEAD},
	    {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
	};
	size_t n = l->role == H2LINK_CLIENT ? 4 : 3;

	h2_check(l, nghttp2_submit_settings(l->ng, 0, set, n));
	h2_check(
	    l, nghttp2_session_set_local_window_size(l->ng, 0, 0, CONN_WINDOW));
}

struct h2link *
h2link_new(enum h2link_role role, const struct h2link_handler *handler,
    void *arg, const struct h2link_options *options)
{
	struct h2link *l = xcalloc(1, sizeof(*l));
	struct h2link_options *o = &l->options;

	l->role = role;
	l->handler = handler;
	l->arg = arg;
	if (options != NULL)
		*o = *options;
	o->window = o->window != 0 ? o->window : 65536;
	o->window_max = o->window_max != 0 ? o->window_max : 1024 * 1024;
	o->max_streams =
	    o->max_streams != 0 ? o->max_streams : LINK_MAX_STREAMS;
	o->send_low = o->send_low != 0 ? o->send_low : 65536;
	assert(o->window <= o->window_max && o->window_max <= INT32_MAX);
	LIST_INIT(&l->live);
	LIST_INIT(&l->dead);
	TAILQ_INIT(&l->writable);
	open_session(l);
	send_settings(l);
	return (l);
}

void
h2link_free(struct h2link *l)
{
	struct h2stream *s;

	if (l == NULL)
		return;
	assert(l->depth == 0);
	h2_reap(l);
	while ((s = LIST_FIRST(&l->live)) != NULL)
		h2_stream_free(s);
	nghttp2_session_del(l->ng);
	buf_fini(&l->head);
	free(l);
}

const char *
h2link_error(const struct h2link *l)
{
	return (l->error[0] != '\0' ? l->error : "none");
}

uint32_t
h2link_room(const struct h2link *l)
{
	uint32_t max;

	if (l->going || l->broken || l->role != H2LINK_CLIENT ||
	    !nghttp2_session_check_request_allowed(l->ng))
		return (0);
	max = nghttp2_session_get_remote_settings(
	    l->ng, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	return (max > l->held ? max - l->held : 0);
}

uint32_t
h2link_streams(const struct h2link *l)
{
	return (l->streams);
}

bool
h2link_worn(const struct h2link *l)
{
	if (l->role == H2LINK_CLIENT)
		return (nghttp2_session_get_next_stream_id(l->ng) >= WORN_ID);
	return (nghttp2_session_get_last_proc_stream_id(l->ng) >= WORN_ID);
}

bool
h2link_going(const struct h2link *l)
{
	return (l->going);
}

void
h2link_ping(struct h2link *l)
{
	h2_check(l, nghttp2_submit_ping(l->ng, 0, NULL));
	h2_wake(l);
}

void
h2link_goaway(struct h2link *l)
{
	if (l->refusing)
		return;
	l->refusing = true;
	l->last_id = nghttp2_session_get_last_proc_stream_id(l->ng);
	h2_check(l, nghttp2_submit_goaway(
			l->ng, 0, l->last_id, NGHTTP2_NO_ERROR, NULL, 0));
	h2_wake(l);
}
