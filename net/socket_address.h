/*
 * QAPI's SocketAddress as options have it (addr.type=inet,addr.host=...), for -netdev stream and
 * dgram.
 */
#ifndef SLIPWAY_NET_SOCKET_ADDRESS_H
#define SLIPWAY_NET_SOCKET_ADDRESS_H

#include "error.h"

struct keyval;

enum socket_address_type { SOCKET_NONE, SOCKET_INET, SOCKET_UNIX, SOCKET_FD };

struct socket_address {
    enum socket_address_type type; /* SOCKET_NONE: no such options */
    const char *kind;              /* as host_stream_open's: "tcp", "unix", "abstract" ..., "fd" */
    const char *host;              /* inet; not in brackets */
    char spec[400];                /* as host_stream_open's */
    char where[300]; /* the address alone: "127.0.0.1:5", "[::1]:5", a path, a number */
};

/* The options that begin with "@prefix."; they were checked against the table of the netdev. */
bool socket_address_parse(struct socket_address *a, const char *prefix, const struct keyval *args,
                          struct error *err);

#endif
