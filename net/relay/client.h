/*
 * The client's end of the relay protocol (docs/relay-protocol.md): one connection to a relay with
 * its channels, as a state machine without I/O. Around it are a WebSocket and a clock (link.c, or a
 * test); on it sit netdevs (ether.c) and the sockets of the user-mode network (sockets_relay.c).
 *
 * The WebSocket. ops->connect asks for one; the outside answers with relay_client_connected() or
 * relay_client_disconnected(), hands in each binary message, and takes batches through ops->send.
 * What the client has to say is gathered and goes out with relay_client_flush(), which ops->pending
 * asks for.
 *
 * Channels. relay_channel_open() gives a handle at once, whatever the connection does just now: the
 * OPEN goes out when it can. A tcp channel ends with the connection (closed, ECONNRESET); all
 * others are opened again by themselves, and in between nothing can be sent. A handle is its
 * owner's until relay_channel_close(); callbacks never come from inside of a call on the same
 * channel, and a callback may close any channel.
 *
 * Credit. What came costs credit until relay_channel_done(). What can't be sent for want of credit
 * or since the WebSocket is full isn't taken (the functions say so), and ops->writable follows.
 */
#ifndef SLIPWAY_NET_RELAY_CLIENT_H
#define SLIPWAY_NET_RELAY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "relay/protocol.h"

struct relay_client;
struct relay_channel;

enum relay_state {
    RELAY_CONNECTING, /* the WebSocket is being opened */
    RELAY_GREETING,   /* HELLO is out */
    RELAY_UP,
    RELAY_WAITING, /* until the next attempt */
    RELAY_ENDED,   /* for good: relay_client_status() says why */
};

struct relay_client_ops {
    void (*connect)(void *opaque);
    void (*disconnect)(void *opaque, unsigned code); /* RFC 6455 7.4; nothing more comes of it */
    void (*send)(void *opaque, const uint8_t *batch, size_t len);
    size_t (*backlog)(void *opaque);            /* bytes sent that are still in memory */
    void (*pending)(void *opaque);              /* relay_client_flush() soon, not from here */
    void (*timer)(void *opaque, int64_t at_ns); /* relay_client_tick() then, on now's clock */
    int64_t (*now)(void *opaque);               /* ns */
    void (*random)(void *opaque, void *buf, size_t len);
    void (*log)(void *opaque, const char *line); /* for the user: lost, back, over */
};

/* @token: NULL or "" for none; copied. Begins to connect when relay_client_start() is called. */
struct relay_client *relay_client_new(const char *token, const struct relay_client_ops *ops,
                                      void *opaque);
void relay_client_start(struct relay_client *c);
/* Says goodbye if it is up. All channels must have been closed by their owners. */
void relay_client_free(struct relay_client *c);

void relay_client_connected(struct relay_client *c);
/* A message; @binary false: text, which is an error. */
void relay_client_received(struct relay_client *c, bool binary, const uint8_t *data, size_t len);
/* It ended, or couldn't be had. @code: of RFC 6455; @why: for people, "": nothing to say. */
void relay_client_disconnected(struct relay_client *c, unsigned code, const char *why);
void relay_client_flush(struct relay_client *c);
void relay_client_tick(struct relay_client *c);

enum relay_state relay_client_state(const struct relay_client *c);
/* "connected", "connecting", "waiting: Connection refused", "BAD_TOKEN: ...". */
const char *relay_client_status(const struct relay_client *c);
/* Of this client's channels: how many there are. */
unsigned relay_client_channels(const struct relay_client *c);

struct relay_channel_ops {
    /* It is open (@error 0; @local: family 0 if it has none) or can't be had (enum relay_errno);
     * comes again after each reconnection, not for tcp. */
    void (*opened)(void *opaque, uint16_t error, const struct relay_address *local);
    /* DATA, URGENT, SHUT, FRAMES, DGRAMS, UNREACH, ANSWER. */
    void (*message)(void *opaque, const struct relay_message *m);
    /* Over: the other end closed it or reset it (@error). tcp, or what the server gave up. */
    void (*closed)(void *opaque, uint16_t error);
    /* The connection is lost; opened() comes again. Not for tcp. Optional. */
    void (*lost)(void *opaque);
    /* After something wasn't taken. */
    void (*writable)(void *opaque);
    /* listen: relay_channel_accept() or relay_channel_close() it, now or later. */
    void (*accept)(void *opaque, struct relay_channel *incoming, const struct relay_address *peer,
                   const struct relay_address *local);
};

/* @o->room is copied. NULL: out of memory, too many, or the client has ended. */
struct relay_channel *relay_channel_open(struct relay_client *c, const struct relay_open *o,
                                         const struct relay_channel_ops *ops, void *opaque);
/* False: it is over already; it still has to be closed. */
bool relay_channel_accept(struct relay_channel *ch, const struct relay_channel_ops *ops,
                          void *opaque);
/* The owner is done with it; @error not 0: a reset. What it sent before still goes out. */
void relay_channel_close(struct relay_channel *ch, uint16_t error);
bool relay_channel_is_open(const struct relay_channel *ch);

/* Bytes taken, 0 to @len. */
size_t relay_send_data(struct relay_channel *ch, const void *data, size_t len);
bool relay_send_urgent(struct relay_channel *ch, uint8_t byte);
/* The end of our direction. */
void relay_send_shut(struct relay_channel *ch);
bool relay_send_frame(struct relay_channel *ch, const void *data, size_t len);
bool relay_send_dgram(struct relay_channel *ch, const struct relay_address *to, const void *data,
                      size_t len);
bool relay_send_query(struct relay_channel *ch, uint32_t id, const void *dns, size_t len);
/* Could something be sent now? If not, writable() follows. */
bool relay_can_send(struct relay_channel *ch);
/* @n bytes of what came (relay_cost()) were dealt with. */
void relay_channel_done(struct relay_channel *ch, uint32_t n);

#endif
