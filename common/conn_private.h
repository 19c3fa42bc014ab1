/*
 * The inside of a connection, shared by conn.c (its life) and conn_io.c (its
 * events, reading and writing) and by nobody else.
 */
#ifndef COMMON_CONN_PRIVATE_H
#define COMMON_CONN_PRIVATE_H

#include <netinet/in.h>
#include <sys/queue.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/conn_transport.h"

#define CONN_MAGIC    0x636f6e6e
#define CONN_READ_MIN 4096 /* what a read asks for at least */

enum in_mode {
	IN_OFF,
	IN_READ,
	/*
	 * libevent does not tell EV_CLOSED of a reset (EPOLLERR), it makes
	 * EV_READ of it; so EV_READ is asked for too, edge-triggered, and
	 * bytes that come meanwhile are left where they are.
	 */
	IN_WATCH,
};

struct conn {
	uint32_t magic;
	int fd; /* -1 once closed */
	struct event in, out;
	struct loop *loop;
	const struct conn_transport *transport;
	void *state;
	conn_fn *fn;
	void *arg;
	struct buf inbuf, outbuf;
	struct loop_work work; /* the end of the turn */
	monotime_t progress;   /* see conn_write_progress() */
	size_t in_limit;
	size_t read_size; /* what the next read asks for */
	enum in_mode in_mode;
	bool out_armed;
	bool want_read;
	bool read_wants_write, write_wants_read; /* the transport's wishes */
	bool waited;	   /* the socket was full since all was written */
	bool tell_drained; /* the owner is still to hear of it */
	bool tell_error;
	bool eof;	  /* all that the peer sent was read */
	bool early_eof;	  /* the owner heard of the end while paused */
	bool failed;	  /* nothing comes or goes any more */
	bool closed;	  /* by the owner */
	bool end_written; /* of a lingering one: only the peer's end is due */
	struct loop_timer *goodbye; /* not NULL: lingering */
	monotime_t goodbye_until;
	LIST_ENTRY(conn) link; /* of lingering ones */
	char peer[INET6_ADDRSTRLEN + 10];
};

/* The callbacks of the two events. */
void conn_on_in(evutil_socket_t, short, void *);
void conn_on_out(evutil_socket_t, short, void *);
/* Tells what was put off to a moment when the owner may be called. */
void conn_tell_put_off(struct conn *);
/* Makes `in` what the state asks for: reading or only watching. */
void conn_update_in(struct conn *);
/* Sets `in` anew even if it is in that mode: a lost edge comes again. */
void conn_set_in_mode(struct conn *, enum in_mode);
/* Calls conn_on_out() when the descriptor is writable. */
void conn_await_room(struct conn *);
/* One write of what is there, unless that is known to be in vain. */
void conn_flush(struct conn *);

#endif
