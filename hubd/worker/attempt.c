/* One attempt after the other: the body on its way to an agent. */
#include <stdio.h>
#include <string.h>

#include "common/digits.h"
#include "common/failpoint.h"
#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

#define RETRY_KEEP 65536  /* bodies up to this are always kept */
#define FEED_HIGH  131072 /* of a body queued for the session at once */
#define AGAIN_MAX  2	  /* that those who refused are asked again */

static struct span
attempt_body(const struct request *r)
{
	return (buf_span(r->splice ? &r->prepared : &r->body));
}

/* Gives the session more of the body while it has room. */
void
request_feed(struct request *r)
{
	struct span body = attempt_body(r), piece;
	size_t queued = 0;

	while (r->up.stream != NULL && r->body_sent < body.n &&
	       queued < FEED_HIGH) {
		piece = span_of(body.p + r->body_sent, body.n - r->body_sent);
		if (piece.n > 65536)
			piece.n = 65536;
		r->body_sent += piece.n;
		queued = upstream_write(&r->up, piece, r->body_sent == body.n);
	}
	if (r->body_sent < body.n)
		return;
	buf_fini(&r->prepared);
	if (r->head_sent)
		request_drop_body(r);
	if (r->retry_counted > 0)
		return;
	/* A large body is kept for another attempt only while there is
	 * room; without it there will be none. */
	if (buf_len(&r->body) <= RETRY_KEEP)
		return;
	if (r->w->retry_bytes + buf_len(&r->body) > r->w->conf->retry_memory) {
		request_drop_body(r);
		return;
	}
	r->retry_counted = buf_len(&r->body);
	r->w->retry_bytes += r->retry_counted;
}

bool
request_has_body(const struct request *r)
{
	return (r->endpoint->bodiless || buf_len(&r->body) > 0);
}

void
request_body_done(struct request *r)
{
	if (r->splice || r->body_sent == buf_len(&r->body))
		request_drop_body(r);
}

static void
prepare_body(struct request *r)
{
	struct span model = span_str(r->candidate->model);

	r->ask_usage = r->api.stream && !r->api.no_ask && !r->api.asked_usage &&
		       r->no_ask != r->candidate &&
		       meter_asks_usage(r->endpoint) &&
		       !learn_refuses_usage(r->w->learn, r->candidate);
	r->body_sent = 0;
	r->splice = api_prepares(&r->api, model, r->ask_usage);
	if (!r->splice)
		return;
	buf_reset(&r->prepared, SIZE_MAX);
	buf_addspan(&r->prepared, buf_span(&r->body));
	api_prepare(&r->api, &r->prepared, model, r->ask_usage);
}

static void
note_route(struct request *r)
{
	struct call_route route = {
	    .agent = r->candidate->agent_id,
	    .attempts = r->attempts,
	    .price_at = r->candidate->price_at,
	};

	str_copy(
	    route.provider, sizeof(route.provider), r->candidate->provider);
	str_copy(route.model, sizeof(route.model), r->candidate->model);
	call_set_route(r->row, &route);
}

static int64_t
left_ms(const struct request *r)
{
	int64_t ms = monotime_diff_ms(r->t_total, loop_now(r->w->loop));

	return (ms > 1 ? ms : 1);
}

/* One with no value is not sent. */
static void
put_field(
    struct h2_field *fields, size_t *n, const char *name, const char *value)
{
	if (value[0] != '\0')
		fields[(*n)++] =
		    (struct h2_field){span_str(name), span_str(value)};
}

static void
put_forwards(const struct request *r, struct h2_field *fields, size_t *n)
{
	const char *name = buf_ptr(&r->forwards), *value;
	size_t i;

	for (i = 0; i < r->nforwards; i++) {
		value = name + strlen(name) + 1;
		put_field(fields, n, name, value);
		name = value + strlen(value) + 1;
	}
}

/* text is the value's place; ms are not negative. */
static void
put_number(struct h2_field *fields, size_t *n, const char *name,
    char text[DIGITS_MAX], int64_t ms)
{
	fields[(*n)++] = (struct h2_field){
	    span_str(name), span_of(text, digits_put(text, (uint64_t)ms))};
}

static const char *
order_str(const struct api_list *list)
{
	return (list->ascending ? "asc" : list->descending ? "desc" : "");
}

static int
send_attempt(struct request *r)
{
	const struct hub_timeouts *t = &r->w->conf->timeout;
	const struct candidate *c = r->candidate;
	struct h2_field fields[LINK_FIELDS_MAX];
	char total[DIGITS_MAX], first[DIGITS_MAX], idle[DIGITS_MAX];
	char limit[16] = "";
	size_t n = 0;

	if (r->list.limit != 0)
		snprintf(limit, sizeof(limit), "%u", r->list.limit);
	put_field(fields, &n, ":method", "POST");
	put_field(fields, &n, ":path", LINK_CALL);
	put_field(fields, &n, LINK_F_ENDPOINT, r->endpoint->id);
	put_field(fields, &n, LINK_F_DIALECT, dialect_str(r->dialect));
	put_field(fields, &n, LINK_F_PROVIDER, c->provider);
	put_field(fields, &n, LINK_F_MODEL, c->model);
	put_field(fields, &n, LINK_F_REQUEST_ID, r->id_text);
	put_field(fields, &n, LINK_F_STREAM, r->api.stream ? "1" : "0");
	put_number(fields, &n, LINK_F_DEADLINE, total, left_ms(r));
	put_number(fields, &n, LINK_F_FIRST, first, t->first_byte);
	put_number(fields, &n, LINK_F_IDLE, idle, t->idle);
	put_field(fields, &n, LINK_F_ALT, api_alt_str(r->target.alt));
	put_field(fields, &n, LINK_F_API_VERSION, r->target.version);
	put_field(fields, &n, LINK_F_OBJECT, r->target.object);
	put_field(fields, &n, LINK_F_AFTER, r->list.after);
	put_field(fields, &n, LINK_F_LIMIT, limit);
	put_field(fields, &n, LINK_F_ORDER, order_str(&r->list));
	put_field(fields, &n, "content-type", r->type);
	put_forwards(r, fields, &n);
	return (upstream_open(r->w, &r->up, c->agent_row, c->agent_id, fields,
	    n, attempt_body(r).n > 0));
}

static bool
may_try_again(const struct request *r)
{
	return (retry_is_open(r) && request_has_body(r) && r->client != NULL);
}

static void
begin_attempt(struct request *r)
{
	buf_reset(&r->held, 4096);
	r->status = 0;
	r->owed = 0; /* to the stream before, which is gone */
	r->state = REQUEST_SENT;
	r->t_sent = r->t_last = loop_now(r->w->loop);
	if (r->attempts > 1)
		counter_add(r->w->count, COUNT_retries, 1);
	(void)FAILPOINT("worker.sent");
	/* With little buffer left a stream gets a small window (section 5). */
	if (r->w->buffered > r->w->conf->buffer_memory / 4 * 3)
		h2stream_limit_window(r->up.stream, 16384);
	request_feed(r);
	request_arm(r);
}

static bool
try_candidate(struct request *r, const struct candidate *c)
{
	const struct candidate *before = r->candidate;

	r->candidate = c;
	r->api.priced = c->entry != NULL ? price_kinds(c->entry) : 0;
	prepare_body(r);
	r->attempts++;
	note_route(r);
	if (send_attempt(r) == 0) {
		r->spent[c->stage]++;
		begin_attempt(r);
		return (true);
	}
	/* It cost nothing, and the row names who was really asked. */
	r->attempts--;
	if (before != NULL)
		r->candidate = before;
	return (false);
}

/*
 * -1: nobody is left. A stream that is refused has mostly crossed with the
 * leave of its link: whoever did that is asked again, by his next link.
 */
static int
pick(struct request *r, bool *full)
{
	monotime_t now = loop_now(r->w->loop);
	int i = route_pick(r->w->shm, r->route, now, &r->tried, full);

	if (i != -1 || r->refused == 0 || r->nrefused == AGAIN_MAX)
		return (i);
	r->nrefused++;
	r->tried &= ~r->refused;
	r->refused = 0;
	return (route_pick(r->w->shm, r->route, now, &r->tried, full));
}

/* The next candidate that takes it, or the end with the last error. */
static void
try_next(struct request *r)
{
	bool full = false;
	int i;

	while (may_try_again(r) && (i = pick(r, &full)) != -1)
		if (retry_may_ask(r, &r->route->c[i]) &&
		    try_candidate(r, &r->route->c[i]))
			return;
	if (may_try_again(r) && retry_may_wait(r)) {
		retry_wait(r);
		return;
	}
	if (r->last_error == API_OK)
		r->last_error = full ? API_ERR_overloaded : API_ERR_no_agent;
	if (r->candidate != NULL)
		note_route(r);
	request_break(r, r->last_error,
	    r->user_left				? OUTCOME_CANCELLED
	    : r->last_error == API_ERR_upstream_timeout ? OUTCOME_TIMED_OUT
							: OUTCOME_FAILED);
}

void
request_round(struct request *r)
{
	r->tried = r->barred;
	r->refused = 0;
	try_next(r);
}

/* Nothing of an attempt that failed reaches the next one, or the bill. */
static void
forget_attempt(struct request *r)
{
	upstream_cancel(&r->up, H2_CANCEL);
	meter_free(r->meter);
	r->meter = NULL;
	objects_forget(r);
	request_note_progress(r);
}

void
request_retry(struct request *r, enum api_error why)
{
	forget_attempt(r);
	if (why != API_OK)
		r->last_error = why;
	try_next(r);
}

void
request_retry_refused(struct request *r)
{
	r->attempts--; /* nothing was done there: it costs nothing */
	r->spent[r->candidate->stage]--;
	r->refused |= UINT32_C(1) << (r->candidate - r->route->c);
	/* Or it is full, of calls of other hubs perhaps. */
	request_retry(r, r->last_error == API_OK ? API_ERR_overloaded : API_OK);
}

void
request_retry_same(struct request *r)
{
	forget_attempt(r);
	r->no_ask = r->candidate;
	if (!may_try_again(r) || !try_candidate(r, r->candidate))
		try_next(r);
}
