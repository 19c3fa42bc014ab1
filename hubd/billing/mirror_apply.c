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

#define APPLY_MS 8

/* ---- the copy ------------------------------------------------------------ */

static bool
is_copy(enum mirror_type type)
{
	return (type >= MIRROR_ACCOUNT && type <= MIRROR_CLOCK);
}

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
put_record(struct billing *b, const struct mirror_record *r)
{
	union {
		struct ledger_account account;
		struct ledger_key key;
		struct ledger_agent agent;
		struct ledger_object object;
	} u;

	if (r->type == MIRROR_PRICE)
		return (put_price(b, r));
	if (r->type == MIRROR_CLOCK)
		return (put_clock(b, r));
	mirror_get(r, &u);
	if (r->type == MIRROR_ACCOUNT)
		return (spool_put_account(b->store, &u.account));
	if (r->type == MIRROR_KEY)
		return (spool_put_key(b->store, &u.key));
	if (r->type == MIRROR_AGENT)
		return (spool_put_agent(b->store, &u.agent));
	return (
	    spool_put_object(b->store, &u.object, r->type == MIRROR_GONE));
}

static void
no_room(const char *what, const char *name, const char *option)
{
	log_warnx("%s %s has no room: raise %s", what, name, option);
}

static enum ledger_result
publish_record_of_account(struct billing *b, const struct mirror_record *r)
{
	struct ledger_account a;
	enum ledger_result rc;

	mirror_get(r, &a);
	rc = publish_balance(b, a.id);
	if (rc == LEDGER_REFUSED)
		no_room("account", a.name, "max_accounts");
	return (rc);
}

static void
publish_record_of_key(struct billing *b, const struct mirror_record *r)
{
	struct ledger_key k;

	mirror_get(r, &k);
	if (!publish_key(b, &k, false))
		no_room("key", k.id, "max_keys");
}

static void
publish_record_of_agent(struct billing *b, const struct mirror_record *r)
{
	struct ledger_agent a;

	mirror_get(r, &a);
	if (!publish_agent(b, &a))
		no_room("agent", a.name, "max_agents");
}

static enum ledger_result
publish_record_of_object(struct billing *b, const struct mirror_record *r)
{
	struct ledger_object o;

	mirror_get(r, &o);
	return (publish_object(b, o.id));
}

static enum ledger_result
publish_record(struct billing *b, const struct mirror_record *r)
{
	switch (r->type) {
	case MIRROR_ACCOUNT:
		return (publish_record_of_account(b, r));
	case MIRROR_KEY:
		publish_record_of_key(b, r);
		break;
	case MIRROR_AGENT:
		publish_record_of_agent(b, r);
		break;
	case MIRROR_OBJECT:
	case MIRROR_GONE:
		return (publish_record_of_object(b, r));
	case MIRROR_PRICE:
		return (prices_newest(b));
	default:
		break;
	}
	return (LEDGER_OK);
}

/* From *at on, as many as time allows; *at is then behind them. Their
 * transaction is the caller's. */
static enum apply_result
put_copies(struct billing *b, struct span in, size_t *at)
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
		if ((rc = put_record(b, &r)) == LEDGER_DOWN)
			return (APPLY_AWAY);
		if (rc != LEDGER_OK)
			log_warnx("a record of the shared store (%d) does not "
				  "fit its copy",
			    (int)r.type);
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
		    publish_record(b, &r) == LEDGER_DOWN)
			return (false);
		if (r.type == MIRROR_CLOCK)
			billing_advance(b);
	}
	return (true);
}

static enum apply_result
apply_copies(struct billing *b, struct buf *in)
{
	uint64_t before = atomic_load(&shm_pub_state(b->shm)->keys_version);
	enum apply_result result;
	size_t upto = 0;

	if (spool_begin(b->store) != LEDGER_OK)
		return (APPLY_AWAY);
	result = put_copies(b, buf_span(in), &upto);
	if (result == APPLY_AWAY || result == APPLY_BROKEN) {
		spool_rollback(b->store);
		return (result);
	}
	if (spool_commit(b->store) != LEDGER_OK ||
	    !publish_copies(b, buf_span(in), upto))
		return (APPLY_AWAY);
	buf_consume(in, upto);
	if (atomic_load(&shm_pub_state(b->shm)->keys_version) != before)
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
apply_balances(struct billing *b, const struct mirror_record *r)
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
apply_taken(
    struct billing *b, const struct mirror_record *r, struct buf *out)
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
apply_refused(
    struct billing *b, const struct mirror_record *r, struct buf *out)
{
	struct mirror_refused refused;
	struct ledger_row row;
	enum ledger_result rc;

	mirror_get(r, &refused);
	rc = spool_row_get(b->store, refused.id, &row);
	if (rc == LEDGER_DOWN)
		return (APPLY_AWAY);
	if (rc == LEDGER_OK &&
	    (!book_suspend(
		 b, refused.id, refused.reason, &row, sizeof(row)) ||
		spool_taken(b->store, &refused.id, 1, NULL, 0) != LEDGER_OK ||
		publish_balance(b, row.account) == LEDGER_DOWN))
		return (APPLY_AWAY);
	mirror_put(out, MIRROR_APPLIED, r->token, NULL, 0);
	shared_say_waiting(b);
	return (APPLY_MORE);
}

static enum apply_result
apply_suspended(struct billing *b, const struct mirror_record *r)
{
	int64_t number;

	mirror_get(r, &number);
	return (spool_suspense_taken(b->store, number) == LEDGER_OK
		    ? APPLY_MORE
		    : APPLY_AWAY);
}

/* ---- which store --------------------------------------------------------- */

static enum apply_result
apply_store(struct billing *b, const struct mirror_record *r)
{
	struct mirror_store s;
	char known[LEDGER_ID_MAX];
	int64_t clock;

	mirror_get(r, &s);
	if (spool_clock_get(b->store, known, &clock) != LEDGER_OK)
		return (APPLY_AWAY);
	if (strcmp(known, s.id) == 0)
		return (APPLY_MORE);
	switch (spool_adopt(b->store, s.id)) {
	case LEDGER_OK:
		break;
	case LEDGER_CONFLICT:
		return (APPLY_FOREIGN);
	default:
		return (APPLY_AWAY);
	}
	/* What was published of the one before is taken back at start. */
	if (known[0] != '\0')
		fatalx("the shared store is another one: billing starts anew");
	return (identity_publish(b) == LEDGER_OK ? APPLY_MORE : APPLY_AWAY);
}

/* ---- one after the other ------------------------------------------------- */

static enum apply_result
apply_one(struct billing *b, const struct mirror_record *r, struct buf *out)
{
	switch (r->type) {
	case MIRROR_STORE:
		return (apply_store(b, r));
	case MIRROR_BALANCES_OF:
		return (apply_balances(b, r));
	case MIRROR_TAKEN:
		return (apply_taken(b, r, out));
	case MIRROR_REFUSED:
		return (apply_refused(b, r, out));
	case MIRROR_SUSPENDED:
		return (apply_suspended(b, r));
	case MIRROR_STATE:
	case MIRROR_PRICED:
	case MIRROR_SYNCED:
		shared_told(b, r);
		return (APPLY_MORE);
	default:
		return (APPLY_BROKEN);
	}
}

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
	result = apply_one(b, &r, out);
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
	while (result == APPLY_MORE && !monotime_reached(until, monotime_now()));
	return (result);
}
