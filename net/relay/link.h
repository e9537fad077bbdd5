/*
 * A machine's relays: one connection for each URL and token, shared by all netdevs that name it.
 */
#ifndef SLIPWAY_NET_RELAY_LINK_H
#define SLIPWAY_NET_RELAY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"

struct machine;
struct relay_client;
struct relay_link;

/* @url, with @path if it has none; @url without user, password and query, which may be secrets.
 * To be freed; NULL: out of memory. */
char *relay_url_full(const char *url, const char *path);
char *relay_url_shown(const char *url);

/* The machine's connection to @url (ws://HOST[:PORT][/PATH], wss:, http:, https:; without a path
 * /slipway; in a browser also a path alone), begun if it isn't there. @token: NULL for none. NULL:
 * @err, which doesn't contain the token. Each get needs a put; before that, all channels of the
 * caller must be closed. */
struct relay_link *relay_link_get(struct machine *m, const char *url, const char *token,
                                  struct error *err);
void relay_link_put(struct relay_link *l);
struct relay_client *relay_link_client(struct relay_link *l);
/* For info network: "relay=ws://host:9000/slipway (connected)". */
void relay_link_describe(const struct relay_link *l, char *buf, size_t len);
/* An errno of the relay (enum relay_errno) in words. */
const char *relay_reason(uint16_t error);

#endif
