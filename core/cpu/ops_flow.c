/*
 * Far control transfers, software interrupts, flag instructions, segment register moves, programmed
 * I/O, fences: what touches more than registers and data. The work itself is in far.c, seg.c and
 * exc.c; here is the instruction's side: operands, privilege, and how the block ends.
 */
#include "cpu/ops.h"

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

/* CLI, STI, PUSHF, POPF, INT n in virtual-8086 mode depend on IOPL. */
static bool in_vm86(const struct cpu *c)
{
    return c->mode & MODE_VM;
}
static unsigned iopl(const struct cpu *c)
{
    return (c->rflags & FL_IOPL) >> 12;
}

/* ---- flags ---- */

OP(pushf)
{
    if (in_vm86(c) && iopl(c) < 3)
        return fault(c, EXC_GP, 0);
    return push(c, i->osz, cpu_rflags(c) & ~(FL_VM | FL_RF)) ? EXEC_NEXT : EXEC_FAULT;
}

OP(popf)
{
    uint64_t v;
    uint32_t change = FL_ARITH | FL_TF | FL_DF | FL_NT | FL_AC | FL_ID;
    if (in_vm86(c) && iopl(c) < 3)
        return fault(c, EXC_GP, 0);
    if (!pop_peek(c, i->osz, &v))
        return EXEC_FAULT;
    if (c->cpl == 0 && !in_vm86(c))
        change |= FL_IOPL;
    if (c->cpl <= iopl(c))
        change |= FL_IF;
    if (i->osz == 1)
        change &= 0xffff;
    uint32_t old = cpu_rflags(c);
    pop_commit(c, 1u << i->osz);
    cpu_set_rflags(c, (old & ~(change | FL_RF)) | ((uint32_t)v & change));
    return EXEC_STOP;
}

OP(lahf)
{
    (void)i;
    SET8(c, 1, (flags_arith(c) & (FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF)) | 2);
    return EXEC_NEXT;
}
OP(sahf)
{
    (void)i;
    uint32_t mask = FL_SF | FL_ZF | FL_AF | FL_PF | FL_CF;
    flags_set_arith(c, (flags_arith(c) & ~mask) | (GET8(c, 1) & mask));
    return EXEC_NEXT;
}
OP(salc) /* undocumented: AL = CF ? FF : 0 */
{
    (void)i;
    SET8(c, 0, flag_cf(c) ? 0xff : 0);
    return EXEC_NEXT;
}
OP(clc)
{
    (void)i;
    flags_set_cf_of(c, false, flag_of(c));
    return EXEC_NEXT;
}
OP(stc)
{
    (void)i;
    flags_set_cf_of(c, true, flag_of(c));
    return EXEC_NEXT;
}
OP(cmc)
{
    (void)i;
    flags_set_cf_of(c, !flag_cf(c), flag_of(c));
    return EXEC_NEXT;
}
OP(cld)
{
    (void)i;
    c->rflags &= ~FL_DF;
    return EXEC_NEXT;
}
OP(std)
{
    (void)i;
    c->rflags |= FL_DF;
    return EXEC_NEXT;
}

OP(cli)
{
    (void)i;
    if ((c->mode & MODE_PE) && c->cpl > iopl(c))
        return fault(c, EXC_GP, 0);
    c->rflags &= ~FL_IF;
    return EXEC_NEXT;
}
OP(sti)
{
    (void)i;
    if ((c->mode & MODE_PE) && c->cpl > iopl(c))
        return fault(c, EXC_GP, 0);
    if (!(c->rflags & FL_IF))
        c->shadow = true;
    c->rflags |= FL_IF;
    return EXEC_STOP;
}

/* ---- far transfers ---- */

OP(jmp_far_I)
{
    return far_jump(c, (uint16_t)i->imm, (uint32_t)i->disp & (i->osz == 1 ? 0xffffu : ~0u), i->osz,
                    cpu_next_rip(c, i))
               ? EXEC_JUMP
               : EXEC_FAULT;
}
OP(call_far_I)
{
    return far_call(c, (uint16_t)i->imm, (uint32_t)i->disp & (i->osz == 1 ? 0xffffu : ~0u), i->osz,
                    cpu_next_rip(c, i))
               ? EXEC_JUMP
               : EXEC_FAULT;
}
static bool load_far_pointer(struct cpu *c, const struct insn *i, uint64_t *off, uint16_t *sel)
{
    uint64_t ea = insn_ea(c, i), s;
    if (!mem_ld(c, i->seg, ea, i->osz, off))
        return false;
    ea = (ea + (1u << i->osz)) << i->ash >> i->ash;
    if (!mem_ld(c, i->seg, ea, 1, &s))
        return false;
    *sel = (uint16_t)s;
    return true;
}
OP(jmp_far_M)
{
    uint64_t off;
    uint16_t sel;
    if (!load_far_pointer(c, i, &off, &sel))
        return EXEC_FAULT;
    return far_jump(c, sel, off, i->osz, cpu_next_rip(c, i)) ? EXEC_JUMP : EXEC_FAULT;
}
OP(call_far_M)
{
    uint64_t off;
    uint16_t sel;
    if (!load_far_pointer(c, i, &off, &sel))
        return EXEC_FAULT;
    return far_call(c, sel, off, i->osz, cpu_next_rip(c, i)) ? EXEC_JUMP : EXEC_FAULT;
}
OP(ret_far)
{
    return far_ret(c, i->osz, (uint16_t)i->imm) ? EXEC_JUMP : EXEC_FAULT;
}
OP(iret)
{
    c->rip = cpu_next_rip(c, i);
    return far_iret(c, i->osz) ? EXEC_JUMP : EXEC_FAULT;
}

/* Software interrupts push the address of the next instruction. exc_interrupt() reads it from
 * c->rip. */
static enum exec software_interrupt(struct cpu *c, const struct insn *i, int vector, int kind)
{
    c->rip = cpu_next_rip(c, i);
    return exc_interrupt(c, vector, kind) ? EXEC_JUMP : EXEC_FAULT;
}
OP(int_n)
{
    if (in_vm86(c) && iopl(c) < 3)
        return fault(c, EXC_GP, 0);
    return software_interrupt(c, i, (uint8_t)i->imm, INT_SOFTWARE);
}
OP(int3)
{
    return software_interrupt(c, i, EXC_BP, INT_SOFTWARE_TRAP);
}
OP(int1)
{
    return software_interrupt(c, i, EXC_DB, INT_PRIVILEGED_SOFTWARE);
}
OP(into)
{
    return flag_of(c) ? software_interrupt(c, i, EXC_OF, INT_SOFTWARE_TRAP) : EXEC_NEXT;
}

OP(bound)
{
    uint64_t ea = insn_ea(c, i), lo, hi;
    unsigned bits = 8u << i->osz;
    if (!mem_ld(c, i->seg, ea, i->osz, &lo) ||
        !mem_ld(c, i->seg, (ea + (1u << i->osz)) << i->ash >> i->ash, i->osz, &hi))
        return EXEC_FAULT;
    int64_t v = (int64_t)sext_bits(c->gpr[i->r], bits);
    if (v < (int64_t)sext_bits(lo, bits) || v > (int64_t)sext_bits(hi, bits))
        return fault_noerr(c, EXC_BR);
    return EXEC_NEXT;
}

/* ---- segment registers ---- */

static enum exec after_segment_load(struct cpu *c, unsigned seg)
{
    if (seg == SEG_SS)
        c->shadow = c->shadow_ss = true;
    return EXEC_STOP;
}
OP(mov_ES)
{
    if (i->r > SEG_GS)
        return fault_noerr(c, EXC_UD);
    uint16_t v = c->seg[i->r].sel;
    if (i->flags & INSN_MEM)
        return mem_st16(c, i->seg, insn_ea(c, i), v) ? EXEC_NEXT : EXEC_FAULT;
    reg_set(c, i->rm, i->osz, v);
    return EXEC_NEXT;
}
OP(mov_SE)
{
    uint64_t v;
    if (i->r > SEG_GS || i->r == SEG_CS)
        return fault_noerr(c, EXC_UD);
    if (!rm_get(c, i, 1, &v) || !seg_load(c, i->r, (uint16_t)v))
        return EXEC_FAULT;
    return after_segment_load(c, i->r);
}
static enum exec push_segment(struct cpu *c, const struct insn *i, unsigned seg)
{
    /* A 32-bit push of a segment register writes 16 bits (Intel since the P6); the stack pointer
     * moves by 4. */
    if (i->osz == 2) {
        uint64_t sp = (c->gpr[RSP] - 4) & c->sp_mask;
        if (!mem_st16(c, SEG_SS, sp, c->seg[seg].sel))
            return EXEC_FAULT;
        set_sp(c, sp);
        return EXEC_NEXT;
    }
    return push(c, i->osz, c->seg[seg].sel) ? EXEC_NEXT : EXEC_FAULT;
}
static enum exec pop_segment(struct cpu *c, const struct insn *i, unsigned seg)
{
    uint64_t v;
    if (!mem_ld(c, SEG_SS, c->gpr[RSP] & c->sp_mask, 1, &v))
        return EXEC_FAULT;
    uint64_t sp_mask = c->sp_mask, sp = c->gpr[RSP] + (1u << i->osz);
    if (!seg_load(c, (int)seg, (uint16_t)v))
        return EXEC_FAULT;
    /* POP SS: the stack pointer moves with the width of the stack that was popped. */
    if (sp_mask == 0xffff)
        SET16(c, RSP, sp);
    else
        c->gpr[RSP] = sp & sp_mask;
    return after_segment_load(c, seg);
}
#define DEF_SEG_STACK(name, seg)                                                                   \
    OP(push_##name)                                                                                \
    {                                                                                              \
        return push_segment(c, i, seg);                                                            \
    }                                                                                              \
    OP(pop_##name)                                                                                 \
    {                                                                                              \
        return pop_segment(c, i, seg);                                                             \
    }
DEF_SEG_STACK(es, SEG_ES)
DEF_SEG_STACK(ss, SEG_SS)
DEF_SEG_STACK(ds, SEG_DS)
DEF_SEG_STACK(fs, SEG_FS)
DEF_SEG_STACK(gs, SEG_GS)
OP(push_cs)
{
    return push_segment(c, i, SEG_CS);
}

static enum exec load_far_segment(struct cpu *c, const struct insn *i, unsigned seg)
{
    uint64_t off;
    uint16_t sel;
    if (!load_far_pointer(c, i, &off, &sel) || !seg_load(c, (int)seg, sel))
        return EXEC_FAULT;
    reg_set(c, i->r, i->osz, off);
    return EXEC_STOP;
}
OP(les)
{
    return load_far_segment(c, i, SEG_ES);
}
OP(lds)
{
    return load_far_segment(c, i, SEG_DS);
}
OP(lss)
{
    return load_far_segment(c, i, SEG_SS);
}
OP(lfs)
{
    return load_far_segment(c, i, SEG_FS);
}
OP(lgs)
{
    return load_far_segment(c, i, SEG_GS);
}

/* ---- programmed I/O: a port access may raise interrupts, move memory, stop the machine: look up
 * afterwards ---- */

static enum exec port_in(struct cpu *c, const struct insn *i, uint16_t port)
{
    if (!io_allowed(c, port, 1u << i->osz))
        return EXEC_FAULT;
    c->slow -= SLOW_DEVICE;
    reg_set(c, RAX, i->osz, mem_read(c->io, port, 1u << i->osz));
    dbg_check_io(c, port, 1u << i->osz);
    return EXEC_STOP;
}
static enum exec port_out(struct cpu *c, const struct insn *i, uint16_t port)
{
    if (!io_allowed(c, port, 1u << i->osz))
        return EXEC_FAULT;
    c->slow -= SLOW_DEVICE;
    mem_write(c->io, port, reg_get(c, RAX, i->osz), 1u << i->osz);
    dbg_check_io(c, port, 1u << i->osz);
    return EXEC_STOP;
}
OP(in_I)
{
    return port_in(c, i, (uint8_t)i->imm);
}
OP(in_DX)
{
    return port_in(c, i, (uint16_t)c->gpr[RDX]);
}
OP(out_I)
{
    return port_out(c, i, (uint8_t)i->imm);
}
OP(out_DX)
{
    return port_out(c, i, (uint16_t)c->gpr[RDX]);
}

OP(fence)
{
    (void)c;
    (void)i;
    return EXEC_NEXT;
}
OP(clflush) /* faults like a byte read */
{
    uint8_t v;
    return mem_ld8(c, i->seg, insn_ea(c, i), &v) ? EXEC_NEXT : EXEC_FAULT;
}

#define NF     OP_NOFUZZ
#define FL1(w) FL(0, w, 0)
#define SEG_MEM(nm, mp, by, flg)                                                                   \
    ROW_(#nm, mp, by, PFX_ANY, R_ANY, R_ANY, MOD_MEM, OPS(OPD_Gv, OPD_Mp), FEAT_NONE, FL_NONE,     \
         NF | OP_END | flg, F1(nm), 0)

static const struct opcode rows[] = {
    R1("push", 0x06, OPS(OPD_NONE), FL_NONE, OP_NO64 | NF, F1(push_es), 0),
    R1("pop", 0x07, OPS(OPD_NONE), FL_NONE, OP_NO64 | OP_END | NF, F1(pop_es), 0),
    R1("push", 0x0e, OPS(OPD_NONE), FL_NONE, OP_NO64 | NF, F1(push_cs), 0),
    R1("push", 0x16, OPS(OPD_NONE), FL_NONE, OP_NO64 | NF, F1(push_ss), 0),
    R1("pop", 0x17, OPS(OPD_NONE), FL_NONE, OP_NO64 | OP_END | NF, F1(pop_ss), 0),
    R1("push", 0x1e, OPS(OPD_NONE), FL_NONE, OP_NO64 | NF, F1(push_ds), 0),
    R1("pop", 0x1f, OPS(OPD_NONE), FL_NONE, OP_NO64 | OP_END | NF, F1(pop_ds), 0),
    R0("push", 0xa0, OPS(OPD_NONE), FL_NONE, OP_DEF64 | NF, F1(push_fs), 0),
    R0("pop", 0xa1, OPS(OPD_NONE), FL_NONE, OP_DEF64 | OP_END | NF, F1(pop_fs), 0),
    R0("push", 0xa8, OPS(OPD_NONE), FL_NONE, OP_DEF64 | NF, F1(push_gs), 0),
    R0("pop", 0xa9, OPS(OPD_NONE), FL_NONE, OP_DEF64 | OP_END | NF, F1(pop_gs), 0),
    ROW_("bound", MAP_1B, 0x62, PFX_ANY, R_ANY, R_ANY, MOD_MEM, OPS(OPD_Gv, OPD_M), FEAT_NONE,
         FL_NONE, OP_NO64 | NF, F1(bound), 0),
    R1("mov", 0x8c, OPS(OPD_Ew_Rv, OPD_Sw), FL_NONE, NF, F1(mov_ES), 0),
    R1("mov", 0x8e, OPS(OPD_Sw, OPD_Ew), FL_NONE, OP_END | NF, F1(mov_SE), 0),
    R1("call", 0x9a, OPS(OPD_Ap), FL_NONE, OP_NO64 | OP_END | NF, F1(call_far_I), 0),
    R1("pushf", 0x9c, OPS(OPD_NONE), FL(FLB_ALL, 0, 0), OP_DEF64 | NF, F1(pushf), 0),
    R1("popf", 0x9d, OPS(OPD_NONE), FL1(FLB_ALL), OP_DEF64 | OP_END | NF, F1(popf), 0),
    R1("sahf", 0x9e, OPS(OPD_NONE), FL1(FLB_ALL & ~FLB_O), OP_NO64, F1(sahf), 0),
    R1("lahf", 0x9f, OPS(OPD_NONE), FL(FLB_ALL & ~FLB_O, 0, 0), OP_NO64, F1(lahf), 0),
    ROW_("sahf", MAP_1B, 0x9e, PFX_ANY, R_ANY, R_ANY, MOD_ANY, OPS(OPD_NONE), FEAT_LAHF64,
         FL1(FLB_ALL & ~FLB_O), OP_ONLY64, F1(sahf), 0),
    ROW_("lahf", MAP_1B, 0x9f, PFX_ANY, R_ANY, R_ANY, MOD_ANY, OPS(OPD_NONE), FEAT_LAHF64,
         FL(FLB_ALL & ~FLB_O, 0, 0), OP_ONLY64, F1(lahf), 0),
    SEG_MEM(les, MAP_1B, 0xc4, OP_NO64),
    SEG_MEM(lds, MAP_1B, 0xc5, OP_NO64),
    SEG_MEM(lss, MAP_0F, 0xb2, 0),
    SEG_MEM(lfs, MAP_0F, 0xb4, 0),
    SEG_MEM(lgs, MAP_0F, 0xb5, 0),
    R1("retf", 0xca, OPS(OPD_Iw), FL_NONE, OP_END | NF, F1(ret_far), 0),
    R1("retf", 0xcb, OPS(OPD_NONE), FL_NONE, OP_END | NF, F1(ret_far), 0),
    R1("int3", 0xcc, OPS(OPD_NONE), FL_NONE, OP_END | NF, F1(int3), 0),
    R1("int", 0xcd, OPS(OPD_Ib), FL_NONE, OP_END | NF, F1(int_n), 0),
    R1("into", 0xce, OPS(OPD_NONE), FL(FLB_O, 0, 0), OP_NO64 | OP_END | NF, F1(into), 0),
    R1("iret", 0xcf, OPS(OPD_NONE), FL1(FLB_ALL), OP_END | NF, F1(iret), 0),
    R1("int1", 0xf1, OPS(OPD_NONE), FL_NONE, OP_END | NF, F1(int1), 0),
    R1("salc", 0xd6, OPS(OPD_NONE), FL(FLB_C, 0, 0), OP_NO64, F1(salc), 0),
    R1("in", 0xe4, OPS(OPD_AL, OPD_Ib), FL_NONE, OP_BYTE | OP_END | NF, F1(in_I), 0),
    R1("in", 0xe5, OPS(OPD_eAX, OPD_Ib), FL_NONE, OP_MAX32 | OP_END | NF, F1(in_I), 0),
    R1("out", 0xe6, OPS(OPD_Ib, OPD_AL), FL_NONE, OP_BYTE | OP_END | NF, F1(out_I), 0),
    R1("out", 0xe7, OPS(OPD_Ib, OPD_eAX), FL_NONE, OP_MAX32 | OP_END | NF, F1(out_I), 0),
    R1("jmp", 0xea, OPS(OPD_Ap), FL_NONE, OP_NO64 | OP_END | NF, F1(jmp_far_I), 0),
    R1("in", 0xec, OPS(OPD_AL, OPD_DX), FL_NONE, OP_BYTE | OP_END | NF, F1(in_DX), 0),
    R1("in", 0xed, OPS(OPD_eAX, OPD_DX), FL_NONE, OP_MAX32 | OP_END | NF, F1(in_DX), 0),
    R1("out", 0xee, OPS(OPD_DX, OPD_AL), FL_NONE, OP_BYTE | OP_END | NF, F1(out_DX), 0),
    R1("out", 0xef, OPS(OPD_DX, OPD_eAX), FL_NONE, OP_MAX32 | OP_END | NF, F1(out_DX), 0),
    R1("cmc", 0xf5, OPS(OPD_NONE), FL(FLB_C, FLB_C, 0), 0, F1(cmc), 0),
    R1("clc", 0xf8, OPS(OPD_NONE), FL1(FLB_C), 0, F1(clc), 0),
    R1("stc", 0xf9, OPS(OPD_NONE), FL1(FLB_C), 0, F1(stc), 0),
    R1("cli", 0xfa, OPS(OPD_NONE), FL_NONE, NF, F1(cli), 0),
    R1("sti", 0xfb, OPS(OPD_NONE), FL_NONE, OP_END | NF, F1(sti), 0),
    R1("cld", 0xfc, OPS(OPD_NONE), FL_NONE, 0, F1(cld), 0),
    R1("std", 0xfd, OPS(OPD_NONE), FL_NONE, 0, F1(std), 0),
    ROW_("call", MAP_1B, 0xff, PFX_ANY, 3, R_ANY, MOD_MEM, OPS(OPD_Mp), FEAT_NONE, FL_NONE,
         OP_END | NF, F1(call_far_M), 0),
    ROW_("jmp", MAP_1B, 0xff, PFX_ANY, 5, R_ANY, MOD_MEM, OPS(OPD_Mp), FEAT_NONE, FL_NONE,
         OP_END | NF, F1(jmp_far_M), 0),
    ROW_("lfence", MAP_0F, 0xae, PFX_NP, 5, R_ANY, MOD_REG, OPS(OPD_NONE), FEAT_SSE2, FL_NONE, 0,
         F1(fence), 0),
    ROW_("mfence", MAP_0F, 0xae, PFX_NP, 6, R_ANY, MOD_REG, OPS(OPD_NONE), FEAT_SSE2, FL_NONE, 0,
         F1(fence), 0),
    ROW_("sfence", MAP_0F, 0xae, PFX_NP, 7, R_ANY, MOD_REG, OPS(OPD_NONE), FEAT_SSE, FL_NONE, 0,
         F1(fence), 0),
    ROW_("clflush", MAP_0F, 0xae, PFX_NP, 7, R_ANY, MOD_MEM, OPS(OPD_Mb), FEAT_CLFLUSH, FL_NONE, 0,
         F1(clflush), 0),
};
TABLE(opcodes_flow, rows);
