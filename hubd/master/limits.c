/*
 * Where Redis is. Workers ask no resolver, for that may take its time: the
 * master does, at the start and with each reload, and tells them addresses.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "hubd/limit/redis_url.h"
#include "hubd/master/master.h"

/* Appends one in the form of a URL; false: there is no room. */
static bool
add_address(char *list, size_t cap, const struct addrinfo *ai)
{
	char text[NI_MAXHOST];
	size_t n = strlen(list);
	int len;

	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text), NULL,
		0, NI_NUMERICHOST) != 0)
		return (true);
	len = snprintf(list + n, cap - n,
	    ai->ai_family == AF_INET6 ? "%s[%s]" : "%s%s", n > 0 ? "," : "",
	    text);
	if (len >= 0 && (size_t)len < cap - n)
		return (true);
	list[n] = '\0';
	return (false);
}

/* All addresses of one name, as far as there is room. */
static const char *
look_up(const char *host, char *list, size_t cap)
{
	struct addrinfo hints = {
	    .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *found, *ai;
	int error = getaddrinfo(host, NULL, &hints, &found);

	if (error != 0)
		return (gai_strerror(error));
	list[0] = '\0';
	for (ai = found; ai != NULL && add_address(list, cap, ai);
	     ai = ai->ai_next)
		;
	freeaddrinfo(found);
	return (list[0] == '\0' ? "no address" : NULL);
}

const char *
limits_resolve(struct hub_conf *c)
{
	char host[sizeof(((struct redis_url *)0)->host)], list[sizeof(host)];
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
	if ((why = look_up(host, list, sizeof(list))) != NULL)
		return (why);
	resolved = redis_url_with_host(c->limits, &url, list);
	free(c->limits);
	c->limits = resolved;
	return (NULL);
}
