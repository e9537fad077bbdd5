/*
 * Sockets as channels of a relay (docs/relay-protocol.md): libslirp's calls become OPEN, DATA,
 * DGRAMS ... of net/relay/client.h, and what comes back is put into channels in memory (soft.c).
 *
 *   connect()           OPEN tcp; OPENED makes it writable, or fails it with the relay's errno
 *   listen()            OPEN listen, in the background: a port that can't be had is reported, since
 *                       libslirp has got its answer long before
 *   sendto(), datagram  OPEN udp with the first one; datagrams wait until it is open (WAITING_MOST)
 *   ICMP echo           a channel of a pool: a guest's ping is a new socket each time, and a new
 *                       channel would cost a round trip. An answer is for the socket that uses the
 *                       channel just now, if its sequence number is that of what it sent
 *   the name server     240.0.0.53 port 53: QUERY and ANSWER of one dns channel (dns_proxy.c)
 *   shutdown(), close() SHUT; CLOSE, as a reset if our direction wasn't shut before
 *
 * Credit is given back as libslirp reads (taken()), so the relay stops reading a socket when the
 * guest does; what the relay doesn't take stays with libslirp, whose window closes.
 *
 * When the connection is lost, streams are reset; datagram sockets, listening ones and the name
 * server come back by themselves with it. Where the relay is gone for good, connect() fails at once
 * with ENETUNREACH, which the guest gets as ICMP.
 */
#include "net/user/sockets_relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/relay/client.h"
#include "net/user/dns_proxy.h"
#include "net/user/soft.h"

enum {
    STREAM_WINDOW = 256 << 10,
    PACKET_WINDOW = 512 << 10,
    WAITING_MOST = 16, /* datagrams in front of a channel that isn't open yet */
    IDLE_PINGERS = 4,
    ICMP_ECHO = 8,
    ICMP_HEADER = 8,
};

struct waiting {
    struct waiting *next;
    struct relay_address to;
    size_t len;
    uint8_t data[];
};

enum use { USE_STREAM, USE_DATAGRAMS, USE_PING, USE_DNS_STREAM };

struct relay_sock;

/* A channel for pings, which outlives the socket that it was made for. */
struct pinger {
    struct relay_transport *net;
    struct pinger *next; /* of the idle ones */
    struct relay_channel *channel;
    struct relay_sock *user;
};

struct relay_sock {
    struct user_soft soft;
    struct relay_transport *net;
    enum use use;
    struct relay_channel *channel;
    struct pinger *pinger;
    uint16_t ping_sequence;
    bool forwards; /* a datagram socket with a port of its own choice: hostfwd */
    struct waiting *waiting, **last_waiting;
    unsigned waiting_count;
    uint8_t *query; /* DNS stream: what has come of a message */
    size_t query_len;
};

struct relay_transport {
    struct user_transport base;
    struct relay_client *client;
    void (*release)(void *opaque);
    void *opaque;
    struct pinger *idle;
    unsigned idle_count;
    struct dns_proxy *dns;
    struct relay_channel *dns_channel;
    bool denied, denied_own; /* it was said that the relay doesn't let everything through */
};

static struct relay_sock *sock_of(struct user_channel *c)
{
    return (struct relay_sock *)c;
}

/* ---- addresses and errors ---- */

static struct relay_address to_wire(const struct sockaddr_storage *a)
{
    struct relay_address w = { .family = a->ss_family == AF_INET6 ? 6 : 4,
                               .port = user_soft_port(a) };
    if (w.family == 6)
        memcpy(w.ip, &((const struct sockaddr_in6 *)a)->sin6_addr, 16);
    else
        memcpy(w.ip, &((const struct sockaddr_in *)a)->sin_addr, 4);
    return w;
}

static void from_wire(const struct relay_address *w, struct sockaddr_storage *a)
{
    memset(a, 0, sizeof *a);
    a->ss_family = w->family == 6 ? AF_INET6 : AF_INET;
    if (w->family == 6)
        memcpy(&((struct sockaddr_in6 *)a)->sin6_addr, w->ip, 16);
    else
        memcpy(&((struct sockaddr_in *)a)->sin_addr, w->ip, 4);
    user_soft_set_port(a, w->port);
}

/* This platform's errno. */
static int local_error(uint16_t error)
{
    switch (error) {
    case RELAY_EPERM: return EPERM;
    case RELAY_EACCES: return EACCES;
    case RELAY_EMFILE: return EMFILE;
    case RELAY_EMSGSIZE: return EMSGSIZE;
    case RELAY_EOPNOTSUPP: return EOPNOTSUPP;
    case RELAY_EADDRINUSE: return EADDRINUSE;
    case RELAY_EADDRNOTAVAIL: return EADDRNOTAVAIL;
    case RELAY_ENETUNREACH: return ENETUNREACH;
    case RELAY_ECONNABORTED: return ECONNABORTED;
    case RELAY_ECONNRESET: return ECONNRESET;
    case RELAY_ETIMEDOUT: return ETIMEDOUT;
    case RELAY_ECONNREFUSED: return ECONNREFUSED;
    case RELAY_EHOSTUNREACH: return EHOSTUNREACH;
    default: return EIO;
    }
}

static bool is_loopback(const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)a)->sin6_addr);
    return a->ss_family == AF_INET &&
           ntohl(((const struct sockaddr_in *)a)->sin_addr.s_addr) >> 24 == 127;
}

/* Says once that the relay's rules are in the guest's way, and once that this is so for 10.0.2.2,
 * which is the machine that the relay runs on. @to may be NULL. */
static void note_denied(struct relay_transport *t, uint16_t error,
                        const struct sockaddr_storage *to)
{
    bool own = to && is_loopback(to);
    bool *denied = own ? &t->denied_own : &t->denied;
    if (*denied || (error != RELAY_EACCES && error != RELAY_EPERM))
        return;
    *denied = true;
    fprintf(stderr, "slipway: netdev '%s': the relay doesn't let the guest reach %s\n",
            t->base.label, own ? "the relay's own machine, the guest's 10.0.2.2" : "every address");
}

/* ---- streams ---- */

static void taken(struct user_soft *s, size_t n)
{
    struct relay_sock *k = (struct relay_sock *)s;
    if (k->channel)
        relay_channel_done(k->channel, (uint32_t)n);
}

static bool can_send(struct user_soft *s)
{
    struct relay_sock *k = (struct relay_sock *)s;
    return k->use == USE_DNS_STREAM || !k->channel || relay_can_send(k->channel);
}

static const struct user_soft_ops soft_ops = { .taken = taken, .can_send = can_send };

static void stream_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_sock *k = opaque;
    if (error) {
        note_denied(k->net, error, &k->soft.remote);
        user_soft_fail(&k->soft, local_error(error));
        return;
    }
    if (local->family)
        from_wire(local, &k->soft.local);
    user_soft_connected(&k->soft);
}

static void stream_message(void *opaque, const struct relay_message *m)
{
    struct relay_sock *k = opaque;
    bool urgent = m->type == RELAY_URGENT;
    if (m->type == RELAY_SHUT) {
        user_soft_end(&k->soft);
        return;
    }
    const void *data = urgent ? &m->urgent : m->bytes.data;
    size_t len = urgent ? 1 : m->bytes.len;
    if (k->soft.deaf)
        relay_channel_done(k->channel, (uint32_t)len);
    else if (!user_soft_put(&k->soft, data, len, urgent))
        user_soft_fail(&k->soft, ECONNRESET);
}

static void stream_closed(void *opaque, uint16_t error)
{
    struct relay_sock *k = opaque;
    if (error)
        user_soft_fail(&k->soft, local_error(error));
    else
        user_soft_end(&k->soft);
}

static void on_writable(void *opaque)
{
    user_soft_notify(&((struct relay_sock *)opaque)->soft);
}

static const struct relay_channel_ops stream_ops = { .opened = stream_opened,
                                                     .message = stream_message,
                                                     .closed = stream_closed,
                                                     .writable = on_writable };

/* ---- listening ---- */

static struct relay_sock *sock_new(struct relay_transport *t, int family, enum use use);

static void report_port(const struct relay_sock *k, const char *what, uint16_t error)
{
    fprintf(stderr, "slipway: netdev '%s': %s port %u of the relay: %s\n", k->net->base.label, what,
            user_soft_port(&k->soft.local),
            error == RELAY_EPERM || error == RELAY_EACCES ? "not allowed"
                                                          : strerror(local_error(error)));
}

static void listen_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_sock *k = opaque;
    if (error)
        report_port(k, "tcp", error);
    else if (local->family)
        from_wire(local, &k->soft.local);
}

static void listen_closed(void *opaque, uint16_t error)
{
    report_port(opaque, "tcp", error);
}

static void listen_accept(void *opaque, struct relay_channel *incoming,
                          const struct relay_address *peer, const struct relay_address *local)
{
    struct relay_sock *k = opaque;
    struct relay_sock *client = sock_new(k->net, k->soft.family, USE_STREAM);
    if (!client || !user_soft_put_caller(&k->soft, &client->soft)) {
        free(client);
        relay_channel_close(incoming, RELAY_ECONNABORTED);
        return;
    }
    from_wire(peer, &client->soft.remote);
    from_wire(local, &client->soft.local);
    client->channel = incoming;
    client->soft.connected = true;
    relay_channel_accept(incoming, &stream_ops, client);
}

static const struct relay_channel_ops listen_ops = { .opened = listen_opened,
                                                     .closed = listen_closed,
                                                     .accept = listen_accept };

/* ---- datagrams ---- */

static void drop_waiting(struct relay_sock *k)
{
    while (k->waiting) {
        struct waiting *w = k->waiting;
        k->waiting = w->next;
        free(w);
    }
    k->last_waiting = &k->waiting;
    k->waiting_count = 0;
}

/* Sends, or keeps until the channel is open. What the relay has no room for is lost. */
static void send_dgram(struct relay_sock *k, struct relay_channel *ch,
                       const struct relay_address *to, const void *data, size_t len)
{
    if (!ch || relay_channel_is_open(ch)) {
        if (ch)
            relay_send_dgram(ch, to, data, len);
        return;
    }
    struct waiting *w = k->waiting_count < WAITING_MOST ? malloc(sizeof *w + len) : NULL;
    if (!w)
        return;
    *w = (struct waiting){ .to = *to, .len = len };
    memcpy(w->data, data, len);
    *k->last_waiting = w;
    k->last_waiting = &w->next;
    k->waiting_count++;
}

static void send_waiting(struct relay_sock *k, struct relay_channel *ch)
{
    for (struct waiting *w = k->waiting; w; w = w->next)
        relay_send_dgram(ch, &w->to, w->data, w->len);
    drop_waiting(k);
}

static void take_dgrams(struct relay_sock *k, const struct relay_message *m)
{
    struct relay_bytes rest = m->bytes, dgram;
    struct relay_address from;
    struct sockaddr_storage at;
    while (relay_next_dgram(&rest, &from, &dgram)) {
        const uint8_t *p = dgram.data;
        if (k->use == USE_PING &&
            (dgram.len < ICMP_HEADER || (p[6] << 8 | p[7]) != k->ping_sequence))
            continue; /* for the last one who used the channel */
        from_wire(&from, &at);
        user_soft_put_datagram(&k->soft, &at, dgram.data, dgram.len);
    }
}

static void udp_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_sock *k = opaque;
    if (error && k->forwards) {
        report_port(k, "udp", error);
    } else if (error) {
        note_denied(k->net, error, NULL);
        user_soft_fail(&k->soft, local_error(error));
    } else {
        if (local->family)
            from_wire(local, &k->soft.local);
        send_waiting(k, k->channel);
        return;
    }
    relay_channel_close(k->channel, 0); /* the next datagram tries again */
    k->channel = NULL;
    drop_waiting(k);
}

static void udp_message(void *opaque, const struct relay_message *m)
{
    struct relay_sock *k = opaque;
    if (m->type == RELAY_UNREACH) {
        note_denied(k->net, m->unreach.error, NULL);
        user_soft_fail(&k->soft, local_error(m->unreach.error));
        return;
    }
    take_dgrams(k, m);
    relay_channel_done(k->channel, (uint32_t)m->bytes.len);
}

static void udp_closed(void *opaque, uint16_t error)
{
    struct relay_sock *k = opaque;
    relay_channel_close(k->channel, 0);
    k->channel = NULL;
    if (k->forwards)
        report_port(k, "udp", error);
}

static const struct relay_channel_ops udp_ops = { .opened = udp_opened,
                                                  .message = udp_message,
                                                  .closed = udp_closed };

static bool open_udp(struct relay_sock *k)
{
    struct relay_open o = { .kind = RELAY_UDP,
                            .window = PACKET_WINDOW,
                            .address = to_wire(&k->soft.local) };
    if (!k->channel)
        k->channel = relay_channel_open(k->net->client, &o, &udp_ops, k);
    return k->channel != NULL;
}

/* ---- ping ---- */

static void pinger_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct pinger *p = opaque;
    (void)local;
    if (!p->user)
        return;
    if (!error) {
        send_waiting(p->user, p->channel);
        return;
    }
    note_denied(p->net, error, NULL);
    drop_waiting(p->user);
    user_soft_fail(&p->user->soft, local_error(error));
}

static void pinger_message(void *opaque, const struct relay_message *m)
{
    struct pinger *p = opaque;
    if (m->type == RELAY_UNREACH) {
        note_denied(p->net, m->unreach.error, NULL);
        if (p->user)
            user_soft_fail(&p->user->soft, local_error(m->unreach.error));
        return;
    }
    if (p->user)
        take_dgrams(p->user, m);
    relay_channel_done(p->channel, (uint32_t)m->bytes.len);
}

static const struct relay_channel_ops pinger_ops = { .opened = pinger_opened,
                                                     .message = pinger_message };

static void free_pinger(struct pinger *p)
{
    relay_channel_close(p->channel, 0);
    free(p);
}

static struct pinger *get_pinger(struct relay_transport *t)
{
    struct relay_open o = { .kind = RELAY_ICMP, .window = PACKET_WINDOW, .address.family = 4 };
    struct pinger *p;
    while ((p = t->idle)) {
        t->idle = p->next;
        t->idle_count--;
        if (relay_channel_is_open(p->channel))
            return p;
        free_pinger(p);
    }
    p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->net = t;
    p->channel = relay_channel_open(t->client, &o, &pinger_ops, p);
    if (p->channel)
        return p;
    free(p);
    return NULL;
}

static void put_pinger(struct pinger *p)
{
    struct relay_transport *t = p->net;
    p->user = NULL;
    if (!relay_channel_is_open(p->channel) || t->idle_count >= IDLE_PINGERS) {
        free_pinger(p);
        return;
    }
    p->next = t->idle;
    t->idle = p;
    t->idle_count++;
}

static int send_ping(struct relay_sock *k, const struct relay_address *to, const uint8_t *buf,
                     size_t len)
{
    struct relay_address at = *to;
    if (len < ICMP_HEADER || buf[0] != ICMP_ECHO)
        return -EINVAL;
    if (!k->pinger) {
        k->pinger = get_pinger(k->net);
        if (!k->pinger)
            return -ENETUNREACH;
        k->pinger->user = k;
    }
    at.port = 0;
    k->ping_sequence = (uint16_t)(buf[6] << 8 | buf[7]);
    send_dgram(k, k->pinger->channel, &at, buf, len);
    return 0;
}

/* ---- names ---- */

static void dns_opened(void *opaque, uint16_t error, const struct relay_address *local)
{
    struct relay_transport *t = opaque;
    (void)local;
    if (!error) {
        dns_proxy_send_waiting(t->dns);
        return;
    }
    relay_channel_close(t->dns_channel, 0);
    t->dns_channel = NULL;
    dns_proxy_fail_all(t->dns);
}

static void dns_message(void *opaque, const struct relay_message *m)
{
    struct relay_transport *t = opaque;
    if (m->type != RELAY_ANSWER)
        return;
    /* Without an answer in time the guest asks again; everything else it is told. */
    dns_proxy_answer(t->dns, m->query.id, m->query.error != RELAY_ETIMEDOUT, m->query.dns.data,
                     m->query.error ? 0 : m->query.dns.len);
    relay_channel_done(t->dns_channel, relay_cost(m));
}

static void dns_closed(void *opaque, uint16_t error)
{
    dns_opened(opaque, error ? error : RELAY_ECONNABORTED, NULL);
}

static void dns_lost(void *opaque)
{
    dns_proxy_reset(((struct relay_transport *)opaque)->dns);
}

static void dns_writable(void *opaque)
{
    dns_proxy_send_waiting(((struct relay_transport *)opaque)->dns);
}

static const struct relay_channel_ops dns_ops = { .opened = dns_opened,
                                                  .message = dns_message,
                                                  .closed = dns_closed,
                                                  .lost = dns_lost,
                                                  .writable = dns_writable };

static bool send_query(void *opaque, uint32_t id, const void *dns, size_t len)
{
    struct relay_transport *t = opaque;
    return t->dns_channel && relay_send_query(t->dns_channel, id, dns, len);
}

/* Has the channel that questions go through; without one they fail. */
static void open_dns(struct relay_transport *t)
{
    struct relay_open o = { .kind = RELAY_DNS, .window = PACKET_WINDOW };
    if (!t->dns_channel)
        t->dns_channel = relay_channel_open(t->client, &o, &dns_ops, t);
}

static void query(struct relay_sock *k, const struct sockaddr_storage *to, const void *dns,
                  size_t len)
{
    open_dns(k->net);
    dns_proxy_query(k->net->dns, &k->soft, to, dns, len);
    if (!k->net->dns_channel)
        dns_proxy_fail_all(k->net->dns);
}

static ssize_t send_dns_stream(struct relay_sock *k, const uint8_t *buf, size_t len)
{
    open_dns(k->net);
    ssize_t n = dns_proxy_stream(k->net->dns, &k->soft, &k->query, &k->query_len, buf, len);
    if (!k->net->dns_channel)
        dns_proxy_fail_all(k->net->dns);
    return n;
}

/* ---- operations ---- */

static struct relay_sock *sock_new(struct relay_transport *t, int family, enum use use)
{
    struct relay_sock *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    k->soft.ops = &soft_ops;
    user_soft_init(&k->soft, family, use == USE_STREAM);
    k->net = t;
    k->use = use;
    k->last_waiting = &k->waiting;
    return k;
}

static struct user_channel *relay_open_socket(struct user_transport *t, int family, int type,
                                              int protocol, int *error)
{
    bool ping = protocol == IPPROTO_ICMP;
    *error = -EAFNOSUPPORT;
    if ((family != AF_INET && family != AF_INET6) || (ping && family != AF_INET))
        return NULL;
    *error = -EPROTONOSUPPORT;
    if (type != SOCK_STREAM && type != SOCK_DGRAM)
        return NULL;
    *error = -ENOMEM;
    struct relay_sock *k = sock_new((struct relay_transport *)t, family,
                                    ping                  ? USE_PING
                                    : type == SOCK_STREAM ? USE_STREAM
                                                          : USE_DATAGRAMS);
    return k ? &k->soft.base : NULL;
}

static int relay_bind(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    struct relay_sock *k = sock_of(c);
    struct sockaddr_storage at;
    if (k->channel || !user_soft_address(&at, addr, len) || at.ss_family != k->soft.family)
        return -EINVAL;
    k->soft.local = at;
    if (k->use != USE_DATAGRAMS || !user_soft_port(&at))
        return 0;
    k->forwards = true;
    return open_udp(k) ? 0 : -ENETUNREACH;
}

static int relay_connect(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    struct relay_sock *k = sock_of(c);
    struct relay_open o = { .kind = RELAY_TCP, .window = STREAM_WINDOW };
    if (k->use != USE_STREAM || k->channel || k->soft.connected ||
        !user_soft_address(&k->soft.remote, addr, len) || !user_soft_port(&k->soft.remote))
        return -EINVAL;
    if (dns_proxy_is(&k->soft.remote)) {
        k->use = USE_DNS_STREAM;
        k->soft.connected = true;
        return 0;
    }
    o.address = to_wire(&k->soft.remote);
    k->channel = relay_channel_open(k->net->client, &o, &stream_ops, k);
    if (!k->channel)
        return -ENETUNREACH;
    k->soft.connecting = true;
    return -EINPROGRESS;
}

static int relay_listen(struct user_channel *c, int backlog)
{
    struct relay_sock *k = sock_of(c);
    struct relay_open o = { .kind = RELAY_LISTEN,
                            .address = to_wire(&k->soft.local),
                            .backlog = (uint16_t)backlog };
    if (k->use != USE_STREAM || k->channel)
        return -EINVAL;
    k->channel = relay_channel_open(k->net->client, &o, &listen_ops, k);
    k->soft.listening = k->channel != NULL;
    return k->channel ? 0 : -ENETUNREACH;
}

static int relay_shutdown(struct user_channel *c, int how)
{
    struct relay_sock *k = sock_of(c);
    if (!k->soft.stream || !k->soft.connected)
        return -ENOTCONN;
    if (how != SHUT_WR && !k->soft.deaf) {
        k->soft.deaf = k->soft.end = true;
        taken(&k->soft, k->soft.in_fill);
        k->soft.in_fill = k->soft.urgent = 0;
    }
    if (how != SHUT_RD && !k->soft.mute) {
        k->soft.mute = true;
        if (k->channel)
            relay_send_shut(k->channel);
        else
            user_soft_end(&k->soft); /* of a name server that was asked by stream */
    }
    return 0;
}

static ssize_t send_stream(struct relay_sock *k, const uint8_t *buf, size_t len, bool urgent)
{
    if (k->soft.error)
        return -k->soft.error;
    if (!k->soft.connected)
        return -ENOTCONN;
    if (k->soft.mute)
        return len ? -EPIPE : 0;
    if (k->use == USE_DNS_STREAM)
        return send_dns_stream(k, buf, len);
    size_t plain = urgent && len ? len - 1 : len;
    size_t n = relay_send_data(k->channel, buf, plain);
    if (urgent && n == plain && len && relay_send_urgent(k->channel, buf[plain]))
        n++;
    if (n || !len)
        return (ssize_t)n;
    return relay_channel_is_open(k->channel) ? -EAGAIN : -EPIPE;
}

static ssize_t relay_sendto(struct user_channel *c, const void *buf, size_t len, int flags,
                            const struct sockaddr *addr, socklen_t addrlen)
{
    struct relay_sock *k = sock_of(c);
    struct sockaddr_storage to;
    struct relay_address at;
    if (k->soft.stream)
        return send_stream(k, buf, len, flags & MSG_OOB);
    if (!user_soft_address(&to, addr, addrlen) || to.ss_family != k->soft.family)
        return -EINVAL;
    if (len > RELAY_DGRAM_MAX)
        return -EMSGSIZE;
    at = to_wire(&to);
    if (k->use == USE_PING) {
        int error = send_ping(k, &at, buf, len);
        return error ? error : (ssize_t)len;
    }
    if (dns_proxy_is(&to)) {
        query(k, &to, buf, len);
        return (ssize_t)len;
    }
    if (!open_udp(k))
        return -ENETUNREACH;
    send_dgram(k, k->channel, &at, buf, len);
    return (ssize_t)len;
}

static void relay_close(struct user_channel *c)
{
    struct relay_sock *k = sock_of(c);
    struct user_soft *caller;
    while ((caller = user_soft_take_caller(&k->soft)))
        relay_close(&caller->base);
    if (k->net->dns)
        dns_proxy_forget(k->net->dns, &k->soft);
    if (k->pinger)
        put_pinger(k->pinger);
    relay_channel_close(
        k->channel, k->soft.stream && !k->soft.listening && !k->soft.mute ? RELAY_ECONNRESET : 0);
    drop_waiting(k);
    user_soft_free(&k->soft);
    free(k->query);
    free(k);
}

static bool relay_name_server(struct user_transport *t, int family, struct sockaddr_storage *addr)
{
    (void)t;
    dns_proxy_address(family, addr);
    return true;
}

static void relay_free(struct user_transport *base)
{
    struct relay_transport *t = (struct relay_transport *)base;
    while (t->idle) {
        struct pinger *p = t->idle;
        t->idle = p->next;
        free_pinger(p);
    }
    relay_channel_close(t->dns_channel, 0);
    dns_proxy_free(t->dns);
    t->release(t->opaque);
    free(t);
}

/* The pair that a program of guestfwd would get: one end is the guest's connection, the other end
 * only says what is run. The one program is the relay's SMB server. */
static int relay_pair(struct user_transport *base, struct user_channel *pair[2])
{
    struct relay_transport *t = (struct relay_transport *)base;
    struct relay_open o = { .kind = RELAY_SMB, .window = STREAM_WINDOW };
    struct relay_sock *k = sock_new(t, AF_INET, USE_STREAM),
                      *other = sock_new(t, AF_INET, USE_STREAM);
    if (k && other) {
        k->channel = relay_channel_open(t->client, &o, &stream_ops, k);
        k->soft.connecting = true;
    }
    if (k && k->channel) {
        pair[0] = &k->soft.base;
        pair[1] = &other->soft.base;
        return 0;
    }
    free(k);
    free(other);
    return -ENETUNREACH;
}

static int relay_spawn(struct user_channel *c, char **argv)
{
    (void)c;
    return strcmp(argv[0], USER_RELAY_SMB) ? -ENOENT : 0;
}

static const struct user_transport_ops relay_ops = {
    .open = relay_open_socket,
    .bind = relay_bind,
    .connect = relay_connect,
    .listen = relay_listen,
    .accept = user_soft_accept,
    .shutdown = relay_shutdown,
    .sendto = relay_sendto,
    .recvfrom = user_soft_recvfrom,
    .name = user_soft_name,
    .setsockopt = user_soft_setsockopt,
    .getsockopt = user_soft_getsockopt,
    .available = user_soft_available,
    .close = relay_close,
    .want = user_soft_want,
    .poll = user_soft_poll,
    .refresh = user_soft_refresh,
    .name_server = relay_name_server,
    .pair = relay_pair,
    .spawn = relay_spawn,
    .free = relay_free,
};

struct user_transport *user_relay_transport_new(const char *label, struct relay_client *c,
                                                void (*release)(void *opaque), void *opaque)
{
    struct relay_transport *t = calloc(1, sizeof *t);
    struct dns_proxy *dns = dns_proxy_new(send_query, t);
    if (!t || !dns) {
        free(t);
        dns_proxy_free(dns);
        release(opaque);
        return NULL;
    }
    t->base.ops = &relay_ops;
    t->base.label = label;
    t->client = c;
    t->release = release;
    t->opaque = opaque;
    t->dns = dns;
    return &t->base;
}
