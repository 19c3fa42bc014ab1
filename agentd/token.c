/* Credentials that are fetched: one fetch at a time, ahead of need. */
#include "agentd/token.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/upstream.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/httpdate.h"
#include "common/ids.h"
#include "common/log.h"

#define AHEAD_MS	 300000 /* of its end a token is refreshed */
#define AHEAD_PART	 5	/* or a fifth of its life, if that is less */
#define MARGIN_MS	 5000	/* before its end it is used no more */
#define MARGIN_PART	 10
#define REFRESH_MIN_MS	 10000	  /* a server may hand out the same again */
#define LIFE_MIN_MS	 1000	  /* less is no token */
#define LIFE_MAX_MS	 86400000 /* more is not believed */
#define FETCH_MS	 30000	  /* all requests of a fetch */
#define BACKOFF_MIN_MS	 1000
#define BACKOFF_MAX_MS	 60000
#define REFUSED_MIN_MS	 60000 /* between fetches because of refusals */
#define SECRET_ROOM	 8192  /* so that growing leaves no copies behind */
#define CREDENTIAL_MAGIC 0x63726564

struct credential {
	unsigned magic;
	struct credential_options o;
	const struct token_source *source;
	void *arg;
	TAILQ_HEAD(, credential_wait) waits;
	/* what there is */
	struct buf secret;
	uint64_t version; /* 0: there was none yet */
	bool valid;	  /* not refused, not run out */
	bool used;	  /* since it came */
	monotime_t ends_at, refresh_at;
	monotime_t refused_at; /* when that led to a fetch; 0: never */
	/* the fetch under way, and those that failed */
	bool fetching;
	unsigned step, failures;
	monotime_t not_before;
	struct upstream_req *req;
	struct token_request request;
	struct buf body; /* of the answer */
	int status;
	int64_t date_ms;
	char flavor[32];
	char why[TOKEN_WHY_MAX];  /* the last one failed */
	struct loop_timer *timer; /* end of the fetch, or the next one */
	struct loop_work step_work;
};

static void
wipe(struct buf *b)
{
	if (b->mem != NULL)
		crypto_wipe(b->mem, b->cap);
	buf_fini(b);
}

static bool
is_valid(const struct credential *c)
{
	return (c->valid && !monotime_reached(c->ends_at, monotime_now()));
}

/* ---- the end of a fetch ------------------------------------------------- */

static void
wake_all(struct credential *c, const char *why)
{
	struct credential_wait *w;

	while ((w = TAILQ_FIRST(&c->waits)) != NULL) {
		credential_cancel(w);
		w->fn(w->arg, why);
	}
}

static void
end_request(struct credential *c)
{
	if (c->req != NULL)
		upstream_cancel(c->req);
	c->req = NULL;
	wipe(&c->request.body);
	wipe(&c->body);
	provider_request_fini(&c->request.http);
}

static void
end_fetch(struct credential *c)
{
	end_request(c);
	loop_work_cancel(&c->step_work);
	loop_timer_clear(c->timer);
	c->fetching = false;
}

static int64_t
smaller(int64_t a, int64_t b)
{
	return (a < b ? a : b);
}

static void
got(struct credential *c, struct token *t)
{
	int64_t life = smaller(t->life_ms, LIFE_MAX_MS);
	int64_t wait = life - smaller(AHEAD_MS, life / AHEAD_PART);
	monotime_t now = monotime_now();

	end_fetch(c);
	wipe(&c->secret);
	c->secret = t->secret;
	t->secret = (struct buf){0};
	buf_cstr(&c->secret);
	c->version++;
	c->valid = true;
	c->used = !TAILQ_EMPTY(&c->waits);
	c->failures = 0;
	c->ends_at =
	    monotime_add_ms(now, life - smaller(MARGIN_MS, life / MARGIN_PART));
	c->refresh_at =
	    monotime_add_ms(now, wait > REFRESH_MIN_MS ? wait : REFRESH_MIN_MS);
	loop_timer_set_at(c->timer, c->refresh_at);
	log_debug("provider %s: a token for %lld s", c->o.name,
	    (long long)(life / 1000));
	wake_all(c, NULL);
}

/* From BACKOFF_MIN_MS on, doubled with each failure, half of it by chance. */
static int64_t
backoff(unsigned failures)
{
	int64_t ms = BACKOFF_MIN_MS;

	while (--failures > 0 && ms < BACKOFF_MAX_MS)
		ms *= 2;
	ms = smaller(ms, BACKOFF_MAX_MS);
	return (ms + random_below((uint32_t)ms / 2));
}

static void
failed(struct credential *c)
{
	int64_t wait;

	end_fetch(c);
	c->failures++;
	wait = backoff(c->failures);
	c->not_before = monotime_add_ms(monotime_now(), wait);
	log_warnx("provider %s: no token: %s; not tried for %lld ms%s",
	    c->o.name, c->why, (long long)wait,
	    is_valid(c) ? ", the old one is still good" : "");
	/* Without a valid one it is the next call that tries again. */
	if (is_valid(c))
		loop_timer_set_at(c->timer, c->not_before);
	wake_all(c, c->why);
}

/* ---- its requests ------------------------------------------------------- */

static bool
keep_field(struct span name)
{
	return (span_ieq(name, SPAN("date")) ||
		span_ieq(name, SPAN("metadata-flavor")));
}

static void
on_head(void *arg, int status, const struct upstream_field *f, size_t n)
{
	struct credential *c = arg;
	size_t i;

	assert(c->magic == CREDENTIAL_MAGIC && c->fetching);
	c->status = status;
	for (i = 0; i < n; i++) {
		if (span_ieq(f[i].name, SPAN("date")))
			c->date_ms = httpdate_parse(f[i].value);
		else
			snprintf(c->flavor, sizeof(c->flavor), "%.*s",
			    (int)f[i].value.n, f[i].value.p);
	}
	buf_reserve(&c->body, SECRET_ROOM);
}

static bool
may_take(void *arg)
{
	(void)arg;
	return (true);
}

static void
on_body(void *arg, struct span bytes)
{
	struct credential *c = arg;

	assert(c->magic == CREDENTIAL_MAGIC && c->fetching);
	/* What is beyond is missed by who reads it. */
	if (bytes.n <= TOKEN_ANSWER_MAX - buf_len(&c->body))
		buf_addspan(&c->body, bytes);
}

static void
take_answer(struct credential *c)
{
	struct token_answer a = {
	    .status = c->status,
	    .body = buf_span(&c->body),
	    .date_ms = c->date_ms,
	    .flavor = span_str(c->flavor),
	};
	struct token t = {0};
	enum token_step step;

	buf_reserve(&t.secret, SECRET_ROOM);
	snprintf(c->why, sizeof(c->why), "no reason");
	step = c->source->answer(c->arg, c->step, &a, &t, c->why);
	if (step == TOKEN_GOT && t.life_ms < LIFE_MIN_MS) {
		snprintf(c->why, sizeof(c->why), "it has run out already");
		step = TOKEN_FAILED;
	}
	if (step == TOKEN_GOT) {
		got(c, &t);
	} else if (step == TOKEN_NEXT) {
		assert(c->step + 1 < TOKEN_MAX_STEPS);
		end_request(c);
		c->step++;
		loop_defer(c->o.loop, &c->step_work);
	} else {
		failed(c);
	}
	wipe(&t.secret);
}

static void
on_done(void *arg, enum upstream_end end, const char *detail)
{
	struct credential *c = arg;

	assert(c->magic == CREDENTIAL_MAGIC && c->fetching);
	c->req = NULL;
	if (end == UPSTREAM_OK) {
		take_answer(c);
		return;
	}
	snprintf(c->why, sizeof(c->why), "%s", detail);
	failed(c);
}

static const struct upstream_handler handler = {
    .on_head = on_head,
    .may_take = may_take,
    .on_body = on_body,
    .on_done = on_done,
};

static void
send_step(void *arg)
{
	struct credential *c = arg;
	struct token_request *r = &c->request;
	struct upstream_options o = {
	    .ca_file = c->o.ca_file,
	    .keep_field = keep_field,
	};

	*r = (struct token_request){0};
	c->date_ms = -1;
	c->flavor[0] = '\0';
	c->source->request(c->arg, c->step, r);
	provider_request_seal(&r->http);
	o.method = r->http.method;
	o.url = buf_cstr(&r->http.url);
	o.headers = r->http.headers;
	o.body = buf_span(&r->body);
	o.proxy = r->direct ? NULL : c->o.proxy;
	o.proxy_loopback = c->o.proxy_loopback;
	c->req = upstream_start(c->o.upstream, &o, &handler, c);
	if (c->req != NULL)
		return;
	snprintf(c->why, sizeof(c->why), "the URL is none");
	failed(c);
}

static void
fetch(struct credential *c)
{
	assert(!c->fetching);
	c->fetching = true;
	c->step = 0;
	loop_timer_set_ms(c->timer, FETCH_MS);
	loop_defer(c->o.loop, &c->step_work);
}

/* May a fetch begin, or does the last failure forbid it? */
static bool
may_fetch(const struct credential *c)
{
	return (!c->fetching &&
		(c->failures == 0 ||
		    monotime_reached(c->not_before, monotime_now())));
}

static void
on_timer(void *arg)
{
	struct credential *c = arg;

	assert(c->magic == CREDENTIAL_MAGIC);
	if (c->fetching) {
		snprintf(c->why, sizeof(c->why), "no answer in time");
		failed(c);
	} else if (c->used) {
		/* One that nobody uses may run out. */
		fetch(c);
	}
}

/* ---- those who wait ----------------------------------------------------- */

void
credential_await(struct credential *c, struct credential_wait *w)
{
	bool valid = is_valid(c);

	assert(c->magic == CREDENTIAL_MAGIC && !w->waiting);
	c->used = true;
	if (may_fetch(c) &&
	    (!valid || monotime_reached(c->refresh_at, monotime_now())))
		fetch(c);
	if (valid) {
		w->fn(w->arg, NULL);
	} else if (!c->fetching) {
		w->fn(w->arg, c->why);
	} else {
		w->waiting = true;
		w->credential = c;
		TAILQ_INSERT_TAIL(&c->waits, w, entry);
	}
}

void
credential_cancel(struct credential_wait *w)
{
	if (!w->waiting)
		return;
	w->waiting = false;
	TAILQ_REMOVE(&w->credential->waits, w, entry);
}

struct span
credential_secret(const struct credential *c)
{
	return (buf_span(&c->secret));
}

uint64_t
credential_version(const struct credential *c)
{
	return (c->version);
}

bool
credential_refused(struct credential *c, uint64_t version)
{
	monotime_t now = monotime_now();

	if (version != c->version || !c->valid)
		return (true);
	if (c->refused_at.ns != 0 &&
	    monotime_diff_ms(now, c->refused_at) < REFUSED_MIN_MS)
		return (false);
	log_warnx(
	    "provider %s: its token is refused before its end", c->o.name);
	c->refused_at = now;
	c->valid = false;
	return (true);
}

/* ---- birth and end ------------------------------------------------------ */

struct credential *
credential_new(const struct credential_options *o,
    const struct token_source *source, void *arg)
{
	struct credential *c = xcalloc(1, sizeof(*c));

	c->magic = CREDENTIAL_MAGIC;
	c->o = *o;
	c->source = source;
	c->arg = arg;
	c->timer = loop_timer_new(o->loop, on_timer, c);
	c->step_work = (struct loop_work){.fn = send_step, .arg = c};
	TAILQ_INIT(&c->waits);
	return (c);
}

void
credential_free(struct credential *c)
{
	if (c == NULL)
		return;
	assert(c->magic == CREDENTIAL_MAGIC && TAILQ_EMPTY(&c->waits));
	end_fetch(c);
	loop_timer_free(c->timer);
	wipe(&c->secret);
	c->source->free(c->arg);
	c->magic = 0;
	/* It may be in the middle of waking the last who waited. */
	loop_free_later(c->o.loop, c);
}
