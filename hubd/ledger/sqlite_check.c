/* Is the SQLite file whole? As SQLite says: its pages, indexes, references. */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdio.h>
#include <string.h>

static void
note(struct ledger_check *out, const char *text)
{
	if (out->problems++ == 0)
		snprintf(out->first, sizeof(out->first), "%s", text);
}

/* Each row of it is something wrong, but a lone "ok". */
static enum ledger_result
check_pages(struct ledger *l, struct ledger_check *out)
{
	struct query q = db_query(l, "PRAGMA integrity_check");
	char text[256];
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		db_text(&q, text, sizeof(text));
		if (strcmp(text, "ok") != 0)
			note(out, text);
	}
	db_end(&q);
	return (db_result(step));
}

static enum ledger_result
check_references(struct ledger *l, struct ledger_check *out)
{
	struct query q =
	    db_query(l, "SELECT \"table\" || ' refers to no ' || parent "
			"FROM pragma_foreign_key_check");
	char text[256];
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		db_text(&q, text, sizeof(text));
		note(out, text);
	}
	db_end(&q);
	return (db_result(step));
}

static enum ledger_result
read_schema(struct ledger *l, struct ledger_check *out)
{
	struct query q =
	    db_query(l, "SELECT value FROM meta WHERE name = 'schema'");
	enum db_step step = db_step(&q);

	if (step == DB_ROW)
		db_text(&q, out->schema, sizeof(out->schema));
	db_end(&q);
	return (db_result(step));
}

enum ledger_result
sqlite_check(struct ledger *l, struct ledger_check *out)
{
	enum ledger_result rc;

	memset(out, 0, sizeof(*out));
	if ((rc = read_schema(l, out)) == LEDGER_OK &&
	    (rc = check_pages(l, out)) == LEDGER_OK)
		rc = check_references(l, out);
	return (rc);
}
