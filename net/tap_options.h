/*
 * The options of -netdev tap and bridge, the same on every platform.
 */
#ifndef SLIPWAY_NET_TAP_OPTIONS_H
#define SLIPWAY_NET_TAP_OPTIONS_H

#include "net/netdev.h"

extern const struct netdev_option tap_options[], bridge_options[];

/* Makes the client of each; tap_native.c, or tap_wasm.c, where it is an error. */
struct net_client *tap_create(struct machine *m, const char *name, const struct keyval *args,
                              struct error *err);
struct net_client *bridge_create(struct machine *m, const char *name, const struct keyval *args,
                                 struct error *err);

#endif
