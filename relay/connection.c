/*
 * WebSocket connections. Messages wait in a list, each in a block with room for libwebsockets'
 * header in front, and leave when the socket takes more; so what is added during a turn of the loop
 * goes out together. A block is one WebSocket message. Senders that can wait look at
 * connection_is_full() and are called when the queue is short again; those that can't are bounded
 * by CONNECTION_MOST, at which a client that doesn't read is cut off.
 *
 * A stream is read into the relay's one spare block, long, since how much will come isn't known. If
 * it fills a good part of it, the block goes into the queue as it is; if not, the bytes are copied.
 * So the queue's blocks have about the size of what is in them, and `queued` counts what else they
 * cost: a client that reads slowly can't have much kept for few bytes.
 *
 * Rates: each connection has an allowance of bytes, both directions, and of frames, that grows with
 * time up to a quarter of a second's worth (but room for one batch at least). Below zero the
 * connection is held: nothing is read and nothing is written until it is above again.
 */
#include "relay/connection.h"

#include <stdlib.h>
#include <string.h>

#include "relay/address.h"
#include "relay/log.h"
#include "relay/loop.h"

enum {
    BLOCK_MIN = 2 << 10,
    BLOCK_MAX = 64 << 10,                                /* messages are joined up to here */
    BLOCK_COST = sizeof(struct outgoing) + LWS_PRE + 16, /* of one, beside its bytes */
    PIECE_WHOLE = CONNECTION_PIECE / 4, /* as little is copied out of the spare block */
    WRITES_AT_ONCE = 64,
    CLOSE_S = 5,
};

static void release(void *owner);

/* An IPv6 client has a whole /64. Never 0 for a real one. */
static uint64_t peer_key(int fd)
{
    struct sockaddr_storage sa = { 0 };
    struct relay_address a;
    socklen_t len = sizeof sa;
    uint64_t key = 0;
    if (getpeername(fd, (struct sockaddr *)&sa, &len))
        return 0;
    address_from_system(&a, &sa);
    memcpy(&key, a.ip, a.family == 4 ? 4 : 8);
    return key;
}

size_t connections_of_peer(const struct relay *relay, int fd)
{
    return (uintptr_t)table_get(&relay->by_address, peer_key(fd));
}

static void count_peer(struct connection *c, int change)
{
    struct table *t = &c->relay->by_address;
    uintptr_t n = (uintptr_t)table_get(t, c->peer_key) + (uintptr_t)change;
    if (n)
        table_put(t, c->peer_key, (void *)n);
    else
        table_remove(t, c->peer_key);
}

struct connection *connection_new(struct relay *relay, struct lws *wsi,
                                  const struct endpoint *endpoint)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->relay = relay;
    c->wsi = wsi;
    c->endpoint = endpoint;
    lws_get_peer_simple(wsi, c->peer, sizeof c->peer);
    c->peer_key = peer_key(lws_get_socket_fd(wsi));
    count_peer(c, 1);
    relay->metrics.clients++;
    relay->metrics.clients_total++;
    return c;
}

void connection_drop_queue(struct connection *c)
{
    while (c->head) {
        struct outgoing *o = c->head;
        c->head = o->next;
        free(o);
    }
    c->tail = NULL;
    c->relay->metrics.memory_bytes -= c->queued;
    c->queued = 0;
}

void connection_free(struct connection *c)
{
    connection_drop_queue(c);
    timer_free(c->rate_timer);
    count_peer(c, -1);
    c->relay->metrics.clients--;
    free(c);
}

/* ---- rates ---- */

static int64_t burst(uint64_t rate, int64_t least)
{
    return (int64_t)(rate / 4) > least ? (int64_t)(rate / 4) : least;
}

static void refill(int64_t *left, uint64_t rate, uint64_t ms, int64_t most)
{
    int64_t more = (int64_t)((double)rate * (double)ms / 1000);
    *left = *left + more > most ? most : *left + more;
}

static void update_allowance(struct connection *c)
{
    uint64_t now = uv_now(&c->relay->loop), ms = now - c->rate_at;
    if (!ms)
        return;
    c->rate_at = now;
    refill(&c->bytes_left, c->policy->max_bytes_per_s, ms,
           burst(c->policy->max_bytes_per_s, RELAY_BATCH_MAX));
    refill(&c->frames_left, c->policy->max_frames_per_s, ms,
           burst(c->policy->max_frames_per_s, 1000));
}

static bool overdrawn(const struct connection *c)
{
    return (c->policy->max_bytes_per_s && c->bytes_left < 0) ||
           (c->policy->max_frames_per_s && c->frames_left < 0);
}

static void hold_if_overdrawn(struct connection *c)
{
    update_allowance(c);
    if (c->held || !overdrawn(c))
        return;
    if (!c->rate_timer)
        c->rate_timer = timer_new(&c->relay->loop, release, c);
    if (!c->rate_timer)
        return;
    c->held = true;
    lws_rx_flow_control(c->wsi, 0);
    timer_start(c->rate_timer, 20, 20);
}

static void release(void *owner)
{
    struct connection *c = owner;
    update_allowance(c);
    if (overdrawn(c))
        return;
    timer_stop(c->rate_timer);
    c->held = false;
    if (!c->paused)
        lws_rx_flow_control(c->wsi, 1);
    lws_callback_on_writable(c->wsi);
}

void connection_pause(struct connection *c, bool on)
{
    if (c->paused == on || c->closing)
        return;
    c->paused = on;
    if (!c->held)
        lws_rx_flow_control(c->wsi, !on);
}

void connection_limit(struct connection *c, const struct policy *p)
{
    c->policy = p->max_bytes_per_s || p->max_frames_per_s ? p : NULL;
    if (!c->policy)
        return;
    c->rate_at = uv_now(&c->relay->loop);
    c->bytes_left = burst(p->max_bytes_per_s, RELAY_BATCH_MAX);
    c->frames_left = burst(p->max_frames_per_s, 1000);
}

void connection_count_frames(struct connection *c, unsigned n)
{
    c->frames_left -= n;
}

/* ---- in ---- */

void connection_received(struct connection *c, const uint8_t *data, size_t len, bool binary,
                         bool last)
{
    c->relay->metrics.received_bytes_total += len;
    if (c->closing || !c->owner)
        return;
    c->endpoint->receive(c->owner, data, len, binary, last);
    if (c->policy) {
        c->bytes_left -= (int64_t)len;
        hold_if_overdrawn(c);
    }
}

/* ---- out ---- */

static struct outgoing *new_block(size_t room)
{
    struct outgoing *o = malloc(sizeof *o + LWS_PRE + room);
    if (o)
        *o = (struct outgoing){ .last = SIZE_MAX, .room = room };
    return o;
}

static void append(struct connection *c, struct outgoing *o)
{
    if (c->tail)
        c->tail->next = o;
    else
        c->head = o;
    c->tail = o;
}

/* The last block with @len bytes free; it may move. */
static struct outgoing *widen(struct connection *c, size_t len)
{
    struct outgoing *o = c->tail, **link = &c->head;
    size_t room = o->room;
    while (room < o->len + len)
        room *= 2;
    while (*link != o)
        link = &(*link)->next;
    o = realloc(o, sizeof *o + LWS_PRE + room);
    if (!o)
        return NULL;
    o->room = room;
    *link = c->tail = o;
    return o;
}

/* May so many more bytes be queued? If not, the connection ends. */
static bool has_room(struct connection *c, size_t len)
{
    if (c->closing)
        return false;
    if (c->queued + len <= CONNECTION_MOST)
        return true;
    log_event(LOG_WARN, "limit", "peer=%s text=\"doesn't read\"", c->peer);
    connection_drop_queue(c);
    connection_close(c, 4000 + RELAY_LIMIT);
    return false;
}

uint8_t *connection_reserve(struct connection *c, size_t len, bool join)
{
    struct outgoing *o = c->tail;
    if (!has_room(c, len))
        return NULL;
    if (o && join && o->len + len <= BLOCK_MAX) {
        if (o->room - o->len < len)
            o = widen(c, len);
    } else {
        o = new_block(join && len < BLOCK_MIN ? BLOCK_MIN : len);
        if (o)
            append(c, o);
    }
    if (o)
        return o->data + LWS_PRE + o->len;
    connection_close(c, 4000 + RELAY_INTERNAL);
    return NULL;
}

void connection_commit(struct connection *c, size_t len)
{
    size_t more = len + (c->tail->len ? 0 : BLOCK_COST);
    if (!len)
        return;
    if (!c->queued)
        lws_callback_on_writable(c->wsi);
    c->tail->len += len;
    c->queued += more;
    c->relay->metrics.memory_bytes += more;
    c->was_full |= connection_is_full(c);
}

uint8_t *connection_piece(struct connection *c)
{
    struct relay *relay = c->relay;
    if (!relay->spare)
        relay->spare = new_block(CONNECTION_PIECE);
    return relay->spare ? relay->spare->data + LWS_PRE : NULL;
}

bool connection_send_piece(struct connection *c, size_t len, bool join)
{
    struct outgoing *spare = c->relay->spare;
    if (len < PIECE_WHOLE) {
        uint8_t *p = connection_reserve(c, len, join);
        if (!p)
            return false;
        memcpy(p, spare->data + LWS_PRE, len);
    } else {
        if (!has_room(c, len))
            return false;
        c->relay->spare = NULL;
        append(c, spare);
    }
    connection_commit(c, len);
    return true;
}

void connection_close(struct connection *c, uint16_t code)
{
    if (c->closing)
        return;
    c->closing = true;
    c->close_code = code;
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_S);
    lws_callback_on_writable(c->wsi);
}

/* Sends the first block; false: the connection is broken. */
static bool write_block(struct connection *c)
{
    struct outgoing *o = c->head;
    int n = 0;
    c->head = o->next;
    if (!c->head)
        c->tail = NULL;
    if (o->len) {
        c->queued -= o->len + BLOCK_COST;
        c->relay->metrics.memory_bytes -= o->len + BLOCK_COST;
        n = lws_write(c->wsi, o->data + LWS_PRE, o->len, LWS_WRITE_BINARY);
        c->relay->metrics.sent_bytes_total += o->len;
        c->bytes_left -= (int64_t)o->len;
    }
    free(o);
    return n >= 0;
}

/* The close frame (RFC 6455 5.5.1). libwebsockets' own way, lws_close_reason() and -1, loses it:
 * Debian's build tests on libuv that a connection can be closed twice, and the second time it
 * doesn't wait. LWS_WRITE_HTTP is how it sends bytes as they are. */
static int write_close(struct connection *c)
{
    unsigned char buf[LWS_PRE + 4] = { 0 }, *frame = buf + LWS_PRE;
    if (c->close_sent || lws_partial_buffered(c->wsi))
        return 0;
    c->close_sent = true;
    frame[0] = 0x88;
    frame[1] = 2;
    frame[2] = (unsigned char)(c->close_code >> 8);
    frame[3] = (unsigned char)c->close_code;
    return lws_write(c->wsi, frame, 4, LWS_WRITE_HTTP) < 0 ? -1 : 0;
}

/* Is it well-formed UTF-8 (RFC 3629 4)? */
static bool is_utf8(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint8_t first = p[i++], least = 0x80, most = 0xbf;
        unsigned more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
        if ((first >= 0x80 && first < 0xc2) || first > 0xf4 || len - i < more)
            return false;
        if (first == 0xe0)
            least = 0xa0;
        else if (first == 0xed)
            most = 0x9f;
        else if (first == 0xf0)
            least = 0x90;
        else if (first == 0xf4)
            most = 0x8f;
        for (; more; more--, i++, least = 0x80, most = 0xbf)
            if (p[i] < least || p[i] > most)
                return false;
    }
    return true;
}

/* The other side's close frame: libwebsockets answers with its code, unless it is none that may be
 * sent (RFC 6455 7.4), its reason isn't text (5.5.1), or we were first. */
int connection_peer_closes(struct connection *c, const uint8_t *data, size_t len)
{
    unsigned code = len >= 2 ? (unsigned)(data[0] << 8 | data[1]) : 0;
    bool sent = c->close_sent;
    bool good = !len ||
                (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                (code >= 3000 && code <= 4999);
    bool text = len <= 2 || is_utf8(data + 2, len - 2);
    if (!sent && good && text)
        return 0;
    c->closing = true;
    c->close_code = good ? 1007 : 1002;
    if (!sent)
        write_close(c);
    return -1;
}

int connection_write(struct connection *c)
{
    if (c->held && !c->closing)
        return 0;
    for (int i = 0; c->head && i < WRITES_AT_ONCE && !lws_partial_buffered(c->wsi); i++) {
        if (!write_block(c))
            return -1;
    }
    if (c->policy)
        hold_if_overdrawn(c);
    if (c->head) {
        lws_callback_on_writable(c->wsi);
    } else if (c->closing) {
        return write_close(c);
    }
    if (c->was_full && c->queued < CONNECTION_LOW && !c->closing) {
        c->was_full = false;
        c->endpoint->writable(c->owner);
    }
    return 0;
}
