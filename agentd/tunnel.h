/*
 * Connections that libcurl makes (CONNECT_ONLY): names, proxies with their
 * logins, CONNECT, TLS. Hubs and providers are reached by this one way, and
 * what comes out is a connection like any other.
 */
#ifndef AGENTD_TUNNEL_H
#define AGENTD_TUNNEL_H

#include <stdbool.h>

#include "common/conn.h"
#include "common/loop.h"

struct tunnels; /* what all have in common: names looked up, TLS sessions,
		   certificates to trust */
struct tunnel;	/* one that is being made */

enum tunnel_end {
	TUNNEL_OK,
	TUNNEL_REFUSED, /* nobody listens there */
	TUNNEL_CONNECT, /* no connection for another reason */
	TUNNEL_TLS,
	TUNNEL_TIMEOUT,
};

struct tunnel_options {
	const char *url;   /* http:// or https://; the path does not matter */
	const char *proxy; /* NULL: none; else the one to take in any case */
	/* An HTTP proxy is asked for CONNECT for http://, too. If not, the
	 * connection is to the proxy itself. */
	bool through;
	const char *ca_file; /* NULL: the system's */
	/* NULL: one that the host's name has. Else the one to connect to, as
	 * in a URL; the name stays what a certificate is checked against. */
	const char *address;
};

/*
 * Called once, unless cancelled. On success conn is the caller's, without an
 * owner: he sets himself at once. Otherwise conn is NULL and why is for the
 * log.
 */
typedef void tunnel_fn(
    void *arg, struct conn *, enum tunnel_end, const char *why);

struct tunnels *tunnels_new(struct loop *);
/* None is being made any more, and those made are closed. NULL is fine. */
void tunnels_free(struct tunnels *);

/* Options are copied. The callback comes in a later turn. NULL if curl does
 * not take the URL. */
struct tunnel *tunnel_start(
    struct tunnels *, const struct tunnel_options *, tunnel_fn *, void *arg);
/* NULL is fine. */
void tunnel_cancel(struct tunnel *);

#endif
