/*
 * The relay's wire protocol: every message there and back, every way to cut and to lengthen it,
 * values that fields can't have, batches, credit.
 */
#include <stdlib.h>

#include "relay/protocol.h"
#include "test.h"

static uint8_t wire[RELAY_BATCH_MAX + 1];

#define BYTES(s)                                                                                   \
    {                                                                                              \
        (const uint8_t *)(s), sizeof(s) - 1                                                        \
    }
#define V4                                                                                         \
    {                                                                                              \
        .family = 4, .port = 80, .ip = { 93, 184, 216, 34 }                                        \
    }
#define V6                                                                                         \
    {                                                                                              \
        .family = 6, .port = 443, .ip = { 0x26, 0x06, 0x47, [15] = 1 }                             \
    }
#define SERVERS (RELAY_CHANNEL_SERVER | 3)

static const uint8_t query[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\7example\0\0\1\0\1";
static const uint8_t frames[] = "\0\0\0\x0e"
                                "aaaaaabbbbbbcc"
                                "\0\0\0\x0f"
                                "ddddddeeeeeeffg";
static const uint8_t dgrams[] = "\0\0\0\3\4\0\0\x35\x08\x08\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0"
                                "abc"
                                "\0\0\0\0\4\0\0\x35\x08\x08\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0";

/* One of each message and each shape of it, and its length on the wire. */
static const struct sample {
    enum relay_side sender;
    size_t len;
    struct relay_message m;
} samples[] = {
    { RELAY_CLIENT,
      8 + 46 + 5,
      { RELAY_HELLO, 0,
        .hello = { 1, 3, 0, { 1, 2, [15] = 3 }, { 4, [15] = 5 }, BYTES("a.b-c") } } },
    { RELAY_CLIENT, 8 + 46, { RELAY_HELLO, 0, .hello = { .version_min = 1, .version_max = 1 } } },
    { RELAY_SERVER,
      8 + 60,
      { RELAY_WELCOME, 0,
        .welcome = { 1,
                     true,
                     30,
                     60,
                     0,
                     { 9, [15] = 8 },
                     { 7, [15] = 6 },
                     1024,
                     100000,
                     0x123456789aull } } },
    { RELAY_SERVER, 8 + 4 + 8, { RELAY_FAIL, 0, .fail = { RELAY_LIMIT, BYTES("too many") } } },
    { RELAY_CLIENT, 8 + 4, { RELAY_FAIL, 0, .fail = { RELAY_MALFORMED, { NULL, 0 } } } },
    { RELAY_CLIENT, 16, { RELAY_PING, 0, .ping = 0x0102030405060708ull } },
    { RELAY_SERVER, 16, { RELAY_PONG, 0, .ping = UINT64_MAX } },
    { RELAY_CLIENT, 8, { .type = RELAY_BYE } },
    { RELAY_CLIENT,
      8 + 8 + 2 + 5,
      { RELAY_OPEN, 1, .open = { RELAY_ETHER, 1 << 20, .room = BYTES("lab-7") } } },
    { RELAY_CLIENT, 36, { RELAY_OPEN, 2, .open = { RELAY_TCP, 65536, .address = V4 } } },
    { RELAY_CLIENT, 36, { RELAY_OPEN, 3, .open = { RELAY_UDP, 1 << 20, .address = V6 } } },
    { RELAY_CLIENT,
      36,
      { RELAY_OPEN, 4, .open = { RELAY_ICMP, 1 << 20, .address = { .family = 4 } } } },
    { RELAY_CLIENT,
      40,
      { RELAY_OPEN, 5, .open = { RELAY_LISTEN, 0, .address = V4, .backlog = 16 } } },
    { RELAY_CLIENT,
      16,
      { RELAY_OPEN, 0x7fffffff, .open = { .kind = RELAY_DNS, .window = 1 << 20 } } },
    { RELAY_CLIENT, 16, { RELAY_OPEN, 6, .open = { .kind = RELAY_SMB, .window = 65536 } } },
    { RELAY_SERVER, 36, { RELAY_OPENED, 2, .opened = { 0, 65536, V4 } } },
    { RELAY_SERVER, 36, { RELAY_OPENED, 2, .opened = { RELAY_ECONNREFUSED, 0, { 0 } } } },
    { RELAY_SERVER, 56, { RELAY_ACCEPT, SERVERS, .accept = { 5, 65536, V6, V6 } } },
    { RELAY_CLIENT, 16, { RELAY_ACCEPTED, SERVERS, .accepted = { 0, RELAY_CREDIT_MAX } } },
    { RELAY_CLIENT, 13, { RELAY_DATA, 2, .bytes = BYTES("hello") } },
    { RELAY_SERVER, 8 + sizeof dgrams - 1, { RELAY_DGRAMS, 3, .bytes = BYTES(dgrams) } },
    { RELAY_CLIENT, 8 + sizeof frames - 1, { RELAY_FRAMES, 1, .bytes = BYTES(frames) } },
    { RELAY_SERVER, 12, { RELAY_CREDIT, SERVERS, .credit = RELAY_CREDIT_MAX } },
    { RELAY_CLIENT, 8, { .type = RELAY_SHUT, .channel = 2 } },
    { RELAY_SERVER, 12, { RELAY_CLOSE, 2, .close = RELAY_ECONNRESET } },
    { RELAY_CLIENT, 12 + sizeof query - 1, { RELAY_QUERY, 6, .query = { 77, 0, BYTES(query) } } },
    { RELAY_SERVER, 16 + sizeof query - 1, { RELAY_ANSWER, 6, .query = { 77, 0, BYTES(query) } } },
    { RELAY_SERVER, 16, { RELAY_ANSWER, 6, .query = { 78, RELAY_ETIMEDOUT, { NULL, 0 } } } },
    { RELAY_SERVER, 32, { RELAY_UNREACH, 3, .unreach = { RELAY_ECONNREFUSED, V4 } } },
    { RELAY_CLIENT, 9, { RELAY_URGENT, 2, .urgent = 0xff } },
};
#define FOR_EACH(s)                                                                                \
    for (const struct sample *s = samples; s < samples + sizeof samples / sizeof *samples; s++)

static bool same_bytes(struct relay_bytes a, struct relay_bytes b)
{
    return a.len == b.len && (!a.len || !memcmp(a.data, b.data, a.len));
}

static bool same_address(const struct relay_address *a, const struct relay_address *b)
{
    return a->family == b->family && a->port == b->port && !memcmp(a->ip, b->ip, 16);
}

static bool same(const struct relay_message *a, const struct relay_message *b)
{
    if (a->type != b->type || a->channel != b->channel)
        return false;
    switch (a->type) {
    case RELAY_HELLO:
        return a->hello.version_min == b->hello.version_min &&
               a->hello.version_max == b->hello.version_max &&
               a->hello.features == b->hello.features &&
               !memcmp(a->hello.session, b->hello.session, 16) &&
               !memcmp(a->hello.key, b->hello.key, 16) &&
               same_bytes(a->hello.token, b->hello.token);
    case RELAY_WELCOME:
        return a->welcome.version == b->welcome.version &&
               a->welcome.resumed == b->welcome.resumed &&
               a->welcome.keepalive_s == b->welcome.keepalive_s &&
               a->welcome.resume_s == b->welcome.resume_s &&
               a->welcome.features == b->welcome.features &&
               !memcmp(a->welcome.session, b->welcome.session, 16) &&
               !memcmp(a->welcome.key, b->welcome.key, 16) &&
               a->welcome.max_channels == b->welcome.max_channels &&
               a->welcome.max_frames_per_s == b->welcome.max_frames_per_s &&
               a->welcome.max_bytes_per_s == b->welcome.max_bytes_per_s;
    case RELAY_FAIL: return a->fail.code == b->fail.code && same_bytes(a->fail.text, b->fail.text);
    case RELAY_PING:
    case RELAY_PONG: return a->ping == b->ping;
    case RELAY_OPEN:
        return a->open.kind == b->open.kind && a->open.window == b->open.window &&
               a->open.backlog == b->open.backlog && same_bytes(a->open.room, b->open.room) &&
               same_address(&a->open.address, &b->open.address);
    case RELAY_OPENED:
        return a->opened.error == b->opened.error && a->opened.window == b->opened.window &&
               same_address(&a->opened.local, &b->opened.local);
    case RELAY_ACCEPT:
        return a->accept.listener == b->accept.listener && a->accept.window == b->accept.window &&
               same_address(&a->accept.peer, &b->accept.peer) &&
               same_address(&a->accept.local, &b->accept.local);
    case RELAY_ACCEPTED:
        return a->accepted.error == b->accepted.error && a->accepted.window == b->accepted.window;
    case RELAY_DATA:
    case RELAY_DGRAMS:
    case RELAY_FRAMES: return same_bytes(a->bytes, b->bytes);
    case RELAY_CREDIT: return a->credit == b->credit;
    case RELAY_CLOSE: return a->close == b->close;
    case RELAY_QUERY:
    case RELAY_ANSWER:
        return a->query.id == b->query.id && a->query.error == b->query.error &&
               same_bytes(a->query.dns, b->query.dns);
    case RELAY_UNREACH:
        return a->unreach.error == b->unreach.error && same_address(&a->unreach.to, &b->unreach.to);
    case RELAY_URGENT: return a->urgent == b->urgent;
    default: return true;
    }
}

/* Parses from a block of exactly @len bytes, so that a sanitizer sees reads behind them. */
static enum relay_error parse(const void *data, size_t len, enum relay_side sender)
{
    struct relay_message m;
    size_t used;
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, data, len);
    enum relay_error error = relay_parse(copy, len, sender, &m, &used);
    free(copy);
    return error;
}

static void set_length(uint8_t *message, size_t body)
{
    message[1] = (uint8_t)(body >> 16);
    message[2] = (uint8_t)(body >> 8);
    message[3] = (uint8_t)body;
}

static void there_and_back(void)
{
    unsigned seen[256] = { 0 };
    FOR_EACH(s)
    {
        struct relay_message got;
        size_t used;
        memset(wire, 0xee, 4096);
        size_t n = relay_build(wire, sizeof wire, s->sender, &s->m);
        if (n != s->len)
            TEST_FAIL_("%s has %zu bytes, not %zu", relay_type_name(s->m.type), n, s->len);
        CHECK_EQ(wire[n], 0xee);
        CHECK_EQ(relay_parse(wire, n, s->sender, &got, &used), RELAY_OK);
        CHECK_EQ(used, n);
        CHECK(same(&s->m, &got));
        /* With another one behind it. */
        CHECK_EQ(relay_parse(wire, n + 100, s->sender, &got, &used), RELAY_OK);
        CHECK_EQ(used, n);
        seen[s->m.type]++;
    }
    for (unsigned type = 0; type < 256; type++)
        CHECK_EQ(seen[type] != 0, strcmp(relay_type_name(type), "?") != 0);
}

static void bytes_on_the_wire(void)
{
    struct relay_message m = { RELAY_OPEN, 0x01020304,
                               .open = { RELAY_TCP, 0x00010000, .address = V4 } };
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 36);
    CHECK(!memcmp(wire,
                  "\x10\0\0\x1c\1\2\3\4"
                  "\2\0\0\0\0\1\0\0"
                  "\4\0\0\x50\x5d\xb8\xd8\x22\0\0\0\0\0\0\0\0\0\0\0\0",
                  36));
}

static void cut_anywhere(void)
{
    FOR_EACH(s)
    {
        size_t n = relay_build(wire, sizeof wire, s->sender, &s->m);
        for (size_t k = 0; k < n; k++) /* the WebSocket message ends early */
            CHECK_EQ(parse(wire, k, s->sender), RELAY_TRUNCATED);
        for (size_t k = 0; k + 8 < n; k++) { /* the message says that it is shorter */
            set_length(wire, k);
            enum relay_error want = RELAY_TRUNCATED, got = parse(wire, 8 + k, s->sender);
            /* What has no end of its own is just shorter. */
            size_t least = s->m.type == RELAY_DATA     ? 1
                           : s->m.type == RELAY_QUERY  ? 16
                           : s->m.type == RELAY_ANSWER ? 20
                           : s->m.type == RELAY_FRAMES ? 18
                           : s->m.type == RELAY_DGRAMS ? 27
                                                       : SIZE_MAX;
            bool batch = s->m.type == RELAY_FRAMES || s->m.type == RELAY_DGRAMS;
            if (batch ? k == least : k >= least)
                want = RELAY_OK;
            if (got != want)
                TEST_FAIL_("%s cut to %zu: %s", relay_type_name(s->m.type), k,
                           relay_error_name(got));
        }
    }
}

static void bytes_too_many(void)
{
    FOR_EACH(s)
    {
        size_t n = relay_build(wire, sizeof wire, s->sender, &s->m), body = n - 8;
        bool open_end = s->m.type == RELAY_DATA || s->m.type == RELAY_QUERY ||
                        (s->m.type == RELAY_ANSWER && !s->m.query.error);
        bool batch = s->m.type == RELAY_FRAMES || s->m.type == RELAY_DGRAMS;
        bool no_dns = s->m.type == RELAY_ANSWER && s->m.query.error;
        memset(wire + n, 0, 64);
        for (size_t more = 1; more < 4; more++) {
            set_length(wire, body + more);
            CHECK_EQ(parse(wire, n + more, s->sender), open_end ? RELAY_OK
                                                       : batch  ? RELAY_TRUNCATED
                                                       : no_dns ? RELAY_MALFORMED
                                                                : RELAY_OVERSIZE);
        }
        /* Over the limit is seen in the header, before the bytes are there. */
        set_length(wire, RELAY_BODY_MAX + 1);
        CHECK_EQ(parse(wire, 8, s->sender), RELAY_OVERSIZE);
        set_length(wire, 0xffffff);
        CHECK_EQ(parse(wire, 8, s->sender), RELAY_OVERSIZE);
    }
    wire[0] = RELAY_DATA;
    wire[7] = 1;
    set_length(wire, 1);
    struct relay_message m;
    size_t used;
    CHECK_EQ(relay_parse(wire, RELAY_BATCH_MAX + 1, RELAY_CLIENT, &m, &used), RELAY_OVERSIZE);
}

static void no_room_to_build(void)
{
    FOR_EACH(s)
    {
        for (size_t room = 0; room < s->len; room++) {
            uint8_t *out = malloc(room ? room : 1);
            CHECK_EQ(relay_build(out, room, s->sender, &s->m), 0);
            free(out);
        }
        CHECK_EQ(relay_build(wire, s->len, s->sender, &s->m), s->len);
    }
}

static void sides_and_channels(void)
{
    FOR_EACH(s)
    {
        bool both = s->m.type == RELAY_FAIL || s->m.type == RELAY_PING || s->m.type == RELAY_PONG ||
                    (s->m.type >= RELAY_DATA && s->m.type <= RELAY_CLOSE) ||
                    s->m.type == RELAY_URGENT;
        enum relay_side other = s->sender == RELAY_CLIENT ? RELAY_SERVER : RELAY_CLIENT;
        struct relay_message m = s->m;
        size_t n = relay_build(wire, sizeof wire, s->sender, &m);
        CHECK_EQ(parse(wire, n, other), both ? RELAY_OK : RELAY_UNEXPECTED);
        CHECK_EQ(relay_build(wire + 8192, 8192, other, &m) != 0, both);
        memcpy(wire + 4, m.channel ? "\0\0\0\0" : "\0\0\0\1", 4);
        CHECK_EQ(parse(wire, n, s->sender), RELAY_BAD_CHANNEL);
        m.channel = !m.channel;
        CHECK_EQ(relay_build(wire + 8192, 8192, s->sender, &m), 0);
        if (s->m.type >= RELAY_OPEN && s->m.type <= RELAY_ACCEPTED) { /* the other side's number */
            memcpy(wire + 4, s->m.type <= RELAY_OPENED ? "\x80\0\0\1" : "\0\0\0\1", 4);
            CHECK_EQ(parse(wire, n, s->sender), RELAY_BAD_CHANNEL);
        }
    }
    for (unsigned type = 0; type < 256; type++) {
        uint8_t header[8] = { (uint8_t)type };
        if (!strcmp(relay_type_name(type), "?"))
            CHECK_EQ(parse(header, 8, RELAY_CLIENT), RELAY_UNKNOWN_TYPE);
    }
}

/* Sets byte @at of sample @m's wire form to @value; what the parser says. */
static enum relay_error spoilt(enum relay_side sender, const struct relay_message *m, size_t at,
                               uint8_t value)
{
    size_t n = relay_build(wire, sizeof wire, sender, m);
    wire[8 + at] = value;
    return parse(wire, n, sender);
}

static void values_that_cannot_be(void)
{
    static const struct {
        uint8_t type, kind; /* of the first such sample */
        uint8_t at, value;
    } bad[] = {
        { RELAY_HELLO, 0, 0, 'X' },  /* magic */
        { RELAY_HELLO, 0, 5, 0 },    /* version 0 */
        { RELAY_HELLO, 0, 5, 4 },    /* least over most */
        { RELAY_HELLO, 0, 46, ' ' }, /* token */
        { RELAY_HELLO, 0, 50, 0x7f },
        { RELAY_WELCOME, 0, 1, 0 },        /* version 0 */
        { RELAY_WELCOME, 0, 2, 2 },        /* flag */
        { RELAY_WELCOME, 0, 3, 1 },        /* reserved */
        { RELAY_WELCOME, 0, 5, 0 },        /* keep-alive 0 */
        { RELAY_FAIL, 0, 4, '\n' },        /* text */
        { RELAY_OPEN, RELAY_ETHER, 0, 0 }, /* kind */
        { RELAY_OPEN, RELAY_DNS, 0, 8 },
        { RELAY_OPEN, RELAY_DNS, 3, 1 },      /* reserved */
        { RELAY_OPEN, RELAY_ETHER, 4, 0x80 }, /* window */
        { RELAY_OPEN, RELAY_ETHER, 5, 0 },    /* too small for a frame */
        { RELAY_OPEN, RELAY_ETHER, 10, '/' }, /* room */
        { RELAY_OPEN, RELAY_ETHER, 10, '.' },
        { RELAY_OPEN, RELAY_ETHER, 12, ' ' },
        { RELAY_OPEN, RELAY_ETHER, 12, '@' },
        { RELAY_OPEN, RELAY_TCP, 8, 0 }, /* family */
        { RELAY_OPEN, RELAY_TCP, 8, 5 },
        { RELAY_OPEN, RELAY_TCP, 9, 1 },     /* reserved */
        { RELAY_OPEN, RELAY_TCP, 11, 0 },    /* port 0 */
        { RELAY_OPEN, RELAY_TCP, 27, 1 },    /* behind an IPv4 address */
        { RELAY_OPEN, RELAY_ICMP, 11, 1 },   /* a port */
        { RELAY_OPEN, RELAY_LISTEN, 31, 1 }, /* reserved */
        { RELAY_OPENED, 0, 2, 1 },           /* reserved */
        { RELAY_OPENED, 0, 8, 0 },           /* no family, but an address */
        { RELAY_ACCEPT, 0, 0, 0x80 },        /* listener */
        { RELAY_ACCEPT, 0, 3, 0 },
        { RELAY_ACCEPT, 0, 8, 0 },      /* no peer */
        { RELAY_ACCEPTED, 0, 4, 0x80 }, /* window */
        { RELAY_DGRAMS, 0, 4, 0 },      /* family */
        { RELAY_DGRAMS, 0, 4 + 19, 1 }, /* behind an IPv4 address */
        { RELAY_FRAMES, 0, 3, 13 },     /* shorter than a header */
        { RELAY_CREDIT, 0, 0, 0x80 },
        { RELAY_CLOSE, 0, 3, 1 },   /* reserved */
        { RELAY_ANSWER, 0, 5, 1 },  /* an error and an answer */
        { RELAY_UNREACH, 0, 1, 0 }, /* no error */
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct sample *s = samples;
        while (s->m.type != bad[i].type || (bad[i].kind && s->m.open.kind != bad[i].kind))
            s++;
        enum relay_error error = spoilt(s->sender, &s->m, bad[i].at, bad[i].value);
        if (error != RELAY_MALFORMED)
            TEST_FAIL_("%s, byte %u = %u: %s", relay_type_name(bad[i].type), bad[i].at,
                       bad[i].value, relay_error_name(error));
    }
    /* Lengths inside of a body. */
    const struct sample *hello = samples, *open = samples;
    while (open->m.type != RELAY_OPEN)
        open++;
    CHECK_EQ(spoilt(RELAY_CLIENT, &hello->m, 45, 4), RELAY_OVERSIZE);
    CHECK_EQ(spoilt(RELAY_CLIENT, &hello->m, 45, 6), RELAY_TRUNCATED);
    CHECK_EQ(spoilt(RELAY_CLIENT, &hello->m, 44, 0xff), RELAY_OVERSIZE);
    CHECK_EQ(spoilt(RELAY_CLIENT, &open->m, 9, RELAY_ROOM_MAX + 1), RELAY_OVERSIZE);
    CHECK_EQ(spoilt(RELAY_CLIENT, &open->m, 9, RELAY_ROOM_MAX), RELAY_TRUNCATED);
    CHECK_EQ(spoilt(RELAY_CLIENT,
                    &(struct relay_message){ RELAY_FRAMES, 1, .bytes = BYTES(frames) }, 0, 0xff),
             RELAY_OVERSIZE);
    CHECK_EQ(spoilt(RELAY_CLIENT,
                    &(struct relay_message){ RELAY_DGRAMS, 1, .bytes = BYTES(dgrams) }, 1, 1),
             RELAY_OVERSIZE);
}

static void limits(void)
{
    static uint8_t big[RELAY_BODY_MAX + 1];
    memset(big, 'a', sizeof big);
    struct relay_message m = { RELAY_DATA, 1, .bytes = { big, RELAY_BODY_MAX } };
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 8 + RELAY_BODY_MAX);
    CHECK_EQ(parse(wire, 8 + RELAY_BODY_MAX, RELAY_CLIENT), RELAY_OK);
    m.bytes.len++;
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 0);
    m = (struct relay_message){ RELAY_HELLO, 0,
                                .hello = { 1, 1, .token = { big, RELAY_TOKEN_MAX } } };
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 8 + 46 + RELAY_TOKEN_MAX);
    m.hello.token.len++;
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 0);
    m = (struct relay_message){ RELAY_FAIL, 0, .fail = { 1, { big, 65536 + 3 } } };
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 0);
    m = (struct relay_message){ RELAY_QUERY, 1, .query = { 1, 0, { big, RELAY_DNS_MAX + 1 } } };
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 0);
    m.query.dns.len = RELAY_DNS_MIN - 1;
    CHECK_EQ(relay_build(wire, sizeof wire, RELAY_CLIENT, &m), 0);
}

static void batches(void)
{
    static uint8_t frame[RELAY_FRAME_MAX + 1];
    struct relay_batch b;
    struct relay_message m;
    struct relay_bytes one;
    struct relay_address addr, to = V6;
    size_t used, n = 0;
    CHECK(relay_batch_begin(&b, wire, RELAY_BATCH_MAX, RELAY_FRAMES, 9));
    CHECK_EQ(relay_batch_end(&b), 0);
    CHECK(!relay_batch_frame(&b, frame, 13));
    CHECK(!relay_batch_frame(&b, frame, RELAY_FRAME_MAX + 1));
    CHECK(!relay_batch_dgram(&b, &to, frame, 3));
    CHECK(relay_batch_frame(&b, frame, RELAY_FRAME_MAX));
    for (n = 1; relay_batch_frame(&b, frame, 1514); n++)
        frame[0] = (uint8_t)n;
    CHECK_EQ(n, 1 + (RELAY_BODY_MAX - 4 - RELAY_FRAME_MAX) / 1518);
    CHECK_EQ(relay_parse(wire, relay_batch_end(&b), RELAY_SERVER, &m, &used), RELAY_OK);
    CHECK_EQ(m.channel, 9);
    for (size_t i = 0; i < n; i++) {
        CHECK(relay_next_frame(&m.bytes, &one));
        CHECK_EQ(one.len, i ? 1514 : RELAY_FRAME_MAX);
        CHECK_EQ(one.data[0], i ? (uint8_t)(i - 1) : 0);
    }
    CHECK(!relay_next_frame(&m.bytes, &one) && !m.bytes.len);

    CHECK(!relay_batch_begin(&b, wire, 7, RELAY_DGRAMS, 9));
    CHECK(!relay_batch_begin(&b, wire, 100, RELAY_DGRAMS, 0));
    CHECK(!relay_batch_begin(&b, wire, 100, RELAY_DATA, 9));
    CHECK(relay_batch_begin(&b, wire, 8 + 24 + 24 + 3, RELAY_DGRAMS, 9));
    CHECK(relay_batch_dgram(&b, &to, frame, 0));
    CHECK(!relay_batch_dgram(&b, &to, frame, 4));
    CHECK(!relay_batch_dgram(&b, &(struct relay_address){ 0 }, frame, 1));
    CHECK(relay_batch_dgram(&b, &to, "xyz", 3));
    CHECK_EQ(relay_parse(wire, relay_batch_end(&b), RELAY_CLIENT, &m, &used), RELAY_OK);
    CHECK(relay_next_dgram(&m.bytes, &addr, &one) && same_address(&addr, &to) && !one.len);
    CHECK(relay_next_dgram(&m.bytes, &addr, &one) && one.len == 3 && !memcmp(one.data, "xyz", 3));
    CHECK(!relay_next_dgram(&m.bytes, &addr, &one) && !m.bytes.len);
}

static void credit_is_kept_and_comes_back(void)
{
    struct relay_credit c;
    CHECK_EQ(relay_credit_init(&c, 1000, 10), RELAY_OK);
    CHECK(relay_credit_spend(&c, 10) && !relay_credit_spend(&c, 1) && relay_credit_spend(&c, 0));
    CHECK_EQ(relay_credit_given(&c, 5), RELAY_OK);
    CHECK(!relay_credit_spend(&c, 6) && relay_credit_spend(&c, 5));

    CHECK_EQ(relay_credit_received(&c, 1001), RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(relay_credit_received(&c, 1000), RELAY_OK);
    CHECK_EQ(relay_credit_received(&c, 1), RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(relay_credit_done(&c, 499), 0);
    CHECK_EQ(relay_credit_done(&c, 1), 500);
    CHECK_EQ(relay_credit_received(&c, 501), RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(relay_credit_received(&c, 500), RELAY_OK);
    CHECK_EQ(relay_credit_done(&c, UINT32_MAX), 1000); /* no more than came */
    CHECK_EQ(relay_credit_done(&c, UINT32_MAX), 0);
}

static void credit_cannot_wrap(void)
{
    struct relay_credit c;
    CHECK_EQ(relay_credit_init(&c, RELAY_CREDIT_MAX + 1u, 0), RELAY_CREDIT_OVERFLOW);
    CHECK_EQ(relay_credit_init(&c, 0, UINT32_MAX), RELAY_CREDIT_OVERFLOW);
    CHECK(!relay_credit_spend(&c, 1));
    CHECK_EQ(relay_credit_init(&c, RELAY_CREDIT_MAX, RELAY_CREDIT_MAX), RELAY_OK);
    CHECK_EQ(relay_credit_given(&c, 1), RELAY_CREDIT_OVERFLOW);
    CHECK_EQ(relay_credit_given(&c, UINT32_MAX), RELAY_CREDIT_OVERFLOW);
    CHECK(!relay_credit_spend(&c, UINT32_MAX));
    CHECK(relay_credit_spend(&c, RELAY_CREDIT_MAX));
    CHECK_EQ(relay_credit_given(&c, RELAY_CREDIT_MAX), RELAY_OK);
    CHECK_EQ(relay_credit_received(&c, UINT32_MAX), RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(relay_credit_received(&c, RELAY_CREDIT_MAX), RELAY_OK);
    CHECK_EQ(relay_credit_done(&c, UINT32_MAX), RELAY_CREDIT_MAX);
    CHECK_EQ(relay_credit_init(&c, 0, 0), RELAY_OK);
    CHECK_EQ(relay_credit_received(&c, 1), RELAY_CREDIT_EXCEEDED);
    CHECK_EQ(relay_credit_done(&c, 1), 0);
}

static void costs(void)
{
    FOR_EACH(s)
    {
        uint8_t t = s->m.type;
        size_t n = relay_build(wire, sizeof wire, s->sender, &s->m);
        bool costs = t == RELAY_DATA || t == RELAY_DGRAMS || t == RELAY_FRAMES ||
                     t == RELAY_QUERY || t == RELAY_ANSWER || t == RELAY_URGENT;
        CHECK_EQ(relay_cost(&s->m), costs ? n - 8 : 0);
    }
}

static void names(void)
{
    for (unsigned i = 0; i < RELAY_ERRORS; i++)
        CHECK(relay_error_name(i) && strcmp(relay_error_name(i), "?"));
    CHECK_STR(relay_error_name(RELAY_ERRORS), "?");
    CHECK_STR(relay_type_name(RELAY_UNREACH), "UNREACH");
}

int main(void)
{
    RUN(there_and_back);
    RUN(bytes_on_the_wire);
    RUN(cut_anywhere);
    RUN(bytes_too_many);
    RUN(no_room_to_build);
    RUN(sides_and_channels);
    RUN(values_that_cannot_be);
    RUN(limits);
    RUN(batches);
    RUN(credit_is_kept_and_comes_back);
    RUN(credit_cannot_wrap);
    RUN(costs);
    RUN(names);
    return test_done();
}
