/*
 * Control transfers: how a block ends.
 *
 * Direct jumps become edges of the region or exits. `ret` is for the region that called this one;
 * calls look their target up in the jump cache. emit_frame.c has how. So do indirect jumps, unless
 * the region has code that such a jump went to before: then it looks first whether it goes there
 * again.
 */
#include <string.h>

#include "jit-wasm/cache.h"
#include "jit-wasm/emit.h"

/* Goes to succ[0] if the i32 on the stack isn't 0, to succ[1] otherwise. */
static void conditional(struct emit *e, int fall)
{
    const struct rblock *b = e->blk;
    int kind = e->kind;
    if (b->succ[0] == OUTSIDE)
        unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    emit_goto(e, b->succ[0], b->succ_off[0], OUTSIDE);
    close_block(e);
    e->kind = kind;
    emit_goto(e, b->succ[1], b->succ_off[1], fall);
}

/* The same the other way round, where succ[0] follows anyway. */
static void conditional_inverted(struct emit *e, int fall)
{
    const struct rblock *b = e->blk;
    int kind = e->kind;
    op(e, W_I32_EQZ);
    if (b->succ[1] == OUTSIDE)
        unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    emit_goto(e, b->succ[1], b->succ_off[1], OUTSIDE);
    close_block(e);
    e->kind = kind;
    emit_goto(e, b->succ[0], b->succ_off[0], fall);
}

/* LOOP, LOOPE, LOOPNE, JCXZ: the condition; RCX counts down first. */
static void loop_condition(struct emit *e, const struct insn *i)
{
    unsigned byte = insn_opcode(i)->byte;
    unsigned osz = i->ash == 48 ? 1 : i->ash == 32 ? 2 : 3;
    if (byte != 0xe3) {
        emit_get(e, osz, RCX);
        emit_const(e, osz, -1);
        op(e, osz == 3 ? W_I64_ADD : W_I32_ADD);
        emit_set(e, osz, RCX);
    }
    emit_get(e, osz, RCX);
    if (osz == 3)
        op(e, W_I64_EQZ);
    else
        op(e, W_I32_EQZ);
    if (byte == 0xe3)
        return;
    op(e, W_I32_EQZ);
    if (byte == 0xe2)
        return;
    flags_cond_value(e, byte == 0xe1 ? 4 : 5);
    op(e, W_I32_AND);
}

static void emit_cond(struct emit *e, int fall)
{
    const struct insn *i = &e->n->i;
    const struct opcode *o = insn_opcode(i);
    if (o->map == MAP_1B && o->byte >= 0xe0)
        loop_condition(e, i);
    else
        flags_cond_value(e, o->byte & 15);
    if (e->blk->succ[0] >= 0 && e->blk->succ[0] == fall)
        conditional_inverted(e, fall);
    else
        conditional(e, fall);
}

static void push_return(struct emit *e)
{
    unsigned osz = e->n->i.osz;
    emit_rip(e, e->n->off + e->n->i.len);
    if (osz == 1) {
        emit_i32(e, 0xffff);
        op(e, W_I32_AND);
    }
    int v = emit_tmp(e, value_type(osz));
    set_local(e, v);
    emit_push(e, osz, v);
}

static void emit_call_direct(struct emit *e, int fall)
{
    push_return(e);
    emit_rip(e, e->blk->succ_off[0]);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
    emit_exit_call(e, fall);
}

/* A target that isn't canonical or beyond the limit of CS faults at this instruction: that is left
 * to the interpreter. @target: full-size local. */
static void check_target(struct emit *e, int target)
{
    if (e->m64) {
        get_local(e, target);
        emit_i64(e, 16);
        op(e, W_I64_SHL);
        emit_i64(e, 16);
        op(e, W_I64_SHR_S);
        get_local(e, target);
        op(e, W_I64_NE);
    } else if (!e->flat) {
        get_local(e, target);
        emit_load_fixed(e, W_I32_LOAD, &e->c->cs_limit);
        op(e, W_I32_GT_U);
    } else {
        return;
    }
    emit_leave_if(e, LEAVE_INTERP);
}

/* The target as emit_exit*() take it. */
static void get_target(struct emit *e, int target)
{
    get_local(e, target);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
}

static void emit_ret(struct emit *e)
{
    const struct insn *i = &e->n->i;
    int target = emit_tmp(e, e->m64 ? W_I64 : W_I32);
    emit_stack_peek(e, RSP, i->osz);
    set_local(e, target);
    check_target(e, target);
    emit_sp_add(e, (1 << i->osz) + i->imm);
    get_target(e, target);
    emit_exit_return(e);
}

/* Near indirect JMP and CALL. */
static void emit_indirect(struct emit *e, bool call, int fall)
{
    const struct insn *i = &e->n->i;
    int target = emit_tmp(e, e->m64 ? W_I64 : W_I32);
    emit_get_rm(e, i->osz);
    set_local(e, target);
    check_target(e, target);
    if (!call && e->blk->succ[0] != OUTSIDE) {
        get_local(e, target);
        set_local(e, e->target);
        emit_goto(e, e->blk->succ[0], 0, fall);
        return;
    }
    if (call)
        push_return(e);
    get_target(e, target);
    if (call)
        emit_exit_call(e, fall);
    else
        emit_exit(e);
}

/* ---- switches ---- */

/* The distance of e->target from the offset @from, to wasm's stack. */
static void target_from(struct emit *e, int32_t from)
{
    get_local(e, e->target);
    emit_rip(e, from);
    op(e, e->m64 ? W_I64_SUB : W_I32_SUB);
}

/* A branch to the label @target[k] if e->target is target k of the switch, to @elsewhere if it is
 * none of them. A few are compared with; more are looked up in a table of bytes, by the distance
 * from the first. */
static void find_target(struct emit *e, const int *target, int elsewhere)
{
    enum { COMPARED = 2 };
    const struct rblock *b = e->blk;
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (unsigned k = 0; k < b->target_count; k++) {
        int32_t off = e->r->blocks[succ_of(e->r, b, k)].off;
        if (b->target_count <= COMPARED) {
            target_from(e, off);
            op(e, e->m64 ? W_I64_EQZ : W_I32_EQZ);
            branch(e, W_BR_IF, target[k]);
        }
        low = off < low ? off : low;
        high = off > high ? off : high;
    }
    if (b->target_count <= COMPARED) {
        branch(e, W_BR, elsewhere);
        return;
    }
    uint32_t span = (uint32_t)(high - low) + 1;
    uint8_t *table = region_add_table(e->out, span);
    for (unsigned k = 0; k < b->target_count && table; k++)
        table[e->r->blocks[succ_of(e->r, b, k)].off - low] = (uint8_t)(k + 1);
    int at = emit_tmp(e, e->m64 ? W_I64 : W_I32);
    target_from(e, low);
    tee_local(e, at);
    emit_const(e, e->m64 ? 3 : 2, span);
    op(e, e->m64 ? W_I64_GE_U : W_I32_GE_U);
    unlikely_next(e);
    branch(e, W_BR_IF, elsewhere);
    get_local(e, at);
    if (e->m64)
        op(e, W_I32_WRAP_I64);
    emit_mem_op(e, W_I32_LOAD8_U, 0, (uint32_t)(uintptr_t)table);
    op(e, W_BR_TABLE);
    wb_u32(&e->b, b->target_count);
    wb_u32(&e->b, (uint32_t)(e->depth - elsewhere));
    for (unsigned k = 0; k < b->target_count; k++)
        wb_u32(&e->b, (uint32_t)(e->depth - target[k]));
}

/* The target is none of the region's. At times C is told: if many are missing, the region is made
 * anew. */
static void stray(struct emit *e)
{
    const struct rblock *b = e->blk;
    if (e->lockstep)
        return;
    int left = emit_tmp(e, W_I32);
    emit_store_begin(e);
    emit_load_fixed(e, W_I32_LOAD, &e->out->strays);
    emit_i32(e, 1);
    op(e, W_I32_SUB);
    tee_local(e, left);
    emit_store_end(e, W_I32_STORE, &e->out->strays);
    get_local(e, left);
    op(e, W_I32_EQZ);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    target_from(e, b->off);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_S);
    emit_i32(e, (int32_t)(uintptr_t)e->out);
    emit_i32(e, (int32_t)(uint32_t)region_host(e->r, b->off));
    emit_call(e, IM_STRAY);
    op(e, W_DROP);
    close_block(e);
}

void emit_switch(struct emit *e)
{
    const struct rblock *b = e->blk;
    int label[REGION_MAX_BLOCKS], kind = e->kind;
    for (unsigned k = 0; k < b->target_count; k++) {
        open_block(e, W_BLOCK, W_VOID);
        label[k] = e->depth;
    }
    open_block(e, W_BLOCK, W_VOID);
    memset(e->tmp_next, 0, sizeof e->tmp_next);
    if (b->loop_check) {
        get_local(e, e->budget);
        emit_i32(e, 0);
        op(e, W_I32_LE_S);
        unlikely_next(e);
        branch(e, W_BR_IF, e->depth);
    }
    find_target(e, label, e->depth);
    close_block(e);
    stray(e);
    get_target(e, e->target);
    emit_exit(e);
    for (unsigned k = b->target_count; k-- > 0;) {
        close_block(e);
        e->kind = kind;
        emit_goto(e, succ_of(e->r, b, k), 0, OUTSIDE);
    }
}

void emit_terminator(struct emit *e, int fall)
{
    switch ((enum block_end)e->blk->end) {
    case BE_JUMP: emit_goto(e, e->blk->succ[0], e->blk->succ_off[0], fall); break;
    case BE_COND: emit_cond(e, fall); break;
    case BE_CALL: emit_call_direct(e, fall); break;
    case BE_RET: emit_ret(e); break;
    case BE_DYN: emit_indirect(e, false, fall); break;
    case BE_DYNCALL: emit_indirect(e, true, fall); break;
    default: emit_stop(e, fall); break;
    }
}
