/*
 * The courier: rows of the spool to the shared store, changes of the store
 * to billing. It listens first and then loads; a notification makes it load
 * again, and so does the clock where notifications are lost.
 */
#include "hubd/billing/courier.h"

#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/price/price.h"

#define BEAT_MS	    1000  /* also: how often it looks without being asked */
#define LOOK_MS	    30000 /* where notifications are lost */
#define SEAL_MS	    600000
#define BACKOFF_MIN 100
#define BACKOFF_MAX 5000
#define OUT_MAX	    (256 * 1024) /* gathered before it is written */
#define READ_SIZE   (64 * 1024)

/* ---- to billing ---------------------------------------------------------- */

void
courier_flush(struct courier *c)
{
	ssize_t n;

	while (buf_len(&c->out) > 0) {
		n = send(c->self->socket, buf_ptr(&c->out), buf_len(&c->out),
		    MSG_NOSIGNAL);
		if (n > 0)
			buf_consume(&c->out, (size_t)n);
		else if (n == -1 && errno != EINTR)
			exit(0); /* billing is gone, or has had enough */
	}
}

void
courier_put(struct courier *c, enum mirror_type type, uint32_t token,
    const void *p, size_t n)
{
	mirror_put(&c->out, type, token, p, n);
	if (buf_len(&c->out) >= OUT_MAX)
		courier_flush(c);
}

static void
say_state(struct courier *c)
{
	struct mirror_state state = {
	    .up = c->up, .asked = c->backoff_ms != 0, .suspense = c->suspense};

	courier_put(c, MIRROR_STATE, 0, &state, sizeof(state));
	c->told_up = c->up;
	c->said_at = monotime_now();
	courier_flush(c);
}

static bool
said_lately(const struct courier *c)
{
	return (monotime_diff_ms(monotime_now(), c->said_at) < BEAT_MS);
}

void
courier_breathe(struct courier *c)
{
	if (!said_lately(c))
		say_state(c);
}

/* ---- changes ------------------------------------------------------------- */

/* Others write there, too: what nobody can read stays as it was here. */
static void
put_copy(struct courier *c, enum mirror_type type, const void *p, size_t n,
    const char *what, const char *name)
{
	if (mirror_fits(type, p, n))
		courier_put(c, type, 0, p, n);
	else
		log_warnx(
		    "%s \"%s\" of the shared store makes no sense", what, name);
}

static void
on_account(void *arg, const struct ledger_account *a)
{
	put_copy(arg, MIRROR_ACCOUNT, a, sizeof(*a), "account", a->name);
}

static void
on_key(void *arg, const struct ledger_key *k)
{
	put_copy(arg, MIRROR_KEY, k, sizeof(*k), "key", k->id);
}

static void
on_agent(void *arg, const struct ledger_agent *a)
{
	put_copy(arg, MIRROR_AGENT, a, sizeof(*a), "agent", a->name);
}

static void
on_price(void *arg, const struct price_blob *b)
{
	courier_put(arg, MIRROR_PRICE, 0, b, b->size);
}

static void
on_object(void *arg, const struct ledger_object *o, bool removed)
{
	put_copy(arg, removed ? MIRROR_GONE : MIRROR_OBJECT, o, sizeof(*o),
	    "object", o->id);
}

/* false: the store is away; what was sent is no harm. */
static bool
load_changes(struct courier *c)
{
	static const struct pg_sink sink = {
	    on_account, on_key, on_agent, on_price, on_object};
	int64_t clock = c->clock;

	if (pg_changes(c->store, &clock, &sink, c) != LEDGER_OK) {
		courier_down(c);
		return (false);
	}
	if (clock != c->clock)
		courier_put(c, MIRROR_CLOCK, 0, &clock, sizeof(clock));
	c->clock = clock;
	courier_flush(c);
	return (true);
}

static void
count_suspense(void *arg, const struct ledger_suspense *s)
{
	struct courier *c = arg;

	c->suspense++;
}

static bool
count_aside(struct courier *c)
{
	c->suspense = 0;
	if (ledger_pg.each_suspense(c->store, false, count_suspense, c) ==
	    LEDGER_OK)
		return (true);
	courier_down(c);
	return (false);
}

/* Of several hubs whoever comes first does it. */
static void
seal_months(struct courier *c)
{
	bool more = false;

	if (c->keep == 0 || !monotime_reached(c->seal_at, monotime_now()))
		return;
	if (ledger_pg.seal(c->store, walltime_ms() - c->keep, &more) ==
	    LEDGER_DOWN)
		courier_down(c);
	/* one a look, so that rows flow in between */
	c->seal_at = monotime_add_ms(monotime_now(), more ? 0 : SEAL_MS);
}

/* What nobody has notified us of. */
static bool
look(struct courier *c)
{
	int64_t ms = FAILPOINT("courier.hurry") ? 2000 : LOOK_MS;

	c->look_at = monotime_add_ms(monotime_now(), ms);
	if (!load_changes(c))
		return (false);
	if (pg_balances(c->store, courier_balance, c) != LEDGER_OK) {
		courier_down(c);
		return (false);
	}
	courier_tell_balances(c);
	return (count_aside(c));
}

/* false: the store is away, or nothing was heard that makes a load. */
static bool
hear_once(struct courier *c)
{
	bool changed = false;

	if (pg_notified(c->store, courier_balance, c, &changed) != LEDGER_OK) {
		courier_down(c);
		return (false);
	}
	if (FAILPOINT("courier.deaf")) {
		c->nballast = 0;
		return (false);
	}
	courier_tell_balances(c);
	return (changed && load_changes(c));
}

/* What comes while it loads has left the socket, and wakes nobody. */
static void
hear_store(struct courier *c)
{
	while (hear_once(c))
		;
	courier_flush(c);
}

/* ---- the connection ------------------------------------------------------ */

void
courier_down(struct courier *c)
{
	c->up = false;
	c->nballast = 0;
	c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_MIN : 2 * c->backoff_ms;
	if (c->backoff_ms > BACKOFF_MAX)
		c->backoff_ms = BACKOFF_MAX;
	c->retry_at = monotime_add_ms(monotime_now(), c->backoff_ms);
}

static bool
open_store(struct courier *c)
{
	char error[300] = "";

	if (c->store != NULL)
		return (true);
	c->store = ledger_pg.open(c->self->conf->store, error, sizeof(error));
	if (c->store == NULL && c->backoff_ms == 0)
		log_warnx("store: %s", error);
	return (c->store != NULL);
}

/* Whose copy it is; of another store all is loaded. */
static void
say_store(struct courier *c)
{
	struct mirror_store s = {{0}};

	snprintf(s.id, sizeof(s.id), "%s", pg_store_id(c->store));
	if (strcmp(s.id, c->store_id) != 0)
		c->clock = SPOOL_NOT_WHOLE;
	memcpy(c->store_id, s.id, sizeof(c->store_id));
	courier_put(c, MIRROR_STORE, 0, &s, sizeof(s));
}

/* Listens first, so that what changes while it loads is heard of. */
static void
come_up(struct courier *c)
{
	uint32_t i;

	if (!open_store(c) || pg_listen(c->store) != LEDGER_OK) {
		courier_down(c);
		return;
	}
	say_store(c);
	for (i = 0; i < c->nseen; i++)
		c->seen[i] = -1;
	if (!look(c))
		return;
	c->up = true;
	c->rows = c->aside = true;
	c->backoff_ms = 0;
}

/* ---- what billing wants -------------------------------------------------- */

static bool
catch_up(struct courier *c)
{
	if (!c->up)
		come_up(c);
	return (c->up && load_changes(c) && count_aside(c));
}

static void
fetch(struct courier *c, uint32_t token)
{
	bool was_up = c->up;
	uint32_t done;

	/* Once more: a connection may be dead without saying so. */
	done = catch_up(c) || (was_up && catch_up(c));
	if (done != 0)
		say_state(c);
	courier_put(c, MIRROR_SYNCED, token, &done, sizeof(done));
	courier_flush(c);
}

/* OK: blob has its version, or that of what is there already. */
static enum ledger_result
store_prices(struct courier *c, struct price_blob *blob, bool first)
{
	struct price_blob *there = NULL;
	enum ledger_result rc = LEDGER_MISSING;

	if (first)
		rc = ledger_pg.price_get(c->store, 0, &there);
	if (rc == LEDGER_OK)
		blob->version = there->version;
	free(there);
	return (
	    rc == LEDGER_MISSING ? ledger_pg.price_put(c->store, blob) : rc);
}

static void
prices(struct courier *c, const struct mirror_record *r)
{
	struct price_blob *blob = mirror_price(r);
	struct mirror_priced priced = {0};
	enum ledger_result rc = LEDGER_DOWN;

	if (!c->up)
		come_up(c);
	if (c->up)
		rc = store_prices(c, blob, r->type == MIRROR_PRICES_1);
	if (rc == LEDGER_OK && !load_changes(c))
		rc = LEDGER_DOWN;
	priced.away = rc == LEDGER_DOWN;
	if (rc == LEDGER_OK)
		priced.version = blob->version;
	else
		snprintf(priced.error, sizeof(priced.error), "%s",
		    rc == LEDGER_REFUSED ? "the shared store refuses the prices"
					 : "the shared store is away");
	if (rc == LEDGER_DOWN && c->up)
		courier_down(c);
	courier_put(c, MIRROR_PRICED, r->token, &priced, sizeof(priced));
	courier_flush(c);
	free(blob);
}

static void
keep(struct courier *c, const struct mirror_record *r)
{
	mirror_get(r, &c->keep);
	c->seal_at = monotime_now();
}

static void
obey(struct courier *c, const struct mirror_record *r)
{
	if (r->type == MIRROR_NUDGE)
		c->rows = true;
	else if (r->type == MIRROR_APPLIED && r->token == c->awaiting)
		c->awaiting = 0;
	else if (r->type == MIRROR_SYNC)
		fetch(c, r->token);
	else if (r->type == MIRROR_KEEP)
		keep(c, r);
	else if (r->type == MIRROR_PRICES || r->type == MIRROR_PRICES_1)
		prices(c, r);
	else if (r->type != MIRROR_APPLIED)
		fatalx("billing says what it may not");
}

static void
hear_billing(struct courier *c)
{
	struct mirror_record r;
	enum mirror_next next;
	size_t end;
	ssize_t n;

	n = recv(c->self->socket, buf_reserve(&c->in, READ_SIZE), READ_SIZE,
	    MSG_DONTWAIT);
	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR))
		exit(0);
	if (n > 0)
		buf_commit(&c->in, (size_t)n);
	while (
	    (next = mirror_next(buf_span(&c->in), 0, &r, &end)) == MIRROR_GOT) {
		obey(c, &r);
		buf_consume(&c->in, end);
	}
	if (next == MIRROR_BROKEN)
		fatalx("billing says what cannot be");
}

/* ---- the loop ------------------------------------------------------------ */

/* Until somebody says something, or it is time for something. */
static void
wait_for_word(struct courier *c)
{
	struct pollfd p[2] = {{.fd = c->self->socket, .events = POLLIN},
	    {.fd = c->up ? pg_socket(c->store) : -1, .events = POLLIN}};
	int64_t ms = BEAT_MS, left;

	if (!c->up) {
		left = monotime_diff_ms(c->retry_at, monotime_now());
		ms = left < 0 ? 0 : left < ms ? left : ms;
	} else if (c->rows && c->awaiting == 0) {
		ms = 0;
	}
	(void)poll(p, 2, (int)ms);
}

/* Also without having been asked. */
static void
beat(struct courier *c)
{
	if (c->up == c->told_up && said_lately(c))
		return;
	c->rows = c->aside = true;
	say_state(c);
}

static void
turn(struct courier *c)
{
	if (!c->up && monotime_reached(c->retry_at, monotime_now()))
		come_up(c);
	if (c->up && c->rows && c->awaiting == 0)
		courier_flow(c);
	if (c->up && c->aside && c->awaiting == 0)
		courier_flow_suspense(c);
	if (c->up && monotime_reached(c->look_at, monotime_now()))
		(void)look(c);
	if (c->up)
		hear_store(c);
	if (c->up)
		seal_months(c);
	beat(c);
}

static void
open_spool(struct courier *c)
{
	char error[256] = "";

	c->spool =
	    spool_open_reader(c->self->conf->state_dir, error, sizeof(error));
	if (c->spool == NULL ||
	    spool_clock_get(c->spool, c->store_id, &c->clock) != LEDGER_OK)
		fatalx("spool: %s",
		    error[0] != '\0' ? error : "it cannot be read");
}

int
courier_main(struct offspring_self *self)
{
	struct courier c = {.self = self, .keep = self->conf->ledger_keep};

	c.ballast = xcalloc(MIRROR_BALANCES, sizeof(*c.ballast));
	open_spool(&c);
	for (;;) {
		turn(&c);
		wait_for_word(&c);
		hear_billing(&c);
	}
}
