/*
 * Instructions around flags, segment registers and interrupts that kernels run often, without a
 * call: what they look at is in struct cpu at a fixed address. Whatever isn't the common case
 * (not allowed, an interrupt that becomes deliverable, a mode that changes) leaves for the
 * interpreter before anything has changed.
 *
 * STI and POPF don't end a block here. STI lets one more instruction run before an interrupt; that
 * is so because nothing looks for one before the next loop head or exit, and none was pending. As
 * the last of a block STI calls its handler, which leaves.
 */
#include "cpu/flags.h"
#include "jit-wasm/emit.h"

static void load_rflags(struct emit *e)
{
    emit_load_fixed(e, W_I32_LOAD, &e->c->rflags);
}

/* rflags = rflags & @keep | @set */
static void change_rflags(struct emit *e, uint32_t keep, uint32_t set)
{
    emit_store_begin(e);
    load_rflags(e);
    emit_i32(e, (int32_t)keep);
    op(e, W_I32_AND);
    emit_i32(e, (int32_t)set);
    op(e, W_I32_OR);
    emit_store_end(e, W_I32_STORE, &e->c->rflags);
}

/* ---- the arithmetic flags as bits ---- */

/* Pushes @flag if the i32 0 or 1 on the stack is 1, ORed to the value below. */
static void add_flag(struct emit *e, uint32_t flag)
{
    emit_i32(e, __builtin_ctz(flag));
    op(e, W_I32_SHL);
    op(e, W_I32_OR);
}

/* The canonical flags as in RFLAGS, ORed to the i32 on the stack. */
static void add_arith(struct emit *e)
{
    static const struct {
        uint8_t cc;
        uint32_t flag;
    } flags[] = { { 0, FL_OF }, { 2, FL_CF }, { 4, FL_ZF }, { 8, FL_SF }, { 10, FL_PF } };
    for (unsigned k = 0; k < sizeof flags / sizeof flags[0]; k++) {
        flags_cond_value(e, flags[k].cc);
        add_flag(e, flags[k].flag);
    }
    get_local(e, e->fx);
    op(e, W_I32_WRAP_I64);
    emit_i32(e, FL_AF);
    op(e, W_I32_AND);
    op(e, W_I32_OR);
}

/* The bit @flag of i32 local @v as an i64 with that bit at @to. */
static void flag_bit(struct emit *e, int v, uint32_t flag, unsigned to)
{
    unsigned from = (unsigned)__builtin_ctz(flag);
    get_local(e, v);
    op(e, W_I64_EXTEND_I32_U);
    if (from != to) {
        emit_i64(e, from < to ? to - from : from - to);
        op(e, from < to ? W_I64_SHL : W_I64_SHR_U);
    }
    emit_i64(e, (int64_t)(1ull << to));
    op(e, W_I64_AND);
}

/* SF, ZF, AF, PF from i32 local @v, an image of the flags; the kind is canonical. */
static void set_szap(struct emit *e, int v)
{
    flag_bit(e, v, FL_ZF, 0);
    emit_i64(e, 1);
    op(e, W_I64_XOR);
    set_local(e, e->fz);
    flag_bit(e, v, FL_SF, 63);
    flag_bit(e, v, FL_PF, 0);
    emit_i64(e, 1);
    op(e, W_I64_XOR);
    op(e, W_I64_OR);
    set_local(e, e->fs);
    flag_bit(e, v, FL_AF, 4);
    set_local(e, e->fx);
}

static void emit_lahf(struct emit *e, const struct insn *i)
{
    flags_canonical(e);
    emit_i32(e, 2);
    add_arith(e);
    emit_set(e, 0, 1); /* without OF: that is beyond AH */
}

static void emit_sahf(struct emit *e, const struct insn *i)
{
    if (!flags_wanted(e))
        return;
    flags_canonical(e);
    emit_get(e, 0, 1);
    int v = int_tmp(e, 0);
    set_szap(e, v);
    get_local(e, v);
    emit_i32(e, FL_CF);
    op(e, W_I32_AND);
    flags_set_carry(e);
}

/* CLC, STC, CMC: arg 0, 1, 2 */
static void emit_carry(struct emit *e, const struct insn *i)
{
    uint32_t arg = emit_row_of(i)->arg;
    if (!flags_wanted(e))
        return;
    flags_canonical(e);
    if (arg == 2) {
        flags_carry(e);
        op(e, W_I32_EQZ);
    } else {
        emit_i32(e, (int32_t)arg);
    }
    flags_set_carry(e);
}

/* CLD; arg 1: STD */
static void emit_direction(struct emit *e, const struct insn *i)
{
    change_rflags(e, ~FL_DF, emit_row_of(i)->arg ? FL_DF : 0);
}

/* ---- interrupt flag, the whole register ---- */

/* Is CPL > IOPL? i32 on the stack. */
static void above_iopl(struct emit *e)
{
    if (!(e->r->mode & MODE_PE)) {
        emit_i32(e, 0);
        return;
    }
    emit_load_fixed(e, W_I32_LOAD8_U, &e->c->cpl);
    load_rflags(e);
    emit_i32(e, __builtin_ctz(FL_IOPL));
    op(e, W_I32_SHR_U);
    emit_i32(e, 3);
    op(e, W_I32_AND);
    op(e, W_I32_GT_U);
}

static void emit_cli(struct emit *e, const struct insn *i)
{
    if (e->r->mode & MODE_PE) {
        above_iopl(e);
        emit_leave_if(e, LEAVE_INTERP);
    }
    change_rflags(e, ~FL_IF, 0);
}

static void emit_sti(struct emit *e, const struct insn *i)
{
    if (e->index + 1 == e->blk->count) {
        emit_handler(e);
        return;
    }
    above_iopl(e);
    emit_load_fixed(e, W_I32_LOAD, (const void *)&e->c->intr);
    op(e, W_I32_OR);
    emit_leave_if(e, LEAVE_INTERP);
    change_rflags(e, ~0u, FL_IF);
}

static void emit_pushf(struct emit *e, const struct insn *i)
{
    if (e->r->mode & MODE_VM) {
        emit_handler(e);
        return;
    }
    flags_canonical(e);
    load_rflags(e);
    emit_i32(e, ~(int32_t)(FL_VM | FL_RF));
    op(e, W_I32_AND);
    add_arith(e);
    if (i->osz == 3)
        op(e, W_I64_EXTEND_I32_U);
    emit_push(e, i->osz, int_tmp(e, i->osz));
}

/* Changes of anything but the arithmetic flags, DF and, at CPL 0 with no interrupt pending, IF are
 * the interpreter's. */
static void emit_popf(struct emit *e, const struct insn *i)
{
    uint32_t fixed = FL_TF | FL_IOPL | FL_NT | FL_AC | FL_ID;
    if (e->r->mode & MODE_VM) {
        emit_handler(e);
        return;
    }
    if (i->osz == 1)
        fixed &= 0xffff;
    emit_stack_peek(e, RSP, i->osz);
    if (i->osz == 3)
        op(e, W_I32_WRAP_I64);
    int v = int_tmp(e, 2);
    get_local(e, v);
    load_rflags(e);
    op(e, W_I32_XOR);
    int difference = int_tmp(e, 2);
    emit_load_fixed(e, W_I32_LOAD8_U, &e->c->cpl);
    emit_load_fixed(e, W_I32_LOAD, (const void *)&e->c->intr);
    op(e, W_I32_OR);
    emit_i32(e, 0);
    get_local(e, difference);
    emit_i32(e, FL_IF);
    op(e, W_I32_AND);
    op(e, W_SELECT);
    get_local(e, difference);
    emit_i32(e, (int32_t)fixed);
    op(e, W_I32_AND);
    op(e, W_I32_OR);
    emit_leave_if(e, LEAVE_INTERP);
    emit_sp_add(e, 1 << i->osz);
    emit_store_begin(e);
    load_rflags(e);
    get_local(e, difference);
    emit_i32(e, FL_IF | FL_DF);
    op(e, W_I32_AND);
    op(e, W_I32_XOR);
    emit_store_end(e, W_I32_STORE, &e->c->rflags);
    if (!flags_wanted(e))
        return;
    set_szap(e, v);
    flag_bit(e, v, FL_CF, 63); /* CF, and CF ^ OF */
    flag_bit(e, v, FL_CF, 62);
    flag_bit(e, v, FL_OF, 62);
    op(e, W_I64_XOR);
    op(e, W_I64_OR);
    set_local(e, e->fc);
    e->kind = FK_CANON;
}

/* ---- segment registers ---- */

static void emit_mov_from_seg(struct emit *e, const struct insn *i)
{
    const uint16_t *sel = &e->c->seg[i->r].sel;
    if (in_memory(i)) {
        int la = memory_operand(e, i, 2, ACCESS_WRITE);
        emit_load_fixed(e, W_I32_LOAD16_U, sel);
        emit_store(e, la, i->seg, 1, int_tmp(e, 1));
        return;
    }
    emit_load_fixed(e, i->osz == 3 ? W_I64_LOAD16_U : W_I32_LOAD16_U, sel);
    emit_set(e, i->osz, i->rm);
}
/* arg: segment. A 32-bit push writes 16 bits. */
static void emit_push_seg(struct emit *e, const struct insn *i)
{
    const uint16_t *sel = &e->c->seg[emit_row_of(i)->arg].sel;
    emit_load_fixed(e, i->osz == 3 ? W_I64_LOAD16_U : W_I32_LOAD16_U, sel);
    emit_push_low(e, i->osz, i->osz == 2 ? 1 : i->osz, int_tmp(e, i->osz));
}
static bool is_segment(const struct insn *i)
{
    return i->r <= SEG_GS;
}

static void emit_swapgs(struct emit *e, const struct insn *i)
{
    struct cpu *c = e->c;
    emit_load_fixed(e, W_I32_LOAD8_U, &c->cpl);
    emit_leave_if(e, LEAVE_INTERP);
    emit_load_fixed(e, W_I64_LOAD, &c->seg[SEG_GS].base);
    int old = int_tmp(e, 3);
    emit_load_fixed(e, W_I64_LOAD, &c->kernel_gs_base);
    int fresh = int_tmp(e, 3);
    const struct {
        int value;
        void *to;
    } stores[] = { { old, &c->kernel_gs_base },
                   { fresh, &c->seg[SEG_GS].base },
                   { fresh, &c->seg_base[SEG_GS] } };
    for (unsigned k = 0; k < 3; k++) {
        emit_store_begin(e);
        get_local(e, stores[k].value);
        emit_store_end(e, W_I64_STORE, stores[k].to);
    }
    groups_forget(e);
}
static bool is_swapgs(const struct insn *i)
{
    return i->modrm == 0xf8;
}

static void check_fsgsbase(struct emit *e)
{
    emit_load_fixed(e, W_I32_LOAD, &e->c->cr4);
    emit_i32(e, (int32_t)CR4_FSGSBASE);
    op(e, W_I32_AND);
    op(e, W_I32_EQZ);
    emit_leave_if(e, LEAVE_INTERP);
}

/* RDFSBASE, RDGSBASE; arg: segment */
static void emit_read_base(struct emit *e, const struct insn *i)
{
    check_fsgsbase(e);
    emit_load_fixed(e, i->osz == 3 ? W_I64_LOAD : W_I32_LOAD, &e->c->seg[emit_row_of(i)->arg].base);
    emit_set(e, i->osz == 3 ? 3 : 2, i->rm);
}

static void emit_write_base(struct emit *e, const struct insn *i)
{
    uint32_t seg = emit_row_of(i)->arg;
    check_fsgsbase(e);
    emit_get(e, i->osz == 3 ? 3 : 2, i->rm);
    if (i->osz != 3)
        op(e, W_I64_EXTEND_I32_U);
    int v = int_tmp(e, 3);
    get_local(e, v); /* canonical? */
    emit_i64(e, 16);
    op(e, W_I64_SHL);
    emit_i64(e, 16);
    op(e, W_I64_SHR_S);
    get_local(e, v);
    op(e, W_I64_NE);
    emit_leave_if(e, LEAVE_INTERP);
    uint64_t *to[] = { &e->c->seg[seg].base, &e->c->seg_base[seg] };
    for (unsigned k = 0; k < 2; k++) {
        emit_store_begin(e);
        get_local(e, v);
        emit_store_end(e, W_I64_STORE, to[k]);
    }
    groups_forget(e);
}

/* ---- what does nothing here: PAUSE, fences, PREFETCHW, ENDBR ---- */

static void emit_nothing(struct emit *e, const struct insn *i)
{
}
static bool is_fence(const struct insn *i)
{
    return !in_memory(i);
}

/* ---- those that call their handlers ---- */

bool sys_registers(const struct insn *i, uint16_t *registers)
{
    enum { A = 1 << RAX, C = 1 << RCX, D = 1 << RDX, B = 1 << RBX, SP = 1 << RSP };
    static const struct {
        uint8_t map, byte;
        uint16_t registers;
    } known[] = {
        { MAP_0F, 0x05, C | 1 << R11 },
        { MAP_0F, 0x06, 0 },
        { MAP_0F, 0x07, C | 1 << R11 },
        { MAP_0F, 0x09, 0 },
        { MAP_0F, 0x30, A | C | D },
        { MAP_0F, 0x31, A | D },
        { MAP_0F, 0x32, A | C | D },
        { MAP_0F, 0x34, SP },
        { MAP_0F, 0x35, C | D | SP },
        { MAP_0F, 0xa1, SP },
        { MAP_0F, 0xa2, A | B | C | D },
        { MAP_0F, 0xa9, SP },
        { MAP_1B, 0x07, SP },
        { MAP_1B, 0x17, SP },
        { MAP_1B, 0x1f, SP },
        { MAP_1B, 0xf4, 0 },
        { MAP_1B, 0xfb, 0 },
    };
    const struct opcode *o = insn_opcode(i);
    for (size_t k = 0; k < sizeof known / sizeof known[0]; k++)
        if (o->map == known[k].map && o->byte == known[k].byte) {
            *registers = known[k].registers;
            return true;
        }
    if (o->map == MAP_0F && o->byte == 0x01 && (i->modrm == 0xca || i->modrm == 0xcb)) {
        *registers = 0; /* CLAC, STAC */
        return true;
    }
    if (o->map == MAP_0F && o->byte >= 0x20 && o->byte <= 0x23) { /* control and debug registers */
        *registers = (uint16_t)(1u << i->rm);
        return true;
    }
    return false;
}

/* ---- rows ---- */

#define PREFIXED(map, by, prefix, reg, fn, arg, can)                                               \
    {                                                                                              \
        map, by, by, prefix, reg, fn, arg, can                                                     \
    }

static const struct emit_row rows[] = {
    EMIT_ROW(MAP_1B, 0x06, 0x06, R_ANY, emit_push_seg, SEG_ES, NULL),
    EMIT_ROW(MAP_1B, 0x0e, 0x0e, R_ANY, emit_push_seg, SEG_CS, NULL),
    EMIT_ROW(MAP_1B, 0x16, 0x16, R_ANY, emit_push_seg, SEG_SS, NULL),
    EMIT_ROW(MAP_1B, 0x1e, 0x1e, R_ANY, emit_push_seg, SEG_DS, NULL),
    EMIT_ROW(MAP_1B, 0x8c, 0x8c, R_ANY, emit_mov_from_seg, 0, is_segment),
    PREFIXED(MAP_1B, 0x90, PFX_F3, R_ANY, emit_nothing, 0, NULL),
    EMIT_ROW(MAP_1B, 0x9c, 0x9c, R_ANY, emit_pushf, 0, NULL),
    EMIT_ROW(MAP_1B, 0x9d, 0x9d, R_ANY, emit_popf, 0, NULL),
    EMIT_ROW(MAP_1B, 0x9e, 0x9e, R_ANY, emit_sahf, 0, NULL),
    EMIT_ROW(MAP_1B, 0x9f, 0x9f, R_ANY, emit_lahf, 0, NULL),
    EMIT_ROW(MAP_1B, 0xf5, 0xf5, R_ANY, emit_carry, 2, NULL),
    EMIT_ROW(MAP_1B, 0xf8, 0xf8, R_ANY, emit_carry, 0, NULL),
    EMIT_ROW(MAP_1B, 0xf9, 0xf9, R_ANY, emit_carry, 1, NULL),
    EMIT_ROW(MAP_1B, 0xfa, 0xfa, R_ANY, emit_cli, 0, NULL),
    EMIT_ROW(MAP_1B, 0xfb, 0xfb, R_ANY, emit_sti, 0, NULL),
    EMIT_ROW(MAP_1B, 0xfc, 0xfc, R_ANY, emit_direction, 0, NULL),
    EMIT_ROW(MAP_1B, 0xfd, 0xfd, R_ANY, emit_direction, 1, NULL),
    EMIT_ROW(MAP_0F, 0x01, 0x01, 7, emit_swapgs, 0, is_swapgs),
    EMIT_ROW(MAP_0F, 0x0d, 0x0d, R_ANY, emit_nothing, 0, NULL),
    PREFIXED(MAP_0F, 0x1e, PFX_F3, R_ANY, emit_nothing, 0, NULL),
    EMIT_ROW(MAP_0F, 0xa0, 0xa0, R_ANY, emit_push_seg, SEG_FS, NULL),
    EMIT_ROW(MAP_0F, 0xa8, 0xa8, R_ANY, emit_push_seg, SEG_GS, NULL),
    PREFIXED(MAP_0F, 0xae, PFX_NP, 5, emit_nothing, 0, is_fence),
    PREFIXED(MAP_0F, 0xae, PFX_NP, 6, emit_nothing, 0, is_fence),
    PREFIXED(MAP_0F, 0xae, PFX_NP, 7, emit_nothing, 0, is_fence),
    PREFIXED(MAP_0F, 0xae, PFX_F3, 0, emit_read_base, SEG_FS, NULL),
    PREFIXED(MAP_0F, 0xae, PFX_F3, 1, emit_read_base, SEG_GS, NULL),
    PREFIXED(MAP_0F, 0xae, PFX_F3, 2, emit_write_base, SEG_FS, NULL),
    PREFIXED(MAP_0F, 0xae, PFX_F3, 3, emit_write_base, SEG_GS, NULL),
};
const struct emit_table emit_sys = { rows, sizeof rows / sizeof rows[0] };
