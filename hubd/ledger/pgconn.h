/*
 * One connection to PostgreSQL, for processes that may block: every call
 * returns by a deadline of ours, whatever the server or the network does
 * (libpq non-blocking, and poll). At the deadline the connection is closed,
 * for nobody can say what has become of the statement.
 *
 * Values go and come as text. pgconn_private.h alone includes libpq's header.
 */
#ifndef HUBD_LEDGER_PGCONN_H
#define HUBD_LEDGER_PGCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hubd/ledger/ledger.h"

#define PG_PATIENCE_MS 10000 /* for one statement, or to connect */
#define PG_ARGS_MAX    32

struct pgconn;
struct pg_rows; /* an answer */

/*
 * The arguments of a statement, $1 and on. Texts and bytes are not copied:
 * they must live until the statement has run. Not to be copied itself.
 */
struct pg_args {
	int n;
	const char *value[PG_ARGS_MAX];
	int size[PG_ARGS_MAX];	 /* of bytes */
	int format[PG_ARGS_MAX]; /* 0: text, 1: bytes */
	char digits[PG_ARGS_MAX][24];
};

void pg_add_text(struct pg_args *, const char *);
void pg_add_int(struct pg_args *, int64_t);
void pg_add_bool(struct pg_args *, bool);
/* n below 2^31 */
void pg_add_bytes(struct pg_args *, const void *, size_t n);

/* Is it a URL that libpq takes? It does not say what is wrong with one, for
 * that would quote from it. */
bool pgconn_url_ok(const char *url);
/*
 * url: postgresql://user:password@host:port/db?sslmode=..., as libpq takes
 * it. NULL and error if it is none; neither error nor any log line ever
 * holds a part of it. Connects to nobody yet. A name that no resolver
 * answers for may take that resolver's own time.
 */
struct pgconn *pgconn_new(const char *url, char *error, size_t cap);
void pgconn_free(struct pgconn *); /* NULL is fine */

/* Connects, if there is no connection or the server has closed it. OK, or DOWN:
 * pgconn_error() says why. */
enum ledger_result pgconn_open(struct pgconn *);
void pgconn_close(struct pgconn *);
bool pgconn_is_open(const struct pgconn *);
/* Changes with each connection made; 0 before the first. */
unsigned pgconn_generation(const struct pgconn *);
/* To poll for reading; -1 while there is no connection. */
int pgconn_socket(const struct pgconn *);
/* How long statements may take from now on; 0: PG_PATIENCE_MS. Who waits for
 * longer than that ends when the server does not answer a connection beside
 * it within the same time. */
void pgconn_set_patience(struct pgconn *, int ms);

/*
 * Runs one statement. sql is a string constant: its address is the key under
 * which it stays prepared. args may be NULL; rows as well, or *rows is the
 * caller's to free if the result is OK, and NULL else. CONFLICT, MISSING and
 * REFUSED are constraints and values that the server does not take. DOWN is
 * everything that may go well another time.
 */
enum ledger_result pgconn_run(struct pgconn *, const char *sql,
    const struct pg_args *args, struct pg_rows **rows);
/* The same for a text made at run time, not kept. */
enum ledger_result pgconn_run_once(struct pgconn *, const char *sql,
    const struct pg_args *args, struct pg_rows **rows);
/* Several statements in one text, without arguments; one transaction unless
 * it says otherwise. */
enum ledger_result pgconn_script(struct pgconn *, const char *sql);

/* Of the last failure. May it go well if it is tried again at once? Not
 * after a deadline. */
bool pgconn_may_retry(const struct pgconn *);
/* Its SQLSTATE, "" if the server had none to say, and its text, one line. */
const char *pgconn_sqlstate(const struct pgconn *);
const char *pgconn_error(const struct pgconn *);

/* Takes in what has arrived and calls fn with each notification's payload.
 * DOWN: the connection is lost. Does not wait. */
enum ledger_result pgconn_notices(
    struct pgconn *, void (*fn)(void *, const char *payload), void *arg);

size_t pg_count(const struct pg_rows *);
/* How many rows the statement changed. */
uint64_t pg_changed(const struct pg_rows *);
/* "" for NULL; lives as long as the rows. */
const char *pg_text(const struct pg_rows *, size_t row, int column);
/* Copies a text, cut to cap, terminated. */
void pg_copy(
    const struct pg_rows *, size_t row, int column, char *out, size_t cap);
int64_t pg_int(const struct pg_rows *, size_t row, int column);
bool pg_bool(const struct pg_rows *, size_t row, int column);
/* Of type bytea: a copy of its own, that the caller frees. */
void *pg_bytes(const struct pg_rows *, size_t row, int column, size_t *n);
void pg_rows_free(struct pg_rows *); /* NULL is fine */

#endif
