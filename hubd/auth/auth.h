/*
 * Who asks, and may he: keys and agent tokens against published state.
 */
#ifndef HUBD_AUTH_AUTH_H
#define HUBD_AUTH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/span.h"
#include "hubd/api/api.h"
#include "shm/pubtab.h"

struct identity {
	uint32_t key_row, account_row, account_id;
	bool unlimited; /* the account's overdraft has no bottom */
	struct pub_key key;
};

/*
 * Finds the key that was presented. API_ERR_invalid_api_key for unknown,
 * revoked and expired ones alike; API_ERR_account_disabled.
 */
enum api_error auth_key(const struct shm *, struct span presented,
    int64_t now_ms, struct identity *);

/* The agent of a token; false if unknown or revoked. */
bool auth_agent(
    const struct shm *, struct span token, uint32_t *row, struct pub_agent *);

/*
 * Does a comma-separated list of fnmatch patterns contain the name? An
 * empty list contains everything.
 */
bool auth_list_allows(const char *list, const char *name);

/* The token of "Bearer TOKEN"; n = 0 if the value is not that. */
struct span auth_bearer(struct span value);

#endif
