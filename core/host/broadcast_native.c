/*
 * BroadcastChannels of the native build: there are none.
 */
#include "host/host.h"

struct host_broadcast *host_broadcast_open(const char *name, size_t message_max,
                                           void (*message)(void *opaque, const uint8_t *data,
                                                           size_t len),
                                           void *opaque, struct error *err)
{
    (void)name, (void)message_max, (void)message, (void)opaque;
    error_set(err, "channel= is only there in the WebAssembly build");
    return NULL;
}

void host_broadcast_send(struct host_broadcast *b, const void *data, size_t len)
{
    (void)b, (void)data, (void)len;
}

void host_broadcast_close(struct host_broadcast *b)
{
    (void)b;
}
