/*
 * Reads price files in the published format, as text: a number of the JSON
 * becomes a price without ever being a floating point number.
 */
#include "hubd/price/price.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "hubd/price/price_draft.h"
#include "hubd/price/price_pack.h"

#define FILE_MAX (16 * 1024 * 1024)

/* A dollar, or 1 of anything, in units of prices. */
#define USD ((u128_t)1000000000000 * 1000000000000)

typedef unsigned __int128 u128_t;

struct reader {
	const char *file;
	const char *model;
	char *error;
	size_t cap;
	struct price_pack *pack;
};

static int refuse(const struct reader *, const char *field, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));

/* Says where and why; returns -1. */
static int
refuse(const struct reader *r, const char *field, const char *fmt, ...)
{
	char why[256], model[PRICE_NAME_MAX + 16] = "", name[128] = "";
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (r->model != NULL)
		snprintf(model, sizeof(model),
		    "model \"%.*s\": ", PRICE_NAME_MAX, r->model);
	if (field != NULL)
		snprintf(name, sizeof(name), "field \"%.96s\": ", field);
	snprintf(r->error, r->cap, "%s: %s%s%s", r->file, model, name, why);
	return (-1);
}

/* ---- prices -------------------------------------------------------------- */

/* Exactly price / per; -1 if the unit cannot hold that. */
static int
divide(struct unit_price *p, unsigned per)
{
	u128_t v = (u128_t)p->hi << 64 | p->lo;

	if (v % per != 0)
		return (-1);
	v /= per;
	p->lo = (uint64_t)v;
	p->hi = (uint64_t)(v >> 64);
	return (0);
}

/* 1 a price, 0 none (null), -1 refused. */
static int
read_price(const struct reader *r, const char *field, const struct json *j,
    unsigned per, struct unit_price *out)
{
	if (j->type == JSON_NULL)
		return (0);
	if (j->type != JSON_NUMBER && j->type != JSON_STRING)
		return (refuse(r, field, "not a number"));
	if (j->text[0] == '-')
		return (refuse(r, field, "\"%.70s\" is negative", j->text));
	if (unit_price_parse(out, j->text, strlen(j->text)) == -1 ||
	    divide(out, per) == -1)
		return (refuse(r, field,
		    "\"%.70s\" is no amount in units of 10^-24 USD%s", j->text,
		    per == 1 ? "" : " a thousandth"));
	return (1);
}

/* A price that is no more than read: not 0 is a price. */
static bool
is_charged(const struct json *j)
{
	struct unit_price p;

	if (j->type == JSON_OBJECT || j->type == JSON_ARRAY)
		return (j->first != NULL);
	if (j->type != JSON_NUMBER && j->type != JSON_STRING)
		return (false);
	return (unit_price_parse(&p, j->text, strlen(j->text)) == -1 ||
		p.lo != 0 || p.hi != 0);
}

/*
 * A web search is priced by how much it reads; what is not said in an
 * answer's usage is taken as medium, the providers' default. Who asks for more
 * where that is dearer is billed too little, and flagged.
 */
static int
read_search(const struct reader *r, struct price_draft *d, const struct json *j,
    struct unit_price *out)
{
	static const char *const sizes[] = {"search_context_size_low",
	    "search_context_size_high", "search_context_size_medium"};
	struct unit_price high = {0};
	const struct json *m;
	int got = 0, one;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if ((m = json_get(j, sizes[i])) == NULL)
			continue;
		one = read_price(r, sizes[i], m, 1, out);
		if (one == -1)
			return (-1);
		if (one == 1 && (out->hi > high.hi ||
				    (out->hi == high.hi && out->lo > high.lo)))
			high = *out;
		got |= one;
	}
	if (high.lo != out->lo || high.hi != out->hi)
		d->understated |= UINT32_C(1) << USAGE_searches;
	return (got);
}

/* ---- fields -------------------------------------------------------------- */

static int
read_part(const struct reader *r, struct price_draft *d, const struct json *j,
    const uint64_t *above)
{
	struct unit_price price;
	struct price_field f;
	const char *why;
	int got;

	if (!price_part_parse(j->key, &f))
		return (0);
	got = read_price(r, j->key, j, 1, &price);
	if (got <= 0)
		return (got);
	if (above != NULL)
		f.above = *above;
	why = price_draft_add_part(d, &f, price);
	return (why == NULL ? 1 : refuse(r, j->key, "%s", why));
}

static int
read_kind(const struct reader *r, struct price_draft *d, const struct json *j,
    const uint64_t *above)
{
	struct unit_price price = {0};
	struct price_field f;
	const char *why;
	int got;

	if (!price_field_parse(j->key, &f))
		return (0);
	if (f.kind == USAGE_searches && j->type == JSON_OBJECT)
		got = read_search(r, d, j, &price);
	else
		got = read_price(r, j->key, j, f.per, &price);
	if (got <= 0)
		return (got);
	if (above != NULL) {
		f.above = *above;
		/* The lowest tier may stand in the entry itself, too. */
		if (price_draft_has(d, &f, price))
			return (1);
	}
	why = price_draft_add(d, &f, price);
	return (why == NULL ? 1 : refuse(r, j->key, "%s", why));
}

/* A field of an entry, or of one of its tiers above so many tokens. */
static int
read_field(const struct reader *r, struct price_draft *d, const struct json *j,
    const uint64_t *above)
{
	struct price_field f;

	if (read_kind(r, d, j, above) == -1 || read_part(r, d, j, above) == -1)
		return (-1);
	if (!price_field_parse(j->key, &f) && !price_part_parse(j->key, &f) &&
	    is_charged(j))
		d->understated |= price_kinds_unknown(j->key);
	return (0);
}

/* A number of tokens, which files also write as 32000.0 and 1e6. */
static bool
read_tokens(const struct json *j, uint64_t *tokens)
{
	struct unit_price p;
	u128_t v;

	if (j->type != JSON_NUMBER ||
	    unit_price_parse(&p, j->text, strlen(j->text)) == -1)
		return (false);
	v = (u128_t)p.hi << 64 | p.lo;
	*tokens = (uint64_t)(v / USD);
	return (v % USD == 0);
}

/* {"range": [from, to], prices}: they are those of prompts above from. */
static int
read_tier(const struct reader *r, struct price_draft *d, const struct json *j)
{
	const struct json *range = json_get(j, "range"), *m;
	uint64_t from, to;

	if (range == NULL || range->type != JSON_ARRAY ||
	    range->first == NULL || range->first->next == NULL ||
	    range->first->next->next != NULL ||
	    !read_tokens(range->first, &from) ||
	    !read_tokens(range->first->next, &to) || from >= to)
		return (refuse(r, "range", "not two ascending counts"));
	for (m = j->first; m != NULL; m = m->next) {
		if (read_field(r, d, m, &from) == -1)
			return (-1);
	}
	return (0);
}

static int
read_tiers(const struct reader *r, struct price_draft *d, const struct json *j)
{
	const struct json *tier;

	if (j == NULL || j->type == JSON_NULL)
		return (0);
	if (j->type != JSON_ARRAY)
		return (refuse(r, j->key, "not a list"));
	for (tier = j->first; tier != NULL; tier = tier->next) {
		if (tier->type != JSON_OBJECT)
			return (refuse(r, j->key, "not a list of objects"));
		if (read_tier(r, d, tier) == -1)
			return (-1);
	}
	return (0);
}

/*
 * {"fast": 6.0, "us": 1.1}: what tokens cost in a mode, as a multiple. Fast is
 * a service tier, which answers report; where a model ran is not billed by.
 */
static int
read_modes(const struct reader *r, struct price_draft *d, const struct json *j)
{
	const struct json *fast = j == NULL ? NULL : json_get(j, "fast");
	const char *why;

	if (fast == NULL)
		return (0);
	if (fast->type != JSON_NUMBER || fast->text[0] == '-')
		return (refuse(r, "fast", "not a factor"));
	why = price_draft_add_tier(d, TIER_FAST, fast->text);
	return (why == NULL ? 0 : refuse(r, "fast", "%s", why));
}

/* ---- entries ------------------------------------------------------------- */

static uint64_t
read_count(const struct json *obj, const char *key)
{
	int64_t n = json_get_int(obj, key, 0);

	return (n > 0 ? (uint64_t)n : 0);
}

/* The text of a member, cut to its place: it is shown, never billed by. */
static void
copy_text(char *out, size_t cap, const struct json *obj, const char *key)
{
	const char *s = json_get_str(obj, key);

	snprintf(out, cap, "%s", s != NULL ? s : "");
}

/* What the file says of the model besides its prices. */
static void
read_facts(struct price_entry *e, const struct json *obj)
{
	copy_text(e->provider, sizeof(e->provider), obj, "litellm_provider");
	copy_text(e->mode, sizeof(e->mode), obj, "mode");
	e->max_input = read_count(obj, "max_input_tokens");
	e->max_output = read_count(obj, "max_output_tokens");
	if (e->max_output == 0)
		e->max_output = read_count(obj, "max_tokens");
	e->reasoning_model = json_get_bool(obj, "supports_reasoning", false);
}

static int
check_names(const struct reader *r, const struct json *obj)
{
	const char *provider;

	if (obj->type != JSON_OBJECT)
		return (refuse(r, NULL, "not an object"));
	if (obj->key[0] == '\0' || strlen(obj->key) >= PRICE_NAME_MAX)
		return (refuse(r, NULL, "a name of 1 to %d bytes is needed",
		    PRICE_NAME_MAX - 1));
	provider = json_get_str(obj, "litellm_provider");
	if (provider != NULL && strlen(provider) >= PRICE_PROVIDER_MAX)
		return (refuse(r, "litellm_provider", "longer than %d bytes",
		    PRICE_PROVIDER_MAX - 1));
	return (0);
}

static int
read_entry(const struct reader *r, const struct json *obj)
{
	struct price_entry *e;
	struct price_draft d;
	const struct json *j;

	if (check_names(r, obj) == -1)
		return (-1);
	price_draft_init(&d);
	for (j = obj->first; j != NULL; j = j->next) {
		if (read_field(r, &d, j, NULL) == -1)
			return (-1);
	}
	if (read_tiers(r, &d, json_get(obj, "tiered_pricing")) == -1 ||
	    read_modes(r, &d, json_get(obj, "provider_specific_entry")) == -1)
		return (-1);
	if ((e = price_draft_make(&d, obj->key)) == NULL)
		return (0);
	read_facts(e, obj);
	price_pack_add(r->pack, e);
	return (0);
}

/* ---- files --------------------------------------------------------------- */

static int
read_all(int fd, struct buf *text)
{
	ssize_t got;

	do {
		if (buf_len(text) > FILE_MAX) {
			errno = EFBIG;
			return (-1);
		}
		got = read(fd, buf_reserve(text, 64 * 1024), 64 * 1024);
		if (got > 0)
			buf_commit(text, (size_t)got);
	} while (got > 0 || (got == -1 && errno == EINTR));
	return (got == 0 ? 0 : -1);
}

static int
read_text(const struct reader *r, struct buf *text)
{
	int fd, rc;

	fd = open(r->file, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return (refuse(r, NULL, "%s", strerror(errno)));
	rc = read_all(fd, text);
	if (rc == -1)
		refuse(r, NULL, "%s", strerror(errno));
	close(fd);
	return (rc);
}

static int
read_models(struct reader *r, const struct json *top)
{
	const struct json *j;
	int rc = 0;

	if (top->type != JSON_OBJECT)
		return (refuse(r, NULL, "not an object of models"));
	for (j = top->first; j != NULL && rc == 0; j = j->next) {
		if (j->key[0] == '_' || strcmp(j->key, "sample_spec") == 0)
			continue;
		r->model = j->key;
		rc = read_entry(r, j);
	}
	return (rc);
}

static int
read_file(struct reader *r)
{
	struct buf text = {0};
	struct json *top;
	char why[256];
	int rc = -1;

	if (read_text(r, &text) == 0) {
		top = json_parse(buf_span(&text), why, sizeof(why));
		if (top == NULL)
			refuse(r, NULL, "%s", why);
		else
			rc = read_models(r, top);
		json_free(top);
	}
	buf_fini(&text);
	return (rc);
}

int
price_load(const char *const *paths, size_t npaths, struct price_blob **blob,
    char *error, size_t cap)
{
	struct reader r;
	size_t i;
	int rc = 0;

	r = (struct reader){.error = error, .cap = cap};
	r.pack = price_pack_new();
	for (i = 0; i < npaths && rc == 0; i++) {
		r.file = paths[i];
		r.model = NULL;
		rc = read_file(&r);
	}
	if (rc == 0) {
		*blob = price_pack_make(r.pack);
		if (*blob == NULL) {
			snprintf(error, cap,
			    "prices: more than %d bytes of entries",
			    PRICE_BLOB_MAX);
			rc = -1;
		}
	}
	price_pack_free(r.pack);
	return (rc);
}
