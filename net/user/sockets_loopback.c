/*
 * A network inside the process as a transport: its channels reach one another and nothing else. It
 * has the manners of a transport far away (a relay): a connection is under way for a turn of the
 * event loop before it is there, refused or unreachable; buffers are small and fill; both
 * directions of a stream close apart.
 *
 * All channels of a transport are on one network. A channel that is bound to the unspecified
 * address answers for every address, except those of 203.0.113.0/24 (TEST-NET-3), to which there is
 * no route. Stream: the bytes on their way to a channel are in its ring, the peer writes there
 * directly. A stream whose peer was closed reads what is left, then the end; writing to it gives
 * EPIPE. Datagrams wait in a list of MAX_DATAGRAMS, the next ones are lost.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"
#include "net/user/sockets.h"

#define RING          65536
#define MAX_DATAGRAMS 64
#define FIRST_PORT    49152
#define NO_ROUTE      0xcb007100u /* /24 */

struct datagram {
    struct datagram *next;
    struct sockaddr_storage from;
    size_t len;
    uint8_t data[];
};

struct loop_channel {
    struct user_channel base;
    struct loop_transport *net;
    struct loop_channel *next; /* on the network */
    bool stream, bound, listening, connecting, connected, end, deaf, mute;
    int error;
    struct sockaddr_storage local, remote;
    struct loop_channel *peer;
    uint8_t *ring;
    size_t start, fill;
    struct datagram *datagrams, **last;
    unsigned datagram_count;
    struct loop_channel *callers, *next_caller; /* connections to be accepted */
};

struct loop_transport {
    struct user_transport base;
    struct loop_channel *channels;
    uint16_t next_port;
    bool scheduled, gone;
};

static struct loop_channel *loop_channel(struct user_channel *c)
{
    return (struct loop_channel *)c;
}

/* ---- addresses ---- */

static uint16_t *port_of(struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? &((struct sockaddr_in6 *)a)->sin6_port
                                    : &((struct sockaddr_in *)a)->sin_port;
}

static bool is_any(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET6)
        return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr, &in6addr_any,
                       sizeof in6addr_any);
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr == INADDR_ANY;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
    if (a->ss_family == AF_INET6)
        return !memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
                       &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr));
    return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
           ((const struct sockaddr_in *)b)->sin_addr.s_addr;
}

static bool has_route(const struct sockaddr_storage *a)
{
    return a->ss_family != AF_INET ||
           (ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) & 0xffffff00) != NO_ROUTE;
}

static bool copy_in(struct sockaddr_storage *to, const struct sockaddr *addr, socklen_t len)
{
    if (!addr || len > sizeof *to || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6))
        return false;
    memset(to, 0, sizeof *to);
    memcpy(to, addr, len);
    return true;
}

static void copy_out(const struct sockaddr_storage *from, struct sockaddr *addr, socklen_t *len)
{
    socklen_t size =
        from->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (!addr)
        return;
    memcpy(addr, from, size < *len ? size : *len);
    *len = size;
}

/* The channel that answers for @to. */
static struct loop_channel *find(struct loop_transport *t, bool stream, struct sockaddr_storage *to)
{
    for (struct loop_channel *c = t->channels; c; c = c->next)
        if (c->stream == stream && c->bound && (!stream || c->listening) &&
            c->local.ss_family == to->ss_family && *port_of(&c->local) == *port_of(to) &&
            (is_any(&c->local) || same_address(&c->local, to)))
            return c;
    return NULL;
}

/* ---- events ---- */

static unsigned state(const struct loop_channel *c)
{
    if (c->listening)
        return c->callers ? USER_IN : 0;
    if (!c->stream)
        return (c->datagrams ? USER_IN : 0) | USER_OUT;
    if (c->error)
        return USER_IN | USER_OUT | USER_ERR;
    return (c->fill || c->end ? USER_IN : 0) |
           (c->connected && (!c->peer || c->peer->fill < RING) ? USER_OUT : 0);
}

static void deliver(void *opaque);

static void schedule(struct loop_transport *t)
{
    if (!t->scheduled)
        host_defer(deliver, t);
    t->scheduled = true;
}

static void notify(struct loop_channel *c)
{
    if (c->base.wanted & state(c))
        schedule(c->net);
}

static struct loop_channel *channel_new(struct loop_transport *t, int family, bool stream)
{
    struct loop_channel *c = calloc(1, sizeof *c);
    if (!c || (stream && !(c->ring = malloc(RING)))) {
        free(c);
        return NULL;
    }
    c->base.number = -1;
    c->net = t;
    c->stream = stream;
    c->local.ss_family = (sa_family_t)family;
    c->last = &c->datagrams;
    c->next = t->channels;
    t->channels = c;
    return c;
}

/* The connection of @c to @server, whose end waits to be accepted. */
static void establish(struct loop_channel *c, struct loop_channel *server)
{
    struct loop_channel *end = channel_new(c->net, c->local.ss_family, true);
    if (!end) {
        c->error = ENOMEM;
        return;
    }
    end->local = c->remote;
    end->remote = c->local;
    end->connected = c->connected = true;
    end->peer = c;
    c->peer = end;
    struct loop_channel **at = &server->callers;
    while (*at)
        at = &(*at)->next_caller;
    *at = end;
    notify(server);
}

/* What takes a turn: connections. */
static void deliver(void *opaque)
{
    struct loop_transport *t = opaque;
    t->scheduled = false;
    if (t->gone) {
        free(t);
        return;
    }
    for (struct loop_channel *c = t->channels; c; c = c->next) {
        if (!c->connecting)
            continue;
        struct loop_channel *server = find(t, true, &c->remote);
        c->connecting = false;
        if (!has_route(&c->remote))
            c->error = EHOSTUNREACH;
        else if (!server)
            c->error = ECONNREFUSED;
        else
            establish(c, server);
    }
    if (t->base.ready)
        t->base.ready(t->base.opaque);
}

/* ---- operations ---- */

static struct user_channel *loop_open(struct user_transport *t, int family, int type, int protocol,
                                      int *error)
{
    *error = protocol == IPPROTO_ICMP ? -EPROTONOSUPPORT : -EAFNOSUPPORT;
    if (protocol == IPPROTO_ICMP || (family != AF_INET && family != AF_INET6))
        return NULL;
    *error = -ENOMEM;
    struct loop_channel *c = channel_new((struct loop_transport *)t, family, type == SOCK_STREAM);
    return c ? &c->base : NULL;
}

static int loop_bind(struct user_channel *base, const struct sockaddr *addr, socklen_t len)
{
    struct loop_channel *c = loop_channel(base);
    struct sockaddr_storage at;
    if (!copy_in(&at, addr, len) || at.ss_family != c->local.ss_family || c->bound)
        return -EINVAL;
    while (!*port_of(&at)) {
        c->net->next_port = c->net->next_port < FIRST_PORT ? FIRST_PORT : c->net->next_port + 1;
        *port_of(&at) = htons(c->net->next_port);
        if (c->net->next_port < FIRST_PORT || find(c->net, c->stream, &at))
            *port_of(&at) = 0;
    }
    if (find(c->net, c->stream, &at))
        return -EADDRINUSE;
    c->local = at;
    c->bound = true;
    return 0;
}

/* A port of its own for a channel that is used unbound. */
static void bind_somewhere(struct loop_channel *c)
{
    struct sockaddr_storage any = { .ss_family = c->local.ss_family };
    if (!c->bound)
        loop_bind(&c->base, (struct sockaddr *)&any, sizeof any);
}

static int loop_connect(struct user_channel *base, const struct sockaddr *addr, socklen_t len)
{
    struct loop_channel *c = loop_channel(base);
    if (!c->stream || c->connected || c->connecting || !copy_in(&c->remote, addr, len))
        return -EINVAL;
    bind_somewhere(c);
    c->connecting = true;
    schedule(c->net);
    return -EINPROGRESS;
}

static int loop_listen(struct user_channel *base, int backlog)
{
    struct loop_channel *c = loop_channel(base);
    (void)backlog;
    bind_somewhere(c);
    c->listening = true;
    return 0;
}

static struct user_channel *loop_accept(struct user_channel *base, struct sockaddr *addr,
                                        socklen_t *len, int *error)
{
    struct loop_channel *c = loop_channel(base)->callers;
    *error = -EAGAIN;
    if (!c)
        return NULL;
    loop_channel(base)->callers = c->next_caller;
    copy_out(&c->remote, addr, len);
    return &c->base;
}

static int loop_shutdown(struct user_channel *base, int how)
{
    struct loop_channel *c = loop_channel(base);
    if (!c->connected)
        return -ENOTCONN;
    if (how != SHUT_WR) {
        c->deaf = c->end = true;
        c->fill = 0;
    }
    if (how != SHUT_RD && !c->mute) {
        c->mute = true;
        if (c->peer) {
            c->peer->end = true;
            notify(c->peer);
        }
    }
    return 0;
}

static ssize_t send_stream(struct loop_channel *c, const uint8_t *buf, size_t len)
{
    if (c->error)
        return -c->error;
    if (!c->connected)
        return -ENOTCONN;
    if (len == 0)
        return 0;
    if (!c->peer || c->mute)
        return -EPIPE;
    struct loop_channel *to = c->peer;
    if (to->deaf)
        return (ssize_t)len;
    size_t room = RING - to->fill, n = len < room ? len : room;
    if (n == 0)
        return -EAGAIN;
    for (size_t done = 0; done < n;) {
        size_t at = (to->start + to->fill) % RING;
        size_t part = n - done < RING - at ? n - done : RING - at;
        memcpy(to->ring + at, buf + done, part);
        to->fill += part;
        done += part;
    }
    notify(to);
    return (ssize_t)n;
}

static ssize_t send_datagram(struct loop_channel *c, const void *buf, size_t len,
                             const struct sockaddr *addr, socklen_t addrlen)
{
    struct sockaddr_storage to;
    if (!copy_in(&to, addr, addrlen))
        return -EINVAL;
    bind_somewhere(c);
    if (!has_route(&to))
        return -EHOSTUNREACH;
    struct loop_channel *taker = find(c->net, false, &to);
    if (!taker || taker->datagram_count == MAX_DATAGRAMS)
        return (ssize_t)len;
    struct datagram *d = malloc(sizeof *d + len);
    if (!d)
        return -ENOMEM;
    d->next = NULL;
    d->from = c->local;
    d->len = len;
    memcpy(d->data, buf, len);
    *taker->last = d;
    taker->last = &d->next;
    taker->datagram_count++;
    notify(taker);
    return (ssize_t)len;
}

static ssize_t loop_sendto(struct user_channel *base, const void *buf, size_t len, int flags,
                           const struct sockaddr *addr, socklen_t addrlen)
{
    struct loop_channel *c = loop_channel(base);
    (void)flags;
    return c->stream ? send_stream(c, buf, len) : send_datagram(c, buf, len, addr, addrlen);
}

static ssize_t receive_stream(struct loop_channel *c, uint8_t *buf, size_t len)
{
    if (c->error)
        return -c->error;
    if (!c->fill)
        return c->end ? 0 : c->connected ? -EAGAIN : -ENOTCONN;
    size_t n = len < c->fill ? len : c->fill;
    for (size_t done = 0; done < n;) {
        size_t part = n - done < RING - c->start ? n - done : RING - c->start;
        memcpy(buf + done, c->ring + c->start, part);
        c->start = (c->start + part) % RING;
        done += part;
    }
    c->fill -= n;
    if (c->peer)
        notify(c->peer);
    return (ssize_t)n;
}

static ssize_t loop_recvfrom(struct user_channel *base, void *buf, size_t len, int flags,
                             struct sockaddr *addr, socklen_t *addrlen)
{
    struct loop_channel *c = loop_channel(base);
    (void)flags;
    if (c->stream)
        return receive_stream(c, buf, len);
    struct datagram *d = c->datagrams;
    if (!d)
        return -EAGAIN;
    c->datagrams = d->next;
    if (!d->next)
        c->last = &c->datagrams;
    c->datagram_count--;
    size_t n = d->len < len ? d->len : len;
    memcpy(buf, d->data, n);
    copy_out(&d->from, addr, addrlen);
    free(d);
    return (ssize_t)n;
}

static int loop_name(struct user_channel *base, bool peer, struct sockaddr *addr, socklen_t *len)
{
    struct loop_channel *c = loop_channel(base);
    if (peer && !c->connected)
        return -ENOTCONN;
    copy_out(peer ? &c->remote : &c->local, addr, len);
    return 0;
}

static int loop_setsockopt(struct user_channel *c, int level, int name, const void *value,
                           socklen_t len)
{
    (void)c, (void)level, (void)name, (void)value, (void)len;
    return 0; /* nothing that matters here */
}

static int loop_getsockopt(struct user_channel *base, int level, int name, void *value,
                           socklen_t *len)
{
    int n = 0;
    if (level == SOL_SOCKET && name == SO_ERROR) {
        n = loop_channel(base)->error;
        loop_channel(base)->error = 0;
    }
    memcpy(value, &n, *len < sizeof n ? *len : sizeof n);
    return 0;
}

static int loop_available(struct user_channel *base)
{
    struct loop_channel *c = loop_channel(base);
    return c->stream ? (int)c->fill : c->datagrams ? (int)c->datagrams->len : 0;
}

static void loop_close(struct user_channel *base)
{
    struct loop_channel *c = loop_channel(base);
    while (c->callers) {
        struct loop_channel *caller = c->callers;
        c->callers = caller->next_caller;
        loop_close(&caller->base);
    }
    if (c->peer) {
        c->peer->peer = NULL;
        c->peer->end = true;
        notify(c->peer);
    }
    while (c->datagrams) {
        struct datagram *d = c->datagrams;
        c->datagrams = d->next;
        free(d);
    }
    struct loop_channel **at = &c->net->channels;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    free(c->ring);
    free(c);
}

static void loop_want(struct user_channel *base, unsigned events)
{
    (void)events;
    notify(loop_channel(base));
}

static unsigned loop_poll(struct user_channel *base)
{
    return state(loop_channel(base)) & (base->wanted | USER_ERR);
}

static void loop_refresh(struct user_transport *t)
{
    (void)t; /* poll() always knows */
}

/* 127.0.0.53 and ::53. */
static bool loop_name_server(struct user_transport *t, int family, struct sockaddr_storage *addr)
{
    (void)t;
    memset(addr, 0, sizeof *addr);
    addr->ss_family = (sa_family_t)family;
    if (family == AF_INET6)
        ((struct sockaddr_in6 *)addr)->sin6_addr.s6_addr[15] = 0x53;
    else
        ((struct sockaddr_in *)addr)->sin_addr.s_addr = htonl(0x7f000035);
    return true;
}

static void loop_free(struct user_transport *base)
{
    struct loop_transport *t = (struct loop_transport *)base;
    while (t->channels)
        loop_close(&t->channels->base);
    t->gone = true;
    if (!t->scheduled)
        free(t);
}

static const struct user_transport_ops loop_ops = {
    .open = loop_open,
    .bind = loop_bind,
    .connect = loop_connect,
    .listen = loop_listen,
    .accept = loop_accept,
    .shutdown = loop_shutdown,
    .sendto = loop_sendto,
    .recvfrom = loop_recvfrom,
    .name = loop_name,
    .setsockopt = loop_setsockopt,
    .getsockopt = loop_getsockopt,
    .available = loop_available,
    .close = loop_close,
    .want = loop_want,
    .poll = loop_poll,
    .refresh = loop_refresh,
    .name_server = loop_name_server,
    .free = loop_free,
};

struct user_transport *user_loopback_transport_new(const char *label)
{
    struct loop_transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->base.ops = &loop_ops;
    t->base.label = label;
    return &t->base;
}
