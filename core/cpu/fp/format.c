/*
 * The formats: unpacking, the one rounding function, packing, and conversions between formats and
 * to integers.
 */
#include <string.h>

#include "cpu/fp/round.h"

const struct fpfmt fp_f32 = { 24, -126, 127 };
const struct fpfmt fp_f64 = { 53, -1022, 1023 };
const struct fpfmt fp_f80 = { 64, -16382, 16383 };
const struct fpfmt fp_f80_pc[4] = {
    { 24, -16382, 16383 },
    { 64, -16382, 16383 },
    { 53, -16382, 16383 },
    { 64, -16382, 16383 },
};

/* @exp: biased, of a format with exponent bits all ones = @ones; @frac: fraction without integer
 * bit, at bits 62..0. */
static inline struct fpnum unpack(bool sign, int exp, int ones, uint64_t frac, bool daz)
{
    struct fpnum a = { .sign = sign, .exp = exp - (ones >> 1), .sig = frac | FP_INTEGER_BIT };
    if (likely(exp != 0 && exp != ones)) {
        a.cls = CLS_FINITE;
    } else if (exp == ones) {
        a.cls = frac == 0 ? CLS_INF : (frac & FP_QUIET_BIT) ? CLS_QNAN : CLS_SNAN;
    } else if (frac == 0 || daz) {
        return fp_zero(sign);
    } else {
        return fp_denormal_operand(sign, 1 - (ones >> 1), frac);
    }
    return a;
}

struct fpnum fp_from_f32(const struct fpenv *e, uint32_t v)
{
    return unpack(v >> 31, v >> 23 & 0xff, 0xff, (uint64_t)(v & 0x7fffff) << 40, e->daz);
}

struct fpnum fp_from_f64(const struct fpenv *e, uint64_t v)
{
    return unpack(v >> 63, v >> 52 & 0x7ff, 0x7ff, v << 11 & ~FP_INTEGER_BIT, e->daz);
}

struct fpnum fp_from_i64(int64_t v)
{
    if (v == 0)
        return fp_zero(false);
    uint64_t magnitude = v < 0 ? -(uint64_t)v : (uint64_t)v;
    int shift = __builtin_clzll(magnitude);
    return (struct fpnum){
        .cls = CLS_FINITE, .sign = v < 0, .exp = 63 - shift, .sig = magnitude << shift
    };
}

uint32_t fp_to_f32(struct fpnum a)
{
    uint32_t frac = a.cls == CLS_ZERO ? 0 : (uint32_t)(a.sig >> 40) & 0x7fffff;
    return (uint32_t)a.sign << 31 | fp_pack_exp(a, 0xff) << 23 | frac;
}

uint64_t fp_to_f64(struct fpnum a)
{
    uint64_t frac = a.cls == CLS_ZERO ? 0 : a.sig >> 11 & 0xfffffffffffffull;
    return (uint64_t)a.sign << 63 | (uint64_t)fp_pack_exp(a, 0x7ff) << 52 | frac;
}

struct fpnum fp_round(struct fpenv *e, const struct fpfmt *f, bool sign, int exp, uint64_t hi,
                      uint64_t lo)
{
    return fp_round_inline(e, f, sign, exp, hi, lo);
}

struct fpnum fp_convert(struct fpenv *e, struct fpnum a, const struct fpfmt *f,
                        bool report_denormal)
{
    if (fp_is_nan(a))
        return fp_propagate1(e, a);
    if (a.cls != CLS_FINITE)
        return a;
    if (a.denormal && report_denormal)
        e->flags |= FPX_D;
    return fp_round(e, f, a.sign, a.exp, a.sig, 0);
}

int64_t fp_to_int(struct fpenv *e, struct fpnum a, unsigned bits)
{
    const int64_t indefinite = INT64_MIN >> (64 - bits);
    if (a.cls == CLS_ZERO)
        return 0;
    if (a.cls != CLS_FINITE || a.exp >= (int)bits) {
        e->flags |= FPX_I;
        return indefinite;
    }
    uint64_t hi = a.sig, lo = 0;
    if (a.exp < 63)
        shift_right_jam(&hi, &lo, (unsigned)(63 - a.exp));
    bool up = fp_round_up(e->rc, a.sign, hi & 1, lo);
    hi += up;
    uint64_t limit = (1ull << (bits - 1)) - !a.sign;
    if (hi > limit || (up && hi == 0)) {
        e->flags |= FPX_I;
        return indefinite;
    }
    if (lo) {
        e->flags |= FPX_P;
        e->up = up;
    }
    return a.sign ? (int64_t)-hi : (int64_t)hi;
}

struct fpnum fp_round_integral(struct fpenv *e, struct fpnum a)
{
    if (fp_is_nan(a))
        return fp_propagate1(e, a);
    if (a.cls != CLS_FINITE || a.exp >= 63)
        return a;
    if (a.denormal)
        e->flags |= FPX_D;
    uint64_t hi = a.sig, lo = 0;
    shift_right_jam(&hi, &lo, (unsigned)(63 - a.exp));
    bool up = fp_round_up(e->rc, a.sign, hi & 1, lo);
    if (lo && !fp_trapped_pre(e)) {
        e->flags |= FPX_P;
        e->up = up;
    }
    hi += up;
    if (hi == 0)
        return fp_zero(a.sign);
    int shift = __builtin_clzll(hi);
    return (
        struct fpnum){ .cls = CLS_FINITE, .sign = a.sign, .exp = 63 - shift, .sig = hi << shift };
}

struct fpnum fp_from_bcd(const uint8_t bcd[10])
{
    uint64_t v = 0;
    for (int i = 8; i >= 0; i--)
        v = v * 100 + (bcd[i] >> 4) * 10u + (bcd[i] & 15);
    struct fpnum a = fp_from_i64((int64_t)v);
    a.sign = bcd[9] >> 7;
    return a;
}

void fp_to_bcd(struct fpenv *e, struct fpnum a, uint8_t bcd[10])
{
    const int64_t limit = 999999999999999999;
    struct fpenv trial = *e;
    int64_t v = fp_to_int(&trial, a, 64);
    if ((trial.flags & FPX_I) || v > limit || v < -limit) {
        static const uint8_t indefinite[10] = { [7] = 0xc0, 0xff, 0xff };
        e->flags |= FPX_I;
        memcpy(bcd, indefinite, 10);
        return;
    }
    *e = trial;
    uint64_t digits = v < 0 ? -(uint64_t)v : (uint64_t)v;
    for (int i = 0; i < 9; i++, digits /= 100)
        bcd[i] = (uint8_t)(digits / 10 % 10 << 4 | digits % 10);
    bcd[9] = a.sign ? 0x80 : 0;
}
