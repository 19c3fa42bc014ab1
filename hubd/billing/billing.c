/* The billing process: its beginning, its loop, its end. */
#include "hubd/billing/billing.h"
#include "hubd/ledger/ledger_spool.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"

#define RETIRE_MS 15000 /* for answers that hubctl waits for */

/* ---- timers -------------------------------------------------------------- */

static void
on_retry(void *arg)
{
	struct billing *b = arg;

	billing_advance(b);
	intake_kick(b);
}

static void
on_checkpoint(void *arg)
{
	struct billing *b = arg;

	checkpoint_run(b);
	loop_timer_set_ms(b->checkpoint_timer, CHECKPOINT_MS);
}

static void
on_prices(void *arg)
{
	prices_retry(arg);
}

/* ---- what the master says ------------------------------------------------ */

void
reload_is_over(struct billing *b, uint32_t cookie, const char *error)
{
	struct hubmsg_head head = {.type = HUBMSG_RELOAD_DONE,
	    .size = error != NULL ? (uint32_t)strlen(error) : 0,
	    .cookie = cookie};

	child_send_head(b->child, &head, error);
	control_reloaded(b, cookie, error);
}

static void
on_reload(struct hub_child *child, struct hub_conf *fresh, uint32_t cookie,
    bool force)
{
	struct billing *b = child->arg;
	char error[512] = "";

	if (b->conf != fresh)
		hub_conf_free(b->conf);
	b->conf = child->conf = fresh;
	seal_look(b);
	if (prices_reload(b, cookie, force, error, sizeof(error)) == -1)
		reload_is_over(b, cookie, error);
}

static void
on_message(struct hub_child *child, uint32_t type, const void *p, size_t n)
{
	struct billing *b = child->arg;
	char *text;

	if (type != HUBMSG_RELOAD_REFUSED)
		return;
	text = xmemdup0(p, n);
	control_reloaded(b, child->head.cookie, text);
	free(text);
}

static void
on_retire_timer(void *arg)
{
	struct billing *b = arg;

	if (control_rest(b) || monotime_reached(b->retire_by, monotime_now()))
		loop_stop(b->loop);
	else
		loop_timer_set_ms(b->retire_timer, GATHER_MS);
}

/* To a successor it leaves at once what is still to be booked: the rows
 * wait. Going down it books it all. */
static void
on_drain(struct hub_child *child)
{
	struct billing *b = child->arg;

	if ((child->head.flags & HUBMSG_RETIRE) != 0) {
		b->retire_by = monotime_add_ms(monotime_now(), RETIRE_MS);
		on_retire_timer(b);
		return;
	}
	b->draining = true;
	loop_timer_set_ms(b->sweep_timer, 0);
}

/* ---- beginning and end --------------------------------------------------- */

const struct ledger_ops *
billing_store(const struct hub_conf *conf)
{
	const struct ledger_ops *ops = ledger_ops_of(conf->store);

	if (ops == NULL)
		fatalx("store: no backend for this value");
	return (ops == &ledger_pg ? &ledger_spool : ops);
}

static void
set_up(struct billing *b, struct hub_child *child)
{
	billing_init(
	    b, child->shm, child->me, child->conf, billing_store(child->conf));
	b->child = child;
	b->loop = child->loop;
	b->retry_timer = loop_timer_new(b->loop, on_retry, b);
	b->price_timer = loop_timer_new(b->loop, on_prices, b);
	b->retire_timer = loop_timer_new(b->loop, on_retire_timer, b);
	b->checkpoint_timer = loop_timer_new(b->loop, on_checkpoint, b);
	loop_timer_set_ms(b->checkpoint_timer, CHECKPOINT_MS);
	child->arg = b;
	child->on_drain = on_drain;
	child->on_reload = on_reload;
	child->on_message = on_message;
}

static void
tear_down(struct billing *b)
{
	loop_timer_free(b->retry_timer);
	loop_timer_free(b->price_timer);
	loop_timer_free(b->retire_timer);
	loop_timer_free(b->checkpoint_timer);
	seal_stop(b);
	intake_stop(b);
	tidy_stop(b);
	shared_stop(b);
	billing_fini(b);
}

int
billing_main(struct hub_child *child)
{
	struct billing b;

	set_up(&b, child);
	child_attach(child);
	control_start(&b);
	intake_start(&b);
	billing_advance(&b);
	seal_start(&b);
	process_set_phase(&process_rows(b.shm)[child->me.row], PHASE_SERVING);
	child_send(child, HUBMSG_READY, NULL, 0);
	loop_run(b.loop);
	tear_down(&b);
	return (0);
}
