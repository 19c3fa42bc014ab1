/*
 * Published tables: keys, accounts, agents (two copies and a sequence a
 * row, changed in place) and price versions (three buffers and an index).
 * Billing writes; workers read from a mapping that cannot be made writable.
 *
 * A row's sequence grows by one with each change; copy seq & 1 is in force.
 * A reader takes a copy and looks at the sequence again; a writer that dies
 * leaves the sequence alone, so nobody ever waits for it.
 */
#ifndef SHM_PUBTAB_H
#define SHM_PUBTAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/pricetab.h"
#include "shm/shm.h"

#define PUB_NAME_MAX 64

struct pub_key {
	uint8_t hash[32];     /* SHA-256 of the key */
	uint8_t old_hash[32]; /* still good until old_until_ms */
	int64_t old_until_ms;
	int64_t expires_ms; /* 0: never */
	uint64_t tpm;	    /* 0: no limit, as the next two */
	uint32_t rpm, concurrency;
	uint32_t number; /* in the store */
	uint32_t account_row;
	uint32_t revoked; /* 1: new requests refused; 2: cut running ones */
	uint32_t pad;
	char id[24];
	char name[PUB_NAME_MAX];
	char models[192]; /* comma-separated globs; "" all */
};

struct pub_account {
	uint32_t id;
	uint32_t disabled;
	uint32_t unlimited; /* overdraft unlimited */
	uint32_t pad;
	/*
	 * What `available` is made of, for limits that several hubs share:
	 * what the store had at the account's change number store_seq, less
	 * what this hub has booked and the store has not. version grows with
	 * each publication, through restarts, and is below 2^53.
	 */
	int64_t store_seq;
	int64_t store_available; /* nano-dollars, rounded down */
	int64_t owed;		 /* nano-dollars, rounded up */
	int64_t version;
	char name[PUB_NAME_MAX];
	char balance[96], spent[96], overdraft[96]; /* exact, for people */
};

struct pub_agent {
	uint32_t id;
	uint32_t replicas;
	uint32_t revoked, draining;
	uint8_t token_hash[32];
	char name[PUB_NAME_MAX];
	char models[192], providers[128]; /* rights: globs; "" all */
};

#define PUB_ROW(type)                                                        \
	struct type##_row {                                                  \
		_Atomic uint32_t seq; /* 0: never written */                 \
		uint32_t pad;                                                \
		_Atomic int64_t available; /* accounts: balance + overdraft, \
					      nano-dollars rounded down */   \
		struct type copy[2];                                         \
	} __attribute__((aligned(64)))
PUB_ROW(pub_key);
PUB_ROW(pub_account);
PUB_ROW(pub_agent);

/* ---- readers ------------------------------------------------------------- */

/* A consistent copy of a row in use; false if there is none. */
bool pub_key_read(const struct shm *, uint32_t row, struct pub_key *);
bool pub_account_read(const struct shm *, uint32_t row, struct pub_account *);
bool pub_agent_read(const struct shm *, uint32_t row, struct pub_agent *);
const _Atomic int64_t *pub_available(const struct shm *, uint32_t account_row);

/* By SHA-256 of what was presented; true for the current or the old hash
 * (while it is good at now_ms). *row is the row. */
bool pub_key_find(const struct shm *, const uint8_t hash[32], int64_t now_ms,
    uint32_t *row, struct pub_key *);
/* By token hash or by id; false if unknown or revoked. */
bool pub_agent_find(const struct shm *, const uint8_t token_hash[32],
    uint32_t *row, struct pub_agent *);
bool pub_agent_by_id(
    const struct shm *, uint32_t id, uint32_t *row, struct pub_agent *);

/* The version in force; NULL before the first. Good until the process
 * sleeps (rule 8): copy what has to live longer. */
const struct price_blob *pub_prices(const struct shm *);

/* ---- billing ------------------------------------------------------------- */

void pub_key_write(const struct shm *, uint32_t row, const struct pub_key *);
/* Enters a hash that its row has been written with into the index; false: it
 * is full. */
bool pub_key_index(const struct shm *, const uint8_t hash[32], uint32_t row);
void pub_account_write(const struct shm *, uint32_t row,
    const struct pub_account *, int64_t available);
void pub_agent_write(
    const struct shm *, uint32_t row, const struct pub_agent *);
/*
 * Copies a sealed blob into a buffer that no live process can still read
 * and makes it the version in force. false: no buffer is free yet (a process
 * has not passed its epoch): try again in a moment.
 */
bool pub_prices_publish(const struct shm *, const struct price_blob *);

#endif
