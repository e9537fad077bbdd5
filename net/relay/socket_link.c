/*
 * Frames through a socket at a relay: QEMU's framing (framing.h) in a tcp channel, or a frame a
 * datagram in a udp channel. At the other end is another emulator's socket netdev.
 *
 *   connect   DOWN -> OPENING -> UP -> the other end closes, or the relay is lost -> DOWN ...;
 *             AGAIN_NS later it tries again
 *   listen    the listen channel, which comes back by itself; a connection at a time: UP or DOWN
 *   udp       the udp channel, which comes back by itself
 *
 * While it isn't UP frames are dropped and counted: there is no cable.
 *
 * From the relay: frames are handed on, the rest waits in `in` (frame_queue.h); credit is given
 * back for what was taken, so a guest that is full stops the relay, and no more than the window
 * waits. A frame that has begun is shorter than half of it. Datagrams that the guest has no room
 * for are lost. To the relay: a frame that was taken in part is finished from `out` before the next
 * one.
 */
#include "net/relay/socket_link.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "host/host.h"
#include "net/frame_queue.h"
#include "net/framing.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/relay/client.h"
#include "net/relay/ether.h"
#include "net/relay/link.h"
#include "options.h"

#define WINDOW   (256 << 10) /* the client's for connections that come in, too */
#define AGAIN_NS NS_PER_SEC

struct relay_socket {
    struct net_client nc;
    struct relay_link *link;
    enum relay_socket_kind kind;
    struct relay_address remote, local;
    char where[100];
    struct relay_channel *listener;
    struct relay_channel *channel; /* the connection, or udp; NULL: DOWN */
    bool up, reported;
    struct frame_inbox in;
    uint8_t *out; /* the rest of a frame */
    size_t out_start, out_end;
};

static struct relay_socket *socket_of(struct net_client *nc)
{
    return (struct relay_socket *)nc;
}

/* One line for each run of failures; none when the relay is away, which says so itself. */
static void report(struct relay_socket *s, uint16_t error)
{
    if (!s->reported && relay_client_state(relay_link_client(s->link)) == RELAY_UP)
        fprintf(stderr, "slipway: netdev '%s': %s of the relay: %s\n", s->nc.name, s->where,
                relay_reason(error));
    s->reported = true;
}

/* ---- frames to the relay ---- */

/* False: something is left. */
static bool send_rest(struct relay_socket *s)
{
    if (s->out_start < s->out_end)
        s->out_start +=
            relay_send_data(s->channel, s->out + s->out_start, s->out_end - s->out_start);
    if (s->out_start < s->out_end)
        return false;
    s->out_start = s->out_end = 0;
    return true;
}

static bool receive(struct net_client *nc, const struct net_frame *f)
{
    struct relay_socket *s = socket_of(nc);
    if (!s->up || f->len > NET_FRAME_MAX) {
        nc->stats.dropped++;
        return true;
    }
    if (s->kind == RELAY_SOCKET_UDP)
        return relay_send_dgram(s->channel, &s->remote, f->data, f->len);
    if (!send_rest(s))
        return false;
    frame_header(s->out, f->len);
    memcpy(s->out + FRAMING_HEADER, f->data, f->len);
    s->out_end = FRAMING_HEADER + f->len;
    send_rest(s);
    return true;
}

static void on_writable(void *opaque)
{
    struct relay_socket *s = opaque;
    if (!s->up || s->kind == RELAY_SOCKET_UDP || send_rest(s))
        net_accept(&s->nc);
}

/* ---- connections ---- */

static void connect_again(void *opaque);

/* The channel is over, or is given up. */
static void down(struct relay_socket *s)
{
    relay_channel_close(s->channel, 0);
    s->channel = NULL;
    s->up = false;
    frame_inbox_reset(&s->in);
    s->out_start = s->out_end = 0;
    if (s->kind == RELAY_SOCKET_CONNECT &&
        relay_client_state(relay_link_client(s->link)) != RELAY_ENDED)
        host_every(AGAIN_NS, connect_again, s);
    net_accept(&s->nc); /* what waits is dropped now */
}

static void is_up(struct relay_socket *s)
{
    s->up = true;
    s->reported = false;
    frame_inbox_reset(&s->in);
    s->out_start = s->out_end = 0;
}

static void on_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_socket *s = opaque;
    (void)local;
    if (!error) {
        is_up(s);
        return;
    }
    report(s, error);
    down(s);
}

static void on_closed(void *opaque, uint16_t error)
{
    struct relay_socket *s = opaque;
    (void)error;
    down(s);
}

/* ---- frames from the relay ---- */

/* Gives back the credit of what was passed on. */
static void give_credit(struct relay_socket *s)
{
    if (s->up && s->in.taken)
        relay_channel_done(s->channel, (uint32_t)s->in.taken);
    s->in.taken = 0;
}

static void writable(struct net_client *nc)
{
    struct relay_socket *s = socket_of(nc);
    frame_inbox_pump(&s->in);
    give_credit(s);
}

static void take_bytes(struct relay_socket *s, struct relay_bytes b)
{
    if (WINDOW - frame_inbox_waiting(&s->in) < b.len) { /* its credit says that it fits */
        down(s);
        return;
    }
    bool good = frame_inbox_put(&s->in, b.data, b.len, SIZE_MAX);
    give_credit(s);
    if (!good) {
        fprintf(stderr, "slipway: netdev '%s': %s: what comes are no frames\n", s->nc.name,
                s->where);
        down(s);
    }
}

static void take_dgrams(struct relay_socket *s, struct relay_bytes b)
{
    struct relay_address from;
    struct relay_bytes rest = b, frame;
    while (s->up && relay_next_dgram(&rest, &from, &frame))
        if (!frame.len || !net_send_buf(&s->nc, frame.data, frame.len))
            s->nc.stats.unsent += frame.len != 0;
    if (s->up)
        relay_channel_done(s->channel, (uint32_t)b.len);
}

static void on_message(void *opaque, const struct relay_message *m)
{
    struct relay_socket *s = opaque;
    switch (m->type) {
    case RELAY_DATA: take_bytes(s, m->bytes); break;
    case RELAY_DGRAMS: take_dgrams(s, m->bytes); break;
    case RELAY_SHUT: down(s); break; /* half of a cable is none */
    }
}

static void on_lost(void *opaque) /* udp: opened() comes again */
{
    struct relay_socket *s = opaque;
    s->up = false;
    net_accept(&s->nc);
}

static const struct relay_channel_ops channel_ops = {
    .opened = on_opened,
    .message = on_message,
    .closed = on_closed,
    .lost = on_lost,
    .writable = on_writable,
};

static void connect_again(void *opaque)
{
    struct relay_socket *s = opaque;
    struct relay_open o = { .kind = RELAY_TCP, .window = WINDOW, .address = s->remote };
    host_every_stop(connect_again, s);
    s->channel = relay_channel_open(relay_link_client(s->link), &o, &channel_ops, s);
}

/* ---- listening ---- */

static void listen_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_socket *s = opaque;
    (void)local;
    if (!error)
        s->reported = false;
    else
        report(s, error);
    if (error) {
        relay_channel_close(s->listener, 0);
        s->listener = NULL;
    }
}

static void listen_closed(void *opaque, uint16_t error)
{
    listen_opened(opaque, error ? error : RELAY_ECONNABORTED, NULL);
}

static void incoming(void *opaque, struct relay_channel *ch, const struct relay_address *peer,
                     const struct relay_address *local)
{
    struct relay_socket *s = opaque;
    (void)peer;
    (void)local;
    if (s->channel) {
        relay_channel_close(ch, RELAY_ECONNABORTED);
        return;
    }
    s->channel = ch;
    if (relay_channel_accept(ch, &channel_ops, s))
        is_up(s);
    else
        down(s);
}

static const struct relay_channel_ops listen_ops = {
    .opened = listen_opened,
    .closed = listen_closed,
    .accept = incoming,
};

/* ---- the client ---- */

static void describe(struct net_client *nc, char *buf, size_t len)
{
    static const char *const what[] = { "connect to ", "listening on ", "udp=" };
    struct relay_socket *s = socket_of(nc);
    char relay[300];
    relay_link_describe(s->link, relay, sizeof relay);
    snprintf(buf, len, "socket: %s%s,%s%s", what[s->kind], s->where, relay,
             s->up                                           ? ""
             : s->kind == RELAY_SOCKET_LISTEN && s->listener ? ",nobody there"
                                                             : ",not open");
}

static void cleanup(struct net_client *nc)
{
    struct relay_socket *s = socket_of(nc);
    host_every_stop(connect_again, s);
    relay_channel_close(s->channel, 0);
    relay_channel_close(s->listener, 0);
    if (s->link)
        relay_link_put(s->link);
    frame_inbox_free(&s->in);
    free(s->out);
}

static const struct net_client_ops client_ops[] = { RELAY_NETDEVS(RELAY_CLIENT) };

/* "ADDRESS:PORT" or "[ADDRESS6]:PORT"; @any: no address is all of the relay's. */
static bool parse_address(struct relay_address *a, const char *text, bool any, struct error *err)
{
    const char *colon = strrchr(text, ':');
    char host[64] = "";
    uint64_t port;
    if (!colon || !parse_u64(colon + 1, &port) || port > 65535 || (!port && !any))
        return error_set(err, "'%.100s' is not ADDRESS:PORT", text);
    size_t len = (size_t)(colon - text);
    if (len && *text == '[' && colon[-1] == ']') {
        text++;
        len -= 2;
    }
    snprintf(host, sizeof host, "%.*s", (int)len, text);
    if (!strcmp(host, "localhost"))
        strcpy(host, "127.0.0.1");
    *a = (struct relay_address){ .family = 4, .port = (uint16_t)port };
    if ((any && !len) || (len < sizeof host && inet_pton(AF_INET, host, a->ip) == 1))
        return true;
    a->family = 6;
    return (len < sizeof host && inet_pton(AF_INET6, host, a->ip) == 1) ||
           error_set(err, "'%.100s': through a relay that has to be an address, names aren't known",
                     host);
}

static bool begin(struct relay_socket *s)
{
    struct relay_client *client = relay_link_client(s->link);
    struct relay_open o = { .window = WINDOW, .address = s->local };
    s->in.nc = &s->nc;
    s->out = malloc(FRAMING_HEADER + NET_FRAME_MAX);
    if (!s->out)
        return false;
    switch (s->kind) {
    case RELAY_SOCKET_CONNECT: connect_again(s); return true;
    case RELAY_SOCKET_LISTEN:
        o.kind = RELAY_LISTEN;
        o.backlog = 1;
        s->listener = relay_channel_open(client, &o, &listen_ops, s);
        return true;
    case RELAY_SOCKET_UDP:
        o.kind = RELAY_UDP;
        s->channel = relay_channel_open(client, &o, &channel_ops, s);
        return true;
    }
    return false;
}

struct net_client *relay_socket_new(struct machine *m, const char *type, const char *name,
                                    const struct relay_socket_options *o, const struct keyval *args,
                                    struct error *err)
{
    struct relay_address remote = { 0 }, local = { 0 };
    const char *url = keyval_get(args, "relay");
    if (!url || keyval_get(args, "room") || keyval_get(args, "protocol")) {
        error_set(err, url ? "either room= or an address" : "token= needs relay=");
        return NULL;
    }
    if ((o->remote && !parse_address(&remote, o->remote, false, err)) ||
        (o->local && !parse_address(&local, o->local, true, err)))
        return NULL;
    struct relay_link *link = relay_link_get(m, url, keyval_get(args, "token"), err);
    if (!link)
        return NULL;
    struct net_client *nc = net_client_new(m, &client_ops[relay_netdev_index(type)],
                                           sizeof(struct relay_socket), type, name);
    struct relay_socket *s = socket_of(nc);
    s->link = link;
    s->kind = o->kind;
    s->remote = remote;
    s->local = local;
    snprintf(s->where, sizeof s->where, "%.90s", o->remote ? o->remote : o->local);
    if (begin(s))
        return nc;
    net_client_free(nc);
    error_set(err, "out of memory");
    return NULL;
}
