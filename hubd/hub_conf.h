/*
 * hubd.conf as a struct. One table (options.def) says for each option its
 * type, default, which roles see it and whether a reload changes it; the
 * parser, the serialiser, the manual's test and -n all use that table.
 */
#ifndef HUBD_HUB_CONF_H
#define HUBD_HUB_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/conf.h"
#include "shm/process.h"

enum hub_unpriced { UNPRICED_REFUSE, UNPRICED_FREE };
enum hub_disconnect { DISCONNECT_CANCEL, DISCONNECT_DRAIN };
enum hub_log_format { LOG_FORMAT_JSON, LOG_FORMAT_LOGFMT };
enum hub_hold { HOLD_STRICT, HOLD_SOFT };

/* How one of several is picked: id and word. */
#define ROUTE_STRATEGIES(X)   \
	X(LOAD, "load")       \
	X(LATENCY, "latency") \
	X(PRICE, "price")
#define STRATEGY_ID(id, word) STRATEGY_##id,
enum route_strategy { ROUTE_STRATEGIES(STRATEGY_ID) };
#undef STRATEGY_ID

#define HUB_ROUTES 64 /* sections of them */

/* Where requests for a name go (section route). */
struct hub_route {
	char *name;		 /* that users ask for */
	struct conf_list models; /* any of these serves it */
	struct conf_list
	    fallback; /* models or routes, when none of them does */
	enum route_strategy strategy;
	uint32_t retries; /* of models, and of each fallback: attempts after
			     the first */
	int64_t max_wait; /* ms from the first attempt to the last one's
			     begin */
};

/* Milliseconds each. */
struct hub_timeouts {
	int64_t handshake, header, body, first_byte, idle, total, write,
	    keepalive;
	int64_t drain;
};

struct hub_conf {
	char *path; /* of the file, for messages */
	struct conf_list listen, admin_listen, prices;
	uint32_t workers; /* 0 has become the number of cores */
	char *state_dir, *run_dir, *store, *limits;
	char *user, *admin_group;
	char *log, *access_log;
	enum hub_log_format log_format; /* of access_log */
	uint32_t log_level;		/* enum log_level */
	enum hub_unpriced unpriced;
	enum hub_disconnect on_disconnect;
	bool on_disconnect_set; /* the file names it: no per-model default */
	enum hub_hold hold;
	char *default_route; /* a model's or route's name, or NULL */
	struct hub_route *routes;
	size_t nroutes;
	uint64_t max_body, buffer_memory, retry_memory, body_memory;
	bool objects; /* files, batches and stored responses are offered */
	uint32_t max_calls, max_keys, max_accounts, max_agents, max_objects;
	uint32_t max_attempts;
	int64_t link_max_age;
	int64_t ledger_keep;		    /* ms; 0: for ever */
	uint32_t limit_share;		    /* percent */
	int64_t limit_timeout, limit_lease; /* ms */
	bool limit_strict;
	struct conf_list certificate, key; /* pairs; none: no TLS */
	uint32_t max_handshakes;
	struct hub_timeouts timeout;
};

/* In conf_option.mark: who sees an option, and whether a reload changes it. */
#define HUB_FOR_WORKER	1
#define HUB_FOR_BILLING 2
#define HUB_FOR_ADMIN	4
#define HUB_FOR_ALL	7
#define HUB_LIVE	8

/*
 * Reads and checks a file. NULL refuses it; error then says why, with file
 * and line. The caller frees it with hub_conf_free().
 */
struct hub_conf *hub_conf_read(const char *path, char *error, size_t cap);
void hub_conf_free(struct hub_conf *); /* NULL is fine */

/* fresh with what only a start can change taken from old; tells of each
 * such option that differs. Both stay the caller's, as the result is. */
struct hub_conf *hub_conf_merge(const struct hub_conf *old,
    const struct hub_conf *fresh, void (*tell)(const char *option));

/* The part that a role may see (the master's: all), as text; and back. */
void hub_conf_serialise(
    const struct hub_conf *, enum process_role, struct buf *);
struct hub_conf *hub_conf_deserialise(const char *text, size_t n);
/*
 * All of it as another version of hubd has it in force. What that one does
 * not know is as in the file, which stays the caller's; NULL: as nothing.
 */
struct hub_conf *hub_conf_inherit(
    const char *text, size_t n, const struct hub_conf *file);

#endif
