/*
 * Where requests go, and the connections that wait there for the next one:
 * last in, first out, for a while and no more than so many. One whose peer
 * closes it, or says something unasked, is dropped at once.
 */
#ifndef AGENTD_ORIGIN_H
#define AGENTD_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "agentd/tunnel.h"
#include "common/conn.h"
#include "common/loop.h"
#include "common/span.h"

#define ORIGIN_IDLE_MAX	 512 /* connections that wait, of all origins */
#define ORIGIN_IDLE_EACH 256 /* and of one */

struct origins; /* all of them */
struct origin;	/* one; lives while somebody holds it or a line of it */

/* Two requests that are equal here may use the same connection. */
struct origin_key {
	bool tls;
	struct span authority; /* host and port, as in the URL */
	const char *proxy;     /* NULL: none */
	const char *ca_file;   /* NULL: the system's */
};

/* A connection waits for at most idle_ms. */
struct origins *origins_new(struct loop *, int64_t idle_ms);
/* Closes what waits. Nobody holds an origin any more. NULL is fine. */
void origins_free(struct origins *);

/* The caller holds it until origin_unref(). */
struct origin *origin_get(struct origins *, const struct origin_key *);
void origin_unref(struct origin *);
/* How a connection to it is made; lives as long as the origin. */
const struct tunnel_options *origin_way(const struct origin *);

/* A connection to an origin. Its user is the conn's owner. */
struct line {
	struct conn *conn;
	struct origin *origin;
	/* private, while it waits: */
	TAILQ_ENTRY(line) of_all;   /* youngest first */
	LIST_ENTRY(line) of_origin; /* the same */
	monotime_t since;
};

/* Takes over a connection that was made for it. */
struct line *line_new(struct origin *, struct conn *);
/* One that waits, the youngest; NULL if none does. The caller becomes its
 * conn's owner. */
struct line *line_take(struct origin *);
/* Its exchange is over and whole: it waits for the next, or is closed if too
 * many do. */
void line_give(struct line *);
/* At once, whatever is on it. */
void line_close(struct line *);

#endif
