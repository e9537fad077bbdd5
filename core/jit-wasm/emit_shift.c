/*
 * Shifts, rotates and double shifts.
 *
 * A count in CL may be 0, which leaves all flags alone. Where nothing but an exit can see them, or
 * only CF is read, the kind becomes one of run time (FK_DYN) and the instruction's own operands go
 * into the raw locals only if the count isn't 0; otherwise the flags are canonical before and
 * after. Rotates change CF and OF only: those go into their word, the other flags stay what they
 * were (FK_CO).
 */
#include "jit-wasm/emit.h"

enum shift { SH_SHL, SH_SHR, SH_SAR, SH_ROL, SH_ROR, SH_RCL, SH_RCR, SH_SHLD, SH_SHRD };
enum { BY_CL = 16 };

/* The instruction being emitted: operands and result in locals, all zero-extended. */
struct shifting {
    enum shift op;
    unsigned osz;
    int a, b, r;     /* b: the second register of a double shift */
    int count_local; /* i32, masked; NO_LOCAL: the constant count */
    int count;
};

static unsigned bits_of(const struct shifting *s)
{
    return 8u << s->osz;
}

/* The count, in the type of the operand. */
static void get_count(struct emit *e, const struct shifting *s)
{
    if (s->count_local == NO_LOCAL) {
        emit_const(e, s->osz == 3 ? 3 : 2, s->count);
        return;
    }
    get_local(e, s->count_local);
    if (s->osz == 3)
        op(e, W_I64_EXTEND_I32_U);
}

static void mask_result(struct emit *e, unsigned osz)
{
    if (osz < 2) {
        emit_i32(e, osz ? 0xffff : 0xff);
        op(e, W_I32_AND);
    }
}

/* ---- results, on the stack ---- */

static void shifted(struct emit *e, const struct shifting *s)
{
    static const uint8_t ops[][2] = {
        [SH_SHL] = { W_I32_SHL, W_I64_SHL },     [SH_SHR] = { W_I32_SHR_U, W_I64_SHR_U },
        [SH_SAR] = { W_I32_SHR_S, W_I64_SHR_S }, [SH_ROL] = { W_I32_ROTL, W_I64_ROTL },
        [SH_ROR] = { W_I32_ROTR, W_I64_ROTR },
    };
    get_local(e, s->a);
    if (s->op == SH_SAR && s->osz < 2)
        op(e, s->osz ? W_I32_EXTEND16_S : W_I32_EXTEND8_S);
    get_count(e, s);
    op(e, (enum wasm_op)ops[s->op][s->osz == 3]);
}

/* By a constant: optimizing compilers make a rotation of the two shifts; V8's other one calls a
 * function for wasm's rotations. */
static void rotated_constant(struct emit *e, const struct shifting *s)
{
    bool left = s->op == SH_ROL, wide = s->osz == 3;
    unsigned osz = wide ? 3 : 2;
    enum wasm_op up = by_size(osz, W_I32_SHL, W_I64_SHL);
    enum wasm_op down = by_size(osz, W_I32_SHR_U, W_I64_SHR_U);
    get_local(e, s->a);
    emit_const(e, osz, s->count);
    op(e, left ? up : down);
    get_local(e, s->a);
    emit_const(e, osz, (int)bits_of(s) - s->count);
    op(e, left ? down : up);
    op(e, by_size(osz, W_I32_OR, W_I64_OR));
}

/* 8 and 16 bits: two shifts, by the count modulo the size. */
static void rotated_narrow(struct emit *e, const struct shifting *s)
{
    bool left = s->op == SH_ROL;
    int bits = (int)bits_of(s), n = emit_tmp(e, W_I32);
    get_count(e, s);
    emit_i32(e, bits - 1);
    op(e, W_I32_AND);
    set_local(e, n);
    get_local(e, s->a);
    get_local(e, n);
    op(e, left ? W_I32_SHL : W_I32_SHR_U);
    get_local(e, s->a);
    emit_i32(e, bits);
    get_local(e, n);
    op(e, W_I32_SUB);
    op(e, left ? W_I32_SHR_U : W_I32_SHL);
    op(e, W_I32_OR);
    mask_result(e, s->osz);
}

/* RCL and RCR by 1. */
static void rotated_carry(struct emit *e, const struct shifting *s)
{
    bool left = s->op == SH_RCL;
    flags_carry(e);
    if (s->osz == 3)
        op(e, W_I64_EXTEND_I32_U);
    emit_const(e, s->osz == 3 ? 3 : 2, left ? 0 : bits_of(s) - 1);
    op(e, by_size(s->osz, W_I32_SHL, W_I64_SHL));
    get_local(e, s->a);
    emit_const(e, s->osz == 3 ? 3 : 2, 1);
    op(e, left ? by_size(s->osz, W_I32_SHL, W_I64_SHL) : by_size(s->osz, W_I32_SHR_U, W_I64_SHR_U));
    op(e, by_size(s->osz, W_I32_OR, W_I64_OR));
    mask_result(e, s->osz);
}

/* 32 bits: a shift of both operands together. 64 bits: the part that comes in is shifted by 1 and
 * by 63 - count, so that a count of 0 gives 0. */
static void shifted_double(struct emit *e, const struct shifting *s)
{
    bool left = s->op == SH_SHLD;
    if (s->osz == 2) {
        get_local(e, left ? s->a : s->b);
        op(e, W_I64_EXTEND_I32_U);
        emit_i64(e, 32);
        op(e, W_I64_SHL);
        get_local(e, left ? s->b : s->a);
        op(e, W_I64_EXTEND_I32_U);
        op(e, W_I64_OR);
        get_count(e, s);
        op(e, W_I64_EXTEND_I32_U);
        op(e, left ? W_I64_SHL : W_I64_SHR_U);
        if (left) {
            emit_i64(e, 32);
            op(e, W_I64_SHR_U);
        }
        op(e, W_I32_WRAP_I64);
        return;
    }
    get_local(e, s->a);
    get_count(e, s);
    op(e, left ? W_I64_SHL : W_I64_SHR_U);
    get_local(e, s->b);
    emit_i64(e, 1);
    op(e, left ? W_I64_SHR_U : W_I64_SHL);
    get_count(e, s);
    emit_i64(e, 63);
    op(e, W_I64_XOR);
    op(e, left ? W_I64_SHR_U : W_I64_SHL);
    op(e, W_I64_OR);
}

static void result(struct emit *e, const struct shifting *s)
{
    if (s->op >= SH_SHLD)
        shifted_double(e, s);
    else if (s->op >= SH_RCL)
        rotated_carry(e, s);
    else if (s->op >= SH_ROL && s->osz < 2)
        rotated_narrow(e, s);
    else if (s->op >= SH_ROL && s->count_local == NO_LOCAL)
        rotated_constant(e, s);
    else
        shifted(e, s);
}

/* ---- flags ---- */

static void get_wide(struct emit *e, const struct shifting *s, int local)
{
    get_local(e, local);
    if (s->osz != 3)
        op(e, W_I64_EXTEND_I32_U);
}

/* Bit @from of the i64 on the stack to bit @to, the others are 0. */
static void move_bit(struct emit *e, unsigned from, unsigned to)
{
    if (from != to) {
        emit_i64(e, from < to ? to - from : from - to);
        op(e, from < to ? W_I64_SHL : W_I64_SHR_U);
    }
    emit_i64(e, (int64_t)(1ull << to));
    op(e, W_I64_AND);
}

/* CF and OF of a rotate: bit 63 of their word is CF, bit 62 CF ^ OF. OF is CF ^ the top bit of the
 * result, of a rotate to the right the two top bits' difference. */
static void rotate_flags(struct emit *e, const struct shifting *s)
{
    unsigned top = bits_of(s) - 1;
    switch (s->op) {
    case SH_ROL:
        get_wide(e, s, s->r);
        move_bit(e, 0, 63);
        get_wide(e, s, s->r);
        move_bit(e, top, 62);
        op(e, W_I64_OR);
        break;
    case SH_ROR:
        get_wide(e, s, s->r);
        emit_i64(e, 63 - top);
        op(e, W_I64_SHL);
        emit_i64(e, (int64_t)(3ull << 62));
        op(e, W_I64_AND);
        break;
    case SH_RCL:
        get_wide(e, s, s->a);
        move_bit(e, top, 63);
        get_wide(e, s, s->r);
        move_bit(e, top, 62);
        op(e, W_I64_OR);
        break;
    default: /* RCR */
        get_wide(e, s, s->a);
        move_bit(e, 0, 63);
        get_wide(e, s, s->a);
        move_bit(e, 0, 62);
        get_wide(e, s, s->r);
        move_bit(e, top, 62);
        op(e, W_I64_XOR);
        get_wide(e, s, s->r);
        move_bit(e, top - 1, 62);
        op(e, W_I64_XOR);
        op(e, W_I64_OR);
        break;
    }
    set_local(e, e->fc);
    flags_set_co(e);
}

/* The count isn't 0. */
static void leave_flags(struct emit *e, const struct shifting *s)
{
    static const uint8_t kinds[] = { [SH_SHL] = FK_SHL,
                                     [SH_SHR] = FK_SHR,
                                     [SH_SAR] = FK_SAR,
                                     [SH_SHLD] = FK_SHLD,
                                     [SH_SHRD] = FK_SHRD };
    if (s->op >= SH_ROL && s->op <= SH_RCR) {
        rotate_flags(e, s);
        return;
    }
    get_local(e, s->a);
    set_local(e, flags_raw(e, s->osz, 0));
    get_count(e, s);
    set_local(e, flags_raw(e, s->osz, 1));
    if (s->op >= SH_SHLD) {
        get_local(e, s->r);
        set_local(e, flags_raw(e, s->osz, 2));
    }
    flags_set(e, (enum flag_kind)kinds[s->op], s->osz);
}

static void leave_flags_if_count(struct emit *e, const struct shifting *s)
{
    enum flag_need want = (enum flag_need)e->n->want;
    e->kind = flags_edge(e, want);
    get_local(e, s->count_local);
    open_block(e, W_IF, W_VOID);
    leave_flags(e, s);
    e->kind = flags_edge(e, want);
    close_block(e);
}

/* ---- the instructions ---- */

static void emit_shifting(struct emit *e, const struct insn *i)
{
    uint32_t arg = emit_row_of(i)->arg;
    struct shifting s = { .op = (enum shift)(arg & 15), .osz = i->osz, .count_local = NO_LOCAL };
    int host = NO_LOCAL, la = NO_LOCAL;
    if (in_memory(i)) {
        la = memory_operand(e, i, 1u << s.osz, ACCESS_WRITE);
        emit_rmw_load(e, la, i->seg, s.osz, &host);
    } else {
        emit_get(e, s.osz, i->rm);
    }
    s.a = int_tmp(e, s.osz);
    if (s.op >= SH_SHLD) {
        emit_get(e, s.osz, i->r);
        s.b = int_tmp(e, s.osz);
    }
    if (arg & BY_CL) {
        emit_get(e, 2, RCX);
        emit_i32(e, s.osz == 3 ? 63 : 31);
        op(e, W_I32_AND);
        s.count_local = int_tmp(e, 2);
    } else {
        s.count = i->imm & (s.osz == 3 ? 63 : 31);
    }
    result(e, &s);
    s.r = int_tmp(e, s.osz);
    if (in_memory(i)) { /* a count of 0 writes back what was there */
        emit_rmw_store(e, la, i->seg, s.osz, host, s.r);
    } else {
        get_local(e, s.r);
        emit_set(e, s.osz, i->rm);
    }
    if (!flags_wanted(e))
        return;
    if (arg & BY_CL)
        leave_flags_if_count(e, &s);
    else if (s.count)
        leave_flags(e, &s);
}

static bool count_not_0(const struct insn *i)
{
    return (unsigned)i->imm & (i->osz == 3 ? 63 : 31);
}
/* The interpreter doesn't write to memory if the count is 0. */
static bool can_shift(const struct insn *i)
{
    return !in_memory(i) || count_not_0(i);
}
static bool can_rotate_carry(const struct insn *i)
{
    return ((unsigned)i->imm & (i->osz == 3 ? 63 : 31)) == 1;
}
/* 16 bits by more than 16 is a case of its own. */
static bool can_shift_double(const struct insn *i)
{
    return i->osz >= 2 && can_shift(i);
}
static bool can_shift_double_cl(const struct insn *i)
{
    return i->osz >= 2;
}

/* ---- rows ---- */

#define BY_IMM(reg, s, can)                                                                        \
    EMIT_ROW(MAP_1B, 0xc0, 0xc1, reg, emit_shifting, s, can),                                      \
        EMIT_ROW(MAP_1B, 0xd0, 0xd1, reg, emit_shifting, s, can)
#define SHIFT(reg, s)                                                                              \
    BY_IMM(reg, s, can_shift), EMIT_ROW(MAP_1B, 0xd2, 0xd3, reg, emit_shifting, (s) | BY_CL, NULL)

static const struct emit_row rows[] = {
    SHIFT(0, SH_ROL),
    SHIFT(1, SH_ROR),
    BY_IMM(2, SH_RCL, can_rotate_carry),
    BY_IMM(3, SH_RCR, can_rotate_carry),
    SHIFT(4, SH_SHL),
    SHIFT(5, SH_SHR),
    SHIFT(6, SH_SHL),
    SHIFT(7, SH_SAR),
    EMIT_ROW(MAP_0F, 0xa4, 0xa4, R_ANY, emit_shifting, SH_SHLD, can_shift_double),
    EMIT_ROW(MAP_0F, 0xa5, 0xa5, R_ANY, emit_shifting, SH_SHLD | BY_CL, can_shift_double_cl),
    EMIT_ROW(MAP_0F, 0xac, 0xac, R_ANY, emit_shifting, SH_SHRD, can_shift_double),
    EMIT_ROW(MAP_0F, 0xad, 0xad, R_ANY, emit_shifting, SH_SHRD | BY_CL, can_shift_double_cl),
};
const struct emit_table emit_shift = { rows, sizeof rows / sizeof rows[0] };
