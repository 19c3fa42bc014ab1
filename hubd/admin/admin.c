/*
 * The admin process: health and metrics on admin_listen. It only reads
 * shared memory, and goes on answering until the master ends it, so that a
 * draining hub can be watched to its end.
 */
#include "hubd/admin/admin.h"

#include "common/log.h"
#include "hubd/health.h"

static int
answer_health(
    struct hub_child *child, bool ready, struct buf *body, const char **type)
{
	*type = "application/json";
	return (hub_health(child->shm, ready, body));
}

static int
answer_metrics(struct hub_child *child, struct buf *body, const char **type)
{
	*type = METRICS_TYPE;
	metrics_put(child->shm, body);
	return (200);
}

int
admin_answer(struct hub_child *child, struct span path, struct buf *body,
    const char **type)
{
	if (span_eq(path, SPAN("/healthz")))
		return (answer_health(child, false, body, type));
	if (span_eq(path, SPAN("/readyz")))
		return (answer_health(child, true, body, type));
	if (span_eq(path, SPAN("/metrics")))
		return (answer_metrics(child, body, type));
	*type = "text/plain";
	buf_addstr(body, "There is nothing here.\n");
	return (404);
}

/* An upgrade replaces this process; a hub that goes down keeps it to the
 * last. */
static void
on_drain(struct hub_child *child)
{
	if (atomic_load(&shm_run_state(child->shm)->draining) == 0)
		loop_stop(child->loop);
}

static void
on_reload(struct hub_child *child, struct hub_conf *fresh, uint32_t cookie,
    bool force)
{
	hub_conf_free(child->conf);
	child->conf = fresh;
}

int
admin_main(struct hub_child *child)
{
	struct http *http;

	http = http_start(child);
	child->on_drain = on_drain;
	child->on_reload = on_reload;
	child_attach(child);
	child_send(child, HUBMSG_READY, NULL, 0);
	loop_run(child->loop);
	http_stop(http);
	return (0);
}
