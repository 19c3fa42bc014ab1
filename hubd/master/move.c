/* hubd -m: the books of SQLite into the PostgreSQL store of the file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/ledger/move.h"
#include "hubd/master/master.h"

static void
print_counts(const struct ledger_moved *n)
{
	printf("accounts: %" PRIu64 "\nkeys: %" PRIu64 "\nagents: %" PRIu64
	       "\ncredits and debits: %" PRIu64 "\nledger rows: %" PRIu64
	       "\nobjects: %" PRIu64 "\nprice versions: %" PRIu64
	       "\nsuspense: %" PRIu64 "\n",
	    n->accounts, n->keys, n->agents, n->changes, n->rows, n->objects,
	    n->prices, n->suspense);
}

static bool
was_moved(const char *dir)
{
	char *from = xasprintf("%s/hubd.db", dir);
	char *to = xasprintf("%s.moved", from);
	bool was = access(from, F_OK) == -1 && access(to, F_OK) == 0;

	free(from);
	free(to);
	return (was);
}

/* As the user that the hub is: what SQLite makes beside its file is his. */
static int
move(const struct hub_conf *c)
{
	struct ledger_moved moved;
	char error[512];

	if (was_moved(c->state_dir)) {
		log_errx("%s: there is only hubd.db.moved: its books have been "
			 "moved already",
		    c->state_dir);
		return (1);
	}
	if (ledger_move(c->state_dir, c->store, &moved, error, sizeof(error)) ==
	    -1) {
		log_errx("%s", error);
		return (1);
	}
	if (moved.before)
		printf("had been moved before\n");
	else
		print_counts(&moved);
	printf("%s/hubd.db is hubd.db.moved now\n", c->state_dir);
	return (0);
}

int
master_move(const struct master_options *o)
{
	static struct master the_master; /* as long as the process */
	struct master *m = &the_master;
	char error[512];
	int status;

	m->options = *o;
	log_init("move", o->verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARN);
	m->conf = hub_conf_read(o->path, error, sizeof(error));
	if (m->conf == NULL)
		fatalx("%s", error);
	if (strcmp(m->conf->store, "sqlite") == 0)
		fatalx("%s: store must name the PostgreSQL store to move to",
		    o->path);
	if (identity_find(m->conf, &m->who, error, sizeof(error)) == -1)
		fatalx("%s: %s", m->conf->path, error);
	umask(022);
	setup_folders(m);
	setup_lock(m); /* no hub runs, and none starts meanwhile */
	identity_assume(&m->who);
	setup_state_lock(m);
	status = move(m->conf);
	setup_remove_files(m);
	return (status);
}
