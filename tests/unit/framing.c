/*
 * Frames in a byte stream: sizes, cuts, limits.
 */
#include <stdlib.h>
#include <string.h>

#include "net/framing.h"
#include "test.h"

static uint8_t buffer[FRAMING_BUFFER];

/* Appends a frame of @len bytes @fill. */
static size_t put(uint8_t *to, size_t len, uint8_t fill)
{
    frame_header(to, len);
    memset(to + FRAMING_HEADER, fill, len);
    return FRAMING_HEADER + len;
}

static void feed(struct frame_reader *r, const uint8_t *data, size_t len)
{
    size_t room;
    uint8_t *to = frame_space(r, &room);
    memcpy(to, data, len < room ? len : room);
    frame_added(r, len < room ? len : room);
}

static void header_is_big_endian(void)
{
    uint8_t h[4];
    frame_header(h, 0x01020304);
    CHECK(!memcmp(h, "\1\2\3\4", 4));
}

static void frames_byte_by_byte(void)
{
    struct frame_reader r = { .buf = buffer };
    uint8_t data[300];
    const uint8_t *frame;
    size_t len, n = put(data, 100, 1);
    n += put(data + n, 0, 0); /* no frame */
    n += put(data + n, 14, 2);
    unsigned seen = 0;
    for (size_t i = 0; i < n; i++) {
        feed(&r, data + i, 1);
        while (frame_next(&r, &frame, &len) == FRAME_READY) {
            seen++;
            CHECK_EQ(len, seen == 1 ? 100 : 14);
            CHECK_EQ(frame[0], seen);
            CHECK_EQ(frame[len - 1], seen);
            frame_take(&r);
        }
    }
    CHECK_EQ(seen, 2);
    CHECK_EQ(r.start, r.end);
}

static void the_longest_frame_fits_wherever_it_begins(void)
{
    size_t size = 3 * (FRAMING_HEADER + NET_FRAME_MAX) + 20;
    uint8_t *data = malloc(size);
    for (size_t before = 0; before <= 16; before++) {
        struct frame_reader r = { .buf = buffer };
        const uint8_t *frame;
        size_t len, room, n = before ? put(data, before - 1, 9) : 0;
        for (uint8_t i = 1; i <= 3; i++)
            n += put(data + n, NET_FRAME_MAX, i);
        unsigned seen = 0;
        for (size_t at = 0; at < n;) {
            frame_space(&r, &room);
            CHECK(room > 0);
            size_t part = n - at < room ? n - at : room;
            feed(&r, data + at, part);
            at += part;
            while (frame_next(&r, &frame, &len) == FRAME_READY) {
                if (len == NET_FRAME_MAX) {
                    seen++;
                    CHECK_EQ(frame[len - 1], seen);
                }
                frame_take(&r);
            }
        }
        CHECK_EQ(seen, 3);
    }
    free(data);
}

static void too_long_is_told_at_the_header(void)
{
    struct frame_reader r = { .buf = buffer };
    const uint8_t *frame;
    size_t len;
    uint8_t data[8];
    frame_header(data, NET_FRAME_MAX + 1);
    feed(&r, data, 3);
    CHECK_EQ(frame_next(&r, &frame, &len), FRAME_NONE);
    feed(&r, data + 3, 1);
    CHECK_EQ(frame_next(&r, &frame, &len), FRAME_TOO_LONG);
    CHECK_EQ(len, NET_FRAME_MAX + 1);
    frame_reset(&r);
    frame_header(data, 0xffffffff);
    feed(&r, data, 4);
    CHECK_EQ(frame_next(&r, &frame, &len), FRAME_TOO_LONG);
}

int main(void)
{
    RUN(header_is_big_endian);
    RUN(frames_byte_by_byte);
    RUN(the_longest_frame_fits_wherever_it_begins);
    RUN(too_long_is_told_at_the_header);
    return test_done();
}
