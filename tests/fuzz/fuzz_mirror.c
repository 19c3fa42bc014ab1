/*
 * Records between billing and its children. The first byte chooses a good
 * record, and the others spoil it (three bytes each: where, with what); or
 * all is read as it is. What is accepted can be used without a further look.
 */
#include <stdio.h>
#include <string.h>

#include "hubd/billing/mirror.h"
#include "tests/fuzz/fuzz.h"

#define ENDS(field) MUST(memchr(field, '\0', sizeof(field)) != NULL)

union payload {
	struct mirror_store store;
	struct ledger_account account;
	struct ledger_key key;
	struct ledger_agent agent;
	struct ledger_object object;
	struct mirror_taken taken;
	struct mirror_refused refused;
	struct mirror_priced priced;
	struct mirror_state state;
	struct pg_balance balances[2];
	int64_t number;
	uint32_t flag;
	char bytes[1];
};

static union payload p;

/* ---- good ones ----------------------------------------------------------- */

static void
good_balance(struct pg_balance *b)
{
	b->account = 1;
	strcpy(b->balance, "-1.5");
	strcpy(b->spent, "0");
}

static size_t
good_account(void)
{
	p.account.id = 1;
	strcpy(p.account.name, "acme");
	strcpy(p.account.balance, "5");
	strcpy(p.account.spent, "0");
	strcpy(p.account.overdraft, "0");
	return (sizeof(p.account));
}

static size_t
good_taken(void)
{
	p.taken.nids = p.taken.nbalances = 1;
	good_balance(&p.taken.balances[0]);
	return (offsetof(struct mirror_taken, balances) +
		sizeof(p.taken.balances[0]));
}

static size_t
good_key(void)
{
	p.key.number = p.key.account = 1;
	strcpy(p.key.id, "key_1");
	return (sizeof(p.key));
}

static size_t
good_object(void)
{
	strcpy(p.object.id, "file-1");
	return (sizeof(p.object));
}

static size_t
good(enum mirror_type type)
{
	memset(&p, 0, sizeof(p));
	if (type == MIRROR_ACCOUNT)
		return (good_account());
	if (type == MIRROR_TAKEN)
		return (good_taken());
	if (type == MIRROR_KEY)
		return (good_key());
	if (type == MIRROR_OBJECT || type == MIRROR_GONE)
		return (good_object());
	if (type == MIRROR_AGENT) {
		p.agent.id = 1;
		strcpy(p.agent.name, "edge");
		return (sizeof(p.agent));
	}
	if (type == MIRROR_BALANCES_OF) {
		good_balance(&p.balances[0]);
		good_balance(&p.balances[1]);
		return (sizeof(p.balances));
	}
	if (type == MIRROR_REFUSED)
		return (sizeof(p.refused));
	if (type == MIRROR_PRICED)
		return (sizeof(p.priced));
	return (sizeof(p.number));
}

/* ---- what was accepted --------------------------------------------------- */

static void
use_balance(const struct pg_balance *b)
{
	amount_t *a = amount_new();

	ENDS(b->balance);
	MUST(amount_parse(a, b->balance, strlen(b->balance)) == 0);
	MUST(b->seq >= 0);
	amount_free(a);
}

static void
use_taken(const struct mirror_record *r)
{
	static struct mirror_taken t;
	uint32_t i;

	mirror_get_taken(r, &t);
	MUST(t.nids <= MIRROR_ROWS && t.nbalances <= MIRROR_ROWS);
	for (i = 0; i < t.nbalances; i++)
		use_balance(&t.balances[i]);
}

static void
use(const struct mirror_record *r)
{
	static union payload u;

	MUST(r->type > 0 && r->type < MIRROR_TYPES);
	if (r->type == MIRROR_TAKEN)
		use_taken(r);
	if (r->size > sizeof(u))
		return;
	mirror_get(r, &u);
	if (r->type == MIRROR_ACCOUNT) {
		ENDS(u.account.name);
		MUST(u.account.id != 0);
		MUST(u.account.disabled || !u.account.disabled);
	} else if (r->type == MIRROR_KEY) {
		ENDS(u.key.id);
		ENDS(u.key.models);
		MUST(u.key.revoked <= 2);
	} else if (r->type == MIRROR_OBJECT) {
		MUST(object_id_ok(span_str(u.object.id)));
		MUST(u.object.billed || !u.object.billed);
	}
}

static void
read_all(struct span in)
{
	struct mirror_record r;
	size_t at = 0, end;

	while (mirror_next(in, at, &r, &end) == MIRROR_GOT) {
		MUST(end > at && end <= in.n);
		use(&r);
		at = end;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buf out = {0};
	enum mirror_type type;
	size_t i, size;

	if (n < 1)
		return (0);
	if (data[0] >= 0xc0) {
		read_all(span_of((const char *)data + 1, n - 1));
		return (0);
	}
	type = (enum mirror_type)(data[0] % MIRROR_TYPES);
	size = good(type);
	for (i = 1; i + 3 <= n; i += 3)
		p.bytes[(size_t)(data[i] << 8 | data[i + 1]) % size] =
		    (char)data[i + 2];
	mirror_put(&out, type, 1, p.bytes, size);
	read_all(buf_span(&out));
	buf_fini(&out);
	return (0);
}
