/*
 * Frames in a byte stream. The reader works in place: bytes are read behind what is there, frames
 * are looked at where they lie, and only when the space behind gets short the rest (less than a
 * frame, once all complete ones were taken) moves to the front. So a read of many small frames
 * costs no copy.
 */
#include "net/framing.h"

#include <string.h>

static size_t length_at(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

void frame_header(uint8_t header[FRAMING_HEADER], size_t len)
{
    header[0] = (uint8_t)(len >> 24);
    header[1] = (uint8_t)(len >> 16);
    header[2] = (uint8_t)(len >> 8);
    header[3] = (uint8_t)len;
}

uint8_t *frame_space(struct frame_reader *r, size_t *len)
{
    if (r->start == r->end) {
        r->start = r->end = 0;
    } else if (r->start && FRAMING_BUFFER - r->end < FRAMING_BUFFER / 2) {
        memmove(r->buf, r->buf + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    *len = FRAMING_BUFFER - r->end;
    return r->buf + r->end;
}

void frame_added(struct frame_reader *r, size_t len)
{
    r->end += len;
}

enum frame_result frame_next(struct frame_reader *r, const uint8_t **data, size_t *len)
{
    for (;;) {
        size_t have = r->end - r->start;
        if (have < FRAMING_HEADER)
            return FRAME_NONE;
        *len = length_at(r->buf + r->start);
        if (*len > NET_FRAME_MAX)
            return FRAME_TOO_LONG;
        if (have < FRAMING_HEADER + *len)
            return FRAME_NONE;
        *data = r->buf + r->start + FRAMING_HEADER;
        if (*len)
            return FRAME_READY;
        r->start += FRAMING_HEADER;
    }
}

void frame_take(struct frame_reader *r)
{
    r->start += FRAMING_HEADER + length_at(r->buf + r->start);
}

void frame_reset(struct frame_reader *r)
{
    r->start = r->end = 0;
}
