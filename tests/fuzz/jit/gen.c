/*
 * The structure of a random program: functions that call only later ones (and themselves, counted),
 * nested loops, branches, tables, and in them runs of random instructions (rows.c) and patterns:
 * self-modifying stores, faults, stack and string work, single-step.
 *
 * Everything ends: each loop has a counter that nothing else writes, and a budget of instructions
 * is divided among loops and calls. What spoils that all the same (a fault that skips a push, a
 * return address that was overwritten) ends with the events' limit or isn't taken (host_run.c).
 *
 * Registers: one may hold DATA, up to two count loops; the rest is the pool that random
 * instructions change. Things that make an event are rare in hot loops: behind a test of the
 * innermost loop's counter.
 */
#include <stdlib.h>
#include <string.h>

#include "asm.h"
#include "cpu/cpu.h"

#define SLOTS        0x3e00 /* of 8 bytes, up to 0x4000: counters */
#define FUNCTIONS    6
#define PENDING_DATA 64

struct function {
    int label;
    unsigned cost, pop, skip; /* bytes that RET pops; bytes after the call that it skips */
    int32_t recursion_slot;   /* set before the call; -1: doesn't recurse */
};
struct pending {
    int label;
    bool table;
    int entries[16];
    unsigned count;
    uint8_t bytes[16];
    unsigned align;
};
struct ctx {
    struct gen g;
    struct function functions[FUNCTIONS];
    unsigned function_count; /* those that may be called: generated already */
    int counters[2];
    bool counter_used[2];
    bool in_function, ring0;
    struct pending pending[PENDING_DATA];
    unsigned pending_count;
    int smc_targets[16]; /* labels of "add r32, imm32" whose immediate is at the end */
    unsigned smc_target_count;
};

static unsigned body(struct ctx *c, unsigned budget, unsigned segments);

/* ---- helpers ---- */

static int32_t new_slot(struct gen *g)
{
    return SLOTS + (int32_t)(g->next_slot++ % 60) * 8;
}

static struct pending *new_pending(struct ctx *c)
{
    static struct pending spare;
    struct pending *p = c->pending_count < PENDING_DATA ? &c->pending[c->pending_count++] : &spare;
    *p = (struct pending){ .label = new_label(&c->g), .align = 1 };
    return p;
}
static int constant(struct ctx *c, const void *bytes, unsigned n)
{
    struct pending *p = new_pending(c);
    memcpy(p->bytes, bytes, n);
    p->count = n;
    return p->label;
}
static void put_pending(struct ctx *c)
{
    struct gen *g = &c->g;
    for (unsigned k = 0; k < c->pending_count; k++) {
        struct pending *p = &c->pending[k];
        put_label(g, p->label);
        if (!p->table)
            put_data(g, p->bytes, p->count);
        else
            for (unsigned n = 0; n < p->count; n++)
                put_data_address(g, p->entries[n]);
    }
    c->pending_count = 0;
}

/* [table + index * pointer size]: ModRM.reg 2 call, 4 jump, 6 push (opcode FF), or a load. */
static void put_table_op(struct gen *g, unsigned opcode, unsigned reg, int table, int index)
{
    static const uint8_t scale[] = { 3, 2, 1, 2 };
    uint8_t b[16] = { 0 };
    unsigned n = 0, rex = 0;
    if (g->bits == BITS16) {
        b[n++] = 0x65;
        b[n++] = 0x67;
    }
    if (index >= 8)
        rex |= 0x42;
    if (opcode == 0x8b && g->bits == BITS64)
        rex |= 0x48 | (reg >= 8 ? 4 : 0);
    if (rex)
        b[n++] = (uint8_t)rex;
    b[n++] = (uint8_t)opcode;
    b[n++] = (uint8_t)((reg & 7) << 3 | 4);
    b[n++] = (uint8_t)(scale[g->bits] << 6 | (index & 7) << 3 | 5);
    struct item *i = put_bytes(g, b, n + 4);
    i->fix[0] = (struct fix){ (uint8_t)n, FIX_ABS32, (int16_t)table, 0 };
}

/* Address of a label in a register, as calls and jumps take it. */
static void put_label_address(struct gen *g, int r, int label)
{
    if (g->bits == BITS64 && chance(g, 2)) {
        put_lea(g, SZ64, r, at_label(g, label, 0));
        return;
    }
    if (g->bits == BITS16) {
        struct mem m = at_label(g, label, 0);
        m.seg = 0;
        put_lea(g, SZ16, r, m);
        return;
    }
    put_mov_ri(g, SZ32, r, 0);
    struct item *i = &g->p->items[g->p->item_count - 1];
    i->fix[0] = (struct fix){ (uint8_t)(i->len - 4), FIX_ABS32, (int16_t)label, 0 };
}

/* FF /2 or /4 with a register. */
static void put_indirect(struct gen *g, unsigned op, int r)
{
    put_op(g, g->bits == BITS16 ? SZ16 : SZ32, 0, 0xff, (int)op, r, NULL, 0, 0);
}

/* What follows, up to put_label() of the result, happens in a few iterations of the loop only. */
static int rare_begin(struct gen *g)
{
    int over = new_label(g);
    static const uint8_t masks[] = { 7, 15, 15, 31 };
    int32_t mask = masks[below(g, 4)];
    if (g->counter_reg != NO_REG)
        put_op(g, SZ32, 0, 0xf7, 0, g->counter_reg, NULL, (uint64_t)mask, 4);
    else if (g->counter_slot >= 0) {
        struct mem m = at_data(g, g->counter_slot);
        put_op(g, SZ32, 0, 0xf7, 0, NO_REG, &m, (uint64_t)mask, 4);
    } else
        return over;
    put_jump(g, CC_NE, over);
    return over;
}

/* A register of the pool with a small index in it, 0 to @n - 1 (a power of two). */
static int put_index(struct gen *g, unsigned n)
{
    int r = random_reg(g);
    if (g->bits == BITS16 || chance(g, 2))
        put_movzx8(g, r, (int)below(g, g->bits == BITS64 ? 16 : 4));
    put_alu_ri(g, ALU_AND, SZ32, r, (int32_t)n - 1);
    return r;
}

static void maybe_compare(struct gen *g)
{
    unsigned size = below(g, 4);
    if (size == SZ64 && g->bits != BITS64)
        size = SZ32;
    switch (below(g, 5)) {
    case 0:
        if (size != SZ8)
            put_alu_rr(g, ALU_CMP, size, random_reg(g), random_reg(g));
        break;
    case 1:
        if (size != SZ8)
            put_alu_ri(g, ALU_CMP, size, random_reg(g), (int32_t)interesting(g));
        break;
    case 2: { /* TEST */
        int r = random_reg(g);
        put_op(g, size == SZ8 ? SZ32 : size, 0, 0x85, r, chance(g, 2) ? r : random_reg(g), NULL, 0,
               0);
        break;
    }
    case 3:
        put_alu_mi(g, ALU_CMP, SZ32, at_data(g, (int32_t)below(g, 0x3d00)),
                   (int32_t)interesting(g));
        break;
    default: break; /* flags of some block before */
    }
}

/* ---- control flow ---- */

static unsigned put_branch(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    int other = new_label(g), end = new_label(g);
    maybe_compare(g);
    put_jump(g, below(g, 16), other);
    unsigned cost = 2 + body(c, budget / 2, 1 + below(g, 2));
    if (chance(g, 2)) {
        put_jump(g, JUMP_JMP, end);
        put_label(g, other);
        cost += body(c, budget / 2, 1);
    } else {
        put_label(g, other);
    }
    put_label(g, end);
    return cost;
}

static void put_step_down(struct ctx *c, int r, int32_t slot, int again, int out, unsigned form,
                          unsigned trips)
{
    struct gen *g = &c->g;
    unsigned size = g->bits == BITS16 ? SZ16 : chance(g, 2) ? word_size(g) : SZ32;
    if (r == NO_REG) {
        struct mem m = at_data(g, slot);
        if (form == 5) {
            put_alu_mi(g, ALU_ADD, SZ32, m, 1);
            put_alu_mi(g, ALU_CMP, SZ32, at_data(g, slot), (int32_t)trips);
            put_jump(g, chance(g, 2) ? CC_B : CC_L, again);
            return;
        }
        if (chance(g, 2))
            put_op(g, SZ32, 0, 0xff, 1, NO_REG, &m, 0, 0);
        else
            put_alu_mi(g, ALU_SUB, SZ32, m, 1);
        put_jump(g, chance(g, 2) ? CC_NE : CC_G, again);
        return;
    }
    struct mem less = MEM_NONE;
    less.base = r;
    less.disp = -1;
    less.addr32 = g->bits == BITS16;
    switch (form) {
    case 0:
        put_op(g, size, 0, 0xff, 1, r, NULL, 0, 0);
        put_jump(g, CC_NE, again);
        break;
    case 1:
        put_alu_ri(g, ALU_SUB, size, r, 1);
        put_jump(g, chance(g, 2) ? CC_NE : CC_A, again);
        break;
    case 2:
        put_alu_ri(g, ALU_ADD, size, r, -1);
        put_jump(g, CC_B, again);
        break;
    case 3:
        put_lea(g, g->bits == BITS16 ? SZ32 : word_size(g), r, less);
        put_op(g, SZ32, 0, 0x85, r, r, NULL, 0, 0);
        put_jump(g, chance(g, 2) ? CC_NE : CC_G, again);
        break;
    case 4: /* flags go on to the next iteration */
        if (chance(g, 2)) {
            put_jump(g, JUMP_LOOP, again);
        } else {
            put_lea(g, g->bits == BITS16 ? SZ32 : word_size(g), r, less);
            put_jump(g, JUMP_CXZ, out);
            put_jump(g, JUMP_JMP, again);
        }
        break;
    default:
        put_op(g, size, 0, 0xff, 0, r, NULL, 0, 0);
        put_alu_ri(g, ALU_CMP, size, r, (int32_t)trips);
        put_jump(g, chance(g, 2) ? CC_B : CC_L, again);
        break;
    }
}

static unsigned put_loop(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    unsigned trips = chance(g, 3) ? 3 + below(g, 10) : 20 + below(g, 100);
    if (chance(g, 10))
        trips = 300;
    while (trips > 3 && budget / trips < 12)
        trips /= 2;
    int which = !c->counter_used[0] && c->counters[0] != NO_REG   ? 0
                : !c->counter_used[1] && c->counters[1] != NO_REG ? 1
                                                                  : -1;
    if (chance(g, 3))
        which = -1;
    int r = which < 0 ? NO_REG : c->counters[which], old_reg = g->counter_reg;
    int32_t slot = new_slot(g), old_slot = g->counter_slot;
    unsigned form = below(g, 6);
    if (form == 4 && r != RCX)
        form = below(g, 4);
    if (r == RCX && chance(g, 2))
        form = 4;
    bool save = r != NO_REG && (c->in_function || chance(g, 8));
    unsigned start = form == 5 ? 0 : trips;
    if (save)
        put_push(g, r);
    if (r == NO_REG)
        put_store_imm(g, SZ32, at_data(g, slot), (int32_t)start);
    else
        put_mov_ri(g, SZ32, r, start);
    if (which >= 0)
        c->counter_used[which] = true;
    g->counter_reg = r;
    g->counter_slot = r == NO_REG ? slot : -1;
    g->depth++;
    int again = new_label(g), middle = new_label(g), next = new_label(g), out = new_label(g);
    bool enter_middle = chance(g, 6);
    if (enter_middle)
        put_jump(g, chance(g, 2) ? JUMP_JMP : below(g, 16), middle);
    if (chance(g, 8))
        put_seek(g, 4, 0); /* as compilers align loops: the gap is #BP, so jump over it */
    if (g->p->items[g->p->item_count - 1].kind == ITEM_SEEK) {
        g->p->item_count--;
        put_jump(g, JUMP_JMP, again);
        put_seek(g, 4, 0);
    }
    put_label(g, again);
    unsigned inner = budget / trips;
    unsigned cost = body(c, inner / 2, 1 + below(g, 2));
    if (chance(g, 4))
        put_jump(g, below(g, 16), next);
    put_label(g, middle);
    cost += body(c, inner / 2, 1 + below(g, 2));
    if (chance(g, 10))
        put_jump(g, below(g, 16), out);
    put_label(g, next);
    put_step_down(c, r, slot, again, out, form, trips);
    put_label(g, out);
    if (save)
        put_pop(g, r);
    g->depth--;
    if (which >= 0)
        c->counter_used[which] = false;
    g->counter_reg = old_reg;
    g->counter_slot = old_slot;
    return trips * (cost + 3);
}

/* Blocks that jump to each other as they like, for a number of jumps. */
static unsigned put_spaghetti(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    enum { BLOCKS = 8 };
    int labels[BLOCKS], out = new_label(g), table = 0, r = NO_REG;
    unsigned count = 3 + below(g, BLOCKS - 2), cost = 0,
             fuel = budget / 20 > 200 ? 200 : 4 + budget / 20;
    int32_t slot = new_slot(g);
    bool by_reg = c->counters[0] == RCX && !c->counter_used[0] && !c->in_function;
    if (by_reg) {
        r = RCX;
        c->counter_used[0] = true;
        put_mov_ri(g, SZ32, r, fuel);
    } else {
        put_store_imm(g, SZ32, at_data(g, slot), (int32_t)fuel);
    }
    for (unsigned k = 0; k < BLOCKS; k++)
        labels[k] = k < count ? new_label(g) : labels[k % count];
    if (chance(g, 2)) {
        struct pending *p = new_pending(c);
        p->table = true;
        p->count = 8;
        memcpy(p->entries, labels, sizeof labels);
        table = p->label;
    }
    int old_reg = g->counter_reg;
    int32_t old_slot = g->counter_slot;
    g->counter_reg = r;
    g->counter_slot = by_reg ? -1 : slot;
    for (unsigned k = 0; k < count; k++) {
        put_label(g, labels[k]);
        unsigned n = 1 + below(g, 5);
        put_run(g, n);
        cost += n * 2;
        if (by_reg) {
            struct mem less = MEM_NONE;
            less.base = r;
            less.disp = -1;
            less.addr32 = g->bits == BITS16;
            put_lea(g, g->bits == BITS16 ? SZ32 : word_size(g), r, less);
            put_jump(g, JUMP_CXZ, out);
        } else {
            struct mem m = at_data(g, slot);
            put_op(g, SZ32, 0, 0xff, 1, NO_REG, &m, 0, 0);
            put_jump(g, chance(g, 2) ? CC_E : CC_LE, out);
        }
        for (unsigned n2 = below(g, 3); n2--;) {
            maybe_compare(g);
            put_jump(g, below(g, 16), labels[below(g, count)]);
        }
        if (table && chance(g, 2)) {
            int index = put_index(g, 8);
            put_table_op(g, 0xff, 4, table, index);
        } else {
            put_jump(g, JUMP_JMP, labels[below(g, count)]);
        }
    }
    put_label(g, out);
    if (by_reg)
        c->counter_used[0] = false;
    g->counter_reg = old_reg;
    g->counter_slot = old_slot;
    return fuel * (cost / count + 5);
}

/* On to one of the @count entries of @table, with flags that what comes next may read. */
static void put_dispatch(struct gen *g, int table, unsigned count)
{
    int index = put_index(g, count);
    if (chance(g, 2))
        maybe_compare(g);
    if (g->bits != BITS16 && chance(g, 2)) {
        int r = random_reg(g);
        put_table_op(g, 0x8b, (unsigned)r, table, index);
        put_indirect(g, 4, r);
    } else {
        put_table_op(g, 0xff, 4, table, index);
    }
}

/* An interpreter whose operations jump to the next one, each by itself or all in one place. Some
 * entries of its table lie in the middle of an operation, and entries change. */
static unsigned put_interpreter(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    enum { OPERATIONS = 12 };
    struct pending *p = new_pending(c);
    int labels[OPERATIONS], inner[OPERATIONS], out = new_label(g), shared = new_label(g);
    int table = p->label, old_reg = g->counter_reg;
    unsigned count = 2 + below(g, OPERATIONS - 1), entries = chance(g, 2) ? 8 : 16, cost = 0;
    unsigned fuel = budget / 12 > 400 ? 400 : 10 + budget / 12, word = word_size(g);
    int32_t slot = new_slot(g), old_slot = g->counter_slot;
    bool one_place = chance(g, 3);
    p->table = true;
    p->count = entries;
    for (unsigned k = 0; k < count; k++) {
        labels[k] = new_label(g);
        inner[k] = new_label(g);
    }
    for (unsigned k = 0; k < entries; k++) {
        unsigned to = k < count ? k : below(g, count);
        p->entries[k] = chance(g, 6) ? inner[to] : labels[to];
    }
    put_store_imm(g, SZ32, at_data(g, slot), (int32_t)fuel);
    g->counter_reg = NO_REG;
    g->counter_slot = slot;
    put_dispatch(g, table, entries);
    for (unsigned k = 0; k < count; k++) {
        put_label(g, labels[k]);
        if (chance(g, 3))
            put_jump(g, below(g, 16), inner[below(g, count)]);
        put_run(g, below(g, 4));
        put_label(g, inner[k]);
        put_run(g, 1 + below(g, 3));
        cost += 8;
        if (chance(g, 5)) {
            int over = rare_begin(g);
            if (chance(g, 2)) {
                put_label_address(g, RAX, chance(g, 4) ? inner[k] : labels[below(g, count)]);
                put_store(g, word, at_label(g, table, (int32_t)(below(g, entries) << word)), RAX);
            } else {
                cost += body(c, 20, 1);
            }
            put_label(g, over);
        } else if (chance(g, 6)) {
            cost += body(c, budget / fuel, 1);
        }
        struct mem m = at_data(g, slot);
        put_op(g, SZ32, 0, 0xff, 1, NO_REG, &m, 0, 0);
        put_jump(g, CC_LE, out);
        if (one_place && !chance(g, 6))
            put_jump(g, JUMP_JMP, shared);
        else
            put_dispatch(g, table, entries);
    }
    put_label(g, shared);
    put_dispatch(g, table, entries);
    put_label(g, out);
    g->counter_reg = old_reg;
    g->counter_slot = old_slot;
    return fuel * (cost / count + 6);
}

static unsigned put_switch(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    struct pending *p = new_pending(c);
    unsigned count = chance(g, 2) ? 4 : 8, cost = 5;
    int table = p->label, labels[8], end = new_label(g);
    p->table = true;
    p->count = count;
    for (unsigned k = 0; k < count; k++)
        labels[k] = p->entries[k] = k && chance(g, 3) ? labels[below(g, k)] : new_label(g);
    int index = put_index(g, count);
    if (g->bits != BITS16 && chance(g, 3)) {
        int r = random_reg(g);
        put_table_op(g, 0x8b, (unsigned)r, table, index);
        put_indirect(g, 4, r);
    } else if (chance(g, 8)) {
        put_table_op(g, 0xff, 6, table, index); /* PUSH, RET */
        put_ret(g);
    } else {
        put_table_op(g, 0xff, 4, table, index);
    }
    for (unsigned k = 0; k < count; k++) {
        bool seen = false;
        for (unsigned j = 0; j < k; j++)
            seen |= labels[j] == labels[k];
        if (seen)
            continue;
        put_label(g, labels[k]);
        cost += body(c, budget / count, 1);
        if (!chance(g, 4)) /* or fall through */
            put_jump(g, JUMP_JMP, end);
    }
    put_label(g, end);
    return cost;
}

static unsigned put_call(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    for (int tries = 0; tries < 4 && c->function_count; tries++) {
        struct function *f = &c->functions[below(g, c->function_count)];
        unsigned depth = f->recursion_slot < 0 ? 1 : 2 + below(g, 12);
        if (f->cost * depth + 6 > budget)
            continue;
        if (f->recursion_slot >= 0)
            put_store_imm(g, SZ32, at_data(g, f->recursion_slot), (int32_t)depth);
        if (f->pop) {
            if (chance(g, 2))
                put_alu_ri(g, ALU_SUB, g->bits == BITS16 ? SZ16 : word_size(g), RSP,
                           (int32_t)f->pop);
            else
                for (unsigned n = 0; n < f->pop; n += 1u << word_size(g))
                    put_push(g, random_reg(g));
        }
        switch (below(g, 5)) {
        case 0: {
            int r = random_reg(g);
            put_label_address(g, r, f->label);
            put_indirect(g, 2, r);
            break;
        }
        case 1:
            if (!f->skip) {
                struct pending *p = new_pending(c);
                p->table = true;
                p->count = 4;
                for (unsigned k = 0; k < 4; k++)
                    p->entries[k] = f->label;
                int table = p->label, index = put_index(g, 4);
                put_table_op(g, 0xff, 2, table, index);
                break;
            }
            put_jump(g, JUMP_CALL, f->label);
            break;
        case 2:
            if (!f->skip && g->bits != BITS16) { /* a return address that no CALL pushed */
                int r = random_reg(g), back = new_label(g);
                put_label_address(g, r, back);
                put_push(g, r);
                put_jump(g, JUMP_JMP, f->label);
                put_label(g, back);
                break;
            }
            put_jump(g, JUMP_CALL, f->label);
            break;
        default: put_jump(g, JUMP_CALL, f->label); break;
        }
        for (unsigned n = 0; n < f->skip; n++)
            put_1(g, n & 1 ? 0x90 : 0xf5);
        return f->cost * depth + 6;
    }
    return 0;
}

/* ---- stack ---- */

static void put_popf(struct gen *g, int r, uint32_t keep, uint32_t set)
{
    put_alu_ri(g, ALU_AND, SZ32, r, (int32_t)keep);
    put_alu_ri(g, ALU_OR, SZ32, r, (int32_t)(set | 0x202)); /* IF, for ring 0 */
    put_push(g, r);
    put_1(g, 0x9d);
}

static unsigned put_stack_work(struct ctx *c)
{
    struct gen *g = &c->g;
    unsigned word = word_size(g);
    switch (below(g, 8)) {
    case 0: { /* registers pushed, popped elsewhere */
        unsigned n = 1 + below(g, 4);
        for (unsigned k = 0; k < n; k++)
            put_push(g, random_reg(g));
        put_run(g, below(g, 3));
        for (unsigned k = 0; k < n; k++)
            put_pop(g, random_reg(g));
        return 2 * n + 2;
    }
    case 1: { /* memory and immediates */
        struct mem m = at_data(g, (int32_t)below(g, 0x3d00));
        put_op(g, g->bits == BITS16 ? SZ16 : SZ32, 0, 0xff, 6, NO_REG, &m, 0, 0);
        if (chance(g, 2))
            put_2(g, 0x6a, below(g, 256));
        else {
            uint8_t b[5] = { 0x68 };
            uint32_t v = (uint32_t)interesting(g);
            memcpy(b + 1, &v, 4);
            put_bytes(g, b, g->bits == BITS16 ? 3 : 5);
        }
        m = at_data(g, (int32_t)below(g, 0x3d00));
        put_op(g, g->bits == BITS16 ? SZ16 : SZ32, 0, 0x8f, 0, NO_REG, &m, 0, 0);
        put_pop(g, random_reg(g));
        return 4;
    }
    case 2: { /* ENTER, locals, LEAVE */
        if (!(g->pool >> RBP & 1))
            return 0;
        uint8_t enter[4] = { 0xc8, (uint8_t)(16 * below(g, 8)), 0,
                             (uint8_t)(chance(g, 3) ? below(g, 3) : 0) };
        put_push(g, RBP);
        put_mov_rr(g, word_size(g), RBP, RSP); /* nesting levels read what it points to */
        put_bytes(g, enter, 4);
        uint32_t pool = g->pool;
        g->pool &= ~(1u << RBP);
        put_run(g, 2);
        g->pool = pool;
        put_1(g, 0xc9);
        put_pop(g, random_reg(g));
        return 6;
    }
    case 3: /* PUSHA, POPA */
        if (g->bits == BITS64)
            return 0;
        put_1(g, 0x60);
        put_run(g, 2);
        put_1(g, 0x61);
        return 4;
    case 4: { /* locals */
        unsigned size = 64 + 16 * below(g, 4);
        put_alu_ri(g, ALU_SUB, word, RSP, (int32_t)size);
        for (unsigned k = 0; k < 3; k++) {
            struct mem m = MEM_NONE;
            m.base = RSP;
            m.addr32 = g->bits == BITS16;
            m.disp = (int32_t)below(g, 56);
            if (chance(g, 2))
                put_store(g, SZ32, m, random_reg(g));
            else
                put_op(g, SZ32, 0, 0x03, random_reg(g), NO_REG, &m, 0, 0);
        }
        if (g->bits == BITS16) /* upper half of ESP: 0 */
            put_alu_ri(g, ALU_ADD, SZ16, RSP, (int32_t)size);
        else {
            struct mem m = MEM_NONE;
            m.base = RSP;
            m.disp = (int32_t)size;
            put_lea(g, word, RSP, m);
        }
        return 6;
    }
    case 5: { /* POPF of anything */
        int r = random_reg(g);
        put_popf(g, r, 0x8c5, 0);
        return 4;
    }
    case 6: { /* the other operand size */
        if (g->bits == BITS64) {
            put_2(g, 0x66, 0x50 | (unsigned)RCX);
            int r = random_reg(g) & 7;
            if (!(g->pool >> r & 1))
                r = RAX;
            put_2(g, 0x66, 0x58 | (unsigned)r);
        } else {
            put_2(g, 0x66, 0x50 | (unsigned)RBX);
            put_2(g, 0x66, 0x58 | (unsigned)random_reg(g));
        }
        return 2;
    }
    default: { /* CALL next, POP: where am I */
        int next = new_label(g);
        put_jump(g, JUMP_CALL, next);
        put_label(g, next);
        int r = random_reg(g);
        put_pop(g, r);
        /* The layout changes when instructions are left out: so doesn't the result. */
        put_alu_ri(g, ALU_AND, SZ32, r, 0);
        return 3;
    }
    }
}

/* ---- strings ---- */

static unsigned put_string(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    uint32_t need = 1u << RSI | 1u << RDI | 1u << RCX;
    if ((g->pool & need) != need)
        return 0;
    static const uint8_t ops[] = { 0xa4, 0xa4, 0xaa, 0xaa, 0xac, 0xa6, 0xae };
    unsigned op = ops[below(g, 7)] | (chance(g, 2) ? 1 : 0);
    unsigned most = budget < 40 ? 1 : budget > 4000 ? 1000 : budget / 4;
    unsigned count = chance(g, 6) ? 0 : 1 + below(g, chance(g, 2) ? (most < 40 ? most : 40) : most);
    bool down = chance(g, 5), rep = chance(g, 4) ? false : true;
    unsigned size = op & 1 ? (chance(g, 2) ? word_size(g) : g->bits == BITS64 ? SZ32 : SZ16) : SZ8;
    if (count > 0x1c00u >> size)
        count = 0x1c00u >> size;
    unsigned bytes = count << size;
    uint32_t base = data_address(g->bits);
    uint32_t src = below(g, 0x3d00 - bytes), dst = below(g, 0x3d00 - bytes);
    if (chance(g, 5)) /* overlap closely */
        dst = src + below(g, 12) <= 0x3d00 - bytes ? src + below(g, 12) : src;
    if (chance(g, 4))
        src &= ~7u, dst &= ~7u;
    if (down) {
        src += bytes;
        dst += bytes;
        put_1(g, 0xfd);
    }
    put_mov_ri(g, SZ32, RSI, base + src);
    put_mov_ri(g, SZ32, RDI, base + dst);
    put_mov_ri(g, SZ32, RCX, count);
    uint8_t b[5];
    unsigned n = 0;
    if (rep)
        b[n++] = (op & 0xfe) == 0xa6 || (op & 0xfe) == 0xae ? (uint8_t)(0xf2 | (rnd(g) & 1)) : 0xf3;
    if (g->bits == BITS64 && chance(g, 10))
        b[n++] = 0x67;
    if (size == SZ64)
        b[n++] = 0x48;
    else if (op & 1 && (g->bits == BITS16 ? size == SZ32 : size == SZ16))
        b[n++] = 0x66;
    b[n++] = (uint8_t)op;
    put_bytes(g, b, n);
    if (chance(g, 3))
        put_bytes(g, b, n);
    if (down)
        put_1(g, 0xfc);
    return 6 + (rep ? count * 2 : 0);
}

/* ---- code that changes itself ---- */

static void put_serialise(struct ctx *c)
{
    put_1(&c->g, 0xcc);
}

static unsigned put_smc(struct ctx *c)
{
    struct gen *g = &c->g;
    int r = random_reg(g), target = new_label(g);
    unsigned kind = below(g, 9);
    switch (kind) {
    case 0:
    case 1: { /* an immediate of a later instruction, 0-3 instructions away */
        int after = new_label(g);
        if (chance(g, 3)) {
            struct mem m = at_label(g, after, -4);
            put_op(g, SZ32, 0, 0xff, (int)below(g, 2), NO_REG, &m, 0, 0); /* INC, DEC */
        } else {
            put_store(g,
                      chance(g, 3)   ? SZ8
                      : chance(g, 2) ? SZ16
                                     : SZ32,
                      at_label(g, after, -4), g->bits == BITS64 ? r : RAX);
        }
        put_run(g, below(g, 4));
        put_op(g, SZ32, 0, 0x81, (int)below(g, 7), random_reg(g), NULL, interesting(g), 4);
        put_label(g, after);
        return 5;
    }
    case 2: { /* an immediate of an earlier one: changes the next iteration */
        put_op(g, SZ32, 0, 0x81, ALU_ADD, r, NULL, 0x11, 4);
        put_label(g, target);
        put_run(g, below(g, 4));
        put_store(g, SZ32, at_label(g, target, -4), random_reg(g));
        return 5;
    }
    case 3: { /* an opcode: ADD <-> SUB, OR <-> CMP ... */
        int over = rare_begin(g);
        put_op(g, SZ8, 0, 0x80, ALU_XOR, NO_REG,
               &(struct mem){ .base = NO_REG,
                              .index = NO_REG,
                              .label = target,
                              .seg = g->bits == BITS16 ? 0x65 : 0 },
               chance(g, 2) ? 0x28 : 0x08, 1);
        put_label(g, over);
        put_run(g, below(g, 2));
        put_label(g, target);
        static const uint8_t ops[] = { 0x01, 0x09, 0x21, 0x29, 0x31, 0x39 };
        uint8_t b[2] = { ops[below(g, 6)], (uint8_t)(0xc0 | (random_reg(g) & 7) << 3 | RAX) };
        if (!(g->pool >> (b[1] >> 3 & 7) & 1))
            b[1] = 0xc0;
        put_bytes(g, b, 2);
        return 5;
    }
    case 4: { /* the displacement of a branch */
        int skip = new_label(g);
        int over = rare_begin(g);
        struct mem m = at_label(g, target, -1);
        put_op(g, SZ8, 0, 0x80, ALU_XOR, NO_REG, &m, 2, 1);
        put_label(g, over);
        if (chance(g, 2)) {
            maybe_compare(g);
            put_2(g, 0x70 | below(g, 16), 0);
        } else {
            put_2(g, 0xeb, chance(g, 2) ? 0 : 2);
        }
        put_label(g, target);
        put_2(g, 0x01, 0xc0); /* ADD EAX, EAX */
        put_2(g, 0x31, 0xd0); /* XOR EAX, EDX */
        put_label(g, skip);
        return 6;
    }
    case 5: { /* data beside the code that uses it */
        int data = new_label(g), over = new_label(g);
        struct mem m = at_label(g, data, (int32_t)below(g, 5));
        unsigned op = below(g, 7);
        put_op(g, SZ32, 0, op << 3 | (chance(g, 2) ? 1 : 3), g->bits == BITS64 ? r : RAX, NO_REG,
               &m, 0, 0);
        put_jump(g, JUMP_JMP, over);
        uint64_t v[2] = { rnd(g), rnd(g) };
        put_label(g, data);
        put_data(g, v, 16);
        put_label(g, over);
        return 3;
    }
    case 6: { /* an instruction stored anew as it is */
        put_load(g, SZ32, RAX, at_label(g, target, 0));
        put_store(g, SZ32, at_label(g, target, 0), RAX);
        put_label(g, target);
        put_run(g, 2);
        return 4;
    }
    case 7: { /* through the other mapping, then a serialising event */
        if (g->bits == BITS16 || g->no_step)
            return 0;
        int over = rare_begin(g);
        struct mem m = MEM_NONE;
        m.label = target;
        m.disp = (int32_t)(ALIAS - CODE) - 4;
        put_store(g, SZ32, m, r);
        put_serialise(c);
        put_label(g, over);
        put_run(g, below(g, 2));
        put_op(g, SZ32, 0, 0x81, (int)below(g, 7), random_reg(g), NULL, interesting(g), 4);
        put_label(g, target);
        return 5;
    }
    default: { /* a function made on the spot: MOV EAX, imm; RET */
        struct pending *p = new_pending(c);
        p->count = 16;
        memset(p->bytes, 0x90, 16);
        p->bytes[0] = 0xb8;
        p->bytes[15] = 0xc3;
        int code = p->label;
        unsigned w = g->bits == BITS16 ? SZ16 : SZ32;
        if (!chance(g, 3))
            put_store(g, w, at_label(g, code, 1), random_reg(g));
        if (chance(g, 3)) { /* INC EAX / DEC EAX behind it */
            put_store_imm(g, SZ16, at_label(g, code, 8),
                          chance(g, 2) ? (int16_t)0xc0ff : (int16_t)0xc8ff);
        }
        put_jump(g, JUMP_CALL, code);
        return 15;
    }
    }
}

/* ---- events ---- */

static struct mem faulting(struct gen *g, bool write)
{
    static const uint8_t bad[] = { 5, 8, 11 };
    int32_t off;
    if (write && chance(g, 2))
        off = (int32_t)(4 * PAGE + below(g, PAGE - 16));
    else if (chance(g, 3)) /* the end of the good part */
        off = (int32_t)((write ? 4 : 5) * PAGE - 1 - below(g, 3));
    else
        off = (int32_t)(bad[below(g, 3)] * PAGE + below(g, PAGE - 16));
    return at_data(g, off);
}

static unsigned put_event(struct ctx *c)
{
    struct gen *g = &c->g;
    int over = rare_begin(g), r = random_reg(g);
    unsigned word = word_size(g);
    switch (below(g, 17)) {
    case 0: put_2(g, 0x0f, 0x0b); break;
    case 1: put_load(g, SZ32, r, faulting(g, false)); break;
    case 2: put_store(g, SZ32, faulting(g, true), r); break;
    case 3: { /* read-modify-write */
        struct mem m = faulting(g, true);
        put_op(g, SZ32, chance(g, 2) ? LOCK_PREFIX : 0, below(g, 7) << 3 | 1, r, NO_REG, &m, 0, 0);
        break;
    }
    case 4: { /* division by zero */
        int d = random_reg(g);
        put_alu_ri(g, ALU_AND, word, d, 0);
        put_op(g, word, 0, 0xf7, 6 + (int)below(g, 2), d, NULL, 0, 0);
        put_alu_rr(g, ALU_CMP, SZ32, RAX, RDX);
        break;
    }
    case 5: { /* 16 bytes */
        struct mem m = faulting(g, true);
        bool load = chance(g, 2);
        put_op(g, SZ32, 0, load ? 0x0f10 : 0x0f11, (int)below(g, 8), NO_REG, &m, 0, 0);
        break;
    }
    case 6: { /* misaligned */
        struct mem m = at_data(g, (int32_t)(below(g, 0x300) * 16 + 1 + below(g, 15)));
        put_op(g, SZ32, chance(g, 2) ? 0x66 : 0, chance(g, 2) ? 0x0f28 : 0x0f58, (int)below(g, 8),
               NO_REG, &m, 0, 0);
        break;
    }
    case 7: { /* a string instruction runs into the read-only page */
        if ((g->pool & (1u << RDI | 1u << RCX)) != (1u << RDI | 1u << RCX))
            break;
        uint32_t base = data_address(g->bits);
        put_mov_ri(g, SZ32, RDI, base + 4 * PAGE - 1 - below(g, 40));
        put_mov_ri(g, SZ32, RCX, 10 + below(g, 40));
        put_2(g, 0xf3, 0xaa | (rnd(g) & 1));
        break;
    }
    case 8: { /* a stack that isn't there */
        struct mem m = MEM_NONE;
        int keep = random_reg(g);
        put_mov_rr(g, word, keep, RSP);
        put_mov_ri(g, SZ32, RSP,
                   data_address(g->bits) + (chance(g, 2) ? 6 : 9) * PAGE -
                       (chance(g, 2) ? 0x800 : 0) + below(g, 4));
        switch (below(g, 3)) {
        case 0: put_push(g, random_reg(g)); break;
        case 1:
            put_op(g, g->bits == BITS16 ? SZ16 : SZ32, 0, 0xff, 6, NO_REG,
                   (m = at_data(g, 0x40), &m), 0, 0);
            break;
        default: put_1(g, 0x9c); break;
        }
        put_mov_rr(g, word, RSP, keep);
        break;
    }
    case 9:
    case 10: put_1(g, 0xcc); break; /* a checkpoint */
    case 11:                        /* code that can't be executed: goes on at rescue */
        if (chance(g, 12)) {
            put_mov_ri(g, SZ32, r,
                       g->bits == BITS16 ? 0x8000 : data_address(g->bits) + below(g, DATA_SIZE));
            put_indirect(g, chance(g, 2) ? 4 : 2, r);
        } else
            put_1(g, 0xcc);
        break;
    case 12: { /* pages that come back */
        struct mem m = at_data(g, (int32_t)(PAGE_DATA_LAZY * PAGE) + (int32_t)below(g, PAGE - 16));
        put_op(g, SZ32, 0, below(g, 8) << 3 | 3, r, NO_REG, &m, 0, 0);
        m = at_data(g, (int32_t)(PAGE_DATA_COW * PAGE) + (int32_t)below(g, PAGE - 16));
        put_op(g, SZ32, 0, below(g, 7) << 3 | 1, r, NO_REG, &m, 0, 0);
        put_1(g, 0xcc);
        break;
    }
    case 13: { /* a page that has to be there for both halves */
        struct mem m =
            at_data(g, (int32_t)(PAGE_DATA_LAZY * PAGE) - 2 + (int32_t)below(g, 2) * (int32_t)PAGE);
        if (chance(g, 2))
            put_load(g, SZ32, r, m);
        else
            put_store(g, SZ32, m, r);
        break;
    }
    case 14: /* INTO */
        if (g->bits != BITS64)
            put_1(g, 0xce);
        break;
    case 15: { /* CMPXCHG16B, 8B */
        struct mem m = faulting(g, true);
        put_op(g, SZ32, 0, 0x0fc7, 1, NO_REG, &m, 0, 0);
        break;
    }
    default: { /* single-step */
        if (g->no_step)
            break;
        int f = random_reg(g);
        bool plain = g->plain_flags;
        put_popf(g, f, 0x8c5, 0x100);
        g->plain_flags = true;
        put_run(g, 1 + below(g, 4));
        if (chance(g, 3)) {
            int l = new_label(g);
            put_jump(g, below(g, 16), l);
            put_run(g, 1);
            put_label(g, l);
        }
        g->plain_flags = plain;
        put_popf(g, f, 0x8c5, 0);
        break;
    }
    }
    put_label(g, over);
    return 6;
}

static unsigned put_fp_control(struct ctx *c)
{
    struct gen *g = &c->g;
    if (chance(g, 2)) {
        uint32_t v =
            0x1f80 | (rnd(g) & 0x6000) | (chance(g, 4) ? 0x8000 : 0) | (chance(g, 4) ? 0x40 : 0);
        if (chance(g, 12))
            v &= ~(uint32_t)(rnd(g) & 0x1f80);
        struct mem m = at_label(g, constant(c, &v, 4), 0);
        put_op(g, SZ32, 0, 0x0fae, 2, NO_REG, &m, 0, 0);
    } else {
        uint16_t v = (uint16_t)(0x37f ^ (rnd(g) & 0xf00));
        if (chance(g, 12))
            v ^= (uint16_t)(rnd(g) & 0x3f);
        struct mem m = at_label(g, constant(c, &v, 2), 0);
        put_op(g, SZ32, 0, 0xd9, 5, NO_REG, &m, 0, 0);
        g->p->items[g->p->item_count - 1].kind = ITEM_INSN;
    }
    return 1;
}

/* Between CLI and what ends it nothing may fault: the clock has to come through. */
static void put_quiet(struct gen *g)
{
    static const uint8_t ops[] = { ALU_ADD, ALU_SUB, ALU_ADC, ALU_CMP, ALU_XOR };
    for (unsigned n = below(g, 4); n--;)
        put_alu_rr(g, ops[below(g, 5)], SZ32, random_reg(g), random_reg(g));
}

static unsigned put_privileged(struct ctx *c)
{
    struct gen *g = &c->g;
    int r = random_reg(g), over = new_label(g);
    g->p->privileged = true;
    switch (below(g, 8)) {
    case 0: /* CLI, STI */
        put_1(g, 0xfa);
        put_quiet(g);
        put_1(g, 0xfb);
        put_run(g, 1 + below(g, 2));
        break;
    case 1: /* PUSHF, CLI, POPF */
        put_1(g, 0x9c);
        put_1(g, 0xfa);
        put_quiet(g);
        put_1(g, 0x9d);
        break;
    case 2: /* the same through a register */
        put_1(g, 0x9c);
        put_pop(g, r);
        put_1(g, 0xfa);
        put_push(g, r);
        put_1(g, 0x9d);
        break;
    case 3: put_1(g, 0xfb); break; /* it is on already */
    case 4:                        /* STI before a jump */
        put_1(g, 0xfa);
        put_1(g, 0xfb);
        put_jump(g, below(g, 16), over);
        put_quiet(g);
        put_label(g, over);
        break;
    case 5: { /* MOV from a segment register */
        struct mem m = at_data(g, (int32_t)below(g, 0x3d00));
        if (chance(g, 2))
            put_op(g, 1 + below(g, 2), 0, 0x8c, (int)below(g, 6), r, NULL, 0, 0);
        else
            put_op(g, SZ32, 0, 0x8c, (int)below(g, 6), NO_REG, &m, 0, 0);
        break;
    }
    case 6: /* SWAPGS twice; a base register read and written */
        if (g->bits != BITS64)
            break;
        put_op(g, SZ32, 0, 0x0f01, 7, 0, NULL, 0, 0);
        put_quiet(g);
        put_op(g, SZ32, 0, 0x0f01, 7, 0, NULL, 0, 0);
        break;
    default: { /* INVLPG */
        struct mem m = at_data(g, (int32_t)below(g, 0x3d00));
        put_op(g, SZ32, 0, 0x0f01, 7, NO_REG, &m, 0, 0);
        break;
    }
    }
    return 6;
}

static unsigned put_segment(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    unsigned kind = below(g, 100);
    if (kind < 15 && g->depth < 4 && budget >= 60)
        return put_loop(c, budget);
    if (kind < 30 && budget >= 20)
        return put_branch(c, budget);
    if (kind < 42 && budget >= 30) {
        unsigned cost = put_call(c, budget);
        if (cost)
            return cost;
    }
    if (kind >= 42 && kind < 46 && budget >= 120)
        return put_spaghetti(c, budget);
    if (kind >= 46 && kind < 48 && budget >= 120)
        return put_interpreter(c, budget);
    if (kind >= 48 && kind < 53 && budget >= 40)
        return put_switch(c, budget);
    if (kind >= 53 && kind < 58)
        return put_stack_work(c);
    if (kind >= 58 && kind < 62)
        return put_string(c, budget);
    if (kind >= 62 && kind < 68)
        return put_smc(c);
    if (kind >= 68 && kind < 73)
        return put_event(c);
    if (kind >= 73 && kind < 75)
        return put_fp_control(c);
    if (kind >= 75 && kind < 79 && c->ring0)
        return put_privileged(c);
    unsigned n = 1 + below(g, 8);
    put_run(g, n);
    return n + n / 2;
}

static unsigned body(struct ctx *c, unsigned budget, unsigned segments)
{
    unsigned cost = 0;
    for (unsigned k = 0; k < segments; k++)
        cost += put_segment(c, budget / segments);
    return cost;
}

static void put_function(struct ctx *c, unsigned budget)
{
    struct gen *g = &c->g;
    struct function f = { .label = new_label(g), .recursion_slot = -1 };
    unsigned word = 1u << word_size(g);
    put_label(g, f.label);
    c->in_function = true;
    g->counter_reg = NO_REG;
    g->counter_slot = -1;
    switch (below(g, 6)) {
    case 0: { /* recursive */
        int out = new_label(g);
        f.recursion_slot = new_slot(g);
        g->counter_slot = f.recursion_slot;
        put_alu_mi(g, ALU_SUB, SZ32, at_data(g, f.recursion_slot), 1);
        put_jump(g, CC_LE, out);
        f.cost = 6 + body(c, budget / 20, 1);
        put_jump(g, JUMP_CALL, f.label);
        f.cost += body(c, budget / 20, 1);
        put_label(g, out);
        put_ret(g);
        break;
    }
    case 1: { /* RET imm16 */
        f.pop = word * (1 + below(g, 3));
        f.cost = 4 + body(c, budget, 2);
        uint8_t ret[3] = { 0xc2, (uint8_t)f.pop, 0 };
        put_bytes(g, ret, 3);
        break;
    }
    case 2: { /* returns behind the instructions after the call */
        f.skip = 1 + below(g, 3);
        f.cost = 4 + body(c, budget, 2);
        struct mem m = MEM_NONE;
        m.base = RSP;
        m.addr32 = g->bits == BITS16;
        put_alu_mi(g, ALU_ADD, word_size(g), m, (int32_t)f.skip);
        put_ret(g);
        break;
    }
    case 3: { /* POP, JMP */
        f.cost = 4 + body(c, budget, 2);
        int r = random_reg(g);
        put_pop(g, r);
        put_indirect(g, 4, r);
        break;
    }
    default: { /* saved registers */
        int r = random_reg(g);
        put_push(g, r);
        f.cost = 6 + body(c, budget, 1 + below(g, 3));
        put_pop(g, r);
        put_ret(g);
        break;
    }
    }
    put_pending(c);
    if (c->function_count < FUNCTIONS)
        c->functions[c->function_count++] = f;
    c->in_function = false;
}

static void choose_registers(struct ctx *c)
{
    static const int bases64[] = { RBX, RBP, R12, R13, R14, RSI, R8 },
                     bases32[] = { RBX, RBP, RSI };
    struct gen *g = &c->g;
    g->base = g->bits == BITS16   ? NO_REG
              : chance(g, 8)      ? NO_REG
              : g->bits == BITS64 ? bases64[below(g, 7)]
                                  : bases32[below(g, 3)];
    g->pool = (g->bits == BITS64 ? 0xffffu : 0xffu) & ~(1u << RSP);
    if (g->base != NO_REG)
        g->pool &= ~(1u << g->base);
    for (int k = 0; k < 2; k++) {
        c->counters[k] = NO_REG;
        if (k == 1 && g->bits != BITS64)
            continue;
        static const int few[] = { RCX, RDI, RBP, RCX };
        int r = g->bits == BITS64 ? (chance(g, 3) ? RCX : (int)below(g, 16)) : few[below(g, 4)];
        if (r == RAX || r == RDX || !(g->pool >> r & 1) || chance(g, 6))
            continue;
        c->counters[k] = r;
        g->pool &= ~(1u << r);
    }
}

static void initial_state(struct ctx *c)
{
    struct gen *g = &c->g;
    struct program *p = g->p;
    for (int r = 0; r < 16; r++) {
        uint64_t v = interesting(g);
        p->gpr[r] = g->bits == BITS64 ? v : r < 8 ? (uint32_t)v : 0;
    }
    if (g->base != NO_REG)
        p->gpr[g->base] = data_address(g->bits);
    p->gpr[RSP] = (STACK_TOP - DATA + data_address(g->bits)) - 16 * below(g, 8) -
                  (chance(g, 4) ? 2 * below(g, 8) : 0);
    p->rflags = 0x202 | (rnd(g) & 0x8d5);
    p->data_offset = below(g, (DATA_BLOCK - DATA_SIZE) / 64) * 64;
    memset(p->fx, 0, sizeof p->fx);
    uint32_t mxcsr = 0x1f80;
    uint16_t fcw = 0x37f;
    memcpy(p->fx, &fcw, 2);
    p->fx[4] = (uint8_t)(chance(g, 2) ? 0 : rnd(g)); /* registers in use */
    p->fx[3] = (uint8_t)(below(g, 8) << 3);
    memcpy(p->fx + 24, &mxcsr, 4);
    for (unsigned k = 0; k < 8; k++) {
        uint64_t frac = rnd(g) | 1ull << 63;
        uint16_t se = (uint16_t)((0x3fff + below(g, 40) - 20) | (rnd(g) & 0x8000));
        memcpy(p->fx + 32 + 16 * k, &frac, 8);
        memcpy(p->fx + 40 + 16 * k, &se, 2);
    }
    memcpy(p->fx + 160, data_block() + below(g, DATA_BLOCK - 512), g->bits == BITS64 ? 256 : 128);
}

const uint8_t *data_block(void)
{
    static uint8_t block[DATA_BLOCK];
    static bool made;
    if (made)
        return block;
    struct gen g = { .rng = 42 };
    for (unsigned k = 0; k < DATA_BLOCK; k += 8) {
        uint64_t v = interesting(&g);
        switch (below(&g, 6)) {
        case 0: /* a double near 1 */
            v = (rnd(&g) & 0x800fffffffffffff) | (uint64_t)(0x3ff + below(&g, 40) - 20) << 52;
            break;
        case 1: /* two singles near 1 */
            v = (rnd(&g) & 0x807fffff807fffff) | (uint64_t)(0x70 + below(&g, 32)) << 55 |
                (uint64_t)(0x70 + below(&g, 32)) << 23;
            break;
        case 2: v = below(&g, 256) * 0x0101010101010101ull; break;
        case 3: v = 0; break;
        default: break;
        }
        memcpy(block + k, &v, 8);
    }
    made = true;
    return block;
}

bool program_generate(struct program *p, uint64_t seed, const struct profile *profile)
{
    static const uint8_t mixes[][4] = { { 10, 0, 0, 0 }, { 10, 0, 0, 0 }, { 8, 2, 0, 0 },
                                        { 4, 6, 0, 0 },  { 6, 2, 1, 1 },  { 6, 0, 0, 4 },
                                        { 6, 1, 3, 0 },  { 2, 1, 0, 7 } };
    struct ctx *c = calloc(1, sizeof *c);
    if (!c)
        abort();
    memset(p, 0, sizeof *p);
    struct gen *g = &c->g;
    g->p = p;
    g->rng = seed * 0x9e3779b97f4a7c15ull + 1;
    p->seed = seed;
    unsigned pick = below(g, 20);
    g->bits = p->bits = profile->bits >= 0 ? (unsigned)profile->bits
                        : pick < 11        ? BITS64
                        : pick < 15        ? BITS32
                        : pick < 17        ? BITS32S
                                           : BITS16;
    g->no_step = profile->no_step;
    c->ring0 = profile->ring0 && (seed & 1);
    g->counter_reg = NO_REG;
    g->counter_slot = -1;
    g->no_faults = chance(g, 3);
    const uint8_t *mix = mixes[below(g, sizeof mixes / sizeof mixes[0])];
    for (int k = 0; k < 4; k++)
        g->weights[k] = mix[k];
    choose_registers(c);
    initial_state(c);

    p->entry = new_label(g);
    p->rescue = new_label(g);
    p->end = new_label(g);
    unsigned budget = 8000u << below(g, 4);
    unsigned functions = below(g, FUNCTIONS);
    put_seek(g, 6, below(g, 64));
    for (unsigned k = 0; k < functions; k++) {
        put_function(c, budget >> (3 + below(g, 6)));
        if (chance(g, 3)) /* so that it crosses into the next page */
            put_seek(g, 12, 0xf00 + below(g, 0xff));
    }
    put_label(g, p->entry);
    for (unsigned n = 2 + below(g, 4); n--;) {
        body(c, budget / 8, 1);
        put_loop(c, budget / 2);
    }
    put_label(g, p->rescue);
    put_run(g, 3);
    put_1(g, 0xcc);
    put_run(g, 3);
    put_label(g, p->end);
    put_2(g, 0x0f, 0x0b);
    p->items[p->item_count - 1].fixed = true;
    put_pending(c);
    bool ok = p->label_count < 32000 && program_layout(p, NULL);
    free(c);
    return ok;
}
