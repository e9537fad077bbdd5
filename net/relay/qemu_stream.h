/*
 * Frames in QEMU's stream format over a plain WebSocket: -netdev stream,relay=URL,protocol=qemu. At
 * the other end is a websockify in front of a QEMU's -netdev socket,listen=, or a relay's
 * /qemu/ROOM.
 */
#ifndef SLIPWAY_NET_RELAY_QEMU_STREAM_H
#define SLIPWAY_NET_RELAY_QEMU_STREAM_H

#include "error.h"

struct machine;
struct net_client;
struct net_client_ops;

/* @type: of the netdev. Connects in the background, again and again. */
struct net_client *relay_qemu_new(struct machine *m, const char *type, const char *name,
                                  const char *url, struct error *err);

#endif
