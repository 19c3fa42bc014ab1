/* Relay: streams to agents whose link another worker has. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/worker/pipe.h"

#define QUEUE_HIGH 131072 /* queued for a stream: its source waits */
#define PAUSE_MS   100	  /* of accepting, when descriptors are short */

struct relay {
	struct worker *w;
	struct pipe **to;	 /* by process row */
	uint32_t *to_generation; /* of the process it leads to */
	struct loop_io *accept_io;
	struct loop_timer *resume;
	struct serve_list {
		struct serve *lh_first;
	} serves;
};

/* One pipe on which another worker sends us streams. */
struct serve {
	struct relay *relay;
	struct pipe *pipe;
	LIST_HEAD(, forward) forwards;
	LIST_ENTRY(serve) entry;
};

/* A stream of another worker and its continuation on a link of ours. */
struct forward {
	struct serve *serve;
	LIST_ENTRY(forward) entry;
	struct h2stream *in; /* NULL: it is over */
	struct upstream out;
	size_t in_owed, out_owed; /* credit not returned yet */
	bool answered;		  /* a head has come */
};

/* ---- to another worker -----------------------------------------------------
 */

static void
to_dead(struct pipe *p, const char *why)
{
	struct relay *r = p->owner;

	for (uint32_t i = 0; i < r->w->shm->sizes.nprocs; i++)
		if (r->to[i] == p)
			r->to[i] = NULL;
	log_debug("relay ended: %s", why);
}

static void
to_going(struct pipe *p)
{
	pipe_kill(p, "the other worker drains");
}

static const struct pipe_ops to_ops = {
    .on_dead = to_dead,
    .on_going = to_going,
};

static int
dial(const char *run_dir, uint32_t row)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, n;

	n = snprintf(sun.sun_path, sizeof(sun.sun_path), "%s/relay.%u.sock",
	    run_dir, row);
	if (n < 0 || (size_t)n >= sizeof(sun.sun_path))
		return (-1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1)
		return (-1);
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		log_warn("relay to process row %u", row);
		close(fd);
		return (-1);
	}
	return (fd);
}

struct pipe *
relay_to(struct relay *r, uint32_t row)
{
	uint32_t generation = process_generation(&process_rows(r->w->shm)[row]);
	struct conn *conn;
	int fd;

	if (r->to[row] != NULL && r->to_generation[row] != generation)
		pipe_kill(r->to[row], "that worker is gone");
	if (r->to[row] != NULL && !r->to[row]->dead)
		return (r->to[row]);
	if ((fd = dial(r->w->conf->run_dir, row)) == -1)
		return (NULL);
	conn = conn_new(r->w->loop, fd, NULL, NULL);
	r->to[row] = pipe_new(
	    r->w, conn, H2LINK_CLIENT, false, &upstream_handler, &to_ops, r);
	r->to_generation[row] = generation;
	return (r->to[row]);
}

/* ---- for another worker ----------------------------------------------------
 */

static void
forward_free(struct forward *f)
{
	LIST_REMOVE(f, entry);
	if (f->in != NULL)
		h2stream_set_arg(f->in, NULL);
	loop_free_later(f->serve->relay->w->loop, f);
}

/* The end of both sides. code goes to the worker that asked. */
static void
forward_end(struct forward *f, uint32_t code)
{
	struct h2stream *in = f->in;

	upstream_cancel(&f->out, H2_CANCEL);
	f->in = NULL;
	if (in != NULL) {
		h2stream_set_arg(in, NULL);
		h2stream_reset(in, code);
	}
	forward_free(f);
}

static void
out_head(struct upstream *up, const struct h2_field *fields, size_t n)
{
	struct forward *f = up->owner;

	f->answered = true;
	h2stream_respond(f->in, fields, n, true);
}

static void
out_data(struct upstream *up, struct span bytes)
{
	struct forward *f = up->owner;

	f->out_owed += bytes.n;
	if (h2stream_write(f->in, bytes, false) > QUEUE_HIGH)
		return;
	h2stream_consumed(up->stream, f->out_owed, true);
	f->out_owed = 0;
}

static void
out_end(struct upstream *up)
{
	struct forward *f = up->owner;

	h2stream_write(f->in, span_of(NULL, 0), true);
}

static void
out_close(struct upstream *up, uint32_t code)
{
	struct forward *f = up->owner;

	/* Refused means that nothing was done, ended that all has come. */
	if ((code == H2_REFUSED_STREAM && f->answered) ||
	    (code == H2_NO_ERROR && !up->heard_end))
		code = H2_INTERNAL_ERROR;
	if (code != H2_NO_ERROR)
		forward_end(f, code);
	/* else what is queued still goes out; in's close ends it */
}

static void
out_writable(struct upstream *up)
{
	struct forward *f = up->owner;

	if (f->in != NULL && f->in_owed > 0)
		h2stream_consumed(f->in, f->in_owed, true);
	f->in_owed = 0;
}

static const struct upstream_ops out_ops = {
    .on_head = out_head,
    .on_data = out_data,
    .on_end = out_end,
    .on_close = out_close,
    .on_writable = out_writable,
};

/* The session adds these to every request of its own accord. */
static bool
is_of_session(struct span name)
{
	return (span_eq(name, SPAN(":scheme")) ||
		span_eq(name, SPAN(":authority")));
}

/* Copies the fields that go on; the number in hub-agent goes to *agent. */
static size_t
strip_agent(
    const struct h2_field *in, size_t n, struct h2_field *out, uint32_t *agent)
{
	uint64_t id = 0;
	size_t m = 0;

	for (size_t i = 0; i < n && m < LINK_FIELDS_MAX; i++) {
		if (is_of_session(in[i].name))
			continue;
		if (!span_eq(in[i].name, SPAN(LINK_F_AGENT))) {
			out[m++] = in[i];
			continue;
		}
		for (size_t k = 0; k < in[i].value.n && k < 9; k++)
			id = id * 10 + (uint64_t)(in[i].value.p[k] - '0');
	}
	*agent = (uint32_t)id;
	return (m);
}

static void
serve_request(
    void *arg, struct h2stream *s, const struct h2_field *fields, size_t n)
{
	struct pipe *p = arg;
	struct serve *serve = p->owner;
	struct worker *w = p->w;
	struct h2_field out[LINK_FIELDS_MAX];
	struct pub_agent agent;
	struct pipe *link;
	struct forward *f;
	uint32_t id, row;

	n = strip_agent(fields, n, out, &id);
	if (!pub_agent_by_id(w->shm, id, &row, &agent) ||
	    (link = link_pick(w, row)) == NULL) {
		h2stream_reset(s, H2_REFUSED_STREAM);
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->serve = serve;
	f->in = s;
	f->out.ops = &out_ops;
	f->out.owner = f;
	LIST_INSERT_HEAD(&serve->forwards, f, entry);
	h2stream_set_arg(s, f);
	if (upstream_open_on(link, &f->out, out, n, true, link_load(w, row)) ==
	    -1)
		forward_end(f, H2_REFUSED_STREAM);
}

static void
serve_data(void *arg, struct h2stream *s, struct span bytes)
{
	struct forward *f = h2stream_arg(s);

	if (f == NULL || f->out.stream == NULL) {
		h2stream_consumed(s, bytes.n, true);
		return;
	}
	f->in_owed += bytes.n;
	if (upstream_write(&f->out, bytes, false) > QUEUE_HIGH)
		return;
	h2stream_consumed(s, f->in_owed, true);
	f->in_owed = 0;
}

static void
serve_end(void *arg, struct h2stream *s)
{
	struct forward *f = h2stream_arg(s);

	if (f != NULL && f->out.stream != NULL)
		upstream_write(&f->out, span_of(NULL, 0), true);
}

static void
serve_close(void *arg, struct h2stream *s, uint32_t code)
{
	struct forward *f = h2stream_arg(s);

	if (f == NULL)
		return;
	f->in = NULL;
	upstream_cancel(&f->out, H2_CANCEL);
	forward_free(f);
}

static void
serve_writable(void *arg, struct h2stream *s)
{
	struct forward *f = h2stream_arg(s);

	if (f == NULL || f->out.stream == NULL || f->out_owed == 0)
		return;
	h2stream_consumed(f->out.stream, f->out_owed, true);
	f->out_owed = 0;
}

static const struct h2link_handler serve_handler = {
    .on_want_send = pipe_want_send,
    .on_request = serve_request,
    .on_data = serve_data,
    .on_end = serve_end,
    .on_close = serve_close,
    .on_writable = serve_writable,
    .on_pong = pipe_on_pong,
};

static void
serve_dead(struct pipe *p, const char *why)
{
	struct serve *serve = p->owner;
	struct forward *f;

	while ((f = LIST_FIRST(&serve->forwards)) != NULL) {
		f->in = NULL;
		upstream_cancel(&f->out, H2_CANCEL);
		forward_free(f);
	}
	LIST_REMOVE(serve, entry);
	log_debug("relay of another worker ended: %s", why);
	loop_free_later(p->w->loop, serve);
}

static void
serve_going(struct pipe *p)
{
}

static const struct pipe_ops serve_ops = {
    .on_dead = serve_dead,
    .on_going = serve_going,
};

static void
on_accept(void *arg, int what)
{
	struct relay *r = arg;
	struct serve *serve;
	int fd;

	fd = accept4(
	    r->w->child->fds.relay, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1) {
		if (errno != EAGAIN && errno != EINTR &&
		    errno != ECONNABORTED) {
			log_warn("accept of a relay");
			loop_io_want(r->accept_io, 0);
			loop_timer_set_ms(r->resume, PAUSE_MS);
		}
		return;
	}
	serve = xcalloc(1, sizeof(*serve));
	serve->relay = r;
	LIST_INIT(&serve->forwards);
	serve->pipe = pipe_new(r->w, conn_new(r->w->loop, fd, NULL, NULL),
	    H2LINK_SERVER, false, &serve_handler, &serve_ops, serve);
	LIST_INSERT_HEAD(&r->serves, serve, entry);
}

static void
on_resume(void *arg)
{
	struct relay *r = arg;

	loop_io_want(r->accept_io, LOOP_READ);
}

struct relay *
relay_new(struct worker *w)
{
	struct relay *r = xcalloc(1, sizeof(*r));

	r->w = w;
	r->to = xcalloc(w->shm->sizes.nprocs, sizeof(struct pipe *));
	r->to_generation = xcalloc(w->shm->sizes.nprocs, sizeof(uint32_t));
	if (w->child->fds.relay != -1) {
		r->accept_io =
		    loop_io_new(w->loop, w->child->fds.relay, on_accept, r);
		r->resume = loop_timer_new(w->loop, on_resume, r);
		loop_io_want(r->accept_io, LOOP_READ);
	}
	return (r);
}

bool
relay_serves(const struct relay *r)
{
	const struct serve *serve;

	LIST_FOREACH (serve, &r->serves, entry)
		if (!LIST_EMPTY(&serve->forwards))
			return (true);
	return (false);
}

void
relay_free(struct relay *r)
{
	struct serve *serve;

	loop_io_free(r->accept_io);
	loop_timer_free(r->resume);
	for (uint32_t i = 0; i < r->w->shm->sizes.nprocs; i++)
		if (r->to[i] != NULL)
			pipe_kill(r->to[i], "the worker ends");
	LIST_FOREACH (serve, &r->serves, entry)
		pipe_kill(serve->pipe, "the worker ends");
}
