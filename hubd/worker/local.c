/* What the hub answers itself: health and the list of models. */
#include <stdio.h>
#include <string.h>

#include "common/json.h"
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
	reply_whole(w, c, status, id, SPAN("application/json"), buf_span(&body),
	    h->chunked || h->length > 0);
	buf_fini(&body);
	return (true);
}

static void
put_model(struct jout *j, const struct price_entry *entry, int64_t created_s)
{
	jout_begin_object(j);
	jout_kstr(j, "id", entry->name);
	jout_kstr(j, "object", "model");
	jout_kint(j, "created", created_s);
	jout_kstr(j, "owned_by", entry->provider);
	jout_end_object(j);
}

static void
put_models(struct worker *w, struct jout *j, const struct pub_key *key)
{
	const struct price_blob *blob = pub_prices(w->shm);
	const struct price_entry *e = NULL;

	if (blob == NULL)
		return;
	while ((e = price_blob_next(blob, e)) != NULL)
		if (auth_list_allows(key->models, e->name) &&
		    route_offers(w->shm, e))
			put_model(j, e, blob->time_ms / 1000);
}

/* The one that the path names; false: it is not offered to this key. */
static bool
put_one(struct worker *w, struct jout *j, const struct pub_key *key,
    struct span name)
{
	const struct price_blob *blob = pub_prices(w->shm);
	const struct price_entry *e;
	struct buf plain = {0};
	bool found = false;

	if (blob != NULL && http1_unescape(name, false, &plain) == 0) {
		e = price_blob_find(blob, buf_span(&plain));
		found = e != NULL && auth_list_allows(key->models, e->name) &&
			route_offers(w->shm, e);
		if (found)
			put_model(j, e, blob->time_ms / 1000);
	}
	buf_fini(&plain);
	return (found);
}

void
local_models(struct worker *w, struct client *c, const struct identity *who,
    struct span path, const char *id)
{
	const struct span one = SPAN("/models/");
	const char *at = memmem(path.p, path.n, one.p, one.n);
	struct buf body = {0};
	struct jout j;

	jout_init(&j, &body);
	if (at != NULL) {
		at += one.n;
		if (put_one(w, &j, &who->key,
			span_of(at, (size_t)(path.p + path.n - at))))
			reply_whole(w, c, 200, id, SPAN("application/json"),
			    buf_span(&body), false);
		else
			reply_error(w, c, DIALECT_OPENAI,
			    API_ERR_model_not_found, NULL, id, -1, false);
		buf_fini(&body);
		return;
	}
	jout_begin_object(&j);
	jout_kstr(&j, "object", "list");
	jout_key(&j, "data");
	jout_begin_array(&j);
	put_models(w, &j, &who->key);
	jout_end_array(&j);
	jout_end_object(&j);
	reply_whole(
	    w, c, 200, id, SPAN("application/json"), buf_span(&body), false);
	buf_fini(&body);
}
