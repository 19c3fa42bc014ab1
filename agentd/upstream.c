/* Requests to providers: libcurl in the loop, HTTP/1.1 with keep-alive. */
#include "agentd/upstream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agentd/curl_loop.h"
#include "common/alloc.h"
#include "common/buf.h"
#include "common/log.h"

#define POOL_MAX       64   /* easy handles kept for reuse */
#define IDLE_MAX       256L /* connections kept open */
#define CONNECT_MS     10000L
#define DNS_CACHE_S    60L
#define HEAD_BYTES_MAX 16384 /* kept of an answer's head */
#define REQ_MAGIC      0x75707265

struct upstream {
	struct loop *loop;
	struct curl_loop *cl;
	CURL *pool[POOL_MAX];
	size_t npool;
	bool resuming; /* curl_easy_pause() calls cb_body(), too */
};

struct upstream_req {
	unsigned magic;
	struct upstream *up;
	CURL *easy;
	struct curl_slist *headers;
	const struct upstream_handler *handler;
	void *arg;
	bool (*keep_field)(struct span name);
	struct loop_work work; /* resume or cancel, outside of curl */
	bool head_done, paused, cancelled;
	bool compressed; /* which nobody asked for and nobody can meter */
	int status;
	struct buf head; /* kept fields, name and value alternating */
	struct {
		size_t name, name_len, value_len;
	} at[UPSTREAM_MAX_FIELDS];
	size_t nfields;
	char error[CURL_ERROR_SIZE];
};

/* ---- easy handles ------------------------------------------------------ */

static CURL *
take_easy(struct upstream *up)
{
	CURL *easy;

	if (up->npool > 0)
		return (up->pool[--up->npool]);
	if ((easy = curl_easy_init()) == NULL)
		abort();
	return (easy);
}

static void
give_easy(struct upstream *up, CURL *easy)
{
	if (up->npool == POOL_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	up->pool[up->npool++] = easy;
}

static void
req_destroy(void *arg)
{
	struct upstream_req *r = arg;

	r->magic = 0;
	buf_fini(&r->head);
	free(r);
}

static bool
busy(const struct upstream *up)
{
	return (up->resuming || curl_loop_busy(up->cl));
}

/* Takes the handle out of curl, which closes an unfinished connection. */
static void
req_release(struct upstream_req *r)
{
	struct upstream *up = r->up;

	assert(!busy(up));
	loop_work_cancel(&r->work);
	curl_multi_remove_handle(curl_loop_multi(up->cl), r->easy);
	give_easy(up, r->easy);
	curl_slist_free_all(r->headers);
	r->easy = NULL;
	r->headers = NULL;
	loop_dispose_later(up->loop, req_destroy, r);
}

/* ---- the head of the answer --------------------------------------------- */

static struct span
trim(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t' ||
			      end[-1] == '\r' || end[-1] == '\n'))
		end--;
	return (span_of(p, (size_t)(end - p)));
}

static void
head_line(struct upstream_req *r, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	struct span name, value;

	if (colon == NULL || r->nfields == UPSTREAM_MAX_FIELDS)
		return;
	name = span_of(line, (size_t)(colon - line));
	value = trim(colon + 1, line + n);
	if (span_ieq(name, SPAN("content-encoding")) && value.n > 0 &&
	    !span_ieq(value, SPAN("identity")))
		r->compressed = true;
	if (!r->keep_field(name) ||
	    buf_len(&r->head) + name.n + value.n > HEAD_BYTES_MAX)
		return;
	r->at[r->nfields].name = buf_len(&r->head);
	r->at[r->nfields].name_len = name.n;
	r->at[r->nfields].value_len = value.n;
	r->nfields++;
	buf_addspan(&r->head, name);
	buf_addspan(&r->head, value);
}

static void
tell_head(struct upstream_req *r)
{
	struct upstream_field f[UPSTREAM_MAX_FIELDS];
	const char *p = buf_ptr(&r->head);
	size_t i;

	for (i = 0; i < r->nfields; i++) {
		f[i].name = span_of(p + r->at[i].name, r->at[i].name_len);
		f[i].value =
		    span_of(f[i].name.p + f[i].name.n, r->at[i].value_len);
	}
	r->head_done = true;
	r->handler->on_head(r->arg, r->status, f, r->nfields);
	buf_fini(&r->head);
}

static size_t
cb_header(char *line, size_t one, size_t n, void *arg)
{
	struct upstream_req *r = arg;
	long status = 0;

	(void)one;
	assert(r->magic == REQ_MAGIC);
	if (r->cancelled)
		return (CURL_WRITEFUNC_ERROR);
	if (r->head_done) /* trailers */
		return (n);
	if (n > 5 && memcmp(line, "HTTP/", 5) == 0) {
		curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
		r->status = (int)status;
		buf_reset(&r->head, HEAD_BYTES_MAX);
		r->nfields = 0;
		r->compressed = false;
	} else if (trim(line, line + n).n > 0)
		head_line(r, line, n);
	else if (r->status >= 200 && r->compressed)
		return (CURL_WRITEFUNC_ERROR);
	else if (r->status >= 200) /* interim heads are dropped */
		tell_head(r);
	return (n);
}

static size_t
cb_body(char *p, size_t one, size_t n, void *arg)
{
	struct upstream_req *r = arg;

	(void)one;
	assert(r->magic == REQ_MAGIC);
	if (r->cancelled)
		return (CURL_WRITEFUNC_ERROR);
	if (!r->handler->may_take(r->arg)) {
		r->paused = true;
		return (CURL_WRITEFUNC_PAUSE);
	}
	r->handler->on_body(r->arg, span_of(p, n));
	return (n);
}

/* ---- the end ------------------------------------------------------------ */

static enum upstream_end
end_of(CURL *easy, CURLcode code)
{
	long os_error = 0;

	/* Named are those that mean something else than a broken answer. */
	if (code == CURLE_OK)
		return (UPSTREAM_OK);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return (UPSTREAM_TIMEOUT);
	if (code == CURLE_COULDNT_CONNECT) {
		curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os_error);
		return (os_error == ECONNREFUSED ? UPSTREAM_REFUSED
						 : UPSTREAM_CONNECT);
	}
	if (code == CURLE_COULDNT_RESOLVE_HOST ||
	    code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY)
		return (UPSTREAM_CONNECT);
	if (code == CURLE_SSL_CONNECT_ERROR ||
	    code == CURLE_PEER_FAILED_VERIFICATION ||
	    code == CURLE_SSL_CACERT_BADFILE || code == CURLE_SSL_CERTPROBLEM ||
	    code == CURLE_SSL_CIPHER || code == CURLE_SSL_ISSUER_ERROR)
		return (UPSTREAM_TLS);
	return (UPSTREAM_RESET);
}

static void
on_done(void *arg, CURL *easy, CURLcode code)
{
	struct upstream_req *r;
	enum upstream_end end = end_of(easy, code);
	char detail[CURL_ERROR_SIZE + 64];
	char *private;

	(void)arg;
	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private);
	r = (struct upstream_req *)(void *)private;
	assert(r->magic == REQ_MAGIC);
	/* A body without a head is nobody's answer (HTTP/0.9 is off). */
	if (end == UPSTREAM_OK && !r->head_done)
		end = UPSTREAM_RESET;
	snprintf(detail, sizeof(detail), "%s",
	    r->compressed	  ? "compressed, which was not asked for"
	    : r->error[0] != '\0' ? r->error
				  : curl_easy_strerror(code));
	req_release(r);
	if (!r->cancelled)
		r->handler->on_done(r->arg, end, detail);
}

static void
on_work(void *arg)
{
	struct upstream_req *r = arg;

	if (r->easy == NULL)
		return;
	if (r->cancelled) {
		req_release(r);
	} else if (r->paused) {
		r->paused = false;
		r->up->resuming = true;
		curl_easy_pause(r->easy, CURLPAUSE_CONT);
		r->up->resuming = false;
		curl_loop_kick(r->up->cl);
	}
}

/* ---- starting ----------------------------------------------------------- */

static void
set_body(struct upstream_req *r, const struct upstream_options *o)
{
	CURL *e = r->easy;

	if (strcmp(o->method, "GET") == 0) {
		curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
		return;
	}
	curl_easy_setopt(e, CURLOPT_POST, 1L);
	curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body.n);
	curl_easy_setopt(e, CURLOPT_POSTFIELDS, o->body.n > 0 ? o->body.p : "");
	if (strcmp(o->method, "POST") != 0)
		curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, o->method);
}

static void
set_connection(struct upstream_req *r, const struct upstream_options *o)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	/* Or removing a handle waits for its name server. */
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	curl_easy_setopt(e, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	/* Without this the environment would choose a proxy. */
	curl_easy_setopt(e, CURLOPT_PROXY, o->proxy != NULL ? o->proxy : "");
	if (!o->proxy_loopback)
		curl_easy_setopt(e, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1");
	if (o->ca_file != NULL)
		curl_easy_setopt(e, CURLOPT_CAINFO, o->ca_file);
}

static void
set_callbacks(struct upstream_req *r)
{
	CURL *e = r->easy;

	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, cb_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, r);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, cb_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, r);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, r->error);
	curl_easy_setopt(e, CURLOPT_PRIVATE, r);
}

static void
add_header(struct upstream_req *r, const char *line)
{
	struct curl_slist *l = curl_slist_append(r->headers, line);

	if (l == NULL)
		abort();
	r->headers = l;
}

struct upstream_req *
upstream_start(struct upstream *up, const struct upstream_options *o,
    const struct upstream_handler *handler, void *arg)
{
	struct upstream_req *r = xcalloc(1, sizeof(*r));
	const char *const *h;

	r->magic = REQ_MAGIC;
	r->up = up;
	r->handler = handler;
	r->keep_field = o->keep_field;
	r->arg = arg;
	r->work = (struct loop_work){.fn = on_work, .arg = r};
	r->easy = take_easy(up);
	for (h = o->headers; *h != NULL; h++)
		add_header(r, *h);
	/* curl would wait a second for a provider that ignores it. */
	add_header(r, "Expect:");
	curl_easy_setopt(r->easy, CURLOPT_HTTPHEADER, r->headers);
	set_connection(r, o);
	set_callbacks(r);
	set_body(r, o);
	if (curl_easy_setopt(r->easy, CURLOPT_URL, o->url) == CURLE_OK &&
	    curl_multi_add_handle(curl_loop_multi(up->cl), r->easy) == CURLM_OK)
		return (r);
	log_warnx("curl takes no request");
	r->cancelled = true;
	req_release(r);
	return (NULL);
}

void
upstream_resume(struct upstream_req *r)
{
	assert(r->magic == REQ_MAGIC);
	if (r->paused)
		loop_defer(r->up->loop, &r->work);
}

void
upstream_cancel(struct upstream_req *r)
{
	assert(r->magic == REQ_MAGIC);
	if (r->cancelled)
		return;
	r->cancelled = true;
	if (busy(r->up))
		loop_defer(r->up->loop, &r->work);
	else
		req_release(r);
}

struct upstream *
upstream_new(struct loop *loop)
{
	struct upstream *up = xcalloc(1, sizeof(*up));

	up->loop = loop;
	up->cl = curl_loop_new(loop, on_done, up);
	curl_multi_setopt(
	    curl_loop_multi(up->cl), CURLMOPT_MAXCONNECTS, IDLE_MAX);
	curl_multi_setopt(curl_loop_multi(up->cl), CURLMOPT_PIPELINING,
	    (long)CURLPIPE_NOTHING);
	return (up);
}

void
upstream_free(struct upstream *up)
{
	if (up == NULL)
		return;
	while (up->npool > 0)
		curl_easy_cleanup(up->pool[--up->npool]);
	curl_loop_free(up->cl);
	free(up);
}
