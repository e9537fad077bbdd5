/*
 * Addresses for names that only the other end of a tunnel can look up: each name that the guest
 * asks for gets one of 198.18.0.0/15 (RFC 2544: networks under test), and a connection to that
 * address is made by name. For transports without a resolver (Wisp).
 */
#ifndef SLIPWAY_USER_MADE_NAMES_H
#define SLIPWAY_USER_MADE_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct made_names;

struct made_names *made_names_new(void);
void made_names_free(struct made_names *n);
/* The answer to a DNS message (RFC 1035 4.1) of @len bytes: an address for questions of type A,
 * nothing for others. Its length, at most @room; 0: it isn't one question. */
size_t made_names_answer(struct made_names *n, const uint8_t *dns, size_t len, uint8_t *answer,
                         size_t room);
/* The name that @addr was made for; NULL: none. */
const char *made_names_find(const struct made_names *n, const struct sockaddr_storage *addr);

#endif
