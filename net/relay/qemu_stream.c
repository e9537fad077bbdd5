/*
 * QEMU's byte stream of frames (framing.h) over a WebSocket, for servers that know no more.
 *
 *   CONNECTING -> UP -> WAITING (0.1 s, doubled up to 5 s) -> CONNECTING ...
 *
 * Where messages begin and end means nothing. To the outside frames are collected and sent by a
 * bottom half; with BACKLOG bytes in the WebSocket receive() refuses, and a timer looks again. From
 * the outside nothing can be held back: what the guest has no room for waits, beyond HELD_MOST
 * frames are dropped and counted. A length that can't be one ends the connection.
 */
#include "net/relay/qemu_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "machine.h"
#include "net/framing.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/relay/ether.h"

#define FIRST_WAIT_NS 100000000ll
#define LAST_WAIT_NS  5000000000ll
#define LOOK_NS       5000000ll
enum { OUT_SIZE = 256 << 10, HELD_MOST = 4 << 20, BACKLOG = 1 << 20, MESSAGE_MOST = 1 << 20 };

struct qemu_stream {
    struct net_client nc;
    struct host_websocket *socket;
    bool up, reported, scheduled, refused, pumping;
    char *url;
    char status[200];
    int64_t wait_ns;
    uint8_t *out;
    size_t out_len;
    uint8_t *in; /* from in_start on not passed on yet */
    size_t in_start, in_end, in_size;
};

static struct qemu_stream *stream_of(struct net_client *nc)
{
    return (struct qemu_stream *)nc;
}

static void lost(struct qemu_stream *s, const char *why);

/* ---- to the outside ---- */

static void flush(void *opaque)
{
    struct qemu_stream *s = opaque;
    s->scheduled = false;
    if (s->up && s->out_len)
        host_websocket_send(s->socket, s->out, s->out_len);
    s->out_len = 0;
}

/* Is there room in the WebSocket again? */
static void look(void *opaque)
{
    struct qemu_stream *s = opaque;
    if (s->up && host_websocket_backlog(s->socket) > BACKLOG / 2)
        return;
    host_every_stop(look, s);
    s->refused = false;
    net_accept(&s->nc);
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct qemu_stream *s = stream_of(nc);
    size_t need = FRAMING_HEADER + f->len;
    if (!s->up) {
        nc->stats.dropped++;
        return true;
    }
    if (OUT_SIZE - s->out_len < need) {
        if (host_websocket_backlog(s->socket) > BACKLOG) {
            if (!s->refused)
                host_every(LOOK_NS, look, s);
            s->refused = true;
            return false;
        }
        flush(s);
    }
    frame_header(s->out + s->out_len, f->len);
    memcpy(s->out + s->out_len + FRAMING_HEADER, f->data, f->len);
    s->out_len += need;
    if (!s->scheduled)
        machine_defer(nc->machine, flush, s);
    s->scheduled = true;
    return true;
}

/* ---- from the outside ---- */

/* Passes on the frames that are complete. False: the stream makes no sense. */
static bool pump(struct qemu_stream *s)
{
    if (s->pumping)
        return true;
    s->pumping = true;
    bool good = true;
    while (s->in_end - s->in_start >= FRAMING_HEADER) {
        const uint8_t *p = s->in + s->in_start;
        size_t n = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        good = n <= NET_FRAME_MAX;
        if (!good || s->in_end - s->in_start < FRAMING_HEADER + n)
            break;
        if (n && !net_send_buf(&s->nc, p + FRAMING_HEADER, n)) {
            if (s->in_end - s->in_start <= HELD_MOST)
                break;
            if (s->nc.peer)
                s->nc.peer->stats.dropped++;
        }
        s->in_start += FRAMING_HEADER + n;
    }
    if (s->in_start == s->in_end)
        s->in_start = s->in_end = 0;
    s->pumping = false;
    return good;
}

static void on_message(void *opaque, bool binary, const uint8_t *data, size_t len)
{
    struct qemu_stream *s = opaque;
    if (s->in_start && s->in_size - s->in_end < len) {
        memmove(s->in, s->in + s->in_start, s->in_end - s->in_start);
        s->in_end -= s->in_start;
        s->in_start = 0;
    }
    if (s->in_size - s->in_end < len) {
        size_t size = 2 * (s->in_end + len);
        uint8_t *bigger = realloc(s->in, size);
        if (!bigger) {
            lost(s, "out of memory");
            return;
        }
        s->in = bigger;
        s->in_size = size;
    }
    if (binary)
        memcpy(s->in + s->in_end, data, len);
    s->in_end += binary ? len : 0;
    if (!binary || !pump(s))
        lost(s, "what comes are no frames");
}

static void writable(struct net_client *nc)
{
    pump(stream_of(nc)); /* lengths were looked at when they came */
}

/* ---- connections ---- */

static void on_opened(void *opaque)
{
    struct qemu_stream *s = opaque;
    s->up = true;
    s->wait_ns = FIRST_WAIT_NS;
    snprintf(s->status, sizeof s->status, "connected");
    if (s->reported)
        fprintf(stderr, "slipway: netdev '%s': connected\n", s->nc.name);
    s->reported = false;
}

static void on_closed(void *opaque, unsigned code, const char *why)
{
    (void)code;
    lost(opaque, *why ? why : "the connection was lost");
}

static const struct host_websocket_ops socket_ops = { on_opened, on_message, on_closed };

static void connect_again(void *opaque)
{
    struct qemu_stream *s = opaque;
    struct error err;
    host_every_stop(connect_again, s);
    s->socket = host_websocket_open(s->url, "", MESSAGE_MOST, &socket_ops, s, &err);
    if (!s->socket)
        lost(s, err.msg);
}

static void lost(struct qemu_stream *s, const char *why)
{
    snprintf(s->status, sizeof s->status, "not connected: %.150s", why);
    if (!s->reported)
        fprintf(stderr, "slipway: netdev '%s': %s\n", s->nc.name, s->status);
    s->reported = true;
    s->up = false;
    host_websocket_close(s->socket, 1000);
    s->socket = NULL;
    s->out_len = s->in_start = s->in_end = 0;
    host_every(s->wait_ns, connect_again, s);
    s->wait_ns = 2 * s->wait_ns < LAST_WAIT_NS ? 2 * s->wait_ns : LAST_WAIT_NS;
    if (s->refused)
        look(s); /* what waits is dropped now */
}

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    struct qemu_stream *s = stream_of(nc);
    snprintf(buf, len, "relay=%.*s,protocol=qemu (%s)", (int)strcspn(s->url, "?#"), s->url,
             s->status);
}

static void cleanup(struct net_client *nc)
{
    struct qemu_stream *s = stream_of(nc);
    if (s->scheduled)
        flush(s);
    machine_cancel_deferred(nc->machine, flush, s);
    host_every_stop(look, s);
    host_every_stop(connect_again, s);
    host_websocket_close(s->socket, 1000);
    free(s->url);
    free(s->out);
    free(s->in);
}

#define CLIENT(t)                                                                                  \
    {                                                                                              \
        .type = t, .receive = receive, .writable = writable, .describe = describe,                 \
        .cleanup = cleanup                                                                         \
    }
static const struct net_client_ops client_ops[] = { RELAY_NETDEVS(CLIENT) };

struct net_client *relay_qemu_new(struct machine *m, const char *type, const char *name,
                                  const char *url, struct error *err)
{
    const struct net_client_ops *ops = &client_ops[relay_netdev_index(type)];
    struct net_client *nc = net_client_new(m, ops, sizeof(struct qemu_stream), type, name);
    struct qemu_stream *s = stream_of(nc);
    s->wait_ns = FIRST_WAIT_NS;
    s->url = strdup(url);
    s->out = malloc(OUT_SIZE);
    snprintf(s->status, sizeof s->status, "connecting");
    if (!s->url || !s->out)
        error_set(err, "out of memory");
    else
        s->socket = host_websocket_open(url, "", MESSAGE_MOST, &socket_ops, s, err);
    if (s->socket)
        return nc;
    net_client_free(nc);
    return NULL;
}
