/*
 * WebSocket framing (RFC 6455 5), the server's side: no I/O in it. What comes in is unmasked where
 * it lies and handed on piece by piece.
 */
#ifndef SLIPWAY_RELAY_WEBSOCKET_H
#define SLIPWAY_RELAY_WEBSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0,
    WEBSOCKET_TEXT = 1,
    WEBSOCKET_BINARY = 2,
    WEBSOCKET_CLOSE = 8,
    WEBSOCKET_PING = 9,
    WEBSOCKET_PONG = 10,
};

enum {
    WEBSOCKET_HEADER_MAX = 10,   /* of a frame that we send */
    WEBSOCKET_CONTROL_MAX = 125, /* bytes that a control frame may have */
    /* Codes of close frames (7.4.1) */
    WEBSOCKET_PROTOCOL_ERROR = 1002,
    WEBSOCKET_NO_CODE = 1005, /* stands for a frame without one */
    WEBSOCKET_NOT_UTF8 = 1007,
    WEBSOCKET_TOO_BIG = 1009,
};

enum websocket_event_type {
    WEBSOCKET_NOTHING, /* until more comes */
    WEBSOCKET_DATA,    /* a piece of a message */
    WEBSOCKET_CONTROL, /* a control frame */
    WEBSOCKET_ERROR,   /* the connection has to be closed, with `code` */
};

struct websocket_event {
    enum websocket_event_type type;
    const uint8_t *data;
    size_t len;
    bool binary, last;           /* DATA: of a binary message; its end */
    enum websocket_opcode frame; /* CONTROL */
    uint16_t code;               /* ERROR, and CONTROL of a CLOSE: that of the frame */
};

/* What comes in from a client; all 0 at its beginning. */
struct websocket {
    uint8_t header[14];
    uint8_t have;                  /* bytes of it */
    bool in_frame;                 /* the header is complete */
    bool in_message;               /* its first frame has begun, its last hasn't ended */
    bool text;                     /* it is one of text */
    uint8_t mask[4];               /* of the frame, the next byte's first */
    uint64_t left;                 /* bytes of the frame that are to come */
    uint8_t utf8_left;             /* bytes of a character that are to come */
    uint8_t utf8_least, utf8_most; /* what the next of them may be */
    uint8_t control_len;
    uint8_t control[WEBSOCKET_CONTROL_MAX];
};

/* Takes some of the bytes, which it changes, and says what came of them; how many it took: all if
 * nothing did. What the event points at is in @data, or in @w until the next call. After an ERROR
 * or a CLOSE nothing more must be given to it. */
size_t websocket_receive(struct websocket *w, uint8_t *data, size_t len,
                         struct websocket_event *event);

/* Writes the header of a frame of @len bytes so that it ends at @end; its length. */
size_t websocket_header(uint8_t *end, enum websocket_opcode opcode, uint64_t len);

#endif
