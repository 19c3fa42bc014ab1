/* Who asks, and may he: keys and agent tokens against published state. */
#include "hubd/auth/auth.h"

#include <fnmatch.h>
#include <string.h>

#include "common/crypto.h"

#define SECRET_MAX 512 /* longer ones are not ours */

enum api_error
auth_key(const struct shm *shm, struct span presented, int64_t now_ms,
    struct identity *out)
{
	struct pub_account account;
	uint8_t hash[32];

	if (presented.n == 0 || presented.n > SECRET_MAX)
		return (API_ERR_invalid_api_key);
	sha256(presented, hash);
	if (!pub_key_find(shm, hash, now_ms, &out->key_row, &out->key))
		return (API_ERR_invalid_api_key);
	if (out->key.revoked != 0 ||
	    (out->key.expires_ms != 0 && out->key.expires_ms <= now_ms))
		return (API_ERR_invalid_api_key);
	out->account_row = out->key.account_row;
	if (!pub_account_read(shm, out->account_row, &account))
		return (API_ERR_invalid_api_key);
	out->account_id = account.id;
	out->unlimited = account.unlimited != 0;
	return (account.disabled ? API_ERR_account_disabled : API_OK);
}

bool
auth_agent(const struct shm *shm, struct span token, uint32_t *row,
    struct pub_agent *agent)
{
	uint8_t hash[32];

	if (token.n == 0 || token.n > SECRET_MAX)
		return (false);
	sha256(token, hash);
	return (pub_agent_find(shm, hash, row, agent));
}

bool
auth_list_allows(const char *list, const char *name)
{
	char pattern[256];
	size_t n;

	if (*list == '\0')
		return (true);
	for (; *list != '\0'; list += n + (list[n] == ',')) {
		n = strcspn(list, ",");
		if (n == 0 || n >= sizeof(pattern))
			continue;
		memcpy(pattern, list, n);
		pattern[n] = '\0';
		if (fnmatch(pattern, name, 0) == 0)
			return (true);
	}
	return (false);
}

struct span
auth_bearer(struct span value)
{
	static const char scheme[] = "bearer ";
	const size_t n = sizeof(scheme) - 1;

	if (value.n <= n || strncasecmp(value.p, scheme, n) != 0)
		return (span_of(NULL, 0));
	value = span_of(value.p + n, value.n - n);
	while (value.n > 0 && value.p[0] == ' ')
		value = span_of(value.p + 1, value.n - 1);
	return (value);
}
