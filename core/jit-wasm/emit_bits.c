/*
 * Bit tests, bit scans, byte order, exchanges.
 *
 * LOCK needs nothing: one CPU runs at a time, and a region isn't interrupted within an instruction.
 */
#include "jit-wasm/emit.h"

/* ---- bit tests: CF is the bit, OF 0, the other flags stay ---- */

enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
enum { BY_IMMEDIATE = 16 };

/* The address of the operand-sized word that the bit is in, which an offset in a register may put
 * anywhere. */
static int bit_address(struct emit *e, const struct insn *i, bool immediate, enum access a)
{
    static const uint8_t extend[] = { 0, W_I32_EXTEND16_S, 0, 0 };
    unsigned osz = i->osz;
    emit_ea(e);
    if (!immediate) {
        emit_get(e, osz, i->r);
        if (extend[osz])
            op(e, (enum wasm_op)extend[osz]);
        emit_const(e, osz == 3 ? 3 : 2, 3 + osz);
        op(e, by_size(osz, W_I32_SHR_S, W_I64_SHR_S));
        emit_const(e, osz == 3 ? 3 : 2, osz);
        op(e, by_size(osz, W_I32_SHL, W_I64_SHL));
        if (e->m64 && osz != 3)
            op(e, W_I64_EXTEND_I32_S);
        op(e, e->m64 ? W_I64_ADD : W_I32_ADD);
        emit_cut_ea(e);
        groups_unknown(e);
    }
    return emit_linear(e, i->seg, 1u << osz, a);
}

static void emit_bit(struct emit *e, const struct insn *i)
{
    uint32_t arg = emit_row_of(i)->arg;
    enum bit_op what = (enum bit_op)(arg & 15);
    bool immediate = arg & BY_IMMEDIATE;
    unsigned osz = i->osz, bits = 8u << osz;
    enum wasm_op shl = by_size(osz, W_I32_SHL, W_I64_SHL);
    int host = NO_LOCAL, la = NO_LOCAL;
    if (in_memory(i)) {
        la = bit_address(e, i, immediate, what == BIT_TEST ? ACCESS_READ : ACCESS_WRITE);
        if (what == BIT_TEST)
            emit_load(e, la, i->seg, osz);
        else
            emit_rmw_load(e, la, i->seg, osz, &host);
    } else {
        emit_get(e, osz, i->rm);
    }
    int v = int_tmp(e, osz);
    if (immediate) {
        emit_const(e, osz, i->imm & (int)(bits - 1));
    } else {
        emit_get(e, osz, i->r);
        emit_const(e, osz, bits - 1);
        op(e, by_size(osz, W_I32_AND, W_I64_AND));
    }
    int n = int_tmp(e, osz);
    if (what != BIT_TEST) {
        get_local(e, v);
        emit_const(e, osz, 1);
        get_local(e, n);
        op(e, shl);
        if (what == BIT_RESET) {
            emit_const(e, osz == 3 ? 3 : 2, -1);
            op(e, by_size(osz, W_I32_XOR, W_I64_XOR));
        }
        op(e, what == BIT_SET     ? by_size(osz, W_I32_OR, W_I64_OR)
              : what == BIT_RESET ? by_size(osz, W_I32_AND, W_I64_AND)
                                  : by_size(osz, W_I32_XOR, W_I64_XOR));
        if (in_memory(i))
            emit_rmw_store(e, la, i->seg, osz, host, int_tmp(e, osz));
        else
            emit_set(e, osz, i->rm);
    }
    if (!flags_wanted(e))
        return;
    get_local(e, v);
    get_local(e, n);
    op(e, by_size(osz, W_I32_SHR_U, W_I64_SHR_U));
    if (osz != 3)
        op(e, W_I64_EXTEND_I32_U);
    emit_i64(e, 63); /* bit 63 is CF, bit 62 CF ^ OF */
    op(e, W_I64_SHL);
    emit_i64(e, 1);
    op(e, W_I64_SHR_S);
    set_local(e, e->fc);
    flags_set_co(e);
}

/* ---- bit scans ---- */

/* BSF, BSR: a source of 0 leaves the whole destination alone. Flags are those of the source.
 * arg 1: BSR */
static void emit_bit_scan(struct emit *e, const struct insn *i)
{
    bool reverse = emit_row_of(i)->arg;
    unsigned osz = i->osz;
    emit_get_rm(e, osz);
    int v = int_tmp(e, osz);
    get_local(e, v);
    op(e, reverse ? by_size(osz, W_I32_CLZ, W_I64_CLZ) : by_size(osz, W_I32_CTZ, W_I64_CTZ));
    if (reverse) {
        emit_const(e, osz, osz == 3 ? 63 : 31);
        op(e, by_size(osz, W_I32_XOR, W_I64_XOR));
    }
    if (osz == 1) { /* 16 bits of the destination change */
        emit_get(e, 1, i->r);
    } else {
        if (e->m64 && osz == 2)
            op(e, W_I64_EXTEND_I32_U);
        emit_get_full(e, i->r);
    }
    get_local(e, v);
    if (osz == 3) {
        emit_i64(e, 0);
        op(e, W_I64_NE);
    }
    op(e, W_SELECT);
    if (osz == 1)
        emit_set(e, 1, i->r);
    else
        emit_set_full(e, i->r);
    if (!flags_wanted(e))
        return;
    get_local(e, v);
    set_local(e, flags_raw(e, osz, 2));
    flags_set(e, FK_LOGIC, osz);
}

/* POPCNT: ZF, all other flags 0. */
static void emit_popcnt(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    emit_get_rm(e, osz);
    op(e, by_size(osz, W_I32_POPCNT, W_I64_POPCNT));
    int v = int_tmp(e, osz);
    get_local(e, v);
    emit_set(e, osz, i->r);
    if (!flags_wanted(e))
        return;
    get_local(e, v);
    if (osz != 3)
        op(e, W_I64_EXTEND_I32_U);
    set_local(e, e->fz);
    emit_i64(e, 1); /* SF and PF are 0 */
    set_local(e, e->fs);
    emit_i64(e, 0);
    tee_local(e, e->fc);
    set_local(e, e->fx);
    e->kind = FK_CANON;
}

/* ---- byte order ---- */

/* Swaps the bytes of the value on the stack. */
static void swap_bytes(struct emit *e, unsigned osz)
{
    static const struct {
        int64_t mask;
        int shift;
    } steps[] = { { 0x00ff00ff00ff00ff, 8 }, { 0x0000ffff0000ffff, 16 }, { 0xffffffff, 32 } };
    int v = int_tmp(e, osz);
    for (unsigned k = 0; k < osz; k++) {
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
}

static void emit_bswap(struct emit *e, const struct insn *i)
{
    emit_get(e, i->osz, i->rm);
    swap_bytes(e, i->osz);
    emit_set(e, i->osz, i->rm);
}
static bool can_bswap(const struct insn *i)
{
    return i->osz >= 2;
}

/* arg 1: store */
static void emit_movbe(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    if (!emit_row_of(i)->arg) {
        emit_get_rm(e, osz);
        swap_bytes(e, osz);
        emit_set(e, osz, i->r);
        return;
    }
    int la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
    emit_get(e, osz, i->r);
    swap_bytes(e, osz);
    emit_store(e, la, i->seg, osz, int_tmp(e, osz));
}

/* ---- exchanges ---- */

static void emit_xchg(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    if (in_memory(i)) {
        int host, la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
        emit_rmw_load(e, la, i->seg, osz, &host);
        int old = int_tmp(e, osz);
        emit_get(e, osz, i->r);
        emit_rmw_store(e, la, i->seg, osz, host, int_tmp(e, osz));
        get_local(e, old);
        emit_set(e, osz, i->r);
        return;
    }
    emit_get(e, osz, i->rm);
    int old = int_tmp(e, osz);
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
    int old = int_tmp(e, i->osz);
    emit_get(e, i->osz, RAX);
    emit_set(e, i->osz, i->rm);
    get_local(e, old);
    emit_set(e, i->osz, RAX);
}

static void emit_cmpxchg(struct emit *e, const struct insn *i)
{
    unsigned osz = i->osz;
    int host, la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
    emit_rmw_load(e, la, i->seg, osz, &host);
    int dest = int_tmp(e, osz);
    emit_get(e, osz, osz ? RAX : 0);
    int acc = int_tmp(e, osz);
    emit_get(e, osz, i->r);
    get_local(e, dest);
    get_local(e, acc);
    get_local(e, dest);
    op(e, by_size(osz, W_I32_EQ, W_I64_EQ));
    op(e, W_SELECT);
    emit_rmw_store(e, la, i->seg, osz, host, int_tmp(e, osz));
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
    int host, la = memory_operand(e, i, 1u << osz, ACCESS_WRITE);
    emit_rmw_load(e, la, i->seg, osz, &host);
    int dest = int_tmp(e, osz);
    emit_get(e, osz, i->r);
    int src = int_tmp(e, osz);
    get_local(e, dest);
    get_local(e, src);
    op(e, by_size(osz, W_I32_ADD, W_I64_ADD));
    emit_rmw_store(e, la, i->seg, osz, host, int_tmp(e, osz));
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
/* Two 32-bit registers as one i64. */
static void get_pair(struct emit *e, unsigned low, unsigned high)
{
    emit_get(e, 2, high);
    op(e, W_I64_EXTEND_I32_U);
    emit_i64(e, 32);
    op(e, W_I64_SHL);
    emit_get(e, 2, low);
    op(e, W_I64_EXTEND_I32_U);
    op(e, W_I64_OR);
}

/* The end of CMPXCHG8B and 16B: ZF from the i64 local, 0 if equal. */
static void set_zero_flag(struct emit *e, int difference)
{
    if (!flags_wanted(e))
        return;
    flags_canonical(e);
    get_local(e, difference);
    set_local(e, e->fz);
}

static void emit_cmpxchg8b(struct emit *e, const struct insn *i)
{
    int host, la = memory_operand(e, i, 8, ACCESS_WRITE), difference = emit_tmp(e, W_I64);
    emit_rmw_load(e, la, i->seg, 3, &host);
    int old = int_tmp(e, 3);
    get_pair(e, RBX, RCX);
    get_local(e, old);
    get_local(e, old);
    get_pair(e, RAX, RDX);
    op(e, W_I64_XOR);
    tee_local(e, difference);
    op(e, W_I64_EQZ);
    op(e, W_SELECT);
    emit_rmw_store(e, la, i->seg, 3, host, int_tmp(e, 3));
    get_local(e, difference);
    op(e, W_I64_EQZ);
    op(e, W_I32_EQZ);
    open_block(e, W_IF, W_VOID);
    get_local(e, old);
    op(e, W_I32_WRAP_I64);
    emit_set(e, 2, RAX);
    get_local(e, old);
    emit_i64(e, 32);
    op(e, W_I64_SHR_U);
    op(e, W_I32_WRAP_I64);
    emit_set(e, 2, RDX);
    close_block(e);
    set_zero_flag(e, difference);
}

/* Only where the operand is ordinary memory, and aligned: then it doesn't cross a page either. */
static void emit_cmpxchg16b(struct emit *e, const struct insn *i)
{
    static const uint8_t expected[2] = { RAX, RDX }, fresh[2] = { RBX, RCX };
    int host, old[2], difference = emit_tmp(e, W_I64);
    emit_ea(e);
    int la = emit_linear(e, i->seg, 16, ACCESS_WRITE);
    get_local(e, la);
    op(e, W_I32_WRAP_I64);
    emit_i32(e, 15);
    op(e, W_I32_AND);
    emit_leave_if(e, LEAVE_INTERP);
    emit_rmw_load(e, la, i->seg, 3, &host);
    old[0] = int_tmp(e, 3);
    get_local(e, host);
    op(e, W_I32_EQZ);
    emit_leave_if(e, LEAVE_INTERP);
    get_local(e, host);
    emit_mem_op(e, W_I64_LOAD, 0, 8);
    old[1] = int_tmp(e, 3);
    for (unsigned k = 0; k < 2; k++) {
        get_local(e, old[k]);
        emit_get(e, 3, expected[k]);
        op(e, W_I64_XOR);
    }
    op(e, W_I64_OR);
    tee_local(e, difference);
    op(e, W_I64_EQZ);
    open_block(e, W_IF, W_VOID);
    for (unsigned k = 0; k < 2; k++) {
        get_local(e, host);
        emit_get(e, 3, fresh[k]);
        emit_mem_op(e, W_I64_STORE, 0, 8 * k);
    }
    op(e, W_ELSE);
    for (unsigned k = 0; k < 2; k++) {
        get_local(e, old[k]);
        emit_set(e, 3, expected[k]);
    }
    close_block(e);
    set_zero_flag(e, difference);
}

static void emit_cmpxchg_pair(struct emit *e, const struct insn *i)
{
    if (i->osz == 3)
        emit_cmpxchg16b(e, i);
    else
        emit_cmpxchg8b(e, i);
}

static bool memory_only(const struct insn *i)
{
    return in_memory(i);
}

/* ---- rows ---- */

#define BIT(by, rg, what)                                                                          \
    EMIT_ROW(MAP_0F, by, by, R_ANY, emit_bit, what, NULL),                                         \
        EMIT_ROW(MAP_0F, 0xba, 0xba, rg, emit_bit, (what) | BY_IMMEDIATE, NULL)
#define PREFIX_ROW(map, by, prefix, fn, arg)                                                       \
    {                                                                                              \
        map, by, by, prefix, R_ANY, fn, arg, NULL                                                  \
    }

static const struct emit_row rows[] = {
    EMIT_ROW(MAP_1B, 0x86, 0x87, R_ANY, emit_xchg, 0, NULL),
    EMIT_ROW(MAP_1B, 0x90, 0x97, R_ANY, emit_xchg_za, 0, NULL),
    BIT(0xa3, 4, BIT_TEST),
    BIT(0xab, 5, BIT_SET),
    BIT(0xb3, 6, BIT_RESET),
    BIT(0xbb, 7, BIT_COMPLEMENT),
    EMIT_ROW(MAP_0F, 0xb0, 0xb1, R_ANY, emit_cmpxchg, 0, memory_only),
    PREFIX_ROW(MAP_0F, 0xb8, PFX_F3, emit_popcnt, 0),
    EMIT_ROW(MAP_0F, 0xbc, 0xbc, R_ANY, emit_bit_scan, 0, NULL),
    EMIT_ROW(MAP_0F, 0xbd, 0xbd, R_ANY, emit_bit_scan, 1, NULL),
    EMIT_ROW(MAP_0F, 0xc0, 0xc1, R_ANY, emit_xadd, 0, memory_only),
    EMIT_ROW(MAP_0F, 0xc7, 0xc7, 1, emit_cmpxchg_pair, 0, NULL),
    EMIT_ROW(MAP_0F, 0xc8, 0xcf, R_ANY, emit_bswap, 0, can_bswap),
    PREFIX_ROW(MAP_0F38, 0xf0, PFX_NP, emit_movbe, 0),
    PREFIX_ROW(MAP_0F38, 0xf0, PFX_66, emit_movbe, 0),
    PREFIX_ROW(MAP_0F38, 0xf1, PFX_NP, emit_movbe, 1),
    PREFIX_ROW(MAP_0F38, 0xf1, PFX_66, emit_movbe, 1),
};
const struct emit_table emit_bits = { rows, sizeof rows / sizeof rows[0] };
