/* Dialling a hub: libcurl makes the connection, we shake hands on it. */
#include "agentd/dial.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agentd/curl_loop.h"
#include "agentd/skew.h"
#include "common/alloc.h"
#include "common/conn_transport.h"
#include "common/crypto.h"
#include "common/http1.h"
#include "common/linkproto.h"
#include "common/log.h"
#include "common/ws.h"

#define CONNECT_MS  10000L
#define DIAL_MS	    20000 /* for all of it */
#define DNS_CACHE_S 60L
#define TLS_BLOCK   16384 /* a record's most */

/* A connection that curl made; its descriptor is curl's, conn has a copy. */
struct tunnel {
	struct loop *loop;
	struct curl_loop *cl;
	CURL *easy;
	bool full; /* the last read took all it asked for */
	bool tls;
	/*
	 * After a full socket TLS wants the same bytes again from the same
	 * address, and the owner's buffer may have moved meanwhile: so it
	 * writes from here. pending is what it is still to take.
	 */
	char block[TLS_BLOCK];
	size_t pending;
};

struct dial {
	struct loop *loop;
	struct tunnel *tunnel; /* until a conn has it */
	struct conn *conn;
	struct loop_timer *timer;
	dial_fn *fn;
	void *arg;
	char *url, *token;
	unsigned slot;
	char key[25];
	size_t scanned;
	monotime_t asked_at;
	char curl_error[CURL_ERROR_SIZE];
};

/* ---- the transport ------------------------------------------------------ */

static ssize_t
tunnel_read(void *state, int fd, void *p, size_t n)
{
	struct tunnel *t = state;
	size_t got = 0;
	CURLcode code = curl_easy_recv(t->easy, p, n, &got);

	(void)fd;
	t->full = code == CURLE_OK && got == n;
	if (code == CURLE_AGAIN)
		return (CONN_IO_WANT_READ);
	if (code != CURLE_OK)
		return (CONN_IO_ERROR);
	return (got == 0 ? CONN_IO_EOF : (ssize_t)got);
}

/* One piece. CONN_IO_WANT_WRITE: none of it was taken. */
static ssize_t
send_piece(struct tunnel *t, const char *p, size_t n)
{
	size_t sent = 0;
	CURLcode code;

	if (t->tls) {
		if (t->pending == 0) {
			t->pending = n < TLS_BLOCK ? n : TLS_BLOCK;
			memcpy(t->block, p, t->pending);
		}
		assert(t->pending <= n);
		p = t->block;
		n = t->pending;
	}
	code = curl_easy_send(t->easy, p, n, &sent);
	if (code == CURLE_AGAIN)
		return (CONN_IO_WANT_WRITE);
	t->pending = 0;
	return (code == CURLE_OK ? (ssize_t)sent : CONN_IO_ERROR);
}

static ssize_t
tunnel_write(void *state, int fd, const void *p, size_t n)
{
	const char *from = p;
	size_t done = 0;
	ssize_t sent = 0;

	(void)fd;
	while (done < n) {
		sent = send_piece(state, from + done, n - done);
		if (sent < 0)
			break;
		done += (size_t)sent;
	}
	return (done > 0 && sent != CONN_IO_ERROR ? (ssize_t)done : sent);
}

static bool
tunnel_pending(void *state)
{
	return (((struct tunnel *)state)->full);
}

static bool
tunnel_end(void *state, int fd)
{
	(void)state;
	shutdown(fd, SHUT_WR);
	return (true);
}

static void
tunnel_free(void *state)
{
	struct tunnel *t = state;

	curl_multi_remove_handle(curl_loop_multi(t->cl), t->easy);
	curl_easy_cleanup(t->easy);
	curl_loop_free(t->cl);
	free(t);
}

static const struct conn_transport tunnel_transport = {
    .read = tunnel_read,
    .write = tunnel_write,
    .pending = tunnel_pending,
    .end = tunnel_end,
    .free = tunnel_free,
};

/* ---- the end of dialling ------------------------------------------------ */

static void
dial_free(struct dial *d)
{
	if (d->tunnel != NULL)
		tunnel_free(d->tunnel);
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

	if (r->status == 401 || r->status == 403)
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
on_connected(void *arg, CURL *easy, CURLcode code)
{
	struct dial *d = arg;
	struct tunnel *t = d->tunnel;
	char why[CURL_ERROR_SIZE];
	curl_socket_t fd = CURL_SOCKET_BAD;
	int copy;

	if (code != CURLE_OK) {
		snprintf(why, sizeof(why), "%s",
		    d->curl_error[0] != '\0' ? d->curl_error
					     : curl_easy_strerror(code));
		dial_fail(d, why);
		return;
	}
	curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
	copy = fd == CURL_SOCKET_BAD ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy == -1) {
		dial_fail(d, "no descriptor for the connection");
		return;
	}
	/* The tunnel outlives the dial and its error buffer. */
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL);
	d->tunnel = NULL;
	d->conn =
	    conn_new_over(d->loop, copy, &tunnel_transport, t, on_conn, d);
	send_handshake(d);
}

static void
on_timeout(void *arg)
{
	dial_fail(arg, "timed out");
}

static void
set_options(struct dial *d, const struct dial_options *o)
{
	CURL *e = d->tunnel->easy;
	char *url = xasprintf("http%s", o->url + 2); /* ws, wss */

	curl_easy_setopt(e, CURLOPT_URL, url);
	free(url);
	curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, d->curl_error);
	/* Without this the environment would choose a proxy. */
	curl_easy_setopt(e, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
	curl_easy_setopt(e, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(e, CURLOPT_PROXYAUTH, CURLAUTH_ANY);
	if (o->ca_file != NULL)
		curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
}

struct dial *
dial_start(
    struct loop *loop, const struct dial_options *o, dial_fn *fn, void *arg)
{
	struct dial *d = xcalloc(1, sizeof(*d));
	struct tunnel *t = xcalloc(1, sizeof(*t));

	d->loop = t->loop = loop;
	d->fn = fn;
	d->arg = arg;
	d->url = xstrdup(o->url);
	d->token = xstrdup(o->token);
	d->slot = o->slot;
	d->tunnel = t;
	t->tls = strncasecmp(o->url, "wss:", 4) == 0;
	t->cl = curl_loop_new(loop, on_connected, d);
	if ((t->easy = curl_easy_init()) == NULL)
		abort();
	set_options(d, o);
	d->timer = loop_timer_new(loop, on_timeout, d);
	loop_timer_set_ms(d->timer, DIAL_MS);
	if (curl_multi_add_handle(curl_loop_multi(t->cl), t->easy) != CURLM_OK)
		abort();
	return (d);
}

void
dial_cancel(struct dial *d)
{
	if (d != NULL)
		dial_free(d);
}
