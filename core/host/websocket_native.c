/*
 * WebSockets of the native build: there are none.
 */
#include "host/host.h"

struct host_websocket *host_websocket_open(const char *url, const char *protocol,
                                           size_t message_max, const struct host_websocket_ops *ops,
                                           void *opaque, struct error *err)
{
    (void)url, (void)protocol, (void)message_max, (void)ops, (void)opaque;
    error_set(err, "WebSockets are only there in the WebAssembly build");
    return NULL;
}

void host_websocket_send(struct host_websocket *w, const void *data, size_t len)
{
    (void)w, (void)data, (void)len;
}

size_t host_websocket_backlog(const struct host_websocket *w)
{
    (void)w;
    return 0;
}

void host_websocket_close(struct host_websocket *w, unsigned code)
{
    (void)w, (void)code;
}
