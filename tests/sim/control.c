/*
 * The control channel of a test:
 *
 *	POST /_sim/bind   {"model",...}  what a model answers from now on
 *	POST /_sim/next   {...}          what the next request gets; "model"
 *	                                 or "endpoint" narrow whose
 *	POST /_sim/clock  {"skew_s":N}   the clock goes so much ahead
 *	POST /_sim/tokens {...}          "lifetime_s" of the next ones;
 *	                                 "revoke":true ends all there are
 *	POST /_sim/reset  {}             forgets rules, journal, skew, counts
 *	                                 of tokens and their lifetime
 *	GET  /_sim/log[?since=N]         JSON lines: requests of late
 *	GET  /_sim/stats                 counts; "tokens" by their issuer
 *
 * Members of bind and next: "file" (of the manifest; without it, what would
 * answer anyway), "cut" (bytes a write; -1 whole), "first_ms", "delay_ms",
 * "fault" (or a status, "503", refused in the provider's own shape), "at"
 * (body bytes, or chunks of a synthetic stream, before it), and of next
 * "times". Issuers of tokens are only meant by "endpoint": "oauth2.token",
 * "metadata.token", "entra.token", "imds.token", "imds.role",
 * "imds.credentials", "container.credentials".
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "tests/sim/provider.h"

struct sim_stats sim_stats;

static void
reply(struct play *p, int status, const char *error)
{
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	if (error != NULL)
		jout_kstr(&j, "error", error);
	else
		jout_kbool(&j, "ok", true);
	jout_end_object(&j);
	play_json(p, status, &b);
}

static const char *
apply_rule(const struct json *doc, bool bind)
{
	const char *error;
	struct rule *r = rule_parse(doc, &error);

	if (r == NULL)
		return (error);
	if (!bind)
		rules_queue(r);
	else if (r->model != NULL)
		rules_bind(r);
	else {
		rule_free(r);
		return ("no model");
	}
	return (NULL);
}

static void
control_rule(const struct sim_request *q, struct play *p, bool bind)
{
	char text[200];
	struct json *doc = json_parse(q->body, text, sizeof(text));
	const char *error = doc ? apply_rule(doc, bind) : text;

	reply(p, error ? 400 : 200, error);
	json_free(doc);
}

static void
control_clock(const struct sim_request *q, struct play *p)
{
	struct json *doc = json_parse(q->body, NULL, 0);

	sim_set_skew(json_get_int(doc, "skew_s", 0));
	reply(p, 200, NULL);
	json_free(doc);
}

static void
control_tokens(const struct sim_request *q, struct play *p)
{
	struct json *doc = json_parse(q->body, NULL, 0);
	int64_t lifetime = json_get_int(doc, "lifetime_s", -1);

	if (lifetime >= 0)
		issued_set_lifetime(lifetime);
	if (json_get_bool(doc, "revoke", false))
		issued_revoke();
	reply(p, 200, NULL);
	json_free(doc);
}

static void
control_reset(struct play *p)
{
	rules_reset();
	journal_reset();
	issued_reset();
	sim_set_skew(0);
	reply(p, 200, NULL);
}

static void
control_log(const struct sim_request *q, struct play *p)
{
	struct buf b = {0};
	uint64_t since = 0;

	if (span_starts(q->head->query, SPAN("since="))) {
		char *s = xmemdup0(q->head->query.p, q->head->query.n);

		since = strtoull(s + 6, NULL, 10);
		free(s);
	}
	journal_print(&b, since);
	play_json(p, 200, &b);
}

static void
control_stats(struct play *p)
{
	struct buf b = {0};
	struct jout j;

	jout_init(&j, &b);
	jout_begin_object(&j);
	jout_kuint(&j, "requests", sim_stats.requests);
	jout_kuint(&j, "answered", sim_stats.answered);
	jout_kuint(&j, "aborted", sim_stats.aborted);
	jout_kuint(&j, "open", sim_stats.open);
	jout_kuint(&j, "accepted", sim_stats.accepted);
	jout_key(&j, "tokens");
	jout_begin_object(&j);
	issued_print(&j);
	jout_end_object(&j);
	jout_end_object(&j);
	play_json(p, 200, &b);
}

static bool
is(const struct sim_request *q, struct span method, const char *path)
{
	return (span_eq(q->head->method, method) &&
		span_eq(q->head->path, span_str(path)));
}

void
control_request(const struct sim_request *q, struct play *p)
{
	p->manner.cut = CUT_WHOLE;
	if (is(q, SPAN("POST"), "/_sim/bind"))
		control_rule(q, p, true);
	else if (is(q, SPAN("POST"), "/_sim/next"))
		control_rule(q, p, false);
	else if (is(q, SPAN("GET"), "/_sim/log"))
		control_log(q, p);
	else if (is(q, SPAN("GET"), "/_sim/stats"))
		control_stats(p);
	else if (is(q, SPAN("POST"), "/_sim/clock"))
		control_clock(q, p);
	else if (is(q, SPAN("POST"), "/_sim/tokens"))
		control_tokens(q, p);
	else if (is(q, SPAN("POST"), "/_sim/reset"))
		control_reset(p);
	else
		reply(p, 404, "no such command");
}
