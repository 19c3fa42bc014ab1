/* A connection to Redis: hiredis on the worker's loop, with deadlines. */
#include "hubd/worker/redis.h"

#include <assert.h>
#include <stdlib.h>

#include <hiredis/async.h>

#include "common/alloc.h"
#include "hubd/limit/limit_redis.h"
#include "hubd/limit/redis_url.h"
#include "hubd/worker/worker.h"

#define PAUSE_FIRST_MS 100 /* after a connection that was good */
#define PAUSE_MS       1000
#define PAUSE_MAX_MS   5000
#define NOT_YET_MS     50 /* until the hub has its first load */
#define REPLY_MAX      (1 + 2 * REDIS_LIST_MAX)
#define PATIENCE       10 /* times limit_timeout, for any one answer */

enum link_state {
	LINK_OFF,    /* waits for the next attempt */
	LINK_TRYING, /* connects, logs in, says hello */
	LINK_ON,     /* Redis decides */
};

/* A command under way. hiredis answers in order: so are they here. */
struct flight {
	TAILQ_ENTRY(flight) entry;
	struct redis *r;
	struct redis_command command;
	bool whole;   /* sent with its script */
	bool written; /* the deadline counts from then on */
	redis_done_fn *done;
	void *arg;
	monotime_t deadline;
};
TAILQ_HEAD(flight_list, flight);

/* The readiness of one connection's descriptor, until hiredis closes it. */
struct readiness {
	redisAsyncContext *ac;
	struct loop_io *io;
	int want;
	bool busy, gone; /* in the middle of on_io() it is freed after that */
};

struct redis {
	struct worker *w;
	struct limiter *limiter;
	struct redis_url url;
	char *text; /* as the configuration has it */
	char name[REDIS_NAME_MAX];
	enum link_state state;
	redisAsyncContext *ac; /* NULL: LINK_OFF */
	struct flight_list flights;
	struct loop_timer *deadline; /* of the oldest of them */
	struct loop_timer *retry, *tick;
	struct loop_work flush;
	monotime_t give_up; /* of LINK_TRYING */
	monotime_t heard;   /* anything, last */
	monotime_t since;   /* it is away */
	uint32_t failures;  /* in a row */
	bool told_away;
};

static void start(struct redis *);
static void go_off(struct redis *, const char *why);

/* ---- readiness ----------------------------------------------------------- */

/* A loop that was held up is not Redis's fault: what goes out only now has
 * its time from now on. */
static void
note_written(struct redis *r)
{
	monotime_t end =
	    monotime_add_ms(monotime_now(), r->w->conf->limit_timeout);
	struct flight *f;

	TAILQ_FOREACH_REVERSE(f, &r->flights, flight_list, entry)
	{
		if (f->written)
			break;
		f->written = true;
		f->deadline = end;
	}
}

static void
on_io(void *arg, int what)
{
	struct readiness *d = arg;
	struct redis *r = d->ac->data;

	d->busy = true;
	if (what & LOOP_READ) {
		r->heard = monotime_now();
		redisAsyncHandleRead(d->ac);
	}
	if (!d->gone && (what & LOOP_WRITE)) {
		redisAsyncHandleWrite(d->ac);
		note_written(r);
	}
	d->busy = false;
	if (d->gone)
		free(d);
}

static void
want(struct readiness *d, int what)
{
	if (what == d->want)
		return;
	d->want = what;
	loop_io_want(d->io, what);
}

static void
add_read(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want | LOOP_READ);
}

static void
del_read(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want & ~LOOP_READ);
}

static void
add_write(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want | LOOP_WRITE);
}

static void
del_write(void *arg)
{
	struct readiness *d = arg;

	want(d, d->want & ~LOOP_WRITE);
}

static void
clean_up(void *arg)
{
	struct readiness *d = arg;

	loop_io_free(d->io);
	d->gone = true;
	if (!d->busy)
		free(d);
}

static void
watch(struct redis *r, redisAsyncContext *ac)
{
	struct readiness *d = xcalloc(1, sizeof(*d));

	d->ac = ac;
	d->io = loop_io_new(r->w->loop, ac->c.fd, on_io, d);
	ac->ev.data = d;
	ac->ev.addRead = add_read;
	ac->ev.delRead = del_read;
	ac->ev.addWrite = add_write;
	ac->ev.delWrite = del_write;
	ac->ev.cleanup = clean_up;
}

/* ---- commands ------------------------------------------------------------ */

/* When to give up: a Redis that answers others is slow, but there. Yet
 * nobody waits for ever. */
static monotime_t
end_of_patience(const struct redis *r)
{
	monotime_t end = TAILQ_FIRST(&r->flights)->deadline, silence, last;
	int64_t ms = r->w->conf->limit_timeout;

	silence = monotime_add_ms(r->heard, ms);
	last = monotime_add_ms(end, (PATIENCE - 1) * ms);
	if (silence.ns > last.ns)
		return (last);
	return (silence.ns > end.ns ? silence : end);
}

static void
arm(struct redis *r)
{
	if (r->state == LINK_TRYING)
		loop_timer_set_at(r->deadline, r->give_up);
	else if (!TAILQ_EMPTY(&r->flights))
		loop_timer_set_at(r->deadline, end_of_patience(r));
	else
		loop_timer_clear(r->deadline);
}

static void
on_deadline(void *arg)
{
	struct redis *r = arg;

	if (r->state == LINK_ON &&
	    !monotime_reached(end_of_patience(r), loop_now(r->w->loop))) {
		arm(r);
		return;
	}
	counter_add(r->w->count, COUNT_limits_timeouts, 1);
	go_off(r, "it does not answer in time");
}

/* An array of numbers, or an error; everything else is no answer. */
static void
read_reply(const redisReply *from, int64_t v[REPLY_MAX], struct redis_reply *to)
{
	*to = (struct redis_reply){.v = v};
	if (from->type == REDIS_REPLY_ERROR) {
		to->error = from->str;
		return;
	}
	to->error = "an answer that is none";
	if (from->type != REDIS_REPLY_ARRAY || from->elements > REPLY_MAX)
		return;
	for (size_t i = 0; i < from->elements; i++) {
		if (from->element[i]->type != REDIS_REPLY_INTEGER)
			return;
		v[i] = from->element[i]->integer;
	}
	to->n = from->elements;
	to->error = NULL;
}

static void on_reply(redisAsyncContext *, void *, void *);

static bool
dispatch(struct redis *r, struct flight *f)
{
	struct buf bytes = {0};
	int rv;

	redis_command_encode(&f->command, f->whole, &bytes);
	rv = redisAsyncFormattedCommand(
	    r->ac, on_reply, f, buf_ptr(&bytes), buf_len(&bytes));
	buf_fini(&bytes);
	return (rv == REDIS_OK);
}

static void
land(struct flight *f, const struct redis_reply *reply)
{
	struct redis *r = f->r;

	TAILQ_REMOVE(&r->flights, f, entry);
	arm(r);
	f->done(f->arg, reply, loop_now(r->w->loop));
	redis_command_fini(&f->command);
	free(f);
}

/* Scripts are lost with a restart, and by SCRIPT FLUSH. */
static bool
again_whole(struct flight *f, const redisReply *reply)
{
	struct redis *r = f->r;

	if (reply->type != REDIS_REPLY_ERROR || f->whole ||
	    strncmp(reply->str, "NOSCRIPT", 8) != 0)
		return (false);
	f->whole = true;
	if (!dispatch(r, f))
		return (false);
	/* it is the last one now, with the deadline that it had */
	TAILQ_REMOVE(&r->flights, f, entry);
	TAILQ_INSERT_TAIL(&r->flights, f, entry);
	arm(r);
	return (true);
}

static void
on_reply(redisAsyncContext *ac, void *from, void *arg)
{
	const redisReply *said = from;
	struct flight *f = arg;
	struct redis_reply reply;
	int64_t v[REPLY_MAX];

	if (said == NULL || ac != f->r->ac) {
		land(f, NULL);
		return;
	}
	if (again_whole(f, said))
		return;
	read_reply(said, v, &reply);
	land(f, &reply);
}

/* ---- the limiter's wire -------------------------------------------------- */

static bool
wire_send(
    void *arg, struct redis_command *c, redis_done_fn *done, void *done_arg)
{
	struct redis *r = arg;
	struct flight *f;

	if (r->ac == NULL) {
		redis_command_fini(c);
		return (false);
	}
	f = xcalloc(1, sizeof(*f));
	f->r = r;
	f->command = *c;
	f->done = done;
	f->arg = done_arg;
	f->deadline =
	    monotime_add_ms(loop_now(r->w->loop), r->w->conf->limit_timeout);
	if (!dispatch(r, f)) {
		redis_command_fini(&f->command);
		free(f);
		return (false);
	}
	TAILQ_INSERT_TAIL(&r->flights, f, entry);
	if (TAILQ_FIRST(&r->flights) == f)
		arm(r);
	return (true);
}

static void
wire_fail(void *arg, const char *why)
{
	go_off(arg, why);
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
	atomic_store(&r->w->row->limits,
	    limiter_redis_decides(r->limiter, loop_now(r->w->loop))
		? LIMITS_SHARED
		: LIMITS_SHARE);
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
	arm(r);
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

/* From any state but LINK_OFF. What was under way hears of it: at once, or,
 * if hiredis is in the middle of an answer, right after that. */
static void
go_off(struct redis *r, const char *why)
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
	go_off(r, ac->errstr);
}

static void
on_disconnect(const redisAsyncContext *ac, int status)
{
	struct redis *r = ac->data;

	if (ac != r->ac)
		return;
	r->ac = NULL;
	go_off(r, status == REDIS_OK ? "it is closed" : ac->errstr);
}

/* Of AUTH and SELECT. */
static void
on_login(redisAsyncContext *ac, void *from, void *arg)
{
	const redisReply *said = from;
	struct redis *r = arg;

	if (said != NULL && ac == r->ac && said->type == REDIS_REPLY_ERROR)
		go_off(r, said->str);
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
		go_off(r, "no memory");
		return;
	}
	r->ac = ac;
	ac->data = r;
	if (ac->err != 0) {
		go_off(r, ac->errstr);
		return;
	}
	watch(r, ac);
	redisAsyncSetConnectCallback(ac, on_connect);
	redisAsyncSetDisconnectCallback(ac, on_disconnect);
	arm(r);
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
	go_off(r, "it is to be elsewhere");
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
	const struct redis_wire wire = {.send = wire_send,
	    .fail = wire_fail,
	    .ready = wire_ready,
	    .flush_later = wire_flush_later,
	    .arg = r};

	r->w = w;
	TAILQ_INIT(&r->flights);
	r->deadline = loop_timer_new(w->loop, on_deadline, r);
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
