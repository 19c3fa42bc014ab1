/* The allow-list of endpoints. */
#include "hubd/api/api.h"

enum { BODY_JSON, BODY_STREAM, BODY_FORM, BODY_NONE, BODY_LOCAL };

#define BODY(body)                                                            \
	.local = BODY_##body == BODY_LOCAL, .form = BODY_##body == BODY_FORM, \
	.bodiless = BODY_##body == BODY_NONE,                                 \
	.stream = BODY_##body == BODY_STREAM

static const struct endpoint endpoints[] = {
#define ENDPOINT(name, verb, at, speech, how, body) \
	{.id = (name),                              \
	    .method = (verb),                       \
	    .path = (at),                           \
	    .dialect = DIALECT_##speech,            \
	    .meter = METER_##how,                   \
	    BODY(body)},
#define KEEPING(name, verb, at, speech, how, body, kind) \
	{.id = (name),                                   \
	    .method = (verb),                            \
	    .path = (at),                                \
	    .dialect = DIALECT_##speech,                 \
	    .meter = METER_##how,                        \
	    BODY(body),                                  \
	    .object = OBJECT_##kind},
#define OBJECT(name, verb, at, how, body, kind, does) \
	{.id = (name),                                \
	    .method = (verb),                         \
	    .path = (at),                             \
	    .dialect = DIALECT_OPENAI,                \
	    .meter = METER_##how,                     \
	    BODY(body),                               \
	    .object = OBJECT_##kind,                  \
	    .use = USE_##does},
#include "hubd/api/endpoints.def"
#undef ENDPOINT
#undef KEEPING
#undef OBJECT
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
