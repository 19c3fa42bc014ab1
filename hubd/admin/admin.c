/*
 * The admin process: health and metrics on admin_listen. It only reads
 * shared memory, and goes on answering until the master ends it, so that a
 * draining hub can be watched to its end.
 */
#include "hubd/admin/admin.h"

/* An upgrade replaces this process; a hub that goes down keeps it to the
 * last. */
static void
on_drain(struct hub_child *child)
{
	if (atomic_load(&shm_run_state(child->shm)->draining) == 0)
		http_rest(child->arg);
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

	child->arg = http = http_start(child);
	child->on_drain = on_drain;
	child->on_reload = on_reload;
	child_attach(child);
	child_send(child, HUBMSG_READY, NULL, 0);
	loop_run(child->loop);
	http_stop(http);
	return (0);
}
