/*
 * What the configuration attaches to rooms besides clients: networks of the host (TAP) and sockets
 * as QEMU's -netdev socket has them. Written as QEMU writes them:
 *
 *   tap,ifname=NAME[,bridge=NAME][,script=FILE|no][,downscript=FILE|no]
 *   socket,listen=ADDRESS:PORT         socket,connect=ADDRESS:PORT
 *   socket,mcast=ADDRESS:PORT[,localaddr=ADDRESS]
 *   socket,udp=ADDRESS:PORT,localaddr=ADDRESS:PORT
 */
#ifndef SLIPWAY_RELAY_ATTACH_H
#define SLIPWAY_RELAY_ATTACH_H

#include "relay/relay.h"
#include "relay/room.h"

/* What is in front of the comma, and the options after it; NULL: not given. */
struct attach_options {
    char *kind;
    char *ifname, *bridge, *script, *downscript;
    char *listen, *connect, *mcast, *udp, *localaddr;
};

struct attachment {
    struct attachment *next;
    struct relay *relay;
    char *room;
    bool runs_program;                   /* at its end */
    void (*close)(struct attachment *a); /* and frees it */
};

/* Opens all that the configuration has; needs the privileges for it. */
bool attach_all(struct relay *relay, struct error *err);
void detach_all(struct relay *relay);
/* Will detach_all() wait for children? */
bool attachments_run_programs(const struct relay *relay);
/* Are all of the configuration's good to look at? */
bool attach_check(const struct config *c, struct error *err);

/* The kinds. NULL and @err: can't. */
struct attachment *attach_tap(struct relay *relay, const char *room, const struct attach_options *o,
                              struct error *err);
struct attachment *attach_stream(struct relay *relay, const char *room,
                                 const struct attach_options *o, struct error *err);
struct attachment *attach_dgram(struct relay *relay, const char *room,
                                const struct attach_options *o, struct error *err);
struct relay_bytes room_name(const char *name);

#endif
