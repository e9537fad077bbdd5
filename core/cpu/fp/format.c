/*
 * The formats: unpacking, the one rounding function, packing, and conversions between formats and
 * to integers.
 *
 * fp_round() is where all of overflow, underflow and precision come from. A number is tiny if it is
 * below the format's smallest normal after rounding with an unbounded exponent (SDM vol.
 * 1, 4.9.1.5). A tiny result with the underflow exception masked is denormalised and then rounded
 * once, from the unrounded value; underflow is raised only if that was inexact. Precision control
 * narrows f80 results but leaves their exponent range, so a denormal result loses its bits at the
 * place of the narrower precision too.
 */
#include <string.h>

#include "cpu/fp/fp.h"

const struct fpfmt fp_f32 = { 24, -126, 127 };
const struct fpfmt fp_f64 = { 53, -1022, 1023 };
const struct fpfmt fp_f80 = { 64, -16382, 16383 };
const struct fpfmt fp_f80_pc[4] = {
    { 24, -16382, 16383 },
    { 64, -16382, 16383 },
    { 53, -16382, 16383 },
    { 64, -16382, 16383 },
};

#define INTEGER_BIT (1ull << 63)
#define QUIET_BIT   (1ull << 62)

/* sig != 0, its binary point after bit 63 at exponent @exp. */
static struct fpnum denormal_operand(bool sign, int exp, uint64_t sig)
{
    int shift = __builtin_clzll(sig);
    return (struct fpnum){
        .cls = CLS_FINITE, .sign = sign, .exp = exp - shift, .sig = sig << shift, .denormal = true
    };
}

/* @exp: biased, of a format with exponent bits all ones = @ones; @frac: fraction without integer
 * bit, at bits 62..0. */
static inline struct fpnum unpack(bool sign, int exp, int ones, uint64_t frac, bool daz)
{
    struct fpnum a = { .sign = sign, .exp = exp - (ones >> 1), .sig = frac | INTEGER_BIT };
    if (likely(exp != 0 && exp != ones)) {
        a.cls = CLS_FINITE;
    } else if (exp == ones) {
        a.cls = frac == 0 ? CLS_INF : (frac & QUIET_BIT) ? CLS_QNAN : CLS_SNAN;
    } else if (frac == 0 || daz) {
        return fp_zero(sign);
    } else {
        return denormal_operand(sign, 1 - (ones >> 1), frac);
    }
    return a;
}

struct fpnum fp_from_f32(const struct fpenv *e, uint32_t v)
{
    return unpack(v >> 31, v >> 23 & 0xff, 0xff, (uint64_t)(v & 0x7fffff) << 40, e->daz);
}

struct fpnum fp_from_f64(const struct fpenv *e, uint64_t v)
{
    return unpack(v >> 63, v >> 52 & 0x7ff, 0x7ff, v << 11 & ~INTEGER_BIT, e->daz);
}

struct fpnum fp_from_f80(struct f80 v)
{
    int exp = v.se & 0x7fff;
    struct fpnum a = { .sign = v.se >> 15, .exp = exp - 16383, .sig = v.frac };
    if (exp == 0)
        return v.frac ? denormal_operand(a.sign, -16382, v.frac) : fp_zero(a.sign);
    if (!(v.frac & INTEGER_BIT))
        a.cls = CLS_BAD;
    else if (exp != 0x7fff)
        a.cls = CLS_FINITE;
    else
        a.cls = v.frac == INTEGER_BIT ? CLS_INF : (v.frac & QUIET_BIT) ? CLS_QNAN : CLS_SNAN;
    return a;
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

/* Biased exponent of the packed number; denormals have no integer bit. */
static inline unsigned pack_exp(struct fpnum a, unsigned ones)
{
    switch (a.cls) {
    case CLS_FINITE: return (a.sig & INTEGER_BIT) ? (unsigned)(a.exp + (int)(ones >> 1)) : 0;
    case CLS_ZERO: return 0;
    default: return ones;
    }
}

uint32_t fp_to_f32(struct fpnum a)
{
    uint32_t frac = a.cls == CLS_ZERO ? 0 : (uint32_t)(a.sig >> 40) & 0x7fffff;
    return (uint32_t)a.sign << 31 | pack_exp(a, 0xff) << 23 | frac;
}

uint64_t fp_to_f64(struct fpnum a)
{
    uint64_t frac = a.cls == CLS_ZERO ? 0 : a.sig >> 11 & 0xfffffffffffffull;
    return (uint64_t)a.sign << 63 | (uint64_t)pack_exp(a, 0x7ff) << 52 | frac;
}

struct f80 fp_to_f80(struct fpnum a)
{
    return f80_make(a.sign, pack_exp(a, 0x7fff), a.cls == CLS_ZERO ? 0 : a.sig);
}

/* Whether dropping bits worth @lost (top-aligned: half a unit is bit 63) rounds the magnitude up.
 */
static inline bool round_up(unsigned rc, bool sign, bool odd, uint64_t lost)
{
    switch (rc) {
    case FP_NEAREST: return lost > INTEGER_BIT || (lost == INTEGER_BIT && odd);
    case FP_DOWN: return sign && lost;
    case FP_UP: return !sign && lost;
    default: return false;
    }
}

/* Rounds hi:lo to its upper @bits (1..64); false in *inexact: nothing was lost. A carry out of bit
 * 63 returns 0. */
static inline uint64_t round_bits(const struct fpenv *e, bool sign, int bits, uint64_t hi,
                                  uint64_t lo, bool *inexact, bool *up)
{
    uint64_t ulp = 1ull << (64 - bits);
    uint64_t lost = bits == 64 ? lo : hi << bits | (lo != 0);
    hi &= -ulp;
    *inexact = lost != 0;
    *up = round_up(e->rc, sign, (hi & ulp) != 0, lost);
    return *up ? hi + ulp : hi;
}

static struct fpnum overflow(struct fpenv *e, const struct fpfmt *f, bool sign)
{
    e->flags |= FPX_O | FPX_P;
    e->up = e->rc == FP_NEAREST || e->rc == (sign ? FP_DOWN : FP_UP);
    if (e->up)
        return fp_inf(sign);
    return (struct fpnum){
        .cls = CLS_FINITE, .sign = sign, .exp = f->emax, .sig = -(1ull << (64 - f->bits))
    };
}

/* @n >= 1: shift right, lost bits sticky. */
static inline void shift_right_jam(uint64_t *hi, uint64_t *lo, unsigned n)
{
    if (n < 64) {
        *lo = *hi << (64 - n) | *lo >> n | (*lo << (64 - n) != 0);
        *hi >>= n;
    } else if (n < 128) {
        bool sticky = *lo != 0 || (n > 64 && *hi << (128 - n) != 0);
        *lo = *hi >> (n - 64) | sticky;
        *hi = 0;
    } else {
        *lo = (*hi | *lo) != 0;
        *hi = 0;
    }
}

struct fpnum fp_round(struct fpenv *e, const struct fpfmt *f, bool sign, int exp, uint64_t hi,
                      uint64_t lo)
{
    struct fpnum r = { .cls = CLS_FINITE, .sign = sign, .exp = exp };
    int wrap = 3 << (f->emax < 128 ? 6 : f->emax < 1024 ? 9 : 13);
    bool inexact, up;

    r.sig = round_bits(e, sign, f->bits, hi, lo, &inexact, &up);
    if (r.sig == 0) {
        r.sig = INTEGER_BIT;
        r.exp++;
    }
    if (fp_trapped_pre(e))
        return r;
    if (unlikely(r.exp > f->emax)) {
        if (!(e->unmasked & FPX_O))
            return overflow(e, f, sign);
        e->flags |= FPX_O;
        r.exp -= wrap;
    } else if (unlikely(exp < f->emin)) {
        bool tiny = r.exp < f->emin;
        if (tiny && (e->unmasked & FPX_U)) {
            e->flags |= FPX_U;
            r.exp += wrap;
        } else {
            shift_right_jam(&hi, &lo, (unsigned)(f->emin - exp));
            r.sig = round_bits(e, sign, f->bits, hi, lo, &inexact, &up);
            r.exp = f->emin;
            if (tiny && e->ftz) {
                e->flags |= FPX_U | FPX_P;
                return fp_zero(sign);
            }
            if (tiny && inexact)
                e->flags |= FPX_U;
            if (r.sig == 0)
                r.cls = CLS_ZERO;
        }
    }
    if (inexact) {
        e->flags |= FPX_P;
        e->up = up;
    }
    return r;
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
    bool up = round_up(e->rc, a.sign, hi & 1, lo);
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
    bool up = round_up(e->rc, a.sign, hi & 1, lo);
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
