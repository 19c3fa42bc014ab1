/*
 * The provider's answer: its head is judged, an error held until it is clear
 * whose it is, and all that is the user's streams on to the hub.
 */
#include <assert.h>

#include "agentd/answer_head.h"
#include "agentd/call_private.h"
#include "common/failpoint.h"
#include "common/log.h"

#define SEND_MARK  65536 /* bytes queued for the hub above which we pause */
#define DETAIL_MAX 400	 /* of an error, logged */

/* ---- its head ----------------------------------------------------------- */

static void
respond(struct call *c, const struct answer_head *h)
{
	call_set_state(c, STATE_STREAMING);
	call_wait_at_most(c, c->want.idle_ms);
	h2stream_respond(c->stream, h->fields, h->n, true);
}

/* What it says is for our log alone. */
static int
detail_size(const struct call *c)
{
	size_t n = buf_len(&c->error);

	return (n < DETAIL_MAX ? (int)n : DETAIL_MAX);
}

static const char *
detail_sep(const struct call *c)
{
	return (buf_len(&c->error) > 0 ? ": " : "");
}

static void
refuse(struct call *c, int status)
{
	log_warnx("call %s: provider %s refuses our credentials: %d%s%.*s",
	    c->want.id, c->provider->name, status, detail_sep(c),
	    detail_size(c), buf_ptr(&c->error));
	call_answer_error(c, "credentials");
}

/* The hub keeps it from the user, or asks elsewhere; nobody else has it. */
static bool
is_kept_back(int status)
{
	return (status >= 500 || (status >= 300 && status < 400));
}

void
call_log_failure(const struct call *c)
{
	if (is_kept_back(c->status))
		log_warnx("call %s: provider %s answers %d%s%.*s", c->want.id,
		    c->provider->name, c->status, detail_sep(c), detail_size(c),
		    buf_ptr(&c->error));
}

static void
deny(struct call *c, int status)
{
	log_warnx("call %s: provider %s does not let us use %s: %d%s%.*s",
	    c->want.id, c->provider->name, c->want.model, status, detail_sep(c),
	    detail_size(c), buf_ptr(&c->error));
	call_answer_error(c, "unknown_provider");
}

/* Once more, if this was the first time; outside of upstream. */
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
	call_set_state(c, STATE_WAITING);
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
	c->status = status;
	answer_head_make(
	    &h, status, took / 1000, f, n, c->provider->type->keep_field);
	if (verdict == PROVIDER_PASS) {
		respond(c, &h);
		return;
	}
	assert(c->held == NULL);
	c->held = answer_head_copy(&h);
	call_set_state(c, STATE_LOOKING);
	call_wait_at_most(c, c->want.idle_ms);
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
	call_wait_at_most(c, c->want.idle_ms);
	if (is_kept_back(c->status) && buf_len(&c->error) < DETAIL_MAX)
		buf_addspan(&c->error, bytes);
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
		call_set_state(c, STATE_ANSWERED);
		loop_timer_set_at(c->timer, c->end_at);
		h2stream_write(c->stream, SPAN(""), true);
		return;
	}
	log_warnx(
	    "call %s: provider %s: %s", c->want.id, c->provider->name, detail);
	if (c->state == STATE_SENT || c->state == STATE_LOOKING)
		call_answer_error(c, error_word(end));
	else
		call_end(c, CALL_BROKEN);
}

const struct upstream_handler call_upstream_handler = {
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
	call_wait_at_most(c, c->want.idle_ms);
	upstream_resume(c->upstream);
}
