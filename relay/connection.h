/*
 * A WebSocket connection: what goes out waits in a queue of messages, what comes in goes to its
 * endpoint, piece by piece.
 */
#ifndef SLIPWAY_RELAY_CONNECTION_H
#define SLIPWAY_RELAY_CONNECTION_H

#include <libwebsockets.h>

#include "relay/pipe.h"
#include "relay/relay.h"
#include "relay/websocket.h"
#include "relay/wire.h"

struct connection;
struct watch;

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

/* A frame on its way out. */
struct outgoing {
    struct outgoing *next;
    size_t len, room;
    size_t piped; /* bytes of its payload that are in the pipe, behind those here */
    size_t cost;  /* bytes that it counts for in `queued` */
    size_t last;  /* where the last message of our protocol in it begins; its sender's to use */
    enum websocket_opcode opcode;
    uint8_t header; /* bytes of its header, 0: nothing of it is sent and it may still grow */
    uint8_t data[]; /* CONNECTION_FRONT bytes for the header, then the payload */
};

enum {
    CONNECTION_FRONT = 16,
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
    struct wire wire;
    struct watch *watch;
    struct websocket in;
    struct outgoing *head, *tail;
    size_t sent;        /* bytes of the first frame, its header included */
    size_t queued;      /* bytes of memory */
    struct pipe *pipe;  /* NULL: none now */
    unsigned piped;     /* frames in the queue that have bytes in it */
    bool pipe_is_stale; /* there are bytes of others in it, too */
    bool was_full;
    bool blocked;                       /* the socket takes no more for now */
    bool closing;                       /* we close it: nothing is received any more */
    bool ending;                        /* a close frame is queued: nothing comes behind it */
    bool deaf;                          /* what comes in isn't looked at any more */
    bool peer_closed;                   /* its close frame has come */
    bool shut;                          /* all is sent, and it is told so */
    bool broken;                        /* it has ended */
    bool early;                         /* nothing was looked at yet */
    bool more;                          /* there is more to read without an event */
    bool due;                           /* it is in the list of connections that have work */
    struct connection *next, *previous; /* in that list */
    const struct policy *policy;        /* whose rates count; NULL: none yet */
    uint64_t rate_at;                   /* ms; when the allowances below were right */
    int64_t bytes_left, frames_left;
    struct timer *rate_timer; /* running: it waits for its allowance */
    bool held;
    bool paused;      /* connection_pause() */
    size_t read_most; /* bytes at once */
};

/* What connections share; false: no memory. connections_end() after the last of them. */
bool connections_start(struct relay *relay);
void connections_end(struct relay *relay);
/* From the handshake on the connection is its own: libwebsockets calls nothing but
 * connection_free(), when it has closed it. NULL: no memory, no descriptors, or the handshake's
 * answer is still on its way. */
struct connection *connection_new(struct relay *relay, struct lws *wsi,
                                  const struct endpoint *endpoint);
void connection_free(struct connection *c);
/* The client has sent something before its handshake was answered, and libwebsockets has it. */
void connection_was_early(struct connection *c);
/* How many connections has the address on the other side of this socket? */
size_t connections_of_peer(const struct relay *relay, int fd);

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
/* Where the next bytes of a stream may be put instead, *@most of them at once, to be sent with
 * connection_send_piped() before anything else is; NULL: not here, or not now. */
struct pipe *connection_pipe(struct connection *c, size_t *most);
/* Sends a message of @front and the next @len bytes of the pipe; connection_push(), behind the last
 * of such messages, gives the socket what it takes of them. False: the connection is being closed.
 */
bool connection_send_piped(struct connection *c, const void *front, size_t front_len, size_t len);
void connection_push(struct connection *c);
static inline bool connection_is_full(const struct connection *c)
{
    return c->queued >= CONNECTION_FULL;
}
/* Sends what is queued, then a close of that code (RFC 6455 7.4), and no more. */
void connection_close(struct connection *c, uint16_t code);
/* Throws away what is queued and hasn't begun to be sent. */
void connection_drop_queue(struct connection *c);
/* The rates of @p count from here on. */
void connection_limit(struct connection *c, const struct policy *p);
/* Reads nothing more of the client until it is called again with false. What was read already (one
 * read of the socket) still comes. */
void connection_pause(struct connection *c, bool on);
/* Nor does it read more at once than so many bytes. */
void connection_read_at_most(struct connection *c, uint64_t bytes);
/* The client sent so many Ethernet frames. */
void connection_count_frames(struct connection *c, unsigned n);

#endif
