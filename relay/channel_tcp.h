/*
 * What listen channels hand over to tcp channels.
 */
#ifndef SLIPWAY_RELAY_CHANNEL_TCP_H
#define SLIPWAY_RELAY_CHANNEL_TCP_H

#include "relay/channel.h"

/* A connection came in on a listen channel: sends ACCEPT. False: refused, @fd is closed. */
bool channel_tcp_accept(struct channel *listener, int fd, const struct relay_address *peer,
                        const struct relay_address *local);

#endif
