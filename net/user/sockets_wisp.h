/*
 * Sockets through a server of Wisp version 1: the transport of -netdev user,relay=URL,
 * protocol=wisp.
 */
#ifndef SLIPWAY_USER_SOCKETS_WISP_H
#define SLIPWAY_USER_SOCKETS_WISP_H

#include "net/user/sockets.h"

/* @url: ws://HOST[:PORT][/PATH]; without a path /wisp/, and it ends in '/'. Connects in the
 * background, again and again. @label is kept. NULL: @err. */
struct user_transport *user_wisp_transport_new(const char *label, const char *url,
                                               struct error *err);
/* For info network: "relay=ws://host/wisp/,protocol=wisp (connected)". */
void user_wisp_describe(const struct user_transport *t, char *buf, size_t len);

#endif
