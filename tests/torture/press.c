/*
 * A press of users, for the torture run: each has a connection and asks one
 * thing after the other, at several hubs in turn, whatever becomes of them.
 * One line a request says what its user saw.
 *
 *	press -a PORT [-a PORT ...] -k KEYS -q KINDS [-c USERS] [-p PAUSE_MS]
 *	      [-s SEED]
 *
 * KEYS: a file of keys, one a line. KINDS: lines of share, when the user
 * leaves ("-" never, "sent", "head", "chunk"), and the request's body,
 * separated by tabs. PAUSE_MS: between two requests of a user, half of it to
 * one and a half.
 *
 * Prints: time in ms, kind, key and hub (numbers from 0), status (0: no head
 * came), end, x-request-id, what it cost (x-hub-cost), input and output
 * tokens (as the answer told), separated by tabs, "-" for nothing. Ends:
 * done (to the last), broken (whole, and not all of it: an error inside),
 * cut (the connection ended), left, none (it ended before a head), unsent
 * (no connection).
 *
 * SIGTERM: no new requests; it ends when the last is over.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HUBS_MAX    8
#define KINDS_MAX   32
#define KEYS_MAX    64
#define HEAD_MAX    8192
#define TAIL	    512	  /* kept of a body: usage and [DONE] are at its end */
#define PATIENCE_MS 60000 /* for an answer; then the user gives up */
#define HURT_MS	    50	  /* after anything but a good answer */

enum leave { NEVER, SENT, HEAD, CHUNK };

struct kind {
	unsigned share;
	enum leave leave;
	char *body;
	bool stream;
};

/* Of chunked coding. */
enum chunk { SIZE, SIZE_REST, DATA, DATA_CR, DATA_LF, TRAILER, OVER };

struct user {
	int fd; /* -1: none */
	unsigned hub, kind, key;
	bool busy, sent, in_body, chunked;
	int64_t due; /* when the next request is sent; or given up */
	int64_t began;
	char out[2048];
	size_t out_len, out_done;
	char head[HEAD_MAX];
	size_t head_len;
	enum chunk chunk;
	size_t left; /* of the body, or of a chunk */
	char tail[TAIL + 1];
	size_t tail_len;
};

static uint16_t ports[HUBS_MAX];
static unsigned nhubs, nkinds, nkeys, shares;
static struct kind kinds[KINDS_MAX];
static char *keys[KEYS_MAX];
static uint64_t seed = 1;
static int64_t pause_ms;
static int ep;
static unsigned busy;
static volatile sig_atomic_t ending;

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000);
}

/* xorshift64* */
static uint64_t
draw(uint64_t below)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (((seed * UINT64_C(2685821657736338717)) >> 16) % below);
}

static unsigned
draw_kind(void)
{
	uint64_t at = draw(shares);
	unsigned i = 0;

	while (at >= kinds[i].share)
		at -= kinds[i++].share;
	return (i);
}

/* ---- the end of a request ------------------------------------------------ */

/* The value of a field of the head, "-" if it has none. */
static const char *
field(const char *head, const char *name, char value[64])
{
	const char *p = strcasestr(head, name);
	size_t n;

	snprintf(value, 64, "-");
	if (p == NULL)
		return (value);
	p += strlen(name);
	n = strcspn(p, "\r");
	if (n > 0 && n < 64)
		snprintf(value, 64, "%.*s", (int)n, p);
	return (value);
}

/* The number behind the last such name, or -1. */
static long
number(const char *text, const char *name)
{
	const char *p = NULL, *next = text;

	while ((next = strstr(next, name)) != NULL)
		p = next += strlen(name);
	return (p == NULL ? -1 : strtol(p, NULL, 10));
}

static void
hang_up(struct user *u)
{
	if (u->fd != -1)
		close(u->fd);
	u->fd = -1;
}

static void
over(struct user *u, const char *end)
{
	char id[64], cost[64], in[64];
	long prompt, completion;
	int status = 0;
	bool good;

	u->head[u->head_len] = u->tail[u->tail_len] = '\0';
	if (u->in_body)
		status = atoi(u->head + 9);
	else
		u->head[0] = '\0';
	prompt = number(u->tail, "\"prompt_tokens\":");
	completion = number(u->tail, "\"completion_tokens\":");
	snprintf(in, sizeof(in), "%ld\t%ld", prompt, completion);
	printf("%lld\t%u\t%u\t%u\t%d\t%s\t%s\t%s\t%s\n", (long long)now_ms(),
	    u->kind, u->key, u->hub, status, end,
	    field(u->head, "\r\nx-request-id: ", id),
	    field(u->head, "\r\nx-hub-cost: ", cost), in);
	good = strcmp(end, "done") == 0 && status == 200;
	u->busy = false;
	busy--;
	if (strcmp(end, "done") != 0 ||
	    strcasestr(u->head, "connection: close"))
		hang_up(u);
	u->due = now_ms() + (good ? 0 : HURT_MS);
	if (pause_ms > 0)
		u->due += pause_ms / 2 + (int64_t)draw((uint64_t)pause_ms);
}

/* The transport says that the answer is whole: is it? */
static void
whole(struct user *u)
{
	bool stream = u->chunked && kinds[u->kind].stream;

	u->tail[u->tail_len] = '\0';
	over(u, stream && strstr(u->tail, "data: [DONE]") == NULL ? "broken"
								  : "done");
}

/* ---- reading ---------------------------------------------------------------
 */

static void
keep(struct user *u, const char *p, size_t n)
{
	if (n > TAIL) {
		p += n - TAIL;
		n = TAIL;
	}
	if (u->tail_len + n > TAIL) {
		size_t drop = u->tail_len + n - TAIL;

		memmove(u->tail, u->tail + drop, u->tail_len - drop);
		u->tail_len -= drop;
	}
	memcpy(u->tail + u->tail_len, p, n);
	u->tail_len += n;
}

static int
hex(char c)
{
	return (isdigit((unsigned char)c)
		    ? c - '0'
		    : tolower((unsigned char)c) - 'a' + 10);
}

/* One byte that is not data. */
static void
chunk_byte(struct user *u, char c)
{
	switch (u->chunk) {
	case SIZE:
		if (isxdigit((unsigned char)c)) {
			u->left = u->left * 16 + (size_t)hex(c);
			break;
		}
		u->chunk = SIZE_REST;
		/* FALLTHROUGH */
	case SIZE_REST:
		if (c == '\n')
			u->chunk = u->left > 0 ? DATA : TRAILER;
		break;
	case DATA_CR:
		u->chunk = DATA_LF;
		break;
	case DATA_LF:
		u->chunk = SIZE;
		break;
	case TRAILER: /* the hub sends none */
		if (c == '\n')
			u->chunk = OVER;
		break;
	case DATA:
	case OVER:
		break;
	}
}

static void
read_chunks(struct user *u, const char *p, size_t n)
{
	size_t take;

	while (n > 0 && u->chunk != OVER) {
		if (u->chunk != DATA) {
			chunk_byte(u, *p++);
			n--;
			continue;
		}
		take = n < u->left ? n : u->left;
		keep(u, p, take);
		p += take;
		n -= take;
		if ((u->left -= take) == 0)
			u->chunk = DATA_CR;
	}
	if (u->chunk == OVER)
		whole(u);
}

static void
read_body(struct user *u, const char *p, size_t n)
{
	if (kinds[u->kind].leave == CHUNK && n > 0) {
		over(u, "left");
		return;
	}
	if (u->chunked) {
		read_chunks(u, p, n);
		return;
	}
	keep(u, p, n);
	u->left -= n < u->left ? n : u->left;
	if (u->left == 0)
		whole(u);
}

static void
read_head(struct user *u, const char *p, size_t n)
{
	size_t room = HEAD_MAX - 1 - u->head_len, take = n < room ? n : room;
	char value[64], *end;
	size_t extra;

	memcpy(u->head + u->head_len, p, take);
	u->head_len += take;
	u->head[u->head_len] = '\0';
	if ((end = strstr(u->head, "\r\n\r\n")) == NULL) {
		if (room == take)
			errx(1, "a head of %d bytes", HEAD_MAX);
		return;
	}
	extra = n - take + u->head_len - (size_t)(end + 4 - u->head);
	u->head_len = (size_t)(end + 2 - u->head);
	*end = '\0';
	u->in_body = true;
	u->chunked = strcasestr(u->head, "\r\ntransfer-encoding: ") != NULL;
	u->chunk = SIZE;
	u->left = 0;
	if (!u->chunked)
		u->left =
		    (size_t)atol(field(u->head, "\r\ncontent-length: ", value));
	*end = '\r';
	if (kinds[u->kind].leave == HEAD)
		over(u, "left");
	else
		read_body(u, p + n - extra, extra);
}

/* ---- asking ----------------------------------------------------------------
 */

static void
watch(struct user *u, uint32_t events, int op)
{
	struct epoll_event e = {.events = events, .data.ptr = u};

	if (epoll_ctl(ep, op, u->fd, &e) == -1)
		err(1, "epoll_ctl");
}

static void
lost(struct user *u)
{
	if (u->busy)
		over(u, u->in_body ? "cut" : u->sent ? "none" : "unsent");
	hang_up(u);
}

static void
send_rest(struct user *u)
{
	ssize_t n = send(u->fd, u->out + u->out_done, u->out_len - u->out_done,
	    MSG_NOSIGNAL);

	if (n == -1 && errno == EAGAIN)
		return;
	if (n == -1) {
		lost(u);
		return;
	}
	u->sent = true;
	u->out_done += (size_t)n;
	if (u->out_done < u->out_len)
		return;
	watch(u, EPOLLIN, EPOLL_CTL_MOD);
	if (kinds[u->kind].leave == SENT)
		over(u, "left");
}

/* Who has no connection makes one, to another hub than the last time. */
static void
dial(struct user *u)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int one = 1;

	u->hub = (unsigned)draw(nhubs);
	to.sin_port = htons(ports[u->hub]);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	u->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (u->fd == -1)
		err(1, "socket");
	setsockopt(u->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	watch(u, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
	(void)connect(u->fd, (struct sockaddr *)&to, sizeof(to));
}

static void
ask(struct user *u)
{
	bool fresh = u->fd == -1;

	u->kind = draw_kind();
	u->key = (unsigned)draw(nkeys);
	u->busy = true;
	busy++;
	u->sent = u->in_body = false;
	u->head_len = u->tail_len = u->out_done = 0;
	u->began = now_ms();
	u->due = u->began + PATIENCE_MS;
	u->out_len = (size_t)snprintf(u->out, sizeof(u->out),
	    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
	    "Authorization: Bearer %s\r\nContent-Type: application/json\r\n"
	    "Content-Length: %zu\r\n\r\n%s",
	    keys[u->key], strlen(kinds[u->kind].body), kinds[u->kind].body);
	if (u->out_len >= sizeof(u->out))
		errx(1, "too long a request");
	if (fresh)
		dial(u);
	else
		watch(u, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
}

static void
on_event(struct user *u, uint32_t events)
{
	char in[65536];
	ssize_t n;

	if (events & EPOLLOUT && u->busy && u->out_done < u->out_len) {
		send_rest(u);
		if (u->fd == -1 || !(events & EPOLLIN))
			return;
	}
	n = recv(u->fd, in, sizeof(in), 0);
	if (n == -1 && errno == EAGAIN)
		return;
	if (n <= 0 || !u->busy)
		lost(u);
	else if (u->in_body)
		read_body(u, in, (size_t)n);
	else
		read_head(u, in, (size_t)n);
}

/* ---- set up ----------------------------------------------------------------
 */

static enum leave
leave_of(const char *word)
{
	return (strcmp(word, "sent") == 0    ? SENT
		: strcmp(word, "head") == 0  ? HEAD
		: strcmp(word, "chunk") == 0 ? CHUNK
					     : NEVER);
}

static void
read_kinds(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[1024], *share, *leave, *body, *rest;

	if (f == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL && nkinds < KINDS_MAX) {
		share = strtok_r(line, "\t\n", &rest);
		leave = strtok_r(NULL, "\t\n", &rest);
		body = strtok_r(NULL, "\t\n", &rest);
		if (body == NULL)
			errx(1, "%s: not a kind", path);
		kinds[nkinds++] = (struct kind){
		    .share = (unsigned)atoi(share),
		    .leave = leave_of(leave),
		    .body = strdup(body),
		    .stream = strstr(body, "\"stream\": true") != NULL,
		};
		shares += (unsigned)atoi(share);
	}
	fclose(f);
}

static void
read_keys(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[256];

	if (f == NULL)
		err(1, "%s", path);
	while (fgets(line, sizeof(line), f) != NULL && nkeys < KEYS_MAX) {
		line[strcspn(line, "\n")] = '\0';
		keys[nkeys++] = strdup(line);
	}
	fclose(f);
}

static void
on_signal(int sig)
{
	(void)sig;
	ending = 1;
}

/* Who is due asks, or has waited long enough. */
static void
look_round(struct user *user, unsigned n)
{
	int64_t now = now_ms();

	for (unsigned i = 0; i < n; i++) {
		if (now < user[i].due)
			continue;
		if (user[i].busy) {
			over(&user[i], user[i].in_body ? "cut" : "none");
			hang_up(&user[i]);
		} else if (!ending) {
			ask(&user[i]);
		}
	}
}

static void
run(struct user *user, unsigned n)
{
	struct epoll_event e[256];
	int i, got;

	while (!ending || busy > 0) {
		look_round(user, n);
		got = epoll_wait(ep, e, 256, 5);
		for (i = 0; i < got; i++)
			if (((struct user *)e[i].data.ptr)->fd != -1)
				on_event(e[i].data.ptr, e[i].events);
	}
}

int
main(int argc, char **argv)
{
	struct user *user;
	unsigned n = 64;
	int c;

	while ((c = getopt(argc, argv, "a:c:k:p:q:s:")) != -1) {
		if (c == 'a' && nhubs < HUBS_MAX)
			ports[nhubs++] = (uint16_t)atoi(optarg);
		else if (c == 'c')
			n = (unsigned)atoi(optarg);
		else if (c == 'k')
			read_keys(optarg);
		else if (c == 'p')
			pause_ms = atoi(optarg);
		else if (c == 'q')
			read_kinds(optarg);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 10) * 2 + 1;
		else
			errx(2, "bad usage");
	}
	if (nhubs == 0 || nkeys == 0 || shares == 0)
		errx(2, "no hub, no key or no kind");
	signal(SIGTERM, on_signal);
	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    (user = calloc(n, sizeof(*user))) == NULL)
		err(1, "set-up");
	for (unsigned i = 0; i < n; i++)
		user[i].fd = -1;
	run(user, n);
	return (fflush(stdout) == 0 ? 0 : 1);
}
