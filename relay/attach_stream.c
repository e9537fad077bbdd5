/*
 * QEMU's `-netdev socket,listen=` and `connect=` in a room. Each connection is a port of its own.
 * The listening side takes any number of them, which QEMU itself doesn't; the connecting side tries
 * again after RETRY_MS when there is nobody, or the other end went.
 *
 * What a peer doesn't take waits in `out` up to QUEUE bytes, then frames for it are dropped.
 */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "relay/address.h"
#include "relay/attach.h"
#include "relay/deframe.h"
#include "relay/log.h"
#include "relay/loop.h"

enum { QUEUE = 256 << 10, RETRY_MS = 1000, READ = 64 << 10, LINKS_MAX = 256 };

struct stream;

struct link {
    struct link *next;
    struct stream *stream;
    struct port port;
    int fd;
    struct watch *watch;
    bool connecting;
    struct buffer in, out;
};

struct stream {
    struct attachment attachment;
    struct relay_address address;
    bool listens;
    int fd; /* listening */
    struct watch *watch;
    struct timer *retry; /* connecting */
    struct link *links;
    unsigned n_links;
};

static uint8_t data[READ]; /* used within link_read() only */

static void link_free(struct link *l)
{
    struct stream *s = l->stream;
    struct link **place = &s->links;
    while (*place != l)
        place = &(*place)->next;
    *place = l->next;
    s->n_links--;
    room_leave(&l->port);
    watch_free(l->watch);
    close(l->fd);
    buffer_free(&l->in);
    buffer_free(&l->out);
    free(l);
    if (s->retry)
        timer_start(s->retry, RETRY_MS, 0);
}

static void link_watch(struct link *l)
{
    bool write = l->connecting || buffer_len(&l->out);
    watch_set(l->watch, (l->connecting ? 0 : UV_READABLE) | (write ? UV_WRITABLE : 0));
}

static bool deliver(struct port *p, const uint8_t *frame, size_t len)
{
    struct link *l = (struct link *)((char *)p - offsetof(struct link, port));
    uint8_t head[4];
    ssize_t n = 0;
    frame_header(head, len);
    if (buffer_len(&l->out) + 4 + len > QUEUE)
        return false;
    if (!buffer_len(&l->out)) {
        struct iovec parts[] = { { head, 4 }, { (void *)frame, len } };
        n = sendmsg(l->fd, &(struct msghdr){ .msg_iov = parts, .msg_iovlen = 2 }, MSG_NOSIGNAL);
        if (n < 0)
            n = 0; /* an error is seen when it is read */
    }
    size_t sent = (size_t)n;
    if (sent < 4 && !buffer_add(&l->out, head + sent, 4 - sent))
        return false;
    size_t of_frame = sent > 4 ? sent - 4 : 0;
    if (of_frame < len && !buffer_add(&l->out, frame + of_frame, len - of_frame))
        shutdown(l->fd, SHUT_RDWR); /* half a frame is out */
    link_watch(l);
    return true;
}

static void frame_came(void *owner, const uint8_t *frame, size_t len)
{
    struct link *l = owner;
    room_send(&l->port, frame, len);
}

/* False: the link is over. */
static bool link_read(struct link *l)
{
    ssize_t n = recv(l->fd, data, sizeof data, 0);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    return n && deframe(&l->in, data, (size_t)n, frame_came, l);
}

static bool link_write(struct link *l)
{
    ssize_t n = send(l->fd, l->out.data + l->out.at, buffer_len(&l->out), MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    buffer_take(&l->out, (size_t)n);
    return true;
}

static bool link_up(struct link *l)
{
    struct stream *s = l->stream;
    int error = 0;
    socklen_t len = sizeof error;
    l->connecting = false;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error)
        return false;
    if (room_join(s->attachment.relay, &l->port, room_name(s->attachment.room)))
        return false;
    log_event(LOG_INFO, "linked", "room=%s peer=%s", s->attachment.room, address_text(&s->address));
    return true;
}

static void link_ready(void *owner, int events)
{
    struct link *l = owner;
    bool good = true;
    if (l->connecting)
        good = link_up(l);
    else if (events & UV_READABLE)
        good = link_read(l);
    if (good && !l->connecting && buffer_len(&l->out))
        good = link_write(l);
    if (good)
        link_watch(l);
    else
        link_free(l);
}

static void add_link(struct stream *s, int fd, bool connecting)
{
    struct link *l = calloc(1, sizeof *l);
    int on = 1;
    l->stream = s;
    l->fd = fd;
    l->connecting = connecting;
    l->port.deliver = deliver;
    l->next = s->links;
    s->links = l;
    s->n_links++;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    l->watch = watch_new(&s->attachment.relay->loop, fd, link_ready, l);
    if (!l->watch || (!connecting && !link_up(l)))
        link_free(l);
    else
        link_watch(l);
}

static void accept_link(void *owner, int events)
{
    struct stream *s = owner;
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (s->n_links < LINKS_MAX)
        add_link(s, fd, false);
    else
        close(fd);
}

static void connect_link(void *owner)
{
    struct stream *s = owner;
    struct sockaddr_storage sa;
    socklen_t len = address_to_system(&s->address, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (!connect(fd, (struct sockaddr *)&sa, len) || errno == EINPROGRESS)) {
        add_link(s, fd, true);
        return;
    }
    if (fd >= 0)
        close(fd);
    timer_start(s->retry, RETRY_MS, 0);
}

static void stream_close(struct attachment *a)
{
    struct stream *s = (struct stream *)a;
    while (s->links)
        link_free(s->links);
    watch_free(s->watch);
    timer_free(s->retry);
    if (s->fd >= 0)
        close(s->fd);
    free(a->room);
    free(s);
}

static bool start_listening(struct stream *s, struct error *err)
{
    struct sockaddr_storage sa;
    socklen_t len = address_to_system(&s->address, &sa);
    int on = 1;
    s->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd >= 0)
        setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&sa, len) || listen(s->fd, 16))
        return error_set(err, "%s: %s", address_text(&s->address), strerror(errno));
    address_of_socket(&s->address, s->fd);
    s->watch = watch_new(&s->attachment.relay->loop, s->fd, accept_link, s);
    if (!s->watch)
        return error_set(err, "can't be watched");
    watch_set(s->watch, UV_READABLE);
    return true;
}

struct attachment *attach_stream(struct relay *relay, const char *room,
                                 const struct attach_options *o, struct error *err)
{
    struct stream *s = calloc(1, sizeof *s);
    s->attachment =
        (struct attachment){ .relay = relay, .room = strdup(room), .close = stream_close };
    s->fd = -1;
    endpoint_parse(&s->address, o->listen ? o->listen : o->connect, NULL);
    if (o->listen) {
        if (!start_listening(s, err)) {
            stream_close(&s->attachment);
            return NULL;
        }
    } else {
        s->retry = timer_new(&relay->loop, connect_link, s);
        connect_link(s);
    }
    log_event(LOG_INFO, "attached", "room=%s %s=%s", room, o->listen ? "listen" : "connect",
              address_text(&s->address));
    return &s->attachment;
}
