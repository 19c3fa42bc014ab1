/* The end of a call: usage, cost, FINAL, and the wait for BOOKED. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

#define COLLECT_MS 100 /* BOOKED is looked for this often at least */
#define TELL_MS	   5   /* how long names gather for one message */

/* ---- rows that wait for billing ---------------------------------------------
 */

struct final {
	call_ref_t call;
	uint32_t cell;
	nanousd_t cost;
	struct lease *lease;
	struct request *waits; /* for BOOKED; NULL: nobody */
};

struct finals {
	struct worker *w;
	struct queue_message names[QUEUE_NAMES]; /* not told yet */
	size_t nnames;
	struct loop_timer *tell;
	struct final *list;
	size_t n, cap;
	struct loop_timer *timer;
};

static void tell_billing(void *);

static void
on_timer(void *arg)
{
	finals_collect(arg);
}

struct finals *
finals_new(struct worker *w)
{
	struct finals *f = xcalloc(1, sizeof(*f));

	f->w = w;
	f->tell = loop_timer_new(w->loop, tell_billing, f);
	f->timer = loop_timer_new(w->loop, on_timer, f);
	return (f);
}

void
finals_free(struct finals *f)
{
	loop_timer_free(f->tell);
	loop_timer_free(f->timer);
	free(f->list);
	free(f);
}

size_t
finals_count(const struct finals *f)
{
	return (f->n);
}

void
finals_collect(struct finals *f)
{
	const struct shm *shm = f->w->shm;
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++) {
		struct final *one = &f->list[i];
		struct call_row *row = call_at(shm, one->call);

		if (!call_is_booked(row)) {
			f->list[kept++] = *one;
			continue;
		}
		(void)FAILPOINT("worker.booked");
		cell_add_money(
		    shm, one->cell, f->w->child->me, (nanousd_t){-one->cost.n});
		call_give_back(shm, &f->w->call_hint, one->call);
		f->w->limiter->ops->booked(
		    f->w->limiter, one->lease, loop_now(f->w->loop));
		(void)FAILPOINT("worker.freed");
		if (one->waits != NULL)
			request_booked(one->waits);
	}
	f->n = kept;
	if (f->n > 0)
		loop_timer_set_ms(f->timer, COLLECT_MS);
}

/* Names rows to billing, which gathers them for a while itself, in one
 * message. One that is lost costs 100 ms: the row is the event. */
static void
tell_billing(void *arg)
{
	struct finals *f = arg;
	size_t n = f->nnames * sizeof(f->names[0]);

	f->nnames = 0;
	if (n == 0 || FAILPOINT("worker.message_lost"))
		return;
	if (send(f->w->child->fds.queue, f->names, n,
		MSG_DONTWAIT | MSG_NOSIGNAL) == -1 &&
	    errno != EAGAIN && errno != ECONNREFUSED && errno != ENOBUFS)
		log_warn("queue to billing");
	(void)FAILPOINT("worker.queued");
}

static void
name_row(struct finals *f, call_ref_t call)
{
	if (f->nnames == QUEUE_NAMES)
		tell_billing(f);
	f->names[f->nnames++] =
	    (struct queue_message){QUEUE_MAGIC, call.index, call.generation};
	if (f->nnames == 1)
		loop_timer_set_ms(f->tell, TELL_MS);
}

void
finals_add(struct finals *f, call_ref_t call, uint32_t cell, nanousd_t cost,
    struct lease *lease)
{
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 256;
		f->list = xrealloc(f->list, f->cap * sizeof(*f->list));
	}
	f->list[f->n++] = (struct final){call, cell, cost, lease, NULL};
	if (f->n == 1)
		loop_timer_set_ms(f->timer, COLLECT_MS);
	name_row(f, call);
}

void
finals_watch(struct finals *f, struct request *r)
{
	assert(f->n > 0);
	f->list[f->n - 1].waits = r;
}

void
finals_unwatch(struct finals *f, const struct request *r)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->list[i].waits == r)
			f->list[i].waits = NULL;
}

/* ---- usage ------------------------------------------------------------------
 */

/*
 * What is to be billed. Refusals cost nothing, and neither does an answer
 * that broke before it said anything, or of which the user got an error
 * instead; everything else costs what the provider reported, or our
 * estimate.
 */
static void
usage_of(const struct request *r, struct call_progress *p)
{
	const struct meter_report *m;
	const char *method = "";

	/* A batch has cost what it says when it has ended: objects.c. */
	if (r->endpoint->meter == METER_BATCH)
		return;
	if (r->meter == NULL || (!r->user_left && r->user_status >= 400))
		return;
	m = meter_get(r->meter);
	p->tier = (uint8_t)(m->tier_reported ? m->tier : TIER_DEFAULT);
	if (m->has_usage) {
		p->usage = m->usage;
		if (m->partial && !m->failed)
			method = estimate_rest(
			    learn_of(r->w->learn, r->api.model), m, &p->usage);
		str_copy(p->estimated, sizeof(p->estimated), method);
		return;
	}
	if (m->failed && m->text_bytes == 0)
		return;
	method = estimate_usage(learn_of(r->w->learn, r->api.model),
	    r->endpoint, &r->api, m, &p->usage);
	str_copy(p->estimated, sizeof(p->estimated), method);
}

static void
fill_progress(
    struct request *r, enum call_outcome outcome, struct call_progress *p)
{
	memset(p, 0, sizeof(*p));
	p->outcome = (uint8_t)outcome;
	p->status = (uint16_t)r->user_status;
	p->priced_whole = 1;
	usage_of(r, p);
}

void
request_note_progress(struct request *r)
{
	struct call_progress p;

	fill_progress(r, OUTCOME_NONE, &p);
	call_set_progress(r->row, &p);
}

/* The exact cost in w->sum, and rounded up in the progress. */
static void
price_progress(
    struct request *r, const struct price_entry *entry, struct call_progress *p)
{
	if (entry == NULL && r->candidate != NULL)
		entry = r->candidate->entry;
	amount_zero(r->w->sum);
	if (entry == NULL || usage_is_zero(&p->usage))
		return;
	p->priced_whole =
	    price_cost(entry, &p->usage, (enum service_tier)p->tier, r->w->sum);
	p->cost = amount_to_nano(r->w->sum, AMOUNT_UP);
}

static const enum counter_id outcome_counter[OUTCOMES] = {
    [OUTCOME_NONE] = COUNT_failed,
    [OUTCOME_COMPLETE] = COUNT_complete,
    [OUTCOME_CANCELLED] = COUNT_cancelled,
    [OUTCOME_FAILED] = COUNT_failed,
    [OUTCOME_TIMED_OUT] = COUNT_timed_out,
    [OUTCOME_ORPHANED] = COUNT_orphaned,
};

static void
learn_from(struct request *r)
{
	const struct meter_report *m;

	if (r->meter == NULL)
		return;
	m = meter_get(r->meter);
	if (m->has_usage && m->finished && !m->failed)
		learnt_update(learn_of(r->w->learn, r->api.model), &r->api, m);
}

void
request_finish(struct request *r, enum call_outcome outcome, char *cost)
{
	struct worker *w = r->w;
	const struct price_entry *entry;
	struct call_progress p;
	monotime_t now = loop_now(w->loop);

	fill_progress(r, outcome, &p);
	entry = objects_finish(r, outcome, &p);
	price_progress(r, entry, &p);
	p.end_ms = walltime_ms();
	if (amount_format(w->sum, cost) == -1)
		str_copy(cost, AMOUNT_TEXT_MAX, "0");
	access_finish(r->access, outcome, &p, cost);
	/* What is billed is in the row before the hold shrinks to it. */
	call_set_progress(r->row, &p);
	w->limiter->ops->settle(w->limiter, &r->admission, p.cost,
	    usage_sum(&p.usage, USAGE_SIDE_INPUT) +
		usage_sum(&p.usage, USAGE_SIDE_OUTPUT),
	    now);
	call_final(r->row, &p);
	(void)FAILPOINT("worker.final");
	finals_add(w->finals, r->call,
	    cell_of_account(w->shm, r->admission.account_row), p.cost,
	    r->admission.lease);
	counter_add(w->count, outcome_counter[outcome], 1);
	if (p.estimated[0] != '\0')
		counter_add(w->count, COUNT_estimated, 1);
	histogram_add(w->count, HIST_duration, (now.ns - r->t_body.ns) / 1000);
	learn_from(r);
}
