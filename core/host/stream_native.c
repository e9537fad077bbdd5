/*
 * Byte streams over file descriptors: stdio, pty, TCP and Unix sockets.
 *
 * A stream has one descriptor to read and one to write (the same, except for stdio) and a poll
 * entry for each.
 *   reading  POLLIN is asked for while someone wants it; readable() calls host_stream_read(), which
 *            returns 0 at the end. closed() then runs once, from the loop.
 *   writing  is tried at once; what didn't fit is the caller's, and POLLOUT then brings writable().
 *   listen   POLLIN means clients; each becomes a stream of its own, handed to connected().
 * Sockets are made in socket_native.c. A pty's master reads EIO while nobody has the slave open:
 * that isn't an end, so it counts as "nothing now" and is looked at again every PTY_RETRY_NS.
 *
 * Descriptors that others share (stdin, stdout) must not become O_NONBLOCK behind their backs:
 * stdout is opened a second time through /proc where that is possible, and only otherwise switched
 * (and switched back at the end).
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "clock.h"
#include "host/address_native.h"
#include "host/host.h"
#include "host/native.h"
#include "host/socket_native.h"

#define PTY_RETRY_NS (NS_PER_SEC / 5)

enum stream_kind { STREAM_STDIO, STREAM_PTY, STREAM_SOCKET, STREAM_LISTEN };

struct host_stream {
    enum stream_kind kind;
    struct host_poll in, out; /* fd -1: none */
    bool want_read;
    bool ended;       /* closed() is on its way or was called */
    int stdout_flags; /* to restore; -1: untouched */
    char *name;
    char *unlink_path;                  /* unix server */
    struct socket_connector *connector; /* connecting in the background; no descriptor yet */
    const struct host_stream_ops *ops;
    void *opaque;
};

/* ---- poll callbacks ---- */

static void update_events(struct host_stream *s)
{
    s->in.events = s->want_read && !s->ended && s->in.fd >= 0 ? POLLIN : 0;
}

static void report_closed(void *opaque)
{
    struct host_stream *s = opaque;
    host_every_stop(report_closed, s);
    if (s->ops && s->ops->closed)
        s->ops->closed(s->opaque);
}

static void end_stream(struct host_stream *s)
{
    if (s->ended)
        return;
    s->ended = true;
    update_events(s);
    if (s->kind != STREAM_STDIO) /* the end of stdin isn't that of stdout */
        s->out.events = 0;
    host_every(0, report_closed, s); /* cancelled by host_stream_close, unlike a deferred call */
}

static void retry_pty(void *opaque)
{
    struct host_stream *s = opaque;
    host_every_stop(retry_pty, s);
    update_events(s);
}

static struct host_stream *stream_new(enum stream_kind kind, int in_fd, int out_fd,
                                      const struct host_stream_ops *ops, void *opaque);

static void accept_client(struct host_stream *s)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    int fd = accept4(s->in.fd, (struct sockaddr *)&a, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
               sizeof one); /* fails on unix sockets: no matter */
    struct host_stream *client = stream_new(STREAM_SOCKET, fd, fd, NULL, NULL);
    if (!client) {
        close(fd);
        return;
    }
    char from[128] = "";
    if (a.ss_family != AF_UNIX)
        address_text((struct sockaddr *)&a, len, from, sizeof from);
    client->name = strdup(from);
    if (s->ops && s->ops->connected)
        s->ops->connected(s->opaque, client);
    else
        host_stream_close(client);
}

static void in_ready(void *opaque, short revents)
{
    struct host_stream *s = opaque;
    if (s->kind == STREAM_LISTEN) {
        accept_client(s);
        return;
    }
    if (s->kind == STREAM_PTY && (revents & POLLHUP) && !(revents & POLLIN)) {
        s->in.events = 0; /* nobody has the slave open; POLLHUP would come back at once */
        host_every(PTY_RETRY_NS, retry_pty, s);
        return;
    }
    if (s->ops && s->ops->readable)
        s->ops->readable(s->opaque);
    else
        host_stream_want_read(s, false);
}

static void out_ready(void *opaque, short revents)
{
    struct host_stream *s = opaque;
    s->out.events = 0;
    if (s->ops && s->ops->writable)
        s->ops->writable(s->opaque);
}

/* ---- making streams ---- */

static struct host_stream *stream_new(enum stream_kind kind, int in_fd, int out_fd,
                                      const struct host_stream_ops *ops, void *opaque)
{
    struct host_stream *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->kind = kind;
    s->stdout_flags = -1;
    s->ops = ops;
    s->opaque = opaque;
    s->want_read = kind == STREAM_LISTEN || (ops && ops->readable);
    s->in = (struct host_poll){ .fd = in_fd, .ready = in_ready, .opaque = s };
    s->out = (struct host_poll){ .fd = out_fd, .ready = out_ready, .opaque = s };
    update_events(s);
    host_poll_add(&s->in);
    host_poll_add(&s->out);
    return s;
}

static struct host_stream *finish(struct host_stream *s, const char *name, struct error *err)
{
    if (s)
        s->name = strdup(name);
    if (!s || !s->name) {
        if (s)
            host_stream_close(s);
        error_set(err, "%s: out of memory", name);
        return NULL;
    }
    return s;
}

static struct host_stream *open_stdio(const char *spec, const struct host_stream_ops *ops,
                                      void *opaque, struct error *err)
{
    struct stat st;
    int out = STDOUT_FILENO, flags = -1;
    if (fstat(out, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode))) {
        out = open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (out < 0) {
            out = STDOUT_FILENO;
            flags = fcntl(out, F_GETFL);
            fcntl(out, F_SETFL, flags | O_NONBLOCK);
        }
    }
    struct host_stream *s = stream_new(STREAM_STDIO, STDIN_FILENO, out, ops, opaque);
    if (s) {
        s->stdout_flags = flags;
        terminal_raw(STDIN_FILENO, !spec || !strstr(spec, "signal=off"));
    }
    return finish(s, "stdio", err);
}

static struct host_stream *open_pty(const struct host_stream_ops *ops, void *opaque,
                                    struct error *err)
{
    int master, slave;
    char path[128];
    struct termios t;
    if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
        error_set(err, "pty: %s", strerror(errno));
        return NULL;
    }
    if (tcgetattr(slave, &t) == 0) {
        cfmakeraw(&t);
        tcsetattr(slave, TCSANOW, &t);
    }
    bool named = ttyname_r(slave, path, sizeof path) == 0;
    close(slave);
    fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
    fcntl(master, F_SETFD, FD_CLOEXEC);
    struct host_stream *s = stream_new(STREAM_PTY, master, master, ops, opaque);
    if (!s)
        close(master);
    return finish(s, named ? path : "pty", err);
}

static struct host_stream *wrap_socket(const char *kind, const char *spec, int fd, bool listening,
                                       const struct host_stream_ops *ops, void *opaque,
                                       struct error *err)
{
    char where[160];
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    struct host_stream *s =
        stream_new(listening ? STREAM_LISTEN : STREAM_SOCKET, fd, fd, ops, opaque);
    if (!s)
        close(fd);
    else if (listening && !strcmp(kind, "unix"))
        s->unlink_path = strdup(spec);
    if (!strcmp(kind, "tcp") && !getsockname(fd, (struct sockaddr *)&a, &len)) {
        strcpy(where, "tcp:");
        address_text((struct sockaddr *)&a, len, where + 4, sizeof where - 4);
        spec = where;
    }
    return finish(s, spec, err);
}

static struct host_stream *open_given(const char *spec, bool listen,
                                      const struct host_stream_ops *ops, void *opaque,
                                      struct error *err)
{
    int fd = socket_given(spec, listen, err);
    return fd < 0 ? NULL : wrap_socket("fd", spec, fd, listen, ops, opaque, err);
}

struct host_stream *host_stream_open(const char *kind, const char *spec, bool listen,
                                     const struct host_stream_ops *ops, void *opaque,
                                     struct error *err)
{
    if (!strcmp(kind, "stdio"))
        return open_stdio(spec, ops, opaque, err);
    if (!strcmp(kind, "pty"))
        return open_pty(ops, opaque, err);
    if (!strcmp(kind, "fd"))
        return open_given(spec, listen, ops, opaque, err);
    if (!socket_kind(kind)) {
        error_set(err, "%s: no such kind of stream here", kind);
        return NULL;
    }
    int fd = listen ? socket_listen(kind, spec, err) : socket_connect(kind, spec, err);
    return fd < 0 ? NULL : wrap_socket(kind, spec, fd, listen, ops, opaque, err);
}

static void report_opened(void *opaque)
{
    struct host_stream *s = opaque;
    host_every_stop(report_opened, s);
    if (s->ops && s->ops->opened)
        s->ops->opened(s->opaque, NULL);
}

static void connected_later(void *opaque, int fd, const char *error)
{
    struct host_stream *s = opaque;
    s->connector = NULL;
    if (fd >= 0) {
        s->in.fd = s->out.fd = fd;
        update_events(s);
    }
    if (s->ops && s->ops->opened)
        s->ops->opened(s->opaque, error);
}

struct host_stream *host_stream_open_later(const char *kind, const char *spec, bool listen,
                                           const struct host_stream_ops *ops, void *opaque,
                                           struct error *err)
{
    struct host_stream *s;
    if (listen || !socket_kind(kind)) {
        s = host_stream_open(kind, spec, listen, ops, opaque, err);
        if (s)
            host_every(0, report_opened, s);
        return s;
    }
    s = finish(stream_new(STREAM_SOCKET, -1, -1, ops, opaque), spec, err);
    if (!s)
        return NULL;
    s->connector = socket_connect_later(kind, spec, connected_later, s, err);
    if (!s->connector) {
        host_stream_close(s);
        return NULL;
    }
    return s;
}

/* ---- using them ---- */

void host_stream_set_ops(struct host_stream *s, const struct host_stream_ops *ops, void *opaque)
{
    s->ops = ops;
    s->opaque = opaque;
    s->want_read = s->kind == STREAM_LISTEN || (ops && ops->readable);
    update_events(s);
}

long host_stream_read(struct host_stream *s, void *buf, size_t len)
{
    if (s->ended)
        return 0;
    if (s->connector)
        return -EAGAIN;
    if (s->kind == STREAM_STDIO) { /* may be blocking: ask first */
        struct pollfd p = { .fd = s->in.fd, .events = POLLIN };
        if (poll(&p, 1, 0) <= 0)
            return -EAGAIN;
    }
    ssize_t n = read(s->in.fd, buf, len);
    if (n > 0)
        return (long)n;
    if (n < 0 && (errno == EAGAIN || errno == EINTR || (s->kind == STREAM_PTY && errno == EIO)))
        return -EAGAIN;
    int error = n < 0 ? errno : 0;
    end_stream(s);
    return -error;
}

long host_stream_write(struct host_stream *s, const void *buf, size_t len)
{
    ssize_t n;
    if (s->connector)
        return -EAGAIN;          /* opened() follows */
    if (s->kind == STREAM_PTY) { /* nobody has the slave open: like a line without a terminal */
        struct pollfd p = { .fd = s->out.fd, .events = POLLOUT };
        if (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))
            return (long)len;
    }
    if (s->kind == STREAM_SOCKET)
        n = send(s->out.fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    else
        n = write(s->out.fd, buf, len);
    if (n < 0 && errno == EINTR)
        n = 0;
    if (n < 0 && errno != EAGAIN) {
        int error = errno;
        if (s->kind == STREAM_SOCKET)
            end_stream(s);
        return -error;
    }
    if (n < (ssize_t)len && (!s->ended || s->kind == STREAM_STDIO))
        s->out.events = POLLOUT;
    return n < 0 ? -EAGAIN : (long)n;
}

void host_stream_want_read(struct host_stream *s, bool want)
{
    s->want_read = want;
    update_events(s);
}

const char *host_stream_name(const struct host_stream *s)
{
    return s->name ? s->name : "";
}

void host_stream_close(struct host_stream *s)
{
    if (!s)
        return;
    host_every_stop(report_closed, s);
    host_every_stop(retry_pty, s);
    host_every_stop(report_opened, s);
    socket_connect_cancel(s->connector);
    host_poll_remove(&s->in);
    host_poll_remove(&s->out);
    if (s->kind == STREAM_STDIO) {
        if (s->out.fd != STDOUT_FILENO)
            close(s->out.fd);
        else if (s->stdout_flags >= 0)
            fcntl(STDOUT_FILENO, F_SETFL, s->stdout_flags);
        terminal_restore();
    } else if (s->in.fd >= 0) {
        close(s->in.fd);
    }
    if (s->unlink_path)
        unlink(s->unlink_path);
    free(s->unlink_path);
    free(s->name);
    free(s);
}
