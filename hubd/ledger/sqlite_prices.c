/* Price versions in SQLite: whole tables as they were in force. */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "hubd/price/price.h"

/* A row's blob, copied to where its words are aligned; NULL if broken. */
static struct price_blob *
blob_copy(struct query *q)
{
	struct price_blob *b;
	const void *p;
	size_t n;

	p = db_blob(q, &n);
	if (n < sizeof(*b) || n > PRICE_BLOB_MAX)
		return (NULL);
	b = xmalloc(n);
	memcpy(b, p, n);
	if (b->size == n && price_blob_valid(b, n))
		return (b);
	free(b);
	return (NULL);
}

enum ledger_result
sqlite_price_get(struct ledger *l, uint64_t version, struct price_blob **blob)
{
	struct query q;
	enum db_step step;

	if (version == 0) {
		q = db_query(l, "SELECT blob FROM price_version "
				"ORDER BY version DESC LIMIT 1");
	} else {
		q = db_query(
		    l, "SELECT blob FROM price_version WHERE version = ?");
		db_bind_int(&q, (int64_t)version);
	}
	*blob = NULL;
	step = db_step(&q);
	if (step == DB_ROW)
		*blob = blob_copy(&q);
	db_end(&q);
	if (step == DB_DONE)
		return (LEDGER_MISSING);
	if (step == DB_ROW && *blob == NULL)
		return (LEDGER_REFUSED);
	return (db_result(step));
}

static enum ledger_result
next_version(struct ledger *l, uint64_t *version)
{
	struct query q = db_query(
	    l, "SELECT coalesce(max(version), 0) + 1 FROM price_version");
	enum db_step step;

	step = db_step(&q);
	if (step == DB_ROW)
		*version = (uint64_t)db_int(&q);
	db_end(&q);
	return (db_result(step));
}

static enum ledger_result
insert(struct ledger *l, const struct price_blob *b)
{
	struct query q =
	    db_query(l, "INSERT INTO price_version (version, time_ms, blob) "
			"VALUES (?, ?, ?)");

	db_bind_int(&q, (int64_t)b->version);
	db_bind_int(&q, b->time_ms);
	db_bind_blob(&q, b, b->size);
	return (db_result(db_run(&q)));
}

enum ledger_result
sqlite_price_put(struct ledger *l, struct price_blob *b)
{
	struct price_blob *latest;
	enum ledger_result rc;
	bool kept;

	/* One writer: nothing comes between the look and the insertion. */
	rc = sqlite_price_get(l, 0, &latest);
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
