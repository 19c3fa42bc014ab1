/* Objects of the store in memory. */
#include <stdio.h>
#include <string.h>

#include "hubd/ledger/null_private.h"

static struct null_object *
find(struct ledger *l, const char *id, size_t *at)
{
	struct null_object *o;
	size_t i;

	for (i = 0; i < l->objects.n; i++) {
		o = null_item(&l->objects, i);
		if (strcmp(o->o.id, id) == 0) {
			*at = i;
			return (o);
		}
	}
	return (NULL);
}

static struct null_object *
find_own(struct ledger *l, const struct ledger_row *r, size_t *at)
{
	struct null_object *o = find(l, call_object_id(&r->object, 0), at);

	return (o != NULL && o->o.account == r->account ? o : NULL);
}

void
null_object_before(struct ledger *l, struct ledger_row *r)
{
	const struct null_object *o;
	size_t at;

	if (r->object.event != OBJECT_ENDED)
		return;
	o = find_own(l, r, &at);
	if (o == NULL ||
	    (o->o.billed && memcmp(&o->billed_by, &r->id, sizeof(r->id)) != 0))
		ledger_row_free(r);
}

static void
insert(struct ledger *l, const struct ledger_row *r, const char *id,
    enum object_kind kind)
{
	struct null_object o = {.o = {.account = r->account,
				    .agent = r->agent_number,
				    .kind = kind,
				    .created_ms = r->time_ms}};
	size_t at;

	if (find(l, id, &at) != NULL)
		return;
	o.o.number = ++l->last_object;
	snprintf(o.o.id, sizeof(o.o.id), "%s", id);
	snprintf(o.o.provider, sizeof(o.o.provider), "%s", r->provider);
	null_append(&l->objects, &o);
}

static void
end(struct ledger *l, const struct ledger_row *r)
{
	struct null_object *o;
	const char *id;
	size_t at;
	unsigned i;

	o = find_own(l, r, &at);
	if (o != NULL && !o->o.billed) {
		o->o.billed = true;
		o->billed_by = r->id;
	}
	for (i = 1; (id = call_object_id(&r->object, i)) != NULL; i++)
		insert(l, r, id, OBJECT_FILE);
}

void
null_object_after(struct ledger *l, const struct ledger_row *r)
{
	size_t at;

	switch ((enum object_event)r->object.event) {
	case OBJECT_CREATED:
		insert(l, r, call_object_id(&r->object, 0),
		    (enum object_kind)r->object.kind);
		break;
	case OBJECT_DELETED:
		if (find_own(l, r, &at) != NULL)
			null_remove(&l->objects, at);
		break;
	case OBJECT_ENDED:
		end(l, r);
		break;
	case OBJECT_UNTOUCHED:
	case OBJECT_EVENTS:
		break;
	}
}

enum ledger_result
null_object_get(struct ledger *l, const char *id, struct ledger_object *out)
{
	const struct null_object *o;
	size_t at;

	if (l->down)
		return (LEDGER_DOWN);
	if ((o = find(l, id, &at)) == NULL)
		return (LEDGER_MISSING);
	*out = o->o;
	return (LEDGER_OK);
}

enum ledger_result
null_each_object(struct ledger *l, uint32_t limit,
    void (*fn)(void *, const struct ledger_object *), void *arg)
{
	const struct null_object *o;
	size_t i;

	for (i = 0; i < l->objects.n && !l->down; i++) {
		o = null_item(&l->objects, i);
		if (o->o.number + limit > l->last_object)
			fn(arg, &o->o);
	}
	return (l->down ? LEDGER_DOWN : LEDGER_OK);
}
