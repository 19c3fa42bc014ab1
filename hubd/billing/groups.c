/* Adding ledger rows up by group. */
#include "hubd/billing/groups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/alloc.h"

_Static_assert(LEDGER_NAME_MAX <= PRICE_NAME_MAX, "every name fits a group");

static const char *const words[] = {
    [BY_ACCOUNT] = "account",
    [BY_MODEL] = "model",
    [BY_DAY] = "day",
    [BY_KEY] = "key",
    [BY_AGENT] = "agent",
};

const char *
group_by_str(enum group_by by)
{
	return (words[by]);
}

bool
group_by_parse(const char *text, enum group_by *by)
{
	int i;

	for (i = 0; i < GROUP_BYS; i++)
		if (strcmp(words[i], text) == 0) {
			*by = (enum group_by)i;
			return (true);
		}
	return (false);
}

/* ---- one group ----------------------------------------------------------- */

static void
group_add(struct group *g, const struct ledger_row *r, const amount_t *amount)
{
	unsigned k;

	g->requests++;
	amount_add(g->amount, amount);
	for (k = 0; k < USAGE_KINDS; k++)
		if (__builtin_add_overflow(
			g->usage.n[k], r->usage.n[k], &g->usage.n[k]))
			g->usage.n[k] = UINT64_MAX;
}

static struct group *
group_new(const char *name)
{
	struct group *g = xcalloc(1, sizeof(*g));

	snprintf(g->name, sizeof(g->name), "%s", name);
	g->amount = amount_new();
	return (g);
}

/* ---- all of them --------------------------------------------------------- */

void
groups_init(struct groups *gs, enum group_by by)
{
	memset(gs, 0, sizeof(*gs));
	gs->by = by;
	gs->total.amount = amount_new();
	gs->scratch = amount_new();
}

void
groups_fini(struct groups *gs)
{
	size_t i;

	for (i = 0; i < gs->n; i++) {
		amount_free(gs->sorted[i]->amount);
		free(gs->sorted[i]);
	}
	free(gs->sorted);
	amount_free(gs->total.amount);
	amount_free(gs->scratch);
	memset(gs, 0, sizeof(*gs));
}

static void
day_of(int64_t ms, char out[PRICE_NAME_MAX])
{
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL ||
	    strftime(out, PRICE_NAME_MAX, "%Y-%m-%d", &tm) == 0)
		out[0] = '\0';
}

static void
name_of(enum group_by by, const struct ledger_row *r, char out[PRICE_NAME_MAX])
{
	switch (by) {
	case BY_MODEL:
		snprintf(out, PRICE_NAME_MAX, "%s", r->model);
		return;
	case BY_DAY:
		day_of(r->time_ms, out);
		return;
	case BY_KEY:
		snprintf(out, PRICE_NAME_MAX, "%s", r->key);
		return;
	case BY_AGENT:
		snprintf(out, PRICE_NAME_MAX, "%s", r->agent);
		return;
	case BY_ACCOUNT:
	case GROUP_BYS:
		break;
	}
	snprintf(out, PRICE_NAME_MAX, "%s", r->account_name);
}

/* Where it is, or where it would have to be. */
static size_t
place_of(const struct groups *gs, const char *name)
{
	size_t low = 0, high = gs->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (strcmp(gs->sorted[mid]->name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return (low);
}

static struct group *
insert(struct groups *gs, size_t at, const char *name)
{
	if (gs->n == gs->room) {
		gs->room = gs->room == 0 ? 64 : 2 * gs->room;
		gs->sorted =
		    xrealloc(gs->sorted, gs->room * sizeof(*gs->sorted));
	}
	memmove(&gs->sorted[at + 1], &gs->sorted[at],
	    (gs->n - at) * sizeof(*gs->sorted));
	gs->n++;
	return (gs->sorted[at] = group_new(name));
}

/* NULL: there are too many. */
static struct group *
group_of(struct groups *gs, const char *name)
{
	size_t at;

	if (gs->last != NULL && strcmp(gs->last->name, name) == 0)
		return (gs->last);
	at = place_of(gs, name);
	if (at < gs->n && strcmp(gs->sorted[at]->name, name) == 0)
		return (gs->last = gs->sorted[at]);
	if (gs->n >= GROUPS_MAX)
		return (NULL);
	return (gs->last = insert(gs, at, name));
}

void
groups_add(struct groups *gs, const struct ledger_row *r)
{
	char name[PRICE_NAME_MAX];
	struct group *g;

	if (amount_parse(gs->scratch, r->amount, strlen(r->amount)) == -1) {
		gs->broken = true;
		return;
	}
	name_of(gs->by, r, name);
	if ((g = group_of(gs, name)) == NULL) {
		gs->too_many = true;
		return;
	}
	group_add(g, r, gs->scratch);
	group_add(&gs->total, r, gs->scratch);
}
