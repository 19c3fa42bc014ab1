/*
 * The first moments of a program that was executed in another's place: its
 * children start beside those of before, which retire when there is somebody
 * for whoever comes. There is one billing at any time: the old one ends, then
 * the new one starts; finished calls wait in shared memory.
 */
#include <signal.h>

#include "common/log.h"
#include "hubd/master/master.h"

#define END_MS	 30000 /* for billing and admin to end */
#define AGAIN_MS 10000 /* until one that was killed must be gone */

static void
retire(struct seat *s, int64_t ms)
{
	/* One that is stuck does not hear it: it has its deadline. */
	seat_send(s, HUBMSG_DRAIN, 0, HUBMSG_RETIRE, NULL, 0);
	s->told_retire = true;
	s->ready = false;
	s->deadline = monotime_add_ms(monotime_now(), ms);
}

static void
replace(struct seat *s)
{
	if (s->pid == 0)
		seat_spawn(s);
	else if (!s->told_retire)
		retire(s, END_MS);
}

/* Slots are served by those of before for now. */
static void
start_workers(struct master *m)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->retired && s->pid != 0 && !s->told_retire)
			m->workers[s->slot].lost_at = (monotime_t){0};
	}
	for (i = 0; i < m->conf->workers; i++)
		seat_spawn(&m->workers[i]);
}

void
takeover_start(struct master *m)
{
	struct seat *s;
	uint32_t i;

	m->stage = STAGE_SERVING;
	shm_set_build(m->shm, VERSION);
	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->pid != 0)
			seat_adopt(s);
	}
	start_workers(m);
	replace(&m->billing);
	replace(&m->admin_seat);
	/* of the dead, the signal may have been for the program before */
	reap_children(m);
}

static bool
has_all_workers(const struct master *m)
{
	for (uint32_t i = 0; i < m->conf->workers; i++) {
		if (!m->workers[i].ready)
			return (false);
	}
	return (true);
}

/*
 * All at once, and only when all successors are there: an agent that dials
 * anew would else come to one that is the next to go. If this program's
 * workers cannot begin, those of before serve on.
 */
static void
retire_workers(struct master *m)
{
	struct seat *s;
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->retired && s->pid != 0 && !s->told_retire)
			retire(s, m->conf->timeout.drain);
	}
}

void
takeover_step(struct master *m)
{
	if (!m->taking_over || is_draining(m))
		return;
	if (has_all_workers(m))
		retire_workers(m);
	if (!master_all_ready(m))
		return;
	m->taking_over = false;
	log_info("upgraded: hubd %s serves with %u workers", VERSION,
	    m->conf->workers);
}

void
takeover_tick(struct master *m, monotime_t now)
{
	struct seat *s;
	char name[32];
	uint32_t i;

	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->pid == 0 || !s->told_retire ||
		    !monotime_reached(s->deadline, now))
			continue;
		log_warnx("%s (pid %d) has not retired: killed",
		    seat_name(s, name), (int)s->pid);
		kill(s->pid, SIGKILL);
		s->deadline = monotime_add_ms(now, AGAIN_MS);
	}
}

void
takeover_gone(struct seat *s)
{
	struct master *m = s->m;
	struct seat *heir = &m->workers[s->slot];

	seat_vacate(s);
	if (!s->retired) {
		if (m->stage < STAGE_END_ADMIN)
			seat_spawn_later(s, 0);
	} else if (!heir->ready && heir->lost_at.ns == 0) {
		heir->lost_at = monotime_now();
	}
}
