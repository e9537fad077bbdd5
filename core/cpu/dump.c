/*
 * Text of all registers, in the format of QEMU's "info registers", so that its users and tools can
 * read it.
 */
#include <stdarg.h>
#include <stdio.h>

#include "cpu/cpu.h"
#include "cpu/desc.h"
#include "cpu/flags.h"

struct text {
    char *buf;
    size_t len, at;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *fmt, ...)
{
    va_list ap;
    if (t->at >= t->len)
        return;
    va_start(ap, fmt);
    int n = vsnprintf(t->buf + t->at, t->len - t->at, fmt, ap);
    va_end(ap);
    if (n > 0)
        t->at = t->at + (size_t)n < t->len ? t->at + (size_t)n : t->len - 1;
}

typedef unsigned long long ull;

static void put_general(struct text *t, const struct cpu *c, bool wide)
{
    static const char *const names64[16] = {
        "RAX", "RCX", "RDX", "RBX", "RSP", "RBP", "RSI", "RDI",
        "R8 ", "R9 ", "R10", "R11", "R12", "R13", "R14", "R15"
    };
    static const uint8_t order[16] = { RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP,
                                       R8,  R9,  R10, R11, R12, R13, R14, R15 };
    for (int k = 0; k < (wide ? 16 : 8); k++) {
        if (wide)
            put(t, "%s=%016llx", names64[order[k]], (ull)c->gpr[order[k]]);
        else
            put(t, "E%s=%08x", names64[order[k]] + 1, (uint32_t)c->gpr[order[k]]);
        put(t, k % 4 == 3 ? "\n" : " ");
    }
}

static void put_flags(struct text *t, const struct cpu *c, bool wide)
{
    uint32_t fl = cpu_rflags(c);
    if (wide)
        put(t, "RIP=%016llx RFL=%08x", (ull)c->rip, fl);
    else
        put(t, "EIP=%08x EFL=%08x", (uint32_t)c->rip, fl);
    put(t, " [%c%c%c%c%c%c%c] CPL=%d II=%d A20=%d SMM=%d HLT=%d\n", fl & FL_DF ? 'D' : '-',
        fl & FL_OF ? 'O' : '-', fl & FL_SF ? 'S' : '-', fl & FL_ZF ? 'Z' : '-',
        fl & FL_AF ? 'A' : '-', fl & FL_PF ? 'P' : '-', fl & FL_CF ? 'C' : '-', c->cpl,
        c->shadow || c->shadow_ss, c->a20, c->in_smm, c->halted);
}

static void put_segment(struct text *t, const struct cpu *c, const char *name,
                        const struct segment *s, bool wide)
{
    static const char *const system[16] = { "Reserved",   "TSS16-avl", "LDT",       "TSS16-busy",
                                            "CallGate16", "TaskGate",  "IntGate16", "TrapGate16",
                                            "Reserved",   "TSS32-avl", "Reserved",  "TSS32-busy",
                                            "CallGate32", "Reserved",  "IntGate32", "TrapGate32" };
    static const char *const system64[16] = {
        "<hiword>",   "Reserved", "LDT",       "Reserved",  "Reserved", "Reserved",
        "Reserved",   "Reserved", "Reserved",  "TSS64-avl", "Reserved", "TSS64-busy",
        "CallGate64", "Reserved", "IntGate64", "TrapGate64"
    };
    uint32_t a = s->attr, type = SEG_TYPE(a);
    put(t, "%-3s=%04x ", name, s->sel);
    if (wide)
        put(t, "%016llx", (ull)s->base);
    else
        put(t, "%08x", (uint32_t)s->base);
    put(t, " %08x %08x", s->limit, (a & 0xff) << 8 | (a & 0xf000) << 8 | (s->limit & 0xf0000));
    if (!(c->cr0 & CR0_PE) || !(a & SEG_P)) {
        put(t, "\n");
        return;
    }
    put(t, " DPL=%d ", SEG_DPL(a));
    if (!(a & SEG_S))
        put(t, "%s", cpu_long_mode(c) ? system64[type] : system[type]);
    else if (type & TYPE_CODE)
        put(t, "%s [%c%c%c]",
            a & SEG_L    ? "CS64"
            : a & SEG_DB ? "CS32"
                         : "CS16",
            type & TYPE_CONFORMING ? 'C' : '-', type & TYPE_READ ? 'R' : '-',
            type & TYPE_ACCESSED ? 'A' : '-');
    else
        put(t, "%s [%c%c%c]", a & SEG_DB || cpu_long_mode(c) ? "DS  " : "DS16",
            type & TYPE_DOWN ? 'E' : '-', type & TYPE_WRITE ? 'W' : '-',
            type & TYPE_ACCESSED ? 'A' : '-');
    put(t, "\n");
}

static void put_tables(struct text *t, const struct cpu *c, bool wide)
{
    int width = wide ? 16 : 8;
    put(t, "GDT=     %0*llx %08x\n", width, (ull)c->gdtr.base, c->gdtr.limit);
    put(t, "IDT=     %0*llx %08x\n", width, (ull)c->idtr.base, c->idtr.limit);
    if (wide) {
        put(t, "CR0=%08x CR2=%016llx CR3=%016llx CR4=%08x\n", (uint32_t)c->cr0, (ull)c->cr2,
            (ull)c->cr3, (uint32_t)c->cr4);
        for (int k = 0; k < 4; k++)
            put(t, "DR%d=%016llx ", k, (ull)c->dr[k]);
        put(t, "\nDR6=%016llx DR7=%016llx\n", (ull)c->dr[6], (ull)c->dr[7]);
    } else {
        put(t, "CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", (uint32_t)c->cr0, (uint32_t)c->cr2,
            (uint32_t)c->cr3, (uint32_t)c->cr4);
        for (int k = 0; k < 4; k++)
            put(t, "DR%d=%08x ", k, (uint32_t)c->dr[k]);
        put(t, "\nDR6=%08x DR7=%08x\n", (uint32_t)c->dr[6], (uint32_t)c->dr[7]);
    }
    put(t, "EFER=%016llx\n", (ull)c->efer);
}

static void put_fpu(struct text *t, const struct cpu *c, int xmm_count)
{
    put(t, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n", c->fcw, c->fsw | c->ftop << 11,
        c->ftop, c->ftag, c->mxcsr);
    for (int k = 0; k < 8; k++)
        put(t, "FPR%d=%016llx %04x%s", k, (ull)c->st[k].frac, c->st[k].se, k % 2 ? "\n" : " ");
    for (int k = 0; k < xmm_count; k++)
        put(t, "XMM%02d=%016llx %016llx%s", k, (ull)c->xmm[k].u64[1], (ull)c->xmm[k].u64[0],
            k % 2 ? "\n" : " ");
}

size_t cpu_dump(struct cpu *c, char *buf, size_t len)
{
    static const char *const names[6] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    struct text t = { buf, len, 0 };
    bool wide = cpu_code64(c) || cpu_long_mode(c);
    if (len)
        buf[0] = 0;
    put_general(&t, c, wide);
    put_flags(&t, c, wide);
    for (int k = 0; k < 6; k++)
        put_segment(&t, c, names[k], &c->seg[k], wide);
    put_segment(&t, c, "LDT", &c->ldtr, wide);
    put_segment(&t, c, "TR", &c->tr, wide);
    put_tables(&t, c, wide);
    put_fpu(&t, c, cpu_code64(c) ? 16 : 8);
    return t.at;
}
