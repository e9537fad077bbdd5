/* The encoder of wasm.h. */
#include "jit-wasm/wasm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void wb_free(struct wbuf *b)
{
    free(b->data);
    *b = (struct wbuf){ 0 };
}

void wb_reset(struct wbuf *b)
{
    b->len = 0;
    b->failed = false;
}

static bool reserve(struct wbuf *b, size_t more)
{
    if (b->len + more <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 1024;
    while (cap < b->len + more)
        cap *= 2;
    uint8_t *p = realloc(b->data, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void wb_bytes(struct wbuf *b, const void *p, size_t len)
{
    if (!len || !reserve(b, len))
        return;
    memcpy(b->data + b->len, p, len);
    b->len += len;
}

void wb_u8(struct wbuf *b, uint8_t v)
{
    if (reserve(b, 1))
        b->data[b->len++] = v;
}

void wb_u32(struct wbuf *b, uint32_t v)
{
    while (v >= 0x80) {
        wb_u8(b, (uint8_t)(v | 0x80));
        v >>= 7;
    }
    wb_u8(b, (uint8_t)v);
}

void wb_patch(struct wbuf *b, size_t at, uint32_t v)
{
    for (unsigned k = 0; k < 5 && at + k < b->len; k++, v >>= 7)
        b->data[at + k] = (uint8_t)((v & 0x7f) | (k < 4 ? 0x80 : 0));
}

void wb_u32_wide(struct wbuf *b, uint32_t v)
{
    static const uint8_t room[5];
    wb_bytes(b, room, sizeof room);
    wb_patch(b, b->len - sizeof room, v);
}

void wb_s64(struct wbuf *b, int64_t v)
{
    for (;;) {
        uint8_t byte = v & 0x7f;
        v >>= 7;
        if ((v == 0 && !(byte & 0x40)) || (v == -1 && (byte & 0x40))) {
            wb_u8(b, byte);
            return;
        }
        wb_u8(b, byte | 0x80);
    }
}

static void name(struct wbuf *b, const char *s)
{
    wb_u32(b, (uint32_t)strlen(s));
    wb_bytes(b, s, strlen(s));
}

static void section(struct wbuf *out, uint8_t id, struct wbuf *body)
{
    wb_u8(out, id);
    wb_u32(out, (uint32_t)body->len);
    wb_bytes(out, body->data, body->len);
    out->failed |= body->failed;
    wb_reset(body);
}

static void add_types(struct wbuf *b)
{
    static const struct {
        uint8_t params[4], result;
    } sigs[SIG_COUNT] = {
        [SIG_REGION] = { { W_I64, W_I32 }, W_I32 },
        [SIG_READ] = { { W_I64, W_I32, W_I32 }, W_I64 },
        [SIG_WRITE] = { { W_I64, W_I64, W_I32, W_I32 }, W_I32 },
        [SIG_HANDLER] = { { W_I32, W_I32 }, W_I32 },
        [SIG_CHECK] = { { W_I64, W_I32, W_I32 }, W_I64 },
        [SIG_VOID] = { { 0 }, 0 },
        [SIG_I64_I64] = { { W_I64, W_I64 }, W_I64 },
    };
    wb_u32(b, SIG_COUNT);
    for (unsigned k = 0; k < SIG_COUNT; k++) {
        unsigned n = 0;
        while (n < 4 && sigs[k].params[n])
            n++;
        wb_u8(b, 0x60);
        wb_u32(b, n);
        wb_bytes(b, sigs[k].params, n);
        wb_u32(b, sigs[k].result != 0);
        if (sigs[k].result)
            wb_u8(b, sigs[k].result);
    }
}

static void import_header(struct wbuf *b, const char *what, uint8_t kind)
{
    name(b, "e");
    name(b, what);
    wb_u8(b, kind);
}

static void add_hints(struct wbuf *b, const struct wasm_code *codes, unsigned count, unsigned first)
{
    name(b, "metadata.code.branch_hint");
    wb_u32(b, count);
    for (unsigned k = 0; k < count; k++) {
        wb_u32(b, first + k);
        wb_u32(b, codes[k].hint_count);
        for (unsigned n = 0; n < codes[k].hint_count; n++) {
            uint32_t hint = codes[k].hints[n];
            wb_u32(b, hint & ~(uint32_t)HINT_LIKELY);
            wb_u8(b, 1); /* size of the hint */
            wb_u8(b, (hint & HINT_LIKELY) != 0);
        }
    }
}

void wasm_module(struct wbuf *out, const uint8_t *imports, unsigned import_count,
                 const struct wasm_code *codes, unsigned count)
{
    static const uint8_t header[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
    struct wbuf b = { 0 };
    char text[12];
    wb_bytes(out, header, sizeof header);

    add_types(&b);
    section(out, 1, &b);

    wb_u32(&b, 1 + (import_count ? import_count : 1));
    import_header(&b, "m", 2);
    wb_u8(&b, 0); /* no maximum */
    wb_u32(&b, 1);
    for (unsigned k = 0; k < import_count; k++) {
        snprintf(text, sizeof text, "%u", k);
        import_header(&b, text, 0);
        wb_u32(&b, imports[k]);
    }
    if (!import_count) {
        import_header(&b, "t", 1);
        wb_u8(&b, 0x70); /* funcref */
        wb_u8(&b, 0);
        wb_u32(&b, 1);
    }
    section(out, 2, &b);

    wb_u32(&b, count);
    for (unsigned k = 0; k < count; k++)
        wb_u32(&b, SIG_REGION);
    section(out, 3, &b);

    wb_u32(&b, count);
    for (unsigned k = 0; k < count; k++) {
        snprintf(text, sizeof text, "%u", k);
        name(&b, text);
        wb_u8(&b, 0);
        wb_u32(&b, import_count + k);
    }
    section(out, 7, &b);

    add_hints(&b, codes, count, import_count);
    section(out, 0, &b);

    wb_u32(&b, count);
    for (unsigned k = 0; k < count; k++) {
        wb_u32(&b, (uint32_t)codes[k].body->len);
        wb_bytes(&b, codes[k].body->data, codes[k].body->len);
        out->failed |= codes[k].body->failed;
    }
    section(out, 10, &b);
    wb_free(&b);
}
