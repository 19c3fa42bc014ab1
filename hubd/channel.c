/* Messages between master and children, as packets on a Unix socket. */
#include "hubd/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
	char bytes[CMSG_SPACE(sizeof(int) * HUB_MAX_LISTEN)];
	struct cmsghdr align;
};

static void
attach(struct msghdr *msg, union control *control, const int *fds, size_t n)
{
	struct cmsghdr *c;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control->bytes;
	msg->msg_controllen = CMSG_SPACE(sizeof(int) * n);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
}

bool
channel_send(int fd, const struct hubmsg_head *head, const void *payload,
    const int *fds, size_t nfds)
{
	struct iovec iov[2] = {
	    {.iov_base = (void *)(uintptr_t)head, .iov_len = sizeof(*head)},
	    {.iov_base = (void *)(uintptr_t)payload, .iov_len = head->size}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	union control control;
	ssize_t n;

	if (head->size > HUBMSG_MAX || nfds > HUB_MAX_LISTEN)
		return (false);
	if (nfds > 0)
		attach(&msg, &control, fds, nfds);
	do {
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	return (n == (ssize_t)(sizeof(*head) + head->size));
}

static void
detach(struct msghdr *msg, struct channel_message *m)
{
	struct cmsghdr *c;
	size_t n;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(m->fds, CMSG_DATA(c), n * sizeof(int));
		m->nfds = n;
	}
}

static bool
is_whole(const struct channel_message *m, const struct msghdr *msg, size_t n)
{
	return ((msg->msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
		n >= sizeof(m->head) && m->head.size == n - sizeof(m->head) &&
		m->head.type < HUBMSG_TYPES);
}

enum channel_result
channel_receive(int fd, struct channel_message *m)
{
	struct iovec iov[2] = {
	    {&m->head, sizeof(m->head)}, {m->payload, HUBMSG_MAX}};
	union control control;
	struct msghdr msg;
	ssize_t n;

	for (;;) {
		msg = (struct msghdr){.msg_iov = iov,
		    .msg_iovlen = 2,
		    .msg_control = control.bytes,
		    .msg_controllen = sizeof(control)};
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return (CHANNEL_NONE);
		if (n <= 0)
			return (CHANNEL_EOF);
		m->nfds = 0;
		detach(&msg, m);
		if (is_whole(m, &msg, (size_t)n)) {
			m->payload[m->head.size] = '\0';
			return (CHANNEL_GOT);
		}
		while (m->nfds > 0)
			close(m->fds[--m->nfds]);
	}
}
