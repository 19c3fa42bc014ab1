/*
 * The commands of hubctl that billing answers, itself or by an errand: one
 * function a command (cmd_*.c), checked arguments in, `data` or a refusal
 * out. An errand's struct billing has conf, shm (to be read), ops and store,
 * sink, and of the directories names and rows.
 */
#ifndef HUBD_BILLING_COMMANDS_H
#define HUBD_BILLING_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/json.h"
#include "hubd/billing/billing.h"
#include "hubd/ctlproto.h"

/* Sends what is ready of an answer, and consumes it. */
typedef void reply_flush_fn(void *arg, struct buf *out);

struct reply {
	struct jout j; /* the value of "data" goes here */
	bool refused;
	bool keep_data; /* also of a refusal */
	char error[512];
	uint32_t cookie; /* not 0: answered later, by control_reloaded() */
	/* reply.c's own */
	struct buf data; /* what j writes to, or the next piece of a stream */
	struct buf *out;
	reply_flush_fn *flush; /* NULL: out takes it all */
	void *arg;
	bool stream;
	bool begun; /* some of it is in out, or sent */
};

/*
 * Answers one request line: appends the answer, newline included, to out
 * and returns 0; or returns a cookie for which control_reloaded() will be
 * called. With flush, which an errand has, a long answer goes out through it
 * while it is made, but for its end, which stays in out.
 */
uint32_t command_run(struct billing *, struct span line, struct buf *out,
    reply_flush_fn *flush, void *arg);
/* Is that a request for an errand, where billing must not wait for it? */
bool command_is_errand(const struct billing *, struct span line);
/* An answer that refuses. */
void command_refuse(const char *why, struct buf *out);
/* The answer to a reload. error NULL: done. */
void command_reloaded(struct billing *, const char *error, struct buf *out);

/* ---- reply.c: for who runs commands -------------------------------------- */

void reply_begin(
    struct reply *, struct buf *out, reply_flush_fn *flush, void *arg);
/* Completes the answer, unless it comes later; frees what it held. */
void reply_end(struct reply *);

/* ---- reply.c: for commands ----------------------------------------------- */

/* Behind each element of a list that may be long: what has gathered goes
 * out. */
void reply_more(struct reply *);
/* The answer is no document but bytes, in any amount; j is of no use then.
 * Refusing is good before and after it has begun. */
void reply_stream_begin(struct reply *);
void reply_stream_write(struct reply *, const void *, size_t);

/* Refuses; the text is for people. */
void reply_refuse(struct reply *, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Refuses in the words for what the store says; false: it said OK. thing is
 * "account acme". */
bool reply_store(
    struct reply *, enum ledger_result, const char *thing, const char *name);

/* [A-Za-z0-9._-]{1,63}, not - first; else refuses. */
bool check_name(struct reply *, const char *what, const char *name);
/* 1 to 200 bytes; else refuses. NULL is fine. */
bool check_text(struct reply *, const char *what, const char *text);
/* A list of globs, none of them empty, that fits into cap; else refuses. NULL
 * is fine. */
bool check_list(struct reply *, const char *what, const char *list, size_t cap);
/* "a,b*" as ["a","b*"]. */
void put_list(struct jout *, const char *key, const char *list);
#define TIME_TEXT 48
/* "2026-01-31T08:00:00.123Z"; false and "" for 0 and what is no time. */
bool format_time(int64_t ms, char out[TIME_TEXT]);
/* The same as a member; null for 0. */
void put_time(struct jout *, const char *key, int64_t ms);

/* The account of that name, or 0 with a refusal. */
uint32_t find_account(struct billing *, struct reply *, const char *name);
/* What each_row() says: as reply_store(), and rows of a month that is not here
 * are told of. */
bool reply_rows(struct reply *, enum ledger_result);
/* A row of the ledger as an object. */
void put_row(struct jout *, const struct ledger_row *);
/* {"input":12,"output":3} as member "usage". */
void put_usage(struct jout *, const struct usage *);
/* account, since and until of a request as a filter without a limit; false:
 * refused. */
bool read_filter(struct billing *, const struct json *args, struct reply *,
    struct ledger_filter *);
/* The data of a reload that is done. */
void cmd_reload_data(struct billing *, struct jout *);
/* One element of "accounts". */
void put_account(
    struct billing *, struct jout *, const struct ledger_account *);

#define BILLING_COMMAND(id) \
	void cmd_##id(struct billing *, const struct json *, struct reply *);
#define COMMAND(id, words, who, usage, ...) WHO_##who(id)
#define WHO_SHM(id)
#define WHO_BILLING(id) BILLING_COMMAND(id)
#define WHO_QUERY(id)	BILLING_COMMAND(id)
#define WHO_CHANGE(id)	BILLING_COMMAND(id)
#include "hubd/commands.def"
#undef COMMAND
#undef WHO_SHM
#undef WHO_BILLING
#undef WHO_QUERY
#undef WHO_CHANGE

#endif
