/* How long a request may take, how fast it may come; the user who leaves. */
#include "hubd/worker/worker.h"

#define USER_HIGH 65536 /* unsent to the user: no more credit */
#define GRACE_MS  5000	/* for the usage after the last finish */

/* ---- deadlines -------------------------------------------------------------
 */

static monotime_t
next_deadline(const struct request *r)
{
	const struct hub_timeouts *t = &r->w->conf->timeout;
	monotime_t d = r->t_total, other;

	other = r->state == REQUEST_SENT
		    ? monotime_add_ms(r->t_sent, t->first_byte)
		    : monotime_add_ms(r->t_last, t->idle);
	if (r->state == REQUEST_WAIT)
		other = r->t_retry;
	if (other.ns < d.ns)
		d = other;
	if (r->t_grace.ns != 0 && r->t_grace.ns < d.ns)
		d = r->t_grace;
	return (d);
}

void
request_arm(struct request *r)
{
	loop_timer_set_at(r->timer, next_deadline(r));
}

void
request_on_timer(void *arg)
{
	struct request *r = arg;
	monotime_t now = loop_now(r->w->loop);

	if (!r->opened)
		return;
	if (r->state == REQUEST_BOOKING) {
		log_warnx("request %s: its row is not booked yet; the reply "
			  "goes out",
		    r->id_text);
		request_booked(r);
		return;
	}
	if (!monotime_reached(next_deadline(r), now)) {
		request_arm(r);
		return;
	}
	if (r->state == REQUEST_WAIT) {
		request_round(r);
		return;
	}
	/* An answer that waits for its reader is late by the reader's fault:
	 * his own deadline (write) is the one that counts. */
	if (r->owed > 0 && r->client != NULL &&
	    !monotime_reached(r->t_total, now)) {
		r->t_last = now;
		request_arm(r);
		return;
	}
	if (r->user_left) {
		char cost[AMOUNT_TEXT_MAX];

		request_finish(r, OUTCOME_CANCELLED, cost);
		request_free(r);
		return;
	}
	if (r->state == REQUEST_SENT && !monotime_reached(r->t_total, now)) {
		retry_note_failure(r);
		request_retry(r, API_ERR_upstream_timeout);
		return;
	}
	request_break(r, API_ERR_upstream_timeout, OUTCOME_TIMED_OUT);
}

/* ---- credit ----------------------------------------------------------------
 */

/* Unsent to the user. Is it much, it is so because his socket is full, and
 * we shall be told when that has changed. */
static size_t
unsent_to_user(const struct request *r)
{
	struct conn *conn;

	if (r->client == NULL)
		return (0);
	conn = client_conn(r->client);
	if (conn_unsent(conn) > USER_HIGH)
		conn_flush_now(conn);
	return (conn_unsent(conn));
}

static void
return_credit(struct request *r)
{
	size_t unsent = unsent_to_user(r);
	size_t waiting = unsent + buf_len(&r->held);

	r->w->buffered += waiting - r->counted;
	r->counted = waiting;
	if (r->up.stream == NULL)
		r->owed = 0;
	if (unsent > USER_HIGH || r->owed == 0)
		return;
	h2stream_consumed(r->up.stream, r->owed, unsent == 0);
	r->owed = 0;
}

void
request_on_credit(void *arg)
{
	return_credit(arg);
}

void
request_drained(struct request *r)
{
	return_credit(r);
}

void
requests_cut_fattest(struct worker *w)
{
	struct request *r, *fattest = NULL;

	if (w->buffered <= w->conf->buffer_memory)
		return;
	LIST_FOREACH (r, &w->requests, entry)
		if (r->state != REQUEST_HOLD &&
		    (fattest == NULL || r->counted > fattest->counted))
			fattest = r;
	if (fattest == NULL || fattest->client == NULL)
		return;
	counter_add(w->count, COUNT_slow_cut, 1);
	log_warnx("request %s: cut, its reader is slow and the buffers are "
		  "full",
	    fattest->id_text);
	client_kill(fattest->client, "slow reader");
}

/* ---- the user leaves
 * --------------------------------------------------------- */

/* Does the provider go on unseen for a user who has left? */
static bool
goes_on(const struct request *r)
{
	const struct hub_conf *conf = r->w->conf;

	if (r->w->draining)
		return (false);
	if (!conf->on_disconnect_set && r->candidate->entry != NULL &&
	    r->candidate->entry->reasoning_model)
		return (true);
	return (conf->on_disconnect == DISCONNECT_DRAIN);
}

void
request_user_gone(struct request *r)
{
	char cost[AMOUNT_TEXT_MAX];

	r->client = NULL;
	r->user_left = true;
	if (r->state == REQUEST_ADMIT || r->state == REQUEST_DONE)
		return;
	if (!r->opened || r->state == REQUEST_BOOKING) {
		request_free(r);
		return;
	}
	if (!r->head_sent)
		r->user_status = 499;
	if (r->meter != NULL && meter_get(r->meter)->finished) {
		/* Only the usage is still to come: read it, or leaving at
		 * the last word would dodge the exact bill. */
		r->t_grace = monotime_add_ms(loop_now(r->w->loop), GRACE_MS);
	} else if (r->state == REQUEST_WAIT || !goes_on(r)) {
		request_finish(r, OUTCOME_CANCELLED, cost);
		request_free(r);
		return;
	}
	if (r->state == REQUEST_HOLD)
		buf_fini(&r->held);
	return_credit(r);
	request_arm(r);
}
