/* Documents made of shared memory: agents as the workers see them. */
#include <stdio.h>
#include <string.h>

#include "hubd/ctl/ctl.h"
#include "hubd/ctl/show.h"
#include "shm/process.h"

static bool
row_is_live(const struct shm *shm, uint32_t process_row, struct registry_row *r)
{
	process_ref_t ref = {process_row, atomic_load(&r->generation)};

	return (ref.generation != 0 && process_is_live(shm, ref) &&
		atomic_load(&r->links) > 0);
}

static void
add_row(struct agent_view *v, struct registry_row *r)
{
	uint32_t latency = atomic_load(&r->latency_us);

	v->links += atomic_load(&r->links);
	v->draining += atomic_load(&r->draining);
	v->calls += atomic_load(&r->calls);
	/* the best that a worker sees: the others are being averaged in */
	if (latency > 0 && (v->latency_us == 0 || latency < v->latency_us))
		v->latency_us = latency;
}

/* What comes from another process is made safe to read as text. */
static void
make_safe(struct registry_announce *a)
{
	struct registry_provider *p;

	if (a->nproviders > REGISTRY_PROVIDERS)
		a->nproviders = REGISTRY_PROVIDERS;
	for (p = a->providers; p < a->providers + a->nproviders; p++) {
		p->name[sizeof(p->name) - 1] = '\0';
		p->type[sizeof(p->type) - 1] = '\0';
	}
}

bool
show_agent_view(const struct shm *shm, uint32_t row, struct agent_view *v)
{
	struct registry_row *r;
	uint32_t p;

	memset(v, 0, sizeof(*v));
	if (!pub_agent_read(shm, row, &v->pub))
		return (false);
	for (p = 0; p < shm->sizes.nprocs; p++) {
		r = registry_at(shm, p, row);
		if (!row_is_live(shm, p, r))
			continue;
		add_row(v, r);
		if (!v->announced)
			v->announced = registry_read(shm, p, row, &v->announce);
	}
	make_safe(&v->announce);
	return (!v->pub.revoked || v->links > 0);
}

const char *
show_agent_state(const struct agent_view *v)
{
	if (v->links == 0)
		return ("down");
	if (v->pub.draining || v->pub.revoked || v->draining >= v->links)
		return ("draining");
	return ("up");
}

uint32_t
show_agent_rows(const struct shm *shm)
{
	uint32_t n = atomic_load(&shm_pub_state(shm)->nagents);

	return (n < shm->sizes.max_agents ? n : shm->sizes.max_agents);
}

void
show_agent_name(const struct shm *shm, uint32_t id, char out[PUB_NAME_MAX])
{
	struct pub_agent agent;
	uint32_t i, n = show_agent_rows(shm);

	out[0] = '\0';
	for (i = 0; id != 0 && i < n; i++) {
		if (!pub_agent_read(shm, i, &agent) || agent.id != id)
			continue;
		snprintf(
		    out, PUB_NAME_MAX, "%.*s", PUB_NAME_MAX - 1, agent.name);
		return;
	}
}

/* ---- show agents -------------------------------------------------------- */

static void
put_providers(struct jout *j, const struct registry_announce *a)
{
	uint32_t i;

	for (i = 0; i < a->nproviders; i++)
		jout_str(j, a->providers[i].name);
}

static void
put_globs(struct jout *j, const struct registry_announce *a)
{
	const char *glob;
	uint32_t i;

	for (i = 0; i < a->nproviders; i++) {
		struct registry_walk walk = {0};

		while ((glob = registry_next_glob(
			    a, &a->providers[i], &walk)) != NULL)
			jout_str(j, glob);
	}
}

/* "a,b*" as ["a","b*"]. */
static void
put_rights(struct jout *j, const char *key, const char *list, size_t cap)
{
	size_t at = 0, n, all = strnlen(list, cap);

	jout_key(j, key);
	jout_begin_array(j);
	while (at < all) {
		n = strcspn(list + at, ",");
		jout_span(j, span_of(list + at, n));
		at += n + 1;
	}
	jout_end_array(j);
}

/* How it was registered, whether or not it has been there. */
static void
put_registered(struct jout *j, const struct pub_agent *a)
{
	put_rights(j, "may_models", a->models, sizeof(a->models));
	put_rights(j, "may_providers", a->providers, sizeof(a->providers));
	jout_kuint(j, "replicas", a->replicas);
}

/* What only an agent that has been there can tell. */
static void
put_announced(struct jout *j, const struct agent_view *v)
{
	const struct registry_announce *a = &v->announce;

	show_text(j, "version", a->version, sizeof(a->version));
	show_text(j, "instance", a->instance, sizeof(a->instance));
	jout_kuint(j, "capacity", a->capacity);
	jout_kint(j, "clock_skew_ms", a->clock_skew_ms);
	jout_kuint(j, "latency_ms", v->latency_us / 1000);
}

static void
put_agent(struct jout *j, const struct agent_view *v)
{
	const struct registry_announce *a = &v->announce;

	jout_begin_object(j);
	show_text(j, "name", v->pub.name, sizeof(v->pub.name));
	jout_kstr(j, "state", show_agent_state(v));
	jout_kuint(j, "links", v->links);
	jout_kuint(j, "calls", v->calls);
	jout_key(j, "models");
	jout_begin_array(j);
	put_globs(j, a);
	jout_end_array(j);
	jout_key(j, "providers");
	jout_begin_array(j);
	put_providers(j, a);
	jout_end_array(j);
	put_registered(j, &v->pub);
	if (v->announced)
		put_announced(j, v);
	jout_end_object(j);
}

void
show_agents(const struct shm *shm, struct jout *j)
{
	struct agent_view v;
	uint32_t i, n = show_agent_rows(shm);

	jout_begin_object(j);
	jout_key(j, "agents");
	jout_begin_array(j);
	for (i = 0; i < n; i++) {
		if (show_agent_view(shm, i, &v))
			put_agent(j, &v);
	}
	jout_end_array(j);
	jout_end_object(j);
}
