/*
 * libwebsockets closes the socket, and frees TLS with it. So the descriptor that is watched here is
 * another one of the same socket: an event loop takes each but once.
 */
#include "relay/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

bool wire_open(struct wire *w, struct lws *wsi)
{
    *w = (struct wire){ .fd = fcntl(lws_get_socket_fd(wsi), F_DUPFD_CLOEXEC, 0),
                        .ssl = lws_is_ssl(wsi) ? lws_get_ssl(wsi) : NULL };
    if (w->ssl)
        SSL_set_mode(w->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return w->fd >= 0;
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

/* What a call of OpenSSL's that took nothing means. */
static ssize_t tls_result(const struct wire *w, int result, bool *wants_other, int other)
{
    int error = SSL_get_error(w->ssl, result);
    *wants_other = error == other;
    if (error == SSL_ERROR_ZERO_RETURN)
        return 0;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? WIRE_LATER : WIRE_BROKEN;
}

/* Records are 16 KiB at most: several of them. */
static ssize_t tls_read(struct wire *w, unsigned char *out, size_t room)
{
    size_t got = 0;
    w->read_wants_write = w->ended = false;
    while (got < room) {
        ERR_clear_error();
        int n = SSL_read(w->ssl, out + got, (int)(room - got < INT_MAX ? room - got : INT_MAX));
        if (n <= 0) {
            ssize_t result = tls_result(w, n, &w->read_wants_write, SSL_ERROR_WANT_WRITE);
            w->ended = result != WIRE_LATER;
            return got ? (ssize_t)got : result;
        }
        got += (size_t)n;
    }
    return (ssize_t)got;
}

static ssize_t tls_write(struct wire *w, const struct iovec *pieces, size_t n)
{
    size_t sent = 0;
    w->write_wants_read = false;
    for (size_t i = 0; i < n; i++) {
        const unsigned char *p = pieces[i].iov_base;
        for (size_t left = pieces[i].iov_len; left;) {
            ERR_clear_error();
            int wrote = SSL_write(w->ssl, p, (int)(left < INT_MAX ? left : INT_MAX));
            if (wrote <= 0) {
                ssize_t result = tls_result(w, wrote, &w->write_wants_read, SSL_ERROR_WANT_READ);
                return sent ? (ssize_t)sent : result == WIRE_LATER ? WIRE_LATER : WIRE_BROKEN;
            }
            p += wrote;
            left -= (size_t)wrote;
            sent += (size_t)wrote;
        }
    }
    return (ssize_t)sent;
}

static ssize_t result(ssize_t n)
{
    if (n >= 0)
        return n;
    return errno == EAGAIN || errno == EINTR ? WIRE_LATER : WIRE_BROKEN;
}

ssize_t wire_read(struct wire *w, void *out, size_t room)
{
    return w->ssl ? tls_read(w, out, room) : result(recv(w->fd, out, room, 0));
}

bool wire_has_more(const struct wire *w)
{
    return w->ssl && (w->ended || SSL_pending(w->ssl) > 0);
}

ssize_t wire_write(struct wire *w, const struct iovec *pieces, size_t n, bool more)
{
    int flags = MSG_NOSIGNAL | (more ? MSG_MORE : 0);
    struct msghdr m = { .msg_iov = (struct iovec *)pieces, .msg_iovlen = n };
    return w->ssl ? tls_write(w, pieces, n) : result(sendmsg(w->fd, &m, flags));
}

void wire_shutdown(struct wire *w)
{
    if (w->ssl)
        SSL_shutdown(w->ssl);
    else
        shutdown(w->fd, SHUT_WR);
}
