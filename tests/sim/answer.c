/* Which answer a request gets: a rule's, a recording's, a synthetic one. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"
#include "common/log.h"
#include "tests/sim/sim.h"

/* The clock's second as an HTTP date, formatted once a second. */
static struct span
http_date(void)
{
	static char text[64];
	static time_t at;
	time_t now = time(NULL);
	struct tm tm;

	if (now != at || text[0] == '\0') {
		gmtime_r(&now, &tm);
		strftime(text, sizeof(text), "%a, %d %b %Y %T GMT", &tm);
		at = now;
	}
	return (span_str(text));
}

void
play_head(struct play *p, int status, const char *content_type)
{
	http1_put_status(&p->head, status);
	http1_put_field(&p->head, "date", http_date());
	http1_put_field(&p->head, "content-type", span_str(content_type));
	p->active = true;
	if (p->chunked)
		buf_addstr(&p->head, "transfer-encoding: chunked\r\n");
	else
		buf_addf(&p->head, "content-length: %zu\r\n", p->body.n);
}

void
play_json(struct play *p, int status, struct buf *body)
{
	buf_fini(&p->owned);
	p->owned = *body;
	*body = (struct buf){0};
	p->body = buf_span(&p->owned);
	p->chunked = p->events = false;
	play_head(p, status, "application/json");
	http1_put_end(&p->head);
}

/* An error as OpenAI words it. */
static void
play_error(struct play *p, int status, const char *type, const char *code,
    const char *message)
{
	struct buf body = {0};

	buf_addstr(&body, "{\n    \"error\": {\n        \"message\": ");
	json_quote(&body, span_str(message));
	buf_addf(&body,
	    ",\n        \"type\": \"%s\",\n        \"param\": null,\n"
	    "        \"code\": \"%s\"\n    }\n}\n",
	    type, code);
	play_json(p, status, &body);
}

static void
play_429(struct play *p)
{
	struct buf body = {0};

	buf_addstr(&body,
	    "{\"error\":{\"message\":\"Rate limit reached for requests\","
	    "\"type\":\"requests\",\"param\":null,"
	    "\"code\":\"rate_limit_exceeded\"}}");
	p->owned = body;
	p->body = buf_span(&p->owned);
	p->chunked = false;
	play_head(p, 429, "application/json");
	http1_put_field(&p->head, "retry-after", SPAN("1"));
	http1_put_end(&p->head);
}

static void
play_recording(struct play *p, struct recording *r)
{
	p->body = recording_body(r);
	p->events = strncmp(r->content_type, "text/event-stream", 17) == 0;
	p->chunked = r->streaming || p->events;
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
		play_error(p, 404, "invalid_request_error", "unknown_url",
		    "Unknown request URL. Please check the URL for typos.");
	else if (strcmp(q->endpoint, "models") == 0)
		play_models(p);
	else
		play_error(p, 404, "invalid_request_error", "model_not_found",
		    "The model does not exist or you do not have access "
		    "to it.");
}

void
answer_request(const struct sim_request *q, struct play *p)
{
	bool owned;
	struct rule *rule = rules_find(q, &owned);

	if (rule != NULL)
		p->manner = rule->manner;
	if (p->manner.fault == FAULT_500)
		play_error(p, 500, "server_error", "internal_error",
		    "The server had an error while processing your request.");
	else if (p->manner.fault == FAULT_429)
		play_429(p);
	else if (rule != NULL && rule->answer != NULL)
		play_recording(p, rule->answer);
	else
		answer_unruled(q, p);
	if (rule != NULL && owned)
		rule_free(rule);
}
