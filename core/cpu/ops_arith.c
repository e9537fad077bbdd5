/*
 * Integer instructions, second part: multiply and divide, rotates and double shifts, bit
 * operations, compare-and- exchange, decimal adjust. One handler serves all operand sizes; none of
 * these is frequent enough to deserve a specialised form. Undefined flags are left as they were
 * unless a comment says otherwise.
 */
#include "cpu/ops.h"

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

static inline unsigned bits_of(const struct insn *i)
{
    return 8u << i->osz;
}
static inline uint64_t mask_of(unsigned bits)
{
    return bits == 64 ? ~0ull : (1ull << bits) - 1;
}

/* ---- multiply and divide ---- */

static void mul_flags(struct cpu *c, uint64_t low, unsigned bits, bool overflow)
{
    flags_result(c, sext_bits(low, bits));
    c->fl_a = 0;
    flags_set_cf_of(c, overflow, overflow);
}

OP(mul)
{
    uint64_t v;
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    if (i->osz == 0) {
        unsigned r = (unsigned)(GET8(c, 0) * v);
        SET16(c, RAX, r);
        mul_flags(c, r, 8, r >> 8);
        return EXEC_NEXT;
    }
    unsigned __int128 r = (unsigned __int128)reg_get(c, RAX, i->osz) * v;
    uint64_t high = (uint64_t)(r >> bits_of(i));
    reg_set(c, RAX, i->osz, (uint64_t)r);
    reg_set(c, RDX, i->osz, high);
    mul_flags(c, (uint64_t)r, bits_of(i), (high & mask_of(bits_of(i))) != 0);
    return EXEC_NEXT;
}

OP(imul)
{
    uint64_t v;
    unsigned bits = bits_of(i);
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    int64_t a = (int64_t)sext_bits(reg_get(c, i->osz ? RAX : 0, i->osz), bits);
    __int128 r = (__int128)a * (int64_t)sext_bits(v, bits);
    bool overflow = r != (__int128)(int64_t)sext_bits((uint64_t)r, bits);
    if (i->osz == 0) {
        SET16(c, RAX, (uint16_t)r);
    } else {
        reg_set(c, RAX, i->osz, (uint64_t)r);
        reg_set(c, RDX, i->osz, (uint64_t)((unsigned __int128)r >> bits));
    }
    mul_flags(c, (uint64_t)r, bits, overflow);
    return EXEC_NEXT;
}

OP(div)
{
    uint64_t v;
    unsigned bits = bits_of(i);
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    if (v == 0)
        return fault_noerr(c, EXC_DE);
    if (i->osz == 0) {
        unsigned a = GET16(c, RAX), q = a / (unsigned)v;
        if (q > 0xff)
            return fault_noerr(c, EXC_DE);
        SET16(c, RAX, q | (a % (unsigned)v) << 8);
        return EXEC_NEXT;
    }
    uint64_t hi = reg_get(c, RDX, i->osz), lo = reg_get(c, RAX, i->osz);
    if (hi >= v)
        return fault_noerr(c, EXC_DE);
    uint64_t q, rem;
    if (bits <= 32 || hi == 0) {
        uint64_t a = bits == 64 ? lo : hi << bits | lo;
        q = a / v;
        rem = a % v;
    } else {
        unsigned __int128 a = (unsigned __int128)hi << 64 | lo;
        q = (uint64_t)(a / v);
        rem = (uint64_t)(a % v);
    }
    reg_set(c, RAX, i->osz, q);
    reg_set(c, RDX, i->osz, rem);
    return EXEC_NEXT;
}

OP(idiv)
{
    uint64_t v;
    unsigned bits = bits_of(i);
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    int64_t d = (int64_t)sext_bits(v, bits);
    if (d == 0)
        return fault_noerr(c, EXC_DE);
    __int128 a;
    if (i->osz == 0)
        a = (int16_t)c->gpr[RAX];
    else
        a = (__int128)((unsigned __int128)(__int128)(int64_t)sext_bits(reg_get(c, RDX, i->osz),
                                                                       bits)
                       << bits) |
            reg_get(c, RAX, i->osz);
    /* |a| / |d| in unsigned arithmetic: INT_MIN / -1 mustn't trap the host. */
    unsigned __int128 ua = a < 0 ? -(unsigned __int128)a : (unsigned __int128)a;
    uint64_t ud = d < 0 ? 0 - (uint64_t)d : (uint64_t)d;
    unsigned __int128 q = ua <= UINT64_MAX ? (uint64_t)ua / ud : ua / ud;
    uint64_t rem = ua <= UINT64_MAX ? (uint64_t)ua % ud : (uint64_t)(ua % ud);
    bool negative = (a < 0) != (d < 0);
    if (q > (unsigned __int128)(mask_of(bits) >> 1) + negative)
        return fault_noerr(c, EXC_DE);
    uint64_t quotient = negative ? 0 - (uint64_t)q : (uint64_t)q;
    if (a < 0)
        rem = 0 - rem;
    if (i->osz == 0) {
        SET16(c, RAX, (quotient & 0xff) | (rem & 0xff) << 8);
    } else {
        reg_set(c, RAX, i->osz, quotient);
        reg_set(c, RDX, i->osz, rem);
    }
    return EXEC_NEXT;
}

/* ---- rotates: only CF and OF change, and nothing for a masked count of 0. OF is defined for a
 * count of 1; for others this is what Intel's parts give, the same formula. ---- */

static void rotate_flags(struct cpu *c, bool cf, bool of)
{
    flags_set_cf_of(c, cf, of);
}

enum rotate { ROL, ROR, RCL, RCR };
static uint64_t rotate(struct cpu *c, enum rotate how, uint64_t a, unsigned count, unsigned bits)
{
    uint64_t mask = mask_of(bits), r = a;
    bool cf = flag_cf(c);
    unsigned n;
    switch (how) {
    case ROL:
        n = count % bits;
        r = n ? (a << n | a >> (bits - n)) & mask : a;
        cf = r & 1;
        rotate_flags(c, cf, cf ^ (r >> (bits - 1) & 1));
        break;
    case ROR:
        n = count % bits;
        r = n ? (a >> n | a << (bits - n)) & mask : a;
        cf = r >> (bits - 1) & 1;
        rotate_flags(c, cf, cf ^ (r >> (bits - 2) & 1));
        break;
    case RCL:
        for (n = count % (bits + 1); n > 0; n--) {
            bool out = r >> (bits - 1) & 1;
            r = (r << 1 | cf) & mask;
            cf = out;
        }
        rotate_flags(c, cf, cf ^ (r >> (bits - 1) & 1));
        break;
    case RCR:
        for (n = count % (bits + 1); n > 0; n--) {
            bool out = r & 1;
            r = r >> 1 | (uint64_t)cf << (bits - 1);
            cf = out;
        }
        rotate_flags(c, cf, (r >> (bits - 1) & 1) ^ (r >> (bits - 2) & 1));
        break;
    }
    return r;
}

static enum exec rotate_insn(struct cpu *c, const struct insn *i, enum rotate how, unsigned count)
{
    struct rmw m;
    uint64_t v, co = c->fl_co;
    count &= i->osz == 3 ? 63 : 31;
    if (!rm_rmw_get(c, i, i->osz, &m, &v))
        return EXEC_FAULT;
    if (count)
        v = rotate(c, how, v, count, bits_of(i));
    else if (i->flags & INSN_MEM)
        return EXEC_NEXT;
    if (!rm_rmw_set(c, i, i->osz, &m, v)) {
        c->fl_co = co;
        return EXEC_FAULT;
    }
    return EXEC_NEXT;
}
#define DEF_ROTATE(name, how)                                                                      \
    OP(name##_EI)                                                                                  \
    {                                                                                              \
        return rotate_insn(c, i, how, (unsigned)i->imm);                                           \
    }                                                                                              \
    OP(name##_ECL)                                                                                 \
    {                                                                                              \
        return rotate_insn(c, i, how, (unsigned)c->gpr[RCX] & 0xff);                               \
    }
DEF_ROTATE(rol, ROL)
DEF_ROTATE(ror, ROR)
DEF_ROTATE(rcl, RCL)
DEF_ROTATE(rcr, RCR)

/* SHLD and SHRD. A 16-bit shift by more than 16 is undefined; Intel's parts shift the pattern
 * dst:src:dst. */
static enum exec double_shift(struct cpu *c, const struct insn *i, bool left, unsigned count)
{
    unsigned bits = bits_of(i);
    struct rmw m;
    uint64_t a, b = reg_get(c, i->r, i->osz), r;
    bool cf;
    count &= bits == 64 ? 63 : 31;
    if (!rm_rmw_get(c, i, i->osz, &m, &a))
        return EXEC_FAULT;
    if (count == 0)
        return i->flags & INSN_MEM ? EXEC_NEXT : (reg_set(c, i->rm, i->osz, a), EXEC_NEXT);
    if (bits == 16) {
        uint64_t wide = a << 32 | b << 16 | a;
        if (left) {
            r = (wide << count) >> 32 & 0xffff;
            cf = (wide << (count - 1)) >> 47 & 1;
        } else {
            r = (wide >> count) & 0xffff;
            cf = wide >> (count - 1) & 1;
        }
    } else if (left) {
        r = (a << count | b >> (bits - count)) & mask_of(bits);
        cf = a >> (bits - count) & 1;
    } else {
        r = (a >> count | b << (bits - count)) & mask_of(bits);
        cf = a >> (count - 1) & 1;
    }
    if (!rm_rmw_set(c, i, i->osz, &m, r))
        return EXEC_FAULT;
    flags_result(c, sext_bits(r, bits));
    c->fl_a = 0;
    flags_set_cf_of(c, cf, (a ^ r) >> (bits - 1) & 1);
    return EXEC_NEXT;
}
OP(shld_I)
{
    return double_shift(c, i, true, (unsigned)i->imm);
}
OP(shld_CL)
{
    return double_shift(c, i, true, (unsigned)c->gpr[RCX]);
}
OP(shrd_I)
{
    return double_shift(c, i, false, (unsigned)i->imm);
}
OP(shrd_CL)
{
    return double_shift(c, i, false, (unsigned)c->gpr[RCX]);
}

/* ---- bit tests. With a register offset and a memory operand, the offset reaches beyond the
 * operand. OF, undefined, becomes 0. ---- */

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
static enum exec bit_insn(struct cpu *c, const struct insn *i, enum bit_op op, bool immediate)
{
    unsigned bits = bits_of(i);
    uint64_t offset = immediate ? (uint64_t)(uint8_t)i->imm : reg_get(c, i->r, i->osz);
    struct rmw m;
    uint64_t v = 0, ea = 0;
    if (i->flags & INSN_MEM) {
        ea = insn_ea(c, i);
        if (!immediate) {
            int64_t units = (int64_t)sext_bits(offset, bits) >> (3 + i->osz);
            ea = (ea + ((uint64_t)units << i->osz)) << i->ash >> i->ash;
        }
        bool ok = op == BIT_TEST ? mem_ld(c, i->seg, ea, i->osz, &v)
                                 : rmw_load_at(c, i->seg, ea, 1u << i->osz, &m, &v);
        if (!ok)
            return EXEC_FAULT;
    } else {
        v = reg_get(c, i->rm, i->osz);
    }
    uint64_t bit = 1ull << (offset & (bits - 1));
    bool was = (v & bit) != 0;
    switch (op) {
    case BIT_TEST: break;
    case BIT_SET: v |= bit; break;
    case BIT_RESET: v &= ~bit; break;
    case BIT_COMPLEMENT: v ^= bit; break;
    }
    if (op != BIT_TEST && !rm_rmw_set(c, i, i->osz, &m, v))
        return EXEC_FAULT;
    flags_set_cf_of(c, was, false);
    return EXEC_NEXT;
}
#define DEF_BIT(name, op)                                                                          \
    OP(name##_G)                                                                                   \
    {                                                                                              \
        return bit_insn(c, i, op, false);                                                          \
    }                                                                                              \
    OP(name##_I)                                                                                   \
    {                                                                                              \
        return bit_insn(c, i, op, true);                                                           \
    }
DEF_BIT(bt, BIT_TEST)
DEF_BIT(bts, BIT_SET)
DEF_BIT(btr, BIT_RESET)
DEF_BIT(btc, BIT_COMPLEMENT)

/* BSF/BSR of 0: ZF, the destination stays (what Intel and AMD parts do; a 32-bit form doesn't even
 * clear the top). The undefined flags are as if the source had been tested. */
static enum exec bit_scan(struct cpu *c, const struct insn *i, bool reverse)
{
    uint64_t v;
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    flags_result(c, sext_bits(v, bits_of(i)));
    c->fl_co = c->fl_a = 0;
    if (v != 0)
        reg_set(c, i->r, i->osz,
                reverse ? 63u - (unsigned)__builtin_clzll(v) : (unsigned)__builtin_ctzll(v));
    return EXEC_NEXT;
}
OP(bsf)
{
    return bit_scan(c, i, false);
}
OP(bsr)
{
    return bit_scan(c, i, true);
}

OP(popcnt)
{
    uint64_t v;
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    reg_set(c, i->r, i->osz, (uint64_t)__builtin_popcountll(v));
    flags_set_arith(c, v ? 0 : FL_ZF);
    return EXEC_NEXT;
}

/* CRC-32C, reflected polynomial 0x82f63b78 (SDM vol. 2, CRC32). */
static uint32_t crc32c(uint32_t crc, uint64_t v, unsigned bytes)
{
    for (unsigned k = 0; k < bytes; k++) {
        crc ^= (uint8_t)(v >> (8 * k));
        for (int b = 0; b < 8; b++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return crc;
}
OP(crc32)
{
    uint64_t v;
    if (!rm_get(c, i, i->osz, &v))
        return EXEC_FAULT;
    /* The source may be a byte; the destination is a 32-bit (or 64-bit) register of its own. */
    c->gpr[i->r] = crc32c((uint32_t)c->gpr[i->r], v, 1u << i->osz);
    return EXEC_NEXT;
}

/* ---- exchange ---- */

OP(cmpxchg)
{
    unsigned bits = bits_of(i);
    struct rmw m;
    uint64_t dest, acc = reg_get(c, i->osz ? RAX : 0, i->osz);
    if (!rm_rmw_get(c, i, i->osz, &m, &dest))
        return EXEC_FAULT;
    bool equal = acc == dest;
    /* The destination is always written, with its old value if the comparison fails. A failed
     * 32-bit comparison of a register leaves that register's upper half alone. */
    if (equal || (i->flags & INSN_MEM)) {
        if (!rm_rmw_set(c, i, i->osz, &m, equal ? reg_get(c, i->r, i->osz) : dest))
            return EXEC_FAULT;
    }
    if (!equal)
        reg_set(c, i->osz ? RAX : 0, i->osz, dest);
    flags_sub(c, acc, dest, acc - dest, bits);
    return EXEC_NEXT;
}

OP(xadd)
{
    unsigned bits = bits_of(i);
    struct rmw m;
    uint64_t a, b = reg_get(c, i->r, i->osz);
    if (!rm_rmw_get(c, i, i->osz, &m, &a))
        return EXEC_FAULT;
    uint64_t r = a + b;
    if (i->flags & INSN_MEM) {
        if (!rm_rmw_set(c, i, i->osz, &m, r))
            return EXEC_FAULT;
        reg_set(c, i->r, i->osz, a);
    } else {
        reg_set(c, i->r, i->osz, a); /* first: XADD r,r of one register leaves the sum */
        reg_set(c, i->rm, i->osz, r);
    }
    flags_add(c, a, b, r, bits);
    return EXEC_NEXT;
}

/* A 16-byte operand that isn't aligned is #GP(0). */
OP(cmpxchg8b)
{
    unsigned half = i->osz == 3 ? 8 : 4;
    uint64_t ea = insn_ea(c, i);
    struct rmw m;
    uint64_t v[2] = { 0, 0 };
    uint8_t raw[16];
    if (half == 8 && ((c->seg_base[i->seg] + ea) & 15))
        return fault(c, EXC_GP, 0);
    if (!rmw_load_at(c, i->seg, ea, 2 * half, &m, raw))
        return EXEC_FAULT;
    memcpy(&v[0], raw, half);
    memcpy(&v[1], raw + half, half);
    uint64_t mask = mask_of(half * 8);
    bool equal = v[0] == (c->gpr[RAX] & mask) && v[1] == (c->gpr[RDX] & mask);
    if (equal) {
        memcpy(raw, &c->gpr[RBX], half);
        memcpy(raw + half, &c->gpr[RCX], half);
    }
    if (!rmw_store_at(c, i->seg, &m, raw, 2 * half))
        return EXEC_FAULT;
    if (!equal) {
        reg_set(c, RAX, half == 8 ? 3 : 2, v[0]);
        reg_set(c, RDX, half == 8 ? 3 : 2, v[1]);
    }
    flags_set_arith(c, (flags_arith(c) & ~FL_ZF) | (equal ? FL_ZF : 0));
    return EXEC_NEXT;
}

/* ---- decimal adjust (SDM vol. 2). Undefined flags follow what Intel's parts compute. ---- */

static void bcd_flags(struct cpu *c, uint8_t al, bool cf, bool af)
{
    flags_result(c, sext_bits(al, 8));
    c->fl_a = af ? FL_AF : 0;
    flags_set_cf_of(c, cf, false);
}
static enum exec decimal_adjust(struct cpu *c, bool subtract)
{
    uint8_t al = GET8(c, 0), old = al;
    bool cf = flag_cf(c), af = flag_af(c), out = false;
    if ((al & 15) > 9 || af) {
        out = cf || (subtract ? al < 6 : al > 0xff - 6);
        al = (uint8_t)(subtract ? al - 6 : al + 6);
        af = true;
    }
    if (old > 0x99 || cf) {
        al = (uint8_t)(subtract ? al - 0x60 : al + 0x60);
        out = true;
    }
    SET8(c, 0, al);
    bcd_flags(c, al, out, af);
    return EXEC_NEXT;
}
OP(daa)
{
    (void)i;
    return decimal_adjust(c, false);
}
OP(das)
{
    (void)i;
    return decimal_adjust(c, true);
}

static enum exec ascii_adjust(struct cpu *c, bool subtract)
{
    uint16_t ax = GET16(c, RAX);
    bool adjust = (ax & 15) > 9 || flag_af(c);
    if (adjust)
        ax = (uint16_t)(subtract ? ax - 0x106 : ax + 0x106);
    ax &= 0xff0f;
    SET16(c, RAX, ax);
    bcd_flags(c, (uint8_t)ax, adjust, adjust);
    return EXEC_NEXT;
}
OP(aaa)
{
    (void)i;
    return ascii_adjust(c, false);
}
OP(aas)
{
    (void)i;
    return ascii_adjust(c, true);
}

OP(aam)
{
    unsigned base = (uint8_t)i->imm, al = GET8(c, 0);
    if (base == 0)
        return fault_noerr(c, EXC_DE);
    SET16(c, RAX, (al / base) << 8 | al % base);
    bcd_flags(c, (uint8_t)(al % base), false, false);
    return EXEC_NEXT;
}
OP(aad)
{
    uint16_t ax = GET16(c, RAX);
    uint8_t al = (uint8_t)(ax + (ax >> 8) * (unsigned)(uint8_t)i->imm);
    SET16(c, RAX, al);
    bcd_flags(c, al, false, false);
    return EXEC_NEXT;
}

#define FL_ROT FL(FLB_C | FLB_O, FLB_C, FLB_O)
#define ROT_ROWS(nm, rg)                                                                           \
    R1x(#nm, 0xc0, rg, OPS(OPD_Eb, OPD_Ib), FL_ROT, OP_BYTE | OP_READ_DST, F1(nm##_EI), 0),        \
        R1x(#nm, 0xc1, rg, OPS(OPD_Ev, OPD_Ib), FL_ROT, OP_READ_DST, F1(nm##_EI), 0),              \
        R1x(#nm, 0xd0, rg, OPS(OPD_Eb, OPD_I1), FL(FLB_C, FLB_C | FLB_O, 0),                       \
            OP_BYTE | OP_READ_DST, F1(nm##_EI), 0),                                                \
        R1x(#nm, 0xd1, rg, OPS(OPD_Ev, OPD_I1), FL(FLB_C, FLB_C | FLB_O, 0), OP_READ_DST,          \
            F1(nm##_EI), 0),                                                                       \
        R1x(#nm, 0xd2, rg, OPS(OPD_Eb, OPD_CL), FL_ROT, OP_BYTE | OP_READ_DST, F1(nm##_ECL), 0),   \
        R1x(#nm, 0xd3, rg, OPS(OPD_Ev, OPD_CL), FL_ROT, OP_READ_DST, F1(nm##_ECL), 0)
#define FL_MUL FL(0, FLB_C | FLB_O, FLB_S | FLB_Z | FLB_A | FLB_P)
#define FL_DIV FL(0, 0, FLB_ALL)
#define FL_DSH FL(FLB_ALL, FLB_C | FLB_P | FLB_Z | FLB_S, FLB_A | FLB_O)
#define FL_BT  FL(0, FLB_C, FLB_P | FLB_A | FLB_S | FLB_O)
#define FL_BS  FL(0, FLB_Z, FLB_ALL & ~FLB_Z)
#define BT_ROWS(nm, by, rg, lk)                                                                    \
    R0(#nm, by, OPS(OPD_Ev, OPD_Gv), FL_BT, OP_READ_DST | lk, F1(nm##_G), 0),                      \
        R0x(#nm, 0xba, rg, OPS(OPD_Ev, OPD_Ib), FL_BT, OP_READ_DST | lk, F1(nm##_I), 0)

static const struct opcode rows[] = {
    ROT_ROWS(rol, 0),
    ROT_ROWS(ror, 1),
    ROT_ROWS(rcl, 2),
    ROT_ROWS(rcr, 3),
    R1x("mul", 0xf6, 4, OPS(OPD_Eb), FL_MUL, OP_BYTE | OP_READ_DST, F1(mul), 0),
    R1x("mul", 0xf7, 4, OPS(OPD_Ev), FL_MUL, OP_READ_DST, F1(mul), 0),
    R1x("imul", 0xf6, 5, OPS(OPD_Eb), FL_MUL, OP_BYTE | OP_READ_DST, F1(imul), 0),
    R1x("imul", 0xf7, 5, OPS(OPD_Ev), FL_MUL, OP_READ_DST, F1(imul), 0),
    R1x("div", 0xf6, 6, OPS(OPD_Eb), FL_DIV, OP_BYTE | OP_READ_DST, F1(div), 0),
    R1x("div", 0xf7, 6, OPS(OPD_Ev), FL_DIV, OP_READ_DST, F1(div), 0),
    R1x("idiv", 0xf6, 7, OPS(OPD_Eb), FL_DIV, OP_BYTE | OP_READ_DST, F1(idiv), 0),
    R1x("idiv", 0xf7, 7, OPS(OPD_Ev), FL_DIV, OP_READ_DST, F1(idiv), 0),
    R0("shld", 0xa4, OPS(OPD_Ev, OPD_Gv, OPD_Ib), FL_DSH, OP_READ_DST, F1(shld_I), 0),
    R0("shld", 0xa5, OPS(OPD_Ev, OPD_Gv, OPD_CL), FL_DSH, OP_READ_DST, F1(shld_CL), 0),
    R0("shrd", 0xac, OPS(OPD_Ev, OPD_Gv, OPD_Ib), FL_DSH, OP_READ_DST, F1(shrd_I), 0),
    R0("shrd", 0xad, OPS(OPD_Ev, OPD_Gv, OPD_CL), FL_DSH, OP_READ_DST, F1(shrd_CL), 0),
    BT_ROWS(bt, 0xa3, 4, 0),
    BT_ROWS(bts, 0xab, 5, OP_LOCK),
    BT_ROWS(btr, 0xb3, 6, OP_LOCK),
    BT_ROWS(btc, 0xbb, 7, OP_LOCK),
    R0("bsf", 0xbc, OPS(OPD_Gv, OPD_Ev), FL_BS, OP_READ_DST, F1(bsf), 0),
    R0("bsr", 0xbd, OPS(OPD_Gv, OPD_Ev), FL_BS, OP_READ_DST, F1(bsr), 0),
    ROW_("popcnt", MAP_0F, 0xb8, PFX_F3, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Gv, OPD_Ev), FEAT_POPCNT,
         FL(0, FLB_ALL, 0), 0, F1(popcnt), 0),
    ROW_("crc32", MAP_0F38, 0xf0, PFX_F2, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Gd, OPD_Eb), FEAT_SSE42,
         FL_NONE, OP_BYTE | OP_READ_DST, F1(crc32), 0),
    ROW_("crc32", MAP_0F38, 0xf1, PFX_F2, R_ANY, R_ANY, MOD_ANY, OPS(OPD_Gd, OPD_Ev), FEAT_SSE42,
         FL_NONE, OP_READ_DST, F1(crc32), 0),
    R0("cmpxchg", 0xb0, OPS(OPD_Eb, OPD_Gb), FL_ADD, OP_BYTE | OP_LOCK | OP_READ_DST, F1(cmpxchg),
       0),
    R0("cmpxchg", 0xb1, OPS(OPD_Ev, OPD_Gv), FL_ADD, OP_LOCK | OP_READ_DST, F1(cmpxchg), 0),
    R0("xadd", 0xc0, OPS(OPD_Eb, OPD_Gb), FL_ADD, OP_BYTE | OP_LOCK | OP_READ_DST, F1(xadd), 0),
    R0("xadd", 0xc1, OPS(OPD_Ev, OPD_Gv), FL_ADD, OP_LOCK | OP_READ_DST, F1(xadd), 0),
    ROW_("cmpxchg16b", MAP_0F, 0xc7, PFX_ANY, 1, R_ANY, MOD_MEM, OPS(OPD_M), FEAT_CX16,
         FL(0, FLB_Z, 0), OP_LOCK | OP_READ_DST | OP_W1, F1(cmpxchg8b), 0),
    ROW_("cmpxchg8b", MAP_0F, 0xc7, PFX_ANY, 1, R_ANY, MOD_MEM, OPS(OPD_M), FEAT_CX8,
         FL(0, FLB_Z, 0), OP_LOCK | OP_READ_DST | OP_W0, F1(cmpxchg8b), 0),
    R1("daa", 0x27, OPS(OPD_NONE), FL(FLB_C | FLB_A, FLB_ALL & ~FLB_O, FLB_O), OP_NO64, F1(daa), 0),
    R1("das", 0x2f, OPS(OPD_NONE), FL(FLB_C | FLB_A, FLB_ALL & ~FLB_O, FLB_O), OP_NO64, F1(das), 0),
    R1("aaa", 0x37, OPS(OPD_NONE), FL(FLB_A, FLB_A | FLB_C, FLB_O | FLB_S | FLB_Z | FLB_P), OP_NO64,
       F1(aaa), 0),
    R1("aas", 0x3f, OPS(OPD_NONE), FL(FLB_A, FLB_A | FLB_C, FLB_O | FLB_S | FLB_Z | FLB_P), OP_NO64,
       F1(aas), 0),
    R1("aam", 0xd4, OPS(OPD_Ib), FL(0, FLB_S | FLB_Z | FLB_P, FLB_O | FLB_A | FLB_C), OP_NO64,
       F1(aam), 0),
    R1("aad", 0xd5, OPS(OPD_Ib), FL(0, FLB_S | FLB_Z | FLB_P, FLB_O | FLB_A | FLB_C), OP_NO64,
       F1(aad), 0),
};
TABLE(opcodes_arith, rows);
