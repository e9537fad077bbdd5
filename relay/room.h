/*
 * Rooms: Ethernet switches that learn addresses. Members come as ports; what they are (a client's
 * channel, a TAP, a connection to a QEMU) a room doesn't know.
 */
#ifndef SLIPWAY_RELAY_ROOM_H
#define SLIPWAY_RELAY_ROOM_H

#include "relay/protocol.h"
#include "relay/relay.h"

struct room;

struct port {
    /* A frame for it, RELAY_FRAME_MIN to RELAY_FRAME_MAX bytes; false: it was dropped. */
    bool (*deliver)(struct port *p, const uint8_t *frame, size_t len);
    struct room *room;
    struct port *next, *previous;
    unsigned macs; /* learned from it */
};

/* 1 to RELAY_ROOM_MAX letters, digits, '.', '_', '-', no '.' in front? */
bool room_name_valid(struct relay_bytes name);
/* Joins, and makes the room if need be. 0, EMFILE: full. */
int room_join(struct relay *relay, struct port *p, struct relay_bytes name);
/* Leaves; what was learned from it is forgotten; an empty room goes. */
void room_leave(struct port *p);
/* Is that its name? */
bool room_is(const struct room *r, struct relay_bytes name);
/* A frame from @p to those whom it concerns. */
void room_send(struct port *p, const uint8_t *frame, size_t len);

#endif
