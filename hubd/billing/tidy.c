/*
 * Tidying up the store. A query that reads for long puts it off, and the
 * first commit after it would have to do it all: that is given to a child,
 * which nobody waits for.
 */
#include <sys/socket.h>

#include <errno.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "hubd/billing/billing.h"
#include "hubd/billing/offspring.h"

#define AGAIN_MS   2000 /* while somebody reads an older state */
#define SPEECHLESS 3	/* children, one after the other */
#define HANGS_MS   (600 * 1000)

static void
let_go(struct billing *b)
{
	struct tidier *t = &b->tidier;

	loop_io_free(t->io);
	offspring_end(t->child);
	t->io = NULL;
	t->child = NULL;
	t->not_before = monotime_add_ms(monotime_now(), AGAIN_MS);
}

/*
 * What is left billing does itself: little, or all of it if one child after
 * the other says nothing ('\0'), for late is better than never.
 */
static void
hear(struct billing *b, char word)
{
	struct tidier *t = &b->tidier;

	t->speechless = word == '\0' ? t->speechless + 1 : 0;
	if (word == TIDY_DONE || t->speechless == SPEECHLESS) {
		b->ops->tidy_rest(b->store);
		t->speechless = 0;
	}
	let_go(b);
}

static void
on_word(void *arg, int what)
{
	struct billing *b = arg;
	char word = '\0';
	ssize_t n =
	    recv(offspring_socket(b->tidier.child), &word, sizeof(word), 0);

	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	hear(b, n == 1 ? word : '\0');
}

static bool
hangs(const struct tidier *t)
{
	int64_t ms = FAILPOINT("billing.impatient") ? 2000 : HANGS_MS;

	return (t->child != NULL &&
		monotime_diff_ms(monotime_now(), t->since) > ms);
}

void
tidy_look(struct billing *b)
{
	struct tidier *t = &b->tidier;

	if (hangs(t)) {
		log_warnx("the tidier does not say a word: killed");
		hear(b, '\0');
	}
	if (b->store == NULL || b->ops->is_untidy == NULL ||
	    !b->ops->is_untidy(b->store) || t->child != NULL ||
	    !monotime_reached(t->not_before, monotime_now()))
		return;
	t->child = offspring_start(b, OFFSPRING_TIDIER, -1);
	if (t->child == NULL) { /* late is better than never */
		b->ops->tidy_rest(b->store);
		return;
	}
	t->since = monotime_now();
	t->io = loop_io_new(b->loop, offspring_socket(t->child), on_word, b);
	loop_io_want(t->io, LOOP_READ);
}

void
tidy_stop(struct billing *b)
{
	let_go(b);
}
