/* One connection: reads a request, writes its answer, notices who leaves. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "tests/sim/peer.h"

#define MAX_BODY  (256u << 20)
#define READ_SIZE 65536

static struct peer *ready_first, **ready_last = &ready_first;
static struct peer *dead;

struct peer *
peer_new(int epfd, int fd)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP};
	struct peer *p = xcalloc(1, sizeof(*p));

	p->epfd = epfd;
	p->fd = fd;
	p->timer_at = TIMER_NONE;
	e.data.ptr = p;
	epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &e);
	sim_stats.accepted++;
	return (p);
}

static void
end_answer(struct peer *p, bool aborted)
{
	if (!p->play.active)
		return;
	play_fini(&p->play);
	p->stalled = p->finishing = false;
	if (!p->journaled)
		return;
	journal_end(p->number, aborted, p->last_write, p->sent);
	p->journaled = false;
	sim_stats.open--;
	if (aborted)
		sim_stats.aborted++;
	else
		sim_stats.answered++;
}

/* Freed after the loop's turn, when no event can name it any more. */
static void
kill_peer(struct peer *p, bool aborted)
{
	if (p->fd == -1)
		return;
	end_answer(p, aborted);
	timers_clear(p);
	close(p->fd);
	p->fd = -1;
	p->dead_next = dead;
	dead = p;
}

static void
reset_peer(struct peer *p)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	kill_peer(p, false);
}

void
peers_free_dead(void)
{
	struct peer *p, **at = &dead;

	while ((p = *at) != NULL) {
		if (p->ready) {
			at = &p->dead_next;
			continue;
		}
		*at = p->dead_next;
		play_fini(&p->play);
		buf_fini(&p->play.head);
		buf_fini(&p->play.extra);
		buf_fini(&p->in);
		buf_fini(&p->out);
		buf_fini(&p->body);
		free(p);
	}
}

static void
want_out(struct peer *p, bool want)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP};

	if (p->want_out == want)
		return;
	p->want_out = want;
	if (want)
		e.events |= EPOLLOUT;
	e.data.ptr = p;
	epoll_ctl(p->epfd, EPOLL_CTL_MOD, p->fd, &e);
}

void
peer_send(struct peer *p, const void *bytes, size_t n)
{
	ssize_t done = 0;

	p->sent += n;
	if (buf_len(&p->out) == 0) {
		done = send(p->fd, bytes, n, MSG_NOSIGNAL);
		if (done < 0)
			done = 0; /* an error is told by epoll, too */
		else
			p->last_write = monotime_now();
	}
	if ((size_t)done < n) {
		buf_add(&p->out, (const char *)bytes + done, n - (size_t)done);
		want_out(p, true);
	}
}

bool
peers_ready(void)
{
	return (ready_first != NULL);
}

static void
make_ready(struct peer *p)
{
	if (p->ready)
		return;
	p->ready = true;
	p->ready_next = NULL;
	*ready_last = p;
	ready_last = &p->ready_next;
}

void
peers_run_ready(void)
{
	struct peer *p, *list = ready_first;

	ready_first = NULL;
	ready_last = &ready_first;
	while ((p = list) != NULL) {
		list = p->ready_next;
		p->ready = false;
		peer_step(p);
	}
}

/* Waits for whatever lets the answer go on: the socket, a time, a turn. */
static void
go_on(struct peer *p)
{
	if (buf_len(&p->out) > 0)
		return;
	if (monotime_reached(p->play.due, monotime_now()))
		make_ready(p);
	else
		timers_set(p, p->play.due);
}

static void
answer_done(struct peer *p)
{
	p->finishing = buf_len(&p->out) > 0;
	if (p->finishing)
		return;
	end_answer(p, false);
	if (p->close_after)
		kill_peer(p, false);
}

static void
step(struct peer *p)
{
	if (p->fd == -1 || !p->play.active || p->stalled || p->finishing)
		return;
	switch (play_step(&p->play, p)) {
	case PLAY_AGAIN:
		go_on(p);
		break;
	case PLAY_DONE:
		answer_done(p);
		break;
	case PLAY_CLOSE:
		kill_peer(p, false);
		break;
	case PLAY_RESET:
		reset_peer(p);
		break;
	case PLAY_STALL:
		p->stalled = true;
		break;
	}
}

static void
start_answer(struct peer *p, const struct http1_head *head, struct span body)
{
	struct sim_request q;

	request_inspect(&q, head, body);
	p->close_after = head->close;
	p->last_write = (monotime_t){0};
	p->sent = 0;
	if (span_starts(head->path, SPAN("/_sim/")))
		control_request(&q, &p->play);
	else {
		p->number = journal_request(&q);
		p->journaled = true;
		sim_stats.requests++;
		sim_stats.open++;
		answer_request(&q, &p->play);
	}
	assert(p->play.active);
	p->play.due = monotime_now();
	p->play.due.ns += p->play.manner.first_ns;
}

/* The request is whole: chooses its answer, drops it, starts to write. */
static void
request_complete(
    struct peer *p, const struct http1_head *head, struct span body)
{
	start_answer(p, head, body);
	buf_consume(&p->in, p->taken);
	buf_reset(&p->body, READ_SIZE);
	p->in_body = false;
	p->scanned = 0;
	if (p->play.manner.first_ns == 0)
		step(p);
	else
		timers_set(p, p->play.due);
}

static bool
begin_body(struct peer *p, const struct http1_head *head)
{
	p->in_body = true;
	p->head_size = p->taken = head->size;
	p->chunked = head->chunked;
	p->length = head->has_length ? head->length : 0;
	http1_body_init(&p->framing, HTTP1_BODY_CHUNKED, 0);
	if (head->expect_continue)
		peer_send(p, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return (p->length <= MAX_BODY);
}

/* 1: the body is whole, 0: not yet, -1: broken. */
static int
take_body(struct peer *p)
{
	struct span data, rest;
	ssize_t n;

	if (!p->chunked) {
		p->taken = p->head_size + (size_t)p->length;
		return (buf_len(&p->in) >= p->taken);
	}
	while (!p->framing.done && p->taken < buf_len(&p->in)) {
		rest = span_of(
		    buf_ptr(&p->in) + p->taken, buf_len(&p->in) - p->taken);
		n = http1_body_take(&p->framing, rest, &data);
		if (n < 0 || buf_len(&p->body) + data.n > MAX_BODY)
			return (-1);
		buf_addspan(&p->body, data);
		p->taken += (size_t)n;
	}
	return (p->framing.done);
}

/* Reads one request off the input. false: no whole one is there. */
static bool
take_request(struct peer *p)
{
	struct http1_head head;
	size_t scanned = 0;
	int whole;

	if (!p->in_body) {
		enum http1_error e =
		    http1_parse_head(buf_span(&p->in), &p->scanned, &head);

		if (e == HTTP1_MORE)
			return (false);
		if (e != HTTP1_OK || !begin_body(p, &head)) {
			kill_peer(p, false);
			return (false);
		}
	}
	whole = take_body(p);
	if (whole == -1)
		kill_peer(p, false);
	if (whole != 1)
		return (false);
	/* The bytes may have moved since the head was first read. */
	if (http1_parse_head(buf_span(&p->in), &scanned, &head) != HTTP1_OK)
		abort();
	request_complete(p, &head,
	    p->chunked
		? buf_span(&p->body)
		: span_of(buf_ptr(&p->in) + p->head_size, (size_t)p->length));
	return (true);
}

static void
take_requests(struct peer *p)
{
	while (p->fd != -1 && !p->play.active && buf_len(&p->in) > 0)
		if (!take_request(p))
			break;
}

void
peer_step(struct peer *p)
{
	step(p);
	take_requests(p);
}

static void
on_writable(struct peer *p)
{
	ssize_t n =
	    send(p->fd, buf_ptr(&p->out), buf_len(&p->out), MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		kill_peer(p, true);
		return;
	}
	if (n > 0) {
		buf_consume(&p->out, (size_t)n);
		p->last_write = monotime_now();
	}
	if (buf_len(&p->out) > 0)
		return;
	want_out(p, false);
	if (p->finishing)
		answer_done(p);
	else if (p->play.active && !p->stalled && p->timer_at == TIMER_NONE)
		go_on(p);
	take_requests(p);
}

static void
on_readable(struct peer *p)
{
	ssize_t n;
	char *room;

	if (buf_len(&p->in) > MAX_BODY + HTTP1_MAX_HEAD)
		return;
	room = buf_reserve(&p->in, READ_SIZE);
	n = recv(p->fd, room, READ_SIZE, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		kill_peer(p, true);
	else if (n > 0) {
		buf_commit(&p->in, (size_t)n);
		take_requests(p);
	}
}

void
peer_on_event(struct peer *p, uint32_t events)
{
	if (p->fd != -1 && (events & EPOLLOUT) && buf_len(&p->out) > 0)
		on_writable(p);
	if (p->fd != -1 &&
	    (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
		on_readable(p);
}
