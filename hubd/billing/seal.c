/*
 * Old months are put away (`ledger_keep`): a step of a few milliseconds at a
 * time, with pauses between in which calls are booked.
 */
#include "common/log.h"
#include "hubd/billing/shared.h"

#define SEAL_PAUSE_MS 10
#define SEAL_LOOK_MS  60000   /* has a month come of age? */
#define SEAL_SULK_MS  3600000 /* after one that cannot be put away */

/* When to come again, in ms. */
static int64_t
seal_step(struct billing *b)
{
	bool more = false;

	if (b->conf->ledger_keep == 0 || b->ops->seal == NULL ||
	    b->stage != STAGE_SERVING || store_waits(b))
		return (SEAL_LOOK_MS);
	switch (b->ops->seal(
	    b->store, walltime_ms() - b->conf->ledger_keep, &more)) {
	case LEDGER_OK:
		return (more ? SEAL_PAUSE_MS : SEAL_LOOK_MS);
	case LEDGER_REFUSED:
		return (SEAL_SULK_MS);
	case LEDGER_CONFLICT:
	case LEDGER_MISSING:
	case LEDGER_DOWN:
		break;
	}
	return (SEAL_LOOK_MS);
}

static void
on_seal(void *arg)
{
	struct billing *b = arg;

	loop_timer_set_ms(b->seal_timer, seal_step(b));
}

void
seal_start(struct billing *b)
{
	b->seal_timer = loop_timer_new(b->loop, on_seal, b);
	loop_timer_set_ms(b->seal_timer, 0);
}

void
seal_stop(struct billing *b)
{
	loop_timer_free(b->seal_timer);
}

void
seal_look(struct billing *b)
{
	if (b->seal_timer != NULL)
		loop_timer_set_ms(b->seal_timer, 0);
	/* what several hubs share is the courier's to put away */
	if (b->shared != NULL)
		(void)shared_send(b->shared, MIRROR_KEEP, 0,
		    &b->conf->ledger_keep, sizeof(b->conf->ledger_keep));
}
