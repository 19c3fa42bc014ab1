/*
 * What the courier says becomes this hub's copy, and then what is published.
 * Records of the copy are applied many in a transaction, but only for some
 * milliseconds at a time: a full load must not hold up who is to be booked.
 */
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/shared.h"
#include "hubd/ledger/ledger_spool.h"
#include "shm/pubtab.h"

#define APPLY_MS 5

/* ---- the copy ------------------------------------------------------------ */

static enum ledger_result
put_clock(struct billing *b, const struct mirror_record *r)
{
	char id[LEDGER_ID_MAX];
	int64_t clock, old;

	mirror_get(r, &clock);
	if (spool_clock_get(b->store, id, &old) != LEDGER_OK)
		return (LEDGER_DOWN);
	/* What was made after the backup that the store was restored from is
	 * unknown to it, and must be here. */
	if (clock < old) {
		log_warnx("the shared store is older than it was: what it "
			  "does not know stays until the hub's copy is made "
			  "anew (see hubd(8))");
		/* The balances come behind this, those of rows that are taken
		 * from now on with numbers that were there before. */
		if (spool_doubt_balances(b->store) != LEDGER_OK)
			return (LEDGER_DOWN);
	}
	return (spool_clock_set(b->store, clock));
}

static enum ledger_result
put_price(struct billing *b, const struct mirror_record *r)
{
	struct price_blob *blob = mirror_price(r);
	enum ledger_result rc = spool_put_price(b->store, blob);

	free(blob);
	return (rc);
}

static enum ledger_result
put_account(struct billing *b, const struct mirror_record *r)
{
	struct ledger_account a;

	mirror_get(r, &a);
	return (spool_put_account(b->store, &a));
}

static enum ledger_result
put_key(struct billing *b, const struct mirror_record *r)
{
	struct ledger_key k;

	mirror_get(r, &k);
	return (spool_put_key(b->store, &k));
}

static enum ledger_result
put_agent(struct billing *b, const struct mirror_record *r)
{
	struct ledger_agent a;

	mirror_get(r, &a);
	return (spool_put_agent(b->store, &a));
}

static enum ledger_result
put_object(struct billing *b, const struct mirror_record *r)
{
	struct ledger_object o;

	mirror_get(r, &o);
	return (spool_put_object(b->store, &o, r->type == MIRROR_GONE));
}

static void
no_room(const char *what, const char *name, const char *option)
{
	log_warnx("%s %s has no room: raise %s", what, name, option);
}

static enum ledger_result
show_account(struct billing *b, const struct mirror_record *r)
{
	struct ledger_account a;
	enum ledger_result rc;

	mirror_get(r, &a);
	rc = publish_balance(b, a.id);
	if (rc == LEDGER_REFUSED)
		no_room("account", a.name, "max_accounts");
	return (rc);
}

static enum ledger_result
show_key(struct billing *b, const struct mirror_record *r)
{
	struct ledger_key k;

	mirror_get(r, &k);
	if (!publish_key(b, &k))
		no_room("key", k.id, "max_keys");
	return (LEDGER_OK);
}

static enum ledger_result
show_agent(struct billing *b, const struct mirror_record *r)
{
	struct ledger_agent a;

	mirror_get(r, &a);
	if (!publish_agent(b, &a))
		no_room("agent", a.name, "max_agents");
	return (LEDGER_OK);
}

static enum ledger_result
show_object(struct billing *b, const struct mirror_record *r)
{
	struct ledger_object o;

	mirror_get(r, &o);
	return (publish_object(b, o.id));
}

static enum ledger_result
show_prices(struct billing *b, const struct mirror_record *r)
{
	return (prices_newest(b));
}

/* The first load is whole: start-up goes on. */
static enum ledger_result
show_clock(struct billing *b, const struct mirror_record *r)
{
	billing_advance(b);
	return (LEDGER_OK);
}

typedef enum ledger_result copy_fn(
    struct billing *, const struct mirror_record *);

/* How a record comes into the copy, and how the copy is published then. */
static const struct copier {
	copy_fn *put, *show;
} copiers[MIRROR_TYPES] = {
    [MIRROR_ACCOUNT] = {put_account, show_account},
    [MIRROR_KEY] = {put_key, show_key},
    [MIRROR_AGENT] = {put_agent, show_agent},
    [MIRROR_PRICE] = {put_price, show_prices},
    [MIRROR_OBJECT] = {put_object, show_object},
    [MIRROR_GONE] = {put_object, show_object},
    [MIRROR_CLOCK] = {put_clock, show_clock},
};

static bool
is_copy(enum mirror_type type)
{
	return (copiers[type].put != NULL);
}

/* As many as time allows; *at is then behind them. One that does not fit ends
 * them; if it is the first, *misfit is behind it. Their transaction is the
 * caller's. */
static enum apply_result
put_copies(struct billing *b, struct span in, size_t *at, size_t *misfit)
{
	monotime_t until = monotime_add_ms(monotime_now(), APPLY_MS);
	struct mirror_record r;
	enum ledger_result rc;
	size_t end;

	while (!monotime_reached(until, monotime_now())) {
		switch (mirror_next(in, *at, &r, &end)) {
		case MIRROR_BROKEN:
			return (APPLY_BROKEN);
		case MIRROR_MORE:
			return (APPLY_ALL);
		case MIRROR_GOT:
			break;
		}
		if (!is_copy(r.type))
			break;
		rc = copiers[r.type].put(b, &r);
		if (rc == LEDGER_DOWN)
			return (APPLY_AWAY);
		if (rc != LEDGER_OK) {
			*misfit = *at == 0 ? end : 0;
			break;
		}
		*at = end;
	}
	return (APPLY_MORE);
}

/* false: the file could not be read; all of it will be published again. */
static bool
publish_copies(struct billing *b, struct span in, size_t upto)
{
	struct mirror_record r;
	size_t at = 0, end;

	for (; at < upto; at = end) {
		if (mirror_next(in, at, &r, &end) != MIRROR_GOT ||
		    copiers[r.type].show(b, &r) == LEDGER_DOWN)
			return (false);
	}
	return (true);
}

static enum apply_result
apply_copies(struct billing *b, struct buf *in)
{
	uint64_t before = atomic_load(&shm_pub_state(b->shm)->keys_version);
	enum apply_result result;
	size_t upto = 0, misfit = 0;

	if (spool_begin(b->store) != LEDGER_OK)
		return (APPLY_AWAY);
	result = put_copies(b, buf_span(in), &upto, &misfit);
	if (result == APPLY_AWAY || result == APPLY_BROKEN) {
		spool_rollback(b->store);
		return (result);
	}
	if (spool_commit(b->store) != LEDGER_OK ||
	    !publish_copies(b, buf_span(in), upto))
		return (APPLY_AWAY);
	if (misfit != 0)
		log_warnx("a record of the shared store does not fit into "
			  "its copy");
	buf_consume(in, misfit != 0 ? misfit : upto);
	if (atomic_load(&shm_pub_state(b->shm)->keys_version) == before)
		return (result);
	(void)FAILPOINT("billing.changed");
	wake_all_workers(b);
	return (result);
}

/* ---- rows and money ------------------------------------------------------ */

static enum apply_result
publish_balances(struct billing *b, const struct pg_balance *balances, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (publish_balance(b, balances[i].account) == LEDGER_DOWN)
			return (APPLY_AWAY);
	return (APPLY_MORE);
}

static enum apply_result
apply_balances(
    struct billing *b, const struct mirror_record *r, struct buf *out)
{
	size_t n = r->size / sizeof(struct pg_balance);
	struct pg_balance *balances = xcalloc(n + 1, sizeof(*balances));
	enum apply_result result = APPLY_AWAY;

	mirror_get(r, balances);
	if (spool_taken(b->store, NULL, 0, balances, n) == LEDGER_OK)
		result = publish_balances(b, balances, n);
	free(balances);
	return (result);
}

static enum apply_result
apply_taken(struct billing *b, const struct mirror_record *r, struct buf *out)
{
	static struct mirror_taken t;
	enum apply_result result;

	mirror_get_taken(r, &t);
	(void)FAILPOINT("billing.taken");
	if (spool_taken(b->store, t.ids, t.nids, t.balances, t.nbalances) !=
	    LEDGER_OK)
		return (APPLY_AWAY);
	result = publish_balances(b, t.balances, t.nbalances);
	if (result == APPLY_MORE) {
		counter_add(b->count, COUNT_shared_rows, t.nids);
		counter_add(b->count, COUNT_shared_batches, 1);
		mirror_put(out, MIRROR_APPLIED, r->token, NULL, 0);
	}
	shared_say_waiting(b);
	return (result);
}

/* The row goes aside with all that is known of it, and is owed no more. */
static enum apply_result
apply_refused(struct billing *b, const struct mirror_record *r, struct buf *out)
{
	struct mirror_refused refused;
	struct ledger_row row;
	enum ledger_result rc;

	mirror_get(r, &refused);
	rc = spool_row_get(b->store, refused.id, &row);
	if (rc == LEDGER_DOWN)
		return (APPLY_AWAY);
	if (rc == LEDGER_OK &&
	    (!book_suspend(b, refused.id, refused.reason, &row, sizeof(row)) ||
		spool_taken(b->store, &refused.id, 1, NULL, 0) != LEDGER_OK ||
		publish_balance(b, row.account) == LEDGER_DOWN))
		return (APPLY_AWAY);
	mirror_put(out, MIRROR_APPLIED, r->token, NULL, 0);
	shared_say_waiting(b);
	return (APPLY_MORE);
}

static enum apply_result
apply_suspended(
    struct billing *b, const struct mirror_record *r, struct buf *out)
{
	int64_t number;

	mirror_get(r, &number);
	if (spool_suspense_taken(b->store, number) != LEDGER_OK)
		return (APPLY_AWAY);
	mirror_put(out, MIRROR_APPLIED, r->token, NULL, 0);
	return (APPLY_MORE);
}

/* ---- which store --------------------------------------------------------- */

static enum apply_result
apply_store(struct billing *b, const struct mirror_record *r, struct buf *out)
{
	struct mirror_store s;
	enum ledger_result rc;
	char known[LEDGER_ID_MAX];
	int64_t clock;

	mirror_get(r, &s);
	if (spool_clock_get(b->store, known, &clock) != LEDGER_OK)
		return (APPLY_AWAY);
	if (strcmp(known, s.id) == 0)
		return (APPLY_MORE);
	rc = spool_adopt(b->store, s.id);
	if (rc != LEDGER_OK)
		return (rc == LEDGER_CONFLICT ? APPLY_FOREIGN : APPLY_AWAY);
	/* What was published of the one before is taken back at start. */
	if (known[0] != '\0')
		fatalx("the shared store is another one: billing starts anew");
	return (identity_publish(b) == LEDGER_OK ? APPLY_MORE : APPLY_AWAY);
}

/* ---- one after the other ------------------------------------------------- */

static enum apply_result
apply_word(struct billing *b, const struct mirror_record *r, struct buf *out)
{
	shared_told(b, r);
	return (APPLY_MORE);
}

typedef enum apply_result apply_fn(
    struct billing *, const struct mirror_record *, struct buf *out);

/* What is no copy. */
static apply_fn *const appliers[MIRROR_TYPES] = {
    [MIRROR_STORE] = apply_store,
    [MIRROR_BALANCES_OF] = apply_balances,
    [MIRROR_TAKEN] = apply_taken,
    [MIRROR_REFUSED] = apply_refused,
    [MIRROR_SUSPENDED] = apply_suspended,
    [MIRROR_STATE] = apply_word,
    [MIRROR_PRICED] = apply_word,
    [MIRROR_SYNCED] = apply_word,
};

static enum apply_result
apply_next(struct billing *b, struct buf *in, struct buf *out)
{
	enum apply_result result;
	struct mirror_record r;
	size_t end;

	switch (mirror_next(buf_span(in), 0, &r, &end)) {
	case MIRROR_MORE:
		return (APPLY_ALL);
	case MIRROR_BROKEN:
		return (APPLY_BROKEN);
	case MIRROR_GOT:
		break;
	}
	if (is_copy(r.type))
		return (apply_copies(b, in));
	if (appliers[r.type] == NULL)
		return (APPLY_BROKEN);
	result = appliers[r.type](b, &r, out);
	if (result == APPLY_MORE)
		buf_consume(in, end);
	return (result);
}

enum apply_result
mirror_apply(struct billing *b, struct buf *in, struct buf *out)
{
	monotime_t until = monotime_add_ms(monotime_now(), APPLY_MS);
	enum apply_result result;

	do
		result = apply_next(b, in, out);
	while (
	    result == APPLY_MORE && !monotime_reached(until, monotime_now()));
	return (result);
}
