/*
 * Socket addresses as text and back, for the streams and datagram sockets of the native platform.
 */
#ifndef SLIPWAY_HOST_ADDRESS_NATIVE_H
#define SLIPWAY_HOST_ADDRESS_NATIVE_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "error.h"

struct addrinfo;

/* What may follow the port, each after a comma (host.h says what they mean). */
struct address_flags {
    bool ipv4, ipv6, dual, keep_alive;
    unsigned port, to; /* to: 0 or the last port to try */
};

/* "HOST:PORT[,...]" -> addresses, to be freed with freeaddrinfo. An empty host is any address if
 * @passive, and the local host otherwise; "[...]" is an IPv6 address. @what: for messages. */
bool address_resolve(const char *what, const char *spec, int socktype, bool passive,
                     struct addrinfo **list, struct address_flags *flags, struct error *err);
/* "1.2.3.4:5", "[::1]:5", a path; "" if it is none of these. */
void address_text(const struct sockaddr *a, socklen_t len, char *buf, size_t size);
/* A Unix socket's address. */
bool address_unix(const char *what, const char *path, struct sockaddr_un *a, struct error *err);
/* Removes a socket file that nobody listens on: left over from a process that died. */
void address_remove_stale(const struct sockaddr_un *a);

#endif
