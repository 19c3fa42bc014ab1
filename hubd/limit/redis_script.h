/*
 * What Redis is asked: the scripts (redis_*.lua, which say what each takes
 * and answers), commands as bytes (RESP2), and answers as numbers. No
 * connection here: that is the worker's.
 */
#ifndef HUBD_LIMIT_REDIS_SCRIPT_H
#define HUBD_LIMIT_REDIS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum redis_script { REDIS_ADMIT, REDIS_KEEP, REDIS_TELL, REDIS_SCRIPTS };

#define REDIS_SHA_TEXT 41

const char *redis_script_text(enum redis_script);
/* The name that Redis gives it: SHA-1 in hexadecimal. */
const char *redis_script_sha(enum redis_script);

/* One call of a script: keys first, then arguments. */
struct redis_command {
	enum redis_script script;
	uint32_t nkeys, nargs;
	struct buf keys, args;
};

void redis_command_init(struct redis_command *, enum redis_script);
void redis_command_fini(struct redis_command *);
void redis_command_key(struct redis_command *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void redis_command_text(struct redis_command *, const char *);
/* Cut to what a double of Lua holds exactly: +-(2^53 - 1). */
void redis_command_int(struct redis_command *, int64_t);
/* Appends EVALSHA, or EVAL with the whole script. */
void redis_command_encode(
    const struct redis_command *, bool whole, struct buf *out);

/* An answer: error NULL and n whole numbers, or why there are none. */
struct redis_reply {
	const char *error;
	const int64_t *v;
	size_t n;
};

#define REDIS_INT_MAX ((INT64_C(1) << 53) - 1)

/* Codes of the scripts' answers. */
enum redis_code {
	LIMIT_TAKEN,
	LIMIT_RATE,
	LIMIT_CONCURRENCY,
	LIMIT_BALANCE,
	LIMIT_LOST
};

struct redis_admitted {
	enum redis_code code;
	int64_t held;			/* nano-dollars */
	int64_t wait_us;		/* of a refusal by rate */
	int64_t requests_us, tokens_us; /* until either bucket is full */
};

/* Checks an answer as input from outside; false: it is none of that script. */
bool redis_read_admitted(
    const struct redis_reply *, int64_t hold, struct redis_admitted *);
bool redis_read_kept(const struct redis_reply *, enum redis_code *);

#define REDIS_LIST_MAX 128
struct redis_listed {
	uint32_t account, row;
};
struct redis_told {
	int64_t epoch;
	int64_t age_us; /* since then */
	struct redis_listed list[REDIS_LIST_MAX];
	size_t n;
};
bool redis_read_told(const struct redis_reply *, struct redis_told *);

#endif
