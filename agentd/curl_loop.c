/* A libcurl multi handle run by the loop (curl_multi_socket_action). */
#include "agentd/curl_loop.h"

#include <assert.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/log.h"

struct curl_loop {
	CURLM *multi;
	struct loop *loop;
	struct loop_timer *timer;
	curl_done_fn *done;
	void *arg;
	unsigned depth; /* of calls into curl */
	bool dead;	/* freed by what a finished transfer called */
};

struct watched {
	struct curl_loop *cl;
	struct loop_io *io;
	int fd;
};

static void
take_finished(struct curl_loop *cl)
{
	CURLMsg *m;
	int left;

	while (!cl->dead && (m = curl_multi_info_read(cl->multi, &left))) {
		if (m->msg == CURLMSG_DONE)
			cl->done(cl->arg, m->easy_handle, m->data.result);
	}
}

static void
act(struct curl_loop *cl, curl_socket_t fd, int what)
{
	int running;

	if (cl->dead)
		return;
	assert(cl->depth == 0);
	cl->depth++;
	if (curl_multi_socket_action(cl->multi, fd, what, &running) != CURLM_OK)
		log_warnx("curl refuses to look at a descriptor");
	cl->depth--;
	take_finished(cl);
}

static void
on_io(void *arg, int what)
{
	struct watched *w = arg;

	act(w->cl, w->fd,
	    what == LOOP_READ ? CURL_CSELECT_IN : CURL_CSELECT_OUT);
}

static void
on_timer(void *arg)
{
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void
unwatch(struct curl_loop *cl, struct watched *w)
{
	if (w == NULL)
		return;
	loop_io_free(w->io);
	w->io = NULL;
	loop_free_later(cl->loop, w);
}

static int
cb_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *per_fd)
{
	struct curl_loop *cl = arg;
	struct watched *w = per_fd;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		unwatch(cl, w);
		curl_multi_assign(cl->multi, fd, NULL);
		return (0);
	}
	if (w == NULL) {
		w = xcalloc(1, sizeof(*w));
		w->cl = cl;
		w->fd = fd;
		w->io = loop_io_new(cl->loop, fd, on_io, w);
		curl_multi_assign(cl->multi, fd, w);
	}
	loop_io_want(w->io, ((what & CURL_POLL_IN) ? LOOP_READ : 0) |
				((what & CURL_POLL_OUT) ? LOOP_WRITE : 0));
	return (0);
}

static int
cb_timer(CURLM *multi, long ms, void *arg)
{
	struct curl_loop *cl = arg;

	(void)multi;
	if (ms < 0)
		loop_timer_clear(cl->timer);
	else
		loop_timer_set_ms(cl->timer, ms);
	return (0);
}

struct curl_loop *
curl_loop_new(struct loop *loop, curl_done_fn *done, void *arg)
{
	struct curl_loop *cl = xcalloc(1, sizeof(*cl));

	cl->loop = loop;
	cl->done = done;
	cl->arg = arg;
	cl->timer = loop_timer_new(loop, on_timer, cl);
	if ((cl->multi = curl_multi_init()) == NULL)
		abort();
	curl_multi_setopt(cl->multi, CURLMOPT_SOCKETFUNCTION, cb_socket);
	curl_multi_setopt(cl->multi, CURLMOPT_SOCKETDATA, cl);
	curl_multi_setopt(cl->multi, CURLMOPT_TIMERFUNCTION, cb_timer);
	curl_multi_setopt(cl->multi, CURLMOPT_TIMERDATA, cl);
	return (cl);
}

void
curl_loop_free(struct curl_loop *cl)
{
	if (cl == NULL)
		return;
	assert(cl->depth == 0 && !cl->dead);
	/* Closing idle connections may still unwatch descriptors. */
	curl_multi_cleanup(cl->multi);
	cl->dead = true;
	loop_timer_free(cl->timer);
	loop_free_later(cl->loop, cl);
}

CURLM *
curl_loop_multi(struct curl_loop *cl)
{
	return (cl->multi);
}
