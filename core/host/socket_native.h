/*
 * Stream sockets as descriptors: made for stream_native.c. Kinds and specs are host_stream_open's.
 */
#ifndef SLIPWAY_HOST_SOCKET_NATIVE_H
#define SLIPWAY_HOST_SOCKET_NATIVE_H

#include <stdbool.h>

#include "error.h"

/* Is @kind one of "tcp", "unix", "abstract", "abstract-padded"? */
bool socket_kind(const char *kind);
/* All of these return a descriptor (non-blocking, close-on-exec), or -1 and @err. */
int socket_listen(const char *kind, const char *spec, struct error *err);
int socket_connect(const char *kind, const char *spec, struct error *err); /* waits for it */
/* The socket that the process was given as descriptor number @spec: one that listens, or not. */
int socket_given(const char *spec, bool listening, struct error *err);

/* Connects in the background: @done gets the descriptor, or -1 and why not, from the loop, once;
 * the connector is gone then. */
struct socket_connector;
struct socket_connector *socket_connect_later(const char *kind, const char *spec,
                                              void (*done)(void *opaque, int fd, const char *error),
                                              void *opaque, struct error *err);
void socket_connect_cancel(struct socket_connector *c);

#endif
