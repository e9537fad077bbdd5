/*
 * x87 arithmetic on numbers in locals, with integers.
 *
 * Inline are addition, subtraction and multiplication of normal numbers, and conversions from and
 * to m32 and m64, when the result is a normal number, too, rounding is to nearest and precision is
 * 64 bits. Everything else is a call of jit_x87_op() (x87_fast.c), which knows all cases. There are
 * no jumps that depend on the operands' values: signs and exponents of a program's numbers are
 * hard to predict.
 */
#include "cpu/x87.h"
#include "jit-wasm/emit_x87.h"

#define INTEGER_BIT INT64_MIN

/* More inline code than this in a region takes the engine too long to compile. */
enum { MAX_INLINE = 100 };

/* ---- code, with a constant as the second operand ---- */

static void op32(struct emit *e, enum wasm_op o, int32_t v)
{
    emit_i32(e, v);
    op(e, o);
}
static void op64(struct emit *e, enum wasm_op o, int64_t v)
{
    emit_i64(e, v);
    op(e, o);
}
/* ... with a local. */
static void opl(struct emit *e, enum wasm_op o, int local)
{
    get_local(e, local);
    op(e, o);
}
static int tmp32(struct emit *e)
{
    return to_tmp(e, W_I32);
}
static int tmp64(struct emit *e)
{
    return to_tmp(e, W_I64);
}
static void exponent(struct emit *e, int se)
{
    get_local(e, se);
    op32(e, W_I32_AND, 0x7fff);
}

/* ---- the slow way ---- */

int x87_call(struct emit *e, uint32_t what, int a_frac, int a_se, int b_frac, int b_se)
{
    get_local(e, a_frac);
    if (b_frac == NO_LOCAL)
        emit_i64(e, 0);
    else
        get_local(e, b_frac);
    if (a_se == NO_LOCAL)
        emit_i32(e, 0);
    else
        get_local(e, a_se);
    if (b_se != NO_LOCAL) {
        get_local(e, b_se);
        op32(e, W_I32_SHL, 16);
        op(e, W_I32_OR);
    }
    emit_i32(e, (int32_t)what);
    emit_call(e, IM_X87);
    return tmp32(e);
}

void x87_take_fsw(struct emit *e, uint32_t clear, int result)
{
    get_local(e, e->x87.fsw);
    if (clear)
        op32(e, W_I32_AND, (int32_t)~clear);
    get_local(e, result);
    op32(e, W_I32_SHR_U, 16);
    op(e, W_I32_OR);
    set_local(e, e->x87.fsw);
    e->x87.fsw_dirty = true;
    e->x87.c1_clear = false;
}

void x87_clear_c1(struct emit *e)
{
    if (e->x87.c1_clear)
        return;
    get_local(e, e->x87.fsw);
    op32(e, W_I32_AND, (int32_t)~FSW_C1);
    set_local(e, e->x87.fsw);
    e->x87.fsw_dirty = true;
    e->x87.c1_clear = true;
}

void x87_take_result(struct emit *e, struct x87_value r, int result)
{
    get_local(e, result);
    op32(e, W_I32_AND, 0xffff);
    set_local(e, r.se);
    emit_load_fixed(e, W_I64_LOAD, jit_shared.scratch);
    set_local(e, r.frac);
    x87_take_fsw(e, FSW_C1, result);
}

static struct x87_value new_value(struct emit *e)
{
    int frac = emit_tmp(e, W_I64);
    return (struct x87_value){ frac, emit_tmp(e, W_I32) };
}

/* ---- rounding ---- */

/* Leaves 1 or 0 in an i64 local: is a number with last bit in bit 0 of local @kept, of which @lost
 * (i64 local) is what comes after it, to be rounded up? */
static int round_up(struct emit *e, int kept, int lost)
{
    get_local(e, lost);
    op64(e, W_I64_SHR_U, 63);
    get_local(e, lost);
    op64(e, W_I64_SHL, 1);
    op64(e, W_I64_NE, 0);
    op(e, W_I64_EXTEND_I32_U);
    opl(e, W_I64_OR, kept);
    op(e, W_I64_AND);
    return tmp64(e);
}

/* Bits of FSW, on the stack: P if anything was @lost, C1 if rounded @up. */
static void rounding_bits(struct emit *e, int lost, int up)
{
    get_local(e, lost);
    op64(e, W_I64_NE, 0);
    op32(e, W_I32_SHL, 5);
    get_local(e, up);
    op(e, W_I32_WRAP_I64);
    op32(e, W_I32_SHL, 9);
    op(e, W_I32_OR);
}

/* hi:lo with bit 63 of hi set, biased exponent @exp, sign in bit 15 of @sign: rounds into @r and
 * FSW. Branches to @generic if the exponent doesn't fit. */
static void finish(struct emit *e, struct x87_value r, int hi, int lo, int exp, int sign,
                   int generic)
{
    int up = round_up(e, hi, lo);
    get_local(e, hi);
    opl(e, W_I64_ADD, up);
    tee_local(e, r.frac);
    op(e, W_I64_EQZ);
    int carry = emit_tmp(e, W_I32);
    tee_local(e, carry);
    opl(e, W_I32_ADD, exp);
    tee_local(e, r.se);
    op32(e, W_I32_SUB, 1);
    op32(e, W_I32_GE_U, 0x7ffe);
    unlikely_next(e);
    branch(e, W_BR_IF, generic);

    get_local(e, r.frac);
    get_local(e, carry);
    op(e, W_I64_EXTEND_I32_U);
    op64(e, W_I64_SHL, 63);
    op(e, W_I64_OR);
    set_local(e, r.frac);
    get_local(e, r.se);
    get_local(e, sign);
    op32(e, W_I32_AND, 0x8000);
    op(e, W_I32_OR);
    set_local(e, r.se);
    get_local(e, e->x87.fsw);
    op32(e, W_I32_AND, (int32_t)~FSW_C1);
    rounding_bits(e, lo, up);
    op(e, W_I32_OR);
    set_local(e, e->x87.fsw);
}

/* ---- operations ---- */

/* Leaves on the stack whether the number at @se may not be normal: exponent 0 or 7FFF. */
static void odd_exponent(struct emit *e, int se)
{
    get_local(e, se);
    op32(e, W_I32_ADD, 1);
    op32(e, W_I32_AND, 0x7fff);
    op32(e, W_I32_LT_U, 2);
}

/* Branches to @generic unless both are normal numbers and what is asked for is the usual rounding.
 * @b_normal: that is known of b. */
static void check_operands(struct emit *e, struct x87_value a, struct x87_value b, bool b_normal,
                           int generic)
{
    get_local(e, e->x87.control);
    odd_exponent(e, a.se);
    op(e, W_I32_OR);
    if (!b_normal && b.se != a.se) {
        odd_exponent(e, b.se);
        op(e, W_I32_OR);
    }
    get_local(e, a.frac);
    if (b.frac != a.frac)
        opl(e, W_I64_AND, b.frac);
    op64(e, W_I64_GE_S, 0);
    op(e, W_I32_OR);
    unlikely_next(e);
    branch(e, W_BR_IF, generic);
}

/* The 128-bit product of locals @a and @b. */
static void multiply(struct emit *e, int a, int b, int *hi, int *lo)
{
    const int64_t low_half = 0xffffffff;
    int al, ah, bl, bh;
    get_local(e, a);
    op64(e, W_I64_AND, low_half);
    al = bl = tmp64(e);
    get_local(e, a);
    op64(e, W_I64_SHR_U, 32);
    ah = bh = tmp64(e);
    if (a != b) {
        get_local(e, b);
        op64(e, W_I64_AND, low_half);
        bl = tmp64(e);
        get_local(e, b);
        op64(e, W_I64_SHR_U, 32);
        bh = tmp64(e);
    }
    get_local(e, al);
    opl(e, W_I64_MUL, bl);
    int low = tmp64(e);
    get_local(e, al);
    opl(e, W_I64_MUL, bh);
    int m1 = tmp64(e), m2 = m1;
    if (a != b) {
        get_local(e, ah);
        opl(e, W_I64_MUL, bl);
        m2 = tmp64(e);
    }
    get_local(e, low);
    op64(e, W_I64_SHR_U, 32);
    get_local(e, m1);
    op64(e, W_I64_AND, low_half);
    op(e, W_I64_ADD);
    get_local(e, m2);
    op64(e, W_I64_AND, low_half);
    op(e, W_I64_ADD);
    int middle = tmp64(e);
    get_local(e, ah);
    opl(e, W_I64_MUL, bh);
    get_local(e, m1);
    op64(e, W_I64_SHR_U, 32);
    op(e, W_I64_ADD);
    get_local(e, m2);
    op64(e, W_I64_SHR_U, 32);
    op(e, W_I64_ADD);
    get_local(e, middle);
    op64(e, W_I64_SHR_U, 32);
    op(e, W_I64_ADD);
    *hi = tmp64(e);
    get_local(e, middle);
    op64(e, W_I64_SHL, 32);
    get_local(e, low);
    op64(e, W_I64_AND, low_half);
    op(e, W_I64_OR);
    *lo = tmp64(e);
}

static void inline_mul(struct emit *e, struct x87_value r, struct x87_value a, struct x87_value b,
                       int generic)
{
    int hi, lo;
    multiply(e, a.frac, b.frac, &hi, &lo);
    /* The product of two significands in [1, 2) is in [1, 4). */
    get_local(e, hi);
    op64(e, W_I64_SHR_U, 63);
    op64(e, W_I64_XOR, 1);
    int shift = tmp64(e);
    get_local(e, hi);
    opl(e, W_I64_SHL, shift);
    get_local(e, lo);
    op64(e, W_I64_SHR_U, 63);
    opl(e, W_I64_AND, shift);
    op(e, W_I64_OR);
    set_local(e, hi);
    get_local(e, lo);
    opl(e, W_I64_SHL, shift);
    set_local(e, lo);
    exponent(e, a.se);
    exponent(e, b.se);
    op(e, W_I32_ADD);
    op32(e, W_I32_SUB, 16382);
    get_local(e, shift);
    op(e, W_I32_WRAP_I64);
    op(e, W_I32_SUB);
    int exp = tmp32(e);
    get_local(e, a.se);
    opl(e, W_I32_XOR, b.se);
    finish(e, r, hi, lo, exp, tmp32(e), generic);
}

/* a ^= b & mask, where i32 or i64 locals differ; leaves b's new value in *other. */
static void swap(struct emit *e, bool wide, int *a, int *b, int swap_if)
{
    get_local(e, *a);
    opl(e, wide ? W_I64_XOR : W_I32_XOR, *b);
    if (wide) {
        emit_i64(e, 0);
        get_local(e, swap_if);
        op(e, W_I64_EXTEND_I32_U);
        op(e, W_I64_SUB);
        op(e, W_I64_AND);
    } else {
        emit_i32(e, 0);
        opl(e, W_I32_SUB, swap_if);
        op(e, W_I32_AND);
    }
    int t = wide ? tmp64(e) : tmp32(e);
    get_local(e, *a);
    opl(e, wide ? W_I64_XOR : W_I32_XOR, t);
    *a = wide ? tmp64(e) : tmp32(e);
    get_local(e, *b);
    opl(e, wide ? W_I64_XOR : W_I32_XOR, t);
    *b = wide ? tmp64(e) : tmp32(e);
}

/* @flip: the sign of this operand counts the other way. */
static void inline_add(struct emit *e, struct x87_value r, struct x87_value a, struct x87_value b,
                       enum x87_op which, int generic)
{
    if (which != X87_ADD) {
        int *flip = which == X87_SUB ? &b.se : &a.se;
        get_local(e, *flip);
        op32(e, W_I32_XOR, 0x8000);
        *flip = tmp32(e);
    }
    /* x is the larger one. */
    exponent(e, a.se);
    int ea = tmp32(e);
    exponent(e, b.se);
    int eb = tmp32(e);
    get_local(e, ea);
    opl(e, W_I32_LT_U, eb);
    get_local(e, ea);
    opl(e, W_I32_EQ, eb);
    get_local(e, a.frac);
    opl(e, W_I64_LT_U, b.frac);
    op(e, W_I32_AND);
    op(e, W_I32_OR);
    int less = tmp32(e), x = a.frac, y = b.frac, xse = a.se, yse = b.se;
    swap(e, true, &x, &y, less);
    swap(e, false, &xse, &yse, less);
    exponent(e, xse);
    int exp = emit_tmp(e, W_I32);
    tee_local(e, exp);
    exponent(e, yse);
    op(e, W_I32_SUB);
    int d32 = emit_tmp(e, W_I32);
    tee_local(e, d32);
    op32(e, W_I32_GE_U, 64);
    unlikely_next(e);
    branch(e, W_BR_IF, generic);
    get_local(e, d32);
    op(e, W_I64_EXTEND_I32_U);
    int d = tmp64(e);
    /* m: all ones if y is subtracted. */
    get_local(e, xse);
    opl(e, W_I32_XOR, yse);
    op32(e, W_I32_SHL, 16);
    op32(e, W_I32_SHR_S, 31);
    op(e, W_I64_EXTEND_I32_S);
    int m = tmp64(e);
    /* y, shifted to x's exponent, and negated: hi:lo = x + that. */
    get_local(e, y);
    op64(e, W_I64_SHL, 1);
    emit_i64(e, 63);
    opl(e, W_I64_SUB, d);
    op(e, W_I64_SHL);
    int yl = tmp64(e);
    get_local(e, yl);
    opl(e, W_I64_XOR, m);
    opl(e, W_I64_SUB, m);
    int lo = tmp64(e);
    get_local(e, y);
    opl(e, W_I64_SHR_U, d);
    opl(e, W_I64_XOR, m);
    get_local(e, yl);
    op(e, W_I64_EQZ);
    op(e, W_I64_EXTEND_I32_U);
    opl(e, W_I64_AND, m);
    op(e, W_I64_ADD);
    opl(e, W_I64_ADD, x);
    int hi = tmp64(e);
    /* A sum may carry, a difference lose digits: most of them are for the slow way. */
    get_local(e, m);
    op64(e, W_I64_ADD, 1);
    int sum = tmp64(e);
    get_local(e, hi);
    opl(e, W_I64_OR, sum);
    op(e, W_I64_EQZ);
    unlikely_next(e);
    branch(e, W_BR_IF, generic);
    get_local(e, hi);
    opl(e, W_I64_LT_U, x);
    op(e, W_I64_EXTEND_I32_U);
    opl(e, W_I64_AND, sum);
    int carry = tmp64(e);
    get_local(e, hi);
    op(e, W_I64_CLZ);
    opl(e, W_I64_AND, m);
    int shift = tmp64(e);
    int left = emit_tmp(e, W_I64);
    get_local(e, hi);
    opl(e, W_I64_SHR_U, carry);
    get_local(e, carry);
    op64(e, W_I64_SHL, 63);
    op(e, W_I64_OR);
    opl(e, W_I64_SHL, shift);
    get_local(e, lo);
    op64(e, W_I64_SHR_U, 1);
    emit_i64(e, 63);
    opl(e, W_I64_SUB, shift);
    op(e, W_I64_SHR_U);
    op(e, W_I64_OR);
    set_local(e, left);
    /* What carries out of hi's lowest bit into lo, whose own lowest bit is sticky. */
    get_local(e, hi);
    opl(e, W_I64_AND, carry);
    op64(e, W_I64_SHL, 63);
    get_local(e, lo);
    opl(e, W_I64_SHR_U, carry);
    op(e, W_I64_OR);
    get_local(e, lo);
    opl(e, W_I64_AND, carry);
    op(e, W_I64_OR);
    opl(e, W_I64_SHL, shift);
    set_local(e, lo);
    get_local(e, exp);
    get_local(e, carry);
    op(e, W_I32_WRAP_I64);
    op(e, W_I32_ADD);
    get_local(e, shift);
    op(e, W_I32_WRAP_I64);
    op(e, W_I32_SUB);
    set_local(e, exp);
    finish(e, r, left, lo, exp, xse, generic);
}

/* ---- conversions ---- */

/* Of the two formats: bits of the fraction and of the exponent; bias as difference to f80's. */
static unsigned frac_bits(enum x87_format f)
{
    return f == X87_F32 ? 23 : 52;
}
static int32_t exp_ones(enum x87_format f)
{
    return f == X87_F32 ? 0xff : 0x7ff;
}
static int32_t bias(enum x87_format f)
{
    return 16383 - (exp_ones(f) >> 1);
}

/* Branches to @generic unless the bits in @raw are a normal number's. */
static void expand(struct emit *e, enum x87_format f, int raw, struct x87_value r, int generic)
{
    unsigned fb = frac_bits(f);
    get_local(e, raw);
    op64(e, W_I64_SHR_U, fb);
    op(e, W_I32_WRAP_I64);
    op32(e, W_I32_AND, exp_ones(f));
    tee_local(e, r.se);
    op32(e, W_I32_SUB, 1);
    op32(e, W_I32_GE_U, exp_ones(f) - 1);
    unlikely_next(e);
    branch(e, W_BR_IF, generic);
    get_local(e, raw);
    op64(e, W_I64_SHL, 63 - fb);
    op64(e, W_I64_OR, INTEGER_BIT);
    set_local(e, r.frac);
    get_local(e, raw);
    op64(e, W_I64_SHR_U, f == X87_F32 ? 16 : 48);
    op(e, W_I32_WRAP_I64);
    op32(e, W_I32_AND, 0x8000);
    get_local(e, r.se);
    op32(e, W_I32_ADD, bias(f));
    op(e, W_I32_OR);
    set_local(e, r.se);
}

struct x87_value x87_from_float(struct emit *e, enum x87_format f, int raw)
{
    struct x87_value r = new_value(e);
    x87_clear_c1(e);
    open_block(e, W_BLOCK, W_VOID);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    expand(e, f, raw, r, e->depth);
    branch(e, W_BR, done);
    close_block(e);
    x87_take_result(e, r, x87_call(e, X87_LOAD | (uint32_t)f << 8, raw, NO_LOCAL, raw, NO_LOCAL));
    close_block(e);
    e->x87.c1_clear = true; /* a load rounds nothing */
    return r;
}

struct x87_value x87_from_integer(struct emit *e)
{
    struct x87_value r = new_value(e);
    int v = tmp64(e);
    get_local(e, v);
    op64(e, W_I64_SHR_S, 63);
    int sign = tmp64(e);
    get_local(e, v);
    opl(e, W_I64_XOR, sign);
    opl(e, W_I64_SUB, sign);
    int magnitude = emit_tmp(e, W_I64);
    tee_local(e, magnitude);
    op(e, W_I64_CLZ);
    int shift = tmp64(e);
    get_local(e, magnitude);
    opl(e, W_I64_SHL, shift);
    set_local(e, r.frac);
    get_local(e, sign);
    op(e, W_I32_WRAP_I64);
    op32(e, W_I32_AND, 0x8000);
    emit_i32(e, 16383 + 63);
    get_local(e, shift);
    op(e, W_I32_WRAP_I64);
    op(e, W_I32_SUB);
    op(e, W_I32_OR);
    emit_i32(e, 0); /* zero has exponent 0 */
    get_local(e, v);
    op64(e, W_I64_NE, 0);
    op(e, W_I32_SUB);
    op(e, W_I32_AND);
    set_local(e, r.se);
    return r;
}

int x87_to_float(struct emit *e, enum x87_format f, struct x87_value a, int *bits)
{
    unsigned fb = frac_bits(f), drop = 63 - fb;
    int out = emit_tmp(e, W_I64), exp = emit_tmp(e, W_I32);
    *bits = emit_tmp(e, W_I32);
    open_block(e, W_BLOCK, W_VOID);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    int generic = e->depth;
    exponent(e, a.se);
    op32(e, W_I32_SUB, bias(f) + 1);
    tee_local(e, exp);
    op32(e, W_I32_GE_U, exp_ones(f) - 1);
    get_local(e, a.frac);
    op64(e, W_I64_GE_S, 0);
    op(e, W_I32_OR);
    get_local(e, e->x87.control);
    op32(e, W_I32_AND, 0xc00);
    op(e, W_I32_OR);
    unlikely_next(e);
    branch(e, W_BR_IF, generic);
    get_local(e, a.frac);
    op64(e, W_I64_SHR_U, drop);
    int kept = tmp64(e);
    get_local(e, a.frac);
    op64(e, W_I64_SHL, 64 - drop);
    int lost = tmp64(e), up = round_up(e, kept, lost);
    get_local(e, exp); /* one less, since kept has the integer bit */
    op(e, W_I64_EXTEND_I32_U);
    op64(e, W_I64_SHL, fb);
    opl(e, W_I64_ADD, kept);
    opl(e, W_I64_ADD, up);
    tee_local(e, out);
    op64(e, W_I64_SHR_U, fb);
    op64(e, W_I64_GE_U, exp_ones(f));
    unlikely_next(e);
    branch(e, W_BR_IF, generic);
    get_local(e, a.se);
    op(e, W_I64_EXTEND_I32_U);
    op64(e, W_I64_SHR_U, 15);
    op64(e, W_I64_SHL, f == X87_F32 ? 31 : 63);
    opl(e, W_I64_OR, out);
    set_local(e, out);
    rounding_bits(e, lost, up);
    set_local(e, *bits);
    branch(e, W_BR, done);
    close_block(e);
    int result = x87_call(e, X87_STORE | (uint32_t)f << 8, a.frac, a.se, NO_LOCAL, NO_LOCAL);
    get_local(e, result);
    op32(e, W_I32_SHR_U, 16);
    set_local(e, *bits);
    emit_load_fixed(e, W_I64_LOAD, jit_shared.scratch);
    set_local(e, out);
    close_block(e);
    return out;
}

struct x87_value x87_arith(struct emit *e, enum x87_op which, struct x87_value a,
                           struct x87_value b, enum x87_format format, int raw)
{
    struct x87_value r = new_value(e);
    bool division = which == X87_DIV || which == X87_DIVR;
    open_block(e, W_BLOCK, W_VOID);
    int done = e->depth;
    if (!division && e->x87.inlined < MAX_INLINE) {
        e->x87.inlined++;
        open_block(e, W_BLOCK, W_VOID);
        int generic = e->depth;
        struct x87_value other = b;
        if (format != X87_F80) {
            other = new_value(e);
            expand(e, format, raw, other, generic);
        }
        check_operands(e, a, other, format != X87_F80, generic);
        if (which == X87_MUL)
            inline_mul(e, r, a, other, generic);
        else
            inline_add(e, r, a, other, which, generic);
        branch(e, W_BR, done);
        close_block(e);
    }
    bool number = format == X87_F80;
    x87_take_result(e, r,
                    x87_call(e, (uint32_t)which | (uint32_t)format << 8, a.frac, a.se,
                             number ? b.frac : raw, number ? b.se : NO_LOCAL));
    close_block(e);
    e->x87.fsw_dirty = true;
    e->x87.c1_clear = false;
    return r;
}
