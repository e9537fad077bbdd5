/*
 * A WebSocket connection: what goes out waits in a queue of messages, what comes in goes to its
 * endpoint, piece by piece.
 */
#ifndef SLIPWAY_RELAY_CONNECTION_H
#define SLIPWAY_RELAY_CONNECTION_H

#include <libwebsockets.h>

#include "relay/relay.h"

struct connection;

/* What is behind a path. */
struct endpoint {
    const char *path; /* the whole path, or its beginning if it ends in '/' */
    bool compatibility;
    /* What should an Origin that isn't allowed get: a message of the protocol, or status 403? */
    bool tells_origin;
    /* A new connection; @rest: what follows `path`. The owner, which the others get; NULL: it was
     * closed. */
    void *(*open)(struct connection *c, const char *rest, bool good_origin);
    /* Bytes of a message; @last: it ends here. */
    void (*receive)(void *owner, const uint8_t *data, size_t len, bool binary, bool last);
    /* The queue, which was full, has room again. */
    void (*writable)(void *owner);
    /* The connection is gone. */
    void (*closed)(void *owner);
};

/* A message on its way out. */
struct outgoing {
    struct outgoing *next;
    size_t len, room;
    size_t last;    /* where the last message of our protocol in it begins; its sender's to use */
    uint8_t data[]; /* LWS_PRE bytes, then the message */
};

enum {
    CONNECTION_FULL = 256 << 10,  /* bytes in the queue above which senders should wait */
    CONNECTION_LOW = 64 << 10,    /* below which they go on */
    CONNECTION_MOST = 4 << 20,    /* which nobody needs who reads at all: the connection ends */
    CONNECTION_PIECE = 256 << 10, /* bytes that a stream is read in at most */
};

struct connection {
    struct relay *relay;
    struct lws *wsi;
    const struct endpoint *endpoint;
    void *owner;
    char peer[64];     /* its address, for the log */
    uint64_t peer_key; /* in relay->by_address */
    struct outgoing *head, *tail;
    size_t queued; /* bytes, with what the blocks themselves cost */
    bool was_full;
    bool closing; /* after the queue; nothing is received any more */
    bool close_sent;
    uint16_t close_code;
    const struct policy *policy; /* whose rates count; NULL: none yet */
    uint64_t rate_at;            /* ms; when the allowances below were right */
    int64_t bytes_left, frames_left;
    struct timer *rate_timer; /* running: it waits for its allowance */
    bool held;
    bool paused; /* connection_pause() */
};

struct connection *connection_new(struct relay *relay, struct lws *wsi,
                                  const struct endpoint *endpoint);
/* How many connections has the address on the other side of this socket? */
size_t connections_of_peer(const struct relay *relay, int fd);
/* Called by the server. connection_write() returns what its callback must. */
void connection_received(struct connection *c, const uint8_t *data, size_t len, bool binary,
                         bool last);
int connection_write(struct connection *c);
int connection_peer_closes(struct connection *c, const uint8_t *data, size_t len);
void connection_free(struct connection *c);

/* @len bytes of room behind what is queued, in the last message if @join and it can take them, else
 * in a new one. NULL: too much is queued, or no memory: the connection is being closed. Only until
 * the next call of anything here. */
uint8_t *connection_reserve(struct connection *c, size_t len, bool join);
/* So many of them are there now. */
void connection_commit(struct connection *c, size_t len);
/* CONNECTION_PIECE bytes to read into, which are everybody's; NULL: no memory.
 * connection_send_piece() sends the first @len of them, joined with others if @join and they are
 * few. False: the connection is being closed. */
uint8_t *connection_piece(struct connection *c);
bool connection_send_piece(struct connection *c, size_t len, bool join);
static inline bool connection_is_full(const struct connection *c)
{
    return c->queued >= CONNECTION_FULL;
}
/* Sends what is queued, then a close of that code (RFC 6455 7.4), and no more. */
void connection_close(struct connection *c, uint16_t code);
/* Throws away what is queued and hasn't begun. */
void connection_drop_queue(struct connection *c);
/* The rates of @p count from here on. */
void connection_limit(struct connection *c, const struct policy *p);
/* Reads nothing more of the client until it is called again with false. What was read already (one
 * read of the socket) still comes, later. */
void connection_pause(struct connection *c, bool on);
/* The client sent so many Ethernet frames. */
void connection_count_frames(struct connection *c, unsigned n);

#endif
