/* What the hub answers itself: health and the list of models. */
#include <stdio.h>
#include <string.h>

#include "hubd/health.h"
#include "hubd/worker/worker.h"

bool
local_health(struct worker *w, struct client *c, const struct http1_head *h,
    const char *id)
{
	bool ready = span_eq(h->path, SPAN("/readyz"));
	struct buf body = {0};
	int status;

	if (!ready && !span_eq(h->path, SPAN("/healthz")))
		return (false);
	if (!span_eq(h->method, SPAN("GET")) && client_wants_body(c)) {
		buf_addstr(client_fields(c), "allow: GET, HEAD\r\n");
		reply_error(w, c, DIALECT_OPENAI, API_ERR_method_not_allowed,
		    NULL, id, -1, true);
		return (true);
	}
	status = hub_health(w->shm, ready, &body);
	buf_addstr(client_fields(c), "cache-control: no-store\r\n");
	reply_whole(w, c, DIALECT_OPENAI, status, id, SPAN("application/json"),
	    buf_span(&body), h->chunked || h->length > 0);
	buf_fini(&body);
	return (true);
}

/* OpenAI's list is of all that is offered here; the others hold what can be
 * asked for in their dialect. */
static bool
is_offered(struct worker *w, const struct pub_key *key, enum dialect d,
    const struct price_entry *e)
{
	bool any = d == DIALECT_OPENAI || d == DIALECT_AZURE;

	return (auth_list_allows(key->models, e->name) &&
		route_offers(w->shm, e, any ? DIALECT_COUNT : d));
}

static struct api_model
model_of(const struct price_blob *blob, const struct price_entry *e)
{
	return ((struct api_model){e->name, e->provider, blob->time_ms / 1000});
}

static void
put_list(struct worker *w, struct buf *body, const struct pub_key *key,
    enum dialect d)
{
	const struct price_blob *blob = pub_prices(w->shm);
	const struct price_entry *e = NULL;
	struct buf found = {0};
	struct api_model m;

	while (blob != NULL && (e = price_blob_next(blob, e)) != NULL) {
		if (!is_offered(w, key, d, e))
			continue;
		m = model_of(blob, e);
		buf_add(&found, &m, sizeof(m));
	}
	api_models(body, d, (const void *)buf_ptr(&found),
	    buf_len(&found) / sizeof(m));
	buf_fini(&found);
}

/* The one that the path names; false: it is not offered to this key. */
static bool
put_one(struct worker *w, struct buf *body, const struct pub_key *key,
    const struct api_target *t)
{
	const struct price_blob *blob = pub_prices(w->shm);
	const struct price_entry *e = NULL;
	struct api_model m;

	if (blob != NULL)
		e = price_blob_find(blob, span_str(t->model));
	if (e == NULL || !is_offered(w, key, t->dialect, e))
		return (false);
	m = model_of(blob, e);
	api_model(body, t->dialect, &m);
	return (true);
}

void
local_models(struct worker *w, struct client *c, const struct identity *who,
    const struct api_target *t, const char *id)
{
	struct buf body = {0};

	if (t->model[0] == '\0')
		put_list(w, &body, &who->key, t->dialect);
	else if (!put_one(w, &body, &who->key, t)) {
		reply_error(w, c, t->dialect, API_ERR_model_not_found, NULL, id,
		    -1, false);
		return;
	}
	reply_whole(w, c, t->dialect, 200, id, SPAN("application/json"),
	    buf_span(&body), false);
	buf_fini(&body);
}
