/*
 * The name server of a transport that has no sockets to ask one with: DNS messages from the guest,
 * over UDP and TCP, are matched with the answers that come from elsewhere (a relay's dns channel).
 */
#ifndef SLIPWAY_USER_DNS_PROXY_H
#define SLIPWAY_USER_DNS_PROXY_H

#include "net/user/soft.h"

struct dns_proxy;

/* Sends query @id; false: not now, dns_proxy_send_waiting() comes. */
typedef bool dns_proxy_send_fn(void *opaque, uint32_t id, const void *dns, size_t len);

struct dns_proxy *dns_proxy_new(dns_proxy_send_fn *send, void *opaque);
void dns_proxy_free(struct dns_proxy *d);

/* The addresses that stand for it: 240.0.0.53 and 100::53, which lead nowhere otherwise. */
void dns_proxy_address(int family, struct sockaddr_storage *addr);
bool dns_proxy_is(const struct sockaddr_storage *addr);

/* A message of @s, a datagram channel or a stream, to that name server at @to. */
void dns_proxy_query(struct dns_proxy *d, struct user_soft *s, const struct sockaddr_storage *to,
                     const void *dns, size_t len);
/* Bytes of a stream to it: messages with their length in front (4.2.2). *@part, *@fill: what has
 * come of one, in a block that the caller frees. @len, or -ENOMEM. */
ssize_t dns_proxy_stream(struct dns_proxy *d, struct user_soft *s, uint8_t **part, size_t *fill,
                         const uint8_t *buf, size_t len);
/* Query @id has an answer; @len 0: there is none, @failed: and the guest is told so (SERVFAIL). */
void dns_proxy_answer(struct dns_proxy *d, uint32_t id, bool failed, const void *dns, size_t len);
/* What couldn't be sent goes now. */
void dns_proxy_send_waiting(struct dns_proxy *d);
/* Nothing that was sent will be answered any more. */
void dns_proxy_reset(struct dns_proxy *d);
/* All that waits fails. */
void dns_proxy_fail_all(struct dns_proxy *d);
/* @s goes. */
void dns_proxy_forget(struct dns_proxy *d, const struct user_soft *s);

#endif
