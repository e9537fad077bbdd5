/*
 * Transcendental functions of the x87, to about 2^-95 of the result, so that after rounding they
 * are the nearest f80 except where hardware isn't quite.
 *
 * Values between steps are struct wide: 128 bits of significand. Each function reduces its argument
 * to a short interval, sums a Taylor series in 128-bit fixed point by Horner's rule, and puts the
 * result together again; small results keep their relative precision because the series computes
 * f(x) / x. The reduction of the trigonometric functions is exact, modulo the 66 bits of pi that
 * x87 hardware uses (SDM vol. 1, 8.3.8), so large arguments give what hardware gives.
 */
#include "cpu/fp/trans.h"
#include "cpu/fp/trans_tables.h"
#include "cpu/fp/wide.h"

#define TOP       ((u128)1 << 127)
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define W(words)  ((u128)(words).hi << 64 | (words).lo)
#define LN2       W(trans_constants[0]) /* units of 2^-128 */
#define HALF_PI   W(trans_constants[1]) /* units of 2^-126 */
#define PI        W(trans_constants[2])
#define SQRT2     0xb504f333f9de6484ull /* units of 2^-63 */
#define TAN_SMALL (-34)
#define PI_66                                                                                      \
    (((u128)0xc90fdaa22168c234ull << 2) | 3) /* pi in units of 2^-64, pi / 2 in units of 2^-65 */

/* (-1)^sign * sig * 2^(exp - 127), bit 127 of sig set (or all zero). */
struct wide {
    u128 sig;
    int exp;
    bool sign;
};

static struct wide normalised(bool sign, int exp, u128 sig)
{
    if (sig) {
        unsigned shift = clz128(sig);
        sig = shl128(sig, shift);
        exp -= (int)shift;
    }
    return (struct wide){ sig, exp, sign };
}

static struct wide widened(struct fpnum a)
{
    return (struct wide){ make128(a.sig, 0), a.exp, a.sign };
}

/* Upper half of the product; may be a few units too small. */
static inline u128 mul_high(u128 a, u128 b)
{
    u128 m = mul64(hi64(a), (uint64_t)b), n = mul64((uint64_t)a, hi64(b));
    return mul64(hi64(a), hi64(b)) + hi64(m) + hi64(n);
}

static struct wide mul(struct wide a, struct wide b)
{
    return normalised(a.sign ^ b.sign, a.exp + b.exp + 1, mul_high(a.sig, b.sig));
}

/* *n * 2^64 / d for *n < d, bit 127 of d set; *n becomes the remainder. */
static uint64_t div_digit(u128 *n, u128 d)
{
    uint64_t rem, q = UINT64_MAX;
    if (hi64(*n) < hi64(d))
        q = fp_div128(hi64(*n), (uint64_t)*n, hi64(d), &rem);
    u128 high = *n - mul64(q, hi64(d)), low = mul64(q, (uint64_t)d);
    while (!hi64(high) && (high << 64) < low) {
        q--;
        high += hi64(d);
        low -= (uint64_t)d;
    }
    *n = (high << 64) - low;
    return q;
}

/* n / d * 2^128 */
static u128 div_fraction(u128 n, u128 d)
{
    uint64_t high = div_digit(&n, d);
    return make128(high, div_digit(&n, d));
}

static struct wide div(struct wide a, struct wide b)
{
    int exp = a.exp - b.exp - 1;
    if (a.sig >= b.sig) {
        a.sig >>= 1;
        exp++;
    }
    return normalised(a.sign ^ b.sign, exp, div_fraction(a.sig, b.sig));
}

/* |a| < 1 in units of 2^-128. */
static u128 to_fraction(struct wide a)
{
    int shift = -1 - a.exp;
    return shift >= 128 ? 0 : shr128(a.sig, (unsigned)shift);
}

/* Sum of c[k] * z^k, z in units of 2^-128; @minus: alternating signs. z is so small that from term
 * @narrow on 64 bits are enough. */
static inline u128 series(const struct words *c, unsigned count, unsigned narrow, u128 z,
                          bool minus)
{
    unsigned k = count - 1;
    uint64_t high = c[k].hi;
    while (k-- > narrow) {
        uint64_t term = hi64(mul64(high, hi64(z)));
        high = minus ? c[k].hi - term : c[k].hi + term;
    }
    u128 sum = make128(high, 0);
    for (k++; k-- > 0;)
        sum = minus ? W(c[k]) - mul_high(sum, z) : W(c[k]) + mul_high(sum, z);
    return sum;
}
#define SERIES(table, narrow, z, minus) series(table, COUNT(table), narrow, z, minus)

/* x * sum, sum in units of 2^-@unit. A sum of 1 is less than 1 by less than its last bit. */
static struct wide times_series(struct wide x, u128 sum, int unit)
{
    if (sum == (u128)1 << unit)
        sum--;
    return mul(x, normalised(false, 127 - unit, sum));
}

/* The result is irrational: never exact. */
static struct fpnum rounded(struct fpenv *e, struct wide a)
{
    return fp_round(e, &fp_f80, a.sign, a.exp, hi64(a.sig), (uint64_t)a.sig | 1);
}

/* ---- sine, cosine, tangent ---- */

/* a = quadrant * pi / 2 + *r, |*r| <= pi / 4. */
static unsigned reduce(struct fpnum a, struct wide *r)
{
    *r = widened(a);
    /* pi / 4 = 0xc90f... * 2^-64 */
    if (a.exp < -1 || (a.exp == -1 && a.sig <= 0xc90fdaa22168c234ull))
        return 0;
    /* In units of 2^-65, a is sig * 2^left: one digit of a division, or less than pi / 2. */
    int left = a.exp + 2;
    u128 rem = (u128)a.sig << 1;
    uint64_t quotient = 0;
    if (left > 1) {
        rem = shr128((u128)a.sig << 62, (unsigned)(64 - left));
        quotient = div_digit(&rem, PI_66 << 62);
        rem >>= 62;
    }
    unsigned quadrant = (unsigned)quotient & 3;
    bool sign = a.sign;
    if (rem > PI_66 / 2) {
        rem = PI_66 - rem;
        sign = !sign;
        quadrant++;
    }
    *r = normalised(sign, 127 - 65, rem);
    return a.sign ? -quadrant & 3 : quadrant & 3;
}

static struct wide sine_of(struct wide r, u128 z)
{
    return times_series(r, SERIES(sin_series, 7, shr128(z, 5), true), 124);
}

static struct wide cosine_of(u128 z)
{
    return times_series((struct wide){ TOP, 0, false }, SERIES(cos_series, 8, shr128(z, 4), true),
                        124);
}

/* The tangent of a small angle is a little more than the angle. Hardware rounds as if it were a
 * little less, and takes powers of two for exact (but reports precision). */
static struct fpnum small_tangent(struct fpenv *e, struct wide r)
{
    if (r.sig != TOP)
        return rounded(e, times_series(r, TOP, 127));
    struct fpnum t = fp_round(e, &fp_f80, r.sign, r.exp, hi64(r.sig), 0);
    if (!fp_trapped_pre(e))
        e->flags |= FPX_P | (r.exp < fp_f80.emin ? FPX_U : 0);
    return t;
}

bool fp_trig(struct fpenv *e, struct fpnum a, struct fpnum *sine, struct fpnum *cosine,
             struct fpnum *tangent)
{
    struct fpnum dummy;
    sine = sine ? sine : &dummy;
    if (a.cls != CLS_FINITE) {
        struct fpnum r = fp_is_nan(a) ? fp_propagate1(e, a) : a.cls == CLS_INF ? fp_invalid(e) : a;
        struct fpnum one = { .cls = CLS_FINITE, .sig = 1ull << 63 };
        *sine = r;
        if (cosine)
            *cosine = a.cls == CLS_ZERO ? one : r;
        if (tangent)
            *tangent = r;
        return true;
    }
    if (a.exp >= 63)
        return false;
    fp_denormals(e, a, a);
    struct wide r;
    unsigned quadrant = reduce(a, &r);
    u128 z = to_fraction(mul(r, r));
    struct wide s = sine_of(r, z), c = cosine_of(z);
    if (quadrant & 1) {
        struct wide t = s;
        s = c;
        c = t;
        c.sign = !c.sign;
    }
    if (quadrant & 2) {
        s.sign = !s.sign;
        c.sign = !c.sign;
    }
    if (tangent) {
        bool small = r.exp < TAN_SMALL && !(quadrant & 1);
        *tangent = small ? small_tangent(e, r) : rounded(e, div(s, c));
        return true;
    }
    if (cosine)
        *cosine = rounded(e, c);
    if (sine != &dummy)
        *sine = rounded(e, s); /* last: C1 of FSINCOS is the sine's */
    return true;
}

/* ---- 2^x - 1 ---- */

struct fpnum fp_2xm1(struct fpenv *e, struct fpnum a)
{
    if (fp_is_nan(a))
        return fp_propagate1(e, a);
    if (a.cls == CLS_ZERO)
        return a;
    if (a.cls == CLS_INF)
        return a.sign ? fp_from_i64(-1) : a;
    fp_denormals(e, a, a);
    if (a.exp >= 0) { /* 1 and -1 are exact; what lies outside is undefined, hardware returns it */
        if (!fp_trapped_pre(e))
            e->flags |= FPX_P;
        if (a.sign && a.exp == 0 && a.sig == 1ull << 63)
            a.exp = -1;
        return a;
    }
    struct wide y = mul(widened(a), (struct wide){ LN2, -1, false });
    u128 sum = SERIES(expm1_series, 11, shr128(to_fraction(y), 3), y.sign);
    return rounded(e, times_series(y, sum, 122));
}

/* ---- logarithm ---- */

/* log2((1 + s) / (1 - s)) with s = num / den, both in the same unit. */
static struct wide log2_ratio(bool sign, struct wide num, struct wide den)
{
    struct wide s = div(num, den);
    s.sign = sign;
    u128 z = to_fraction(mul(s, s));
    return times_series(s, SERIES(log2_series, 8, z, false), 126);
}

/* a + b, not both zero and not equal. */
static struct wide add(struct wide a, struct wide b)
{
    if (a.sig == 0)
        return b;
    if (b.sig == 0)
        return a;
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) {
        struct wide t = a;
        a = b;
        b = t;
    }
    unsigned shift = (unsigned)(a.exp - b.exp) + 1;
    u128 x = a.sig >> 1, y = shift >= 128 ? 0 : shr128(b.sig, shift);
    return normalised(a.sign, a.exp + 1, a.sign == b.sign ? x + y : x - y);
}

/* log2(w * 2^exp), w in [1, 2) in units of 2^-127. */
static struct wide log2_of(u128 w, int exp)
{
    u128 one = TOP;
    if (hi64(w) > SQRT2) { /* the other side of 1 is nearer */
        exp++;
        w >>= 1;
        one = TOP;
    }
    bool below = w < one;
    u128 distance = below ? one - w : w - one;
    struct fpnum k = fp_from_i64(exp);
    struct wide integer = k.cls == CLS_ZERO ? (struct wide){ 0 } : widened(k);
    if (distance == 0)
        return integer;
    struct wide num = normalised(false, 0, distance);
    struct wide den = normalised(false, 1, (w >> 1) + (one >> 1));
    return add(integer, log2_ratio(below, num, den));
}

/* y * log, where the logarithm is known to be finite and not 0. */
static struct fpnum times_log(struct fpenv *e, struct fpnum y, struct wide log)
{
    if (y.cls == CLS_INF)
        return fp_inf(y.sign ^ log.sign);
    if (y.cls == CLS_ZERO)
        return fp_zero(y.sign ^ log.sign);
    struct wide r = mul(widened(y), log);
    if (log.sig << 16)
        return rounded(e, r);
    /* An integer, of a power of two: exact, but hardware reports precision all the same. */
    struct fpnum product = fp_round(e, &fp_f80, r.sign, r.exp, hi64(r.sig), (uint64_t)r.sig);
    if (!fp_trapped_pre(e))
        e->flags |= FPX_P | (product.sig >> 63 ? 0 : FPX_U);
    return product;
}

struct fpnum fp_yl2x(struct fpenv *e, struct fpnum y, struct fpnum x)
{
    if (fp_is_nan(x) || fp_is_nan(y))
        return fp_propagate(e, x, y);
    if (x.sign && x.cls != CLS_ZERO)
        return fp_invalid(e);
    if (x.cls == CLS_ZERO) {
        if (y.cls == CLS_ZERO)
            return fp_invalid(e);
        if (y.cls == CLS_FINITE)
            e->flags |= FPX_Z;
        return fp_inf(!y.sign);
    }
    if (x.cls == CLS_INF) {
        if (y.cls == CLS_ZERO)
            return fp_invalid(e);
        fp_denormals(e, y, y);
        return fp_inf(y.sign);
    }
    bool one = x.exp == 0 && x.sig == 1ull << 63;
    if (one && y.cls == CLS_INF)
        return fp_invalid(e);
    fp_denormals(e, x, y);
    if (one)
        return fp_zero(y.sign);
    return times_log(e, y, log2_of((u128)x.sig << 64, x.exp));
}

struct fpnum fp_yl2xp1(struct fpenv *e, struct fpnum y, struct fpnum x)
{
    if (fp_is_nan(x) || fp_is_nan(y))
        return fp_propagate(e, x, y);
    if (x.cls == CLS_ZERO) {
        if (y.cls == CLS_INF)
            return fp_invalid(e);
        fp_denormals(e, y, y);
        return fp_zero(x.sign ^ y.sign);
    }
    if (x.cls == CLS_INF) {
        if (x.sign || y.cls == CLS_ZERO)
            return fp_invalid(e);
        fp_denormals(e, y, y);
        return fp_inf(y.sign);
    }
    fp_denormals(e, x, y);
    struct wide a = widened(x), one = { TOP, 0, false }, two = { TOP, 1, false };
    if (x.exp < -2) { /* log2(1 + x) = log2((1 + s) / (1 - s)), s = x / (2 + x) */
        struct wide magnitude = a;
        magnitude.sign = false;
        return times_log(e, y, log2_ratio(x.sign, magnitude, add(two, a)));
    }
    if (x.sign && x.exp >= 0) { /* undefined; hardware returns x */
        if (y.cls == CLS_INF)
            return fp_inf(!y.sign);
        if (y.cls == CLS_ZERO)
            return fp_zero(!y.sign);
        if (!fp_trapped_pre(e))
            e->flags |= FPX_P;
        return x;
    }
    struct wide w = add(one, a);
    return times_log(e, y, log2_of(w.sig, w.exp));
}

/* ---- arc tangent ---- */

struct fpnum fp_atan2(struct fpenv *e, struct fpnum y, struct fpnum x)
{
    if (fp_is_nan(x) || fp_is_nan(y))
        return fp_propagate(e, x, y);
    bool sign = y.sign;
    u128 angle; /* units of 2^-126 */
    fp_denormals(e, x, y);
    if (y.cls == CLS_ZERO || (x.cls == CLS_INF && y.cls != CLS_INF)) {
        if (!x.sign)
            return fp_zero(sign);
        angle = PI;
    } else if (x.cls == CLS_ZERO || (y.cls == CLS_INF && x.cls != CLS_INF)) {
        angle = HALF_PI;
    } else if (y.cls == CLS_INF) {
        angle = x.sign ? PI - HALF_PI / 2 : HALF_PI / 2;
    } else {
        bool steep = y.exp > x.exp || (y.exp == x.exp && y.sig > x.sig);
        struct wide small = widened(steep ? x : y), large = widened(steep ? y : x);
        small.sign = large.sign = false;
        /* tan(angle) = small / large, nearest i / 16: the rest has t = (16 small - i large) / (16
         * large + i small). */
        struct wide t = div(small, large);
        unsigned i = t.exp < -5 ? 0 : (unsigned)((t.sig >> (127 - 5 - t.exp)) + 1) >> 1;
        if (i) {
            /* Both in units of large's last bit; small is at most 5 bits below. */
            u128 one = large.sig >> 8, part = small.sig >> (8 + large.exp - small.exp);
            u128 a = part * 16, b = one * i;
            struct wide num = normalised(a < b, 0, a < b ? b - a : a - b);
            struct wide den = normalised(false, 0, one * 16 + part * i);
            t = num.sig ? div(num, den) : num;
        }
        struct wide rest = t;
        if (t.sig)
            rest = times_series(t, SERIES(atan_series, 4, to_fraction(mul(t, t)), true), 127);
        struct wide sum = i ? add(normalised(false, 0, W(atan_steps[i])), rest) : rest;
        if (!steep && !x.sign) {
            sum.sign = sign;
            return rounded(e, sum);
        }
        int shift = 1 - sum.exp;
        u128 fixed = shift >= 128 ? 1 : sum.sig >> shift;
        angle = steep ? (x.sign ? HALF_PI + fixed : HALF_PI - fixed) : PI - fixed;
    }
    struct wide r = normalised(sign, 1, angle);
    return rounded(e, r);
}
