/* A new configuration, and logs opened again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "common/notify.h"
#include "hubd/master/master.h"

void
reload_apply_options(const struct master_options *o, struct hub_conf *c)
{
	if (o->foreground) {
		free(c->log);
		c->log = NULL;
	}
	if (o->verbose)
		c->log_level = LOG_LEVEL_DEBUG;
}

void
push_conf(struct seat *s, uint32_t cookie, uint32_t flags)
{
	struct buf text = {0};

	hub_conf_serialise(s->m->conf, s->role, &text);
	seat_send(
	    s, HUBMSG_CONFIG, cookie, flags, buf_ptr(&text), buf_len(&text));
	buf_fini(&text);
}

/* ---- prices, which billing alone loads ----------------------------------- */

static void
note_prices(struct master *m, uint32_t flags)
{
	struct price_reloads *p = &m->price_reloads;

	p->flags = p->n == 0 ? flags : p->flags | flags;
	p->n++;
	p->told = m->billing.pid;
	p->again = false;
}

void
reload_prices_again(struct master *m)
{
	struct price_reloads *p = &m->price_reloads;

	if (p->n == 0 || p->told == m->billing.pid)
		return;
	/* once: files that it dies of must not kill it for ever */
	p->n = p->again ? 0 : 1;
	p->again = true;
	p->told = m->billing.pid;
	if (p->n > 0)
		push_conf(&m->billing, 0, p->flags);
}

void
reload_prices_done(struct master *m)
{
	if (m->price_reloads.n > 0)
		m->price_reloads.n--;
}

/* ---- all of it ----------------------------------------------------------- */

static void
tell_unchanged(const char *option)
{
	log_warnx("%s has changed, which only a start can do", option);
}

static void
refuse(struct seat *asker, uint32_t cookie, const char *error)
{
	log_errx("not reloaded: %s", error);
	if (asker != NULL)
		seat_send(asker, HUBMSG_RELOAD_REFUSED, cookie, 0, error,
		    strlen(error));
}

/* A resolver that is away is no reason to refuse the rest. */
static void
find_redis(const struct hub_conf *old, struct hub_conf *fresh)
{
	const char *why = limits_resolve(fresh);

	if (why == NULL)
		return;
	log_warnx(
	    "limits: Redis's host: %s; it is looked for where it was", why);
	free(fresh->limits);
	fresh->limits = xstrdup(old->limits);
}

void
reload(struct master *m, struct seat *asker, uint32_t cookie, uint32_t flags)
{
	struct hub_conf *fresh, *merged;
	char error[512], now[64];
	struct seat *s;
	uint32_t i;

	fresh = hub_conf_read(m->options.path, error, sizeof(error));
	if (fresh == NULL || tls_reload(m, fresh, error, sizeof(error)) == -1) {
		hub_conf_free(fresh);
		refuse(asker, cookie, error);
		return;
	}
	snprintf(now, sizeof(now), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)(monotime_now().ns / 1000));
	notify_supervisor(now);
	reload_apply_options(&m->options, fresh);
	find_redis(m->conf, fresh);
	merged = hub_conf_merge(m->conf, fresh, tell_unchanged);
	hub_conf_free(fresh);
	hub_conf_free(m->conf);
	m->conf = merged;
	log_init("master", (enum log_level)merged->log_level);
	note_prices(m, flags);
	for (i = 0; (s = master_seat(m, i)) != NULL; i++) {
		/* who only finishes does so by what it knows */
		if (!s->retired)
			push_conf(s, cookie, flags);
	}
	log_info("configuration reloaded");
	notify_supervisor("READY=1");
}

void
reopen_logs(struct master *m)
{
	struct seat *s;
	uint32_t i;

	if (m->conf->log != NULL && log_open(m->conf->log) == -1)
		log_warn("%s", m->conf->log);
	for (i = 0; (s = master_seat(m, i)) != NULL; i++)
		seat_send(s, HUBMSG_REOPEN, 0, 0, NULL, 0);
	log_info("logs opened again");
}
