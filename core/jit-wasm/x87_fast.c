/*
 * x87 instructions for translated code: the cases that programs meet all the time, without the
 * generality of the interpreter's handlers.
 *
 * All exceptions are masked, rounding is to nearest, operands and result are normal numbers (or
 * zeros where that is simple), no register is empty that mustn't be. Then the result is what
 * fp/arith.c computes, bit for bit, with the precision that FCW asks for, and the precision
 * exception and C1. In every other case a function returns 0 and has changed nothing; the handler
 * runs the instruction. Translated code accesses memory (emit_x87.c) and sets the pointers that
 * depend on addresses (FIP, FDP).
 */
#include "cpu/x87.h"
#include "jit-wasm/jit.h"

#define TOP 0x8000000000000000ull

/* The opcode as FOP has it tells which instruction it is: bits 0-2 of the first byte, ModRM. */
#define FOP_BYTE(fop) ((fop) >> 8)
#define FOP_REG(fop)  ((fop) >> 3 & 7)
#define FOP_STI(fop)  ((fop)&7)
#define IS_REG(fop)   (((fop)&0xc0) == 0xc0)

/* Sign and biased exponent as in struct f80, significand. */
struct number {
    uint32_t se;
    uint64_t frac;
};
#define EXP(n) ((n).se & 0x7fff)

static bool may_run(const struct cpu *c)
{
    return !((c->cr0 & (CR0_EM | CR0_TS)) | (c->fsw & FSW_ES)) && (c->fcw & 0xc3f) == 0x3f;
}
static unsigned reg_of(const struct cpu *c, unsigned i)
{
    return (c->ftop + i) & 7;
}
static bool in_use(const struct cpu *c, unsigned reg)
{
    return c->ftag >> reg & 1;
}

static bool is_normal(struct number n)
{
    return EXP(n) - 1 < 0x7ffe && (n.frac & TOP);
}
static bool is_zero(struct number n)
{
    return EXP(n) == 0 && n.frac == 0;
}

/* The end of every instruction. @bits: FPX_P, FSW_C1 */
static uint32_t done(struct cpu *c, uint32_t fop, unsigned bits)
{
    c->fsw = (uint16_t)((c->fsw & ~FSW_C1) | bits);
    c->fop = (uint16_t)fop;
    c->fcs = c->seg[SEG_CS].sel;
    return 1;
}

static void put(struct cpu *c, unsigned reg, struct number n)
{
    c->st[reg].frac = n.frac;
    c->st[reg].se = (uint16_t)n.se;
}

/* ---- memory operands ---- */

static struct number from_float(uint64_t v, unsigned frac_bits, unsigned exp_bits, bool *ok)
{
    uint32_t ones = (1u << exp_bits) - 1, exp = (uint32_t)(v >> frac_bits) & ones;
    uint32_t sign = (uint32_t)(v >> (frac_bits + exp_bits)) << 15;
    if (exp - 1 < ones - 1) {
        *ok = true;
        return (struct number){ .se = sign | (exp + 16383 - (ones >> 1)),
                                .frac = TOP | v << (63 - frac_bits) };
    }
    *ok = v << (63 - frac_bits - exp_bits) << 1 == 0; /* zero; others are seldom */
    return (struct number){ .se = sign };
}

static struct number from_integer(int64_t v)
{
    uint64_t magnitude = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    if (!v)
        return (struct number){ 0 };
    unsigned shift = (unsigned)__builtin_clzll(magnitude);
    return (struct number){ .se = (v < 0 ? 0x8000u : 0) | (16383 + 63 - shift),
                            .frac = magnitude << shift };
}

/* The second operand of an arithmetic instruction. */
static struct number operand(const struct cpu *c, uint64_t v, uint32_t fop, bool *ok)
{
    if (IS_REG(fop)) {
        unsigned reg = reg_of(c, FOP_STI(fop));
        *ok = in_use(c, reg);
        return (struct number){ .se = c->st[reg].se, .frac = c->st[reg].frac };
    }
    switch (FOP_BYTE(fop)) {
    case 0: return from_float((uint32_t)v, 23, 8, ok);
    case 4: return from_float(v, 52, 11, ok);
    case 2: *ok = true; return from_integer((int32_t)v);
    default: *ok = true; return from_integer((int16_t)v);
    }
}

/* ---- arithmetic ---- */

/* hi:lo, hi with bit 63, rounded to the precision of FCW, into the instruction's destination. */
static uint32_t finish(struct cpu *c, uint32_t fop, uint32_t sign, uint32_t exp, uint64_t hi,
                       uint64_t lo)
{
    static const uint8_t dropped[4] = { 40, 0, 11, 0 }; /* bits, by FCW.PC */
    unsigned drop = dropped[c->fcw >> 8 & 3], bits = 0;
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
    if (exp - 1 >= 0x7ffe)
        return 0;
    bool to_sti = IS_REG(fop) && FOP_BYTE(fop) != 0;
    put(c, reg_of(c, to_sti ? FOP_STI(fop) : 0), (struct number){ sign | exp, hi });
    if (IS_REG(fop) && FOP_BYTE(fop) == 6)
        x87_pop(c);
    return done(c, fop, bits);
}

static bool operands(const struct cpu *c, uint64_t v, uint32_t fop, struct number *a,
                     struct number *b)
{
    unsigned st0 = reg_of(c, 0);
    bool ok;
    *b = operand(c, v, fop, &ok);
    *a = (struct number){ .se = c->st[st0].se, .frac = c->st[st0].frac };
    return ok && in_use(c, st0) && may_run(c) && (c->fcw >> 8 & 3) != 1;
}

/* FADD, FSUB, FSUBR */
uint32_t jit_x87_add(uint64_t v, uint32_t fop)
{
    struct cpu *c = jit_cpu;
    struct number a, b;
    if (!operands(c, v, fop, &a, &b))
        return 0;
    if (FOP_REG(fop) == 4)
        b.se ^= 0x8000;
    else if (FOP_REG(fop) == 5)
        a.se ^= 0x8000;
    if (is_zero(b) && is_normal(a))
        return finish(c, fop, a.se & 0x8000, EXP(a), a.frac, 0);
    if (is_zero(a) && is_normal(b))
        return finish(c, fop, b.se & 0x8000, EXP(b), b.frac, 0);
    if (!is_normal(a) || !is_normal(b))
        return 0;
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
    return finish(c, fop, a.se & 0x8000, exp, hi, lo);
}

/* FMUL */
uint32_t jit_x87_mul(uint64_t v, uint32_t fop)
{
    struct cpu *c = jit_cpu;
    struct number a, b;
    if (!operands(c, v, fop, &a, &b) || !is_normal(a) || !is_normal(b))
        return 0;
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
    return finish(c, fop, (a.se ^ b.se) & 0x8000, exp, hi, lo);
}

/* FDIV, FDIVR */
uint32_t jit_x87_div(uint64_t v, uint32_t fop)
{
    struct cpu *c = jit_cpu;
    struct number a, b;
    if (!operands(c, v, fop, &a, &b) || !is_normal(a) || !is_normal(b))
        return 0;
    if (FOP_REG(fop) == 7) {
        struct number t = a;
        a = b;
        b = t;
    }
    bool less = a.frac < b.frac;
    uint64_t rem;
    uint64_t q = fp_div128(less ? a.frac : a.frac >> 1, less ? 0 : a.frac << 63, b.frac, &rem);
    /* What is lost, against half a unit. */
    uint64_t rest = b.frac - rem, lo = rem == 0 ? 0 : rem > rest ? TOP | 1 : rem == rest ? TOP : 1;
    uint32_t exp = EXP(a) - EXP(b) + 16383 - less;
    return finish(c, fop, (a.se ^ b.se) & 0x8000, exp, q, lo);
}

/* ---- moves ---- */

static uint32_t push(struct cpu *c, uint32_t fop, struct number n)
{
    unsigned reg = reg_of(c, 7);
    if (in_use(c, reg))
        return 0;
    c->ftop = (uint8_t)reg;
    c->ftag |= (uint8_t)(1u << reg);
    put(c, reg, n);
    return done(c, fop, 0);
}

/* FLD m32, m64; FILD */
uint32_t jit_x87_load(uint64_t v, uint32_t fop)
{
    struct cpu *c = jit_cpu;
    struct number n;
    bool ok = true;
    switch (FOP_BYTE(fop)) {
    case 1: n = from_float((uint32_t)v, 23, 8, &ok); break;
    case 5: n = from_float(v, 52, 11, &ok); break;
    case 3: n = from_integer((int32_t)v); break;
    default: n = from_integer(FOP_REG(fop) == 5 ? (int64_t)v : (int16_t)v); break;
    }
    return ok && may_run(c) ? push(c, fop, n) : 0;
}

/* FST, FSTP m32, m64: what is to be stored goes to jit_shared.scratch. */
uint32_t jit_x87_store(uint64_t v, uint32_t fop)
{
    struct cpu *c = jit_cpu;
    unsigned st0 = reg_of(c, 0), drop = FOP_BYTE(fop) == 1 ? 40 : 11, frac_bits = 63 - drop;
    uint32_t ones = drop == 40 ? 0xff : 0x7ff, bits = 0;
    struct number n = { .se = c->st[st0].se, .frac = c->st[st0].frac };
    uint64_t out = 0;
    (void)v;
    if (!in_use(c, st0) || !may_run(c))
        return 0;
    if (is_normal(n)) {
        uint32_t exp = EXP(n) - 16383 + (ones >> 1);
        uint64_t lost = n.frac << (64 - drop), kept = n.frac >> drop;
        if (exp - 1 >= ones - 1)
            return 0;
        if (lost) {
            bits = FPX_P;
            if (lost > TOP || (lost == TOP && (kept & 1))) {
                bits |= FSW_C1;
                kept++;
            }
        }
        out = ((uint64_t)(exp - 1) << frac_bits) + kept; /* kept has the integer bit */
        if (out >> frac_bits >= ones)
            return 0;
    } else if (!is_zero(n)) {
        return 0;
    }
    out |= (uint64_t)(n.se >> 15) << (drop == 40 ? 31 : 63);
    __builtin_memcpy(jit_shared.scratch, &out, sizeof out);
    if (FOP_REG(fop) == 3)
        x87_pop(c);
    return done(c, fop, bits);
}

/* FLD ST(i), FXCH, FST and FSTP ST(i), FCHS, FABS, FLD1, FLDZ */
uint32_t jit_x87_move(uint64_t v, uint32_t fop)
{
    struct cpu *c = jit_cpu;
    unsigned st0 = reg_of(c, 0), sti = reg_of(c, FOP_STI(fop));
    struct f80 a = c->st[st0], b = c->st[sti];
    (void)v;
    if (!may_run(c))
        return 0;
    if (fop == 0x1e8 || fop == 0x1ee)
        return push(c, fop, fop == 0x1ee ? (struct number){ 0 } : (struct number){ 0x3fff, TOP });
    if (FOP_BYTE(fop) == 1 && FOP_REG(fop) == 0)
        return in_use(c, sti) ? push(c, fop, (struct number){ b.se, b.frac }) : 0;
    if (!in_use(c, st0))
        return 0;
    if (FOP_BYTE(fop) == 5) { /* FST, FSTP */
        c->st[sti] = a;
        c->ftag |= (uint8_t)(1u << sti);
        if (FOP_REG(fop) == 3)
            x87_pop(c);
    } else if (FOP_REG(fop) == 1) { /* FXCH */
        if (!in_use(c, sti))
            return 0;
        c->st[st0] = b;
        c->st[sti] = a;
    } else { /* FCHS, FABS */
        c->st[st0].se = (fop & 1) ? a.se & 0x7fff : a.se ^ 0x8000;
    }
    return done(c, fop, 0);
}
