/* Reads and writes the names of price fields, suffixes included. */
#include "hubd/price/price_field.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define USAGE_none (-1)

static const struct {
	const char *name;
	int kind;
	unsigned per;
} fields[] = {
#define FIELD(name, kind, per) {#name, USAGE_##kind, per},
#include "hubd/price/price_fields.def"
#undef FIELD
};

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))

static const struct {
	const char *suffix;
	enum service_tier tier;
} tiers[] = {
    {"_priority", TIER_PRIORITY},
    {"_flex", TIER_FLEX},
    {"_batches", TIER_BATCH},
};

#define NTIERS (sizeof(tiers) / sizeof(tiers[0]))

static bool
skip(const char **s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (strncmp(*s, prefix, n) != 0)
		return (false);
	*s += n;
	return (true);
}

static bool
take_tier(const char **s, struct price_field *f)
{
	size_t i;

	for (i = 0; i < NTIERS; i++) {
		if (skip(s, tiers[i].suffix)) {
			f->tier = tiers[i].tier;
			return (true);
		}
	}
	return (false);
}

/* "_above_200k_tokens" */
static bool
take_context(const char **s, struct price_field *f)
{
	const char *p = *s;
	uint64_t k = 0;

	if (!skip(&p, "_above_"))
		return (false);
	for (; *p >= '0' && *p <= '9' && k < 1000 * 1000; p++)
		k = k * 10 + (uint64_t)(*p - '0');
	if (k == 0 || !skip(&p, "k_tokens"))
		return (false);
	f->above = k * 1000;
	*s = p;
	return (true);
}

/* What stands behind the name, in either order, each at most once. */
static bool
parse_suffixes(const char *s, struct price_field *f)
{
	f->tier = TIER_DEFAULT;
	f->above = 0;
	while (*s != '\0') {
		if (f->above == 0 && take_context(&s, f))
			continue;
		if (f->tier == TIER_DEFAULT && take_tier(&s, f))
			continue;
		return (false);
	}
	return (true);
}

bool
price_field_parse(const char *name, struct price_field *f)
{
	const char *rest;
	unsigned i;

	for (i = 0; i < NFIELDS; i++) {
		rest = name;
		if (!skip(&rest, fields[i].name) || !parse_suffixes(rest, f))
			continue;
		f->rank = i;
		f->kind = fields[i].kind;
		f->per = fields[i].per;
		return (true);
	}
	return (false);
}

void
price_field_name(enum usage_kind kind, enum service_tier tier, uint64_t above,
    char out[PRICE_FIELD_NAME_MAX])
{
	const char *base = usage_kind_str(kind), *suffix = "";
	char context[40] = "";
	size_t i;

	for (i = 0; i < NFIELDS; i++) {
		if (fields[i].kind == (int)kind) {
			base = fields[i].name;
			break;
		}
	}
	for (i = 0; i < NTIERS; i++) {
		if (tiers[i].tier == tier)
			suffix = tiers[i].suffix;
	}
	if (above > 0)
		snprintf(context, sizeof(context), "_above_%" PRIu64 "k_tokens",
		    above / 1000);
	snprintf(out, PRICE_FIELD_NAME_MAX, "%s%s%s", base, context, suffix);
}
