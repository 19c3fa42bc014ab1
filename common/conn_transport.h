/*
 * What lies between a connection and its descriptor: the bytes as they are
 * (conn_plain.c), or TLS. Only conn.c calls these; users of a connection
 * never see which one it has.
 */
#ifndef COMMON_CONN_TRANSPORT_H
#define COMMON_CONN_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/conn.h"

/* Results of read and write that are not a number of bytes. */
enum conn_io {
	CONN_IO_EOF = 0, /* of read: the peer has finished sending */
	CONN_IO_ERROR = -1,
	CONN_IO_WANT_READ = -2,	 /* again when the descriptor is readable */
	CONN_IO_WANT_WRITE = -3, /* again when it is writable */
};

struct conn_transport {
	/*
	 * Up to n bytes (n > 0), more than none unless it is a conn_io.
	 * A count below n means that there is no more now, except what
	 * pending() or the kernel tells of; of write, that the descriptor
	 * is full.
	 */
	ssize_t (*read)(void *state, int fd, void *p, size_t n);
	ssize_t (*write)(void *state, int fd, const void *p, size_t n);
	/* Has it bytes for read that the kernel does not know of? May be NULL:
	 * never. */
	bool (*pending)(void *state);
	/* Everything was written: says so to the peer, keeps reading.
	 * false: the descriptor is full, again when it is writable. */
	bool (*end)(void *state, int fd);
	/* Frees state; the descriptor is closed by the caller. May be NULL. */
	void (*free)(void *state);
};

extern const struct conn_transport conn_plain;

/* As conn_new(), over a transport whose state the connection owns then. */
struct conn *conn_new_over(struct loop *, int fd, const struct conn_transport *,
    void *state, conn_fn *, void *arg);

#endif
