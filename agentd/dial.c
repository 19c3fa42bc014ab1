/* Dialling a hub: a tunnel to it, and the handshake of WebSocket on that. */
#include "agentd/dial.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/skew.h"
#include "common/alloc.h"
#include "common/crypto.h"
#include "common/http1.h"
#include "common/linkproto.h"
#include "common/log.h"
#include "common/ws.h"

#define DIAL_MS 20000 /* for all of it */

struct dial {
	struct loop *loop;
	struct tunnel *tunnel; /* NULL: it is there */
	struct conn *conn;
	struct loop_timer *timer;
	dial_fn *fn;
	void *arg;
	char *url, *token;
	unsigned slot;
	char key[25];
	size_t scanned;
	monotime_t asked_at;
};

/* ---- the end of dialling ------------------------------------------------ */

static void
dial_free(struct dial *d)
{
	tunnel_cancel(d->tunnel);
	if (d->conn != NULL)
		conn_close(d->conn, CONN_CLOSE_NOW);
	loop_timer_free(d->timer);
	crypto_wipe(d->token, strlen(d->token));
	free(d->token);
	free(d->url);
	d->token = d->url = NULL;
	loop_free_later(d->loop, d);
}

static void
dial_fail(struct dial *d, const char *why)
{
	dial_fn *fn = d->fn;
	void *arg = d->arg;

	dial_free(d);
	fn(arg, NULL, why);
}

static void
dial_succeed(struct dial *d)
{
	dial_fn *fn = d->fn;
	struct conn *conn = d->conn;
	void *arg = d->arg;

	d->conn = NULL;
	dial_free(d);
	fn(arg, conn, NULL);
}

/* ---- the handshake ------------------------------------------------------ */

static const char *
after_scheme(const char *url)
{
	return (strstr(url, "://") + 3);
}

static void
send_handshake(struct dial *d)
{
	const char *authority = after_scheme(d->url);
	const char *path = strchr(authority, '/');
	struct buf *out = conn_out(d->conn);

	d->asked_at = monotime_now();
	ws_make_key(d->key);
	buf_addf(out,
	    "GET %s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Protocol: %s\r\n"
	    "Authorization: Bearer %s\r\nUser-Agent: agentd/%s\r\n" LINK_H_SLOT
	    ": %u\r\n\r\n",
	    path, (int)(path - authority), authority, d->key, LINK_SUBPROTOCOL,
	    d->token, VERSION, d->slot);
	conn_flush_later(d->conn);
}

static struct span
find(const struct http1_response *r, const char *name)
{
	size_t i;

	for (i = 0; i < r->nfields; i++)
		if (span_ieq(r->fields[i].name, span_str(name)))
			return (r->fields[i].value);
	return (SPAN(""));
}

/* NULL if the hub has agreed to all, else what is wrong. */
static const char *
check_answer(struct dial *d, const struct http1_response *r)
{
	static char status[64];
	char accept[WS_ACCEPT_SIZE];

	if (r->status == 401)
		return ("the hub does not know our token");
	if (r->status != 101) {
		snprintf(
		    status, sizeof(status), "the hub answers %d", r->status);
		return (status);
	}
	ws_accept(span_str(d->key), accept);
	if (!span_eq(find(r, "sec-websocket-accept"), span_str(accept)) ||
	    !span_ieq(find(r, "upgrade"), SPAN("websocket")) ||
	    !http1_list_has(find(r, "connection"), "upgrade"))
		return ("the answer is no WebSocket handshake");
	if (!span_eq(find(r, "sec-websocket-protocol"), SPAN(LINK_SUBPROTOCOL)))
		return ("the hub does not speak " LINK_SUBPROTOCOL);
	return (NULL);
}

/* Providers that check the time of signatures refuse those of a wrong clock,
 * and what a wrong clock writes into logs misleads. */
static void
compare_clocks(const struct dial *d, const struct http1_response *r)
{
	const struct skew_head h = {
	    .date = find(r, "date"),
	    .age = find(r, "age"),
	    .wall_ms = walltime_ms(),
	    .asked_at = d->asked_at,
	    .came_at = monotime_now(),
	};
	int64_t ms;

	/* Once for all links to that hub. */
	if (d->slot == 0 && skew_measure(&h, &ms) &&
	    (ms > LINK_CLOCK_MS || ms < -LINK_CLOCK_MS))
		log_warnx("our clock is %lld s %s that of the hub at %s",
		    llabs((long long)(ms / 1000)),
		    ms > 0 ? "behind" : "ahead of", d->url);
}

static void
read_answer(struct dial *d)
{
	struct buf *in = conn_in(d->conn);
	struct http1_response r;
	const char *why;

	switch (http1_parse_response(buf_span(in), &d->scanned, &r)) {
	case HTTP1_MORE:
		return;
	case HTTP1_OK:
		why = check_answer(d, &r);
		break;
	case HTTP1_BAD:
	case HTTP1_TOO_LARGE:
	case HTTP1_VERSION:
	case HTTP1_UNSUPPORTED:
	case HTTP1_EXPECT:
	default:
		why = "the answer is not HTTP/1.1";
	}
	if (why != NULL) {
		dial_fail(d, why);
		return;
	}
	compare_clocks(d, &r);
	buf_consume(in, r.size);
	dial_succeed(d);
}

static void
on_conn(struct conn *c, enum conn_event event, void *arg)
{
	struct dial *d = arg;

	assert(d->conn == c);
	switch (event) {
	case CONN_READABLE:
		read_answer(d);
		break;
	case CONN_DRAINED:
		break;
	case CONN_EOF:
	case CONN_ERROR:
		dial_fail(d, "the connection was closed during the handshake");
		break;
	}
}

/* ---- the connection ----------------------------------------------------- */

static void
on_tunnel(void *arg, struct conn *conn, enum tunnel_end end, const char *why)
{
	struct dial *d = arg;

	d->tunnel = NULL;
	if (end != TUNNEL_OK) {
		dial_fail(d, why);
		return;
	}
	d->conn = conn;
	conn_set_owner(conn, on_conn, d);
	send_handshake(d);
}

static void
on_timeout(void *arg)
{
	dial_fail(arg, "timed out");
}

struct dial *
dial_start(struct loop *loop, struct tunnels *tunnels,
    const struct dial_options *o, dial_fn *fn, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));
	char *url = xasprintf("http%s", o->url + 2); /* ws, wss */
	struct tunnel_options to = {
	    .url = url,
	    .proxy = o->proxy,
	    .through = true,
	    .ca_file = o->ca_file,
	    .address = o->address,
	};

	d->loop = loop;
	d->fn = fn;
	d->arg = arg;
	d->url = xstrdup(o->url);
	d->token = xstrdup(o->token);
	d->slot = o->slot;
	d->timer = loop_timer_new(loop, on_timeout, d);
	loop_timer_set_ms(d->timer, DIAL_MS);
	/* A URL that curl does not take was refused with the configuration. */
	if ((d->tunnel = tunnel_start(tunnels, &to, on_tunnel, d)) == NULL)
		abort();
	free(url);
	return (d);
}

void
dial_cancel(struct dial *d)
{
	if (d != NULL)
		dial_free(d);
}
