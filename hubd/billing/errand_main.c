/* An errand as it sees itself: one command, from request to answer. */
#include <sys/socket.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/commands.h"
#include "hubd/billing/mirror.h"
#include "hubd/billing/offspring.h"

#define SYNC_MS 10000 /* for a change to be in force here */

/* ---- the client ---------------------------------------------------------- */

static int
stall_ms(void)
{
	return (FAILPOINT("errand.impatient") ? 1000 : CTL_STALL_MS);
}

/* Waits until the client takes more. An errand without a client, or with one
 * that does not read, has nothing left to do. */
static void
await_client(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int r = poll(&p, 1, stall_ms());

	if (r == 0) {
		log_warnx("a client does not read its answer: given up");
		exit(0);
	}
	if (r == -1 && errno != EINTR)
		fatal("poll");
}

static void
send_out(void *arg, struct buf *out)
{
	const struct offspring_self *self = arg;
	ssize_t n;

	(void)FAILPOINT("errand.sending");
	while (buf_len(out) > 0) {
		n = send(self->client, buf_ptr(out), buf_len(out),
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			buf_consume(out, (size_t)n);
		else if (n == -1 && errno == EAGAIN)
			await_client(self->client);
		else if (n == 0 || errno != EINTR)
			exit(0); /* it is gone */
	}
}

/* ---- the request --------------------------------------------------------- */

/* false: billing has thought better of it. */
static bool
read_request(int fd, struct buf *line)
{
	ssize_t n;

	for (;;) {
		n = read(fd, buf_reserve(line, 4096), 4096);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0 || buf_len(line) > CTL_REQUEST_MAX)
			return (false);
		buf_commit(line, (size_t)n);
		if (buf_ptr(line)[buf_len(line) - 1] == '\n')
			return (true);
	}
}

/* ---- what it changes ----------------------------------------------------- */

/* Where changes are published, in all hubs, they are published here, too. */
static bool changed;

static bool
note_change_of_account(struct billing *b, const struct ledger_account *a)
{
	return (changed = true);
}

static bool
note_change_of_key(struct billing *b, const struct ledger_key *k)
{
	return (changed = true);
}

static bool
note_change_of_agent(struct billing *b, const struct ledger_agent *a)
{
	return (changed = true);
}

/* What the store has is in force at this hub before its client hears of it. */
static bool
bring_into_force(struct billing *b)
{
	if (!changed || mirror_sync(b->self->socket, SYNC_MS) == 0)
		return (true);
	log_warnx("a change is stored, but not in force here yet");
	return (false);
}

static const struct publish_sink shared_sink = {note_change_of_account,
    note_change_of_key, note_change_of_agent, bring_into_force};

/* ---- what it knows ------------------------------------------------------- */

static void
note_account(void *arg, const struct ledger_account *a)
{
	struct billing *b = arg;

	dir_put(&b->accounts, a->id, a->name);
}

static void
note_agent(void *arg, const struct ledger_agent *a)
{
	struct billing *b = arg;

	dir_put(&b->agents, a->id, a->name);
}

static bool
open_store(struct billing *b)
{
	bool shared = store_is_shared(b);
	char *error = b->store_error;
	size_t cap = sizeof(b->store_error);

	b->ops = ledger_ops_of(b->conf->store);
	b->store = shared
		       ? b->ops->open(b->conf->store, error, cap)
		       : b->ops->open_to_read(b->conf->state_dir, error, cap);
	if (b->store == NULL) {
		log_warnx("store %s: %s", b->ops->name, error);
		return (false);
	}
	publish_take_over(b);
	return (b->ops->each_account(b->store, note_account, b) == LEDGER_OK &&
		b->ops->each_agent(b->store, note_agent, b) == LEDGER_OK);
}

static void
set_up(struct billing *b, struct offspring_self *self)
{
	const struct shm_sizes *sizes = &self->shm->sizes;

	memset(b, 0, sizeof(*b));
	b->self = self;
	b->shm = self->shm;
	b->conf = self->conf;
	b->sum = amount_new();
	dir_init(&b->accounts, sizes->max_accounts);
	dir_init(&b->keys, sizes->max_keys);
	dir_init(&b->agents, sizes->max_agents);
	if (store_is_shared(b))
		b->sink = &shared_sink;
	b->stage = open_store(b) ? STAGE_SERVING : STAGE_OPEN;
}

static void
tear_down(struct billing *b)
{
	if (b->store != NULL)
		b->ops->close(b->store);
	dir_fini(&b->accounts);
	dir_fini(&b->keys);
	dir_fini(&b->agents);
	amount_free(b->sum);
}

int
errand_main(struct offspring_self *self)
{
	struct buf line, out;
	struct billing b;

	buf_init(&line);
	buf_init(&out);
	if (!read_request(self->socket, &line))
		return (1);
	set_up(&b, self);
	(void)FAILPOINT("errand.ready");
	command_run(&b, buf_span(&line), &out, send_out, self);
	send_out(self, &out);
	/* billing has the client open, too */
	shutdown(self->client, SHUT_WR);
	tear_down(&b);
	buf_fini(&line);
	buf_fini(&out);
	return (0);
}
