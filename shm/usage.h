/* What a call used, in disjoint kinds (usage.def). */
#ifndef SHM_USAGE_H
#define SHM_USAGE_H

#include <stdbool.h>
#include <stdint.h>

enum usage_kind {
#define KIND(name, side) USAGE_##name,
#include "shm/usage.def"
#undef KIND
	USAGE_KINDS
};

enum usage_side { USAGE_SIDE_INPUT, USAGE_SIDE_OUTPUT, USAGE_SIDE_UNIT };

struct usage {
	uint64_t n[USAGE_KINDS];
};

/* A count larger than this is not believed: the report is broken. */
#define USAGE_MAX_COUNT (UINT64_C(1) << 40)

const char *usage_kind_str(enum usage_kind);
enum usage_side usage_kind_side(enum usage_kind);
/* Saturating sum over one side. */
uint64_t usage_sum(const struct usage *, enum usage_side);
bool usage_is_zero(const struct usage *);
/* Is no count beyond what is believed? */
bool usage_is_sane(const struct usage *);

/* Which service tier a price or a bill is for. */
enum service_tier {
	TIER_DEFAULT,
	TIER_FLEX,
	TIER_PRIORITY,
	TIER_BATCH,
	TIER_FAST, /* Anthropic's speed "fast" */
	TIER_COUNT
};
const char *service_tier_str(enum service_tier); /* "default", "flex", ... */
/* "auto", "default", "standard" and unknown names are TIER_DEFAULT. */
enum service_tier service_tier_parse(const char *s, uint64_t n);

#endif
