/*
 * A netdev whose frames go to a room of a relay: what -netdev tap, bridge, socket, stream and dgram
 * become with relay=.
 */
#ifndef SLIPWAY_NET_RELAY_ETHER_H
#define SLIPWAY_NET_RELAY_ETHER_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

struct keyval;
struct machine;
struct net_client;

/* The options of such a netdev: rows of its table. */
#define RELAY_OPTIONS                                                                              \
    { "relay", NETDEV_STRING, "URL", "go through that relay (ws://HOST:PORT, wss://HOST)", 0 },    \
    {                                                                                              \
        "token", NETDEV_STRING, "TOKEN", "what the relay lets this PC in for", 0                   \
    }
#define RELAY_ROOM_OPTIONS                                                                         \
    RELAY_OPTIONS, { "room", NETDEV_STRING, "NAME", "the relay's room to plug into", 0 },          \
    {                                                                                              \
        "protocol", NETDEV_STRING, "slipway|qemu",                                                 \
            "qemu: bare frames, for websockify or a relay's /qemu/ROOM", 0                         \
    }

/* The netdevs that can have relay=, as their clients' tables: OPS(type) makes one's. */
#define RELAY_NETDEVS(OPS) OPS("tap"), OPS("bridge"), OPS("socket"), OPS("stream"), OPS("dgram")
/* One of them, of the functions of these names in a file. */
#define RELAY_CLIENT(t)                                                                            \
    {                                                                                              \
        .type = t, .receive = receive, .writable = writable, .describe = describe,                 \
        .cleanup = cleanup                                                                         \
    }
/* Where @type stands in RELAY_NETDEVS. */
size_t relay_netdev_index(const char *type);

/* Is one of these options among @args? */
bool relay_ether_wanted(const struct keyval *args);
/* @type: of the netdev. @room_key: the option whose value, with '-' for ':', is the room's name
 * without room=; NULL: there is none. All others would mean something at the relay, where its
 * configuration says so. */
struct net_client *relay_ether_new(struct machine *m, const char *type, const char *name,
                                   const struct keyval *args, const char *room_key,
                                   struct error *err);

#endif
