/*
 * What is needed of the flags and registers where.
 *
 * Flags.
 * Backwards over each block, then over the edges until nothing changes: an instruction that writes
 * all flags ends the need of those before it, one that reads them or lets something look at them (a
 * fault, a handler) begins one. The result decides how much code an instruction's flags are worth:
 * most are worth none.
 *
 * Registers. A register is dirty where its local may have a newer value than memory (forwards from
 * the writes; a call starts clean), and live where its local is read later on
 * or has to be valid because it is dirty. Only live ones are loaded on entry and after such calls,
 * only dirty ones are stored on the way out.
 */
#include "jit-wasm/region.h"

#include "jit-wasm/jit.h"

enum block_end insn_end(const struct insn *i)
{
    const struct opcode *o = insn_opcode(i);
    if (!(o->flags & OP_END))
        return BE_FALL;
    if (o->map == MAP_0F && (o->byte & 0xf0) == 0x80)
        return BE_COND;
    if (o->map == MAP_1B) {
        if ((o->byte & 0xf0) == 0x70)
            return BE_COND;
        switch (o->byte) {
        case 0xe0:
        case 0xe1:
        case 0xe2:
        case 0xe3: return BE_COND;
        case 0xe8: return BE_CALL;
        case 0xe9:
        case 0xeb: return BE_JUMP;
        case 0xc2:
        case 0xc3: return BE_RET;
        case 0xff:
            if (o->reg == 2)
                return BE_DYNCALL;
            if (o->reg == 4)
                return BE_DYN;
            break;
        default: break;
        }
    }
    return jit_emits(i) ? BE_FALL : BE_STOP; /* STI and POPF end no block here */
}

/* Far transfers, system calls and what waits. */
bool insn_goes_on(const struct insn *i)
{
    const struct opcode *o = insn_opcode(i);
    if (o->map == MAP_1B)
        switch (o->byte) {
        case 0x9a:
        case 0xca:
        case 0xcb:
        case 0xcf:
        case 0xea:
        case 0xf4:
        case 0xff: return false;
        default: return true;
        }
    return o->map != MAP_0F || (o->byte != 0x05 && o->byte != 0x07 && o->byte != 0x34 &&
                                o->byte != 0x35 && o->byte != 0xaa);
}

static bool is_incdec(const struct opcode *o)
{
    return o->fl_read == FLB_C && o->fl_write == (FLB_ALL & ~FLB_C) && o->map == MAP_1B &&
           ((o->byte & 0xf0) == 0x40 || o->byte == 0xfe || o->byte == 0xff);
}

/* Without a ModRM memory operand, and yet it can fault: the stack, moffs, division, CLI, SWAPGS, FS
 * and GS base. */
static bool faults_in_register_form(const struct opcode *o)
{
    if (o->map != MAP_1B)
        return o->map == MAP_0F && (o->byte == 0x01 || o->byte == 0xae);
    switch (o->byte) {
    case 0x68:
    case 0x6a:
    case 0xa0:
    case 0xa1:
    case 0xa2:
    case 0xa3:
    case 0x9c:
    case 0xc9:
    case 0xfa: return true;
    case 0xf6:
    case 0xf7: return o->reg >= 6;
    case 0xff: return o->reg == 6;
    default: return (o->byte & 0xf0) == 0x50;
    }
}

/* Can nothing look at the flags while it runs? Register forms of what is emitted without a call. */
static bool is_quiet(const struct insn *i, const struct opcode *o)
{
    if ((i->flags & INSN_MEM) && !(o->map == MAP_1B && o->byte == 0x8d) &&
        !(o->map == MAP_0F && o->byte >= 0x18 && o->byte <= 0x1f))
        return false;
    /* Switched off, #XM, #MF. */
    if ((o->feature >= FEAT_SSE && o->feature <= FEAT_SSE42) || o->feature == FEAT_FPU ||
        (o->map == MAP_1B && (o->byte & 0xf8) == 0xd8))
        return false;
    if (o->flags & OP_END)
        return insn_end(i) == BE_COND || insn_end(i) == BE_JUMP;
    return jit_emits(i) && !faults_in_register_form(o);
}

static bool is_rotate_or_shift(const struct opcode *o)
{
    return o->map == MAP_1B && ((o->byte & 0xfe) == 0xc0 || (o->byte & 0xfc) == 0xd0);
}

/* RCL and RCR: what they read goes into a register or memory, and not only (as with shifts by 0)
 * into the flags that they leave. */
static bool rotates_carry(const struct opcode *o)
{
    return is_rotate_or_shift(o) && (o->reg == 2 || o->reg == 3);
}

/* Sets CF and OF and leaves the others: rotates, bit tests. */
static bool sets_co(const struct opcode *o)
{
    if (o->map == MAP_1B)
        return is_rotate_or_shift(o) && o->reg < 4;
    return o->map == MAP_0F && o->fl_write == FLB_C;
}

/* The need before an instruction without a call that leaves some flags, or sometimes all, as they
 * were: others than CF only have to be at hand somehow (FK_CO, FK_DYN). */
static enum flag_need before_partial(const struct insn *i, const struct opcode *o,
                                     enum flag_need after)
{
    enum flag_need need = after;
    if (after == FN_CARRY && !jit_flags_conditional(i))
        need = FN_OBSERVE;
    return need < FN_CARRY && rotates_carry(o) ? FN_CARRY : need;
}

/* The need before @n, given the need @after it; sets n->want. */
static enum flag_need before(struct rinsn *n, enum flag_need after)
{
    const struct opcode *o = insn_opcode(&n->i);
    enum flag_need need = after;
    if (o->fl_write | o->fl_undef) {
        n->want = (uint8_t)after;
        if (is_incdec(o))
            need = after > FN_NONE ? FN_CARRY : FN_NONE;
        else if (jit_emits(&n->i) && (sets_co(o) || jit_flags_conditional(&n->i)))
            need = before_partial(&n->i, o, after);
        else if ((o->fl_write | o->fl_undef) == FLB_ALL && !jit_flags_conditional(&n->i))
            need = o->fl_read == FLB_C ? FN_CARRY : o->fl_read ? FN_READ : FN_NONE;
        else
            need =
                after > FN_NONE || rotates_carry(o) || (o->fl_read & ~(o->fl_write | o->fl_undef))
                    ? FN_READ
                    : FN_NONE;
    } else if (o->fl_read) {
        need = o->fl_read == FLB_C && after < FN_CARRY ? FN_CARRY
               : o->fl_read == FLB_C                   ? after
                                                       : FN_READ;
    }
    if (need < FN_OBSERVE && !is_quiet(&n->i, o))
        need = FN_OBSERVE;
    return need;
}

static enum flag_need edge_need(const struct region_code *r, int succ)
{
    if (succ == OUTSIDE)
        return FN_OBSERVE;
    const struct rblock *b = &r->blocks[succ];
    return b->loop_check && b->need_in < FN_OBSERVE ? FN_OBSERVE : (enum flag_need)b->need_in;
}

static enum flag_need max_need(enum flag_need a, enum flag_need b)
{
    return a > b ? a : b;
}

static enum flag_need switch_need(const struct region_code *r, const struct rblock *b)
{
    enum flag_need need = FN_OBSERVE; /* it may go elsewhere */
    for (unsigned k = 0; k < b->target_count; k++)
        need = max_need(need, edge_need(r, succ_of(r, b, k)));
    return need;
}

static enum flag_need need_out(const struct region_code *r, const struct rblock *b)
{
    switch ((enum block_end)b->end) {
    case BE_FALL:
    case BE_JUMP: return edge_need(r, b->succ[0]);
    case BE_COND: return max_need(edge_need(r, b->succ[0]), edge_need(r, b->succ[1]));
    case BE_STOP: return FN_READ;
    case BE_DYN: return edge_need(r, b->succ[0]);
    case BE_SWITCH: return switch_need(r, b);
    default: return FN_OBSERVE; /* the next region looks into memory for them */
    }
}

void region_live(struct region_code *r)
{
    for (unsigned k = 0; k < r->block_count; k++)
        r->blocks[k].preds = 0;
    r->blocks[0].preds = 1;
    for (unsigned k = 0; k < r->block_count; k++) {
        struct rblock *b = &r->blocks[k];
        b->need_in = FN_NONE;
        for (unsigned s = 0; s < succ_count(b); s++)
            if (succ_of(r, b, s) >= 0)
                r->blocks[succ_of(r, b, s)].preds++;
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int k = (int)r->block_count - 1; k >= 0; k--) {
            struct rblock *b = &r->blocks[k];
            enum flag_need need = need_out(r, b);
            for (int n = b->first + b->count - 1; n >= b->first; n--)
                need = before(&r->insns[n], need);
            if (need != b->need_in) {
                b->need_in = (uint8_t)need;
                changed = true;
            }
        }
    }
}

static struct regs either(struct regs a, struct regs b)
{
    return (struct regs){ a.gpr | b.gpr, a.xmm | b.xmm };
}
static struct regs without(struct regs a, struct regs b)
{
    return (struct regs){ a.gpr & (uint16_t)~b.gpr, a.xmm & (uint16_t)~b.xmm };
}
static bool grow(struct regs *a, struct regs b)
{
    struct regs all = either(*a, b);
    bool more = all.gpr != a->gpr || all.xmm != a->xmm;
    *a = all;
    return more;
}

/* Does it store all registers in between, and load them again? */
static bool goes_through_memory(const struct rblock *b)
{
    return b->end == BE_CALL || b->end == BE_DYNCALL || b->end == BE_STOP;
}

void region_registers(struct region_code *r)
{
    for (unsigned k = 0; k < r->block_count; k++)
        r->blocks[k].dirty_in = r->blocks[k].live_in = (struct regs){ 0 };
    for (bool changed = true; changed;) {
        changed = false;
        for (unsigned k = 0; k < r->block_count; k++) {
            const struct rblock *b = &r->blocks[k];
            struct regs dirty = either(b->dirty_in, b->writes);
            for (unsigned s = 0; s < succ_count(b) && !goes_through_memory(b); s++)
                if (succ_of(r, b, s) >= 0)
                    changed |= grow(&r->blocks[succ_of(r, b, s)].dirty_in, dirty);
        }
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int k = (int)r->block_count - 1; k >= 0; k--) {
            struct rblock *b = &r->blocks[k];
            struct regs live = { 0 };
            for (unsigned s = 0; s < succ_count(b) && !goes_through_memory(b); s++)
                if (succ_of(r, b, s) >= 0)
                    live = either(live, r->blocks[succ_of(r, b, s)].live_in);
            live = either(without(live, b->kills), either(b->reads, b->dirty_in));
            changed |= grow(&b->live_in, live);
        }
    }
}
