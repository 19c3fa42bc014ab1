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

struct json *
price_lines(const struct json *prices)
{
	const struct json *model;
	struct buf text = {0};
	struct json *lines;
	struct jout j;

	jout_init(&j, &text);
	jout_begin_object(&j);
	jout_key(&j, "prices");
	jout_begin_array(&j);
	for (model = prices->first; model != NULL; model = model->next)
		put_model(&j, model);
	jout_end_array(&j);
	jout_end_object(&j);
	lines = json_parse(buf_span(&text), NULL, 0);
	assert(lines != NULL);
	buf_fini(&text);
	return (lines);
}
