/*
 * Signatures RSASSA-PKCS1-v1_5 with SHA-256 ("RS256", RFC 7518 3.3). OpenSSL
 * is behind it, as behind common/crypto.h.
 */
#ifndef COMMON_RSA_H
#define COMMON_RSA_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/span.h"

struct rsa_key;

/* Of a private key in PEM, unencrypted. NULL if it is none, or not RSA. */
struct rsa_key *rsa_key_parse(struct span pem);
void rsa_key_free(struct rsa_key *); /* NULL is fine */

/* Appends the signature. false if the library cannot sign. */
bool rsa_key_sign(struct rsa_key *, struct span message, struct buf *out);

#endif
