/* From SQLite to PostgreSQL: what is asked before, and what afterwards. */
#include "hubd/ledger/move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "hubd/ledger/ledger_pg.h"
#include "hubd/ledger/pg_move.h"

struct mover {
	struct ledger *from, *to;
	struct ledger_audit audit; /* of where it comes from */
	char id[LEDGER_ID_MAX];
	char *error;
	size_t cap;
};

static void
count_checkpoint(void *arg, const struct ledger_row *r)
{
	unsigned *n = arg;

	(*n)++;
}

/* A call that power has cut off is billed by a hub, with its prices. */
static int
refuse_leftovers(struct mover *m)
{
	unsigned n = 0;

	if (ledger_sqlite.each_checkpoint(m->from, count_checkpoint, &n) !=
	    LEDGER_OK) {
		snprintf(m->error, m->cap, "hubd.db cannot be read");
		return (-1);
	}
	if (n == 0)
		return (0);
	snprintf(m->error, m->cap,
	    "%u calls were open when power failed: start hubd on hubd.db once "
	    "and stop it, which bills them",
	    n);
	return (-1);
}

static int
audit_origin(struct mover *m)
{
	struct ledger_audit *a = &m->audit;

	if (ledger_sqlite.audit(m->from, false, a) != LEDGER_OK)
		snprintf(m->error, m->cap, "hubd.db cannot be audited");
	else if (a->bad_accounts + a->bad_rows > 0)
		snprintf(m->error, m->cap, "hubd.db does not add up: %s",
		    a->first_bad);
	else if (a->absent > 0)
		snprintf(m->error, m->cap,
		    "the file of sealed month %s is not here", a->first_absent);
	else
		return (0);
	return (-1);
}

static bool
judge(void *arg, const struct ledger_audit *a)
{
	struct mover *m = arg;

	if (a->bad_accounts + a->bad_rows == 0 && a->rows == m->audit.rows &&
	    a->accounts == m->audit.accounts &&
	    a->suspense == m->audit.suspense &&
	    strcmp(a->ledger_sum, m->audit.ledger_sum) == 0 &&
	    strcmp(a->charges_sum, m->audit.charges_sum) == 0)
		return (true);
	snprintf(m->error, m->cap,
	    "the stores are not the same: %llu rows of %s here, %llu of %s "
	    "there%s%s",
	    (unsigned long long)m->audit.rows, m->audit.ledger_sum,
	    (unsigned long long)a->rows, a->ledger_sum,
	    a->first_bad[0] != '\0' ? ", " : "", a->first_bad);
	return (false);
}

/* It was committed, and then something ended us: is it still the same? */
static int
compare_again(struct mover *m)
{
	struct ledger_audit a;

	if (ledger_pg.audit(m->to, false, &a) != LEDGER_OK) {
		snprintf(m->error, m->cap, "the store is away");
		return (-1);
	}
	return (judge(m, &a) ? 0 : -1);
}

static int
copy(struct mover *m, struct ledger_moved *moved)
{
	switch (pg_move_check(m->to, m->id)) {
	case LEDGER_OK:
		return (pg_move(m->to, m->from, m->id, moved, judge, m,
			    m->error, m->cap) == LEDGER_OK
			    ? 0
			    : -1);
	case LEDGER_CONFLICT:
		moved->before = true;
		return (compare_again(m));
	case LEDGER_REFUSED:
		snprintf(m->error, m->cap, "the store has accounts already");
		break;
	case LEDGER_MISSING:
	case LEDGER_DOWN:
		snprintf(m->error, m->cap, "the store is away");
		break;
	}
	return (-1);
}

static int
move(struct mover *m, const char *state_dir, const char *url,
    struct ledger_moved *moved)
{
	char why[256];

	m->from = ledger_sqlite.open(state_dir, m->error, m->cap);
	if (m->from == NULL || refuse_leftovers(m) == -1 ||
	    audit_origin(m) == -1)
		return (-1);
	if (ledger_sqlite.store_id(m->from, m->id) != LEDGER_OK) {
		snprintf(m->error, m->cap, "hubd.db cannot be read");
		return (-1);
	}
	m->to = ledger_pg.open(url, why, sizeof(why));
	if (m->to == NULL) {
		snprintf(m->error, m->cap, "store: %s", why);
		return (-1);
	}
	return (copy(m, moved));
}

/* Closed by the last who had it open, a file of SQLite is one file. */
static int
put_away(const char *path, char *error, size_t cap)
{
	char *to = xasprintf("%s.moved", path);
	int rc = rename(path, to);

	if (rc == -1)
		snprintf(error, cap, "moved, but %s keeps its name: %s", path,
		    strerror(errno));
	free(to);
	return (rc);
}

int
ledger_move(const char *state_dir, const char *url, struct ledger_moved *moved,
    char *error, size_t cap)
{
	struct mover m = {.error = error, .cap = cap};
	char *path = xasprintf("%s/hubd.db", state_dir);
	int rc = -1;

	memset(moved, 0, sizeof(*moved));
	if (access(path, F_OK) == -1)
		snprintf(error, cap, "%s: %s", path, strerror(errno));
	else
		rc = move(&m, state_dir, url, moved);
	ledger_sqlite.close(m.from);
	ledger_pg.close(m.to);
	if (rc == 0)
		rc = put_away(path, error, cap);
	free(path);
	return (rc);
}
