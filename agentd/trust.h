/*
 * Certificates to trust, each file read once: parsing the system's takes
 * some 30 ms and 1 MiB, too much for every connection.
 */
#ifndef AGENTD_TRUST_H
#define AGENTD_TRUST_H

#include <stdbool.h>

struct trust;
struct trust_store;

/* Has the file certificates, and no broken one? It is not kept. */
bool trust_is_good(const char *file);

struct trust *trust_new(void);
void trust_free(struct trust *); /* NULL is fine */

/*
 * What the file says, read anew if it has changed, with the certificates
 * that folder (NULL: none) has by their hashes. NULL if the file cannot be
 * read or has none. The caller gives it back with trust_unref().
 */
struct trust_store *trust_find(
    struct trust *, const char *file, const char *folder);
void trust_unref(struct trust_store *); /* NULL is fine */
/* Makes OpenSSL's context (an SSL_CTX) trust these and no others. */
void trust_apply(const struct trust_store *, void *ssl_ctx);

#endif
