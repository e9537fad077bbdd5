/*
 * Rounding, in a header because the operations of arith.c are faster with it inlined.
 *
 * fp_round() is where all of overflow, underflow and precision come from. A number is tiny if it is
 * below the format's smallest normal after rounding with an unbounded exponent (SDM vol.
 * 1, 4.9.1.5). A tiny result with the underflow exception masked is denormalised and then rounded
 * once, from the unrounded value; underflow is raised only if that was inexact. Precision control
 * narrows f80 results but leaves their exponent range, so a denormal result loses its bits at the
 * place of the narrower precision too.
 */
#ifndef SLIPWAY_FP_ROUND_H
#define SLIPWAY_FP_ROUND_H

#include "cpu/fp/fp.h"

/* Whether dropping bits worth @lost (top-aligned: half a unit is bit 63) rounds the magnitude up.
 */
static inline bool fp_round_up(unsigned rc, bool sign, bool odd, uint64_t lost)
{
    switch (rc) {
    case FP_NEAREST: return lost > FP_INTEGER_BIT || (lost == FP_INTEGER_BIT && odd);
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
    *up = fp_round_up(e->rc, sign, (hi & ulp) != 0, lost);
    return *up ? hi + ulp : hi;
}

static inline struct fpnum fp_overflow(struct fpenv *e, const struct fpfmt *f, bool sign)
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

static inline struct fpnum fp_round_inline(struct fpenv *e, const struct fpfmt *f, bool sign,
                                           int exp, uint64_t hi, uint64_t lo)
{
    struct fpnum r = { .cls = CLS_FINITE, .sign = sign, .exp = exp };
    int wrap = 3 << (f->emax < 128 ? 6 : f->emax < 1024 ? 9 : 13);
    bool inexact, up;

    r.sig = round_bits(e, sign, f->bits, hi, lo, &inexact, &up);
    if (r.sig == 0) {
        r.sig = FP_INTEGER_BIT;
        r.exp++;
    }
    if (fp_trapped_pre(e))
        return r;
    if (unlikely(r.exp > f->emax)) {
        if (!(e->unmasked & FPX_O))
            return fp_overflow(e, f, sign);
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

#endif
