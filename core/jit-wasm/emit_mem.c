/*
 * Guest memory from translated code: the TLB look-up of mem.h, inline.
 *
 * The hit is a handful of instructions without a call. The miss (and device memory, watched pages,
 * accesses that cross a page) calls a slow path that gets the linear address and the point; if it
 * fails, jit_shared.fault is set and the region leaves. Accesses near one another share a look-up:
 * groups.c.
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
    groups_operand(e);
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
    groups_linear(e, la, seg);
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

/* Branches to the innermost label if the @bytes bytes at @la can't be accessed straight in memory;
 * otherwise leaves their host address on the stack. What must be aligned can't cross a page, and
 * its low bits, left in the address, differ from any tag if they aren't 0. */
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

/* An access while it is emitted: open() ... the load or store ... otherwise() ... the call of the
 * slow path ... done(). */
struct way {
    int la;
    unsigned bytes, seg;
    enum access a;
    int end;             /* label */
    struct group *group; /* NULL: it has its own look-up */
    uint32_t off;        /* in the group */
};

/* Opens the blocks of an access that leaves a value of @type; a host address is on the stack, to
 * which w.off has to be added. */
static struct way open_access(struct emit *e, enum wasm_type type, int la, unsigned bytes,
                              unsigned seg, enum access a)
{
    struct way w = { .la = la, .bytes = bytes, .seg = seg, .a = a };
    bool first;
    open_block(e, W_BLOCK, type);
    w.end = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    w.group =
        groups_join(e, la, bytes == ALIGNED_16 ? 0 : bytes, a == ACCESS_WRITE, &first, &w.off);
    if (!w.group) {
        look_up(e, la, bytes, a);
        return w;
    }
    if (first) {
        int low = la;
        if (w.off) {
            low = emit_tmp(e, e->m64 ? W_I64 : W_I32);
            get_local(e, la);
            add_const(e, -(int32_t)w.off);
            set_local(e, low);
        }
        look_up(e, low, (unsigned)(w.group->high - w.group->low),
                w.group->write ? ACCESS_WRITE : ACCESS_READ);
        tee_local(e, w.group->local);
    } else {
        get_local(e, w.group->local);
        op(e, W_I32_EQZ);
        unlikely_next(e);
        branch(e, W_BR_IF, e->depth);
        get_local(e, w.group->local);
    }
    return w;
}

/* The same, but w.off is added already. */
static struct way open_host(struct emit *e, enum wasm_type type, int la, unsigned bytes,
                            unsigned seg, enum access a)
{
    struct way w = open_access(e, type, la, bytes, seg, a);
    if (w.off) {
        emit_i32(e, (int32_t)w.off);
        op(e, W_I32_ADD);
    }
    return w;
}

/* The access is done: the slow path comes. Leaves the linear address on the stack. */
static void otherwise(struct emit *e, const struct way *w)
{
    branch(e, W_BR, w->end);
    close_block(e);
    before_slow(e);
    get_la64(e, w->la);
}

static const uint8_t load_ops[] = { W_I32_LOAD8_U, W_I32_LOAD16_U, W_I32_LOAD, W_I64_LOAD };
static const uint8_t store_ops[] = { W_I32_STORE8, W_I32_STORE16, W_I32_STORE, W_I64_STORE };

/* Calls slow path @fn with what is on the stack, the point and the info. */
static void call_slow(struct emit *e, const struct way *w, enum jit_helper fn)
{
    bool aligned = w->bytes == ALIGNED_16, write = w->a == ACCESS_WRITE;
    uint32_t info = JIT_INFO(aligned ? 16 : w->bytes, w->seg, write);
    if (aligned)
        info |= JIT_INFO_ALIGNED;
    if (w->group && groups_wanted(e, w->group))
        info |= JIT_INFO_GROUP(w->off, w->group->high - w->group->low, w->group->write);
    emit_i32(e, emit_point(e));
    emit_i32(e, (int32_t)info);
    emit_call(e, fn);
}

/* Behind the call: leaves if it failed (the i32 on the stack, if @failed), ends the access. */
static void done(struct emit *e, const struct way *w, bool failed)
{
    after_slow(e);
    if (failed) {
        unlikely_next(e);
        branch(e, W_BR_IF, e->leave);
    } else {
        check_fault(e);
    }
    groups_after_slow(e, w->group);
}

void emit_load(struct emit *e, int la, unsigned seg, unsigned osz)
{
    struct way w = open_access(e, value_type(osz), la, 1u << osz, seg, ACCESS_READ);
    emit_mem_op(e, load_ops[osz], 0, w.off);
    otherwise(e, &w);
    call_slow(e, &w, IM_READ);
    if (osz < 3)
        op(e, W_I32_WRAP_I64);
    done(e, &w, false);
    close_block(e);
}

void emit_store(struct emit *e, int la, unsigned seg, unsigned osz, int value)
{
    struct way w = open_access(e, W_VOID, la, 1u << osz, seg, ACCESS_WRITE);
    get_local(e, value);
    emit_mem_op(e, store_ops[osz], 0, w.off);
    otherwise(e, &w);
    get_local(e, value);
    if (osz < 3)
        op(e, W_I64_EXTEND_I32_U);
    call_slow(e, &w, IM_WRITE);
    done(e, &w, true);
    close_block(e);
}

static void simd_mem_op(struct emit *e, unsigned opcode, uint32_t align, uint32_t offset)
{
    emit_simd(e, opcode);
    wb_u32(&e->b, align);
    wb_u32(&e->b, offset);
}

enum { V128_LOAD = 0, V128_STORE = 11 };
#define SCRATCH ((uint32_t)(uintptr_t)jit_shared.scratch)

void emit_load128(struct emit *e, int la, unsigned seg, bool aligned)
{
    struct way w = open_access(e, W_V128, la, aligned ? ALIGNED_16 : 16, seg, ACCESS_READ);
    simd_mem_op(e, V128_LOAD, 0, w.off);
    otherwise(e, &w);
    call_slow(e, &w, IM_READ128);
    op(e, W_DROP);
    done(e, &w, false);
    emit_i32(e, 0);
    simd_mem_op(e, V128_LOAD, 4, SCRATCH);
    close_block(e);
}

void emit_load_low(struct emit *e, int la, unsigned seg, unsigned osz)
{
    struct way w = open_access(e, W_V128, la, 1u << osz, seg, ACCESS_READ);
    simd_mem_op(e, osz == 3 ? 93 : 92, 0, w.off); /* v128.load64_zero, v128.load32_zero */
    otherwise(e, &w);
    call_slow(e, &w, IM_READ);
    int value = emit_tmp(e, W_I64);
    set_local(e, value);
    done(e, &w, false);
    emit_simd(e, 12); /* v128.const */
    wb_bytes(&e->b, (const uint8_t[16]){ 0 }, 16);
    get_local(e, value);
    emit_simd(e, 30); /* i64x2.replace_lane */
    wb_u8(&e->b, 0);
    close_block(e);
}

void emit_store128(struct emit *e, int la, unsigned seg, int value, bool aligned)
{
    struct way w = open_access(e, W_VOID, la, aligned ? ALIGNED_16 : 16, seg, ACCESS_WRITE);
    get_local(e, value);
    simd_mem_op(e, V128_STORE, 0, w.off);
    otherwise(e, &w);
    emit_i32(e, 0);
    get_local(e, value);
    simd_mem_op(e, V128_STORE, 4, SCRATCH);
    call_slow(e, &w, IM_WRITE128);
    op(e, W_DROP);
    done(e, &w, false);
    close_block(e);
}

void emit_host(struct emit *e, int la, unsigned bytes, enum access a)
{
    struct way w = open_host(e, W_I32, la, bytes, SEG_NONE, a);
    branch(e, W_BR, w.end);
    close_block(e);
    emit_i32(e, 0);
    close_block(e);
}

void emit_rmw_load(struct emit *e, int la, unsigned seg, unsigned osz, int *host)
{
    *host = emit_tmp(e, W_I32);
    struct way w = open_host(e, value_type(osz), la, 1u << osz, seg, ACCESS_WRITE);
    tee_local(e, *host);
    emit_mem_op(e, load_ops[osz], 0, 0);
    otherwise(e, &w);
    call_slow(e, &w, IM_RMW_READ);
    if (osz < 3)
        op(e, W_I32_WRAP_I64);
    done(e, &w, false);
    emit_i32(e, 0);
    set_local(e, *host);
    close_block(e);
}

void emit_rmw_store(struct emit *e, int la, unsigned seg, unsigned osz, int host, int value)
{
    struct way w = { .la = la, .bytes = 1u << osz, .seg = seg, .a = ACCESS_WRITE };
    open_block(e, W_BLOCK, W_VOID);
    w.end = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    get_local(e, host);
    op(e, W_I32_EQZ);
    unlikely_next(e);
    branch(e, W_BR_IF, e->depth);
    get_local(e, host);
    get_local(e, value);
    emit_mem_op(e, store_ops[osz], 0, 0);
    otherwise(e, &w);
    get_local(e, value);
    if (osz < 3)
        op(e, W_I64_EXTEND_I32_U);
    call_slow(e, &w, IM_WRITE);
    done(e, &w, true);
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

void emit_push(struct emit *e, unsigned osz, int value)
{
    emit_push_low(e, osz, osz, value);
}

void emit_push_low(struct emit *e, unsigned osz, unsigned size, int value)
{
    groups_stack_operand(e, RSP, -(1 << osz));
    emit_get_full(e, RSP);
    add_const(e, -(1 << osz));
    mask_sp(e);
    emit_store(e, emit_linear(e, SEG_SS, 1u << size, ACCESS_WRITE), SEG_SS, size, value);
    emit_sp_add(e, -(1 << osz));
}

void emit_stack_peek(struct emit *e, unsigned reg, unsigned osz)
{
    groups_stack_operand(e, reg, 0);
    emit_get_full(e, reg);
    mask_sp(e);
    emit_load(e, emit_linear(e, SEG_SS, 1u << osz, ACCESS_READ), SEG_SS, osz);
}

void emit_sp_from(struct emit *e, unsigned reg, int32_t bytes)
{
    struct known known = e->groups->now.reg[reg];
    emit_get_full(e, reg);
    add_const(e, bytes);
    set_sp(e);
    groups_stack(e, known, bytes);
}

void emit_sp_add(struct emit *e, int32_t bytes)
{
    emit_sp_from(e, RSP, bytes);
}
