/*
 * Where Redis is, as `limits` says it:
 *	redis://[[user]:password@]host[:port][/db]
 *	unix://[[user]:password@]/path[?db=N]	(also redis+unix://)
 * in the forms that Redis's own clients take; user and password may hold
 * %XX. host is a name, an IPv4 address or an IPv6 address in brackets; the
 * master puts a list of addresses in its place, with commas between them.
 */
#ifndef HUBD_LIMIT_REDIS_URL_H
#define HUBD_LIMIT_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_PORT     6379
#define REDIS_DB_MAX   65535
#define REDIS_HOST_MAX 512

struct redis_url {
	char user[128], password[512]; /* "": none */
	char host[REDIS_HOST_MAX];     /* "": a Unix socket */
	char path[108];
	uint16_t port;
	uint32_t db;
	/* where the host stands in the text */
	size_t host_at, host_len;
};

/* Does the value of `limits` mean Redis at all, right or wrong? */
bool redis_url_is(const char *text);
/* Fills *u; what is wrong with it as a static text, or NULL. */
const char *redis_url_parse(const char *text, struct redis_url *u);
/*
 * The n-th address of a host that is a list, counted in a circle, without
 * brackets.
 */
void redis_url_host(
    const struct redis_url *, unsigned n, char *out, size_t cap);
/* The URL with another host in its place. The caller frees it. */
char *redis_url_with_host(
    const char *text, const struct redis_url *, const char *host);
/* For people: without user and password. */
#define REDIS_NAME_MAX 640
void redis_url_name(const struct redis_url *, char out[REDIS_NAME_MAX]);

#endif
