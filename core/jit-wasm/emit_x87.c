/*
 * x87 loads, stores, moves and basic arithmetic: memory is accessed inline, a function of
 * x87_fast.c does the rest. If it can't, or memory can't be accessed straight away, the
 * instruction's handler is called, before anything has changed.
 */
#include "jit-wasm/emit.h"

/* Only where forming the address can't fault: #NM and #MF come first. */
static bool address_is_plain(const struct emit *e, const struct insn *i)
{
    return !in_memory(i) || e->m64 ||
           (e->flat && (i->seg == SEG_DS || i->seg == SEG_ES || i->seg == SEG_SS));
}

/* log2 of the size of a memory operand, by the low bits of the first byte: DA, DB: integers of 32
 * bits, DE, DF: of 16, but DF /5 of 64. */
static unsigned operand_size(const struct insn *i, unsigned byte)
{
    static const uint8_t sizes[] = { 2, 2, 2, 2, 3, 3, 1, 1 };
    return byte == 7 && (i->modrm >> 3 & 7) == 5 ? 3 : sizes[byte];
}

/* arg: the function for the memory form, and << 8 that for the register form */
static void emit_x87_insn(struct emit *e, const struct insn *i)
{
    static const uint8_t loads[] = { W_I64_LOAD8_U, W_I64_LOAD16_U, W_I64_LOAD32_U, W_I64_LOAD };
    uint32_t arg = emit_row_of(i)->arg;
    enum jit_helper fn = (enum jit_helper)(in_memory(i) ? arg & 0xff : arg >> 8);
    struct cpu *c = e->c;
    unsigned byte = insn_opcode(i)->byte & 7u, osz = operand_size(i, byte);
    int host = NO_LOCAL, ea = NO_LOCAL;
    if (!address_is_plain(e, i)) {
        emit_handler(e);
        return;
    }
    open_block(e, W_BLOCK, W_VOID);
    int over = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    if (in_memory(i)) {
        emit_ea(e);
        ea = to_tmp(e, e->m64 ? W_I64 : W_I32);
        get_local(e, ea);
        int la = emit_linear(e, i->seg, 1u << osz, ACCESS_READ);
        emit_host(e, la, 1u << osz, fn == IM_X87_STORE ? ACCESS_WRITE : ACCESS_READ);
        host = to_tmp(e, W_I32);
        get_local(e, host);
        op(e, W_I32_EQZ);
        branch(e, W_BR_IF, e->depth);
    }
    if (in_memory(i) && fn != IM_X87_STORE) {
        get_local(e, host);
        emit_mem_op(e, (enum wasm_op)loads[osz], 0, 0);
    } else {
        emit_i64(e, 0);
    }
    emit_i32(e, (int32_t)(byte << 8 | i->modrm));
    emit_call(e, fn);
    op(e, W_I32_EQZ);
    branch(e, W_BR_IF, e->depth);
    if (fn == IM_X87_STORE) {
        get_local(e, host);
        emit_load_fixed(e, W_I64_LOAD, jit_shared.scratch);
        emit_mem_op(e, osz == 3 ? W_I64_STORE : W_I64_STORE32, 0, 0);
    }
    emit_store_begin(e);
    emit_rip(e, e->n->off);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
    emit_store_end(e, W_I64_STORE, &c->fip);
    if (in_memory(i)) {
        emit_store_begin(e);
        get_local(e, ea);
        if (!e->m64)
            op(e, W_I64_EXTEND_I32_U);
        emit_store_end(e, W_I64_STORE, &c->fdp);
        emit_store_begin(e);
        if (i->seg < SEG_NONE)
            emit_load_fixed(e, W_I32_LOAD16_U, &c->seg[i->seg].sel);
        else
            emit_i32(e, 0);
        emit_store_end(e, W_I32_STORE16, &c->fds);
    }
    branch(e, W_BR, over);
    close_block(e);
    emit_handler(e);
    close_block(e);
}

static bool register_form(const struct insn *i)
{
    return !in_memory(i);
}
static bool memory_form(const struct insn *i)
{
    return in_memory(i);
}
/* D9 /4: FCHS, FABS of FTST, FXAM; /5: FLD1, FLDZ of the constants. */
static bool sign_change(const struct insn *i)
{
    return i->modrm == 0xe0 || i->modrm == 0xe1;
}
static bool simple_constant(const struct insn *i)
{
    return i->modrm == 0xe8 || i->modrm == 0xee;
}

#define X87(byte, reg, mem_fn, reg_fn, can)                                                        \
    EMIT_ROW(MAP_1B, byte, byte, reg, emit_x87_insn, (mem_fn) | (reg_fn) << 8, can)
#define BOTH(byte, reg, fn, can) X87(byte, reg, fn, fn, can)
#define ARITH(byte, can)                                                                           \
    BOTH(byte, 0, IM_X87_ADD, can), BOTH(byte, 1, IM_X87_MUL, can),                                \
        BOTH(byte, 4, IM_X87_ADD, can), BOTH(byte, 5, IM_X87_ADD, can),                            \
        BOTH(byte, 6, IM_X87_DIV, can), BOTH(byte, 7, IM_X87_DIV, can)

static const struct emit_row rows[] = {
    ARITH(0xd8, NULL),
    ARITH(0xda, memory_form),
    ARITH(0xdc, NULL),
    ARITH(0xde, NULL),
    X87(0xd9, 0, IM_X87_LOAD, IM_X87_MOVE, NULL),
    X87(0xd9, 1, 0, IM_X87_MOVE, register_form),
    X87(0xd9, 2, IM_X87_STORE, 0, memory_form),
    X87(0xd9, 3, IM_X87_STORE, 0, memory_form),
    X87(0xd9, 4, 0, IM_X87_MOVE, sign_change),
    X87(0xd9, 5, 0, IM_X87_MOVE, simple_constant),
    X87(0xdb, 0, IM_X87_LOAD, 0, memory_form),
    X87(0xdd, 0, IM_X87_LOAD, 0, memory_form),
    X87(0xdd, 2, IM_X87_STORE, IM_X87_MOVE, NULL),
    X87(0xdd, 3, IM_X87_STORE, IM_X87_MOVE, NULL),
    X87(0xdf, 0, IM_X87_LOAD, 0, memory_form),
    X87(0xdf, 5, IM_X87_LOAD, 0, memory_form),
};
const struct emit_table emit_x87 = { rows, sizeof rows / sizeof rows[0] };
