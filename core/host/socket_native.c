/*
 * Stream sockets: from a kind and a spec to a descriptor.
 *
 * Both become a list of addresses (several for a host name); a server takes the first that it can
 * be bound to, a client the first that answers. In the background a client has one attempt under
 * way at a time: POLLOUT says that it is decided, SO_ERROR how, and the next address follows a
 * failure.
 */
#define _GNU_SOURCE

#include "host/socket_native.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/address_native.h"
#include "host/host.h"
#include "host/native.h"

#define BACKLOG 4

struct target {
    struct sockaddr_storage address;
    socklen_t len;
};

struct targets {
    struct target *list;
    size_t count;
    struct address_flags flags;
};

static bool is(const char *a, const char *b)
{
    return !strcmp(a, b);
}

bool socket_kind(const char *kind)
{
    return is(kind, "tcp") || is(kind, "unix") || is(kind, "abstract") ||
           is(kind, "abstract-padded");
}

/* ---- addresses ---- */

static bool targets_tcp(struct targets *t, const char *spec, bool passive, struct error *err)
{
    struct addrinfo *list;
    if (!address_resolve("tcp", spec, SOCK_STREAM, passive, &list, &t->flags, err))
        return false;
    size_t n = 0;
    for (struct addrinfo *a = list; a; a = a->ai_next)
        n++;
    t->list = calloc(n, sizeof *t->list);
    for (struct addrinfo *a = list; a && t->list; a = a->ai_next) {
        struct target *to = &t->list[t->count++];
        to->len = a->ai_addrlen;
        memcpy(&to->address, a->ai_addr, a->ai_addrlen);
    }
    freeaddrinfo(list);
    return t->list || error_set(err, "tcp:%s: out of memory", spec);
}

static bool targets_unix(struct targets *t, const char *kind, const char *path, struct error *err)
{
    struct sockaddr_un a;
    if (!address_unix(kind, path, &a, err))
        return false;
    socklen_t len = sizeof a;
    if (!is(kind, "unix")) { /* abstract: a zero byte, then the name */
        size_t n = strlen(path);
        memset(a.sun_path, 0, sizeof a.sun_path);
        if (n >= sizeof a.sun_path)
            n = sizeof a.sun_path - 1;
        memcpy(a.sun_path + 1, path, n);
        if (is(kind, "abstract"))
            len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + n);
    }
    t->list = calloc(1, sizeof *t->list);
    if (!t->list)
        return error_set(err, "%s:%s: out of memory", kind, path);
    t->count = 1;
    t->list->len = len;
    memcpy(&t->list->address, &a, sizeof a);
    return true;
}

static bool targets_init(struct targets *t, const char *kind, const char *spec, bool passive,
                         struct error *err)
{
    *t = (struct targets){ 0 };
    return is(kind, "tcp") ? targets_tcp(t, spec, passive, err) : targets_unix(t, kind, spec, err);
}

static int open_socket(const struct target *t, const struct address_flags *flags, int type)
{
    int one = 1, family = t->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | type, 0);
    if (fd >= 0 && family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (flags->keep_alive)
            setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
    }
    return fd;
}

static const struct sockaddr *address(const struct target *t)
{
    return (const struct sockaddr *)&t->address;
}

static int close_keeping_errno(int fd)
{
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return -1;
}

/* ---- servers ---- */

static void set_port(struct target *t, unsigned port)
{
    if (t->address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&t->address)->sin6_port = htons((uint16_t)port);
    else if (t->address.ss_family == AF_INET)
        ((struct sockaddr_in *)&t->address)->sin_port = htons((uint16_t)port);
}

static int listen_on(struct target *t, const struct address_flags *flags)
{
    int fd = open_socket(t, flags, SOCK_NONBLOCK), one = 1, family = t->address.ss_family;
    if (fd < 0)
        return -1;
    int v6only = !flags->dual;
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only);
    if (family != AF_UNIX)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    else if (((struct sockaddr_un *)&t->address)->sun_path[0])
        address_remove_stale((struct sockaddr_un *)&t->address);
    if (bind(fd, address(t), t->len) < 0 || listen(fd, BACKLOG) < 0)
        return close_keeping_errno(fd);
    return fd;
}

int socket_listen(const char *kind, const char *spec, struct error *err)
{
    struct targets t;
    int fd = -1;
    if (!targets_init(&t, kind, spec, true, err))
        return -1;
    unsigned port = t.flags.port;
    do {
        for (size_t i = 0; i < t.count && fd < 0; i++) {
            set_port(&t.list[i], port);
            fd = listen_on(&t.list[i], &t.flags);
        }
    } while (fd < 0 && errno == EADDRINUSE && ++port <= t.flags.to);
    if (fd < 0)
        error_set(err, "%s:%s: %s", kind, spec, strerror(errno));
    free(t.list);
    return fd;
}

/* ---- clients ---- */

int socket_connect(const char *kind, const char *spec, struct error *err)
{
    struct targets t;
    int fd = -1;
    if (!targets_init(&t, kind, spec, false, err))
        return -1;
    for (size_t i = 0; i < t.count && fd < 0; i++) {
        fd = open_socket(&t.list[i], &t.flags, 0);
        if (fd >= 0 && connect(fd, address(&t.list[i]), t.list[i].len) < 0)
            fd = close_keeping_errno(fd);
    }
    if (fd < 0)
        error_set(err, "%s:%s: %s", kind, spec, strerror(errno));
    else
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    free(t.list);
    return fd;
}

struct socket_connector {
    struct targets targets;
    size_t next; /* target */
    int error;   /* of the last attempt */
    struct host_poll poll;
    void (*done)(void *opaque, int fd, const char *error);
    void *opaque;
};

static void finish(void *opaque)
{
    struct socket_connector *c = opaque;
    void (*done)(void *, int, const char *) = c->done;
    void *done_opaque = c->opaque;
    int fd = c->error ? -1 : c->poll.fd, error = c->error;
    if (fd >= 0)
        c->poll.fd = -1;
    socket_connect_cancel(c);
    done(done_opaque, fd, error ? strerror(error) : NULL);
}

/* Begins with the next address; the result may be known at once, but is reported from the loop. */
static void attempt(struct socket_connector *c)
{
    while (c->next < c->targets.count) {
        const struct target *t = &c->targets.list[c->next++];
        int fd = open_socket(t, &c->targets.flags, SOCK_NONBLOCK);
        if (fd >= 0 && (connect(fd, address(t), t->len) == 0 || errno == EINPROGRESS)) {
            c->poll.fd = fd;
            c->poll.events = POLLOUT;
            return;
        }
        c->error = errno;
        if (fd >= 0)
            close(fd);
    }
    host_every(0, finish, c);
}

static void decided(void *opaque, short revents)
{
    struct socket_connector *c = opaque;
    socklen_t len = sizeof c->error;
    if (getsockopt(c->poll.fd, SOL_SOCKET, SO_ERROR, &c->error, &len) < 0)
        c->error = errno;
    if (!c->error) {
        finish(c);
        return;
    }
    close(c->poll.fd);
    c->poll.fd = -1;
    c->poll.events = 0;
    attempt(c);
}

struct socket_connector *socket_connect_later(const char *kind, const char *spec,
                                              void (*done)(void *opaque, int fd, const char *error),
                                              void *opaque, struct error *err)
{
    struct socket_connector *c = calloc(1, sizeof *c);
    if (!c) {
        error_set(err, "%s:%s: out of memory", kind, spec);
        return NULL;
    }
    if (!targets_init(&c->targets, kind, spec, false, err)) {
        free(c);
        return NULL;
    }
    c->done = done;
    c->opaque = opaque;
    c->poll = (struct host_poll){ .fd = -1, .ready = decided, .opaque = c };
    host_poll_add(&c->poll);
    attempt(c);
    return c;
}

void socket_connect_cancel(struct socket_connector *c)
{
    if (!c)
        return;
    host_every_stop(finish, c);
    host_poll_remove(&c->poll);
    if (c->poll.fd >= 0)
        close(c->poll.fd);
    free(c->targets.list);
    free(c);
}

/* ---- given descriptors ---- */

int socket_given(const char *spec, bool listening, struct error *err)
{
    char *end;
    long n = strtol(spec, &end, 10);
    int type, accepts = 0;
    socklen_t len = sizeof type, accepts_len = sizeof accepts;
    if (!*spec || *end || n < 0 || n > 0x7fffffff) {
        error_set(err, "fd:%s: not the number of a file descriptor", spec);
        return -1;
    }
    int fd = (int)n;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        error_set(err, "fd:%s: %s", spec, strerror(errno));
        return -1;
    }
    if (type != SOCK_STREAM) {
        error_set(err, "fd:%s: not a stream socket", spec);
        return -1;
    }
    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &accepts_len);
    if (listening != (accepts != 0)) {
        error_set(err, "fd:%s: the socket %s", spec, listening ? "doesn't listen" : "listens");
        return -1;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}
