/*
 * The JIT's run loop: decides what runs as a region and what is interpreted, makes regions, and
 * picks up where a region was left. See jit.h.
 */
#include "jit-wasm/jit.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "cpu/interp.h"
#include "cpu/mem.h"
#include "host/host.h"
#include "jit-wasm/batch.h"
#include "jit-wasm/cache.h"
#include "jit-wasm/emit.h"
#include "jit-wasm/lockstep.h"
#include "jit-wasm/targets.h"

#define NEVER (INT32_MAX / 2)

struct jit_jump jit_jumps[JIT_JUMPS];
struct jit_stats jit_stats;
uint64_t *jit_handler_calls;

static bool tail_calls;

bool jit_available(void)
{
    return host_jit_support() != 0;
}

void jit_enable(struct cpu *c, uint32_t threshold)
{
    unsigned support = host_jit_support();
    jit_cpu = c;
    tail_calls = support & HOST_JIT_TAIL_CALLS;
    decode_init();
    if (!jit_handler_calls)
        jit_handler_calls = calloc(opcode_row_count, sizeof *jit_handler_calls);
    c->jit = support != 0 && jit_handler_calls && chain_init(c, tail_calls);
    block_heat = (int32_t)threshold;
}

/* ---- code addresses ---- */

uintptr_t jit_code_host(struct cpu *c, uint64_t la)
{
    return tlb_probe_code(c, la);
}

/* ---- translation ---- */

/* Bytes of WebAssembly in one function. Above the maximum V8's optimizing compiler changes to a
 * cheaper way of register allocation, with code 2.4 times slower (measured, version 11). */
enum { CODE_MAX = 33000, CODE_AIM = 28000, INSNS_MIN = 32 };
/* So many translated instructions take about a millisecond to make. */
enum { INSNS_LONG = 128 };

/* Finds a region at c->rip and emits its code; again with less code if that was too much. */
static struct region *emit(struct cpu *c, struct region_code *code, struct emit *e)
{
    unsigned max_insns = REGION_MAX_INSNS;
    for (;;) {
        if (!region_discover(code, c, max_insns))
            return NULL;
        flow_mark_loops(code);
        region_live(code);
        struct region *r = region_new(code);
        if (!r)
            return NULL;
        e->tail_calls = tail_calls && !lockstep_on();
        e->lockstep = lockstep_on();
        if (emit_region(e, code, r) && (e->b.len <= CODE_MAX || max_insns <= INSNS_MIN))
            return r;
        region_free(r);
        if (max_insns <= INSNS_MIN)
            return NULL;
        max_insns = e->b.len ? (unsigned)((uint64_t)code->insn_count * CODE_AIM / e->b.len) : 0;
        if (max_insns >= code->insn_count)
            max_insns = code->insn_count / 2;
        if (max_insns < INSNS_MIN)
            max_insns = INSNS_MIN;
    }
}

/* Decoded blocks inside of a region need none of their own so soon; the entry's installs it. Long
 * blocks of a region are several decoded ones. */
static void cool(struct cpu *c, const struct region_code *code)
{
    for (unsigned k = 0; k < code->block_count; k++) {
        const struct rblock *b = &code->blocks[k];
        for (int32_t off = b->off; off < b->end_off;) {
            uintptr_t host = jit_code_host(c, (code->la + (uint64_t)(int64_t)off) & c->la_mask);
            unsigned bytes = host ? block_set_heat(c, host, block_heat) : 0;
            if (!bytes)
                break;
            off += (int32_t)bytes;
        }
    }
}

static struct region *translate(struct cpu *c)
{
    static struct region_code code;
    static struct emit e;
    static unsigned made;
    int64_t start = host_monotonic_ns();
    struct region *r = emit(c, &code, &e);
    if (!r)
        return NULL;
    r->wasm_bytes = (uint32_t)e.b.len;
    if (!batch_add(r, &e)) {
        region_free(r);
        return NULL;
    }
    cache_insert(r, c);
    cool(c, &code);
    block_set_heat(c, r->key.code, block_heat / 8);
    jit_stats.emit_ns += host_monotonic_ns() - start;
    made += code.insn_count;
    if (made > INSNS_LONG) {
        made = 0;
        host_jit_took_long();
    }
    return r;
}

uint64_t jit_stray(uint64_t distance, struct region *r, uint32_t jump)
{
    /* So many new targets make it worth while, and so often. */
    enum { NEW = 3, TIMES = 4 };
    r->strays = REGION_STRAYS;
    r->strays_new += targets_note(jump, (int64_t)distance);
    struct targets *t = targets_of(jump);
    if (r->strays_new < NEW || !t || t->remade >= TIMES || r->dead)
        return 0;
    t->remade++;
    cache_drop(r);
    block_set_heat(jit_cpu, r->key.code, block_heat / 8);
    return 0;
}

/* Tells the jump cache the region at c->rip, whose block is hot: it is made if it doesn't exist,
 * installed if it only waited for that. If there is none to be run, it won't be hot again soon. */
static void find_region(struct cpu *c)
{
    uint64_t la = (c->seg_base[SEG_CS] + c->rip) & c->la_mask;
    if (c->rip > c->cs_limit)
        return;
    uintptr_t host = jit_code_host(c, la);
    if (!host)
        return;
    struct region *r = cache_find(c, host, la);
    if (!r && cache_restless(host)) { /* code that changes is cheaper to interpret */
        block_set_heat(c, host, block_heat * 64);
        return;
    }
    if (!r && batch_full()) { /* that is long enough for now: it is translated the next time */
        batch_install(c);
        block_set_heat(c, host, 1);
        return;
    }
    bool second = r != NULL;
    if (!r)
        r = translate(c);
    if (!r)
        block_set_heat(c, host, NEVER);
    else if (!r->slot && second)
        batch_install(c);
    if (!r || !r->slot || r->dead)
        return;
    batch_used(r);
    block_set_heat(c, host, 0);
    *jit_jump_slot(la) =
        (struct jit_jump){ .la = la, .context = cache_jump_context(c, r, la), .slot = r->slot };
}

/* The table slot of the region at c->rip that the jump cache has, or 0. */
static uint32_t known_slot(struct cpu *c)
{
    uint64_t la = (c->seg_base[SEG_CS] + c->rip) & c->la_mask;
    const struct jit_jump *j = jit_jump_slot(la);
    bool now = j->context == c->jump_context || j->context == c->jump_context_global;
    return j->la == la && now ? j->slot : 0;
}

/* ---- leaving ---- */

/* Registers and flags of a region that was left at @p. */
static void take_state(struct cpu *c, const struct jit_point *p)
{
    uint32_t kind = p->kind == FK_DYN ? jit_shared.left.flags.kind : p->kind;
    for (unsigned k = 0; k < 16; k++) {
        if (p->gprs >> k & 1)
            c->gpr[k] = jit_shared.left.gpr[k];
        if (p->xmms >> k & 1)
            memcpy(&c->xmm[k], jit_shared.left.xmm[k], 16);
    }
    if (kind == FK_MEM) {
        jit_settle();
        return;
    }
    jit_shared.flags.kind = FK_CANON;
    c->fl_z = jit_shared.left.words[0];
    c->fl_s = jit_shared.left.words[1];
    c->fl_co = jit_shared.left.words[2];
    c->fl_a = jit_shared.left.words[3];
    jit_settle_kind(c, (int)kind, &jit_shared.left.flags);
}

bool jit_left(struct cpu *c)
{
    int status = jit_shared.status;
    if (status == LEAVE_CHAIN) {
        jit_settle();
        jit_stats.exits[c->budget > 0 ? LEAVE_CHAIN : LEAVE_BUDGET]++;
        return true;
    }
    if (status == LEAVE_COLD) {
        jit_stats.exits[status]++;
        return false;
    }
    jit_stats.exits[status]++;
    const struct jit_point *p = &jit_shared.region->points[jit_shared.point];
    take_state(c, p);
    uint64_t here = (jit_shared.ip + (uint64_t)(int64_t)p->off) & c->la_mask;
    jit_shared.fault = 0;
    if (p->unused > 0)
        c->budget += p->unused;
    switch (status) {
    case LEAVE_BUDGET: c->rip = here; return false;
    case LEAVE_INTERP: c->rip = here; return false;
    case EXEC_FAULT:
        c->rip = here;
        if (c->exc.vector != EXC_DB)
            c->dr6_pending = 0;
        return false;
    case EXEC_AGAIN: c->rip = here; return false;
    case EXEC_STOP: c->rip = (here + p->len) & c->la_mask; break;
    default: break; /* EXEC_JUMP: the handler has set it */
    }
    c->budget--;
    return false;
}

/* Runs the region in table slot @slot, and those that it goes on to. Returns as jit_left(). */
static bool enter(struct cpu *c, uint32_t slot)
{
    uint64_t start = cpu_icount(c);
    bool on;
    if (unlikely(lockstep_on())) {
        on = lockstep_enter(c, slot);
    } else {
        if (tail_calls)
            chain_run(c);
        else
            ((region_fn *)(uintptr_t)slot)(c->rip, JIT_DEPTH);
        on = jit_left(c);
    }
    jit_stats.insns += cpu_icount(c) - start;
    jit_stats.entries++;
    return on;
}

/* interp_run(), as c->slow allows. */
static void interpret(struct cpu *c)
{
    int32_t rest = c->budget > c->slow ? c->budget - c->slow : 0;
    c->budget -= rest;
    c->icount -= (uint64_t)rest;
    uint64_t start = cpu_icount(c);
    interp_run(c);
    c->slow -= (int32_t)(cpu_icount(c) - start);
    c->budget += rest;
    c->icount += (uint64_t)rest;
}

/* Back to C: all state is in the CPU. */
static uint32_t cold_left(int status)
{
    jit_shared.status = status;
    return JIT_LEFT;
}

uint32_t jit_cold(uint64_t rip, uint32_t depth)
{
    struct cpu *c = jit_cpu;
    uint64_t back = jit_shared.back[depth];
    c->rip = rip;
    if (depth >= JIT_DEPTH)
        return cold_left(LEAVE_CHAIN);
    jit_settle();
    jit_stats.cold++;
    for (;;) {
        uint32_t slot = cpu_alignment_checked(c) ? 0 : known_slot(c);
        if (slot && c->budget > 0) {
            jit_shared.back[depth + 1] = back;
            if (((region_fn *)(uintptr_t)slot)(c->rip, depth + 1) == JIT_LEFT)
                return JIT_LEFT;
            if (c->rip == back)
                return JIT_RETURNED;
            jit_settle();
            continue;
        }
        uint64_t start = cpu_icount(c);
        c->jit_back = back;
        interpret(c);
        c->jit_back = CPU_NO_RIP;
        jit_stats.insns -= cpu_icount(c) - start;
        if (cpu_alignment_checked(c))
            break;
        if (c->jit_met) {
            c->jit_met = false;
            jit_hold_budget(c);
            return JIT_RETURNED;
        }
        if (!c->jit_hot)
            break;
        c->jit_hot = false;
        find_region(c);
        if (c->slow <= 0 || (c->intr && interrupt_wanted(c)))
            break;
    }
    c->jit_hot = c->jit_met = false;
    return cold_left(LEAVE_COLD);
}

void jit_run(struct cpu *c)
{
    if (cpu_alignment_checked(c)) { /* not in translated code */
        c->jit = false;
        interp_run(c);
        c->jit = true;
        return;
    }
    cache_reap();
    for (bool hot = false;; hot = c->jit_hot) {
        c->jit_hot = false;
        if (unlikely(c->budget <= 0 || c->slow <= 0 || (c->intr && interrupt_wanted(c))))
            break;
        if (cpu_alignment_checked(c))
            break;
        uint32_t slot = known_slot(c);
        if (!slot && hot) {
            find_region(c);
            slot = known_slot(c);
        }
        if (slot) {
            if (enter(c, slot))
                continue;
            if (jit_shared.status == LEAVE_INTERP) {
                jit_release_budget(c);
                interp_step(c);
            }
            break;
        }
        interpret(c);
        if (!c->jit_hot)
            break;
    }
    jit_release_budget(c);
}
