/*
 * The decision where a client may go: every connection and every datagram out of here passes it.
 */
#ifndef SLIPWAY_RELAY_OUTBOUND_H
#define SLIPWAY_RELAY_OUTBOUND_H

#include "relay/relay.h"

/* The same question without a trace, about where something came from. */
bool outbound_allows(const struct relay *relay, const struct policy *p,
                     const struct relay_address *from);
/* 0: *@dial is the address to use, and no other. EACCES, EPERM: not there; it was logged and
 * counted. @token: are these the permissions of a token? */
int outbound_check(struct relay *relay, const struct policy *p, bool token,
                   const struct relay_address *to, struct relay_address *dial);

#endif
