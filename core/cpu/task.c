/*
 * Hardware task switch through 16- and 32-bit TSSs.
 *
 * Everything that can be checked in the old task's context is: the new descriptor, the limits of
 * both TSSs, and all of their memory. Then the old state is saved and the new registers, with their
 * selectors but no descriptors yet, become current: that is the commit point. What fails after it
 * (LDTR, segment loads, the code limit, the push of an error code) is an exception of the new task,
 * so it is delivered from here, with the new CS:EIP. SDM vol. 3, 7.3, table 7-1.
 */
#include <string.h>

#include "cpu/cpu.h"
#include "cpu/desc.h"
#include "cpu/flags.h"
#include "cpu/mem.h"

#define TSS32_SIZE 104u
#define TSS16_SIZE 44u

struct state {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t sel[6], ldt, trap; /* sel in the order ES CS SS DS FS GS, which is also enum SEG_* */
};

static uint32_t get(const uint8_t *p, unsigned size)
{
    uint32_t v = 0;
    memcpy(&v, p, size);
    return v;
}

static void unpack(const uint8_t *t, bool tss32, struct state *s)
{
    unsigned w = tss32 ? 4 : 2, at = tss32 ? 32 : 14;
    memset(s, 0, sizeof *s);
    s->eip = get(t + at, w);
    s->eflags = get(t + at + w, w);
    for (int k = 0; k < 8; k++)
        s->gpr[k] = get(t + at + (2 + k) * w, w) | (tss32 ? 0 : 0xffff0000u);
    for (int k = 0; k < (tss32 ? 6 : 4); k++)
        s->sel[k] = (uint16_t)get(t + at + (10 + k) * w, 2);
    s->ldt = (uint16_t)get(t + (tss32 ? 96 : 42), 2);
    if (tss32) {
        s->cr3 = get(t + 28, 4);
        s->trap = (uint16_t)get(t + 100, 2);
    }
}

/* Stores the current state into the old TSS. */
static bool save(struct cpu *c, bool tss32, uint32_t eip, uint32_t eflags)
{
    unsigned w = tss32 ? 4 : 2, at = tss32 ? 32 : 14, segs = tss32 ? 6 : 4;
    uint8_t t[TSS32_SIZE];
    uint32_t base = (uint32_t)c->tr.base;
    unsigned bytes = (10 + segs) * w;
    for (unsigned k = 0; k < bytes; k += w)
        if (!mem_sys_read(c, base + at + k, t + k, w)) /* upper halves of selector slots stay */
            return false;
    memcpy(t, &eip, w);
    memcpy(t + w, &eflags, w);
    for (unsigned k = 0; k < 8; k++)
        memcpy(t + (2 + k) * w, &c->gpr[k], w);
    for (unsigned k = 0; k < segs; k++)
        memcpy(t + (10 + k) * w, &c->seg[k].sel, 2);
    for (unsigned k = 0; k < bytes; k += w)
        if (!mem_sys_write(c, base + at + k, t + k, w))
            return false;
    return true;
}

static bool load_ldtr(struct cpu *c, uint16_t sel, uint32_t ext)
{
    struct desc d;
    c->ldtr = seg_null(sel, 0);
    if (sel_is_null(sel))
        return true;
    if (sel & 4)
        return cpu_fault(c, EXC_TS, (sel & 0xfffcu) | ext);
    if (!desc_fetch(c, sel, EXC_TS, ext, &d))
        return false;
    if (DESC_S(&d) || DESC_TYPE(&d) != SYS_LDT || !DESC_P(&d))
        return cpu_fault(c, EXC_TS, (sel & 0xfffcu) | ext);
    c->ldtr = desc_segment(sel, &d);
    return true;
}

static bool load_code(struct cpu *c, uint16_t sel, uint32_t ext)
{
    struct desc d;
    uint32_t error = (sel & 0xfffcu) | ext;
    unsigned rpl = sel & 3;
    if (sel_is_null(sel))
        return cpu_fault(c, EXC_TS, ext);
    if (!desc_fetch(c, sel, EXC_TS, ext, &d))
        return false;
    if (!desc_is_code(&d) || (desc_is_conforming(&d) ? DESC_DPL(&d) > rpl : DESC_DPL(&d) != rpl))
        return cpu_fault(c, EXC_TS, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_NP, error);
    if (!desc_set_accessed(c, sel, &d))
        return false;
    c->seg[SEG_CS] = desc_segment(sel, &d);
    cpu_update_mode(c);
    return true;
}

static bool load_stack(struct cpu *c, uint16_t sel, uint32_t ext)
{
    struct desc d;
    uint32_t error = (sel & 0xfffcu) | ext;
    if (sel_is_null(sel))
        return cpu_fault(c, EXC_TS, ext);
    if (!desc_fetch(c, sel, EXC_TS, ext, &d))
        return false;
    if (!desc_is_writable_data(&d) || DESC_DPL(&d) != c->cpl || (sel & 3) != c->cpl)
        return cpu_fault(c, EXC_TS, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_SS, error);
    if (!desc_set_accessed(c, sel, &d))
        return false;
    struct segment s = desc_segment(sel, &d);
    seg_set(c, SEG_SS, &s);
    return true;
}

static bool load_data(struct cpu *c, int seg, uint16_t sel, uint32_t ext)
{
    struct desc d;
    uint32_t error = (sel & 0xfffcu) | ext;
    if (sel_is_null(sel))
        return true;
    if (!desc_fetch(c, sel, EXC_TS, ext, &d))
        return false;
    bool code = DESC_TYPE(&d) & TYPE_CODE;
    if (!DESC_S(&d) || (code && !(DESC_TYPE(&d) & TYPE_READ)))
        return cpu_fault(c, EXC_TS, error);
    if (!(code && desc_is_conforming(&d)) && (DESC_DPL(&d) < (sel & 3u) || DESC_DPL(&d) < c->cpl))
        return cpu_fault(c, EXC_TS, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_NP, error);
    if (!desc_set_accessed(c, sel, &d))
        return false;
    struct segment s = desc_segment(sel, &d);
    seg_set(c, seg, &s);
    return true;
}

/* What happens in the new task before its first instruction. */
static bool enter_task(struct cpu *c, const struct state *s, bool tss32, bool has_error,
                       uint32_t error, uint32_t ext)
{
    static const uint8_t data[4] = { SEG_DS, SEG_ES, SEG_FS, SEG_GS };
    if (!load_ldtr(c, s->ldt, ext))
        return false;
    if (!(c->rflags & FL_VM)) {
        if (!load_code(c, s->sel[SEG_CS], ext) || !load_stack(c, s->sel[SEG_SS], ext))
            return false;
        for (int k = 0; k < 4; k++)
            if (!load_data(c, data[k], s->sel[data[k]], ext))
                return false;
    }
    if (has_error) {
        struct stack st = stack_current(c);
        st.error = ext;
        if (!stack_push(c, &st, tss32 ? 4 : 2, error))
            return false;
        stack_commit(c, &st);
    }
    if (!seg_check_ip(c, &c->seg[SEG_CS], c->rip, ext))
        return false;
    if (s->trap & 1) {
        c->dr6_pending |= 0x8000; /* BT */
        return cpu_fault_noerr(c, EXC_DB);
    }
    return true;
}

bool task_switch(struct cpu *c, uint16_t sel, enum task_switch how, uint64_t next_rip,
                 bool has_error, uint32_t error)
{
    uint32_t ext = how == TASK_INT && c->exc_delivering_ext, sel_error = (sel & 0xfffcu) | ext;
    int bad = how == TASK_IRET ? EXC_TS : EXC_GP;
    struct desc d;
    if (sel & 4)
        return cpu_fault(c, bad, sel_error);
    if (!desc_fetch(c, sel, bad, ext, &d))
        return false;
    unsigned type = DESC_TYPE(&d), busy = how == TASK_IRET ? 2 : 0;
    if (DESC_S(&d) || (type != (SYS_TSS16 | busy) && type != (SYS_TSS32 | busy)))
        return cpu_fault(c, bad, sel_error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_NP, sel_error);

    bool tss32 = type & 8, old32 = SEG_TYPE(c->tr.attr) & 8;
    struct segment tr = desc_segment(sel, &d);
    unsigned size = tss32 ? TSS32_SIZE : TSS16_SIZE;
    if (tr.limit < size - 1)
        return cpu_fault(c, EXC_TS, sel_error);
    if (!(c->tr.attr & SEG_P) || c->tr.limit < (old32 ? TSS32_SIZE : TSS16_SIZE) - 1)
        return cpu_fault(c, EXC_TS, (c->tr.sel & 0xfffcu) | ext);

    uint8_t raw[TSS32_SIZE];
    struct state s;
    for (unsigned k = 0; k < size; k += 4)
        if (!mem_sys_read(c, (uint32_t)(tr.base + k), raw + k, 4))
            return false;
    unpack(raw, tss32, &s);

    uint32_t eflags = cpu_rflags(c);
    if (how == TASK_IRET)
        eflags &= ~FL_NT;
    bool nests = how == TASK_CALL || how == TASK_INT;
    if (!save(c, old32, (uint32_t)next_rip, eflags))
        return false;
    if (nests && !mem_sys_write(c, (uint32_t)tr.base, &c->tr.sel, 2))
        return false;
    if (!nests && !desc_set_busy(c, c->tr.sel, false))
        return false;
    if (how != TASK_IRET && !desc_set_busy(c, sel, true))
        return false;

    /* The new task, from here on. */
    bool paging = tss32 && (c->cr0 & CR0_PG), pdptes_ok = true;
    tr.attr |= 2;
    c->tr = tr;
    if (paging) {
        if (c->cr4 & CR4_PAE)
            pdptes_ok = mmu_load_pdptes(c, s.cr3);
        c->cr3 = s.cr3;
        tlb_flush(c, false);
    }
    c->cr0 |= CR0_TS;
    const uint32_t defined = tss32 ? 0x3f7fd5 : 0x7fd5;
    eflags = (s.eflags & defined) | 2 | (nests ? FL_NT : 0);
    c->rflags = eflags & ~FL_ARITH;
    flags_set_arith(c, eflags);
    for (int k = 0; k < 8; k++)
        c->gpr[k] = s.gpr[k];
    c->rip = s.eip;
    bool vm = eflags & FL_VM;
    c->cpl = vm ? 3 : s.sel[SEG_CS] & 3;
    for (int k = 0; k < 6; k++)
        c->seg[k] = vm ? seg_vm86(s.sel[k]) : seg_null(s.sel[k], c->cpl);
    if (c->dr[7] & 0x155) {
        c->dr[7] &= ~0x155ull; /* local breakpoints end with the task */
        dbg_update(c);
    }
    cpu_update_mode(c);
    for (int k = 0; k < 6; k++)
        seg_update(c, k);
    if (!pdptes_ok || !enter_task(c, &s, tss32, has_error, error, ext))
        exc_deliver_pending(c);
    return true;
}
