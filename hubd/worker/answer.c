/* The provider's answer as the agent tells it: judged, metered, passed on. */
#include <string.h>

#include "common/failpoint.h"
#include "hubd/worker/deliver.h"
#include "hubd/worker/worker.h"

#define HOLD_MAX    (256 * 1024) /* of a plain answer, to know its cost */
#define REFUSAL_MAX 65536	 /* of a provider's refusal */
#define CARRIED_MAX 256		 /* of a field that goes on to the user */

/* ---- the head ------------------------------------------------------------ */

struct head {
	int status;
	struct span error, type, retry_after;
	int64_t upstream_us;
};

static int64_t
number(struct span s)
{
	int64_t n = 0;

	if (s.n == 0 || s.n > 15)
		return (-1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return (-1);
		n = n * 10 + (s.p[i] - '0');
	}
	return (n);
}

static void
parse_head(const struct h2_field *f, size_t n, struct head *h)
{
	*h = (struct head){.upstream_us = -1};
	for (size_t i = 0; i < n; i++) {
		if (span_eq(f[i].name, SPAN(":status")))
			h->status = (int)number(f[i].value);
		else if (span_eq(f[i].name, SPAN(LINK_F_ERROR)))
			h->error = f[i].value;
		else if (span_eq(f[i].name, SPAN("content-type")))
			h->type = f[i].value;
		else if (span_eq(f[i].name, SPAN("retry-after")))
			h->retry_after = f[i].value;
		else if (span_eq(f[i].name, SPAN(LINK_F_UPSTREAM_US)))
			h->upstream_us = number(f[i].value);
	}
}

/* Values of an agent's fields are outside bytes: no control characters. */
static void
copy_value(char *to, size_t cap, struct span v)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n && n + 1 < cap; i++)
		if (v.p[i] >= 0x20 && v.p[i] != 0x7f)
			to[n++] = v.p[i];
	to[n] = '\0';
}

/* Of a 429 the limits are told that the key has here, if it has any. */
static bool
is_carried(const struct request *r, struct span name)
{
	const struct span ours = SPAN("x-ratelimit-");
	bool limited = r->admission.rpm != 0 || r->admission.tpm != 0;

	return (api_carries(r->dialect, r->status, name) &&
		!(limited && span_starts(name, ours)));
}

static void
note_carried(struct request *r, const struct h2_field *f, size_t n)
{
	char value[CARRIED_MAX];
	struct span v;

	buf_reset(&r->carried, 512);
	for (size_t i = 0; i < n; i++) {
		if (!is_carried(r, f[i].name))
			continue;
		v = api_carried_value(r->dialect, f[i].name, f[i].value);
		if (v.n == 0 || v.n >= CARRIED_MAX)
			continue;
		copy_value(value, sizeof(value), v);
		buf_addspan(&r->carried, f[i].name);
		buf_addstr(&r->carried, ": ");
		buf_addstr(&r->carried, value);
		buf_addstr(&r->carried, "\r\n");
	}
}

static enum api_error
agent_error(struct span error)
{
	if (span_eq(error, SPAN("timeout")))
		return (API_ERR_upstream_timeout);
	return (API_ERR_upstream_error);
}

static bool
can_retry(const struct request *r)
{
	return (!r->head_sent && r->client != NULL && request_has_body(r) &&
		retry_is_open(r));
}

/* Is it one that has a body? No endpoint of ours is answered without. */
static bool
is_success(int status)
{
	return (
	    status >= 200 && status < 300 && status != 204 && status != 205);
}

static void
begin_body(struct request *r, enum meter_frame frame)
{
	r->frame = frame;
	meter_free(r->meter);
	r->meter = meter_new(r->endpoint, frame, r->ask_usage);
	if (frame == FRAME_WHOLE)
		r->state = REQUEST_HOLD;
	else if (r->client != NULL)
		deliver_head(r);
	else
		r->state = REQUEST_STREAM;
}

static void
begin_answer(
    struct request *r, const struct head *h, const struct h2_field *f, size_t n)
{
	if (r->no_ask == r->candidate)
		learn_set_refuses_usage(r->w->learn, r->candidate);
	begin_body(r, meter_frame_of(r->endpoint, h->type));
	r->sniffed = r->frame == FRAME_EVENTS;
	for (size_t i = 0; i < n; i++)
		meter_field(r->meter, f[i].name, f[i].value);
}

/*
 * Some send events under another type. A field name of an event stream or
 * its colon begins no JSON document, so the first byte tells.
 */
static void
sniff(struct request *r, struct span bytes)
{
	if (r->sniffed || bytes.n == 0 || !meter_may_sniff(r->endpoint))
		return;
	r->sniffed = true;
	if (r->state == REQUEST_HOLD && strchr("dei:", bytes.p[0]) != NULL &&
	    bytes.p[0] != '\0')
		begin_body(r, FRAME_EVENTS);
}

/* Is it the provider's matter, which another may do better? Some have no
 * place for files. */
static bool
is_providers(const struct request *r, int status)
{
	return (status == 429 || status >= 500 ||
		(r->endpoint->use == USE_CREATE && r->holder.agent == 0 &&
		    (status == 404 || status == 405)));
}

static void
on_head(struct upstream *up, const struct h2_field *f, size_t n)
{
	struct request *r = up->owner;
	struct head h;

	parse_head(f, n, &h);
	r->t_last = loop_now(r->w->loop);
	r->status = h.status;
	r->upstream_us = h.upstream_us;
	note_carried(r, f, n);
	copy_value(r->retry_after, sizeof(r->retry_after), h.retry_after);
	copy_value(r->content_type, sizeof(r->content_type), h.type);
	if (r->content_type[0] == '\0')
		str_copy(r->content_type, sizeof(r->content_type),
		    "application/json");
	(void)FAILPOINT("worker.head");
	retry_note_head(r, h.status, h.error, h.retry_after);
	if (h.error.n > 0) {
		request_retry(r, agent_error(h.error));
	} else if (is_success(h.status)) {
		begin_answer(r, &h, f, n);
		request_arm(r);
	} else if (is_providers(r, h.status) && can_retry(r) &&
		   (retry_has_next(r) || retry_may_wait(r))) {
		request_retry(r, API_ERR_upstream_error);
	} else {
		r->state = REQUEST_REFUSAL;
		request_arm(r);
	}
}

/* ---- the body ------------------------------------------------------------ */

/* The answer's pace, as its agent's link delivers it. */
static void
note_chunk(struct request *r)
{
	if (r->t_chunk.ns != 0 && r->t_last.ns > r->t_chunk.ns)
		histogram_add(r->w->count, HIST_chunk_gap,
		    (r->t_last.ns - r->t_chunk.ns) / 1000);
	r->t_chunk = r->t_last;
}

static void
take_stream(struct request *r, struct span bytes)
{
	struct buf *scratch = &r->w->scratch;

	buf_reset(scratch, HOLD_MAX);
	meter_feed(r->meter, bytes, scratch);
	if (r->client == NULL)
		return;
	if (objects_holds(r))
		buf_addspan(&r->held, buf_span(scratch));
	else
		deliver_chunk(r, buf_span(scratch));
}

static void
take_held(struct request *r, struct span bytes)
{
	meter_feed(r->meter, bytes, &r->held);
	if (r->client == NULL) {
		buf_fini(&r->held);
		return;
	}
	/* Nor is it held when that would cost another user his answer. */
	if (buf_len(&r->held) <= HOLD_MAX &&
	    r->w->buffered <= r->w->conf->buffer_memory)
		return;
	deliver_head(r);
	deliver_chunk(r, buf_span(&r->held));
	buf_fini(&r->held);
}

static void
take_refusal(struct request *r, struct span bytes)
{
	if (buf_len(&r->held) + bytes.n <= REFUSAL_MAX)
		buf_addspan(&r->held, bytes);
}

static void
on_data(struct upstream *up, struct span bytes)
{
	struct request *r = up->owner;

	r->owed += bytes.n;
	r->t_last = loop_now(r->w->loop);
	sniff(r, bytes);
	switch (r->state) {
	case REQUEST_STREAM:
		note_chunk(r);
		take_stream(r, bytes);
		break;
	case REQUEST_HOLD:
		take_held(r, bytes);
		break;
	case REQUEST_REFUSAL:
		take_refusal(r, bytes);
		break;
	case REQUEST_BODY:
	case REQUEST_ADMIT:
	case REQUEST_SENT:
	case REQUEST_BOOKING:
	case REQUEST_WAIT:
	case REQUEST_DONE:
		break;
	}
	if (r->meter != NULL) {
		objects_note(r);
		request_note_progress(r);
	}
	(void)FAILPOINT("worker.streaming");
	loop_defer(r->w->loop, &r->credit);
	requests_cut_fattest(r->w);
}

/* ---- the end ------------------------------------------------------------- */

static void
end_stream(struct request *r)
{
	bool failed;

	meter_finish(r->meter, &r->held);
	objects_note(r);
	failed = meter_get(r->meter)->failed;
	deliver_end(r,
	    r->user_left ? OUTCOME_CANCELLED
	    : failed	 ? OUTCOME_FAILED
			 : OUTCOME_COMPLETE,
	    false);
}

static void
end_held(struct request *r)
{
	meter_finish(r->meter, &r->held);
	objects_note(r);
	if (meter_get(r->meter)->failed && !r->head_sent)
		api_answer_scrub(&r->held, r->dialect);
	if (r->client != NULL)
		r->user_status = r->status;
	deliver_end(
	    r, r->user_left ? OUTCOME_CANCELLED : OUTCOME_COMPLETE, true);
}

/* The same request may be good without what we added to it. */
static bool
asked_too_much(const struct request *r)
{
	return (r->ask_usage && (r->status == 400 || r->status == 422) &&
		can_retry(r));
}

static void
end_refusal(struct request *r)
{
	struct buf body = {0};

	if (asked_too_much(r)) {
		request_retry_same(r);
		return;
	}
	if (!api_error_scrub(
		&body, r->dialect, r->status, buf_span(&r->held))) {
		buf_fini(&body);
		request_break(r, API_ERR_upstream_error,
		    r->user_left ? OUTCOME_CANCELLED : OUTCOME_FAILED);
		return;
	}
	buf_fini(&r->held);
	r->held = body;
	str_copy(r->content_type, sizeof(r->content_type), "application/json");
	if (r->client != NULL)
		r->user_status = r->status;
	deliver_end(
	    r, r->user_left ? OUTCOME_CANCELLED : OUTCOME_COMPLETE, false);
}

static void
on_end(struct upstream *up)
{
	struct request *r = up->owner;

	switch (r->state) {
	case REQUEST_STREAM:
		end_stream(r);
		break;
	case REQUEST_HOLD:
		end_held(r);
		break;
	case REQUEST_REFUSAL:
		end_refusal(r);
		break;
	case REQUEST_SENT:
		request_retry(r, API_ERR_upstream_error);
		break;
	case REQUEST_BODY:
	case REQUEST_ADMIT:
	case REQUEST_BOOKING:
	case REQUEST_WAIT:
	case REQUEST_DONE:
		break;
	}
}

/* The stream is over before its end was seen. */
static void
on_close(struct upstream *up, uint32_t code)
{
	struct request *r = up->owner;

	if (r->state == REQUEST_DONE || r->state == REQUEST_BOOKING)
		return;
	if (r->user_left || r->head_sent) {
		request_break(r, API_ERR_agent_lost,
		    r->user_left ? OUTCOME_CANCELLED : OUTCOME_FAILED);
	} else if (code == H2_REFUSED_STREAM && r->state == REQUEST_SENT) {
		request_retry_refused(r);
	} else {
		if (code == H2_INTERNAL_ERROR)
			retry_note_failure(r);
		request_retry(r, API_ERR_agent_lost);
	}
}

static void
on_writable(struct upstream *up)
{
	request_feed(up->owner);
}

const struct upstream_ops request_upstream_ops = {
    .on_head = on_head,
    .on_data = on_data,
    .on_end = on_end,
    .on_close = on_close,
    .on_writable = on_writable,
};
