/*
 * Who this hub is, for others of its store: a UUID of its state_dir, which
 * stays when the store becomes another one; and the UUID of the store.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/alloc.h"
#include "common/log.h"
#include "hubd/billing/billing.h"

#define HUB_ID_FILE "hub_id" /* in state_dir */

/* false: there is none, or it holds none. */
static bool
read_id(const char *path, char out[LEDGER_ID_MAX])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	req_id_t id;
	ssize_t n;

	if (fd == -1)
		return (false);
	n = read(fd, out, REQ_ID_TEXT - 1);
	close(fd);
	if (n != REQ_ID_TEXT - 1)
		return (false);
	out[n] = '\0';
	return (req_id_parse(out, &id));
}

/* Whole or not at all: another file takes its name when it is written. */
static int
write_id(const char *path, const char *id)
{
	char *aside = xasprintf("%s.new", path);
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	size_t n = strlen(id);
	int rc = -1;

	if (fd != -1) {
		if (write(fd, id, n) == (ssize_t)n && write(fd, "\n", 1) == 1 &&
		    fsync(fd) == 0 && rename(aside, path) == 0)
			rc = 0;
		close(fd);
	}
	if (rc == -1)
		log_warn("%s", aside);
	free(aside);
	return (rc);
}

static enum ledger_result
hub_id(const char *state_dir, char out[LEDGER_ID_MAX])
{
	char *path = xasprintf("%s/%s", state_dir, HUB_ID_FILE);
	enum ledger_result rc = LEDGER_OK;

	if (!read_id(path, out)) {
		req_id_format(uuid_random(), out);
		if (write_id(path, out) == -1)
			rc = LEDGER_DOWN;
	}
	free(path);
	return (rc);
}

enum ledger_result
identity_publish(struct billing *b)
{
	struct pub_state *ps = shm_pub_state(b->shm);
	char hub[LEDGER_ID_MAX], store[LEDGER_ID_MAX] = "";

	_Static_assert(sizeof(ps->store_id) == LEDGER_ID_MAX, "shared layout");
	if (hub_id(b->conf->state_dir, hub) != LEDGER_OK ||
	    (b->ops->store_id != NULL &&
		b->ops->store_id(b->store, store) != LEDGER_OK))
		return (LEDGER_DOWN);
	memcpy(ps->hub_id, hub, sizeof(ps->hub_id));
	memcpy(ps->store_id, store, sizeof(ps->store_id));
	return (LEDGER_OK);
}
