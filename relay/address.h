/*
 * The protocol's addresses as the system's.
 */
#ifndef SLIPWAY_RELAY_ADDRESS_H
#define SLIPWAY_RELAY_ADDRESS_H

#include <sys/socket.h>

#include "relay/protocol.h"

/* Fills @out; its length. */
socklen_t address_to_system(const struct relay_address *a, struct sockaddr_storage *out);
/* A v4-mapped IPv6 address becomes IPv4; an address of another family has family 0. */
void address_from_system(struct relay_address *a, const struct sockaddr_storage *in);
/* The same family, port and address. */
bool address_same(const struct relay_address *a, const struct relay_address *b);
/* The own address of a socket. */
void address_of_socket(struct relay_address *a, int fd);

/* @fd is to listen at, or be connected to, @a: if that is this machine itself, it needs nothing of
 * what TCP has for networks. */
void address_tune(int fd, const struct relay_address *a);

#endif
