/*
 * WebSocket framing: what comes of frames doesn't depend on how they are cut; payload of every
 * length and place is unmasked right; every first two bytes; codes and texts of close frames;
 * headers of ours.
 */
#include <stdlib.h>

#include "relay/websocket.h"
#include "test.h"

static const uint8_t mask[4] = { 0x11, 0xa2, 0x00, 0xff };

/* A client's frame at @out; its length. */
static size_t frame(uint8_t *out, unsigned first, const void *payload, size_t len)
{
    size_t n = 2;
    out[0] = (uint8_t)first;
    out[1] = (uint8_t)(0x80 | (len < 126 ? len : len < 65536 ? 126 : 127));
    for (int i = len < 126 ? 0 : len < 65536 ? 2 : 8; i-- > 0;)
        out[n++] = (uint8_t)(len >> 8 * i);
    memcpy(out + n, mask, 4);
    n += 4;
    for (size_t i = 0; i < len; i++)
        out[n + i] = ((const uint8_t *)payload)[i] ^ mask[i & 3];
    return n + len;
}

/* What came of a client's bytes: messages as they are joined, control frames, the end. */
struct outcome {
    uint8_t data[70000], control[300];
    size_t len, control_len;
    unsigned messages, controls, code;
    bool binary;
};

/* Gives it @len bytes, @piece at a time (0: all at once). */
static void run(struct outcome *o, const uint8_t *bytes, size_t len, size_t piece)
{
    struct websocket w = { 0 };
    struct websocket_event e;
    memset(o, 0, sizeof *o);
    while (len && !o->code) {
        size_t n = piece && piece < len ? piece : len;
        uint8_t *copy = malloc(n), *p = copy; /* of its own length: for AddressSanitizer */
        memcpy(copy, bytes, n);
        bytes += n;
        len -= n;
        while (n && !o->code) {
            size_t used = websocket_receive(&w, p, n, &e);
            p += used;
            n -= used;
            switch (e.type) {
            case WEBSOCKET_NOTHING: CHECK_EQ(n, 0); break;
            case WEBSOCKET_DATA:
                CHECK(o->len + e.len <= sizeof o->data);
                memcpy(o->data + o->len, e.data, e.len);
                o->len += e.len;
                o->messages += e.last;
                o->binary = e.binary;
                break;
            case WEBSOCKET_CONTROL:
                memcpy(o->control + o->control_len, e.data, e.len);
                o->control_len += e.len;
                o->controls++;
                o->code = e.frame == WEBSOCKET_CLOSE ? e.code : 0;
                break;
            case WEBSOCKET_ERROR: o->code = e.code; break;
            }
        }
        free(copy);
    }
}

static struct outcome got;

static void cuts_make_no_difference(void)
{
    static uint8_t bytes[70000], payload[300];
    size_t len = 0;
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * 7);
    len += frame(bytes + len, 0x02, payload, 100);
    len += frame(bytes + len, 0x89, "ping", 4);
    len += frame(bytes + len, 0x00, "", 0);
    len += frame(bytes + len, 0x80, payload + 100, 200);
    len += frame(bytes + len, 0x82, "", 0);
    len += frame(bytes + len, 0x8a, "", 0);
    for (size_t piece = 0; piece < len; piece++) {
        run(&got, bytes, len, piece);
        CHECK_EQ(got.code, 0);
        CHECK_EQ(got.messages, 2);
        CHECK_EQ(got.controls, 2);
        CHECK(got.binary && got.len == 300 && !memcmp(got.data, payload, 300));
        CHECK(got.control_len == 4 && !memcmp(got.control, "ping", 4));
    }
}

static void payloads_of_every_length(void)
{
    static uint8_t bytes[70014], payload[70000];
    for (size_t i = 0; i < sizeof payload; i++)
        payload[i] = (uint8_t)(i * i >> 3);
    for (size_t len = 0; len < 70000; len += len < 300 ? 1 : 6971) {
        size_t n = frame(bytes, 0x82, payload, len);
        for (size_t piece = 0; piece < 80; piece += 1 + piece / 7) {
            run(&got, bytes, n, piece ? piece + len / 9 : 0);
            CHECK_EQ(got.messages, 1);
            CHECK_EQ(got.len, len);
            CHECK(!memcmp(got.data, payload, len));
        }
    }
}

static void beginnings(void)
{
    uint8_t begun[7];
    frame(begun, 0x02, "x", 1);
    for (unsigned in_message = 0; in_message < 2; in_message++) {
        for (unsigned first = 0; first < 256; first++) {
            for (unsigned second = 0; second < 256; second++) {
                struct websocket w = { 0 };
                struct websocket_event e;
                uint8_t start[7], bytes[2] = { (uint8_t)first, (uint8_t)second };
                memcpy(start, begun, sizeof start);
                if (in_message)
                    websocket_receive(&w, start, sizeof start, &e);
                unsigned opcode = first & 15;
                bool good = !(first & 0x70) && (second & 0x80);
                if (opcode >= 8)
                    good = good && opcode <= 10 && (first & 0x80) && (second & 0x7f) <= 125;
                else
                    good = good && opcode <= 2 && (in_message != 0) == !opcode;
                size_t used = websocket_receive(&w, bytes, 2, &e);
                CHECK_EQ(e.type, good ? WEBSOCKET_NOTHING : WEBSOCKET_ERROR);
                CHECK_EQ(used, 2);
            }
        }
    }
}

static void longest_length(void)
{
    static const uint8_t most[] = { 0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0,    0,    0,    0,    'x' };
    uint8_t beyond[sizeof most];
    memcpy(beyond, most, sizeof most);
    beyond[2] = 0x80;
    run(&got, most, sizeof most, 0);
    CHECK_EQ(got.code, 0);
    CHECK_EQ(got.len, 1);
    CHECK_EQ(got.messages, 0);
    run(&got, beyond, sizeof beyond, 0);
    CHECK_EQ(got.code, WEBSOCKET_TOO_BIG);
}

static void closes(void)
{
    static const struct {
        const char *payload;
        size_t len;
        unsigned code;
    } cases[] = {
        { "", 0, WEBSOCKET_NO_CODE },
        { "\x03", 1, WEBSOCKET_PROTOCOL_ERROR },
        { "\x03\xe8", 2, 1000 },
        { "\x03\xe8why", 5, 1000 },
        { "\x03\xf6", 2, 1014 },
        { "\x03\xf7", 2, WEBSOCKET_PROTOCOL_ERROR },
        { "\x03\xe7", 2, 1002 /* 999 */ },
        { "\x03\xec", 2, 1002 /* 1004 */ },
        { "\x03\xed", 2, 1002 /* 1005 */ },
        { "\x03\xee", 2, 1002 /* 1006 */ },
        { "\x0b\xb8", 2, 3000 },
        { "\x0b\xb7", 2, 1002 /* 2999 */ },
        { "\x13\x87", 2, 4999 },
        { "\x13\x88", 2, 1002 /* 5000 */ },
        { "\x03\xe8\xc3", 3, 1007 },
        { "\x03\xe8\xc3\xa9", 4, 1000 },
        { "\x03\xe8\xed\xa0\x80", 5, 1007 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[140];
        size_t n = frame(bytes, 0x88, cases[i].payload, cases[i].len);
        for (size_t piece = 0; piece < n; piece++) {
            run(&got, bytes, n, piece);
            CHECK_EQ(got.code, cases[i].code);
        }
    }
}

/* Are these bytes one character? RFC 3629 by arithmetic. */
static bool is_character(const uint8_t *p, unsigned len)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    static const uint8_t first_bits[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
    unsigned data = 0x7f >> len;
    uint32_t c = p[0] & data;
    if ((p[0] & ~data & 0xff) != first_bits[len])
        return false;
    for (unsigned i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return false;
        c = c << 6 | (p[i] & 0x3f);
    }
    return c >= least[len] && c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

static void texts(void)
{
    static const uint8_t others[] = {
        0, 'a', 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff
    };
    enum { N = sizeof others };
    uint8_t bytes[16];
    for (unsigned first = 0x80; first < 256; first++) {
        for (unsigned i = 0; i < N * N * N; i++) {
            uint8_t p[4] = { (uint8_t)first, others[i % N], others[i / N % N], others[i / N / N] };
            unsigned len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
            size_t n = frame(bytes, 0x81, p, len);
            run(&got, bytes, n, i & 1);
            CHECK_EQ(got.code, is_character(p, len) ? 0 : WEBSOCKET_NOT_UTF8);
            n = frame(bytes, 0x81, p, len - 1); /* cut short, and then a message of its own */
            run(&got, bytes, n, 0);
            CHECK_EQ(got.code, WEBSOCKET_NOT_UTF8);
        }
    }
}

static void headers(void)
{
    static const struct {
        uint64_t len;
        size_t bytes;
        const char *header;
    } cases[] = { { 0, 2, "\x82\x00" },
                  { 125, 2, "\x82\x7d" },
                  { 126, 4, "\x82\x7e\x00\x7e" },
                  { 65535, 4, "\x82\x7e\xff\xff" },
                  { 65536, 10, "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[WEBSOCKET_HEADER_MAX];
        size_t n = websocket_header(out + sizeof out, WEBSOCKET_BINARY, cases[i].len);
        CHECK_EQ(n, cases[i].bytes);
        CHECK(!memcmp(out + sizeof out - n, cases[i].header, n));
    }
}

int main(void)
{
    RUN(cuts_make_no_difference);
    RUN(payloads_of_every_length);
    RUN(beginnings);
    RUN(longest_length);
    RUN(closes);
    RUN(texts);
    RUN(headers);
    return test_done();
}
