/* Records between billing and its children: written, read, checked. */
#include "hubd/billing/mirror.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/monotime.h"

/* ---- writing ------------------------------------------------------------- */

void
mirror_put(struct buf *out, enum mirror_type type, uint32_t token,
    const void *p, size_t n)
{
	struct mirror_head head = {MIRROR_MAGIC, type, (uint32_t)n, token};

	buf_add(out, &head, sizeof(head));
	buf_add(out, p, n);
}

void
mirror_put_taken(struct buf *out, uint32_t token, const struct mirror_taken *t)
{
	assert(t->nbalances <= MIRROR_ROWS);
	mirror_put(out, MIRROR_TAKEN, token, t,
	    offsetof(struct mirror_taken, balances) +
		t->nbalances * sizeof(t->balances[0]));
}

/* ---- checking ------------------------------------------------------------ */

#define TEXT_OK(field) (memchr(field, '\0', sizeof(field)) != NULL)
/* A bool that is neither must not be looked at as one. */
#define BOOL_OK(p, type, field) \
	((unsigned char)(p)[offsetof(struct type, field)] <= 1)

static bool
amount_ok(const char *text, size_t cap)
{
	amount_t *a;
	bool ok;

	if (memchr(text, '\0', cap) == NULL)
		return (false);
	a = amount_new();
	ok = amount_parse(a, text, strlen(text)) == 0;
	amount_free(a);
	return (ok);
}
#define AMOUNT_OK(field) amount_ok(field, sizeof(field))

static bool
account_ok(const char *p, size_t n)
{
	struct ledger_account a;

	if (!BOOL_OK(p, ledger_account, disabled) ||
	    !BOOL_OK(p, ledger_account, overdraft_unlimited))
		return (false);
	memcpy(&a, p, sizeof(a));
	return (a.id != 0 && a.seq >= 0 && a.name[0] != '\0' &&
		TEXT_OK(a.name) && AMOUNT_OK(a.overdraft) &&
		AMOUNT_OK(a.balance) && AMOUNT_OK(a.spent));
}

static bool
key_ok(const char *p, size_t n)
{
	struct ledger_key k;

	memcpy(&k, p, sizeof(k));
	return (k.number != 0 && k.account != 0 && k.revoked <= 2 &&
		k.id[0] != '\0' && TEXT_OK(k.id) && TEXT_OK(k.name) &&
		TEXT_OK(k.models) && k.tpm <= INT64_MAX);
}

static bool
agent_ok(const char *p, size_t n)
{
	struct ledger_agent a;

	if (!BOOL_OK(p, ledger_agent, revoked) ||
	    !BOOL_OK(p, ledger_agent, draining))
		return (false);
	memcpy(&a, p, sizeof(a));
	return (a.id != 0 && a.name[0] != '\0' && TEXT_OK(a.name) &&
		TEXT_OK(a.models) && TEXT_OK(a.providers));
}

static bool
object_ok(const char *p, size_t n)
{
	struct ledger_object o;

	if (!BOOL_OK(p, ledger_object, billed))
		return (false);
	memcpy(&o, p, sizeof(o));
	return (TEXT_OK(o.id) && object_id_ok(span_str(o.id)) &&
		TEXT_OK(o.provider) && (unsigned)o.kind < OBJECT_KINDS);
}

static bool
price_ok(const char *p, size_t n)
{
	struct price_blob *b;
	bool ok;

	if (n < sizeof(*b))
		return (false);
	b = xmalloc(n);
	memcpy(b, p, n);
	ok = b->size == n && price_blob_valid(b, n);
	free(b);
	return (ok);
}

static bool
balances_ok(const char *p, size_t n)
{
	struct pg_balance b;

	if (n % sizeof(b) != 0)
		return (false);
	for (; n > 0; p += sizeof(b), n -= sizeof(b)) {
		memcpy(&b, p, sizeof(b));
		if (b.seq < 0 || !AMOUNT_OK(b.balance) || !AMOUNT_OK(b.spent))
			return (false);
	}
	return (true);
}

static bool
taken_ok(const char *p, size_t n)
{
	size_t head = offsetof(struct mirror_taken, balances);
	uint32_t nids, nbalances;

	if (n < head)
		return (false);
	memcpy(&nids, p, sizeof(nids));
	memcpy(&nbalances, p + sizeof(nids), sizeof(nbalances));
	return (nids <= MIRROR_ROWS && nbalances <= MIRROR_ROWS &&
		n - head == nbalances * sizeof(struct pg_balance) &&
		balances_ok(p + head, n - head));
}

static bool
refused_ok(const char *p, size_t n)
{
	struct mirror_refused r;

	memcpy(&r, p, sizeof(r));
	return (TEXT_OK(r.reason));
}

static bool
priced_ok(const char *p, size_t n)
{
	struct mirror_priced r;

	memcpy(&r, p, sizeof(r));
	return (TEXT_OK(r.error));
}

static bool
store_ok(const char *p, size_t n)
{
	struct mirror_store s;
	req_id_t id;

	memcpy(&s, p, sizeof(s));
	return (TEXT_OK(s.id) && req_id_parse(s.id, &id));
}

static bool
not_negative(const char *p, size_t n)
{
	int64_t v;

	memcpy(&v, p, sizeof(v));
	return (v >= 0);
}

/* size: exactly, or at most. ok: NULL if any content is. */
static const struct kind {
	size_t size;
	bool at_most;
	bool (*ok)(const char *p, size_t n);
} kinds[MIRROR_TYPES] = {
    [MIRROR_STORE] = {sizeof(struct mirror_store), false, store_ok},
    [MIRROR_ACCOUNT] = {sizeof(struct ledger_account), false, account_ok},
    [MIRROR_KEY] = {sizeof(struct ledger_key), false, key_ok},
    [MIRROR_AGENT] = {sizeof(struct ledger_agent), false, agent_ok},
    [MIRROR_PRICE] = {PRICE_BLOB_MAX, true, price_ok},
    [MIRROR_OBJECT] = {sizeof(struct ledger_object), false, object_ok},
    [MIRROR_GONE] = {sizeof(struct ledger_object), false, object_ok},
    [MIRROR_CLOCK] = {sizeof(int64_t), false, not_negative},
    [MIRROR_BALANCES_OF] = {MIRROR_BALANCES * sizeof(struct pg_balance), true,
	balances_ok},
    [MIRROR_TAKEN] = {sizeof(struct mirror_taken), true, taken_ok},
    [MIRROR_REFUSED] = {sizeof(struct mirror_refused), false, refused_ok},
    [MIRROR_SUSPENDED] = {sizeof(int64_t), false, NULL},
    [MIRROR_STATE] = {sizeof(struct mirror_state), false, NULL},
    [MIRROR_PRICED] = {sizeof(struct mirror_priced), false, priced_ok},
    [MIRROR_KEEP] = {sizeof(int64_t), false, not_negative},
    [MIRROR_PRICES] = {PRICE_BLOB_MAX, true, price_ok},
    [MIRROR_PRICES_1] = {PRICE_BLOB_MAX, true, price_ok},
    [MIRROR_SYNCED] = {sizeof(uint32_t), false, NULL},
    /* nothing is behind the head of the others */
};

static bool
size_ok(const struct kind *k, size_t n)
{
	return (k->at_most ? n <= k->size : n == k->size);
}

static bool
head_ok(const struct mirror_head *head)
{
	return (head->magic == MIRROR_MAGIC && head->type != 0 &&
		head->type < MIRROR_TYPES &&
		size_ok(&kinds[head->type], head->size));
}

static bool
content_ok(const struct kind *k, const char *p, size_t n)
{
	return (k->ok == NULL || k->ok(p, n));
}

bool
mirror_fits(enum mirror_type type, const void *p, size_t n)
{
	const struct kind *k = &kinds[type];

	return (size_ok(k, n) && content_ok(k, p, n));
}

/* ---- reading ------------------------------------------------------------- */

enum mirror_next
mirror_next(struct span in, size_t at, struct mirror_record *r, size_t *end)
{
	struct mirror_head head;

	assert(at <= in.n);
	if (in.n - at < sizeof(head))
		return (MIRROR_MORE);
	memcpy(&head, in.p + at, sizeof(head));
	if (!head_ok(&head))
		return (MIRROR_BROKEN);
	at += sizeof(head);
	if (in.n - at < head.size)
		return (MIRROR_MORE);
	*r = (struct mirror_record){
	    (enum mirror_type)head.type, head.token, in.p + at, head.size};
	*end = at + head.size;
	return (content_ok(&kinds[r->type], r->p, r->size) ? MIRROR_GOT
							   : MIRROR_BROKEN);
}

void
mirror_get(const struct mirror_record *r, void *out)
{
	memcpy(out, r->p, r->size);
}

struct price_blob *
mirror_price(const struct mirror_record *r)
{
	struct price_blob *b = xmalloc(r->size);

	memcpy(b, r->p, r->size);
	return (b);
}

void
mirror_get_taken(const struct mirror_record *r, struct mirror_taken *t)
{
	memcpy(t, r->p, r->size);
}

/* ---- in an errand -------------------------------------------------------- */

static int
write_sync(int fd)
{
	struct buf out = {0};
	ssize_t done;
	int rc = 0;

	mirror_put(&out, MIRROR_SYNC, 1, NULL, 0);
	while (rc == 0 && buf_len(&out) > 0) {
		done = write(fd, buf_ptr(&out), buf_len(&out));
		if (done > 0)
			buf_consume(&out, (size_t)done);
		else if (errno != EINTR)
			rc = -1;
	}
	buf_fini(&out);
	return (rc);
}

/* -1: not before the deadline. */
static int
wait_readable(int fd, monotime_t deadline)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int64_t left;

	for (;;) {
		left = monotime_diff_ms(deadline, monotime_now());
		if (left <= 0)
			return (-1);
		if (poll(&p, 1, (int)left) == 1)
			return (0);
	}
}

static int
read_answer(int fd, monotime_t deadline)
{
	char in[sizeof(struct mirror_head) + sizeof(uint32_t)];
	struct mirror_record r;
	size_t got = 0, end;
	uint32_t done = 0;
	ssize_t n;

	while (got < sizeof(in)) {
		if (wait_readable(fd, deadline) == -1)
			return (-1);
		n = read(fd, in + got, sizeof(in) - got);
		if (n == 0 || (n == -1 && errno != EINTR))
			return (-1);
		got += n > 0 ? (size_t)n : 0;
	}
	if (mirror_next(span_of(in, got), 0, &r, &end) != MIRROR_GOT ||
	    r.type != MIRROR_SYNCED)
		return (-1);
	mirror_get(&r, &done);
	return (done == 1 ? 0 : -1);
}

int
mirror_sync(int fd, int timeout_ms)
{
	monotime_t deadline = monotime_add_ms(monotime_now(), timeout_ms);

	if (write_sync(fd) == -1)
		return (-1);
	return (read_answer(fd, deadline));
}
