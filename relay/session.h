/*
 * The server's end of our own protocol (docs/relay-protocol.md): sessions, and what channels need
 * of them.
 */
#ifndef SLIPWAY_RELAY_SESSION_H
#define SLIPWAY_RELAY_SESSION_H

#include "relay/buffer.h"
#include "relay/connection.h"
#include "relay/protocol.h"
#include "relay/relay.h"
#include "relay/table.h"

struct channel;
struct tcp;

enum session_state {
    SESSION_HELLO,   /* connected, HELLO hasn't come */
    SESSION_UP,      /* WELCOME went out */
    SESSION_WAITING, /* the connection broke: the client may come back */
};

struct session {
    struct relay *relay;
    struct session *next, *previous; /* in relay->sessions */
    struct connection *connection;   /* NULL: waiting */
    enum session_state state;
    bool good_origin;
    uint8_t id[RELAY_SESSION], key[RELAY_SESSION];
    struct policy *policy;
    struct buffer in;      /* an incomplete message */
    size_t batch;          /* bytes of the batch so far */
    uint32_t data_channel; /* of a DATA message that is passed on as it comes */
    size_t data_left;      /* bytes of it that are to come */
    struct table channels;
    struct channel *paused;                  /* those that wait for room in the queue */
    uint32_t next_number;                    /* of the next channel that is the server's to give */
    uint32_t open;                           /* channels that count for max-channels */
    uint64_t memory;                         /* reserved by channels */
    uint64_t received_ms, sent_ms, state_ms; /* loop times */
    uint64_t expires;                        /* of the token, Unix time; 0: never */
};

extern const struct endpoint session_endpoint;

/* Once a second: signs of life, time limits. */
void sessions_tick(struct relay *relay);
/* All clients get SHUTDOWN. */
void sessions_shutdown(struct relay *relay);
/* Frees all that is left, after the connections. */
void sessions_free(struct relay *relay);

/* Ends the connection with FAIL. */
void session_fail(struct session *s, enum relay_error code, const char *text);
void session_send(struct session *s, const struct relay_message *m);
/* CONNECTION_PIECE - RELAY_HEADER bytes to read a stream into; NULL: the connection is ending. The
 * first @len of them go to the client as DATA. */
uint8_t *session_stream_piece(struct session *s);
void session_send_stream_piece(struct session *s, uint32_t channel, size_t len);
/* The same without a copy: sends what the socket has, up to @room bytes; *@n as of tcp_splice().
 * False: not here, or not now. */
bool session_splice_stream(struct session *s, uint32_t channel, struct tcp *t, size_t room,
                           ssize_t *n);
/* Appends to the last message if that is a batch of the same type and channel which nothing
 * follows, else begins one; false: the connection is ending. */
bool session_send_frame(struct session *s, uint32_t channel, const uint8_t *frame, size_t len);
bool session_send_dgram(struct session *s, uint32_t channel, const struct relay_address *from,
                        const uint8_t *data, size_t len);
/* Takes up to @want bytes of the client's memory, at least @least; 0: there aren't so many. */
uint32_t session_reserve(struct session *s, uint32_t least, uint32_t want);
void session_unreserve(struct session *s, uint32_t bytes);

#endif
