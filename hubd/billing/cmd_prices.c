/* hubctl show prices: the version in force, and what it changed. */
#include <stdlib.h>
#include <string.h>

#include "hubd/billing/commands.h"
#include "hubd/price/price.h"
#include "shm/pubtab.h"

/* An entry of that name, with or without its provider in front. */
static bool
names_model(const struct price_entry *e, const char *model)
{
	const char *tail = strrchr(e->name, '/');

	return (model == NULL || strcmp(e->name, model) == 0 ||
		(tail != NULL && strcmp(tail + 1, model) == 0));
}

static bool
has_model(const struct price_blob *blob, const char *model)
{
	const struct price_entry *e = NULL;

	while ((e = price_blob_next(blob, e)) != NULL)
		if (names_model(e, model))
			return (true);
	return (false);
}

/* ---- what is in force ---------------------------------------------------- */

/* What a rate is for. */
static void
put_subject(struct jout *j, const struct price_rate *rate, uint64_t above)
{
	jout_kstr(j, "kind", usage_kind_str((enum usage_kind)rate->kind));
	jout_kstr(j, "tier", service_tier_str((enum service_tier)rate->tier));
	if (above > 0)
		jout_kuint(j, "above", above);
}

static void
put_rate(
    struct jout *j, const struct price_entry *e, const struct price_rate *rate)
{
	bool based = rate->context > 0 && rate->context <= PRICE_CONTEXTS;

	jout_begin_object(j);
	put_subject(j, rate, based ? e->contexts[rate->context - 1] : 0);
	price_show(j, "price", rate->price);
	jout_end_object(j);
}

/* Kinds that may cost more than the rates say: rows with them are flagged. */
static void
put_flagged(struct jout *j, const struct price_entry *e)
{
	unsigned k;

	if (e->understated == 0)
		return;
	jout_key(j, "flagged");
	jout_begin_array(j);
	for (k = 0; k < USAGE_KINDS; k++) {
		if (e->understated >> k & 1)
			jout_str(j, usage_kind_str((enum usage_kind)k));
	}
	jout_end_array(j);
}

static void
put_entry(struct jout *j, const struct price_entry *e)
{
	uint32_t i;

	jout_begin_object(j);
	jout_kstr(j, "model", e->name);
	jout_kstr(j, "provider", e->provider);
	jout_kstr(j, "mode", e->mode);
	if (e->max_input > 0)
		jout_kuint(j, "max_input", e->max_input);
	if (e->max_output > 0)
		jout_kuint(j, "max_output", e->max_output);
	put_flagged(j, e);
	jout_key(j, "rates");
	jout_begin_array(j);
	for (i = 0; i < e->nrates; i++)
		put_rate(j, e, &e->rates[i]);
	jout_end_array(j);
	jout_end_object(j);
}

static void
put_entries(struct jout *j, const struct price_blob *blob, const char *model)
{
	const struct price_entry *e = NULL;

	jout_key(j, "prices");
	jout_begin_array(j);
	while ((e = price_blob_next(blob, e)) != NULL)
		if (names_model(e, model))
			put_entry(j, e);
	jout_end_array(j);
}

/* ---- what it changed ----------------------------------------------------- */

struct changes {
	struct jout *j;
	const char *model; /* of the only entries to show, or NULL */
};

static const char *
change_str(const struct price_difference *d)
{
	switch (d->change) {
	case PRICE_ADDED:
		return ("added");
	case PRICE_REMOVED:
		return ("removed");
	case PRICE_CHANGED:
		break;
	}
	return ("changed");
}

static void
put_change(void *arg, const struct price_difference *d)
{
	const struct changes *c = arg;
	struct jout *j = c->j;

	if (!names_model(d->entry, c->model))
		return;
	jout_begin_object(j);
	jout_kstr(j, "model", d->entry->name);
	jout_kstr(j, "change", change_str(d));
	if (d->was != NULL || d->is != NULL)
		put_subject(j, d->is != NULL ? d->is : d->was, d->above);
	if (d->was != NULL)
		price_show(j, "old", d->was->price);
	if (d->is != NULL)
		price_show(j, "new", d->is->price);
	jout_end_object(j);
}

/* before: the version before, NULL for the first. */
static void
put_changes(struct jout *j, const struct price_blob *before,
    const struct price_blob *blob, const char *model)
{
	struct changes c = {j, model};

	if (before == NULL)
		return;
	jout_kuint(j, "before", before->version);
	jout_key(j, "changes");
	jout_begin_array(j);
	price_diff(before, blob, put_change, &c);
	jout_end_array(j);
}

/*
 * The caller frees. NULL: it was the first, or the store is away; what is in
 * force is shown all the same. The store numbers versions without gaps.
 */
static struct price_blob *
version_before(struct billing *b, uint64_t version)
{
	struct price_blob *before = NULL;

	if (version > 1)
		b->ops->price_get(b->store, version - 1, &before);
	return (before);
}

void
cmd_show_prices(struct billing *b, const struct json *args, struct reply *r)
{
	const struct price_blob *blob = pub_prices(b->shm);
	const char *model = json_get_str(args, "model");
	struct price_blob *before;

	if (blob == NULL) {
		reply_refuse(r, "no prices are in force");
		return;
	}
	if (model != NULL && !has_model(blob, model)) {
		reply_refuse(r, "there is no price for %s", model);
		return;
	}
	before = version_before(b, blob->version);
	jout_begin_object(&r->j);
	jout_kuint(&r->j, "price_version", blob->version);
	put_time(&r->j, "time", blob->time_ms);
	put_changes(&r->j, before, blob, model);
	put_entries(&r->j, blob, model);
	jout_end_object(&r->j);
	free(before);
}
