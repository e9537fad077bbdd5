/*
 * Channels: states, credit, errors that are the same for all kinds.
 *
 *   OPEN -> OPENING -> OPEN -> (CLOSE out) CLOSING -> (CLOSE in) free
 *                        '---- (CLOSE in, ours out) ----------> free
 *   ACCEPT -> ACCEPTING -> OPEN
 *   connection breaks: OPEN -> PARKED (ether, udp, icmp, listen) or free
 *
 * What a kind does is in its channel_ops. When a channel is CLOSING, its kind has let go of
 * everything already; only the number isn't free yet.
 */
#include "relay/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "relay/log.h"

uint16_t wire_errno(int error)
{
    switch (error) {
    case 0: return 0;
    case EPERM: return RELAY_EPERM;
    case EACCES: return RELAY_EACCES;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return RELAY_EMFILE;
    case EMSGSIZE: return RELAY_EMSGSIZE;
    case EOPNOTSUPP:
    case EAFNOSUPPORT:
    case EPROTONOSUPPORT: return RELAY_EOPNOTSUPP;
    case EADDRINUSE: return RELAY_EADDRINUSE;
    case EADDRNOTAVAIL: return RELAY_EADDRNOTAVAIL;
    case ENETUNREACH:
    case ENETDOWN: return RELAY_ENETUNREACH;
    case ECONNABORTED: return RELAY_ECONNABORTED;
    case EPIPE:
    case ECONNRESET: return RELAY_ECONNRESET;
    case ETIMEDOUT: return RELAY_ETIMEDOUT;
    case ECONNREFUSED: return RELAY_ECONNREFUSED;
    case EHOSTDOWN:
    case EHOSTUNREACH: return RELAY_EHOSTUNREACH;
    default: return RELAY_EIO;
    }
}

static const struct channel_ops *const kinds[] = {
    [RELAY_ETHER] = &channel_ether, [RELAY_TCP] = &channel_tcp,       [RELAY_UDP] = &channel_udp,
    [RELAY_ICMP] = &channel_icmp,   [RELAY_LISTEN] = &channel_listen, [RELAY_DNS] = &channel_dns,
    [RELAY_SMB] = &channel_smb,
};

static struct channel *channel_new(struct session *s, const struct channel_ops *ops, unsigned kind,
                                   uint32_t number)
{
    struct channel *ch = calloc(1, ops->size);
    if (!ch)
        return NULL;
    ch->session = s;
    ch->ops = ops;
    ch->kind = (uint8_t)kind;
    ch->number = number;
    if (!table_put(&s->channels, number, ch)) {
        free(ch);
        return NULL;
    }
    s->open++;
    s->relay->metrics.channels++;
    s->relay->metrics.channels_total++;
    return ch;
}

static void unpause(struct channel *ch)
{
    struct channel **link = &ch->session->paused;
    if (!ch->paused)
        return;
    while (*link != ch)
        link = &(*link)->next_paused;
    *link = ch->next_paused;
    ch->paused = false;
}

/* There is nothing behind it any more. */
static void stopped(struct channel *ch)
{
    unpause(ch);
    session_unreserve(ch->session, ch->reserved);
    ch->reserved = 0;
    ch->session->open--;
    ch->session->relay->metrics.channels--;
}

static void channel_free(struct channel *ch)
{
    table_remove(&ch->session->channels, ch->number);
    free(ch);
}

/* ---- opening ---- */

/* Takes memory for what the client may send before it is passed on, or a room's queue. Datagrams
 * and questions are dealt with at once. */
static bool take_window(struct channel *ch, uint32_t *window)
{
    uint32_t want = ch->ops->window;
    bool stream = ch->kind == RELAY_TCP || ch->kind == RELAY_SMB;
    uint32_t least = stream ? 16 << 10 : want;
    *window = want;
    if (!stream && ch->kind != RELAY_ETHER)
        return true;
    *window = ch->reserved = session_reserve(ch->session, least, want);
    return *window != 0;
}

static void answer_open(struct session *s, uint32_t number, int error, uint32_t window,
                        const struct relay_address *local)
{
    struct relay_message m = { .type = RELAY_OPENED, .channel = number };
    m.opened.error = wire_errno(error);
    m.opened.window = window;
    if (local && !error)
        m.opened.local = *local;
    s->relay->metrics.channels_refused_total +=
        error == EACCES || error == EPERM || error == EMFILE;
    session_send(s, &m);
}

void channel_opened(struct channel *ch, int error, const struct relay_address *local)
{
    struct session *s = ch->session;
    answer_open(s, ch->number, error, ch->credit.window, local);
    if (error) {
        stopped(ch);
        channel_free(ch);
    } else {
        ch->state = CHANNEL_OPEN;
    }
}

static void open_new(struct session *s, const struct relay_message *m)
{
    const struct channel_ops *ops = kinds[m->open.kind];
    struct relay_address local = { 0 };
    struct channel *ch = NULL;
    uint32_t window = 0;
    int error = EMFILE;
    if (s->open < s->policy->max_channels)
        ch = channel_new(s, ops, m->open.kind, m->channel);
    if (ch && take_window(ch, &window)) {
        relay_credit_init(&ch->credit, window, m->open.window);
        error = ops->open(ch, &m->open, &local);
        if (error == CHANNEL_LATER)
            return;
    }
    if (ch) {
        channel_opened(ch, error, &local);
        if (!error && ops->resume)
            ops->resume(ch);
    } else {
        answer_open(s, m->channel, error, 0, NULL);
    }
}

static void reopen(struct channel *ch, const struct relay_message *m)
{
    struct relay_address local = { 0 };
    if (m->open.kind != ch->kind || !ch->ops->unpark(ch, &m->open, &local)) {
        struct session *s = ch->session;
        ch->ops->stop(ch, 0);
        stopped(ch);
        channel_free(ch);
        open_new(s, m);
        return;
    }
    relay_credit_init(&ch->credit, ch->credit.window, m->open.window);
    channel_opened(ch, 0, &local);
    if (ch->ops->resume)
        ch->ops->resume(ch);
}

struct channel *channel_accept(struct channel *listener, const struct channel_ops *ops,
                               const struct relay_address *peer, const struct relay_address *local)
{
    struct session *s = listener->session;
    struct relay_message m = { .type = RELAY_ACCEPT };
    struct channel *ch;
    if (!s->connection || s->open >= s->policy->max_channels)
        return NULL;
    do {
        s->next_number = (s->next_number + 1) | RELAY_CHANNEL_SERVER;
    } while (table_get(&s->channels, s->next_number));
    ch = channel_new(s, ops, RELAY_TCP, s->next_number);
    if (!ch)
        return NULL;
    if (!take_window(ch, &m.accept.window)) {
        stopped(ch);
        channel_free(ch);
        return NULL;
    }
    ch->state = CHANNEL_ACCEPTING;
    m.channel = ch->number;
    m.accept.listener = listener->number;
    m.accept.peer = *peer;
    m.accept.local = *local;
    session_send(s, &m);
    return ch;
}

static void accepted(struct channel *ch, const struct relay_message *m)
{
    uint32_t window = ch->reserved;
    if (ch->state == CHANNEL_CLOSING) {
        if (m->accepted.error) /* it was refused while our CLOSE was on its way: that was all */
            channel_free(ch);
    } else if (ch->state != CHANNEL_ACCEPTING) {
        session_fail(ch->session, RELAY_UNEXPECTED, "ACCEPTED");
    } else if (m->accepted.error) {
        ch->ops->stop(ch, ECONNRESET);
        stopped(ch);
        channel_free(ch);
    } else {
        relay_credit_init(&ch->credit, window, m->accepted.window);
        ch->state = CHANNEL_OPEN;
        ch->ops->accepted(ch);
    }
}

/* ---- closing ---- */

void channel_close(struct channel *ch, int error)
{
    struct relay_message m = { .type = RELAY_CLOSE, .channel = ch->number };
    m.close = wire_errno(error);
    session_send(ch->session, &m);
    ch->state = CHANNEL_CLOSING;
    ch->ops->stop(ch, error);
    stopped(ch);
}

static void closed_by_client(struct channel *ch, int error)
{
    if (ch->state != CHANNEL_CLOSING) {
        struct relay_message m = { .type = RELAY_CLOSE, .channel = ch->number };
        session_send(ch->session, &m);
        ch->ops->stop(ch, error);
        stopped(ch);
    }
    channel_free(ch);
}

/* ---- messages ---- */

void channel_done(struct channel *ch, uint32_t bytes)
{
    struct relay_message m = { .type = RELAY_CREDIT, .channel = ch->number };
    if (ch->state != CHANNEL_OPEN)
        return;
    m.credit = relay_credit_done(&ch->credit, bytes);
    if (m.credit)
        session_send(ch->session, &m);
}

bool channel_must_wait(struct channel *ch)
{
    struct session *s = ch->session;
    if (ch->state != CHANNEL_OPEN || !ch->credit.send)
        return true; /* CREDIT resumes it */
    if (!s->connection)
        return true;
    if (!connection_is_full(s->connection))
        return false;
    if (!ch->paused) {
        ch->paused = true;
        ch->next_paused = s->paused;
        s->paused = ch;
    }
    return true;
}

void channels_resume(struct session *s)
{
    struct channel *list = s->paused;
    s->paused = NULL;
    for (struct channel *ch = list; ch; ch = ch->next_paused)
        ch->paused = false;
    while (list) {
        struct channel *ch = list;
        list = ch->next_paused;
        if (ch->state == CHANNEL_OPEN && ch->ops->resume)
            ch->ops->resume(ch);
    }
}

static void on_open_channel(struct channel *ch, const struct relay_message *m)
{
    struct session *s = ch->session;
    uint32_t cost = relay_cost(m);
    if (m->type == RELAY_CREDIT) {
        if (relay_credit_given(&ch->credit, m->credit))
            session_fail(s, RELAY_CREDIT_OVERFLOW, "CREDIT");
        else if (ch->ops->resume)
            ch->ops->resume(ch);
        return;
    }
    if (cost && relay_credit_received(&ch->credit, cost)) {
        session_fail(s, RELAY_CREDIT_EXCEEDED, relay_type_name(m->type));
        return;
    }
    if (!ch->ops->message || !ch->ops->message(ch, m))
        session_fail(s, RELAY_UNEXPECTED, relay_type_name(m->type));
}

void channel_message(struct session *s, const struct relay_message *m)
{
    struct channel *ch = table_get(&s->channels, m->channel);
    if (m->type == RELAY_OPEN) {
        if (ch && ch->state == CHANNEL_PARKED)
            reopen(ch, m);
        else if (ch)
            session_fail(s, RELAY_BAD_CHANNEL, "OPEN of a number in use");
        else
            open_new(s, m);
        return;
    }
    if (!ch || ch->state == CHANNEL_PARKED) {
        if (m->type == RELAY_CLOSE) /* while OPENED with an error was on its way */
            return;
        session_fail(s, RELAY_BAD_CHANNEL, relay_type_name(m->type));
        return;
    }
    if (m->type == RELAY_CLOSE) {
        closed_by_client(ch, m->close);
        return;
    }
    if (m->type == RELAY_ACCEPTED) {
        accepted(ch, m);
        return;
    }
    switch (ch->state) {
    case CHANNEL_OPEN: on_open_channel(ch, m); break;
    case CHANNEL_CLOSING: break; /* sent before our CLOSE was there */
    default: session_fail(s, RELAY_UNEXPECTED, relay_type_name(m->type));
    }
}

/* ---- sessions that wait ---- */

void channels_park(struct session *s, bool keep)
{
    for (size_t i = 0; i < s->channels.room;) {
        struct channel *ch = s->channels.slots[i].value;
        if (!ch || (keep && ch->state == CHANNEL_PARKED)) {
            i++;
            continue;
        }
        if (keep && ch->state == CHANNEL_OPEN && ch->ops->park && ch->ops->park(ch)) {
            unpause(ch);
            ch->state = CHANNEL_PARKED;
            i++;
            continue;
        }
        if (ch->state != CHANNEL_CLOSING) {
            ch->state = CHANNEL_CLOSING;
            ch->ops->stop(ch, ECONNRESET);
            stopped(ch);
        }
        channel_free(ch); /* another one may have come to its place */
    }
}

void channels_drop_parked(struct session *s)
{
    for (size_t i = 0; i < s->channels.room;) {
        struct channel *ch = s->channels.slots[i].value;
        if (!ch || ch->state != CHANNEL_PARKED) {
            i++;
            continue;
        }
        ch->ops->stop(ch, 0);
        stopped(ch);
        channel_free(ch);
    }
}
