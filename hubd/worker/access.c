/*
 * The access log: a structured line for each request that is over, however
 * it ended, and for each change of state; nothing for a chunk. What a line
 * is made of is gathered while the request lives.
 */
#include "hubd/worker/access.h"

#include <stdlib.h>

#include "common/alloc.h"
#include "common/logfile.h"
#include "common/logline.h"

#define PATH_MAX_LOGGED 256

struct access_log {
	struct logfile *file;
	struct buf line;
};

struct access {
	int64_t time_ms;
	monotime_t begun, first; /* first byte of the answer; 0: none */
	char id[REQ_ID_TEXT];
	char peer[64], method[24], path[PATH_MAX_LOGGED];
	bool has_account;
	uint32_t account_row;
	char key[24];
	int status;
	const char *error, *outcome;
	uint64_t bytes_in, bytes_out;
	bool called; /* it was admitted: what follows counts */
	struct call_progress end;
	char cost[AMOUNT_TEXT_MAX];
};

static struct pool entries = POOL(sizeof(struct access), 256);

/* ---- the file -------------------------------------------------------------
 */

struct access_log *
access_log_new(struct worker *w)
{
	struct access_log *log;
	struct logfile *file;

	if (w->conf->access_log == NULL)
		return (NULL);
	file = logfile_open(w->loop, w->conf->access_log);
	if (file == NULL) {
		log_warn("%s", w->conf->access_log);
		return (NULL);
	}
	log = xcalloc(1, sizeof(*log));
	log->file = file;
	return (log);
}

void
access_log_reopen(struct worker *w)
{
	if (w->access == NULL)
		w->access = access_log_new(w);
	else if (logfile_reopen(w->access->file) == -1)
		log_warn("%s", w->conf->access_log);
}

void
access_log_free(struct worker *w)
{
	if (w->access == NULL)
		return;
	counter_add(
	    w->count, COUNT_log_dropped, logfile_close(w->access->file));
	buf_fini(&w->access->line);
	free(w->access);
	w->access = NULL;
}

static void
begin_line(
    struct worker *w, struct logline *l, int64_t time_ms, const char *event)
{
	buf_reset(&w->access->line, LOGFILE_LINE_MAX);
	logline_begin(l, &w->access->line,
	    (enum logline_format)w->conf->log_format, time_ms, event);
	logline_uint(l, "worker", w->child->slot);
}

static void
end_line(struct worker *w, struct logline *l)
{
	logline_end(l);
	if (!logfile_put(w->access->file, buf_span(&w->access->line)))
		counter_add(w->count, COUNT_log_dropped, 1);
}

/* ---- what is gathered -----------------------------------------------------
 */

static void
copy_span(char *to, size_t cap, struct span from)
{
	size_t n = from.n < cap ? from.n : cap - 1;

	memcpy(to, from.p, n);
	to[n] = '\0';
}

static bool
is_key_char(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '_');
}

/* A key that somebody has put where a path or a model belongs is his secret
 * all the same. */
static void
mask_keys(char *text)
{
	static const char *const starts[] = {"sk-", "at-hub-"};
	char *at, *from, *end;

	for (size_t i = 0; i < 2; i++) {
		for (from = text; (at = strstr(from, starts[i])) != NULL;
		     from = end) {
			at += strlen(starts[i]);
			for (end = at; is_key_char(*end); end++)
				;
			if (end - at >= 16)
				memset(at, '*', (size_t)(end - at));
		}
	}
}

struct access *
access_begin(struct worker *w, const char *peer, const struct http1_head *h,
    const char *id)
{
	struct access *a;

	if (w->access == NULL)
		return (NULL);
	a = pool_get(&entries);
	memset(a, 0, sizeof(*a));
	a->time_ms = walltime_ms();
	a->begun = monotime_now();
	copy_span(a->id, sizeof(a->id), span_str(id));
	copy_span(a->peer, sizeof(a->peer), span_str(peer));
	if (h == NULL)
		return (a);
	copy_span(a->method, sizeof(a->method), h->method);
	/* A query may hold a key: Google's clients put it there. */
	copy_span(a->path, sizeof(a->path), h->path);
	mask_keys(a->path);
	return (a);
}

void
access_who(struct access *a, const struct identity *who)
{
	if (a == NULL)
		return;
	a->has_account = true;
	a->account_row = who->account_row;
	copy_span(a->key, sizeof(a->key), span_str(who->key.id));
}

void
access_body(struct access *a, size_t bytes)
{
	if (a != NULL)
		a->bytes_in = bytes;
}

void
access_reply(struct access *a, int status, const char *error, size_t bytes)
{
	if (a == NULL)
		return;
	a->status = status;
	a->error = error;
	access_sent(a, bytes);
}

void
access_sent(struct access *a, size_t bytes)
{
	if (a == NULL)
		return;
	a->bytes_out += bytes;
	if (a->first.ns == 0)
		a->first = monotime_now();
}

void
access_broken(struct access *a, enum api_error error)
{
	if (a != NULL)
		a->error = api_error_code(error);
}

void
access_finish(struct access *a, enum call_outcome outcome,
    const struct call_progress *end, const char *cost)
{
	if (a == NULL)
		return;
	a->called = true;
	a->outcome = call_outcome_str(outcome);
	a->end = *end;
	a->status = end->status;
	copy_span(a->cost, sizeof(a->cost), span_str(cost));
}

/* ---- lines ----------------------------------------------------------------
 */

static void
put_str(struct logline *l, const char *key, const char *text)
{
	if (text != NULL && text[0] != '\0')
		logline_str(l, key, span_str(text));
}

static void
put_account(struct worker *w, struct logline *l, const struct access *a)
{
	struct pub_account account;

	if (!a->has_account)
		return;
	if (pub_account_read(w->shm, a->account_row, &account))
		put_str(l, "account", account.name);
	put_str(l, "key", a->key);
}

static void
put_usage(struct logline *l, const struct usage *u)
{
	logline_open(l, "usage");
	for (int k = 0; k < USAGE_KINDS; k++)
		if (u->n[k] != 0)
			logline_uint(
			    l, usage_kind_str((enum usage_kind)k), u->n[k]);
	logline_close(l);
}

static void
put_bill(struct logline *l, const struct access *a)
{
	if (!a->called)
		return;
	put_usage(l, &a->end.usage);
	put_str(l, "amount", a->cost);
	if (a->end.estimated[0] != '\0')
		put_str(l, "estimated", a->end.estimated);
	else
		logline_bool(l, "estimated", false);
}

/* What the body asked for, and who was asked for it. */
static void
put_request(struct logline *l, const struct request *r)
{
	char model[API_MODEL_MAX];
	struct pub_agent agent;

	if (r == NULL)
		return;
	put_str(l, "endpoint", r->endpoint->id);
	copy_span(model, sizeof(model), span_str(r->api.model));
	mask_keys(model);
	put_str(l, "model", model);
	logline_bool(l, "stream", r->api.stream);
	if (r->opened)
		logline_uint(l, "attempts", r->attempts);
	if (r->candidate == NULL)
		return;
	if (pub_agent_read(r->w->shm, r->candidate->agent_row, &agent))
		put_str(l, "agent", agent.name);
	put_str(l, "provider", r->candidate->provider);
}

static const char *
outcome_of(const struct access *a)
{
	if (a->outcome != NULL)
		return (a->outcome);
	if (a->error != NULL)
		return ("refused");
	return (a->status != 0 ? "complete" : "cut");
}

static void
put_times(struct logline *l, const struct access *a)
{
	if (a->first.ns != 0)
		logline_ms(l, "ttfb_ms", (a->first.ns - a->begun.ns) / 1000);
	logline_ms(l, "total_ms", (monotime_now().ns - a->begun.ns) / 1000);
}

void
access_end(struct worker *w, struct access **ap, const struct request *r)
{
	struct access *a = *ap;
	struct logline l;

	if (a == NULL)
		return;
	*ap = NULL;
	begin_line(w, &l, a->time_ms, "request");
	put_str(&l, "id", a->id);
	put_str(&l, "peer", a->peer);
	put_account(w, &l, a);
	put_str(&l, "method", a->method);
	put_str(&l, "path", a->path);
	put_request(&l, r);
	logline_uint(&l, "status", a->status == 0 ? 499 : (uint64_t)a->status);
	put_str(&l, "outcome", outcome_of(a));
	put_str(&l, "code", a->error);
	logline_uint(&l, "bytes_in", a->bytes_in);
	logline_uint(&l, "bytes_out", a->bytes_out);
	put_bill(&l, a);
	put_times(&l, a);
	end_line(w, &l);
	pool_put(&entries, a);
}

void
access_event(struct worker *w, const char *event, const char *what,
    const char *name, const char *peer, const char *reason)
{
	struct logline l;

	if (w->access == NULL)
		return;
	begin_line(w, &l, walltime_ms(), event);
	if (what != NULL)
		put_str(&l, what, name);
	put_str(&l, "peer", peer);
	put_str(&l, "reason", reason);
	end_line(w, &l);
}
