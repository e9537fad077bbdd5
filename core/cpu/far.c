/*
 * Far transfers: JMP, CALL, RET and IRET between segments, in every mode.
 *
 * A transfer reads and checks everything first (descriptors, gates, both stacks), pushes to or pops
 * from a struct stack, and commits registers last. Targets: code segments (conforming ones keep the
 * CPL), call gates (16, 32 or 64 bits; to an inner level with a stack from the TSS and parameters
 * copied), TSSs and task gates (task.c). IRET also returns from nested tasks and to vm86 mode. SDM
 * vol. 3, 5.8; vol. 2 JMP, CALL, RET, IRET.
 */
#include "cpu/cpu.h"
#include "cpu/desc.h"
#include "cpu/flags.h"
#include "cpu/mem.h"

static uint64_t osz_mask(int osz)
{
    return osz == 1 ? 0xffff : osz == 2 ? 0xffffffffu : ~0ull;
}

/* Makes @cs current at privilege @cpl and jumps. The caller has committed the stack. */
static void commit_cs(struct cpu *c, uint16_t sel, const struct desc *d, unsigned cpl, uint64_t rip)
{
    c->seg[SEG_CS] = desc_segment((uint16_t)((sel & 0xfffc) | cpl), d);
    c->cpl = (uint8_t)cpl;
    c->rip = rip;
    cpu_update_mode(c);
}

/* Checks a code segment as the target of a direct JMP or CALL. */
static bool direct_code(struct cpu *c, uint16_t sel, struct desc *d, uint64_t off)
{
    uint32_t error = sel & 0xfffcu;
    if (desc_is_conforming(d) ? DESC_DPL(d) > c->cpl : (sel & 3) > c->cpl || DESC_DPL(d) != c->cpl)
        return cpu_fault(c, EXC_GP, error);
    if (!desc_code_ok_long(c, d))
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(d))
        return cpu_fault(c, EXC_NP, error);
    struct segment cs = desc_segment(sel, d);
    return seg_check_ip(c, &cs, off, 0);
}

struct call_gate {
    uint16_t sel;
    uint64_t off;
    unsigned size, params;
    struct desc code;
};

/* Reads the call gate @d at @gate_sel and checks the code segment it leads to. */
static bool read_call_gate(struct cpu *c, uint16_t gate_sel, const struct desc *d, bool call,
                           struct call_gate *g)
{
    uint32_t error;
    g->sel = (uint16_t)(d->lo >> 16);
    g->params = d->hi & 31;
    if (cpu_long_mode(c)) {
        uint32_t upper;
        if (!desc_fetch_upper(c, gate_sel, EXC_GP, 0, &upper))
            return false;
        g->off = (d->lo & 0xffff) | (d->hi & 0xffff0000u) | (uint64_t)upper << 32;
        g->size = 8;
        g->params = 0;
    } else {
        g->size = DESC_TYPE(d) == SYS_CALL32 ? 4 : 2;
        g->off = (d->lo & 0xffff) | (g->size == 4 ? d->hi & 0xffff0000u : 0);
    }
    error = g->sel & 0xfffcu;
    if (sel_is_null(g->sel))
        return cpu_fault(c, EXC_GP, 0);
    if (!desc_fetch(c, g->sel, EXC_GP, 0, &g->code))
        return false;
    if (!desc_is_code(&g->code) || DESC_DPL(&g->code) > c->cpl)
        return cpu_fault(c, EXC_GP, error);
    if (!call && !desc_is_conforming(&g->code) && DESC_DPL(&g->code) != c->cpl)
        return cpu_fault(c, EXC_GP, error);
    if (cpu_long_mode(c) && (!DESC_L(&g->code) || DESC_DB(&g->code)))
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(&g->code))
        return cpu_fault(c, EXC_NP, error);
    return true;
}

static bool jump_gate(struct cpu *c, uint16_t sel, const struct desc *d)
{
    struct call_gate g;
    if (!read_call_gate(c, sel, d, false, &g))
        return false;
    struct segment cs = desc_segment(g.sel, &g.code);
    if (!seg_check_ip(c, &cs, g.off, 0) || !desc_set_accessed(c, g.sel, &g.code))
        return false;
    commit_cs(c, g.sel, &g.code, c->cpl, g.off);
    return true;
}

/* Through a gate to more privilege: a new stack with the old SS:SP, the parameters, and the return
 * address. */
static bool call_gate_inner(struct cpu *c, struct call_gate *g, uint64_t next_rip)
{
    unsigned dpl = DESC_DPL(&g->code);
    struct segment cs = desc_segment(g->sel, &g->code);
    uint64_t params[31];
    struct stack st, old = stack_current(c);
    if (cpu_long_mode(c)) {
        uint64_t rsp;
        if (!tss_stack64(c, dpl, 0, 0, &rsp))
            return false;
        struct segment ss = seg_null((uint16_t)dpl, dpl);
        st = stack_new(&ss, rsp, true, 0);
    } else if (!tss_inner_stack(c, dpl, 0, &st)) {
        return false;
    }
    if (!stack_room(c, &st, (4 + g->params) * g->size) || !seg_check_ip(c, &cs, g->off, 0))
        return false;
    for (unsigned k = 0; k < g->params; k++)
        if (!stack_pop(c, &old, g->size, &params[k]))
            return false;
    if (!stack_push(c, &st, g->size, c->seg[SEG_SS].sel) ||
        !stack_push(c, &st, g->size, c->gpr[RSP]))
        return false;
    for (unsigned k = g->params; k > 0; k--)
        if (!stack_push(c, &st, g->size, params[k - 1]))
            return false;
    if (!stack_push(c, &st, g->size, c->seg[SEG_CS].sel) || !stack_push(c, &st, g->size, next_rip))
        return false;
    if (!desc_set_accessed(c, g->sel, &g->code))
        return false;
    c->seg[SEG_SS] = st.ss;
    stack_commit(c, &st);
    commit_cs(c, g->sel, &g->code, dpl, g->off);
    return true;
}

static bool call_gate(struct cpu *c, uint16_t sel, const struct desc *d, uint64_t next_rip)
{
    struct call_gate g;
    if (!read_call_gate(c, sel, d, true, &g))
        return false;
    if (!desc_is_conforming(&g.code) && DESC_DPL(&g.code) < c->cpl)
        return call_gate_inner(c, &g, next_rip);
    struct segment cs = desc_segment(g.sel, &g.code);
    struct stack st = stack_current(c);
    if (cpu_long_mode(c)) {
        st.flat64 = true;
        st.mask = ~0ull;
    }
    if (!stack_room(c, &st, 2 * g.size) || !seg_check_ip(c, &cs, g.off, 0))
        return false;
    if (!stack_push(c, &st, g.size, c->seg[SEG_CS].sel) || !stack_push(c, &st, g.size, next_rip) ||
        !desc_set_accessed(c, g.sel, &g.code))
        return false;
    stack_commit(c, &st);
    commit_cs(c, g.sel, &g.code, c->cpl, g.off);
    return true;
}

/* JMP or CALL to what isn't a code segment. */
static bool system_target(struct cpu *c, uint16_t sel, const struct desc *d, bool call,
                          uint64_t next_rip)
{
    uint32_t error = sel & 0xfffcu;
    unsigned type = DESC_TYPE(d);
    bool gate = type == SYS_CALL32 || (!cpu_long_mode(c) && type == SYS_CALL16);
    bool task = !cpu_long_mode(c) && (type == SYS_TASK || type == SYS_TSS16 || type == SYS_TSS32);
    if (DESC_S(d) || (!gate && !task))
        return cpu_fault(c, EXC_GP, error);
    if (DESC_DPL(d) < c->cpl || DESC_DPL(d) < (sel & 3u))
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(d))
        return cpu_fault(c, EXC_NP, error);
    if (gate)
        return call ? call_gate(c, sel, d, next_rip) : jump_gate(c, sel, d);
    uint16_t tss = type == SYS_TASK ? (uint16_t)(d->lo >> 16) : sel;
    return task_switch(c, tss, call ? TASK_CALL : TASK_JMP, next_rip, false, 0);
}

bool far_jump(struct cpu *c, uint16_t sel, uint64_t off, int osz, uint64_t next_rip)
{
    struct desc d;
    off &= osz_mask(osz);
    if (!cpu_protected(c)) {
        if (off > (cpu_vm86(c) ? 0xffffu : c->seg[SEG_CS].limit))
            return cpu_fault(c, EXC_GP, 0);
        seg_load_real(c, SEG_CS, sel);
        c->rip = off;
        return true;
    }
    if (sel_is_null(sel))
        return cpu_fault(c, EXC_GP, 0);
    if (!desc_fetch(c, sel, EXC_GP, 0, &d))
        return false;
    if (!desc_is_code(&d))
        return system_target(c, sel, &d, false, next_rip);
    if (!direct_code(c, sel, &d, off) || !desc_set_accessed(c, sel, &d))
        return false;
    commit_cs(c, sel, &d, c->cpl, off);
    return true;
}

bool far_call(struct cpu *c, uint16_t sel, uint64_t off, int osz, uint64_t next_rip)
{
    struct desc d;
    struct stack st = stack_current(c);
    unsigned size = 1u << osz;
    off &= osz_mask(osz);
    if (!cpu_protected(c)) {
        if (!stack_push(c, &st, size, c->seg[SEG_CS].sel) || !stack_push(c, &st, size, next_rip))
            return false;
        if (off > (cpu_vm86(c) ? 0xffffu : c->seg[SEG_CS].limit))
            return cpu_fault(c, EXC_GP, 0);
        stack_commit(c, &st);
        seg_load_real(c, SEG_CS, sel);
        c->rip = off;
        return true;
    }
    if (sel_is_null(sel))
        return cpu_fault(c, EXC_GP, 0);
    if (!desc_fetch(c, sel, EXC_GP, 0, &d))
        return false;
    if (!desc_is_code(&d))
        return system_target(c, sel, &d, true, next_rip);
    if (!stack_room(c, &st, 2 * size) || !direct_code(c, sel, &d, off))
        return false;
    if (!stack_push(c, &st, size, c->seg[SEG_CS].sel) || !stack_push(c, &st, size, next_rip) ||
        !desc_set_accessed(c, sel, &d))
        return false;
    stack_commit(c, &st);
    commit_cs(c, sel, &d, c->cpl, off);
    return true;
}

/* ---- returns ---- */

/* The code segment that RET and IRET go back to; its privilege is the selector's RPL. */
static bool return_code(struct cpu *c, uint16_t sel, struct desc *d)
{
    uint32_t error = sel & 0xfffcu;
    unsigned rpl = sel & 3;
    if (sel_is_null(sel))
        return cpu_fault(c, EXC_GP, 0);
    if (!desc_fetch(c, sel, EXC_GP, 0, d))
        return false;
    if (!desc_is_code(d) || rpl < c->cpl || !desc_code_ok_long(c, d))
        return cpu_fault(c, EXC_GP, error);
    if (desc_is_conforming(d) ? DESC_DPL(d) > rpl : DESC_DPL(d) != rpl)
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(d))
        return cpu_fault(c, EXC_NP, error);
    return true;
}

/* The stack segment that goes with it. */
static bool return_ss(struct cpu *c, uint16_t sel, unsigned rpl, bool code64, struct segment *ss)
{
    struct desc d;
    uint32_t error = sel & 0xfffcu;
    if (sel_is_null(sel)) {
        if (!code64 || rpl == 3 || (sel & 3) != rpl)
            return cpu_fault(c, EXC_GP, 0);
        *ss = seg_null(sel, rpl);
        return true;
    }
    if (!desc_fetch(c, sel, EXC_GP, 0, &d))
        return false;
    if ((sel & 3) != rpl || !desc_is_writable_data(&d) || DESC_DPL(&d) != rpl)
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_SS, error);
    if (!desc_set_accessed(c, sel, &d))
        return false;
    *ss = desc_segment(sel, &d);
    return true;
}

/* Data segments that the outer level may not use become null (but keep their base, which 64-bit
 * code can see), and null selectors lose their RPL, as on hardware. */
static void drop_inner_segments(struct cpu *c, unsigned cpl)
{
    static const uint8_t order[4] = { SEG_ES, SEG_FS, SEG_GS, SEG_DS };
    for (int k = 0; k < 4; k++) {
        struct segment *s = &c->seg[order[k]];
        unsigned type = SEG_TYPE(s->attr);
        bool conforming = (type & TYPE_CODE) && (type & TYPE_CONFORMING);
        if ((s->attr & SEG_P) && !conforming && SEG_DPL(s->attr) < cpl) {
            *s = (struct segment){ .base = s->base };
            seg_update(c, order[k]);
        } else if (sel_is_null(s->sel)) {
            s->sel = 0;
        }
    }
}

/* The stack pointer after a return to @ss: a 16-bit stack segment leaves the upper half of ESP. */
static uint64_t returned_sp(const struct cpu *c, const struct segment *ss, bool code64, uint64_t sp)
{
    if (code64)
        return sp;
    if (ss->attr & SEG_DB)
        return (uint32_t)sp;
    return (c->gpr[RSP] & 0xffff0000u) | (sp & 0xffff);
}

bool far_ret(struct cpu *c, int osz, uint16_t pop_bytes)
{
    struct stack st = stack_current(c);
    unsigned size = 1u << osz;
    uint64_t ip, sel64, sp, ss64;
    struct desc d;
    if (!stack_pop(c, &st, size, &ip) || !stack_pop(c, &st, size, &sel64))
        return false;
    uint16_t sel = (uint16_t)sel64;
    st.sp = st.mask == 0xffff ? (st.sp & ~0xffffull) | ((st.sp + pop_bytes) & 0xffff)
                              : (st.sp + pop_bytes) & st.mask;
    if (!cpu_protected(c)) {
        if (ip > (cpu_vm86(c) ? 0xffffu : c->seg[SEG_CS].limit))
            return cpu_fault(c, EXC_GP, 0);
        stack_commit(c, &st);
        seg_load_real(c, SEG_CS, sel);
        c->rip = ip;
        return true;
    }
    if (!return_code(c, sel, &d))
        return false;
    struct segment cs = desc_segment(sel, &d), ss;
    unsigned rpl = sel & 3;
    bool code64 = cpu_long_mode(c) && DESC_L(&d);
    if (rpl == c->cpl) {
        if (!seg_check_ip(c, &cs, ip, 0) || !desc_set_accessed(c, sel, &d))
            return false;
        stack_commit(c, &st);
        commit_cs(c, sel, &d, rpl, ip);
        return true;
    }
    if (!stack_pop(c, &st, size, &sp) || !stack_pop(c, &st, size, &ss64))
        return false;
    if (!return_ss(c, (uint16_t)ss64, rpl, code64, &ss) || !seg_check_ip(c, &cs, ip, 0) ||
        !desc_set_accessed(c, sel, &d))
        return false;
    c->seg[SEG_SS] = ss;
    c->gpr[RSP] = returned_sp(c, &ss, code64, sp + pop_bytes);
    drop_inner_segments(c, rpl);
    commit_cs(c, sel, &d, rpl, ip);
    return true;
}

/* RFLAGS from the image that IRET popped, changing only what the (old) CPL may; derived state comes
 * later. */
static void iret_flags(struct cpu *c, uint32_t image, unsigned size)
{
    uint32_t mask = FL_ARITH | FL_TF | FL_DF | FL_NT;
    bool vm = cpu_vm86(c);
    if (size >= 4)
        mask |= FL_RF | FL_AC | FL_ID;
    if (vm || c->cpl <= cpu_iopl(c) || !(c->cr0 & CR0_PE))
        mask |= FL_IF;
    if (!vm && (c->cpl == 0 || !(c->cr0 & CR0_PE)))
        mask |= FL_IOPL | (size >= 4 ? FL_VIF | FL_VIP : 0);
    uint32_t fl = (cpu_rflags(c) & ~mask) | (image & mask);
    c->rflags = (fl & ~FL_ARITH) | 2;
    flags_set_arith(c, fl);
}

static bool iret_real(struct cpu *c, unsigned size)
{
    struct stack st = stack_current(c);
    uint64_t ip, sel, flags;
    if (cpu_vm86(c) && cpu_iopl(c) < 3)
        return cpu_fault(c, EXC_GP, 0);
    if (!stack_pop(c, &st, size, &ip) || !stack_pop(c, &st, size, &sel) ||
        !stack_pop(c, &st, size, &flags))
        return false;
    if (ip > (cpu_vm86(c) ? 0xffffu : c->seg[SEG_CS].limit))
        return cpu_fault(c, EXC_GP, 0);
    stack_commit(c, &st);
    iret_flags(c, (uint32_t)flags, size);
    c->rip = ip;
    seg_load_real(c, SEG_CS, (uint16_t)sel);
    return true;
}

/* To vm86 mode: the image goes on with ESP, SS, ES, DS, FS, GS. */
static bool iret_vm86(struct cpu *c, struct stack *st, uint64_t ip, uint64_t sel, uint64_t flags)
{
    static const uint8_t order[6] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS, SEG_CS };
    uint64_t esp, sels[6];
    if (!stack_pop(c, st, 4, &esp))
        return false;
    for (int k = 0; k < 5; k++)
        if (!stack_pop(c, st, 4, &sels[k]))
            return false;
    sels[5] = sel;
    if (ip > 0xffff)
        return cpu_fault(c, EXC_GP, 0);
    const uint32_t mask = FL_ARITH | FL_TF | FL_IF | FL_DF | FL_IOPL | FL_NT | FL_RF | FL_VM |
                          FL_AC | FL_VIF | FL_VIP | FL_ID;
    c->rflags = ((uint32_t)flags & mask & ~FL_ARITH) | 2;
    flags_set_arith(c, (uint32_t)flags);
    for (int k = 0; k < 6; k++)
        c->seg[order[k]] = seg_vm86((uint16_t)sels[k]);
    c->gpr[RSP] = (uint32_t)esp;
    c->cpl = 3;
    c->rip = ip;
    cpu_update_mode(c);
    return true;
}

/* NT set: back to the task that the current TSS links to. */
static bool iret_task(struct cpu *c)
{
    uint16_t link;
    if (cpu_long_mode(c))
        return cpu_fault(c, EXC_GP, 0);
    if (!mem_sys_read(c, (uint32_t)c->tr.base, &link, 2))
        return false;
    return task_switch(c, link, TASK_IRET, c->rip, false, 0);
}

bool far_iret(struct cpu *c, int osz)
{
    unsigned size = 1u << osz;
    uint64_t ip, sel64, flags, sp = 0, ss64 = 0;
    struct desc d;
    c->nmi_blocked = false; /* even if it faults */
    if (!cpu_protected(c))
        return iret_real(c, size);
    if (c->rflags & FL_NT)
        return iret_task(c);
    struct stack st = stack_current(c);
    if (!stack_pop(c, &st, size, &ip) || !stack_pop(c, &st, size, &sel64) ||
        !stack_pop(c, &st, size, &flags))
        return false;
    if ((flags & FL_VM) && c->cpl == 0 && size == 4 && !cpu_long_mode(c))
        return iret_vm86(c, &st, ip, sel64, flags);
    uint16_t sel = (uint16_t)sel64;
    unsigned rpl = sel & 3;
    bool pops_stack = cpu_code64(c);
    if (!return_code(c, sel, &d))
        return false;
    pops_stack |= rpl != c->cpl;
    struct segment cs = desc_segment(sel, &d), ss;
    bool code64 = cpu_long_mode(c) && DESC_L(&d);
    if (pops_stack) {
        if (!stack_pop(c, &st, size, &sp) || !stack_pop(c, &st, size, &ss64) ||
            !return_ss(c, (uint16_t)ss64, rpl, code64, &ss))
            return false;
    }
    if (!seg_check_ip(c, &cs, ip, 0) || !desc_set_accessed(c, sel, &d))
        return false;
    iret_flags(c, (uint32_t)flags, size);
    if (pops_stack) {
        c->seg[SEG_SS] = ss;
        c->gpr[RSP] = returned_sp(c, &ss, code64, sp);
    } else {
        stack_commit(c, &st);
    }
    if (rpl != c->cpl)
        drop_inner_segments(c, rpl);
    commit_cs(c, sel, &d, rpl, ip);
    return true;
}
