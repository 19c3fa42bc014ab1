/* What a session has to send: its streams' bytes, frame by frame. */
#include "common/h2link_private.h"

#include <assert.h>

ssize_t
h2_read(nghttp2_session *ng, int32_t id, uint8_t *out, size_t max,
    uint32_t *flags, nghttp2_data_source *source, void *arg)
{
	struct h2link *l = arg;
	struct h2stream *s = stream_by_id(l, id);
	size_t n;

	(void)ng;
	(void)out;
	(void)source;
	if (s == NULL)
		return (NGHTTP2_ERR_DEFERRED);
	n = buf_len(&s->out) < max ? buf_len(&s->out) : max;
	if (n == 0 && !s->out_end) {
		s->deferred = true;
		return (NGHTTP2_ERR_DEFERRED);
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (s->out_end && n == buf_len(&s->out))
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return ((ssize_t)n);
}

static void
note_drained(struct h2link *l, struct h2stream *s)
{
	if (buf_len(&s->out) == 0)
		buf_reset(&s->out, KEEP_QUEUE);
	if (!s->wants_more || buf_len(&s->out) > l->options.send_low)
		return;
	s->wants_more = false;
	s->is_writable = true;
	TAILQ_INSERT_TAIL(&l->writable, s, writable_entry);
}

int
h2_send_data(nghttp2_session *ng, nghttp2_frame *frame,
    const uint8_t *frame_head, size_t n, nghttp2_data_source *source, void *arg)
{
	struct h2link *l = arg;
	struct h2stream *s = stream_by_id(l, frame->hd.stream_id);

	(void)ng;
	(void)source;
	assert(l->out != NULL && frame->data.padlen == 0);
	if (s == NULL || buf_len(&s->out) < n)
		return (NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE);
	buf_add(l->out, frame_head, FRAME_HEAD);
	buf_add(l->out, buf_ptr(&s->out), n);
	buf_consume(&s->out, n);
	note_drained(l, s);
	if (buf_len(l->out) < l->out_stop)
		return (0);
	l->paused = true;
	return (NGHTTP2_ERR_PAUSE);
}

/* 1: there may be more; 0: nothing to send or out is full; -1: broken. */
static int
pull_some(struct h2link *l)
{
	const uint8_t *p;
	ssize_t n;

	l->paused = false;
	n = nghttp2_session_mem_send(l->ng, &p);
	if (n < 0) {
		h2_set_error(l, "send", nghttp2_strerror((int)n));
		return (-1);
	}
	buf_add(l->out, p, (size_t)n);
	if (l->paused || buf_len(l->out) >= l->out_stop)
		return (0);
	return (n > 0);
}

/* Outside of the library, so that the handler may do anything. */
static bool
tell_writable(struct h2link *l)
{
	struct h2stream *s;
	bool any = false;

	while ((s = TAILQ_FIRST(&l->writable)) != NULL) {
		h2_stream_unlist(s);
		l->handler->on_writable(l->arg, s);
		any = true;
	}
	return (any);
}

int
h2link_pull(struct h2link *l, struct buf *out, size_t max)
{
	size_t before = buf_len(out);
	int rv;

	assert(l->depth == 0);
	l->depth++;
	l->out = out;
	l->out_stop = before + max;
	do {
		while ((rv = pull_some(l)) > 0)
			;
	} while (tell_writable(l) && rv == 0 && buf_len(out) < l->out_stop);
	l->out = NULL;
	l->depth--;
	h2_reap(l);
	if (l->broken && buf_len(out) == before)
		return (-1);
	/* The last frame says why; the next pull is told that it is over. */
	if (l->broken)
		l->handler->on_want_send(l->arg);
	return ((int)(buf_len(out) - before));
}
