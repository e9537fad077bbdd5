/*
 * Integer instructions: moves, arithmetic and logic, multiply and divide, stack.
 *
 * Order in every emitter: memory operands first (they can fault), then registers, then the raw
 * locals of the flags. What interpreter and SDM leave undefined is as the interpreter has it.
 */
#include "jit-wasm/emit.h"

static enum wasm_op by_size(unsigned osz, enum wasm_op narrow, enum wasm_op wide)
{
    return osz == 3 ? wide : narrow;
}

static bool in_memory(const struct insn *i)
{
    return i->flags & INSN_MEM;
}

static int memory_operand(struct emit *e, const struct insn *i, unsigned osz, enum access a)
{
    emit_ea(e);
    return emit_linear(e, i->seg, 1u << osz, a);
}

/* Stack to a temporary of the operand's type. */
static int to_tmp(struct emit *e, unsigned osz)
{
    int t = emit_tmp(e, value_type(osz));
    set_local(e, t);
    return t;
}

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
    int host, la = memory_operand(e, i, osz, ACCESS_WRITE), carry = NO_LOCAL;
    emit_rmw_load(e, la, i->seg, osz, &host);
    int old = to_tmp(e, osz);
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
    int r = to_tmp(e, osz);
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
        emit_load(e, memory_operand(e, i, osz, ACCESS_READ), i->seg, osz);
        loaded = to_tmp(e, osz);
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
        la = memory_operand(e, i, osz, ACCESS_WRITE);
        emit_rmw_load(e, la, i->seg, osz, &host);
    } else {
        emit_get(e, osz, i->rm);
    }
    int old = to_tmp(e, osz), r = emit_tmp(e, value_type(osz));
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

/* ---- shifts and rotates ---- */

enum shift { SH_SHL, SH_SHR, SH_SAR, SH_ROL, SH_ROR };

/* The shifted value of local @a by the i32 local or constant count, on the stack. */
static void shifted(struct emit *e, enum shift s, unsigned osz, int a, int count_local, int count)
{
    static const uint8_t ops[5][2] = {
        [SH_SHL] = { W_I32_SHL, W_I64_SHL },     [SH_SHR] = { W_I32_SHR_U, W_I64_SHR_U },
        [SH_SAR] = { W_I32_SHR_S, W_I64_SHR_S }, [SH_ROL] = { W_I32_ROTL, W_I64_ROTL },
        [SH_ROR] = { W_I32_ROTR, W_I64_ROTR },
    };
    get_local(e, a);
    if (s == SH_SAR && osz < 2)
        op(e, osz ? W_I32_EXTEND16_S : W_I32_EXTEND8_S);
    if (count_local != NO_LOCAL) {
        get_local(e, count_local);
        if (osz == 3)
            op(e, W_I64_EXTEND_I32_U);
    } else {
        if (osz == 3)
            emit_i64(e, count);
        else
            emit_i32(e, count);
    }
    op(e, (enum wasm_op)ops[s][osz == 3]);
}

/* CF and OF of a rotate from its result; flags are canonical. */
static void rotate_flags(struct emit *e, enum shift s, unsigned osz, int r)
{
    unsigned bits = 8u << osz;
    int wide = emit_tmp(e, W_I64), cf = emit_tmp(e, W_I64);
    get_local(e, r);
    if (osz != 3)
        op(e, W_I64_EXTEND_I32_U);
    set_local(e, wide);
    get_local(e, wide); /* CF: bit 0 after ROL, the top bit after ROR */
    emit_i64(e, s == SH_ROL ? 63 : 64 - bits);
    op(e, W_I64_SHL);
    emit_i64(e, (int64_t)(1ull << 63));
    op(e, W_I64_AND);
    set_local(e, cf);
    /* CF ^ OF: the top bit after ROL, the one below it after ROR */
    get_local(e, wide);
    emit_i64(e, s == SH_ROL ? bits - 1 : bits - 2);
    op(e, W_I64_SHR_U);
    emit_i64(e, 1);
    op(e, W_I64_AND);
    emit_i64(e, 62);
    op(e, W_I64_SHL);
    get_local(e, cf);
    op(e, W_I64_OR);
    set_local(e, e->fc);
}

static void shift_flags(struct emit *e, enum shift s, unsigned osz, int a, int r, int count_local,
                        int count)
{
    static const uint8_t kinds[] = { FK_SHL, FK_SHR, FK_SAR };
    if (s >= SH_ROL) {
        rotate_flags(e, s, osz, r);
        return;
    }
    get_local(e, a);
    set_local(e, flags_raw(e, osz, 0));
    if (count_local != NO_LOCAL) {
        get_local(e, count_local);
        if (osz == 3)
            op(e, W_I64_EXTEND_I32_U);
    } else if (osz == 3) {
        emit_i64(e, count);
    } else {
        emit_i32(e, count);
    }
    set_local(e, flags_raw(e, osz, 1));
    flags_set(e, (enum flag_kind)kinds[s], osz);
}

static void emit_shift(struct emit *e, const struct insn *i)
{
    uint32_t arg = emit_row_of(i)->arg;
    enum shift s = (enum shift)(arg & 15);
    bool by_cl = arg & 16;
    unsigned osz = i->osz;
    int count = by_cl ? 0 : (int)((unsigned)i->imm & (osz == 3 ? 63 : 31));
    int count_local = NO_LOCAL, host = NO_LOCAL, la = NO_LOCAL;
    if (in_memory(i)) {
        la = memory_operand(e, i, osz, ACCESS_WRITE);
        emit_rmw_load(e, la, i->seg, osz, &host);
    } else {
        emit_get(e, osz, i->rm);
    }
    int a = to_tmp(e, osz), r = emit_tmp(e, value_type(osz));
    if (by_cl) {
        count_local = emit_tmp(e, W_I32);
        emit_get(e, 2, RCX);
        emit_i32(e, osz == 3 ? 63 : 31);
        op(e, W_I32_AND);
        set_local(e, count_local);
    }
    shifted(e, s, osz, a, count_local, count);
    set_local(e, r);
    if (in_memory(i)) { /* a count of 0 writes back what was there */
        emit_rmw_store(e, la, i->seg, osz, host, r);
    } else {
        get_local(e, r);
        emit_set(e, osz, i->rm);
    }
    if (!flags_wanted(e) || (!by_cl && count == 0))
        return;
    if (s >= SH_ROL || by_cl)
        flags_canonical(e);
    if (!by_cl) {
        shift_flags(e, s, osz, a, r, NO_LOCAL, count);
        return;
    }
    get_local(e, count_local);
    open_block(e, W_IF, W_VOID);
    shift_flags(e, s, osz, a, r, count_local, 0);
    flags_canonical(e);
    close_block(e);
    e->kind = FK_CANON;
}
static bool can_shift(const struct insn *i)
{
    return !(in_memory(i) && insn_opcode(i)->byte >= 0xc0 && insn_opcode(i)->byte <= 0xc1 &&
             ((unsigned)i->imm & (i->osz == 3 ? 63 : 31)) == 0);
}
static bool can_rotate(const struct insn *i)
{
    return i->osz >= 2 && can_shift(i);
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
    int la = memory_operand(e, i, osz, ACCESS_WRITE);
    second_operand(e, i, form, osz, NO_LOCAL);
    emit_store(e, la, i->seg, osz, to_tmp(e, osz));
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
        emit_store(e, la, i->seg, osz, to_tmp(e, osz));
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

static void emit_xchg(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    if (in_memory(i)) {
        int host, la = memory_operand(e, i, osz, ACCESS_WRITE);
        emit_rmw_load(e, la, i->seg, osz, &host);
        int old = to_tmp(e, osz);
        emit_get(e, osz, i->r);
        emit_rmw_store(e, la, i->seg, osz, host, to_tmp(e, osz));
        get_local(e, old);
        emit_set(e, osz, i->r);
        return;
    }
    emit_get(e, osz, i->rm);
    int old = to_tmp(e, osz);
    emit_get(e, osz, i->r);
    emit_set(e, osz, i->rm);
    get_local(e, old);
    emit_set(e, osz, i->r);
}

static void emit_xchg_za(struct emit *e, const struct insn *i)
{
    if (i->rm == RAX)
        return;
    emit_get(e, i->osz, i->rm);
    int old = to_tmp(e, i->osz);
    emit_get(e, i->osz, RAX);
    emit_set(e, i->osz, i->rm);
    get_local(e, old);
    emit_set(e, i->osz, RAX);
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

static void emit_bswap(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    static const struct {
        int64_t mask;
        int shift;
    } steps[] = { { 0x00ff00ff00ff00ff, 8 }, { 0x0000ffff0000ffff, 16 }, { 0xffffffff, 32 } };
    emit_get(e, osz, i->rm);
    int v = to_tmp(e, osz);
    for (unsigned k = 0; k < (osz == 3 ? 3u : 2u); k++) {
        get_local(e, v);
        emit_const(e, osz, steps[k].mask);
        op(e, by_size(osz, W_I32_AND, W_I64_AND));
        emit_const(e, osz, steps[k].shift);
        op(e, by_size(osz, W_I32_SHL, W_I64_SHL));
        get_local(e, v);
        emit_const(e, osz, steps[k].shift);
        op(e, by_size(osz, W_I32_SHR_U, W_I64_SHR_U));
        emit_const(e, osz, steps[k].mask);
        op(e, by_size(osz, W_I32_AND, W_I64_AND));
        op(e, by_size(osz, W_I32_OR, W_I64_OR));
        set_local(e, v);
    }
    get_local(e, v);
    emit_set(e, osz, i->rm);
}

static void emit_nop(struct emit *e, const struct insn *i)
{
}

static void emit_setcc(struct emit *e, const struct insn *i)
{
    if (in_memory(i)) { /* the address first: flags_cond_value may use temporaries, never fault */
        int la = memory_operand(e, i, 0, ACCESS_WRITE);
        flags_cond_value(e, i->cc);
        emit_store(e, la, i->seg, 0, to_tmp(e, 0));
        return;
    }
    flags_cond_value(e, i->cc);
    emit_set(e, 0, i->rm);
}

static void emit_cmov(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    emit_get_rm(e, osz);
    int v = to_tmp(e, osz);
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
    emit_push(e, i->osz, to_tmp(e, i->osz));
}
static void emit_push_i(struct emit *e, const struct insn *i)
{
    emit_const(e, i->osz, i->imm);
    emit_push(e, i->osz, to_tmp(e, i->osz));
}
static void emit_push_e(struct emit *e, const struct insn *i)
{
    emit_get_rm(e, i->osz);
    emit_push(e, i->osz, to_tmp(e, i->osz));
}
static void emit_pop_z(struct emit *e, const struct insn *i)
{
    emit_stack_peek(e, RSP, i->osz);
    int v = to_tmp(e, i->osz);
    emit_sp_add(e, 1 << i->osz);
    get_local(e, v);
    emit_set(e, i->osz, i->rm);
}
static void emit_leave(struct emit *e, const struct insn *i)
{
    emit_stack_peek(e, RBP, i->osz);
    int v = to_tmp(e, i->osz);
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
    int v = to_tmp(e, osz);
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

/* ---- atomic exchange (one CPU runs at a time: nothing to do for LOCK) ---- */

static void emit_cmpxchg(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    int host, la = memory_operand(e, i, osz, ACCESS_WRITE);
    emit_rmw_load(e, la, i->seg, osz, &host);
    int dest = to_tmp(e, osz);
    emit_get(e, osz, osz ? RAX : 0);
    int acc = to_tmp(e, osz);
    emit_get(e, osz, i->r);
    get_local(e, dest);
    get_local(e, acc);
    get_local(e, dest);
    op(e, by_size(osz, W_I32_EQ, W_I64_EQ));
    op(e, W_SELECT);
    emit_rmw_store(e, la, i->seg, osz, host, to_tmp(e, osz));
    get_local(e, acc);
    get_local(e, dest);
    op(e, by_size(osz, W_I32_NE, W_I64_NE));
    open_block(e, W_IF, W_VOID);
    get_local(e, dest);
    emit_set(e, osz, osz ? RAX : 0);
    close_block(e);
    if (!flags_wanted(e))
        return;
    get_local(e, acc);
    set_local(e, flags_raw(e, osz, 0));
    get_local(e, dest);
    set_local(e, flags_raw(e, osz, 1));
    flags_set(e, FK_SUB, osz);
}

static void emit_xadd(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    int host, la = memory_operand(e, i, osz, ACCESS_WRITE);
    emit_rmw_load(e, la, i->seg, osz, &host);
    int dest = to_tmp(e, osz);
    emit_get(e, osz, i->r);
    int src = to_tmp(e, osz);
    get_local(e, dest);
    get_local(e, src);
    op(e, by_size(osz, W_I32_ADD, W_I64_ADD));
    emit_rmw_store(e, la, i->seg, osz, host, to_tmp(e, osz));
    get_local(e, dest);
    emit_set(e, osz, i->r);
    if (!flags_wanted(e))
        return;
    get_local(e, dest);
    set_local(e, flags_raw(e, osz, 0));
    get_local(e, src);
    set_local(e, flags_raw(e, osz, 1));
    flags_set(e, FK_ADD, osz);
}
static bool memory_only(const struct insn *i)
{
    return in_memory(i);
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
#define ROW(map, first, last, reg, fn, arg, can)                                                   \
    {                                                                                              \
        map, first, last, PFX_ANY, reg, fn, arg, can                                               \
    }
#define SHIFT(reg, s, can)                                                                         \
    ROW(MAP_1B, 0xc0, 0xc1, reg, emit_shift, s, can),                                              \
        ROW(MAP_1B, 0xd0, 0xd1, reg, emit_shift, s, can),                                          \
        ROW(MAP_1B, 0xd2, 0xd3, reg, emit_shift, s | 16, can)

static const struct emit_row rows[] = {
    ALU(0x00, ALU_ADD),
    ALU(0x08, ALU_OR),
    ALU(0x10, ALU_ADC),
    ALU(0x18, ALU_SBB),
    ALU(0x20, ALU_AND),
    ALU(0x28, ALU_SUB),
    ALU(0x30, ALU_XOR),
    ALU(0x38, ALU_CMP),
    ROW(MAP_1B, 0x84, 0x85, R_ANY, emit_alu, ALU_TEST | FORM_EG << 4, NULL),
    ROW(MAP_1B, 0xa8, 0xa9, R_ANY, emit_alu, ALU_TEST | FORM_EI << 4, NULL),
    ROW(MAP_1B, 0xf6, 0xf7, 0, emit_alu, ALU_TEST | FORM_EI << 4, NULL),
    ROW(MAP_1B, 0xf6, 0xf7, 1, emit_alu, ALU_TEST | FORM_EI << 4, NULL),
    ROW(MAP_1B, 0x40, 0x47, R_ANY, emit_unary, UN_INC, NULL),
    ROW(MAP_1B, 0x48, 0x4f, R_ANY, emit_unary, UN_DEC, NULL),
    ROW(MAP_1B, 0xfe, 0xff, 0, emit_unary, UN_INC, NULL),
    ROW(MAP_1B, 0xfe, 0xff, 1, emit_unary, UN_DEC, NULL),
    ROW(MAP_1B, 0xf6, 0xf7, 2, emit_unary, UN_NOT, NULL),
    ROW(MAP_1B, 0xf6, 0xf7, 3, emit_unary, UN_NEG, NULL),
    SHIFT(0, SH_ROL, can_rotate),
    SHIFT(1, SH_ROR, can_rotate),
    SHIFT(4, SH_SHL, can_shift),
    SHIFT(5, SH_SHR, can_shift),
    SHIFT(6, SH_SHL, can_shift),
    SHIFT(7, SH_SAR, can_shift),
    ROW(MAP_1B, 0x50, 0x57, R_ANY, emit_push_z, 0, NULL),
    ROW(MAP_1B, 0x58, 0x5f, R_ANY, emit_pop_z, 0, NULL),
    ROW(MAP_1B, 0x63, 0x63, R_ANY, emit_movx, 2 | 16, only_64),
    ROW(MAP_1B, 0x68, 0x68, R_ANY, emit_push_i, 0, NULL),
    ROW(MAP_1B, 0x6a, 0x6a, R_ANY, emit_push_i, 0, NULL),
    ROW(MAP_1B, 0x69, 0x69, R_ANY, emit_imul, 1, NULL),
    ROW(MAP_1B, 0x6b, 0x6b, R_ANY, emit_imul, 1, NULL),
    ROW(MAP_1B, 0x86, 0x87, R_ANY, emit_xchg, 0, NULL),
    ROW(MAP_1B, 0x88, 0x89, R_ANY, emit_mov, FORM_EG, NULL),
    ROW(MAP_1B, 0x8a, 0x8b, R_ANY, emit_mov, FORM_GE, NULL),
    ROW(MAP_1B, 0x8d, 0x8d, R_ANY, emit_lea, 0, NULL),
    ROW(MAP_1B, 0x90, 0x97, R_ANY, emit_xchg_za, 0, NULL),
    ROW(MAP_1B, 0x98, 0x98, R_ANY, emit_cbw, 0, NULL),
    ROW(MAP_1B, 0x99, 0x99, R_ANY, emit_cwd, 0, NULL),
    ROW(MAP_1B, 0xa0, 0xa1, R_ANY, emit_mov_offs, 0, NULL),
    ROW(MAP_1B, 0xa2, 0xa3, R_ANY, emit_mov_offs, 1, NULL),
    ROW(MAP_1B, 0xb0, 0xbf, R_ANY, emit_mov_zi, 0, NULL),
    ROW(MAP_1B, 0xc6, 0xc7, 0, emit_mov, FORM_EI, NULL),
    ROW(MAP_1B, 0xc9, 0xc9, R_ANY, emit_leave, 0, NULL),
    ROW(MAP_1B, 0xf7, 0xf7, 4, emit_mul, 0, can_mul),
    ROW(MAP_1B, 0xf7, 0xf7, 5, emit_mul, 1, can_mul),
    ROW(MAP_1B, 0xf7, 0xf7, 6, emit_div, 0, can_mul),
    ROW(MAP_1B, 0xf7, 0xf7, 7, emit_div, 1, can_mul),
    ROW(MAP_1B, 0xff, 0xff, 6, emit_push_e, 0, NULL),
    ROW(MAP_0F, 0x18, 0x1f, R_ANY, emit_nop, 0, NULL),
    ROW(MAP_0F, 0x40, 0x4f, R_ANY, emit_cmov, 0, NULL),
    ROW(MAP_0F, 0x90, 0x9f, R_ANY, emit_setcc, 0, NULL),
    ROW(MAP_0F, 0xaf, 0xaf, R_ANY, emit_imul, 0, NULL),
    ROW(MAP_0F, 0xb0, 0xb1, R_ANY, emit_cmpxchg, 0, memory_only),
    ROW(MAP_0F, 0xb6, 0xb6, R_ANY, emit_movx, 0, NULL),
    ROW(MAP_0F, 0xb7, 0xb7, R_ANY, emit_movx, 1, NULL),
    ROW(MAP_0F, 0xbe, 0xbe, R_ANY, emit_movx, 0 | 16, NULL),
    ROW(MAP_0F, 0xbf, 0xbf, R_ANY, emit_movx, 1 | 16, NULL),
    ROW(MAP_0F, 0xc0, 0xc1, R_ANY, emit_xadd, 0, memory_only),
    ROW(MAP_0F, 0xc8, 0xcf, R_ANY, emit_bswap, 0, can_mul),
};
const struct emit_table emit_int = { rows, sizeof rows / sizeof rows[0] };
