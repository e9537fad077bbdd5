/*
 * The ways in and out of a translated function: prologue, exits to other regions, calls of them,
 * returns, leaving to C, calls of handlers. emit.h shows the shape.
 *
 * Between regions all registers and flags are in memory; flags as operands of the operation that
 * they come from (jit_shared.flags) rather than computed. A region loads what it reads and stores
 * what it may have written on the way to the exit (region_registers() says which), so that a short
 * way through a large region costs little.
 *
 * A guest call of a function outside is a call of that function's region, through the chain; that
 * of the region's own entry is one without (its code is where it was and as it was, or this region
 * would not run on): a third of the time of small recursive functions. It
 * comes back as JIT_RETURNED with the guest's return address in c->rip. If that is where this
 * region goes on, it does, with its registers loaded anew: whose return it was doesn't matter,
 * since all state is in memory. Otherwise (a task switch, longjmp, this region's code was
 * overwritten or mapped elsewhere meanwhile) the frame is given up for whatever is at c->rip.
 * JIT_LEFT unwinds all frames to C. Calls too deep are jumps instead. A function that has no region
 * is interpreted on top of the frames (jit_cold()) until it comes to the return address, which the
 * region that calls leaves in jit_shared.back.
 *
 * A region that is left at a point, because of a fault or for C to look, hands all its locals over
 * in jit_shared.left; the point says which of them count.
 */
#include <string.h>

#include "cpu/block.h"
#include "jit-wasm/cache.h"
#include "jit-wasm/emit.h"

static void load128_fixed(struct emit *e, const void *p)
{
    emit_i32(e, 0);
    emit_simd(e, 0); /* v128.load */
    wb_u32(&e->b, 0);
    wb_u32(&e->b, (uint32_t)(uintptr_t)p);
}
static void store128_fixed(struct emit *e, int local, const void *p)
{
    emit_i32(e, 0);
    get_local(e, local);
    emit_simd(e, 11); /* v128.store */
    wb_u32(&e->b, 0);
    wb_u32(&e->b, (uint32_t)(uintptr_t)p);
}
void store_local(struct emit *e, enum wasm_op o, int local, const void *p)
{
    emit_store_begin(e);
    get_local(e, local);
    emit_store_end(e, o, p);
}

/* Registers in @gprs and @xmms to their places in struct cpu, or from there. */
static void spill(struct emit *e, uint16_t gprs, uint16_t xmms)
{
    for (unsigned k = 0; k < 16; k++) {
        if (gprs >> k & 1) {
            emit_store_begin(e);
            get_local(e, e->gpr[k]);
            if (!e->m64)
                op(e, W_I64_EXTEND_I32_U);
            emit_store_end(e, W_I64_STORE, &e->c->gpr[k]);
        }
        if (xmms >> k & 1)
            store128_fixed(e, e->xmm[k], &e->c->xmm[k]);
    }
}
static void reload(struct emit *e, uint16_t gprs, uint16_t xmms)
{
    for (unsigned k = 0; k < 16; k++) {
        if (gprs >> k & 1) {
            emit_load_fixed(e, e->m64 ? W_I64_LOAD : W_I32_LOAD, &e->c->gpr[k]);
            set_local(e, e->gpr[k]);
            groups_changed(e, k);
        }
        if (xmms >> k & 1) {
            load128_fixed(e, &e->c->xmm[k]);
            set_local(e, e->xmm[k]);
        }
    }
}

/* ---- leaving ---- */

static int add_point(struct emit *e, int32_t off, unsigned len, int unused)
{
    return region_add_point(e->out, (struct jit_point){ .off = off,
                                                        .len = (uint8_t)len,
                                                        .kind = (uint8_t)e->kind,
                                                        .unused = (int16_t)unused,
                                                        .gprs = e->point_dirty.gpr,
                                                        .xmms = e->point_dirty.xmm });
}

int emit_point(struct emit *e)
{
    if (e->point < 0)
        e->point = add_point(e, e->n->off, e->n->i.len, e->blk->count - (int)e->index);
    return e->point;
}

/* To $leave with the status in a local (or a constant, if NO_LOCAL). */
static void leave(struct emit *e, int point, int status_local, int status)
{
    emit_store_begin(e);
    emit_i32(e, point);
    emit_store_end(e, W_I32_STORE, &jit_shared.point);
    emit_store_begin(e);
    if (status_local == NO_LOCAL)
        emit_i32(e, status);
    else
        get_local(e, status_local);
    emit_store_end(e, W_I32_STORE, &jit_shared.status);
    branch(e, W_BR, e->leave);
}

void emit_leave_if(struct emit *e, int status)
{
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    leave(e, emit_point(e), NO_LOCAL, status);
    close_block(e);
}

void emit_leave_budget(struct emit *e)
{
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    leave(e, add_point(e, e->blk->off, 0, -1), NO_LOCAL, LEAVE_BUDGET);
    close_block(e);
}

static bool in_table(const struct opcode_table *t, const struct opcode *o)
{
    return o >= t->rows && o < t->rows + t->count;
}

/* Which general registers a handler may read and write, whether it may touch XMM registers. What it
 * may write is written back first, in case it faults. Everything but a few system instructions and
 * groups whose operands are all explicit may touch all. */
static void handler_effects(const struct insn *i, uint16_t *reads, uint16_t *writes, bool *xmm)
{
    const struct opcode *o = insn_opcode(i);
    bool x87 = in_table(&opcodes_x87, o);
    bool sse =
        in_table(&opcodes_sse, o) || in_table(&opcodes_ssefp, o) || in_table(&opcodes_sse4, o);
    *reads = *writes = 0xffff;
    *xmm = !x87 && !in_table(&opcodes_int, o) && !in_table(&opcodes_arith, o) &&
           !in_table(&opcodes_string, o) && !in_table(&opcodes_flow, o) &&
           !in_table(&opcodes_sys, o);
    if (sys_registers(i, reads)) {
        *writes = *reads;
        return;
    }
    bool implicit = (o->map == MAP_0F3A && o->byte >= 0x60 && o->byte <= 0x63) ||
                    (o->map == MAP_0F && o->byte == 0xf7) || (o->map == MAP_1B && o->byte == 0xdf);
    if (!(x87 || sse) || implicit)
        return;
    *reads = *writes = 0;
    if (i->flags & INSN_MEM) {
        if (i->base < 16)
            *reads |= (uint16_t)(1u << i->base);
        if (i->index < 16)
            *reads |= (uint16_t)(1u << i->index);
    }
    for (int k = 0; k < 4; k++) {
        int reg = -1;
        switch (o->operands[k]) {
        case OPD_Gb:
        case OPD_Gw:
        case OPD_Gd:
        case OPD_Gq:
        case OPD_Gv:
        case OPD_Gy: reg = i->r; break;
        case OPD_Eb:
        case OPD_Ew:
        case OPD_Ed:
        case OPD_Eq:
        case OPD_Ev:
        case OPD_Ey:
        case OPD_Rv:
        case OPD_Ry:
        case OPD_Rd_Mb:
        case OPD_Rd_Mw:
            if (!(i->flags & INSN_MEM))
                reg = i->rm;
            break;
        default: break;
        }
        if (reg >= 0 && reg < 16) {
            *reads |= (uint16_t)(1u << reg);
            *writes |= (uint16_t)(1u << reg);
        }
    }
}

/* Calls @fn for the current instruction; its result is on the stack. */
static void call_handler(struct emit *e, enum jit_helper fn)
{
    emit_store_begin(e);
    emit_rip(e, e->n->off);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
    emit_store_end(e, W_I64_STORE, &e->c->gpr[REG_IP]);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    emit_i32(e, (int32_t)(uintptr_t)e->c);
    emit_i32(e, (int32_t)(uintptr_t)region_add_insn(e->out, &e->n->i));
    emit_call(e, fn);
}

void emit_handler(struct emit *e)
{
    const struct insn *i = &e->n->i;
    const struct opcode *o = insn_opcode(i);
    if (e->lockstep && in_table(&opcodes_sys, o)) {
        emit_i32(e, 1);
        emit_leave_if(e, LEAVE_INTERP);
        return;
    }
    bool flags = o->fl_read || o->fl_write || o->fl_undef;
    uint16_t reads, writes;
    bool xmm;
    handler_effects(i, &reads, &writes, &xmm);
    if (flags)
        flags_to_cpu(e);
    int point = emit_point(e);
    spill(e, e->dirty.gpr & reads, xmm ? e->dirty.xmm : 0);
    call_handler(e, IM_HANDLER);
    int status = emit_tmp(e, W_I32);
    set_local(e, status);
    reload(e, e->used.gpr & writes, xmm ? e->used.xmm : 0);
    groups_after_handler(e);
    if (e->depth == e->block_depth) {
        e->dirty.gpr &= (uint16_t)~reads;
        e->dirty.xmm &= xmm ? 0 : 0xffff;
    }
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);
    get_local(e, status);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    leave(e, point, status, 0);
    close_block(e);
    if (xmm) { /* it may be LDMXCSR as well */
        e->fp_checked = false;
        memset(e->fp_known, 0, sizeof e->fp_known);
    }
}

void emit_slow_fp(struct emit *e, int src, enum slow_result result)
{
    struct insn i = e->n->i;
    uint16_t reads = 0;
    int point = emit_point(e);
    if (src != NO_LOCAL) {
        i.flags &= (uint8_t)~INSN_MEM;
        i.rm = XMM_SCRATCH;
        store128_fixed(e, src, &e->c->xmm[XMM_SCRATCH]);
    } else {
        reads |= (uint16_t)(1u << i.rm);
    }
    if (result != SLOW_GPR)
        reads |= (uint16_t)(1u << i.r);
    spill(e, 0, e->dirty.xmm & reads);
    emit_i32(e, (int32_t)(uintptr_t)e->c);
    emit_i32(e, (int32_t)(uintptr_t)region_add_insn(e->out, &i));
    emit_call(e, IM_SLOW_FP);
    int status = emit_tmp(e, W_I32);
    set_local(e, status);
    get_local(e, status);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    leave(e, point, status, 0);
    close_block(e);
    if (result == SLOW_FLAGS)
        flags_load(e);
    else if (result == SLOW_GPR)
        reload(e, (uint16_t)(1u << i.r), 0);
    else
        reload(e, 0, (uint16_t)(1u << i.r));
}

/* ---- to other regions ---- */

void emit_exit(struct emit *e)
{
    set_local(e, e->next);
    spill(e, e->dirty.gpr, e->dirty.xmm);
    flags_to_memory(e);
    branch(e, W_BR, e->chain);
}

void emit_exit_return(struct emit *e)
{
    if (!e->tail_calls) {
        emit_exit(e);
        return;
    }
    set_local(e, e->next);
    spill(e, e->dirty.gpr, e->dirty.xmm);
    flags_to_memory(e);
    branch(e, W_BR, e->returned);
}

static void emit_return_rip(struct emit *e, int block)
{
    emit_rip(e, e->r->blocks[block].off);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
}

/* Calls the chain, or this function itself (batch_install() knows its index); RIP and depth are on
 * the stack. */
static void call_region(struct emit *e, bool self)
{
    op(e, W_CALL);
    if (self) {
        e->out->self_calls[e->out->self_call_count++] = (uint32_t)e->b.len;
        wb_u32_wide(&e->b, IM_CHAIN);
    } else {
        wb_u32(&e->b, IM_CHAIN);
    }
}

void emit_exit_call(struct emit *e, int fall)
{
    int back = e->blk->succ[1];
    bool self = e->blk->end == BE_CALL && e->blk->succ_off[0] == 0 &&
                e->out->self_call_count < REGION_SELF_CALLS;
    if (!e->tail_calls || back == OUTSIDE) {
        emit_exit(e);
        return;
    }
    set_local(e, e->next);
    spill(e, e->dirty.gpr, e->dirty.xmm);
    flags_to_memory(e);
    get_local(e, L_DEPTH);
    emit_i32(e, JIT_DEPTH);
    op(e, W_I32_GE_U);
    if (self) { /* otherwise the chain looks at it */
        get_local(e, e->budget);
        emit_i32(e, 0);
        op(e, W_I32_LE_S);
        op(e, W_I32_OR);
    }
    unlikely_next(e);
    branch(e, W_BR_IF, e->chain);

    int context = emit_tmp(e, W_I32);
    emit_load_fixed(e, W_I32_LOAD, &e->c->jump_context);
    set_local(e, context);
    get_local(e, L_DEPTH);
    emit_i32(e, 3); /* sizeof back[0] */
    op(e, W_I32_SHL);
    emit_return_rip(e, back);
    emit_mem_op(e, W_I64_STORE, 3, (uint32_t)(uintptr_t)&jit_shared.back[1]);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    get_local(e, e->next);
    get_local(e, L_DEPTH);
    emit_i32(e, 1);
    op(e, W_I32_ADD);
    call_region(e, self);
    unlikely_next(e);
    branch(e, W_BR_IF, e->left);
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);

    emit_load_fixed(e, W_I64_LOAD, &e->c->rip);
    tee_local(e, e->next);
    emit_return_rip(e, back);
    op(e, W_I64_NE);
    emit_load_fixed(e, W_I32_LOAD, &e->c->jump_context);
    get_local(e, context);
    op(e, W_I32_NE);
    op(e, W_I32_OR);
    emit_load_fixed(e, W_I32_LOAD8_U, &e->out->dead);
    op(e, W_I32_OR);
    unlikely_next(e);
    branch(e, W_BR_IF, e->chain);
    emit_store_begin(e);
    emit_i32(e, (int32_t)(uintptr_t)e->out);
    emit_store_end(e, W_I32_STORE, &jit_shared.region);
    struct regs live = e->r->blocks[back].live_in;
    reload(e, live.gpr, live.xmm);
    groups_forget(e);
    e->kind = FK_MEM;
    emit_goto(e, back, 0, fall);
}

void emit_stop(struct emit *e, int fall)
{
    int next = e->blk->succ[0], status = emit_tmp(e, W_I32);
    if (e->lockstep) {
        emit_i32(e, 1);
        emit_leave_if(e, LEAVE_INTERP);
        op(e, W_UNREACHABLE);
        return;
    }
    flags_to_cpu(e);
    spill(e, e->dirty.gpr, e->dirty.xmm);
    e->dirty = e->point_dirty = (struct regs){ 0 };
    int point = emit_point(e);
    call_handler(e, IM_STOP);
    set_local(e, status);
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);
    get_local(e, status);
    if (next != OUTSIDE) {
        unlikely_next(e);
        open_block(e, W_IF, W_VOID);
        get_local(e, status);
    }
    emit_i32(e, STOP_LEFT);
    op(e, W_I32_EQ);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    emit_store_begin(e);
    emit_i32(e, point);
    emit_store_end(e, W_I32_STORE, &jit_shared.point);
    branch(e, W_BR, e->leave);
    close_block(e);
    emit_load_fixed(e, W_I64_LOAD, &e->c->rip);
    set_local(e, e->next);
    branch(e, W_BR, e->chain);
    if (next != OUTSIDE) {
        close_block(e);
        struct regs live = e->r->blocks[next].live_in;
        reload(e, live.gpr, live.xmm);
        groups_forget(e);
        emit_goto(e, next, 0, fall);
    }
}

void emit_goto(struct emit *e, int succ, int32_t off, int fall)
{
    if (succ < 0) {
        emit_rip(e, off);
        if (!e->m64)
            op(e, W_I64_EXTEND_I32_U);
        emit_exit(e);
        return;
    }
    struct rblock *b = &e->r->blocks[succ];
    enum flag_need need = (enum flag_need)b->need_in;
    if (b->loop_check && need < FN_OBSERVE)
        need = FN_OBSERVE;
    if (b->preds == 1)
        b->entry_flags = (int16_t)e->kind;
    else
        b->entry_flags = (int16_t)flags_edge(e, need);
    groups_edge(e, succ);
    if (e->dispatch[succ] >= 0) {
        emit_i32(e, e->dispatch[succ]);
        set_local(e, e->dispatch_local);
    }
    if (succ != fall)
        branch(e, W_BR, e->label[succ]);
}

/* ---- the frame ---- */

static void prologue(struct emit *e)
{
    struct rblock *b = &e->r->blocks[0];
    emit_store_begin(e);
    emit_i32(e, (int32_t)(uintptr_t)e->out);
    emit_store_end(e, W_I32_STORE, &jit_shared.region);
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);
    if (!e->m64) {
        get_local(e, L_RIP);
        op(e, W_I32_WRAP_I64);
        set_local(e, e->ip);
    }
    if (b->end == BE_SWITCH) {
        emit_rip(e, 0);
        set_local(e, e->target);
    }
    reload(e, b->live_in.gpr, b->live_in.xmm);
    e->kind = FK_MEM;
    memset(e->tmp_next, 0, sizeof e->tmp_next);
    b->entry_flags = (int16_t)(b->preds == 1 ? FK_MEM : flags_edge(e, (enum flag_need)b->need_in));
}

void frame_open(struct emit *e)
{
    prologue(e);
    open_block(e, W_BLOCK, W_VOID);
    e->left = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    e->returned = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    e->chain = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    e->leave = e->depth;
}

/* All that C may need of the locals. */
static void hand_over(struct emit *e)
{
    uint64_t *words = jit_shared.left.words;
    for (unsigned k = 0; k < 16; k++) {
        if (e->written_all.gpr >> k & 1) {
            emit_store_begin(e);
            get_local(e, e->gpr[k]);
            if (!e->m64)
                op(e, W_I64_EXTEND_I32_U);
            emit_store_end(e, W_I64_STORE, &jit_shared.left.gpr[k]);
        }
        if (e->written_all.xmm >> k & 1)
            store128_fixed(e, e->xmm[k], jit_shared.left.xmm[k]);
    }
    store_local(e, W_I64_STORE, e->fz, &words[0]);
    store_local(e, W_I64_STORE, e->fs, &words[1]);
    store_local(e, W_I64_STORE, e->fc, &words[2]);
    store_local(e, W_I64_STORE, e->fx, &words[3]);
    flags_store_raw(e, &jit_shared.left.flags);
    store_local(e, W_I32_STORE, e->fk, &jit_shared.left.flags.kind);
    store_local(e, W_I64_STORE, L_RIP, &jit_shared.ip);
}

void frame_close(struct emit *e)
{
    op(e, W_UNREACHABLE);
    close_block(e);
    hand_over(e);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    branch(e, W_BR, e->left);
    close_block(e);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    get_local(e, e->next);
    get_local(e, L_DEPTH);
    if (e->tail_calls) {
        op(e, W_RETURN_CALL);
        wb_u32(&e->b, IM_CHAIN);
    } else {
        op(e, W_CALL);
        wb_u32(&e->b, IM_CHAIN);
        op(e, W_RETURN);
    }
    close_block(e);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    store_local(e, W_I64_STORE, e->next, &e->c->rip);
    emit_i32(e, JIT_RETURNED);
    op(e, W_RETURN);
    close_block(e);
    emit_i32(e, JIT_LEFT);
    op(e, W_END);
}
