/*
 * Saving and restoring the x87, MMX and SSE state: FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR,
 * LDMXCSR, STMXCSR (SDM vol. 1, 10.5 and chapter 13). State components: 0 = x87, 1 = SSE; the
 * standard (not compacted) XSAVE format.
 *
 * An area is built or taken apart in a host buffer and moved to or from the guest in one piece
 * after all checks, so that a fault in the middle leaves both memory and registers as they were.
 */
#include "cpu/sse.h"

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

enum { LEGACY_BYTES = 512, HEADER_BYTES = 64, XSAVE_BYTES = LEGACY_BYTES + HEADER_BYTES };
enum { COMPONENT_X87 = 1, COMPONENT_SSE = 2 };
/* Offsets in the legacy area. */
enum {
    FX_FCW = 0,
    FX_FSW = 2,
    FX_FTW = 4,
    FX_FOP = 6,
    FX_FIP = 8,
    FX_FCS = 12,
    FX_FDP = 16,
    FX_FDS = 20,
    FX_MXCSR = 24,
    FX_MXCSR_MASK = 28,
    FX_ST = 32,
    FX_XMM = 160
};
#define MXCSR_MASK 0xffffu

static void put(uint8_t *p, uint64_t v, unsigned bytes)
{
    memcpy(p, &v, bytes);
}
static uint64_t get(const uint8_t *p, unsigned bytes)
{
    uint64_t v = 0;
    memcpy(&v, p, bytes);
    return v;
}

static bool area_ld(struct cpu *c, const struct insn *i, uint64_t ea, void *buf, unsigned size)
{
    for (unsigned at = 0; at < size; at += 16) {
        uint64_t la;
        if (!mem_linear(c, i->seg, (ea + at) << i->ash >> i->ash, 16, ACCESS_READ, &la) ||
            !mem_ld128_la(c, i->seg, la, (union xmm *)((uint8_t *)buf + at)))
            return false;
    }
    return true;
}
static bool area_probe(struct cpu *c, const struct insn *i, uint64_t ea, unsigned size)
{
    for (unsigned at = 0; at < size; at += 16) {
        uint64_t la;
        if (!mem_linear(c, i->seg, (ea + at) << i->ash >> i->ash, 16, ACCESS_WRITE, &la) ||
            !mem_probe_write(c, i->seg, la, 16))
            return false;
    }
    return true;
}
static bool area_st(struct cpu *c, const struct insn *i, uint64_t ea, const void *buf,
                    unsigned from, unsigned to)
{
    for (unsigned at = from; at < to; at += 16) {
        uint64_t la;
        if (!mem_linear(c, i->seg, (ea + at) << i->ash >> i->ash, 16, ACCESS_WRITE, &la) ||
            !mem_st128_la(c, i->seg, la, *(const union xmm *)((const uint8_t *)buf + at)))
            return false;
    }
    return true;
}
static bool aligned(struct cpu *c, const struct insn *i, uint64_t ea, unsigned align)
{
    if ((c->seg_base[i->seg] + ea) & (align - 1))
        return cpu_fault(c, EXC_GP, 0);
    return true;
}

/* With REX.W the instruction and data pointers are 64-bit offsets, without 32-bit ones with
 * selectors. */
static void save_x87(struct cpu *c, const struct insn *i, uint8_t *a)
{
    put(a + FX_FCW, c->fcw, 2);
    put(a + FX_FSW, x87_fsw(c), 2);
    put(a + FX_FTW, c->ftag, 1);
    put(a + FX_FTW + 1, 0, 1);
    put(a + FX_FOP, c->fop, 2);
    if (i->osz == 3) {
        put(a + FX_FIP, c->fip, 8);
        put(a + FX_FDP, c->fdp, 8);
    } else {
        put(a + FX_FIP, c->fip, 4);
        put(a + FX_FCS, c->fcs, 4);
        put(a + FX_FDP, c->fdp, 4);
        put(a + FX_FDS, c->fds, 4);
    }
    for (unsigned k = 0; k < 8; k++) {
        const struct f80 *r = &c->st[(c->ftop + k) & 7];
        put(a + FX_ST + 16 * k, r->frac, 8);
        put(a + FX_ST + 16 * k + 8, r->se, 8);
    }
}
static void restore_x87(struct cpu *c, const struct insn *i, const uint8_t *a)
{
    x87_set_fcw(c, (uint16_t)get(a + FX_FCW, 2));
    x87_set_fsw(c, (uint16_t)get(a + FX_FSW, 2));
    c->ftag = a[FX_FTW];
    c->fop = (uint16_t)(get(a + FX_FOP, 2) & 0x7ff);
    if (i->osz == 3) {
        c->fip = get(a + FX_FIP, 8);
        c->fdp = get(a + FX_FDP, 8);
    } else {
        c->fip = get(a + FX_FIP, 4);
        c->fcs = (uint16_t)get(a + FX_FCS, 2);
        c->fdp = get(a + FX_FDP, 4);
        c->fds = (uint16_t)get(a + FX_FDS, 2);
    }
    for (unsigned k = 0; k < 8; k++) {
        struct f80 *r = &c->st[(c->ftop + k) & 7];
        r->frac = get(a + FX_ST + 16 * k, 8);
        r->se = (uint16_t)get(a + FX_ST + 16 * k + 8, 2);
    }
}
/* Outside 64-bit mode XMM8-15 don't exist: their part of the area is neither written nor read. */
static unsigned xmm_count(const struct cpu *c)
{
    return (c->mode & MODE_CODE_MASK) == MODE_CODE64 ? 16 : 8;
}

static bool fx_check(struct cpu *c)
{
    if (c->cr0 & CR0_EM)
        return cpu_fault_noerr(c, EXC_UD);
    if (c->cr0 & CR0_TS)
        return cpu_fault_noerr(c, EXC_NM);
    return true;
}

/* AMD's fast FXSAVE (EFER.FFXSR): at CPL 0 in 64-bit mode the XMM registers are left out. */
static bool fast_fxsave(const struct cpu *c)
{
    return (c->efer & EFER_FFXSR) && c->cpl == 0 && (c->mode & MODE_CODE_MASK) == MODE_CODE64;
}

OP(fxsave)
{
    uint8_t a[LEGACY_BYTES] __attribute__((aligned(16))) = { 0 };
    uint64_t ea = insn_ea(c, i);
    /* Bytes 416-511 and, with them, the reserved parts stay as they are in memory. */
    if (!fx_check(c) || !aligned(c, i, ea, 16) || !area_probe(c, i, ea, LEGACY_BYTES))
        return EXEC_FAULT;
    save_x87(c, i, a);
    put(a + FX_MXCSR, c->mxcsr, 4);
    put(a + FX_MXCSR_MASK, MXCSR_MASK, 4);
    unsigned end = FX_XMM;
    if ((c->cr4 & CR4_OSFXSR) && !fast_fxsave(c)) {
        memcpy(a + FX_XMM, c->xmm, 16 * xmm_count(c));
        end += 16 * xmm_count(c);
    }
    return area_st(c, i, ea, a, 0, end) ? EXEC_NEXT : EXEC_FAULT;
}

OP(fxrstor)
{
    uint8_t a[LEGACY_BYTES] __attribute__((aligned(16)));
    uint64_t ea = insn_ea(c, i);
    if (!fx_check(c) || !aligned(c, i, ea, 16) || !area_ld(c, i, ea, a, LEGACY_BYTES))
        return EXEC_FAULT;
    uint32_t mxcsr = (uint32_t)get(a + FX_MXCSR, 4);
    if ((c->cr4 & CR4_OSFXSR) && (mxcsr & ~MXCSR_MASK))
        return fault(c, EXC_GP, 0);
    restore_x87(c, i, a);
    if (c->cr4 & CR4_OSFXSR) {
        c->mxcsr = mxcsr;
        if (!fast_fxsave(c))
            memcpy(c->xmm, a + FX_XMM, 16 * xmm_count(c));
    }
    return EXEC_NEXT;
}

OP(ldmxcsr)
{
    uint32_t v;
    if (!sse_check(c) || !mem_ld32(c, i->seg, insn_ea(c, i), &v))
        return EXEC_FAULT;
    if (v & ~MXCSR_MASK)
        return fault(c, EXC_GP, 0);
    c->mxcsr = v;
    return EXEC_NEXT;
}
OP(stmxcsr)
{
    return sse_check(c) && mem_st32(c, i->seg, insn_ea(c, i), c->mxcsr) ? EXEC_NEXT : EXEC_FAULT;
}

/* ---- XSAVE ---- */

static bool xsave_check(struct cpu *c)
{
    if (!(c->cr4 & CR4_OSXSAVE))
        return cpu_fault_noerr(c, EXC_UD);
    if (c->cr0 & CR0_TS)
        return cpu_fault_noerr(c, EXC_NM);
    return true;
}
static uint64_t requested(const struct cpu *c)
{
    return ((uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32) & c->xcr0;
}
static bool all_zero(const void *p, size_t n)
{
    const uint8_t *b = p;
    while (n--)
        if (*b++)
            return false;
    return true;
}
/* Is a component in its initial configuration? (XSAVEOPT leaves such ones out.) */
static bool x87_initial(const struct cpu *c)
{
    if (c->fcw != 0x37f || x87_fsw(c) || c->ftag || c->fop || c->fip || c->fdp || c->fcs || c->fds)
        return false;
    for (int k = 0; k < 8; k++)
        if (c->st[k].frac || c->st[k].se)
            return false;
    return true;
}
static uint64_t in_use(const struct cpu *c)
{
    return (x87_initial(c) ? 0 : COMPONENT_X87) |
           (all_zero(c->xmm, 16 * xmm_count(c)) ? 0 : COMPONENT_SSE);
}

static enum exec xsave(struct cpu *c, const struct insn *i, bool optimized)
{
    uint8_t a[XSAVE_BYTES] __attribute__((aligned(16)));
    uint64_t ea = insn_ea(c, i);
    if (!xsave_check(c) || !aligned(c, i, ea, 64) || !area_probe(c, i, ea, XSAVE_BYTES) ||
        !area_ld(c, i, ea, a, XSAVE_BYTES))
        return EXEC_FAULT;
    uint64_t rfbm = requested(c), used = in_use(c), bv = get(a + LEGACY_BYTES, 8);
    bool save_fp = (rfbm & COMPONENT_X87) && (!optimized || (used & COMPONENT_X87));
    bool save_sse = (rfbm & COMPONENT_SSE) && (!optimized || (used & COMPONENT_SSE));
    if (save_fp)
        save_x87(c, i, a);
    if (rfbm & COMPONENT_SSE) {
        put(a + FX_MXCSR, c->mxcsr, 4);
        put(a + FX_MXCSR_MASK, MXCSR_MASK, 4);
    }
    if (save_sse)
        memcpy(a + FX_XMM, c->xmm, 16 * xmm_count(c));
    put(a + LEGACY_BYTES, (bv & ~rfbm) | (used & rfbm), 8);
    return area_st(c, i, ea, a, 0, XSAVE_BYTES) ? EXEC_NEXT : EXEC_FAULT;
}
OP(xsave)
{
    return xsave(c, i, false);
}
OP(xsaveopt)
{
    return xsave(c, i, true);
}

OP(xrstor)
{
    uint8_t a[XSAVE_BYTES] __attribute__((aligned(16)));
    uint64_t ea = insn_ea(c, i);
    if (!xsave_check(c) || !aligned(c, i, ea, 64) || !area_ld(c, i, ea, a, XSAVE_BYTES))
        return EXEC_FAULT;
    uint64_t rfbm = requested(c), bv = get(a + LEGACY_BYTES, 8);
    uint32_t mxcsr = (uint32_t)get(a + FX_MXCSR, 4);
    /* XSTATE_BV names only enabled components; XCOMP_BV and the rest of the header's first 24 bytes
     * are zero. */
    if ((bv & ~c->xcr0) || !all_zero(a + LEGACY_BYTES + 8, 16) ||
        ((rfbm & COMPONENT_SSE) && (mxcsr & ~MXCSR_MASK)))
        return fault(c, EXC_GP, 0);
    if (rfbm & COMPONENT_X87) {
        if (bv & COMPONENT_X87) {
            restore_x87(c, i, a);
        } else {
            x87_init(c);
            memset(c->st, 0, sizeof c->st);
        }
    }
    if (rfbm & COMPONENT_SSE) {
        c->mxcsr = mxcsr;
        if (bv & COMPONENT_SSE)
            memcpy(c->xmm, a + FX_XMM, 16 * xmm_count(c));
        else
            memset(c->xmm, 0, 16 * xmm_count(c));
    }
    return EXEC_NEXT;
}

#define AE(nm, rg, opnd, feat)                                                                     \
    ROW_(#nm, MAP_0F, 0xae, PFX_NP, rg, R_ANY, MOD_MEM, OPS(opnd), feat, FL_NONE, 0, F1(nm), 0)
static const struct opcode rows[] = {
    AE(fxsave, 0, OPD_Mfx, FEAT_FXSR),     AE(fxrstor, 1, OPD_Mfx, FEAT_FXSR),
    AE(ldmxcsr, 2, OPD_Md, FEAT_SSE),      AE(stmxcsr, 3, OPD_Md, FEAT_SSE),
    AE(xsave, 4, OPD_M, FEAT_XSAVE),       AE(xrstor, 5, OPD_M, FEAT_XSAVE),
    AE(xsaveopt, 6, OPD_M, FEAT_XSAVEOPT),
};
TABLE(opcodes_fxsave, rows);
