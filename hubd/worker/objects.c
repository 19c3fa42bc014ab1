/*
 * What is kept at providers: whose it is, where requests about it go, and
 * what a call has done to it, which its row says (shm/object.h). An id of
 * another account is treated as one that does not exist.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/json.h"
#include "hubd/worker/worker.h"
#include "shm/objtab.h"

#define LIST_USUAL 100
#define LIST_MAX   1000

/* ---- where a request goes ------------------------------------------------ */

static bool
find_own(const struct request *r, struct span id, enum object_kind kind,
    struct pub_object *o)
{
	return (pub_object_find(r->w->shm, id, o) &&
		o->account == r->account_id && o->kind == (uint8_t)kind);
}

/* All that a request names lies at one provider. */
static enum api_error
take_holder(
    struct request *r, struct span id, enum object_kind kind, const char **why)
{
	struct request_holder *h = &r->holder;
	struct pub_object o;

	if (!find_own(r, id, kind, &o))
		return (API_ERR_object_not_found);
	if (h->agent != 0 &&
	    (h->agent != o.agent || strcmp(h->provider, o.provider) != 0)) {
		*why = "The request names what different providers keep.";
		return (API_ERR_invalid_request);
	}
	h->agent = o.agent;
	h->billed = o.billed != 0;
	memcpy(h->provider, o.provider, sizeof(h->provider));
	return (API_OK);
}

static enum api_error
find_holder(struct request *r, const char **why)
{
	const struct api_request *api = &r->api;
	enum api_error error = API_OK;
	uint32_t i;

	if (r->target.object[0] != '\0')
		error = take_holder(
		    r, span_str(r->target.object), r->endpoint->object, why);
	if (error == API_OK && api->nrefs > API_REFS_MAX) {
		*why = "The request names too many files.";
		return (API_ERR_invalid_request);
	}
	for (i = 0; i < api->nrefs && error == API_OK; i++) {
		const struct api_place *at = &api->refs[i].at;

		error = take_holder(r,
		    span_of(buf_ptr(&r->body) + at->begin, at->end - at->begin),
		    api->refs[i].kind, why);
	}
	return (error);
}

enum api_error
objects_route(struct request *r, const struct pub_key *key, const char **why)
{
	struct request_holder *h = &r->holder;
	enum api_error error;

	if (!r->w->conf->objects)
		return (API_OK);
	if ((error = find_holder(r, why)) != API_OK)
		return (error);
	/* Which models are in its file nobody has read. */
	if (r->api.batch && key->models[0] != '\0')
		return (API_ERR_model_not_allowed);
	if (!r->api.no_model)
		return (API_OK);
	r->route =
	    router_holders(r->w->router, r->dialect, h->agent, h->provider);
	return (r->route->error);
}

enum api_error
objects_narrow(struct request *r)
{
	uint32_t all;

	if (r->holder.agent == 0)
		return (API_OK);
	all = r->route->n == 32 ? UINT32_MAX : (UINT32_C(1) << r->route->n) - 1;
	r->barred = route_others(r->route, r->holder.agent, r->holder.provider);
	r->tried = r->barred;
	return (r->barred == all ? API_ERR_no_agent : API_OK);
}

/* ---- what a call does ---------------------------------------------------- */

/* Will the provider keep what it answers? */
static bool
creates(const struct request *r)
{
	return (
	    r->w->conf->objects && !r->api.no_store &&
	    r->endpoint->object != OBJECT_NONE &&
	    (r->endpoint->use == USE_CREATE || r->endpoint->use == USE_NONE));
}

bool
objects_holds(const struct request *r)
{
	return (creates(r) && meter_get(r->meter)->finished);
}

static void
set_event(struct request *r, enum object_event event, const char *id,
    const struct meter_object *files)
{
	struct call_object o = {
	    .event = (uint8_t)event, .kind = (uint8_t)r->endpoint->object};
	size_t i;

	if (!call_object_add(&o, span_str(id))) {
		log_warnx("request %s: an id that cannot be kept", r->id_text);
		return;
	}
	for (i = 0; files != NULL && i < 2; i++)
		if (files->files[i][0] != '\0' &&
		    !call_object_add(&o, span_str(files->files[i])))
			log_warnx("request %s: an id that cannot be kept",
			    r->id_text);
	call_set_object(r->row, &o);
	r->object_event = true;
}

void
objects_note(struct request *r)
{
	const struct meter_object *o = &meter_get(r->meter)->object;

	if (!r->object_event && o->id[0] != '\0' && creates(r))
		set_event(r, OBJECT_CREATED, o->id, NULL);
}

void
objects_forget(struct request *r)
{
	if (!r->object_event)
		return;
	call_set_object(r->row, NULL);
	r->object_event = false;
}

/* "gpt-5-2025-08-07" has the price of "gpt-5" if it has none of its own. */
static const struct price_entry *
find_price(
    const struct price_blob *blob, const struct candidate *c, struct span model)
{
	const struct price_entry *e;
	size_t n;

	e = price_find(blob, span_str(c->provider), span_str(c->type), model);
	if (e != NULL || model.n < 12)
		return (e);
	for (n = model.n - 11; n < model.n; n++)
		if (strchr("-0123456789", model.p[n]) == NULL)
			return (NULL);
	return (price_find(blob, span_str(c->provider), span_str(c->type),
	    span_of(model.p, model.n - 11)));
}

static void
set_batch_route(struct request *r, const struct price_blob *blob,
    const struct price_entry *entry, const char *model)
{
	struct call_route route = {.agent = r->candidate->agent_id,
	    .attempts = r->attempts,
	    .price_at = entry == NULL ? 0
				      : (uint32_t)((const char *)entry -
						   (const char *)blob)};

	snprintf(route.provider, sizeof(route.provider), "%s",
	    r->candidate->provider);
	snprintf(route.model, sizeof(route.model), "%s", model);
	call_set_route(r->row, &route);
}

/*
 * The batch has ended and is not billed yet: this call bills it. If prices
 * have changed since it was admitted, the next one does.
 */
static const struct price_entry *
end_batch(struct request *r, struct call_progress *p)
{
	const struct meter_report *m = meter_get(r->meter);
	const struct price_blob *blob = pub_prices(r->w->shm);
	const struct price_entry *entry;

	if (!m->object.ended || r->holder.billed || blob == NULL ||
	    blob->version != r->route->price_version)
		return (NULL);
	entry = find_price(blob, r->candidate, span_str(m->object.model));
	set_batch_route(r, blob, entry, m->object.model);
	set_event(r, OBJECT_ENDED, r->target.object, &m->object);
	p->tier = TIER_BATCH;
	if (m->has_usage)
		p->usage = m->usage;
	if (entry == NULL || !m->has_usage)
		log_warnx("request %s: batch %s ended and is not billed: %s",
		    r->id_text, r->target.object,
		    m->has_usage ? "its model has no price"
				 : "it reports no usage");
	return (entry);
}

const struct price_entry *
objects_finish(
    struct request *r, enum call_outcome outcome, struct call_progress *p)
{
	bool good = r->status >= 200 && r->status < 300;

	if (r->endpoint->use == USE_DELETE && outcome == OUTCOME_COMPLETE &&
	    (good || r->status == 404))
		set_event(r, OBJECT_DELETED, r->target.object, NULL);
	if (r->endpoint->meter == METER_BATCH && good && r->meter != NULL &&
	    outcome == OUTCOME_COMPLETE)
		return (end_batch(r, p));
	return (NULL);
}

/* ---- lists --------------------------------------------------------------- */

static void
put_object(struct jout *j, const struct pub_object *o)
{
	jout_begin_object(j);
	jout_kstr(j, "id", o->id);
	jout_kstr(j, "object", object_kind_str((enum object_kind)o->kind));
	jout_kint(j, "created_at", o->created_ms / 1000);
	jout_end_object(j);
}

struct page {
	char first[OBJECT_ID_MAX], last[OBJECT_ID_MAX];
	bool more;
};

static void
put_page(struct worker *w, struct jout *j, uint32_t account,
    enum object_kind kind, uint64_t from, const struct api_list *list,
    struct page *page)
{
	uint32_t left = list->limit == 0	 ? LIST_USUAL
			: list->limit > LIST_MAX ? LIST_MAX
						 : list->limit;
	struct pub_object o;

	memset(page, 0, sizeof(*page));
	while (
	    pub_object_next(w->shm, account, kind, from, list->ascending, &o)) {
		if ((page->more = left == 0))
			return;
		left--;
		from = o.number;
		put_object(j, &o);
		if (page->first[0] == '\0')
			memcpy(page->first, o.id, sizeof(o.id));
		memcpy(page->last, o.id, sizeof(o.id));
	}
}

static void
put_list(struct worker *w, struct buf *body, uint32_t account,
    enum object_kind kind, uint64_t from, const struct api_list *list)
{
	struct page page;
	struct jout j;

	jout_init(&j, body);
	jout_begin_object(&j);
	jout_kstr(&j, "object", "list");
	jout_key(&j, "data");
	jout_begin_array(&j);
	put_page(w, &j, account, kind, from, list, &page);
	jout_end_array(&j);
	jout_kstr(&j, "first_id", page.first[0] != '\0' ? page.first : NULL);
	jout_kstr(&j, "last_id", page.last[0] != '\0' ? page.last : NULL);
	jout_kbool(&j, "has_more", page.more);
	jout_end_object(&j);
}

void
objects_list(struct worker *w, struct client *c, const struct identity *who,
    const struct api_target *t, const struct api_list *list, const char *id)
{
	uint64_t from = list->ascending ? 0 : UINT64_MAX;
	struct buf body = {0};
	struct pub_object o;

	if (list->after[0] != '\0') {
		if (!pub_object_find(w->shm, span_str(list->after), &o) ||
		    o.account != who->account_id ||
		    o.kind != (uint8_t)t->endpoint->object) {
			reply_error(w, c, t->dialect, API_ERR_object_not_found,
			    NULL, id, -1, false);
			return;
		}
		from = o.number;
	}
	put_list(w, &body, who->account_id, t->endpoint->object, from, list);
	reply_whole(w, c, t->dialect, 200, id, SPAN("application/json"),
	    buf_span(&body), false);
	buf_fini(&body);
}
