/*
 * Datagram sockets over file descriptors: UDP, UDP multicast, Unix.
 *
 * A multicast socket is bound to the group itself, so that it gets only what is meant for it, with
 * SO_REUSEADDR, so that several processes of this host can be in one group; what is sent also comes
 * back to this host's members, the sender included.
 *
 * A Unix socket whose peer's queue is full (it holds 10 datagrams) isn't told by poll() when there
 * is room again, unless it is connected, which would tie it to a peer that may come and go: it
 * tries again after a while, in growing steps.
 *
 * Errors that a peer causes (nobody listens there: ECONNREFUSED, ENOENT) only lose the datagram:
 * that is what a wire would do.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/address_native.h"
#include "host/host.h"
#include "host/native.h"

#define RETRY_MIN_NS 50000
#define RETRY_MAX_NS 5000000
#define BUFFER_BYTES (1 << 20) /* wanted of the kernel; it may give less */

struct host_dgram {
    struct host_poll in, out;
    bool want_read;
    bool inet; /* addresses of datagrams are IP's */
    struct sockaddr_storage remote;
    socklen_t remote_len; /* 0: none */
    int64_t retry_ns;     /* until the next try, after -EAGAIN from a Unix socket */
    char local_text[128], remote_text[128];
    char *unlink_path;
    const struct host_dgram_ops *ops;
    void *opaque;
};

/* ---- poll callbacks ---- */

static void in_ready(void *opaque, short revents)
{
    struct host_dgram *d = opaque;
    if (d->ops->readable)
        d->ops->readable(d->opaque);
    else
        host_dgram_want_read(d, false);
}

static void out_ready(void *opaque, short revents)
{
    struct host_dgram *d = opaque;
    d->out.events = 0;
    if (d->ops->writable)
        d->ops->writable(d->opaque);
}

static void retry(void *opaque)
{
    struct host_dgram *d = opaque;
    host_every_stop(retry, d);
    out_ready(d, POLLOUT);
}

/* ---- opening ---- */

static bool is_multicast(const struct sockaddr_storage *a)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)a;
    return a->ss_family == AF_INET && IN_MULTICAST(ntohl(in->sin_addr.s_addr));
}

/* Of a name with addresses of both families: one that goes with @family, if that isn't 0. */
static bool resolve(const char *spec, bool passive, int family, struct sockaddr_storage *a,
                    socklen_t *len, struct error *err)
{
    struct addrinfo *list, *take = NULL;
    if (!address_resolve("udp", spec, SOCK_DGRAM, passive, &list, NULL, err))
        return false;
    for (struct addrinfo *i = list; i && !take; i = i->ai_next)
        if (!family || i->ai_family == family)
            take = i;
    if (take) {
        memcpy(a, take->ai_addr, take->ai_addrlen);
        *len = take->ai_addrlen;
    }
    freeaddrinfo(list);
    return take || error_set(err, "udp:%s: not the address family of the other end", spec);
}

static bool failed(struct error *err, const char *kind, const char *spec)
{
    return error_set(err, "%s:%s: %s", kind, spec ? spec : "", strerror(errno));
}

static bool join(int fd, const struct sockaddr_storage *group, const char *interface,
                 struct error *err)
{
    unsigned char loop = 1;
    struct ip_mreq m = { .imr_multiaddr = ((const struct sockaddr_in *)group)->sin_addr };
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &m.imr_multiaddr, text, sizeof text);
    if (interface && inet_pton(AF_INET, interface, &m.imr_interface) != 1)
        return error_set(err, "'%s' is not the IPv4 address of an interface", interface);
    if (setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof m) < 0)
        return error_set(err, "can't join multicast group %s%s%s: %s", text,
                         interface ? " on " : "", interface ? interface : "", strerror(errno));
    if (interface &&
        setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &m.imr_interface, sizeof m.imr_interface) < 0)
        return error_set(err, "can't send to multicast group %s on %s: %s", text, interface,
                         strerror(errno));
    if (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &loop, sizeof loop) < 0)
        return failed(err, "udp", text);
    return true;
}

static bool open_udp(struct host_dgram *d, const struct host_dgram_options *o, struct error *err)
{
    struct sockaddr_storage local = { .ss_family = AF_INET };
    socklen_t len = sizeof(struct sockaddr_in);
    int one = 1;
    if (o->remote && !resolve(o->remote, false, 0, &d->remote, &d->remote_len, err))
        return false;
    bool multicast = o->remote && is_multicast(&d->remote);
    if (o->local && !multicast) {
        if (!resolve(o->local, true, o->remote ? d->remote.ss_family : 0, &local, &len, err))
            return false;
    } else if (o->remote) {
        local.ss_family = d->remote.ss_family;
        len = d->remote_len;
    }
    if (multicast)
        local = d->remote;
    int fd = socket(local.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    d->in.fd = d->out.fd = fd;
    if (fd < 0)
        return failed(err, "udp", o->local);
    /* As QEMU: a socket that another process left, and others in the group, don't matter. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&local, len) < 0)
        return failed(err, "udp", multicast ? o->remote : o->local);
    if (multicast && !join(fd, &d->remote, o->interface, err))
        return false;
    d->inet = true;
    return true;
}

static bool open_unix(struct host_dgram *d, const struct host_dgram_options *o, struct error *err)
{
    struct sockaddr_un local;
    if (o->remote) {
        if (!address_unix("unix", o->remote, (struct sockaddr_un *)&d->remote, err))
            return false;
        d->remote_len = sizeof(struct sockaddr_un);
    }
    d->in.fd = d->out.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->in.fd < 0)
        return failed(err, "unix", o->local);
    if (!o->local)
        return true;
    if (!address_unix("unix", o->local, &local, err))
        return false;
    if (unlink(o->local) < 0 && errno != ENOENT)
        return failed(err, "unix", o->local);
    if (bind(d->in.fd, (struct sockaddr *)&local, sizeof local) < 0)
        return failed(err, "unix", o->local);
    d->unlink_path = strdup(o->local);
    return true;
}

/* A datagram socket that the process was given; connected, or bound to a multicast group, where it
 * can only send. */
static bool open_given(struct host_dgram *d, const struct host_dgram_options *o, struct error *err)
{
    char *end;
    long fd = strtol(o->local, &end, 10);
    int type, domain;
    socklen_t len = sizeof type;
    if (!*o->local || *end || fd < 0 || fd > 0x7fffffff)
        return error_set(err, "fd:%s: not the number of a file descriptor", o->local);
    if (getsockopt((int)fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
        return failed(err, "fd", o->local);
    if (type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return error_set(err, "fd:%s: not a datagram socket", o->local);
    len = sizeof domain;
    getsockopt((int)fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
    if (o->remote && !resolve(o->remote, false, domain, &d->remote, &d->remote_len, err))
        return false;
    d->in.fd = d->out.fd = (int)fd;
    fcntl((int)fd, F_SETFL, fcntl((int)fd, F_GETFL) | O_NONBLOCK);
    fcntl((int)fd, F_SETFD, FD_CLOEXEC);
    d->inet = domain == AF_INET || domain == AF_INET6;
    return true;
}

static void describe(struct host_dgram *d)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    int bytes = BUFFER_BYTES;
    setsockopt(d->in.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    setsockopt(d->in.fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    if (!getsockname(d->in.fd, (struct sockaddr *)&a, &len))
        address_text((struct sockaddr *)&a, len, d->local_text, sizeof d->local_text);
    len = sizeof a;
    if (d->remote_len)
        address_text((struct sockaddr *)&d->remote, d->remote_len, d->remote_text,
                     sizeof d->remote_text);
    else if (!getpeername(d->in.fd, (struct sockaddr *)&a, &len))
        address_text((struct sockaddr *)&a, len, d->remote_text, sizeof d->remote_text);
}

struct host_dgram *host_dgram_open(const struct host_dgram_options *o,
                                   const struct host_dgram_ops *ops, void *opaque,
                                   struct error *err)
{
    struct host_dgram *d = calloc(1, sizeof *d);
    if (!d) {
        error_set(err, "%s: out of memory", o->kind);
        return NULL;
    }
    d->ops = ops;
    d->opaque = opaque;
    d->in = (struct host_poll){ .fd = -1, .ready = in_ready, .opaque = d };
    d->out = (struct host_poll){ .fd = -1, .ready = out_ready, .opaque = d };
    bool ok;
    if (!strcmp(o->kind, "udp"))
        ok = open_udp(d, o, err);
    else if (!strcmp(o->kind, "unix"))
        ok = open_unix(d, o, err);
    else if (!strcmp(o->kind, "fd"))
        ok = open_given(d, o, err);
    else
        ok = error_set(err, "%s: no such kind of datagram socket here", o->kind);
    if (!ok) {
        host_dgram_close(d);
        return NULL;
    }
    describe(d);
    host_poll_add(&d->in);
    host_poll_add(&d->out);
    host_dgram_want_read(d, ops->readable != NULL);
    return d;
}

/* ---- using it ---- */

static void from_sockaddr(const struct sockaddr_storage *s, struct host_address *a)
{
    if (s->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)s;
        *a = (struct host_address){ .ipv6 = true, .port = ntohs(in6->sin6_port) };
        memcpy(a->ip, &in6->sin6_addr, 16);
    } else if (s->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)s;
        *a = (struct host_address){ .port = ntohs(in->sin_port) };
        memcpy(a->ip, &in->sin_addr, 4);
    }
}

static socklen_t to_sockaddr(const struct host_address *a, struct sockaddr_storage *s)
{
    *s = (struct sockaddr_storage){ 0 };
    if (a->ipv6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)s;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(a->port);
        memcpy(&in6->sin6_addr, a->ip, 16);
        return sizeof *in6;
    }
    struct sockaddr_in *in = (struct sockaddr_in *)s;
    in->sin_family = AF_INET;
    in->sin_port = htons(a->port);
    memcpy(&in->sin_addr, a->ip, 4);
    return sizeof *in;
}

long host_dgram_recv(struct host_dgram *d, void *buf, size_t len, struct host_address *from)
{
    struct sockaddr_storage a;
    socklen_t alen = sizeof a;
    ssize_t n;
    /* an error of an earlier datagram (ICMP) comes up here: it is no end */
    for (int tries = 0; tries < 4; tries++) {
        n = from ? recvfrom(d->in.fd, buf, len, 0, (struct sockaddr *)&a, &alen)
                 : recv(d->in.fd, buf, len, 0);
        if (n >= 0 || errno == EAGAIN)
            break;
    }
    if (n < 0)
        return -EAGAIN;
    if (from && d->inet)
        from_sockaddr(&a, from);
    return (long)n;
}

int host_dgram_send(struct host_dgram *d, const void *buf, size_t len,
                    const struct host_address *to)
{
    struct sockaddr_storage a;
    socklen_t alen = 0;
    const struct sockaddr *address = NULL;
    if (to) {
        alen = to_sockaddr(to, &a);
        address = (struct sockaddr *)&a;
    } else if (d->remote_len) {
        alen = d->remote_len;
        address = (struct sockaddr *)&d->remote;
    }
    ssize_t n;
    do
        n = sendto(d->out.fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT, address, alen);
    while (n < 0 && errno == EINTR);
    if (n >= 0) {
        d->retry_ns = 0;
        return 0;
    }
    int error = errno;
    if (error == EAGAIN && d->inet) {
        d->out.events = POLLOUT;
    } else if (error == EAGAIN) {
        d->retry_ns = d->retry_ns ? 2 * d->retry_ns : RETRY_MIN_NS;
        if (d->retry_ns > RETRY_MAX_NS)
            d->retry_ns = RETRY_MAX_NS;
        host_every(d->retry_ns, retry, d);
    }
    return -error;
}

void host_dgram_want_read(struct host_dgram *d, bool want)
{
    d->in.events = want ? POLLIN : 0;
}

const char *host_dgram_local(const struct host_dgram *d)
{
    return d->local_text;
}

const char *host_dgram_remote(const struct host_dgram *d)
{
    return d->remote_text;
}

void host_dgram_close(struct host_dgram *d)
{
    if (!d)
        return;
    host_every_stop(retry, d);
    host_poll_remove(&d->in);
    host_poll_remove(&d->out);
    if (d->in.fd >= 0)
        close(d->in.fd);
    if (d->unlink_path)
        unlink(d->unlink_path);
    free(d->unlink_path);
    free(d);
}
