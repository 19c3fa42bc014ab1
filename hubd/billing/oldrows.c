/*
 * The calls of hubs before this one: the master has put their hubd.run aside
 * as run_dir/hubd.run.old*. Every admitted row in them is billed before the
 * file goes; a file that cannot be read is put aside and reported, never
 * deleted.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/billing/billing.h"

#define OLD_PREFIX "hubd.run.old"

struct old {
	struct billing *b;
	struct shm *shm;
	size_t n;
	struct call_copy calls[BATCH_ROWS];
	struct ledger_row rows[BATCH_ROWS];
	nanousd_t cost[BATCH_ROWS];
	enum ledger_result results[BATCH_ROWS];
};

/* A BOOKED row was put aside, if at all, before it became BOOKED. */
static bool
put_aside(struct billing *b, const struct call_copy *c, const char *why)
{
	return (c->state == CALL_BOOKED ||
		book_suspend(b, c->fixed.id, why, c, sizeof(*c)));
}

static bool
count_row(struct old *o, size_t i)
{
	struct billing *b = o->b;

	if (o->results[i] != LEDGER_OK)
		return (put_aside(b, &o->calls[i],
		    "a row of a hub before, which the store refuses"));
	book_count(b, &o->rows[i], o->cost[i]);
	atomic_fetch_add(&shm_run_state(b->shm)->old_rows_billed, 1);
	return (publish_balance(b, o->rows[i].account) != LEDGER_DOWN &&
		publish_row_objects(b, &o->rows[i]) != LEDGER_DOWN);
}

static bool
flush(struct old *o)
{
	struct billing *b = o->b;
	size_t i;

	if (o->n > 0 &&
	    b->ops->book(b->store, o->rows, o->n, o->results) != LEDGER_OK)
		return (false);
	shared_booked(b);
	for (i = 0; i < o->n; i++)
		if (!count_row(o, i))
			return (false);
	o->n = 0;
	return (true);
}

static bool
bill_call(struct old *o, const struct call_copy *c)
{
	const char *why = "";

	switch (settle(&o->b->settler, c, c->state == CALL_OPEN, &o->rows[o->n],
	    &o->cost[o->n], &why)) {
	case SETTLE_LATER:
		return (false);
	case SETTLE_SUSPEND:
		return (put_aside(o->b, c, why));
	case SETTLE_OK:
		break;
	}
	o->calls[o->n++] = *c;
	return (o->n < BATCH_ROWS || flush(o));
}

static bool
bill_all(struct old *o)
{
	struct call_copy c;
	uint32_t i;

	for (i = 0; i < o->shm->sizes.max_calls; i++) {
		if (!call_copy(o->shm, i, &c) || c.state < CALL_OPEN)
			continue;
		if (!bill_call(o, &c))
			return (false);
	}
	return (flush(o));
}

static void
cannot_read(struct billing *b, const char *path)
{
	log_warn("%s holds calls that cannot be read; it is kept", path);
	atomic_fetch_add(&shm_run_state(b->shm)->old_rows_unread, 1);
	if (shm_retire(path) == -1)
		log_warn("%s", path);
}

static enum ledger_result
bill_file(struct billing *b, const char *path)
{
	struct old *o;
	struct shm *shm = shm_open_old(path);
	bool done;

	if (shm == NULL && errno == ENOENT)
		return (LEDGER_OK);
	if (shm == NULL) {
		cannot_read(b, path);
		return (LEDGER_OK);
	}
	o = xcalloc(1, sizeof(*o));
	o->b = b;
	o->shm = shm;
	done = bill_all(o);
	free(o);
	shm_detach(shm);
	if (done && unlink(path) == -1)
		log_warn("%s", path);
	return (done ? LEDGER_OK : LEDGER_DOWN);
}

static bool
is_old(const char *name)
{
	return (strncmp(name, OLD_PREFIX, strlen(OLD_PREFIX)) == 0 &&
		strstr(name, ".unreadable.") == NULL);
}

enum ledger_result
oldrows_bill(struct billing *b)
{
	enum ledger_result r = LEDGER_OK;
	DIR *dir = opendir(b->conf->run_dir);
	struct dirent *e;
	char *path;

	if (dir == NULL) {
		log_warn("%s", b->conf->run_dir);
		return (LEDGER_OK);
	}
	while (r != LEDGER_DOWN && (e = readdir(dir)) != NULL) {
		if (!is_old(e->d_name))
			continue;
		path = xasprintf("%s/%s", b->conf->run_dir, e->d_name);
		r = bill_file(b, path);
		free(path);
	}
	closedir(dir);
	return (r == LEDGER_DOWN ? r : LEDGER_OK);
}
