/* One request's state machine. */
#include "agentd/call.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent.h"
#include "agentd/link.h"
#include "agentd/provider.h"
#include "agentd/upstream.h"
#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/linkproto.h"
#include "common/log.h"

#define SEND_MARK  65536 /* bytes queued for the hub above which we pause */
#define TEXT_MAX   256
#define MS_MAX	   86400000
#define TOTAL_MS   3600000 /* where the hub names none */
#define FIRST_MS   600000
#define IDLE_MS	   300000
#define CALL_MAGIC 0x63616c6c

enum call_state {
	STATE_BODY,	 /* the request is coming in */
	STATE_SENT,	 /* the provider has it */
	STATE_STREAMING, /* its answer is going out */
	STATE_ANSWERED,	 /* all is queued for the hub */
	STATE_OVER,
};

struct call {
	unsigned magic;
	enum call_state state;
	LIST_ENTRY(call) entry;
	struct agent *agent;
	struct link *link;
	struct agent_conf *conf;	/* the one it began with */
	struct provider_conf *provider; /* NULL: the hub named none we have */
	struct h2stream *stream;
	struct upstream_req *upstream; /* NULL: none under way */
	struct buf body;
	struct loop_timer *timer;
	monotime_t end_at; /* of the whole */
	monotime_t sent_at;
	int64_t total_ms, first_ms, idle_ms;
	size_t queued; /* for the hub, when last written */
	char id[64], endpoint[64], provider_name[TEXT_MAX], model[TEXT_MAX];
	char content_type[TEXT_MAX];
};

static const char *const state_names[] = {
    "body", "sent", "streaming", "answered", "over"};

static void
set_state(struct call *c, enum call_state state)
{
	log_debug("call %s: %s -> %s", c->id, state_names[c->state],
	    state_names[state]);
	c->state = state;
}

/* ---- time --------------------------------------------------------------- */

static void
wait_at_most(struct call *c, int64_t ms)
{
	monotime_t at = monotime_add_ms(loop_now(c->agent->loop), ms);

	loop_timer_set_at(
	    c->timer, monotime_reached(c->end_at, at) ? c->end_at : at);
}

/* ---- answers of our own ------------------------------------------------- */

/* The answer is not the provider's: 502, and in a word why. */
static void
answer_error(struct call *c, const char *error)
{
	struct h2_field f[] = {
	    {SPAN(":status"), SPAN("502")},
	    {SPAN(LINK_F_ERROR), span_str(error)},
	};

	assert(c->state < STATE_STREAMING);
	if (c->upstream != NULL)
		upstream_cancel(c->upstream);
	c->upstream = NULL;
	set_state(c, STATE_ANSWERED);
	loop_timer_set_at(c->timer, c->end_at);
	h2stream_respond(c->stream, f, 2, false);
}

static void
on_timer(void *arg)
{
	struct call *c = arg;
	bool whole = monotime_reached(c->end_at, monotime_now());

	assert(c->magic == CALL_MAGIC);
	if (c->state == STATE_SENT) {
		log_warnx("call %s: provider %s: no answer in time", c->id,
		    c->provider->name);
		answer_error(c, "timeout");
		return;
	}
	if (c->state == STATE_STREAMING && !whole)
		log_warnx("call %s: provider %s: fell silent", c->id,
		    c->provider->name);
	call_end(c, whole ? CALL_TIMED_OUT : CALL_BROKEN);
}

/* ---- the end ------------------------------------------------------------ */

static void
call_free(void *arg)
{
	struct call *c = arg;

	c->magic = 0;
	buf_fini(&c->body);
	agent_conf_unref(c->conf);
	free(c);
}

static uint32_t
reset_code(enum call_reason reason)
{
	switch (reason) {
	case CALL_REFUSED:
		return (H2_REFUSED_STREAM);
	case CALL_TIMED_OUT:
	case CALL_BROKEN:
		return (H2_INTERNAL_ERROR);
	case CALL_DONE:
	case CALL_CLOSED:
	case CALL_LINK_LOST:
	default:
		return (H2_CANCEL);
	}
}

void
call_end(struct call *c, enum call_reason reason)
{
	struct h2stream *stream = c->stream;

	assert(c->magic == CALL_MAGIC);
	if (c->state == STATE_OVER)
		return;
	set_state(c, STATE_OVER);
	c->stream = NULL;
	/* First of all, for here the provider's meter is running (d19). */
	if (c->upstream != NULL)
		upstream_cancel(c->upstream);
	c->upstream = NULL;
	if (stream != NULL) {
		h2stream_set_arg(stream, NULL);
		h2stream_reset(stream, reset_code(reason));
	}
	loop_timer_free(c->timer);
	c->timer = NULL;
	c->agent->calls--;
	c->agent->body_held -= buf_len(&c->body);
	if (c->provider != NULL)
		c->provider->calls--;
	LIST_REMOVE(c, entry);
	link_call_over(c->link);
	loop_dispose_later(c->agent->loop, call_free, c);
}

void
call_on_close(struct call *c, uint32_t code)
{
	bool whole = c->state == STATE_ANSWERED && code == H2_NO_ERROR;

	c->stream = NULL;
	call_end(c, whole ? CALL_DONE : CALL_CLOSED);
}

/* ---- the provider's answer ---------------------------------------------- */

/* Values as HTTP allows them; anything else is not worth carrying. */
static bool
is_value(struct span v)
{
	size_t i;

	for (i = 0; i < v.n; i++)
		if (((unsigned char)v.p[i] < ' ' && v.p[i] != '\t') ||
		    v.p[i] == 0x7f)
			return (false);
	return (true);
}

/* Names go out in lower case (RFC 9113 8.2.1), kept in names. */
static size_t
copy_fields(struct h2_field *out, const struct upstream_field *f, size_t n,
    char *names, size_t cap)
{
	size_t i, j, k = 0, used = 0;

	for (i = 0; i < n; i++) {
		if (f[i].name.n > cap - used || !is_value(f[i].value))
			continue;
		for (j = 0; j < f[i].name.n; j++)
			names[used + j] =
			    (char)tolower((unsigned char)f[i].name.p[j]);
		out[k].name = span_of(names + used, f[i].name.n);
		out[k++].value = f[i].value;
		used += f[i].name.n;
	}
	return (k);
}

static void
on_head(void *arg, int status, const struct upstream_field *f, size_t n)
{
	struct call *c = arg;
	struct h2_field out[UPSTREAM_MAX_FIELDS + 2];
	char names[1024], number[8], us[24];
	int64_t took = monotime_now().ns - c->sent_at.ns;

	assert(c->magic == CALL_MAGIC && c->state == STATE_SENT);
	(void)FAILPOINT("agent.head");
	if (status == 401 || status == 403) {
		log_warnx("call %s: provider %s refuses our credentials: %d",
		    c->id, c->provider->name, status);
		answer_error(c, "credentials");
		return;
	}
	snprintf(number, sizeof(number), "%03d", status % 1000);
	snprintf(us, sizeof(us), "%lld", (long long)(took / 1000));
	out[0] = (struct h2_field){SPAN(":status"), span_str(number)};
	out[1] = (struct h2_field){SPAN(LINK_F_UPSTREAM_US), span_str(us)};
	n = 2 + copy_fields(out + 2, f, n, names, sizeof(names));
	set_state(c, STATE_STREAMING);
	wait_at_most(c, c->idle_ms);
	h2stream_respond(c->stream, out, n, true);
}

static bool
may_take(void *arg)
{
	struct call *c = arg;

	if (c->queued <= SEND_MARK)
		return (true);
	/* Now it is the hub that is slow, not the provider. */
	loop_timer_set_at(c->timer, c->end_at);
	return (false);
}

static void
on_body(void *arg, struct span bytes)
{
	struct call *c = arg;

	assert(c->magic == CALL_MAGIC && c->state != STATE_OVER);
	if (c->state != STATE_STREAMING)
		return;
	(void)FAILPOINT("agent.streaming");
	wait_at_most(c, c->idle_ms);
	c->queued = h2stream_write(c->stream, bytes, false);
}

static const char *
error_word(enum upstream_end end)
{
	switch (end) {
	case UPSTREAM_REFUSED:
		return ("refused");
	case UPSTREAM_CONNECT:
		return ("connect");
	case UPSTREAM_TLS:
		return ("tls");
	case UPSTREAM_TIMEOUT:
		return ("timeout");
	case UPSTREAM_OK:
	case UPSTREAM_RESET:
	default:
		return ("reset");
	}
}

static void
on_done(void *arg, enum upstream_end end, const char *detail)
{
	struct call *c = arg;

	assert(c->magic == CALL_MAGIC);
	c->upstream = NULL;
	if (c->state == STATE_STREAMING && end == UPSTREAM_OK) {
		(void)FAILPOINT("agent.end");
		set_state(c, STATE_ANSWERED);
		loop_timer_set_at(c->timer, c->end_at);
		h2stream_write(c->stream, SPAN(""), true);
		return;
	}
	log_warnx("call %s: provider %s: %s", c->id, c->provider->name, detail);
	if (c->state == STATE_SENT)
		answer_error(c, error_word(end));
	else
		call_end(c, CALL_BROKEN);
}

static const struct upstream_handler upstream_handler = {
    .on_head = on_head,
    .may_take = may_take,
    .on_body = on_body,
    .on_done = on_done,
};

void
call_on_writable(struct call *c)
{
	c->queued = 0;
	if (c->upstream == NULL)
		return;
	wait_at_most(c, c->idle_ms);
	upstream_resume(c->upstream);
}

/* ---- the request -------------------------------------------------------- */

static void
start(struct call *c, const struct provider_request *r)
{
	struct upstream_options o = {
	    .method = r->method,
	    .url = r->url.mem + r->url.off,
	    .headers = r->headers,
	    .body = buf_span(&c->body),
	    .proxy = c->provider->proxy != NULL ? c->provider->proxy
						: c->conf->proxy,
	    /* The agent's proxy is there to get out; the section's is meant. */
	    .proxy_loopback = c->provider->proxy != NULL,
	    .ca_file = c->provider->ca_file != NULL ? c->provider->ca_file
						    : c->conf->ca_file,
	    .keep_field = c->provider->type->keep_field,
	};

	set_state(c, STATE_SENT);
	c->sent_at = monotime_now();
	wait_at_most(c, c->first_ms);
	c->upstream =
	    upstream_start(c->agent->upstream, &o, &upstream_handler, c);
	if (c->upstream == NULL)
		answer_error(c, "connect");
	(void)FAILPOINT("agent.sent");
}

void
call_on_end(struct call *c)
{
	struct provider_call want = {
	    .endpoint = c->endpoint,
	    .model = c->model,
	    .content_type = c->content_type,
	};
	struct provider_request r = {0};

	assert(c->magic == CALL_MAGIC);
	if (c->state != STATE_BODY)
		return;
	if (c->provider == NULL ||
	    !c->provider->type->make(c->provider, &want, &r)) {
		log_warnx("call %s: the hub asks for %s at provider %s, "
			  "which is not here",
		    c->id, c->endpoint, c->provider_name);
		answer_error(c, "unknown_provider");
	} else {
		buf_cstr(&r.url);
		start(c, &r);
	}
	provider_request_fini(&r);
}

void
call_on_data(struct call *c, struct span bytes)
{
	assert(c->magic == CALL_MAGIC);
	h2stream_consumed(c->stream, bytes.n, true);
	if (c->state != STATE_BODY)
		return;
	if (bytes.n > BODY_MAX - buf_len(&c->body) ||
	    bytes.n > BODY_SUM_MAX - c->agent->body_held) {
		log_warnx("call %s: no room for its body", c->id);
		call_end(c, CALL_REFUSED);
		return;
	}
	buf_addspan(&c->body, bytes);
	c->agent->body_held += bytes.n;
}

static void
take_text(char *out, size_t cap, struct span v)
{
	if (v.n < cap && memchr(v.p, '\0', v.n) == NULL) {
		memcpy(out, v.p, v.n);
		out[v.n] = '\0';
	}
}

static void
take_ms(int64_t *out, struct span v)
{
	int64_t ms = 0;
	size_t i;

	for (i = 0; i < v.n && v.p[i] >= '0' && v.p[i] <= '9'; i++)
		if (ms <= MS_MAX)
			ms = ms * 10 + (v.p[i] - '0');
	if (v.n > 0 && i == v.n)
		*out = ms < MS_MAX ? ms : MS_MAX;
}

/* What is unknown or does not fit is left out, and missed later. */
static void
take_field(struct call *c, const struct h2_field *f)
{
	if (span_eq(f->name, SPAN(LINK_F_REQUEST_ID)))
		take_text(c->id, sizeof(c->id), f->value);
	else if (span_eq(f->name, SPAN(LINK_F_ENDPOINT)))
		take_text(c->endpoint, sizeof(c->endpoint), f->value);
	else if (span_eq(f->name, SPAN(LINK_F_PROVIDER)))
		take_text(c->provider_name, sizeof(c->provider_name), f->value);
	else if (span_eq(f->name, SPAN(LINK_F_MODEL)))
		take_text(c->model, sizeof(c->model), f->value);
	else if (span_eq(f->name, SPAN("content-type")))
		take_text(c->content_type, sizeof(c->content_type), f->value);
	else if (span_eq(f->name, SPAN(LINK_F_DEADLINE)))
		take_ms(&c->total_ms, f->value);
	else if (span_eq(f->name, SPAN(LINK_F_FIRST)))
		take_ms(&c->first_ms, f->value);
	else if (span_eq(f->name, SPAN(LINK_F_IDLE)))
		take_ms(&c->idle_ms, f->value);
}

static bool
is_full(const struct agent *a, const struct provider_conf *p)
{
	return (a->draining || a->calls >= a->conf->capacity ||
		(p != NULL && p->capacity > 0 && p->calls >= p->capacity));
}

static struct call *
call_new(struct agent *a, const struct h2_field *f, size_t n)
{
	struct call *c = xcalloc(1, sizeof(*c));
	size_t i;

	c->magic = CALL_MAGIC;
	c->agent = a;
	c->total_ms = TOTAL_MS;
	c->first_ms = FIRST_MS;
	c->idle_ms = IDLE_MS;
	for (i = 0; i < n; i++)
		take_field(c, &f[i]);
	c->conf = agent_conf_ref(a->conf);
	c->provider = agent_conf_provider(c->conf, c->provider_name);
	return (c);
}

void
call_begin(struct agent *a, struct link *link, struct call_list *list,
    struct h2stream *stream, const struct h2_field *f, size_t n)
{
	struct call *c = call_new(a, f, n);

	(void)FAILPOINT("agent.call_received");
	if (is_full(a, c->provider)) {
		call_free(c);
		h2stream_reset(stream, H2_REFUSED_STREAM);
		return;
	}
	c->link = link;
	c->stream = stream;
	h2stream_set_arg(stream, c);
	LIST_INSERT_HEAD(list, c, entry);
	a->calls++;
	if (c->provider != NULL)
		c->provider->calls++;
	c->end_at = monotime_add_ms(loop_now(a->loop), c->total_ms);
	c->timer = loop_timer_new(a->loop, on_timer, c);
	loop_timer_set_at(c->timer, c->end_at);
}
