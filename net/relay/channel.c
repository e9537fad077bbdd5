/*
 * The channels of a connection to a relay (docs/relay-protocol.md, "A channel", "Credit").
 *
 *   QUEUED --up--> OPENING --OPENED 0--> OPEN --CLOSE sent--> CLOSING --CLOSE came--> DEAD
 *      ^              |                    |                                            ^
 *      |              '-- OPENED with an error ------------- CLOSE came, answered ------'
 *      '-- connection lost; of tcp only those that weren't open yet, the others are DEAD
 *
 *   ACCEPTING (ACCEPT came) --ACCEPTED 0--> OPEN, or with an error: DEAD
 *
 * A handle lives until its owner has closed it and its number is free again. A channel that its
 * owner closes while it is OPENING is CLOSING, too: OPENED may still come, and if that is a refusal
 * the number is free with it.
 *
 * Numbers are given in turn, not the lowest free one, so that logs tell one channel from the next.
 *
 * Callbacks may open and close channels, also others than the one that they are for: a walk over
 * all of them keeps its place in client->cursor, which unlink_channel() moves on.
 */
#include <stdlib.h>
#include <string.h>

#include "net/relay/client_impl.h"

#define PART_MAX      65536 /* DATA that is put in at once */
#define ACCEPT_WINDOW (256 << 10)

/* ---- the table ---- */

static struct relay_channel **bucket_of(struct relay_client *c, uint32_t number)
{
    return &c->buckets[(number ^ number >> 31) % CHANNEL_BUCKETS];
}

static struct relay_channel *find(struct relay_client *c, uint32_t number)
{
    struct relay_channel *ch = *bucket_of(c, number);
    while (ch && ch->number != number)
        ch = ch->bucket;
    return ch;
}

static struct relay_channel *link_channel(struct relay_client *c, uint32_t number)
{
    struct relay_channel *ch = c->count < CHANNELS_MAX ? calloc(1, sizeof *ch) : NULL;
    if (!ch)
        return NULL;
    ch->client = c;
    ch->number = number;
    ch->owned = true;
    ch->bucket = *bucket_of(c, number);
    *bucket_of(c, number) = ch;
    ch->next = c->channels;
    ch->prev = &c->channels;
    if (ch->next)
        ch->next->prev = &ch->next;
    c->channels = ch;
    c->count++;
    return ch;
}

/* From here on its number is free. */
static void unlink_channel(struct relay_channel *ch)
{
    struct relay_client *c = ch->client;
    struct relay_channel **at = bucket_of(c, ch->number);
    while (*at != ch)
        at = &(*at)->bucket;
    *at = ch->bucket;
    if (c->cursor == ch)
        c->cursor = ch->next;
    *ch->prev = ch->next;
    if (ch->next)
        ch->next->prev = ch->prev;
    c->count--;
    ch->state = CHANNEL_DEAD;
    if (!ch->owned)
        free(ch);
}

#define FOR_ALL(c, ch)                                                                             \
    for (struct relay_channel *ch = ((c)->cursor = (c)->channels);                                 \
         ch && ((c)->cursor = ch->next, true); ch = (c)->cursor)

static bool is_stream(const struct relay_channel *ch)
{
    return ch->open.kind == RELAY_TCP || ch->open.kind == RELAY_SMB;
}

static void put(struct relay_channel *ch, struct relay_message m)
{
    m.channel = ch->number;
    client_put(ch->client, &m);
}

static void send_close(struct relay_channel *ch, uint16_t error)
{
    put(ch, (struct relay_message){ .type = RELAY_CLOSE, .close = error });
}

/* ---- opening and closing ---- */

static void send_open(struct relay_channel *ch)
{
    ch->state = CHANNEL_OPENING;
    put(ch, (struct relay_message){ .type = RELAY_OPEN, .open = ch->open });
}

struct relay_channel *relay_channel_open(struct relay_client *c, const struct relay_open *o,
                                         const struct relay_channel_ops *ops, void *opaque)
{
    if (c->state == RELAY_ENDED || o->room.len > RELAY_ROOM_MAX)
        return NULL;
    do
        c->next_number = c->next_number + 1 < RELAY_CHANNEL_SERVER ? c->next_number + 1 : 1;
    while (find(c, c->next_number));
    struct relay_channel *ch = link_channel(c, c->next_number);
    if (!ch)
        return NULL;
    ch->ops = ops;
    ch->opaque = opaque;
    ch->open = *o;
    if (o->room.len)
        memcpy(ch->room, o->room.data, o->room.len);
    ch->open.room.data = (const uint8_t *)ch->room;
    if (c->state == RELAY_UP)
        send_open(ch);
    return ch;
}

bool relay_channel_accept(struct relay_channel *ch, const struct relay_channel_ops *ops,
                          void *opaque)
{
    ch->ops = ops;
    ch->opaque = opaque;
    if (ch->state != CHANNEL_ACCEPTING)
        return false;
    ch->state = CHANNEL_OPEN;
    put(ch, (struct relay_message){ .type = RELAY_ACCEPTED,
                                    .accepted = { .window = ch->open.window } });
    return true;
}

void relay_channel_close(struct relay_channel *ch, uint16_t error)
{
    if (!ch)
        return;
    ch->owned = false;
    switch (ch->state) {
    case CHANNEL_QUEUED: unlink_channel(ch); break;
    case CHANNEL_ACCEPTING:
        put(ch, (struct relay_message){ .type = RELAY_ACCEPTED,
                                        .accepted.error = error ? error : RELAY_ECONNABORTED });
        unlink_channel(ch);
        break;
    case CHANNEL_OPEN:
        ch->state = CHANNEL_CLOSING;
        send_close(ch, error);
        break;
    case CHANNEL_OPENING:
        ch->state = CHANNEL_CLOSING;
        ch->unanswered = true;
        send_close(ch, error);
        break;
    case CHANNEL_CLOSING: break;
    case CHANNEL_DEAD: free(ch); break;
    }
}

bool relay_channel_is_open(const struct relay_channel *ch)
{
    return ch->state == CHANNEL_OPEN;
}

/* ---- sending ---- */

static bool may_send(const struct relay_channel *ch)
{
    return ch->state == CHANNEL_OPEN && !ch->shut_sent;
}

/* It has to wait: for credit or for the WebSocket. */
static bool refuse(struct relay_channel *ch)
{
    ch->blocked = true;
    ch->client->any_blocked = true;
    return false;
}

/* May the last message of what is to be sent grow by data of @ch? */
static bool tail_is(const struct relay_channel *ch, uint8_t type)
{
    const struct relay_client *c = ch->client;
    return c->tail_open && c->tail_channel == ch && c->out[c->tail] == type;
}

static void begin_tail(struct relay_channel *ch)
{
    struct relay_client *c = ch->client;
    c->tail = c->out_len;
    c->tail_channel = ch;
    c->tail_open = true;
}

/* Puts @len bytes of DATA, which fit, behind what is there. */
static void put_data(struct relay_channel *ch, const uint8_t *data, size_t len)
{
    struct relay_client *c = ch->client;
    if (!tail_is(ch, RELAY_DATA)) {
        struct relay_message m = { .type = RELAY_DATA,
                                   .channel = ch->number,
                                   .bytes = { data, len } };
        begin_tail(ch);
        c->out_len +=
            relay_build(c->out + c->out_len, RELAY_BATCH_MAX - c->out_len, RELAY_CLIENT, &m);
        return;
    }
    memcpy(c->out + c->out_len, data, len);
    c->out_len += len;
    size_t size = c->out_len - c->tail - RELAY_HEADER;
    for (int i = 0; i < 3; i++)
        c->out[c->tail + 1 + i] = (uint8_t)(size >> (16 - 8 * i));
}

size_t relay_send_data(struct relay_channel *ch, const void *data, size_t len)
{
    struct relay_client *c = ch->client;
    size_t taken = 0;
    if (!may_send(ch))
        return 0;
    while (taken < len) {
        size_t n = len - taken;
        if (n > PART_MAX)
            n = PART_MAX;
        if (n > ch->credit.send)
            n = ch->credit.send;
        if (!n || !client_room(c, RELAY_HEADER + n)) {
            refuse(ch);
            break;
        }
        if (c->tail_open && c->out_len - c->tail + n > RELAY_HEADER + RELAY_BODY_MAX)
            c->tail_open = false;
        relay_credit_spend(&ch->credit, (uint32_t)n);
        put_data(ch, (const uint8_t *)data + taken, n);
        taken += n;
    }
    if (taken)
        client_ask_flush(c);
    return taken;
}

bool relay_send_urgent(struct relay_channel *ch, uint8_t byte)
{
    if (!may_send(ch))
        return false;
    if (!ch->credit.send || !client_room(ch->client, RELAY_HEADER + 1))
        return refuse(ch);
    relay_credit_spend(&ch->credit, 1);
    put(ch, (struct relay_message){ .type = RELAY_URGENT, .urgent = byte });
    return true;
}

/* Both directions of a stream are over. */
static void close_if_shut(struct relay_channel *ch)
{
    if (ch->state != CHANNEL_OPEN || !ch->shut_sent || !ch->shut_received)
        return;
    ch->state = CHANNEL_CLOSING;
    send_close(ch, 0);
}

void relay_send_shut(struct relay_channel *ch)
{
    if (!may_send(ch))
        return;
    ch->shut_sent = true;
    put(ch, (struct relay_message){ .type = RELAY_SHUT });
    close_if_shut(ch);
}

/* A frame or datagram of @cost bytes, with its header. */
static bool send_packet(struct relay_channel *ch, enum relay_type type, size_t cost,
                        const struct relay_address *to, const void *data, size_t len)
{
    struct relay_client *c = ch->client;
    if (!may_send(ch))
        return false;
    if (cost > ch->credit.send || !client_room(c, RELAY_HEADER + cost))
        return refuse(ch);
    for (;;) {
        if (!tail_is(ch, (uint8_t)type)) {
            begin_tail(ch);
            relay_batch_begin(&c->growing, c->out + c->out_len, RELAY_BATCH_MAX - c->out_len, type,
                              ch->number);
        }
        if (to ? relay_batch_dgram(&c->growing, to, data, len)
               : relay_batch_frame(&c->growing, data, len))
            break;
        c->tail_open = false; /* the body is full: one more */
        if (!client_room(c, RELAY_HEADER + cost))
            return refuse(ch);
    }
    relay_credit_spend(&ch->credit, (uint32_t)cost);
    c->out_len = c->tail + relay_batch_end(&c->growing);
    client_ask_flush(c);
    return true;
}

bool relay_send_frame(struct relay_channel *ch, const void *data, size_t len)
{
    if (len < RELAY_FRAME_MIN || len > RELAY_FRAME_MAX)
        return true; /* no frame that the wire knows: it is gone */
    return send_packet(ch, RELAY_FRAMES, 4 + len, NULL, data, len);
}

bool relay_send_dgram(struct relay_channel *ch, const struct relay_address *to, const void *data,
                      size_t len)
{
    if (len > RELAY_DGRAM_MAX || (to->family != 4 && to->family != 6))
        return true;
    return send_packet(ch, RELAY_DGRAMS, 4 + RELAY_ADDRESS + len, to, data, len);
}

bool relay_send_query(struct relay_channel *ch, uint32_t id, const void *dns, size_t len)
{
    if (!may_send(ch))
        return false;
    if (4 + len > ch->credit.send || !client_room(ch->client, RELAY_HEADER + 4 + len))
        return refuse(ch);
    relay_credit_spend(&ch->credit, (uint32_t)(4 + len));
    put(ch,
        (struct relay_message){ .type = RELAY_QUERY, .query = { .id = id, .dns = { dns, len } } });
    return true;
}

bool relay_can_send(struct relay_channel *ch)
{
    if (!may_send(ch))
        return false;
    return (ch->credit.send && client_room(ch->client, RELAY_HEADER + PART_MAX)) || refuse(ch);
}

/* ---- credit ---- */

void relay_channel_done(struct relay_channel *ch, uint32_t n)
{
    if (ch->state != CHANNEL_OPEN)
        return;
    uint32_t give = relay_credit_done(&ch->credit, n);
    if (give)
        put(ch, (struct relay_message){ .type = RELAY_CREDIT, .credit = give });
}

void channels_writable(struct relay_client *c)
{
    if (!c->any_blocked)
        return;
    c->any_blocked = false;
    FOR_ALL(c, ch)
    {
        if (!ch->blocked)
            continue;
        if (ch->state == CHANNEL_OPEN && !ch->credit.send) {
            c->any_blocked = true;
            continue;
        }
        ch->blocked = false;
        if (ch->owned && ch->ops && ch->ops->writable)
            ch->ops->writable(ch->opaque);
    }
}

/* ---- receiving ---- */

/* The other end is done with @ch; its number is free. */
static void end(struct relay_channel *ch, uint16_t error)
{
    const struct relay_channel_ops *ops = ch->owned ? ch->ops : NULL;
    void *opaque = ch->opaque;
    unlink_channel(ch);
    if (ops && ops->closed)
        ops->closed(opaque, error);
}

static enum relay_error opened(struct relay_channel *ch, const struct relay_message *m)
{
    if (ch->state == CHANNEL_CLOSING && ch->unanswered) {
        ch->unanswered = false;
        if (m->opened.error)
            unlink_channel(ch); /* our CLOSE finds nothing there, and has no answer */
        return RELAY_OK;
    }
    if (ch->state != CHANNEL_OPENING)
        return RELAY_UNEXPECTED;
    if (m->opened.error) {
        const struct relay_channel_ops *ops = ch->ops;
        void *opaque = ch->opaque;
        unlink_channel(ch);
        ops->opened(opaque, m->opened.error, &m->opened.local);
        return RELAY_OK;
    }
    ch->state = CHANNEL_OPEN;
    ch->shut_sent = ch->shut_received = false;
    enum relay_error error = relay_credit_init(&ch->credit, ch->open.window, m->opened.window);
    if (error)
        return error;
    ch->ops->opened(ch->opaque, 0, &m->opened.local);
    return RELAY_OK;
}

static enum relay_error incoming(struct relay_client *c, const struct relay_message *m)
{
    struct relay_channel *listener = find(c, m->accept.listener);
    if (find(c, m->channel))
        return RELAY_BAD_CHANNEL;
    if (!listener || listener->open.kind != RELAY_LISTEN ||
        (listener->state != CHANNEL_OPEN && listener->state != CHANNEL_CLOSING))
        return RELAY_UNEXPECTED;
    struct relay_channel *ch = link_channel(c, m->channel);
    if (!ch) {
        client_put(c, &(struct relay_message){ .type = RELAY_ACCEPTED,
                                               .channel = m->channel,
                                               .accepted.error = RELAY_EMFILE });
        return RELAY_OK;
    }
    ch->state = CHANNEL_ACCEPTING;
    ch->open.kind = RELAY_TCP;
    ch->open.window = ACCEPT_WINDOW;
    enum relay_error error = relay_credit_init(&ch->credit, ACCEPT_WINDOW, m->accept.window);
    if (error)
        return error;
    if (listener->state == CHANNEL_OPEN && listener->owned && listener->ops->accept)
        listener->ops->accept(listener->opaque, ch, &m->accept.peer, &m->accept.local);
    else
        relay_channel_close(ch, RELAY_ECONNABORTED);
    return RELAY_OK;
}

/* Does a channel of that kind carry the message? */
static bool carries(const struct relay_channel *ch, uint8_t type)
{
    switch (type) {
    case RELAY_CREDIT: return ch->open.kind != RELAY_LISTEN;
    case RELAY_DATA:
    case RELAY_URGENT:
    case RELAY_SHUT: return is_stream(ch);
    case RELAY_FRAMES: return ch->open.kind == RELAY_ETHER;
    case RELAY_DGRAMS:
    case RELAY_UNREACH: return ch->open.kind == RELAY_UDP || ch->open.kind == RELAY_ICMP;
    case RELAY_ANSWER: return ch->open.kind == RELAY_DNS;
    default: return false;
    }
}

/* What a channel carries once it is open. */
static enum relay_error content(struct relay_channel *ch, const struct relay_message *m)
{
    bool of_stream = m->type == RELAY_DATA || m->type == RELAY_URGENT || m->type == RELAY_SHUT;
    if (!carries(ch, m->type) || (of_stream && ch->shut_received))
        return RELAY_UNEXPECTED;
    if (m->type == RELAY_CREDIT) {
        enum relay_error error = relay_credit_given(&ch->credit, m->credit);
        ch->client->any_blocked |= ch->blocked;
        return error;
    }
    enum relay_error error = relay_credit_received(&ch->credit, relay_cost(m));
    if (error)
        return error;
    ch->shut_received |= m->type == RELAY_SHUT;
    uint32_t number = ch->number;
    struct relay_client *c = ch->client;
    if (ch->ops->message)
        ch->ops->message(ch->opaque, m);
    if (m->type == RELAY_SHUT && find(c, number) == ch)
        close_if_shut(ch);
    return RELAY_OK;
}

enum relay_error channel_received(struct relay_client *c, const struct relay_message *m)
{
    if (m->type == RELAY_ACCEPT)
        return incoming(c, m);
    struct relay_channel *ch = find(c, m->channel);
    /* A CLOSE that crossed our refusal of an incoming connection. */
    if (!ch && m->type == RELAY_CLOSE && (m->channel & RELAY_CHANNEL_SERVER))
        return RELAY_OK;
    if (!ch || ch->state == CHANNEL_QUEUED)
        return RELAY_BAD_CHANNEL;
    if (m->type == RELAY_OPENED)
        return opened(ch, m);
    if (m->type == RELAY_CLOSE) {
        if (ch->state == CHANNEL_OPENING)
            return RELAY_UNEXPECTED;
        if (ch->state == CHANNEL_OPEN || ch->state == CHANNEL_ACCEPTING)
            send_close(ch, 0);
        end(ch, m->close);
        return RELAY_OK;
    }
    if (ch->state == CHANNEL_CLOSING)
        return carries(ch, m->type) ? RELAY_OK : RELAY_UNEXPECTED;
    return ch->state == CHANNEL_OPEN ? content(ch, m) : RELAY_UNEXPECTED;
}

/* ---- the connection comes and goes ---- */

void channels_up(struct relay_client *c)
{
    FOR_ALL(c, ch)
    if (ch->state == CHANNEL_QUEUED)
        send_open(ch);
}

void channels_lost(struct relay_client *c)
{
    FOR_ALL(c, ch)
    {
        bool was_open = ch->state == CHANNEL_OPEN;
        switch (ch->state) {
        case CHANNEL_OPENING:
        case CHANNEL_OPEN:
            if (was_open && is_stream(ch)) {
                end(ch, RELAY_ECONNRESET);
                break;
            }
            ch->state = CHANNEL_QUEUED;
            if (was_open && ch->ops->lost)
                ch->ops->lost(ch->opaque);
            break;
        case CHANNEL_ACCEPTING:
        case CHANNEL_CLOSING: end(ch, RELAY_ECONNRESET); break;
        default: break;
        }
    }
    /* Who was held back finds out that there is no connection. */
    FOR_ALL(c, ch)
    {
        bool was_blocked = ch->blocked;
        ch->blocked = false;
        if (was_blocked && ch->owned && ch->ops->writable)
            ch->ops->writable(ch->opaque);
    }
}

void channels_refused(struct relay_client *c, uint16_t error, bool ended)
{
    FOR_ALL(c, ch)
    {
        if (ch->state != CHANNEL_QUEUED || (!ended && !is_stream(ch)))
            continue;
        const struct relay_channel_ops *ops = ch->ops;
        void *opaque = ch->opaque;
        unlink_channel(ch);
        ops->opened(opaque, error, &(struct relay_address){ 0 });
    }
}
