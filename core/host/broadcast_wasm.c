/*
 * BroadcastChannels (host.h): numbers of web/net/broadcast.js, which reports messages between two
 * turns of the loop. A message is copied into a buffer that is reused for the next one.
 */
#include <emscripten.h>
#include <stdlib.h>

#include "host/host.h"
#include "host/wasm.h"

struct host_broadcast {
    int number;
    void (*message)(void *opaque, const uint8_t *data, size_t len);
    void *opaque;
    uint8_t *buffer;
    size_t size;
};

/* Where a message of @len bytes can be put; NULL: nowhere. */
EMSCRIPTEN_KEEPALIVE uint8_t *slipway_broadcast_buffer(struct host_broadcast *b, size_t len)
{
    if (len > b->size) {
        free(b->buffer);
        b->size = 2 * len;
        b->buffer = malloc(b->size);
        if (!b->buffer)
            b->size = 0;
    }
    return b->buffer;
}

EMSCRIPTEN_KEEPALIVE void slipway_broadcast_message(struct host_broadcast *b, size_t len)
{
    loop_active();
    b->message(b->opaque, b->buffer, len);
    host_wake();
}

struct host_broadcast *host_broadcast_open(const char *name, size_t message_max,
                                           void (*message)(void *opaque, const uint8_t *data,
                                                           size_t len),
                                           void *opaque, struct error *err)
{
    struct host_broadcast *b = calloc(1, sizeof *b);
    if (!b) {
        error_set(err, "out of memory");
        return NULL;
    }
    b->message = message;
    b->opaque = opaque;
    b->number = slipway_js_broadcast_open(name, message_max, b);
    if (b->number)
        return b;
    free(b);
    error_set(err, "there is no BroadcastChannel here");
    return NULL;
}

void host_broadcast_send(struct host_broadcast *b, const void *data, size_t len)
{
    slipway_js_broadcast_send(b->number, data, len);
}

void host_broadcast_close(struct host_broadcast *b)
{
    if (!b)
        return;
    slipway_js_broadcast_close(b->number);
    free(b->buffer);
    free(b);
}
