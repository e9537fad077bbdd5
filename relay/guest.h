/*
 * What the endpoints for other programs' clients (/wisp/, /ether/ROOM, /qemu/ROOM) have in common:
 * who the client is. Their protocols carry no token, so it may stand in the URL: ?token=... When it
 * expires the connection ends.
 */
#ifndef SLIPWAY_RELAY_GUEST_H
#define SLIPWAY_RELAY_GUEST_H

#include "relay/connection.h"

struct guest {
    struct connection *connection;
    struct policy *policy;
    bool token;           /* has one */
    struct timer *expiry; /* of the token; NULL: none */
};

/* False: not allowed, and the connection is being closed. */
bool guest_open(struct guest *g, struct connection *c);
void guest_close(struct guest *g);

extern const struct endpoint wisp_endpoint, ether_endpoint, qemu_endpoint;

#endif
