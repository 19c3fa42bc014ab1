/*
 * Deaths and what follows from them: the one store that makes it known, the
 * successor, and whoever serves the slot until that one is ready.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/master/master.h"

#define HEALTHY_MS   10000 /* a child that lived for this long was fine */
#define BACKOFF_MS   1000
#define BACKOFF_MAX  30000
#define HEARTBEAT_MS 10000 /* older: killed and replaced */
#define NEIGHBOUR_MS 1000
#define TICK_MS	     250
#define TICK_LATE_MS 3000 /* the master itself was stopped */

/* ---- deaths ---------------------------------------------------------------
 */

static void
log_death(struct seat *s, int status)
{
	const char *words = process_rows(s->m->shm)[s->row].last_words;
	char name[32];

	seat_name(s, name);
	if (WIFSIGNALED(status))
		log_warnx("%s (pid %d) was killed by signal %d", name,
		    (int)s->pid, WTERMSIG(status));
	else if ((s->told_drain || s->told_retire) && WEXITSTATUS(status) == 0)
		log_debug("%s (pid %d) is done", name, (int)s->pid);
	else
		log_warnx("%s (pid %d) ended with status %d%s%.*s", name,
		    (int)s->pid, WEXITSTATUS(status),
		    words[0] != '\0' ? ": " : "",
		    (int)sizeof(process_rows(s->m->shm)[0].last_words) - 1,
		    words);
}

/*
 * When the next one starts: at once, but for children that die young. Those
 * that never got ready wait longer and longer, others a second.
 */
static int64_t
next_delay(struct seat *s, bool was_ready)
{
	int64_t lived = monotime_diff_ms(monotime_now(), s->since);
	int64_t delay = s->delay_ms;

	if (lived >= HEALTHY_MS) {
		s->delay_ms = 0;
		return (0);
	}
	if (was_ready || delay == 0)
		s->delay_ms = BACKOFF_MS;
	else
		s->delay_ms = delay * 2 < BACKOFF_MAX ? delay * 2 : BACKOFF_MAX;
	return (delay);
}

static void
fill_again(struct seat *s, int64_t delay)
{
	char name[32];

	if (delay > 0)
		log_warnx("%s starts again in %lld s", seat_name(s, name),
		    (long long)(delay / 1000));
	seat_spawn_later(s, delay);
}

/* While the hub goes down billing still books and admin still answers. */
static bool
is_wanted(const struct seat *s, int status)
{
	if (!is_draining(s->m))
		return (true);
	return (
	    s->role != ROLE_WORKER && s->m->stage < STAGE_END_ADMIN &&
	    !(s->told_drain && WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

/* A child that says by itself that it cannot begin: the start has failed. */
static bool
start_failed(const struct seat *s, int status)
{
	return (s->m->stage == STAGE_STARTING && !s->ready &&
		WIFEXITED(status) && WEXITSTATUS(status) != 0);
}

/* The log may be a file: whoever started us reads stderr. */
static void
fail_start(struct seat *s)
{
	struct process_row *row = &process_rows(s->m->shm)[s->row];
	char name[32];

	if (s->m->conf->log != NULL)
		dprintf(STDERR_FILENO, "hubd: %s cannot start: %.*s\n",
		    seat_name(s, name), (int)sizeof(row->last_words) - 1,
		    row->last_words);
	s->m->status = 1;
	loop_stop(s->m->loop);
}

static void
on_death(struct seat *s, int status)
{
	struct master *m = s->m;
	bool was_ready = s->ready;
	int64_t delay;

	(void)FAILPOINT("master.reaped");
	process_died(m->shm, s->row);
	log_death(s, status);
	if (s->role == ROLE_BILLING && s->told_drain && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0)
		m->clean = true;
	if (start_failed(s, status))
		fail_start(s);
	if (was_ready)
		s->lost_at = monotime_now();
	if (s->told_retire || s->retired) {
		takeover_gone(s);
		return;
	}
	delay = next_delay(s, was_ready);
	seat_vacate(s);
	if (is_wanted(s, status)) {
		atomic_fetch_add(&shm_run_state(m->shm)->restarts, 1);
		fill_again(s, delay);
	}
}

void
reap_children(struct master *m)
{
	struct seat *s;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if ((s = master_seat_of(m, pid)) != NULL)
			on_death(s, status);
		else
			(void)upgrade_reaped(m, pid, status);
	}
	if (is_draining(m)) /* a worker that is done leaves its slot */
		watch_slots(m);
	drain_step(m);
}

/* ---- neighbours -----------------------------------------------------------
 */

static struct seat *
next_live(struct seat *s)
{
	struct master *m = s->m;
	uint32_t i, n = m->conf->workers;

	for (i = 1; i < n; i++) {
		struct seat *other = &m->workers[(s->slot + i) % n];

		if (other->pid != 0 && other->ready)
			return (other);
	}
	return (NULL);
}

/* Is the neighbour still the process that was given the listeners? */
static bool
is_helped(const struct seat *s)
{
	return (s->helper != NULL && s->helper->ready &&
		s->helper->pid == s->helper_pid);
}

static void
serve_slot(struct seat *s, monotime_t now)
{
	struct master *m = s->m;
	int64_t patience = is_draining(m) ? 0 : NEIGHBOUR_MS;
	char name[32];

	if (s->ready || is_helped(s) || m->stage > STAGE_DRAIN_WORKERS)
		return;
	if (s->lost_at.ns == 0 || monotime_diff_ms(now, s->lost_at) < patience)
		return;
	if ((s->helper = next_live(s)) == NULL)
		return;
	s->helper_pid = s->helper->pid;
	log_info(
	    "slot %u is served by %s", s->slot, seat_name(s->helper, name));
	seat_send_fds(s->helper, HUBMSG_NEIGHBOUR, &s->slot, sizeof(s->slot),
	    m->listen[s->slot], (size_t)m->nlisten);
}

void
watch_slots(struct master *m)
{
	monotime_t now = monotime_now();
	uint32_t i;

	for (i = 0; i < m->conf->workers; i++)
		serve_slot(&m->workers[i], now);
}

void
watch_worker_ready(struct seat *s)
{
	s->lost_at = (monotime_t){0};
	if (is_helped(s))
		seat_send(s->helper, HUBMSG_NEIGHBOUR_BACK, 0, 0, &s->slot,
		    sizeof(s->slot));
	s->helper = NULL;
}

/* ---- heartbeats -----------------------------------------------------------
 */

static bool
has_stopped(const struct seat *s, monotime_t now)
{
	struct process_row *row = &process_rows(s->m->shm)[s->row];
	monotime_t beat = {atomic_load(&row->heartbeat_ns)};

	if (s->m->watch_from.ns > beat.ns)
		beat = s->m->watch_from;
	return (s->pid != 0 && monotime_diff_ms(now, beat) >= HEARTBEAT_MS);
}

static void
check_worker(const struct seat *s, monotime_t now)
{
	char name[32];

	if (!has_stopped(s, now))
		return;
	log_errx("%s (pid %d) has not moved for %d s: killed",
	    seat_name(s, name), (int)s->pid, HEARTBEAT_MS / 1000);
	kill(s->pid, SIGKILL);
}

/* It may wait for its disk as long as it has to; but people are to know. */
static void
check_billing(struct seat *s, monotime_t now)
{
	bool silent = has_stopped(s, now);

	if (silent == s->silent)
		return;
	s->silent = silent;
	if (silent)
		log_warnx("billing (pid %d) has not moved for %d s: finished "
			  "calls wait in memory",
		    (int)s->pid, HEARTBEAT_MS / 1000);
	else if (s->pid != 0)
		log_info("billing (pid %d) moves", (int)s->pid);
}

void
watch_tick(void *arg)
{
	struct master *m = arg;
	monotime_t now = monotime_now();
	struct seat *s;
	uint32_t i;

	/* stopped all together, as by a terminal: they get their time again */
	if (monotime_diff_ms(now, m->last_tick) > TICK_LATE_MS)
		m->watch_from = now;
	m->last_tick = now;
	process_beat(&process_rows(m->shm)[m->me.row], now);
	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		if (s->role == ROLE_WORKER)
			check_worker(s, now);
	}
	check_billing(&m->billing, now);
	watch_slots(m);
	tls_tick(m, now);
	upgrade_tick(m, now);
	takeover_tick(m, now);
	drain_step(m);
	loop_timer_set_ms(m->tick, TICK_MS);
}
