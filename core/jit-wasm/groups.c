/*
 * Accesses that share a look-up in the TLB.
 *
 * Code often accesses several places near one another: what a function pushes and pops, its frame,
 * the members of a structure. Such a group needs one look-up, of all its bytes. The first access
 * does it and leaves the host address of the lowest byte in a local; the others only test that it
 * isn't 0. It becomes 0 where C changed mappings in between, a device's register for example. The
 * slow path of the group's own accesses finds the address again (jit_shared.host), if the bytes lie
 * in one page of ordinary memory; if not, all accesses of the group take that path.
 *
 * Which accesses are near is decided in the first pass of the emission. A register holds a `value`,
 * a number that only names it, plus what was added to it since: so pushes, pops and `sub esp` don't
 * make the stack unknown. What is known at the end of a block holds at the beginning of the next,
 * if no other way leads there. The second pass meets the same accesses in the same order.
 *
 * A group with a write looks in the TLB for writes. Pages that were not written yet, or have code
 * on them, aren't there; so a write joins the reads of its own block only, where it is certain to
 * run, and those on the stack.
 */
#include "jit-wasm/groups.h"

#include <string.h>

#include "jit-wasm/emit.h"

enum { VALUE_NONE, VALUE_IP, VALUE_FIRST };

void groups_begin(struct emit *e, bool collecting)
{
    struct groups *s = e->groups;
    s->collecting = collecting;
    s->next = 0;
    if (collecting) {
        s->count = 0;
        s->values = VALUE_FIRST;
        for (unsigned k = 0; k < e->r->block_count; k++)
            s->in[k].valid = false;
    }
    memset(s->local, 0xff, sizeof s->local);
    memset(s->owner, 0xff, sizeof s->owner);
}

void groups_changed(struct emit *e, unsigned reg)
{
    e->groups->now.reg[reg] = (struct known){ e->groups->values++, 0 };
}

void groups_forget(struct emit *e)
{
    e->groups->now.open_count = 0;
    for (unsigned k = 0; k < 16; k++)
        groups_changed(e, k);
}

void groups_block(struct emit *e)
{
    struct groups *s = e->groups;
    if (s->collecting && s->in[e->block].valid)
        s->now = s->in[e->block];
    else
        groups_forget(e);
    /* The cases of a switch may use a large frame together: one of them alone seldom crosses a
     * page. */
    if (e->blk->end == BE_SWITCH)
        s->now.open_count = 0;
}

void groups_edge(struct emit *e, int succ)
{
    struct groups *s = e->groups;
    if (!s->collecting || e->r->blocks[succ].preds != 1)
        return;
    s->in[succ] = s->now;
    s->in[succ].valid = true;
}

/* ---- registers ---- */

static int64_t cut(const struct emit *e, int64_t v)
{
    return e->m64 ? v : (int32_t)v;
}

static void set(struct emit *e, unsigned reg, struct known from, int64_t add)
{
    from.added = cut(e, (int64_t)((uint64_t)from.added + (uint64_t)add));
    e->groups->now.reg[reg] = from;
}

void groups_stack(struct emit *e, struct known reg, int32_t bytes)
{
    if (e->m64 || e->flat)
        set(e, RSP, reg, bytes);
}

/* Additions of constants, and moves from register to register. */
void groups_insn(struct emit *e, const struct group_state *before)
{
    const struct insn *i = &e->n->i;
    const struct opcode *o = insn_opcode(i);
    bool memory = in_memory(i);
    unsigned reg = i->modrm >> 3 & 7;
    if (!e->groups->collecting || o->map != MAP_1B || i->osz != (e->m64 ? 3 : 2))
        return;
    switch (o->byte) {
    case 0x81:
    case 0x83:
        if (!memory && (reg == 0 || reg == 5))
            set(e, i->rm, before->reg[i->rm], reg ? -(int64_t)i->imm : i->imm);
        break;
    case 0x89:
        if (!memory)
            set(e, i->rm, before->reg[i->r], 0);
        break;
    case 0x8b:
        if (!memory)
            set(e, i->r, before->reg[i->rm], 0);
        break;
    case 0x8d:
        if (i->base < 16 && i->index == REG_ZERO && i->ash == (e->m64 ? 0 : 32))
            set(e, i->r, before->reg[i->base], i->disp);
        break;
    case 0xff:
        if (!memory && reg <= 1)
            set(e, i->rm, before->reg[i->rm], reg ? -1 : 1);
        break;
    default: break;
    }
}

/* ---- operands ---- */

static void operand(struct emit *e, struct address a)
{
    e->groups->operand = a;
    e->groups->operand_la = NO_LOCAL;
}

void groups_unknown(struct emit *e)
{
    operand(e, (struct address){ .known = false });
}

void groups_operand(struct emit *e)
{
    const struct insn *i = &e->n->i;
    const struct known *reg = e->groups->now.reg;
    struct address a = { .known = i->ash == (e->m64 ? 0 : 32), .off = i->disp };
    if (i->base == REG_IP) {
        a.base = VALUE_IP;
        a.off += e->n->off;
    } else if (i->base < 16) {
        a.base = reg[i->base].value;
        a.off += reg[i->base].added;
        a.stack = i->base == RSP || i->base == RBP;
    } else if (i->base != REG_ZERO) {
        a.known = false;
    }
    if (i->index < 16) {
        a.index = reg[i->index].value;
        a.scale = i->scale;
        a.off += (int64_t)((uint64_t)reg[i->index].added << i->scale);
    } else if (i->index != REG_ZERO) {
        a.known = false;
    }
    a.off = cut(e, a.off);
    operand(e, a);
}

void groups_stack_operand(struct emit *e, unsigned reg, int32_t disp)
{
    const struct known *k = &e->groups->now.reg[reg];
    operand(e,
            (struct address){
                .known = true, .stack = true, .base = k->value, .off = cut(e, k->added + disp) });
}

void groups_linear(struct emit *e, int la, unsigned seg)
{
    struct address *a = &e->groups->operand;
    bool based = seg == SEG_FS || seg == SEG_GS;
    if (!e->m64 && (!e->flat || based))
        a->known = false;
    a->seg = based ? (uint8_t)seg : SEG_NONE;
    e->groups->operand_la = a->known ? la : NO_LOCAL;
    a->known = false; /* until the next one is emitted */
}

/* ---- accesses ---- */

static bool may_join(const struct emit *e, const struct group *g, const struct address *a,
                     unsigned bytes, bool write)
{
    int64_t low = a->off < g->low ? a->off : g->low, end = a->off + bytes;
    int64_t high = end > g->high ? end : g->high;
    return g->at.base == a->base && g->at.index == a->index && g->at.scale == a->scale &&
           g->at.seg == a->seg && high - low <= GROUP_BYTES &&
           (!write || g->write || g->block == e->block || a->stack);
}

/* First pass: the group of an access, an open one or a new one; -1 if it can't have one. */
static int collect(struct emit *e, const struct address *a, unsigned bytes, bool write)
{
    struct groups *s = e->groups;
    struct group_state *now = &s->now;
    for (unsigned k = now->open_count; k-- > 0;) {
        struct group *g = &s->all[now->open[k]];
        if (!may_join(e, g, a, bytes, write))
            continue;
        if (a->off < g->low)
            g->low = a->off;
        if (a->off + bytes > g->high)
            g->high = a->off + bytes;
        g->write |= write;
        g->last = (uint16_t)s->next;
        g->count++;
        return now->open[k];
    }
    /* Deeper in, the look-up may not happen. The other way through a run of x87 code has handlers
     * only, after which accesses look again. */
    if (s->count == GROUPS_MAX || e->depth != e->block_depth + 2 + e->x87.open)
        return -1;
    s->all[s->count] = (struct group){ .at = *a,
                                       .low = a->off,
                                       .high = a->off + bytes,
                                       .block = e->block,
                                       .write = write,
                                       .first = (uint16_t)s->next,
                                       .last = (uint16_t)s->next,
                                       .count = 1,
                                       .local = NO_LOCAL };
    if (now->open_count == GROUPS_OPEN)
        memmove(now->open, now->open + 1, sizeof now->open[0] * --now->open_count);
    now->open[now->open_count++] = (uint16_t)s->count;
    return (int)s->count++;
}

/* A local that no group needs any more. */
static int16_t take_local(struct emit *e, int group)
{
    struct groups *s = e->groups;
    for (unsigned k = 0; k < GROUP_LOCALS; k++) {
        if (s->owner[k] >= 0 && s->all[s->owner[k]].last >= s->next)
            continue;
        if (s->local[k] == NO_LOCAL)
            s->local[k] = (int16_t)emit_local(e, W_I32);
        s->owner[k] = (int16_t)group;
        return s->local[k];
    }
    return NO_LOCAL;
}

struct group *groups_join(struct emit *e, int la, unsigned bytes, bool write, bool *first,
                          uint32_t *off)
{
    struct groups *s = e->groups;
    *first = true;
    *off = 0;
    if (s->next == GROUP_ACCESSES)
        return NULL;
    unsigned k = s->next;
    if (s->collecting) {
        bool known = bytes && la == s->operand_la;
        s->accesses[k].n = e->n;
        s->accesses[k].off = s->operand.off;
        s->accesses[k].group = known ? (int16_t)collect(e, &s->operand, bytes, write) : -1;
        s->next++;
        return NULL;
    }
    int index = s->accesses[k].group;
    if (s->accesses[k].n != e->n)
        e->failed = true;
    if (index < 0 || s->all[index].count < 2) {
        s->next++;
        return NULL;
    }
    struct group *g = &s->all[index];
    *first = g->first == k;
    if (*first)
        g->local = take_local(e, index);
    s->next++;
    *off = (uint32_t)(s->accesses[k].off - g->low);
    return g->local == NO_LOCAL ? NULL : g;
}

bool groups_wanted(const struct emit *e, const struct group *g)
{
    return g && g->first < e->groups->next && g->last >= e->groups->next;
}

/* The first local from @k on with a group other than @own that is wanted, GROUP_LOCALS if none. */
static unsigned next_wanted(const struct emit *e, const struct group *own, unsigned k)
{
    const struct groups *s = e->groups;
    for (; k < GROUP_LOCALS; k++) {
        const struct group *g = s->owner[k] >= 0 ? &s->all[s->owner[k]] : NULL;
        if (g != own && groups_wanted(e, g))
            break;
    }
    return k;
}

static void look_again(struct emit *e, const struct group *own)
{
    for (unsigned k = 0; (k = next_wanted(e, own, k)) < GROUP_LOCALS; k++) {
        emit_i32(e, 0);
        set_local(e, e->groups->local[k]);
    }
}

void groups_after_slow(struct emit *e, const struct group *own)
{
    if (groups_wanted(e, own)) {
        emit_load_fixed(e, W_I32_LOAD, &jit_shared.host);
        set_local(e, own->local);
    }
    if (next_wanted(e, own, 0) == GROUP_LOCALS)
        return;
    emit_load_fixed(e, W_I32_LOAD, &jit_shared.moved);
    unlikely_next(e);
    open_block(e, W_IF, W_VOID);
    look_again(e, own);
    close_block(e);
}

void groups_after_handler(struct emit *e)
{
    if (e->depth == e->block_depth)
        groups_forget(e);
    else
        look_again(e, NULL);
}
