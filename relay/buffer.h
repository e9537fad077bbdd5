/*
 * Bytes that come in at one end and go out at the other, in one piece of memory that grows.
 */
#ifndef SLIPWAY_RELAY_BUFFER_H
#define SLIPWAY_RELAY_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t room, at, end; /* the bytes are data[at] to data[end - 1] */
};

static inline size_t buffer_len(const struct buffer *b)
{
    return b->end - b->at;
}

/* Appends; false: no memory, nothing appended. */
bool buffer_add(struct buffer *b, const void *data, size_t len);
/* Takes @len bytes off the front; when nothing is left the memory is given back. */
void buffer_take(struct buffer *b, size_t len);
void buffer_free(struct buffer *b);

#endif
