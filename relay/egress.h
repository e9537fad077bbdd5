/*
 * The egress filter's view of an address: which host it means, and what kind of network that host
 * is in. Pure: no resolver, no sockets, no configuration.
 */
#ifndef SLIPWAY_RELAY_EGRESS_H
#define SLIPWAY_RELAY_EGRESS_H

#include "relay/protocol.h"

/* Ordered: of two classes of one address the later one counts. Only PUBLIC is open by default. */
enum egress_class {
    EGRESS_PUBLIC,
    EGRESS_TUNNEL, /* 6to4, Teredo, ISATAP to a public IPv4 address */
    EGRESS_DOCUMENTATION,
    EGRESS_BENCHMARK,
    EGRESS_RESERVED, /* by IANA or for protocols; not an address at all */
    EGRESS_SHARED,   /* carrier-grade NAT */
    EGRESS_PRIVATE,  /* also unique local, site-local and local NAT64 */
    EGRESS_MULTICAST,
    EGRESS_BROADCAST,
    EGRESS_LINK_LOCAL,
    EGRESS_UNSPECIFIED, /* Linux connects it to itself */
    EGRESS_LOOPBACK,
    EGRESS_METADATA, /* credentials of a cloud's machine */
    EGRESS_CLASSES
};

/* The class of @addr, and in @dial the only address that may be connected to after this check: an
 * IPv4 address in IPv6 clothes (mapped, compatible, translated, NAT64) becomes that IPv4 address.
 * The port is kept. @dial may be @addr. A family other than 4 and 6 is RESERVED. */
enum egress_class egress_check(const struct relay_address *addr, struct relay_address *dial);
/* "public", "link-local"; for logs and the configuration. "?" if there is none. */
const char *egress_class_name(unsigned class);

#endif
