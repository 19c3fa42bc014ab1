/* Credentials that the simulator has given out: a ring of the newest. */
#include <stdio.h>
#include <string.h>

#include "tests/sim/provider.h"

#define KEPT	 256
#define LIFETIME 3600

static struct issued ring[KEPT];
static uint64_t made;	 /* all kinds together */
static uint64_t revoked; /* those before this number are worthless */
static uint64_t fetches[ISSUED_KINDS];
static int64_t lifetime = LIFETIME;

static const char *const names[] = {
    [ISSUED_OAUTH] = "oauth",
    [ISSUED_METADATA] = "metadata",
    [ISSUED_ENTRA] = "entra",
    [ISSUED_SESSION] = "session",
    [ISSUED_ROLE] = "role",
    [ISSUED_CONTAINER] = "container",
};

static const char *const forms[] = {
    [ISSUED_OAUTH] = "ya29.sim-oauth-%06ju",
    [ISSUED_METADATA] = "ya29.sim-metadata-%06ju",
    [ISSUED_ENTRA] = "eyJ0eXAi.sim-entra-%06ju",
    [ISSUED_SESSION] = "sim-imds-%06ju==",
    [ISSUED_ROLE] = "ASIASIMROLE%06ju",
    [ISSUED_CONTAINER] = "ASIASIMTASK%06ju",
};

const struct issued *
issue(enum issued_kind kind)
{
	struct issued *i = &ring[made % KEPT];
	uintmax_t number = made++;

	fetches[kind]++;
	i->kind = kind;
	i->expires = sim_now() + lifetime;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(i->name, sizeof(i->name), forms[kind], number);
#pragma GCC diagnostic pop
	snprintf(i->secret, sizeof(i->secret), "sim/secret+%06ju", number);
	snprintf(i->session, sizeof(i->session),
	    "sim/session+%06ju+and=more/of=it==", number);
	return (i);
}

static bool
is_good(uint64_t number, int64_t seconds)
{
	return (number >= revoked &&
		ring[number % KEPT].expires > sim_now() + seconds);
}

static uint64_t
oldest(void)
{
	return (made > KEPT ? made - KEPT : 0);
}

const struct issued *
issued_newest(enum issued_kind kind, int64_t seconds)
{
	for (uint64_t n = made; n-- > oldest();)
		if (ring[n % KEPT].kind == kind)
			return (is_good(n, seconds) ? &ring[n % KEPT] : NULL);
	return (NULL);
}

const struct issued *
issued_find(struct span name, bool *expired)
{
	*expired = false;
	for (uint64_t n = made; n-- > oldest();)
		if (span_eq(name, span_str(ring[n % KEPT].name))) {
			*expired = !is_good(n, 0);
			return (*expired ? NULL : &ring[n % KEPT]);
		}
	return (NULL);
}

void
issued_revoke(void)
{
	revoked = made;
}

void
issued_set_lifetime(int64_t seconds)
{
	lifetime = seconds;
}

void
issued_count(enum issued_kind kind)
{
	fetches[kind]++;
}

void
issued_print(struct jout *j)
{
	for (size_t i = 0; i < ISSUED_KINDS; i++)
		jout_kuint(j, names[i], fetches[i]);
}

void
issued_reset(void)
{
	memset(fetches, 0, sizeof(fetches));
	lifetime = LIFETIME;
}
