/*
 * How attempts went, for the router of every worker; and, where a route asks
 * for it, another round when nobody is left untried.
 */
#include "common/ids.h"
#include "hubd/worker/worker.h"

#define BACKOFF_FIRST_MS 250
#define BACKOFF_MOST_MS	 8000
#define RETRY_AFTER_MAX	 86400 /* s; more is as good as never */

#define ATTEMPTS_MAX 64 /* of a route, whatever it says */

bool
retry_is_open(const struct request *r)
{
	monotime_t now = loop_now(r->w->loop);

	if (monotime_reached(r->t_total, now))
		return (false);
	if (!r->route->named)
		return (r->attempts < r->w->conf->max_attempts);
	return (r->attempts < ATTEMPTS_MAX &&
		(r->attempts == 0 || !monotime_reached(r->t_wait, now)));
}

bool
retry_may_ask(const struct request *r, const struct candidate *c)
{
	return (!r->route->named || r->spent[c->stage] <= r->route->retries);
}

/* Is there a candidate not in that mask whose stage may go on? */
static bool
is_left(const struct request *r, uint32_t tried)
{
	for (uint32_t i = 0; i < r->route->n; i++)
		if ((tried & (UINT32_C(1) << i)) == 0 &&
		    retry_may_ask(r, &r->route->c[i]))
			return (true);
	return (false);
}

bool
retry_has_next(const struct request *r)
{
	return (is_left(r, r->tried));
}

/* ---- how it went -----------------------------------------------------------
 */

/* Seconds of a retry-after (RFC 9110 10.2.3) in ms; -1: none, or a date. */
static int64_t
retry_after_ms(struct span s)
{
	int64_t n = 0;

	if (s.n == 0 || s.n > 6)
		return (-1);
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return (-1);
		n = n * 10 + (s.p[i] - '0');
	}
	return (n > RETRY_AFTER_MAX ? RETRY_AFTER_MAX * 1000 : n * 1000);
}

/* Words of an agent that say nothing of the provider. */
static bool
is_agents_own(struct span error)
{
	return (span_eq(error, SPAN("unknown_provider")) ||
		span_eq(error, SPAN("draining")));
}

static enum route_result
result_of(int status, struct span error, int64_t retry_ms)
{
	if (span_eq(error, SPAN("credentials")))
		return (ROUTE_REFUSED);
	if (error.n > 0)
		return (ROUTE_FAILED);
	if (status == 429 || (status >= 500 && retry_ms >= 0))
		return (ROUTE_LIMITED);
	return (status >= 500 ? ROUTE_FAILED : ROUTE_ANSWERED);
}

static void
note(const struct request *r, enum route_result result)
{
	monotime_t now = loop_now(r->w->loop);

	route_note(r->w->shm, r->w->child->me, r->candidate, result, now,
	    (now.ns - r->t_sent.ns) / 1000, r->retry_ms);
}

void
retry_note_head(struct request *r, int status, struct span agent_error,
    struct span retry_after)
{
	r->retry_ms = retry_after_ms(retry_after);
	if (!is_agents_own(agent_error))
		note(r, result_of(status, agent_error, r->retry_ms));
}

void
retry_note_failure(struct request *r)
{
	r->retry_ms = -1;
	note(r, ROUTE_FAILED);
}

/* ---- another round
 * ----------------------------------------------------------- */

static int64_t
backoff_ms(const struct request *r)
{
	int64_t ms = BACKOFF_FIRST_MS;

	for (uint32_t i = 0; i < r->rounds && ms < BACKOFF_MOST_MS; i++)
		ms *= 2;
	return (ms);
}

/* When it may begin at the earliest. */
static monotime_t
next_round(const struct request *r)
{
	int64_t ms = backoff_ms(r);

	return (monotime_add_ms(
	    loop_now(r->w->loop), r->retry_ms > ms ? r->retry_ms : ms));
}

bool
retry_may_wait(const struct request *r)
{
	return (r->route->named && r->attempts > 0 && !r->w->draining &&
		is_left(r, r->barred) &&
		!monotime_reached(r->t_wait, next_round(r)));
}

void
retry_wait(struct request *r)
{
	int64_t spread = backoff_ms(r) / 2;

	/* Not all at once; but never before the provider wants it. */
	r->t_retry = monotime_add_ms(
	    next_round(r), (int64_t)random_below((uint32_t)spread));
	r->rounds++;
	r->state = REQUEST_WAIT;
	request_arm(r);
}
