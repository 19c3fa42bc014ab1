/* What each path of admin_listen answers. */
#include "hubd/admin/admin.h"
#include "hubd/health.h"

static int
answer_health(
    struct hub_child *child, bool ready, struct buf *body, const char **type)
{
	*type = "application/json";
	return (hub_health(child->shm, ready, body));
}

static int
answer_metrics(struct hub_child *child, struct buf *body, const char **type)
{
	*type = METRICS_TYPE;
	metrics_put(child->shm, body);
	return (200);
}

int
admin_answer(struct hub_child *child, struct span path, struct buf *body,
    const char **type)
{
	if (span_eq(path, SPAN("/healthz")))
		return (answer_health(child, false, body, type));
	if (span_eq(path, SPAN("/readyz")))
		return (answer_health(child, true, body, type));
	if (span_eq(path, SPAN("/metrics")))
		return (answer_metrics(child, body, type));
	*type = "text/plain";
	buf_addstr(body, "There is nothing here.\n");
	return (404);
}
