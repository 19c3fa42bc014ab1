/* Suspense of the store in memory. */
#include "hubd/ledger/null_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/monotime.h"

static bool
is_there(struct ledger *l, const char *id, const void *raw, size_t n)
{
	const struct null_suspense *s;
	size_t i;

	for (i = 0; i < l->suspense.n; i++) {
		s = null_item(&l->suspense, i);
		if (strcmp(s->s.id, id) == 0 && s->n == n &&
		    memcmp(s->raw, raw, n) == 0)
			return (true);
	}
	return (false);
}

enum ledger_result
null_suspend(struct ledger *l, req_id_t id, const char *reason, const void *raw,
    size_t n)
{
	struct null_suspense s = {.s = {.time_ms = walltime_ms()}, .n = n};

	if (l->down)
		return (LEDGER_DOWN);
	null_drop_checkpoint(l, id);
	req_id_format(id, s.s.id);
	if (is_there(l, s.s.id, raw, n))
		return (LEDGER_CONFLICT);
	s.s.number = (int64_t)l->suspense.n + 1;
	snprintf(s.s.reason, sizeof(s.s.reason), "%s", reason);
	s.raw = xmemdup0(raw, n);
	s.s.raw = s.raw;
	s.s.size = n;
	null_append(&l->suspense, &s);
	return (LEDGER_OK);
}

enum ledger_result
null_each_suspense(struct ledger *l, bool all,
    void (*fn)(void *, const struct ledger_suspense *), void *arg)
{
	const struct null_suspense *s;
	size_t i;

	for (i = 0; i < l->suspense.n && !l->down; i++) {
		s = null_item(&l->suspense, i);
		if (all || s->s.how == SUSPENSE_WAITS)
			fn(arg, &s->s);
	}
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}

enum ledger_result
null_suspense_get(struct ledger *l, const char *id, struct ledger_suspense *out,
    void **raw, size_t *n)
{
	const struct null_suspense *s;
	size_t i;

	if (l->down)
		return (LEDGER_DOWN);
	for (i = 0; i < l->suspense.n; i++) {
		s = null_item(&l->suspense, i);
		if (s->s.how != SUSPENSE_WAITS || strcmp(s->s.id, id) != 0)
			continue;
		*out = s->s;
		*raw = xmemdup0(s->raw, s->n);
		*n = s->n;
		return (LEDGER_OK);
	}
	return (LEDGER_MISSING);
}

enum ledger_result
null_suspense_resolve(struct ledger *l, const struct ledger_suspense *in)
{
	struct null_suspense *s;

	if (l->down)
		return (LEDGER_DOWN);
	if (in->number < 1 || (size_t)in->number > l->suspense.n)
		return (LEDGER_MISSING);
	s = null_item(&l->suspense, (size_t)in->number - 1);
	if (s->s.how != SUSPENSE_WAITS)
		return (LEDGER_CONFLICT);
	s->s.how = in->how;
	s->s.resolved_ms = walltime_ms();
	memcpy(s->s.by, in->by, sizeof(s->s.by));
	memcpy(s->s.why, in->why, sizeof(s->s.why));
	return (LEDGER_OK);
}

void
null_suspense_free(struct ledger *l)
{
	size_t i;

	for (i = 0; i < l->suspense.n; i++)
		free(((struct null_suspense *)null_item(&l->suspense, i))->raw);
	free(l->suspense.items);
}
