/*
 * Byte streams under JavaScript. The streams themselves (stdio, sockets of Node) live in JavaScript
 * and are numbers here; JavaScript reports their events between two turns of the loop, never from
 * within a call of ours, through slipway_stream_event().
 *
 * JavaScript reads ahead into a bounded queue and stops its source when that is full, so readable()
 * stays level-triggered: it is called in each turn while bytes (or the end) wait and someone wants
 * them.
 */
#include <emscripten.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "host/wasm.h"

enum {
    EVENT_READABLE,
    EVENT_WRITABLE,
    EVENT_CONNECTED,
    EVENT_CLOSED,
    EVENT_OPENED
}; /* as in host.js */

struct host_stream {
    int number;
    char *name;
    const struct host_stream_ops *ops;
    void *opaque;
};

static struct host_stream *stream_new(const struct host_stream_ops *ops, void *opaque)
{
    struct host_stream *s = calloc(1, sizeof *s);
    if (s) {
        s->ops = ops;
        s->opaque = opaque;
    }
    return s;
}

static void update_name(struct host_stream *s)
{
    char name[300];
    slipway_js_name(s->number, name, sizeof name);
    free(s->name);
    s->name = strdup(name);
}

/* @argument: the client's number, or whether opening failed. */
EMSCRIPTEN_KEEPALIVE void slipway_stream_event(struct host_stream *s, int event, int argument)
{
    const struct host_stream_ops *ops = s->ops;
    loop_active();
    switch (event) {
    case EVENT_READABLE:
        if (ops && ops->readable)
            ops->readable(s->opaque);
        else
            host_stream_want_read(s, false);
        break;
    case EVENT_WRITABLE:
        if (ops && ops->writable)
            ops->writable(s->opaque);
        break;
    case EVENT_CONNECTED: {
        struct host_stream *c = ops && ops->connected ? stream_new(NULL, NULL) : NULL;
        if (!c) {
            slipway_js_close(argument);
            break;
        }
        c->number = argument;
        slipway_js_set_owner(argument, c);
        update_name(c);
        ops->connected(s->opaque, c);
        break;
    }
    case EVENT_CLOSED:
        if (ops && ops->closed)
            ops->closed(s->opaque);
        break;
    case EVENT_OPENED:
        update_name(s);
        if (ops && ops->opened)
            ops->opened(s->opaque, argument ? s->name ? s->name : "" : NULL);
        break;
    }
}

static struct host_stream *stream_open(const char *kind, const char *spec, int mode,
                                       const struct host_stream_ops *ops, void *opaque,
                                       struct error *err)
{
    char message[256] = "out of memory";
    struct host_stream *s = stream_new(ops, opaque);
    if (s)
        s->number = slipway_js_open(kind, spec ? spec : "", mode, s, message, sizeof message);
    if (!s || !s->number) {
        free(s);
        error_set(err, "%s%s%s: %s", kind, spec && *spec ? ":" : "", spec ? spec : "", message);
        return NULL;
    }
    update_name(s);
    host_stream_want_read(s, (mode & SLIPWAY_JS_LISTEN) || (ops && ops->readable));
    return s;
}

struct host_stream *host_stream_open(const char *kind, const char *spec, bool listen,
                                     const struct host_stream_ops *ops, void *opaque,
                                     struct error *err)
{
    return stream_open(kind, spec, listen ? SLIPWAY_JS_LISTEN : 0, ops, opaque, err);
}

struct host_stream *host_stream_open_later(const char *kind, const char *spec, bool listen,
                                           const struct host_stream_ops *ops, void *opaque,
                                           struct error *err)
{
    return stream_open(kind, spec, (listen ? SLIPWAY_JS_LISTEN : 0) | SLIPWAY_JS_LATER, ops, opaque,
                       err);
}

void host_stream_set_ops(struct host_stream *s, const struct host_stream_ops *ops, void *opaque)
{
    s->ops = ops;
    s->opaque = opaque;
    host_stream_want_read(s, ops && (ops->readable || ops->connected));
}

static long result(int n)
{
    return n >= 0 ? n : n == -1 ? -EAGAIN : -EPIPE;
}

long host_stream_read(struct host_stream *s, void *buf, size_t len)
{
    return result(slipway_js_read(s->number, buf, len));
}

long host_stream_write(struct host_stream *s, const void *buf, size_t len)
{
    return result(slipway_js_write(s->number, buf, len));
}

void host_stream_want_read(struct host_stream *s, bool want)
{
    slipway_js_want_read(s->number, want);
}

const char *host_stream_name(const struct host_stream *s)
{
    return s->name ? s->name : "";
}

void host_stream_close(struct host_stream *s)
{
    if (!s)
        return;
    slipway_js_close(s->number);
    free(s->name);
    free(s);
}
