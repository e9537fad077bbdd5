/*
 * String instructions: MOVS, STOS, LODS, CMPS, SCAS, INS, OUTS, with and without REP.
 *
 * Each iteration commits RSI, RDI and RCX before the next begins, so a fault or an interrupt finds
 * the registers as hardware would leave them and the instruction resumes by being executed again. A
 * visit does at most c->rep_limit iterations, then returns EXEC_AGAIN so that interrupts get their
 * chance. MOVS and STOS forward, within a page and through flat segments, go in bulk by host memory
 * operations.
 */
#include "cpu/ops.h"

#define OP(name) static enum exec x_##name(struct cpu *c, const struct insn *i)

/* The address size as an operand size. */
static inline unsigned addr_osz(const struct insn *i)
{
    return i->ash == 48 ? 1 : i->ash == 32 ? 2 : 3;
}
static inline uint64_t addr_get(const struct cpu *c, const struct insn *i, unsigned reg)
{
    return c->gpr[reg] << i->ash >> i->ash;
}
static inline void addr_add(struct cpu *c, const struct insn *i, unsigned reg, int64_t delta)
{
    reg_set(c, reg, addr_osz(i), c->gpr[reg] + (uint64_t)delta);
}
static inline int64_t string_step(const struct cpu *c, const struct insn *i)
{
    return c->rflags & FL_DF ? -(int64_t)(1u << i->osz) : (int64_t)(1u << i->osz);
}
static inline bool repeated(const struct insn *i)
{
    return i->flags & (INSN_REP | INSN_REPNE);
}

/* How many iterations this visit may do; 0 with a REP count of zero. */
static uint64_t iterations(const struct cpu *c, const struct insn *i)
{
    if (!repeated(i))
        return 1;
    uint64_t n = addr_get(c, i, RCX);
    return n < c->rep_limit ? n : c->rep_limit;
}
/* @n iterations are done. */
static inline void count_down(struct cpu *c, const struct insn *i, uint64_t n)
{
    if (repeated(i))
        addr_add(c, i, RCX, -(int64_t)n);
}
/* A long REP takes time, most for memory that the host hasn't touched yet. */
static void charge(struct cpu *c, uint64_t did)
{
    c->budget -= (int32_t)(did >> 4);
    c->slow -= (int32_t)(did >> 3);
}
static enum exec done(struct cpu *c, const struct insn *i, uint64_t did)
{
    charge(c, did);
    return repeated(i) && addr_get(c, i, RCX) != 0 ? EXEC_AGAIN : EXEC_NEXT;
}

/* Host memory for up to @max elements at @ea, forward: their number goes to *n (0: use the slow
 * way). */
static uint8_t *bulk(struct cpu *c, const struct insn *i, unsigned seg, uint64_t ea, enum access a,
                     uint64_t max, uint64_t *n)
{
    uint64_t to_wrap = (~0ull >> i->ash) - ea;
    if ((c->seg_check[seg] & (a == ACCESS_WRITE ? SEG_CHECK_WRITE : SEG_CHECK_READ)) ||
        (c->rflags & FL_DF))
        return NULL;
    uint64_t la = (c->seg_base[seg] + ea) & c->la_mask;
    uint64_t bytes = 4096 - (la & 4095);
    if (bytes > to_wrap)
        bytes = to_wrap;
    *n = bytes >> i->osz;
    if (*n > max)
        *n = max;
    return *n ? mem_host(c, a, la, 1) : NULL;
}

static void copy_forward(uint8_t *d, const uint8_t *s, uint64_t n, unsigned osz)
{
    size_t len = n << osz;
    if (d <= s || d >= s + len) {
        memmove(d, s, len);
        return;
    }
    /* The destination overlaps what is still to be read: the pattern repeats, element by element.
     */
    for (size_t k = 0; k < len; k += (size_t)1 << osz) {
        uint64_t v;
        memcpy(&v, s + k, (size_t)1 << osz);
        memcpy(d + k, &v, (size_t)1 << osz);
    }
}

OP(movs)
{
    uint64_t left = iterations(c, i), did = 0;
    int64_t step = string_step(c, i);
    while (left) {
        uint64_t si = addr_get(c, i, RSI), di = addr_get(c, i, RDI), n = 1, n2;
        uint8_t *s, *d;
        if (left > 1 && (s = bulk(c, i, i->seg, si, ACCESS_READ, left, &n)) &&
            (d = bulk(c, i, SEG_ES, di, ACCESS_WRITE, n, &n2))) {
            n = n2;
            copy_forward(d, s, n, i->osz);
        } else {
            uint64_t v;
            n = 1;
            if (!mem_ld(c, i->seg, si, i->osz, &v) || !mem_st(c, SEG_ES, di, i->osz, v))
                return EXEC_FAULT;
        }
        addr_add(c, i, RSI, step * (int64_t)n);
        addr_add(c, i, RDI, step * (int64_t)n);
        count_down(c, i, n);
        left -= n;
        did += n;
    }
    return done(c, i, did);
}

OP(stos)
{
    uint64_t left = iterations(c, i), did = 0, v = reg_get(c, RAX, i->osz);
    int64_t step = string_step(c, i);
    while (left) {
        uint64_t di = addr_get(c, i, RDI), n = 1;
        uint8_t *d;
        if (left > 1 && (d = bulk(c, i, SEG_ES, di, ACCESS_WRITE, left, &n))) {
            if (i->osz == 0 || v == 0)
                memset(d, (int)v, n << i->osz);
            else
                for (uint64_t k = 0; k < n; k++)
                    memcpy(d + (k << i->osz), &v, (size_t)1 << i->osz);
        } else {
            n = 1;
            if (!mem_st(c, SEG_ES, di, i->osz, v))
                return EXEC_FAULT;
        }
        addr_add(c, i, RDI, step * (int64_t)n);
        count_down(c, i, n);
        left -= n;
        did += n;
    }
    return done(c, i, did);
}

OP(lods)
{
    uint64_t left = iterations(c, i), did = left, v;
    for (; left; left--) {
        if (!mem_ld(c, i->seg, addr_get(c, i, RSI), i->osz, &v))
            return EXEC_FAULT;
        reg_set(c, RAX, i->osz, v);
        addr_add(c, i, RSI, string_step(c, i));
        count_down(c, i, 1);
    }
    return done(c, i, did);
}

/* CMPS and SCAS stop when ZF no longer is what the prefix wants. */
static enum exec compare(struct cpu *c, const struct insn *i, bool scan)
{
    uint64_t left = iterations(c, i), did = 0;
    unsigned bits = 8u << i->osz;
    int64_t step = string_step(c, i);
    while (left--) {
        uint64_t a = 0, b;
        if (scan)
            a = reg_get(c, RAX, i->osz);
        else if (!mem_ld(c, i->seg, addr_get(c, i, RSI), i->osz, &a))
            return EXEC_FAULT;
        if (!mem_ld(c, SEG_ES, addr_get(c, i, RDI), i->osz, &b))
            return EXEC_FAULT;
        if (!scan)
            addr_add(c, i, RSI, step);
        addr_add(c, i, RDI, step);
        count_down(c, i, 1);
        did++;
        flags_sub(c, a, b, a - b, bits);
        if (repeated(i) && (a == b) != ((i->flags & INSN_REP) != 0)) {
            charge(c, did);
            return EXEC_NEXT;
        }
    }
    return done(c, i, did);
}
OP(cmps)
{
    return compare(c, i, false);
}
OP(scas)
{
    return compare(c, i, true);
}

/* INS: the store is checked before the port is read, since reading it has effects. */
OP(ins)
{
    uint64_t left = iterations(c, i), did = left;
    uint16_t port = (uint16_t)c->gpr[RDX];
    unsigned size = 1u << i->osz;
    if (!io_allowed(c, port, size))
        return EXEC_FAULT;
    for (; left; left--) {
        uint64_t la, v;
        if (!mem_linear(c, SEG_ES, addr_get(c, i, RDI), size, ACCESS_WRITE, &la) ||
            !mem_probe_write(c, SEG_ES, la, size))
            return EXEC_FAULT;
        c->slow -= SLOW_DEVICE;
        v = mem_read(c->io, port, size);
        dbg_check_io(c, port, size);
        if (!mem_st(c, SEG_ES, addr_get(c, i, RDI), i->osz, v))
            return EXEC_FAULT;
        addr_add(c, i, RDI, string_step(c, i));
        count_down(c, i, 1);
    }
    enum exec r = done(c, i, did);
    return r == EXEC_NEXT ? EXEC_STOP : r;
}

OP(outs)
{
    uint64_t left = iterations(c, i), did = left, v;
    uint16_t port = (uint16_t)c->gpr[RDX];
    if (!io_allowed(c, port, 1u << i->osz))
        return EXEC_FAULT;
    for (; left; left--) {
        if (!mem_ld(c, i->seg, addr_get(c, i, RSI), i->osz, &v))
            return EXEC_FAULT;
        c->slow -= SLOW_DEVICE;
        mem_write(c->io, port, v, 1u << i->osz);
        dbg_check_io(c, port, 1u << i->osz);
        addr_add(c, i, RSI, string_step(c, i));
        count_down(c, i, 1);
    }
    enum exec r = done(c, i, did);
    return r == EXEC_NEXT ? EXEC_STOP : r;
}

#define NF OP_NOFUZZ

static const struct opcode rows[] = {
    R1("ins", 0x6c, OPS(OPD_Yb, OPD_DX), FL_NONE, OP_BYTE | OP_REP | OP_END | NF, F1(ins), 0),
    R1("ins", 0x6d, OPS(OPD_Yv, OPD_DX), FL_NONE, OP_MAX32 | OP_REP | OP_END | NF, F1(ins), 0),
    R1("outs", 0x6e, OPS(OPD_DX, OPD_Xb), FL_NONE, OP_BYTE | OP_REP | OP_END | NF, F1(outs), 0),
    R1("outs", 0x6f, OPS(OPD_DX, OPD_Xv), FL_NONE, OP_MAX32 | OP_REP | OP_END | NF, F1(outs), 0),
    R1("movs", 0xa4, OPS(OPD_Yb, OPD_Xb), FL_NONE, OP_BYTE | OP_REP, F1(movs), 0),
    R1("movs", 0xa5, OPS(OPD_Yv, OPD_Xv), FL_NONE, OP_REP, F1(movs), 0),
    R1("cmps", 0xa6, OPS(OPD_Xb, OPD_Yb), FL_ADD, OP_BYTE | OP_REP, F1(cmps), 0),
    R1("cmps", 0xa7, OPS(OPD_Xv, OPD_Yv), FL_ADD, OP_REP, F1(cmps), 0),
    R1("stos", 0xaa, OPS(OPD_Yb, OPD_AL), FL_NONE, OP_BYTE | OP_REP, F1(stos), 0),
    R1("stos", 0xab, OPS(OPD_Yv, OPD_rAX), FL_NONE, OP_REP, F1(stos), 0),
    R1("lods", 0xac, OPS(OPD_AL, OPD_Xb), FL_NONE, OP_BYTE | OP_REP, F1(lods), 0),
    R1("lods", 0xad, OPS(OPD_rAX, OPD_Xv), FL_NONE, OP_REP, F1(lods), 0),
    R1("scas", 0xae, OPS(OPD_AL, OPD_Yb), FL_ADD, OP_BYTE | OP_REP, F1(scas), 0),
    R1("scas", 0xaf, OPS(OPD_rAX, OPD_Yv), FL_ADD, OP_REP, F1(scas), 0),
};
TABLE(opcodes_string, rows);
