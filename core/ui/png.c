/*
 * A PNG writer: signature, IHDR, one IDAT, IEND (ISO/IEC 15948; zlib format of RFC 1950).
 *
 * Each row is filtered with None or Up, whichever leaves more zero bytes: screens repeat rows, so
 * Up makes long runs of zeros. With zlib (HAVE_ZLIB) IDAT is deflated, without it the data goes
 * into stored blocks (RFC 1951, 3.2.4): larger, but valid, and with no dependency.
 */
#include "ui/png.h"

#include <stdlib.h>
#include <string.h>

#include "ui/display.h"

#ifdef HAVE_ZLIB
#include <zlib.h>
#endif

#define STORED_MAX   65535
#define ADLER_MODULO 65521

static uint32_t png_crc(uint32_t crc, const uint8_t *p, size_t len)
{
    /* Nibble table of the reflected polynomial 0xedb88320. */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    while (len--) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return crc;
}

static void put_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

/* Completes a chunk whose @len data bytes already stand at @p + 8; returns its end. */
static uint8_t *finish_chunk(uint8_t *p, const char type[4], size_t len)
{
    put_be32(p, (uint32_t)len);
    memcpy(p + 4, type, 4);
    put_be32(p + 8 + len, ~png_crc(~0u, p + 4, len + 4));
    return p + 12 + len;
}

/* Rows as R,G,B with their filter byte in front. @raw and @prev: one unfiltered row each. */
static void filter_rows(const struct display_surface *s, uint8_t *dst, uint8_t *raw, uint8_t *prev)
{
    size_t row_len = (size_t)s->width * 3;
    memset(prev, 0, row_len);
    for (int y = 0; y < s->height; y++) {
        const uint32_t *src =
            (const uint32_t *)((const uint8_t *)s->pixels + (size_t)y * (size_t)s->stride);
        for (int x = 0; x < s->width; x++) {
            raw[x * 3] = (uint8_t)(src[x] >> 16);
            raw[x * 3 + 1] = (uint8_t)(src[x] >> 8);
            raw[x * 3 + 2] = (uint8_t)src[x];
        }
        size_t zero_none = 0, zero_up = 0;
        for (size_t i = 0; i < row_len; i++) {
            zero_none += raw[i] == 0;
            zero_up += raw[i] == prev[i];
        }
        bool up = zero_up > zero_none;
        *dst++ = up ? 2 : 0;
        for (size_t i = 0; i < row_len; i++)
            *dst++ = up ? (uint8_t)(raw[i] - prev[i]) : raw[i];
        uint8_t *t = raw;
        raw = prev;
        prev = t;
    }
}

#ifdef HAVE_ZLIB
static size_t zlib_bound(size_t len)
{
    return compressBound((uLong)len);
}

static size_t zlib_pack(uint8_t *dst, size_t room, const uint8_t *src, size_t len)
{
    uLongf n = (uLongf)room;
    return compress2(dst, &n, src, (uLong)len, 6) == Z_OK ? n : 0;
}
#else
static size_t zlib_bound(size_t len)
{
    return len + (len / STORED_MAX + 1) * 5 + 6;
}

static size_t zlib_pack(uint8_t *dst, size_t room, const uint8_t *src, size_t len)
{
    uint8_t *p = dst;
    uint32_t a = 1, b = 0;
    (void)room;
    *p++ = 0x78; /* deflate, 32 KB window */
    *p++ = 0x01;
    do {
        size_t n = len < STORED_MAX ? len : STORED_MAX;
        *p++ = n == len;
        *p++ = (uint8_t)n;
        *p++ = (uint8_t)(n >> 8);
        *p++ = (uint8_t)~n;
        *p++ = (uint8_t)(~n >> 8);
        memcpy(p, src, n);
        p += n;
        for (size_t i = 0; i < n; i++) {
            a = (a + src[i]) % ADLER_MODULO;
            b = (b + a) % ADLER_MODULO;
        }
        src += n;
        len -= n;
    } while (len);
    put_be32(p, b << 16 | a);
    return (size_t)(p + 4 - dst);
}
#endif

bool png_encode(const struct display_surface *s, uint8_t **out, size_t *len)
{
    static const uint8_t signature[8] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
    size_t row_len = (size_t)s->width * 3, raw_len = (row_len + 1) * (size_t)s->height;
    size_t room = zlib_bound(raw_len);
    uint8_t *raw = malloc(raw_len), *rows = malloc(row_len * 2),
            *png = malloc(8 + 25 + 12 + room + 12);
    bool ok = false;
    if (raw && rows && png) {
        filter_rows(s, raw, rows, rows + row_len);
        uint8_t *p = png;
        memcpy(p, signature, 8);
        p += 8;
        put_be32(p + 8, (uint32_t)s->width);
        put_be32(p + 12, (uint32_t)s->height);
        memcpy(p + 16, "\x08\x02\0\0\0",
               5); /* 8 bits, RGB, deflate, adaptive filters, no interlace */
        p = finish_chunk(p, "IHDR", 13);
        size_t n = zlib_pack(p + 8, room, raw, raw_len);
        if (n) {
            p = finish_chunk(p, "IDAT", n);
            p = finish_chunk(p, "IEND", 0);
            *out = png;
            *len = (size_t)(p - png);
            ok = true;
        }
    }
    free(raw);
    free(rows);
    if (!ok)
        free(png);
    return ok;
}
