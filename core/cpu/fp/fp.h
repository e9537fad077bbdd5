/*
 * IEEE 754 arithmetic on integers, with the exceptions of x87 and SSE.
 *
 * An operand is unpacked from its format (f32, f64 or the x87's f80) into struct fpnum, which holds
 * any of them exactly; an operation computes on fpnums and rounds once to a struct fpfmt; the
 * result is packed into the format of its destination. So every operation exists once for all
 * formats, and mixed ones (FADD m32) need no conversion that would lose a signalling NaN or a
 * denormal.
 *
 * struct fpenv carries the control bits in (rounding, masks, DAZ, FTZ) and the exceptions out. An
 * operation that meets an unmasked invalid, denormal or divide-by-zero exception raises no
 * overflow, underflow or precision exception after it; the caller sees that in fp_trapped_pre() and
 * discards the result. After an unmasked overflow or underflow the result has its exponent wrapped
 * by 3 * 2^(bits of exponent - 2), as x87 registers get it.
 *
 * Follows SDM vol. 1, 4.8, 4.9, 8.5 (x87) and 11.5 (SSE).
 */
#ifndef SLIPWAY_FP_H
#define SLIPWAY_FP_H

#include "cpu/cpu.h"

/* Exceptions; bit numbers of FSW, FCW's masks and MXCSR. */
enum { FPX_I = 1, FPX_D = 2, FPX_Z = 4, FPX_O = 8, FPX_U = 16, FPX_P = 32, FPX_ALL = 63 };
#define FPX_PRE (FPX_I | FPX_D | FPX_Z) /* found before the operation is computed */

/* Rounding control, as in FCW and MXCSR. */
enum fp_rounding { FP_NEAREST, FP_DOWN, FP_UP, FP_TRUNC };

struct fpenv {
    uint8_t rc;
    uint8_t unmasked; /* FPX_* whose mask is clear */
    uint8_t flags;    /* FPX_* raised */
    bool up;          /* rounding increased the magnitude (x87's C1) */
    bool sse;         /* NaN selection: first operand, instead of x87's rules */
    bool daz, ftz;
};

/* CLS_FINITE is non-zero; CLS_BAD are the encodings that the 387 and later don't support
 * (unnormals, pseudo-NaNs, pseudo-infinities): invalid operands everywhere. */
enum fp_class { CLS_FINITE, CLS_ZERO, CLS_INF, CLS_QNAN, CLS_SNAN, CLS_BAD };

/* Finite: (-1)^sign * sig * 2^(exp - 63). Operands are normalised (bit 63 of sig is set); a result
 * that is denormal in its format isn't. NaN: sig is the f80 significand. */
struct fpnum {
    uint64_t sig;
    int32_t exp;
    uint8_t cls;
    bool sign;
    bool denormal; /* the operand was denormal (or pseudo-denormal) */
};

struct fpfmt {
    int bits;       /* of precision, with the integer bit */
    int emin, emax; /* exponents of the smallest normal and of the largest number */
};
extern const struct fpfmt fp_f32, fp_f64, fp_f80;
extern const struct fpfmt fp_f80_pc[4]; /* f80's range, precision by FCW.PC */

#define FP_INTEGER_BIT  (1ull << 63)
#define FP_QUIET_BIT    (1ull << 62)
#define FP_DEFAULT_NAN  0xc000000000000000ull
#define F32_DEFAULT_NAN 0xffc00000u
#define F64_DEFAULT_NAN 0xfff8000000000000ull

static inline bool fp_trapped(const struct fpenv *e)
{
    return (e->flags & e->unmasked) != 0;
}
static inline bool fp_trapped_pre(const struct fpenv *e)
{
    return (e->flags & e->unmasked & FPX_PRE) != 0;
}
static inline bool fp_is_nan(struct fpnum a)
{
    return a.cls >= CLS_QNAN;
}

static inline struct f80 f80_make(bool sign, unsigned exp, uint64_t frac)
{
    return (struct f80){ .frac = frac, .se = (uint16_t)(exp | (unsigned)sign << 15) };
}
static inline struct fpnum fp_zero(bool sign)
{
    return (struct fpnum){ .cls = CLS_ZERO, .sign = sign };
}
static inline struct fpnum fp_inf(bool sign)
{
    return (struct fpnum){ .cls = CLS_INF, .sign = sign, .sig = 1ull << 63 };
}
/* The "real indefinite": what a masked invalid operation returns. */
static inline struct fpnum fp_default_nan(void)
{
    return (struct fpnum){ .cls = CLS_QNAN, .sign = true, .sig = FP_DEFAULT_NAN };
}

/* ---- formats (format.c) ---- */
/* f32 and f64 denormals read as zero with e->daz. */
struct fpnum fp_from_f32(const struct fpenv *e, uint32_t v);
struct fpnum fp_from_f64(const struct fpenv *e, uint64_t v);
struct fpnum fp_from_i64(int64_t v);
/* The number must have been rounded to that format. */
uint32_t fp_to_f32(struct fpnum a);
uint64_t fp_to_f64(struct fpnum a);

/* sig != 0, its binary point after bit 63 at exponent @exp. */
static inline struct fpnum fp_denormal_operand(bool sign, int exp, uint64_t sig)
{
    int shift = __builtin_clzll(sig);
    return (struct fpnum){
        .cls = CLS_FINITE, .sign = sign, .exp = exp - shift, .sig = sig << shift, .denormal = true
    };
}

/* Biased exponent of the packed number; denormals have no integer bit. */
static inline unsigned fp_pack_exp(struct fpnum a, unsigned ones)
{
    switch (a.cls) {
    case CLS_FINITE: return (a.sig & FP_INTEGER_BIT) ? (unsigned)(a.exp + (int)(ones >> 1)) : 0;
    case CLS_ZERO: return 0;
    default: return ones;
    }
}

static inline struct fpnum fp_from_f80(struct f80 v)
{
    int exp = v.se & 0x7fff;
    struct fpnum a = { .sign = v.se >> 15, .exp = exp - 16383, .sig = v.frac };
    if (exp == 0)
        return v.frac ? fp_denormal_operand(a.sign, -16382, v.frac) : fp_zero(a.sign);
    if (!(v.frac & FP_INTEGER_BIT))
        a.cls = CLS_BAD;
    else if (exp != 0x7fff)
        a.cls = CLS_FINITE;
    else
        a.cls = v.frac == FP_INTEGER_BIT ? CLS_INF : (v.frac & FP_QUIET_BIT) ? CLS_QNAN : CLS_SNAN;
    return a;
}

static inline struct f80 fp_to_f80(struct fpnum a)
{
    return f80_make(a.sign, fp_pack_exp(a, 0x7fff), a.cls == CLS_ZERO ? 0 : a.sig);
}

/* (-1)^sign * (hi + lo / 2^64) * 2^(exp - 63), rounded to @f with all its exceptions. hi has bit 63
 * set; in lo, all bits below the topmost may be sticky. */
struct fpnum fp_round(struct fpenv *e, const struct fpfmt *f, bool sign, int exp, uint64_t hi,
                      uint64_t lo);
/* Operand @a to format @f: FST m32/m64, FLD m32/m64, CVTSS2SD, CVTSD2SS. Denormal operands raise D
 * if @report_denormal. */
struct fpnum fp_convert(struct fpenv *e, struct fpnum a, const struct fpfmt *f,
                        bool report_denormal);
/* Rounds to a signed integer of @bits (16, 32, 64); out of range and NaN: invalid and the most
 * negative value. */
int64_t fp_to_int(struct fpenv *e, struct fpnum a, unsigned bits);
/* FRNDINT, ROUNDSS: round to an integral value. */
struct fpnum fp_round_integral(struct fpenv *e, struct fpnum a);

/* Packed BCD (FBLD, FBSTP): 18 digits and sign in 10 bytes. */
struct fpnum fp_from_bcd(const uint8_t bcd[10]);
void fp_to_bcd(struct fpenv *e, struct fpnum a, uint8_t bcd[10]);

/* ---- arithmetic (arith.c) ---- */
/* In the order of the operands lies which NaN wins under SSE's rule: a is the destination. */
struct fpnum fp_add(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f);
struct fpnum fp_sub(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f);
struct fpnum fp_mul(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f);
struct fpnum fp_div(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f);
struct fpnum fp_sqrt(struct fpenv *e, struct fpnum a, const struct fpfmt *f);

enum fp_relation { FP_LESS, FP_EQUAL, FP_GREATER, FP_UNORDERED };
/* @quiet: only signalling NaNs (and unsupported encodings) are invalid, as in FUCOM and UCOMISS. */
enum fp_relation fp_compare(struct fpenv *e, struct fpnum a, struct fpnum b, bool quiet);

/* FPREM (@nearest = false) and FPREM1. *quotient gets the low bits of the quotient; *partial is set
 * when the exponents were too far apart and the remainder is only a reduction (C2). */
struct fpnum fp_rem(struct fpenv *e, struct fpnum a, struct fpnum b, bool nearest,
                    uint64_t *quotient, bool *partial);
struct fpnum fp_scale(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f);

/* NaN results. One of the operands is a NaN or unsupported. */
struct fpnum fp_propagate(struct fpenv *e, struct fpnum a, struct fpnum b);
struct fpnum fp_propagate1(struct fpenv *e, struct fpnum a);
struct fpnum fp_invalid(struct fpenv *e);
static inline void fp_denormals(struct fpenv *e, struct fpnum a, struct fpnum b)
{
    if (a.denormal | b.denormal)
        e->flags |= FPX_D;
}

/* hi:lo / d with hi < d. */
uint64_t fp_div128(uint64_t hi, uint64_t lo, uint64_t d, uint64_t *rem);

#endif
