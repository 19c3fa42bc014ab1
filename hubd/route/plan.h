/*
 * What a name that users ask for stands for: the models that may serve it,
 * in stages. A stage is tried when the one before has nobody left; those
 * beyond the last share it. Private to the room.
 */
#ifndef HUBD_ROUTE_PLAN_H
#define HUBD_ROUTE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hubd/hub_conf.h"
#include "hubd/route/route.h"

#define PLAN_TARGETS 64 /* what is beyond is left out */

struct plan_target {
	const char *model; /* "gpt-4o", or "openai/gpt-4o" of that provider */
	uint8_t stage;
};

struct plan {
	const struct hub_route *route; /* of that name; NULL: a plain model */
	size_t n;
	uint8_t stages;
	struct plan_target target[PLAN_TARGETS];
};

/*
 * Makes the plan of a name. A route's models may be other routes: theirs
 * count then, in the same stage, and their fallbacks after it. A route that
 * leads back to itself means the model of that name. Pointers are those of
 * the arguments.
 */
void plan_make(struct plan *, const struct hub_route *routes, size_t nroutes,
    const char *name);
/* Appends the stages of another name: the last resort. */
void plan_append(struct plan *, const struct hub_route *routes, size_t nroutes,
    const char *name);

#endif
