/* Following what others change in PostgreSQL: notifications and the clock. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/pg_private.h"

struct notified {
	pg_balance_fn *fn;
	void *arg;
	bool changed;
};

/* "12 77 -0.5 1.5": where the next one begins, or NULL if it is none. */
static const char *
take_balance(const char *p, struct pg_balance *b)
{
	int n = 0;

	memset(b, 0, sizeof(*b));
	if (sscanf(p, "%" SCNu32 " %" SCNd64 " %95[0-9.-] %95[0-9.-]%n",
		&b->account, &b->seq, b->balance, b->spent, &n) < 4 ||
	    n == 0)
		return (NULL);
	p += n;
	return (*p == ',' ? p + 1 : p);
}

/* What cannot be read is somebody else's, or of a later hubd: all is looked
 * at again then. */
static void
on_notice(void *arg, const char *payload)
{
	struct notified *to = arg;
	struct pg_balance b;
	const char *p = payload;

	if (strncmp(p, "b ", 2) != 0) {
		to->changed = true;
		return;
	}
	for (p += 2; *p != '\0';) {
		if ((p = take_balance(p, &b)) == NULL) {
			to->changed = true;
			return;
		}
		to->fn(to->arg, &b);
	}
}

enum ledger_result
pg_notified(struct ledger *l, pg_balance_fn *fn, void *arg, bool *changed)
{
	struct notified to = {.fn = fn, .arg = arg};
	enum ledger_result rc;

	*changed = false;
	/* One that was made anew on the way hears nothing. */
	if (l->listening != pgconn_generation(l->conn))
		return (LEDGER_DOWN);
	rc = pgconn_notices(l->conn, on_notice, &to);
	*changed = to.changed;
	return (rc);
}

enum ledger_result
pg_listen(struct ledger *l)
{
	enum ledger_result rc;
	char sql[80];

	if (pg_ready(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	snprintf(sql, sizeof(sql), "LISTEN \"%s\"", l->channel);
	rc = pgconn_script(l->conn, sql);
	l->listening = rc == LEDGER_OK ? pgconn_generation(l->conn) : 0;
	return (rc);
}

int
pg_socket(const struct ledger *l)
{
	return (pgconn_socket(l->conn));
}

/* ---- the clock ----------------------------------------------------------- */

static enum ledger_result
read_clock(struct ledger *l, int64_t *n)
{
	enum ledger_result rc;
	struct pg_rows *rows;

	rc = pg_run(l, "SELECT n FROM change_clock", NULL, &rows);
	if (rc == LEDGER_OK && pg_count(rows) == 0)
		rc = LEDGER_DOWN;
	if (rc == LEDGER_OK)
		*n = pg_int(rows, 0, 0);
	pg_rows_free(rows);
	return (rc);
}

static enum ledger_result
read_tables(struct ledger *l, int64_t after, const struct pg_sink *s, void *arg)
{
	enum ledger_result rc = LEDGER_OK;

	if (s->account != NULL)
		rc = pg_accounts_after(l, after, s->account, arg);
	if (rc == LEDGER_OK && s->key != NULL)
		rc = pg_keys_after(l, after, s->key, arg);
	if (rc == LEDGER_OK && s->agent != NULL)
		rc = pg_agents_after(l, after, s->agent, arg);
	if (rc == LEDGER_OK && s->price != NULL)
		rc = pg_prices_after(l, after, s->price, arg);
	if (rc == LEDGER_OK && s->object != NULL)
		rc = pg_objects_after(l, after, s->object, arg);
	return (rc);
}

enum ledger_result
pg_changes(
    struct ledger *l, int64_t *clock, const struct pg_sink *sink, void *arg)
{
	enum ledger_result rc;
	int64_t now = 0;

	if ((rc = pg_begin_reading(l)) != LEDGER_OK)
		return (rc);
	if ((rc = read_clock(l, &now)) == LEDGER_OK && *clock != now) {
		/* -1: rows that nobody has stamped count, too */
		rc = read_tables(
		    l, *clock > now || *clock == 0 ? -1 : *clock, sink, arg);
	}
	rc = pg_end(l, rc);
	if (rc == LEDGER_OK)
		*clock = now;
	return (rc);
}
