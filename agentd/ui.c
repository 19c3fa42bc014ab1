/* GET /healthz on the agent's own address. */
#include "agentd/ui.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agentd/uplink.h"
#include "common/alloc.h"
#include "common/conn.h"
#include "common/http1.h"
#include "common/json.h"
#include "common/log.h"

#define DEADLINE_MS 5000 /* for a whole request, absolute */
#define VISITORS    64
#define PAUSE_MS    100 /* of accepting, when descriptors are short */

struct visitor {
	struct ui *ui;
	struct conn *conn;
	struct loop_timer *timer;
	size_t scanned;
	LIST_ENTRY(visitor) entry;
};

struct ui {
	struct agent *agent;
	int fd;
	struct loop_io *io;
	struct loop_timer *pause;
	LIST_HEAD(, visitor) visitors;
	unsigned n;
};

static void
visitor_end(struct visitor *v, enum conn_close how)
{
	conn_close(v->conn, how);
	loop_timer_free(v->timer);
	LIST_REMOVE(v, entry);
	v->ui->n--;
	loop_free_later(v->ui->agent->loop, v);
}

static void
put_health(const struct agent *a, struct buf *out)
{
	uint32_t up, wanted;
	struct jout j;

	uplinks_count(a->uplinks, &up, &wanted);
	jout_init(&j, out);
	jout_begin_object(&j);
	jout_kstr(&j, "status", "ok");
	jout_kstr(&j, "reason",
	    a->draining	  ? "draining"
	    : up == 0	  ? "no link to any hub"
	    : up < wanted ? "some links are down"
			  : "");
	jout_kuint(&j, "links", up);
	jout_kuint(&j, "calls", a->calls);
	jout_end_object(&j);
	buf_addstr(out, "\n");
}

/* Every answer is the last on its connection. */
static void
answer(struct visitor *v, int status, bool with_body, struct span body)
{
	struct buf *out = conn_out(v->conn);
	char length[24];

	snprintf(length, sizeof(length), "%zu", body.n);
	http1_put_status(out, status);
	if (body.n > 0)
		http1_put_field(out, "Content-Type", SPAN("application/json"));
	http1_put_field(out, "Content-Length", span_str(length));
	http1_put_field(out, "Connection", SPAN("close"));
	http1_put_end(out);
	if (with_body)
		buf_addspan(out, body);
	visitor_end(v, CONN_CLOSE_LINGER);
}

static void
route(struct visitor *v, const struct http1_head *head)
{
	bool get = span_eq(head->method, SPAN("GET"));
	struct buf body = {0};

	if (!span_eq(head->path, SPAN("/healthz"))) {
		answer(v, 404, false, SPAN(""));
	} else if (!get && !span_eq(head->method, SPAN("HEAD"))) {
		answer(v, 405, false, SPAN(""));
	} else {
		put_health(v->ui->agent, &body);
		answer(v, 200, get, buf_span(&body));
		buf_fini(&body);
	}
}

static void
on_conn(struct conn *c, enum conn_event event, void *arg)
{
	struct visitor *v = arg;
	struct http1_head head;
	enum http1_error error;

	assert(v->conn == c);
	if (event != CONN_READABLE) {
		if (event != CONN_DRAINED)
			visitor_end(v, CONN_CLOSE_NOW);
		return;
	}
	error = http1_parse_head(buf_span(conn_in(c)), &v->scanned, &head);
	if (error == HTTP1_OK)
		route(v, &head);
	else if (error != HTTP1_MORE)
		answer(v, http1_error_status(error), false, SPAN(""));
}

static void
on_deadline(void *arg)
{
	answer(arg, 408, false, SPAN(""));
}

static void
on_accept(void *arg, int what)
{
	struct ui *ui = arg;
	struct visitor *v;
	int fd;

	(void)what;
	fd = accept4(ui->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd == -1) {
		if (errno == EMFILE || errno == ENFILE) {
			loop_io_want(ui->io, 0);
			loop_timer_set_ms(ui->pause, PAUSE_MS);
		}
		return;
	}
	if (ui->n == VISITORS) {
		close(fd);
		return;
	}
	v = xcalloc(1, sizeof(*v));
	v->ui = ui;
	v->conn = conn_new(ui->agent->loop, fd, on_conn, v);
	v->timer = loop_timer_new(ui->agent->loop, on_deadline, v);
	loop_timer_set_ms(v->timer, DEADLINE_MS);
	LIST_INSERT_HEAD(&ui->visitors, v, entry);
	ui->n++;
}

static void
on_pause_over(void *arg)
{
	loop_io_want(((struct ui *)arg)->io, LOOP_READ);
}

static int
open_listener(const char *address)
{
	struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	    .ai_socktype = SOCK_STREAM};
	struct addrinfo *ai = NULL;
	char *host = xstrdup(address), *port = strrchr(host, ':');
	char *name = host;
	int fd = -1, on = 1;

	*port++ = '\0'; /* check_ui() saw to it */
	if (name[0] == '[' && port - 2 > name && port[-2] == ']') {
		name++;
		port[-2] = '\0';
	}
	errno = EADDRNOTAVAIL;
	if (getaddrinfo(name, port, &hints, &ai) == 0) {
		fd = socket(ai->ai_family,
		    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		if (fd != -1)
			setsockopt(
			    fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (fd != -1 && (bind(fd, ai->ai_addr, ai->ai_addrlen) == -1 ||
				    listen(fd, 64) == -1)) {
			close(fd);
			fd = -1;
		}
		freeaddrinfo(ai);
	}
	free(host);
	return (fd);
}

struct ui *
ui_new(struct agent *a, const char *address)
{
	struct ui *ui;
	int fd = open_listener(address);

	if (fd == -1)
		return (NULL);
	ui = xcalloc(1, sizeof(*ui));
	ui->agent = a;
	ui->fd = fd;
	LIST_INIT(&ui->visitors);
	ui->pause = loop_timer_new(a->loop, on_pause_over, ui);
	ui->io = loop_io_new(a->loop, fd, on_accept, ui);
	loop_io_want(ui->io, LOOP_READ);
	return (ui);
}

void
ui_free(struct ui *ui)
{
	struct visitor *v;

	if (ui == NULL)
		return;
	while ((v = LIST_FIRST(&ui->visitors)) != NULL)
		visitor_end(v, CONN_CLOSE_NOW);
	loop_io_free(ui->io);
	loop_timer_free(ui->pause);
	close(ui->fd);
	free(ui);
}
