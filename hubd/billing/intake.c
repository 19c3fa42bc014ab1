/*
 * How calls come to billing: workers name finished rows over the queue, and
 * a sweep finds those whose message was lost and those of the dead. A
 * message is a hint and nothing more; the row is the event.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "common/alloc.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "shm/cells.h"

#define READ_BATCH  16	/* datagrams of one system call */
#define READ_MAX    256 /* datagrams of one turn */
#define SWEEP_AHEAD 8	/* rows whose words are fetched ahead */

/* One datagram; the rows it names may be any. */
static void
take_names(struct billing *b, const struct queue_message *m, size_t n)
{
	if (FAILPOINT("billing.intake"))
		return;
	for (; n >= sizeof(*m); m++, n -= sizeof(*m))
		if (m->magic == QUEUE_MAGIC)
			due_push(&b->due, m->index);
}

static int
read_some(struct billing *b)
{
	static struct queue_message m[READ_BATCH][QUEUE_NAMES];
	struct mmsghdr head[READ_BATCH];
	struct iovec iov[READ_BATCH];
	int i, n;

	for (i = 0; i < READ_BATCH; i++) {
		iov[i] = (struct iovec){m[i], sizeof(m[i])};
		head[i] = (struct mmsghdr){
		    .msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	n = recvmmsg(b->child->fds.queue, head, READ_BATCH, MSG_DONTWAIT, NULL);
	if (n == -1 && errno != EAGAIN && errno != EINTR)
		log_warn("queue");
	for (i = 0; i < n; i++)
		take_names(b, m[i], head[i].msg_len);
	return (n);
}

void
intake_read(struct billing *b)
{
	int got = 0, n;

	do {
		n = read_some(b);
		got += n > 0 ? n : 0;
	} while (n == READ_BATCH && got < READ_MAX);
}

void
intake_kick(struct billing *b)
{
	int64_t since;

	if (b->due.count == 0 || b->commit_timer == NULL ||
	    b->stage != STAGE_SERVING || store_waits(b))
		return;
	since = monotime_diff_ms(monotime_now(), b->last_commit);
	if (since >= GATHER_MS || b->due.count >= BATCH_ROWS)
		loop_timer_set_ms(b->commit_timer, 0);
	else
		loop_timer_set_ms(b->commit_timer, GATHER_MS - since);
}

static void
on_queue(void *arg, int what)
{
	struct billing *b = arg;

	intake_read(b);
	intake_kick(b);
	/* Names gather in the queue until the commit; waking for each would
	 * cost more than booking it. The sweep turns reading on, too. */
	if (b->due.count > 0)
		loop_io_want(b->queue_io, 0);
}

static void
on_commit(void *arg)
{
	struct billing *b = arg;

	loop_io_want(b->queue_io, LOOP_READ);
	if (b->stage != STAGE_SERVING || store_waits(b))
		return;
	intake_read(b);
	book_due(b);
	intake_kick(b);
}

/* ---- the sweep ----------------------------------------------------------- */

struct sweep {
	bool *dead;	 /* by process row */
	uint32_t *owned; /* rows that are not free, by process row */
};

static void
note_dead(const struct shm *shm, struct sweep *s)
{
	const struct process_row *p = process_rows(shm);
	uint32_t i;

	s->dead = xcalloc(shm->sizes.nprocs, sizeof(*s->dead));
	s->owned = xcalloc(shm->sizes.nprocs, sizeof(*s->owned));
	for (i = 0; i < shm->sizes.nprocs; i++)
		s->dead[i] = process_state_of(&p[i]) != PROCESS_LIVE;
}

static void
sweep_row(struct billing *b, struct sweep *s, uint32_t i, uint64_t word)
{
	uint32_t owner = call_word_owner(word);
	bool known = owner < b->shm->sizes.nprocs;
	bool dead = !known || s->dead[owner];
	call_ref_t ref = {i, call_word_generation(word)};

	switch (call_word_state(word)) {
	case CALL_FINAL:
		if (due_push(&b->due, i))
			counter_add(b->count, COUNT_swept, 1);
		break;
	case CALL_OPEN:
		if (!dead)
			return;
		due_push(&b->due, i);
		break;
	case CALL_TAKEN:
	case CALL_BOOKED:
		if (!dead || call_reclaim(b->shm, ref))
			return;
		break;
	case CALL_FREE:
		return;
	}
	if (known)
		s->owned[owner]++;
}

/* Nothing of a dead worker is left: its money is free, its row too. */
static void
settle_dead(struct billing *b, const struct sweep *s)
{
	const struct process_row *p = process_rows(b->shm);
	uint32_t i;

	for (i = 0; i < b->shm->sizes.nprocs; i++) {
		if (!s->dead[i] || s->owned[i] > 0 ||
		    process_state_of(&p[i]) != PROCESS_DEAD)
			continue;
		cells_zero_process(b->shm, i);
		if (p[i].role == ROLE_WORKER)
			log_info("what worker %u (pid %d) left is booked",
			    p[i].slot, (int)atomic_load(&p[i].pid));
		process_settled(b->shm, i);
	}
}

void
intake_sweep(struct billing *b)
{
	const struct call_row *rows = call_rows(b->shm);
	uint32_t i, n = call_rows_used(b->shm);
	struct sweep s = {0};
	uint64_t word;

	note_dead(b->shm, &s);
	for (i = 0; i < n; i++) {
		if (i + SWEEP_AHEAD < n)
			__builtin_prefetch(&rows[i + SWEEP_AHEAD].word);
		word =
		    atomic_load_explicit(&rows[i].word, memory_order_acquire);
		if (call_word_state(word) != CALL_FREE)
			sweep_row(b, &s, i, word);
	}
	/* also while the store is away: what is left of them is BOOKED, and
	 * that is published before it is said */
	settle_dead(b, &s);
	free(s.dead);
	free(s.owned);
}

static void
on_sweep(void *arg)
{
	struct billing *b = arg;

	loop_io_want(b->queue_io, LOOP_READ);
	intake_read(b);
	intake_sweep(b);
	/* While the store is away the master's patience ends it: hubd.run
	 * stays then, and the next start bills what is in it. */
	if (b->draining && b->due.count == 0 && shared_flushed(b))
		loop_stop(b->loop);
	intake_kick(b);
	tidy_look(b);
	loop_timer_set_ms(b->sweep_timer,
	    b->draining && !store_waits(b) ? GATHER_MS : SWEEP_MS);
}

void
intake_start(struct billing *b)
{
	b->commit_timer = loop_timer_new(b->loop, on_commit, b);
	b->sweep_timer = loop_timer_new(b->loop, on_sweep, b);
	b->queue_io = loop_io_new(b->loop, b->child->fds.queue, on_queue, b);
	loop_io_want(b->queue_io, LOOP_READ);
	loop_timer_set_ms(b->sweep_timer, 0);
}

void
intake_stop(struct billing *b)
{
	loop_timer_free(b->commit_timer);
	loop_timer_free(b->sweep_timer);
	loop_io_free(b->queue_io);
}
