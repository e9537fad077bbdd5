/*
 * x87 arithmetic, comparisons and one-operand instructions. For how handlers are built and the
 * table see ops_x87.c, for the arithmetic fp/.
 */
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/x87.h"

#define MODRM_REG(i) ((i)->modrm >> 3 & 7)

/* ---- arithmetic ---- */

/* The eight operations of ModRM.reg in D8, DA, DC and DE; a is ST(0), b the other operand. */
enum { ADD, MUL, COM, COMP, SUB, SUBR, DIV, DIVR };

const uint16_t x87_relation_codes[4] = {
    [FP_LESS] = FSW_C0, [FP_EQUAL] = FSW_C3, [FP_GREATER] = 0, [FP_UNORDERED] = FSW_CC
};

static void set_relation(struct cpu *c, enum fp_relation r)
{
    c->fsw = (uint16_t)((c->fsw & ~FSW_CC) | x87_relation_codes[r]);
}

/* Computes into ST(dst); @valid: no operand is an empty register. */
static enum exec arith(struct cpu *c, unsigned op, unsigned dst, bool valid, struct fpnum b,
                       unsigned pops)
{
    struct fpenv e = x87_env(c);
    if (unlikely(!valid)) {
        x87_stack_fault(c, &e, false);
        if (op == COM || op == COMP) {
            set_relation(c, FP_UNORDERED);
            if (fp_trapped(&e))
                pops = 0;
        } else if (!fp_trapped(&e)) {
            x87_set(c, dst, x87_indefinite());
        }
    } else {
        const struct fpfmt *f = x87_format(c);
        struct fpnum a = fp_from_f80(*x87_st(c, 0)), r;
        switch (op) {
        case ADD: r = fp_add(&e, a, b, f); break;
        case MUL: r = fp_mul(&e, a, b, f); break;
        case SUB: r = fp_sub(&e, a, b, f); break;
        case SUBR: r = fp_sub(&e, b, a, f); break;
        case DIV: r = fp_div(&e, a, b, f); break;
        case DIVR: r = fp_div(&e, b, a, f); break;
        default: set_relation(c, fp_compare(&e, a, b, false)); break;
        }
        if (op != COM && op != COMP && !fp_trapped_pre(&e))
            *x87_st(c, dst) = fp_to_f80(r);
    }
    if (!fp_trapped_pre(&e)) {
        while (pops--)
            x87_pop(c);
    }
    return x87_raise(c, &e);
}

static enum exec arith_reg(struct cpu *c, const struct insn *i, unsigned op, bool to_sti,
                           unsigned pops)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    unsigned sti = i->modrm & 7;
    bool valid = !x87_empty(c, 0) && !x87_empty(c, sti);
    return arith(c, op, to_sti ? sti : 0, valid, fp_from_f80(*x87_st(c, sti)), pops);
}

enum exec op_arith_st0_sti(struct cpu *c, const struct insn *i)
{
    return arith_reg(c, i, MODRM_REG(i), false, MODRM_REG(i) == COMP);
}

enum exec op_arith_sti_st0(struct cpu *c, const struct insn *i)
{
    return arith_reg(c, i, MODRM_REG(i), true, MODRM_REG(i) == COMP);
}

enum exec op_arith_sti_st0_pop(struct cpu *c, const struct insn *i)
{
    return arith_reg(c, i, MODRM_REG(i), true, 1);
}

enum exec op_fcompp(struct cpu *c, const struct insn *i)
{
    return arith_reg(c, i, COMP, false, 2);
}

#define ARITH_MEM(name, bits, type, unpack)                                                        \
    enum exec name(struct cpu *c, const struct insn *i)                                            \
    {                                                                                              \
        static const struct fpenv plain = { 0 };                                                   \
        type v;                                                                                    \
        if (!x87_check(c) || !mem_ld##bits(c, i->seg, insn_ea(c, i), &v))                          \
            return EXEC_FAULT;                                                                     \
        (void)plain;                                                                               \
        x87_begin(c, i);                                                                           \
        return arith(c, MODRM_REG(i), 0, !x87_empty(c, 0), unpack, MODRM_REG(i) == COMP);          \
    }
ARITH_MEM(op_arith_m32, 32, uint32_t, fp_from_f32(&plain, v))
ARITH_MEM(op_arith_m64, 64, uint64_t, fp_from_f64(&plain, v))
ARITH_MEM(op_arith_i16, 16, uint16_t, fp_from_i64((int16_t)v))
ARITH_MEM(op_arith_i32, 32, uint32_t, fp_from_i64((int32_t)v))

/* ---- comparisons ---- */

static enum exec compare_fsw(struct cpu *c, const struct insn *i, struct fpnum b, bool valid,
                             bool quiet, unsigned pops)
{
    struct fpenv e = x87_env(c);
    enum fp_relation r = FP_UNORDERED;
    if (unlikely(!valid))
        x87_stack_fault(c, &e, false);
    else
        r = fp_compare(&e, fp_from_f80(*x87_st(c, 0)), b, quiet);
    set_relation(c, r);
    if (!fp_trapped_pre(&e)) {
        while (pops--)
            x87_pop(c);
    }
    return x87_raise(c, &e);
}

static enum exec fucom(struct cpu *c, const struct insn *i, unsigned pops)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    unsigned sti = i->modrm & 7;
    return compare_fsw(c, i, fp_from_f80(*x87_st(c, sti)), !x87_empty(c, 0) && !x87_empty(c, sti),
                       true, pops);
}

enum exec op_fucom(struct cpu *c, const struct insn *i)
{
    return fucom(c, i, 0);
}
enum exec op_fucomp(struct cpu *c, const struct insn *i)
{
    return fucom(c, i, 1);
}
enum exec op_fucompp(struct cpu *c, const struct insn *i)
{
    return fucom(c, i, 2);
}

enum exec op_ftst(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    return compare_fsw(c, i, fp_zero(false), !x87_empty(c, 0), false, 0);
}

static enum exec fcomi(struct cpu *c, const struct insn *i, bool quiet, bool pop)
{
    static const uint8_t flags[] = { [FP_LESS] = FL_CF,
                                     [FP_EQUAL] = FL_ZF,
                                     [FP_GREATER] = 0,
                                     [FP_UNORDERED] = FL_CF | FL_PF | FL_ZF };
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin_keep_c1(c, i);
    struct fpenv e = x87_env(c);
    unsigned sti = i->modrm & 7;
    enum fp_relation r = FP_UNORDERED;
    if (unlikely(x87_empty(c, 0) || x87_empty(c, sti)))
        x87_stack_fault(c, &e, false);
    else
        r = fp_compare(&e, fp_from_f80(*x87_st(c, 0)), fp_from_f80(*x87_st(c, sti)), quiet);
    flags_set_arith(c, flags[r]);
    if (pop && !fp_trapped_pre(&e))
        x87_pop(c);
    return x87_raise(c, &e);
}

enum exec op_fcomi(struct cpu *c, const struct insn *i)
{
    return fcomi(c, i, false, false);
}
enum exec op_fcomip(struct cpu *c, const struct insn *i)
{
    return fcomi(c, i, false, true);
}
enum exec op_fucomi(struct cpu *c, const struct insn *i)
{
    return fcomi(c, i, true, false);
}
enum exec op_fucomip(struct cpu *c, const struct insn *i)
{
    return fcomi(c, i, true, true);
}

enum exec op_fxam(struct cpu *c, const struct insn *i)
{
    static const uint16_t codes[] = {
        [CLS_FINITE] = FSW_C2, [CLS_ZERO] = FSW_C3, [CLS_INF] = FSW_C2 | FSW_C0,
        [CLS_QNAN] = FSW_C0,   [CLS_SNAN] = FSW_C0, [CLS_BAD] = 0,
    };
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpnum a = fp_from_f80(*x87_st(c, 0));
    unsigned cc = x87_empty(c, 0) ? FSW_C3 | FSW_C0 : a.denormal ? FSW_C3 | FSW_C2 : codes[a.cls];
    c->fsw = (uint16_t)((c->fsw & ~FSW_CC) | cc | (a.sign ? FSW_C1 : 0));
    return EXEC_NEXT;
}

/* ---- one operand ---- */

/* FCHS, FABS: sign bit only, any encoding. */
enum exec op_sign(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    if (unlikely(x87_empty(c, 0))) {
        x87_stack_fault(c, &e, false);
        if (!fp_trapped(&e))
            x87_set(c, 0, x87_indefinite());
        return x87_raise(c, &e);
    }
    struct f80 *st = x87_st(c, 0);
    st->se = (i->modrm & 1) ? st->se & 0x7fff : st->se ^ 0x8000;
    return EXEC_NEXT;
}

enum unary { UNARY_SQRT, UNARY_RNDINT, UNARY_SCALE };

static enum exec unary(struct cpu *c, const struct insn *i, enum unary op)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    struct fpnum r;
    if (unlikely(x87_empty(c, 0) || (op == UNARY_SCALE && x87_empty(c, 1)))) {
        x87_stack_fault(c, &e, false);
        r = fp_default_nan();
    } else {
        struct fpnum a = fp_from_f80(*x87_st(c, 0));
        switch (op) {
        case UNARY_SQRT: r = fp_sqrt(&e, a, x87_format(c)); break;
        case UNARY_RNDINT: r = fp_round_integral(&e, a); break;
        default: r = fp_scale(&e, a, fp_from_f80(*x87_st(c, 1)), &fp_f80); break;
        }
    }
    if (!fp_trapped_pre(&e))
        x87_set(c, 0, fp_to_f80(r));
    return x87_raise(c, &e);
}

enum exec op_fsqrt(struct cpu *c, const struct insn *i)
{
    return unary(c, i, UNARY_SQRT);
}
enum exec op_frndint(struct cpu *c, const struct insn *i)
{
    return unary(c, i, UNARY_RNDINT);
}
enum exec op_fscale(struct cpu *c, const struct insn *i)
{
    return unary(c, i, UNARY_SCALE);
}

enum exec op_fxtract(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    bool underflow = x87_empty(c, 0), overflow = !underflow && !x87_empty(c, 7);
    struct fpnum a = fp_from_f80(*x87_st(c, 0)), exponent = a;
    if (unlikely(underflow || overflow)) {
        x87_stack_fault(c, &e, overflow);
        a = exponent = fp_default_nan();
    } else if (fp_is_nan(a)) {
        a = exponent = fp_propagate1(&e, a);
    } else if (a.cls == CLS_ZERO) {
        e.flags |= FPX_Z;
        exponent = fp_inf(true);
    } else if (a.cls == CLS_INF) {
        exponent = fp_inf(false);
    } else {
        fp_denormals(&e, a, a);
        exponent = fp_from_i64(a.exp);
        a.exp = 0;
    }
    if (!fp_trapped_pre(&e)) {
        x87_set(c, 0, fp_to_f80(exponent));
        x87_push(c, fp_to_f80(a));
    }
    return x87_raise(c, &e);
}

/* FPREM (D9 F8) and FPREM1 (D9 F5): C2 = incomplete, else C0, C3, C1 = bits 2, 1, 0 of the
 * quotient. */
enum exec op_fprem(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    c->fsw &= (uint16_t)~FSW_C2;
    if (unlikely(x87_empty(c, 0) || x87_empty(c, 1))) {
        x87_stack_fault(c, &e, false);
        if (!fp_trapped(&e))
            x87_set(c, 0, x87_indefinite());
        return x87_raise(c, &e);
    }
    uint64_t q;
    bool partial;
    struct fpnum r = fp_rem(&e, fp_from_f80(*x87_st(c, 0)), fp_from_f80(*x87_st(c, 1)),
                            i->modrm == 0xf5, &q, &partial);
    if (!fp_trapped_pre(&e))
        *x87_st(c, 0) = fp_to_f80(r);
    if (!fp_is_nan(r) && !fp_trapped_pre(&e)) {
        c->fsw &= (uint16_t)~FSW_CC;
        c->fsw |= partial
                      ? FSW_C2
                      : ((q & 4) ? FSW_C0 : 0) | ((q & 2) ? FSW_C3 : 0) | ((q & 1) ? FSW_C1 : 0);
    }
    return x87_raise(c, &e);
}
