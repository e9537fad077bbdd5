/*
 * A netdev whose frames travel in a byte stream: what -netdev socket (listen=, connect=, fd=) and
 * -netdev stream have in common.
 */
#ifndef SLIPWAY_NET_STREAM_LINK_H
#define SLIPWAY_NET_STREAM_LINK_H

#include <stdbool.h>

#include "error.h"

struct machine;
struct net_client;
struct net_client_ops;

struct stream_link_options {
    const char *kind, *spec; /* as host_stream_open's */
    bool server;             /* one client after another */
    unsigned reconnect_s;    /* client: tries again so long after it failed or ended; 0: never */
    /* For info network: printf formats with one %s, the other end's address, for a connection that
     * came and one that was made. */
    const char *came, *made;
    const char *where; /* the other end's address, or our own for a server */
};

/* @type: "socket" or "stream". Strings are copied (formats: kept). A server that can't listen is an
 * error; a client that can't connect is only reported, as with QEMU. */
struct net_client *stream_link_new(struct machine *m, const char *type, const char *name,
                                   const struct stream_link_options *o, struct error *err);

#endif
