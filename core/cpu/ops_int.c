/*
 * Integer instructions, first part: arithmetic and logic with two operands, moves, stack, near
 * branches. The handlers that matter for speed are in ops_hot.h; here are their tables of
 * addresses, the rest of the group and the opcode rows (SDM vol. 2, appendix A).
 */
#include "cpu/ops_hot.h"

#define FNS_SZRM(n)                                                                                \
    static insn_fn *const t_##n[8] = { x_##n##_8R,  x_##n##_8M,  x_##n##_16R, x_##n##_16M,         \
                                       x_##n##_32R, x_##n##_32M, x_##n##_64R, x_##n##_64M }
#define FNS_WRM(n)                                                                                 \
    static insn_fn *const t_##n[8] = { NULL,        NULL,        x_##n##_16R, x_##n##_16M,         \
                                       x_##n##_32R, x_##n##_32M, x_##n##_64R, x_##n##_64M }
#define FNS_W(n) static insn_fn *const t_##n[4] = { NULL, x_##n##_16, x_##n##_32, x_##n##_64 }
#define FNS_ALU(op)                                                                                \
    FNS_SZRM(op##_EG);                                                                             \
    FNS_SZRM(op##_GE);                                                                             \
    FNS_SZRM(op##_EI)

FNS_ALU(add);
FNS_ALU(or);
FNS_ALU(adc);
FNS_ALU(sbb);
FNS_ALU(and);
FNS_ALU(sub);
FNS_ALU(xor);
FNS_ALU(cmp);
FNS_ALU(mov);
FNS_SZRM(test_EG);
FNS_SZRM(test_EI);
FNS_SZRM(inc_E);
FNS_SZRM(dec_E);
FNS_SZRM(neg_E);
FNS_SZRM(not_E);
FNS_SZRM(shl_EI);
FNS_SZRM(shr_EI);
FNS_SZRM(sar_EI);
FNS_SZRM(shl_ECL);
FNS_SZRM(shr_ECL);
FNS_SZRM(sar_ECL);
FNS_SZRM(movzx8);
FNS_SZRM(movzx16);
FNS_SZRM(movsx8);
FNS_SZRM(movsx16);
FNS_SZRM(movsxd);
FNS_WRM(imul_GE);
FNS_WRM(imul_GEI);
FNS_WRM(cmov);
FNS_WRM(jmp_E);
FNS_WRM(call_E);
FNS_W(lea);
FNS_W(push_Z);
FNS_W(pop_Z);
static insn_fn *const t_mov_ZI[4] = { x_mov_ZI_8, x_mov_ZI_16, x_mov_ZI_32, x_mov_ZI_64 };

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

OP(push_E)
{
    uint64_t v;
    return rm_get(c, i, i->osz, &v) && push(c, i->osz, v) ? EXEC_NEXT : EXEC_FAULT;
}

/* POP r/m: an address that uses RSP sees it already incremented. */
OP(pop_E)
{
    uint64_t v, old = c->gpr[RSP];
    if (!pop_peek(c, i->osz, &v))
        return EXEC_FAULT;
    pop_commit(c, 1u << i->osz);
    if (!rm_set(c, i, i->osz, v)) {
        c->gpr[RSP] = old;
        return EXEC_FAULT;
    }
    return EXEC_NEXT;
}

OP(pusha)
{
    unsigned bytes = 1u << i->osz;
    uint64_t old = c->gpr[RSP], sp = old;
    /* The lowest and the highest word are probed first: all eight or none. */
    for (int k = 0; k < 8; k++) {
        uint64_t la;
        sp = (sp - bytes) & c->sp_mask;
        if (!mem_linear(c, SEG_SS, sp, bytes, ACCESS_WRITE, &la) ||
            !mem_probe_write(c, SEG_SS, la, bytes))
            return EXEC_FAULT;
    }
    for (int k = 0; k < 8; k++)
        if (!push(c, i->osz, k == RSP ? old : c->gpr[k])) {
            c->gpr[RSP] = old;
            return EXEC_FAULT;
        }
    return EXEC_NEXT;
}

OP(popa)
{
    uint64_t v[8];
    unsigned bytes = 1u << i->osz;
    for (unsigned k = 0; k < 8; k++)
        if (!mem_ld(c, SEG_SS, (c->gpr[RSP] + k * bytes) & c->sp_mask, i->osz, &v[k]))
            return EXEC_FAULT;
    pop_commit(c, 8 * bytes);
    for (unsigned k = 0; k < 8; k++)
        if (7 - k != RSP)
            reg_set(c, 7 - k, i->osz, v[k]);
    return EXEC_NEXT;
}

/* ENTER (SDM vol. 2): copies up to 31 frame pointers. RBP and RSP change only once everything is
 * written. */
OP(enter)
{
    unsigned bytes = 1u << i->osz, level = ((uint32_t)i->imm >> 16) & 31;
    uint64_t sp = (c->gpr[RSP] - bytes) & c->sp_mask, bp = c->gpr[RBP];
    uint64_t frame = sp | (c->gpr[RSP] & ~c->sp_mask); /* a 16-bit stack keeps ESP's upper half */
    if (!mem_st(c, SEG_SS, sp, i->osz, c->gpr[RBP]))
        return EXEC_FAULT;
    for (unsigned k = 1; k < level; k++) {
        uint64_t v;
        bp -= bytes;
        sp = (sp - bytes) & c->sp_mask;
        if (!mem_ld(c, SEG_SS, bp & c->sp_mask, i->osz, &v) || !mem_st(c, SEG_SS, sp, i->osz, v))
            return EXEC_FAULT;
    }
    if (level) {
        sp = (sp - bytes) & c->sp_mask;
        if (!mem_st(c, SEG_SS, sp, i->osz, frame))
            return EXEC_FAULT;
    }
    sp = (sp - (uint16_t)i->imm) & c->sp_mask;
    uint64_t la;
    if (!mem_linear(c, SEG_SS, sp, bytes, ACCESS_WRITE, &la) ||
        !mem_probe_write(c, SEG_SS, la, bytes))
        return EXEC_FAULT;
    set_sp(c, sp);
    reg_set(c, RBP, i->osz, frame);
    return EXEC_NEXT;
}

OP(xchg_EG)
{
    struct rmw m;
    uint64_t v;
    if (!rm_rmw_get(c, i, i->osz, &m, &v) ||
        !rm_rmw_set(c, i, i->osz, &m, reg_get(c, i->r, i->osz)))
        return EXEC_FAULT;
    reg_set(c, i->r, i->osz, v);
    return EXEC_NEXT;
}

OP(xchg_ZA)
{
    if (i->rm == RAX) /* 90h is NOP: it doesn't clear the upper half of RAX (SDM, XCHG) */
        return EXEC_NEXT;
    uint64_t v = reg_get(c, i->rm, i->osz);
    reg_set(c, i->rm, i->osz, reg_get(c, RAX, i->osz));
    reg_set(c, RAX, i->osz, v);
    return EXEC_NEXT;
}

OP(mov_AO) /* accumulator from moffs */
{
    uint64_t v;
    if (!mem_ld(c, i->seg, i->imm64, i->osz, &v))
        return EXEC_FAULT;
    reg_set(c, RAX, i->osz, v);
    return EXEC_NEXT;
}

OP(mov_OA)
{
    return mem_st(c, i->seg, i->imm64, i->osz, reg_get(c, RAX, i->osz)) ? EXEC_NEXT : EXEC_FAULT;
}

OP(xlat)
{
    uint64_t ea = (c->gpr[RBX] + (c->gpr[RAX] & 0xff)) << i->ash >> i->ash;
    uint8_t v;
    if (!mem_ld8(c, i->seg, ea, &v))
        return EXEC_FAULT;
    SET8(c, 0, v);
    return EXEC_NEXT;
}

OP(cbw) /* CBW, CWDE, CDQE */
{
    switch (i->osz) {
    case 1: SET16(c, RAX, (int8_t)c->gpr[RAX]); break;
    case 2: SET32(c, RAX, (int16_t)c->gpr[RAX]); break;
    default: SET64(c, RAX, (uint64_t)(int64_t)(int32_t)c->gpr[RAX]); break;
    }
    return EXEC_NEXT;
}

OP(cwd) /* CWD, CDQ, CQO */
{
    uint64_t sign = (uint64_t)((int64_t)sext_bits(c->gpr[RAX], 8u << i->osz) >> 63);
    reg_set(c, RDX, i->osz, sign);
    return EXEC_NEXT;
}

OP(bswap)
{
    if (i->osz == 3)
        c->gpr[i->rm] = __builtin_bswap64(c->gpr[i->rm]);
    else if (i->osz == 2)
        SET32(c, i->rm, __builtin_bswap32(GET32(c, i->rm)));
    else
        SET16(c, i->rm, 0); /* undefined; hardware clears it */
    return EXEC_NEXT;
}

static uint64_t byte_swap(uint64_t v, unsigned osz)
{
    return osz == 1   ? __builtin_bswap16((uint16_t)v)
           : osz == 2 ? __builtin_bswap32((uint32_t)v)
                      : __builtin_bswap64(v);
}
OP(movbe_GM)
{
    uint64_t v;
    if (!mem_ld(c, i->seg, insn_ea(c, i), i->osz, &v))
        return EXEC_FAULT;
    reg_set(c, i->r, i->osz, byte_swap(v, i->osz));
    return EXEC_NEXT;
}
OP(movbe_MG)
{
    return mem_st(c, i->seg, insn_ea(c, i), i->osz, byte_swap(reg_get(c, i->r, i->osz), i->osz))
               ? EXEC_NEXT
               : EXEC_FAULT;
}

OP(movnti)
{
    return mem_st(c, i->seg, insn_ea(c, i), i->osz == 3 ? 3 : 2, c->gpr[i->r]) ? EXEC_NEXT
                                                                               : EXEC_FAULT;
}

/* Conditional loops: RCX of the address size. */
static uint64_t loop_count(struct cpu *c, const struct insn *i, uint64_t delta)
{
    uint64_t n = (c->gpr[RCX] - delta) << i->ash >> i->ash;
    return n;
}
static void loop_commit(struct cpu *c, const struct insn *i, uint64_t n)
{
    reg_set(c, RCX, i->ash == 48 ? 1 : i->ash == 32 ? 2 : 3, n);
}
static enum exec loop_if(struct cpu *c, const struct insn *i, bool also)
{
    uint64_t n = loop_count(c, i, 1), t = branch_target(c, i);
    bool taken = n != 0 && also;
    if (taken && t > c->cs_limit)
        return fault(c, EXC_GP, 0);
    loop_commit(c, i, n);
    c->rip = taken ? t : cpu_next_rip(c, i);
    return EXEC_JUMP;
}
OP(loop)
{
    return loop_if(c, i, true);
}
OP(loope)
{
    return loop_if(c, i, flag_zf(c));
}
OP(loopne)
{
    return loop_if(c, i, !flag_zf(c));
}
OP(jcxz)
{
    if (loop_count(c, i, 0) == 0)
        return jump_to(c, branch_target(c, i));
    c->rip = cpu_next_rip(c, i);
    return EXEC_JUMP;
}

#define B   OP_BYTE
#define RM8 OP_SIZED_RM
#define NF  OP_NOFUZZ
#define ALU_ROWS(op, by, rg, fl, lk, rd)                                                           \
    R1(#op, by + 0, OPS(OPD_Eb, OPD_Gb), fl, B | RM8 | lk | rd, FT(op##_EG), H_##op##_EG_8R),      \
        R1(#op, by + 1, OPS(OPD_Ev, OPD_Gv), fl, RM8 | lk | rd, FT(op##_EG), H_##op##_EG_8R),      \
        R1(#op, by + 2, OPS(OPD_Gb, OPD_Eb), fl, B | RM8 | rd, FT(op##_GE), H_##op##_GE_8R),       \
        R1(#op, by + 3, OPS(OPD_Gv, OPD_Ev), fl, RM8 | rd, FT(op##_GE), H_##op##_GE_8R),           \
        R1(#op, by + 4, OPS(OPD_AL, OPD_Ib), fl, B | RM8 | rd, FT(op##_EI), H_##op##_EI_8R),       \
        R1(#op, by + 5, OPS(OPD_rAX, OPD_Iz), fl, RM8 | rd, FT(op##_EI), H_##op##_EI_8R),          \
        R1x(#op, 0x80, rg, OPS(OPD_Eb, OPD_Ib), fl, B | RM8 | lk | rd, FT(op##_EI),                \
            H_##op##_EI_8R),                                                                       \
        R1x(#op, 0x81, rg, OPS(OPD_Ev, OPD_Iz), fl, RM8 | lk | rd, FT(op##_EI), H_##op##_EI_8R),   \
        R1x(#op, 0x82, rg, OPS(OPD_Eb, OPD_Ib), fl, B | RM8 | lk | rd | OP_NO64, FT(op##_EI),      \
            H_##op##_EI_8R),                                                                       \
        R1x(#op, 0x83, rg, OPS(OPD_Ev, OPD_Ibs), fl, RM8 | lk | rd, FT(op##_EI), H_##op##_EI_8R)
#define SHIFT_ROWS(nm, op, rg)                                                                     \
    R1x(nm, 0xc0, rg, OPS(OPD_Eb, OPD_Ib), FL_SHIFT, B | RM8 | OP_READ_DST, FT(op##_EI),           \
        H_##op##_EI_8R),                                                                           \
        R1x(nm, 0xc1, rg, OPS(OPD_Ev, OPD_Ib), FL_SHIFT, RM8 | OP_READ_DST, FT(op##_EI),           \
            H_##op##_EI_8R),                                                                       \
        R1x(nm, 0xd0, rg, OPS(OPD_Eb, OPD_I1), FL_LOGIC, B | RM8 | OP_READ_DST, FT(op##_EI),       \
            H_##op##_EI_8R),                                                                       \
        R1x(nm, 0xd1, rg, OPS(OPD_Ev, OPD_I1), FL_LOGIC, RM8 | OP_READ_DST, FT(op##_EI),           \
            H_##op##_EI_8R),                                                                       \
        R1x(nm, 0xd2, rg, OPS(OPD_Eb, OPD_CL), FL_SHIFT, B | RM8 | OP_READ_DST, FT(op##_ECL),      \
            H_##op##_ECL_8R),                                                                      \
        R1x(nm, 0xd3, rg, OPS(OPD_Ev, OPD_CL), FL_SHIFT, RM8 | OP_READ_DST, FT(op##_ECL),          \
            H_##op##_ECL_8R)
/* OF is undefined for counts above 1, CF for counts above the operand size, and a count of 0 keeps
 * all: the flags are read as well as written. */
#define FL_SHIFT FL(FLB_ALL, FLB_C | FLB_P | FLB_Z | FLB_S, FLB_A | FLB_O)
/* @nm is the handler, @cc the condition as mnemonics have it. */
#define JCC_ROW(nm, cc, n, rd)                                                                     \
    R1("j" #cc, 0x70 + n, OPS(OPD_Jb), FL(rd, 0, 0), OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(nm), \
       H_##nm),                                                                                    \
        R0("j" #cc, 0x80 + n, OPS(OPD_Jz), FL(rd, 0, 0), OP_FORCE64 | OP_BRANCH | OP_END | NF,     \
           F1(nm), H_##nm),                                                                        \
        R0("set" #cc, 0x90 + n, OPS(OPD_Eb), FL(rd, 0, 0), B | OP_CC, F1(setcc), H_setcc),         \
        ROW_("cmov" #cc, MAP_0F, 0x40 + n, PFX_ANY, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Gv, OPD_Ev),    \
             FEAT_CMOV, FL(rd, 0, 0), RM8 | OP_CC | OP_READ_DST, FT(cmov), H_cmov_8R)
#define Z_ROWS(M_) M_(0) M_(1) M_(2) M_(3) M_(4) M_(5) M_(6) M_(7)
#define INC_ROW(n)                                                                                 \
    R1("inc", 0x40 + n, OPS(OPD_Zv), FL(FLB_C, FLB_ALL & ~FLB_C, 0), RM8 | OP_NO64 | OP_READ_DST,  \
       FT(inc_E), H_inc_E_8R),
#define DEC_ROW(n)                                                                                 \
    R1("dec", 0x48 + n, OPS(OPD_Zv), FL(FLB_C, FLB_ALL & ~FLB_C, 0), RM8 | OP_NO64 | OP_READ_DST,  \
       FT(dec_E), H_dec_E_8R),
#define PUSH_ROW(n)                                                                                \
    R1("push", 0x50 + n, OPS(OPD_Zv), FL_NONE, OP_SIZED | OP_DEF64, FT(push_Z), H_push_Z_8),
#define POP_ROW(n)                                                                                 \
    R1("pop", 0x58 + n, OPS(OPD_Zv), FL_NONE, OP_SIZED | OP_DEF64, FT(pop_Z), H_pop_Z_8),
#define XCHG_ROW(n)                                                                                \
    R1("xchg", 0x90 + n, OPS(OPD_Zv, OPD_rAX), FL_NONE, OP_READ_DST, F1(xchg_ZA), 0),
#define MOVB_ROW(n)                                                                                \
    R1("mov", 0xb0 + n, OPS(OPD_Zb, OPD_Iv), FL_NONE, OP_SIZED | B, FT(mov_ZI), H_mov_ZI_8),
#define MOVV_ROW(n)                                                                                \
    R1("mov", 0xb8 + n, OPS(OPD_Zv, OPD_Iv), FL_NONE, OP_SIZED, FT(mov_ZI), H_mov_ZI_8),
#define BSWAP_ROW(n) R0("bswap", 0xc8 + n, OPS(OPD_Zv), FL_NONE, OP_READ_DST, F1(bswap), 0),
#define HINT_ROW(nm, by, rg, opd)                                                                  \
    ROW_(nm, MAP_0F, by, PFX_ANY, rg, R_ANY, MOD_MEM, OPS(opd), FEAT_NONE, FL_NONE, 0, F1(nop),    \
         H_nop)
#define CET_ROW(nm, rmc)                                                                           \
    ROW_(nm, MAP_0F, 0x1e, PFX_F3, 7, rmc, MOD_REG, OPS(OPD_NONE), FEAT_NONE, FL_NONE, 0, F1(nop), \
         H_nop)
#define NOP_ROW(n) R0("nop", 0x18 + n, OPS(OPD_Ev), FL_NONE, 0, F1(nop), H_nop),

static const struct opcode rows[] = {
    ALU_ROWS(add, 0x00, 0, FL_ADD, OP_LOCK, OP_READ_DST),
    ALU_ROWS(or, 0x08, 1, FL_LOGIC, OP_LOCK, OP_READ_DST),
    ALU_ROWS(adc, 0x10, 2, FL(FLB_C, FLB_ALL, 0), OP_LOCK, OP_READ_DST),
    ALU_ROWS(sbb, 0x18, 3, FL(FLB_C, FLB_ALL, 0), OP_LOCK, OP_READ_DST),
    ALU_ROWS(and, 0x20, 4, FL_LOGIC, OP_LOCK, OP_READ_DST),
    ALU_ROWS(sub, 0x28, 5, FL_ADD, OP_LOCK, OP_READ_DST),
    ALU_ROWS(xor, 0x30, 6, FL_LOGIC, OP_LOCK, OP_READ_DST),
    ALU_ROWS(cmp, 0x38, 7, FL_ADD, 0, OP_READ_DST),
    Z_ROWS(INC_ROW) Z_ROWS(DEC_ROW) Z_ROWS(PUSH_ROW) Z_ROWS(POP_ROW)
        R1("pusha", 0x60, OPS(OPD_NONE), FL_NONE, OP_NO64 | NF, F1(pusha), 0),
    R1("popa", 0x61, OPS(OPD_NONE), FL_NONE, OP_NO64 | NF, F1(popa), 0),
    R1("movsxd", 0x63, OPS(OPD_Gv, OPD_Ed), FL_NONE, RM8 | OP_ONLY64, FT(movsxd), H_movsxd_8R),
    R1("push", 0x68, OPS(OPD_Iz), FL_NONE, OP_DEF64, F1(push_I), H_push_I),
    R1("imul", 0x69, OPS(OPD_Gv, OPD_Ev, OPD_Iz),
       FL(0, FLB_C | FLB_O, FLB_S | FLB_Z | FLB_A | FLB_P), RM8, FT(imul_GEI), H_imul_GEI_8R),
    R1("push", 0x6a, OPS(OPD_Ibs), FL_NONE, OP_DEF64, F1(push_I), H_push_I),
    R1("imul", 0x6b, OPS(OPD_Gv, OPD_Ev, OPD_Ibs),
       FL(0, FLB_C | FLB_O, FLB_S | FLB_Z | FLB_A | FLB_P), RM8, FT(imul_GEI), H_imul_GEI_8R),
    JCC_ROW(jo, o, 0, FLB_O),
    JCC_ROW(jno, no, 1, FLB_O),
    JCC_ROW(jb, b, 2, FLB_C),
    JCC_ROW(jnb, ae, 3, FLB_C),
    JCC_ROW(jz, e, 4, FLB_Z),
    JCC_ROW(jnz, ne, 5, FLB_Z),
    JCC_ROW(jbe, be, 6, FLB_C | FLB_Z),
    JCC_ROW(jnbe, a, 7, FLB_C | FLB_Z),
    JCC_ROW(js, s, 8, FLB_S),
    JCC_ROW(jns, ns, 9, FLB_S),
    JCC_ROW(jp, p, 10, FLB_P),
    JCC_ROW(jnp, np, 11, FLB_P),
    JCC_ROW(jl, l, 12, FLB_S | FLB_O),
    JCC_ROW(jnl, ge, 13, FLB_S | FLB_O),
    JCC_ROW(jle, le, 14, FLB_S | FLB_O | FLB_Z),
    JCC_ROW(jnle, g, 15, FLB_S | FLB_O | FLB_Z),
    R1("test", 0x84, OPS(OPD_Eb, OPD_Gb), FL_LOGIC, B | RM8 | OP_READ_DST, FT(test_EG),
       H_test_EG_8R),
    R1("test", 0x85, OPS(OPD_Ev, OPD_Gv), FL_LOGIC, RM8 | OP_READ_DST, FT(test_EG), H_test_EG_8R),
    R1("xchg", 0x86, OPS(OPD_Eb, OPD_Gb), FL_NONE, B | OP_LOCK | OP_READ_DST, F1(xchg_EG), 0),
    R1("xchg", 0x87, OPS(OPD_Ev, OPD_Gv), FL_NONE, OP_LOCK | OP_READ_DST, F1(xchg_EG), 0),
    R1("mov", 0x88, OPS(OPD_Eb, OPD_Gb), FL_NONE, B | RM8, FT(mov_EG), H_mov_EG_8R),
    R1("mov", 0x89, OPS(OPD_Ev, OPD_Gv), FL_NONE, RM8, FT(mov_EG), H_mov_EG_8R),
    R1("mov", 0x8a, OPS(OPD_Gb, OPD_Eb), FL_NONE, B | RM8, FT(mov_GE), H_mov_GE_8R),
    R1("mov", 0x8b, OPS(OPD_Gv, OPD_Ev), FL_NONE, RM8, FT(mov_GE), H_mov_GE_8R),
    ROW_("lea", MAP_1B, 0x8d, PFX_ANY, R_ANY, R_ANY, MOD_MEM, OPS(OPD_Gv, OPD_M), FEAT_NONE,
         FL_NONE, OP_SIZED, FT(lea), H_lea_8),
    R1x("pop", 0x8f, 0, OPS(OPD_Ev), FL_NONE, OP_DEF64, F1(pop_E), 0),
    ROW_("pause", MAP_1B, 0x90, PFX_F3, R_ANY, R_ANY, MOD_ANY, OPS(OPD_NONE), FEAT_NONE, FL_NONE,
         OP_NO_REX_B, F1(nop), H_nop),
    Z_ROWS(XCHG_ROW) R1("cbw", 0x98, OPS(OPD_NONE), FL_NONE, 0, F1(cbw), 0),
    R1("cwd", 0x99, OPS(OPD_NONE), FL_NONE, 0, F1(cwd), 0),
    R1("mov", 0xa0, OPS(OPD_AL, OPD_Ob), FL_NONE, B | NF, F1(mov_AO), 0),
    R1("mov", 0xa1, OPS(OPD_rAX, OPD_Ov), FL_NONE, NF, F1(mov_AO), 0),
    R1("mov", 0xa2, OPS(OPD_Ob, OPD_AL), FL_NONE, B | NF, F1(mov_OA), 0),
    R1("mov", 0xa3, OPS(OPD_Ov, OPD_rAX), FL_NONE, NF, F1(mov_OA), 0),
    R1("test", 0xa8, OPS(OPD_AL, OPD_Ib), FL_LOGIC, B | RM8 | OP_READ_DST, FT(test_EI),
       H_test_EI_8R),
    R1("test", 0xa9, OPS(OPD_rAX, OPD_Iz), FL_LOGIC, RM8 | OP_READ_DST, FT(test_EI), H_test_EI_8R),
    Z_ROWS(MOVB_ROW) Z_ROWS(MOVV_ROW) SHIFT_ROWS("shl", shl, 4),
    SHIFT_ROWS("shr", shr, 5),
    SHIFT_ROWS("sal", shl, 6),
    SHIFT_ROWS("sar", sar, 7),
    R1("ret", 0xc2, OPS(OPD_Iw), FL_NONE, OP_FORCE64 | OP_END | NF, F1(ret), H_ret),
    R1("ret", 0xc3, OPS(OPD_NONE), FL_NONE, OP_FORCE64 | OP_END | NF, F1(ret), H_ret),
    R1x("mov", 0xc6, 0, OPS(OPD_Eb, OPD_Ib), FL_NONE, B | RM8, FT(mov_EI), H_mov_EI_8R),
    R1x("mov", 0xc7, 0, OPS(OPD_Ev, OPD_Iz), FL_NONE, RM8, FT(mov_EI), H_mov_EI_8R),
    R1("enter", 0xc8, OPS(OPD_Ibw), FL_NONE, OP_DEF64, F1(enter), 0),
    R1("leave", 0xc9, OPS(OPD_NONE), FL_NONE, OP_DEF64 | NF, F1(leave), H_leave),
    R1("xlat", 0xd7, OPS(OPD_Xb), FL_NONE, B | NF, F1(xlat), 0),
    R1("loopne", 0xe0, OPS(OPD_Jb), FL(FLB_Z, 0, 0), OP_FORCE64 | OP_BRANCH | OP_END | NF,
       F1(loopne), 0),
    R1("loope", 0xe1, OPS(OPD_Jb), FL(FLB_Z, 0, 0), OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(loope),
       0),
    R1("loop", 0xe2, OPS(OPD_Jb), FL_NONE, OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(loop), 0),
    R1("jcxz", 0xe3, OPS(OPD_Jb), FL_NONE, OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(jcxz), 0),
    R1("call", 0xe8, OPS(OPD_Jz), FL_NONE, OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(call), H_call),
    R1("jmp", 0xe9, OPS(OPD_Jz), FL_NONE, OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(jmp), H_jmp),
    R1("jmp", 0xeb, OPS(OPD_Jb), FL_NONE, OP_FORCE64 | OP_BRANCH | OP_END | NF, F1(jmp), H_jmp),
    R1x("test", 0xf6, 0, OPS(OPD_Eb, OPD_Ib), FL_LOGIC, B | RM8 | OP_READ_DST, FT(test_EI),
        H_test_EI_8R),
    R1x("test", 0xf6, 1, OPS(OPD_Eb, OPD_Ib), FL_LOGIC, B | RM8 | OP_READ_DST, FT(test_EI),
        H_test_EI_8R),
    R1x("test", 0xf7, 0, OPS(OPD_Ev, OPD_Iz), FL_LOGIC, RM8 | OP_READ_DST, FT(test_EI),
        H_test_EI_8R),
    R1x("test", 0xf7, 1, OPS(OPD_Ev, OPD_Iz), FL_LOGIC, RM8 | OP_READ_DST, FT(test_EI),
        H_test_EI_8R),
    R1x("not", 0xf6, 2, OPS(OPD_Eb), FL_NONE, B | RM8 | OP_LOCK | OP_READ_DST, FT(not_E),
        H_not_E_8R),
    R1x("not", 0xf7, 2, OPS(OPD_Ev), FL_NONE, RM8 | OP_LOCK | OP_READ_DST, FT(not_E), H_not_E_8R),
    R1x("neg", 0xf6, 3, OPS(OPD_Eb), FL_ADD, B | RM8 | OP_LOCK | OP_READ_DST, FT(neg_E),
        H_neg_E_8R),
    R1x("neg", 0xf7, 3, OPS(OPD_Ev), FL_ADD, RM8 | OP_LOCK | OP_READ_DST, FT(neg_E), H_neg_E_8R),
    R1x("inc", 0xfe, 0, OPS(OPD_Eb), FL(FLB_C, FLB_ALL & ~FLB_C, 0),
        B | RM8 | OP_LOCK | OP_READ_DST, FT(inc_E), H_inc_E_8R),
    R1x("dec", 0xfe, 1, OPS(OPD_Eb), FL(FLB_C, FLB_ALL & ~FLB_C, 0),
        B | RM8 | OP_LOCK | OP_READ_DST, FT(dec_E), H_dec_E_8R),
    R1x("inc", 0xff, 0, OPS(OPD_Ev), FL(FLB_C, FLB_ALL & ~FLB_C, 0), RM8 | OP_LOCK | OP_READ_DST,
        FT(inc_E), H_inc_E_8R),
    R1x("dec", 0xff, 1, OPS(OPD_Ev), FL(FLB_C, FLB_ALL & ~FLB_C, 0), RM8 | OP_LOCK | OP_READ_DST,
        FT(dec_E), H_dec_E_8R),
    R1x("call", 0xff, 2, OPS(OPD_Ev), FL_NONE, OP_FORCE64 | RM8 | OP_END | NF, FT(call_E),
        H_call_E_8R),
    R1x("jmp", 0xff, 4, OPS(OPD_Ev), FL_NONE, OP_FORCE64 | RM8 | OP_END | NF, FT(jmp_E),
        H_jmp_E_8R),
    R1x("push", 0xff, 6, OPS(OPD_Ev), FL_NONE, OP_DEF64, F1(push_E), 0),

    /* 0F: hints, then the NOPs that all their other encodings are. 0F 0D with a register is #UD, as
     * on AMD. */
    HINT_ROW("prefetchnta", 0x18, 0, OPD_Mb),
    HINT_ROW("prefetcht0", 0x18, 1, OPD_Mb),
    HINT_ROW("prefetcht1", 0x18, 2, OPD_Mb),
    HINT_ROW("prefetcht2", 0x18, 3, OPD_Mb),
    CET_ROW("endbr64", 2),
    CET_ROW("endbr32", 3),
    Z_ROWS(NOP_ROW) HINT_ROW("prefetchw", 0x0d, 1, OPD_Mb),
    HINT_ROW("prefetchwt1", 0x0d, 2, OPD_Mb),
    HINT_ROW("prefetch", 0x0d, R_ANY, OPD_Mb),
    R0("imul", 0xaf, OPS(OPD_Gv, OPD_Ev), FL(0, FLB_C | FLB_O, FLB_S | FLB_Z | FLB_A | FLB_P),
       RM8 | OP_READ_DST, FT(imul_GE), H_imul_GE_8R),
    R0("movzx", 0xb6, OPS(OPD_Gv, OPD_Eb), FL_NONE, RM8, FT(movzx8), H_movzx8_8R),
    R0("movzx", 0xb7, OPS(OPD_Gv, OPD_Ew), FL_NONE, RM8, FT(movzx16), H_movzx16_8R),
    R0("movsx", 0xbe, OPS(OPD_Gv, OPD_Eb), FL_NONE, RM8, FT(movsx8), H_movsx8_8R),
    R0("movsx", 0xbf, OPS(OPD_Gv, OPD_Ew), FL_NONE, RM8, FT(movsx16), H_movsx16_8R),
    ROW_("movnti", MAP_0F, 0xc3, PFX_NP, R_ANY, R_ANY, MOD_MEM, OPS(OPD_M, OPD_Gy), FEAT_SSE2,
         FL_NONE, 0, F1(movnti), 0),
    Z_ROWS(BSWAP_ROW) ROW_("movbe", MAP_0F38, 0xf0, PFX_NP, R_ANY, R_ANY, MOD_MEM,
                           OPS(OPD_Gv, OPD_M), FEAT_MOVBE, FL_NONE, 0, F1(movbe_GM), 0),
    ROW_("movbe", MAP_0F38, 0xf1, PFX_NP, R_ANY, R_ANY, MOD_MEM, OPS(OPD_M, OPD_Gv), FEAT_MOVBE,
         FL_NONE, 0, F1(movbe_MG), 0),
    ROW_("movbe", MAP_0F38, 0xf0, PFX_66, R_ANY, R_ANY, MOD_MEM, OPS(OPD_Gv, OPD_M), FEAT_MOVBE,
         FL_NONE, OP_OPSIZE66, F1(movbe_GM), 0),
    ROW_("movbe", MAP_0F38, 0xf1, PFX_66, R_ANY, R_ANY, MOD_MEM, OPS(OPD_M, OPD_Gv), FEAT_MOVBE,
         FL_NONE, OP_OPSIZE66, F1(movbe_MG), 0),
};
TABLE(opcodes_int, rows);
