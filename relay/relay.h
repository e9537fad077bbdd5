/*
 * The relay: what its parts share. One process, one thread, one libuv loop, on which libwebsockets
 * runs too. Nothing here is global; every part reaches this through its own pointer.
 */
#ifndef SLIPWAY_RELAY_RELAY_H
#define SLIPWAY_RELAY_RELAY_H

#include <uv.h>

#include "relay/config.h"
#include "relay/metrics.h"
#include "relay/table.h"

struct server;
struct session;
struct room;
struct resolver;
struct attachment;
struct connections;
struct tcp_gather;

struct relay {
    uv_loop_t loop;
    struct config *config;
    const char *config_file; /* NULL: none */
    char *const *settings;   /* the command line's keys and values, for reloads */
    size_t n_settings;
    struct metrics metrics;
    struct server *server;           /* listening sockets, HTTP, WebSocket: server.h */
    struct secret *secret;           /* of tokens; NULL: none */
    struct session *sessions;        /* all; session.h */
    struct table by_id;              /* those that have been named to a client */
    struct connections *connections; /* what they share: connection.h */
    struct tcp_gather *gather;       /* writes of this moment: tcp.h */
    struct table by_address;         /* connections of an address: connection.c */
    struct room *rooms;              /* all; room.h */
    struct attachment *attachments;  /* attach.h */
    struct resolver *resolver;       /* resolver.h */
    struct smb *smb;                 /* smb.h; NULL: nothing is shared */
    uint64_t denied_second;          /* outbound.c: how much of it was logged lately */
    unsigned denied_logged;
    uint64_t reserved; /* bytes of memory, of all clients */
    struct timer *ticks, *end;
    bool stopping;
};

#endif
