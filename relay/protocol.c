/*
 * The relay's wire protocol: parser and builder (docs/relay-protocol.md has the layouts).
 *
 * A body is described once, in body(): a cursor walks over the fields in the order of the wire, and
 * either fills the message from the bytes or the bytes from the message. So what is parsed and what
 * is built can't differ. The first thing that is wrong sticks to the cursor; from then on reads
 * give 0 and writes do nothing. A read past the end is TRUNCATED, bytes left over at the end are
 * OVERSIZE.
 *
 * The table `types` says the rest: who may send a message, whether it belongs to a channel, and how
 * long its body can be. A body that is outside of these bounds isn't looked at.
 *
 * Batches (FRAMES, DGRAMS) are walked to the end when they are parsed, so the iterators that follow
 * meet no bad lengths; they check all the same and stop.
 */
#include "relay/protocol.h"

#include <string.h>

enum channel_rule { NO_CHANNEL, CHANNEL };

static const struct type_info {
    const char *name;
    uint8_t senders; /* of enum relay_side */
    uint8_t rule;
    uint32_t min, max; /* bytes of the body */
} types[] = {
    [RELAY_HELLO] = { "HELLO", RELAY_CLIENT, NO_CHANNEL, 46, 46 + RELAY_TOKEN_MAX },
    [RELAY_WELCOME] = { "WELCOME", RELAY_SERVER, NO_CHANNEL, 60, 60 },
    [RELAY_FAIL] = { "FAIL", RELAY_CLIENT | RELAY_SERVER, NO_CHANNEL, 4, 4 + RELAY_TEXT_MAX },
    [RELAY_PING] = { "PING", RELAY_CLIENT | RELAY_SERVER, NO_CHANNEL, 8, 8 },
    [RELAY_PONG] = { "PONG", RELAY_CLIENT | RELAY_SERVER, NO_CHANNEL, 8, 8 },
    [RELAY_BYE] = { "BYE", RELAY_CLIENT, NO_CHANNEL, 0, 0 },
    [RELAY_OPEN] = { "OPEN", RELAY_CLIENT, CHANNEL, 8, 8 + 2 + RELAY_ROOM_MAX },
    [RELAY_OPENED] = { "OPENED", RELAY_SERVER, CHANNEL, 8 + RELAY_ADDRESS, 8 + RELAY_ADDRESS },
    [RELAY_ACCEPT] = { "ACCEPT", RELAY_SERVER, CHANNEL, 8 + 2 * RELAY_ADDRESS,
                       8 + 2 * RELAY_ADDRESS },
    [RELAY_ACCEPTED] = { "ACCEPTED", RELAY_CLIENT, CHANNEL, 8, 8 },
    [RELAY_DATA] = { "DATA", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 1, RELAY_BODY_MAX },
    [RELAY_DGRAMS] = { "DGRAMS", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 4 + RELAY_ADDRESS,
                       RELAY_BODY_MAX },
    [RELAY_FRAMES] = { "FRAMES", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 4 + RELAY_FRAME_MIN,
                       RELAY_BODY_MAX },
    [RELAY_CREDIT] = { "CREDIT", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 4, 4 },
    [RELAY_SHUT] = { "SHUT", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 0, 0 },
    [RELAY_CLOSE] = { "CLOSE", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 4, 4 },
    [RELAY_QUERY] = { "QUERY", RELAY_CLIENT, CHANNEL, 4 + RELAY_DNS_MIN, 4 + RELAY_DNS_MAX },
    [RELAY_ANSWER] = { "ANSWER", RELAY_SERVER, CHANNEL, 8, 8 + RELAY_DNS_MAX },
    [RELAY_UNREACH] = { "UNREACH", RELAY_SERVER, CHANNEL, 4 + RELAY_ADDRESS, 4 + RELAY_ADDRESS },
    [RELAY_URGENT] = { "URGENT", RELAY_CLIENT | RELAY_SERVER, CHANNEL, 1, 1 },
};

static const struct type_info *type_info(unsigned type)
{
    return type < sizeof types / sizeof *types && types[type].name ? &types[type] : NULL;
}

/* ---- the cursor ---- */

struct cursor {
    const uint8_t *in; /* NULL: builds */
    uint8_t *out;
    size_t len, at;
    enum relay_error error;
};

static void fail(struct cursor *c, enum relay_error error)
{
    if (!c->error)
        c->error = error;
}

static void require(struct cursor *c, bool condition)
{
    if (!condition)
        fail(c, RELAY_MALFORMED);
}

/* Are there @n more bytes? */
static bool take(struct cursor *c, size_t n)
{
    if (!c->error && c->len - c->at < n)
        fail(c, c->in ? RELAY_TRUNCATED : RELAY_OVERSIZE);
    return !c->error;
}

static uint64_t number(struct cursor *c, unsigned size, uint64_t v)
{
    if (!take(c, size))
        return c->in ? 0 : v;
    if (c->in) {
        v = 0;
        for (unsigned i = 0; i < size; i++)
            v = v << 8 | c->in[c->at + i];
    } else {
        for (unsigned i = 0; i < size; i++)
            c->out[c->at + i] = (uint8_t)(v >> (8 * (size - 1 - i)));
    }
    c->at += size;
    return v;
}

static void u8(struct cursor *c, uint8_t *v)
{
    *v = (uint8_t)number(c, 1, *v);
}

static void u16(struct cursor *c, uint16_t *v)
{
    *v = (uint16_t)number(c, 2, *v);
}

static void u32(struct cursor *c, uint32_t *v)
{
    *v = (uint32_t)number(c, 4, *v);
}

static void u64(struct cursor *c, uint64_t *v)
{
    *v = number(c, 8, *v);
}

/* @size bytes that are 0 in this version. */
static void zero(struct cursor *c, unsigned size)
{
    require(c, number(c, size, 0) == 0);
}

static void flag(struct cursor *c, bool *v)
{
    uint8_t byte = *v;
    u8(c, &byte);
    require(c, byte <= 1);
    *v = byte == 1;
}

static void array(struct cursor *c, uint8_t *v, size_t len)
{
    if (!take(c, len)) {
        if (c->in)
            memset(v, 0, len);
        return;
    }
    if (c->in)
        memcpy(v, c->in + c->at, len);
    else
        memcpy(c->out + c->at, v, len);
    c->at += len;
}

/* v->len bytes, which stay where they are. */
static void bytes(struct cursor *c, struct relay_bytes *v)
{
    if (!take(c, v->len)) {
        if (c->in)
            *v = (struct relay_bytes){ 0 };
        return;
    }
    if (c->in)
        v->data = c->in + c->at;
    else if (v->len)
        memcpy(c->out + c->at, v->data, v->len);
    c->at += v->len;
}

/* All that is left. */
static void rest(struct cursor *c, struct relay_bytes *v)
{
    if (c->in)
        v->len = c->error ? 0 : c->len - c->at;
    bytes(c, v);
}

/* A length of 16 bits, at most @max, and so many characters of @low to 0x7e. */
static void text(struct cursor *c, struct relay_bytes *v, size_t max, uint8_t low)
{
    if (!c->in && v->len > max) {
        fail(c, RELAY_OVERSIZE);
        return;
    }
    v->len = (size_t)number(c, 2, v->len);
    if (v->len > max)
        fail(c, RELAY_OVERSIZE);
    bytes(c, v);
    if (c->error)
        return;
    for (size_t i = 0; i < v->len; i++)
        require(c, v->data[i] >= low && v->data[i] <= 0x7e);
}

static bool all_zero(const uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p[i])
            return false;
    }
    return true;
}

static void address(struct cursor *c, struct relay_address *a, bool optional)
{
    u8(c, &a->family);
    zero(c, 1);
    u16(c, &a->port);
    array(c, a->ip, sizeof a->ip);
    if (a->family == 0)
        require(c, optional && !a->port && all_zero(a->ip, 16));
    else if (a->family == 4)
        require(c, all_zero(a->ip + 4, 12));
    else
        require(c, a->family == 6);
}

static void window(struct cursor *c, uint32_t *v)
{
    u32(c, v);
    require(c, *v <= RELAY_CREDIT_MAX);
}

/* ---- batches ---- */

static uint32_t length_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

bool relay_next_frame(struct relay_bytes *rest, struct relay_bytes *frame)
{
    if (rest->len < 4)
        return false;
    uint32_t len = length_at(rest->data);
    if (len < RELAY_FRAME_MIN || len > RELAY_FRAME_MAX || len > rest->len - 4)
        return false;
    *frame = (struct relay_bytes){ rest->data + 4, len };
    rest->data += 4 + len;
    rest->len -= 4 + len;
    return true;
}

bool relay_next_dgram(struct relay_bytes *rest, struct relay_address *addr,
                      struct relay_bytes *dgram)
{
    struct cursor c = { .in = rest->data, .len = rest->len };
    uint32_t len = 0;
    if (!rest->len)
        return false;
    *addr = (struct relay_address){ 0 };
    u32(&c, &len);
    address(&c, addr, false);
    if (c.error || len > RELAY_DGRAM_MAX || len > c.len - c.at)
        return false;
    *dgram = (struct relay_bytes){ rest->data + c.at, len };
    rest->data += c.at + len;
    rest->len -= c.at + len;
    return true;
}

/* What is wrong with the first entry of a batch that one of the above refused. */
static enum relay_error batch_error(struct relay_bytes rest, bool frames)
{
    if (rest.len < 4)
        return RELAY_TRUNCATED;
    uint32_t len = length_at(rest.data);
    if (frames && len < RELAY_FRAME_MIN)
        return RELAY_MALFORMED;
    if (len > (frames ? RELAY_FRAME_MAX : RELAY_DGRAM_MAX))
        return RELAY_OVERSIZE;
    return rest.len - 4 < len + (frames ? 0 : RELAY_ADDRESS) ? RELAY_TRUNCATED : RELAY_MALFORMED;
}

static void batch(struct cursor *c, struct relay_bytes *v, bool frames)
{
    struct relay_bytes entry, left;
    struct relay_address addr;
    rest(c, v);
    if (c->error)
        return;
    left = *v;
    while (frames ? relay_next_frame(&left, &entry) : relay_next_dgram(&left, &addr, &entry)) {
    }
    if (left.len)
        fail(c, batch_error(left, frames));
}

/* ---- bodies ---- */

static void hello(struct cursor *c, struct relay_hello *h)
{
    uint32_t magic = RELAY_MAGIC;
    u32(c, &magic);
    require(c, magic == RELAY_MAGIC);
    u16(c, &h->version_min);
    u16(c, &h->version_max);
    require(c, h->version_min && h->version_min <= h->version_max);
    u32(c, &h->features);
    array(c, h->session, sizeof h->session);
    array(c, h->key, sizeof h->key);
    text(c, &h->token, RELAY_TOKEN_MAX, 0x21);
}

static void welcome(struct cursor *c, struct relay_welcome *w)
{
    u16(c, &w->version);
    require(c, w->version != 0);
    flag(c, &w->resumed);
    zero(c, 1);
    u16(c, &w->keepalive_s);
    require(c, w->keepalive_s != 0);
    u16(c, &w->resume_s);
    u32(c, &w->features);
    array(c, w->session, sizeof w->session);
    array(c, w->key, sizeof w->key);
    u32(c, &w->max_channels);
    u32(c, &w->max_frames_per_s);
    u64(c, &w->max_bytes_per_s);
}

static void room(struct cursor *c, struct relay_bytes *v)
{
    text(c, v, RELAY_ROOM_MAX, 0x21);
    if (c->error)
        return;
    require(c, v->len > 0 && v->data[0] != '.');
    for (size_t i = 0; i < v->len; i++) {
        uint8_t ch = v->data[i], lower = ch | 0x20;
        require(c, (lower >= 'a' && lower <= 'z') || (ch >= '0' && ch <= '9') || ch == '.' ||
                       ch == '_' || ch == '-');
    }
}

static void open_body(struct cursor *c, struct relay_open *o)
{
    u8(c, &o->kind);
    zero(c, 3);
    window(c, &o->window);
    if (o->kind != RELAY_TCP && o->kind != RELAY_LISTEN && o->kind != RELAY_SMB)
        require(c, o->window >= RELAY_WINDOW_MIN);
    if (c->error)
        return;
    switch (o->kind) {
    case RELAY_ETHER: room(c, &o->room); break;
    case RELAY_TCP:
        address(c, &o->address, false);
        require(c, o->address.port != 0);
        break;
    case RELAY_UDP: address(c, &o->address, false); break;
    case RELAY_ICMP:
        address(c, &o->address, false);
        require(c, o->address.port == 0);
        break;
    case RELAY_LISTEN:
        address(c, &o->address, false);
        u16(c, &o->backlog);
        zero(c, 2);
        break;
    case RELAY_DNS:
    case RELAY_SMB: break;
    default: fail(c, RELAY_MALFORMED);
    }
}

static void error_number(struct cursor *c, uint16_t *error)
{
    u16(c, error);
    zero(c, 2);
}

static void answer(struct cursor *c, struct relay_message *m)
{
    error_number(c, &m->query.error);
    rest(c, &m->query.dns);
    if (m->query.error)
        require(c, m->query.dns.len == 0);
    else if (m->query.dns.len < RELAY_DNS_MIN)
        fail(c, RELAY_TRUNCATED);
}

static void body(struct cursor *c, struct relay_message *m)
{
    switch (m->type) {
    case RELAY_HELLO: hello(c, &m->hello); break;
    case RELAY_WELCOME: welcome(c, &m->welcome); break;
    case RELAY_FAIL:
        u16(c, &m->fail.code);
        text(c, &m->fail.text, RELAY_TEXT_MAX, 0x20);
        break;
    case RELAY_PING:
    case RELAY_PONG: u64(c, &m->ping); break;
    case RELAY_BYE:
    case RELAY_SHUT: break;
    case RELAY_OPEN: open_body(c, &m->open); break;
    case RELAY_OPENED:
        error_number(c, &m->opened.error);
        window(c, &m->opened.window);
        address(c, &m->opened.local, true);
        break;
    case RELAY_ACCEPT:
        u32(c, &m->accept.listener);
        require(c, m->accept.listener && !(m->accept.listener & RELAY_CHANNEL_SERVER));
        window(c, &m->accept.window);
        address(c, &m->accept.peer, false);
        address(c, &m->accept.local, false);
        break;
    case RELAY_ACCEPTED:
        error_number(c, &m->accepted.error);
        window(c, &m->accepted.window);
        break;
    case RELAY_DATA: rest(c, &m->bytes); break;
    case RELAY_DGRAMS: batch(c, &m->bytes, false); break;
    case RELAY_FRAMES: batch(c, &m->bytes, true); break;
    case RELAY_CREDIT:
        window(c, &m->credit);
        require(c, m->credit != 0);
        break;
    case RELAY_CLOSE: error_number(c, &m->close); break;
    case RELAY_QUERY:
        u32(c, &m->query.id);
        rest(c, &m->query.dns);
        break;
    case RELAY_ANSWER:
        u32(c, &m->query.id);
        answer(c, m);
        break;
    case RELAY_UNREACH:
        error_number(c, &m->unreach.error);
        require(c, m->unreach.error != 0);
        address(c, &m->unreach.to, false);
        break;
    case RELAY_URGENT: u8(c, &m->urgent); break;
    }
}

/* Who gave the number must be who opens the channel. */
static enum relay_error check_channel(const struct type_info *t, uint8_t type, uint32_t channel)
{
    bool server = channel & RELAY_CHANNEL_SERVER;
    if ((channel != 0) != (t->rule == CHANNEL))
        return RELAY_BAD_CHANNEL;
    if ((type == RELAY_OPEN || type == RELAY_OPENED) && server)
        return RELAY_BAD_CHANNEL;
    if ((type == RELAY_ACCEPT || type == RELAY_ACCEPTED) && !server)
        return RELAY_BAD_CHANNEL;
    return RELAY_OK;
}

enum relay_error relay_parse(const uint8_t *data, size_t len, enum relay_side sender,
                             struct relay_message *msg, size_t *used)
{
    memset(msg, 0, sizeof *msg);
    *used = 0;
    if (len > RELAY_BATCH_MAX)
        return RELAY_OVERSIZE;
    if (len < RELAY_HEADER)
        return RELAY_TRUNCATED;
    size_t size = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3];
    msg->type = data[0];
    msg->channel = length_at(data + 4);
    const struct type_info *t = type_info(msg->type);
    if (!t)
        return RELAY_UNKNOWN_TYPE;
    if (!(t->senders & sender))
        return RELAY_UNEXPECTED;
    if (size > t->max)
        return RELAY_OVERSIZE;
    if (size < t->min || size > len - RELAY_HEADER)
        return RELAY_TRUNCATED;
    enum relay_error error = check_channel(t, msg->type, msg->channel);
    if (error)
        return error;
    struct cursor c = { .in = data + RELAY_HEADER, .len = size };
    body(&c, msg);
    if (!c.error && c.at != c.len)
        c.error = RELAY_OVERSIZE;
    *used = RELAY_HEADER + size;
    return c.error;
}

static void put_header(uint8_t *out, uint8_t type, uint32_t channel, size_t size)
{
    out[0] = type;
    out[1] = (uint8_t)(size >> 16);
    out[2] = (uint8_t)(size >> 8);
    out[3] = (uint8_t)size;
    for (int i = 0; i < 4; i++)
        out[4 + i] = (uint8_t)(channel >> (24 - 8 * i));
}

size_t relay_build(uint8_t *out, size_t room, enum relay_side sender,
                   const struct relay_message *msg)
{
    const struct type_info *t = type_info(msg->type);
    if (!t || !(t->senders & sender) || room < RELAY_HEADER ||
        check_channel(t, msg->type, msg->channel))
        return 0;
    struct relay_message m = *msg;
    struct cursor c = { .out = out + RELAY_HEADER, .len = room - RELAY_HEADER };
    body(&c, &m);
    if (c.error || c.at < t->min || c.at > t->max)
        return 0;
    put_header(out, m.type, m.channel, c.at);
    return RELAY_HEADER + c.at;
}

bool relay_batch_begin(struct relay_batch *b, uint8_t *out, size_t room, enum relay_type type,
                       uint32_t channel)
{
    size_t most = RELAY_HEADER + RELAY_BODY_MAX;
    *b = (struct relay_batch){ .out = out, .room = room < most ? room : most };
    if (room < RELAY_HEADER || !channel || (type != RELAY_FRAMES && type != RELAY_DGRAMS))
        return false;
    put_header(out, (uint8_t)type, channel, 0);
    b->len = RELAY_HEADER;
    return true;
}

bool relay_batch_frame(struct relay_batch *b, const void *data, size_t len)
{
    struct cursor c = { .out = b->out, .len = b->room, .at = b->len };
    if (len < RELAY_FRAME_MIN || len > RELAY_FRAME_MAX || !b->len || b->out[0] != RELAY_FRAMES)
        return false;
    number(&c, 4, len);
    bytes(&c, &(struct relay_bytes){ data, len });
    if (!c.error)
        b->len = c.at;
    return !c.error;
}

bool relay_batch_dgram(struct relay_batch *b, const struct relay_address *addr, const void *data,
                       size_t len)
{
    struct cursor c = { .out = b->out, .len = b->room, .at = b->len };
    struct relay_address a = *addr;
    if (len > RELAY_DGRAM_MAX || !b->len || b->out[0] != RELAY_DGRAMS)
        return false;
    number(&c, 4, len);
    address(&c, &a, false);
    bytes(&c, &(struct relay_bytes){ data, len });
    if (!c.error)
        b->len = c.at;
    return !c.error;
}

size_t relay_batch_end(struct relay_batch *b)
{
    if (b->len <= RELAY_HEADER)
        return 0;
    put_header(b->out, b->out[0], length_at(b->out + 4), b->len - RELAY_HEADER);
    return b->len;
}

/* ---- credit ---- */

uint32_t relay_cost(const struct relay_message *msg)
{
    switch (msg->type) {
    case RELAY_DATA:
    case RELAY_DGRAMS:
    case RELAY_FRAMES: return (uint32_t)msg->bytes.len;
    case RELAY_QUERY: return 4 + (uint32_t)msg->query.dns.len;
    case RELAY_ANSWER: return 8 + (uint32_t)msg->query.dns.len;
    case RELAY_URGENT: return 1;
    default: return 0;
    }
}

enum relay_error relay_credit_init(struct relay_credit *c, uint32_t window, uint32_t peer)
{
    *c = (struct relay_credit){ 0 };
    if (window > RELAY_CREDIT_MAX || peer > RELAY_CREDIT_MAX)
        return RELAY_CREDIT_OVERFLOW;
    *c = (struct relay_credit){ .send = peer, .window = window, .recv = window };
    return RELAY_OK;
}

enum relay_error relay_credit_given(struct relay_credit *c, uint32_t n)
{
    if (n > RELAY_CREDIT_MAX - c->send)
        return RELAY_CREDIT_OVERFLOW;
    c->send += n;
    return RELAY_OK;
}

bool relay_credit_spend(struct relay_credit *c, uint32_t n)
{
    if (n > c->send)
        return false;
    c->send -= n;
    return true;
}

enum relay_error relay_credit_received(struct relay_credit *c, uint32_t n)
{
    if (n > c->recv)
        return RELAY_CREDIT_EXCEEDED;
    c->recv -= n;
    return RELAY_OK;
}

uint32_t relay_credit_done(struct relay_credit *c, uint32_t n)
{
    uint32_t most = c->window - c->recv - c->owed; /* received, not dealt with: never below 0 */
    c->owed += n < most ? n : most;
    if (!c->owed || c->owed < c->window / 2)
        return 0;
    uint32_t give = c->owed;
    c->owed = 0;
    c->recv += give;
    return give;
}

/* ---- names ---- */

const char *relay_type_name(unsigned type)
{
    const struct type_info *t = type_info(type);
    return t ? t->name : "?";
}

const char *relay_error_name(unsigned error)
{
    static const char *const names[RELAY_ERRORS] = {
        [RELAY_OK] = "OK",
        [RELAY_BAD_VERSION] = "BAD_VERSION",
        [RELAY_BAD_TOKEN] = "BAD_TOKEN",
        [RELAY_TOKEN_EXPIRED] = "TOKEN_EXPIRED",
        [RELAY_BAD_ORIGIN] = "BAD_ORIGIN",
        [RELAY_TRUNCATED] = "TRUNCATED",
        [RELAY_OVERSIZE] = "OVERSIZE",
        [RELAY_MALFORMED] = "MALFORMED",
        [RELAY_UNKNOWN_TYPE] = "UNKNOWN_TYPE",
        [RELAY_UNEXPECTED] = "UNEXPECTED",
        [RELAY_BAD_CHANNEL] = "BAD_CHANNEL",
        [RELAY_CREDIT_EXCEEDED] = "CREDIT_EXCEEDED",
        [RELAY_CREDIT_OVERFLOW] = "CREDIT_OVERFLOW",
        [RELAY_LIMIT] = "LIMIT",
        [RELAY_TIMEOUT] = "TIMEOUT",
        [RELAY_SUPERSEDED] = "SUPERSEDED",
        [RELAY_SHUTDOWN] = "SHUTDOWN",
        [RELAY_INTERNAL] = "INTERNAL",
    };
    return error < RELAY_ERRORS ? names[error] : "?";
}
