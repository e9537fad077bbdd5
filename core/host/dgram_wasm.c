/*
 * Datagram sockets under JavaScript (web/node/dgram.js). They are numbers here; JavaScript reports
 * their events between two turns of the loop.
 */
#include <emscripten.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "host/wasm.h"

enum { EVENT_READABLE, EVENT_WRITABLE, EVENT_FAILED }; /* as in dgram.js */

/* dgram.js reads and writes it. */
_Static_assert(offsetof(struct host_address, ip) == 1 && offsetof(struct host_address, port) == 18,
               "struct host_address");

struct host_dgram {
    int number;
    char local[128], remote[128];
    const struct host_dgram_ops *ops;
    void *opaque;
};

EMSCRIPTEN_KEEPALIVE void slipway_dgram_event(struct host_dgram *d, int event)
{
    char message[256];
    loop_active();
    switch (event) {
    case EVENT_READABLE:
        if (d->ops->readable)
            d->ops->readable(d->opaque);
        else
            host_dgram_want_read(d, false);
        break;
    case EVENT_WRITABLE:
        if (d->ops->writable)
            d->ops->writable(d->opaque);
        break;
    case EVENT_FAILED:
        slipway_js_dgram_name(d->number, 2, message, sizeof message);
        if (d->ops->failed)
            d->ops->failed(d->opaque, message);
        break;
    }
}

struct host_dgram *host_dgram_open(const struct host_dgram_options *o,
                                   const struct host_dgram_ops *ops, void *opaque,
                                   struct error *err)
{
    char message[256] = "out of memory";
    struct host_dgram *d = calloc(1, sizeof *d);
    if (d) {
        d->ops = ops;
        d->opaque = opaque;
        d->number = slipway_js_dgram_open(o->kind, o->local, o->remote, o->interface, d, message,
                                          sizeof message);
    }
    if (!d || !d->number) {
        const char *spec = o->local ? o->local : o->remote ? o->remote : "";
        free(d);
        error_set(err, "%s:%s: %s", o->kind, spec, message);
        return NULL;
    }
    host_dgram_want_read(d, ops->readable != NULL);
    return d;
}

long host_dgram_recv(struct host_dgram *d, void *buf, size_t len, struct host_address *from)
{
    int n = slipway_js_dgram_recv(d->number, buf, len, from);
    return n < 0 ? -EAGAIN : n;
}

int host_dgram_send(struct host_dgram *d, const void *buf, size_t len,
                    const struct host_address *to)
{
    int n = slipway_js_dgram_send(d->number, buf, len, to);
    return n == 0 ? 0 : n == -1 ? -EAGAIN : -EDESTADDRREQ;
}

void host_dgram_want_read(struct host_dgram *d, bool want)
{
    slipway_js_want_read(d->number, want);
}

const char *host_dgram_local(const struct host_dgram *d)
{
    struct host_dgram *writable = (struct host_dgram *)d; /* a cache */
    slipway_js_dgram_name(d->number, 0, writable->local, sizeof d->local);
    return d->local;
}

const char *host_dgram_remote(const struct host_dgram *d)
{
    struct host_dgram *writable = (struct host_dgram *)d;
    slipway_js_dgram_name(d->number, 1, writable->remote, sizeof d->remote);
    return d->remote;
}

void host_dgram_close(struct host_dgram *d)
{
    if (!d)
        return;
    slipway_js_close(d->number);
    free(d);
}
