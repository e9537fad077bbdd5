/*
 * TCP sockets. Writes go to the system at once; what it doesn't take waits in `out`, whose size the
 * owner bounds by the credit it gives. Urgent data is one byte at a place in `out`: only the last
 * counts, as in TCP itself (RFC 9293 3.8.5).
 *
 * What a client sent in one go, in several messages, goes out in one: between tcp_gather_begin()
 * and tcp_gather_end() pieces of it are only noted, those of one socket at a time. All else that is
 * done with that socket meanwhile lets them wait in `out`, before it.
 *
 * Reading: as soon as much comes at once, the owner may let the system move it into a pipe. A pipe
 * can't pass urgent data, and its end would look like the stream's; so whenever nothing comes, the
 * next is a plain read, which tells what there is.
 *
 * tcp_free() without a reset leaves a socket with unsent bytes to itself: it has no owner any more,
 * and ends when they are sent, on an error, or after LINGER_MS.
 */
#include "relay/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/address.h"
#include "relay/buffer.h"
#include "relay/loop.h"
#include "relay/pipe.h"

enum {
    LINGER_MS = 10000,
    BULK = 32 << 10, /* bytes at once from which on a pipe pays */
};

struct tcp {
    struct relay *relay;
    const struct tcp_ops *ops; /* NULL: no owner */
    void *owner;
    int fd;
    struct watch *watch;
    struct timer *timer; /* connecting, or lingering */
    struct buffer out;
    size_t urgent; /* the byte at out.data[at + urgent - 1] is urgent; 0: none */
    bool connecting, reading, shut, shut_done;
    bool urgent_over; /* there is nothing to expect from UV_PRIORITIZED but noise */
    bool write_turn;  /* whose turn it is if both are due */
    bool is_tcp;      /* smbd's are sockets of another kind */
    bool bulk;        /* the last read gave BULK or more */
};

static void ready(void *owner, int events);

static void watch_again(struct tcp *t)
{
    bool write = t->connecting || buffer_len(&t->out);
    watch_set(
        t->watch,
        (t->reading && !t->connecting ? UV_READABLE : 0) |
            (t->ops && t->ops->urgent && !t->connecting && !t->urgent_over ? UV_PRIORITIZED : 0) |
            (write ? UV_WRITABLE : 0));
}

static void release(struct tcp *t)
{
    watch_free(t->watch);
    timer_free(t->timer);
    if (t->fd >= 0)
        close(t->fd);
    buffer_free(&t->out);
    free(t);
}

static void fail(struct tcp *t, int error)
{
    if (t->ops) {
        watch_set(t->watch, 0);
        t->ops->failed(t->owner, error);
    } else {
        release(t);
    }
}

static void timeout(void *owner)
{
    struct tcp *t = owner;
    if (!t->ops)
        release(t);
    else if (t->connecting)
        t->ops->connected(t->owner, ETIMEDOUT);
}

static struct tcp *tcp_new(struct relay *relay, int fd, const struct tcp_ops *ops, void *owner)
{
    struct tcp *t = calloc(1, sizeof *t);
    int on = 1;
    if (!t)
        return NULL;
    t->relay = relay;
    t->ops = ops;
    t->owner = owner;
    t->fd = fd;
    t->watch = watch_new(&relay->loop, fd, ready, t);
    if (!t->watch) {
        free(t);
        return NULL;
    }
    t->is_tcp = !setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return t;
}

struct tcp *tcp_connect(struct relay *relay, const struct relay_address *dial,
                        const struct tcp_ops *ops, void *owner, int *error)
{
    struct sockaddr_storage sa;
    socklen_t len = address_to_system(dial, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        *error = errno;
        return NULL;
    }
    address_tune(fd, dial);
    if (connect(fd, (struct sockaddr *)&sa, len) && errno != EINPROGRESS) {
        *error = errno;
        close(fd);
        return NULL;
    }
    struct tcp *t = tcp_new(relay, fd, ops, owner);
    if (!t || !(t->timer = timer_new(&relay->loop, timeout, t))) {
        *error = ENOMEM;
        if (t)
            release(t);
        else
            close(fd);
        return NULL;
    }
    t->connecting = true;
    timer_start(t->timer, relay->config->connect_timeout_s * 1000, 0);
    watch_again(t);
    return t;
}

struct tcp *tcp_adopt(struct relay *relay, int fd, const struct tcp_ops *ops, void *owner)
{
    struct tcp *t = tcp_new(relay, fd, ops, owner);
    if (!t)
        close(fd);
    else
        watch_again(t);
    return t;
}

static int socket_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
        return errno;
    return error;
}

static void finish_connecting(struct tcp *t)
{
    int error = socket_error(t->fd);
    t->connecting = false;
    timer_free(t->timer);
    t->timer = NULL;
    if (!error)
        t->relay->metrics.tcp_connections_total++;
    watch_again(t);
    t->ops->connected(t->owner, error);
}

/* Sends from the front of `out`; 0 or an errno. *@sent: bytes. */
static int flush(struct tcp *t, size_t *sent)
{
    *sent = 0;
    while (buffer_len(&t->out)) {
        size_t len = t->urgent > 1 ? t->urgent - 1 : buffer_len(&t->out);
        bool urgent = t->urgent == 1;
        ssize_t n = send(t->fd, t->out.data + t->out.at, urgent ? 1 : len,
                         MSG_NOSIGNAL | (urgent ? MSG_OOB : 0));
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : errno;
        *sent += (size_t)n;
        if (t->urgent)
            t->urgent -= (size_t)n;
        buffer_take(&t->out, (size_t)n);
    }
    if (t->shut && !t->shut_done) {
        t->shut_done = true;
        shutdown(t->fd, SHUT_WR);
    }
    return 0;
}

static void write_more(struct tcp *t)
{
    size_t sent;
    int error = flush(t, &sent);
    if (error) {
        fail(t, error);
        return;
    }
    if (!t->ops && !buffer_len(&t->out)) {
        release(t);
        return;
    }
    watch_again(t);
    if (t->ops && sent)
        t->ops->written(t->owner, sent);
}

/* Urgent data, or the end of the connection, which comes as every event that is asked for. False:
 * this is over. */
static bool urgent_ready(struct tcp *t)
{
    uint8_t byte;
    if (recv(t->fd, &byte, 1, MSG_OOB) == 1) {
        t->ops->urgent(t->owner, byte);
        return true;
    }
    int error = socket_error(t->fd);
    if (error) {
        fail(t, error);
        return false;
    }
    t->urgent_over = true;
    watch_again(t);
    return true;
}

static void ready(void *owner, int events)
{
    struct tcp *t = owner;
    if (t->connecting) {
        finish_connecting(t);
        return;
    }
    if ((events & UV_PRIORITIZED) && t->ops && t->ops->urgent && !urgent_ready(t))
        return;
    /* One of both a turn, since the owner may free this in any callback. The other stays due. */
    bool read = (events & UV_READABLE) && t->ops && t->reading, write = events & UV_WRITABLE;
    if (read && write)
        t->write_turn = !t->write_turn;
    if (read && !(write && t->write_turn))
        t->ops->readable(t->owner);
    else if (write)
        write_more(t);
}

void tcp_want_read(struct tcp *t, bool on)
{
    t->reading = on;
    watch_again(t);
}

ssize_t tcp_read(struct tcp *t, void *out, size_t room)
{
    ssize_t n = recv(t->fd, out, room, 0);
    t->bulk = n >= BULK && t->is_tcp;
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? -1 : -(ssize_t)errno - 1;
}

bool tcp_in_bulk(const struct tcp *t)
{
    return t->bulk;
}

ssize_t tcp_splice(struct tcp *t, struct pipe *pipe, size_t room)
{
    ssize_t n = pipe_fill(pipe, t->fd, room);
    t->bulk = n >= BULK;
    if (n > 0)
        return n;
    /* The socket tells an error once. */
    return n == PIPE_BROKEN && (errno == ECONNRESET || errno == ETIMEDOUT ||
                                errno == EHOSTUNREACH || errno == ENETUNREACH || errno == EPIPE)
               ? -(ssize_t)errno - 1
               : -1;
}

static void keep(struct tcp *t, const void *data, size_t len)
{
    if (!buffer_add(&t->out, data, len))
        shutdown(t->fd, SHUT_RDWR); /* no memory: both sides see the end */
    watch_again(t);
}

static void write_pieces(struct tcp *t, struct iovec *pieces, size_t n_pieces)
{
    struct msghdr m = { .msg_iov = pieces, .msg_iovlen = n_pieces };
    ssize_t n = 0;
    if (!buffer_len(&t->out) && !t->connecting) {
        n = sendmsg(t->fd, &m, MSG_NOSIGNAL);
        if (n < 0)
            n = 0; /* an error comes again from the loop */
    }
    size_t skip = (size_t)n;
    for (size_t i = 0; i < n_pieces; i++) {
        size_t len = pieces[i].iov_len, sent = skip < len ? skip : len;
        skip -= sent;
        if (sent < len)
            keep(t, (const uint8_t *)pieces[i].iov_base + sent, len - sent);
    }
    if (n > 0 && t->ops)
        t->ops->written(t->owner, (size_t)n);
}

static void write_gathered(struct tcp_gather *g)
{
    struct tcp *t = g->tcp;
    size_t n = g->n;
    if (!t)
        return;
    g->tcp = NULL;
    g->n = 0;
    write_pieces(t, g->pieces, n);
}

/* Something else is to be done with @t: what was gathered waits in `out`. */
static void keep_gathered(struct tcp *t)
{
    struct tcp_gather *g = t->relay->gather;
    if (g->tcp != t)
        return;
    g->tcp = NULL;
    for (size_t i = 0; i < g->n; i++)
        keep(t, g->pieces[i].iov_base, g->pieces[i].iov_len);
    g->n = 0;
}

void tcp_gather_begin(struct relay *relay, const uint8_t *data, size_t len)
{
    relay->gather->from = data;
    relay->gather->to = data + len;
}

void tcp_gather_end(struct relay *relay)
{
    write_gathered(relay->gather);
    relay->gather->from = relay->gather->to = NULL;
}

void tcp_write(struct tcp *t, const void *data, size_t len)
{
    struct tcp_gather *g = t->relay->gather;
    const uint8_t *p = data;
    bool lasts = g->from && p >= g->from && p < g->to;
    if (g->tcp != t || !lasts || g->n == TCP_GATHER_MOST)
        write_gathered(g);
    struct iovec piece = { .iov_base = (void *)data, .iov_len = len };
    if (lasts && !buffer_len(&t->out) && !t->connecting) {
        g->tcp = t;
        g->pieces[g->n++] = piece;
    } else {
        write_pieces(t, &piece, 1);
    }
}

void tcp_write_urgent(struct tcp *t, uint8_t byte)
{
    keep_gathered(t);
    keep(t, &byte, 1);
    t->urgent = buffer_len(&t->out);
}

void tcp_shutdown(struct tcp *t)
{
    keep_gathered(t);
    t->shut = true;
    if (!buffer_len(&t->out) && !t->connecting && !t->shut_done) {
        t->shut_done = true;
        shutdown(t->fd, SHUT_WR);
    }
}

bool tcp_all_written(const struct tcp *t)
{
    return !buffer_len(&t->out) && t->relay->gather->tcp != t;
}

void tcp_local_address(const struct tcp *t, struct relay_address *a)
{
    address_of_socket(a, t->fd);
}

void tcp_free(struct tcp *t, bool reset)
{
    t->ops = NULL;
    t->reading = false;
    if (t->relay->gather->tcp == t)
        write_gathered(t->relay->gather);
    if (!reset && !t->connecting && buffer_len(&t->out)) {
        t->shut = true;
        if (!t->timer)
            t->timer = timer_new(&t->relay->loop, timeout, t);
        if (t->timer) {
            timer_start(t->timer, LINGER_MS, 0);
            watch_again(t);
            return;
        }
    }
    if (reset)
        setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &(struct linger){ .l_onoff = 1 },
                   sizeof(struct linger));
    release(t);
}
