/*
 * The SEQPACKET channel between master and child: one message a packet, a
 * head in front, descriptors along with it.
 */
#ifndef HUBD_CHANNEL_H
#define HUBD_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "hubd/hub.h"

struct channel_message {
	struct hubmsg_head head;
	char payload[HUBMSG_MAX + 1]; /* terminated */
	int fds[HUB_MAX_LISTEN];      /* the receiver's to close */
	size_t nfds;
};

/* Never blocks; false if the message could not be sent whole. */
bool channel_send(int fd, const struct hubmsg_head *, const void *payload,
    const int *fds, size_t nfds);

enum channel_result { CHANNEL_GOT, CHANNEL_NONE, CHANNEL_EOF };
/* The next message; broken ones are skipped. */
enum channel_result channel_receive(int fd, struct channel_message *);

#endif
