/*
 * Publishing objects: whose they are. The store has them all; published are
 * the newest max_objects.
 */
#include <stdio.h>
#include <string.h>

#include "hubd/billing/billing.h"
#include "shm/objtab.h"

static void
publish(void *arg, const struct ledger_object *o)
{
	struct billing *b = arg;
	struct pub_object p = {.number = o->number,
	    .created_ms = o->created_ms,
	    .account = o->account,
	    .agent = o->agent,
	    .kind = (uint8_t)o->kind,
	    .billed = o->billed};
	bool left;

	snprintf(p.provider, sizeof(p.provider), "%s", o->provider);
	snprintf(p.id, sizeof(p.id), "%s", o->id);
	pub_object_write(b->shm, &p, &left);
	if (left)
		counter_add(b->count, COUNT_objects_left, 1);
}

enum ledger_result
publish_object(struct billing *b, const char *id)
{
	struct ledger_object o;
	enum ledger_result r = b->ops->object_get(b->store, id, &o);

	if (r == LEDGER_OK)
		publish(b, &o);
	else if (r == LEDGER_MISSING)
		pub_object_remove(b->shm, span_str(id));
	return (r);
}

enum ledger_result
publish_row_objects(struct billing *b, const struct ledger_row *row)
{
	const char *id;
	unsigned i;

	if (row->object.event == OBJECT_UNTOUCHED)
		return (LEDGER_OK);
	for (i = 0; (id = call_object_id(&row->object, i)) != NULL; i++)
		if (publish_object(b, id) == LEDGER_DOWN)
			return (LEDGER_DOWN);
	return (LEDGER_OK);
}

/* A row was committed and billing killed before it took the object back. */
static enum ledger_result
remove_strangers(struct billing *b)
{
	struct ledger_object o;
	struct pub_object p;
	uint32_t i;

	for (i = 0; i < b->shm->sizes.max_objects; i++) {
		if (!pub_object_at(b->shm, i, &p))
			continue;
		switch (b->ops->object_get(b->store, p.id, &o)) {
		case LEDGER_MISSING:
			pub_object_clear(b->shm, i);
			break;
		case LEDGER_DOWN:
			return (LEDGER_DOWN);
		case LEDGER_OK:
		case LEDGER_CONFLICT:
		case LEDGER_REFUSED:
			break;
		}
	}
	return (LEDGER_OK);
}

enum ledger_result
objects_load(struct billing *b)
{
	if (b->shm->sizes.max_objects == 0)
		return (LEDGER_OK);
	if (remove_strangers(b) == LEDGER_DOWN)
		return (LEDGER_DOWN);
	return (b->ops->each_object(
	    b->store, b->shm->sizes.max_objects, publish, b));
}
