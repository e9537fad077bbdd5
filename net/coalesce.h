/*
 * Makes one large TCP segment of many that come together, for a card that takes large ones (what
 * Linux calls GRO): its driver and the guest's TCP then do their work once for all of them.
 */
#ifndef SLIPWAY_NET_COALESCE_H
#define SLIPWAY_NET_COALESCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_client;

/* All zeros: empty. */
struct net_coalescer {
    uint8_t *frame; /* the segments so far, as one */
    size_t len;     /* 0: none */
    size_t size;    /* payload of each but the last */
    unsigned count;
    bool complete; /* nothing more can be added */
};

/* net_send() of a finished frame by @nc, perhaps later: net_coalesce_flush() must follow when there
 * are no more frames for now. False: the peer is full, @data wasn't taken, writable() follows. */
bool net_coalesce(struct net_coalescer *c, struct net_client *nc, const uint8_t *data, size_t len);
/* Sends what is kept. False: the peer is full, writable() follows; then call it again. */
bool net_coalesce_flush(struct net_coalescer *c, struct net_client *nc);
/* Forgets what is kept. */
void net_coalesce_reset(struct net_coalescer *c);
void net_coalesce_free(struct net_coalescer *c);

#endif
