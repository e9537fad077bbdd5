/*
 * A netdev whose frames go through a socket at a relay: what -netdev socket (connect=, listen=,
 * udp=), stream and dgram (type inet) are with relay= and no room.
 */
#ifndef SLIPWAY_NET_RELAY_SOCKET_LINK_H
#define SLIPWAY_NET_RELAY_SOCKET_LINK_H

#include "error.h"

struct keyval;
struct machine;
struct net_client;

enum relay_socket_kind { RELAY_SOCKET_CONNECT, RELAY_SOCKET_LISTEN, RELAY_SOCKET_UDP };

struct relay_socket_options {
    enum relay_socket_kind kind;
    const char *remote; /* connect, udp: "ADDRESS:PORT", "[ADDRESS6]:PORT"; copied */
    const char *local;  /* listen, udp: "[ADDRESS]:PORT", no address: any */
};

/* @type: "socket", "stream" or "dgram"; @args: relay=, token= are taken from there, room= and
 * protocol= are errors. */
struct net_client *relay_socket_new(struct machine *m, const char *type, const char *name,
                                    const struct relay_socket_options *o, const struct keyval *args,
                                    struct error *err);

#endif
