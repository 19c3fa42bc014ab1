/* One request's state machine. */
#include "agentd/call.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/agent.h"
#include "agentd/answer_head.h"
#include "agentd/call_want.h"
#include "agentd/link.h"
#include "agentd/provider.h"
#include "agentd/token.h"
#include "agentd/upstream.h"
#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/linkproto.h"
#include "common/log.h"

#define SEND_MARK  65536 /* bytes queued for the hub above which we pause */
#define DETAIL_MAX 400	 /* of an error, logged */
#define CALL_MAGIC 0x63616c6c

enum call_state {
	STATE_BODY,	 /* the request is coming in */
	STATE_WAITING,	 /* for a credential of the provider's */
	STATE_SENT,	 /* the provider has it */
	STATE_LOOKING,	 /* whose fault its error is, the body tells */
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
	size_t queued; /* for the hub, when last written */
	struct call_want want;
	struct credential_wait credential;
	uint64_t credential_version; /* that the request was made with */
	struct loop_work again_work; /* curl must not be on the stack */
	bool again;		     /* this is the second try */
	struct answer_head *held;    /* while STATE_LOOKING, as is error */
	struct buf error;
	int status;
};

static const char *const state_names[] = {
    "body", "waiting", "sent", "looking", "streaming", "answered", "over"};

static void
set_state(struct call *c, enum call_state state)
{
	log_debug("call %s: %s -> %s", c->want.id, state_names[c->state],
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
	credential_cancel(&c->credential);
	loop_work_cancel(&c->again_work);
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
	if (c->state == STATE_SENT || c->state == STATE_WAITING ||
	    c->state == STATE_LOOKING) {
		log_warnx("call %s: provider %s: no %s in time", c->want.id,
		    c->provider->name,
		    c->state == STATE_WAITING ? "credentials" : "answer");
		answer_error(c, "timeout");
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

/* ---- the provider's answer ---------------------------------------------- */

static void
respond(struct call *c, const struct answer_head *h)
{
	set_state(c, STATE_STREAMING);
	wait_at_most(c, c->want.idle_ms);
	h2stream_respond(c->stream, h->fields, h->n, true);
}

/* What it says is for our log alone. */
static int
detail_size(const struct call *c)
{
	size_t n = buf_len(&c->error);

	return (n < DETAIL_MAX ? (int)n : DETAIL_MAX);
}

static void
refuse(struct call *c, int status)
{
	log_warnx("call %s: provider %s refuses our credentials: %d %.*s",
	    c->want.id, c->provider->name, status, detail_size(c),
	    buf_ptr(&c->error));
	answer_error(c, "credentials");
}

static void
deny(struct call *c, int status)
{
	log_warnx("call %s: provider %s does not let us use %s: %d %.*s",
	    c->want.id, c->provider->name, c->want.model, status,
	    detail_size(c), buf_ptr(&c->error));
	answer_error(c, "unknown_provider");
}

/* Once more, if this was the first time; outside of curl. */
static void
try_again(struct call *c, int status)
{
	if (c->again) {
		refuse(c, status);
		return;
	}
	c->again = true;
	if (c->upstream != NULL)
		upstream_cancel(c->upstream);
	c->upstream = NULL;
	answer_head_free(c->held);
	c->held = NULL;
	buf_fini(&c->error);
	log_info("call %s: provider %s: once more after %d", c->want.id,
	    c->provider->name, status);
	set_state(c, STATE_WAITING);
	loop_defer(c->agent->loop, &c->again_work);
}

static enum provider_verdict
judge_head(struct call *c, int status, const struct upstream_field *f, size_t n)
{
	struct provider_conf *p = c->provider;
	const struct provider_answer answer = {
	    .status = status,
	    .fields = f,
	    .n = n,
	    .asked_at = c->sent_at,
	    .credential = c->credential_version,
	};

	/* A token may have been revoked before its time. */
	if (status == 401 && p->credential != NULL && !c->again &&
	    credential_refused(p->credential, c->credential_version))
		return (PROVIDER_AGAIN);
	return (p->type->on_head != NULL ? p->type->on_head(p, &answer)
					 : provider_on_head(status));
}

/* Is the answer no matter of the user's? Then it is dealt with. */
static bool
is_ours(struct call *c, enum provider_verdict verdict, int status)
{
	switch (verdict) {
	case PROVIDER_REFUSED:
		refuse(c, status);
		return (true);
	case PROVIDER_DENIED:
		deny(c, status);
		return (true);
	case PROVIDER_AGAIN:
		try_again(c, status);
		return (true);
	case PROVIDER_PASS:
	case PROVIDER_LOOK:
	default:
		return (false);
	}
}

static void
on_head(void *arg, int status, const struct upstream_field *f, size_t n)
{
	struct call *c = arg;
	struct answer_head h;
	int64_t took = monotime_now().ns - c->sent_at.ns;
	enum provider_verdict verdict;

	assert(c->magic == CALL_MAGIC && c->state == STATE_SENT);
	(void)FAILPOINT("agent.head");
	verdict = judge_head(c, status, f, n);
	if (is_ours(c, verdict, status))
		return;
	answer_head_make(
	    &h, status, took / 1000, f, n, c->provider->type->keep_field);
	if (verdict == PROVIDER_PASS) {
		respond(c, &h);
		return;
	}
	assert(c->held == NULL);
	c->held = answer_head_copy(&h);
	c->status = status;
	set_state(c, STATE_LOOKING);
	wait_at_most(c, c->want.idle_ms);
}

/* ---- an error of the provider's, held until it is clear whose it is ----- */

/* It is the user's after all. */
static void
release_error(struct call *c)
{
	respond(c, c->held);
	if (c->state == STATE_STREAMING)
		c->queued =
		    h2stream_write(c->stream, buf_span(&c->error), false);
}

static void
hold_error(struct call *c, struct span bytes)
{
	buf_addspan(&c->error, bytes);
	if (buf_len(&c->error) > PROVIDER_LOOK_MAX)
		release_error(c);
}

/* The whole of it is there. true: it goes on to the user. */
static bool
judge_error(struct call *c)
{
	enum provider_verdict verdict;

	verdict = c->provider->type->on_error(
	    c->provider, c->status, buf_span(&c->error));
	assert(verdict != PROVIDER_LOOK);
	if (!is_ours(c, verdict, c->status))
		release_error(c);
	return (c->state == STATE_STREAMING);
}

/* ---- its body ----------------------------------------------------------- */

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
	if (c->state == STATE_LOOKING) {
		hold_error(c, bytes);
		return;
	}
	if (c->state != STATE_STREAMING)
		return;
	(void)FAILPOINT("agent.streaming");
	wait_at_most(c, c->want.idle_ms);
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
	if (c->state == STATE_LOOKING && end == UPSTREAM_OK && !judge_error(c))
		return;
	if (c->state == STATE_STREAMING && end == UPSTREAM_OK) {
		(void)FAILPOINT("agent.end");
		set_state(c, STATE_ANSWERED);
		loop_timer_set_at(c->timer, c->end_at);
		h2stream_write(c->stream, SPAN(""), true);
		return;
	}
	log_warnx(
	    "call %s: provider %s: %s", c->want.id, c->provider->name, detail);
	if (c->state == STATE_SENT || c->state == STATE_LOOKING)
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
	wait_at_most(c, c->want.idle_ms);
	upstream_resume(c->upstream);
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

	set_state(c, STATE_SENT);
	c->sent_at = monotime_now();
	wait_at_most(c, c->want.first_ms);
	c->upstream =
	    upstream_start(c->agent->upstream, &o, &upstream_handler, c);
	if (c->upstream == NULL)
		answer_error(c, "connect");
	(void)FAILPOINT("agent.sent");
}

static void
answer_unknown(struct call *c)
{
	log_warnx("call %s: the hub asks for %s at provider %s, "
		  "which is not here",
	    c->want.id, c->want.endpoint, c->want.provider);
	answer_error(c, "unknown_provider");
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
	answer_error(c, "credentials");
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
	set_state(c, STATE_WAITING);
	wait_at_most(c, c->want.first_ms);
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
