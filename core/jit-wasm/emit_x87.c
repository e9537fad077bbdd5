/*
 * x87 instructions: the stack's registers live in locals for a while.
 *
 * A chain is what a block has of translated x87 instructions, as long as nothing else in between
 * may touch the x87's state. Where it starts, code looks whether it is plain sailing: no #NM or
 * #MF, all exceptions masked, the registers that the chain reads in use and those that it pushes
 * empty (TOP only turns the numbering, tags are compared after turning them). Then nothing can go
 * wrong in the chain but an access to memory. Otherwise the handlers run all of it.
 *
 * A run is a piece of a chain without other instructions in between:
 *
 *     if (ok)
 *       code of the run             values in locals; writes back what has changed
 *     else
 *       the run's handlers
 *     end
 *
 * Registers are numbered from TOP at the chain's start: position 0 is ST(0) there. They are loaded
 * once in a chain, on first use. What has changed goes to memory before each access to guest
 * memory, which may leave the region, and at the end of the run: values, TOP and tags, FSW, and the
 * instruction's address and opcode. FXCH only changes which locals a position has.
 */
#include "cpu/x87.h"
#include "jit-wasm/emit_x87.h"

#include <string.h>

/* ---- which instruction ---- */

enum kind {
    K_NONE,
    K_LOAD,  /* FLD, FILD of memory */
    K_DUP,   /* FLD ST(i) */
    K_CONST, /* FLD1 ... FLDZ */
    K_STORE, /* FST, FIST, FISTTP to memory */
    K_COPY,  /* FST ST(i) */
    K_FXCH,
    K_SIGN,   /* FCHS, FABS */
    K_ARITH,  /* of ST(0) and ST(i) or memory */
    K_FCOM,   /* FSW gets the result */
    K_FCOMI,  /* the flags do */
    K_UNARY,  /* FSQRT, FRNDINT */
    K_STATUS, /* FNSTSW AX */
};

struct what {
    uint8_t kind;
    uint8_t op;     /* enum x87_op */
    uint8_t format; /* of the memory operand; X87_F80: an integer */
    uint8_t osz;    /* of it */
    uint8_t sti;    /* the register operand */
    uint8_t pops;
    bool to_sti; /* the result goes to ST(i) */
};

static const uint8_t arith_ops[] = { X87_ADD, X87_MUL,  X87_COM, X87_COM,
                                     X87_SUB, X87_SUBR, X87_DIV, X87_DIVR };

static struct what memory_form(unsigned byte, unsigned reg)
{
    static const uint8_t formats[] = { X87_F32, X87_F80, X87_F64, X87_F80 };
    static const uint8_t sizes[] = { 2, 2, 3, 1 };
    struct what w = { .format = formats[byte >> 1], .osz = sizes[byte >> 1] };
    bool real = w.format != X87_F80;
    if (!(byte & 1)) {
        w.kind = (reg & 6) == 2 ? K_FCOM : K_ARITH;
        w.op = arith_ops[reg];
        w.pops = reg == 3;
        return w;
    }
    switch (reg) {
    case 0:
        w.kind = K_LOAD;
        w.op = X87_LOAD;
        break;
    case 1: /* FISTTP m32, m64, m16; of D9 nothing */
        if (byte == 1)
            break;
        w.format = X87_F80;
        w.kind = K_STORE;
        w.op = X87_TRUNCATE;
        w.pops = 1;
        break;
    case 2:
    case 3:
        w.kind = K_STORE;
        w.op = real ? X87_STORE : X87_TO_INT;
        w.pops = reg == 3;
        break;
    case 5:
    case 7:
        if (byte != 7)
            break;
        w.osz = 3;
        w.kind = reg == 5 ? K_LOAD : K_STORE;
        w.op = reg == 5 ? X87_LOAD : X87_TO_INT;
        w.pops = reg == 7;
        break;
    default: break;
    }
    return w;
}

static struct what d9_form(unsigned modrm)
{
    struct what w = { .sti = modrm & 7 };
    if (modrm < 0xc8) {
        w.kind = K_DUP;
    } else if (modrm < 0xd0) {
        w.kind = K_FXCH;
    } else if (modrm == 0xe0 || modrm == 0xe1) {
        w.kind = K_SIGN;
    } else if (modrm == 0xe4) {
        w.kind = K_FCOM;
        w.op = X87_TST;
        w.sti = 0;
    } else if (modrm >= 0xe8 && modrm <= 0xee) {
        w.kind = K_CONST;
    } else if (modrm == 0xfa || modrm == 0xfc) {
        w.kind = K_UNARY;
        w.op = modrm == 0xfa ? X87_SQRT : X87_RNDINT;
    }
    return w;
}

static struct what register_form(unsigned byte, unsigned modrm)
{
    unsigned reg = modrm >> 3 & 7;
    struct what w = { .sti = modrm & 7, .op = arith_ops[reg] };
    bool compares = (reg & 6) == 2;
    switch (byte) {
    case 0:
        w.kind = compares ? K_FCOM : K_ARITH;
        w.pops = reg == 3;
        break;
    case 1: return d9_form(modrm);
    case 4:
    case 6:
        w.to_sti = true;
        w.pops = byte == 6;
        if (!compares) {
            w.kind = K_ARITH;
        } else if (modrm == 0xd9) { /* FCOMPP; DC has none */
            w.kind = byte == 6 ? K_FCOM : K_NONE;
            w.pops = 2;
        }
        break;
    case 2:
        if (modrm == 0xe9) { /* FUCOMPP */
            w.kind = K_FCOM;
            w.op = X87_UCOM;
            w.pops = 2;
        }
        break;
    case 5:
        if (compares)
            w.kind = K_COPY;
        else if (reg == 4 || reg == 5)
            w.kind = K_FCOM;
        w.op = X87_UCOM;
        w.pops = reg & 1;
        break;
    default: /* DB, DF */
        if (reg == 5 || reg == 6)
            w.kind = K_FCOMI;
        else if (modrm == 0xe0 && byte == 7)
            w.kind = K_STATUS;
        w.op = reg == 5 ? X87_UCOM : X87_COM;
        w.pops = byte == 7;
        break;
    }
    return w;
}

static struct what classify(const struct insn *i)
{
    const struct opcode *o = insn_opcode(i);
    if (o->map != MAP_1B || (o->byte & 0xf8) != 0xd8)
        return (struct what){ 0 };
    unsigned byte = o->byte & 7u;
    return in_memory(i) ? memory_form(byte, i->modrm >> 3 & 7) : register_form(byte, i->modrm);
}

static bool is_emitted(const struct insn *i)
{
    return classify(i).kind != K_NONE;
}

/* ---- the chain ---- */

/* May an instruction between two x87 instructions touch the x87's state, or what an x87 instruction
 * depends on? Only those that are emitted without a handler and know no mm registers may not. */
static bool ends_chain(const struct insn *i)
{
    const struct emit_row *row = emit_row_of(i);
    const struct opcode *o = insn_opcode(i);
    if (!row || o->feature == FEAT_MMX ||
        (row >= emit_sys.rows && row < emit_sys.rows + emit_sys.count))
        return true;
    for (unsigned k = 0; k < 4; k++)
        switch (o->operands[k]) {
        case OPD_Pq:
        case OPD_Qq:
        case OPD_Qd:
        case OPD_Nq: return true;
        default: break;
        }
    return false;
}

/* What is known of tags, by position: set and clear bits; and what was assumed for that. */
struct tags {
    uint8_t used, empty;
    uint8_t need_used, need_empty;
    unsigned top;
};

static bool expect_used(struct tags *t, unsigned sti)
{
    uint8_t bit = (uint8_t)(1u << ((t->top + sti) & 7));
    if (t->empty & bit)
        return false;
    t->need_used |= (uint8_t)(bit & ~t->used);
    t->used |= bit;
    return true;
}
static void now_used(struct tags *t, unsigned sti)
{
    uint8_t bit = (uint8_t)(1u << ((t->top + sti) & 7));
    t->used |= bit;
    t->empty &= (uint8_t)~bit;
}
static bool push_tag(struct tags *t)
{
    uint8_t bit = (uint8_t)(1u << ((t->top + 7) & 7));
    if (t->used & bit)
        return false;
    t->need_empty |= (uint8_t)(bit & ~t->empty);
    t->top = (t->top + 7) & 7;
    now_used(t, 0);
    return true;
}
static void pop_tag(struct tags *t)
{
    uint8_t bit = (uint8_t)(1u << t->top);
    t->used &= (uint8_t)~bit;
    t->empty |= bit;
    t->top = (t->top + 1) & 7;
}

/* What the instruction needs of tags and does to them. False: it fails for sure. */
static bool step_tags(struct tags *t, struct what w, bool memory)
{
    bool ok = true;
    switch ((enum kind)w.kind) {
    case K_LOAD:
    case K_CONST: return push_tag(t);
    case K_DUP: return expect_used(t, w.sti) && push_tag(t);
    case K_STATUS: return true;
    case K_COPY:
        ok = expect_used(t, 0);
        now_used(t, w.sti);
        break;
    case K_FXCH:
    case K_ARITH:
    case K_FCOM:
    case K_FCOMI: ok = expect_used(t, 0) && (memory || expect_used(t, w.sti)); break;
    default: ok = expect_used(t, 0); break;
    }
    while (w.pops--)
        pop_tag(t);
    return ok;
}

/* False: the current instruction can't begin one, FLD ST(7) for example. */
static bool begin_chain(struct emit *e)
{
    struct emit_x87 *s = &e->x87;
    struct cpu *c = e->c;
    struct tags t = { 0 };
    unsigned n = e->index;
    for (; n < e->blk->count; n++) {
        const struct insn *i = &e->r->insns[e->blk->first + n].i;
        struct what w = classify(i);
        struct tags before = t;
        if (w.kind == K_NONE ? ends_chain(i) : !step_tags(&t, w, in_memory(i))) {
            t = before;
            break;
        }
    }
    if (n == e->index)
        return false;
    s->until = n;
    s->loaded = s->dirty = 0;
    s->top = s->top_written = 0;
    s->set_tags = s->clear_tags = 0;
    s->fsw_dirty = s->c1_clear = s->fcs_written = s->pointer_dirty = false;
    s->fds_written = SEG_NONE + 1;
    if (s->ok == NO_LOCAL) {
        s->ok = (int16_t)emit_local(e, W_I32);
        s->turn = (int16_t)emit_local(e, W_I32);
        s->tags = (int16_t)emit_local(e, W_I32);
        s->control = (int16_t)emit_local(e, W_I32);
        s->fsw = (int16_t)emit_local(e, W_I32);
        for (unsigned k = 0; k < 8; k++) {
            s->frac[k] = (int16_t)emit_local(e, W_I64);
            s->se[k] = (int16_t)emit_local(e, W_I32);
        }
    }
    emit_load_fixed(e, W_I32_LOAD8_U, &c->ftop);
    set_local(e, s->turn);
    emit_load_fixed(e, W_I32_LOAD8_U, &c->ftag);
    emit_i32(e, 0x101);
    op(e, W_I32_MUL);
    get_local(e, s->turn);
    op(e, W_I32_SHR_U);
    set_local(e, s->tags);
    emit_load_fixed(e, W_I32_LOAD16_U, &c->fcw);
    set_local(e, s->control);
    emit_load_fixed(e, W_I32_LOAD16_U, &c->fsw);
    set_local(e, s->fsw);

    get_local(e, s->tags);
    emit_i32(e, t.need_used);
    op(e, W_I32_XOR);
    emit_i32(e, t.need_used | t.need_empty);
    op(e, W_I32_AND);
    get_local(e, s->fsw);
    emit_i32(e, FSW_ES);
    op(e, W_I32_AND);
    op(e, W_I32_OR);
    get_local(e, s->control);
    emit_i32(e, -1);
    op(e, W_I32_XOR);
    emit_i32(e, FPX_ALL);
    op(e, W_I32_AND);
    op(e, W_I32_OR);
    emit_load_fixed(e, W_I32_LOAD, &c->cr0);
    emit_i32(e, CR0_EM | CR0_TS);
    op(e, W_I32_AND);
    op(e, W_I32_OR);
    op(e, W_I32_EQZ);
    set_local(e, s->ok);
    /* Rounding and precision control: 0 if to nearest and 64 bits. */
    get_local(e, s->control);
    emit_i32(e, 0xf00);
    op(e, W_I32_AND);
    emit_i32(e, 0x300);
    op(e, W_I32_XOR);
    set_local(e, s->control);
    return true;
}

/* ---- registers ---- */

static unsigned position(const struct emit *e, unsigned sti)
{
    return (e->x87.top + sti) & 7;
}

/* Leaves the offset of a position's register in cpu.st on the stack. */
static void register_offset(struct emit *e, unsigned pos)
{
    get_local(e, e->x87.turn);
    if (pos) {
        emit_i32(e, (int32_t)pos);
        op(e, W_I32_ADD);
        emit_i32(e, 7);
        op(e, W_I32_AND);
    }
    emit_i32(e, 4);
    op(e, W_I32_SHL);
}

static void load_register(struct emit *e, unsigned pos)
{
    struct emit_x87 *s = &e->x87;
    const struct f80 *st = e->c->st;
    if (s->loaded >> pos & 1)
        return;
    register_offset(e, pos);
    int at = emit_tmp(e, W_I32);
    tee_local(e, at);
    emit_mem_op(e, W_I64_LOAD, 3, (uint32_t)(uintptr_t)&st->frac);
    set_local(e, s->frac[pos]);
    get_local(e, at);
    emit_mem_op(e, W_I32_LOAD16_U, 1, (uint32_t)(uintptr_t)&st->se);
    set_local(e, s->se[pos]);
    s->loaded |= (uint8_t)(1u << pos);
}

static struct x87_value get_register(struct emit *e, unsigned sti)
{
    unsigned pos = position(e, sti);
    load_register(e, pos);
    return (struct x87_value){ e->x87.frac[pos], e->x87.se[pos] };
}

static void changed(struct emit *e, unsigned pos)
{
    e->x87.loaded |= (uint8_t)(1u << pos);
    e->x87.dirty |= (uint8_t)(1u << pos);
}

static void set_register(struct emit *e, unsigned sti, struct x87_value v)
{
    unsigned pos = position(e, sti);
    get_local(e, v.frac);
    set_local(e, e->x87.frac[pos]);
    get_local(e, v.se);
    set_local(e, e->x87.se[pos]);
    changed(e, pos);
}

static void tag(struct emit *e, unsigned sti, bool used)
{
    struct emit_x87 *s = &e->x87;
    uint8_t bit = (uint8_t)(1u << position(e, sti));
    s->set_tags = (uint8_t)(used ? s->set_tags | bit : s->set_tags & ~bit);
    s->clear_tags = (uint8_t)(used ? s->clear_tags & ~bit : s->clear_tags | bit);
}
static void push(struct emit *e, struct x87_value v)
{
    e->x87.top = (e->x87.top + 7) & 7;
    tag(e, 0, true);
    set_register(e, 0, v);
}
static void pop(struct emit *e, unsigned n)
{
    while (n--) {
        tag(e, 0, false);
        e->x87.top = (e->x87.top + 1) & 7;
    }
}

/* ---- to memory ---- */

static void write_register(struct emit *e, unsigned pos)
{
    const struct f80 *st = e->c->st;
    register_offset(e, pos);
    int at = emit_tmp(e, W_I32);
    tee_local(e, at);
    get_local(e, e->x87.frac[pos]);
    emit_mem_op(e, W_I64_STORE, 3, (uint32_t)(uintptr_t)&st->frac);
    get_local(e, at);
    get_local(e, e->x87.se[pos]);
    emit_mem_op(e, W_I32_STORE16, 1, (uint32_t)(uintptr_t)&st->se);
}

static void write_top(struct emit *e)
{
    struct emit_x87 *s = &e->x87;
    if (s->top != s->top_written) {
        emit_store_begin(e);
        get_local(e, s->turn);
        emit_i32(e, (int32_t)s->top);
        op(e, W_I32_ADD);
        emit_i32(e, 7);
        op(e, W_I32_AND);
        emit_store_end(e, W_I32_STORE8, &e->c->ftop);
        s->top_written = s->top;
    }
    if (!(s->set_tags | s->clear_tags))
        return;
    get_local(e, s->tags);
    if (s->clear_tags) {
        emit_i32(e, 0xff & ~s->clear_tags);
        op(e, W_I32_AND);
    }
    if (s->set_tags) {
        emit_i32(e, s->set_tags);
        op(e, W_I32_OR);
    }
    if (!s->clear_tags) {
        emit_i32(e, 0xff);
        op(e, W_I32_AND);
    }
    set_local(e, s->tags);
    emit_store_begin(e);
    get_local(e, s->tags);
    emit_i32(e, 0x101);
    op(e, W_I32_MUL);
    get_local(e, s->turn);
    op(e, W_I32_SHL);
    emit_i32(e, 8);
    op(e, W_I32_SHR_U);
    emit_store_end(e, W_I32_STORE8, &e->c->ftag);
    s->set_tags = s->clear_tags = 0;
}

/* FIP, FOP and FCS of the instruction that was emitted last. */
static void write_pointer(struct emit *e)
{
    struct emit_x87 *s = &e->x87;
    struct cpu *c = e->c;
    if (!s->pointer_dirty)
        return;
    emit_store_begin(e);
    emit_rip(e, s->fip);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
    emit_store_end(e, W_I64_STORE, &c->fip);
    emit_store_begin(e);
    emit_i32(e, s->fop);
    emit_store_end(e, W_I32_STORE16, &c->fop);
    if (!s->fcs_written) {
        emit_store_begin(e);
        emit_load_fixed(e, W_I32_LOAD16_U, &c->seg[SEG_CS].sel);
        emit_store_end(e, W_I32_STORE16, &c->fcs);
    }
    s->fcs_written = true;
    s->pointer_dirty = false;
}

static void write_back(struct emit *e)
{
    struct emit_x87 *s = &e->x87;
    for (unsigned pos = 0; pos < 8; pos++)
        if (s->dirty >> pos & 1)
            write_register(e, pos);
    s->dirty = 0;
    write_top(e);
    if (s->fsw_dirty) {
        emit_store_begin(e);
        get_local(e, s->fsw);
        emit_store_end(e, W_I32_STORE16, &e->c->fsw);
        s->fsw_dirty = false;
    }
    write_pointer(e);
}

/* The instruction is done, but for what write_back() does; @ea: effective address of its operand.
 */
static void done(struct emit *e, const struct insn *i, int ea)
{
    struct emit_x87 *s = &e->x87;
    s->fip = e->n->off;
    s->fop = (uint16_t)((insn_opcode(i)->byte & 7u) << 8 | i->modrm);
    s->pointer_dirty = true;
    if (ea == NO_LOCAL)
        return;
    emit_store_begin(e);
    get_local(e, ea);
    if (!e->m64)
        op(e, W_I64_EXTEND_I32_U);
    emit_store_end(e, W_I64_STORE, &e->c->fdp);
    if (s->fds_written == i->seg)
        return;
    s->fds_written = i->seg;
    emit_store_begin(e);
    if (i->seg < SEG_NONE)
        emit_load_fixed(e, W_I32_LOAD16_U, &e->c->seg[i->seg].sel);
    else
        emit_i32(e, 0);
    emit_store_end(e, W_I32_STORE16, &e->c->fds);
}

/* ---- memory operands ---- */

static int operand_ea(struct emit *e)
{
    emit_ea(e);
    int ea = emit_tmp(e, e->m64 ? W_I64 : W_I32);
    set_local(e, ea);
    get_local(e, ea);
    return ea;
}

/* The operand's bits in an i64 local; an integer is sign-extended. */
static int load_operand(struct emit *e, const struct insn *i, struct what w, int *ea)
{
    write_back(e);
    *ea = operand_ea(e);
    emit_load(e, emit_linear(e, i->seg, 1u << w.osz, ACCESS_READ), i->seg, w.osz);
    if (w.osz == 1)
        op(e, W_I32_EXTEND16_S);
    if (w.osz < 3)
        op(e, w.format == X87_F80 ? W_I64_EXTEND_I32_S : W_I64_EXTEND_I32_U);
    return to_tmp(e, W_I64);
}

static struct x87_value integer_operand(struct emit *e, int raw)
{
    get_local(e, raw);
    return x87_from_integer(e);
}

/* ---- instructions ---- */

static int emit_load_insn(struct emit *e, const struct insn *i, struct what w)
{
    int ea, raw = load_operand(e, i, w, &ea);
    if (w.format != X87_F80) {
        push(e, x87_from_float(e, (enum x87_format)w.format, raw));
        return ea;
    }
    x87_clear_c1(e);
    push(e, integer_operand(e, raw));
    return ea;
}

static void emit_const_insn(struct emit *e, const struct insn *i)
{
    int frac = emit_tmp(e, W_I64), se = emit_tmp(e, W_I32);
    unsigned n = i->modrm & 7;
    x87_clear_c1(e);
    emit_i64(e, n == 0 ? INT64_MIN : n == 6 ? 0 : (int64_t)n);
    set_local(e, frac);
    emit_i32(e, n == 0 ? 16383 : 0);
    set_local(e, se);
    if (n != 0 && n != 6) {
        get_local(e, x87_call(e, X87_CONST, frac, NO_LOCAL, NO_LOCAL, NO_LOCAL));
        set_local(e, se);
        emit_load_fixed(e, W_I64_LOAD, jit_shared.scratch);
        set_local(e, frac);
    }
    push(e, (struct x87_value){ frac, se });
}

static int emit_store_insn(struct emit *e, const struct insn *i, struct what w)
{
    int bits, out;
    struct x87_value a = get_register(e, 0);
    if (w.op == X87_STORE) {
        out = x87_to_float(e, (enum x87_format)w.format, a, &bits);
    } else {
        bits = x87_call(e, w.op | (uint32_t)w.osz << 8, a.frac, a.se, NO_LOCAL, NO_LOCAL);
        get_local(e, bits);
        emit_i32(e, 16);
        op(e, W_I32_SHR_U);
        set_local(e, bits);
        out = emit_tmp(e, W_I64);
        emit_load_fixed(e, W_I64_LOAD, jit_shared.scratch);
        set_local(e, out);
    }
    if (w.osz < 3) {
        get_local(e, out);
        op(e, W_I32_WRAP_I64);
        out = to_tmp(e, W_I32);
    }
    write_back(e);
    int ea = operand_ea(e);
    emit_store(e, emit_linear(e, i->seg, 1u << w.osz, ACCESS_WRITE), i->seg, w.osz, out);
    get_local(e, e->x87.fsw);
    emit_i32(e, (int32_t)~FSW_C1);
    op(e, W_I32_AND);
    get_local(e, bits);
    op(e, W_I32_OR);
    set_local(e, e->x87.fsw);
    e->x87.fsw_dirty = true;
    e->x87.c1_clear = false;
    return ea;
}

static void emit_fxch(struct emit *e, struct what w)
{
    struct emit_x87 *s = &e->x87;
    unsigned p = position(e, 0), q = position(e, w.sti);
    x87_clear_c1(e);
    if (p == q)
        return;
    load_register(e, p);
    load_register(e, q);
    int16_t frac = s->frac[p], se = s->se[p];
    s->frac[p] = s->frac[q];
    s->se[p] = s->se[q];
    s->frac[q] = frac;
    s->se[q] = se;
    changed(e, p);
    changed(e, q);
}

static void emit_sign(struct emit *e, const struct insn *i)
{
    struct x87_value a = get_register(e, 0);
    x87_clear_c1(e);
    get_local(e, a.se);
    emit_i32(e, (i->modrm & 1) ? 0x7fff : 0x8000);
    op(e, (i->modrm & 1) ? W_I32_AND : W_I32_XOR);
    set_local(e, a.se);
    changed(e, position(e, 0));
}

static int emit_arith(struct emit *e, const struct insn *i, struct what w)
{
    int ea = NO_LOCAL, raw = NO_LOCAL;
    struct x87_value b = { NO_LOCAL, NO_LOCAL };
    if (in_memory(i)) {
        raw = load_operand(e, i, w, &ea);
        if (w.format == X87_F80)
            b = integer_operand(e, raw);
    } else {
        b = get_register(e, w.sti);
    }
    struct x87_value a = get_register(e, 0);
    struct x87_value r = x87_arith(e, (enum x87_op)w.op, a, b, (enum x87_format)w.format, raw);
    set_register(e, w.to_sti ? w.sti : 0, r);
    return ea;
}

static int emit_compare(struct emit *e, const struct insn *i, struct what w)
{
    int ea = NO_LOCAL, raw = NO_LOCAL, result;
    struct x87_value b = { NO_LOCAL, NO_LOCAL };
    if (in_memory(i)) {
        raw = load_operand(e, i, w, &ea);
        if (w.format == X87_F80)
            b = integer_operand(e, raw);
        else
            b.frac = raw;
    } else if (w.op != X87_TST) {
        b = get_register(e, w.sti);
    }
    struct x87_value a = get_register(e, 0);
    result = x87_call(e, w.op | (uint32_t)w.format << 8, a.frac, a.se, b.frac, b.se);
    if (w.kind == K_FCOM) {
        x87_take_fsw(e, FSW_C1 | FSW_CC, result);
        return ea;
    }
    /* C0, C2 and C3 are CF, PF and ZF; only exceptions go to FSW. */
    get_local(e, result);
    emit_i32(e, (int32_t)(FPX_ALL << 16));
    op(e, W_I32_AND);
    int exceptions = to_tmp(e, W_I32);
    bool c1_clear = e->x87.c1_clear;
    x87_take_fsw(e, 0, exceptions);
    e->x87.c1_clear = c1_clear;
    get_local(e, result);
    emit_i32(e, (int32_t)(FSW_C3 << 16));
    op(e, W_I32_AND);
    op(e, W_I32_EQZ);
    op(e, W_I64_EXTEND_I32_U);
    set_local(e, e->fz);
    get_local(e, result);
    emit_i32(e, (int32_t)(FSW_C2 << 16));
    op(e, W_I32_AND);
    op(e, W_I32_EQZ);
    op(e, W_I64_EXTEND_I32_U);
    set_local(e, e->fs);
    emit_i64(e, 0); /* CF with OF = 0: both top bits */
    get_local(e, result);
    emit_i32(e, 24);
    op(e, W_I32_SHR_U);
    emit_i32(e, 1);
    op(e, W_I32_AND);
    op(e, W_I64_EXTEND_I32_U);
    op(e, W_I64_SUB);
    emit_i64(e, 62);
    op(e, W_I64_SHL);
    set_local(e, e->fc);
    emit_i64(e, 0);
    set_local(e, e->fx);
    e->kind = FK_CANON;
    return ea;
}

static void emit_unary(struct emit *e, struct what w)
{
    struct x87_value a = get_register(e, 0);
    int result = x87_call(e, w.op, a.frac, a.se, NO_LOCAL, NO_LOCAL);
    x87_take_result(e, a, result);
    changed(e, position(e, 0));
}

/* FNSTSW AX: no other pointers, nothing else changes. */
static void emit_status(struct emit *e)
{
    get_local(e, e->x87.fsw);
    get_local(e, e->x87.turn);
    emit_i32(e, (int32_t)e->x87.top);
    op(e, W_I32_ADD);
    emit_i32(e, 7);
    op(e, W_I32_AND);
    emit_i32(e, 11);
    op(e, W_I32_SHL);
    op(e, W_I32_OR);
    emit_set(e, 1, RAX);
}

static void emit_fast(struct emit *e, const struct insn *i, struct what w)
{
    int ea = NO_LOCAL;
    switch ((enum kind)w.kind) {
    case K_LOAD: ea = emit_load_insn(e, i, w); break;
    case K_DUP: {
        struct x87_value v = get_register(e, w.sti);
        x87_clear_c1(e);
        push(e, v);
        break;
    }
    case K_CONST: emit_const_insn(e, i); break;
    case K_STORE: ea = emit_store_insn(e, i, w); break;
    case K_COPY: {
        struct x87_value v = get_register(e, 0);
        x87_clear_c1(e);
        tag(e, w.sti, true);
        set_register(e, w.sti, v);
        break;
    }
    case K_FXCH: emit_fxch(e, w); break;
    case K_SIGN: emit_sign(e, i); break;
    case K_ARITH: ea = emit_arith(e, i, w); break;
    case K_FCOM:
    case K_FCOMI: ea = emit_compare(e, i, w); break;
    case K_UNARY: emit_unary(e, w); break;
    default: emit_status(e); return;
    }
    pop(e, w.pops);
    done(e, i, ea);
}

/* ---- the run ---- */

/* The other way through the run that ends with the current instruction. What is known of general
 * registers and accesses holds afterwards as it does after the fast way. */
static void close_run(struct emit *e)
{
    struct emit_x87 *s = &e->x87;
    const struct rinsn *last = e->n;
    unsigned index = e->index;
    int kind = e->kind;
    memset(e->tmp_next, 0, sizeof e->tmp_next);
    write_back(e);
    struct group_state known = e->groups->now;
    op(e, W_ELSE);
    e->kind = s->kind_before;
    for (unsigned n = s->first; n <= index; n++) {
        e->n = &e->r->insns[e->blk->first + n];
        e->index = n;
        e->point = -1;
        memset(e->tmp_next, 0, sizeof e->tmp_next);
        emit_handler(e);
    }
    if (s->sets_flags) {
        flags_load(e);
        e->kind = kind;
    }
    e->n = last;
    e->groups->now = known;
    close_block(e);
    s->open = false;
}

static void emit_x87_insn(struct emit *e, const struct insn *i)
{
    struct emit_x87 *s = &e->x87;
    struct what w = classify(i);
    if (e->index >= s->until && !begin_chain(e)) {
        emit_handler(e);
        return;
    }
    if (!s->open) {
        s->open = true;
        s->first = e->index;
        s->kind_before = e->kind;
        s->sets_flags = false;
        get_local(e, s->ok);
        likely_next(e);
        open_block(e, W_IF, W_VOID);
    }
    s->sets_flags |= w.kind == K_FCOMI;
    emit_fast(e, i, w);
    if (e->index + 1 >= s->until || !is_emitted(&e->n[1].i))
        close_run(e);
}

static const struct emit_row rows[] = {
    EMIT_ROW(MAP_1B, 0xd8, 0xdf, R_ANY, emit_x87_insn, 0, is_emitted),
};
const struct emit_table emit_x87 = { rows, sizeof rows / sizeof rows[0] };
