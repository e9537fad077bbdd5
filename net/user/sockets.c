/*
 * Numbers of channels, and the system calls' names for their operations (sockets.h).
 *
 * Two ranges: below VIRTUAL a number is the host's descriptor (so that files, which libslirp closes
 * with the same call, and `info usernet` have the real ones), from there on it is the channel's
 * own.
 */
#include "net/user/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VIRTUAL 65536

static struct {
    struct user_channel **of[2]; /* descriptors; virtual ones */
    size_t size[2];
    struct user_transport *current;
} sockets;

/* ---- numbers ---- */

static struct user_channel *find(int s)
{
    unsigned range = s >= VIRTUAL;
    size_t i = (size_t)s - (range ? VIRTUAL : 0);
    return s >= 0 && i < sockets.size[range] ? sockets.of[range][i] : NULL;
}

static bool reserve(unsigned range, size_t i)
{
    size_t size = sockets.size[range];
    if (i < size)
        return true;
    size_t bigger = i + 64;
    struct user_channel **of = realloc(sockets.of[range], bigger * sizeof *of);
    if (!of)
        return false;
    memset(of + size, 0, (bigger - size) * sizeof *of);
    sockets.of[range] = of;
    sockets.size[range] = bigger;
    return true;
}

/* Enters @c into the table and its transport's list; its number, or -1 when it was closed for want
 * of one. */
static int enter(struct user_transport *t, struct user_channel *c)
{
    size_t i = 0;
    unsigned range = c->number < 0;
    if (!range)
        i = (size_t)c->number;
    else
        while (i < sockets.size[1] && sockets.of[1][i])
            i++;
    if (i >= VIRTUAL || t->count >= USER_MAX_CHANNELS || !reserve(range, i)) {
        t->ops->close(c);
        errno = EMFILE;
        return -1;
    }
    sockets.of[range][i] = c;
    c->number = (int)i + (range ? VIRTUAL : 0);
    c->transport = t;
    c->next = t->channels;
    c->prev = &t->channels;
    if (c->next)
        c->next->prev = &c->next;
    t->channels = c;
    t->count++;
    return c->number;
}

static void forget(struct user_channel *c)
{
    unsigned range = c->number >= VIRTUAL;
    sockets.of[range][c->number - (range ? VIRTUAL : 0)] = NULL;
    *c->prev = c->next;
    if (c->next)
        c->next->prev = c->prev;
    c->transport->count--;
}

void user_transport_free(struct user_transport *t)
{
    if (!t)
        return;
    while (t->channels) {
        struct user_channel *c = t->channels;
        forget(c);
        t->ops->close(c);
    }
    t->ops->free(t);
}

struct user_transport *user_current(void)
{
    return sockets.current;
}

struct user_transport *user_enter(struct user_transport *t)
{
    struct user_transport *before = sockets.current;
    sockets.current = t;
    return before;
}

void user_leave(struct user_transport *before)
{
    sockets.current = before;
}

/* ---- readiness ---- */

void user_want_begin(struct user_transport *t)
{
    for (struct user_channel *c = t->channels; c; c = c->next)
        c->wanting = 0;
}

void user_want(int s, unsigned events)
{
    struct user_channel *c = find(s);
    if (c)
        c->wanting |= events;
}

void user_want_end(struct user_transport *t)
{
    for (struct user_channel *c = t->channels; c; c = c->next) {
        c->wanted = c->wanting;
        t->ops->want(c, c->wanted);
    }
}

unsigned user_poll(int s)
{
    struct user_channel *c = find(s);
    unsigned events = c ? c->transport->ops->poll(c) : 0;
    /* libslirp reads what has an error, for which it needs room: who doesn't want to read writes,
     * and learns of it from that. */
    if (c && !(c->wanted & USER_IN) && events & (USER_ERR | USER_HUP))
        events = USER_OUT;
    return events;
}

/* ---- the calls ---- */

/* 0, a count, or -errno, as a system call gives it. */
static ssize_t result(ssize_t n)
{
    if (n >= 0)
        return n;
    errno = (int)-n;
    return -1;
}

#define CHANNEL(s)                                                                                 \
    struct user_channel *c = find(s);                                                              \
    if (!c)                                                                                        \
    return (int)result(-EBADF)

int user_socket(int domain, int type, int protocol)
{
    struct user_transport *t = sockets.current;
    int error = -ENETDOWN;
    if (!t || t->count >= USER_MAX_CHANNELS)
        return (int)result(t ? -EMFILE : -ENETDOWN);
#ifdef SOCK_CLOEXEC
    type &= ~SOCK_CLOEXEC;
#endif
    struct user_channel *c = t->ops->open(t, domain, type, protocol, &error);
    return c ? enter(t, c) : (int)result(error);
}

int user_bind(int s, const struct sockaddr *addr, socklen_t len)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->bind(c, addr, len));
}

int user_connect(int s, const struct sockaddr *addr, socklen_t len)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->connect(c, addr, len));
}

int user_listen(int s, int backlog)
{
    CHANNEL(s);
    /* libslirp asks for a backlog of 1: a browser opens several connections at once. */
    return (int)result(c->transport->ops->listen(c, backlog < 64 ? 64 : backlog));
}

int user_accept(int s, struct sockaddr *addr, socklen_t *len)
{
    CHANNEL(s);
    int error = -EAGAIN;
    struct user_channel *client = c->transport->ops->accept(c, addr, len, &error);
    return client ? enter(c->transport, client) : (int)result(error);
}

int user_shutdown(int s, int how)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->shutdown(c, how));
}

ssize_t user_sendto(int s, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                    socklen_t addrlen)
{
    CHANNEL(s);
    if (len > PTRDIFF_MAX) /* a UDP header shorter than itself: libslirp leaves that to the host */
        return result(-EMSGSIZE);
    return result(c->transport->ops->sendto(c, buf, len, flags, addr, addrlen));
}

ssize_t user_recvfrom(int s, void *buf, size_t len, int flags, struct sockaddr *addr,
                      socklen_t *addrlen)
{
    CHANNEL(s);
    return result(c->transport->ops->recvfrom(c, buf, len, flags, addr, addrlen));
}

ssize_t user_recvmsg(int s, struct msghdr *msg, int flags)
{
    CHANNEL(s);
    if (!c->transport->ops->recvmsg)
        return result(-EAGAIN);
    return result(c->transport->ops->recvmsg(c, msg, flags));
}

int user_getsockname(int s, struct sockaddr *addr, socklen_t *len)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->name(c, false, addr, len));
}

int user_getpeername(int s, struct sockaddr *addr, socklen_t *len)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->name(c, true, addr, len));
}

int user_setsockopt(int s, int level, int name, const void *value, socklen_t len)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->setsockopt(c, level, name, value, len));
}

int user_getsockopt(int s, int level, int name, void *value, socklen_t *len)
{
    CHANNEL(s);
    return (int)result(c->transport->ops->getsockopt(c, level, name, value, len));
}

int user_available(int s, void *n)
{
    CHANNEL(s);
    ssize_t bytes = result(c->transport->ops->available(c));
    if (bytes < 0)
        return -1;
    *(int *)n = (int)bytes;
    return 0;
}

int user_close(int s)
{
    struct user_channel *c = find(s);
    if (!c)
        return s < VIRTUAL ? close(s) : (int)result(-EBADF);
    forget(c);
    c->transport->ops->close(c);
    return 0;
}

int user_socketpair(int s[2])
{
    struct user_transport *t = sockets.current;
    struct user_channel *pair[2];
    if (!t || !t->ops->pair)
        return (int)result(-EOPNOTSUPP);
    int e = t->ops->pair(t, pair);
    if (e < 0)
        return (int)result(e);
    s[0] = enter(t, pair[0]);
    s[1] = enter(t, pair[1]);
    if (s[0] >= 0 && s[1] >= 0)
        return 0;
    for (int i = 0; i < 2; i++)
        if (s[i] >= 0)
            user_close(s[i]);
    return -1;
}

int user_spawn(int s, char **argv)
{
    struct user_channel *c = find(s);
    if (!c || !c->transport->ops->spawn)
        return EOPNOTSUPP;
    return -c->transport->ops->spawn(c, argv);
}
