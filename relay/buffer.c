/*
 * What was taken leaves room at the front, which is used before memory grows.
 */
#include "relay/buffer.h"

#include <stdlib.h>
#include <string.h>

bool buffer_add(struct buffer *b, const void *data, size_t len)
{
    if (!len)
        return true;
    if (len > b->room - b->end && b->at) {
        memmove(b->data, b->data + b->at, b->end - b->at);
        b->end -= b->at;
        b->at = 0;
    }
    if (len > b->room - b->end) {
        size_t room = b->room ? b->room : 1024;
        while (room - b->end < len)
            room *= 2;
        uint8_t *data_new = realloc(b->data, room);
        if (!data_new)
            return false;
        b->data = data_new;
        b->room = room;
    }
    memcpy(b->data + b->end, data, len);
    b->end += len;
    return true;
}

void buffer_take(struct buffer *b, size_t len)
{
    b->at += len;
    if (b->at == b->end)
        buffer_free(b);
}

void buffer_free(struct buffer *b)
{
    free(b->data);
    *b = (struct buffer){ 0 };
}
