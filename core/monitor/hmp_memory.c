/*
 * HMP commands on values and memory: x, xp, print, sum, gva2gpa, i, o. Dumps look like QEMU's: a
 * 16-digit address, then 16 bytes a line (8 if the items are bytes).
 */
#include <string.h>

#include "cpu/decode.h"
#include "monitor/monitor_impl.h"

#define MAX_ITEMS 65536

typedef long long ll;
typedef unsigned long long ull;

/* Reads @len bytes at a virtual or physical address; false: not mapped. */
static bool peek(struct machine *m, bool virtual, uint64_t addr, uint8_t *buf, size_t len)
{
    while (len) {
        size_t n = 4096 - (addr & 4095);
        uint64_t phys = addr;
        n = n < len ? n : len;
        if (virtual && !cpu_probe_phys(m->cpus[0], addr, &phys))
            return false;
        dma_read(&m->mem, phys, buf, n);
        addr += n;
        buf += n;
        len -= n;
    }
    return true;
}

static void put_char(struct text *out, uint8_t c)
{
    if (c == '\'' || c == '\\')
        text_printf(out, "'\\%c'", c);
    else if (c == '\n' || c == '\r')
        text_printf(out, "'\\%c'", c == '\n' ? 'n' : 'r');
    else if (c >= 32 && c < 127)
        text_printf(out, "'%c'", c);
    else
        text_printf(out, "'\\x%02x'", c);
}

static void put_item(struct text *out, uint64_t v, const struct hmp_format *f)
{
    int bits = f->size * 8, decimals = (bits * 10 + 32) / 33;
    switch (f->format) {
    case 'o': text_printf(out, "0%0*llo", (bits + 2) / 3, (ull)v); break;
    case 'u': text_printf(out, "%*llu", decimals, (ull)v); break;
    case 'd':
        text_printf(out, "%*lld", decimals, (ll)(int64_t)(v << (64 - bits)) >> (64 - bits));
        break;
    case 'c': put_char(out, (uint8_t)v); break;
    default: text_printf(out, "0x%0*llx", bits / 4, (ull)v); break;
    }
}

static void disassemble(struct machine *m, struct text *out, bool virtual, uint64_t addr, int count)
{
    unsigned mode = m->cpus[0]->mode & MODE_CODE_MASK;
    decode_init();
    for (int i = 0; i < count; i++) {
        uint8_t bytes[15];
        char text[128];
        unsigned avail = 0;
        while (avail < sizeof bytes && peek(m, virtual, addr + avail, bytes + avail, 1))
            avail++;
        unsigned len = avail ? disasm(text, sizeof text, bytes, avail, mode, addr) : 0;
        if (!len || len > avail) {
            text_printf(out, "0x%08llx: Cannot access memory\n", (ull)addr);
            return;
        }
        struct text hex = { 0 };
        for (unsigned k = 0; k < len; k++)
            text_printf(&hex, k ? " %02x" : "%02x", bytes[k]);
        text_printf(out, "0x%08llx:  %-24s %s\n", (ull)addr, text_str(&hex), text);
        text_free(&hex);
        addr += len;
    }
}

static void dump(struct machine *m, struct text *out, const struct hmp_arg *a, bool virtual)
{
    const struct hmp_format *f = &a[0].fmt;
    uint64_t addr = (uint64_t)a[1].i;
    int count = f->count < MAX_ITEMS ? f->count : MAX_ITEMS;
    if (f->format == 'i') {
        disassemble(m, out, virtual, addr, count);
        return;
    }
    int a_line = (f->size == 1 && f->format != 'c' ? 8 : 16) / f->size;
    for (int i = 0; i < count; i++, addr += (unsigned)f->size) {
        uint8_t bytes[8] = { 0 };
        uint64_t v = 0;
        if (i % a_line == 0)
            text_printf(out, "%s%016llx:", i ? "\n" : "", (ull)addr);
        if (!peek(m, virtual, addr, bytes, (size_t)f->size)) {
            text_puts(out, " Cannot access memory");
            break;
        }
        for (int k = f->size - 1; k >= 0; k--)
            v = v << 8 | bytes[k];
        text_puts(out, " ");
        put_item(out, v, f);
    }
    if (count)
        text_puts(out, "\n");
}

void hmp_x(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    dump(m, out, a, true);
}

void hmp_xp(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    dump(m, out, a, false);
}

void hmp_print(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    uint64_t v = (uint64_t)a[1].i;
    switch (a[0].fmt.format) {
    case 'o': text_printf(out, "%#llo\n", (ull)v); break;
    case 'u': text_printf(out, "%llu\n", (ull)v); break;
    case 'c':
        put_char(out, (uint8_t)v);
        text_puts(out, "\n");
        break;
    case 'x': text_printf(out, "%#llx\n", (ull)v); break;
    default: text_printf(out, "%lld\n", (ll)v); break;
    }
}

/* The 16-bit rotating sum that sum(1) of BSD makes. */
void hmp_sum(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    uint64_t addr = (uint64_t)a[0].i, left = (uint64_t)a[1].i;
    uint16_t sum = 0;
    uint8_t buf[4096];
    if (left > 1ull << 32) {
        text_puts(out, "size is too large\n");
        return;
    }
    while (left) {
        size_t n = left < sizeof buf ? left : sizeof buf;
        dma_read(&m->mem, addr, buf, n);
        for (size_t i = 0; i < n; i++)
            sum = (uint16_t)((sum >> 1 | sum << 15) + buf[i]);
        addr += n;
        left -= n;
    }
    text_printf(out, "%05d\n", sum);
}

void hmp_gva2gpa(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    uint64_t phys;
    if (cpu_probe_phys(m->cpus[0], (uint64_t)a[0].i, &phys))
        text_printf(out, "gpa: %#llx\n", (ull)phys);
    else
        text_puts(out, "Unmapped\n");
}

static char size_letter(int size)
{
    return size == 1 ? 'b' : size == 2 ? 'w' : 'l';
}

void hmp_port_in(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    int size = a[0].fmt.size > 4 ? 4 : a[0].fmt.size;
    uint64_t port = (uint64_t)a[1].i & 0xffff;
    text_printf(out, "port%c[0x%04llx] = 0x%0*llx\n", size_letter(size), (ull)port, size * 2,
                (ull)mem_read(&m->io, port, (unsigned)size));
}

void hmp_port_out(struct machine *m, struct text *out, const struct hmp_arg *a)
{
    int size = a[0].fmt.size > 4 ? 4 : a[0].fmt.size;
    mem_write(&m->io, (uint64_t)a[1].i & 0xffff, (uint64_t)a[2].i, (unsigned)size);
}
