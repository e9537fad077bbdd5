/*
 * Frames over a byte stream (TCP, Unix, a given descriptor), QEMU's framing (framing.h).
 *
 * States:
 *   server   LISTENING -> a client comes -> CONNECTED -> it goes -> LISTENING. Who comes while
 *            somebody is there waits in the system's backlog.
 *   client   CONNECTING -> CONNECTED -> DOWN; with reconnect, a timer leads from DOWN to
 *            CONNECTING.
 * While nobody is connected, frames for the other end are dropped and counted: there is no cable.
 *
 * From the host: bytes go to the reader's buffer, its frames to the peer (TCP segments that came
 * together as one, for a card that takes large ones: coalesce.h). If that is full, the frame stays
 * in the buffer and reading stops until writable(); then TCP holds the other end back.
 *
 * To the host: frames are collected, headers and all, in a buffer that a bottom half writes before
 * the CPU goes on, so that the frames a guest sends with one doorbell travel in one system call.
 * What the socket doesn't take stays there; when the buffer is full, receive() refuses, the frames
 * queue up, and the sender holds.
 */
#include "net/stream_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "host/host.h"
#include "machine.h"
#include "monitor/json.h"
#include "monitor/monitor.h"
#include "monitor/text.h"
#include "net/coalesce.h"
#include "net/framing.h"
#include "net/net.h"

#define OUT_SIZE (256 * 1024) /* more than one frame of any size */

enum state { LISTENING, CONNECTING, CONNECTED, DOWN };

struct stream_link {
    struct net_client nc;
    enum state state;
    bool server, reported; /* the failure that stands */
    char *kind, *spec, *where;
    const char *came, *made;
    int64_t reconnect_ns;
    struct host_stream *listener, *stream;
    struct frame_reader in;
    struct net_coalescer large; /* segments of what was read at once */
    bool held;                  /* the peer is full: the reader's next frame waits for it */
    bool pumping;               /* inside pump() */
    uint8_t *out;
    size_t out_start, out_end;
    bool out_full;  /* a frame was refused */
    bool scheduled; /* flush() is to come */
    char info[200];
};

static struct stream_link *link_of(struct net_client *nc)
{
    return (struct stream_link *)nc;
}

static void complain(const struct stream_link *s, const char *what)
{
    fprintf(stderr, "slipway: netdev '%s': %s: %s\n", s->nc.name, s->where, what);
}

static void connection_lost(struct stream_link *s);
static const struct net_client_ops stream_client_ops;

/* ---- to the host ---- */

static void flush(void *opaque)
{
    struct stream_link *s = opaque;
    s->scheduled = false;
    while (s->state == CONNECTED && s->out_start < s->out_end) {
        long n = host_stream_write(s->stream, s->out + s->out_start, s->out_end - s->out_start);
        if (n < 0 && n != -EAGAIN) /* the other end has gone: closed() follows */
            s->out_start = s->out_end;
        if (n <= 0)
            break;
        s->out_start += (size_t)n;
    }
    if (s->out_start == s->out_end)
        s->out_start = s->out_end = 0;
    if (s->out_full && s->out_end - s->out_start <= OUT_SIZE / 2) {
        s->out_full = false;
        net_accept(&s->nc);
    }
}

static void schedule_flush(struct stream_link *s)
{
    if (!s->scheduled) {
        s->scheduled = true;
        machine_defer(s->nc.machine, flush, s);
    }
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct stream_link *s = link_of(nc);
    size_t need = FRAMING_HEADER + f->len;
    if (s->state != CONNECTED || f->len > NET_FRAME_MAX) {
        nc->stats.dropped++;
        return true;
    }
    if (OUT_SIZE - s->out_end < need && s->out_start) {
        memmove(s->out, s->out + s->out_start, s->out_end - s->out_start);
        s->out_end -= s->out_start;
        s->out_start = 0;
    }
    if (OUT_SIZE - s->out_end < need) {
        s->out_full = true;
        return false;
    }
    frame_header(s->out + s->out_end, f->len);
    memcpy(s->out + s->out_end + FRAMING_HEADER, f->data, f->len);
    s->out_end += need;
    schedule_flush(s);
    return true;
}

static void on_writable(void *opaque)
{
    flush(opaque);
}

/* ---- from the host ---- */

/* Hands on the frames that are there. */
static void pump(struct stream_link *s)
{
    const uint8_t *data;
    size_t len;
    enum frame_result result = FRAME_NONE;
    if (s->pumping)
        return;
    s->pumping = true;
    s->held = false;
    while (s->state == CONNECTED && (result = frame_next(&s->in, &data, &len)) == FRAME_READY) {
        if (!net_coalesce(&s->large, &s->nc, data, len)) {
            s->held = true;
            break;
        }
        frame_take(&s->in);
    }
    if (s->state == CONNECTED && !s->held)
        s->held = !net_coalesce_flush(&s->large, &s->nc);
    s->pumping = false;
    if (s->state != CONNECTED) {
        net_coalesce_reset(&s->large);
        return;
    }
    if (result == FRAME_TOO_LONG) {
        char what[80];
        snprintf(what, sizeof what, "a frame of %zu bytes: connection closed", len);
        complain(s, what);
        connection_lost(s);
        return;
    }
    host_stream_want_read(s->stream, !s->held);
}

static void on_readable(void *opaque)
{
    struct stream_link *s = opaque;
    size_t room;
    if (s->held) {
        host_stream_want_read(s->stream, false);
        return;
    }
    uint8_t *to = frame_space(&s->in, &room);
    long n = host_stream_read(s->stream, to, room);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        connection_lost(s);
        return;
    }
    frame_added(&s->in, (size_t)n);
    pump(s);
}

static void writable(struct net_client *nc)
{
    struct stream_link *s = link_of(nc);
    if (s->held && s->state == CONNECTED)
        pump(s);
}

/* ---- QMP events (of -netdev stream, as in QEMU) ---- */

static void add_address(const struct stream_link *s, const char *where, struct text *t)
{
    const char *colon = strrchr(where, ':');
    if (strcmp(s->kind, "tcp") || !colon) {
        bool fd = !strcmp(s->kind, "fd");
        text_puts(t, fd ? "{\"str\": " : "{\"path\": ");
        json_print_string(t, where, strlen(where));
        text_printf(t, ", \"type\": \"%s\"}", fd ? "fd" : "unix");
        return;
    }
    bool ipv6 = *where == '[';
    text_puts(t, "{\"port\": ");
    json_print_string(t, colon + 1, strlen(colon + 1));
    text_printf(t, ", \"%s\": true, \"host\": ", ipv6 ? "ipv6" : "ipv4");
    json_print_string(t, where + ipv6, (size_t)(colon - where) - 2 * ipv6);
    text_puts(t, ", \"type\": \"inet\"}");
}

/* @where: NULL when the connection has ended. */
static void send_event(const struct stream_link *s, const char *where)
{
    struct text t = { 0 };
    if (s->nc.ops != &stream_client_ops)
        return;
    text_puts(&t, "{\"netdev-id\": ");
    json_print_string(&t, s->nc.name, strlen(s->nc.name));
    if (where) {
        text_puts(&t, ", \"addr\": ");
        add_address(s, where, &t);
    }
    text_puts(&t, "}");
    monitor_send_event(s->nc.machine,
                       where ? "NETDEV_STREAM_CONNECTED" : "NETDEV_STREAM_DISCONNECTED",
                       text_str(&t));
    text_free(&t);
}

/* ---- connections ---- */

static void on_closed(void *opaque)
{
    connection_lost(opaque);
}

static void on_opened(void *opaque, const char *error);
static void on_client(void *opaque, struct host_stream *client);

static const struct host_stream_ops stream_ops = {
    .readable = on_readable, .writable = on_writable, .closed = on_closed, .opened = on_opened
};
static const struct host_stream_ops listener_ops = { .connected = on_client, .opened = on_opened };

static void connection_made(struct stream_link *s, const char *format, const char *where)
{
    s->state = CONNECTED;
    s->reported = s->held = false;
    frame_reset(&s->in);
    net_coalesce_reset(&s->large);
    s->out_start = s->out_end = 0;
    snprintf(s->info, sizeof s->info, format, where);
    send_event(s, where);
}

static void connect_again(void *opaque);

static void connection_lost(struct stream_link *s)
{
    if (s->state == CONNECTED)
        send_event(s, NULL);
    host_stream_close(s->stream);
    s->stream = NULL;
    s->held = false;
    s->out_start = s->out_end = 0;
    s->info[0] = 0;
    if (s->listener) {
        s->state = LISTENING;
        host_stream_want_read(s->listener, true);
    } else {
        s->state = DOWN;
        if (s->reconnect_ns)
            host_every(s->reconnect_ns, connect_again, s);
    }
    if (s->out_full) { /* what waits is dropped now */
        s->out_full = false;
        net_accept(&s->nc);
    }
}

static void on_client(void *opaque, struct host_stream *client)
{
    struct stream_link *s = opaque;
    if (s->stream) {
        host_stream_close(client);
        return;
    }
    const char *from = host_stream_name(client);
    s->stream = client;
    connection_made(s, s->came, *from ? from : s->where);
    host_stream_want_read(s->listener, false);
    host_stream_set_ops(client, &stream_ops, s);
}

static void on_opened(void *opaque, const char *error)
{
    struct stream_link *s = opaque;
    if (s->state != CONNECTING && !(s->server && error))
        return;
    if (!error) {
        connection_made(s, s->made, s->where);
        return;
    }
    if (!s->reported)
        complain(s, error);
    s->reported = true;
    if (s->server) {
        host_stream_close(s->listener);
        s->listener = NULL;
    }
    connection_lost(s);
    snprintf(s->info, sizeof s->info, s->reconnect_ns ? "connecting" : "connection error");
}

static bool begin(struct stream_link *s, struct error *err)
{
    struct host_stream *h = host_stream_open_later(s->kind, s->spec, s->server,
                                                   s->server ? &listener_ops : &stream_ops, s, err);
    if (s->server) {
        s->listener = h;
        s->state = LISTENING;
    } else {
        s->stream = h;
        s->state = h ? CONNECTING : DOWN;
    }
    return h != NULL;
}

static void connect_again(void *opaque)
{
    struct stream_link *s = opaque;
    struct error err;
    host_every_stop(connect_again, s);
    if (!begin(s, &err))
        host_every(s->reconnect_ns, connect_again, s); /* a name that can't be looked up just now */
    else
        snprintf(s->info, sizeof s->info, "connecting");
}

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    struct stream_link *s = link_of(nc);
    const char *info = s->info;
    char text[300];
    if (s->state == LISTENING && s->listener) {
        snprintf(text, sizeof text, "listening on %s", host_stream_name(s->listener));
        info = text;
    }
    snprintf(buf, len, "%s", info);
}

static void cleanup(struct net_client *nc)
{
    struct stream_link *s = link_of(nc);
    if (s->scheduled)
        flush(s); /* what it can take at once */
    machine_cancel_deferred(nc->machine, flush, s);
    host_every_stop(connect_again, s);
    host_stream_close(s->stream);
    host_stream_close(s->listener);
    net_coalesce_free(&s->large);
    free(s->in.buf);
    free(s->out);
    free(s->kind);
    free(s->spec);
    free(s->where);
}

static const struct net_client_ops socket_ops = { .type = "socket",
                                                  .receive = receive,
                                                  .writable = writable,
                                                  .describe = describe,
                                                  .cleanup = cleanup };
static const struct net_client_ops stream_client_ops = { .type = "stream",
                                                         .receive = receive,
                                                         .writable = writable,
                                                         .describe = describe,
                                                         .cleanup = cleanup };

struct net_client *stream_link_new(struct machine *m, const char *type, const char *name,
                                   const struct stream_link_options *o, struct error *err)
{
    const struct net_client_ops *ops = strcmp(type, "socket") ? &stream_client_ops : &socket_ops;
    struct net_client *nc = net_client_new(m, ops, sizeof(struct stream_link), type, name);
    struct stream_link *s = link_of(nc);
    s->server = o->server;
    s->kind = strdup(o->kind);
    s->spec = strdup(o->spec);
    s->where = strdup(o->where);
    s->came = o->came;
    s->made = o->made;
    s->reconnect_ns = (int64_t)o->reconnect_s * NS_PER_SEC;
    s->in.buf = malloc(FRAMING_BUFFER);
    s->out = malloc(OUT_SIZE);
    if (!s->kind || !s->spec || !s->where || !s->in.buf || !s->out) {
        net_client_free(nc);
        error_set(err, "netdev '%s': out of memory", name);
        return NULL;
    }
    if (begin(s, err))
        return nc;
    if (!s->reconnect_ns) {
        net_client_free(nc);
        return NULL;
    }
    fprintf(stderr, "slipway: netdev '%s': %s\n", nc->name, err->msg);
    s->reported = true;
    host_every(s->reconnect_ns, connect_again, s);
    return nc;
}
