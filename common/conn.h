/*
 * A connected stream socket under the loop: TCP or Unix, with TLS under it
 * or without. The owner hears what it waits for through one callback; writes
 * are gathered and made directly at the end of the turn, and only a full
 * socket arms EV_WRITE.
 */
#ifndef COMMON_CONN_H
#define COMMON_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/span.h"

struct conn;

enum conn_event {
	CONN_READABLE, /* conn_in() has new bytes (at least one) */
	CONN_DRAINED,  /* all that was written has gone to the kernel, after
			  having waited for it at least once */
	CONN_EOF,      /* the peer has finished sending; buffered bytes were
			  told before */
	CONN_ERROR,    /* reset or any failure: nothing more will come or go */
};

/* Runs in the loop; may close the connection. */
typedef void conn_fn(struct conn *, enum conn_event, void *arg);

/*
 * Takes over a connected, non-blocking descriptor. TCP_NODELAY is set.
 * Reading is on. Nothing is called before the next turn; until then the
 * owner may be missing and come by conn_set_owner().
 */
struct conn *conn_new(struct loop *, int fd, conn_fn *, void *arg);
/* Changes who is told, as when a connection is upgraded. */
void conn_set_owner(struct conn *, conn_fn *, void *arg);

/* Bytes read and not yet consumed; consume with buf_consume(). */
struct buf *conn_in(struct conn *);
/*
 * Stops reading while that many bytes are buffered (default 64 KiB). Then
 * only CONN_ERROR is noticed. Whoever consumes outside CONN_READABLE calls
 * conn_want_read(c, true) or writes, so that reading goes on.
 */
void conn_set_in_limit(struct conn *, size_t bytes);
/*
 * Pauses or resumes reading. While paused the peer's end is told at once,
 * as CONN_ERROR or as CONN_EOF, though the kernel may still hold bytes of
 * his; if reading is resumed after that, these come, and CONN_EOF again.
 */
void conn_want_read(struct conn *, bool);
/* Was all read that the peer sent before his end? */
bool conn_ended(const struct conn *);
/*
 * After CONN_ERROR: takes what the kernel still holds, as far as there is
 * room, for owners to whom the peer's last words matter when he did not
 * listen to the end.
 */
void conn_read_rest(struct conn *);

/* The owner appends to this; it is written at the end of the turn. */
struct buf *conn_out(struct conn *);
/* Appends and schedules the write; use after touching conn_out(), too. */
void conn_write(struct conn *, const void *, size_t n);
void conn_flush_later(struct conn *);
/* Writes what it can at once. */
void conn_flush_now(struct conn *);
/* Bytes that the kernel has not taken yet. */
size_t conn_unsent(const struct conn *);
/* When the kernel last took a byte, or when the wait began. */
monotime_t conn_write_progress(const struct conn *);
/* Keeps unsent bytes of the kernel's own below this (TCP_NOTSENT_LOWAT). */
void conn_set_notsent_lowat(struct conn *, int bytes);

/*
 * Ends the connection. CONN_CLOSE_LINGER writes what is pending, shuts
 * down the sending side and reads and drops for up to 2 s so that the last
 * answer is not lost to a reset; CONN_CLOSE_NOW discards. The callback is
 * not called again. Safe to call twice.
 */
enum conn_close { CONN_CLOSE_LINGER, CONN_CLOSE_NOW };
void conn_close(struct conn *, enum conn_close);
/* How many lingering ones this process has: a draining one waits for them.
 * What is pending may take 30 s without progress and 300 s in all. */
unsigned conn_lingering(void);
/* Has one of them not written all of it yet? */
bool conn_lingers_unsaid(void);

int conn_fd(const struct conn *);
/* "127.0.0.1:4711" or "unix"; of the peer; for logs. */
const char *conn_peer(const struct conn *);

#endif
