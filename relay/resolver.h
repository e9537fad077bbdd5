/*
 * DNS: questions of clients, asked as they are, and names of hosts. c-ares on the relay's loop.
 */
#ifndef SLIPWAY_RELAY_RESOLVER_H
#define SLIPWAY_RELAY_RESOLVER_H

#include "relay/protocol.h"
#include "relay/relay.h"

struct resolver;
struct resolver *resolver_new(struct relay *relay, struct error *err);
/* The configuration's servers may be other ones now, or (@config false) those of resolv.conf: if
 * they changed, what is under way fails, and the new ones are asked from now on. */
void resolver_update(struct resolver *r, bool config);
/* All that is under way ends without a callback. */
void resolver_free(struct resolver *r);

struct query;
/* @error: 0, or an errno (ETIMEDOUT, EIO) and no answer. */
typedef void query_fn(void *owner, int error, const uint8_t *answer, size_t len);
/* Asks a DNS message; its answer has its id. Exactly one callback, perhaps before this returns,
 * unless it is cancelled. NULL: it was called already. @asker: the client's address (peer_key), of
 * which there are only so many at a time. */
struct query *query_send(struct resolver *r, uint64_t asker, const uint8_t *question, size_t len,
                         query_fn *done, void *owner);
/* The addresses of a host. @n 0: there are none, or it failed. */
typedef void lookup_fn(void *owner, const struct relay_address *addresses, size_t n);
struct query *lookup_host(struct resolver *r, uint64_t asker, const char *name, uint16_t port,
                          lookup_fn *done, void *owner);
/* No callback any more. */
void query_cancel(struct query *q);

#endif
