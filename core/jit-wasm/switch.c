/*
 * Indirect jumps inside of a region: the jump table of a switch, the dispatch of an interpreter.
 *
 * Jumps that have targets in common meet in one block without instructions, the switch, which goes
 * on to one of the targets by the address, or to another region (emit_branch.c). So an interpreter
 * whose every operation jumps to the next is a loop with one head, and its edges are as many as its
 * jumps and targets rather than their product.
 */
#include "jit-wasm/region.h"
#include "jit-wasm/targets.h"

/* Union-find over the blocks: targets of the same jump are in one set. */
struct sets {
    int16_t parent[REGION_MAX_BLOCKS];
    bool target[REGION_MAX_BLOCKS];
    int16_t of_jump[REGION_MAX_BLOCKS]; /* one of its targets, OUTSIDE: none */
};

static int root_of(const struct sets *s, int k)
{
    while (s->parent[k] != k)
        k = s->parent[k];
    return k;
}

static void add_jump(const struct region_code *r, struct sets *s, unsigned jump)
{
    const struct rblock *b = &r->blocks[jump];
    int32_t off = r->insns[b->first + b->count - 1].off;
    const struct targets *t = targets_for(region_host(r, off), region_host(r, 0));
    for (unsigned k = 0; t && k < t->count; k++) {
        int to = region_block_at(r, off + t->distance[k]);
        if (to == OUTSIDE)
            continue;
        s->target[to] = true;
        if (s->of_jump[jump] == OUTSIDE)
            s->of_jump[jump] = (int16_t)to;
        s->parent[root_of(s, to)] = (int16_t)root_of(s, s->of_jump[jump]);
    }
}

/* The switch to the targets in the set of @root, at the place of its first jump, which ends @at. */
static int make_switch(struct region_code *r, const struct sets *s, int root, unsigned blocks,
                       const struct rblock *at)
{
    struct rblock *b = &r->blocks[r->block_count];
    int32_t off = r->insns[at->first + at->count - 1].off;
    *b = (struct rblock){ .off = off,
                          .end_off = off,
                          .first = at->first,
                          .end = BE_SWITCH,
                          .succ = { OUTSIDE, OUTSIDE },
                          .first_target = (uint16_t)r->target_count };
    for (unsigned k = 0; k < blocks; k++)
        if (s->target[k] && root_of(s, (int)k) == root)
            r->targets[r->target_count++] = (int16_t)k;
    b->target_count = (uint16_t)(r->target_count - b->first_target);
    return (int)r->block_count++;
}

/* Does code that the switch @at goes to come back to it? */
static bool in_cycle(const struct region_code *r, int at)
{
    bool seen[REGION_MAX_BLOCKS] = { false };
    int16_t stack[REGION_MAX_BLOCKS];
    unsigned n = 0;
    stack[n++] = (int16_t)at;
    while (n) {
        const struct rblock *b = &r->blocks[stack[--n]];
        for (unsigned k = 0; k < succ_count(b); k++) {
            int to = succ_of(r, b, k);
            if (to == at)
                return true;
            if (to >= 0 && !seen[to]) {
                seen[to] = true;
                stack[n++] = (int16_t)to;
            }
        }
    }
    return false;
}

/* Leaves those switches alone that are not part of a loop. True: none is left. */
static bool drop_straight(struct region_code *r, unsigned blocks)
{
    bool straight[REGION_MAX_BLOCKS] = { false }, none = true;
    for (unsigned k = blocks; k < r->block_count; k++) {
        straight[k] = !in_cycle(r, (int)k);
        none &= straight[k];
    }
    for (unsigned k = 0; k < blocks; k++) {
        struct rblock *b = &r->blocks[k];
        if (b->end == BE_DYN && b->succ[0] != OUTSIDE && straight[b->succ[0]])
            b->succ[0] = OUTSIDE;
    }
    return none;
}

bool region_switches(struct region_code *r)
{
    static struct sets s;
    int16_t of_root[REGION_MAX_BLOCKS];
    unsigned blocks = r->block_count;
    for (unsigned k = 0; k < blocks; k++) {
        s.parent[k] = (int16_t)k;
        s.of_jump[k] = of_root[k] = OUTSIDE;
        s.target[k] = false;
    }
    for (unsigned k = 0; k < blocks; k++)
        if (r->blocks[k].end == BE_DYN)
            add_jump(r, &s, k);
    for (unsigned k = 0; k < blocks; k++) {
        struct rblock *b = &r->blocks[k];
        if (s.of_jump[k] == OUTSIDE)
            continue;
        int root = root_of(&s, s.of_jump[k]);
        if (of_root[root] == OUTSIDE && r->block_count < REGION_MAX_BLOCKS)
            of_root[root] = (int16_t)make_switch(r, &s, root, blocks, b);
        b->succ[0] = of_root[root];
    }
    return r->block_count == blocks || !drop_straight(r, blocks);
}
