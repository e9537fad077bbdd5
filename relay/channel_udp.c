/*
 * udp and icmp channels: a socket each, that sends to whom the filter allows and receives from whom
 * it would send to. While credit or room is missing the socket isn't read, so the system's own
 * queue is the bounded one in which datagrams wait; what doesn't fit there is lost, as in any
 * router.
 *
 * Errors that come back for a datagram are read from the socket's error queue (ip(7), IP_RECVERR),
 * which names whom it was sent to: UNREACH.
 *
 * ICMP goes through the system's ping sockets (icmp(7)), which need no privilege but a group in
 * net.ipv4.ping_group_range. The system puts its own identifier into requests; `echoes` remembers
 * which one the guest had used with which sequence number.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <string.h>
#include <time.h>
#include <linux/errqueue.h> /* needs time.h */
#include <unistd.h>

#include "relay/address.h"
#include "relay/channel.h"
#include "relay/loop.h"
#include "relay/outbound.h"

enum {
    WINDOW = RELAY_WINDOW_MIN,
    READS_AT_ONCE = 64,
    ECHOES = 64,
    ICMP_HEADER = 8,
    ECHO4 = 8,
    REPLY4 = 0,
    ECHO6 = 128,
    REPLY6 = 129,
};

struct echo {
    uint16_t id, sequence;
};

struct channel_udp {
    struct channel ch;
    int fd;
    struct watch *watch;
    struct relay_address asked; /* the local address in OPEN */
    struct echo echoes[ECHOES];
    unsigned next_echo;
};

static uint8_t scratch[RELAY_DGRAM_MAX + 1]; /* used within one function only */

static bool is_icmp(const struct channel_udp *c)
{
    return c->ch.kind == RELAY_ICMP;
}

/* ---- ICMP ---- */

/* The Internet checksum (RFC 1071) of @len bytes. */
static uint16_t checksum(const uint8_t *p, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < len; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    if (len & 1)
        sum += (uint32_t)p[len - 1] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Is it an echo request? Then its identifier is kept. */
static bool note_echo(struct channel_udp *c, const uint8_t *p, size_t len)
{
    if (len < ICMP_HEADER || p[0] != (c->asked.family == 4 ? ECHO4 : ECHO6) || p[1])
        return false;
    c->echoes[c->next_echo++ % ECHOES] =
        (struct echo){ (uint16_t)(p[4] << 8 | p[5]), (uint16_t)(p[6] << 8 | p[7]) };
    return true;
}

/* Gives a reply the identifier that its request had; false: there was none. */
static bool restore_echo(struct channel_udp *c, uint8_t *p, size_t len)
{
    if (len < ICMP_HEADER || p[0] != (c->asked.family == 4 ? REPLY4 : REPLY6))
        return false;
    uint16_t sequence = (uint16_t)(p[6] << 8 | p[7]);
    for (unsigned i = 1; i <= ECHOES && i <= c->next_echo; i++) {
        const struct echo *e = &c->echoes[(c->next_echo - i) % ECHOES];
        if (e->sequence != sequence)
            continue;
        p[4] = (uint8_t)(e->id >> 8);
        p[5] = (uint8_t)e->id;
        p[2] = p[3] = 0; /* ICMPv6's covers addresses that only the client knows */
        if (c->asked.family == 4) {
            uint16_t sum = checksum(p, len);
            p[2] = (uint8_t)(sum >> 8);
            p[3] = (uint8_t)sum;
        }
        return true;
    }
    return false;
}

/* ---- from the network ---- */

static void unreachable(struct channel_udp *c, const struct relay_address *to, int error)
{
    struct relay_message m = { .type = RELAY_UNREACH, .channel = c->ch.number };
    m.unreach.error = wire_errno(error);
    m.unreach.to = *to;
    if (c->ch.state == CHANNEL_OPEN)
        session_send(c->ch.session, &m);
}

static void read_errors(struct channel_udp *c)
{
    struct sockaddr_storage to;
    union {
        char bytes[512];
        struct cmsghdr align;
    } control;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        struct iovec data = { scratch, sizeof scratch };
        struct msghdr msg = { .msg_name = &to,
                              .msg_namelen = sizeof to,
                              .msg_iov = &data,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof control.bytes };
        struct relay_address a;
        if (recvmsg(c->fd, &msg, MSG_ERRQUEUE) < 0)
            return;
        address_from_system(&a, &to);
        for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h)) {
            struct sock_extended_err e;
            bool ours = (h->cmsg_level == IPPROTO_IP && h->cmsg_type == IP_RECVERR) ||
                        (h->cmsg_level == IPPROTO_IPV6 && h->cmsg_type == IPV6_RECVERR);
            if (!ours || h->cmsg_len < CMSG_LEN(sizeof e))
                continue;
            memcpy(&e, CMSG_DATA(h), sizeof e);
            if (a.family && e.ee_errno)
                unreachable(c, &a, (int)e.ee_errno);
        }
    }
}

static void read_dgrams(struct channel_udp *c)
{
    struct session *s = c->ch.session;
    struct relay_address from;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        /* No credit for the longest: the next may be one. */
        if (channel_must_wait(&c->ch) || c->ch.credit.send < 4 + RELAY_ADDRESS + RELAY_DGRAM_MAX) {
            watch_set(c->watch, 0);
            return;
        }
        ssize_t n = recvfrom(c->fd, scratch, sizeof scratch, 0, (struct sockaddr *)&sa, &len);
        if (n < 0) {
            if (errno != EAGAIN)
                read_errors(c);
            return;
        }
        address_from_system(&from, &sa);
        if (n > RELAY_DGRAM_MAX || from.family != c->asked.family ||
            !outbound_allows(s->relay, s->policy, &from))
            continue;
        if (is_icmp(c) && !restore_echo(c, scratch, (size_t)n))
            continue;
        if (is_icmp(c))
            from.port = 0;
        if (!session_send_dgram(s, c->ch.number, &from, scratch, (size_t)n))
            return;
        relay_credit_spend(&c->ch.credit, (uint32_t)(4 + RELAY_ADDRESS + n));
    }
}

static void ready(void *owner, int events)
{
    struct channel_udp *c = owner;
    read_errors(c); /* an error makes the socket readable */
    read_dgrams(c);
}

/* ---- to the network ---- */

static void send_dgram(struct channel_udp *c, const struct relay_address *to,
                       struct relay_bytes dgram)
{
    struct session *s = c->ch.session;
    struct relay_address dial;
    struct sockaddr_storage sa;
    int error = outbound_check(s->relay, s->policy, s->expires != 0, to, &dial);
    if (!error && dial.family != c->asked.family)
        error = ENETUNREACH;
    if (!error && is_icmp(c) && !note_echo(c, dgram.data, dgram.len))
        return; /* only echo is carried */
    if (!error) {
        socklen_t len = address_to_system(&dial, &sa);
        if (sendto(c->fd, dgram.data, dgram.len, MSG_NOSIGNAL, (struct sockaddr *)&sa, len) < 0) {
            /* An earlier datagram's error is reported once, to whom it comes; then this one goes.
             */
            if (errno == ECONNREFUSED || errno == EHOSTUNREACH || errno == ENETUNREACH) {
                read_errors(c);
                if (sendto(c->fd, dgram.data, dgram.len, MSG_NOSIGNAL, (struct sockaddr *)&sa,
                           len) < 0)
                    error = errno;
            } else {
                error = errno;
            }
        }
    }
    if (error && error != EAGAIN && error != ENOBUFS)
        unreachable(c, to, error);
}

static bool udp_message(struct channel *ch, const struct relay_message *m)
{
    struct channel_udp *c = (struct channel_udp *)ch;
    struct relay_bytes rest = m->bytes, dgram;
    struct relay_address to;
    if (m->type != RELAY_DGRAMS)
        return false;
    while (relay_next_dgram(&rest, &to, &dgram))
        send_dgram(c, &to, dgram);
    channel_done(ch, (uint32_t)m->bytes.len);
    return true;
}

/* ---- life ---- */

static bool any_address(const struct relay_address *a)
{
    static const uint8_t zero[16];
    return !a->port && !memcmp(a->ip, zero, 16);
}

static void report_errors(int fd, int family)
{
    int on = 1;
    if (family == AF_INET) {
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    } else {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
    }
}

static int udp_open(struct channel *ch, const struct relay_open *open, struct relay_address *local)
{
    struct channel_udp *c = (struct channel_udp *)ch;
    struct session *s = ch->session;
    struct sockaddr_storage sa;
    socklen_t len = address_to_system(&open->address, &sa);
    int protocol = 0;
    c->fd = -1;
    c->asked = open->address;
    if (is_icmp(c))
        protocol = sa.ss_family == AF_INET ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6;
    if (!any_address(&open->address) && !policy_may_bind(s->policy, &open->address))
        return s->expires ? EPERM : EACCES;
    c->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (c->fd < 0)
        return is_icmp(c) ? EOPNOTSUPP : errno;
    report_errors(c->fd, sa.ss_family);
    c->watch = watch_new(&s->relay->loop, c->fd, ready, c);
    int error = bind(c->fd, (struct sockaddr *)&sa, len) ? errno : c->watch ? 0 : ENOMEM;
    if (error) {
        ch->ops->stop(ch, error);
        return error;
    }
    if (!is_icmp(c))
        address_of_socket(local, c->fd);
    return 0;
}

static void udp_resume(struct channel *ch)
{
    struct channel_udp *c = (struct channel_udp *)ch;
    watch_set(c->watch, UV_READABLE);
}

static bool udp_park(struct channel *ch)
{
    watch_set(((struct channel_udp *)ch)->watch, 0);
    return true;
}

static bool udp_unpark(struct channel *ch, const struct relay_open *open,
                       struct relay_address *local)
{
    struct channel_udp *c = (struct channel_udp *)ch;
    if (!address_same(&c->asked, &open->address))
        return false;
    if (!is_icmp(c))
        address_of_socket(local, c->fd);
    return true;
}

static void udp_stop(struct channel *ch, int error)
{
    struct channel_udp *c = (struct channel_udp *)ch;
    watch_free(c->watch);
    c->watch = NULL;
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
}

/* The two differ in the socket's protocol and in what a datagram is. */
#define KIND                                                                                       \
    {                                                                                              \
        .size = sizeof(struct channel_udp), .window = WINDOW, .open = udp_open,                    \
        .message = udp_message, .resume = udp_resume, .park = udp_park, .unpark = udp_unpark,      \
        .stop = udp_stop                                                                           \
    }
const struct channel_ops channel_udp = KIND, channel_icmp = KIND;
