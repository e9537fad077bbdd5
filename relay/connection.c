/*
 * WebSocket connections. libwebsockets does TLS, HTTP and the handshake; from there on bytes and
 * frames are read and written here (wire.c, websocket.c), since its framing looks at each byte of a
 * frame by itself, copies what the socket doesn't take, and asks the system twice for each write.
 * It keeps what belongs to the connection and closes it in the end, so that its list of connections
 * and its time limit stay true; its own watch of the socket is off.
 *
 * In: the socket is read into one piece of memory for all connections, frames are unmasked there,
 * and their payload goes to the endpoint. What comes before the handshake's answer, which RFC 6455
 * 4.1 forbids, is in libwebsockets' buffer: such a connection is closed. One whose answer didn't
 * fit the socket, since it doesn't read what it asked for before, isn't taken at all.
 *
 * Out: messages wait in a list, each in a block with room for its header in front. What is added
 * during a turn of the loop goes out together at its end. Only what the socket didn't take then
 * waits for an event. Long pieces of streams are sent at once. A block is one frame. Senders that
 * can wait look at connection_is_full() and are called when the queue is short again; those that
 * can't are bounded by CONNECTION_MOST, at which a client that doesn't read is cut off.
 *
 * A stream is read into the relay's one spare block, long, since how much will come isn't known. If
 * it fills a good part of it, the block goes into the queue as it is; if not, the bytes are copied.
 * So the queue's blocks have about the size of what is in them, and `queued` counts what they cost:
 * a client that reads slowly can't have much kept for few bytes.
 *
 * Without TLS a stream in bulk isn't read at all: its bytes go into a pipe (pipe.c), behind the
 * bytes of other such streams, and frames in the queue stand for them, in the same order, with
 * nothing but the beginning of their payload in memory. A connection gets its pipe with the first
 * of these frames and gives it back with the last.
 *
 * The end. We close: the queue and a close frame are sent, then it is waited for the client's, the
 * end of its bytes, or CLOSE_S. The client closes: its close frame is answered with the same code,
 * then the socket is closed. After an error of framing, a close frame, and nothing of what comes is
 * looked at. A connection is only freed where nothing of it is being used: settle().
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
#include "relay/tcp.h"

enum {
    BLOCK_MIN = 2 << 10,
    BLOCK_MAX = 64 << 10, /* messages are joined up to here */
    BLOCK_COST = sizeof(struct outgoing) + CONNECTION_FRONT + 16, /* of one, beside its bytes */
    PIECE_WHOLE = CONNECTION_PIECE / 4, /* as little is copied out of the spare block */
    READ_MOST = 1 << 20,
    READ_LEAST = 4 << 10,
    WRITES_AT_ONCE = 64,
    CLOSE_S = 5,
};

struct connections {
    struct turns *turns;
    struct connection *first, *last; /* that have work at the end of this turn */
    struct outgoing *spare;          /* what streams are read into; NULL: none yet */
    struct pipes pipes;
    struct tcp_gather gather;
    uint8_t input[READ_MOST];
};

static void release(void *owner);
static void ready(void *owner, int events);

/* ---- work at the end of the turn ---- */

static void plan(struct connection *c)
{
    struct connections *all = c->relay->connections;
    if (c->due)
        return;
    if (!all->first)
        turns_set(all->turns, true);
    c->due = true;
    c->next = NULL;
    c->previous = all->last;
    if (all->last)
        all->last->next = c;
    else
        all->first = c;
    all->last = c;
}

static void unplan(struct connection *c)
{
    struct connections *all = c->relay->connections;
    if (!c->due)
        return;
    c->due = false;
    if (c->previous)
        c->previous->next = c->next;
    else
        all->first = c->next;
    if (c->next)
        c->next->previous = c->previous;
    else
        all->last = c->previous;
}

/* ---- life ---- */

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

struct connection *connection_new(struct relay *relay, struct lws *wsi,
                                  const struct endpoint *endpoint)
{
    struct connection *c = lws_partial_buffered(wsi) ? NULL : calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->relay = relay;
    c->wsi = wsi;
    c->endpoint = endpoint;
    c->early = true;
    c->read_most = READ_MOST;
    if (wire_open(&c->wire, wsi))
        c->watch = watch_new(&relay->loop, c->wire.fd, ready, c);
    c->peer_key = peer_key(c->wire.fd);
    if (!c->watch || !table_count(&relay->by_address, c->peer_key, 1)) {
        watch_free(c->watch);
        wire_close(&c->wire);
        free(c);
        return NULL;
    }
    lws_rx_flow_control(wsi, 0);
    plan(c);
    lws_get_peer_simple(wsi, c->peer, sizeof c->peer);
    relay->metrics.clients++;
    relay->metrics.clients_total++;
    return c;
}

static void give_pipe_back(struct connection *c)
{
    pipe_give_back(&c->relay->connections->pipes, c->pipe);
    c->relay->metrics.pipes = c->relay->connections->pipes.n;
    c->pipe = NULL;
    c->pipe_is_stale = false;
}

static void drop_block(struct connection *c, struct outgoing *o)
{
    if (o->piped && !--c->piped)
        give_pipe_back(c);
    c->queued -= o->cost;
    c->relay->metrics.memory_bytes -= o->cost;
    free(o);
}

/* All blocks from @first on, which is in the queue or NULL. */
static void drop_from(struct connection *c, struct outgoing *first)
{
    while (first) {
        struct outgoing *o = first;
        first = o->next;
        drop_block(c, o);
    }
}

void connection_drop_queue(struct connection *c)
{
    struct outgoing *begun = c->head && c->head->header ? c->head : NULL;
    drop_from(c, begun ? begun->next : c->head);
    c->pipe_is_stale = c->piped; /* that is of what has begun, so it stays */
    if (begun)
        begun->next = NULL;
    c->head = c->tail = begun;
}

void connection_free(struct connection *c)
{
    drop_from(c, c->head);
    give_pipe_back(c);
    unplan(c);
    timer_free(c->rate_timer);
    watch_free(c->watch);
    wire_close(&c->wire);
    table_count(&c->relay->by_address, c->peer_key, -1);
    c->relay->metrics.clients--;
    free(c);
}

void connection_was_early(struct connection *c)
{
    connection_close(c, WEBSOCKET_PROTOCOL_ERROR);
    c->deaf = true;
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

/* What it waits for. */
static void watch_again(struct connection *c)
{
    bool held = c->held && !c->ending;
    bool read = !held && (!c->paused || c->ending);
    bool write = !held && c->head && c->blocked;
    if (c->wire.read_wants_write && read)
        write = true;
    if (c->wire.write_wants_read && write)
        read = true;
    watch_set(c->watch, (read ? UV_READABLE : 0) | (write ? UV_WRITABLE : 0));
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
    c->more |= wire_has_more(&c->wire);
    plan(c);
}

void connection_pause(struct connection *c, bool on)
{
    if (c->paused == on || c->ending)
        return;
    c->paused = on;
    c->more |= !on && wire_has_more(&c->wire);
    plan(c);
}

void connection_read_at_most(struct connection *c, uint64_t bytes)
{
    c->read_most = bytes < READ_MOST ? (size_t)bytes : READ_MOST;
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

static void send_control(struct connection *c, enum websocket_opcode opcode, const void *data,
                         size_t len);

/* The last that is sent. */
static void end(struct connection *c, uint16_t code)
{
    uint8_t payload[2] = { (uint8_t)(code >> 8), (uint8_t)code };
    send_control(c, WEBSOCKET_CLOSE, payload, code == WEBSOCKET_NO_CODE ? 0 : sizeof payload);
    c->ending = true;
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_S);
    plan(c);
}

static void receive_control(struct connection *c, const struct websocket_event *e)
{
    switch (e->frame) {
    case WEBSOCKET_PING:
        if (!c->ending)
            send_control(c, WEBSOCKET_PONG, e->data, e->len);
        return;
    case WEBSOCKET_CLOSE:
        c->deaf = true;
        c->peer_closed = true;
        if (!c->ending) {
            connection_drop_queue(c);
            end(c, e->code);
        }
        return;
    default: return;
    }
}

static void receive_data(struct connection *c, const struct websocket_event *e)
{
    c->relay->metrics.received_bytes_total += e->len;
    if (!c->closing && !c->ending && c->owner)
        c->endpoint->receive(c->owner, e->data, e->len, e->binary, e->last);
}

static void receive(struct connection *c, uint8_t *data, size_t len)
{
    struct websocket_event e;
    while (len && !c->deaf) {
        size_t used = websocket_receive(&c->in, data, len, &e);
        data += used;
        len -= used;
        switch (e.type) {
        case WEBSOCKET_NOTHING: return;
        case WEBSOCKET_DATA: receive_data(c, &e); break;
        case WEBSOCKET_CONTROL: receive_control(c, &e); break;
        case WEBSOCKET_ERROR:
            connection_close(c, e.code);
            c->deaf = true;
            return;
        }
    }
}

/* Reads the socket once. */
static void read_some(struct connection *c)
{
    uint8_t *in = c->relay->connections->input;
    size_t room = c->read_most;
    c->more = false;
    if ((c->held || c->paused) && !c->ending)
        return;
    if (c->policy && c->policy->max_bytes_per_s && c->bytes_left < (int64_t)room)
        room = c->bytes_left < READ_LEAST ? READ_LEAST : (size_t)c->bytes_left;
    ssize_t n = wire_read(&c->wire, in, room);
    if (n == WIRE_LATER)
        return;
    if (n <= 0) {
        c->broken = true;
        return;
    }
    tcp_gather_begin(c->relay, in, (size_t)n);
    receive(c, in, (size_t)n);
    tcp_gather_end(c->relay);
    if (c->policy) {
        c->bytes_left -= n;
        hold_if_overdrawn(c);
    }
    c->more = wire_has_more(&c->wire);
    if (c->more)
        plan(c);
}

/* ---- out ---- */

static struct outgoing *new_block(size_t room)
{
    struct outgoing *o = malloc(sizeof *o + CONNECTION_FRONT + room);
    if (o)
        *o = (struct outgoing){ .last = SIZE_MAX, .room = room, .opcode = WEBSOCKET_BINARY };
    return o;
}

static void account(struct connection *c, struct outgoing *o, size_t more)
{
    o->cost += more;
    c->queued += more;
    c->relay->metrics.memory_bytes += more;
    c->was_full |= connection_is_full(c);
}

static void append(struct connection *c, struct outgoing *o, size_t bytes)
{
    account(c, o, bytes + BLOCK_COST);
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
    o = realloc(o, sizeof *o + CONNECTION_FRONT + room);
    if (!o)
        return NULL;
    account(c, o, room - o->room);
    o->room = room;
    *link = c->tail = o;
    return o;
}

/* May so many more bytes be queued? If not, the connection ends. */
static bool has_room(struct connection *c, size_t len)
{
    if (c->ending || c->broken)
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
    if (o && join && !o->header && !o->piped && o->opcode == WEBSOCKET_BINARY &&
        o->len + len <= BLOCK_MAX) {
        if (o->room - o->len < len)
            o = widen(c, len);
    } else {
        o = new_block(join && len < BLOCK_MIN ? BLOCK_MIN : len);
        if (o)
            append(c, o, o->room);
    }
    if (o)
        return o->data + CONNECTION_FRONT + o->len;
    connection_close(c, 4000 + RELAY_INTERNAL);
    return NULL;
}

void connection_commit(struct connection *c, size_t len)
{
    if (!len)
        return;
    c->tail->len += len;
    plan(c);
}

static void send_control(struct connection *c, enum websocket_opcode opcode, const void *data,
                         size_t len)
{
    if (opcode != WEBSOCKET_CLOSE && !has_room(c, len))
        return;
    struct outgoing *o = new_block(len);
    if (!o) {
        c->broken = true;
    } else {
        o->opcode = opcode;
        o->len = len;
        memcpy(o->data + CONNECTION_FRONT, data, len);
        append(c, o, len);
    }
    plan(c);
}

void connection_close(struct connection *c, uint16_t code)
{
    c->closing = true;
    if (!c->ending)
        end(c, code);
}

/* Of a frame whose header is written. */
static size_t length(const struct outgoing *o)
{
    return o->header + o->len + o->piped;
}

/* @n bytes of the queue are sent. */
static void sent(struct connection *c, size_t n)
{
    c->sent += n;
    while (c->head && c->head->header && c->sent >= length(c->head)) {
        struct outgoing *o = c->head;
        c->sent -= length(o);
        c->head = o->next;
        if (!c->head)
            c->tail = NULL;
        if (o->opcode == WEBSOCKET_BINARY)
            c->relay->metrics.sent_bytes_total += o->len + o->piped;
        c->relay->metrics.spliced_bytes_total += o->piped;
        drop_block(c, o);
    }
    c->bytes_left -= (int64_t)n;
}

/* Room was reserved, and nothing came of it. */
static bool is_empty(const struct outgoing *o)
{
    return !o->len && o->opcode == WEBSOCKET_BINARY;
}

/* The first blocks, for wire_write(), up to what is in the pipe; how many, and in *@bytes their
 * length. *@more: the pipe is next. */
static size_t pieces(struct connection *c, struct iovec *v, size_t *bytes, bool *more)
{
    size_t n = 0, skip = c->sent;
    *bytes = 0;
    *more = false;
    for (struct outgoing *o = c->head; o && n < WRITES_AT_ONCE && !*more; o = o->next) {
        uint8_t *payload = o->data + CONNECTION_FRONT;
        if (is_empty(o))
            break;
        if (!o->header)
            o->header = (uint8_t)websocket_header(payload, o->opcode, o->len + o->piped);
        o->last = SIZE_MAX;
        v[n].iov_base = payload - o->header + skip;
        v[n].iov_len = o->header + o->len - skip;
        *bytes += v[n++].iov_len;
        *more = o->piped != 0;
        skip = 0;
    }
    return n;
}

/* Writes what comes first in the queue, memory or bytes of the pipe: *@bytes if all of it goes. */
static ssize_t write_some(struct connection *c, size_t *bytes)
{
    struct iovec v[WRITES_AT_ONCE];
    struct outgoing *o = c->head;
    bool more;
    if (o->header && o->piped && c->sent >= o->header + o->len) {
        *bytes = length(o) - c->sent;
        return pipe_drain(c->pipe, c->wire.fd, *bytes, o->next && !is_empty(o->next));
    }
    size_t n = pieces(c, v, bytes, &more);
    return wire_write(&c->wire, v, n, more);
}

static void drop_empty(struct connection *c)
{
    while (c->head && is_empty(c->head)) {
        struct outgoing *o = c->head;
        c->head = o->next;
        if (!c->head)
            c->tail = NULL;
        drop_block(c, o);
    }
}

/* Sends what the socket takes of the queue. */
static void flush(struct connection *c)
{
    size_t bytes;
    for (drop_empty(c); c->head && !c->blocked && !c->broken && (!c->held || c->ending);
         drop_empty(c)) {
        ssize_t took = write_some(c, &bytes);
        if (took < 0 && took != WIRE_LATER)
            c->broken = true;
        c->blocked = took < (ssize_t)bytes;
        if (took > 0)
            sent(c, (size_t)took);
        if (c->policy)
            hold_if_overdrawn(c);
    }
}

uint8_t *connection_piece(struct connection *c)
{
    struct connections *all = c->relay->connections;
    if (!all->spare)
        all->spare = new_block(CONNECTION_PIECE);
    return all->spare ? all->spare->data + CONNECTION_FRONT : NULL;
}

bool connection_send_piece(struct connection *c, size_t len, bool join)
{
    struct outgoing *spare = c->relay->connections->spare;
    if (len < PIECE_WHOLE) {
        uint8_t *p = connection_reserve(c, len, join);
        if (!p)
            return false;
        memcpy(p, spare->data + CONNECTION_FRONT, len);
        connection_commit(c, len);
        return true;
    }
    if (!has_room(c, len))
        return false;
    c->relay->connections->spare = NULL;
    append(c, spare, len);
    spare->len = len;
    connection_push(c);
    return true;
}

struct pipe *connection_pipe(struct connection *c, size_t *most)
{
    if (c->wire.ssl || c->ending || c->broken || c->pipe_is_stale)
        return NULL;
    if (!c->pipe)
        c->pipe = pipe_take(&c->relay->connections->pipes);
    c->relay->metrics.pipes = c->relay->connections->pipes.n;
    *most = PIPE_BYTES;
    if (c->policy && c->policy->max_bytes_per_s && c->bytes_left < PIPE_BYTES)
        *most = c->bytes_left < READ_LEAST ? READ_LEAST : (size_t)c->bytes_left;
    plan(c); /* at the end of the turn it goes back if nothing came of it */
    return c->pipe;
}

bool connection_send_piped(struct connection *c, const void *front, size_t front_len, size_t len)
{
    struct outgoing *o = has_room(c, front_len + len) ? new_block(front_len) : NULL;
    if (!o) {
        connection_close(c, 4000 + RELAY_INTERNAL);
        return false;
    }
    memcpy(o->data + CONNECTION_FRONT, front, front_len);
    o->len = front_len;
    o->piped = len;
    c->piped++;
    append(c, o, front_len + len);
    return true;
}

void connection_push(struct connection *c)
{
    flush(c);
    plan(c);
}

/* ---- turns ---- */

/* After all else of an event: tells the endpoint that there is room, and ends what has ended. The
 * connection may be gone after it. */
static void settle(struct connection *c)
{
    if (c->was_full && c->queued < CONNECTION_LOW && !c->ending && !c->broken) {
        c->was_full = false;
        if (c->owner)
            c->endpoint->writable(c->owner);
    }
    if (c->pipe && !c->piped)
        give_pipe_back(c);
    if (c->ending && !c->head) {
        c->broken |= c->peer_closed;
        if (!c->shut && c->deaf)
            wire_shutdown(&c->wire);
        c->shut = true;
    }
    if (c->broken) {
        watch_set(c->watch, 0);
        lws_set_timeout(c->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_SYNC);
    } else {
        watch_again(c);
    }
}

static void ready(void *owner, int events)
{
    struct connection *c = owner;
    if ((events & UV_READABLE) || c->wire.read_wants_write)
        read_some(c);
    if ((events & UV_WRITABLE) || c->wire.write_wants_read) {
        c->blocked = false;
        flush(c);
    }
    settle(c);
}

/* libwebsockets asks to be called back if it has bytes left over when it may read again. */
static void look_for_early(struct connection *c)
{
    c->early = false;
    lws_rx_flow_control(c->wsi, 1);
    lws_rx_flow_control(c->wsi, 0);
}

static void turn(void *owner)
{
    struct connections *all = owner;
    struct connection *c, *last = all->last;
    for (bool end = false; !end && (c = all->first);) {
        end = c == last;
        unplan(c);
        if (c->early)
            look_for_early(c);
        if (c->more)
            read_some(c);
        flush(c);
        settle(c);
    }
    if (!all->first)
        turns_set(all->turns, false);
}

bool connections_start(struct relay *relay)
{
    struct connections *all = relay->connections = calloc(1, sizeof *all);
    if (!all)
        return false;
    relay->gather = &all->gather;
    all->turns = turns_new(&relay->loop, turn, all);
    return all->turns != NULL;
}

void connections_end(struct relay *relay)
{
    turns_free(relay->connections->turns);
    free(relay->connections->spare);
    pipes_free(&relay->connections->pipes);
    free(relay->connections);
}
