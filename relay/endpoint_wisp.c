/*
 * /wisp/: Wisp version 1 (Mercury Workshop), for clients that speak nothing better.
 *
 *   packet:  type 1, stream 4 (little-endian), payload; a WebSocket message each
 *   CONNECT  kind 1 (tcp 1, udp 2), port 2 (little-endian), host (text)
 *   DATA     bytes
 *   CONTINUE packets 4 (little-endian): how many more the relay takes of that stream
 *   CLOSE    reason 1
 *
 * What the protocol lacks shows here: a connection that fails is told by CLOSE after the client has
 * begun to send, a half-closed one can't be told at all (the client is closed when both ends are
 * done or the server's side ends), and towards the client only TCP and the connection's queue hold
 * back. CONTINUE counts packets, which may have any length, and a client may have a second lot
 * under way when it comes: when what servers don't take yet is too much, nothing of that client is
 * read, as TCP would do, and a stream that takes nothing meanwhile is closed, for the sake of the
 * others.
 *
 * Bytes for a TCP connection go on as they come; other packets wait until they are whole.
 *
 * A host goes through the resolver, and the first of its addresses that the filter allows is the
 * one that is connected to.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "relay/address.h"
#include "relay/buffer.h"
#include "relay/guest.h"
#include "relay/log.h"
#include "relay/loop.h"
#include "relay/outbound.h"
#include "relay/resolver.h"
#include "relay/tcp.h"

enum wisp_type { CONNECT = 1, DATA = 2, CONTINUE = 3, CLOSE = 4 };
enum wisp_reason {
    VOLUNTARY = 0x02,
    NETWORK = 0x03,
    INVALID = 0x41,
    UNREACHABLE = 0x42,
    TIMED_OUT = 0x43,
    REFUSED = 0x44,
    BLOCKED = 0x48,
    THROTTLED = 0x49,
};

enum {
    HEADER = 5,
    PACKETS = 128,          /* that a stream may have under way to the relay */
    PACKET_MAX = 256 << 10, /* bytes */
    PENDING_HIGH = 4 << 20, /* bytes of a client that servers don't take, at which it isn't read */
    STUCK_MS = 10000,       /* so long a stream may hold the others up */
    TICK_MS = 2000,
    PIECE = 128 << 10, /* bytes of a server in a packet */
    READS_AT_ONCE = 4,
    HOST_MAX = 255,
    CLOSE_POLICY = 1008,
    CLOSE_TOO_BIG = 1009,
    CLOSE_PROTOCOL = 1002,
};

struct client;

struct stream {
    struct client *client;
    uint32_t number;
    bool udp;
    struct query *lookup; /* while the host's name is looked up */
    struct buffer early;  /* what came before there was a socket */
    unsigned early_packets;
    struct tcp *tcp;
    size_t pending;    /* bytes that tcp has not sent yet */
    unsigned taken;    /* packets since the last CONTINUE */
    uint64_t moved_ms; /* when its server took something */
    int fd;            /* udp */
    struct watch *watch;
    uint64_t used_ms; /* udp: when something went through */
};

struct client {
    struct guest guest;
    struct table streams;
    uint64_t pending; /* bytes that the relay holds of all streams: `pending` and `early` */
    size_t got;       /* bytes of the packet that is coming in */
    struct buffer in; /* they, unless they are passed on as they come */
    bool passing;
    uint32_t passing_to; /* a stream */
    struct timer *timer;
};

/* ---- packets to the client ---- */

static void put_header(uint8_t *p, unsigned type, uint32_t stream)
{
    p[0] = (uint8_t)type;
    for (int i = 0; i < 4; i++)
        p[1 + i] = (uint8_t)(stream >> 8 * i);
}

static uint8_t *begin(struct client *c, unsigned type, uint32_t stream, size_t len)
{
    uint8_t *p = connection_reserve(c->guest.connection, HEADER + len, false);
    if (!p)
        return NULL;
    put_header(p, type, stream);
    return p + HEADER;
}

static void end(struct client *c, size_t len)
{
    connection_commit(c->guest.connection, HEADER + len);
}

static void send_continue(struct client *c, uint32_t stream, uint32_t packets)
{
    uint8_t *p = begin(c, CONTINUE, stream, 4);
    if (!p)
        return;
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(packets >> 8 * i);
    end(c, 4);
}

static uint64_t now_ms(const struct client *c)
{
    return uv_now(&c->guest.connection->relay->loop);
}

/* Reads on, or not, by how much the relay holds. */
static void control(struct client *c)
{
    uint64_t memory = c->guest.policy->memory / 2;
    uint64_t high = memory < PENDING_HIGH ? memory : PENDING_HIGH;
    if (c->pending >= high)
        connection_pause(c->guest.connection, true);
    else if (c->pending <= high / 2)
        connection_pause(c->guest.connection, false);
}

static void stream_free(struct stream *s, bool reset)
{
    table_remove(&s->client->streams, s->number);
    s->client->guest.connection->relay->metrics.channels--;
    s->client->pending -= s->pending + buffer_len(&s->early);
    query_cancel(s->lookup);
    if (s->tcp)
        tcp_free(s->tcp, reset);
    watch_free(s->watch);
    if (s->fd >= 0)
        close(s->fd);
    buffer_free(&s->early);
    free(s);
}

static void stream_close(struct stream *s, enum wisp_reason reason)
{
    struct client *c = s->client;
    uint8_t *p = begin(c, CLOSE, s->number, 1);
    if (p) {
        *p = (uint8_t)reason;
        end(c, 1);
    }
    stream_free(s, reason != VOLUNTARY);
    control(c);
}

static enum wisp_reason reason_of(int error)
{
    switch (error) {
    case ECONNREFUSED: return REFUSED;
    case ETIMEDOUT: return TIMED_OUT;
    case ENETUNREACH:
    case EHOSTUNREACH: return UNREACHABLE;
    case EACCES:
    case EPERM: return BLOCKED;
    default: return NETWORK;
    }
}

/* ---- TCP ---- */

/* Lets the client send on when half of its packets are gone. */
static void give_back(struct stream *s)
{
    if (s->tcp && s->taken >= PACKETS / 2 && !s->pending) {
        s->taken = 0;
        send_continue(s->client, s->number, PACKETS);
    }
}

static void send_tcp(struct stream *s, const uint8_t *data, size_t len, unsigned packets)
{
    s->pending += len;
    s->client->pending += len;
    s->taken += packets;
    if (s->client->pending > s->client->guest.policy->memory) {
        stream_close(s, THROTTLED);
        return;
    }
    if (s->pending == len)
        s->moved_ms = now_ms(s->client);
    tcp_write(s->tcp, data, len);
    control(s->client);
    give_back(s);
}

static void connected(void *owner, int error)
{
    struct stream *s = owner;
    if (error) {
        stream_close(s, reason_of(error));
        return;
    }
    tcp_want_read(s->tcp, true);
}

/* Sends the client what the server's socket has, without a copy; *@n: as of tcp_splice(). False:
 * not here, or not now. */
static bool splice_stream(struct stream *s, ssize_t *n)
{
    struct connection *connection = s->client->guest.connection;
    uint8_t header[HEADER];
    size_t most, part;
    struct pipe *pipe = connection_pipe(connection, &most);
    if (!pipe)
        return false;
    put_header(header, DATA, s->number);
    *n = tcp_splice(s->tcp, pipe, most);
    for (size_t left = *n > 0 ? (size_t)*n : 0; left; left -= part) {
        part = left < PACKET_MAX ? left : PACKET_MAX;
        if (!connection_send_piped(connection, header, sizeof header, part))
            return true;
    }
    connection_push(connection);
    return true;
}

static ssize_t copy_stream(struct stream *s, uint8_t *piece)
{
    ssize_t n = tcp_read(s->tcp, piece + HEADER, PIECE);
    if (n > 0) {
        put_header(piece, DATA, s->number);
        connection_send_piece(s->client->guest.connection, HEADER + (size_t)n, false);
    }
    return n;
}

static void readable(void *owner)
{
    struct stream *s = owner;
    struct client *c = s->client;
    for (int i = 0; i < READS_AT_ONCE; i++) {
        struct connection *connection = c->guest.connection;
        uint8_t *p = connection_is_full(connection) ? NULL : connection_piece(connection);
        ssize_t n;
        if (!p) {
            tcp_want_read(s->tcp, false);
            return;
        }
        if (tcp_in_bulk(s->tcp) && splice_stream(s, &n))
            i = READS_AT_ONCE; /* much at once: others want their turn */
        else
            n = copy_stream(s, p);
        if (n <= 0) {
            if (n != -1)
                stream_close(s, n ? reason_of((int)(-n - 1)) : VOLUNTARY);
            return;
        }
    }
}

static void written(void *owner, size_t bytes)
{
    struct stream *s = owner;
    s->pending -= bytes;
    s->client->pending -= bytes;
    s->moved_ms = now_ms(s->client);
    control(s->client);
    give_back(s);
}

static void failed(void *owner, int error)
{
    stream_close(owner, reason_of(error));
}

static const struct tcp_ops tcp_ops = { connected, readable, written, NULL, failed };

/* ---- UDP ---- */

static void udp_ready(void *owner, int events)
{
    static uint8_t dgram[RELAY_DGRAM_MAX + 1];
    struct stream *s = owner;
    struct client *c = s->client;
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(s->fd, dgram, sizeof dgram, 0);
        if (n < 0)
            return; /* UDP's errors have no words in Wisp */
        s->used_ms = now_ms(c);
        uint8_t *p = connection_is_full(c->guest.connection) || n > RELAY_DGRAM_MAX
                         ? NULL
                         : begin(c, DATA, s->number, (size_t)n);
        if (!p)
            continue; /* lost, as datagrams may be */
        memcpy(p, dgram, (size_t)n);
        end(c, (size_t)n);
    }
}

static int open_udp(struct stream *s, const struct relay_address *dial)
{
    struct relay *relay = s->client->guest.connection->relay;
    struct sockaddr_storage sa;
    socklen_t len = address_to_system(dial, &sa);
    s->fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&sa, len))
        return errno;
    s->watch = watch_new(&relay->loop, s->fd, udp_ready, s);
    if (!s->watch)
        return ENOMEM;
    s->used_ms = now_ms(s->client);
    watch_set(s->watch, UV_READABLE);
    return 0;
}

/* ---- packets of the client ---- */

static void stream_send(struct stream *s, const uint8_t *data, size_t len)
{
    if (s->lookup) { /* TCP: joined, as in a stream; UDP: a question is asked again anyway */
        if (s->udp)
            return;
        if (s->client->pending + len > s->client->guest.policy->memory ||
            !buffer_add(&s->early, data, len)) {
            stream_close(s, THROTTLED);
            return;
        }
        s->client->pending += len;
        s->early_packets++;
        control(s->client);
    } else if (s->udp) {
        s->used_ms = now_ms(s->client);
        if (send(s->fd, data, len, MSG_NOSIGNAL) < 0)
            log_event(LOG_DEBUG, "wisp", "error=%s", log_string(strerror(errno)));
    } else {
        send_tcp(s, data, len, 1);
    }
}

/* The addresses of the host: goes to the first that is allowed. */
static void found(void *owner, const struct relay_address *addresses, size_t n)
{
    struct stream *s = owner;
    struct guest *g = &s->client->guest;
    struct relay *relay = g->connection->relay;
    struct relay_address dial;
    int error = EHOSTUNREACH;
    size_t i = 0;
    s->lookup = NULL;
    while (i < n && (error = outbound_check(relay, g->policy, g->token, &addresses[i], &dial)))
        i++;
    if (!error && s->udp)
        error = open_udp(s, &dial);
    else if (!error)
        s->tcp = tcp_connect(relay, &dial, &tcp_ops, s, &error);
    if (s->udp ? error : !s->tcp) {
        stream_close(s, reason_of(error));
        return;
    }
    if (buffer_len(&s->early)) {
        struct buffer early = s->early;
        s->early = (struct buffer){ 0 };
        s->client->pending -= buffer_len(&early);
        send_tcp(s, early.data + early.at, buffer_len(&early), s->early_packets);
        buffer_free(&early);
    }
}

/* Does its last label begin with a digit? Then it is no name (RFC 3696 2), but perhaps one of the
 * old spellings of an address (0177.1, 2130706433, 0x7f.1), which programs don't agree on. */
static bool looks_numeric(const char *host)
{
    size_t len = strlen(host);
    while (len && host[len - 1] == '.')
        len--;
    while (len && host[len - 1] != '.')
        len--;
    return host[len] >= '0' && host[len] <= '9';
}

static void connect_stream(struct client *c, uint32_t number, const uint8_t *p, size_t len)
{
    struct relay *relay = c->guest.connection->relay;
    struct relay_address a;
    char host[HOST_MAX + 1];
    struct stream *s;
    if (table_get(&c->streams, number))
        return;
    s = c->streams.n < c->guest.policy->max_channels ? calloc(1, sizeof *s) : NULL;
    if (!s || !table_put(&c->streams, number, s)) {
        uint8_t *out = begin(c, CLOSE, number, 1);
        free(s);
        relay->metrics.channels_refused_total++;
        if (out) {
            *out = THROTTLED;
            end(c, 1);
        }
        return;
    }
    s->client = c;
    s->number = number;
    s->fd = -1;
    relay->metrics.channels++;
    relay->metrics.channels_total++;
    uint16_t port = len >= 3 ? (uint16_t)(p[1] | p[2] << 8) : 0;
    if (!port || (p[0] != 1 && p[0] != 2) || len < 4 || len - 3 > HOST_MAX ||
        memchr(p + 3, 0, len - 3)) {
        stream_close(s, INVALID);
        return;
    }
    s->udp = p[0] == 2;
    memcpy(host, p + 3, len - 3);
    host[len - 3] = 0;
    size_t end_of_host = strlen(host) - 1;
    if (host[0] == '[' && host[end_of_host] == ']') {
        memmove(host, host + 1, end_of_host - 1);
        host[end_of_host - 1] = 0;
    }
    if (address_parse(&a, host)) {
        a.port = port;
        found(s, &a, 1);
    } else if (looks_numeric(host)) {
        stream_close(s, INVALID);
    } else if (!c->guest.policy->dns) {
        stream_close(s, BLOCKED);
    } else {
        uint64_t asker = c->guest.connection->peer_key;
        struct query *q = lookup_host(relay->resolver, asker, host, port, found, s);
        if (q) /* else found() was called, and the stream may be gone */
            s->lookup = q;
    }
}

static uint32_t stream_number(const uint8_t *p)
{
    return p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16 | (uint32_t)p[4] << 24;
}

static void packet(struct client *c, const uint8_t *p, size_t len)
{
    if (len < HEADER) {
        connection_close(c->guest.connection, CLOSE_PROTOCOL);
        return;
    }
    uint32_t number = stream_number(p);
    struct stream *s = table_get(&c->streams, number);
    switch (p[0]) {
    case CONNECT:
        if (number)
            connect_stream(c, number, p + HEADER, len - HEADER);
        break;
    case DATA:
        if (s)
            stream_send(s, p + HEADER, len - HEADER);
        break;
    case CLOSE:
        if (s) {
            stream_free(s, len > HEADER && p[HEADER] != VOLUNTARY);
            control(c);
        }
        break;
    default: break; /* Wisp: unknown ones are ignored */
    }
}

/* ---- the endpoint ---- */

/* Is this the beginning of a packet whose bytes may go on before it is whole? */
static bool begins_data(const struct client *c, const uint8_t *data, size_t len)
{
    struct stream *s =
        len > HEADER && data[0] == DATA ? table_get(&c->streams, stream_number(data)) : NULL;
    return s && s->tcp;
}

/* More of it; its stream may have ended meanwhile. */
static void pass_data(struct client *c, const uint8_t *data, size_t len, bool last)
{
    struct stream *s = table_get(&c->streams, c->passing_to);
    if (s)
        send_tcp(s, data, len, last);
    c->passing = !last;
}

static void receive(void *owner, const uint8_t *data, size_t len, bool binary, bool last)
{
    struct client *c = owner;
    if (!binary) {
        connection_close(c->guest.connection, CLOSE_PROTOCOL);
        return;
    }
    if (c->got + len > PACKET_MAX) {
        connection_close(c->guest.connection, CLOSE_TOO_BIG);
        return;
    }
    bool first = !c->got;
    c->got = last ? 0 : c->got + len;
    if (c->passing) {
        pass_data(c, data, len, last);
    } else if (first && last) {
        packet(c, data, len);
    } else if (first && begins_data(c, data, len)) {
        c->passing = true;
        c->passing_to = stream_number(data);
        pass_data(c, data + HEADER, len - HEADER, false);
    } else {
        buffer_add(&c->in, data, len);
        if (last) {
            packet(c, c->in.data + c->in.at, buffer_len(&c->in));
            buffer_free(&c->in);
        }
    }
}

static void writable(void *owner)
{
    struct client *c = owner;
    for (size_t i = 0; i < c->streams.room; i++) {
        struct stream *s = c->streams.slots[i].value;
        if (s && s->tcp)
            tcp_want_read(s->tcp, true);
    }
}

/* Wisp has no end of a UDP stream but the client's: what is idle for long goes. And what holds the
 * others up. */
static void tick(void *owner)
{
    struct client *c = owner;
    uint64_t now = now_ms(c);
    uint64_t udp_ms = c->guest.connection->relay->config->udp_timeout_s * 1000;
    bool paused = c->guest.connection->paused;
    for (size_t i = 0; i < c->streams.room;) {
        struct stream *s = c->streams.slots[i].value;
        if (s && s->watch && now - s->used_ms > udp_ms)
            stream_close(s, TIMED_OUT);
        else if (s && paused && s->pending && now - s->moved_ms > STUCK_MS)
            stream_close(s, THROTTLED);
        else
            i++;
    }
}

static void *open_client(struct connection *connection, const char *rest, bool good_origin)
{
    struct client *c = *rest ? NULL : calloc(1, sizeof *c);
    if (!c || !guest_open(&c->guest, connection)) {
        if (!c)
            connection_close(connection, CLOSE_POLICY);
        free(c);
        return NULL;
    }
    c->timer = timer_new(&connection->relay->loop, tick, c);
    if (c->timer)
        timer_start(c->timer, TICK_MS, TICK_MS);
    /* Half of the memory is where control() begins: there is still room for what comes then. */
    connection_read_at_most(connection, c->guest.policy->memory / 4);
    send_continue(c, 0, PACKETS);
    return c;
}

static void closed(void *owner)
{
    struct client *c = owner;
    for (size_t i = 0; i < c->streams.room;) {
        struct stream *s = c->streams.slots[i].value;
        if (s)
            stream_free(s, true);
        else
            i++;
    }
    timer_free(c->timer);
    buffer_free(&c->in);
    guest_close(&c->guest);
    free(c);
}

const struct endpoint wisp_endpoint = {
    .path = "/wisp/",
    .compatibility = true,
    .open = open_client,
    .receive = receive,
    .writable = writable,
    .closed = closed,
};
