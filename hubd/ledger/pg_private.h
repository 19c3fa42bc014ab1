/*
 * Private to the PostgreSQL backend: the open store, transactions, and what
 * its files have in common.
 */
#ifndef HUBD_LEDGER_PG_PRIVATE_H
#define HUBD_LEDGER_PG_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "hubd/ledger/ledger_pg.h"
#include "hubd/ledger/ledger_text.h"
#include "hubd/ledger/pgconn.h"

#define PG_MONTHS_KEPT 32
#define UNLIMITED      "unlimited"
/* For a sum over years of rows. */
#define PG_LONG_PATIENCE_MS (600 * 1000)

/* The texts of etc/ledger_postgresql.sql and ledger_postgresql_2.sql. */
extern const char ledger_postgresql_schema[];
extern const char ledger_postgresql_schema_2[];

struct ledger {
	struct pgconn *conn;
	unsigned generation; /* of the connection whose schema was looked at */
	unsigned listening;  /* of the connection that listens; 0: none */
	bool in_transaction;
	char store_id[40];
	char channel[48]; /* that changes are told on */
	/* Months that have a partition: year * 12 + month. */
	int32_t months[PG_MONTHS_KEPT];
	unsigned nmonths, next_month;
	bool months_known;
	int32_t sealed_until; /* the last month that was put aside; 0: none */
};

/* ---- statements, in ledger_pg.c ------------------------------------------ */

/* Connected, and the store is one of ours? OK or DOWN (logged). */
enum ledger_result pg_ready(struct ledger *);
/* pgconn_run() on a connection that is ready. */
enum ledger_result pg_run(struct ledger *, const char *sql,
    const struct pg_args *, struct pg_rows **);
/* The same; MISSING if there is no row. */
enum ledger_result pg_find(struct ledger *, const char *sql,
    const struct pg_args *, struct pg_rows **);
/* The same where no rows are of interest; *changed: how many it changed. */
enum ledger_result pg_do(struct ledger *, const char *sql,
    const struct pg_args *, uint64_t *changed);
/* A transaction: begin, one of the others. pg_end() commits if rc is OK, and
 * returns what has become of it all. */
enum ledger_result pg_begin(struct ledger *);
/* One snapshot, for reading. */
enum ledger_result pg_begin_reading(struct ledger *);
enum ledger_result pg_end(struct ledger *, enum ledger_result rc);

/*
 * fn for each row that a query gives, fetched some hundreds at a time, in a
 * reading transaction (that there is, or one of its own). fn may run other
 * statements, but not this one. Its false ends it: DOWN.
 */
enum ledger_result pg_each(struct ledger *, const char *sql,
    const struct pg_args *,
    bool (*fn)(void *, const struct pg_rows *, size_t row), void *arg);

/* ---- months, in pg_months.c ---------------------------------------------- */

/* Partitions for this month, the next, and those of the rows that are not
 * late. OK or DOWN. */
enum ledger_result pg_months_make(
    struct ledger *, const struct ledger_row *, size_t n);
/* May its month have been put aside? Of what pg_months_make() knows. */
bool pg_month_is_late(const struct ledger *, req_id_t);
/* A partition for the month of a row that is late, all the same. */
enum ledger_result pg_month_make_late(struct ledger *, req_id_t);
void pg_months_forget(struct ledger *);
/* "2026-01" of a time, and of an id. */
void pg_month_text(int64_t ms, char out[16]);
void pg_month_of_id(req_id_t, char out[16]);

/* ---- months put aside, in pg_sealed.c ------------------------------------ */

/* Adds what rows are read from, as "(SELECT ...)": table ledger and those of
 * sealed months that are there. */
enum ledger_result pg_months_source(struct ledger *, struct buf *);
enum ledger_result pg_seal(struct ledger *, int64_t ended_ms, bool *more);

/* A month that was put aside. */
struct sealed {
	char month[16];		 /* "2026-01" */
	char place[160];	 /* its table, quoted as SQL needs it */
	bool there;		 /* nobody has dropped it */
	char noted[REQ_ID_TEXT]; /* its sums are noted up to this row, */
	bool noted_all;		 /* or all are */
};

/* The same of rows that no sealed sum has, each with its charge. */
enum ledger_result pg_months_live(struct ledger *, struct buf *);
/* In order of months. false from fn ends it: DOWN. */
enum ledger_result pg_each_sealed(
    struct ledger *, bool (*fn)(void *, const struct sealed *), void *arg);
/* That month. MISSING: it has not been put aside. */
enum ledger_result pg_sealed_get(
    struct ledger *, const char *month, struct sealed *);
/* Is in its table what was when it was sealed? */
enum ledger_result pg_sealed_same(
    struct ledger *, const struct sealed *, bool *same);

/* ---- rows, in pg_rows.c -------------------------------------------------- */

/* The columns of ledger in the order of pg_row_read(). */
#define PG_ROW_COLUMNS                                                        \
	"r.id, r.time_ms, r.account, r.key, r.agent, r.provider, r.dialect, " \
	"r.endpoint, r.model, r.price, r.tier, r.price_version, r.status, "   \
	"r.stream, r.outcome, r.attempts, r.usage, trim_scale(r.amount), "    \
	"r.estimated, r.unpriced_kinds, r.duration_ms"
#define PG_ROW_NCOLUMNS 21
/* The same as they are named; column charge comes behind. */
#define PG_ROW_NAMES                                                      \
	"id, time_ms, account, key, agent, provider, dialect, endpoint, " \
	"model, price, tier, price_version, status, stream, outcome, "    \
	"attempts, usage, amount, estimated, unpriced_kinds, duration_ms"

void pg_row_read(const struct pg_rows *, size_t row, struct ledger_row *);

/* ---- objects, in pg_objects.c -------------------------------------------- */

/* As in ledger_sqlite.h, inside the row's transaction. */
enum ledger_result pg_object_before(struct ledger *, struct ledger_row *);
enum ledger_result pg_object_after(struct ledger *, const struct ledger_row *);

/* ---- balances, in pg_balance.c ------------------------------------------- */

/* Columns id, seq, balance, spent from that one on. */
#define PG_BALANCE_COLUMNS "id, seq, trim_scale(balance), trim_scale(spent)"
void pg_balance_read(
    const struct pg_rows *, size_t row, int column, struct pg_balance *);
/* SQL that tells balances in table "told" (id, seq, balance, spent) on
 * channel $n, in pieces below the 8000 bytes of a notification; gives rows
 * that must be read for it to happen. */
#define PG_TELL(channel)                                                  \
	"SELECT pg_notify(" channel ", 'b ' || string_agg(id || ' ' || "  \
	"seq || ' ' || trim_scale(balance) || ' ' || trim_scale(spent), " \
	"',')) FROM (SELECT *, (row_number() OVER () - 1) / 32 AS piece " \
	"FROM told) AS t GROUP BY piece"

/* ---- operations (struct ledger_ops), by file ----------------------------- */

enum ledger_result pg_suspend(
    struct ledger *, req_id_t, const char *, const void *, size_t);
enum ledger_result pg_each_suspense(struct ledger *, bool,
    void (*)(void *, const struct ledger_suspense *), void *);
enum ledger_result pg_suspense_get(
    struct ledger *, const char *, struct ledger_suspense *, void **, size_t *);
enum ledger_result pg_suspense_resolve(
    struct ledger *, const struct ledger_suspense *);
enum ledger_result pg_object_get(
    struct ledger *, const char *, struct ledger_object *);
enum ledger_result pg_each_object(struct ledger *, uint32_t,
    void (*)(void *, const struct ledger_object *), void *);
enum ledger_result pg_each_row(struct ledger *, const struct ledger_filter *,
    void (*)(void *, const struct ledger_row *), void *);
enum ledger_result pg_audit(struct ledger *, bool, struct ledger_audit *);
enum ledger_result pg_check(struct ledger *, struct ledger_check *);
enum ledger_result pg_account_add(
    struct ledger *, const char *, const amount_t *, uint32_t *);
enum ledger_result pg_account_change(struct ledger *, uint32_t,
    enum ledger_change_kind, const amount_t *, const char *);
enum ledger_result pg_account_set(
    struct ledger *, uint32_t, const char *, const bool *);
enum ledger_result pg_account_get(
    struct ledger *, uint32_t, struct ledger_account *);
enum ledger_result pg_each_account(
    struct ledger *, void (*)(void *, const struct ledger_account *), void *);
enum ledger_result pg_key_get(
    struct ledger *, const char *, struct ledger_key *);
enum ledger_result pg_key_put(struct ledger *, struct ledger_key *);
enum ledger_result pg_each_key(
    struct ledger *, void (*)(void *, const struct ledger_key *), void *);
enum ledger_result pg_agent_get(
    struct ledger *, const char *, struct ledger_agent *);
enum ledger_result pg_agent_put(struct ledger *, struct ledger_agent *);
enum ledger_result pg_each_agent(
    struct ledger *, void (*)(void *, const struct ledger_agent *), void *);
enum ledger_result pg_price_put(struct ledger *, struct price_blob *);
enum ledger_result pg_price_get(
    struct ledger *, uint64_t, struct price_blob **);

/* Those that changed after a number of the clock, in a transaction. */
enum ledger_result pg_accounts_after(struct ledger *, int64_t changed,
    void (*)(void *, const struct ledger_account *), void *);
enum ledger_result pg_keys_after(struct ledger *, int64_t changed,
    void (*)(void *, const struct ledger_key *), void *);
enum ledger_result pg_agents_after(struct ledger *, int64_t changed,
    void (*)(void *, const struct ledger_agent *), void *);
enum ledger_result pg_prices_after(struct ledger *, int64_t changed,
    void (*)(void *, const struct price_blob *), void *);
enum ledger_result pg_objects_after(struct ledger *, int64_t changed,
    void (*)(void *, const struct ledger_object *, bool removed), void *);

#endif
