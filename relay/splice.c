/*
 * Towards the client a WebSocket's bytes aren't masked (RFC 6455 5.1), so without TLS they are the
 * server's own with a header in front here and there. splice(2) moves them as pages, from the
 * server's socket into a pipe and from there into the client's socket; only headers are written:
 *
 *   server's socket --splice--> pipe --splice--> client's socket
 *                                  headers --send--^
 *
 * There is one pipe for all, and it is empty whenever splice_stream() returns: what the client's
 * socket doesn't take after all is read out of it and goes the ordinary way. So nothing waits here,
 * and libwebsockets, which writes to the same socket, always finds it between two messages, or with
 * the rest of one in its own keeping. That this is rare is owed to a look at how much the socket
 * takes (SO_MEMINFO) before anything is read from the server.
 *
 * It pays for much at once only. Who has read a piece of SPLICE_MIN or more asks here the next
 * time, and no more when less came.
 */
#define _GNU_SOURCE /* splice, pipe2 */
#include "relay/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "relay/tcp.h"

enum {
    PIPE_SIZE = 1 << 20, /* bytes; what a user may have (fs.pipe-max-size) */
    WS_HEADER_MAX = 10,
};

struct splicer {
    int in, out; /* of the pipe */
};

static struct splicer *splicer_of(struct relay *relay)
{
    int fds[2];
    if (relay->splicer)
        return relay->splicer;
    struct splicer *s = malloc(sizeof *s);
    if (!s || pipe2(fds, O_NONBLOCK | O_CLOEXEC)) {
        free(s);
        return NULL;
    }
    fcntl(fds[1], F_SETPIPE_SZ, PIPE_SIZE); /* if not, it is a smaller one */
    *s = (struct splicer){ .in = fds[1], .out = fds[0] };
    return relay->splicer = s;
}

void splicer_free(struct splicer *s)
{
    if (!s)
        return;
    close(s->in);
    close(s->out);
    free(s);
}

/* How much does the client's socket take at once? SPLICE_COPY: little. */
static enum splice_result room_of(struct connection *c, size_t *room)
{
    uint32_t mem[SK_MEMINFO_VARS] = { 0 };
    socklen_t len = sizeof mem;
    if (c->closing || c->peer_closes || c->held || c->queued || lws_is_ssl(c->wsi))
        return SPLICE_COPY;
    if (lws_partial_buffered(c->wsi))
        return SPLICE_WAIT;
    if (getsockopt(lws_get_socket_fd(c->wsi), SOL_SOCKET, SO_MEMINFO, mem, &len))
        return SPLICE_COPY;
    uint32_t size = mem[SK_MEMINFO_SNDBUF], used = mem[SK_MEMINFO_WMEM_QUEUED];
    *room = size > used ? size - used : 0;
    if (*room < used / 2) /* the kernel's own measure of what is writable */
        return SPLICE_WAIT;
    return *room < SPLICE_MIN ? SPLICE_COPY : SPLICE_PASSED;
}

/* The header of an unfragmented binary message (RFC 6455 5.2) with @len bytes. Its length. */
static size_t put_ws_header(uint8_t *out, size_t len)
{
    size_t n = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    out[0] = 0x82;
    out[1] = (uint8_t)(n == 0 ? len : n == 2 ? 126 : 127);
    for (size_t i = 0; i < n; i++)
        out[2 + i] = (uint8_t)((uint64_t)len >> 8 * (n - 1 - i));
    return 2 + n;
}

/* A broken connection ends by libwebsockets, not inside of a call of ours. */
static void give_up(struct connection *c)
{
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
}

/* The rest of a message that has begun, @len bytes of headers and @rest in the pipe, to
 * libwebsockets, which sends it as it is and keeps what can't be sent now. */
static void finish_message(struct connection *c, const uint8_t *header, size_t len, size_t rest)
{
    int from = c->relay->splicer->out;
    uint8_t *block = malloc(LWS_PRE + len + rest);
    bool good = block != NULL;
    if (good) {
        memcpy(block + LWS_PRE, header, len);
        good = (!rest || read(from, block + LWS_PRE + len, rest) == (ssize_t)rest) &&
               lws_write(c->wsi, block + LWS_PRE, len + rest, LWS_WRITE_HTTP) >= 0;
    }
    free(block);
    if (!good)
        give_up(c);
}

/* One message with @len bytes of the pipe. False: it wasn't begun, since the socket took nothing.
 */
static bool send_message(struct connection *c, const struct splice_framing *f, size_t len,
                         bool more)
{
    uint8_t header[WS_HEADER_MAX + SPLICE_HEADER_MAX];
    int from = c->relay->splicer->out, to = lws_get_socket_fd(c->wsi);
    size_t n = put_ws_header(header, f->header + len);
    f->put_header(header + n, f->number, len);
    n += f->header;
    ssize_t sent = send(to, header, n, MSG_MORE | MSG_NOSIGNAL);
    if (sent <= 0)
        return false;
    if ((size_t)sent < n) {
        finish_message(c, header + sent, n - (size_t)sent, len);
        return true;
    }
    while (len) {
        sent = splice(from, NULL, to, NULL, len, SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0));
        if (sent <= 0) {
            finish_message(c, header + n, 0, len);
            return true;
        }
        len -= (size_t)sent;
    }
    return true;
}

/* The same by the queue. */
static bool queue_message(struct connection *c, const struct splice_framing *f, size_t len)
{
    uint8_t *p = connection_reserve(c, f->header + len, false);
    if (!p || read(c->relay->splicer->out, p + f->header, len) != (ssize_t)len)
        return false;
    f->put_header(p, f->number, len);
    connection_commit(c, f->header + len);
    return true;
}

enum splice_result splice_stream(struct connection *c, struct tcp *from, size_t most,
                                 const struct splice_framing *f, size_t *bytes)
{
    size_t room;
    enum splice_result result = room_of(c, &room);
    if (result == SPLICE_WAIT)
        connection_want_room(c);
    if (result != SPLICE_PASSED)
        return result;
    struct splicer *s = splicer_of(c->relay);
    ssize_t n = s ? tcp_splice(from, s->in, most < room ? most : room) : 0;
    if (n <= 0)
        return SPLICE_COPY;
    *bytes = (size_t)n;
    connection_count_sent(c, *bytes);
    c->relay->metrics.spliced_bytes_total += *bytes;
    bool direct = true;
    for (size_t rest = *bytes, len; rest; rest -= len) {
        len = rest < f->most ? rest : f->most;
        direct = direct && !lws_partial_buffered(c->wsi) && send_message(c, f, len, rest > len);
        if (!direct && !queue_message(c, f, len)) {
            splicer_free(s);
            c->relay->splicer = NULL;
            give_up(c);
            break;
        }
    }
    return SPLICE_PASSED;
}
