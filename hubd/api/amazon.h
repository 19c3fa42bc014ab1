/*
 * Documents in Amazon's event streams: the payload of an event, or what its
 * member "bytes" holds in base64. Private to this room.
 */
#ifndef HUBD_API_AMAZON_H
#define HUBD_API_AMAZON_H

#include "common/base64.h"
#include "common/eventstream.h"
#include "common/jscan.h"

struct amazon_handler {
	/* A message begins; failed: it is an exception or an error. */
	void (*on_begin)(void *arg, struct span event_type, bool failed);
	void (*on_data)(void *arg, struct span piece); /* of its document */
	/* Its CRC is right; before, nothing of it is sure. end is that of
	 * eventstream's on_end(). */
	void (*on_end)(void *arg, size_t end);
};

struct amazon {
	const struct amazon_handler *handler;
	void *arg;
	bool wrapped;	   /* documents are in base64 */
	bool is_event;	   /* the message under way is */
	bool in_bytes;	   /* the value under way is */
	bool broken;	   /* a payload or its base64 was */
	uint64_t messages; /* whole ones so far */
	struct eventstream stream;
	struct jscan outer;
	struct base64 base64;
};

void amazon_init(
    struct amazon *, const struct amazon_handler *, void *arg, bool wrapped);
void amazon_fini(struct amazon *);
/* false: the stream is broken; what follows cannot be read. */
bool amazon_feed(struct amazon *, struct span bytes);

#endif
