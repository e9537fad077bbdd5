/*
 * SSSE3, SSE4.1 and SSE4.2 without their floating-point arithmetic. The string comparisons
 * PCMPxSTRx are at the end, written after the tables of SDM vol. 1, 12.10 and vol. 2, 4.1.
 */
#include "cpu/sse.h"

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

/* ---- SSSE3 ---- */
static inline void k_pshufb(union xmm *d, const union xmm *s, unsigned bytes)
{
    union xmm a = *d;
    for (unsigned l = 0; l < bytes; l++)
        d->u8[l] = s->u8[l] & 0x80 ? 0 : a.u8[s->u8[l] & (bytes - 1)];
}
SIMD_VP(pshufb)

#define DEF_HORIZONTAL(name, lane, n, expr)                                                        \
    static inline void k_##name(union xmm *d, const union xmm *s, unsigned bytes)                  \
    {                                                                                              \
        union xmm r = *d;                                                                          \
        unsigned half = bytes / (n) / 2;                                                           \
        for (unsigned l = 0; l < 2 * half; l++) {                                                  \
            const union xmm *from = l < half ? d : s;                                              \
            unsigned k = 2 * (l % half);                                                           \
            __typeof__(d->lane[0]) a = from->lane[k], b = from->lane[k + 1];                       \
            r.lane[l] = (__typeof__(d->lane[0]))(expr);                                            \
        }                                                                                          \
        *d = r;                                                                                    \
    }                                                                                              \
    SIMD_VP(name)
DEF_HORIZONTAL(phaddw, u16, 2, a + b)
DEF_HORIZONTAL(phaddd, u32, 4, a + b)
DEF_HORIZONTAL(phaddsw, i16, 2, sat_i16(a + b))
DEF_HORIZONTAL(phsubw, u16, 2, a - b)
DEF_HORIZONTAL(phsubd, u32, 4, a - b)
DEF_HORIZONTAL(phsubsw, i16, 2, sat_i16(a - b))

static inline void k_pmaddubsw(union xmm *d, const union xmm *s, unsigned bytes)
{
    for (unsigned l = 0; l < bytes / 2; l++)
        d->i16[l] = sat_i16(d->u8[2 * l] * s->i8[2 * l] + d->u8[2 * l + 1] * s->i8[2 * l + 1]);
}
SIMD_VP(pmaddubsw)
LANES_VP(psignb, i8, 1, b < 0 ? -a : b ? a : 0)
LANES_VP(psignw, i16, 2, b < 0 ? -a : b ? a : 0)
LANES_VP(psignd, u32, 4, (int32_t)b < 0 ? 0 - a : b ? a : 0)
LANES_VP(pmulhrsw, i16, 2, ((a * b >> 14) + 1) >> 1)
#define USE_B_ONLY (void)a
LANES_VP(pabsb, i8, 1, (USE_B_ONLY, b < 0 ? -b : b))
LANES_VP(pabsw, i16, 2, (USE_B_ONLY, b < 0 ? -b : b))
LANES_VP(pabsd, u32, 4, (USE_B_ONLY, (int32_t)b < 0 ? 0 - b : b))

/* PALIGNR: the concatenation d:s shifted right by imm bytes. */
static void align_right(union xmm *d, const union xmm *s, unsigned imm, unsigned bytes)
{
    union xmm r = { .u64 = { 0, 0 } };
    for (unsigned l = 0; l < bytes; l++) {
        unsigned k = l + imm;
        r.u8[l] = k < bytes ? s->u8[k] : k < 2 * bytes ? d->u8[k - bytes] : 0;
    }
    *d = r;
}
OP(palignr_V)
{
    union xmm s;
    if (!sse_check(c) || !sse_src(c, i, &s))
        return EXEC_FAULT;
    align_right(&c->xmm[i->r], &s, (uint8_t)i->imm, 16);
    return EXEC_NEXT;
}
OP(palignr_P)
{
    union xmm s, d;
    if (!x87_mmx_check(c) || !mmx_src(c, i, &s, 8))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    d.u64[0] = c->st[i->r].frac;
    align_right(&d, &s, (uint8_t)i->imm, 8);
    x87_mmx_write(c, i->r, d.u64[0]);
    return EXEC_NEXT;
}

/* ---- SSE4.1, SSE4.2: lane by lane ---- */
LANES_V(pcmpeqq, u64, 8, a == b ? ~0ull : 0)
LANES_V(pcmpgtq, i64, 8, a > b ? -1 : 0)
LANES_V(pminsb, i8, 1, a < b ? a : b)
LANES_V(pminsd, i32, 4, a < b ? a : b)
LANES_V(pminuw, u16, 2, a < b ? a : b)
LANES_V(pminud, u32, 4, a < b ? a : b)
LANES_V(pmaxsb, i8, 1, a > b ? a : b)
LANES_V(pmaxsd, i32, 4, a > b ? a : b)
LANES_V(pmaxuw, u16, 2, a > b ? a : b)
LANES_V(pmaxud, u32, 4, a > b ? a : b)
LANES_V(pmulld, u32, 4, a *b)
LANES_V(pmuldq, i64, 8, (int64_t)(int32_t)a *(int32_t)b)
static inline void k_packusdw(union xmm *d, const union xmm *s, unsigned bytes)
{
    (void)bytes;
    for (unsigned l = 0; l < 4; l++)
        d->u16[l] = sat_u16(d->i32[l]);
    for (unsigned l = 0; l < 4; l++)
        d->u16[4 + l] = sat_u16(s->i32[l]);
}
SIMD_V(packusdw)
static inline void k_phminposuw(union xmm *d, const union xmm *s, unsigned bytes)
{
    (void)bytes;
    unsigned at = 0;
    for (unsigned l = 1; l < 8; l++)
        if (s->u16[l] < s->u16[at])
            at = l;
    *d = (union xmm){ .u64 = { s->u16[at] | (uint64_t)at << 16, 0 } };
}
SIMD_V(phminposuw)

/* Widening: memory holds only the lanes that are read. */
#define DEF_WIDEN(name, to, from, n, ratio)                                                        \
    OP(name)                                                                                       \
    {                                                                                              \
        union xmm s, r;                                                                            \
        if (!sse_check(c) || !sse_src_part(c, i, &s, 16 / (ratio)))                                \
            return EXEC_FAULT;                                                                     \
        for (unsigned l = 0; l < 16 / (n); l++)                                                    \
            r.to[l] = s.from[l];                                                                   \
        c->xmm[i->r] = r;                                                                          \
        return EXEC_NEXT;                                                                          \
    }
DEF_WIDEN(pmovsxbw, i16, i8, 2, 2)
DEF_WIDEN(pmovsxbd, i32, i8, 4, 4)
DEF_WIDEN(pmovsxbq, i64, i8, 8, 8)
DEF_WIDEN(pmovsxwd, i32, i16, 4, 2)
DEF_WIDEN(pmovsxwq, i64, i16, 8, 4)
DEF_WIDEN(pmovsxdq, i64, i32, 8, 2)
DEF_WIDEN(pmovzxbw, u16, u8, 2, 2)
DEF_WIDEN(pmovzxbd, u32, u8, 4, 4)
DEF_WIDEN(pmovzxbq, u64, u8, 8, 8)
DEF_WIDEN(pmovzxwd, u32, u16, 4, 2)
DEF_WIDEN(pmovzxwq, u64, u16, 8, 4)
DEF_WIDEN(pmovzxdq, u64, u32, 8, 2)

/* Blends: by bits of an immediate or by the sign bits of XMM0. */
#define DEF_BLEND(name, lane, n, choose)                                                           \
    OP(name)                                                                                       \
    {                                                                                              \
        union xmm s, mask = c->xmm[0];                                                             \
        if (!sse_check(c) || !sse_src(c, i, &s))                                                   \
            return EXEC_FAULT;                                                                     \
        (void)mask;                                                                                \
        for (unsigned l = 0; l < 16 / (n); l++)                                                    \
            if (choose)                                                                            \
                c->xmm[i->r].lane[l] = s.lane[l];                                                  \
        return EXEC_NEXT;                                                                          \
    }
DEF_BLEND(blendps, u32, 4, i->imm >> l & 1)
DEF_BLEND(blendpd, u64, 8, i->imm >> l & 1)
DEF_BLEND(pblendw, u16, 2, i->imm >> l & 1)
DEF_BLEND(pblendvb, u8, 1, mask.i8[l] < 0)
DEF_BLEND(blendvps, u32, 4, mask.i32[l] < 0)
DEF_BLEND(blendvpd, u64, 8, mask.i64[l] < 0)

OP(ptest)
{
    union xmm s;
    if (!sse_check(c) || !sse_src(c, i, &s))
        return EXEC_FAULT;
    const union xmm *d = &c->xmm[i->r];
    bool zf = !((d->u64[0] & s.u64[0]) | (d->u64[1] & s.u64[1]));
    bool cf = !((~d->u64[0] & s.u64[0]) | (~d->u64[1] & s.u64[1]));
    flags_set_arith(c, (zf ? FL_ZF : 0) | (cf ? FL_CF : 0));
    return EXEC_NEXT;
}
OP(movntdqa)
{
    return sse_check(c) && sse_ld(c, i, &c->xmm[i->r], 16, true) ? EXEC_NEXT : EXEC_FAULT;
}

/* ---- insert and extract ---- */
static enum exec extract(struct cpu *c, const struct insn *i, uint64_t v, unsigned osz)
{
    /* Registers get the value zero-extended to 32 (or 64) bits. */
    if (!(i->flags & INSN_MEM)) {
        c->gpr[i->rm] = v;
        return EXEC_NEXT;
    }
    return mem_st(c, i->seg, insn_ea(c, i), osz, v) ? EXEC_NEXT : EXEC_FAULT;
}
OP(pextrb)
{
    return sse_check(c) ? extract(c, i, c->xmm[i->r].u8[i->imm & 15], 0) : EXEC_FAULT;
}
OP(pextrw)
{
    return sse_check(c) ? extract(c, i, c->xmm[i->r].u16[i->imm & 7], 1) : EXEC_FAULT;
}
OP(pextrd)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    if (i->osz == 3)
        return extract(c, i, c->xmm[i->r].u64[i->imm & 1], 3);
    return extract(c, i, c->xmm[i->r].u32[i->imm & 3], 2);
}
OP(extractps)
{
    return sse_check(c) ? extract(c, i, c->xmm[i->r].u32[i->imm & 3], 2) : EXEC_FAULT;
}
OP(pinsrb)
{
    uint64_t v;
    if (!sse_check(c))
        return EXEC_FAULT;
    if (!(i->flags & INSN_MEM))
        v = c->gpr[i->rm];
    else if (!mem_ld(c, i->seg, insn_ea(c, i), 0, &v))
        return EXEC_FAULT;
    c->xmm[i->r].u8[i->imm & 15] = (uint8_t)v;
    return EXEC_NEXT;
}
OP(pinsrd)
{
    uint64_t v;
    if (!sse_check(c) || !rm_get(c, i, i->osz == 3 ? 3 : 2, &v))
        return EXEC_FAULT;
    if (i->osz == 3)
        c->xmm[i->r].u64[i->imm & 1] = v;
    else
        c->xmm[i->r].u32[i->imm & 3] = (uint32_t)v;
    return EXEC_NEXT;
}
/* INSERTPS: imm[7:6] source lane (registers only), [5:4] destination lane, [3:0] lanes to clear. */
OP(insertps)
{
    union xmm s, r = c->xmm[i->r];
    if (!sse_check(c) || !sse_src_part(c, i, &s, 4))
        return EXEC_FAULT;
    unsigned imm = (uint8_t)i->imm;
    r.u32[imm >> 4 & 3] = s.u32[i->flags & INSN_MEM ? 0 : imm >> 6];
    for (unsigned l = 0; l < 4; l++)
        if (imm >> l & 1)
            r.u32[l] = 0;
    c->xmm[i->r] = r;
    return EXEC_NEXT;
}
OP(mpsadbw)
{
    union xmm s, d = c->xmm[i->r], r;
    if (!sse_check(c) || !sse_src(c, i, &s))
        return EXEC_FAULT;
    unsigned soff = ((unsigned)i->imm & 3) * 4, doff = ((unsigned)i->imm >> 2 & 1) * 4;
    for (unsigned l = 0; l < 8; l++) {
        unsigned sum = 0;
        for (unsigned k = 0; k < 4; k++) {
            int diff = d.u8[doff + l + k] - s.u8[soff + k];
            sum += (unsigned)(diff < 0 ? -diff : diff);
        }
        r.u16[l] = (uint16_t)sum;
    }
    c->xmm[i->r] = r;
    return EXEC_NEXT;
}

/* ---- string comparison ---- */

/* imm[1:0] element kind, [3:2] aggregation, [5:4] polarity, [6] output selection. */
static int element(const union xmm *v, unsigned kind, unsigned n)
{
    switch (kind) {
    case 0: return v->u8[n];
    case 1: return v->u16[n];
    case 2: return v->i8[n];
    default: return v->i16[n];
    }
}
static unsigned implicit_length(const union xmm *v, unsigned kind, unsigned count)
{
    unsigned n = 0;
    while (n < count && element(v, kind, n))
        n++;
    return n;
}
/* From EAX or EDX (RAX, RDX with REX.W): the absolute value, saturated. */
static unsigned explicit_length(uint64_t reg, bool wide, unsigned count)
{
    int64_t n = wide ? (int64_t)reg : (int32_t)reg;
    uint64_t magnitude = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    return magnitude > count ? count : (unsigned)magnitude;
}

static unsigned compare_strings(const union xmm *a, unsigned la, const union xmm *b, unsigned lb,
                                unsigned imm)
{
    unsigned kind = imm & 3, count = kind & 1 ? 8 : 16, res = 0;
    for (unsigned j = 0; j < count; j++) { /* one result bit for each element of b */
        bool bit = false;
        switch (imm >> 2 & 3) {
        case 0: /* equal any */
            for (unsigned k = 0; k < la && j < lb; k++)
                bit |= element(a, kind, k) == element(b, kind, j);
            break;
        case 1: /* ranges */
            for (unsigned k = 0; k + 1 < la && j < lb; k += 2)
                bit |= element(a, kind, k) <= element(b, kind, j) &&
                       element(b, kind, j) <= element(a, kind, k + 1);
            break;
        case 2: /* equal each: both ended is equal */
            bit =
                j < la && j < lb ? element(a, kind, j) == element(b, kind, j) : j >= la && j >= lb;
            break;
        default: /* equal ordered: a begins at position j of b */
            bit = true;
            for (unsigned k = 0; k + j < count && k < la; k++)
                if (j + k >= lb || element(a, kind, k) != element(b, kind, j + k))
                    bit = false;
            break;
        }
        res |= (unsigned)bit << j;
    }
    unsigned all = count == 16 ? 0xffff : 0xff;
    if (imm & 0x10) /* negative polarity, masked: only valid elements of b */
        res ^= imm & 0x20 ? (1u << lb) - 1 : all;
    return res & all;
}

static enum exec string_compare(struct cpu *c, const struct insn *i, bool explicit, bool want_mask)
{
    union xmm b;
    const union xmm *a = &c->xmm[i->r];
    unsigned imm = (uint8_t)i->imm, kind = imm & 3, count = kind & 1 ? 8 : 16;
    if (!sse_check(c))
        return EXEC_FAULT;
    if (!(i->flags & INSN_MEM))
        b = c->xmm[i->rm];
    else if (!sse_ld(c, i, &b, 16, false)) /* the one group without alignment */
        return EXEC_FAULT;
    unsigned la = explicit ? explicit_length(c->gpr[RAX], i->osz == 3, count)
                           : implicit_length(a, kind, count);
    unsigned lb = explicit ? explicit_length(c->gpr[RDX], i->osz == 3, count)
                           : implicit_length(&b, kind, count);
    unsigned res = compare_strings(a, la, &b, lb, imm);

    if (want_mask) {
        union xmm r = { .u64 = { 0, 0 } };
        if (!(imm & 0x40))
            r.u64[0] = res;
        else if (kind & 1)
            for (unsigned l = 0; l < 8; l++)
                r.u16[l] = res >> l & 1 ? 0xffff : 0;
        else
            for (unsigned l = 0; l < 16; l++)
                r.u8[l] = res >> l & 1 ? 0xff : 0;
        c->xmm[0] = r;
    } else if (!res) {
        c->gpr[RCX] = count;
    } else {
        c->gpr[RCX] =
            imm & 0x40 ? 31u - (unsigned)__builtin_clz(res) : (unsigned)__builtin_ctz(res);
    }
    flags_set_arith(c, (res ? FL_CF : 0) | (lb < count ? FL_ZF : 0) | (la < count ? FL_SF : 0) |
                           (res & 1 ? FL_OF : 0));
    return EXEC_NEXT;
}
OP(pcmpestrm)
{
    return string_compare(c, i, true, true);
}
OP(pcmpestri)
{
    return string_compare(c, i, true, false);
}
OP(pcmpistrm)
{
    return string_compare(c, i, false, true);
}
OP(pcmpistri)
{
    return string_compare(c, i, false, false);
}

#define S3(nm, by)              PQ_ROW(nm, MAP_0F38, by, FEAT_SSSE3), VW_ROW(nm, MAP_0F38, by, FEAT_SSSE3)
#define S41(nm, by)             VW_ROW(nm, MAP_0F38, by, FEAT_SSE41)
#define WIDEN(nm, by, w)        RV(#nm, MAP_0F38, by, PFX_66, MOD_ANY, OPS(OPD_Vx, w), FEAT_SSE41, nm)
#define I3(nm, by, opnds, feat) RV(#nm, MAP_0F3A, by, PFX_66, MOD_ANY, opnds, feat, nm)
#define STR(nm, by)                                                                                \
    ROW_(#nm, MAP_0F3A, by, PFX_66, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib),            \
         FEAT_SSE42, FL(0, FLB_ALL, 0), 0, F1(nm), 0)

static const struct opcode rows[] = {
    S3(pshufb, 0x00),
    S3(phaddw, 0x01),
    S3(phaddd, 0x02),
    S3(phaddsw, 0x03),
    S3(pmaddubsw, 0x04),
    S3(phsubw, 0x05),
    S3(phsubd, 0x06),
    S3(phsubsw, 0x07),
    S3(psignb, 0x08),
    S3(psignw, 0x09),
    S3(psignd, 0x0a),
    S3(pmulhrsw, 0x0b),
    S3(pabsb, 0x1c),
    S3(pabsw, 0x1d),
    S3(pabsd, 0x1e),
    RV("palignr", MAP_0F3A, 0x0f, PFX_NP, MOD_ANY, OPS(OPD_Pq, OPD_Qq, OPD_Ib), FEAT_SSSE3,
       palignr_P),
    RV("palignr", MAP_0F3A, 0x0f, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSSE3,
       palignr_V),
    RV("pblendvb", MAP_0F38, 0x10, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Wx), FEAT_SSE41, pblendvb),
    RV("blendvps", MAP_0F38, 0x14, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Wx), FEAT_SSE41, blendvps),
    RV("blendvpd", MAP_0F38, 0x15, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Wx), FEAT_SSE41, blendvpd),
    ROW_("ptest", MAP_0F38, 0x17, PFX_66, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Vx, OPD_Wx), FEAT_SSE41,
         FL(0, FLB_ALL, 0), 0, F1(ptest), 0),
    WIDEN(pmovsxbw, 0x20, OPD_Wq),
    WIDEN(pmovsxbd, 0x21, OPD_Wd),
    WIDEN(pmovsxbq, 0x22, OPD_Ww),
    WIDEN(pmovsxwd, 0x23, OPD_Wq),
    WIDEN(pmovsxwq, 0x24, OPD_Wd),
    WIDEN(pmovsxdq, 0x25, OPD_Wq),
    WIDEN(pmovzxbw, 0x30, OPD_Wq),
    WIDEN(pmovzxbd, 0x31, OPD_Wd),
    WIDEN(pmovzxbq, 0x32, OPD_Ww),
    WIDEN(pmovzxwd, 0x33, OPD_Wq),
    WIDEN(pmovzxwq, 0x34, OPD_Wd),
    WIDEN(pmovzxdq, 0x35, OPD_Wq),
    S41(pmuldq, 0x28),
    S41(pcmpeqq, 0x29),
    S41(packusdw, 0x2b),
    VW_ROW(pcmpgtq, MAP_0F38, 0x37, FEAT_SSE42),
    S41(pminsb, 0x38),
    S41(pminsd, 0x39),
    S41(pminuw, 0x3a),
    S41(pminud, 0x3b),
    S41(pmaxsb, 0x3c),
    S41(pmaxsd, 0x3d),
    S41(pmaxuw, 0x3e),
    S41(pmaxud, 0x3f),
    S41(pmulld, 0x40),
    S41(phminposuw, 0x41),
    RV("movntdqa", MAP_0F38, 0x2a, PFX_66, MOD_MEM, OPS(OPD_Vx, OPD_Mx), FEAT_SSE41, movntdqa),
    I3(blendps, 0x0c, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE41),
    I3(blendpd, 0x0d, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE41),
    I3(pblendw, 0x0e, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE41),
    I3(pextrb, 0x14, OPS(OPD_Rd_Mb, OPD_Vx, OPD_Ib), FEAT_SSE41),
    I3(pextrw, 0x15, OPS(OPD_Rd_Mw, OPD_Vx, OPD_Ib), FEAT_SSE41),
    I3(pextrd, 0x16, OPS(OPD_Ey, OPD_Vx, OPD_Ib), FEAT_SSE41),
    RV("extractps", MAP_0F3A, 0x17, PFX_66, MOD_ANY, OPS(OPD_Ed, OPD_Vx, OPD_Ib), FEAT_SSE41,
       extractps),
    I3(pinsrb, 0x20, OPS(OPD_Vx, OPD_Rd_Mb, OPD_Ib), FEAT_SSE41),
    I3(insertps, 0x21, OPS(OPD_Vx, OPD_Wd, OPD_Ib), FEAT_SSE41),
    I3(pinsrd, 0x22, OPS(OPD_Vx, OPD_Ey, OPD_Ib), FEAT_SSE41),
    I3(mpsadbw, 0x42, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE41),
    STR(pcmpestrm, 0x60),
    STR(pcmpestri, 0x61),
    STR(pcmpistrm, 0x62),
    STR(pcmpistri, 0x63),
};
TABLE(opcodes_sse4, rows);
