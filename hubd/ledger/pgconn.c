/*
 * The connection to PostgreSQL: libpq without blocking, under deadlines of
 * our own.
 */
#include "hubd/ledger/pgconn.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/monotime.h"
#include "hubd/ledger/pgconn_private.h"

#define KEPT_MAX 96 /* statements that stay prepared */

/* What every session of ours wants, whatever the server's settings. A commit
 * that was acknowledged is a row that may be forgotten here. */
#define SESSION                                                       \
	"SET client_min_messages = warning; SET bytea_output = hex; " \
	"SET statement_timeout = '15s'; "                             \
	"SELECT set_config('synchronous_commit', 'on', false) WHERE " \
	"current_setting('synchronous_commit') = 'off'; "             \
	"SELECT set_config('default_transaction_isolation', "         \
	"'read committed', false)"

struct pgconn {
	char *url;
	PGconn *pg; /* NULL: not connected */
	unsigned generation;
	int patience_ms;
	const char *kept[KEPT_MAX]; /* statements prepared on it */
	unsigned nkept;
	bool retry; /* of the last failure */
	char sqlstate[6];
	char error[256];
};

/* ---- failures ------------------------------------------------------------ */

/* Keeps the first line of a message. */
static void
say(struct pgconn *c, const char *text)
{
	size_t n = strcspn(text, "\n");

	snprintf(c->error, sizeof(c->error), "%.*s", (int)n, text);
}

static enum ledger_result
lost(struct pgconn *c, const char *why, bool retry)
{
	say(c, why);
	c->sqlstate[0] = '\0';
	c->retry = retry;
	pgconn_close(c);
	return (LEDGER_DOWN);
}

static enum ledger_result
failed(struct pgconn *c, const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	enum ledger_result rc;

	if (state == NULL) /* libpq's own: the connection */
		return (lost(c, PQerrorMessage(c->pg), true));
	snprintf(c->sqlstate, sizeof(c->sqlstate), "%s", state);
	say(c, text != NULL ? text : "failed");
	rc = pg_meaning(res, state, &c->retry);
	if (rc == LEDGER_DOWN)
		log_stays("store: %s (%s)", c->error, c->sqlstate);
	/* Prepared statements of old plans go with the connection. */
	if (PQstatus(c->pg) != CONNECTION_OK || strcmp(state, "0A000") == 0)
		pgconn_close(c);
	return (rc);
}

/* ---- waiting ------------------------------------------------------------- */

static bool answers_others(const struct pgconn *);

static int
look_ms(void)
{
	return (FAILPOINT("pgconn.hurry") ? 1000 : PG_PATIENCE_MS);
}

/* What the socket is ready for, 0 at the deadline, not before it. */
static short
wait_for(PGconn *pg, short events, monotime_t deadline)
{
	struct pollfd p = {.fd = PQsocket(pg), .events = events};
	monotime_t now;
	int n, ms;

	if (p.fd == -1)
		return (POLLERR);
	do {
		now = monotime_now();
		ms = monotime_reached(deadline, now)
			 ? 0
			 : (int)monotime_diff_ms(deadline, now) + 1;
		n = poll(&p, 1, ms);
	} while (n == -1 && errno == EINTR);
	return (n > 0 ? p.revents : 0);
}

/*
 * As wait_for(), but also 0 when the server answers nobody any more: of who
 * waits for a sum over years that alone tells one that is at work from one
 * that hangs, for neither says anything.
 */
static short
await(struct pgconn *c, short events, monotime_t deadline)
{
	monotime_t look;
	short ready;

	for (;;) {
		look = monotime_add_ms(monotime_now(), look_ms());
		if (monotime_reached(deadline, look))
			return (wait_for(c->pg, events, deadline));
		if ((ready = wait_for(c->pg, events, look)) != 0)
			return (ready);
		if (!answers_others(c))
			return (wait_for(c->pg, events, monotime_now()));
	}
}

/* Sends all of a statement, taking what the server says meanwhile. */
static enum ledger_result
flush(struct pgconn *c, monotime_t deadline)
{
	short ready;
	int left;

	while ((left = PQflush(c->pg)) == 1) {
		ready = await(c, POLLIN | POLLOUT, deadline);
		if (ready == 0)
			return (lost(c, "no answer in time", false));
		if ((ready & POLLIN) != 0 && PQconsumeInput(c->pg) == 0)
			return (lost(c, PQerrorMessage(c->pg), true));
	}
	return (left == 0 ? LEDGER_OK : lost(c, PQerrorMessage(c->pg), true));
}

static enum ledger_result
receive(struct pgconn *c, monotime_t deadline)
{
	while (PQisBusy(c->pg)) {
		if (await(c, POLLIN, deadline) == 0)
			return (lost(c, "no answer in time", false));
		if (PQconsumeInput(c->pg) == 0)
			return (lost(c, PQerrorMessage(c->pg), true));
	}
	return (LEDGER_OK);
}

static bool
is_good(const PGresult *res)
{
	ExecStatusType status = PQresultStatus(res);

	return (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK ||
		status == PGRES_EMPTY_QUERY);
}

/* Takes all answers of what was sent; *last is the last good one. The first
 * failure counts. */
static enum ledger_result
collect(struct pgconn *c, monotime_t deadline, PGresult **last)
{
	enum ledger_result rc = LEDGER_OK;
	PGresult *res;

	while (c->pg != NULL && receive(c, deadline) == LEDGER_OK &&
	       (res = PQgetResult(c->pg)) != NULL) {
		if (is_good(res)) {
			PQclear(*last);
			*last = res;
			continue;
		}
		if (rc == LEDGER_OK)
			rc = failed(c, res);
		PQclear(res);
	}
	return (c->pg == NULL ? LEDGER_DOWN : rc);
}

/* After PQsend...(): sends it and waits for the answer. */
static enum ledger_result
finish(struct pgconn *c, int sent, struct pg_rows **rows)
{
	monotime_t deadline = monotime_add_ms(monotime_now(), c->patience_ms);
	enum ledger_result rc;
	PGresult *last = NULL;

	if (!sent)
		return (lost(c, PQerrorMessage(c->pg), true));
	if ((rc = flush(c, deadline)) == LEDGER_OK)
		rc = collect(c, deadline, &last);
	if (rc == LEDGER_OK && rows != NULL) {
		*rows = xcalloc(1, sizeof(**rows));
		(*rows)->res = last;
		return (rc);
	}
	PQclear(last);
	return (rc);
}

/* ---- connecting ---------------------------------------------------------- */

/* What the server tells on the side is none of the log's. */
static void
ignore_notice(void *arg, const PGresult *res)
{
}

struct pgconn *
pgconn_new(const char *url, char *error, size_t cap)
{
	struct pgconn *c;

	if (!pgconn_url_ok(url)) {
		snprintf(
		    error, cap, "must be postgresql://user@host:port/database");
		return (NULL);
	}
	c = xcalloc(1, sizeof(*c));
	c->url = xstrdup(url);
	c->patience_ms = PG_PATIENCE_MS;
	return (c);
}

void
pgconn_free(struct pgconn *c)
{
	if (c == NULL)
		return;
	pgconn_close(c);
	explicit_bzero(c->url, strlen(c->url));
	free(c->url);
	free(c);
}

static enum ledger_result
dial(struct pgconn *c, monotime_t deadline)
{
	PostgresPollingStatusType step = PGRES_POLLING_WRITING;

	while (step != PGRES_POLLING_OK) {
		/* The socket may be another after each step. */
		if (wait_for(c->pg,
			step == PGRES_POLLING_READING ? POLLIN : POLLOUT,
			deadline) == 0)
			return (lost(c, "no connection in time", false));
		step = PQconnectPoll(c->pg);
		if (step == PGRES_POLLING_FAILED)
			return (lost(c, PQerrorMessage(c->pg), false));
	}
	return (LEDGER_OK);
}

/* An idle connection that the server has closed meanwhile has that to say. */
static bool
is_alive(struct pgconn *c)
{
	int i;

	/* its last words, and then its end */
	for (i = 0; i < 4 && wait_for(c->pg, POLLIN, monotime_now()) != 0;
	     i++) {
		if (PQconsumeInput(c->pg) == 0)
			return (false);
	}
	return (PQstatus(c->pg) == CONNECTION_OK);
}

static enum ledger_result
connect_to(struct pgconn *c, monotime_t deadline)
{
	/* Later ones win: the URL may name the application, not the rest. */
	const char *const names[] = {
	    "application_name", "dbname", "client_encoding", NULL};
	const char *const values[] = {"hubd", c->url, "UTF8", NULL};

	c->pg = PQconnectStartParams(names, values, 1);
	if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD)
		return (lost(c, PQerrorMessage(c->pg), false));
	PQsetNoticeReceiver(c->pg, ignore_notice, NULL);
	return (dial(c, deadline));
}

/* Also that it refuses is an answer. */
static bool
answers_others(const struct pgconn *c)
{
	monotime_t deadline = monotime_add_ms(monotime_now(), look_ms());
	struct pgconn other = {.url = c->url};

	(void)connect_to(&other, deadline);
	pgconn_close(&other);
	return (!monotime_reached(deadline, monotime_now()));
}

enum ledger_result
pgconn_open(struct pgconn *c)
{
	if (c->pg != NULL && is_alive(c))
		return (LEDGER_OK);
	pgconn_close(c);
	if (connect_to(c, monotime_add_ms(monotime_now(), c->patience_ms)) !=
	    LEDGER_OK)
		return (LEDGER_DOWN);
	if (PQsetnonblocking(c->pg, 1) == -1)
		return (lost(c, PQerrorMessage(c->pg), false));
	c->generation++;
	if (finish(c, PQsendQuery(c->pg, SESSION), NULL) == LEDGER_OK)
		return (LEDGER_OK);
	pgconn_close(c);
	return (LEDGER_DOWN);
}

void
pgconn_close(struct pgconn *c)
{
	PQfinish(c->pg);
	c->pg = NULL;
	c->nkept = 0;
}

bool
pgconn_is_open(const struct pgconn *c)
{
	return (c->pg != NULL);
}

unsigned
pgconn_generation(const struct pgconn *c)
{
	return (c->generation);
}

int
pgconn_socket(const struct pgconn *c)
{
	return (c->pg != NULL ? PQsocket(c->pg) : -1);
}

void
pgconn_set_patience(struct pgconn *c, int ms)
{
	c->patience_ms = ms == 0 ? PG_PATIENCE_MS : ms;
}

bool
pgconn_may_retry(const struct pgconn *c)
{
	return (c->retry);
}

const char *
pgconn_sqlstate(const struct pgconn *c)
{
	return (c->sqlstate);
}

const char *
pgconn_error(const struct pgconn *c)
{
	return (c->error);
}

/* ---- statements ---------------------------------------------------------- */

static enum ledger_result
not_connected(struct pgconn *c)
{
	c->retry = true;
	c->sqlstate[0] = '\0';
	say(c, "not connected");
	return (LEDGER_DOWN);
}

/* The name under which a statement is prepared. */
static enum ledger_result
prepare(struct pgconn *c, const char *sql, char name[16])
{
	enum ledger_result rc;
	unsigned i;

	for (i = 0; i < c->nkept && c->kept[i] != sql; i++)
		;
	snprintf(name, 16, "s%u", i);
	if (i < c->nkept)
		return (LEDGER_OK);
	assert(i < KEPT_MAX);
	rc = finish(c, PQsendPrepare(c->pg, name, sql, 0, NULL), NULL);
	if (rc == LEDGER_OK)
		c->kept[c->nkept++] = sql;
	return (rc);
}

static const struct pg_args no_args;

enum ledger_result
pgconn_run(struct pgconn *c, const char *sql, const struct pg_args *args,
    struct pg_rows **rows)
{
	const struct pg_args *a = args != NULL ? args : &no_args;
	enum ledger_result rc;
	char name[16];

	if (rows != NULL)
		*rows = NULL;
	if (c->pg == NULL)
		return (not_connected(c));
	if ((rc = prepare(c, sql, name)) != LEDGER_OK)
		return (rc);
	return (finish(c,
	    PQsendQueryPrepared(
		c->pg, name, a->n, a->value, a->size, a->format, 0),
	    rows));
}

enum ledger_result
pgconn_run_once(struct pgconn *c, const char *sql, const struct pg_args *args,
    struct pg_rows **rows)
{
	const struct pg_args *a = args != NULL ? args : &no_args;

	if (rows != NULL)
		*rows = NULL;
	if (c->pg == NULL)
		return (not_connected(c));
	return (finish(c,
	    PQsendQueryParams(
		c->pg, sql, a->n, NULL, a->value, a->size, a->format, 0),
	    rows));
}

enum ledger_result
pgconn_script(struct pgconn *c, const char *sql)
{
	if (c->pg == NULL)
		return (not_connected(c));
	return (finish(c, PQsendQuery(c->pg, sql), NULL));
}

enum ledger_result
pgconn_notices(
    struct pgconn *c, void (*fn)(void *, const char *payload), void *arg)
{
	PGnotify *n;

	if (c->pg == NULL)
		return (not_connected(c));
	if (PQconsumeInput(c->pg) == 0)
		return (lost(c, PQerrorMessage(c->pg), true));
	while ((n = PQnotifies(c->pg)) != NULL) {
		fn(arg, n->extra);
		PQfreemem(n);
	}
	return (LEDGER_OK);
}
