/*
 * Requests to providers over HTTP/1.1, on connections that are kept; how
 * these are made, through which proxy and with TLS, is tunnel.h's. A
 * request's owner hears of the head, the body and the end; it stops the flow
 * by saying that it is full and resumes it when it is not.
 */
#ifndef AGENTD_UPSTREAM_H
#define AGENTD_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/loop.h"
#include "common/span.h"

#define UPSTREAM_MAX_FIELDS 32 /* of an answer's head; others are dropped */

struct tunnels;
struct upstream;     /* all connections to providers */
struct upstream_req; /* one request */

enum upstream_end {
	UPSTREAM_OK,
	UPSTREAM_REFUSED, /* nobody listens there */
	UPSTREAM_CONNECT, /* no connection for another reason */
	UPSTREAM_TLS,
	UPSTREAM_TIMEOUT,
	UPSTREAM_RESET, /* broken off, or not HTTP */
};

struct upstream_field {
	struct span name; /* as sent */
	struct span value;
};

struct upstream_handler {
	/* The head of the final answer; the spans live during the call. */
	void (*on_head)(
	    void *arg, int status, const struct upstream_field *, size_t n);
	/* May more of the body come? If not, upstream_resume() later. */
	bool (*may_take)(void *arg);
	void (*on_body)(void *arg, struct span);
	/* The last call; detail is for the log. The request is freed. */
	void (*on_done)(void *arg, enum upstream_end, const char *detail);
};

struct upstream_options {
	const char *method;
	const char *url;
	const char *const *headers; /* "Name: value", ends with NULL */
	struct span body;	    /* must live until the end; may be empty */
	const char *proxy;	    /* NULL: none */
	bool proxy_loopback;	    /* use the proxy even for this machine */
	const char *ca_file;	    /* NULL: the system's */
	/* Is this field of the answer's head wanted at all? */
	bool (*keep_field)(struct span name);
};

struct upstream *upstream_new(struct loop *, struct tunnels *);
/* Requests may still be cancelled, in this turn. NULL is fine. */
void upstream_free(struct upstream *);

/*
 * Starts a request; options are copied, but the body. NULL if it cannot be
 * sent as it is (a URL that is none). Nothing is called before the next turn.
 * One that meets a kept connection which was closed before any byte of an
 * answer is sent again, once, on a new one.
 */
struct upstream_req *upstream_start(struct upstream *,
    const struct upstream_options *, const struct upstream_handler *,
    void *arg);
/* The owner may take again. Safe inside any callback. */
void upstream_resume(struct upstream_req *);
/*
 * Ends the request now; its connection is closed at once (d19). Nothing is
 * called any more. Safe inside any callback.
 */
void upstream_cancel(struct upstream_req *);

#endif
