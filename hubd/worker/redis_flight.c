/* Redis's commands under way, their deadlines and their answers. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/worker/redis_private.h"

#define REPLY_MAX (2 + 2 * REDIS_LIST_MAX)
#define PATIENCE  10 /* times limit_timeout, for any one answer */

/* ---- deadlines ----------------------------------------------------------- */

/* A loop that was held up is not Redis's fault: what goes out only now has
 * its time from now on. */
void
redis_note_written(struct redis *r)
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

void
redis_arm(struct redis *r)
{
	if (r->state == LINK_TRYING)
		loop_timer_set_at(r->deadline, r->give_up);
	else if (!TAILQ_EMPTY(&r->flights))
		loop_timer_set_at(r->deadline, end_of_patience(r));
	else
		loop_timer_clear(r->deadline);
}

void
redis_on_deadline(void *arg)
{
	struct redis *r = arg;

	if (r->state == LINK_ON &&
	    !monotime_reached(end_of_patience(r), loop_now(r->w->loop))) {
		redis_arm(r);
		return;
	}
	counter_add(r->w->count, COUNT_limits_timeouts, 1);
	redis_go_off(r, "it does not answer in time");
}

/* ---- answers ------------------------------------------------------------- */

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
	redis_arm(r);
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
	redis_arm(r);
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

/* ---- commands ------------------------------------------------------------ */

bool
redis_send(
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
		redis_arm(r);
	return (true);
}
