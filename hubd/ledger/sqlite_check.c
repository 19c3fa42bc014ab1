/*
 * Are the SQLite files whole? As SQLite says: pages, indexes, references; the
 * store's and those of its sealed months that are here.
 */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hubd/ledger/sqlite_months.h"

static void
note(struct ledger_check *out, const char *text)
{
	if (out->problems++ == 0)
		snprintf(out->first, sizeof(out->first), "%s", text);
}

/* What is wrong, without the line in front that names the database. */
static char *
problem_of(char *text)
{
	char *end, *line;

	if (strncmp(text, "*** in database ", 16) == 0 &&
	    (line = strchr(text, '\n')) != NULL)
		line++;
	else
		line = text;
	if ((end = strchr(line, '\n')) != NULL)
		*end = '\0';
	return (line);
}

/* Each row of it is something wrong, but a lone "ok". month: whose file it
 * is, or "". */
static enum ledger_result
check_pages(struct ledger *l, const char *month, struct ledger_check *out)
{
	struct query q = db_query(l, "PRAGMA integrity_check");
	char text[200], said[256];
	enum db_step step;

	while ((step = db_step(&q)) == DB_ROW) {
		db_text(&q, text, sizeof(text));
		if (strcmp(text, "ok") == 0)
			continue;
		snprintf(said, sizeof(said), "%s%s%s", month,
		    month[0] != '\0' ? ": " : "", problem_of(text));
		note(out, said);
	}
	db_end(&q);
	return (db_result(step));
}

/* One that is not here is the audit's to tell. A file that cannot be read to
 * its end is broken; the store is not away for that. */
static void
check_month(struct ledger *l, const struct month *m, struct ledger_check *out)
{
	struct ledger *file = month_file(l, m);
	char said[64];

	if (file == NULL || check_pages(file, m->name, out) == LEDGER_OK)
		return;
	snprintf(said, sizeof(said), "%s: it cannot be read", m->name);
	note(out, said);
}

static enum ledger_result
check_months(struct ledger *l, struct ledger_check *out)
{
	enum ledger_result rc;
	struct month *months;
	size_t i, n;

	rc = months_list(l, INT64_MIN, INT64_MAX, &months, &n);
	for (i = 0; i < n; i++)
		check_month(l, &months[i], out);
	free(months);
	return (rc);
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

/* A file that cannot be read to its end is what is looked for. */
enum ledger_result
sqlite_check(struct ledger *l, struct ledger_check *out)
{
	enum ledger_result rc;
	char said[200];

	memset(out, 0, sizeof(*out));
	if ((rc = read_schema(l, out)) == LEDGER_OK &&
	    (rc = check_pages(l, "", out)) == LEDGER_OK &&
	    (rc = check_references(l, out)) == LEDGER_OK)
		rc = check_months(l, out);
	if (rc == LEDGER_OK || !db_is_broken(l, said, sizeof(said)))
		return (rc);
	note(out, said);
	return (LEDGER_OK);
}
