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
#include "hubd/price/price_field.h"
#include "hubd/price/price_pack.h"

#define FILE_MAX (16 * 1024 * 1024)

typedef unsigned __int128 u128_t;

struct draft_rate {
	struct price_field field;
	struct unit_price price;
};

/* One model while its fields are read. */
struct draft {
	struct draft_rate rates[PRICE_RATES_MAX];
	unsigned nrates;
	unsigned rank[USAGE_KINDS]; /* the lowest seen */
	uint64_t contexts[PRICE_CONTEXTS];
};

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

/*
 * A web search is priced by how much it reads; what is not said in an
 * answer's usage is taken as medium, the providers' default.
 */
static int
read_search(
    const struct reader *r, const struct json *j, struct unit_price *out)
{
	static const char *const sizes[] = {"search_context_size_low",
	    "search_context_size_high", "search_context_size_medium"};
	const struct json *m;
	int got = 0, one;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if ((m = json_get(j, sizes[i])) == NULL)
			continue;
		one = read_price(r, sizes[i], m, 1, out);
		if (one == -1)
			return (-1);
		got |= one;
	}
	return (got);
}

static int
add_rate(const struct reader *r, struct draft *d, const char *name,
    const struct price_field *f, struct unit_price price)
{
	const struct draft_rate *o;
	unsigned i;

	if (f->kind < 0)
		return (0);
	for (i = 0; i < d->nrates; i++) {
		o = &d->rates[i];
		if (o->field.rank == f->rank && o->field.tier == f->tier &&
		    o->field.above == f->above)
			return (refuse(r, name, "the same price twice"));
	}
	if (d->nrates == PRICE_RATES_MAX)
		return (refuse(r, name, "more than %d prices of one model",
		    PRICE_RATES_MAX));
	d->rates[d->nrates++] = (struct draft_rate){*f, price};
	if (f->rank < d->rank[f->kind])
		d->rank[f->kind] = f->rank;
	return (0);
}

static int
read_field(const struct reader *r, struct draft *d, const struct json *j)
{
	struct price_field f;
	struct unit_price price;
	int got;

	if (!price_field_parse(j->key, &f))
		return (0);
	if (f.kind == USAGE_searches && j->type == JSON_OBJECT)
		got = read_search(r, j, &price);
	else
		got = read_price(r, j->key, j, f.per, &price);
	if (got <= 0)
		return (got);
	return (add_rate(r, d, j->key, &f, price));
}

/* ---- entries ------------------------------------------------------------- */

/* Drops prices of fields that an earlier one of the same kind overrules. */
static void
drop_overruled(struct draft *d)
{
	unsigned i, n = 0;

	for (i = 0; i < d->nrates; i++) {
		if (d->rates[i].field.rank == d->rank[d->rates[i].field.kind])
			d->rates[n++] = d->rates[i];
	}
	d->nrates = n;
}

/* Keeps contexts ascending. -1: there is no room for another one. */
static int
note_context(struct draft *d, uint64_t above)
{
	unsigned i = 0;

	while (
	    i < PRICE_CONTEXTS && d->contexts[i] != 0 && d->contexts[i] < above)
		i++;
	if (i < PRICE_CONTEXTS && d->contexts[i] == above)
		return (0);
	if (i == PRICE_CONTEXTS || d->contexts[PRICE_CONTEXTS - 1] != 0)
		return (-1);
	memmove(&d->contexts[i + 1], &d->contexts[i],
	    (PRICE_CONTEXTS - 1 - i) * sizeof(d->contexts[0]));
	d->contexts[i] = above;
	return (0);
}

static int
collect_contexts(const struct reader *r, struct draft *d)
{
	char name[PRICE_FIELD_NAME_MAX];
	const struct price_field *f;
	unsigned i;

	for (i = 0; i < d->nrates; i++) {
		f = &d->rates[i].field;
		if (f->above == 0 || note_context(d, f->above) == 0)
			continue;
		price_field_name(f->kind, f->tier, f->above, name);
		return (refuse(
		    r, name, "more than %d context sizes", PRICE_CONTEXTS));
	}
	return (0);
}

static unsigned
context_index(const struct draft *d, uint64_t above)
{
	unsigned i = 0;

	if (above == 0)
		return (0);
	while (d->contexts[i] != above)
		i++;
	return (i + 1);
}

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

static struct price_entry *
make_entry(const struct draft *d, const char *name, const struct json *obj)
{
	size_t size =
	    sizeof(struct price_entry) + d->nrates * sizeof(struct price_rate);
	struct price_entry *e = xcalloc(1, size);
	unsigned i;

	e->size = (uint32_t)size;
	e->nrates = d->nrates;
	snprintf(e->name, sizeof(e->name), "%s", name);
	copy_text(e->provider, sizeof(e->provider), obj, "litellm_provider");
	copy_text(e->mode, sizeof(e->mode), obj, "mode");
	e->max_input = read_count(obj, "max_input_tokens");
	e->max_output = read_count(obj, "max_output_tokens");
	if (e->max_output == 0)
		e->max_output = read_count(obj, "max_tokens");
	e->reasoning_model = json_get_bool(obj, "supports_reasoning", false);
	memcpy(e->contexts, d->contexts, sizeof(e->contexts));
	for (i = 0; i < d->nrates; i++) {
		e->rates[i].kind = (uint8_t)d->rates[i].field.kind;
		e->rates[i].tier = (uint8_t)d->rates[i].field.tier;
		e->rates[i].context =
		    (uint8_t)context_index(d, d->rates[i].field.above);
		e->rates[i].price = d->rates[i].price;
	}
	return (e);
}

static int
read_entry(const struct reader *r, const struct json *obj)
{
	struct draft d = {0};
	const struct json *j;
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
	memset(d.rank, 0xff, sizeof(d.rank));
	for (j = obj->first; j != NULL; j = j->next) {
		if (read_field(r, &d, j) == -1)
			return (-1);
	}
	drop_overruled(&d);
	if (d.nrates == 0)
		return (0);
	if (collect_contexts(r, &d) == -1)
		return (-1);
	price_pack_add(r->pack, make_entry(&d, obj->key, obj));
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
