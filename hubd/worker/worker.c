/* The worker's process: setting up, wake-ups, reload, drain. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/alloc.h"
#include "hubd/worker/access.h"
#include "hubd/worker/redis.h"
#include "hubd/worker/worker.h"

#define FDS_RESERVED  256 /* for links, relays and ourselves */
#define DRAIN_POLL_MS 100
#define QUIET_POLLS   30
#define LAST_POLLS    10
#define RETIRED_POLLS 3 /* so that a stream on its way has arrived */

static void
on_sleep(void *arg)
{
	struct worker *w = arg;

	atomic_store(&w->row->streams, w->nrequests);
	process_asleep(w->row);
}

/* What billing has booked and published. */
static void
look_at_billing(struct worker *w)
{
	uint64_t version = atomic_load(&shm_pub_state(w->shm)->keys_version);

	finals_collect(w->finals);
	if (version == w->keys_version)
		return;
	w->keys_version = version;
	links_recheck(w);
	requests_recheck(w);
}

static void
on_look(void *arg)
{
	look_at_billing(arg);
}

/* A wake-up may be lost: billing may die before it, or whoever else serves our
 * slot take it. The heart beats each second. */
static void
on_awake(void *arg)
{
	struct worker *w = arg;

	process_awake(w->shm, w->row);
	if (atomic_load(&shm_pub_state(w->shm)->keys_version) !=
	    w->keys_version)
		loop_defer(w->loop, &w->look);
}

static void
on_wake(void *arg, int what)
{
	struct worker *w = arg;
	uint64_t count;

	(void)!read(w->child->fds.wake[0], &count, sizeof(count));
	look_at_billing(w);
}

static void
configure(struct worker *w)
{
	const struct route_rules rules = {
	    .routes = w->conf->routes,
	    .nroutes = w->conf->nroutes,
	    .default_route = w->conf->default_route,
	    .free_unpriced = w->conf->unpriced == UNPRICED_FREE,
	};

	router_configure(w->router, &rules);
}

static void
on_reload(struct hub_child *child, struct hub_conf *fresh, uint32_t cookie,
    bool force)
{
	struct worker *w = child->arg;

	w->conf = fresh;
	configure(w);
	if (w->redis != NULL)
		redis_configure(w->redis);
}

static void
on_tls(struct hub_child *child, int fd)
{
	struct worker *w = child->arg;

	if (w->handshakes != NULL)
		handshakes_renew(w->handshakes, fd);
}

static void
on_reopen(struct hub_child *child)
{
	access_log_reopen(child->arg);
}

static void
on_neighbour(
    struct hub_child *child, uint32_t slot, const int *listeners, size_t n)
{
	struct worker *w = child->arg;

	if (n > 0)
		acceptor_add(w->acceptor, slot, listeners, n);
	else
		acceptor_remove(w->acceptor, slot);
}

/* ---- drain
 * ------------------------------------------------------------------- */

static bool
is_busy(const struct worker *w)
{
	return (w->nrequests > 0 || finals_count(w->finals) > 0 ||
		conn_lingers_unsaid() || relay_serves(w->relay) ||
		(w->redis != NULL && !redis_idle(w->redis)));
}

/* Health is still asked while we drain: those who ask do not keep us, but who
 * has come in gets his answer, and who reads slowly all of it. */
static bool
is_drained(struct worker *w)
{
	if (is_busy(w)) {
		w->quiet_polls = 0;
		return (false);
	}
	if (w->nclients == 0 && conn_lingering() == 0 &&
	    handshakes_count(w->handshakes) == 0) {
		/* nor may anybody come in later in this last turn */
		acceptor_stop(w->acceptor);
		return (true);
	}
	if (++w->quiet_polls == QUIET_POLLS)
		acceptor_stop(w->acceptor);
	return (w->quiet_polls > QUIET_POLLS + LAST_POLLS);
}

static void
drain_clients(struct worker *w)
{
	struct client *c, *next;

	for (c = LIST_FIRST(&w->clients); c != NULL; c = next) {
		next = client_next(c);
		client_drain(c);
	}
}

/* Agents that do not come to our successor have had their time. */
static bool
is_retired(struct worker *w)
{
	bool busy = is_busy(w) || w->nclients > 0 || conn_lingering() > 0 ||
		    handshakes_count(w->handshakes) > 0;

	if (!busy && links_serve(w) &&
	    monotime_reached(w->links_until, loop_now(w->loop)))
		links_drain(w);
	if (busy || links_serve(w)) {
		w->quiet_polls = 0;
		return (false);
	}
	return (++w->quiet_polls > RETIRED_POLLS);
}

static void
on_drain_timer(void *arg)
{
	struct worker *w = arg;

	if (w->draining)
		drain_clients(w);
	look_at_billing(w);
	if (w->draining ? is_drained(w) : is_retired(w)) {
		loop_stop(w->loop);
		return;
	}
	loop_timer_set_ms(w->drain_timer, DRAIN_POLL_MS);
}

/*
 * A successor has our slot: what is ours is finished here, and nobody is cut.
 * Users' connections go with their next answer or when they have been idle
 * for long, links when their agents have dialled the successor. Wake-ups are
 * the successor's from here on; we look ourselves.
 */
static void
retire(struct worker *w)
{
	if (w->retiring || w->draining)
		return;
	log_info("retires: %u clients, %u requests, %u links", w->nclients,
	    w->nrequests, links_count(w));
	w->retiring = true;
	w->links_until = monotime_add_ms(loop_now(w->loop), LINK_MOVE_MS);
	access_event(w, "retire", NULL, NULL, NULL, NULL);
	process_set_phase(w->row, PHASE_DRAINING);
	acceptor_stop(w->acceptor);
	loop_io_want(w->wake_io, 0);
	/* those that we have taken meanwhile were the successor's, too */
	(void)eventfd_write(w->child->fds.wake[0], 1);
	links_retire(w);
	on_drain_timer(w);
}

static void
drain(struct worker *w)
{
	if (w->draining)
		return;
	log_info("drains: %u clients, %u requests", w->nclients, w->nrequests);
	w->draining = true;
	access_event(w, "drain", NULL, NULL, NULL, NULL);
	process_set_phase(w->row, PHASE_DRAINING);
	links_drain(w);
	on_drain_timer(w);
}

static void
on_drain(struct hub_child *child)
{
	if ((child->head.flags & HUBMSG_RETIRE) != 0)
		retire(child->arg);
	else
		drain(child->arg);
}

/* ---- set up
 * ------------------------------------------------------------------ */

static uint32_t
client_cap(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) == -1)
		return (512);
	if (lim.rlim_cur > FDS_RESERVED * 2)
		return ((uint32_t)(lim.rlim_cur - FDS_RESERVED));
	return ((uint32_t)(lim.rlim_cur / 2));
}

static struct worker *
set_up(struct hub_child *child)
{
	struct worker *w = xcalloc(1, sizeof(*w));

	w->child = child;
	w->loop = child->loop;
	w->shm = child->shm;
	w->conf = child->conf;
	w->row = &process_rows(w->shm)[child->me.row];
	w->count = &counter_rows(w->shm)[child->me.row];
	w->ids = id_source_new((uint16_t)child->me.row);
	w->sum = amount_new();
	w->max_clients = client_cap();
	/* near the others, but not on their rows while there are few calls */
	w->call_hint = child->me.row * 64 % w->shm->sizes.max_calls;
	LIST_INIT(&w->clients);
	LIST_INIT(&w->requests);
	w->router = router_new(w->shm);
	w->learn = learn_new();
	w->finals = finals_new(w);
	w->agents = links_new(w);
	w->relay = relay_new(w);
	w->handshakes = handshakes_new(w);
	w->drain_timer = loop_timer_new(w->loop, on_drain_timer, w);
	w->look = (struct loop_work){.fn = on_look, .arg = w};
	w->access = access_log_new(w);
	if (strcmp(w->conf->limits, "local") == 0) {
		w->limiter = limiter_local_new(w->shm);
	} else {
		w->redis = redis_new(w);
		w->limiter = redis_limiter(w->redis);
	}
	configure(w);
	return (w);
}

static void
tear_down(struct worker *w)
{
	/* first: requests that wait for its answer go on, with all there is */
	redis_free(w->redis);
	acceptor_free(w->acceptor);
	handshakes_free(w->handshakes);
	links_free(w);
	relay_free(w->relay);
	loop_io_free(w->wake_io);
	finals_free(w->finals);
	if (w->redis == NULL)
		w->limiter->ops->free(w->limiter);
	learn_free(w->learn);
	access_log_free(w);
	router_free(w->router);
	amount_free(w->sum);
	id_source_free(w->ids);
	buf_fini(&w->scratch);
}

int
worker_main(struct hub_child *child)
{
	struct worker *w = set_up(child);

	child->arg = w;
	child->on_drain = on_drain;
	child->on_reload = on_reload;
	child->on_reopen = on_reopen;
	child->on_neighbour = on_neighbour;
	child->on_tls = on_tls;
	child_attach(child);
	loop_set_hooks(w->loop, on_awake, on_sleep, w);
	process_awake(w->shm, w->row);
	w->wake_io = loop_io_new(w->loop, child->fds.wake[0], on_wake, w);
	loop_io_want(w->wake_io, LOOP_READ);
	w->acceptor = acceptor_new(w);
	process_set_phase(w->row, PHASE_SERVING);
	child_send(child, HUBMSG_READY, NULL, 0);
	loop_run(w->loop);
	tear_down(w);
	return (0);
}
