/*
 * Discovery of a region: which code belongs together.
 *
 * First a work list of block starts is decoded instruction by instruction into a table by offset;
 * then the instructions are sorted and cut into blocks at every start; then edges are drawn. Blocks
 * that no edge reaches in the end are left out.
 */
#include "jit-wasm/region.h"

#include <stdlib.h>
#include <string.h>

#include "cpu/block.h"
#include "jit-wasm/jit.h"
#include "jit-wasm/targets.h"

#define TABLE_SIZE 4096 /* power of two, well above REGION_MAX_INSNS */
#define QUEUE_SIZE 1024
#define FETCH_MAX  15

struct discovery {
    struct region_code *r;
    struct cpu *c;
    int16_t by_off[TABLE_SIZE]; /* hash of offsets: index into insns + 1 */
    int32_t queue[QUEUE_SIZE];
    unsigned head, tail, leaders, max_insns;
    bool targets; /* indirect jumps have some */
};

static struct discovery work; /* one region at a time */

static unsigned slot_of(const struct discovery *d, int32_t off)
{
    unsigned k = ((uint32_t)off * 2654435761u) >> 20;
    while (d->by_off[k] && d->r->insns[d->by_off[k] - 1].off != off)
        k = (k + 1) & (TABLE_SIZE - 1);
    return k;
}

static struct rinsn *insn_at(const struct discovery *d, int32_t off)
{
    unsigned k = slot_of(d, off);
    return d->by_off[k] ? &d->r->insns[d->by_off[k] - 1] : NULL;
}

static uint64_t linear(const struct discovery *d, int32_t off)
{
    return (d->r->la + (uint64_t)(int64_t)off) & d->c->la_mask;
}

uintptr_t region_host(const struct region_code *r, int32_t off)
{
    uint64_t la = (r->la + (uint64_t)(int64_t)off) & r->cpu->la_mask;
    int32_t delta = (int32_t)((int64_t)((la & PAGE_MASK) - (r->la & PAGE_MASK)) >> 12);
    for (unsigned k = 0; k < r->page_count; k++)
        if (r->pages[k].delta == delta)
            return r->pages[k].host + (la & 0xfff);
    return 0;
}

/* The page at @off, added to the region's if there is room. NULL: not to be had. */
static const struct rpage *page_of(struct discovery *d, int32_t off)
{
    struct region_code *r = d->r;
    uint64_t la = linear(d, off);
    int32_t delta = (int32_t)((int64_t)((la & PAGE_MASK) - (r->la & PAGE_MASK)) >> 12);
    for (unsigned k = 0; k < r->page_count; k++)
        if (r->pages[k].delta == delta)
            return &r->pages[k];
    if (r->page_count == REGION_MAX_PAGES)
        return NULL;
    uintptr_t host = jit_code_host(d->c, la);
    if (!host)
        return NULL;
    r->pages[r->page_count] = (struct rpage){ .delta = delta, .host = host & ~(uintptr_t)0xfff };
    return &r->pages[r->page_count++];
}

static uint64_t branch_rip(const struct discovery *d, int32_t off, const struct insn *i)
{
    uint64_t t = (d->r->rip + (uint64_t)(int64_t)(off + i->len + i->imm)) & d->c->la_mask;
    return i->osz == 1 ? t & 0xffff : t;
}

static int32_t branch_off(const struct discovery *d, const struct rinsn *n)
{
    uint64_t t = branch_rip(d, n->off, &n->i);
    if (d->c->la_mask == ~0ull)
        return (int32_t)(int64_t)(t - d->r->rip);
    return (int32_t)((uint32_t)t - (uint32_t)d->r->rip);
}

/* Decodes the instruction at @off; false: it can't be part of the region. */
static bool decode_at(struct discovery *d, int32_t off, struct insn *i)
{
    uint8_t bytes[FETCH_MAX];
    const struct rpage *p = page_of(d, off);
    if (!p)
        return false;
    unsigned at = linear(d, off) & 0xfff, first = 4096 - at;
    unsigned have = first < FETCH_MAX ? first : FETCH_MAX;
    unsigned mode = d->r->mode & MODE_CODE_MASK;
    bool prot = (d->r->mode & (MODE_PE | MODE_VM)) == MODE_PE;
    memcpy(bytes, (const void *)(p->host + at), have);
    if (decode(i, bytes, have, mode, prot, d->c->features, 0) == 0) {
        p = page_of(d, off + (int32_t)first);
        if (!p)
            return false;
        memcpy(bytes + have, (const void *)p->host, FETCH_MAX - have);
        if (decode(i, bytes, FETCH_MAX, mode, prot, d->c->features, 0) == 0)
            return false;
    }
    uint64_t rip = d->r->rip + (uint64_t)(int64_t)off;
    if (i->fn == op_ud || i->fn == op_gp_length ||
        (rip & d->c->la_mask) + i->len - 1 > d->c->cs_limit)
        return false;
    /* A direct branch beyond the limit of CS faults: for the interpreter. */
    enum block_end end = insn_end(i);
    bool direct = end == BE_JUMP || end == BE_COND || end == BE_CALL;
    return !direct || branch_rip(d, off, i) <= d->c->cs_limit;
}

/* Has the code there run before? */
static bool seen(struct discovery *d, int32_t off)
{
    if (off > REGION_SPAN || off < -REGION_SPAN)
        return false;
    uintptr_t host = jit_code_host(d->c, linear(d, off));
    return host && block_was_run(d->c, host);
}

static void enqueue(struct discovery *d, int32_t off, bool must_be_seen)
{
    struct rinsn *known = insn_at(d, off);
    if (d->leaders >= REGION_MAX_BLOCKS - 2)
        return;
    if (known) {
        d->leaders += !known->leader;
        known->leader = true;
        return;
    }
    if (d->tail < QUEUE_SIZE && (!must_be_seen || seen(d, off))) {
        d->queue[d->tail++] = off;
        d->leaders++;
    }
}

/* The indirect jump at @off: targets that it had. */
static void enqueue_targets(struct discovery *d, int32_t off)
{
    const struct targets *t = targets_for(region_host(d->r, off), region_host(d->r, 0));
    for (unsigned k = 0; t && d->targets && k < t->count; k++)
        enqueue(d, off + t->distance[k], true);
}

static void decode_from(struct discovery *d, int32_t off)
{
    struct region_code *r = d->r;
    bool leader = true;
    while (r->insn_count < d->max_insns) {
        unsigned k = slot_of(d, off);
        if (d->by_off[k]) { /* runs into known code */
            r->insns[d->by_off[k] - 1].leader = true;
            return;
        }
        struct rinsn *n = &r->insns[r->insn_count];
        if (!decode_at(d, off, &n->i))
            return;
        n->off = off;
        n->leader = leader;
        leader = false;
        d->by_off[k] = (int16_t)++r->insn_count;
        off += n->i.len;
        switch (insn_end(&n->i)) {
        case BE_FALL: break;
        case BE_JUMP:
            if (branch_off(d, n) == n->off)
                return;
            enqueue(d, branch_off(d, n), true);
            return;
        case BE_COND:
            enqueue(d, off, true);
            enqueue(d, branch_off(d, n), true);
            return;
        case BE_CALL:
        case BE_DYNCALL: enqueue(d, off, true); return;
        case BE_STOP:
            if (insn_goes_on(&n->i))
                enqueue(d, off, true);
            return;
        case BE_DYN: enqueue_targets(d, n->off); return;
        default: return;
        }
    }
}

/* ---- blocks ---- */

static int by_offset(const void *a, const void *b)
{
    int32_t x = ((const struct rinsn *)a)->off, y = ((const struct rinsn *)b)->off;
    return (x > y) - (x < y);
}

static void rehash(struct discovery *d)
{
    memset(d->by_off, 0, sizeof d->by_off);
    for (unsigned k = 0; k < d->r->insn_count; k++)
        d->by_off[slot_of(d, d->r->insns[k].off)] = (int16_t)(k + 1);
}

/* One block from instruction @first on. Instructions of one run are neighbours in the sorted table
 * unless others overlap them; such a run is cut there. */
static void make_block(struct discovery *d, unsigned first)
{
    struct region_code *r = d->r;
    struct rblock *b = &r->blocks[r->block_count++];
    unsigned k = first;
    *b = (struct rblock){ .off = r->insns[first].off, .first = (uint16_t)first };
    for (;;) {
        const struct rinsn *n = &r->insns[k];
        int32_t next = n->off + n->i.len;
        b->count++;
        b->end_off = next;
        b->end = (uint8_t)insn_end(&n->i);
        if (b->end != BE_FALL)
            break;
        if (k + 1 == r->insn_count || r->insns[k + 1].off != next || r->insns[k + 1].leader)
            break;
        k++;
    }
}

int region_block_at(const struct region_code *r, int32_t off)
{
    unsigned lo = 0, hi = r->block_count; /* blocks are in order of their offsets */
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        if (r->blocks[mid].off < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < r->block_count && r->blocks[lo].off == off ? (int)lo : OUTSIDE;
}

static void set_succ(struct region_code *r, struct rblock *b, int n, int32_t off)
{
    b->succ_off[n] = off;
    b->succ[n] = (int16_t)region_block_at(r, off);
}

static void draw_edges(struct discovery *d)
{
    struct region_code *r = d->r;
    for (unsigned k = 0; k < r->block_count; k++) {
        struct rblock *b = &r->blocks[k];
        const struct rinsn *last = &r->insns[b->first + b->count - 1];
        b->succ[0] = b->succ[1] = OUTSIDE;
        b->succ_off[0] = b->succ_off[1] = b->end_off;
        switch ((enum block_end)b->end) {
        case BE_FALL: set_succ(r, b, 0, b->end_off); break;
        case BE_JUMP: set_succ(r, b, 0, branch_off(d, last)); break;
        case BE_COND:
            set_succ(r, b, 0, branch_off(d, last));
            set_succ(r, b, 1, b->end_off);
            break;
        case BE_CALL:
            b->succ_off[0] = branch_off(d, last);
            set_succ(r, b, 1, b->end_off);
            break;
        case BE_DYNCALL: set_succ(r, b, 1, b->end_off); break;
        case BE_STOP:
            if (insn_goes_on(&last->i))
                set_succ(r, b, 0, b->end_off);
            break;
        default: break;
        }
    }
}

static void mark_reached(struct region_code *r, int entry)
{
    int16_t stack[REGION_MAX_BLOCKS];
    unsigned n = 0;
    stack[n++] = (int16_t)entry;
    r->blocks[entry].reached = true;
    while (n) {
        struct rblock *b = &r->blocks[stack[--n]];
        for (unsigned k = 0; k < succ_count(b); k++) {
            int s = succ_of(r, b, k);
            if (s >= 0 && !r->blocks[s].reached) {
                r->blocks[s].reached = true;
                stack[n++] = (int16_t)s;
            }
        }
    }
}

/* The block that the region begins with: the entry's, or the switch that has it as a target. Code
 * that comes back to the entry only by way of the switch is one loop then, not two. */
static int first_block(const struct region_code *r, int entry)
{
    for (unsigned k = 0; k < r->block_count; k++) {
        const struct rblock *b = &r->blocks[k];
        for (unsigned t = 0; t < b->target_count && b->reached; t++)
            if (r->targets[b->first_target + t] == entry)
                return (int)k;
    }
    return entry;
}

/* Puts the first block first and drops what isn't reached. */
static void compact(struct region_code *r, int first)
{
    static struct rblock kept[REGION_MAX_BLOCKS];
    int16_t renumber[REGION_MAX_BLOCKS];
    unsigned n = 0;
    memset(renumber, 0xff, sizeof renumber); /* OUTSIDE */
    renumber[first] = (int16_t)n;
    kept[n++] = r->blocks[first];
    for (unsigned k = 0; k < r->block_count; k++)
        if (r->blocks[k].reached && (int)k != first) {
            renumber[k] = (int16_t)n;
            kept[n++] = r->blocks[k];
        }
    for (unsigned k = 0; k < n; k++) {
        struct rblock *b = &kept[k];
        for (int s = 0; s < 2; s++)
            if (b->succ[s] >= 0)
                b->succ[s] = renumber[b->succ[s]];
        for (unsigned s = 0; s < b->target_count; s++)
            r->targets[b->first_target + s] = renumber[r->targets[b->first_target + s]];
    }
    memcpy(r->blocks, kept, n * sizeof kept[0]);
    r->block_count = n;
}

static bool discover(struct discovery *d)
{
    struct region_code *r = d->r;
    struct cpu *c = d->c;
    d->head = d->tail = d->leaders = 0;
    memset(d->by_off, 0, sizeof d->by_off);
    r->cpu = c;
    r->rip = c->rip;
    r->la = (c->seg_base[SEG_CS] + c->rip) & c->la_mask;
    r->mode = c->mode;
    r->flat = c->flat;
    r->page_count = r->insn_count = r->block_count = r->target_count = 0;

    enqueue(d, 0, false);
    while (d->head < d->tail && r->insn_count < d->max_insns) {
        int32_t off = d->queue[d->head++];
        struct rinsn *known = insn_at(d, off);
        if (known)
            known->leader = true;
        else
            decode_from(d, off);
    }
    if (!insn_at(d, 0))
        return false;
    qsort(r->insns, r->insn_count, sizeof r->insns[0], by_offset);
    rehash(d);
    for (unsigned k = 0; k < r->insn_count; k++) {
        bool starts = k == 0 || r->insns[k].leader ||
                      r->insns[k - 1].off + r->insns[k - 1].i.len != r->insns[k].off ||
                      insn_end(&r->insns[k - 1].i) != BE_FALL;
        if (!starts)
            continue;
        if (r->block_count == REGION_MAX_BLOCKS)
            break;
        make_block(d, k);
    }
    int entry = region_block_at(r, 0);
    if (entry < 0)
        return false;
    draw_edges(d);
    if (d->targets && !region_switches(r)) {
        d->targets = false;
        return discover(d);
    }
    mark_reached(r, entry);
    compact(r, first_block(r, entry));
    return true;
}

bool region_discover(struct region_code *r, struct cpu *c, unsigned max_insns)
{
    struct discovery *d = &work;
    d->r = r;
    d->c = c;
    d->max_insns = max_insns < REGION_MAX_INSNS ? max_insns : REGION_MAX_INSNS;
    d->targets = true;
    return discover(d);
}
