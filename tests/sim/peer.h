/* The insides of a peer, shared by peer.c and timers.c only. */
#ifndef TESTS_SIM_PEER_H
#define TESTS_SIM_PEER_H

#include "tests/sim/sim.h"

#define TIMER_NONE SIZE_MAX

struct peer {
	int epfd, fd;	    /* fd is -1 once closed */
	struct buf in, out; /* out: what the socket did not take yet */
	size_t scanned;
	/*
	 * Of the request being read: its head stays at the front of in until
	 * the body is there, and is parsed again then.
	 */
	bool in_body, chunked;
	size_t head_size, taken; /* taken: bytes of in, head included */
	uint64_t length;
	struct http1_body framing;
	struct buf body; /* a chunked one, decoded */
	bool close_after, want_out;
	bool stalled;	/* says nothing more */
	bool finishing; /* all was written but the socket is full */
	struct play play;
	bool journaled;
	uint64_t number; /* of the request in the journal */
	uint64_t sent;
	monotime_t last_write;
	monotime_t wake;
	size_t timer_at;
	bool ready; /* is in the ready list */
	struct peer *ready_next, *dead_next;
};

#endif
