/*
 * The display's own parts: PNG (with and without zlib), the text dump, key names.
 */
#include <zlib.h>

#include "devtest.h"
#include "ui/display.h"
#include "ui/png.h"

/* The encoder once more, as it is without zlib. */
#undef HAVE_ZLIB
#define png_encode png_encode_stored
#include "../../core/ui/png.c"
#undef png_encode

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Decodes @png (RGB, filters None and Up) and compares; CRCs and zlib's checksum too. */
static bool png_shows(const uint8_t *png, size_t len, const struct display_surface *s)
{
    size_t stride = (size_t)s->width * 3 + 1, raw_len = stride * (size_t)s->height;
    uint8_t *raw = calloc(1, raw_len);
    bool ok = len > 8 && !memcmp(png, "\x89PNG\r\n\x1a\n", 8), end = false;
    size_t at = 8;
    while (ok && !end && at + 12 <= len) {
        uint32_t n = be32(png + at);
        const uint8_t *type = png + at + 4, *data = type + 4;
        ok = n <= len - at - 12 && be32(data + n) == crc32(0, type, n + 4);
        if (ok && !memcmp(type, "IHDR", 4)) {
            ok = be32(data) == (uint32_t)s->width && be32(data + 4) == (uint32_t)s->height &&
                 !memcmp(data + 8, "\x08\x02\0\0\0", 5);
        } else if (ok && !memcmp(type, "IDAT", 4)) {
            uLongf got = raw_len;
            ok = uncompress(raw, &got, data, n) == Z_OK && got == raw_len;
        } else {
            end = !memcmp(type, "IEND", 4);
        }
        at += n + 12;
    }
    ok = ok && end && at == len;
    for (int y = 0; ok && y < s->height; y++) {
        uint8_t *row = raw + (size_t)y * stride;
        const uint8_t *above = row - (y > 0 ? stride : 0);
        for (size_t i = 1; row[0] == 2 && y > 0 && i < stride; i++)
            row[i] += above[i];
        for (int x = 0; x < s->width; x++) {
            uint32_t p = s->pixels[y * s->width + x];
            const uint8_t *c = row + 1 + x * 3;
            ok &= c[0] == (p >> 16 & 0xff) && c[1] == (p >> 8 & 0xff) && c[2] == (p & 0xff);
        }
    }
    free(raw);
    return ok;
}

static void png_case(int width, int height)
{
    struct display_surface s = { width, height, width * 4, malloc((size_t)(width * height) * 4) };
    for (int i = 0; i < width * height; i++)
        s.pixels[i] = i / width % 3 ? 0xff102030u : (uint32_t)i * 2654435761u;
    for (int stored = 0; stored < 2; stored++) {
        uint8_t *png;
        size_t len;
        CHECK(stored ? png_encode_stored(&s, &png, &len) : png_encode(&s, &png, &len));
        CHECK(png_shows(png, len, &s));
        free(png);
    }
    free(s.pixels);
}

static void png_round_trip(void)
{
    png_case(1, 1);
    png_case(640, 400);
    png_case(21845, 1); /* exactly one stored block and a byte */
}

static const uint16_t cells[] = { 'H', 0xb3 | 0x700, 0, ' ', 0x01, 0xdb, 0xff, 0xe1 };

static bool give_text(void *opaque, struct display_text *t)
{
    *t = (struct display_text){ 4, 2, cells, -1, -1 };
    return true;
}

static void text_as_utf8(void)
{
    static const struct display_device_ops ops = { .text = give_text };
    board_new();
    m->display = display_new(m);
    CHECK(!display_text_dump(m->display));
    display_attach(m->display, &ops, NULL);
    char *text = display_text_dump(m->display);
    CHECK_STR(text, "H│\n☺█ ß\n");
    free(text);
    board_free();
}

static int listened[4];

static void on_dirty(void *opaque, int x, int y, int w, int h)
{
    listened[0] = x;
    listened[1] = y;
    listened[2] = w;
    listened[3] = h;
}

static void rectangles_are_clipped(void)
{
    struct display_listener l = { .dirty = on_dirty };
    board_new();
    m->display = display_new(m);
    display_listen(m->display, &l);
    display_dirty(m->display, -5, 470, 1000, 100);
    CHECK_EQ(listened[0], 0);
    CHECK_EQ(listened[1], 470);
    CHECK_EQ(listened[2], 640);
    CHECK_EQ(listened[3], 10);
    display_unlisten(m->display, &l);
    CHECK(!display_resize(m->display, 0, 10));
    CHECK(!display_resize(m->display, 10, 100000));
    board_free();
}

static void screendump_errors(void)
{
    struct error err;
    board_new();
    m->display = display_new(m);
    CHECK(!display_screendump(m->display, "/nonexistent/x.ppm", NULL, &err));
    CHECK_STR(err.msg, "screendump: /nonexistent/x.ppm: No such file or directory");
    CHECK(!display_screendump(m->display, "/tmp/x", "gif", &err));
    CHECK_STR(err.msg, "screendump: format 'gif' is neither ppm nor png");
    board_free();
}

static void key_names(void)
{
    CHECK_EQ(input_hid_of_name("ret"), 0x28);
    CHECK_EQ(input_hid_of_name("kp_enter"), 0x58);
    CHECK_EQ(input_hid_of_name("meta_r"), 0xe7);
    CHECK_EQ(input_hid_of_name("A"), 0);
    CHECK_STR(input_name_of_hid(0x4c), "delete");
    CHECK(!input_name_of_hid(0xff));
}

int main(void)
{
    RUN(png_round_trip);
    RUN(text_as_utf8);
    RUN(rectangles_are_clipped);
    RUN(screendump_errors);
    RUN(key_names);
    return test_done();
}
