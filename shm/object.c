/* What a call did to an object: the part of its row that says so. */
#include "shm/object.h"

#include <string.h>

static const char *const kinds[OBJECT_KINDS] = {
    [OBJECT_NONE] = "none",
    [OBJECT_FILE] = "file",
    [OBJECT_BATCH] = "batch",
    [OBJECT_RESPONSE] = "response",
};

const char *
object_kind_str(enum object_kind kind)
{
	return ((unsigned)kind < OBJECT_KINDS ? kinds[kind] : "unknown");
}

static bool
is_id_byte(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		(c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.');
}

bool
object_id_ok(struct span id)
{
	size_t i;

	for (i = 0; i < id.n; i++)
		if (!is_id_byte(id.p[i]))
			return (false);
	/* in a path, a dot in front might mean another folder */
	return (id.n > 0 && id.n < OBJECT_ID_MAX && id.p[0] != '.');
}

/* Where the empty id behind the last begins; OBJECT_IDS_MAX: nowhere. */
static size_t
end_of(const struct call_object *o)
{
	size_t at = 0;

	while (at < OBJECT_IDS_MAX && o->ids[at] != '\0')
		at += strnlen(o->ids + at, OBJECT_IDS_MAX - at) + 1;
	return (at < OBJECT_IDS_MAX ? at : OBJECT_IDS_MAX);
}

bool
call_object_add(struct call_object *o, struct span id)
{
	size_t at = end_of(o);

	/* two terminators: its own, and the empty one behind the last */
	if (!object_id_ok(id) || id.n + 2 > OBJECT_IDS_MAX - at)
		return (false);
	memcpy(o->ids + at, id.p, id.n);
	memset(o->ids + at + id.n, 0, OBJECT_IDS_MAX - at - id.n);
	return (true);
}

const char *
call_object_id(const struct call_object *o, unsigned i)
{
	size_t at = 0;

	while (at < OBJECT_IDS_MAX && o->ids[at] != '\0') {
		if (i-- == 0)
			return (o->ids + at);
		at += strnlen(o->ids + at, OBJECT_IDS_MAX - at) + 1;
	}
	return (NULL);
}

bool
call_object_ok(const struct call_object *o)
{
	const char *id;
	unsigned i;

	if (o->event == OBJECT_UNTOUCHED)
		return (true);
	if (o->event >= OBJECT_EVENTS || o->kind == OBJECT_NONE ||
	    o->kind >= OBJECT_KINDS || end_of(o) == OBJECT_IDS_MAX ||
	    o->ids[0] == '\0')
		return (false);
	for (i = 0; (id = call_object_id(o, i)) != NULL; i++)
		if (!object_id_ok(span_str(id)))
			return (false);
	return (true);
}
