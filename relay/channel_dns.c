/*
 * dns channels: questions to the resolver, answers in any order. Questions under way are in a list;
 * a client can have so many at a time, the next ones get EIO at once (a guest asks again).
 */
#include <errno.h>
#include <stdlib.h>

#include "relay/channel.h"
#include "relay/resolver.h"

enum { WINDOW = RELAY_WINDOW_MIN, UNDER_WAY_MAX = 256 };

struct channel_dns;

struct question {
    struct channel_dns *channel;
    struct question *next;
    struct query *query;
    uint32_t id;
};

struct channel_dns {
    struct channel ch;
    struct question *questions;
    unsigned under_way;
};

static void send_answer(struct channel_dns *c, uint32_t id, int error, const uint8_t *answer,
                        size_t len)
{
    struct relay_message m = { .type = RELAY_ANSWER, .channel = c->ch.number };
    m.query.id = id;
    m.query.error = wire_errno(error);
    m.query.dns = (struct relay_bytes){ answer, len };
    /* Without credit for it the guest asks again, as after a lost datagram. */
    if (c->ch.state == CHANNEL_OPEN && c->ch.session->connection &&
        relay_credit_spend(&c->ch.credit, relay_cost(&m)))
        session_send(c->ch.session, &m);
}

static void answered(void *owner, int error, const uint8_t *answer, size_t len)
{
    struct question *q = owner;
    struct question **link = &q->channel->questions;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    q->channel->under_way--;
    send_answer(q->channel, q->id, error, answer, len);
    free(q);
}

static bool dns_message(struct channel *ch, const struct relay_message *m)
{
    struct channel_dns *c = (struct channel_dns *)ch;
    struct question *q;
    if (m->type != RELAY_QUERY)
        return false;
    q = c->under_way < UNDER_WAY_MAX ? calloc(1, sizeof *q) : NULL;
    if (!q) {
        send_answer(c, m->query.id, EIO, NULL, 0);
    } else {
        q->channel = c;
        q->id = m->query.id;
        q->next = c->questions;
        c->questions = q;
        c->under_way++;
        struct session *s = ch->session;
        struct query *query = query_send(s->relay->resolver, s->connection->peer_key,
                                         m->query.dns.data, m->query.dns.len, answered, q);
        if (query)
            q->query = query; /* else it has been answered, and freed */
    }
    channel_done(ch, relay_cost(m));
    return true;
}

static int dns_open(struct channel *ch, const struct relay_open *open, struct relay_address *local)
{
    return ch->session->policy->dns ? 0 : ch->session->expires ? EPERM : EACCES;
}

static void dns_stop(struct channel *ch, int error)
{
    struct channel_dns *c = (struct channel_dns *)ch;
    while (c->questions) {
        struct question *q = c->questions;
        c->questions = q->next;
        query_cancel(q->query);
        free(q);
    }
}

const struct channel_ops channel_dns = {
    .size = sizeof(struct channel_dns),
    .window = WINDOW,
    .open = dns_open,
    .message = dns_message,
    .stop = dns_stop,
};
