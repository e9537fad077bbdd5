/*
 * Frames in a byte stream, as QEMU's socket and stream netdevs have them: a 32-bit big-endian
 * length, then the frame.
 */
#ifndef SLIPWAY_NET_FRAMING_H
#define SLIPWAY_NET_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/net.h"

enum {
    FRAMING_HEADER = 4,
    FRAMING_BUFFER = 2 * (FRAMING_HEADER + NET_FRAME_MAX),
};

/* Takes a stream apart: fill the space, then take frames until there is none. The buffer always
 * has room for the rest of a frame that has begun. */
struct frame_reader {
    uint8_t *buf;      /* FRAMING_BUFFER bytes; the caller's */
    size_t start, end; /* what hasn't been taken yet */
};

enum frame_result { FRAME_NONE, FRAME_READY, FRAME_TOO_LONG };

/* Where to read to, and how much fits there (at least 1 byte after frame_next said FRAME_NONE).
 * Then frame_added() says how much came. */
uint8_t *frame_space(struct frame_reader *r, size_t *len);
void frame_added(struct frame_reader *r, size_t len);
/* The next complete frame; it stays there until frame_take(). FRAME_TOO_LONG: over NET_FRAME_MAX,
 * @len says how long; the stream can't be followed any more. A frame of length 0 isn't shown. */
enum frame_result frame_next(struct frame_reader *r, const uint8_t **data, size_t *len);
void frame_take(struct frame_reader *r);
void frame_reset(struct frame_reader *r);

/* Writes the header of a frame of @len bytes. */
void frame_header(uint8_t header[FRAMING_HEADER], size_t len);

#endif
