/* One request's state machine: its request, its deadlines and its end. */
#include "agentd/call.h"

#include <assert.h>
#include <stdlib.h>

#include "agentd/answer_head.h"
#include "agentd/call_private.h"
#include "agentd/link.h"
#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/linkproto.h"
#include "common/log.h"

static const char *const state_names[] = {
    "body", "waiting", "sent", "looking", "streaming", "answered", "over"};

void
call_set_state(struct call *c, enum call_state state)
{
	log_debug("call %s: %s -> %s", c->want.id, state_names[c->state],
	    state_names[state]);
	c->state = state;
}

/* ---- time --------------------------------------------------------------- */

void
call_wait_at_most(struct call *c, int64_t ms)
{
	monotime_t at = monotime_add_ms(loop_now(c->agent->loop), ms);

	loop_timer_set_at(
	    c->timer, monotime_reached(c->end_at, at) ? c->end_at : at);
}

/* ---- answers of our own ------------------------------------------------- */

void
call_answer_error(struct call *c, const char *error)
{
	struct h2_field f[] = {
	    {SPAN(":status"), SPAN("502")},
	    {SPAN(LINK_F_ERROR), span_str(error)},
	};

	assert(c->state < STATE_STREAMING);
	if (c->upstream != NULL)
		upstream_cancel(c->upstream);
	c->upstream = NULL;
	credential_cancel(&c->credential);
	loop_work_cancel(&c->again_work);
	call_set_state(c, STATE_ANSWERED);
	loop_timer_set_at(c->timer, c->end_at);
	h2stream_respond(c->stream, f, 2, false);
}

static void
on_timer(void *arg)
{
	struct call *c = arg;
	bool whole = monotime_reached(c->end_at, monotime_now());

	assert(c->magic == CALL_MAGIC);
	if (c->state == STATE_SENT || c->state == STATE_WAITING ||
	    c->state == STATE_LOOKING) {
		log_warnx("call %s: provider %s: no %s in time", c->want.id,
		    c->provider->name,
		    c->state == STATE_WAITING ? "credentials" : "answer");
		call_answer_error(c, "timeout");
		return;
	}
	if (c->state == STATE_STREAMING && !whole)
		log_warnx("call %s: provider %s: fell silent", c->want.id,
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
	buf_fini(&c->error);
	answer_head_free(c->held);
	call_want_fini(&c->want);
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
	call_set_state(c, STATE_OVER);
	call_log_failure(c);
	c->stream = NULL;
	/* First of all, for here the provider's meter is running (d19). */
	if (c->upstream != NULL)
		upstream_cancel(c->upstream);
	c->upstream = NULL;
	if (stream != NULL) {
		h2stream_set_arg(stream, NULL);
		h2stream_reset(stream, reset_code(reason));
	}
	credential_cancel(&c->credential);
	loop_work_cancel(&c->again_work);
	loop_timer_free(c->timer);
	c->timer = NULL;
	c->agent->calls--;
	c->agent->body_held -= buf_len(&c->body);
	if (c->provider != NULL)
		c->provider->calls--;
	LIST_REMOVE(c, entry);
	link_call_over(c->link);
	/* Now, not after the turn: its credentials need the loop to end. */
	agent_conf_unref(c->conf);
	c->conf = NULL;
	c->provider = NULL;
	loop_dispose_later(c->agent->loop, call_free, c);
}

void
call_on_close(struct call *c, uint32_t code)
{
	bool whole = c->state == STATE_ANSWERED && code == H2_NO_ERROR;

	c->stream = NULL;
	call_end(c, whole ? CALL_DONE : CALL_CLOSED);
}

/* ---- the request -------------------------------------------------------- */

static void
start(struct call *c, const struct provider_request *r)
{
	const struct provider_type *type = c->provider->type;
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
	    .keep_field =
		type->read_field != NULL ? type->read_field : type->keep_field,
	};

	call_set_state(c, STATE_SENT);
	c->sent_at = monotime_now();
	call_wait_at_most(c, c->want.first_ms);
	c->upstream =
	    upstream_start(c->agent->upstream, &o, &call_upstream_handler, c);
	if (c->upstream == NULL)
		call_answer_error(c, "connect");
	(void)FAILPOINT("agent.sent");
}

static void
answer_unknown(struct call *c)
{
	log_warnx("call %s: the hub asks for %s at provider %s, "
		  "which is not here",
	    c->want.id, c->want.endpoint, c->want.provider);
	call_answer_error(c, "unknown_provider");
}

/* All is there to make the request of. */
static void
send_request(struct call *c)
{
	struct provider_call view =
	    call_want_view(&c->want, buf_span(&c->body));
	struct provider_request r = {0};

	if (c->provider->credential != NULL)
		c->credential_version =
		    credential_version(c->provider->credential);
	if (c->provider->type->make(c->provider, &view, &r)) {
		buf_cstr(&r.url);
		start(c, &r);
	} else {
		answer_unknown(c);
	}
	provider_request_fini(&r);
}

static void
on_credential(void *arg, const char *why)
{
	struct call *c = arg;

	assert(c->magic == CALL_MAGIC && c->state == STATE_WAITING);
	if (why == NULL) {
		send_request(c);
		return;
	}
	log_warnx("call %s: provider %s: no credentials: %s", c->want.id,
	    c->provider->name, why);
	call_answer_error(c, "credentials");
}

/* First the credential, if there is one; the deadline of the whole holds. */
static void
on_again(void *arg)
{
	struct call *c = arg;

	assert(c->magic == CALL_MAGIC && c->state == STATE_WAITING);
	if (c->provider->credential != NULL)
		credential_await(c->provider->credential, &c->credential);
	else
		send_request(c);
}

void
call_on_end(struct call *c)
{
	assert(c->magic == CALL_MAGIC);
	if (c->state != STATE_BODY)
		return;
	if (c->provider == NULL) {
		answer_unknown(c);
		return;
	}
	call_set_state(c, STATE_WAITING);
	call_wait_at_most(c, c->want.first_ms);
	on_again(c);
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
		log_warnx("call %s: no room for its body", c->want.id);
		call_end(c, CALL_REFUSED);
		return;
	}
	buf_addspan(&c->body, bytes);
	c->agent->body_held += bytes.n;
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

	c->magic = CALL_MAGIC;
	c->agent = a;
	call_want_read(&c->want, f, n);
	c->credential.fn = on_credential;
	c->credential.arg = c;
	c->again_work = (struct loop_work){.fn = on_again, .arg = c};
	c->conf = agent_conf_ref(a->conf);
	c->provider = agent_conf_provider(c->conf, c->want.provider);
	return (c);
}

void
call_begin(struct agent *a, struct link *link, struct call_list *list,
    struct h2stream *stream, const struct h2_field *f, size_t n)
{
	struct call *c = call_new(a, f, n);

	(void)FAILPOINT("agent.call_received");
	if (is_full(a, c->provider)) {
		agent_conf_unref(c->conf);
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
	c->end_at = monotime_add_ms(loop_now(a->loop), c->want.total_ms);
	c->timer = loop_timer_new(a->loop, on_timer, c);
	loop_timer_set_at(c->timer, c->end_at);
}
