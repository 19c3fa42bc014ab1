/* What billing is told of balances: what is news, many in a record. */
#include "common/alloc.h"
#include "common/log.h"
#include "hubd/billing/courier.h"

#define SEEN_MAX (1u << 24)

bool
courier_is_news(struct courier *c, const struct pg_balance *b)
{
	uint32_t i, size = c->nseen > 0 ? c->nseen : 1024;

	if (b->account >= SEEN_MAX)
		return (true);
	while (size <= b->account)
		size *= 2;
	if (size > c->nseen) {
		c->seen = xrealloc(c->seen, size * sizeof(*c->seen));
		for (i = c->nseen; i < size; i++)
			c->seen[i] = -1;
		c->nseen = size;
	}
	if (b->seq <= c->seen[b->account])
		return (false);
	c->seen[b->account] = b->seq;
	return (true);
}

void
courier_tell_balances(struct courier *c)
{
	if (c->nballast > 0)
		courier_put(c, MIRROR_BALANCES_OF, 0, c->ballast,
		    c->nballast * sizeof(*c->ballast));
	c->nballast = 0;
}

struct pg_balance
courier_readable(const struct pg_balance *b)
{
	struct pg_balance none = {
	    .account = b->account, .seq = b->seq, .balance = "0", .spent = "0"};

	if (mirror_fits(MIRROR_BALANCES_OF, b, sizeof(*b)))
		return (*b);
	log_warnx("account %u of the shared store has a balance that is none",
	    b->account);
	if (none.seq < 0)
		none.seq = 0;
	return (none);
}

void
courier_balance(void *arg, const struct pg_balance *b)
{
	struct courier *c = arg;

	courier_breathe(c);
	if (!courier_is_news(c, b))
		return;
	c->ballast[c->nballast++] = courier_readable(b);
	if (c->nballast == MIRROR_BALANCES)
		courier_tell_balances(c);
}
