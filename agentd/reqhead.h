/*
 * The head of a request to a provider: from the URL and the header lines to
 * the bytes that go out, straight to the server or to an HTTP proxy.
 */
#ifndef AGENTD_REQHEAD_H
#define AGENTD_REQHEAD_H

#include <stdbool.h>

#include "common/buf.h"
#include "common/span.h"

struct url {
	bool tls;
	struct span authority; /* as written */
	struct span host;      /* without the brackets of an IPv6 address */
	struct span port;      /* n = 0: the scheme's own */
	struct span target;    /* path and query; may lack the first slash */
};

/*
 * Splits an http or https URL; the spans point into it. false: it is none,
 * or has a login, a fragment, or bytes that may not stand there.
 */
bool url_split(const char *text, struct url *);
/* Is that host this very machine: localhost or a loopback address? */
bool url_is_loopback(const struct url *);

/*
 * Appends the whole head. Host, Accept and what frames the body is added,
 * Host and Accept only if lines (ended by NULL) do not have them; the lines
 * say nothing about the framing. proxy: NULL, or the URL of the HTTP proxy
 * that the request is sent to (RFC 9112 3.2.2), with its login (Basic).
 */
void reqhead_put(struct buf *, const char *method, const struct url *,
    const char *const *lines, size_t body_length, const char *proxy);

#endif
