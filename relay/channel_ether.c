/*
 * ether channels: a port of a room. Frames to the client go behind one another into one message,
 * for as long as that waits to be sent. Without credit, or when the connection's queue is full,
 * they wait in `queue`, which takes QUEUE bytes; what comes then is dropped.
 *
 * While the session waits, the port stays in its room with what was learned from it, and drops all.
 */
#include <errno.h>
#include <stddef.h>

#include "relay/channel.h"
#include "relay/room.h"

enum { WINDOW = 256 << 10, QUEUE = 256 << 10 };

struct channel_ether {
    struct channel ch;
    struct port port;
    struct buffer queue; /* lengths and frames, as on the wire */
};

static bool deliver(struct port *p, const uint8_t *frame, size_t len)
{
    struct channel_ether *c =
        (struct channel_ether *)((char *)p - offsetof(struct channel_ether, port));
    if (c->ch.state != CHANNEL_OPEN)
        return false;
    if (!buffer_len(&c->queue) && c->ch.credit.send >= 4 + len &&
        !connection_is_full(c->ch.session->connection)) {
        if (!session_send_frame(c->ch.session, c->ch.number, frame, len))
            return false;
        relay_credit_spend(&c->ch.credit, (uint32_t)(4 + len));
        return true;
    }
    uint8_t head[4] = { (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
                        (uint8_t)len };
    if (buffer_len(&c->queue) + 4 + len > QUEUE)
        return false;
    channel_must_wait(&c->ch); /* to be called */
    return buffer_add(&c->queue, head, 4) && buffer_add(&c->queue, frame, len);
}

static void ether_resume(struct channel *ch)
{
    struct channel_ether *c = (struct channel_ether *)ch;
    while (buffer_len(&c->queue) && !channel_must_wait(ch)) {
        struct relay_bytes rest = { c->queue.data + c->queue.at, buffer_len(&c->queue) }, frame;
        if (!relay_next_frame(&rest, &frame) || ch->credit.send < 4 + frame.len ||
            !session_send_frame(ch->session, ch->number, frame.data, frame.len))
            return;
        relay_credit_spend(&ch->credit, (uint32_t)(4 + frame.len));
        buffer_take(&c->queue, 4 + frame.len);
    }
}

static int ether_open(struct channel *ch, const struct relay_open *open,
                      struct relay_address *local)
{
    struct channel_ether *c = (struct channel_ether *)ch;
    struct session *s = ch->session;
    if (!policy_may_join(s->policy, open->room))
        return s->expires ? EPERM : EACCES;
    c->port.deliver = deliver;
    return room_join(s->relay, &c->port, open->room);
}

static bool ether_message(struct channel *ch, const struct relay_message *m)
{
    struct channel_ether *c = (struct channel_ether *)ch;
    struct relay_bytes rest = m->bytes, frame;
    unsigned n = 0;
    if (m->type != RELAY_FRAMES)
        return false;
    for (; relay_next_frame(&rest, &frame); n++)
        room_send(&c->port, frame.data, frame.len);
    if (ch->session->connection)
        connection_count_frames(ch->session->connection, n);
    channel_done(ch, (uint32_t)m->bytes.len);
    return true;
}

static bool ether_park(struct channel *ch)
{
    buffer_free(&((struct channel_ether *)ch)->queue);
    return true;
}

static bool ether_unpark(struct channel *ch, const struct relay_open *open,
                         struct relay_address *local)
{
    struct channel_ether *c = (struct channel_ether *)ch;
    return policy_may_join(ch->session->policy, open->room) && room_is(c->port.room, open->room);
}

static void ether_stop(struct channel *ch, int error)
{
    struct channel_ether *c = (struct channel_ether *)ch;
    room_leave(&c->port);
    buffer_free(&c->queue);
}

const struct channel_ops channel_ether = {
    .size = sizeof(struct channel_ether),
    .window = WINDOW,
    .open = ether_open,
    .message = ether_message,
    .resume = ether_resume,
    .park = ether_park,
    .unpark = ether_unpark,
    .stop = ether_stop,
};
