/*
 * The interpreter: runs decoded blocks.
 *
 * interp_run() is one loop over instructions. Those of HOT_LIST are inlined into it as cases, all
 * others are called through insn.fn. The next block is one that this one is linked to, or comes
 * from the jump cache; only a miss goes to block.c. The budget is charged for a whole block when it
 * is entered and corrected when the block is left early, so that nothing is counted instruction by
 * instruction.
 *
 * Native compilers get a jump at the end of every case (labels as values), which gives each
 * instruction a branch prediction of its own. In WebAssembly there is no such jump: there it is a
 * switch, which V8 turns into a jump table; tail calls from handler to handler measured 2-5 times
 * slower than that.
 */
#include "cpu/interp.h"

#include "cpu/block.h"
#include "cpu/ops_hot.h"
#include "jit-wasm/region.h"
#include "jit-wasm/targets.h"

static inline bool jump_fits(const struct cpu *c, const struct jump_entry *j, uint64_t la)
{
    return j->la == la && (j->context == c->jump_context || j->context == c->jump_context_global) &&
           j->block->code && c->rip + j->block->bytes - 1 <= c->cs_limit;
}

static inline uint64_t code_address(const struct cpu *c)
{
    return (c->seg_base[SEG_CS] + c->rip) & c->la_mask;
}

static inline struct block *next_block(struct cpu *c)
{
    uint64_t la = code_address(c);
    struct jump_entry *j = jump_slot(c, la);
    if (likely(jump_fits(c, j, la))) {
        c->gpr[REG_IP] = c->rip;
        return j->block;
    }
    return block_find(c, false);
}

/* What a block's links rely on besides themselves. */
struct links_of {
    uint32_t context; /* c->jump_context at the block's entry: its page is still where it was */
    uint64_t flushes;
};
static inline struct links_of links_now(const struct cpu *c)
{
    return (struct links_of){ c->jump_context, block_stats.flushes };
}

static inline int64_t distance(const struct block *from, const struct block *to)
{
    return (intptr_t)(to->code - from->code);
}

/* @b, whose first instruction is at @from, branched to rip: an indirect jump's target is noted. */
static void note_target(const struct cpu *c, const struct block *b, uint64_t from)
{
    const struct insn *last = &b->insns[b->count - 1];
    if (b->code && insn_end(last) == BE_DYN)
        targets_note(b->code + last->off, (int64_t)(c->rip - from - last->off));
}

/* Not linked: finds the block at rip and links it to @b. */
static __attribute__((noinline)) struct block *link_block(struct cpu *c, struct block *b,
                                                          bool branch, struct links_of *at)
{
    uint64_t from = c->gpr[REG_IP];
    struct block *n = next_block(c);
    struct links_of before = *at;
    if (branch && n)
        note_target(c, b, from);
    *at = links_now(c);
    if (!n || !n->code || !b->code || before.context != at->context ||
        before.flushes != at->flushes)
        return n;
    if ((b->code ^ n->code) < 4096 && distance(b, n) == (int64_t)(c->rip - from)) {
        b->near[branch] = n;
    } else {
        const struct jump_entry *j = jump_slot(c, code_address(c));
        if (j->block == n)
            b->far = *j;
    }
    return n;
}

/* The block at rip, to which @b went. */
static inline struct block *follow(struct cpu *c, struct block *b, bool branch, struct links_of *at)
{
    struct block *n = b->near[branch];
    if (unlikely(c->jump_context != at->context || block_stats.flushes != at->flushes))
        return link_block(c, b, branch, at);
    /* Within a page, what is so far from here in linear addresses is so far in the host's. */
    if (distance(b, n) == (int64_t)(c->rip - c->gpr[REG_IP]) && b->code &&
        c->rip + n->bytes - 1 <= c->cs_limit) {
        c->gpr[REG_IP] = c->rip;
        return n;
    }
    if (jump_fits(c, &b->far, code_address(c))) {
        c->gpr[REG_IP] = c->rip;
        return b->far.block;
    }
    return link_block(c, b, branch, at);
}

void interp_run(struct cpu *c)
{
    struct block *b = NULL;
    struct links_of at;
    const struct insn *i;
    enum exec r;
    bool branch;

enter:
    if (unlikely(c->budget <= 0 || (c->intr && interrupt_wanted(c))))
        return;
    if (unlikely(c->rip == c->jit_back)) {
        c->jit_met = true;
        return;
    }
    if (b) {
        b = follow(c, b, branch, &at);
    } else {
        b = next_block(c);
        at = links_now(c);
    }
    if (unlikely(!b))
        return;
    if (unlikely((b->heat -= b->count) < 0) && c->jit) {
        c->jit_hot = true;
        return;
    }
    c->budget -= b->count;
    i = b->insns;

#ifdef __wasm__
#define CASE(n)                                                                                    \
    case H_##n:                                                                                    \
        r = x_##n(c, i);                                                                           \
        if (r != EXEC_NEXT)                                                                        \
            goto leave;                                                                            \
        break;
#define NO_CASE(n)
    for (;; i++) {
        switch (i->h) {
            HOT_LIST(CASE, NO_CASE)
        case H_END: goto end;
        case H_RELOOK: goto relook;
        default:
            r = i->fn(c, i);
            if (unlikely(r != EXEC_NEXT))
                goto leave_called;
            break;
        }
    }
#else
#define LABEL(n)    &&label_##n,
#define NO_LABEL(n) &&call,
    static const void *const labels[] = { &&call, HOT_LIST(LABEL, NO_LABEL) && end, &&relook };
#define DISPATCH()  goto *labels[i->h]
#define CASE(n)                                                                                    \
    label_##n : r = x_##n(c, i);                                                                   \
    if (r != EXEC_NEXT)                                                                            \
        goto leave;                                                                                \
    i++;                                                                                           \
    DISPATCH();
#define NO_CASE(n)
    DISPATCH();
    HOT_LIST(CASE, NO_CASE)
call:
    r = i->fn(c, i);
    if (unlikely(r != EXEC_NEXT))
        goto leave_called;
    i++;
    DISPATCH();
#endif

leave: /* a hot instruction: branched or faulted */
    branch = true;
    if (likely(r == EXEC_JUMP))
        goto enter;
leave_called:
    /* This instruction counts only if it happened; those after it don't. */
    c->budget += b->count - (int32_t)(i - b->insns) - (r != EXEC_FAULT && r != EXEC_AGAIN);
    if (r == EXEC_JUMP)
        return; /* a far transfer or the like: let cpu_run() look around */
    c->rip = r == EXEC_STOP ? cpu_next_rip(c, i) : cpu_insn_rip(c, i);
    if (r == EXEC_FAULT && c->exc.vector != EXC_DB)
        c->dr6_pending = 0;
    return;
relook:
    c->budget += b->count - (int32_t)(i - b->insns);
end:
    c->rip = cpu_insn_rip(c, i);
    branch = false;
    goto enter;
}

enum exec interp_one(struct cpu *c)
{
    const struct block *b = block_find(c, true);
    if (!b)
        return EXEC_FAULT;
    const struct insn *i = b->insns;
    enum exec r = i->fn(c, i);
    if (r == EXEC_FAULT || r == EXEC_AGAIN) {
        c->rip = cpu_insn_rip(c, i);
        return r;
    }
    c->budget--;
    if (r != EXEC_JUMP)
        c->rip = cpu_next_rip(c, i);
    return r;
}

void interp_step(struct cpu *c)
{
    if (!dbg_before(c)) {
        c->shadow = c->shadow_ss = false;
        return;
    }
    c->shadow = c->shadow_ss = false;
    const struct block *b = block_find(c, true);
    if (!b)
        return;
    const struct insn *i = b->insns;
    uint32_t rep_limit = c->rep_limit;
    c->rep_limit = 1;
    enum exec r = i->fn(c, i);
    c->rep_limit = rep_limit;
    c->budget--;
    if (r == EXEC_FAULT) {
        c->rip = cpu_insn_rip(c, i);
        if (c->exc.vector != EXC_DB)
            c->dr6_pending = 0;
        return;
    }
    if (r != EXEC_JUMP)
        c->rip = r == EXEC_AGAIN ? cpu_insn_rip(c, i) : cpu_next_rip(c, i);
    dbg_after(c);
}
