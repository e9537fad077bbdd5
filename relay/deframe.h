/*
 * QEMU's framing of Ethernet on byte streams: each frame has its length before it, 4 bytes,
 * big-endian.
 */
#ifndef SLIPWAY_RELAY_DEFRAME_H
#define SLIPWAY_RELAY_DEFRAME_H

#include "relay/buffer.h"

typedef void frame_fn(void *owner, const uint8_t *frame, size_t len);
/* Hands on the frames that @data completes; an incomplete one waits in @rest, which begins empty.
 * Frames too short for Ethernet are left out. False: a length that can't be, or no memory: the
 * stream is over. */
bool deframe(struct buffer *rest, const uint8_t *data, size_t len, frame_fn *frame, void *owner);
/* The length before a frame. */
static inline void frame_header(uint8_t *out, size_t len)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(len >> (24 - 8 * i));
}

#endif
