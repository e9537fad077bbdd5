/*
 * Floating-point instructions of SSE, SSE2, SSE3 and SSE4.1, and their opcode table.
 *
 * An instruction computes all its lanes into a copy of the destination while a struct fpenv gathers
 * exceptions; then sse_commit() adds them to MXCSR, and either the destination is written or, if
 * one of them is unmasked, #XM (#UD without CR4.OSXMMEXCPT) leaves it as it was. If an unmasked
 * exception was found before computing in any lane, no lane reports one found afterwards (SDM vol.
 * 1, 11.5.2 and appendix E).
 *
 * Lanes are in sse_fp_width.h, with a fast path on the host's arithmetic; may_be_fast() tells if
 * MXCSR allows it. The host runs with round-to-nearest and without flush-to-zero, natively and in
 * WebAssembly.
 */
#include <math.h>

#include "cpu/sse.h"
#include "cpu/sse_fp.h"

#define MXCSR_PE  0x0020u
#define MXCSR_DAZ 0x0040u
#define MXCSR_PM  0x1000u
#define MXCSR_RC  0x6000u
#define MXCSR_FTZ 0x8000u

/* Constant arguments of these select the code: they must be inlined. */
#define INLINE static inline __attribute__((always_inline))

enum arith { ADD, SUB, MUL, DIV, SQRT_, MIN, MAX };

#define WIDTH 32
#include "cpu/sse_fp_width.h"
#define WIDTH 64
#include "cpu/sse_fp_width.h"

static inline struct fpenv sse_env(const struct cpu *c)
{
    return (struct fpenv){
        .rc = c->mxcsr >> 13 & 3,
        .unmasked = ~(c->mxcsr >> 7) & FPX_ALL,
        .sse = true,
        .daz = (c->mxcsr & MXCSR_DAZ) != 0,
        .ftz = (c->mxcsr & MXCSR_FTZ) != 0,
    };
}

static inline bool may_be_fast(const struct cpu *c)
{
    return (c->mxcsr & (MXCSR_RC | MXCSR_PM | MXCSR_PE)) == (MXCSR_PM | MXCSR_PE);
}

static bool sse_trap(struct cpu *c, struct fpenv *e)
{
    if (fp_trapped_pre(e))
        e->flags &= FPX_PRE;
    c->mxcsr |= e->flags;
    return cpu_fault_noerr(c, (c->cr4 & CR4_OSXMMEXCPT) ? EXC_XM : EXC_UD);
}

static inline bool sse_commit(struct cpu *c, struct fpenv *e)
{
    if (unlikely(fp_trapped(e)))
        return sse_trap(c, e);
    c->mxcsr |= e->flags;
    return true;
}

/* The source: all of an aligned m128 or register if @scalar is 0, else a memory operand of that
 * many bytes. */
INLINE bool source(struct cpu *c, const struct insn *i, union xmm *v, unsigned scalar)
{
    if (!sse_check(c))
        return false;
    return scalar ? sse_src_part(c, i, v, scalar) : sse_src(c, i, v);
}

/* ---- arithmetic ---- */

/* @scalar: only the lowest lane, the others stay. */
INLINE enum exec arith(struct cpu *c, const struct insn *i, enum arith op, unsigned width,
                       bool scalar)
{
    union xmm b, *d = &c->xmm[i->r], r = *d;
    if (!source(c, i, &b, scalar ? width / 8 : 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    bool fast = op == MIN || op == MAX || may_be_fast(c);
    for (unsigned n = 0; n < (scalar ? 1 : 128 / width); n++) {
        if (width == 32)
            r.u32[n] = lane32(op, fast, &e, r.u32[n], b.u32[n]);
        else
            r.u64[n] = lane64(op, fast, &e, r.u64[n], b.u64[n]);
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    *d = r;
    return EXEC_NEXT;
}

#define ARITH(name, op)                                                                            \
    static enum exec x_##name##ps(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return arith(c, i, op, 32, false);                                                         \
    }                                                                                              \
    static enum exec x_##name##ss(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return arith(c, i, op, 32, true);                                                          \
    }                                                                                              \
    static enum exec x_##name##pd(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return arith(c, i, op, 64, false);                                                         \
    }                                                                                              \
    static enum exec x_##name##sd(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return arith(c, i, op, 64, true);                                                          \
    }
ARITH(add, ADD)
ARITH(sub, SUB)
ARITH(mul, MUL)
ARITH(div, DIV)
ARITH(sqrt, SQRT_)
ARITH(min, MIN)
ARITH(max, MAX)

/* ADDSUB: even lanes subtract. HADD, HSUB: neighbours in the destination, then in the source. */
enum horizontal { ADDSUB, HADD, HSUB };

INLINE enum exec horizontal(struct cpu *c, const struct insn *i, enum horizontal op, unsigned width)
{
    union xmm b, *d = &c->xmm[i->r], a = *d, r;
    if (!source(c, i, &b, 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    bool fast = may_be_fast(c);
    unsigned lanes = 128 / width;
    for (unsigned n = 0; n < lanes; n++) {
        enum arith lane_op = op == HADD || (op == ADDSUB && (n & 1)) ? ADD : SUB;
        const union xmm *from = n < lanes / 2 ? &a : &b;
        unsigned k = n % (lanes / 2) * 2;
        if (width == 32)
            r.u32[n] = op == ADDSUB ? lane32(lane_op, fast, &e, a.u32[n], b.u32[n])
                                    : lane32(lane_op, fast, &e, from->u32[k], from->u32[k + 1]);
        else
            r.u64[n] = op == ADDSUB ? lane64(lane_op, fast, &e, a.u64[n], b.u64[n])
                                    : lane64(lane_op, fast, &e, from->u64[k], from->u64[k + 1]);
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    *d = r;
    return EXEC_NEXT;
}

#define HORIZONTAL(name, op)                                                                       \
    static enum exec x_##name##ps(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return horizontal(c, i, op, 32);                                                           \
    }                                                                                              \
    static enum exec x_##name##pd(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return horizontal(c, i, op, 64);                                                           \
    }
HORIZONTAL(addsub, ADDSUB)
HORIZONTAL(hadd, HADD)
HORIZONTAL(hsub, HSUB)

/* DPPS, DPPD: the products that imm bits 4-7 choose, summed in pairs, into the lanes that bits 0-3
 * choose. Each stage traps by itself. */
INLINE enum exec dot_product(struct cpu *c, const struct insn *i, unsigned width)
{
    union xmm b, *d = &c->xmm[i->r], t;
    if (!source(c, i, &b, 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    bool fast = may_be_fast(c);
    unsigned lanes = 128 / width, imm = (unsigned)i->imm & 0xff;
    for (unsigned n = 0; n < lanes; n++) {
        bool chosen = imm >> (4 + n) & 1;
        if (width == 32)
            t.u32[n] = chosen ? lane32(MUL, fast, &e, d->u32[n], b.u32[n]) : 0;
        else
            t.u64[n] = chosen ? lane64(MUL, fast, &e, d->u64[n], b.u64[n]) : 0;
    }
    for (unsigned step = 1; step < lanes; step *= 2) {
        if (!sse_commit(c, &e))
            return EXEC_FAULT;
        for (unsigned n = 0; n < lanes; n += 2 * step) {
            if (width == 32)
                t.u32[n] = lane32(ADD, fast, &e, t.u32[n], t.u32[n + step]);
            else
                t.u64[n] = lane64(ADD, fast, &e, t.u64[n], t.u64[n + step]);
        }
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    for (unsigned n = 0; n < lanes; n++) {
        if (width == 32)
            d->u32[n] = imm >> n & 1 ? t.u32[0] : 0;
        else
            d->u64[n] = imm >> n & 1 ? t.u64[0] : 0;
    }
    return EXEC_NEXT;
}

static enum exec x_dpps(struct cpu *c, const struct insn *i)
{
    return dot_product(c, i, 32);
}
static enum exec x_dppd(struct cpu *c, const struct insn *i)
{
    return dot_product(c, i, 64);
}

/* RCPPS, RSQRTPS and their scalar forms: no exceptions. */
INLINE enum exec approximate(struct cpu *c, const struct insn *i, uint32_t (*f)(uint32_t),
                             bool scalar)
{
    union xmm b;
    if (!source(c, i, &b, scalar ? 4 : 0))
        return EXEC_FAULT;
    for (unsigned n = 0; n < (scalar ? 1 : 4); n++)
        c->xmm[i->r].u32[n] = f(b.u32[n]);
    return EXEC_NEXT;
}

static enum exec x_rcpps(struct cpu *c, const struct insn *i)
{
    return approximate(c, i, sse_rcp, false);
}
static enum exec x_rcpss(struct cpu *c, const struct insn *i)
{
    return approximate(c, i, sse_rcp, true);
}
static enum exec x_rsqrtps(struct cpu *c, const struct insn *i)
{
    return approximate(c, i, sse_rsqrt, false);
}
static enum exec x_rsqrtss(struct cpu *c, const struct insn *i)
{
    return approximate(c, i, sse_rsqrt, true);
}

/* ---- comparisons ---- */

INLINE enum exec compare(struct cpu *c, const struct insn *i, unsigned width, bool scalar)
{
    union xmm b, *d = &c->xmm[i->r], r = *d;
    if (!source(c, i, &b, scalar ? width / 8 : 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    for (unsigned n = 0; n < (scalar ? 1 : 128 / width); n++) {
        if (width == 32)
            r.u32[n] = compare32(&e, (unsigned)i->imm & 7, r.u32[n], b.u32[n]);
        else
            r.u64[n] = compare64(&e, (unsigned)i->imm & 7, r.u64[n], b.u64[n]);
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    *d = r;
    return EXEC_NEXT;
}

/* Neither is a NaN. */
static inline enum fp_relation order(double a, double b)
{
    return a < b ? FP_LESS : a == b ? FP_EQUAL : FP_GREATER;
}

/* COMISx and UCOMISx (@quiet) set ZF, PF and CF; the rest becomes 0. */
INLINE enum exec comi(struct cpu *c, const struct insn *i, unsigned width, bool quiet)
{
    static const uint8_t flags[] = { [FP_LESS] = FL_CF,
                                     [FP_EQUAL] = FL_ZF,
                                     [FP_GREATER] = 0,
                                     [FP_UNORDERED] = FL_CF | FL_PF | FL_ZF };
    union xmm b, *a = &c->xmm[i->r];
    if (!source(c, i, &b, width / 8))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    enum fp_relation r;
    if (width == 32 && is_plain32(a->u32[0]) && is_plain32(b.u32[0]))
        r = order(a->f32[0], b.f32[0]);
    else if (width == 64 && is_plain64(a->u64[0]) && is_plain64(b.u64[0]))
        r = order(a->f64[0], b.f64[0]);
    else if (width == 32)
        r = fp_compare(&e, fp_from_f32(&e, a->u32[0]), fp_from_f32(&e, b.u32[0]), quiet);
    else
        r = fp_compare(&e, fp_from_f64(&e, a->u64[0]), fp_from_f64(&e, b.u64[0]), quiet);
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    flags_set_arith(c, flags[r]);
    return EXEC_NEXT;
}

#define COMPARE(suffix, width, scalar)                                                             \
    static enum exec x_cmp##suffix(struct cpu *c, const struct insn *i)                            \
    {                                                                                              \
        return compare(c, i, width, scalar);                                                       \
    }
COMPARE(ps, 32, false)
COMPARE(ss, 32, true)
COMPARE(pd, 64, false)
COMPARE(sd, 64, true)

#define COMI(name, width, quiet)                                                                   \
    static enum exec x_##name(struct cpu *c, const struct insn *i)                                 \
    {                                                                                              \
        return comi(c, i, width, quiet);                                                           \
    }
COMI(comiss, 32, false)
COMI(comisd, 64, false)
COMI(ucomiss, 32, true)
COMI(ucomisd, 64, true)

/* ---- rounding to integral values ---- */

INLINE enum exec round_to_integral(struct cpu *c, const struct insn *i, unsigned width, bool scalar)
{
    union xmm b, *d = &c->xmm[i->r], r = *d;
    if (!source(c, i, &b, scalar ? width / 8 : 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    for (unsigned n = 0; n < (scalar ? 1 : 128 / width); n++) {
        if (width == 32)
            r.u32[n] = round_integral32(&e, (unsigned)i->imm, b.u32[n]);
        else
            r.u64[n] = round_integral64(&e, (unsigned)i->imm, b.u64[n]);
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    *d = r;
    return EXEC_NEXT;
}

#define ROUND(suffix, width, scalar)                                                               \
    static enum exec x_round##suffix(struct cpu *c, const struct insn *i)                          \
    {                                                                                              \
        return round_to_integral(c, i, width, scalar);                                             \
    }
ROUND(ps, 32, false)
ROUND(ss, 32, true)
ROUND(pd, 64, false)
ROUND(sd, 64, true)

/* ---- conversions between f32 and f64 ---- */

static uint64_t widen(struct fpenv *e, uint32_t a)
{
    if (likely(is_plain32(a)))
        return bits64((double)real32(a));
    return fp_to_f64(fp_convert(e, fp_from_f32(e, a), &fp_f64, true));
}

static uint32_t narrow(struct fpenv *e, bool fast, uint64_t a)
{
    uint32_t r;
    if (likely(fast) && is_plain64(a)) {
        r = bits32((float)real64(a));
        if (likely(is_safe32(r)))
            return r;
    }
    return fp_to_f32(fp_convert(e, fp_from_f64(e, a), &fp_f32, true));
}

enum float_conversion { PS_PD, PD_PS, SS_SD, SD_SS };

INLINE enum exec convert_float(struct cpu *c, const struct insn *i, enum float_conversion op)
{
    union xmm b, *d = &c->xmm[i->r], r = *d;
    if (!source(c, i, &b, op == PD_PS ? 0 : op == SS_SD ? 4 : 8))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    bool fast = may_be_fast(c);
    switch (op) {
    case PS_PD:
        r.u64[0] = widen(&e, b.u32[0]);
        r.u64[1] = widen(&e, b.u32[1]);
        break;
    case PD_PS:
        r.u32[0] = narrow(&e, fast, b.u64[0]);
        r.u32[1] = narrow(&e, fast, b.u64[1]);
        r.u64[1] = 0;
        break;
    case SS_SD: r.u64[0] = widen(&e, b.u32[0]); break;
    case SD_SS: r.u32[0] = narrow(&e, fast, b.u64[0]); break;
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    *d = r;
    return EXEC_NEXT;
}

#define CONVERT_FLOAT(name, op)                                                                    \
    static enum exec x_##name(struct cpu *c, const struct insn *i)                                 \
    {                                                                                              \
        return convert_float(c, i, op);                                                            \
    }
CONVERT_FLOAT(cvtps2pd, PS_PD)
CONVERT_FLOAT(cvtpd2ps, PD_PS)
CONVERT_FLOAT(cvtss2sd, SS_SD)
CONVERT_FLOAT(cvtsd2ss, SD_SS)

/* ---- conversions to integers ---- */

/* CVT[T]Sx2SI */
INLINE enum exec convert_to_gpr(struct cpu *c, const struct insn *i, unsigned width, bool truncate)
{
    union xmm b;
    if (!source(c, i, &b, width / 8))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    bool fast = (c->mxcsr & (MXCSR_PM | MXCSR_PE)) == (MXCSR_PM | MXCSR_PE);
    unsigned bits = i->osz == 3 ? 64 : 32;
    int64_t v = width == 32 ? to_int32(&e, fast, b.u32[0], bits, truncate)
                            : to_int64(&e, fast, b.u64[0], bits, truncate);
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    c->gpr[i->r] = bits == 64 ? (uint64_t)v : (uint32_t)v;
    return EXEC_NEXT;
}

/* CVT[T]PS2DQ, CVT[T]PD2DQ */
INLINE enum exec convert_to_dq(struct cpu *c, const struct insn *i, unsigned width, bool truncate)
{
    union xmm b, r = { .u64 = { 0 } };
    if (!source(c, i, &b, 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    bool fast = (c->mxcsr & (MXCSR_PM | MXCSR_PE)) == (MXCSR_PM | MXCSR_PE);
    for (unsigned n = 0; n < 128 / width; n++)
        r.i32[n] = (int32_t)(width == 32 ? to_int32(&e, fast, b.u32[n], 32, truncate)
                                         : to_int64(&e, fast, b.u64[n], 32, truncate));
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    c->xmm[i->r] = r;
    return EXEC_NEXT;
}

/* CVT[T]PS2PI, CVT[T]PD2PI: to an MMX register. The x87 state becomes MMX state even if the
 * conversion traps. */
INLINE enum exec convert_to_mmx(struct cpu *c, const struct insn *i, unsigned width, bool truncate)
{
    union xmm b;
    if (!sse_check(c) || !x87_mmx_check(c) || !source(c, i, &b, width == 32 ? 8 : 0))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    uint32_t r[2];
    for (unsigned n = 0; n < 2; n++)
        r[n] = (uint32_t)(width == 32 ? to_int32(&e, false, b.u32[n], 32, truncate)
                                      : to_int64(&e, false, b.u64[n], 32, truncate));
    x87_mmx_commit(c);
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    x87_mmx_write(c, i->r, r[0] | (uint64_t)r[1] << 32);
    return EXEC_NEXT;
}

#define CONVERT_TO_INT(name, to, width, truncate)                                                  \
    static enum exec x_##name(struct cpu *c, const struct insn *i)                                 \
    {                                                                                              \
        return convert_to_##to(c, i, width, truncate);                                             \
    }
CONVERT_TO_INT(cvtss2si, gpr, 32, false)
CONVERT_TO_INT(cvttss2si, gpr, 32, true)
CONVERT_TO_INT(cvtsd2si, gpr, 64, false)
CONVERT_TO_INT(cvttsd2si, gpr, 64, true)
CONVERT_TO_INT(cvtps2dq, dq, 32, false)
CONVERT_TO_INT(cvttps2dq, dq, 32, true)
CONVERT_TO_INT(cvtpd2dq, dq, 64, false)
CONVERT_TO_INT(cvttpd2dq, dq, 64, true)
CONVERT_TO_INT(cvtps2pi, mmx, 32, false)
CONVERT_TO_INT(cvttps2pi, mmx, 32, true)
CONVERT_TO_INT(cvtpd2pi, mmx, 64, false)
CONVERT_TO_INT(cvttpd2pi, mmx, 64, true)

/* ---- conversions from integers ---- */

/* CVTSI2Sx */
INLINE enum exec convert_from_gpr(struct cpu *c, const struct insn *i, unsigned width)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    uint64_t raw = 0;
    if (!(i->flags & INSN_MEM))
        raw = c->gpr[i->rm];
    else if (!sse_ld(c, i, &raw, i->osz == 3 ? 8 : 4, false))
        return EXEC_FAULT;
    int64_t v = i->osz == 3 ? (int64_t)raw : (int32_t)raw;
    struct fpenv e = sse_env(c);
    bool fast = may_be_fast(c) || (width == 64 && i->osz != 3);
    if (width == 32) {
        uint32_t r = from_int32(&e, fast, v);
        if (!sse_commit(c, &e))
            return EXEC_FAULT;
        c->xmm[i->r].u32[0] = r;
    } else {
        uint64_t r = from_int64(&e, fast, v);
        if (!sse_commit(c, &e))
            return EXEC_FAULT;
        c->xmm[i->r].u64[0] = r;
    }
    return EXEC_NEXT;
}

/* CVTDQ2PS, CVTDQ2PD */
INLINE enum exec convert_from_dq(struct cpu *c, const struct insn *i, unsigned width)
{
    union xmm b, r;
    if (!source(c, i, &b, width == 32 ? 0 : 8))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    for (unsigned n = 0; n < 128 / width; n++) {
        if (width == 32)
            r.u32[n] = from_int32(&e, may_be_fast(c), b.i32[n]);
        else
            r.f64[n] = b.i32[n];
    }
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    c->xmm[i->r] = r;
    return EXEC_NEXT;
}

/* CVTPI2PS (upper half stays), CVTPI2PD. Only a register operand is an MMX access. */
INLINE enum exec convert_from_mmx(struct cpu *c, const struct insn *i, unsigned width)
{
    union xmm b, r = c->xmm[i->r];
    bool mmx = !(i->flags & INSN_MEM);
    if (!sse_check(c) || !mmx_src(c, i, &b, 8) || (mmx && !x87_mmx_check(c)))
        return EXEC_FAULT;
    struct fpenv e = sse_env(c);
    for (unsigned n = 0; n < 2; n++) {
        if (width == 32)
            r.u32[n] = from_int32(&e, may_be_fast(c), b.i32[n]);
        else
            r.f64[n] = b.i32[n];
    }
    if (mmx)
        x87_mmx_commit(c);
    if (!sse_commit(c, &e))
        return EXEC_FAULT;
    c->xmm[i->r] = r;
    return EXEC_NEXT;
}

#define CONVERT_FROM_INT(name, from, width)                                                        \
    static enum exec x_##name(struct cpu *c, const struct insn *i)                                 \
    {                                                                                              \
        return convert_from_##from(c, i, width);                                                   \
    }
CONVERT_FROM_INT(cvtsi2ss, gpr, 32)
CONVERT_FROM_INT(cvtsi2sd, gpr, 64)
CONVERT_FROM_INT(cvtdq2ps, dq, 32)
CONVERT_FROM_INT(cvtdq2pd, dq, 64)
CONVERT_FROM_INT(cvtpi2ps, mmx, 32)
CONVERT_FROM_INT(cvtpi2pd, mmx, 64)

/* ---- table ---- */

/* V(d, s): destination and source; RW: the destination is read too. */
#define ROW(nm, mp, by, pfx, opnds, feat, fl, flg)                                                 \
    ROW_(#nm, mp, by, PFX_##pfx, R_ANY, R_ANY, MOD_ANY, opnds, FEAT_##feat, fl, flg, F1(nm), 0)
#define VW(nm, by, pfx, src, feat, flg)                                                            \
    ROW(nm, MAP_0F, by, pfx, OPS(OPD_Vx, OPD_##src), feat, FL_NONE, flg)
#define RW OP_READ_DST
/* All four forms of an operation; @flg: of the packed ones. */
#define FOUR(nm, by, flg)                                                                          \
    VW(nm##ps, by, NP, Wx, SSE, flg), VW(nm##pd, by, 66, Wx, SSE2, flg),                           \
        VW(nm##ss, by, F3, Wd, SSE, RW), VW(nm##sd, by, F2, Wq, SSE2, RW)
#define CMP(nm, pfx, src, feat)                                                                    \
    ROW(nm, MAP_0F, 0xc2, pfx, OPS(OPD_Vx, OPD_##src, OPD_Ib), feat, FL_NONE, RW)
#define COMI_ROW(nm, by, pfx, src, feat)                                                           \
    ROW(nm, MAP_0F, by, pfx, OPS(OPD_Vx, OPD_##src), feat, FL(0, FLB_ALL, 0), RW)
#define TO(nm, by, pfx, dst, src, feat)                                                            \
    ROW(nm, MAP_0F, by, pfx, OPS(OPD_##dst, OPD_##src), feat, FL_NONE, 0)
#define IMM(nm, by, src, flg)                                                                      \
    ROW(nm, MAP_0F3A, by, 66, OPS(OPD_Vx, OPD_##src, OPD_Ib), SSE41, FL_NONE, flg)

static const struct opcode rows[] = {
    TO(cvtpi2ps, 0x2a, NP, Vx, Qq, SSE),
    TO(cvtpi2pd, 0x2a, 66, Vx, Qq, SSE2),
    TO(cvtsi2ss, 0x2a, F3, Vx, Ey, SSE),
    TO(cvtsi2sd, 0x2a, F2, Vx, Ey, SSE2),
    TO(cvttps2pi, 0x2c, NP, Pq, Wq, SSE),
    TO(cvttpd2pi, 0x2c, 66, Pq, Wx, SSE2),
    TO(cvttss2si, 0x2c, F3, Gy, Wd, SSE),
    TO(cvttsd2si, 0x2c, F2, Gy, Wq, SSE2),
    TO(cvtps2pi, 0x2d, NP, Pq, Wq, SSE),
    TO(cvtpd2pi, 0x2d, 66, Pq, Wx, SSE2),
    TO(cvtss2si, 0x2d, F3, Gy, Wd, SSE),
    TO(cvtsd2si, 0x2d, F2, Gy, Wq, SSE2),
    COMI_ROW(ucomiss, 0x2e, NP, Wd, SSE),
    COMI_ROW(ucomisd, 0x2e, 66, Wq, SSE2),
    COMI_ROW(comiss, 0x2f, NP, Wd, SSE),
    COMI_ROW(comisd, 0x2f, 66, Wq, SSE2),

    FOUR(sqrt, 0x51, 0),
    VW(rsqrtps, 0x52, NP, Wx, SSE, 0),
    VW(rsqrtss, 0x52, F3, Wd, SSE, RW),
    VW(rcpps, 0x53, NP, Wx, SSE, 0),
    VW(rcpss, 0x53, F3, Wd, SSE, RW),
    FOUR(add, 0x58, RW),
    FOUR(mul, 0x59, RW),
    VW(cvtps2pd, 0x5a, NP, Wq, SSE2, 0),
    VW(cvtpd2ps, 0x5a, 66, Wx, SSE2, 0),
    VW(cvtss2sd, 0x5a, F3, Wd, SSE2, RW),
    VW(cvtsd2ss, 0x5a, F2, Wq, SSE2, RW),
    VW(cvtdq2ps, 0x5b, NP, Wx, SSE2, 0),
    VW(cvtps2dq, 0x5b, 66, Wx, SSE2, 0),
    VW(cvttps2dq, 0x5b, F3, Wx, SSE2, 0),
    FOUR(sub, 0x5c, RW),
    FOUR(min, 0x5d, RW),
    FOUR(div, 0x5e, RW),
    FOUR(max, 0x5f, RW),
    VW(haddpd, 0x7c, 66, Wx, SSE3, RW),
    VW(haddps, 0x7c, F2, Wx, SSE3, RW),
    VW(hsubpd, 0x7d, 66, Wx, SSE3, RW),
    VW(hsubps, 0x7d, F2, Wx, SSE3, RW),
    CMP(cmpps, NP, Wx, SSE),
    CMP(cmppd, 66, Wx, SSE2),
    CMP(cmpss, F3, Wd, SSE),
    CMP(cmpsd, F2, Wq, SSE2),
    VW(addsubpd, 0xd0, 66, Wx, SSE3, RW),
    VW(addsubps, 0xd0, F2, Wx, SSE3, RW),
    VW(cvtdq2pd, 0xe6, F3, Wq, SSE2, 0),
    VW(cvttpd2dq, 0xe6, 66, Wx, SSE2, 0),
    VW(cvtpd2dq, 0xe6, F2, Wx, SSE2, 0),

    IMM(roundps, 0x08, Wx, 0),
    IMM(roundpd, 0x09, Wx, 0),
    IMM(roundss, 0x0a, Wd, RW),
    IMM(roundsd, 0x0b, Wq, RW),
    IMM(dpps, 0x40, Wx, RW),
    IMM(dppd, 0x41, Wx, RW),
};

TABLE(opcodes_ssefp, rows);
