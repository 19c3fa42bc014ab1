/*
 * Private to the SQLite backend: statements and transactions for the files
 * that hold its operations. SQLite's own header is included in
 * sqlite_handle.h alone.
 */
#ifndef HUBD_LEDGER_LEDGER_SQLITE_H
#define HUBD_LEDGER_LEDGER_SQLITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hubd/ledger/ledger.h"
#include "hubd/ledger/ledger_text.h"

struct sqlite3_stmt;

/* The texts of etc/ledger_sqlite*.sql and of etc/ledger_spool.sql. */
extern const char ledger_sqlite_schema[];
extern const char ledger_sqlite_schema_2[];
extern const char ledger_sqlite_schema_3[];
extern const char ledger_sqlite_schema_month[];
extern const char ledger_spool_schema[];

struct db_file {
	const char *name; /* in the folder */
	bool spool;
	bool read_only; /* must be there, whole */
};

/* NULL and error on failure. */
struct ledger *db_open(
    const char *where, const struct db_file *, char *error, size_t cap);
void db_close(struct ledger *); /* NULL is fine */
/* As in struct ledger_ops. */
bool db_is_untidy(struct ledger *);
enum ledger_result db_tidy(const char *where, const char *file);
void db_tidy_rest(struct ledger *);
/*
 * The file of a sealed month, or one that is being written: that must not be
 * there yet, and its commits do not wait for the disk. Of a file that is not
 * there to be read, nothing is said in error.
 */
struct ledger *db_open_month(
    const char *where, const char *name, bool fresh, char *error, size_t cap);
/* The folder that the store is in. */
const char *db_folder(const struct ledger *);
/* Names in a folder outlive a power loss. DOWN (logged): perhaps not. */
enum ledger_result db_sync_folder(const char *folder);
/* What it has at hand of sealed months (sqlite_months.h). */
struct month_desk *db_months(struct ledger *);

enum db_step {
	DB_ROW,
	DB_DONE,
	DB_UNIQUE,  /* refused: exists already */
	DB_FOREIGN, /* refused: refers to nothing */
	DB_REFUSED, /* refused by another constraint */
	DB_DOWN,    /* disk full, locked, broken */
};

/*
 * A prepared statement in use. Values are bound one after the other, then
 * db_step() until it is not DB_ROW, columns read one after the other. What
 * is bound must live until db_end(). A statement that could not be made
 * takes all calls and steps to DB_DOWN.
 */
struct query {
	struct sqlite3_stmt *stmt;
	int bound, column;
};

/* sql is a string constant: its address is the key under which the
 * statement is kept. */
struct query db_query(struct ledger *, const char *sql);
void db_bind_int(struct query *, int64_t);
void db_bind_text(struct query *, const char *);
void db_bind_blob(struct query *, const void *, size_t);
enum db_step db_step(struct query *);
int64_t db_int(struct query *);
/* Copies a text, cut to cap, terminated. */
void db_text(struct query *, char *out, size_t cap);
/* Valid until the next db_step() or db_end(). */
const void *db_blob(struct query *, size_t *n);
void db_end(struct query *);
/* Steps once and ends: for statements without rows. */
enum db_step db_run(struct query *);

/* OK or DOWN. A failed commit has been rolled back. */
enum ledger_result db_begin(struct ledger *);
enum ledger_result db_commit(struct ledger *);
void db_rollback(struct ledger *);
/* All that is read between the two is of one state; nobody who writes is
 * held up. OK or DOWN. */
enum ledger_result db_begin_read(struct ledger *);
void db_end_read(struct ledger *);
int64_t db_last_id(struct ledger *);
/* Rows that the last statement changed. */
int db_changes(struct ledger *);
enum ledger_result db_result(enum db_step);
/* Was the file itself what the last statement failed for? Then why. */
bool db_is_broken(struct ledger *, char *why, size_t cap);
/* The log has what SQLite said just now against a row. */
void db_say_refused(struct ledger *, const char *id);
/* May table checkpoint have rows? Mostly not: calls are short. */
bool db_has_checkpoints(const struct ledger *);
void db_set_checkpoints(struct ledger *, bool);
/* Is it a spool: do rows wait in it? How many: counted by who books them
 * and takes them. */
bool db_is_spool(const struct ledger *);
uint64_t *db_waiting(struct ledger *);
/* Does a commit wait for the disk? Not where what is lost comes again. Not
 * inside a transaction. */
void db_set_sync(struct ledger *, bool);
/* Words about the store itself. get: MISSING if there is none. */
enum ledger_result db_meta_get(
    struct ledger *, const char *name, char *out, size_t cap);
enum ledger_result db_meta_set(
    struct ledger *, const char *name, const char *value);
/* Wall clock. */
int64_t db_now_ms(void);

/* The columns of ledger and checkpoint, in the order of row_bind(). */
#define ROW_COLUMNS                                                       \
	"id, time_ms, account, key, agent, provider, dialect, endpoint, " \
	"model, price, tier, price_version, status, stream, outcome, "    \
	"attempts, usage, amount, estimated, unpriced_kinds, duration_ms"
#define ROW_VALUES \
	"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

/* The texts of a row that are bound by reference. */
struct row_texts {
	char id[REQ_ID_TEXT];
	char usage[USAGE_TEXT_MAX];
	char amount[AMOUNT_TEXT_MAX];
};

void row_bind(struct query *, const struct ledger_row *, struct row_texts *);
void row_read(struct query *, struct ledger_row *);
/* Makes the texts of a row; false: the store refuses it. */
bool row_texts_make(
    const struct ledger_row *, amount_t *scratch, struct row_texts *);
/* DB_ROW: a row that is equal in every column is in table ledger; DB_DONE:
 * none is. */
enum db_step row_compare(
    struct ledger *, const struct ledger_row *, struct row_texts *);

/* The operations (struct ledger_ops), by file. */
enum ledger_result sqlite_book(
    struct ledger *, struct ledger_row *, size_t, enum ledger_result *);
enum ledger_result sqlite_checkpoint(
    struct ledger *, const struct ledger_row *, size_t);
enum ledger_result sqlite_each_checkpoint(
    struct ledger *, void (*)(void *, const struct ledger_row *), void *);
enum ledger_result sqlite_suspend(
    struct ledger *, req_id_t, const char *, const void *, size_t);
enum ledger_result sqlite_each_suspense(struct ledger *, bool,
    void (*)(void *, const struct ledger_suspense *), void *);
enum ledger_result sqlite_suspense_get(
    struct ledger *, const char *, struct ledger_suspense *, void **, size_t *);
enum ledger_result sqlite_suspense_resolve(
    struct ledger *, const struct ledger_suspense *);
enum ledger_result sqlite_object_get(
    struct ledger *, const char *, struct ledger_object *);
enum ledger_result sqlite_each_object(struct ledger *, uint32_t,
    void (*)(void *, const struct ledger_object *), void *);
enum ledger_result sqlite_each_row(struct ledger *,
    const struct ledger_filter *, void (*)(void *, const struct ledger_row *),
    void *);
enum ledger_result sqlite_audit(struct ledger *, bool, struct ledger_audit *);
enum ledger_result sqlite_check(struct ledger *, struct ledger_check *);
enum ledger_result sqlite_account_add(
    struct ledger *, const char *, const amount_t *, uint32_t *);
enum ledger_result sqlite_account_change(struct ledger *, uint32_t,
    enum ledger_change_kind, const amount_t *, const char *);
enum ledger_result sqlite_account_set(
    struct ledger *, uint32_t, const char *, const bool *);
enum ledger_result sqlite_account_get(
    struct ledger *, uint32_t, struct ledger_account *);
enum ledger_result sqlite_each_account(
    struct ledger *, void (*)(void *, const struct ledger_account *), void *);
enum ledger_result sqlite_key_get(
    struct ledger *, const char *, struct ledger_key *);
enum ledger_result sqlite_key_put(struct ledger *, struct ledger_key *);
enum ledger_result sqlite_each_key(
    struct ledger *, void (*)(void *, const struct ledger_key *), void *);
enum ledger_result sqlite_agent_get(
    struct ledger *, const char *, struct ledger_agent *);
enum ledger_result sqlite_agent_put(struct ledger *, struct ledger_agent *);
enum ledger_result sqlite_each_agent(
    struct ledger *, void (*)(void *, const struct ledger_agent *), void *);
enum ledger_result sqlite_price_put(struct ledger *, struct price_blob *);
enum ledger_result sqlite_price_get(
    struct ledger *, uint64_t, struct price_blob **);
enum ledger_result sqlite_backup(
    struct ledger *, const char *path, char *error, size_t cap);

/* A call is booked or suspended: its checkpoint goes. DB_DONE or DB_DOWN. */
enum db_step checkpoint_forget(struct ledger *, const char *id);

/* In a spool, inside book()'s transaction: what a row did to an object is kept
 * for the shared store; what an account's rows sum up to is owed to it. */
enum db_step spool_keep_object(
    struct ledger *, const struct ledger_row *, const char *id);
enum ledger_result spool_owe(
    struct ledger *, uint32_t account, const amount_t *charges);
/* What the shared store says of an account, if it is newer, less what is owed
 * to it. */
struct pg_balance;
enum ledger_result spool_apply_balance(
    struct ledger *, const struct pg_balance *);

/* The columns of an account, in the order of account_read(). */
#define ACCOUNT_COLUMNS "id, name, disabled, overdraft, balance, spent"
void account_read(struct query *, struct ledger_account *);
/* All columns of a key or an agent but the number, in the order of their
 * tables. */
void key_bind(struct query *, const struct ledger_key *);
void agent_bind(struct query *, const struct ledger_agent *);

/* What a row's object means for it, before it is inserted: it may have been
 * billed. OK or DOWN. */
enum ledger_result object_before(struct ledger *, struct ledger_row *);
/* What it does to its object, after it was inserted. OK or DOWN. */
enum ledger_result object_after(struct ledger *, const struct ledger_row *);

/* Can charges be added to what is stored of it? OK, MISSING, REFUSED or
 * DOWN. */
enum ledger_result account_check(struct ledger *, uint32_t id);
/*
 * Adds a change to an account's balance, and a charge to what it spent,
 * inside a transaction. OK, MISSING or DOWN.
 */
enum ledger_result account_apply(
    struct ledger *, uint32_t id, const amount_t *change, bool charge);
/* One row of balance_change, inside a transaction. */
enum db_step change_insert(struct ledger *, uint32_t account, int64_t time_ms,
    enum ledger_change_kind, const char *amount, const char *ref);

#endif
