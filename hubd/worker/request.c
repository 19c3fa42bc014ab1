/* A request, from its head over a whole body to its admission. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/digits.h"
#include "common/failpoint.h"
#include "hubd/worker/access.h"
#include "hubd/worker/worker.h"

/* Of the user's fields that go on. */
#define FORWARDS_MAX  16
#define FORWARD_BYTES 8192

/* ---- birth and death -------------------------------------------------------
 */

static struct pool requests = POOL(sizeof(struct request), 256);

static void
give_back(void *request)
{
	pool_put(&requests, request);
}

struct request *
request_new(struct client *c, const struct api_target *target,
    const struct identity *who, req_id_t id, struct access *access)
{
	struct worker *w = client_worker(c);
	struct request *r = pool_get(&requests);

	memset(r, 0, offsetof(struct request, target));
	r->w = w;
	r->client = c;
	r->access = access;
	r->state = REQUEST_BODY;
	r->target = *target;
	explicit_bzero(r->target.key, sizeof(r->target.key));
	r->endpoint = target->endpoint;
	r->dialect = target->dialect;
	r->id = id;
	req_id_format(id, r->id_text);
	r->key_number = who->key.number;
	r->account_id = who->account_id;
	r->admission.me = w->child->me;
	r->admission.id = id;
	r->admission.account = who->account_id;
	r->admission.key = who->key.number;
	r->admission.share = SHARE_WHOLE;
	r->admission.key_row = who->key_row;
	r->admission.account_row = who->account_row;
	r->admission.unlimited = who->unlimited;
	r->admission.arg = r;
	r->up.ops = &request_upstream_ops;
	r->up.owner = r;
	r->credit = (struct loop_work){.fn = request_on_credit, .arg = r};
	r->timer = loop_timer_new(w->loop, request_on_timer, r);
	r->upstream_us = r->retry_ms = -1;
	LIST_INSERT_HEAD(&w->requests, r, entry);
	w->nrequests++;
	return (r);
}

/* Names in lower case, as HTTP/2 has them (RFC 9113 8.2.1). */
bool
request_take_fields(struct request *r, const struct http1_head *h)
{
	const struct http1_field *f;
	size_t i;

	for (f = h->fields; f < h->fields + h->nfields; f++) {
		if (!api_forwards(r->dialect, f->name))
			continue;
		for (i = 0; i < f->name.n; i++)
			buf_addf(&r->forwards, "%c",
			    tolower((unsigned char)f->name.p[i]));
		buf_add(&r->forwards, "", 1);
		buf_addspan(&r->forwards, f->value);
		buf_add(&r->forwards, "", 1);
		r->nforwards++;
	}
	return (r->nforwards <= FORWARDS_MAX &&
		buf_len(&r->forwards) <= FORWARD_BYTES);
}

bool
request_count_body(struct request *r)
{
	size_t size = buf_len(&r->body);

	r->w->bodies += size - r->body_counted;
	r->body_counted = size;
	return (r->w->bodies <= r->w->conf->body_memory);
}

void
request_drop_body(struct request *r)
{
	buf_fini(&r->body);
	r->w->bodies -= r->body_counted;
	r->w->retry_bytes -= r->retry_counted;
	r->body_counted = r->retry_counted = 0;
}

void
request_free(struct request *r)
{
	struct worker *w = r->w;

	if (r->state == REQUEST_DONE)
		return;
	r->state = REQUEST_DONE;
	access_end(w, &r->access, r);
	upstream_cancel(&r->up, H2_CANCEL);
	if (r->row != NULL && !r->opened)
		call_give_back(w->shm, &w->call_hint, r->call);
	if (r->object_event)
		finals_unwatch(w->finals, r);
	loop_timer_free(r->timer);
	loop_work_cancel(&r->credit);
	request_drop_body(r);
	buf_fini(&r->prepared);
	buf_fini(&r->held);
	buf_fini(&r->forwards);
	buf_fini(&r->carried);
	w->buffered -= r->counted;
	meter_free(r->meter);
	route_unref(r->route);
	LIST_REMOVE(r, entry);
	w->nrequests--;
	loop_dispose_later(w->loop, give_back, r);
}

/* What the key's rates are now, in whatever reply follows. */
static void
tell_limits(struct request *r)
{
	limit_fields(r->w->shm, &r->admission, loop_now(r->w->loop),
	    client_fields(r->client));
}

static void
refuse(struct request *r, enum api_error error, const char *detail,
    int64_t retry_ms)
{
	counter_add(r->w->count, COUNT_refused, 1);
	tell_limits(r);
	/* The client frees a request that was never opened. */
	reply_error(r->w, r->client, r->dialect, error, detail, r->id_text,
	    retry_ms, false);
}

/* ---- admission -------------------------------------------------------------
 */

static void
open_call(struct request *r)
{
	struct call_fixed fixed = {
	    .id = r->id,
	    .time_ms = walltime_ms(),
	    .time_ns = loop_now(r->w->loop).ns,
	    .price_version = r->route->price_version,
	    .hold = r->admission.held,
	    .account = r->account_id,
	    .account_row = r->admission.account_row,
	    .key = r->key_number,
	    .key_row = r->admission.key_row,
	    .worker_generation = r->w->child->me.generation,
	    .dialect = (uint8_t)r->dialect,
	    .stream = r->api.stream,
	};

	str_copy(fixed.endpoint, sizeof(fixed.endpoint), r->endpoint->id);
	call_open(r->row, &fixed);
	r->opened = true;
	counter_add(r->w->count, COUNT_admitted, 1);
	(void)FAILPOINT("worker.open");
}

static void
on_admitted(struct admission *a, enum api_error error)
{
	struct request *r = a->arg;

	if (r->state == REQUEST_DONE)
		return;
	if (r->client == NULL) {
		if (error == API_OK)
			r->w->limiter->ops->cancel(
			    r->w->limiter, a, loop_now(r->w->loop));
		request_free(r);
		return;
	}
	if (error != API_OK) {
		refuse(r, error, NULL,
		    error == API_ERR_rate_limited	    ? a->retry_ms
		    : error == API_ERR_insufficient_balance ? -1
							    : 1000);
		return;
	}
	open_call(r);
	tell_limits(r);
	r->t_total =
	    monotime_add_ms(loop_now(r->w->loop), r->w->conf->timeout.total);
	r->t_wait = monotime_add_ms(loop_now(r->w->loop), r->route->max_wait);
	request_round(r);
}

static void
ask_limiter(struct request *r)
{
	const struct learnt *learnt = learn_of(r->w->learn, r->api.model);
	struct admission *a = &r->admission;
	struct usage bound;

	estimate_bound(learnt, r->endpoint, &r->api, &bound);
	a->tokens = usage_sum(&bound, USAGE_SIDE_INPUT);
	a->hold = route_hold(r->route, r->api.tier, &bound);
	a->soft = r->w->conf->hold == HOLD_SOFT && r->api.max_output == 0;
	r->state = REQUEST_ADMIT;
	r->w->limiter->ops->admit(
	    r->w->limiter, a, loop_now(r->w->loop), on_admitted);
}

/* The key as it is now: the body may have taken its time. */
static bool
key_again(struct request *r, struct pub_key *key)
{
	struct admission *a = &r->admission;

	if (!pub_key_read(r->w->shm, a->key_row, key) ||
	    key->number != r->key_number || key->revoked != 0)
		return (false);
	a->rpm = key->rpm;
	a->tpm = key->tpm;
	a->concurrency = key->concurrency;
	return (true);
}

static bool
account_is_disabled(const struct request *r)
{
	struct pub_account account;

	return (
	    !pub_account_read(r->w->shm, r->admission.account_row, &account) ||
	    account.disabled);
}

static enum api_error
find_route(struct request *r, const struct pub_key *key, const char **why)
{
	enum api_error error = objects_route(r, key, why);

	if (error != API_OK || r->route != NULL)
		return (error);
	r->route = router_find(r->w->router, r->api.model, r->dialect);
	if (!r->route->known)
		return (API_ERR_model_not_found);
	if (!auth_list_allows(key->models, r->api.model))
		return (API_ERR_model_not_allowed);
	return (
	    r->route->error != API_OK ? r->route->error : objects_narrow(r));
}

static enum api_error
inspect(struct request *r, const char **why)
{
	struct span boundary;

	if (!r->endpoint->form)
		return (
		    api_inspect(&r->target, buf_span(&r->body), &r->api, why));
	(void)api_form_type(span_str(r->type), &boundary);
	return (api_inspect_form(
	    &r->target, boundary, buf_span(&r->body), &r->api, why));
}

void
request_start(struct request *r)
{
	const char *why = NULL;
	enum api_error error;
	struct pub_key key;

	r->t_body = loop_now(r->w->loop);
	counter_add(r->w->count, COUNT_bytes_in, buf_len(&r->body));
	access_body(r->access, buf_len(&r->body));
	error = inspect(r, &why);
	if (error != API_OK) {
		refuse(r, error, why, -1);
		return;
	}
	if (!key_again(r, &key)) {
		refuse(r, API_ERR_invalid_api_key, NULL, -1);
		return;
	}
	if (account_is_disabled(r)) {
		refuse(r, API_ERR_account_disabled, NULL, -1);
		return;
	}
	if ((error = find_route(r, &key, &why)) != API_OK) {
		refuse(r, error, why, error == API_ERR_no_agent ? 1000 : -1);
		return;
	}
	if (!call_take(
		r->w->shm, r->w->child->me.row, &r->w->call_hint, &r->call)) {
		refuse(r, API_ERR_overloaded, NULL, 1000);
		return;
	}
	r->row = call_at(r->w->shm, r->call);
	(void)FAILPOINT("worker.taken");
	ask_limiter(r);
}

void
requests_recheck(struct worker *w)
{
	struct request *r, *next;
	char cost[AMOUNT_TEXT_MAX];
	struct pub_key key;

	for (r = LIST_FIRST(&w->requests); r != NULL; r = next) {
		next = LIST_NEXT(r, entry);
		if (!pub_key_read(w->shm, r->admission.key_row, &key) ||
		    key.number != r->key_number || key.revoked != 2)
			continue;
		access_event(w, "revoke", "key", key.id, NULL, "cut");
		if (r->client != NULL)
			client_kill(r->client, "its key was cut");
		/* Those that go on unseen are cut as well. */
		if (r->state != REQUEST_DONE && r->state != REQUEST_BOOKING &&
		    r->opened) {
			request_finish(r, OUTCOME_CANCELLED, cost);
			request_free(r);
		}
	}
}
