/*
 * Frames are handed on from where they lie: out of @data if nothing was left over before.
 */
#include "relay/deframe.h"

#include "relay/protocol.h"

bool deframe(struct buffer *rest, const uint8_t *data, size_t len, frame_fn *frame, void *owner)
{
    bool joined = buffer_len(rest) != 0;
    size_t used = 0;
    if (joined) {
        if (!buffer_add(rest, data, len))
            return false;
        data = rest->data + rest->at;
        len = buffer_len(rest);
    }
    while (len - used >= 4) {
        const uint8_t *at = data + used;
        uint32_t size =
            (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        if (size > RELAY_FRAME_MAX)
            return false;
        if (len - used - 4 < size)
            break;
        if (size >= RELAY_FRAME_MIN)
            frame(owner, at + 4, size);
        used += 4 + size;
    }
    if (joined)
        buffer_take(rest, used);
    else if (used < len)
        return buffer_add(rest, data + used, len - used);
    return true;
}
