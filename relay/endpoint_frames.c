/*
 * Members of rooms that speak other protocols than ours:
 *
 *   /ether/ROOM   a WebSocket message is an Ethernet frame (v86, websockproxy)
 *   /qemu/ROOM    messages are pieces of a byte stream of frames, each with its length before it as
 * 4 big-endian bytes (QEMU's -netdev socket and stream, through websockify)
 *
 * Neither has flow control: when the connection's queue is full frames are dropped.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "relay/deframe.h"
#include "relay/guest.h"
#include "relay/room.h"

enum {
    UNACCEPTABLE = 1003, /* RFC 6455 7.4.1 */
    INVALID = 1007,
    POLICY_VIOLATION = 1008,
    TOO_BIG = 1009,
    TRY_LATER = 1013,
};

struct member {
    struct guest guest;
    struct port port;
    struct buffer in; /* an incomplete frame */
};

static struct member *member_of(struct port *p)
{
    return (struct member *)((char *)p - offsetof(struct member, port));
}

static void *join(struct connection *c, const char *name,
                  bool (*deliver)(struct port *, const uint8_t *, size_t))
{
    struct member *m = calloc(1, sizeof *m);
    struct relay_bytes room = { (const uint8_t *)name, strlen(name) };
    if (!m)
        return NULL;
    if (!guest_open(&m->guest, c)) {
        free(m);
        return NULL;
    }
    m->port.deliver = deliver;
    uint16_t code = 0;
    if (!room_name_valid(room) || !policy_may_join(m->guest.policy, room))
        code = POLICY_VIOLATION;
    else if (room_join(c->relay, &m->port, room))
        code = TRY_LATER;
    if (code) {
        connection_close(c, code);
        guest_close(&m->guest);
        free(m);
        return NULL;
    }
    return m;
}

static void closed(void *owner)
{
    struct member *m = owner;
    room_leave(&m->port);
    guest_close(&m->guest);
    buffer_free(&m->in);
    free(m);
}

static void writable(void *owner)
{
    /* What didn't fit was dropped. */
}

/* ---- a message a frame ---- */

static bool deliver_message(struct port *p, const uint8_t *frame, size_t len)
{
    struct connection *c = member_of(p)->guest.connection;
    uint8_t *out = connection_is_full(c) ? NULL : connection_reserve(c, len, false);
    if (!out)
        return false;
    memcpy(out, frame, len);
    connection_commit(c, len);
    return true;
}

static void *open_ether(struct connection *c, const char *rest, bool good_origin)
{
    return join(c, rest, deliver_message);
}

static void send_frame(struct member *m, const uint8_t *frame, size_t len)
{
    if (len >= RELAY_FRAME_MIN)
        room_send(&m->port, frame, len);
    connection_count_frames(m->guest.connection, 1);
}

static void receive_message(void *owner, const uint8_t *data, size_t len, bool binary, bool last)
{
    struct member *m = owner;
    if (!binary) /* websockproxy's clients send settings as text: there are none here */
        return;
    if (buffer_len(&m->in) + len > RELAY_FRAME_MAX) {
        connection_close(m->guest.connection, TOO_BIG);
        return;
    }
    if (last && !buffer_len(&m->in)) {
        send_frame(m, data, len);
        return;
    }
    buffer_add(&m->in, data, len);
    if (last) {
        send_frame(m, m->in.data + m->in.at, buffer_len(&m->in));
        buffer_free(&m->in);
    }
}

/* ---- QEMU's stream ---- */

static bool deliver_stream(struct port *p, const uint8_t *frame, size_t len)
{
    struct connection *c = member_of(p)->guest.connection;
    uint8_t *out = connection_is_full(c) ? NULL : connection_reserve(c, 4 + len, true);
    if (!out)
        return false;
    frame_header(out, len);
    memcpy(out + 4, frame, len);
    connection_commit(c, 4 + len);
    return true;
}

static void *open_qemu(struct connection *c, const char *rest, bool good_origin)
{
    return join(c, rest, deliver_stream);
}

static void frame_of_stream(void *owner, const uint8_t *frame, size_t len)
{
    send_frame(owner, frame, len);
}

static void receive_stream(void *owner, const uint8_t *data, size_t len, bool binary, bool last)
{
    struct member *m = owner;
    if (!binary)
        connection_close(m->guest.connection, UNACCEPTABLE);
    else if (!deframe(&m->in, data, len, frame_of_stream, m))
        connection_close(m->guest.connection, INVALID);
}

const struct endpoint ether_endpoint = {
    .path = "/ether/",
    .compatibility = true,
    .open = open_ether,
    .receive = receive_message,
    .writable = writable,
    .closed = closed,
};

const struct endpoint qemu_endpoint = {
    .path = "/qemu/",
    .compatibility = true,
    .open = open_qemu,
    .receive = receive_stream,
    .writable = writable,
    .closed = closed,
};
