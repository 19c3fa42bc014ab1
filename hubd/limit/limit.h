/*
 * Limits: what an admission takes and gives back. A limiter is one file
 * with one table; the local one keeps everything in shared memory and
 * answers at once, the one of several hubs asks Redis and answers later:
 * admit() therefore takes a continuation.
 */
#ifndef HUBD_LIMIT_LIMIT_H
#define HUBD_LIMIT_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/ids.h"
#include "common/money.h"
#include "common/monotime.h"
#include "hubd/api/api.h"
#include "shm/cells.h"
#include "shm/process.h"

#define SHARE_WHOLE 100

struct lease; /* what a limiter remembers of a call that it has admitted */

struct admission {
	/* asked */
	process_ref_t me;
	req_id_t id;
	uint32_t account, key; /* in the store */
	uint32_t account_row, key_row;
	uint32_t rpm, concurrency; /* 0: no limit */
	uint64_t tpm, tokens;	   /* estimated, of this request */
	nanousd_t hold;
	bool soft;	/* take what is left if the hold does not fit */
	bool unlimited; /* the account has no bottom */
	uint32_t share; /* percent of the money that may be taken */
	/* answered; the limits themselves may be less than was asked for */
	bool took_rate, took_live, took_money;
	nanousd_t held;
	int64_t retry_ms;    /* of a refusal by rate */
	struct lease *lease; /* the limiter's; NULL: there is none */
	void *arg;	     /* the caller's */
};

typedef void admit_fn(struct admission *, enum api_error);

/* A limiter's own struct begins with this. */
struct limiter {
	const struct limiter_ops *ops;
	const struct shm *shm;
};

struct limiter_ops {
	const char *name; /* "local", "redis" */
	/*
	 * Checks all, then takes all; a refusal has taken nothing. Calls
	 * done once, perhaps before it returns, with API_OK or API_ERR_
	 * {rate_limited,concurrency_limited,insufficient_balance}, or
	 * overloaded: nobody can say. Until then the admission stays.
	 */
	void (*admit)(struct limiter *, struct admission *, monotime_t now,
	    admit_fn *done);
	/*
	 * The call is over: gives back the live call and changes the hold
	 * to cost, which stays on the cell until billing has booked it;
	 * tokens really used replace the estimate. The caller keeps the
	 * lease for booked().
	 */
	void (*settle)(struct limiter *, struct admission *, nanousd_t cost,
	    uint64_t tokens, monotime_t now);
	/* Its row is booked and the balance published: the lease ends. */
	void (*booked)(struct limiter *, struct lease *, monotime_t now);
	/* Nothing came of it (never opened): gives everything back. */
	void (*cancel)(struct limiter *, struct admission *, monotime_t now);
	void (*free)(struct limiter *);
};

struct limiter *limiter_local_new(const struct shm *);

#endif
