/*
 * Fuzzer of the relay's protocol and egress filter: headers that say anything, bodies of valid
 * messages with bytes changed, cut and lengthened. What the parser takes, the builder must write
 * again byte for byte; what it refuses, it refuses with one of the codes that are its own; a batch
 * that was taken is walked to its end. The filter's verdict must hold for the address that it hands
 * out.
 *
 *   relay_fuzz [ROUNDS [SEED]]
 *
 * Meant for AddressSanitizer: each input lies in a block of its own length.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/egress.h"
#include "relay/protocol.h"

static uint64_t rng;
static unsigned long taken, refused[RELAY_ERRORS];

static uint32_t rnd(uint32_t below)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng >> 33) % below);
}

static void fail(const char *what, const uint8_t *data, size_t len)
{
    printf("relay_fuzz: %s:", what);
    for (size_t i = 0; i < len && i < 200; i++)
        printf(" %02x", data[i]);
    printf("\n");
    exit(1);
}

static void random_bytes(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        p[i] = (uint8_t)(rnd(3) ? rnd(256) : 0);
}

static void random_address(struct relay_address *a)
{
    memset(a, 0, sizeof *a);
    a->family = rnd(2) ? 4 : 6;
    a->port = (uint16_t)rnd(65536);
    random_bytes(a->ip, a->family == 4 ? 4 : 16);
}

/* A message of random contents that the builder takes more often than not; its length, or 0. */
static size_t random_message(uint8_t *out, size_t room, enum relay_side sender)
{
    static uint8_t text[300];
    struct relay_message m = { .type = (uint8_t)(rnd(2) ? 1 + rnd(6) : 0x10 + rnd(14)) };
    struct relay_batch b;
    struct relay_address a;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)('a' + rnd(26));
    m.channel = m.type < RELAY_OPEN ? 0 : 1 + rnd(100);
    if (m.type == RELAY_ACCEPT || m.type == RELAY_ACCEPTED)
        m.channel |= RELAY_CHANNEL_SERVER;
    switch (m.type) {
    case RELAY_HELLO:
        m.hello = (struct relay_hello){ .version_min = 1,
                                        .version_max = (uint16_t)(1 + rnd(5)),
                                        .token = { text, rnd(200) } };
        break;
    case RELAY_WELCOME:
        m.welcome = (struct relay_welcome){ .version = 1, .resumed = rnd(2), .keepalive_s = 30 };
        break;
    case RELAY_FAIL:
        m.fail.code = (uint16_t)rnd(30);
        m.fail.text = (struct relay_bytes){ text, rnd(257) };
        break;
    case RELAY_OPEN:
        m.open = (struct relay_open){ .kind = (uint8_t)(1 + rnd(7)),
                                      .window = rnd(1u << 31),
                                      .room = { text, 1 + rnd(64) } };
        random_address(&m.open.address);
        if (m.open.kind == RELAY_ICMP)
            m.open.address.port = 0;
        break;
    case RELAY_OPENED:
        m.opened.window = rnd(1u << 31);
        random_address(&m.opened.local);
        break;
    case RELAY_ACCEPT:
        m.accept.listener = 1 + rnd(100);
        random_address(&m.accept.peer);
        random_address(&m.accept.local);
        break;
    case RELAY_DGRAMS:
    case RELAY_FRAMES:
        if (!relay_batch_begin(&b, out, room, m.type, m.channel))
            return 0;
        for (unsigned n = 1 + rnd(4); n; n--) {
            random_address(&a);
            if (m.type == RELAY_FRAMES)
                relay_batch_frame(&b, text, 14 + rnd(100));
            else
                relay_batch_dgram(&b, &a, text, rnd(100));
        }
        return relay_batch_end(&b);
    case RELAY_DATA: m.bytes = (struct relay_bytes){ text, 1 + rnd(299) }; break;
    case RELAY_CREDIT: m.credit = 1 + rnd(1000); break;
    case RELAY_QUERY:
    case RELAY_ANSWER:
        m.query.error = m.type == RELAY_ANSWER && rnd(4) == 0 ? RELAY_ETIMEDOUT : 0;
        m.query.dns = (struct relay_bytes){ text, m.query.error ? 0 : 12 + rnd(200) };
        break;
    case RELAY_UNREACH:
        m.unreach.error = RELAY_ECONNREFUSED;
        random_address(&m.unreach.to);
        break;
    }
    return relay_build(out, room, sender, &m);
}

/* Any bytes, from @sender. */
static void check(const uint8_t *data, size_t len, enum relay_side sender)
{
    static uint8_t again[1 << 16];
    struct relay_message m;
    struct relay_bytes one, rest;
    struct relay_address addr;
    size_t used;
    enum relay_error error = relay_parse(data, len, sender, &m, &used);
    if (error) {
        if (error < RELAY_TRUNCATED || error > RELAY_BAD_CHANNEL)
            fail("a code that isn't the parser's", data, len);
        refused[error]++;
        return;
    }
    taken++;
    if (used < RELAY_HEADER || used > len)
        fail("length", data, len);
    if (relay_build(again, sizeof again, sender, &m) != used || memcmp(again, data, used))
        fail("built differently", data, len);
    if (relay_cost(&m) > used - RELAY_HEADER)
        fail("cost", data, len);
    rest = m.bytes;
    if (m.type == RELAY_FRAMES) {
        while (relay_next_frame(&rest, &one))
            taken += one.data[one.len - 1] == 1; /* touches it */
    } else if (m.type == RELAY_DGRAMS) {
        while (relay_next_dgram(&rest, &addr, &one))
            taken += one.len && one.data[one.len - 1] == 1;
    } else {
        return;
    }
    if (rest.len)
        fail("batch", data, len);
}

static void protocol_round(void)
{
    static uint8_t out[4096];
    enum relay_side sender = rnd(2) ? RELAY_CLIENT : RELAY_SERVER;
    size_t len = 0;
    if (rnd(8)) {
        for (int tries = 0; !len && tries < 4; tries++)
            len = random_message(out, sizeof out - 64, sender);
    }
    if (!len) {
        len = rnd(100);
        random_bytes(out, len);
        if (len > 4)
            out[1] = out[2] = 0;
    }
    for (unsigned n = rnd(3); n && len; n--)
        out[rnd((uint32_t)len)] = (uint8_t)(rnd(2) ? rnd(256) : rnd(2) * 255);
    switch (rnd(8)) {
    case 0: len = rnd((uint32_t)len + 1); break;
    case 1:
        random_bytes(out + len, 64);
        len += rnd(64);
        break;
    case 2:
        if (len >= RELAY_HEADER && len < 1 << 16) { /* cut, and the header says so */
            len = RELAY_HEADER + rnd((uint32_t)(len - RELAY_HEADER + 1));
            out[1] = 0;
            out[2] = (uint8_t)((len - RELAY_HEADER) >> 8);
            out[3] = (uint8_t)(len - RELAY_HEADER);
        }
        break;
    }
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, out, len);
    check(copy, len, sender);
    free(copy);
}

static void egress_round(void)
{
    static const uint8_t heads[][12] = {
        { [10] = 0xff, 0xff },   { [8] = 0xff, 0xff },
        { 0, 0x64, 0xff, 0x9b }, { 0 },
        { 0x20, 0x01 },          { 0x20, 0x02 },
        { 0xfe, 0x80 },          { 0x2a, [10] = 0x5e, 0xfe },
    };
    struct relay_address a, dial, again;
    random_address(&a);
    if (a.family == 6 && rnd(3))
        memcpy(a.ip, heads[rnd(sizeof heads / sizeof *heads)], 12);
    enum egress_class class = egress_check(&a, &dial);
    if (egress_check(&dial, &again) != class || memcmp(&dial, &again, sizeof dial) ||
        dial.port != a.port)
        fail("the filter disagrees with itself", a.ip, 16);
}

static void credit_round(void)
{
    struct relay_credit c;
    uint32_t window = rnd(1u << 31), given = window, got = 0;
    uint64_t sent = 0, may = rnd(1u << 31);
    if (relay_credit_init(&c, window, (uint32_t)may))
        fail("credit", NULL, 0);
    for (int i = 0; i < 20; i++) {
        uint32_t n = rnd(2) ? rnd(1u << 31) * 2 + 1 : rnd(window / 4 + 2);
        if ((relay_credit_given(&c, n) == RELAY_OK) != (may - sent + n <= RELAY_CREDIT_MAX))
            fail("given", NULL, 0);
        else if (may - sent + n <= RELAY_CREDIT_MAX)
            may += n;
        n = rnd(1u << 31);
        if (relay_credit_spend(&c, n) != (n <= may - sent))
            fail("spend", NULL, 0);
        else if (n <= may - sent)
            sent += n;
        n = rnd(window / 2 + 2);
        if ((relay_credit_received(&c, n) == RELAY_OK) != (n <= given))
            fail("received", NULL, 0);
        else if (n <= given) {
            given -= n;
            got += n;
        }
        n = relay_credit_done(&c, rnd(1u << 31));
        if (n > got || n > window - given)
            fail("done", NULL, 0);
        given += n;
        got -= n;
    }
}

int main(int argc, char **argv)
{
    long rounds = argc > 1 ? atol(argv[1]) : 2000000;
    rng = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    for (long i = 0; i < rounds; i++) {
        protocol_round();
        egress_round();
        if (i % 16 == 0)
            credit_round();
    }
    printf("%ld rounds, %lu taken", rounds, taken);
    for (unsigned i = 0; i < RELAY_ERRORS; i++) {
        if (refused[i])
            printf(", %lu %s", refused[i], relay_error_name(i));
    }
    printf("\n");
    return 0;
}
