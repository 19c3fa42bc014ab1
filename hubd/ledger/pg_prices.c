/* Price versions in PostgreSQL: whole tables as they were in force. */
#include <stdlib.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"
#include "hubd/price/price.h"

/* A column's blob on the heap; NULL if it is broken or of another hubd. */
static struct price_blob *
read_blob(const struct pg_rows *rows, size_t row, int column)
{
	size_t n;
	struct price_blob *b = pg_bytes(rows, row, column, &n);

	if (n >= sizeof(*b) && n <= PRICE_BLOB_MAX && b->size == n &&
	    price_blob_valid(b, n))
		return (b);
	free(b);
	return (NULL);
}

enum ledger_result
pg_price_get(struct ledger *l, uint64_t version, struct price_blob **blob)
{
	struct pg_args args = {0};
	enum ledger_result rc;
	struct pg_rows *rows;

	pg_add_int(&args, (int64_t)version);
	rc = pg_find(l,
	    "SELECT blob FROM price_version WHERE version = $1 OR $1 = 0 "
	    "ORDER BY version DESC LIMIT 1",
	    &args, &rows);
	*blob = NULL;
	if (rc == LEDGER_OK && (*blob = read_blob(rows, 0, 0)) == NULL)
		rc = LEDGER_REFUSED;
	pg_rows_free(rows);
	return (rc);
}

static enum ledger_result
next_version(struct ledger *l, uint64_t *version)
{
	enum ledger_result rc;
	struct pg_rows *rows;

	rc =
	    pg_run(l, "SELECT coalesce(max(version), 0) + 1 FROM price_version",
		NULL, &rows);
	if (rc == LEDGER_OK)
		*version = (uint64_t)pg_int(rows, 0, 0);
	pg_rows_free(rows);
	return (rc);
}

static enum ledger_result
insert(struct ledger *l, const struct price_blob *b)
{
	struct pg_args args = {0};

	pg_add_int(&args, (int64_t)b->version);
	pg_add_int(&args, b->time_ms);
	pg_add_bytes(&args, b, b->size);
	return (pg_do(l,
	    "INSERT INTO price_version (version, time_ms, blob) "
	    "VALUES ($1, $2, $3)",
	    &args, NULL));
}

static enum ledger_result
put_in_transaction(struct ledger *l, struct price_blob *b)
{
	struct price_blob *latest;
	enum ledger_result rc;
	bool kept;

	/* Nothing comes between the look and the insertion. */
	if ((rc = pg_do(l, "LOCK TABLE price_version IN EXCLUSIVE MODE", NULL,
		 NULL)) != LEDGER_OK)
		return (rc);
	rc = pg_price_get(l, 0, &latest);
	if (rc == LEDGER_DOWN)
		return (rc);
	kept = price_blob_keep(b, latest);
	free(latest);
	if (kept)
		return (LEDGER_OK);
	if ((rc = next_version(l, &b->version)) != LEDGER_OK)
		return (rc);
	price_blob_seal(b);
	return (insert(l, b));
}

enum ledger_result
pg_price_put(struct ledger *l, struct price_blob *b)
{
	enum ledger_result rc = pg_begin(l);

	if (rc != LEDGER_OK)
		return (rc);
	return (pg_end(l, put_in_transaction(l, b)));
}

struct price_sink {
	struct ledger *l;
	void (*fn)(void *, const struct price_blob *);
	void *arg;
};

/* A version that this hubd cannot read is none to it. */
static bool
on_version(void *arg, const struct pg_rows *rows, size_t row)
{
	const struct price_sink *to = arg;
	struct price_blob *b;
	enum ledger_result rc;

	rc = pg_price_get(to->l, (uint64_t)pg_int(rows, row, 0), &b);
	if (rc == LEDGER_OK)
		to->fn(to->arg, b);
	free(b);
	return (rc != LEDGER_DOWN);
}

/* One at a time: they are large. */
enum ledger_result
pg_prices_after(struct ledger *l, int64_t changed,
    void (*fn)(void *, const struct price_blob *), void *arg)
{
	struct price_sink to = {l, fn, arg};
	struct pg_args args = {0};

	pg_add_int(&args, changed);
	return (pg_each(l,
	    "SELECT version FROM price_version WHERE changed > $1 "
	    "ORDER BY version",
	    &args, on_version, &to));
}
