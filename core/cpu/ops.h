/*
 * What all ops_*.c files share: macros for opcode rows, access to operands, the stack.
 *
 * Handlers are named x_<mnemonic>_<operands>[_<bits><R|M>]: E = r/m, G = register, I = immediate, Z
 * = register in the opcode. Families exist in sizes 8, 16, 32, 64 and, where it pays, once for a
 * register and once for a memory operand, in the order in which OP_SIZED and OP_SIZED_RM index
 * them.
 */
#ifndef SLIPWAY_OPS_H
#define SLIPWAY_OPS_H

#include <string.h>

#include "cpu/decode.h"
#include "cpu/flags.h"
#include "cpu/mem.h"

/* ---- rows ---- */
/* Operands and flag sets travel through the row macros in parentheses, so that their commas
 * survive. */
#define OPS(...)    (__VA_ARGS__)
#define FL(r, w, u) (r, w, u)
#define FL_NONE     FL(0, 0, 0)
#define FL_ADD      FL(0, FLB_ALL, 0)
#define FL_LOGIC    FL(0, FLB_ALL & ~FLB_A, FLB_A)
#define UNPACK(...) __VA_ARGS__
#define ROW_(nm, mp, by, pfx, rg, rmc, md, opnds, feat, fl, flg, init, ht)                         \
    {                                                                                              \
        .name = nm, .map = mp, .byte = by, .prefix = pfx, .reg = rg, .rm = rmc, .mod = md,         \
        .operands = { UNPACK opnds }, .feature = feat, UNPACK fl, .flags = flg, init, .hot = ht    \
    }
/* One-byte map and 0F map, with (x) and without a ModRM.reg constraint. F1: one handler, FT: a
 * family. */
#define R1(nm, by, opnds, fl, flg, init, ht)                                                       \
    ROW_(nm, MAP_1B, by, PFX_ANY, R_ANY, R_ANY, MOD_ANY, opnds, FEAT_NONE, fl, flg, init, ht)
#define R1x(nm, by, rg, opnds, fl, flg, init, ht)                                                  \
    ROW_(nm, MAP_1B, by, PFX_ANY, rg, R_ANY, MOD_ANY, opnds, FEAT_NONE, fl, flg, init, ht)
#define R0(nm, by, opnds, fl, flg, init, ht)                                                       \
    ROW_(nm, MAP_0F, by, PFX_ANY, R_ANY, R_ANY, MOD_ANY, opnds, FEAT_NONE, fl, flg, init, ht)
#define R0x(nm, by, rg, opnds, fl, flg, init, ht)                                                  \
    ROW_(nm, MAP_0F, by, PFX_ANY, rg, R_ANY, MOD_ANY, opnds, FEAT_NONE, fl, flg, init, ht)
#define F1(f) .fn = x_##f
#define FT(t) .fns = t_##t
#define TABLE(name, rows)                                                                          \
    const struct opcode_table name = { rows, sizeof(rows) / sizeof((rows)[0]) }

/* ---- registers ---- */
#define GET8(c, n)     (*reg8(c, n))
#define GET16(c, n)    ((uint16_t)(c)->gpr[n])
#define GET32(c, n)    ((uint32_t)(c)->gpr[n])
#define GET64(c, n)    ((c)->gpr[n])
#define SET8(c, n, v)  (*reg8(c, n) = (uint8_t)(v))
#define SET16(c, n, v) (*(uint16_t *)&(c)->gpr[n] = (uint16_t)(v))
#define SET32(c, n, v) ((c)->gpr[n] = (uint32_t)(v))
#define SET64(c, n, v) ((c)->gpr[n] = (v))

/* Sizes that are only known at run time; @osz is log2 of bytes. Byte registers by byte index. */
static inline uint64_t reg_get(struct cpu *c, unsigned n, unsigned osz)
{
    switch (osz) {
    case 0: return GET8(c, n);
    case 1: return GET16(c, n);
    case 2: return GET32(c, n);
    default: return GET64(c, n);
    }
}
static inline void reg_set(struct cpu *c, unsigned n, unsigned osz, uint64_t v)
{
    switch (osz) {
    case 0: SET8(c, n, v); break;
    case 1: SET16(c, n, v); break;
    case 2: SET32(c, n, v); break;
    default: SET64(c, n, v); break;
    }
}

static force_inline bool mem_ld(struct cpu *c, int seg, uint64_t ea, unsigned osz, uint64_t *v)
{
    uint64_t la;
    if (!mem_linear(c, seg, ea, 1u << osz, ACCESS_READ, &la))
        return false;
    void *p = mem_host(c, ACCESS_READ, la, 1u << osz);
    uint64_t t = 0;
    if (likely(p))
        memcpy(&t, p, (size_t)1 << osz);
    else if (!mem_read_slow(c, seg, la, &t, 1u << osz))
        return false;
    *v = t;
    return true;
}
static force_inline bool mem_st(struct cpu *c, int seg, uint64_t ea, unsigned osz, uint64_t v)
{
    uint64_t la;
    if (!mem_linear(c, seg, ea, 1u << osz, ACCESS_WRITE, &la))
        return false;
    void *p = mem_host(c, ACCESS_WRITE, la, 1u << osz);
    if (unlikely(!p))
        return mem_write_slow(c, seg, la, &v, 1u << osz);
    memcpy(p, &v, (size_t)1 << osz);
    return true;
}

/* The r/m operand of any size. */
static inline bool rm_get(struct cpu *c, const struct insn *i, unsigned osz, uint64_t *v)
{
    if (i->flags & INSN_MEM)
        return mem_ld(c, i->seg, insn_ea(c, i), osz, v);
    *v = reg_get(c, i->rm, osz);
    return true;
}
static inline bool rm_set(struct cpu *c, const struct insn *i, unsigned osz, uint64_t v)
{
    if (i->flags & INSN_MEM)
        return mem_st(c, i->seg, insn_ea(c, i), osz, v);
    reg_set(c, i->rm, osz, v);
    return true;
}

/* A read-modify-write memory operand: the load checks for the write, so that a fault is a write
 * fault and comes before anything changed. */
struct rmw {
    void *host; /* NULL: slow path */
    uint64_t la;
};
static force_inline bool rmw_load_at(struct cpu *c, int seg, uint64_t ea, unsigned bytes,
                                     struct rmw *m, void *v)
{
    if (!mem_linear(c, seg, ea, bytes, ACCESS_WRITE, &m->la))
        return false;
    m->host = mem_host(c, ACCESS_WRITE, m->la, bytes);
    if (likely(m->host)) {
        memcpy(v, m->host, bytes);
        return true;
    }
    return mem_probe_write(c, seg, m->la, bytes) && mem_read_slow(c, seg, m->la, v, bytes);
}
static force_inline bool rmw_store_at(struct cpu *c, int seg, const struct rmw *m, const void *v,
                                      unsigned bytes)
{
    if (unlikely(!m->host))
        return mem_write_slow(c, seg, m->la, v, bytes);
    memcpy(m->host, v, bytes);
    return true;
}
/* The r/m operand of any size, register or memory, for handlers that aren't split by kind. */
static inline bool rm_rmw_get(struct cpu *c, const struct insn *i, unsigned osz, struct rmw *m,
                              uint64_t *v)
{
    if (!(i->flags & INSN_MEM)) {
        *v = reg_get(c, i->rm, osz);
        return true;
    }
    *v = 0;
    return rmw_load_at(c, i->seg, insn_ea(c, i), 1u << osz, m, v);
}
static inline bool rm_rmw_set(struct cpu *c, const struct insn *i, unsigned osz,
                              const struct rmw *m, uint64_t v)
{
    if (!(i->flags & INSN_MEM)) {
        reg_set(c, i->rm, osz, v);
        return true;
    }
    return rmw_store_at(c, i->seg, m, &v, 1u << osz);
}

/* ---- stack ---- */
static force_inline void set_sp(struct cpu *c, uint64_t sp)
{
    if (unlikely(c->sp_mask == 0xffff))
        SET16(c, RSP, sp);
    else
        c->gpr[RSP] = sp & c->sp_mask;
}
static force_inline bool push(struct cpu *c, unsigned osz, uint64_t v)
{
    uint64_t sp = (c->gpr[RSP] - (1u << osz)) & c->sp_mask;
    if (!mem_st(c, SEG_SS, sp, osz, v))
        return false;
    set_sp(c, sp);
    return true;
}
/* Reads the top of the stack; the caller commits with pop_commit once nothing can fault any more.
 */
static force_inline bool pop_peek(struct cpu *c, unsigned osz, uint64_t *v)
{
    return mem_ld(c, SEG_SS, c->gpr[RSP] & c->sp_mask, osz, v);
}
static inline void pop_commit(struct cpu *c, unsigned bytes)
{
    set_sp(c, c->gpr[RSP] + bytes);
}

/* ---- near control transfer ---- */
static force_inline enum exec jump_to(struct cpu *c, uint64_t rip)
{
    if (unlikely(rip > c->cs_limit || !cpu_canonical(rip)))
        return fault(c, EXC_GP, 0);
    c->rip = rip;
    return EXEC_JUMP;
}
static inline uint64_t branch_target(const struct cpu *c, const struct insn *i)
{
    uint64_t t = (c->gpr[REG_IP] + i->off + i->len + (uint64_t)(int64_t)i->imm) & c->la_mask;
    return unlikely(i->osz == 1) ? t & 0xffff : t;
}

#endif
