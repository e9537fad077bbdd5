/*
 * MMX, SSE and SSE2: moves, logic, shuffles and all integer instructions. Floating-point arithmetic
 * is in ops_sse_fp.c, what SSSE3 and SSE4 added in ops_sse4.c.
 */
#include "cpu/sse.h"

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

/* ---- lane by lane ---- */
LANES_VP(paddb, u8, 1, a + b)
LANES_VP(paddw, u16, 2, a + b)
LANES_VP(paddd, u32, 4, a + b)
LANES_VP(paddq, u64, 8, a + b)
LANES_VP(psubb, u8, 1, a - b)
LANES_VP(psubw, u16, 2, a - b)
LANES_VP(psubd, u32, 4, a - b)
LANES_VP(psubq, u64, 8, a - b)
LANES_VP(paddsb, i8, 1, sat_i8(a + b))
LANES_VP(paddsw, i16, 2, sat_i16(a + b))
LANES_VP(paddusb, u8, 1, sat_u8(a + b))
LANES_VP(paddusw, u16, 2, sat_u16(a + b))
LANES_VP(psubsb, i8, 1, sat_i8(a - b))
LANES_VP(psubsw, i16, 2, sat_i16(a - b))
LANES_VP(psubusb, u8, 1, sat_u8(a - b))
LANES_VP(psubusw, u16, 2, sat_u16(a - b))
LANES_VP(pcmpeqb, u8, 1, a == b ? 0xff : 0)
LANES_VP(pcmpeqw, u16, 2, a == b ? 0xffff : 0)
LANES_VP(pcmpeqd, u32, 4, a == b ? ~0u : 0)
LANES_VP(pcmpgtb, i8, 1, a > b ? -1 : 0)
LANES_VP(pcmpgtw, i16, 2, a > b ? -1 : 0)
LANES_VP(pcmpgtd, i32, 4, a > b ? -1 : 0)
LANES_VP(pminub, u8, 1, a < b ? a : b)
LANES_VP(pmaxub, u8, 1, a > b ? a : b)
LANES_VP(pminsw, i16, 2, a < b ? a : b)
LANES_VP(pmaxsw, i16, 2, a > b ? a : b)
LANES_VP(pavgb, u8, 1, (a + b + 1) >> 1)
LANES_VP(pavgw, u16, 2, (a + b + 1) >> 1)
LANES_VP(pmullw, u16, 2, (unsigned)a *b)
LANES_VP(pmulhw, i16, 2, (a * b) >> 16)
LANES_VP(pmulhuw, u16, 2, ((unsigned)a * b) >> 16)
LANES_VP(pmuludq, u64, 8, (uint64_t)(uint32_t)a *(uint32_t)b)
LANES_VP(pand, u64, 8, a &b)
LANES_VP(pandn, u64, 8, ~a &b)
LANES_VP(por, u64, 8, a | b)
LANES_VP(pxor, u64, 8, a ^ b)

static inline void k_pmaddwd(union xmm *d, const union xmm *s, unsigned bytes)
{
    for (unsigned l = 0; l < bytes / 4; l++)
        d->u32[l] = (uint32_t)(d->i16[2 * l] * s->i16[2 * l]) +
                    (uint32_t)(d->i16[2 * l + 1] * s->i16[2 * l + 1]);
}
static inline void k_psadbw(union xmm *d, const union xmm *s, unsigned bytes)
{
    for (unsigned q = 0; q < bytes / 8; q++) {
        unsigned sum = 0;
        for (unsigned l = 8 * q; l < 8 * q + 8; l++)
            sum += d->u8[l] > s->u8[l] ? (unsigned)(d->u8[l] - s->u8[l])
                                       : (unsigned)(s->u8[l] - d->u8[l]);
        d->u64[q] = sum;
    }
}
SIMD_VP(pmaddwd)
SIMD_VP(psadbw)

/* Packs: the destination's lanes become the low half, the source's the high half. */
#define DEF_PACK(name, to, from, n, sat)                                                           \
    static inline void k_##name(union xmm *d, const union xmm *s, unsigned bytes)                  \
    {                                                                                              \
        union xmm r = *d;                                                                          \
        unsigned half = bytes / (n);                                                               \
        for (unsigned l = 0; l < half; l++) {                                                      \
            r.to[l] = sat(d->from[l]);                                                             \
            r.to[half + l] = sat(s->from[l]);                                                      \
        }                                                                                          \
        *d = r;                                                                                    \
    }                                                                                              \
    SIMD_VP(name)
DEF_PACK(packsswb, i8, i16, 2, sat_i8)
DEF_PACK(packuswb, u8, i16, 2, sat_u8)
DEF_PACK(packssdw, i16, i32, 4, sat_i16)

#define DEF_UNPACK(name, lane, n, high)                                                            \
    static inline void k_##name(union xmm *d, const union xmm *s, unsigned bytes)                  \
    {                                                                                              \
        union xmm r = *d;                                                                          \
        unsigned half = bytes / (n) / 2, from = (high) ? half : 0;                                 \
        for (unsigned l = 0; l < half; l++) {                                                      \
            r.lane[2 * l] = d->lane[from + l];                                                     \
            r.lane[2 * l + 1] = s->lane[from + l];                                                 \
        }                                                                                          \
        *d = r;                                                                                    \
    }
DEF_UNPACK(punpcklbw, u8, 1, 0)
DEF_UNPACK(punpcklwd, u16, 2, 0)
DEF_UNPACK(punpckldq, u32, 4, 0)
DEF_UNPACK(punpcklqdq, u64, 8, 0)
DEF_UNPACK(punpckhbw, u8, 1, 1)
DEF_UNPACK(punpckhwd, u16, 2, 1)
DEF_UNPACK(punpckhdq, u32, 4, 1)
DEF_UNPACK(punpckhqdq, u64, 8, 1)
SIMD_VP(punpckhbw)
SIMD_VP(punpckhwd)
SIMD_VP(punpckhdq)
SIMD_V(punpcklbw)
SIMD_V(punpcklwd)
SIMD_V(punpckldq)
SIMD_V(punpcklqdq)
SIMD_V(punpckhqdq)
/* The low unpacks of MMX read only 32 bits of memory. */
#define DEF_UNPACK_LOW_P(name)                                                                     \
    OP(name##_P)                                                                                   \
    {                                                                                              \
        union xmm s, d;                                                                            \
        if (!x87_mmx_check(c) || !mmx_src(c, i, &s, 4))                                            \
            return EXEC_FAULT;                                                                     \
        x87_mmx_commit(c);                                                                         \
        d.u64[0] = c->st[i->r].frac;                                                               \
        d.u64[1] = 0;                                                                              \
        k_##name(&d, &s, 8);                                                                       \
        x87_mmx_write(c, i->r, d.u64[0]);                                                          \
        return EXEC_NEXT;                                                                          \
    }
DEF_UNPACK_LOW_P(punpcklbw)
DEF_UNPACK_LOW_P(punpcklwd)
DEF_UNPACK_LOW_P(punpckldq)

/* ---- shifts: counts beyond the lane give zeros (or sign bits) ---- */
#define DEF_SHIFT_KERNEL(name, lane, bits, big, expr)                                              \
    static inline void shift_##name(union xmm *d, uint64_t n, unsigned bytes)                      \
    {                                                                                              \
        for (unsigned l = 0; l < bytes * 8 / (bits); l++) {                                        \
            __typeof__(d->lane[0]) a = d->lane[l];                                                 \
            d->lane[l] = (__typeof__(d->lane[0]))(n >= (bits) ? (big) : (expr));                   \
        }                                                                                          \
    }                                                                                              \
    static inline void k_##name(union xmm *d, const union xmm *s, unsigned bytes)                  \
    {                                                                                              \
        shift_##name(d, s->u64[0], bytes);                                                         \
    }                                                                                              \
    SIMD_VP(name)                                                                                  \
    OP(name##_VI)                                                                                  \
    {                                                                                              \
        if (!sse_check(c))                                                                         \
            return EXEC_FAULT;                                                                     \
        shift_##name(&c->xmm[i->rm], (uint8_t)i->imm, 16);                                         \
        return EXEC_NEXT;                                                                          \
    }                                                                                              \
    OP(name##_PI)                                                                                  \
    {                                                                                              \
        union xmm d;                                                                               \
        if (!x87_mmx_enter(c))                                                                     \
            return EXEC_FAULT;                                                                     \
        d.u64[0] = c->st[i->rm].frac;                                                              \
        shift_##name(&d, (uint8_t)i->imm, 8);                                                      \
        x87_mmx_write(c, i->rm, d.u64[0]);                                                         \
        return EXEC_NEXT;                                                                          \
    }
DEF_SHIFT_KERNEL(psrlw, u16, 16, 0, a >> n)
DEF_SHIFT_KERNEL(psrld, u32, 32, 0, a >> n)
DEF_SHIFT_KERNEL(psrlq, u64, 64, 0, a >> n)
DEF_SHIFT_KERNEL(psllw, u16, 16, 0, (unsigned)a << n)
DEF_SHIFT_KERNEL(pslld, u32, 32, 0, a << n)
DEF_SHIFT_KERNEL(psllq, u64, 64, 0, a << n)
DEF_SHIFT_KERNEL(psraw, i16, 16, a < 0 ? -1 : 0, a >> n)
DEF_SHIFT_KERNEL(psrad, i32, 32, a < 0 ? -1 : 0, a >> n)

OP(psrldq)
{
    union xmm r = { .u64 = { 0, 0 } };
    if (!sse_check(c))
        return EXEC_FAULT;
    for (unsigned l = (uint8_t)i->imm; l < 16; l++)
        r.u8[l - (uint8_t)i->imm] = c->xmm[i->rm].u8[l];
    c->xmm[i->rm] = r;
    return EXEC_NEXT;
}
OP(pslldq)
{
    union xmm r = { .u64 = { 0, 0 } };
    if (!sse_check(c))
        return EXEC_FAULT;
    for (unsigned l = (uint8_t)i->imm; l < 16; l++)
        r.u8[l] = c->xmm[i->rm].u8[l - (uint8_t)i->imm];
    c->xmm[i->rm] = r;
    return EXEC_NEXT;
}

/* ---- shuffles with an immediate ---- */
#define DEF_SHUFFLE(name, stmts)                                                                   \
    OP(name)                                                                                       \
    {                                                                                              \
        union xmm s, r;                                                                            \
        unsigned imm = (uint8_t)i->imm;                                                            \
        if (!sse_check(c) || !sse_src(c, i, &s))                                                   \
            return EXEC_FAULT;                                                                     \
        const union xmm *d = &c->xmm[i->r];                                                        \
        (void)d;                                                                                   \
        r = s;                                                                                     \
        stmts c->xmm[i->r] = r;                                                                    \
        return EXEC_NEXT;                                                                          \
    }
DEF_SHUFFLE(pshufd, for (unsigned l = 0; l < 4; l++) r.u32[l] = s.u32[imm >> (2 * l) & 3];)
DEF_SHUFFLE(pshufhw,
            for (unsigned l = 0; l < 4; l++) r.u16[4 + l] = s.u16[4 + (imm >> (2 * l) & 3)];)
DEF_SHUFFLE(pshuflw, for (unsigned l = 0; l < 4; l++) r.u16[l] = s.u16[imm >> (2 * l) & 3];)
DEF_SHUFFLE(shufps,
            for (unsigned l = 0; l < 4; l++) r.u32[l] = (l < 2 ? d : &s)->u32[imm >> (2 * l) & 3];)
DEF_SHUFFLE(shufpd, r.u64[0] = d->u64[imm & 1]; r.u64[1] = s.u64[imm >> 1 & 1];)
OP(pshufw)
{
    union xmm s, r = { .u64 = { 0, 0 } };
    if (!x87_mmx_check(c) || !mmx_src(c, i, &s, 8))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    for (unsigned l = 0; l < 4; l++)
        r.u16[l] = s.u16[i->imm >> (2 * l) & 3];
    x87_mmx_write(c, i->r, r.u64[0]);
    return EXEC_NEXT;
}

/* ---- between register sets ---- */
OP(movd_VE)
{
    uint64_t v;
    if (!sse_check(c) || !rm_get(c, i, i->osz == 3 ? 3 : 2, &v))
        return EXEC_FAULT;
    c->xmm[i->r].u64[0] = v;
    c->xmm[i->r].u64[1] = 0;
    return EXEC_NEXT;
}
OP(movd_EV)
{
    return sse_check(c) && rm_set(c, i, i->osz == 3 ? 3 : 2, c->xmm[i->r].u64[0]) ? EXEC_NEXT
                                                                                  : EXEC_FAULT;
}
OP(movd_PE)
{
    uint64_t v;
    if (!x87_mmx_check(c) || !rm_get(c, i, i->osz == 3 ? 3 : 2, &v))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    x87_mmx_write(c, i->r, v);
    return EXEC_NEXT;
}
OP(movd_EP)
{
    if (!x87_mmx_check(c) || !rm_set(c, i, i->osz == 3 ? 3 : 2, c->st[i->r].frac))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    return EXEC_NEXT;
}
OP(movq_PQ)
{
    union xmm v;
    if (!x87_mmx_check(c) || !mmx_src(c, i, &v, 8))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    x87_mmx_write(c, i->r, v.u64[0]);
    return EXEC_NEXT;
}
OP(movq_QP)
{
    uint64_t v = c->st[i->r].frac;
    if (!x87_mmx_check(c) || ((i->flags & INSN_MEM) && !sse_st(c, i, &v, 8, false)))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    if (!(i->flags & INSN_MEM))
        x87_mmx_write(c, i->rm, v);
    return EXEC_NEXT;
}
OP(movq_VW)
{
    union xmm v;
    if (!sse_check(c) || !sse_src_part(c, i, &v, 8))
        return EXEC_FAULT;
    v.u64[1] = 0;
    c->xmm[i->r] = v;
    return EXEC_NEXT;
}
OP(movq_WV)
{
    union xmm v = c->xmm[i->r];
    if (!sse_check(c))
        return EXEC_FAULT;
    if (i->flags & INSN_MEM)
        return sse_st(c, i, &v, 8, false) ? EXEC_NEXT : EXEC_FAULT;
    v.u64[1] = 0;
    c->xmm[i->rm] = v;
    return EXEC_NEXT;
}
/* Both also count as MMX instructions: x87 state and #MF. */
OP(movq2dq)
{
    if (!sse_check(c) || !x87_mmx_enter(c))
        return EXEC_FAULT;
    c->xmm[i->r].u64[0] = c->st[i->rm].frac;
    c->xmm[i->r].u64[1] = 0;
    return EXEC_NEXT;
}
OP(movdq2q)
{
    if (!sse_check(c) || !x87_mmx_enter(c))
        return EXEC_FAULT;
    x87_mmx_write(c, i->r, c->xmm[i->rm].u64[0]);
    return EXEC_NEXT;
}
OP(emms)
{
    (void)i;
    if (!x87_mmx_check(c))
        return EXEC_FAULT;
    c->ftop = 0;
    c->ftag = 0;
    return EXEC_NEXT;
}

/* ---- 16-byte moves ---- */
static inline enum exec load128(struct cpu *c, const struct insn *i, bool aligned)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    if (!(i->flags & INSN_MEM)) {
        c->xmm[i->r] = c->xmm[i->rm];
        return EXEC_NEXT;
    }
    return sse_ld(c, i, &c->xmm[i->r], 16, aligned) ? EXEC_NEXT : EXEC_FAULT;
}
static inline enum exec store128(struct cpu *c, const struct insn *i, bool aligned)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    if (!(i->flags & INSN_MEM)) {
        c->xmm[i->rm] = c->xmm[i->r];
        return EXEC_NEXT;
    }
    return sse_st(c, i, &c->xmm[i->r], 16, aligned) ? EXEC_NEXT : EXEC_FAULT;
}
OP(mova_VW)
{
    return load128(c, i, true);
}
OP(movu_VW)
{
    return load128(c, i, false);
}
OP(mova_WV)
{
    return store128(c, i, true);
}
OP(movu_WV)
{
    return store128(c, i, false);
}

/* ---- scalar and half moves ---- */
OP(movss_VW)
{
    union xmm v;
    if (!sse_check(c) || !sse_src_part(c, i, &v, 4))
        return EXEC_FAULT;
    if (i->flags & INSN_MEM)
        c->xmm[i->r] = v;
    else
        c->xmm[i->r].u32[0] = v.u32[0];
    return EXEC_NEXT;
}
OP(movsd_VW)
{
    union xmm v;
    if (!sse_check(c) || !sse_src_part(c, i, &v, 8))
        return EXEC_FAULT;
    if (i->flags & INSN_MEM)
        c->xmm[i->r] = v;
    else
        c->xmm[i->r].u64[0] = v.u64[0];
    return EXEC_NEXT;
}
OP(movss_WV)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    if (i->flags & INSN_MEM)
        return sse_st(c, i, &c->xmm[i->r], 4, false) ? EXEC_NEXT : EXEC_FAULT;
    c->xmm[i->rm].u32[0] = c->xmm[i->r].u32[0];
    return EXEC_NEXT;
}
OP(movsd_WV)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    if (i->flags & INSN_MEM)
        return sse_st(c, i, &c->xmm[i->r], 8, false) ? EXEC_NEXT : EXEC_FAULT;
    c->xmm[i->rm].u64[0] = c->xmm[i->r].u64[0];
    return EXEC_NEXT;
}
static enum exec load_half(struct cpu *c, const struct insn *i, unsigned half)
{
    uint64_t v;
    if (!sse_check(c) || !sse_ld(c, i, &v, 8, false))
        return EXEC_FAULT;
    c->xmm[i->r].u64[half] = v;
    return EXEC_NEXT;
}
static enum exec store_half(struct cpu *c, const struct insn *i, unsigned half)
{
    return sse_check(c) && sse_st(c, i, &c->xmm[i->r].u64[half], 8, false) ? EXEC_NEXT : EXEC_FAULT;
}
OP(movlp_VM)
{
    return load_half(c, i, 0);
}
OP(movhp_VM)
{
    return load_half(c, i, 1);
}
OP(movlp_MV)
{
    return store_half(c, i, 0);
}
OP(movhp_MV)
{
    return store_half(c, i, 1);
}
OP(movhlps)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    c->xmm[i->r].u64[0] = c->xmm[i->rm].u64[1];
    return EXEC_NEXT;
}
OP(movlhps)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    c->xmm[i->r].u64[1] = c->xmm[i->rm].u64[0];
    return EXEC_NEXT;
}
OP(movddup)
{
    union xmm v;
    if (!sse_check(c) || !sse_src_part(c, i, &v, 8))
        return EXEC_FAULT;
    c->xmm[i->r].u64[0] = c->xmm[i->r].u64[1] = v.u64[0];
    return EXEC_NEXT;
}
static inline void k_movsldup(union xmm *d, const union xmm *s, unsigned bytes)
{
    for (unsigned l = 0; l < bytes / 4; l++)
        d->u32[l] = s->u32[l & ~1u];
}
static inline void k_movshdup(union xmm *d, const union xmm *s, unsigned bytes)
{
    for (unsigned l = 0; l < bytes / 4; l++)
        d->u32[l] = s->u32[l | 1u];
}
SIMD_V(movsldup)
SIMD_V(movshdup)

/* ---- masks, single words ---- */
OP(movmskps)
{
    const union xmm *s = &c->xmm[i->rm];
    if (!sse_check(c))
        return EXEC_FAULT;
    c->gpr[i->r] =
        s->u32[0] >> 31 | s->u32[1] >> 31 << 1 | s->u32[2] >> 31 << 2 | s->u32[3] >> 31 << 3;
    return EXEC_NEXT;
}
OP(movmskpd)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    c->gpr[i->r] = c->xmm[i->rm].u64[0] >> 63 | c->xmm[i->rm].u64[1] >> 63 << 1;
    return EXEC_NEXT;
}
static uint32_t byte_mask(const union xmm *s, unsigned bytes)
{
    uint32_t m = 0;
    for (unsigned l = 0; l < bytes; l++)
        m |= (uint32_t)(s->u8[l] >> 7) << l;
    return m;
}
OP(pmovmskb_V)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    c->gpr[i->r] = byte_mask(&c->xmm[i->rm], 16);
    return EXEC_NEXT;
}
OP(pmovmskb_P)
{
    union xmm s;
    if (!x87_mmx_enter(c))
        return EXEC_FAULT;
    s.u64[0] = c->st[i->rm].frac;
    c->gpr[i->r] = byte_mask(&s, 8);
    return EXEC_NEXT;
}
OP(pinsrw_V)
{
    uint64_t v;
    if (!sse_check(c) || !rm_get(c, i, 1, &v))
        return EXEC_FAULT;
    c->xmm[i->r].u16[i->imm & 7] = (uint16_t)v;
    return EXEC_NEXT;
}
OP(pinsrw_P)
{
    uint64_t v;
    union xmm d;
    if (!x87_mmx_check(c) || !rm_get(c, i, 1, &v))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    d.u64[0] = c->st[i->r].frac;
    d.u16[i->imm & 3] = (uint16_t)v;
    x87_mmx_write(c, i->r, d.u64[0]);
    return EXEC_NEXT;
}
OP(pextrw_V)
{
    if (!sse_check(c))
        return EXEC_FAULT;
    c->gpr[i->r] = c->xmm[i->rm].u16[i->imm & 7];
    return EXEC_NEXT;
}
OP(pextrw_P)
{
    if (!x87_mmx_enter(c))
        return EXEC_FAULT;
    c->gpr[i->r] = (uint16_t)(c->st[i->rm].frac >> (16 * (i->imm & 3)));
    return EXEC_NEXT;
}

/* MASKMOVQ, MASKMOVDQU: bytes whose mask has the top bit set go to DS:[rDI]; no mask, no access. */
static enum exec mask_store(struct cpu *c, const struct insn *i, const union xmm *v,
                            const union xmm *mask, unsigned bytes)
{
    uint64_t ea = c->gpr[RDI] << i->ash >> i->ash;
    for (unsigned pass = 0; pass < 2; pass++) { /* probe all, then write all */
        for (unsigned l = 0; l < bytes; l++) {
            uint64_t la, at = (ea + l) << i->ash >> i->ash;
            if (!(mask->u8[l] & 0x80))
                continue;
            if (!mem_linear(c, i->seg, at, 1, ACCESS_WRITE, &la))
                return EXEC_FAULT;
            if (pass == 0 ? !mem_probe_write(c, i->seg, la, 1)
                          : !mem_st8_la(c, i->seg, la, v->u8[l]))
                return EXEC_FAULT;
        }
    }
    return EXEC_NEXT;
}
OP(maskmovdqu)
{
    return sse_check(c) ? mask_store(c, i, &c->xmm[i->r], &c->xmm[i->rm], 16) : EXEC_FAULT;
}
OP(maskmovq)
{
    union xmm v = { .u64 = { c->st[i->r].frac } }, mask = { .u64 = { c->st[i->rm].frac } };
    if (!x87_mmx_check(c) || mask_store(c, i, &v, &mask, 8) != EXEC_NEXT)
        return EXEC_FAULT;
    x87_mmx_commit(c);
    return EXEC_NEXT;
}

#define BOTH(nm, by, fp) PQ_ROW(nm, MAP_0F, by, fp), VW_ROW(nm, MAP_0F, by, FEAT_SSE2)
#define MMX(nm, by)      BOTH(nm, by, FEAT_MMX)
/* Of 64 bits only the low half is read. */
#define UNPACK_LOW(nm, by)                                                                         \
    ROW_(#nm, MAP_0F, by, PFX_NP, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Pq, OPD_Qd), FEAT_MMX, FL_NONE,   \
         OP_READ_DST, F1(nm##_P), 0),                                                              \
        VW_ROW(nm, MAP_0F, by, FEAT_SSE2)
#define SHIFT(nm, by, grp, rg)                                                                     \
    MMX(nm, by),                                                                                   \
        ROW_(#nm, MAP_0F, grp, PFX_NP, rg, R_ANY, MOD_REG, OPS(OPD_Nq, OPD_Ib), FEAT_MMX, FL_NONE, \
             OP_READ_DST, F1(nm##_PI), 0),                                                         \
        ROW_(#nm, MAP_0F, grp, PFX_66, rg, R_ANY, MOD_REG, OPS(OPD_Ux, OPD_Ib), FEAT_SSE2,         \
             FL_NONE, OP_READ_DST, F1(nm##_VI), 0)
#define V2(nm, by, pfx, feat, h)            RV(nm, MAP_0F, by, pfx, MOD_ANY, OPS(OPD_Vx, OPD_Wx), feat, h)
#define W2(nm, by, pfx, feat, h)            RV(nm, MAP_0F, by, pfx, MOD_ANY, OPS(OPD_Wx, OPD_Vx), feat, h)
#define R_(nm, by, pfx, md, opnds, feat, h) RV(nm, MAP_0F, by, pfx, md, opnds, feat, h)

static const struct opcode rows[] = {
    UNPACK_LOW(punpcklbw, 0x60),
    UNPACK_LOW(punpcklwd, 0x61),
    UNPACK_LOW(punpckldq, 0x62),
    MMX(packsswb, 0x63),
    MMX(pcmpgtb, 0x64),
    MMX(pcmpgtw, 0x65),
    MMX(pcmpgtd, 0x66),
    MMX(packuswb, 0x67),
    MMX(punpckhbw, 0x68),
    MMX(punpckhwd, 0x69),
    MMX(punpckhdq, 0x6a),
    MMX(packssdw, 0x6b),
    VW_ROW(punpcklqdq, MAP_0F, 0x6c, FEAT_SSE2),
    VW_ROW(punpckhqdq, MAP_0F, 0x6d, FEAT_SSE2),
    MMX(pcmpeqb, 0x74),
    MMX(pcmpeqw, 0x75),
    MMX(pcmpeqd, 0x76),
    SHIFT(psrlw, 0xd1, 0x71, 2),
    SHIFT(psraw, 0xe1, 0x71, 4),
    SHIFT(psllw, 0xf1, 0x71, 6),
    SHIFT(psrld, 0xd2, 0x72, 2),
    SHIFT(psrad, 0xe2, 0x72, 4),
    SHIFT(pslld, 0xf2, 0x72, 6),
    SHIFT(psrlq, 0xd3, 0x73, 2),
    SHIFT(psllq, 0xf3, 0x73, 6),
    ROW_("psrldq", MAP_0F, 0x73, PFX_66, 3, R_ANY, MOD_REG, OPS(OPD_Ux, OPD_Ib), FEAT_SSE2, FL_NONE,
         OP_READ_DST, F1(psrldq), 0),
    ROW_("pslldq", MAP_0F, 0x73, PFX_66, 7, R_ANY, MOD_REG, OPS(OPD_Ux, OPD_Ib), FEAT_SSE2, FL_NONE,
         OP_READ_DST, F1(pslldq), 0),
    BOTH(paddq, 0xd4, FEAT_SSE2),
    MMX(pmullw, 0xd5),
    MMX(psubusb, 0xd8),
    MMX(psubusw, 0xd9),
    BOTH(pminub, 0xda, FEAT_SSE),
    MMX(pand, 0xdb),
    MMX(paddusb, 0xdc),
    MMX(paddusw, 0xdd),
    BOTH(pmaxub, 0xde, FEAT_SSE),
    MMX(pandn, 0xdf),
    BOTH(pavgb, 0xe0, FEAT_SSE),
    BOTH(pavgw, 0xe3, FEAT_SSE),
    BOTH(pmulhuw, 0xe4, FEAT_SSE),
    MMX(pmulhw, 0xe5),
    MMX(psubsb, 0xe8),
    MMX(psubsw, 0xe9),
    BOTH(pminsw, 0xea, FEAT_SSE),
    MMX(por, 0xeb),
    MMX(paddsb, 0xec),
    MMX(paddsw, 0xed),
    BOTH(pmaxsw, 0xee, FEAT_SSE),
    MMX(pxor, 0xef),
    BOTH(pmuludq, 0xf4, FEAT_SSE2),
    MMX(pmaddwd, 0xf5),
    BOTH(psadbw, 0xf6, FEAT_SSE),
    MMX(psubb, 0xf8),
    MMX(psubw, 0xf9),
    MMX(psubd, 0xfa),
    BOTH(psubq, 0xfb, FEAT_SSE2),
    MMX(paddb, 0xfc),
    MMX(paddw, 0xfd),
    MMX(paddd, 0xfe),

    V2("movups", 0x10, PFX_NP, FEAT_SSE, movu_VW),
    V2("movupd", 0x10, PFX_66, FEAT_SSE2, movu_VW),
    R_("movss", 0x10, PFX_F3, MOD_ANY, OPS(OPD_Vx, OPD_Wd), FEAT_SSE, movss_VW),
    R_("movsd", 0x10, PFX_F2, MOD_ANY, OPS(OPD_Vx, OPD_Wq), FEAT_SSE2, movsd_VW),
    W2("movups", 0x11, PFX_NP, FEAT_SSE, movu_WV),
    W2("movupd", 0x11, PFX_66, FEAT_SSE2, movu_WV),
    R_("movss", 0x11, PFX_F3, MOD_ANY, OPS(OPD_Wd, OPD_Vx), FEAT_SSE, movss_WV),
    R_("movsd", 0x11, PFX_F2, MOD_ANY, OPS(OPD_Wq, OPD_Vx), FEAT_SSE2, movsd_WV),
    R_("movlps", 0x12, PFX_NP, MOD_MEM, OPS(OPD_Vx, OPD_Mq), FEAT_SSE, movlp_VM),
    R_("movhlps", 0x12, PFX_NP, MOD_REG, OPS(OPD_Vx, OPD_Ux), FEAT_SSE, movhlps),
    R_("movlpd", 0x12, PFX_66, MOD_MEM, OPS(OPD_Vx, OPD_Mq), FEAT_SSE2, movlp_VM),
    V2("movsldup", 0x12, PFX_F3, FEAT_SSE3, movsldup_V),
    R_("movddup", 0x12, PFX_F2, MOD_ANY, OPS(OPD_Vx, OPD_Wq), FEAT_SSE3, movddup),
    R_("movlps", 0x13, PFX_NP, MOD_MEM, OPS(OPD_Mq, OPD_Vx), FEAT_SSE, movlp_MV),
    R_("movlpd", 0x13, PFX_66, MOD_MEM, OPS(OPD_Mq, OPD_Vx), FEAT_SSE2, movlp_MV),
    V2("unpcklps", 0x14, PFX_NP, FEAT_SSE, punpckldq_V),
    V2("unpcklpd", 0x14, PFX_66, FEAT_SSE2, punpcklqdq_V),
    V2("unpckhps", 0x15, PFX_NP, FEAT_SSE, punpckhdq_V),
    V2("unpckhpd", 0x15, PFX_66, FEAT_SSE2, punpckhqdq_V),
    R_("movhps", 0x16, PFX_NP, MOD_MEM, OPS(OPD_Vx, OPD_Mq), FEAT_SSE, movhp_VM),
    R_("movlhps", 0x16, PFX_NP, MOD_REG, OPS(OPD_Vx, OPD_Ux), FEAT_SSE, movlhps),
    R_("movhpd", 0x16, PFX_66, MOD_MEM, OPS(OPD_Vx, OPD_Mq), FEAT_SSE2, movhp_VM),
    V2("movshdup", 0x16, PFX_F3, FEAT_SSE3, movshdup_V),
    R_("movhps", 0x17, PFX_NP, MOD_MEM, OPS(OPD_Mq, OPD_Vx), FEAT_SSE, movhp_MV),
    R_("movhpd", 0x17, PFX_66, MOD_MEM, OPS(OPD_Mq, OPD_Vx), FEAT_SSE2, movhp_MV),
    V2("movaps", 0x28, PFX_NP, FEAT_SSE, mova_VW),
    V2("movapd", 0x28, PFX_66, FEAT_SSE2, mova_VW),
    W2("movaps", 0x29, PFX_NP, FEAT_SSE, mova_WV),
    W2("movapd", 0x29, PFX_66, FEAT_SSE2, mova_WV),
    R_("movntps", 0x2b, PFX_NP, MOD_MEM, OPS(OPD_Mx, OPD_Vx), FEAT_SSE, mova_WV),
    R_("movntpd", 0x2b, PFX_66, MOD_MEM, OPS(OPD_Mx, OPD_Vx), FEAT_SSE2, mova_WV),
    R_("movmskps", 0x50, PFX_NP, MOD_REG, OPS(OPD_Gd, OPD_Ux), FEAT_SSE, movmskps),
    R_("movmskpd", 0x50, PFX_66, MOD_REG, OPS(OPD_Gd, OPD_Ux), FEAT_SSE2, movmskpd),
    V2("andps", 0x54, PFX_NP, FEAT_SSE, pand_V),
    V2("andpd", 0x54, PFX_66, FEAT_SSE2, pand_V),
    V2("andnps", 0x55, PFX_NP, FEAT_SSE, pandn_V),
    V2("andnpd", 0x55, PFX_66, FEAT_SSE2, pandn_V),
    V2("orps", 0x56, PFX_NP, FEAT_SSE, por_V),
    V2("orpd", 0x56, PFX_66, FEAT_SSE2, por_V),
    V2("xorps", 0x57, PFX_NP, FEAT_SSE, pxor_V),
    V2("xorpd", 0x57, PFX_66, FEAT_SSE2, pxor_V),
    R_("movd", 0x6e, PFX_NP, MOD_ANY, OPS(OPD_Pq, OPD_Ey), FEAT_MMX, movd_PE),
    R_("movd", 0x6e, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Ey), FEAT_SSE2, movd_VE),
    R_("movq", 0x6f, PFX_NP, MOD_ANY, OPS(OPD_Pq, OPD_Qq), FEAT_MMX, movq_PQ),
    V2("movdqa", 0x6f, PFX_66, FEAT_SSE2, mova_VW),
    V2("movdqu", 0x6f, PFX_F3, FEAT_SSE2, movu_VW),
    R_("pshufw", 0x70, PFX_NP, MOD_ANY, OPS(OPD_Pq, OPD_Qq, OPD_Ib), FEAT_SSE, pshufw),
    R_("pshufd", 0x70, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE2, pshufd),
    R_("pshufhw", 0x70, PFX_F3, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE2, pshufhw),
    R_("pshuflw", 0x70, PFX_F2, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE2, pshuflw),
    R_("emms", 0x77, PFX_NP, MOD_ANY, OPS(OPD_NONE), FEAT_MMX, emms),
    R_("movd", 0x7e, PFX_NP, MOD_ANY, OPS(OPD_Ey, OPD_Pq), FEAT_MMX, movd_EP),
    R_("movd", 0x7e, PFX_66, MOD_ANY, OPS(OPD_Ey, OPD_Vx), FEAT_SSE2, movd_EV),
    R_("movq", 0x7e, PFX_F3, MOD_ANY, OPS(OPD_Vx, OPD_Wq), FEAT_SSE2, movq_VW),
    R_("movq", 0x7f, PFX_NP, MOD_ANY, OPS(OPD_Qq, OPD_Pq), FEAT_MMX, movq_QP),
    W2("movdqa", 0x7f, PFX_66, FEAT_SSE2, mova_WV),
    W2("movdqu", 0x7f, PFX_F3, FEAT_SSE2, movu_WV),
    R_("pinsrw", 0xc4, PFX_NP, MOD_ANY, OPS(OPD_Pq, OPD_Rd_Mw, OPD_Ib), FEAT_SSE, pinsrw_P),
    R_("pinsrw", 0xc4, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Rd_Mw, OPD_Ib), FEAT_SSE2, pinsrw_V),
    R_("pextrw", 0xc5, PFX_NP, MOD_REG, OPS(OPD_Gd, OPD_Nq, OPD_Ib), FEAT_SSE, pextrw_P),
    R_("pextrw", 0xc5, PFX_66, MOD_REG, OPS(OPD_Gd, OPD_Ux, OPD_Ib), FEAT_SSE2, pextrw_V),
    R_("shufps", 0xc6, PFX_NP, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE, shufps),
    R_("shufpd", 0xc6, PFX_66, MOD_ANY, OPS(OPD_Vx, OPD_Wx, OPD_Ib), FEAT_SSE2, shufpd),
    R_("movq", 0xd6, PFX_66, MOD_ANY, OPS(OPD_Wq, OPD_Vx), FEAT_SSE2, movq_WV),
    R_("movq2dq", 0xd6, PFX_F3, MOD_REG, OPS(OPD_Vx, OPD_Nq), FEAT_SSE2, movq2dq),
    R_("movdq2q", 0xd6, PFX_F2, MOD_REG, OPS(OPD_Pq, OPD_Ux), FEAT_SSE2, movdq2q),
    R_("pmovmskb", 0xd7, PFX_NP, MOD_REG, OPS(OPD_Gd, OPD_Nq), FEAT_SSE, pmovmskb_P),
    R_("pmovmskb", 0xd7, PFX_66, MOD_REG, OPS(OPD_Gd, OPD_Ux), FEAT_SSE2, pmovmskb_V),
    R_("movntq", 0xe7, PFX_NP, MOD_MEM, OPS(OPD_Mq, OPD_Pq), FEAT_SSE, movq_QP),
    R_("movntdq", 0xe7, PFX_66, MOD_MEM, OPS(OPD_Mx, OPD_Vx), FEAT_SSE2, mova_WV),
    R_("lddqu", 0xf0, PFX_F2, MOD_MEM, OPS(OPD_Vx, OPD_Mx), FEAT_SSE3, movu_VW),
    ROW_("maskmovq", MAP_0F, 0xf7, PFX_NP, R_ANY, R_ANY, MOD_REG, OPS(OPD_Pq, OPD_Nq, OPD_Xb),
         FEAT_SSE, FL_NONE, OP_NOFUZZ, F1(maskmovq), 0),
    ROW_("maskmovdqu", MAP_0F, 0xf7, PFX_66, R_ANY, R_ANY, MOD_REG, OPS(OPD_Vx, OPD_Ux, OPD_Xb),
         FEAT_SSE2, FL_NONE, OP_NOFUZZ, F1(maskmovdqu), 0),
};
TABLE(opcodes_sse, rows);
