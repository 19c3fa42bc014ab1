/*
 * Where Redis is. Workers ask no resolver, for that may take its time: the
 * master does, at the start and with each reload, and tells them addresses.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hubd/limit/redis_url.h"
#include "hubd/master/master.h"

#define ADDRESSES_MAX 8
_Static_assert(
    ADDRESSES_MAX *(INET6_ADDRSTRLEN + 3) < REDIS_HOST_MAX, "all fit in a URL");

/* An address as it stands in a URL: IPv6 in brackets. */
struct address {
	char text[INET6_ADDRSTRLEN + 2];
};

static int
by_text(const void *a, const void *b)
{
	return (strcmp(((const struct address *)a)->text,
	    ((const struct address *)b)->text));
}

static bool
read_address(const struct addrinfo *ai, struct address *a)
{
	char text[INET6_ADDRSTRLEN];

	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text), NULL,
		0, NI_NUMERICHOST) != 0)
		return (false);
	snprintf(a->text, sizeof(a->text),
	    ai->ai_family == AF_INET6 ? "[%s]" : "%s", text);
	return (true);
}

/* The addresses of a name, in an order that is always the same: so that
 * workers see whether they have changed. */
static const char *
look_up(const char *host, char list[REDIS_HOST_MAX])
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct address addresses[ADDRESSES_MAX];
	struct addrinfo *found, *ai;
	size_t i, n = 0, len = 0;
	int error = getaddrinfo(host, NULL, &hints, &found);

	if (error != 0)
		return (gai_strerror(error));
	for (ai = found; ai != NULL && n < ADDRESSES_MAX; ai = ai->ai_next)
		n += read_address(ai, &addresses[n]);
	freeaddrinfo(found);
	if (n == 0)
		return ("no address");
	qsort(addresses, n, sizeof(addresses[0]), by_text);
	for (i = 0; i < n; i++)
		len += (size_t)snprintf(list + len, REDIS_HOST_MAX - len,
		    "%s%s", i > 0 ? "," : "", addresses[i].text);
	return (NULL);
}

const char *
limits_resolve(struct hub_conf *c)
{
	char host[REDIS_HOST_MAX], list[REDIS_HOST_MAX];
	struct redis_url url;
	const char *why;
	char *resolved;

	if (!redis_url_is(c->limits))
		return (NULL);
	if ((why = redis_url_parse(c->limits, &url)) != NULL)
		return (why);
	if (url.host[0] == '\0')
		return (NULL);
	redis_url_host(&url, 0, host, sizeof(host));
	if ((why = look_up(host, list)) != NULL)
		return (why);
	resolved = redis_url_with_host(c->limits, &url, list);
	free(c->limits);
	c->limits = resolved;
	return (NULL);
}
