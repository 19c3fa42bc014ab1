/*
 * The access log: one JSON document a line, one line a request. Lines of a
 * turn are gathered and written at its end in one call; what the file does
 * not take at once is dropped and counted, as nothing here waits for a disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/json.h"
#include "hubd/worker/worker.h"

#define GATHER_MAX (256 * 1024)

struct access_log {
	struct worker *w;
	int fd; /* -1: there is none */
	struct buf lines;
	uint64_t nlines;
	struct loop_work work;
};

static void
write_lines(void *arg)
{
	struct access_log *a = arg;
	ssize_t n = write(a->fd, buf_ptr(&a->lines), buf_len(&a->lines));

	if (n != (ssize_t)buf_len(&a->lines))
		counter_add(a->w->count, COUNT_log_dropped, a->nlines);
	a->nlines = 0;
	buf_reset(&a->lines, GATHER_MAX);
}

static void
open_file(struct access_log *a)
{
	const char *path = a->w->conf->access_log;

	if (path == NULL)
		return;
	a->fd = open(path,
	    O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	    0640);
	if (a->fd == -1)
		log_warn("%s", path);
}

struct access_log *
access_new(struct worker *w)
{
	struct access_log *a = xcalloc(1, sizeof(*a));

	a->w = w;
	a->fd = -1;
	a->work = (struct loop_work){.fn = write_lines, .arg = a};
	open_file(a);
	return (a);
}

static void
close_file(struct access_log *a)
{
	loop_work_cancel(&a->work);
	if (a->fd == -1)
		return;
	if (buf_len(&a->lines) > 0)
		write_lines(a);
	close(a->fd);
	a->fd = -1;
}

void
access_reopen(struct access_log *a)
{
	close_file(a);
	open_file(a);
}

void
access_free(struct access_log *a)
{
	close_file(a);
	buf_fini(&a->lines);
	free(a);
}

/* false: nobody wants the line, or there are too many in this turn. */
static bool
begin_line(struct access_log *a, struct jout *j)
{
	char text[48];
	int64_t ms = walltime_ms();
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	size_t n;

	if (a->fd == -1)
		return (false);
	if (buf_len(&a->lines) >= GATHER_MAX) {
		counter_add(a->w->count, COUNT_log_dropped, 1);
		return (false);
	}
	gmtime_r(&s, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(ms % 1000));
	jout_init(j, &a->lines);
	jout_begin_object(j);
	jout_kstr(j, "time", text);
	return (true);
}

static void
end_line(struct access_log *a, struct jout *j)
{
	jout_end_object(j);
	buf_addstr(&a->lines, "\n");
	a->nlines++;
	loop_defer(a->w->loop, &a->work);
}

static void
put_peer(struct jout *j, const char *id, struct client *c)
{
	jout_kstr(j, "id", id);
	jout_kstr(j, "peer", c != NULL ? conn_peer(client_conn(c)) : NULL);
}

void
access_refusal(struct worker *w, struct client *c, const char *id,
    const char *model, enum api_error error)
{
	struct jout j;

	if (!begin_line(w->access, &j))
		return;
	put_peer(&j, id, c);
	if (model != NULL && model[0] != '\0')
		jout_kstr(&j, "model", model);
	jout_kint(&j, "status", api_error_status(error));
	jout_kstr(&j, "code", api_error_code(error));
	end_line(w->access, &j);
}

static void
put_who(struct jout *j, const struct request *r)
{
	struct pub_account account;
	struct pub_agent agent;

	if (pub_account_read(r->w->shm, r->admission.account_row, &account))
		jout_kstr(j, "account", account.name);
	if (r->candidate != NULL &&
	    pub_agent_read(r->w->shm, r->candidate->agent_row, &agent)) {
		jout_kstr(j, "agent", agent.name);
		jout_kstr(j, "provider", r->candidate->provider);
	}
}

void
access_call(
    const struct request *r, const struct call_progress *p, const char *cost)
{
	struct worker *w = r->w;
	struct jout j;

	if (!begin_line(w->access, &j))
		return;
	put_peer(&j, r->id_text, r->client);
	put_who(&j, r);
	jout_kstr(&j, "endpoint", r->endpoint->id);
	jout_kstr(&j, "model", r->api.model);
	jout_kbool(&j, "stream", r->api.stream);
	jout_kint(&j, "status", p->status != 0 ? p->status : 499);
	jout_kstr(&j, "outcome", call_outcome_str(p->outcome));
	jout_kuint(&j, "attempts", r->attempts);
	jout_kint(&j, "ms", monotime_diff_ms(loop_now(w->loop), r->t_body));
	jout_kuint(&j, "input", usage_sum(&p->usage, USAGE_SIDE_INPUT));
	jout_kuint(&j, "output", usage_sum(&p->usage, USAGE_SIDE_OUTPUT));
	jout_kstr(&j, "amount", cost);
	end_line(w->access, &j);
}
