/*
 * What client.c (the connection) and channel.c (its channels) share.
 */
#ifndef SLIPWAY_NET_RELAY_CLIENT_IMPL_H
#define SLIPWAY_NET_RELAY_CLIENT_IMPL_H

#include "net/relay/client.h"

enum { CHANNEL_BUCKETS = 256, CHANNELS_MAX = 4096, STATUS_MAX = 400 };

enum channel_state {
    CHANNEL_QUEUED,    /* OPEN goes out once the connection is up */
    CHANNEL_OPENING,   /* OPEN is out */
    CHANNEL_ACCEPTING, /* ACCEPT came, our ACCEPTED is to go */
    CHANNEL_OPEN,
    CHANNEL_CLOSING, /* our CLOSE is out, theirs isn't here */
    CHANNEL_DEAD,    /* the number is free; the handle is its owner's still */
};

struct relay_channel {
    struct relay_client *client;
    uint32_t number;
    struct relay_open open; /* kind, window, address ...; open.room points to room */
    char room[RELAY_ROOM_MAX];
    enum channel_state state;
    bool owned;
    bool blocked; /* something wasn't taken: writable() is due */
    bool shut_sent, shut_received;
    bool unanswered; /* CLOSING: it was OPENING, so OPENED may still come */
    struct relay_credit credit;
    const struct relay_channel_ops *ops;
    void *opaque;
    struct relay_channel *next, **prev; /* all of the client's */
    struct relay_channel *bucket;       /* the next one of the same hash */
};

struct relay_client {
    const struct relay_client_ops *ops;
    void *opaque;
    char *token;
    enum relay_state state;
    char status[STATUS_MAX];
    bool started;

    /* the session */
    bool has_session;
    uint8_t session[RELAY_SESSION], key[RELAY_SESSION];
    int64_t keepalive_ns, resume_ns;
    uint32_t max_channels;

    /* attempts */
    unsigned attempts;   /* since it was up for a while */
    bool reported;       /* the user knows that it is away */
    int64_t deadline_ns; /* of the attempt, or of the wait */
    int64_t up_ns, lost_ns, sent_ns, received_ns;
    int64_t timer_ns; /* what ops->timer was told */

    /* what goes out; RELAY_BATCH_MAX bytes */
    uint8_t *out;
    size_t out_len;
    size_t tail;    /* where its last message begins */
    bool tail_open; /* that may grow; it is bulk of ... */
    const struct relay_channel *tail_channel;
    struct relay_batch growing; /* it, if it is FRAMES or DGRAMS */
    bool asked;                 /* ops->pending was called */
    bool stuck;                 /* the WebSocket was too full for a batch */

    struct relay_channel *channels, *cursor; /* cursor: of a walk that callbacks may change */
    struct relay_channel *buckets[CHANNEL_BUCKETS];
    unsigned count;
    uint32_t next_number;
    bool any_blocked;
};

/* ---- client.c ---- */

/* Puts @msg behind what is to be sent; it always fits. */
void client_put(struct relay_client *c, const struct relay_message *msg);
/* May @len more bytes of bulk (DATA, FRAMES ...) be put in? Makes room if the WebSocket takes it.
 */
bool client_room(struct relay_client *c, size_t len);
/* Something was put in by hand. */
void client_ask_flush(struct relay_client *c);

/* ---- channel.c ---- */

/* A message with a channel. */
enum relay_error channel_received(struct relay_client *c, const struct relay_message *m);
/* WELCOME came: what waits or has to come back is opened. */
void channels_up(struct relay_client *c);
/* The connection broke. */
void channels_lost(struct relay_client *c);
/* An attempt failed (@error), or no more will be made (@ended): what waits for a connection isn't
 * had. */
void channels_refused(struct relay_client *c, uint16_t error, bool ended);
/* There is room again. */
void channels_writable(struct relay_client *c);

#endif
