/*
 * WebSockets under JavaScript: the engine's own, or under an old Node ours (web/node/websocket.js).
 * They are numbers of web/net/websocket.js, which reports events between two turns of the loop.
 *
 * A message is copied into a buffer here that slipway_websocket_buffer() gives; it is reused for
 * the next one.
 */
#include <emscripten.h>
#include <stdlib.h>

#include "host/host.h"
#include "host/wasm.h"

enum { EVENT_OPENED, EVENT_BINARY, EVENT_TEXT, EVENT_CLOSED }; /* as in websocket.js */

struct host_websocket {
    int number; /* 0: it has closed */
    const struct host_websocket_ops *ops;
    void *opaque;
    uint8_t *buffer;
    size_t size;
};

/* Where a message, or the reason of an end, of @len bytes can be put; NULL: nowhere. */
EMSCRIPTEN_KEEPALIVE uint8_t *slipway_websocket_buffer(struct host_websocket *w, size_t len)
{
    if (len + 1 > w->size) {
        free(w->buffer);
        w->size = len < 4096 ? 4096 : 2 * len;
        w->buffer = malloc(w->size);
        if (!w->buffer)
            w->size = 0;
    }
    return w->buffer;
}

/* @len: bytes in the buffer. @code: of a CLOSED. May end with @w freed. */
EMSCRIPTEN_KEEPALIVE void slipway_websocket_event(struct host_websocket *w, int event, size_t len,
                                                  unsigned code)
{
    loop_active();
    switch (event) {
    case EVENT_OPENED: w->ops->opened(w->opaque); break;
    case EVENT_BINARY:
    case EVENT_TEXT: w->ops->message(w->opaque, event == EVENT_BINARY, w->buffer, len); break;
    case EVENT_CLOSED:
        w->number = 0;
        w->buffer[len] = 0;
        w->ops->closed(w->opaque, code, (const char *)w->buffer);
        break;
    }
    host_wake();
}

struct host_websocket *host_websocket_open(const char *url, const char *protocol,
                                           size_t message_max, const struct host_websocket_ops *ops,
                                           void *opaque, struct error *err)
{
    char message[256] = "out of memory";
    struct host_websocket *w = calloc(1, sizeof *w);
    if (w && slipway_websocket_buffer(w, 0)) {
        w->ops = ops;
        w->opaque = opaque;
        w->number =
            slipway_js_websocket_open(url, protocol, message_max, w, message, sizeof message);
        if (w->number)
            return w;
        free(w->buffer);
    }
    free(w);
    error_set(err, "%s", message);
    return NULL;
}

void host_websocket_send(struct host_websocket *w, const void *data, size_t len)
{
    if (w->number)
        slipway_js_websocket_send(w->number, data, len);
}

size_t host_websocket_backlog(const struct host_websocket *w)
{
    return w->number ? slipway_js_websocket_backlog(w->number) : 0;
}

void host_websocket_close(struct host_websocket *w, unsigned code)
{
    if (!w)
        return;
    if (w->number)
        slipway_js_websocket_close(w->number, code);
    free(w->buffer);
    free(w);
}
