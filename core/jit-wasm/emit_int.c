/*
 * Integer instructions: moves, arithmetic and logic, multiply and divide, stack.
 *
 * Order in every emitter: memory operands first (they can fault), then registers, then the raw
 * locals of the flags. What interpreter and SDM leave undefined is as the interpreter has it.
 */
#include "jit-wasm/emit.h"

/* Leaves the value on the stack and, if the flags are wanted, in raw operand @k. */
static void keep_raw(struct emit *e, unsigned osz, unsigned k)
{
    if (flags_wanted(e))
        tee_local(e, flags_raw(e, osz, k));
}

/* ---- two operands ---- */

enum alu { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST };
enum form { FORM_EG, FORM_GE, FORM_EI };

static const struct {
    uint8_t narrow, wide;
    uint8_t kind;
    bool uses_ab, uses_r, writes, carry;
} alu_ops[] = {
    [ALU_ADD] = { W_I32_ADD, W_I64_ADD, FK_ADD, true, false, true, false },
    [ALU_OR] = { W_I32_OR, W_I64_OR, FK_LOGIC, false, true, true, false },
    [ALU_ADC] = { W_I32_ADD, W_I64_ADD, FK_ADC, true, true, true, true },
    [ALU_SBB] = { W_I32_SUB, W_I64_SUB, FK_SBB, true, true, true, true },
    [ALU_AND] = { W_I32_AND, W_I64_AND, FK_LOGIC, false, true, true, false },
    [ALU_SUB] = { W_I32_SUB, W_I64_SUB, FK_SUB, true, false, true, false },
    [ALU_XOR] = { W_I32_XOR, W_I64_XOR, FK_LOGIC, false, true, true, false },
    [ALU_CMP] = { 0, 0, FK_SUB, true, false, false, false },
    [ALU_TEST] = { W_I32_AND, W_I64_AND, FK_LOGIC, false, true, false, false },
};

/* The carry on wasm's stack is added to (subtracted from) the value below it. */
static void apply_carry(struct emit *e, enum alu a, unsigned osz, int carry)
{
    get_local(e, carry);
    if (osz == 3)
        op(e, W_I64_EXTEND_I32_U);
    op(e, by_size(osz, (enum wasm_op)alu_ops[a].narrow, (enum wasm_op)alu_ops[a].wide));
}

static void second_operand(struct emit *e, const struct insn *i, enum form form, unsigned osz,
                           int loaded)
{
    if (form == FORM_EI)
        emit_const(e, osz, i->imm);
    else if (form == FORM_EG)
        emit_get(e, osz, i->r);
    else if (loaded != NO_LOCAL)
        get_local(e, loaded);
    else
        emit_get(e, osz, i->rm);
}

static void alu_memory(struct emit *e, const struct insn *i, enum alu a, enum form form)
{
    unsigned osz = i->osz;
    int host, la = memory_operand(e, i, 1u << osz, ACCESS_WRITE), carry = NO_LOCAL;
    emit_rmw_load(e, la, i->seg, osz, &host);
    int old = int_tmp(e, osz);
    if (alu_ops[a].carry) {
        flags_carry(e);
        carry = emit_tmp(e, W_I32);
        set_local(e, carry);
    }
    get_local(e, old);
    second_operand(e, i, form, osz, NO_LOCAL);
    op(e, by_size(osz, (enum wasm_op)alu_ops[a].narrow, (enum wasm_op)alu_ops[a].wide));
    if (carry != NO_LOCAL)
        apply_carry(e, a, osz, carry);
    int r = int_tmp(e, osz);
    emit_rmw_store(e, la, i->seg, osz, host, r);
    if (!flags_wanted(e))
        return;
    if (alu_ops[a].uses_ab) {
        get_local(e, old);
        set_local(e, flags_raw(e, osz, 0));
        second_operand(e, i, form, osz, NO_LOCAL);
        set_local(e, flags_raw(e, osz, 1));
    }
    if (alu_ops[a].uses_r) {
        get_local(e, r);
        set_local(e, flags_raw(e, osz, 2));
    }
    flags_set(e, (enum flag_kind)alu_ops[a].kind, osz);
}

static void emit_alu(struct emit *e, const struct insn *i)
{
    uint32_t arg = emit_row_of(i)->arg;
    enum alu a = (enum alu)(arg & 15);
    enum form form = (enum form)(arg >> 4);
    unsigned osz = i->osz, dst = form == FORM_GE ? i->r : i->rm;
    int loaded = NO_LOCAL, carry = NO_LOCAL;
    if (in_memory(i) && form != FORM_GE && alu_ops[a].writes) {
        alu_memory(e, i, a, form);
        return;
    }
    if (in_memory(i)) {
        emit_load(e, memory_operand(e, i, 1u << osz, ACCESS_READ), i->seg, osz);
        loaded = int_tmp(e, osz);
    }
    if (alu_ops[a].carry) {
        flags_carry(e);
        carry = emit_tmp(e, W_I32);
        set_local(e, carry);
    }
    if (!alu_ops[a].writes && !flags_wanted(e))
        return;
    if (form == FORM_GE || loaded == NO_LOCAL)
        emit_get(e, osz, dst);
    else
        get_local(e, loaded);
    if (alu_ops[a].uses_ab)
        keep_raw(e, osz, 0);
    second_operand(e, i, form, osz, loaded);
    if (alu_ops[a].uses_ab)
        keep_raw(e, osz, 1);
    if (a == ALU_CMP) {
        op(e, W_DROP);
        op(e, W_DROP);
        flags_set(e, FK_SUB, osz);
        return;
    }
    op(e, by_size(osz, (enum wasm_op)alu_ops[a].narrow, (enum wasm_op)alu_ops[a].wide));
    if (carry != NO_LOCAL)
        apply_carry(e, a, osz, carry);
    if (a == ALU_TEST) {
        set_local(e, flags_raw(e, osz, 2));
        flags_set(e, FK_LOGIC, osz);
        return;
    }
    if (alu_ops[a].uses_r)
        keep_raw(e, osz, 2);
    emit_set(e, osz, dst);
    flags_set(e, (enum flag_kind)alu_ops[a].kind, osz);
}

/* ---- one operand ---- */

enum unary { UN_INC, UN_DEC, UN_NOT, UN_NEG };

static void unary_result(struct emit *e, enum unary u, unsigned osz)
{
    switch (u) {
    case UN_INC:
        emit_const(e, osz, 1);
        op(e, by_size(osz, W_I32_ADD, W_I64_ADD));
        break;
    case UN_DEC:
        emit_const(e, osz, 1);
        op(e, by_size(osz, W_I32_SUB, W_I64_SUB));
        break;
    default:
        if (osz == 3)
            emit_i64(e, -1);
        else
            emit_i32(e, -1);
        op(e, by_size(osz, W_I32_XOR, W_I64_XOR));
        break;
    }
}

static void emit_unary(struct emit *e, const struct insn *i)
{
    enum unary u = (enum unary)emit_row_of(i)->arg;
    unsigned osz = i->osz;
    int host = NO_LOCAL, la = NO_LOCAL;
    if (in_memory(i)) {
        la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
        emit_rmw_load(e, la, i->seg, osz, &host);
    } else {
        emit_get(e, osz, i->rm);
    }
    int old = int_tmp(e, osz), r = emit_tmp(e, value_type(osz));
    if (u == UN_NEG) {
        emit_const(e, osz, 0);
        get_local(e, old);
        op(e, by_size(osz, W_I32_SUB, W_I64_SUB));
    } else {
        get_local(e, old);
        unary_result(e, u, osz);
    }
    set_local(e, r);
    if (in_memory(i)) {
        emit_rmw_store(e, la, i->seg, osz, host, r);
    } else {
        get_local(e, r);
        emit_set(e, osz, i->rm);
    }
    if (u == UN_NOT || !flags_wanted(e))
        return;
    if (u == UN_NEG) {
        emit_const(e, osz, 0);
        set_local(e, flags_raw(e, osz, 0));
        get_local(e, old);
        set_local(e, flags_raw(e, osz, 1));
        flags_set(e, FK_SUB, osz);
        return;
    }
    flags_carry_to_fc(e);
    get_local(e, r);
    set_local(e, flags_raw(e, osz, 2));
    flags_set(e, u == UN_INC ? FK_INC : FK_DEC, osz);
}

/* ---- moves ---- */

static void emit_mov(struct emit *e, const struct insn *i)
{
    enum form form = (enum form)emit_row_of(i)->arg;
    unsigned osz = i->osz;
    if (form == FORM_GE) {
        emit_get_rm(e, osz);
        emit_set(e, osz, i->r);
        return;
    }
    if (!in_memory(i)) {
        second_operand(e, i, form, osz, NO_LOCAL);
        emit_set(e, osz, i->rm);
        return;
    }
    int la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
    second_operand(e, i, form, osz, NO_LOCAL);
    emit_store(e, la, i->seg, osz, int_tmp(e, osz));
}

static void emit_mov_zi(struct emit *e, const struct insn *i)
{
    emit_const(e, i->osz, (int64_t)i->imm64);
    emit_set(e, i->osz, i->rm);
}

static void emit_mov_offs(struct emit *e, const struct insn *i)
{
    bool store = emit_row_of(i)->arg;
    unsigned osz = i->osz;
    if (e->m64)
        emit_i64(e, (int64_t)i->imm64);
    else
        emit_i32(e, (int32_t)i->imm64);
    int la = emit_linear(e, i->seg, 1u << osz, store ? ACCESS_WRITE : ACCESS_READ);
    if (store) {
        emit_get(e, osz, osz ? RAX : 0);
        emit_store(e, la, i->seg, osz, int_tmp(e, osz));
    } else {
        emit_load(e, la, i->seg, osz);
        emit_set(e, osz, osz ? RAX : 0);
    }
}

/* arg: source osz | 16 if signed */
static void emit_movx(struct emit *e, const struct insn *i)
{
    uint32_t arg = emit_row_of(i)->arg;
    unsigned from = arg & 3;
    static const uint8_t to32[] = { W_I32_EXTEND8_S, W_I32_EXTEND16_S };
    static const uint8_t to64[] = { W_I64_EXTEND8_S, W_I64_EXTEND16_S, W_I64_EXTEND32_S };
    emit_get_rm(e, from);
    if (i->osz == 3) {
        op(e, W_I64_EXTEND_I32_U);
        if (arg & 16)
            op(e, to64[from]);
    } else if ((arg & 16) && from < 2) {
        op(e, to32[from]);
    }
    emit_set(e, i->osz, i->r);
}

static void emit_lea(struct emit *e, const struct insn *i)
{
    emit_ea(e);
    if (e->m64 && i->osz < 3)
        op(e, W_I32_WRAP_I64);
    emit_set(e, i->osz, i->r);
}

static void emit_cbw(struct emit *e, const struct insn *i)
{
    emit_get_full(e, RAX);
    if (i->osz == 3) {
        op(e, W_I64_EXTEND32_S);
    } else {
        if (e->m64)
            op(e, W_I32_WRAP_I64);
        op(e, i->osz == 2 ? W_I32_EXTEND16_S : W_I32_EXTEND8_S);
    }
    emit_set(e, i->osz, RAX);
}

static void emit_cwd(struct emit *e, const struct insn *i)
{
    emit_get(e, i->osz, RAX);
    if (i->osz == 1)
        op(e, W_I32_EXTEND16_S);
    emit_const(e, i->osz, i->osz == 3 ? 63 : 31);
    op(e, by_size(i->osz, W_I32_SHR_S, W_I64_SHR_S));
    emit_set(e, i->osz, RDX);
}

static void emit_nop(struct emit *e, const struct insn *i)
{
}

static void emit_setcc(struct emit *e, const struct insn *i)
{
    if (in_memory(i)) { /* the address first: flags_cond_value may use temporaries, never fault */
        int la = memory_operand(e, i, 1, ACCESS_WRITE);
        flags_cond_value(e, i->cc);
        emit_store(e, la, i->seg, 0, int_tmp(e, 0));
        return;
    }
    flags_cond_value(e, i->cc);
    emit_set(e, 0, i->rm);
}

static void emit_cmov(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    emit_get_rm(e, osz);
    int v = int_tmp(e, osz);
    flags_cond_value(e, i->cc);
    int cond = emit_tmp(e, W_I32);
    set_local(e, cond);
    get_local(e, v);
    emit_get(e, osz, i->r);
    get_local(e, cond);
    op(e, W_SELECT);
    emit_set(e, osz, i->r);
}

/* ---- stack ---- */

static void emit_push_z(struct emit *e, const struct insn *i)
{
    emit_get(e, i->osz, i->rm);
    emit_push(e, i->osz, int_tmp(e, i->osz));
}
static void emit_push_i(struct emit *e, const struct insn *i)
{
    emit_const(e, i->osz, i->imm);
    emit_push(e, i->osz, int_tmp(e, i->osz));
}
static void emit_push_e(struct emit *e, const struct insn *i)
{
    emit_get_rm(e, i->osz);
    emit_push(e, i->osz, int_tmp(e, i->osz));
}
static void emit_pop_z(struct emit *e, const struct insn *i)
{
    emit_stack_peek(e, RSP, i->osz);
    int v = int_tmp(e, i->osz);
    emit_sp_add(e, 1 << i->osz);
    get_local(e, v);
    emit_set(e, i->osz, i->rm);
}
static void emit_leave(struct emit *e, const struct insn *i)
{
    emit_stack_peek(e, RBP, i->osz);
    int v = int_tmp(e, i->osz);
    emit_sp_from(e, RBP, 1 << i->osz);
    get_local(e, v);
    emit_set(e, i->osz, RBP);
}

/* ---- multiply and divide ---- */

/* IMUL with a register destination; arg 1: three operands. */
static void emit_imul(struct emit *e, const struct insn *i)
{
    bool three = emit_row_of(i)->arg;
    unsigned osz = i->osz;
    emit_get_rm(e, osz);
    if (three) {
        keep_raw(e, osz, 0);
        emit_const(e, osz, i->imm);
    } else {
        keep_raw(e, osz, 0);
        emit_get(e, osz, i->r);
    }
    keep_raw(e, osz, 1);
    op(e, by_size(osz, W_I32_MUL, W_I64_MUL));
    emit_set(e, osz, i->r);
    flags_set(e, FK_IMUL, osz);
}

/* MUL, IMUL: rDX:rAX = rAX * r/m, 32 and 64 bits. arg 1: signed */
static void emit_mul(struct emit *e, const struct insn *i)
{
    bool is_signed = emit_row_of(i)->arg;
    unsigned osz = i->osz;
    emit_get_rm(e, osz);
    int v = int_tmp(e, osz);
    int a = emit_tmp(e, value_type(osz));
    emit_get(e, osz, RAX);
    set_local(e, a);
    if (osz == 2) {
        int wide = emit_tmp(e, W_I64);
        get_local(e, a);
        op(e, is_signed ? W_I64_EXTEND_I32_S : W_I64_EXTEND_I32_U);
        get_local(e, v);
        op(e, is_signed ? W_I64_EXTEND_I32_S : W_I64_EXTEND_I32_U);
        op(e, W_I64_MUL);
        tee_local(e, wide);
        op(e, W_I32_WRAP_I64);
        emit_set(e, 2, RAX);
        get_local(e, wide);
        emit_i64(e, 32);
        op(e, W_I64_SHR_U);
        op(e, W_I32_WRAP_I64);
        emit_set(e, 2, RDX);
    } else {
        get_local(e, a);
        get_local(e, v);
        emit_call(e, is_signed ? IM_MULHS : IM_MULHU);
        emit_set(e, 3, RDX);
        get_local(e, a);
        get_local(e, v);
        op(e, W_I64_MUL);
        emit_set(e, 3, RAX);
    }
    if (!flags_wanted(e))
        return;
    get_local(e, a);
    set_local(e, flags_raw(e, osz, 0));
    get_local(e, v);
    set_local(e, flags_raw(e, osz, 1));
    flags_set(e, is_signed ? FK_IMUL : FK_MUL, osz);
}
static bool can_mul(const struct insn *i)
{
    return i->osz >= 2;
}

/* Leaves for the interpreter where a quotient needs more than one division of 64 bits, or faults.
 */
static void emit_div(struct emit *e, const struct insn *i)
{
    bool is_signed = emit_row_of(i)->arg;
    unsigned osz = i->osz;
    int v = emit_tmp(e, W_I64), a = emit_tmp(e, W_I64), q = emit_tmp(e, W_I64);
    emit_get_rm(e, osz);
    if (osz == 2)
        op(e, is_signed ? W_I64_EXTEND_I32_S : W_I64_EXTEND_I32_U);
    set_local(e, v);
    if (osz == 2) {
        emit_get(e, 2, RDX);
        op(e, W_I64_EXTEND_I32_U);
        emit_i64(e, 32);
        op(e, W_I64_SHL);
        emit_get(e, 2, RAX);
        op(e, W_I64_EXTEND_I32_U);
        op(e, W_I64_OR);
    } else {
        emit_get(e, 3, RAX);
    }
    set_local(e, a);
    get_local(e, v);
    if (is_signed) { /* 0 and -1 */
        emit_i64(e, 1);
        op(e, W_I64_ADD);
        emit_i64(e, 2);
        op(e, W_I64_LT_U);
    } else {
        op(e, W_I64_EQZ);
    }
    if (osz == 3) {
        emit_get(e, 3, RDX);
        if (is_signed) {
            get_local(e, a);
            emit_i64(e, 63);
            op(e, W_I64_SHR_S);
        } else {
            emit_i64(e, 0);
        }
        op(e, W_I64_NE);
        op(e, W_I32_OR);
    }
    emit_leave_if(e, LEAVE_INTERP);
    get_local(e, a);
    get_local(e, v);
    op(e, is_signed ? W_I64_DIV_S : W_I64_DIV_U);
    set_local(e, q);
    if (osz == 2) {
        get_local(e, q);
        get_local(e, q);
        if (is_signed) {
            op(e, W_I64_EXTEND32_S);
        } else {
            emit_i64(e, 0xffffffffll);
            op(e, W_I64_AND);
        }
        op(e, W_I64_NE);
        emit_leave_if(e, LEAVE_INTERP);
    }
    /* remainder before rAX changes: @a is a copy */
    get_local(e, a);
    get_local(e, q);
    get_local(e, v);
    op(e, W_I64_MUL);
    op(e, W_I64_SUB);
    if (osz == 2)
        op(e, W_I32_WRAP_I64);
    emit_set(e, osz, RDX);
    get_local(e, q);
    if (osz == 2)
        op(e, W_I32_WRAP_I64);
    emit_set(e, osz, RAX);
}

static bool only_64(const struct insn *i) /* MOVSXD; ARPL has the same byte */
{
    return insn_opcode(i)->flags & OP_ONLY64;
}

/* ---- rows ---- */

#define ALU(by, a)                                                                                 \
    { MAP_1B, by, by + 1, PFX_ANY, R_ANY, emit_alu, a | FORM_EG << 4, NULL },                      \
        { MAP_1B, by + 2, by + 3, PFX_ANY, R_ANY, emit_alu, a | FORM_GE << 4, NULL },              \
        { MAP_1B, by + 4, by + 5, PFX_ANY, R_ANY, emit_alu, a | FORM_EI << 4, NULL },              \
    {                                                                                              \
        MAP_1B, 0x80, 0x83, PFX_ANY, (by) >> 3, emit_alu, a | FORM_EI << 4, NULL                   \
    }

static const struct emit_row rows[] = {
    ALU(0x00, ALU_ADD),
    ALU(0x08, ALU_OR),
    ALU(0x10, ALU_ADC),
    ALU(0x18, ALU_SBB),
    ALU(0x20, ALU_AND),
    ALU(0x28, ALU_SUB),
    ALU(0x30, ALU_XOR),
    ALU(0x38, ALU_CMP),
    EMIT_ROW(MAP_1B, 0x84, 0x85, R_ANY, emit_alu, ALU_TEST | FORM_EG << 4, NULL),
    EMIT_ROW(MAP_1B, 0xa8, 0xa9, R_ANY, emit_alu, ALU_TEST | FORM_EI << 4, NULL),
    EMIT_ROW(MAP_1B, 0xf6, 0xf7, 0, emit_alu, ALU_TEST | FORM_EI << 4, NULL),
    EMIT_ROW(MAP_1B, 0xf6, 0xf7, 1, emit_alu, ALU_TEST | FORM_EI << 4, NULL),
    EMIT_ROW(MAP_1B, 0x40, 0x47, R_ANY, emit_unary, UN_INC, NULL),
    EMIT_ROW(MAP_1B, 0x48, 0x4f, R_ANY, emit_unary, UN_DEC, NULL),
    EMIT_ROW(MAP_1B, 0xfe, 0xff, 0, emit_unary, UN_INC, NULL),
    EMIT_ROW(MAP_1B, 0xfe, 0xff, 1, emit_unary, UN_DEC, NULL),
    EMIT_ROW(MAP_1B, 0xf6, 0xf7, 2, emit_unary, UN_NOT, NULL),
    EMIT_ROW(MAP_1B, 0xf6, 0xf7, 3, emit_unary, UN_NEG, NULL),
    EMIT_ROW(MAP_1B, 0x50, 0x57, R_ANY, emit_push_z, 0, NULL),
    EMIT_ROW(MAP_1B, 0x58, 0x5f, R_ANY, emit_pop_z, 0, NULL),
    EMIT_ROW(MAP_1B, 0x63, 0x63, R_ANY, emit_movx, 2 | 16, only_64),
    EMIT_ROW(MAP_1B, 0x68, 0x68, R_ANY, emit_push_i, 0, NULL),
    EMIT_ROW(MAP_1B, 0x6a, 0x6a, R_ANY, emit_push_i, 0, NULL),
    EMIT_ROW(MAP_1B, 0x69, 0x69, R_ANY, emit_imul, 1, NULL),
    EMIT_ROW(MAP_1B, 0x6b, 0x6b, R_ANY, emit_imul, 1, NULL),
    EMIT_ROW(MAP_1B, 0x88, 0x89, R_ANY, emit_mov, FORM_EG, NULL),
    EMIT_ROW(MAP_1B, 0x8a, 0x8b, R_ANY, emit_mov, FORM_GE, NULL),
    EMIT_ROW(MAP_1B, 0x8d, 0x8d, R_ANY, emit_lea, 0, NULL),
    EMIT_ROW(MAP_1B, 0x98, 0x98, R_ANY, emit_cbw, 0, NULL),
    EMIT_ROW(MAP_1B, 0x99, 0x99, R_ANY, emit_cwd, 0, NULL),
    EMIT_ROW(MAP_1B, 0xa0, 0xa1, R_ANY, emit_mov_offs, 0, NULL),
    EMIT_ROW(MAP_1B, 0xa2, 0xa3, R_ANY, emit_mov_offs, 1, NULL),
    EMIT_ROW(MAP_1B, 0xb0, 0xbf, R_ANY, emit_mov_zi, 0, NULL),
    EMIT_ROW(MAP_1B, 0xc6, 0xc7, 0, emit_mov, FORM_EI, NULL),
    EMIT_ROW(MAP_1B, 0xc9, 0xc9, R_ANY, emit_leave, 0, NULL),
    EMIT_ROW(MAP_1B, 0xf7, 0xf7, 4, emit_mul, 0, can_mul),
    EMIT_ROW(MAP_1B, 0xf7, 0xf7, 5, emit_mul, 1, can_mul),
    EMIT_ROW(MAP_1B, 0xf7, 0xf7, 6, emit_div, 0, can_mul),
    EMIT_ROW(MAP_1B, 0xf7, 0xf7, 7, emit_div, 1, can_mul),
    EMIT_ROW(MAP_1B, 0xff, 0xff, 6, emit_push_e, 0, NULL),
    EMIT_ROW(MAP_0F, 0x18, 0x1f, R_ANY, emit_nop, 0, NULL),
    EMIT_ROW(MAP_0F, 0x40, 0x4f, R_ANY, emit_cmov, 0, NULL),
    EMIT_ROW(MAP_0F, 0x90, 0x9f, R_ANY, emit_setcc, 0, NULL),
    EMIT_ROW(MAP_0F, 0xaf, 0xaf, R_ANY, emit_imul, 0, NULL),
    EMIT_ROW(MAP_0F, 0xb6, 0xb6, R_ANY, emit_movx, 0, NULL),
    EMIT_ROW(MAP_0F, 0xb7, 0xb7, R_ANY, emit_movx, 1, NULL),
    EMIT_ROW(MAP_0F, 0xbe, 0xbe, R_ANY, emit_movx, 0 | 16, NULL),
    EMIT_ROW(MAP_0F, 0xbf, 0xbf, R_ANY, emit_movx, 1 | 16, NULL),
};
const struct emit_table emit_int = { rows, sizeof rows / sizeof rows[0] };
