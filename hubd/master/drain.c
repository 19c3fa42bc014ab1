/*
 * Going down: workers finish what they have, billing books all of it, admin
 * answers to the last.
 */
#include <signal.h>
#include <sys/socket.h>

#include "common/log.h"
#include "common/notify.h"
#include "hubd/master/master.h"

#define BILLING_MS 30000 /* then the next start bills what is left */
#define ADMIN_MS   2000

bool
is_draining(const struct master *m)
{
	return (m->stage >= STAGE_DRAIN_WORKERS);
}

static void
enter(struct master *m, enum master_stage stage, int64_t ms)
{
	m->stage = stage;
	m->deadline = monotime_add_ms(monotime_now(), ms);
}

static void
tell(struct seat *s)
{
	if (s->pid == 0 || s->told_drain)
		return;
	s->told_drain = seat_send(s, HUBMSG_DRAIN, 0, 0, NULL, 0);
}

static uint32_t
workers_alive(struct master *m)
{
	struct seat *s;
	uint32_t i, n = 0;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++)
		n += s->role == ROLE_WORKER && s->pid != 0;
	return (n);
}

static void
kill_workers(struct master *m)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->role == ROLE_WORKER && s->pid != 0)
			kill(s->pid, SIGKILL);
	}
}

void
drain_begin(struct master *m, const char *why)
{
	struct seat *s;
	uint32_t i;

	if (is_draining(m))
		return;
	log_info("draining: %s", why);
	notify_supervisor("STOPPING=1");
	atomic_store(&shm_run_state(m->shm)->draining, 1);
	enter(m, STAGE_DRAIN_WORKERS, m->conf->timeout.drain);
	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->role != ROLE_WORKER)
			continue;
		loop_timer_free(s->respawn);
		s->respawn = NULL;
		tell(s);
	}
	drain_step(m);
}

void
drain_hasten(struct master *m)
{
	log_warnx("not waiting any longer");
	if (m->stage == STAGE_DRAIN_WORKERS)
		kill_workers(m);
	else if (m->stage == STAGE_DRAIN_BILLING && m->billing.pid != 0)
		kill(m->billing.pid, SIGKILL);
	m->deadline = monotime_now();
}

static void
step_workers(struct master *m, bool late)
{
	uint32_t left = workers_alive(m);

	if (left == 0) {
		enter(m, STAGE_DRAIN_BILLING, BILLING_MS);
		return;
	}
	if (late) {
		log_warnx("%u workers are not done: killed", left);
		kill_workers(m);
		enter(m, STAGE_DRAIN_WORKERS, m->conf->timeout.drain);
	}
}

static void
step_billing(struct master *m, bool late)
{
	struct seat *b = &m->billing;

	if (!m->clean && !late) {
		/* a new one hears it once it has set up */
		if (b->ready)
			tell(b);
		return;
	}
	if (!m->clean)
		log_warnx("billing is not done: the next start books what "
			  "is left");
	/* a successor would never be told that all is over */
	loop_timer_free(b->respawn);
	loop_timer_free(m->admin_seat.respawn);
	b->respawn = m->admin_seat.respawn = NULL;
	if (b->pid != 0)
		kill(b->pid, SIGKILL);
	enter(m, STAGE_END_ADMIN, ADMIN_MS);
	/* the end of its channel is what admin obeys */
	if (m->admin_seat.pid != 0) {
		m->admin_seat.told_drain = true;
		shutdown(m->admin_seat.channel, SHUT_RDWR);
	}
}

static void
step_admin(struct master *m, bool late)
{
	if (late && m->admin_seat.pid != 0)
		kill(m->admin_seat.pid, SIGKILL);
	if (m->admin_seat.pid != 0 || m->billing.pid != 0)
		return;
	m->stage = STAGE_OVER;
	log_info("done");
	loop_stop(m->loop);
}

void
drain_step(struct master *m)
{
	enum master_stage before;
	bool late;

	do {
		before = m->stage;
		late = monotime_reached(m->deadline, monotime_now());
		switch (m->stage) {
		case STAGE_STARTING:
		case STAGE_SERVING:
		case STAGE_OVER:
			return;
		case STAGE_DRAIN_WORKERS:
			step_workers(m, late);
			break;
		case STAGE_DRAIN_BILLING:
			step_billing(m, late);
			break;
		case STAGE_END_ADMIN:
			step_admin(m, late);
			break;
		}
	} while (m->stage != before);
}
