/*
 * Fuzzer of the relay's WebSocket framing: frames of all kinds, most of them good, some with bytes
 * changed, cut or added. The same bytes go in three times, all at once, one by one and in random
 * pieces, each in a block of its own length, and what comes of them must be the same. What it says
 * must hold together: pieces lie in what was given, messages end, control frames are short, nothing
 * comes after an error.
 *
 *   websocket_fuzz [ROUNDS [SEED]]
 *
 * Meant for AddressSanitizer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/websocket.h"

enum { MOST = 4096 };

static uint64_t rng;
static unsigned long messages, controls, errors;

static uint32_t rnd(uint32_t below)
{
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng >> 33) % below);
}

static void fail(const char *what, const uint8_t *data, size_t len)
{
    printf("websocket_fuzz: %s:", what);
    for (size_t i = 0; i < len; i++)
        printf(" %02x", data[i]);
    printf("\n");
    exit(1);
}

/* A frame, mostly one that may come now; its length. */
static size_t random_frame(uint8_t *out, bool *in_message)
{
    static const uint8_t beginnings[] = { 0x82, 0x82, 0x02, 0x02, 0x81, 0x01 };
    static const uint8_t controls[] = { 0x89, 0x89, 0x8a, 0x8a, 0x8a, 0x8a, 0x88 };
    size_t len = rnd(8) ? rnd(140) : rnd(600), n = 2;
    out[0] = !rnd(4)       ? controls[rnd(sizeof controls)]
             : *in_message ? (uint8_t)(0x80 * rnd(2))
                           : beginnings[rnd(sizeof beginnings)];
    if (!rnd(60))
        out[0] = (uint8_t)rnd(256);
    if (!(out[0] & 8))
        *in_message = !(out[0] & 0x80);
    else if (len > 125)
        len = 125;
    bool wide = !(out[0] & 8) && !rnd(10); /* a longer length than need be */
    unsigned width = len > 125 || wide ? 2 + 6 * !rnd(4) : 0;
    out[1] = (uint8_t)(0x80 | (!width ? len : width == 2 ? 126 : 127));
    for (unsigned i = width; i-- > 0;)
        out[n++] = i < 4 ? (uint8_t)(len >> 8 * i) : 0;
    uint8_t *mask = out + n;
    for (int i = 0; i < 4; i++)
        out[n++] = (uint8_t)rnd(256);
    for (size_t i = 0; i < len; i++)
        out[n++] = (uint8_t)(rnd(1000) ? 'a' + rnd(26) : 0x80 + rnd(128)) ^ mask[i & 3];
    if ((out[0] & 15) == 8 && len >= 2 && rnd(4)) {
        mask[4] = 3 ^ mask[0];
        mask[5] = 0xe8 ^ mask[1];
    }
    return n;
}

static size_t random_stream(uint8_t *out)
{
    size_t len = 0;
    bool in_message = false;
    for (unsigned i = 1 + rnd(6); i; i--)
        len += random_frame(out + len, &in_message);
    for (unsigned i = rnd(6) ? 0 : 1 + rnd(3); i; i--)
        out[rnd((uint32_t)len)] = (uint8_t)rnd(256);
    return rnd(6) ? len : 1 + rnd((uint32_t)len);
}

/* A digest of what came: the bytes of messages and control frames in their order, ends of messages,
 * the error. */
struct digest {
    uint64_t hash;
    unsigned messages, controls, code;
};

static void add(struct digest *d, unsigned byte)
{
    d->hash = (d->hash ^ byte) * 1099511628211u;
}

static bool event(struct digest *d, const struct websocket *w, const struct websocket_event *e,
                  const uint8_t *data, size_t used)
{
    switch (e->type) {
    case WEBSOCKET_NOTHING: return true;
    case WEBSOCKET_DATA:
        if ((!e->len && !e->last) ||
            (e->len && (e->data < data || e->len > used || e->data + e->len > data + used)))
            return false;
        d->messages += e->last;
        break;
    case WEBSOCKET_CONTROL:
        if (e->len > WEBSOCKET_CONTROL_MAX || e->data != w->control || (e->frame & 8) == 0)
            return false;
        add(d, 256u + e->frame);
        d->controls++;
        if (e->frame == WEBSOCKET_CLOSE)
            d->code = e->code;
        break;
    case WEBSOCKET_ERROR:
        add(d, d->code = e->code);
        return e->code == WEBSOCKET_PROTOCOL_ERROR || e->code == WEBSOCKET_NOT_UTF8 ||
               e->code == WEBSOCKET_TOO_BIG;
    }
    /* Where a message is cut is up to the pieces; where it ends isn't. */
    for (size_t i = 0; i < e->len; i++)
        add(d, e->data[i]);
    if (e->type == WEBSOCKET_DATA && e->last)
        add(d, 512u + e->binary);
    return true;
}

/* @pieces: 0: all at once, 1: a byte at a time, 2: as it comes. */
static struct digest run(const uint8_t *bytes, size_t len, unsigned pieces)
{
    struct digest d = { .hash = 14695981039346656037u };
    struct websocket w = { 0 };
    struct websocket_event e;
    for (size_t at = 0; at < len && !d.code;) {
        size_t n = pieces == 0 ? len : pieces == 1 ? 1 : 1 + rnd(200);
        n = n < len - at ? n : len - at;
        uint8_t *block = malloc(n);
        memcpy(block, bytes + at, n);
        at += n;
        for (size_t done = 0; done < n && !d.code;) {
            size_t used = websocket_receive(&w, block + done, n - done, &e);
            if (!used || used > n - done || (e.type == WEBSOCKET_NOTHING && used < n - done))
                fail("bytes taken", bytes, len);
            if (!event(&d, &w, &e, block + done, used))
                fail("event", bytes, len);
            done += used;
        }
        free(block);
    }
    return d;
}

int main(int argc, char **argv)
{
    static uint8_t bytes[MOST];
    unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 200000;
    rng = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    for (unsigned long i = 0; i < rounds; i++) {
        size_t len = random_stream(bytes);
        struct digest whole = run(bytes, len, 0);
        for (unsigned pieces = 1; pieces < 3; pieces++) {
            struct digest d = run(bytes, len, pieces);
            /* Text that isn't UTF-8 is given away as far as it was good when it is cut there. */
            bool same = d.hash == whole.hash || whole.code == WEBSOCKET_NOT_UTF8;
            if (!same || d.code != whole.code || d.controls != whole.controls ||
                d.messages != whole.messages)
                fail("cuts make a difference", bytes, len);
        }
        messages += whole.messages;
        controls += whole.controls;
        errors += whole.code != 0;
    }
    printf("websocket_fuzz: %lu inputs: %lu messages, %lu control frames, %lu ends\n", rounds,
           messages, controls, errors);
    return !messages || !controls || !errors || errors == rounds;
}
