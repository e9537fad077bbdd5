/*
 * Guest memory from translated code: the TLB look-up of mem.h, inline.
 *
 * The hit is a handful of instructions without a call. The miss (and device memory, watched pages,
 * accesses that cross a page) calls a slow path that gets the linear address and the point; if it
 * fails, jit_shared.fault is set and the region leaves.
 */
#include "jit-wasm/emit.h"

#include <stddef.h>

/* ---- addresses ---- */

static void shift_left(struct emit *e, bool wide, unsigned n)
{
    if (!n)
        return;
    if (wide) {
        emit_i64(e, n);
        op(e, W_I64_SHL);
    } else {
        emit_i32(e, (int32_t)n);
        op(e, W_I32_SHL);
    }
}

/* Adds the value on top to the one below, if there is one below. */
static bool add_term(struct emit *e, bool first)
{
    if (!first)
        op(e, e->m64 ? W_I64_ADD : W_I32_ADD);
    return false;
}

void emit_ea(struct emit *e)
{
    const struct insn *i = &e->n->i;
    bool first = true;
    int64_t disp = i->disp;
    if (i->index == REG_4G) {
        disp += 1ll << 32 << i->scale;
    } else if (i->index != REG_ZERO) {
        emit_get_full(e, i->index);
        shift_left(e, e->m64, i->scale);
        first = add_term(e, first);
    }
    if (i->base == REG_IP) {
        get_local(e, e->ip);
        disp += e->n->off;
        first = add_term(e, first);
    } else if (i->base == REG_4G) {
        disp += 1ll << 32;
    } else if (i->base != REG_ZERO) {
        emit_get_full(e, i->base);
        first = add_term(e, first);
    }
    if (disp || first) {
        if (e->m64)
            emit_i64(e, disp);
        else
            emit_i32(e, (int32_t)disp);
        add_term(e, first);
    }
    emit_cut_ea(e);
}

void emit_cut_ea(struct emit *e)
{
    const struct insn *i = &e->n->i;
    if (e->m64 && i->ash == 32) {
        op(e, W_I32_WRAP_I64);
        op(e, W_I64_EXTEND_I32_U);
    } else if (i->ash == 48) {
        emit_i32(e, 0xffff);
        op(e, W_I32_AND);
    }
}

static bool seg_is_flat(const struct emit *e, unsigned seg)
{
    if (seg == SEG_NONE)
        return true;
    if (e->m64)
        return seg != SEG_FS && seg != SEG_GS;
    return e->flat && seg != SEG_CS && seg != SEG_FS && seg != SEG_GS; /* CS: no writes */
}

static void check_fault(struct emit *e)
{
    emit_load_fixed(e, W_I32_LOAD, &jit_shared.fault);
    unlikely_next(e);
    branch(e, W_BR_IF, e->leave);
}

/* Slow paths may read the clock and end the slice. */
static void before_slow(struct emit *e)
{
    emit_store_begin(e);
    get_local(e, e->budget);
    emit_store_end(e, W_I32_STORE, &e->c->budget);
}
static void after_slow(struct emit *e)
{
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);
}

static void get_la64(struct emit *e, int la)
{
    get_local(e, la);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
}

int emit_linear(struct emit *e, unsigned seg, unsigned bytes, enum access a)
{
    int la = emit_tmp(e, e->m64 ? W_I64 : W_I32);
    if (seg_is_flat(e, seg)) {
        set_local(e, la);
        return la;
    }
    if (e->m64) {
        emit_load_fixed(e, W_I64_LOAD, &e->c->seg_base[seg]);
        op(e, W_I64_ADD);
        set_local(e, la);
        return la;
    }
    set_local(e, la);
    emit_load_fixed(e, W_I32_LOAD8_U, &e->c->seg_check[seg]);
    emit_i32(e, a == ACCESS_WRITE ? SEG_CHECK_WRITE : SEG_CHECK_READ);
    op(e, W_I32_AND);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    get_la64(e, la);
    emit_i32(e, emit_point(e));
    emit_i32(e, (int32_t)JIT_INFO(bytes, seg, a == ACCESS_WRITE));
    emit_call(e, IM_SEG_CHECK);
    op(e, W_I32_WRAP_I64);
    set_local(e, la);
    check_fault(e);
    op(e, W_ELSE);
    get_local(e, la);
    emit_load_fixed(e, W_I32_LOAD, &e->c->seg_base[seg]);
    op(e, W_I32_ADD);
    set_local(e, la);
    close_block(e);
    return la;
}

/* ---- the TLB ---- */

static uint32_t tlb_address(const struct emit *e, enum access a)
{
    const struct cpu *c = e->c;
    return (uint32_t)(uintptr_t)c->tlbs[c->mmu_index][a].e;
}

/* As a number of bytes: 16, at a multiple of 16. */
enum { ALIGNED_16 = 1 << 8 };

/* Branches to the innermost label if the access can't go straight to memory; otherwise leaves the
 * host address on the stack. What must be aligned can't cross a page, and its low bits, left in
 * the address, differ from any tag if they aren't 0. */
static void look_up(struct emit *e, int la, unsigned bytes, enum access a)
{
    int keep = bytes == ALIGNED_16 ? -4096 | 15 : -4096;
    if (bytes == ALIGNED_16)
        bytes = 1;
    int at = emit_tmp(e, W_I32);
    uint32_t tlb = tlb_address(e, a);
    get_local(e, la);
    if (e->m64)
        op(e, W_I32_WRAP_I64);
    emit_i32(e, 8); /* page number times sizeof(struct tlb_entry) */
    op(e, W_I32_SHR_U);
    emit_i32(e, (TLB_SIZE - 1) << 4);
    op(e, W_I32_AND);
    tee_local(e, at);
    if (e->m64 || e->tag64) {
        emit_mem_op(e, W_I64_LOAD, 3, tlb + offsetof(struct tlb_entry, tag));
        get_local(e, la);
        if (!e->m64) { /* compatibility mode: the sum wraps at 4 GB, as the address does */
            if (bytes > 1) {
                emit_i32(e, (int32_t)bytes - 1);
                op(e, W_I32_ADD);
            }
            emit_i32(e, keep);
            op(e, W_I32_AND);
            op(e, W_I64_EXTEND_I32_U);
        } else {
            if (bytes > 1) {
                emit_i64(e, bytes - 1);
                op(e, W_I64_ADD);
            }
            emit_i64(e, keep);
            op(e, W_I64_AND);
        }
        op(e, W_I64_NE);
    } else {
        emit_mem_op(e, W_I32_LOAD, 2, tlb + offsetof(struct tlb_entry, tag));
        get_local(e, la);
        if (bytes > 1) {
            emit_i32(e, (int32_t)bytes - 1);
            op(e, W_I32_ADD);
        }
        emit_i32(e, keep);
        op(e, W_I32_AND);
        op(e, W_I32_NE);
    }
    unlikely_next(e);
    branch(e, W_BR_IF, e->depth);
    get_local(e, at);
    emit_mem_op(e, W_I32_LOAD, 2, tlb + offsetof(struct tlb_entry, addend));
    get_local(e, la);
    if (e->m64)
        op(e, W_I32_WRAP_I64);
    op(e, W_I32_ADD);
}

static const uint8_t load_ops[] = { W_I32_LOAD8_U, W_I32_LOAD16_U, W_I32_LOAD, W_I64_LOAD };
static const uint8_t store_ops[] = { W_I32_STORE8, W_I32_STORE16, W_I32_STORE, W_I64_STORE };

/* Calls slow path @fn with la, the point and the info. */
static void call_slow(struct emit *e, enum jit_helper fn, unsigned bytes, unsigned seg,
                      enum access a)
{
    emit_i32(e, emit_point(e));
    emit_i32(e,
             (int32_t)(bytes == ALIGNED_16 ? JIT_INFO(16, seg, a == ACCESS_WRITE) | JIT_INFO_ALIGNED
                                           : JIT_INFO(bytes, seg, a == ACCESS_WRITE)));
    emit_call(e, fn);
}

void emit_load(struct emit *e, int la, unsigned seg, unsigned osz)
{
    open_block(e, W_BLOCK, value_type(osz));
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, 1u << osz, ACCESS_READ);
    emit_mem_op(e, load_ops[osz], 0, 0);
    branch(e, W_BR, done);
    close_block(e);
    before_slow(e);
    get_la64(e, la);
    call_slow(e, IM_READ, 1u << osz, seg, ACCESS_READ);
    if (osz < 3)
        op(e, W_I32_WRAP_I64);
    after_slow(e);
    check_fault(e);
    close_block(e);
}

void emit_store(struct emit *e, int la, unsigned seg, unsigned osz, int value)
{
    open_block(e, W_BLOCK, W_VOID);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, 1u << osz, ACCESS_WRITE);
    get_local(e, value);
    emit_mem_op(e, store_ops[osz], 0, 0);
    branch(e, W_BR, done);
    close_block(e);
    before_slow(e);
    get_la64(e, la);
    get_local(e, value);
    if (osz < 3)
        op(e, W_I64_EXTEND_I32_U);
    call_slow(e, IM_WRITE, 1u << osz, seg, ACCESS_WRITE);
    after_slow(e);
    unlikely_next(e);
    branch(e, W_BR_IF, e->leave);
    close_block(e);
}

void emit_load128(struct emit *e, int la, unsigned seg, bool aligned)
{
    open_block(e, W_BLOCK, W_V128);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, aligned ? ALIGNED_16 : 16, ACCESS_READ);
    emit_simd(e, 0); /* v128.load */
    wb_u32(&e->b, 0);
    wb_u32(&e->b, 0);
    branch(e, W_BR, done);
    close_block(e);
    before_slow(e);
    get_la64(e, la);
    call_slow(e, IM_READ128, aligned ? ALIGNED_16 : 16, seg, ACCESS_READ);
    op(e, W_DROP);
    after_slow(e);
    check_fault(e);
    emit_i32(e, 0);
    emit_simd(e, 0);
    wb_u32(&e->b, 4);
    wb_u32(&e->b, (uint32_t)(uintptr_t)jit_shared.scratch);
    close_block(e);
}

void emit_load_low(struct emit *e, int la, unsigned seg, unsigned osz)
{
    open_block(e, W_BLOCK, W_V128);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, 1u << osz, ACCESS_READ);
    emit_simd(e, osz == 3 ? 93 : 92); /* v128.load64_zero, v128.load32_zero */
    wb_u32(&e->b, 0);
    wb_u32(&e->b, 0);
    branch(e, W_BR, done);
    close_block(e);
    before_slow(e);
    get_la64(e, la);
    call_slow(e, IM_READ, 1u << osz, seg, ACCESS_READ);
    int value = emit_tmp(e, W_I64);
    set_local(e, value);
    after_slow(e);
    check_fault(e);
    emit_simd(e, 12); /* v128.const */
    wb_bytes(&e->b, (const uint8_t[16]){ 0 }, 16);
    get_local(e, value);
    emit_simd(e, 30); /* i64x2.replace_lane */
    wb_u8(&e->b, 0);
    close_block(e);
}

void emit_store128(struct emit *e, int la, unsigned seg, int value, bool aligned)
{
    open_block(e, W_BLOCK, W_VOID);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, aligned ? ALIGNED_16 : 16, ACCESS_WRITE);
    get_local(e, value);
    emit_simd(e, 11); /* v128.store */
    wb_u32(&e->b, 0);
    wb_u32(&e->b, 0);
    branch(e, W_BR, done);
    close_block(e);
    emit_i32(e, 0);
    get_local(e, value);
    emit_simd(e, 11);
    wb_u32(&e->b, 4);
    wb_u32(&e->b, (uint32_t)(uintptr_t)jit_shared.scratch);
    before_slow(e);
    get_la64(e, la);
    call_slow(e, IM_WRITE128, aligned ? ALIGNED_16 : 16, seg, ACCESS_WRITE);
    op(e, W_DROP);
    after_slow(e);
    check_fault(e);
    close_block(e);
}

void emit_host(struct emit *e, int la, unsigned bytes, enum access a)
{
    open_block(e, W_BLOCK, W_I32);
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, bytes, a);
    branch(e, W_BR, done);
    close_block(e);
    emit_i32(e, 0);
    close_block(e);
}

void emit_rmw_load(struct emit *e, int la, unsigned seg, unsigned osz, int *host)
{
    *host = emit_tmp(e, W_I32);
    open_block(e, W_BLOCK, value_type(osz));
    int done = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    look_up(e, la, 1u << osz, ACCESS_WRITE);
    tee_local(e, *host);
    emit_mem_op(e, load_ops[osz], 0, 0);
    branch(e, W_BR, done);
    close_block(e);
    emit_i32(e, 0);
    set_local(e, *host);
    before_slow(e);
    get_la64(e, la);
    call_slow(e, IM_RMW_READ, 1u << osz, seg, ACCESS_WRITE);
    if (osz < 3)
        op(e, W_I32_WRAP_I64);
    after_slow(e);
    check_fault(e);
    close_block(e);
}

void emit_rmw_store(struct emit *e, int la, unsigned seg, unsigned osz, int host, int value)
{
    get_local(e, host);
    likely_next(e);
    open_block(e, W_IF, W_VOID);
    get_local(e, host);
    get_local(e, value);
    emit_mem_op(e, store_ops[osz], 0, 0);
    op(e, W_ELSE);
    before_slow(e);
    get_la64(e, la);
    get_local(e, value);
    if (osz < 3)
        op(e, W_I64_EXTEND_I32_U);
    call_slow(e, IM_WRITE, 1u << osz, seg, ACCESS_WRITE);
    after_slow(e);
    unlikely_next(e);
    branch(e, W_BR_IF, e->leave);
    close_block(e);
}

void emit_get_rm(struct emit *e, unsigned osz)
{
    const struct insn *i = &e->n->i;
    if (!(i->flags & INSN_MEM)) {
        emit_get(e, osz, i->rm);
        return;
    }
    emit_ea(e);
    emit_load(e, emit_linear(e, i->seg, 1u << osz, ACCESS_READ), i->seg, osz);
}

/* ---- the stack ---- */

/* Cuts the value on the stack to the size of the stack pointer. */
static void mask_sp(struct emit *e)
{
    if (e->m64 || e->flat)
        return;
    emit_load_fixed(e, W_I32_LOAD, &e->c->sp_mask);
    op(e, W_I32_AND);
}

/* A new stack pointer from wasm's stack: only SP changes in a 16-bit stack. */
static void set_sp(struct emit *e)
{
    if (!e->m64 && !e->flat) {
        mask_sp(e);
        emit_get_full(e, RSP);
        emit_load_fixed(e, W_I32_LOAD, &e->c->sp_mask);
        emit_i32(e, -1);
        op(e, W_I32_XOR);
        op(e, W_I32_AND);
        op(e, W_I32_OR);
    }
    emit_set_full(e, RSP);
}

static void add_const(struct emit *e, int32_t v)
{
    if (e->m64) {
        emit_i64(e, v);
        op(e, W_I64_ADD);
    } else {
        emit_i32(e, v);
        op(e, W_I32_ADD);
    }
}

void emit_push(struct emit *e, unsigned osz, int value)
{
    emit_get_full(e, RSP);
    add_const(e, -(1 << osz));
    mask_sp(e);
    emit_store(e, emit_linear(e, SEG_SS, 1u << osz, ACCESS_WRITE), SEG_SS, osz, value);
    emit_sp_add(e, -(1 << osz));
}

void emit_stack_peek(struct emit *e, unsigned reg, unsigned osz)
{
    emit_get_full(e, reg);
    mask_sp(e);
    emit_load(e, emit_linear(e, SEG_SS, 1u << osz, ACCESS_READ), SEG_SS, osz);
}

void emit_sp_from(struct emit *e, unsigned reg, int32_t bytes)
{
    emit_get_full(e, reg);
    add_const(e, bytes);
    set_sp(e);
}

void emit_sp_add(struct emit *e, int32_t bytes)
{
    emit_sp_from(e, RSP, bytes);
}
