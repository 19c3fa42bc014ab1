/*
 * Looking up all addresses of a name. The system's resolver blocks, so each
 * look-up is made by a thread of its own, and the loop is told of its end.
 */
#ifndef AGENTD_LOOKUP_H
#define AGENTD_LOOKUP_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"

#define LOOKUP_MAX  16 /* addresses of one name; further ones are dropped */
#define LOOKUP_TEXT 64 /* of an address, with terminator */

struct lookup;

struct lookup_address {
	char text[LOOKUP_TEXT]; /* as in a URL: IPv6 in brackets */
	bool ipv6;
};

/*
 * Called once, unless cancelled. Addresses are in the system's order of
 * preference (RFC 6724), each once. n is 0 on failure; then why is for the
 * log.
 */
typedef void lookup_fn(
    void *arg, const struct lookup_address *, size_t n, const char *why);

/* The name is copied. The callback comes in a later turn. NULL: the machine
 * has no thread or descriptor left (logged). */
struct lookup *lookup_start(
    struct loop *, const char *name, lookup_fn *, void *arg);
/* Does not wait for the resolver. NULL is fine. */
void lookup_cancel(struct lookup *);

#endif
