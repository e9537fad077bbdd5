/*
 * The relay: what its parts share. One process, one thread, one libuv loop, on which libwebsockets
 * runs too. Nothing here is global; every part reaches this through its own pointer.
 */
#ifndef SLIPWAY_RELAY_RELAY_H
#define SLIPWAY_RELAY_RELAY_H

#include <uv.h>

#include "relay/config.h"
#include "relay/metrics.h"

struct server;

struct relay {
    uv_loop_t loop;
    struct config *config;
    const char *config_file; /* NULL: none */
    char *const *settings;   /* the command line's keys and values, for reloads */
    size_t n_settings;
    struct metrics metrics;
    struct server *server; /* listening sockets, HTTP, WebSocket: server.h */
    bool stopping;
};

#endif
