/*
 * A netdev whose frames go to a BroadcastChannel: a bus between PCs in tabs and frames of one web
 * site (-netdev socket,channel=NAME).
 */
#ifndef SLIPWAY_NET_CHANNEL_LINK_H
#define SLIPWAY_NET_CHANNEL_LINK_H

#include "error.h"

struct machine;
struct net_client;

struct net_client *channel_link_new(struct machine *m, const char *type, const char *name,
                                    const char *channel, struct error *err);

#endif
