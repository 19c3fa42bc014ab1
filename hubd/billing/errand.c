/* Errands as billing sees them: a bounded number of children. */
#include "hubd/billing/errand.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/billing/offspring.h"

struct errand {
	struct billing *b;
	struct offspring *child;
	struct loop_io *io;  /* NULL: with an asker, which hears more of it */
	struct asker *asker; /* with a store that several hubs share */
	void (*ended)(void *);
	void *arg;
};

/* It says nothing but that it is gone. */
static void
on_pair(void *arg, int what)
{
	struct errand *e = arg;
	char byte;
	ssize_t n = recv(offspring_socket(e->child), &byte, sizeof(byte), 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	loop_io_want(e->io, 0);
	e->ended(e->arg);
}

/* The socket is new and takes it as a whole. */
static bool
tell(struct errand *e, struct span line)
{
	char end[] = "\n";
	struct iovec parts[] = {
	    {.iov_base = xmemdup0(line.p, line.n), .iov_len = line.n},
	    {.iov_base = end, .iov_len = 1}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	ssize_t n = sendmsg(offspring_socket(e->child), &m, MSG_NOSIGNAL);

	free(parts[0].iov_base);
	if (n == (ssize_t)line.n + 1)
		return (true);
	log_warn("a request to an errand");
	return (false);
}

static void
on_gone(void *arg)
{
	struct errand *e = arg;

	e->ended(e->arg);
}

static void
listen_to(struct errand *e)
{
	int fd = offspring_socket(e->child);

	if (e->b->shared != NULL) {
		e->asker = asker_new(e->b, fd, on_gone, e);
		return;
	}
	e->io = loop_io_new(e->b->loop, fd, on_pair, e);
	loop_io_want(e->io, LOOP_READ);
}

struct errand *
errand_start(struct billing *b, struct span line, int client,
    void (*ended)(void *arg), void *arg, const char **why)
{
	struct errand *e;

	*why = "too many commands that take long run already: try again later";
	if (b->errands >= ERRANDS_MAX)
		return (NULL);
	*why = "the hub cannot start a process for this; see its log";
	e = xcalloc(1, sizeof(*e));
	e->b = b;
	e->ended = ended;
	e->arg = arg;
	e->child = offspring_start(b, OFFSPRING_ERRAND, client);
	if (e->child == NULL || !tell(e, line)) {
		offspring_end(e->child);
		free(e);
		return (NULL);
	}
	listen_to(e);
	b->errands++;
	return (e);
}

void
errand_end(struct errand *e)
{
	if (e == NULL)
		return;
	loop_io_free(e->io);
	asker_free(e->asker);
	offspring_end(e->child);
	e->b->errands--;
	loop_free_later(e->b->loop, e);
}
