/*
 * Lazy arithmetic flags.
 *
 * An operation stores four words and no flag:
 *   fl_z   result, sign-extended to 64 bits     ZF = fl_z == 0
 *   fl_s   the same value                       SF = bit 63, PF = parity of the low byte
 *   fl_co  carries, shifted to the top          CF = bit 63, OF = bit 63 ^ bit 62
 *   fl_a   a ^ b ^ result                       AF = bit 4
 * ZF is kept apart from SF and PF so that POPF, SAHF and COMISS can set any combination. With a and
 * b zero-extended to 64 bits and r = a +/- b, bit i of a ^ b ^ r is the carry (or borrow) into bit
 * i; for N < 64 the carry out of the operation is bit N, so one shift by 63 - N puts CF and the
 * carry into the sign bit where they belong.
 */
#ifndef SLIPWAY_FLAGS_H
#define SLIPWAY_FLAGS_H

#include "cpu/cpu.h"

#define TOP_BIT (1ull << 63)

static inline uint64_t sext_bits(uint64_t v, unsigned bits)
{
    return (uint64_t)((int64_t)(v << (64 - bits)) >> (64 - bits));
}

static inline void flags_result(struct cpu *c, uint64_t sext_result)
{
    c->fl_z = c->fl_s = sext_result;
}

/* AND, OR, XOR, TEST: CF = OF = 0, AF (undefined) = 0. @bits: 8, 16, 32, 64 and constant. */
static inline void flags_logic(struct cpu *c, uint64_t r, unsigned bits)
{
    flags_result(c, sext_bits(r, bits));
    c->fl_co = 0;
    c->fl_a = 0;
}

/* r = a + b (+ carry), all zero-extended from @bits and computed in 64 bits. */
static inline void flags_add(struct cpu *c, uint64_t a, uint64_t b, uint64_t r, unsigned bits)
{
    uint64_t carries = a ^ b ^ r;
    flags_result(c, sext_bits(r, bits));
    c->fl_a = carries;
    c->fl_co = bits == 64 ? ((a & b) | ((a | b) & ~r)) : carries << (63 - bits);
}

/* r = a - b (- borrow). */
static inline void flags_sub(struct cpu *c, uint64_t a, uint64_t b, uint64_t r, unsigned bits)
{
    uint64_t borrows = a ^ b ^ r;
    flags_result(c, sext_bits(r, bits));
    c->fl_a = borrows;
    c->fl_co = bits == 64 ? ((~a & b) | ((~a | b) & r)) : borrows << (63 - bits);
}

static inline bool flag_cf(const struct cpu *c)
{
    return (int64_t)c->fl_co < 0;
}
static inline bool flag_zf(const struct cpu *c)
{
    return c->fl_z == 0;
}
static inline bool flag_sf(const struct cpu *c)
{
    return (int64_t)c->fl_s < 0;
}
static inline bool flag_of(const struct cpu *c)
{
    return (int64_t)(c->fl_co ^ c->fl_co << 1) < 0;
}
static inline bool flag_pf(const struct cpu *c)
{
    return !__builtin_parity((unsigned)(c->fl_s & 0xff));
}
static inline bool flag_af(const struct cpu *c)
{
    return (c->fl_a & FL_AF) != 0;
}

static inline void flags_set_cf_of(struct cpu *c, bool cf, bool of)
{
    c->fl_co = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* Sets all six from an RFLAGS image. */
static inline void flags_set_arith(struct cpu *c, uint32_t fl)
{
    c->fl_z = (fl & FL_ZF) ? 0 : 1;
    c->fl_s = ((fl & FL_SF) ? TOP_BIT : 0) | ((fl & FL_PF) ? 0 : 1);
    c->fl_a = fl & FL_AF;
    flags_set_cf_of(c, fl & FL_CF, (fl & FL_OF) != 0);
}

static inline uint32_t flags_arith(const struct cpu *c)
{
    return (flag_cf(c) ? FL_CF : 0) | (flag_pf(c) ? FL_PF : 0) | (flag_af(c) ? FL_AF : 0) |
           (flag_zf(c) ? FL_ZF : 0) | (flag_sf(c) ? FL_SF : 0) | (flag_of(c) ? FL_OF : 0);
}

/* The whole register, as PUSHF sees it. */
static inline uint32_t cpu_rflags(const struct cpu *c)
{
    return c->rflags | flags_arith(c);
}

/* Sets the whole register from @fl (the caller has masked what may change); recomputes derived
 * state. */
void cpu_set_rflags(struct cpu *c, uint32_t fl);

/* Condition code 0-15 of Jcc/SETcc/CMOVcc (SDM vol. 1, appendix B). */
static inline bool flags_cond(const struct cpu *c, unsigned cc)
{
    bool r;
    switch (cc >> 1) {
    case 0: r = flag_of(c); break;
    case 1: r = flag_cf(c); break;
    case 2: r = flag_zf(c); break;
    case 3: r = flag_cf(c) || flag_zf(c); break;
    case 4: r = flag_sf(c); break;
    case 5: r = flag_pf(c); break;
    case 6: r = flag_sf(c) != flag_of(c); break;
    default: r = flag_zf(c) || flag_sf(c) != flag_of(c); break;
    }
    return r ^ (cc & 1);
}

#endif
