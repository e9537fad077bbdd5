/*
 * The host's sockets as channels: system calls on non-blocking descriptors, watched by the event
 * loop (host/native.h).
 *
 * What the loop reports is noted in revents and the descriptor isn't watched any more until the
 * stack has looked at it and says again what it wants: level-triggered without calling twice.
 * refresh() asks the kernel between two turns of the loop, for a guest that keeps the CPU busy.
 *
 * Ping: an unprivileged ICMP socket, for which Linux has to permit the process's group
 * (net.ipv4.ping_group_range). That it isn't permitted is said once.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "host/host.h"
#include "host/native.h"
#include "net/user/sockets.h"

#define SOCKET_BUFFER     (1 << 20)
#define NAME_SERVER_STALE NS_PER_SEC
#define MAX_CHILDREN      64

extern char **environ;

struct host_transport {
    struct user_transport base;
    bool ping_refused, spawn_failed; /* said so */
    int64_t servers_read_ns;         /* 0: never */
    struct sockaddr_storage servers[2];
    bool has_server[2]; /* IPv4, IPv6 */
    pid_t children[MAX_CHILDREN];
    unsigned child_count;
};

struct host_channel {
    struct user_channel base;
    struct host_poll poll;
    struct host_transport *owner;
    unsigned revents;
};

static struct host_channel *host_channel(struct user_channel *c)
{
    return (struct host_channel *)c;
}

static int fd_of(struct user_channel *c)
{
    return host_channel(c)->poll.fd;
}

static ssize_t result(ssize_t n)
{
    return n < 0 ? -errno : n;
}

/* ---- readiness ---- */

static const struct {
    unsigned user;
    short host;
} event_bits[] = {
    { USER_IN, POLLIN },   { USER_OUT, POLLOUT }, { USER_PRI, POLLPRI },
    { USER_ERR, POLLERR }, { USER_HUP, POLLHUP },
};

static void note(struct host_channel *c, short revents)
{
    for (size_t i = 0; i < sizeof event_bits / sizeof *event_bits; i++)
        if (revents & event_bits[i].host)
            c->revents |= event_bits[i].user;
    c->poll.events = 0;
}

static void fd_ready(void *opaque, short revents)
{
    struct host_channel *c = opaque;
    note(c, revents);
    c->owner->base.ready(c->owner->base.opaque);
}

static void host_want(struct user_channel *base, unsigned events)
{
    struct host_channel *c = host_channel(base);
    short wanted = 0;
    for (size_t i = 0; i < 3; i++)
        if (events & event_bits[i].user)
            wanted |= event_bits[i].host;
    c->revents = 0;
    c->poll.events = wanted;
}

static unsigned host_poll_channel(struct user_channel *c)
{
    return host_channel(c)->revents;
}

static void host_refresh(struct user_transport *t)
{
    struct pollfd set[64];
    struct host_channel *of[64];
    nfds_t n = 0;
    for (struct user_channel *b = t->channels; b && n < 64; b = b->next) {
        struct host_channel *c = host_channel(b);
        if (!c->poll.events)
            continue;
        set[n] = (struct pollfd){ .fd = c->poll.fd, .events = c->poll.events };
        of[n++] = c;
    }
    if (n == 0 || poll(set, n, 0) <= 0)
        return;
    for (nfds_t i = 0; i < n; i++)
        if (set[i].revents)
            note(of[i], set[i].revents);
    t->ready(t->opaque);
}

/* ---- making and closing channels ---- */

static struct user_channel *wrap(struct host_transport *t, int fd)
{
    struct host_channel *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return NULL;
    }
    c->base.number = fd;
    c->owner = t;
    c->poll = (struct host_poll){ .fd = fd, .ready = fd_ready, .opaque = c };
    host_poll_add(&c->poll);
    return &c->base;
}

static void ping_is_refused(struct host_transport *t)
{
    char range[64] = "";
    FILE *f = fopen("/proc/sys/net/ipv4/ping_group_range", "r");
    if (f) {
        if (fgets(range, sizeof range, f))
            range[strcspn(range, "\n")] = 0;
        fclose(f);
    }
    for (char *p = range; *p; p++)
        if (*p == '\t')
            *p = ' ';
    fprintf(stderr,
            "slipway: warning: netdev '%s': the guest can't ping the outside: ping sockets aren't "
            "permitted to group %d (sysctl net.ipv4.ping_group_range is \"%s\"; \"0 2147483647\" "
            "permits all)\n",
            t->base.label, (int)getegid(), range);
}

static struct user_channel *host_open(struct user_transport *base, int family, int type,
                                      int protocol, int *error)
{
    struct host_transport *t = (struct host_transport *)base;
    int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
    if (fd < 0) {
        *error = -errno;
        if (protocol == IPPROTO_ICMP && type == SOCK_RAW && !t->ping_refused) {
            t->ping_refused = true;
            ping_is_refused(t);
        }
        return NULL;
    }
    if (type == SOCK_STREAM) {
        int size = SOCKET_BUFFER;
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    }
    *error = -ENOMEM;
    return wrap(t, fd);
}

static struct user_channel *host_accept(struct user_channel *c, struct sockaddr *addr,
                                        socklen_t *len, int *error)
{
    int fd = accept4(fd_of(c), addr, len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    *error = fd < 0 ? -errno : -ENOMEM;
    return fd < 0 ? NULL : wrap(host_channel(c)->owner, fd);
}

static void host_close(struct user_channel *c)
{
    host_poll_remove(&host_channel(c)->poll);
    close(fd_of(c));
    free(c);
}

/* ---- calls ---- */

static int host_bind(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    return (int)result(bind(fd_of(c), addr, len));
}

static int host_connect(struct user_channel *c, const struct sockaddr *addr, socklen_t len)
{
    return (int)result(connect(fd_of(c), addr, len));
}

static int host_listen(struct user_channel *c, int backlog)
{
    return (int)result(listen(fd_of(c), backlog));
}

static int host_shutdown(struct user_channel *c, int how)
{
    return (int)result(shutdown(fd_of(c), how));
}

static ssize_t host_sendto(struct user_channel *c, const void *buf, size_t len, int flags,
                           const struct sockaddr *addr, socklen_t addrlen)
{
    return result(sendto(fd_of(c), buf, len, flags | MSG_NOSIGNAL, addr, addrlen));
}

static ssize_t host_recvfrom(struct user_channel *c, void *buf, size_t len, int flags,
                             struct sockaddr *addr, socklen_t *addrlen)
{
    return result(recvfrom(fd_of(c), buf, len, flags, addr, addrlen));
}

static ssize_t host_recvmsg(struct user_channel *c, struct msghdr *msg, int flags)
{
    return result(recvmsg(fd_of(c), msg, flags));
}

static int host_name(struct user_channel *c, bool peer, struct sockaddr *addr, socklen_t *len)
{
    return (int)result(peer ? getpeername(fd_of(c), addr, len) : getsockname(fd_of(c), addr, len));
}

static int host_setsockopt(struct user_channel *c, int level, int name, const void *value,
                           socklen_t len)
{
    return (int)result(setsockopt(fd_of(c), level, name, value, len));
}

static int host_getsockopt(struct user_channel *c, int level, int name, void *value, socklen_t *len)
{
    return (int)result(getsockopt(fd_of(c), level, name, value, len));
}

static int host_available(struct user_channel *c)
{
    int n;
    return ioctl(fd_of(c), FIONREAD, &n) < 0 ? -errno : n;
}

/* ---- programs ---- */

static void reap(struct host_transport *t)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < t->child_count; i++)
        if (waitpid(t->children[i], NULL, WNOHANG) == 0)
            t->children[kept++] = t->children[i];
    t->child_count = kept;
}

/* TCP over loopback, as a program that serves TCP (smbd) expects of its standard input. */
static int host_pair(struct user_transport *base, struct user_channel *pair[2])
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int fd[2] = { -1, -1 };
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (server >= 0 && bind(server, (struct sockaddr *)&addr, len) == 0 && listen(server, 1) == 0 &&
        getsockname(server, (struct sockaddr *)&addr, &len) == 0) {
        fd[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd[1] >= 0 && connect(fd[1], (struct sockaddr *)&addr, len) == 0)
            fd[0] = accept4(server, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }
    int error = fd[0] < 0 ? -errno : -ENOMEM;
    if (server >= 0)
        close(server);
    pair[0] = fd[0] < 0 ? NULL : wrap((struct host_transport *)base, fd[0]);
    pair[1] = pair[0] ? wrap((struct host_transport *)base, fd[1]) : NULL;
    if (pair[1])
        return 0;
    if (pair[0])
        host_close(pair[0]);
    else if (fd[1] >= 0)
        close(fd[1]);
    return error;
}

static int host_spawn(struct user_channel *c, char **argv)
{
    struct host_transport *t = host_channel(c)->owner;
    reap(t);
    if (t->child_count == MAX_CHILDREN)
        return -EAGAIN;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGCHLD);
    sigaddset(&defaults, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&how);
    for (int i = 0; i < 3; i++)
        posix_spawn_file_actions_adddup2(&files, fd_of(c), i);
    posix_spawnattr_setsigmask(&how, &none);
    posix_spawnattr_setsigdefault(&how, &defaults);
    posix_spawnattr_setflags(&how,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    int e = posix_spawnp(&t->children[t->child_count], argv[0], &files, &how, argv, environ);
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&files);
    if (e == 0)
        t->child_count++;
    else if (!t->spawn_failed)
        fprintf(stderr, "slipway: warning: netdev '%s': guestfwd: %s: %s\n", t->base.label, argv[0],
                strerror(e));
    t->spawn_failed = e != 0;
    return -e;
}

/* ---- name servers: the first of each family in /etc/resolv.conf ---- */

static bool parse_server(char *text, struct sockaddr_storage *addr)
{
    struct sockaddr_in *in = (struct sockaddr_in *)addr;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
    memset(addr, 0, sizeof *addr);
    if (inet_pton(AF_INET, text, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        return true;
    }
    char *zone = strchr(text, '%');
    if (zone)
        *zone++ = 0;
    if (inet_pton(AF_INET6, text, &in6->sin6_addr) != 1)
        return false;
    in6->sin6_family = AF_INET6;
    in6->sin6_scope_id = zone ? if_nametoindex(zone) : 0;
    return true;
}

static void read_servers(struct host_transport *t)
{
    char line[512], word[257];
    struct sockaddr_storage addr;
    t->has_server[0] = t->has_server[1] = false;
    FILE *f = fopen("/etc/resolv.conf", "r");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        if (sscanf(line, "nameserver%*[ \t]%256s", word) != 1 || !parse_server(word, &addr))
            continue;
        int i = addr.ss_family == AF_INET6;
        if (!t->has_server[i])
            t->servers[i] = addr;
        t->has_server[i] = true;
    }
    fclose(f);
}

static bool host_name_server(struct user_transport *base, int family, struct sockaddr_storage *addr)
{
    struct host_transport *t = (struct host_transport *)base;
    int64_t now = host_monotonic_ns();
    if (!t->servers_read_ns || now - t->servers_read_ns > NAME_SERVER_STALE) {
        read_servers(t);
        t->servers_read_ns = now;
    }
    *addr = t->servers[family == AF_INET6];
    return t->has_server[family == AF_INET6];
}

/* ---- the transport ---- */

static void host_free(struct user_transport *base)
{
    reap((struct host_transport *)base);
    free(base);
}

static const struct user_transport_ops host_ops = {
    .open = host_open,
    .bind = host_bind,
    .connect = host_connect,
    .listen = host_listen,
    .accept = host_accept,
    .shutdown = host_shutdown,
    .sendto = host_sendto,
    .recvfrom = host_recvfrom,
    .recvmsg = host_recvmsg,
    .name = host_name,
    .setsockopt = host_setsockopt,
    .getsockopt = host_getsockopt,
    .available = host_available,
    .close = host_close,
    .want = host_want,
    .poll = host_poll_channel,
    .refresh = host_refresh,
    .name_server = host_name_server,
    .pair = host_pair,
    .spawn = host_spawn,
    .free = host_free,
};

struct user_transport *user_host_transport_new(const char *label)
{
    struct host_transport *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->base.ops = &host_ops;
    t->base.label = label;
    return &t->base;
}

bool user_host_has_sockets(void)
{
    return true;
}

struct user_transport *user_fetch_transport_new(const char *label, const char *doh,
                                                const char *proxy, struct error *err)
{
    (void)label, (void)doh, (void)proxy;
    error_set(err, "fetch= is only there in the WebAssembly build");
    return NULL;
}
