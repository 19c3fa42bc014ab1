/* The room's own: what a worker remembers for Redis. */
#ifndef HUBD_LIMIT_REDIS_LEASE_H
#define HUBD_LIMIT_REDIS_LEASE_H

#include <sys/queue.h>

#include "hubd/limit/limit_redis.h"

enum lease_state {
	LEASE_ASKED, /* Redis is asked */
	LEASE_LIVE,  /* the call runs: holds amount */
	LEASE_COST,  /* over: amount is the cost, until the row is booked */
	LEASE_GONE,  /* Redis is to forget it, if it has it */
};

struct limiter_redis;

struct lease {
	struct limiter_redis *owner;
	TAILQ_ENTRY(lease) entry, untold_entry;
	char id[REQ_ID_TEXT];
	uint32_t account, account_row, key;
	enum lease_state state;
	bool counts; /* as a call of its key */
	bool untold; /* Redis is to be told */
	bool rated;  /* Redis has taken of the buckets for it */
	nanousd_t amount;
	/* what the buckets in Redis get back once it holds no longer, us */
	int64_t back_requests, back_tokens;
	monotime_t until; /* Redis may have it until then; 0: it has not */
	uint32_t flight;  /* commands under way that name it */
	uint32_t changes; /* so many; to know whether an answer is of the
			     last one */
	/* while it is asked for */
	struct admission *asked;
	admit_fn *done;
	monotime_t asked_at;
};
TAILQ_HEAD(lease_list, lease);

enum redis_state {
	REDIS_AWAY,  /* no connection */
	REDIS_HELLO, /* asked whether it knows us */
	REDIS_KNOWN,
};

struct limiter_redis {
	struct limiter base; /* first */
	struct counter_row *count;
	struct redis_wire wire;
	struct limit_rules rules;
	enum redis_state state;
	int64_t epoch;	  /* when Redis began to know anything; 0: unknown */
	monotime_t young; /* until then others may not have told all */
	char store[40], hub[40];
	struct lease_list leases, untold;
	size_t nleases;
	uint32_t flight; /* commands under way */
	bool telling;
	/* accounts of which this hub owes something, as Redis has it */
	struct redis_listed list[REDIS_LIST_MAX];
	size_t nlist;
	uint32_t list_from;
	/* rows of accounts that were looked at for what this hub owes */
	uint32_t looked_at;
	bool looked; /* at all of them, since Redis was met or lost them */
	/* hellos until those of the list are looked for again that are at
	 * hand in no row */
	unsigned unfound;
};

/* More commands under way than this: Redis is too slow to be asked. */
#define REDIS_FLIGHT_MAX 8192

struct lease *lease_new(struct limiter_redis *, const struct admission *);
/* Changes it; Redis is told. */
void lease_set(struct lease *, enum lease_state, nanousd_t amount);
/* Ends it: freed once Redis does not have it. */
void lease_end(struct lease *);
/* Redis is told of all of them, as of new ones. */
void leases_tell_all(struct limiter_redis *);
/* Renews those that are due; forgets those that Redis has forgotten. */
void leases_tick(struct limiter_redis *, monotime_t now);
void leases_flush(struct limiter_redis *, monotime_t now);
void leases_free(struct limiter_redis *);

/* The five keys that its scripts take. */
void lease_put_keys(
    struct limiter_redis *, struct redis_command *, const struct lease *);

/* What all commands begin with. */
void redis_begin(
    struct limiter_redis *, struct redis_command *, enum redis_script);
/* account, row, and what this hub knows of it */
void redis_put_account(struct limiter_redis *, struct redis_command *,
    uint32_t account, uint32_t row);
/* An answer that cannot be. */
void redis_broken(struct limiter_redis *, const struct redis_reply *);
/* Redis has lost what it knew: hello again. */
void redis_lost(struct limiter_redis *);

#endif
