/*
 * Transcendental x87 instructions: stack checks, pops and pushes around fp/trans.c.
 */
#include "cpu/fp/trans.h"
#include "cpu/x87.h"

/* FSIN, FCOS: ST(0) = f(ST(0)). FPTAN pushes 1.0 after the tangent, FSINCOS the cosine after the
 * sine. */
enum trig { TRIG_SIN, TRIG_COS, TRIG_TAN, TRIG_SINCOS };

static enum exec trig(struct cpu *c, const struct insn *i, enum trig op)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    bool pushes = op == TRIG_TAN || op == TRIG_SINCOS;
    bool underflow = x87_empty(c, 0), overflow = pushes && !underflow && !x87_empty(c, 7);
    struct fpnum first = fp_default_nan(), second = first;
    c->fsw &= (uint16_t)~FSW_C2;
    if (unlikely(underflow || overflow)) {
        x87_stack_fault(c, &e, overflow);
    } else {
        struct fpnum a = fp_from_f80(*x87_st(c, 0));
        bool done = fp_trig(&e, a, op == TRIG_SIN || op == TRIG_SINCOS ? &first : NULL,
                            op == TRIG_COS      ? &first
                            : op == TRIG_SINCOS ? &second
                                                : NULL,
                            op == TRIG_TAN ? &first : NULL);
        if (!done) {
            c->fsw |= FSW_C2;
            return EXEC_NEXT;
        }
        if (op == TRIG_TAN)
            second = fp_is_nan(a) || a.cls == CLS_INF ? first : fp_from_i64(1);
    }
    if (!fp_trapped_pre(&e)) {
        x87_set(c, 0, fp_to_f80(first));
        if (pushes)
            x87_push(c, fp_to_f80(second));
    }
    return x87_raise(c, &e);
}

enum exec op_fsin(struct cpu *c, const struct insn *i)
{
    return trig(c, i, TRIG_SIN);
}
enum exec op_fcos(struct cpu *c, const struct insn *i)
{
    return trig(c, i, TRIG_COS);
}
enum exec op_fptan(struct cpu *c, const struct insn *i)
{
    return trig(c, i, TRIG_TAN);
}
enum exec op_fsincos(struct cpu *c, const struct insn *i)
{
    return trig(c, i, TRIG_SINCOS);
}

enum exec op_f2xm1(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    struct fpnum r = fp_default_nan();
    if (unlikely(x87_empty(c, 0)))
        x87_stack_fault(c, &e, false);
    else
        r = fp_2xm1(&e, fp_from_f80(*x87_st(c, 0)));
    if (!fp_trapped_pre(&e))
        x87_set(c, 0, fp_to_f80(r));
    return x87_raise(c, &e);
}

/* ST(1) = f(ST(1), ST(0)), pop. */
static enum exec binary(struct cpu *c, const struct insn *i,
                        struct fpnum (*f)(struct fpenv *e, struct fpnum y, struct fpnum x))
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    struct fpnum r = fp_default_nan();
    if (unlikely(x87_empty(c, 0) || x87_empty(c, 1)))
        x87_stack_fault(c, &e, false);
    else
        r = f(&e, fp_from_f80(*x87_st(c, 1)), fp_from_f80(*x87_st(c, 0)));
    if (!fp_trapped_pre(&e)) {
        x87_set(c, 1, fp_to_f80(r));
        x87_pop(c);
    }
    return x87_raise(c, &e);
}

enum exec op_fyl2x(struct cpu *c, const struct insn *i)
{
    return binary(c, i, fp_yl2x);
}
enum exec op_fyl2xp1(struct cpu *c, const struct insn *i)
{
    return binary(c, i, fp_yl2xp1);
}
enum exec op_fpatan(struct cpu *c, const struct insn *i)
{
    return binary(c, i, fp_atan2);
}
