/*
 * System instructions: descriptor tables, control and debug registers, MSRs, fast system calls,
 * segment queries.
 *
 * Each handler checks in the SDM's order: #UD conditions (the decoder has dealt with LOCK, modes
 * and features), privilege, operands; then it acts. What changes mode, rights or mappings returns
 * EXEC_STOP, so that the block ends. SDM vol. 2.
 */
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "cpu/decode.h"
#include "cpu/desc.h"
#include "cpu/flags.h"
#include "cpu/mem.h"

/* ---- operands ---- */

static uint64_t reg_read(const struct cpu *c, unsigned n, unsigned osz)
{
    return osz == 1 ? (uint16_t)c->gpr[n] : osz == 2 ? (uint32_t)c->gpr[n] : c->gpr[n];
}

static void reg_write(struct cpu *c, unsigned n, unsigned osz, uint64_t v)
{
    if (osz == 1)
        c->gpr[n] = (c->gpr[n] & ~0xffffull) | (v & 0xffff);
    else
        c->gpr[n] = osz == 2 ? (uint32_t)v : v;
}

/* A 16-bit r/m operand. */
static bool read_ew(struct cpu *c, const struct insn *i, uint16_t *v)
{
    if (i->flags & INSN_MEM)
        return mem_ld16(c, i->seg, insn_ea(c, i), v);
    *v = (uint16_t)c->gpr[i->rm];
    return true;
}

/* SLDT, STR, SMSW: 16 bits to memory, the operand size to a register. */
static enum exec write_ew_rv(struct cpu *c, const struct insn *i, uint64_t v)
{
    if (!(i->flags & INSN_MEM))
        reg_write(c, i->rm, i->osz, v);
    else if (!mem_st16(c, i->seg, insn_ea(c, i), (uint16_t)v))
        return EXEC_FAULT;
    return EXEC_NEXT;
}

static void set_zf(struct cpu *c, bool zf)
{
    c->fl_z = !zf;
}

#define REQUIRE_CPL0(c)                                                                            \
    do {                                                                                           \
        if ((c)->cpl != 0)                                                                         \
            return fault(c, EXC_GP, 0);                                                            \
    } while (0)

static bool umip_denies(const struct cpu *c)
{
    return c->cpl != 0 && (c->cr4 & CR4_UMIP);
}

static enum exec done(bool ok)
{
    return ok ? EXEC_STOP : EXEC_FAULT;
}

/* ---- descriptor tables ---- */

static enum exec store_table(struct cpu *c, const struct insn *i, const struct dtable *t)
{
    unsigned bytes = (i->flags & INSN_CODE64) ? 8 : 4;
    uint64_t ea = insn_ea(c, i), mask = i->ash ? (~0ull >> i->ash) : ~0ull;
    if (umip_denies(c))
        return fault(c, EXC_GP, 0);
    uint64_t la;
    if (!mem_linear(c, i->seg, ea, 2 + bytes, ACCESS_WRITE, &la) ||
        !mem_probe_write(c, i->seg, la, 2 + bytes))
        return EXEC_FAULT;
    if (!mem_st16(c, i->seg, ea, t->limit))
        return EXEC_FAULT;
    ea = (ea + 2) & mask;
    if (!(bytes == 8 ? mem_st64(c, i->seg, ea, t->base)
                     : mem_st32(c, i->seg, ea, (uint32_t)t->base)))
        return EXEC_FAULT;
    return EXEC_NEXT;
}

static enum exec load_table(struct cpu *c, const struct insn *i, struct dtable *t)
{
    uint64_t ea = insn_ea(c, i), mask = i->ash ? (~0ull >> i->ash) : ~0ull, base;
    uint32_t base32 = 0;
    uint16_t limit;
    REQUIRE_CPL0(c);
    if (!mem_ld16(c, i->seg, ea, &limit))
        return EXEC_FAULT;
    ea = (ea + 2) & mask;
    if (i->flags & INSN_CODE64) {
        if (!mem_ld64(c, i->seg, ea, &base))
            return EXEC_FAULT;
        if (!cpu_canonical(base))
            return fault(c, EXC_GP, 0);
    } else {
        if (!mem_ld32(c, i->seg, ea, &base32))
            return EXEC_FAULT;
        base = i->osz == 1 ? base32 & 0xffffff : base32;
    }
    t->limit = limit;
    t->base = base;
    return EXEC_NEXT;
}

static enum exec x_sgdt(struct cpu *c, const struct insn *i)
{
    return store_table(c, i, &c->gdtr);
}
static enum exec x_sidt(struct cpu *c, const struct insn *i)
{
    return store_table(c, i, &c->idtr);
}
static enum exec x_lgdt(struct cpu *c, const struct insn *i)
{
    return load_table(c, i, &c->gdtr);
}
static enum exec x_lidt(struct cpu *c, const struct insn *i)
{
    return load_table(c, i, &c->idtr);
}

static enum exec x_sldt(struct cpu *c, const struct insn *i)
{
    return umip_denies(c) ? fault(c, EXC_GP, 0) : write_ew_rv(c, i, c->ldtr.sel);
}
static enum exec x_str(struct cpu *c, const struct insn *i)
{
    return umip_denies(c) ? fault(c, EXC_GP, 0) : write_ew_rv(c, i, c->tr.sel);
}

/* The descriptor of LLDT and LTR, 16 bytes in long mode, of one of two types. */
static bool system_segment(struct cpu *c, uint16_t sel, unsigned type_a, unsigned type_b,
                           struct segment *s)
{
    struct desc d;
    uint32_t error = sel & 0xfffcu, upper = 0;
    if (sel & 4)
        return cpu_fault(c, EXC_GP, error);
    if (!desc_fetch(c, sel, EXC_GP, 0, &d))
        return false;
    if (DESC_S(&d) || (DESC_TYPE(&d) != type_a && DESC_TYPE(&d) != type_b))
        return cpu_fault(c, EXC_GP, error);
    if (!DESC_P(&d))
        return cpu_fault(c, EXC_NP, error);
    if (cpu_long_mode(c) && !desc_fetch_upper(c, sel, EXC_GP, 0, &upper))
        return false;
    *s = desc_segment(sel, &d);
    s->base |= (uint64_t)upper << 32;
    if (!cpu_canonical(s->base))
        return cpu_fault(c, EXC_GP, error);
    return true;
}

static enum exec x_lldt(struct cpu *c, const struct insn *i)
{
    struct segment s;
    uint16_t sel;
    REQUIRE_CPL0(c);
    if (!read_ew(c, i, &sel))
        return EXEC_FAULT;
    if (sel_is_null(sel))
        s = seg_null(sel, 0);
    else if (!system_segment(c, sel, SYS_LDT, SYS_LDT, &s))
        return EXEC_FAULT;
    c->ldtr = s;
    return EXEC_NEXT;
}

static enum exec x_ltr(struct cpu *c, const struct insn *i)
{
    struct segment s;
    uint16_t sel;
    REQUIRE_CPL0(c);
    if (!read_ew(c, i, &sel))
        return EXEC_FAULT;
    if (sel_is_null(sel))
        return fault(c, EXC_GP, 0);
    if (!system_segment(c, sel, SYS_TSS32, cpu_long_mode(c) ? SYS_TSS32 : SYS_TSS16, &s) ||
        !desc_set_busy(c, sel, true))
        return EXEC_FAULT;
    s.attr |= 2;
    c->tr = s;
    return EXEC_NEXT;
}

/* ---- queries of descriptors ---- */

/* Reads the descriptor of @sel if it can be seen from here: not null, in its table, enough
 * privilege. @ok tells. */
static bool visible_desc(struct cpu *c, uint16_t sel, struct desc *d, bool *ok)
{
    uint64_t la;
    *ok = false;
    if (sel_is_null(sel) || !desc_address(c, sel, 8, &la))
        return true;
    if (!mem_sys_read(c, la, d, 8))
        return false;
    bool conforming = desc_is_code(d) && desc_is_conforming(d);
    *ok = conforming || (DESC_DPL(d) >= c->cpl && DESC_DPL(d) >= (sel & 3u));
    return true;
}

static enum exec x_lar(struct cpu *c, const struct insn *i)
{
    const uint32_t legacy = 1u << SYS_TSS16 | 1u << SYS_LDT | 1u << SYS_TSS16_BUSY |
                            1u << SYS_CALL16 | 1u << SYS_TASK | 1u << SYS_TSS32 |
                            1u << SYS_TSS32_BUSY | 1u << SYS_CALL32;
    const uint32_t in_long =
        1u << SYS_LDT | 1u << SYS_TSS32 | 1u << SYS_TSS32_BUSY | 1u << SYS_CALL32;
    struct desc d;
    uint16_t sel;
    bool ok;
    if (!read_ew(c, i, &sel) || !visible_desc(c, sel, &d, &ok))
        return EXEC_FAULT;
    if (ok && !DESC_S(&d))
        ok = (cpu_long_mode(c) ? in_long : legacy) >> DESC_TYPE(&d) & 1;
    if (ok)
        reg_write(c, i->r, i->osz, d.hi & 0x00f0ff00);
    set_zf(c, ok);
    return EXEC_NEXT;
}

static enum exec x_lsl(struct cpu *c, const struct insn *i)
{
    const uint32_t legacy = 1u << SYS_TSS16 | 1u << SYS_LDT | 1u << SYS_TSS16_BUSY |
                            1u << SYS_TSS32 | 1u << SYS_TSS32_BUSY;
    const uint32_t in_long = 1u << SYS_LDT | 1u << SYS_TSS32 | 1u << SYS_TSS32_BUSY;
    struct desc d;
    uint16_t sel;
    bool ok;
    if (!read_ew(c, i, &sel) || !visible_desc(c, sel, &d, &ok))
        return EXEC_FAULT;
    if (ok && !DESC_S(&d))
        ok = (cpu_long_mode(c) ? in_long : legacy) >> DESC_TYPE(&d) & 1;
    if (ok)
        reg_write(c, i->r, i->osz, desc_segment(sel, &d).limit);
    set_zf(c, ok);
    return EXEC_NEXT;
}

static enum exec verify(struct cpu *c, const struct insn *i, bool write)
{
    struct desc d;
    uint16_t sel;
    bool ok;
    if (!read_ew(c, i, &sel) || !visible_desc(c, sel, &d, &ok))
        return EXEC_FAULT;
    if (ok && write)
        ok = desc_is_writable_data(&d);
    else if (ok)
        ok = DESC_S(&d) && (!(DESC_TYPE(&d) & TYPE_CODE) || (DESC_TYPE(&d) & TYPE_READ));
    set_zf(c, ok);
    return EXEC_NEXT;
}
static enum exec x_verr(struct cpu *c, const struct insn *i)
{
    return verify(c, i, false);
}
static enum exec x_verw(struct cpu *c, const struct insn *i)
{
    return verify(c, i, true);
}

static enum exec x_arpl(struct cpu *c, const struct insn *i)
{
    uint16_t dst, rpl = c->gpr[i->r] & 3;
    if (!read_ew(c, i, &dst))
        return EXEC_FAULT;
    bool raise = (dst & 3) < rpl;
    if (raise) {
        dst = (uint16_t)((dst & ~3) | rpl);
        if (!(i->flags & INSN_MEM))
            reg_write(c, i->rm, 1, dst);
        else if (!mem_st16(c, i->seg, insn_ea(c, i), dst))
            return EXEC_FAULT;
    }
    set_zf(c, raise);
    return EXEC_NEXT;
}

/* ---- control and debug registers ---- */

static enum exec x_smsw(struct cpu *c, const struct insn *i)
{
    return umip_denies(c) ? fault(c, EXC_GP, 0) : write_ew_rv(c, i, c->cr0);
}

static enum exec x_lmsw(struct cpu *c, const struct insn *i)
{
    uint16_t v;
    REQUIRE_CPL0(c);
    if (!read_ew(c, i, &v))
        return EXEC_FAULT;
    return done(cpu_write_cr(c, 0, (c->cr0 & ~0xeull) | (v & 15)));
}

static enum exec x_clts(struct cpu *c, const struct insn *i)
{
    (void)i;
    REQUIRE_CPL0(c);
    c->cr0 &= ~(uint64_t)CR0_TS;
    cpu_update_mode(c);
    return EXEC_STOP;
}

static bool cr_exists(unsigned n)
{
    return n == 0 || n == 2 || n == 3 || n == 4 || n == 8;
}

static enum exec x_mov_from_cr(struct cpu *c, const struct insn *i)
{
    uint64_t v;
    if (!cr_exists(i->r))
        return fault_noerr(c, EXC_UD);
    REQUIRE_CPL0(c);
    if (!cpu_read_cr(c, i->r, &v))
        return EXEC_FAULT;
    reg_write(c, i->rm, (i->flags & INSN_CODE64) ? 3 : 2, v);
    return EXEC_NEXT;
}
static enum exec x_mov_to_cr(struct cpu *c, const struct insn *i)
{
    if (!cr_exists(i->r))
        return fault_noerr(c, EXC_UD);
    REQUIRE_CPL0(c);
    return done(cpu_write_cr(c, i->r, reg_read(c, i->rm, (i->flags & INSN_CODE64) ? 3 : 2)));
}
static enum exec x_mov_from_dr(struct cpu *c, const struct insn *i)
{
    uint64_t v;
    if (i->r > 7)
        return fault_noerr(c, EXC_UD);
    REQUIRE_CPL0(c);
    if (!cpu_read_dr(c, i->r, &v))
        return EXEC_FAULT;
    reg_write(c, i->rm, (i->flags & INSN_CODE64) ? 3 : 2, v);
    return EXEC_NEXT;
}
static enum exec x_mov_to_dr(struct cpu *c, const struct insn *i)
{
    if (i->r > 7)
        return fault_noerr(c, EXC_UD);
    REQUIRE_CPL0(c);
    return done(cpu_write_dr(c, i->r, reg_read(c, i->rm, (i->flags & INSN_CODE64) ? 3 : 2)));
}

static enum exec x_xgetbv(struct cpu *c, const struct insn *i)
{
    (void)i;
    if (!(c->cr4 & CR4_OSXSAVE))
        return fault_noerr(c, EXC_UD);
    if ((uint32_t)c->gpr[RCX] != 0)
        return fault(c, EXC_GP, 0);
    c->gpr[RAX] = (uint32_t)c->xcr0;
    c->gpr[RDX] = c->xcr0 >> 32;
    return EXEC_NEXT;
}
static enum exec x_xsetbv(struct cpu *c, const struct insn *i)
{
    (void)i;
    uint64_t v = (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32;
    if (!(c->cr4 & CR4_OSXSAVE))
        return fault_noerr(c, EXC_UD);
    REQUIRE_CPL0(c);
    if ((uint32_t)c->gpr[RCX] != 0 || !(v & 1) || (v & ~3ull))
        return fault(c, EXC_GP, 0);
    c->xcr0 = v;
    return EXEC_STOP;
}

static enum exec set_ac(struct cpu *c, bool on)
{
    if (c->cpl != 0)
        return fault_noerr(c, EXC_UD);
    cpu_set_ac(c, on);
    return EXEC_STOP;
}
static enum exec x_stac(struct cpu *c, const struct insn *i)
{
    (void)i;
    return set_ac(c, true);
}
static enum exec x_clac(struct cpu *c, const struct insn *i)
{
    (void)i;
    return set_ac(c, false);
}

/* ---- translation and caches ---- */

static enum exec x_invlpg(struct cpu *c, const struct insn *i)
{
    REQUIRE_CPL0(c);
    uint64_t la = (c->seg_base[i->seg] + insn_ea(c, i)) & c->la_mask;
    if (cpu_canonical(la) || !cpu_code64(c))
        tlb_flush_page(c, la);
    return EXEC_STOP;
}

static enum exec x_invpcid(struct cpu *c, const struct insn *i)
{
    uint64_t type = reg_read(c, i->r, (i->flags & INSN_CODE64) ? 3 : 2);
    union xmm d;
    REQUIRE_CPL0(c);
    if (!mem_ld128(c, i->seg, insn_ea(c, i), &d))
        return EXEC_FAULT;
    if (type > 3 || (type < 2 && (d.u64[0] >> 12 || (d.u64[0] && !(c->cr4 & CR4_PCIDE)))) ||
        (type == 0 && !cpu_canonical(d.u64[1])))
        return fault(c, EXC_GP, 0);
    if (type == 0)
        tlb_flush_page(c, d.u64[1]);
    else
        tlb_flush(c, type == 2);
    return EXEC_STOP;
}

static enum exec x_wbinvd(struct cpu *c, const struct insn *i)
{
    (void)i;
    REQUIRE_CPL0(c);
    return EXEC_NEXT; /* there are no caches */
}

/* ---- MSRs, time, identification ---- */

static enum exec x_rdmsr(struct cpu *c, const struct insn *i)
{
    uint64_t v;
    (void)i;
    REQUIRE_CPL0(c);
    if (!cpu_rdmsr(c, (uint32_t)c->gpr[RCX], &v))
        return EXEC_FAULT;
    c->gpr[RAX] = (uint32_t)v;
    c->gpr[RDX] = v >> 32;
    return EXEC_NEXT;
}
static enum exec x_wrmsr(struct cpu *c, const struct insn *i)
{
    (void)i;
    REQUIRE_CPL0(c);
    return done(cpu_wrmsr(c, (uint32_t)c->gpr[RCX], (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32));
}

static enum exec x_rdtsc(struct cpu *c, const struct insn *i)
{
    (void)i;
    if ((c->cr4 & CR4_TSD) && c->cpl != 0)
        return fault(c, EXC_GP, 0);
    c->slow -= SLOW_TSC;
    uint64_t t = cpu_tsc(c);
    c->gpr[RAX] = (uint32_t)t;
    c->gpr[RDX] = t >> 32;
    return EXEC_NEXT;
}
static enum exec x_rdtscp(struct cpu *c, const struct insn *i)
{
    enum exec e = x_rdtsc(c, i);
    if (e == EXEC_NEXT)
        c->gpr[RCX] = (uint32_t)c->tsc_aux;
    return e;
}
static enum exec x_rdpid(struct cpu *c, const struct insn *i)
{
    c->gpr[i->rm] = (uint32_t)c->tsc_aux;
    return EXEC_NEXT;
}
/* AMD has four counters (dead ones, see msr.c), the Intel models none. */
static enum exec x_rdpmc(struct cpu *c, const struct insn *i)
{
    (void)i;
    if ((c->cpl != 0 && !(c->cr4 & CR4_PCE)) || cpu_vendor_is_intel(c) || (uint32_t)c->gpr[RCX] > 3)
        return fault(c, EXC_GP, 0);
    c->gpr[RAX] = c->gpr[RDX] = 0;
    return EXEC_NEXT;
}

static enum exec x_cpuid(struct cpu *c, const struct insn *i)
{
    uint32_t r[4];
    (void)i;
    cpu_cpuid(c, (uint32_t)c->gpr[RAX], (uint32_t)c->gpr[RCX], r);
    c->gpr[RAX] = r[0];
    c->gpr[RBX] = r[1];
    c->gpr[RCX] = r[2];
    c->gpr[RDX] = r[3];
    return EXEC_NEXT;
}

/* ---- system calls ---- */

/* CS and SS of the fast system calls: flat, whatever the descriptor tables hold. */
static void flat_segments(struct cpu *c, uint16_t cs, uint16_t ss, unsigned cpl, bool code64)
{
    uint16_t common = (uint16_t)(SEG_P | SEG_S | SEG_G | cpl << 5);
    c->seg[SEG_CS] = (struct segment){
        .sel = cs,
        .attr = (uint16_t)(common | 11 | (code64 ? SEG_L : SEG_DB)),
        .limit = 0xffffffffu,
    };
    c->seg[SEG_SS] = (struct segment){ .sel = ss,
                                       .attr = (uint16_t)(common | 3 | SEG_DB),
                                       .limit = 0xffffffffu };
    c->cpl = (uint8_t)cpl;
}

/* SYSCALL and SYSRET: AMD has them in legacy and compatibility mode too. */
static bool syscall_exists(const struct cpu *c)
{
    if (!(c->efer & EFER_SCE) || !cpu_protected(c))
        return false;
    return cpu_code64(c) || !cpu_vendor_is_intel(c);
}

static enum exec x_syscall(struct cpu *c, const struct insn *i)
{
    uint64_t next = cpu_next_rip(c, i);
    uint16_t sel = (uint16_t)(c->star >> 32 & 0xfffc);
    if (!syscall_exists(c))
        return fault_noerr(c, EXC_UD);
    if (cpu_long_mode(c)) {
        c->gpr[RCX] = next;
        c->gpr[R11] = cpu_rflags(c) & ~FL_RF;
        c->rip = cpu_code64(c) ? c->lstar : c->cstar;
        flat_segments(c, sel, sel + 8, 0, true);
        cpu_set_rflags(c, cpu_rflags(c) & ~(uint32_t)c->sfmask & ~FL_RF);
    } else {
        c->gpr[RCX] = (uint32_t)next;
        c->rip = (uint32_t)c->star;
        flat_segments(c, sel, sel + 8, 0, false);
        cpu_set_rflags(c, cpu_rflags(c) & ~(FL_VM | FL_IF | FL_RF));
    }
    cpu_update_mode(c);
    c->step = c->rflags & FL_TF; /* the trap depends on TF after the mask */
    return EXEC_JUMP;
}

static enum exec x_sysret(struct cpu *c, const struct insn *i)
{
    uint16_t sel = (uint16_t)(c->star >> 48);
    bool to64 = i->osz == 3;
    if (!syscall_exists(c))
        return fault_noerr(c, EXC_UD);
    REQUIRE_CPL0(c);
    if (to64 && cpu_vendor_is_intel(c) && !cpu_canonical(c->gpr[RCX]))
        return fault(c, EXC_GP, 0);
    if (cpu_long_mode(c)) {
        const uint32_t mask = 0x3c7fd5;
        uint32_t fl = ((uint32_t)c->gpr[R11] & mask) | 2;
        flat_segments(c, to64 ? (uint16_t)((sel + 16) | 3) : sel | 3, (sel + 8) | 3, 3, to64);
        c->rip = to64 ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
        cpu_set_rflags(c, fl);
    } else {
        flat_segments(c, sel | 3, (sel + 8) | 3, 3, false);
        c->rip = (uint32_t)c->gpr[RCX];
        cpu_set_rflags(c, cpu_rflags(c) | FL_IF);
    }
    cpu_update_mode(c);
    if (c->rflags & FL_TF) /* as if SYSCALL in user mode had just completed */
        c->dr6_pending |= 0x4000;
    return EXEC_JUMP;
}

static enum exec x_sysenter(struct cpu *c, const struct insn *i)
{
    bool lm = cpu_long_mode(c);
    uint16_t cs = c->sysenter_cs & 0xfffc;
    (void)i;
    if (lm && !cpu_vendor_is_intel(c))
        return fault_noerr(c, EXC_UD);
    if (!(c->cr0 & CR0_PE) || cs == 0)
        return fault(c, EXC_GP, 0);
    flat_segments(c, cs, cs + 8, 0, lm);
    c->gpr[RSP] = lm ? c->sysenter_esp : (uint32_t)c->sysenter_esp;
    c->rip = lm ? c->sysenter_eip : (uint32_t)c->sysenter_eip;
    cpu_set_rflags(c, cpu_rflags(c) & ~(FL_VM | FL_IF | FL_RF));
    cpu_update_mode(c);
    return EXEC_JUMP;
}

static enum exec x_sysexit(struct cpu *c, const struct insn *i)
{
    uint16_t cs = c->sysenter_cs & 0xfffc;
    bool to64 = i->osz == 3;
    if (cpu_long_mode(c) && !cpu_vendor_is_intel(c))
        return fault_noerr(c, EXC_UD);
    if (!(c->cr0 & CR0_PE) || c->cpl != 0 || cs == 0)
        return fault(c, EXC_GP, 0);
    if (to64 && (!cpu_canonical(c->gpr[RCX]) || !cpu_canonical(c->gpr[RDX])))
        return fault(c, EXC_GP, 0);
    c->gpr[RSP] = to64 ? c->gpr[RCX] : (uint32_t)c->gpr[RCX];
    c->rip = to64 ? c->gpr[RDX] : (uint32_t)c->gpr[RDX];
    if (to64)
        flat_segments(c, (cs + 32) | 3, (cs + 40) | 3, 3, true);
    else
        flat_segments(c, (cs + 16) | 3, (cs + 24) | 3, 3, false);
    cpu_update_mode(c);
    return EXEC_JUMP;
}

static enum exec x_swapgs(struct cpu *c, const struct insn *i)
{
    (void)i;
    REQUIRE_CPL0(c);
    uint64_t base = c->seg[SEG_GS].base;
    c->seg[SEG_GS].base = c->kernel_gs_base;
    c->kernel_gs_base = base;
    seg_update(c, SEG_GS);
    return EXEC_NEXT;
}

static enum exec read_base(struct cpu *c, const struct insn *i, int seg)
{
    if (!(c->cr4 & CR4_FSGSBASE))
        return fault_noerr(c, EXC_UD);
    reg_write(c, i->rm, i->osz == 3 ? 3 : 2, c->seg[seg].base);
    return EXEC_NEXT;
}
static enum exec write_base(struct cpu *c, const struct insn *i, int seg)
{
    uint64_t v = reg_read(c, i->rm, i->osz == 3 ? 3 : 2);
    if (!(c->cr4 & CR4_FSGSBASE))
        return fault_noerr(c, EXC_UD);
    if (!cpu_canonical(v))
        return fault(c, EXC_GP, 0);
    c->seg[seg].base = v;
    seg_update(c, seg);
    return EXEC_NEXT;
}
static enum exec x_rdfsbase(struct cpu *c, const struct insn *i)
{
    return read_base(c, i, SEG_FS);
}
static enum exec x_rdgsbase(struct cpu *c, const struct insn *i)
{
    return read_base(c, i, SEG_GS);
}
static enum exec x_wrfsbase(struct cpu *c, const struct insn *i)
{
    return write_base(c, i, SEG_FS);
}
static enum exec x_wrgsbase(struct cpu *c, const struct insn *i)
{
    return write_base(c, i, SEG_GS);
}

/* ---- the rest ---- */

static enum exec x_hlt(struct cpu *c, const struct insn *i)
{
    (void)i;
    REQUIRE_CPL0(c);
    c->halted = true;
    return EXEC_STOP;
}

static enum exec x_monitor(struct cpu *c, const struct insn *i)
{
    uint8_t byte;
    if (c->cpl != 0)
        return fault_noerr(c, EXC_UD);
    if ((uint32_t)c->gpr[RCX] != 0)
        return fault(c, EXC_GP, 0);
    uint64_t ea = c->gpr[RAX] << i->ash >> i->ash;
    return mem_ld8(c, i->seg, ea, &byte) ? EXEC_NEXT : EXEC_FAULT;
}
/* With one processor only an interrupt follows a store to the monitored line, so waiting for one is
 * enough. */
static enum exec x_mwait(struct cpu *c, const struct insn *i)
{
    (void)i;
    if (c->cpl != 0)
        return fault_noerr(c, EXC_UD);
    if ((uint32_t)c->gpr[RCX] != 0)
        return fault(c, EXC_GP, 0);
    c->halted = true;
    return EXEC_STOP;
}

static enum exec x_rsm(struct cpu *c, const struct insn *i)
{
    (void)i;
    return smm_leave(c) ? EXEC_JUMP : EXEC_FAULT;
}

/* ---- rows ---- */

#define SYS(nm, byte_, pfx, reg_, rm_, mod_, feat, wz, fl, f, ...)                                 \
    {                                                                                              \
        .name = nm, .map = MAP_0F, .byte = byte_, .prefix = pfx, .reg = reg_, .rm = rm_,           \
        .mod = mod_, .operands = { __VA_ARGS__ }, .feature = feat, .fl_write = wz,                 \
        .flags = OP_NOFUZZ | (fl), .fn = f                                                         \
    }
#define ANY R_ANY

static const struct opcode rows[] = {
    SYS("sldt", 0x00, PFX_ANY, 0, ANY, MOD_ANY, 0, 0, OP_PROT, x_sldt, OPD_Ew_Rv),
    SYS("str", 0x00, PFX_ANY, 1, ANY, MOD_ANY, 0, 0, OP_PROT, x_str, OPD_Ew_Rv),
    SYS("lldt", 0x00, PFX_ANY, 2, ANY, MOD_ANY, 0, 0, OP_PROT | OP_PRIV, x_lldt, OPD_Ew),
    SYS("ltr", 0x00, PFX_ANY, 3, ANY, MOD_ANY, 0, 0, OP_PROT | OP_PRIV, x_ltr, OPD_Ew),
    SYS("verr", 0x00, PFX_ANY, 4, ANY, MOD_ANY, 0, FLB_Z, OP_PROT, x_verr, OPD_Ew),
    SYS("verw", 0x00, PFX_ANY, 5, ANY, MOD_ANY, 0, FLB_Z, OP_PROT, x_verw, OPD_Ew),

    SYS("sgdt", 0x01, PFX_ANY, 0, ANY, MOD_MEM, 0, 0, 0, x_sgdt, OPD_Ms),
    SYS("sidt", 0x01, PFX_ANY, 1, ANY, MOD_MEM, 0, 0, 0, x_sidt, OPD_Ms),
    SYS("monitor", 0x01, PFX_NP, 1, 0, MOD_REG, FEAT_MONITOR, 0, OP_PRIV, x_monitor, OPD_NONE),
    SYS("mwait", 0x01, PFX_NP, 1, 1, MOD_REG, FEAT_MONITOR, 0, OP_PRIV | OP_END, x_mwait, OPD_NONE),
    SYS("clac", 0x01, PFX_NP, 1, 2, MOD_REG, FEAT_SMAP, 0, OP_PRIV | OP_END, x_clac, OPD_NONE),
    SYS("stac", 0x01, PFX_NP, 1, 3, MOD_REG, FEAT_SMAP, 0, OP_PRIV | OP_END, x_stac, OPD_NONE),
    SYS("lgdt", 0x01, PFX_ANY, 2, ANY, MOD_MEM, 0, 0, OP_PRIV, x_lgdt, OPD_Ms),
    SYS("xgetbv", 0x01, PFX_NP, 2, 0, MOD_REG, FEAT_XSAVE, 0, 0, x_xgetbv, OPD_NONE),
    SYS("xsetbv", 0x01, PFX_NP, 2, 1, MOD_REG, FEAT_XSAVE, 0, OP_PRIV | OP_END, x_xsetbv, OPD_NONE),
    SYS("lidt", 0x01, PFX_ANY, 3, ANY, MOD_MEM, 0, 0, OP_PRIV, x_lidt, OPD_Ms),
    SYS("smsw", 0x01, PFX_ANY, 4, ANY, MOD_ANY, 0, 0, 0, x_smsw, OPD_Ew_Rv),
    SYS("lmsw", 0x01, PFX_ANY, 6, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_END, x_lmsw, OPD_Ew),
    SYS("invlpg", 0x01, PFX_ANY, 7, ANY, MOD_MEM, 0, 0, OP_PRIV | OP_END, x_invlpg, OPD_Mb),
    SYS("swapgs", 0x01, PFX_ANY, 7, 0, MOD_REG, 0, 0, OP_PRIV | OP_ONLY64, x_swapgs, OPD_NONE),
    SYS("rdtscp", 0x01, PFX_ANY, 7, 1, MOD_REG, FEAT_RDTSCP, 0, 0, x_rdtscp, OPD_NONE),

    SYS("lar", 0x02, PFX_ANY, ANY, ANY, MOD_ANY, 0, FLB_Z, OP_PROT, x_lar, OPD_Gv, OPD_Ew),
    SYS("lsl", 0x03, PFX_ANY, ANY, ANY, MOD_ANY, 0, FLB_Z, OP_PROT, x_lsl, OPD_Gv, OPD_Ew),
    SYS("syscall", 0x05, PFX_ANY, ANY, ANY, MOD_ANY, FEAT_SYSCALL, 0, OP_END, x_syscall, OPD_NONE),
    SYS("clts", 0x06, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_END, x_clts, OPD_NONE),
    SYS("sysret", 0x07, PFX_ANY, ANY, ANY, MOD_ANY, FEAT_SYSCALL, 0, OP_PRIV | OP_END, x_sysret,
        OPD_NONE),
    SYS("invd", 0x08, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV, x_wbinvd, OPD_NONE),
    SYS("wbinvd", 0x09, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV, x_wbinvd, OPD_NONE),
    SYS("ud2", 0x0b, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_END, op_ud, OPD_NONE),
    SYS("ud1", 0xb9, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_END, op_ud, OPD_Gd, OPD_Ed),
    SYS("ud0", 0xff, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_END, op_ud, OPD_Gd, OPD_Ed),

    SYS("mov", 0x20, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_FORCE64, x_mov_from_cr, OPD_Ry,
        OPD_Cy),
    SYS("mov", 0x21, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_FORCE64, x_mov_from_dr, OPD_Ry,
        OPD_Dy),
    SYS("mov", 0x22, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_FORCE64 | OP_END, x_mov_to_cr,
        OPD_Cy, OPD_Ry),
    SYS("mov", 0x23, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_FORCE64 | OP_END, x_mov_to_dr,
        OPD_Dy, OPD_Ry),
    SYS("wrmsr", 0x30, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV | OP_END, x_wrmsr, OPD_NONE),
    SYS("rdtsc", 0x31, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, 0, x_rdtsc, OPD_NONE),
    SYS("rdmsr", 0x32, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_PRIV, x_rdmsr, OPD_NONE),
    SYS("rdpmc", 0x33, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, 0, x_rdpmc, OPD_NONE),
    SYS("sysenter", 0x34, PFX_ANY, ANY, ANY, MOD_ANY, FEAT_SEP, 0, OP_END, x_sysenter, OPD_NONE),
    SYS("sysexit", 0x35, PFX_ANY, ANY, ANY, MOD_ANY, FEAT_SEP, 0, OP_PRIV | OP_END, x_sysexit,
        OPD_NONE),
    SYS("cpuid", 0xa2, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, 0, x_cpuid, OPD_NONE),
    SYS("rsm", 0xaa, PFX_ANY, ANY, ANY, MOD_ANY, 0, 0, OP_END, x_rsm, OPD_NONE),
    SYS("rdfsbase", 0xae, PFX_F3, 0, ANY, MOD_REG, FEAT_FSGSBASE, 0, OP_ONLY64, x_rdfsbase, OPD_Ry),
    SYS("rdgsbase", 0xae, PFX_F3, 1, ANY, MOD_REG, FEAT_FSGSBASE, 0, OP_ONLY64, x_rdgsbase, OPD_Ry),
    SYS("wrfsbase", 0xae, PFX_F3, 2, ANY, MOD_REG, FEAT_FSGSBASE, 0, OP_ONLY64, x_wrfsbase, OPD_Ry),
    SYS("wrgsbase", 0xae, PFX_F3, 3, ANY, MOD_REG, FEAT_FSGSBASE, 0, OP_ONLY64, x_wrgsbase, OPD_Ry),
    SYS("rdpid", 0xc7, PFX_F3, 7, ANY, MOD_REG, FEAT_RDPID, 0, OP_FORCE64, x_rdpid, OPD_Ry),

    { .name = "invpcid",
      .map = MAP_0F38,
      .byte = 0x82,
      .prefix = PFX_66,
      .reg = ANY,
      .rm = ANY,
      .mod = MOD_MEM,
      .operands = { OPD_Gy, OPD_Mx },
      .feature = FEAT_INVPCID,
      .flags = OP_PRIV | OP_NOFUZZ | OP_END | OP_FORCE64,
      .fn = x_invpcid },
    { .name = "hlt",
      .map = MAP_1B,
      .byte = 0xf4,
      .prefix = PFX_ANY,
      .reg = ANY,
      .rm = ANY,
      .mod = MOD_ANY,
      .flags = OP_PRIV | OP_NOFUZZ | OP_END,
      .fn = x_hlt },
    { .name = "arpl",
      .map = MAP_1B,
      .byte = 0x63,
      .prefix = PFX_ANY,
      .reg = ANY,
      .rm = ANY,
      .mod = MOD_ANY,
      .operands = { OPD_Ew, OPD_Gw },
      .fl_write = FLB_Z,
      .flags = OP_NO64 | OP_PROT,
      .fn = x_arpl },
};

const struct opcode_table opcodes_sys = { rows, sizeof rows / sizeof rows[0] };
