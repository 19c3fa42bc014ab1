/* The transport of a connection without TLS: the socket itself. */
#include "common/conn_transport.h"

#include <errno.h>
#include <sys/socket.h>

static ssize_t
plain_result(ssize_t n, enum conn_io want)
{
	if (n >= 0)
		return (n);
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
		return (want);
	return (CONN_IO_ERROR);
}

static ssize_t
plain_read(void *state, int fd, void *p, size_t n)
{
	return (plain_result(recv(fd, p, n, 0), CONN_IO_WANT_READ));
}

static ssize_t
plain_write(void *state, int fd, const void *p, size_t n)
{
	return (plain_result(send(fd, p, n, MSG_NOSIGNAL), CONN_IO_WANT_WRITE));
}

static bool
plain_end(void *state, int fd)
{
	shutdown(fd, SHUT_WR);
	return (true);
}

const struct conn_transport conn_plain = {
    .read = plain_read,
    .write = plain_write,
    .end = plain_end,
};
