/*
 * TLS of a server: contexts made of certificates in memory (tls_context.c),
 * and sessions over them (conn_tls.c). OpenSSL's ssl.h is included in these
 * two files alone.
 */
#ifndef COMMON_TLS_H
#define COMMON_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/conn_transport.h"
#include "common/span.h"

/* ---- contexts ------------------------------------------------------------ */

/* A certificate with its chain, and its key: PEM. */
struct tls_pair {
	struct span certificate, key;
	const char *certificate_name, *key_name; /* of files, for messages */
};

struct tls_ticket_key {
	uint8_t name[16], cipher[32], mac[32];
};

/* Tickets are sealed with keys[0] and opened with either. */
struct tls_ticket_keys {
	struct tls_ticket_key keys[2];
};

/* Both new, and unlike any other. */
void tls_ticket_keys_make(struct tls_ticket_keys *);
/* The current one becomes the one before. */
void tls_ticket_keys_rotate(struct tls_ticket_keys *);

struct tls_context;

/*
 * TLS 1.2 and 1.3 and ALPN http/1.1 with these certificates: a client gets
 * the first one that holds for the name it asks for, or the first of all.
 * The PEM is not needed afterwards, the ticket keys are copied. NULL: error
 * says which file is wrong, and how.
 */
struct tls_context *tls_context_new(const struct tls_pair *, size_t n,
    const struct tls_ticket_keys *, char *error, size_t cap);
/* Sessions that began with it go on. NULL is fine. */
void tls_context_free(struct tls_context *);

/* When a certificate ends; 0 if that cannot be told. */
time_t tls_certificate_end(struct span pem);

/* ---- sessions ------------------------------------------------------------ */

struct tls;

enum tls_step {
	TLS_DONE,
	TLS_WANT_READ,	/* again when the descriptor is readable */
	TLS_WANT_WRITE, /* again when it is writable */
	TLS_FAILED,	/* there is nothing to be had */
};

/* A session of a server over a descriptor, which stays the caller's. */
struct tls *tls_accept(struct tls_context *, int fd);
/* The handshake's next step; on TLS_FAILED *why is a static text. */
enum tls_step tls_handshake(struct tls *, const char **why);
/* After the handshake: was an older session resumed? */
bool tls_resumed(const struct tls *);
/* Without a word to the peer unless the handshake was done. */
void tls_free(struct tls *);

/* After the handshake; its state is the struct tls, which it frees. */
extern const struct conn_transport conn_tls;

#endif
