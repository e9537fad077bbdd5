/*
 * Segmentation: descriptors, loads of segment registers, limit and type checks.
 *
 * A segment register is its selector and the hidden part in c->seg[]. What address formation uses
 * (seg_base, seg_check) is derived from it here: a flat segment has nothing to check, so the fast
 * path is one addition; anything else sets seg_check bits and comes to seg_check_slow().
 *
 * Real mode doesn't look at the type of a segment, only at its limit; loads there change only
 * selector and base, so that limits set in protected mode stay ("big real mode"). In protected mode
 * SS.DPL is always the CPL, also for the null SS that long mode allows. SDM vol.
 * 3, 3.4, 5.2-5.8, 21.1; vol. 2 MOV.
 */
#include "cpu/cpu.h"
#include "cpu/desc.h"
#include "cpu/mem.h"

bool desc_address(const struct cpu *c, uint16_t sel, unsigned bytes, uint64_t *la)
{
    uint64_t base = c->gdtr.base;
    uint32_t limit = c->gdtr.limit;
    if (sel & 4) {
        if (!(c->ldtr.attr & SEG_P))
            return false;
        base = c->ldtr.base;
        limit = c->ldtr.limit;
    }
    uint32_t first = sel & 0xfff8u;
    if (first + bytes - 1 > limit)
        return false;
    *la = base + first;
    if (!cpu_long_mode(c))
        *la &= 0xffffffffu;
    return true;
}

bool desc_fetch(struct cpu *c, uint16_t sel, int vector, uint32_t ext, struct desc *d)
{
    uint64_t la;
    if (!desc_address(c, sel, 8, &la))
        return cpu_fault(c, vector, (sel & 0xfffcu) | ext);
    return mem_sys_read(c, la, d, 8);
}

bool desc_fetch_upper(struct cpu *c, uint16_t sel, int vector, uint32_t ext, uint32_t *upper)
{
    uint64_t la;
    struct desc d;
    if (!desc_address(c, sel, 16, &la))
        return cpu_fault(c, vector, (sel & 0xfffcu) | ext);
    if (!mem_sys_read(c, la + 8, &d, 8))
        return false;
    if (d.hi & 0x1f00)
        return cpu_fault(c, vector, (sel & 0xfffcu) | ext);
    *upper = d.lo;
    return true;
}

bool desc_set_accessed(struct cpu *c, uint16_t sel, struct desc *d)
{
    uint64_t la;
    if (DESC_TYPE(d) & TYPE_ACCESSED)
        return true;
    d->hi |= TYPE_ACCESSED << 8;
    uint8_t type = (uint8_t)(d->hi >> 8);
    return desc_address(c, sel, 8, &la) && mem_sys_write(c, la + 5, &type, 1);
}

bool desc_set_busy(struct cpu *c, uint16_t sel, bool busy)
{
    uint64_t la;
    uint8_t type;
    if (!desc_address(c, sel, 8, &la))
        return cpu_fault(c, EXC_TS, sel & 0xfffcu);
    if (!mem_sys_read(c, la + 5, &type, 1))
        return false;
    type = busy ? type | 2 : type & ~2;
    return mem_sys_write(c, la + 5, &type, 1);
}

struct segment desc_segment(uint16_t sel, const struct desc *d)
{
    struct segment s = {
        .sel = sel,
        .attr = (d->hi >> 8 & 0xff) | (d->hi >> 8 & 0xf000),
        .limit = (d->lo & 0xffff) | (d->hi & 0xf0000),
        .base = d->lo >> 16 | (d->hi & 0xff) << 16 | (d->hi & 0xff000000u),
    };
    if (s.attr & SEG_G)
        s.limit = s.limit << 12 | 0xfff;
    return s;
}

struct segment seg_null(uint16_t sel, unsigned dpl)
{
    return (struct segment){ .sel = sel, .attr = (uint16_t)(dpl << 5) };
}

struct segment seg_vm86(uint16_t sel)
{
    return (
        struct segment){ .sel = sel, .attr = 0xf3, .limit = 0xffff, .base = (uint64_t)sel << 4 };
}

bool seg_in_limit(const struct segment *s, uint64_t ea, unsigned size)
{
    uint64_t last = ea + size - 1;
    if ((s->attr & SEG_S) && !(s->attr & TYPE_CODE) && (s->attr & TYPE_DOWN))
        return ea > s->limit && last <= ((s->attr & SEG_DB) ? 0xffffffffu : 0xffffu);
    return last <= s->limit;
}

bool seg_check_ip(struct cpu *c, const struct segment *cs, uint64_t off, uint32_t error)
{
    if (cpu_long_mode(c) && (cs->attr & SEG_L)) {
        if (!cpu_canonical(off))
            return cpu_fault(c, EXC_GP, error);
    } else if (off > cs->limit) {
        return cpu_fault(c, EXC_GP, error);
    }
    return true;
}

void seg_update(struct cpu *c, int seg)
{
    const struct segment *s = &c->seg[seg];
    if (cpu_code64(c)) {
        c->seg_base[seg] = seg == SEG_FS || seg == SEG_GS ? s->base : 0;
        c->seg_check[seg] = 0;
        return;
    }
    uint8_t check = 0;
    c->seg_base[seg] = (uint32_t)s->base;
    if (cpu_protected(c)) {
        unsigned type = SEG_TYPE(s->attr);
        if (!(s->attr & SEG_P) || (!(type & TYPE_CODE) && (type & TYPE_DOWN)))
            check = SEG_CHECK_READ | SEG_CHECK_WRITE;
        if ((type & TYPE_CODE) || !(type & TYPE_WRITE))
            check |= SEG_CHECK_WRITE;
        if ((type & TYPE_CODE) && !(type & TYPE_READ))
            check |= SEG_CHECK_READ;
    }
    if (s->limit != 0xffffffffu)
        check = SEG_CHECK_READ | SEG_CHECK_WRITE;
    c->seg_check[seg] = check;
}

void seg_update_flat(struct cpu *c)
{
    uint64_t bases =
        c->seg_base[SEG_CS] | c->seg_base[SEG_DS] | c->seg_base[SEG_ES] | c->seg_base[SEG_SS];
    c->flat = (c->mode & (MODE_CODE_MASK | MODE_SS32)) == (MODE_CODE32 | MODE_SS32) && !bases &&
              !(c->seg_check[SEG_DS] | c->seg_check[SEG_ES] | c->seg_check[SEG_SS]) &&
              c->cs_limit == 0xffffffffu;
    cpu_update_jump_context(c);
}

static bool same_segment(const struct segment *a, const struct segment *b)
{
    return a->sel == b->sel && a->attr == b->attr && a->limit == b->limit && a->base == b->base;
}

void seg_set(struct cpu *c, int seg, const struct segment *s)
{
    bool mode = seg == SEG_CS || seg == SEG_SS;
    /* Kernels load data segments at each entry, mostly with what they are. */
    if (!mode && same_segment(&c->seg[seg], s))
        return;
    c->seg[seg] = *s;
    if (mode) {
        cpu_update_mode(c);
    } else {
        seg_update(c, seg);
        seg_update_flat(c);
    }
}

bool seg_check_slow(struct cpu *c, int seg, uint64_t ea, unsigned size, enum access a, uint64_t *la)
{
    if (cpu_code64(c) || seg == SEG_NONE) {
        *la = (c->seg_base[seg] + ea) & c->la_mask;
        return true;
    }
    const struct segment *s = &c->seg[seg];
    bool ok = true;
    ea = (uint32_t)ea;
    if (cpu_protected(c)) {
        unsigned type = SEG_TYPE(s->attr);
        if (!(s->attr & SEG_P))
            ok = false;
        else if (a == ACCESS_WRITE)
            ok = !(type & TYPE_CODE) && (type & TYPE_WRITE);
        else if (a == ACCESS_READ)
            ok = !(type & TYPE_CODE) || (type & TYPE_READ);
    }
    if (!ok || !seg_in_limit(s, ea, size))
        return cpu_fault(c, seg == SEG_SS ? EXC_SS : EXC_GP, 0);
    *la = (uint32_t)(s->base + ea);
    return true;
}

void seg_load_real(struct cpu *c, int seg, uint16_t sel)
{
    struct segment s = seg_vm86(sel);
    if (!cpu_vm86(c)) {
        s.attr = c->seg[seg].attr;
        s.limit = c->seg[seg].limit;
    }
    seg_set(c, seg, &s);
}

/* SS: a writable data segment of exactly the current privilege. */
static bool load_ss(struct cpu *c, uint16_t sel)
{
    struct desc d;
    struct segment s;
    uint32_t error = sel & 0xfffcu;
    if (sel_is_null(sel)) {
        if (!cpu_code64(c) || c->cpl == 3 || (sel & 3) != c->cpl)
            return cpu_fault(c, EXC_GP, 0);
        s = seg_null(sel, c->cpl);
        seg_set(c, SEG_SS, &s);
        return true;
    }
    if (!desc_fetch(c, sel, EXC_GP, 0, &d))
        return false;
    if ((sel & 3) != c->cpl || !desc_is_writable_data(&d) || DESC_DPL(&d) != c->cpl)
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_SS, error);
    if (!desc_set_accessed(c, sel, &d))
        return false;
    s = desc_segment(sel, &d);
    seg_set(c, SEG_SS, &s);
    return true;
}

bool seg_load(struct cpu *c, int seg, uint16_t sel)
{
    struct desc d;
    struct segment s;
    uint32_t error = sel & 0xfffcu;
    if (!cpu_protected(c)) {
        seg_load_real(c, seg, sel);
        return true;
    }
    if (seg == SEG_SS)
        return load_ss(c, sel);
    if (sel_is_null(sel)) {
        s = seg_null(sel, 0);
        seg_set(c, seg, &s);
        return true;
    }
    if (!desc_fetch(c, sel, EXC_GP, 0, &d))
        return false;
    bool code = DESC_TYPE(&d) & TYPE_CODE;
    if (!DESC_S(&d) || (code && !(DESC_TYPE(&d) & TYPE_READ)))
        return cpu_fault(c, EXC_GP, error);
    if (!(code && desc_is_conforming(&d)) && (DESC_DPL(&d) < (sel & 3u) || DESC_DPL(&d) < c->cpl))
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_NP, error);
    if (!desc_set_accessed(c, sel, &d))
        return false;
    s = desc_segment(sel, &d);
    seg_set(c, seg, &s);
    return true;
}

bool io_allowed(struct cpu *c, uint16_t port, unsigned size)
{
    if (!(c->cr0 & CR0_PE) || (!(c->rflags & FL_VM) && c->cpl <= cpu_iopl(c)))
        return true;
    uint16_t map, bits;
    unsigned type = SEG_TYPE(c->tr.attr);
    if (!(c->tr.attr & SEG_P) || (type != SYS_TSS32 && type != SYS_TSS32_BUSY) || c->tr.limit < 103)
        return cpu_fault(c, EXC_GP, 0);
    if (!mem_sys_read(c, c->tr.base + 102, &map, 2))
        return false;
    uint32_t at = map + port / 8u;
    if (at + 1 > c->tr.limit)
        return cpu_fault(c, EXC_GP, 0);
    if (!mem_sys_read(c, c->tr.base + at, &bits, 2))
        return false;
    if (bits >> (port & 7) & ((1u << size) - 1))
        return cpu_fault(c, EXC_GP, 0);
    return true;
}
