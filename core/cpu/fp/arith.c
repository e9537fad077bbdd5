/*
 * Addition, multiplication, division, square root, comparison, remainder and scaling of unpacked
 * numbers.
 *
 * Each operation first deals with NaNs and unsupported encodings, then with zeros and infinities,
 * then computes at least 64 bits and a sticky rest exactly and leaves the rounding to fp_round().
 * Exceptions are looked for in the order of SDM vol. 1, 4.9.2: a NaN operand hides a denormal one;
 * invalid and divide-by-zero come before denormal.
 */
#include <math.h>

#include "cpu/fp/round.h"
#include "cpu/fp/wide.h"

struct fpnum fp_invalid(struct fpenv *e)
{
    e->flags |= FPX_I;
    return fp_default_nan();
}

static struct fpnum quieted(struct fpnum a)
{
    a.cls = CLS_QNAN;
    a.sig |= FP_QUIET_BIT;
    return a;
}

struct fpnum fp_propagate1(struct fpenv *e, struct fpnum a)
{
    if (a.cls == CLS_BAD)
        return fp_invalid(e);
    if (a.cls == CLS_SNAN)
        e->flags |= FPX_I;
    return quieted(a);
}

/* SDM vol. 1, table 4-7. */
struct fpnum fp_propagate(struct fpenv *e, struct fpnum a, struct fpnum b)
{
    if (a.cls == CLS_BAD || b.cls == CLS_BAD)
        return fp_invalid(e);
    if (a.cls == CLS_SNAN || b.cls == CLS_SNAN)
        e->flags |= FPX_I;
    bool first;
    if (!fp_is_nan(a) || !fp_is_nan(b) || e->sse)
        first = fp_is_nan(a);
    else if (a.cls != b.cls)
        first = a.cls == CLS_QNAN;
    else if (a.sig != b.sig)
        first = a.sig > b.sig;
    else
        first = !a.sign;
    return quieted(first ? a : b);
}

/* Rounds a 128-bit significand whose bit 127 has the weight 2^exp. */
static inline struct fpnum round_wide(struct fpenv *e, const struct fpfmt *f, bool sign, int exp,
                                      u128 v)
{
    unsigned shift = clz128(v);
    v = shl128(v, shift);
    return fp_round_inline(e, f, sign, exp - (int)shift, hi64(v), (uint64_t)v);
}

static struct fpnum add_signed(struct fpenv *e, struct fpnum a, struct fpnum b,
                               const struct fpfmt *f)
{
    if (unlikely(a.cls | b.cls)) {
        if (fp_is_nan(a) || fp_is_nan(b))
            return fp_propagate(e, a, b);
        if (a.cls == CLS_INF && b.cls == CLS_INF && a.sign != b.sign)
            return fp_invalid(e);
        fp_denormals(e, a, b);
        if (a.cls == CLS_INF)
            return a;
        if (b.cls == CLS_INF)
            return b;
        if (a.cls == CLS_ZERO && b.cls == CLS_ZERO)
            return fp_zero(a.sign == b.sign ? a.sign : e->rc == FP_DOWN);
        if (a.cls == CLS_ZERO)
            a = b;
        return fp_round(e, f, a.sign, a.exp, a.sig, 0);
    }
    fp_denormals(e, a, b);
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) {
        struct fpnum t = a;
        a = b;
        b = t;
    }
    int distance = a.exp - b.exp;
    u128 x = make128(a.sig, 0), y = make128(b.sig, 0);
    if (distance >= 128)
        y = 1;
    else if (distance > 64)
        y = (b.sig >> (distance - 64)) | (shl128(y, (unsigned)(128 - distance)) != 0);
    else if (distance)
        y = shr128(y, (unsigned)distance);
    if (a.sign == b.sign) {
        u128 sum = x + y;
        if (sum >= x)
            return fp_round(e, f, a.sign, a.exp, hi64(sum), (uint64_t)sum);
        sum = make128(1ull << 63, 0) | sum >> 1 | (sum & 1);
        return fp_round(e, f, a.sign, a.exp + 1, hi64(sum), (uint64_t)sum);
    }
    if (x == y)
        return fp_zero(e->rc == FP_DOWN);
    return round_wide(e, f, a.sign, a.exp, x - y);
}

struct fpnum fp_add(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f)
{
    return add_signed(e, a, b, f);
}

struct fpnum fp_sub(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f)
{
    if (!fp_is_nan(b))
        b.sign = !b.sign;
    return add_signed(e, a, b, f);
}

struct fpnum fp_mul(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f)
{
    bool sign = a.sign ^ b.sign;
    if (unlikely(a.cls | b.cls)) {
        if (fp_is_nan(a) || fp_is_nan(b))
            return fp_propagate(e, a, b);
        if ((a.cls == CLS_INF && b.cls == CLS_ZERO) || (a.cls == CLS_ZERO && b.cls == CLS_INF))
            return fp_invalid(e);
        fp_denormals(e, a, b);
        return a.cls == CLS_INF || b.cls == CLS_INF ? fp_inf(sign) : fp_zero(sign);
    }
    fp_denormals(e, a, b);
    u128 product = mul64(a.sig, b.sig);
    int exp = a.exp + b.exp + 1;
    if (!(hi64(product) >> 63)) {
        product <<= 1;
        exp--;
    }
    return fp_round_inline(e, f, sign, exp, hi64(product), (uint64_t)product);
}

uint64_t fp_div128(uint64_t hi, uint64_t lo, uint64_t d, uint64_t *rem)
{
    /* Two digits of 32 bits, each estimated from the divisor's upper half and corrected (Knuth,
     * algorithm D). */
    int shift = __builtin_clzll(d);
    if (shift) {
        d <<= shift;
        hi = hi << shift | lo >> (64 - shift);
        lo <<= shift;
    }
    uint64_t d1 = d >> 32, d0 = d & 0xffffffff, q = 0;
    for (int digit = 0; digit < 2; digit++) {
        uint64_t next = digit ? lo & 0xffffffff : lo >> 32;
        uint64_t qd = hi / d1, r = hi - qd * d1;
        while (qd >> 32 || qd * d0 > (r << 32 | next)) {
            qd--;
            r += d1;
            if (r >> 32)
                break;
        }
        hi = (hi << 32 | next) - qd * d;
        q = q << 32 | qd;
    }
    *rem = hi >> shift;
    return q;
}

struct fpnum fp_div(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f)
{
    bool sign = a.sign ^ b.sign;
    if (unlikely(a.cls | b.cls)) {
        if (fp_is_nan(a) || fp_is_nan(b))
            return fp_propagate(e, a, b);
        if (a.cls == b.cls) /* 0/0, inf/inf */
            return fp_invalid(e);
        if (b.cls == CLS_ZERO && a.cls == CLS_FINITE)
            e->flags |= FPX_Z; /* a denormal dividend isn't reported */
        else
            fp_denormals(e, a, b);
        return a.cls == CLS_INF || b.cls == CLS_ZERO ? fp_inf(sign) : fp_zero(sign);
    }
    fp_denormals(e, a, b);
    /* The dividend is placed so that the quotient has exactly 64 bits. */
    bool big = a.sig >= b.sig;
    uint64_t rem, hi = big ? a.sig >> 1 : a.sig, lo = big ? a.sig << 63 : 0;
    uint64_t q = fp_div128(hi, lo, b.sig, &rem);
    uint64_t rest = 0;
    if (rem) {
        bool half = rem >= b.sig - rem;
        rest = half ? FP_INTEGER_BIT | (rem != b.sig - rem) : 1;
    }
    return fp_round_inline(e, f, sign, a.exp - b.exp - !big, q, rest);
}

struct fpnum fp_sqrt(struct fpenv *e, struct fpnum a, const struct fpfmt *f)
{
    if (unlikely(a.cls)) {
        if (fp_is_nan(a))
            return fp_propagate1(e, a);
        if (a.cls == CLS_ZERO || !a.sign)
            return a;
        return fp_invalid(e);
    }
    if (a.sign)
        return fp_invalid(e);
    fp_denormals(e, a, a);
    /* root = floor(sqrt(v)) of a v with 127 or 128 bits: 52 bits from the host's square root, the
     * rest by one Newton step, at most a unit or two off. */
    bool odd = a.exp & 1;
    u128 v = (u128)a.sig << (odd ? 64 : 63);
    double estimate = sqrt((double)hi64(v)) * 4294967296.0;
    uint64_t root = estimate >= 18446744073709551615.0 ? UINT64_MAX : (uint64_t)estimate;
    __int128 error = (__int128)(v - mul64(root, root));
    double step = (double)error / (2.0 * estimate);
    root = step > (double)(UINT64_MAX - root) ? UINT64_MAX : root + (uint64_t)(int64_t)step;
    while (mul64(root, root) > v)
        root--;
    while (root != UINT64_MAX && mul64(root + 1, root + 1) <= v)
        root++;
    u128 rest = v - mul64(root, root);
    /* sqrt(v) > root + 1/2 exactly when rest > root. */
    uint64_t lo = rest == 0 ? 0 : rest > root ? FP_INTEGER_BIT | 1 : 1;
    return fp_round(e, f, false, a.exp >> 1, root, lo);
}

enum fp_relation fp_compare(struct fpenv *e, struct fpnum a, struct fpnum b, bool quiet)
{
    if (unlikely(fp_is_nan(a) || fp_is_nan(b))) {
        if (!quiet || a.cls > CLS_QNAN || b.cls > CLS_QNAN)
            e->flags |= FPX_I;
        return FP_UNORDERED;
    }
    fp_denormals(e, a, b);
    if (a.cls == CLS_ZERO && b.cls == CLS_ZERO)
        return FP_EQUAL;
    if (a.cls == CLS_ZERO)
        return b.sign ? FP_GREATER : FP_LESS;
    if (b.cls == CLS_ZERO || a.sign != b.sign)
        return a.sign ? FP_LESS : FP_GREATER;
    int order = a.cls != b.cls     ? (a.cls == CLS_INF ? 1 : -1)
                : a.cls == CLS_INF ? 0
                : a.exp != b.exp   ? (a.exp > b.exp ? 1 : -1)
                                   : (a.sig > b.sig) - (a.sig < b.sig);
    return order == 0 ? FP_EQUAL : (order > 0) != a.sign ? FP_GREATER : FP_LESS;
}

struct fpnum fp_rem(struct fpenv *e, struct fpnum a, struct fpnum b, bool nearest,
                    uint64_t *quotient, bool *partial)
{
    *quotient = 0;
    *partial = false;
    if (fp_is_nan(a) || fp_is_nan(b))
        return fp_propagate(e, a, b);
    if (a.cls == CLS_INF || b.cls == CLS_ZERO)
        return fp_invalid(e);
    fp_denormals(e, a, b);
    if (a.cls == CLS_ZERO)
        return a;
    if (b.cls == CLS_INF)
        return fp_round(e, &fp_f80, a.sign, a.exp, a.sig, 0);

    int distance = a.exp - b.exp;
    if (distance < -1 || (distance < 0 && !nearest))
        return fp_round(e, &fp_f80, a.sign, a.exp, a.sig, 0);
    *partial = distance >= 64;
    /* A partial step takes off as many bits as leave the distance a multiple of 32 and below it by
     * at least 32. */
    int steps = *partial ? (distance & 31) + 32 : distance;
    uint64_t rem, q;
    bool carry = a.sig >= b.sig; /* first bit of the quotient */
    bool sign = a.sign;
    if (distance < 0) {
        q = 0;
        rem = a.sig >> 1; /* compared with b.sig below; the bit lost makes no tie as it would need
                             sig = 2 * b.sig */
        carry = false;
    } else {
        rem = carry ? a.sig - b.sig : a.sig;
        q = carry;
        /* rem < b.sig: bring down @steps zero bits. */
        u128 v = shl128(rem, (unsigned)steps);
        q = (q << steps) | fp_div128(hi64(v), (uint64_t)v, b.sig, &rem);
    }
    *quotient = q;
    int exp = b.exp + (distance - steps);
    if (distance < 0) {
        /* a = b.exp - 1: |a| > |b| / 2 rounds to b, the remainder is a - b. */
        if (a.sig <= b.sig)
            return fp_round(e, &fp_f80, a.sign, a.exp, a.sig, 0);
        *quotient = 1;
        u128 d = ((u128)b.sig << 1) - a.sig;
        return round_wide(e, &fp_f80, !a.sign, a.exp + 64, d);
    }
    if (nearest && !*partial) {
        uint64_t other = b.sig - rem;
        if (rem > other || (rem == other && (q & 1))) {
            rem = other;
            sign = !sign;
            *quotient = q + 1;
        }
    }
    if (rem == 0)
        return fp_zero(a.sign);
    return round_wide(e, &fp_f80, sign, exp + 64, rem);
}

struct fpnum fp_scale(struct fpenv *e, struct fpnum a, struct fpnum b, const struct fpfmt *f)
{
    if (fp_is_nan(a) || fp_is_nan(b))
        return fp_propagate(e, a, b);
    if (b.cls == CLS_INF && ((a.cls == CLS_ZERO && !b.sign) || (a.cls == CLS_INF && b.sign)))
        return fp_invalid(e);
    fp_denormals(e, a, b);
    if (b.cls == CLS_INF)
        return b.sign ? fp_zero(a.sign) : fp_inf(a.sign);
    if (a.cls != CLS_FINITE)
        return a;
    int n = 0;
    if (b.cls == CLS_FINITE && b.exp >= 0)
        n = b.exp > 16 ? 0x1ffff : (int)(b.sig >> (63 - b.exp));
    if (b.sign)
        n = -n;
    if (fp_trapped_pre(e))
        return a;
    /* Where even a wrapped exponent would be out of range, infinity or zero is the answer to an
     * unmasked exception. */
    const int wrap = 3 << 13;
    if ((e->unmasked & FPX_O) && a.exp + n - wrap > f->emax) {
        e->flags |= FPX_O | FPX_P;
        e->up = true;
        return fp_inf(a.sign);
    }
    if ((e->unmasked & FPX_U) && a.exp + n + wrap < f->emin) {
        e->flags |= FPX_U | FPX_P;
        return fp_zero(a.sign);
    }
    return fp_round(e, f, a.sign, a.exp + n, a.sig, 0);
}
