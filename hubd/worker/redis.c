/* The connection to Redis, on and off, and the wire of its limiter. */
#include "hubd/worker/redis.h"

#include <assert.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "hubd/worker/redis_private.h"

#define PAUSE_FIRST_MS 100 /* after a connection that was good */
#define PAUSE_MS       1000
#define PAUSE_MAX_MS   5000
#define NOT_YET_MS     50 /* until the hub has its first load */

/* ---- the limiter's wire -------------------------------------------------- */

static void
wire_fail(void *arg, const char *why)
{
	redis_go_off(arg, why);
}

static void
wire_flush_later(void *arg)
{
	struct redis *r = arg;

	loop_defer(r->w->loop, &r->flush);
}

static void
on_flush(void *arg)
{
	struct redis *r = arg;

	limiter_redis_flush(r->limiter, loop_now(r->w->loop));
}

static void
note_state(struct redis *r)
{
	enum process_limits who = LIMITS_SHARE;

	if (limiter_redis_decides(r->limiter, loop_now(r->w->loop)))
		who = LIMITS_SHARED;
	else if (r->w->conf->limit_strict)
		who = LIMITS_NOBODY;
	atomic_store(&r->w->row->limits, who);
}

static void
on_tick(void *arg)
{
	struct redis *r = arg;

	limiter_redis_tick(r->limiter, loop_now(r->w->loop));
	note_state(r);
	loop_timer_set_ms(r->tick, LIMITER_REDIS_TICK_MS);
}

/* ---- on and off ---------------------------------------------------------- */

static void
wire_ready(void *arg)
{
	struct redis *r = arg;
	monotime_t now = loop_now(r->w->loop);

	if (r->state == LINK_ON)
		return;
	if (r->told_away)
		log_info("limits: Redis at %s is back after %lld ms", r->name,
		    (long long)monotime_diff_ms(now, r->since));
	else
		log_info("limits: Redis at %s decides", r->name);
	r->state = LINK_ON;
	r->failures = 0;
	r->told_away = false;
	redis_arm(r);
	note_state(r);
}

static int64_t
pause_ms(struct redis *r, bool was_good)
{
	int64_t ms = PAUSE_MS;

	if (was_good)
		return (PAUSE_FIRST_MS);
	for (uint32_t i = 2; i < r->failures && ms < PAUSE_MAX_MS; i++)
		ms *= 2;
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	return (ms / 2 + (int64_t)random_below((uint32_t)ms / 2));
}

static void
tell_away(struct redis *r, const char *why)
{
	if (r->told_away)
		return;
	r->told_away = true;
	r->since = loop_now(r->w->loop);
	counter_add(r->w->count, COUNT_limits_outages, 1);
	if (r->w->conf->limit_strict)
		log_warnx("limits: Redis at %s is away: %s; REQUESTS ARE "
			  "REFUSED until it is back",
		    r->name, why);
	else
		log_warnx("limits: Redis at %s is away: %s; this hub goes on "
			  "by %u %% of each limit",
		    r->name, why, r->w->conf->limit_share);
}

void
redis_go_off(struct redis *r, const char *why)
{
	redisAsyncContext *ac = r->ac;
	bool was_on = r->state == LINK_ON;

	if (r->state == LINK_OFF)
		return;
	tell_away(r, why);
	r->failures++;
	r->state = LINK_OFF;
	r->ac = NULL;
	limiter_redis_down(r->limiter);
	note_state(r);
	loop_timer_clear(r->deadline);
	loop_timer_set_ms(r->retry, pause_ms(r, was_on));
	if (ac != NULL)
		redisAsyncFree(ac);
}

static void
on_connect(const redisAsyncContext *ac, int status)
{
	struct redis *r = ac->data;

	if (status == REDIS_OK || ac != r->ac)
		return;
	/* hiredis frees it itself after this */
	r->ac = NULL;
	redis_go_off(r, ac->errstr);
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
	struct redis *r = ac->data;

	if (ac != r->ac)
		return;
	r->ac = NULL;
	redis_go_off(r, status == REDIS_OK ? "it is closed" : ac->errstr);
}

/* Of AUTH and SELECT. */
static void
on_login(redisAsyncContext *ac, void *from, void *arg)
{
	const redisReply *said = from;
	struct redis *r = arg;

	if (said != NULL && ac == r->ac && said->type == REDIS_REPLY_ERROR)
		redis_go_off(r, said->str);
}

static void
log_in(struct redis *r)
{
	const struct redis_url *u = &r->url;

	if (u->user[0] != '\0')
		redisAsyncCommand(
		    r->ac, on_login, r, "AUTH %s %s", u->user, u->password);
	else if (u->password[0] != '\0')
		redisAsyncCommand(r->ac, on_login, r, "AUTH %s", u->password);
	if (u->db != 0)
		redisAsyncCommand(r->ac, on_login, r, "SELECT %u", u->db);
}

static redisAsyncContext *
open_context(struct redis *r)
{
	char host[sizeof(r->url.host)];

	if (r->url.path[0] != '\0')
		return (redisAsyncConnectUnix(r->url.path));
	redis_url_host(&r->url, r->failures, host, sizeof(host));
	return (redisAsyncConnect(host, r->url.port));
}

static void
start(struct redis *r)
{
	redisAsyncContext *ac;

	assert(r->state == LINK_OFF);
	if (!limiter_redis_knows_itself(r->limiter)) {
		loop_timer_set_ms(r->retry, NOT_YET_MS);
		return;
	}
	r->state = LINK_TRYING;
	r->give_up =
	    monotime_add_ms(loop_now(r->w->loop), r->w->conf->limit_timeout);
	if ((ac = open_context(r)) == NULL) {
		redis_go_off(r, "no memory");
		return;
	}
	r->ac = ac;
	ac->data = r;
	if (ac->err != 0) {
		redis_go_off(r, ac->errstr);
		return;
	}
	redis_watch(r, ac);
	redisAsyncSetConnectCallback(ac, on_connect);
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	redis_arm(r);
	log_in(r);
	limiter_redis_up(r->limiter, loop_now(r->w->loop));
}

static void
on_retry(void *arg)
{
	start(arg);
}

/* ---- birth and death ----------------------------------------------------- */

void
redis_configure(struct redis *r)
{
	const struct hub_conf *conf = r->w->conf;
	const struct limit_rules rules = {.share = conf->limit_share,
	    .strict = conf->limit_strict,
	    .lease_ms = conf->limit_lease};

	limiter_redis_configure(r->limiter, &rules);
	if (r->text != NULL && strcmp(r->text, conf->limits) == 0)
		return;
	redis_go_off(r, "it is to be elsewhere");
	free(r->text);
	r->text = xstrdup(conf->limits);
	if (redis_url_parse(r->text, &r->url) != NULL)
		fatalx("limits: what was checked cannot be read");
	redis_url_name(&r->url, r->name);
}

struct redis *
redis_new(struct worker *w)
{
	struct redis *r = xcalloc(1, sizeof(*r));
	const struct redis_wire wire = {.send = redis_send,
	    .fail = wire_fail,
	    .ready = wire_ready,
	    .flush_later = wire_flush_later,
	    .arg = r};

	r->w = w;
	TAILQ_INIT(&r->flights);
	r->deadline = loop_timer_new(w->loop, redis_on_deadline, r);
	r->retry = loop_timer_new(w->loop, on_retry, r);
	r->tick = loop_timer_new(w->loop, on_tick, r);
	r->flush = (struct loop_work){.fn = on_flush, .arg = r};
	r->limiter = limiter_redis_new(w->shm, w->count, &wire);
	redis_configure(r);
	note_state(r);
	loop_timer_set_ms(r->retry, 0);
	loop_timer_set_ms(r->tick, LIMITER_REDIS_TICK_MS);
	return (r);
}

struct limiter *
redis_limiter(struct redis *r)
{
	return (r->limiter);
}

bool
redis_idle(const struct redis *r)
{
	return (limiter_redis_idle(r->limiter));
}

void
redis_free(struct redis *r)
{
	redisAsyncContext *ac;

	if (r == NULL)
		return;
	ac = r->ac;
	r->ac = NULL;
	r->state = LINK_OFF;
	limiter_redis_down(r->limiter);
	if (ac != NULL)
		redisAsyncFree(ac);
	assert(TAILQ_EMPTY(&r->flights));
	loop_timer_free(r->deadline);
	loop_timer_free(r->retry);
	loop_timer_free(r->tick);
	loop_work_cancel(&r->flush);
	r->limiter->ops->free(r->limiter);
	free(r->text);
	free(r);
}
