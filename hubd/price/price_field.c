/* Reads and writes the names of price fields, suffixes included. */
#include "hubd/price/price_field.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct name {
	const char *name;
	enum usage_kind kind;
	unsigned per;
};

static const struct name fields[] = {
#define FIELD(name, kind, per) {#name, USAGE_##kind, per},
#define PART(name, kind, per)
#include "hubd/price/price_fields.def"
#undef FIELD
#undef PART
};

static const struct name parts[] = {
#define FIELD(name, kind, per)
#define PART(name, kind, per) {#name, USAGE_##kind, per},
#include "hubd/price/price_fields.def"
#undef FIELD
#undef PART
};

#define NFIELDS (sizeof(fields) / sizeof(fields[0]))
#define NPARTS	(sizeof(parts) / sizeof(parts[0]))

static const struct {
	const char *suffix;
	enum service_tier tier;
} tiers[] = {
    {"_priority", TIER_PRIORITY},
    {"_flex", TIER_FLEX},
    {"_batches", TIER_BATCH},
    {"_fast", TIER_FAST},
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

static bool
parse(
    const struct name *names, size_t n, const char *name, struct price_field *f)
{
	const char *rest;
	unsigned i;

	for (i = 0; i < n; i++) {
		rest = name;
		if (!skip(&rest, names[i].name) || !parse_suffixes(rest, f))
			continue;
		f->rank = i;
		f->kind = names[i].kind;
		f->per = names[i].per;
		return (true);
	}
	return (false);
}

bool
price_field_parse(const char *name, struct price_field *f)
{
	return (parse(fields, NFIELDS, name, f));
}

bool
price_part_parse(const char *name, struct price_field *f)
{
	return (parse(parts, NPARTS, name, f));
}

static uint32_t
kinds_that_begin(const struct name *names, size_t n, const char *name)
{
	uint32_t kinds = 0;
	const char *rest;
	size_t i;

	for (i = 0; i < n; i++) {
		rest = name;
		if (skip(&rest, names[i].name))
			kinds |= UINT32_C(1) << names[i].kind;
	}
	return (kinds);
}

uint32_t
price_kinds_unknown(const char *name)
{
	uint32_t kinds;

	/* "dbu" are no dollars; the dollars stand beside them. */
	if (strstr(name, "cost") == NULL || strstr(name, "_dbu_") != NULL)
		return (0);
	kinds = kinds_that_begin(fields, NFIELDS, name) |
		kinds_that_begin(parts, NPARTS, name);
	return (kinds != 0 ? kinds : (UINT32_C(1) << USAGE_KINDS) - 1);
}

void
price_field_name(enum usage_kind kind, enum service_tier tier, uint64_t above,
    char out[PRICE_FIELD_NAME_MAX])
{
	const char *base = usage_kind_str(kind), *suffix = "";
	char context[40] = "";
	size_t i;

	for (i = 0; i < NFIELDS; i++) {
		if (fields[i].kind == kind) {
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
