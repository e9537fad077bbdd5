/*
 * What x87 instructions of translated code compute, where its own inline code (emit_x87_arith.c)
 * doesn't: other than normal numbers, other rounding, division, square roots, comparisons.
 *
 * All exceptions are masked and no register is empty that mustn't be. So there is a result whatever
 * the operands are, and this only computes: translated code keeps registers and status. Normal
 * numbers that are rounded to nearest have a short way through it; fp/ does the rest.
 */
#include "cpu/x87.h"
#include "jit-wasm/jit.h"

#define TOP 0x8000000000000000ull

/* Sign and biased exponent as in struct f80, significand. */
struct number {
    uint32_t se;
    uint64_t frac;
};
#define EXP(n) ((n).se & 0x7fff)

static bool is_normal(struct number n)
{
    return EXP(n) - 1 < 0x7ffe && (n.frac & TOP);
}
static bool is_zero(struct number n)
{
    return EXP(n) == 0 && n.frac == 0;
}

/* The result's first word, and the rest with bits of FSW. */
static uint32_t result(uint64_t v, uint32_t se, unsigned bits)
{
    __builtin_memcpy(jit_shared.scratch, &v, sizeof v);
    return se | bits << 16;
}
static unsigned exceptions(const struct fpenv *e)
{
    return e->flags | (e->up ? FSW_C1 : 0);
}

/* ---- simple cases of arithmetic: 0 if it isn't one; exponents of results aren't 0 ---- */

/* hi:lo, hi with bit 63, rounded to nearest with the precision of FCW. */
static uint32_t finish(uint32_t sign, uint32_t exp, uint64_t hi, uint64_t lo)
{
    static const uint8_t dropped[4] = { 40, 0, 11, 0 }; /* bits, by FCW.PC */
    unsigned drop = dropped[jit_cpu->fcw >> 8 & 3], bits = 0;
    if (drop) {
        lo = hi << (64 - drop) | (lo != 0);
        hi = hi >> drop << drop;
    }
    if (lo) {
        bits = FPX_P;
        if (lo > TOP || (lo == TOP && (hi >> drop & 1))) {
            bits |= FSW_C1;
            hi += 1ull << drop;
            if (!hi) {
                hi = TOP;
                exp++;
            }
        }
    }
    return exp - 1 < 0x7ffe ? result(hi, sign | exp, bits) : 0;
}

static uint32_t simple_add(struct number a, struct number b)
{
    if (is_zero(b))
        return finish(a.se & 0x8000, EXP(a), a.frac, 0);
    if (is_zero(a))
        return finish(b.se & 0x8000, EXP(b), b.frac, 0);
    if (EXP(a) < EXP(b) || (EXP(a) == EXP(b) && a.frac < b.frac)) {
        struct number t = a;
        a = b;
        b = t;
    }
    uint32_t d = EXP(a) - EXP(b), exp = EXP(a);
    uint64_t hi, lo, bh = b.frac, bl = 0;
    if (d >= 128) {
        bh = 0;
        bl = 1;
    } else if (d > 64) {
        bh = 0;
        bl = b.frac >> (d - 64) | (b.frac << (128 - d) != 0);
    } else if (d == 64) {
        bh = 0;
        bl = b.frac;
    } else if (d) {
        bh = b.frac >> d;
        bl = b.frac << (64 - d);
    }
    if ((a.se ^ b.se) & 0x8000) {
        lo = 0 - bl;
        hi = a.frac - bh - (bl != 0);
        if (!(hi | lo))
            return 0;
        if (!hi) {
            hi = lo;
            lo = 0;
            exp -= 64;
        }
        unsigned shift = (unsigned)__builtin_clzll(hi);
        if (shift) {
            hi = hi << shift | lo >> (64 - shift);
            lo <<= shift;
            exp -= shift;
        }
    } else {
        lo = bl;
        hi = a.frac + bh;
        if (hi < bh) {
            lo = hi << 63 | lo >> 1 | (lo & 1);
            hi = hi >> 1 | TOP;
            exp++;
        }
    }
    return finish(a.se & 0x8000, exp, hi, lo);
}

static uint32_t simple_mul(struct number a, struct number b)
{
    uint64_t al = (uint32_t)a.frac, ah = a.frac >> 32, bl = (uint32_t)b.frac, bh = b.frac >> 32;
    uint64_t low = al * bl, m1 = al * bh, m2 = ah * bl;
    uint64_t middle = (low >> 32) + (uint32_t)m1 + (uint32_t)m2;
    uint64_t hi = ah * bh + (m1 >> 32) + (m2 >> 32) + (middle >> 32);
    uint64_t lo = middle << 32 | (uint32_t)low;
    uint32_t exp = EXP(a) + EXP(b) - 16383 + 1;
    if (!(hi & TOP)) {
        hi = hi << 1 | lo >> 63;
        lo <<= 1;
        exp--;
    }
    return finish((a.se ^ b.se) & 0x8000, exp, hi, lo);
}

static uint32_t simple_div(struct number a, struct number b)
{
    bool less = a.frac < b.frac;
    uint64_t rem;
    uint64_t q = fp_div128(less ? a.frac : a.frac >> 1, less ? 0 : a.frac << 63, b.frac, &rem);
    /* What is lost, against half a unit. */
    uint64_t rest = b.frac - rem, lo = rem == 0 ? 0 : rem > rest ? TOP | 1 : rem == rest ? TOP : 1;
    return finish((a.se ^ b.se) & 0x8000, EXP(a) - EXP(b) + 16383 - less, q, lo);
}

static uint32_t simple_arith(enum x87_op op, struct number a, struct number b)
{
    bool sum = op == X87_ADD || op == X87_SUB || op == X87_SUBR;
    if ((jit_cpu->fcw & 0xc00) || (jit_cpu->fcw & 0x300) == 0x100)
        return 0;
    if (!is_normal(a) && !(sum && is_zero(a) && is_normal(b)))
        return 0;
    if (!is_normal(b) && !(sum && is_zero(b)))
        return 0;
    switch (op) {
    case X87_ADD: return simple_add(a, b);
    case X87_SUB: return simple_add(a, (struct number){ b.se ^ 0x8000, b.frac });
    case X87_SUBR: return simple_add((struct number){ a.se ^ 0x8000, a.frac }, b);
    case X87_MUL: return simple_mul(a, b);
    case X87_DIV: return simple_div(a, b);
    case X87_DIVR: return simple_div(b, a);
    default: return 0;
    }
}

/* ---- all cases ---- */

static struct f80 f80_of(struct number n)
{
    return (struct f80){ .frac = n.frac, .se = (uint16_t)n.se };
}

static uint32_t packed(const struct fpenv *e, struct fpnum a)
{
    struct f80 v = fp_to_f80(a);
    return result(v.frac, v.se, exceptions(e));
}

static uint32_t arith(struct fpenv *e, enum x87_op op, struct fpnum a, struct fpnum b)
{
    const struct fpfmt *f = x87_format(jit_cpu);
    switch (op) {
    case X87_ADD: return packed(e, fp_add(e, a, b, f));
    case X87_MUL: return packed(e, fp_mul(e, a, b, f));
    case X87_SUB: return packed(e, fp_sub(e, a, b, f));
    case X87_SUBR: return packed(e, fp_sub(e, b, a, f));
    case X87_DIV: return packed(e, fp_div(e, a, b, f));
    default: return packed(e, fp_div(e, b, a, f));
    }
}

static uint32_t compare(struct fpenv *e, enum x87_op op, struct fpnum a, struct fpnum b)
{
    enum fp_relation r = fp_compare(e, a, b, op == X87_UCOM);
    return result(0, 0, exceptions(e) | x87_relation_codes[r]);
}

static uint32_t to_int(struct fpenv *e, struct fpnum a, unsigned bits)
{
    uint64_t v = (uint64_t)fp_to_int(e, a, bits);
    return result(v, 0, exceptions(e));
}

uint32_t jit_x87_op(uint64_t a, uint64_t b, uint32_t se, uint32_t what)
{
    struct fpenv e = { .rc = jit_cpu->fcw >> 10 & 3 };
    enum x87_op op = (enum x87_op)(what & 0xff);
    enum x87_format format = (enum x87_format)(what >> 8);
    struct number x = { se & 0xffff, a }, y = { se >> 16, b };
    if (op <= X87_DIVR && format == X87_F80) {
        uint32_t simple = simple_arith(op, x, y);
        if (simple)
            return simple;
    }
    struct fpnum m = fp_from_f80(f80_of(x)), n;
    switch (format) {
    case X87_F32: n = fp_from_f32(&e, (uint32_t)b); break;
    case X87_F64: n = fp_from_f64(&e, b); break;
    default: n = fp_from_f80(f80_of(y)); break;
    }
    switch (op) {
    case X87_COM:
    case X87_UCOM: return compare(&e, op, m, n);
    case X87_TST: return compare(&e, op, m, fp_zero(false));
    case X87_SQRT: return packed(&e, fp_sqrt(&e, m, x87_format(jit_cpu)));
    case X87_RNDINT: return packed(&e, fp_round_integral(&e, m));
    case X87_CONST: {
        struct f80 v = x87_constant((unsigned)a, e.rc);
        return result(v.frac, v.se, 0);
    }
    case X87_LOAD: return packed(&e, fp_convert(&e, n, &fp_f80, true));
    case X87_STORE: {
        bool narrow = format == X87_F32;
        m = fp_convert(&e, m, narrow ? &fp_f32 : &fp_f64, false);
        uint64_t bits = narrow ? fp_to_f32(m) : fp_to_f64(m);
        return result(bits, 0, exceptions(&e));
    }
    case X87_TRUNCATE: e.rc = FP_TRUNC; return to_int(&e, m, 8u << format);
    case X87_TO_INT: return to_int(&e, m, 8u << format);
    default: return arith(&e, op, m, n);
    }
}
