/* Documents made of shared memory: the hub, its workers, its calls. */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/monotime.h"
#include "hubd/ctl/ctl.h"
#include "hubd/ctl/show.h"
#include "hubd/ctl/when.h"
#include "hubd/gauges.h"
#include "shm/call.h"
#include "shm/process.h"
#include "shm/pubtab.h"

void
show_text(struct jout *j, const char *key, const char *s, size_t cap)
{
	jout_key(j, key);
	jout_span(j, span_of(s, strnlen(s, cap)));
}

/* ---- processes ---------------------------------------------------------- */

static struct process_row *
live_role(const struct shm *shm, enum process_role role)
{
	struct process_row *rows = process_rows(shm);
	uint32_t i;

	for (i = 0; i < shm->sizes.nprocs; i++) {
		if (rows[i].role == (uint32_t)role &&
		    process_state_of(&rows[i]) == PROCESS_LIVE)
			return (&rows[i]);
	}
	return (NULL);
}

/* 0 if no such process lives. */
static int64_t
pid_of(const struct shm *shm, enum process_role role)
{
	struct process_row *p = live_role(shm, role);

	return (p == NULL ? 0 : atomic_load(&p->pid));
}

static bool
is_worker(const struct process_row *p)
{
	return (p->role == ROLE_WORKER && process_state_of(p) != PROCESS_FREE);
}

static const char *
worker_state(const struct process_row *p)
{
	if (process_state_of(p) == PROCESS_DEAD)
		return ("dead");
	return (process_phase_str((enum process_phase)atomic_load(&p->phase)));
}

static void
put_worker(struct jout *j, struct process_row *p)
{
	jout_kuint(j, "slot", p->slot);
	jout_kint(j, "pid", atomic_load(&p->pid));
	jout_kuint(j, "generation", process_generation(p));
}

static void
put_worker_whole(struct jout *j, struct process_row *p)
{
	monotime_t beat = {atomic_load(&p->heartbeat_ns)};
	char started[WHEN_TEXT];

	when_format(p->started_ms, started);
	jout_begin_object(j);
	put_worker(j, p);
	jout_kstr(j, "state", worker_state(p));
	jout_kuint(j, "links", atomic_load(&p->links));
	jout_kuint(j, "streams", atomic_load(&p->streams));
	jout_kuint(j, "clients", atomic_load(&p->clients));
	jout_kint(j, "heartbeat_ms", monotime_diff_ms(monotime_now(), beat));
	jout_kstr(j, "started", started);
	show_text(j, "last_words", p->last_words, sizeof(p->last_words));
	jout_end_object(j);
}

static int
by_slot(const void *va, const void *vb)
{
	const struct process_row *a = *(struct process_row *const *)va;
	const struct process_row *b = *(struct process_row *const *)vb;

	if (a->slot != b->slot)
		return (a->slot < b->slot ? -1 : 1);
	return (a->started_ms < b->started_ms ? -1 : 1);
}

/* Workers by slot; the caller frees. */
static struct process_row **
workers(const struct shm *shm, bool dead_too, size_t *n)
{
	struct process_row *rows = process_rows(shm), **found;
	uint32_t i;

	found = xcalloc(shm->sizes.nprocs + 1, sizeof(*found));
	*n = 0;
	for (i = 0; i < shm->sizes.nprocs; i++) {
		if (is_worker(&rows[i]) &&
		    (dead_too || process_state_of(&rows[i]) == PROCESS_LIVE))
			found[(*n)++] = &rows[i];
	}
	qsort(found, *n, sizeof(struct process_row *), by_slot);
	return (found);
}

void
show_workers(const struct shm *shm, struct jout *j)
{
	struct process_row **w;
	size_t i, n;

	w = workers(shm, true, &n);
	jout_begin_object(j);
	jout_key(j, "workers");
	jout_begin_array(j);
	for (i = 0; i < n; i++)
		put_worker_whole(j, w[i]);
	jout_end_array(j);
	jout_end_object(j);
	free(w);
}

/* ---- status ------------------------------------------------------------- */

/* Of a store that several hubs share: does it answer, what waits for it. */
static void
put_shared(struct pub_state *pub, struct jout *j)
{
	int64_t since = atomic_load(&pub->spooled_since_ms);
	char text[WHEN_TEXT];

	if (strncmp(pub->store, "postgresql", sizeof(pub->store)) != 0)
		return;
	jout_kbool(j, "shared_up", atomic_load(&pub->shared_ok) != 0);
	jout_kuint(j, "spooled", atomic_load(&pub->spooled));
	jout_key(j, "spooled_since");
	if (since > 0) {
		when_format(since, text);
		jout_str(j, text);
	} else
		jout_null(j);
	show_text(j, "store_id", pub->store_id, sizeof(pub->store_id));
	show_text(j, "hub_id", pub->hub_id, sizeof(pub->hub_id));
}

static void
put_billing(const struct shm *shm, struct jout *j)
{
	struct pub_state *pub = shm_pub_state(shm);

	jout_key(j, "billing");
	jout_begin_object(j);
	jout_kint(j, "pid", pid_of(shm, ROLE_BILLING));
	jout_kint(j, "heartbeat_ms", hub_billing_silent_ms(shm));
	jout_kuint(j, "pending", hub_calls_pending(shm));
	show_text(j, "store", pub->store, sizeof(pub->store));
	jout_kbool(j, "store_up", atomic_load(&pub->store_ok) != 0);
	jout_kuint(j, "suspense", atomic_load(&pub->suspense));
	put_shared(pub, j);
	jout_end_object(j);
}

const char *
show_limits_state(const struct shm *shm)
{
	static const char *const words[] = {
	    [LIMITS_LOCAL] = "local",
	    [LIMITS_SHARED] = "redis",
	    [LIMITS_SHARE] = "share",
	    [LIMITS_NOBODY] = "refused",
	};

	return (words[hub_limits(shm)]);
}

static void
put_workers_short(const struct shm *shm, struct jout *j)
{
	struct process_row **w;
	size_t i, n;

	w = workers(shm, false, &n);
	jout_key(j, "workers");
	jout_begin_array(j);
	for (i = 0; i < n; i++) {
		jout_begin_object(j);
		put_worker(j, w[i]);
		jout_end_object(j);
	}
	jout_end_array(j);
	free(w);
}

static const char *
hub_state(const struct shm *shm)
{
	if (atomic_load(&shm_run_state(shm)->draining) != 0)
		return ("draining");
	if (atomic_load(&shm_pub_state(shm)->loaded) == 0)
		return ("loading");
	return ("serving");
}

void
show_status(const struct shm *shm, struct jout *j)
{
	struct run_state *run = shm_run_state(shm);
	monotime_t start = {run->started_mono_ns};

	jout_begin_object(j);
	show_text(j, "version", shm->run->build, sizeof(shm->run->build));
	jout_kint(j, "pid", pid_of(shm, ROLE_MASTER));
	jout_kstr(j, "state", hub_state(shm));
	jout_kint(
	    j, "uptime_s", monotime_diff_ms(monotime_now(), start) / 1000);
	jout_kuint(j, "price_version", hub_price_version(shm));
	jout_kuint(j, "agents", hub_agents_up(shm));
	jout_kuint(j, "calls", hub_calls_open(shm));
	jout_kuint(j, "restarts", atomic_load(&run->restarts));
	jout_kstr(j, "limits", show_limits_state(shm));
	put_workers_short(shm, j);
	put_billing(shm, j);
	jout_end_object(j);
}

/* ---- calls -------------------------------------------------------------- */

static void
put_call(const struct shm *shm, struct jout *j, const struct call_copy *c)
{
	struct pub_account account;
	char id[REQ_ID_TEXT], agent[PUB_NAME_MAX];
	bool known = pub_account_read(shm, c->fixed.account_row, &account);

	req_id_format(c->fixed.id, id);
	show_agent_name(shm, c->route.agent, agent);
	jout_begin_object(j);
	jout_kstr(j, "id", id);
	show_text(
	    j, "account", known ? account.name : "", sizeof(account.name));
	jout_kstr(j, "agent", agent);
	show_text(j, "model", c->route.model, sizeof(c->route.model));
	jout_kstr(j, "state", call_state_str(c->state));
	jout_kint(
	    j, "age_ms", (monotime_now().ns - c->fixed.time_ns) / 1000000);
	show_text(j, "provider", c->route.provider, sizeof(c->route.provider));
	show_text(j, "endpoint", c->fixed.endpoint, sizeof(c->fixed.endpoint));
	jout_kbool(j, "stream", c->fixed.stream != 0);
	jout_kuint(j, "attempts", c->route.attempts);
	jout_end_object(j);
}

static int
by_id(const void *va, const void *vb)
{
	const struct call_copy *a = va, *b = vb;

	return (memcmp(a->fixed.id.b, b->fixed.id.b, sizeof(a->fixed.id.b)));
}

/* Calls that are open or not yet booked, oldest first; the caller frees. */
static struct call_copy *
calls(const struct shm *shm, size_t *n)
{
	struct call_copy *found = NULL, copy;
	size_t cap = 0;
	const char *why;
	uint32_t i;

	*n = 0;
	for (i = 0; i < shm->sizes.max_calls; i++) {
		if (!call_copy(shm, i, &copy) ||
		    (copy.state != CALL_OPEN && copy.state != CALL_FINAL) ||
		    !call_copy_valid(&copy, &why))
			continue;
		if (*n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			found = xrealloc(found, cap * sizeof(*found));
		}
		found[(*n)++] = copy;
	}
	if (*n > 0)
		qsort(found, *n, sizeof(*found), by_id);
	return (found);
}

void
show_calls(const struct shm *shm, struct jout *j)
{
	struct call_copy *found;
	size_t i, n;

	found = calls(shm, &n);
	jout_begin_object(j);
	jout_key(j, "calls");
	jout_begin_array(j);
	for (i = 0; i < n; i++)
		put_call(shm, j, &found[i]);
	jout_end_array(j);
	jout_end_object(j);
	free(found);
}
