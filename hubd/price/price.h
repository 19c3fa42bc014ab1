/*
 * Prices: read from the JSON that the field shares, packed into a version,
 * found for a candidate, and multiplied exactly with usage.
 */
#ifndef HUBD_PRICE_PRICE_H
#define HUBD_PRICE_PRICE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/span.h"
#include "hubd/price/amount.h"
#include "shm/pricetab.h"
#include "shm/usage.h"

struct jout;

/*
 * Reads price files in order; a later file's entry replaces an earlier
 * one's of the same name whole (overlays). On success *blob is a packed
 * price_blob (heap, caller frees) with version 0 and time 0: billing sets
 * them when it publishes. -1 refuses all of it; error then names file,
 * model and field. Keys that are no prices are ignored, as are entries
 * that have no price at all and "sample_spec".
 */
int price_load(const char *const *paths, size_t npaths,
    struct price_blob **blob, char *error, size_t cap);
/* After changing version or time: computes the CRC anew. */
void price_blob_seal(struct price_blob *);
/* The same prices keep their version: if b has those of latest, it becomes
 * latest. latest may be NULL. */
bool price_blob_keep(struct price_blob *b, const struct price_blob *latest);

/*
 * What changed from one version to another, a call of fn for each entry that
 * came or went and for each rate of the others. was and is are the rate
 * before and after; one of them is NULL if it came or went, both if the entry
 * did.
 */
enum price_change { PRICE_ADDED, PRICE_REMOVED, PRICE_CHANGED };

struct price_difference {
	enum price_change change;
	const struct price_entry *entry; /* of the newer version that has it */
	const struct price_rate *was, *is;
	uint64_t above; /* the rate's context in prompt tokens; 0: any */
};

typedef void price_diff_fn(void *arg, const struct price_difference *);

void price_diff(const struct price_blob *old, const struct price_blob *new,
    price_diff_fn *, void *arg);

/*
 * Compares with the version in force: -1 if a price of a model in both
 * changed by more than tenfold (either way; from or to zero counts too);
 * error then names model and field.
 */
int price_check_jump(const struct price_blob *old, const struct price_blob *new,
    char *error, size_t cap);

/*
 * The entry that prices model at a provider: exact "name/model", then
 * "type/model", then model if its litellm_provider maps to the provider's
 * type, then model behind the names that price files give the type ("gemini/"
 * for google), then model whatever its provider (names are unique in a file).
 * provider is the section name at the agent, type its type ("openai"). NULL:
 * unpriced.
 */
const struct price_entry *price_find(const struct price_blob *,
    struct span provider, struct span type, struct span model);
/* Does that litellm_provider belong to a provider type of ours? */
bool price_provider_maps(const char *litellm_provider, struct span type);

/*
 * Adds the exact cost of usage to sum. Context tiers re-price the whole
 * request by its prompt size (sum of the input side); the tier is the one
 * the provider reported; what has no price of that tier or context falls
 * back to the entry's base, the tier giving way before the context; what has no
 * price of that kind to its parent kind (cached, cache write, audio and image
 * input -> input; reasoning, audio and image output -> output; 1-hour cache
 * write -> 5-minute -> input). Returns false if some counted kind had no price
 * at all and was added at nothing, or has prices that its count does not tell
 * apart (price_fields.def): the row is flagged.
 */
bool price_cost(const struct price_entry *, const struct usage *,
    enum service_tier, amount_t *sum);
/*
 * The price a kind would be billed at, for shows and holds. context is the
 * prompt size in tokens. false if there is none.
 */
bool price_rate_of(const struct price_entry *, enum usage_kind,
    enum service_tier, uint64_t prompt, struct unit_price *);
/* Bit i: the entry has a price for kind i itself, not by a parent's. */
uint32_t price_kinds(const struct price_entry *);
/*
 * For holds: what so much costs at most, at the tier that was asked for.
 * What turns out dearer (written to a cache, thought) is booked above the
 * hold. Rounded up; saturates.
 */
nanousd_t price_hold(
    const struct price_entry *, enum service_tier, const struct usage *bound);

/* A price as a member of a JSON document. */
void price_show(struct jout *, const char *key, struct unit_price);
/* That of a kind, of the default tier for the shortest prompts; nothing if
 * there is none. The entry may be NULL. */
void price_show_rate(struct jout *, const char *key, const struct price_entry *,
    enum usage_kind);

#endif
