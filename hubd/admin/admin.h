/* What the files of the admin process share. */
#ifndef HUBD_ADMIN_ADMIN_H
#define HUBD_ADMIN_ADMIN_H

#include "common/buf.h"
#include "hubd/hub.h"

/*
 * The HTTP server of admin_listen. http_start() watches the listeners of
 * hub_child.fds; the configuration's deadlines are read when they are set.
 * http_stop() accepts nothing more and ends every connection.
 */
struct http;
struct http *http_start(struct hub_child *);
/* Takes nobody in any more, and ends the loop when those who are in have their
 * answers, or a second has passed. */
void http_rest(struct http *);
void http_stop(struct http *);

/*
 * Answers one GET: appends the body, sets its type, returns the status. The
 * path has no query any more.
 */
int admin_answer(
    struct hub_child *, struct span path, struct buf *body, const char **type);

/* All metrics in the text format of Prometheus, version 0.0.4. */
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
void metrics_put(const struct shm *, struct buf *out);

#endif
