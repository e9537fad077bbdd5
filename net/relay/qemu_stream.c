/*
 * QEMU's byte stream of frames (framing.h) over a WebSocket, for servers that know no more.
 *
 *   CONNECTING -> UP -> WAITING (0.1 s, doubled up to 5 s) -> CONNECTING ...
 *
 * Where messages begin and end means nothing. To the outside frames are collected (frame_queue.h);
 * with BACKLOG bytes in the WebSocket receive() refuses, and a timer looks again. From the outside
 * nothing can be held back: what the guest has no room for waits, beyond HELD_MOST frames are
 * dropped and counted. A length that can't be one ends the connection.
 */
#include "net/relay/qemu_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "net/frame_queue.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/relay/ether.h"

#define FIRST_WAIT_NS 100000000ll
#define LAST_WAIT_NS  5000000000ll
#define LOOK_NS       5000000ll
enum { HELD_MOST = 4 << 20, BACKLOG = 1 << 20, MESSAGE_MOST = 1 << 20 };

struct qemu_stream {
    struct net_client nc;
    struct host_websocket *socket;
    bool up, reported, refused;
    char *url;
    char status[200];
    int64_t wait_ns;
    struct frame_outbox out;
    struct frame_inbox in;
};

static struct qemu_stream *stream_of(struct net_client *nc)
{
    return (struct qemu_stream *)nc;
}

static void lost(struct qemu_stream *s, const char *why);

/* ---- to the outside ---- */

static void send_frames(void *opaque, const uint8_t *data, size_t len)
{
    struct qemu_stream *s = opaque;
    if (s->up)
        host_websocket_send(s->socket, data, len);
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
    if (!s->up) {
        nc->stats.dropped++;
        return true;
    }
    if (!frame_outbox_fits(&s->out, f) && host_websocket_backlog(s->socket) > BACKLOG) {
        if (!s->refused)
            host_every(LOOK_NS, look, s);
        s->refused = true;
        return false;
    }
    frame_outbox_add(&s->out, f);
    return true;
}

/* ---- from the outside ---- */

static void on_message(void *opaque, bool binary, const uint8_t *data, size_t len)
{
    struct qemu_stream *s = opaque;
    if (!binary || !frame_inbox_put(&s->in, data, len, HELD_MOST))
        lost(s, "what comes are no frames");
}

static void writable(struct net_client *nc)
{
    frame_inbox_pump(&stream_of(nc)->in);
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
    s->out.len = 0;
    frame_inbox_reset(&s->in);
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
    frame_outbox_free(&s->out);
    host_every_stop(look, s);
    host_every_stop(connect_again, s);
    host_websocket_close(s->socket, 1000);
    frame_inbox_free(&s->in);
    free(s->url);
}

static const struct net_client_ops client_ops[] = { RELAY_NETDEVS(RELAY_CLIENT) };

struct net_client *relay_qemu_new(struct machine *m, const char *type, const char *name,
                                  const char *url, struct error *err)
{
    const struct net_client_ops *ops = &client_ops[relay_netdev_index(type)];
    struct net_client *nc = net_client_new(m, ops, sizeof(struct qemu_stream), type, name);
    struct qemu_stream *s = stream_of(nc);
    s->wait_ns = FIRST_WAIT_NS;
    s->url = strdup(url);
    s->in.nc = nc;
    snprintf(s->status, sizeof s->status, "connecting");
    if (!s->url || !frame_outbox_init(&s->out, m, send_frames, s))
        error_set(err, "out of memory");
    else
        s->socket = host_websocket_open(url, "", MESSAGE_MOST, &socket_ops, s, err);
    if (s->socket)
        return nc;
    net_client_free(nc);
    return NULL;
}
