/*
 * Which pages may connect.
 */
#ifndef SLIPWAY_RELAY_ORIGIN_H
#define SLIPWAY_RELAY_ORIGIN_H

#include "relay/config.h"

/* @origin: the header's value, "" if there was none; @host: that of Host; @tls: this connection's.
 */
bool origin_allowed(const struct config *c, const char *origin, const char *host, bool tls);

#endif
