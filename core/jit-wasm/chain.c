/*
 * How one region goes on to the next, and what translated code calls.
 *
 * A region that is left for another address stores its registers and tail-calls the chain with that
 * address. The chain looks the address up in the jump cache and tail-calls the region's function in
 * the table. On a miss it goes on to jit_cold() if regions wait for the guest to return, which
 * interprets until it does; otherwise, or when the slice is over, it returns JIT_LEFT, and all
 * regions that called one another return to C. chain_run(), the way in from C, is one too: it goes
 * on where the guest returns to while there is a region. They are small WebAssembly functions made
 * at start-up, in a module of their own. Modules of regions import no table, but each function by
 * itself: in V8 (as of version 11) an instance that imports a table has a copy of it, and the table
 * keeps the instance, so that the code of dropped regions was never freed. Engines without tail
 * calls get a C function that always returns for the chain.
 */
#include <stddef.h>

#include "host/host.h"
#include "jit-wasm/emit.h"

void chain_module(struct wbuf *out, const struct wasm_code *codes, unsigned count)
{
    static const uint8_t signatures[IM_COUNT] = {
        [IM_CHAIN] = SIG_REGION,    [IM_READ] = SIG_READ,       [IM_WRITE] = SIG_WRITE,
        [IM_RMW_READ] = SIG_READ,   [IM_READ128] = SIG_CHECK,   [IM_WRITE128] = SIG_CHECK,
        [IM_SEG_CHECK] = SIG_CHECK, [IM_HANDLER] = SIG_HANDLER, [IM_SETTLE] = SIG_VOID,
        [IM_MULHU] = SIG_I64_I64,   [IM_MULHS] = SIG_I64_I64,   [IM_SLOW_FP] = SIG_HANDLER,
        [IM_STOP] = SIG_HANDLER,    [IM_X87] = SIG_WRITE,       [IM_STRAY] = SIG_CHECK,
    };
    wasm_module(out, signatures, IM_COUNT, codes, count);
}

static uint32_t chain_return(uint64_t rip, uint32_t depth)
{
    jit_cpu->rip = rip;
    jit_shared.status = LEAVE_CHAIN;
    return JIT_LEFT;
}

enum { L_LA = L_DEPTH + 1, L_AT, L_CONTEXT };

static void leave_unless_equal(struct emit *e, enum wasm_op ne)
{
    op(e, ne);
    branch(e, W_BR_IF, e->depth);
}

static void emit_chain_function(struct emit *e, struct cpu *c)
{
    const uint32_t jumps = (uint32_t)(uintptr_t)jit_jumps;
    wb_u32(&e->b, 2); /* locals: i64 la, i32 at, i32 context */
    wb_u32(&e->b, 1);
    wb_u8(&e->b, W_I64);
    wb_u32(&e->b, 2);
    wb_u8(&e->b, W_I32);
    open_block(e, W_BLOCK, W_VOID); /* leaves */
    emit_load_fixed(e, W_I32_LOAD, &c->budget);
    emit_i32(e, 0);
    op(e, W_I32_LE_S);
    branch(e, W_BR_IF, e->depth);
    open_block(e, W_BLOCK, W_VOID); /* finds nothing */
    get_local(e, L_RIP);
    emit_load_fixed(e, W_I64_LOAD, &c->seg_base[SEG_CS]);
    op(e, W_I64_ADD);
    emit_load_fixed(e, W_I64_LOAD, &c->la_mask);
    op(e, W_I64_AND);
    tee_local(e, L_LA);
    op(e, W_I32_WRAP_I64);
    tee_local(e, L_AT);
    get_local(e, L_AT);
    emit_i32(e, 12);
    op(e, W_I32_SHR_U);
    op(e, W_I32_XOR);
    emit_i32(e, JIT_JUMPS - 1);
    op(e, W_I32_AND);
    emit_i32(e, 4); /* sizeof(struct jit_jump) */
    op(e, W_I32_SHL);
    tee_local(e, L_AT);
    emit_mem_op(e, W_I64_LOAD, 3, jumps + offsetof(struct jit_jump, la));
    get_local(e, L_LA);
    leave_unless_equal(e, W_I64_NE);
    open_block(e, W_BLOCK, W_VOID); /* one of the two contexts */
    get_local(e, L_AT);
    emit_mem_op(e, W_I32_LOAD, 2, jumps + offsetof(struct jit_jump, context));
    tee_local(e, L_CONTEXT);
    emit_load_fixed(e, W_I32_LOAD, &c->jump_context);
    op(e, W_I32_EQ);
    branch(e, W_BR_IF, e->depth);
    get_local(e, L_CONTEXT);
    emit_load_fixed(e, W_I32_LOAD, &c->jump_context_global);
    op(e, W_I32_NE);
    branch(e, W_BR_IF, e->depth - 1);
    close_block(e);
    emit_store_begin(e);
    emit_load_fixed(e, W_I64_LOAD, &jit_stats.transfers);
    emit_i64(e, 1);
    op(e, W_I64_ADD);
    emit_store_end(e, W_I64_STORE, &jit_stats.transfers);
    get_local(e, L_RIP);
    get_local(e, L_DEPTH);
    get_local(e, L_AT);
    emit_mem_op(e, W_I32_LOAD, 2, jumps + offsetof(struct jit_jump, slot));
    op(e, W_RETURN_CALL_INDIRECT);
    wb_u32(&e->b, SIG_REGION);
    wb_u32(&e->b, 0);
    close_block(e);
    get_local(e, L_DEPTH);
    op(e, W_I32_EQZ);
    branch(e, W_BR_IF, e->depth);
    get_local(e, L_RIP);
    get_local(e, L_DEPTH);
    emit_i32(e, (int32_t)(uintptr_t)jit_cold);
    op(e, W_RETURN_CALL_INDIRECT);
    wb_u32(&e->b, SIG_REGION);
    wb_u32(&e->b, 0);
    close_block(e);
    emit_store_begin(e);
    get_local(e, L_RIP);
    emit_store_end(e, W_I64_STORE, &c->rip);
    emit_store_begin(e);
    emit_i32(e, LEAVE_CHAIN);
    emit_store_end(e, W_I32_STORE, &jit_shared.status);
    emit_i32(e, JIT_LEFT);
    op(e, W_END);
}

/* A loop around the chain, which is function 0 of the same module. */
static void emit_run_function(struct emit *e, struct cpu *c)
{
    wb_u32(&e->b, 0);
    open_block(e, W_LOOP, W_VOID);
    get_local(e, L_RIP);
    get_local(e, L_DEPTH);
    op(e, W_CALL);
    wb_u32(&e->b, 0);
    op(e, W_I32_EQZ);
    open_block(e, W_IF, W_VOID);
    emit_load_fixed(e, W_I64_LOAD, &c->rip);
    set_local(e, L_RIP);
    branch(e, W_BR, e->depth - 1);
    close_block(e);
    close_block(e);
    emit_i32(e, JIT_LEFT);
    op(e, W_END);
}

static uint32_t run_slot;

void chain_run(struct cpu *c)
{
    ((region_fn *)(uintptr_t)run_slot)(c->rip, 0);
}

bool chain_init(struct cpu *c, bool tail_calls)
{
    static struct emit chain, run;
    void (*const functions[IM_COUNT])(void) = {
        [IM_CHAIN] = (void (*)(void))chain_return,
        [IM_READ] = (void (*)(void))jit_read,
        [IM_WRITE] = (void (*)(void))jit_write,
        [IM_RMW_READ] = (void (*)(void))jit_rmw_read,
        [IM_READ128] = (void (*)(void))jit_read128,
        [IM_WRITE128] = (void (*)(void))jit_write128,
        [IM_SEG_CHECK] = (void (*)(void))jit_seg_check,
        [IM_HANDLER] = (void (*)(void))jit_call_handler,
        [IM_SLOW_FP] = (void (*)(void))jit_slow_fp,
        [IM_STOP] = (void (*)(void))jit_stop,
        [IM_X87] = (void (*)(void))jit_x87_op,
        [IM_SETTLE] = jit_settle,
        [IM_STRAY] = (void (*)(void))jit_stray,
        [IM_MULHU] = (void (*)(void))jit_mulhu,
        [IM_MULHS] = (void (*)(void))jit_mulhs,
    };
    struct wbuf module = { 0 };
    if (tail_calls) {
        const struct wasm_code codes[] = { { .body = &chain.b }, { .body = &run.b } };
        if (!run_slot)
            run_slot = host_jit_slots(1);
        wb_reset(&chain.b);
        wb_reset(&run.b);
        emit_chain_function(&chain, c);
        emit_run_function(&run, c);
        wasm_module(&module, NULL, 0, codes, 2);
    }
    bool ok = !module.failed && (!tail_calls || run_slot) &&
              host_jit_init(functions, IM_COUNT, module.data, module.len, run_slot);
    wb_free(&module);
    return ok;
}
