/*
 * Sockets that a relay has for us: the transport of -netdev user,relay=URL.
 */
#ifndef SLIPWAY_USER_SOCKETS_RELAY_H
#define SLIPWAY_USER_SOCKETS_RELAY_H

#include "net/user/sockets.h"

struct relay_client;

/* The "program" that is a connection to the SMB server of the relay: all that it runs. */
#define USER_RELAY_SMB "smbd-of-the-relay"

/* On @c, which lasts until @release(@opaque) is called, when the transport goes. @label is kept.
 * NULL: out of memory; @release was called then, too. */
struct user_transport *user_relay_transport_new(const char *label, struct relay_client *c,
                                                void (*release)(void *opaque), void *opaque);

#endif
