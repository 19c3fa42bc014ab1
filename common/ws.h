/*
 * WebSocket framing (RFC 6455) as a pure codec, binary messages only.
 * One side (the agent) masks what it sends, the other (the hub) refuses
 * unmasked frames, and the reverse.
 */
#ifndef COMMON_WS_H
#define COMMON_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/span.h"

#define WS_MAX_MESSAGE (1024 * 1024) /* a larger frame ends the link: 1009 */
#define WS_WHY_MAX     123	     /* of a close: a control frame's 125 */
#define WS_ACCEPT_SIZE 29	     /* base64 of a SHA-1, terminated */

enum ws_role { WS_SERVER, WS_CLIENT };

enum ws_event {
	WS_MORE, /* all bytes used, nothing to tell */
	WS_DATA, /* a piece of a binary message, in order */
	WS_PING, /* answer with WS_OP_PONG and the same bytes */
	WS_PONG,
	WS_CLOSE, /* code is set; answer and end */
	WS_ERROR, /* protocol error: send a close with code, and end */
};

enum ws_opcode {
	WS_OP_CONT = 0,
	WS_OP_TEXT = 1,
	WS_OP_BINARY = 2,
	WS_OP_CLOSE = 8,
	WS_OP_PING = 9,
	WS_OP_PONG = 10,
};

struct ws_reader {
	enum ws_role role;
	bool allow_text; /* for the vectors only; UTF-8 is checked then */
	uint8_t head[14];
	size_t head_len;
	uint64_t left;	   /* payload bytes of the frame still to come */
	uint64_t msg_size; /* of the message so far */
	uint8_t opcode, msg_opcode;
	bool fin, in_msg, in_frame;
	uint8_t mask[4];
	unsigned mask_at;
	uint8_t control[125];
	size_t control_len;
	uint16_t code; /* of WS_CLOSE (1005: none was sent) and
			  WS_ERROR (1002, 1007, 1009) */
	uint32_t utf8; /* state of the check of a text message */
};

void ws_reader_init(struct ws_reader *, enum ws_role);

/*
 * Reads from the mutable bytes at p (payload is unmasked in place). Returns
 * how many bytes were used and sets *event; for WS_DATA, WS_PING, WS_PONG and
 * WS_CLOSE *data views the payload (of a data frame: the part that is here,
 * none of an empty one; a message is a byte stream to its user; of a close:
 * the reason). Views of control frames last until the next call. Call again
 * while bytes are left and the event is neither WS_ERROR nor WS_CLOSE.
 */
size_t ws_read(
    struct ws_reader *, char *p, size_t n, enum ws_event *, struct span *data);

/*
 * Appends one whole frame (FIN set). A client's is masked with fresh random
 * bytes. n is at most WS_MAX_MESSAGE, for control frames 125.
 */
void ws_put_frame(
    struct buf *, enum ws_role, enum ws_opcode, const void *, size_t n);
/* why: a static text for the peer's log, at most WS_WHY_MAX bytes; "": none. */
void ws_put_close(struct buf *, enum ws_role, uint16_t code, const char *why);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2). */
void ws_accept(struct span key, char out[WS_ACCEPT_SIZE]);
/* A fresh Sec-WebSocket-Key (24 characters and a terminator). */
void ws_make_key(char out[25]);

#endif
