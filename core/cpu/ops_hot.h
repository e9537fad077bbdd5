/*
 * The instructions that make up nearly all of what runs, as inline functions: interp.c puts them
 * into its switch, ops_int.c takes their addresses for everybody else (cold sizes, JIT). HOT_LIST
 * numbers them; the order inside a family is that of OP_SIZED_RM (8R 8M 16R 16M 32R 32M 64R 64M) or
 * OP_SIZED (8 16 32 64).
 */
#ifndef SLIPWAY_OPS_HOT_H
#define SLIPWAY_OPS_HOT_H

#include "cpu/ops.h"

/* 16-bit forms go through a call: they are rare in what needs speed, and the switch stays smaller.
 */
#define HOT_SZRM(X, C, n)                                                                          \
    X(n##_8R) X(n##_8M) C(n##_16R) C(n##_16M) X(n##_32R) X(n##_32M) X(n##_64R) X(n##_64M)
#define HOT_SZ(X, C, n) C(n##_8) C(n##_16) X(n##_32) X(n##_64)
#define HOT_WRM(X, C, n)                                                                           \
    C(n##_8R) C(n##_8M) C(n##_16R) C(n##_16M) X(n##_32R) X(n##_32M) X(n##_64R) X(n##_64M)

/* X: in the switch; C: a number of its own, but called. */
/* clang-format off */
#define HOT_LIST(X, C)                                                                             \
    HOT_SZRM(X, C, add_EG) HOT_SZRM(X, C, add_GE) HOT_SZRM(X, C, add_EI) HOT_SZRM(X, C, or_EG)     \
    HOT_SZRM(X, C, or_GE) HOT_SZRM(X, C, or_EI) HOT_SZRM(X, C, adc_EG) HOT_SZRM(X, C, adc_GE)      \
    HOT_SZRM(X, C, adc_EI) HOT_SZRM(X, C, sbb_EG) HOT_SZRM(X, C, sbb_GE)                           \
    HOT_SZRM(X, C, sbb_EI) HOT_SZRM(X, C, and_EG) HOT_SZRM(X, C, and_GE)                           \
    HOT_SZRM(X, C, and_EI) HOT_SZRM(X, C, sub_EG) HOT_SZRM(X, C, sub_GE)                           \
    HOT_SZRM(X, C, sub_EI) HOT_SZRM(X, C, xor_EG) HOT_SZRM(X, C, xor_GE)                           \
    HOT_SZRM(X, C, xor_EI) HOT_SZRM(X, C, cmp_EG) HOT_SZRM(X, C, cmp_GE)                           \
    HOT_SZRM(X, C, cmp_EI) HOT_SZRM(X, C, test_EG) HOT_SZRM(X, C, test_EI)                         \
    HOT_SZRM(X, C, mov_EG) HOT_SZRM(X, C, mov_GE) HOT_SZRM(X, C, mov_EI) HOT_SZRM(X, C, inc_E)     \
    HOT_SZRM(X, C, dec_E) HOT_SZRM(X, C, neg_E) HOT_SZRM(X, C, not_E) HOT_SZRM(X, C, shl_EI)       \
    HOT_SZRM(X, C, shr_EI) HOT_SZRM(X, C, sar_EI) HOT_SZRM(X, C, shl_ECL)                          \
    HOT_SZRM(X, C, shr_ECL) HOT_SZRM(X, C, sar_ECL)                                                \
    HOT_WRM(X, C, movzx8) HOT_WRM(X, C, movzx16) HOT_WRM(X, C, movsx8) HOT_WRM(X, C, movsx16)      \
    HOT_WRM(X, C, movsxd) HOT_WRM(X, C, imul_GE) HOT_WRM(X, C, imul_GEI)                           \
    HOT_SZ(X, C, lea) HOT_SZ(X, C, push_Z) HOT_SZ(X, C, pop_Z) HOT_SZ(X, C, mov_ZI)                \
    HOT_WRM(X, C, cmov) HOT_WRM(X, C, jmp_E) HOT_WRM(X, C, call_E)                                 \
    X(jo) X(jno) X(jb) X(jnb) X(jz) X(jnz) X(jbe) X(jnbe) X(js) X(jns) X(jp) X(jnp) X(jl)          \
    X(jnl) X(jle) X(jnle) X(setcc) X(jmp) X(call) X(ret) X(nop) X(push_I) X(leave)
/* clang-format on */

#define HOT_ENUM(n) H_##n,
enum hot {
    H_NONE,
    HOT_LIST(HOT_ENUM, HOT_ENUM) H_END /* block ends here */,
    H_RELOOK /* the running block was invalidated */
};

/* ---- arithmetic and logic ---- */
#define ALU_add(c, a, b)          ((uint64_t)(a) + (b))
#define ALU_or(c, a, b)           ((uint64_t)(a) | (b))
#define ALU_adc(c, a, b)          ((uint64_t)(a) + (b) + flag_cf(c))
#define ALU_sbb(c, a, b)          ((uint64_t)(a) - (b)-flag_cf(c))
#define ALU_and(c, a, b)          ((uint64_t)(a) & (b))
#define ALU_sub(c, a, b)          ((uint64_t)(a) - (b))
#define ALU_xor(c, a, b)          ((uint64_t)(a) ^ (b))
#define ALU_cmp                   ALU_sub
#define ALU_test                  ALU_and
#define FLAGS_add(c, a, b, r, n)  flags_add(c, a, b, r, n)
#define FLAGS_adc(c, a, b, r, n)  flags_add(c, a, b, r, n)
#define FLAGS_sub(c, a, b, r, n)  flags_sub(c, a, b, r, n)
#define FLAGS_sbb(c, a, b, r, n)  flags_sub(c, a, b, r, n)
#define FLAGS_cmp(c, a, b, r, n)  flags_sub(c, a, b, r, n)
#define FLAGS_and(c, a, b, r, n)  flags_logic(c, r, n)
#define FLAGS_or(c, a, b, r, n)   flags_logic(c, r, n)
#define FLAGS_xor(c, a, b, r, n)  flags_logic(c, r, n)
#define FLAGS_test(c, a, b, r, n) flags_logic(c, r, n)

#define HANDLER(name) static force_inline enum exec x_##name(struct cpu *c, const struct insn *i)

/* Both operands and a destination. */
#define DEF_ALU_SIZE(op, bits, type)                                                               \
    HANDLER(op##_EG_##bits##R)                                                                     \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->rm), b = GET##bits(c, i->r), r = ALU_##op(c, a, b);           \
        SET##bits(c, i->rm, r);                                                                    \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EG_##bits##M)                                                                     \
    {                                                                                              \
        struct rmw m;                                                                              \
        type v;                                                                                    \
        if (unlikely(!rmw_load_at(c, i->seg, insn_ea(c, i), bits / 8, &m, &v)))                    \
            return EXEC_FAULT;                                                                     \
        uint64_t a = v, b = GET##bits(c, i->r), r = ALU_##op(c, a, b);                             \
        v = (type)r;                                                                               \
        if (unlikely(!rmw_store_at(c, i->seg, &m, &v, bits / 8)))                                  \
            return EXEC_FAULT;                                                                     \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_GE_##bits##R)                                                                     \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->r), b = GET##bits(c, i->rm), r = ALU_##op(c, a, b);           \
        SET##bits(c, i->r, r);                                                                     \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_GE_##bits##M)                                                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        uint64_t a = GET##bits(c, i->r), b = v, r = ALU_##op(c, a, b);                             \
        SET##bits(c, i->r, r);                                                                     \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EI_##bits##R)                                                                     \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->rm), b = (type)i->imm, r = ALU_##op(c, a, b);                 \
        SET##bits(c, i->rm, r);                                                                    \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EI_##bits##M)                                                                     \
    {                                                                                              \
        struct rmw m;                                                                              \
        type v;                                                                                    \
        if (unlikely(!rmw_load_at(c, i->seg, insn_ea(c, i), bits / 8, &m, &v)))                    \
            return EXEC_FAULT;                                                                     \
        uint64_t a = v, b = (type)i->imm, r = ALU_##op(c, a, b);                                   \
        v = (type)r;                                                                               \
        if (unlikely(!rmw_store_at(c, i->seg, &m, &v, bits / 8)))                                  \
            return EXEC_FAULT;                                                                     \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }

/* CMP and TEST: flags only. */
#define DEF_CMP_SIZE(op, bits, type)                                                               \
    HANDLER(op##_EG_##bits##R)                                                                     \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->rm), b = GET##bits(c, i->r), r = ALU_##op(c, a, b);           \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EG_##bits##M)                                                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        uint64_t a = v, b = GET##bits(c, i->r), r = ALU_##op(c, a, b);                             \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EI_##bits##R)                                                                     \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->rm), b = (type)i->imm, r = ALU_##op(c, a, b);                 \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EI_##bits##M)                                                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        uint64_t a = v, b = (type)i->imm, r = ALU_##op(c, a, b);                                   \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }
#define DEF_CMP_GE_SIZE(op, bits, type)                                                            \
    HANDLER(op##_GE_##bits##R)                                                                     \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->r), b = GET##bits(c, i->rm), r = ALU_##op(c, a, b);           \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_GE_##bits##M)                                                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        uint64_t a = GET##bits(c, i->r), b = v, r = ALU_##op(c, a, b);                             \
        FLAGS_##op(c, a, b, r, bits);                                                              \
        return EXEC_NEXT;                                                                          \
    }

#define ALL_SIZES(DEF, op)                                                                         \
    DEF(op, 8, uint8_t) DEF(op, 16, uint16_t) DEF(op, 32, uint32_t) DEF(op, 64, uint64_t)
ALL_SIZES(DEF_ALU_SIZE, add)
ALL_SIZES(DEF_ALU_SIZE, or)
ALL_SIZES(DEF_ALU_SIZE, adc)
ALL_SIZES(DEF_ALU_SIZE, sbb)
ALL_SIZES(DEF_ALU_SIZE, and)
ALL_SIZES(DEF_ALU_SIZE, sub)
ALL_SIZES(DEF_ALU_SIZE, xor)
ALL_SIZES(DEF_CMP_SIZE, cmp)
ALL_SIZES(DEF_CMP_GE_SIZE, cmp)
ALL_SIZES(DEF_CMP_SIZE, test)

/* ---- moves ---- */
#define DEF_MOV_SIZE(op, bits, type)                                                               \
    HANDLER(op##_EG_##bits##R)                                                                     \
    {                                                                                              \
        SET##bits(c, i->rm, GET##bits(c, i->r));                                                   \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EG_##bits##M)                                                                     \
    {                                                                                              \
        return likely(mem_st##bits(c, i->seg, insn_ea(c, i), GET##bits(c, i->r))) ? EXEC_NEXT      \
                                                                                  : EXEC_FAULT;    \
    }                                                                                              \
    HANDLER(op##_GE_##bits##R)                                                                     \
    {                                                                                              \
        SET##bits(c, i->r, GET##bits(c, i->rm));                                                   \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_GE_##bits##M)                                                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        SET##bits(c, i->r, v);                                                                     \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EI_##bits##R)                                                                     \
    {                                                                                              \
        SET##bits(c, i->rm, (type)i->imm);                                                         \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_EI_##bits##M)                                                                     \
    {                                                                                              \
        return likely(mem_st##bits(c, i->seg, insn_ea(c, i), (type)i->imm)) ? EXEC_NEXT            \
                                                                            : EXEC_FAULT;          \
    }                                                                                              \
    HANDLER(op##_ZI_##bits)                                                                        \
    {                                                                                              \
        SET##bits(c, i->rm, i->imm64);                                                             \
        return EXEC_NEXT;                                                                          \
    }
ALL_SIZES(DEF_MOV_SIZE, mov)

/* Widening moves: destination of @bits from a source of @sbits. */
#define DEF_EXTEND(name, sbits, stype, bits, conv)                                                 \
    HANDLER(name##_##bits##R)                                                                      \
    {                                                                                              \
        SET##bits(c, i->r, (conv)(stype)GET##sbits(c, i->rm));                                     \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(name##_##bits##M)                                                                      \
    {                                                                                              \
        uint##sbits##_t v;                                                                         \
        if (unlikely(!mem_ld##sbits(c, i->seg, insn_ea(c, i), &v)))                                \
            return EXEC_FAULT;                                                                     \
        SET##bits(c, i->r, (conv)(stype)v);                                                        \
        return EXEC_NEXT;                                                                          \
    }
#define DEF_EXTEND_ALL(name, sbits, stype, conv)                                                   \
    DEF_EXTEND(name, sbits, stype, 8, conv)                                                        \
    DEF_EXTEND(name, sbits, stype, 16, conv)                                                       \
    DEF_EXTEND(name, sbits, stype, 32, conv) DEF_EXTEND(name, sbits, stype, 64, conv)
DEF_EXTEND_ALL(movzx8, 8, uint8_t, uint64_t)
DEF_EXTEND_ALL(movzx16, 16, uint16_t, uint64_t)
DEF_EXTEND_ALL(movsx8, 8, int8_t, int64_t)
DEF_EXTEND_ALL(movsx16, 16, int16_t, int64_t)
DEF_EXTEND_ALL(movsxd, 32, int32_t, int64_t)

#define DEF_WORD_SIZE(bits, osz_, type, stype, wide)                                               \
    HANDLER(lea_##bits)                                                                            \
    {                                                                                              \
        SET##bits(c, i->r, insn_ea(c, i));                                                         \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(push_Z_##bits)                                                                         \
    {                                                                                              \
        return likely(push(c, osz_, GET##bits(c, i->rm))) ? EXEC_NEXT : EXEC_FAULT;                \
    }                                                                                              \
    HANDLER(pop_Z_##bits)                                                                          \
    {                                                                                              \
        uint64_t v;                                                                                \
        if (unlikely(!pop_peek(c, osz_, &v)))                                                      \
            return EXEC_FAULT;                                                                     \
        pop_commit(c, bits / 8);                                                                   \
        SET##bits(c, i->rm, v);                                                                    \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    static inline void imul_##bits(struct cpu *c, unsigned dst, stype a, stype b)                  \
    {                                                                                              \
        wide full = (wide)a * b;                                                                   \
        type r = (type)full;                                                                       \
        bool overflow = full != (wide)(stype)r;                                                    \
        SET##bits(c, dst, r);                                                                      \
        flags_result(c, sext_bits(r, bits));                                                       \
        c->fl_a = 0;                                                                               \
        flags_set_cf_of(c, overflow, overflow);                                                    \
    }                                                                                              \
    HANDLER(imul_GE_##bits##R)                                                                     \
    {                                                                                              \
        imul_##bits(c, i->r, (stype)GET##bits(c, i->r), (stype)GET##bits(c, i->rm));               \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(imul_GE_##bits##M)                                                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        imul_##bits(c, i->r, (stype)GET##bits(c, i->r), (stype)v);                                 \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(imul_GEI_##bits##R)                                                                    \
    {                                                                                              \
        imul_##bits(c, i->r, (stype)GET##bits(c, i->rm), (stype)i->imm);                           \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(imul_GEI_##bits##M)                                                                    \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        imul_##bits(c, i->r, (stype)v, (stype)i->imm);                                             \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    /* CMOVcc: a memory operand is read, and can fault, whatever the condition; 32-bit forms       \
     * always clear the top. */                                                                    \
    HANDLER(cmov_##bits##R)                                                                        \
    {                                                                                              \
        type v = flags_cond(c, i->cc) ? GET##bits(c, i->rm) : GET##bits(c, i->r);                  \
        SET##bits(c, i->r, v);                                                                     \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(cmov_##bits##M)                                                                        \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        if (!flags_cond(c, i->cc))                                                                 \
            v = GET##bits(c, i->r);                                                                \
        SET##bits(c, i->r, v);                                                                     \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(jmp_E_##bits##R)                                                                       \
    {                                                                                              \
        return jump_to(c, GET##bits(c, i->rm));                                                    \
    }                                                                                              \
    HANDLER(jmp_E_##bits##M)                                                                       \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        return jump_to(c, v);                                                                      \
    }                                                                                              \
    HANDLER(call_E_##bits##R)                                                                      \
    {                                                                                              \
        return near_call(c, i, osz_, GET##bits(c, i->rm));                                         \
    }                                                                                              \
    HANDLER(call_E_##bits##M)                                                                      \
    {                                                                                              \
        type v;                                                                                    \
        if (unlikely(!mem_ld##bits(c, i->seg, insn_ea(c, i), &v)))                                 \
            return EXEC_FAULT;                                                                     \
        return near_call(c, i, osz_, v);                                                           \
    }

static force_inline enum exec near_call(struct cpu *c, const struct insn *i, unsigned osz,
                                        uint64_t target)
{
    if (unlikely(target > c->cs_limit || !cpu_canonical(target)))
        return fault(c, EXC_GP, 0);
    if (unlikely(!push(c, osz, cpu_next_rip(c, i))))
        return EXEC_FAULT;
    c->rip = target;
    return EXEC_JUMP;
}

DEF_WORD_SIZE(16, 1, uint16_t, int16_t, int32_t)
DEF_WORD_SIZE(32, 2, uint32_t, int32_t, int64_t)
DEF_WORD_SIZE(64, 3, uint64_t, int64_t, __int128)

/* ---- one operand ---- */
#define DEF_UNARY(name, bits, type, expr, flags_stmt)                                              \
    HANDLER(name##_E_##bits##R)                                                                    \
    {                                                                                              \
        uint64_t a = GET##bits(c, i->rm), r = (expr);                                              \
        SET##bits(c, i->rm, r);                                                                    \
        flags_stmt;                                                                                \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(name##_E_##bits##M)                                                                    \
    {                                                                                              \
        struct rmw m;                                                                              \
        type v;                                                                                    \
        if (unlikely(!rmw_load_at(c, i->seg, insn_ea(c, i), bits / 8, &m, &v)))                    \
            return EXEC_FAULT;                                                                     \
        uint64_t a = v, r = (expr);                                                                \
        v = (type)r;                                                                               \
        if (unlikely(!rmw_store_at(c, i->seg, &m, &v, bits / 8)))                                  \
            return EXEC_FAULT;                                                                     \
        flags_stmt;                                                                                \
        return EXEC_NEXT;                                                                          \
    }
/* INC and DEC leave CF alone; overflow exactly when the sign bit alone is the result (INC) or the
 * operand (DEC). */
static inline void flags_incdec(struct cpu *c, uint64_t a, uint64_t r, unsigned bits, bool overflow)
{
    bool cf = flag_cf(c);
    flags_result(c, sext_bits(r, bits));
    c->fl_a = a ^ 1 ^ r;
    flags_set_cf_of(c, cf, overflow);
}
#define DEF_UNARY_SIZE(op, bits, type)                                                             \
    DEF_UNARY(inc, bits, type, a + 1,                                                              \
              flags_incdec(c, a, r, bits, (type)r == (type)(1ull << (bits - 1))))                  \
    DEF_UNARY(dec, bits, type, a - 1,                                                              \
              flags_incdec(c, a, r, bits, (type)a == (type)(1ull << (bits - 1))))                  \
    DEF_UNARY(neg, bits, type, 0 - a, flags_sub(c, 0, a, r, bits))                                 \
    DEF_UNARY(not, bits, type, ~a, (void)0)
ALL_SIZES(DEF_UNARY_SIZE, unary)

/* ---- shifts: a count of 0 changes nothing at all, flags included ---- */
static force_inline uint64_t shift_shl(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    uint64_t r = n < 64 ? a << n : 0;
    bool cf = n <= bits && (a >> (bits - n) & 1);
    bool msb = r >> (bits - 1) & 1;
    flags_result(c, sext_bits(r, bits));
    c->fl_a = 0;
    flags_set_cf_of(c, cf, msb ^ cf);
    return r;
}
static force_inline uint64_t shift_shr(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    uint64_t r = n < 64 ? a >> n : 0;
    bool cf = a >> (n - 1) & 1;
    flags_result(c, sext_bits(r, bits));
    c->fl_a = 0;
    flags_set_cf_of(c, cf, n == 1 && (a >> (bits - 1) & 1));
    return r;
}
static inline uint64_t shift_sar(struct cpu *c, uint64_t a, unsigned n, unsigned bits)
{
    int64_t s = (int64_t)sext_bits(a, bits);
    bool cf = s >> (n - 1) & 1;
    s >>= n;
    flags_result(c, sext_bits((uint64_t)s, bits));
    c->fl_a = 0;
    flags_set_cf_of(c, cf, false);
    return (uint64_t)s;
}
#define DEF_SHIFT(op, form, bits, type, count)                                                     \
    HANDLER(op##_##form##_##bits##R)                                                               \
    {                                                                                              \
        unsigned n = (count) & (bits == 64 ? 63 : 31);                                             \
        if (n)                                                                                     \
            SET##bits(c, i->rm, shift_##op(c, GET##bits(c, i->rm), n, bits));                      \
        else if (bits == 32)                                                                       \
            SET32(c, i->rm, GET32(c, i->rm));                                                      \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    HANDLER(op##_##form##_##bits##M)                                                               \
    {                                                                                              \
        unsigned n = (count) & (bits == 64 ? 63 : 31);                                             \
        struct rmw m;                                                                              \
        type v;                                                                                    \
        if (unlikely(!rmw_load_at(c, i->seg, insn_ea(c, i), bits / 8, &m, &v)))                    \
            return EXEC_FAULT;                                                                     \
        if (!n)                                                                                    \
            return EXEC_NEXT;                                                                      \
        uint64_t z = c->fl_z, s = c->fl_s, co = c->fl_co, af = c->fl_a;                            \
        v = (type)shift_##op(c, v, n, bits);                                                       \
        if (likely(rmw_store_at(c, i->seg, &m, &v, bits / 8)))                                     \
            return EXEC_NEXT;                                                                      \
        c->fl_z = z;                                                                               \
        c->fl_s = s;                                                                               \
        c->fl_co = co;                                                                             \
        c->fl_a = af;                                                                              \
        return EXEC_FAULT;                                                                         \
    }
#define DEF_SHIFT_SIZE(op, bits, type)                                                             \
    DEF_SHIFT(op, EI, bits, type, (unsigned)i->imm)                                                \
    DEF_SHIFT(op, ECL, bits, type, (unsigned)c->gpr[RCX])
ALL_SIZES(DEF_SHIFT_SIZE, shl)
ALL_SIZES(DEF_SHIFT_SIZE, shr)
ALL_SIZES(DEF_SHIFT_SIZE, sar)

/* ---- branches ---- */
#define DEF_JCC(name, cond)                                                                        \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        if (cond) {                                                                                \
            uint64_t t = branch_target(c, i);                                                      \
            if (unlikely(t > c->cs_limit))                                                         \
                return fault(c, EXC_GP, 0);                                                        \
            c->rip = t;                                                                            \
        } else {                                                                                   \
            c->rip = cpu_next_rip(c, i);                                                           \
        }                                                                                          \
        return EXEC_JUMP;                                                                          \
    }
DEF_JCC(jo, flag_of(c))
DEF_JCC(jno, !flag_of(c))
DEF_JCC(jb, flag_cf(c))
DEF_JCC(jnb, !flag_cf(c))
DEF_JCC(jz, flag_zf(c))
DEF_JCC(jnz, !flag_zf(c))
DEF_JCC(jbe, flag_cf(c) || flag_zf(c))
DEF_JCC(jnbe, !flag_cf(c) && !flag_zf(c))
DEF_JCC(js, flag_sf(c))
DEF_JCC(jns, !flag_sf(c))
DEF_JCC(jp, flag_pf(c))
DEF_JCC(jnp, !flag_pf(c))
DEF_JCC(jl, (int64_t)(c->fl_s ^ c->fl_co ^ c->fl_co << 1) < 0)
DEF_JCC(jnl, (int64_t)(c->fl_s ^ c->fl_co ^ c->fl_co << 1) >= 0)
DEF_JCC(jle, flag_zf(c) || (int64_t)(c->fl_s ^ c->fl_co ^ c->fl_co << 1) < 0)
DEF_JCC(jnle, !flag_zf(c) && (int64_t)(c->fl_s ^ c->fl_co ^ c->fl_co << 1) >= 0)

HANDLER(setcc)
{
    uint8_t v = flags_cond(c, i->cc);
    if (!(i->flags & INSN_MEM)) {
        SET8(c, i->rm, v);
        return EXEC_NEXT;
    }
    return likely(mem_st8(c, i->seg, insn_ea(c, i), v)) ? EXEC_NEXT : EXEC_FAULT;
}
HANDLER(jmp)
{
    return jump_to(c, branch_target(c, i));
}
HANDLER(call)
{
    return near_call(c, i, i->osz, branch_target(c, i));
}
HANDLER(ret)
{
    uint64_t v;
    if (unlikely(!pop_peek(c, i->osz, &v)))
        return EXEC_FAULT;
    if (unlikely(v > c->cs_limit || !cpu_canonical(v)))
        return fault(c, EXC_GP, 0);
    pop_commit(c, (1u << i->osz) + (unsigned)i->imm);
    c->rip = v;
    return EXEC_JUMP;
}
HANDLER(nop)
{
    (void)c;
    (void)i;
    return EXEC_NEXT;
}
HANDLER(push_I)
{
    return likely(push(c, i->osz, (uint64_t)(int64_t)i->imm)) ? EXEC_NEXT : EXEC_FAULT;
}
HANDLER(leave)
{
    uint64_t v, sp = c->gpr[RBP] & c->sp_mask;
    if (unlikely(!mem_ld(c, SEG_SS, sp, i->osz, &v)))
        return EXEC_FAULT;
    set_sp(c, sp + (1u << i->osz));
    reg_set(c, RBP, i->osz, v);
    return EXEC_NEXT;
}

#endif
