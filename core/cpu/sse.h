/*
 * What the SSE and MMX handlers share: may the instruction run, operands, and the two shapes that
 * most of them have: "destination = kernel(destination, source)" on 16-byte XMM or 8-byte MMX
 * registers. A kernel works in place on a union xmm of which @bytes (8 or 16) count, so one kernel
 * serves both register sets.
 */
#ifndef SLIPWAY_SSE_H
#define SLIPWAY_SSE_H

#include "cpu/ops.h"
#include "cpu/x87.h"

/* #UD with CR0.EM or without CR4.OSFXSR, #NM with CR0.TS (SDM vol. 3, 13.1). */
static inline bool sse_check(struct cpu *c)
{
    if (unlikely((c->cr0 & (CR0_EM | CR0_TS)) || !(c->cr4 & CR4_OSFXSR)))
        return cpu_fault_noerr(c, (c->cr0 & CR0_EM) || !(c->cr4 & CR4_OSFXSR) ? EXC_UD : EXC_NM);
    return true;
}

/* A memory operand of @size bytes; @aligned: #GP(0) unless it lies at a multiple of 16. */
static inline bool sse_ld(struct cpu *c, const struct insn *i, void *v, unsigned size, bool aligned)
{
    uint64_t la;
    if (!mem_linear(c, i->seg, insn_ea(c, i), size, ACCESS_READ, &la))
        return false;
    if (unlikely(aligned && (la & 15)))
        return cpu_fault(c, EXC_GP, 0);
    void *p = mem_host(c, ACCESS_READ, la, size);
    if (unlikely(!p))
        return mem_read_slow(c, i->seg, la, v, size);
    memcpy(v, p, size);
    return true;
}
static inline bool sse_st(struct cpu *c, const struct insn *i, const void *v, unsigned size,
                          bool aligned)
{
    uint64_t la;
    if (!mem_linear(c, i->seg, insn_ea(c, i), size, ACCESS_WRITE, &la))
        return false;
    if (unlikely(aligned && (la & 15)))
        return cpu_fault(c, EXC_GP, 0);
    void *p = mem_host(c, ACCESS_WRITE, la, size);
    if (unlikely(!p))
        return mem_write_slow(c, i->seg, la, v, size);
    memcpy(p, v, size);
    return true;
}

/* The W operand (after sse_check): register, or aligned m128. */
static inline bool sse_src(struct cpu *c, const struct insn *i, union xmm *v)
{
    if (i->flags & INSN_MEM)
        return sse_ld(c, i, v, 16, true);
    *v = c->xmm[i->rm];
    return true;
}
/* The same where memory holds only @size bytes; the rest of *v is 0 then. */
static inline bool sse_src_part(struct cpu *c, const struct insn *i, union xmm *v, unsigned size)
{
    if (!(i->flags & INSN_MEM)) {
        *v = c->xmm[i->rm];
        return true;
    }
    v->u64[0] = v->u64[1] = 0;
    return sse_ld(c, i, v, size, false);
}
/* The Q operand of an MMX instruction (after x87_mmx_check). */
static inline bool mmx_src(struct cpu *c, const struct insn *i, union xmm *v, unsigned size)
{
    v->u64[0] = v->u64[1] = 0;
    if (i->flags & INSN_MEM)
        return sse_ld(c, i, v, size, false);
    v->u64[0] = c->st[i->rm].frac;
    return true;
}

typedef void simd_kernel(union xmm *d, const union xmm *s, unsigned bytes);

static inline enum exec sse_vw(struct cpu *c, const struct insn *i, simd_kernel *kernel)
{
    union xmm s;
    if (!sse_check(c) || !sse_src(c, i, &s))
        return EXEC_FAULT;
    kernel(&c->xmm[i->r], &s, 16);
    return EXEC_NEXT;
}
static inline enum exec mmx_pq(struct cpu *c, const struct insn *i, simd_kernel *kernel)
{
    union xmm s, d;
    if (!x87_mmx_check(c) || !mmx_src(c, i, &s, 8))
        return EXEC_FAULT;
    x87_mmx_commit(c);
    d.u64[0] = c->st[i->r].frac;
    d.u64[1] = 0;
    kernel(&d, &s, 8);
    x87_mmx_write(c, i->r, d.u64[0]);
    return EXEC_NEXT;
}

/* A kernel that works lane by lane: @a is the destination's lane, @b the source's. */
#define SIMD_LANES(name, lane, n, expr)                                                            \
    static inline void k_##name(union xmm *d, const union xmm *s, unsigned bytes)                  \
    {                                                                                              \
        for (unsigned l = 0; l < bytes / (n); l++) {                                               \
            __typeof__(d->lane[0]) a = d->lane[l], b = s->lane[l];                                 \
            d->lane[l] = (__typeof__(d->lane[0]))(expr);                                           \
        }                                                                                          \
    }
/* Handlers around kernel k_<name>: XMM and MMX forms. */
#define SIMD_V(name)                                                                               \
    static enum exec x_##name##_V(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return sse_vw(c, i, k_##name);                                                             \
    }
#define SIMD_P(name)                                                                               \
    static enum exec x_##name##_P(struct cpu *c, const struct insn *i)                             \
    {                                                                                              \
        return mmx_pq(c, i, k_##name);                                                             \
    }
#define SIMD_VP(name) SIMD_V(name) SIMD_P(name)
#define LANES_VP(name, lane, n, expr)                                                              \
    SIMD_LANES(name, lane, n, expr)                                                                \
    SIMD_VP(name)
#define LANES_V(name, lane, n, expr)                                                               \
    SIMD_LANES(name, lane, n, expr)                                                                \
    SIMD_V(name)

/* Saturation. */
static inline int8_t sat_i8(int v)
{
    return (int8_t)(v > 127 ? 127 : v < -128 ? -128 : v);
}
static inline uint8_t sat_u8(int v)
{
    return (uint8_t)(v > 255 ? 255 : v < 0 ? 0 : v);
}
static inline int16_t sat_i16(int v)
{
    return (int16_t)(v > 32767 ? 32767 : v < -32768 ? -32768 : v);
}
static inline uint16_t sat_u16(int v)
{
    return (uint16_t)(v > 65535 ? 65535 : v < 0 ? 0 : v);
}

/* Rows. Most integer instructions have an MMX form (no prefix) and an XMM form (66). */
#define RV(nm, mp, by, pfx, md, opnds, feat, h)                                                    \
    ROW_(nm, mp, by, pfx, R_ANY, R_ANY, md, opnds, feat, FL_NONE, 0, F1(h), 0)
#define VW_ROW(nm, mp, by, feat)                                                                   \
    ROW_(#nm, mp, by, PFX_66, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Vx, OPD_Wx), feat, FL_NONE,           \
         OP_READ_DST, F1(nm##_V), 0)
#define PQ_ROW(nm, mp, by, feat)                                                                   \
    ROW_(#nm, mp, by, PFX_NP, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Pq, OPD_Qq), feat, FL_NONE,           \
         OP_READ_DST, F1(nm##_P), 0)

#endif
