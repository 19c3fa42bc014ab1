/*
 * Limits: what an admission takes and gives back. A limiter is one file
 * with one table; the local one keeps everything in shared memory and
 * answers at once, one that asks over a network answers later: admit()
 * therefore takes a continuation.
 */
#ifndef HUBD_LIMIT_LIMIT_H
#define HUBD_LIMIT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/money.h"
#include "common/monotime.h"
#include "hubd/api/api.h"
#include "shm/cells.h"
#include "shm/process.h"

struct admission {
	/* asked */
	process_ref_t me;
	uint32_t account_row, key_row;
	uint32_t rpm, concurrency; /* 0: no limit */
	uint64_t tpm, tokens;	   /* estimated, of this request */
	nanousd_t hold;
	bool soft;	/* take what is left if the hold does not fit */
	bool unlimited; /* the account has no bottom */
	/* answered */
	bool took_rate, took_live, took_money;
	nanousd_t held;
	int64_t retry_ms; /* of a refusal by rate */
	void *arg;	  /* the caller's */
};

typedef void admit_fn(struct admission *, enum api_error);

struct limiter_ops {
	const char *name; /* "local" */
	/*
	 * Checks all, then takes all; a refusal has taken nothing. Calls
	 * done once, perhaps before it returns, with API_OK or
	 * API_ERR_{rate_limited,concurrency_limited,insufficient_balance}.
	 */
	void (*admit)(const struct shm *, struct admission *, monotime_t now,
	    admit_fn *done);
	/*
	 * The call is over: gives back the live call and changes the hold
	 * to cost, which stays on the cell until billing has booked it;
	 * tokens really used replace the estimate.
	 */
	void (*settle)(const struct shm *, struct admission *, nanousd_t cost,
	    uint64_t tokens, monotime_t now);
	/* Nothing came of it (never opened): gives everything back. */
	void (*cancel)(const struct shm *, struct admission *, monotime_t now);
};

extern const struct limiter_ops limiter_local;

#endif
