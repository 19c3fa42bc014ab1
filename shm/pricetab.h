/*
 * A price version as it lies in shared memory: packed entries behind an
 * index by name, position-independent, never changed once published. Built
 * by billing (hubd/price), read by workers.
 *
 * A price is an exact count of 10^-24 USD in 128 bits. An entry is copied
 * into the request at admission, which pins it: a reload in mid-stream
 * changes nothing for calls in flight.
 */
#ifndef SHM_PRICETAB_H
#define SHM_PRICETAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"
#include "shm/usage.h"

#define PRICE_NAME_MAX	   128 /* with the terminator */
#define PRICE_PROVIDER_MAX 48
#define PRICE_CONTEXTS	   4 /* context thresholds of one entry */
#define PRICE_RATES_MAX	   96
#define PRICE_BLOB_MAX	   (4 * 1024 * 1024)

/* 10^-24 USD a unit; 128 bits as two words. */
struct unit_price {
	uint64_t lo, hi;
};

struct price_rate {
	uint8_t kind;	 /* enum usage_kind */
	uint8_t tier;	 /* enum service_tier */
	uint8_t context; /* 0: base; i: above contexts[i - 1] prompt tokens */
	uint8_t pad[5];
	struct unit_price price;
};

struct price_entry {
	uint32_t size; /* of this entry, all rates included; multiple of 8 */
	uint32_t nrates;
	char name[PRICE_NAME_MAX];	   /* key in the price file */
	char provider[PRICE_PROVIDER_MAX]; /* litellm_provider, may be "" */
	char mode[24];			   /* "chat", "embedding", ... */
	uint64_t max_output;		   /* tokens; 0: unknown */
	uint64_t max_input;
	uint64_t contexts[PRICE_CONTEXTS]; /* ascending, 0: unused */
	uint32_t reasoning_model;	   /* supports_reasoning */
	/* Bit i: what kind i costs may be more than these rates say. */
	uint32_t understated;
	struct price_rate rates[];
};

struct price_blob {
	uint32_t size; /* bytes in all */
	uint32_t nentries;
	uint64_t version;
	int64_t time_ms;     /* when it came into force, wall clock */
	uint32_t nbuckets;   /* power of two */
	uint32_t buckets_at; /* offset of uint32 offsets of entries, open
				addressing by FNV-1a of name; 0: empty */
	uint32_t entries_at; /* offset of the first entry */
	uint32_t crc;	     /* CRC-32 of everything behind this head */
};

_Static_assert(sizeof(struct price_rate) == 24, "shared layout");
_Static_assert(sizeof(struct price_entry) == 264, "shared layout");
_Static_assert(sizeof(struct price_blob) == 40, "shared layout");

/*
 * Checks sizes, offsets and CRC; for what comes from outside the process.
 * A blob that passes can be read without further checks.
 */
bool price_blob_valid(const struct price_blob *, size_t size);
/* The entry of exactly that name, or NULL. */
const struct price_entry *price_blob_find(
    const struct price_blob *, struct span name);
/* Walks all entries: start with NULL; NULL at the end. */
const struct price_entry *price_blob_next(
    const struct price_blob *, const struct price_entry *);
uint32_t price_hash(struct span name);
/* CRC-32 (IEEE) of what the head's crc covers; size must be believed. */
uint32_t price_blob_crc(const struct price_blob *);

#endif
