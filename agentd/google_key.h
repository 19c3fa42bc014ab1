/* The key of a Google service account, and what it signs (RFC 7523). */
#ifndef AGENTD_GOOGLE_KEY_H
#define AGENTD_GOOGLE_KEY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"

struct google_key;

/*
 * Reads the JSON file that Google makes for a service account. NULL: *why is
 * static text that goes on from the option's name.
 */
struct google_key *google_key_load(const char *path, const char **why);
void google_key_free(struct google_key *); /* NULL is fine; wipes it */

/* Where its tokens are, and its project or NULL; the key's. */
const char *google_key_token_uri(const struct google_key *);
const char *google_key_project(const struct google_key *);

/*
 * Appends a signed assertion that asks for a token of that scope, made at
 * now (seconds since 1970) and good for an hour. false: it cannot be signed.
 */
bool google_key_assert(
    struct google_key *, const char *scope, int64_t now, struct buf *out);

#endif
