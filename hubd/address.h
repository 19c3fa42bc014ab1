/* Addresses to listen on: "127.0.0.1:80", "[::1]:80", "*:80", "name:80". */
#ifndef HUBD_ADDRESS_H
#define HUBD_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

/* What is wrong with the form of an address, or NULL. */
const char *address_wrong(const char *text);
/*
 * Looks it up; may ask the resolver, so: only while setting up. 0, or -1
 * with *why set to a static text. "*" is every address, of both families
 * where the system has IPv6.
 */
int address_resolve(
    const char *text, struct sockaddr_storage *, socklen_t *, const char **why);
bool address_is_loopback(const struct sockaddr_storage *);

#endif
