/*
 * Prices of a store that several hubs share: its newest version is in force
 * on all of them. A hub's own files become a version at a reload, and at its
 * start only if the store has none: a hub that starts with files of last
 * year changes nobody's prices.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "hubd/billing/shared.h"
#include "hubd/price/price.h"
#include "shm/pubtab.h"

#define PATIENCE_MS 15000 /* for the store to take a version */

/* It is known to be newer than what is in force. */
static bool
is_news(const struct billing *b, const struct price_blob *blob)
{
	const struct price_blob *now =
	    b->price_waiting != NULL ? b->price_waiting : pub_prices(b->shm);

	return (now == NULL || now->version != blob->version ||
		now->crc != blob->crc);
}

enum ledger_result
prices_newest(struct billing *b)
{
	struct price_blob *blob = NULL;
	enum ledger_result rc = b->ops->price_get(b->store, 0, &blob);

	if (rc != LEDGER_OK)
		return (rc);
	if (is_news(b, blob))
		prices_put_in_force(b, blob);
	else
		free(blob);
	return (LEDGER_OK);
}

/* ---- to the store -------------------------------------------------------- */

static bool
send_prices(struct shared *s, const struct price_blob *blob, bool first)
{
	if (++s->tokens == 0)
		s->tokens = 1;
	if (!shared_send(s, first ? MIRROR_PRICES_1 : MIRROR_PRICES, s->tokens,
		blob, blob->size))
		return (false);
	s->prices_token = s->tokens;
	s->prices_first = first;
	s->prices_cookie = 0;
	s->prices_deadline = monotime_add_ms(monotime_now(), PATIENCE_MS);
	return (true);
}

/* OK: there is nothing to wait for. */
static enum ledger_result
send_first(struct billing *b)
{
	struct price_blob *blob;
	char error[512];

	if (prices_load(b->conf, &blob, error, sizeof(error)) == -1) {
		log_errx("prices: %s; nothing has a price", error);
		return (LEDGER_OK);
	}
	blob->time_ms = walltime_ms();
	price_blob_seal(blob);
	(void)send_prices(b->shared, blob, true);
	free(blob);
	return (LEDGER_MISSING);
}

enum ledger_result
shared_prices_start(struct billing *b)
{
	enum ledger_result rc = prices_newest(b);

	if (rc != LEDGER_MISSING || b->shared->prices_refused)
		return (rc == LEDGER_MISSING ? LEDGER_OK : rc);
	if (b->shared->prices_token != 0)
		return (LEDGER_MISSING);
	return (send_first(b));
}

int
shared_prices_reload(struct billing *b, uint32_t cookie,
    const struct price_blob *blob, char *error, size_t cap)
{
	bool sent;

	if (shared_is_away(b)) {
		snprintf(error, cap,
		    "the shared store is away: the prices in "
		    "force stay");
		return (-1);
	}
	shared_prices_lost(b); /* an older reload is overtaken by this one */
	sent = send_prices(b->shared, blob, false);
	assert(sent); /* prices_reload() waits for a courier */
	b->shared->prices_cookie = cookie;
	return (0);
}

/* ---- and its answer ------------------------------------------------------ */

static void
end_reload(struct billing *b, const char *error)
{
	struct shared *s = b->shared;
	uint32_t cookie = s->prices_cookie;

	s->prices_token = 0;
	s->prices_cookie = 0;
	if (s->prices_first)
		billing_advance(b);
	else if (error != NULL)
		reload_is_over(b, cookie, error);
	else
		prices_reloaded(b, cookie);
}

/* The version itself has come before this, if it is new. */
void
shared_priced(
    struct billing *b, uint32_t token, const struct mirror_priced *priced)
{
	struct shared *s = b->shared;

	if (token == 0 || token != s->prices_token)
		return;
	if (priced->away != 0) {
		shared_prices_lost(b);
		return;
	}
	if (priced->version == 0 && s->prices_first) {
		log_errx("prices: %s; nothing has a price", priced->error);
		s->prices_refused = true;
	}
	end_reload(b, priced->version == 0 ? priced->error : NULL);
}

void
shared_prices_lost(struct billing *b)
{
	struct shared *s = b->shared;

	if (s->prices_token == 0)
		return;
	if (s->prices_first) /* billing_advance() sends them again */
		s->prices_token = 0;
	else
		end_reload(b, "the shared store did not answer: whether the "
			      "files are a version now, show prices says");
}

void
shared_prices_tick(struct billing *b)
{
	struct shared *s = b->shared;

	if (s->prices_token != 0 &&
	    monotime_reached(s->prices_deadline, monotime_now()))
		shared_prices_lost(b);
	if (b->stage == STAGE_PRICES)
		billing_advance(b);
}
