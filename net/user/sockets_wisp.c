/*
 * Sockets as streams of a Wisp server, the protocol of other emulators' relays (its version 1:
 * a WebSocket message is a packet of type, stream and payload, numbers little-endian). For servers
 * that aren't ours; it can less than our protocol:
 *
 *   connect()         CONNECT tcp. Nothing says that it worked, so the guest is told at once; a
 *                     CLOSE with a reason other than "voluntary" is a reset
 *   sendto()          DATA; a stream may have so many packets under way as CONTINUE says. A
 *                     datagram socket has a stream for each address that it sends to
 *   shutdown(WR)      there is no half-close: what comes is still taken, and after LINGER_TICKS of
 *                     silence the stream is closed
 *   the name server   240.0.0.53: names get addresses of their own (made_names.c), the server looks
 *                     them up
 *   listen(), ping    not there
 *
 * Nothing holds the server back when the guest doesn't read: up to HELD_MOST bytes wait here for
 * all its streams together, then the stream that gets more is reset.
 *
 *   CONNECTING -> UP (the first CONTINUE has come) -> WAITING (0.1 s, doubled up to 5 s) -> ...
 *
 * Streams end with the connection (ECONNRESET); while there is none, connect() waits for the
 * attempt under way or fails with ENETUNREACH.
 */
#include "net/user/sockets_wisp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "net/relay/link.h"
#include "net/user/dns_proxy.h"
#include "net/user/made_names.h"
#include "net/user/soft.h"

enum packet { CONNECT = 1, DATA = 2, CONTINUE = 3, CLOSE = 4 };
enum { TCP = 1, UDP = 2 };
enum reason {
    VOLUNTARY = 0x02,
    UNREACHABLE = 0x42,
    TIMED_OUT = 0x43,
    REFUSED = 0x44,
    BLOCKED = 0x48,
};
enum {
    HEADER = 5,
    PIECE = 16 << 10, /* of a stream, in one packet */
    DATAGRAM_MOST = 65535,
    MESSAGE_MOST = 4 << 20,
    BACKLOG = 1 << 20,
    HELD_MOST = 64 << 20,
    FLOWS = 16, /* addresses of a datagram socket */
    BUCKETS = 256,
    LINGER_TICKS = 5,
};
#define TICK_NS       1000000000ll
#define LOOK_NS       5000000ll
#define FIRST_WAIT_NS 100000000ll
#define LAST_WAIT_NS  5000000000ll

enum state { CONNECTING, UP, WAITING };

struct wisp_sock;

/* A stream of the server's. */
struct flow {
    uint32_t id; /* 0: there is none */
    uint32_t credit;
    struct wisp_sock *sock;
    struct sockaddr_storage to;
    struct flow *bucket;
};

struct wisp_sock {
    struct user_soft soft;
    struct wisp_transport *net;
    bool asks_names;          /* connected to the name server, by stream */
    bool greeted;             /* CONNECT is out */
    unsigned linger;          /* ticks until a half-closed stream is closed; 0: it isn't */
    struct flow flows[FLOWS]; /* a stream has the first one */
    unsigned next_flow;
    uint8_t *query; /* name server by stream: what has come of a message */
    size_t query_len;
};

struct wisp_transport {
    struct user_transport base;
    struct host_websocket *socket;
    enum state state;
    bool reported, looking, ticking;
    char *url, *shown;
    char status[200];
    int64_t wait_ns;
    uint32_t buffer; /* packets that a new stream may send */
    uint32_t last_id;
    size_t held;
    struct flow *buckets[BUCKETS];
    struct dns_proxy *dns;
    struct made_names *names;
    uint8_t packet[HEADER + DATAGRAM_MOST];
};

static struct wisp_sock *sock_of(struct user_channel *c)
{
    return (struct wisp_sock *)c;
}

static struct wisp_transport *transport_of(struct user_transport *t)
{
    return (struct wisp_transport *)t;
}

/* ---- packets ---- */

static void put32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void send_packet(struct wisp_transport *t, enum packet type, uint32_t id,
                        const void *payload, size_t len)
{
    t->packet[0] = (uint8_t)type;
    put32(t->packet + 1, id);
    if (len)
        memcpy(t->packet + HEADER, payload, len);
    host_websocket_send(t->socket, t->packet, HEADER + len);
}

static bool has_room(struct wisp_transport *t);

/* ---- flows ---- */

static struct flow **find_flow(struct wisp_transport *t, uint32_t id)
{
    struct flow **at = &t->buckets[id % BUCKETS];
    while (*at && (*at)->id != id)
        at = &(*at)->bucket;
    return at;
}

/* Asks for a stream to @f->to. */
static void open_flow(struct wisp_sock *k, struct flow *f)
{
    struct wisp_transport *t = k->net;
    const char *name = made_names_find(t->names, &f->to);
    char text[INET6_ADDRSTRLEN];
    uint8_t payload[3 + 256] = { k->soft.stream ? TCP : UDP };
    uint16_t port = user_soft_port(&f->to);
    if (!name)
        name = inet_ntop(f->to.ss_family,
                         f->to.ss_family == AF_INET6
                             ? (const void *)&((struct sockaddr_in6 *)&f->to)->sin6_addr
                             : (const void *)&((struct sockaddr_in *)&f->to)->sin_addr,
                         text, sizeof text);
    size_t len = strlen(name);
    payload[1] = (uint8_t)port;
    payload[2] = (uint8_t)(port >> 8);
    memcpy(payload + 3, name, len);
    do {
        f->id = ++t->last_id;
    } while (!f->id || *find_flow(t, f->id));
    f->sock = k;
    f->credit = t->buffer;
    f->bucket = NULL;
    *find_flow(t, f->id) = f;
    send_packet(t, CONNECT, f->id, payload, 3 + len);
}

/* @tell: the server doesn't know yet. */
static void close_flow(struct wisp_transport *t, struct flow *f, bool tell)
{
    const uint8_t reason = VOLUNTARY;
    if (!f->id)
        return;
    *find_flow(t, f->id) = f->bucket;
    if (tell && t->state == UP)
        send_packet(t, CLOSE, f->id, &reason, 1);
    f->id = 0;
}

static struct flow *flow_to(struct wisp_sock *k, const struct sockaddr_storage *to)
{
    for (unsigned i = 0; i < FLOWS; i++)
        if (k->flows[i].id && !memcmp(&k->flows[i].to, to, user_soft_address_len(to)))
            return &k->flows[i];
    struct flow *f = &k->flows[k->next_flow++ % FLOWS];
    close_flow(k->net, f, true);
    f->to = *to;
    open_flow(k, f);
    return f;
}

/* ---- streams ---- */

static void taken(struct user_soft *s, size_t n)
{
    struct wisp_sock *k = (struct wisp_sock *)s;
    if (!k->asks_names)
        k->net->held -= n;
}

static bool can_send(struct user_soft *s)
{
    struct wisp_sock *k = (struct wisp_sock *)s;
    return k->asks_names || !k->flows[0].id || (k->flows[0].credit && has_room(k->net));
}

static const struct user_soft_ops soft_ops = { .taken = taken, .can_send = can_send };

/* The guest needn't wait: nothing tells when the connection is there. */
static void greet(struct wisp_sock *k)
{
    k->greeted = true;
    k->flows[0].to = k->soft.remote;
    open_flow(k, &k->flows[0]);
    user_soft_connected(&k->soft);
}

static void stream_data(struct wisp_sock *k, const uint8_t *data, size_t len)
{
    struct wisp_transport *t = k->net;
    k->linger = k->linger ? LINGER_TICKS : 0;
    if (k->soft.deaf || !len)
        return;
    if (t->held + len > HELD_MOST || !user_soft_put(&k->soft, data, len, false)) {
        close_flow(t, &k->flows[0], true);
        user_soft_fail(&k->soft, ECONNRESET);
        return;
    }
    t->held += len;
}

static void stream_closed(struct wisp_sock *k, unsigned reason)
{
    if (reason == VOLUNTARY)
        user_soft_end(&k->soft);
    else
        user_soft_fail(&k->soft, reason == UNREACHABLE || reason == BLOCKED ? EHOSTUNREACH
                                 : reason == TIMED_OUT                      ? ETIMEDOUT
                                 : reason == REFUSED                        ? ECONNREFUSED
                                                                            : ECONNRESET);
}

/* ---- what comes ---- */

static struct wisp_sock *sock_at(struct user_channel *c)
{
    return c ? sock_of(c) : NULL;
}

static void came_up(struct wisp_transport *t)
{
    t->state = UP;
    t->wait_ns = FIRST_WAIT_NS;
    snprintf(t->status, sizeof t->status, "connected");
    if (t->reported)
        fprintf(stderr, "slipway: netdev '%s': relay %s: connected\n", t->base.label, t->shown);
    t->reported = false;
    for (struct wisp_sock *k = sock_at(t->base.channels); k; k = sock_at(k->soft.base.next))
        if (k->soft.connecting && !k->greeted)
            greet(k);
}

static void on_data(struct flow *f, const uint8_t *data, size_t len)
{
    struct wisp_sock *k = f->sock;
    if (k->soft.stream)
        stream_data(k, data, len);
    else
        user_soft_put_datagram(&k->soft, &f->to, data, len);
}

static void on_close(struct wisp_transport *t, struct flow *f, unsigned reason)
{
    struct wisp_sock *k = f->sock;
    close_flow(t, f, false);
    if (k->soft.stream)
        stream_closed(k, reason);
    else if (reason != VOLUNTARY)
        user_soft_fail(&k->soft, reason == BLOCKED ? EHOSTUNREACH : ECONNREFUSED);
}

static void lost(struct wisp_transport *t, const char *why);

static void on_message(void *opaque, bool binary, const uint8_t *data, size_t len)
{
    struct wisp_transport *t = opaque;
    if (!binary || len < HEADER) {
        lost(t, "the server doesn't speak Wisp");
        return;
    }
    uint32_t id = get32(data + 1);
    const uint8_t *payload = data + HEADER;
    size_t rest = len - HEADER;
    if (data[0] == CONTINUE && rest >= 4 && !id) {
        t->buffer = get32(payload);
        if (t->state != UP)
            came_up(t);
        return;
    }
    struct flow *f = id ? *find_flow(t, id) : NULL;
    if (!f)
        return; /* closed by us meanwhile */
    switch (data[0]) {
    case DATA: on_data(f, payload, rest); break;
    case CONTINUE:
        if (rest < 4)
            break;
        f->credit = get32(payload);
        user_soft_notify(&f->sock->soft);
        break;
    case CLOSE: on_close(t, f, rest ? payload[0] : VOLUNTARY); break;
    default: break; /* unknown ones are ignored */
    }
}

/* ---- the connection ---- */

static void on_opened(void *opaque)
{
    (void)opaque; /* the server speaks first */
}

static void on_closed(void *opaque, unsigned code, const char *why)
{
    (void)code;
    lost(opaque, *why ? why : "the connection was lost");
}

static const struct host_websocket_ops socket_ops = { on_opened, on_message, on_closed };

static void connect_again(void *opaque)
{
    struct wisp_transport *t = opaque;
    struct error err;
    host_every_stop(connect_again, t);
    t->state = CONNECTING;
    t->socket = host_websocket_open(t->url, "", MESSAGE_MOST, &socket_ops, t, &err);
    if (!t->socket)
        lost(t, err.msg);
}

static void lost(struct wisp_transport *t, const char *why)
{
    snprintf(t->status, sizeof t->status, "not connected: %.150s", why);
    if (!t->reported)
        fprintf(stderr, "slipway: netdev '%s': relay %s: %s\n", t->base.label, t->shown, t->status);
    t->reported = true;
    t->state = WAITING;
    host_websocket_close(t->socket, 1000);
    t->socket = NULL;
    for (struct wisp_sock *k = sock_at(t->base.channels); k; k = sock_at(k->soft.base.next)) {
        bool cut = k->soft.stream && k->flows[0].id;
        for (unsigned i = 0; i < FLOWS; i++)
            close_flow(t, &k->flows[i], false);
        if (cut || k->soft.connecting)
            user_soft_fail(&k->soft, cut ? ECONNRESET : ENETUNREACH);
    }
    host_every(t->wait_ns, connect_again, t);
    t->wait_ns = 2 * t->wait_ns < LAST_WAIT_NS ? 2 * t->wait_ns : LAST_WAIT_NS;
}

/* Is there room in the WebSocket again? */
static void look(void *opaque)
{
    struct wisp_transport *t = opaque;
    if (t->state == UP && host_websocket_backlog(t->socket) > BACKLOG / 2)
        return;
    host_every_stop(look, t);
    t->looking = false;
    for (struct wisp_sock *k = sock_at(t->base.channels); k; k = sock_at(k->soft.base.next))
        user_soft_notify(&k->soft);
}

static bool has_room(struct wisp_transport *t)
{
    if (t->state != UP || host_websocket_backlog(t->socket) < BACKLOG)
        return true;
    if (!t->looking)
        host_every(LOOK_NS, look, t);
    t->looking = true;
    return false;
}

/* Closes half-closed streams on which nothing has come for a while. */
static void tick(void *opaque)
{
    struct wisp_transport *t = opaque;
    bool more = false;
    for (struct wisp_sock *k = sock_at(t->base.channels); k; k = sock_at(k->soft.base.next)) {
        if (!k->linger)
            continue;
        more = true;
        if (--k->linger)
            continue;
        close_flow(t, &k->flows[0], true);
        user_soft_end(&k->soft);
    }
    if (!more)
        host_every_stop(tick, t);
    t->ticking = more;
}

/* ---- names ---- */

static bool answer(void *opaque, uint32_t id, const void *dns, size_t len)
{
    struct wisp_transport *t = opaque;
    uint8_t out[600];
    size_t n = made_names_answer(t->names, dns, len, out, sizeof out);
    dns_proxy_answer(t->dns, id, true, out, n);
    return false; /* it isn't under way */
}

/* ---- operations ---- */

static struct user_channel *wisp_open(struct user_transport *base, int family, int type,
                                      int protocol, int *error)
{
    *error = -EPROTONOSUPPORT;
    if ((family != AF_INET && family != AF_INET6) || protocol == IPPROTO_ICMP ||
        (type != SOCK_STREAM && type != SOCK_DGRAM))
        return NULL;
    *error = -ENOMEM;
    struct wisp_sock *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->soft.ops = &soft_ops;
    user_soft_init(&k->soft, family, type == SOCK_STREAM);
    k->net = transport_of(base);
    return &k->soft.base;
}

static int wisp_bind(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    struct sockaddr_storage at;
    if (!user_soft_address(&at, addr, len))
        return -EINVAL;
    return user_soft_port(&at) ? -EOPNOTSUPP : 0; /* a port of its own: hostfwd */
}

static int wisp_connect(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    struct wisp_sock *k = sock_of(c);
    if (!k->soft.stream || k->soft.connecting || k->soft.connected ||
        !user_soft_address(&k->soft.remote, addr, len) || !user_soft_port(&k->soft.remote))
        return -EINVAL;
    if (dns_proxy_is(&k->soft.remote)) {
        k->asks_names = k->soft.connected = true;
        return 0;
    }
    if (k->net->state == WAITING)
        return -ENETUNREACH;
    k->soft.connecting = true;
    if (k->net->state == UP)
        greet(k);
    return -EINPROGRESS;
}

static int wisp_listen(struct user_channel *c, int backlog)
{
    (void)c, (void)backlog;
    return -EOPNOTSUPP;
}

static void hear_no_more(struct wisp_sock *k)
{
    k->soft.deaf = k->soft.end = true;
    k->net->held -= k->soft.in_fill;
    k->soft.in_fill = 0;
}

static int wisp_shutdown(struct user_channel *c, int how)
{
    struct wisp_sock *k = sock_of(c);
    if (!k->soft.stream || !k->soft.connected)
        return -ENOTCONN;
    if (how != SHUT_WR && !k->soft.deaf)
        hear_no_more(k);
    if (how != SHUT_RD && !k->soft.mute) {
        k->soft.mute = true;
        k->linger = k->flows[0].id ? LINGER_TICKS : 0;
        if (!k->flows[0].id)
            user_soft_end(&k->soft);
        else if (!k->net->ticking)
            host_every(TICK_NS, tick, k->net);
        k->net->ticking |= k->linger != 0;
    }
    return 0;
}

static ssize_t send_stream(struct wisp_sock *k, const uint8_t *buf, size_t len)
{
    struct wisp_transport *t = k->net;
    struct flow *f = &k->flows[0];
    size_t done = 0;
    if (k->soft.error)
        return -k->soft.error;
    if (!k->soft.connected)
        return -ENOTCONN;
    if (k->soft.mute)
        return len ? -EPIPE : 0;
    if (k->asks_names)
        return dns_proxy_stream(t->dns, &k->soft, &k->query, &k->query_len, buf, len);
    if (!f->id)
        return len ? -EPIPE : 0;
    while (done < len && f->credit && has_room(t)) {
        size_t n = len - done < PIECE ? len - done : PIECE;
        send_packet(t, DATA, f->id, buf + done, n);
        f->credit--;
        done += n;
    }
    return done || !len ? (ssize_t)done : -EAGAIN;
}

static ssize_t wisp_sendto(struct user_channel *c, const void *buf, size_t len, int flags,
                           const struct sockaddr *addr, socklen_t addrlen)
{
    struct wisp_sock *k = sock_of(c);
    struct sockaddr_storage to;
    (void)flags; /* urgent data goes with the rest */
    if (k->soft.stream)
        return send_stream(k, buf, len);
    if (!user_soft_address(&to, addr, addrlen) || to.ss_family != k->soft.family)
        return -EINVAL;
    if (len > DATAGRAM_MOST)
        return -EMSGSIZE;
    if (dns_proxy_is(&to)) {
        dns_proxy_query(k->net->dns, &k->soft, &to, buf, len);
        return (ssize_t)len;
    }
    if (k->net->state != UP)
        return k->net->state == WAITING ? -ENETUNREACH : (ssize_t)len; /* lost on the way */
    if (has_room(k->net))
        send_packet(k->net, DATA, flow_to(k, &to)->id, buf, len);
    return (ssize_t)len;
}

static void wisp_close(struct user_channel *c)
{
    struct wisp_sock *k = sock_of(c);
    for (unsigned i = 0; i < FLOWS; i++)
        close_flow(k->net, &k->flows[i], true);
    if (k->net->dns)
        dns_proxy_forget(k->net->dns, &k->soft);
    if (k->soft.stream && !k->asks_names)
        hear_no_more(k);
    user_soft_free(&k->soft);
    free(k->query);
    free(k);
}

static bool wisp_name_server(struct user_transport *t, int family, struct sockaddr_storage *addr)
{
    (void)t;
    dns_proxy_address(family, addr);
    return true;
}

static void wisp_free(struct user_transport *base)
{
    struct wisp_transport *t = transport_of(base);
    host_every_stop(connect_again, t);
    host_every_stop(look, t);
    host_every_stop(tick, t);
    host_websocket_close(t->socket, 1000);
    dns_proxy_free(t->dns);
    made_names_free(t->names);
    free(t->url);
    free(t->shown);
    free(t);
}

static const struct user_transport_ops wisp_ops = {
    .open = wisp_open,
    .bind = wisp_bind,
    .connect = wisp_connect,
    .listen = wisp_listen,
    .accept = user_soft_accept,
    .shutdown = wisp_shutdown,
    .sendto = wisp_sendto,
    .recvfrom = user_soft_recvfrom,
    .name = user_soft_name,
    .setsockopt = user_soft_setsockopt,
    .getsockopt = user_soft_getsockopt,
    .available = user_soft_available,
    .close = wisp_close,
    .want = user_soft_want,
    .poll = user_soft_poll,
    .refresh = user_soft_refresh,
    .name_server = wisp_name_server,
    .free = wisp_free,
};

struct user_transport *user_wisp_transport_new(const char *label, const char *url,
                                               struct error *err)
{
    struct wisp_transport *t = calloc(1, sizeof *t);
    if (!t) {
        error_set(err, "out of memory");
        return NULL;
    }
    t->base.ops = &wisp_ops;
    t->base.label = label;
    t->wait_ns = FIRST_WAIT_NS;
    t->url = relay_url_full(url, "/wisp/");
    t->shown = t->url ? relay_url_shown(t->url) : NULL;
    t->dns = dns_proxy_new(answer, t);
    t->names = made_names_new();
    snprintf(t->status, sizeof t->status, "connecting");
    if (!t->shown || !t->dns || !t->names) {
        error_set(err, "out of memory");
    } else if (t->url[strcspn(t->url, "?#") - 1] != '/') {
        error_set(err, "relay=%s: the path of a Wisp server ends in '/'", t->shown);
    } else {
        t->socket = host_websocket_open(t->url, "", MESSAGE_MOST, &socket_ops, t, err);
        if (t->socket)
            return &t->base;
    }
    wisp_free(&t->base);
    return NULL;
}

void user_wisp_describe(const struct user_transport *base, char *buf, size_t len)
{
    const struct wisp_transport *t = (const struct wisp_transport *)base;
    snprintf(buf, len, "relay=%s,protocol=wisp (%s)", t->shown, t->status);
}
