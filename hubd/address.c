/* Addresses to listen on, from their text. */
#include "hubd/address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct parts {
	char host[256];
	char port[8];
};

static const char *
split(const char *text, struct parts *p)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t n;

	if (colon == NULL)
		return ("an address is host:port");
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		host++;
		n -= 2;
	} else if (memchr(text, ':', n) != NULL) {
		return ("an IPv6 address stands in brackets");
	}
	if (n == 0 || n >= sizeof(p->host))
		return ("an address is host:port");
	memcpy(p->host, host, n);
	p->host[n] = '\0';
	if (strlen(colon + 1) > 5)
		return ("a port is from 1 to 65535");
	strcpy(p->port, colon + 1);
	return (NULL);
}

const char *
address_wrong(const char *text)
{
	struct parts p;
	const char *why = split(text, &p);
	long port;

	if (why != NULL)
		return (why);
	if (p.port[0] == '\0' || p.port[0] == '0' ||
	    p.port[strspn(p.port, "0123456789")] != '\0')
		return ("a port is from 1 to 65535");
	port = strtol(p.port, NULL, 10);
	return (port > 65535 ? "a port is from 1 to 65535" : NULL);
}

static bool
have_ipv6(void)
{
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd != -1)
		close(fd);
	return (fd != -1);
}

int
address_resolve(const char *text, struct sockaddr_storage *ss, socklen_t *len,
    const char **why)
{
	struct addrinfo hints = {
	    .ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found;
	struct parts p;
	int error;

	if ((*why = split(text, &p)) != NULL)
		return (-1);
	if (strcmp(p.host, "*") == 0)
		strcpy(p.host, have_ipv6() ? "::" : "0.0.0.0");
	if ((error = getaddrinfo(p.host, p.port, &hints, &found)) != 0) {
		*why = gai_strerror(error);
		return (-1);
	}
	memcpy(ss, found->ai_addr, found->ai_addrlen);
	*len = found->ai_addrlen;
	freeaddrinfo(found);
	return (0);
}

bool
address_is_loopback(const struct sockaddr_storage *ss)
{
	const struct sockaddr_in6 *in6;
	const struct sockaddr_in *in;

	if (ss->ss_family == AF_INET) {
		in = (const void *)ss;
		return (ntohl(in->sin_addr.s_addr) >> 24 == 127);
	}
	in6 = (const void *)ss;
	return (
	    ss->ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr));
}
