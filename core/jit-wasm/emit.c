/*
 * The frame of a translated function: locals, registers, the ways out, calls of handlers. emit.h
 * shows the shape.
 */
#include "jit-wasm/emit.h"

#include <string.h>

#include "cpu/block.h"
#include "jit-wasm/cache.h"

/* ---- code bytes ---- */

void emit_i32(struct emit *e, int32_t v)
{
    op(e, W_I32_CONST);
    wb_s64(&e->b, v);
}
void emit_i64(struct emit *e, int64_t v)
{
    op(e, W_I64_CONST);
    wb_s64(&e->b, v);
}
void emit_simd(struct emit *e, unsigned opcode)
{
    op(e, W_PREFIX_SIMD);
    wb_u32(&e->b, opcode);
}
void get_local(struct emit *e, int local)
{
    op(e, W_LOCAL_GET);
    wb_u32(&e->b, (uint32_t)local);
}
void set_local(struct emit *e, int local)
{
    op(e, W_LOCAL_SET);
    wb_u32(&e->b, (uint32_t)local);
}
void tee_local(struct emit *e, int local)
{
    op(e, W_LOCAL_TEE);
    wb_u32(&e->b, (uint32_t)local);
}

void emit_mem_op(struct emit *e, enum wasm_op o, unsigned align, uint32_t offset)
{
    op(e, o);
    wb_u32(&e->b, align);
    wb_u32(&e->b, offset);
}

void emit_load_fixed(struct emit *e, enum wasm_op o, const void *p)
{
    emit_i32(e, 0);
    emit_mem_op(e, o, 0, (uint32_t)(uintptr_t)p);
}
void emit_store_begin(struct emit *e)
{
    emit_i32(e, 0);
}
void emit_store_end(struct emit *e, enum wasm_op o, const void *p)
{
    emit_mem_op(e, o, 0, (uint32_t)(uintptr_t)p);
}
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
static void store_local(struct emit *e, enum wasm_op o, int local, const void *p)
{
    emit_store_begin(e);
    get_local(e, local);
    emit_store_end(e, o, p);
}

void open_block(struct emit *e, enum wasm_op o, enum wasm_type type)
{
    op(e, o);
    wb_u8(&e->b, (uint8_t)type);
    e->depth++;
}
void close_block(struct emit *e)
{
    op(e, W_END);
    e->depth--;
}
void branch(struct emit *e, enum wasm_op br, int label)
{
    op(e, br);
    wb_u32(&e->b, (uint32_t)(e->depth - label));
}

int emit_local(struct emit *e, enum wasm_type t)
{
    if (e->locals == EMIT_MAX_LOCALS) {
        e->failed = true;
        return 0;
    }
    e->local_type[e->locals++] = (uint8_t)t;
    return (int)e->locals; /* 0 is the parameter */
}

int emit_tmp(struct emit *e, enum wasm_type t)
{
    unsigned kind = W_I32 - t;
    if (e->tmp_next[kind] == EMIT_TMPS) {
        e->failed = true;
        return 0;
    }
    int16_t *slot = &e->tmp[kind][e->tmp_next[kind]++];
    if (!*slot)
        *slot = (int16_t)emit_local(e, t);
    return *slot;
}

void emit_call(struct emit *e, enum jit_import fn)
{
    op(e, W_CALL);
    wb_u32(&e->b, fn);
}

/* ---- registers ---- */

static enum wasm_type gpr_type(const struct emit *e)
{
    return e->m64 ? W_I64 : W_I32;
}

static int gpr_local(struct emit *e, unsigned reg)
{
    if (e->gpr[reg] == NO_LOCAL)
        e->gpr[reg] = (int16_t)emit_local(e, gpr_type(e));
    e->gpr_used |= (uint16_t)(1u << reg);
    return e->gpr[reg];
}

void emit_get_full(struct emit *e, unsigned reg)
{
    get_local(e, gpr_local(e, reg));
}

void emit_set_full(struct emit *e, unsigned reg)
{
    set_local(e, gpr_local(e, reg));
    e->gpr_written_now |= (uint16_t)(1u << reg);
}

static void get32(struct emit *e, unsigned reg)
{
    emit_get_full(e, reg);
    if (e->m64)
        op(e, W_I32_WRAP_I64);
}

void emit_get(struct emit *e, unsigned osz, unsigned reg)
{
    switch (osz) {
    case 0:
        get32(e, reg >> 3);
        if (reg & 1) {
            emit_i32(e, 8);
            op(e, W_I32_SHR_U);
        }
        emit_i32(e, 0xff);
        op(e, W_I32_AND);
        break;
    case 1:
        get32(e, reg);
        emit_i32(e, 0xffff);
        op(e, W_I32_AND);
        break;
    case 2: get32(e, reg); break;
    default: emit_get_full(e, reg); break;
    }
}

/* Puts the low bits of the i32 on the stack into a part of a register. */
static void set_part(struct emit *e, unsigned reg, uint32_t mask, unsigned shift)
{
    emit_i32(e, (int32_t)mask);
    op(e, W_I32_AND);
    if (shift) {
        emit_i32(e, (int32_t)shift);
        op(e, W_I32_SHL);
    }
    if (e->m64) {
        op(e, W_I64_EXTEND_I32_U);
        emit_get_full(e, reg);
        emit_i64(e, ~((int64_t)mask << shift));
        op(e, W_I64_AND);
        op(e, W_I64_OR);
    } else {
        emit_get_full(e, reg);
        emit_i32(e, (int32_t) ~(mask << shift));
        op(e, W_I32_AND);
        op(e, W_I32_OR);
    }
    emit_set_full(e, reg);
}

void emit_set(struct emit *e, unsigned osz, unsigned reg)
{
    switch (osz) {
    case 0: set_part(e, reg >> 3, 0xff, (reg & 1) * 8); break;
    case 1: set_part(e, reg, 0xffff, 0); break;
    case 2:
        if (e->m64)
            op(e, W_I64_EXTEND_I32_U);
        emit_set_full(e, reg);
        break;
    default: emit_set_full(e, reg); break;
    }
}

static int xmm_local(struct emit *e, unsigned reg)
{
    if (e->xmm[reg] == NO_LOCAL)
        e->xmm[reg] = (int16_t)emit_local(e, W_V128);
    e->xmm_used |= (uint16_t)(1u << reg);
    return e->xmm[reg];
}
void emit_get_xmm(struct emit *e, unsigned reg)
{
    get_local(e, xmm_local(e, reg));
}
void emit_set_xmm(struct emit *e, unsigned reg)
{
    set_local(e, xmm_local(e, reg));
    for (unsigned w = 0; w < 2; w++) {
        e->fp_known[w][0] &= (uint16_t) ~(1u << reg);
        e->fp_known[w][1] &= (uint16_t) ~(1u << reg);
    }
    e->xmm_written_now |= (uint16_t)(1u << reg);
}

void emit_rip(struct emit *e, int32_t off)
{
    get_local(e, e->ip);
    if (!off)
        return;
    if (e->m64) {
        emit_i64(e, off);
        op(e, W_I64_ADD);
    } else {
        emit_i32(e, off);
        op(e, W_I32_ADD);
    }
}

void emit_const(struct emit *e, unsigned osz, int64_t v)
{
    switch (osz) {
    case 0: emit_i32(e, (uint8_t)v); break;
    case 1: emit_i32(e, (uint16_t)v); break;
    case 2: emit_i32(e, (int32_t)v); break;
    default: emit_i64(e, v); break;
    }
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
        }
        if (xmms >> k & 1) {
            load128_fixed(e, &e->c->xmm[k]);
            set_local(e, e->xmm[k]);
        }
    }
}

static void store_flags(struct emit *e)
{
    store_local(e, W_I64_STORE, e->fz, &e->c->fl_z);
    store_local(e, W_I64_STORE, e->fs, &e->c->fl_s);
    store_local(e, W_I64_STORE, e->fc, &e->c->fl_co);
    store_local(e, W_I64_STORE, e->fx, &e->c->fl_a);
}
static void load_flags(struct emit *e)
{
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_z);
    set_local(e, e->fz);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_s);
    set_local(e, e->fs);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_co);
    set_local(e, e->fc);
    emit_load_fixed(e, W_I64_LOAD, &e->c->fl_a);
    set_local(e, e->fx);
}

/* ---- leaving ---- */

static int add_point(struct emit *e, int32_t off, unsigned len, int unused)
{
    return region_add_point(e->out, (struct jit_point){ .off = off,
                                                        .len = (uint8_t)len,
                                                        .kind = (uint8_t)e->kind,
                                                        .unused = (int16_t)unused });
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
    open_block(e, W_IF, W_VOID);
    leave(e, emit_point(e), NO_LOCAL, status);
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

static void call_handler(struct emit *e, enum jit_import fn)
{
    const struct insn *i = &e->n->i;
    const struct opcode *o = insn_opcode(i);
    bool ends = o->flags & OP_END;
    if (e->lockstep && (ends || in_table(&opcodes_sys, o))) {
        emit_i32(e, 1);
        emit_leave_if(e, LEAVE_INTERP);
        return;
    }
    bool flags = ends || o->fl_read || o->fl_write || o->fl_undef;
    bool sets_flags = ends || o->fl_write || o->fl_undef;
    uint16_t reads, writes;
    bool xmm;
    handler_effects(i, &reads, &writes, &xmm);
    if (flags) {
        flags_canonical(e);
        store_flags(e);
    }
    int point = emit_point(e);
    uint16_t gprs = e->gpr_written | e->gpr_written_now;
    uint16_t xmms = xmm ? (e->xmm_written | e->xmm_written_now) : 0;
    spill(e, gprs & reads, xmms);
    emit_store_begin(e);
    emit_rip(e, e->n->off);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
    emit_store_end(e, W_I64_STORE, &e->c->gpr[REG_IP]);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    emit_i32(e, (int32_t)(uintptr_t)e->c);
    emit_i32(e, (int32_t)(uintptr_t)region_add_insn(e->out, i));
    emit_call(e, fn);
    int status = emit_tmp(e, W_I32);
    set_local(e, status);
    /* What the handler writes must be written back by the epilogue only if it has a local. */
    reload(e, e->gpr_used & writes, xmm ? e->xmm_used : 0);
    if (sets_flags)
        load_flags(e);
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);
    get_local(e, status);
    open_block(e, W_IF, W_VOID);
    leave(e, point, status, 0);
    close_block(e);
    if (xmm) { /* it may be LDMXCSR as well */
        e->fp_checked = false;
        memset(e->fp_known, 0, sizeof e->fp_known);
    }
}

void emit_handler(struct emit *e)
{
    call_handler(e, IM_HANDLER);
}

void emit_end_handler(struct emit *e)
{
    call_handler(e, IM_END_HANDLER);
    emit_load_fixed(e, W_I64_LOAD, &e->c->rip);
    set_local(e, e->next);
    emit_chain(e);
}

void emit_slow_fp(struct emit *e, int src, enum slow_result result)
{
    struct insn i = e->n->i;
    uint16_t written = e->xmm_written | e->xmm_written_now, reads = 0;
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
    spill(e, 0, written & reads);
    emit_i32(e, (int32_t)(uintptr_t)e->c);
    emit_i32(e, (int32_t)(uintptr_t)region_add_insn(e->out, &i));
    emit_call(e, IM_SLOW_FP);
    int status = emit_tmp(e, W_I32);
    set_local(e, status);
    get_local(e, status);
    open_block(e, W_IF, W_VOID);
    leave(e, point, status, 0);
    close_block(e);
    if (result == SLOW_FLAGS)
        load_flags(e);
    else if (result == SLOW_GPR)
        reload(e, (uint16_t)(1u << i.r), 0);
    else
        reload(e, 0, (uint16_t)(1u << i.r));
}

void emit_chain(struct emit *e)
{
    branch(e, W_BR, e->chain);
}

void emit_goto(struct emit *e, int succ, int32_t off, int fall)
{
    if (succ < 0) {
        flags_canonical(e);
        emit_rip(e, off);
        if (!e->m64)
            op(e, W_I64_EXTEND_I32_U);
        set_local(e, e->next);
        emit_chain(e);
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
    if (e->dispatch[succ] >= 0) {
        emit_i32(e, e->dispatch[succ]);
        set_local(e, e->dispatch_local);
    }
    if (succ != fall)
        branch(e, W_BR, e->label[succ]);
}

/* ---- blocks ---- */

static void block_code(struct emit *e, int k, int fall)
{
    const struct rblock *b = &e->r->blocks[k];
    e->blk = b;
    e->kind = b->entry_flags;
    e->sse_checked = e->fp_checked = false;
    memset(e->fp_known, 0, sizeof e->fp_known);
    if (b->loop_check) {
        get_local(e, e->budget);
        emit_i32(e, 0);
        op(e, W_I32_LE_S);
        open_block(e, W_IF, W_VOID);
        leave(e, add_point(e, b->off, 0, -1), NO_LOCAL, LEAVE_BUDGET);
        close_block(e);
    }
    get_local(e, e->budget);
    emit_i32(e, b->count);
    op(e, W_I32_SUB);
    set_local(e, e->budget);
    for (unsigned n = 0; n < b->count; n++) {
        e->n = &e->r->insns[b->first + n];
        e->index = n;
        e->point = -1;
        memset(e->tmp_next, 0, sizeof e->tmp_next);
        if (n + 1 == b->count && b->end != BE_FALL) {
            emit_terminator(e, fall);
            return;
        }
        const struct emit_row *row = emit_row_of(&e->n->i);
        if (row)
            row->fn(e, &e->n->i);
        else
            emit_handler(e);
    }
    emit_goto(e, b->succ[0], b->succ_off[0], fall);
}

/* ---- structure: what flow.c calls ---- */

static void bind(struct emit *e, const int16_t *blocks, int count)
{
    for (int k = 0; k < count; k++) {
        e->label[blocks[k]] = (int16_t)e->depth;
        e->dispatch[blocks[k]] = count > 1 ? (int16_t)k : -1;
    }
}
static void on_open(void *ctx, const int16_t *entries, int count)
{
    open_block(ctx, W_BLOCK, W_VOID);
    bind(ctx, entries, count);
}
static void on_close(void *ctx)
{
    close_block(ctx);
}
static void on_loop(void *ctx, const int16_t *headers, int count)
{
    open_block(ctx, W_LOOP, W_VOID);
    bind(ctx, headers, count);
}
static void on_dispatch(void *ctx, const int *depths, int count)
{
    struct emit *e = ctx;
    get_local(e, e->dispatch_local);
    op(e, W_BR_TABLE);
    wb_u32(&e->b, (uint32_t)count - 1);
    for (int k = 0; k < count; k++)
        wb_u32(&e->b, (uint32_t)depths[k]);
}
static void on_code(void *ctx, int block, int fall)
{
    block_code(ctx, block, fall);
}

/* ---- the function ---- */

static void prologue(struct emit *e)
{
    emit_store_begin(e);
    emit_i32(e, (int32_t)(uintptr_t)e->out);
    emit_store_end(e, W_I32_STORE, &jit_shared.region);
    emit_load_fixed(e, W_I32_LOAD, &e->c->budget);
    set_local(e, e->budget);
    if (!e->m64) {
        get_local(e, 0);
        op(e, W_I32_WRAP_I64);
        set_local(e, e->ip);
    }
    reload(e, e->gpr_used, e->xmm_used);
    load_flags(e);
}

static void store_all(struct emit *e)
{
    spill(e, e->gpr_written | e->gpr_written_now, e->xmm_written | e->xmm_written_now);
    store_local(e, W_I32_STORE, e->budget, &e->c->budget);
    store_flags(e);
}

static void leave_epilogue(struct emit *e)
{
    store_all(e);
    for (int k = 0; k < 3; k++) {
        if (e->raw[0][k] != NO_LOCAL)
            store_local(e, W_I32_STORE, e->raw[0][k], &jit_shared.raw32[k]);
        if (e->raw[1][k] != NO_LOCAL)
            store_local(e, W_I64_STORE, e->raw[1][k], &jit_shared.raw64[k]);
    }
    store_local(e, W_I32_STORE, e->fk, &jit_shared.fk);
    store_local(e, W_I64_STORE, 0, &jit_shared.ip);
    op(e, W_RETURN);
}

static void chain_epilogue(struct emit *e)
{
    store_all(e);
    get_local(e, e->next);
    op(e, e->tail_calls ? W_RETURN_CALL : W_CALL);
    wb_u32(&e->b, IM_CHAIN);
}

static void begin(struct emit *e)
{
    wb_reset(&e->b);
    e->locals = 0;
    e->failed = false;
    memset(e->tmp, 0, sizeof e->tmp);
    memset(e->tmp_next, 0, sizeof e->tmp_next);
    memset(e->gpr, 0xff, sizeof e->gpr);
    memset(e->xmm, 0xff, sizeof e->xmm);
    memset(e->raw, 0xff, sizeof e->raw);
    e->fp_fast = NO_LOCAL;
    memset(e->label, 0, sizeof e->label);
    memset(e->dispatch, 0xff, sizeof e->dispatch);
    e->gpr_written_now = e->xmm_written_now = 0;
    e->depth = 0;
    e->ip = e->m64 ? 0 : (int16_t)emit_local(e, W_I32);
    e->next = (int16_t)emit_local(e, W_I64);
    e->budget = (int16_t)emit_local(e, W_I32);
    e->fz = (int16_t)emit_local(e, W_I64);
    e->fs = (int16_t)emit_local(e, W_I64);
    e->fc = (int16_t)emit_local(e, W_I64);
    e->fx = (int16_t)emit_local(e, W_I64);
    e->fk = (int16_t)emit_local(e, W_I32);
    e->dispatch_local = (int16_t)emit_local(e, W_I32);
    for (unsigned k = 0; k < 16; k++) {
        if (e->gpr_used >> k & 1)
            gpr_local(e, k);
        if (e->xmm_used >> k & 1)
            xmm_local(e, k);
    }
    /* Also those raw operands that are only set further on: a loop brings them back here. */
    for (unsigned k = 0; k < 6; k++)
        if (e->raw_used >> k & 1)
            flags_raw(e, k < 3 ? 2 : 3, k % 3);
    for (unsigned k = 0; k < e->r->block_count; k++)
        e->r->blocks[k].entry_flags = FK_DYN;
    struct rblock *b = &e->r->blocks[0];
    b->entry_flags = b->preds == 1 || b->need_in == FN_READ ? FK_CANON : FK_DYN;
    region_begin_points(e->out);
}

static void pass(struct emit *e)
{
    static const struct flow_ops ops = {
        .open = on_open,
        .close = on_close,
        .loop = on_loop,
        .dispatch = on_dispatch,
        .end_loop = on_close,
        .code = on_code,
    };
    begin(e);
    prologue(e);
    open_block(e, W_BLOCK, W_VOID);
    e->chain = e->depth;
    open_block(e, W_BLOCK, W_VOID);
    e->leave = e->depth;
    flow_structure(e->r, &ops, e);
    op(e, W_UNREACHABLE);
    close_block(e);
    leave_epilogue(e);
    close_block(e);
    chain_epilogue(e);
    op(e, W_END);
    e->gpr_written = e->gpr_written_now;
    e->xmm_written = e->xmm_written_now;
}

/* Puts the vector of locals before the body. */
static void add_locals(struct emit *e)
{
    struct wbuf out = { 0 };
    unsigned runs = 0;
    for (unsigned k = 0; k < e->locals; k++)
        runs += k == 0 || e->local_type[k] != e->local_type[k - 1];
    wb_u32(&out, runs);
    for (unsigned k = 0; k < e->locals;) {
        unsigned n = 1;
        while (k + n < e->locals && e->local_type[k + n] == e->local_type[k])
            n++;
        wb_u32(&out, n);
        wb_u8(&out, e->local_type[k]);
        k += n;
    }
    wb_bytes(&out, e->b.data, e->b.len);
    out.failed |= e->b.failed;
    wb_free(&e->b);
    e->b = out;
}

bool emit_region(struct emit *e, struct region_code *r, struct region *out)
{
    e->r = r;
    e->out = out;
    e->c = r->cpu;
    e->m64 = (r->mode & MODE_CODE_MASK) == MODE_CODE64;
    e->flat = r->flat;
    e->tag64 = r->mode & MODE_LMA;
    e->raw_used = 0;
    e->gpr_used = e->gpr_written = e->xmm_used = e->xmm_written = 0;
    pass(e);
    if (e->failed)
        return false;
    pass(e);
    add_locals(e);
    return !e->failed && !e->b.failed && !region_failed(out);
}
