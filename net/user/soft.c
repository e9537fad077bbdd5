/*
 * Channels in memory (soft.h). A stream's ring doubles as bytes come and is given back when it is
 * empty and large; how much may come is the transport's to say (a relay: by its credit).
 */
#include "net/user/soft.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define RING_FIRST 4096
#define RING_KEEP  65536

struct user_datagram {
    struct user_datagram *next;
    struct sockaddr_storage from;
    size_t len;
    uint8_t data[];
};

static struct user_soft *soft_of(struct user_channel *c)
{
    return (struct user_soft *)c;
}

void user_soft_init(struct user_soft *s, int family, bool stream)
{
    s->base.number = -1;
    s->family = family;
    s->stream = stream;
    s->local.ss_family = s->remote.ss_family = (sa_family_t)family;
    s->last = &s->datagrams;
}

void user_soft_free(struct user_soft *s)
{
    while (s->datagrams) {
        struct user_datagram *d = s->datagrams;
        s->datagrams = d->next;
        free(d);
    }
    free(s->in);
}

/* ---- readiness ---- */

static unsigned state(struct user_soft *s)
{
    if (s->listening)
        return s->callers ? USER_IN : 0;
    if (s->error)
        return USER_IN | USER_OUT | USER_ERR;
    if (!s->stream)
        return (s->datagrams ? USER_IN : 0) | USER_OUT;
    return (s->in_fill || s->end ? USER_IN : 0) | (s->urgent ? USER_PRI : 0) |
           (s->connected && (s->mute || s->ops->can_send(s)) ? USER_OUT : 0);
}

void user_soft_notify(struct user_soft *s)
{
    struct user_transport *t = s->base.transport;
    if (t && t->ready && (state(s) & (s->base.wanted | USER_ERR)))
        t->ready(t->opaque);
}

void user_soft_want(struct user_channel *c, unsigned events)
{
    (void)events;
    if (c->wanted)
        user_soft_notify(soft_of(c));
}

unsigned user_soft_poll(struct user_channel *c)
{
    return state(soft_of(c)) & (c->wanted | USER_ERR);
}

void user_soft_refresh(struct user_transport *t)
{
    (void)t; /* poll() always knows */
}

/* ---- what comes ---- */

void user_soft_connected(struct user_soft *s)
{
    s->connecting = false;
    s->connected = true;
    user_soft_notify(s);
}

static bool grow(struct user_soft *s, size_t need)
{
    size_t size = s->in_size ? s->in_size : RING_FIRST;
    if (need <= s->in_size)
        return true;
    while (size < need)
        size *= 2;
    uint8_t *ring = malloc(size);
    if (!ring)
        return false;
    size_t first = s->in_size - s->in_start;
    if (first > s->in_fill)
        first = s->in_fill;
    if (s->in) {
        memcpy(ring, s->in + s->in_start, first);
        memcpy(ring + first, s->in, s->in_fill - first);
    }
    free(s->in);
    s->in = ring;
    s->in_size = size;
    s->in_start = 0;
    return true;
}

bool user_soft_put(struct user_soft *s, const void *data, size_t len, bool urgent)
{
    if (!grow(s, s->in_fill + len))
        return false;
    size_t at = (s->in_start + s->in_fill) % s->in_size;
    size_t first = len < s->in_size - at ? len : s->in_size - at;
    memcpy(s->in + at, data, first);
    memcpy(s->in, (const uint8_t *)data + first, len - first);
    s->in_fill += len;
    if (urgent)
        s->urgent = s->in_fill;
    user_soft_notify(s);
    return true;
}

void user_soft_end(struct user_soft *s)
{
    s->end = true;
    user_soft_notify(s);
}

void user_soft_fail(struct user_soft *s, int error)
{
    s->error = error;
    s->connecting = false;
    user_soft_notify(s);
}

void user_soft_put_datagram(struct user_soft *s, const struct sockaddr_storage *from,
                            const void *data, size_t len)
{
    struct user_datagram *d =
        s->datagram_count < USER_SOFT_DATAGRAMS ? malloc(sizeof *d + len) : NULL;
    if (!d)
        return;
    *d = (struct user_datagram){ .from = *from, .len = len };
    memcpy(d->data, data, len);
    *s->last = d;
    s->last = &d->next;
    s->datagram_count++;
    user_soft_notify(s);
}

bool user_soft_put_caller(struct user_soft *s, struct user_soft *caller)
{
    struct user_soft **at = &s->callers;
    if (s->caller_count >= USER_SOFT_CALLERS)
        return false;
    while (*at)
        at = &(*at)->next_caller;
    *at = caller;
    s->caller_count++;
    user_soft_notify(s);
    return true;
}

struct user_soft *user_soft_take_caller(struct user_soft *s)
{
    struct user_soft *caller = s->callers;
    if (!caller)
        return NULL;
    s->callers = caller->next_caller;
    s->caller_count--;
    return caller;
}

/* ---- operations ---- */

static void copy_out(const struct sockaddr_storage *from, struct sockaddr *addr, socklen_t *len)
{
    socklen_t size = user_soft_address_len(from);
    if (!addr || !len)
        return;
    memcpy(addr, from, size < *len ? size : *len);
    *len = size;
}

static ssize_t receive_stream(struct user_soft *s, uint8_t *buf, size_t len)
{
    if (!s->in_fill) {
        int error = s->error;
        s->error = 0;
        if (error) {
            s->end = true;
            return -error;
        }
        return s->end ? 0 : s->connected ? -EAGAIN : -ENOTCONN;
    }
    size_t n = len < s->in_fill ? len : s->in_fill;
    if (s->urgent && n > s->urgent)
        n = s->urgent;
    size_t first = n < s->in_size - s->in_start ? n : s->in_size - s->in_start;
    memcpy(buf, s->in + s->in_start, first);
    memcpy(buf + first, s->in, n - first);
    s->in_start = (s->in_start + n) % s->in_size;
    s->in_fill -= n;
    if (s->urgent)
        s->urgent -= n;
    if (!s->in_fill && s->in_size > RING_KEEP) {
        free(s->in);
        s->in = NULL;
        s->in_size = s->in_start = 0;
    }
    if (s->ops->taken)
        s->ops->taken(s, n);
    return (ssize_t)n;
}

ssize_t user_soft_recvfrom(struct user_channel *c, void *buf, size_t len, int flags,
                           struct sockaddr *addr, socklen_t *addrlen)
{
    struct user_soft *s = soft_of(c);
    (void)flags;
    if (s->stream)
        return receive_stream(s, buf, len);
    struct user_datagram *d = s->datagrams;
    if (!d) {
        int error = s->error ? s->error : EAGAIN;
        s->error = 0;
        return -error;
    }
    s->datagrams = d->next;
    if (!d->next)
        s->last = &s->datagrams;
    s->datagram_count--;
    size_t n = d->len < len ? d->len : len;
    memcpy(buf, d->data, n);
    copy_out(&d->from, addr, addrlen);
    free(d);
    return (ssize_t)n;
}

struct user_channel *user_soft_accept(struct user_channel *c, struct sockaddr *addr, socklen_t *len,
                                      int *error)
{
    struct user_soft *caller = user_soft_take_caller(soft_of(c));
    *error = -EAGAIN;
    if (!caller)
        return NULL;
    copy_out(&caller->remote, addr, len);
    return &caller->base;
}

int user_soft_name(struct user_channel *c, bool peer, struct sockaddr *addr, socklen_t *len)
{
    struct user_soft *s = soft_of(c);
    if (peer && !s->connected)
        return -ENOTCONN;
    copy_out(peer ? &s->remote : &s->local, addr, len);
    return 0;
}

int user_soft_setsockopt(struct user_channel *c, int level, int name, const void *value,
                         socklen_t len)
{
    (void)c, (void)level, (void)name, (void)value, (void)len;
    return 0; /* nothing that could be said to the other side */
}

int user_soft_getsockopt(struct user_channel *c, int level, int name, void *value, socklen_t *len)
{
    int n = 0;
    if (level == SOL_SOCKET && name == SO_ERROR) {
        n = soft_of(c)->error;
        soft_of(c)->error = 0;
    }
    memcpy(value, &n, *len < sizeof n ? *len : sizeof n);
    return 0;
}

int user_soft_available(struct user_channel *c)
{
    struct user_soft *s = soft_of(c);
    return s->stream ? (int)s->in_fill : s->datagrams ? (int)s->datagrams->len : 0;
}

/* ---- addresses ---- */

bool user_soft_address(struct sockaddr_storage *to, const struct sockaddr *addr, socklen_t len)
{
    if (!addr || len > sizeof *to || (addr->sa_family != AF_INET && addr->sa_family != AF_INET6))
        return false;
    memset(to, 0, sizeof *to);
    memcpy(to, addr, len);
    return len >= user_soft_address_len(to);
}

socklen_t user_soft_address_len(const struct sockaddr_storage *a)
{
    return a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

uint16_t user_soft_port(const struct sockaddr_storage *a)
{
    return ntohs(a->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)a)->sin6_port
                                          : ((const struct sockaddr_in *)a)->sin_port);
}

void user_soft_set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)a)->sin_port = htons(port);
}
