/*
 * Digests and secrets: SHA-256 and HMAC with it (OpenSSL, whose headers are
 * included here and in rsa.c alone), comparison in constant time, tokens; and
 * SHA-1 for what only names things by it.
 */
#ifndef COMMON_CRYPTO_H
#define COMMON_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/span.h"

#define SHA256_SIZE 32

/* Never fails; ends the process if the library cannot hash at all. */
void sha256(struct span bytes, uint8_t out[SHA256_SIZE]);

#define SHA1_SIZE 20

/* No protection against anybody; fails as sha256() does. */
void sha1(struct span bytes, uint8_t out[SHA1_SIZE]);

/* HMAC (RFC 2104) with SHA-256; fails as sha256() does. */
void hmac_sha256(struct span key, struct span bytes, uint8_t out[SHA256_SIZE]);

/* The time it takes does not depend on where the bytes differ. */
bool crypto_equal(const void *a, const void *b, size_t n);

#define TOKEN_RANDOM 43 /* base62 characters: more than 256 bits */
#define TOKEN_MAX    64 /* prefix and random part, terminator included */

/*
 * Writes prefix ("sk-hub-") and TOKEN_RANDOM random characters of base62,
 * terminated. prefix is at most 20 characters.
 */
void token_make(const char *prefix, char out[TOKEN_MAX]);

/* Overwrites a secret in a way that is not optimised away. */
void crypto_wipe(void *, size_t n);

#endif
