/* Prices of many models as lines of a table. */
#include "hubd/ctl/price_lines.h"

#include <assert.h>
#include <string.h>

static bool
is_base(const struct json *rate, const char *kind)
{
	const char *k = json_get_str(rate, "kind");
	const char *tier = json_get_str(rate, "tier");

	return (k != NULL && tier != NULL && strcmp(k, kind) == 0 &&
		strcmp(tier, "default") == 0 &&
		json_get(rate, "above") == NULL);
}

static void
put_base(struct jout *j, const struct json *model, const char *kind)
{
	const struct json *rates = json_get(model, "rates"), *r;

	for (r = rates == NULL ? NULL : rates->first; r != NULL; r = r->next) {
		if (!is_base(r, kind))
			continue;
		jout_kstr(j, kind, json_get_str(r, "price"));
		return;
	}
}

static void
put_model(struct jout *j, const struct json *model)
{
	jout_begin_object(j);
	jout_kstr(j, "model", json_get_str(model, "model"));
	jout_kstr(j, "provider", json_get_str(model, "provider"));
	put_base(j, model, "input");
	put_base(j, model, "cache_read");
	put_base(j, model, "output");
	jout_end_object(j);
}

/* An entry that came or went has no kind: that it did stands in its place. */
static void
put_change(struct jout *j, const struct json *change)
{
	const char *kind = json_get_str(change, "kind");
	const char *tier = json_get_str(change, "tier");
	static const char *const rest[] = {"old", "new"};
	const char *s;
	size_t i;

	jout_begin_object(j);
	jout_kstr(j, "model", json_get_str(change, "model"));
	jout_kstr(
	    j, "kind", kind != NULL ? kind : json_get_str(change, "change"));
	if (tier != NULL && strcmp(tier, "default") != 0)
		jout_kstr(j, "tier", tier);
	if (json_get(change, "above") != NULL)
		jout_kint(j, "above", json_get_int(change, "above", 0));
	for (i = 0; i < 2; i++) {
		if ((s = json_get_str(change, rest[i])) != NULL)
			jout_kstr(j, rest[i], s);
	}
	jout_end_object(j);
}

/* The array under its name, each element as put makes it. */
static struct json *
lines_of(
    const struct json *array, void (*put)(struct jout *, const struct json *))
{
	const struct json *one;
	struct buf text = {0};
	struct json *lines;
	struct jout j;

	jout_init(&j, &text);
	jout_begin_object(&j);
	jout_key(&j, array->key);
	jout_begin_array(&j);
	for (one = array->first; one != NULL; one = one->next)
		put(&j, one);
	jout_end_array(&j);
	jout_end_object(&j);
	lines = json_parse(buf_span(&text), NULL, 0);
	assert(lines != NULL);
	buf_fini(&text);
	return (lines);
}

struct json *
price_lines(const struct json *prices)
{
	return (lines_of(prices, put_model));
}

struct json *
price_change_lines(const struct json *changes)
{
	return (lines_of(changes, put_change));
}
