/*
 * AML writer: encodings of ACPI 6.4, chapter 20; resource descriptors of chapter 6.4. A mark is the
 * offset behind the opcode, where aml_end() inserts the package length when the body is complete.
 */
#include "hw/aml.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- bytes ---- */

static bool reserve(struct aml *a, size_t more)
{
    if (a->failed)
        return false;
    if (a->len + more > a->capacity) {
        size_t capacity = 2 * a->capacity + more + 1024;
        uint8_t *buf = realloc(a->buf, capacity);
        if (!buf) {
            a->failed = true;
            return false;
        }
        a->buf = buf;
        a->capacity = capacity;
    }
    return true;
}

void aml_bytes(struct aml *a, const void *data, size_t len)
{
    if (len && reserve(a, len)) {
        memcpy(a->buf + a->len, data, len);
        a->len += len;
    }
}

void aml_byte(struct aml *a, uint8_t v)
{
    aml_bytes(a, &v, 1);
}

static void little_endian(uint8_t *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static void number(struct aml *a, uint64_t v, unsigned bytes)
{
    uint8_t p[8];
    little_endian(p, v, bytes);
    aml_bytes(a, p, bytes);
}

/* ---- names and constants ---- */

void aml_name(struct aml *a, const char *path)
{
    unsigned segments = 1;
    if (*path == '\\') {
        aml_byte(a, '\\');
        path++;
    }
    for (const char *s = path; *s; s++)
        segments += *s == '.';
    if (!*path) {
        aml_byte(a, 0); /* the root alone */
        return;
    }
    if (segments == 2) {
        aml_byte(a, 0x2e);
    } else if (segments > 2) {
        aml_byte(a, 0x2f);
        aml_byte(a, (uint8_t)segments);
    }
    for (unsigned i = 0; i < segments; i++) {
        char seg[4] = { '_', '_', '_', '_' };
        for (int k = 0; *path && *path != '.'; path++)
            if (k < 4)
                seg[k++] = *path;
        if (*path == '.')
            path++;
        aml_bytes(a, seg, 4);
    }
}

void aml_int(struct aml *a, uint64_t v)
{
    if (v <= 1) {
        aml_byte(a, (uint8_t)v);
    } else if (v <= UINT8_MAX) {
        aml_byte(a, 0x0a);
        number(a, v, 1);
    } else if (v <= UINT16_MAX) {
        aml_byte(a, 0x0b);
        number(a, v, 2);
    } else if (v <= UINT32_MAX) {
        aml_byte(a, 0x0c);
        number(a, v, 4);
    } else {
        aml_byte(a, 0x0e);
        number(a, v, 8);
    }
}

void aml_eisa_id(struct aml *a, const char *id)
{
    unsigned letters = (unsigned)((id[0] - 0x40) << 10 | (id[1] - 0x40) << 5 | (id[2] - 0x40));
    unsigned digits = (unsigned)strtoul(id + 3, NULL, 16);
    const uint8_t p[5] = { 0x0c, (uint8_t)(letters >> 8), (uint8_t)letters, (uint8_t)(digits >> 8),
                           (uint8_t)digits };
    aml_bytes(a, p, sizeof p);
}

/* ---- things with a length ---- */

static size_t open(struct aml *a, const char *opcode, size_t len)
{
    aml_bytes(a, opcode, len);
    return a->len;
}

size_t aml_scope(struct aml *a, const char *path)
{
    size_t mark = open(a, "\x10", 1);
    aml_name(a, path);
    return mark;
}

size_t aml_device(struct aml *a, const char *name)
{
    size_t mark = open(a, "\x5b\x82", 2);
    aml_name(a, name);
    return mark;
}

size_t aml_processor(struct aml *a, const char *name, uint8_t id)
{
    size_t mark = open(a, "\x5b\x83", 2);
    aml_name(a, name);
    aml_byte(a, id);
    number(a, 0, 4); /* no P_BLK */
    aml_byte(a, 0);
    return mark;
}

size_t aml_method(struct aml *a, const char *name, unsigned args, bool serialized)
{
    size_t mark = open(a, "\x14", 1);
    aml_name(a, name);
    aml_byte(a, (uint8_t)(args | (serialized ? 8 : 0)));
    return mark;
}

size_t aml_package(struct aml *a, uint8_t elements)
{
    size_t mark = open(a, "\x12", 1);
    aml_byte(a, elements);
    return mark;
}

size_t aml_if(struct aml *a)
{
    return open(a, "\xa0", 1);
}

/* PkgLength counts itself: one byte up to 63, else a lead byte with 4 bits and one to three more.
 */
static unsigned encode_length(uint8_t out[4], size_t body)
{
    if (body + 1 < 64) {
        out[0] = (uint8_t)(body + 1);
        return 1;
    }
    for (unsigned more = 1; more < 4; more++) {
        size_t total = body + 1 + more;
        if (total >> (4 + 8 * more))
            continue;
        out[0] = (uint8_t)(more << 6 | (total & 15));
        for (unsigned i = 0; i < more; i++)
            out[1 + i] = (uint8_t)(total >> (4 + 8 * i));
        return 1 + more;
    }
    return 0;
}

void aml_end(struct aml *a, size_t mark)
{
    uint8_t length[4];
    if (a->failed || !reserve(a, 4))
        return;
    size_t body = a->len - mark;
    unsigned n = encode_length(length, body);
    assert(n);
    memmove(a->buf + mark + n, a->buf + mark, body);
    memcpy(a->buf + mark, length, n);
    a->len += n;
}

/* ---- statements ---- */

void aml_named(struct aml *a, const char *name)
{
    aml_byte(a, 0x08);
    aml_name(a, name);
}

void aml_name_int(struct aml *a, const char *name, uint64_t v)
{
    aml_named(a, name);
    aml_int(a, v);
}

void aml_name_eisa(struct aml *a, const char *name, const char *id)
{
    aml_named(a, name);
    aml_eisa_id(a, id);
}

void aml_pci_config_fields(struct aml *a, const char *region, uint8_t offset,
                           const char *const *names, unsigned count, unsigned bits)
{
    aml_bytes(a, "\x5b\x80", 2);
    aml_name(a, region);
    aml_byte(a, 2); /* PCI_Config */
    aml_int(a, offset);
    aml_int(a, count * bits / 8);
    size_t mark = open(a, "\x5b\x81", 2);
    aml_name(a, region);
    aml_byte(a, 1); /* byte access, preserve */
    for (unsigned i = 0; i < count; i++) {
        aml_name(a, names[i]);
        aml_byte(a, (uint8_t)bits); /* a length below 64 is one byte */
    }
    aml_end(a, mark);
}

void aml_io_fields(struct aml *a, const char *region, uint16_t base, const char *const *names,
                   unsigned count)
{
    aml_bytes(a, "\x5b\x80", 2);
    aml_name(a, region);
    aml_byte(a, 1); /* SystemIO */
    aml_int(a, base);
    aml_int(a, 4 * count);
    size_t mark = open(a, "\x5b\x81", 2);
    aml_name(a, region);
    aml_byte(a, 0x43); /* dword access, write as zeros */
    for (unsigned i = 0; i < count; i++) {
        aml_name(a, names[i]);
        aml_byte(a, 32);
    }
    aml_end(a, mark);
}

void aml_and(struct aml *a, const char *name, uint32_t mask)
{
    aml_byte(a, 0x7b);
    aml_name(a, name);
    aml_int(a, mask);
    aml_byte(a, 0);
}

void aml_or_into(struct aml *a, const char *name, uint8_t mask)
{
    aml_byte(a, 0x7d);
    aml_name(a, name);
    aml_int(a, mask);
    aml_name(a, name);
}

void aml_return_int(struct aml *a, uint64_t v)
{
    aml_byte(a, 0xa4);
    aml_int(a, v);
}

void aml_return_name(struct aml *a, const char *name)
{
    aml_byte(a, 0xa4);
    aml_name(a, name);
}

void aml_store_name(struct aml *a, const char *from, const char *to)
{
    aml_byte(a, 0x70);
    aml_name(a, from);
    aml_name(a, to);
}

void aml_store_int(struct aml *a, uint64_t v, const char *to)
{
    aml_byte(a, 0x70);
    aml_int(a, v);
    aml_name(a, to);
}

void aml_notify(struct aml *a, const char *object, unsigned value)
{
    aml_byte(a, 0x86);
    aml_name(a, object);
    aml_int(a, value);
}

/* ---- resources ---- */

static uint8_t *descriptor(struct aml_resources *r, size_t len)
{
    assert(r->len + len <= sizeof r->bytes);
    uint8_t *p = r->bytes + r->len;
    r->len += len;
    memset(p, 0, len);
    return p;
}

void aml_res_io(struct aml_resources *r, uint16_t base, uint8_t len)
{
    uint8_t *p = descriptor(r, 8);
    p[0] = 0x47;
    p[1] = 1; /* 16-bit decode */
    little_endian(p + 2, base, 2);
    little_endian(p + 4, base, 2);
    p[6] = 1;
    p[7] = len;
}

void aml_res_irq(struct aml_resources *r, unsigned irq)
{
    uint8_t *p = descriptor(r, 3);
    p[0] = 0x22;
    little_endian(p + 1, 1u << irq, 2);
}

void aml_res_dma(struct aml_resources *r, unsigned channel)
{
    uint8_t *p = descriptor(r, 3);
    p[0] = 0x2a;
    p[1] = (uint8_t)(1u << channel);
}

void aml_res_memory32(struct aml_resources *r, uint32_t base, uint32_t len)
{
    uint8_t *p = descriptor(r, 12);
    p[0] = 0x86;
    p[1] = 9;
    p[3] = 1; /* read-write */
    little_endian(p + 4, base, 4);
    little_endian(p + 8, len, 4);
}

void aml_res_interrupt(struct aml_resources *r, const uint32_t *irqs, unsigned count)
{
    uint8_t *p = descriptor(r, 5 + 4 * count);
    p[0] = 0x89;
    little_endian(p + 1, 2 + 4 * count, 2);
    p[3] = 0x09; /* consumer, level, active high, shared */
    p[4] = (uint8_t)count;
    for (unsigned i = 0; i < count; i++)
        little_endian(p + 5 + 4 * i, irqs[i], 4);
}

enum { WINDOW_MEMORY = 0, WINDOW_IO = 1, WINDOW_BUS = 2 };

/* Address space descriptors: the same shape with 2, 4 or 8-byte numbers. */
static void window(struct aml_resources *r, uint8_t tag, unsigned width, uint8_t type,
                   uint8_t type_flags, uint64_t first, uint64_t last)
{
    uint8_t *p = descriptor(r, 6 + 5 * width);
    p[0] = tag;
    little_endian(p + 1, 3 + 5 * width, 2);
    p[3] = type;
    p[4] = 0x0c; /* producer, minimum and maximum are fixed */
    p[5] = type_flags;
    little_endian(p + 6 + width, first, width);
    little_endian(p + 6 + 2 * width, last, width);
    little_endian(p + 6 + 4 * width, last - first + 1, width);
}

void aml_res_bus(struct aml_resources *r, uint16_t first, uint16_t last)
{
    window(r, 0x88, 2, WINDOW_BUS, 0, first, last);
}

void aml_res_io_window(struct aml_resources *r, uint16_t first, uint16_t last)
{
    window(r, 0x88, 2, WINDOW_IO, 3, first, last);
}

void aml_res_memory_window(struct aml_resources *r, uint32_t first, uint32_t last, bool cacheable)
{
    window(r, 0x87, 4, WINDOW_MEMORY, cacheable ? 3 : 1, first, last);
}

void aml_res_memory_window64(struct aml_resources *r, uint64_t first, uint64_t last)
{
    window(r, 0x8a, 8, WINDOW_MEMORY, 3, first, last);
}

void aml_res_write(struct aml *a, const struct aml_resources *r)
{
    size_t mark = open(a, "\x11", 1);
    aml_int(a, r->len + 2);
    aml_bytes(a, r->bytes, r->len);
    aml_byte(a, 0x79); /* end tag, checksum not used */
    aml_byte(a, 0);
    aml_end(a, mark);
}

void aml_crs(struct aml *a, const struct aml_resources *r)
{
    aml_named(a, "_CRS");
    aml_res_write(a, r);
}
