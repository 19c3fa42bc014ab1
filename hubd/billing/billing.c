/* The billing process: its beginning, its loop, its end. */
#include "hubd/billing/billing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/log.h"
#include "shm/pubtab.h"

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

static void
report_reload(struct hub_child *child, uint32_t cookie, const char *error)
{
	struct hubmsg_head head = {.type = HUBMSG_RELOAD_DONE,
	    .size = (uint32_t)strlen(error),
	    .cookie = cookie};

	child_send_head(child, &head, error);
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
	b->settler.unpriced_free = fresh->unpriced == UNPRICED_FREE;
	if (prices_reload(b, cookie, force, error, sizeof(error)) == -1) {
		log_errx("reload: %s", error);
		control_reloaded(b, cookie, error);
	}
	report_reload(child, cookie, error);
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

/*
 * The workers are gone or have nothing more to say. What the store does not
 * take now stays in hubd.run and is billed by the next hub.
 */
static void
on_drain(struct hub_child *child)
{
	struct billing *b = child->arg;

	intake_read(b);
	intake_sweep(b);
	while (b->stage == STAGE_SERVING && b->due.count > 0 && !store_waits(b))
		book_due(b);
	intake_sweep(b);
	if (b->due.count > 0)
		log_warnx("%u calls are left for the next start", b->due.count);
	loop_stop(b->loop);
}

static void
on_reopen(struct hub_child *child)
{
	if (child->conf->log != NULL && log_open(child->conf->log) == -1)
		log_warn("%s", child->conf->log);
}

/* ---- beginning and end --------------------------------------------------- */

static void
set_up_tables(struct billing *b)
{
	const struct shm_sizes *sizes = &b->shm->sizes;

	dir_init(&b->accounts, sizes->max_accounts);
	dir_init(&b->keys, sizes->max_keys);
	dir_init(&b->agents, sizes->max_agents);
	due_init(&b->due, sizes->max_calls);
	book_init(b);
	b->checkpointed = xcalloc(sizes->max_calls, sizeof(*b->checkpointed));
	b->sum = amount_new();
	b->settler.keys = &b->keys;
	b->settler.agents = &b->agents;
	b->settler.versions = &b->versions;
	b->settler.unpriced_free = b->conf->unpriced == UNPRICED_FREE;
	b->settler.sum = b->sum;
}

static void
find_store(struct billing *b)
{
	struct pub_state *ps = shm_pub_state(b->shm);

	b->ops = ledger_ops_of(b->conf->store);
	if (b->ops == NULL)
		fatalx("store: no backend for this value");
	snprintf(ps->store, sizeof(ps->store), "%s", b->ops->name);
}

static void
set_up(struct billing *b, struct hub_child *child)
{
	memset(b, 0, sizeof(*b));
	b->child = child;
	b->shm = child->shm;
	b->loop = child->loop;
	b->conf = child->conf;
	b->count = &counter_rows(b->shm)[child->me.row];
	find_store(b);
	set_up_tables(b);
	b->retry_timer = loop_timer_new(b->loop, on_retry, b);
	b->price_timer = loop_timer_new(b->loop, on_prices, b);
	b->checkpoint_timer = loop_timer_new(b->loop, on_checkpoint, b);
	loop_timer_set_ms(b->checkpoint_timer, CHECKPOINT_MS);
	child->arg = b;
	child->on_drain = on_drain;
	child->on_reload = on_reload;
	child->on_reopen = on_reopen;
	child->on_message = on_message;
}

static void
tear_down(struct billing *b)
{
	if (b->store != NULL)
		b->ops->close(b->store);
	versions_fini(&b->versions);
	book_fini(b);
	due_fini(&b->due);
	dir_fini(&b->accounts);
	dir_fini(&b->keys);
	dir_fini(&b->agents);
	amount_free(b->sum);
	free(b->checkpointed);
	free(b->price_waiting);
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
	child_send(child, HUBMSG_READY, NULL, 0);
	loop_run(b.loop);
	tear_down(&b);
	return (0);
}
