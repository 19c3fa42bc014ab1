/*
 * What workers need for TLS, in a sealed file without a name: certificates,
 * keys and ticket keys. The master makes it, workers alone get it, and it
 * is never in shared memory.
 */
#ifndef HUBD_TLS_PACK_H
#define HUBD_TLS_PACK_H

#include "common/tls.h"
#include "hubd/hub_conf.h"

/*
 * Reads and checks the files that the configuration names. The descriptor
 * of the sealed file, the caller's; -1: error names the file and what is
 * wrong with it.
 */
int tls_pack_make(const struct hub_conf *, const struct tls_ticket_keys *,
    char *error, size_t cap);
/* When the certificate in that file ends; 0 if that cannot be told. */
time_t tls_pack_end(const char *path);
/* The same certificates with other ticket keys; -1 with errno. */
int tls_pack_renew(int fd, const struct tls_ticket_keys *);
/* A context of what is in it; NULL with error. */
struct tls_context *tls_pack_open(int fd, char *error, size_t cap);

#endif
