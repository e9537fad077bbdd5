/*
 * tcp channels, and the children of listen channels.
 *
 *            OPEN          connected            EOF, or SHUT came
 *   (none) --------> dialling -----> open ------------------------> half-closed --> CLOSE when both
 * are
 *
 * Towards the client: the socket is read straight into the queue of the connection, as much as
 * credit and queue allow; otherwise it is left alone until channel's resume(), and TCP holds the
 * peer back. From the client: what the socket doesn't take waits in struct tcp, and its credit
 * isn't given back before it has gone.
 */
#include <errno.h>
#include <unistd.h>

#include "relay/channel.h"
#include "relay/channel_tcp.h"
#include "relay/outbound.h"
#include "relay/smb.h"
#include "relay/tcp.h"

enum {
    WINDOW = 2 << 20,
    READS_AT_ONCE = 4,
};

struct channel_tcp {
    struct channel ch;
    struct tcp *tcp;
    bool got_shut, sent_shut;
};

static void connected(void *owner, int error)
{
    struct channel_tcp *c = owner;
    struct relay_address local;
    if (error) {
        tcp_free(c->tcp, false);
        c->tcp = NULL;
        channel_opened(&c->ch, error, NULL);
        return;
    }
    tcp_local_address(c->tcp, &local);
    channel_opened(&c->ch, 0, &local);
    tcp_want_read(c->tcp, true);
}

static void close_if_both_shut(struct channel_tcp *c)
{
    if (c->got_shut && c->sent_shut && tcp_all_written(c->tcp))
        channel_close(&c->ch, 0);
}

/* Sends the client what the socket has; as tcp_read(). *@more: there may be more of it. */
static ssize_t pass(struct channel_tcp *c, bool *more)
{
    struct session *s = c->ch.session;
    size_t credit = c->ch.credit.send, room = CONNECTION_PIECE - RELAY_HEADER;
    ssize_t n;
    *more = false;
    if (tcp_in_bulk(c->tcp) && session_splice_stream(s, c->ch.number, c->tcp, credit, &n))
        return n; /* much at once: others want their turn */
    uint8_t *out = session_stream_piece(s);
    if (!out) {
        tcp_want_read(c->tcp, false);
        return -1;
    }
    if (credit < room)
        room = credit;
    n = tcp_read(c->tcp, out, room);
    if (n > 0)
        session_send_stream_piece(s, c->ch.number, (size_t)n);
    *more = n == (ssize_t)room;
    return n;
}

static void readable(void *owner)
{
    struct channel_tcp *c = owner;
    struct session *s = c->ch.session;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        if (channel_must_wait(&c->ch)) {
            tcp_want_read(c->tcp, false);
            return;
        }
        bool more;
        ssize_t n = pass(c, &more);
        if (n == -1)
            return;
        if (n < 0) {
            channel_close(&c->ch, (int)(-n - 1));
            return;
        }
        if (n == 0) {
            tcp_want_read(c->tcp, false);
            c->sent_shut = true;
            session_send(s, &(struct relay_message){ .type = RELAY_SHUT, .channel = c->ch.number });
            close_if_both_shut(c);
            return;
        }
        relay_credit_spend(&c->ch.credit, (uint32_t)n);
        if (!more)
            return;
    }
}

static void written(void *owner, size_t bytes)
{
    struct channel_tcp *c = owner;
    channel_done(&c->ch, (uint32_t)bytes);
    close_if_both_shut(c);
}

static void urgent(void *owner, uint8_t byte)
{
    struct channel_tcp *c = owner;
    struct relay_message m = { .type = RELAY_URGENT, .channel = c->ch.number, .urgent = byte };
    if (c->ch.state == CHANNEL_OPEN && relay_credit_spend(&c->ch.credit, 1))
        session_send(c->ch.session, &m);
}

static void failed(void *owner, int error)
{
    struct channel_tcp *c = owner;
    channel_close(&c->ch, error);
}

static const struct tcp_ops tcp_ops = { connected, readable, written, urgent, failed };

/* ---- the channel's side ---- */

static int tcp_open(struct channel *ch, const struct relay_open *open, struct relay_address *local)
{
    struct channel_tcp *c = (struct channel_tcp *)ch;
    struct session *s = ch->session;
    struct relay_address dial;
    int error = outbound_check(s->relay, s->policy, s->expires != 0, &open->address, &dial);
    if (error)
        return error;
    c->tcp = tcp_connect(s->relay, &dial, &tcp_ops, c, &error);
    return c->tcp ? CHANNEL_LATER : error;
}

static bool tcp_message(struct channel *ch, const struct relay_message *m)
{
    struct channel_tcp *c = (struct channel_tcp *)ch;
    if (c->got_shut)
        return false;
    switch (m->type) {
    case RELAY_DATA: tcp_write(c->tcp, m->bytes.data, m->bytes.len); return true;
    case RELAY_URGENT: tcp_write_urgent(c->tcp, m->urgent); return true;
    case RELAY_SHUT:
        c->got_shut = true;
        tcp_shutdown(c->tcp);
        close_if_both_shut(c);
        return true;
    default: return false;
    }
}

static void tcp_resume(struct channel *ch)
{
    struct channel_tcp *c = (struct channel_tcp *)ch;
    if (c->tcp && !c->sent_shut)
        tcp_want_read(c->tcp, true);
}

static void tcp_stop(struct channel *ch, int error)
{
    struct channel_tcp *c = (struct channel_tcp *)ch;
    if (c->tcp)
        tcp_free(c->tcp, error != 0);
    c->tcp = NULL;
}

static void tcp_accepted(struct channel *ch)
{
    struct channel_tcp *c = (struct channel_tcp *)ch;
    tcp_want_read(c->tcp, true);
}

const struct channel_ops channel_tcp = {
    .size = sizeof(struct channel_tcp),
    .window = WINDOW,
    .open = tcp_open,
    .message = tcp_message,
    .resume = tcp_resume,
    .accepted = tcp_accepted,
    .stop = tcp_stop,
};

/* The other end is an smbd: smb.c. */
static int smb_open(struct channel *ch, const struct relay_open *open, struct relay_address *local)
{
    struct channel_tcp *c = (struct channel_tcp *)ch;
    struct session *s = ch->session;
    if (!s->policy->smb)
        return s->expires ? EPERM : EACCES;
    if (!s->relay->smb)
        return EOPNOTSUPP;
    int fd = smb_connect(s->relay->smb);
    if (fd < 0)
        return -fd;
    c->tcp = tcp_adopt(s->relay, fd, &tcp_ops, c);
    return c->tcp ? 0 : ENOMEM;
}

const struct channel_ops channel_smb = {
    .size = sizeof(struct channel_tcp),
    .window = WINDOW,
    .open = smb_open,
    .message = tcp_message,
    .resume = tcp_resume,
    .stop = tcp_stop,
};

bool channel_tcp_accept(struct channel *listener, int fd, const struct relay_address *peer,
                        const struct relay_address *local)
{
    struct channel_tcp *c =
        (struct channel_tcp *)channel_accept(listener, &channel_tcp, peer, local);
    if (!c) {
        close(fd);
        return false;
    }
    c->tcp = tcp_adopt(listener->session->relay, fd, &tcp_ops, c);
    if (!c->tcp)
        channel_close(&c->ch, ENOMEM);
    return c->tcp != NULL;
}
