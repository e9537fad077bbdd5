/*
 * A netdev whose frames travel as datagrams, one bare frame each: what -netdev socket (udp=,
 * mcast=, fd=) and -netdev dgram have in common.
 */
#ifndef SLIPWAY_NET_DGRAM_LINK_H
#define SLIPWAY_NET_DGRAM_LINK_H

#include "error.h"

struct machine;
struct net_client;
struct host_dgram_options;

/* @type: "socket" or "dgram". @info is what info network shows of it. */
struct net_client *dgram_link_new(struct machine *m, const char *type, const char *name,
                                  const struct host_dgram_options *o, bool multicast,
                                  const char *info, struct error *err);

/* "224.0.0.0" to "239.255.255.255". */
bool dgram_is_multicast(const char *host);

#endif
