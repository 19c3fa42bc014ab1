/* Amounts made again from usage and price version, and how audits count. */
#include "hubd/ledger/recompute.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/price/price.h"

void
recompute_init(
    struct recompute *c, const struct ledger_ops *ops, struct ledger *l)
{
	memset(c, 0, sizeof(*c));
	c->ops = ops;
	c->l = l;
}

void
recompute_fini(struct recompute *c)
{
	unsigned i;

	for (i = 0; i < RECOMPUTE_VERSIONS; i++)
		free(c->versions[i]);
}

/* The price table of a row, from the few kept. OK, MISSING, DOWN, or REFUSED:
 * this hubd cannot read it. */
static enum ledger_result
version_of(struct recompute *c, uint64_t version, const struct price_blob **out)
{
	enum ledger_result rc;
	struct price_blob *b;
	unsigned i;

	for (i = 0; i < RECOMPUTE_VERSIONS; i++) {
		*out = c->versions[i];
		if (*out != NULL && (*out)->version == version)
			return (LEDGER_OK);
	}
	if (version == 0)
		return (LEDGER_MISSING);
	if (version == c->unreadable)
		return (LEDGER_REFUSED);
	if ((rc = c->ops->price_get(c->l, version, &b)) != LEDGER_OK) {
		if (rc == LEDGER_REFUSED)
			c->unreadable = version;
		return (rc);
	}
	i = c->next++ % RECOMPUTE_VERSIONS;
	free(c->versions[i]);
	*out = c->versions[i] = b;
	return (LEDGER_OK);
}

static bool
equals(const char *text, const amount_t *expected)
{
	amount_t *a = amount_new();
	bool same;

	same = amount_parse(a, text, strlen(text)) == 0 &&
	       amount_cmp(a, expected) == 0;
	amount_free(a);
	return (same);
}

enum ledger_result
recompute_row(struct recompute *c, const struct ledger_row *r)
{
	enum service_tier tier = service_tier_parse(r->tier, strlen(r->tier));
	const struct price_entry *e = NULL;
	const struct price_blob *b;
	enum ledger_result rc;
	amount_t *cost;
	bool good;

	if (r->price[0] != '\0') {
		rc = version_of(c, r->price_version, &b);
		if (rc == LEDGER_OK)
			e = price_blob_find(b, span_str(r->price));
		if (rc == LEDGER_OK ? e == NULL : rc == LEDGER_MISSING)
			return (LEDGER_CONFLICT);
		if (rc != LEDGER_OK)
			return (rc);
	}
	cost = amount_new(); /* without a price, of nothing */
	if (e != NULL)
		price_cost(e, &r->usage, tier, cost);
	good = equals(r->amount, cost);
	amount_free(cost);
	return (good ? LEDGER_OK : LEDGER_CONFLICT);
}

void
audit_bad(struct ledger_audit *out, const char *fmt, ...)
{
	va_list ap;

	if (out->first_bad[0] != '\0')
		return;
	va_start(ap, fmt);
	vsnprintf(out->first_bad, sizeof(out->first_bad), fmt, ap);
	va_end(ap);
}

bool
audit_verdict(struct ledger_audit *out, const struct ledger_row *r,
    enum ledger_result verdict)
{
	char id[REQ_ID_TEXT];

	switch (verdict) {
	case LEDGER_OK:
		break;
	case LEDGER_CONFLICT:
	case LEDGER_MISSING:
		out->bad_rows++;
		req_id_format(r->id, id);
		audit_bad(out, "row %s", id);
		break;
	case LEDGER_REFUSED:
		out->unchecked++;
		break;
	case LEDGER_DOWN:
		return (false);
	}
	return (true);
}
