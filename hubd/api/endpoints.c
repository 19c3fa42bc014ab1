/* The allow-list of endpoints. */
#include "hubd/api/api.h"

enum { BODY_JSON, BODY_STREAM, BODY_FORM, BODY_LOCAL };

static const struct endpoint endpoints[] = {
#define ENDPOINT(id, method, path, dialect, meter, body)         \
	{id, method, path, DIALECT_##dialect, METER_##meter,     \
	    BODY_##body == BODY_LOCAL, BODY_##body == BODY_FORM, \
	    BODY_##body == BODY_STREAM},
#include "hubd/api/endpoints.def"
#undef ENDPOINT
};
#define NENDPOINTS (sizeof(endpoints) / sizeof(endpoints[0]))

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
