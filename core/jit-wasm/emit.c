/*
 * A translated function: its bytes, locals and registers, its blocks in flow.c's order. emit.h
 * shows the shape; emit_frame.c has the ways in and out.
 */
#include "jit-wasm/emit.h"

#include <string.h>

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

static void hint_next(struct emit *e, uint32_t flag)
{
    if (e->hint_count < EMIT_MAX_HINTS)
        e->hints[e->hint_count++] = (uint32_t)e->b.len | flag;
}
void unlikely_next(struct emit *e)
{
    hint_next(e, 0);
}
void likely_next(struct emit *e)
{
    hint_next(e, HINT_LIKELY);
}

int emit_local(struct emit *e, enum wasm_type t)
{
    if (e->locals == EMIT_MAX_LOCALS) {
        e->failed = true;
        return 0;
    }
    e->local_type[e->locals++] = (uint8_t)t;
    return (int)e->locals + 1; /* 0 and 1 are the parameters */
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

void emit_call(struct emit *e, enum jit_helper fn)
{
    op(e, W_CALL);
    wb_u32(&e->b, fn);
}

/* ---- registers ---- */

static enum wasm_type gpr_type(const struct emit *e)
{
    return e->m64 ? W_I64 : W_I32;
}

/* A register is read, or written: for the block's sets in the first pass, and for what is dirty. A
 * write in an inner block may not happen: the local has to be valid before. */
static void note_read(struct emit *e, struct regs set)
{
    struct rblock *b = &e->r->blocks[e->block];
    b->reads.gpr |= set.gpr & (uint16_t)~b->kills.gpr;
    b->reads.xmm |= set.xmm & (uint16_t)~b->kills.xmm;
}
static void note_write(struct emit *e, struct regs set)
{
    struct rblock *b = &e->r->blocks[e->block];
    if (e->depth != e->block_depth)
        note_read(e, set);
    else
        b->kills = (struct regs){ b->kills.gpr | set.gpr, b->kills.xmm | set.xmm };
    b->writes = (struct regs){ b->writes.gpr | set.gpr, b->writes.xmm | set.xmm };
    e->dirty = (struct regs){ e->dirty.gpr | set.gpr, e->dirty.xmm | set.xmm };
    e->written = (struct regs){ e->written.gpr | set.gpr, e->written.xmm | set.xmm };
}

static int gpr_local(struct emit *e, unsigned reg)
{
    if (e->gpr[reg] == NO_LOCAL)
        e->gpr[reg] = (int16_t)emit_local(e, gpr_type(e));
    e->used.gpr |= (uint16_t)(1u << reg);
    return e->gpr[reg];
}

void emit_get_full(struct emit *e, unsigned reg)
{
    note_read(e, (struct regs){ .gpr = (uint16_t)(1u << reg) });
    get_local(e, gpr_local(e, reg));
}

void emit_set_full(struct emit *e, unsigned reg)
{
    set_local(e, gpr_local(e, reg));
    note_write(e, (struct regs){ .gpr = (uint16_t)(1u << reg) });
    groups_changed(e, reg);
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
    e->used.xmm |= (uint16_t)(1u << reg);
    return e->xmm[reg];
}
void emit_get_xmm(struct emit *e, unsigned reg)
{
    note_read(e, (struct regs){ .xmm = (uint16_t)(1u << reg) });
    get_local(e, xmm_local(e, reg));
}
void emit_set_xmm(struct emit *e, unsigned reg)
{
    set_local(e, xmm_local(e, reg));
    for (unsigned w = 0; w < 2; w++) {
        e->fp_known[w][0] &= (uint16_t) ~(1u << reg);
        e->fp_known[w][1] &= (uint16_t) ~(1u << reg);
    }
    note_write(e, (struct regs){ .xmm = (uint16_t)(1u << reg) });
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

/* ---- blocks ---- */

static void block_code(struct emit *e, int k, int fall)
{
    const struct rblock *b = &e->r->blocks[k];
    e->blk = b;
    e->block = k;
    e->block_depth = e->depth;
    e->kind = b->entry_flags;
    e->dirty = e->point_dirty = b->dirty_in;
    e->sse_checked = e->fp_checked = false;
    e->x87.until = 0;
    memset(e->fp_known, 0, sizeof e->fp_known);
    groups_block(e);
    if (b->loop_check && b->end != BE_SWITCH) {
        get_local(e, e->budget);
        emit_i32(e, 0);
        op(e, W_I32_LE_S);
        emit_leave_budget(e);
    }
    if (b->end == BE_SWITCH) {
        emit_switch(e);
        return;
    }
    get_local(e, e->budget);
    emit_i32(e, b->count);
    op(e, W_I32_SUB);
    set_local(e, e->budget);
    for (unsigned n = 0; n < b->count; n++) {
        e->n = &e->r->insns[b->first + n];
        e->index = n;
        e->point = -1;
        e->point_dirty = e->dirty;
        memset(e->tmp_next, 0, sizeof e->tmp_next);
        groups_unknown(e);
        if (n + 1 == b->count && b->end != BE_FALL) {
            emit_terminator(e, fall);
            return;
        }
        const struct emit_row *row = emit_row_of(&e->n->i);
        struct group_state before = e->groups->now;
        if (row)
            row->fn(e, &e->n->i);
        else
            emit_handler(e);
        groups_insn(e, &before);
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

static void begin(struct emit *e)
{
    wb_reset(&e->b);
    e->hint_count = 0;
    e->locals = 0;
    e->failed = false;
    memset(e->tmp, 0, sizeof e->tmp);
    memset(e->tmp_next, 0, sizeof e->tmp_next);
    memset(e->gpr, 0xff, sizeof e->gpr);
    memset(e->xmm, 0xff, sizeof e->xmm);
    memset(e->raw, 0xff, sizeof e->raw);
    e->fp_fast = NO_LOCAL;
    e->x87 = (struct emit_x87){ .ok = NO_LOCAL };
    memset(e->label, 0, sizeof e->label);
    memset(e->dispatch, 0xff, sizeof e->dispatch);
    e->written = (struct regs){ 0 };
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
    e->target = (int16_t)emit_local(e, e->m64 ? W_I64 : W_I32);
    for (unsigned k = 0; k < 16; k++) {
        if (e->used.gpr >> k & 1)
            gpr_local(e, k);
        if (e->used.xmm >> k & 1)
            xmm_local(e, k);
    }
    /* Also those raw operands that are only set further on: a loop brings them back here. */
    for (unsigned k = 0; k < 6; k++)
        if (e->raw_used >> k & 1)
            flags_raw(e, k < 3 ? 2 : 3, k % 3);
    for (unsigned k = 0; k < e->r->block_count; k++)
        e->r->blocks[k].entry_flags = FK_DYN;
    region_begin_pass(e->out);
}

static void pass(struct emit *e, bool first)
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
    groups_begin(e, first);
    frame_open(e);
    flow_structure(e->r, &ops, e);
    frame_close(e);
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
    for (unsigned k = 0; k < e->hint_count; k++)
        e->hints[k] += (uint32_t)out.len;
    for (unsigned k = 0; k < e->out->self_call_count; k++)
        e->out->self_calls[k] += (uint32_t)out.len;
    wb_bytes(&out, e->b.data, e->b.len);
    out.failed |= e->b.failed;
    wb_free(&e->b);
    e->b = out;
}

struct wasm_code emit_code(const struct emit *e)
{
    return (struct wasm_code){ &e->b, e->hints, e->hint_count };
}

bool emit_region(struct emit *e, struct region_code *r, struct region *out)
{
    static struct groups groups;
    e->r = r;
    e->groups = &groups;
    e->out = out;
    e->c = r->cpu;
    e->m64 = (r->mode & MODE_CODE_MASK) == MODE_CODE64;
    e->flat = r->flat;
    e->tag64 = r->mode & MODE_LMA;
    e->raw_used = 0;
    e->used = e->written_all = (struct regs){ 0 };
    for (unsigned k = 0; k < r->block_count; k++) {
        struct rblock *b = &r->blocks[k];
        b->reads = b->kills = b->writes = b->dirty_in = b->live_in = (struct regs){ 0 };
    }
    pass(e, true);
    if (e->failed)
        return false;
    e->written_all = e->written;
    region_registers(r);
    pass(e, false);
    add_locals(e);
    return !e->failed && !e->b.failed && !region_failed(out);
}
