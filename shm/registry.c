/* The registry of agents: rows of their process, skipped once it is dead. */
#include "shm/registry.h"

#include <assert.h>
#include <string.h>

#include "shm/twocopy.h"

struct registry_row *
registry_at(const struct shm *shm, uint32_t process_row, uint32_t agent_row)
{
	struct registry_row *rows = shm_table(shm, SHM_T_REGISTRY);

	assert(process_row < shm->sizes.nprocs &&
	       agent_row < shm->sizes.max_agents);
	return (&rows[(size_t)process_row * shm->sizes.max_agents + agent_row]);
}

static void
write_announce(struct registry_row *row, const struct registry_announce *a)
{
	twocopy_write(&row->seq, row->announce, sizeof(*a), a);
}

static void
forget(struct registry_row *row)
{
	static const struct registry_announce none;

	atomic_store(&row->generation, 0);
	atomic_store(&row->links, 0);
	atomic_store(&row->draining, 0);
	atomic_store(&row->calls, 0);
	atomic_store(&row->errors, 0);
	atomic_store(&row->latency_us, 0);
	atomic_store(&row->served, 0);
	for (unsigned i = 0; i < REGISTRY_PROVIDERS; i++) {
		atomic_store(&row->health[i].cool_until_ns, 0);
		atomic_store(&row->health[i].failures, 0);
		atomic_store(&row->health[i].latency_us, 0);
	}
	/* the sequence goes on, or a reader could mistake old for new */
	if (atomic_load(&row->seq) != 0)
		write_announce(row, &none);
}

/* The own row, made new first if an earlier process has used it. */
static struct registry_row *
own_row(const struct shm *shm, process_ref_t me, uint32_t agent_row)
{
	struct registry_row *row = registry_at(shm, me.row, agent_row);

	if (atomic_load(&row->generation) != me.generation) {
		forget(row);
		atomic_store(&row->generation, me.generation);
	}
	return (row);
}

static void
changed(const struct shm *shm)
{
	atomic_fetch_add(&shm_run_state(shm)->registry_version, 1);
}

void
registry_announce(const struct shm *shm, process_ref_t me, uint32_t agent_row,
    const struct registry_announce *a)
{
	write_announce(own_row(shm, me, agent_row), a);
	changed(shm);
}

void
registry_set_links(const struct shm *shm, process_ref_t me, uint32_t agent_row,
    uint32_t links, uint32_t draining)
{
	struct registry_row *row = own_row(shm, me, agent_row);

	assert(draining <= links);
	atomic_store(&row->draining, draining);
	atomic_store(&row->links, links);
	changed(shm);
}

/* ---- health -------------------------------------------------------------- */

static struct registry_health *
own_health(const struct shm *shm, process_ref_t me, uint32_t agent_row,
    uint32_t provider)
{
	assert(provider < REGISTRY_PROVIDERS);
	return (&own_row(shm, me, agent_row)->health[provider]);
}

void
registry_note_good(const struct shm *shm, process_ref_t me, uint32_t agent_row,
    uint32_t provider, uint32_t us)
{
	struct registry_health *h = own_health(shm, me, agent_row, provider);
	uint64_t was = atomic_load(&h->latency_us);

	atomic_store(&h->failures, 0);
	atomic_store(&h->cool_until_ns, 0);
	atomic_store(
	    &h->latency_us, was == 0 ? us : (uint32_t)((was * 7 + us) / 8));
}

uint32_t
registry_note_bad(const struct shm *shm, process_ref_t me, uint32_t agent_row,
    uint32_t provider)
{
	return (atomic_fetch_add(
		    &own_health(shm, me, agent_row, provider)->failures, 1) +
		1);
}

void
registry_cool(const struct shm *shm, process_ref_t me, uint32_t agent_row,
    uint32_t provider, monotime_t until)
{
	atomic_store(
	    &own_health(shm, me, agent_row, provider)->cool_until_ns, until.ns);
}

void
registry_clear(const struct shm *shm, uint32_t process_row)
{
	uint32_t a;

	for (a = 0; a < shm->sizes.max_agents; a++) {
		struct registry_row *row = registry_at(shm, process_row, a);

		if (atomic_load(&row->generation) != 0)
			forget(row);
	}
	changed(shm);
}

static bool
is_live(
    const struct shm *shm, uint32_t process_row, const struct registry_row *row)
{
	return (process_is_live(
	    shm, (process_ref_t){process_row, atomic_load(&row->generation)}));
}

bool
registry_usable(const struct shm *shm, uint32_t process_row, uint32_t agent_row)
{
	const struct registry_row *row =
	    registry_at(shm, process_row, agent_row);
	uint32_t links = atomic_load(&row->links);

	return (links > 0 && links > atomic_load(&row->draining) &&
		is_live(shm, process_row, row));
}

bool
registry_read(const struct shm *shm, uint32_t process_row, uint32_t agent_row,
    struct registry_announce *a)
{
	const struct registry_row *row =
	    registry_at(shm, process_row, agent_row);

	if (!is_live(shm, process_row, row) ||
	    twocopy_read(&row->seq, row->announce, sizeof(*a), a) == 0)
		return (false);
	return (a->agent != 0 && is_live(shm, process_row, row));
}

uint32_t
registry_load(const struct shm *shm, uint32_t agent_row)
{
	uint32_t p, sum = 0;

	for (p = 0; p < shm->sizes.nprocs; p++) {
		const struct registry_row *row = registry_at(shm, p, agent_row);

		if (atomic_load(&row->links) > 0 && is_live(shm, p, row))
			sum += atomic_load(&row->calls);
	}
	return (sum);
}

monotime_t
registry_cool_until(
    const struct shm *shm, uint32_t agent_row, uint32_t provider)
{
	monotime_t latest = {0};
	uint32_t p;

	assert(provider < REGISTRY_PROVIDERS);
	for (p = 0; p < shm->sizes.nprocs; p++) {
		const struct registry_row *row = registry_at(shm, p, agent_row);
		int64_t ns = atomic_load(&row->health[provider].cool_until_ns);

		if (ns > latest.ns && is_live(shm, p, row))
			latest.ns = ns;
	}
	return (latest);
}

uint32_t
registry_latency(const struct shm *shm, uint32_t agent_row, uint32_t provider)
{
	uint32_t p, us, least = 0;

	assert(provider < REGISTRY_PROVIDERS);
	for (p = 0; p < shm->sizes.nprocs; p++) {
		const struct registry_row *row = registry_at(shm, p, agent_row);

		us = atomic_load(&row->health[provider].latency_us);
		if (us > 0 && (least == 0 || us < least) &&
		    is_live(shm, p, row))
			least = us;
	}
	return (least);
}

const char *
registry_next_glob(const struct registry_announce *a,
    const struct registry_provider *p, struct registry_walk *w)
{
	const char *glob;
	size_t n, room;

	if (w->n == 0)
		w->at = p->globs_at;
	if (w->n >= p->nglobs || w->at >= sizeof(a->globs))
		return (NULL);
	glob = a->globs + w->at;
	room = sizeof(a->globs) - w->at;
	n = strnlen(glob, room);
	if (n == room)
		return (NULL);
	w->n++;
	w->at += (uint32_t)n + 1;
	return (glob);
}
