/* The allow-list of endpoints and their lookup. */
#include "hubd/api/api.h"

enum { BODY_JSON, BODY_FORM, BODY_LOCAL };

static const struct endpoint endpoints[] = {
#define ENDPOINT(id, method, path, dialect, meter, body)     \
	{id, method, path, DIALECT_##dialect, METER_##meter, \
	    BODY_##body == BODY_LOCAL, BODY_##body == BODY_FORM},
#include "hubd/api/endpoints.def"
#undef ENDPOINT
};
#define NENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

/* "/openai/v1/..." is what Azure's and other clients make of a base URL. */
static struct span
canonical(struct span path)
{
	const struct span prefix = SPAN("/openai");

	if (span_starts(path, SPAN("/openai/v1/")))
		return (span_of(path.p + prefix.n, path.n - prefix.n));
	return (path);
}

static bool
is_path(struct span path, const struct endpoint *e)
{
	struct span own = span_str(e->path);

	if (own.p[own.n - 1] == '/')
		return (span_starts(path, own) && path.n > own.n);
	return (span_eq(path, own));
}

const struct endpoint *
endpoint_find(struct span method, struct span path, bool *other_method)
{
	struct span want = canonical(path);
	size_t i;

	*other_method = false;
	for (i = 0; i < NENDPOINTS; i++) {
		if (!is_path(want, &endpoints[i]))
			continue;
		if (span_eq(method, span_str(endpoints[i].method)))
			return (&endpoints[i]);
		*other_method = true;
	}
	return (NULL);
}

void
endpoint_methods(struct span path, struct buf *out)
{
	struct span want = canonical(path);
	const char *comma = "";
	size_t i;

	for (i = 0; i < NENDPOINTS; i++) {
		if (!is_path(want, &endpoints[i]))
			continue;
		buf_addf(out, "%s%s", comma, endpoints[i].method);
		comma = ", ";
	}
}

const struct endpoint *
endpoint_by_id(struct span id)
{
	size_t i;

	for (i = 0; i < NENDPOINTS; i++) {
		if (span_eq(id, span_str(endpoints[i].id)))
			return (&endpoints[i]);
	}
	return (NULL);
}

const struct endpoint *
endpoint_all(size_t *n)
{
	*n = NENDPOINTS;
	return (endpoints);
}

enum dialect
dialect_of_path(struct span path)
{
	const struct endpoint *best = &endpoints[0];
	struct span want = canonical(path);
	size_t i;

	for (i = 0; i < NENDPOINTS; i++) {
		if (is_path(want, &endpoints[i]))
			best = &endpoints[i];
	}
	return (best->dialect);
}
