/* Look-ups of names, each by a thread of its own. */
#include "agentd/lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"

/* Who comes second frees it: the thread with its answer, or cancel. */
enum { RUNNING, ANSWERED, ABANDONED };

struct lookup {
	atomic_int state;
	pthread_t thread;
	int event; /* the thread writes to it as the last it does */
	/* the loop's */
	struct loop_io *io;
	lookup_fn *fn;
	void *arg;
	/* the thread's, up to its answer */
	char *name;
	struct lookup_address address[LOOKUP_MAX];
	size_t n;
	int error; /* of getaddrinfo() */
};

static void
lookup_free(struct lookup *l)
{
	loop_io_free(l->io);
	close(l->event);
	free(l->name);
	free(l);
}

/* ---- the thread --------------------------------------------------------- */

static void
add_address(struct lookup *l, const struct addrinfo *ai)
{
	struct lookup_address *a = &l->address[l->n];
	char host[LOOKUP_TEXT - 2];
	size_t i;

	if (l->n == LOOKUP_MAX ||
	    (ai->ai_family != AF_INET && ai->ai_family != AF_INET6) ||
	    getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), NULL,
		0, NI_NUMERICHOST) != 0)
		return;
	a->ipv6 = ai->ai_family == AF_INET6;
	snprintf(a->text, sizeof(a->text), a->ipv6 ? "[%s]" : "%s", host);
	for (i = 0; i < l->n; i++)
		if (strcmp(l->address[i].text, a->text) == 0)
			return;
	l->n++;
}

static int
resolve(struct lookup *l, const char *name, int flags)
{
	const struct addrinfo hints = {
	    .ai_socktype = SOCK_STREAM, .ai_flags = flags};
	struct addrinfo *list = NULL, *ai;
	int error = getaddrinfo(name, NULL, &hints, &list);

	if (error != 0)
		return (error);
	for (ai = list; ai != NULL; ai = ai->ai_next)
		add_address(l, ai);
	freeaddrinfo(list);
	return (l->n > 0 ? 0 : EAI_NODATA);
}

/* Test builds: a file may say which addresses every name has. */
static bool
resolve_by_file(struct lookup *l)
{
	char text[512], *word, *rest = NULL;

	if (!FAILPOINT_TEXT("agent.addresses", text, sizeof(text)))
		return (false);
	l->error = EAI_NODATA;
	for (word = strtok_r(text, " \n", &rest); word != NULL;
	     word = strtok_r(NULL, " \n", &rest))
		l->error = resolve(l, word, AI_NUMERICHOST);
	return (true);
}

static void *
run(void *arg)
{
	struct lookup *l = arg;

	if (!resolve_by_file(l))
		l->error = resolve(l, l->name, AI_ADDRCONFIG);
	if (atomic_exchange(&l->state, ANSWERED) == ABANDONED) {
		lookup_free(l);
		return (NULL);
	}
	if (eventfd_write(l->event, 1) == -1)
		abort();
	return (NULL);
}

/* ---- the loop ----------------------------------------------------------- */

static void
on_answer(void *arg, int what)
{
	struct lookup *l = arg;

	(void)what;
	pthread_join(l->thread, NULL); /* it has nothing left to do */
	loop_io_want(l->io, 0);
	l->fn(l->arg, l->address, l->n,
	    l->n == 0 ? gai_strerror(l->error) : NULL);
	lookup_free(l);
}

struct lookup *
lookup_start(struct loop *loop, const char *name, lookup_fn *fn, void *arg)
{
	struct lookup *l = xcalloc(1, sizeof(*l));

	l->fn = fn;
	l->arg = arg;
	l->name = xstrdup(name);
	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event == -1 || pthread_create(&l->thread, NULL, run, l) != 0) {
		log_warn("no look-up of %s", name);
		lookup_free(l);
		return (NULL);
	}
	l->io = loop_io_new(loop, l->event, on_answer, l);
	loop_io_want(l->io, LOOP_READ);
	return (l);
}

void
lookup_cancel(struct lookup *l)
{
	pthread_t thread;

	if (l == NULL)
		return;
	thread = l->thread;
	loop_io_free(l->io);
	l->io = NULL;
	/* while it runs, all of it is the thread's from here on */
	if (atomic_exchange(&l->state, ABANDONED) == RUNNING) {
		pthread_detach(thread);
		return;
	}
	pthread_join(thread, NULL);
	lookup_free(l);
}
