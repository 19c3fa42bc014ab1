/* Which answer a request gets: a rule's, a recording's, a synthetic one. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "tests/sim/provider.h"

void
play_head(struct play *p, int status, const char *content_type)
{
	http1_put_status(&p->head, status);
	http1_put_field(&p->head, "date", sim_http_date());
	http1_put_field(&p->head, "content-type", span_str(content_type));
	buf_addspan(&p->head, buf_span(&p->extra));
	p->active = true;
	if (p->chunked)
		buf_addstr(&p->head, "transfer-encoding: chunked\r\n");
	else
		buf_addf(&p->head, "content-length: %zu\r\n", p->body.n);
}

void
play_whole(
    struct play *p, int status, const char *content_type, struct buf *body)
{
	buf_fini(&p->owned);
	p->owned = *body;
	*body = (struct buf){0};
	p->body = buf_span(&p->owned);
	p->chunked = false;
	p->events = EVENTS_NONE;
	play_head(p, status, content_type);
	http1_put_end(&p->head);
}

void
play_json(struct play *p, int status, struct buf *body)
{
	play_whole(p, status, "application/json", body);
}

void
play_refusal(struct play *p, int status, struct buf *body)
{
	if (status == 429 || status == 503)
		http1_put_field(&p->extra, "retry-after", SPAN("1"));
	play_json(p, status, body);
}

static enum sim_events
events_of(const char *content_type)
{
	if (strncmp(content_type, "text/event-stream", 17) == 0)
		return (EVENTS_SSE);
	if (strcmp(content_type, "application/vnd.amazon.eventstream") == 0)
		return (EVENTS_FRAMES);
	return (EVENTS_NONE);
}

static void
play_recording(struct play *p, struct recording *r)
{
	p->body = recording_body(r);
	p->events = events_of(r->content_type);
	p->chunked = r->streaming || p->events != EVENTS_NONE;
	play_head(p, r->status, r->content_type);
	buf_addspan(&p->head, buf_span(&r->head));
	http1_put_end(&p->head);
}

static void
play_models(struct play *p)
{
	struct buf body = {0};

	synth_models(&body);
	play_json(p, 200, &body);
}

/* The recording that the request names itself, when nothing is between. */
static struct recording *
named_by_header(const struct sim_request *q)
{
	const struct http1_field *f = http1_find(q->head, "x-sim-file");
	struct recording *r;
	char *name;

	if (f == NULL)
		return (NULL);
	name = xmemdup0(f->value.p, f->value.n);
	r = catalog_by_file(name);
	free(name);
	return (r);
}

static void
answer_unruled(const struct sim_request *q, struct play *p)
{
	struct recording *r = named_by_header(q);

	if (r == NULL && objects_answer(q, p))
		return;
	if (r == NULL && synth_knows(q->model))
		synth_answer(q, p);
	else if (r != NULL || (r = catalog_match(q)) != NULL)
		play_recording(p, r);
	else if (q->endpoint == NULL)
		q->provider->refuse(p, 404, "unknown_url",
		    "Unknown request URL. Please check the URL for typos.");
	else if (strcmp(q->endpoint, "models") == 0)
		play_models(p);
	else
		q->provider->refuse(p, 404, NULL, NULL);
}

static void
answer_by_rule(
    const struct sim_request *q, const struct rule *rule, struct play *p)
{
	p->manner = rule->manner;
	if (rule->manner.fault == FAULT_STATUS)
		q->provider->refuse(p, rule->manner.status, NULL, NULL);
	else if (rule->answer != NULL)
		play_recording(p, rule->answer);
}

void
answer_request(const struct sim_request *q, struct play *p)
{
	bool owned;
	struct rule *rule;

	if (q->provider->admit != NULL && !q->provider->admit(q, p))
		return;
	rule = rules_find(q, &owned);
	if (rule != NULL)
		answer_by_rule(q, rule, p);
	if (!p->active && q->provider->answer != NULL)
		q->provider->answer(q, p);
	else if (!p->active)
		answer_unruled(q, p);
	if (rule != NULL && owned)
		rule_free(rule);
}
