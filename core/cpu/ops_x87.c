/*
 * x87 instructions D8-DF and FWAIT, and their opcode table; transcendental instructions are in
 * ops_x87_trans.c, environment and state in ops_x87_env.c, the arithmetic in fp/.
 *
 * A handler has three phases. It checks that a waiting instruction may start (#NM, #MF) and
 * accesses memory: only this can fault. x87_begin() records instruction and operand pointers and
 * clears C1. Then the operation runs on a struct fpenv and x87_raise() merges its exceptions into
 * FSW. An unmasked invalid, denormal or divide-by-zero exception leaves destination and stack as
 * they were; overflow, underflow and precision don't, except in stores to memory, which happen only
 * if nothing but precision is unmasked.
 *
 * Follows SDM vol. 1, chapter 8, vol. 2 and appendix A.5; aliases and unwritten details as hardware
 * has them.
 */
#include "cpu/flags.h"
#include "cpu/mem.h"
#include "cpu/x87.h"

#define MODRM_REG(i) ((i)->modrm >> 3 & 7)

/* ---- loads ---- */

/* Pushes @v unless the stack overflows or the operand is invalid and that is unmasked; a denormal
 * is loaded even when it traps. */
static enum exec load(struct cpu *c, struct fpenv *e, struct f80 v)
{
    if (unlikely(!x87_empty(c, 7))) {
        e->flags = 0;
        x87_stack_fault(c, e, true);
        v = x87_indefinite();
    }
    if (!(e->flags & e->unmasked & FPX_I))
        x87_push(c, v);
    return x87_raise(c, e);
}

#define LOAD(name, bits, type, unpack)                                                             \
    static enum exec name(struct cpu *c, const struct insn *i)                                     \
    {                                                                                              \
        type v;                                                                                    \
        if (!x87_check(c) || !mem_ld##bits(c, i->seg, insn_ea(c, i), &v))                          \
            return EXEC_FAULT;                                                                     \
        x87_begin(c, i);                                                                           \
        struct fpenv e = x87_env(c);                                                               \
        struct fpnum a = unpack;                                                                   \
        return load(c, &e, fp_to_f80(a));                                                          \
    }
LOAD(op_fld_m32, 32, uint32_t, fp_convert(&e, fp_from_f32(&e, v), &fp_f80, true))
LOAD(op_fld_m64, 64, uint64_t, fp_convert(&e, fp_from_f64(&e, v), &fp_f80, true))
LOAD(op_fild_m16, 16, uint16_t, fp_from_i64((int16_t)v))
LOAD(op_fild_m32, 32, uint32_t, fp_from_i64((int32_t)v))
LOAD(op_fild_m64, 64, uint64_t, fp_from_i64((int64_t)v))

/* 10 bytes. */
static bool load_m80(struct cpu *c, const struct insn *i, uint8_t buf[10])
{
    uint64_t la;
    if (!mem_linear(c, i->seg, insn_ea(c, i), 10, ACCESS_READ, &la))
        return false;
    const void *p = mem_host(c, ACCESS_READ, la, 10);
    if (unlikely(!p))
        return mem_read_slow(c, i->seg, la, buf, 10);
    memcpy(buf, p, 10);
    return true;
}

static bool store_m80(struct cpu *c, const struct insn *i, const uint8_t buf[10])
{
    uint64_t la;
    if (!mem_linear(c, i->seg, insn_ea(c, i), 10, ACCESS_WRITE, &la))
        return false;
    void *p = mem_host(c, ACCESS_WRITE, la, 10);
    if (unlikely(!p))
        return mem_write_slow(c, i->seg, la, buf, 10);
    memcpy(p, buf, 10);
    return true;
}

static enum exec op_fld_m80(struct cpu *c, const struct insn *i)
{
    uint8_t buf[10];
    if (!x87_check(c) || !load_m80(c, i, buf))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    struct f80 v = { 0 };
    memcpy(&v.frac, buf, 8);
    memcpy(&v.se, buf + 8, 2);
    return load(c, &e, v);
}

static enum exec op_fbld(struct cpu *c, const struct insn *i)
{
    uint8_t buf[10];
    if (!x87_check(c) || !load_m80(c, i, buf))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    return load(c, &e, fp_to_f80(fp_from_bcd(buf)));
}

static enum exec op_fld_sti(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    unsigned sti = i->modrm & 7;
    struct f80 v = *x87_st(c, sti);
    if (unlikely(x87_empty(c, sti))) {
        x87_stack_fault(c, &e, false);
        v = x87_indefinite();
        if (!fp_trapped_pre(&e))
            x87_push(c, v);
        return x87_raise(c, &e);
    }
    return load(c, &e, v);
}

/* To 128 bits, rounded without exceptions. */
struct f80 x87_constant(unsigned n, uint8_t rc)
{
    static const struct {
        int exp;
        uint64_t hi, lo;
    } constants[7] = {
        { 0, 0x8000000000000000, 0 },                   /* 1 */
        { 1, 0xd49a784bcd1b8afe, 0x492bf6ff4dafdb4d },  /* log2 10 */
        { 0, 0xb8aa3b295c17f0bb, 0xbe87fed0691d3e89 },  /* log2 e */
        { 1, 0xc90fdaa22168c234, 0xc4c6628b80dc1cd1 },  /* pi */
        { -2, 0x9a209a84fbcff798, 0x8f8959ac0b7c9178 }, /* log10 2 */
        { -1, 0xb17217f7d1cf79ab, 0xc9e3b39803f2f6af }, /* ln 2 */
    };
    struct fpenv e = { .rc = rc };
    if (n >= 6)
        return fp_to_f80(fp_zero(false));
    return fp_to_f80(
        fp_round(&e, &fp_f80, false, constants[n].exp, constants[n].hi, constants[n].lo));
}

static enum exec op_fld_constant(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    return load(c, &e, x87_constant(i->modrm & 7, e.rc));
}

/* ---- stores ---- */

/* A store happens unless something but precision has trapped; then nothing is said about rounding.
 */
static bool do_store(struct fpenv *e)
{
    if (likely(!(e->flags & e->unmasked & ~FPX_P)))
        return true;
    e->flags &= ~FPX_P;
    e->up = false;
    return false;
}

/* A store that an exception prevents still faults on a destination that couldn't be written. */
static bool probe_store(struct cpu *c, const struct insn *i, unsigned size)
{
    uint64_t la;
    return mem_linear(c, i->seg, insn_ea(c, i), size, ACCESS_WRITE, &la) &&
           mem_probe_write(c, i->seg, la, size);
}

/* The end of a store, after memory has been written if do_store() said so. */
static enum exec stored(struct cpu *c, const struct fpenv *e, bool underflow, bool pop)
{
    if (underflow)
        c->fsw |= FSW_SF;
    if (pop && !(e->flags & e->unmasked & ~FPX_P))
        x87_pop(c);
    return x87_raise(c, e);
}

/* @convert computes v, of type @type, from fpnum a; @indefinite is stored for an empty register. */
#define STORE(name, bits, type, indefinite, pop, convert)                                          \
    static enum exec name(struct cpu *c, const struct insn *i)                                     \
    {                                                                                              \
        if (!x87_check(c))                                                                         \
            return EXEC_FAULT;                                                                     \
        struct fpenv e = x87_env(c);                                                               \
        bool underflow = x87_empty(c, 0);                                                          \
        struct fpnum a = fp_from_f80(*x87_st(c, 0));                                               \
        type v = indefinite;                                                                       \
        if (unlikely(underflow))                                                                   \
            e.flags = FPX_I;                                                                       \
        else                                                                                       \
            v = (type)(convert);                                                                   \
        if (do_store(&e) ? !mem_st##bits(c, i->seg, insn_ea(c, i), v)                              \
                         : !probe_store(c, i, bits / 8))                                           \
            return EXEC_FAULT;                                                                     \
        x87_begin(c, i);                                                                           \
        return stored(c, &e, underflow, pop);                                                      \
    }
#define FLOAT_STORE(bits, pop) fp_to_f##bits(fp_convert(&e, a, &fp_f##bits, false))
STORE(op_fst_m32, 32, uint32_t, F32_DEFAULT_NAN, false, FLOAT_STORE(32, false))
STORE(op_fstp_m32, 32, uint32_t, F32_DEFAULT_NAN, true, FLOAT_STORE(32, true))
STORE(op_fst_m64, 64, uint64_t, F64_DEFAULT_NAN, false, FLOAT_STORE(64, false))
STORE(op_fstp_m64, 64, uint64_t, F64_DEFAULT_NAN, true, FLOAT_STORE(64, true))
STORE(op_fist_m16, 16, uint16_t, 0x8000u, false, fp_to_int(&e, a, 16))
STORE(op_fistp_m16, 16, uint16_t, 0x8000u, true, fp_to_int(&e, a, 16))
STORE(op_fist_m32, 32, uint32_t, 0x80000000u, false, fp_to_int(&e, a, 32))
STORE(op_fistp_m32, 32, uint32_t, 0x80000000u, true, fp_to_int(&e, a, 32))
STORE(op_fistp_m64, 64, uint64_t, 1ull << 63, true, fp_to_int(&e, a, 64))
#define TRUNCATED(bits) (e.rc = FP_TRUNC, fp_to_int(&e, a, bits))
STORE(op_fisttp_m16, 16, uint16_t, 0x8000u, true, TRUNCATED(16))
STORE(op_fisttp_m32, 32, uint32_t, 0x80000000u, true, TRUNCATED(32))
STORE(op_fisttp_m64, 64, uint64_t, 1ull << 63, true, TRUNCATED(64))

static enum exec op_fstp_m80(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    struct fpenv e = x87_env(c);
    bool underflow = x87_empty(c, 0);
    struct f80 v = *x87_st(c, 0);
    if (underflow) {
        e.flags = FPX_I;
        v = x87_indefinite();
    }
    uint8_t buf[10];
    memcpy(buf, &v.frac, 8);
    memcpy(buf + 8, &v.se, 2);
    if (do_store(&e) ? !store_m80(c, i, buf) : !probe_store(c, i, 10))
        return EXEC_FAULT;
    x87_begin(c, i);
    return stored(c, &e, underflow, true);
}

static enum exec op_fbstp(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    struct fpenv e = x87_env(c);
    bool underflow = x87_empty(c, 0);
    struct fpnum a = underflow ? fp_default_nan() : fp_from_f80(*x87_st(c, 0));
    uint8_t buf[10];
    fp_to_bcd(&e, a, buf);
    if (do_store(&e) ? !store_m80(c, i, buf) : !probe_store(c, i, 10))
        return EXEC_FAULT;
    x87_begin(c, i);
    return stored(c, &e, underflow, true);
}

static enum exec fst_sti(struct cpu *c, const struct insn *i, bool pop)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    struct f80 v = *x87_st(c, 0);
    bool underflow = x87_empty(c, 0);
    if (underflow) {
        e.flags = FPX_I;
        v = x87_indefinite();
    }
    if (do_store(&e))
        x87_set(c, i->modrm & 7, v);
    return stored(c, &e, underflow, pop);
}

static enum exec op_fst_sti(struct cpu *c, const struct insn *i)
{
    return fst_sti(c, i, false);
}
static enum exec op_fstp_sti(struct cpu *c, const struct insn *i)
{
    return fst_sti(c, i, true);
}

/* D9 D8+i, undocumented: FSTP ST(i) without a stack fault; an empty ST(0) is only popped. */
static enum exec op_fstpnce(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    if (!x87_empty(c, 0))
        x87_set(c, i->modrm & 7, *x87_st(c, 0));
    x87_pop(c);
    return EXEC_NEXT;
}

/* ---- register moves ---- */

static enum exec op_fxch(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    struct fpenv e = x87_env(c);
    unsigned sti = i->modrm & 7;
    bool empty0 = x87_empty(c, 0), empty_i = x87_empty(c, sti);
    if (unlikely(empty0 || empty_i))
        x87_stack_fault(c, &e, false);
    if (!fp_trapped(&e)) {
        struct f80 a = empty0 ? x87_indefinite() : *x87_st(c, 0);
        struct f80 b = empty_i ? x87_indefinite() : *x87_st(c, sti);
        x87_set(c, 0, b);
        x87_set(c, sti, a);
    }
    return x87_raise(c, &e);
}

/* DA: B, E, BE, U; DB: their negations. */
static enum exec op_fcmov(struct cpu *c, const struct insn *i)
{
    static const uint8_t conditions[4] = { 0x2, 0x4, 0x6, 0xa };
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin_keep_c1(c, i);
    struct fpenv e = x87_env(c);
    unsigned sti = i->modrm & 7;
    if (unlikely(x87_empty(c, 0) || x87_empty(c, sti))) {
        x87_stack_fault(c, &e, false);
        if (!fp_trapped(&e))
            x87_set(c, 0, x87_indefinite());
    } else if (flags_cond(c, conditions[MODRM_REG(i) & 3] | (insn_opcode(i)->byte & 1))) {
        *x87_st(c, 0) = *x87_st(c, sti);
    }
    return x87_raise(c, &e);
}

static enum exec op_fincdecstp(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    c->ftop = (c->ftop + ((i->modrm & 1) ? 1 : 7)) & 7; /* F7: FINCSTP, F6: FDECSTP */
    return EXEC_NEXT;
}

static enum exec op_ffree(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin(c, i);
    c->ftag &= (uint8_t) ~(1u << ((c->ftop + i->modrm) & 7));
    return EXEC_NEXT;
}

static enum exec op_ffreep(struct cpu *c, const struct insn *i)
{
    if (op_ffree(c, i) != EXEC_NEXT)
        return EXEC_FAULT;
    x87_pop(c);
    return EXEC_NEXT;
}

/* ---- control ---- */

static bool check_no_wait(struct cpu *c)
{
    return likely(!(c->cr0 & (CR0_EM | CR0_TS))) || cpu_fault_noerr(c, EXC_NM);
}

static enum exec op_fwait(struct cpu *c, const struct insn *i)
{
    if ((c->cr0 & (CR0_TS | CR0_MP)) == (CR0_TS | CR0_MP))
        return fault_noerr(c, EXC_NM);
    if ((c->fsw & FSW_ES) && (c->cr0 & CR0_NE))
        return fault_noerr(c, EXC_MF);
    return EXEC_NEXT;
}

static enum exec op_fnop(struct cpu *c, const struct insn *i)
{
    if (!x87_check(c))
        return EXEC_FAULT;
    x87_begin_keep_c1(c, i);
    return EXEC_NEXT;
}

/* FNENI, FNDISI, FNSETPM: 8087 and 80287 only; no operation since. */
static enum exec op_fn_obsolete(struct cpu *c, const struct insn *i)
{
    return check_no_wait(c) ? EXEC_NEXT : EXEC_FAULT;
}

static enum exec op_fnclex(struct cpu *c, const struct insn *i)
{
    if (!check_no_wait(c))
        return EXEC_FAULT;
    c->fsw &= (uint16_t) ~(FPX_ALL | FSW_SF | FSW_ES | FSW_B);
    return EXEC_NEXT;
}

static enum exec op_fninit(struct cpu *c, const struct insn *i)
{
    if (!check_no_wait(c))
        return EXEC_FAULT;
    x87_init(c);
    return EXEC_NEXT;
}

static enum exec op_fldcw(struct cpu *c, const struct insn *i)
{
    uint16_t v;
    if (!x87_check(c) || !mem_ld16(c, i->seg, insn_ea(c, i), &v))
        return EXEC_FAULT;
    x87_set_fcw(c, v);
    return x87_raise_slow(c, 0);
}

static enum exec op_fnstcw(struct cpu *c, const struct insn *i)
{
    if (!check_no_wait(c) || !mem_st16(c, i->seg, insn_ea(c, i), c->fcw))
        return EXEC_FAULT;
    return EXEC_NEXT;
}

static enum exec op_fnstsw_m16(struct cpu *c, const struct insn *i)
{
    if (!check_no_wait(c) || !mem_st16(c, i->seg, insn_ea(c, i), x87_fsw(c)))
        return EXEC_FAULT;
    return EXEC_NEXT;
}

static enum exec op_fnstsw_ax(struct cpu *c, const struct insn *i)
{
    if (!check_no_wait(c))
        return EXEC_FAULT;
    c->gpr[RAX] = (c->gpr[RAX] & ~0xffffull) | x87_fsw(c);
    return EXEC_NEXT;
}

/* ---- table ---- */

#define ROW_MEM(opcode, r, mnemonic, operand, handler)                                             \
    {                                                                                              \
        .name = mnemonic, .map = MAP_1B, .byte = opcode, .reg = r, .rm = R_ANY, .mod = MOD_MEM,    \
        .operands = { operand }, .feature = FEAT_FPU, .flags = OP_MODRM, .fn = handler             \
    }
#define ROW_REG(opcode, r, m, mnemonic, o1, o2, handler)                                           \
    {                                                                                              \
        .name = mnemonic, .map = MAP_1B, .byte = opcode, .reg = r, .rm = m, .mod = MOD_REG,        \
        .operands = { o1, o2 }, .feature = FEAT_FPU, .flags = OP_MODRM, .fn = handler              \
    }
#define ROW_FISTTP(opcode, operand, handler)                                                       \
    {                                                                                              \
        .name = "fisttp", .map = MAP_1B, .byte = opcode, .reg = 1, .rm = R_ANY, .mod = MOD_MEM,    \
        .operands = { operand }, .feature = FEAT_SSE3, .fn = handler                               \
    }
#define ROW_FCMOV(opcode, r, mnemonic, read)                                                       \
    {                                                                                              \
        .name = mnemonic, .map = MAP_1B, .byte = opcode, .reg = r, .rm = R_ANY, .mod = MOD_REG,    \
        .operands = { OPD_ST0, OPD_STi }, .feature = FEAT_CMOV, .fl_read = read, .fn = op_fcmov    \
    }
#define ROW_FCOMI(opcode, r, mnemonic, handler)                                                    \
    {                                                                                              \
        .name = mnemonic, .map = MAP_1B, .byte = opcode, .reg = r, .rm = R_ANY, .mod = MOD_REG,    \
        .operands = { OPD_ST0, OPD_STi }, .feature = FEAT_CMOV, .fl_write = FLB_ALL, .fn = handler \
    }
#define ARITH_ROWS(opcode, row, suffix, handler)                                                   \
    row(opcode, 0, "f" suffix "add", handler), row(opcode, 1, "f" suffix "mul", handler),          \
        row(opcode, 2, "f" suffix "com", handler), row(opcode, 3, "f" suffix "comp", handler),     \
        row(opcode, 4, "f" suffix "sub", handler), row(opcode, 5, "f" suffix "subr", handler),     \
        row(opcode, 6, "f" suffix "div", handler), row(opcode, 7, "f" suffix "divr", handler)
#define M16(o, r, n, h)     ROW_MEM(o, r, n, OPD_Mw, h)
#define M32(o, r, n, h)     ROW_MEM(o, r, n, OPD_Md, h)
#define M64(o, r, n, h)     ROW_MEM(o, r, n, OPD_Mq, h)
#define ST0_STI(o, r, n, h) ROW_REG(o, r, R_ANY, n, OPD_ST0, OPD_STi, h)
#define STI_ST0(o, r, n, h) ROW_REG(o, r, R_ANY, n, OPD_STi, OPD_ST0, h)
#define STI(o, r, n, h)     ROW_REG(o, r, R_ANY, n, OPD_STi, OPD_NONE, h)
#define NONE(o, r, m, n, h) ROW_REG(o, r, m, n, OPD_NONE, OPD_NONE, h)

static const struct opcode rows[] = {
    { .name = "fwait",
      .map = MAP_1B,
      .byte = 0x9b,
      .reg = R_ANY,
      .rm = R_ANY,
      .feature = FEAT_FPU,
      .fn = op_fwait },

    ARITH_ROWS(0xd8, M32, "", op_arith_m32),
    ARITH_ROWS(0xd8, ST0_STI, "", op_arith_st0_sti),

    M32(0xd9, 0, "fld", op_fld_m32),
    M32(0xd9, 2, "fst", op_fst_m32),
    M32(0xd9, 3, "fstp", op_fstp_m32),
    ROW_MEM(0xd9, 4, "fldenv", OPD_M, op_fldenv),
    M16(0xd9, 5, "fldcw", op_fldcw),
    ROW_MEM(0xd9, 6, "fnstenv", OPD_M, op_fnstenv),
    M16(0xd9, 7, "fnstcw", op_fnstcw),
    STI(0xd9, 0, "fld", op_fld_sti),
    STI(0xd9, 1, "fxch", op_fxch),
    NONE(0xd9, 2, 0, "fnop", op_fnop),
    STI(0xd9, 3, "fstpnce", op_fstpnce),
    NONE(0xd9, 4, 0, "fchs", op_sign),
    NONE(0xd9, 4, 1, "fabs", op_sign),
    NONE(0xd9, 4, 4, "ftst", op_ftst),
    NONE(0xd9, 4, 5, "fxam", op_fxam),
    NONE(0xd9, 5, 0, "fld1", op_fld_constant),
    NONE(0xd9, 5, 1, "fldl2t", op_fld_constant),
    NONE(0xd9, 5, 2, "fldl2e", op_fld_constant),
    NONE(0xd9, 5, 3, "fldpi", op_fld_constant),
    NONE(0xd9, 5, 4, "fldlg2", op_fld_constant),
    NONE(0xd9, 5, 5, "fldln2", op_fld_constant),
    NONE(0xd9, 5, 6, "fldz", op_fld_constant),
    NONE(0xd9, 6, 0, "f2xm1", op_f2xm1),
    NONE(0xd9, 6, 1, "fyl2x", op_fyl2x),
    NONE(0xd9, 6, 2, "fptan", op_fptan),
    NONE(0xd9, 6, 3, "fpatan", op_fpatan),
    NONE(0xd9, 6, 4, "fxtract", op_fxtract),
    NONE(0xd9, 6, 5, "fprem1", op_fprem),
    NONE(0xd9, 6, 6, "fdecstp", op_fincdecstp),
    NONE(0xd9, 6, 7, "fincstp", op_fincdecstp),
    NONE(0xd9, 7, 0, "fprem", op_fprem),
    NONE(0xd9, 7, 1, "fyl2xp1", op_fyl2xp1),
    NONE(0xd9, 7, 2, "fsqrt", op_fsqrt),
    NONE(0xd9, 7, 3, "fsincos", op_fsincos),
    NONE(0xd9, 7, 4, "frndint", op_frndint),
    NONE(0xd9, 7, 5, "fscale", op_fscale),
    NONE(0xd9, 7, 6, "fsin", op_fsin),
    NONE(0xd9, 7, 7, "fcos", op_fcos),

    ARITH_ROWS(0xda, M32, "i", op_arith_i32),
    ROW_FCMOV(0xda, 0, "fcmovb", FLB_C),
    ROW_FCMOV(0xda, 1, "fcmove", FLB_Z),
    ROW_FCMOV(0xda, 2, "fcmovbe", FLB_C | FLB_Z),
    ROW_FCMOV(0xda, 3, "fcmovu", FLB_P),
    NONE(0xda, 5, 1, "fucompp", op_fucompp),

    M32(0xdb, 0, "fild", op_fild_m32),
    ROW_FISTTP(0xdb, OPD_Md, op_fisttp_m32),
    M32(0xdb, 2, "fist", op_fist_m32),
    M32(0xdb, 3, "fistp", op_fistp_m32),
    ROW_MEM(0xdb, 5, "fld", OPD_Mt, op_fld_m80),
    ROW_MEM(0xdb, 7, "fstp", OPD_Mt, op_fstp_m80),
    ROW_FCMOV(0xdb, 0, "fcmovnb", FLB_C),
    ROW_FCMOV(0xdb, 1, "fcmovne", FLB_Z),
    ROW_FCMOV(0xdb, 2, "fcmovnbe", FLB_C | FLB_Z),
    ROW_FCMOV(0xdb, 3, "fcmovnu", FLB_P),
    NONE(0xdb, 4, 0, "fneni", op_fn_obsolete),
    NONE(0xdb, 4, 1, "fndisi", op_fn_obsolete),
    NONE(0xdb, 4, 2, "fnclex", op_fnclex),
    NONE(0xdb, 4, 3, "fninit", op_fninit),
    NONE(0xdb, 4, 4, "fnsetpm", op_fn_obsolete),
    ROW_FCOMI(0xdb, 5, "fucomi", op_fucomi),
    ROW_FCOMI(0xdb, 6, "fcomi", op_fcomi),

    ARITH_ROWS(0xdc, M64, "", op_arith_m64),
    STI_ST0(0xdc, 0, "fadd", op_arith_sti_st0),
    STI_ST0(0xdc, 1, "fmul", op_arith_sti_st0),
    STI(0xdc, 2, "fcom2", op_arith_sti_st0),
    STI(0xdc, 3, "fcomp3", op_arith_sti_st0),
    STI_ST0(0xdc, 4, "fsubr", op_arith_sti_st0),
    STI_ST0(0xdc, 5, "fsub", op_arith_sti_st0),
    STI_ST0(0xdc, 6, "fdivr", op_arith_sti_st0),
    STI_ST0(0xdc, 7, "fdiv", op_arith_sti_st0),

    M64(0xdd, 0, "fld", op_fld_m64),
    ROW_FISTTP(0xdd, OPD_Mq, op_fisttp_m64),
    M64(0xdd, 2, "fst", op_fst_m64),
    M64(0xdd, 3, "fstp", op_fstp_m64),
    ROW_MEM(0xdd, 4, "frstor", OPD_M, op_frstor),
    ROW_MEM(0xdd, 6, "fnsave", OPD_M, op_fnsave),
    M16(0xdd, 7, "fnstsw", op_fnstsw_m16),
    STI(0xdd, 0, "ffree", op_ffree),
    STI(0xdd, 1, "fxch4", op_fxch),
    STI(0xdd, 2, "fst", op_fst_sti),
    STI(0xdd, 3, "fstp", op_fstp_sti),
    STI(0xdd, 4, "fucom", op_fucom),
    STI(0xdd, 5, "fucomp", op_fucomp),

    ARITH_ROWS(0xde, M16, "i", op_arith_i16),
    STI_ST0(0xde, 0, "faddp", op_arith_sti_st0_pop),
    STI_ST0(0xde, 1, "fmulp", op_arith_sti_st0_pop),
    STI(0xde, 2, "fcomp5", op_arith_sti_st0_pop),
    NONE(0xde, 3, 1, "fcompp", op_fcompp),
    STI_ST0(0xde, 4, "fsubrp", op_arith_sti_st0_pop),
    STI_ST0(0xde, 5, "fsubp", op_arith_sti_st0_pop),
    STI_ST0(0xde, 6, "fdivrp", op_arith_sti_st0_pop),
    STI_ST0(0xde, 7, "fdivp", op_arith_sti_st0_pop),

    M16(0xdf, 0, "fild", op_fild_m16),
    ROW_FISTTP(0xdf, OPD_Mw, op_fisttp_m16),
    M16(0xdf, 2, "fist", op_fist_m16),
    M16(0xdf, 3, "fistp", op_fistp_m16),
    ROW_MEM(0xdf, 4, "fbld", OPD_Mt, op_fbld),
    M64(0xdf, 5, "fild", op_fild_m64),
    ROW_MEM(0xdf, 6, "fbstp", OPD_Mt, op_fbstp),
    M64(0xdf, 7, "fistp", op_fistp_m64),
    STI(0xdf, 0, "ffreep", op_ffreep),
    STI(0xdf, 1, "fxch7", op_fxch),
    STI(0xdf, 2, "fstp8", op_fstp_sti),
    STI(0xdf, 3, "fstp9", op_fstp_sti),
    { .name = "fnstsw",
      .map = MAP_1B,
      .byte = 0xdf,
      .reg = 4,
      .rm = 0,
      .mod = MOD_REG,
      .operands = { OPD_rAX },
      .feature = FEAT_FPU,
      .fn = op_fnstsw_ax },
    ROW_FCOMI(0xdf, 5, "fucomip", op_fucomip),
    ROW_FCOMI(0xdf, 6, "fcomip", op_fcomip),
};

const struct opcode_table opcodes_x87 = { rows, sizeof(rows) / sizeof(rows[0]) };
