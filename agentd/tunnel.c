/* Connections that libcurl makes. */
#include "agentd/tunnel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "agentd/curl_loop.h"
#include "agentd/trust.h"
#include "common/alloc.h"
#include "common/conn_transport.h"

#define CONNECT_MS  10000L
#define DNS_CACHE_S 60L
#define TLS_BLOCK   16384 /* a record's most */

struct tunnels {
	struct loop *loop;
	CURLSH *share; /* of names; TLS sessions would outlive their trust */
	struct trust *trust;
};

struct tunnel {
	struct loop *loop;
	/* Its own: in a shared one curl closes what it takes for idle. */
	struct curl_loop *cl;
	CURL *easy;
	struct trust_store *trust; /* NULL: curl reads the files */
	struct curl_slist *connect_to;
	bool plain; /* no TLS on it, of any kind */
	tunnel_fn *fn;
	void *arg;
	char error[CURL_ERROR_SIZE];
};

/* A connection under curl's TLS; its descriptor is curl's, conn has a copy. */
struct pipe {
	struct curl_loop *cl;
	CURL *easy;
	bool full; /* the last read took all it asked for */
	/*
	 * After a full socket TLS wants the same bytes again from the same
	 * address, and the owner's buffer may have moved meanwhile: so it
	 * writes from here. pending is what it is still to take.
	 */
	char block[TLS_BLOCK];
	size_t pending;
};

/* ---- the transport ------------------------------------------------------ */

static ssize_t
pipe_read(void *state, int fd, void *p, size_t n)
{
	struct pipe *t = state;
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
send_piece(struct pipe *t, const char *p, size_t n)
{
	size_t sent = 0;
	CURLcode code;

	if (t->pending == 0) {
		t->pending = n < TLS_BLOCK ? n : TLS_BLOCK;
		memcpy(t->block, p, t->pending);
	}
	assert(t->pending <= n);
	code = curl_easy_send(t->easy, t->block, t->pending, &sent);
	if (code == CURLE_AGAIN)
		return (CONN_IO_WANT_WRITE);
	t->pending = 0;
	return (code == CURLE_OK ? (ssize_t)sent : CONN_IO_ERROR);
}

static ssize_t
pipe_write(void *state, int fd, const void *p, size_t n)
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
pipe_pending(void *state)
{
	return (((struct pipe *)state)->full);
}

static bool
pipe_end(void *state, int fd)
{
	(void)state;
	shutdown(fd, SHUT_WR);
	return (true);
}

static void
curl_end(struct curl_loop *cl, CURL *easy)
{
	curl_multi_remove_handle(curl_loop_multi(cl), easy);
	curl_easy_cleanup(easy);
	curl_loop_free(cl);
}

static void
pipe_free(void *state)
{
	struct pipe *t = state;

	curl_end(t->cl, t->easy);
	free(t);
}

static const struct conn_transport pipe_transport = {
    .read = pipe_read,
    .write = pipe_write,
    .pending = pipe_pending,
    .end = pipe_end,
    .free = pipe_free,
};

/* ---- the end of the making ---------------------------------------------- */

static void
tunnel_free(struct tunnel *t)
{
	if (t->cl != NULL)
		curl_end(t->cl, t->easy);
	curl_slist_free_all(t->connect_to);
	trust_unref(t->trust);
	loop_free_later(t->loop, t);
}

/* curl's part is over, or the handle's new owner is the connection. */
static struct conn *
make_conn(struct tunnel *t, int fd)
{
	struct pipe *p;

	if (t->plain)
		return (conn_new(t->loop, fd, NULL, NULL));
	/* The handle outlives the tunnel and what is the tunnel's. */
	curl_easy_setopt(t->easy, CURLOPT_ERRORBUFFER, NULL);
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, NULL);
	p = xcalloc(1, sizeof(*p));
	p->cl = t->cl;
	p->easy = t->easy;
	t->cl = NULL;
	t->easy = NULL;
	return (conn_new_over(t->loop, fd, &pipe_transport, p, NULL, NULL));
}

static enum tunnel_end
end_of(CURL *easy, CURLcode code)
{
	long os_error = 0;

	if (code == CURLE_OPERATION_TIMEDOUT)
		return (TUNNEL_TIMEOUT);
	if (code == CURLE_COULDNT_CONNECT) {
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
		return (
		    os_error == ECONNREFUSED ? TUNNEL_REFUSED : TUNNEL_CONNECT);
	}
	if (code == CURLE_SSL_CONNECT_ERROR ||
	    code == CURLE_PEER_FAILED_VERIFICATION ||
	    code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM ||
	    code == CURLE_SSL_CIPHER || code == CURLE_SSL_ISSUER_ERROR)
		return (TUNNEL_TLS);
	return (TUNNEL_CONNECT);
}

static void
on_connected(void *arg, CURL *easy, CURLcode code)
{
	struct tunnel *t = arg;
	tunnel_fn *fn = t->fn;
	void *fn_arg = t->arg;
	enum tunnel_end end = TUNNEL_CONNECT;
	curl_socket_t fd = CURL_SOCKET_BAD;
	char why[CURL_ERROR_SIZE] = "no descriptor for the connection";
	struct conn *conn = NULL;
	int copy = -1;

	if (code != CURLE_OK) {
		end = end_of(easy, code);
		snprintf(why, sizeof(why), "%s",
		    t->error[0] != '\0' ? t->error : curl_easy_strerror(code));
	} else {
		curl_easy_getinfo(easy, CURLINFO_ACTIVESOCKET, &fd);
		if (fd != CURL_SOCKET_BAD)
			copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	}
	if (copy != -1) {
		conn = make_conn(t, copy);
		end = TUNNEL_OK;
	}
	tunnel_free(t);
	fn(fn_arg, conn, end, conn == NULL ? why : NULL);
}

/* ---- starting ----------------------------------------------------------- */

static bool
has_scheme(const char *url, const char *scheme)
{
	return (strncasecmp(url, scheme, strlen(scheme)) == 0);
}

static CURLcode
cb_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
	(void)easy;
	trust_apply(arg, ssl_ctx);
	return (CURLE_OK);
}

/*
 * curl calls this for the TLS of a proxy, too, and cannot say so: there it
 * reads the files itself. So it does with a file that is none, and says why.
 */
static void
set_trust(struct tunnel *t, struct trust *trust, const char *ca_file)
{
	char *file = NULL, *folder = NULL;
	CURL *e = t->easy;

	if (ca_file == NULL) {
		curl_easy_getinfo(e, CURLINFO_CAINFO, &file);
		curl_easy_getinfo(e, CURLINFO_CAPATH, &folder);
		if (file != NULL)
			t->trust = trust_find(trust, file, folder);
	} else {
		t->trust = trust_find(trust, ca_file, NULL);
		curl_easy_setopt(e, CURLOPT_CAINFO, ca_file);
		/* In place of the system's, not beside them. */
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	if (t->trust == NULL)
		return;
	curl_easy_setopt(e, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_FUNCTION, cb_ssl_ctx);
	curl_easy_setopt(e, CURLOPT_SSL_CTX_DATA, t->trust);
}

static void
set_address(struct tunnel *t, const char *address)
{
	char *to = xasprintf("::%s:", address); /* any host and port: there */

	if ((t->connect_to = curl_slist_append(NULL, to)) == NULL)
		abort();
	curl_easy_setopt(t->easy, CURLOPT_CONNECT_TO, t->connect_to);
	free(to);
}

static void
set_options(struct tunnel *t, struct tunnels *all,
    const struct tunnel_options *o, bool proxy_tls)
{
	CURL *e = t->easy;

	curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* Or removing a handle waits for its name server. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	curl_easy_setopt(e, CURLOPT_SHARE, all->share);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
	/* Without these the environment would choose the proxy. */
	curl_easy_setopt(e, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
	curl_easy_setopt(e, CURLOPT_NOPROXY, "");
	curl_easy_setopt(e, CURLOPT_HTTPPROXYTUNNEL, o->through ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_PROXYAUTH, CURLAUTH_ANY);
	if (o->address != NULL)
		set_address(t, o->address);
	if (!proxy_tls && has_scheme(o->url, "https:"))
		set_trust(t, all->trust, o->ca_file);
	else if (o->ca_file != NULL) {
		curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
}

struct tunnel *
tunnel_start(struct tunnels *all, const struct tunnel_options *o, tunnel_fn *fn,
    void *arg)
{
	struct tunnel *t = xcalloc(1, sizeof(*t));
	bool proxy_tls = o->proxy != NULL && has_scheme(o->proxy, "https:");

	t->loop = all->loop;
	t->fn = fn;
	t->arg = arg;
	t->plain = !proxy_tls && has_scheme(o->url, "http:");
	t->cl = curl_loop_new(t->loop, on_connected, t);
	if ((t->easy = curl_easy_init()) == NULL)
		abort();
	set_options(t, all, o, proxy_tls);
	if (curl_easy_setopt(t->easy, CURLOPT_URL, o->url) == CURLE_OK &&
	    curl_multi_add_handle(curl_loop_multi(t->cl), t->easy) == CURLM_OK)
		return (t);
	tunnel_free(t);
	return (NULL);
}

void
tunnel_cancel(struct tunnel *t)
{
	if (t != NULL)
		tunnel_free(t);
}

struct tunnels *
tunnels_new(struct loop *loop)
{
	struct tunnels *all = xcalloc(1, sizeof(*all));

	all->loop = loop;
	all->trust = trust_new();
	if ((all->share = curl_share_init()) == NULL)
		abort();
	/* One thread, and so without locks. */
	curl_share_setopt(all->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	return (all);
}

void
tunnels_free(struct tunnels *all)
{
	if (all == NULL)
		return;
	curl_share_cleanup(all->share);
	trust_free(all->trust);
	free(all);
}
