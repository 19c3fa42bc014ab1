/* Names and sums of usage kinds and service tiers. */
#include "shm/usage.h"

#include <assert.h>
#include <string.h>

static const struct {
	const char *name;
	enum usage_side side;
} kinds[USAGE_KINDS] = {
#define KIND(name, side) [USAGE_##name] = {#name, USAGE_SIDE_##side},
#include "shm/usage.def"
#undef KIND
};

static const char *const tiers[TIER_COUNT] = {
    [TIER_DEFAULT] = "default",
    [TIER_FLEX] = "flex",
    [TIER_PRIORITY] = "priority",
    [TIER_BATCH] = "batch",
    [TIER_FAST] = "fast",
};

const char *
usage_kind_str(enum usage_kind kind)
{
	assert(kind < USAGE_KINDS);
	return (kinds[kind].name);
}

enum usage_side
usage_kind_side(enum usage_kind kind)
{
	assert(kind < USAGE_KINDS);
	return (kinds[kind].side);
}

uint64_t
usage_sum(const struct usage *u, enum usage_side side)
{
	uint64_t sum = 0;
	unsigned k;

	for (k = 0; k < USAGE_KINDS; k++) {
		if (kinds[k].side == side &&
		    __builtin_add_overflow(sum, u->n[k], &sum))
			return (UINT64_MAX);
	}
	return (sum);
}

bool
usage_is_zero(const struct usage *u)
{
	unsigned k;

	for (k = 0; k < USAGE_KINDS; k++) {
		if (u->n[k] != 0)
			return (false);
	}
	return (true);
}

bool
usage_is_sane(const struct usage *u)
{
	unsigned k;

	for (k = 0; k < USAGE_KINDS; k++) {
		if (u->n[k] > USAGE_MAX_COUNT)
			return (false);
	}
	return (true);
}

const char *
service_tier_str(enum service_tier tier)
{
	assert(tier < TIER_COUNT);
	return (tiers[tier]);
}

enum service_tier
service_tier_parse(const char *s, uint64_t n)
{
	unsigned t;

	for (t = 0; t < TIER_COUNT; t++) {
		if (strlen(tiers[t]) == n && memcmp(tiers[t], s, n) == 0)
			return ((enum service_tier)t);
	}
	return (TIER_DEFAULT);
}
