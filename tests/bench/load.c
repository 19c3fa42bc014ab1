/*
 * The load generator: as many connections as asked, one request at a time
 * on each, plain or streamed; prints one JSON object. It measures itself,
 * too: a row whose generator was busy says little about the server.
 *
 *	load -a HOST:PORT -m MODEL [-k KEY] [-c CONNS] [-n REQUESTS] [-s]
 *	     [-r RAMP_MS] [-d DIALECT] [-T] [-x]
 *
 * Answers in chunks are taken for events; "chunks" are those with content.
 * -s asks for streams; -T speaks TLS and believes any certificate; -x leaves
 * each stream at its first chunk: "left" then says when, by the number that
 * stands in the request behind "number ".
 */
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/dialect.h"

#define IN_MAX	  65536
#define SAMPLES	  (1 << 20)
#define TIME_TEXT 19 /* digits of a time in a chunk */

struct peer {
	int fd;
	bool busy, head_done, chunked, failed;
	size_t left; /* of a body with a length */
	size_t len;  /* in in: first what came out of chunks, then the rest */
	size_t body; /* what came out of chunks */
	int64_t started;
	uint64_t number;
	SSL *ssl; /* NULL without TLS */
	char in[IN_MAX];
};

struct samples {
	uint32_t *us;
	size_t n, seen;
};

static struct sockaddr_in server;
static const char *model = "sim-chat", *key = "";
static const struct dialect *dialect;
static bool streamed, leaving;
static uint64_t wanted = 1000, started, finished, errors;
static uint64_t events, chunks;
static struct samples latency, lag, first;
static char *request, *request_number;
static size_t request_len;
static int64_t *left_ns; /* by number, with -x */
static SSL_CTX *tls;
static int ep;

static int64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec);
}

/* Keeps every sample up to the cap, then an even choice of them. */
static void
sample(struct samples *s, int64_t ns)
{
	size_t at = s->n < SAMPLES ? s->n++ : s->seen % SAMPLES;

	s->seen++;
	s->us[at] = (uint32_t)(ns > 0 ? ns / 1000 : 0);
}

static int
by_value(const void *a, const void *b)
{
	uint32_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return ((x > y) - (x < y));
}

static uint32_t
percentile(struct samples *s, unsigned p)
{
	if (s->n == 0)
		return (0);
	qsort(s->us, s->n, sizeof(*s->us), by_value);
	return (s->us[(s->n - 1) * p / 100]);
}

static void
make_request(void)
{
	request = dialect_request(dialect, model, key, streamed, &request_len);
	request_number = strstr(request, " number " NUMBER) + 8;
}

/* ---- plain or TLS -------------------------------------------------------- */

static void
set_up_tls(void)
{
	tls = SSL_CTX_new(TLS_client_method());
	if (tls == NULL)
		errx(1, "no TLS");
	/* A ticket alone must not make SSL_read() wait for data. */
	SSL_CTX_clear_mode(tls, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_mode(tls, SSL_MODE_RELEASE_BUFFERS);
}

static void
shake_hands(struct peer *p)
{
	p->ssl = SSL_new(tls);
	if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1 ||
	    SSL_connect(p->ssl) != 1)
		errx(1, "TLS handshake");
}

static bool
put(struct peer *p)
{
	if (p->ssl != NULL)
		return (SSL_write(p->ssl, request, (int)request_len) ==
			(int)request_len);
	return (send(p->fd, request, request_len, MSG_NOSIGNAL) ==
		(ssize_t)request_len);
}

/* Bytes read; 0: nothing yet; -1: the connection is over. */
static ssize_t
get(struct peer *p)
{
	char *at = p->in + p->len;
	size_t room = IN_MAX - 1 - p->len;
	ssize_t n;

	if (p->ssl == NULL) {
		n = recv(p->fd, at, room, 0);
		return (n == 0 ? -1 : n);
	}
	n = SSL_read(p->ssl, at, (int)room);
	if (n > 0)
		return (n);
	return (SSL_get_error(p->ssl, (int)n) == SSL_ERROR_WANT_READ ? 0 : -1);
}

/* ---- requests ------------------------------------------------------------ */

static void
dial(struct peer *p)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = p};
	int one = 1;

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (p->fd == -1 ||
	    connect(p->fd, (struct sockaddr *)&server, sizeof(server)) == -1)
		err(1, "connect");
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (tls != NULL)
		shake_hands(p);
	if (epoll_ctl(ep, EPOLL_CTL_ADD, p->fd, &ev) == -1)
		err(1, "epoll_ctl");
}

static void
begin(struct peer *p)
{
	char digits[sizeof(NUMBER)];

	if (started >= wanted)
		return;
	p->number = started++;
	snprintf(
	    digits, sizeof(digits), "%07u", (unsigned)(p->number % 10000000));
	memcpy(request_number, digits, sizeof(NUMBER) - 1);
	p->busy = true;
	p->head_done = p->chunked = p->failed = false;
	p->len = p->body = 0;
	p->started = now_ns();
	if (!put(p))
		err(1, "send");
}

static void
end(struct peer *p, bool good)
{
	sample(&latency, now_ns() - p->started);
	finished++;
	if (!good || p->failed)
		errors++;
	p->busy = false;
	begin(p);
}

/* Closes the connection and goes on with another. */
static void
renew(struct peer *p)
{
	if (p->ssl != NULL)
		SSL_free(p->ssl);
	p->ssl = NULL;
	close(p->fd);
	if (p->busy)
		finished++;
	p->busy = false;
	dial(p);
	begin(p);
}

static void
lost(struct peer *p)
{
	if (p->busy)
		errors++;
	renew(p);
}

/* The user goes away in the middle of a stream. */
static void
leave(struct peer *p)
{
	left_ns[p->number] = now_ns();
	renew(p);
}

/* Content carries the time at which it was sent, behind "t=". */
static void
count_event(const char *s, size_t n)
{
	const char *t = memmem(s, n, " t=", 3);

	events++;
	if (t == NULL)
		return;
	chunks++;
	if ((size_t)(t - s) + 3 + TIME_TEXT <= n)
		sample(&lag, now_ns() - strtoll(t + 3, NULL, 10));
}

/* Counts the whole events there are, and forgets them. */
static void
take_events(struct peer *p)
{
	size_t at = 0, n;

	while ((n = dialect->event(p->in + at, p->body - at)) > 0) {
		count_event(p->in + at, n);
		at += n;
	}
	memmove(p->in, p->in + at, p->len - at);
	p->body -= at;
	p->len -= at;
}

/* Adds the data of the next chunk to the body; false: it is not all there. */
static bool
unwrap(struct peer *p, size_t *n)
{
	char *raw = p->in + p->body, *stop = p->in + p->len;
	char *line = memmem(raw, (size_t)(stop - raw), "\r\n", 2);

	if (line == NULL)
		return (false);
	line += 2;
	*n = strtoul(raw, NULL, 16);
	if (stop - line < 2 || (size_t)(stop - line) - 2 < *n)
		return (false);
	memmove(raw, line, *n);
	line += *n + 2;
	memmove(raw + *n, line, (size_t)(stop - line));
	p->body += *n;
	p->len = p->body + (size_t)(stop - line);
	return (true);
}

static bool
read_head(struct peer *p)
{
	char *stop = memmem(p->in, p->len, "\r\n\r\n", 4), *cl;
	size_t head;

	if (stop == NULL)
		return (false);
	head = (size_t)(stop - p->in) + 4;
	*stop = '\0';
	p->failed = strncmp(p->in, "HTTP/1.1 200", 12) != 0;
	p->chunked =
	    strcasestr(p->in, "\r\ntransfer-encoding: chunked") != NULL;
	cl = strcasestr(p->in, "\r\ncontent-length:");
	p->left = cl != NULL ? strtoul(cl + 17, NULL, 10) : 0;
	p->head_done = true;
	sample(&first, now_ns() - p->started);
	memmove(p->in, p->in + head, p->len - head);
	p->len -= head;
	return (true);
}

static void
take_chunks(struct peer *p)
{
	uint64_t before = chunks;
	size_t n;

	while (unwrap(p, &n)) {
		if (n == 0) { /* the end, which is none amid an event */
			end(p, p->body == 0);
			return;
		}
		take_events(p);
		if (leaving && chunks > before) {
			leave(p);
			return;
		}
	}
}

static void
take(struct peer *p)
{
	if (!p->head_done && !read_head(p))
		return;
	if (!p->chunked) {
		size_t n = p->len < p->left ? p->len : p->left;

		p->left -= n;
		p->len = 0;
		if (p->left == 0)
			end(p, true);
		return;
	}
	take_chunks(p);
}

static void
on_ready(struct peer *p)
{
	ssize_t n;

	do {
		if ((n = get(p)) == -1) {
			lost(p);
			return;
		}
		p->len += (size_t)n;
		if (n > 0)
			take(p);
	} while (p->ssl != NULL && SSL_pending(p->ssl) > 0);
}

static void
run(struct peer *peers, size_t n, int64_t ramp_ms)
{
	struct epoll_event ev[256];
	int64_t t0 = now_ns();
	size_t up = 0;

	while (finished < wanted) {
		int64_t ms = (now_ns() - t0) / 1000000;
		size_t due = ramp_ms > 0 && ms < ramp_ms
				 ? (size_t)((int64_t)n * ms / ramp_ms) + 1
				 : n;

		for (; up < n && up < due; up++) {
			dial(&peers[up]);
			begin(&peers[up]);
		}
		int k = epoll_wait(ep, ev, 256, up < n ? 1 : 1000);

		for (int i = 0; i < k; i++)
			on_ready(ev[i].data.ptr);
		if (now_ns() - t0 > INT64_C(300000000000))
			errx(1, "300 s are over: %ju of %ju finished",
			    (uintmax_t)finished, (uintmax_t)wanted);
	}
}

static void
report_left(void)
{
	printf("\"left\":[");
	for (uint64_t i = 0; i < wanted; i++)
		printf("%s%jd", i ? "," : "", (intmax_t)left_ns[i]);
	printf("],");
}

static void
report(int64_t ns)
{
	struct rusage ru;
	int64_t cpu;

	getrusage(RUSAGE_SELF, &ru);
	cpu = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * INT64_C(1000000) +
	      ru.ru_utime.tv_usec + ru.ru_stime.tv_usec;
	printf("{");
	if (leaving)
		report_left();
	printf("\"requests\":%ju,\"errors\":%ju,\"us\":%jd,\"cpu_us\":%jd,"
	       "\"p50_us\":%u,\"p99_us\":%u,\"first_p50_us\":%u,"
	       "\"first_p99_us\":%u,\"events\":%ju,\"chunks\":%ju,"
	       "\"lag_p50_us\":%u,\"lag_p99_us\":%u}\n",
	    (uintmax_t)finished, (uintmax_t)errors, (intmax_t)(ns / 1000),
	    (intmax_t)cpu, percentile(&latency, 50), percentile(&latency, 99),
	    percentile(&first, 50), percentile(&first, 99), (uintmax_t)events,
	    (uintmax_t)chunks, percentile(&lag, 50), percentile(&lag, 99));
}

static void
set_server(const char *text)
{
	char host[64];
	const char *colon = strrchr(text, ':');

	if (colon == NULL || (size_t)(colon - text) >= sizeof(host))
		errx(1, "-a HOST:PORT");
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	server.sin_family = AF_INET;
	server.sin_port = htons((uint16_t)atoi(colon + 1));
	if (inet_pton(AF_INET, host, &server.sin_addr) != 1)
		errx(1, "bad address %s", text);
}

struct load {
	size_t conns;
	int64_t ramp_ms;
};

static void
read_options(int argc, char **argv, struct load *load)
{
	int c;

	dialect = dialect_find("openai");
	while ((c = getopt(argc, argv, "a:m:k:c:n:sr:d:Tx")) != -1) {
		switch (c) {
		case 'a':
			set_server(optarg);
			break;
		case 'm':
			model = optarg;
			break;
		case 'k':
			key = optarg;
			break;
		case 'c':
			load->conns = strtoul(optarg, NULL, 10);
			break;
		case 'n':
			wanted = strtoull(optarg, NULL, 10);
			break;
		case 's':
			streamed = true;
			break;
		case 'r':
			load->ramp_ms = atoll(optarg);
			break;
		case 'd':
			dialect = dialect_find(optarg);
			break;
		case 'T':
			set_up_tls();
			break;
		case 'x':
			leaving = true;
			break;
		default:
			errx(1, "usage: load -a HOST:PORT -m MODEL ...");
		}
	}
	if (dialect == NULL)
		errx(1, "no such dialect");
}

/* The connections, none of them dialled yet, and room for what is measured. */
static struct peer *
set_up(size_t n)
{
	struct peer *peers;

	ep = epoll_create1(EPOLL_CLOEXEC);
	peers = calloc(n, sizeof(*peers));
	latency.us = calloc(SAMPLES, sizeof(uint32_t));
	lag.us = calloc(SAMPLES, sizeof(uint32_t));
	first.us = calloc(SAMPLES, sizeof(uint32_t));
	left_ns = calloc(wanted, sizeof(*left_ns));
	if (ep == -1 || peers == NULL || latency.us == NULL || lag.us == NULL ||
	    first.us == NULL || left_ns == NULL)
		err(1, "setting up");
	return (peers);
}

int
main(int argc, char **argv)
{
	struct load load = {.conns = 64};
	struct peer *peers;
	int64_t t0;

	read_options(argc, argv, &load);
	make_request();
	peers = set_up(load.conns);
	t0 = now_ns();
	run(peers, load.conns, load.ramp_ms);
	report(now_ns() - t0);
	return (errors > 0 ? 2 : 0);
}
