/*
 * What the halves of a user's connection share: client.c reads, one request at
 * a time, and ends; client_head.c decides what a head asks for.
 */
#ifndef HUBD_WORKER_CLIENT_PRIVATE_H
#define HUBD_WORKER_CLIENT_PRIVATE_H

#include "hubd/worker/worker.h"

enum client_state {
	CLIENT_HEAD,	/* waiting for, or reading, a head */
	CLIENT_BODY,	/* reading the request's body */
	CLIENT_BUSY,	/* a request is being answered */
	CLIENT_CLOSING, /* gone: freed after the turn */
};

struct client {
	unsigned magic;
	struct worker *w;
	struct conn *conn;
	LIST_ENTRY(client) entry;
	enum client_state state;
	struct request *request;
	size_t scanned; /* of the head under way */
	bool started;	/* a byte of the head is here */
	bool close;	/* after this reply */
	bool waits;	/* for the next turn, to begin another request */
	unsigned heads; /* begun in this turn */
	monotime_t turn;
	bool head_only; /* HEAD: replies have no body */
	struct http1_body body;
	struct buf fields;     /* more of them, for the reply */
	struct access *access; /* until there is a request */
	uint64_t body_bytes;
	struct loop_timer *timer;
	monotime_t since; /* of this state */
	struct loop_work again;
};

/* ---- client.c ------------------------------------------------------------ */

/* Nobody else writes state. */
void client_change_state(struct client *, enum client_state next);
/* An error to a head that has no request yet, under an id of its own. */
void client_refuse_head(struct client *, enum api_error, int64_t retry_ms);
/* close: a body is on its way that nobody will read. */
void client_refuse(struct client *, enum dialect, enum api_error,
    const char *detail, const char *id, bool close);

/* ---- client_head.c ------------------------------------------------------- */

/* A head is whole: answers it, makes a link of the connection, or makes a
 * request and waits for its body. */
void client_head(struct client *, const struct http1_head *);

#endif
