/*
 * Prices: files become a version of the store, then the version in force.
 * Whatever is wrong with the files, the version in force stays.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/price/price.h"
#include "shm/pubtab.h"

int
prices_load(const struct hub_conf *conf, struct price_blob **blob, char *error,
    size_t cap)
{
	const char *paths[CONF_LIST_MAX];
	size_t i;

	for (i = 0; i < conf->prices.n; i++)
		paths[i] = conf->prices.item[i];
	return (price_load(paths, conf->prices.n, blob, error, cap));
}

/* ---- into force ---------------------------------------------------------- */

static void
told(struct billing *b, const char *error)
{
	uint32_t cookie = b->price_cookie;

	if (!b->price_reload)
		return;
	b->price_reload = false;
	b->price_cookie = 0;
	reload_is_over(b, cookie, error);
}

void
prices_retry(struct billing *b)
{
	if (b->price_waiting == NULL)
		return;
	if (pub_prices_publish(b->shm, b->price_waiting)) {
		log_info("price version %llu is in force",
		    (unsigned long long)b->price_waiting->version);
		free(b->price_waiting);
		b->price_waiting = NULL;
		told(b, NULL);
		return;
	}
	if (monotime_reached(b->price_deadline, monotime_now()))
		told(b, "a worker does not let go of old prices yet; the new "
			"ones follow");
	if (b->price_timer != NULL)
		loop_timer_set_ms(b->price_timer, PRICE_RETRY_MS);
}

void
prices_put_in_force(struct billing *b, struct price_blob *blob)
{
	const struct price_blob *now = pub_prices(b->shm);

	free(b->price_waiting);
	b->price_waiting = NULL;
	if (now != NULL && now->version == blob->version &&
	    now->crc == blob->crc) {
		free(blob);
		told(b, NULL);
		return;
	}
	b->price_waiting = blob;
	b->price_deadline = monotime_add_ms(monotime_now(), PRICE_PATIENCE_MS);
	prices_retry(b);
}

void
prices_reloaded(struct billing *b, uint32_t cookie)
{
	told(b, NULL); /* an older reload is overtaken by this one */
	b->price_reload = true;
	b->price_cookie = cookie;
	if (b->price_waiting == NULL)
		told(b, NULL);
}

/* The newest that the hub knows: waiting, or published. */
static const struct price_blob *
newest(const struct billing *b)
{
	return (
	    b->price_waiting != NULL ? b->price_waiting : pub_prices(b->shm));
}

/* The files as a table that may follow old, which may be NULL; -1 and error. */
static int
load_checked(struct billing *b, const struct price_blob *old,
    struct price_blob **blob, char *error, size_t cap)
{
	if (prices_load(b->conf, blob, error, cap) == -1)
		return (-1);
	if (old != NULL && price_check_jump(old, *blob, error, cap) == -1) {
		free(*blob);
		return (-1);
	}
	(*blob)->time_ms = walltime_ms();
	return (0);
}

/*
 * Loads the files and stores them as a version. OK: *blob is the caller's.
 * REFUSED: error says why. old, if not NULL, is what a jump is measured by.
 */
static enum ledger_result
store_files(struct billing *b, const struct price_blob *old,
    struct price_blob **blob, char *error, size_t cap)
{
	struct price_blob *fresh;
	enum ledger_result r;

	if (load_checked(b, old, &fresh, error, cap) == -1)
		return (LEDGER_REFUSED);
	r = b->ops->price_put(b->store, fresh);
	if (r == LEDGER_OK) {
		*blob = fresh;
		return (LEDGER_OK);
	}
	free(fresh);
	snprintf(error, cap, "%s",
	    r == LEDGER_DOWN ? "the store is away"
			     : "the store refuses the prices");
	return (r == LEDGER_DOWN ? r : LEDGER_REFUSED);
}

/* The files are no good: what is stored is, if there is anything. */
static void
fall_back(struct billing *b, struct price_blob *stored, const char *error)
{
	if (stored == NULL) {
		log_errx("prices: %s; nothing has a price", error);
		return;
	}
	log_errx("prices: %s; version %llu of the store is in force", error,
	    (unsigned long long)stored->version);
	prices_put_in_force(b, stored);
}

/* Is what is published a version of this store? OK, MISSING or DOWN. */
static enum ledger_result
find_published(struct billing *b)
{
	const struct price_blob *now = pub_prices(b->shm);
	struct price_blob *stored = NULL;
	enum ledger_result r;

	if (now == NULL)
		return (LEDGER_MISSING);
	r = b->ops->price_get(b->store, now->version, &stored);
	if (r == LEDGER_OK && stored->crc != now->crc)
		r = LEDGER_MISSING;
	free(stored);
	return (r == LEDGER_OK || r == LEDGER_DOWN ? r : LEDGER_MISSING);
}

enum ledger_result
prices_start(struct billing *b)
{
	struct price_blob *stored = NULL, *blob = NULL;
	char error[512] = "";
	enum ledger_result r;

	if (b->shared != NULL)
		return (shared_prices_start(b));
	/* A billing process that starts anew looks at no files; but what was
	 * stored last may wait for its buffer still. */
	if ((r = find_published(b)) == LEDGER_OK)
		r = prices_newest(b) == LEDGER_DOWN ? LEDGER_DOWN : LEDGER_OK;
	if (r != LEDGER_MISSING)
		return (r);
	if (b->ops->price_get(b->store, 0, &stored) == LEDGER_DOWN)
		return (LEDGER_DOWN);
	r = store_files(b, stored, &blob, error, sizeof(error));
	if (r == LEDGER_REFUSED) {
		fall_back(b, stored, error);
		return (LEDGER_OK);
	}
	free(stored);
	if (r == LEDGER_OK)
		prices_put_in_force(b, blob);
	return (r);
}

/* What the files are becomes a version of a store that several hubs share. */
static int
reload_shared(
    struct billing *b, uint32_t cookie, bool force, char *error, size_t cap)
{
	struct price_blob *blob;
	int rc;

	if (load_checked(b, force ? NULL : newest(b), &blob, error, cap) == -1)
		return (-1);
	price_blob_seal(blob);
	rc = shared_prices_reload(b, cookie, blob, error, cap);
	free(blob);
	return (rc);
}

static void
reload_later(struct billing *b, uint32_t cookie, bool force)
{
	struct early_reload older = b->early_reload;

	b->early_reload =
	    (struct early_reload){true, force || older.force, cookie};
	if (older.wanted)
		reload_is_over(b, older.cookie, NULL);
}

int
prices_reload(
    struct billing *b, uint32_t cookie, bool force, char *error, size_t cap)
{
	struct price_blob *blob;
	bool starting = b->stage != STAGE_SERVING;

	if (store_waits(b) || (starting && shared_is_away(b))) {
		snprintf(error, cap, "the store is away");
		return (-1);
	}
	if (starting || shared_wants_courier(b)) {
		reload_later(b, cookie, force);
		return (0);
	}
	if (b->shared != NULL)
		return (reload_shared(b, cookie, force, error, cap));
	if (store_files(b, force ? NULL : newest(b), &blob, error, cap) !=
	    LEDGER_OK)
		return (-1);
	told(b, NULL); /* an older reload is overtaken by this one */
	b->price_reload = true;
	b->price_cookie = cookie;
	prices_put_in_force(b, blob);
	return (0);
}

void
prices_unblocked(struct billing *b)
{
	struct early_reload early = b->early_reload;
	char error[512] = "";

	if (b->stage != STAGE_SERVING || shared_wants_courier(b))
		return;
	b->early_reload = (struct early_reload){0};
	if (!early.wanted || prices_reload(b, early.cookie, early.force, error,
				 sizeof(error)) == 0)
		return;
	reload_is_over(b, early.cookie, error);
}
