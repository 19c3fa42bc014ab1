/*
 * Listing the ledger of a SQLite store, sealed months included. Time is cut
 * into spans: each sealed month is one, and what lies between them. In the
 * span of a month its file and the store are merged by time and id, and a
 * row that is in both is taken once; outside there is only the store.
 */
#include "hubd/ledger/ledger_sqlite.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "hubd/ledger/sqlite_months.h"

/* Texts of their own, so that each is answered from its index. */
#define LIST_ALL "WHERE time_ms >= ? AND time_ms < ? "
#define LIST_ONE "WHERE account = ? AND time_ms >= ? AND time_ms < ? "
#define LIST_NEW "ORDER BY time_ms DESC, id DESC LIMIT ?"
#define LIST_OLD "ORDER BY time_ms, id LIMIT ?"
#define LIST	 "SELECT " ROW_COLUMNS " FROM ledger "

struct list {
	struct ledger *l;
	const struct ledger_filter *f;
	int64_t left; /* rows that are still wanted; -1: all */
	bool absent;  /* a month that was wanted is not here */
	void (*fn)(void *, const struct ledger_row *);
	void *arg;
	uint32_t account; /* whose name was looked up last */
	char name[LEDGER_NAME_MAX];
};

/* One of the two sources of a span. */
struct source {
	struct query q;
	struct ledger_row row; /* the next, while step is DB_ROW */
	enum db_step step;
};

/* ---- sources ------------------------------------------------------------- */

static const char *
list_text(const struct ledger_filter *f)
{
	if (f->account != 0)
		return (f->oldest_first ? LIST LIST_ONE LIST_OLD
					: LIST LIST_ONE LIST_NEW);
	return (
	    f->oldest_first ? LIST LIST_ALL LIST_OLD : LIST LIST_ALL LIST_NEW);
}

static void
source_next(struct source *s)
{
	s->step = db_step(&s->q);
	if (s->step == DB_ROW)
		row_read(&s->q, &s->row);
}

/* from NULL: it has nothing. */
static void
source_begin(struct source *s, const struct list *list, struct ledger *from,
    int64_t since_ms, int64_t until_ms)
{
	s->step = DB_DONE;
	s->q = (struct query){0};
	if (from == NULL)
		return;
	s->q = db_query(from, list_text(list->f));
	if (list->f->account != 0)
		db_bind_int(&s->q, list->f->account);
	db_bind_int(&s->q, since_ms);
	db_bind_int(&s->q, until_ms);
	db_bind_int(&s->q, list->left);
	source_next(s);
}

/* < 0: a's row comes before b's; 0: it is the same. */
static int
compare(const struct list *list, const struct source *a, const struct source *b)
{
	int r = (a->row.time_ms > b->row.time_ms) -
		(a->row.time_ms < b->row.time_ms);

	if (r == 0)
		r = memcmp(&a->row.id, &b->row.id, sizeof(a->row.id));
	return (list->f->oldest_first ? r : -r);
}

/* ---- rows ---------------------------------------------------------------- */

/* OK, or DOWN. */
static enum ledger_result
name_account(struct list *list, struct ledger_row *row)
{
	struct ledger_account a = {0};

	if (row->account != list->account) {
		if (sqlite_account_get(list->l, row->account, &a) ==
		    LEDGER_DOWN)
			return (LEDGER_DOWN);
		list->account = row->account;
		memcpy(list->name, a.name, sizeof(list->name));
	}
	memcpy(row->account_name, list->name, sizeof(row->account_name));
	return (LEDGER_OK);
}

static enum ledger_result
give(struct list *list, struct ledger_row *row)
{
	if (name_account(list, row) != LEDGER_OK)
		return (LEDGER_DOWN);
	list->fn(list->arg, row);
	if (list->left > 0)
		list->left--;
	return (LEDGER_OK);
}

static enum ledger_result
merge(struct list *list, struct source *a, struct source *b)
{
	enum ledger_result rc = LEDGER_OK;
	int order;

	while (rc == LEDGER_OK && list->left != 0 &&
	       (a->step == DB_ROW || b->step == DB_ROW)) {
		if (a->step == DB_DOWN || b->step == DB_DOWN)
			break;
		order = a->step != DB_ROW   ? 1
			: b->step != DB_ROW ? -1
					    : compare(list, a, b);
		rc = give(list, order <= 0 ? &a->row : &b->row);
		if (order <= 0)
			source_next(a);
		if (order >= 0)
			source_next(b);
	}
	if (a->step == DB_DOWN || b->step == DB_DOWN)
		rc = LEDGER_DOWN;
	return (rc);
}

/* ---- spans --------------------------------------------------------------- */

/* m NULL: a span that is no sealed month's. */
static enum ledger_result
list_span(struct list *list, const struct month *m, int64_t since_ms,
    int64_t until_ms)
{
	struct ledger *file = NULL;
	struct source here, there;
	enum ledger_result rc;

	if (since_ms < list->f->since_ms)
		since_ms = list->f->since_ms;
	if (list->f->until_ms != 0 && until_ms > list->f->until_ms)
		until_ms = list->f->until_ms;
	if (since_ms >= until_ms || list->left == 0)
		return (LEDGER_OK);
	if (m != NULL && (file = month_file(list->l, m)) == NULL)
		list->absent = true;
	source_begin(&here, list, list->l, since_ms, until_ms);
	source_begin(&there, list, file, since_ms, until_ms);
	rc = merge(list, &here, &there);
	db_end(&here.q);
	db_end(&there.q);
	return (rc);
}

static enum ledger_result
list_upwards(struct list *list, const struct month *m, size_t n)
{
	enum ledger_result rc = LEDGER_OK;
	int64_t from = INT64_MIN;
	size_t i;

	for (i = 0; i < n && rc == LEDGER_OK; i++) {
		rc = list_span(list, NULL, from, m[i].begin_ms);
		if (rc == LEDGER_OK)
			rc = list_span(list, &m[i], m[i].begin_ms, m[i].end_ms);
		from = m[i].end_ms;
	}
	return (rc == LEDGER_OK ? list_span(list, NULL, from, INT64_MAX) : rc);
}

static enum ledger_result
list_downwards(struct list *list, const struct month *m, size_t n)
{
	enum ledger_result rc = LEDGER_OK;
	int64_t to = INT64_MAX;
	size_t i;

	for (i = n; i > 0 && rc == LEDGER_OK; i--) {
		rc = list_span(list, NULL, m[i - 1].end_ms, to);
		if (rc == LEDGER_OK)
			rc = list_span(list, &m[i - 1], m[i - 1].begin_ms,
			    m[i - 1].end_ms);
		to = m[i - 1].begin_ms;
	}
	return (rc == LEDGER_OK ? list_span(list, NULL, INT64_MIN, to) : rc);
}

/* All of it is of one state of the store; the files never change. */
enum ledger_result
sqlite_each_row(struct ledger *l, const struct ledger_filter *f,
    void (*fn)(void *, const struct ledger_row *), void *arg)
{
	struct list list = {.l = l,
	    .f = f,
	    .fn = fn,
	    .arg = arg,
	    .left = f->limit == 0 ? -1 : (int64_t)f->limit};
	enum ledger_result rc;
	struct month *months;
	size_t n;

	if (db_begin_read(l) != LEDGER_OK)
		return (LEDGER_DOWN);
	rc = months_list(l, f->since_ms == 0 ? INT64_MIN : f->since_ms,
	    f->until_ms == 0 ? INT64_MAX : f->until_ms, &months, &n);
	if (rc == LEDGER_OK)
		rc = f->oldest_first ? list_upwards(&list, months, n)
				     : list_downwards(&list, months, n);
	db_end_read(l);
	free(months);
	return (rc == LEDGER_OK && list.absent ? LEDGER_MISSING : rc);
}
