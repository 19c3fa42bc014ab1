/* The inside of a meter; private to meter.c and meter_hold.c. */
#ifndef HUBD_API_METER_H
#define HUBD_API_METER_H

#include "common/sse.h"
#include "hubd/api/amazon.h"
#include "hubd/api/reader.h"

struct meter {
	struct meter_report report;
	enum dialect dialect;
	const struct kind *kind;	     /* NULL: none */
	const struct jscan_handler *handler; /* NULL: nothing is read */
	enum meter_frame frame;
	bool hide;
	bool stray; /* a bare document follows the events */
	char last;  /* byte of an array that is not blank */

	/* the event under way */
	char head[8]; /* of its data, to know [DONE] */
	uint64_t data_len;
	bool done; /* [DONE] was seen */

	/* holding back: of a stream, the document under way */
	struct buf hold; /* its raw bytes so far */
	enum flow {
		FLOW_HELD,
		FLOW_PASSING, /* it is too large to be held */
		FLOW_CUT,     /* ... and is an error, as was seen late */
		FLOW_DROPPED, /* an error, too large to be scrubbed */
	} flow;
	bool cr;	 /* the last one ended with CR */
	bool shown;	 /* ... and was shown, not replaced by ours */
	struct span in;	 /* bytes under way in meter_feed() */
	uint64_t origin; /* of those in an array */
	size_t put;	 /* how many of them are put out */
	size_t taken;	 /* ... are of documents that are over */
	struct buf *out;

	/* These begin by themselves, the last two in streams alone. */
	struct reader reader;
	struct jscan scan;
	struct sse sse;
	struct amazon amazon;
};

static inline bool
is_blank(char c)
{
	return (c == ' ' || c == '\t' || c == '\n' || c == '\r');
}

/* Is the document under way an error, by what is known of it so far? */
bool meter_is_error(const struct meter *);
/* The raw bytes of a document are there, up to end in the bytes under way. */
void meter_release(struct meter *, size_t end, bool has_data);
/* The bytes under way are read: puts out those of documents that are over,
 * holds back the others, or lets them go, or drops them. */
void meter_hold_rest(struct meter *);
/* Puts out the document that has ended, for which bytes were held back. */
void meter_put_held(struct meter *, bool has_data);

#endif
