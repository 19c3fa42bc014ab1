/*
 * AWS credentials: what they are, and where they are looked for when the
 * configuration has none, in the order of AWS's own clients: environment,
 * shared credentials file, container, instance.
 */
#ifndef AGENTD_AWS_KEYS_H
#define AGENTD_AWS_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

struct aws_keys {
	char *access, *secret;
	char *token; /* of temporary keys, else NULL */
};

/* Wipes and frees; all zeroes is valid, and so it is left. */
void aws_keys_fini(struct aws_keys *);
/* Copies; token may be empty. */
void aws_keys_set(struct aws_keys *, struct span access, struct span secret,
    struct span token);

enum aws_found {
	AWS_FOUND,
	AWS_NONE,
	AWS_WRONG, /* what was asked for is not there or not whole */
};

/* AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN. */
enum aws_found aws_keys_of_environment(struct aws_keys *, const char **why);
/*
 * The profile AWS_PROFILE, else "default", of AWS_SHARED_CREDENTIALS_FILE,
 * else of ~/.aws/credentials. Only one that is named must be there.
 */
enum aws_found aws_keys_of_profile(struct aws_keys *, const char **why);
/* The keys of one profile in the text of such a file. */
enum aws_found aws_keys_parse(
    struct aws_keys *, struct span text, const char *profile);

/*
 * The answer of a container's or an instance's server: AccessKeyId,
 * SecretAccessKey, Token, Expiration. now_ms is the server's time, since
 * 1970. false: it is not that.
 */
bool aws_keys_answer(
    struct aws_keys *, struct span body, int64_t now_ms, int64_t *life_ms);

/* As one secret (agentd/token.h) and back. */
void aws_keys_pack(const struct aws_keys *, struct buf *out);
bool aws_keys_unpack(struct aws_keys *, struct span);

#endif
